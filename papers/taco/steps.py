"""Which step of the chain fails: understanding, answering, or translating back; and what a translation survives.

    report = diagnose(answers, records)
    report.instruction_en, report.answer_given_instruction, report.back_given_answer

An output with every step right is as frequent as the product of three rates, each given the steps before it,

    P(all right) = P(i right) · P(o right | i right) · P(o_X right | o and i right).                             (3)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.tasks.judging import aggregate, parse_rating
from papers.taco.config import Chain
from papers.taco.method import PARTS, Part, TacoAnswer

__all__ = ["StepReport", "aggregate", "chrf", "diagnose", "exact", "parse_rating", "round_trip_scores", "step_scores"]


def exact(hypothesis: str, reference: str) -> float:
    """1 when the texts agree up to white space, else 0."""
    return float(hypothesis.split() == reference.split())


def chrf(hypothesis: str, reference: str) -> float:
    """chrF of one text, in [0, 1]."""
    from core.metrics.translation import sentence_chrf

    return sentence_chrf(hypothesis, reference) / 100


@dataclass(frozen=True)
class StepReport:
    """How often each step of the chain succeeds; rates and scores in the scale of the score, shares in [0, 1].

    Attributes:
        n: Number of items.
        ok: Share of outputs with the whole chain.
        instruction_en: Mean score of the translation of the instruction into English.
        response_en: Mean score of the English response.
        response_xx: Mean score of the final answer: the accuracy.
        answer_given_instruction: Share of right English responses where the instruction was understood.
        back_given_answer: Share of right final answers where the English response was right (and all before it).
        all_steps: Share of items with every step right. With all three parts it is the product of the share of right
            instructions and the two conditional shares (equation 3).
    """

    n: int
    ok: float
    instruction_en: float
    response_en: float
    response_xx: float
    answer_given_instruction: float
    back_given_answer: float
    all_steps: float


def diagnose(
    answers: Sequence[TacoAnswer],
    references: Sequence[Mapping[str, str]],
    chain: Chain = "taco",
    score: Callable[[str, str], float] = exact,
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
    if len(answers) != len(references) or not answers:
        raise ValueError(f"{len(answers)} answers and {len(references)} references: give equally many, at least one")
    table = [
        step_scores(answer, reference, chain, score) for answer, reference in zip(answers, references, strict=True)
    ]
    right = [{part for part, value in row.items() if value >= threshold} for row in table]

    def mean(part: Part) -> float:
        return sum(row[part] for row in table) / len(table) if part in PARTS[chain] else math.nan

    def share(part: Part, *given: Part) -> float:
        """How often `part` is right where those given are that the chain has; NaN if it lacks the last of them."""
        if given[-1] not in PARTS[chain]:
            return math.nan
        rows = [parts for parts in right if parts.issuperset(set(given) & set(PARTS[chain]))]
        return sum(part in parts for parts in rows) / len(rows) if rows and part in PARTS[chain] else math.nan

    return StepReport(
        n=len(answers),
        ok=sum(answer.ok for answer in answers) / len(answers),
        instruction_en=mean("instruction_en"),
        response_en=mean("response_en"),
        response_xx=mean("response_xx"),
        answer_given_instruction=share("response_en", "instruction_en"),
        back_given_answer=share("response_xx", "instruction_en", "response_en"),
        all_steps=sum(len(parts) == len(PARTS[chain]) for parts in right) / len(right),
    )


def step_scores(
    answer: TacoAnswer, reference: Mapping[str, str], chain: Chain = "taco", score: Callable[[str, str], float] = exact
) -> dict[Part, float]:
    """The score of every part of one output against the reference texts."""
    scores: dict[Part, float] = {}
    for part in PARTS[chain]:
        text = getattr(answer, part)
        usable = text is not None and (answer.ok or part != PARTS[chain][-1])
        scores[part] = score(text, reference[part]) if usable else 0.0
    return scores


def round_trip_scores(originals: Sequence[str], returned: Sequence[str]) -> dict[str, float]:
    """How much of a text survives translation into X and back: BLEU, chrF++ and TER of sacreBLEU, in per cent.

    Args:
        originals: English sentences.
        returned: The same sentences after the round trip.

    Raises:
        ValueError: Lengths differ, or there is nothing to score.
    """
    import sacrebleu

    from core.metrics import translation

    if len(originals) != len(returned) or not originals:
        raise ValueError(f"{len(originals)} originals and {len(returned)} round trips: give equally many, at least one")
    return {
        "bleu": translation.bleu(returned, originals).score,
        "chrf++": translation.chrf(returned, originals, word_order=2).score,
        "ter": sacrebleu.corpus_ter(list(returned), [list(originals)]).score,
    }
