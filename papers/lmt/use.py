"""Use LMT on your own corpus and with your own model.

    python -m papers.lmt.use build my_corpus.tsv --pivots en --out my_set
    python -m papers.lmt.use check my_set/sft.jsonl
    python -m papers.lmt.use translate --model NiuTrans/LMT-60-1.7B --source de --target en < german.txt > english.txt

`build` writes chat JSON lines and a manifest; `check` says how often each target sentence is an answer, in any set of
pairs; `translate` reads one sentence a line. A corpus is a `.tsv` or `.jsonl` with one column per language, or a folder
with one `<code>.txt` per language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed, name_values
from core.experiment.entrypoint import Verbs, tools


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
    auxiliary: tuple[str, ...] = ()
    """Auxiliary languages as ca=es; none = Table 12 of the paper, and for other languages a relative in the corpus."""
    prompt_style: Literal["release", "paper"] = "release"
    """Wording of the prompts."""
    seed: Seed = 0
    """Of the draws."""


@dataclass(frozen=True)
class Check:
    """Tell whether a set of translation pairs repeats its targets so often that X -> pivot is at risk."""

    pairs: tyro.conf.Positional[str]
    """JSON lines with source, target, source_text and target_text (or a translation column), or a hub data set."""


@dataclass(frozen=True)
class Translate:
    """Translate lines from standard input or a file."""

    model: str
    """Hub id or folder of a fine-tuned model, such as NiuTrans/LMT-60-0.6B."""
    source: str
    """Code of the language of the input."""
    target: str
    """Code of the language to translate into."""
    mode: Literal["dt", "pmp_s", "pmp_o"] = "dt"
    """dt = directly, pmp_s = through an auxiliary sentence of the model's own, pmp_o = with given ones."""
    auxiliary: str | None = None
    """Code of the auxiliary language; none = Table 12."""
    auxiliary_file: Path | None = None
    """For pmp_o: the sentences in the auxiliary language, one a line."""
    input: Path | None = None
    """File to translate; none = standard input."""
    prompt_style: Literal["release", "paper", "tags"] = "release"
    """Wording of the prompt: the released checkpoints know `release`."""
    num_beams: Annotated[int, Range(1)] = 5
    """Beams (released script: 5)."""
    max_new_tokens: Annotated[int, Range(1)] = 512
    """Longest translation in tokens (released script: 512)."""


def build(options: Build) -> None:
    """Write the fine-tuning set of a corpus and print what it holds."""
    from core import corpora
    from core.text.families import nearest
    from papers.lmt import data, languages

    wanted = {"languages": [*options.pivots, *options.languages]} if options.languages else {}
    items = [dict(row) for row in corpora.load(options.corpus, **wanted)]
    codes = [code for code in items[0] if code not in ("key", "value", *options.pivots)]
    table: dict[str, str] = {}
    for code in codes:
        listed = languages.auxiliary_for(options.pivots[0], code, options.pivots)
        near = listed if listed in codes else nearest(code, codes, languages.LANGUAGES)
        table |= {code: near} if near else {}
    table |= name_values("--auxiliary", options.auxiliary, "ca=es (the language, then the language that helps it)", str)
    shares: dict[str, Any] = {"retention_p": options.retention_p, "pmp_fraction": options.pmp_fraction}
    examples = data.build_sft(items, options.pivots, codes, **shares, auxiliaries=table, seed=options.seed)
    settings = {"corpus": options.corpus, **shares, "auxiliaries": table, "seed": options.seed}
    facts = data.write_sft(options.out, examples, options.pivots, options.prompt_style, **settings)
    print(
        f"{facts['examples']} examples: {facts['forward']} from a pivot, {facts['reverse']} into one, "
        f"{facts['parallel_prompts']} with an auxiliary sentence. {options.out / 'sft.jsonl'}"
    )


def check(options: Check) -> None:
    """Print the repetition of targets, of every target language and the worst directions, and a warning."""
    from papers.lmt import data, method

    found = method.target_repetition(data.read_examples(options.pairs))
    into = [name for name in found if name.startswith("*-")]
    worst = [name for name in found if name not in into]
    print("direction     examples  targets  sources per target (mean, max)")
    for name in [*into, *worst[:10]]:
        entry = found[name]
        print(f"{name:12s} {entry.examples:9d} {entry.targets:8d}  {entry.mean:8.1f} {entry.maximum:6d}")
    if len(worst) > 10:
        print(f"and {len(worst) - 10} directions that repeat no more")
    if risky := ", ".join(name[2:] for name in into if found[name].risky):
        print(
            f"Each sentence in {risky} answers more than {method.RISKY} different sources: keep 5 to 20 % of the pairs "
            f"into {risky}, drawn pair by pair (papers.lmt.use build does)."
        )


def translate(options: Translate) -> None:
    """Translate line by line, in batches."""
    from core.files import read_lines, standard_input
    from core.models import loading
    from papers.lmt import prompts

    if options.model.startswith("NiuTrans/LMT-60-") and options.model.endswith("-Base"):
        raise UserError(f"{options.model} is pre-trained only and repeats the prompt: use the model without -Base.")
    texts = read_lines(options.input) if options.input else standard_input()
    given = read_lines(options.auxiliary_file) if options.auxiliary_file else None
    model, tokenizer = loading.load(options.model)
    outputs = prompts.translate(
        model, tokenizer, texts, options.source, options.target, mode=options.mode, auxiliary=options.auxiliary,
        auxiliary_texts=given, style=options.prompt_style, num_beams=options.num_beams,
        max_new_tokens=options.max_new_tokens,
    )  # fmt: skip
    for line in outputs:
        print(line)


VERBS: Verbs = {"build": (Build, build), "check": (Check, check), "translate": (Translate, translate)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.lmt.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
