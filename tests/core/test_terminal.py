"""What the command shows: whole words and every column at 80 columns, data for programs, completion, mistakes."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from statistics import median

import pytest

from core import cli
from core.cost.launch import commands
from core.cost.plan import plan, render_plan
from core.experiment import keys, report, run, terminal
from core.experiment.paper import discover, find, slugs
from core.experiment.results import recorded
from core.experiment.revisit import Row, _print_rows
from core.experiment.run import ROOT
from core.files import DISTRIBUTION
from core.printing import folded, wrapped

NARROW = 80


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`said("show", "mexa")`: what the command prints on a terminal of 80 columns."""

    def call(*arguments: str, columns: int = NARROW) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        cli.main(arguments)
        return capsys.readouterr().out

    return call


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a mistake is told in."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1, told
    return told


def words(text: str) -> set[str]:
    return set(re.sub(r"[│┃|]", " ", text).split())


def fits(text: str, columns: int = NARROW) -> None:
    assert "…" not in text
    assert [line for line in text.splitlines() if len(line.rstrip()) > columns] == []


# --- at 80 columns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [NARROW, 100, 200])
def test_the_list_holds_every_word_and_column(said, columns: int) -> None:
    text = said(columns=columns)
    fits(text, columns)
    for paper in discover():
        minutes = report.minutes(paper, recorded(paper))
        assert words(f"{paper.slug} {paper.title} {paper.year} {minutes}") <= words(text.replace(",", " ")) | words(
            text
        )
        assert paper.family in text
    assert len(text.splitlines()) < 5 * len(slugs()) + 5


@pytest.mark.parametrize("slug", slugs())
def test_a_card_holds_every_word(said, slug: str) -> None:
    paper, text = find(slug), said("show", slug)
    fits(text)
    statements = " ".join(check.statement for check in paper.judged)
    assert words(f"{paper.title} {paper.summary} {statements} {paper.url} {paper.family}.") <= words(text)
    record = recorded(paper)
    for verdict in record.judged(paper).verdicts if record else ():
        assert verdict.outcome in text
        assert report.interval(verdict) in text
    assert f"{report.minutes(paper, record)} minutes" in text


@pytest.mark.parametrize("slug", slugs())
def test_a_plan_fits_and_its_commands_can_be_pasted(slug: str) -> None:
    paper = find(slug)
    settings = import_module(f"papers.{slug}.config")
    for gpus in (1, 4096):
        result = plan(settings.workload(settings.PRESETS["paper"]), gpus=gpus, gpu="a100-40gb")
        text = render_plan(result, NARROW)
        fits(text)
        for cost in result.costs:
            assert {f"{cost.parameters.total:,}", cost.model.rstrip(",") + ","} <= words(text)
        for line in commands(slug, "paper", result, trains=(paper.folder / "train.py").exists()):
            parts = folded(line, NARROW).splitlines()
            assert max(map(len, parts)) <= NARROW
            assert " ".join(part.removesuffix(" \\").strip() for part in parts) == line


def test_two_papers_side_by_side(said) -> None:
    text = said("compare", "mexa", "transmi")
    fits(text)
    for slug in ("mexa", "transmi"):
        paper = find(slug)
        record = recorded(paper)
        assert record is not None
        assert words(f"{slug} {paper.title} {paper.summary} {report.minutes(paper, record)}") <= words(text)
        for claim, verdict in report.judged(paper, record)[: len(paper.claims)]:
            assert words(claim.statement) <= words(text)
            assert report.interval(verdict) in text
    assert words("36.3 GPU-hours of H100") <= words(text)


def test_what_the_seeds_can_decide_fits(said) -> None:
    longest = max((check.id for paper in discover() for check in paper.judged), key=len)
    slug = next(paper.slug for paper in discover() for check in paper.judged if check.id == longest)
    text = said("power", slug)
    fits(text)
    assert longest in words(text)


