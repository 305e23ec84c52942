"""Run the benchmarks and print a table.

    uv run nox -s bench                      # all that this machine can run
    uv run nox -s bench -- trainer memory    # some
    uv run nox -s bench -- --json bench.json

Absolute speeds depend on the machine; what is reported is the ratio to what a user would use instead, both measured in
the same run, in turn, with the median and range over the repetitions.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.common import Comparison
from core.experiment.run import environment
from core.files import write_json

NAMES = ("trainer", "choices", "extraction", "lexicon", "memory", "matmul", "threads", "gpu")


def main() -> None:
    """Parse the names, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"which (default: all of {', '.join(NAMES)})")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    rows: list[Comparison] = []
    for name in options.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"benchmarks.{name}").measure()
    print_table(rows)
    if options.json:
        write_json(options.json, {"environment": environment(), "rows": [row.to_json() for row in rows]})


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
