"""MultiLoKo: questions that matter in a place, asked in its language, in English, and with English ones translated."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Eleven languages are drawn, with all that is asked in them; every seed asks for other facts and trains another reader.
# Less than five points would change nobody's mind about a language.
_DRAWN: dict[str, Any] = {"unit": "language", "smallest": 0.05, "null": "nothing"}
_READERS = {
    "own": "local facts in their language alone, and English ones in English alone",
    "half": "half of its local facts in English too",
    "both": "its facts in both languages",
    "english": "local facts in English alone",
}


def _claim(id: str, metric: str, treatment: str, statement: str, reported: str, **others: Any) -> Claim:
    premises = (f"{treatment}-knows",)
    fields: dict[str, Any] = {"metric": metric, "treatment": treatment, "premises": premises, **_DRAWN} | others
    return Claim(id=id, statement=statement, reported=reported, **fields)


def _check(id: str, metric: str, treatment: str, statement: str, **others: Any) -> Check:
    arms = {treatment, *(arm for arm in (others.get("control", 0.0),) if arm in _READERS)}
    premises = tuple(f"{arm}-knows" for arm in _READERS if arm in arms)
    fields: dict[str, Any] = {"metric": metric, "treatment": treatment, "premises": premises, **_DRAWN} | others
    return Check(id=id, statement=statement, **fields)


_REAL = "Needs the benchmark (gated) and models of 70 billion parameters and more: preset `paper`."

PAPER = Paper(
    slug="multiloko",
    title="MultiLoKo: a multilingual local knowledge benchmark for LLMs spanning 31 languages",
    authors="Dieuwke Hupkes, Nikolay Bogoychev",
    year=2025,
    venue="arXiv",
    arxiv="2504.10356",
    family="evaluation",
    summary="Asks what matters where a language is spoken, in that language and in English, and English questions in "
    "every language: differences of averages say how far languages are apart and in which one a fact is at hand.",
    claims=(
        _claim(
            "mother-tongue-effect", "mte", "own",
            "A reader that has read local facts in their language alone answers them in it and not in English: its "
            "mother-tongue effect is above 0; that of one who has read nothing true is not.",
            "MTE above 0 for 8 of 11 models: Llama 3.1 405B +5.57 ± 1.6, Gemini 2.0 Flash +5.74 ± 2.0 points (README, "
            "test split).",
        ),
        _claim(
            "english-is-the-way", "mte", "english",
            "The effect is below 0 for a reader that has read local facts in English alone.",
            "MTE below 0 for weaker models: Mixtral-8x22B -1.64 ± 2.9, its chat model -5.74 ± 2.0 (README).",
            better="lower",
        ),
        _claim(
            "locality-effect", "le", "own",
            "English questions in translation underestimate what a reader of local facts knows in its languages, by "
            "more than 20 points.",
            "Local and English-translated data differ by more than 20 points for the best models (abstract).",
            size=0.20,
        ),
        _claim(
            "parity-is-poor", "gap", "own",
            "Best and worst language of a reader whose languages know unequal shares of their facts are further apart "
            "than the choice of questions would put equal languages.",
            "Gaps of 33.6 (Llama 3.1 405B) to 43.2 points (GPT-4o) at averages of 31 (README).",
            control="own", control_metric="gap_of_equals", unit="seed",
        ),
        Claim(
            id="no-model-is-good",
            statement="The best models answer less than a third of the questions.",
            reported="Llama 3.1 405B 31.03 ± 2.8, GPT-4o 30.97 ± 3.5, Gemini 2.0 Flash 30.61 ± 2.9 (README).",
            out_of_scale=_REAL,
        ),
        Claim(
            id="machine-translation-lowers-scores",
            statement="With machine in place of human translations every model scores lower; the order of languages "
            "changes little, that of models more.",
            reported="A substantial drop of every model's score (abstract).",
            out_of_scale=f"Our machine errs because and as often as we say, in all languages alike. {_REAL}",
        ),
    ),
    checks=(
        _check("no-effect-where-none-is", "mte", "both", "A reader that knows its facts in both languages has a "
               "mother-tongue effect within 10 points of 0.", better="equal", size=0.10, null=None),
        _check("half-is-less", "mte", "half", "The effect is smaller where half of the facts are known in English too.",
               control="own", better="lower", null=None),
        _check("half-is-more", "mte", "half", "It is larger there than where all are.", control="both"),
        _check("found-as-set", "mte_far", "own", "In languages of another script the effect is within 10 points of "
               "what the reader was given to read.", control="own",
               control_metric="mte_far_truth", better="equal", size=0.10,
               null=None),
        _check("shared-names-carry-over", "mte_near", "own", "In languages whose names are written alike in English it "
               "is smaller than what the reader was given to read.", control="own", control_metric="mte_near_truth",
               better="lower", null=None),
        _check("machine-loss-as-set", "machine_loss", "both", "What a machine that takes every third name for another "
               "costs in English is within 5 points of what it had to cost.", control="both",
               control_metric="machine_loss_truth", better="equal", size=0.05, null=None),
        _check("machine-makes-an-effect", "mte_machine", "both", "Machine translation makes a mother-tongue effect "
               "for a reader that has none."),
        _check("same-questions", "overlap", "both", "More of what is known in either language is known in both than "
               "for the readers of none or half of it in both.", control=("own", "half"),
               premises=("own-knows", "half-knows", "both-knows")),
        _check("scorer-makes-a-gap", "gap_initial", "both", "With the first official scorer, which keeps the Japanese "
               "copula, languages are further apart than with the current one, by the same answers.", control="both",
               control_metric="gap_current", unit="seed"),
        _check("smollm2-is-uneven", "gap", "smollm2", "SmolLM2-135M, of no known reading, has a gap beyond that "
               "of equal languages too.", control="smollm2", control_metric="gap_of_equals", unit="seed"),
    ),
    premises=tuple(
        Premise(id=f"{arm}-knows", statement=f"The reader of {what} answers what it has read.", metric="known",
                variant=arm, at_least=0.8)
        for arm, what in _READERS.items()
    ),
    minutes=12,
    official_code="https://github.com/facebookresearch/multiloko",
    licence_note="The official code and data are MIT; the data are encrypted or gated, and the authors ask not to "
    "mirror them. ISO 3166-2 names come from pycountry (LGPL-2.1). Llama 3.1: its own terms.",
    seeds=(41, 42, 43, 44, 45),
)  # fmt: skip

__getattr__, __dir__, __all__ = public(
    __name__,
    answers=("answer_variants", "language_of", "normalise", "score"),
    method=("Diagnosis", "Effect", "Parity", "consistency", "diagnose", "gap_of_equals", "locality", "mother_tongue",
            "parity", "set_name", "translation"),
    reporting=("Report", "audit", "report"),
)  # fmt: skip
