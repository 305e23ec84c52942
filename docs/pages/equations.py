"""Equations: LaTeX of the pages as MathML, which needs no script and no network, and equations by their numbers."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

BLOCK = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
NUMBER = re.compile(r"\\tag\{(\d+)\}|(?:&&|\\qquad)\s*\((\d+)\)")
MARKED = re.compile(
    r'<(?P<tag>div|span) class="arithmatex">(?P<open>\\[\[(])(?P<latex>.*?)\\[\])]</(?P=tag)>', re.DOTALL
)


def mathml(latex: str, *, display: bool) -> str:
    """An equation as MathML.

    Raises:
        ValueError: It has a command that latex2mathml does not know.
    """
    # What latex2mathml makes of a tag stands without a gap behind the equation.
    latex = re.sub(r"\\tag\{(\d+)\}", r"\\qquad (\1)", latex)
    # It knows the starred environment only.
    made = convert(latex.strip().replace("{aligned}", "{align*}"), display="block" if display else "inline")
    if "\\" in made:
        raise ValueError(f"latex2mathml does not know a command of: {latex}")
    return made


def render(content: str) -> str:
    """The HTML of a page with the equations that arithmatex marked as MathML, in spans that can scroll."""

    def made(match: re.Match[str]) -> str:
        display = match["open"] == r"\["
        return f'<span class="math">{mathml(html.unescape(match["latex"]), display=display)}</span>'

    return MARKED.sub(made, content)


def numbered(markdown: str) -> dict[int, str]:
    """LaTeX of a page's numbered equations: of `aligned` blocks with a number a row, the rows of each number.

    Rows without a number belong to the next row that has one; a block with one number, by `\\tag` or behind it, is one
    equation.
    """
    found: dict[int, str] = {}
    for block in BLOCK.findall(markdown):
        numbers = [int(match[1] or match[2]) for match in NUMBER.finditer(block)]
        if len(numbers) == 1:
            found[numbers[0]] = NUMBER.sub("", block).strip()
        elif numbers:
            inner = re.sub(r"\\(begin|end)\{aligned\}", "", block)
            rows: list[str] = []
            for row in re.split(r"\\\\(?:\[[^\]]*\])?", inner):
                number = NUMBER.search(row)
                rows.append(NUMBER.sub("", row).strip())
                if number:
                    body = r" \\ ".join(rows)
                    found[int(number[1] or number[2])] = rf"\begin{{aligned}} {body} \end{{aligned}}"
                    rows = []
    return found
