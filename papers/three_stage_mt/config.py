"""Settings of every scale and variant.

Only title page and abstract of the paper could be read: what they state is marked, all else is ours. "Development
split" means chosen on numbers that no stage reads and no test asks: `results/settings.jsonl`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

LORA_RANK, LORA_ALPHA = 64, 128  # ours, for the 13B model
# Blocks of stage 1 and 2 come in the order in which they are drawn.
_SCRATCH = TrainingConfig(
    batch_size=16, max_length=96, layout="padded", beta2=0.98, warmup=20, precision="fp32", shuffle=False, log_every=100
)
_READ = replace(_SCRATCH, batch_size=32, steps=120, learning_rate=3e-3)
_ALIGN = replace(_SCRATCH, steps=600, learning_rate=3e-3)
_TUNE = replace(_SCRATCH, steps=400, learning_rate=2e-3, shuffle=True)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Language, split of the numbers, documents, initial weights."""
    split: Literal["test", "dev"] = "test"
    """Measure on test items, or on those on which settings are chosen, which only the numbers have."""

    languages: tuple[str, ...] = ()
    """Two codes; none = English and a language that the seed draws (the miniature). The paper: en zh and en de."""
    base: str | None = None
    """Checkpoint that has read the new language (after stage 1): hub id or folder; None = the miniature's own."""
    raw_base: str | None = None
    """The checkpoint before stage 1, for `monolingual` off."""
    bitext: tuple[str, ...] = ()
    """Documents of stage 2: one source, or a file a language (`core.corpora.bitext`)."""
    tuning: tuple[str, ...] = ()
    """Pairs of stage 3: shared tasks that sacrebleu knows, or files and hub data sets of pairs."""
    test: str | None = None
    """Shared task, or a file or hub data set of pairs."""

    monolingual: bool = True
    """Stage 1: monolingual text. Off: the miniature's extended vocabulary alone, or `raw_base`."""
    bitext_as: Literal["interlinear", "instructions", "nothing"] = "interlinear"
    """interlinear: stage 2; instructions: the same pairs in tuning, for as many tokens; nothing: no stage 2."""
    order: Literal["src_first", "tgt_first", "random_per_doc"] = "random_per_doc"
    """Which language comes first in a document; not stated, and one order teaches one direction (Kondo et al. 2024)."""
    granularity: str = "sentence"
    """sentence (the paper's), block_k, or document: all of one language, then all of the other."""
    alignment: Literal["true", "shifted", "shuffled"] = "true"
    """shuffled: translations of other sentences, the effect broken on purpose; shifted: of the next sentence."""
    instruction_language: str = "source"
    """source (the paper's), target, or a code; in tuning and in the test."""

    base_reading: TrainingConfig = _READ
    """The miniature's English reading, before stage 1; ours, development split."""
    reading: TrainingConfig = _READ
    """Stage 1 of the miniature; ours, development split."""
    aligning: TrainingConfig = _ALIGN
    """Stage 2; in miniature ours, development split."""
    translating: TrainingConfig = _TUNE
    """Stage 3; in miniature ours, development split."""
    adapter: Literal["full", "lora"] = "full"
    """What stages 2 and 3 train; ours: LoRA for 13B."""

    tuning_items: Annotated[int, Range(1, 100)] = 50
    """Numbers of stage 3, in both directions."""
    test_items: Annotated[int, Range(1)] = 100
    """Items per direction; at most 100 numbers."""
    width: Annotated[int, Range(16)] = 96
    """Hidden size of the miniature."""
    layers: Annotated[int, Range(1)] = 2
    """Its layers."""
    metrics: tuple[Literal["bleu", "chrf++", "comet"], ...] = ("bleu", "chrf++")
    """Of sentences; the paper: BLEU and COMET-22 (`pip install unbabel-comet`)."""
    num_beams: Annotated[int, Range(1)] = 1
    """Beams; 1 = greedy."""
    max_new_tokens: Annotated[int, Range(1)] = 48
    """Longest translation in tokens."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained or means nothing."""
        validate(self)
        if self.languages and len(set(self.languages)) != 2:
            raise UserError(f"languages = {self.languages}: give two different codes, such as en de.")
        if bool(self.base) != bool(self.languages and self.tuning):
            raise UserError("A checkpoint needs languages and tuning, and these need a base: give all three, or none.")
        if self.base and not self.monolingual and not self.raw_base:
            raise UserError("monolingual is off: name the checkpoint before stage 1 as raw_base.")
        if self.base and self.bitext_as != "nothing" and not self.bitext:
            raise UserError("Stage 2 needs bitext: name its documents, or set bitext_as = nothing.")
        check_granularity(self.granularity)


