"""Form against meaning: does a model link a word to what it means in its language, or to what it looks like?"""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# English words are drawn, each with all its languages; seeds draw which are asked, and wordings. Less than five points
# of accuracy would be of no use to anyone. The null arm guesses (.5): it stands in where the control is a number, and
# not beside an arm that may lie below guessing.
_WORDS: dict[str, Any] = {"treatment": "e5", "unit": "item", "smallest": 0.05, "null": "exchanged"}
_LABELS: dict[str, Any] = _WORDS | {"control": 0.5, "premises": ("labels-at-all",)}


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
    "friends, which do not. Form is crossed with meaning, so that a model that follows form shows. In miniature a "
    "multilingual encoder answers, by cosine.",
    claims=(
        Claim(
            id="form-over-meaning",
            statement="A word that looks English and means something else is given the English meaning: less than half "
            "of the false friends get their own definition.",
            reported="Models rely on orthography rather than on meaning for interlingual homographs, often below "
            "random (abstract).",
            **_WORDS
            | {"metric": "word_false", "control": 0.5, "better": "lower"}
            | {"premises": ("english-known", "language-known")},
        ),
        Claim(
            id="false-friends-below-chance",
            statement="Of pairs of false friends less than half are told from pairs with the same meaning.",
            reported="Accuracy on interlingual homographs is often below random (abstract).",
            **_LABELS | {"metric": "label_false", "better": "lower"},
        ),
        Claim(
            id="cognates-recognised",
            statement="Of pairs of cognates more than half are said to mean the same.",
            reported="Cognates are recognised well in isolation by some models (abstract).",
            **_LABELS | {"metric": "label_cognate"},
        ),
        Claim(
            id="translations-recognised",
            statement="Of translations that look different more than half are said to mean the same, where the same "
            "begins at the mean over as many true as false pairs, half of these of like form.",
            reported="Non-cognates are recognised well in isolation by some models (abstract).",
            **_LABELS | {"metric": "label_translation"},
        ),
        Claim(
            id="labels-do-not-tell-meaning",
            statement="Whether a pair is labelled rightly does not go with whether both of its words are given their "
            "definitions: the correlation over pairs lies within .2 of zero.",
            reported="Isolated disambiguation does not correlate with semantic judgement (abstract).",
            metric="label",
            correlated_with="meaning",
            treatment="e5",
            control=0.0,
            better="equal",
            size=0.2,
            unit="item/language/kind",
            premises=("english-known", "labels-at-all"),
            null="by_definition",  # labels that are read off the definitions have to go with them
        ),
        Claim(
            id="no-unified-treatment",
            statement="In a sentence of the other language, a non-English homograph is given the sense of the "
            "sentence's language more often than an English one, of pairs that do not make one text.",
            reported="In incongruent sentences, strategies differ between English and non-English homographs "
            "(abstract); the direction is ours.",
            **_WORDS
            | {"metric": "mixed_word_differ", "control": "e5", "control_metric": "mixed_english_differ", "null": None}
            | {"premises": ("sentence-read",)},
        ),
        Claim(
            id="five-models",
            statement="So it is for five models of 7 to 13 billion parameters on 1,260 pairs, by written replies.",
            reported="Five open models, three languages (third-party summary); tables not read.",
            out_of_scale="Needs such models and the authors' tables: preset `paper`.",
        ),
    ),
    checks=(
        _check("wrong-looks-truer", "false_truer", "A false friend is more like its English word than the word's "
               "translation is, in cosine.", control=0.0, smallest=0.01, premises=("labels-at-all",)),
        _check("sentence-counts", "own_word", "A homograph gets the sense of its language more often in a sentence of "
               "this language than in an English one.", control="e5", control_metric="other_sense", null=None),
        _check("labels-do-not-tell-meaning-within", "label_within", "Within kinds too, whether a pair is labelled "
               "rightly does not go with whether both of its words are given their definitions: less the means of the "
               "kinds the correlation lies within .2 of zero.", correlated_with="meaning_within", control=0.0,
               better="equal", size=0.2, unit="item/language/kind", null="by_definition",
               premises=("english-known", "labels-at-all")),
        _check("identical-worse", "word_identical", "False friends that are written as the English word, capitals "
               "aside, get their own definition less often than those that are nearly so.", control="e5",
               control_metric="word_near", better="lower", paired=False, null=None,
               premises=("english-known", "language-known")),
        _check("sentence-alone", "mixed_word_differ", "In a sentence of the other language the non-English homograph "
               "gets the sense of that language more often also where only what the sentence adds to the word decides.",
               treatment="sentence_alone", control="sentence_alone", control_metric="mixed_english_differ", null=None,
               premises=("sentence-read",)),
        _check("form-against-no-form", "word_cognate", "Cognates get their definition more often than translations.",
               control="e5", control_metric="word_translation", paired=False, null=None),
        _check("english-words-kept", "english_false", "The English words of the same pairs get theirs, more often than "
               "their false friends do.", control="e5", control_metric="word_false", null=None),
        _check("name-of-the-language", "word_false", "Naming the language helps false friends.", control="no_language",
               null=None),
        _check("prior-matters", "word_cognate", "Without the fit of the definition alone taken off, fewer cognates get "
               "theirs.", control="no_prior"),
        _check("multilingual-encoder", "word_false", "A model that knows the languages gives more false friends theirs "
               "than one that knows English alone.", control="smollm2", null=None),
        _check("one-language-follows-form", "word_false", "A model that knows English alone gives less than half of "
               "the false friends their own definition.", treatment="smollm2", control=0.5, better="lower", null=None,
               premises=("english-known-smollm2",)),
    ),
    premises=(
        Premise(
            id="language-known",
            statement="The model gives translations, which do not look English, their definitions (guessing: 0.5).",
            metric="word_translation",
            variant="e5",
            at_least=0.6,
        ),
        Premise(
            id="labels-at-all",
            statement="The model knows the words: it finds translations truer than unrelated pairs, whose forms are "
            "as alike, more often than form alone or guessing does (difference).",
            metric="told_beyond_form",
            variant="e5",
            at_least=0.1,
        ),
        Premise(
            id="sentence-read",
            statement="In a sentence of its own language a homograph gets the sense of this language (guessing: 0.5).",
            metric="own_word",
            variant="e5",
            at_least=0.6,
        ),
        Premise(
            id="english-known",
            statement="The model gives English words their definitions (guessing: 0.5).",
            metric="english_cognate",
            variant="e5",
            at_least=0.6,
        ),
        Premise(
            id="english-known-smollm2",
            statement="SmolLM2 gives English words their definitions (guessing: 0.5).",
            metric="english_cognate",
            variant="smollm2",
            at_least=0.7,
        ),
    ),
    official_code="https://github.com/EshaanT/Bilingual_processing_LLMs",
    licence_note="The authors' tables have no licence: bring a copy of your own. Llama 3.1: its own terms.",
    seeds=tuple(range(81, 89)),
    minutes=12,
)  # fmt: skip

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("read_items", "stratified", "typed"),
    method=("Item", "d_prime", "form_slope", "select_negative", "similarity", "with_negatives"),
    use=("probe",),
)
