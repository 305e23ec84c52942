"""What we tried to break it with: every input that a user can type or a file can hold ends in one sentence.

The page docs/guide/broken.md shows the kinds. `nox -s fuzz` tries all files with all commands, all numbers through the
commands, and what hypothesis thinks of.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import itertools
import json
import math
import os
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
import verbs
from safetensors.torch import load_file, save_file

import core.files
from core import corpora
from core.corpora.vectors import read_vectors
from core.errors import LONGEST, LONGEST_WORD, UserError, about, shorten
from core.experiment import paper as cards
from core.experiment.config import _replace, resolve, validate
from core.experiment.entrypoint import exit_codes
from core.experiment.run import ROOT
from core.files import load_facts, load_json, load_yaml, parse_json, read_lines

SLUGS = cards.slugs()

# --- files --------------------------------------------------------------------------------------------------------

ROW = '"id": 1, "instruction": "x", "output": "y", "text": "t", "source": "en", "target": "sw"'
CONTENTS: dict[str, str | bytes] = {
    "a number": "5",
    "a list": "[1]",
    "a list of lists": "[[[]]]",
    "a string": '"x"',
    "null": "null",
    "true": "true",
    "100,000 lists in each other": "[" * 100_000,
    "100,000 objects in each other": '{"a":' * 100_000,
    "900 lists in each other": f'{{{ROW}, "extra": {"[" * 900}{"]" * 900}}}',
    "an integer of 5,000 digits": f'{{"id": {"9" * 5000}}}',
    "an integer beyond 64 bits": f'{{{ROW}, "extra": {2**64}}}',
    "half a surrogate pair": '{"id": "\\ud800", "instruction": "\\ud800", "output": "x", "en": "\\ud800", "sw": "x"}',
    "NaN": f'{{{ROW}, "extra": NaN}}',
    "a number beyond all floats": f'{{{ROW}, "extra": 1e999}}',
    "null in every field": json.dumps(dict.fromkeys(("id", "instruction", "output", "en", "sw", "messages", "path"))),
    "lists in every field": json.dumps(
        {key: [1] for key in ("id", "instruction", "output", "en", "sw", "messages", "path", "conversations", "name")}
    ),
    "kinds that change from row to row": f'{{{ROW}, "extra": 1}}\n{{{ROW}, "extra": "b"}}\n{{{ROW}, "extra": [1]}}',
    "nothing": "",
    "blank lines": "\n\n",
    "UTF-16": b"\xff\xfe\x00",
    "Latin-1": b"\xe9\xe9",
    "zero bytes": b"\0\0\0",
    "quotes that are not closed": '"a,b\n',
    "an alias": "a: &x [1]\nb: *x\n",
    "a tag": "!!python/object/apply:os.getcwd []\n",
}
PLACES = (
    "a folder",
    "a link in a circle",
    "a name of 300 letters",
    "below a file",
    "nothing there",
    "no name",
    "a pipe",
)
BAD = (*CONTENTS, *PLACES)
# What some readers of rows and of word pairs may take.
ROWS_OR_PAIRS = ("kinds that change from row to row", "an integer of 5,000 digits", "a tag")


def broken(folder: Path, kind: str, suffix: str) -> str:
    """The path of a broken file."""
    path = folder / f"broken{suffix}"
    if kind in CONTENTS:
        content = CONTENTS[kind]
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a link in a circle":
        path.symlink_to(path)
    elif kind == "a name of 300 letters":
        path = folder / f"{'x' * 300}{suffix}"
    elif kind == "below a file":
        (folder / "file").write_text("x")
        path = folder / "file" / f"broken{suffix}"
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "no name":
        return ""
    return str(path)


READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "lines": (".txt", read_lines),
    "JSON": (".json", load_json),
    "JSON object": (".json", lambda path: load_json(path, dict)),
    "YAML": (".yaml", load_yaml),
    "JSON lines": (".jsonl", corpora.read_jsonl),
    "rows of JSON lines": (".jsonl", corpora.read_rows),
    "rows of JSON": (".json", corpora.read_rows),
    "rows of CSV": (".csv", corpora.read_rows),
    "rows of TSV": (".tsv", corpora.read_rows),
    "rows of Parquet": (".parquet", corpora.read_rows),
    "parallel JSON": (".jsonl", corpora.read_parallel),
    "parallel TSV": (".tsv", corpora.read_parallel),
    "parallel CSV": (".csv", corpora.read_parallel),
    "parallel unknown": (".docx", corpora.read_parallel),
    "vectors": (".vec", read_vectors),
    "packed vectors": (".vec.gz", read_vectors),
}


def test_facts_beside_an_artifact_are_there_or_the_folder_is_another(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no x\.json: give a folder that papers\.x\.train wrote"):
        load_facts(tmp_path, "x.json", {"base"}, "papers.x.train")
    (tmp_path / "x.json").write_text('{"base": "b", "rank": 8}')
    assert load_facts(tmp_path, "x.json", {"base"}, "papers.x.train") == {"base": "b", "rank": 8}
    with pytest.raises(UserError, match="has no 'alpha': give a folder"):
        load_facts(tmp_path, "x.json", {"base", "alpha"}, "papers.x.train")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(UserError, match="a list, not an object"):
        load_facts(tmp_path, "x.json", {"base"}, "papers.x.train")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", BAD)
def test_a_reader_refuses_a_broken_file_in_one_sentence(kind: str, reader: str, tmp_path: Path) -> None:
    suffix, read = READERS[reader]
    path = broken(tmp_path, kind, suffix)
    said = ""
    try:
        read(path)
    except UserError as error:
        said = str(error)
    assert not said or is_a_sentence(said)
    # What is cut out of a long message is the middle of the name.
    assert "broken" in said or kind in (*CONTENTS, "no name", "a name of 300 letters")
    assert said or kind in CONTENTS, "there is nothing to read"


def is_a_sentence(text: str) -> bool:
    """One line that is not longer than a message may be, and that no library wrote for programmers."""
    # YAML's and Arrow's own words may stand in brackets, a traceback or a bare exception may not.
    return bool(text.strip()) and "\n" not in text and len(text) <= 2 * LONGEST and "Traceback" not in text


@pytest.mark.parametrize(
    ("kind", "reader", "words"),
    [
        ("a list", "JSON lines", "line 1: a list, not an object"),
        ("a number", "JSON object", "holds a number, not an object"),
        ("null", "rows of JSON", "is not a list of objects"),
        ("a list", "rows of JSON", "not a list of objects"),
        ("100,000 lists in each other", "JSON", "nested more than 100 deep"),
        ("900 lists in each other", "JSON lines", "line 1: lists and objects are nested more than 100 deep"),
        ("100,000 lists in each other", "YAML", "nested more than 100 deep"),
        ("an integer of 5,000 digits", "JSON lines", "line 1: an integer of thousands of digits"),
        ("an integer beyond 64 bits", "JSON lines", "line 1: an integer beyond 64 bits; write it as a string"),
        ("half a surrogate pair", "JSON lines", "line 1: half of a surrogate pair"),
        ("NaN", "JSON lines", "line 1: nan is no number of JSON"),
        ("a number beyond all floats", "JSON lines", "line 1: inf is no number"),
        ("kinds that change from row to row", "JSON lines", "the values of 'extra' are not of one kind"),
        ("UTF-16", "JSON", "is UTF-16: convert it"),
        ("Latin-1", "rows of CSV", "line 1: byte 1 is not UTF-8"),
        ("quotes that are not closed", "parallel CSV", "line 1: not CSV"),
        ("an alias", "YAML", r"line 2: the alias \*x is not read"),
        ("a tag", "YAML", "not YAML"),
        ("a folder", "lines", "is a folder: give a file in it"),
        ("a link in a circle", "JSON", "is a link that leads in a circle"),
        ("a name of 300 letters", "rows of TSV", "its name is too long"),
        ("below a file", "lines", "a part of its path is a file"),
        ("no name", "lines", "name of a file is empty"),
        ("a pipe", "JSON lines", "is no regular file"),
        ("zero bytes", "rows of Parquet", "is no Parquet file"),
        ("nothing", "parallel unknown", "has an unknown format '.docx'"),
    ],
)
def test_the_sentence_says_what_is_wrong_and_where(kind: str, reader: str, words: str, tmp_path: Path) -> None:
    suffix, read = READERS[reader]
    path = broken(tmp_path, kind, suffix)
    with pytest.raises(UserError, match=words):
        read(path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.jsonl"
    path.write_text("{}")

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # who tests as root may read everything
    with pytest.raises(UserError, match="may not be read by this user: change its permissions"):
        read_lines(path)


def test_a_line_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.files, "LONGEST_LINE", 1 << 20)
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"{}\n" + b"x" * (3 << 20) + b"\n{}\n")
    with pytest.raises(UserError, match=r"long.jsonl, line 2 has 3 MiB, and at most 1 are read"):
        read_lines(path)
    path.write_bytes(b"x" * (1 << 20))
    assert len(read_lines(path)[0]) == 1 << 20


def test_what_is_sound_is_read_as_it_is(tmp_path: Path) -> None:
    """Refusing is easy: what only looks suspicious is left alone."""
    sound: dict[str, Any] = {"text": "NaN Infinity [[[ {{{ \N{GRINNING FACE}", "n": 2**63 - 1}
    sound |= {"low": -(2**63), "small": 1e-300, "digits": "9" * 5000, "brackets": "[" * 500}
    assert parse_json(json.dumps(sound), "x", 1) == sound
    assert parse_json(json.dumps({"a": [NESTED := json.loads("[" * 98 + "]" * 98)]}), "x") == {"a": [NESTED]}
    # Model folders hold such numbers rightly (Mamba's time step limit, lengths of tokenizers that have none).
    limits = '{"time_step_limit": [0.0, Infinity], "model_max_length": 1000000000000000019884624838656}'
    assert parse_json(limits, "x", sound=False)["time_step_limit"][1] == math.inf
    table = tmp_path / "a.csv"
    table.write_text(
        '\ufeffkey,en,fr\r\n1,"Stop, now","Il dit ""non"""\r\n\r\n2,"two\nlines",deux\r\n', encoding="utf-8"
    )
    rows = corpora.read_parallel(table).to_list()
    assert rows == [
        {"key": "1", "en": "Stop, now", "fr": 'Il dit "non"'},
        {"key": "2", "en": "two\nlines", "fr": "deux"},
    ]
    assert list(corpora.read_rows(table)) == rows
    table.write_text("en,fr\na,b\nc,d,e\n")
    with pytest.raises(UserError, match="line 3: 3 columns, but the header has 2; put a cell with commas into"):
        corpora.read_rows(table)
    quoted = tmp_path / "a.tsv"
    quoted.write_text('en\tfr\n"a\tb"\n')
    assert corpora.read_parallel(quoted)["en"] == ['"a'], "quotes of a .tsv are text"


