"""Settings of every scale and variant.

At `tiny` and `smoke` a small model is trained from scratch on interface messages in four languages and then continued
on a staged mixture with six new ones; at `paper` Qwen2-7B is continued on 300 billion tokens. The settings of `tiny`
were chosen on the development messages and numbers (`--split dev`), on which no claim is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.corpora.filtering import PLAIN_RULES, RULES, Rule
from core.errors import UserError
from core.experiment.config import Range, Seed, name_values, validate
from core.training.config import TrainingConfig
from papers.marco_llm.templates import TEMPLATES, Letter

if TYPE_CHECKING:
    from transformers import LlamaConfig

    from core.cost.workload import Workload


@dataclass(frozen=True)
class Scratch:
    """The miniature's base model: a Llama-type decoder that knows the old languages alone."""

    vocabulary: Annotated[int, Range(300)] = 2000
    """Byte-level BPE pieces, trained on all ten languages."""
    width: Annotated[int, Range(16)] = 128
    """Hidden size."""
    layers: Annotated[int, Range(1)] = 3
    """Decoder layers."""
    heads: Annotated[int, Range(1)] = 4
    """Attention heads."""
    feed_forward: Annotated[int, Range(16)] = 352
    """Inner width of the feed-forward layers."""
    english_share: Annotated[float, Range(0, 1)] = 0.4
    """Share of English in the monolingual part of the base training; the other old languages share the rest."""
    pairs_share: Annotated[float, Range(0, 1)] = 0.6
    """Share of the base's tokens that is number words of English with `pairs`, in the templates: a real base translates
    among the languages that it knows, and a small one has to be taught how."""
    pairs: tuple[str, ...] = ("fr", "es")
    """Old languages of those pairs; not German, whose numbers are one word with the units first and take far longer."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=1000, batch_size=4, max_length=128, long_documents="split", shuffle=False, learning_rate=3e-3,
            schedule="cosine", warmup=0.05, final_learning_rate=0.1, weight_decay=0.1, beta2=0.95, precision="fp32",
            log_every=50,
        )
    )  # fmt: skip
    """Base training, 512 tokens a step."""


@dataclass(frozen=True)
class PostTraining:
    """Supervised fine-tuning and preference alignment (Figure 2 of the paper names the two, with no numbers)."""

    sft_data: str | None = None
    """Chat JSON lines (`messages`); None = this step is left out."""
    preferences: str | None = None
    """JSON lines with `prompt`, `chosen`, `rejected` (texts or message lists); None = this step is left out."""
    sft: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=2, batch_size=512, micro_batch_size=1, max_length=4096, learning_rate=6e-6, warmup=0.03,
            final_learning_rate=0.1, beta2=0.95, gradient_checkpointing=True,
        )
    )  # fmt: skip
    """Not stated; the maximum of stage II, two epochs and 512 conversations a step are our choice."""
    dpo: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=1, batch_size=128, micro_batch_size=1, max_length=2048, learning_rate=5e-7, warmup=0.1,
            beta2=0.95, gradient_checkpointing=True,
        )
    )  # fmt: skip
    """Not stated; the usual learning rate of DPO, one epoch, 128 pairs a step."""
    beta: Annotated[float, Range(0)] = 0.1
    """Strength of the pull towards the fine-tuned model. Not stated; the usual value."""


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Of the base model, the noise in the bitext, the templates and the order of the data."""

    # where it starts
    model: str | None = None
    """Checkpoint to continue (hub id or folder); None = the miniature's own base. The paper: Qwen/Qwen2-7B and 72B."""
    scratch: Scratch = field(default_factory=Scratch)
    """Read only without `model`."""

    # what it reads
    sources: str | None = None
    """A manifest: JSON lines with `path` (text .jsonl or .txt, parallel .tsv, or hub id#config@split), `category`,
    `language` (for parallel text `languages`, two of them), and optionally `name`, `quality`, `tokens`. `paper` =
    public data in place of the paper's own corpus, which is not public. None = the miniature."""
    other_high: tuple[str, ...] = ("de", "fr", "es")
    """The miniature's old languages besides English."""
    low: tuple[str, ...] = ("tr", "id", "hu", "vi", "fi", "lt")
    """The miniature's new languages."""

    # the mixture
    stage1: tuple[str, ...] = ("english=0.35", "other_high=0.45", "low=0.13", "parallel=0.07")
    """Token shares of the categories in stage I. Table 2 without Chinese, knowledge and synthetic data, old languages
    80 %: 35/45/13/7."""
    stage2: tuple[str, ...] = ("english=0.30", "other_high=0.39", "low=0.21", "parallel=0.10")
    """Token shares in stage II (Table 3, in the same way)."""
    tokens: tuple[Annotated[float, Range(1)], Annotated[float, Range(1)]] = (27_000, 27_000)
    """Token budgets of the stages. Table 1: 160 and 140 billion."""
    lr_stage1: Annotated[float, Range(0, 1)] = 1e-3
    """Maximum learning rate of stage I. The paper: 1e-5."""
    lr_stage2: Annotated[float, Range(0, 1)] = 6e-4
    """Maximum learning rate of stage II; the ratio 1 : 0.6 is the paper's (6e-6). Equal to `lr_stage1` it is the
    ablation that restarts at the old rate."""
    stages: Literal["two", "one"] = "two"
    """one = the token-weighted average mixture at `lr_stage1`, same tokens."""
    mixture: Literal["marco", "uniform", "low_only"] = "marco"
    """uniform = every language the same share, parallel text as above; low_only = no replay: 80 % low-resource and 20 %
    parallel text."""
    replay_fraction: Annotated[float | None, Range(0, 1)] = None
    """Scale the old languages' categories (English and Chinese; in the miniature English and the other high-resource
    languages) to this share in every stage; None = as the shares say."""
    replay_categories: tuple[str, ...] = ("english", "other_high")
    """What `replay_fraction` scales."""
    temperature: Annotated[float | None, Range(0.01)] = None
    """Over the languages of a category; None = equal tokens for each, as in the paper, whatever there is."""
    max_epochs: Annotated[float | None, Range(0.01)] = None
    """Cap on the repetition of any source; None = no cap (the paper has more than enough of everything)."""
    accounting: Literal["tokens", "documents"] = "tokens"
    """What a share counts. documents is an ablation: drawing documents by the same weights."""

    # parallel text
    parallel: Literal["filtered", "unfiltered", "none"] = "filtered"
    """none = its share goes to the other categories."""
    parallel_text: Literal["messages", "numbers"] = "messages"
    """The miniature's bitext: interface messages of English with each new language, or number words of English with
    Turkish and Indonesian, from which a small model can learn to translate."""
    noise: Annotated[float, Range(0, 1)] = 0.0
    """Share of the number pairs whose translation is replaced by a wrong number's or one in a wrong language."""
    renderings: Annotated[int, Range(1)] = 1
    """Texts made of each pair, each with its own template and direction."""
    templates: tuple[Letter, ...] = tuple(TEMPLATES)
    """Templates of Table 13 to draw from."""
    filter_rules: tuple[Rule, ...] = PLAIN_RULES
    """Rules of the filter (ours; the paper's is not described)."""
    similarity: str = "alignment"
    """`alignment` = word alignment learnt from the pairs themselves, or an encoder (wheel:e5-small,
    sentence-transformers/LaBSE)."""
    threshold: Annotated[float, Range(-1, 1)] = 0.5
    """Smallest similarity of a pair. 0.7 for LaBSE; the miniature's is tuned on development pairs."""

    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            batch_size=4, max_length=128, long_documents="split", shuffle=False, schedule="cosine", warmup=0.05,
            final_learning_rate=0.1, weight_decay=0.1, beta2=0.95, precision="fp32", log_every=20,
        )
    )  # fmt: skip
    """Both stages; the learning rate is `lr_stage1` or `lr_stage2`, the steps follow from `tokens`. Decay is not
    stated: linear warm-up over 1 % (5 % of the few steps here), then cosine to a tenth."""
    post: PostTraining = field(default_factory=PostTraining)
    """What comes after: nothing, unless data is named."""

    # the measurement
    split: Literal["test", "dev"] = "test"
    """Held-out messages and numbers: dev is for choosing settings, test for the claims."""
    test_corpus: str | None = None
    """Held-out parallel text (.tsv, .jsonl, folder, or flores200) to measure instead of the miniature's messages."""
    test_languages: tuple[str, ...] = ()
    """Its languages; empty = all that it has."""
    old_languages: tuple[str, ...] = ()
    """Those that must not be lost; empty = English (and in the miniature the other high-resource languages)."""
    held_out: Annotated[int, Range(1)] = 70
    """Messages held out for each split, the same in all languages."""
    translation_languages: tuple[str, ...] = ()
    """Measure any-to-any translation among these; empty = not at all. With number words as bitext: of numbers, else of
    the held-out text."""
    translation_items: Annotated[int, Range(1)] = 100
    """Sentences per direction."""
    translation_templates: tuple[str, ...] = ("C", "B")
    """Templates to ask with."""
    shots: Annotated[int, Range(0)] = 0
    """Solved examples in the prompt. The paper: 1."""
    max_new_tokens: Annotated[int, Range(1)] = 32
    """Longest translation in tokens."""
    curve_points: Annotated[int, Range(0)] = 0
    """Measurements along each stage, on a part of the development messages (the paper's Figure 9); 0 = none."""

    def __post_init__(self) -> None:
        """Refuse combinations that no single field can refuse."""
        validate(self)
        for name in ("stage1", "stage2"):
            check = parse_shares(getattr(self, name), name)
            if abs(sum(check.values()) - 1) > 1e-6:
                raise UserError(f"{name}: the shares sum to {sum(check.values()):g}; they must sum to 1.")
        if min(self.tokens) <= 0:
            raise UserError(f"tokens = {self.tokens}: give each stage a positive budget.")
        if self.sources and self.model is None:
            raise UserError("Own sources continue a pretrained model: give --model, a hub id or a folder.")
        if not self.templates:
            raise UserError("templates is empty: name at least one of A to K (Table 13), or use --parallel none.")
        if "K" in self.translation_templates:
            raise UserError("translation_templates: K does not end with the translation, choose another one.")


