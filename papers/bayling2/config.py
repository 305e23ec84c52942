"""Settings of every scale and variant.

The body of the paper could not be read; most of its hyperparameters are unknown. What is known comes from the abstract,
the official repository and third-party summaries, and each field says so. The settings of `tiny` were chosen on
development numbers (`--split dev`, `results/settings.jsonl`), which no claim is judged on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from core.cost.steps import Simulation, pretrained, write
from core.cost.workload import Workload, of_training
from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.files import load_json
from core.training.config import TrainingConfig

_LANGUAGES: dict[str, str] = load_json(Path(__file__).with_name("languages.json"))
# The languages of FLORES-101 but English and simplified Chinese. The paper says "over 100"; its list is not known.
FLORES_101 = tuple(_LANGUAGES["flores101"].split())
# Languages that OPUS-100 pairs with English.
OPUS_100 = tuple(_LANGUAGES["opus100"].split())

# Requests for a translation in either pivot: half of the wordings name the target language alone, half both languages.
# BayLing 2's own are not published; these are ours, after the kind of request that its predecessor used.
WORDINGS: dict[str, list[str]] = load_json(Path(__file__).with_name("wordings.json"))

Template = Literal["auto", "bayling2-llama2", "bayling2-llama3"]


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Of the miniature's languages and held-out numbers, initial weights, draws of the mixture, order of the data."""
    split: Literal["test", "dev"] = "test"
    """Held-out numbers to measure on; settings were chosen on dev."""

    model: str | None = None
    """Chat model to tune (the presets' are second hand); None = a scratch model on spelled-out numbers."""
    width: Annotated[int, Range(8)] = 64
    """Hidden size of the scratch model (ours)."""
    layers: Annotated[int, Range(1)] = 3
    """Its layers (ours)."""
    template: Template = "auto"
    """Layout of conversations: the tokenizer's own where it has a chat template (auto), or of the official code."""

    pivots: tuple[str, ...] = ("en", "zh")
    """The languages with task instructions; English and Chinese (abstract)."""
    hubs: tuple[str, ...] = ()
    """Pivots around which translation tasks go; none = all of them (official overview figure)."""
    languages: tuple[str, ...] = ()
    """Languages tied to the pivots by translations alone, over 100 (abstract); none, with numbers = the seed draws."""
    untied: tuple[str, ...] = ()
    """Languages without translation tasks, measured for comparison (ours)."""
    instructions: tuple[str, ...] = ()
    """Task instructions as pivot=source, one or more a pivot: a file with `messages` (or instruction, input, output),
    or a hub data set, with @split after the name where it is not `train`."""
    parallel: tuple[str, ...] = ()
    """Parallel text: language:pivot=file (.tsv or .jsonl with both codes as columns); opus-100; or a multi-way file or
    corpus (flores200), from which every pair with a pivot is taken."""
    blocks: tuple[str, ...] = ("en", "zh", "xling")
    """Parts of the training set: pivots with task instructions, and xling for the translation tasks. `en zh` is the
    paper's ablation; none = the backbone as it is."""
    xling: Literal["translations", "shuffled", "monolingual"] = "translations"
    """What the block xling holds: translation tasks; pairs that do not belong together (the null arm, numbers); or
    monolingual text of the same languages (a control, numbers)."""
    shares: tuple[Annotated[float, Range(0)], ...] = (0.262, 0.432, 0.306)
    """Weights in the mixture: instructions in each pivot, then translation tasks (second hand: 26.2, 43.2, 30.6 %)."""
    xling_per_language: Annotated[int, Range(0)] = 0
    """Distinct translation examples per language, over pivots and directions; 0 = all. Not stated (ours)."""
    total: Annotated[int, Range(0)] = 0
    """Examples of the mixture, small blocks repeated; 0 = as many as the updates read (numbers), or as there are
    without repetition. 3.2 million (abstract)."""
    oracle: bool = False
    """Upper bound: also instruct the tasks in every language (numbers)."""
    known: Annotated[int, Range(0)] = 10
    """Numbers of each language that every arm sees in digits: what a chat model knows of a weak language (numbers)."""
    answer: Literal["digits", "words"] = "digits"
    """Language-neutral answers, or words of the question's language, which is then named (numbers)."""

    training: TrainingConfig = field(default_factory=TrainingConfig)
    """Of one stage (second hand: full fine-tuning, DeepSpeed, gradient checkpointing; the rest is not stated)."""
    items: Annotated[int, Range(1)] = 100
    """Held-out numbers in each split; at most so many items of a benchmark and language."""
    benchmarks: tuple[str, ...] = ()
    """Tasks for pretrained models: flores200 and wmt22 (translation), belebele, m_arc, m_mmlu, or a .jsonl with task,
    language, prompt, answer and optionally choices."""
    scores: tuple[Literal["bleu", "spbleu", "chrf", "chrf++", "comet"], ...] = ("bleu", "chrf++")
    """Of translations. comet is COMET-22 and needs the package unbabel-comet; spbleu fetches its pieces once."""
    max_new_tokens: Annotated[int, Range(1)] = 20
    """Longest generated answer; the official client writes at most 512."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        for name, known in (("blocks", (*self.pivots, "xling")), ("hubs", self.pivots)):
            if unknown := [entry for entry in getattr(self, name) if entry not in known]:
                raise UserError(f"{name} has {unknown[0]!r}: choose among {', '.join(known)}.")
        if len(self.shares) != len(self.pivots) + 1:
            raise UserError(
                f"shares has {len(self.shares)} weights: give one for each of {', '.join(self.pivots)}, then xling."
            )
        if self.blocks and not sum(self.weights.values()):
            raise UserError(f"The shares of the blocks {', '.join(self.blocks)} are all 0: give one a positive share.")
        codes = [*self.pivots, *self.languages, *self.untied]
        if repeated := [code for code in codes if codes.count(code) > 1]:
            raise UserError(f"{repeated[0]!r} has two roles: list it once, as pivot, language or untied language.")
        if self.xling != "translations" and "xling" not in self.blocks:
            raise UserError(f"xling = {self.xling!r} says what the block xling holds: name it in blocks.")
        if self.model is None and (self.instructions or self.parallel):
            raise UserError("Your own data need a pretrained model: name it with --model.")
        if self.model is None and self.untied and not self.languages:
            raise UserError("untied without languages: name both, or neither, and the seed draws them.")

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every block that takes part; what the oracle adds weighs as much as the pivots' instructions."""
        given = zip((*self.pivots, "xling"), self.shares, strict=True)
        found = {name: share for name, share in given if name in self.blocks}
        tasks = sum(share for name, share in found.items() if name != "xling")
        return {**found, "oracle": tasks if self.oracle else 0.0}