# All kinds with all verbs are for `nox -s fuzz`.
SOME = ("a list", "100,000 objects in each other", "lists in every field", "a name of 300 letters")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return verbs.models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def desk(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with input that is right."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    verbs.desk(tmp_path, models)
    return tmp_path


def call(module: str, *arguments: str) -> tuple[int, str]:
    """A command's exit code and what it wrote to standard error."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            importlib.import_module(module).main(arguments)
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 1, said.getvalue()
    return 0, said.getvalue()


def refuse(verb: str, kind: str, folder: Path) -> None:
    """A verb with a broken file, in place of that in brackets, ends in a sentence that names it."""
    slug, *words = verb.split()
    (name,) = re.findall(r"{(.*?)}", verb)
    suffix = name[name.rfind(".") :] if "." in name else ""
    path = broken(folder, kind, suffix)
    code, said = call(f"papers.{slug}.use", *(re.sub("{.*}", lambda _: path, word) for word in words))
    assert code in (0, 2), said
    if code == 0:
        assert kind in (*CONTENTS, "no name"), "there is nothing to read"
        return
    told = said.strip().splitlines()[-1]
    assert is_a_sentence(told), said
    sound = kind in CONTENTS if suffix == ".txt" else kind in ROWS_OR_PAIRS
    if not (sound and verbs.NOWHERE in told):  # the file is as it should be, and the model is missing
        # What is cut out of a long message is the middle of the name.
        name = {"no name": "", "a name of 300 letters": "x" * 50}.get(kind, "broken")
        assert name in told


@pytest.mark.parametrize("kind", SOME)
@pytest.mark.parametrize("verb", verbs.by_file())
def test_a_verb_refuses_a_broken_file(verb: str, kind: str, desk: Path) -> None:
    refuse(verb, kind, desk)


def verbs_of(slug: str) -> dict[str, tuple[type, Any]]:
    if not (ROOT / "papers" / slug / "use.py").exists():
        return {}
    return dict(importlib.import_module(f"papers.{slug}.use").VERBS)


def test_every_verb_is_tried() -> None:
    tried = {" ".join(row.split()[:2]) for row in verbs.VERBS}
    assert {f"{slug} {verb}" for slug in SLUGS for verb in verbs_of(slug)} == tried


def test_no_command_parses_by_hand() -> None:
    """Options, exit codes, --dry-run and --debug come with `tools` and `entrypoint`."""
    for path in (ROOT / "papers").rglob("*.py"):
        assert "argparse" not in path.read_text(encoding="utf-8"), path


def test_no_paper_reads_files_by_itself() -> None:
    """One reader for all: bounds, encodings and sentences are core's."""
    by_itself = (".read_text(", "json.load(", "json.loads(", "yaml.safe_load", "csv.reader", "csv.DictReader")
    own = {
        ("tucan", "grader.py"),  # calls in answers; a malformed one is a verdict, no error
        ("multi_if", "checkers.py"),  # whether a reply is JSON is the question
    }
    for slug in SLUGS:
        for path in (ROOT / "papers" / slug).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found = [name for name in by_itself if name in text]
            assert not found or (slug, path.name) in own, f"{path} has {found}: use core.files or core.corpora"


# --- numbers ------------------------------------------------------------------------------------------------------

NUMBERS = (-1, 0, 10**30, 10**400, math.nan, math.inf, -math.inf)


def numbers_in(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Path and annotation of every numeric field, those of nested configurations too."""
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from numbers_in(value, f"{prefix}{field.name}.")
        elif {int, float} & set(atoms(hints[field.name])):
            yield f"{prefix}{field.name}", hints[field.name]


def atoms(hint: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    inner = typing.get_args(hint)
    if not inner or typing.get_origin(hint) is typing.Literal:
        yield hint
    for part in inner:
        yield from atoms(part)


def filled(kind: type) -> Any:
    """Options of a verb, those without a default filled with something of their type."""
    hints = typing.get_type_hints(kind)
    missing: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            hint = next(iter(atoms(hints[field.name])))
            several = typing.get_origin(hints[field.name]) is tuple
            value = 1 if hint is int else hint("x")
            missing[field.name] = (value,) * 2 if several else value
    return kind(**missing)


def tried(config: Any, name: str, hint: Any, number: float) -> str:
    """What a value in a field leads to: `taken`, or the sentence that refuses it."""
    inner = next((part for part in (hint, *typing.get_args(hint)) if typing.get_origin(part) is tuple), None)
    size = 1 if inner is None or Ellipsis in typing.get_args(inner) else len(typing.get_args(inner))
    try:
        validate(_replace(config, {tuple(name.split(".")): (number,) * size if inner else number}))
    except UserError as error:
        return str(error)
    return "taken"


def options_of(slug: str) -> list[Any]:
    settings = importlib.import_module(f"papers.{slug}.config")
    return [settings.PRESETS["tiny"], settings.PRESETS["paper"], *(filled(kind) for kind, _ in verbs_of(slug).values())]


@pytest.mark.parametrize("slug", SLUGS)
def test_every_number_has_a_range(slug: str) -> None:
    """Of every configuration and every verb: what is no number is refused, and what is refused is named."""
    for config in options_of(slug):
        for name, hint in numbers_in(config):
            found = {number: tried(config, name, hint, number) for number in NUMBERS}
            for number, answer in found.items():
                assert answer == "taken" or is_a_sentence(answer), name
                assert answer != "taken" or number in (-1, 0), f"{slug}: {name} takes {number}"
            if name.rpartition(".")[2] == "seed":
                assert found[-1] != "taken", name


def dry_run(slug: str, name: str, hint: Any, number: float) -> None:
    """The same through the command."""
    settings = importlib.import_module(f"papers.{slug}.config")
    inner = next((part for part in (hint, *typing.get_args(hint)) if typing.get_origin(part) is tuple), None)
    size = 1 if inner is None or Ellipsis in typing.get_args(inner) else len(typing.get_args(inner))
    flag = f"--{name.replace('_', '-')}"
    code, said = 0, io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            with exit_codes(debug=False):
                arguments = ["tiny", flag, *[str(number)] * size]
                resolve(settings.PRESETS, settings.VARIANTS, arguments, program="train", help="")
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
    told = f"{slug} {name} {number}: {said.getvalue()}"
    assert code in (0, 2), told
    if code == 2:
        assert name.rpartition(".")[2].replace("-", "_") in said.getvalue().replace("-", "_"), told
        assert "unrecognized" not in said.getvalue().lower(), told


@pytest.mark.parametrize("slug", SLUGS)
def test_numbers_on_the_command_line(slug: str) -> None:
    """Every tenth field with one of the numbers; `nox -s fuzz` tries all with all."""
    fields = list(numbers_in(importlib.import_module(f"papers.{slug}.config").PRESETS["tiny"]))
    for (name, hint), number in zip(fields[::10], itertools.cycle((-1, 0, "nan", "inf", 10**30)), strict=False):
        dry_run(slug, name, hint, typing.cast(float, number))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("papers.neobabel.use draw x a --draws 0", "draws = 0 is out of range"),
        ("papers.neobabel.use draw x", "nothing to draw"),
        ("papers.marco_llm.use plan x --stage1 english=1 --tokens 0", "tokens = 0.0 is out of range"),
        ("papers.marco_llm.use plan x --stage1 english=1 --tokens -5", "tokens = -5.0 is out of range"),
        ("papers.marco_llm.use plan x --stage1 english=1 --tokens nan", "tokens = nan is out of range"),
        ("papers.marco_llm.use plan x --stage1 english=1 --tokens inf", "tokens = inf is out of range"),
        ("papers.marco_llm.use plan sources.jsonl --stage1 english=0.9 --tokens 9", "sum to 0.9"),
        ("papers.marco_llm.use plan x --stage1 english=nan --tokens 9", "out of range"),
        ("papers.bayling2.use mix --instructions en=x --parallel sw:en=y --seed -1", "seed = -1 is out of range"),
        (f"papers.bayling2.use mix --instructions en=x --parallel sw:en=y --seed {10**20}", "between 0 and 2147483647"),
        ("papers.tucan.use build --count 10000000000000000000000", "count = 10000000000000000000000 is out of range"),
        (f"core.cli plan mexa --gpus {'9' * 500}", "1,000,000 >= gpus >= 1"),
        ("core.cli plan mexa --gpus -1", "1,000,000 >= gpus >= 1"),
        ("core.cli plan mexa --mfu nan", "0 < mfu <= 1"),
        ("core.cli reproduce mexa --preset smoke --seeds -1 --out runs", "seed = -1 is out of range"),
        ("core.cli reproduce mexa --jobs 0", "give at least 1"),
        (f"core.cli plan mexa --gpus {'9' * 5000}", "invalid int value"),
    ],
)
def test_numbers_that_are_none(arguments: str, words: str, desk: Path) -> None:
    (desk / "sources.jsonl").write_text('{"path": "rows.txt", "category": "english", "language": "en"}\n')
    (desk / "rows.txt").write_text("one\ntwo\n")
    module, *rest = arguments.split()
    code, said = call(module, *rest)
    assert code == 2, said
    assert words in said
    assert len(said) < 2 * LONGEST


def test_shares_that_give_nothing_are_refused() -> None:
    for slug, changes in (
        ("bayling2", {"shares": (0.0, 0.0, 0.0)}),
        ("bimedix", {"ratio": (0.0, 0.0)}),
        ("marco_llm", {"stage1": ("english=0.5",)}),
    ):
        config = importlib.import_module(f"papers.{slug}.config").PRESETS["tiny"]
        with pytest.raises(UserError, match=r"share|ratio"):
            dataclasses.replace(config, **changes)


# --- model folders ------------------------------------------------------------------------------------------------


def set_config(**values: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **values}))

    return damage


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return damage


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def not_a_number(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][3] = math.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def an_adapter(base: Any) -> Callable[[Path], None]:
    """The folder becomes an adapter on a base."""

    def damage(folder: Path) -> None:
        (folder / "config.json").unlink()
        named = str(folder) if base == "itself" else base
        content = {"peft_type": "LORA", "base_model_name_or_path": named}
        (folder / "adapter_config.json").write_text(json.dumps(content))
        (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")

    return damage


def two_adapters(folder: Path) -> None:
    """Each is the base of the other."""
    other = folder.parent / "other"
    other.mkdir()
    (other / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(folder)}))
    an_adapter(str(other))(folder)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "config.json is a list": (write("config.json", "[]"), "holds a list, not an object"),
    "config.json is a number": (write("config.json", "5"), "holds a number, not an object"),
    "config.json is empty": (write("config.json", ""), "line 1: not JSON"),
    "config.json is nested 100,000 deep": (write("config.json", "[" * 100_000), "nested more than 100 deep"),
    "config.json is no text": (write("config.json", b"\xe9"), "is not UTF-8"),
    "config.json is an empty object": (write("config.json", "{}"), "cannot load"),
    "an unknown model type": (set_config(model_type="nothing"), "cannot load"),
    "a model type that is a number": (set_config(model_type=5), "cannot load"),
    "a model type that is a list": (set_config(model_type=["llama"]), "cannot load"),
    "zero heads": (set_config(num_attention_heads=0), "cannot load"),
    "heads that do not divide the width": (set_config(num_attention_heads=3, head_dim=None), "cannot load"),
    "negative layers": (set_config(num_hidden_layers=-1), "cannot load|no place in its architecture"),
    "text in place of a number": (set_config(hidden_size="wide"), "cannot load"),
    "a list in place of a number": (set_config(num_hidden_layers=[2]), "cannot load"),
    "null in place of a number": (set_config(intermediate_size=None), "cannot load"),
    "an unknown activation": (set_config(hidden_act="none"), "cannot load"),
    "another width": (set_config(hidden_size=32), "cannot load"),
    "NaN in the weights": (not_a_number, "are not finite .model.norm.weight"),
    "weights that are cut": (cut, "cannot load"),
    "empty weights": (write("model.safetensors", ""), "cannot load"),
    "weights that are text": (write("model.safetensors", "weights"), "cannot load"),
    "a header of weights that claims a terabyte": (
        write("model.safetensors", b"\xff" * 5 + b"\0\0\0{}"),
        "cannot load",
    ),
    "an adapter that names itself": (an_adapter("itself"), "has itself as its base"),
    "two adapters that name each other": (two_adapters, "has itself as its base"),
    "an adapter on a number": (an_adapter(5), r"does not name its base \(a number\)"),
    "an adapter on a list": (an_adapter(["x"]), r"does not name its base \(a list\)"),
    "an adapter on nothing": (an_adapter(None), r"does not name its base \(null\)"),
    "an adapter that is a list": (lambda f: (an_adapter("x")(f), write("adapter_config.json", "[]")(f))[0], "a list"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with nothing wrong."""
    from core.models import loading
    from core.models.architectures import miniature

    folder = tmp_path_factory.mktemp("whole") / "model"
    shape = miniature(32, width=16, layers=1, heads=2, feed_forward=16, positions=16)
    loading.from_config(shape, seed=0).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_model_folder_is_named(name: str, whole: Path, desk: Path) -> None:
    import shutil

    from core.models import loading

    folder = shutil.copytree(whole, desk / "damaged")
    damage, words = DAMAGES[name]
    damage(folder)
    with pytest.raises(UserError, match=words) as refused:
        loading.load_model(folder)
    assert "damaged" in str(refused.value)
    assert is_a_sentence(str(refused.value))


def test_a_damaged_tokenizer_is_named(whole: Path, desk: Path) -> None:
    import shutil

    from core.models import loading

    for number, content in enumerate(("[]", "5", "", "{}", "[" * 100_000, '{"version": "1.0", "model": 5}')):
        folder = shutil.copytree(whole, desk / f"damaged{number}")
        (folder / "tokenizer.json").write_text(content)
        with pytest.raises(UserError, match=f"damaged{number}"):
            loading.load_tokenizer(folder)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("modules.json", "5", "cannot load"),
        ("modules.json", '[{"idx": 0}]', "cannot load"),
        ("modules.json", "[[]]", "cannot load"),
        ("sentence_bert_config.json", '{"max_seq_length": "long"}', "has max_seq_length = 'long'"),
        ("sentence_bert_config.json", "[1]", "cannot load"),
    ],
)
def test_a_damaged_encoder_is_named(name: str, content: str, words: str, whole: Path, desk: Path) -> None:
    import shutil

    from core.models.embedding import load_encoder

    folder = shutil.copytree(whole, desk / "damaged")
    (folder / "modules.json").write_text('[{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]')
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=words) as refused:
        load_encoder(folder)
    assert "damaged" in str(refused.value)


