"""Masked language modelling (BERT) and its translation form (TLM): rows, batches, loss.

    rows = encode(tokenizer, lines)        # or encode(tokenizer, lines, translations)
    mask = Masking(tokenizer, whole_words=True, max_predictions=80)
    fit(model, rows, settings, run, collate=mask, loss_fn=masked_lm_loss)

A share of the tokens is to be predicted; of these 80 % are replaced by the mask token, 10 % by a random token of the
whole vocabulary, 10 % stay (by transformers' `DataCollatorForLanguageModeling`). Masks are drawn anew for every batch.
Special tokens and padding are never chosen. Two texts that are masked apart, such as a sentence and its romanisation
(TransliCo), are two calls with one `rng`.

Its own whole-word option is not used: it takes words for what lies between gaps of the text, so that Chinese and
Thai are one word, counts words instead of tokens, and does not replace at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor, nn

from core.errors import UserError
from core.models.loading import unwrapped
from core.training.losses import IGNORED, Loss, model_inputs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL = -1


def encode(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    max_length: int = 512,
) -> list[dict[str, list[int]]]:
    """Token rows, with the word that each token belongs to.

    Args:
        tokenizer: A fast tokenizer.
        texts: One a row.
        pairs: The second segment of each row: a translation, another spelling. Positions run on.
        max_length: Tokens of a row, special ones included; the longer segment is cut first.

    Returns:
        `input_ids`, `words` (number of the word as the tokenizer divides the text, the words of the second segment
        after those of the first; -1 for special tokens), and `token_type_ids` where the tokenizer gives them.

    Raises:
        UserError: The tokenizer does not tell words.
    """
    if not tokenizer.is_fast:
        raise UserError(f"{type(tokenizer).__name__} does not tell words apart: load the fast tokenizer.")
    encoded = tokenizer(list(texts), list(pairs) if pairs is not None else None, truncation=True, max_length=max_length)
    special = set(tokenizer.all_special_ids)
    rows = []
    for number, ids in enumerate(encoded["input_ids"]):
        row = {"input_ids": ids, "words": _words(encoded, number, ids, special)}
        if "token_type_ids" in encoded:
            row["token_type_ids"] = encoded["token_type_ids"][number]
        rows.append(row)
    return rows


def _words(encoded: Any, number: int, ids: Sequence[int], special: set[int]) -> list[int]:
    known: dict[tuple[int | None, int | None], int] = {}
    sides = zip(ids, encoded.sequence_ids(number), encoded.word_ids(number), strict=True)
    return [
        SPECIAL if side is None or token in special else known.setdefault((side, word), len(known))
        for token, side, word in sides
    ]


@dataclass(frozen=True)
class Masking:
    """Rows -> batch: `input_ids` with masks, `labels`, `attention_mask`, and `token_type_ids` where the rows have them.

    Attributes:
        tokenizer: With a mask token.
        rate: Share of a row's tokens to predict. Token by token each is chosen with this probability; whole words are
            chosen until they hold that many tokens, at least one word a row, the last one possibly beyond the share
            (BERT's reference code stops before it, and masks nothing in a row of long words).
        whole_words: Choose whole words.
        max_predictions: Most tokens to predict in a row; None = no limit.
        replaced: Share of the chosen tokens that become the mask token.
        random: Share that becomes a random token; the rest stays.
        special_mask: Put `special_tokens_mask` into the batch as well (1 for special tokens and padding), to pool the
            other positions.
    """

    tokenizer: PreTrainedTokenizerBase
    rate: float = 0.15
    whole_words: bool = False
    max_predictions: int | None = None
    replaced: float = 0.8
    random: float = 0.1
    special_mask: bool = False

    def __post_init__(self) -> None:
        if self.tokenizer.mask_token_id is None:
            raise UserError("The tokenizer has no mask token: set tokenizer.mask_token, or train another objective.")
        if not 0 < self.rate <= 1 or (self.max_predictions is not None and self.max_predictions < 1):
            raise UserError(f"rate = {self.rate} has to lie in (0, 1] and max_predictions to be at least 1.")
        _ = self._replacer  # refuses shares that do not add up

    @cached_property
    def _replacer(self) -> Any:
        from transformers import DataCollatorForLanguageModeling

        try:
            return DataCollatorForLanguageModeling(
                self.tokenizer, mlm_probability=1.0, mask_replace_prob=self.replaced, random_replace_prob=self.random
            )
        except ValueError as error:
            raise UserError(f"replaced = {self.replaced} and random = {self.random} are no shares: {error}") from None

    def __call__(self, rows: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Tensor]:
        """The batch; the same for the same rows and state of `rng`."""
        width = max(len(row["input_ids"]) for row in rows)

        def padded(name: str, filler: int) -> Int[Tensor, "row length"]:
            return torch.tensor([[*row[name], *[filler] * (width - len(row[name]))] for row in rows])

        words = padded("words", SPECIAL)
        batch = {
            "input_ids": padded("input_ids", int(self.tokenizer.pad_token_id)),
            "attention_mask": torch.tensor([[1] * n + [0] * (width - n) for n in (len(r["input_ids"]) for r in rows)]),
        }
        if "token_type_ids" in rows[0]:
            batch["token_type_ids"] = padded("token_type_ids", 0)
        chosen = torch.from_numpy(np.stack([self._choose(row, rng) for row in words.numpy()]))
        self._replacer.generator = torch.Generator().manual_seed(int(rng.integers(2**63 - 1)))
        batch["input_ids"], batch["labels"] = self._replacer.torch_mask_tokens(
            batch["input_ids"], special_tokens_mask=~chosen
        )
        if self.special_mask:
            batch["special_tokens_mask"] = (words == SPECIAL).long()
        return batch

    def _choose(self, words: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Which tokens of one row are to be predicted."""
        ordinary = np.flatnonzero(words != SPECIAL)
        if not len(ordinary):
            return np.zeros(len(words), bool)
        limit = self.max_predictions or len(words)
        if not self.whole_words:
            found = ordinary[rng.random(len(ordinary)) < self.rate]
            return np.isin(np.arange(len(words)), rng.permutation(found)[:limit])
        target = min(limit, max(1, int(self.rate * len(ordinary) + 0.5)))
        names, sizes = np.unique(words[ordinary], return_counts=True)
        taken, total = [], 0
        for place in rng.permutation(len(names)):
            if total < target and total + sizes[place] <= limit:
                taken.append(names[place])
                total += sizes[place]
        return np.isin(words, taken)


def masked_lm_loss(model: nn.Module, batch: Mapping[str, Any]) -> Loss:
    """Cross-entropy over the labels, in nats; the output layer runs on the chosen positions alone.

    Args:
        model: A masked language model of transformers, or a PEFT model around one.
        batch: Of :class:`Masking`.
    """
    return masked_lm(model, batch)[0]


def masked_lm(model: nn.Module, batch: Mapping[str, Any], **options: Any) -> tuple[Loss, Any]:
    """The loss of :func:`masked_lm_loss`, and what the forward pass gave besides the logits.

    Args:
        model: As there.
        batch: As there.
        **options: Of the forward pass, such as `output_hidden_states=True`.
    """
    labels = batch["labels"]
    chosen = labels != IGNORED
    head = unwrapped(model).get_output_embeddings()
    if head is None:
        raise UserError(f"{type(model).__name__} has no output layer: load it with task='masked-lm'.")
    with_labels = {key: value for key, value in batch.items() if key != "special_tokens_mask"}
    hook = head.register_forward_pre_hook(lambda _, inputs: (_at(inputs[0], chosen), *inputs[1:]))
    try:
        output = model(**model_inputs(with_labels), **options)
    finally:
        hook.remove()
    loss = F.cross_entropy(output.logits[0].float(), labels[chosen], reduction="sum")
    return Loss(loss, int(chosen.sum())), output


def _at(hidden: Tensor, chosen: Bool[Tensor, "row length"]) -> Tensor:
    return hidden[chosen][None]
