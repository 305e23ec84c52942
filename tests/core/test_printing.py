"""What a terminal is given: nothing that it would obey but what we style ourselves."""

from __future__ import annotations

import ast
import io
import re
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from core.cost.plan import plan, render_plan
from core.cost.workload import Workload
from core.errors import UserError
from core.experiment import progress
from core.experiment.entrypoint import exit_codes, tools
from core.experiment.run import ROOT
from core.printing import console, escaped, printable, styled
from core.training import progress as training

# A window's title, the clipboard, a colour, a line that is overwritten, C1's CSI, an override, half a pair.
HOSTILE = "\x1b]0;title\x07 \x1b]52;c;aGk=\x1b\\ \x1b[31mred\rover \x9b2J \u202eright \u2067\x7f\x00\ud83d"
SHOWN = r"\x1b]0;title\x07 \x1b]52;c;aGk=\x1b\ \x1b[31mred\rover \x9b2J \u202eright \u2067\x7f\x00\ud83d"
MARKUP = "[/bold] [red]x[/] :cat: [link=http://x]y"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def test_what_a_terminal_obeys_is_spelled_out() -> None:
    assert printable(HOSTILE) == SHOWN
    assert printable(UserError("\x1b")) == r"\x1b"
    spelled = "a\tb\nc نمی\u200cخواهم \u200e\u200f ක්\u200dෂ 👩\u200d🔬 \\x1b é e\u0301"
    assert printable(spelled) == spelled


