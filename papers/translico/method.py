"""Contrast a sentence with its transliteration: encoders that read related languages alike in any script.

Related languages in different scripts share words but not one piece of the vocabulary, and a multilingual encoder
keeps them apart: the script barrier. TransliCo (Liu et al. 2024) pairs each sentence x of the pre-training corpus with
its romanisation z, masks the two apart, runs both through the model once, and goes on training with

    L     = L_mlm(x) + L_mlm(z) + lambda * L_tcm
    u_i   = mean of the states after layer l over the tokens of x_i that are not special        (v_i of z_i likewise)
    g     = (u_1, v_1, u_2, v_2, ..., u_B, v_B),     S = g g^T / tau without its diagonal
    L_tcm = 1/2 * mean over r of [ logsumexp_c S_rc - S_{r, partner(r)} ],   partner(2k) = 2k + 1 and the reverse

S holds raw dot products: no cosine. With the one half in L_tcm and lambda = 0.5 the contrast weighs a quarter. The
romanisations of relatives share pieces, so their originals, which nobody pairs, are drawn together through them. At
test time nothing is romanised, and the vocabulary is the old one: what is gained lies in the weights.

    model = finetune(model, tokenizer, lines)          # lines of one or more languages, as they are written
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from core.errors import UserError
from core.experiment.run import Run, temporary
from core.models.embedding import pool
from core.models.loading import longest_input
from core.text.romanize import Romanizer, resolve
from core.training.config import TrainingConfig
from core.training.fit import FitResult, fit
from core.training.losses import Loss
from core.training.masking import Masking, encode, masked_lm

# Learning rate, two passes and 24 pairs a batch, of which all but the partner are negatives, are the official code's.
TRAINING = TrainingConfig(
    epochs=2, batch_size=24, learning_rate=2e-5, schedule="linear", layout="padded", max_length=512
)


class Pair(TypedDict):
    """A sentence and its transliteration."""

    text: str
    transliteration: str


def pair(lines: Iterable[str], romanizer: Romanizer = "uroman") -> list[Pair]:
    """Sentences with their transliterations; one of which nothing is left on either side is dropped."""
    romanize = resolve(romanizer)
    pairs = (Pair(text=line.strip(), transliteration=romanize(line).strip()) for line in lines)
    return [found for found in pairs if all(found.values())]


@dataclass(frozen=True)
class TwoSides:
    """Pairs -> batch: both sides cut and masked apart, each padded to its own longest (`text`, `transliteration`).

    The tokens that are pooled are decided before masking, so that masked ones are among them.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int = 512
    mlm_probability: float = 0.15

    def __call__(self, pairs: Sequence[Pair], rng: np.random.Generator) -> dict[str, Any]:
        """The batch; the two masks are drawn one after the other.

        Of pairs that are written or romanised alike one stays: the same name in two languages is no negative.
        """
        mask = Masking(self.tokenizer, self.mlm_probability, special_mask=True)
        distinct = {row["transliteration"].casefold(): row for row in pairs}.values()
        distinct = {row["text"].casefold(): row for row in distinct}.values()
        sides = zip(*((row["text"], row["transliteration"]) for row in distinct), strict=True)
        text, other = (mask(encode(self.tokenizer, side, max_length=self.max_length), rng) for side in sides)
        tokens = torch.cat([side["attention_mask"].flatten() for side in (text, other)])
        return {"text": text, "transliteration": other, "real_tokens": tokens}


def partners(rows: int) -> Int[Tensor, " rows"]:
    """The row of the other side of each row's pair: 1, 0, 3, 2, 5, 4, ..."""
    return torch.arange(rows) ^ 1


class Contrast(NamedTuple):
    """L_tcm, and the share of rows that are nearest to their partner among all others."""

    loss: Tensor
    accuracy: Tensor


def nt_xent(u: Float[Tensor, "pairs width"], v: Float[Tensor, "pairs width"], temperature: float = 1.0) -> Contrast:
    """L_tcm in float32, of which the official code takes one half: equal vectors cost 1/2 * log(2 pairs - 1)."""
    g = torch.stack([u, v], dim=1).flatten(0, 1).float()
    similarity = g @ g.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(g), dtype=torch.bool, device=g.device), -torch.inf)
    partner = partners(len(g)).to(g.device)
    return Contrast(0.5 * F.cross_entropy(similarity, partner), (similarity.argmax(1) == partner).float().mean())


