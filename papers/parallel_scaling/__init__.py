"""Parallel scaling: what reinforcement on the same problems in more languages does for languages never trained."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

_SCALE = "Needs real models, hours of GPUs and benchmarks of the hub: preset `paper`, `papers plan parallel_scaling`."
_SAID = "Stated in the abstract; the numbers are in the body, which we did not have."
_READS = ("reads", "adds", "adds-badly", "trained-gain")
# Eight languages in which nothing is trained after the start; they are the same in every seed, which draws problems,
# weights and the languages that join.
_UNSEEN: dict[str, Any] = {"treatment": "grpo", "unit": "language", "premises": _READS}
_SEEDS: dict[str, Any] = {"treatment": "grpo", "unit": "seed", "premises": _READS}
_LAW: dict[str, Any] = _SEEDS | {"premises": (*_READS, "carried")}

PAPER = Paper(
    slug="parallel_scaling",
    title="Parallel Scaling Law: Unveiling Reasoning Generalization through A Cross-Linguistic Perspective",
    authors="Wen Yang, Junhong Wu, Chong Li, Chengqing Zong, Jiajun Zhang",
    year=2025,
    venue="arXiv",
    arxiv="2510.02272",
    family="reasoning",
    summary=(
        "Trains by reward on the same problems in one, two, four and more languages, and measures how far the gain "
        "carries to languages that were never trained: a leap with the second one, then a power law."
    ),
    claims=(
        Claim(
            id="first-parallel-leap",
            statement="Beside English, the same problems in a second language raise accuracy in languages never "
            "trained, at as many samples.",
            reported=f"First-Parallel Leap: a substantial jump from one language to two. {_SAID}",
            metric="leap",
            control=0.0,
            smallest=0.005,
            null="permuted",
            **_UNSEEN,
        ),
        Claim(
            id="leap-over-later-steps",
            statement="They raise it by more than each later language does on average.",
            reported=f"First-Parallel Leap: larger than what later languages bring. {_SAID}",
            metric="leap_over_later",
            control=0.0,
            smallest=0.005,
            null="permuted",
            **_UNSEEN,
        ),
        Claim(
            id="leap-of-the-index",
            statement="They raise the transferability index.",
            reported=f"First-Parallel Leap. {_SAID}",
            metric="leap_mti",
            control=0.0,
            smallest=0.02,
            **_UNSEEN,
        ),
        Claim(
            id="index-leap-over-later-steps",
            statement="They raise the index by more than each later language does on average.",
            reported=f"First-Parallel Leap. {_SAID}",
            metric="leap_over_later_mti",
            control=0.0,
            smallest=0.02,
            **_UNSEEN,
        ),
        Claim(
            id="parallel-scaling-law",
            statement="From two languages on, the index grows as a power of their number, less and less: the exponent "
            "is above zero and below one.",
            reported=f"Parallel Scaling Law: a power law, of an exponent between 0 and 1 (reviews). {_SAID}",
            metric="power",
            control=0.0,
            smallest=0.05,
            **_LAW,
        ),
        Claim(
            id="law-of-accuracy",
            statement="So does accuracy in languages never trained, where every language adds as many samples.",
            reported="The law is stated for the index and for accuracy (reviews), with data that grow with the "
            "languages, as reviewers understood it.",
            metric="power_accuracy",
            treatment="grow",
            control=0.0,
            unit="seed",
            smallest=0.02,
            premises=_READS[:3],
        ),
        Claim(
            id="monolingual-gap",
            statement="The index of English alone lies below what the law says of one language.",
            reported=f"Monolingual Generalization Gap. {_SAID}",
            metric="gap",
            control=0.0,
            smallest=0.02,
            **_LAW,
        ),
        Claim(
            id="reward-transfers-better",
            statement="Trained in English, the gain by reward carries further, by the index, than the gain by right "
            "answers from the same examples.",
            reported="RL transfers better than SFT (reviews), between models that others have trained.",
            metric="mti_1",
            control="sft",
            smallest=0.02,
            **(_UNSEEN | {"premises": (*_READS, "sft-gain")}),
        ),
        Claim(
            id="transfer-is-uneven",
            statement="How far reasoning carries depends on the initial model, the target language and the paradigm.",
            reported="13 English-centric reasoning models, MATH500, AIME24, AIME25, GPQA-Diamond, 11 languages.",
            out_of_scale=_SCALE,
        ),
        Claim(
            id="english-specialists",
            statement="Trained in English, the gain carries less far, by the index, from a start that has met its sums "
            "mostly in English than from one that has met them in all languages alike.",
            reported="Models whose start is stronger in English carry less over to other languages (abstract); a "
            "reviewer notes that Qwen2.5-Math, the more specialised one, had the higher index.",
            metric="mti_1",
            control="even",
            better="lower",
            smallest=0.02,
            **(_UNSEEN | {"premises": (*_READS, "english-first", "even-gain")}),
        ),
        Claim(
            id="size",
            statement="On MATH500 smaller models suffice; on hard sets larger ones carry further.",
            reported="Interventions on the size of the model (reviews).",
            out_of_scale=_SCALE,
        ),
    ),
    checks=(
        Check(
            id="not-more-english",
            statement="Accuracy in languages never trained is higher after two languages than after English with twice "
            "as many samples.",
            metric="unseen_2",
            control="english_twice",
            control_metric="unseen_1",
            smallest=0.005,
            null="permuted",
            **_UNSEEN,
        ),
        Check(
            id="parallel-matters",
            statement="It is higher after two languages with the same problems than with other problems in each.",
            metric="unseen_2",
            control="different",
            smallest=0.005,
            null="permuted",
            **_UNSEEN,
        ),
        Check(
            id="parallel-carries",
            statement="The index is higher, too: parallel problems do not only spread what is learnt more thinly.",
            metric="mti_2",
            control="different",
            smallest=0.02,
            **_UNSEEN,
        ),
        Check(
            id="leap-of-english-centric",
            statement="What the second language adds to accuracy in languages never trained is more from a start that "
            "has met its sums mostly in English than from one that has met them in all languages alike.",
            metric="leap",
            control="even",
            smallest=0.005,
            null="permuted",
            **(_UNSEEN | {"premises": (*_READS, "english-first", "even-gain")}),
        ),
        Check(
            id="accuracy-at-equal-samples",
            statement="At as many samples whatever their number, more languages raise accuracy in languages never "
            "trained as a power of it.",
            metric="power_accuracy",
            control=0.0,
            smallest=0.02,
            **_SEEDS,
        ),
        Check(
            id="gap-of-accuracy",
            statement="Accuracy in languages never trained, after English alone, lies below what the law of accuracy "
            "says of one language.",
            metric="gap_accuracy",
            control=0.0,
            smallest=0.005,
            **_SEEDS,
        ),
        Check(
            id="reward-is-more-accurate",
            statement="Trained in English, accuracy in languages never trained is higher by reward than by right "
            "answers.",
            metric="unseen_1",
            control="sft",
            smallest=0.005,
            null="permuted",
            **(_UNSEEN | {"premises": (*_READS, "sft-gain")}),
        ),
        Check(
            id="of-less-tuning",
            statement="The index of reward is higher, too, than that of right answers from a quarter of the examples.",
            metric="mti_1",
            control="sft_short",
            smallest=0.02,
            **(_UNSEEN | {"premises": (*_READS, "short-gain")}),
        ),
        Check(
            id="data-that-grow",
            statement="Where every language adds as many samples, four languages raise accuracy in languages never "
            "trained above two.",
            metric="unseen_4",
            treatment="grow",
            control="grow",
            control_metric="unseen_2",
            unit="language",
            smallest=0.005,
            premises=_READS[:3],
        ),
    ),
    premises=(
        Premise(
            id="reads",
            statement="The start reads numbers in each of the sixteen languages.",
            metric="reading",
            variant="grpo",
            at_least=0.95,
        ),
        Premise(
            id="adds",
            statement="It adds now and then in languages that are never trained, so that relative gains exist.",
            metric="base",
            variant="grpo",
            at_least=0.03,
        ),
        Premise(
            id="adds-badly",
            statement="It adds badly there: three quarters of the answers are wrong at least.",
            metric="room",
            variant="grpo",
            at_least=0.75,
        ),
        Premise(
            id="english-first",
            statement="It adds better in English than in the languages that are never trained: difference.",
            metric="english_ahead",
            variant="grpo",
            at_least=0.02,
        ),
        Premise(
            id="trained-gain",
            statement="Reward raises accuracy in the trained languages for every k: relative gain.",
            metric="least_gain",
            variant="grpo",
            at_least=0.2,
        ),
        Premise(
            id="carried",
            statement="From two languages on some of the gain is carried, for every k: an index of nothing has no law.",
            metric="least_carried",
            variant="grpo",
            at_least=0.01,
        ),
        Premise(
            id="sft-gain",
            statement="So do right answers.",
            metric="least_gain",
            variant="sft",
            at_least=0.2,
        ),
        Premise(
            id="short-gain",
            statement="So do right answers from a quarter of the examples.",
            metric="least_gain",
            variant="sft_short",
            at_least=0.2,
        ),
        Premise(
            id="even-gain",
            statement="So does reward from the start that has met all languages alike.",
            metric="least_gain",
            variant="even",
            at_least=0.2,
        ),
    ),
    licence_note=(
        "No code and no models are released. Qwen2.5-7B is Apache-2.0; XReasoning's sets on the hub carry the terms of "
        "AIME, GPQA (CC BY 4.0) and MATH (MIT)."
    ),
    seeds=(10, 11, 12, 13, 14),
    minutes=19,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("Problem", "read_aligned"),
    method=("Scaling", "Transfer", "fit_scaling", "relative_gains", "schedule", "transferability"),
    reasoning=("boxes", "correct", "off_tag", "prompt", "rewards"),
    use=("transfer_interval",),
)
