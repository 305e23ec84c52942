"""What BayLing 2 is fed: task instructions in the pivots, parallel text around them, questions to measure with.

* tiny: spelled-out numbers (`miniature.py`);
* paper: hub data sets in the place of the unreleased 3.2 million examples;
* your own: instructions in files, one parallel file for each language and pivot.

    mixture = build_star_mixture({"en": "en.jsonl", "zh": "zh.jsonl"}, [("sw", "en", "sw-en.tsv")], per_language=5000)
    mixture.to_json("mixture.jsonl")      # {"messages": [...], "block": "xling", "source": "sw", "target": "en", ...}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import corpora
from core.errors import UserError
from core.experiment.config import name_values
from core.tasks import translation
from core.tasks.samples import adapt
from core.tasks.transfer import Exposure, exposure_of
from core.tasks.translation import Segment
from papers.bayling2.config import WORDINGS, Config
from papers.bayling2.method import XLING, Bitext, Row, cross_lingual_block, mix_blocks

if TYPE_CHECKING:
    from datasets import Dataset

# Languages that OPUS-100 pairs with English.
_OPUS_100 = (
    "af am an ar as az be bg bn br bs ca cs cy da de dz el eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id ig "
    "is it ja ka kk km kn ko ku ky li lt lv mg mk ml mn mr ms mt my nb ne nl nn no oc or pa pl ps pt ro ru rw se sh si "
    "sk sl sq sr sv ta te tg th tk tr tt ug uk ur uz vi wa xh yi yo zh zu"
)
TRANSLATION_TESTS = ("flores200", "wmt22")


# --- sources ----------------------------------------------------------------------------------------------------------


def read_instructions(source: str | Path, language: str) -> list[Row]:
    """Task instructions of one language, from a file or hub data set (`owner/name@split`), in any usual columns.

    Rows without an answer of the assistant are left out.

    Raises:
        UserError: The source cannot be read, or no row has an answer.
    """

    def example(row: Mapping[str, Any], number: int) -> Row | None:
        messages = adapt(row, language)["messages"]
        if not messages or messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
            return None
        return {**_known(language, f"{source}/{number}"), "messages": messages}

    found = [row for row in corpora.adapted(source, corpora.read_rows(source), example) if row is not None]
    if not found:
        raise UserError(f"No conversation of {source} ends with an answer: check its columns.")
    return found


def _known(language: str, key: str) -> Row:
    return {"block": language, "source": language, "target": language, "key": key}


def read_bitexts(entries: Iterable[str]) -> list[Bitext]:
    """Bitexts of entries `language:pivot=file`."""
    found = name_values("--parallel", list(entries), "language:pivot=file", str, repeats=True)
    if bad := [edge for edge, _ in found if not all(edge.partition(":")[::2])]:
        raise UserError(f"--parallel: {bad[0]!r} is no pair of codes, write language:pivot=file (sw:en=file.tsv).")
    return [read_bitext(*edge.partition(":")[::2], path) for edge, path in found]


def read_bitext(language: str, pivot: str, path: str | Path) -> Bitext:
    """One file of parallel text, `.tsv` or `.jsonl`, with both codes as columns."""
    return Bitext(language, pivot, corpora.read_parallel(path, [language, pivot]).to_list())


def spokes(config: Config, languages: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (language, hub) of the star; a pivot that is no hub is a language like others, two hubs are one pair."""
    hubs = config.hubs or config.pivots
    around = [*(code for code in config.pivots if code not in hubs), *languages]
    axes = [(second, first) for place, first in enumerate(hubs) for second in hubs[place + 1 :]]
    return [*axes, *((code, hub) for code in around for hub in hubs)]


def _parallel(config: Config) -> list[Bitext]:
    """All that `config.parallel` names, along the edges of the star; OPUS-100 has English on one side of every pair."""
    found = read_bitexts(spec for spec in config.parallel if "=" in spec)
    for spec in (spec for spec in config.parallel if "=" not in spec):
        if spec == "opus-100":
            known = _OPUS_100.split() if "en" in (config.hubs or config.pivots) else []
            part = f"train[:{config.xling_per_language}]" if config.xling_per_language else "train"
            for code in (code for code in (*config.languages, *config.pivots) if code in known):
                rows = corpora.read_rows(f"Helsinki-NLP/opus-100#{'-'.join(sorted((code, 'en')))}@{part}")
                pairs = [row["translation"] for row in rows]
                found.append(Bitext(code, "en", [pair for pair in pairs if all(map(str.strip, pair.values()))]))
        else:
            split = {"split": "dev"} if spec == "flores200" else {}
            table = corpora.load(spec, languages=[*config.pivots, *config.languages], **split)
            for code, hub in spokes(config, config.languages):
                found.append(Bitext(code, hub, table.select_columns([code, hub]).to_list()))
    return found


# --- the mixture ------------------------------------------------------------------------------------------------------


