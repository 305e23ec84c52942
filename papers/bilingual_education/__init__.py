"""Bilingual education: does a grader of pupils' answers treat English, Spanish and Spanglish alike?"""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Territories are drawn, with all that is asked about them and both answers; seeds draw the answers to learn from, and
# wordings and mistakes everywhere. Less than three points of accuracy would change nobody's grade.
_DRAWN: dict[str, Any] = {"unit": "territory", "smallest": 0.03}
_SEEDS: dict[str, Any] = {"smallest": 0.03, "null": "by_lot", "premises": ("knows",)}
_LEARNT: dict[str, Any] = {**_DRAWN, **_SEEDS}
_BIAS = "Pre-trained models show significant bias: Spanglish is graded worse than English and Spanish (abstract; H1)."
_BETTER = (
    "Fine-tuned with bilingual data, Llama 3.1 and Mistral NeMo are significantly better in all three languages "
    "(abstract; H2)."
)
_NAMES = {"en": "English", "es": "Spanish", "sp": "Spanglish"}

PAPER = Paper(
    slug="bilingual_education",
    title="Improving Bilingual Capabilities of Language Models to Support Diverse Linguistic Practices in Education",
    authors="Anand Syamkumar, Nora Tseng, Kaycie Barron, Shanglin Yang, Shamya Karumbaiah, Rheeya Uppal, Junjie Hu",
    year=2024,
    venue="arXiv",
    arxiv="2411.04308",
    family="evaluation",
    summary="Grades the same pupils' answers in English, Spanish and Spanglish: a few graded answers in several "
    "languages make a multilingual model right more often in all of them.",
    claims=(
        *(
            Claim(
                id=f"bilingual-helps-{name.lower()}",
                statement=f"Tuned on 300 graded answers in English, Spanish and Spanglish, a grader is right more "
                f"often about {name} answers than the same model untuned.",
                reported=_BETTER,
                metric=f"accuracy_{code}", treatment="bilingual", control="zero", **_LEARNT,
            )
            for code, name in reversed(_NAMES.items())
        ),
        Claim(
            id="spanish-helps-english",
            statement="Tuned on Spanish answers alone, it is right more often about English ones than untuned.",
            reported="Llama-3.1-8B on the English test: 0.826 as it is, 0.960 tuned on 150 Spanish answers (output of "
            "the official notebook).",
            metric="accuracy_en", treatment="spanish", control="zero", **_LEARNT,
        ),
        *(
            Claim(
                id=f"zero-shot-bias-{name.lower()}",
                statement=f"Untuned, it is right less often about Spanglish answers than about the same in {name}.",
                reported=_BIAS,
                metric="accuracy_sp", treatment="zero", control="zero", control_metric=f"accuracy_{code}",
                better="lower", premises=("untuned-ranks",), **_DRAWN,
            )
            for code, name in list(_NAMES.items())[:2]
        ),
        Claim(
            id="real-size",
            statement="Llama 3.1 8B and Mistral NeMo 12B, tuned, beat themselves and proprietary models that are "
            "prompted.",
            reported=f"{_BETTER} Bilingual tuning beats prompting (secondary source).",
            out_of_scale="Needs the official data (no licence), a GPU and the hub: preset `paper`.",
        ),
    ),
    checks=(
        Check(
            id="bilingual-narrows-gap",
            statement="Tuned in all three, its best language is less ahead of its worst than untuned.",
            metric="gap", treatment="bilingual", control="zero", better="lower", **_SEEDS,
        ),
        *(
            Check(
                id=f"beats-nearest-name-{name.lower()}",
                statement=f"Tuned in all three and not asked about cities, it is right more often about {name} answers "
                "than one who accepts what is right of the fact with the nearest name.",
                metric=f"no_city_{code}", treatment="bilingual", control="bilingual",
                control_metric=f"neighbour_{code}", **_LEARNT,
            )
            for code, name in _NAMES.items()
        ),
        *(
            Check(
                id=f"bilingual-ranks-{name.lower()}",
                statement=f"Tuned in all three, it likes the right one of a fact's two {name} answers better more "
                "often than untuned.",
                metric=f"ranked_{code}", treatment="bilingual", control="zero", **_LEARNT,
            )
            for code, name in _NAMES.items()
        ),
        *(
            Check(
                id=f"untuned-ranks-spanglish-below-{name.lower()}",
                statement="Untuned, it likes the right one of a fact's two answers better less often in Spanglish than "
                f"in {name}.",
                metric="ranked_sp", treatment="zero", control="zero", control_metric=f"ranked_{code}",
                better="lower", premises=("untuned-ranks",), **_DRAWN,
            )
            for code, name in list(_NAMES.items())[:2]
        ),
        Check(
            id="worst-language",
            statement="Tuned in all three, its worst language is better than that of the same tuned on as many "
            "English, or Spanish, answers.",
            metric="worst", treatment="bilingual", control=("english", "spanish"), **_SEEDS,
        ),
        Check(
            id="spanglish-worst-language",
            statement="So is the worst language of one that is tuned on Spanglish alone.",
            metric="worst", treatment="spanglish", control=("english", "spanish"), **_SEEDS,
        ),
        Check(
            id="bilingual-mends-spanglish",
            statement="Tuned in all three, it is right more often about Spanglish answers than tuned on as many "
            "English ones.",
            metric="accuracy_sp", treatment="bilingual", control="english", **_LEARNT,
        ),
        Check(
            id="english-loses-spanglish",
            statement="Tuned on English, it is right less often about Spanglish than about English.",
            metric="accuracy_sp", treatment="english", control="english", control_metric="accuracy_en",
            better="lower", **_LEARNT,
        ),
        Check(
            id="spanish-loses-spanglish",
            statement="Tuned on Spanish, it is right less often about Spanglish than about Spanish.",
            metric="accuracy_sp", treatment="spanish", control="spanish", control_metric="accuracy_es",
            better="lower", **_LEARNT,
        ),
        Check(
            id="more-answers",
            statement="With all answers in all three, three times as many, it is better on average.",
            metric="mean", treatment="tripled", control="bilingual", **_SEEDS,
        ),
        Check(
            id="untuned-rejects-spanglish",
            statement="Untuned, with one threshold for all, it rejects more acceptable Spanglish answers than English.",
            metric="rejected_sp", treatment="zero", control="zero", control_metric="rejected_en", **_DRAWN,
        ),
        Check(
            id="english-rejects-spanglish",
            statement="So it does tuned on English.",
            metric="rejected_sp", treatment="english", control="english", control_metric="rejected_en", **_LEARNT,
        ),
        Check(
            id="calibration-stays-at-home",
            statement="Tuned and calibrated on English, its probabilities are further from shares in Spanglish.",
            metric="ece_sp", treatment="english", control="english", control_metric="ece_en", **_SEEDS,
        ),
        Check(
            id="mixing-costs",
            statement="Tuned on English, it is right less often about English answers whose words are all replaced "
            "by Spanish ones.",
            metric="mixed", treatment="english", control="english", control_metric="unmixed", better="lower",
            **_LEARNT,
        ),
        Check(
            id="mixing-costs-beyond-spanish",
            statement="These it grades rightly less often than the same in Spanish.",
            metric="mixed", treatment="english", control="english", control_metric="translated", better="lower",
            **_LEARNT,
        ),
        Check(
            id="beyond-facts",
            statement="What it has learnt from facts about the world grades answers to science questions better than "
            "chance.",
            metric="science", treatment="tripled", control=0.5, unit="question", smallest=0.03, null="by_lot",
        ),
        Check(
            id="smollm2-bias",
            statement="SmolLM2-135M, untuned, likes the right one of a fact's two answers less often in Spanglish than "
            "in English.",
            metric="ranked_sp", treatment="smollm2", control="smollm2", control_metric="ranked_en",
            better="lower", premises=("smollm2-ranks",), **_DRAWN,
        ),
    ),
    premises=(
        Premise(id="knows", statement="The model knows the facts: tuned and tested in English, it is right.",
                metric="accuracy_en", variant="english", at_least=0.6),
        Premise(id="untuned-ranks", statement="Untuned, it likes the right one of a fact's two answers better.",
                metric="ranked_en", variant="zero", at_least=0.52),
        Premise(id="smollm2-ranks", statement="SmolLM2 likes the right one of a fact's two answers better.",
                metric="ranked_en", variant="smollm2", at_least=0.52),
    ),
    official_code="https://github.com/asr9koa/Code-switching-lak",
    licence_note="The official code and data have no licence: they may be read from your own copy, not passed on. "
    "Llama 3.1 and Mistral NeMo: their own terms.",
    seeds=(71, 72, 73, 74, 75),
    minutes=4,
)  # fmt: skip

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("Mixed", "Mixer", "leaked", "read_answers", "read_conditions"),
    graders=("EncoderGrader", "LanguageGrader", "load_grader"),
    method=("Answer", "calibrate", "condition", "disparity", "gap", "margins", "parse", "prompt", "training_rows"),
)