def check_granularity(value: str) -> None:
    """Refuse what is none of sentence, document and block_k."""
    k = value.removeprefix("block_")
    if value not in ("sentence", "document") and not (k.isdecimal() and int(k) > 0):
        raise UserError(f"granularity = {value!r} is not known: give sentence, document, or block_k with k > 0.")


_STAGE_2 = TrainingConfig(
    epochs=1, batch_size=256, micro_batch_size=8, max_length=1024, layout="padded", learning_rate=2e-5, warmup=0.01,
    precision="bf16", gradient_checkpointing=True, strategy="fsdp2",
)  # fmt: skip
_PAPER = Config(
    languages=("en", "zh"),
    base="hfl/chinese-llama-2-7b",  # Chinese-Llama2, 7B and 13B (abstract)
    raw_base="meta-llama/Llama-2-7b-hf",  # Llama2 (abstract)
    bitext=("Helsinki-NLP/news_commentary#en-zh",), tuning=("wmt17", "wmt18", "wmt19", "wmt20"), test="wmt22",
    aligning=_STAGE_2,
    translating=replace(_STAGE_2, batch_size=128, max_length=512, layout="flattened", long_documents="drop"),
    metrics=("bleu", "chrf++", "comet"), num_beams=4, max_new_tokens=256, test_items=5000,
)  # fmt: skip
PRESETS: dict[str, Config] = {
    "smoke": Config(
        test_items=2, tuning_items=4, width=32, layers=1, base_reading=replace(_READ, steps=2, batch_size=8),
        reading=replace(_READ, steps=2, batch_size=8), aligning=replace(_ALIGN, steps=2, batch_size=8),
        translating=replace(_TUNE, steps=2, batch_size=8), max_new_tokens=8,
    ),
    "tiny": Config(),
    "paper": _PAPER,
    "paper_13b": replace(
        _PAPER, base="hfl/chinese-llama-2-13b", raw_base="meta-llama/Llama-2-13b-hf", adapter="lora",
        aligning=replace(_PAPER.aligning, learning_rate=1e-4),
        translating=replace(_PAPER.translating, learning_rate=1e-4),
    ),
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "no_interlinear": {"bitext_as": "nothing"},
    "no_monolingual": {"monolingual": False},
    "all_as_instructions": {"bitext_as": "instructions"},
    "shuffled": {"alignment": "shuffled"},
    "english_instruction": {"instruction_language": "en"},
    "target_instruction": {"instruction_language": "target"},
}


def scratch_shape(vocabulary: int, config: Config) -> Any:
    """Shape of the miniature's model."""
    from core.models.architectures import miniature

    return miniature(
        vocabulary, width=config.width, layers=config.layers, heads=max(1, config.width // 32),
        feed_forward=3 * config.width, positions=256, initializer_range=config.width**-0.5,
    )  # fmt: skip


def workload(config: Config) -> Workload:
    """What stages 2 and 3 compute, for `papers plan`.

    At the scale of the paper a billion tokens, its bound for stage 2 (abstract), and 60 thousand pairs of 120 tokens.
    """
    from core.cost.workload import of_training

    if config.base:
        tokens = 1e9 * (config.bitext_as != "nothing") + 60_000 * 120 * config.translating.epochs
    else:
        stages = (config.base_reading, config.reading, config.aligning)
        tokens = sum(stage.steps * stage.batch_size * stage.max_length for stage in stages)
        tokens += config.translating.steps * config.translating.batch_size * 24
    others = {"method": "lora", "lora_rank": LORA_RANK} if config.adapter == "lora" else {}
    return of_training(config.aligning, config.base or scratch_shape(500, config), tokens, **others)


def simulation(config: Config) -> list[Simulation]:
    """A step of stage 2, and translations of 128 tokens, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, adapted, pretrained, write

    shape: Any = config.base or scratch_shape(500, config)
    model = pretrained(shape)
    if config.adapter == "lora":
        checkpointing = config.aligning.gradient_checkpointing
        model = adapted(shape, LORA_RANK, alpha=LORA_ALPHA, checkpointing=checkpointing)
    writing = partial(write, prompt=128, new=config.max_new_tokens, beams=config.num_beams)
    return [Simulation("stage 2", model, config.aligning, evaluate=writing)]
