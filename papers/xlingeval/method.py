"""XLingEval: the same health questions in several languages, judged on three axes and compared within each question.

For question i in language L a model is asked for an answer, for K answers, and whether candidate answers are right:

    correctness     a judge labels the answer against an expert's (more, less, neither, contradictory); over data sets d
                    drop  = mean_d 100 (more_en,d - mean_L more_L,d) / N_d                          in points,   (1)
                    ratio = mean_d (mean_L contradictory_L,d / contradictory_en,d);                              (2)
    consistency     mean of a similarity s over the K (K - 1) / 2 pairs of answers,                              (3)
                    of cosines beyond those of answers to other questions: (c - b) / (1 - b);                    (4)
    verifiability   macro-F1 of Yes and No; without verdicts the share of wrong answers that score below the
                    right one, with v(q, a) = (log p(a | q) - log p(a)) / |a|;                                   (5)
    drop of an axis mean_i (s_i,en - s_i,L), resampled over questions; relative: over mean_i s_i,en.             (6)

(4), (5) after the comma and the intervals of (6) are ours: the first because cosines of unlike answers are far above 0
and differ by language, the second because a small model's Yes says nothing.

    found = drops({"en": {"1": 0.9, "2": 0.8}, "hi": {"1": 0.5, "2": 0.7}})
    found["hi"].points, found["hi"].relative
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

    from core.metrics.intervals import Interval

PIVOT = "en"

# --- correctness ------------------------------------------------------------------------------------------------------

Counts = Mapping[str, Mapping[str, Mapping[str, float]]]
"""`{data set: {language: {label: number of questions}}}`; every language has the same questions."""


def correctness_drop(counts: Counts, name: str = "more") -> float:
    """Equation 1: how many points fewer answers have this label outside English."""
    found = []
    for languages in counts.values():
        own = languages[PIVOT]
        others = fmean(found_in[name] for code, found_in in languages.items() if code != PIVOT)
        found.append(100 * (own[name] - others) / sum(own.values()))
    return fmean(found)


def contradiction_ratio(counts: Counts) -> float:
    """Equation 2; NaN where a data set has no contradictory answer in English."""
    found = []
    for languages in counts.values():
        own = languages[PIVOT]["contradictory"]
        others = fmean(found_in["contradictory"] for code, found_in in languages.items() if code != PIVOT)
        found.append(others / own if own else math.nan)
    return fmean(found)


# --- consistency ------------------------------------------------------------------------------------------------------


def pair_mean(similarity: Float[np.ndarray, "answer answer"]) -> float:
    """Equation 3: the mean above the diagonal.

    Raises:
        ValueError: fewer than two answers.
    """
    if len(similarity) < 2:
        raise ValueError("Consistency needs at least two answers to a question.")
    return float(np.mean(np.asarray(similarity)[np.triu_indices(len(similarity), 1)]))


def excess(vectors: Mapping[str, Float[np.ndarray, "answer width"]]) -> dict[str, float]:
    """Equation 4 for every question of one language, from vectors of length 1 of the answers to it.

    1 where they are the same, 0 where they are no more alike than answers to different questions, b. A model that says
    one thing to everything has 0.

    Raises:
        ValueError: one question alone, or one answer to it.
    """
    if len(vectors) < 2:
        raise ValueError("What answers to different questions have in common needs two questions.")
    means = [rows.mean(axis=0) for rows in vectors.values()]
    base = fmean(float(one @ other) for one, other in itertools.combinations(means, 2))
    return {
        key: (pair_mean(rows @ rows.T) - base) / (1 - base) if base < 1 - 1e-6 else 0.0 for key, rows in vectors.items()
    }


# --- verifiability ----------------------------------------------------------------------------------------------------


class Verdicts(NamedTuple):
    """How well Yes and No fit, in [0, 1]; precision, recall and F1 are means over the two classes."""

    precision: float
    recall: float  # which is the AUC of hard verdicts too
    f1: float  # the paper's number
    accuracy: float  # where nine of ten answers are wrong, No alone has .9
    dropped: float  # share without a verdict, which the others leave out: look at it first


def verifiability(labels: Sequence[int], verdicts: Sequence[int]) -> Verdicts:
    """Score verdicts (1 right, 0 wrong, -1 none) of answers that are right (1) or not (0).

    Raises:
        ValueError: unequal numbers, or none.
    """
    from sklearn.metrics import precision_recall_fscore_support

    if len(labels) != len(verdicts) or not len(labels):
        raise ValueError(f"{len(verdicts)} verdicts on {len(labels)} answers.")
    pairs = [(truth, said) for truth, said in zip(labels, verdicts, strict=True) if said != -1]
    dropped = 1 - len(pairs) / len(labels)
    if not pairs:
        return Verdicts(math.nan, math.nan, math.nan, math.nan, dropped)
    precision, recall, f1, _ = precision_recall_fscore_support(
        *zip(*pairs, strict=True), labels=[0, 1], average="macro", zero_division=0.0
    )
    accuracy = fmean(truth == said for truth, said in pairs)
    return Verdicts(float(precision), float(recall), float(f1), accuracy, dropped)


def pointwise(given_question: float, alone: float, length: int) -> float:
    """Equation 5: how much likelier a question makes an answer, in nats a token."""
    return (given_question - alone) / length


def auc(right: float, wrong: Sequence[float]) -> float:
    """Share of wrong answers to a question that score below the right one, a tie counts half."""
    return fmean((right > score) + 0.5 * (right == score) for score in wrong)


def threshold(scores: Sequence[float], labels: Sequence[int]) -> float:
    """The score from which Yes has the best macro-F1; the middle of the gap below it."""
    order = sorted({*scores})
    cuts = [(low + high) / 2 for low, high in itertools.pairwise(order)] or order
    return max(cuts, key=lambda cut: verifiability(labels, [int(score > cut) for score in scores]).f1)


# --- against English --------------------------------------------------------------------------------------------------


class Drop(NamedTuple):
    """What another language costs, each with a 95 % interval over questions; positive is worse than English."""

    points: Interval  # difference of the means, in the unit of the scores
    relative: Interval  # the same over the English mean; without ends where that is not above 0 too often


Scores = Mapping[str, Mapping[str, float]]
"""`{language: {question: score}}`."""


def common(scores: Scores) -> list[str]:
    """The questions that have a score in every language; what is missing in one is left out of all."""
    known = [{key for key, value in found.items() if not math.isnan(value)} for found in scores.values()]
    return [key for key in next(iter(scores.values())) if all(key in keys for keys in known)]


def drops(scores: Scores, draws: int = 1000, seed: int = 0) -> dict[str, Drop]:
    """Equation 6 for every language but English, paired: a draw takes the same questions in both.

    Raises:
        ValueError: fewer than two questions in common.
    """
    from core.metrics.agreement import bootstrap
    from core.metrics.intervals import unknown

    keys, found = common(scores), {}
    english = np.array([scores[PIVOT][key] for key in keys])
    for code in scores.keys() - {PIVOT}:
        lost = english - np.array([scores[code][key] for key in keys])

        def points(rows: np.ndarray, lost: np.ndarray = lost) -> float:
            return float(lost[rows].mean())

        def relative(rows: np.ndarray, lost: np.ndarray = lost) -> float:
            mean = float(english[rows].mean())
            return points(rows, lost) / mean if mean > 0 else math.nan

        first = bootstrap(points, len(keys), draws, seed)
        try:
            found[code] = Drop(first, bootstrap(relative, len(keys), draws, seed))
        except ValueError:  # too many draws have nothing in English that could be lost
            found[code] = Drop(first, unknown(relative(np.arange(len(keys))), first.method, first.level))
    return {code: found[code] for code in scores if code != PIVOT}
