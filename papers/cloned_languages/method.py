"""Cloned languages: take every difference between two languages away, and ask what one still does for the other.

Language k of a vocabulary of V tokens is the same text with every id moved to a block of its own,

    x_t  ->  x_t + k V,        k = 0 for the original; padding stays what it is.                                    (1)

So all languages are one language, and share no token: what a model carries from one to another has to pass through its
layers. Each *sequence* is a clone with probability p, and then any of the clones alike; p may change in stages of equal
length ("0.1_0.9"). How much a language gained is told by how many tokens a model of that language alone would have
needed, by a law that is fitted to monolingual runs, each with a schedule of its own,

    1 / PPL(x) = c - a x^(-b),                    x tokens                                                          (2)
    MLTE(PPL)  = ((c - 1 / PPL) / a)^(-1 / b),    the tokens at which the law has this perplexity                   (3)
    TEff_k     = MLTE(PPL_k) / tokens read in k.  Above 1, the language gained from the others                      (4)

A run alone of fewer tokens is shorter (the paper), or has fewer sequences in each of as many steps.

Whether it did by the same circuits shows in the states of a text and its clone after each layer, and in the gradients
of the loss on either:

    mean over t of cos(h_t, h'_t);        mean over matrices of cos(dL/dW, dL'/dW).                                 (5)

    rendering = clones(16384)                                       # or paired(pieces, pieces of another language)
    spoken = draw("0.1_0.9", steps, batch_size, rendering.languages, seed)
    train(model, Mixed([blocks], rendering, spoken), settings, run, seed)
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import UserError
from core.metrics.scaling import Law, fit_saturating
from core.training.config import TrainingConfig
from core.training.losses import IGNORED, label_log_probs
from papers.cloned_languages.config import staged

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.fit import FitResult
    from papers.cloned_languages.curve import Curve

PAD = 0


# --- languages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rendering:
    """The ids of several languages in one vocabulary.

    Attributes:
        tables: Of each language, shape [tokens of its own tokenizer], the id of each token in the model.
        size: Rows of the model's embeddings and of its output layer.
    """

    tables: tuple[Int[np.ndarray, " token"], ...]
    size: int

    @property
    def languages(self) -> int:
        """How many."""
        return len(self.tables)

    def __call__(self, ids: Int[np.ndarray, "*shape"], language: int) -> Int[np.ndarray, "*shape"]:
        """Ids of a language's own tokenizer as the model reads them."""
        return self.tables[language][ids]


def clones(vocabulary: int, count: int = 1, fraction: float = 1.0, protected: Sequence[int] = (PAD,)) -> Rendering:
    """A language and `count` clones of it (equation 1).

    Args:
        vocabulary: Tokens of the tokenizer, special ones included: they are cloned too.
        count: Clones beside the original.
        fraction: Share of the tokens that are cloned, drawn as the official code draws; the others, anchors, are the
            same in both languages. The table keeps rows for all.
        protected: Ids that are never cloned: padding.

    Raises:
        UserError: Anchors with several clones.
    """
    if fraction < 1 and count > 1:
        raise UserError("Anchors (fraction < 1) are defined for one clone: leave clones at 1.")
    shuffled = list(range(vocabulary))
    random.Random(0).shuffle(shuffled)
    moved = np.zeros(vocabulary, dtype=np.int64)
    moved[shuffled[: int(fraction * vocabulary)]] = 1
    moved[list(protected)] = 0
    ids = np.arange(vocabulary)
    return Rendering(
        tuple(ids + language * vocabulary * moved for language in range(count + 1)), vocabulary * (count + 1)
    )


def paired(
    first: Sequence[str], second: Sequence[str], merge: bool = False, protected: Sequence[int] = (PAD,)
) -> Rendering:
    """Two real languages with a tokenizer each.

    Args:
        first: Pieces of the first one, in the order of their ids.
        second: Of the second.
        merge: Pieces with the same string share an id and the others follow (`anchored`); otherwise none is shared.
        protected: Ids that mean the same in both: padding.
    """
    own = np.arange(len(first))
    if merge:
        known = {piece: place for place, piece in enumerate(first)}
        table = np.array([known.setdefault(piece, len(known)) for piece in second])
        return Rendering((own, table), len(known))
    ids = np.arange(len(second))
    shifted = np.where(np.isin(ids, list(protected)), ids, ids + len(first))
    return Rendering((own, shifted), len(first) + len(second))


def draw(schedule: str, steps: int, batch_size: int, languages: int, seed: int) -> Int[np.ndarray, " sequence"]:
    """The language of every sequence of a run, in the order in which they are read.

    Each has one uniform number, the same under all schedules: raising p turns sequences over and moves none.
    """
    uniform = np.random.default_rng([seed, languages]).random((steps, batch_size))
    p = np.array(staged(schedule, steps))[:, None]
    which = 1 + np.floor(uniform / np.maximum(p, 1e-12) * max(1, languages - 1)).astype(np.int64)
    return np.where(uniform < p, which.clip(max=languages - 1), 0).reshape(-1)


