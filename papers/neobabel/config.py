"""Settings of every scale and variant of NeoBabel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import Gemma2Config, PreTrainedConfig

    from core.cost.workload import Workload

LANGUAGES = ("en", "zh", "nl", "fr", "hi", "fa")
StageName = Literal["p1", "p2", "p3", "i1", "i2"]
ORDER: tuple[StageName, ...] = ("p1", "p2", "p3", "i1", "i2")


@dataclass(frozen=True)
class Stage:
    """One stage of training."""

    sources: tuple[str, ...] = ("world",)
    """Data sets: parts of the miniature world (world, world:labels, world:english) or folders (see data.py)."""
    ratios: tuple[Annotated[float, Range(0)], ...] = ()
    """Share of each source; empty = by its size."""
    image_tokens: Annotated[int, Range(1)] = 9
    """N, codes of an image: 256 at 256 pixels, 1,024 at 512."""
    text_tokens: Annotated[int, Range(3)] = 20
    """Tmax, the text budget: 128 in P1, 512 later."""
    min_masking_rate: Annotated[float, Range(0, 1)] = 0.0
    """Smallest share of codes that is masked; 0.5 in I2."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=600, batch_size=48, learning_rate=3e-3, warmup=40, beta2=0.98, precision="fp32", layout="padded"
        )
    )
    """Optimisation of this stage."""


@dataclass(frozen=True)
class TrainingData:
    """What captions are drawn from."""

    languages: tuple[str, ...] = LANGUAGES
    """The caption's language is drawn uniformly among these, per sample. en alone is the English-only baseline."""


@dataclass(frozen=True)
class Backbone:
    """The multilingual language model."""

    model: str = "google/gemma-2-2b-it"
    """Hub id, folder or wheel. A causal language model is trained as a whole; an encoder stays frozen, and its states
    are the text that a small decoder reads."""
    init: Literal["pretrained", "random"] = "pretrained"
    """`random` builds it from its configuration: what the released trainer does by accident, since the YAML passes a
    key that its constructor does not know."""
    frozen_encoder: bool = False
    """Whether `model` is a frozen encoder (the miniature)."""
    whitened: Annotated[int, Range(1)] = 96
    """Width to which a frozen encoder's states are whitened (PCA over the training prompts)."""


@dataclass(frozen=True)
class Decoder:
    """The decoder; its shape is read only behind a frozen encoder."""

    hidden: Annotated[int, Range(4)] = 112
    """Width."""
    layers: Annotated[int, Range(1)] = 3
    """Blocks."""
    heads: Annotated[int, Range(1)] = 4
    """Attention heads."""
    intermediate: Annotated[int, Range(1)] = 224
    """Width of the gated feed-forward layer."""
    qk_norm: bool = False
    """Normalise queries and keys: the paper says so, the released code has none."""


@dataclass(frozen=True)
class Attention:
    """Who sees whom, and by which kernel."""

    image: Literal["bidirectional", "causal"] = "bidirectional"
    """Whether image positions see each other in both directions; `causal` is a control."""
    implementation: Literal["eager", "sdpa"] = "eager"
    """Gemma 2 needs eager: SDPA leaves out its soft-cap, and is refused. Models without one may take sdpa."""


@dataclass(frozen=True)
class Merge:
    """Averaging checkpoints of the last stage."""

    kind: Literal["none", "sma", "wma", "ema"] = "none"
    """Simple, weighted (w_i = i) or exponential (w_i = decay^(n-i)) average. The paper's exact weights are unknown."""
    n: Annotated[int, Range(1)] = 20
    """Checkpoints to average."""
    every: Annotated[int, Range(1)] = 10_000
    """Steps between two of them."""
    decay: Annotated[float, Range(0, 1)] = 0.9
    """Of the exponential average; not stated in the paper."""


@dataclass(frozen=True)
class Prompting:
    """How a prompt in another language reaches the model."""

    route: Literal["native", "translate"] = "native"
    """native: as it is; translate: through English, by a word dictionary (the baseline). Code-switched prompts are
    always measured beside them."""
    wrong_senses: Annotated[float, Range(0, 1)] = 0.1
    """Share of words that the dictionary gets wrong; chosen, see the page."""


