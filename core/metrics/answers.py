"""Answers that were written freely: exact match, token F1 and ROUGE-L, for any language, and numbers at their end.

SQuAD (Rajpurkar et al. 2016) lowercases, strips punctuation and English articles, and compares bags of words. MLQA
(Lewis et al. 2020) added the articles of other languages and cut unspaced scripts into characters. Here punctuation is
any Unicode punctuation, Arabic spelling is unified, digits of other scripts count as digits, invisible characters do
not count, and case is folded as the language has it.

    last_number("First 3, then 5. The answer is 1,250.50.")     # 1250.5
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from core.metrics.classification import check_lengths
from core.text.languages import match
from core.text.normalize import ascii_digits, fold, normalize_arabic, strip_punctuation
from core.text.segment import words

# Articles to drop, by language; Arabic's is a prefix.
_ARTICLES = {
    "en": r"\b(?:a|an|the)\b",
    "es": r"\b(?:un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(?:ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "fr": r"\b(?:un|une|des|le|la|les)\b",
    "it": r"\b(?:un|uno|una|il|lo|la|i|gli|le)\b",
    "pt": r"\b(?:um|uma|uns|umas|o|a|os|as)\b",
    "nl": r"\b(?:de|het|een)\b",
    "ar": r"\bال",
    "vi": r"\b(?:của|là|cái|chiếc|những)\b",
}
_ELISIONS = {"fr": re.compile(r"\b[ld]['’ʼ]"), "it": re.compile(r"\b(?:un|l)['’ʼ]")}
# A comma between digits marks thousands where three digits follow it; a minus is a sign where nothing stands before it.
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBER = re.compile(r"(?:(?<![\w.)])[-−])?\d+(?:\.\d+)?")
_PATTERNS = {code: re.compile(pattern) for code, pattern in _ARTICLES.items()}


def normalize_answer(text: str, language: str | None = "en") -> str:
    """An answer in the form in which it is compared.

    Args:
        text: The answer.
        language: Its language, which decides the articles to drop and the casing; None drops none.
    """
    code = match(language, _PATTERNS) if language else None
    text = normalize_arabic(fold(text, language))
    if code in _ELISIONS:
        text = _ELISIONS[code].sub(" ", text)
    text = strip_punctuation(text, "")
    if code in _PATTERNS:
        text = _PATTERNS[code].sub(" ", text)
    return " ".join(text.split())


def exact_match(prediction: str, answers: str | Sequence[str], language: str | None = "en") -> float:
    """1 if the normalised prediction equals one of the answers, else 0."""
    normal = normalize_answer(prediction, language)
    return float(any(normal == normalize_answer(answer, language) for answer in _listed(answers)))


def token_f1(prediction: str, answers: str | Sequence[str], language: str | None = "en") -> float:
    """F1 of the bags of words, the best over the answers, in [0, 1]; two empty answers agree.

    Words of unspaced scripts are single grapheme clusters.
    """
    return max(_f1(prediction, answer, language) for answer in _listed(answers))


def rouge_l(prediction: str, reference: str, language: str | None = None) -> float:
    """F1 of the longest common subsequence of words (Lin 2004), in [0, 1]; nothing is stemmed.

    Args:
        prediction: A text.
        reference: The right one.
        language: Decides articles and casing, as in :func:`normalize_answer`. Words of unspaced scripts are single
            grapheme clusters, where official scorers for English see none.
    """
    left, right = (words(normalize_answer(text, language)) for text in (prediction, reference))
    if not left or not right:
        return float(left == right)
    row = [0] * (len(right) + 1)
    for word in left:
        before = row[:]
        for place, other in enumerate(right, start=1):
            row[place] = before[place - 1] + 1 if word == other else max(before[place], row[place - 1])
    return 2 * row[-1] / (len(left) + len(right))


def squad(
    predictions: Sequence[str], references: Sequence[str | Sequence[str]], language: str | None = "en"
) -> dict[str, float]:
    """Mean exact match and token F1, in [0, 1].

    Raises:
        ValueError: unequal numbers, none, or an item without an answer.
    """
    check_lengths(predictions, references)
    pairs = list(zip(predictions, references, strict=True))
    return {
        "exact_match": sum(exact_match(p, r, language) for p, r in pairs) / len(pairs),
        "f1": sum(token_f1(p, r, language) for p, r in pairs) / len(pairs),
    }


def last_number(text: str) -> float | None:
    """The last number of a text, as MGSM and MSVAMP are scored; None where there is none.

    Digits of any script count; commas that mark thousands are left out. Whatever the text says of its answer, the last
    number is taken: "The answer is 5, not 3" gives 3, as in official scripts.
    """
    found = _NUMBER.findall(_THOUSANDS.sub("", ascii_digits(text)))
    return float(found[-1].replace("−", "-")) if found else None


def same_number(text: str, answer: str | float, tolerance: float = 1e-3) -> float:
    """1 if the last number of a text is the answer, up to the tolerance of official scripts, else 0.

    Raises:
        ValueError: the answer has no number.
    """
    wanted = last_number(answer) if isinstance(answer, str) else float(answer)
    if wanted is None:
        raise ValueError(f"The answer {answer!r} has no number.")
    found = last_number(text)
    return float(found is not None and abs(found - wanted) < tolerance)


def _listed(answers: str | Sequence[str]) -> Sequence[str]:
    listed = [answers] if isinstance(answers, str) else answers
    if not listed:
        raise ValueError("An item has no reference answer.")
    return listed


def _f1(prediction: str, answer: str, language: str | None) -> float:
    left, right = (Counter(words(normalize_answer(text, language))) for text in (prediction, answer))
    if not left or not right:
        return float(left == right)
    common = (left & right).total()
    return 2 * common / (left.total() + right.total())
