"""LangSAMP: language and script vectors on the way into the head leave the encoder more language-neutral."""

from __future__ import annotations

from typing import Any

from core.experiment.paper import Check, Claim, Paper, Premise, public

# Against the same training without the vectors, over languages. The null arm hands every chunk another one's ids.
_AGAINST: dict[str, Any] = {
    "treatment": "full",
    "control": "none",
    "unit": "language",
    "null": "shuffled",
    "premises": ("crosslingual",),
}
_TASKS = "Consistently outperforms the baseline in zero-shot transfer across diverse downstream tasks (abstract)."
_SCALE = "Needs continued pre-training of XLM-R on Glot500-c: preset `paper`."

PAPER = Paper(
    slug="langsamp",
    title="LangSAMP: Language-Script Aware Multilingual Pretraining",
    authors="Yihong Liu, Haotian Ye, Chunlan Ma, Mingyang Wang, Hinrich Schütze",
    year=2024,
    venue="ACL 2025",
    arxiv="2409.18199",
    family="encoders",
    summary=(
        "Adds language and script vectors behind the last layer of an encoder in masked language modelling, and throws "
        "them away with the head: the states need not say the language, and become more alike across languages."
    ),
    claims=(
        Claim(
            id="states-are-more-neutral",
            statement="Told the language and script at the head, an encoder gives translations states that are more "
            "alike (cosine) than the same training without.",
            reported="Improved pairwise cosine similarity (abstract).",
            metric="pair_cosine",
            smallest=0.05,
            **_AGAINST,
        ),
        Claim(
            id="zero-shot-transfer",
            statement="What is learnt on the frozen encoder in one language is told better in the others.",
            reported=_TASKS,
            metric="transfer",
            smallest=0.02,
            **{**_AGAINST, "premises": ("crosslingual", "transfers")},
        ),
        Claim(
            id="retrieves-translations",
            statement="More translations are retrieved (accuracy@1).",
            reported=_TASKS,
            metric="acc1",
            smallest=0.01,
            **_AGAINST,
        ),
        Claim(
            id="vectors-choose-donors",
            statement="Transfer from the language whose vector is most alike is better than from English.",
            reported="The vectors can be used to select better source languages (abstract).",
            metric="from_donor",
            treatment="full",
            control="full",
            control_metric="from_source",
            smallest=0.02,
            unit="language",
            null="shuffled",
            premises=("crosslingual", "transfers"),
        ),
        Claim(
            id="tail-languages-gain-most",
            statement="Languages that the base model had not read gain most.",
            reported="As summarised by others; tables by head and tail were not available to us.",
            out_of_scale=_SCALE,
        ),
    ),
    checks=(
        Check(
            id="both-tables",
            statement="Language and script vectors together leave translations more alike than either alone.",
            metric="pair_cosine",
            treatment="full",
            control=("lang", "script"),
            smallest=0.05,
            unit="language",
            null="shuffled",
            premises=("crosslingual",),
        ),
        Check(
            id="behind-the-encoder",
            statement="Vectors at the input as well, although such an encoder is told its ids in use, leave "
            "translations less alike than training without any.",
            metric="pair_cosine",
            treatment="input",
            control="none",
            better="lower",
            smallest=0.05,
            unit="language",
            null="shuffled",
            premises=("crosslingual",),
        ),
        Check(
            id="alike-for-their-meaning",
            statement="The cosine of translations lies further above that of lines that are no translations.",
            metric="margin",
            smallest=0.02,
            **_AGAINST,
        ),
        Check(
            id="predicts-better",
            statement="Masked words of held-out lines are predicted better (nats a token).",
            metric="masked_loss",
            better="lower",
            smallest=0.02,
            **_AGAINST,
        ),
    ),
    premises=(
        Premise(
            id="crosslingual",
            statement="The base is cross-lingual, as XLM-R is: it finds more translations than shared letters do, by "
            "half of all lines at least.",
            metric="over_letters",
            variant="base",
            at_least=0.5,
        ),
        Premise(
            id="transfers",
            statement="What is learnt on the frozen base in one language is told in the others (the commonest answer "
            "is right in about .15).",
            metric="transfer",
            variant="base",
            at_least=0.8,
        ),
    ),
    official_code="https://github.com/cisnlp/LangSAMP",
    licence_note="The official repository carries no licence as a whole; XLM-R is MIT, Glot500 Apache-2.0.",
    seeds=(51, 52, 53, 54, 55, 56, 57),
    minutes=10,
)

__getattr__, __dir__, __all__ = public(
    __name__,
    method=("Tables", "attach", "detach", "told", "langsamp_loss", "similarity", "donors"),
    train=("load_tables",),
    eval=("neutrality",),
)
