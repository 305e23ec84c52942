"""No code of a model folder is run: every command of every paper, every option that takes text.

Folders are planted whose code or pickles leave a witness when they run. Options are found by introspection; those that
name a model are known by what they do: they ask `core.models.loading` for the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import itertools
import json
import pickle
import re
import shutil
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
import transformers
import verbs
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers import AutoConfig, AutoTokenizer

from core.experiment import paper as cards
from core.experiment.keys import reached
from core.experiment.run import ROOT, Run
from core.files import read_json
from core.models import loading

SLUGS = cards.slugs()
HARMLESS = "code that is not needed"  # such a model loads without it
# What a paper's entrypoint wants beside a model of one's own, before it looks at the model.
NEEDED = {
    "bitter_lesson": "--ratings arena",
    "bimedix": "--english en.jsonl --second ar.jsonl --test-english en.jsonl --test-second ar.jsonl",
    "bimedix2": "--vision nothing/here --captions sums.jsonl --conversations sums.jsonl",
    "cpt_mixing": "--sources stagnant --test-corpus rows.jsonl",
    "langsamp": "--corpus rows.jsonl",
    "xllms100": "--preferences rows.jsonl",
    "csr4mbart": "--languages sw --data rows.jsonl --test-data rows.jsonl",
    "vega_mt": "--languages sw --bitext rows.jsonl --test rows.jsonl",
    "muril": "--texts texts --no-translations --no-transliterations",
    "parallel_scaling": "--languages en --unseen fr --ks 1",
    "translico": "--corpus texts",
    "three_stage_mt": "--languages en sw --tuning rows.jsonl --bitext rows.jsonl",
}
# What programs of papers look for beside a model, before they load it.
BESIDE: dict[str, dict[str, Any]] = {
    "taco.json": {
        "language": "Swahili", "revision": None, "quantization": None, "chain": "taco", "template": "alpaca",
        "max_new_tokens": 2,
    },
    "grader.json": {
        "kind": "lora", "base": "", "slope": 1, "shift": 0, "bias": 0, "threshold": 0, "prompt": "asking",
        "tuned": True,
    },
    "assistant.json": {"vision": "", "image_token": "a", "dtype": "float32"},
    "neobabel.json": {
        "vocabulary": {"text": 3, "codes": 2, "bos": 0, "eos": 1}, "tokens": 4, "max_text": 2, "text_width": 0,
    },
    "transmi.json": {},
}  # fmt: skip


class Pickled:
    """Opens the witness for writing when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.witness), "w")


