"""The paper's corpus (Table 1), and from a configuration to its mixture (Tables 2 and 3, and the ablations).

    print(paper_mixture().plan().table())

A parity test holds the planner against the paper's own totals.
"""

from __future__ import annotations

from papers.marco_llm.config import PRESETS, Config, parse_shares
from papers.marco_llm.method import (
    Categories,
    Shares,
    Source,
    StagedMixture,
    average_shares,
    uniform_shares,
    with_fraction,
)

ENGLISH, CHINESE = "en", "zh"
OTHER_HIGH = ("ar", "de", "es", "fr", "ko", "ja", "pt", "tr")
# Low share in this run: Italian, Dutch, Polish, Russian and Czech are among them.
LOW = (
    "bn", "he", "id", "it", "ms", "nl", "pl", "ru", "th", "uk", "ur", "vi", "cs", "el", "hu", "kk", "ro", "az", "ne",
)  # fmt: skip
LANGUAGES = (ENGLISH, CHINESE, *OTHER_HIGH, *LOW)

# Billions of tokens that there are (Table 1).
AVAILABLE = {
    "en": 1459.7, "zh": 214.7, "ar": 45.8, "de": 442.8, "es": 397.8, "fr": 320.8, "ko": 41.8, "ja": 224.2,
    "pt": 145.3, "tr": 80.6, "ms": 2.9, "el": 376.8, "parallel": 103.0, "knowledge": 65.0, "synthetic": 6.0,
}  # fmt: skip
AVAILABLE_IN_ALL = 5115.9

# What is not monolingual text of a language.
OTHER_CATEGORIES = ("parallel", "knowledge", "synthetic")


def available(language: str) -> float:
    """Tokens of a language or further source.

    Of the nineteen low-resource languages the smallest (ms) and the largest (el) are known to us; the other seventeen
    share what is left of the total.
    """
    if language in AVAILABLE:
        return AVAILABLE[language] * 1e9
    unknown = [code for code in LOW if code not in AVAILABLE]
    return (AVAILABLE_IN_ALL - sum(AVAILABLE.values())) / len(unknown) * 1e9


def paper_categories() -> dict[str, list[Source]]:
    """The sources of the paper by category, with the tokens that there were."""
    groups = {"english": (ENGLISH,), "chinese": (CHINESE,), "other_high": OTHER_HIGH, "low": LOW}
    groups |= {name: (name,) for name in OTHER_CATEGORIES}
    return {category: [Source(name, available(name)) for name in names] for category, names in groups.items()}


def staged_mixture(config: Config, categories: Categories) -> StagedMixture:
    """The stages that a configuration asks for, with its ablations, over the sources that there are.

    Raises:
        UserError: A category with a share and no sources.
    """
    asked: list[Shares] = []
    for shares in (parse_shares(config.stage1, "stage1"), parse_shares(config.stage2, "stage2")):
        if config.mixture == "low_only":
            shares = {"low": 0.8, "parallel": 0.2}
        if config.parallel == "none":
            shares = with_fraction(shares, ["parallel"], 0.0)
        if config.mixture == "uniform":
            shares = uniform_shares(categories, {name: shares.get(name, 0.0) for name in OTHER_CATEGORIES})
        if config.replay_fraction is not None:
            shares = with_fraction(shares, config.replay_categories, config.replay_fraction)
        asked.append(shares)
    if config.stages == "one":
        average = average_shares(asked, config.tokens)
        return StagedMixture(categories, [average], [sum(config.tokens)], [config.lr_stage1])
    return StagedMixture(categories, asked, config.tokens, [config.lr_stage1, config.lr_stage2])


def paper_mixture() -> StagedMixture:
    """300 billion tokens in two stages: the shares, budgets and rates of the preset `paper`."""
    return staged_mixture(PRESETS["paper"], paper_categories())
