"""Files: written whole or not at all, read as UTF-8, held against other processes, failures of a disk in one sentence.

    write_json(folder / "results.json", {"accuracy": 0.5})      # a temporary name, then a rename
    with replacing(Path("mine.tsv")) as path: table.to_csv(path)    # the same for whatever writes by itself
    lines = read_lines("mine.txt")                              # refuses what is not UTF-8, with the line
    facts = load_json("mine.json", dict)                        # refuses what is no JSON object, with the line
    facts = load_facts(folder, "taco.json", {"base"}, "papers.taco.train")      # what a program left beside a model
    with locked(folder): ...                                    # one process at a time

The ground floor: everything that touches a disk goes through here.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import itertools
import json
import math
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from core.errors import UserError
from core.printing import printable

DISTRIBUTION = "multilingual-papers"
_NUMBER = r"(?:-?\d[\d.eE+-]*|null|true|false)"
_NUMBERS = re.compile(rf"\[\n\s*{_NUMBER}(?:,\n\s*{_NUMBER})*\n\s*\]")
_HOST = re.sub(r"\W", "_", platform.node()) or "unknown"
# Who writes stands in the name, so that whoever comes later can tell a dead process's remains from work under way.
_PARTIAL = re.compile(r"\.partial-(?P<host>\w+)-(?P<pid>\d+)-[0-9a-f]{8}-(?P<name>.+)")
# A line is held in memory whole, and again by everything that parses it.
LONGEST_LINE = 1 << 26
DEEPEST = 100  # levels of lists and objects; Arrow, json and our own walks recurse
_SUSPICIOUS = re.compile(r"\\u[dD][89a-fA-F]|\d{19}|NaN|Infinity|[eE]\+?\d{3}")
ABANDONED = 86_400.0  # seconds after which an unfinished file of a process that cannot be asked counts as left behind


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; the file that the block writes there takes its place when the block ends well.

    Raises:
        UserError: When the folder cannot be written or the disk is full; the old file is then as it was.
    """
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        temporary = _partial(path)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as temporary:
        # Arguments that the locale could not decode (a path, say) carry their bytes along and get them back here.
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape", newline="\n")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines whole or not at all, one row at a time; returns how many."""
    count = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def write_table(path: Path, rows: Sequence[Mapping[str, str | float | None]]) -> None:
    """Write rows with the same columns as tab-separated lines under their names; numbers with six digits."""
    cells = [["" if v is None else v if isinstance(v, str) else f"{v:.6g}" for v in row.values()] for row in rows]
    write_text(path, "".join("\t".join(line) + "\n" for line in [[*rows[0]], *cells]))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all; NaN and infinities become null, lists of numbers stay on one line."""
    text = json.dumps(finite_json(value), indent=1, ensure_ascii=False)
    # No string can be mistaken for such a list: inside strings JSON writes a line feed as \n.
    text = _NUMBERS.sub(lambda found: re.sub(r"\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), text)
    write_text(path, f"{text}\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file of our own, or None when it is missing, no file, or not JSON (a write never finished).

    What a user names is read by :func:`load_json`.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError, RecursionError):  # or no text at all
        return None


def read_json_lines(path: Path) -> list[Any]:
    """The values of a file of our own with one JSON value a line; none when it is missing."""
    return [json.loads(line) for line in read_lines(path) if line.strip()] if path.exists() else []


# --- what a user names ---------------------------------------------------------------------------------------------

_UNREADABLE = {
    errno.ENOENT: "does not exist: check the path",
    errno.ENOTDIR: "does not exist, as a part of its path is a file: check the path",
    errno.EISDIR: "is a folder: give a file in it",
    errno.EACCES: "may not be read by this user: change its permissions, or copy it",
    errno.EPERM: "may not be read by this user: change its permissions, or copy it",
    errno.ELOOP: "is a link that leads in a circle: give the file that is meant",
    errno.ENAMETOOLONG: "cannot exist, its name is too long: check the path",
}


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """A user's file, open for reading bytes, those of a `.gz` unpacked; what fails while the block reads is a sentence.

    Raises:
        UserError: Nothing there, a folder, a circle of links, no permission, a name that cannot be, a damaged `.gz`.
    """
    try:
        if not str(path):
            raise UserError("The name of a file is empty: give its path.")
        kind = os.stat(path).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # opening a pipe would wait for who writes into it
            raise UserError(f"{path} is no regular file: give one.")
        with Path(path).open("rb") as file:
            if str(path).lower().endswith(".gz"):
                with gzip.open(file) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no whole gzip file ({error}): copy it again, or unpack it.") from None
    except OSError as error:
        raise UserError(_unreadable(path, error)) from None
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise UserError(f"{str(path)!r} is no name of a file: check the path.") from None


def format_of(path: str | Path) -> str:
    """A file's ending in small letters, that of what is packed where it is packed: `.tsv` of `mine.TSV.gz`."""
    return Path(str(path).lower().removesuffix(".gz")).suffix


