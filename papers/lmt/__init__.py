"""lmt: many-way translation from multi-way data, without ruining the way back into the pivot."""

from __future__ import annotations

from core.experiment.paper import Claim, Paper, public

PAPER = Paper(
    slug="lmt",
    title="NiuTrans.LMT: Toward Inclusive and Scalable Multilingual Machine Translation with LLMs",
    authors="Yingfeng Luo, Ziqiang Xu, Yuxuan Ouyang, Murun Yang, Dingyang Lin, Kaiyan Chang, Tong Zheng, Bei Li, "
    "Peinan Feng, Quan Du, Tong Xiao, Jingbo Zhu",
    year=2025,
    venue="ACL 2026",
    arxiv="2511.07003",
    family="fine-tuning",
    summary="Fine-tune on every pivot->X pair of a multi-way corpus but on only 5 % of the X->pivot ones, "
    "and show half of the examples with a second language beside the source.",
    claims=(
        Claim(
            id="symmetric-hurts",
            statement="Fine-tuning on both directions of a multi-way corpus makes X->pivot worse than the base model, "
            "by at least ten points of exact match.",
            reported="COMET-22 of Qwen3-4B, base against SFT: X->En 85.87 / 86.09 / 75.36 (high, medium, low resource) "
            "falls to 83.82 / 80.00 / 73.78, X->Zh 85.44 / 84.55 / 75.35 to 73.60 / 72.18 / 67.94 (Table 2).",
            metric="x2p",
            unit="direction",
            treatment="symmetric",
            control="base",
            better="lower",
            size=0.10,
        ),
        Claim(
            id="forward-improves",
            statement="The same fine-tuning makes pivot->X better than the base model.",
            reported="En->X 84.63 to 87.72 (high), 56.81 to 77.51 (low); Zh->X 53.33 to 73.68 (low) (Table 2).",
            metric="p2x",
            unit="direction",
            treatment="symmetric",
            control="base",
        ),
        Claim(
            id="disjoint-repairs",
            statement="As many reverse pairs with targets that do not repeat cost much less: X->pivot is higher by at "
            "least eight points at the same number of examples and updates.",
            reported="With disjoint reverse pairs the collapse disappears (Figure 3, dashed lines).",
            metric="x2p",
            unit="direction",
            treatment="disjoint",
            control="symmetric",
            size=0.08,
        ),
        Claim(
            id="disjoint-same-forward",
            statement="Disjoint and repeated reverse targets leave pivot->X the same (within five points).",
            reported="Only the X->pivot directions are affected (Section 2.1, Figure 3).",
            metric="p2x",
            unit="direction",
            treatment="disjoint",
            control="symmetric",
            better="equal",
            size=0.05,
        ),
        Claim(
            id="a-few-reverse-pairs",
            statement="Keeping 20 % of the reverse pairs beats keeping none, in X->pivot, by at least ten points.",
            reported="X->pivot over p in {0, 1, 5, 10, 20, 50, 100} % is an inverted V that peaks near 5 % (Figure 3).",
            metric="x2p",
            unit="direction",
            treatment="p20",
            control="p0",
            size=0.10,
        ),
        Claim(
            id="downsampling-beats-symmetric",
            statement="Keeping 20 % of the reverse pairs is better in X->pivot than keeping all of them.",
            reported="SFT against SFT + SD: X->En 83.82 / 80.00 / 73.78 to 87.49 / 87.67 / 80.72, "
            "X->Zh 73.60 / 72.18 / 67.94 to 86.55 / 85.87 / 79.13 (Table 2, with 5 %).",
            metric="x2p",
            unit="direction",
            treatment="p20",
            control="symmetric",
        ),
        Claim(
            id="downsampling-no-worse",
            statement="With a fifth of the reverse pairs X->pivot is at most two points below that with all of them.",
            reported="The weaker form of the claim above: SFT + SD is 3.7 to 14 points of COMET-22 higher (Table 2).",
            metric="x2p",
            unit="direction",
            treatment="p20",
            control="symmetric",
            keeps=True,
            size=0.02,
        ),
        Claim(
            id="downsampling-free",
            statement="Dropping 80 % of the reverse pairs costs pivot->X nothing (at most three points).",
            reported="En->X changes by +0.08 / +0.01 / +1.17 (Table 2).",
            metric="p2x",
            unit="direction",
            treatment="p20",
            control="symmetric",
            keeps=True,
            size=0.03,
        ),
        Claim(
            id="more-languages-worse",
            statement="The loss of X->pivot is larger with twelve languages than with four, on the same four.",
            reported="The collapse grows over 10, 20, 30, 40, 50 languages (Figure 3c).",
            metric="x2p_first",
            unit="direction",
            treatment="symmetric",
            control="symmetric_4",
            better="lower",
        ),
        Claim(
            id="more-languages-worse-matched",
            statement="The same when the four languages are trained for as many updates as the twelve.",
            reported="Not examined: the paper's larger sets make more updates. The control is ours.",
            metric="x2p_first",
            unit="direction",
            treatment="symmetric",
            control="symmetric_4_matched",
            better="lower",
        ),
        Claim(
            id="oracle-auxiliary-helps",
            statement="After PMP training, a given auxiliary sentence (PMP-O) helps X->pivot.",
            reported="PMP-O is above direct translation for X->En and X->Zh (Figure 5).",
            metric="x2p_pmp_o",
            unit="direction",
            treatment="pmp",
            control="pmp",
            control_metric="x2p_aux",
        ),
        Claim(
            id="oracle-auxiliary-helps-forward",
            statement="A given auxiliary sentence helps pivot->X, too.",
            reported="PMP-O is above direct translation for Zh->X, where PMP-S is not (Figure 5).",
            metric="p2x_pmp_o",
            unit="direction",
            treatment="pmp",
            control="pmp",
            control_metric="p2x_aux",
        ),
        Claim(
            id="self-auxiliary-not-worse",
            statement="An auxiliary sentence that the model wrote itself (PMP-S) is no worse than direct translation "
            "for X->pivot (within two points).",
            reported="PMP-S is at or above direct translation, about as good as PMP-O, for X->En and X->Zh (Figure 5).",
            metric="x2p_pmp_s",
            unit="direction",
            treatment="pmp",
            control="pmp",
            control_metric="x2p_aux",
            keeps=True,
            size=0.02,
        ),
        Claim(
            id="pmp-training-helps",
            statement="PMP in training also helps X->pivot with the plain prompt.",
            reported="X->Zh +0.14 / +0.14 / +0.16, X->En +0.03 / +0.06 / +0.05 (Table 2).",
            metric="x2p_aux",
            unit="direction",
            treatment="pmp",
            control="p20",
        ),
        Claim(
            id="cpt-helps-low",
            statement="Continued pre-training before the same fine-tuning helps.",
            reported="SFT + SD against + CPT, low resource: En->X 78.68 to 87.14, Zh->X 75.15 to 84.17, X->En 80.72 to "
            "86.02, X->Zh 79.13 to 84.74 (Table 2).",
            out_of_scale="90B tokens of documents and mined pairs are what the stage adds; the miniature's base model "
            "has already read its whole world, the numbers below ten thousand.",
        ),
        Claim(
            id="grpo-helps",
            statement="GRPO with COMET as reward improves every group of directions.",
            reported="+0.3 to +0.9 COMET-22, for example low-resource X->Zh 84.90 to 85.81 (Table 2).",
            out_of_scale="the reward is a learned metric of translation quality, which knows nothing of spelled-out "
            "numbers; and the miniature's prompts are learnt by heart, so that all rollouts of a prompt earn the same.",
        ),
        Claim(
            id="beats-others",
            statement="LMT-60-4B is better than larger translators on the languages that both support.",
            reported="87.43 against 84.79 (NLLB-54B), 87.42 against 83.85 (Aya-101-13B), 87.50 against 85.71 "
            "(Hunyuan-MT-7B); but 88.86 against 89.07 (Seed-X-PPO-7B) (Table 3).",
            out_of_scale="compares released systems on FLORES-200 devtest.",
        ),
    ),
    minutes=17,
    official_code="https://github.com/NiuTrans/LMT",
    licence_note="The released models are tagged apache-2.0; the repository has no licence file. FLORES-200 and NTREX "
    "are CC-BY-SA-4.0.",
    extra_variants=("p5", "p5_matched", "p50"),
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=(
        "Example",
        "Repetition",
        "auxiliary_for",
        "build_sft",
        "pivot_pairs",
        "target_repetition",
        "translation_prompt",
    ),
    inference=("clean_output", "few_shot_input", "model_input", "special_strings", "translate"),
    stages=("cpt_mixture", "cpt_text", "group_advantages", "grpo_loss", "keep_pair"),
    languages=("AUXILIARY", "LANGUAGES", "LANGUAGE_NAMES", "TIERS", "language_name", "suggest_auxiliary"),
    data=("manifest", "read_examples", "write_sft"),
)
