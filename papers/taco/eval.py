"""Measure tuned models step by step: understanding, answering, translating back.

    python -m papers.taco.eval tiny --variant taco
    python -m papers.taco.eval tiny --variant taco --split dev
    python -m papers.taco.eval paper --questions vicuna.jsonl --translated-questions Nepali.xlsx
    python -m papers.taco.eval paper --questions ... --translated-questions ... --judgements replies.jsonl

Only the last section of an output is the answer; the whole chain is never scored, because its English text would
inflate every score. An output without the whole chain is a failure. An output with every step right is as frequent as
the product of three rates, each given the steps before it,

    P(all right) = P(i right) · P(o right | i right) · P(o_X right | o and i right).                             (3)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.tasks import judging
from core.tasks.judging import aggregate as aggregate  # public names of the paper
from core.tasks.judging import parse_rating as parse_rating
from papers.taco.config import Chain, Config

if TYPE_CHECKING:
    from papers.taco.method import Part, TacoAnswer
    from papers.taco.pipeline import TacoPipeline

Score = Callable[[str, str], float]
# Named in the requests to the judge; GPT-4 of 2023 in the paper.
JUDGE = "gpt-4"
# Metric of a step, by part of the chain.
STEPS = {"instruction_en": "understood", "response_en": "answered", "response_xx": "accuracy"}
# Rates of a language's step report that are metrics too, as means over languages.
RATES = ("answer_given_instruction", "back_given_answer", "all_steps")


def evaluate(config: Config, run: Run) -> Measurement:
    """Rates of every step on the held-out records of every language, and a benchmark without references."""
    from core.distributed import seed_everything
    from core.worlds.numbers import arithmetic
    from papers.taco import data, miniature
    from papers.taco.pipeline import TacoPipeline
    from papers.taco.train import load, starting_point

    seed_everything(config.seed, 0)
    numbers, languages = not config.base, miniature.targets(config)
    score, threshold = MEASURES["exact" if numbers else "chrf"]
    units: dict[str, dict[str, float]] = defaultdict(dict)
    rates: dict[str, list[float]] = defaultdict(list)
    samples = {}
    for language in languages:
        model, tokenizer = load(run.artifact / language, config)
        pipeline = TacoPipeline(model, tokenizer, language, config.chain, config.template, config.max_new_tokens)
        parts = data.load_records(config, language)
        records = parts[config.split]
        outputs, answers = ask(pipeline, records, config)
        report = diagnose(answers, records, config.chain, score, threshold)
        for record, answer in zip(records, answers, strict=True):
            steps = step_scores(answer, record, config.chain, score)
            final = [*steps.values()][-1]  # of a chain that ends in English, with a perfect translator behind it
            found = {STEPS[part]: value for part, value in steps.items()}
            for name, value in {**found, "accuracy": final, "twice_accuracy": 2 * final}.items():
                units[name][f"{language}/{record['id']}"] = value
        measured = {"parsed": report.ok, **{name: getattr(report, name) for name in RATES}}
        if numbers:
            seen = parts["tuning"][:100]
            measured["fitted"] = diagnose(ask(pipeline, seen, config)[1], seen, config.chain).response_xx
            solvers = miniature.solvers(language, config, parts["tuning"], records)
            measured |= {f"trivial_{name}": value for name, value in solvers.items()}
        if config.questions:
            measured |= benchmark(pipeline, config, run)
        for name, value in measured.items():
            rates[name] += [] if math.isnan(value) else [value]
        samples[language] = [
            {"prompt": record["instruction"], "output": output, "wanted": record["response_xx"]}
            for record, output in zip(records[:4], outputs[:4], strict=True)
        ]
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items()}
    metrics |= {name: sum(values) / len(values) for name, values in rates.items() if values}
    if numbers:
        model, tokenizer = load(starting_point(config, run), config)
        pipeline = TacoPipeline(model, tokenizer, languages[0], "direct", config.template, max_new_tokens=8)
        items = arithmetic(("en",), config.largest)
        outputs = pipeline.write([(item.prompt, "") for item in items])
        right = [exact(output, item.answer) for output, item in zip(outputs, items, strict=True)]
        metrics["english_skill"] = sum(right) / len(right)
    return Measurement(metrics, units, {"samples": samples})


def ask(pipeline: TacoPipeline, asked: Sequence[dict[str, str]], config: Config) -> tuple[list[str], list[TacoAnswer]]:
    """Outputs to instructions in the language, and their sections."""
    suffix = config.question_suffix
    outputs = pipeline.write([(f"{row['instruction']} {suffix}".strip(), row.get("input", "")) for row in asked])
    return outputs, pipeline.parse(outputs)


def benchmark(pipeline: TacoPipeline, config: Config, run: Run) -> dict[str, float]:
    """Answer a benchmark; write answers and judge requests; aggregate the judge's ratings where they are there."""
    place = config.languages.index(pipeline.lang_name)
    questions = judging.questions(config.questions, config.translated_questions[place])
    outputs, answers = ask(pipeline, questions, config)
    finished = [(answer.response_xx or "") if answer.ok else "" for answer in answers]
    rows = [
        {**question, "question": question["instruction"], "output": output, "answer": answer}
        for question, output, answer in zip(questions, outputs, finished, strict=True)
    ]
    replies = config.judgements[place] if config.judgements else ""
    parsed = sum(answer.ok for answer in answers) / len(answers)
    return {"benchmark_parsed": parsed} | judging.report(rows, pipeline.lang_name, run.path, JUDGE, replies)


