"""Text of cards and records in Markdown, HTML and on a terminal: what it says is shown, and nothing that it does."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from core.experiment import ledger, report, terminal
from core.experiment import paper as cards
from core.experiment.paper import Check, Claim, Paper
from core.experiment.results import Record, judge_all
from core.experiment.run import ROOT, Measurement

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> a | b \\| c ` <b> <!-- results:end --> `<!-- effect:end -->`"
    " `x|y` `\\|` ``d|`e`` [click](javascript:alert(1)) ![](http://x/y) **x**{: onclick=alert(1) } &lt;i&gt;"
    "\r\n| new | row |\n\n# heading\n<!-- results:begin -->\n\x1b]0;title\x07 \u202egnp [/bold] [red] :cat:"
)
TABLE = {"table", "thead", "tbody", "tr", "th", "td"}
ALLOWED = TABLE | {"br", "strong", "code", "p", "h1", "ul", "li", "details", "summary"}


class Tags(HTMLParser):
    """Elements with their attributes, and the text of the cells of each row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.comments = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag == "br" and self.rows:
            self.rows[-1][-1] += "\n"

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        self.comments += 1


def paper(text: str) -> Paper:
    claim = Claim(
        id="c", statement=text, reported=text, metric="score", treatment="new", control="old", unit="seed", null=None
    )
    check = Check(id="k", statement=text, metric="score", treatment="new", control="old")
    values = {"title": text, "summary": text, "disclaimer": text, "authors": text, "venue": text}
    return replace(cards.find(cards.slugs()[0]), claims=(claim,), checks=(check,), premises=(), **values)


def record(card: Paper, text: str) -> Record:
    named = {f"m {text}": 1.0, f"trivial_{text}": 0.5}
    measured = {
        variant: {seed: Measurement({"score": value + seed / 9, **named}) for seed in (0, 1)}
        for variant, value in (("new", 1.0), ("old", 0.0))
    }
    return Record(
        slug=card.slug,
        preset="tiny",
        seeds=(0, 1),
        measurements=measured,
        seconds={"new": 1.0, "old": 1.0},
        verdicts=judge_all(card, measured),
        environment={"command": text, "commit": text, "processor": text, "versions": {"torch": text}, "cores": 2},
        keys={},
    )


def rendered(text: str) -> list[str]:
    """As GitHub's dialect has it, and as the site's where its library is installed."""
    pages = [MarkdownIt("commonmark", {"html": True}).enable("table").render(text)]
    if importlib.util.find_spec("markdown"):
        import markdown

        pages.append(markdown.markdown(text, extensions=["tables", "attr_list", "md_in_html", "footnotes"]))
    return pages


def unchanged(text: str) -> str:
    """What a reader has to see of a text, without spaces and the marks of code."""
    shown = re.sub(r"[\x1b\x07\u202e]", lambda found: ascii(found[0])[1:-1], text)
    return re.sub(r"[\s`*]", "", shown)


@pytest.mark.parametrize("text", [HOSTILE, *HOSTILE.split(), "plain", "`a<b>|c`", "1 < 2 & 3 > 2", "x\\", "`", "``"])
def test_a_claim_is_one_cell_and_does_nothing(text: str) -> None:
    card = paper(text)
    for table in (report.claims_markdown(card, record(card, "m")), report.checks_markdown(card, record(card, "m"))):
        for page in rendered(table):
            tags = Tags(page)
            assert {tag for tag, _ in tags.found} <= ALLOWED
            assert tags.comments == 0
            assert all(set(attributes) <= {"style"} for _, attributes in tags.found)
            header, row = tags.rows
            assert len(row) == len(header)
            assert unchanged(row[0]).removesuffix("score") == unchanged(text)  # the metric stands below the statement
            assert "undecided" in row[-1]


