"""Measure tuned models step by step: understanding, answering, translating back.

    python -m papers.taco.eval tiny --variant taco
    python -m papers.taco.eval tiny --variant taco --split dev
    python -m papers.taco.eval paper --questions vicuna.jsonl --translated-questions Nepali.xlsx
    python -m papers.taco.eval paper --questions ... --translated-questions ... --judgements replies.jsonl

Only the last section of an output is the answer; the whole chain is never scored, because its English text would
inflate every score. An output without the whole chain is a failure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json
from papers.taco.config import Config

if TYPE_CHECKING:
    from papers.taco.method import Record, TacoAnswer
    from papers.taco.pipeline import TacoPipeline

# Metric of a step, by part of the chain.
STEPS = {"instruction_en": "understood", "response_en": "answered", "response_xx": "accuracy"}
# What is recorded of the training of a language's model.
TUNED = ("rows", "dropped_too_long", "tokens_per_row", "steps", "final_loss")
# Rates of a language's step report that are metrics too, as means over languages.
RATES = ("answer_given_instruction", "back_given_answer", "all_steps")


def evaluate(config: Config, run: Run) -> Measurement:
    """Rates of every step on the held-out records of every language, and a benchmark without references."""
    from core.distributed import seed_everything
    from papers.taco import data, miniature, steps
    from papers.taco.pipeline import TacoPipeline
    from papers.taco.train import load, starting_point

    seed_everything(config.seed, 0)
    score, threshold = scoring(config)
    units: dict[str, dict[str, float]] = {}
    by_language: dict[str, dict[str, float]] = {}
    details: dict[str, Any] = {"steps": {}, "samples": {}, "tuned": {}}
    languages = miniature.targets(config)
    for language in languages:
        folder = run.artifact / language
        model, tokenizer = load(folder, config)
        pipeline = TacoPipeline(model, tokenizer, language, config.chain, config.template, config.max_new_tokens)
        parts = data.load_records(config, language)
        records = parts[config.split]
        outputs, answers = ask(pipeline, records, config)
        report = steps.diagnose(answers, records, config.chain, score, threshold)
        for record, answer in zip(records, answers, strict=True):
            for name, value in item_scores(answer, record, config, score).items():
                units.setdefault(name, {})[f"{language}/{record['id']}"] = value
        measured = {"parsed": report.ok, **{name: getattr(report, name) for name in RATES}}
        if config.source == "numbers":
            seen = parts["tuning"][:100]
            again = zip(ask(pipeline, seen, config)[1], seen, strict=True)
            fitted = [item_scores(answer, record, config, score)["accuracy"] for answer, record in again]
            measured |= {"fitted": sum(fitted) / len(fitted)}
            measured |= {f"trivial_{name}": value for name, value in miniature.solvers(language, config).items()}
        if config.questions:
            measured |= benchmark(pipeline, config, run)
        by_language[language] = measured
        details["steps"][language] = {name: value for name, value in vars(report).items() if not math.isnan(value)}
        details["samples"][language] = [
            {"prompt": record["instruction"], "output": output, "wanted": record["response_xx"]}
            for record, output in zip(records[:4], outputs[:4], strict=True)
        ]
        details["tuned"][language] = {name: (read_json(folder / "taco.json") or {})[name] for name in TUNED}
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items()}
    for name in dict.fromkeys(name for measured in by_language.values() for name in measured):
        values = [measured[name] for measured in by_language.values() if not math.isnan(measured.get(name, math.nan))]
        metrics |= {name: sum(values) / len(values)} if values else {}
    if config.source == "numbers":
        model, tokenizer = load(starting_point(config, run), config)
        pipeline = TacoPipeline(model, tokenizer, languages[0], "direct", config.template, max_new_tokens=8)
        metrics |= {"english_skill": english_skill(pipeline, config)}
    return Measurement(metrics, units, details)


def scoring(config: Config) -> tuple[Any, float]:
    """Score of a section and from where on it counts as right: exact for arithmetic, chrF of at least 0.5 for prose."""
    from papers.taco import steps

    return (steps.exact, 1.0) if config.source == "numbers" else (steps.chrf, 0.5)


def ask(pipeline: TacoPipeline, asked: Sequence[dict[str, str]], config: Config) -> tuple[list[str], list[TacoAnswer]]:
    """Outputs to instructions in the language, and their sections."""
    suffix = f" {config.question_suffix}" if config.question_suffix else ""
    outputs = pipeline.write([(row["instruction"] + suffix, row.get("input", "")) for row in asked])
    return outputs, pipeline.parse(outputs)


def item_scores(answer: TacoAnswer, record: Record, config: Config, score: Any) -> dict[str, float]:
    """What one item contributes to the metrics; parts that the chain lacks contribute nothing."""
    from papers.taco import steps

    scores = {STEPS[part]: value for part, value in steps.step_scores(answer, record, config.chain, score).items()}
    if config.chain == "en_only":
        # Somebody else translates: with a perfect translator the answer is as right as the English one.
        scores["accuracy"] = scores["answered"]
    return {**scores, "twice_accuracy": 2 * scores["accuracy"]}


def english_skill(pipeline: TacoPipeline, config: Config) -> float:
    """Share of all English facts that the model answers before stage 2: the premise of the method."""
    from core.worlds.numbers import arithmetic
    from papers.taco import steps

    items = arithmetic(("en",), config.largest)
    outputs = pipeline.write([(item.prompt, "") for item in items])
    return sum(steps.exact(output, item.answer) for output, item in zip(outputs, items, strict=True)) / len(items)


def benchmark(pipeline: TacoPipeline, config: Config, run: Run) -> dict[str, float]:
    """Answer a benchmark; write answers and judge requests; aggregate the judge's ratings where they are there."""
    from core.tasks import judging

    place = config.languages.index(pipeline.lang_name)
    questions = judging.questions(config.questions, config.translated_questions[place])
    outputs, answers = ask(pipeline, questions, config)
    rows = [
        {
            "id": question["id"],
            "category": question["category"],
            "question": question["instruction"],
            "output": output,
            "answer": (answer.response_xx or "") if answer.ok else "",
        }
        for question, output, answer in zip(questions, outputs, answers, strict=True)
    ]
    replies = config.judgements[place] if config.judgements else ""
    parsed = sum(answer.ok for answer in answers) / len(answers)
    return {"benchmark_parsed": parsed} | judging.report(rows, pipeline.lang_name, run.path, config.judge, replies)


if __name__ == "__main__":
    entrypoint(evaluate)
