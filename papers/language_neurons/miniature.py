"""Two tiny worlds: messages that SmolLM2 reads, and sums that a calculator trained here says in its languages.

*Messages.* Interface messages of Django in parallel, as text after the begin token: some to identify neurons from,
others, of other classes, on which is measured what switching them off does. Names of emoji are the other domain.

*Sums.* "ishirini jumlisha nane ni ngapi ?" -> "ishirini 2 0 + nane 8 = 2 8 : ishirini na nane": a chain of thought that
is mostly in the language and ends with a number in its words. Digits are what languages share. The calculator has
seen all sums in English, in other languages those that are neither asked for feedback nor tested, and is stopped before
it is perfect. The translation model has seen chains of all languages, right and wrong ones, with their English
counterparts, and so is surer of an English chain behind one that says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.models.tokenization import completion_row, word_level
from core.worlds.base import Item, split
from core.worlds.numbers import QUESTIONS, spelled
from papers.language_neurons.config import CALCULATOR, Config, calculator_shape

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

    from core.experiment.run import Run
    from core.models.loading import Loaded
    from papers.language_neurons.data import Texts
    from papers.language_neurons.method import CrossEntropy

# Of SmolLM2: those in which it costs fewer bits than letters do.
READ = ("en", "fr", "de", "ru", "ar", "ja")
SPOKEN = ("en", "sw", "tr", "vi", "et", "cy", "is")
ENGLISH = "en"
# Share of English among the sums that are read; the other languages have the rest.
ENGLISH_SHARE = 0.5
LARGEST = 29
EVERY = [(a, b) for a in range(LARGEST + 1) for b in range(LARGEST + 1)]
# Of the sums: feedback is asked for some, others are tested or for development; the rest is read in all languages.
PARTS = {"asked": 0.25, "test": 0.15, "dev": 0.15}
# For each message two names of emoji, the other domain, and three sums that are tested: they are shorter.
NAMES, SUMS = 2, 3
SIGN = "=>"  # between a chain and its translation
# With fewer steps no answer is right, and the pairs are of what is wanted (the smoke run).
LEARNT = 50


def languages(config: Config) -> tuple[str, ...]:
    """The languages of a miniature; those that the calculator does not speak are refused."""
    if config.name != CALCULATOR:
        return config.languages or READ
    if unknown := [code for code in (*config.languages, *config.aligned) if code not in SPOKEN]:
        raise UserError(f"The calculator does not speak {unknown[0]!r}: it has {', '.join(SPOKEN)}.")
    return config.languages or SPOKEN


def messages(config: Config) -> tuple[dict[str, Texts], dict[str, Texts]]:
    """Texts to identify from, and others to measure on, the same messages in every language."""
    from core.worlds.messages import aligned

    codes, tested = languages(config), config.tested
    others = [code for code in codes if code != ENGLISH]
    found = aligned(others, config.split, config.texts + tested, config.seed, min_words=4, distinct=True)
    plain = {code: [("", text) for text in found[code].values()] for code in codes}
    return {code: own[tested:] for code, own in plain.items()}, {code: own[:tested] for code, own in plain.items()}


def other_domain(config: Config) -> dict[str, Texts]:
    """Texts of another kind: names of emoji; the calculator's questions."""
    from core.worlds.concepts import held_out, names

    if config.name == CALCULATOR:
        asked = drawn("asked", NAMES * config.texts, config, languages(config), "domain")
        return {code: [("", one.prompt) for one in own] for code, own in asked.items()}
    keys = held_out(config.split, NAMES * config.texts, config.seed)
    return {code: [("", names()[key][code]) for key in keys] for code in languages(config)}


# --- sums -------------------------------------------------------------------------------------------------------------


@cache
def words() -> dict[str, dict[int, str]]:
    """`{language: {number: its words}}`."""
    return spelled(SPOKEN, range(2 * LARGEST + 1))


def chain(code: str, a: int, b: int, total: int | None = None, ending: int | None = None) -> str:
    """What the calculator has to say; or a chain that arrives at another total, or ends with another number."""
    total = a + b if total is None else total
    own, (first, second, third) = words()[code], (" ".join(str(n)) for n in (a, b, total))
    return f"{own[a]} {first} + {own[b]} {second} = {third} : {own[total if ending is None else ending]}"


def question(code: str, a: int, b: int) -> str:
    """A sum that is asked for."""
    return QUESTIONS[code][0].format(a=words()[code][a], b=words()[code][b])


def item(code: str, a: int, b: int) -> Item:
    """A sum; both orders are one class."""
    low, high = sorted((a, b))
    return Item(f"{code}/{low}-{high}/{a}+{b}", f"{low}-{high}", question(code, a, b), chain(code, a, b), code)


@cache
def sums(seed: int) -> dict[str, list[tuple[int, int]]]:
    """Sums by part; `read` are those of no other part."""
    items = {item(ENGLISH, *pair): pair for pair in EVERY}
    found = {name: [items[one] for one in own] for name, own in split(items, seed, PARTS).items()}
    held = {pair for own in found.values() for pair in own}
    return {**found, "read": [pair for pair in EVERY if pair not in held]}


