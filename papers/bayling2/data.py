"""What BayLing 2 is fed: task instructions in the pivots, parallel text around them, questions to measure with.

* tiny: spelled-out numbers (`miniature.py`);
* paper: hub data sets in the place of the unreleased 3.2 million examples;
* your own: instructions in files, one parallel file for each language and pivot.

    rows = mixture(star(["en=en.jsonl", "zh=zh.jsonl"], ["sw:en=sw-en.tsv"], xling_per_language=5000))
    rows[0]                               # {"messages": [...], "block": "xling", "source": "sw", "target": "en", ...}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from core import corpora
from core.errors import UserError
from core.experiment.config import name_values
from core.tasks import translation
from core.tasks.samples import adapt
from core.tasks.transfer import Exposure, exposure_of
from core.tasks.translation import Segment
from papers.bayling2.config import OPUS_100, Config
from papers.bayling2.method import XLING, Bitext, Row, cross_lingual_block, mix_blocks

TRANSLATION_TESTS = ("flores200", "wmt22")


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
        about = {"block": language, "source": language, "target": language, "key": f"{source}/{number}"}
        return {"messages": messages, **about}

    found = [row for row in corpora.adapted(source, corpora.read_rows(source), example) if row is not None]
    if not found:
        raise UserError(f"No conversation of {source} ends with an answer: check its columns.")
    return found


def spokes(config: Config, languages: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (language, hub) of the star; a pivot that is no hub is a language like others, two hubs are one pair."""
    hubs = config.hubs or config.pivots
    around = [*(code for code in config.pivots if code not in hubs), *languages]
    axes = [(second, first) for place, first in enumerate(hubs) for second in hubs[place + 1 :]]
    return [*axes, *((code, hub) for code in around for hub in hubs)]


def _parallel(config: Config) -> list[Bitext]:
    """All that `config.parallel` names, along the edges of the star; OPUS-100 has English on one side of every pair."""
    found = []
    for spec in sorted(config.parallel, key=lambda spec: "=" not in spec):
        if "=" in spec:
            ((edge, path),) = name_values("--parallel", [spec], "language:pivot=file", str)
            code, _, pivot = edge.partition(":")
            if not (code and pivot):
                raise UserError(
                    f"--parallel: {edge!r} is no pair of codes, write language:pivot=file (sw:en=file.tsv)."
                )
            found.append(Bitext(code, pivot, corpora.read_parallel(path, [code, pivot]).to_list()))
        elif spec == "opus-100":
            known = OPUS_100 if "en" in (config.hubs or config.pivots) else ()
            part = f"train[:{config.xling_per_language}]" if config.xling_per_language else "train"
            for code in (code for code in (*config.languages, *config.pivots) if code in known):
                rows = corpora.read_rows(f"Helsinki-NLP/opus-100#{'-'.join(sorted((code, 'en')))}@{part}")
                pairs = [row["translation"] for row in rows]
                found.append(Bitext(code, "en", [pair for pair in pairs if all(map(str.strip, pair.values()))]))
        else:
            split = {"split": "dev"} if spec == "flores200" else {}
            table = corpora.load(spec, languages=[*config.pivots, *config.languages], **split)
            edges = spokes(config, config.languages)
            found += [Bitext(code, hub, table.select_columns([code, hub]).to_list()) for code, hub in edges]
    return found


def star(instructions: Sequence[str], parallel: Sequence[str], shares: Sequence[float] = (), **options: Any) -> Config:
    """The configuration of a mixture of one's own: the pivots are those that have instructions.

    Args:
        instructions: As pivot=file or pivot=hub data set; several sources of a pivot are joined.
        parallel: As language:pivot=file.
        shares: Weight of each pivot, then of the translation tasks; none = 30.6 % for these, the rest equally.
        options: `xling_per_language`, `total` and `seed` of :class:`Config`.
    """
    named = name_values("--instructions", list(instructions), "pivot=file", str, repeats=True)
    pivots = tuple(dict.fromkeys(code for code, _ in named))
    name_values("--parallel", list(parallel), "language:pivot=file", str, repeats=True)
    equal = (*((1 - 0.306) / len(pivots) for _ in pivots), 0.306)
    return Config(
        model="any", pivots=pivots, blocks=(*pivots, XLING), shares=tuple(shares) or equal,
        instructions=tuple(instructions), parallel=tuple(parallel), **options,
    )  # fmt: skip


def mixture(config: Config) -> list[Row]:
    """The training set of a configuration; UserError for settings of the miniature with a pretrained model."""
    if config.model is None:
        from papers.bayling2 import miniature

        total = config.total or config.training.steps * config.training.batch_size
        known = miniature.KNOWN_SHARE / (1 - miniature.KNOWN_SHARE) if config.known else 0.0
        weights = {**config.weights, "knowledge": known * sum(config.weights.values())}
        return mix_blocks(miniature.blocks(config), weights, total=total, seed=config.seed)
    if config.xling != "translations" or config.answer == "words" or config.oracle:
        raise UserError("xling, answer and oracle are of spelled-out numbers: leave them out with --model.")
    blocks: dict[str, list[Row]] = {}
    for code, source in name_values("--instructions", config.instructions, "pivot=file", str, repeats=True):
        if code not in config.pivots:
            raise UserError(f"--instructions: {code!r} is no pivot: add it to --pivots.")
        if code in config.blocks:
            blocks.setdefault(code, []).extend(read_instructions(source, code))
    if XLING in config.blocks:
        hubs, most = config.hubs or config.pivots, config.xling_per_language
        blocks[XLING] = cross_lingual_block(_parallel(config), hubs, per_language=most, seed=config.seed)
    return mix_blocks(blocks, config.weights, total=config.total, seed=config.seed)


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
