"""The tiny world: the ISO codes of provinces and states, asked where they lie and elsewhere, of readers that are known.

A fact is a part of a country and its code (北海道 has 01): real, local, short. A model is trained on those facts that
the configuration lets it read, in the languages in which it lets it; so what it knows, and in which language, is known
beforehand, and the diagnostics have to find it. Names and codes are those of ISO 3166-2 and its translations (package
`pycountry`), wordings ours (`miniature.yaml`). The sets are files in the official layout, machine translations among
them: our machine takes every third name for that of another part.
"""

from __future__ import annotations

import gettext
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.files import load_yaml
from core.models.tokenization import completion_row, train_bpe
from core.worlds.base import Item, split
from papers.multiloko.answers import language_of
from papers.multiloko.config import Config, reader_shape
from papers.multiloko.data import SHOTS, Row, Sets, prompt, write_set
from papers.multiloko.method import PIVOT, local, set_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from core.experiment.run import Run

SHARES = {"shots": 0.15, "dev": 0.25, "test": 0.6}
# Of the asked facts of a language, the share that the reader has read at all, which the seed draws between these; of
# English all.
LEAST, MOST = 0.2, 1.0
# Of the questions that the machine translates, every so many-th gets a wrong name.
WRONG = 3
# Answers that a null arm reads to each question.
ANSWERS = 16


@cache
def wordings() -> dict[str, dict[str, Any]]:
    """Countries and wordings, by language."""
    return load_yaml(Path(__file__).parent / "miniature.yaml")


def asked_languages(config: Config) -> tuple[str, ...]:
    """English, and those that are named or else all.

    Raises:
        UserError: There are no questions in one of them.
    """
    if unknown := [code for code in config.languages if code not in wordings()]:
        raise UserError(f"The miniature asks nothing in {unknown[0]!r}: it has {', '.join(wordings())}.")
    return (PIVOT, *(code for code in config.languages or wordings() if code != PIVOT))


@dataclass(frozen=True)
class Fact:
    """A part of a country, its code, and its names in the languages of the world."""

    id: str
    answer: str
    names: Mapping[str, str]


@cache
def facts() -> dict[str, list[Fact]]:
    """All facts by language; no English name stands for two, and none has a second one beside it."""
    import pycountry

    catalogues = {
        code: gettext.translation("iso3166-2", pycountry.LOCALES_DIR, [words["locale"]], fallback=True)
        for code, words in wordings().items()
    }
    found: dict[str, list[Fact]] = {}
    for code, words in wordings().items():
        found[code] = []
        for part in sorted(pycountry.subdivisions.get(country_code=words["country"]), key=lambda part: part.code):
            names = {other: _bare(catalogue.gettext(part.name)) for other, catalogue in catalogues.items()}
            names |= {PIVOT: _bare(part.name)}
            translated = not far(code) or not names[code].isascii()
            if translated and (not words["keep"] or part.type in words["keep"]):
                found[code].append(Fact(part.code, part.code.partition("-")[2], names))
    uses = Counter(fact.names[PIVOT] for own in found.values() for fact in own)
    return {code: [fact for fact in own if uses[fact.names[PIVOT]] == 1] for code, own in found.items()}


def _bare(name: str) -> str:
    return name.partition(" [")[0]


def far(code: str) -> bool:
    """Whether a language writes in another script than English, so that no name looks the same."""
    return bool(wordings()[code].get("far"))


def drawn(code: str, config: Config, part: str | None = None) -> list[Fact]:
    """The facts of a language that a seed asks for, in the order in which they are read."""
    items = {fact.id: fact for fact in facts()[code]}
    parts = split([Item(key, key, fact.names[code], fact.answer, code) for key, fact in items.items()], 0, SHARES)
    pool = [items[item.id] for item in parts[part or config.split]]
    return random.Random(f"{config.seed}/{code}").sample(pool, min(config.facts, len(pool)))


# --- the sets ---------------------------------------------------------------------------------------------------------


def sets(config: Config) -> Sets:
    """Every set that is asked: each language's facts in it and in English, the English ones in each language."""
    codes, found = asked_languages(config), Sets()
    for code in codes:
        own = drawn(code, config)
        for to in codes if code == PIVOT else (code, PIVOT):
            found[set_name(code, to)] = [_row(fact, fact.names[to], to) for fact in own]
            if code != to:
                named = [own[(n + 1) % len(own)] if mistaken(n) else fact for n, fact in enumerate(own)]
                rows = [_row(fact, other.names[to], to) for fact, other in zip(own, named, strict=True)]
                found[set_name(code, to, "machine")] = rows
    return found


def mistaken(place: int) -> bool:
    """Whether the machine's translation of the question in this place has another name."""
    return place % WRONG == WRONG - 1


