"""Vega-MT: all directions first, then the wanted one; cycle translation, self-training both ways, generalisation."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Every seed draws its languages, numbers and weights; half a BLEU would be of no use to anyone.
_MEASURED: dict[str, Any] = {"metric": "bleu", "unit": "language", "smallest": 0.5}
# Three times the BLEU of writing another line's translation, and more: what the updates are enough for.
_PREMISES: dict[str, Any] = {
    "past-its-jump": ("uni", "bleu", 50.0, "Training on one direction alone learns to translate (BLEU)."),
    "translates": ("both", "bleu", 50.0, "The model that labels text, and is tuned further, translates (BLEU)."),
    "knows-the-domains": ("both", "general", 50.0, "Before the last tuning the domains are translated, too (BLEU)."),
}
_UNREAD = "the numbers of single components could not be read for this page"

PAPER = Paper(
    slug="vega_mt",
    title="Vega-MT: The JD Explore Academy Translation System for WMT22",
    authors=(
        "Changtong Zan, Keqin Peng, Liang Ding, Baopu Qiu, Boan Liu, Shwai He, Qingyu Lu, Zheng Zhang, Chuang Liu, "
        "Weifeng Liu, Yibing Zhan, Dacheng Tao"
    ),
    year=2022,
    venue="WMT 2022",
    arxiv="2209.09444",
    family="translation",
    summary=(
        "Trains one encoder-decoder on all directions of all pairs before the one that is wanted; text of one language "
        "is cleaned by a round trip and pseudo-translated both ways, and a last short tuning covers several domains."
    ),
    claims=(
        Claim(
            id="multidirectional",
            statement="At equal updates, training on all directions of all pairs first and on the wanted one then "
            "translates better than training on the wanted direction alone.",
            reported=f"All participating languages, to transfer their common knowledge (abstract; {_UNREAD}).",
            treatment="multi",
            control="uni",
            null="shuffled",
            premises=("past-its-jump",),
            **_MEASURED,
        ),
        Claim(
            id="more-than-both-ways",
            statement="It translates better than beginning with both directions of the pair.",
            reported=f"Scales bidirectional training up to all languages (abstract; {_UNREAD}).",
            treatment="multi",
            control="bi",
            null="shuffled",
            premises=("past-its-jump",),
            **_MEASURED,
        ),
        Claim(
            id="self-training",
            statement="Pseudo pairs of both kinds beside the genuine ones give better translations than as many "
            "further updates on the genuine ones.",
            reported=f"Bidirectional self-training exploits bilingual and monolingual data (abstract; {_UNREAD}).",
            treatment="self_training",
            control="genuine",
            null="pseudo_shuffled",
            premises=("translates",),
            **_MEASURED,
        ),
        Claim(
            id="cycle-translation",
            statement="Where two lines of five are damaged, cleaning them by a round trip makes self-training better.",
            reported=f"Cycle translation for monolingual data (abstract; {_UNREAD}).",
            treatment="cycled",
            control="noisy",
            null="pseudo_shuffled",
            premises=("translates",),
            **_MEASURED,
        ),
        Claim(
            id="generalisation",
            statement="A short tuning on a few pairs of several domains translates the domains better in the mean than "
            "no tuning, and than as much tuning on as many pairs of one of them.",
            reported=f"Generalization tuning adapts to the general domain of the test set (abstract; {_UNREAD}).",
            treatment="general",
            control=("both", "general_single"),
            null="general_shuffled",
            premises=("translates", "knows-the-domains"),
            **{**_MEASURED, "metric": "general"},
        ),
        Claim(
            id="larger",
            statement="A model of 4.7 billion parameters translates better than Transformer-Big.",
            reported=f"Transformer-Big is scaled up to nearly 4.7 billion parameters (abstract; {_UNREAD}).",
            out_of_scale="Needs the data of WMT22 and 4.7 billion parameters.",
        ),
        Claim(
            id="first-places",
            statement="First places among the constrained systems of WMT22.",
            reported="sacreBLEU 33.5 Zh-En, 49.7 En-Zh, 33.7 De-En, 37.8 En-De, 54.9 Cs-En, 41.4 En-Cs, 32.7 En-Ru, "
            "each the first; 45.1 Ru-En and 25.6 Ja-En the second; 41.5 En-Ja the third (abstract).",
            out_of_scale="Compares systems of that year on its test sets; the weights cannot be had.",
        ),
    ),
    checks=(
        Check(
            id="both-ways",
            statement="Beginning with both directions of the pair, the authors' earlier recipe, is better than one "
            "direction alone, though it has no more pairs.",
            treatment="bi",
            control="uni",
            premises=("past-its-jump",),
            **_MEASURED,
        ),
        Check(
            id="pairs-held-equal",
            statement="All directions first is better even where all bitexts together hold as many pairs as the one of "
            "the direction alone.",
            treatment="equal_pairs",
            control="uni",
            premises=("past-its-jump",),
            **_MEASURED,
        ),
        Check(
            id="both-kinds",
            statement="Pseudo pairs of both kinds are better than of either kind, for as many updates.",
            treatment="self_training",
            control=("forward", "backward"),
            null="pseudo_shuffled",
            premises=("translates",),
            **_MEASURED,
        ),
        Check(
            id="damage-is-seen",
            statement="The score of the round trip tells damaged lines from sound ones: the area under the curve is at "
            "least .3 above chance.",
            metric="auc",
            treatment="cycled",
            control=0.5,
            size=0.3,
            unit="language",
            smallest=0.05,
            premises=("translates",),
        ),
        Check(
            id="more-than-length",
            statement="It tells more than how long a line is.",
            metric="auc",
            treatment="cycled",
            control="cycled",
            control_metric="length_auc",
            unit="language",
            smallest=0.05,
            premises=("translates",),
        ),
        Check(
            id="breadth-kept",
            statement="Numbers, on which all else was trained, lose at most two BLEU by generalisation tuning.",
            treatment="general",
            control="both",
            keeps=True,
            size=2.0,
            premises=("translates",),
            **_MEASURED,
        ),
        Check(
            id="averaging-keeps",
            statement="Numbers are translated better where the tuned model is averaged with the one before.",
            treatment="general_averaged",
            control="general",
            premises=("translates",),
            **_MEASURED,
        ),
        Check(
            id="ensemble",
            statement="The checkpoints after each phase that are best together on development numbers translate better "
            "than the last one.",
            treatment="ensemble",
            control="multi",
            **_MEASURED,
        ),
    ),
    premises=tuple(
        Premise(id=id, statement=statement, metric=metric, variant=variant, at_least=least)
        for id, (variant, metric, least, statement) in _PREMISES.items()
    ),
    official_code="https://github.com/JDEA-NLP/Vega-MT",
    licence_note="The official repository holds an inference script without a licence; its weights cannot be had.",
    seeds=(0, 1, 2, 3, 4, 5),
    minutes=14,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("Ensemble", "bidirectional_pseudo", "cycle_translate", "directions", "greedy_ensemble", "mixed", "shares"),
    punctuation=("half_to_full",),
)