class Mixed(Sequence[Mapping[str, Any]]):
    """The sequences of a run, rendered when they are read.

    Args:
        texts: Blocks of each language's own ids, each [block, length]; a single one is what all languages, clones of
            each other, take turns to read. A text that is too short is read again.
        rendering: Of the languages.
        spoken: The language of each sequence, of :func:`draw`.
    """

    def __init__(
        self,
        texts: Sequence[Int[np.ndarray, "block length"]],
        rendering: Rendering,
        spoken: Int[np.ndarray, " sequence"],
    ) -> None:
        self.texts, self.rendering, self.spoken = texts, rendering, spoken
        self.places = np.arange(len(spoken))
        for language in range(len(texts) if len(texts) > 1 else 0):
            self.places[spoken == language] = np.arange(int((spoken == language).sum()))

    def __len__(self) -> int:
        return len(self.spoken)

    def __getitem__(self, number: Any) -> Any:
        language = int(self.spoken[number])
        blocks = self.texts[language if len(self.texts) > 1 else 0]
        ids = self.rendering(blocks[int(self.places[number]) % len(blocks)], language)
        return {"input_ids": ids, "language": language}

    @property
    def tokens(self) -> list[int]:
        """Tokens that are read in each language, counted and not expected."""
        counts = np.bincount(self.spoken, minlength=self.rendering.languages)
        return [int(count) * self.texts[0].shape[1] for count in counts]


class Shuffled(Sequence[Mapping[str, Any]]):
    """The same sequences, with the tokens of those in the first language in random order: the null arm."""

    def __init__(self, mixed: Mixed, seed: int) -> None:
        self.mixed, self.seed = mixed, seed

    def __len__(self) -> int:
        return len(self.mixed)

    def __getitem__(self, number: Any) -> Any:
        row = self.mixed[number]
        if row["language"]:
            return row
        return {**row, "input_ids": np.random.default_rng([self.seed, number]).permutation(row["input_ids"])}


# --- training ---------------------------------------------------------------------------------------------------------


def learning_rate(step: int, total: int, settings: TrainingConfig) -> float:
    """Of the official code: a cosine over the whole run from the peak to its last share, times a linear warm-up."""
    cosine = (1 + math.cos(math.pi * step / total)) / 2
    low = settings.final_learning_rate
    warmup = settings.warmup if settings.warmup >= 1 else settings.warmup * total
    return settings.learning_rate * (low + (1 - low) * cosine) * min(1.0, (step + 1) / max(1.0, warmup))


def collate(rows: Sequence[Mapping[str, Any]], _: np.random.Generator) -> dict[str, Tensor]:
    """Blocks of equal length, without padding; inputs and targets are moved alike."""
    ids = torch.from_numpy(np.stack([row["input_ids"] for row in rows])).long()
    return {"input_ids": ids, "labels": ids}


def others_alone(rows: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Tensor]:
    """The same without the sequences of the first language; a step that has no others teaches nothing."""
    kept = [row for row in rows if row["language"]]
    batch = collate(kept or rows[:1], rng)
    return batch if kept else {**batch, "labels": torch.full_like(batch["labels"], IGNORED)}


def train(
    model: Any, mixed: Sequence[Any], settings: TrainingConfig, run: Run, seed: int, name: str = "train",
    *, alone: bool = False,
) -> FitResult:  # fmt: skip
    """One model of one mixture, in the order in which its sequences were drawn.

    The official model multiplies input embeddings by the square root of the width; under Adam that is a table of such
    values with a learning rate as many times as high.
    """
    from core.training.fit import fit

    rate = partial(learning_rate, settings=settings)
    rates = {"wte": math.sqrt(model.config.hidden_size)}
    batch = others_alone if alone else collate
    return fit(model, mixed, settings, run, collate=batch, rate=rate, rates=rates, seed=seed, name=name)


# --- measures ---------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def target_losses(
    model: Any, ids: Int[np.ndarray, " token"], window: int, counted: int, rows: int = 32
) -> Float[np.ndarray, " target"]:
    """Nats of the last `counted` tokens of each window of a text, which moves on by as many."""
    starts = np.arange(0, len(ids) - window + 1, counted)
    found = []
    for part in np.array_split(starts, max(1, math.ceil(len(starts) / rows))):
        batch = torch.from_numpy(ids[part[:, None] + np.arange(window)]).long().to(model.device)
        labels = batch.clone()
        labels[:, : window - counted] = IGNORED
        found.append(-label_log_probs(model, {"input_ids": batch, "labels": labels})[0].cpu().double().numpy())
    return np.concatenate(found)


def monolingual_law(tokens: Sequence[float], perplexity: Sequence[float]) -> Law:
    """Equation (2): least squares on 1 / PPL, unweighted."""
    return fit_saturating(tokens, [1 / value for value in perplexity])


def token_efficiency(law: Law | Curve, perplexity: float, tokens: float) -> float:
    """Equations (3) and (4); NaN where the law never has this perplexity, or the language was not read."""
    equivalent = law.invert(1 / perplexity)
    return equivalent / tokens if math.isfinite(equivalent) and tokens else math.nan