def parse_shares(shares: tuple[str, ...], where: str = "shares") -> dict[str, float]:
    """`("english=0.35", ...)` as numbers."""
    return dict(name_values(where, shares, "english=0.35", float, allowed=Range(0, 1)))


_PAPER_STAGE1 = (
    "english=0.32", "chinese=0.17", "other_high=0.30", "low=0.09", "parallel=0.06", "knowledge=0.05", "synthetic=0.01",
)  # fmt: skip
_PAPER_STAGE2 = (
    "english=0.28", "chinese=0.15", "other_high=0.26", "low=0.15", "parallel=0.08", "knowledge=0.06", "synthetic=0.02",
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": Config(
        scratch=Scratch(
            vocabulary=400, width=16, layers=1, heads=2, feed_forward=16, pairs=("de",),
            training=TrainingConfig(
                steps=2, batch_size=2, max_length=64, long_documents="split", shuffle=False, precision="fp32"
            ),
        ),
        other_high=("de",),
        low=("tr", "id"),
        tokens=(600, 600),
        parallel_text="numbers",
        noise=0.5,
        training=TrainingConfig(batch_size=2, max_length=64, long_documents="split", shuffle=False, precision="fp32"),
        held_out=4,
        translation_languages=("en", "tr", "id"),
        translation_items=1,
        translation_templates=("C",),
        max_new_tokens=4,
        curve_points=1,
    ),
    "tiny": Config(),
    "paper": Config(
        model="Qwen/Qwen2-7B",
        sources="paper",
        stage1=_PAPER_STAGE1,
        stage2=_PAPER_STAGE2,
        tokens=(160e9, 140e9),
        lr_stage1=1e-5,
        lr_stage2=6e-6,
        replay_categories=("english", "chinese"),
        filter_rules=RULES,
        similarity="sentence-transformers/LaBSE",
        threshold=0.7,
        # Not stated: 1,024 rows of 4,096 tokens are 4M tokens a step, 38,147 and 33,379 steps.
        training=TrainingConfig(
            batch_size=1024, micro_batch_size=1, max_length=4096, long_documents="split", shuffle=False,
            schedule="cosine", warmup=0.01, final_learning_rate=0.1, weight_decay=0.1, beta2=0.95, precision="bf16",
            strategy="fsdp2", gradient_checkpointing=True, save_every=500,
        ),
        test_corpus="flores200",
        test_languages=(
            "eng_Latn", "zho_Hans", "arb_Arab", "deu_Latn", "spa_Latn", "fra_Latn", "kor_Hang", "jpn_Jpan", "por_Latn",
            "tur_Latn", "ben_Beng", "heb_Hebr", "ind_Latn", "ita_Latn", "zsm_Latn", "nld_Latn", "pol_Latn", "rus_Cyrl",
            "tha_Thai", "ukr_Cyrl", "urd_Arab", "vie_Latn", "ces_Latn", "ell_Grek", "hun_Latn", "kaz_Cyrl", "ron_Latn",
            "azj_Latn", "npi_Deva",
        ),
        old_languages=("eng_Latn", "zho_Hans"),
        # Table 12 has the 42 directions among seven languages besides English; which seven is not known to us.
        translation_languages=(
            "eng_Latn", "zho_Hans", "arb_Arab", "deu_Latn", "jpn_Jpan", "tur_Latn", "npi_Deva", "kaz_Cyrl",
        ),
        translation_items=1012,
        translation_templates=("C",),
        shots=1,
        max_new_tokens=256,
    ),
}  # fmt: skip

