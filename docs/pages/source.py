"""Source files as pages: the idea beside the code.

A method file becomes two columns, docstrings and the comments that decide on the left, code with its own line numbers
on the right; above an object stand the equations that the paper's page says it holds. Other modules are highlighted
code. Both have an anchor for every object (`#merge`, `#Prompt.render`) and every line (`#L12`).
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import griffe
from markdown import Markdown
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from docs.pages import equations

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
ROLE = re.compile(r":(?:py:)?(?:func|class|mod|meth|attr|data|exc|obj):`~?([^`]+)`")
RENDERED = re.compile(r":(?:py:)?(?:func|class|mod|meth|attr|data|exc|obj):<code>([^<]+)</code>")
REFERENCE = re.compile(r"`(\w+\.py)::(\w+)`")
DIRECTIVE = re.compile(r"#\s*(fmt|type|noqa|ruff|mypy|pragma)\b")
TITLES = {
    "parameters": "Args",
    "returns": "Returns",
    "raises": "Raises",
    "yields": "Yields",
    "attributes": "Attributes",
}


@dataclass
class Row:
    """Prose beside the code from one line up to the next row."""

    line: int
    prose: list[str] = field(default_factory=list)


@dataclass
class Part:
    """A top-level object, or the statements between two of them."""

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class Told:
    """What a paper's page says about an object: its row of the equation table."""

    what: str
    numbers: tuple[int, ...]


def linked(content: str) -> str:
    """HTML in which Sphinx' roles (`:func:` and code behind it) are links to objects of the page or the reference."""
    ids = re.findall(r'id="((?:core|papers)\.[\w.]+)"', content)

    def link(match: re.Match[str]) -> str:
        name = match[1].removeprefix("~")
        shown = f"<code>{name if name == match[1] else name.rpartition('.')[2]}</code>"
        if name.startswith(("core.", "papers.")):
            return f'<autoref optional identifier="{name}">{shown}</autoref>'
        here = [known for known in ids if known.endswith(f".{name}")]
        return f'<a href="#{here[0]}">{shown}</a>' if here else shown

    return RENDERED.sub(link, content)


def told(page: str) -> dict[tuple[str, str], list[Told]]:
    """By file and object, the rows of a page's equation tables that point there."""
    found: dict[tuple[str, str], list[Told]] = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if not line.startswith("|") or len(cells) != 2:
            continue
        numbers = tuple(int(number) for number in re.findall(r"\((\d+)\)", cells[0]))
        for file, name in REFERENCE.findall(cells[1]):
            found.setdefault((file, name), []).append(Told(cells[0], numbers))
    return found


def page(title: str, text: str, *, annotated: bool, says: Mapping[str, Sequence[Told]], readme: str) -> str:
    """A source file as the Markdown of a page.

    Args:
        title: Heading, such as `mexa/method.py`.
        text: The source.
        annotated: In two columns, prose beside code.
        says: What the paper's page says about its objects, by name.
        readme: The paper's page, for its equations.
    """
    numbered = equations.numbered(readme)
    tree = ast.parse(text)
    lines = highlight(text, PythonLexer(), HtmlFormatter(nowrap=True)).split("\n")
    anchors = dict(_anchors(tree))
    hidden, rows = _prose(text, tree) if annotated else (set(), {})
    out = [f"# {title}", "", "[back to the paper](index.md)", ""]
    markdown = prose_markdown()
    names = {part.name: None for part in _parts(tree, text.splitlines()) if part.name}
    out += [" · ".join(f"[`{name}`](#{name})" for name in names if not name.startswith("_")), ""]
    for part in _parts(tree, text.splitlines()):
        if part.name:
            level = "###" if part.name.startswith("_") else "##"
            out += [f"{level} `{part.name}` {{ #{part.name} }}", ""]
        starts = sorted({part.first, *(line for line in rows if part.first <= line <= part.last)})
        cells = []
        for start, end in zip(starts, [*(line - 1 for line in starts[1:]), part.last], strict=True):
            shown = [line for line in range(start, end + 1) if line not in hidden]
            shown = [line for line in shown if lines[line - 1].strip() or line - 1 not in hidden]
            while shown and not lines[shown[0] - 1].strip():
                shown.pop(0)
            while shown and not lines[shown[-1] - 1].strip():
                shown.pop()
            code = "\n".join(_line(number, lines[number - 1], anchors.get(number, ())) for number in shown)
            code = f'<div class="highlight"><pre><code>{code}</code></pre></div>' if code else ""
            prose = "".join(_markdown(markdown, text, names) for text in rows.get(start, []))
            if start == part.first:
                prose = "".join(_equation(row, numbered, markdown) for row in says.get(part.name, ())) + prose
            if start == 1 and annotated and prose:
                out += [f'<div class="intro">{prose}</div>', ""]
                prose = ""
            if code or prose:
                cells.append(
                    f'<div class="beside"><div class="prose">{prose}</div><div class="code">{code}</div></div>'
                )
        kind = "annotated" if annotated else "plain"
        out += [f'<div class="{kind}">' + "".join(cells) + "</div>", ""]
    return "\n".join(out)


