"""The tiny world: interface messages and names of places, languages and currencies, in two groups of related languages.

A group is a branch of a family in one script with a language of each level of resources as wordfreq's lists tell them
(`core.text.languages.resource_level`), and one relative that nothing is read of. A seed draws two of the four groups,
seeds 2n and 2n + 1 all of them. The base model has read English, some of the languages with many resources, little of
those in the middle and none of the others: what a level means in the paper.

The base can classify in English and in languages with many resources: it has read solved prompts of the official
wording that say of a name whether it is a territory's, a language's or a currency's. No later phase shows such a prompt
again. What is asked are held-out names, with three solved examples in their language, as in the paper.

Held-out messages and names share no equivalence class with any text of any language. Those of `dev` are drawn from
three tenths of the classes and those of `test` from the others, by the seed.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from core.corpora.table import short_hash
from core.experiment.config import to_dict
from core.files import read_lines
from core.tasks.choices import Question
from core.training.documents import Body, mixed_rows
from core.worlds import messages, names
from core.worlds.base import Item, dealt, split
from papers.cpt_mixing.config import Config, llama_shape
from papers.cpt_mixing.method import pair_document
from papers.cpt_mixing.prompts import item_seeds, topic_line, topic_prompt, without_replacement

if TYPE_CHECKING:
    from core.experiment.run import Run

# High, middle and low resources, and the relative.
FAMILIES: dict[str, tuple[str, str, str, str]] = {
    "romance": ("es", "ro", "gl", "ca"),
    "north germanic": ("sv", "is", "nn", "da"),
    "west slavic": ("pl", "sk", "hsb", "cs"),
    "slavic in Cyrillic": ("ru", "bg", "be", "uk"),
}
LEVELS = ("high", "mid", "low")
KINDS = ("territory", "language", "currency")
# Pairs of a document of pairs, or half of the lines of one in one language; names are shorter than messages.
PAIRS = {"message": 3, "name": 6}
# So many documents hold each line, in other company each time.
COPIES = 6
# Of the base's tokens; languages with few resources and relatives have none.
BASE_SHARES = {"english": 0.4, "task": 0.3, "code": 0.05, "high": 0.2, "mid": 0.05}
# Solved lines of a document that teaches to classify.
SOLVED = 5


class Texts(NamedTuple):
    """Text of a seed.

    Attributes:
        pairs: By language and topic (`message`, or a kind of names), English beside the language's own.
        held: By part, language: messages by key.
        items: By part: names with their kinds, of all languages.
    """

    pairs: dict[str, dict[str, list[tuple[str, str]]]]
    held: dict[str, dict[str, dict[str, str]]]
    items: dict[str, list[Item]]


def groups(config: Config) -> dict[str, tuple[dict[str, str], tuple[str, ...]]]:
    """The groups that the seed draws: `{family: ({language: level}, relatives)}`."""
    drawn = dealt(tuple(FAMILIES), 2, config.seed, 2)
    return {name: (dict(zip(FAMILIES[name], LEVELS, strict=False)), FAMILIES[name][3:]) for name in drawn}


def languages(config: Config) -> tuple[str, ...]:
    """English, then all of both groups."""
    return ("en", *(code for name in groups(config) for code in FAMILIES[name]))


def texts(config: Config) -> Texts:
    """All text of a seed."""
    return _texts(languages(config), config.held_out, config.names, config.seed)


@cache
def _texts(codes: tuple[str, ...], held_out: int, each: int, seed: int) -> Texts:
    parts = messages.texts(codes, held_out, seed)
    held = {
        part: {
            code: dict(zip(map(short_hash, parts[part]["en"]), lines, strict=True))
            for code, lines in parts[part].items()
        }
        for part in ("dev", "test")
    }
    known = {code: set(lines) for code, lines in parts["train"].items()}
    pairs: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for code, column in messages.by_key(codes, min_chars=1, max_chars=160).items():
        both = [(item.prompt, item.answer) for item in column.values()]
        pairs[code] = {"message": [pair for pair in both if pair[0] in known["en"] and pair[1] in known[code]]}
    items = _named(codes, each, seed)
    english = {item.id.partition("/")[2]: item.prompt for item in items["train"] if item.language == "en"}
    for item in items["train"]:
        if name := english.get(item.id.partition("/")[2]):
            pairs[item.language].setdefault(item.answer, []).append((name, item.prompt))
    return Texts(pairs, held, items)


def _named(codes: tuple[str, ...], each: int, seed: int) -> dict[str, list[Item]]:
    """Names by part; in the held-out parts `each` concepts of a kind that all languages have names of."""
    items = names.kinds(codes, kinds=KINDS)
    by_key: dict[str, dict[str, Item]] = {}
    for item in items:
        by_key.setdefault(item.id.partition("/")[2], {})[item.language] = item
    complete = [found["en"] for found in by_key.values() if len(found) == len(codes)]
    drawn: dict[str, list[Item]] = {}
    for part, found in split(complete, 0, {"dev": 0.3, "test": 0.7}).items():
        for kind in KINDS:
            one_a_class = {item.cls: item for item in found if item.answer == kind}
            chosen = Random(f"{part}-{kind}-{seed}").sample(list(one_a_class.values()), each)
            drawn.setdefault(part, []).extend(chosen)
    held = {item.cls for found in drawn.values() for item in found}
    parts = {
        part: [by_key[item.id.partition("/")[2]][code] for code in codes for item in found]
        for part, found in drawn.items()
    }
    return {"train": [item for item in items if item.cls not in held], **parts}


# --- what is asked ----------------------------------------------------------------------------------------------------


def questions(config: Config, code: str) -> list[Question]:
    """Held-out names with three solved examples of the same language, drawn as the official code does."""
    found = texts(config).items
    asked = [item for item in found[config.split] if item.language == code]
    known = _balanced([item for item in found["train"] if item.language == code], config.seed)
    rows = []
    for item, seed in zip(asked, item_seeds(len(asked)), strict=True):
        shots = [(shot.prompt, shot.answer) for shot in without_replacement(known, seed)]
        context = topic_prompt(item.prompt, shots, KINDS)
        rows.append(Question(item.id, context, tuple(f" {kind}" for kind in KINDS), KINDS.index(item.answer)))
    return rows


def _balanced(items: Sequence[Item], seed: int) -> list[Item]:
    """As many of each kind, so that the examples favour none."""
    by_kind = {kind: [item for item in items if item.answer == kind] for kind in KINDS}
    least, draw = min(map(len, by_kind.values())), Random(seed)
    return [item for found in by_kind.values() for item in draw.sample(found, least)]


# --- what is read -----------------------------------------------------------------------------------------------------


def _documents(lines: Sequence[tuple[str, str]], size: int, draw: Random, most: int) -> list[list[tuple[str, str]]]:
    """Lines in documents of `size`, each line in `COPIES` of them; no more documents than could be read."""
    order = [line for _ in range(COPIES) for line in draw.sample(list(lines), len(lines))]
    return [order[start : start + size] for start in range(0, len(order) - size + 1, size)][:most]


def _body(config: Config, code: str, category: str) -> Body:
    """Documents about one topic each, in one language or in pairs with English."""
    draw, found, most = Random(f"{config.seed}-{category}-{code}"), list[str](), _most(config)
    for topic, pairs in texts(config).pairs[code].items():
        size = PAIRS["message" if topic == "message" else "name"]
        if category == "bi" and config.pairs == "paired":
            found += [pair_document(part, draw) for part in _documents(pairs, size, draw, most)]
            continue
        for part in _documents(pairs, 2 * size, draw, most):
            english, own = zip(*part, strict=True)
            found += ["\n".join(side) for side in ((english, own) if category == "bi" else (own,))]
    name = {"bi": f"en-{code}", "english": "english"}.get(category, code)
    return Body(name, category, partial(list, found))


def _most(config: Config) -> int:
    """Documents of a topic that a budget could read: none has fewer than ten tokens."""
    return int(config.tokens) // 10


def code_body(config: Config) -> Body:
    """The beginnings of modules of Python's standard library, a document each."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[: min(80, _most(config))]
    return Body("code", "code", lambda: ("\n".join([*read_lines(path), ""])[:8000] for path in files))


