"""What Marco-LLM reads and is measured on, at each scale.

* tiny: interface messages and number words (`miniature.py`);
* paper: public data in place of the paper's own corpus (`paper.jsonl`);
* your own: a manifest of files and hub datasets (`core.corpora.manifest`). Several sources of one language and category
  count as one.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice, permutations
from pathlib import Path

from core import corpora
from core.corpora import manifest
from core.corpora.budget import Plan
from core.errors import UserError
from core.training.documents import Body, of_manifest
from papers.marco_llm import miniature
from papers.marco_llm.bitext import prepared, rendered
from papers.marco_llm.config import PRESETS, Config, parse_shares
from papers.marco_llm.method import StagedMixture

# What the filter rejected by source and rule; it fills while text is read.
Rejected = dict[str, dict[str, int]]
# Parallel text is paired with English, so the other directions are never seen in training.
ENGLISH = frozenset({"en", "eng_Latn"})
# Duplicates are found, and words aligned, within so many pairs as are read at once.
PAIRS_AT_ONCE = 10_000
# Of the languages with little text the sizes of these two are known to us, and the total; the others are equal parts of
# what is left (Table 1).
KNOWN = ("ms", "el")


def entries(sources: str) -> list[manifest.Entry]:
    """Of a manifest, or for `paper` public data for every category of the paper.

    The sizes of these are of the paper's own corpus (Table 1): they decide nothing, as languages get equal shares.
    """
    return manifest.read(Path(__file__).with_name("paper.jsonl") if sources == "paper" else sources)


def paper_sizes() -> tuple[dict[str, dict[str, float]], list[str]]:
    """The paper's sources by category with the tokens that there were, and those of a guessed size.

    Parallel text and knowledge are a source each, whose languages are not known one by one.
    """
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for entry in entries("paper"):
        name = entry.category if entry.category in ("parallel", "knowledge") else entry.name
        found[entry.category][name] += entry.tokens or 0
    return found, [code for code in found["low"] if code not in KNOWN]


def paper_plan() -> Plan:
    """300 billion tokens in two stages: the shares, budgets and rates of the preset `paper`."""
    sizes, guessed = paper_sizes()
    return mixture_of(PRESETS["paper"], sizes).plan(guessed)


def mixture_of(config: Config, categories: Mapping[str, Mapping[str, float]]) -> StagedMixture:
    """The stages that a configuration asks for, with its ablations, over the sources that there are."""
    stages = [parse_shares(config.stage1), parse_shares(config.stage2)]
    for number, shares in enumerate(stages if config.leave_out != "nothing" else ()):
        kept = {name: s for name, s in shares.items() if (name in config.replay) == (config.leave_out == "new")}
        whole = math.fsum(kept.values())
        if not whole:
            raise UserError(f"With leave_out = {config.leave_out!r} no category is left: give the others a share.")
        stages[number] = {name: share / whole for name, share in kept.items()}
    return StagedMixture(categories, stages, config.tokens, (config.lr_stage1, config.lr_stage2))


def material(config: Config) -> tuple[list[Body], Rejected]:
    """A body for each language of a category, own ones not yet read, and what the filter rejects of parallel text."""
    if config.sources is None:
        return miniature.material(config)
    rejected = Rejected()
    return of_manifest(entries(config.sources), partial(_written, config, rejected)), rejected


def _written(config: Config, rejected: Rejected, entry: manifest.Entry) -> Iterator[str]:
    source, target = entry.languages
    pairs, counts = manifest.pairs(entry.path, source, target), Counter[str]()
    rejected[entry.name] = counts
    while some := list(islice(pairs, PAIRS_AT_ONCE)):
        kept, reasons = prepared(some, (source, target), config)
        counts.update(reasons)
        yield from rendered(kept, (source, target), config)


def rejections(rejected: Rejected) -> str:
    """What the filter took out, a line a source that lost something."""
    told = {name: ", ".join(f"{rule} {n}" for rule, n in rules.items() if n) for name, rules in rejected.items()}
    return "".join(f"the filter took out of {name}: {rules}\n" for name, rules in told.items() if rules)


def held_out_text(config: Config) -> dict[str, list[str]]:
    """Held-out text by language, aligned."""
    if config.test_corpus:
        wanted = {"languages": list(config.test_languages)} if config.test_languages else {}
        table = corpora.load(config.test_corpus, **wanted)
        return {code: list(table[code]) for code in corpora.codes(table.column_names)}
    if config.sources:
        raise UserError("Own sources need held-out text: give --test-corpus, a .tsv with a column per language.")
    return miniature.text(config, config.split)


def old_languages(config: Config, codes: Iterable[str]) -> list[str]:
    """Those that must not be lost, of the languages that are measured."""
    codes = list(codes)
    if unknown := [code for code in config.old_languages if code not in codes]:
        raise UserError(
            f"old_languages names {unknown[0]!r}, which the test text lacks: choose among {' '.join(codes)}."
        )
    old = config.old_languages if config.test_corpus else ("en", *miniature.OLD)
    return [code for code in codes if code in old]


def translation_rows(config: Config) -> list[dict[str, str]]:
    """Sentences to translate, those of the prompt's examples first."""
    if not config.test_corpus:
        return miniature.translation_rows(config)
    texts = held_out_text(config)
    rows = islice(zip(*texts.values(), strict=True), config.translation_items + config.shots)
    return [dict(zip(texts, row, strict=True)) for row in rows]


def directions(config: Config) -> list[tuple[str, str]]:
    """Directions in which translation is measured."""
    named = list(permutations(config.translation_languages, 2))
    return named if named or config.test_corpus else miniature.directions(config)


def group(config: Config, source: str, target: str) -> str:
    """End of the metrics' names for a direction."""
    if not config.test_corpus and {source, target} <= {"en", *miniature.TRANSLATED}:
        return "_old"
    return "" if {source, target} & ENGLISH else "_any"
