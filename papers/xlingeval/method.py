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
import re
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean, pstdev, stdev
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

    from core.metrics.intervals import Interval

Label = Literal["neither", "contradictory", "more", "less", "none"]
LABELS: tuple[Label, ...] = get_args(Label)
PIVOT = "en"
# What tells the four sentences apart that the judge may end with, in the order in which they are looked for.
OPTIONS: Mapping[str, Label] = {
    "neither contradictory nor similar": "neither",
    "contradictory information in comparison": "contradictory",
    "more comprehensive and appropriate": "more",
    "less comprehensive and appropriate": "less",
}


# --- correctness ------------------------------------------------------------------------------------------------------


def label(reply: str) -> Label:
    """A judge's label: the first option that stands in its last three sentences, `none` where none does.

    Sentences are what lies between full stops, as in the official script; the piece after the last stop is one of them.
    """
    end = " ".join(" ".join(reply.split("\n")).split(".")[-3:])
    return next((name for mark, name in OPTIONS.items() if mark in end), "none")


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
        others = fmean(found_in["contradictory"] for code, found_in in languages.items() if code != PIVOT)
        found.append(others / languages[PIVOT]["contradictory"] if languages[PIVOT]["contradictory"] else math.nan)
    return fmean(found)


# --- consistency ------------------------------------------------------------------------------------------------------


def cleaned(text: str) -> str:
    """An answer without the marks of a prompt template (`### Input:`) and of headings, white space collapsed."""
    return " ".join(re.sub(r"### \w+:", " ", text).replace("#", " ").split())


def tokens(text: str, *, official: bool = False) -> list[str]:
    """Words, in lower case: of any script, or as the official script cuts English (two word characters or more).

    The official cut breaks Devanagari at its marks and takes a Chinese clause for one word; there it is meant for text
    that was translated back into English.
    """
    from core.text.segment import words

    return re.findall(r"\b\w\w+\b", text.lower()) if official else words(text.lower())


def jaccard(one: Sequence[str], other: Sequence[str], n: int = 1) -> float:
    """Shared n-grams of two token lists over all of both; NaN where neither has one."""
    sets = [{tuple(words[k : k + n]) for k in range(len(words) - n + 1)} for words in (one, other)]
    union = sets[0] | sets[1]
    return len(sets[0] & sets[1]) / len(union) if union else math.nan


def pair_mean(similarity: Float[np.ndarray, "answer answer"]) -> float:
    """Equation 3: the mean above the diagonal.

    Raises:
        ValueError: fewer than two answers.
    """
    if len(similarity) < 2:
        raise ValueError("Consistency needs at least two answers to a question.")
    return float(np.mean(np.asarray(similarity)[np.triu_indices(len(similarity), 1)]))


def pair_spread(similarity: Float[np.ndarray, "answer answer"]) -> float:
    """Standard deviation above the diagonal, n - 1; NaN for one pair."""
    values = np.asarray(similarity)[np.triu_indices(len(similarity), 1)].tolist()
    return stdev(values) if len(values) > 1 else math.nan


def excess(vectors: Mapping[str, Float[np.ndarray, "answer width"]]) -> dict[str, float]:
    """Equation 4 for every question of one language: 1 where its answers are the same, 0 where they are no more alike
    than answers to different questions, b. A model that says one thing to everything has 0.

    Args:
        vectors: Of the answers to each question, of length 1.

    Raises:
        ValueError: one question alone, or one answer to it.
    """
    if len(vectors) < 2:
        raise ValueError("What answers to different questions have in common needs two questions.")
    means = {key: rows.mean(axis=0) for key, rows in vectors.items()}
    base = fmean(float(means[a] @ means[b]) for a in means for b in means if a < b)
    return {
        key: (pair_mean(rows @ rows.T) - base) / (1 - base) if base < 1 - 1e-6 else 0.0 for key, rows in vectors.items()
    }


