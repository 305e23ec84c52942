"""Form against meaning: does a model link a word to what it means in its language, or to what it looks like?"""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Words are drawn in three languages; seeds draw demonstrations and wordings. Less than five points of accuracy would be
# of no use to anyone.
_WORDS: dict[str, Any] = {"treatment": "smollm2", "unit": "language/item", "smallest": 0.05, "null": "exchanged"}
_KNOWN = ("english-known",)


def _check(id: str, metric: str, statement: str, **others: Any) -> Check:
    return Check(id=id, metric=metric, statement=statement, **_WORDS | others)


PAPER = Paper(
    slug="orthography_semantics",
    title="Multilingual LLMs Struggle to Link Orthography and Semantics in Bilingual Word Processing",
    authors="Eshaan Tanwar, Gayatri Oke, Tanmoy Chakraborty",
    year=2025,
    venue="arXiv",
    arxiv="2501.09127",
    family="evaluation",
    summary="Asks models about words that look alike in two languages: cognates, which mean the same, and false "
    "friends, which do not. Form is crossed with meaning, so that a model that follows form shows.",
    claims=(
        Claim(
            id="false-friends-below-chance",
            statement="Of pairs of false friends less than half are told from pairs with the same meaning.",
            reported="Accuracy on interlingual homographs is often below random (abstract).",
            **_WORDS | {"metric": "label_false", "control": 0.5, "better": "lower"},
        ),
        Claim(
            id="cognates-recognised",
            statement="Of pairs of cognates more than half are said to mean the same.",
            reported="Cognates are recognised well in isolation by some models (abstract).",
            **_WORDS | {"metric": "label_cognate", "control": 0.5},
        ),
        Claim(
            id="translations-recognised",
            statement="Of translations that look different more than half are said to mean the same.",
            reported="Non-cognates are recognised well in isolation by some models (abstract).",
            **_WORDS | {"metric": "label_translation", "control": 0.5},
        ),
        Claim(
            id="labels-do-not-tell-meaning",
            statement="Whether a pair is labelled rightly does not go with whether both of its words are given their "
            "definitions: the correlation over pairs lies within .2 of zero.",
            reported="Isolated disambiguation does not correlate with semantic judgement (abstract).",
            metric="label",
            correlated_with="meaning",
            treatment="smollm2",
            control=0.0,
            better="equal",
            size=0.2,
            unit="language/item/kind",
            premises=_KNOWN,
        ),
        Claim(
            id="no-unified-treatment",
            statement="In a sentence of the other language, a non-English homograph is given the sense of the "
            "sentence's language more often than an English one.",
            reported="In incongruent sentences, strategies differ between English and non-English homographs "
            "(abstract); the direction is ours.",
            **_WORDS | {"metric": "mixed_word", "control": "smollm2", "control_metric": "mixed_english", "null": None},
        ),
        Claim(
            id="five-models",
            statement="So it is for five models of 7 to 13 billion parameters on 1,260 pairs, by written replies.",
            reported="Five open models, three languages (third-party summary); tables not read.",
            out_of_scale="Needs such models and the authors' tables: preset `paper`.",
        ),
    ),
    checks=(
        _check("wrong-looks-truer", "truth_false", "A false friend of an English word is more likely to be labelled "
               "True than the word's own translation, by log-odds.", control="smollm2",
               control_metric="truth_translation",
               smallest=0.1),
        _check("false-friends-misread", "word_false", "A word that looks English is given the English meaning: less "
               "than half of the false friends get their own definition.", control=0.5, better="lower",
               premises=_KNOWN),
        _check("cognates-read", "word_cognate", "At least three of four cognates get their definition.", control=0.75,
               premises=_KNOWN),
        _check("form-against-no-form", "word_cognate", "Cognates get their definition more often than translations.",
               control="smollm2", control_metric="word_translation", paired=False),
        _check("english-words-kept", "english_false", "The English words of the same pairs get theirs, four of five.",
               control=0.8, premises=()),
        _check("name-of-the-language", "word_false", "Naming the language helps false friends.", control="no_language"),
        _check("prior-matters", "word_cognate", "Without the likelihood of the definition alone taken off, fewer "
               "cognates get theirs.", control="no_prior"),
        _check("translations-shown", "label_translation", "Demonstrations of all kinds, not of forms that are "
               "alike alone, raise the share of translations that are recognised.", treatment="all_shown",
               control="smollm2"),
        _check("multilingual-encoder", "word_false", "A multilingual encoder gives more false friends theirs.",
               treatment="e5", control="smollm2"),
        _check("meaning-beside-form", "label_unrelated", "Unrelated words are told apart more often.",
               control="smollm2", control_metric="label_false"),
    ),
    premises=(
        Premise(
            id="english-known",
            statement="The model gives English words their definitions (guessing: 0.5).",
            metric="english_cognate",
            variant="smollm2",
            at_least=0.8,
        ),
    ),
    official_code="https://github.com/EshaanT/Bilingual_processing_LLMs",
    licence_note="The authors' tables have no licence: bring a copy of your own. Llama 3.1: its own terms.",
    seeds=(20, 21, 22, 23, 24),
    minutes=6,
)  # fmt: skip

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("read_items", "stratified", "typed"),
    method=("Item", "d_prime", "form_slope", "select_negative", "similarity", "with_negatives"),
    use=("probe",),
)
