"""The miniature world: numbers below a thousand, spelled out in the pivots and the other languages.

    drei hundert sechs und vierzig <next> = 3 4 7         a skill, asked in words, answered in digits
    three hundred forty six <de> = drei hundert sechs und vierzig

Three skills: the number in digits, the next number, its digits in reverse. The answer is language-neutral, like the
letters of Belebele or ARC, and the question does not name its language. What is wanted stands after the text, so that
the text is read before anybody knows what for. The held-out numbers are held out from everything: tasks, translations,
monolingual text and base knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, Any

from core import corpora
from core.models.tokenization import word_level
from core.text.segment import is_unspaced
from papers.bayling2.config import Config
from papers.bayling2.method import Bitext, Row, instruction
from papers.bayling2.transfer import Item

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SKILLS = ("digits", "next", "reversed")
TRANSLATION = ("x_to_en", "en_to_x")
LIMIT = 1000
LIST = "<list>"
# A translation is asked for by the sign of its target, as a skill is by its own; white space separates tokens.
WORDINGS = {"en": ("{text} {target}",), "zh": ("{text} {target}",)}
# German writes numbers as one word; these are its pieces, the long ones first.
_GERMAN = re.compile(
    "siebzehn|sechzehn|sechzig|siebzig|dreißig|zwanzig|vierzig|fünfzig|achtzig|neunzig|hundert|tausend|sieben|sechs|"
    "zwölf|zehn|eins|ein|zwei|drei|vier|fünf|acht|neun|null|elf|und"
)

Words = Mapping[int, str]


def split_words(text: str, code: str) -> str:
    """Number words as tokens between spaces: characters in unspaced scripts, morphemes in German."""
    if is_unspaced(code):
        return " ".join(text.replace(" ", ""))
    if code == "de":
        return " ".join(_GERMAN.findall(text))
    return " ".join(text.replace("-", " ").split())


@lru_cache(maxsize=4)
def spelled(codes: tuple[str, ...]) -> dict[str, dict[int, str]]:
    """`{language: {number: words}}` of 0 to 1000, words separated by spaces."""
    table = corpora.load("numbers", languages=[code for code in codes if code != "en"], values=range(LIMIT + 1))
    columns = {code: table[code] for code in codes}
    return {
        code: {number: split_words(text, code) for number, text in zip(table["value"], column, strict=True)}
        for code, column in columns.items()
    }


def all_languages(config: Config) -> tuple[str, ...]:
    """Pivots, tied and untied languages; Chinese also where it is no pivot, so that arms share one vocabulary."""
    return tuple(dict.fromkeys(("en", "zh", *config.pivots, *config.languages, *config.untied)))


def split_numbers(size: int) -> dict[str, list[int]]:
    """Test and development numbers by a hash, the same for every seed; the rest is to train on."""
    ordered = sorted(range(LIMIT), key=lambda number: blake2b(str(number).encode(), digest_size=8).digest())
    return {"test": ordered[:size], "dev": ordered[size : 2 * size], "train": sorted(ordered[2 * size :])}


def solve(skill: str, number: int, words: Words, answer: str) -> str:
    """The right answer: digits between spaces, or words (where the skill is not to write digits)."""
    result = {"digits": str(number), "next": str(number + 1), "reversed": str(number)[::-1]}[skill]
    return words[int(result)] if answer == "words" and skill != "digits" else " ".join(result)


def question(skill: str, number: int, code: str, words: Words, *, source_tag: bool = False) -> str:
    """A skill's instruction: the number in words, then a sign for the skill."""
    return f"{f'<{code}> ' if source_tag else ''}{words[number]} <{skill}>"


def tag(code: str, request_language: str) -> str:
    """How requests name a language."""
    return f"<{code}>"


def task_rows(
    config: Config, code: str, numbers: Sequence[int], block: str, skills: Sequence[str] = SKILLS
) -> list[Row]:
    """Task instructions in one language."""
    words = spelled(all_languages(config))[code]
    return [
        instruction(
            question(skill, number, code, words, source_tag=config.source_tag),
            solve(skill, number, words, config.answer),
            block=block, source=code, key=f"{skill}/{number}",
        )
        for skill in skills
        for number in numbers
    ]  # fmt: skip


