"""What a paper hands in to have its real scale run on fake tensors: model, loss, a row of data, an evaluation call.

    def simulation(config):
        model = pretrained(config.model)
        return [Simulation("tuning", model, config.training, evaluate=partial(write, prompt=512, new=256))]

A paper's `simulation(config)` returns one for each model or phase that differs in what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

    from core.training.config import TrainingConfig
    from core.training.masking import Masking

Build = Callable[["torch.dtype"], Any]


@dataclass(frozen=True)
class Simulation:
    """A model of a paper at its true shapes, and what is done with it.

    Attributes:
        name: Of the phase.
        model: `model(dtype)` builds what is trained (float32) and evaluated (bfloat16), with adapters and all, from
            its configuration; the weights are not looked at.
        training: Sizes, number format, strategy; None trains nothing.
        loss: The paper's own; None = `causal_lm_loss`.
        row: The largest row of its data; None = `max_length` tokens, each with a loss.
        collate: Makes the batch, as in `fit`; None = documents.
        evaluate: `evaluate(model)` is the largest step of the paper's evaluation; None evaluates nothing.
        number: What `.item()` answers in the loss, where it asks for a length.
    """

    name: str
    model: Build
    training: TrainingConfig | None = None
    loss: Callable[..., Any] | None = None
    row: Any = None
    collate: Callable[..., Any] | None = None
    evaluate: Callable[[Any], object] | None = None
    number: int = 0


def pretrained(
    architecture: str | PretrainedConfig, task: Any = "causal-lm", *, always: str = "", **changes: Any
) -> Build:
    """A model by its hub id or configuration.

    Args:
        architecture: As in :class:`core.cost.workload.Workload`.
        task: As in `core.models.loading.load_model`.
        always: Its type, where training and evaluation load it in the same one.
        changes: Fields of the configuration, such as `vocab_size`.
    """

    def build(dtype: torch.dtype) -> Any:
        import torch

        from core.cost.accounting import config_of
        from core.models.loading import from_config

        config = config_of(architecture)
        config.update(changes)
        return from_config(config, seed=0, task=task, dtype=getattr(torch, always) if always else dtype)

    return build


def adapted(
    architecture: str | PretrainedConfig, rank: int, *, nf4: bool = False, attention: str | None = None, **lora: Any
) -> Build:
    """LoRA on a base in bf16 or, as QLoRA, in NF4.

    bitsandbytes runs on GPUs alone; `core.models.nf4` stores as many bytes, and reads them back whenever they are used.

    Args:
        architecture: As in :func:`pretrained`.
        rank: Of the adapters.
        nf4: Store the base in 4 bits.
        attention: As in `core.models.loading.from_config`.
        lora: Options of `core.models.adapters.with_lora`.
    """

    def build(dtype: torch.dtype) -> Any:
        import torch
        from torch.nn.utils import parametrize

        from core.cost.accounting import config_of
        from core.models.adapters import with_lora
        from core.models.loading import from_config
        from core.models.nf4 import quantize_layers

        model: Any = from_config(config_of(architecture), seed=0, dtype=torch.bfloat16, attention=attention)
        if nf4:
            quantize_layers(model)
            # What PEFT prepares for training, embeddings in fp32 among it, is not done to read answers.
            model.quantization_method = "nf4" if dtype == torch.float32 else None
        with parametrize.cached():  # PEFT looks at each weight a score of times
            return with_lora(model, rank, **lora)

    return build


def masking(**options: Any) -> Masking:
    """`core.training.masking.Masking` with a tokenizer that knows a few words: which ids there are makes no odds."""
    from core.training.masking import Masking

    return Masking(tokenizer(), **options)


def tokenizer() -> Any:
    """One with every special token, for what needs a tokenizer to be made."""
    from core.models.tokenization import train_wordpiece

    return train_wordpiece(["a b c"], 100)


def read(model: Any, *, length: int, rows: int = 0) -> None:
    """The hidden states of a batch of texts; as many as `core.models.embedding` reads at once, or `rows`."""
    from core.models.embedding import hidden_states

    texts = [[0] * length] * (rows or max(1, 16_384 // length))
    for _ in hidden_states(model, texts, batch_tokens=rows * length or None):
        pass


def score(model: Any, *, length: int, targets: int = 8) -> None:
    """The log-probabilities of the last `targets` tokens of each text, with as many texts as are scored at once."""
    import torch

    from core.inference.scoring import BATCH_TOKENS

    ids = torch.zeros(max(1, BATCH_TOKENS // length), length, dtype=torch.long)
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=targets).logits.log_softmax(-1)


def write(model: Any, *, prompt: int, new: int, beams: int = 1, rows: int = 0) -> None:
    """Generation: the prompts are read, then the cache has its full length and one more token is written.

    Args:
        model: A causal language model.
        prompt: Tokens of a prompt.
        new: Tokens that are written.
        beams: Width of the search.
        rows: Prompts of a batch; 0 = as many as `core.inference.generation` takes.
    """
    import torch

    from core.inference.generation import tokens_at_once

    rows = rows or max(1, tokens_at_once(model) // beams // (prompt + new))
    with torch.inference_mode():
        ids = torch.zeros(rows * beams, prompt, dtype=torch.long)
        mask = torch.ones(rows * beams, prompt + new, dtype=torch.long)
        output = model(input_ids=ids, attention_mask=mask[:, :prompt], use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        del output
        _lengthen(cache, prompt + new - 1)
        logits = model(
            input_ids=ids[:, :1], attention_mask=mask, past_key_values=cache, use_cache=True, logits_to_keep=1
        ).logits
        logits.float().log_softmax(-1)  # what a beam search compares, and sampling draws from


def translate(model: Any, *, source: int, new: int, beams: int, rows: int = 64) -> None:
    """The same for an encoder-decoder: `rows` sources are read, and the last of the new tokens is written."""
    import torch

    with torch.inference_mode():
        ids = torch.zeros(rows, source, dtype=torch.long)
        states = model.get_encoder()(input_ids=ids, attention_mask=torch.ones_like(ids))[0].repeat_interleave(beams, 0)
        token = torch.zeros(rows * beams, 1, dtype=torch.long)
        cache = model(encoder_outputs=(states,), decoder_input_ids=token, use_cache=True).past_key_values
        _lengthen(cache.self_attention_cache, new - 1)
        output = model(encoder_outputs=(states,), decoder_input_ids=token, past_key_values=cache, use_cache=True)
        output.logits.float().log_softmax(-1)


def _lengthen(cache: Any, length: int) -> None:
    """Make room for as many tokens, where a layer has no window; recurrent states do not grow."""
    for layer in cache.layers:
        for part in ("keys", "values") if hasattr(layer, "keys") else ():
            held = getattr(layer, part)
            full = max(held.shape[2], min(length, getattr(layer, "sliding_window", None) or length))
            setattr(layer, part, held.new_empty(*held.shape[:2], full, held.shape[3]))
            if hasattr(layer, "cumulative_length"):
                layer.cumulative_length = full


def row(settings: TrainingConfig, **others: Any) -> dict[str, Any]:
    """A row of `max_length` tokens, each a word of its own, with other fields."""
    return {"input_ids": [0] * settings.max_length, "words": [*range(settings.max_length)], **others}
