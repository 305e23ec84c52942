"""What the recipe is fed and measured on, at each scale.

* tiny: interface messages and names in two groups of languages (`miniature.py`);
* paper: for one of the paper's groups, public text in place of MADLAD-400, Lego-MT and NLLB (`sources.jsonl`);
* your own: a manifest of files and hub datasets (`core.corpora.manifest`) with the categories `mono` (text of a
  language), `bi` (pairs of English with it), `code` and `english`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from core import corpora
from core.corpora import filtering, manifest
from core.corpora.table import short_hash
from core.errors import UserError
from core.tasks import labelled
from core.tasks.choices import Question
from core.text.languages import name as language_name
from core.training.documents import Body, of_manifest
from papers.cpt_mixing import miniature
from papers.cpt_mixing.config import ENGLISH, GROUPS, Config
from papers.cpt_mixing.method import pair_document, token_budgets
from papers.cpt_mixing.prompts import (
    TOPICS,
    item_seeds,
    topic_prompt,
    translation_prompt,
    with_replacement,
    without_replacement,
)

if TYPE_CHECKING:
    from core.corpora.filtering import Identify

# Sentence pairs of a document of own bitext, and lines of each language that teach to tell languages apart.
PAIRS, IDENTIFIED_BY = 3, 2000


def entries(sources: str) -> list[manifest.Entry]:
    """Of a manifest, or the sources of one of the paper's groups: those of its languages, code and English."""
    if sources not in GROUPS:
        return manifest.read(sources)
    codes = {*GROUPS[sources][0], *ENGLISH, "code"}
    known = manifest.read(Path(__file__).with_name("sources.jsonl"))
    return [entry for entry in known if entry.language in codes or (entry.languages and {*entry.languages} <= codes)]


def english_of(codes: Sequence[str]) -> str | None:
    """The code of English among those of a corpus."""
    return next((code for code in codes if code in ENGLISH), None)


def groups(config: Config) -> dict[str, tuple[dict[str, str], tuple[str, ...]]]:
    """`{group: ({language: level of resources}, relatives that are only measured)}`; own languages have no level."""
    if config.sources is None:
        return miniature.groups(config)
    if config.sources in GROUPS:
        return {config.sources: GROUPS[config.sources]}
    learnt = [code for entry in entries(config.sources) for code in (entry.languages or (entry.language,))
              if entry.category in ("mono", "bi") and code not in ENGLISH]  # fmt: skip
    if missing := [code for code in learnt if code not in held_out(config)]:
        raise UserError(
            f"{config.test_corpus} has no column {missing[0]}: give held-out text of each language to learn."
        )
    others = [code for code in held_out(config) if code not in learnt and code not in ENGLISH]
    return {"own": (dict.fromkeys(learnt, ""), tuple(others))}


# --- what is read -----------------------------------------------------------------------------------------------------


def bodies(config: Config, group: str) -> list[Body]:
    """The sources of a mixture, one a language; those of several files count as one.

    Raises:
        UserError: A manifest that cannot be read.
    """
    if config.sources is None:
        return miniature.material(config, group)
    shares = {config.data: 1.0, "code": config.code, "english": config.replay}
    read = (entry for entry in entries(config.sources) if shares.get(entry.category, 0.0) > 0)
    return of_manifest(read, partial(_written, config), lambda entry: f"{entry.category}/{entry.language}")


def _written(config: Config, entry: manifest.Entry) -> Iterator[str]:
    pairs, draw = manifest.pairs(entry.path, *entry.languages), random.Random(f"{config.seed}-{entry.name}")
    while part := list(islice(pairs, PAIRS)):
        if config.pairs == "paired":
            yield pair_document(part, draw)
        else:
            yield from map("\n".join, zip(*part, strict=True))


