"""Dictionary Insertion Prompting: write the English counterpart of every word that a dictionary has into the question.

A question q in a language L, a dictionary D of L and a model M. Phrases are looked up from left to right, the longest
first, and cut q into spans s_1 ... s_m:

    g_i = D(s_i) if D has s_i, else none                                                                          (1)

The dictionary is put in, and nothing is taken out. Interleaving is DIP; the two others are what it is compared with,
with the same entries in their order, each once (Chain-of-Dictionary prompting puts them before):

    interleave    s_1 (g_1) s_2 (g_2) ... s_m                                                                     (2)
    prepend       {s_i means g_i}  q
    append        q  {s_i means g_i}

M is then asked to restate the question in English, to think step by step in English, and to end with the answer (3).
Nothing is trained. M is asked for a dictionary, question by question (4), or it is given, or learnt from parallel
sentences by IBM Model 1 (5, `core.corpora.glossaries.learn`).

    prompter = DictionaryPrompter(Lexicon({"vitabu": "books"}))
    prompter.apply("Vitabu ngapi?")         # Result("Vitabu (books) ngapi?", [("Vitabu", "books")], coverage=0.5)
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from core.corpora.glossaries import Lexicon, look_up
from core.text import segment

Placement = Literal["none", "interleave", "prepend", "append", "replace", "shuffle"]
Delimiter = Literal["paren", "means", "bracket"]
Block = Literal["lines", "line"]
FORMS: dict[str, str] = {"paren": "{} ({})", "means": "{} means {}", "bracket": "{} [{}]"}
# Between the entries of a block, and between the block and the question.
BLOCKS: dict[str, tuple[str, str]] = {"lines": ("\n", "\n\n"), "line": (", ", "\n")}
MARKER = "The answer is"
# Words of a gloss that a model gives; what is longer is a translation of the question, or its answer.
LONGEST_GLOSS = 3


# --- equations 1 and 2: the entries of a question, and where they go --------------------------------------------------


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
        rarest: Put in only so many entries, those whose glosses are rarest in English; 0 = all (SLoW).
        seed: Of `shuffle`.
        tokenize: Cuts a text into words, for scripts without spaces; see :func:`core.corpora.glossaries.look_up`.
        lemmatize: A word's dictionary form, asked where the word has no entry; see there.
        max_ngram: Most words of a phrase.
    """

    lexicon: Lexicon
    placement: Placement = "interleave"
    delimiter: Delimiter = "paren"
    block: Block = "lines"
    rarest: int = 0
    seed: int = 0
    tokenize: Callable[[str], Sequence[str]] | None = None
    lemmatize: Callable[[str], str] | None = None
    max_ngram: int = 3

    def apply(self, text: str) -> Result:
        """The text with the entries of its words; unchanged where there is none, or a gloss equals its word."""
        options: Any = {name: getattr(self, name) for name in ("tokenize", "lemmatize", "max_ngram")}
        matches = look_up(text, self.lexicon, **options)
        known = sum(match.words for match in matches if match.gloss)
        coverage = known / max(1, sum(match.words for match in matches))
        spans = [(match.start, match.end, match.gloss) for match in matches if match.gloss]
        spans = [span for span in spans if text[span[0] : span[1]].casefold() != span[2].casefold()]
        if self.rarest:
            spans = _rarest(spans, self.rarest)
        entries = [(text[start:end], gloss) for start, end, gloss in spans]
        if self.placement == "none" or not entries:
            return Result(text, [], coverage)
        if self.placement in ("prepend", "append"):
            entries = list(dict.fromkeys(entries))
            between, beside = BLOCKS[self.block]
            block = between.join(FORMS[self.delimiter].format(*entry) for entry in entries)
            return Result(
                beside.join((block, text) if self.placement == "prepend" else (text, block)), entries, coverage
            )
        if self.placement == "shuffle":
            entries = _displaced(entries, random.Random(f"{self.seed}/{text}"))
        return Result(self._interleaved(text, spans, entries), entries, coverage)

    def _interleaved(self, text: str, spans: Sequence[tuple[int, int, str]], entries: list[tuple[str, str]]) -> str:
        written, at = "", 0
        for (start, end, _), (word, gloss) in zip(spans, entries, strict=True):
            written += text[at:start]
            close = segment.unspaced(word)  # its neighbours stand close to it
            if self.placement == "replace":
                written += " " * (close and written[-1:].isalpha()) + gloss
            else:
                written += FORMS[self.delimiter].format(word, gloss)
            written += " " * (close and text[end : end + 1].isalpha())
            at = end
        return written + text[at:]


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


# --- equation 3: what the model is asked, and what it answers (the wordings are ours) ---------------------------------


def request(text: str, options: Sequence[str] = (), pivot: str = "English", *, native: bool = False) -> str:
    """The prompt around what `apply` returns; `native` asks for steps in the question's language."""
    listed = "".join(f"\n{letter}) {option}" for letter, option in zip("ABCDEFGHIJ", options, strict=False))
    steps = f"First restate the question in {pivot}, then think step by step in {pivot}"
    if native:
        steps = "Think step by step in the language of the question"
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


# --- equation 4: a dictionary from a model ----------------------------------------------------------------------------


def dictionary_request(text: str, language: str, pivot: str = "English") -> str:
    """What a model is asked for the dictionary of one question."""
    return (
        f"List every word of this {language} text with its {pivot} translation in context, one a line, as: word -> "
        f"translation. At most {LONGEST_GLOSS} {pivot} words each. Do not answer or translate the text.\n\n{text}"
    )


def parse_dictionary(answer: str, text: str) -> Lexicon:
    """The entries of a model's list: a line counts if its word stands in the text and its gloss is short."""
    found: dict[str, str] = {}
    for line in answer.splitlines():
        bare = re.sub(r"^[-*•\d.)\s]+", "", line)
        word, _, gloss = re.sub(r"\s*(?:->|→|=>?|\t|\s[–—-]\s|:|\bmeans\b)\s*", "\t", bare, count=1).partition("\t")
        word, gloss = word.strip(" \"'`"), gloss.strip(" .,;\"'`")
        known = bool(word) and any(match.gloss for match in look_up(text, Lexicon({word: "x"})))
        if known and gloss and len(gloss.split()) <= LONGEST_GLOSS:
            found.setdefault(word, gloss)
    return Lexicon(found)
