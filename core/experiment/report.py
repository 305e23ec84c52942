"""Figures, pages and the scoreboard, all drawn from records.

Generated text stands between markers (`<!-- results:begin -->` ... `<!-- results:end -->`), so that prose and numbers
live in one file and a test can compare the numbers with the record.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from tokenize import COMMENT, generate_tokens
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import UserError
from core.experiment.keys import in_repository
from core.experiment.paper import FAMILIES, Check, Claim, Paper, discover, slugs
from core.experiment.results import OUTCOMES, TRIVIAL, Outcome, Record, Verdict, recorded
from core.experiment.run import ROOT
from core.files import locked, read_json, replacing, writable, write_text
from core.printing import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
SYMBOLS: dict[Outcome, str] = {
    "reproduced": "✔",
    "smaller than claimed": "▽",
    "undecided": "?",
    "absent": "○",
    "contradicted": "✘",
    "premise not met": "□",
    "out of scale": "–",
}


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
    """Draw the paper's figure from the record, and beside it those of `MORE` in its figure.py, by name.

    Returns:
        The figure that the page opens with (its `draw`); None when the paper has none.
    """
    if importlib.util.find_spec(f"papers.{paper.slug}.figure") is None:
        return None
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    module = importlib.import_module(f"papers.{paper.slug}.figure")
    more = {path.with_stem(f"{path.stem}_{name}"): draw for name, draw in getattr(module, "MORE", {}).items()}
    for place, draw in {path: module.draw, **more}.items():
        with style():
            figure: Figure = draw(record)
            with replacing(place) as temporary:
                # A fixed date, so that the same record gives the same file.
                figure.savefig(temporary, metadata={"Date": None} if path.suffix == ".svg" else None)
            pyplot.close(figure)
    return path


def trivial_lines(
    axes: Axes,
    record: Record,
    variant: str | None = None,
    *,
    vertical: bool = False,
    names: Sequence[str] | None = None,
) -> None:
    """Draw what solvers that know nothing reach, all or those named, as thin grey lines with their names."""
    found = record.trivial(variant)
    low, high = axes.get_xlim() if vertical else axes.get_ylim()
    together: list[tuple[float, list[str]]] = []  # names that would be written over each other share a label
    for value, name in sorted((found[name], name.replace("_", " ")) for name in names or found):
        line = axes.axvline if vertical else axes.axhline
        line(value, color=COLOURS["grey"], linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        if together and value - together[-1][0] < 0.04 * abs(high - low):
            together[-1][1].append(name)
        else:
            together.append((value, [name]))
    for value, listed in together:
        text, place = ", ".join(listed), (value, 1.0) if vertical else (1.0, value)
        transform = axes.get_xaxis_transform() if vertical else axes.get_yaxis_transform()
        align = "center" if vertical else "right"
        axes.text(*place, text, transform=transform, fontsize=7, color=COLOURS["grey"], ha=align, va="bottom")


def effect_markdown(paper: Paper, record: Record, figure: str | None) -> str:
    """What a page opens with: the figure, the first claim with what came out, the outcomes, what there is to read."""
    check, verdict = judged(paper, record)[0]
    measured = f"{number(verdict.treatment)} against {number(verdict.control)}, " if verdict.control_name else ""
    sentence = f"**{prose(check.statement)}** {measured}{interval(verdict)}: {verdict.outcome}."
    lines = lines_to_read(paper)
    read = (
        f"{lines.python:,} lines of Python ({lines.code:,} without docstrings, comments and blank lines), of which the "
        f"idea (`method.py`) is {lines.method}; {lines.tests} of tests."
    )
    counts = f"Claims: {summary(paper, record)}. Checks of ours: {summary(paper, record, Check)}."
    image = f"![{effect_alternative(paper, record)}]({figure})" if figure else ""
    return "\n\n".join(part for part in (image, sentence, counts, read) if part)


def effect_alternative(paper: Paper, record: Record) -> str:
    """What the figure shows, in words: what came out of the first claim, and the outcomes."""
    check, verdict = judged(paper, record)[0]
    against = f" against {number(verdict.control)}" if verdict.control_name else ""
    measured = f"{check.metric} {number(verdict.treatment)}{against}, {interval(verdict)}, "
    told = (
        f"{paper.slug}, {record.preset} scale: {measured if verdict.difference is not None else ''}{verdict.outcome}."
    )
    return re.sub(r"[\[\]]", lambda mark: {"[": "(", "]": ")"}[mark[0]], told)


class Lines(NamedTuple):
    """How much there is to read: lines of Python of a paper, those of code in them, of its method, of its tests."""

    python: int
    code: int
    method: int
    tests: int


def lines_to_read(paper: Paper) -> Lines:
    """Lines of Python of the paper; of these the ones that are no docstring, comment or blank; method; tests."""

    def count(*paths: Path) -> int:
        return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths if path.exists())

    own, tests = [*paper.folder.glob("*.py")], ROOT / "tests" / "papers" / f"test_{paper.slug}.py"
    code = sum(lines_of_code(path.read_text(encoding="utf-8")) for path in own)
    return Lines(count(*own), code, count(paper.folder / "method.py"), count(tests))


def lines_of_code(source: str) -> int:
    """Lines of Python that are not blank, no comment alone, and no string that stands by itself (documentation)."""
    documented = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = (token for token in generate_tokens(StringIO(source).readline) if token.string.strip())
    said = (token for token in tokens if token.type != COMMENT)
    return len({line for token in said for line in range(token.start[0], token.end[0] + 1)} - documented)


def claims_markdown(paper: Paper, record: Record) -> str:
    """The table of the claims on the page."""
    lines = [
        "| claim | paper reports | treatment | control | difference [95 % interval] | outcome |",
        "|---|---|---:|---:|---:|---|",
    ]
    for check, verdict in judged(paper, record):
        if isinstance(check, Claim):
            lines.append(f"| {_said(check)} | {prose(check.reported)} | {_cells(check, verdict)} |")
    return "\n".join(lines)


def checks_markdown(paper: Paper, record: Record) -> str:
    """The table of what we ask beyond the paper."""
    if not paper.checks:
        return ""
    lines = [
        "**Checks of ours**, judged by the same rule and counted apart.",
        "",
        "| check | treatment | control | difference [95 % interval] | outcome |",
        "|---|---:|---:|---:|---|",
    ]
    for check, verdict in judged(paper, record):
        if not isinstance(check, Claim):
            lines.append(f"| {_said(check)} | {_cells(check, verdict)} |")
    return "\n".join(lines)


def _said(check: Check) -> str:
    """The statement, and the metric that it was judged by."""
    return prose(check.statement) + (f"<br>{code(check.metric)}" if check.metric else "")


def _cells(check: Check, verdict: Verdict) -> str:
    """The measured part of a row: treatment, control, interval, outcome."""
    treatment = f"{number(verdict.treatment)}<br>{code(check.treatment)}" if verdict.treatment is not None else ""
    control = f"{number(verdict.control)}<br>{code(verdict.control_name)}" if verdict.control is not None else ""
    if control and check.control_metric:
        control += f"<br>{code(check.control_metric)}"
    details = [
        verdict.reason,
        verdict.needed,
        f"null arm `{check.null}`: {verdict.null}" if verdict.null else "",
    ]
    extra = "".join(f"<br>{prose(detail)}" for detail in details if detail)
    outcome = f"{SYMBOLS[verdict.outcome]} **{verdict.outcome}**{extra}"
    return f"{treatment} | {control} | {interval(verdict)} | {outcome}"


def results_markdown(paper: Paper, record: Record) -> str:
    """What is generated under "What came out": claims, checks, sample, solvers that know nothing, all metrics."""
    environment = record.environment
    versions = environment.get("versions", {})
    shown = ", ".join(
        f"{name} {prose(versions[name])}" for name in ("torch", "transformers", "tokenizers") if name in versions
    )
    seeds = ", ".join(map(str, record.seeds))
    parts = [
        f"{len(record.seeds)} seeds ({seeds}), {minutes(paper, record)} minutes on {environment.get('cores')} cores "
        f"({prose(str(environment.get('processor')))}; {environment.get('side_by_side', 1)} at a time), {shown}, "
        f"commit {prose(str(environment.get('commit')))}, command {code(environment.get('command'))}.",
        claims_markdown(paper, record),
        checks_markdown(paper, record),
        _premises_markdown(paper, record),
        _sample_markdown(paper, record),
        _trivial_markdown(paper, record),
        _settings_markdown(paper),
        _replication_markdown(paper),
        _metrics_markdown(record),
    ]
    return "\n\n".join(part for part in parts if part)


def _premises_markdown(paper: Paper, record: Record) -> str:
    rows = []
    for premise in paper.premises:
        values = [m.metrics[premise.metric] for m in record.measurements[premise.variant].values()]
        found = f"{number(min(values))} to {number(max(values))} over seeds"
        rows.append(f"- {prose(premise.statement)} {code(premise.metric)} {found}, needed {premise.at_least:g}.")
    return "\n".join(["**Premises**, measured before anything is judged:", "", *rows]) if rows else ""


def _sample_markdown(paper: Paper, record: Record) -> str:
    """What was drawn, how often, and how the intervals were computed."""
    drawn: dict[str, None] = {}
    for check, verdict in judged(paper, record):
        if verdict.sample:
            sample = verdict.sample
            what = f"{sample['seeds']} seeds"
            if check.depth:
                units = f"{sample['units']} units ({code(check.unit)})"
                what += f" with, in all, {units}" if sample.get("nested") else f" × {units}"
            if sample["leaves"] > sample["units"]:
                what += f" of {sample['leaves']} leaves"
            what += f", {sample['overlap']:.0%} of them common to two seeds"
            if left_out := sample.get("left_out"):
                what += f" (`{check.id}`: {left_out} others left out, which not both sides or not every seed has)"
            drawn[what] = None
    methods = sorted({verdict.method for verdict in record.verdicts if verdict.method})
    if not drawn:
        return ""
    return f"Effective sample: {'; '.join(drawn)}. Intervals: {prose('; '.join(methods))}."


def _trivial_markdown(paper: Paper, record: Record) -> str:
    found = record.trivial(without={check.null for check in paper.judged if check.null})
    solvers = ", ".join(f"{prose(name.replace('_', ' '))} {number(value)}" for name, value in found.items())
    return f"Solvers that know nothing: {solvers}." if found else ""


def _settings_markdown(paper: Paper) -> str:
    from core.experiment.ledger import counts

    tried = counts(paper)
    if not tried:
        return ""
    shown = ", ".join(f"{code(arm)} {number}" for arm, number in tried.items())
    return f"Settings tried on development data, by arm ([ledger](results/settings.jsonl)): {shown}."


class Replication(NamedTuple):
    """The recorded claims and checks with fresh seeds: outcomes that were the same, new estimates inside the recorded
    interval, and of how many each."""

    seeds: tuple[int, ...]
    same: int
    outcomes: int
    inside: int
    estimates: int

    def __str__(self) -> str:
        return f"{self.same} of {self.outcomes}"


def replication(paper: Paper) -> Replication | None:
    """What `papers replicate --record` kept; None where that was not done."""
    found = read_json(paper.folder / "results" / "replication.json")
    if not found:
        return None
    inside = [row["inside"] for row in found["rows"] if row["inside"] is not None]
    same = sum(row["agrees"] for row in found["rows"])
    return Replication(tuple(found["seeds"]), same, len(found["rows"]), sum(inside), len(inside))


def _replication_markdown(paper: Paper) -> str:
    again = replication(paper)
    if again is None:
        return ""
    return (
        f"Replicated with seeds {', '.join(map(str, again.seeds))}, never used before: {again} outcomes agree, "
        f"{again.inside} of {again.estimates} new estimates lie in the recorded interval "
        f"(`papers replicate {paper.slug}`)."
    )


def _metrics_markdown(record: Record) -> str:
    cells = [m for by_seed in record.measurements.values() for m in by_seed.values()]
    names = [name for name in dict.fromkeys(n for m in cells for n in m.metrics) if not name.startswith(TRIVIAL)]
    if not names:
        return ""
    variants = list(record.measurements)
    lines = [
        "<details><summary>All metrics of all variants (mean over seeds ± standard deviation)</summary>\n",
        "| metric | " + " | ".join(code(variant) for variant in variants) + " |",
        "|---|" + "---:|" * len(variants),
    ]
    for name in names:
        row = []
        for variant in variants:
            values = [m.metrics[name] for m in record.measurements[variant].values() if name in m.metrics]
            row.append(_spread(values))
        lines.append(f"| {prose(name)} | " + " | ".join(row) + " |")
    return "\n".join([*lines, "\n</details>"])


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)) ** 0.5
    return f"{number(mean)} ± {number(deviation)}" if len(values) > 1 else number(mean)


def write_page(paper: Paper, record: Record, path: Path, figure: Path | None) -> Path:
    """The report of a run beside the run itself."""
    heading = f"# {prose(paper.title)}\n\n{prose(paper.summary)}\n\n{prose(paper.disclaimer)}".rstrip()
    effect = effect_markdown(paper, record, figure.name if figure else None)
    write_text(path, f"{heading}\n\n{effect}\n\n{results_markdown(paper, record)}\n")
    return path


def generated(paper: Paper, record: Record) -> dict[str, str]:
    """The generated parts of a paper's page by the name of their markers."""
    figure = "results/tiny.svg" if (paper.folder / "results" / "tiny.svg").exists() else None
    return {"effect": effect_markdown(paper, record, figure), "results": results_markdown(paper, record)}


