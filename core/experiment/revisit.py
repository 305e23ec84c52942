"""What one does with a paper besides reproducing it whole: a quick look, a replication, a new judgement.

papers reproduce mexa --quick     the first claim with one seed, and outputs to look at
papers replicate mexa             the recorded claims with seeds that were never used: does the record hold?
papers judge mexa                 the recorded measurements under the present card
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.experiment import ledger
from core.experiment.paper import Check, Paper
from core.experiment.reproduce import cells, measured
from core.experiment.results import Outcome, Record, recorded, records
from core.files import read_json_lines, write_json
from core.printing import console

SHOWN = 3  # outputs of each variant


def quick(paper: Paper, *, out: Path = Path("runs"), jobs: int | None = None, quiet: bool = False) -> Record:
    """The first claim with one seed, and some of what its variants wrote.

    Raises:
        UserError: If a run failed.
    """
    from core.experiment.terminal import print_claims

    claim = paper.claims[0]
    looked_at = replace(paper, claims=(claim,), checks=(), premises=paper.premises if claim.premises else ())
    grid = cells(looked_at, variants=looked_at.variants, seeds=paper.seeds[:1], out=out)
    record = measured(looked_at, grid, jobs=jobs, quiet=quiet)
    for variant in dict.fromkeys(claim.variants):
        samples = flat(record.measurements[variant][paper.seeds[0]].details.get("samples"))
        for sample in samples[:SHOWN]:
            print(f"{variant:20s} {sample}")
    print_claims(looked_at, record)
    print(f"One seed; `papers reproduce {paper.slug}` runs {len(paper.seeds)} and all that the page shows.")
    return record


def flat(samples: Any) -> list[str]:
    """Samples of any shape (a list of rows, by language or not) as lines."""
    if isinstance(samples, dict) and all(isinstance(value, list) for value in samples.values()):
        rows = [row for group in zip(*samples.values(), strict=False) for row in group]
    else:
        rows = samples if isinstance(samples, list) else []
    lines = (", ".join(f"{k}: {v}" for k, v in row.items()) if isinstance(row, dict) else str(row) for row in rows)
    return [" ".join(line.split())[:300] for line in lines]


@dataclass(frozen=True)
class Row:
    """One claim, recorded and again; without an estimate where a premise was not met."""

    claim: str
    recorded: Outcome
    again: Outcome
    agrees: bool
    estimate: float | None
    low: float | None
    high: float | None
    inside: bool | None


def replicate(
    paper: Paper,
    *,
    seeds: Sequence[int] | None = None,
    out: Path = Path("runs"),
    jobs: int | None = None,
    quiet: bool = False,
    record: bool = False,
) -> list[Row]:
    """Run the recorded claims and checks with fresh seeds and compare.

    Args:
        paper: The card.
        seeds: By default as many as recorded, none of them used before.
        out: Folder of the runs.
        jobs: Cells side by side.
        quiet: Plain log lines.
        record: Keep the comparison in `results/replication.json` and show it on the page.

    Raises:
        UserError: Nothing is recorded, a seed was used before, or a run failed.
    """
    before = recorded(paper)
    if before is None:
        raise UserError(f"{paper.slug} has no record to replicate: run `papers reproduce {paper.slug} --record` first.")
    used = {*before.seeds, *(line["seed"] for line in read_json_lines(ledger.path(paper)))}
    seeds = tuple(seeds) if seeds else fresh(used, before.seeds)
    if again := sorted(used & set(seeds)):
        raise UserError(f"Seed {again[0]} was used before: a replication takes seeds that nobody has looked at.")
    new = measured(paper, cells(paper, seeds=seeds, out=out), jobs=jobs, quiet=quiet)
    rows = compared(paper, before, new)
    _print_rows(paper, rows, seeds)
    if record:
        from core.experiment import report

        content = {"seeds": list(seeds), "environment": new.environment, "rows": [vars(row) for row in rows]}
        with report.recording():
            write_json(paper.folder / "results" / "replication.json", content)
            report.update_page(paper, before)
            report.update_scoreboard()
    return rows


def fresh(used: set[int], seeds: Sequence[int]) -> tuple[int, ...]:
    """The recorded seeds, moved above all that were used.

    Worlds deal items to as many seeds in a row as the world has items for, such as 9n to 9n + 8. Moved by a multiple of
    2,520, which all numbers up to ten divide, seeds that share nothing go on to share nothing.
    """
    turns = (max(used) - min(seeds)) // 2520 + 1
    return tuple(seed + 2520 * turns for seed in seeds)


def compared(paper: Paper, before: Record, new: Record) -> list[Row]:
    """The recorded verdicts beside the new ones; what is out of scale has none."""
    old = {verdict.claim: verdict for verdict in before.verdicts}
    rows = []
    for verdict in new.verdicts:
        then = old[verdict.claim]
        if "out of scale" in (verdict.outcome, then.outcome):
            continue
        again, low, high = verdict.difference, then.low, then.high
        inside = None if again is None or low is None or high is None else low <= again <= high
        agrees = verdict.outcome == then.outcome
        rows.append(Row(verdict.claim, then.outcome, verdict.outcome, agrees, again, verdict.low, verdict.high, inside))
    return rows


def _print_rows(paper: Paper, rows: Sequence[Row], seeds: Sequence[int]) -> None:
    from rich.table import Table
    from rich.text import Text

    from core.experiment.terminal import WIDE

    statements: dict[str, Check] = {check.id: check for check in paper.judged}
    table = Table(title=f"{paper.slug} again, seeds {', '.join(map(str, seeds))}", title_justify="left")
    terminal = console()
    wide = terminal.width >= WIDE
    narrow = ("claim", "recorded, again, new estimate")
    for name in (
        ("claim", "recorded", "again", "new estimate [95 % interval]", "in the recorded interval") if wide else narrow
    ):
        table.add_column(name)
    table.show_lines = not wide
    for row in rows:
        again = Text(row.again, "" if row.agrees else "bold")
        estimate = "" if row.estimate is None else f"{row.estimate:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
        statement = statements[row.claim].statement
        if wide:
            table.add_row(statement, row.recorded, again, estimate, {None: "", True: "yes", False: "no"}[row.inside])
        else:
            inside = {None: "", True: "\nin the recorded interval", False: "\noutside the recorded interval"}[
                row.inside
            ]
            table.add_row(statement, Text.assemble(row.recorded, "\nagain: ", again, f"\n{estimate}{inside}".rstrip()))
    terminal.print(table)
    print(f"{sum(row.agrees for row in rows)} of {len(rows)} outcomes agree.")


def rejudge(paper: Paper) -> Record:
    """Judge the recorded measurements under the present card; records, figures, page and scoreboard follow.

    Returns:
        The record of the tiny scale.

    Raises:
        UserError: Nothing is recorded, or the card names a variant that was not measured.
    """
    from core.experiment import report

    record = recorded(paper)
    if record is None:
        raise UserError(f"{paper.slug} has no record to judge: run `papers reproduce {paper.slug} --record` first.")
    found = records(paper)
    for one in found:
        if missing := [variant for variant in paper.variants if variant not in one.measurements]:
            raise UserError(
                f"The record of {paper.slug} ({one.preset} scale) lacks the variant {missing[0]!r}: reproduce it with "
                "--record."
            )
    found = [one.judged(paper) for one in found]
    with report.recording():
        for one in found:
            path = paper.folder / "results" / f"{one.preset}.json"
            one.save(path)
            report.save_figure(paper, one, path.with_suffix(".svg"))
        report.update_page(paper, found[0])
        report.update_scoreboard()
    return found[0]
