"""The task side of the correlation: what a model gets right in each language, by log-likelihood.

`words` is the miniature task: which of four English words does a word mean? Its words are names of days, months,
units, countries, languages and numbers (Unicode CLDR), and only those count whose romanised form does not look like the
English word, so that knowing the alphabet is not enough. Belebele, m-MMLU and m-ARC are the paper's, 5-shot, in the
prompts of lm-evaluation-harness.

    answer(model, tokenizer, word_items("fr"), by="prior")      # core.tasks.choices; {concept: 1.0 or 0.0}
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from core import corpora
from core.errors import UserError
from core.tasks.choices import Question, exam
from core.text import languages
from core.text.distance import look_alike
from core.worlds import names
from core.worlds.base import Item
from papers.mexa.data import canonical

if TYPE_CHECKING:
    from papers.mexa.config import Config

# Kinds of CLDR names, as the task tells them apart: distractors and turns are of one kind.
KINDS = {
    "territory": "place",
    "region": "place",
    "language": "language",
    "unit": "unit",
    "month": "month",
    "weekday": "weekday",
}
NUMBERS = (*range(21), *range(30, 100, 10), 100, 1000)
OPTIONS = 4
FRAME = "In {language}, the word “{word}” means"


def task_languages(config: Config, corpus_languages: Sequence[str]) -> dict[str, str]:
    """`{language of the corpus: the task's code}` of the languages that both have."""
    if config.task == "words":
        return {code: code for code in corpus_languages}
    codes = {canonical(code): code for code in _task_codes(config)}
    return {code: codes[canonical(code)] for code in corpus_languages if canonical(code) in codes}


def _task_codes(config: Config) -> Sequence[str]:
    """The languages of one of the paper's tasks, as the task spells them."""
    if config.hub_folder:
        return sorted(path.stem for path in Path(config.hub_folder, config.task, "test").glob("*.jsonl"))
    if config.task != "belebele":
        return corpora.languages(config.task)
    from datasets import get_dataset_config_names

    try:
        return get_dataset_config_names("facebook/belebele")
    except Exception as error:
        raise UserError(
            f"Cannot list the languages of facebook/belebele ({type(error).__name__}): connect to the network (and "
            "unset HF_HUB_OFFLINE), or give copies with --hub-folder."
        ) from error


def task_items(config: Config, code: str) -> list[Question]:
    """The questions that a run may ask about a language.

    Of `words` half as many again as it does ask, so that seeds differ in their sample and share the model's answers.
    """
    if config.task == "words":
        return word_items(code, shots=config.shots)[: config.items and config.items * 3 // 2]
    folder = config.hub_folder and Path(config.hub_folder) / config.task
    return exam(config.task, code, shots=config.shots, limit=config.items, folder=folder or None)


# --- words --------------------------------------------------------------------------------------------------------


def word_items(language: str, *, split: Literal["dev", "test"] = "test", shots: int = 5) -> list[Question]:
    """Questions about one language: the commonest words first, and of every kind in turn.

    Args:
        language: BCP-47 code.
        split: Concepts are divided by a hash of their key, the same in all languages. Everything about the task was
            chosen on `dev`, where the examples in the prompt come from as well.
        shots: Examples before the question.

    Raises:
        UserError: the language has too few names.
    """
    concepts = _concepts(language)
    usable = [concept for concept in concepts if not look_alike(concept.prompt, concept.answer)]
    dev = _in_turn([concept for concept in usable if _is_dev(_key(concept))])
    asked = dev[shots:] if split == "dev" else _in_turn([concept for concept in usable if not _is_dev(_key(concept))])
    if len(dev) < shots or not asked:
        raise UserError(
            f"Too few names of {language!r} differ from English ones for the task `words`: use --task none."
        )
    name = languages.name(language)
    frame = lambda word: FRAME.format(language=name, word=word)  # noqa: E731
    examples = "".join(f"{frame(concept.prompt)} {concept.answer}.\n" for concept in dev[:shots])
    items, by_kind = [], _by_kind(concepts)
    for concept in asked:
        options = _options(concept, by_kind[_kind(concept)])
        items.append(
            Question(
                id=_key(concept),
                context=examples + frame(concept.prompt),
                choices=tuple(f" {option}" for option in options),
                answer=options.index(concept.answer),
                prior=examples + frame(""),
            )
        )
    return items


@cache
def _concepts(language: str) -> tuple[Item, ...]:
    """Names and number words with an English name of one or two words, the commonest first."""
    from wordfreq import zipf_frequency

    base = language.split("-")[0]
    numbers = corpora.load("numbers", languages=[base], values=NUMBERS) if base in corpora.languages("numbers") else ()
    spelled = [Item(f"{language}/number/{r['key']}", f"number/{r['key']}", r[base], r["en"], language) for r in numbers]
    plain = [item for item in spelled if len(item.answer.split()) <= 2 and len(item.prompt.split()) <= 3]
    found = [*names.translations([language], kinds=list(KINDS), answer_words=2, ambiguous=True), *plain]
    return tuple(sorted(found, key=lambda item: (-zipf_frequency(item.answer, "en"), _key(item))))


def _key(concept: Item) -> str:
    return concept.id.partition("/")[2]


def _kind(concept: Item) -> str:
    kind = _key(concept).partition("/")[0]
    return KINDS.get(kind, kind)


def _by_kind(concepts: Sequence[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for concept in concepts:
        found.setdefault(_kind(concept), []).append(concept)
    return found


def _in_turn(concepts: Sequence[Item]) -> list[Item]:
    """One concept of each kind, then the next of each, so that all languages are asked the same mix."""
    by_kind = _by_kind(concepts)
    return [
        concept for turn in zip_longest(*(by_kind[kind] for kind in sorted(by_kind))) for concept in turn if concept
    ]


def _options(concept: Item, same_kind: Sequence[Item]) -> list[str]:
    """The right answer among distractors of the same kind that are not also names of the word."""
    others = sorted({c.answer for c in same_kind if c.prompt != concept.prompt})
    others = [english for english in others if english.lower() != concept.answer.lower()]
    rng = np.random.default_rng(_hash(_key(concept)))
    options = [concept.answer, *(others[i] for i in rng.permutation(len(others))[: OPTIONS - 1])]
    return [options[i] for i in rng.permutation(len(options))]


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())


def _is_dev(key: str) -> bool:
    return _hash(key) % 3 == 0
