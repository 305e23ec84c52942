"""Text generation: batched, sorted by length, order restored; and the scoring of choices (`core.inference.scoring`).

texts = generate(model, tokenizer, ["The capital of France is"], max_new_tokens=8, stop=["."])
scores = score_choices(model, tokenizer, ["The capital of France is"], [[" Paris", " Rome"]])

What is not asked for is neutral: a checkpoint's `generation_config.json` decides which tokens end a text, and nothing
else of it is used (beams, penalties, suppressed, forced or least tokens, temperature).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.distributed import path_of
from core.errors import UserError
from core.inference.scoring import (
    Progress,
    alike,
    evaluating,
    without_router_logits,
)
from core.models.flops import layers_of
from core.models.loading import longest_input, prompt_tokens, unwrapped
from core.models.served import Served
from core.models.tokenization import Prompt, prompt_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# What has been seen of models, by attention implementation, adapter and way.
_SEEN: WeakKeyDictionary[torch.nn.Module, dict[Any, bool]] = WeakKeyDictionary()


@torch.inference_mode()
def generate(
    model: PreTrainedModel | Served,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 128,
    stop: Sequence[str] = (),
    temperature: float = 0.0,
    top_p: float = 1.0,
    num_beams: int = 1,
    repetition_penalty: float = 1.0,
    ends: Sequence[int] | None = None,
    seed: int = 0,
    batch_tokens: int | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Continue every prompt.

    Args:
        model: A causal language model, or a PEFT model around one, or a server in its place (`core.models.served`).
        tokenizer: Its tokenizer; prompts are padded on the left here, whatever its own setting. Models whose answers
            would depend on padding (seen on two short prompts) get batches of equal length instead.
        prompts: Texts, read as `core.models.tokenization` says: as in training and scoring.
        max_new_tokens: At most so many tokens each.
        stop: Generation of a prompt ends before the first of these strings in its new text; the string is not part of
            the result.
        temperature: 0 = greedy, which does not depend on the batches; above 0 = sampling.
        top_p: Sample from the smallest set of tokens with this probability.
        num_beams: Width of a beam search; 1 = none.
        repetition_penalty: Divides the (positive) logits of tokens that occurred (CTRL, Keskar et al. 2019); 1 = none.
        ends: Ids that end a text; None = those of the model's generation config, and the tokenizer's end token.
        seed: Of the sampling. The global random state of the CPU and of the model's device is left as it was.
        batch_tokens: Tokens of one batch, padding, new ones and all beams included; `None` = :func:`tokens_at_once`.
        progress: Called with (prompts done, prompts in all) after each batch.

    Returns:
        The new text of each prompt, in the order given, without what ends it and without the tokens that have a role
        (pad, begin, end, unknown, ...). Other special tokens are text: a parser may look for them (`<tool_call>`).

    Raises:
        UserError: A prompt is empty or leaves no room for the new tokens, or an option is out of range.
    """
    if temperature < 0 or not 0 < top_p <= 1 or min(max_new_tokens, num_beams) < 1 or repetition_penalty <= 0:
        raise UserError(
            "generation needs temperature >= 0, 0 < top_p <= 1, max_new_tokens >= 1, num_beams >= 1 and "
            "repetition_penalty > 0"
        )
    if "" in stop:
        raise UserError("an empty stop string ends every text at once: leave it out")
    read = _read(model, tokenizer, prompts, max_new_tokens)
    ids = [prompt.ids for prompt in read]
    ends = _ends(model, tokenizer) if ends is None else ends
    decoder, texts = _Decoder(tokenizer, ends), dict[int, str]()
    if isinstance(model, Served):
        if num_beams > 1:
            raise UserError(f"{model.url} decodes greedily or samples: ask for num_beams = 1")
        # What a prompt ends with is read again as part of the answer, and ends nothing.
        stops = [() if any(mark in prompt.held_back for mark in stop) else stop for prompt in read]
        written = model.complete(
            ids, stops=stops, ends=ends, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p,
            repetition_penalty=repetition_penalty, seed=seed, progress=progress,
        )  # fmt: skip
        found = [decoder.text(new, prompt.held_back) for new, prompt in zip(written, read, strict=True)]
        return [_before(stop, text) for text in found]
    if batch_tokens is None:
        batch_tokens = tokens_at_once(model)
    settings = _settings(
        tokenizer, ends, max_new_tokens=max_new_tokens, num_beams=num_beams, repetition_penalty=repetition_penalty,
        **({"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0} if temperature > 0 else {}),
    )  # fmt: skip

    devices = [model.device] if model.device.type == "cuda" else []
    with evaluating(model), torch.random.fork_rng(devices=devices):
        padded = len({len(row) for row in ids}) > 1 and _follows(model, tokenizer, ids, padded=True)
        plain = bool(ids) and not padded and not _follows(model, tokenizer, ids, padded=False)
        torch.manual_seed(seed)
        for batch in _prompt_batches(ids, max_new_tokens, batch_tokens // num_beams, padded=padded):
            held = [read[number].held_back for number in batch]
            options = {"stopping_criteria": [_Stop(decoder, stop, held, len(ids[batch[0]]))]} if stop else {}
            output = _run(model, settings, [ids[number] for number in batch], plain=plain, **options)
            for number, new in zip(batch, output[:, len(ids[batch[0]]) :].tolist(), strict=True):
                texts[number] = _before(stop, decoder.text(new, read[number].held_back))
            if progress is not None:
                progress(len(texts), len(prompts))
    return [texts[number] for number in range(len(prompts))]


def _before(stop: Sequence[str], text: str) -> str:
    return text[: min((text.find(mark) for mark in stop if mark in text), default=len(text))]


def tokens_at_once(model: Any) -> int:
    """Tokens of a batch: 8,192 on CPUs; elsewhere 131,072, or those whose keys and values take 16 GB.

    Llama-2-7B, whose heads do not share keys, keeps half a megabyte a token: 131,072 would take 69 GB.
    """
    if path_of(model.device) == "cpu":
        return 8192
    text = unwrapped(model).config.get_text_config()
    heads = getattr(text, "num_attention_heads", None) or 1
    shared = getattr(text, "num_key_value_heads", None) or heads
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    each = 2 * layers_of(text) * shared * width * 2  # bf16
    return min(131_072, int(16e9) // max(each, 1))


def _read(
    model: PreTrainedModel | Served, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], max_new_tokens: int
) -> list[Prompt]:
    read = prompt_ids(tokenizer, prompts)
    longest = model.longest if isinstance(model, Served) else longest_input(model, tokenizer)
    room = longest - max_new_tokens
    for number, prompt in enumerate(read):
        length = len(prompt.ids) if prompts[number] else 0
        if not 0 < length <= room:
            raise UserError(
                f"prompt {number} has {length} tokens; with max_new_tokens = {max_new_tokens} this model takes 1 to "
                f"{room}: shorten the prompt ({prompts[number][:60]!r}) or ask for fewer tokens"
            )
    return read


def _prompt_batches(ids: list[tuple[int, ...]], new: int, batch_tokens: int, *, padded: bool) -> Iterator[list[int]]:
    order = sorted(range(len(ids)), key=lambda number: -len(ids[number]))
    for _, group in itertools.groupby(order, key=lambda number: 0 if padded else len(ids[number])):
        batch: list[int] = []
        for number in group:
            if batch and (len(batch) + 1) * (len(ids[batch[0]]) + new) > batch_tokens:
                yield batch
                batch = []
            batch.append(number)
        yield batch


# --- one batch ----------------------------------------------------------------------------------------------------


def _ends(model: PreTrainedModel | Served, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    own = getattr((model if isinstance(model, Served) else unwrapped(model)).generation_config, "eos_token_id", None)
    own = own if isinstance(own, list) else [own]
    return sorted({int(end) for end in (*own, tokenizer.eos_token_id) if end is not None})


def _settings(tokenizer: PreTrainedTokenizerBase, ends: Sequence[int], **options: Any) -> Any:
    from transformers import GenerationConfig

    pad = next((t for t in (tokenizer.pad_token_id, tokenizer.eos_token_id, *ends) if t is not None), 0)
    return GenerationConfig(**{"do_sample": False, "eos_token_id": list(ends) or None, "pad_token_id": pad, **options})


def _run(model: Any, settings: Any, rows: Sequence[tuple[int, ...]], *, plain: bool = False, **options: Any) -> Any:
    """One call of transformers' `generate`; `plain` runs the model on the whole text for every token."""
    width = max(map(len, rows))
    tokens = torch.tensor([[settings.pad_token_id] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    with _instead(model, settings), _whole_texts(model) if plain else contextlib.nullcontext():
        return model.generate(
            input_ids=tokens.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=settings,
            **options,
            **without_router_logits(model),
        )


@contextlib.contextmanager
def _whole_texts(model: Any) -> Iterator[None]:
    """Within the context every step gives the model the whole text and nothing else: no cache, no positions."""
    inner = unwrapped(model)
    # transformers looks for a parameter of the name kwargs.
    inner.prepare_inputs_for_generation = lambda ids, **kwargs: {"input_ids": ids, "use_cache": False}
    try:
        yield
    finally:
        del inner.prepare_inputs_for_generation


@contextlib.contextmanager
def _instead(model: Any, settings: Any) -> Iterator[None]:
    """Within the context the model's own generation config is `settings`: transformers fills gaps from it."""
    holders = [part for part in (model, unwrapped(model)) if "generation_config" in vars(part)]
    before = [part.generation_config for part in holders]
    try:
        for part in holders:
            part.generation_config = settings
        yield
    finally:
        for part, own in zip(holders, before, strict=True):
            part.generation_config = own


def _follows(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: list[tuple[int, ...]], *, padded: bool
) -> bool:
    """Whether generation has the logits of the model's own forward pass, for a prompt and the token after it.

    Recurrent states, positions that the model counts itself (mBART) or otherwise than from 0 (RoBERTa), and learned
    prompts before the padding may not. Seen once for a model, on the beginnings of the longest and shortest prompt.
    """
    if padded and prompt_tokens(model):
        return False
    seen = _SEEN.setdefault(model, {})
    key = model.config.get_text_config()._attn_implementation, str(vars(model).get("active_adapter")), padded
    if key not in seen:
        long = max(ids, key=len)[:8]
        rows = [long, min(ids, key=len)[: max(1, len(long) // 2)]] if padded else [long]
        settings = _settings(tokenizer, [], max_new_tokens=2, output_logits=True, return_dict_in_generate=True)
        output = _run(model, settings, rows)
        seen[key] = all(
            alike(output.logits[step][number], _next(model, (*row, *output.sequences[number, -2:].tolist()[:step])))
            for number, row in enumerate(rows)
            for step in (0, 1)
        )
    return seen[key]


def _next(model: PreTrainedModel, row: Sequence[int]) -> Float[Tensor, " vocabulary"]:
    options = without_router_logits(model)
    return model(torch.tensor([row], device=model.device), use_cache=False, **options).logits[0, -1]


class _Decoder:
    """The text of new tokens up to the first that ends it; tokens with a role are no text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: Sequence[int]) -> None:
        self.tokenizer, self.ends = tokenizer, set(ends)
        roles = ("pad", "bos", "eos", "unk", "cls", "sep", "mask")
        self.roles = {getattr(tokenizer, f"{role}_token_id") for role in roles}

    def text(self, new: Sequence[int], held_back: str) -> str:
        said = itertools.takewhile(lambda token: token not in self.ends, new)
        text = self.tokenizer.decode([token for token in said if token not in self.roles], skip_special_tokens=False)
        return str(text).removeprefix(held_back)


class _Stop:
    """Ends a row whose new text holds a stop string; what the prompt ends with takes no part.

    A stop string of n bytes spans at most n tokens and is looked for after every token, so the last n + 1 are decoded.
    """

    def __init__(self, decoder: _Decoder, stop: Sequence[str], held: Sequence[str], start: int) -> None:
        self.decoder, self.stop, self.held, self.start = decoder, stop, held, start
        self.window = 1 + max(len(mark.encode()) for mark in stop)

    def __call__(self, ids: Int[Tensor, "row length"], scores: Any, **_: Any) -> Bool[Tensor, " row"]:
        beams = len(ids) // len(self.held)
        done = []
        for row, new in enumerate(ids[:, self.start :].tolist()):
            held = self.held[row // beams] if len(new) <= self.window else ""
            text = self.decoder.text(new[-self.window :], held)
            done.append(any(mark in text for mark in self.stop))
        return torch.tensor(done, device=ids.device)
