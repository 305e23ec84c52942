"""Settings of every scale and variant.

"code" is the official repository's YAML files, "ours" our choice where nothing is stated. At `tiny` and `smoke` a small
model is trained from scratch, mostly on English, and then continued on each group of related languages by itself; at
`paper` Llama 3.1 8B is. The settings of `tiny` are chosen on development items (`results/settings.jsonl`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import LlamaConfig

    from core.cost.steps import Simulation
    from core.cost.workload import Workload

# The paper's groups (code): languages to learn with their level of resources, and relatives that are only measured.
GROUPS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "altruistic": (
        {"zho_Hans": "high", "ceb_Latn": "mid", "mar_Deva": "mid", "zul_Latn": "low", "khm_Khmr": "low"},
        ("yue_Hant", "tgl_Latn", "ilo_Latn", "hin_Deva", "npi_Deva", "xho_Latn", "ssw_Latn", "vie_Latn"),
    ),
    "selfish": (
        {"deu_Latn": "high", "bel_Cyrl": "mid", "mri_Latn": "mid", "kir_Cyrl": "low", "nya_Latn": "low"},
        (
            "nld_Latn", "dan_Latn", "rus_Cyrl", "ukr_Cyrl", "smo_Latn", "fij_Latn", "kaz_Cyrl", "bak_Cyrl", "bem_Latn",
            "sna_Latn",
        ),
    ),
    "stagnant": (
        {"tha_Thai": "mid", "yor_Latn": "mid", "sna_Latn": "low", "wol_Latn": "low"},
        ("lao_Laoo", "shn_Mymr", "ibo_Latn", "hau_Latn", "nya_Latn", "zul_Latn", "bam_Latn"),
    ),
}  # fmt: skip
ENGLISH = ("en", "eng_Latn")

_SMALL = TrainingConfig(
    batch_size=3, max_length=256, long_documents="split", shuffle=False, schedule="cosine", warmup=0.05,
    final_learning_rate=0.1, weight_decay=0.1, beta2=0.95, precision="fp32", learning_rate=4e-4, log_every=50,
)  # fmt: skip
_BASE = replace(_SMALL, steps=1000, learning_rate=3e-3, log_every=100)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Groups of languages, held-out items, base model, order of the data."""
    split: Literal["test", "dev"] = "test"
    """Held-out items: dev is for choosing settings, test for the claims."""

    # where it starts
    model: str | None = None
    """Checkpoint to continue (hub id or folder); None = the miniature's own base. The paper: three of 7B and 8B."""
    vocabulary: Annotated[int, Range(300)] = 2500
    """Byte-level BPE pieces of the miniature, trained on all its text (ours, as all of the base model)."""
    width: Annotated[int, Range(16)] = 96
    """Hidden size of the base; three layers, four heads."""
    base: TrainingConfig = _BASE
    """Training of the base, which all variants of a seed share."""

    # the mixture
    data: Literal["mono", "bi", "none"] = "mono"
    """mono = documents of one language, bi = documents of sentence pairs; none = the model as it is."""
    code: Annotated[float, Range(0, 1)] = 0.0
    """Share of the tokens that is program code. The paper's is not stated; a third with code (ours)."""
    replay: Annotated[float, Range(0, 1)] = 0.0
    """Share of English documents (ours: the control that the grid lacks)."""
    left_out: Annotated[float, Range(0, 1)] = 0.0
    """Share of the budget that is not read: as much text as beside code, and no code (a control)."""
    pairs: Literal["paired", "apart"] = "paired"
    """apart = the same sentences in documents of one language each, English and the other: a control."""
    tokens: Annotated[float, Range(1)] = 150_000
    """Budget of a group in tokens, the same for all mixtures (the paper's is not stated)."""
    sources: str | None = None
    """A manifest (`core.corpora.manifest`) with the categories mono, bi, code and english, or one of the paper's
    groups (altruistic, selfish, stagnant); None = the miniature's two groups."""
    training: TrainingConfig = _SMALL
    """Steps follow from the tokens. The rate is to the base's as 4e-5 (code) is to Llama 3's 3e-4."""

    # the measurement
    test_corpus: str | None = None
    """Held-out parallel text (.tsv, .jsonl, folder, or flores200) of own sources; its English has the code en or
    eng_Latn."""
    labelled: str | None = None
    """Topics: sib200, or a folder in its format (`core.tasks.labelled`); None = the miniature's names."""
    label_scoring: Literal["full", "official"] = "full"
    """full = log-likelihood of the whole label; official = logit of the label's last piece after a line break."""
    held_out: Annotated[int, Range(2)] = 25
    """Messages held out for each split; of own text so many are measured."""
    names: Annotated[int, Range(2)] = 20
    """Names of each kind to classify, in each language of the miniature; of own topics three times as many."""
    translations: Annotated[int, Range(0)] = 0
    """Sentences of the test corpus to translate in each direction with English; 0 = none."""
    new_tokens: Annotated[int, Range(1)] = 40
    """Length of a continuation whose language is told."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.sources and self.model is None:
            raise UserError("Own sources continue a pretrained model: give --model, a hub id or a folder.")
        if self.sources and not self.test_corpus:
            raise UserError("Own sources need held-out text: give --test-corpus, a .tsv with a column per language.")
        if self.model and not self.sources:
            raise UserError("A model of your own needs text of your own: give --sources, a manifest.")
        if self.data != "bi" and self.pairs != "paired":
            raise UserError("pairs = 'apart' is about sentence pairs: set --data bi.")
        if self.data == "none" and (self.code or self.replay):
            raise UserError("data = 'none' reads nothing: leave --code and --replay at 0.")
        if self.left_out == 1:
            raise UserError("left_out = 1 leaves nothing to read: lower it.")
        if self.code + self.replay >= 1:
            raise UserError("code and replay leave no share for the languages: their sum has to be below 1.")
        if self.training.shuffle:
            raise UserError("training.shuffle would undo the order of the mixture: leave it off.")


TINY = Config()
PRESETS: dict[str, Config] = {
    "smoke": Config(
        vocabulary=500, width=16, base=replace(_SMALL, steps=2, batch_size=2), tokens=600, data="bi", code=0.2,
        training=replace(_SMALL, batch_size=2), held_out=2, names=2, new_tokens=2,
    ),
    "tiny": TINY,
    # Full-parameter training, cosine, warm-up and rate: code. Rows of 2,048 tokens: recalled. A step is taken for 4
    # GPUs with 8 rows each, twice; the budget for the 5,500 steps of an evaluated checkpoint.
    "paper": Config(
        model="meta-llama/Llama-3.1-8B", sources="altruistic", tokens=5_500 * 64 * 2048, test_corpus="flores200",
        labelled="sib200", label_scoring="official", held_out=1012, names=68, translations=1012,
        training=TrainingConfig(
            batch_size=64, micro_batch_size=1, max_length=2048, long_documents="split", shuffle=False,
            learning_rate=4e-5, schedule="cosine", warmup=0.03, precision="bf16", strategy="fsdp2",
            gradient_checkpointing=True, log_every=10, save_every=500,
        ),
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {"data": "none", "code": 0.0},
    "mono": {"data": "mono", "code": 0.0},
    "mono_code": {"data": "mono", "code": 1 / 3},
    "bi": {"data": "bi", "code": 0.0},
    "bi_code": {"data": "bi", "code": 1 / 3},
    "less": {"data": "mono", "code": 0.0, "left_out": 1 / 3},
    "replay": {"data": "mono", "code": 0.0, "replay": 0.2},
    "apart": {"data": "bi", "code": 0.0, "pairs": "apart"},
}
MODELS = ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-2-7b-hf")


def llama_shape(config: Config, vocabulary: int) -> LlamaConfig:
    """The miniature's base as transformers' own configuration."""
    from core.models.architectures import miniature

    return miniature(
        vocabulary, width=config.width, layers=3, heads=4, feed_forward=8 * config.width // 3, positions=512
    )


def workload(config: Config) -> list[Workload]:
    """What one mixture of one group computes, for `papers plan`; at paper scale for two of the three models."""
    from core.cost.workload import of_training

    own = config.model or llama_shape(config, config.vocabulary)
    models: tuple[Any, ...] = MODELS if config.model in MODELS else (own,)
    return [of_training(config.training, model, config.tokens, name="a mixture") for model in models]


def simulation(config: Config) -> list[Simulation]:
    """A step, and translations of prompts with three examples, for `papers plan --simulate`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, write

    model: Any = config.model or llama_shape(config, config.vocabulary)
    writing = partial(write, prompt=512 if config.model else 32, new=128 if config.model else config.new_tokens)
    return [Simulation("a mixture", pretrained(model), config.training, evaluate=writing)]