# --- surroundings -------------------------------------------------------------------------------------------------


def end_of(error: BaseException) -> tuple[int, str]:
    """How a command ends in which something is raised."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as stop, exit_codes(debug=False):
        raise error
    return typing.cast(int, stop.value.code), said.getvalue()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'wandb'", name="wandb"), "module wandb .* `uv sync --extra trackers`"),
        (ModuleNotFoundError("No module named 'icu'", name="icu"), "module icu .* `uv pip install icu`"),
        (MemoryError(), "Not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "Not enough memory .CUDA out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), "choose a smaller model"),
        (UserError(f"File {'x' * 10**6} does not exist: check the path."), "1,000,000 characters"),
    ],
)
def test_what_surrounds_a_command(error: BaseException, words: str) -> None:
    code, said = end_of(error)
    assert code == 2
    assert re.search(words, said)
    assert len(said) <= 2 * LONGEST


def test_a_module_of_ours_that_is_missing_is_our_mistake() -> None:
    code, said = end_of(ModuleNotFoundError("No module named 'core.nothing'", name="core.nothing"))
    assert (code, "Internal error" in said) == (1, True)


def test_an_unknown_language_is_named(desk: Path) -> None:
    import yaml

    entry = yaml.safe_load((ROOT / "papers" / "tucan" / "en.yaml").read_text(encoding="utf-8"))
    for code in ("xx-nonsense", "zz", "../x", "e" * 1000):
        (desk / "mine.yaml").write_text(yaml.safe_dump({**entry, "language": code}), encoding="utf-8")
        end, said = call("papers.tucan.use", "build", "--templates", "mine.yaml")
        assert (end, "CLDR knows no language" in said) == (2, True), said


@pytest.mark.parametrize(
    "out", ["file", "file/below", "/proc/below", "/sys/below", "closed/below", "x" * 300, "/dev/null"]
)
@pytest.mark.parametrize(
    "command",
    [
        "papers.tucan.use build --count 6 --out {}/o.jsonl",
        "papers.taco.use build --language Nepali --english rows.jsonl --translated rows.jsonl --out {}/o.jsonl",
        "papers.bayling2.use mix --instructions en=rows.jsonl --parallel sw:en=pairs.tsv --out {}",
        "papers.marco_llm.use render pairs.tsv --languages en sw --out {}/o.jsonl",
        "papers.lmt.use build pairs.tsv --out {}",
        "core.cli reproduce mexa --preset smoke --out {}",
    ],
)
def test_where_nothing_can_be_written(command: str, out: str, desk: Path) -> None:
    (desk / "file").write_text("x")
    (desk / "closed").mkdir(mode=0o500)
    if out.startswith("closed") and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    module, *rest = command.split()
    code, said = call(module, *(word.format(out) for word in rest))
    assert code == 2, said
    assert is_a_sentence(said.strip().splitlines()[-1])


def test_no_characters_but_ascii(desk: Path) -> None:
    """Under the locale C output degrades instead of failing."""
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    with mock.patch("sys.stderr", plain), mock.patch("sys.stdout", plain), pytest.raises(SystemExit) as stop:
        importlib.import_module("papers.tucan.use").main(["score", "--items", "\udce9日本.jsonl", "--answers", "x"])
    plain.flush()
    assert stop.value.code == 2
    assert b"does not exist" in typing.cast(io.BytesIO, plain.buffer).getvalue()


# --- messages -----------------------------------------------------------------------------------------------------


def test_what_knows_no_files_is_told_which_they_are() -> None:
    for said, whole in (("two ids are 7", "a.tsv, b.tsv: two ids are 7"), ("b.tsv is empty", "b.tsv is empty")):
        with pytest.raises(UserError) as refused, about("a.tsv", Path("b.tsv")):
            raise UserError(said)
        assert str(refused.value) == whole


def test_a_message_is_shortened_in_its_middle() -> None:
    assert shorten("short") == "short"
    long = shorten(f"seed = {'9' * 5000} is out of range: give a number.")
    assert long.startswith("seed = 999")
    assert "[... 5,000 characters ...]" in long
    assert long.endswith(" is out of range: give a number.")
    assert len(long) < LONGEST_WORD + 100
    words = str(UserError(f"one of {'word ' * 10**5}: choose another."))
    assert len(words) < LONGEST + 50
    assert words.endswith(": choose another.")
