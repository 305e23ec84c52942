"""The tiny world: numbers spelled out, in English and two languages that the seed draws, and a small mBART.

The text of a language holds numbers of one to four digits, each written in digits, by place (`4000 300 20 1`), and in
words: what a price list or a school book has. The languages meet in the digits, which mean the same in all. The texts
are drawn apart, but half of their lines hold one of the hundred smallest numbers, so that two of three are of a number
that the other language's text has too. The model is pretrained to denoise these texts, half of them without the digits,
so that it knows whatever the lexicon is made from. The parallel text is a few numbers in words. Numbers of the parallel
text, of dev and of test do not meet, nor do they occur in the texts.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.config import to_dict
from core.files import read_json, write_json
from core.tasks.lexicon import aligned
from core.worlds.base import dealt
from core.worlds.numbers import spelled
from papers.csr4mbart import data, method
from papers.csr4mbart.config import PIVOT, Config

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


def shape(config: Config, vocabulary: int) -> Any:
    """Of the model that is pretrained here."""
    from core.models.scratch import mbart_config

    return mbart_config(
        vocabulary, width=config.width, dropout=config.dropout, attention_dropout=config.attention_dropout
    )


def base(config: Config, run: Run) -> Path:
    """Folder of the pretrained model, the texts and what parallel text says of words, which a seed's variants share."""
    names = ("seed", "width", "texts", "smoothing", "dropout", "attention_dropout")
    inputs = {name: getattr(config, name) for name in names} | {"training": to_dict(config.pretraining)}
    return run.stage("base", {**inputs, "languages": languages(config)}, lambda folder: _pretrain(config, run, folder))


def _pretrain(config: Config, run: Run, folder: Path) -> None:
    """Denoising, as mBART: masked spans of single sentences of every language."""
    from core.models.loading import from_config
    from core.models.scratch import mbart_tokenizer
    from core.training.fit import fit, save_pretrained
    from core.training.seq2seq import sequence_loss

    codes, parts = (PIVOT, *languages(config)), numbers(config)
    drawn, known = {code: in_text(config, code) for code in codes}, parts.pop("text")[:GOLD]
    every = sorted({value for values in (known, *drawn.values(), *parts.values()) for value in values})
    words = spelled(codes, every)
    written = [digits(value) for value in range(LARGEST)] + [text for code in codes for text in words[code].values()]
    tokenizer = mbart_tokenizer(word for line in written for word in line.split())
    model = from_config(shape(config, len(tokenizer)), seed=config.seed, task="seq2seq")
    texts = {code: [f"{digits(value)} {words[code][value]}" for value in values] for code, values in drawn.items()}
    read: list[method.Side] = []
    for code, lines in texts.items():
        # Every other line without its digits.
        shown = [" ".join(w for w in line.split() if row % 2 or not w.isdigit()) for row, line in enumerate(lines)]
        read += data.sides(tokenizer, code, "", shown)
    noisers = data.noisers(tokenizer, {(code, ""): None for code in codes})
    collate = partial(method.csr_batch, noisers=noisers, pad=tokenizer.pad_token_id)
    loss = partial(sequence_loss, smoothing=config.smoothing)
    pairs, inner = [(side, side) for side in read], replace(run, path=folder / "training")
    fit(model, pairs, config.pretraining, inner, collate=collate, loss_fn=loss, seed=config.seed, name="pretrain")
    save_pretrained(model, folder / "model", tokenizer)
    write_json(folder / "texts.json", texts)
    told = {code: aligned(*([words[each][value] for value in known] for each in (PIVOT, code))) for code in codes[1:]}
    write_json(
        folder / "gold.json",
        {code: [tokenizer.convert_tokens_to_ids([f"▁{w}" for w in pair]) for pair in told[code]] for code in told},
    )
    rows = {name: [{"key": str(n), **{code: words[code][n] for code in codes}} for n in parts[name]] for name in parts}
    write_json(folder / "rows.json", rows)


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
