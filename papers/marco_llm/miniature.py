"""The tiny world: interface messages and number words in eight languages, four old and four that the seed draws.

The base model has read messages in English, German, French and Spanish, and translates number words among three of
these: it stands for a model that is good at some languages and knows no others. What is continued is measured in bits
per byte on held-out messages; translation on held-out numbers, which a model of this size can learn. Parallel
text pairs English with two of the new languages; between new ones no pair is ever seen.

Held-out messages share no equivalence class with training in any language. Messages and numbers that earlier versions
of this page have asked for are development items; those of the test are drawn by the seed from all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import chain, combinations, permutations
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from core import corpora
from core.corpora import filtering
from core.experiment.config import to_dict
from core.text.languages import name as language_name
from core.training.documents import Body, mixed_rows
from core.worlds import messages, numbers
from core.worlds.base import Part, dealt
from papers.marco_llm.bitext import Pair, prepared, render_parallel, rendered
from papers.marco_llm.config import Config, llama_shape

if TYPE_CHECKING:
    from core.experiment.run import Run

# Old languages besides English, and those of them whose numbers the base translates.
OLD, TRANSLATED = ("de", "fr", "es"), ("fr", "es")
# New languages: with at least 390 messages, and numbers in at most fifty different words with spaces between them.
_POOL = "af ar bg ca cs el eo et fa ga he id ja ky lt lv pl ro ru sl sq tr uk vi"
POOL = tuple(_POOL.split())
# How many a seed draws, how many of them have parallel text, and how many seeds are drawn together.
NEW, PAIRED = 4, 2
DISJOINT = len(POOL) // NEW
# Numbers below one hundred are a tenth of all and hold the words of all others, so they come more often.
SMALL, SMALL_TIMES = 100, 5
# Texts made of each pair, and what the base reads.
RENDERINGS = 4
BASE_SHARES = {"english": 0.16, "other_high": 0.24, "knowledge": 0.6}


def new_languages(config: Config) -> tuple[str, ...]:
    """Those that the seed draws; seeds 6n to 6n + 5 share none."""
    return dealt(POOL, NEW, config.seed, DISJOINT)


def languages(config: Config) -> tuple[str, ...]:
    """Old languages, English first, then the new ones."""
    return ("en", *OLD, *new_languages(config))


@cache
def _seen() -> frozenset[str]:
    """Messages that were held out in earlier versions."""
    others = ("de", "fr", "es", "tr", "id", "hu", "vi", "fi", "lt")
    rows = corpora.load("django", languages=others, max_chars=160, placeholders=True)
    return frozenset(messages.skeleton(text) for text in rows["en"][:140])


@cache
def _texts(codes: tuple[str, ...], size: int, seed: int) -> dict[str, dict[str, list[str]]]:
    return messages.texts(codes, size, seed, dev=_seen())


def text(config: Config, part: Part) -> dict[str, list[str]]:
    """Messages of a part by language, held-out ones aligned."""
    return _texts(languages(config), config.held_out, config.seed)[part]


def paired(config: Config) -> tuple[str, ...]:
    """The new languages whose numbers are paired with English."""
    return new_languages(config)[:PAIRED]


def words(config: Config) -> dict[str, dict[int, str]]:
    """`{language: {number: its words}}` of all languages with parallel text."""
    return numbers.spelled(("en", *TRANSLATED, *paired(config)), range(config.numbers))


def split_numbers(config: Config) -> dict[str, list[int]]:
    """Numbers of both splits, drawn by the seed, and the others to train on."""
    order, drawn = list(range(1000)), {}
    Random(0).shuffle(order)  # the first two hundred were held out in earlier versions
    for part, values in (("dev", order[:200]), ("test", order[200:])):
        known = [value for value in values if 0 < value < config.numbers]  # zero's word stands in no other number
        drawn[part] = Random(f"{part}-{config.seed}").sample(known, min(len(known), config.translation_items))
    held = {*drawn["dev"], *drawn["test"]}
    return {**drawn, "train": [value for value in range(config.numbers) if value not in held]}


def translation_rows(config: Config) -> list[dict[str, str]]:
    """Held-out numbers in all languages with parallel text."""
    table = words(config)
    return [
        {code: column[value] for code, column in table.items()} | {"key": str(value)}
        for value in split_numbers(config)[config.split]
    ]


def directions(config: Config) -> list[tuple[str, str]]:
    """English with new languages, new ones among each other, and the old ones among each other."""
    return [*permutations(("en", *paired(config)), 2), *permutations(("en", *TRANSLATED), 2)]


def _trained(config: Config) -> dict[str, list[str]]:
    """The numbers to train on in all languages with parallel text."""
    train = split_numbers(config)["train"]
    return {code: [column[value] for value in train] for code, column in words(config).items()}


def _pairs(config: Config, source: str, target: str) -> list[Pair]:
    table = _trained(config)
    return list(zip(table[source], table[target], strict=True))


def _number_texts(config: Config, source: str, target: str, pairs: Sequence[Pair]) -> list[str]:
    column = words(config)[source]
    small = {column[value] for value in range(SMALL)}
    often = [pair for pair in pairs for _ in range(SMALL_TIMES if pair[0] in small else 1)]
    return rendered(often, (source, target), config, RENDERINGS)


def _bodies(config: Config) -> list[Body]:
    """Messages of all languages, and number words among the old ones, which the base learns to translate."""
    category = {"en": "english", **dict.fromkeys(OLD, "other_high"), **dict.fromkeys(new_languages(config), "low")}
    found = [Body(code, category[code], partial(list, lines)) for code, lines in text(config, "train").items()]
    for source, target in combinations(("en", *TRANSLATED), 2):
        texts = _number_texts(config, source, target, _pairs(config, source, target))
        found.append(Body(f"{source}-{target}", "knowledge", partial(list, texts)))
    return found


def material(config: Config) -> tuple[list[Body], dict[str, dict[str, int]]]:
    """All that there is to read, with number words of English and new languages; what the filter rejected, by pair."""
    identify = filtering.identifier(_trained(config)) if config.parallel == "filtered" else None
    bodies, rejected = _bodies(config), dict[str, dict[str, int]]()
    for code in paired(config):
        pairs, rejected[f"en-{code}"] = prepared(_pairs(config, "en", code), ("en", code), config, identify)
        texts = _number_texts(config, "en", code, pairs)
        bodies.append(Body(f"en-{code}", "parallel", partial(list, texts)))
    return bodies, rejected


def base(config: Config, run: Run) -> str:
    """The base model, which all variants of a seed share: tokenizer of all languages, model of the old ones."""
    from core.models import loading
    from core.models.tokenization import train_bpe
    from core.training.fit import fit, save_pretrained

    def build(folder: Path) -> None:
        # A real base's tokenizer knows every language, the number words and the wording of the templates.
        texts = list(chain(*text(config, "train").values(), *_trained(config).values()))
        for code in languages(config)[1:]:
            texts += render_parallel([("", "")] * 40, "English", language_name(code))
        tokenizer = train_bpe(texts, config.vocabulary)
        model = loading.from_config(llama_shape(config, len(tokenizer)), seed=config.seed)
        tokens = config.base.steps * config.base.batch_size * config.base.max_length
        rows = mixed_rows(_bodies(config), tokenizer, BASE_SHARES, tokens, config.seed)
        fit(model, rows, config.base, run, seed=config.seed, name="base")
        save_pretrained(model, folder, tokenizer)

    names = ("seed", "vocabulary", "width", "held_out", "numbers", "translation_items", "base")
    inputs = {name: value for name, value in to_dict(config).items() if name in names}
    return str(run.stage("base", {**inputs, "languages": languages(config)}, build))
