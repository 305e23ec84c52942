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
import shutil
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers import AutoConfig, AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast

from core.experiment import paper as cards
from core.experiment.keys import reached
from core.experiment.run import ROOT, Run
from core.files import read_json
from core.models import loading

SLUGS = cards.slugs()
HARMLESS = "code that is not needed"  # such a model loads without it
# What most readers of files find a column in, so that verbs come as far as their model.
ROW = {
    "id": "1", "en": "Good day", "fr": "Bonjour", "native": "Добрый день", "romanised": "Dobryj den", "source": "en",
    "target": "fr", "source_text": "Good day", "target_text": "Bonjour", "language": "fr", "task": "greet",
    "prompt": "Say it.", "answer": "Bonjour", "text": "Bonjour", "instruction": "Say it.", "input": "",
    "output": "Bonjour",
}  # fmt: skip


# What a paper's entrypoint wants beside a model of one's own, before it looks at the model.
NEEDED = {
    "bitter_lesson": ("--ratings", "arena"),
    "bimedix": ("--english", "{en}", "--second", "{ar}", "--test-english", "{en}", "--test-second", "{ar}"),
    "bimedix2": ("--vision", "nothing/here", "--captions", "{rows}", "--conversations", "{rows}"),
    "cpt_mixing": ("--sources", "stagnant", "--test-corpus", "{rows}"),
    "langsamp": ("--corpus", "{rows}"),
    "xllms100": ("--preferences", "{rows}"),
    "csr4mbart": ("--languages", "fr", "--data", "{rows}", "--test-data", "{rows}"),
    "vega_mt": ("--languages", "fr", "--bitext", "{rows}", "--test", "{rows}"),
    "muril": ("--texts", "{texts}", "--no-translations", "--no-transliterations"),
    "parallel_scaling": ("--languages", "en", "--unseen", "fr", "--ks", "1"),
    "translico": ("--corpus", "{texts}"),
    "three_stage_mt": ("--languages", "en", "fr", "--tuning", "{rows}", "--bitext", "{rows}"),
}


