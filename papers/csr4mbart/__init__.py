"""Code-switching restore: denoise sentences that hold words of the other language, before fine-tuning."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Every seed draws its languages, numbers and weights. Half a BLEU, or a hundredth of a distance (of about 4 between
# states, of about 1 where it is divided), would be of no use.
_LANGUAGES: dict[str, Any] = {"unit": "language", "premises": ("base", "lexicon", "plain")}
_BLEU: dict[str, Any] = {**_LANGUAGES, "metric": "bleu", "smallest": 0.5}
_APART: dict[str, Any] = {**_LANGUAGES, "metric": "euclidean", "better": "lower", "smallest": 0.05}
_TABLES = "the tables could not be read for this page"

PAPER = Paper(
    slug="csr4mbart",
    title=(
        "Bridging Cross-Lingual Gaps During Leveraging the Multilingual Sequence-to-Sequence Pretraining for Text "
        "Generation and Understanding"
    ),
    authors="Changtong Zan, Liang Ding, Li Shen, Yu Cao, Weifeng Liu, Dacheng Tao",
    year=2022,
    venue="Engineering Applications of Artificial Intelligence",
    arxiv="2204.07834",
    family="translation",
    summary=(
        "Puts a short stage between pretraining and fine-tuning of a multilingual encoder-decoder: restore sentences "
        "in which words were replaced by those of the other language, from an unsupervised lexicon."
    ),
    claims=(
        Claim(
            id="languages-come-closer",
            statement="After code-switching restore and fine-tuning, sentences lie closer to their translations than "
            "after fine-tuning alone, or after the same stage with a shuffled lexicon.",
            reported="The Euclidean distance between sentence representations of the two languages is smaller "
            "(abstract, analysis).",
            treatment="csr",
            control=("plain", "random"),
            null="random",
            **_APART,
        ),
        Claim(
            id="translates-better",
            statement="Code-switching restore before fine-tuning gives better translations than fine-tuning alone, for "
            "as many steps of fine-tuning.",
            reported=f"Consistently better than mBART in 12 bilingual directions (abstract; {_TABLES}).",
            treatment="csr",
            control="plain",
            null="random",
            **_BLEU,
        ),
        Claim(
            id="unseen-pairs",
            statement="A model tuned on pairs with English alone translates better between two other languages.",
            reported=f"Better in 30 zero-shot directions (abstract; {_TABLES}).",
            treatment="zero_shot",
            control="zero_shot_plain",
            null="zero_shot_random",
            **_BLEU,
        ),
        Claim(
            id="rare-words",
            statement="More of the words that fine-tuning hardly sees are translated.",
            reported="Low-frequency words are translated better (abstract of v1, analysis).",
            metric="rare",
            treatment="csr",
            control="plain",
            null="random",
            smallest=0.01,
            **_LANGUAGES,
        ),
        Claim(
            id="summarises-better",
            statement="Cross-lingual summarisation improves between Chinese and English.",
            reported=f"In both directions of NCLS (abstract; {_TABLES}).",
            out_of_scale="Needs a model that summarises, and NCLS.",
        ),
        Claim(
            id="understands-better",
            statement="Natural-language inference improves in seven languages.",
            reported=f"XNLI of XGLUE (abstract; {_TABLES}).",
            out_of_scale="Needs mBART and XNLI; its noise replaces words by MUSE's dictionaries.",
        ),
    ),
    checks=(
        Check(
            id="better-at-equal-steps",
            statement="The stage is worth more than as many further steps of fine-tuning: the translations are better.",
            treatment="csr",
            control="plain_equal",
            **_BLEU,
        ),
        Check(
            id="closer-than-by-steps-or-masks",
            statement="Neither as many further steps of fine-tuning nor denoising with masks bring the languages as "
            "close in the mean.",
            treatment="csr",
            control=("plain_equal", "mask"),
            **_APART,
        ),
        Check(
            id="closer-at-any-scale",
            statement="Against all four, the distance is smaller where it is divided by that of sentences of one "
            "language, too, which shrinking all states would not change.",
            treatment="csr",
            control=("plain", "random", "plain_equal", "mask"),
            null="random",
            **(_APART | {"metric": "distance", "smallest": 0.01}),
        ),
        Check(
            id="unseen-at-equal-steps",
            statement="Between two other languages, too, the stage is worth more than as many further steps.",
            treatment="zero_shot",
            control="zero_shot_plain_equal",
            **_BLEU,
        ),
        Check(
            id="words-not-noise",
            statement="Restoring words of the other language makes better translations than denoising the same "
            "sentences with masks.",
            treatment="csr",
            control="mask",
            **_BLEU,
        ),
        Check(
            id="meaning-not-words",
            statement="What the words mean counts: those of a shuffled lexicon make worse translations.",
            treatment="csr",
            control="random",
            null="random",
            **_BLEU,
        ),
        Check(
            id="translates-untuned",
            statement="After the stage alone the model translates, though it has seen no pair.",
            metric="restored_bleu",
            treatment="csr",
            control=("plain", "mask", "random"),
            null="random",
            smallest=0.5,
            **_LANGUAGES,
        ),
        Check(
            id="more-than-its-lexicon",
            statement="It then translates better than the lexicon that the stage was given does alone, word by word.",
            metric="restored_bleu",
            treatment="csr",
            control="csr",
            control_metric="given_lexicon",
            smallest=0.5,
            **_LANGUAGES,
        ),
    ),
    premises=(
        Premise(
            id="base",
            statement="The pretrained model restores masked sentences: BLEU above leaving them as they are, masks out.",
            metric="base_above_copy",
            variant="plain",
            at_least=10.0,
        ),
        Premise(
            id="lexicon",
            statement="The unsupervised lexicon is right: at least half of the words of both languages have as their "
            "entry the one that parallel text would give.",
            metric="lexicon_precision",
            variant="csr",
            at_least=0.5,
        ),
        Premise(
            id="plain",
            statement="Fine-tuning alone learns to translate (BLEU).",
            metric="bleu",
            variant="plain",
            at_least=60.0,
        ),
    ),
    official_code="https://github.com/zanchangtong/CSR4mBART",
    licence_note=(
        "The official repository has no licence of its own; its patched fairseq is MIT, its copy of VecMap GPL-3.0. "
        "mBART-cc25 is MIT."
    ),
    seeds=(42, 43, 44, 45, 46, 47),
    minutes=15,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    data=("build_lexicon", "pairs", "read_lexicon", "word_starts"),
    lexicon=("induce",),
    method=("CodeSwitchNoiser", "csr_batch", "distances", "restore"),
    use=("Settings", "language_distance", "tune_pairs"),
)
