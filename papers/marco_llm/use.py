"""Use Marco-LLM's recipe on your own sources and models.

    python -m papers.marco_llm.use plan paper
    python -m papers.marco_llm.use plan sources.jsonl --stage1 english=0.8 low=0.2 --tokens 2e9 --max-epochs 4
    python -m papers.marco_llm.use sample sources.jsonl --stage1 english=0.8 low=0.2 --tokens 2e7 --out mixture
    python -m papers.marco_llm.use render en-sw.tsv --languages en sw --out en-sw.jsonl
    python -m papers.marco_llm.use report --model my-model --corpus held_out.tsv --languages en sw yo

`plan` tells what a mixture would read before anyone pays for it; `sample` writes it, a JSONL file a stage, for any
trainer; `render` filters bitext and turns it into pre-training text; `report` translates from every language into every
other. The manifest of sources is described in `data.py`.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from papers.marco_llm.config import Config, parse_shares
from papers.marco_llm.templates import TEMPLATES, Letter

if TYPE_CHECKING:
    from papers.marco_llm.method import StagedMixture


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
    """Budget of each stage in tokens."""
    temperature: Annotated[float | None, Range(0.01)] = None
    """Over the languages of a category; none = equal shares, as in the paper."""
    max_epochs: Annotated[float | None, Range(0.01)] = None
    """No source is repeated more often; none = no cap."""
    tokenizer: str | None = None
    """Counts sources of unknown size (hub id or folder); none = UTF-8 bytes."""


@dataclass(frozen=True)
class Sample(Plan):
    """Write the documents of a mixture in the order in which a model should read them."""

    out: Path = Path("mixture")
    """Folder for stage1.jsonl, stage2.jsonl (text, source, category) and plan.txt."""
    seed: Seed = 0
    """Of order and templates."""
    accounting: Literal["tokens", "documents"] = "tokens"
    """What a share counts."""


@dataclass(frozen=True)
class Render:
    """Filter bitext and render it in the eleven templates."""

    bitext: tyro.conf.Positional[str]
    """A .tsv or .jsonl with a column per language, or a folder with one <code>.txt per language."""
    languages: tuple[str, str]
    """Codes of the two languages."""
    out: Path = Path("parallel.jsonl")
    """JSON lines with `text`."""
    templates: tuple[Letter, ...] = tuple(TEMPLATES)
    """Letters of Table 13."""
    direction: Literal["random", "forward", "both"] = "random"
    """Which way each pair is turned."""
    rules: tuple[Literal["same", "duplicate", "length", "similarity"], ...] = ("same", "duplicate", "length")
    """Rules of the filter; the fifth, `language`, needs text of both languages (see `filter_parallel`)."""
    similarity: str = "alignment"
    """What the rule `similarity` takes: `alignment`, or an encoder such as sentence-transformers/LaBSE."""
    threshold: Annotated[float, Range(-1, 1)] = 0.7
    """Smallest similarity."""
    seed: Seed = 0
    """Of templates and directions."""


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
    template: Letter = "C"
    """Letter of Table 13."""
    max_new_tokens: Annotated[int, Range(1)] = 128
    """Longest translation."""


class _Bytes:
    """Stands in for a tokenizer: a byte is a token."""

    bos_token_id, eos_token_id = None, 0

    def __call__(self, texts: list[str], **options: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [list(text.encode()) for text in texts]}


def mixture_of(options: Plan, tokenizer: Any) -> tuple[StagedMixture, dict[str, Callable[[], Iterable[str]]]]:
    """The mixture of a manifest, and the texts of its sources by name (none for the paper's own).

    Raises:
        UserError: Shares without a budget, or the other way round.
    """
    from papers.marco_llm import bodies, manifest, recipe
    from papers.marco_llm.method import StagedMixture

    if options.sources == "paper" and not options.stage1:
        return recipe.paper_mixture(), {}
    shares = [parse_shares(stage, "the shares") for stage in (options.stage1, options.stage2) if stage]
    if not shares or len(shares) != len(options.tokens):
        raise UserError("Give --stage1 (and --stage2) with shares such as english=0.8 low=0.2, and --tokens for each.")
    found = manifest.bodies(Config(model="-", sources=options.sources))
    categories, _ = bodies.tokenise(found, tokenizer)
    mixture = StagedMixture(categories, shares, options.tokens, [0.0] * len(shares))
    return mixture, {body.name: body.texts for body in found}


def tokenizer_of(options: Plan) -> Any:
    """What counts tokens."""
    from core.models.loading import load_tokenizer

    return load_tokenizer(options.tokenizer) if options.tokenizer else _Bytes()


def plan(options: Plan) -> None:
    """Print the table of a mixture."""
    mixture, _ = mixture_of(options, tokenizer_of(options))
    print(mixture.plan(temperature=options.temperature, max_epochs=options.max_epochs).table())


def sample(options: Sample) -> None:
    """Write the mixture, a file a stage."""
    from core.files import replacing, write_text
    from papers.marco_llm import bodies, sampler
    from papers.marco_llm.method import shares_text

    tokenizer = tokenizer_of(options)
    mixture, texts = mixture_of(options, tokenizer)
    if not texts:
        raise UserError("The paper's own corpus is not public: give a manifest of your sources.")
    planned = mixture.plan(temperature=options.temperature, max_epochs=options.max_epochs)
    category = {use.source.name: use.category for use in planned.totals}
    report = planned.table()

    def length(text: str) -> int:
        return len(bodies.encode(tokenizer, [text])[0])

    documents = sampler.sample(planned, texts, length, seed=options.seed, accounting=options.accounting)
    for stage, drawn in itertools.groupby(documents, key=lambda document: document[0]):
        read: Counter[str] = Counter()
        with replacing(options.out / f"stage{stage}.jsonl") as path, path.open("w", encoding="utf-8") as lines:
            for _, name, text in drawn:
                row = {"text": text, "source": name, "category": category[name]}
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
                read[category[name]] += length(text)
        report += f"\nrealised in stage {stage}: {shares_text(read)}"
    write_text(options.out / "plan.txt", report + "\n")
    print(report)


def render_bitext(options: Render) -> None:
    """Write rendered pairs and print what the filter rejected."""
    from core import corpora
    from core.corpora import filtering
    from core.files import write_rows
    from core.text.languages import name
    from papers.marco_llm import bodies, templates

    source, target = options.languages
    pairs = [(row[source], row[target]) for row in corpora.load(options.bitext, languages=[source, target])]
    similarity = bodies.similarity(options.similarity) if "similarity" in options.rules else None
    clean = filtering.filter_parallel(pairs, rules=options.rules, similarity=similarity, threshold=options.threshold)
    names = name(source), name(target)
    texts = templates.render_parallel(clean.kept, *names, options.templates, options.seed, options.direction)
    write_rows(options.out, ({"text": text} for text in texts))
    print(f"{len(clean.kept)} of {len(pairs)} pairs kept, {len(texts)} texts: {options.out}")
    print(", ".join(f"{rule} {count}" for rule, count in clean.rejected.items()))


def report(options: Report) -> None:
    """Print the matrices of chrF and BLEU."""
    from core import corpora
    from core.models import loading
    from papers.marco_llm import translation

    wanted = {"languages": list(options.languages)} if options.languages else {}
    table = corpora.load(options.corpus, **wanted)
    codes = options.languages or tuple(code for code in table.column_names if code != "key")
    rows: list[Any] = [dict(row) for row in table.select(range(min(len(table), options.items + options.shots)))]
    model, tokenizer = loading.load(options.model)
    found = translation.any_to_any(
        model, tokenizer, rows, codes, templates=[options.template], shots=options.shots,
        max_new_tokens=options.max_new_tokens,
    )  # fmt: skip
    print(f"{found.matrix('chrf')}\n\n{found.matrix('bleu')}")


VERBS: Verbs = {
    "plan": (Plan, plan),
    "sample": (Sample, sample),
    "render": (Render, render_bitext),
    "report": (Report, report),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.marco_llm.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
