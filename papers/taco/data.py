"""What the method is fed: records built from an instruction set and its translation, the released ones, own JSONL.

    built = build_taco_records(english, nepali, "Nepali")          # a translated instruction set -> records
    parts = load_records(config, "Nepali")                         # tuning, dev and test records

A record has `instruction`, `input` and `output` (what to train on) and the parts of the chain as fields of their own,
so that one file trains every chain.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import corpora
from core.errors import UserError
from core.tasks import instructions
from papers.taco import method
from papers.taco.config import Chain, Config, Layout
from papers.taco.method import Record

HUB = "saillab/taco-datasets"
# Literal paths of the hub dataset: one folder's name ends with a space, another is misspelt. A plain
# `load_dataset(HUB)` would mix folders with different schemas.
_CHAINS = "taco-datasets/taco-{name}.json"
_TRANSLATIONS = "multilingual-instruction-tuning-dataset "
_INSTRUCTIONS = {
    "alpaca": f"{_TRANSLATIONS}/multilingual-alpaca-52k-gpt-4/{{name}}/{{name}}.json",
    "dolly": f"{_TRANSLATIONS}/multilinugal-dolly-15k/{{name}}.json",
}


@dataclass(frozen=True)
class Built:
    """Training records and what was left out.

    Attributes:
        records: TaCo records, see :func:`build_taco_records`.
        dropped: How many rows were dropped, by reason.
    """

    records: list[Record]
    dropped: dict[str, int]


def build_taco_records(
    en: Sequence[Mapping[str, Any]],
    xx: Sequence[Mapping[str, Any]],
    lang_name: str,
    chain: Chain = "taco",
    layout: Layout = "clean",
    align: instructions.Align = "id",
) -> Built:
    """Turn an instruction set and its translation into chain-of-translation records (section "TaCo").

    Args:
        en: English rows with `instruction`, optional `input`, `output` and, for `align="id"`, `id`.
        xx: The same rows in the target language.
        lang_name: English name of the target language.
        chain: Which parts the output has.
        layout: How they are joined.
        align: `id` joins on the ids; `order` takes row n of both, as in the hub files of the paper.

    Returns:
        Records with `id`, `instruction`, `input`, `output` (what to train on) and, for diagnosis and for other chains,
        `instruction_en`, `response_en`, `response_xx`, `language`. Rows with an empty text are dropped, and rows whose
        response equals the English one and is longer than 30 characters (untranslated).

    Raises:
        UserError: A row lacks a column, an id repeats, or the two sets do not correspond.
    """
    method.labels(lang_name, chain)
    pairs, unmatched = instructions.aligned(en, xx, align)
    dropped = Counter({"unmatched": unmatched})
    records = []
    for key, ours, theirs in pairs:
        english = instructions.texts(ours, f"English row {key}")
        target = instructions.texts(theirs, f"{lang_name} row {key}")
        parts = {
            "instruction_en": method.join_input(english["instruction"], english["input"]),
            "response_en": english["output"],
            "response_xx": target["output"],
        }
        if not all(text.strip() for text in (english["instruction"], target["instruction"], *parts.values())):
            dropped["empty"] += 1
        elif instructions.untranslated(parts["response_xx"], parts["response_en"]):
            dropped["untranslated"] += 1
        else:
            prompt = {"id": str(key), "instruction": target["instruction"], "input": target["input"]}
            output = method.render_chain(parts, lang_name, chain, layout)
            records.append({**prompt, "output": output, **parts, "language": lang_name})
    return Built(records, {reason: count for reason, count in dropped.items() if count})


def load_records(config: Config, lang_name: str) -> dict[str, list[Record]]:
    """Records of one language by part: `tuning`, `dev` and `test`, from the configured source.

    Raises:
        UserError: There is no such source, or it has too few records.
    """
    if config.source == "numbers":
        from papers.taco import miniature

        return miniature.records(lang_name, config)
    if config.source == "hub":
        return split_records(hub_records(config.dataset, lang_name), config)
    return split_records(file_records(config.records[config.languages.index(lang_name)], lang_name), config)


def split_records(records: Sequence[Record], config: Config) -> dict[str, list[Record]]:
    """Dev and test records that share no instruction with the others, and tuning records drawn by the seed.

    Raises:
        UserError: There are too few records.
    """
    parts = instructions.held_out(records, "instruction_en", config.held_out)
    wanted = config.tuning_items or len(parts["tuning"])
    if not 1 <= wanted <= len(parts["tuning"]):
        raise UserError(
            f"{len(records)} records are too few for {config.held_out} of dev, as many of test and "
            f"{max(1, wanted)} to tune on: lower held_out or tuning_items."
        )
    return {**parts, "tuning": random.Random(f"tuning-{config.seed}").sample(parts["tuning"], wanted)}


def released_record(row: Mapping[str, Any], lang_name: str, number: int) -> Record | None:
    """A row of the released TaCo files (`instruction`, `input`, `output` with the whole chain) as a record of ours.

    The sections are cut out of `output`, so that every other chain can be trained from the same file.

    Returns:
        The record; None when the output is not a whole chain.
    """
    answer = method.parse_chain(row["output"], lang_name)
    if not (answer.ok and answer.instruction_en and answer.response_en and answer.response_xx):
        return None
    return {
        "id": str(row.get("id", number)),
        "instruction": row["instruction"].strip(),
        "input": (row.get("input") or "").strip(),
        "output": row["output"],
        # The official layout ends the two English parts with a full stop of its own.
        "instruction_en": answer.instruction_en.removesuffix("."),
        "response_en": answer.response_en.removesuffix("."),
        "response_xx": answer.response_xx,
        "language": lang_name,
    }


def hub_records(dataset: str, lang_name: str) -> list[Record]:
    """The released records of one language (`taco-datasets/taco-Nepali.json`).

    Args:
        dataset: The hub dataset, or a folder with a copy of it.
        lang_name: English name of the language.

    Raises:
        UserError: There is no such file, or none of its rows is a chain.
    """
    file = _CHAINS.format(name=lang_name)
    parsed = (released_record(row, lang_name, number) for number, row in enumerate(_hub_rows(dataset, file)))
    records = [record for record in parsed if record is not None]
    if not records:
        raise UserError(f"No row of {file} holds the labels of {lang_name}: check the language name.")
    return records


def instruction_rows(lang_name: str, part: str, dataset: str = "") -> list[Record]:
    """Alpaca (GPT-4) or Dolly in one of the 132 languages: what TaCo records of a new language are built from.

    Rows of two languages correspond by order. Compare their numbers and run
    :func:`core.tasks.instructions.check_translation`.

    Args:
        lang_name: English name of the language, `English` included.
        part: `alpaca` (52 thousand rows) or `dolly` (15 thousand).
        dataset: A folder with a copy of the hub dataset, instead of the hub.

    Raises:
        UserError: There is no such part or file.
    """
    if part not in _INSTRUCTIONS:
        raise UserError(f"There is no instruction set {part!r}: choose from {', '.join(_INSTRUCTIONS)}.")
    rows = _hub_rows(dataset or HUB, _INSTRUCTIONS[part].format(name=lang_name))
    return [{name: row.get(name) or "" for name in ("instruction", "input", "output")} for row in rows]


def _hub_rows(dataset: str, file: str) -> Iterable[dict[str, Any]]:
    from datasets import load_dataset

    try:
        if Path(dataset).is_dir():
            return load_dataset("json", data_files=str(Path(dataset) / file), split="train")
        return load_dataset(dataset, data_files=file, split="train")
    except (OSError, ValueError) as error:
        raise UserError(
            f"Cannot read {file} of {dataset}: it needs the hub or a local copy, and exists for the released languages "
            f"alone ({type(error).__name__})."
        ) from None


def file_records(path: str, lang_name: str) -> list[Record]:
    """TaCo JSONL of `python -m papers.taco.use build`.

    Raises:
        UserError: A column is missing, or the file is of another language.
    """
    needed = ("instruction", "instruction_en", "response_en", "response_xx", "language")
    rows = [dict(row) for row in corpora.read_jsonl(path, required=dict.fromkeys(needed, str))]
    for number, row in enumerate(rows, start=1):
        if row["language"] != lang_name:
            raise UserError(
                f"{path}, line {number} is {row['language']}, not {lang_name}: give the file of that language."
            )
        row["id"], row["input"] = str(row.get("id") or number), row.get("input") or ""
    return rows
