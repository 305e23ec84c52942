"""The tiny world: arithmetic in words that a small model masters in English and has to answer in another language.

The raw base has read every fact in English as a statement; stage 1 tunes it to answer English questions. The target
languages, two that the seed draws, are seen in the tuning records alone.
Facts are split by family (7 + 4, 4 + 7, 11 - 4 and 11 - 7 are one), so that no test item follows from a tuning record
by turning it round, and every seed draws families of its own.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.models.tokenization import completion_row, packed_row, word_level
from core.text.languages import name
from core.text.segment import is_unspaced
from core.worlds.base import Item, dealt, split, trivial
from core.worlds.numbers import ARITHMETIC_SOLVERS, QUESTIONS, arithmetic, statement
from papers.taco import method
from papers.taco.config import Config, scratch_shape

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

    from core.experiment.run import Run
    from papers.taco.method import Record, Row

# English name, as in the label -> code, of every language that has a question. Nepali and Persian are the paper's; CLDR
# spells no numbers in its other two.
LANGUAGES = {name(code): code for code in QUESTIONS if code != "en"}
# What seeds draw from: languages whose tokens are words. Unspaced ones are cut into characters, and half of Khmer's
# questions were not understood (development split).
POOL = [language for language, code in LANGUAGES.items() if not is_unspaced(code)]
# How many a seed draws, and how many seeds are drawn together.
DRAWN, DISJOINT = 2, 6
# Families by part. What is left of `tuning` is not used, so that all sizes of tuning sets have one test.
SHARES = {"tuning": 0.62, "dev": 0.13, "test": 0.25}
# English facts in one row: in the chain the skill is needed in the middle of a text.
PACKED = 6


def targets(config: Config) -> tuple[str, ...]:
    """The languages that are named or else drawn: seeds 6n to 6n + 5 share none, so each is a sample of its own.

    Raises:
        UserError: A language that is named has no question.
    """
    if not config.base and (unknown := [one for one in config.languages if one not in LANGUAGES]):
        raise UserError(f"There is no arithmetic in {unknown[0]!r}: choose from {', '.join(LANGUAGES)}.")
    return config.languages or dealt(POOL, DRAWN, config.seed, DISJOINT)


def _facts(code: str, config: Config) -> dict[str, Item]:
    """Items of a language by what they ask, which is the same in all languages."""
    return {item.id.partition("/")[2]: item for item in arithmetic((code,), config.largest)}


def records(language: str, config: Config) -> dict[str, list[Record]]:
    """Records of one language by part: `tuning`, `dev` and `test`."""
    english, target = _facts("en", config), _facts(LANGUAGES[language], config)
    found: dict[str, Record] = {}
    for fact, item in target.items():
        prompt = {"id": fact, "instruction": item.prompt, "input": ""}
        parts = {"instruction_en": english[fact].prompt, "response_en": english[fact].answer}
        found[item.id] = {**prompt, **parts, "response_xx": item.answer, "language": language}
    drawn = split(target.values(), config.seed, SHARES)
    return {part: [found[item.id] for item in items] for part, items in drawn.items()}


def solvers(language: str, config: Config, *parts: Sequence[Record]) -> dict[str, float]:
    """Accuracy of solvers that know nothing, from tuning records on those that are measured."""
    items = _facts(LANGUAGES[language], config)
    train, test = ([items[record["id"]] for record in part] for part in parts)
    return trivial(train, test, ARITHMETIC_SOLVERS)


def tokenizer_for(config: Config) -> PreTrainedTokenizerFast:
    """One token a word of English and the target languages, and one a label of the chain."""
    from tokenizers import AddedToken

    words, languages = ["Question:", "Answer:"], targets(config)
    for item in arithmetic(("en", *(LANGUAGES[language] for language in languages)), config.largest):
        words += f"{item.prompt} {item.answer}".split()
        words += statement(item).split() if item.language == "en" else []
    tokenizer = word_level(words)
    found = dict.fromkeys(label for language in languages for label in method.labels(language))
    # Not "special" tokens: those are left out when generated text is decoded, and the labels are what is parsed.
    tokenizer.add_tokens([AddedToken(label, special=False, normalized=False) for label in found])
    return tokenizer


def english_rows(
    tokenizer: PreTrainedTokenizerBase, config: Config, count: int, seed: str, *, asked: bool
) -> list[Row]:
    """English rows of random facts: asked, with the loss on the answers, or told as statements."""

    @cache  # a fact is cut into tokens once, however often it is drawn
    def turn(item: Item) -> Row:
        prompt = method.render_prompt(config.template, item.prompt) if asked else ""
        return completion_row(tokenizer, prompt, item.answer if asked else statement(item), bos=False)

    items, rng = arithmetic(("en",), config.largest), random.Random(seed)
    return [packed_row(tokenizer, [turn(rng.choice(items)) for _ in range(PACKED)]) for _ in range(count)]


def english_model(base: Path | None, config: Config, run: Run, folder: Path) -> None:
    """Stage 1: the raw base tuned to answer English questions. Without a base the raw base itself: a small decoder that
    has read the facts in English as statements, pre-training in miniature."""
    from core.models.loading import from_config, load
    from core.training.fit import fit, save_pretrained

    if base is None:
        tokenizer: Any = tokenizer_for(config)
        model: Any = from_config(scratch_shape(len(tokenizer)), seed=config.seed)
        settings, seed = config.english, f"told-{config.seed}"
    else:
        model, tokenizer = load(base, dtype="float32")
        settings, seed = config.instructions, f"asked-{config.seed}"
    rows = english_rows(tokenizer, config, 4096, seed, asked=base is not None)
    fit(model, rows, settings, replace(run, path=folder / "training"), seed=config.seed, name="english")
    save_pretrained(model, folder / "model", tokenizer)
