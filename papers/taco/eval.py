"""Measure tuned models step by step: understanding, answering, translating back.

    python -m papers.taco.eval tiny --variant taco
    python -m papers.taco.eval tiny --variant taco --split dev
    python -m papers.taco.eval paper --questions vicuna.jsonl --translated-questions Nepali.xlsx
    python -m papers.taco.eval paper --questions ... --translated-questions ... --judgements replies.jsonl

Only the last section of an output is the answer; the whole chain is never scored, because its English text would
inflate every score. An output without the whole chain is a failure.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_text
from papers.taco.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from papers.taco.method import Record, TacoAnswer

# Metric of a step, by part of the chain.
STEPS = {"instruction_en": "understood", "response_en": "answered", "response_xx": "accuracy"}
# What is recorded of the training of a language's model.
TUNED = ("rows", "dropped_too_long", "tokens_per_row", "steps", "final_loss")
# Metrics that are means over languages, and the rate of a language that they are the mean of.
RATES = {
    "parsed": "ok",
    "answer_given_instruction": "answer_given_instruction",
    "back_given_answer": "back_given_answer",
    "all_steps": "all_steps",
}


def evaluate(config: Config, run: Run) -> Measurement:
    """Rates of every step on the held-out records of every language, and a benchmark without references."""
    from core.distributed import seed_everything
    from papers.taco import data, miniature, steps
    from papers.taco.train import load, starting_point

    seed_everything(config.seed, 0)
    score, threshold = scoring(config)
    units: dict[str, dict[str, float]] = {}
    by_language: dict[str, dict[str, float]] = {}
    details: dict[str, Any] = {"steps": {}, "samples": {}, "tuned": {}}
    for language in config.languages:
        folder = run.artifact / language
        model, tokenizer = load(folder, config)
        parts = data.load_records(config, language)
        records = parts[config.split]
        outputs, answers = ask(model, tokenizer, records, language, config)
        report = steps.diagnose(answers, records, config.chain, score, threshold)
        for record, answer in zip(records, answers, strict=True):
            for name, value in item_scores(answer, record, config, score).items():
                units.setdefault(name, {})[f"{language}/{record['id']}"] = value
        measured = {name: getattr(report, rate) for name, rate in RATES.items()}
        if config.source == "numbers":
            seen = parts["tuning"][:100]
            fitted = [item_scores(a, r, config, score)["accuracy"] for a, r in zip(
                ask(model, tokenizer, seen, language, config)[1], seen, strict=True)]  # fmt: skip
            measured |= {"fitted": sum(fitted) / len(fitted)}
            measured |= {f"trivial_{name}": value for name, value in miniature.solvers(language, config).items()}
        if config.questions:
            measured |= benchmark(model, tokenizer, language, config, run)
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
        metrics |= {"english_skill": english_skill(model, tokenizer, config)}
    return Measurement(metrics, units, details)


def scoring(config: Config) -> tuple[Any, float]:
    """Score of a section and from where on it counts as right: exact for arithmetic, chrF of at least 0.5 for prose."""
    from core.metrics.translation import sentence_chrf
    from papers.taco import steps

    if config.source == "numbers":
        return steps.exact, 1.0
    return lambda hypothesis, reference: sentence_chrf(hypothesis, reference) / 100, 0.5


def ask(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: Sequence[Record], language: str, config: Config
) -> tuple[list[str], list[TacoAnswer]]:
    """Greedy outputs to instructions in the language, and their sections."""
    from papers.taco import method

    prompts = [
        method.render_prompt(config.template, row["instruction"], row.get("input", ""), config.question_suffix)
        for row in asked
    ]
    outputs = write(model, tokenizer, prompts, config.max_new_tokens)
    return outputs, [method.parse_chain(output, language, config.chain) for output in outputs]


def write(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[str], room: int) -> list[str]:
    """Greedy continuations of prompts, which begin as the training rows do."""
    from core.inference.generation import generate

    begun = [f"{tokenizer.bos_token or ''}{prompt}" for prompt in prompts]
    return generate(model, tokenizer, begun, max_new_tokens=room)


def item_scores(answer: TacoAnswer, record: Record, config: Config, score: Any) -> dict[str, float]:
    """What one item contributes to the metrics; parts that the chain lacks contribute nothing."""
    from papers.taco import steps

    scores = {STEPS[part]: value for part, value in steps.step_scores(answer, record, config.chain, score).items()}
    if config.chain == "en_only":
        # Somebody else translates: with a perfect translator the answer is as right as the English one.
        scores["accuracy"] = scores["answered"]
    return {**scores, "twice_accuracy": 2 * scores["accuracy"]}


def english_skill(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: Config) -> float:
    """Share of all English facts that the model answers before stage 2: the premise of the method."""
    from core.worlds.numbers import arithmetic
    from papers.taco import method, steps

    items = arithmetic(("en",), config.largest)
    outputs = write(model, tokenizer, [method.render_prompt(config.template, item.prompt) for item in items], 8)
    return sum(steps.exact(output, item.answer) for output, item in zip(outputs, items, strict=True)) / len(items)


def benchmark(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, language: str, config: Config, run: Run
) -> dict[str, float]:
    """Answer a benchmark; write answers and judge requests; aggregate the judge's ratings where they are there."""
    import langcodes

    from core.metrics.confusion import language_confusion
    from core.tasks import judging

    place = config.languages.index(language)
    questions = judging.questions(config.questions, config.translated_questions[place])
    outputs, answers = ask(model, tokenizer, questions, language, config)
    texts = [answer.response_xx if answer.ok and answer.response_xx else "" for answer in answers]
    rows = [
        {"id": q["id"], "category": q["category"], "question": q["instruction"], "output": output, "answer": text}
        for q, output, text in zip(questions, outputs, texts, strict=True)
    ]
    requests = [judging.judge_request(r["question"], r["answer"], r["id"], config.judge) for r in rows if r["answer"]]
    for name, lines in (("answers", rows), ("judge_requests", requests)):
        body = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(run.path / f"{name}-{language}.jsonl", body)
    metrics = {"benchmark_parsed": sum(answer.ok for answer in answers) / len(answers)}
    try:
        confusion = language_confusion([text for text in texts if text], str(langcodes.find(language)))
        if confusion.judged:
            metrics["benchmark_in_language"] = confusion.line_pass_rate
    except UserError as error:  # Maltese has no word list: left out rather than 0
        warnings.warn(f"benchmark_in_language is left out: {error}", stacklevel=2)
    if config.judgements:
        means = judging.aggregate(judging.ratings(rows, config.judgements[place]))
        metrics |= {f"rating_{category}": value for category, value in means.items()}
    return metrics


if __name__ == "__main__":
    entrypoint(evaluate)