@dataclass(frozen=True)
class TransliCo:
    """The loss, averaged over the pairs of a batch.

    Attributes:
        layer: After which layer states are pooled: 0 = embeddings, 8 of 12 in the official code.
        contrast_weight: lambda; 0 leaves masked language modelling on both sides.
        lm_weight: Of the two masked-language-model losses; 0 leaves the contrast.
        temperature: tau.
    """

    layer: int
    contrast_weight: float = 0.5
    lm_weight: float = 1.0
    temperature: float = 1.0

    def __call__(self, model: Any, batch: Mapping[str, Any]) -> Loss:
        """Both sides go through the model once, masked; the same pass gives both losses."""
        modelling: Any = 0.0
        vectors = []
        for side in (batch["text"], batch["transliteration"]):
            (total, tokens, _), output = masked_lm(model, side, output_hidden_states=True)
            modelling = modelling + total / max(1, tokens)
            ordinary = 1 - side["special_tokens_mask"]  # none where all of a text is unknown to the tokenizer
            mask = torch.where(ordinary.any(1, keepdim=True), ordinary, side["attention_mask"])
            vectors.append(pool(output.hidden_states[self.layer], mask))
        contrast, accuracy = nt_xent(vectors[0], vectors[1], self.temperature)
        pairs = len(vectors[0])
        loss = self.lm_weight * modelling + self.contrast_weight * contrast
        logs = {"mlm": modelling, "tcm": contrast, "tcm_accuracy": accuracy}
        return Loss(loss * pairs, pairs, {name: value.detach() * pairs for name, value in logs.items()})


def contrast_layer(config: PretrainedConfig, asked: int | None = None) -> int:
    """The layer that is asked for, or two thirds of a model's depth: 8 of 12, as in the official code."""
    return max(1, round(2 * config.get_text_config().num_hidden_layers / 3)) if asked is None else asked


def tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    settings: TrainingConfig,
    run: Run,
    objective: TransliCo,
    *,
    seed: int = 0,
) -> FitResult:
    """Train all parameters on pairs, in place; negatives are the rows of one forward pass on one device.

    Raises:
        UserError: The model has no such layer, or a batch would hold one pair alone.
    """
    depth = model.config.get_text_config().num_hidden_layers
    if not 0 <= objective.layer <= depth:
        raise UserError(f"There is no layer {objective.layer}: this model has 0 (embeddings) to {depth}.")
    if min(len(pairs), settings.batch_size, settings.micro_batch_size or settings.batch_size) < 2:
        raise UserError("A pair alone has nothing to be contrasted with: give at least two pairs, and two a batch.")
    collate: Any = TwoSides(tokenizer, min(settings.max_length, longest_input(model, tokenizer)))
    return fit(model, pairs, settings, run, loss_fn=objective, collate=collate, seed=seed, name="translico")


def finetune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    lines: Iterable[str],
    romanize: Romanizer = "uroman",
    *,
    lambda_: float = 0.5,
    layer: int | None = None,
    settings: TrainingConfig = TRAINING,
    seed: int = 0,
) -> PreTrainedModel:
    """Make a masked language model neutral to script, for the languages of some lines.

    Args:
        model: With its masked-language-model head; it is trained in place.
        tokenizer: Its own, unchanged.
        lines: Sentences as they are written, of one or more languages; Latin-script relatives help.
        romanize: `uroman`, `table:<file.tsv>`, a mapping or a function.
        lambda_: Weight of the contrast.
        layer: See :class:`TransliCo`; None = :func:`contrast_layer` of the model's depth.
        settings: Length and speed; more pairs a batch are more negatives.
        seed: Order, masks and dropout.

    Raises:
        UserError: As :func:`tune`.
    """
    objective = TransliCo(contrast_layer(model.config, layer), lambda_)
    with temporary("translico") as run:
        tune(model, tokenizer, pair(lines, romanize), settings, run, objective, seed=seed)
    return model.eval()
