"""BiMediX on your own data: make the second language's half of a bilingual instruction set.

    python -m papers.bimedix.use translate --rows en.jsonl --model my-chat-model --out ar.jsonl --review doubtful.jsonl

Tuning and evaluation on own files are `papers.bimedix.train` and `papers.bimedix.eval`. As a library, with a translator of
your own: :func:`papers.bimedix.translate_samples`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools


@dataclass(frozen=True)
class Translate:
    """Translate instructions with a chat model that also grades and refines what it wrote."""

    rows: str
    """English instructions: a file or hub dataset, in any of the formats of the page."""
    model: str
    """Hub id or folder of a chat model that knows both languages."""
    target: str = "ar"
    """Code of the language to translate into."""
    out: Path = Path("translated.jsonl")
    """File of the accepted instructions."""
    review: Path = Path("review.jsonl")
    """File of those that a speaker has to look at: graded too low, or drawn for the audit."""
    threshold: Annotated[float, Range(0, 100)] = 80.0
    """Grade from which on a translation is accepted. Not published."""
    refinements: Annotated[int, Range(0)] = 2
    """Most refinements of a text. Not published."""
    audit: Annotated[float, Range(0, 1)] = 0.05
    """Share of the accepted instructions that a speaker looks at all the same. Not published."""
    max_new_tokens: Annotated[int, Range(1)] = 1024
    """Longest answer of the model."""
    seed: Seed = 0
    """Of the audit."""


def translate(options: Translate) -> None:
    """Write both files and say how many instructions each holds."""
    from core.files import write_rows
    from core.inference.generation import generate
    from core.models.loading import load
    from core.tasks.samples import CHAT_TEMPLATE, dialogue, render
    from core.tasks.translated import PromptedModel, translate_samples
    from core.text.languages import name
    from papers.bimedix.data import read_samples

    samples = read_samples(options.rows, "en")
    if options.out.resolve() == options.review.resolve():
        raise UserError(f"--out and --review are both {options.out}: name two files.")
    model, tokenizer = load(options.model)
    tokenizer.chat_template = tokenizer.chat_template or CHAT_TEMPLATE

    def ask(prompt: str) -> str:
        asked = render(tokenizer, dialogue(prompt), prompt=True)
        return generate(model, tokenizer, [asked], max_new_tokens=options.max_new_tokens)[0]

    writer = PromptedModel(ask, "English", name(options.target))
    accepted, review = translate_samples(
        samples, options.target, writer.translate, writer.grade, writer.refine,
        threshold=options.threshold, refinements=options.refinements, audit=options.audit, seed=options.seed,
    )  # fmt: skip
    for path, found in ((options.out, accepted), (options.review, review)):
        write_rows(path, found)
    print(f"{options.out}: {len(accepted)} instructions; {options.review}: {len(review)} for a speaker to look at")


VERBS: Verbs = {"translate": (Translate, translate)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.bimedix.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
