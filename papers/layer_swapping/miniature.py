"""The tiny world: what is done with two numbers, in words of many languages, answered in digits.

    <sw> saba + kumi na tano =  2 2             the task: sums; task experts see them in English alone
    <sw> saba & kumi na tano =  7 , 1 5         read both numbers
    <sw> saba max kumi na tano =  1 5           the larger one
    <sw> saba - kumi na tano =  8               how far apart they are

Number words are those of Unicode CLDR. The base has read four languages well, sums among it, and two target languages
hardly at all and without any sum, as a multilingual model has its small languages. Language experts see everything but
sums in their language. A sum in a target language is in nobody's data.

Items are split by family: 4 + 7, 7 + 4, 11 - 4 and 11 - 7 say the same of three numbers. Tested families are held out
in the target languages alone, in every task: that 4 + 7 is 11 is known from English, and has to be reached from words
that it was never shown with. Others are held out in all languages (`unseen`): they ask whether anything adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from core.models.tokenization import IGNORED, word_level
from core.worlds.base import Item, dealt, split, trivial
from core.worlds.numbers import spelled
from papers.layer_swapping.config import Config, scratch_shape
from papers.layer_swapping.data import freeze

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from core.experiment.run import Run
    from core.training.config import TrainingConfig

HIGH = ("en", "es", "tr", "id")
# One of them that no expert is tuned on.
NEUTRAL = "es"
# Languages of other words than these and each other's, that put their numbers together from few of them.
POOL = ("sw", "vi", "cy", "et", "el", "lt", "ru", "am", "fa", "qu", "mt", "ta")
# Target languages of a seed, and seeds whose languages are all different: 6n to 6n + 5.
TARGETS, DISJOINT = 2, 6
# Without zero: what only reads or copies never answers a sum.
NUMBERS = range(1, 30)
TASK = "add"
SIGNS = {"add": "+", "read": "&", "max": "max", "sub": "-"}
GENERIC = ("read", "max", "sub")
# Families that are tested in target languages, and those that are in no data.
SHARES = {"dev": 0.1, "test": 0.1, "unseen_dev": 0.05, "unseen_test": 0.05, "train": 0.7}
# Items that are asked of sums in English, of each other task, and of each in the language that no expert has.
ASKED = {"english": 80, "generic": 60, "neutral": 30}


def targets(config: Config) -> tuple[str, ...]:
    """The target languages of a seed."""
    return dealt(POOL, TARGETS, config.seed, DISJOINT)


def stranger(config: Config, code: str) -> str:
    """The other target language, whose expert knows nothing of this one."""
    return next(other for other in targets(config) if other != code)


def answer(task: str, a: int, b: int) -> str:
    """The answer in digits, a blank between any two."""
    if task == "read":
        return f"{' '.join(str(a))} , {' '.join(str(b))}"
    return " ".join(str({"add": a + b, "max": max(a, b), "sub": abs(a - b)}[task]))


def family(task: str, a: int, b: int) -> str:
    """The two smaller of the three numbers that a sum or difference is about; of other tasks the pair."""
    low, high = sorted((a, b))
    return "-".join(map(str, sorted((low, high - low)) if task == "sub" else (low, high)))


@cache
def items(code: str, task: str) -> tuple[Item, ...]:
    """Every pair of numbers in a language, named `sw/4-7/add-7-4`; without a difference of nothing, which is no sum."""
    words, found = spelled((code,), NUMBERS)[code], []
    for a, b in product(NUMBERS, repeat=2):
        if task != "sub" or a != b:
            cls, prompt = family(task, a, b), f"<{code}> {words[a]} {SIGNS[task]} {words[b]} ="
            found.append(Item(f"{code}/{cls}/{task}-{a}-{b}", cls, prompt, answer(task, a, b), code))
    return tuple(found)


@cache
def parts(code: str, task: str, seed: int) -> dict[str, list[Item]]:
    """Items by the names of `SHARES`: the same families in every language and task."""
    found: dict[str, list[Item]] = {name: [] for name in SHARES}
    for item in items(code, task):
        found[dealt_families(seed)[item.cls]].append(item)
    return found


@cache
def shown(code: str, task: str, seed: int) -> tuple[Item, ...]:
    """What models are trained on: no tested family in a target language, in the others all but what nobody sees."""
    names = ("train",) if code in POOL else ("train", "dev", "test")
    return tuple(item for name in names for item in parts(code, task, seed)[name])


@cache
def dealt_families(seed: int) -> dict[str, str]:
    """The part of every family."""
    return {item.cls: name for name, own in split(items("en", TASK), seed, SHARES).items() for item in own}


def asked(config: Config, code: str) -> dict[str, list[Item]]:
    """What models for a target language are asked: all its sums of a part (`add`), those of families that are in no
    data (`unseen`) here and in English, and a draw of all else in the families of `add`."""

    def drawn(kind: str, language: str, task: str) -> list[Item]:
        return Random(f"{config.seed}-{kind}-{task}").sample(own(language, task), ASKED[kind])

    def own(language: str, task: str) -> list[Item]:
        return parts(language, task, config.seed)[config.split]

    return {
        TASK: own(code, TASK),
        "unseen": parts(code, TASK, config.seed)[f"unseen_{config.split}"],
        "unseen_english": parts("en", TASK, config.seed)[f"unseen_{config.split}"],
        "english": drawn("english", "en", TASK),
        **{task: drawn("generic", code, task) for task in GENERIC},
        "neutral": [item for task in GENERIC for item in drawn("neutral", NEUTRAL, task)],
    }


def solvers(config: Config, code: str) -> dict[str, float]:
    """Accuracy in sums of a target language of solvers that know nothing, from all that its two experts are shown."""
    train = [item for task in GENERIC for item in shown(code, task, config.seed)] + [*shown("en", TASK, config.seed)]
    nobody = [replace(item, language="") for item in train]  # what is common in one language is so in the other
    return trivial(nobody, [replace(item, language="") for item in asked(config, code)[TASK]])


# --- the models -------------------------------------------------------------------------------------------------------


def tokenizer_for(config: Config) -> PreTrainedTokenizerFast:
    """One token a word."""
    codes = (*HIGH, *targets(config))
    vocabulary = [*(f"<{code}>" for code in codes), *SIGNS.values(), "=", ",", *"0123456789"]
    for table in spelled(codes, NUMBERS).values():
        vocabulary += " ".join(table.values()).split()
    return word_level(vocabulary)


def of_base(config: Config, rng: Random) -> Iterator[Item]:
    """What the base reads: target languages by their share, without sums; the others with their share of sums."""
    codes = targets(config)
    while True:
        if rng.random() < config.target_share * len(codes):
            code, task = rng.choice(codes), rng.choice(GENERIC)
        else:
            code = rng.choice(HIGH)
            task = TASK if rng.random() < config.add_share else rng.choice(GENERIC)
        yield rng.choice(shown(code, task, config.seed))


def of_task(config: Config, rng: Random) -> Iterator[Item]:
    """Sums in English."""
    while True:
        yield rng.choice(shown("en", TASK, config.seed))


def of_language(config: Config, rng: Random, code: str) -> Iterator[Item]:
    """Everything but sums in a target language."""
    while True:
        yield rng.choice(shown(code, rng.choice(GENERIC), config.seed))


def of_both(config: Config, rng: Random, code: str) -> Iterator[Item]:
    """The data of both experts, each by its steps."""
    ours, theirs = of_task(config, rng), of_language(config, rng, code)
    share = config.task.steps / (config.task.steps + config.language_training.steps)
    while True:
        yield next(ours if rng.random() < share else theirs)


def rows(tokenizer: Any, found: Iterator[Item], settings: TrainingConfig) -> list[dict[str, Any]]:
    """As many rows as the settings' steps take, with the loss on answers."""

    vocabulary = tokenizer.get_vocab()

    @cache
    def row(item: Item) -> dict[str, Any]:
        """As `core.models.tokenization.completion_row` makes it, which takes a minute for so many items."""
        asked, answer = ([vocabulary[word] for word in text.split()] for text in (item.prompt, item.answer))
        end = [tokenizer.eos_token_id]
        return {"input_ids": [*asked, *answer, *end], "labels": [*[IGNORED] * len(asked), *answer, *end]}

    return [row(next(found)) for _ in range(settings.steps * settings.batch_size)]