@dataclasses.dataclass(frozen=True)
class Trap:
    """Folders by what is wrong with them, and the file that none of them may write.

    Beside them models with which nothing is wrong, and run directories whose artifacts the folders are.
    """

    folders: dict[str, Path]
    witness: Path
    models: Path
    runs: Path


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Trap:
    root = tmp_path_factory.mktemp("trap")
    witness = root / "ran"
    automatic = dict.fromkeys(loading._AUTO_CLASSES.values(), "evil.M") | {"AutoConfig": "evil.C"}

    def write(folder: Path, name: str, **content: Any) -> None:
        before = read_json(folder / name) or {}
        (folder / name).write_text(json.dumps(before | content), encoding="utf-8")

    def code(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        write(folder, "config.json", auto_map=automatic)
        write(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.T", "evil.T"]})
        write(folder, "preprocessor_config.json", auto_map={"AutoImageProcessor": "evil.P"})
        write(folder, "processor_config.json", auto_map={"AutoProcessor": "evil.P"})
        source = f"open({str(witness)!r}, 'w')\nclass C: ...\nclass M: ...\nclass T: ...\nclass P: ...\n"
        # Under the folder's own name a script that reads a data set would be looked for.
        for name in ("evil.py", f"{folder.name}.py"):
            (folder / name).write_text(source, encoding="utf-8")
        return folder

    def pickles(folder: Path, *names: str) -> Path:
        for name in (*names, "data.pkl"):
            (folder / name).write_bytes(pickle.dumps(Pickled(witness)))
        return folder

    def adapter(folder: Path, base: Path) -> Path:
        folder.mkdir()
        targets = {"r": 2, "target_modules": ["q_proj"], "peft_type": "LORA", "task_type": "CAUSAL_LM"}
        write(folder, "adapter_config.json", base_model_name_or_path=str(base), auto_mapping=None, **targets)
        return folder

    good = verbs.models(root / "models") / "decoder"

    strange = code(root / "code")
    write(strange, "config.json", model_type="unheard-of", architectures=["M"])
    write(strange, "tokenizer_config.json", tokenizer_class="T")
    write(strange, "modules.json")
    (strange / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "evil.M"}]', encoding="utf-8")
    (strange / "tokenizer.json").write_text("{}", encoding="utf-8")
    pickles(strange, "pytorch_model.bin", "adapter_model.bin")

    alone = root / "configuration"
    code(alone)
    (alone / "tokenizer_config.json").unlink()
    write(alone, "config.json", model_type="unheard-of")

    # What PEFT takes for Megatron's it imports; beside `python -m`, modules are folders of the working folder, too.
    lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    get_peft_model(loading.load_model(good), lora).save_pretrained(root / "megatron")
    write(root / "megatron", "adapter_config.json", base_model_name_or_path=str(good), megatron_config={"a": 1})
    write(root / "megatron", "adapter_config.json", megatron_core="megatron.evil")
    module = code(root / "megatron")
    (module / "config.json").unlink()

    known = pickles(code(Path(shutil.copytree(good, root / "known"))), "pytorch_model.bin")
    (known / "model.safetensors").unlink()
    folders = {
        "code": strange,
        "configuration alone": alone,
        "known model, pickled weights": known,
        "adapter of code": pickles(adapter(root / "adapter", strange), "adapter_model.bin"),
        "pickled adapter": pickles(adapter(root / "pickled", good), "adapter_model.bin"),
        "adapter of a module": module,
        HARMLESS: code(Path(shutil.copytree(good, root / "superfluous"))),
    }
    for folder in folders.values():
        for name, facts in BESIDE.items():
            write(folder, name, **facts, **({"language": str(folder)} if name == "assistant.json" else {}))
        (root / "runs" / folder.name).mkdir(parents=True)
        (root / "runs" / folder.name / "artifact").symlink_to(folder)
    return Trap(folders, witness, root / "models", root / "runs")


def test_the_trap_catches_who_trusts(trap: Trap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path))
    monkeypatch.syspath_prepend(trap.witness.parent)
    folders, decoder = trap.folders, loading.load_model(trap.models / "decoder")
    trusting: list[Callable[[], Any]] = [
        lambda: AutoConfig.from_pretrained(folders["code"], trust_remote_code=True),
        lambda: AutoConfig.from_pretrained(folders["configuration alone"], trust_remote_code=True),
        lambda: AutoTokenizer.from_pretrained(folders["code"], trust_remote_code=True),
        lambda: AutoConfig.from_pretrained(folders[HARMLESS], trust_remote_code=True),
        lambda: torch.load(folders["known model, pickled weights"] / "pytorch_model.bin", weights_only=False),
        lambda: torch.load(folders["pickled adapter"] / "adapter_model.bin", weights_only=False),
        lambda: PeftModel.from_pretrained(decoder, folders["adapter of a module"]),
    ]
    for number, trust in enumerate(trusting):
        with contextlib.suppress(Exception):
            trust()
        assert trap.witness.exists(), number
        trap.witness.unlink()
        for name in [name for name in sys.modules if name.startswith(("transformers_modules", "megatron"))]:
            del sys.modules[name]


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a command that takes text."""

    flag: str
    values: int
    several: bool
    required: bool

    def given(self, value: object) -> list[str]:
        return [*([self.flag] if self.flag else []), *[str(value)] * self.values]

    def forms(self, value: object) -> list[object]:
        """The value as it is and, among several, with a name."""
        return [value, f"en={value}"] if self.several else [value]


def text_options(kind: type, prefix: str = "") -> Iterator[Option]:
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint, positional = hints[field.name], False
        while typing.get_origin(hint) is typing.Annotated:
            hint, positional = typing.get_args(hint)[0], positional or "Positional" in str(field.type)
        if dataclasses.is_dataclass(hint):
            yield from text_options(typing.cast(type, hint), f"{prefix}{field.name}.")
            continue
        parts = [part for part in typing.get_args(hint) if part not in (type(None), Ellipsis)] or [hint]
        if {str, Path} & {*parts}:
            several = typing.get_origin(hint) is tuple
            flag = "" if positional else f"--{prefix}{field.name}".replace("_", "-")
            empty = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            yield Option(flag, len(parts) if several else 1, several, empty and not prefix)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What models the commands ask for."""
    found: list[str] = []
    resolve = loading._resolve

    def spy(spec: str) -> Any:
        found.append(spec)
        return resolve(spec)

    monkeypatch.setattr(loading, "_resolve", spy)
    return found