def bertscore(one: Float[np.ndarray, "token width"], other: Float[np.ndarray, "token width"]) -> tuple[float, ...]:
    """Precision, recall and F1 of greedily matched token vectors of length 1; raw, without idf or rescaling."""
    similarity = one @ other.T
    recall, precision = float(similarity.max(axis=1).mean()), float(similarity.max(axis=0).mean())
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def lengths(answers: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Mean and population standard deviation of the numbers of tokens."""
    counts = [len(words) for words in answers]
    return fmean(counts), pstdev(counts)


# --- verifiability ----------------------------------------------------------------------------------------------------


class Verdicts(NamedTuple):
    """How well Yes and No fit; macro means over the two classes.

    Attributes:
        precision: In [0, 1], as all others.
        recall: Which is the AUC of hard verdicts too.
        f1: The paper's number.
        accuracy: Where nine of ten answers are wrong, No alone has .9.
        dropped: Share without a verdict, which the others leave out: look at it first.
    """

    precision: float
    recall: float
    f1: float
    accuracy: float
    dropped: float


def verifiability(labels: Sequence[int], verdicts: Sequence[int]) -> Verdicts:
    """Score verdicts (1 right, 0 wrong, -1 none) of answers that are right (1) or not (0).

    Raises:
        ValueError: unequal numbers, or none.
    """
    if len(labels) != len(verdicts) or not len(labels):
        raise ValueError(f"{len(verdicts)} verdicts on {len(labels)} answers.")
    pairs = [(truth, said) for truth, said in zip(labels, verdicts, strict=True) if said != -1]
    dropped = 1 - len(pairs) / len(labels)
    if not pairs:
        return Verdicts(math.nan, math.nan, math.nan, math.nan, dropped)
    parts = []
    for value in (0, 1):
        hits = sum(truth == said == value for truth, said in pairs)
        called, there = sum(said == value for _, said in pairs), sum(truth == value for truth, _ in pairs)
        precision, recall = hits / called if called else 0.0, hits / there if there else 0.0
        parts.append((precision, recall, 2 * hits / (called + there) if hits else 0.0))
    precision, recall, f1 = (fmean(pair) for pair in zip(*parts, strict=True))
    return Verdicts(precision, recall, f1, fmean(truth == said for truth, said in pairs), dropped)


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

    points: Interval
    """Difference of the means, in the unit of the scores."""
    relative: Interval
    """The same over the English mean; without ends where that is 0 too often."""


Scores = Mapping[str, Mapping[str, float]]
"""`{language: {question: score}}`."""


def common(scores: Scores) -> list[str]:
    """The questions that have a score in every language; what is missing in one is left out of all."""
    first, *others = scores.values()
    known = [{key for key, value in found.items() if not math.isnan(value)} for found in (first, *others)]
    return [key for key in first if all(key in keys for keys in known)]


def drops(scores: Scores, draws: int = 1000, seed: int = 0) -> dict[str, Drop]:
    """Equation 6 for every language but English, paired: a draw takes the same questions in both.

    Raises:
        ValueError: fewer than two questions in common.
    """
    from core.metrics.agreement import bootstrap
    from core.metrics.intervals import unknown

    keys = common(scores)
    values = {code: np.array([found[key] for key in keys]) for code, found in scores.items()}
    english = values.pop(PIVOT)

    def points(rows: np.ndarray, own: np.ndarray) -> float:
        return float((english - own)[rows].mean())

    def relative(rows: np.ndarray, own: np.ndarray) -> float:
        mean = english[rows].mean()
        return points(rows, own) / float(mean) if mean else math.nan

    found = {}
    for code, own in values.items():
        first = bootstrap(partial(points, own=own), len(keys), draws, seed)
        try:
            found[code] = Drop(first, bootstrap(partial(relative, own=own), len(keys), draws, seed))
        except ValueError:  # too many draws have nothing right in English
            found[code] = Drop(first, unknown(relative(np.arange(len(keys)), own), first.method, first.level))
    return found
