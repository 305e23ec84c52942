"""Settings of every scale and variant of NeoBabel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import Gemma2Config, PreTrainedConfig

    from core.cost.steps import Simulation
    from core.cost.workload import Workload

LANGUAGES = ("en", "zh", "nl", "fr", "hi", "fa")
StageName = Literal["p1", "p2", "p3", "i1", "i2"]
ORDER: tuple[StageName, ...] = get_args(StageName)
_TRAINING = TrainingConfig(
    steps=600, batch_size=48, learning_rate=3e-3, warmup=40, beta2=0.98, precision="fp32", layout="padded"
)


@dataclass(frozen=True)
class Stage:
    """One stage of training."""

    sources: tuple[str, ...] = ("world",)
    """The miniature world, or folders of images with captions (see data.py)."""
    ratios: tuple[Annotated[float, Range(0)], ...] = ()
    """Share of each source; empty = by its size."""
    image_tokens: Annotated[int, Range(1)] = 9
    """N, codes of an image: 256 at 256 pixels, 1,024 at 512."""
    text_tokens: Annotated[int, Range(3)] = 17
    """Tmax, the text budget: 128 in P1, 512 later."""
    min_masking_rate: Annotated[float, Range(0, 1)] = 0.0
    """Smallest share of codes that is masked; 0.5 in I2."""
    training: TrainingConfig = field(default_factory=lambda: _TRAINING)
    """Optimisation of this stage; the miniature's was chosen on development data of an earlier world."""


@dataclass(frozen=True)
class Decoding:
    """How images are drawn."""

    guidance: Annotated[float, Range(0)] = 5.0
    """w of classifier-free guidance; 0 leaves the unconditional pass out."""
    timesteps: Annotated[int, Range(1)] = 50
    """T, steps of drawing: 50 at 512 pixels, 12 at 256."""
    batch_size: Annotated[int, Range(1)] = 8
    """Images at a time. With 1,024 tokens of 8,192 codes and guidance, the scores weigh 67 MB an image."""


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Of initial weights, training images, masks, wrong senses, and of the pairs that are tested (5n to 5n + 4 test a
    fifth of them each). The code's own is 10086."""
    split: Literal["test", "dev"] = "test"
    """Which held-out pairs are drawn; settings were chosen on dev."""

    backbone: str = "google/gemma-2-2b-it"
    """Hub id, folder or wheel. A causal language model is trained as a whole, from its pretrained weights."""
    frozen_encoder: bool = False
    """`backbone` is an encoder that stays frozen; its states are the text that a small decoder reads (miniature)."""

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
    train_languages: tuple[str, ...] = LANGUAGES
    """The caption's language is drawn uniformly among these, per sample. en alone is the English-only baseline."""
    shuffled_captions: bool = False
    """Every image gets the captions of another one: the effect, broken on purpose."""
    images: Annotated[int, Range(2)] = 16_384
    """Images of the miniature world: more than enough for the number not to matter, the same for every arm."""
    codes: Annotated[int, Range(2)] = 32
    """K, size of the image code book."""
    image_tokenizer: str = "world"
    """world, or `path/to/file.py:function` that returns an object with `size`, encode(images) -> codes and
    decode(codes) -> images. Data that carries codes needs none for training."""
    merge: bool = False
    """Average the last checkpoints of the last stage, with equal weights."""
    merge_n: Annotated[int, Range(1)] = 20
    """Checkpoints to keep and average."""
    merge_every: Annotated[int, Range(1)] = 10_000
    """Steps between two of them."""

    decoding: Decoding = field(default_factory=Decoding)
    """How images are drawn."""
    translator: str = ""
    """Prompts go through English first (the baseline): world, a dictionary in which a tenth of the words have wrong
    senses, or `path/to/file.py:function` that returns translate(prompt, language). Empty: prompts go in as they are."""
    crowd: bool = False
    """Nine random objects are drawn, whatever the prompt: GenEval asks for presence alone and lets some pass."""
    languages: tuple[str, ...] = LANGUAGES
    """Languages that are evaluated; the first is the reference of the consistency scores."""
    limit: Annotated[int, Range(0)] = 0
    """Prompts of each task; 0 = all."""
    benchmark: str = ""
    """Folder of evaluation_metadata_<language>.jsonl to score instead of the miniature's prompts, with models of the
    hub: GenEval's detector, and CLIP and DINOv2 in place of the paper's EVA-CLIP and DINOv2."""

    def __post_init__(self) -> None:
        """Refuse combinations that no single field can refuse."""
        validate(self)
        if not self.stages or not self.train_languages or not self.languages:
            raise UserError("stages, train_languages and languages need at least one entry each.")
        if [name for name in ORDER if name in self.stages] != list(self.stages):
            raise UserError(f"stages = {self.stages} must be in the order {', '.join(ORDER)}, without repetition.")
        for name, stage in self.trained.items():
            if stage.ratios and (len(stage.ratios) != len(stage.sources) or not sum(stage.ratios)):
                raise UserError(f"{name}.ratios needs a number for each of {len(stage.sources)} sources, not all 0.")
            if not stage.training.steps:
                raise UserError(f"{name}.training.steps is 0: images are resampled for ever, so say how many steps.")
        if self.merge and self.merge_n * self.merge_every > self.last.training.steps:
            raise UserError(
                f"merge_n = {self.merge_n} checkpoints, {self.merge_every} steps apart, do not fit into the "
                f"{self.last.training.steps} steps of {self.stages[-1]}: lower merge_n or merge_every."
            )
        if self.translator == "world" and self.languages[0] != "en":
            raise UserError(f"translator = 'world' puts prompts into English: name en first, not {self.languages[0]}.")

    @property
    def trained(self) -> dict[StageName, Stage]:
        """The stages that are trained, in their order."""
        return {name: getattr(self, name) for name in self.stages}

    @property
    def last(self) -> Stage:
        """The last of them."""
        return getattr(self, self.stages[-1])