def update_page(paper: Paper, record: Record) -> Path:
    """Put the record into the generated parts of the paper's README."""
    path = paper.folder / "README.md"
    text = path.read_text(encoding="utf-8")
    for name, body in generated(paper, record).items():
        text = replace_between(text, name, body)
    write_text(path, text)
    return path


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Pages, records and the scoreboard are read, changed and written: by one process at a time.

    Raises:
        UserError: If this is an installed package, which has no pages to write.
    """
    check_repository()
    with writable(ROOT), locked(ROOT / "README.md"):
        yield


def check_repository() -> None:
    """Refuse to write papers and records into an installed package.

    Raises:
        UserError: If the code does not lie in a copy of the repository.
    """
    if not in_repository():
        raise UserError(
            f"{ROOT} holds an installed package, which no paper or record is written into: run the command in a clone "
            "of the repository, with `uv run` before it."
        )


def update_scoreboard() -> Path:
    """Put the scoreboard and the papers' figures into the generated parts of the repository's README."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    text = replace_between(text, "scoreboard", scoreboard_markdown(text))
    if "<!-- figures:begin -->" in text:  # a collection of one's own may do without
        text = replace_between(text, "figures", figures_markdown())
    write_text(path, text)
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


def scoreboard_markdown(before: str = "") -> str:
    """One row a paper, by family: the outcomes of its claims and the minutes, with a link to its page.

    Args:
        before: The text that holds the present scoreboard; papers that cannot be imported keep their rows.
    """
    heading = "| paper | family | what it does | claims | outcomes | again | minutes |"
    lines = [heading, "|---|---|---|---|---|---|---:|"]
    rows: list[tuple[str, str]] = []
    papers = {paper.slug: paper for paper in discover()}
    for slug in slugs():
        if (paper := papers.get(slug)) is None:
            own = [line for line in before.splitlines() if line.startswith(f"| [{slug}](papers/{slug}/README.md)")]
            rows += [(line.split("|")[2].strip(), line) for line in own]
            continue
        record = recorded(paper)
        verdicts = [v for check, v in judged(paper, record) if isinstance(check, Claim)] if record else []
        share = reproduced(paper, record) if record else "not recorded"
        symbols = " ".join(SYMBOLS[v.outcome] for v in verdicts)
        line = (
            f"| [{paper.slug}](papers/{paper.slug}/README.md) ({paper.year}) | {paper.family} | {prose(paper.summary)} "
            f"| {share} | {symbols} | {replication(paper) or '–'} "
            f"| {minutes(paper, record)} |"
        )
        rows.append((paper.family, line))
    order = {family: place for place, family in enumerate(FAMILIES)}
    rows.sort(key=lambda row: order.get(row[0], len(order)))
    legend = ", ".join(f"{symbol} {outcome}" for outcome, symbol in SYMBOLS.items())
    told = (
        f"Claims reproduced of those put to the test, and one symbol a claim: {legend}. Again: outcomes of claims and "
        "checks that were the same with seeds never used before, where that was done."
    )
    return "\n".join([*lines, *(line for _, line in rows), "", told, "", totals(papers.values())])