def _parts(tree: ast.Module, lines: Sequence[str]) -> Iterator[Part]:
    """Top-level objects and the runs of statements between them, in order, without the gaps."""
    nodes, at = list(tree.body), 0
    end = 0
    while at < len(nodes):
        node = nodes[at]
        first = next(line for line in range(end + 1, len(lines) + 1) if lines[line - 1].strip())
        if isinstance(node, Definition):
            yield Part(node.name, first, node.end_lineno or node.lineno)
        else:
            while at + 1 < len(nodes) and not isinstance(nodes[at + 1], Definition):
                at += 1
            yield Part("", first, nodes[at].end_lineno or 0)
        end = nodes[at].end_lineno or 0
        at += 1


def _anchors(tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Anchors inside top-level objects, by line: methods of classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, Definition):
                    yield inner.lineno, (f"{node.name}.{inner.name}",)


def _prose(text: str, tree: ast.Module) -> tuple[set[int], dict[int, list[str]]]:
    """Lines that are prose (docstrings, comments that stand alone), and the prose by the line of code it is for."""
    hidden: set[int] = set()
    rows: dict[int, list[str]] = {}
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(node, Definition | ast.Module) or not isinstance(body, list):
            continue
        before: ast.stmt | None = None
        for index, statement in enumerate(body):
            if _text(statement) and (index == 0 or isinstance(before, ast.Assign | ast.AnnAssign)):
                lines = range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
                hidden.update(lines)
                owner = node if index == 0 else before
                first = 1 if isinstance(owner, ast.Module) else _first(owner)
                rows.setdefault(first, []).append(_docstring(_text(statement)))
            before = statement
    source = text.splitlines()
    comment: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        number = token.start[0]
        alone = token.type == tokenize.COMMENT and source[number - 1].lstrip().startswith("#")
        if alone and not DIRECTIVE.match(token.string):
            hidden.add(number)
            comment.append(token.string.lstrip("# "))
        elif comment and token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT):
            rows.setdefault(number, []).insert(0, " ".join(comment))
            comment = []
    return hidden, rows


def _text(statement: ast.stmt) -> str:
    """The text that a statement is, if it is nothing else."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _first(node: ast.AST | None) -> int:
    """The first line of an object, with its decorators."""
    lines = [getattr(node, "lineno", 1), *(item.lineno for item in getattr(node, "decorator_list", []))]
    return min(lines)


def _docstring(text: str) -> str:
    """A docstring in Google's style as Markdown."""
    parts = []
    for section in griffe.Docstring(text).parse("google", warnings=False):
        kind = section.kind.value
        if kind == "text":
            parts.append(section.value)
        elif kind in TITLES:
            items = []
            for item in section.value:
                label = getattr(item, "name", "") or (str(item.annotation) if kind == "raises" else "")
                described = " ".join(item.description.split())
                items.append(f"- `{label}`: {described}" if label else f"- {described}")
            parts.append(f"*{TITLES[kind]}*\n\n" + "\n".join(items))
        else:
            parts.append(str(section.value))
    return "\n\n".join(parts)


def prose_markdown() -> Markdown:
    """A converter that takes no HTML from texts."""
    markdown = Markdown(extensions=["tables", "fenced_code", "sane_lists"])
    markdown.preprocessors.deregister("html_block")
    markdown.inlinePatterns.deregister("html")
    return markdown


def _markdown(markdown: Markdown, text: str, names: Collection[str]) -> str:
    """Prose as HTML; roles become code, and objects of the same file links."""

    def link(match: re.Match[str]) -> str:
        name = match[1].removeprefix(".")
        return f"[`{name}`](#{name})" if name in names else f"`{name}`"

    markdown.reset()
    return markdown.convert(ROLE.sub(link, text))


def _equation(row: Told, numbered: Mapping[int, str], markdown: Markdown) -> str:
    markdown.reset()
    shown = "".join(equations.mathml(numbered[number], display=True) for number in row.numbers if number in numbered)
    return f'<div class="equation">{markdown.convert(row.what)}{shown}</div>'


def _line(number: int, code: str, anchors: Sequence[str]) -> str:
    ids = "".join(f'<a id="{anchor}"></a>' for anchor in anchors)
    return f'<span id="L{number}">{ids}<a class="no" href="#L{number}">{number}</a>{code}</span>'
