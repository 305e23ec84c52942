"""What the method is fed at the paper's scale and from own files: instructions, preferences and their translations.

rows = instructions("nvidia/Daring-Anteater")          # {"id", "prompt", "response"} of any usual columns
rows = preferences("mine.jsonl")                       # {"id", "prompt", "chosen", "rejected"}
found = load(config)                                   # what a configuration names, held-out rows apart
done = resumed(rows, fields, translator.texts, cache)  # goes on where it was interrupted
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core import corpora
from core.errors import UserError
from core.files import parse_json, read_lines, writable
from core.tasks import instructions as sets
from core.tasks.preferences import pair
from core.tasks.samples import lesson
from papers.selective_translation.config import Config
from papers.selective_translation.method import Translated, filled
from papers.selective_translation.spans import preserved

# Rows of the translations that are kept for development, and as many for the test, where no test is given.
HELD_OUT = 200


def adapt_instruction(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A row with `prompt` and `response`, or of any columns that `core.tasks.samples` knows: its first exchange."""
    if isinstance(row.get("prompt"), str) and isinstance(row.get("response"), str):
        return {**row, "id": str(row.get("id", number))}
    turns = lesson(row, "en")["messages"]
    asked = next((place for place, turn in enumerate(turns) if turn["role"] == "user"), len(turns))
    if [turn["role"] for turn in turns[asked : asked + 2]] != ["user", "assistant"]:
        raise UserError("no question is followed by an answer: give prompt and response.")
    texts = {"prompt": turns[asked]["content"], "response": turns[asked + 1]["content"]}
    return {"id": str(row.get("id", number)), **texts}