@contextlib.contextmanager
def until_a_model_runs(ready: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Commands end where a model would read something: what they were given is loaded by then, mostly."""

    def stop(module: object, *_: object) -> None:
        if isinstance(module, transformers.PreTrainedModel) and ready():
            raise SystemExit(0)

    handle = register_module_forward_pre_hook(stop)
    try:
        yield
    finally:
        handle.remove()


class Commands:
    """Commands with a planted folder in one place."""

    def __init__(self, trap: Trap, asked: list[str], command: Callable[..., Any], cwd: Path) -> None:
        self.trap, self.asked, self.command, self.cwd = trap, asked, command, cwd
        self.numbers = itertools.count()
        self.loading: set[str] = set()
        self.folder = Path()

    def spring(
        self, words: list[str], option: Option, prepare: Callable[[Path], list[str]], needed: Sequence[str] = ()
    ) -> None:
        """Give the option one folder after the other; those that ask for no model are given the first alone.

        Args:
            words: The command without the option.
            option: It.
            prepare: Makes a folder of this name into what the command works on; gives the words that name it.
            needed: Words without which a model is refused before it is looked at.
        """
        ways = [words, *([[*words, *needed]] if needed else [])]
        forms = [(way, form) for form in option.forms("{}") for way in ways]
        for folder in self.trap.folders.values():
            for way, form in forms:
                extra = prepare(self.cwd / str(next(self.numbers)))
                code = self.ends([*way, *option.given(str(form).format(folder)), *extra], folder, self.cwd)
                self.loading |= {option.flag} if self.looked() else set()
                if self.looked() or code == 0:
                    forms = [(way, form)]
                    break
            if option.flag not in self.loading:
                break

    def ends(self, words: Sequence[str], folder: Path, cwd: Path) -> int:
        """The exit code of a command with the folder: it runs no code, and refuses in a sentence."""
        self.asked.clear()
        self.folder = folder
        with mock.patch("sys.stdin", io.StringIO("y\ny\n")):
            end = self.command(*words, cwd=cwd)
        told = f"{' '.join(words)}: {end.code} {end.err}"
        assert not self.trap.witness.exists(), told
        assert end.code in (0, 2), told
        assert "Traceback" not in end.err, told
        return int(end.code)

    def looked(self) -> bool:
        """Whether the command looks for a model in the folder."""
        places = (str(self.folder), str(self.trap.runs / self.folder.name))
        return any(place in spec for spec in self.asked for place in places)

    def verb(self, row: str, folder: Path, words: Sequence[str] = ()) -> None:
        """A command of the table of verbs, with the folder in it or in further words, beside right input."""
        cwd = self.cwd / str(next(self.numbers))
        cwd.mkdir()
        verbs.desk(cwd, self.trap.models)
        slug, *rest = row.split()
        for module in [module for name, module in sys.modules.items() if name.startswith(f"papers.{slug}.")]:
            for value in vars(module).values():
                getattr(value, "cache_clear", lambda: None)()  # which may have read a model for another verb
        self.ends([f"papers.{slug}.use", *rest, *words], folder, cwd)


@pytest.fixture
def commands(
    trap: Trap, asked: list[str], command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Commands:
    # transformers would ask on a terminal.
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.syspath_prepend(trap.witness.parent)  # as `python -m` has the working folder
    verbs.desk(tmp_path)
    return Commands(trap, asked, command, tmp_path)


# To the end they go out of the gate: a smoke run for every option.
ends = pytest.mark.parametrize(
    "end", [pytest.param(until_a_model_runs, id="brief"), pytest.param(contextlib.nullcontext, marks=pytest.mark.slow)]
)


@ends
@pytest.mark.parametrize("slug", SLUGS)
def test_training_and_evaluation_run_no_code_of_a_model_folder(
    slug: str,
    end: Callable[[], contextlib.AbstractContextManager[None]],
    commands: Commands,
    smoke: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = importlib.import_module(f"papers.{slug}.config")
    done = smoke(slug)
    done.stages.mkdir(parents=True, exist_ok=True)
    shutil.copytree(done.stages, commands.cwd / "runs" / slug / "stages", dirs_exist_ok=True)
    key = read_json(done.path / "key.json")["key"]

    def fresh(out: Path) -> list[str]:
        return ["--out", str(out)]

    def trained(out: Path) -> list[str]:
        shutil.copytree(done.path, out)
        (out / "measurement.json").unlink()
        return ["--out", str(out)]

    for stage in ("train", "eval"):
        if not (ROOT / "papers" / slug / f"{stage}.py").exists():
            continue
        with monkeypatch.context() as patch, end():
            if stage == "eval":  # what the smoke run trained is taken for any configuration's
                patch.setattr(Run, "key", property(lambda run: key))
            words = [f"papers.{slug}.{stage}", "smoke", "--quiet"]
            for option in text_options(type(settings.PRESETS["smoke"])):
                commands.spring(words, option, fresh if stage == "train" else trained, NEEDED.get(slug, "").split())
    loads = "core.models.loading" in reached(slug)  # a paper that loads no model has no option for one
    assert commands.loading or not loads, (
        "no option came as far as loading a model: say in NEEDED what else has to be given"
    )


# Options that share their name with one that takes a model.
NO_MODELS = {
    "bimedix2 bench --judge": "a name that requests carry",
    "taco benchmark --judge": "a name that requests carry",
    "selective_translation judge --judge": "a name that requests carry",
    "bitter_lesson trust --models": "a table of numbers",
    "xllms100 feedback --judge": "code that the user names, to be run",
}


@ends
@pytest.mark.parametrize("slug", [slug for slug in SLUGS if (ROOT / "papers" / slug / "use.py").exists()])
def test_verbs_run_no_code_of_a_model_folder(
    slug: str, end: Callable[..., contextlib.AbstractContextManager[None]], commands: Commands
) -> None:
    trap, first = commands.trap, next(iter(commands.trap.folders.values()))
    for verb, (kind, _) in importlib.import_module(f"papers.{slug}.use").VERBS.items():
        rows = [row for row in verbs.VERBS if row.split()[:2] == [slug, verb]]
        with end(commands.looked):
            for row, folder in itertools.product((row for row in rows if "<" in row), trap.folders.values()):
                words = row.replace("<model>", str(folder)).replace("<run>", str(trap.runs / folder.name))
                commands.verb(verbs.plain(words), folder)
                assert commands.looked(), f"{row} ends before it looks for the model: its other input has to be right"
        flags = {word for row in rows for word in row.split() if word.startswith("--")}
        options = [option for option in text_options(kind) if option.flag and option.flag not in flags]
        others = [(rows[0], option.given(value)) for option in options for value in option.forms(first)]
        others += [(row.replace(it[0], str(first)), []) for row in rows for it in re.finditer("{.*?}", row)]
        with end():
            for row, words in others:
                commands.verb(verbs.plain(row, "decoder"), first, words)
                assert not commands.looked(), f"{row} {words} is a model: write it as <model> in a row of verbs.VERBS"


def test_options_that_name_a_model_are_known() -> None:
    """An option that takes a model in one verb takes one in all."""
    found = {(*row.split()[:2], flag) for row in verbs.VERBS for flag in re.findall(r"(--\S+)(?: [^-]\S*)*? \S*<", row)}
    names = {flag for *_, flag in found}
    for slug in SLUGS:
        if (ROOT / "papers" / slug / "use.py").exists():
            for verb, (kind, _) in importlib.import_module(f"papers.{slug}.use").VERBS.items():
                for option in text_options(kind):
                    known = (slug, verb, option.flag) in found or f"{slug} {verb} {option.flag}" in NO_MODELS
                    assert known or option.flag not in names, (
                        f"{slug} {verb} {option.flag} stands in no row with <model>"
                    )