TINY = Config(
    backbone="wheel:e5-small",
    frozen_encoder=True,
    # The last eight checkpoints of 600 steps: saved since the cosine has fallen to 30 %.
    merge_n=8,
    merge_every=30,
    # Of guidance 0.5, 1 and 2 in 6 or 9 steps the best GenEval on development data, of native and of English captions.
    decoding=Decoding(guidance=2.0, timesteps=9, batch_size=128),
)
_FEW = TrainingConfig(steps=4, batch_size=4, learning_rate=1e-3, precision="fp32", layout="padded")
SMOKE = replace(
    TINY, p3=Stage(training=_FEW), images=8, merge=True, merge_n=2, merge_every=2, languages=("en", "zh"), limit=2,
    decoding=Decoding(guidance=1.0, timesteps=2, batch_size=16),
)  # fmt: skip


def _paper_training(steps: int, rate: float, warmup: int, micro: int) -> TrainingConfig:
    # 6 nodes x 8 GPUs x 8 images x 18 micro-steps (4 x 36 at 512 pixels) = 6,912 images a step (inferred).
    return TrainingConfig(
        steps=steps, batch_size=6912, micro_batch_size=micro, learning_rate=rate, schedule="cosine", warmup=warmup,
        weight_decay=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8, max_grad_norm=1.0, precision="bf16",
        gradient_checkpointing=True, save_every=10_000, keep_checkpoints=20, strategy="ddp", layout="padded",
    )  # fmt: skip


_PRETRAINING = _paper_training(500_000, 1e-4, 5_000, 8)
_INSTRUCT = ("data/laion-512", "data/journeydb-512", "data/instruct-512")

