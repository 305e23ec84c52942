"""The tiny world: numbers spelled out, in English and two languages that the seed draws, and a small mBART.

The text of a language holds numbers of one to four digits, each written in digits, by place (`4000 300 20 1`), and in
words: what a price list or a school book has. The languages meet in the digits, which mean the same in all. The texts
are drawn apart, but half of their lines hold one of the hundred smallest numbers, so that two of three are of a number
that the other language's text has too. The model is pretrained to denoise these texts, half of them without the digits,
so that it knows whatever the lexicon is made from. The parallel text is a few numbers in words. Numbers of the parallel
text, of dev and of test do not meet, nor do they occur in the texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.config import to_dict
from core.files import read_json, write_json
from core.worlds.base import dealt
from core.worlds.numbers import spelled
from papers.csr4mbart import data, method
from papers.csr4mbart.config import Config

if TYPE_CHECKING:
    from core.experiment.run import Run

# Languages of mBART that put spaces between the words of a number. In Hindi and Nepali each number below a hundred is a
# word of its own, and Latvian writes most numbers as one or two words.
POOL = ("ar", "cs", "de", "es", "et", "fr", "kk", "lt", "ro", "ru", "tr", "vi")
DRAWN, DISJOINT = 2, 6
LARGEST = 10_000
HELD_OUT = 150
"""Numbers of dev, as many of test, and, at most, of parallel text."""
GOLD = 500
"""Numbers whose words in two languages say what a lexicon should have."""
Words = Mapping[str, Mapping[int, str]]
"""Numbers in words, by language."""


def languages(config: Config) -> tuple[str, ...]:
    """Those that are named or else drawn: seeds 6n to 6n + 5 share none.

    Raises:
        UserError: A language that is not in the tiny world.
    """
    if unknown := [code for code in config.languages if code not in POOL]:
        raise UserError(f"languages: the tiny world has {', '.join(POOL)}, not {unknown[0]!r}.")
    return config.languages or dealt(POOL, DRAWN, config.seed, DISJOINT)


def numbers(config: Config) -> dict[str, list[int]]:
    """Numbers of three and four digits by what they are for; `text` are the others, and all shorter ones."""
    drawn = Random(f"numbers-{config.seed}").sample(range(100, LARGEST), LARGEST - 100)
    dev, test, tuning = (drawn[place : place + HELD_OUT] for place in range(0, 3 * HELD_OUT, HELD_OUT))
    return {"dev": dev, "test": test, "tuning": tuning, "text": [*range(100), *drawn[3 * HELD_OUT :]]}


def digits(value: int) -> str:
    """A number in digits, by place: 4321 is `4000 300 20 1`, and 4317 is `4000 300 17`."""
    below = value % 100
    rest = [below] if below < 20 else [below // 10 * 10, below % 10]
    return " ".join(str(part) for part in (value // 1000 * 1000, value % 1000 // 100 * 100, *rest) if part) or "0"


def in_text(config: Config, code: str) -> list[int]:
    """The numbers of a language's text: as many of one, two, three and four digits."""
    random = Random(f"text-{config.seed}-{code}")
    by_size: list[list[int]] = [[] for _ in range(4)]
    for value in numbers(config)["text"]:
        by_size[len(str(value)) - 1].append(value)
    return [random.choice(by_size[row % 4]) for row in range(config.texts)]


def tokenizer_for(words: Words) -> Any:
    """mBART's tokenizer, with a subword for every word and numeral of the texts."""
    from transformers import MBartTokenizer
    from transformers.models.mbart.tokenization_mbart import FAIRSEQ_LANGUAGE_CODES

    found = [digits(value) for value in range(LARGEST)]
    found += [line for lines in words.values() for line in lines.values()]
    pieces = dict.fromkeys(word for line in found for word in line.split())
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    entries = [*specials, *(f"▁{piece}" for piece in pieces), *FAIRSEQ_LANGUAGE_CODES, "<mask>"]
    return MBartTokenizer(vocab=[(entry, -1.0 if entry.startswith("▁") else 0.0) for entry in entries])


