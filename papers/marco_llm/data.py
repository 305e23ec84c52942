"""What Marco-LLM reads and is measured on, at each scale.

* tiny: Django's interface messages in ten languages (four old, six new), and number words as bitext (`miniature.py`);
* paper: public data in place of the paper's own corpus (FineWeb-2, SkyPile, OPUS-100, Wikipedia, Cosmopedia);
* your own: a manifest of files and hub datasets (`manifest.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from core import corpora
from core.errors import UserError
from papers.marco_llm import manifest, miniature
from papers.marco_llm.bodies import Body
from papers.marco_llm.config import Config

# The bitext is paired with English, so the other directions are never seen in training.
ENGLISH = frozenset({"en", "eng_Latn"})


@dataclass(frozen=True)
class Material:
    """Everything that a run may read.

    Attributes:
        bodies: The sources.
        rejected: What the filter rejected, by parallel source and rule; only the miniature's, as streams are filtered
            while they are read.
    """

    bodies: list[Body]
    rejected: dict[str, dict[str, int]] = field(default_factory=dict)


def material(config: Config) -> Material:
    """The sources of a configuration.

    Raises:
        UserError: A manifest or one of its files that cannot be read.
    """
    if config.sources is not None:
        return Material(manifest.bodies(config))
    bodies = miniature.monolingual(config)
    if config.parallel == "none":
        return Material(bodies)
    bitext, rejected = miniature.bitext(config)
    return Material([*bodies, *bitext], rejected)


def held_out_text(config: Config) -> dict[str, list[str]]:
    """Held-out text by language, aligned; in the miniature old languages first.

    Raises:
        UserError: Own sources without a held-out corpus.
    """
    if config.test_corpus:
        wanted = {"languages": list(config.test_languages)} if config.test_languages else {}
        table = corpora.load(config.test_corpus, **wanted)
        codes = [name for name in table.column_names if name not in ("key", "value", "kind")]
        return {code: list(table[code]) for code in codes}
    if config.sources:
        raise UserError("Own sources need held-out text: give --test-corpus, a .tsv with a column per language.")
    rows = miniature.messages_of(config).held_out(config.split)
    return {code: [row[code] for row in rows] for code in miniature.languages(config)}


def old_languages(config: Config, codes: Iterable[str]) -> list[str]:
    """Those that must not be lost, of the languages that are measured.

    Raises:
        UserError: One that is named is not measured.
    """
    codes = list(codes)
    if unknown := [code for code in config.old_languages if code not in codes]:
        raise UserError(
            f"old_languages names {unknown[0]!r}, which the test text lacks: choose among {' '.join(codes)}."
        )
    old = set(config.old_languages) or {*ENGLISH, *(() if config.test_corpus else config.other_high)}
    return [code for code in codes if code in old]


def translation_rows(config: Config) -> list[dict[str, str]]:
    """Held-out sentences in all languages among which translation is measured."""
    if config.sources is None and config.parallel_text == "numbers":
        return miniature.numbers_of(config).held_out(config.split)[: config.translation_items]
    text = held_out_text(config)
    rows = zip(*(text[code] for code in text), strict=True)
    return [dict(zip(text, row, strict=True)) for row in itertools.islice(rows, config.translation_items)]
