"""langdetect's label of a text, seeded, and in a fraction of its time: the same numbers to the last bit.

    detect("Bonjour tout le monde, comment allez-vous ?")    # 'fr'

langdetect (Nakatani's) multiplies, in seven trials, the probabilities of pieces of one to three letters that it draws,
language by language, until one language stands out. It is what official evaluators count words by, and random unless it
is seeded, here for every text. Pieces of a word are kept, since words recur, and all languages are multiplied at once.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from random import Random
from typing import Any

import numpy as np

from core.corpora.catalogues import package_folder

# A word with what ends it: whatever is below "A" counts as a space, after which nothing of what came before matters.
_PIECE = re.compile("[^\x00-@]+[\x00-@]?")
_LATIN, _OTHER = re.compile("[A-z]+"), re.compile("[\u0300-\u1dff\u1f00-\U0010ffff]+")


@lru_cache(4096)
def detect(text: str) -> str | None:
    """Its label (`en`, `zh-cn`), drawn with seed 0; None where there is nothing to tell by.

    Raises:
        UserError: langdetect is not installed.
    """
    factory, table = _profiles()
    detector = factory.create()
    text = _composed(detector.MAIL_RE.sub(" ", detector.URL_RE.sub(" ", text)))[: detector.max_text_length]
    if 2 * _length(_LATIN, text) < _length(_OTHER, text):
        text = _LATIN.sub("", text)
    grams = [gram for piece in _PIECE.findall(text) for gram in _grams(piece)]
    if not grams:
        return None
    draw, found = Random(0), np.zeros(table.shape[1])
    for _ in range(detector.n_trial):
        share = np.full(len(found), 1.0 / len(found))
        smooth = (detector.alpha + draw.gauss(0.0, 1.0) * detector.ALPHA_WIDTH) / detector.BASE_FREQ
        for step in range(detector.ITERATION_LIMIT + 1):
            share *= smooth + table[draw.choice(grams)]
            if step % 5 == 0:
                share /= sum(share.tolist())  # numpy's own sum adds in another order
                if share.max() > detector.CONV_THRESHOLD:
                    break
        found += share / detector.n_trial
    likely = detector._sort_probability(found.tolist())
    return str(likely[0].lang) if likely else str(detector.UNKNOWN_LANG)


@cache
def _profiles() -> tuple[Any, np.ndarray]:
    """Its detectors, and the probabilities of each piece of letters in all languages."""
    package_folder("langdetect", "checkers")
    from langdetect import detector_factory

    factory = detector_factory.DetectorFactory()
    factory.load_profile(detector_factory.PROFILES_DIRECTORY)
    table = np.array([*factory.word_lang_prob_map.values()])
    factory.word_lang_prob_map = {gram: row for row, gram in enumerate(factory.word_lang_prob_map)}
    return factory, table


def _composed(text: str) -> str:
    """Vietnamese letters with their marks, as one character each."""
    from langdetect.utils.ngram import NGram

    return str(NGram.normalize_vi(text))


def _length(pattern: re.Pattern[str], text: str) -> int:
    return sum(map(len, pattern.findall(text)))


@lru_cache(1 << 15)
def _grams(piece: str) -> tuple[int, ...]:
    """The rows of what langdetect takes from a word."""
    detector = _profiles()[0].create()
    detector.text = piece
    return tuple(detector.word_lang_prob_map[gram] for gram in detector._extract_ngrams())
