"""Settings of every scale and variant.

There is no official code and we did not have the paper's full text: every value says where it comes from. "recalled" is
from memory of the paper; "ours, development split" was chosen on problems that are neither trained on nor tested,
`results/settings.jsonl`.
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

HIGH = "en"
"""The high-resource language: questions are rewritten in it, chains of thought are written in it."""
_SCRATCH = TrainingConfig(
    learning_rate=2e-3, beta2=0.99, warmup=20, max_length=256, layout="padded", precision="fp32",
    log_every=100,
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Languages, problems and initial weights of the tiny world; all draws in training."""
    split: Literal["test", "dev"] = "test"
    """Measure on test problems, or on those on which settings are chosen."""

    # device 1: demonstrations
    context: Literal["demonstrations", "rows", "none"] = "demonstrations"
    """What is done with code-switched examples. demonstrations: they stand before the query (xICL); rows: the same
    examples are rows of their own, which the query does not see (our control); none: there are none."""
    k: Annotated[int, Range(1, 16)] = 1
    """Examples beside a query; the paper's number is not known, 2 to 4 by our reading."""
    alpha: Annotated[float, Range(0, 1)] = 0.5
    """Probability that a unit of an example is replaced by its translation; ours."""
    context_share: Annotated[float, Range(0, 1)] = 2 / 3
    """Queries that have examples. The others keep the model able to answer without, as it is asked in tests; ours."""
    loss_on_context: bool = True
    """Learn the answers of the demonstrations too."""

    # device 2: the query is put into another language first
    rewrite: Literal["english", "random", "none"] = "english"
    """Into which language: English, or any of the languages but the query's (Algorithm 1, recalled)."""
    rewrite_share: Annotated[float, Range(0, 1)] = 1.0
    """Queries that are rewritten. With two layouts for the same query a small model learns neither (prototype)."""
    source: Literal["parallel", "online"] = "parallel"
    """Where the rewritten query comes from: the data, or greedy translation by the model as it is (the paper's online
    strategy), for half of the queries after a tenth of the steps; the share and the tenth are ours."""

    # device 3: distillation
    beta: Annotated[float, Range(0)] = 0.3
    """Weight of the distillation loss (recalled)."""

    # data
    answer_language: Literal["english", "native"] = "english"
    """native: the chain of thought is in the question's language, the conventional baseline (MathOctopus, parallel)."""
    english_share: Annotated[float, Range(0, 1)] = 0.4
    """Share of English queries; ours. The paper's data are uniform over languages: 1/11."""
    mismatched: bool = False
    """Words that replace others are any words, and questions are those of other problems: the effect, broken on
    purpose."""
    languages: tuple[str, ...] = ()
    """Codes of the other languages. None, in miniature: three that the seed draws."""
    questions: Annotated[int, Range(0)] = 20
    """Questions of each other language to train on, the same in all; 0 = all that there are. Ours, development split:
    with many more of them English chains need no device."""
    coverage: Annotated[float, Range(0, 1)] = 0.75
    """Share of the words of the tiny world's questions that its lexicons have, drawn by the seed; ours, development
    split. A lexicon of all words would solve the task word by word."""
    items: Annotated[int, Range(1)] = 100
    """Problems of the tiny world that are measured on, in every language."""
    examples: str = ""
    """JSONL of `python -m papers.xcot.use build`. None: MathOctopus' GSM8K in ten languages on the hub, its words
    aligned by IBM-1; without a `base` the tiny world."""
    test: str = "mgsm"
    """Questions to measure on, with a `base`: mgsm, Mathoctopus/MSVAMP#{code}@test, or a file with `lang`, `question`
    and `answer`."""
    base: str = ""
    """Model to tune: hub id, folder or wheel; empty: a small decoder that learns English problems here (stage 1)."""
    max_new_tokens: Annotated[int, Range(1)] = 48
    """Room for an answer; ours."""

    english: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=350, batch_size=24))
    """Stage 1, where the base is trained here; ours."""
    training: TrainingConfig = field(default_factory=lambda: replace(_SCRATCH, steps=240, batch_size=12))
    """Tuning; ours, development split. Steps are those of the whole method; other arms see as many tokens."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.answer_language == "native" and (self.rewrite != "none" or self.beta or self.context != "none"):
            raise UserError(
                "answer_language = 'native' is the baseline without the three devices: add --context none "
                "--rewrite none --beta 0."
            )
        if self.rewrite == "none" and self.source == "online":
            raise UserError("rewrite = 'none' rewrites no query: leave --source out.")
        if self.mismatched and self.context == self.rewrite == "none":
            raise UserError("--mismatched needs --context or --rewrite: there is nothing to exchange.")
        if self.base and not self.languages:
            raise UserError("languages is empty: name the languages beside English, such as --languages sw bn th.")
        if HIGH in self.languages:
            raise UserError(f"languages are those beside {HIGH!r}: leave it out.")
        if self.examples and not self.base:
            raise UserError("examples need a model: name it in --base.")


TINY = Config()
# Languages of MGSM that the hub's training data have, all but Telugu, which the authors translated themselves.
TRANSLATED = ("bn", "de", "es", "fr", "ja", "ru", "sw", "th", "zh")
PAPER_SCALE = Config(
    base="meta-llama/Llama-2-7b-hf", languages=TRANSLATED, questions=0, english_share=0.1, k=2, rewrite="random",
    rewrite_share=0.5, loss_on_context=False, max_new_tokens=512,
    # Three passes, 2e-5, cosine, 3 % warm-up: recalled. Batch, length and precision: ours.
    training=TrainingConfig(
        epochs=3, batch_size=128, micro_batch_size=4, max_length=2048, learning_rate=2e-5, warmup=0.03, layout="padded",
        precision="bf16", strategy="fsdp2", gradient_checkpointing=True,
    ),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, languages=("sw",), questions=8, items=10, max_new_tokens=16,
        english=replace(TINY.english, steps=3, batch_size=4), training=replace(TINY.training, steps=3, batch_size=4),
    ),
    "tiny": TINY,
    "paper": PAPER_SCALE,
    "paper_13b": replace(PAPER_SCALE, base="meta-llama/Llama-2-13b-hf"),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "xcot": {},
    "no_xicl": {"context": "none"},
    "no_random_cot": {"rewrite": "none"},
    "no_distillation": {"beta": 0.0},
    "cs_flat": {"context": "rows"},
    "sft": {"context": "none", "rewrite": "none", "beta": 0.0},
    "native": {"context": "none", "rewrite": "none", "beta": 0.0, "answer_language": "native"},
    "mismatched": {"mismatched": True},
}


def whole(config: Config) -> Config:
    """The same with its demonstrations and rewritten queries: all arms see as many tokens as this."""
    rewrite = "english" if config.rewrite == "none" else config.rewrite
    return replace(config, context="demonstrations", rewrite=rewrite, answer_language="english")


def scratch_shape(vocabulary: int) -> Any:
    """Shape of the model that is trained here: 0.6 million parameters."""
    from core.models.architectures import miniature

    return miniature(
        vocabulary, width=128, layers=3, heads=4, feed_forward=341, positions=512, tie_word_embeddings=False,
        initializer_range=128**-0.5,
    )  # fmt: skip


def workload(config: Config) -> Workload:
    """Tuning, for `papers plan`; the teacher's forward pass is a third more.

    A problem of GSM8K has about 150 tokens with its answer; other scripts take two to four times as many.
    """
    from core.cost.workload import of_training

    settings = config.training
    if config.base:
        rows = 7_400 * (1 + len(config.languages)) * settings.epochs
        return of_training(settings, config.base, rows * 300 * (1 + config.k * config.context_share))
    tokens = 68 * config.english.steps * config.english.batch_size + 45 * settings.steps * settings.batch_size
    return of_training(settings, scratch_shape(160), tokens)


def simulation(config: Config) -> list[Simulation]:
    """A step of tuning with its teacher, and answers to questions, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, write
    from papers.xcot.batches import simulated
    from papers.xcot.method import objective

    model = pretrained(config.base or scratch_shape(160))
    writing = partial(write, prompt=256 if config.base else 16, new=config.max_new_tokens)
    return [
        Simulation(
            "tuning", model, config.training, loss=objective(config.beta), row={"tokens": config.training.max_length},
            collate=simulated, evaluate=writing,
        )
    ]  # fmt: skip
