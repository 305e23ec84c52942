"""The bitter lesson: which multilingual benchmarks rank models as people do, and how sure is that?"""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Every seed has other models, passages, items and votes: nothing below a seed is independent of its population.
_POPULATION: dict[str, Any] = {
    "metric": "rho", "unit": "seed", "smallest": 0.1, "treatment": "localized", "null": "shuffled",
    "premises": ("models-answer", "translated-is-answered", "votes-suffice"),
}  # fmt: skip
# Projects are drawn, with all their benchmarks: the task folders of lm-evaluation-harness in three languages and more,
# the same in all seeds.
_RECORDS: dict[str, Any] = {"unit": "project", "smallest": 0.05, "treatment": "localized", "null": "shuffled"}
_SCORES = "Scores of the thirty models are not public: preset `paper`, or `--scores`."
_LIST = "The list of 2,024 papers is not public."

PAPER = Paper(
    slug="bitter_lesson",
    title="The Bitter Lesson Learned from 2,000+ Multilingual Benchmarks",
    authors="Minghao Wu et al.",
    year=2025,
    venue="arXiv",
    arxiv="2504.15521",
    family="evaluation",
    summary="Asks of every benchmark whether it ranks models as the speakers of the language do: ratings from votes, "
    "rank agreement with intervals, floor and ceiling, and whether a localized benchmark agrees more than a translated "
    "one, with `cannot tell` among the answers.",
    claims=(
        Claim(
            id="localized-agrees-more",
            statement="A benchmark of text that was written in the language ranks 30 small models more like scripted "
            "readers of such text than a benchmark of translated text does. The mean is over Arabic and English, where "
            "the same two kinds of text change places.",
            reported="Chinese: rho .68 (localized) against .47 (translated), `significantly` (abstract).",
            **_POPULATION,
            control="translated",
        ),
        Claim(
            id="english-is-first",
            statement="Among the harness's projects with benchmarks in at least three languages, more have English "
            "than have the next language, although English alone does not count.",
            reported="English is still the most frequent language (figure 2).",
            **_RECORDS | {"metric": "english_lead", "control": 0.0},
        ),
        Claim(
            id="discriminative-dominates",
            statement="More of these have models choose than write.",
            reported="66.5 % discriminative, 23.5 % generative (third party).",
            **_RECORDS | {"metric": "choosing_lead", "control": 0.0},
        ),
        Claim(
            id="mostly-original-text",
            statement="More than half of these have text that was written in its language, be it beside translated "
            "text.",
            reported="61.4 % are not translated (third party).",
            **_RECORDS | {"metric": "original", "control": 0.5},
        ),
        Claim(
            id="stem-tracks-people",
            statement="ARC and MGSM agree with people in five languages, even translated.",
            reported="rho .70 to .85 (abstract, table 2).",
            out_of_scale=_SCORES,
        ),
        Claim(
            id="reading-and-inference-do-not",
            statement="XQuAD and XNLI hardly agree with people.",
            reported="rho .11 to .30 and .23 to .59 (abstract, table 2).",
            out_of_scale=_SCORES,
        ),
        Claim(
            id="the-field",
            statement="Benchmarks come from 148 countries, most from five; news, social media and Wikipedia lead.",
            reported="2,024 papers, 148 countries (abstract); 17.0, 13.3 and 9.6 % (figure 5).",
            out_of_scale=_LIST,
        ),
        Claim(
            id="people-ask-alike",
            statement="What people ask for is alike in six languages.",
            reported="Shares of kinds of task in prompts of users (figure 7).",
            out_of_scale="Needs prompts of users, which are on the hub, and a classifier whose labels are not public.",
        ),
    ),
    checks=(
        Check(
            id="localized-in-arabic",
            statement="So it is in Arabic alone, where narrations are localized.",
            **_POPULATION | {"metric": "rho_ar", "control": "translated"},
        ),
        Check(
            id="localized-in-english",
            statement="So it is in English alone, where narrations are translated and interface messages localized.",
            **_POPULATION | {"metric": "rho_en", "control": "translated"},
        ),
        Check(
            id="more-than-reading-much",
            statement="The localized benchmark agrees more than the number of characters that a model has read.",
            **_POPULATION | {"control": "floor"},
        ),
        Check(
            id="more-than-reading-the-language",
            statement="It agrees more than the number of characters that a model has read in the language, of both "
            "kinds.",
            **_POPULATION | {"control": "localized", "control_metric": "read_here"},
        ),
        Check(
            id="of-this-language",
            statement="It agrees more than the localized benchmark of the other language.",
            **_POPULATION | {"control": "foreign"},
        ),
        Check(
            id="localized-by-accuracy",
            statement="The localized benchmark agrees more with accuracy in the margin's place, too.",
            **_POPULATION | {"treatment": "localized_accuracy", "control": "translated_accuracy"},
        ),
        Check(
            id="translated-measures-too",
            statement="The translated benchmark is no blunt instrument: it orders models by what they have read of its "
            "own kind of text as well as the localized one does (within .1).",
            **_POPULATION | {"metric": "dial", "treatment": "translated", "control": "localized", "keeps": True,
                             "size": 0.1, "null": None},
        ),
        Check(
            id="votes-are-read-right",
            statement="Bradley-Terry ratings are nearer to the readers' true order than online Elo.",
            **_POPULATION | {"metric": "truth", "control": "elo", "smallest": 0.01},
        ),
        Check(
            id="size-agrees-with-people",
            statement="Real people, 30 models in the means of their 10 organisations, which are drawn, since models of "
            "one are relatives: the parameter count alone agrees with the rank over five languages (r of ranks > 0).",
            metric="size_rank", correlated_with="people_rank", treatment="localized", control=0.0, unit="organisation",
            smallest=0.1, null="shuffled",
        ),
        Check(
            id="thirty-are-few",
            statement="Thirty models, true correlations of .68 and .47 and .5 between the benchmarks: fewer than four "
            "in five comparisons name the better benchmark.",
            metric="told", treatment="localized", control=0.8, better="lower", unit="seed", smallest=0.05,
        ),
        Check(
            id="no-false-alarms",
            statement="Where both agree equally, fewer than one in ten comparisons names one of them: less than twice "
            "the nominal rate.",
            metric="false_alarm", treatment="localized", control=0.0, better="lower", keeps=True, size=0.1,
            unit="seed",
        ),
    ),
    premises=(
        Premise(
            id="models-answer",
            statement="The best quarter of the models is right in more items of the localized benchmark than guessing "
            "is (0.25).",
            metric="accuracy_best",
            variant="localized",
            at_least=0.35,
        ),
        Premise(
            id="translated-is-answered",
            statement="So it is of the translated benchmark.",
            metric="accuracy_best",
            variant="translated",
            at_least=0.35,
        ),
        Premise(
            id="votes-suffice",
            statement="Ratings of one half of the votes agree with those of the other.",
            metric="reliability",
            variant="localized",
            at_least=0.8,
        ),
    ),
    licence_note="The paper's tables are quoted as facts. lm-evaluation-harness: MIT. Ratings of Chatbot Arena: as "
    "published in the paper's table 3; sets of the `paper` preset have licences of their own, some non-commercial.",
    seeds=(31, 32, 33, 34, 35, 36),
    minutes=1,
    extras=("narrations",),
)  # fmt: skip

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("Battle", "agreement", "compare_benchmarks", "elo", "fit_ratings", "reliability", "required_models"),
    catalogue=("BenchmarkRecord", "coverage", "distribution", "load_records"),
    use=("baseline_predictors", "trust"),
)
