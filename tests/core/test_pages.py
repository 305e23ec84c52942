"""Reports: one file, nothing unescaped, and plots that hold what they are given."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

from core.experiment import pages

EVIL = '<script>alert("x")</script>'


def plot(html: str) -> ET.Element:
    """The first SVG, which has to be well-formed."""
    found = re.search(r"<svg.*?</svg>", html, re.DOTALL)
    assert found
    return ET.fromstring(found[0])


def test_nothing_that_is_not_ours_is_markup() -> None:
    rows = [pages.Row(EVIL, 1.0, 0.5, 1.5)]
    parts = [
        pages.table([[EVIL, "b"], ["c", EVIL]]),
        pages.interval_rows(rows, EVIL),
        pages.figure("", EVIL, {EVIL: "a"}),
        pages.curves({EVIL: ([0.1, 0.2], "a")}, EVIL, "layer"),
        pages.prose(f"`{EVIL}`"),
    ]
    page = pages.document(EVIL, parts)
    assert "<script" not in page
    assert page.count("&lt;script") >= 7
    assert not re.findall(r"(?:src|href)=|url\(|@import", page)


def test_rows_lie_where_their_values_are() -> None:
    html = pages.interval_rows([pages.Row("a", 2.0, 1.0, 3.0, 4.0), pages.Row("b", 0.0, 0.0, 0.0)], "costs", 1.0)
    root = plot(html)
    ring, first, second = root.findall("circle")
    assert ring.get("class") == "ring b"
    place = [float(mark.get("cx") or 0) for mark in (second, first, ring)]
    assert place[0] == pages.LEFT
    assert place[2] == pages.WIDTH - pages.RIGHT
    assert math.isclose(2 * place[1], place[0] + place[2])
    assert "costs; a 2.00; b 0.00" in (root.get("aria-label") or "")
    assert pages.interval_rows([], "nothing") == ""


def test_a_long_table_is_cut_and_says_so() -> None:
    html = pages.table([["n"], *([str(n)] for n in range(pages.MOST_ROWS + 7))])
    assert "… and 7 more rows" in html
    assert pages.table([]) == "<table><tr></tr></table>"


def test_curves_leave_out_what_is_no_number() -> None:
    root = plot(pages.curves({"x": ([0.0, math.nan, 1.0], "a")}, "shares", "layer", 0.25))
    line = root.find("polyline")
    assert line is not None
    assert line.get("points") == "34.0,168.0 352.0,8.0"
    assert any(mark.get("stroke-dasharray") for mark in root.findall("line"))
