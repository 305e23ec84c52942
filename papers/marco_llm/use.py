"""Use Marco-LLM's recipe on your own sources and models.

    python -m papers.marco_llm.use plan paper
    python -m papers.marco_llm.use plan sources.jsonl --stage1 english=0.8 low=0.2 --tokens 2e9
    python -m papers.marco_llm.use sample sources.jsonl --stage1 english=0.8 low=0.2 --tokens 2e7 --out mixture
    python -m papers.marco_llm.use render en-sw.tsv --languages en sw --out en-sw.jsonl
    python -m papers.marco_llm.use report --model my-model --corpus held_out.tsv --languages en sw yo
    python -m papers.marco_llm.use average belebele.tsv results.json --languages en sw yo

`plan` tells what a mixture would read before anyone pays for it; `sample` writes it, a JSONL file a stage, for any
trainer; `render` filters bitext and turns it into pre-training text; `report` translates from every language into every
other; `average` has the averages of benchmarks by language. The manifest is described in `core.corpora.manifest`.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from papers.marco_llm.config import TEMPLATES, Config, Letter, parse_shares


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
    tokenizer: str | None = None
    """Counts sources of unknown size (hub id or folder); none = UTF-8 bytes."""


@dataclass(frozen=True)
class Sample(Plan):
    """Write the documents of a mixture in the order in which a model should read them."""

    out: Path = Path("mixture")
    """Folder for stage1.jsonl, stage2.jsonl (text, source, category) and plan.txt."""
    seed: Seed = 0
    """Of order and templates."""


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


@dataclass(frozen=True)
class Average:
    """Average scores by language: over the benchmarks that include the language, as in the paper's Tables 6 and 7."""

    scores: tyro.conf.Positional[tuple[str, ...]]
    """A file a benchmark: `language <TAB> score` lines, or the results_*.json of lm-evaluation-harness."""
    languages: tuple[str, ...]
    """Codes."""


class _Bytes:
    """Stands in for a tokenizer: a byte is a token."""

    bos_token_id, eos_token_id = None, 0

    def __call__(self, texts: list[str], **options: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [list(text.encode()) for text in texts]}


def tokenizer_of(options: Plan) -> Any:
    """What counts tokens."""
    from core.models.loading import load_tokenizer

    return load_tokenizer(options.tokenizer) if options.tokenizer else _Bytes()


def mixture_of(options: Plan, tokenizer: Any) -> tuple[Any, list[Any]]:
    """The mixture of a manifest, and the bodies of its text.

    Raises:
        UserError: Shares without a budget, or the other way round.
    """
    from core.corpora import manifest
    from core.training.documents import tokenise
    from papers.marco_llm import data
    from papers.marco_llm.method import StagedMixture

    shares = [parse_shares(stage, "the shares") for stage in (options.stage1, options.stage2) if stage]
    if not shares or len(shares) != len(options.tokens):
        raise UserError("Give --stage1 (and --stage2) with shares such as english=0.8 low=0.2, and --tokens for each.")
    bodies = data.bodies(manifest.read(options.sources), Config(model="-", sources=options.sources))
    categories, _ = tokenise(bodies, tokenizer)
    return StagedMixture(categories, shares, options.tokens, [0.0] * len(shares)), bodies


def plan(options: Plan) -> None:
    """Print the table of a mixture."""
    from papers.marco_llm import data

    if options.sources == "paper" and not options.stage1:
        print(data.paper_plan().table())
    else:
        print(mixture_of(options, tokenizer_of(options))[0].plan().table())


def sample(options: Sample) -> None:
    """Write the mixture, a file a stage."""
    from core.corpora.budget import shares_text
    from core.files import replacing, write_text
    from core.training.documents import encode
    from papers.marco_llm import method

    if options.sources == "paper":
        raise UserError("The paper's own corpus is not public: give a manifest of your sources.")
    tokenizer = tokenizer_of(options)
    mixture, bodies = mixture_of(options, tokenizer)
    category = {body.name: body.category for body in bodies}
    report = mixture.plan().table()

    def length(text: str) -> int:
        return len(encode(tokenizer, [text])[0])

    texts = {body.name: body.texts for body in bodies}
    documents = method.sample(mixture, texts, length, seed=options.seed)
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


def render(options: Render) -> None:
    """Write rendered pairs and print what the filter rejected."""
    from core import corpora
    from core.corpora import filtering
    from core.files import write_rows
    from core.text.languages import name
    from papers.marco_llm import bitext

    given = (options.similarity, options.threshold) != (Render.similarity, Render.threshold)
    if given and "similarity" not in options.rules:
        raise UserError("--similarity and --threshold belong to the rule `similarity`: add it to --rules.")
    source, target = options.languages
    pairs = [(row[source], row[target]) for row in corpora.load(options.bitext, languages=[source, target])]
    similarity = bitext.similarity(options.similarity) if "similarity" in options.rules else None
    clean = filtering.filter_parallel(pairs, rules=options.rules, similarity=similarity, threshold=options.threshold)
    names = name(source), name(target)
    texts = bitext.render_parallel(clean.kept, *names, options.templates, options.seed, options.direction)
    write_rows(options.out, ({"text": text} for text in texts))
    print(f"{len(clean.kept)} of {len(pairs)} pairs kept, {len(texts)} texts: {options.out}")
    print(", ".join(f"{rule} {count}" for rule, count in clean.rejected.items()))


def report(options: Report) -> None:
    """Print the matrices of chrF and BLEU."""
    from core import corpora
    from core.models import loading
    from core.tasks.translation import all_pairs, matrix, translate, with_examples
    from papers.marco_llm.eval import asking, by_direction

    wanted = {"languages": list(options.languages)} if options.languages else {}
    table = corpora.load(options.corpus, **wanted)
    codes = options.languages or tuple(code for code in table.column_names if code != "key")
    rows: list[Any] = [dict(row) for row in table.select(range(min(len(table), options.items + options.shots)))]
    parts, question = with_examples(rows, all_pairs(codes), asking(options.template), options.shots)
    model, tokenizer = loading.load(options.model)
    outputs = translate(model, tokenizer, parts, question, max_new_tokens=options.max_new_tokens, stop=["\n"])
    found = by_direction(parts, outputs)
    print(f"{matrix(found['chrf'], codes, 'chrf')}\n\n{matrix(found['bleu'], codes, 'bleu')}")


def average(options: Average) -> None:
    """Print the average of each language and over how many benchmarks it goes."""
    from core.tasks.scores import averages, read_scores

    found = averages([read_scores(path, options.languages) for path in options.scores])
    if not found:
        raise UserError("There is no score to average: give files of scores, and --languages that they have.")
    for code, (value, number) in found.items():
        print(f"{code}\t{value:.3f}\t{number} benchmarks")
    print(f"average\t{sum(value for value, _ in found.values()) / len(found):.3f}\t{len(found)} languages")


VERBS: Verbs = {
    "plan": (Plan, plan),
    "sample": (Sample, sample),
    "render": (Render, render),
    "report": (Report, report),
    "average": (Average, average),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.marco_llm.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
