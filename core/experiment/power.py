"""What the seeds can decide: the expected width of each interval, and the seeds that would bring it under the effect.

    papers power mexa

From the spread of what has been measured (a record, or a pilot with few seeds). To be known before the claims are run:
one that the budget cannot decide says so and is not run.
"""

from __future__ import annotations

from core.errors import UserError
from core.experiment.forecast import forecast
from core.experiment.paper import Claim, Paper
from core.experiment.results import Cells, compare, recorded
from core.printing import console


def print_power(paper: Paper, cells: Cells | None = None) -> None:
    """For each claim and check: effect, expected half-width, seeds that would do.

    Args:
        paper: The card.
        cells: A pilot; by default the record.

    Raises:
        UserError: There is nothing to tell the spread from.
    """
    from rich.table import Table
    from rich.text import Text

    if cells is None:
        cells = pilot(paper)
    table = Table(title=f"{paper.slug}: what the seeds can decide", title_justify="left")
    table.add_column("claim, unit", no_wrap=True)  # names have no space to break them at
    for name in ("effect", "half\nwidth", "seeds that would do"):
        table.add_column(name)
    for check in paper.judged:
        if isinstance(check, Claim) and check.out_of_scale:
            continue
        for control in check.controls:
            found = forecast(check, compare(check, control, cells))
            width = "" if found.half_width is None else f"{found.half_width:.3f}"
            against = f"\nagainst {control}" if len(check.controls) > 1 else ""
            claim = Text.assemble(check.id, against, (f"\n{check.unit}", "dim"))
            table.add_row(claim, f"{found.effect:.3f}", width, found.phrase)
    console().print(table)


def pilot(paper: Paper) -> Cells:
    """The measurements to tell the spread from: the record.

    Raises:
        UserError: There is none.
    """
    record = recorded(paper)
    if record is None:
        raise UserError(
            f"{paper.slug} has no record to tell the spread from: `papers reproduce {paper.slug}` makes one, and a "
            "pilot's measurements can be handed to core.experiment.power.print_power."
        )
    return record.measurements
