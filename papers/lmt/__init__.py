"""lmt: many-way translation from multi-way data, without ruining the way back into the pivot."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Graded, as COMET is: the model writes few numbers right.
_OUT: dict[str, Any] = {"metric": "p2x_chrf", "smallest": 2.0, "premises": ()}
_PMP: dict[str, Any] = {"metric": "x2p_pmp_o", "premises": ("base-reads",), "null": None}
_PREMISES = {
    "base-reads": ("base", "x2p", 0.75, "The base model translates into the pivot."),
    "no-forgetting": (
        "p0", "change", -0.10, "Fine-tuning without any pair into the pivot costs X->pivot at most ten points: what is "
        "lost beyond that is not forgetting.",
    ),
    "forgets": (
        "p0", "lost", 0.02, "Fine-tuning without any pair into the pivot costs X->pivot at least two points: there is "
        "something that a few pairs can keep.",
    ),
}  # fmt: skip


_OUT_OF_SCALE = {
    "self-auxiliary-not-worse": (
        "An auxiliary sentence that the model wrote itself (PMP-S) is no worse than direct translation.",
        "PMP-S is at or above direct translation, about as good as PMP-O, for X->En and X->Zh (Figure 5).",
        "needs a model that writes the auxiliary language; the miniature's base writes poorly by design, and in an "
        "earlier recording one of its drafts in six was right.",
    ),
    "pmp-training-helps": (
        "PMP in training also helps X->pivot with the plain prompt.",
        "X->Zh +0.14 / +0.14 / +0.16, X->En +0.03 / +0.06 / +0.05 COMET-22 (Table 2).",
        "an effect of a tenth of a point needs tens of thousands of translations per arm to be told from nothing; "
        "exact match on numbers has an interval of several points.",
    ),
    "cpt-helps-low": (
        "Continued pre-training before the same fine-tuning helps.",
        "SFT + SD against + CPT, low resource: En->X 78.68 to 87.14, Zh->X 75.15 to 84.17, X->En 80.72 to 86.02, X->Zh "
        "79.13 to 84.74 (Table 2).",
        "90B tokens of documents and mined pairs are what the stage adds. Presets `paper` and `paper_cpt` differ in "
        "nothing else.",
    ),
    "grpo-helps": (
        "GRPO with COMET as reward improves every group of directions.",
        "+0.3 to +0.9 COMET-22, for example low-resource X->Zh 84.90 to 85.81 (Table 2).",
        "the reward is a learned metric of translation quality, which knows nothing of spelled-out numbers.",
    ),
    "beats-others": (
        "LMT-60-4B is better than larger translators on the languages that both support.",
        "87.43 against 84.79 (NLLB-54B), 87.42 against 83.85 (Aya-101-13B), 87.50 against 85.71 (Hunyuan-MT-7B); but "
        "88.86 against 89.07 (Seed-X-PPO-7B) (Table 3).",
        "compares released systems on FLORES-200 devtest.",
    ),
}


def _compared(treatment: str, control: str | tuple[str, ...], **others: Any) -> dict[str, Any]:
    """Two arms, by default on the way back into the pivot.

    Every seed draws its numbers and its base model; all arms make as many updates and as many passes. A difference in
    exact match of less than .02 would be of no use to anyone. The null arm is `disjoint` with targets of other sources.
    """
    return {
        "metric": "x2p", "unit": "language", "smallest": 0.02, "treatment": treatment, "control": control,
        "premises": ("base-reads", "no-forgetting"), "null": "shuffled", **others,
    }  # fmt: skip


PAPER = Paper(
    slug="lmt",
    title="NiuTrans.LMT: Toward Inclusive and Scalable Multilingual Machine Translation with LLMs",
    authors="Yingfeng Luo, Ziqiang Xu, Yuxuan Ouyang, Murun Yang, Dingyang Lin, Kaiyan Chang, Tong Zheng, Bei Li, "
    "Peinan Feng, Quan Du, Tong Xiao, Jingbo Zhu",
    year=2025,
    venue="ACL 2026",
    arxiv="2511.07003",
    family="translation",
    summary="Fine-tune on every pivot->X pair of a multi-way corpus but on only 5 % of the X->pivot ones, "
    "and show half of the examples with a second language beside the source.",
    claims=(
        Claim(
            id="downsampling-beats-symmetric",
            statement="Fine-tuned on a multi-way corpus, a model translates better into the pivot if only 5 % of those "
            "pairs are kept than if all are, at as many passes and updates.",
            reported="SFT against SFT + SD: X->En 83.82 / 80.00 / 73.78 to 87.49 / 87.67 / 80.72, "
            "X->Zh 73.60 / 72.18 / 67.94 to 86.55 / 85.87 / 79.13 (COMET-22, Table 2).",
            **_compared("p5", "symmetric"),
        ),
        Claim(
            id="symmetric-hurts",
            statement="Fine-tuning in both directions makes X->pivot worse than the base model, and than the same "
            "fine-tuning without pairs into the pivot.",
            reported="COMET-22 of Qwen3-4B, base against SFT: X->En 85.87 / 86.09 / 75.36 (high, medium, low resource) "
            "falls to 83.82 / 80.00 / 73.78, X->Zh 85.44 / 84.55 / 75.35 to 73.60 / 72.18 / 67.94 (Table 2).",
            **_compared("symmetric", ("base", "p0"), better="lower", null=None),
        ),
        Claim(
            id="repetition-is-the-cause",
            statement="With as many pairs into the pivot, X->pivot is better if hardly a target sentence comes twice "
            "and their numbers are many than if all languages share the same few sentences.",
            reported="With disjoint reverse pairs the collapse disappears (Figure 3, dashed lines).",
            **_compared("disjoint", "symmetric"),
        ),
        Claim(
            id="a-few-reverse-pairs",
            statement="Keeping 5 % of the pairs into the pivot is better for X->pivot than keeping none.",
            reported="X->pivot over p in {0, 1, 5, 10, 20, 50, 100} % is an inverted V that peaks near 5 % (Figure 3).",
            **_compared("p5", "p0", premises=("base-reads", "forgets")),
        ),
        Claim(
            id="forward-improves",
            statement="The same fine-tuning makes pivot->X better than the base model (chrF++).",
            reported="En->X 84.63 to 87.72 (high), 56.81 to 77.51 (low); Zh->X 53.33 to 73.68 (low) (Table 2).",
            **_compared("symmetric", "base", **_OUT),
        ),
        Claim(
            id="downsampling-free",
            statement="Dropping 95 % of the pairs into the pivot costs pivot->X at most one point of chrF++.",
            reported="En->X changes by +0.08 / +0.01 / +1.17 (Table 2).",
            **_compared("p5", "symmetric", **_OUT, keeps=True, size=1.0),
        ),
        Claim(
            id="more-languages-worse",
            statement="With all languages trained in both directions, X->pivot is lower than with eight, on the same "
            "eight, at as many passes and updates.",
            reported="The collapse grows over 10, 20, 30, 40, 50 languages (Figure 3c).",
            **_compared("symmetric", "few_languages", metric="x2p_first", better="lower", null="disjoint"),
        ),
        Claim(
            id="oracle-auxiliary-helps",
            statement="After PMP training, a given auxiliary sentence (PMP-O) helps X->pivot.",
            reported="PMP-O is above direct translation for X->En and X->Zh (Figure 5).",
            **_compared("pmp", "pmp", **_PMP, control_metric="x2p_aux"),
        ),
        *(
            Claim(id=id, statement=statement, reported=reported, out_of_scale=reason)
            for id, (statement, reported, reason) in _OUT_OF_SCALE.items()
        ),
    ),
    checks=(
        Check(
            id="rewording-helps",
            statement="With the same sixteen numbers, X->pivot is better if every pair into the pivot has a wording of "
            "its own than if all languages share one.",
            **_compared("reworded", "symmetric"),
        ),
        Check(
            id="new-numbers-help",
            statement="With a wording of its own for every pair, X->pivot is better if the numbers are many than if "
            "they are the same sixteen.",
            **_compared("disjoint", "reworded"),
        ),
        Check(
            id="auxiliary-is-read",
            statement="A given auxiliary sentence is better for X->pivot than that of another item.",
            **_compared("pmp", "pmp", **_PMP, control_metric="x2p_pmp_x"),
        ),
    ),
    premises=tuple(
        Premise(id=id, statement=statement, metric=metric, variant=variant, at_least=least)
        for id, (variant, metric, least, statement) in _PREMISES.items()
    ),
    minutes=14,
    official_code="https://github.com/NiuTrans/LMT",
    licence_note="The released models are tagged apache-2.0; the repository has no licence file. FLORES-200 and NTREX "
    "are CC-BY-SA-4.0.",
    seeds=(36, 37, 38, 39, 40),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("downsample", "pivot_pairs", "target_repetition"),
    data=("build_sft", "read_examples", "write_sft"),
    prompts=("Example", "auxiliary_for", "language_name", "model_input", "translate_examples"),
)