# The parallel part of the experiment: three quarters of the tokens are number words, a share of the miniature alone.
_NUMBERS: dict[str, Any] = {
    "parallel_text": "numbers",
    "noise": 0.5,
    "renderings": 4,
    "filter_rules": RULES,
    "stage1": ("english=0.08", "other_high=0.10", "low=0.07", "parallel=0.75"),
    "stage2": ("english=0.07", "other_high=0.09", "low=0.09", "parallel=0.75"),
    "tokens": (60_000, 60_000),
    "training.batch_size": 2,
    "lr_stage1": 3e-3,
    "lr_stage2": 1.8e-3,
    "translation_languages": ("en", "tr", "id"),
}

VARIANTS: dict[str, dict[str, Any]] = {
    # A. what the stages and the replay do
    "two_stage": {"curve_points": 4},
    "low_only": {"mixture": "low_only", "stages": "one", "curve_points": 8},
    "one_stage": {"stages": "one"},
    "uniform": {"mixture": "uniform"},
    "no_parallel": {"parallel": "none"},
    "same_rate": {"lr_stage2": 1e-3},
    "no_replay": {"replay_fraction": 0.0},
    "half_replay": {"replay_fraction": 0.5},
    "by_documents": {"accounting": "documents"},
    "by_size": {"temperature": 1.0},
    "capped": {"max_epochs": 1.0},
    # B. what the parallel text and its filter do
    "numbers_clean": {**_NUMBERS, "noise": 0.0, "parallel": "unfiltered"},
    "numbers_unfiltered": {**_NUMBERS, "parallel": "unfiltered"},
    "numbers_filtered": _NUMBERS,
    "numbers_none": {**_NUMBERS, "parallel": "none"},
    "numbers_one_template": {**_NUMBERS, "noise": 0.0, "parallel": "unfiltered", "templates": ("C",)},
}

MODELS = ("Qwen/Qwen2-7B", "Qwen/Qwen2-72B")


def llama_shape(shape: Scratch, vocabulary: int) -> LlamaConfig:
    """The miniature's base as transformers' own configuration."""
    from core.models.architectures import miniature

    return miniature(
        vocabulary, width=shape.width, layers=shape.layers, heads=shape.heads, feed_forward=shape.feed_forward,
        positions=512,
    )  # fmt: skip


def workload(config: Config) -> list[Workload]:
    """What the stages compute, for `papers plan`; at paper scale for both models."""
    from core.cost.workload import Workload

    settings = config.training
    models: Any = (llama_shape(config.scratch, config.scratch.vocabulary),) if config.model is None else (config.model,)
    if config.model in MODELS:
        models = MODELS
    return [
        Workload(
            architecture=model,
            tokens=tokens,
            sequence_length=settings.max_length,
            micro_batch_size=settings.micro_batch_size or settings.batch_size,
            checkpointing=settings.gradient_checkpointing,
            name=f"stage {number}",
        )
        for model in models
        for number, tokens in zip(("I", "II"), config.tokens, strict=True)
    ]