def shape(config: Config, vocabulary: int) -> Any:
    """Shape of the model that is pretrained here."""
    from transformers import MBartConfig

    half: dict[str, Any] = {"layers": 2, "attention_heads": 4, "ffn_dim": 8 * config.width // 3}
    sides: Any = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in half.items()}
    return MBartConfig(
        vocab_size=vocabulary, d_model=config.width, max_position_embeddings=64, scale_embedding=True,
        # The 0.02 of wide models is small for so narrow a one.
        init_std=config.width**-0.5, dropout=config.dropout, attention_dropout=config.attention_dropout,
        forced_eos_token_id=None, **sides,
    )  # fmt: skip


def base(config: Config, run: Run) -> Path:
    """Folder of the pretrained model, the texts and what parallel text says of words, which a seed's variants share."""
    names = ("seed", "width", "texts", "smoothing", "dropout", "attention_dropout")
    inputs = {name: getattr(config, name) for name in names} | {"training": to_dict(config.pretraining)}
    return run.stage("base", {**inputs, "languages": languages(config)}, lambda folder: _pretrain(config, run, folder))


def _pretrain(config: Config, run: Run, folder: Path) -> None:
    """Denoising, as mBART: masked spans of single sentences of every language."""
    from core.models.loading import from_config
    from core.training.fit import fit, save_pretrained

    codes, parts = (config.pivot, *languages(config)), numbers(config)
    drawn, known = {code: in_text(config, code) for code in codes}, parts.pop("text")[:GOLD]
    every = sorted({value for values in (known, *drawn.values(), *parts.values()) for value in values})
    words = spelled(codes, every)
    tokenizer = tokenizer_for(words)
    model = from_config(shape(config, len(tokenizer)), seed=config.seed, task="seq2seq")
    texts = {code: [f"{digits(value)} {words[code][value]}" for value in values] for code, values in drawn.items()}
    read: list[method.Side] = []
    for code, lines in texts.items():
        # Every other line without its digits.
        shown = [" ".join(w for w in line.split() if row % 2 or not w.isdigit()) for row, line in enumerate(lines)]
        read += data.sides(tokenizer, code, "", shown)
    noisers = data.noisers(tokenizer, {(code, ""): None for code in codes})
    collate = partial(method.csr_batch, noisers=noisers, pad=tokenizer.pad_token_id)
    loss = partial(method.sequence_loss, smoothing=config.smoothing)
    pairs, inner = [(side, side) for side in read], replace(run, path=folder / "training")
    fit(model, pairs, config.pretraining, inner, collate=collate, loss_fn=loss, seed=config.seed, name="pretrain")
    save_pretrained(model, folder / "model", tokenizer)
    write_json(folder / "texts.json", texts)
    write_json(folder / "gold.json", {code: gold(tokenizer, words[codes[0]], words[code], known) for code in codes[1:]})
    rows = {name: [{"key": str(n), **{code: words[code][n] for code in codes}} for n in parts[name]] for name in parts}
    write_json(folder / "rows.json", rows)


def gold(
    tokenizer: Any, source: Mapping[int, str], target: Mapping[int, str], values: Sequence[int]
) -> list[tuple[int, int]]:
    """What parallel text says of words, as entries: first those that occur together alone (Dice)."""
    together: Counter[tuple[str, ...]] = Counter()
    alone: list[Counter[str]] = [Counter(), Counter()]
    for value in values:
        pair = [set(source[value].split()), set(target[value].split())]
        together.update(product(*pair))
        for count, found in zip(alone, pair, strict=True):
            count.update(found)
    ids = {word: tokenizer.convert_tokens_to_ids(f"▁{word}") for count in alone for word in count}
    best = sorted(together, key=lambda pair: -together[pair] / (alone[0][pair[0]] + alone[1][pair[1]]))
    return [(ids[one], ids[other]) for one, other in best]


def world(config: Config, run: Run) -> data.World:
    """Start, parallel rows, texts and the lexicon to compare with.

    Raises:
        UserError: More sentences than are held out, or a language that is not in the tiny world.
    """
    if max(config.pairs, config.items) > HELD_OUT:
        raise UserError(f"pairs and items: the tiny world has {HELD_OUT} numbers for each.")
    folder, codes = base(config, run), languages(config)
    entries, size = read_json(folder / "gold.json"), read_json(folder / "model" / "config.json")["vocab_size"]
    rows = read_json(folder / "rows.json")
    return data.World(
        start=str(folder / "model"),
        languages=codes,
        tuning=rows["tuning"][: config.pairs or None],
        asked=rows[config.split][: config.items],
        texts=read_json(folder / "texts.json"),
        gold={code: data.from_entries(size, entries[code], 1) for code in codes},
    )