def is_folder(path: str | Path) -> bool:
    """Whether there is such a folder; a name that no file can have is none."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def is_there(path: str | Path) -> bool:
    """Whether there is such a file or folder; a name that no file can have is none."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def source_is_path(source: str | Path) -> bool:
    """Whether a source is meant as a file or folder of this machine, not as a name on the hub (`owner/name`)."""
    text = str(source)
    if isinstance(source, Path) or not text or text.startswith((".", "/", "~")) or text.count("/") > 1:
        return True
    return is_there(text)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(path: str | Path, error: OSError) -> str:
    return f"File {path} {_UNREADABLE.get(error.errno or 0, f'cannot be read ({error.strerror or error}): copy it')}."


def read_lines(path: str | Path) -> list[str]:
    r"""Lines of a UTF-8 file, with or without byte-order mark; only `\n` and `\r\n` end a line.

    Raises:
        UserError: no such file, one that cannot be read, bytes that are not UTF-8, a line of more than 64 MiB.
    """
    with opened(path) as file:
        return decode_lines(file, str(path))


def bounded_lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line of an open file, with the line feed; messages call the file `name`.

    Raises:
        UserError: a line of more than 64 MiB, before it fills the memory.
    """
    number = 0
    while raw := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(raw) > LONGEST_LINE:
            size = len(raw)
            while not raw.endswith(b"\n") and (raw := file.readline(LONGEST_LINE)):
                size += len(raw)
            raise UserError(
                f"{name}, line {number} has {size / 2**20:,.0f} MiB, and at most {LONGEST_LINE >> 20} are read: "
                "end each row or document with a line feed."
            )
        yield number, raw


def decode_line(raw: bytes, name: str, number: int) -> str:
    """A line of UTF-8 without its end.

    Raises:
        UserError: bytes that are not UTF-8.
    """
    try:
        return raw.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}, line {number}: byte {error.start + 1} is not UTF-8; save the file as UTF-8 "
            "(for example with `iconv -f LATIN1 -t UTF-8`)."
        ) from None


def decode_lines(file: BinaryIO, name: str) -> list[str]:
    """The lines of an open file that messages call `name`, as :func:`read_lines` gives them.

    Raises:
        UserError: bytes that are not UTF-8, a line of more than 64 MiB.
    """
    lines: list[str] = []
    for number, raw in bounded_lines(file, name):
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
            if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise UserError(f"{name} is UTF-16: convert it, for example with `iconv -f UTF-16 -t UTF-8`.")
            if not raw:
                continue
        lines.append(decode_line(raw, name, number))
    return lines


def standard_input() -> list[str]:
    """Lines of standard input, which is read as UTF-8 like every file, whatever the locale says.

    Raises:
        UserError: bytes that are not UTF-8, a line of more than 64 MiB.
    """
    if buffer := getattr(sys.stdin, "buffer", None):
        return decode_lines(buffer, "standard input")
    return sys.stdin.read().splitlines()


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}


def json_kind(value: Any) -> str:
    """What JSON calls a value: an object, a list, a string, a number, true or false, null."""
    return _KINDS.get(type(value), "a number")


def parse_json(
    text: str, name: str, line: int | None = None, fix: str = "write one JSON value", *, sound: bool = True
) -> Any:
    """A JSON value that a user wrote, of a kind that everything after it can hold.

    Args:
        text: The JSON.
        name: What messages call the place it comes from, such as the path of a file.
        line: The line it stands on; None = `text` is the whole file, and messages count its lines.
        fix: What to write instead, for the message.
        sound: Refuse NaN, infinities, integers beyond 64 bits and surrogates that stand alone: Arrow, UTF-8 and
            arithmetic break on them. Files of model folders hold some rightly.

    Raises:
        UserError: Not JSON; lists and objects nested more than 100 deep; what `sound` refuses.
    """
    where = name if line is None else f"{name}, line {line}"
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{name}, line {line or error.lineno}"
        raise UserError(f"{place}: not JSON ({error.msg} at column {error.colno}); {fix}.") from None
    except RecursionError:
        raise UserError(f"{where}: lists and objects are nested more than {DEEPEST} deep; {fix}.") from None
    except ValueError:
        raise UserError(f"{where}: an integer of thousands of digits; write it as a string.") from None
    if _SUSPICIOUS.search(text) or text.count("[") + text.count("{") > DEEPEST:
        _refuse_unsound(value, where, sound=sound)
    return value


def load_json(path: str | Path, kind: type | None = None, *, sound: bool = True) -> Any:
    """The value of a JSON file that a user names, `dict` or `list` where it has to be one; `sound` as there.

    Raises:
        UserError: As :func:`read_lines` and :func:`parse_json`; or the value is of another kind.
    """
    expected = _KINDS[kind] if kind else "a value"
    fix = f"the file must hold {expected} in JSON"
    value = parse_json("\n".join(read_lines(path)), str(path), fix=fix, sound=sound)
    if kind and type(value) is not kind:
        raise UserError(f"{path} holds {json_kind(value)}, not {expected}: check that it is the right file.")
    return value


def load_facts(folder: str | Path, name: str, needed: Iterable[str], maker: str) -> dict[str, Any]:
    """What a program noted beside what it made, such as the prompt that a model was tuned with.

    Args:
        folder: The one that it wrote, as a user names it.
        name: Of the JSON file in it.
        needed: Facts that have to be there.
        maker: The program, for the user who gave another folder.

    Raises:
        UserError: No such file, as :func:`load_json`, or one that lacks a fact.
    """
    path = Path(folder) / name
    fix = f"give a folder that {maker} wrote"
    if not is_there(path):
        raise UserError(f"{folder} holds no {name}: {fix}.")
    facts = load_json(path, dict)
    if lost := sorted(set(needed) - facts.keys()):
        raise UserError(f"{path} has no {lost[0]!r}: {fix}.")
    return facts


_BOOL = "tag:yaml.org,2002:bool"


def load_yaml(path: str | Path) -> Any:
    """The value of a YAML file that a user names; tags and aliases are refused (a few lines of them fill a memory).

    As in YAML 1.2 only `true` and `false` are truth values: `no` is Norwegian, and a parameter may be called `on`.

    Raises:
        UserError: As :func:`read_lines`; not YAML; what :func:`parse_json` refuses.
    """
    import yaml

    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.yaml_implicit_resolvers = {  # type: ignore[attr-defined]
        first: [(tag, form) for tag, form in forms if tag != _BOOL or first in "tTfF"]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        text = "\n".join(read_lines(path))
        # The scanner's time grows with the square of the depth: minutes for what the walk below refuses at once.
        depths = itertools.accumulate(1 if bracket in "[{" else -1 for bracket in re.findall(r"[][{}]", text))
        if max(depths, default=0) > 3 * DEEPEST:
            raise RecursionError
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                start: Any = event.start_mark
                place = f"{path}, line {start.line + 1}"
                raise UserError(f"{place}: the alias *{event.anchor} is not read; write out what it stands for.")
        value = yaml.load(text, loader)
    except RecursionError:
        raise UserError(f"{path}: lists and mappings are nested more than {DEEPEST} deep; check the file.") from None
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{place}: not YAML ({error.problem}); check the file.") from None
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not YAML ({str(error).splitlines()[0]}); check the file.") from None
    _refuse_unsound(value, str(path))
    return value


def _refuse_unsound(value: Any, where: str, *, sound: bool = True) -> None:
    """What is valid JSON for Python and breaks whatever comes next: recursion, Arrow, UTF-8, arithmetic."""
    level: list[Any] = [value]
    for _ in range(DEEPEST + 1):
        following: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                following += [*item, *item.values()]
            elif isinstance(item, list | tuple | set):
                following += item
            elif not sound:
                continue
            elif isinstance(item, str):
                if not item.isascii() and any("\ud800" <= letter <= "\udfff" for letter in item):
                    raise UserError(f"{where}: half of a surrogate pair is no character; write the character itself.")
            elif isinstance(item, float) and not math.isfinite(item):
                raise UserError(f"{where}: {item} is no number of JSON; write null, or leave the row out.")
            elif isinstance(item, int) and not -(2**63) <= item < 2**63:
                raise UserError(f"{where}: an integer beyond 64 bits; write it as a string.")
        level = following
        if not level:
            return
    raise UserError(f"{where}: lists and objects are nested more than {DEEPEST} deep; flatten them.")


def build_folder(target: Path, build: Callable[[Path], None], *, replace: bool = False) -> None:
    """Fill a temporary folder beside `target` and rename it into place, so that it exists whole or not at all.

    Args:
        target: The folder.
        build: Fills it, under its temporary name.
        replace: What is there stays until the new folder is whole, and is then removed.

    Raises:
        UserError: When the folder cannot be written or the disk is full.
    """
    with writable(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent, target.name)
        temporary = _partial(target)
        try:
            temporary.mkdir()
            build(temporary)
            if replace and (target.exists() or target.is_symlink()):
                old = _partial(target)
                target.rename(old)
                temporary.rename(target)
                remove(old)
                return
            try:
                temporary.rename(target)
            except OSError as error:
                # Another process finished the same folder first; its content is the same.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".partial-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}-{path.name[-100:]}")


def sweep(folder: Path, name: str = "") -> None:
    """Remove what killed processes left half-written in `folder`; with `name`, only what was to become it."""
    for path in folder.glob(".partial-*"):
        found = _PARTIAL.fullmatch(path.name)
        if not found or (name and found["name"] != name[-100:]):
            continue
        with contextlib.suppress(OSError):  # another process sweeps too
            if found["host"] == _HOST and os.name == "posix":
                left_behind = not _alive(int(found["pid"]))
            else:
                left_behind = time.time() - path.stat().st_mtime > ABANDONED
            if left_behind:
                remove(path)


def is_partial(name: str) -> bool:
    """Whether a file or folder of this name is one of ours that was not finished."""
    return _PARTIAL.fullmatch(name) is not None


def remove(path: Path) -> None:
    """Delete a file, a folder with all it holds, or a link without what it points to; it need not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class HeldError(UserError):
    """Another process works on `target`; the sentence says which."""

    def __init__(self, target: Path, who: str):
        super().__init__(f"{target} is in use by {who}: wait until it ends, or stop it.")
        self.target = target


