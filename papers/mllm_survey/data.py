"""What is measured: text to train tokenizers on, texts in parallel, and the survey's taxonomy with our papers in it.

texts = parallel(config, ["fr", "sw"])       # {"en": [...], "fr": [...], "sw": [...]}
taxonomy()["evaluation.tokenizer"].entries   # 4
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core import corpora
from core.corpora.mixture import mix
from core.corpora.table import parallel_table
from core.errors import UserError
from core.files import load_yaml
from papers.mllm_survey import miniature

if TYPE_CHECKING:
    from papers.mllm_survey.config import Config

META = "meta"
"""The node of papers about the field as a whole."""
_HERE = Path(__file__).parent


# --- text -----------------------------------------------------------------------------------------------------------


def languages_of(config: Config) -> tuple[str, ...]:
    """Languages of the text, the pivot first."""
    return (config.pivot, *(config.text_languages or miniature.TEXT_LANGUAGES))


def left_out(config: Config) -> tuple[str, ...]:
    """The drawn half of the languages that `--balance half` trains on nothing of; the same for all arms of a seed."""
    others = languages_of(config)[1:]
    order = np.random.default_rng([config.seed, 5]).permutation(len(others))
    return tuple(others[place] for place in sorted(order[: len(others) // 2].tolist()))


def shares(config: Config) -> dict[str, float]:
    """The share of the texts that the tokenizer is trained on, by language."""
    names = languages_of(config)
    if config.balance == "pivot":
        rest = (1 - config.pivot_share) / (len(names) - 1)
        return {code: config.pivot_share if code == config.pivot else rest for code in names}
    kept = set(names) - (set(left_out(config)) if config.balance == "half" else set())
    return {code: 1 / len(kept) for code in names if code in kept}


def text(config: Config, weights: Mapping[str, float], size: float, draw: int = 0) -> Iterator[str]:
    """So many bytes of text, a language being the next as often as its weight says; small sources are repeated.

    By texts and not by bytes: a byte share would give languages with long encodings fewer messages.
    """
    if config.text:
        sources = {code: _Source(config.text.format(language=code)) for code in weights}
    else:
        found = miniature.text(languages_of(config), config.sentences or 0, config.seed)
        sources = {code: found[code] for code in weights}  # type: ignore[misc]
    seed = 2 * config.seed + draw
    drawn = mix(sources, weights, size, lambda line: len(line.encode()), seed=seed, accounting="documents")
    return (line for _, line in drawn)


@dataclass(frozen=True)
class _Source:
    """Opens the texts of one language anew."""

    name: str

    def __call__(self) -> Iterator[str]:
        rows = corpora.read_rows(self.name, streaming=True)
        return corpora.adapted(self.name, rows, lambda row, _: str(row["text"]))


def parallel(config: Config, languages: Sequence[str], *, trained: bool) -> dict[str, list[str]]:
    """Texts that mean the same in the pivot and the languages, the pivot first.

    Args:
        config: Which texts, how many.
        languages: Beside the pivot.
        trained: Whether what is measured was trained on the miniature's messages, so that the held-out ones are taken.

    Raises:
        UserError: The file has no such language, or too few texts.
    """
    wanted = [config.pivot, *languages]
    if not config.parallel:
        if trained:
            return miniature.held_out(wanted, config.sentences or 0, config.split, config.seed)
        return miniature.sentences(languages, config.sentences or 0, config.split, config.seed)
    if config.parallel == "flores200":
        table = corpora.load("flores200", languages=wanted)
    else:
        table = corpora.read_parallel(config.parallel, wanted)
    columns = [name for name in table.column_names if name != "key"]
    found = {code: [*table[name]] for code, name in zip(wanted, columns, strict=True)}
    return distinct(found, config.parallel, config.sentences)


def distinct(texts: Mapping[str, Sequence[str]], name: str, most: int | None = None) -> dict[str, list[str]]:
    """The first rows whose text repeats no earlier one in any language: of two equal ones neither could be found.

    Raises:
        UserError: Fewer than eight are left.
    """
    numbered = {code: {str(place): line for place, line in enumerate(lines)} for code, lines in texts.items()}
    rows = parallel_table(numbered, list(texts), corpus=name, distinct=True, sort=False)
    found = {code: [*rows[code]][:most] for code in texts}
    if len(rows) < 8:
        raise UserError(f"{name} has {len(rows)} rows that differ in every language: give at least 8.")
    return found


# --- the taxonomy ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """A place in the taxonomy.

    Attributes:
        section: Of the survey; `ours` where we added the node.
        heading: In the public list; None where the list has none.
        entries: In the list under that heading, at the pinned commit; None without heading.
    """

    section: str
    heading: str | None
    entries: int | None


@cache
def taxonomy() -> dict[str, Node]:
    """Nodes by key; a domain's key has no dot."""
    return {key: Node(*row) for key, row in load_yaml(_HERE / "taxonomy.yaml").items()}


def leaves() -> list[str]:
    """Keys that papers are placed under."""
    return [key for key in taxonomy() if "." in key or key == META]


@cache
def catalogue(path: str | Path = "") -> dict[str, tuple[str, ...]]:
    """Where papers stand: `{name: nodes}`, the primary one first; of this repository, or of a file like ours.

    Raises:
        UserError: A node that the taxonomy does not have.
    """
    source, known = Path(path) if path else _HERE / "catalogue.yaml", leaves()
    rows = load_yaml(source)
    if not isinstance(rows, dict):
        raise UserError(f"{source} is no table of names and nodes: write lines such as `mine: [evaluation.tokenizer]`.")
    for name, nodes in rows.items():
        if not isinstance(nodes, list) or not nodes:
            raise UserError(f"{source}, {name}: give a list of nodes, such as [evaluation.tokenizer].")
        if unknown := [node for node in nodes if node not in known]:
            raise UserError(f"{source}, {name}: the taxonomy has no {unknown[0]!r}; it has {', '.join(known)}.")
    return {str(name): tuple(nodes) for name, nodes in rows.items()}


def coverage(placed: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Who stands at each leaf, first those that are mainly about it; empty for what nobody covers."""
    return {
        key: [name for name, nodes in placed.items() if nodes[0] == key]
        + [f"{name} (also)" for name, nodes in placed.items() if key in nodes[1:]]
        for key in leaves()
    }
