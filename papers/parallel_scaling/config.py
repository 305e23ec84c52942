"""Settings of every scale and variant.

There is no official code, and of the paper we had the abstract and what public reviews say of it. Hardly any setting is
known: what is not marked otherwise is ours. "ours, development split" was chosen on problems that are neither trained
on nor tested, `results/settings.jsonl`.
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
"""English: the first language of every training set."""
_SCRATCH = TrainingConfig(
    schedule="linear", final_learning_rate=0.1, warmup=20, beta2=0.99, max_length=64, layout="padded", precision="fp32",
    log_every=50,
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Problems, order of the languages and initial weights of the tiny world; all draws in training."""
    split: Literal["test", "dev"] = "test"
    """Measure on test problems, or on those on which settings are chosen."""

    ks: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of languages, each a training of its own from the same start; the first k of the order are trained on."""
    paradigm: Literal["grpo", "sft"] = "grpo"
    """By reward, or by the right answers (reviews: GRPO, compared with fine-tuning)."""
    budget: Literal["fixed", "grow"] = "fixed"
    """fixed: as many examples and updates whatever k, the control that reviewers asked for; grow: each language adds as
    many, as they understood the paper."""
    longer: Annotated[float, Range(0.01)] = 1.0
    """Times as many examples."""
    parallel: bool = True
    """The same problems in every language; False: other problems in each."""
    permuted: bool = False
    """Rewards are handed out at random within each group of answers: the effect, broken on purpose."""
    group: Annotated[int, Range(2)] = 8
    """Answers to a prompt (G)."""
    weights: tuple[float, float, float] = (1.0, 0.1, 0.2)
    """Of accuracy, format and language in the reward; the paper has three coefficients (reviews, its equation 7), of
    unknown values. The miniature's answers are one token: accuracy alone."""
    beta: Annotated[float, Range(0)] = 0.0
    """Weight of the divergence from the start."""

    languages: tuple[str, ...] = ()
    """Languages in the order in which they join, English first. None, in miniature: the seed draws the order."""
    unseen: tuple[str, ...] = ()
    """Languages that are never trained on. None, in miniature: eight."""
    temperature: Annotated[float, Range(0.01, 5)] = 0.6
    """Of the answers that are measured (XReasoning's example command). In miniature accuracy is the probability of the
    right answer at it: the mean of infinitely many samples."""
    min_base: Annotated[float, Range(0, 1)] = 0.0
    """Pairs of language and benchmark with less accuracy before training do not count in relative gains."""

    items: Annotated[int, Range(1)] = 200
    """Sums of the tiny world that are measured on, in every language."""
    shown: Annotated[int, Range(1)] = 350
    """Sums that the miniature's base sees, in all languages; ours, development split."""
    english_centric: bool = True
    """It has met more than half of its sums, and more of them, in English, as models have (`miniature.ENGLISH_SHOWN`);
    False: as many in each language (`shown`)."""
    sums: Annotated[float, Range(0, 1)] = 0.4
    """Their share in what it reads; ours, development split."""
    adds: Annotated[float, Range(0, 1)] = 0.06
    """Share of cases in which it adds in languages never trained, on sums of the training part that it is not shown:
    when a phase of its training has reached it, there is no other; ours, development split."""
    base: str = ""
    """Model to train: hub id or folder; empty: a small decoder that learns to read numbers here."""
    problems: str = ""
    """JSONL of aligned problems (id, lang, prompt, answer, perhaps solution) to train on, with a `base`."""
    tests: tuple[str, ...] = ()
    """What is measured on, with a `base`: files or hub datasets with `problem` and `answer`, {code} in their names or a
    column `lang`."""
    forced: bool = False
    """Ask in the problem's language to think in it, and put a first sentence in it into the model's mouth."""
    extract: Literal["last", "xreasoning"] = "last"
    """last: the last box, nested braces included; xreasoning: any box without them counts, as in that code."""
    samples: Annotated[int, Range(1)] = 16
    """Answers to each test item: with 30 items of AIME one answer each is noise."""
    max_new_tokens: Annotated[int, Range(1)] = 64
    """Room for an answer, in training and when measured."""
    vllm: bool = False
    """Sample in training through vLLM, in the same process: into an environment whose torch suits both."""

    reading: TrainingConfig = field(
        default_factory=lambda: replace(_SCRATCH, steps=100, batch_size=128, learning_rate=3e-3, weight_decay=1.0)
    )
    """Each phase of training the base, in miniature; ours, development split. Without its decay, no arm of a prototype
    added numbers that it had not seen together."""
    training: TrainingConfig = field(
        default_factory=lambda: replace(_SCRATCH, steps=200, batch_size=48, learning_rate=1e-3)
    )
    """Of each k; batches in prompts. Without `steps`, `epochs` are rounds over the problems."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if not self.ks or sorted({*self.ks}) != list(self.ks) or self.ks[0] < 1:
            raise UserError(f"ks = {self.ks} has to be numbers of languages from 1 on, in rising order.")
        if self.permuted and self.paradigm == "sft":
            raise UserError("--permuted exchanges rewards, and paradigm = 'sft' has none.")
        if not self.base:
            if self.problems or self.tests or self.forced:
                raise UserError("problems, tests and forced need a model: name it in --base.")
        elif not self.languages or self.languages[0] != HIGH or self.ks[-1] > len(self.languages):
            raise UserError(f"languages = {self.languages}: name at least {self.ks[-1]}, with {HIGH!r} as the first.")
        elif not self.unseen:
            raise UserError("unseen is empty: name languages that are never trained on.")
        if both := sorted({*self.languages} & {*self.unseen}):
            raise UserError(f"unseen has {both[0]!r}, which is trained on: name other languages.")
        if min(self.weights) < 0 or not any(self.weights):
            raise UserError(f"weights = {self.weights}: give three numbers of at least 0, one of them above.")


TINY = Config()
# The eleven languages of XReasoning; which of them the paper trains on, and in which order, is not known.
ORDER, UNSEEN = ("en", "zh", "de", "es", "fr", "ru", "ja", "bn"), ("sw", "te", "th")
PAPER_SCALE = Config(
    base="Qwen/Qwen2.5-7B-Instruct", ks=(1, 2, 3, 4, 6, 8), languages=ORDER, unseen=UNSEEN, max_new_tokens=4096,
    problems="problems.jsonl",
    tests=tuple(
        f"shanchen/{name}@{{code}}"
        for name in ("aime_2024_multilingual", "aime_2025_multilingual", "gpqa_diamond_mc_multilingual")
    ),
    training=TrainingConfig(
        epochs=8, batch_size=128, micro_batch_size=8, max_length=5120, learning_rate=1e-6, schedule="constant",
        layout="padded", precision="bf16", strategy="fsdp2", gradient_checkpointing=True,
    ),
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": replace(
        TINY, items=10, adds=0.0, reading=replace(TINY.reading, steps=40, batch_size=16),
        training=replace(TINY.training, steps=3, batch_size=8),
    ),
    "tiny": TINY,
    "paper": PAPER_SCALE,
    "paper_base": replace(PAPER_SCALE, base="Qwen/Qwen2.5-7B"),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "grpo": {},
    "sft": {"paradigm": "sft", "ks": (1, 2)},
    "permuted": {"permuted": True, "ks": (1, 2, 4)},
    "different": {"parallel": False, "ks": (2,)},
    "english_twice": {"ks": (1,), "longer": 2.0},
    "sft_short": {"paradigm": "sft", "ks": (1,), "longer": 0.25},
    "grow": {"budget": "grow", "longer": 0.5, "ks": (2, 4, 8)},  # two languages have as many samples as in the others
    # Of 350 sums in every language it learns these by heart, and adds new ones in .03 of cases.
    "even": {"english_centric": False, "shown": 500, "ks": (1, 2)},
}


def scratch_shape(vocabulary: int) -> Any:
    """Shape of the model that is trained here: 0.46 million parameters."""
    from core.models.architectures import miniature

    return miniature(
        vocabulary, width=96, layers=3, heads=4, feed_forward=256, positions=64, initializer_range=96**-0.5
    )


def examples(config: Config, problems: int) -> int:
    """Examples of one training with a fixed budget."""
    count = config.training.steps * config.training.batch_size or config.training.epochs * problems
    return max(config.training.batch_size, round(count * config.longer))


def workload(config: Config) -> Workload:
    """Training with every k, for `papers plan`; sampling reads and writes as many tokens again.

    A set of 8,000 problems is our default; a sampled answer is taken to fill half of its room.
    """
    from core.cost.workload import of_training

    settings = config.training
    share = sum(config.ks) if config.budget == "grow" else len(config.ks)
    if config.base:
        answers = examples(config, 8000) * share * (config.group if config.paradigm == "grpo" else 1)
        return of_training(settings, config.base, answers * (256 + config.max_new_tokens / 2))
    phases = 10  # of the base, about
    tokens = 5 * phases * config.reading.steps * config.reading.batch_size + 8 * examples(config, 1750) * share
    return of_training(settings, scratch_shape(1400), tokens)


def simulation(config: Config) -> list[Simulation]:
    """A step of training on answers of full length, and answers to problems, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, write

    model = pretrained(config.base or scratch_shape(1400))
    writing = partial(write, prompt=512 if config.base else 16, new=config.max_new_tokens if config.base else 1)
    return [Simulation("tuning", model, config.training, evaluate=writing)]