def tuned(config: Config, run: Run, folder: Path, start: Path | None, kind: str, code: str, copy: int) -> None:
    """Train the base (no start) or an expert (`task`, `language`, `joint`) into `folder/model`."""
    from core.models.loading import from_config, load
    from core.training.fit import fit, save_pretrained

    settings = {
        "base": config.pretraining, "task": config.task, "language": config.language_training,
        "joint": replace(config.task, steps=config.task.steps + config.language_training.steps),
    }[kind]  # fmt: skip
    seed = 10 * config.seed + copy
    rng = Random(f"{kind}-{code}-{seed}")
    found = {
        "base": lambda: of_base(config, rng), "task": lambda: of_task(config, rng),
        "language": lambda: of_language(config, rng, code), "joint": lambda: of_both(config, rng, code),
    }[kind]()  # fmt: skip
    if start is None:
        tokenizer: Any = tokenizer_for(config)
        model: Any = from_config(scratch_shape(len(tokenizer)), seed=config.seed)
    else:
        model, tokenizer = load(start, dtype="float32")
        freeze(model, config, kind)
    fit(model, rows(tokenizer, found, settings), settings, replace(run, path=folder / "training"), seed=seed, name=kind)
    save_pretrained(model, folder / "model", tokenizer)


def accuracy(model: Any, tokenizer: Any, found: Sequence[Item], longest: int) -> tuple[dict[str, float], list[str]]:
    """1 for each right answer, by the item's name; and what was answered."""
    from core.inference.generation import generate

    outputs = [text.strip() for text in generate(model, tokenizer, [i.prompt for i in found], max_new_tokens=longest)]
    return {i.id: float(i.answer == output) for i, output in zip(found, outputs, strict=True)}, outputs
