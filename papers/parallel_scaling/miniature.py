"""The tiny world: sums of numbers in words, which a small decoder can read in sixteen languages and hardly add.

"seven plus four =" is followed by one token, 11. The base has learnt to read every number below a hundred in all
sixteen languages and has seen sums in each, as long as it took to add in a given share of cases. Training teaches more
sums in up to eight languages, and nothing in the other eight. Reading is language, adding is reasoning, and what is
asked is whether the second travels.

Words are those of Unicode CLDR, so that a problem is the same in all languages. Each language has a word of its own for
"plus": one that is common to several would carry the sums to them. Problems are split by class, for all languages
together: 27 + 3, 3 + 27, 23 + 7 and 7 + 23 are one, since in many languages they are the same words.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.models.tokenization import train_bpe
from core.worlds.base import Item, split, trivial
from core.worlds.numbers import spelled
from papers.parallel_scaling.config import HIGH, Config, scratch_shape

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from core.experiment.run import Run

PLUS = MappingProxyType(
    {
        "en": "plus", "de": "zuzüglich", "zh": "加", "ru": "плюс", "tr": "artı", "es": "más", "id": "ditambah",
        "fr": "ajouté", "sw": "jumlisha", "ko": "더하기", "fi": "lisää", "ar": "زائد", "vi": "cộng", "pl": "dodać",
        "el": "συν", "hu": "meg",
    }
)  # fmt: skip
TRAINED = tuple(PLUS)[:8]
UNSEEN = tuple(PLUS)[8:]
LARGEST, CLASSES = 49, 100
"""The largest operand, and how many numbers there are to read and to answer."""
ENGLISH_SHOWN, ENGLISH_SHARE = 600, 0.55
"""Sums that an English-centric base sees in English, and the share of English among all that it sees."""
PROBE, PHASES = 200, 20
"""Sums by which the base is calibrated, and how many phases it may take."""
SHARES = {"train": 0.7, "dev": 0.1, "test": 0.2}
VOCABULARY = 1400


def order(config: Config) -> tuple[str, ...]:
    """Languages in the order in which they join: English, then the other seven as the seed has drawn them.

    Raises:
        UserError: A language that is named has no words, or is none of those that are trained.
    """
    if unknown := [code for code in config.languages if code not in TRAINED]:
        raise UserError(f"There is no training in {unknown[0]!r}: choose from {', '.join(TRAINED)}.")
    others = random.Random(f"order-{config.seed}").sample(TRAINED[1:], len(TRAINED) - 1)
    found = config.languages or (HIGH, *others)
    if found[0] != HIGH or len({*found}) < len(found):
        raise UserError(f"languages = {found}: name each once, {HIGH!r} as the first.")
    if config.ks[-1] > len(found):
        raise UserError(f"ks goes to {config.ks[-1]}, and there are {len(found)} languages to train on.")
    return found


def unseen(config: Config) -> tuple[str, ...]:
    """Languages that are never trained on.

    Raises:
        UserError: One has no words.
    """
    if unknown := [code for code in config.unseen if code not in PLUS]:
        raise UserError(f"There are no sums in {unknown[0]!r}: choose from {', '.join(UNSEEN)}.")
    if both := sorted({*config.unseen} & {*order(config)[: config.ks[-1]]}):
        raise UserError(f"unseen has {both[0]!r}, which is trained on: choose from {', '.join(UNSEEN)}.")
    return config.unseen or UNSEEN


def prompt(a: int, b: int, code: str) -> str:
    """A sum in words."""
    words = _words()[code]
    return f"{words[a]} {PLUS[code]} {words[b]} ="


@cache
def _words() -> Mapping[str, Mapping[int, str]]:
    return spelled(tuple(PLUS), range(CLASSES))


def class_of(a: int, b: int) -> str:
    """The same tens and ones, however they are dealt: 27 + 3, 3 + 27, 23 + 7 and 7 + 23 are one."""
    return "/".join("+".join(map(str, sorted(digits))) for digits in ((a // 10, b // 10), (a % 10, b % 10)))


@lru_cache(maxsize=4)
def parts(seed: int) -> dict[str, list[tuple[int, int]]]:
    """Pairs of numbers by part, in an order that the seed draws; a class is in one of them.

    Two tens or two ones have to be added: who only reads would be right about 7 + 0 and 30 + 7.
    """
    numbers = range(LARGEST + 1)
    pairs = [(a, b) for a in numbers for b in numbers if (a // 10) * (b // 10) or (a % 10) * (b % 10)]
    items = [Item(f"{a}+{b}", class_of(a, b), f"{a}+{b}", str(a + b), "") for a, b in pairs]
    found = {}
    for part, own in split(items, seed, SHARES).items():
        drawn = [(int(a), int(b)) for a, b in (item.id.split("+") for item in own)]
        random.Random(f"{part}-{seed}").shuffle(drawn)
        found[part] = drawn
    return found


def items(pairs: Sequence[tuple[int, int]], code: str) -> list[Item]:
    """Sums of a language as items of a world."""
    return [Item(f"{code}/{a}+{b}", class_of(a, b), prompt(a, b, code), str(a + b), code) for a, b in pairs]


def measured(config: Config) -> list[tuple[int, int]]:
    """Pairs of the part that is measured."""
    return parts(config.seed)[config.split][: config.items]


def solvers(config: Config) -> dict[str, float]:
    """Accuracy, as a mean over unseen languages, of solvers that know all sums of training in that very language."""
    train, test = parts(config.seed)["train"], measured(config)
    found = [trivial(items(train, code), items(test, code)) for code in unseen(config)]
    return {f"trivial_{name}": fmean(one[name] for one in found) for name in found[0]}


@cache
def tokenizer_for() -> PreTrainedTokenizerFast:
    """Pieces of words in sixteen languages, and a token for every answer."""
    texts = [text for code, words in _words().items() for text in (*words.values(), *[prompt(1, 2, code)] * 9)]
    return train_bpe(texts, VOCABULARY, special_tokens=[f"<{number}>" for number in range(CLASSES)])


def row(tokenizer: Any, text: str, answer: int) -> dict[str, Any]:
    """A prompt as tokens, and the token that answers it."""
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids]
    return {"input_ids": ids, "gold": tokenizer.convert_tokens_to_ids(f"<{answer}>")}


def sums(tokenizer: Any, pairs: Sequence[tuple[int, int]], code: str) -> list[dict[str, Any]]:
    """Rows of sums."""
    return [row(tokenizer, prompt(a, b, code), a + b) for a, b in pairs]


def readings(tokenizer: Any, code: str) -> list[dict[str, Any]]:
    """Rows that ask for a number that is written out."""
    return [row(tokenizer, f"{words} =", number) for number, words in _words()[code].items()]


def probe(config: Config) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of the training part that the base may see, and those by which it is calibrated, which share no class."""
    pairs = parts(config.seed)["train"]
    asked = pairs[-PROBE:]
    classes = {class_of(*pair) for pair in asked}
    return [pair for pair in pairs if class_of(*pair) not in classes], asked


