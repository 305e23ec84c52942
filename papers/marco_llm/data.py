"""What Marco-LLM reads and is measured on, at each scale.

* tiny: interface messages and number words (`miniature.py`);
* paper: public data in place of the paper's own corpus (FineWeb-2, SkyPile, OPUS-100, Wikipedia, Cosmopedia);
* your own: a manifest of files and hub datasets (`core.corpora.manifest`). Several sources of one language and category
  count as one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from core import corpora
from core.corpora import filtering, manifest
from core.corpora.budget import Plan
from core.errors import UserError
from core.text.languages import flores_code
from core.training.documents import Body
from papers.marco_llm import miniature
from papers.marco_llm.bitext import prepared, rendered
from papers.marco_llm.config import LANGUAGES, LOW, OTHER_HIGH, PRESETS, Config, parse_shares
from papers.marco_llm.method import Shares, StagedMixture

# Parallel text is paired with English, so the other directions are never seen in training.
ENGLISH = frozenset({"en", "eng_Latn"})
# Pairs that the filter sees at once, and the text by which it tells languages apart.
PAIRS_AT_ONCE = 10_000
TEXTS_TO_IDENTIFY, CHARACTERS_TO_IDENTIFY = 2000, 1000

# --- the paper's corpus (Table 1) -------------------------------------------------------------------------------------

# Billions of tokens that there are. Of LOW the smallest and the largest are known to us, and the total of everything.
AVAILABLE = {
    "en": 1459.7, "zh": 214.7, "ar": 45.8, "de": 442.8, "es": 397.8, "fr": 320.8, "ko": 41.8, "ja": 224.2,
    "pt": 145.3, "tr": 80.6, "ms": 2.9, "el": 376.8, "parallel": 103.0, "knowledge": 65.0, "synthetic": 6.0,
}  # fmt: skip
AVAILABLE_IN_ALL = 5115.9
ESTIMATED = tuple(code for code in LOW if code not in AVAILABLE)


def available(source: str) -> float:
    """Tokens of a language or further source; those of `ESTIMATED` get equal parts of what is left of the total."""
    guess = (AVAILABLE_IN_ALL - sum(AVAILABLE.values())) / len(ESTIMATED)
    return AVAILABLE.get(source, guess) * 1e9


def paper_categories() -> dict[str, dict[str, float]]:
    """The sources of the paper by category, with the tokens that there were."""
    groups = {"english": ("en",), "chinese": ("zh",), "other_high": OTHER_HIGH, "low": LOW}
    groups |= {name: (name,) for name in ("parallel", "knowledge", "synthetic")}
    return {category: {name: available(name) for name in names} for category, names in groups.items()}


def paper_plan() -> Plan:
    """300 billion tokens in two stages: the shares, budgets and rates of the preset `paper`."""
    return mixture_of(PRESETS["paper"], paper_categories()).plan(ESTIMATED)


def mixture_of(config: Config, categories: Mapping[str, Mapping[str, float]]) -> StagedMixture:
    """The stages that a configuration asks for, with its ablations, over the sources that there are.

    Raises:
        UserError: A category with a share and no sources, or an ablation that leaves nothing.
    """
    stages = [_ablated(parse_shares(shares), config) for shares in (config.stage1, config.stage2)]
    return StagedMixture(categories, stages, config.tokens, (config.lr_stage1, config.lr_stage2))


def _ablated(shares: Shares, config: Config) -> Shares:
    if config.leave_out == "nothing":
        return shares
    kept = {name: s for name, s in shares.items() if (name in config.replay) == (config.leave_out == "new")}
    whole = math.fsum(kept.values())
    if not whole:
        raise UserError(f"With leave_out = {config.leave_out!r} no category is left: give the others a share.")
    return {name: share / whole for name, share in kept.items()}


# --- sources ----------------------------------------------------------------------------------------------------------


def material(config: Config) -> tuple[list[Body], dict[str, dict[str, int]]]:
    """The sources of a configuration, and what the filter rejected by parallel source and rule.

    The latter for the miniature alone: other parallel text is filtered while it is read.

    Raises:
        UserError: A manifest that cannot be read.
    """
    if config.sources is None:
        return miniature.material(config)
    entries = paper_manifest() if config.sources == "paper" else manifest.read(config.sources)
    return bodies(entries, config), {}


def bodies(entries: Sequence[manifest.Entry], config: Config) -> list[Body]:
    """A body for each language of a category, not yet read."""
    groups: dict[tuple[str, str], list[manifest.Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.category, entry.language), []).append(entry)
    found = []
    for (category, _), part in groups.items():
        sizes = [entry.tokens for entry in part]
        tokens = math.fsum(size or 0 for size in sizes) if None not in sizes else None
        found.append(Body(part[0].name, category, partial(_texts, part, entries, config), tokens))
    return found


def _texts(part: Sequence[manifest.Entry], entries: Sequence[manifest.Entry], config: Config) -> Iterator[str]:
    for entry in part:
        yield from _bitext(entry, config, entries) if entry.languages else manifest.texts(entry.path)


# --- public data and own files ----------------------------------------------------------------------------------------


def paper_manifest() -> list[manifest.Entry]:
    """Public data for every category of the paper, with the sizes of its Table 1.

    The sizes are those of the paper's own corpus: they decide nothing, as languages get equal shares.
    """
    paths = {"en": "HuggingFaceFW/fineweb-edu", "zh": "Skywork/SkyPile-150B"}
    entries = [
        manifest.Entry(
            code, paths.get(code) or f"HuggingFaceFW/fineweb-2#{flores_code(code)}", category, code, (), tokens
        )
        for category, sources in paper_categories().items()
        for code, tokens in sources.items()
        if code in LANGUAGES
    ]
    for code in LANGUAGES[1:]:
        path, tokens = f"Helsinki-NLP/opus-100#{'-'.join(sorted(('en', code)))}", available("parallel")
        tokens /= len(LANGUAGES) - 1
        entries.append(manifest.Entry(f"en-{code}", path, "parallel", f"en-{code}", ("en", code), tokens))
    for code in LANGUAGES:
        path, tokens = f"wikimedia/wikipedia#20231101.{code}", available("knowledge") / len(LANGUAGES)
        entries.append(manifest.Entry(f"knowledge-{code}", path, "knowledge", code, (), tokens))
    synthetic = manifest.Entry("synthetic", "HuggingFaceTB/cosmopedia#web_samples_v2", "synthetic", "en")
    return [*entries, replace(synthetic, tokens=available("synthetic"))]


def _bitext(entry: manifest.Entry, config: Config, entries: Sequence[manifest.Entry]) -> Iterator[str]:
    """Rendered pairs; duplicates are found, and words aligned, within so many pairs as are read at once."""
    source, target = entry.languages
    identify = _identifier((source, target), config, entries)
    found = manifest.pairs(entry.path, source, target)
    while part := list(itertools.islice(found, PAIRS_AT_ONCE)):
        kept, _ = prepared(part, (source, target), config, identify)
        yield from rendered(kept, (source, target), config)


def _identifier(pair: tuple[str, str], config: Config, entries: Sequence[manifest.Entry]) -> filtering.Identify | None:
    """What tells the two languages apart, from the manifest's monolingual text; None without text of both."""
    paths = {entry.language: entry.path for entry in entries if entry.language in pair}
    if config.parallel != "filtered" or len(paths) < 2:
        return None
    return filtering.identifier(
        {
            code: [text[:CHARACTERS_TO_IDENTIFY] for text in itertools.islice(manifest.texts(path), TEXTS_TO_IDENTIFY)]
            for code, path in paths.items()
        }
    )