def test_a_replication_fits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    paper = find("mexa")
    rows = [
        Row(paper.claims[0].id, "reproduced", "undecided", False, 0.5, -0.1, 0.9, True),
        Row(paper.claims[1].id, "premise not met", "premise not met", True, None, None, None, None),
    ]
    for columns in (NARROW, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        _print_rows(paper, rows, (7, 8))
        text = capsys.readouterr().out
        fits(text, columns)
        assert words(f"{paper.claims[0].statement} {paper.claims[1].statement}") <= words(text)
        assert "+0.500 [-0.100, +0.900]" in text
        assert "1 of 2 outcomes agree" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  peak in   the loss of the last", "  peak in   the loss of\n            the last"),
        ("  one two three four five six", "  one two three four\n  five six"),
        ("short", "short"),
        ("a-very-long-name-that-nothing breaks", "a-very-long-name-that-nothing\nbreaks"),
    ],
)
def test_lines_are_broken_between_words(text: str, expected: str) -> None:
    assert wrapped(text, 24) == expected


# --- one number for a paper's minutes -------------------------------------------------------------------------------


def test_minutes_are_the_same_everywhere(said) -> None:
    scoreboard = report.scoreboard_markdown().splitlines()
    for paper in discover():
        record = recorded(paper)
        shown = report.minutes(paper, record)
        number = float(shown.removeprefix("≈ "))
        assert f"{shown} minutes on two cores" in said("show", paper.slug)
        assert terminal.listed(paper)["minutes"] == terminal.described(paper)["minutes"] == number
        row = next(line for line in scoreboard if f"[{paper.slug}]" in line)
        assert row.endswith(f"| {shown} |")
        if record:
            assert f", {shown} minutes on" in (paper.folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_front_door_says_the_recorded_minutes(page: str) -> None:
    paper = find("mexa")
    text = (ROOT / page).read_text(encoding="utf-8")
    assert f"takes {report.minutes(paper, recorded(paper))} minutes on two cores" in " ".join(text.split())


def test_the_front_pages_say_what_all_records_took() -> None:
    took = sorted(record.minutes for paper in discover() if (record := recorded(paper)))
    readme, site = (
        " ".join((ROOT / page).read_text(encoding="utf-8").split()) for page in ("README.md", "docs/index.md")
    )
    least, most, papers, hours = round(took[0]), round(took[-1]), len(took), round(sum(took) / 60)
    assert f"a paper takes {least} to {most} minutes, half of the papers less than {math.ceil(median(took))};" in readme
    assert f"all {papers} took {hours} hours" in readme
    assert f"in {least} to {most} minutes on two cores (all {papers} in {hours} hours)" in site


# --- data -----------------------------------------------------------------------------------------------------------


def test_the_list_as_data(said) -> None:
    rows = json.loads(said("--json"))
    assert rows == json.loads(said("list", "--json")) == json.loads(said("--json", "list"))
    assert [row["slug"] for row in rows] == list(slugs())
    assert {"title", "year", "family", "outcomes", "recorded", "minutes"} <= set(rows[0])


def test_a_card_as_data(said) -> None:
    card = json.loads(said("show", "mexa", "--json"))
    paper = find("mexa")
    assert [claim["id"] for claim in card["claims"]] == [claim.id for claim in paper.claims]
    assert card["claims"][0]["outcome"] == "reproduced"
    assert card["claims"][0]["low"] < card["claims"][0]["difference"] < card["claims"][0]["high"]
    assert card["claims"][0]["reported"] == paper.claims[0].reported
    assert card["authors"] == paper.authors
    assert card["lines"]["method"] > 50


def test_a_paper_without_a_record_as_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "recorded", lambda paper: None)
    paper = find("mexa")
    card = terminal.described(paper)
    assert (card["recorded"], card["minutes"]) == (False, paper.minutes)
    assert {claim["outcome"] for claim in card["claims"]} == {None}