def figures_markdown(columns: int = 3) -> str:
    """A card a recorded paper, by family: its figure, which leads to its page, what came out first, the command."""
    order = list(FAMILIES)
    cards = []
    for paper in sorted(discover(), key=lambda paper: order.index(paper.family)):
        record = recorded(paper)
        figure = paper.folder / "results" / f"{record.preset}.svg" if record else None
        if record is None or figure is None or not figure.exists():
            continue
        page, (check, verdict) = f"papers/{paper.slug}", judged(paper, record)[0]
        image = f"[![{effect_alternative(paper, record)}]({page}/results/{figure.name})]({page}/README.md)"
        told = f"**[{paper.slug}]({page}/README.md)** {SYMBOLS[verdict.outcome]} {prose(check.statement)}"
        command = code(f"papers reproduce {paper.slug}")
        cards.append(f"{image}<br>{told} {interval(verdict)}<br>{command}, {record.minutes:.0f} min")
    rows = [cards[start : start + columns] for start in range(0, len(cards), columns)]
    lines = ["| " + " | ".join([*row, *[""] * (columns - len(row))]) + " |" for row in rows]
    return "\n".join(["|" + " |" * columns, "|" + "---|" * columns, *lines])


def totals(papers: Iterable[Paper]) -> str:
    """Outcomes over all papers that are recorded, of claims and of checks, and the hours that their records took."""
    found: dict[type[Check], Counter[str]] = {Claim: Counter(), Check: Counter()}
    recorded_papers = [(paper, record) for paper in papers if (record := recorded(paper))]
    for paper, record in recorded_papers:
        for check, verdict in judged(paper, record):
            found[type(check)][verdict.outcome] += 1
    claims, checks = (
        ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]) or "none"
        for counts in found.values()
    )
    hours = sum(record.minutes for _, record in recorded_papers) / 60
    counts = f"of their claims {claims}; of our checks {checks}"
    again = [one for paper, _ in recorded_papers if (one := replication(paper))]
    told = f"All {len(recorded_papers)} recorded papers: {counts}. Their records took {hours:.1f} hours in all."
    if not again:
        return told
    same, outcomes = sum(one.same for one in again), sum(one.outcomes for one in again)
    return f"{told} {len(again)} of them were replicated: {same} of {outcomes} outcomes were the same again."


