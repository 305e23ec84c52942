"""What the method is fed at the paper's scale and from own files: instructions, preferences and their translations.

found = rows("nvidia/Daring-Anteater")                        # {"id", "prompt", "response"} of any usual columns
english, translated, tests = load(config)                     # what a configuration names, held-out rows apart
done, cost = resumed(found, fields, translator, cache, name)  # goes on where it was interrupted
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from core import corpora
from core.errors import UserError
from core.files import parse_json, read_lines, writable
from core.tasks import instructions as sets
from core.tasks.preferences import pair
from core.tasks.samples import lesson
from papers.selective_translation.config import Config
from papers.selective_translation.method import Backend, SelectiveTranslator, Translated, filled
from papers.selective_translation.spans import preserved

# Rows of the translations that are kept for development, and as many for the test, where no test is given.
HELD_OUT = 200
_NAMES = ("id", "prompt")
Rows = list[dict[str, Any]]


def rows(source: str, fields: Sequence[str] = ("prompt", "response")) -> Rows:
    """Rows of a file or hub dataset with an id, their number where they have none, and with these texts. In rows of
    other usual columns `prompt` and `response` are the first exchange, and `chosen` and `rejected` its answers.

    Raises:
        UserError: No such source, or a row that has no such texts.
    """

    def adapt(row: Mapping[str, Any], number: int) -> dict[str, Any]:
        key = next((row[name] for name in ("id", "prompt_id") if row.get(name) is not None), number)
        if not all(isinstance(row.get(name), str) for name in fields):
            if {*fields} <= {"prompt", "response"}:
                row = exchange(row)
            elif {*fields} <= {"prompt", "chosen", "rejected"}:
                row = pair(row)._asdict()
        if lacking := [name for name in fields if not isinstance(row.get(name), str)]:
            raise UserError(f"no text in {lacking[0]!r} (it has {', '.join(map(str, row))}): name the right --fields.")
        return {**row, "id": str(key)}

    if not fields:
        raise UserError("fields is empty: name what holds the texts, such as prompt response.")
    return list(corpora.adapted(source, corpora.read_rows(source), adapt))


def exchange(row: Mapping[str, Any]) -> dict[str, str]:
    """The first question of a row and its answer, in any columns that `core.tasks.samples` knows."""
    turns = lesson(row, "en")["messages"]
    asked = next((place for place, turn in enumerate(turns) if turn["role"] == "user"), len(turns))
    if [turn["role"] for turn in turns[asked : asked + 2]] != ["user", "assistant"]:
        raise UserError("no question is followed by an answer: give prompt and response.")
    return {"prompt": turns[asked]["content"], "response": turns[asked + 1]["content"]}


def preferences(config: Config) -> Rows:
    """Preferences in English and their translations, without pairs whose answers are the same.

    Raises:
        UserError: There is no pair of the kind that is asked for.
    """
    sources = [config.english_pairs] * config.mix_english + [config.translated_pairs] * bool(config.k)
    if not sources or not all(sources):
        raise UserError(
            "english_pairs or translated_pairs is empty: name preferences in both languages, or tune without --dpo."
        )
    found = (row for source in sources for row in rows(source, ("prompt", "chosen", "rejected")))
    return [row for row in found if row["chosen"] != row["rejected"]]


def load(config: Config) -> tuple[Rows, Rows, Rows]:
    """English instructions, translations and tests of a base's run. All arms are tested on the same rows: `tests`, or
    some of the selective translations, whose English rows, those with the same ids, are not tuned on either.

    Raises:
        UserError: A file that is needed is not named, or too short; or an arm that only the miniature has.
    """
    if config.translator == "misplaced" or config.corruption != Config.corruption:
        raise UserError("misplaced translations and other --corruption are arms of the miniature: leave out --base.")
    name = "plain" if config.translator == "vanilla" else "translated"
    needed = [name] * bool(config.k) + ["translated"] * (not config.tests) + ["english"] * config.mix_english
    if empty := [name for name in needed if not getattr(config, name)]:
        raise UserError(
            f"{empty[0]} is empty: name English instructions, what `python -m papers.selective_translation.use "
            "translate` and `judge` have made of them, and a plain translation for `vanilla`."
        )
    english = rows(config.english) if config.english else []
    pool = kept(rows(getattr(config, name)), english, config.filter) if config.k else []
    if config.tests:
        tests = rows(config.tests)
        apart = {row["prompt"] for row in tests}
    else:
        parts = sets.held_out(kept(rows(config.translated), english, "faith"), "prompt", HELD_OUT)
        tests, apart = parts[config.split], {row[key] for p in ("dev", "test") for row in parts[p] for key in _NAMES}
    english, pool = ([r for r in part if apart.isdisjoint(r[key] for key in _NAMES)] for part in (english, pool))
    if len(pool) < config.k:
        raise UserError(f"{len(pool)} translations are left to tune on, fewer than {config.k}: lower --n-translated.")
    return english if config.mix_english else [], pool, tests


def kept(translated: Rows, english: Rows, filter: str) -> Rows:
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


def each(function: Callable[[str], str], workers: int = 8) -> Backend:
    """Any `str -> str` as a backend; so many texts are under way at a time, as an endpoint likes it."""

    def translate(texts: Sequence[str]) -> list[str]:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(function, texts))

    return translate


class Cost(NamedTuple):
    """What a translation has taken: texts that the backend was asked and that an earlier run had translated,
    characters read and written, seconds."""

    requests: int
    from_before: int
    characters_read: int
    characters_written: int
    seconds: float


def cached(path: Path) -> dict[str, Translated]:
    """What a cache holds, without a line that an interruption has cut."""
    found = {}
    for number, line in enumerate(read_lines(path) if path.exists() else (), start=1):
        with contextlib.suppress(UserError, KeyError, TypeError):
            row = parse_json(line, str(path), number)
            found[row["key"]] = Translated(row["text"], row["flag"])
    return found


def resumed(
    records: Sequence[Mapping[str, Any]], fields: Sequence[str], translator: SelectiveTranslator, cache: Path,
    backend: str, *, batch: int = 64, progress: Callable[[int, int], None] = lambda done, whole: None,
) -> tuple[Rows, Cost]:  # fmt: skip
    """Translate many records, in batches that are on the disk before the next one begins.

    Args:
        records: Any rows.
        fields: Texts of each that are translated, whole.
        translator: What translates.
        cache: JSON lines, one a text; a line that an interruption has cut is translated again.
        backend: Name of the translator's backend: what another one has translated is not taken.
        batch: Texts of one call.
        progress: Is told how many texts are done, and of how many.

    Returns:
        The records with their translations and `flags`, and the cost.
    """
    settings = str((translator.language, translator.mode, backend, translator.json_values))
    texts = dict.fromkeys(record[name] for record in records for name in fields)
    keys = {t: sha256(f"{settings}\0{t}".encode(errors="surrogatepass")).hexdigest()[:24] for t in texts}
    known = cached(cache)
    missing = [text for text, key in keys.items() if key not in known]
    before, read, written, started = len(texts) - len(missing), 0, 0, time.monotonic()
    with writable(cache.parent):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with cache.open("a", encoding="utf-8") as file:
            file.write("\n" * bool(file.tell()))  # after a line that was cut
            for start in range(0, len(missing), batch):
                part = missing[start : start + batch]
                for text, found in zip(part, translator.texts(part), strict=True):
                    known[keys[text]] = found
                    read, written = read + len(text), written + len(found.text)
                    # In ASCII, so that a cut line is text all the same.
                    file.write(json.dumps({"key": keys[text], "text": found.text, "flag": found.flag}) + "\n")
                file.flush()
                os.fsync(file.fileno())
                progress(before + start + len(part), len(texts))
    done = [filled(record, {name: known[keys[record[name]]] for name in fields}) for record in records]
    return done, Cost(len(missing), before, read, written, time.monotonic() - started)