@contextlib.contextmanager
def locked(target: Path, *, wait: bool = True) -> Iterator[float]:
    """Keep other processes, here or on a shared disk, from `target` (a file or folder, which need not exist yet).

    The holder's process, host and start stand in `.<name>.holder` beside it; a lock of a process that died is free.

    Args:
        target: What only one process may make or change at a time.
        wait: Wait for the holder, after a line on standard error that names it.

    Yields:
        Seconds waited.

    Raises:
        HeldError: Another process holds it, without `wait`.
    """
    from filelock import FileLock, Timeout

    note = target.with_name(f".{target.name}.holder")
    started = time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = _holder(note)
        if not wait:
            raise HeldError(target, who) from None
        print(printable(f"Waiting for {who}, which works on {target}."), file=sys.stderr, flush=True)
        lock.acquire()
    with contextlib.suppress(OSError):  # a courtesy to others, not what keeps them out
        facts = {"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%H:%M:%S")}
        note.write_text(json.dumps(facts), encoding="utf-8")
    try:
        yield time.monotonic() - started
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    facts = read_json(note) or {}
    return f"process {facts['pid']} on {facts['host']} since {facts['since']}" if facts else "another process"


# What a disk refuses, and what to do about it.
_FULL = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EFBIG: "a limit on the size of files is reached; raise it (`ulimit -f`)",
}
_REFUSED = {
    errno.EACCES: "it is not writable; choose another folder with --out",
    errno.EPERM: "it is not writable; choose another folder with --out",
    errno.EROFS: "its file system is read-only; choose another folder with --out",
    errno.ENOTDIR: "a part of the path is a file; choose another folder with --out",
    errno.EEXIST: "a file of that name exists; choose another folder with --out",
    errno.EISDIR: "a folder of that name exists; choose another name with --out",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one with --out",
}


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn the failures of a disk into one sentence that names the folder and says what is safe.

    Raises:
        UserError: When the folder cannot be written or the disk is full.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = disk_errno(error)
        place = getattr(error, "filename", None)
        if number == errno.ENOENT and not is_there(folder):  # /proc and its like make no folders
            raise UserError(
                f"Cannot write to {folder}: no folder can be made there; choose another with --out."
            ) from error
        if number in _REFUSED and place is not None and not _related(Path(os.fsdecode(place)), folder):
            raise  # something else that was read meanwhile
        if reason := {**_FULL, **_REFUSED}.get(number or 0):
            raise UserError(
                f"Cannot write to {folder}: {reason}, then run the same command again; what was finished before is "
                "kept, and no file is half-written."
            ) from error
        raise