_TINY = Config(
    shares=(0.235, 0.235, 0.47),
    # The strong decay of the weights keeps what the languages have in common (an earlier world of this page).
    training=TrainingConfig(
        steps=500, batch_size=64, max_length=64, layout="flattened", learning_rate=5e-3, beta2=0.98, weight_decay=1.0,
        warmup=0.05, final_learning_rate=0.1, precision="fp32", log_every=50,
    ),
)  # fmt: skip

_PAPER = Config(
    model="meta-llama/Llama-2-7b-chat-hf", template="bayling2-llama2", languages=FLORES_101,
    instructions=(
        "en=HuggingFaceH4/ultrachat_200k@train_sft", "en=Open-Orca/SlimOrca",
        "zh=BelleGroup/train_2M_CN", "zh=silk-road/alpaca-data-gpt4-chinese",
    ),
    parallel=("flores200", "opus-100"),
    # 30.6 % of 3.2 million examples over 100 languages.
    xling_per_language=10_000, total=3_200_000,
    # Not stated (ours): the usual settings of full fine-tuning at this size.
    training=TrainingConfig(
        epochs=3, batch_size=128, micro_batch_size=2, max_length=2048, learning_rate=2e-5, schedule="cosine",
        warmup=0.03, precision="bf16", gradient_checkpointing=True, strategy="zero3", save_every=1000,
    ),
    items=2037, benchmarks=("flores200", "wmt22", "belebele", "m_arc", "m_mmlu"),
    scores=("bleu", "spbleu", "chrf++", "comet"), max_new_tokens=512,
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        _TINY, languages=("de", "tr"), untied=("sw",), width=16, layers=1, items=6,
        training=replace(_TINY.training, steps=3, batch_size=16),
    ),
    "tiny": _TINY,
    "paper": _PAPER,
    "paper-13b": replace(
        _PAPER, model="meta-llama/Llama-2-13b-chat-hf", training=replace(_PAPER.training, learning_rate=1e-5)
    ),
    "paper-8b": replace(
        _PAPER, model="meta-llama/Meta-Llama-3-8B-Instruct", template="bayling2-llama3",
        training=replace(_PAPER.training, epochs=2),
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    # The paper's ablation: the translation tasks are left out, at as many updates.
    "no_xling": {"blocks": ("en", "zh")},
    "monolingual": {"xling": "monolingual"},
    "shuffled": {"xling": "shuffled"},
    "no_knowledge": {"known": 0},
    # Instructions in one pivot, translations around both; the reverse; and one of each, Chinese a language like others.
    "en_xling": {"blocks": ("en", "xling")},
    "zh_xling": {"blocks": ("zh", "xling")},
    "one_hub": {"hubs": ("en",)},
    "one_pivot": {"blocks": ("en", "xling"), "hubs": ("en",)},
    # As many different translations a language as around one hub.
    "half": {"xling_per_language": 1600},
    "oracle": {"oracle": True},
    "words": {"answer": "words", "known": 0},
    "backbone": {"blocks": ()},
}


def workload(config: Config) -> Workload:
    """What tuning computes, for `papers plan`."""
    settings, weights, kind = config.training, config.weights, "training" if config.blocks else "inference"
    tokens = settings.steps * settings.batch_size * 13.0
    if config.model is not None:
        # Assumed: 450 tokens of a dialogue of several turns, 120 of a sentence with its translation.
        lengths = {name: 450 if name in config.pivots else 120 for name in weights}
        mean = sum(lengths[name] * weight for name, weight in weights.items()) / (sum(weights.values()) or 1)
        tokens = (config.total or 3_200_000) * settings.epochs * mean
    model = config.model or scratch_shape(200, config)
    return of_training(settings, model, tokens, kind=kind, name="instruction tuning")


def scratch_shape(vocabulary: int, config: Config) -> Any:
    """Shape of the miniature's model.

    Input and output embeddings are separate, as in the paper's backbones: words of two languages may then be read as
    the same and still be written as different ones. The customary spread of the initial weights, 0.02, is for widths of
    thousands: at 64 the loss stays on a plateau for most of the updates, with some seeds for all of them.
    """
    from core.models.architectures import miniature

    return miniature(
        vocabulary, width=config.width, layers=config.layers, heads=max(1, config.width // 16),
        feed_forward=3 * config.width, positions=128, tie_word_embeddings=False, initializer_range=0.08,
    )  # fmt: skip


def simulation(config: Config) -> list[Simulation]:
    """A step of tuning, and translations of 256 tokens with as many new ones as are allowed, for `papers plan`."""
    model, training = pretrained(config.model or scratch_shape(200, config)), config.training if config.blocks else None
    writing = partial(write, prompt=256 if config.model else 16, new=config.max_new_tokens)
    return [Simulation("instruction tuning", model, training, evaluate=writing)]