def summary(paper: Paper, record: Record, kind: type[Check] = Claim) -> str:
    """`4 reproduced, 1 undecided, 1 out of scale`, of the claims or of the checks."""
    found = [verdict.outcome for check, verdict in judged(paper, record) if type(check) is kind]
    counts = {outcome: found.count(outcome) for outcome in OUTCOMES}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "none"


def reproduced(paper: Paper, record: Record) -> str:
    """`4 of 5`: claims that were reproduced, of those put to the test."""
    outcomes = [verdict.outcome for check, verdict in judged(paper, record) if isinstance(check, Claim)]
    return f"{outcomes.count('reproduced')} of {len(outcomes) - outcomes.count('out of scale')}"


def minutes(paper: Paper, record: Record | None) -> str:
    """The minutes of a reproduction as they are shown everywhere: those of the record, else what the card expects."""
    return f"{record.minutes:.1f}" if record else f"≈ {paper.minutes:g}"


def judged(paper: Paper, record: Record) -> list[tuple[Check, Verdict]]:
    """Claims and checks of the card with their verdicts, in the card's order."""
    verdicts = {verdict.claim: verdict for verdict in record.verdicts}
    return [(check, verdicts[check.id]) for check in paper.judged if check.id in verdicts]


def interval(verdict: Verdict) -> str:
    """`+0.539 [+0.057, +0.818]`; empty without an estimate."""
    if verdict.difference is None or verdict.low is None or verdict.high is None:
        return ""
    return f"{verdict.difference:+.3f} [{verdict.low:+.3f}, {verdict.high:+.3f}]"


def number(value: float | None) -> str:
    """Three decimals, or thousands with commas; empty without a value."""
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"


# What Markdown or HTML would obey; of a link and of an escape the character that makes it one.
_MARKS = re.compile(r"[&<>`|{]|(?<=\])\(|\\(?=[!-/:-@\[-`{-~]|\Z)")
_NAMES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def prose(text: str) -> str:
    """Text for Markdown, in a table or outside: tags, links, attributes, bars and line ends lose their meaning.

    Code between single backticks stays code, unless it holds what code cannot keep out of a table or of our markers.
    """
    parts = re.split(r"(?<!`)(`[^`]+`)(?!`)", printable(re.sub(r"\s*[\r\n]+\s*", " ", text)))
    return "".join(
        part if place % 2 and not re.search(r"\||\\`|<!--|-->", part) else _MARKS.sub(_named, part)
        for place, part in enumerate(parts)
    )


def _named(mark: re.Match[str]) -> str:
    return _NAMES.get(mark[0], f"&#{ord(mark[0])};")


def code(text: object) -> str:
    """Text as code for Markdown."""
    plain = str(text).replace("`", "'")
    return prose(f"`{plain}`")
