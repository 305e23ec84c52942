"""What BiMediX2 is fed: conversations in LLaVA's format, with and without pictures, and questions of benchmarks.

    {"id": "1", "image": "scan.jpg", "conversations": [{"from": "human", "value": "<image>\\nWhat is this?"},
                                                       {"from": "gpt", "value": "A chest X-ray."}]}

A row without a picture has no `image` and no `<image>`. The language is that of the text's script.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.tasks.samples import Sample, adapt, is_in, lesson
from core.text.scripts import dominant_script
from papers.bimedix2.config import Config
from papers.bimedix2.method import PLACEHOLDER

Row = Mapping[str, Any]
# Beyond English: the language that a benchmark's questions are taken for, by their script.
LANGUAGES = {"Arab": "ar"}
YES_NO = {"en": ("yes", "no"), "ar": ("نعم", "لا")}


def read_samples(sources: Sequence[str], images: str, limit: int = 0) -> list[Sample]:
    """Conversations of files or hub datasets: `messages`, `image` (a path or a picture; None without), `id`.

    Raises:
        UserError: Names the source and row that cannot be read.
    """

    def sample_of(row: Row, number: int) -> Sample:
        image, sample = row.get("image"), lesson(row, "")
        placed = [turn["content"].count(PLACEHOLDER) for turn in sample["messages"]]
        if sum(placed) != (image is not None) or (image is not None and not placed[0]):
            raise UserError(f"A row with `image` has one {PLACEHOLDER}, in its first turn; one without has none.")
        return {"id": row.get("id", f"row {number}"), **sample, "image": located(image, images)}

    return [one for source in sources for one in adapted(source, islice(read_rows(source), limit or None), sample_of)]


def located(image: Any, images: str) -> Any:
    """A picture's path in its folder; what is no path (hub datasets hold pictures) as it is."""
    return Path(images) / image if isinstance(image, str) else image


def chosen(samples: Sequence[Sample], config: Config) -> list[Sample]:
    """The conversations that an arm is tuned on.

    Raises:
        UserError: None is left.
    """
    shown = config.image_languages
    kept = [
        one for one in samples
        if (config.text if one["image"] is None else not shown or any(is_in(one, code) for code in shown))
    ]  # fmt: skip
    if not kept:
        raise UserError("No conversation is left: look at image_languages and text.")
    return exchanged(kept, config.seed) if config.shuffled else kept


def exchanged(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """The null arm: pictures go with the text of another row, texts without one end with the answer of another one."""
    seen, plain = ([one for one in samples if (one["image"] is None) == bare] for bare in (False, True))
    pictures, ends = [one["image"] for one in seen], [one["messages"][-1] for one in plain]
    for side in (pictures, ends):
        random.Random(f"exchanged {seed}").shuffle(side)
    swapped = [{**one, "image": picture} for one, picture in zip(seen, pictures, strict=True)]
    return swapped + [{**one, "messages": [*one["messages"][:-1], end]} for one, end in zip(plain, ends, strict=True)]


@dataclass(frozen=True)
class Question:
    """A question about a picture; its answer is `closed` if it is yes, no or one of the options that are named."""

    id: str
    image: Any
    text: str
    answer: str
    language: str
    closed: bool


def question_of(row: Row, number: int, images: str = "") -> Question:
    """A row with `image` (SLAKE: `img_name`), `question`, `answer`, perhaps `answer_type` (open, closed) and `lang`.

    Raises:
        UserError: One of the three is missing.
    """
    image, text, answer = row.get("image", row.get("img_name")), str(row["question"]), str(row["answer"]).strip()
    if image is None or not text.strip() or not answer:
        raise UserError("A row needs `image` (or `img_name`), `question` and `answer`.")
    language = str(row.get("lang") or row.get("q_lang") or LANGUAGES.get(dominant_script(text) or "", "en"))
    kind = str(row.get("answer_type", "")).strip().lower()
    either = YES_NO.get(language.partition("-")[0], YES_NO["en"])  # ar-EG is Arabic
    closed = kind == "closed" if kind else answer.lower() in either
    return Question(str(number), located(image, images), text, answer, language, closed)


def read_questions(source: str, images: str, limit: int = 0) -> list[Question]:
    """The rows of a file or hub dataset, as :func:`question_of` reads them.

    Raises:
        UserError: Names the source and row that cannot be read.
    """
    rows = islice(read_rows(source), limit or None)
    asked = adapted(source, rows, lambda row, number: question_of(row, number, images))
    return [replace(question, id=f"{source}/{question.id}") for question in asked]


def read_exam(source: str, limit: int = 0) -> list[Sample]:
    """Multiple-choice questions of text, in any known columns (`core.tasks.samples`).

    Raises:
        UserError: Names the source and row that cannot be read.
    """
    rows = islice(read_rows(source), limit or None)
    found = list(adapted(source, rows, lambda row, number: {**adapt(row, ""), "id": f"{source}/{number}"}))
    if not all(sample.get("task") == "mcqa" for sample in found):
        raise UserError(f"{source} has rows that are no multiple-choice questions: give options and the answer.")
    return found
