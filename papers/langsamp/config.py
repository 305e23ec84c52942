"""Settings of every scale and variant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

Place = Literal["head", "input"]

# Of the miniature: CLDR spells their numbers in words between spaces, some thirty different ones up to a thousand.
LANGUAGES = (
    "en", "es", "pt", "ca", "fr", "ro", "cs", "pl", "hr", "sr-Latn", "sr", "mk", "bg", "ru", "uk", "el",
)  # fmt: skip
LAYERS = 2


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Which numbers are read, held out and measured, initial weights, masks and order. The official run has 42."""
    split: Literal["test", "dev"] = "test"
    """Which held-out numbers of the miniature are measured; settings were chosen on dev."""

    trained: bool = True
    """False measures the base as it is."""
    use_lang: bool = True
    """Add the language's vector (section 3; the paper compares none, language, script and both)."""
    use_script: bool = True
    """Add the script's vector."""
    place: Place = "head"
    """head: behind the last layer, on the way into the head (the method); input: at the word embeddings as well, as the
    ablation of the official code does."""
    shuffled: bool = False
    """Every chunk is told the language and script of another one of its batch: the effect, broken on purpose."""

    base: str = ""
    """The masked language model to train further: hub id, folder or wheel. Empty: a small one from nothing."""
    tokenizer: str = ""
    """Another tokenizer than the base's; tokens that both have keep their vectors, `<mask>` among them, whose place is
    another one in Glot500's. The official code leaves it the vector of the token that stood there."""
    corpus: str = ""
    """Text: `glot500` (hub), or a folder with a file `<language>_<Script>.txt` each. Empty: numbers in words."""
    languages: tuple[str, ...] = ()
    """Parts of the corpus, such as `swh_Latn`; empty = all that it has, or those of the miniature."""
    alpha: Annotated[float, Range(0, 1)] = 0.3
    """Share of a language: its size to this power (name of the official data folder)."""
    lines: Annotated[int, Range(20, 600)] = 300
    """Numbers that the miniature reads in each language, other ones in each."""
    held_out: Annotated[int, Range(10, 150)] = 100
    """Numbers that no language reads, for dev, and as many for test."""
    pretraining: TrainingConfig = field(default_factory=TrainingConfig)
    """Of the miniature's base; a row of the batch is a pair of lines."""
    layer: Annotated[int, Range(-1)] = 8
    """Layer whose states are pooled and measured: 8 of 12 in the official code; -1 = the last."""

    mask_rate: Annotated[float, Range(0.01, 1)] = 0.15
    """Share of the tokens to predict; of these 80 % become the mask, 10 % another token, 10 % stay (official code)."""
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if not (self.use_lang or self.use_script) and (self.place == "input" or self.shuffled):
            raise UserError("Without language and script vectors there is nothing to place or to shuffle.")
        if bool(self.base) != bool(self.corpus):
            raise UserError("base and corpus belong together: name both, or neither for the miniature.")
        if not self.trained and (self.use_lang or self.use_script):
            raise UserError("An untrained base has no vectors: add --no-use-lang --no-use-script, or train it.")
        if self.tokenizer and not self.base:
            raise UserError("tokenizer needs a base whose vocabulary it replaces.")


_SCRATCH = TrainingConfig(
    batch_size=64, learning_rate=2e-3, warmup=0.1, schedule="linear", max_length=64, precision="fp32", log_every=100,
)  # fmt: skip
TINY = Config(
    layer=-1,
    mask_rate=0.2,
    pretraining=replace(_SCRATCH, steps=800, batch_size=32),
    training=replace(_SCRATCH, steps=500),
)

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY,
        languages=("en", "sr", "sr-Latn"),
        lines=30,
        held_out=10,
        pretraining=replace(TINY.pretraining, steps=1, batch_size=8),
        training=replace(TINY.training, steps=2, batch_size=16),
    ),
    "tiny": TINY,
    # Launch script of the official code: 4 GPUs x 32 chunks x 8 micro-steps, fp16, checkpoints every 5,000 steps; its
    # learning rate is Hugging Face's default. Stopped after 150 thousand steps (recalled).
    "paper": Config(
        seed=42,
        base="FacebookAI/xlm-roberta-base",
        tokenizer="cis-lmu/glot500-base",
        corpus="glot500",
        training=TrainingConfig(
            steps=150_000, batch_size=1024, micro_batch_size=32, learning_rate=5e-5, schedule="linear",
            max_length=512, precision="bf16", save_every=5000,
        ),
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "none": {"use_lang": False, "use_script": False},
    "base": {"use_lang": False, "use_script": False, "trained": False},
    "lang": {"use_script": False},
    "script": {"use_lang": False},
    "input": {"place": "input"},
    "shuffled": {"shuffled": True},
}


def workload(config: Config) -> Workload:
    """Continued pre-training, for `papers plan`."""
    from core.cost.workload import Workload
    from core.models.architectures import architecture

    settings = config.training
    model: Any = architecture(config.base or "FacebookAI/xlm-roberta-base")
    if config.tokenizer:
        model.vocab_size = 401_145  # of cis-lmu/glot500-base (recalled)
    return Workload(
        model,
        settings.steps * settings.batch_size * settings.max_length,
        "training",
        "full",
        settings.max_length,
        settings.micro_batch_size or settings.batch_size,
        checkpointing=False,
        head_share=config.mask_rate,
    )


def simulation(config: Config) -> list[Simulation]:
    """A step of continued pre-training with the tables of 500 languages and 30 scripts, and sentences read."""
    from functools import partial

    from core.cost.steps import Simulation, masking, pretrained, read, row
    from papers.langsamp.data import Chunks
    from papers.langsamp.method import Tables, attach, langsamp_loss

    larger: dict[str, Any] = {"vocab_size": 401_145} if config.tokenizer else {}
    encoder = pretrained(config.base or "wheel:e5-small", "masked-lm", **larger)

    def build(dtype: Any) -> Any:
        model = encoder(dtype)
        names = ([str(place) for place in range(500)], [str(place) for place in range(30)])
        attach(model, Tables(model.config.hidden_size, *names, place=config.place))
        return model

    chunk, collate = row(config.training, languages=0, scripts=0), Chunks(masking(rate=config.mask_rate))
    return [
        Simulation("pre-training", build, config.training, langsamp_loss, chunk, collate, partial(read, length=128))
    ]
