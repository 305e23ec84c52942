"""What users bring of their own: their file, an entry point, and no module by its name."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from core.errors import UserError
from core.plugins import own


def write(path: Path, text: str = "def load():\n    return [__name__]\n") -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_function_of_a_file_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        tmp_path / "os.py", "from dataclasses import dataclass\n\n@dataclass\nclass load:\n    size: int = 7\n"
    )
    assert own(f"{path}:load", "image_tokenizer").size == 7
    assert sys.modules["os"].__file__ != str(path)
    monkeypatch.chdir(tmp_path)
    assert own("os.py:load", "detector") == own(f"{path}:load", "detector")


@pytest.mark.parametrize("spec", ["os:getcwd", "papers.mexa.eval:evaluate", "mine:load", "mine", "", ":", "mine.load"])
def test_no_module_is_imported_by_its_name(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "mine.py", f"open({str(tmp_path / 'ran')!r}, 'w')\ndef load(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = f"detector = {spec!r} is not known: give path/to/file.py:function, or the name of an entry point in the "
    words += "group multilingual_papers.detector (there is none); a module is not imported by its name."
    with pytest.raises(UserError, match=re.escape(words)):
        own(spec, "detector")
    assert not (tmp_path / "ran").exists()


def test_what_an_installed_package_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "eyes_of_a_package.py")
    (tmp_path / "eyes-1.dist-info").mkdir()
    write(tmp_path / "eyes-1.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: eyes\nVersion: 1\n")
    write(
        tmp_path / "eyes-1.dist-info" / "entry_points.txt",
        "[multilingual_papers.detector]\nsharp = eyes_of_a_package:load\n",
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.metadata.version("eyes") == "1"
    assert own("sharp", "detector") == ["eyes_of_a_package"]
    with pytest.raises(UserError, match=r"multilingual_papers\.detector \(sharp\)"):
        own("blunt", "detector")
    with pytest.raises(UserError, match="is not known"):
        own("sharp", "features")
    del sys.modules["eyes_of_a_package"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no file"),
        ("def other(): ...\n", "has no function 'load'"),
        ("load = 1\n", "has no function 'load'"),
        ("load = \n", r"cannot be run \(SyntaxError"),
        ("import no_such_module\n", r"cannot be run \(ModuleNotFoundError"),
        ("1 / 0\n", r"cannot be run \(ZeroDivisionError"),
        ("def load():\n    return 1 / 0\n", r"the function fails \(ZeroDivisionError"),
        ("def load(device): ...\n", r"the function fails \(TypeError"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        write(tmp_path / "mine.py", text)
    with pytest.raises(UserError, match=rf"^features = .*mine\.py:load'.*{words}"):
        own(f"{tmp_path / 'mine.py'}:load", "features")
