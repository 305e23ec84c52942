"""Text generation: batched, sorted by length, order restored; and the scoring of choices (`core.inference.scoring`).

texts = generate(model, tokenizer, ["The capital of France is"], max_new_tokens=8, stop=["."])
scores = score_choices(model, tokenizer, ["The capital of France is"], [[" Paris", " Rome"]])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor

from core.errors import UserError
from core.inference.scoring import (
    ChoiceScore,
    Progress,
    evaluating,
    log_likelihoods,
    score_choices,
    token_ids,
    without_router_logits,
)
from core.models.tokenization import longest_input

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["ChoiceScore", "generate", "log_likelihoods", "score_choices"]


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 128,
    stop: Sequence[str] = (),
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    batch_tokens: int | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Continue every prompt.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer; prompts are padded on the left here, whatever its own setting.
        prompts: Texts. A prompt that spells out the begin token (a rendered chat template) does not get a second one.
        max_new_tokens: At most so many tokens each.
        stop: Generation of a prompt ends before the first of these strings; the string is not part of the result.
        temperature: 0 = greedy, which does not depend on the batches; above 0 = sampling.
        top_p: Sample from the smallest set of tokens with this probability.
        seed: Of the sampling. The global random state of the CPU and of the model's device is left as it was.
        batch_tokens: Tokens of one batch, padding and new ones included; `None` = 8,192 on CPUs, 131,072 elsewhere.
        progress: Called with (prompts done, prompts in all) after each batch.

    Returns:
        The new text of each prompt, without special tokens, in the order given.

    Raises:
        UserError: A prompt is empty or leaves no room for the new tokens, or an option is out of range.
    """
    if temperature < 0 or not 0 < top_p <= 1 or max_new_tokens < 1:
        raise UserError("generation needs temperature >= 0, 0 < top_p <= 1 and max_new_tokens >= 1")
    if batch_tokens is None:
        batch_tokens = 8192 if model.device.type == "cpu" else 131072
    ids = _prompt_ids(model, tokenizer, prompts, max_new_tokens)
    options: dict[str, Any] = {"do_sample": temperature > 0, "max_new_tokens": max_new_tokens}
    options |= {"temperature": temperature, "top_p": top_p, "top_k": 0} if temperature > 0 else {}
    options |= {"stop_strings": list(stop), "tokenizer": tokenizer} if stop else {}
    options |= {
        "pad_token_id": tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    }

    generator: Any = model.generate
    texts: dict[int, str] = {}
    devices = [model.device] if model.device.type == "cuda" else []
    with evaluating(model), torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        for batch in _prompt_batches(ids, max_new_tokens, batch_tokens):
            tokens, mask = _left_padded([ids[number] for number in batch], options["pad_token_id"])
            output = generator(
                input_ids=tokens.to(model.device),
                attention_mask=mask.to(model.device),
                **options,
                **_plain_sampling(temperature),
                **without_router_logits(model),
            )
            new = tokenizer.batch_decode(output[:, tokens.shape[1] :], skip_special_tokens=True)
            texts.update(zip(batch, (_before(text, stop) for text in new), strict=True))
            if progress is not None:
                progress(len(texts), len(prompts))
    return [texts[number] for number in range(len(prompts))]


def _prompt_ids(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], max_new_tokens: int
) -> list[tuple[int, ...]]:
    encoded = token_ids(tokenizer, {(prompt, True) for prompt in prompts})
    room = longest_input(model, tokenizer) - max_new_tokens
    for number, prompt in enumerate(prompts):
        length = len(encoded[prompt, True])
        if not 0 < length <= room:
            raise UserError(
                f"prompt {number} has {length} tokens; with max_new_tokens = {max_new_tokens} this model takes 1 to "
                f"{room}: shorten the prompt or ask for fewer tokens"
            )
    return [encoded[prompt, True] for prompt in prompts]


def _prompt_batches(ids: list[tuple[int, ...]], new: int, batch_tokens: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for number in sorted(range(len(ids)), key=lambda number: -len(ids[number])):
        if batch and (len(batch) + 1) * (len(ids[batch[0]]) + new) > batch_tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _left_padded(rows: list[tuple[int, ...]], pad: int) -> tuple[Int[Tensor, "row length"], Int[Tensor, "row length"]]:
    width = max(map(len, rows))
    tokens = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return tokens, mask


def _plain_sampling(temperature: float) -> dict[str, None]:
    # Checkpoints bring sampling settings of their own, which greedy search would warn about.
    return {} if temperature > 0 else {"temperature": None, "top_p": None, "top_k": None}


def _before(text: str, stop: Sequence[str]) -> str:
    return text[: min((text.find(mark) for mark in stop if mark in text), default=len(text))]