def disk_errno(error: BaseException) -> int | None:
    """The system's number of a failure, also where a library (safetensors, Arrow) wraps it into an error of its own."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if found := re.search(r"\(?(?:os error|errno) (\d+)", str(error), re.IGNORECASE):
        return int(found[1])
    cause = error.__cause__ or error.__context__
    return disk_errno(cause) if cause else None


def disk_is_full(error: BaseException) -> str | None:
    """A sentence when a failure that nobody expected comes from a full disk, else None."""
    reason = _FULL.get(disk_errno(error) or 0)
    place = getattr(error, "filename", None) or Path.cwd()
    return f"Cannot write below {place}: {reason}; what was finished before is kept." if reason else None


def path_is_refused(error: BaseException) -> str | None:
    """A sentence when the system refuses a path that somebody named, else None.

    A file that is missing is not among them: nobody checked for it, or another process took it away.
    """
    if not isinstance(error, OSError) or error.filename is None or error.errno not in _UNREADABLE:
        return None
    return None if error.errno == errno.ENOENT else _unreadable(os.fsdecode(error.filename), error)


def _related(path: Path, folder: Path) -> bool:
    path, folder = path.absolute(), folder.absolute()
    return path == folder or folder in path.parents or path in folder.parents


def cache_dir() -> Path:
    """Where converted weights are kept: `$MULTILINGUAL_PAPERS_CACHE`, else the user's cache folder.

    Where there is no home (a container without a user entry), or nothing can be written in it, a folder of this user
    below the system's temporary one, after a line that says so.
    """
    if configured := os.environ.get("MULTILINGUAL_PAPERS_CACHE"):
        return Path(configured)
    try:
        folder = _user_cache() / DISTRIBUTION
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        if existing == folder or os.access(existing, os.W_OK):
            return folder
        reason = f"{existing} is not writable"
    except RuntimeError:
        reason = "this user has no home folder"
    folder = _temporary_cache()
    said = printable(f"Caching in {folder}, for {reason}: MULTILINGUAL_PAPERS_CACHE chooses another.")
    print(said, file=sys.stderr, flush=True)
    # For the libraries and for the processes that this one starts.
    os.environ["MULTILINGUAL_PAPERS_CACHE"] = str(folder)
    os.environ.setdefault("HF_HOME", str(folder / "huggingface"))
    os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))
    return folder


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _temporary_cache() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"{DISTRIBUTION}-{user}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # Weights are loaded from it, so a folder that another user has put there is not taken.
    if folder.is_symlink() or (os.name == "posix" and folder.stat().st_uid != user):
        return Path(tempfile.mkdtemp(prefix=f"{DISTRIBUTION}-"))
    return folder


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
