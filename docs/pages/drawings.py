"""Drawings of numbers as SVG in the colours of the page, and the papers' figures for dark pages."""

from __future__ import annotations

import html
import math
import re
from typing import Any

from core.experiment.paper import Check
from core.experiment.results import OUTCOMES, Outcome, Verdict

REACH = 40.0
"""Effects on the common scale beyond this many times the smallest of interest are drawn at the edge."""
TICKS = (-10, -1, 0, 1, 10)
# What matplotlib draws in black on white, as it looks on a dark page.
DARK = {"#e5e5e5": "#3a3d4a", "#000000": "#e2e4e9", "#262626": "#e2e4e9", "#333333": "#d5d8df", "#6e6e6e": "#a3a7b3"}
DARK |= {"#0072b2": "#4aa8e0", "#d55e00": "#ff8b45", "#009e73": "#35c99c", "#cc79a7": "#e79cc4"}


def scaled(check: Check, value: float) -> float:
    """A difference as a multiple of the smallest effect of interest, positive in the direction that is claimed."""
    return (-value if check.better == "lower" else value) / unit_of(check)


def unit_of(check: Check) -> float:
    """One on the common scale: the smallest effect of interest, or the size that the claim states."""
    return check.smallest or check.size or 1.0


def place(value: float, width: float = 160.0) -> float:
    """Where a multiple stands on the common scale: nearly linear up to one, logarithmic beyond."""
    edge = math.asinh(REACH)
    return width / 2 + (width / 2 - 4) * max(-1.0, min(1.0, math.asinh(value) / edge))


def effect(check: Check, verdict: Verdict) -> str:
    """Estimate and interval on the common scale; dashed, what the claim asks for. Nothing where nothing was judged."""
    if verdict.difference is None or verdict.low is None or verdict.high is None:
        return ""
    # Of an equivalence both ends; of "nothing is lost" the loss that is allowed.
    asked = [-check.size, check.size] if check.better == "equal" else [-check.size if check.keeps else check.size]
    if check.better == "lower":
        asked = [-value for value in asked]
    ends = sorted(place(scaled(check, value)) for value in (verdict.low, verdict.high))
    label = f"{verdict.difference:+.3f}, 95 % interval {verdict.low:+.3f} to {verdict.high:+.3f}"
    label += f"; one on the scale is {unit_of(check):g}"
    dashes = "".join(
        f'<line class="margin" x1="{place(scaled(check, m)):.1f}" x2="{place(scaled(check, m)):.1f}" y1="2" y2="22"/>'
        for m in asked
        if m
    )
    ticks = "".join(
        f'<line class="{"tick" if tick else "zero"}" x1="{place(tick):.1f}" x2="{place(tick):.1f}" y1="2" y2="22"/>'
        for tick in TICKS
    )
    return (
        f'<svg class="effect o{OUTCOMES.index(verdict.outcome)}" viewBox="0 0 160 24" role="img" aria-label="{label}">'
        f"<title>{label}</title>{ticks}{dashes}"
        f'<line class="interval" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="12" y2="12"/>'
        f'<circle cx="{place(scaled(check, verdict.difference)):.1f}" cy="12" r="4"/></svg>'
    )


def scale_legend() -> str:
    """The axis of the common scale."""
    labels = "".join(
        f'<text x="{place(tick):.1f}" y="12" text-anchor="middle">{"0" if not tick else f"{tick:+d}×"}</text>'
        for tick in TICKS
    )
    told = "-10, -1, 0, 1 and 10 times"
    return f'<svg class="effect legend" viewBox="0 0 160 16" role="img" aria-label="{told}">{labels}</svg>'


def badge(slug: str, outcome: Outcome) -> str:
    """A small picture `slug | outcome` for other pages."""
    left, right = 14 + 7 * len(slug), 14 + 6.5 * len(outcome)
    colours = {"reproduced": "#00785a", "smaller than claimed": "#00785a", "contradicted": "#b03a00"}
    colour = colours.get(outcome, "#8a5a00" if outcome in ("undecided", "absent") else "#6e6e6e")
    text = f"{html.escape(slug)}: {outcome}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right:.0f}" height="20" role="img" '
        f'aria-label="{text}"><title>{text}</title><rect width="{left}" height="20" fill="#444"/>'
        f'<rect x="{left}" width="{right:.0f}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2}" y="14">{html.escape(slug)}</text>'
        f'<text x="{left + right / 2:.0f}" y="14">{outcome}</text></g></svg>'
    )


def on_light(svg: str) -> str:
    """A figure of matplotlib's without its white ground."""
    return re.sub(r'(<path[^>]*?style="fill: )#ffffff("/>)', r"\1none\2", svg)


def on_dark(svg: str) -> str:
    """A figure of matplotlib's for a dark page: no ground, light text, colours that keep their names."""
    svg = on_light(svg).replace("<svg ", '<svg fill="#e2e4e9" ', 1)
    return re.sub(r"#[0-9a-f]{6}\b", lambda match: DARK.get(match[0], match[0]), svg)


def growth(curve: dict[str, Any]) -> str:
    """One curve: work to the right, seconds upwards, both logarithmic; dashed is "in proportion"."""
    points = [(math.log10(work), math.log10(cost)) for work, cost in curve["points"]]
    (first, cost), (last, _) = points[0], points[-1]
    way = 1 if points[-1][1] > cost else -1  # more processes are to take less time
    line = [(first, cost), (last, cost + way * (last - first))]
    seconds = [value for _, value in points + line]
    low, high = min(seconds), max(seconds)

    def put(point: tuple[float, float]) -> str:
        x, y = 40 + 200 * (point[0] - first) / (last - first), 110 - 90 * (point[1] - low) / (high - low or 1)
        return f"{x:.1f},{y:.1f}"

    dots = "".join('<circle cx="{}" cy="{}" r="3"/>'.format(*put(point).split(",")) for point in points)
    slope = (points[-1][1] - cost) / (last - first)
    told = "; ".join(f"{work:,.0f}: {value:.3g} s" for work, value in curve["points"])
    ends = [f"{curve['points'][end][0]:,.0f}" for end in (0, -1)]
    return (
        f'<figure><svg viewBox="0 0 260 140" role="img" aria-label="{html.escape(told)}">'
        f"<title>{html.escape(told)}</title>"
        f'<polyline class="proportion" points="{" ".join(map(put, line))}"/>'
        f'<polyline class="cost" points="{" ".join(map(put, points))}"/>{dots}'
        f'<text x="40" y="130">{ends[0]}</text><text x="240" y="130" text-anchor="end">{ends[1]}</text>'
        f'<text x="36" y="{put(points[0]).split(",")[1]}" text-anchor="end">{curve["points"][0][1]:.2g} s</text>'
        "</svg>"
        f"<figcaption>{html.escape(curve['name'])}, by {html.escape(curve['work'])}: slope {slope:.2f}; {told}."
        f"<br><small>{html.escape(curve['note'])}</small></figcaption></figure>"
    )
