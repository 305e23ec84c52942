"""What the method is fed: records built from an instruction set and its translation, the released ones, own JSONL.

    built = build_taco_records(english, nepali, "Nepali")          # a translated instruction set -> records
    parts = load_records(config, "Nepali")                         # tuning, dev and test records

A record has `id`, `instruction`, `input` and `output` (what to train on), `language`, and the parts of the chain as
fields of their own, so that one file trains every chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core.errors import UserError
from core.tasks import instructions
from core.tasks.instructions import instruction_rows as instruction_rows  # one of the paper's public names
from papers.taco import method, miniature
from papers.taco.config import Chain, Config, Layout
from papers.taco.method import Record

ENGLISH_PARTS = ("instruction_en", "response_en")


class Built(NamedTuple):
    """Training records, and how many rows were dropped, by reason."""

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

    Rows with an empty text are dropped, and those whose response is the English one and longer than 30 characters.

    Args:
        en: English rows with `instruction`, optional `input`, `output` and, for `align="id"`, `id`.
        xx: The same rows in the target language.
        lang_name: English name of the target language.
        chain: Which parts the output has.
        layout: How they are joined.
        align: `id` joins on the ids; `order` takes row n of both, as in the hub files of the paper.

    Raises:
        UserError: A row lacks a column, an id repeats, or the two sets do not correspond.
    """
    method.labels(lang_name, chain)
    pairs, dropped = instructions.translations(en, xx, lang_name, align)
    records = []
    for key, english, target in pairs:
        parts = {
            "instruction_en": method.join_input(english["instruction"], english["input"]),
            "response_en": english["output"],
            "response_xx": target["output"],
        }
        target["output"] = method.render_chain(parts, lang_name, chain, layout)
        records.append({"id": key, **target, **parts, "language": lang_name})
    return Built(records, dropped)


def load_records(config: Config, lang_name: str) -> dict[str, list[Record]]:
    """Records of one language from the configured source: `dev`, `test`, and `tuning`, drawn by the seed.

    The parts share no instruction, those of the miniature no family of facts.

    Raises:
        UserError: There is no such source, or it has too few records.
    """
    if not config.base:
        parts = miniature.records(lang_name, config)
    else:
        file = dict(zip(config.languages, config.records, strict=False)).get(lang_name)
        found = instructions.read_records(file, lang_name, method.PARTS["taco"]) if file else hub_records(lang_name)
        parts = instructions.held_out(found, "instruction_en", config.held_out)
    tuning = instructions.drawn(parts, config.tuning_items, config.seed)
    if config.shuffled_chains:  # prompt and answer stay together
        tuning = instructions.exchanged(tuning, ENGLISH_PARTS, config.seed)
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
        parts: dict[str, str] = {part: getattr(answer, part) for part in method.PARTS["taco"]}
        if answer.ok and all(parts.values()):
            # The official layout ends the two English parts with a full stop of its own.
            parts |= {part: parts[part].removesuffix(".") for part in ENGLISH_PARTS}
            asked = {name: (row.get(name) or "").strip() for name in ("instruction", "input")}
            record = {"id": str(row.get("id", number)), **asked, "output": row["output"]}
            records.append({**record, **parts, "language": lang_name})
    if not records:
        raise UserError(f"No row of {file} holds the labels of {lang_name}: check the language name.")
    return records
