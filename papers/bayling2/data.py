"""What BayLing 2 is fed: task instructions in the pivots, parallel text around them, benchmarks to measure with.

* tiny: spelled-out numbers (`numerals.py`);
* paper: hub data sets in the place of the unreleased 3.2 million examples;
* your own: instructions as JSON lines, one parallel file for each language and pivot.

    mixture = build_star_mixture({"en": "en.jsonl", "zh": "zh.jsonl"}, [("sw", "en", "sw-en.tsv")], per_language=5000)
    mixture.to_json("mixture.jsonl")      # {"messages": [...], "block": "xling", "source": "sw", "target": "en", ...}

Adapters are pure functions from a row of a data set, in its own columns, to messages or a pair of texts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import corpora
from core.errors import UserError
from core.experiment.config import name_values
from core.models.tokenization import chat_row, completion_row
from core.tasks.choices import LETTERS, lettered
from core.tasks.translation import Segment, segments
from papers.bayling2.config import Config
from papers.bayling2.method import (
    CHAT_TEMPLATES,
    WORDINGS,
    XLING,
    Bitext,
    Directions,
    Row,
    Template,
    format_prompt,
    star_mixture,
)
from papers.bayling2.transfer import Item

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

# Languages that OPUS-100 pairs with English.
_OPUS_100 = (
    "af am an ar as az be bg bn br bs ca cs cy da de dz el eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id ig "
    "is it ja ka kk km kn ko ku ky li lt lv mg mk ml mn mr ms mt my nb ne nl nn no oc or pa pl ps pt ro ru rw se sh si "
    "sk sl sq sr sv ta te tg th tk tr tt ug uk ur uz vi wa xh yi yo zh zu"
)
CHOICE_BENCHMARKS = ("belebele", "m_arc", "m_mmlu")
TRANSLATION_TESTS = ("flores200", "wmt22")
_ROLES = {"human": "user", "gpt": "assistant", "system": "system", "user": "user", "assistant": "assistant"}

# --- instructions -------------------------------------------------------------------------------------------------


def adapt_instruction(row: Mapping[str, Any], language: str = "en") -> list[dict[str, str]]:
    """A row of an instruction set as messages.

    Understands `messages` (ultrachat_200k), `conversations` with `from` and `value` (SlimOrca), and `instruction`,
    `input`, `output` (BELLE, Alpaca), with a language's own columns preferred (`instruction_zh`).

    Raises:
        UserError: Other columns.
    """
    if row.get("messages"):
        return [{"role": turn["role"], "content": turn["content"]} for turn in row["messages"]]
    if row.get("conversations"):
        return [{"role": _ROLES[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
    suffix = f"_{language}" if row.get(f"instruction_{language}") else ""
    instruction, response = row.get(f"instruction{suffix}"), row.get(f"output{suffix}")
    if not instruction or not response:
        raise UserError(
            f"An instruction row has the columns {', '.join(row)}: give `messages`, `conversations`, or `instruction` "
            "and `output`."
        )
    given = (row.get(f"input{suffix}") or "").strip()
    request = f"{instruction.strip()}\n{given}" if given else instruction.strip()
    return [{"role": "user", "content": request}, {"role": "assistant", "content": response.strip()}]


def read_instructions(source: str | Path, language: str, hub_folder: str | Path | None = None) -> list[Row]:
    """Task instructions of one language, from a .jsonl or a hub data set (`owner/name@split`).

    Rows without an answer of the assistant are left out.

    Raises:
        UserError: The source cannot be read, or no row has an answer.
    """

    def adapt(row: Mapping[str, Any], number: int) -> Row | None:
        messages = adapt_instruction(row, language)
        if not messages or messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
            return None
        key = f"{source}/{row.get('id') or row.get('prompt_id') or number - 1}"
        return {"messages": messages, "block": language, "source": language, "target": language, "key": key}

    rows = [row for row in corpora.adapted(source, _rows(str(source), hub_folder), adapt) if row is not None]
    if not rows:
        raise UserError(f"No conversation of {source} ends with an answer: check its columns.")
    return rows


def _rows(source: str, hub_folder: str | Path | None) -> Iterable[Mapping[str, Any]]:
    if Path(source).suffix in (".jsonl", ".ndjson"):
        return corpora.read_jsonl(source)
    name, _, split = source.partition("@")
    return hub_rows(name, None, split or "train", hub_folder)


def hub_rows(name: str, config: str | None, split: str, hub_folder: str | Path | None) -> Iterable[Mapping[str, Any]]:
    """Rows of a hub data set, or of its local copy.

    Raises:
        UserError: It cannot be loaded.
    """
    if hub_folder is not None:
        return corpora.read_jsonl(Path(hub_folder) / name / f"{config or split.partition('[')[0]}.jsonl")
    return corpora.read_rows(f"{name}{f'#{config}' if config else ''}@{split}")


# --- parallel text ------------------------------------------------------------------------------------------------


def adapt_translation(row: Mapping[str, Any], language: str, pivot: str) -> dict[str, str]:
    """A row of OPUS-100, `{"translation": {"de": ..., "en": ...}}`, as `{code: text}`."""
    return {language: row["translation"][language].strip(), pivot: row["translation"][pivot].strip()}


def read_parallel(spec: str, config: Config) -> list[Bitext]:
    """Bitexts of one entry of `--parallel`.

    Args:
        spec: `language:pivot=file`, `opus-100`, `flores200`, or a multi-way file.
        config: Pivots, languages, budget.

    Raises:
        UserError: The entry is in none of these forms, or cannot be read.
    """
    edge, equals, path = spec.partition("=")
    if equals:
        language, _, pivot = edge.partition(":")
        return [bitext(language, pivot, path)]
    if spec == "opus-100":
        return _opus(config)
    codes = [*config.pivots, *config.languages]
    if spec == "flores200":
        folder = {"folder": Path(config.hub_folder) / spec / "dev"} if config.hub_folder else {}
        table: Dataset = corpora.load(spec, languages=codes, split="dev", **folder)
    elif Path(spec).suffix:
        table = corpora.load(spec, languages=codes)
    else:
        raise UserError(f"--parallel {spec!r} is not known: write language:pivot=file, a file, flores200 or opus-100.")
    pairs = [(code, pivot) for pivot in config.pivots for code in config.languages]
    pairs += [(second, first) for i, first in enumerate(config.pivots) for second in config.pivots[i + 1 :]]
    return [Bitext(code, pivot, table.select_columns(["key", code, pivot]).to_list()) for code, pivot in pairs]


def bitext(language: str, pivot: str, path: str | Path) -> Bitext:
    """One file of parallel text with both codes as columns.

    Raises:
        UserError: A code is missing, or the file is malformed.
    """
    if not language or not pivot:
        raise UserError(f"Parallel text {path} needs two codes: write language:pivot=file, such as sw:en={path}.")
    return Bitext(language, pivot, corpora.read_parallel(path, [language, pivot]).to_list())


def _opus(config: Config) -> list[Bitext]:
    """OPUS-100 has English on one side of every pair; the other pivot comes from multi-way sets."""
    if "en" not in config.pivots:
        return []
    found = []
    limit = f"[:{config.xling_per_language}]" if config.xling_per_language else ""
    for code in (*config.languages, *(pivot for pivot in config.pivots if pivot != "en")):
        if code in _OPUS_100.split():
            pair = "-".join(sorted((code, "en")))
            rows = hub_rows("Helsinki-NLP/opus-100", pair, f"train{limit}", config.hub_folder)
            found.append(Bitext(code, "en", [adapt_translation(row, code, "en") for row in rows]))
    return found


# --- the mixture --------------------------------------------------------------------------------------------------


def build_star_mixture(
    pivots: Mapping[str, str | Path | Sequence[Row]],
    parallel: Sequence[Bitext | tuple[str, str, str | Path]],
    shares: Mapping[str, float] | None = None,
    templates: Mapping[str, Sequence[str]] = WORDINGS,
    seed: int = 0,
    *,
    per_language: int | None = None,
    directions: Directions = "both",
    total: int | None = None,
) -> Dataset:
    """One shuffled instruction set: task instructions in the pivots, translation tasks around them.

    Args:
        pivots: Instructions by pivot: a file or hub data set, or rows with `messages`.
        parallel: Bitexts, or (language, pivot, file).
        shares: Weight of each pivot and of `xling`; None = 30.6 % translation tasks, the rest to the pivots equally.
        templates: Request wordings by request language, with `{text}`, `{target}` and optionally `{source}`.
        seed: Of all draws.
        per_language: Budget of translation examples per language.
        directions: Of the translation tasks.
        total: Size; None = as large as possible without repetition.

    Returns:
        Columns messages, block, source, target, key.
    """
    instructions = {
        code: read_instructions(given, code)
        if isinstance(given, str | Path)
        else [{"block": code, "source": code, "target": code, "key": str(n), **row} for n, row in enumerate(given)]
        for code, given in pivots.items()
    }
    texts = [entry if isinstance(entry, Bitext) else bitext(*entry) for entry in parallel]
    shares = shares or {**dict.fromkeys(pivots, (1 - 0.306) / len(pivots)), XLING: 0.306}
    rows = star_mixture(
        instructions, texts, shares,
        per_language=per_language, directions=directions, wordings=templates, total=total, seed=seed,
    )  # fmt: skip
    return corpora.to_dataset(rows)


def mixture(config: Config) -> list[Row]:
    """The training set of a configuration.

    Raises:
        UserError: Settings of the miniature with a pretrained model, or sources that cannot be read.
    """
    options: dict[str, Any] = {
        "per_language": config.xling_per_language or None,
        "directions": config.xling_directions,
        "seed": config.seed,
    }
    if config.model is None:
        import papers.bayling2.numerals as numerals

        numbers = numerals.split_numbers(config.items)["train"]
        pivots = {code: numerals.task_rows(config, code, numbers, code) for code in config.pivots}
        return star_mixture(
            pivots, numerals.bitexts(config, numbers), config.shares,
            extra=numerals.extra_blocks(config, numbers), wordings=numerals.WORDINGS, name=numerals.tag,
            total=config.total or config.training.steps * config.training.batch_size, **options,
        )  # fmt: skip
    if config.monolingual or config.answer == "words" or config.source_tag or config.knowledge_share:
        raise UserError(
            "monolingual, answer=words, source_tag and knowledge_share are about spelled-out numbers: use them without "
            "--model."
        )
    wanted = [code for code in config.pivots if code in config.blocks]
    read = _all_instructions(config, [*wanted, *(config.languages if config.oracle else ())])
    texts = (
        [text for spec in config.parallel for text in read_parallel(spec, config)] if "xling" in config.blocks else []
    )
    oracle = [{**row, "block": "oracle"} for code in config.languages for row in read.get(code, [])]
    pivots = {code: read.get(code, []) for code in config.pivots}
    return star_mixture(pivots, texts, config.shares, extra={"oracle": oracle}, total=config.total or None, **options)


def _all_instructions(config: Config, codes: Sequence[str]) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for code, source in name_values("--instructions", config.instructions, "pivot=file", str, repeats=True):
        if code in codes:
            rows.setdefault(code, []).extend(read_instructions(source, code, config.hub_folder))
    return rows


# --- rows to train on ---------------------------------------------------------------------------------------------


def training_rows(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], template: Template, workers: int = 1) -> Any:
    """Token rows with the loss on the responses alone (their end token included).

    Repeated examples of the miniature are encoded once.
    """
    if template != "plain":
        tokenizer.chat_template = CHAT_TEMPLATES[template]
        table = corpora.to_dataset([{"messages": row["messages"]} for row in rows])
        return table.map(
            lambda row: chat_row(tokenizer, row["messages"]),
            remove_columns=["messages"], num_proc=workers if workers > 1 else None,
        )  # fmt: skip
    cache: dict[tuple[str, str], dict[str, list[int]]] = {}
    found = []
    for row in rows:
        prompt, response = (message["content"] for message in row["messages"])
        if (prompt, response) not in cache:
            asked = f"{tokenizer.bos_token or ''}{format_prompt(row['messages'][:1], template)}"
            cache[prompt, response] = completion_row(tokenizer, asked, response)
        found.append(cache[prompt, response])
    return found


# --- benchmarks ---------------------------------------------------------------------------------------------------


def choice_item(row: Mapping[str, Any]) -> Item:
    """A row of Belebele, m-ARC or m-MMLU (as `core.corpora` gives it) as a question for the letter of the answer."""
    letters = LETTERS[: len(row["choices"])]
    passage = f"{row['passage']}\n\n" if row["passage"] else ""
    prompt = f"{passage}{row['question']}\n{lettered(row['choices'])}\nAnswer with the letter of the right option."
    return Item(row["key"], prompt, letters[row["answer"]], tuple(letters))


def benchmark_tasks(config: Config) -> dict[str, dict[str, list[Item]]]:
    """Questions of the benchmarks by task and language; languages that a benchmark lacks are left out with a warning.

    Raises:
        UserError: Not even a pivot's questions can be loaded, or a file lacks a column.
    """
    tasks: dict[str, dict[str, list[Item]]] = {}
    for name in config.benchmarks:
        if name in CHOICE_BENCHMARKS:
            tasks[name] = {}
            for code in (*config.pivots, *(config.benchmark_languages or config.languages)):
                folder = {"folder": Path(config.hub_folder) / name} if config.hub_folder else {}
                try:
                    rows = corpora.load(name, languages=[code], **folder)
                except UserError as error:
                    if code in config.pivots:
                        raise
                    warnings.warn(f"{name} is left out in {code}: {error}", stacklevel=2)
                    continue
                tasks[name][code] = [choice_item(row) for row in rows.select(range(min(len(rows), config.items)))]
        elif Path(name).suffix:
            for task, by_code in read_tasks(name).items():
                tasks[task] = {code: items[: config.items] for code, items in by_code.items()}
        elif name not in TRANSLATION_TESTS:
            known = (*TRANSLATION_TESTS, *CHOICE_BENCHMARKS)
            raise UserError(f"There is no benchmark {name!r}: choose among {', '.join(known)}, or a .jsonl.")
    return tasks


@dataclass(frozen=True)
class TranslationTest:
    """A translation benchmark in one direction.

    Attributes:
        benchmark: Such as `flores200`.
        group: Directions that are averaged, such as `x_to_en`.
        segments: Of one direction.
    """

    benchmark: str
    group: str
    segments: Sequence[Segment]

    @property
    def name(self) -> str:
        """`flores200-sw-en`."""
        return f"{self.benchmark}-{self.segments[0].direction}"


def translation_tests(config: Config) -> Iterable[TranslationTest]:
    """FLORES devtest between every language and every pivot, WMT22 between the pivots; both directions.

    Raises:
        UserError: A test cannot be loaded.
    """
    codes = config.benchmark_languages or config.languages
    if "flores200" in config.benchmarks:
        folder = {"folder": Path(config.hub_folder) / "flores200" / "devtest"} if config.hub_folder else {}
        table = corpora.load("flores200", languages=[*config.pivots, *codes], split="devtest", **folder)
        table = table.select(range(min(len(table), config.items)))
        for pivot in config.pivots:
            for code in codes:
                for source, target, group in ((code, pivot, f"x_to_{pivot}"), (pivot, code, f"{pivot}_to_x")):
                    yield TranslationTest("flores200", group, segments(table, [(source, target)]))
    if "wmt22" in config.benchmarks:
        for source, target in permutations(config.pivots, 2):
            pairs = zip(*wmt22(config, source, target), strict=True)
            rows = [{source: text, target: reference} for text, reference in pairs]
            yield TranslationTest("wmt22", f"wmt22-{source}-{target}", segments(rows, [(source, target)]))


def wmt22(config: Config, source: str, target: str) -> tuple[list[str], list[str]]:
    """Segments and first references of the WMT22 general test, which sacrebleu fetches (zh-en 1875, en-zh 2037).

    Raises:
        UserError: WMT22 lacks the direction, or it cannot be fetched.
    """
    import sacrebleu

    pair = f"{source}-{target}"
    try:
        files = sacrebleu.get_source_file("wmt22", pair), sacrebleu.get_reference_files("wmt22", pair)[0]
    except Exception as error:
        raise UserError(
            f"WMT22 {pair} cannot be fetched ({type(error).__name__}): connect to the network, or run "
            f"`sacrebleu -t wmt22 -l {pair} --echo src` elsewhere and copy ~/.sacrebleu."
        ) from error
    segments, references = (corpora.read_lines(file)[: config.items] for file in files)
    return segments, references


def read_tasks(path: str | Path) -> dict[str, dict[str, list[Item]]]:
    """Own tasks: JSON lines with task, language, prompt, answer, and optionally choices, key and answer_language."""
    needed = ("task", "language", "prompt", "answer")
    tasks: dict[str, dict[str, list[Item]]] = {}

    def adapt(row: Mapping[str, Any], number: int) -> None:
        choices = row.get("choices") or []
        if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
            raise UserError("'choices' is no list of texts.")
        item = Item(
            str(row.get("key") or number - 1), row["prompt"], row["answer"], tuple(choices),
            str(row.get("answer_language") or ""),
        )  # fmt: skip
        tasks.setdefault(row["task"], {}).setdefault(row["language"], []).append(item)

    list(corpora.adapted(path, corpora.read_jsonl(path, required=dict.fromkeys(needed, str)), adapt))
    return tasks
