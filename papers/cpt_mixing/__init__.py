"""cpt_mixing: what to mix into continued pre-training, text of one language or pairs, with code or without."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

_MIXES: dict[str, Any] = {"unit": "language", "smallest": 0.05, "premises": ("identifies", "stays")}
_TOPICS: dict[str, Any] = {"unit": "language", "smallest": 0.03, "premises": ("classifies",)}
_LOSS: dict[str, Any] = {"metric": "target_bits", "unit": "language", "smallest": 0.02, "better": "lower"}
_ENGLISH: dict[str, Any] = {"metric": "english_bits", "control": "base", "smallest": 0.05, "better": "lower"}
_PREMISES = (
    ("identifies", "identified", "base", 0.85, "The identifier names the language of held-out messages."),
    (
        "stays", "fidelity", "mono", 0.33, "After documents of one language the model writes that language when it "
        "goes on: three times as often as by chance among nine.",
    ),
    ("classifies", "right_english", "base", 0.6, "The base chooses the topic of held-out English names."),
)  # fmt: skip

PAPER = Paper(
    slug="cpt_mixing",
    title="Rethinking Multilingual Continual Pretraining: Data Mixing for Adapting LLMs Across Languages and Resources",
    authors="Zihao Li, Shaoxiong Ji, Hengyu Luo, Jörg Tiedemann",
    year=2025,
    venue="arXiv",
    arxiv="2504.04152",
    family="pre-training",
    deeds=("adapt", "measure"),
    summary="Text of one language or pairs, with program code or without, in three groups of languages, by one recipe: "
    "pairs help to classify and make generation mix languages, code helps to classify.",
    claims=(
        Claim(
            id="pairs-mix-languages",
            statement="After documents of sentence pairs, fewer continuations of a text stay in its language than "
            "after documents of one language, and than after the same pairs pulled apart.",
            reported="Bilingual data cause language mixing in generation (abstract; no script measures it). "
            "Translation into English falls from 25.52 to 7.47 BLEU (Llama-3.1-8B, high-resource languages).",
            metric="fidelity",
            treatment="bi",
            # The second control is the null arm: the same sentences, none beside its translation.
            control=("mono", "apart"),
            better="lower",
            **_MIXES,
        ),
        Claim(
            id="pairs-classify",
            statement="Documents of pairs leave more topics right than documents of one language, in languages with "
            "middle and low resources.",
            reported="SIB-200, Llama-3.1-8B: .641 against .525 (middle), .629 against .520 (low); Viking-7B likewise, "
            "Llama-2-7B not.",
            metric="right_less",
            treatment="bi",
            control="mono",
            null="apart",
            **_TOPICS,
        ),
        Claim(
            id="code-classifies",
            statement="A third of code in place of text leaves more topics right, in languages with middle and low "
            "resources.",
            reported="SIB-200, Llama-3.1-8B: .628 against .525 (middle), .618 against .520 (low); Llama-2 and Viking "
            "likewise.",
            metric="right_less",
            treatment="mono_code",
            control="mono",
            **_TOPICS,
        ),
        Claim(
            id="code-costs-text",
            statement="That code leaves held-out text of the languages at more bits per byte, and at more than as much "
            "text without anything in the place of code.",
            reported="A slight cost of generation quality (abstract). BLEU into English 18.59 to 17.62 (middle), 15.27 "
            "to 14.89 (low) for Llama-3.1; for Llama-2 and Viking it rises.",
            treatment="mono_code",
            # Against the first alone, any filler would do: it takes a third of the text away.
            control=("mono", "less"),
            **_LOSS | {"better": "higher"},
        ),
        Claim(
            id="one-language-forgets",
            statement="Documents of one language leave fewer topics right than before, where resources are high.",
            reported="SIB-200, Llama-3.1-8B: .642 against .766.",
            metric="right_high",
            treatment="mono",
            control="base",
            better="lower",
            **_TOPICS,
        ),
        Claim(
            id="translation-collapses",
            statement="After pairs, translation into English from a prompt with three examples collapses.",
            reported="FLORES-200, Llama-3.1-8B: 25.52 to 7.47 (high), 18.59 to 2.57, 15.27 to .71 BLEU (low).",
            out_of_scale="A base of half a million parameters translates from no prompt. The preset `paper` measures "
            "it; the mixing that the paper holds responsible is the first claim.",
        ),
        Claim(
            id="groups-do-not-predict",
            statement="Whether a language is called altruistic, selfish or stagnant does not predict what its group "
            "does to its relatives.",
            reported="Altruistic languages often harm relatives, stagnant ones adapt under some mixtures (abstract).",
            out_of_scale="The three kinds come from a study of LLaMA's vocabulary, and languages of a miniature "
            "have none. What a group does to a relative is a check.",
        ),
    ),
    checks=(
        Check(
            id="mixing-inside-a-line",
            statement="After pairs the second half of a line, too, is less often in the language of the first, against "
            "both controls.",
            metric="fidelity_line",
            treatment="bi",
            control=("mono", "apart"),
            better="lower",
            **_MIXES,
        ),
        Check(
            id="one-language-costs-english",
            statement="Documents of one language leave English text at more than .05 bits per byte above before.",
            treatment="mono",
            size=0.05,
            null="apart",
            **_ENGLISH | {"better": "higher"},
        ),
        *(
            Check(id=id, statement=statement, treatment=arm, keeps=True, size=0.05, null="mono", **_ENGLISH)
            for id, arm, statement in (
                ("pairs-keep-english", "bi", "Pairs leave English text at most .05 bits above what it was."),
                ("replay-keeps-english", "replay", "So does a fifth of English beside documents of one language."),
            )
        ),
        Check(
            id="one-language-learns-more",
            statement="At equal tokens, documents of one language leave the languages at fewer bits than pairs.",
            treatment="mono",
            control="bi",
            **_LOSS,
        ),
        Check(
            id="pairs-at-equal-text",
            statement="At equal tokens of the languages and of English, pairs leave the languages at no more than .05 "
            "bits above documents of one language.",
            treatment="bi",
            control="apart",
            keeps=True,
            size=0.05,
            **_LOSS,
        ),
        *(
            Check(id=id, statement=statement, metric="right_less", treatment=arm, control=control, **_TOPICS)
            for id, arm, control, statement in (
                (
                    "pairing-classifies",
                    "bi",
                    "apart",
                    "Pairs leave more topics right than the same pairs pulled apart.",
                ),
                (
                    "code-is-not-english",
                    "mono_code",
                    "replay",
                    "Code, whose comments are English, leaves more right than a fifth of English does.",
                ),
                (
                    "code-classifies-beside-pairs",
                    "bi_code",
                    "bi",
                    "Code beside pairs leaves more right than pairs alone.",
                ),
            )
        ),
        Check(
            id="relatives-gain",
            statement="Text of a relative that is not read costs fewer bits after its own group than after the other.",
            treatment="mono",
            control="mono",
            control_metric="other_bits",
            **_LOSS | {"metric": "related_bits", "smallest": 0.05},
        ),
    ),
    premises=tuple(
        Premise(id=id, metric=metric, variant=variant, at_least=least, statement=statement)
        for id, metric, variant, least, statement in _PREMISES
    ),
    minutes=13,
    official_code="https://github.com/MaLA-LM/MixCPT",
    licence_note="The official repository has no licence. Llama 2 and 3.1 have licences of their own; Viking-7B is "
    "Apache-2.0; The Stack and FLORES+ are gated.",
    # Two seeds see all four groups of languages.
    seeds=(0, 1, 2, 3),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("continue_pretraining", "fidelity", "is_monolingual", "pair_document", "recommend", "token_budgets"),
    prompts=("topic_prompt", "translation_prompt"),
)
