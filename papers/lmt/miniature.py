"""The tiny world: numbers below a thousand, spelled out in English, the pivot, and in 32 languages of the paper.

A multi-way corpus of real language with right and wrong answers. As in human translation the English of a sentence
is one wording of many, which nothing in the source decides ("we saw nearly seventeen"); only the number is scored. The
base model has read bilingual pairs, most of them into English, so that it reads every language and writes it poorly:
where the paper's base models stand with weak languages. Numbers for base training, fine-tuning, the disjoint control,
development and test do not meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from core import corpora
from core.experiment.config import to_dict
from core.experiment.run import Run
from core.models.tokenization import train_bpe
from core.training.config import TrainingConfig
from papers.lmt import method
from papers.lmt.config import HELD_OUT, Config, scratch_shape
from papers.lmt.prompts import Example, auxiliary_for

_WORDING = (
    ["we", "they", "you", "people", "some", "others", "most", "few"],
    ["saw", "count", "need", "want", "have", "found", "sold", "lost"],
    ["about", "nearly", "exactly", "only", "over", "under", "roughly", "almost"],
)
_FREE = {word for words in _WORDING for word in words}
_LARGEST = 1000
_FORWARD = 0.15  # share of its pairs out of English; more, and it writes well (Qwen3-4B: En->X 56.8, X->En 75.4)
# Share of a language's pairs that involve its auxiliary: half translate into it, half show it beside the source. A
# language model has met both; without them it can neither draft nor read a parallel prompt.
_RELATED = 0.5


def auxiliaries(config: Config) -> dict[str, str]:
    """Table 12, as far as both languages are there."""
    found = {code: auxiliary_for("en", code, ("en",)) for code in config.languages}
    return {code: near for code, near in found.items() if near in config.languages}


def numbers(config: Config) -> dict[str, list[int]]:
    """Numbers by what they are for; `fresh` are those of the disjoint control."""
    drawn = Random(f"numbers-{config.seed}").sample(range(_LARGEST), _LARGEST)
    pool, dev, test = (drawn[at : at + HELD_OUT] for at in range(0, 3 * HELD_OUT, HELD_OUT))
    sft, fresh = pool[: config.sft_items], pool[config.sft_items :]
    return {"sft": sft, "fresh": fresh, "dev": dev, "test": test, "base": drawn[3 * HELD_OUT :]}


def spelled(values: Sequence[int], codes: Sequence[str], translator: str) -> list[dict[str, Any]]:
    """`{"key": "17", "en": "we saw nearly seventeen", "de": "siebzehn", ...}` of numbers, worded by a translator."""
    rows = []
    for row in corpora.load("numbers", languages=codes, values=values):
        wording = map(Random(f"{translator}-{row['key']}").choice, _WORDING)
        rows.append(row | {"en": " ".join([*wording, row["en"]])})
    return rows


def meaning(text: str) -> str:
    """The number of an English sentence: what is left without the words that are free, however many there are."""
    return " ".join(word for word in text.split() if word not in _FREE)


@dataclass(frozen=True)
class Corpus:
    """A configuration's multi-way corpus: which language helps which; items to tune on and to measure on; and the pairs
    that replace the reverse ones of the controls, whose targets do not repeat."""

    auxiliaries: Mapping[str, str]
    sft: Sequence[method.Item]
    test: Sequence[method.Item]
    fresh: Sequence[Example] = ()


def corpus(config: Config) -> Corpus:
    """The multi-way corpus of the seed, and reverse pairs with a wording each for the arms that want them."""
    codes, parts, table = config.languages, numbers(config), auxiliaries(config)
    fresh = []
    for code in codes if config.reverse_source != "multiway" else ():
        draw = f"fresh-{config.seed}-{code}"
        pool = parts["sft" if config.reverse_source == "reworded" else "fresh"]
        rows = spelled(Random(draw).sample(pool, config.sft_items), [code, *filter(None, [table.get(code)])], draw)
        fresh += [method.render(row, code, "en", ("en",), table, 1.0, 0) for row in rows]
    sft = spelled(parts["sft"], codes, f"multiway-{config.seed}")
    test = spelled(parts[config.split][: config.test_items], codes, f"multiway-{config.seed}")
    return Corpus(table, sft, test, fresh)


def base_examples(config: Config) -> list[Example]:
    """As many pairs as the base training takes: mostly X -> English, some with an auxiliary language."""
    random, table, codes = Random(f"base-{config.seed}"), auxiliaries(config), config.languages
    pool = numbers(config)["base"][: config.base.steps * config.base.batch_size]
    rows = {
        code: spelled(pool, [code, *filter(None, [table.get(code)])], f"base-{config.seed}-{code}") for code in codes
    }
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
    from core.models import loading

    def build(folder: Path) -> None:
        examples, codes = base_examples(config), ("en", *config.languages)
        texts = [text for example in examples for text in (example.source_text, example.target_text)]
        tokenizer = train_bpe(texts, config.vocabulary, special_tokens=[f"<{code}>" for code in codes])
        model = loading.from_config(scratch_shape(len(tokenizer), config), seed=config.seed)
        rows = by_length(method.training_rows(tokenizer, examples), config.base.batch_size, config.seed)
        method.tune(model, rows, config.base, run, config.seed, name="base")
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    names = ("seed", "vocabulary", "width", "layers", "languages", "base")
    return run.stage("base", {name: value for name, value in to_dict(config).items() if name in names}, build)


def equal_updates(settings: TrainingConfig, rows: int) -> TrainingConfig:
    """In every arm as many updates and as many passes: its batches are what its rows leave."""
    steps = settings.steps
    return replace(settings, batch_size=max(1, round(rows * settings.epochs / steps))) if steps else settings


def by_length(rows: Sequence[Any], size: int, seed: int) -> list[Any]:
    """Rows in an order whose batches are of about one length: less padding, a third less time."""
    random, block = Random(f"order-{seed}"), 16 * size
    blocks = [sorted(rows[at : at + block], key=lambda row: len(row["input_ids"])) for at in range(0, len(rows), block)]
    batches = [part[at : at + size] for part in blocks for at in range(0, len(part), size)]
    random.shuffle(batches)
    return [row for batch in batches for row in batch]
