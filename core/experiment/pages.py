"""Reports as one HTML file that needs no other: light and dark, tables that scroll, plots that a phone shows legibly.

write_text(path, document("Title", [heading, interval_rows(rows), table(cells)]))

Plots are SVG in the text's own colour, 360 units wide, so that on a phone their letters are as large as small print.
Whatever is not ours (names of languages and models, printed text) is escaped here.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MOST_ROWS = 200
"""Rows of a table that a report shows."""
WIDTH, LEFT, RIGHT = 360, 92, 44
COLOURS = ("a", "b", "c", "d")
"""Of plots, by name: blue, orange, green, grey, each for a light and a dark background."""
STYLE = (
    ":root{color-scheme:light dark;--a:#0072B2;--b:#C24E00;--c:#007A59;--d:#6E6E6E}"
    "@media(prefers-color-scheme:dark){:root{--a:#56B4E9;--b:#F0A33C;--c:#2CC79A;--d:#A8A8A8}}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;display:block;overflow-x:auto;font-size:.85rem}"
    "th,td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent)}"
    "pre{overflow-x:auto;padding:.8rem;background:color-mix(in srgb,currentColor 7%,transparent)}"
    "svg{display:block;width:100%;max-width:36rem;height:auto}svg text{fill:currentColor;font-size:11px}"
    "svg .axis{stroke:currentColor;stroke-width:.5;opacity:.5}svg .quiet{opacity:.7}"
    + "".join(
        f"svg .{name}{{stroke:var(--{name});fill:var(--{name})}}.key.{name}{{color:var(--{name})}}" for name in COLOURS
    )
    + "svg line,svg polyline{stroke-width:2}svg polyline{fill:none}svg .ring{fill:none;stroke-width:1.5}"
    ".key{margin-right:1em;white-space:nowrap}figure{margin:1rem 0}figcaption{font-size:.85rem}"
)


class Row(NamedTuple):
    """A line of :func:`interval_rows`; `beside` is a second value, drawn as a ring."""

    name: str
    value: float
    low: float
    high: float
    beside: float | None = None


def document(title: str, parts: Sequence[str]) -> str:
    """The page; the parts are HTML already."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>{''.join(parts)}</html>\n"
    )


def prose(text: str) -> str:
    """Text with `code` in back quotes."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def table(cells: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head; of a long one the beginning."""
    head, *rows = cells or [[]]
    lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows[:MOST_ROWS]]
    more = f"<p>… and {len(rows) - MOST_ROWS:,} more rows in the file.</p>" if len(rows) > MOST_ROWS else ""
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + f"</table>{more}"


def figure(plot: str, caption: str, keys: Mapping[str, str] | None = None) -> str:
    """A plot with its caption and what its colours mean: `{label: colour}`."""
    told = "".join(
        f'<span class="key {colour}">● {html.escape(label)}</span>' for label, colour in (keys or {}).items()
    )
    told = f"<div>{told}</div>" if told else ""
    return f"<figure>{plot}<figcaption>{told}{prose(caption)}</figcaption></figure>"


def interval_rows(rows: Sequence[Row], label: str, reference: float = 0.0) -> str:
    """A line from end to end and a mark for each row, and a vertical line at the reference."""
    rows = rows[:MOST_ROWS]
    if not rows:
        return ""
    values = [value for row in rows for value in (row.low, row.high, row.value, row.beside) if value is not None]
    left, right = min(reference, *values), max(reference, *values)

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - left) / ((right - left) or 1.0)

    lines = []
    for y, row in zip(range(12, 12 + 18 * len(rows), 18), rows, strict=True):
        name = row.name if len(row.name) < 16 else f"{row.name[:14]}…"
        end = max(row.high, row.value if row.beside is None else row.beside)
        ring = f'<circle class="ring b" cx="{x(row.beside):.1f}" cy="{y}" r="3.5"/>' if row.beside is not None else ""
        lines.append(
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{html.escape(name)}</text>{ring}'
            f'<line class="a" x1="{x(row.low):.1f}" x2="{x(row.high):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="a" cx="{x(row.value):.1f}" cy="{y}" r="3.5"/>'
            f'<text x="{x(end) + 6:.1f}" y="{y + 4}">{row.value:.2f}</text>'
        )
    told = "; ".join(f"{row.name} {row.value:.2f}" for row in rows[:9])
    height = 18 * len(rows) + 10
    zero = f'<line class="axis" x1="{x(reference):.1f}" x2="{x(reference):.1f}" y1="0" y2="{height}"/>'
    return _svg(height, f"{label}; {told}", zero + "".join(lines))


def curves(lines: Mapping[str, tuple[Sequence[float], str]], label: str, across: str, reference: float = 0.0) -> str:
    """Shares over layers (or anything that counts from 0), from 0 to 1, and a horizontal line at the reference.

    Args:
        lines: `{name: (values, colour)}`, of equal lengths; a value that is not finite is left out.
        label: What is drawn, for who does not see it.
        across: Under the axis.
        reference: Such as chance.
    """
    top, bottom, left, right = 8, 168, 34, WIDTH - 8
    last = max(len(values) for values, _ in lines.values()) - 1

    def y(value: float) -> float:
        return bottom - (bottom - top) * value

    def x(place: float) -> float:
        return left + (right - left) * place / (last or 1)

    parts = [
        f'<line class="axis" x1="{left}" x2="{right}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>'
        f'<text class="quiet" x="{left - 5}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>'
        for share in (0.0, 0.5, 1.0)
    ]
    chance = f'x1="{left}" x2="{right}" y1="{y(reference):.1f}" y2="{y(reference):.1f}"'
    parts.append(f'<line class="d" stroke-dasharray="3 3" {chance}/>' if reference else "")
    parts += [
        f'<text class="quiet" x="{x(place):.1f}" y="{bottom + 15}" text-anchor="middle">{place}</text>'
        for place in sorted({0, last // 2, last})
    ]
    parts.append(f'<text class="quiet" x="{(left + right) / 2}" y="{bottom + 30}" text-anchor="middle">{across}</text>')
    for values, colour in lines.values():
        points = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in enumerate(values) if math.isfinite(value))
        parts.append(f'<polyline class="{colour}" style="fill:none" points="{points}"/>')
    known = {name: [value for value in values if math.isfinite(value)] for name, (values, _) in lines.items()}
    told = "; ".join(f"{name} {max(values, default=math.nan):.2f} at most" for name, values in known.items())
    return _svg(bottom + 36, f"{label}; {told}", "".join(parts))


def _svg(height: float, label: str, content: str) -> str:
    box = f'viewBox="0 0 {WIDTH} {height}"'
    return f'<svg {box} role="img" aria-label="{html.escape(label)}">{content}</svg>'