def bitexts(config: Config, numbers: Sequence[int]) -> list[Bitext]:
    """Number words in parallel along every spoke, and between the pivots."""
    table = spelled(all_languages(config))

    def pair(language: str, pivot: str) -> Bitext:
        rows = [{"key": str(n), language: table[language][n], pivot: table[pivot][n]} for n in numbers]
        return Bitext(language, pivot, rows)

    axes = [pair(second, first) for i, first in enumerate(config.pivots) for second in config.pivots[i + 1 :]]
    return [*axes, *(pair(code, pivot) for code in config.languages for pivot in config.pivots)]


def monolingual_rows(config: Config, numbers: Sequence[int]) -> list[Row]:
    """The control for the translation tasks: lists of two numbers in one language, as many as there are pairs."""
    table, rows = spelled(all_languages(config)), []
    for code in config.languages:
        random = Random(f"monolingual/{config.seed}/{code}")
        for number in range(2 * len(config.pivots) * len(numbers)):
            text = " , ".join(table[code][n] for n in random.sample(list(numbers), 2))
            rows.append(instruction(LIST, text, block="monolingual", source=code, key=f"{code}/{number}"))
    return rows


def extra_blocks(config: Config, numbers: Sequence[int]) -> dict[str, list[Row]]:
    """Base knowledge, the control in the place of the translation tasks, and the oracle's tasks."""
    blocks: dict[str, list[Row]] = {"knowledge": [], "oracle": []}
    for code in (*config.languages, *config.untied):
        known = Random(f"knowledge/{config.seed}/{code}").sample(list(numbers), config.knowledge_per_language)
        blocks["knowledge"] += task_rows(config, code, known, "knowledge", ("digits",))
    if config.oracle:
        for code in config.languages:
            blocks["oracle"] += task_rows(config, code, numbers, "oracle")
    if config.monolingual:
        blocks["monolingual"] = monolingual_rows(config, numbers)
    return blocks


def word_tokenizer(config: Config) -> PreTrainedTokenizerFast:
    """One token a word of any language; digits, signs of the skills, names of the languages."""
    table = spelled(all_languages(config))
    words = ["=", ",", *"0123456789", LIST, *(f"<{name}>" for name in (*SKILLS, *table))]
    for column in table.values():
        words += " ".join(column.values()).split()
    return word_level(words)


def number_tasks(config: Config) -> dict[str, dict[str, list[Item]]]:
    """Every skill in every language, and translation from and into English, on the held-out numbers."""
    table, numbers = spelled(all_languages(config)), split_numbers(config.items)[config.split]
    found: dict[str, dict[str, list[Item]]] = {}
    for skill in SKILLS:
        neutral = config.answer == "digits" or skill == "digits"
        found[skill] = {
            code: [
                Item(
                    str(n),
                    question(skill, n, code, table[code], source_tag=config.source_tag),
                    solve(skill, n, table[code], config.answer),
                    answer_language="digits" if neutral else code,
                )
                for n in numbers
            ]
            for code in (*config.pivots, *config.languages, *config.untied)
        }
    for task in TRANSLATION:
        found[task] = {}
        for code in config.languages:
            source, target = (code, "en") if task == "x_to_en" else ("en", code)
            request = WORDINGS["en" if "en" in config.pivots else "zh"][0]
            found[task][code] = [
                Item(
                    str(n),
                    request.format(target=tag(target, "en"), text=table[source][n]),
                    table[target][n],
                    answer_language=target,
                )
                for n in numbers
            ]
    return found


def identifier(config: Config) -> Any:
    """(answer, expected language) -> the language whose words the answer is made of; `digits` counts as one."""
    table = spelled(all_languages(config))
    known = {code: set(" ".join(column.values()).split()) for code, column in table.items()}
    known["digits"] = set("0123456789")

    def identify(answer: str, expected: str) -> str | None:
        words = set(answer.split())
        fitting = [code for code, vocabulary in known.items() if words <= vocabulary]
        # Words that several languages share say nothing against the expected one.
        return expected if expected in fitting else (fitting[0] if fitting else "mixed")

    return identify
