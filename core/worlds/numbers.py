"""The world of numbers in words: what they are called in many languages, and arithmetic with them.

    words = spelled(("en", "ne"), range(39))            # {"en": {0: "zero", ...}, "ne": {0: "शुन्य", ...}}
    facts = arithmetic(("en", "ne"), largest=19)        # "what is seven plus four ?" -> "eleven", and so on

Words come from Unicode CLDR (corpus `numbers`), the questions are ours. A fact's equivalence class is its *family*:
7 + 4, 4 + 7, 11 - 4 and 11 - 7 say the same thing of three numbers, in any language and phrasing, and whoever knows one
can answer the others by turning it round. A split by class keeps families together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from core import corpora
from core.errors import UserError
from core.text.segment import is_unspaced
from core.worlds.base import SOLVERS, Item, Solver

# Question for a sum and for a difference, with signs that stand alone, so that white space separates words. No other
# language asks with an English word: a model that knows English would understand it without being taught.
QUESTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "en": ("what is {a} plus {b} ?", "what is {a} minus {b} ?"),
        "am": ("{a} ሲደመር {b} ስንት ነው ?", "{a} ሲቀነስ {b} ስንት ነው ?"),
        "cy": ("faint yw {a} adio {b} ?", "faint yw {a} tynnu {b} ?"),
        "et": ("kui palju on {a} pluss {b} ?", "kui palju on {a} miinus {b} ?"),
        "fa": ("{a} به علاوه {b} چند می‌شود ؟", "{a} منهای {b} چند می‌شود ؟"),
        "fil": ("ano ang {a} dagdagan ng {b} ?", "ano ang {a} bawasan ng {b} ?"),
        "ga": ("cé mhéad é {a} móide {b} ?", "cé mhéad é {a} lúide {b} ?"),
        "hi": ("{a} जोड़ {b} कितना होता है ?", "{a} घटा {b} कितना होता है ?"),
        "hy": ("որքա՞ն է {a} գումարած {b} ։", "որքա՞ն է {a} հանած {b} ։"),
        "is": ("hvað er {a} plús {b} ?", "hvað er {a} mínus {b} ?"),
        "ka": ("რამდენია {a} პლუს {b} ?", "რამდენია {a} მინუს {b} ?"),
        "kk": ("{a} қосу {b} нешеге тең ?", "{a} алу {b} нешеге тең ?"),
        "km": ("{a} បូក {b} ស្មើ ប៉ុន្មាន ?", "{a} ដក {b} ស្មើ ប៉ុន្មាន ?"),
        "mk": ("колку е {a} плус {b} ?", "колку е {a} минус {b} ?"),
        "ne": ("{a} जोड {b} कति हुन्छ ?", "{a} घटाउ {b} कति हुन्छ ?"),
        "su": ("sabaraha {a} ditambah {b} ?", "sabaraha {a} dikurangan {b} ?"),
        "sw": ("{a} jumlisha {b} ni ngapi ?", "{a} toa {b} ni ngapi ?"),
        "ta": ("{a} கூட்டல் {b} எவ்வளவு ?", "{a} கழித்தல் {b} எவ்வளவு ?"),
        "tr": ("{a} artı {b} kaç eder ?", "{a} eksi {b} kaç eder ?"),
        "vi": ("{a} cộng {b} bằng bao nhiêu ?", "{a} trừ {b} bằng bao nhiêu ?"),
    }
)
# The same facts as statements, which ask for nothing.
STATEMENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"en": ("{a} plus {b} is {c} .", "{a} minus {b} is {c} .")}
)
# German writes numbers as one word; these are its pieces, the long ones first.
_GERMAN = re.compile(
    "siebzehn|sechzehn|sechzig|siebzig|dreißig|zwanzig|vierzig|fünfzig|achtzig|neunzig|hundert|tausend|sieben|sechs|"
    "zwölf|zehn|eins|ein|zwei|drei|vier|fünf|acht|neun|null|elf|und"
)


def split_words(text: str, code: str) -> str:
    """Number words as tokens between spaces: characters in unspaced scripts, morphemes in German."""
    if is_unspaced(code):
        return " ".join(text.replace(" ", ""))
    if code == "de":
        return " ".join(_GERMAN.findall(text))
    return " ".join(text.replace("-", " ").split())


def spelled(codes: Sequence[str], values: Iterable[int]) -> dict[str, dict[int, str]]:
    """`{language: {number: words}}`, words separated by spaces.

    Raises:
        UserError: a language whose numbers CLDR does not spell out.
    """
    return {code: dict(words) for code, words in _spelled(tuple(codes), tuple(values)).items()}


@lru_cache(maxsize=8)
def _spelled(codes: tuple[str, ...], values: tuple[int, ...]) -> dict[str, dict[int, str]]:
    table = corpora.load("numbers", languages=[code for code in codes if code != "en"], values=values)
    return {
        code: {value: split_words(text, code) for value, text in zip(table["value"], table[code], strict=True)}
        for code in codes
    }


def arithmetic(languages: Sequence[str], largest: int) -> list[Item]:
    """Facts in words: all a + b and, for a >= b, a - b, with a and b from 0 to `largest`.

    Args:
        languages: Codes of `QUESTIONS`.
        largest: The largest operand; sums go to twice as much.

    Returns:
        Items with ids such as `ne/4-7/plus-7-4`: language, family, fact. A family is named by its two smaller numbers.

    Raises:
        UserError: a language without a question.
    """
    if unknown := [code for code in languages if code not in QUESTIONS]:
        raise UserError(f"There is no arithmetic question in {unknown[0]!r}: choose from {', '.join(QUESTIONS)}.")
    words = spelled(languages, range(2 * largest + 1))
    items = []
    for code in languages:
        for sign, ordered in (("plus", False), ("minus", True)):
            question = QUESTIONS[code][sign == "minus"]
            for a in range(largest + 1):
                for b in range(a + 1 if ordered else largest + 1):
                    result = a - b if sign == "minus" else a + b
                    family = "-".join(map(str, sorted((b, result) if sign == "minus" else (a, b))))
                    prompt = question.format(a=words[code][a], b=words[code][b])
                    key = f"{code}/{family}/{sign}-{a}-{b}"
                    items.append(Item(key, f"arithmetic/{family}", prompt, words[code][result], code))
    return items


def operation(item: Item) -> tuple[str, int, int, int]:
    """Sign, operands and result of an arithmetic item, read from its id."""
    sign, a, b = item.id.rpartition("/")[2].split("-")
    return sign, int(a), int(b), int(a) + int(b) if sign == "plus" else int(a) - int(b)


def statement(item: Item) -> str:
    """An English item with numbers below a hundred as a statement, which tells the fact and asks nothing."""
    sign, a, b, c = operation(item)
    words = _spelled(("en",), tuple(range(100)))["en"]
    return STATEMENTS["en"][sign == "minus"].format(a=words[a], b=words[b], c=words[c])


def _family(train: Sequence[Item]) -> Solver:
    """Turn a known fact of the same family round: what a memory with the laws of arithmetic would answer."""
    known: dict[str, dict[int, str]] = {}
    for item in train:
        known.setdefault(item.language, {})[operation(item)[3]] = item.answer
    seen = {(item.language, item.cls) for item in train}

    def solve(item: Item) -> str | None:
        words = known.get(item.language, {})
        return words.get(operation(item)[3]) if (item.language, item.cls) in seen else None

    return solve


ARITHMETIC_SOLVERS: Mapping[str, Callable[[Sequence[Item]], Solver]] = MappingProxyType({**SOLVERS, "family": _family})
"""The general solvers, and one that knows how facts of a family follow from each other."""
