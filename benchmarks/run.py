"""Run the benchmarks and print a table.

    uv run nox -s bench                      # all that this machine can run
    uv run nox -s bench -- trainer memory    # some
    uv run nox -s bench -- --json bench.json

What is written into a file that is there replaces the rows of the same names and leaves the others, each with the
commit that it was measured at.

Absolute speeds depend on the machine; what is reported is the ratio to what a user would use instead, both measured in
the same run, in turn, with the median and range over the repetitions.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import Comparison, Growth
from core.experiment.run import environment
from core.files import read_json, write_json

NAMES = (
    "trainer", "choices", "extraction", "surgery", "lexicon", "merging", "parsers", "memory", "matmul", "threads",
    "growth", "gpu",
)  # fmt: skip


def main() -> None:
    """Parse the names, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"which (default: all of {', '.join(NAMES)})")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    found: list[Comparison | Growth] = []
    for name in options.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found += importlib.import_module(f"benchmarks.{name}").measure()
    print_table([row for row in found if isinstance(row, Comparison)])
    for growth in found:
        if isinstance(growth, Growth):
            points = ", ".join(f"{work:,.0f}: {cost:.3g}" for work, cost in growth.points)
            print(f"{growth.name}, by {growth.work}: {points} ({growth.note})")
    if options.json:
        known = read_json(options.json) if options.json.exists() else {}
        write_json(options.json, merged(known, found, environment()))


def merged(known: Mapping[str, Any], found: Sequence[Comparison | Growth], where: Mapping[str, Any]) -> dict[str, Any]:
    """The record with what was found in the place of what it had under the same names."""

    def rows(key: str, kind: type) -> list[dict[str, Any]]:
        before = {_name(row): {"commit": known["environment"]["commit"]} | row for row in known.get(key, [])}
        fresh = [row.to_json() | {"commit": where["commit"]} for row in found if isinstance(row, kind)]
        return list((before | {_name(row): row for row in fresh}).values())

    return {"environment": where, "rows": rows("rows", Comparison), "growth": rows("growth", Growth)}


def _name(row: Mapping[str, Any]) -> tuple[str, str | None]:
    return row["name"], row.get("work")


def print_table(rows: list[Comparison]) -> None:
    """One row a comparison."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for title in ("benchmark", "ours", "instead", "unit", "ratio [range]", "expected", "note"):
        table.add_column(title, overflow="fold", justify="left" if title in {"benchmark", "unit", "note"} else "right")
    for row in rows:
        ratio = f"{row.ratio:.2f} [{row.low:.2f}, {row.high:.2f}]" if row.low is not None else f"{row.ratio:.2f}"
        table.add_row(row.name, f"{row.ours:,.1f}", f"{row.instead:,.1f}", row.unit, ratio, row.expected, row.note)
    Console().print(table)


if __name__ == "__main__":
    main()
