"""Tables, figures, pages and the scoreboard, all drawn from records.

Generated text stands between markers (`<!-- results:begin -->` ... `<!-- results:end -->`), so that prose and numbers
live in one file and a test can compare the numbers with the record.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.paper import Claim, Paper, discover
from core.experiment.results import Record, Verdict, recorded
from core.experiment.run import ROOT
from core.files import replacing, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette: distinguishable with every common colour-vision deficiency.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "grey": "#6E6E6E",
}
SYMBOLS = {"reproduced": "✔", "not reproduced": "○", "contradicted": "✘", "out of scale": "–"}
ORDER = tuple(SYMBOLS)
WIDE = 130  # columns of a terminal that holds the claims with all their numbers on a line


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings of all figures: readable at page width, colour-blind-safe, no ornaments."""
    import matplotlib
    from cycler import cycler

    settings: dict[Any, Any] = {
        "font.size": 9,
        "font.family": "DejaVu Sans",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E5E5E5",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "axes.prop_cycle": cycler(color=list(COLOURS.values())),
        "svg.fonttype": "path",
        "svg.hashsalt": "multilingual-papers",
        "figure.dpi": 110,
    }
    with matplotlib.rc_context(settings):
        yield


def save_figure(paper: Paper, record: Record, path: Path) -> Path | None:
    """Draw the paper's figure from the record; None when the paper has no figure."""
    if importlib.util.find_spec(f"papers.{paper.slug}.figure") is None:
        return None
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with style():
        figure: Figure = importlib.import_module(f"papers.{paper.slug}.figure").draw(record)
        with replacing(path) as temporary:
            # A fixed date, so that the same record gives the same file.
            figure.savefig(temporary, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)
    return path


def print_claims(paper: Paper, record: Record) -> None:
    """The claims table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    colours = {
        "reproduced": "green",
        "not reproduced": "yellow",
        "contradicted": "red",
        "out of scale": "dim",
    }
    console = Console()
    wide = console.width >= WIDE
    table = Table(title=f"{paper.slug}: {paper.title}", title_justify="left", show_lines=not wide)
    table.add_column("claim", overflow="fold")
    if wide:
        for name in ("treatment", "control", "difference [95 % interval]"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
    else:
        table.add_column("measured", no_wrap=True)
    for claim, verdict in _judged(paper, record):
        colour = colours[verdict.outcome]
        outcome = f"[{colour}]{SYMBOLS[verdict.outcome]} {verdict.outcome}[/{colour}]"
        treatment, control, interval = _number(verdict.treatment), _number(verdict.control), _interval(verdict)
        if wide:
            table.add_row(claim.statement, treatment, control, interval, outcome)
        else:
            against = f"{treatment} against {control}" if control else treatment
            table.add_row(claim.statement, "\n".join(line for line in (outcome, against, interval) if line))
    console.print(table)


def claims_markdown(paper: Paper, record: Record) -> str:
    """The claims table of the page."""
    lines = [
        "| claim | paper reports | treatment | control | difference [95 % interval] | verdict |",
        "|---|---|---:|---:|---:|---|",
    ]
    for claim, verdict in _judged(paper, record):
        treatment = f"{_number(verdict.treatment)}<br>`{claim.treatment}`" if verdict.treatment is not None else ""
        control = f"{_number(verdict.control)}<br>`{verdict.control_name}`" if verdict.control is not None else ""
        reason = _cell(f": {claim.out_of_scale}") if claim.out_of_scale else ""
        lines.append(
            f"| {_cell(claim.statement)} | {_cell(claim.reported)} | {treatment} | {control} | {_interval(verdict)} "
            f"| {SYMBOLS[verdict.outcome]} **{verdict.outcome}**{reason} |"
        )
    return "\n".join(lines)


def results_markdown(paper: Paper, record: Record, figure: str | None) -> str:
    """Everything that is generated on a page: figure, claims, metrics of every variant, provenance."""
    counts = summary(record)
    environment = record.environment
    versions = environment.get("versions", {})
    shown = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "transformers", "tokenizers") if name in versions
    )
    seeds = ", ".join(map(str, record.seeds))
    parts = [
        f"{counts}. {len(record.seeds)} seeds ({seeds}), {record.minutes:.1f} minutes of computing on "
        f"{environment.get('cores')} cores ({environment.get('processor')}), {shown}, "
        f"commit {environment.get('commit')}, command `{environment.get('command')}`.",
    ]
    if figure:
        parts.append(f"![{paper.slug}: results at the tiny scale]({figure})")
    parts += [claims_markdown(paper, record), _methods_note(record), _metrics_markdown(record)]
    return "\n\n".join(part for part in parts if part)


def _methods_note(record: Record) -> str:
    methods = sorted({verdict.method for verdict in record.verdicts if verdict.method})
    sizes = sorted({(v.seeds, v.units) for v in record.verdicts if v.seeds})
    shapes = ", ".join(f"{seeds} seeds × {units} units" for seeds, units in sizes)
    return f"Intervals: {'; '.join(methods)}. Compared: {shapes}." if methods else ""


def _metrics_markdown(record: Record) -> str:
    names = list(
        dict.fromkeys(name for cells in record.measurements.values() for m in cells.values() for name in m.metrics)
    )
    if not names:
        return ""
    variants = list(record.measurements)
    lines = [
        "<details><summary>All metrics of all variants (mean over seeds ± standard deviation)</summary>\n",
        "| metric | " + " | ".join(f"`{variant}`" for variant in variants) + " |",
        "|---|" + "---:|" * len(variants),
    ]
    for name in names:
        cells = []
        for variant in variants:
            values = [m.metrics[name] for m in record.measurements[variant].values() if name in m.metrics]
            cells.append(_spread(values))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "\n</details>"])


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)) ** 0.5
    return f"{_number(mean)} ± {_number(deviation)}" if len(values) > 1 else _number(mean)


def write_page(paper: Paper, record: Record, path: Path, figure: Path | None) -> Path:
    """The report of a run beside the run itself."""
    heading = f"# {paper.title}\n\n{paper.summary}\n\n{paper.disclaimer}".rstrip()
    write_text(path, f"{heading}\n\n{results_markdown(paper, record, figure.name if figure else None)}\n")
    return path


def update_page(paper: Paper, record: Record) -> Path:
    """Put the record into the generated part of the paper's README."""
    path = paper.folder / "README.md"
    has_figure = (paper.folder / "results" / "tiny.svg").exists()
    body = results_markdown(paper, record, "results/tiny.svg" if has_figure else None)
    write_text(path, replace_between(path.read_text(encoding="utf-8"), "results", body))
    return path


