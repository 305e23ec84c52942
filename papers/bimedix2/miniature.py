"""The miniature: a small language model that has read in two languages, a small image encoder, and drawn pictures.

The language model knows 98 conditions (`core.worlds.medicine`) and has read captions and the words of pictures in both
languages, twice as often in English; it has never seen one. What is tested about pictures are *findings* (shade and
place of a spot) that no picture of their manner had in training: of twelve, a seed tests one. What is tested about
text are conditions that no tuning mentions, as in BiMediX.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from core.files import write_json
from core.models.tokenization import chat_rows, text_ids, train_bpe
from core.tasks import choices
from core.tasks.samples import CHAT_TEMPLATE, Sample, dialogue
from core.worlds import medicine
from papers.bimedix2 import pictures
from papers.bimedix2.config import VOCABULARY, Config, encoder_shape, scratch_shape
from papers.bimedix2.data import Question
from papers.bimedix2.method import LAYER, PLACEHOLDER
from papers.bimedix2.pictures import FINDINGS, MODALITIES, Finding

if TYPE_CHECKING:
    from core.experiment.run import Run

LANGUAGES = ("en", "ar")
# Of English pictures; a quarter as many conversations are in Arabic. The published share is a tenth of all samples.
PICTURES, ARABIC = 2400, 4
# Test pictures of a manner, half of them without a spot.
SHOWN = 12


@cache
def findings(seed: int, split: str) -> dict[str, dict[str, tuple[Finding, ...]]]:
    """Findings of each manner: one that is held out, `asked`, and the others, `train`.

    One is held out where settings are chosen; of the other eleven a seed tests one, and eleven seeds in a row all.
    """
    turn, fold = divmod(seed, len(FINDINGS) - 1)
    found = {}
    for modality in MODALITIES:
        dev, *rest = random.Random(f"development {modality}").sample(FINDINGS, len(FINDINGS))
        random.Random(f"{turn} {modality}").shuffle(rest)
        held = dev if split == "dev" else rest[fold]
        found[modality] = {"asked": (held,), "train": tuple(one for one in FINDINGS if one != held)}
    return found


class Picture(NamedTuple):
    """A drawn picture and what it shows."""

    modality: str
    finding: Finding | None
    image: np.ndarray


def drawn(config: Config, part: str, count: int, what: str) -> list[Picture]:
    """Pictures of a part, of all manners in turn; a third shows no spot (half of those that are asked about)."""
    rng = np.random.default_rng([config.seed, *f"{config.split} {what}".encode()])
    known, made = findings(config.seed, config.split), []
    for number in range(count):
        turn, place = divmod(number, len(MODALITIES))
        options = known[modality := MODALITIES[place]][part]
        empty = turn % 3 == 2 if part == "train" else turn % 2 == 1
        finding = None if empty else options[rng.integers(len(options))]
        made.append(Picture(modality, finding, pictures.draw(modality, finding, rng)))
    return made


def captions(config: Config) -> list[Sample]:
    """Stage 1: pictures with English captions."""
    rng = random.Random(f"captions {config.seed}")
    made = drawn(config, "train", 40 * config.limit or PICTURES, "captions")
    said = [dialogue(PLACEHOLDER, pictures.caption(p.modality, p.finding, "en", rng.randrange(2))) for p in made]
    return [{"messages": turns, "image": p.image, "lang": "en"} for p, turns in zip(made, said, strict=True)]


def conversations(config: Config) -> list[Sample]:
    """Stage 2: two questions about each picture in English, about others in Arabic, and questions without pictures."""
    rng, count = random.Random(f"conversations {config.seed}"), 40 * config.limit or PICTURES
    found: list[Sample] = []
    for language, number in (("en", count), ("ar", count // ARABIC)):
        for picture in drawn(config, "train", number, f"conversations {language}"):
            some = rng.sample(pictures.questions(picture.modality, picture.finding, language), 2)
            turns = [text for _, wordings, answer in some for text in (rng.choice(wordings), answer)]
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


def questions(config: Config, part: str = "asked") -> list[Question]:
    """Everything that can be asked about the tested pictures, in both languages.

    The id is `<manner>/<kind>/<number of the picture>-<finding>`, the same in both.
    """
    shown = drawn(config, part, SHOWN * len(MODALITIES) if not config.limit else 5, f"questions {part}")
    rng, found = random.Random(f"questions {config.seed}"), []
    for (number, picture), language in product(enumerate(shown), LANGUAGES):
        for kind, wordings, answer in pictures.questions(picture.modality, picture.finding, language):
            key = f"{picture.modality}/{kind}/{number}-{picture.finding or 'none'}"
            found.append(Question(key, picture.image, rng.choice(wordings), answer, language, kind in pictures.CLOSED))
    return found


def exam(config: Config, language: str) -> list[choices.Question]:
    """Multiple-choice questions about the tested conditions; ids `<relation> <wording>/<condition>/<language>`."""
    return _choices(config, medicine.questions((language,), config.split), config.split)


def told(config: Config, language: str) -> list[choices.Question]:
    """Statements about them as the language model has read them, to be ended by one of four answers."""
    return _choices(config, medicine.statements((language,)), "told")


def _choices(config: Config, items: list[Any], draw: str) -> list[choices.Question]:
    asked = medicine.parts(config.seed)[config.split]
    seed = random.Random(f"{draw} {config.seed}").getrandbits(32)
    kept = [item for item in items if item.cls in asked]
    found = choices.from_items(kept, seed=seed, group=lambda item: (item.language, medicine.relation(item)))
    return [replace(q, id="{2} {3}/{1}/{0}".format(*q.id.split("/"))) for q in found][: 4 * config.limit or None]


def described(seed: int, languages: Sequence[str]) -> list[list[dict[str, str]]]:
    """Questions about pictures that are described in the question's language, as a language model can answer them."""
    rng, found = random.Random(f"described {seed}"), []
    for code, modality, finding in product(languages, MODALITIES, (None, *FINDINGS)):
        text = pictures.caption(modality, finding, code, rng.randrange(2))
        for _, wordings, answer in rng.sample(pictures.questions(modality, finding, code)[:-1], 2):
            found.append(dialogue(f"{text}\n{rng.choice(wordings)}", answer))
    return found


