"""What Marco-LLM reads and is measured on, at each scale.

* tiny: interface messages and number words (`miniature.py`);
* paper: public data in place of the paper's own corpus (FineWeb-2, SkyPile, OPUS-100, Wikipedia, Cosmopedia);
* your own: a manifest of files and hub datasets (`core.corpora.manifest`). Several sources of one language and category
  count as one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, permutations

from core import corpora
from core.corpora import manifest
from core.corpora.budget import Plan
from core.errors import UserError
from core.text.languages import flores_code
from core.training.documents import Body
from papers.marco_llm import miniature
from papers.marco_llm.bitext import prepared, rendered
from papers.marco_llm.config import LANGUAGES, LOW, OTHER_HIGH, PRESETS, Config, parse_shares
from papers.marco_llm.method import Shares, StagedMixture

# What the filter rejected by source and rule; it fills while text is read.
Rejected = dict[str, dict[str, int]]
# Parallel text is paired with English, so the other directions are never seen in training.
ENGLISH = frozenset({"en", "eng_Latn"})
# Pairs that the filter sees at once.
PAIRS_AT_ONCE = 10_000
# Billions of tokens that there are (Table 1). Of LOW the smallest and the largest are known to us, and the total.
AVAILABLE = {
    "en": 1459.7, "zh": 214.7, "ar": 45.8, "de": 442.8, "es": 397.8, "fr": 320.8, "ko": 41.8, "ja": 224.2,
    "pt": 145.3, "tr": 80.6, "ms": 2.9, "el": 376.8, "parallel": 103.0, "knowledge": 65.0, "synthetic": 6.0,
}  # fmt: skip
ESTIMATED = tuple(code for code in LOW if code not in AVAILABLE)
# Equal parts of what is left of the total.
SIZES = dict.fromkeys(ESTIMATED, (5115.9 - sum(AVAILABLE.values())) / len(ESTIMATED)) | AVAILABLE


def paper_categories() -> dict[str, dict[str, float]]:
    """The sources of the paper by category, with the tokens that there were (a guess for those of `ESTIMATED`)."""
    groups = {"english": ("en",), "chinese": ("zh",), "other_high": OTHER_HIGH, "low": LOW}
    groups |= {name: (name,) for name in ("parallel", "knowledge", "synthetic")}
    return {category: {name: SIZES[name] * 1e9 for name in names} for category, names in groups.items()}


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


def material(config: Config) -> tuple[list[Body], Rejected]:
    """The sources of a configuration, and what the filter rejects of parallel text.

    Raises:
        UserError: A manifest that cannot be read.
    """
    if config.sources is None:
        return miniature.material(config)
    return bodies(paper_manifest() if config.sources == "paper" else manifest.read(config.sources), config)


def bodies(entries: Sequence[manifest.Entry], config: Config) -> tuple[list[Body], Rejected]:
    """A body for each language of a category, not yet read."""
    groups: dict[tuple[str, str], list[manifest.Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.category, entry.language), []).append(entry)
    found, rejected = [], Rejected()
    for (category, _), part in groups.items():
        sizes = [entry.tokens for entry in part]
        tokens = math.fsum(size or 0 for size in sizes) if None not in sizes else None
        found.append(Body(part[0].name, category, partial(_texts, part, config, rejected), tokens))
    return found, rejected


def _texts(part: Sequence[manifest.Entry], config: Config, rejected: Rejected) -> Iterator[str]:
    for entry in part:
        yield from _bitext(entry, config, rejected) if entry.languages else manifest.texts(entry.path)


def _bitext(entry: manifest.Entry, config: Config, rejected: Rejected) -> Iterator[str]:
    """Rendered pairs; duplicates are found, and words aligned, within so many pairs as are read at once."""
    source, target = entry.languages
    found, counts = manifest.pairs(entry.path, source, target), Counter[str]()
    rejected[entry.name] = counts
    while part := list(islice(found, PAIRS_AT_ONCE)):
        kept, reasons = prepared(part, (source, target), config)
        counts.update(reasons)
        yield from rendered(kept, (source, target), config)


def rejections(rejected: Rejected) -> str:
    """What the filter took out, a line a source that lost something."""
    told = {name: ", ".join(f"{rule} {n}" for rule, n in rules.items() if n) for name, rules in rejected.items()}
    return "".join(f"the filter took out of {name}: {rules}\n" for name, rules in told.items() if rules)


def paper_manifest() -> list[manifest.Entry]:
    """Public data for every category of the paper, with the sizes of its Table 1.

    The sizes are those of the paper's own corpus: they decide nothing, as languages get equal shares.
    """
    paths = {code: f"HuggingFaceFW/fineweb-2#{flores_code(code)}" for code in LANGUAGES}
    paths |= {"en": "HuggingFaceFW/fineweb-edu", "zh": "Skywork/SkyPile-150B"}
    sources = paper_categories()
    entries = [
        manifest.Entry(code, paths[code], category, code, (), tokens)
        for category, sizes in sources.items()
        for code, tokens in sizes.items()
        if code in LANGUAGES
    ]
    for code in LANGUAGES[1:]:
        path, tokens = f"Helsinki-NLP/opus-100#{'-'.join(sorted(('en', code)))}", sources["parallel"]["parallel"]
        tokens /= len(LANGUAGES) - 1
        entries.append(manifest.Entry(f"en-{code}", path, "parallel", f"en-{code}", ("en", code), tokens))
    for code in LANGUAGES:
        path, tokens = f"wikimedia/wikipedia#20231101.{code}", sources["knowledge"]["knowledge"] / len(LANGUAGES)
        entries.append(manifest.Entry(f"knowledge-{code}", path, "knowledge", code, (), tokens))
    synthetic = "HuggingFaceTB/cosmopedia#web_samples_v2", "synthetic", "en", (), sources["synthetic"]["synthetic"]
    return [*entries, manifest.Entry("synthetic", *synthetic)]


# --- what is measured -------------------------------------------------------------------------------------------------


def held_out_text(config: Config) -> dict[str, list[str]]:
    """Held-out text by language, aligned.

    Raises:
        UserError: Own sources without a held-out corpus.
    """
    if config.test_corpus:
        wanted = {"languages": list(config.test_languages)} if config.test_languages else {}
        table = corpora.load(config.test_corpus, **wanted)
        return {code: list(table[code]) for code in table.column_names if code not in ("key", "value", "kind")}
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
    rows = islice(zip(*texts.values(), strict=True), config.translation_items + config.shots)
    return [dict(zip(texts, row, strict=True)) for row in rows]


def directions(config: Config) -> list[tuple[str, str]]:
    """Directions in which translation is measured."""
    named = list(permutations(config.translation_languages, 2))
    return named if named or config.test_corpus else miniature.directions(config)


def group(config: Config, source: str, target: str) -> str:
    """End of the metrics' names for a direction."""
    if not config.test_corpus and miniature.is_known(source, target):
        return "_old"
    return "" if {source, target} & ENGLISH else "_any"
