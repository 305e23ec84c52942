"""What the site makes from the repository: one page a paper, its annotated source, the scoreboard, equations.

Pages of papers are their READMEs, so that nothing is written twice. Equations become MathML while building: they need
no script and no network.
"""

from __future__ import annotations

import html
import json
import math
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

from core.experiment.paper import Check, Claim, Paper, discover
from core.experiment.report import SYMBOLS, judged, prose, summary
from core.experiment.results import OUTCOMES, Verdict, recorded

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("method.py", "data.py", "config.py", "train.py", "eval.py")


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages and the papers' figures."""
    rows = []
    for paper in discover():
        folder = f"papers/{paper.slug}"
        files.append(File.generated(config, f"{folder}/index.md", content=paper_page(paper)))
        for name in SOURCES:
            path = paper.folder / name
            if path.exists():
                files.append(File.generated(config, f"{folder}/{name}.md", content=source_page(paper, path)))
        for figure in (paper.folder / "results").glob("*.svg"):
            files.append(File.generated(config, f"{folder}/results/{figure.name}", abs_src_path=str(figure)))
        record = recorded(paper)
        verdicts = summary(paper, record) if record else "not recorded yet"
        rows.append(f"- [**{paper.slug}**]({paper.slug}/index.md) ({paper.year}). {prose(paper.summary)} *{verdicts}.*")
    listing = "# Papers\n\n" + "\n".join(rows) + "\n"
    files.append(File.generated(config, "papers/index.md", content=listing))
    files.append(File.generated(config, "scoreboard.md", content=scoreboard_page()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the measured speeds where a page asks for them."""
    for mark, made in (("<!-- benchmarks -->", speed_table), ("<!-- growth -->", growth_figures)):
        if mark in markdown:
            markdown = markdown.replace(mark, made())
    return markdown


def on_page_content(content: str, **_: Any) -> str:
    """Turn the equations that arithmatex marked into MathML."""

    def render(match: re.Match[str]) -> str:
        # latex2mathml knows the starred environment only.
        latex = html.unescape(match["latex"]).strip().replace("{aligned}", "{align*}")
        display = match["open"] == r"\["
        mathml = convert(latex, display="block" if display else "inline")
        if "\\" in mathml:
            raise ValueError(f"latex2mathml does not know a command of: {latex}")
        return mathml

    pattern = r'<(?P<tag>div|span) class="arithmatex">(?P<open>\\[\[(])(?P<latex>.*?)\\[\])]</(?P=tag)>'
    return re.sub(pattern, render, content, flags=re.DOTALL)


def paper_page(paper: Paper) -> str:
    """A paper's README with its links turned to the site's pages."""
    text = (paper.folder / "README.md").read_text(encoding="utf-8")
    sources = " · ".join(f"[{name}]({name}.md)" for name in SOURCES if (paper.folder / name).exists())
    heading, _, body = text.partition("\n")
    body = re.sub(r"`(\w+\.py)::(\w+)`", r"[`\2`](\1.md)", body)
    body = re.sub(r"\]\((\w+\.py)(#\w+)?\)", r"](\1.md)", body)
    body = re.sub(r"\]\(\.\./\.\./docs/", "](../../", body)
    return f"{heading}\n\nSource: {sources}\n{body}"


def source_page(paper: Paper, path: Path) -> str:
    """A source file as a page, with line numbers."""
    source = path.read_text(encoding="utf-8")
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", source)), 0)
    return (
        f"# {paper.slug}/{path.name}\n\n[back to {paper.slug}](index.md)\n\n"
        f'{fence}python linenums="1"\n{source}{fence}\n'
    )


def speed_table() -> str:
    """The recorded benchmarks, with the machine that they ran on."""
    record = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    lines = ["| what | ratio [range] | aim | ours, instead |", "|---|---:|---:|---|"]
    for row in record["rows"]:
        spread = "" if row["low"] is None else f"<br>[{row['low']:.2f}, {row['high']:.2f}]"
        figures = f"{row['ours']:,.1f}, {row['instead']:,.1f} {row['unit']}"
        commit = row.get("commit", record["environment"]["commit"])
        note = row["note"] if commit == record["environment"]["commit"] else f"{row['note']}; commit {commit}"
        what = f"{prose(row['name'])}<br><small>{prose(note)}</small>"
        lines.append(f"| {what} | **{row['ratio']:.2f}**{spread} | {row['expected']} | {figures} |")
    where = record["environment"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("torch", "transformers"))
    lines += ["", f"*{where['cores']} cores of {where['processor']}, {versions}, commit {where['commit']}.*"]
    return "\n".join(lines)


def growth_figures() -> str:
    """How recorded costs grow with the work, each as a curve on logarithmic axes beside a line of slope 1."""
    record = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    curves = record.get("growth", [])
    return '<div class="growth">' + "".join(map(growth_drawing, curves)) + "</div>" if curves else "*Not recorded yet.*"


def growth_drawing(curve: dict[str, Any]) -> str:
    """One curve as SVG: work to the right, seconds upwards, both logarithmic; dashed is "in proportion"."""
    points = [(math.log10(work), math.log10(cost)) for work, cost in curve["points"]]
    (first, cost), (last, _) = points[0], points[-1]
    way = 1 if points[-1][1] > cost else -1  # more processes are to take less time
    line = [(first, cost), (last, cost + way * (last - first))]
    seconds = [value for _, value in points + line]
    low, high = min(seconds), max(seconds)

    def place(point: tuple[float, float]) -> str:
        x, y = 40 + 200 * (point[0] - first) / (last - first), 110 - 90 * (point[1] - low) / (high - low or 1)
        return f"{x:.1f},{y:.1f}"

    dots = "".join('<circle cx="{}" cy="{}" r="3"/>'.format(*place(point).split(",")) for point in points)
    slope = (points[-1][1] - cost) / (last - first)
    told = "; ".join(f"{work:,.0f}: {value:.3g} s" for work, value in curve["points"])
    ends = [f"{curve['points'][place][0]:,.0f}" for place in (0, -1)]
    return (
        f'<figure><svg viewBox="0 0 260 140" role="img" aria-label="{html.escape(told)}">'
        f"<title>{html.escape(told)}</title>"
        f'<polyline class="proportion" points="{" ".join(map(place, line))}"/>'
        f'<polyline class="cost" points="{" ".join(map(place, points))}"/>{dots}'
        f'<text x="40" y="130">{ends[0]}</text><text x="240" y="130" text-anchor="end">{ends[1]}</text>'
        f'<text x="36" y="{place(points[0]).split(",")[1]}" text-anchor="end">{curve["points"][0][1]:.2g} s</text>'
        "</svg>"
        f"<figcaption>{html.escape(curve['name'])}, by {html.escape(curve['work'])}: slope {slope:.2f}; {told}."
        f"<br><small>{html.escape(curve['note'])}</small></figcaption></figure>"
    )


def scoreboard_page() -> str:
    """Every claim and check of every paper with its effect and interval drawn, sortable by column."""
    rows = []
    for paper in discover():
        record = recorded(paper)
        if record is not None:
            rows += [scoreboard_row(paper, check, verdict) for check, verdict in judged(paper, record)]
    legend = ", ".join(f"{SYMBOLS[outcome]} {outcome}" for outcome in OUTCOMES)
    return (
        "# Scoreboard\n\n"
        f"Every claim that was put to the test, as measured at the tiny scale, and every check of ours. {legend}. The "
        "bar is the 95 % interval of treatment minus control, the dot the estimate, the thin line zero and the dashed "
        "line the size that the claim states (the loss that it allows, where it says that something is kept); each row "
        "has its own scale. Select a column's title to sort.\n\n"
        '<div class="scoreboard"><table class="sortable"><thead><tr><th>paper</th><th>whose</th><th>claim</th>'
        "<th>outcome</th><th>effect</th><th>difference</th></tr></thead><tbody>\n"
        + "\n".join(rows)
        + "\n</tbody></table></div>\n"
    )


def scoreboard_row(paper: Paper, check: Check, verdict: Verdict) -> str:
    """One claim or check as a table row."""
    outcome = f"{SYMBOLS[verdict.outcome]} {verdict.outcome}"
    number = "" if verdict.difference is None else f"{verdict.difference:+.3f}"
    order = OUTCOMES.index(verdict.outcome)
    whose = "claim" if isinstance(check, Claim) else "check"
    return (
        f'<tr><td><a href="../papers/{paper.slug}/">{paper.slug}</a></td><td>{whose}</td>'
        f'<td>{inline(check.statement)}</td><td data-sort="{order}" class="v{order}">{outcome}</td>'
        f'<td data-sort="{verdict.difference or 0}">{effect_drawing(check, verdict)}</td>'
        f'<td data-sort="{verdict.difference or 0}">{number}</td></tr>'
    )


def inline(text: str) -> str:
    """Text with code between backticks, as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def effect_drawing(check: Check, verdict: Verdict) -> str:
    """The estimate and its interval on a line of its own scale, as SVG."""
    if verdict.difference is None or verdict.low is None or verdict.high is None:
        return inline(verdict.reason)
    size = -check.size if check.keeps != (check.better == "lower") else check.size
    marks = {size, -size} if check.better == "equal" else {size} - {0.0}
    shown = [0.0, verdict.low, verdict.high, *marks]
    low, high = min(shown), max(shown)
    pad = 0.08 * (high - low or 1.0)

    def x(value: float) -> float:
        return 4 + 152 * (value - low + pad) / (high - low + 2 * pad)

    dashes = "".join(f'<line class="margin" x1="{x(m):.1f}" x2="{x(m):.1f}" y1="2" y2="22"/>' for m in sorted(marks))
    label = f"{verdict.difference:+.3f}, 95 % interval {verdict.low:+.3f} to {verdict.high:+.3f}"
    return (
        f'<svg class="effect" viewBox="0 0 160 24" role="img" aria-label="{label}"><title>{label}</title>'
        f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="2" y2="22"/>{dashes}'
        f'<line class="interval" x1="{x(verdict.low):.1f}" x2="{x(verdict.high):.1f}" y1="12" y2="12"/>'
        f'<circle cx="{x(verdict.difference):.1f}" cy="12" r="4"/></svg>'
    )
