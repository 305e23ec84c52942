"""Use Marco-LLM's recipe on your own sources and models.

    python -m papers.marco_llm.use plan paper --stage1 english=0.5 low=0.5 --tokens 1e12
    python -m papers.marco_llm.use plan sources.jsonl --stage1 english=0.8 low=0.2 --tokens 2e9
    python -m papers.marco_llm.use render en-sw.tsv --languages en sw --out en-sw.jsonl
    python -m papers.marco_llm.use report --model my-model --corpus held_out.tsv --languages en sw yo

`plan` tells what a mixture would read before anyone pays for it; `render` filters bitext and turns it into pre-training
text; `report` translates from every language into every other. The manifest is described in `core.corpora.manifest`;
its bitext is filtered and rendered while it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from papers.marco_llm.config import Config, parse_shares


@dataclass(frozen=True)
class Plan:
    """Say how many tokens a mixture reads of each source, how often it repeats them, and what is wrong with it."""

    sources: tyro.conf.Positional[str]
    """Manifest of sources (JSON lines), or `paper` for the paper's own."""
    stage1: tuple[str, ...] = ()
    """Token shares of the categories, as english=0.8 low=0.2."""
    stage2: tuple[str, ...] = ()
    """Shares of a second stage; none = one stage."""
    tokens: tuple[Annotated[float, Range(1)], ...] = ()
    """Budget of each stage in tokens; in bytes, where sizes are counted in bytes."""
    tokenizer: str | None = None
    """Counts sources of unknown size (hub id or folder); none = UTF-8 bytes, and the plan says so."""


@dataclass(frozen=True)
class Render:
    """Filter bitext and render it in the eleven templates."""

    bitext: tyro.conf.Positional[str]
    """A .tsv or .jsonl with a column per language, or a folder with one <code>.txt per language."""
    languages: tuple[str, str]
    """Codes of the two languages."""
    out: Path = Path("parallel.jsonl")
    """JSON lines with `text`."""
    similarity: str | None = None
    """Also filter by meaning: `alignment`, or an encoder such as sentence-transformers/LaBSE."""
    threshold: Annotated[float, Range(-1, 1)] = 0.7
    """Smallest similarity."""


@dataclass(frozen=True)
class Report:
    """Translate held-out sentences from every language into every other, with a base model."""

    model: str
    """Hub id or folder."""
    corpus: str
    """Parallel text: .tsv, .jsonl, folder, or a corpus name such as flores200."""
    languages: tuple[str, ...] = ()
    """Codes; none = all that the corpus has."""
    items: Annotated[int, Range(1)] = 100
    """Sentences per direction."""
    shots: Annotated[int, Range(0)] = 1
    """Solved examples in the prompt (the paper: 1)."""
    max_new_tokens: Annotated[int, Range(1)] = 128
    """Longest translation."""


def plan(options: Plan) -> None:
    """Print the table of a mixture, and what the filter took out where bitext was counted."""
    from core.models.loading import load_tokenizer
    from core.training.documents import stated_or_bytes, tokenise
    from papers.marco_llm import data
    from papers.marco_llm.method import StagedMixture

    paper, guessed, rejected, unit = options.sources == "paper", list[str](), data.Rejected(), "tokens"
    if paper and not (options.stage1 or options.stage2 or options.tokens):
        print(data.paper_plan().table())
        return
    shares = [parse_shares(stage, "the shares") for stage in (options.stage1, options.stage2) if stage]
    if not shares or len(shares) != len(options.tokens):
        raise UserError("Give --stage1 (and --stage2) with shares such as english=0.8 low=0.2, and --tokens for each.")
    if paper:
        sizes, guessed = data.paper_sizes()
    else:
        bodies, rejected = data.material(Config(model="-", sources=options.sources))
        if options.tokenizer:
            sizes = tokenise(bodies, load_tokenizer(options.tokenizer))[0]
        else:
            sizes, unit = stated_or_bytes(bodies)
    mixture = StagedMixture(sizes, shares, options.tokens, [0.0] * len(shares))
    print(mixture.plan(guessed, unit).table(), data.rejections(rejected), sep="\n", end="")


def render(options: Render) -> None:
    """Write rendered pairs and print what the filter rejected."""
    from core import corpora
    from core.corpora import filtering
    from core.files import write_rows
    from core.text.languages import name
    from papers.marco_llm import bitext

    source, target = options.languages
    pairs = [(row[source], row[target]) for row in corpora.load(options.bitext, languages=[source, target])]
    similarity = bitext.similarity(options.similarity) if options.similarity else None
    clean = filtering.filter_parallel(pairs, similarity=similarity, threshold=options.threshold)
    texts = bitext.render_parallel(clean.kept, name(source), name(target))
    write_rows(options.out, ({"text": text} for text in texts))
    print(f"{len(clean.kept)} of {len(pairs)} pairs kept: {options.out}")
    print(", ".join(f"{rule} {count}" for rule, count in clean.rejected.items()))


def report(options: Report) -> None:
    """Print the matrices of chrF and BLEU."""
    from core import corpora
    from core.models import loading
    from core.tasks.translation import all_pairs, matrix, translate, with_examples
    from papers.marco_llm.eval import by_direction, question

    wanted = {"languages": list(options.languages)} if options.languages else {}
    table = corpora.load(options.corpus, **wanted)
    codes = options.languages or corpora.codes(table.column_names)
    rows: list[Any] = [dict(row) for row in table.select(range(min(len(table), options.items + options.shots)))]
    parts, asked = with_examples(rows, all_pairs(codes), question, options.shots)
    outputs = translate(*loading.load(options.model), parts, asked, max_new_tokens=options.max_new_tokens, stop=["\n"])
    found = by_direction(parts, outputs)
    print(f"{matrix(found['chrf'], codes, 'chrf')}\n\n{matrix(found['bleu'], codes, 'bleu')}")


VERBS: Verbs = {"plan": (Plan, plan), "render": (Render, render), "report": (Report, report)}

TRY = Try(
    command="report --model {model} --corpus {data}",
    data="aligned sentences, a column a language.",
    means="chrF and BLEU from every language into every other: which ones a base model reads and writes, and what a "
    "stage changed.",
    limits="Scores depend on the text and on the language that is written: compare models on the same file and "
    "direction.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.marco_llm.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