def texts() -> list[str]:
    """What the language model reads, English twice: facts, names, the words of pictures, captions in two wordings."""
    facts = [f"{item.prompt} {item.answer}." for item in medicine.statements(("en", "en", "ar"))]
    names = [line for en, ar in medicine.glossary() for line in (f"{en} = {ar}", f"{ar} = {en}")]
    words = [(en, pictures.WORDS["ar"][key]) for key, en in pictures.WORDS["en"].items()]
    names += [line for en, ar in words for line in (f"{en} = {ar}", f"{ar} = {en}")] * 4
    shown = product(("en", "en", "ar"), MODALITIES, (None, *FINDINGS), ((0, 1), (1, 0)))
    twice = (" ".join(pictures.caption(m, found, code, form) for form in forms) for code, m, found, forms in shown)
    return [*facts, *names, *twice]


def pretrain(config: Config, run: Run, folder: Path) -> None:
    """The small language model and image encoder, as two folders of `save_pretrained`."""
    from core.models import loading
    from core.training.fit import fit, save_pretrained

    thin = 20 if config.limit else 1
    read, asked = texts()[::thin], medicine.parts(config.seed)["base"]
    answered = [item for item in medicine.questions(("en", "en", "ar"), "base") if item.cls in asked]
    # Trained on all questions, so that their words are cut alike.
    kinds: Any = get_args(medicine.Wording)
    seen = [item.prompt for kind in kinds for item in medicine.questions(wording=kind)]
    seen += [text for sides in pictures.QUESTIONS.values() for wordings in sides.values() for text in wordings * 20]
    tokenizer = train_bpe(seen[::thin] + read, VOCABULARY, special_tokens=["[INST]", "[/INST]", PLACEHOLDER])
    tokenizer.chat_template = CHAT_TEMPLATE
    model = loading.from_config(scratch_shape(len(tokenizer)), seed=config.seed)
    ids, begin, end = text_ids(tokenizer, read), tokenizer.bos_token_id, tokenizer.eos_token_id
    rows: list[Any] = [{"input_ids": [begin, *ids[text], end]} for text in read]
    talks = described(config.seed, ("en", "en", "ar")) + [dialogue(item.prompt, item.answer) for item in answered]
    rows += chat_rows(tokenizer, talks[::thin])
    fit(model, rows, config.base, run, seed=config.seed, name="base")
    save_pretrained(model, folder / "language", tokenizer)
    size = dict.fromkeys(("height", "width"), pictures.SIZE)
    processor: Any = {"image_processor_type": "CLIPImageProcessor", "size": size, "crop_size": size}
    write_json(folder / "vision" / "preprocessor_config.json", processor)
    encoder_shape().save_pretrained(folder / "vision")  # a processor is looked for beside a model's configuration
    tagger(config, run, loading.load_processor(folder / "vision")).save_pretrained(folder / "vision")


def tagger(config: Config, run: Run, processor: Any) -> Any:
    """The image encoder. CLIP has learnt from captions what pictures show; this one, to tag pictures of its own with
    their manner, shade and place, of findings that are trained later."""
    import torch

    from core.models import loading
    from core.training.fit import fit

    names = (*MODALITIES, *pictures.SHADES, *pictures.PLACES)
    encoder: Any = loading.from_config(encoder_shape(), seed=config.seed, task="encoder")
    with torch.no_grad():  # from the beginning as large as what stands in the patches
        encoder.embeddings.position_embedding.weight *= 20
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        both = torch.nn.ModuleList([encoder, torch.nn.Linear(encoder.config.hidden_size, len(names))])
    rows = []
    for picture in drawn(config, "train", 40 * config.limit or PICTURES, "tags"):
        shown = {picture.modality, *(picture.finding or ())}
        pixels = processor(images=picture.image, return_tensors="pt")["pixel_values"][0]
        rows.append((pixels, torch.tensor([float(name in shown) for name in names])))

    def collate(some: Any, rng: Any) -> dict[str, Any]:
        return {name: torch.stack(part) for name, part in zip(("pixels", "tags"), zip(*some, strict=True), strict=True)}

    settings = replace(config.base, steps=config.tagging, batch_size=32, learning_rate=2e-3, layout="padded")
    fit(both, rows, settings, run, loss_fn=tag_loss, collate=collate, seed=config.seed, name="encoder")
    return encoder


def tag_loss(model: Any, batch: Any) -> Any:
    """Binary cross-entropy of all tags, each at the patch that has it most, of the layer that the projector reads."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    from core.training.losses import Loss

    encoder, head = model
    states = encoder(batch["pixels"], output_hidden_states=True).hidden_states[LAYER]
    logits = head(states[:, 1:]).amax(1)
    loss = binary_cross_entropy_with_logits(logits, batch["tags"], reduction="sum")
    return Loss(loss, batch["tags"].numel())
