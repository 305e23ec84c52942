"""MuRIL: masked words of translations and of transliterations tie India's languages and scripts together."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Over languages. `shuffled` gives every pair the second side of another one. It is a control beside text alone:
# its rows are as long as those of the method, and its shares of languages the same.
_TIED: dict[str, Any] = {"unit": "language", "smallest": 0.05, "null": "shuffled", "premises": ("learns",)}
_MBERT: dict[str, Any] = {**_TIED, "treatment": "muril", "control": ("mlm", "shuffled")}
# Zero-shot transfer takes a task for granted that is learnt in English.
_TAUGHT: dict[str, Any] = {**_MBERT, "premises": ("learns", "tells")}
_BEATS = "Better than mBERT on every task of XTREME in Indian languages, zero-shot from English (abstract)."
_LATIN = "Also on transliterated test sets (abstract)."
_SCALE = "Needs BERT-base trained for a million steps: preset `paper`."

PAPER = Paper(
    slug="muril",
    title="MuRIL: Multilingual Representations for Indian Languages",
    authors="Simran Khanuja et al.",
    year=2021,
    venue="arXiv preprint",
    arxiv="2103.10730",
    family="encoders",
    deeds=("train",),
    summary=(
        "Pre-trains a BERT on text, translations and transliterations of India's languages: words masked in one "
        "segment are predicted from the other, which ties languages and scripts together."
    ),
    claims=(
        Claim(
            id="finds-translations",
            statement="Pre-trained with both kinds of pairs, an encoder finds more English translations of text in "
            "India's scripts than after as many lines of text alone, and than with shuffled pairs.",
            reported=f"{_BEATS} Tatoeba: 25.2 against 18.4 (recalled).",
            metric="native",
            **_MBERT,
        ),
        Claim(
            id="finds-romanised-translations",
            statement="So it does for romanised text that shares too few letters with English to be told by them.",
            reported=f"{_LATIN} Tatoeba is one of them (recalled).",
            metric="unlike",
            **_MBERT,
        ),
        Claim(
            id="transfers-from-english",
            statement="A classifier of topics that saw English alone is right more often in India's scripts.",
            reported=_BEATS,
            metric="topics_native",
            **_TAUGHT,
        ),
        Claim(
            id="every-task",
            statement="Better than mBERT on seven tasks: PAN-X, UDPOS, XNLI, Tatoeba, XQuAD, MLQA, TyDiQA.",
            reported="PAN-X 77.6 against 58.0, UDPOS 75.0 against 71.2, XNLI 74.1 against 66.8 (recalled).",
            out_of_scale=_SCALE,
        ),
        Claim(
            id="fewer-pieces",
            statement="The vocabulary cuts text of India's languages into fewer pieces than mBERT's.",
            reported="Figure on fertility.",
            out_of_scale="Compares vocabularies of 197 and 120 thousand entries; `use measure` prints it for any two.",
        ),
    ),
    checks=(
        Check(
            id="transfers-to-romanised",
            statement="A classifier of topics that saw English alone is right more often in romanised text, where "
            "letters alone tell topics as well.",
            metric="topics_romanised",
            **_TAUGHT,
        ),
        Check(
            id="any-romanised-translations",
            statement="Romanised text is found whether or not letters give it away.",
            metric="romanised",
            **_MBERT,
        ),
        Check(
            id="romanised-needs-transliterations",
            statement="Without transliterations, less romanised text is found from English.",
            metric="romanised",
            treatment="muril",
            control="notlit",
            **_TIED,
        ),
        Check(
            id="romanised-needs-translations",
            statement="Without translations, too, although romanised text stands in none.",
            metric="romanised",
            treatment="muril",
            control="notrans",
            **_TIED,
        ),
        Check(
            id="native-needs-translations",
            statement="Without translations, less text in India's scripts is found from English.",
            metric="native",
            treatment="muril",
            control="notrans",
            **_TIED,
        ),
        Check(
            id="native-needs-transliterations",
            statement="Without transliterations, less text in India's scripts is found from English, although "
            "translations pair the two.",
            metric="native",
            treatment="muril",
            control="notlit",
            **_TIED,
        ),
        Check(
            id="scripts-need-transliterations",
            statement="Without transliterations, less of the romanised form of a text is found from it.",
            metric="scripts",
            treatment="muril",
            control="notlit",
            **_TIED,
        ),
        Check(
            id="across-languages",
            statement="Translations among India's languages, which no line puts side by side, are found.",
            metric="across",
            **_MBERT,
        ),
        Check(
            id="unpaired-words",
            statement="Names that stand in text and in no pair are found in translation more often.",
            metric="native_unpaired",
            **_MBERT,
        ),
        Check(
            id="unpaired-spellings",
            statement="So are their romanised forms, which stand nowhere.",
            metric="scripts_unpaired",
            **_MBERT,
        ),
        Check(
            id="more-even-shares",
            statement="More even shares of languages (exponent .3 instead of .7) find more translations.",
            metric="native",
            treatment="muril",
            control="alpha07",
            **_TIED,
        ),
    ),
    premises=(
        Premise(
            id="learns",
            statement="The loss can be learnt at this size: transliterations of measured text are found.",
            metric="scripts",
            variant="muril",
            at_least=0.2,
        ),
        Premise(
            id="tells",
            statement="Topics can be learnt from the encoder's vectors: of four, most are told in English.",
            metric="topics_english",
            variant="muril",
            at_least=0.6,
        ),
    ),
    licence_note="No code is public; the released model and CLDR's names are under Apache-2.0 and the Unicode licence.",
    seeds=(36, 37, 38, 39, 40, 41),
    minutes=13,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("Line", "upsampling", "stream", "encoded", "masking", "pretrain"),
)
