"""What BayLing 2 is fed: task instructions in the pivots, parallel text around them, questions to measure with.

* tiny: spelled-out numbers (`miniature.py`);
* paper: hub data sets in the place of the unreleased 3.2 million examples;
* your own: instructions as JSON lines, one parallel file for each language and pivot.

    mixture = build_star_mixture({"en": "en.jsonl", "zh": "zh.jsonl"}, [("sw", "en", "sw-en.tsv")], per_language=5000)
    mixture.to_json("mixture.jsonl")      # {"messages": [...], "block": "xling", "source": "sw", "target": "en", ...}
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import corpora
from core.errors import UserError
from core.experiment.config import name_values
from core.tasks import translation
from core.tasks.choices import LETTERS, lettered
from core.tasks.instructions import conversation
from core.tasks.transfer import Item, read_tasks
from papers.bayling2.config import WORDINGS, Config
from papers.bayling2.method import XLING, Bitext, Directions, Row, cross_lingual_block, mix_blocks

if TYPE_CHECKING:
    from datasets import Dataset

# Languages that OPUS-100 pairs with English.
_OPUS_100 = (
    "af am an ar as az be bg bn br bs ca cs cy da de dz el eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id ig "
    "is it ja ka kk km kn ko ku ky li lt lv mg mk ml mn mr ms mt my nb ne nl nn no oc or pa pl ps pt ro ru rw se sh si "
    "sk sl sq sr sv ta te tg th tk tr tt ug uk ur uz vi wa xh yi yo zh zu"
)
CHOICE_BENCHMARKS = ("belebele", "m_arc", "m_mmlu")
TRANSLATION_TESTS = ("flores200", "wmt22")


# --- sources ----------------------------------------------------------------------------------------------------------


def read_instructions(source: str | Path, language: str, hub_folder: str | Path | None = None) -> list[Row]:
    """Task instructions of one language, from a .jsonl or a hub data set (`owner/name@split`).

    Rows without an answer of the assistant are left out.

    Raises:
        UserError: The source cannot be read, or no row has an answer.
    """

    def adapt(row: Mapping[str, Any], number: int) -> Row | None:
        messages = conversation(row, language)
        if not messages or messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
            return None
        key = f"{source}/{row.get('id') or row.get('prompt_id') or number - 1}"
        return {"messages": messages, "block": language, "source": language, "target": language, "key": key}

    if Path(source).suffix in (".jsonl", ".ndjson"):
        rows: Iterable[Mapping[str, Any]] = corpora.read_jsonl(source)
    else:
        name, _, split = str(source).partition("@")
        rows = _hub_rows(name, None, split or "train", hub_folder)
    found = [row for row in corpora.adapted(source, rows, adapt) if row is not None]
    if not found:
        raise UserError(f"No conversation of {source} ends with an answer: check its columns.")
    return found


def _hub_rows(name: str, config: str | None, split: str, hub_folder: str | Path | None) -> Iterable[Mapping[str, Any]]:
    """Rows of a hub data set, or of its local copy."""
    if hub_folder is not None:
        return corpora.read_jsonl(Path(hub_folder) / name / f"{config or split.partition('[')[0]}.jsonl")
    return corpora.read_rows(f"{name}{f'#{config}' if config else ''}@{split}")


def read_parallel(spec: str, config: Config) -> list[Bitext]:
    """Bitexts of one entry of `--parallel`: `language:pivot=file`, `opus-100`, `flores200`, or a multi-way file.

    Raises:
        UserError: The entry is in none of these forms, or cannot be read.
    """
    if "=" in spec:
        return [bitext(*edge, path) for edge, path in edges((spec,))]
    if spec == "opus-100":
        return _opus(config) if "en" in (config.hubs or config.pivots) else []
    codes = [*config.pivots, *config.languages]
    if spec == "flores200":
        folder = {"folder": Path(config.hub_folder) / spec / "dev"} if config.hub_folder else {}
        table: Dataset = corpora.load(spec, languages=codes, split="dev", **folder)
    elif Path(spec).suffix:
        table = corpora.load(spec, languages=codes)
    else:
        raise UserError(f"--parallel {spec!r} is not known: write language:pivot=file, a file, flores200 or opus-100.")
    return [
        Bitext(code, hub, table.select_columns(["key", code, hub]).to_list())
        for code, hub in spokes(config, config.languages)
    ]


def spokes(config: Config, languages: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (language, hub) of the star; a pivot that is no hub is a language like others, two hubs are one pair."""
    hubs = config.hubs or config.pivots
    around = [*(code for code in config.pivots if code not in hubs), *languages]
    axes = [(second, first) for place, first in enumerate(hubs) for second in hubs[place + 1 :]]
    return [*axes, *((code, hub) for code in around for hub in hubs)]


def edges(entries: Sequence[str]) -> list[tuple[tuple[str, str], str]]:
    """`((language, pivot), file)` of entries `language:pivot=file`.

    Raises:
        UserError: An entry of another form.
    """
    found = name_values("--parallel", entries, "language:pivot=file", str, repeats=True)
    if bad := [edge for edge, _ in found if not all(edge.partition(":")[::2])]:
        raise UserError(
            f"--parallel: {bad[0]!r} is no pair of codes, write language:pivot=file, such as sw:en=file.tsv."
        )
    return [((edge.partition(":")[0], edge.partition(":")[2]), path) for edge, path in found]


