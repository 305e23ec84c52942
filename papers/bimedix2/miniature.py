"""The miniature: a small language model that has read in two languages, a random image encoder, and drawn pictures.

The language model knows 98 conditions (`core.worlds.medicine`) and has read captions and the words of pictures in both
languages, twice as often in English; it has never seen one. What is tested about pictures are *findings* (shade and
place of a spot) that no picture of their manner had in training: of eight, two are kept for development, and three
seeds in a row test two each. What is tested about text are conditions that no tuning mentions, as in BiMediX.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from core.models.tokenization import chat_rows, text_ids, train_bpe
from core.tasks import choices
from core.tasks.samples import CHAT_TEMPLATE, Sample, dialogue
from core.worlds import medicine
from papers.bimedix2 import pictures
from papers.bimedix2.config import VOCABULARY, Config, encoder_shape, scratch_shape
from papers.bimedix2.data import Question
from papers.bimedix2.method import PLACEHOLDER
from papers.bimedix2.pictures import FINDINGS, MODALITIES, Finding

if TYPE_CHECKING:
    from core.experiment.run import Run

LANGUAGES = ("en", "ar")
# Of English pictures; a quarter as many conversations are in Arabic. The published share is a tenth of all samples.
PICTURES, ARABIC = 2400, 4
CAPTIONED = 2400
# Test pictures of a manner with each finding, and as many without a spot as with one.
SHOWN = 3


@cache
def findings(seed: int) -> dict[str, dict[str, tuple[Finding, ...]]]:
    """Findings of each manner by part: `dev`, `test` and `train`."""
    found = {}
    turn, fold = divmod(seed, 3)
    for modality in MODALITIES:
        order = random.Random(f"development {modality}").sample(FINDINGS, len(FINDINGS))
        dev, rest = order[:2], order[2:]
        random.Random(f"{turn} {modality}").shuffle(rest)
        test = rest[2 * fold : 2 * fold + 2]
        train = tuple(one for one in rest if one not in test)
        found[modality] = {"dev": tuple(dev), "test": tuple(test), "train": train}
    return found


@dataclass(frozen=True)
class Picture:
    """A drawn picture and what it shows."""

    modality: str
    finding: Finding | None
    image: np.ndarray


def drawn(seed: int, part: str, count: int, what: str) -> list[Picture]:
    """Pictures of a part, of all manners in turn; every third shows no spot (for tests half of them)."""
    rng = np.random.default_rng([seed, *what.encode()])
    made = []
    for number in range(count):
        modality = MODALITIES[number % len(MODALITIES)]
        options = findings(seed)[modality][part]
        turn = number // len(MODALITIES)
        empty = turn % 3 == 0 if part == "train" else turn % 4 >= 2
        finding = None if empty else options[rng.integers(len(options)) if part == "train" else turn % 4]
        made.append(Picture(modality, finding, pictures.draw(modality, finding, rng)))
    return made


def captions(config: Config) -> list[Sample]:
    """Stage 1: pictures with English captions."""
    rng = random.Random(f"captions {config.seed}")
    made = drawn(config.seed, "train", 40 * config.limit or CAPTIONED, "captions")
    said = [pictures.caption(p.modality, p.finding, "en", rng.randrange(2)) for p in made]
    pairs = zip(made, said, strict=True)
    return [{"messages": dialogue(PLACEHOLDER, text), "image": p.image, "lang": "en"} for p, text in pairs]


def conversations(config: Config) -> list[Sample]:
    """Stage 2: two questions about each picture in English, about others in Arabic, and questions without pictures."""
    rng, count = random.Random(f"conversations {config.seed}"), 40 * config.limit or PICTURES
    found: list[Sample] = []
    for language, number in (("en", count), ("ar", count // ARABIC)):
        for picture in drawn(config.seed, "train", number, f"conversations {language}"):
            some = rng.sample(pictures.questions(picture.modality, picture.finding, language), 2)
            turns = [text for one in some for text in (rng.choice(one.wordings), one.answer)]
            turns[0] = f"{PLACEHOLDER}\n{turns[0]}"
            found.append({"lang": language, "messages": dialogue(*turns), "image": picture.image})
    trained = medicine.parts(config.seed)["train"]
    items = [item for item in medicine.questions(LANGUAGES, "train") if item.cls in trained]
    for language in LANGUAGES:  # two to a conversation, as with pictures
        asked = [item for item in items if item.language == language]
        rng.shuffle(asked)
        for pair in list(zip(asked[::2], asked[1::2], strict=False))[: 20 * config.limit or None]:
            turns = [text for item in pair for text in (item.prompt, item.answer)]
            found.append({"lang": language, "messages": dialogue(*turns), "image": None})
    return found


def questions(config: Config, part: str | None = None) -> list[Question]:
    """Everything that can be asked about the tested pictures, in both languages.

    The id is `<manner>/<kind>/<number of the picture>-<finding>`, the same in both.
    """
    part = part or config.split
    shown = drawn(config.seed, part, 4 * SHOWN * len(MODALITIES) if not config.limit else 5, f"asked {part}")
    rng, found = random.Random(f"questions {config.seed}"), []
    for (number, picture), language in product(enumerate(shown), LANGUAGES):
        for one in pictures.questions(picture.modality, picture.finding, language):
            key = f"{picture.modality}/{one.kind}/{number}-{picture.finding or 'none'}"
            closed = one.kind in pictures.CLOSED
            found.append(Question(key, picture.image, rng.choice(one.wordings), one.answer, language, closed))
    return found


def exam(config: Config, language: str) -> list[choices.Question]:
    """Multiple-choice questions about the tested conditions; ids `<relation> <wording>/<condition>/<language>`."""
    asked = medicine.parts(config.seed)[config.split]
    items = [item for item in medicine.questions((language,), config.split) if item.cls in asked]
    return _choices(items, f"{config.split} {config.seed}")[: 4 * config.limit or None]


def told(config: Config, language: str) -> list[choices.Question]:
    """Statements about them as the language model has read them, to be ended by one of four answers."""
    asked = medicine.parts(config.seed)[config.split]
    items = [item for item in medicine.statements((language,)) if item.cls in asked]
    return _choices(items, f"told {config.seed}")[: 4 * config.limit or None]


def _choices(items: list[Any], draw: str) -> list[choices.Question]:
    found = choices.from_items(
        items, seed=random.Random(draw).getrandbits(32), group=lambda item: (item.language, medicine.relation(item))
    )
    return [replace(q, id="{2} {3}/{1}/{0}".format(*q.id.split("/"))) for q in found]


def texts() -> list[str]:
    """What the language model reads, English twice: facts, names, captions and the words of pictures."""
    facts = [f"{item.prompt} {item.answer}." for item in medicine.statements(("en", "en", "ar"))]
    names = [line for en, ar in medicine.glossary() for line in (f"{en} = {ar}", f"{ar} = {en}")]
    words = [(en, pictures.WORDS["ar"][key]) for key, en in pictures.WORDS["en"].items()]
    names += [line for en, ar in words for line in (f"{en} = {ar}", f"{ar} = {en}")] * 4
    shown = product(("en", "en", "ar"), MODALITIES, (None, *FINDINGS), range(2))
    return facts + names + [pictures.caption(m, finding, code, form) for code, m, finding, form in shown]


def pretrain(config: Config, run: Run, folder: Path) -> None:
    """The small language model and the random image encoder, as two folders of `save_pretrained`."""
    import torch
    from transformers import AutoModel, CLIPImageProcessor

    from core.models import loading
    from core.training.fit import fit, save_pretrained

    read = texts()
    asked = medicine.parts(config.seed)["base"]
    answered = [item for item in medicine.questions(("en", "en", "ar"), "base") if item.cls in asked]
    # Trained on all questions, so that their words are cut alike.
    kinds: Any = get_args(medicine.Wording)
    seen = [item.prompt for kind in kinds for item in medicine.questions(wording=kind)]
    seen += [text for asked_ in pictures.QUESTIONS.values() for side in asked_.values() for text in side * 20]
    tokenizer = train_bpe(seen + read, VOCABULARY, special_tokens=["[INST]", "[/INST]", PLACEHOLDER])
    tokenizer.chat_template = CHAT_TEMPLATE
    model = loading.from_config(scratch_shape(len(tokenizer)), seed=config.seed)
    ids, begin, end = text_ids(tokenizer, read), tokenizer.bos_token_id, tokenizer.eos_token_id
    rows: list[Any] = [{"input_ids": [begin, *ids[text], end]} for text in read]
    rows += chat_rows(tokenizer, [dialogue(item.prompt, item.answer) for item in answered])
    fit(model, rows, config.base, run, seed=config.seed, name="base")
    save_pretrained(model, folder / "language", tokenizer)
    shape = encoder_shape()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder: Any = AutoModel.from_config(shape)
    with torch.no_grad():  # as large as the patches', as in trained encoders: where a patch lies is told by it alone
        encoder.embeddings.position_embedding.weight *= 20
    encoder.save_pretrained(folder / "vision")
    size = {"height": shape.image_size, "width": shape.image_size}
    CLIPImageProcessor(size=size, crop_size=size).save_pretrained(folder / "vision")