# --- Steps of the chain -----------------------------------------------------------------------------------------------


def exact(hypothesis: str, reference: str) -> float:
    """1 when the texts agree up to white space, else 0."""
    return float(hypothesis.split() == reference.split())


def chrf(hypothesis: str, reference: str) -> float:
    """chrF of one text, in [0, 1]."""
    from core.metrics.translation import sentence_chrf

    return sentence_chrf(hypothesis, reference) / 100


# How a section is compared with its reference, and from which score on a step counts as right.
MEASURES: dict[str, tuple[Score, float]] = {"exact": (exact, 1.0), "chrf": (chrf, 0.5)}


class StepReport(NamedTuple):
    """How often each step of the chain succeeds; rates and scores in the scale of the score, shares in [0, 1]."""

    n: int
    """Number of items."""
    ok: float
    """Share of outputs with the whole chain."""
    instruction_en: float
    """Mean score of the translation of the instruction into English."""
    response_en: float
    """Mean score of the English response."""
    response_xx: float
    """Mean score of the final answer: the accuracy."""
    answer_given_instruction: float
    """Share of right English responses where the instruction was understood."""
    back_given_answer: float
    """Share of right final answers where the English response was right (and all before it)."""
    all_steps: float
    """Share of items with every step right. With all three parts it is the product of the share of right instructions
    and the two conditional shares (equation 3)."""


def diagnose(
    answers: Sequence[TacoAnswer],
    references: Sequence[Mapping[str, str]],
    chain: Chain = "taco",
    score: Score = exact,
    threshold: float = 1.0,
) -> StepReport:
    """Find the step that fails.

    A missing section scores 0, and so does the final answer of an output without the whole chain: it is then cut off or
    stands in the wrong place.

    Args:
        answers: Parsed outputs.
        references: Records with the right texts of the parts.
        chain: The chain that the model was trained on; parts that it lacks have NaN.
        score: Score of a section against its reference.
        threshold: From which score on a step counts as right in the conditional shares.

    Raises:
        ValueError: Lengths differ, or there is nothing to score.
    """
    _check(answers, references)
    table = [step_scores(answer, one, chain, score) for answer, one in zip(answers, references, strict=True)]
    right = [{part for part, value in row.items() if value >= threshold} for row in table]
    parts = table[0].keys()

    def mean(part: Part) -> float:
        return sum(row[part] for row in table) / len(table) if part in parts else math.nan

    def share(part: Part, *given: Part) -> float:
        """How often `part` is right where those given are that the chain has; NaN if it lacks the last of them."""
        rows = [found for found in right if found.issuperset(parts & set(given))] if given[-1] in parts else []
        return sum(part in found for found in rows) / len(rows) if rows and part in parts else math.nan

    return StepReport(
        n=len(answers),
        ok=sum(answer.ok for answer in answers) / len(answers),
        instruction_en=mean("instruction_en"),
        response_en=mean("response_en"),
        response_xx=mean("response_xx"),
        answer_given_instruction=share("response_en", "instruction_en"),
        back_given_answer=share("response_xx", "instruction_en", "response_en"),
        all_steps=sum(len(found) == len(parts) for found in right) / len(right),
    )


def step_scores(
    answer: TacoAnswer, reference: Mapping[str, str], chain: Chain = "taco", score: Score = exact
) -> dict[Part, float]:
    """The score of every part of one output against the reference texts."""
    from papers.taco.method import PARTS

    scores: dict[Part, float] = {}
    for part in PARTS[chain]:
        text = getattr(answer, part)
        usable = text is not None and (answer.ok or part != PARTS[chain][-1])
        scores[part] = score(text, reference[part]) if usable else 0.0
    return scores


def round_trip_scores(originals: Sequence[str], returned: Sequence[str]) -> dict[str, float]:
    """How much of a text survives translation into X and back: BLEU, chrF++ and TER of sacreBLEU, in per cent.

    Raises:
        ValueError: Lengths differ, or there is nothing to score.
    """
    import sacrebleu

    _check(returned, originals)
    metrics = {"bleu": sacrebleu.BLEU(), "chrf++": sacrebleu.CHRF(word_order=2), "ter": sacrebleu.TER()}
    return {name: metric.corpus_score(returned, [originals]).score for name, metric in metrics.items()}


def _check(found: Sequence[object], wanted: Sequence[object]) -> None:
    if len(found) != len(wanted) or not found:
        raise ValueError(f"{len(found)} outputs and {len(wanted)} references: give equally many, at least one")


if __name__ == "__main__":
    entrypoint(evaluate)
