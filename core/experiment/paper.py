"""The card of a paper: what it says, as data that code can compare with what came out.

A claim is *treatment minus control, in a metric*. Nobody types its verdict: :mod:`core.experiment.reproduce`
measures the two variants over the seeds and :func:`core.experiment.results.judge` compares the interval of the
difference with the margin.

This module imports nothing heavy, so that `papers list` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from core.errors import UserError

PAPERS_DIR = Path(__file__).resolve().parents[2] / "papers"


@dataclass(frozen=True)
class Claim:
    """One thing that a paper says, in the form in which it can fail.

    Attributes:
        id: Short name, unique within the paper (`bilingual-beats-monolingual`).
        statement: The claim in one sentence, as measured here.
        reported: What the paper reports and where (table, section).
        metric: Key of `Measurement.metrics`.
        treatment: The variant that the claim is about.
        control: What it is compared with: a variant, a number (chance, zero), or several variants, each of which
            the treatment must beat.
        better: `higher` and `lower` name the claimed direction; `equal` claims equivalence within `margin`.
        margin: `higher`: the difference must exceed it (negative: non-inferiority). `lower`: the difference must
            lie below `-margin`. `equal`: the difference must lie within `±margin`.
        correlated_with: The statistic is then not the mean but Pearson's r over units between `metric` and this
            metric.
        control_metric: Metric of the control, where it is not the treatment's.
        paired: False when the control's units are other objects, so that there is nothing to pair.
        out_of_scale: Why this cannot be tested in miniature; such a claim is listed and not run.
    """

    id: str
    statement: str
    reported: str
    metric: str = ""
    treatment: str = ""
    control: str | float | tuple[str, ...] = 0.0
    better: Literal["higher", "lower", "equal"] = "higher"
    margin: float = 0.0
    correlated_with: str | None = None
    control_metric: str | None = None
    paired: bool = True
    out_of_scale: str | None = None

    @property
    def controls(self) -> tuple[str | float, ...]:
        """The controls as a tuple, however many there are."""
        return self.control if isinstance(self.control, tuple) else (self.control,)

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that have to be run to test this claim; none when it is out of scale."""
        if self.out_of_scale:
            return ()
        return (self.treatment, *(name for name in self.controls if isinstance(name, str)))


@dataclass(frozen=True)
class Paper:
    """The card of a paper.

    Attributes:
        slug: The one name of folder, page, test, command and results.
        title: Title as published.
        authors: `First Author et al.` or the full list.
        year: Year of the first public version.
        venue: Where it appeared.
        arxiv: arXiv identifier.
        family: The shelf it stands on (`evaluation`, `adaptation`, `fine-tuning`, ...).
        summary: The idea in one sentence.
        claims: What it says.
        minutes: Expected minutes of `papers reproduce` on two cores.
        official_code: Repository of the authors, if any.
        licence_note: Licences of the data and weights that a user of the paper scale meets.
        disclaimer: Printed by the command and on the page.
        seeds: Seeds (or item samples, where nothing is trained) of the reproduction.
        extra_variants: Variants that are run and shown though no claim names them.
        extras: Optional dependencies (extras of pyproject.toml) that the tiny scale needs.
    """

    slug: str
    title: str
    authors: str
    year: int
    venue: str
    arxiv: str
    family: str
    summary: str
    claims: tuple[Claim, ...]
    minutes: float
    official_code: str | None = None
    licence_note: str = ""
    disclaimer: str = ""
    seeds: tuple[int, ...] = (0, 1, 2)
    extra_variants: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """Every variant of the reproduction, in the order in which the claims name them."""
        named = [variant for claim in self.claims for variant in claim.variants]
        return tuple(dict.fromkeys([*named, *self.extra_variants]))

    @property
    def folder(self) -> Path:
        """The paper's folder."""
        return PAPERS_DIR / self.slug

    @property
    def url(self) -> str:
        """The paper's abstract page."""
        return f"https://arxiv.org/abs/{self.arxiv}"


@cache
def slugs() -> tuple[str, ...]:
    """Slugs of all papers in the repository, in alphabetical order."""
    return tuple(sorted(folder.parent.name for folder in PAPERS_DIR.glob("*/__init__.py")))


def find(slug: str) -> Paper:
    """The card of one paper.

    Raises:
        UserError: If there is no such paper.
    """
    if slug not in slugs():
        near = difflib.get_close_matches(slug, slugs(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the papers are {', '.join(slugs())}."
        raise UserError(f"There is no paper {slug!r}: {hint}")
    return importlib.import_module(f"papers.{slug}").PAPER


def discover() -> tuple[Paper, ...]:
    """The cards of all papers, in alphabetical order of their slugs."""
    return tuple(find(slug) for slug in slugs())


def public(
    package: str, **modules: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], tuple[str, ...]]:
    """The public names of a paper, each imported when it is first asked for, so that the package stays light.

        __getattr__, __dir__, __all__ = public(__name__, method=("adapt", "merge"), use=("serve",))

    Args:
        package: `__name__` of the paper.
        modules: Its modules, each with the names that are public.

    Returns:
        The package's `__getattr__`, `__dir__` and `__all__` (the names and `PAPER`).
    """
    home = {name: module for module, names in modules.items() for name in names}
    exported = ("PAPER", *home)

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules.get(package)
            )
        return getattr(importlib.import_module(f"{package}.{home[name]}"), name)

    return load, lambda: sorted(exported), exported