PRESETS: dict[str, Config] = {
    "smoke": SMOKE,
    "tiny": TINY,
    # Sources are folders of codes (see data.py); those of 512 pixels hold four times as many an image.
    "paper": Config(
        seed=10086,
        stages=ORDER,
        p1=Stage(("data/imagenet",), (), 256, 128, 0.0, _PRETRAINING),
        p2=Stage(("data/sa1b", "data/cc12m", "data/laion"), (), 256, 512, 0.0, _PRETRAINING),
        p3=Stage(("data/laion", "data/journeydb"), (), 256, 512, 0.0, _PRETRAINING),
        i1=Stage(_INSTRUCT, (0.6, 0.3, 0.1), 1024, 512, 0.0, _paper_training(500_000, 2e-5, 5_000, 4)),
        i2=Stage(_INSTRUCT, (0.25, 0.6, 0.15), 1024, 512, 0.5, _paper_training(200_000, 5e-5, 2_000, 4)),
        codes=8192,
        image_tokenizer="",
        merge=True,
        benchmark="benchmarking/geneval/prompts",
    ),
}

# Arms differ in what they are named for alone: all but one are last checkpoints.
VARIANTS: dict[str, dict[str, Any]] = {
    "native": {"merge": False},
    "english_only": {"merge": False, "train_languages": ("en",)},
    "translate": {"merge": False, "train_languages": ("en",), "translator": "world"},
    "shuffled": {"merge": False, "shuffled_captions": True},
    "crowd": {"merge": False, "crowd": True},
    "merge_sma": {"merge": True},
}


def decoder_config(vocabulary: int) -> Gemma2Config:
    """The small decoder behind a frozen encoder: Gemma 2's architecture."""
    from transformers import Gemma2Config

    return Gemma2Config(
        vocab_size=vocabulary, hidden_size=112, intermediate_size=224, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, head_dim=28, query_pre_attn_scalar=28, max_position_embeddings=256,
        initializer_range=0.05, pad_token_id=None, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip


def workload(config: Config) -> list[Workload]:
    """What each stage computes, for `papers plan`."""
    from core.cost.workload import of_training
    from core.models.architectures import architecture

    shape: PreTrainedConfig = decoder_config(config.codes + 14)
    if not config.frozen_encoder:
        shape = architecture(config.backbone)
        shape.vocab_size += config.codes + 11  # ten markers and the mask
    loads = []
    for name, stage in config.trained.items():
        settings = replace(stage.training, max_length=stage.text_tokens + 1 + stage.image_tokens + 2)
        tokens = float(settings.steps) * settings.batch_size * settings.max_length
        loads.append(of_training(settings, shape, tokens, name=name.upper()))
    return loads


def simulation(config: Config) -> list[Simulation]:
    """A step of every stage, and after the last one a timestep of drawing, for `papers plan`."""
    from core.cost.steps import Simulation, pretrained
    from papers.neobabel import data, method
    from papers.neobabel.model import Prompt, TextToImage, Vocabulary

    texts, width = (0, 384) if config.frozen_encoder else (256_000, 0)  # Gemma 2's
    vocabulary, prompt = Vocabulary(texts, config.codes, 2, 1), Prompt([2] * config.last.text_tokens)
    shape: Any = decoder_config(vocabulary.size) if config.frozen_encoder else config.backbone
    language_model = pretrained(shape, vocab_size=vocabulary.size, _attn_implementation="eager")

    def build(dtype: Any) -> TextToImage:
        return TextToImage(language_model(dtype), vocabulary, config.last.image_tokens, config.last.text_tokens, width)

    def draw(model: TextToImage) -> None:
        decoding, at_once = replace(config.decoding, timesteps=1), config.decoding.batch_size
        method.generate(model, [prompt] * at_once, Prompt([2]), decoding, range(at_once))

    steps = []
    for name, stage in config.trained.items():
        collate: Any = data.collator(stage, ("en",), lambda text: prompt, vocabulary)
        image = {"codes": [0] * stage.image_tokens, "captions": {"en": ""}}
        drawing = draw if stage is config.last else None
        steps.append(Simulation(name.upper(), build, stage.training, method.image_loss, image, collate, drawing))
    return steps
