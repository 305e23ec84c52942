"""What the method is fed: records built from an instruction set and its translation, the released ones, own JSONL.

    built = build_taco_records(english, nepali, "Nepali")          # a translated instruction set -> records
    parts = load_records(config, "Nepali")                         # tuning, dev and test records

A record has `instruction`, `input` and `output` (what to train on) and the parts of the chain as fields of their own,
so that one file trains every chain.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core import corpora
from core.errors import UserError
from core.tasks import instructions
from core.tasks.instructions import instruction_rows as instruction_rows  # one of the paper's public names
from papers.taco import method
from papers.taco.config import Chain, Config, Layout
from papers.taco.method import Record


class Built(NamedTuple):
    """Training records and what was left out."""

    records: list[Record]
    """See :func:`build_taco_records`."""
    dropped: dict[str, int]
    """How many rows were dropped, by reason."""


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
    """Records of one language from the configured source: `dev`, `test`, and `tuning`, drawn by the seed.

    The parts share no instruction, those of the miniature no family of facts.

    Raises:
        UserError: There is no such source, or it has too few records.
    """
    if not config.base:
        from papers.taco import miniature

        parts = miniature.records(lang_name, config)
    else:
        files = dict(zip(config.languages, config.records, strict=False))
        found = file_records(files[lang_name], lang_name) if files else hub_records(lang_name)
        parts = instructions.held_out(found, "instruction_en", config.held_out)
    if len(parts["tuning"]) < max(1, config.tuning_items):
        raise UserError(
            f"{sum(map(len, parts.values()))} records are too few for {len(parts['dev'])} of dev, {len(parts['test'])} "
            f"of test and {max(1, config.tuning_items)} to tune on: lower held_out or tuning_items."
        )
    tuning = random.Random(f"tuning-{config.seed}").sample(parts["tuning"], len(parts["tuning"]))
    tuning = tuning[: config.tuning_items or None]
    if config.shuffled_chains:
        # The English of a chain becomes that of another record; prompt and answer stay together.
        others = random.Random(f"null-{config.seed}").sample(tuning, len(tuning))
        english = [{name: other[name] for name in ("instruction_en", "response_en")} for other in others]
        tuning = [{**record, **other} for record, other in zip(tuning, english, strict=True)]
    return {**parts, "tuning": tuning}


def hub_records(lang_name: str) -> list[Record]:
    """The released records of one language (`taco-datasets/taco-Nepali.json`) that are whole chains.

    The sections are cut out of `output`, which holds the whole chain, so that every chain can be trained from them.

    Raises:
        UserError: There is no such file, or none of its rows is a chain.
    """
    file = f"taco-datasets/taco-{lang_name}.json"
    records = []
    for number, row in enumerate(instructions.mits_rows(file)):
        answer = method.parse_chain(row["output"], lang_name)
        if answer.ok and answer.instruction_en and answer.response_en and answer.response_xx:
            record = {"id": str(row.get("id", number)), "instruction": row["instruction"].strip()}
            record |= {"input": (row.get("input") or "").strip(), "output": row["output"], "language": lang_name}
            # The official layout ends the two English parts with a full stop of its own.
            english = {name: getattr(answer, name).removesuffix(".") for name in ("instruction_en", "response_en")}
            records.append({**record, **english, "response_xx": answer.response_xx})
    if not records:
        raise UserError(f"No row of {file} holds the labels of {lang_name}: check the language name.")
    return records


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
