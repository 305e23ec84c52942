"""Cloned languages: what one language does for another when nothing but their tokens differs."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Over seeds: perplexities of a model are one number, and so is what a law makes of them.
_RARE: dict[str, Any] = {"treatment": "imbalanced", "null": "shuffled", "premises": ("law", "order", "room")}
_ALIKE: dict[str, Any] = {**_RARE, "control": "balanced", "premises": ("order",)}

PAPER = Paper(
    slug="cloned_languages",
    title="The Role of Language Imbalance in Cross-lingual Generalisation: Insights from Cloned Language Experiments",
    authors="Anton Schäfer, Shauli Ravfogel, Thomas Hofmann, Tiago Pimentel, Imanol Schlag",
    year=2024,
    venue="arXiv",
    arxiv="2404.07982",
    family="pre-training",
    summary=(
        "Trains on a language and its clone, the same text with other token ids: in equal shares they are learnt "
        "apart, while beside a dominant language the rare one is learnt from fewer tokens than alone."
    ),
    claims=(
        Claim(
            id="imbalance-helps",
            statement="Read as a tenth of the text, beside the language that it is a clone of, a language gains more "
            "than one that is read as half of it: the tokens that a model of it alone needs to be as good, over those "
            "that were read.",
            reported="2.08 at 90/10 against .89 at 50/50 (GPT small; stored output of the official notebook).",
            metric="teff_2",
            control="balanced",
            smallest=0.1,
            **_RARE,
        ),
        Claim(
            id="better-than-alone",
            statement="So read, it is as good as alone after more tokens than it had.",
            reported="2.08 times as many (perplexity 32.8 against 48.4 alone).",
            metric="teff_2",
            control=1.0,
            smallest=0.1,
            **_RARE,
        ),
        Claim(
            id="balance-brings-nothing",
            statement="In equal shares two clones gain nothing from each other: each is worse than alone after as many "
            "tokens.",
            reported=".887 and .885 at 50/50.",
            metric="teff_mean",
            treatment="balanced",
            control=1.0,
            better="lower",
            smallest=0.05,
            premises=("law", "order", "room"),
        ),
        Claim(
            id="dominant-loses-nothing",
            statement="The dominant language is as good as alone after at least .9 of its tokens.",
            reported="1.000 at 90/10. The size is ours.",
            metric="teff_1",
            treatment="imbalanced",
            control=1.0,
            keeps=True,
            size=0.1,
            premises=("law", "order", "room"),
        ),
        Claim(
            id="states-align",
            statement="The states of a text and its clone are more alike (cosine, mean over blocks but the last) after "
            "90/10 than after 50/50.",
            reported=".86 to .96 in blocks 1 to 10 of 12, against .46 to .88.",
            metric="hidden",
            smallest=0.02,
            **_ALIKE,
        ),
        Claim(
            id="gradients-align",
            statement="The gradients on a text and on its clone are more alike (cosine, mean over parameters) after "
            "90/10 than after 50/50.",
            reported=".534 against .072.",
            metric="gradient",
            smallest=0.02,
            **_ALIKE,
        ),
        Claim(
            id="order-alone-helps",
            statement="The same text in equal shares, but 90/10 first and 10/90 then, is read with more gain than "
            "evenly mixed, on average over both languages.",
            reported=".834 and 1.182, on average 1.01, against .89 (0.1_0.9; twice as long 1.22 against .73).",
            metric="teff_mean",
            treatment="late",
            control="balanced",
            smallest=0.05,
            premises=("law", "order", "room"),
        ),
        Claim(
            id="grows-with-training",
            statement="The rare language gains more in a run of twice the length.",
            reported="2.08, and 3.29 at twice the length.",
            out_of_scale="Takes monolingual runs of another length beside, more than the time here allows: "
            "`--length 0.5` or 2.",
        ),
        Claim(
            id="less-between-real-languages",
            statement="A tenth of Arabic gains less beside English than a tenth of an English clone.",
            reported="French beside English 1.05 with no token in common, 1.27 with common ones, against 2.08.",
            metric="teff_2",
            control="real",
            smallest=0.1,
            **{**_RARE, "premises": ("law", "order", "room", "second-law")},
        ),
        Claim(
            id="both-better-than-balanced",
            statement="In long runs both languages are better at 90/10 than at 50/50.",
            reported="At four times the length (abstract; the numbers are not printed).",
            out_of_scale="Needs runs in which a tenth of the tokens is much: preset `paper`, `--length 4`.",
        ),
        Claim(
            id="tasks-transfer",
            statement="What is fine-tuned in one language is known in its clone, more so at 90/10.",
            reported="GLUE mean accuracy in the clone .65 at 90/10, .54 at 50/50 (.71 and .70 in the language itself).",
            out_of_scale="Needs GLUE, and a model that has learnt enough to be fine-tuned on it.",
        ),
    ),
    checks=(
        Check(
            id="beyond-other-texts",
            statement="The states of a text and its clone are further above those of a text and another one's clone "
            "after 90/10 than after 50/50.",
            metric="hidden_margin",
            smallest=0.02,
            **_ALIKE,
        ),
        Check(
            id="not-more-steps",
            statement="Beside the dominant language, the rare one is predicted better than from the same sequences at "
            "the same steps alone (nats a token).",
            metric="nats_2",
            treatment="imbalanced",
            control="alone",
            better="lower",
            smallest=0.02,
            null="shuffled",
            premises=("order",),
        ),
    ),
    premises=(
        Premise(
            id="law",
            statement="What efficiency is read off is good: the other monolingual runs tell the tokens that each inner "
            "one has read, within a factor 1.33 (as one over the largest factor); the gain that is claimed is 2.",
            metric="law_agrees",
            variant="imbalanced",
            at_least=0.75,
        ),
        Premise(
            id="second-law",
            statement="So is that of Arabic.",
            metric="law_agrees",
            variant="real",
            at_least=0.75,
        ),
        Premise(
            id="order",
            statement="More is learnt than how often each token follows each other: after all of the text alone the "
            "perplexity is at most .8 of that.",
            metric="over_pairs",
            variant="imbalanced",
            at_least=1.25,
        ),
        Premise(
            id="room",
            statement="There is something to gain: alone, after as many tokens as the rare language has, perplexity is "
            "at least 1.25 times what it is after all.",
            metric="room_2",
            variant="imbalanced",
            at_least=1.25,
        ),
    ),
    official_code="https://github.com/antonschafer/xling-imbalance",
    licence_note="The official code is Apache-2.0 (a fork of Languini Kitchen); its corpus, Books3, was withdrawn.",
    seeds=(41, 42, 43, 44),
    minutes=20,
    extras=("narrations",),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    config=("staged",),
    method=(
        "Mixed", "clones", "draw", "monolingual_law", "paired", "target_losses", "token_efficiency",
    ),
    similarity=("embedding_similarity", "gradient_similarity", "hidden_similarity"),
)  # fmt: skip
