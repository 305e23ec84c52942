"""Filtering of parallel text: which pairs are no translations, and why.

Five rules in the order of what they cost; a pair is counted under the first that rejects it:

    same            source and translation are equal
    duplicate       the pair repeats an earlier one, but for case, punctuation and white space
    length          characters, divided by the mean of each side, differ by more than a factor of three
    language        a side is in another language than it should be
    similarity      the two sides do not mean the same: cosine of sentence vectors, or word alignment, below a threshold

    report = filter_parallel(pairs, languages=("en", "tr"), identify=identifier(texts_by_language))
    report.kept, report.rejected            # [("one", "bir"), ...], {"language": 12, ...}
"""

from __future__ import annotations

import math
import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from core.errors import UserError
from core.text import segment

Pair = tuple[str, str]
Rule = Literal["same", "duplicate", "length", "language", "similarity"]
Identify = Callable[[Sequence[str]], Sequence[str]]
Similarity = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True)
class Filtered:
    """What is left.

    Attributes:
        kept: The accepted pairs, in the order given.
        reasons: For every pair the rule that rejected it, or None.
    """

    kept: list[Pair]
    reasons: list[str | None]

    @property
    def rejected(self) -> dict[str, int]:
        """Pairs that each rule rejected."""
        counts = Counter(reason for reason in self.reasons if reason)
        return {rule: counts[rule] for rule in RULES}


def filter_parallel(
    pairs: Sequence[Pair],
    *,
    rules: Sequence[str] = RULES,
    max_ratio: float = 3.0,
    languages: tuple[str, str] | None = None,
    identify: Identify | None = None,
    similarity: Similarity | None = None,
    threshold: float = 0.7,
) -> Filtered:
    """Reject what is probably no translation.

    Args:
        pairs: (sentence, translation).
        rules: Which of `RULES` to apply.
        max_ratio: Largest ratio of the two lengths, each divided by the mean length of its side.
        languages: Codes of the two sides; needed by `language`.
        identify: Texts -> language codes; without it `language` is not applied.
        similarity: Sources, translations -> similarities; without it `similarity` is not applied.
        threshold: Smallest similarity (0.7 for cosines of LaBSE).

    Raises:
        UserError: Unknown rule, or an identifier without the languages.
    """
    unknown = [rule for rule in rules if rule not in RULES]
    if unknown:
        raise UserError(f"There is no rule {unknown[0]!r}: choose of {', '.join(RULES)}.")
    if identify and "language" in rules and languages is None:
        raise UserError("The rule 'language' needs to know the languages of the two sides: give languages=(from, to).")
    reasons: list[str | None] = [None] * len(pairs)
    seen: set[tuple[str, str]] = set()
    means = [math.fsum(len(pair[side]) for pair in pairs) / max(1, len(pairs)) or 1.0 for side in (0, 1)]
    for number, (source, target) in enumerate(pairs):
        key = (normal_form(source), normal_form(target))
        if "same" in rules and key[0] == key[1]:
            reasons[number] = "same"
        elif "duplicate" in rules and key in seen:
            reasons[number] = "duplicate"
        elif "length" in rules and not 1 / max_ratio <= relative_length(source, target, means) <= max_ratio:
            reasons[number] = "length"
        seen.add(key)
    if "language" in rules and identify and languages:
        left = _open(reasons)
        sides = [identify([pairs[number][side] for number in left]) for side in (0, 1)]
        for number, source_language, target_language in zip(left, *sides, strict=True):
            if (source_language, target_language) != languages:
                reasons[number] = "language"
    if "similarity" in rules and similarity:
        left = _open(reasons)
        scores = similarity([pairs[number][0] for number in left], [pairs[number][1] for number in left])
        for number, score in zip(left, scores, strict=True):
            if score < threshold:
                reasons[number] = "similarity"
    return Filtered([pairs[number] for number in _open(reasons)], reasons)


def _open(reasons: Sequence[str | None]) -> list[int]:
    return [number for number, reason in enumerate(reasons) if reason is None]


def normal_form(text: str) -> str:
    """What is left of a text when case, punctuation and white space are disregarded."""
    return "".join(
        c for c in unicodedata.normalize("NFKC", text).casefold() if unicodedata.category(c)[0] not in "PZSC"
    )


def relative_length(source: str, target: str, means: Sequence[float]) -> float:
    """Ratio of the two lengths in characters, each in units of its side's mean; infinite for an empty translation."""
    return (len(source) / means[0]) / (len(target) / means[1]) if target else math.inf


