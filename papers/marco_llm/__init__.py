"""Marco-LLM: continue a model on many languages in stages, so that it learns the new and keeps the old."""

from __future__ import annotations

from core.experiment.paper import Claim, Paper, public

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
            id="keeps-the-old",
            statement="After both stages, held-out text in the old languages costs at most 0.05 bits per byte more.",
            reported="English 77.4 -> 77.9, Chinese 75.8 -> 76.0 (7B, average of the benchmarks; Table 6)",
            metric="old_bits",
            treatment="two_stage",
            control="two_stage",
            control_metric="old_bits_base",
            better="lower",
            margin=-0.05,
        ),
        Claim(
            id="learns-the-new",
            statement="After both stages, held-out text in the new languages costs at least 0.5 bits per byte less.",
            reported="Nepali 36.3 -> 65.8, Kazakh 43.1 -> 66.1, Azerbaijani 52.2 -> 69.4 (7B; Table 6)",
            metric="new_bits",
            treatment="two_stage",
            control="two_stage",
            control_metric="new_bits_base",
            better="lower",
            margin=0.5,
        ),
        Claim(
            id="without-replay-forgets",
            statement="Continued on low-resource and parallel text alone, the old languages cost at least 0.1 bits "
            "more.",
            reported="not reported; the paper's case for about half of the tokens in English and Chinese",
            metric="old_bits",
            treatment="low_only",
            control="low_only",
            control_metric="old_bits_base",
            margin=0.10,
        ),
        Claim(
            id="replay-costs-new",
            statement="Without replay the new languages improve further than with the two stages: replay has a price.",
            reported="not reported",
            metric="new_bits",
            treatment="low_only",
            control="two_stage",
            better="lower",
        ),
        Claim(
            id="shares-are-of-tokens",
            statement="Drawn by token accounting, realised shares are nearer to the asked ones than drawn by document.",
            reported="mixtures are given in tokens (Tables 2 and 3)",
            metric="share_error",
            treatment="two_stage",
            control="by_documents",
            better="lower",
        ),
        Claim(
            id="parallel-teaches",
            statement="Parallel text teaches translation between English and two new languages (exact match, "
            "by 20 points more than the same mixture without it).",
            reported="any-to-any translation 19.7 against 14.6 BLEU (7B, 42 directions; Table 12)",
            metric="exact",
            treatment="numbers_clean",
            control="numbers_none",
            margin=0.2,
        ),
        Claim(
            id="noise-hurts",
            statement="Parallel text of which half is wrong gives fewer right translations than clean text.",
            reported="unfiltered data costs Flores points at 1.5B, 7B and 72B (Figure 7)",
            metric="exact",
            treatment="numbers_clean",
            control="numbers_unfiltered",
        ),
        Claim(
            id="filter-helps",
            statement="The noisy parallel text gives more right translations after filtering than as it is.",
            reported="a gain on Flores at 1.5B, 7B and 72B (Figure 7)",
            metric="exact",
            treatment="numbers_filtered",
            control="numbers_unfiltered",
        ),
        Claim(
            id="seven-billion",
            statement="The 7B model is better than its base in 29 languages on average.",
            reported="75.5 against Qwen2-7B 69.4 and Qwen2.5-7B 69.1; Table 6",
            out_of_scale="needs 300B tokens, Qwen2-7B and the benchmark suite: preset `paper`",
        ),
        Claim(
            id="any-to-any",
            statement="Translation among languages other than English improves.",
            reported="19.7 against 14.6 BLEU (Qwen2-7B), 42 directions of Flores; Table 12",
            out_of_scale="two new languages make one pair: the tiny scale reports it and claims nothing",
        ),
        Claim(
            id="chat",
            statement="After post-training the chat model answers better than its base's chat model.",
            reported="MMMLU 60.1 against 52.2 (7B), 76.1 against 69.2 (72B); Table 8",
            out_of_scale="the data of both post-training steps is not public and their settings are not stated",
        ),
    ),
    minutes=16,
    extra_variants=("one_stage", "no_parallel"),
    official_code=None,
    licence_note="No code, data or models of this paper are public; `AIDC-AI/Marco-LLM` documents later work. Qwen2-7B "
    "is Apache-2.0, Qwen2-72B has a licence of its own.",
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=(
        "Plan",
        "Source",
        "StagedMixture",
        "Use",
        "allocate",
        "average_shares",
        "divide",
        "plan",
        "uniform_shares",
        "with_fraction",
    ),
    sampler=("sample",),
    templates=("TEMPLATES", "prompt", "render", "render_parallel"),
    bodies=("embedding_similarity",),
    recipe=("paper_mixture",),
    translation=("any_to_any",),
    measure=("bits",),
    post=("dpo_loss",),
)