def update_scoreboard() -> Path:
    """Put the scoreboard into the generated part of the repository's README."""
    path = ROOT / "README.md"
    write_text(path, replace_between(path.read_text(encoding="utf-8"), "scoreboard", scoreboard_markdown()))
    return path


def replace_between(text: str, name: str, body: str) -> str:
    """Replace what stands between `<!-- name:begin -->` and `<!-- name:end -->`.

    Raises:
        ValueError: If the markers are missing.
    """
    pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the text lacks the markers <!-- {name}:begin --> and <!-- {name}:end -->")
    return pattern.sub(lambda match: f"{match[1]}{body}\n{match[2]}", text)


def scoreboard_markdown() -> str:
    """One row a paper: the verdicts and the minutes, with a link to its page."""
    lines = ["| paper | what it does | verdicts | minutes |", "|---|---|---|---:|"]
    for paper in discover():
        record = recorded(paper)
        verdicts = " ".join(SYMBOLS[v.outcome] for v in record.verdicts) if record else "not recorded"
        minutes = f"{record.minutes:.1f}" if record else f"≈ {paper.minutes:g}"
        lines.append(
            f"| [{paper.slug}](papers/{paper.slug}/README.md) ({paper.year}) | {_cell(paper.summary)} "
            f"| {verdicts} | {minutes} |"
        )
    legend = ", ".join(f"{symbol} {outcome}" for outcome, symbol in SYMBOLS.items())
    return "\n".join([*lines, "", f"One symbol a claim: {legend}."])


def summary(record: Record) -> str:
    """`4 reproduced, 1 not reproduced, 1 out of scale`."""
    counts = {outcome: sum(v.outcome == outcome for v in record.verdicts) for outcome in ORDER}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no claims"


def overview() -> None:
    """The list of papers on the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in ("paper", "title", "year", "family", "verdicts", "minutes"):
        table.add_column(name, overflow="fold")
    for paper in discover():
        record = recorded(paper)
        minutes = f"{record.minutes:.1f}" if record else f"≈ {paper.minutes:g}"
        table.add_row(
            paper.slug,
            paper.title,
            str(paper.year),
            paper.family,
            summary(record) if record else "not recorded",
            minutes,
        )
    Console().print(table)


def card(paper: Paper) -> None:
    """A paper's card and recorded claims on the terminal."""
    from rich.console import Console

    console = Console()
    console.print(
        f"[bold]{paper.title}[/bold]\n{paper.authors}, {paper.venue} {paper.year}. {paper.url}\n\n{paper.summary}\n"
    )
    if paper.disclaimer:
        console.print(f"[bold]{paper.disclaimer}[/bold]\n")
    record = recorded(paper)
    if record:
        print_claims(paper, record)
    else:
        for claim in paper.claims:
            console.print(f"  {claim.id}: {claim.statement}")
    console.print(
        f"\npapers reproduce {paper.slug}   (about {paper.minutes:g} minutes)\npage: papers/{paper.slug}/README.md"
    )


def _judged(paper: Paper, record: Record) -> list[tuple[Claim, Verdict]]:
    verdicts = {verdict.claim: verdict for verdict in record.verdicts}
    return [(claim, verdicts[claim.id]) for claim in paper.claims if claim.id in verdicts]


def _interval(verdict: Verdict) -> str:
    if verdict.difference is None or verdict.low is None or verdict.high is None:
        return ""
    return f"{verdict.difference:+.3f} [{verdict.low:+.3f}, {verdict.high:+.3f}]"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