def bitext(language: str, pivot: str, path: str | Path) -> Bitext:
    """One file of parallel text with both codes as columns.

    Raises:
        UserError: The file lacks a code, or is malformed.
    """
    return Bitext(language, pivot, corpora.read_parallel(path, [language, pivot]).to_list())


def _opus(config: Config) -> list[Bitext]:
    """OPUS-100, `{"translation": {"de": ..., "en": ...}}`, with English on one side of every pair."""
    found = []
    limit = f"[:{config.xling_per_language}]" if config.xling_per_language else ""
    for code in (*config.languages, *(pivot for pivot in config.pivots if pivot != "en")):
        if code in _OPUS_100.split():
            pair = "-".join(sorted((code, "en")))
            rows = _hub_rows("Helsinki-NLP/opus-100", pair, f"train{limit}", config.hub_folder)
            texts = [{side: row["translation"][side].strip() for side in (code, "en")} for row in rows]
            found.append(Bitext(code, "en", texts))
    return found


# --- the mixture ------------------------------------------------------------------------------------------------------


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
    blocks: dict[str, Sequence[Row]] = {
        code: read_instructions(given, code)
        if isinstance(given, str | Path)
        else [{"block": code, "source": code, "target": code, "key": str(n), **row} for n, row in enumerate(given)]
        for code, given in pivots.items()
    }
    shares = shares or {**dict.fromkeys(pivots, (1 - 0.306) / len(pivots)), XLING: 0.306}
    if shares.get(XLING):
        texts = [entry if isinstance(entry, Bitext) else bitext(*entry) for entry in parallel]
        blocks[XLING] = cross_lingual_block(
            texts, list(pivots), per_language=per_language, directions=directions, wordings=templates, seed=seed
        )
    return corpora.to_dataset(mix_blocks(blocks, shares, total=total, seed=seed))


def mixture(config: Config) -> list[Row]:
    """The training set of a configuration.

    Raises:
        UserError: Settings of the miniature with a pretrained model, or sources that cannot be read.
    """
    if config.model is None:
        from papers.bayling2 import miniature

        total = config.total or config.training.steps * config.training.batch_size
        known = miniature.KNOWN_SHARE / (1 - miniature.KNOWN_SHARE) if config.answer == "digits" else 0.0
        shares = {**config.shares, "knowledge": known * sum(config.shares.values())}
        return mix_blocks(miniature.blocks(config), shares, total=total, seed=config.seed)
    if config.xling != "translations" or config.answer == "words":
        raise UserError("xling and answer say how spelled-out numbers are used: leave them out with --model.")
    blocks: dict[str, list[Row]] = {"oracle": []}
    for code, source in name_values("--instructions", config.instructions, "pivot=file", str, repeats=True):
        if code in config.blocks:
            blocks.setdefault(code, []).extend(read_instructions(source, code, config.hub_folder))
        elif config.oracle and code in config.languages:
            rows = read_instructions(source, code, config.hub_folder)
            blocks["oracle"] += [{**row, "block": "oracle"} for row in rows]
    if XLING in config.blocks:
        texts = [text for spec in config.parallel for text in read_parallel(spec, config)]
        blocks[XLING] = cross_lingual_block(
            texts, config.hubs or config.pivots, per_language=config.xling_per_language or None,
            directions=config.xling_directions, seed=config.seed,
        )  # fmt: skip
    return mix_blocks(blocks, config.shares, total=config.total or None, seed=config.seed)


def manifest(rows: Sequence[Row]) -> dict[str, Any]:
    """What a mixture holds: examples and shares by block, by direction of translation, and by language.

    `languages` counts for each language the examples of every block that are in it, or translate from or into it;
    `distinct_per_language` counts the different translation examples of every spoke (`en-zh` is the axis).
    """
    counts = Counter(row["block"] for row in rows)
    translations = [row for row in rows if row["block"] == XLING]
    names = {(row["key"].split("/")[0], row["source"], row["target"], row["key"]) for row in translations}
    languages: dict[str, Counter[str]] = {}
    for row in rows:
        for code in {row["source"], row["target"]}:
            languages.setdefault(code, Counter())[row["block"]] += 1
    return {
        "examples": len(rows),
        "distinct": len({(row["block"], row["source"], row["target"], row["key"]) for row in rows}),
        "blocks": {name: {"examples": n, "share": n / len(rows)} for name, n in sorted(counts.items())},
        "directions": dict(sorted(Counter(f"{row['source']}-{row['target']}" for row in translations).items())),
        "distinct_per_language": dict(sorted(Counter(spoke for spoke, *_ in names).items())),
        "languages": {code: dict(found) for code, found in sorted(languages.items())},
    }


# --- questions --------------------------------------------------------------------------------------------------------


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


def translation_tests(config: Config) -> Iterable[tuple[str, str, list[translation.Segment]]]:
    """FLORES devtest between every language and every pivot, WMT22 between the pivots; both directions.

    Yields:
        Benchmark, group of directions that are averaged (`x_to_en`), and the segments of one direction.

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
                    yield "flores200", group, translation.segments(table, [(source, target)])
    if "wmt22" in config.benchmarks:
        for source, target in permutations(config.pivots, 2):
            found = translation.official_test("wmt22", source, target, config.items)
            yield "wmt22", f"wmt22-{source}-{target}", found
