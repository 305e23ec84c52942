"""Marco-LLM: continue a model on many languages in stages, so that it learns the new and keeps the old."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public


def _bits(metric: str, treatment: str, control: Any, smallest: float = 0.05) -> dict[str, Any]:
    """Over languages; anyone would care about .02 bits per byte between mixtures of the same tokens, .05 else."""
    return {"metric": metric, "treatment": treatment, "control": control, "smallest": smallest, "better": "lower",
            "unit": "language", "premises": ("knows-the-old",)}  # fmt: skip


def _bleu(treatment: str, control: str) -> dict[str, Any]:
    """Over seeds: BLEU of a seed's answers in all its directions, the paper's metric."""
    return {"metric": "bleu", "treatment": treatment, "control": control, "smallest": 2.0,
            "premises": ("translates-the-old",)}  # fmt: skip


# Over directions: what the base can beside reading, after both stages.
_SKILL: dict[str, Any] = {
    "metric": "exact_old", "treatment": "two_stage", "unit": "direction", "null": "no_replay",
    "premises": ("translates-the-old",),
}  # fmt: skip
# What the two halves of two stages do: their mixtures in their order, and their rates.
_APART = {
    "order-alone": (
        "two_stage", "average_mixture", "At the rates of two stages, their two mixtures leave the text at fewer bits "
        "than the average mixture in both.",
    ),
    "rates-alone": (
        "two_stage", "one_rate", "With the two mixtures in their order, a warm-up and a decay for each leave the text "
        "at fewer bits than one of both for all, from the average rate.",
    ),
    "order-under-one-decay": (
        "one_rate", "one_stage", "Under one warm-up and decay, too, the two mixtures in their order leave the text at "
        "fewer bits than one mixture.",
    ),
    "rates-on-one-mixture": (
        "average_mixture", "one_stage", "On the average mixture, too, a warm-up and a decay for each stage leave the "
        "text at fewer bits than one of both.",
    ),
}  # fmt: skip
_PREMISES = {
    "knows-the-old": (
        "known_old", "base", 1.0,
        "The base reads its old languages at a bit per byte less than one who knows their letters alone.",
    ),
    "translates-the-old": (
        "exact_old", "base", 0.5, "The base translates held-out numbers among three of its languages.",
    ),
    "still-translates": (
        "exact_old", "clean", 0.5,
        "After reading clean pairs the model still translates among the old languages: it knows from the target's name "
        "what is asked for.",
    ),
}  # fmt: skip

PAPER = Paper(
    slug="marco_llm",
    title="Marco-LLM: Bridging Languages via Massive Multilingual Training for Cross-Lingual Enhancement",
    authors="Lingfeng Ming, Bo Zeng, Chenyang Lyu et al.",
    year=2024,
    venue="arXiv technical report",
    arxiv="2412.04003",
    family="pre-training",
    deeds=("adapt", "train"),
    summary="Continued pre-training in two stages, with token shares for each group of languages, much replay and "
    "filtered parallel text: new languages are learnt and the old ones kept.",
    claims=(
        Claim(
            id="all-languages",
            statement="After both stages, held-out text costs fewer bits per byte than before, on average over old and "
            "new languages.",
            reported="75.5 on average over 29 languages against Qwen2-7B's 69.4 (Table 6).",
            null="old_only",
            **_bits("bits", "two_stage", "base"),
        ),
        Claim(
            id="two-stages",
            statement="Two stages, each with a warm-up and a decay, the second at a lower rate and with more weight on "
            "new languages, leave that text at fewer bits per byte than one stage that reads the same tokens mixed, at "
            "the average rate.",
            reported="Two-stage continual pre-training (abstract; Tables 2 and 3). The paper has no run in one stage "
            "that is known to us.",
            null="old_only",
            **_bits("bits", "two_stage", "one_stage", 0.02),
        ),
        Claim(
            id="learns-the-new",
            statement="After both stages, held-out text in new languages costs fewer bits per byte than before, and "
            "than after as many tokens of the old languages alone.",
            reported="Nepali 36.3 to 65.8, Kazakh 43.1 to 66.1, Azerbaijani 52.2 to 69.4, Greek 65.0 to 77.1, against "
            "the model before (7B; Table 6).",
            # The second control is the null arm: the same tuning without the new languages.
            **_bits("new_bits", "two_stage", ("base", "old_only")),
        ),
        Claim(
            id="keeps-the-old",
            statement="After both stages, held-out text in the old languages costs at most .05 bits per byte more than "
            "before.",
            reported="English 77.4 to 77.9, Chinese 75.8 to 76.0 (7B; Table 6). The size is ours.",
            keeps=True,
            size=0.05,
            null="no_replay",
            **_bits("old_bits", "two_stage", "base"),
        ),
        Claim(
            id="keeps-the-skill",
            statement="What the base can beside reading, translation among its old languages, loses at most five right "
            "answers in a hundred where some of it is replayed.",
            reported="English 77.4 to 77.9, Chinese 75.8 to 76.0: means of benchmark scores (7B; Table 6). "
            "The size is ours.",
            control="base",
            keeps=True,
            size=0.05,
            **_SKILL,
        ),
        Claim(
            id="parallel-teaches",
            statement="Parallel text teaches translation between English and new languages: held-out numbers have a "
            "higher BLEU than after the same sentences in shuffled pairs.",
            reported="From English 38.9 and into it 43.6 BLEU (7B, 14 languages), against 30.8 and 38.9 of Qwen2-72B "
            "(Flores; Table 11).",
            # The control is the null arm: the same sentences, no two of which belong together.
            **_bleu("clean", "shuffled"),
        ),
        Claim(
            id="any-to-any",
            statement="Translation between two new languages is more than five points of BLEU better than "
            "after shuffled pairs too, though only pairs with English were read.",
            reported="19.7 against Qwen2-7B's 14.6 BLEU in the 42 directions among seven languages (Flores; Table 12). "
            "Which languages were paired is not known.",
            size=5.0,
            **_bleu("clean", "shuffled") | {"metric": "bleu_any", "premises": ("still-translates",)},
        ),
        Claim(
            id="filter-helps",
            statement="Parallel text of which half is wrong teaches translation better after filtering than before.",
            reported="A gain on Flores at 1.5B, 7B and 72B, while unfiltered data hurt the larger models (Figure 7).",
            null="shuffled",
            **_bleu("filtered", "noisy"),
        ),
        Claim(
            id="seventy-two-billion",
            statement="The 72B model is better than its base in 29 languages on average, too.",
            reported="87.9 against 83.8 (Table 7).",
            out_of_scale="Needs Qwen2-72B and the benchmarks.",
        ),
        Claim(
            id="chat",
            statement="After fine-tuning and preference alignment the chat model answers better than its base's.",
            reported="MMMLU 60.1 against 52.2 (7B), 76.1 against 69.2 (72B); Table 8.",
            out_of_scale="The data of both steps are not public and their settings are not stated.",
        ),
    ),
    checks=(
        *(
            Check(id=id, statement=statement, **_bits("bits", treatment, control, 0.02))
            for id, (treatment, control, statement) in _APART.items()
        ),
        Check(
            id="two-stages-keep-the-skill",
            statement="After two stages more translations among the old languages are right than after one.",
            control="one_stage",
            smallest=0.02,
            **_SKILL,
        ),
        Check(
            id="more-than-letters",
            statement="After both stages, text in new languages costs fewer bits than one pays who has read the same "
            "text and knows its letters alone.",
            null="old_only",
            **_bits("known_new", "two_stage", 0.0) | {"better": "higher"},
        ),
        Check(
            id="replay-keeps",
            statement="Two stages without what the base has read leave its languages at more bits.",
            **_bits("old_bits", "two_stage", "no_replay"),
        ),
        Check(
            id="replay-has-a-price",
            statement="Without replay the new languages cost fewer bits than with it.",
            **_bits("new_bits", "no_replay", "two_stage"),
        ),
        Check(
            id="noise-hurts",
            statement="Parallel text of which half is wrong teaches translation worse than clean text.",
            null="shuffled",
            **_bleu("clean", "noisy"),
        ),
    ),
    premises=tuple(
        Premise(id=id, metric=metric, variant=variant, at_least=least, statement=statement)
        for id, (metric, variant, least, statement) in _PREMISES.items()
    ),
    minutes=13,
    official_code=None,
    licence_note="No code, data or models of this paper are public; `AIDC-AI/Marco-LLM` documents later work. Qwen2-7B "
    "is Apache-2.0, Qwen2-72B has a licence of its own.",
    # Six seeds that share no new language.
    seeds=(48, 49, 50, 51, 52, 53),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("StagedMixture", "allocate", "continue_pretraining", "sample", "staged_rate"),
    config=("TEMPLATES",),
    bitext=("prompt", "render", "render_parallel"),
    data=("paper_plan",),
)
