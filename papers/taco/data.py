"""What the method is fed: spelled-out arithmetic (tiny), the released records (hub), the user's JSONL.

At the tiny scale a record asks for a sum or a difference in words, "what is seven plus four ?". The number words of
every language come from Unicode CLDR (corpus `numbers`); the two questions per language are ours. Stage 1 sees every
fact in English; the target language is seen in the tuning records alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import corpora
from core.errors import UserError
from core.models.tokenization import IGNORED, completion_row, word_level
from papers.taco import method
from papers.taco.config import Config, Template
from papers.taco.method import Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

Row = dict[str, Any]

# English name -> code, question for a sum, question for a difference.
QUESTIONS = {
    "English": ("en", "what is {a} plus {b} ?", "what is {a} minus {b} ?"),
    "Nepali": ("ne", "{a} जोड {b} कति हुन्छ ?", "{a} घटाउ {b} कति हुन्छ ?"),
    "Persian": ("fa", "{a} به علاوه {b} چند می‌شود ؟", "{a} منهای {b} چند می‌شود ؟"),
    "Swahili": ("sw", "{a} jumlisha {b} ni ngapi ?", "{a} toa {b} ni ngapi ?"),
}
# What stands around an instruction. The first two are the formats of Alpaca and Guanaco, word for word, because models
# were tuned on exactly these.
_ALPACA = (
    "Below is an instruction that describes a task{input_clause}. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n{input}### Response:\n"
)
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
class Split:
    """Records of one language: to tune on, to choose settings on, to test on."""

    tuning: list[Record]
    development: list[Record]
    test: list[Record]


# --- Records --------------------------------------------------------------------------------------------------------


def number_rows(language: str, largest: int) -> list[Record]:
    """Arithmetic facts in words as instruction rows: all a + b and, for a >= b, a - b, with a and b up to `largest`.

    Raises:
        UserError: There is no question in that language.
    """
    if language not in QUESTIONS:
        raise UserError(f"There are no arithmetic questions in {language!r}: choose from {', '.join(QUESTIONS)}.")
    code, plus, minus = QUESTIONS[language]
    table = corpora.load("numbers", languages=[] if code == "en" else [code], values=range(2 * largest + 1))
    words = dict(zip(table["value"], table[code], strict=True))
    facts = [(f"plus-{a}-{b}", plus, a, b, a + b) for a in range(largest + 1) for b in range(largest + 1)]
    facts += [(f"minus-{a}-{b}", minus, a, b, a - b) for a in range(largest + 1) for b in range(a + 1)]
    return [
        {"id": key, "instruction": question.format(a=words[a], b=words[b]), "input": "", "output": words[result]}
        for key, question, a, b, result in facts
    ]


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

    Rows of two languages correspond by order. Compare their numbers and run :func:`check_language`.

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
            raise UserError(f"{path}, line {number} is {row['language']}, not {lang_name}: name it in --languages.")
        row["id"], row["input"] = str(row.get("id") or number), row.get("input") or ""
    return rows


def load_records(config: Config, lang_name: str) -> list[Record]:
    """All records of one language, from the configured source."""
    if config.source == "hub":
        return hub_records(config.dataset, lang_name)
    if config.source == "files":
        return file_records(config.records[config.languages.index(lang_name)], lang_name)
    built = method.build_taco_records(
        number_rows("English", config.largest), number_rows(lang_name, config.largest), lang_name
    )
    return built.records


def split_records(records: Sequence[Record], config: Config) -> Split:
    """Development and test records by a hash of the id, the same for every seed; tuning records drawn by the seed.

    In the order of the hash, development comes first. The last `test_items` were the test of an earlier recording, so
    those before them are the test now; what is tuned on is drawn from all others.

    Raises:
        UserError: There are too few records.
    """
    ordered = sorted(records, key=lambda record: blake2b(record["id"].encode(), digest_size=8).digest())
    first, last = len(ordered) - 2 * config.test_items, len(ordered) - config.test_items
    pool = [*ordered[config.development_items : max(0, first)], *ordered[last:]]
    wanted = config.tuning_items or len(pool)
    if first < config.development_items or not 1 <= wanted <= len(pool):
        raise UserError(
            f"{len(ordered)} records are fewer than test_items + development_items + tuning_items = "
            f"{config.test_items + config.development_items} + {max(config.test_items, wanted)}: lower them."
        )
    tuning = random.Random(f"tuning-{config.seed}").sample(pool, wanted)
    return Split(tuning, ordered[: config.development_items], ordered[first:last])


def translate_rows(rows: Sequence[Mapping[str, Any]], translate: Callable[[list[str]], list[str]]) -> list[Record]:
    """Translate instruction, input and output of English rows, each text once.

    Args:
        rows: English rows with `instruction`, optional `input`, `output` and `id`.
        translate: From English texts to texts in the target language, in order.

    Raises:
        UserError: The translator returns another number of texts.
    """
    names = ("instruction", "input", "output")
    texts = list(dict.fromkeys(str(row.get(name) or "") for row in rows for name in names))
    texts = [text for text in texts if text.strip()]
    translated = translate(texts)
    if len(translated) != len(texts):
        raise UserError(f"The translator returned {len(translated)} texts for {len(texts)}: it must keep their order.")
    lookup = {"": "", **dict(zip(texts, translated, strict=True))}
    return [
        {
            "id": str(row.get("id", number)),
            **{name: lookup[text] if (text := str(row.get(name) or "")).strip() else "" for name in names},
        }
        for number, row in enumerate(rows)
    ]


def check_language(rows: Sequence[Mapping[str, Any]], english: Sequence[Mapping[str, Any]], lang_name: str) -> None:
    """Spot-check that the outputs of a translated set are in the language that they should be in.

    Rows that are aligned by order can be of any language. The check is by script, so it cannot tell languages apart
    that share one; a language whose name is not known is only checked for being translated at all.

    Raises:
        UserError: Most outputs are the English ones, or most letters are not in the language's script.
    """
    import langcodes

    from core.text.scripts import in_script_share, scripts_of_language

    texts = [str(row.get("output") or "") for row in rows[:200]]
    originals = {str(row.get("output") or "") for row in english}
    same = sum(text in originals for text in texts if len(text) > method.UNTRANSLATED_LENGTH)
    if texts and same > len(texts) / 2:
        raise UserError(
            f"{same} of {len(texts)} outputs are the English ones: is this the translation into {lang_name}?"
        )
    try:
        code = str(langcodes.find(lang_name))
    except LookupError:
        return
    shares = [share for text in texts if (share := in_script_share(text, code)) == share]
    if shares and sum(shares) / len(shares) < 0.5:
        script = "/".join(sorted(scripts_of_language(code)))
        raise UserError(
            f"Only {sum(shares) / len(shares):.0%} of the letters are in the script of {lang_name} ({script}): "
            "check the file and --language."
        )


# --- Prompts and token rows -----------------------------------------------------------------------------------------


def render_prompt(template: Template, instruction: str, text: str = "", suffix: str = "") -> str:
    """The prompt around an instruction and its optional input.

    Args:
        template: `alpaca`, `guanaco` or `plain`.
        instruction: In the language of the user.
        text: The input; empty for none.
        suffix: Appended to the instruction (a length request).
    """
    instruction = f"{instruction} {suffix}" if suffix else instruction
    if template == "alpaca":
        clause = ", paired with an input that provides further context" if text else ""
        middle = f"### Input:\n{text}\n\n" if text else ""
        return _ALPACA.format(input_clause=clause, instruction=instruction, input=middle)
    asked = method.join_input(instruction, text)
    return f"### Human: {asked} ### Assistant:" if template == "guanaco" else f"Question: {asked}\nAnswer:"


def begin(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """The prompt after the begin token, where the model has one, as in the training rows."""
    return f"{tokenizer.bos_token or ''}{prompt}"


def number_tokenizer(largest: int) -> PreTrainedTokenizerFast:
    """One token a word of all languages in `QUESTIONS`, and one a label of the chain."""
    from tokenizers import AddedToken

    words = ["Question:", "Answer:"]
    for language in QUESTIONS:
        for row in number_rows(language, largest):
            words += f"{row['instruction']} {row['output']}".split()
    tokenizer = word_level(words)
    labels = dict.fromkeys(
        label for language in QUESTIONS if language != "English" for label in method.labels(language)
    )
    # Not "special" tokens: those are left out when generated text is decoded, and the labels are what is parsed.
    tokenizer.add_tokens([AddedToken(label, special=False, normalized=False) for label in labels])
    return tokenizer


def english_rows(
    tokenizer: PreTrainedTokenizerBase, records: Sequence[Record], config: Config, count: int, seed: str
) -> list[Row]:
    """English instruction rows, each a dialogue of `packed_questions` random questions; loss on the answers.

    The questions of a row see each other: in the chain the English skill is needed in the middle of a text.
    """
    rng = random.Random(seed)
    has_begin = tokenizer.bos_token_id is not None
    rows = []
    for _ in range(count):
        row: Row = {"input_ids": [], "labels": [], "weights": []}
        for number in range(config.packed_questions):
            record = rng.choice(records)
            prompt = render_prompt(config.template, record["instruction_en"])
            turn = completion_row(tokenizer, prompt, record["response_en"], bos=number == 0 and has_begin)
            row["input_ids"] += turn["input_ids"]
            row["labels"] += turn["labels"]
        row["weights"] = [1.0] * len(row["labels"])
        rows.append(row)
    return rows


def chain_row(tokenizer: PreTrainedTokenizerBase, record: Record, config: Config, chain: method.Chain) -> Row:
    """One training row: prompt in X, output by chain and layout, with the loss weight of every token."""
    prompt = render_prompt(config.template, record["instruction"], record["input"])
    segments = method.chain_segments(record, record["language"], chain, config.layout)
    row: Row = completion_row(tokenizer, prompt, "".join(segments), bos=tokenizer.bos_token_id is not None)
    by_part = dict(zip(method.PARTS["taco"], config.segment_weights, strict=True))
    weights = [by_part[part] for part in method.PARTS[chain]]
    before = len(row["input_ids"]) - sum(label != IGNORED for label in row["labels"])
    row["weights"] = [1.0] * before + method.segment_token_weights(tokenizer, segments, weights)
    if not config.mask_prompt:
        row["labels"] = list(row["input_ids"])
    return row


def fitting(rows: Iterable[Row], max_length: int) -> tuple[list[Row], float]:
    """The rows that fit, and the share that does not: a truncated chain would teach to stop before the last label."""
    rows = list(rows)
    kept = [row for row in rows if len(row["input_ids"]) <= max_length]
    return kept, 1 - len(kept) / len(rows)