def identifier(texts: Mapping[str, Sequence[str]]) -> Identify:
    """A language identifier from monolingual text: naive Bayes over character n-grams (1 to 4, within words).

    Args:
        texts: Text of each language that may occur; the more they are alike the more is needed.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    labels = [code for code, lines in texts.items() for _ in lines]
    lines = [line for lines in texts.values() for line in lines]
    # Languages with less text are not less likely.
    model = make_pipeline(
        CountVectorizer(analyzer="char_wb", ngram_range=(1, 4)), MultinomialNB(alpha=0.1, fit_prior=False)
    )
    model.fit(lines, labels)
    return lambda found: [str(code) for code in model.predict(list(found))] if len(found) else []


def alignment_similarity(rounds: int = 8) -> Similarity:
    """How well the words of a pair explain each other, in [0, 1], after IBM model 1 on the noisy pairs themselves.

    t(y | x) is trained by expectation maximisation in both directions (Brown et al. 1993); the score of a direction is
    the geometric mean over the words y of max_x t(y | x), relative to the best translation that x has; the pair's is
    the smaller of the two. Noise that does not agree with itself leaves no trace in t, so this needs no clean data, but
    it needs words: sentences of a narrow domain with repeated vocabulary.
    """

    def score(sources: Sequence[str], targets: Sequence[str]) -> list[float]:
        both = [([words(s) for s in sources], [words(t) for t in targets])]
        both.append((both[0][1], both[0][0]))
        found = []
        for given, wanted in both:
            table = ibm_model_1(given, wanted, rounds)
            best: dict[str, float] = defaultdict(float)
            for (x, _), probability in table.items():
                best[x] = max(best[x], probability)
            found.append([_explained(x, y, table, best) for x, y in zip(given, wanted, strict=True)])
        return [min(pair) for pair in zip(*found, strict=True)]

    return score


def words(text: str) -> list[str]:
    """Words without case; hyphens separate, and so does every character of scripts without spaces."""
    return segment.words(text.casefold().replace("-", " "))


def ibm_model_1(
    given: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]], rounds: int
) -> dict[tuple[str, str], float]:
    """{(x, y): t(y | x)} by expectation maximisation, from equal probabilities."""
    table: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        counts: dict[tuple[str, str], float] = defaultdict(float)
        totals: dict[str, float] = defaultdict(float)
        for xs, ys in zip(given, wanted, strict=True):
            for y in ys:
                weights = [table.get((x, y), 0.0) if table else 1.0 for x in xs]
                whole = sum(weights) or 1.0
                for x, weight in zip(xs, weights, strict=True):
                    counts[x, y] += weight / whole
                    totals[x] += weight / whole
        table = {(x, y): count / totals[x] for (x, y), count in counts.items() if totals[x]}
    return table


def aligned_words(pairs: Sequence[tuple[str, str]], likely: float = 0.3, rounds: int = 5) -> dict[str, str]:
    """Words of the first texts and the word that each becomes likeliest in their translations, by IBM Model 1.

    Where scripts put no space between words this aligns single characters.

    Args:
        pairs: Texts and their translations; some hundreds at least.
        likely: Probability from which a word counts as a translation; the others are left out, and digits.
        rounds: Of expectation maximisation.
    """
    table = ibm_model_1([words(one) for one, _ in pairs], [words(other) for _, other in pairs], rounds)
    best: dict[str, tuple[float, str]] = {}
    for (source, target), probability in table.items():
        best[source] = max(best.get(source, (likely, "")), (probability, target))
    return {source: target for source, (_, target) in best.items() if target and not target.isdigit()}


def _explained(
    xs: Sequence[str], ys: Sequence[str], table: Mapping[tuple[str, str], float], best: Mapping[str, float]
) -> float:
    if not xs or not ys:
        return 0.0
    logs = [math.log(max(1e-6, *(table.get((x, y), 0.0) / (best[x] or 1.0) for x in xs))) for y in ys]
    return math.exp(sum(logs) / len(logs))


def spoilt(pairs: Sequence[Pair], share: float, draw: random.Random) -> list[Pair]:
    """Labelled noise: about `share` of the pairs get another pair's translation or, as often, another pair's source."""
    return [
        (source, draw.choice(pairs)[draw.random() < 0.5] if draw.random() < share else target)
        for source, target in pairs
    ]