def test_a_plan_and_a_comparison_as_data(said) -> None:
    found = json.loads(said("plan", "mexa", "--json"))
    assert found["gpu_hours"] == pytest.approx(sum(part["gpu_hours"] for part in found["workloads"]))
    assert {"strategy", "total", "fits", "needs", "own"} <= set(found["workloads"][0]["memory"][0])
    assert found["commands"] == ["python -m papers.mexa.eval paper"]
    one, other = json.loads(said("compare", "mexa", "transmi", "--json"))
    assert (one["slug"], other["slug"]) == ("mexa", "transmi")
    assert one["paper_scale"]["gpu_hours"] == pytest.approx(found["gpu_hours"])


def test_data_are_ascii_and_hold_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"nan": float("nan"), "text": "é\x9b\u202e"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"nan": None, "text": "é\x9b\u202e"}


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("lsit",), "There is no command 'lsit': did you mean `papers list`?"),
        (("reproduec", "mexa"), "did you mean `papers reproduce`?"),
        (("mexa",), "'mexa' is a paper, no command: say `papers show mexa` or `papers reproduce mexa`."),
        (("qqqq",), "the commands are list, show, compare,"),
        (("show",), "required: slug; `papers show --help`"),
        (("show", "mxea"), "did you mean 'mexa'?"),
        (("show", "mexa", "--jsn"), "--jsn; `papers --help`"),
        (("compare", "mexa"), "required: other"),
        (("compare", "mexa", "mexa"), "name two papers"),
        (("--json", "power", "mexa"), "--json is there for list, show, compare and plan"),
        (("plan", "mexa", "--json", "--simulate"), "leave --record and --simulate out"),
        (("reproduce", "mexa", "--jobs", "two"), "'two'"),
        (("completion", "cmd"), "'bash', 'zsh', 'fish'"),
        (("\x1b]0;x\x07",), r"\x1b]0;x\x07"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert told in refused(capsys, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [("new", "my_paper"), ("judge", "mexa"), ("reproduce", "mexa", "--record"), ("replicate", "mexa", "--record")],
)
def test_nothing_is_written_into_an_installed_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "pyproject.toml").write_text('name = "another"\n')  # some packages bring one
    monkeypatch.setattr(keys, "ROOT", tmp_path)
    assert "holds an installed package" in refused(capsys, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]


# --- version, completion, pipes -------------------------------------------------------------------------------------


def test_the_version_names_the_commit_of_our_repository_alone(
    said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run, "commit", lambda: "0123456789ab")
    assert said("--version").startswith(f"{DISTRIBUTION} {run.version()}, commit 0123456789ab, Python 3.")
    monkeypatch.undo()
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for module in (keys, run):
        monkeypatch.setattr(module, "ROOT", tmp_path)  # an environment inside somebody's repository
    assert run.commit.__wrapped__() is None


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("papers rep", {"reproduce ", "replicate "}),
        ("papers show mex", {"mexa "}),
        ("papers compare mexa trans", {"translico", "transmi"}),
        ("papers plan mexa --preset pap", {"paper", "paper-bible"}),
        ("papers plan nothing --preset ", set()),
        ("papers completion z", {"zsh "}),
    ],
)
def test_the_shell_completes(line: str, offered: set[str], tmp_path: Path) -> None:
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    answer = tmp_path / "answer"
    subprocess.run(
        [sys.executable, "-m", "core.cli"],
        env={**os.environ, **asked, "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        check=True,
    )
    assert {word.strip() for word in answer.read_text().split("\n") if word} == {word.strip() for word in offered}


@pytest.mark.parametrize("shell", cli.SHELLS)
def test_each_shell_is_told_how_to_complete(said, shell: str) -> None:
    assert "papers" in said("completion", shell)


def test_a_closed_pipe_is_no_error() -> None:
    line = f"'{sys.executable}' -m core.cli | head -1"
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["paper", "title", "claims", "minutes"]
