"""What the command shows of papers: the list, one card, two cards side by side; for a terminal, or as data (`--json`).

Nothing is cut off and no word is broken at 80 columns; where a table needs more, it is set in fewer columns.

    papers                        the list
    papers show mexa --json       everything that is known of a paper, for programs
    papers compare mexa transmi   two papers side by side
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.experiment.paper import Check, Claim, Paper, discover
from core.experiment.report import (
    SYMBOLS,
    interval,
    judged,
    lines_to_read,
    minutes,
    number,
    reproduced,
    summary,
)
from core.experiment.results import Outcome, Record, Verdict, recorded
from core.files import finite_json
from core.printing import console

if TYPE_CHECKING:
    from rich.text import Text

SHADES: dict[Outcome, str] = {
    "reproduced": "green",
    "smaller than claimed": "green",
    "undecided": "yellow",
    "absent": "yellow",
    "contradicted": "red",
    "premise not met": "dim",
    "out of scale": "dim",
}
WIDE = 130  # columns of a terminal that holds the claims with all their numbers on a line


# --- tables ---------------------------------------------------------------------------------------------------------


def overview() -> None:
    """The list of papers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    terminal = console()
    wide = terminal.width >= WIDE
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("paper", no_wrap=True)
    table.add_column("title", ratio=1)
    for name in ("year", "family") if wide else ():
        table.add_column(name, no_wrap=True)
    table.add_column("claims", no_wrap=True, justify="left" if wide else "right")
    table.add_column("minutes", no_wrap=True, justify="right")
    for paper in discover():
        record = recorded(paper)
        takes = minutes(paper, record)
        if wide:
            outcomes = summary(paper, record) if record else "not recorded"
            table.add_row(Text(paper.slug, "bold"), paper.title, str(paper.year), paper.family, outcomes, takes)
        else:
            first = Text.assemble((paper.slug, "bold"), (f"\n{paper.family}, {paper.year}", "dim"))
            table.add_row(first, paper.title, reproduced(paper, record) if record else "not\nrecorded", takes)
    terminal.print(table)
    terminal.print(
        "\nClaims: how many of those put to the test were reproduced. Minutes: of `papers reproduce` on two cores "
        "(≈ where not recorded yet)."
    )


def card(paper: Paper) -> None:
    """A paper's card and recorded claims."""
    terminal = console()
    terminal.print(paper.title, style="bold")
    terminal.print(f"{paper.authors}. {_published(paper)}, {paper.family}.\n{paper.url}")
    if paper.official_code:
        terminal.print(f"Official code: {paper.official_code}")
    terminal.print(f"\n{paper.summary}\n")
    if paper.disclaimer:
        terminal.print(f"{paper.disclaimer}\n", style="bold")
    record = recorded(paper)
    if record:
        print_claims(paper, record, title="Claims")
    else:
        terminal.print("Not recorded yet. What will be judged:")
        for check in paper.judged:
            terminal.print(_indented(f"{check.id}: {check.statement}"))
    terminal.print(
        f"\npapers reproduce {paper.slug}   ({minutes(paper, record)} minutes on two cores)\n"
        f"page: papers/{paper.slug}/README.md"
    )


def print_claims(paper: Paper, record: Record, title: str | None = None) -> None:
    """The tables of claims and of checks."""
    for heading, kind in ((title or f"{paper.slug}: {paper.title}", Claim), ("Checks of ours", Check)):
        _print_table(heading, [(check, v) for check, v in judged(paper, record) if type(check) is kind])


