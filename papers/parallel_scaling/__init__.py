"""Parallel scaling: what reinforcement on the same problems in more languages does for languages never trained."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

_SCALE = "Needs real models, hours of GPUs and benchmarks of the hub: preset `paper`, `papers plan parallel_scaling`."
_SAID = "Stated in the abstract; the numbers are in the body, which we did not have."
_READS = ("reads", "adds", "adds-badly", "english-first", "english-room", "trained-gain")
_EVEN = ("even-reads", "even-adds", "even-gain")
# Eight languages in which nothing is trained after the start; they are the same in every seed, which draws problems,
# weights and the languages that join.
_UNSEEN: dict[str, Any] = {"treatment": "grpo", "unit": "language", "premises": _READS}
_SEEDS: dict[str, Any] = {"treatment": "grpo", "unit": "seed", "premises": _READS}
_LAW: dict[str, Any] = _SEEDS | {"premises": (*_READS, "carried")}
# Of data that grow there is no study in English alone, whose gain could be asked for.
_GROWN = _READS[:5]

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
            statement="From a start that is best in English, the same problems in a second language beside it raise "
            "accuracy in languages never trained, at as many samples.",
            reported=f"First-Parallel Leap: a substantial jump from one language to two. {_SAID}",
            metric="leap",
            control=0.0,
            smallest=0.005,
            null="permuted",
            **_UNSEEN,
        ),
        Claim(
            id="leap-over-later-steps",
            statement="A second language raises accuracy in languages never trained by more than each later one does "
            "on average.",
            reported=f"First-Parallel Leap: larger than what later languages bring. {_SAID}",
            metric="leap_over_later",
            control=0.0,
            smallest=0.005,
            null="permuted",
            **_UNSEEN,
        ),
        Claim(
            id="leap-of-the-index",
            statement="The same problems in a second language raise the transferability index.",
            reported=f"First-Parallel Leap. {_SAID}",
            metric="leap_mti",
            control=0.0,
            smallest=0.02,
            **_UNSEEN,
        ),
        Claim(
            id="index-leap-over-later-steps",
            statement="A second language raises the index by more than each later one does on average.",
            reported=f"First-Parallel Leap. {_SAID}",
            metric="leap_over_later_mti",
            control=0.0,
            smallest=0.02,
            **_UNSEEN,
        ),
        Claim(
            id="parallel-scaling-law",
            statement="The power law of the index, fitted from two languages on, has an exponent above zero and below "
            "one (its distance from the nearer).",
            reported=f"Parallel Scaling Law: a power law, of an exponent between 0 and 1 (reviews). {_SAID}",
            metric="power",
            control=0.0,
            smallest=0.05,
            **_LAW,
        ),
        Claim(
            id="law-of-accuracy",
            statement="So has that of accuracy in languages never trained, where every language adds as many samples.",
            reported="The law is stated for the index and for accuracy (reviews), with data that grow with the "
            "languages, as reviewers understood it.",
            metric="power_accuracy",
            treatment="grow",
            control=0.0,
            unit="seed",
            smallest=0.02,
            premises=_GROWN,
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
            "answers, from the same examples or from a quarter of them.",
            reported="RL transfers better than SFT (reviews), between models that others have trained.",
            metric="mti_1",
            control=("sft", "sft_short"),
            smallest=0.02,
            **(_UNSEEN | {"premises": (*_READS, "sft-gain", "short-gain")}),
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
            **(_UNSEEN | {"premises": (*_READS, *_EVEN)}),
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
            statement="Accuracy in languages never trained is higher after two languages with the same problems than "
            "with other problems in each.",
            metric="unseen_2",
            control="different",
            smallest=0.005,
            null="permuted",
            **_UNSEEN,
        ),
        Check(
            id="parallel-carries",
            statement="The index is higher after two languages with the same problems than with other problems in "
            "each.",
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
            # No null: with permuted rewards there is no leap, and from the other start there may be a loss.
            **(_UNSEEN | {"premises": (*_READS, *_EVEN)}),
        ),
        Check(
            id="english-carries-less",
            statement="Trained in English, accuracy in languages never trained is lower from a start that has met its "
            "sums mostly in English than from one that has met them in all languages alike.",
            metric="unseen_1",
            control="even",
            better="lower",
            smallest=0.005,
            # No null: permuted rewards lower it, too.
            **(_UNSEEN | {"premises": (*_READS, *_EVEN)}),
        ),
        Check(
            id="accuracy-at-equal-samples",
            statement="At as many samples whatever the number of languages, the power law of accuracy in languages "
            "never trained, fitted from two languages on, has an exponent above zero and below one.",
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
            "answers, all or a quarter of them.",
            metric="unseen_1",
            control=("sft", "sft_short"),
            smallest=0.005,
            null="permuted",
            **(_UNSEEN | {"premises": (*_READS, "sft-gain", "short-gain")}),
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
            premises=_GROWN,
        ),
        Check(
            id="more-than-data",
            statement="Accuracy in languages never trained rises by a larger power of the number of languages where "
            "each adds samples than at as many samples.",
            metric="exponent_accuracy",
            treatment="grow",
            control="grpo",
            unit="seed",
            smallest=0.02,
            premises=_READS,
        ),
    ),
    premises=(
        Premise(
            id="reads",
            statement="The start reads numbers in each of the sixteen languages.",
            metric="reading",
            variant="grpo",
            at_least=0.93,
        ),
        Premise(
            id="adds",
            statement="It adds now and then in each language, so that relative gains exist: the least of the sixteen.",
            metric="least_base",
            variant="grpo",
            at_least=0.02,
        ),
        Premise(
            id="adds-badly",
            statement="It adds badly in languages that are never trained: three quarters of the answers are wrong.",
            metric="room",
            variant="grpo",
            at_least=0.75,
        ),
        Premise(
            id="english-first",
            statement="It adds better in English than in the languages that are never trained: difference.",
            metric="english_ahead",
            variant="grpo",
            at_least=0.03,
        ),
        Premise(
            id="english-room",
            statement="It adds badly in English, too, so that English can gain as other languages can: wrong answers.",
            metric="english_room",
            variant="grpo",
            at_least=0.75,
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
            statement="Right answers raise accuracy in the trained languages: relative gain.",
            metric="least_gain",
            variant="sft",
            at_least=0.2,
        ),
        Premise(
            id="short-gain",
            statement="Right answers from a quarter of the examples raise it: relative gain.",
            metric="least_gain",
            variant="sft_short",
            at_least=0.2,
        ),
        Premise(
            id="even-reads",
            statement="The start that has met all languages alike reads numbers in each of them.",
            metric="reading",
            variant="even",
            at_least=0.93,
        ),
        Premise(
            id="even-adds",
            statement="That start adds now and then in each language, too.",
            metric="least_base",
            variant="even",
            at_least=0.02,
        ),
        Premise(
            id="even-gain",
            statement="From that start, too, reward raises accuracy in the trained languages: relative gain.",
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
    minutes=22,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("Problem", "read_aligned"),
    method=("Scaling", "Transfer", "fit_scaling", "relative_gains", "schedule", "transferability"),
    reasoning=("boxes", "correct", "off_tag", "prompt", "rewards"),
    use=("transfer_interval",),
)
