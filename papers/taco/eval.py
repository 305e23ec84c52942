"""Measure tuned models step by step: understanding, answering, translating back.

    python -m papers.taco.eval tiny --variant taco
    python -m papers.taco.eval tiny --variant taco --split dev

Only the last section of an output is the answer; the whole chain is never scored, because its English text would
inflate every score. An output with every step right is as frequent as the product of three rates, each given the steps
before it,

    P(all right) = P(i right) · P(o right | i right) · P(o_X right | o and i right).                             (3)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.metrics.classification import check_lengths
from core.metrics.steps import step_rates
from core.metrics.translation import round_trip_scores as round_trip_scores  # public names of the paper
from core.metrics.translation import sentence_chrf
from core.tasks.judging import aggregate as aggregate
from core.tasks.judging import parse_rating as parse_rating
from core.worlds.numbers import arithmetic
from papers.taco import data, miniature
from papers.taco.config import Chain, Config
from papers.taco.method import PARTS, TacoAnswer
from papers.taco.pipeline import TacoPipeline
from papers.taco.train import dtype, starting_point

Score = Callable[[str, str], float]
# Metric of a step, by part of the chain.
STEPS = {"instruction_en": "understood", "response_en": "answered", "response_xx": "accuracy"}
# Rates of a language's step report that are metrics too, as means over languages.
RATES = ("answer_given_instruction", "back_given_answer", "all_steps")


def evaluate(config: Config, run: Run) -> Measurement:
    """Rates of every step on the held-out records of every language."""
    from core.distributed import seed_everything
    from core.models.loading import load

    seed_everything(config.seed, 0)
    score, threshold = MEASURES["chrf" if config.base else "exact"]
    units: dict[str, dict[str, float]] = defaultdict(dict)
    rates: dict[str, list[float]] = defaultdict(list)
    samples = {}
    for language in miniature.targets(config):
        pipeline = TacoPipeline.load(run.artifact / language, dtype(config))
        parts = data.load_records(config, language)
        records = parts[config.split]
        outputs = pipeline.write(records)
        answers = pipeline.parse(outputs)
        for record, answer in zip(records, answers, strict=True):
            for part, value in step_scores(answer, record, config.chain, score).items():
                units[STEPS[part]][f"{language}/{record['id']}"] = value
        report = diagnose(answers, records, config.chain, score, threshold)
        measured = {"parsed": report.ok, **{name: getattr(report, name) for name in RATES}}
        if not config.base:
            measured["fitted"] = accuracy(pipeline, parts["tuning"][:100])
            solvers = miniature.solvers(language, config, parts["tuning"], records)
            measured |= {f"trivial_{name}": value for name, value in solvers.items()}
        for name, value in measured.items():
            rates[name] += [] if math.isnan(value) else [value]
        shown = zip(records[:4], outputs[:4], strict=True)
        samples[language] = [{"prompt": r["instruction"], "output": o, "wanted": r["response_xx"]} for r, o in shown]
    units["twice_accuracy"] = {unit: 2 * value for unit, value in units["accuracy"].items()}
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items()}
    metrics |= {name: sum(values) / len(values) for name, values in rates.items() if values}
    if not config.base:
        model, tokenizer = load(starting_point(config, run), dtype=dtype(config))
        facts = arithmetic(("en",), config.largest)
        english = TacoPipeline(model, tokenizer, "English", "direct", config.template, max_new_tokens=8)
        metrics["english_skill"] = accuracy(
            english, [{"instruction": fact.prompt, "response_xx": fact.answer} for fact in facts]
        )
    return Measurement(metrics, units, {"samples": samples})


def accuracy(pipeline: TacoPipeline, records: Sequence[Mapping[str, str]]) -> float:
    """Share of the records that are answered exactly."""
    return diagnose(pipeline.parse(pipeline.write(records)), records, pipeline.chain).response_xx


# --- Steps of the chain -----------------------------------------------------------------------------------------------


def exact(hypothesis: str, reference: str) -> float:
    """1 when the texts agree up to white space, else 0."""
    return float(hypothesis.split() == reference.split())


# How a section is compared with its reference, and from which score on a step counts as right.
MEASURES: dict[str, tuple[Score, float]] = {
    "exact": (exact, 1.0),
    "chrf": (lambda hypothesis, reference: sentence_chrf(hypothesis, reference) / 100, 0.5),
}


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
    """Share of items with every step right: with all three parts, the product in equation 3."""


def diagnose(
    answers: Sequence[TacoAnswer],
    references: Sequence[Mapping[str, str]],
    chain: Chain = "taco",
    score: Score = exact,
    threshold: float = 1.0,
) -> StepReport:
    """Find the step that fails.

    Args:
        answers: Parsed outputs.
        references: Records with the right texts of the parts.
        chain: The chain that the model was trained on; parts that it lacks have NaN.
        score: Score of a section against its reference.
        threshold: From which score on a step counts as right in the conditional shares.

    Raises:
        ValueError: Lengths differ, or there is nothing to score.
    """
    check_lengths(answers, references)
    table = [step_scores(answer, one, chain, score) for answer, one in zip(answers, references, strict=True)]
    found = step_rates(table, threshold)
    missing: dict[str, float] = dict.fromkeys(PARTS["taco"], math.nan)
    given = {**missing, **found.given}
    return StepReport(
        n=len(answers),
        ok=sum(answer.ok for answer in answers) / len(answers),
        **{**missing, **found.means},
        answer_given_instruction=given["response_en"],
        back_given_answer=given["response_xx"],
        all_steps=found.all_right,
    )


def step_scores(
    answer: TacoAnswer, reference: Mapping[str, str], chain: Chain = "taco", score: Score = exact
) -> dict[str, float]:
    """The score of every part of one output against the reference texts.

    A missing section scores 0, and so does the final answer of an output without the whole chain: it is then cut off or
    stands in the wrong place.
    """
    found = vars(answer) if answer.ok else {**vars(answer), "response_xx": None}
    return {part: 0.0 if found[part] is None else score(found[part], reference[part]) for part in PARTS[chain]}


if __name__ == "__main__":
    entrypoint(evaluate)
