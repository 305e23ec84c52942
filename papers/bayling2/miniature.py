"""The tiny world: numbers below a thousand, spelled out in the pivots and in languages that the seed draws.

    drei hundert sechs und vierzig <next> = 3 4 7         a skill, asked in words, answered in digits
    three hundred forty six <de> = drei hundert sechs und vierzig

Three skills: the next number, its digits in reverse, and the number in digits. The answer is language-neutral, like the
letters of Belebele or ARC, and the question does not name its language. What is wanted stands after the text, so that
the text is read before anybody knows what for. A held-out number in words is in no training text: no task, translation,
monolingual text or base knowledge. Palindromes are not asked for: their digits in reverse are their digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING

from core.errors import UserError
from core.files import read_lines
from core.models.tokenization import word_level
from core.tasks.transfer import Item, told_by_words
from core.worlds import base, numbers
from papers.bayling2.config import Config
from papers.bayling2.data import spokes
from papers.bayling2.method import XLING, Bitext, Row, cross_lingual_block, instruction

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SKILLS = ("next", "reversed", "digits")
TRANSLATION = ("x_to_en", "en_to_x")
LIMIT = 1000
# Languages that seeds draw from: those that CLDR spells in at most fifty different words with spaces between them (or,
# in German, pieces), one of each group of near relatives.
_POOL = (
    "af am ar ccp chr cs cy de ee el eo es et fa ff fil fr ga he id is kk kl lt lv mk mt pl qu ro ru sq sw ta tr vi zu"
)
POOL = tuple(_POOL.split())
# How many a seed draws of either kind, and how many seeds are drawn together.
TIED, UNTIED, DISJOINT = 3, 1, 9
# Numbers that the recordings before this world have asked for; the development numbers are drawn from them.
SEEN = 240
# Share of the numbers of every language that are shown in digits.
KNOWN_SHARE = 0.06
LIST = "<list>"
# A translation is asked for by the sign of its target, as a skill is by its own; white space separates tokens.
WORDINGS = dict.fromkeys(("en", "zh"), ("{text} {target}",))
CHAT_TEMPLATE = "\n".join(read_lines(Path(__file__).with_name("numbers.jinja")))


def cast(config: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tied and untied languages: those that are named, else, of numbers, drawn. Seeds 9n to 9n + 8 share none."""
    if config.languages or config.model is not None:
        return config.languages, config.untied
    drawn = base.dealt(POOL, TIED + UNTIED, config.seed, DISJOINT)
    return drawn[:TIED], drawn[TIED:]


def words(config: Config) -> dict[str, dict[int, str]]:
    """`{language: {number: its words}}` of 0 to 1000 in all languages of the configuration."""
    tied, untied = cast(config)
    return numbers.spelled((*config.pivots, *tied, *untied), range(LIMIT + 1))


def split_numbers(config: Config) -> dict[str, list[int]]:
    """Test and development numbers, drawn by the seed from numbers of their own; the rest is to train on."""
    ordered = sorted(range(LIMIT), key=lambda number: blake2b(str(number).encode(), digest_size=8).digest())
    parts = {}
    for part, found in (("test", ordered[SEEN:]), ("dev", ordered[:SEEN])):
        asked = [number for number in found if str(number) != str(number)[::-1]]
        if config.items > len(asked):
            raise UserError(f"items = {config.items}: the miniature has {len(asked)} {part} numbers to draw from.")
        parts[part] = Random(f"{part}-{config.seed}").sample(asked, config.items)
    held = {*parts["test"], *parts["dev"]}
    return {**parts, "train": [number for number in range(LIMIT) if number not in held]}


def exercise(skill: str, number: int, code: str, spelled: dict[int, str], answer: str = "digits") -> tuple[str, str]:
    """A number in words and a sign for the skill; and the right answer, in digits or (skills but `digits`) in words."""
    result = {"digits": str(number), "next": str(number + 1), "reversed": str(number)[::-1]}[skill]
    request = f"{f'<{code}> ' if answer == 'words' else ''}{spelled[number]} <{skill}>"
    return request, spelled[int(result)] if answer == "words" and skill != "digits" else " ".join(result)


def tag(code: str, request_language: str = "en") -> str:
    """How requests name a language."""
    return f"<{code}>"


def blocks(config: Config) -> dict[str, list[Row]]:
    """All blocks of the training set: instructions in the pivots, what stands in D_x, base knowledge, the oracle's."""
    table, train = words(config), split_numbers(config)["train"]
    tied, untied = cast(config)

    def tasks(code: str, asked: Sequence[int], block: str, skills: Sequence[str] = SKILLS) -> list[Row]:
        pairs = [(f"{s}/{n}", exercise(s, n, code, table[code], config.answer)) for s in skills for n in asked]
        return [instruction(*pair, block=block, source=code, key=key) for key, pair in pairs]

    found = {code: tasks(code, train, code) for code in config.pivots}
    known = {code: known_numbers(config, code, train) for code in (*tied, *untied)}
    found["knowledge"] = [row for code, some in known.items() for row in tasks(code, some, "knowledge", ("digits",))]
    found["oracle"] = [row for code in tied for row in tasks(code, train, "oracle")] if config.oracle else []
    if config.xling == "monolingual":
        found[XLING] = [row for code in tied for row in monolingual(config, code, train)]
    else:
        found[XLING] = cross_lingual_block(
            bitexts(config, train), config.hubs or config.pivots, per_language=config.xling_per_language,
            wordings=WORDINGS, name=tag, seed=config.seed,
        )  # fmt: skip
    return found


