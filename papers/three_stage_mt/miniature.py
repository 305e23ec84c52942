"""The tiny world: numbers below a thousand, spelled out in English and in one other language.

Every seed draws the language. A small decoder has read English documents; its vocabulary is extended by the pieces of
the other language; stage 1 reads documents of that language, with a quarter of English; stage 2 reads interlinear
documents. A document is three to five numbers, a line each, and random: in a sequence that follows a rule the next line
could be guessed without its translation. The numbers of stages 1 and 2, of tuning, of development and of the test do
not meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from core import corpora
from core.corpora.bitext import Document
from core.experiment.config import to_dict
from core.tasks.translation import Segment, segments
from papers.three_stage_mt import method
from papers.three_stage_mt.config import Config, scratch_shape

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig

# Languages with a wording for the instruction, and numbers in CLDR that are composed (Hindi has a name for each to 99).
LANGUAGES = ("de", "tr", "es", "id", "fr", "ru", "it", "vi", "ko", "pt", "nl")
_LARGEST, _HELD_OUT, _TUNING, _PIECES, _ENGLISH = 1000, 100, 100, 400, 0.25


def languages(config: Config) -> tuple[str, str]:
    """English and the language of the seed."""
    return "en", LANGUAGES[config.seed % len(LANGUAGES)]


@cache
def _spelled(code: str) -> dict[int, dict[str, Any]]:
    """Rows by number, in English and one language."""
    return {row["value"]: dict(row) for row in corpora.load("numbers", languages=[code], values=range(_LARGEST))}


def parts(config: Config) -> dict[str, list[dict[str, Any]]]:
    """Rows `{"key": ..., "en": ..., "de": ...}` by what they are for."""
    rows = _spelled(languages(config)[1])
    found = [rows[value] for value in Random(f"numbers-{config.seed}").sample(sorted(rows), len(rows))]
    tuning, text = 2 * _HELD_OUT, 2 * _HELD_OUT + _TUNING
    return {
        "test": found[:_HELD_OUT], "dev": found[_HELD_OUT:tuning], "tuning": found[tuning:tuning + config.tuning_items],
        "text": found[text:],
    }  # fmt: skip


def pairs(rows: Sequence[dict[str, Any]], config: Config) -> list[Segment]:
    """Both directions of some rows."""
    english, other = languages(config)
    return segments(rows, [(english, other), (other, english)])


def read_back(parts: Sequence[Segment], outputs: Sequence[str]) -> dict[str, dict[str, float]]:
    """What of an output is right, by segment.

    `well_formed`: it is the name of some number in the language that was asked for; `digits`: the share of that
    number's three digits that are right, a tenth of which are by chance.
    """
    rows = _spelled(next(code for part in parts for code in (part.source, part.target) if code != "en"))
    values = {code: {row[code]: value for value, row in rows.items()} for code in {part.target for part in parts}}
    found: dict[str, dict[str, float]] = {"well_formed": {}, "digits": {}}
    for part, text in zip(parts, outputs, strict=True):
        known = values[part.target]
        said, meant = (f"{known[name]:03}" if name in known else "" for name in (text, part.target_text))
        found["well_formed"][part.id] = float(text in known)
        found["digits"][part.id] = sum(a == b for a, b in zip(said, meant, strict=False)) / len(meant)
    return found


def documents(config: Config, name: str, count: int) -> list[Document]:
    """Random documents of the numbers that stages 1 and 2 may read."""
    rng, rows = Random(f"{name}-{config.seed}"), parts(config)["text"]
    english, other = languages(config)
    drawn = (rng.sample(rows, rng.randint(3, 5)) for _ in range(count))
    return [[(row[english], row[other]) for row in document] for document in drawn]


def enough(pack: Callable[[int], list[Any]], settings: TrainingConfig) -> list[Any]:
    """Blocks for all steps, of as many documents as that takes."""
    wanted, count = settings.steps * settings.batch_size, 4 * settings.steps * settings.batch_size
    while len(rows := pack(count)) < wanted:
        count *= 2
    return rows[:wanted]


def started(config: Config, run: Run) -> Path:
    """The model and tokenizer that tuning starts from; stages are shared by the arms that have them in common."""
    names = {
        "base": ("seed", "width", "layers", "base_reading"),
        "stage1": ("monolingual", "reading"),
        "stage2": ("aligning", "order", "granularity", "alignment"),
    }
    values, inputs = to_dict(config), dict[str, Any]()

    def after(stage: str, build: Callable[[Any, Any], Any], start: Path | None) -> Path:
        inputs.update({name: values[name] for name in names[stage]}, stage=stage, start=start and start.name)

        def fill(folder: Path) -> None:
            from core.models import loading

            model, tokenizer = loading.load(str(start), dtype="float32") if start else _raw(config)
            tokenizer = build(model, tokenizer) or tokenizer
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)

        return run.stage(stage, dict(inputs), fill)

    folder = after("base", lambda model, tokenizer: _read(model, tokenizer, config, run, "base"), None)
    folder = after("stage1", lambda model, tokenizer: _stage_1(model, tokenizer, config, run), folder)
    if config.bitext_as == "interlinear":
        folder = after("stage2", lambda model, tokenizer: align(model, tokenizer, config, run), folder)
    return folder


def tuning(config: Config) -> TrainingConfig:
    """Stage 3; an arm that reads no bitext gets the updates of stage 2 here, since it has more to learn."""
    extra = config.aligning.steps if config.bitext_as == "nothing" else 0
    return replace(config.translating, steps=config.translating.steps + extra)


def _raw(config: Config) -> tuple[Any, Any]:
    from core.models import loading
    from core.models.tokenization import train_bpe

    texts = [row["en"] for row in parts(config)["text"]]
    texts += [method.instruction("en", code) for code in LANGUAGES] * 4
    tokenizer = train_bpe(texts, _PIECES)
    return loading.from_config(scratch_shape(len(tokenizer), config), seed=config.seed), tokenizer


def _stage_1(model: Any, tokenizer: Any, config: Config, run: Run) -> Any:
    """Extend the vocabulary by the pieces of the new language, which every arm has, then read it.

    As many pieces as make its numbers as short as English ones: with more, "einundzwanzig" is one piece, which
    shares nothing with "einunddreißig".
    """
    from core.models.vocabulary import with_more_merges

    code = languages(config)[1]
    rows = parts(config)["text"]
    names = [row[code] for row in rows]
    english = sum(map(len, tokenizer([row["en"] for row in rows])["input_ids"]))

    def lengths(pieces: int) -> int:
        return sum(map(len, with_more_merges(tokenizer, names, pieces)[0](names)["input_ids"]))

    pieces = next((count for count in range(5, _PIECES, 5) if lengths(count) <= english), _PIECES)
    tokenizer = method.extend_vocabulary(model, tokenizer, names, pieces)
    tokenizer = method.extend_vocabulary(model, tokenizer, [method.instruction(code, "en")] * 2, _PIECES)
    if config.monolingual:
        _read(model, tokenizer, config, run, "stage1")
    return tokenizer


def _read(model: Any, tokenizer: Any, config: Config, run: Run, name: str) -> None:
    """Monolingual documents: English for the base, the other language with some English in stage 1."""
    settings = config.base_reading if name == "base" else config.reading
    rng = Random(f"language-{config.seed}")

    def pack(count: int) -> list[Any]:
        texts = []
        for document in documents(config, name, count):
            side = 0 if name == "base" or rng.random() < _ENGLISH else 1
            texts.append([pair[side] for pair in document])
        return method.pack(tokenizer, texts, settings.max_length).rows

    method.train_stage(model, enough(pack, settings), settings, run, config.seed, name)


def align(model: Any, tokenizer: Any, config: Config, run: Run) -> None:
    """Stage 2."""
    method.train_stage(model, blocks(tokenizer, config), config.aligning, run, config.seed, "stage2")


def blocks(tokenizer: Any, config: Config) -> list[Any]:
    """The token blocks of stage 2."""

    def pack(count: int) -> list[Any]:
        made = documents(config, "stage2", count)
        units = method.make_interlinear(
            made, config.order, config.granularity, alignment=config.alignment, seed=config.seed
        )
        return method.pack(tokenizer, units, config.aligning.max_length).rows

    return enough(pack, config.aligning)
