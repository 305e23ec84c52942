"""Use LMT on your own corpus and with your own model.

    python -m papers.lmt.use build my_corpus.tsv --pivots en --out my_set
    python -m papers.lmt.use check my_set/sft.jsonl
    python -m papers.lmt.use translate --model NiuTrans/LMT-60-1.7B --source de --target en < german.txt > english.txt

`build` writes chat JSON lines and a manifest; `check` says how often each target sentence is an answer, in any set of
pairs; `translate` reads one sentence a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from core import corpora
from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from core.tasks.translation import translate_lines
from papers.lmt import data, method, prompts


@dataclass(frozen=True)
class Build:
    """Build a fine-tuning set with strategic downsampling and parallel multilingual prompts."""

    corpus: tyro.conf.Positional[str]
    """Multi-way corpus without gaps: .tsv, .jsonl, folder of <code>.txt, or a corpus name such as flores200."""
    out: Path = Path("sft")
    """Folder for sft.jsonl and manifest.json."""
    pivots: tuple[str, ...] = ("en",)
    """Languages on one side of every pair."""
    languages: tuple[str, ...] = ()
    """Languages on the other side; none = all others of the corpus (name them for a hub corpus)."""
    retention_p: Annotated[float, Range(0, 1)] = 0.05
    """Share of the X -> pivot examples that is kept."""
    pmp_fraction: Annotated[float, Range(0, 1)] = 0.5
    """Share of the examples that show an auxiliary sentence."""
    seed: Seed = 0
    """Of the draws."""


@dataclass(frozen=True)
class Check:
    """Tell whether a set of translation pairs repeats its targets so often that X -> pivot is at risk."""

    pairs: tyro.conf.Positional[str]
    """JSON lines with source, target, source_text and target_text (or a translation column), or a hub data set."""


@dataclass(frozen=True)
class Translate:
    """Translate the lines of standard input."""

    model: str
    """Hub id or folder of a fine-tuned model, such as NiuTrans/LMT-60-0.6B."""
    source: str
    """Code of the language to translate from."""
    target: str
    """Code of the language to translate into."""
    mode: Literal["dt", "pmp_s"] = "dt"
    """dt = directly, pmp_s = through an auxiliary sentence of the model's own, in the language of Table 12."""
    num_beams: Annotated[int, Range(1)] = 5
    """Beams (released script: 5)."""
    max_new_tokens: Annotated[int, Range(1)] = 512
    """Longest translation in tokens (released script: 512)."""


def build(options: Build) -> None:
    """Write the fine-tuning set of a corpus and say what it holds."""
    wanted = {"languages": [*options.pivots, *options.languages]} if options.languages else {}
    items = [dict(row) for row in corpora.load(options.corpus, **wanted)]
    settings: dict[str, Any] = {name: getattr(options, name) for name in ("retention_p", "pmp_fraction", "seed")}
    examples = data.build_sft(items, options.pivots, options.languages or None, **settings)
    data.write_sft(options.out, examples, corpus=options.corpus, **settings)
    forward = sum(example.source in options.pivots for example in examples)
    shown = sum(example.auxiliary is not None for example in examples)
    print(
        f"{len(examples)} examples, {forward} of them from a pivot, {shown} with an auxiliary sentence: {options.out}"
    )


def check(options: Check) -> None:
    """Print how many sources a target answers, by target language, and a warning."""
    found = method.target_repetition(data.read_examples(options.pairs))
    print("into        targets  sources per target (mean, max)")
    for code, entry in found.items():
        print(f"{code:10s} {entry.targets:8d}  {entry.mean:8.1f} {entry.maximum:6d}")
    if risky := ", ".join(code for code, entry in found.items() if entry.mean > method.RISKY):
        print(
            f"Each sentence in {risky} answers more than {method.RISKY} different sources: keep 5 to 20 % of the pairs "
            f"into {risky}, drawn pair by pair (papers.lmt.use build does)."
        )


def translate(options: Translate) -> None:
    """Print a translation a line, an empty line for an empty one."""
    from core.models import loading

    direction = options.source, options.target
    if options.model.startswith("NiuTrans/LMT-60-") and options.model.endswith("-Base"):
        raise UserError(f"{options.model} is pre-trained only and repeats the prompt: use the model without -Base.")
    auxiliary = prompts.auxiliary_for(*direction)
    if options.mode != "dt" and not auxiliary:
        raise UserError(f"No auxiliary language is known for {'-'.join(direction)}: translate it with --mode dt.")
    decoding: dict[str, Any] = {"num_beams": options.num_beams, "max_new_tokens": options.max_new_tokens}

    def write(texts: list[str]) -> list[str]:
        asked = [prompts.Example("", *direction, text, "", auxiliary) for text in texts]
        return prompts.translate_examples(*loading.load(options.model), asked, mode=options.mode, **decoding)

    translate_lines(write)


VERBS: Verbs = {"build": (Build, build), "check": (Check, check), "translate": (Translate, translate)}

TRY = Try(
    command="build {data} --out {out}",
    data="a multi-way parallel corpus, a column a language, with `en` among them.",
    means="A fine-tuning set with few examples into English, and how many sources each of its targets answers.",
    limits="It says nothing about the model that you tune: translate a test set in both directions before and after.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.lmt.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
