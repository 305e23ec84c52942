"""The tiny world: numbers below ten thousand, spelled out in English, the pivot, and in languages that the seed draws.

A multi-way corpus of real language with right and wrong answers. The base model has read bilingual pairs, most of them
into English, so that it reads every language and writes it poorly: where the paper's base models stand with weak
languages. Numbers for base training, fine-tuning, development, test and the disjoint control do not meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from core import corpora
from core.corpora.names import number_languages
from core.experiment.config import name_values, to_dict
from papers.lmt import method
from papers.lmt.config import Config, scratch_shape
from papers.lmt.languages import AUXILIARY
from papers.lmt.method import Example

if TYPE_CHECKING:
    from core.experiment.run import Run
    from papers.lmt.data import Corpus

# Left out of the draw: languages that spell as another does (Malay as Indonesian, Japanese and Cantonese as Chinese).
_COPIES = {"bs", "ja", "lrc", "ms", "nn", "sr", "yue"}
_LARGEST = 10_000
_HELD_OUT = 150  # numbers for development, and as many for test
_BASE_ITEMS = 600  # numbers that the base has read in each language
_FORWARD = 0.15  # share of its pairs out of English; more, and it writes well (Qwen3-4B: En->X 56.8, X->En 75.4)
# Share of a language's pairs that involve its auxiliary: half translate into it, half show it beside the source. A
# language model has met both; without them it can neither draft nor read a parallel prompt.
_RELATED = 0.5


def languages(config: Config) -> tuple[str, ...]:
    """The languages that are named, or else as many as asked for, drawn by the seed."""
    pool = sorted(code for code in number_languages() if "-" not in code and code != "en" and code not in _COPIES)
    return config.languages or tuple(Random(f"languages-{config.seed}").sample(pool, config.drawn))


def auxiliaries(config: Config) -> dict[str, str]:
    """The configuration's own, or Table 12, as far as both languages are there."""
    codes = languages(config)
    table = dict(name_values("auxiliaries", config.auxiliaries, "es=pt", str)) or AUXILIARY
    return {code: table[code] for code in codes if table.get(code) in codes}


@cache
def _numbers(seed: int, *sizes: int) -> list[list[int]]:
    values = iter(Random(f"numbers-{seed}").sample(range(_LARGEST), _LARGEST))
    return [list(islice(values, size)) for size in sizes]


def numbers(config: Config) -> dict[str, list[int]]:
    """Numbers by what they are for; every reverse pair of the disjoint control has one of its own."""
    fresh = config.sft_items * len(languages(config))
    sizes = {"sft": config.sft_items, "dev": _HELD_OUT, "test": _HELD_OUT, "fresh": fresh, "base": _LARGEST}
    return dict(zip(sizes, _numbers(config.seed, *sizes.values()), strict=True))


def spelled(values: Sequence[int], codes: Sequence[str]) -> list[dict[str, Any]]:
    """`{"key": "17", "en": "seventeen", "de": "siebzehn", ...}` of numbers."""
    return [dict(row) for row in corpora.load("numbers", languages=codes, values=values)]


def corpus(config: Config) -> Corpus:
    """The multi-way corpus of the seed, and one fresh number for every reverse pair of the disjoint control."""
    from papers.lmt.data import Corpus

    codes, parts, table = languages(config), numbers(config), auxiliaries(config)
    fresh = []
    if config.reverse_source == "disjoint":
        for place, code in enumerate(codes):
            share = parts["fresh"][place * config.sft_items : (place + 1) * config.sft_items]
            rows = spelled(share, [code, *_near(code, table)])
            fresh += [method.render(row, code, "en", ("en",), table, 1.0, 0) for row in rows]
    test = spelled(parts[config.split][: config.test_items], codes)
    return Corpus(codes, table, spelled(parts["sft"], codes), test, fresh)


def _near(code: str, table: dict[str, str]) -> list[str]:
    return [table[code]] if code in table else []


def rehearsal(config: Config, forward: int) -> list[Example]:
    """English without a source, the same in every arm."""
    random, count = Random(f"rehearsal-{config.seed}"), round(config.rehearsal * forward)
    rows = spelled(random.choices(numbers(config)["base"], k=count), []) if count else []
    return [Example(row["key"], "", "en", "", row["en"]) for row in rows]


def base_examples(config: Config) -> list[Example]:
    """As many pairs as the base training takes: mostly X -> English, some with an auxiliary language."""
    random, table, codes = Random(f"base-{config.seed}"), auxiliaries(config), languages(config)
    pool = numbers(config)["base"]
    rows = {code: spelled(random.sample(pool, min(_BASE_ITEMS, len(pool))), [code, *_near(code, table)]) for code in codes}
    examples = []
    for _ in range(config.base.steps * config.base.batch_size):
        code = random.choice(codes)
        item, near = random.choice(rows[code]), table.get(code)
        source, target = ("en", code) if random.random() < _FORWARD else (code, "en")
        shown = None
        if near and random.random() < _RELATED:
            if random.random() < 0.5:
                source, target = code, near
            else:
                shown = near
        examples.append(Example(item["key"], source, target, item[source], item[target], shown, shown and item[shown]))
    return examples


def base(config: Config, run: Run) -> Path:
    """The base model, which all variants of a seed share: tokenizer and a small decoder from nothing."""
    names = ("seed", "vocabulary", "width", "layers", "sft_items")
    inputs = {name: getattr(config, name) for name in names} | {"base": to_dict(config.base)}
    inputs |= {"languages": languages(config), "auxiliaries": auxiliaries(config)}
    return run.stage("base", inputs, lambda folder: _train_base(config, run, folder))


def _train_base(config: Config, run: Run, folder: Path) -> None:
    from core.models import loading
    from core.models.tokenization import train_bpe

    examples, codes = base_examples(config), ("en", *languages(config))
    texts = [text for example in examples for text in (example.source_text, example.target_text)]
    tokenizer = train_bpe(texts, config.vocabulary, special_tokens=[f"<{code}>" for code in codes])
    model = loading.from_config(scratch_shape(len(tokenizer), config), seed=config.seed)
    rows = method.training_rows(tokenizer, examples, "tags")
    method.tune(model, rows, config.base, run, config.seed, name="base")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
