"""What makes the site: sources in two columns, equations by number, the common scale, and the search for faults."""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.experiment.paper import Check, discover
from core.experiment.skeleton import unfilled

pytest.importorskip("mkdocs")
pytest.importorskip("docs.pages")

from docs.pages import built, drawings, equations, papers, source

SLUGS = [paper.slug for paper in discover()]


def folder(slug: str) -> Path:
    return next(paper.folder for paper in discover() if paper.slug == slug)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_method_loses_no_line_and_equations_point_at_objects(slug: str) -> None:
    text = (folder(slug) / "method.py").read_text(encoding="utf-8")
    readme = (folder(slug) / "README.md").read_text(encoding="utf-8")
    says = source.told(readme)
    told = {name: rows for (file, name), rows in says.items() if file == "method.py"}
    made = source.page(f"{slug}/method.py", text, annotated=True, says=told, readme=readme)
    numbers = [int(number) for number in re.findall(r'<span id="L(\d+)">', made)]
    assert numbers == sorted(set(numbers))
    lines = text.splitlines()
    hidden, _ = source._prose(text, ast.parse(text))
    for number, line in enumerate(lines, 1):
        assert not line.strip() or number in numbers or number in hidden, line
    # Code that is shown is the code.
    for number, chunk in re.findall(r'<a class="no" href="#L(\d+)">\d+</a>(.*?)(?=<span id="L|</code></pre>|\n)', made):
        assert html.unescape(re.sub(r"<[^>]+>", "", chunk)) == lines[int(number) - 1]
    names = {node.name for node in ast.parse(text).body if isinstance(node, source.Definition)}
    assert set(told) <= names
    assert all(f"{{ #{name} }}" in made for name in names)
    numbered = equations.numbered(readme)
    for rows in told.values():
        for row in rows:
            # Some are told in the text around the equations.
            found = all(number in numbered or readme.count(f"({number})") > 1 for number in row.numbers)
            assert found or unfilled(folder(slug)), row  # a new paper has no equations yet


def test_prose_of_comments_and_docstrings() -> None:
    text = (
        '"""Top."""\n\n# Why.\nX = 1\n\n\ndef f(a):\n    """Do it, see :func:`f`.\n\n    Args:\n        a: What.\n'
        '    """\n'
        "    # Because.\n    return a  # kept\n"
    )
    made = source.page("x", text, annotated=True, says={}, readme="")
    assert "<p>Because.</p>" in made
    assert "<code>a</code>: What." in made
    assert '<a href="#f"><code>f</code></a>' in made
    assert "kept" in made
    assert "# Because" not in made
    assert "<script>" not in source.page(
        "x", '"""<script>1</script> `<b>`"""\nX = "<script>"\n', annotated=True, says={}, readme=""
    )


def test_equations_by_number() -> None:
    rows = (
        "$$\n\\begin{aligned}\na &= b && (1) \\\\\nc &= d \\\\\n  &= e && (2)\n\\end{aligned}\n$$\n"
        "$$ f \\tag{3} $$ $$ g \\qquad (4) $$"
    )
    found = equations.numbered(rows)
    assert found[1] == r"\begin{aligned} a &= b \end{aligned}"
    assert found[2].startswith(r"\begin{aligned} c &= d \\ &= e")
    assert (found[3], found[4]) == ("f", "g")
    assert all(equations.mathml(latex, display=True).startswith("<math") for latex in found.values())
    with pytest.raises(ValueError, match="does not know"):
        equations.mathml(r"\nosuchcommand x", display=False)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_the_common_scale_keeps_order_and_sign(values: list[float]) -> None:
    places = [drawings.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(4 <= place <= 156 for place in places)
    assert drawings.place(0) == 80
    assert drawings.place(1) - 80 == pytest.approx(80 - drawings.place(-1))


def test_the_scale_turns_what_is_claimed_to_the_right() -> None:
    check = Check(id="x", statement="x", better="lower", smallest=0.05)
    assert drawings.scaled(check, -0.1) == pytest.approx(2)
    assert drawings.scaled(Check(id="x", statement="x", size=0.2), 0.1) == pytest.approx(0.5)


def test_figures_for_dark_pages_have_no_white_ground_and_no_black_text() -> None:
    for paper in discover():
        for figure in (paper.folder / "results").glob("*.svg"):
            svg = drawings.on_dark(figure.read_text(encoding="utf-8"))
            assert not re.search(r'<path[^>]*style="fill: #ffffff"', svg)
            assert "#000000" not in svg


def test_languages_of_units() -> None:
    assert papers._codes("ar-vi") == {"ar", "vi"}
    assert papers._codes("pt-BR") == {"pt-BR"}
    assert papers._codes("Tamil") == {"ta"}
    assert papers._codes("seen words") == set()


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="gone.html">x</a>', "a link to nothing"),
        ('<a href="#gone">x</a>', "missing anchor"),
        ('<img src="index.html">', "without alternative text"),
        ("<p>| a |\n|---|</p>", "raw text"),
        ("<p>:func:<code>x</code></p>", "raw text"),
        ("<p>$$x$$</p>", "raw text"),
        ("<p>**bold**</p>", "raw text"),
        ('<p id="here"><a href="#here">x</a> <code>|---| **x**</code></p>', ""),
    ],
)
def test_faults_of_a_built_site_are_found(tmp_path: Path, body: str, fault: str) -> None:
    (tmp_path / "index.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    found = built.faults(tmp_path)
    assert (fault in found[0]) if fault else (found == [])