@dataclass(frozen=True)
class Clc:
    """Cross-lingual consistency."""

    mode: Literal["reference", "pairwise"] = "reference"
    """Each language against English, or all pairs. The paper defines the score in words only; pairwise agreement
    rewards the same failure in every language."""


@dataclass(frozen=True)
class Css:
    """Code-switching similarity."""

    reference: Literal["english", "mean_of_both"] = "english"
    """Compare with the English image, or with both monolingual ones."""


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Of initial weights, training images, masks and wrong senses. The code's own is 10086."""

    train: TrainingData = field(default_factory=TrainingData)
    """Languages of the captions."""
    backbone: Backbone = field(default_factory=Backbone)
    """The multilingual language model."""
    model: Decoder = field(default_factory=Decoder)
    """The decoder."""
    attention: Attention = field(default_factory=Attention)
    """The mask."""
    stages: tuple[StageName, ...] = ("p3",)
    """Stages to train, one after another; a prefix of the five is the paper's stage ablation."""
    p1: Stage = field(default_factory=Stage)
    """Pixel dependency: labels as captions."""
    p2: Stage = field(default_factory=Stage)
    """Scaling: many captions, most of them English."""
    p3: Stage = field(default_factory=Stage)
    """Refined multilingual captions."""
    i1: Stage = field(default_factory=Stage)
    """First instruction stage, at 512 pixels."""
    i2: Stage = field(default_factory=Stage)
    """Second instruction stage."""
    images: Annotated[int, Range(1)] = 16_384
    """Images of the miniature world: more than enough for the number not to matter, the same for every arm."""
    codes: Annotated[int, Range(2)] = 32
    """K, size of the image code book."""
    image_tokenizer: str = "world"
    """world, or `path/to/file.py:function` that returns an object with encode(images) -> codes and
    decode(codes) -> images. Data that carries codes needs none for training."""
    schedule: Literal["cosine", "linear", "power", "sigmoid"] = "cosine"
    """Share of masked codes over time, in training and drawing."""
    exponent: Annotated[float, Range(0)] = 2.0
    """Of the power schedule; not stated (the code reads it from the name, pow2)."""
    cond_dropout: Annotated[float, Range(0, 1)] = 0.1
    """Share of training prompts that are replaced by the empty one."""
    identity_targets: bool = True
    """Whether soi and eoi are targets of themselves, as in the code."""
    merge: Merge = field(default_factory=Merge)
    """Averaging of checkpoints."""

    guidance: Annotated[float, Range(0)] = 5.0
    """w of classifier-free guidance, in the form (1 + w) conditional - w unconditional."""
    timesteps: Annotated[int, Range(1)] = 50
    """T, steps of drawing: 50 at 512 pixels, 12 at 256."""
    temperature: Annotated[float, Range(0)] = 1.0
    """tau_0 of the confidence noise."""
    noise: Literal["shared", "per_prompt"] = "shared"
    """shared: every image of a language starts from one seed, as the official evaluation does; per_prompt: each prompt
    has its own, the same in every language."""
    prompt: Prompting = field(default_factory=Prompting)
    """Native prompts or translation."""
    clc: Clc = field(default_factory=Clc)
    """Cross-lingual consistency."""
    css: Css = field(default_factory=Css)
    """Code-switching similarity."""

    split: Literal["dev", "test"] = "test"
    """Held-out combinations: dev is for choosing settings, test for the claims."""
    limit: Annotated[int, Range(0)] = 0
    """Prompts of each task; 0 = all."""
    draw: tuple[str, ...] = ()
    """Draw these prompts instead of the benchmark's: samples.png, no scores."""
    languages: tuple[str, ...] = LANGUAGES
    """Languages that are evaluated; the first is the reference of the consistency scores."""
    benchmark: str = ""
    """Folder of evaluation_metadata_<language>.jsonl to score instead of the miniature's prompts."""
    detector: str = "world"
    """world (exact), mask2former (GenEval's), or `path/to/file.py:function` that returns a detector."""
    features: str = "world"
    """world (objects and pixels), clip_dinov2 (in place of the paper's EVA-CLIP and DINOv2), or
    `path/to/file.py:function` that returns feature maps by name."""

    def __post_init__(self) -> None:
        """Refuse combinations that no single field can refuse."""
        validate(self)
        if not self.stages or not self.train.languages or not self.languages:
            raise UserError("stages, train.languages and languages need at least one entry each.")
        if [name for name in ORDER if name in self.stages] != list(self.stages):
            raise UserError(f"stages = {self.stages} must be in the order {', '.join(ORDER)}, without repetition.")
        for name in self.stages:
            stage: Stage = getattr(self, name)
            if stage.ratios and len(stage.ratios) != len(stage.sources):
                raise UserError(f"{name}.ratios needs one number for each of its {len(stage.sources)} sources.")
            if stage.ratios and not sum(stage.ratios):
                raise UserError(f"{name}.ratios are all 0: give one source a positive share.")
            if not stage.training.steps:
                raise UserError(f"{name}.training.steps is 0: images are resampled for ever, so say how many steps.")
        last: Stage = getattr(self, self.stages[-1])
        if self.merge.kind != "none" and self.merge.n * self.merge.every > last.training.steps:
            raise UserError(
                f"merge.n = {self.merge.n} checkpoints, {self.merge.every} steps apart, do not fit into the "
                f"{last.training.steps} steps of {self.stages[-1]}: lower merge.n or merge.every."
            )
        if self.model.hidden % self.model.heads:
            raise UserError(f"model.hidden = {self.model.hidden} must be a multiple of model.heads.")

    @property
    def last(self) -> Stage:
        """The last stage that is trained."""
        return getattr(self, self.stages[-1])


