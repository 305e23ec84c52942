"""Measure tuned models step by step: understanding, answering, translating back.

    python -m papers.taco.eval tiny --variant taco
    python -m papers.taco.eval tiny --variant taco --evaluate-on development
    python -m papers.taco.eval paper --questions vicuna.jsonl --translated-questions Nepali.xlsx
    python -m papers.taco.eval paper --questions ... --translated-questions ... --judgements replies.jsonl

Only the last section of an output is the answer; the whole chain is never scored, because its English text would
inflate every score. An output without the whole chain is a failure.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_text
from papers.taco.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from papers.taco.data import Split
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
    "english_skill": "english_skill",
}


def evaluate(config: Config, run: Run) -> Measurement:
    """Rates of every step on the held-out records of every language, and a benchmark without references."""
    from core.distributed import seed_everything
    from papers.taco import data, method
    from papers.taco.train import folder_name, load

    seed_everything(config.seed, 0)
    score, threshold = scoring(config)
    units: dict[str, dict[str, float]] = {}
    extra: dict[str, float] = {}
    details: dict[str, Any] = {"tuning_items": config.tuning_items, "steps": {}, "samples": {}, "tuned": {}}
    for language in config.languages:
        folder = run.artifact / folder_name(config, language)
        model, tokenizer = load(folder, config)
        split = data.split_records(data.load_records(config, language), config)
        records: list[Record] = getattr(split, config.evaluate_on)
        outputs = answer_all(model, tokenizer, [(r["instruction"], r["input"]) for r in records], config)
        answers = [method.parse_chain(output, language, config.chain) for output in outputs]
        report = method.diagnose(answers, records, config.chain, score, threshold)
        for record, answer in zip(records, answers, strict=True):
            for name, value in item_scores(answer, record, config, score, threshold).items():
                units.setdefault(name, {})[f"{language}/{record['id']}"] = value
        if config.source == "numbers":
            extra |= {f"{name}_{language}": v for name, v in memory(model, tokenizer, split, config).items()}
        if config.questions:
            measured = benchmark(model, tokenizer, language, config, run)
            extra |= {f"{name}_{language}": value for name, value in measured.items()}
        skill = english_skill(model, tokenizer, records, config, score)
        rates = {**vars(report), "english_skill": sum(skill) / len(skill)}
        details["steps"][language] = {name: value for name, value in rates.items() if not math.isnan(value)}
        details["samples"][language] = [
            {"prompt": record["instruction"], "output": output, "wanted": record["response_xx"]}
            for record, output in zip(records[:4], outputs[:4], strict=True)
        ]
        tuned = read_json(folder / "taco.json")
        details["tuned"][language] = {name: tuned[name] for name in TUNED}
        if tuned["english_accuracy"] is not None:
            extra["english_skill_before"] = tuned["english_accuracy"]
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items()}
    for name, rate in RATES.items():
        values = [steps[rate] for steps in details["steps"].values() if rate in steps]
        metrics |= {name: sum(values) / len(values)} if values else {}
    return Measurement({**metrics, **extra}, units, details)


def scoring(config: Config) -> tuple[Any, float]:
    """Score of a section and from where on it counts as right: exact for arithmetic, chrF of at least 0.5 for prose."""
    from core.metrics.translation import sentence_chrf
    from papers.taco import method

    if config.source == "numbers":
        return method.exact, 1.0
    return lambda hypothesis, reference: sentence_chrf(hypothesis, reference) / 100, 0.5


def answer_all(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: list[tuple[str, str]], config: Config
) -> list[str]:
    """Greedy outputs to (instruction, input) pairs."""
    from core.inference.generation import generate
    from papers.taco import data

    prompts = [data.render_prompt(config.template, *pair, suffix=config.question_suffix) for pair in asked]
    prompts = [data.begin(tokenizer, prompt) for prompt in prompts]
    return generate(model, tokenizer, prompts, max_new_tokens=config.max_new_tokens)


def item_scores(answer: TacoAnswer, record: Record, config: Config, score: Any, threshold: float) -> dict[str, float]:
    """What one item contributes to the metrics; parts that the chain lacks contribute nothing."""
    from papers.taco import method

    steps = method.step_scores(answer, record, config.chain, score)
    scores = {STEPS[part]: value for part, value in steps.items()}
    if config.chain == "en_only":
        # Somebody else translates: with a perfect translator the answer is as right as the English one.
        scores["accuracy"] = scores["answered"]
    return {
        **scores,
        "twice_accuracy": 2 * scores["accuracy"],
        "all_steps": float(all(value >= threshold for value in steps.values())),
    }


def english_skill(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, records: list[Record], config: Config, score: Any
) -> list[float]:
    """Scores of the same questions asked in plain English after stage 2: what it made the model forget.

    A tuned model may answer an English question with the chain; then its English section counts.
    """
    from papers.taco import method

    asked = [(record["instruction_en"], "") for record in records]
    outputs = answer_all(model, tokenizer, asked, config)
    sections = [method.parse_chain(output, record["language"]) for output, record in zip(outputs, records, strict=True)]
    texts = [section.response_en or output for section, output in zip(sections, outputs, strict=True)]
    return [score(text, record["response_en"]) for text, record in zip(texts, records, strict=True)]


def memory(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, split: Split, config: Config
) -> dict[str, float]:
    """What tells memory from skill: `fitted`, the accuracy on tuning records, and the share of new answer words."""
    from papers.taco import method

    seen = split.tuning[:100]
    outputs = answer_all(model, tokenizer, [(record["instruction"], record["input"]) for record in seen], config)
    right = []
    for output, record in zip(outputs, seen, strict=True):
        answer = method.parse_chain(output, record["language"], config.chain)
        right.append(item_scores(answer, record, config, method.exact, 1.0)["accuracy"])
    words = {word for record in split.tuning for word in record["response_xx"].split()}
    new = [not words.issuperset(record["response_xx"].split()) for record in split.test]
    return {"fitted": sum(right) / len(right), "new_answer_words": sum(new) / len(new)}


def benchmark(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, language: str, config: Config, run: Run
) -> dict[str, float]:
    """Answer a benchmark; write answers and judge requests; aggregate the judge's ratings where they are there."""
    import json

    import langcodes

    from core.metrics.confusion import language_confusion
    from papers.taco import judging, method
    from papers.taco.pipeline import keep_code

    questions = judging.benchmark(config.questions, config.translated_questions)
    outputs = answer_all(model, tokenizer, [(q["instruction"], "") for q in questions], config)
    answers = [method.parse_chain(output, language, config.chain) for output in outputs]
    answers = [keep_code(answer) for answer in answers] if config.keep_code else answers
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
        means = judging.aggregate(judging.ratings(rows, config.judgements))
        metrics |= {f"rating_{category}": value for category, value in means.items()}
    return metrics


if __name__ == "__main__":
    entrypoint(evaluate)