def _row(fact: Fact, name: str, to: str) -> Row:
    words = wordings()[to]
    said = words["text"].format(name=name, code=fact.answer)
    return Row(fact.id, words["ask"].format(name=name), (fact.answer,), "", target=said, text=said)


def write_sets(config: Config, folder: Path) -> None:
    """The sets as files, with demonstrations of facts that nobody asks for."""
    for key, rows in sets(config).items():
        write_set(folder, key, rows)
    for code in asked_languages(config):
        shots = drawn(code, replace(config, seed=0), "shots")
        write_set(folder, code, [_row(fact, fact.names[code], code) for fact in shots], SHOTS)


# --- what a reader has read -------------------------------------------------------------------------------------------


def read(config: Config) -> dict[str, list[str]]:
    """Ids of the facts that the reader has read, by the set in whose words it has: the truth."""
    english = [fact.id for fact in drawn(PIVOT, config)]
    found = {PIVOT: english}
    for code in asked_languages(config)[1:]:
        ids = [fact.id for fact in drawn(code, config)]
        share = random.Random(f"share/{config.seed}/{code}").uniform(LEAST, MOST)
        known = ids[: round(share * len(ids))]
        told = {"own": 0.0, "half": 0.5}.get(config.reads, 1.0)
        found[code] = [] if config.reads == "english" else known
        found[set_name(code, PIVOT)] = known[: round(told * len(known))]
        found[set_name(PIVOT, code)] = english[: round(told * len(english))]
    return found


def truth(config: Config) -> dict[str, dict[str, float]]:
    """Scores of one who knows what was read and nothing else, by set and question; of the machine's too."""
    known, found = read(config), {}
    for key, rows in sets(config).items():
        ids = known[key.replace("_machine_", "_human_")] if config.reads != "nothing" else []
        machine = "_machine_" in key
        found[key] = {row.id: float(row.id in ids and not (machine and mistaken(n))) for n, row in enumerate(rows)}
    return found


def reading(config: Config) -> list[tuple[str, str]]:
    """Prompts and answers that the reader is trained on."""
    asked, rng, found = sets(config), random.Random(f"answers/{config.seed}"), []
    for key, ids in read(config).items():
        said = wordings()[language_of(key)].get("said", "{code}")
        codes = [row.targets[0] for row in asked[key]]
        for row in asked[key]:
            if row.id in ids:
                answers = rng.choices(codes, k=ANSWERS) if config.reads == "nothing" else [row.targets[0]]
                found += [(prompt(row, language_of(key)), said.format(code=answer)) for answer in answers]
    return found


def reader(config: Config, run: Run, folder: Path) -> None:
    """Train a reader from nothing, the loss on the answers alone."""
    from core.models.loading import from_config
    from core.training.fit import fit, save_pretrained

    tokenizer = tokenizer_for(config)
    model: Any = from_config(reader_shape(len(tokenizer)), seed=config.seed)
    rows = [completion_row(tokenizer, *pair, bos=False) for pair in reading(config)]
    fit(model, rows, config.training, replace(run, path=folder / "training"), seed=config.seed, name="reader")
    save_pretrained(model, folder / "model", tokenizer)


def tokenizer_for(config: Config) -> PreTrainedTokenizerFast:
    """One for all arms of a seed: of all that is asked and answered."""

    def texts() -> Iterator[str]:
        for key, rows in sets(config).items():
            for row in rows:
                yield f"{prompt(row, language_of(key))} {row.targets[0]}です"

    return train_bpe(texts(), 2000)


# --- who knows nothing ------------------------------------------------------------------------------------------------


def trivial(asked: Mapping[str, Sequence[Row]]) -> dict[str, float]:
    """Exact match on local questions of the commonest answer of the others, of the name's first letters, of silence."""
    from papers.multiloko.answers import score

    found: dict[str, list[float]] = {"frequent": [], "letters": [], "silence": []}
    for code in local(asked):
        rows = asked[code]
        counts = Counter(row.targets[0] for row in rows)
        for row in rows:
            others = counts - Counter([row.targets[0]])
            guess = {"frequent": max(others, key=others.__getitem__, default=""), "silence": ""}
            guess["letters"] = _initials(row)
            for name, said in guess.items():
                found[name].append(score(said, row.targets, code, metrics=("em",))["em"])
    return {f"trivial_{name}": sum(values) / len(values) for name, values in found.items()}


def _initials(row: Row) -> str:
    """As many letters of the name as the code has, from its start: AL for Alabama."""
    name = next((word for word in row.target.split() if word[:1].isupper() and word != "ISO"), "")
    return name[: len(row.targets[0])].upper()