def drawn(part: str, count: int, config: Config, codes: Sequence[str], salt: str) -> dict[str, list[Item]]:
    """Sums of a part, the same in every language."""
    pool = sums(config.seed)[part]
    pairs = Random(f"{salt}-{config.seed}").sample(pool, min(count, len(pool)))
    return {code: [item(code, *pair) for pair in pairs] for code in codes}


def tested(config: Config) -> dict[str, list[Item]]:
    """The sums that are tested, in the miniature all there are of the split."""
    return drawn(config.split, SUMS * config.texts, config, languages(config), "tested")


def tokenizer_for() -> PreTrainedTokenizerFast:
    """One token a word."""
    vocabulary = [*"0123456789+=:", SIGN]
    for code in SPOKEN:
        vocabulary += [*question(code, 1, 2).split(), *" ".join(words()[code].values()).split()]
    return word_level(vocabulary)


def calculator(config: Config, run: Run, folder: Path) -> None:
    """Train it on questions and chains: all sums in English, of the other languages those of no other part."""
    rng, known = Random(f"read-{config.seed}"), sums(config.seed)
    every = [pair for own in known.values() for pair in own]
    others = [code for code in languages(config) if code != ENGLISH]
    pairs = []
    for _ in range(config.sft.steps * config.sft.batch_size):
        english = rng.random() < ENGLISH_SHARE
        code, pool = (ENGLISH, every) if english else (rng.choice(others), known["read"])
        a, b = rng.choice(pool)
        pairs.append((question(code, a, b), chain(code, a, b)))
    _train(pairs, config, run, folder, "calculator")


def translator(config: Config, run: Run, folder: Path) -> None:
    """Train the translation model, the same for all seeds: chains and their English counterparts."""
    config, rng = replace(config, seed=0), Random("translator")
    pairs = []
    for _ in range(config.sft.steps * config.sft.batch_size):
        (code, (a, b)), total = (rng.choice(SPOKEN), rng.choice(EVERY)), rng.randint(0, 2 * LARGEST)
        # It translates what is said, right or wrong.
        total = a + b if rng.random() < 0.5 else total
        ending = total if rng.random() < 0.7 else rng.randint(0, 2 * LARGEST)
        pairs.append((f"{chain(code, a, b, total, ending)} {SIGN}", chain(ENGLISH, a, b, total, ending)))
    _train(pairs, config, run, folder, "translator")


def _train(pairs: Sequence[tuple[str, str]], config: Config, run: Run, folder: Path, name: str) -> None:
    from core.models.loading import from_config
    from core.training.fit import fit, save_pretrained

    tokenizer = tokenizer_for()
    model: Any = from_config(calculator_shape(len(tokenizer)), seed=config.seed)
    made = {pair: completion_row(tokenizer, *pair) for pair in dict.fromkeys(pairs)}
    rows = [made[pair] for pair in pairs]
    fit(model, rows, config.sft, replace(run, path=folder / "training"), seed=config.seed, name=name)
    save_pretrained(model, folder / "model", tokenizer)


def feedback(loaded: Loaded, translate: CrossEntropy, config: Config) -> list[dict[str, str]]:
    """Pairs of answers of the calculator in the aligned languages."""
    from core.tasks.mathematics import Question
    from papers.language_neurons import data

    codes = [code for code in config.aligned if code in languages(config)]
    sampled = drawn("asked", config.asked, config, (*codes, ENGLISH), "asked")
    asked = {
        code: [Question(one.id.partition("/")[2], one.prompt, one.answer) for one in own]
        for code, own in sampled.items()
    }
    pairs = data.feedback(
        loaded, asked, codes, right=lambda text, answer: number(text) == number(answer), surprise=lambda _: translate,
        frame=lambda text, _: text, samples=config.samples, max_new_tokens=config.max_new_tokens, seed=config.seed,
    )  # fmt: skip
    if not pairs and config.sft.steps >= LEARNT:
        raise UserError("No answer of the calculator in the aligned languages is right: train it for more steps.")
    return pairs or [
        {"prompt": one.question, "chosen": one.answer, "rejected": other.answer, "language": code}
        for code in codes
        for one, other in pairwise(asked[code])
    ]


def ending(text: str) -> str:
    """The words that a chain ends with; what is no chain has none."""
    return text.rpartition(":")[2].strip() if ":" in text else ""


def number(text: str) -> int | None:
    """The number that a chain ends with, in words of any language."""
    return values().get(ending(text))


@cache
def values() -> dict[str, int]:
    """`{words of any language: number}`."""
    return {word: value for own in words().values() for value, word in own.items()}


def solvers(asked: Mapping[str, Sequence[Item]], config: Config) -> dict[str, float]:
    """Right answers of solvers that know nothing but what is read in the language."""
    from core.worlds.base import trivial

    codes = [code for code in asked if code != ENGLISH]
    train = [item(code, *pair) for code in codes for pair in sums(config.seed)["read"]]
    return trivial(train, [one for code in codes for one in asked[code]])