def material(config: Config, group: str) -> list[Body]:
    """All that there is to read for a group."""
    codes = groups(config)[group][0]
    own = [_body(config, code, config.data) for code in codes]
    return [
        *own,
        *([_body(config, "en", "english")] if config.replay else []),
        *([code_body(config)] if config.code else []),
    ]


def _task(config: Config) -> Body:
    """Solved prompts about names in English and, of three as often two, in languages with many resources."""
    draw, documents = Random(f"{config.seed}-task"), []
    codes = ("en", *(code for members, _ in groups(config).values() for code in members if members[code] == "high"))
    known: dict[tuple[str, str], list[str]] = {}
    for item in texts(config).items["train"]:
        known.setdefault((item.language, item.answer), []).append(item.prompt)
    head = topic_prompt("", (), KINDS).partition("The topic")[0]
    for _ in range(min(2000, _most(config))):
        code, kinds = draw.choice(codes), [draw.choice(KINDS) for _ in range(SOLVED)]
        documents.append(head + "".join(topic_line(draw.choice(known[code, kind]), kind) for kind in kinds))
    return Body("task", "task", partial(list, documents))


def base(config: Config, run: Run) -> str:
    """The base model, which all variants of a seed share: tokenizer of all text, model of mostly English."""
    from core.models import loading
    from core.models.tokenization import train_bpe
    from papers.cpt_mixing.method import continue_pretraining

    def build(folder: Path) -> None:
        level = {code: level for members, _ in groups(config).values() for code, level in members.items()}
        bodies = [_body(config, code, level[code]) for code in level if level[code] in BASE_SHARES]
        bodies += [_body(config, "en", "english"), _task(config), code_body(config)]
        lines = [own for by_topic in texts(config).pairs.values() for pairs in by_topic.values() for _, own in pairs]
        samples = [*_task(config).texts()][:300] + [text[:2000] for text in code_body(config).texts()]
        tokenizer = train_bpe([*lines, *samples], config.vocabulary)
        model = loading.from_config(llama_shape(config, len(tokenizer)), seed=config.seed)
        tokens = config.base.steps * config.base.batch_size * config.base.max_length
        rows = mixed_rows(bodies, tokenizer, BASE_SHARES, tokens, config.seed)
        continue_pretraining(model, rows, config.base, run, seed=config.seed, name="base")
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    wanted = ("seed", "vocabulary", "width", "held_out", "names", "base")
    inputs = {name: value for name, value in to_dict(config).items() if name in wanted}
    return str(run.stage("base", inputs, build))
