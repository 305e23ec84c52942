"""Do language models link the form of a word to its meaning, or to that of a word in another language that looks alike?

Bilinguals read cognates (same form, same meaning) faster and false friends (same form, other meaning) slower. Three of
their tasks are put to a model, for pairs of an English word and one of another language, of the kinds

    kind          form     meaning
    cognate       alike    same        lamp / Lampe
    false         alike    other       gift / Gift (poison)
    translation   apart    same        gift / Geschenk
    unrelated     apart    other       gift / Haken           (ours: the cell that the paper lacks)

Task 1, do the two mean the same? With b the mean over pairs of which half are true,

    s = log p("True" | pair) - log p("False" | pair) - b,    true where s > 0.                                     (1)

Task 2, which of two definitions is the word's? With f(w) a frame around the word and f() the same without one,

    g(d) = log p(d | f(w)) - log p(d | f()),    the definition with the larger g.                                  (2)

Of a false friend the wrong definition e is the other word's; of the others it is the most similar one of the language
that is not too similar,

    argmax over e of cos(d, e)   among those below 0.6.                                                            (3)

Task 3, what does a quoted word mean in a sentence of its own language, or of the other one? As (2), with the sentence
before the frame and the two senses as definitions. How much a model follows form is the slope of the logit s on the
similarity of the forms, within kinds, and how well it tells cognates from false friends, whose forms are as similar,

    d' = (mean of s over cognates - mean over false friends) / their standard deviation.                           (4)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from random import Random
from statistics import fmean, pstdev
from typing import Literal, NamedTuple

from core.errors import UserError
from core.text.distance import edit_distance

Kind = Literal["cognate", "false", "translation", "unrelated"]
Logliks = Callable[[Sequence[str], Sequence[Sequence[str]]], Sequence[Sequence[float]]]
"""From contexts and the choices behind each to the log-likelihoods of these, in nats."""
SAME_MEANING: dict[str, bool] = {"cognate": True, "false": False, "translation": True, "unrelated": False}
LABELS = ("True", "False")


class Item(NamedTuple):
    """A pair of words.

    Attributes:
        key: `<language>/<name>`; the false friend and the translation of one English word share it.
        kind: See above.
        language: Code of the other language.
        english: The English word.
        english_gloss: What it means, in English.
        word: The other one, as it is written.
        gloss: What that means, in English.
        english_negative: The wrong definition of the English word; empty until :func:`with_negatives`.
        negative: The wrong definition of the other word.
    """

    key: str
    kind: Kind
    language: str
    english: str
    english_gloss: str
    word: str
    gloss: str
    english_negative: str = ""
    negative: str = ""


def similarity(a: str, b: str) -> float:
    """Likeness of two forms in [0, 1]: 1 - edit distance / length of the longer, without case, in composed letters."""
    left, right = (unicodedata.normalize("NFC", text).casefold() for text in (a, b))
    return 1 - edit_distance(left, right) / max(len(left), len(right), 1)


# --- equation 3: the items of task 2 ----------------------------------------------------------------------------------


def select_negative(cosines: Sequence[float], limit: float = 0.6) -> int:
    """Position of the largest similarity below the limit; the definition itself, at 1, is never taken.

    Raises:
        UserError: None lies below the limit.
    """
    below = [(cosine, -place) for place, cosine in enumerate(cosines) if cosine < limit]
    if not below:
        raise UserError(f"Every definition is more similar than {limit}: give more items of other meanings.")
    return -max(below)[1]


def with_negatives(
    items: Sequence[Item], encode: Callable[[Sequence[str]], Sequence[Sequence[float]]], limit: float = 0.6
) -> list[Item]:
    """Wrong definitions for every item (equation 3); of a false friend, those of its partner.

    Args:
        items: Of one language.
        encode: From texts to unit vectors, shape [texts, width].
        limit: See :func:`select_negative`.
    """
    import numpy as np

    pools = [sorted({getattr(item, name) for item in items}) for name in ("english_gloss", "gloss")]
    chosen: list[dict[str, str]] = []
    for pool in pools:
        vectors = np.asarray(encode(pool))
        chosen.append({d: pool[select_negative(row, limit)] for d, row in zip(pool, vectors @ vectors.T, strict=True)})
    return [
        item._replace(english_negative=item.gloss, negative=item.english_gloss)
        if item.kind == "false"
        else item._replace(english_negative=chosen[0][item.english_gloss], negative=chosen[1][item.gloss])
        for item in items
    ]


# --- task 1 -----------------------------------------------------------------------------------------------------------


def demonstrations(
    items: Sequence[Item], k: int, seed: int, kinds: Sequence[Kind] = ("false", "cognate")
) -> list[Item]:
    """`k` labelled examples of each kind, shuffled. The official ones are cognates and false friends alone, alike in
    form: no translation is ever shown.

    Raises:
        UserError: There are fewer than k of a kind.
    """
    draw, found = Random(f"demonstrations-{seed}"), list[Item]()
    for kind in kinds:
        pool = [item for item in items if item.kind == kind]
        if len(pool) < k:
            raise UserError(f"{k} demonstrations of the kind {kind!r} are asked for, and there are {len(pool)}.")
        found += draw.sample(pool, k)
    return draw.sample(found, len(found))


def pair_prompt(item: Item, language: str, shown: Sequence[Item] = ()) -> str:
    """What is asked in task 1, in our words of the official prompt: labelled pairs, then the pair."""
    asked = f"Label a pair of words, one English and one {language}, True if they have the same meaning, else False."
    lines = [f"{_pair(one)} {SAME_MEANING[one.kind]}" for one in shown]
    return "\n".join([asked, *lines, _pair(item)])


def _pair(item: Item) -> str:
    return f'"{item.english}" and "{item.word}" ->'


def truth(loglik: Logliks, prompts: Sequence[str]) -> list[float]:
    """Log-odds of True against False behind each prompt; s of equation 1 but for the mean b."""
    scores = loglik(prompts, [[f" {label}" for label in LABELS]] * len(prompts))
    return [true - false for true, false in scores]


# --- tasks 2 and 3 ----------------------------------------------------------------------------------------------------

FRAMES = (
    ("In {language}, the word “{word}” means:", "The word “{word}” means:"),
    ("“{word}” is a word of {language}. Its meaning:", "“{word}” is a word. Its meaning:"),
    ("{language} dictionary. {word}:", "Dictionary. {word}:"),
    ("The meaning of “{word}” in {language} is:", "The meaning of “{word}” is:"),
)
"""Wordings of task 2, with the name of the language and without; ours. A seed takes the next one."""
SENSE = "{sentence} Here “{word}” means:"
"""Wording of task 3; ours."""


def gains(
    loglik: Logliks,
    contexts: Sequence[str],
    empty: Sequence[str],
    senses: Sequence[Sequence[str]],
    *,
    prior: bool = True,
) -> list[list[float]]:
    """g of equation 2 for each definition; without `prior` the log-likelihood alone, which prefers short ones."""
    choices = [[f" {sense}" for sense in own] for own in senses]
    told = loglik(contexts, choices)
    if not prior:
        return [list(row) for row in told]
    return [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(told, loglik(empty, choices), strict=True)]


def frame(number: int, word: str, language: str, *, named: bool = True) -> str:
    """A wording of task 2 around a word."""
    return FRAMES[number % len(FRAMES)][not named].format(word=word, language=language)


# --- what is made of the scores ---------------------------------------------------------------------------------------


def parse(text: str, answers: Sequence[str]) -> str | None:
    """The answer that a written reply names first, as a whole word; None where it names none."""
    found = re.search(rf"(?<!\w)(?:{'|'.join(map(re.escape, answers))})(?!\w)", text)
    return found[0] if found else None


def d_prime(same: Sequence[float], other: Sequence[float]) -> float:
    """Equation 4: how far apart two groups of scores lie, in their standard deviation; 0 where form alone decides."""
    spread = ((pstdev(same) ** 2 + pstdev(other) ** 2) / 2) ** 0.5
    return (fmean(same) - fmean(other)) / spread if spread else 0.0


def form_slope(scores: Mapping[str, Sequence[tuple[float, float]]]) -> float:
    """Nats of log-odds for True from unlike to identical forms, least squares within kinds.

    Args:
        scores: For each kind, pairs of similarity and score.
    """
    above = below = 0.0
    for pairs in scores.values():
        x, y = (fmean(pair[side] for pair in pairs) for side in (0, 1))
        above += sum((a - x) * (b - y) for a, b in pairs)
        below += sum((a - x) ** 2 for a, _ in pairs)
    return above / below if below else 0.0