def build_star_mixture(
    pivots: Mapping[str, str | Path | Sequence[Row]], parallel: Sequence[Bitext | tuple[str, str, str | Path]],
    shares: Mapping[str, float] | None = None, templates: Mapping[str, Sequence[str]] = WORDINGS, seed: int = 0, *,
    per_language: int | None = None, total: int | None = None,
) -> Dataset:  # fmt: skip
    """One shuffled instruction set: task instructions in the pivots, translation tasks around them.

    Args:
        pivots: Instructions by pivot: a file or hub data set, or rows with `messages`.
        parallel: Bitexts, or (language, pivot, file).
        shares: Weight of each pivot and of `xling`; None = 30.6 % translation tasks, the rest to the pivots equally.
        templates: Request wordings by request language, with `{text}`, `{target}` and optionally `{source}`.
        seed: Of all draws.
        per_language: As in :func:`papers.bayling2.method.cross_lingual_block`.
        total: Size; None = as large as possible without repetition.

    Returns:
        Columns messages, block, source, target, key.

    Raises:
        UserError: Shares that leave out something given, or sources that cannot be read.
    """
    blocks: dict[str, Sequence[Row]] = {
        code: read_instructions(given, code)
        if isinstance(given, str | Path)
        else [{**_known(code, str(number)), **row} for number, row in enumerate(given)]
        for code, given in pivots.items()
    }
    shares = shares or {**dict.fromkeys(pivots, (1 - 0.306) / len(pivots)), XLING: 0.306}
    if missing := [name for name in (*pivots, XLING) if name not in shares]:
        raise UserError(f"The shares do not name {missing[0]!r}: give it a weight, 0 to leave it out.")
    if shares.get(XLING):
        texts = [entry if isinstance(entry, Bitext) else read_bitext(*entry) for entry in parallel]
        blocks[XLING] = cross_lingual_block(
            texts, list(pivots), per_language=per_language, wordings=templates, seed=seed
        )
    return corpora.to_dataset(mix_blocks(blocks, shares, total=total, seed=seed))


def mixture(config: Config) -> list[Row]:
    """The training set of a configuration; UserError for settings of the miniature with a pretrained model."""
    if config.model is None:
        from papers.bayling2 import miniature

        total = config.total or config.training.steps * config.training.batch_size
        known = miniature.KNOWN_SHARE / (1 - miniature.KNOWN_SHARE) if config.known else 0.0
        weights = {**config.weights, "knowledge": known * sum(config.weights.values())}
        return mix_blocks(miniature.blocks(config), weights, total=total, seed=config.seed)
    if config.xling != "translations" or config.answer == "words":
        raise UserError("xling and answer say how spelled-out numbers are used: leave them out with --model.")
    blocks: dict[str, list[Row]] = {}
    for code, source in name_values("--instructions", config.instructions, "pivot=file", str, repeats=True):
        if code not in (*config.pivots, *config.languages):
            raise UserError(f"--instructions: {code!r} is neither a pivot nor a language: add it to --pivots.")
        block = "oracle" if config.oracle and code in config.languages else code
        if block in config.weights:
            rows = read_instructions(source, code)
            blocks.setdefault(block, []).extend({**row, "block": block} for row in rows)
    if XLING in config.blocks:
        blocks[XLING] = cross_lingual_block(
            _parallel(config), config.hubs or config.pivots, per_language=config.xling_per_language or None,
            seed=config.seed,
        )  # fmt: skip
    return mix_blocks(blocks, config.weights, total=config.total or None, seed=config.seed)


def manifest(rows: Sequence[Row]) -> dict[str, Any]:
    """What a mixture holds: examples and shares by block, by direction of translation, and by language.

    `languages` counts for each language the examples of every block that are in it, or translate from or into it;
    `distinct_per_language` counts the different translation examples of every spoke (`en-zh` is the axis).
    """
    blocks = Counter(row["block"] for row in rows)
    translations = [row for row in rows if row["block"] == XLING]
    spoke_of = {row["key"]: row["key"].split("/")[0] for row in translations}
    languages: dict[str, Counter[str]] = {}
    for row in rows:
        for code in {row["source"], row["target"]}:
            languages.setdefault(code, Counter())[row["block"]] += 1
    return {
        "examples": len(rows),
        "blocks": {name: {"examples": n, "share": n / len(rows)} for name, n in sorted(blocks.items())},
        "directions": dict(sorted(Counter(f"{row['source']}-{row['target']}" for row in translations).items())),
        "distinct_per_language": dict(sorted(Counter(spoke_of.values()).items())),
        "languages": {code: dict(found) for code, found in sorted(languages.items())},
    }


def exposures(facts: Mapping[str, Any], tasks: Mapping[str, Iterable[str]]) -> dict[str, Exposure]:
    """What the mixture of a manifest shows of every language that is asked in, by `{task: languages}`."""
    instructing, seen = {*facts.get("blocks", ())} - {XLING, "knowledge"}, facts.get("languages", {})
    return {code: exposure_of(code, seen, instructing) for languages in tasks.values() for code in languages}


# --- questions --------------------------------------------------------------------------------------------------------


def translation_tests(config: Config) -> dict[str, list[Segment]]:
    """FLORES devtest between every language and every pivot, WMT22 between the pivots; both directions."""
    tests: dict[str, list[Segment]] = {}
    if "flores200" in config.benchmarks:
        table = corpora.load("flores200", languages=[*config.pivots, *config.languages], split="devtest")
        rows = table.select(range(min(len(table), config.items))).to_list()
        tests["flores200"] = translation.segments(rows, translation.star(config.languages, config.pivots))
    if "wmt22" in config.benchmarks:
        pairs = permutations(config.pivots, 2)
        tests["wmt22"] = [s for pair in pairs for s in translation.official_test("wmt22", *pair, config.items)]
    return tests
