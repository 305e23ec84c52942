"""The three official scorers of short answers, which do not agree: `initial`, `v1` and `current`.

    answer_variants("Der Hund", "german")                          # ["der hund", "hund"]
    score("The answer is Paris.", ["Paris"], "english")["em"]      # 1.0
    score("An ninh", ["ninh"], "vietnamese", "initial")["em"]      # 1.0: English articles are cut in every language

`initial` (April 2025) belongs to the paper's numbers on the development set; `v1` came with the corrected prompts;
`current` compares all forms that an answer may take with all forms of the right ones. A score is stored with its
scorer's name.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Literal, get_args

from core.text.distance import edit_distance

Scorer = Literal["initial", "v1", "current"]
Metric = Literal["em", "f1", "bleu", "chrf", "edit_distance", "edit_similarity", "contains"]
METRICS: tuple[Metric, ...] = get_args(Metric)

# Signs that all three delete. What Unicode calls punctuation is deleted by the later two as well; the rest of these are
# symbols, such as the tilde.
_RANGES = (
    (0xA1, 0xA1), (0xAB, 0xAB), (0xBB, 0xBB), (0xBF, 0xBF), (0x2013, 0x2014), (0x2018, 0x2019), (0x201B, 0x201F),
    (0x2026, 0x2027), (0x3001, 0x3003), (0x300A, 0x3011), (0x3014, 0x301F), (0x3030, 0x3030), (0x303E, 0x303F),
    (0xFE4F, 0xFE4F), (0xFF01, 0xFF0D), (0xFF0F, 0xFF0F), (0xFF1A, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF64),
)  # fmt: skip
_SIGNS = frozenset(string.punctuation) | {chr(code) for low, high in _RANGES for code in range(low, high + 1)}

# Words that `current` takes off in a second form. What also means "one" stays: it may be the answer.
ARTICLES: Mapping[str, str] = {
    "english": "a an the", "german": "der die das den dem des", "dutch": "de het", "french": "le la les des",
    "italian": "il lo la i gli le", "spanish": "el la los las unos unas", "portuguese": "o a os as uns umas",
    "romanian": "niste niște", "tagalog": "ang ng mga si sina",
}  # fmt: skip
PREFIXES: Mapping[str, str] = {"arabic": "ال", "hebrew": "ה"}
"""Articles that are written as one with the word; one is taken off where two letters remain."""
FRAMES: Mapping[str, tuple[str, str]] = {"urdu": ("جواب", "ہے")}
"""What the official prompt asks to be put around the answer: "the answer ... is"."""
_JOINER = "\u200c"
_MARKER = re.compile("_translated_(?:human|machine)_")


def language_of(key: str) -> str:
    """What a set is written in: `spanish_translated_human_english` is English."""
    return _MARKER.split(key)[-1]


# --- forms of an answer -----------------------------------------------------------------------------------------------


def answer_variants(text: str, language: str, scorer: Scorer = "current") -> list[str]:
    """The forms in which an answer is compared, as written first; of `initial` and `v1` the one that they have.

    Args:
        text: An answer, of a model or a right one.
        language: A key of the benchmark (`german`); what it does not name has no articles.
        scorer: Which official version.

    Returns:
        Forms that differ, none of them empty; of `initial` and `v1` exactly one, which may be.
    """
    if scorer != "current":
        bare = _spaced(re.sub(r"\b(a|an|the)\b", " ", _canonical(text, categories=scorer == "v1")))
        return [bare if scorer == "initial" else _without_preamble(bare)]
    answer = _without_preamble(_canonical(text, categories=True))
    found = [answer, _without_articles(answer, language)]
    if (inner := _without_frame(answer, language)) != answer:
        found += [inner, _without_articles(inner, language)]
    found += [_spaced(form.replace(_JOINER, mark)) for form in list(found) if _JOINER in form for mark in (" ", "")]
    return list(dict.fromkeys(filter(None, found)))


def normalise(text: str, language: str, scorer: Scorer = "current") -> str:
    """One form for a table: that of `initial` or `v1`, or the last and barest of `current`; empty if none is left."""
    return next(reversed(answer_variants(text, language, scorer)), "")


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _canonical(text: str, *, categories: bool) -> str:
    kept = (sign for sign in text.lower() if sign not in _SIGNS)
    return _spaced("".join(sign for sign in kept if not (categories and unicodedata.category(sign).startswith("P"))))


def _without_preamble(text: str) -> str:
    if " answer is " in text:
        return text.rpartition(" answer is ")[2]
    if "answer is " in text:
        return text.replace("answer is ", "")
    return text.removesuffix("です")


def _without_articles(text: str, language: str) -> str:
    if prefix := PREFIXES.get(language):
        long = len(prefix) + 2
        return _spaced(" ".join(w.removeprefix(prefix) if len(w) >= long else w for w in text.split()))
    if articles := ARTICLES.get(language):
        return _spaced(re.sub(rf"\b({articles.replace(' ', '|')})\b", " ", text))
    return text


def _without_frame(text: str, language: str) -> str:
    before, after = FRAMES.get(language, ("", ""))
    inner = text.removeprefix(f"{before} ") if before else text
    return _spaced(inner.removesuffix(f" {after}") if after else inner) or text


# --- metrics of one question ------------------------------------------------------------------------------------------


def score(
    prediction: str,
    targets: Sequence[str],
    language: str,
    scorer: Scorer = "current",
    metrics: Sequence[Metric] = METRICS,
) -> dict[Metric, float]:
    """The metrics of one answer, each over the right answer that suits best; `current` also over the forms of it.

    A question of which no right answer is left gives 0 with `current` (the official script stops there), and with the
    other two is answered by silence. A blank right answer is contained in everything in `v1`, whose official script
    counts so, and in nothing with `current`.

    Args:
        prediction: As the model wrote it.
        targets: The right answers, as they stand in the file.
        language: What both are written in.
        scorer: Which official version.
        metrics: Which; `edit_distance` is better when lower, `bleu` and `chrf` reach 100, the others 1.
    """
    wanted = list(dict.fromkeys(form for target in targets for form in answer_variants(target, language, scorer)))
    said = answer_variants(prediction, language, scorer) or [""]
    found: dict[Metric, float] = {}
    for metric in metrics:
        if not wanted:
            found[metric] = float(max(map(len, said))) if metric == "edit_distance" else 0.0
            continue
        values = [_METRICS[metric](form, wanted) for form in said]
        found[metric] = min(values) if metric == "edit_distance" else max(values)
    return found


def _f1(said: str, wanted: str) -> float:
    left, right = Counter(said.split()), Counter(wanted.split())
    common = (left & right).total()
    return 2 * common / (left.total() + right.total()) if common else 0.0


def _bleu(said: str, wanted: Sequence[str]) -> float:
    import sacrebleu

    return float(sacrebleu.sentence_bleu(said, wanted).score)


def _chrf(said: str, wanted: Sequence[str]) -> float:
    import sacrebleu

    return float(sacrebleu.sentence_chrf(said, wanted).score)


_METRICS: Mapping[Metric, Callable[[str, Sequence[str]], float]] = {
    "em": lambda said, wanted: float(said in wanted),
    "f1": lambda said, wanted: max(_f1(said, one) for one in wanted),
    "bleu": _bleu,
    "chrf": _chrf,
    "edit_distance": lambda said, wanted: float(min(edit_distance(said, one) for one in wanted)),
    "edit_similarity": lambda said, wanted: max(SequenceMatcher(None, said, one).ratio() for one in wanted),
    "contains": lambda said, wanted: float(any(one in said for one in wanted)),
}