@given(st.text(alphabet=st.sampled_from("a |\\`<>&!-[](){}:*\n\r\t"), max_size=12).filter(str.strip))
def test_any_text_is_one_cell(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| x{report.prose(text)}x | y |"
    for page in rendered(table):
        tags = Tags(page)
        assert [len(row) for row in tags.rows] == [2, 2], page
        assert tags.rows[1][1].strip() == "y"
        assert {tag for tag, _ in tags.found} <= ALLOWED | {"em"}
    assert not re.search(r"<!--|-->|[\r\n]", report.prose(text))


@pytest.mark.parametrize(("own", "said"), [(True, "2 seeds with, in all, 4 units"), (False, "2 seeds × 2 units")])
def test_units_of_one_seed_alone_are_not_multiplied_by_the_seeds(own: bool, said: str) -> None:
    card = paper("plain")
    card = replace(card, claims=(), checks=(replace(card.checks[0], unit="language"),))
    units = {seed: [f"{seed if own else ''}{code}" for code in "ab"] for seed in (0, 1)}
    cells = {
        variant: {
            seed: Measurement({"score": value}, {"score": {f"{code}/{n}": value + n for code in codes for n in (0, 1)}})
            for seed, codes in units.items()
        }
        for variant, value in (("new", 1.0), ("old", 0.0))
    }
    found = replace(record(card, "m"), measurements=cells, verdicts=judge_all(card, cells))
    assert (
        f"Effective sample: {said} (`language`) of {8 if own else 4} leaves, "
        in report.generated(card, found)["results"]
    )


def test_a_page_has_its_markers_once_however_often_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "PAPERS_DIR", tmp_path)
    card = paper(HOSTILE)
    card.folder.mkdir(parents=True)
    page = card.folder / "README.md"
    before, between, after = "# X\n\n", "\n\nProse | as <b>it</b> is.\n\n", "\n\n## End\n"
    parts = ["<!-- effect:begin -->\n<!-- effect:end -->", "<!-- results:begin -->\n<!-- results:end -->"]
    page.write_text(f"{before}{parts[0]}{between}{parts[1]}{after}", encoding="utf-8")
    report.update_page(card, record(card, HOSTILE))
    first = page.read_text(encoding="utf-8")
    report.update_page(card, record(card, HOSTILE))
    assert page.read_text(encoding="utf-8") == first
    for name in ("effect", "results"):
        assert (first.count(f"<!-- {name}:begin -->"), first.count(f"<!-- {name}:end -->")) == (1, 1)
    assert first.startswith(before)
    assert first.endswith(after)
    assert between in first
    for text in rendered(first.replace(between, "")):
        tags = Tags(text)
        assert {tag for tag, _ in tags.found} <= ALLOWED | {"h2"}
        assert tags.comments == 4
        assert not {name for _, attributes in tags.found for name in attributes} - {"style"}


def test_a_report_beside_a_run_and_the_scoreboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = paper(HOSTILE)
    made = record(card, HOSTILE)
    monkeypatch.setattr(report, "discover", lambda: (card,))
    monkeypatch.setattr(report, "recorded", lambda paper: made)
    monkeypatch.setattr(ledger, "counts", lambda paper: {})  # of the paper whose name the card borrows
    page = report.write_page(card, made, tmp_path / "page.md", None).read_text(encoding="utf-8")
    for text in (*rendered(page), *rendered(report.scoreboard_markdown())):
        tags = Tags(text)
        assert {tag for tag, _ in tags.found} <= ALLOWED | {"a"}
        assert {value for tag, attributes in tags.found for name, value in attributes.items() if name != "style"} <= {
            f"papers/{card.slug}/README.md"
        }
        assert tags.comments == 0
    assert [len(row) for row in Tags(rendered(report.scoreboard_markdown())[0]).rows] == [7, 7]


def test_a_terminal_shows_cards_and_claims_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "600")
    card = paper(HOSTILE)
    monkeypatch.setattr(terminal, "discover", lambda: (card,))
    for made in (record(card, HOSTILE), None):
        monkeypatch.setattr(terminal, "recorded", lambda paper, made=made: made)
        terminal.card(card)
        terminal.overview()
        terminal.compare([card, card], [HOSTILE, HOSTILE])
        out = capsys.readouterr().out
        assert out.count("[/bold] [red] :cat:") >= 4
        assert not re.search("[\x1b\x07\u202e\r]", out)


def test_the_site_s_own_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("docs.pages")
    from docs.pages import papers as pages
    from docs.pages import source

    card = paper(HOSTILE)
    made = record(card, "m")
    monkeypatch.setattr(pages, "recorded", lambda paper: made)
    monkeypatch.setattr(pages, "records", lambda paper: [made])
    for result in pages.results(card):
        for shown in (pages._row(result), pages.claim_card(result), pages.card(card, "")):
            tags = Tags(shown)
            assert not {"script", "i"} & {tag for tag, _ in tags.found}
            assert tags.comments == 0
            assert not [name for _, attributes in tags.found for name in attributes if name.startswith("on")]
    assert len(Tags(pages._row(pages.results(card)[0])).rows[0]) == 7
    text = '"""x\n```\n<script>1</script>\n````\n"""\n'
    for annotated in (True, False):
        page = MarkdownIt("commonmark", {"html": True}).render(
            source.page("x", text, annotated=annotated, says={}, readme="")
        )
        assert not {"script"} & {tag for tag, _ in Tags(page).found}


def test_lines_of_code_are_what_is_neither_said_of_it_nor_blank() -> None:
    source = '"""What it is.\n\nAt length.\n"""\n\nA = 1  # one\n"""Of A."""\n\n\ndef f():\n    """Does."""\n'
    source += '    # why\n    return """\n    # kept\n"""\n'
    assert report.lines_of_code(source) == 5, "what stands in a string that is used is no comment"
    assert report.lines_of_code("") == 0


def test_a_newcomer_is_told_of_every_paper_what_to_bring() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    chosen = text[text.index("## Pick by what you want to do") : text.index("## The map")]
    assert not [slug for slug in cards.slugs() if f"[{slug}](papers/{slug}/README.md)" not in chosen]
