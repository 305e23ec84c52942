"""LangSAMP on your own: how neutral an encoder is, and which language to learn from.

    python -m papers.langsamp.use neutrality lines.tsv --model FacebookAI/xlm-roberta-base --layer 8
    python -m papers.langsamp.use donors --tables runs/mine/artifact --target hau --candidates swh eng fra

To train an encoder with the tables give `papers.langsamp.train` a folder with one text file a language and script.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try


@dataclass(frozen=True)
class Neutrality:
    """Say how much of the language is in an encoder's sentence vectors."""

    lines: tyro.conf.Positional[str]
    """Parallel lines in at least two languages: .tsv or .jsonl with a column per language code, a folder of aligned
    <language>.txt, or a hub dataset."""
    model: str
    """Hub id, folder or wheel."""
    layer: Annotated[int | None, Range(-1)] = None
    """Layer whose states are averaged; left out = as the encoder's authors pool it."""


@dataclass(frozen=True)
class Donors:
    """Name the languages whose vectors are most like a target's: sources of zero-shot transfer."""

    tables: Path
    """The artifact folder of a run of `papers.langsamp.train`."""
    target: str
    """The language to transfer to, as the tables call it."""
    candidates: tuple[str, ...] = ()
    """Languages with training data; left out = all others."""
    k: Annotated[int, Range(1)] = 5
    """How many to name."""


def neutrality(options: Neutrality) -> None:
    """Print pair cosine, margin and share of variance by language, and their means.

    Raises:
        UserError: Fewer than two languages, or the model cannot be had.
    """
    from core import corpora
    from core.models.embedding import Pooling, load_encoder
    from papers.langsamp import eval as evaluation

    table = corpora.read_parallel(options.lines)
    codes = [name for name in table.column_names if name != "key"]
    if len(codes) < 2 or len(table) < 2:
        raise UserError(f"{options.lines} needs two languages and two lines at least: add a column per language.")
    pooling = None if options.layer is None else Pooling("mean", layer=options.layer)
    encoder = load_encoder(options.model, pooling)
    found = evaluation.neutrality({code: encoder(list(table[code])).vectors.double().numpy() for code in codes})
    print("\t".join(("language", *found)))
    for code in codes:
        print("\t".join((code, *(f"{by[code]:.3f}" for by in found.values()))))
    print("\t".join(("mean", *(f"{statistics.fmean(by.values()):.3f}" for by in found.values()))))


def donors(options: Donors) -> None:
    """Print the donors, best first.

    Raises:
        UserError: No tables of languages in the folder, or a language without a row.
    """
    from papers.langsamp import method
    from papers.langsamp.train import load_tables

    tables = load_tables(options.tables)
    if tables.language is None:
        raise UserError(f"{options.tables} has script vectors alone: train with --use-lang.")
    try:
        found = method.donors(tables, options.target, options.candidates or tables.languages, options.k)
    except ValueError as error:
        raise UserError(str(error)) from None
    print("\n".join(found))


VERBS: Verbs = {"neutrality": (Neutrality, neutrality), "donors": (Donors, donors)}

TRY = Try(
    command="neutrality {data} --model {model}",
    data="sentences in several languages, a column each, aligned.",
    means="How alike the states of translations are, against those of other sentences, and how surely the language "
    "can be told from them.",
    limits="Alike states do not make transfer by themselves: compare scores of a task.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.langsamp.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
