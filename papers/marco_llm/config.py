"""Settings of every scale and variant.

Those of `tiny` are chosen on development items (`--split dev`, `results/settings.jsonl`), on which no claim is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, name_values, validate
from core.files import load_json
from core.text.languages import flores_code
from core.training.config import TrainingConfig
from papers.marco_llm.method import check_shares

if TYPE_CHECKING:
    from transformers import LlamaConfig

    from core.cost.steps import Simulation
    from core.cost.workload import Workload

# Table 13: the languages' names, the sentence and its translation.
TEMPLATES: dict[str, str] = load_json(Path(__file__).with_name("templates.json"))
_LANGUAGES = (
    "en", "zh", "ar", "de", "es", "fr", "ko", "ja", "pt", "tr", "bn", "he", "id", "it", "ms", "nl", "pl", "ru", "th",
    "uk", "ur", "vi", "cs", "el", "hu", "kk", "ro", "az", "ne",
)  # fmt: skip

# Of all that is trained at the tiny scale: 512 tokens a step.
_SMALL = TrainingConfig(
    batch_size=4, max_length=128, long_documents="split", shuffle=False, schedule="cosine", warmup=0.05,
    final_learning_rate=0.1, weight_decay=0.1, beta2=0.95, precision="fp32", log_every=50,
)  # fmt: skip
_BASE = replace(_SMALL, steps=1200, learning_rate=3e-3, log_every=100)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """New languages, held-out items, base model, draws of noise and templates, order of the data."""
    split: Literal["test", "dev"] = "test"
    """Held-out messages and numbers: dev is for choosing settings, test for the claims."""

    # where it starts
    model: str | None = None
    """Checkpoint to continue (hub id or folder); None = the miniature's own base. The paper: Qwen/Qwen2-7B and 72B."""
    vocabulary: Annotated[int, Range(300)] = 2000
    """Byte-level BPE pieces of the miniature, trained on all its languages (ours, as all of the base model)."""
    width: Annotated[int, Range(16)] = 128
    """Hidden size of the base; three layers, four heads."""
    base: TrainingConfig = _BASE
    """Training of the base, which all variants of a seed share."""

    # what it reads
    sources: str | None = None
    """A manifest (`core.corpora.manifest`); `paper` = public data in place of the paper's own corpus, which is not
    public; None = the miniature."""

    # the mixture
    stage1: tuple[str, ...] = ("english=0.33", "other_high=0.42", "low=0.12", "parallel=0.07", "knowledge=0.06")
    """Token shares of the categories in stage I. Table 2 with old languages at three quarters; knowledge is in the
    miniature what its base can do beside reading: translate numbers among the old languages."""
    stage2: tuple[str, ...] = ("english=0.28", "other_high=0.36", "low=0.19", "parallel=0.09", "knowledge=0.08")
    """Token shares in stage II (Table 3, in the same way)."""
    tokens: tuple[Annotated[float, Range(1)], Annotated[float, Range(1)]] = (64_000, 56_000)
    """Token budgets of the stages. Table 1: 160 and 140 billion, the same ratio."""
    lr_stage1: Annotated[float, Range(0, 1)] = 3e-3
    """Largest learning rate of stage I, in the miniature its base's. The paper: 1e-5."""
    lr_stage2: Annotated[float, Range(0, 1)] = 1.8e-3
    """Largest learning rate of stage II; the ratio 1 : 0.6 is the paper's (6e-6)."""
    mixture: Literal["staged", "average", "none"] = "staged"
    """average = the tokens of both stages in one mixture; none = nothing is read, the model as it is."""
    rate: Literal["staged", "one"] = "staged"
    """staged = warm-up and decay anew in each stage; one = one warm-up and decay from the stages' average rate."""
    leave_out: Literal["nothing", "replay", "new"] = "nothing"
    """Ablations, the share going to the rest in proportion: replay = the categories of `replay`, new = all others."""
    replay: tuple[str, ...] = ("english", "other_high", "knowledge")
    """Categories of what is not to be lost. The paper: English and Chinese."""

    # parallel text
    parallel: Literal["filtered", "unfiltered"] = "filtered"
    """Whether the filter (ours; the paper's is not described) is applied. The miniature's pairs are clean unless an arm
    spoils them."""
    pairs: Literal["paired", "shuffled"] = "paired"
    """shuffled = no sentence stands beside its own translation: a control."""
    noise: Annotated[float, Range(0, 1)] = 0.0
    """Share of the pairs that is spoilt: half have another pair's translation, half a text in the wrong language."""
    similarity: str = "alignment"
    """`alignment` = word alignment learnt from the pairs, or an encoder (sentence-transformers/LaBSE), pooled
    as its authors do."""
    threshold: Annotated[float, Range(-1, 1)] = 0.5
    """Smallest similarity of a pair. 0.7 for LaBSE; the miniature's is read off labelled noise of an earlier world."""

    training: TrainingConfig = _SMALL
    """All stages; learning rates and steps follow from the fields above. Decay inside a stage is not stated: linear
    warm-up over 1 % (5 % of the few steps here), then cosine to a tenth."""

    # the measurement
    test_corpus: str | None = None
    """Held-out parallel text (.tsv, .jsonl, folder, or flores200) to measure instead of the miniature's."""
    test_languages: tuple[str, ...] = ()
    """Its languages; empty = all that it has."""
    old_languages: tuple[str, ...] = ("en",)
    """Those of a test corpus that must not be lost."""
    held_out: Annotated[int, Range(1)] = 50
    """Messages held out for each split, the same in all languages of a seed."""
    numbers: Annotated[int, Range(200, 1000)] = 1000
    """The miniature's numbers are those below."""
    translation_languages: tuple[str, ...] = ()
    """Measure translation among these languages of the test corpus; the miniature has its own."""
    translation_items: Annotated[int, Range(2)] = 40
    """Sentences of each direction."""
    shots: Annotated[int, Range(0)] = 0
    """Solved examples in the prompt. The paper: 1; the miniature's base has never read two templates in a row."""
    max_new_tokens: Annotated[int, Range(1)] = 24
    """Longest translation in tokens."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        for name in ("stage1", "stage2"):
            check_shares(parse_shares(getattr(self, name), name), name)
        if self.sources and self.model is None:
            raise UserError("Own sources continue a pretrained model: give --model, a hub id or a folder.")
        if self.training.shuffle:
            raise UserError("training.shuffle would mix the stages: leave it off, the sampler draws the order.")
        if self.pairs != "paired" and self.parallel == "filtered":
            raise UserError(f"The filter would take out what pairs = {self.pairs!r} makes: set --parallel unfiltered.")
        if self.mixture == "none" and (self.leave_out != "nothing" or self.rate != "staged"):
            raise UserError("mixture = 'none' reads nothing: leave leave_out and rate as they are.")


def parse_shares(shares: tuple[str, ...], where: str = "shares") -> dict[str, float]:
    """`("english=0.35", ...)` as numbers."""
    return dict(name_values(where, shares, "english=0.35", float, allowed=Range(0, 1)))


PRESETS: dict[str, Config] = {
    "smoke": Config(
        parallel="unfiltered", vocabulary=400, width=16, base=replace(_SMALL, steps=2, batch_size=2, max_length=64),
        tokens=(600, 600), training=replace(_SMALL, batch_size=2, max_length=64), held_out=4, numbers=200,
        translation_items=2, max_new_tokens=2,
    ),
    "tiny": Config(parallel="unfiltered"),
    "paper": Config(
        model="Qwen/Qwen2-7B", sources="paper",
        stage1=(
            "english=0.32", "chinese=0.17", "other_high=0.30", "low=0.09", "parallel=0.06", "knowledge=0.05",
            "synthetic=0.01",
        ),
        stage2=(
            "english=0.28", "chinese=0.15", "other_high=0.26", "low=0.15", "parallel=0.08", "knowledge=0.06",
            "synthetic=0.02",
        ),
        tokens=(160e9, 140e9), lr_stage1=1e-5, lr_stage2=6e-6, replay=("english", "chinese"),
        similarity="sentence-transformers/LaBSE", threshold=0.7,
        # Not stated: 1,024 rows of 4,096 tokens are 4M tokens a step, 38,147 and 33,379 steps.
        training=replace(
            _SMALL, batch_size=1024, micro_batch_size=1, max_length=4096, warmup=0.01, precision="bf16",
            strategy="fsdp2", gradient_checkpointing=True, log_every=10, save_every=500,
        ),
        test_corpus="flores200", test_languages=tuple(map(flores_code, _LANGUAGES)),
        old_languages=("eng_Latn", "zho_Hans"),
        # Table 12 has the 42 directions among seven languages besides English; which seven is not known to us.
        translation_languages=tuple(map(flores_code, ("en", "zh", "ar", "de", "ja", "tr", "ne", "kk"))),
        translation_items=1012, shots=1, max_new_tokens=256,
    ),
}  # fmt: skip

# A small model learns nothing from 7 and 9 % of so few tokens.
_SHARES = ("english=0.08", "other_high=0.10", "low=0.04", "parallel=0.60", "knowledge=0.18")
_BITEXT: dict[str, Any] = {"stage1": _SHARES, "stage2": _SHARES, "parallel": "unfiltered"}

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {"mixture": "none"},
    # What the stages do: their mixtures in their order, and their rates.
    "two_stage": {},
    "one_stage": {"mixture": "average", "rate": "one"},
    "average_mixture": {"mixture": "average"},
    "one_rate": {"rate": "one"},
    # What the replay does.
    "no_replay": {"leave_out": "replay"},
    "old_only": {"leave_out": "new"},
    # What parallel text and its filter do, at a share from which a small model learns.
    "clean": _BITEXT,
    "noisy": {**_BITEXT, "noise": 0.5},
    "filtered": {**_BITEXT, "noise": 0.5, "parallel": "filtered"},
    "shuffled": {**_BITEXT, "pairs": "shuffled"},
}

MODELS = ("Qwen/Qwen2-7B", "Qwen/Qwen2-72B")


def llama_shape(config: Config, vocabulary: int) -> LlamaConfig:
    """The miniature's base as transformers' own configuration."""
    from core.models.architectures import miniature

    return miniature(
        vocabulary, width=config.width, layers=3, heads=4, feed_forward=11 * config.width // 4, positions=512
    )


def workload(config: Config) -> list[Workload]:
    """What the stages compute, for `papers plan`; at paper scale for both models."""
    from core.cost.workload import of_training

    models: Any = MODELS if config.model in MODELS else (config.model or llama_shape(config, config.vocabulary),)
    stages = [*zip(("stage I", "stage II"), config.tokens, strict=True)]
    return [of_training(config.training, model, tokens, name=name) for model in models for name, tokens in stages]


def simulation(config: Config) -> list[Simulation]:
    """A step of either stage, and translations from prompts of 512 tokens, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, write

    model: Any = config.model or llama_shape(config, config.vocabulary)
    writing = partial(write, prompt=512, new=config.max_new_tokens)
    return [Simulation("stages I and II", pretrained(model), config.training, evaluate=writing)]
