"""The tiny world: two steps of arithmetic in words, mastered in English and met in other languages.

The base (stage 1) has learnt English problems with their chains of thought. Tuning sees English problems without end,
and of each of the languages that the seed draws twenty questions, the same in all. Everybody who needs one has a
lexicon of three in four words of the questions, so that any English problem can be code-switched. Problems are split by
class (7 + 4 - 3 = 8, 4 - 3 + 7 = 8 and 8 + 3 - 7 = 4 are one): those of development and test are in no training, in no
language.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.models.tokenization import completion_row, packed_row, word_level
from core.text.codeswitch import CodeSwitcher
from core.text.languages import name
from core.worlds import chains
from core.worlds.base import dealt, split, trivial
from papers.xcot.config import HIGH, Config, scratch_shape
from papers.xcot.method import SOLUTION, Example, ask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from core.experiment.run import Run

POOL = [code for code in chains.THEN if code != HIGH]
# Languages that a seed draws, and seeds that are drawn together and share none.
DRAWN, DISJOINT = 3, 6
LARGEST, MOST = 9, 18
SHARES = {"tuning": 0.8, "dev": 0.1, "test": 0.1}
# English problems in one row of stage 1, and the share of single steps among them.
PACKED, STEPS = 3, 0.25
ANSWER = "The answer is"


def targets(config: Config) -> tuple[str, ...]:
    """The languages that are named or else drawn: seeds 6n to 6n + 5 share none, so each is a sample of its own.

    Raises:
        UserError: A language that is named has no words for the problems.
    """
    if not config.base and (unknown := [code for code in config.languages if code not in POOL]):
        raise UserError(f"There are no problems in {unknown[0]!r}: choose from {', '.join(POOL)}.")
    return config.languages or dealt(POOL, DRAWN, config.seed, DISJOINT)


@lru_cache(maxsize=4)
def parts(seed: int) -> dict[str, list[chains.Problem]]:
    """Problems by part, in an order that the seed draws."""
    every = chains.problems(LARGEST, MOST)
    drawn = split(chains.items(every, HIGH), seed, SHARES)
    by_id = {one.id: one for one in every}
    found = {part: [by_id[item.id.rpartition("/")[2]] for item in items] for part, items in drawn.items()}
    for part, own in found.items():
        random.Random(f"{part}-{seed}").shuffle(own)
    return found


def example(problem: chains.Problem, codes: Sequence[str], known: Mapping[str, Mapping[str, str]]) -> Example:
    """A problem in some languages, and the units of its English question whose words are known in others."""
    return Example(
        problem.id,
        {code: chains.question(problem, code) for code in codes},
        {code: f"{chains.chain(problem, code)} {ANSWER} {problem.result}" for code in codes},
        {
            code: [unit for unit in chains.units(code, problem) if unit.translation in own]
            for code, own in known.items()
        },
    )


def steps(known: Mapping[str, Mapping[str, str]]) -> list[Example]:
    """Single steps in English, so that those which are in few problems are known, and not forgotten; with units."""
    switchers = {code: CodeSwitcher({here: there for there, here in own.items()}) for code, own in known.items()}
    return [
        Example(
            asked,
            {HIGH: asked},
            {HIGH: f"{chain} {ANSWER} {result}"},
            {code: switcher.units(asked) for code, switcher in switchers.items()},
        )
        for asked, chain, result in chains.facts(HIGH, LARGEST, MOST)
    ]


def lexicon(config: Config, code: str) -> dict[str, str]:
    """What is known of a language's words: those that the seed draws, and what they are in English."""
    words = sorted((there, here) for here, there in chains.lexicon(code, LARGEST).items())
    return dict(random.Random(f"{code}-{config.seed}").sample(words, round(config.coverage * len(words))))


def pool(config: Config) -> dict[str, list[Example]]:
    """What tuning draws from: English problems and steps, and the questions of each other language."""
    others, tuning = targets(config), parts(config.seed)["tuning"]
    words = {code: lexicon(config, code) for code in others}
    translated = [example(one, (HIGH, *others), words) for one in tuning[: config.questions or None]]
    english = [*(example(one, (HIGH,), words) for one in tuning), *steps(words)]
    return {HIGH: english, **dict.fromkeys(others, translated)}


def measured(config: Config) -> list[Example]:
    """Problems of the part that is measured, in all languages."""
    return [example(one, (HIGH, *targets(config)), {}) for one in parts(config.seed)[config.split][: config.items]]


def solvers(config: Config) -> dict[str, float]:
    """Accuracy of solvers that know nothing, from the questions of tuning, as means over languages."""
    drawn = parts(config.seed)
    train, test = drawn["tuning"][: config.questions or None], drawn[config.split][: config.items]
    both = [(chains.items(train, code), chains.items(test, code)) for code in targets(config)]
    found = [trivial(own, asked, chains.CHAIN_SOLVERS) for own, asked in both]
    return {solver: fmean(one[solver] for one in found) for solver in found[0]}


def tokenizer_for(config: Config) -> PreTrainedTokenizerFast:
    """One token a word of English and the languages of the seed, one a number in digits, one a label."""
    from tokenizers import AddedToken

    words = ["Question:", "Answer:", SOLUTION, *map(str, range(MOST + 1))]
    problems = [chains.Problem(0, first, 0, "plus", 0) for first in chains.SIGNS]
    for code in (HIGH, *targets(config)):
        numbers = chains.spelled([code], range(MOST + 1))[code].values()
        texts = (f"{chains.question(one, code)} {chains.chain(one, code)}" for one in problems)
        words += " ".join([*numbers, *texts]).split()
    tokenizer = word_level(words)
    # Not "special" tokens: those are left out when generated text is decoded.
    labels = [ANSWER, *(f"In {name(code)}:" for code in (HIGH, *targets(config)))]
    tokenizer.add_tokens([AddedToken(label, special=False, normalized=False) for label in labels])
    return tokenizer


def english_rows(tokenizer: Any, config: Config, count: int) -> list[dict[str, list[int]]]:
    """Rows of random English problems of the tuning part, and of single steps, with the loss on their answers."""
    rng = random.Random(f"english-{config.seed}")
    problems, single = [example(one, (HIGH,), {}) for one in parts(config.seed)["tuning"]], steps({})

    @cache  # a text is cut into tokens once, however often it is drawn
    def turn(question: str, answer: str) -> dict[str, list[int]]:
        return completion_row(tokenizer, ask(question), f" {answer}", bos=False)

    drawn = [rng.choice(single if rng.random() < STEPS else problems) for _ in range(PACKED * count)]
    return [
        packed_row(tokenizer, [turn(one.questions[HIGH], one.answers[HIGH]) for one in drawn[place : place + PACKED]])
        for place in range(0, len(drawn), PACKED)
    ]


def english_model(config: Config, run: Run, folder: Path) -> None:
    """Stage 1: a small decoder learns English problems."""
    from core.models.loading import from_config
    from core.training.fit import fit, save_pretrained

    tokenizer = tokenizer_for(config)
    model: Any = from_config(scratch_shape(len(tokenizer)), seed=config.seed)
    rows = english_rows(tokenizer, config, 4096)
    fit(model, rows, config.english, replace(run, path=folder / "training"), seed=config.seed, name="english")
    save_pretrained(model, folder / "model", tokenizer)
