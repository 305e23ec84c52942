"""Files: written whole or not at all, read as UTF-8, failures of a disk told in one sentence.

    write_json(folder / "results.json", {"accuracy": 0.5})      # a temporary name, then a rename
    lines = read_lines("mine.txt")                              # refuses what is not UTF-8, with the line

The ground floor: everything that touches a disk goes through here.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import UserError

DISTRIBUTION = "multilingual-papers"
_NUMBER = r"(?:-?\d[\d.eE+-]*|null|true|false)"
_NUMBERS = re.compile(rf"\[\n\s*{_NUMBER}(?:,\n\s*{_NUMBER})*\n\s*\]")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all; NaN and infinities become null, lists of numbers stay on one line."""
    text = json.dumps(finite_json(value), indent=1, ensure_ascii=False)
    # No string can be mistaken for such a list: inside strings JSON writes a line feed as \n.
    text = _NUMBERS.sub(lambda found: re.sub(r"\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), text)
    write_text(path, f"{text}\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None when it is missing or not JSON (a write that never finished)."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def read_json_lines(path: Path) -> list[Any]:
    """The values of a file of our own with one JSON value a line; none when it is missing."""
    return [json.loads(line) for line in read_lines(path) if line.strip()] if path.exists() else []


def read_lines(path: str | Path) -> list[str]:
    r"""Lines of a UTF-8 file, with or without byte-order mark; only `\n` and `\r\n` end a line.

    Raises:
        UserError: no such file, or bytes that are not UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"File {path} does not exist: check the path.")
    lines = []
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{path} is UTF-16: convert it, for example with `iconv -f UTF-16 -t UTF-8`.")
    for number, raw in enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], start=1):
        try:
            lines.append(raw.removesuffix(b"\r").decode())
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}, line {number}: byte {error.start + 1} is not UTF-8; save the file as UTF-8 "
                "(for example with `iconv -f LATIN1 -t UTF-8`)."
            ) from None
    return lines


def build_folder(target: Path, build: Callable[[Path], None]) -> None:
    """Fill a temporary folder beside `target` and rename it into place, so that it exists whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        build(temporary)
        temporary.chmod(0o755)
        try:
            temporary.rename(target)
        except OSError as error:
            # Another process finished the same folder first; its content is the same.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn the failures of a disk into one sentence that names the folder.

    Raises:
        UserError: When the folder is read-only or the disk is full.
    """
    reasons = {
        errno.ENOSPC: "the disk is full; free some space",
        errno.EDQUOT: "the disk quota is used up; free some space",
        errno.EACCES: "it is not writable; choose another folder with --out",
        errno.EPERM: "it is not writable; choose another folder with --out",
        errno.EROFS: "its file system is read-only; choose another folder with --out",
        errno.ENOTDIR: "a part of the path is a file; choose another folder with --out",
        errno.EEXIST: "a file of that name exists; choose another folder with --out",
    }
    try:
        yield
    except OSError as error:
        if error.errno in reasons:
            raise UserError(
                f"Cannot write to {folder}: {reasons[error.errno]}, then run the same command again."
            ) from error
        raise


def cache_dir() -> Path:
    """Where converted weights are kept: `$MULTILINGUAL_PAPERS_CACHE`, else the user's cache folder."""
    if configured := os.environ.get("MULTILINGUAL_PAPERS_CACHE"):
        return Path(configured)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / DISTRIBUTION
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / DISTRIBUTION
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / DISTRIBUTION


def finite_json(value: Any) -> Any:
    """`value` as JSON can hold it: NaN and infinities become None, arrays lists, keys strings."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return finite_json(value.item())
    if hasattr(value, "tolist"):
        return finite_json(value.tolist())
    return value
