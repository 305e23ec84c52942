"""XLingEval: what it costs to ask a health question in another language than English, on three axes."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Questions are drawn; every seed draws other wrong answers and samples other answers to the same questions. Less than
# two points would change nobody's choice of a language.
_DRAWN: dict[str, Any] = {"unit": "item", "smallest": 0.02}


def _claim(id: str, metric: str, statement: str, reported: str, **others: Any) -> Claim:
    fields: dict[str, Any] = {"metric": metric, "treatment": "model", "null": "even", **_DRAWN} | others
    return Claim(id=id, statement=statement, reported=reported, **fields)


def _check(id: str, metric: str, treatment: str, statement: str, **others: Any) -> Check:
    return Check(id=id, statement=statement, **{"metric": metric, "treatment": treatment, **_DRAWN, **others})


_KNOWS = ("knows-english",)

PAPER = Paper(
    slug="xlingeval",
    title="Better to Ask in English: Cross-Lingual Evaluation of Large Language Models for Healthcare Queries",
    authors="Yiqiao Jin, Mohit Chandra et al.",
    year=2023,
    venue="The Web Conference 2024",
    arxiv="2310.13132",
    family="evaluation",
    summary="Asks the same health questions in English, Spanish, Chinese and Hindi and measures what other languages "
    "cost: correctness against experts' answers, consistency of K answers, and whether right answers are told from "
    "wrong.",
    claims=(
        _claim(
            "verifiability-drops", "loss_auc", "SmolLM2-135M tells right answers from wrong ones worse in Spanish, "
            "Chinese and Hindi than in English.",
            "HealthQA, macro-F1 of GPT-3.5: en .86, es .85, zh .73 (-14.6 %), hi .65 (-23.4 %) (README).",
            premises=_KNOWS,
        ),
        _claim(
            "hindi-is-far", "loss_auc_hi", "In Hindi it loses more than 5 points of it.",
            "Verifiability 23.4 % lower in Hindi (README).", premises=_KNOWS, size=0.05,
        ),
        _claim(
            "spanish-is-near", "loss_auc_es_hi", "It loses more in Hindi than in Spanish.",
            "On every axis en >= es > zh > hi (README).", premises=_KNOWS,
        ),
        _claim(
            "fewer-right-answers", "loss_right", "Of the expert's answer, a contradiction and an unrelated one, the "
            "expert's is less often the one that the question makes likeliest outside English.",
            "18.12 points fewer answers are more comprehensive and appropriate than the expert's (README).",
        ),
        _claim(
            "more-contradictions", "loss_wrong", "The contradiction is more often that one outside English.",
            "5.82 times as many contradictory answers (README).",
        ),
        _claim(
            "less-consistent", "loss_alike", "Three answers to one question, sampled at temperature .5, are less alike "
            "outside English, beyond what answers to different questions have in common.",
            "Consistency lower by 9.1 % (es), 28.3 % (zh) and 50.5 % (hi) (README).", premises=("consistent-english",),
        ),
        Claim(
            id="temperature-changes-little",
            statement="Verifiability hardly depends on the temperature.",
            reported="HealthQA: zh .73 at all temperatures, hi .68 to .65 (figure).",
            out_of_scale="Nothing is drawn in a likelihood, and verdicts of a model of 135 million parameters are "
            "chance at any temperature: preset `paper`.",
        ),
        Claim(
            id="specialists-are-worse",
            statement="A model tuned on English medicine answers hardly any question outside English.",
            reported="MedAlpaca-30b, HealthQA: more comprehensive en 193, es 15, zh 4, hi 13 of 1,134 (figure).",
            out_of_scale="Needs MedAlpaca and a judge: preset `paper` with `--model medalpaca/medalpaca-30b`.",
        ),
    ),
    checks=(
        _check("inconsistency-is-found", "loss_alike", "uneven", "A stand-in that contradicts itself more outside "
               "English is found less consistent there.", control="even"),
        _check("questions-are-alike", "loss_auc", "e5", "A multilingual encoder finds the right answers as well in "
               "the other languages as in English, within 15 points: the questions are hardly harder there.",
               better="equal", size=0.15),
        _check("the-models-loss", "loss_auc", "model", "SmolLM2 loses more outside English than the encoder.",
               control="e5"),
        _check("overlap-falls-too", "loss_unigram", "model", "By the share of words that answers to one question have "
               "in common, nothing taken off, they are less alike outside English too.", smallest=0.05),
        _check("needs-the-question", "auc_en", "model", "It needs the question: under another one its AUC in English "
               "is lower.", control="shuffled"),
        _check("shuffled-is-chance", "auc_en", "shuffled", "Under another question its AUC in English is .5, within "
        "15 points.", control=0.5, better="equal", size=0.15),
        _check("prior-is-needed", "auc_en", "model", "Without the answer's own likelihood the AUC in English is lower.",
               control="model", control_metric="raw_auc_en"),
        _check("tokens-make-a-loss", "loss_unigram_official", "even", "Cut as the official script cuts English, "
               "answers of a speaker who is equally consistent in all languages share fewer words outside English, by "
               "more than with words of any script.", control="even", control_metric="loss_unigram"),
    ),
    premises=(
        Premise(id="knows-english", statement="SmolLM2 tells right answers from wrong ones in English.",
                metric="auc_en", variant="model", at_least=0.6),
        Premise(id="consistent-english", statement="Its answers to one English question are more alike than answers to "
                "different ones.", metric="alike_en", variant="model", at_least=0.1),
    ),
    minutes=21,
    official_code="https://github.com/claws-lab/XLingEval",
    licence_note="Official code and XLingHealth: Apache-2.0. Llama 3.1: its own terms; NLLB-200: CC-BY-NC-4.0.",
    disclaimer="No medical advice. The miniature's answers are facts of any first-aid leaflet; its contradictions are "
    "false on purpose.",
    seeds=(41, 42, 43),
)  # fmt: skip

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("Drop", "Verdicts", "auc", "contradiction_ratio", "correctness_drop", "drops", "excess", "pair_mean",
            "pointwise", "threshold", "verifiability"),
    verdicts=("label", "verdict"),
    similarity=("bertscore", "consistency", "jaccard"),
    data=("Item", "Text", "candidates", "read_items", "write_long"),
)  # fmt: skip
