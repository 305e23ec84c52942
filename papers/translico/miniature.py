"""The tiny world: Slavic languages in two scripts, Serbian in both; an encoder that has read them as they are written.

Interface messages (Django) and names of territories, languages, currencies and scripts (CLDR). Held out, by class in
all languages, are messages to be retrieved and names to be classified: neither tokenizer nor base nor method
reads them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from core.tasks.labelled import Labelled
from core.text import romanize
from core.text.families import FAMILIES
from core.text.languages import language
from core.text.normalize import fold
from core.worlds import messages, names
from core.worlds.base import Item, split
from papers.translico.config import HEADS, LAYERS, PIECES, WIDTH, Config

if TYPE_CHECKING:
    from core.experiment.run import Run

MAX_CHARS = 120
# Names: a fixed part for development, of the rest a test that the seed draws. `choice` chooses the classifier's epoch.
SHARES = {"test": 0.25, "choice": 0.08, "train": 0.67}


class World(NamedTuple):
    """What a seed draws: lines to train on, aligned held-out messages, and labelled names in three parts."""

    text: Mapping[str, list[str]]
    messages: Mapping[str, list[str]]
    names: Mapping[str, Mapping[str, list[Labelled]]]


def is_latin(code: str) -> bool:
    """Whether a language is written in Latin script."""
    return language(code).script == "Latn"


def in_group(code: str) -> bool:
    """Whether it belongs to the group that is tuned on alone."""
    return code.split("-")[0] in FAMILIES["south slavic"]


def world(config: Config) -> World:
    """The world of a seed and a split."""
    return _draw(config.languages, config.seed, config.split, config.messages, config.lines)


@cache
def _draw(languages: tuple[str, ...], seed: int, part: str, size: int, lines: int) -> World:
    held = messages.texts(languages, size, seed, max_chars=MAX_CHARS)
    fixed = split(_merged(names.kinds(languages)), 0, {"dev": 0.2, "rest": 0.8})
    drawn = split(fixed["rest"], seed, SHARES)
    unseen = [*fixed["dev"], *drawn["test"], *drawn["choice"]]
    hidden = {(item.language, messages.skeleton(item.prompt)) for item in unseen}
    text = {}
    asked = {(c, messages.skeleton(line)) for p in ("test", "dev") for c, lines_ in held[p].items() for line in lines_}
    for code in languages:
        known = [line for line in held["train"][code] if (code, messages.skeleton(line)) not in hidden]
        # Some messages are names of languages.
        own = (item.prompt for item in drawn["train"] if item.language == code)
        known += [name for name in own if (code, messages.skeleton(name)) not in asked]
        text[code] = random.Random(f"{seed} {code}").sample(known, min(lines or len(known), len(known)))
    labelled = {
        name: {c: [Labelled((i.prompt,), (i.answer,)) for i in items if i.language == c][-lines:] for c in languages}
        for name, items in {**drawn, "test": drawn["test"] if part == "test" else fixed["dev"]}.items()
    }
    return World(text, held[part], labelled)


def _merged(items: Sequence[Item]) -> list[Item]:
    """The same names in classes that share no spelling, not even between two languages (an old and a new currency)."""
    parent = {item.cls: item.cls for item in items}

    def root(cls: str) -> str:
        return cls if parent[cls] == cls else root(parent[cls])

    first: dict[str, str] = {}
    for item in items:
        low, high = sorted(map(root, (item.cls, first.setdefault(fold(item.prompt), item.cls))))
        parent[high] = low
    return [replace(item, cls=root(item.cls)) for item in items]


def base(config: Config, run: Run) -> Path:
    """The encoder before the method, with its tokenizer: masked language modelling on text as it is written."""
    from core.experiment.config import to_dict
    from core.models.scratch import masked_lm
    from core.training.documents import by_length
    from core.training.fit import fit, save_pretrained
    from core.training.masking import Masking, encode, masked_lm_loss

    def build(folder: Path) -> None:
        text = [line for lines in world(config).text.values() for line in lines]
        model, tokenizer = masked_lm(text, pieces=PIECES, layers=LAYERS, width=WIDTH, heads=HEADS, seed=config.seed)
        encoded = encode(tokenizer, text, max_length=config.pretraining.max_length)
        rows = by_length(encoded, [len(row["input_ids"]) for row in encoded], config.pretraining, config.seed)
        fit(
            model, rows, config.pretraining, replace(run, path=folder / "training"), loss_fn=masked_lm_loss,
            collate=Masking(tokenizer), seed=config.seed, name="base",
        )  # fmt: skip
        save_pretrained(model, folder / "model", tokenizer)

    names = ("seed", "split", "messages", "languages", "lines", "pretraining")
    asked = to_dict(config)
    return run.stage("base", {name: asked[name] for name in names}, build) / "model"


def romanised(config: Config, run: Run) -> dict[str, str]:
    """The lines of a world with their romanisations; made once for all variants."""
    from core.files import read_json, write_json

    lines = sorted({line for found in world(config).text.values() for line in found})

    def build(folder: Path) -> None:
        write_json(folder / "romanised.json", {line: romanize.romanize(line) for line in lines})

    return read_json(run.stage("romanised", {"uroman": romanize.version(), "lines": lines}, build) / "romanised.json")
