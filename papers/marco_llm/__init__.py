"""Marco-LLM: continue a model on many languages in stages, so that it learns the new and keeps the old."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Every seed draws its new languages, held-out items and weights, and no two of the six seeds share a new language. What
# anyone would care about: .02 bits per byte between two mixtures of the same tokens, .05 else, one translation in 20.
_BITS: dict[str, Any] = {"better": "lower", "unit": "language", "premises": ("knows-the-old",)}
# BLEU of a seed's answers in all its directions, the paper's metric.
_BLEU: dict[str, Any] = {"metric": "bleu", "unit": "seed", "smallest": 2.0, "premises": ("translates-the-old",)}

PAPER = Paper(
    slug="marco_llm",
    title="Marco-LLM: Bridging Languages via Massive Multilingual Training for Cross-Lingual Enhancement",
    authors="Lingfeng Ming, Bo Zeng, Chenyang Lyu et al.",
    year=2024,
    venue="arXiv technical report",
    arxiv="2412.04003",
    family="adaptation",
    summary="Continued pre-training in two stages, with token shares for each group of languages, much replay and "
    "filtered parallel text: new languages are learnt and the old ones kept.",
    claims=(
        Claim(
            id="all-languages",
            statement="After both stages, held-out text costs fewer bits per byte than before, on average over old and "
            "new languages.",
            reported="75.5 on average over 29 languages against Qwen2-7B's 69.4 (Table 6).",
            metric="bits",
            treatment="two_stage",
            control="base",
            smallest=0.05,
            null="old_only",
            **_BITS,
        ),
        Claim(
            id="two-stages",
            statement="Two stages, each with a warm-up and a decay, the second at a lower rate and with more weight on "
            "new languages, leave that text at fewer bits per byte than one stage that reads the same tokens mixed.",
            reported="Two-stage continual pre-training (abstract; Tables 2 and 3). The paper has no run in one stage "
            "that is known to us.",
            metric="bits",
            treatment="two_stage",
            control="one_stage",
            smallest=0.02,
            null="old_only",
            **_BITS,
        ),
        Claim(
            id="learns-the-new",
            statement="After both stages, held-out text in new languages costs fewer bits per byte than before, and "
            "than after as many tokens of the old languages alone.",
            reported="Nepali 36.3 to 65.8, Kazakh 43.1 to 66.1, Azerbaijani 52.2 to 69.4, Greek 65.0 to 77.1, against "
            "the model before (7B; Table 6).",
            metric="new_bits",
            treatment="two_stage",
            # The second control is the null arm: the same tuning without the new languages.
            control=("base", "old_only"),
            smallest=0.05,
            **_BITS,
        ),
        Claim(
            id="keeps-the-old",
            statement="After both stages, held-out text in the old languages costs at most .05 bits per byte more than "
            "before.",
            reported="English 77.4 to 77.9, Chinese 75.8 to 76.0 (7B; Table 6). The size is ours.",
            metric="old_bits",
            treatment="two_stage",
            control="base",
            keeps=True,
            size=0.05,
            null="no_replay",
            **_BITS,
        ),
        Claim(
            id="parallel-teaches",
            statement="Parallel text teaches translation between English and new languages: held-out numbers have a "
            "higher BLEU than after as many tokens of the same words in either language alone, or in shuffled pairs.",
            reported="From English 38.9 and into it 43.6 BLEU (7B, 14 languages), against 30.8 and 38.9 of Qwen2-72B "
            "(Flores; Table 11).",
            treatment="clean",
            # The second control is the null arm: number words of the language without their meaning have some BLEU.
            control=("monolingual", "shuffled"),
            **_BLEU,
        ),
        Claim(
            id="any-to-any",
            statement="Translation between two new languages improves by more than five points of BLEU too, though "
            "only pairs with English were read.",
            reported="19.7 against Qwen2-7B's 14.6 BLEU in the 42 directions among seven languages (Flores; Table 12). "
            "Which languages were paired is not known.",
            size=5.0,
            treatment="clean",
            control="monolingual",
            null="shuffled",
            **_BLEU | {"metric": "bleu_any", "premises": ("still-translates",)},
        ),
        Claim(
            id="filter-helps",
            statement="Parallel text of which half is wrong teaches translation better after filtering than before.",
            reported="A gain on Flores at 1.5B, 7B and 72B, while unfiltered data hurt the larger models (Figure 7).",
            treatment="filtered",
            control="noisy",
            null="shuffled",
            **_BLEU,
        ),
        Claim(
            id="seventy-two-billion",
            statement="The 72B model is better than its base in 29 languages on average, too.",
            reported="87.9 against 83.8 (Table 7).",
            out_of_scale="Needs Qwen2-72B and the benchmarks.",
        ),
        Claim(
            id="rises-fast-then-flat",
            statement="Accuracy on MMMLU rises fast in the first 230 steps and then hardly.",
            reported="Figure 9 (its caption); of which training and how many tokens a step, we do not know.",
            out_of_scale="MMMLU asks for knowledge that no miniature has; the figure has bits along the stages.",
        ),
        Claim(
            id="the-gap-stays",
            statement="Yoruba, which is in no mixture, stays some 29 % behind Chinese and Italian all along.",
            reported="Figure 9 (its caption), MMMLU.",
            out_of_scale="MMMLU asks for knowledge that no miniature has.",
        ),
        Claim(
            id="chat",
            statement="After fine-tuning and preference alignment the chat model answers better than its base's.",
            reported="MMMLU 60.1 against 52.2 (7B), 76.1 against 69.2 (72B); Table 8.",
            out_of_scale="The data of both steps are not public and their settings are not stated.",
        ),
    ),
    checks=(
        Check(
            id="two-stages-for-the-new",
            statement="For the new languages alone, two stages are better than one.",
            metric="new_bits",
            treatment="two_stage",
            control="one_stage",
            smallest=0.02,
            **_BITS,
        ),
        Check(
            id="two-stages-for-the-old",
            statement="For the old languages alone, two stages are at most .02 bits worse than one.",
            metric="old_bits",
            treatment="two_stage",
            control="one_stage",
            keeps=True,
            size=0.02,
            **_BITS,
        ),
        Check(
            id="replay-keeps",
            statement="Two stages without text in English and the other old languages leave these at more bits.",
            metric="old_bits",
            treatment="two_stage",
            control="no_replay",
            smallest=0.05,
            **_BITS,
        ),
        Check(
            id="replay-has-a-price",
            statement="Without replay the new languages cost fewer bits than with it.",
            metric="new_bits",
            treatment="no_replay",
            control="two_stage",
            smallest=0.05,
            **_BITS,
        ),
        Check(
            id="noise-hurts",
            statement="Parallel text of which half is wrong teaches translation worse than clean text.",
            treatment="clean",
            control="noisy",
            null="shuffled",
            **_BLEU,
        ),
        Check(
            id="keeps-the-skill",
            statement="What the base can and no stage rehearses, translation among its old languages, loses at most "
            "five right answers in a hundred.",
            metric="exact_old",
            treatment="two_stage",
            control="base",
            keeps=True,
            size=0.05,
            unit="direction",
            premises=("translates-the-old",),
        ),
        Check(
            id="the-source-counts",
            statement="Between two new languages, too, a translation is cheaper after its true source than after "
            "another one, and more so than if the pairs were shuffled (bits per byte).",
            metric="source_gain_any",
            treatment="clean",
            control="shuffled",
            unit="direction",
            smallest=0.02,
            premises=("translates-the-old",),
        ),
    ),
    premises=(
        Premise(
            id="knows-the-old",
            statement="The base reads its old languages at a bit per byte less than one who knows their letters alone.",
            metric="known_old",
            variant="base",
            at_least=1.0,
        ),
        Premise(
            id="translates-the-old",
            statement="The base translates held-out numbers among three of its languages.",
            metric="exact_old",
            variant="base",
            at_least=0.5,
        ),
        Premise(
            id="still-translates",
            statement="After reading clean pairs the model still translates among the old languages: it knows from the "
            "target's name what is asked for.",
            metric="exact_old",
            variant="clean",
            at_least=0.5,
        ),
    ),
    minutes=13,
    official_code=None,
    licence_note="No code, data or models of this paper are public; `AIDC-AI/Marco-LLM` documents later work. Qwen2-7B "
    "is Apache-2.0, Qwen2-72B has a licence of its own.",
    # Six seeds that share no new language.
    seeds=(36, 37, 38, 39, 40, 41),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("StagedMixture", "allocate", "continue_pretraining", "plan", "sample", "staged_rate"),
    config=("TEMPLATES",),
    bitext=("prompt", "render", "render_parallel"),
    data=("paper_plan",),
)
