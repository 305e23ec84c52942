"""The card of a paper: what it says, as data that code can compare with what came out.

A claim is *treatment minus control, in a metric, in a direction*. Nobody types its outcome:
:mod:`core.experiment.reproduce` measures the two variants over the seeds, and :func:`core.experiment.results.judge`
compares the interval of the difference with zero, with the size that the claim states and with the smallest effect
that anyone would care about. A :class:`Claim` is the paper's; a :class:`Check` is ours and counted apart.

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

FAMILIES: dict[str, str] = {
    "evaluation": "measure what models know, understand and get wrong, by language",
    "encoders": "adapt encoders, vocabularies and word vectors to languages and scripts",
    "pre-training": "go on training on text of more languages",
    "instruction tuning": "teach chat models to follow in other languages",
    "translation": "train translators",
    "reasoning": "carry reasoning over to other languages",
    "merging": "look inside, mix and merge models",
    "images": "read and draw pictures in many languages",
}
"""The shelves that papers stand on, in their order, and what papers of each do."""
DEEDS: dict[str, str] = {
    "measure": "say what models know, in which language, and how far a number can be trusted",
    "adapt": "fit a model that there is to more languages, scripts or tasks",
    "merge": "make one of several models, vocabularies or checkpoints",
    "train": "teach a model by its whole text: pre-training, tuning, preferences",
}
"""What papers do: the tags by which they are found, whatever their shelf."""
_USUAL: dict[str, tuple[str, ...]] = {"evaluation": ("measure",), "encoders": ("adapt",), "merging": ("merge",)}
PAPERS_DIR = Path(__file__).resolve().parents[2] / "papers"


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something measured in the form in which it can fail; a check is ours: an ablation, a limit, a sanity test.

    Attributes:
        id: Short name, unique within the paper (`bilingual-beats-monolingual`).
        statement: What is said, in one sentence, as measured here.
        metric: Key of `Measurement.metrics`.
        treatment: The variant that the statement is about.
        control: What it is compared with: a variant, a number (chance, zero), or several variants, each of which
            the treatment must beat.
        better: The direction that is claimed; `equal` claims that the two lie within `size` of each other.
        size: The size m that the claim states, at least 0; 0 where it only states a direction.
        keeps: The claim is that nothing is lost: the treatment may be worse by at most `size` (non-inferiority).
        smallest: The smallest effect s that anyone would care about; an interval within ±s is an absent effect.
        unit: What the interval generalises over, as the levels of the unit's path down to the one that is drawn:
            `language` draws languages whole, `language/item` items, `seed` nothing but seeds.
        correlated_with: The statistic is then not the mean but Pearson's r over units between `metric` and this
            metric.
        control_metric: Metric of the control, where it is not the treatment's.
        paired: False when the control's units are other objects, so that there is nothing to pair.
        premises: Ids of what the method takes for granted; if one does not hold, nothing is judged.
        null: The variant in which the effect is broken on purpose; in the treatment's place it must not reproduce.
    """

    id: str
    statement: str
    metric: str = ""
    treatment: str = ""
    control: str | float | tuple[str, ...] = 0.0
    better: Literal["higher", "lower", "equal"] = "higher"
    size: float = 0.0
    keeps: bool = False
    smallest: float = 0.0
    unit: str = "seed"
    correlated_with: str | None = None
    control_metric: str | None = None
    paired: bool = True
    premises: tuple[str, ...] = ()
    null: str | None = None

    @property
    def controls(self) -> tuple[str | float, ...]:
        """The controls as a tuple, however many there are."""
        return self.control if isinstance(self.control, tuple) else (self.control,)

    @property
    def depth(self) -> int:
        """How many leading parts of a unit's path make the unit that is drawn; 0 draws seeds alone."""
        return 0 if self.unit == "seed" else self.unit.count("/") + 1

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that have to be run to judge this."""
        named = (self.treatment, *(name for name in self.controls if isinstance(name, str)))
        return (*named, self.null) if self.null else named


@dataclass(frozen=True, kw_only=True)
class Claim(Check):
    """One thing that a paper says.

    Attributes:
        reported: What the paper reports and where (table, section): its number, or its sentence.
        out_of_scale: Why this cannot be tested in miniature; such a claim is listed and not run.
    """

    reported: str
    out_of_scale: str | None = None

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that have to be run to test this claim; none when it is out of scale."""
        return () if self.out_of_scale else super().variants


@dataclass(frozen=True, kw_only=True)
class Premise:
    """What a method takes for granted of its base (that it translates, knows the fact, drafts well), measured.

    Attributes:
        id: Short name, which claims refer to.
        statement: What has to hold, in one sentence.
        metric: Key of `Measurement.metrics`.
        variant: The variant that measures it.
        at_least: It holds where the metric reaches this in every seed.
    """

    id: str
    statement: str
    metric: str
    variant: str
    at_least: float


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The card of a paper.

    Attributes:
        slug: The one name of folder, page, test, command and results.
        title: Title as published.
        authors: `First Author et al.` or the full list.
        year: Year of the first public version.
        venue: Where it appeared.
        arxiv: arXiv identifier.
        family: The shelf it stands on, one of `FAMILIES`.
        deeds: What it does, of `DEEDS`; empty where that is what its family usually does, see `tags`.
        summary: The idea in one sentence.
        claims: What it says; the first one is the effect that the page opens with.
        checks: What we ask beyond it.
        premises: What the method takes for granted.
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
    checks: tuple[Check, ...] = ()
    premises: tuple[Premise, ...] = ()
    official_code: str | None = None
    licence_note: str = ""
    disclaimer: str = ""
    seeds: tuple[int, ...] = (0, 1, 2)
    extra_variants: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    deeds: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """What it does, of `DEEDS`."""
        return self.deeds or _USUAL.get(self.family, ("train",))

    @property
    def judged(self) -> tuple[Check, ...]:
        """Claims, then checks: everything that gets an outcome."""
        return (*self.claims, *self.checks)

    @property
    def variants(self) -> tuple[str, ...]:
        """Every variant of the reproduction, in the order in which the claims name them."""
        named = [variant for check in self.judged for variant in check.variants]
        named += [premise.variant for premise in self.premises]
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
        UserError: If there is no such paper, or it cannot be imported.
    """
    if slug not in slugs():
        near = difflib.get_close_matches(slug, slugs(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the papers are {', '.join(slugs())}."
        raise UserError(f"There is no paper {slug!r}: {hint}")
    try:
        return importlib.import_module(f"papers.{slug}").PAPER
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        raise UserError(f"papers/{slug} cannot be imported ({reason}): mend it, or move the folder away.") from error


def discover() -> tuple[Paper, ...]:
    """The cards of all papers that can be imported, by slug; a line tells of each that cannot."""
    found = []
    for slug in slugs():
        try:
            found.append(find(slug))
        except UserError as error:
            print(error, file=sys.stderr)
    return tuple(found)


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