_TINY_TRAINING = Stage().training
_TINY = Config(
    backbone=Backbone(model="wheel:e5-small", frozen_encoder=True),
    p1=Stage(sources=("world:labels",), training=replace(_TINY_TRAINING, steps=200)),
    p2=Stage(sources=("world:english",), training=replace(_TINY_TRAINING, steps=200)),
    p3=Stage(sources=("world",)),
    i1=Stage(sources=("world",), training=replace(_TINY_TRAINING, steps=200, learning_rate=1e-3, warmup=20)),
    i2=Stage(
        sources=("world",),
        min_masking_rate=0.5,
        training=replace(_TINY_TRAINING, steps=200, learning_rate=1e-3, warmup=20),
    ),
    # The last eight checkpoints of 600 steps: saved since the cosine has fallen to 30 %.
    merge=Merge(n=8, every=30),
    # Chosen on the development split: as many steps as codes, and the guidance that draws the right number of objects.
    guidance=1.0,
    timesteps=9,
    noise="per_prompt",
)


def _smoke() -> Config:
    few = TrainingConfig(steps=4, batch_size=4, learning_rate=1e-3, precision="fp32", layout="padded")
    stages = {name: replace(getattr(_TINY, name), training=few) for name in ORDER}
    return replace(
        _TINY,
        **stages,
        backbone=replace(_TINY.backbone, whitened=8),
        model=Decoder(hidden=16, layers=1, heads=2, intermediate=16),
        merge=Merge(n=2, every=2),
        languages=("en", "zh"),
        timesteps=2,
        images=8,
        limit=2,
    )


def _paper_training(steps: int, rate: float, warmup: int, micro: int) -> TrainingConfig:
    # 6 nodes x 8 GPUs x 8 images x 18 micro-steps (4 x 36 at 512 pixels) = 6,912 images a step (inferred).
    return TrainingConfig(
        steps=steps, batch_size=6912, micro_batch_size=micro, learning_rate=rate, schedule="cosine", warmup=warmup,
        weight_decay=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8, max_grad_norm=1.0, precision="bf16",
        gradient_checkpointing=True, save_every=10_000, keep_checkpoints=20, strategy="ddp", layout="padded",
    )  # fmt: skip


