"""Which functions a run reached: no call is missed, and nothing is reported that did not run."""

from __future__ import annotations

import importlib
import runpy
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

METHOD = '''
import functools

def doubled(function):
    """A decorator."""
    @functools.wraps(function)
    def call(*arguments):
        return 2 * function(*arguments)
    return call

def step():
    """It."""
    return [1 for _ in range(3)], lambda: never()

def never():
    return 0

@functools.cache
def kept():
    return len("kept")

@doubled
def wrapped():
    return 4

def pieces():
    yield 1

def in_a_thread():
    pass

class Plan:
    def __init__(self):
        self.size = 1

    @property
    def half(self):
        return self.size / 2

    @staticmethod
    def static():
        return 1

    @classmethod
    def made(cls):
        return cls()

    def idle(self):
        pass

class Idle(Plan):
    def half(self):
        pass

def closing(start):
    def add(number):
        return start + number
    return add

if True:
    def conditional():
        return __name__
'''
USER = "from {0}.method import step as taken\n\ndef use():\n    return taken()\n"
LATE = "async def late():\n    return 1\n\ndef unused():\n    pass\n"
MAIN = """
from {0}.method import closing

def main():
    return closing(1)(2)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "traced"
    folder.mkdir()
    for name, text in {"__init__": "", "method": METHOD, "user": USER, "late": LATE, "main": MAIN}.items():
        (folder / f"{name}.py").write_text(text.replace("{0}", folder.name), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == folder.name]:
        del sys.modules[name]


def names(module: str, *functions: str) -> set[str]:
    return {f"{module}.py::{function}" for function in functions}


def loaded(package: Path, module: str) -> ModuleType:
    return importlib.import_module(f"{package.name}.{module}")


def test_every_call_is_seen_and_no_other(package: Path, calls: Callable[..., Any]) -> None:
    method, user = loaded(package, "method"), loaded(package, "user")
    plan = method.Plan()
    with calls(package) as called:
        user.use()  # imported by name, by a module that was loaded before
        assert (method.kept(), method.wrapped(), method.conditional()) == (4, 8, "traced.method")
        method.pieces()  # a generator that nobody asks
        worker = threading.Thread(target=method.in_a_thread)
        worker.start()
        worker.join()
        assert plan.half == 0.5
        with pytest.raises(StopIteration):
            loaded(package, "late").late().send(None)  # loaded only now
        runpy.run_module(f"{package.name}.main", run_name="__main__", alter_sys=True)
    method.never()
    assert called == (
        names("user", "use")
        | names("method", "step", "kept", "doubled", "wrapped", "conditional", "in_a_thread", "Plan", "half", "closing")
        | names("late", "late")
        | names("main", "main")
    )
    with calls(package) as called:
        assert [*method.pieces()] == [1]
        assert method.Plan.made().static() == 1
    assert called == names("method", "pieces", "Plan", "made", "static", "__init__")


def test_folders_are_told_apart(package: Path, tmp_path: Path, calls: Callable[..., Any]) -> None:
    (tmp_path / "traced_too").mkdir()
    (tmp_path / "traced_too" / "method.py").write_text("def other():\n    pass\n", encoding="utf-8")
    other, method = importlib.import_module("traced_too.method"), loaded(package, "method")
    with calls(package) as called:
        other.other()
        method.step()
    with calls(tmp_path / "traced_too") as called_there:
        other.other()
        method.never()
    assert (called, called_there) == (names("method", "step"), names("method", "other"))
    del sys.modules["traced_too"], sys.modules["traced_too.method"]
