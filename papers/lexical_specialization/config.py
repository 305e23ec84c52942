"""Settings of every scale and variant. "Code" is the official repository, its published configuration files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.workload import Workload

ALPHA = 0.5  # of the sampling of pairs of languages (code)
TEMPERATURE = 0.07  # (code)
LORA_RANK = 8  # ours; the paper's adapters are Pfeiffer's with a reduction of 16 (code)

# Code, but for `max_length`, which is the model's there.
_PAPER = TrainingConfig(
    epochs=2,
    batch_size=256,
    learning_rate=5e-6,
    schedule="constant",
    max_grad_norm=0.0,
    max_length=512,
    layout="padded",
    log_every=50,
)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Which concepts are tested and which constrained at the tiny scale, what is drawn, dropout. Code: 10."""
    split: Literal["test", "dev"] = "test"
    """Which concepts of the tiny world are tested; settings were chosen on dev."""
    base: str = "FacebookAI/xlm-roberta-base"
    """The encoder: hub id, folder, wheel, or `toy`, a small untrained one. Code: xlm-roberta-base and
    bert-base-multilingual-uncased."""
    specialized: bool = True
    """False: the encoder as it is."""
    layer: Annotated[int, Range(-1)] = -1
    """Whose states a word's vector is the mean of. Code: all are scored; which one the tables show is not known to us.
    Training looks at the last."""

    constraints: str = "umanlp/babelbert-dataset"
    """Hub data set or file of rows synsetID, word1, lang1, word2, lang2 and perhaps sent1, sent2 (glosses); or `emoji`,
    the tiny world."""
    number: Annotated[int, Range(0)] = 0
    """Constraints of the tiny world, each of another concept; 0: no limit."""
    languages: tuple[str, ...] = ()
    """Constraints between these languages alone, as the data spell them; empty: all that there are."""
    share: Annotated[float, Range(1e-6, 1)] = 1.0
    """Share of the constraints that is kept."""
    same_steps: bool = False
    """With a share: train as long as with all constraints, instead of as many epochs."""
    permuted: bool = False
    """The second word of every constraint is that of another synset: the effect, broken on purpose."""

    inputs: Literal["words", "glosses", "glosses_multitask", "joint"] = "words"
    """What is read in training (code: four input types): words alone, words with glosses, the same with a loss on the
    glosses too, both words and glosses as one sequence. Words are always tested alone."""
    objective: Literal["nt_xent", "sup_con"] = "nt_xent"
    """The loss (code: both)."""
    similarity: Literal["cosine", "csls"] = "cosine"
    """What the loss compares (code: both)."""
    adapter: Literal["full", "lora"] = "full"
    """What is trained: all weights, or adapters on all linear layers, which are merged afterwards."""
    training: TrainingConfig = _PAPER
    """Length and speed."""

    lexicons: str = ""
    """Lexicons that are induced: `emoji`, or a folder <l1>-<l2>/*test* of tab-separated pairs, as the official
    repository has them for XLING and PanLex-BLI."""
    vocabularies: str = ""
    """Folder of <language>_vocab.txt, a word a line: the 100,000 most frequent of fastText's (code)."""
    validation: tuple[str, ...] = ()
    """Files of pairs none of whose words is trained on (code: the training parts of four lexicons)."""
    names: Annotated[int, Range(0)] = 0
    """Names of territories and languages of a second lexicon at the tiny scale."""
    ratings: str = ""
    """Folder of Multi-SimLex's files <L1>-<L2>.csv, as in the official repository."""
    sentences: Literal["", "messages", "tatoeba"] = ""
    """Sentences whose translations are retrieved: of interfaces (tiny world), or Tatoeba."""
    items: Annotated[int, Range(2)] = 1000
    """Concepts that are tested, and sentences, at the tiny scale; at most so many sentences of Tatoeba (paper)."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if not self.specialized:
            kept = ("share", "same_steps", "permuted", "inputs", "objective", "similarity", "adapter")
            default = {name: type(self).__dataclass_fields__[name].default for name in kept}
            if idle := [name for name in kept if getattr(self, name) != default[name]]:
                raise UserError(f"Without specialization nothing is trained: leave {idle[0]} out.")
        if self.same_steps and self.share == 1:
            raise UserError("same_steps compares a share of the constraints with all: give a share below 1.")
        if self.lexicons not in ("", "emoji") and not self.vocabularies:
            raise UserError("Lexicons need the vocabularies that are searched: name their folder in vocabularies.")
        if not (self.lexicons or self.ratings or self.sentences):
            raise UserError("Nothing is measured: name lexicons, ratings or sentences.")


_DATA = "babelbert/datasets"
PAPER_SCALE = Config(
    lexicons=f"{_DATA}/bli_datasets",
    vocabularies=f"{_DATA}/vocab",
    validation=tuple(
        f"{_DATA}/bli_datasets/{file}"
        for file in (
            "vulic/th-et/th-et.train.5000.cc.trans",
            "vulic/ko-ka/ko-ka.train.5000.cc.trans",
            "glavas/en-it/yacle.train.freq.5k.en-it.tsv",
            "glavas/de-ru/yacle.train.freq.5k.de-ru.tsv",
        )
    ),
    ratings=f"{_DATA}/multisimlex",
    sentences="tatoeba",
    seed=10,
)
TINY = Config(
    base="wheel:e5-small",
    constraints="emoji",
    number=720,
    training=replace(_PAPER, epochs=2, batch_size=24, learning_rate=3e-5, max_length=48, log_every=10),
    lexicons="emoji",
    names=200,
    sentences="messages",
    items=150,
)

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, base="toy", number=48, names=8, items=8, training=replace(TINY.training, epochs=1, batch_size=8)
    ),
    "tiny": TINY,
    "paper": PAPER_SCALE,
    "paper-mbert": replace(PAPER_SCALE, base="google-bert/bert-base-multilingual-uncased"),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "vanilla": {"specialized": False},
    "specialized": {},
    "sup_con": {"objective": "sup_con"},
    "csls_loss": {"similarity": "csls"},
    "lora": {"adapter": "lora", "training.learning_rate": 1e-3},
    "glosses": {"inputs": "glosses"},
    "glosses_multitask": {"inputs": "glosses_multitask"},
    "joint": {"inputs": "joint"},
    "en_de": {"languages": ("en", "de")},
    "zh_ar": {"languages": ("zh", "ar")},
    "eighth": {"share": 0.125},
    "eighth_long": {"share": 0.125, "same_steps": True},
    "permuted": {"permuted": True},
}


def workload(config: Config) -> list[Workload]:
    """What a configuration computes on a GPU: the constraints (761 thousand in 50 languages, about 5 tokens a word and
    60 a gloss, guesses) and the vocabularies and words of the tests (19 languages of 100,000 words)."""
    from core.cost.workload import Workload

    base = "wheel:e5-small" if config.base == "toy" else config.base
    rows = config.number or 761_000 * (len(config.languages) / 50 if config.languages else 1) ** 2
    epochs = config.training.epochs * (1 if config.same_steps else config.share)
    length = 5 if config.inputs == "words" else 65
    training = Workload(
        base,
        int(rows * epochs * 2 * length),
        "training",
        "lora" if config.adapter == "lora" else "full",
        length,
        2 * config.training.batch_size,
        lora_rank=LORA_RANK,
        checkpointing=False,
        name="constraints",
    )
    reading = Workload(base, 19 * 100_000 * 5, "inference", "full", 8, 512, name="vocabularies of the tests")
    return [training, reading] if config.specialized else [reading]
