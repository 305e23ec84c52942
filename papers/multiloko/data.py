"""What is asked: files in the layout of the official release, and prompts.

german/dev.jsonl                               questions as they were asked
german/dev_translated_human_english.jsonl      the same in English; also machine
english/dev_translated_human_german.jsonl      the English ones in German; also machine
german/knowledge_fewshot.jsonl                 demonstrations for base models

sets = read_sets("benchmark_data")             # {"german": [Row(...), ...], "german_translated_human_english": ...}
prompt(row, "german", shots)                   # "F: ... A: ...\\n\\nF: ... A:"
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from core.corpora import adapted, read_rows
from core.corpora.hub import snapshot
from core.errors import UserError
from core.files import load_yaml, write_rows
from papers.multiloko.answers import answer_variants, language_of

FILES = ("*.json", "*.jsonl")
SHOTS = "knowledge_fewshot"
Mode = Literal["base", "chat"]


@dataclass(frozen=True)
class Row:
    """A question, with the six fields of the official files.

    Attributes:
        text: The paragraph that it was made from.
        question: What is asked.
        targets: Short answers that are right.
        target: A long answer.
        id: Rank and name of the page.
        output_type: What the answer is to be ("year"), in the language of the question.
    """

    id: str
    question: str
    targets: tuple[str, ...]
    output_type: str
    target: str = ""
    text: str = ""


Sets = dict[str, list[Row]]


def read_sets(source: str | Path, subset: str = "dev", languages: Collection[str] = ()) -> Sets:
    """Every set of a folder, those of a language beside each other.

    Args:
        source: The folder of the release, unpacked; or the id of a hub dataset with the same files (gated).
        subset: Which files: `dev` or `test`.
        languages: Only these, and their translations from and into English; empty = all.

    Raises:
        UserError: There is no such set, a row cannot be read, or a language has none.
    """
    if not re.fullmatch(r"[\w-]+", subset):
        raise UserError(f"--subset {subset!r} is no name of files: write dev or test.")
    folder = snapshot(source, FILES)
    found: Sets = {}
    for home in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        for path in sorted(home.glob(f"{subset}*.json*")):
            rest = path.name.partition(".")[0].removeprefix(subset)
            key = f"{home.name}{rest}"
            ends = {home.name, language_of(key)} - {"english"}
            if (not rest or rest.startswith("_translated_")) and (not languages or ends <= {*languages}):
                found[key] = read_set(path)
    if missing := [code for code in languages if code not in found]:
        raise UserError(f"{source} has no {missing[0]}/{subset}.jsonl: it has {', '.join(found) or 'no language'}.")
    if not found:
        raise UserError(f"{source} holds no <language>/{subset}.jsonl: give the folder of the unpacked release.")
    return found


def read_set(path: str | Path) -> list[Row]:
    """The questions of one file; of two with the same id the last counts, as in the official script.

    Raises:
        UserError: The file cannot be read, or a row lacks a field.
    """
    rows = list(adapted(str(path), read_rows(str(path)), as_row))
    kept = {row.id: row for row in rows}
    if lost := len(rows) - len(kept):
        warnings.warn(
            f"{path}: {lost} of {len(rows)} questions have the id of a later one, which counts.", stacklevel=2
        )
    return list(kept.values())


def as_row(row: Mapping[str, Any], number: int) -> Row:
    """A row of a file; `targets` is a list, or a text with " | " between the answers."""
    targets = row["targets"]
    listed = targets.split(" | ") if isinstance(targets, str) else targets
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        raise UserError("`targets` is no list of texts: write the short answers that are right.")
    texts = {name: row.get(name) or "" for name in ("question", "output_type", "target", "text")}
    for name, text in texts.items():
        if not isinstance(text, str) or (name == "question" and not text.strip()):
            raise UserError(f"`{name}` is no text: fill it in.")
    return Row(id=str(row.get("id") or number), targets=tuple(listed), **texts)


def write_set(folder: Path, key: str, rows: Sequence[Row], subset: str = "dev") -> Path:
    """Write a set where the official layout has it."""
    home, mark, rest = key.partition("_translated_")
    path = folder / home / f"{subset}{mark}{rest}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, [{**asdict(row), "targets": list(row.targets)} for row in rows])
    return path


def unanswerable(rows: Sequence[Row], language: str) -> list[str]:
    """Ids of questions whose right answers are blank or punctuation alone: nothing could match them."""
    return [row.id for row in rows if not any(answer_variants(target, language) for target in row.targets)]


# --- prompts ----------------------------------------------------------------------------------------------------------


@cache
def wordings() -> dict[str, dict[str, str]]:
    """What stands around questions and answers, for the 31 languages of the benchmark."""
    return load_yaml(Path(__file__).parent / "prompts.yaml")


def prompt(row: Row, language: str, shots: Sequence[Row] = (), mode: Mode = "base") -> str:
    """What a model is asked, in the language of the question; a language without wordings gets signs alone.

    Args:
        row: The question; one without an output type is asked as it stands.
        language: What it is written in.
        shots: Demonstrations in the same language, before the question of a base model.
        mode: `base` ends where the answer begins; `chat` is the user's turn and asks for nothing but the answer.
    """
    words = wordings().get(language) or {"question": "?", "answer": "=", "only": "({type})"}
    only = ["", f" {words['only']}"]
    asked = [one.question + only[bool(one.output_type)].format(type=one.output_type) for one in (*shots, row)]
    if mode == "chat":
        return asked[-1]
    question, answer = (sign if sign.endswith("：") else f"{sign} " for sign in (words["question"], words["answer"]))
    told = [f"{question}{one}\n{answer}{shot.targets[0]}\n\n" for one, shot in zip(asked, shots, strict=False)]
    return f"{''.join(told)}{question}{asked[-1]}\n{answer.rstrip()}"


def demonstrations(source: str | Path, languages: Collection[str], count: int) -> dict[str, list[Row]]:
    """The first demonstrations of each language, from its `knowledge_fewshot` file.

    Raises:
        UserError: A language has no file, or too few.
    """
    if not count:
        return {}
    folder = snapshot(source, FILES)
    found = {}
    for code in languages:
        paths = sorted((folder / code).glob(f"{SHOTS}.json*"))
        rows = read_set(paths[0]) if paths else []
        if len(rows) < count:
            raise UserError(
                f"{source} has {len(rows)} demonstrations in {code}/{SHOTS}.jsonl: add some, or lower --shots."
            )
        found[code] = rows[:count]
    return found