def _print_table(title: str, rows: list[tuple[Check, Verdict]]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    terminal = console()
    wide = terminal.width >= WIDE
    table = Table(title=title, title_justify="left", show_lines=not wide)
    table.add_column("claim", overflow="fold")
    if wide:
        for name in ("treatment", "control", "difference [95 % interval]"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("outcome", no_wrap=True)
    else:
        table.add_column("measured", no_wrap=True)
    for check, verdict in rows:
        outcome = Text(f"{SYMBOLS[verdict.outcome]} {verdict.outcome}", SHADES[verdict.outcome])
        if wide:
            numbers = (number(verdict.treatment), number(verdict.control), interval(verdict))
            table.add_row(check.statement, *numbers, outcome)
        else:
            table.add_row(check.statement, Text.assemble(outcome, *(f"\n{part}" for part in _effect(verdict))))
    terminal.print(table)


def compare(papers: Sequence[Paper], costs: Sequence[str]) -> None:
    """Papers side by side, a row for each thing that a card says and one for each claim.

    Args:
        papers: Two of them fit into 80 columns.
        costs: What each one's paper scale costs.
    """
    from rich.table import Table

    records = [recorded(paper) for paper in papers]
    table = Table(show_lines=True, expand=True)
    table.add_column("", no_wrap=True)
    for paper in papers:
        table.add_column(paper.slug, ratio=1, overflow="fold")
    rows: dict[str, Iterable[str | Text]] = {
        "title": [paper.title for paper in papers],
        "where": [f"{_published(paper)}, {paper.family}" for paper in papers],
        "idea": [paper.summary for paper in papers],
        "claims": [_outcomes(paper, record, Claim) for paper, record in zip(papers, records, strict=True)],
        "checks": [_outcomes(paper, record, Check) for paper, record in zip(papers, records, strict=True)],
        "tiny scale": [
            f"{minutes(paper, record)} minutes on two cores, {len(paper.seeds)} seeds"
            for paper, record in zip(papers, records, strict=True)
        ],
        "paper scale": costs,
        "to read": ["{:,} lines, {:,} of code; the method {}".format(*lines_to_read(paper)) for paper in papers],
    }
    claims = [
        [_claim(claim, record, paper) for claim in paper.claims] for paper, record in zip(papers, records, strict=True)
    ]
    for place in range(max(map(len, claims))):
        rows[f"claim {place + 1}"] = [own[place] if place < len(own) else "" for own in claims]
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console().print(table)


def _published(paper: Paper) -> str:
    """Where and when; the year of the first version beside a venue that has a year of its own."""
    if not re.search(r"\d{4}", paper.venue):
        return f"{paper.venue} {paper.year}"
    return paper.venue if str(paper.year) in paper.venue else f"{paper.venue} (first version {paper.year})"


def _outcomes(paper: Paper, record: Record | None, kind: type[Check]) -> str:
    return summary(paper, record, kind) if record else "not recorded"


def _claim(claim: Claim, record: Record | None, paper: Paper) -> Text:
    from rich.text import Text

    verdict = next((v for check, v in judged(paper, record) if check.id == claim.id), None) if record else None
    if verdict is None:
        return Text(claim.statement)
    outcome = Text(f"{SYMBOLS[verdict.outcome]} {verdict.outcome}", SHADES[verdict.outcome])
    return Text.assemble(f"{claim.statement}\n", outcome, *(f"\n{part}" for part in _effect(verdict)))


def _effect(verdict: Verdict) -> list[str]:
    """Both sides and the interval of their difference, as far as there are any."""
    treatment, control = number(verdict.treatment), number(verdict.control)
    return [part for part in (f"{treatment} against {control}" if control else treatment, interval(verdict)) if part]


def _indented(text: str) -> Any:
    from rich.padding import Padding

    return Padding(text, (0, 0, 0, 2), expand=False)


# --- data -----------------------------------------------------------------------------------------------------------


def print_json(value: Any) -> None:
    """Data for a program: plain ASCII, so that no terminal and no encoding changes it; no NaN, which JSON lacks."""
    print(json.dumps(finite_json(value), indent=2))


def listed(paper: Paper) -> dict[str, Any]:
    """A row of the list."""
    record = recorded(paper)
    verdicts = [verdict for check, verdict in judged(paper, record) if isinstance(check, Claim)] if record else []
    return {
        "slug": paper.slug,
        "title": paper.title,
        "year": paper.year,
        "family": paper.family,
        "outcomes": {verdict.claim: verdict.outcome for verdict in verdicts},
        "recorded": record is not None,
        "minutes": round(record.minutes, 1) if record else paper.minutes,
    }


def described(paper: Paper) -> dict[str, Any]:
    """A card with what was recorded of it."""
    record = recorded(paper)
    verdicts = {check.id: verdict for check, verdict in judged(paper, record)} if record else {}
    names = ("authors", "venue", "arxiv", "url", "summary", "official_code", "licence_note", "disclaimer", "extras")
    return {
        **{name: value for name, value in listed(paper).items() if name != "outcomes"},
        **{name: getattr(paper, name) for name in names},
        "seeds": record.seeds if record else paper.seeds,
        "lines": lines_to_read(paper)._asdict(),
        "claims": [_judged(claim, verdicts) for claim in paper.claims],
        "checks": [_judged(check, verdicts) for check in paper.checks],
    }


def _judged(check: Check, verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    verdict = verdicts.get(check.id)
    measured = asdict(verdict) if verdict else {"outcome": None}
    measured.pop("claim", None)
    reported = {"reported": check.reported} if isinstance(check, Claim) else {}
    return {"id": check.id, "statement": check.statement, **reported, **measured}