def start_rows(config: Config, tokenizer: Any, phase: int = 0) -> list[dict[str, Any]]:
    """What the base reads: numbers in all languages, and sums, more than half of them in English or as many in each."""
    rng, pairs = random.Random(f"reader-{config.seed}-{phase}"), probe(config)[0]
    read = [one for code in PLUS for one in readings(tokenizer, code)]
    own = sums(tokenizer, pairs[: ENGLISH_SHOWN if config.english_centric else config.shown], HIGH)
    others = [one for code in PLUS if code != HIGH for one in sums(tokenizer, pairs[: config.shown], code)]
    english = config.sums * (ENGLISH_SHARE if config.english_centric else 1 / len(PLUS))
    shares = (1 - config.sums, english, config.sums - english)
    count = config.reading.steps * config.reading.batch_size
    return [rng.choice(pool) for pool in rng.choices((read, own, others), shares, k=count)]


def reader(config: Config, run: Run, folder: Path) -> None:
    """The base: a small decoder learns to read in all languages, and a few sums, until it adds as often as asked for.

    How well it adds after so many steps is luck of the seed. So it trains in phases, and is asked after each for sums
    that it never sees, in the languages in which nothing is trained later.

    Raises:
        UserError: It does not add in that share of cases after all phases.
    """
    from core.models.loading import from_config
    from core.training.fit import save_pretrained
    from papers.parallel_scaling.method import train

    tokenizer = tokenizer_for()
    model: Any = from_config(scratch_shape(len(tokenizer)), seed=config.seed)
    inner = replace(run, path=folder / "training")
    asked = [one for code in unseen(config) for one in sums(tokenizer, probe(config)[1], code)]
    found = 0.0
    for phase in range(PHASES):
        rows = start_rows(config, tokenizer, phase)
        train(model, rows, config.reading, inner, paradigm="sft", seed=config.seed, name=f"reading{phase}")
        found = fmean(answers(model, asked, config.temperature)[0])
        inner.log(phase=f"reading{phase}", adds=found)
        if found >= config.adds:
            save_pretrained(model, folder / "model", tokenizer)
            return
    raise UserError(
        f"The start adds in {found:.3f} of cases after {PHASES} phases, not in {config.adds:g}: lower adds, or raise "
        "reading.steps or sums."
    )


def answers(model: Any, rows: Sequence[Mapping[str, Any]], temperature: float) -> tuple[list[float], list[bool]]:
    """Probability of the right answer to each row when one is sampled at a temperature; whether it is the likeliest."""
    import numpy as np
    import torch

    from papers.parallel_scaling.method import answer_log_probs, collate

    model.eval()
    found: list[float] = []
    greedy: list[bool] = []
    with torch.inference_mode():
        for start in range(0, len(rows), 256):
            batch = collate(rows[start : start + 256], np.random.default_rng(0))
            log_probs = answer_log_probs(model, batch)
            found += (log_probs / temperature).softmax(-1).gather(1, batch["gold"][:, None])[:, 0].tolist()
            greedy += (log_probs.argmax(-1) == batch["gold"]).tolist()
    return found, greedy
