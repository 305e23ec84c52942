"""DIP: write the English gloss of every word that a dictionary has into the question, right behind the word."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Ten languages are drawn, with all that is asked in them; every seed asks other questions. Less than five points of
# accuracy would be of no use to anyone.
_DRAWN: dict[str, Any] = {
    "metric": "accuracy", "unit": "language", "smallest": 0.05, "null": "wrong", "premises": ("english-answers",),
}  # fmt: skip
_DIP: dict[str, Any] = _DRAWN | {"treatment": "interleave"}
_LARGE = "Needs models that reason in steps, and NLLB's translations of the benchmarks: preset `paper`."


def _check(id: str, treatment: str, control: str, statement: str, **others: Any) -> Check:
    return Check(id=id, statement=statement, **_DRAWN | {"treatment": treatment, "control": control} | others)


_CHECKS = (
    _check("right-glosses", "interleave", "wrong", "It is what the glosses say that helps: with those of other words "
           "fewer questions are answered.", null=None),
    _check("half-the-gap", "interleave", "none", "More is answered than halfway from the question as it is to the "
           "question in English.", control_metric="halfway"),
    _check("beside-its-word", "interleave", "shuffle", "A gloss helps more beside its own word than beside another one "
           "of the question."),
    _check("original-helps", "interleave", "replace", "Glosses help more beside the words than in their place."),
    _check("half-helps", "half", "none", "A drawn half of the dictionary's entries is better than none."),
    _check("whole-beats-half", "interleave", "half", "All entries are better than a drawn half of them."),
    _check("noisy-helps", "noisy", "none", "A dictionary of which half of the glosses are wrong is better than none."),
    _check("learnt-helps", "learnt", "none", "A dictionary whose words are learnt from parallel questions about other "
           "countries (IBM Model 1) is better than none."),
    _check("two-are-enough", "rarest", "interleave", "The two entries of a question with the rarest glosses lose at "
           "most 5 points against all.", keeps=True, size=0.05),
)  # fmt: skip

PAPER = Paper(
    slug="dip",
    title="Dictionary Insertion Prompting for Multilingual Reasoning on Multilingual Large Language Models",
    authors="Hongyuan Lu, Zixuan Li, Wai Lam",
    year=2024,
    venue="*SEM 2026",
    arxiv="2411.01141",
    family="reasoning",
    deeds=("adapt",),
    summary="Looks every word of a question up in a bilingual dictionary and writes the English word behind it, into "
    "the question: an English-centric model then answers languages that it hardly reads. Nothing is trained.",
    claims=(
        Claim(
            id="insertion-improves",
            statement="With English glosses behind its words, a question in one of ten languages is answered more "
            "often than as it stands; with the glosses of other words it is not.",
            reported='"Obviously better results" on four reasoning benchmarks in 10 to 200 languages (abstract).',
            **_DIP,
            control="none",
        ),
        Claim(
            id="interleaving-beats-prepending",
            statement="The same entries help more behind their words than in a list before the question.",
            reported="Interleaving gives a better performance than prepending, under the same dictionary (abstract).",
            **_DIP,
            control="prepend",
        ),
        Claim(
            id="interleaving-beats-appending",
            statement="The same entries help more behind their words than in a list after the question.",
            reported="Interleaving gives a better performance than appending, under the same dictionary (abstract).",
            **_DIP,
            control="append",
        ),
        Claim(
            id="better-translation",
            statement="Behind a question with glosses the model finds its English wording likelier, by nats a token, "
            "than behind the question as it stands.",
            reported="It enables better translation into English (abstract).",
            **_DIP | {"metric": "restated"},
            control="none",
        ),
        Claim(
            id="better-thinking",
            statement="Steps of thought in English become better.",
            reported="It enables better English model thinking steps (abstract).",
            out_of_scale=f"A model of 135 million parameters takes none. {_LARGE}",
        ),
        Claim(
            id="four-benchmarks",
            statement="GSM8K, AQuA, SVAMP and Date Understanding become easier in ten languages, for many models.",
            reported="Gains on all four (abstract); Kazakh 78.33 on SVAMP, 72.4 on Date Understanding (third party).",
            out_of_scale=_LARGE,
        ),
        Claim(
            id="two-hundred-languages",
            statement="So does GSM8K in about 200 languages of FLORES-200.",
            reported="200 languages on GSM8K (abstract, appendix).",
            out_of_scale=_LARGE,
        ),
    ),
    checks=_CHECKS,
    premises=(
        Premise(
            id="english-answers",
            statement="The model answers the questions in English (guessing: 0.25).",
            metric="accuracy",
            variant="english",
            at_least=0.7,
        ),
    ),
    licence_note="No code, dictionary or benchmark of the paper is public. GSM8K and SVAMP: MIT, AQuA and BIG-bench: "
    "Apache-2.0, NLLB-200: CC BY-NC 4.0, Llama 3.1: its own terms.",
    seeds=(11, 12, 13, 14, 15),
    minutes=14,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("DictionaryPrompter", "Lexicon", "Result", "parse_dictionary", "request"),
    use=("compare_placements",),
)