def adapt_preference(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A row as of :func:`core.tasks.preferences.pair`; or as UltraFeedback's, which says its prompt again in both lists
    of messages."""
    sides = {side: row[side] for side in ("chosen", "rejected") if isinstance(row.get(side), list)}
    repeats = len(sides) == 2 and all(len(messages) > 1 for messages in sides.values())
    found = pair(sides if repeats else row)
    return {"id": str(row.get("id") or row.get("prompt_id") or number), **found._asdict()}


def instructions(source: str) -> list[dict[str, Any]]:
    """Instructions of a file or hub dataset.

    Raises:
        UserError: No such source, or a row that is not understood.
    """
    return list(corpora.adapted(source, corpora.read_rows(source), adapt_instruction))


def preferences(source: str) -> list[dict[str, Any]]:
    """Preferences of a file or hub dataset; pairs whose answers are the same are left out.

    Raises:
        UserError: As above.
    """
    found = corpora.adapted(source, corpora.read_rows(source), adapt_preference)
    return [row for row in found if row["chosen"] != row["rejected"]]


class Data(NamedTuple):
    """What a configuration names."""

    english: list[dict[str, Any]]
    translated: list[dict[str, Any]]
    tests: list[dict[str, Any]]


def load(config: Config) -> Data:
    """Instructions of a base's run.

    Raises:
        UserError: A file that is needed is not named, or too short; or an arm that only the miniature has.
    """
    if config.translator == "misplaced" or config.corruption != Config.corruption:
        raise UserError("misplaced translations and other --corruption are arms of the miniature: leave out --base.")
    name = "plain" if config.translator == "vanilla" else "translated"
    source = getattr(config, name)
    if config.k and not source:
        raise UserError(
            f"{name} is empty: let `python -m papers.selective_translation.use translate` translate the English "
            f"instructions, `judge` grade them, and name the result in --{name}."
        )
    if config.mix_english and not config.english:
        raise UserError("english is empty: name English instructions, or tune without them (--no-mix-english).")
    english = instructions(config.english) if config.english else []
    translated = kept(instructions(source), english, config.filter) if source else []
    if config.tests:
        tests = instructions(config.tests)
    else:
        parts = sets.held_out(translated, "prompt", HELD_OUT)
        translated, tests = parts["tuning"], parts[config.split]
    if len(translated) < config.k:
        raise UserError(
            f"{source} leaves {len(translated)} translations to tune on, fewer than {config.k}: lower --n-translated."
        )
    # What is tested is not tuned on in English either, where rows have ids in common.
    tested = {row["id"] for row in tests}
    english = [row for row in english if row["id"] not in tested] if config.mix_english else []
    return Data(english, translated, tests)


def kept(translated: list[dict[str, Any]], english: list[dict[str, Any]], filter: str) -> list[dict[str, Any]]:
    """The translations that a filter leaves: without flags and grades that fall short; `audit`: with all spans of the
    English row with the same id."""
    if filter == "none":
        return translated
    found = [row for row in translated if not row.get("flags") and not row.get("short")]
    if filter == "audit":
        known = {row["id"]: row for row in english}
        fields = ("prompt", "response")
        found = [r for r in found if r["id"] in known and all(preserved(known[r["id"]][f], r[f]) for f in fields)]
    return found


# --- translations that can be interrupted -----------------------------------------------------------------------------


class Cost(NamedTuple):
    """What a translation has taken."""

    requests: int
    """Texts that the backend was asked; each whole field is one."""
    from_before: int
    """Texts that an earlier run had translated."""
    characters_read: int
    characters_written: int
    seconds: float


def cached(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a cache, without a line that an interruption has cut."""
    for number, line in enumerate(read_lines(path) if path.exists() else (), start=1):
        with contextlib.suppress(UserError):
            if isinstance(row := parse_json(line, str(path), number), dict) and {"key", "text", "flag"} <= row.keys():
                yield row


def resumed(
    records: Sequence[Mapping[str, Any]],
    fields: Sequence[str],
    translate: Callable[[Sequence[str]], Sequence[Translated]],
    cache: Path,
    settings: str,
    *,
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[dict[str, Any]], Cost]:
    """Translate fields of many records, in batches that are on the disk before the next one begins.

    Args:
        records: Any rows.
        fields: Texts of each that are translated, whole.
        translate: As :meth:`papers.selective_translation.method.SelectiveTranslator.texts`.
        cache: JSON lines, one a text; a line that an interruption has cut is translated again.
        settings: What else decides a translation: one under other settings is not taken.
        batch: Texts of one call.
        progress: Is told how many texts are done, and of how many.

    Returns:
        The records with their translations and `flags`, and the cost.

    Raises:
        UserError: A record has no such text; or what the backend raises.
    """
    for number, record in enumerate(records, start=1):
        if lacking := [name for name in fields if not isinstance(record.get(name), str)]:
            raise UserError(f"Record {number} has no text in {lacking[0]!r}: name the right --fields.")

    def key(text: str) -> str:
        return hashlib.sha256(f"{settings}\0{text}".encode(errors="surrogatepass")).hexdigest()[:24]

    known = {row["key"]: Translated(row["text"], row["flag"]) for row in cached(cache)}
    texts = dict.fromkeys(record[name] for record in records for name in fields)
    missing = [text for text in texts if key(text) not in known]
    read = written = 0
    started = time.monotonic()
    with writable(cache.parent):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with cache.open("a", encoding="utf-8") as file:
            if file.tell():
                file.write("\n")  # after a line that was cut
            for start in range(0, len(missing), batch):
                part = missing[start : start + batch]
                done = translate(part)
                if len(done) != len(part):
                    raise UserError(f"The backend gave {len(done)} translations of {len(part)} texts: give one each.")
                for text, found in zip(part, done, strict=True):
                    known[key(text)] = found
                    read, written = read + len(text), written + len(found.text)
                    row = {"key": key(text), "text": found.text, "flag": found.flag}
                    file.write(json.dumps(row) + "\n")  # in ASCII, so that a cut line is text all the same
                file.flush()
                os.fsync(file.fileno())
                if progress is not None:
                    progress(len(texts) - len(missing) + start + len(part), len(texts))
    rows = [filled(record, {name: known[key(record[name])] for name in fields}) for record in records]
    cost = Cost(len(missing), len(texts) - len(missing), read, written, time.monotonic() - started)
    return rows, cost
