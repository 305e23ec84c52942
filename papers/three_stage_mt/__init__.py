"""three_stage_mt: monolingual text, interlinear text, and a few instructions in the language of the source."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Every seed draws a language, its numbers and its weights: its mean is one draw of all three. A difference of less than
# .02 would be of no use to anyone. The null arm has read translations of other lines, as many tokens of them.
_MEASURED: dict[str, Any] = {
    "metric": "accuracy", "unit": "direction", "smallest": 0.02, "treatment": "full", "null": "shuffled",
}  # fmt: skip
_PREMISES = {
    "writes-both": ("no_interlinear", "well_formed", 0.9, "A model of stage 1 that was tuned writes names of numbers."),
    "tuning-fits": ("no_interlinear", "fitted", 0.9, "Without stage 2, tuning has learnt its pairs."),
    "bitext-fits": ("all_as_instructions", "fitted", 0.8, "The bitext as instructions has learnt the tuning pairs."),
    "aligns": ("full", "accuracy", 0.3, "After all stages the model translates: stage 2 has left its plateau."),
}

PAPER = Paper(
    slug="three_stage_mt",
    title="A Novel Paradigm Boosting Translation Capabilities of Large Language Models",
    authors="Jiaxin Guo, Hao Yang, Zongyao Li, Daimeng Wei, Hengchao Shang, Xiaoyu Chen",
    year=2024,
    venue="Findings of NAACL 2024",
    arxiv="2403.11430",
    family="translation",
    deeds=("adapt", "train"),
    summary="Puts the bilingual text into pre-training: having read the new language, a model reads documents in which "
    "every sentence is followed by its translation; a few instructions then suffice.",
    claims=(
        Claim(
            id="interlinear-helps",
            statement="With the interlinear stage before the same tuning, held-out numbers are translated better.",
            reported="Stage 2, continual pre-training with interlinear text, is the main contribution; the abstract "
            "gives no number.",
            **_MEASURED,
            control="no_interlinear",
            premises=("writes-both", "tuning-fits"),
        ),
        Claim(
            id="better-spent-in-pretraining",
            statement="The same bitext, for as many tokens and updates, is better spent as interlinear documents than "
            "as instructions.",
            reported="Fine-tuning on extensive bilingual data has had limited success; the bilingual signal belongs "
            "into pre-training (abstract).",
            **_MEASURED,
            control="all_as_instructions",
            premises=("bitext-fits",),
        ),
        Claim(
            id="monolingual-first",
            statement="Monolingual text of the new language before stage 2 helps, beyond its new vocabulary.",
            reported="The gains are large particularly on Chinese-Llama2, after monolingual augmentation (abstract).",
            **_MEASURED,
            control="no_monolingual",
            premises=("aligns",),
        ),
        Claim(
            id="source-language-instruction",
            statement="Instructions in the language of the source are better than instructions in English, and than "
            "instructions in the language of the target.",
            reported="Instructions consistent with the source language benefit fine-tuning (abstract).",
            **_MEASURED,
            control=("english_instruction", "target_instruction"),
            premises=("aligns",),
        ),
        Claim(
            id="beats-larger",
            statement="7B and 13B models translate better than NLLB-54B and GPT-3.5.",
            reported="Superior to NLLB-54B and GPT-3.5-text-davinci-003 (abstract, no number).",
            out_of_scale="compares released systems on real test sets.",
        ),
        Claim(
            id="little-data",
            statement="Less than a billion tokens of stage 2 are enough.",
            reported="Less than 1B training data (abstract).",
            out_of_scale="the miniature's language has a thousand sentences.",
        ),
    ),
    checks=(
        Check(
            id="alignment-is-read",
            statement="What helps in stage 2 is the alignment: as many tokens with others' translations help less.",
            **{**_MEASURED, "null": None},
            control="shuffled",
        ),
    ),
    premises=tuple(
        Premise(id=id, statement=statement, metric=metric, variant=variant, at_least=least)
        for id, (variant, metric, least, statement) in _PREMISES.items()
    ),
    official_code=None,
    licence_note="No official code. Llama 2 has a licence of its own; News Commentary and the WMT tests are free for "
    "research.",
    seeds=(45, 46, 47, 48, 49),
    minutes=15,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("extend_vocabulary", "make_interlinear", "pack", "translation_prompt"),
)