# --- what is measured -------------------------------------------------------------------------------------------------


def held_out_text(config: Config) -> dict[str, list[str]]:
    """Held-out text by language, aligned.

    Raises:
        UserError: Own sources without a held-out corpus.
    """
    if config.test_corpus:
        wanted = {"languages": list(config.test_languages)} if config.test_languages else {}
        table = corpora.load(config.test_corpus, **wanted)
        codes = [name for name in table.column_names if name not in ("key", "value", "kind")]
        return {code: list(table[code]) for code in codes}
    if config.sources:
        raise UserError("Own sources need held-out text: give --test-corpus, a .tsv with a column per language.")
    return miniature.text(config, config.split)


def old_languages(config: Config, codes: Iterable[str]) -> list[str]:
    """Those that must not be lost, of the languages that are measured.

    Raises:
        UserError: One that is named is not measured.
    """
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
    rows = zip(*texts.values(), strict=True)
    return [
        dict(zip(texts, row, strict=True)) for row in itertools.islice(rows, config.translation_items + config.shots)
    ]


def directions(config: Config) -> list[tuple[str, str]]:
    """Directions in which translation is measured."""
    return list(itertools.permutations(config.translation_languages, 2)) or (
        [] if config.test_corpus else miniature.directions(config)
    )


def group(config: Config, source: str, target: str) -> str:
    """End of the metrics' names for a direction."""
    if not config.test_corpus and miniature.is_known(source, target):
        return "_old"
    return "" if {source, target} & ENGLISH else "_any"
