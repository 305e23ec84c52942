"""Layer swapping: outer layers of a language expert around the middle of a task expert, composed without training."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Every seed draws two target languages of its own, sums, initial weights and experts; the languages are drawn whole.
# Less than two points of a hundred would be of no use to anyone. `add` are sums that the base and the maths expert were
# shown in English, and that nobody was shown in the target language; `unseen` are in no data of any language.
_ADD: dict[str, Any] = {"metric": "add", "treatment": "swap", "unit": "language", "smallest": 0.02}
_SOUND: dict[str, Any] = {"premises": ("learnt-the-task", "learnt-the-language", "interchangeable")}
_LARGE = "Needs an 8B model, its experts and MGSM: preset `paper` trains, merges and measures."

PAPER = Paper(
    slug="layer_swapping",
    title="Layer Swapping for Zero-Shot Cross-Lingual Transfer in Large Language Models",
    authors="Lucas Bandarkar, Benjamin Muller, Pritish Yuvraj, Rui Hou, Nayan Singhal, Hongjiang Lv, Bing Liu",
    year=2024,
    venue="ICLR 2025",
    arxiv="2410.01335",
    family="merging",
    summary="Tunes one base twice, on a task in English and on anything in the target language, and takes the outer "
    "layers from the second model and the middle from the first: the task in a language that has no data for it.",
    claims=(
        Claim(
            id="beats-both-experts",
            statement="Sums that were shown in English, and none of them in the target language, are right there more "
            "often after layer swapping than with the maths expert and than with the language expert.",
            reported="MGSM: 10 % above the experts in four languages (abstract).",
            **_ADD,
            control=("task", "language"),
            null="stranger",
            **_SOUND,
        ),
        Claim(
            id="transfers",
            statement="They are right more often than with the maths expert, and than with the base: what is known in "
            "English reaches the language.",
            reported="The best merge is above experts and base in Swahili, Telugu and Bengali; in Japanese it is below "
            "the maths experts (public reviews).",
            **_ADD,
            control=("task", "base"),
            null="stranger",
            **_SOUND,
        ),
        Claim(
            id="beats-other-merges",
            statement="They are right more often than after averaging the same experts, or merging them by TIES.",
            reported="10 % above other ways of merging (abstract; soup and TIES: secondary sources).",
            **_ADD,
            control=("soup", "ties"),
            null="stranger",
            **_SOUND,
        ),
        Claim(
            id="beats-joint-tuning",
            statement="They are right more often than after tuning one model on the data of both experts.",
            reported="So in Swahili (secondary sources; the number was not read).",
            **_ADD,
            control="joint",
            null="stranger",
            **_SOUND,
        ),
        Claim(
            id="language-changes-the-ends",
            statement="More of what language tuning changes lies in the first and the last layer, by size, than of "
            "what maths tuning changes.",
            reported="Maths tuning changes the middle layers most, language tuning the first and last ones (abstract).",
            metric="ends",
            treatment="language",
            control="task",
            smallest=0.02,
        ),
        Claim(
            id="transition-makes-no-odds",
            statement="With a mixed layer at each seam or without, as many sums are right, within three points.",
            reported="No significant benefit of transition zones (secondary sources).",
            metric="add",
            treatment="swap",
            control="no_transition",
            unit="language",
            better="equal",
            size=0.03,
            **_SOUND,
        ),
        Claim(
            id="the-cut-hardly-matters",
            statement="With one more layer from the language expert at the bottom as many sums are right, within three "
            "points.",
            reported="Many cuts work about equally well (secondary sources).",
            metric="add",
            treatment="bottom_two",
            control="swap",
            unit="language",
            better="equal",
            size=0.03,
            **_SOUND,
        ),
        Claim(
            id="mgsm",
            statement="Merged Llama 3.1 8B models solve 10 % more of MGSM in Swahili, Telugu, Bengali and Japanese.",
            reported="10 % (abstract; the table was not read).",
            out_of_scale=_LARGE,
        ),
    ),
    checks=(
        Check(
            id="the-place-matters",
            statement="It matters which layers: the language expert in the middle is worse, and so are the same shares "
            "of it in random places.",
            **_ADD,
            control=("reverse", "random"),
            null="stranger",
            **_SOUND,
        ),
        Check(
            id="sums-nobody-saw",
            statement="Sums of families that no model was shown in any language are right more often, too, than with "
            "the maths expert and than with the language expert.",
            **{**_ADD, "metric": "unseen"},
            control=("task", "language"),
            null="stranger",
            **_SOUND,
        ),
        Check(
            id="keeps-english",
            statement="More of the tested sums are right in English than with the language expert.",
            metric="english",
            treatment="swap",
            control="language",
            unit="language",
            smallest=0.02,
            **_SOUND,
        ),
        Check(
            id="costs-english",
            statement="In English they are as often right as with the maths expert, up to five points.",
            metric="english",
            treatment="swap",
            control="task",
            unit="language",
            keeps=True,
            size=0.05,
            **_SOUND,
        ),
        Check(
            id="keeps-the-language",
            statement="Other tasks in the target language keep what the language expert reaches, up to five points.",
            metric="generic",
            treatment="swap",
            control="language",
            unit="language",
            keeps=True,
            size=0.05,
            null="stranger",
            **_SOUND,
        ),
        Check(
            id="beats-arithmetic",
            statement="More sums are right than after adding both differences to the base.",
            **_ADD,
            control="arithmetic",
            null="stranger",
            **_SOUND,
        ),
        Check(
            id="beats-freezing",
            statement="More sums are right than when each expert is tuned in nothing but the layers that it gives.",
            **_ADD,
            control="frozen",
            null="stranger",
            **_SOUND,
        ),
        Check(
            id="both-ends",
            statement="The lowest layers alone bring less, and so do the highest alone.",
            **_ADD,
            control=("bottom_only", "top_only"),
            null="stranger",
            **_SOUND,
        ),
    ),
    premises=(
        Premise(
            id="learnt-the-task",
            statement="The maths expert knows the tested sums in English, where it was shown them.",
            metric="english",
            variant="task",
            at_least=0.8,
        ),
        Premise(
            id="learnt-the-language",
            statement="The language expert solves the other tasks in its language, with numbers of the tested sums.",
            metric="generic",
            variant="language",
            at_least=0.8,
        ),
        Premise(
            id="interchangeable",
            statement="Layers fit together: the merge solves the other tasks in Spanish, on which nobody was tuned.",
            metric="neutral",
            variant="swap",
            at_least=0.8,
        ),
    ),
    licence_note="There is no official code, and no released model. Llama 3.1 has a licence of its own; Orca-Math is "
    "MIT, the Aya dataset Apache-2.0, MGSM CC BY-SA 4.0.",
    seeds=(42, 43, 44, 45, 46, 47),
    minutes=15,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("Recipe", "change", "placed", "shares", "swap", "swapped"),
    use=("scaled", "suggested"),
)