@given(st.text())
def test_nothing_obeyed_is_left_and_nothing_else_is_touched(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    assert not OBEYED.search(shown)
    assert not {c for c in shown if unicodedata.category(c) in {"Cc", "Cs"}} - {"\n", "\t"}
    assert shown == text or OBEYED.search(text)


def test_everything_printed_is_escaped_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with escaped(), escaped():
        print(HOSTILE, "b", sep="|", flush=True)
        sys.stdout.writelines(["\x1b", "\n"])
        print(HOSTILE, file=sys.stderr)
        sys.stderr.write("\r 50 %|bar\x1b[A")  # as tqdm draws
    assert (sys.stdout, sys.stderr) == before
    out, err = capsys.readouterr()
    assert out == f"{SHOWN}|b\n\\x1b\n"
    assert err == SHOWN.replace(r"\rover", "\rover") + "\n\r 50 %|bar\x1b[A"


def test_a_library_that_styles_gets_the_stream_itself_unless_it_may_repeat_something(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with escaped():
        with styled(["--model", "[/bold]"]):
            print("\x1b[1mhelp\x1b[0m")
        with styled(["--model", HOSTILE]):
            print("\x1b[1mhelp")
    assert capsys.readouterr().out == "\x1b[1mhelp\x1b[0m\n\\x1b[1mhelp\n"


def test_a_console_styles_what_we_style_and_shows_the_rest() -> None:
    terminal = console(force_terminal=True, color_system="standard", width=150)
    table = Table(title=HOSTILE, title_style="")
    table.add_column(MARKUP)
    table.add_row(MARKUP)
    table.add_row(Text("good", "green"))
    table.add_row(Text(HOSTILE))
    with terminal.capture() as capture:
        terminal.print(MARKUP, HOSTILE)
        terminal.print("3 of 4 'quoted' http://x")
        terminal.print(table)
    text = capture.get()
    assert f"{MARKUP} {SHOWN}\n3 of 4 'quoted' http://x\n" in text
    assert "\x1b[32mgood" in text
    assert text.count(MARKUP) == 3
    # rich itself drops some characters of a `Text`.
    assert OBEYED.sub("", re.sub(r"\x1b\[[0-9;]*m", "", text)) == re.sub(r"\x1b\[[0-9;]*m", "", text)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "show",
    [
        lambda name: progress.Display(name, 2, {"g": progress.Group(2)}, 1, quiet=False),
        lambda name: training.Display(2, name, quiet=False),
    ],
    ids=["grid", "training"],
)
def test_bars_show_names_as_they_are(show: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    with escaped(), show(f"{MARKUP} \x1b]0;x\x07") as display:
        if isinstance(display, progress.Display):
            display.begin(MARKUP, "g")
            display.end(MARKUP, seconds=(1.0, 1.0))
        else:
            display.step(1)
            display.note(1, {"loss": 1.0}, 5.0)
    text = terminal.getvalue()
    assert MARKUP in text
    assert "\x1b[?25l" in text  # the bar itself moves
    assert "\x1b]0;" not in text


def test_a_bar_follows_what_is_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    monkeypatch.setattr(training.Display, "step", lambda _, step: steps.append(step))
    seen = [(item, len(steps)) for item in training.tracked("abc", 3, "letters", quiet=True)]
    assert (seen, steps) == ([("a", 0), ("b", 1), ("c", 2)], [1, 2, 3])


@dataclass(frozen=True)
class Say:
    """Say it."""

    text: str = ""
    """What."""


@dataclass(frozen=True)
class SayAgain(Say):
    """Say it."""


def refuse(options: Say) -> None:
    raise UserError(f"{options.text} is bad: give another.")


def fail(options: Say) -> None:
    raise RuntimeError(options.text)


@pytest.mark.parametrize("text", [HOSTILE.replace("\x00", ""), MARKUP], ids=["control characters", "markup"])
def test_verbs_and_errors_are_escaped(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    def say(options: Say) -> None:
        print(options.text)

    verbs = {"say": (Say, say), "again": (SayAgain, refuse)}
    tools("papers.x.use", None, verbs, ["say", "--text", text])
    assert capsys.readouterr().out == f"{printable(text)}\n"
    with pytest.raises(SystemExit, match="2"):
        tools("papers.x.use", None, verbs, ["again", "--text", text])
    assert capsys.readouterr().err == f"{printable(text)} is bad: give another.\n"
    with pytest.raises(SystemExit, match="2"):
        tools("papers.x.use", None, verbs, ["say", text])  # answered by the parser
    out, err = capsys.readouterr()
    assert printable(text).split()[0] in re.sub(r"[│\s]+", " ", out + err)
    assert not OBEYED.search(out + err)
    with pytest.raises(SystemExit, match="1"):
        tools("papers.x.use", None, {"say": (Say, fail), "again": (SayAgain, say)}, ["say", "--text", text])
    assert f"Internal error: RuntimeError: {printable(text)} (" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"), exit_codes(debug=True):
        raise RuntimeError(text)
    trace = capsys.readouterr().err
    assert "Traceback" in trace
    assert printable(text) in trace


def test_a_plan_shows_a_path_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "[" / "bold] [x]"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        '{"model_type": "llama", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,'
        ' "num_attention_heads": 1, "vocab_size": 9}'
    )
    shown = render_plan(plan(Workload(str(folder), tokens=1e6, name=MARKUP), gpus=1))
    assert MARKUP in shown
    assert "bold] [x]" in "".join(shown.split("\n"))


def test_text_reaches_a_terminal_through_one_door() -> None:
    """No module makes a console, prints with rich's own function or goes round `sys.stdout`."""
    found = []
    for path in sorted([*(ROOT / "core").rglob("*.py"), *(ROOT / "papers").rglob("*.py")]):
        if path == ROOT / "core" / "printing.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            rich = isinstance(node, ast.ImportFrom) and node.module in {"rich", "rich.console", "rich.markup"}
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import | ast.ImportFrom) else set()
            stream = isinstance(node, ast.Attribute) and node.attr in {"__stdout__", "__stderr__"}
            buffer = isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout.buffer", "sys.stderr.buffer"}
            if rich or "rich" in names or stream or buffer:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}")
    assert not found, "print through core.printing instead:\n" + "\n".join(found)


def test_every_command_is_under_that_door() -> None:
    """A module that can be run answers through `entrypoint`, `tools` or what they are made of."""
    for path in sorted([*(ROOT / "core").rglob("*.py"), *(ROOT / "papers").rglob("*.py")]):
        source = path.read_text(encoding="utf-8")
        if 'if __name__ == "__main__":' in source:
            calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
            called = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
            assert called & {"entrypoint", "tools", "exit_codes", "escaped"}, path
