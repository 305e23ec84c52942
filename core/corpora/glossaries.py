"""Words and phrases of a language with their glosses in another: read, learnt from parallel text, found in a text.

lexicon = Lexicon({"vitabu": "books", "mji mkuu": "capital"})
look_up("Mji mkuu, vitabu!", lexicon)      # [Match(0, 8, 2, "capital"), Match(10, 16, 1, "books")]
learn([("habari ya asubuhi", "good morning"), ...])      # IBM Model 1
read_lexicon("sw.tsv")                     # a word, a tab, a gloss a line; or {"word": "gloss"} in .json
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import regex

from core.corpora.filtering import ibm_model_1
from core.corpora.lexicons import read_dictionary
from core.errors import UserError
from core.files import load_json
from core.text import segment
from core.text.languages import word_list
from core.text.normalize import fold, strip_arabic_marks

FUNCTION_WORD = 6.4
"""Words as frequent (Zipf scale) are no glosses: what has no counterpart is aligned to them."""
_EDGES = regex.compile(r"^[\p{P}\p{S}]+|[\p{P}\p{S}]+$")
# Most characters of an entry that is looked for in a script without spaces.
_CHARACTERS = 20


class Lexicon(dict[str, str]):
    """Glosses by word or phrase.

    A phrase is found as it stands, else without regard to case, vowel marks and invisible characters, so that a Persian
    name is found with or without its joiner. Of two entries that differ in these alone the first one counts.
    """

    def __init__(self, entries: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        super().__init__({_composed(word): gloss.strip() for word, gloss in dict(entries).items()})
        self._folded = {_key(word): gloss for word, gloss in reversed(self.items())}

    def find(self, phrase: str) -> str | None:
        """The gloss, or None."""
        return self.get(_composed(phrase)) or self._folded.get(_key(phrase))


def _composed(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _key(text: str) -> str:
    return fold(strip_arabic_marks(text))


# --- found in a text --------------------------------------------------------------------------------------------------


class Match(NamedTuple):
    """A span of a text, in characters, with its gloss; None for a word that the lexicon lacks."""

    start: int
    end: int
    words: int
    gloss: str | None


def look_up(
    text: str,
    lexicon: Lexicon,
    *,
    max_ngram: int = 3,
    tokenize: Callable[[str], Sequence[str]] | None = None,
    lemmatize: Callable[[str], str] | None = None,
) -> list[Match]:
    """The words of a text in order; phrases that have an entry are joined, the longest first.

    Words lie between white space, without the punctuation around them; no phrase crosses punctuation. In scripts that
    put no spaces between words the longest entry is taken from the left, and what lies between two entries counts as
    one word. Numbers in digits have no gloss.

    Args:
        text: Any text.
        lexicon: The entries.
        max_ngram: Most words of a phrase.
        tokenize: Cuts a text into words instead.
        lemmatize: Dictionary form of a word, asked for where the word itself has no entry.
    """
    units = _located(text, tokenize(text)) if tokenize else list(_units(text))
    found: list[Match] = []
    place = 0
    while place < len(units):
        start, whole = units[place][0], units[place][2]
        size, gloss = 1, None
        for size in range(min(len(units) - place, _CHARACTERS if whole else max_ngram), 0, -1):
            parts = units[place : place + size]
            phrase = text[start : parts[-1][1]]
            joined = all(not text[one[1] : other[0]].strip() for one, other in itertools.pairwise(parts))
            if joined and not phrase.isdecimal():
                gloss = lexicon.find(phrase) or (lemmatize and size == 1 and lexicon.find(lemmatize(phrase))) or None
            if gloss:
                break
        end = units[place + size - 1][1]
        if whole and not gloss and found and not found[-1].gloss and found[-1].end == start:
            found[-1] = found[-1]._replace(end=end)
        else:
            found.append(Match(start, end, 1 if whole else size, gloss))
        place += size
    return found


def _units(text: str) -> Iterator[tuple[int, int, bool]]:
    """Start and end of each word, or of each character of a script without spaces, and whether it is of the latter."""
    for token in re.finditer(r"\S+", text):
        if segment.unspaced(token[0]):
            for start, end, _ in _located(token[0], segment.words(token[0])):
                yield token.start() + start, token.start() + end, True
        elif core := _EDGES.sub("", token[0]):
            start = text.index(core, token.start())
            yield start, start + len(core), False


def _located(text: str, words: Iterable[str]) -> list[tuple[int, int, bool]]:
    spans, at = [], 0
    for word in words:
        start = text.find(word, at)
        if start >= 0 and _EDGES.sub("", word).strip():
            at = start + len(word)
            spans.append((start, at, False))
    return spans


# --- where it comes from ----------------------------------------------------------------------------------------------


def learn(
    pairs: Iterable[tuple[str, str]],
    pivot: str = "en",
    *,
    rounds: int = 5,
    least: float = 0.2,
    seen: int = 2,
    tokenize: Callable[[str], Sequence[str]] | None = None,
) -> Lexicon:
    """The likeliest translation of each word, g = argmax t(g | s) of IBM Model 1 (Brown et al. 1993), if it is sure.

    Args:
        pairs: Sentences with their translations into the pivot.
        pivot: Language of the glosses; its function words are none.
        rounds: Of expectation maximisation, from equal probabilities, with an empty word beside those of the sentence.
        least: Probability that a gloss needs.
        seen: How often its word has to occur.
        tokenize: Cuts the sentences into words; without it, scripts that put no spaces between them get no entry.

    Raises:
        UserError: There is no pair.
    """
    cut = tokenize or (lambda text: [word for word in segment.words(text) if not segment.unspaced(word)])
    texts = [(cut(source.casefold()), segment.words(target.casefold())) for source, target in pairs]
    if not texts:
        raise UserError("There are no parallel sentences to learn a dictionary from: give some.")
    table = ibm_model_1([["", *source] for source, _ in texts], [target for _, target in texts], rounds)
    count = Counter(word for source, _ in texts for word in source)
    best: dict[str, tuple[float, str]] = {}
    for (word, gloss), probability in sorted(table.items()):
        if probability > best.get(word, (0.0, ""))[0]:
            best[word] = (probability, gloss)
    return Lexicon({
        word: gloss
        for word, (probability, gloss) in best.items()
        if probability >= least and count[word] >= seen and not word.isdecimal() and not _is_function_word(gloss, pivot)
    })  # fmt: skip


@cache
def _is_function_word(word: str, language: str) -> bool:
    from wordfreq import zipf_frequency

    known = word_list(language)
    return bool(known) and zipf_frequency(word, str(known)) >= FUNCTION_WORD


def agreement(one: Lexicon, other: Lexicon) -> float | None:
    """Share of the words of both whose glosses are the same, case aside; None where they have no word in common."""
    both = [(gloss, other.find(word)) for word, gloss in one.items()]
    same = [gloss.casefold() == found.casefold() for gloss, found in both if found]
    return sum(same) / len(same) if same else None


def read_lexicon(path: str | Path) -> Lexicon:
    """A lexicon from `.json`, an object of words and glosses, or from lines of a word, a tab and a gloss.

    Of several glosses of a word the first one counts.

    Raises:
        UserError: The file cannot be read or has another form.
    """
    if Path(path).suffix.lower() != ".json":
        return Lexicon(dict(reversed(read_dictionary(path))))
    content = load_json(path, dict)
    if not content:
        raise UserError(f"{path} has no entry: write an object of words and glosses.")
    if wrong := next(
        (word for word, gloss in content.items() if not isinstance(gloss, str) or not gloss.strip()), None
    ):
        raise UserError(f"{path}: {wrong!r} has no gloss: write an object of words and glosses, both texts.")
    return Lexicon(content)
