"""Do language models link the form of a word to its meaning, or to that of a word in another language that looks alike?

Bilinguals read cognates (same form, same meaning) faster and false friends (same form, other meaning) slower. Three of
their tasks are put to a model, for pairs of an English word and one of another language, of the kinds

    kind          form     meaning
    cognate       alike    same        lamp / Lampe
    false         alike    other       gift / Gift (poison)
    translation   apart    same        gift / Geschenk
    unrelated     apart    other       gift / Haken           (ours: the cell that the paper lacks)

Task 1, do the two mean the same? An encoder of sentences f is asked for the cosine of both words, each in a frame, a
decoder for log-odds of True. With b the mean over pairs of which half are true,

    s = cos(f(v), f(w)) - b    or    s = log p("True" | v, w) - log p("False" | v, w) - b,    true where s > 0.     (1)

Task 2, which of two definitions is the word's? With f(w) a frame around the word, f() the same without one, and "fits"
a cosine or the log-likelihood behind the frame,

    g(d) = fits(d, f(w)) - fits(d, f()),    the definition with the larger g.                                      (2)

Of a false friend the wrong definition e is the other word's; of the others it is the most similar one of the language
that is not too similar,

    argmax over e of cos(d, e)   among those below 0.6.                                                            (3)

Task 3, what does a word mean in a sentence of its own language, or of the other one? An encoder is asked for the cosine
of the sentence and each of the two senses, and for no more: fits(d, sentence), without a prior.

How much a model follows form is the slope of s on the similarity of the forms, within kinds, and how well it tells
cognates from false friends, whose forms are as similar,

    d' = (mean of s over cognates - mean over false friends) / their standard deviation.                           (4)
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from random import Random
from statistics import fmean, pstdev
from typing import Literal, NamedTuple

from core.errors import UserError
from core.text.distance import edit_distance

Kind = Literal["cognate", "false", "translation", "unrelated"]
Fits = Callable[[Sequence[str], Sequence[Sequence[str]]], Sequence[Sequence[float]]]
"""From contexts and the choices for each to how well these fit: log-likelihoods of a decoder in nats, or cosines."""
SAME_MEANING: dict[str, bool] = {"cognate": True, "false": False, "translation": True, "unrelated": False}
LABELS = ("True", "False")


class Item(NamedTuple):
    """A pair of words: `<language>/<name>` (a false friend and the translation of one English word share it), its kind,
    the other language, the English word and what it means, the other word and what that means (in English too), and the
    wrong definitions of both, which are empty until :func:`with_negatives`."""

    key: str
    kind: Kind
    language: str
    english: str
    english_gloss: str
    word: str
    gloss: str
    english_negative: str = ""
    negative: str = ""

    @property
    def identical(self) -> bool:
        """Whether both words are spelled alike, capitals aside (gift / Gift, not sensible / sensibel)."""
        return similarity(self.english, self.word) == 1


def similarity(a: str, b: str) -> float:
    """Likeness of two forms in [0, 1]: 1 - edit distance / length of the longer, without case."""
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
    """Wrong definitions for all items of a language (equation 3); of a false friend, those of its partner. `encode`
    goes from texts to unit vectors, shape [texts, width]."""
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


def demonstrations(items: Sequence[Item], k: int, seed: int) -> list[Item]:
    """`k` labelled cognates and as many false friends, shuffled: alike in form, no translation is ever shown.

    Raises:
        UserError: There are fewer than k of a kind.
    """
    draw, found = Random(f"demonstrations-{seed}"), list[Item]()
    for kind in ("false", "cognate"):
        pool = [item for item in items if item.kind == kind]
        if len(pool) < k:
            raise UserError(f"{k} demonstrations of the kind {kind!r} are asked for, and there are {len(pool)}.")
        found += draw.sample(pool, k)
    return draw.sample(found, len(found))


def pair_prompt(item: Item, language: str, shown: Sequence[Item] = ()) -> str:
    """What a decoder is asked in task 1, in our words of the official prompt: labelled pairs, then the pair."""
    asked = f"Label a pair of words, one English and one {language}, True if they have the same meaning, else False."
    lines = [f"{_pair(one)} {SAME_MEANING[one.kind]}" for one in shown]
    return "\n".join([asked, *lines, _pair(item)])


def _pair(item: Item) -> str:
    return f'"{item.english}" and "{item.word}" ->'


def truth(fits: Fits, prompts: Sequence[str]) -> list[float]:
    """Log-odds of True against False behind each prompt of a decoder; s of equation 1 but for the mean b."""
    return [true - false for true, false in fits(prompts, [[f" {label}" for label in LABELS]] * len(prompts))]


def alike(fits: Fits, english: Sequence[str], words: Sequence[str]) -> list[float]:
    """Cosine of both words of each pair to an encoder; s of equation 1 but for the mean b."""
    return [fit for (fit,) in fits(english, [[word] for word in words])]


# --- tasks 2 and 3 ----------------------------------------------------------------------------------------------------

FRAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "cosine": (
        ("{language}: {word}", "{word}"), ("In {language}, {word}", "{word}"), ("{word} ({language})", "{word}"),
    ),
    "likelihood": (
        ("In {language}, the word “{word}” means:", "The word “{word}” means:"),
        ("“{word}” is a word of {language}. Its meaning:", "“{word}” is a word. Its meaning:"),
        ("{language} dictionary. {word}:", "Dictionary. {word}:"),
    ),
}  # fmt: skip
"""Wordings for encoders and decoders, with the name of the language and without; ours. A seed takes the next one."""


def gains(
    fits: Fits, contexts: Sequence[str], empty: Sequence[str], senses: Sequence[Sequence[str]], *, prior: bool = True
) -> list[list[float]]:
    """g of equation 2 for each definition; without `prior` how it fits alone, which prefers some whatever the word."""
    choices = [[f" {sense}" for sense in own] for own in senses]
    told = fits(contexts, choices)
    if not prior:
        return [list(row) for row in told]
    return [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(told, fits(empty, choices), strict=True)]


def frame(number: int, word: str, language: str, *, answer: str = "cosine", named: bool = True) -> str:
    """A wording around a word."""
    return FRAMES[answer][number % len(FRAMES[answer])][not named].format(word=word, language=language)


# --- what is made of the scores ---------------------------------------------------------------------------------------


def d_prime(same: Sequence[float], other: Sequence[float]) -> float:
    """Equation 4: how far apart two groups of scores lie, in their standard deviation; 0 where form alone decides."""
    spread = ((pstdev(same) ** 2 + pstdev(other) ** 2) / 2) ** 0.5
    return (fmean(same) - fmean(other)) / spread if spread else 0.0


def form_slope(scores: Mapping[str, Sequence[tuple[float, float]]]) -> float:
    """What s of equation 1 gains from unlike to identical forms: least squares within kinds, of each of which there are
    pairs of similarity and score."""
    above = below = 0.0
    for pairs in filter(None, scores.values()):
        x, y = (fmean(pair[side] for pair in pairs) for side in (0, 1))
        above += sum((a - x) * (b - y) for a, b in pairs)
        below += sum((a - x) ** 2 for a, _ in pairs)
    return above / below if below else 0.0