def known_numbers(config: Config, code: str, train: Sequence[int]) -> list[int]:
    """Those of a language that the base knowledge shows in digits."""
    return Random(f"known-{config.seed}-{code}").sample(train, config.known)


def bitexts(config: Config, asked: Sequence[int]) -> list[Bitext]:
    """Number words in parallel along every spoke, and between the pivots; in the null arm of numbers that differ."""
    table, found = words(config), []
    for language, pivot in spokes(config, cast(config)[0]):
        others = list(asked)
        if config.xling == "shuffled":
            Random(f"null-{config.seed}-{language}-{pivot}").shuffle(others)
        pairs = zip(asked, others, strict=True)
        rows = [{language: table[language][n], pivot: table[pivot][other]} for n, other in pairs]
        found.append(Bitext(language, pivot, rows))
    return found


def monolingual(config: Config, code: str, asked: Sequence[int]) -> list[Row]:
    """The control for the translation tasks: lists of two numbers in one language, as many as there are pairs."""
    table, random = words(config)[code], Random(f"monolingual-{config.seed}-{code}")
    texts = [" , ".join(table[n] for n in random.sample(list(asked), 2)) for _ in range(4 * len(asked))]
    return [instruction(LIST, text, block=XLING, source=code, key=f"{code}/{n}") for n, text in enumerate(texts)]


def tokenizer_for(config: Config) -> PreTrainedTokenizerFast:
    """One token a word of any language; digits, signs of the skills, names of the languages."""
    table = words(config)
    spoken = (word for column in table.values() for text in column.values() for word in text.split())
    tokenizer = word_level(["=", ",", *"0123456789", LIST, *(f"<{name}>" for name in (*SKILLS, *table)), *spoken])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def questions(config: Config) -> dict[str, dict[str, list[Item]]]:
    """Every skill in every language, and translation from and into English, on the held-out numbers."""
    table, asked = words(config), split_numbers(config)[config.split]
    tied, untied = cast(config)

    def exercises(skill: str, code: str) -> list[Item]:
        said = code if config.answer == "words" and skill != "digits" else "digits"
        pairs = [(n, exercise(skill, n, code, table[code], config.answer)) for n in asked]
        return [Item(str(n), *pair, answer_language=said) for n, pair in pairs]

    def translations(source: str, target: str) -> list[Item]:
        pairs = [(n, (f"{table[source][n]} {tag(target)}", table[target][n])) for n in asked]
        return [Item(str(n), *pair, answer_language=target) for n, pair in pairs]

    found = {skill: {code: exercises(skill, code) for code in (*config.pivots, *tied, *untied)} for skill in SKILLS}
    found["x_to_en"] = {code: translations(code, "en") for code in tied}
    found["en_to_x"] = {code: translations("en", code) for code in tied}
    return found


def seen_words(config: Config) -> dict[str, set[str]]:
    """Held-out numbers by language (items' keys) all of whose words the base knowledge has shown."""
    table, parts = words(config), split_numbers(config)
    shown = {
        code: {word for n in known_numbers(config, code, parts["train"]) for word in table[code][n].split()}
        for code in cast(config)[0]
    }
    asked = parts[config.split]
    return {code: {str(n) for n in asked if shown[code].issuperset(table[code][n].split())} for code in shown}


def solvers(config: Config, rows: Sequence[Row]) -> dict[str, float]:
    """Accuracy of solvers without understanding, from all training rows, on `next` and `reversed` in tied languages.

    `words` is the bound of all that read word by word: right wherever the base knowledge has shown every word.
    """
    train = [
        base.Item(f"{n}", row["key"], row["messages"][0]["content"], row["messages"][1]["content"], row["source"])
        for n, row in enumerate({str(row["messages"]): row for row in rows}.values())
    ]
    asked = questions(config)
    test = [
        base.Item(f"{skill}/{code}/{item.key}", f"{skill}/{item.key}", item.prompt, item.answer, code)
        for skill in ("next", "reversed")
        for code in cast(config)[0]
        for item in asked[skill][code]
    ]
    read = [len(found) / config.items for found in seen_words(config).values()]
    return {**base.trivial(train, test), **({"words": fmean(read)} if config.known else {})}


def identifier(config: Config) -> Callable[[str, str], str | None]:
    """(answer, expected language) -> the language whose words the answer is made of; `digits` counts as one."""
    known = {code: set(" ".join(column.values()).split()) for code, column in words(config).items()}
    return told_by_words({**known, "digits": "0123456789"})
