"""TransliCo: an encoder that is tuned on sentences and their transliterations reads relatives alike in any script."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Over the languages in Cyrillic, the tuned encoder against the one that it was made from; and, since this loss
# helps by itself, against one that was tuned with wrong partners.
_FULL: dict[str, Any] = {"treatment": "full", "unit": "language", "smallest": 0.01}
_TUNED: dict[str, Any] = {**_FULL, "control": "source"}
_BOTH: dict[str, Any] = {**_FULL, "control": ("source", "shuffled")}
_ABLATION: dict[str, Any] = {**_FULL, "premises": ("retrieves",), "null": "shuffled"}

PAPER = Paper(
    slug="translico",
    title=(
        "TransliCo: A Contrastive Learning Framework to Address the Script Barrier in Multilingual Pretrained Language "
        "Models"
    ),
    authors="Yihong Liu, Chunlan Ma, Haotian Ye, Hinrich Schütze",
    year=2024,
    venue="ACL 2024",
    arxiv="2401.06620",
    family="encoders",
    summary=(
        "Tunes a multilingual encoder for a while on sentences and their romanisations, pulled together against all "
        "others of the batch: related languages are read alike in whatever script they are written."
    ),
    claims=(
        Claim(
            id="aligns-scripts",
            statement="Tuned on sentences and their transliterations, the encoder finds more translations between "
            "related languages in different scripts than before, and than with wrong transliterations.",
            reported='"Better aligns representations from distinct scripts" (abstract); SR-B and SR-T measure it.',
            metric="acc1_cross",
            premises=("retrieves",),
            **_BOTH,
        ),
        Claim(
            id="aligns-spellings",
            statement="Of sentences that were not tuned on, the nearest transliteration is more often their own.",
            reported='"Better aligns representations from distinct scripts" (abstract).',
            metric="acc1_own",
            null="shuffled",
            **_TUNED,
        ),
        Claim(
            id="margin",
            statement="The cosine of a sentence and its own transliteration lies further above that with others'.",
            reported='"Better aligns representations from distinct scripts" (abstract).',
            metric="margin_own",
            null="shuffled",
            **_TUNED,
        ),
        Claim(
            id="transfers",
            statement="Fine-tuned on names in Latin script, the tuned encoder classifies names in Cyrillic better than "
            "before, and than with wrong transliterations.",
            reported='"Outperforms the original Glot500-m on various zero-shot crosslingual transfer tasks" (abstract)',
            metric="f1_cross",
            premises=("classifies",),
            **_BOTH,
        ),
        Claim(
            id="needs-contrast",
            statement="The contrast is needed: masked language modelling alone, on sentences and their "
            "transliterations, finds fewer translations across scripts.",
            reported="An ablation confirms that both losses are needed (as summarised by others; the tables were not "
            "available to us).",
            metric="acc1_cross",
            control="mlm_both",
            # Without a null arm: contrasting with wrong partners loses less than modelling alone, see the claims above.
            **{**_ABLATION, "null": None},
        ),
        Claim(
            id="needs-modelling",
            statement="Masked language modelling is needed: the contrast alone finds fewer of these translations.",
            reported="An ablation confirms that both losses are needed (as summarised by others).",
            metric="acc1_cross",
            control="tcm_only",
            **_ABLATION,
        ),
        Claim(
            id="one-group",
            statement="Tuned on one group of relatives alone, South Slavic, the encoder finds more translations across "
            "scripts in that group than before, and than all groups with wrong transliterations.",
            reported='"Consistent improvement in a case study on the Indic group" (abstract).',
            metric="acc1_group",
            **{**_ABLATION, "treatment": "group", "control": ("source", "shuffled"), "null": None},
        ),
    ),
    checks=(
        Check(
            id="keeps-latin-script",
            statement="Among languages in Latin script at most two points of accuracy@1 are lost.",
            metric="acc1_latin",
            keeps=True,
            size=0.02,
            **_TUNED,
        ),
        Check(
            id="gap-narrows",
            statement="Translations across scripts lie closer behind those within Latin script.",
            metric="gap",
            better="lower",
            **{**_TUNED, "premises": ("retrieves",), "null": "shuffled"},
        ),
        Check(
            id="less-script",
            statement="Script explains less of the variance of vectors of sentences and their transliterations.",
            metric="script_share",
            better="lower",
            **_TUNED,
        ),
    ),
    premises=(
        Premise(
            id="retrieves",
            statement="The untuned encoder finds translations between languages in Latin script.",
            metric="acc1_latin",
            variant="source",
            at_least=0.2,
        ),
        Premise(
            id="classifies",
            statement="The untuned encoder, fine-tuned on languages in Latin script, classifies names of those.",
            metric="f1_latin",
            variant="source",
            at_least=0.6,
        ),
    ),
    official_code="https://github.com/cisnlp/TransliCo",
    licence_note="Glot500 is Apache-2.0; the official code carries no licence.",
    seeds=(36, 37, 38, 39, 40),
    minutes=11,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("finetune", "pair", "tune", "nt_xent", "TransliCo", "TwoSides"),
    barrier=("script_barrier",),
)
