"""What a configuration only names: the user's files and folders, models and data of the hub.

A path stays the same when other text, images or weights come to lie under it, and so does the id of a model on the hub.
What is found there is therefore part of a run's key: files by their content, where that is read fast, else by size and
time; the hub's repositories by the commit in the local cache.

    contents(config)     {"mine.tsv": "3f2a..."}
    revisions(config)    {"Qwen/Qwen2-7B": "453ed1..."}
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import stat
import time
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from core.experiment.config import fingerprint
from core.files import sha256

CHEAP = 64_000_000  # bytes of an input that are read: the smallest files first; of others size and time have to do
MANIFEST = 8_000_000  # bytes up to which a file of settings is searched for names of further files
# A path may be part of a value: en=mine.tsv, table:scheme.tsv, name@split, name#subset, module.py:Class.
_DIVIDERS = re.compile(r"[=:#@,]")
_HUB_ID = re.compile(r"\w[\w.-]*(?:/[\w.-]+)?")
# A file that was written within the clock's resolution of being read can change again without a sign of it.
_SETTLED = 2.0


def contents(config: Any) -> dict[str, str]:
    """The local files and folders that a configuration names, at any depth, with a hash of what they hold."""
    found = {}
    for text in sorted(named(config)):
        for part in _parts(text):
            if path := _existing(part):
                found[part] = digest(path)
    return found


def revisions(config: Any) -> dict[str, str]:
    """The repositories of the hub that a configuration names, with their commit in the local cache if it is known."""
    found = {}
    for text in sorted(named(config)):
        for part in _parts(text):
            path = _existing(part)
            hub_id = _base_of(path) if path else part
            if _HUB_ID.fullmatch(hub_id) and not _existing(hub_id) and (commit := _commit(hub_id)):
                found[hub_id] = commit
    return found


def named(config: Any) -> set[str]:
    """Strings and paths of a configuration or of JSON values; fields that allow a few words alone name no file."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        values: Iterable[Any] = (getattr(config, name) for name in _open_fields(type(config)))
    elif isinstance(config, Mapping):
        values = config.values()
    elif isinstance(config, list | tuple | set | frozenset):
        values = config
    else:
        return {str(config)} if isinstance(config, str | os.PathLike) else set()
    return set().union(*map(named, values))


@cache
def _open_fields(kind: type) -> tuple[str, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(field.name for field in dataclasses.fields(kind) if not _is_closed(hints.get(field.name, Any)))


def _is_closed(hint: Any) -> bool:
    """Whether a field's type is a choice of words."""
    origin, inner = get_origin(hint), [part for part in get_args(hint) if part not in (types.NoneType, Ellipsis)]
    if origin is Literal:
        return True
    if origin is Annotated:
        inner = inner[:1]
    elif origin not in (typing.Union, types.UnionType, tuple):
        return False
    return bool(inner) and all(map(_is_closed, inner))


def _parts(text: str) -> Iterator[str]:
    """A value, and what stands in it between dividers."""
    yield text
    cuts = [found.start() for found in _DIVIDERS.finditer(text)]
    if cuts and len(cuts) <= 8:
        starts, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(text)]
        yield from {text[start:end].strip() for start in starts for end in ends if start < end} - {text, ""}


def _existing(text: str) -> Path | None:
    if not text or len(text) > 4096:
        return None
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # a zero byte, a name too long, no home
        path = Path(text).expanduser()
        if path.exists():
            return path
    return None


def digest(path: Path) -> str:
    """A hash of what a file or folder holds, and of the further files that a file of settings names."""
    return fingerprint(_state(path, set()))


def _state(path: Path, seen: set[str]) -> list[Any]:
    """Relative name, size and content (or time) of each file of an input."""
    place = os.path.realpath(path)
    if place in seen:
        return []
    seen.add(place)
    files = list(_files(path))
    budget, states = CHEAP, []
    for name, file, status in sorted(files, key=lambda found: found[2].st_size):
        budget -= status.st_size
        states.append([name, status.st_size, _content(file, status) if budget >= 0 else status.st_mtime_ns])
    if path.is_dir():
        base = _base_of(path)
        further = [found] if (found := base and (_existing(str(path / base)) or _existing(base))) else []
    else:
        further = [named for _, file, status in files for named in _names_in(file, status)]
    states += [[str(place), _state(place, seen)] for place in further]
    return sorted(states, key=str)


def _base_of(folder: Path) -> str:
    """What the adapter in a folder is for; nothing where there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return str(settings["base_model_name_or_path"] or "")
    return ""


def _files(path: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Regular files at or below a path, through links; hidden ones are nobody's input."""
    if not path.is_dir():
        yield from _status("", path)
        return
    whole = path.resolve() not in (here := Path.cwd().resolve(), *here.parents)
    seen = set()
    for folder, folders, names in os.walk(path, followlinks=True):
        if (place := os.path.realpath(folder)) in seen or not whole:  # a circle of links; where the runs lie
            folders.clear()
        if place in seen:
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        for name in sorted(names):
            if not name.startswith("."):
                file = Path(folder, name)
                yield from _status(file.relative_to(path).as_posix(), file)


def _status(name: str, file: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    with contextlib.suppress(OSError):  # a link to nowhere
        status = file.stat()
        if stat.S_ISREG(status.st_mode):
            yield name, file, status


def _content(file: Path, status: os.stat_result) -> str:
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    if time.time() - changed / 1e9 < _SETTLED:
        return _hash(str(file))
    return _known_hash(str(file.absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@lru_cache(maxsize=100_000)
def _known_hash(file: str, size: int, modified: int, changed: int) -> str:
    return _hash(file)


def _hash(file: str) -> str:
    try:
        return sha256(file)
    except OSError as error:  # whoever reads it will say so
        return type(error).__name__


def _names_in(file: Path, status: os.stat_result) -> Iterator[Path]:
    """Further files and folders that a file of settings names, as a manifest its sources."""
    import yaml

    if status.st_size > MANIFEST or file.suffix not in {".json", ".jsonl", ".toml", ".yaml", ".yml"}:
        return
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".jsonl":
            values: Any = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            values = {".json": json.loads, ".toml": tomllib.loads}.get(file.suffix, yaml.safe_load)(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):  # whoever reads it will say so
        return
    pending, seen, texts = [values], set(), set()
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            texts.add(value)
        elif isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            pending += value.values() if isinstance(value, dict) else value
    # A text of one plain word is hardly meant as a path; from where the file lies, or from here.
    for part in sorted({part for text in texts for part in _parts(text) if re.search(r"[./\\]\w", part)}):
        if found := _existing(str(file.parent / part)) or _existing(part):
            yield found


def _commit(hub_id: str) -> str | None:
    """Where the main branch of a model or data set points to in the local cache of the hub."""
    from huggingface_hub import constants

    for kind in ("models", "datasets"):
        reference = Path(constants.HF_HUB_CACHE, f"{kind}--{hub_id.replace('/', '--')}", "refs", "main")
        with contextlib.suppress(OSError, ValueError):
            return reference.read_text(encoding="utf-8").strip()
    return None
