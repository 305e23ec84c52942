"""Dictionary Insertion Prompting: write the English counterpart of every word that a dictionary has into the question.

A question q = w_1 ... w_n in a language L, a dictionary D of L and a model M. Phrases are looked up from left to right,
the longest first, and cut q into spans s_1 ... s_m:

    g_i = D(s_i) if D has s_i, else none                                                                          (1)

The dictionary is put in, and nothing is taken out. Interleaving is DIP; the two others are what it is compared with,
with the same entries in their order, each once (Chain-of-Dictionary prompting puts them before):

    interleave    s_1 (g_1) s_2 (g_2) ... s_m                                                                     (2)
    prepend       {s_i means g_i}  q
    append        q  {s_i means g_i}

and M is asked to restate the question in English, to think step by step in English, and to end with the answer (3).
Nothing is trained. A dictionary that is not given comes from parallel sentences, by the word alignment t(g | s) of IBM
Model 1 (4), or from a model that is asked for one (5): `dictionaries.py`.

    prompter = DictionaryPrompter(Lexicon({"vitabu": "books"}))
    prompter.apply("Vitabu ngapi?")         # Result("Vitabu (books) ngapi?", [("Vitabu", "books")], coverage=0.5)
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import regex

from core.text import segment
from core.text.normalize import fold, strip_arabic_marks

Placement = Literal["none", "interleave", "prepend", "append", "replace", "shuffle"]
Delimiter = Literal["paren", "means", "bracket"]
FORMS: dict[str, str] = {"paren": "{} ({})", "means": "{} means {}", "bracket": "{} [{}]"}
Block = Literal["lines", "line"]
BLOCKS: dict[str, tuple[str, str]] = {"lines": ("\n", "\n\n"), "line": (", ", "\n")}
"""What stands between the entries of a block, and between the block and the question."""
_EDGES = regex.compile(r"^[\p{P}\p{S}]+|[\p{P}\p{S}]+$")


# --- equation 1: the dictionary, and what of a text it has ------------------------------------------------------------


class Lexicon(dict[str, str]):
    """Words and phrases of a language with their glosses.

    A phrase is looked up as it stands, then without regard to case, marks and invisible characters; so a Persian name
    with or without its joiner is found. Of two entries that differ in these alone the first one counts.
    """

    def __init__(self, entries: Mapping[str, str] = {}) -> None:  # noqa: B006
        super().__init__({_composed(word): gloss.strip() for word, gloss in entries.items()})
        self._folded = {_key(word): gloss for word, gloss in reversed(self.items())}

    def find(self, phrase: str) -> str | None:
        """The gloss, or None."""
        return self.get(_composed(phrase)) or self._folded.get(_key(phrase))


def _composed(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _key(text: str) -> str:
    return fold(strip_arabic_marks(text))


class Match(NamedTuple):
    """A span of a text, in characters, with its gloss; None for a word that the dictionary lacks."""

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
    """Equation 1: the words of a text in order, phrases that have an entry joined, the longest first.

    Words lie between white space, without the punctuation around them; no phrase crosses punctuation. In scripts that
    put no spaces between words any run of characters may be one, and the longest entry is taken; what lies between two
    entries counts as one word. Numbers in digits have no gloss.

    Args:
        text: A question.
        lexicon: The dictionary.
        max_ngram: Most words of a phrase.
        tokenize: Cuts a text into words instead, for scripts without spaces.
        lemmatize: A word's dictionary form, asked where the word itself has no entry (such as simplemma's).
    """
    units = _located(text, tokenize(text)) if tokenize else list(_units(text))
    found: list[Match] = []
    place = 0
    while place < len(units):
        start = units[place][0]
        size, gloss = 1, None
        for size in range(min(len(units) - place, 20 if units[place][2] else max_ngram), 0, -1):
            last = units[place : place + size]
            joined = all(not text[a[1] : b[0]].strip() for a, b in zip(last, last[1:], strict=False))
            phrase = text[start : last[-1][1]]
            if joined and not phrase.isdecimal():
                gloss = lexicon.find(phrase) or (lemmatize and size == 1 and lexicon.find(lemmatize(phrase))) or None
            if gloss:
                break
        end, whole = units[place + size - 1][1], units[place][2]
        before = found[-1] if found else None
        if whole and not gloss and before and not before.gloss and before.end == start:
            found[-1] = before._replace(end=end)
        else:
            found.append(Match(start, end, 1 if whole else size, gloss))
        place += size
    return found


def _units(text: str) -> Iterator[tuple[int, int, bool]]:
    """Start and end of each word, or of each character of a script without spaces, and whether it is of the latter."""
    for token in re.finditer(r"\S+", text):
        if segment.unspaced(token[0]):
            offset = token.start()
            yield from ((offset + a, offset + b, True) for a, b, _ in _located(token[0], segment.words(token[0])))
        elif core := _EDGES.sub(" ", token[0]).strip():
            start = text.index(core, token.start())
            yield start, start + len(core), False


def _located(text: str, words: Sequence[str]) -> list[tuple[int, int, bool]]:
    spans, at = [], 0
    for word in filter(str.strip, words):
        start = text.index(word, at)
        at = start + len(word)
        spans.append((start, at, False))
    return [span for span in spans if _EDGES.sub("", text[span[0] : span[1]])]


# --- equation 2: where the entries go ---------------------------------------------------------------------------------


class Result(NamedTuple):
    """A prompt, what was put into it in order, and the share of the words that the dictionary has."""

    text: str
    inserted: list[tuple[str, str]]
    coverage: float


@dataclass(frozen=True)
class DictionaryPrompter:
    """Equations 1 and 2 for one dictionary.

    Attributes:
        lexicon: The dictionary.
        placement: `interleave` is DIP. `none` leaves the text as it is, `replace` takes the words out, `shuffle`
            interleaves with the glosses at each other's places: the same tokens.
        delimiter: How a word and its gloss stand together.
        block: Entries that stand together have a line each and an empty one after them (Chain-of-Dictionary's code), or
            share a line.
        max_ngram: Most words of a phrase.
        rarest: Put in only the entries of so many words, those whose gloss is rarest in English; 0 = all (SLoW).
        seed: Of `shuffle`.
        tokenize: See :func:`look_up`.
        lemmatize: See :func:`look_up`.
    """

    lexicon: Lexicon
    placement: Placement = "interleave"
    delimiter: Delimiter = "paren"
    block: Block = "lines"
    max_ngram: int = 3
    rarest: int = 0
    seed: int = 0
    tokenize: Callable[[str], Sequence[str]] | None = None
    lemmatize: Callable[[str], str] | None = None

    def apply(self, text: str) -> Result:
        """The text with the entries of its words; unchanged where there is none."""
        options: dict[str, Any] = {"max_ngram": self.max_ngram, "tokenize": self.tokenize, "lemmatize": self.lemmatize}
        matches = look_up(text, self.lexicon, **options)
        known = sum(match.words for match in matches if match.gloss)
        coverage = known / max(1, sum(match.words for match in matches))
        spans = [(m.start, m.end, m.gloss) for m in matches if m.gloss and not _same(text[m.start : m.end], m.gloss)]
        if self.rarest:
            spans = _rarest(spans, self.rarest)
        entries = [(text[start:end], gloss) for start, end, gloss in spans]
        if self.placement == "none" or not entries:
            return Result(text, [], coverage)
        if self.placement in ("prepend", "append"):
            entries = list(dict.fromkeys(entries))
            between, after = BLOCKS[self.block]
            block = between.join(FORMS[self.delimiter].format(*entry) for entry in entries)
            parts = (block, text) if self.placement == "prepend" else (text, block)
            return Result(after.join(parts), entries, coverage)
        if self.placement == "shuffle":
            entries = _displaced(entries, random.Random(f"{self.seed}/{text}"))
        pieces, at = [], 0
        for (start, end, _), (word, gloss) in zip(spans, entries, strict=True):
            whole = segment.unspaced(word)
            if self.placement == "replace":
                new = f" {gloss} " if whole else gloss
            else:
                new = FORMS[self.delimiter].format(word, gloss) + " " * (whole and text[end : end + 1].isalpha())
            pieces += [text[at:start], new]
            at = end
        pieces.append(text[at:])
        return Result(re.sub(" +", " ", "".join(pieces)).strip(), entries, coverage)


def _same(word: str, gloss: str) -> bool:
    return word.casefold() == gloss.casefold()


def _rarest(spans: list[tuple[int, int, str]], most: int) -> list[tuple[int, int, str]]:
    from wordfreq import zipf_frequency

    chosen = sorted(range(len(spans)), key=lambda place: zipf_frequency(spans[place][2], "en"))[:most]
    return [span for place, span in enumerate(spans) if place in chosen]


def _displaced(entries: list[tuple[str, str]], rng: random.Random) -> list[tuple[str, str]]:
    """Every word with the gloss of another place: one cycle through all of them (Sattolo)."""
    glosses = [gloss for _, gloss in entries]
    for place in range(len(glosses) - 1, 0, -1):
        other = rng.randrange(place)
        glosses[place], glosses[other] = glosses[other], glosses[place]
    return [(word, gloss) for (word, _), gloss in zip(entries, glosses, strict=True)]


# --- equation 3: what the model is asked ------------------------------------------------------------------------------

MARKER = "The answer is"


def request(text: str, options: Sequence[str] = (), pivot: str = "English", *, native: bool = False) -> str:
    """The prompt around a question that `apply` has been through: restate, think, answer behind a marker.

    The paper's wording could not be read; this one is ours. `native` asks for steps in the question's language.
    """
    listed = "".join(f"\n{letter}) {option}" for letter, option in zip("ABCDEFGHIJ", options, strict=False))
    steps = (
        "Think step by step in the language of the question"
        if native
        else f"First restate the question in {pivot}, then think step by step in {pivot}"
    )
    kind = "the letter of the right option" if options else "the final answer alone"
    return f"{text}{listed}\n\n{steps}. End with: {MARKER} {kind}."


def extract(written: str, options: Sequence[str] = ()) -> str | None:
    """The answer behind the last marker: the option of the letter, or the last number, without separators; or None."""
    said = written.rpartition(MARKER)[2] if MARKER in written else ""
    if options:
        letter = re.search(r"\b([A-J])\b", said)
        place = ord(letter[1]) - ord("A") if letter else len(options)
        return options[place] if place < len(options) else None
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?", said)
    return f"{float(numbers[-1].replace(',', '')):g}" if numbers else None