# Sources are folders of codes (prepare.py); those of 512 pixels hold four times as many an image.
PAPER_SCALE = Config(
    seed=10086,
    stages=ORDER,
    p1=Stage(("data/imagenet",), (), 256, 128, 0.0, _paper_training(500_000, 1e-4, 5_000, 8)),
    p2=Stage(
        ("data/sa1b", "data/cc12m", "data/laion"), (), 256, 512, 0.0, _paper_training(500_000, 1e-4, 5_000, 8)
    ),
    p3=Stage(("data/laion", "data/journeydb"), (), 256, 512, 0.0, _paper_training(500_000, 1e-4, 5_000, 8)),
    i1=Stage(
        ("data/laion-512", "data/journeydb-512", "data/instruct-512"), (0.6, 0.3, 0.1), 1024, 512, 0.0,
        _paper_training(500_000, 2e-5, 5_000, 4),
    ),
    i2=Stage(
        ("data/laion-512", "data/journeydb-512", "data/instruct-512"), (0.25, 0.6, 0.15), 1024, 512, 0.5,
        _paper_training(200_000, 5e-5, 2_000, 4),
    ),
    codes=8192,
    image_tokenizer="",
    merge=Merge(kind="sma"),
    benchmark="benchmarking/geneval/prompts",
    detector="mask2former",
    features="clip_dinov2",
)  # fmt: skip

PRESETS: dict[str, Config] = {"smoke": _smoke(), "tiny": _TINY, "paper": PAPER_SCALE}

VARIANTS: dict[str, dict[str, Any]] = {
    "native": {},
    # the baselines: English captions only, and the same model behind a dictionary
    "english_only": {"train.languages": ("en",)},
    "translate": {"train.languages": ("en",), "prompt.route": "translate"},
    "chinese_only": {"train.languages": ("zh",)},
    # averages of the last checkpoints
    "merge_sma": {"merge.kind": "sma"},
    "merge_wma": {"merge.kind": "wma"},
    "merge_ema": {"merge.kind": "ema"},
    # what the method consists of
    "causal_image": {"attention.image": "causal"},
    "random_backbone": {"backbone.init": "random"},
    "no_guidance": {"guidance": 0.0},
    "no_dropout": {"cond_dropout": 0.0, "guidance": 0.0},
    "one_step": {"timesteps": 1},
    "masked_half": {"p3.min_masking_rate": 0.5},
    "linear_schedule": {"schedule": "linear"},
    "power_schedule": {"schedule": "power"},
    "sigmoid_schedule": {"schedule": "sigmoid"},
    "codes_only": {"identity_targets": False},
    "qk_norm": {"model.qk_norm": True},
    # prefixes of the stages
    "p1": {"stages": ("p1",), "merge.kind": "none"},
    "p1_p2": {"stages": ("p1", "p2"), "merge.kind": "none"},
    "p1_p3": {"stages": ("p1", "p2", "p3")},
    "p1_i1": {"stages": ("p1", "p2", "p3", "i1"), "merge.kind": "none"},
    "p1_i2": {"stages": ORDER, "merge.kind": "none"},
    # the other readings of the scores
    "clc_pairwise": {"clc.mode": "pairwise"},
    "css_both": {"css.reference": "mean_of_both"},
}


def decoder_config(config: Config, vocabulary: int) -> Gemma2Config:
    """The small decoder behind a frozen encoder: Gemma 2's architecture."""
    from transformers import Gemma2Config

    shape = config.model
    found = Gemma2Config(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=shape.hidden // shape.heads,
        query_pre_attn_scalar=shape.hidden // shape.heads,
        max_position_embeddings=256,
        initializer_range=0.05,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    found._attn_implementation = config.attention.implementation
    return found


def workload(config: Config) -> list[Workload]:
    """What each stage computes, for `papers plan`."""
    from core.cost.workload import Workload
    from core.models.architectures import architecture

    shape: PreTrainedConfig = decoder_config(config, config.codes + 14)
    if not config.backbone.frozen_encoder:
        shape = architecture(config.backbone.model)
        shape.vocab_size += config.codes + 11  # ten markers and the mask
    loads = []
    for name in config.stages:
        stage: Stage = getattr(config, name)
        length = stage.text_tokens + 1 + stage.image_tokens + 2
        settings = stage.training
        loads.append(
            Workload(
                architecture=shape,
                tokens=float(settings.steps) * settings.batch_size * length,
                sequence_length=length,
                micro_batch_size=settings.micro_batch_size or settings.batch_size,
                checkpointing=settings.gradient_checkpointing,
                name=name.upper(),
            )
        )
    return loads
