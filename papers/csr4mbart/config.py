"""Settings of every scale and variant.

"official" is the run scripts of the authors' repository; what is ours says so. Of the paper itself only the first page
could be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

PIVOT = "en"
"""The language that all others are paired with."""
_SCRATCH = TrainingConfig(
    batch_size=32, learning_rate=1e-3, beta2=0.98, epsilon=1e-6, schedule="linear", precision="fp32", log_every=100
)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Languages, numbers and initial weights of the tiny world; order of the data, noise."""
    split: Literal["test", "dev"] = "test"
    """Which numbers of the tiny world are translated; settings were chosen on dev."""

    # the task
    model: str = ""
    """Pretrained encoder-decoder; empty: a small mBART, pretrained here."""
    languages: tuple[str, ...] = ()
    """Those that are paired with English, as the columns of the data are called. Empty, in the tiny world: two that the
    seed draws."""
    setting: Literal["bilingual", "zero-shot"] = "bilingual"
    """A model for each direction; or one that is tuned on all of them and tested between the other languages."""
    data: str = ""
    """Parallel text: file or hub dataset with a column a language, or one for each, with {target} in its name. Empty:
    the tiny world."""
    test_data: str = ""
    """The same, to measure on; between languages beside English its rows need columns of both."""
    pairs: Annotated[int, Range(0)] = 80
    """Sentences to tune on; 0 = all. Ours, development split."""
    items: Annotated[int, Range(2)] = 100
    """Sentences to measure on."""

    # stage 1
    objective: Literal["restore", "mask", "none"] = "restore"
    """restore: words of the other language (CSR); mask: denoising on the same data, as in pretraining; none: stage 2
    alone, the paper's baseline."""
    equal_steps: bool = False
    """Stage 2 has the steps of stage 1 as well (with objective = none)."""
    lexicon: Literal["unsupervised", "random"] = "unsupervised"
    """unsupervised (paper), or random (its entries, shuffled)."""
    top: Annotated[int, Range(1)] = 3
    """Entries of a subword (official); one in miniature, where a word has one translation."""
    smoothing: Annotated[float, Range(0, 0.9)] = 0.2
    """Label smoothing of both stages (official)."""
    dropout: Annotated[float, Range(0, 0.9)] = 0.3
    """Official."""
    attention_dropout: Annotated[float, Range(0, 0.9)] = 0.1
    """Official."""
    restoring: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=240))
    """Stage 1; ours, development split."""
    training: TrainingConfig = field(
        default_factory=lambda: replace(_SCRATCH, steps=180, batch_size=16, learning_rate=2e-3)
    )
    """Stage 2; ours, development split: the rate at which fine-tuning alone is best."""
    beams: Annotated[int, Range(1)] = 1
    """Of the search for a translation."""

    # stage 0
    lexicon_width: Annotated[int, Range(2)] = 512
    """Of a subword's vector (official)."""
    min_count: Annotated[int, Range(1)] = 5
    """Of a subword with a vector (official)."""

    # the model of the tiny world
    width: Annotated[int, Range(8)] = 96
    """Ours."""
    texts: Annotated[int, Range(20)] = 3000
    """Lines of text of each language that it is pretrained on; ours."""
    pretraining: TrainingConfig = field(
        default_factory=lambda: replace(_SCRATCH, batch_size=64, steps=1000, learning_rate=2e-3, warmup=50)
    )
    """Ours."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.equal_steps and self.objective != "none":
            raise UserError("--equal-steps gives plain fine-tuning the steps of stage 1: say --objective none with it.")
        if self.objective != "restore" and self.lexicon != "unsupervised":
            raise UserError(f"objective = {self.objective!r} reads no lexicon: leave --lexicon out.")
        if self.model and not (self.data and self.test_data and self.languages):
            raise UserError("a pretrained model needs --data, --test-data and --languages.")
        if self.model and self.split == "dev":
            raise UserError("split = 'dev' belongs to the tiny world: leave it out with a model.")
        if PIVOT in self.languages or len(set(self.languages)) < len(self.languages):
            raise UserError("languages: name those that are paired with English, each once.")
        if self.setting == "zero-shot" and len(self.languages) == 1:
            raise UserError("setting = 'zero-shot' translates between other languages: name two or more.")


TINY = Config(top=1, smoothing=0.1, dropout=0.1, attention_dropout=0.0, lexicon_width=32)
_LARGE = TrainingConfig(
    batch_size=256, micro_batch_size=64, learning_rate=3e-5, warmup=2500, beta2=0.98, epsilon=1e-6, schedule="linear",
    precision="bf16", save_every=5000, keep_checkpoints=5,
)  # fmt: skip
PAPER = Config(
    model="facebook/mbart-large-cc25", languages=("vi", "ro"), data="Helsinki-NLP/opus-100#en-{target}@train",
    test_data="Helsinki-NLP/opus-100#en-{target}@test", pairs=0, items=2000, beams=5,
    restoring=replace(_LARGE, steps=5000), training=replace(_LARGE, steps=30_000),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, languages=("vi", "tr"), width=16, texts=200, items=6, pairs=12,
        pretraining=replace(TINY.pretraining, steps=2, warmup=0, batch_size=8),
        restoring=replace(TINY.restoring, steps=2, batch_size=8),
        training=replace(TINY.training, steps=2, batch_size=8),
    ),
    "tiny": TINY,
    "paper": PAPER,
}  # fmt: skip

_NONE = {"objective": "none"}
VARIANTS: dict[str, dict[str, Any]] = {
    "csr": {},
    "plain": _NONE,
    "plain_equal": {**_NONE, "equal_steps": True},
    "mask": {"objective": "mask"},
    "random": {"lexicon": "random"},
    "zero_shot": {"setting": "zero-shot"},
    "zero_shot_plain": {**_NONE, "setting": "zero-shot"},
    "zero_shot_plain_equal": {**_NONE, "setting": "zero-shot", "equal_steps": True},
    "zero_shot_random": {"setting": "zero-shot", "lexicon": "random"},
}


def workload(config: Config) -> list[Workload]:
    """The stages of one model: with 256 sentences a step, of about 32 tokens on either side."""
    from core.cost.workload import Workload
    from papers.csr4mbart.miniature import shape

    architecture: Any = config.model or shape(config, 150)
    stages = {"restore": config.restoring, "fine-tune": config.training}
    stages = ({} if config.model else {"pretrain": config.pretraining}) | stages
    return [
        Workload(
            architecture, settings.steps * settings.batch_size * (64 if config.model else 20), sequence_length=64,
            micro_batch_size=settings.micro_batch_size or settings.batch_size, checkpointing=False, chunked_loss=False,
            name=name,
        )
        for name, settings in stages.items()
        if name != "restore" or config.objective != "none"
    ]  # fmt: skip


def simulation(config: Config) -> list[Simulation]:
    """A step of stage 1, as long as one of stage 2, with the longest pairs; and translating, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, translate
    from papers.csr4mbart.method import Side, csr_batch, sequence_loss
    from papers.csr4mbart.miniature import shape

    longest = 128 if config.model else 24
    side = Side([4] * longest, [4] * longest, 0, longest, ("", ""))
    noisers: Any = {("", ""): lambda ids, rng: list(ids)}
    loss, collate = partial(sequence_loss, smoothing=config.smoothing), partial(csr_batch, noisers=noisers, pad=1)
    model = pretrained(config.model or shape(config, 150), "seq2seq", always="float32")
    writing = partial(translate, source=longest, new=longest, beams=config.beams)
    return [Simulation("restore", model, config.restoring, loss, (side, side), collate, writing)]
