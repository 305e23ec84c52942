"""Choose a mixture for your own model and languages, clean a corpus, measure how much a model mixes languages.

    python -m papers.cpt_mixing.use grid tiny
    python -m papers.cpt_mixing.use grid sources.jsonl --model my-model --test-corpus held_out.tsv --tokens 2e7
    python -m papers.cpt_mixing.use clean corpus.jsonl --examples languages.tsv --out clean.jsonl
    python -m papers.cpt_mixing.use mixing outputs.jsonl --examples languages.tsv

`grid` trains the mixtures that the sources allow, all on as many tokens, and ends with one table and the mixture to
take; `grid tiny` prints the recorded one. The manifest is described in `core.corpora.manifest`; its categories are
mono, bi, code and english. `clean` and `mixing` tell languages by example text, or by any function of yours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, execute, tools
from core.experiment.trying import Try
from papers.cpt_mixing.config import VARIANTS, Config
from papers.cpt_mixing.method import fidelity, is_monolingual, recommend

if TYPE_CHECKING:
    from core.corpora.filtering import Identify

COLUMNS = ("target_bits", "related_bits", "english_bits", "fidelity", "fidelity_line", "right")
# What the sources have to hold for a mixture.
NEEDS = {
    "mono": {"mono"}, "mono_code": {"mono", "code"}, "bi": {"bi"}, "bi_code": {"bi", "code"},
    "replay": {"mono", "english"},
}  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """Train and measure every mixture that the sources allow; one table, and which mixture to take."""

    sources: tyro.conf.Positional[str]
    """Manifest of sources (JSON lines); or `tiny` for the recorded grid of the miniature."""
    model: str | None = None
    """Base to continue: hub id or folder."""
    test_corpus: str | None = None
    """Held-out parallel text: .tsv, .jsonl or a folder, with English (en or eng_Latn) and the languages."""
    tokens: Annotated[float, Range(1)] = 1e7
    """Budget of every mixture."""
    code: Annotated[float, Range(0, 1)] = 0.33
    """Share of code in the mixtures that have it."""
    replay: Annotated[float, Range(0, 1)] = 0.2
    """Share of English in the mixture that has it."""
    labelled: str | None = None
    """Topics to classify: a folder in the format of SIB-200 (`core.tasks.labelled`)."""
    learning_rate: Annotated[float, Range(0, 10)] = 4e-5
    """Largest rate (the paper's)."""
    max_length: Annotated[int, Range(8)] = 2048
    """Tokens of a row."""
    batch_size: Annotated[int, Range(1)] = 8
    """Rows of a step."""
    held_out: Annotated[int, Range(2)] = 200
    """Rows of the test corpus that are measured."""
    seed: Seed = 0
    """Of the order of the data and of what is sampled."""
    out: Path = Path("grid")
    """A run for each mixture, and `grid.tsv`; what is finished there is not done again."""


@dataclass(frozen=True)
class Clean:
    """Drop documents whose sentences are in different languages."""

    corpus: tyro.conf.Positional[str]
    """.jsonl with a column `text`, .txt with a document a line, or a hub dataset."""
    examples: str | None = None
    """Example text by language, a .tsv, .jsonl or folder with a column a language, from which languages are told."""
    identify: str | None = None
    """Instead: file.py:function of yours that returns an identifier, sentences -> labels (such as GlotLID's)."""
    out: Path = Path("clean.jsonl")
    """JSON lines: the documents that stay, with all columns that they had."""


@dataclass(frozen=True)
class Mixing:
    """Say how many texts of a model are in the language wanted, and how many in English."""

    outputs: tyro.conf.Positional[str]
    """JSON lines with `text` and `language`, the code that it should have."""
    examples: str | None = None
    """As of `clean`."""
    identify: str | None = None
    """As of `clean`."""
    english: str = "en"
    """The label of English in the examples, such as eng_Latn."""


def grid(options: Grid) -> None:
    """Run the mixtures, print the table and the recommendation."""
    from core.experiment.paper import find
    from core.experiment.results import recorded
    from core.files import write_table

    if options.sources == "tiny":
        record = recorded(find("cpt_mixing"))
        if record is None:
            raise UserError("The miniature is not recorded: run `papers reproduce cpt_mixing --record`.")
        cells = record.measurements
        rows = {n: {m: record.mean(n, m) for m in next(iter(c.values())).metrics} for n, c in cells.items()}
    else:
        rows = measured(options)
    table = {name: _row(row) for name, row in rows.items()}
    print(f"{'mixture':12s}" + "".join(f"{column:>15s}" for column in COLUMNS))
    for name, row in table.items():
        print(f"{name:12s}" + "".join(f"{row[c]:15.3f}" if c in row else f"{'-':>15s}" for c in COLUMNS))
    name, why = recommend({n: row for n, row in table.items() if n in NEEDS}, table["base"])
    print(f"take {name}: {why}")
    if options.sources != "tiny":
        write_table(
            options.out / "grid.tsv", [{"mixture": n, **{c: r.get(c) for c in COLUMNS}} for n, r in table.items()]
        )


def _row(metrics: Mapping[str, float]) -> dict[str, float]:
    """Columns of the table; `right` is the mean of all levels of languages that are learnt."""
    levels = [metrics[name] for name in ("right_high", "right_mid", "right_low", "right_target") if name in metrics]
    return {**metrics, **({"right": fmean(levels)} if levels else {})}


def measured(options: Grid) -> dict[str, dict[str, float]]:
    """Train and evaluate each mixture in a run of its own.

    Raises:
        UserError: No model or test corpus, or sources of no mixture.
    """
    from core.experiment.run import Run
    from papers.cpt_mixing import data, train
    from papers.cpt_mixing import eval as evaluation

    small = Config()
    training = replace(
        small.training, learning_rate=options.learning_rate, max_length=options.max_length, precision="auto",
        batch_size=options.batch_size, warmup=0.03,
    )  # fmt: skip
    config = Config(
        seed=options.seed, model=options.model, sources=options.sources, test_corpus=options.test_corpus,
        tokens=options.tokens, labelled=options.labelled, held_out=options.held_out, training=training,
    )  # fmt: skip
    there = {entry.category for entry in data.entries(options.sources)}
    shares = {"code": options.code, "english": options.replay}
    there -= {category for category, share in shares.items() if not share}
    names = [name for name, needed in NEEDS.items() if needed <= there]
    if not names:
        raise UserError(f"{options.sources} has the categories {', '.join(sorted(there))}: name mono or bi sources.")
    found: dict[str, dict[str, float]] = {}
    for name in ("base", *names):
        changes = dict(VARIANTS[name])
        changes |= {share: getattr(options, share) for share in ("code", "replay") if changes.get(share)}
        run = Run(options.out / name, "cpt_mixing", replace(config, **changes), options.out / "stages")
        with run.held():
            run.open()
            if not run.finished("train"):
                execute(train.train, run, "train")
            if not run.finished("measurement"):
                execute(evaluation.evaluate, run, "eval")
        found[name] = (run.finished("measurement") or {})["metrics"]
    return found


def identifier(examples: str | None, function: str | None) -> Identify:
    """From example text, or a function of the user's.

    Raises:
        UserError: Neither or both, or examples of one language.
    """
    from core import corpora
    from core.corpora import filtering
    from core.plugins import own

    if (examples is None) == (function is None):
        raise UserError("Give --examples (text by language) or --identify (file.py:function) to tell languages apart.")
    if function is not None:
        return own(function, "identifier")
    table = corpora.read_parallel(str(examples))
    known = {code: [text for text in table[code] if text] for code in corpora.codes(table.column_names)}
    if len(known) < 2:
        raise UserError(f"{examples} has one language: give examples of all that may occur.")
    return filtering.identifier(known)


def clean(options: Clean) -> None:
    """Write what stays, as it came, and say how much went."""
    from core.corpora import adapted, manifest, read_rows
    from core.files import write_rows

    identify, documents = identifier(options.examples, options.identify), 0

    def kept() -> Iterator[Mapping[str, Any]]:
        nonlocal documents
        if options.corpus.endswith(".txt"):
            rows: Any = ((text, {"text": text}) for text in manifest.texts(options.corpus))
        else:
            found = read_rows(options.corpus, streaming=True)
            rows = adapted(options.corpus, found, lambda row, _: (manifest.adapt_text(row), row))
        for text, row in rows:
            documents += 1
            if is_monolingual(text, identify):
                yield row

    stayed = write_rows(options.out, kept())
    print(f"{options.out}: {stayed} of {documents} documents are of one language")


def mixing(options: Mixing) -> None:
    """Print fidelity, and what was English, by language."""
    from core import corpora

    rows = [*corpora.adapted(options.outputs, corpora.read_rows(options.outputs), _output)]
    texts, wanted = [text for text, _ in rows], [code for _, code in rows]
    if options.examples is not None:
        known = corpora.codes(corpora.read_parallel(options.examples).column_names)
        if strange := [code for code in (*wanted, options.english) if code not in known]:
            raise UserError(f"{options.examples} has no column {strange[0]!r}, but {', '.join(known)}: name it alike.")
    right, english = fidelity(texts, wanted, identifier(options.examples, options.identify), mixed_into=options.english)
    by: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for code, *told in zip(wanted, right, english, strict=True):
        by[code].append((told[0], told[1]))
    print(f"{'language':12s}{'texts':>8s}{'in it':>8s}{'English':>9s}")
    for code, values in by.items():
        print(f"{code:12s}{len(values):8d}{fmean(v for v, _ in values):8.2f}{fmean(v for _, v in values):9.2f}")


def _output(row: Mapping[str, Any], number: int) -> tuple[str, str]:
    if not isinstance(row.get("text"), str) or not isinstance(row.get("language"), str):
        raise UserError('write {"text": "...", "language": "sw"}.')
    return row["text"], row["language"]


VERBS: Verbs = {"grid": (Grid, grid), "clean": (Clean, clean), "mixing": (Mixing, mixing)}

TRY = Try(
    command="mixing {data}",
    data='JSON lines with "text" and "language".',
    means="Fidelity: the share of texts in the language that they should be in; the rest is mixing.",
    limits="Short texts and near languages are told apart badly: try the identifier on text that you know first.",
    more="--examples languages.tsv",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.cpt_mixing.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