class Pickled:
    """Opens the witness for writing when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.witness), "w")


@dataclasses.dataclass(frozen=True)
class Trap:
    """Folders by what is wrong with them, and the file that none of them may write."""

    folders: dict[str, Path]
    witness: Path


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

    words = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", "a", "b"])}
    backend = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    small = LlamaConfig(vocab_size=5, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    good = root / "good"
    loading.from_config(small, seed=0).save_pretrained(good)
    tokenizer.save_pretrained(good)

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

    known = pickles(code(Path(shutil.copytree(good, root / "known"))), "pytorch_model.bin")
    (known / "model.safetensors").unlink()
    return Trap(
        {
            "code": strange,
            "configuration alone": alone,
            "known model, pickled weights": known,
            "adapter of code": pickles(adapter(root / "adapter", strange), "adapter_model.bin"),
            "pickled adapter": pickles(adapter(root / "pickled", good), "adapter_model.bin"),
            HARMLESS: code(Path(shutil.copytree(good, root / "superfluous"))),
        },
        witness,
    )


def test_the_trap_catches_who_trusts(trap: Trap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path))
    folders = trap.folders
    trusting: list[Callable[[], Any]] = [
        lambda: AutoConfig.from_pretrained(folders["code"], trust_remote_code=True),
        lambda: AutoConfig.from_pretrained(folders["configuration alone"], trust_remote_code=True),
        lambda: AutoTokenizer.from_pretrained(folders["code"], trust_remote_code=True),
        lambda: AutoConfig.from_pretrained(folders[HARMLESS], trust_remote_code=True),
        lambda: torch.load(folders["known model, pickled weights"] / "pytorch_model.bin", weights_only=False),
        lambda: torch.load(folders["pickled adapter"] / "adapter_model.bin", weights_only=False),
    ]
    for number, trust in enumerate(trusting):
        with contextlib.suppress(Exception):
            trust()
        assert trap.witness.exists(), number
        trap.witness.unlink()
        for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
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
def until_a_model_runs() -> Iterator[None]:
    """Commands end where the first model would read something: what they were given is loaded by then, mostly."""

    def stop(module: object, *_: object) -> None:
        if isinstance(module, transformers.PreTrainedModel):
            raise SystemExit(0)

    handle = register_module_forward_pre_hook(stop)
    try:
        yield
    finally:
        handle.remove()


class Commands:
    """Commands with one option of theirs given the planted folders."""

    def __init__(self, trap: Trap, asked: list[str], command: Callable[..., Any], cwd: Path) -> None:
        self.trap, self.asked, self.command, self.cwd = trap, asked, command, cwd
        self.numbers = itertools.count()
        self.loading: set[str] = set()
        self.rows = cwd / "rows.jsonl"
        self.of = {code: cwd / f"rows-{code}.jsonl" for code in ("en", "ar")}
        for path, told in ((self.rows, {}), *((path, {"language": code}) for code, path in self.of.items())):
            lines = [json.dumps({**ROW, **told, "id": str(number)}) for number in range(12)]
            path.write_text("\n".join(lines), encoding="utf-8")
        self.texts = cwd / "texts"
        self.texts.mkdir()
        (self.texts / "en.txt").write_text("a line\nanother one\n" * 6, encoding="utf-8")

    def spring(
        self, words: list[str], option: Option, prepare: Callable[[Path], list[str]], needed: list[str] | None = None
    ) -> None:
        """Give the option one folder after the other; those that ask for no model are given the first alone.

        Args:
            words: The command without the option.
            option: It.
            prepare: Makes a folder of this name into what the command works on; gives the words that name it.
            needed: Words without which a model is refused before it is looked at.
        """
        forms = [(words, "{}"), *([([*words, *needed], "{}")] if needed else [])]
        forms += [(words, "en={}")] if option.several else []
        for kind, folder in self.trap.folders.items():
            for form, value in forms:
                if self.ends(form, option, prepare, kind, value.format(folder)):
                    forms = [(form, value)]
                    break
            if option.flag not in self.loading:
                break

    def ends(
        self, words: list[str], option: Option, prepare: Callable[[Path], list[str]], kind: str, value: object
    ) -> bool:
        """Whether it got along with the value or looked for its model; it runs no code and refuses in a sentence."""
        self.asked.clear()
        extra = prepare(self.cwd / str(next(self.numbers)))
        end = self.command(words[0], *words[1:], *option.given(value), *extra, cwd=self.cwd)
        told = f"{' '.join(words)} {option.flag or 'positional'} {kind}: {end.code} {end.err}"
        assert not self.trap.witness.exists(), told
        assert end.code in (0, 2), told
        assert "Traceback" not in end.err, told
        looked = any(str(self.trap.folders[kind]) in spec for spec in self.asked)
        self.loading |= {option.flag} if looked else set()
        return looked or end.code == 0


@pytest.fixture
def commands(
    trap: Trap, asked: list[str], command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Commands:
    # transformers would ask on a terminal.
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\n"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
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
            needed = [
                word.format(rows=commands.rows, texts=commands.texts, **commands.of) for word in NEEDED.get(slug, ())
            ]
            for option in text_options(type(settings.PRESETS["smoke"])):
                commands.spring(words, option, fresh if stage == "train" else trained, needed)
    loads = "core.models.loading" in reached(slug)  # a paper that loads no model has no option for one
    assert commands.loading or not loads, (
        "no option came as far as loading a model: say in NEEDED what else has to be given"
    )


@ends
@pytest.mark.parametrize("slug", [slug for slug in SLUGS if (ROOT / "papers" / slug / "use.py").exists()])
def test_verbs_run_no_code_of_a_model_folder(
    slug: str, end: Callable[[], contextlib.AbstractContextManager[None]], commands: Commands
) -> None:
    with end():
        for verb, (kind, _) in importlib.import_module(f"papers.{slug}.use").VERBS.items():
            options = list(text_options(kind))
            for option in options:
                others = [
                    word
                    for other in options
                    if other.required and other != option
                    for word in other.given(commands.rows)
                ]
                if option.flag != "--preset" and any(other.flag == "--preset" for other in options):
                    others += ["--preset", "smoke"]
                commands.spring([f"papers.{slug}.use", verb, *others], option, lambda out: [])
