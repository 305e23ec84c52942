"""Instruction sets and their translations: rows side by side, checks, and parts that share no instruction.

    pairs, dropped = translations(english, nepali, "Nepali")  # joined on `id`; align="order" takes row n of both
    check_translation(nepali, english, "Nepali")              # refuses another language, and what was never translated
    rows = read("hub:alpaca/Nepali")                          # a file, or MITS on the hub, in 132 languages
    rows = read("hub:bactrian/ne")                            # Bactrian-X, in 52, with ids that are aligned
    records = read_records("mine.jsonl", "Nepali")            # of one language; `id` and `input` filled in
    parts = held_out(records, "instruction", 200)             # {"dev": ..., "test": ..., "tuning": ...}
    tuning = drawn(parts, 1000, seed=0)                       # so many of those to tune on
    null = exchanged(tuning, ["output"], seed=0)              # every output belongs to another record
    prompt = alpaca("Name a fruit.")                          # as Alpaca's models were asked

A row has `instruction`, `output` and optionally `input` and `id`, as in Alpaca and Dolly; rows with any usual columns
become messages in :func:`core.tasks.samples.adapt`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from core import corpora
from core.errors import UserError

Row = Mapping[str, Any]
Align = Literal["id", "order"]
# A shorter response may be the same in both languages: a number, a name, code.
UNTRANSLATED_LENGTH = 30

MITS = "saillab/taco-datasets"
# Its script, which is not run, keeps `load_dataset` from it by its name.
BACTRIAN = "hf://datasets/MBZUAI/Bactrian-X"
# Literal paths: one folder's name ends with a space, another is misspelt. A plain `load_dataset(MITS)` would mix
# folders with different schemas.
_SETS = {
    "alpaca": "multilingual-instruction-tuning-dataset /multilingual-alpaca-52k-gpt-4/{name}/{name}.json",
    "dolly": "multilingual-instruction-tuning-dataset /multilinugal-dolly-15k/{name}.json",
}


def read(source: str) -> list[dict[str, Any]]:
    """Rows of an instruction set: JSONL with `instruction` and `output`, or `hub:alpaca/Nepali`, `hub:dolly/Nepali`,
    `hub:bactrian/ne`.

    Raises:
        UserError: As :func:`core.corpora.read_jsonl` and :func:`instruction_rows`.
    """
    if source.startswith("hub:"):
        part, _, language = source.removeprefix("hub:").partition("/")
        if part == "bactrian":
            return bactrian_rows(language)
        return [dict(row) for row in instruction_rows(language, part)]
    return [dict(row) for row in corpora.read_jsonl(source, required={"instruction": str, "output": str})]


def read_records(path: str | Path, language: str, columns: Sequence[str] = ("output",)) -> list[dict[str, Any]]:
    """Records of one language from JSONL with `instruction` and `language`.

    Args:
        path: The file.
        language: What every line has to name.
        columns: Further texts that every line has to have.

    Returns:
        The lines, with `id` (the line's number where there is none) and `input` (empty where there is none).

    Raises:
        UserError: A column is missing, or a line is of another language.
    """
    needed = dict.fromkeys(("instruction", "language", *columns), str)
    rows = [dict(row) for row in corpora.read_jsonl(path, required=needed)]
    for number, row in enumerate(rows, start=1):
        if row["language"] != language:
            raise UserError(
                f"{path}, line {number} is {row['language']}, not {language}: give the file of that language."
            )
        row["id"], row["input"] = str(row.get("id") or number), row.get("input") or ""
    return rows


def instruction_rows(lang_name: str, part: str) -> list[dict[str, str]]:
    """Alpaca (GPT-4) or Dolly in one of 132 languages, translated by Google: MITS (Upadhayay and Behzadan 2023).

    Rows of two languages correspond by order. Compare their numbers and run :func:`check_translation`.

    Args:
        lang_name: English name of the language, `English` included.
        part: `alpaca` (52 thousand rows) or `dolly` (15 thousand).

    Raises:
        UserError: There is no such part or file.
    """
    if part not in _SETS:
        raise UserError(f"There is no instruction set {part!r}: choose from {', '.join(_SETS)}.")
    rows = mits_rows(_SETS[part].format(name=lang_name))
    return [{name: row.get(name) or "" for name in ("instruction", "input", "output")} for row in rows]


def bactrian_rows(code: str) -> list[dict[str, Any]]:
    """Alpaca and Dolly in one of 52 languages, answers by GPT-3.5: Bactrian-X (Li et al. 2023).

    Args:
        code: Of the language, as the dataset spells it (`sw`, `tl`, `zh`).

    Returns:
        67 thousand rows with `instruction`, `input`, `output` and an `id` that is the same in all languages.

    Raises:
        UserError: No such language, or no hub.
    """
    rows = _hub_rows("json", f"{BACTRIAN}/data/{code}.json.gz")
    return [{**row, "input": row.get("input") or ""} for row in rows]


def mits_rows(file: str) -> Iterable[dict[str, Any]]:
    """The rows of one file of the hub dataset `MITS`.

    Raises:
        UserError: No such file, or no hub.
    """
    return _hub_rows(MITS, file)


def _hub_rows(dataset: str, file: str) -> Iterable[dict[str, Any]]:
    from datasets import load_dataset

    try:
        return load_dataset(dataset, data_files=file, split="train")
    except (OSError, ValueError) as error:
        raise UserError(
            f"Cannot read {file} ({dataset}): it needs the hub, and exists for the released languages alone "
            f"({type(error).__name__})."
        ) from None


def aligned(english: Sequence[Row], translated: Sequence[Row], align: Align = "id") -> tuple[list[Any], int]:
    """Corresponding rows of an instruction set and its translation.

    Args:
        english: Rows; for `align="id"` each with an `id` of its own.
        translated: The same rows in another language.
        align: Join on the ids, or take row n of both.

    Returns:
        Triples of id (or row number), English row and translated row, in the English order; and how many rows of either
        set have no partner.

    Raises:
        UserError: An id is missing or repeats, or sets that are aligned by order differ in length.
    """
    if align == "order":
        if len(english) != len(translated):
            raise UserError(
                f"The English set has {len(english)} rows and the translated one {len(translated)}: rows aligned by "
                "order must be equally many; give both an `id` and use align='id'."
            )
        return [(row.get("id", number), row, translated[number]) for number, row in enumerate(english)], 0
    ours, theirs = _by_id(english, "English"), _by_id(translated, "translated")
    common = [key for key in ours if key in theirs]
    return [(key, ours[key], theirs[key]) for key in common], len(ours) + len(theirs) - 2 * len(common)


def _by_id(rows: Sequence[Row], side: str) -> dict[Any, Row]:
    ids = [row.get("id") for row in rows]
    if None in ids:
        raise UserError(f"Row {ids.index(None)} of the {side} set has no `id`: add ids, or use align='order'.")
    ids = [str(key) for key in ids]  # 7 in one file and "7" in the other are one id
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise UserError(f"The id {twice!r} stands twice in the {side} set: make ids unique, or use align='order'.")
    return dict(zip(ids, rows, strict=True))


def texts(row: Row, where: str) -> dict[str, str]:
    """Instruction, input (empty where there is none) and output of a row.

    Raises:
        UserError: The row, which `where` names, lacks a text.
    """
    found = {**row, "input": row.get("input") or ""}
    for name in ("instruction", "input", "output"):
        if not isinstance(found.get(name), str):
            raise UserError(f"{where} has no text in the column {name!r}: every row needs instruction and output.")
    return {name: found[name] for name in ("instruction", "input", "output")}


def untranslated(output: str, english: str) -> bool:
    """Whether a response is the English one, and too long to be the same by chance."""
    return output == english and len(output) > UNTRANSLATED_LENGTH


def translations(
    english: Sequence[Row], translated: Sequence[Row], language: str, align: Align = "id"
) -> tuple[list[tuple[str, dict[str, str], dict[str, str]]], dict[str, int]]:
    """The rows of an instruction set and its translation that can be learned from, and how many cannot, by reason.

    Args:
        english: See :func:`aligned`.
        translated: See there.
        language: What it was translated into, for messages.
        align: See there.

    Returns:
        Triples of id, English texts and translated texts (:func:`texts`); and counts of what was dropped: rows without
        a partner (`unmatched`), with an empty instruction or output (`empty`), and with an output that is the English
        one (`untranslated`).

    Raises:
        UserError: A row lacks a column, an id repeats, or the two sets do not correspond.
    """
    pairs, unmatched = aligned(english, translated, align)
    dropped = Counter({"unmatched": unmatched})
    found = []
    for key, ours, theirs in pairs:
        source, target = texts(ours, f"English row {key}"), texts(theirs, f"{language} row {key}")
        if not all(text[name].strip() for text in (source, target) for name in ("instruction", "output")):
            dropped["empty"] += 1
        elif untranslated(target["output"], source["output"]):
            dropped["untranslated"] += 1
        else:
            found.append((str(key), source, target))
    return found, {reason: count for reason, count in dropped.items() if count}


def check_translation(rows: Sequence[Row], english: Sequence[Row], language: str) -> None:
    """Spot-check that the outputs of a translated set are in the language that they should be in.

    Rows that are aligned by order can be of any language. The check is by script, so it cannot tell languages apart
    that share one; a language whose name is not known is only checked for being translated at all.

    Args:
        rows: The translated set; the first 200 are looked at.
        english: What it was translated from.
        language: English name of the language.

    Raises:
        UserError: Most outputs are English ones, or most letters are not in the language's script.
    """
    import langcodes

    from core.text.scripts import in_script_share, scripts_of_language

    found = [str(row.get("output") or "") for row in rows[:200]]
    originals = {str(row.get("output") or "") for row in english}
    same = sum(text in originals for text in found if len(text) > UNTRANSLATED_LENGTH)
    if same > len(found) / 2:
        raise UserError(
            f"{same} of {len(found)} outputs are the English ones: is this the translation into {language}?"
        )
    try:
        code = str(langcodes.find(language))
    except LookupError:
        return
    shares = [share for text in found if (share := in_script_share(text, code)) == share]
    if shares and sum(shares) / len(shares) < 0.5:
        script = "/".join(sorted(scripts_of_language(code)))
        raise UserError(
            f"Only {sum(shares) / len(shares):.0%} of the letters are in the script of {language} ({script}): "
            "check the file and --language."
        )


def alpaca(instruction: str, text: str = "") -> str:
    """The prompt of Stanford Alpaca word for word, because models were tuned on exactly this one.

    Args:
        instruction: What is asked.
        text: The input that it is about; empty for none.
    """
    clause = ", paired with an input that provides further context" if text else ""
    given = f"### Input:\n{text}\n\n" if text else ""
    return (
        f"Below is an instruction that describes a task{clause}. Write a response that appropriately completes the "
        f"request.\n\n### Instruction:\n{instruction}\n\n{given}### Response:\n"
    )


def held_out(records: Sequence[Mapping[str, str]], key: str, count: int) -> dict[str, list[Any]]:
    """Records in parts that share no instruction: `dev` and `test`, at least `count` each if there are, and `tuning`.

    By a hash of the text in column `key`, so that neither order nor language decides, and two records with one
    instruction are on one side.
    """
    groups: dict[bytes, list[Any]] = {}
    for record in records:
        digest = blake2b(record[key].casefold().encode(), digest_size=8).digest()
        groups.setdefault(digest, []).append(record)
    parts: dict[str, list[Any]] = {"dev": [], "test": [], "tuning": []}
    for digest in sorted(groups):
        part = next((name for name in ("dev", "test") if len(parts[name]) < count), "tuning")
        parts[part] += groups[digest]
    return parts


def drawn(parts: Mapping[str, Sequence[Any]], count: int, seed: int) -> list[Any]:
    """Records to tune on in the seed's order: `count` of the part `tuning`, or all of it for 0.

    Raises:
        UserError: There are too few.
    """
    wanted, pool = max(1, count), parts["tuning"]
    if len(pool) < wanted:
        kept = ", ".join(f"{len(rows)} of {part}" for part, rows in parts.items() if part != "tuning")
        raise UserError(
            f"{sum(map(len, parts.values()))} records are too few for {kept} and {wanted} to tune on: hold out or tune "
            "on fewer."
        )
    return random.Random(f"tuning-{seed}").sample(pool, len(pool))[: count or None]


def exchanged(rows: Sequence[Row], columns: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """The rows with some of their columns taken together from another row: a null arm, in which nothing fits."""
    others = random.Random(f"null-{seed}").sample(rows, len(rows))
    return [{**row, **{name: other[name] for name in columns}} for row, other in zip(rows, others, strict=True)]