def budgets(config: Config, categories: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Tokens of each source that there is, by equation 1.

    Raises:
        UserError: A share without a source.
    """
    tokens = config.tokens * (1 - config.left_out)
    return token_budgets(
        [*categories.get(config.data, ())], tokens, code=config.code, replay=config.replay,
        code_sources=[*categories.get("code", ())], replay_sources=[*categories.get("english", ())],
    )  # fmt: skip


# --- what is measured -------------------------------------------------------------------------------------------------


def held_out(config: Config) -> dict[str, dict[str, str]]:
    """`{language: {key: text}}`, the same keys in all languages."""
    if config.sources is None:
        return miniature.texts(config).held[config.split]
    table = _rows(config, None)
    codes = corpora.codes(table[0])
    if english_of(codes) is None:
        raise UserError(f"{config.test_corpus} has no English: give it a column en or eng_Latn.")
    return {code: {short_hash(f"{number}"): row[code] for number, row in enumerate(table)} for code in codes}


def _rows(config: Config, split: str | None) -> list[dict[str, str]]:
    assert config.test_corpus is not None
    wanted: dict[str, object] = {} if split is None else {"split": split}
    if config.sources in GROUPS:
        learnt, related = GROUPS[str(config.sources)]
        wanted["languages"] = [ENGLISH[1], *learnt, *related]
    rows = corpora.load(config.test_corpus, **wanted)
    return [dict(row) for row in rows.select(range(min(len(rows), config.held_out)))]


def identifier(config: Config) -> Identify:
    """Tells the languages that are read, and of the miniature all others, by characters of their text."""
    if config.sources is None:
        pairs = miniature.texts(config).pairs
        return filtering.identifier({code: [o for part in of.values() for _, o in part] for code, of in pairs.items()})
    known: dict[str, list[str]] = {}
    for entry in entries(config.sources):
        if entry.category in ("mono", "english"):
            lines = known.setdefault(entry.language, [])
            lines += islice((line for text in manifest.texts(entry.path) for line in text.splitlines()), IDENTIFIED_BY)
        elif entry.languages and entry.category == config.data:
            for pair in islice(manifest.pairs(entry.path, *entry.languages), IDENTIFIED_BY):
                for code, line in zip(entry.languages, pair, strict=True):
                    known.setdefault(code, []).append(line)
    learnt = {code for members, _ in groups(config).values() for code in members}
    if english_of([*known]) is None or not learnt <= known.keys():
        raise UserError("To tell languages apart, name text of English and of each language in --sources.")
    return filtering.identifier(known)


def questions(config: Config, code: str) -> list[Question]:
    """Topics to choose in a language, each with three solved examples of it; none where own data have none."""
    if config.sources is None:
        return miniature.questions(config, code)
    if config.labelled is None or (config.labelled != "sib200" and code not in labelled.languages_of(config.labelled)):
        return []
    parts = {part: labelled.read(config.labelled, code, part) for part in ("train", config.split)}
    known, asked = ([(row.words[0], row.labels[0]) for row in found] for found in parts.values())
    labels = TOPICS if config.labelled == "sib200" else tuple(sorted({label for _, label in known}))
    rows = []
    for number, seed in enumerate(item_seeds(len(asked))[: 3 * config.names]):
        text, label = asked[number]
        if label not in labels:
            raise UserError(f"{config.labelled}: no training example of {code} has the topic {label!r}, add one.")
        context = topic_prompt(text, without_replacement(known, seed), labels)
        choices = tuple(f" {choice}" for choice in labels)
        rows.append(Question(f"{code}/{short_hash(f'{number}')}", context, choices, labels.index(label)))
    return rows


def translations(config: Config) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """Directions, prompts and references: each language with English, both ways, official wording (own test text)."""
    rows, flores = _rows(replace(config, held_out=config.translations), None), config.test_corpus == "flores200"
    shots = _rows(replace(config, held_out=997), "dev") if flores else rows[:9]
    asked = rows if flores else rows[9:]
    if not asked:
        raise UserError(f"{len(rows)} rows are too few to translate: the first nine are examples.")
    codes = corpora.codes(rows[0])
    english = english_of(codes) or ENGLISH[0]
    found: tuple[list[tuple[str, str]], list[str], list[str]] = ([], [], [])
    for source, target in [pair for code in codes if code != english for pair in ((code, english), (english, code))]:
        solved = [(row[source], row[target]) for row in shots]
        for row, seed in zip(asked, item_seeds(len(asked)), strict=True):
            names = language_name(source), language_name(target)
            found[0].append((source, target))
            found[1].append(translation_prompt(row[source], with_replacement(solved, seed), *names))
            found[2].append(row[target])
    return found
