"""Marco-LLM's recipe on your own sources: what a mixture would read, before anyone pays for it.

    python -m papers.marco_llm.use plan paper --stage1 english=0.5 low=0.5 --tokens 1e12
    python -m papers.marco_llm.use plan sources.jsonl --stage1 english=0.8 low=0.2 --tokens 2e9

The manifest is described in `core.corpora.manifest`; its bitext is filtered and rendered while it is read.
As a library: :func:`papers.marco_llm.render_parallel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
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
    """Budget of each stage in tokens."""
    tokenizer: str | None = None
    """Counts sources of unknown size (hub id or folder); none = UTF-8 bytes."""


def plan(options: Plan) -> None:
    """Print the table of a mixture, and what the filter took out where bitext was counted.

    Raises:
        UserError: Shares without budgets or budgets without shares, or shares of a category without sources.
    """
    from core.models.loading import load_tokenizer
    from papers.marco_llm import data
    from papers.marco_llm.method import StagedMixture

    ours, guessed, rejected = options.sources == "paper", list[str](), data.Rejected()
    if ours and not (options.stage1 or options.stage2 or options.tokens):
        print(data.paper_plan().table())
        return
    shares = [parse_shares(stage, "the shares") for stage in (options.stage1, options.stage2) if stage]
    if not shares or len(shares) != len(options.tokens):
        raise UserError("Give --stage1 (and --stage2) with shares such as english=0.8 low=0.2, and --tokens for each.")
    if ours:
        sizes, guessed = data.paper_sizes()
    else:
        bodies, rejected = data.bodies(options.sources, Config(model="-", sources=options.sources))
        sizes = data.sizes(bodies, load_tokenizer(options.tokenizer) if options.tokenizer else None)
    mixture = StagedMixture(sizes, shares, options.tokens, [0.0] * len(shares))
    print(mixture.plan(guessed).table(), data.rejections(rejected), sep="\n", end="")


VERBS: Verbs = {"plan": (Plan, plan)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.marco_llm.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
