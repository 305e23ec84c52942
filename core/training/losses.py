"""Losses that never hold what they do not need: the language-model head on label positions only, in chunks.

With T label tokens, width d and vocabulary V, the plain loss materialises T x V logits several times over (bf16 logits,
fp32 copy, softmax, gradient). At V = 250,000 that is most of the memory and, on small models, most of the time. Here

    L = sum_t [ logsumexp_v(h_t . w_v) - h_t . w_{y_t} ]
    dL/dh_t = (p_t - onehot(y_t)) W,      dL/dW = sum_t (p_t - onehot(y_t)) h_t^T

are computed together, chunk of tokens by chunk, in the forward pass: three matrix products as in the plain loss, one
chunk of logits at a time (the scheme of Liger kernel's fused linear cross-entropy, here for every device).

The contract of a loss function, `loss_fn(model, batch) -> Loss`: the *sum* over whatever it counts, and how many.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from core.distributed import path_of
from core.errors import UserError
from core.models.flops import experts_of
from core.models.loading import unwrapped

IGNORED = -100
# Elements of one chunk of logits: 256 MB in fp32, half in bf16; larger chunks win nothing.
CHUNK_ELEMENTS = 1 << 26
# Elements of the accurate copy of a few rows of logits on a CPU: 2 MB in fp32.
CACHED_ELEMENTS = 1 << 19

CrossEntropy = Literal["auto", "plain", "chunked", "fused"]


class Loss(NamedTuple):
    """What a loss function returns for one micro-batch.

    Attributes:
        total: Scalar with a graph: the loss summed over the items (label tokens, pairs, sentences).
        items: How many; the optimiser step divides by the items of all its micro-batches and ranks. An auxiliary term
            that is a mean joins as `weight * term * items`.
        logs: Further sums over the same items, detached; the log shows them divided by their number.
    """

    total: Tensor
    items: Tensor | int
    logs: Mapping[str, Tensor] = {}


def model_inputs(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a batch that a model's forward takes."""
    return {
        key: value for key, value in batch.items() if key not in ("labels", "label_positions", "targets", "real_tokens")
    }


def causal_lm_loss(
    model: nn.Module,
    batch: Mapping[str, Any],
    *,
    router_aux_weight: float = 0.0,
    router_loss: Callable[..., Tensor] | None = None,
    cross_entropy: CrossEntropy = "auto",
) -> Loss:
    """Next-token cross-entropy over the label tokens, in nats.

    Args:
        model: A causal language model of transformers, or a PEFT model around one.
        batch: What :func:`core.training.packing.collate` makes; or `input_ids`, perhaps `attention_mask`, `labels`.
        router_aux_weight: For mixtures of experts: weight of the load-balancing loss (Switch Transformer, equations
            4-6; Mixtral's `router_aux_loss_coef`), computed over the real tokens of the micro-batch.
        router_loss: Instead of :func:`load_balancing_loss`, with its arguments.
        cross_entropy: "plain" = logits of all label positions at once; "chunked" and "fused" as in
            :func:`linear_cross_entropy`; "auto" = fused on GPUs where liger-kernel is installed, otherwise chunked.

    Returns:
        Loss sum and number of label tokens; with a router loss, both terms for the log.
    """
    positions, targets = shifted_targets(batch)
    options: dict[str, Any] = {"use_cache": False}
    if router_aux_weight:
        options["output_router_logits"] = True
    kind = _head_kind(model)
    if kind == "whole":
        output = model(**model_inputs(batch), **options)
        states = output.logits
    else:
        states, output = decode(model, **model_inputs(batch), **options)
    virtual = states.shape[1] - batch["input_ids"].shape[1]
    if virtual:  # tokens that prompt tuning lays before the row
        positions, targets = shifted_targets({"labels": F.pad(batch["labels"], (virtual, 0), value=IGNORED)})
    states = states.flatten(0, 1)[positions]
    if kind == "whole":
        loss = F.cross_entropy(states.to(_accurate(states.dtype)), targets, reduction="sum")
    elif kind == "linear":
        weight = unwrapped(model).get_output_embeddings().weight
        loss = linear_cross_entropy(states, weight, targets, kind=cross_entropy)
    else:
        loss = _own_cross_entropy(model, states, targets, len(targets) if cross_entropy == "plain" else 0)
    count = targets.numel()
    logs = {}
    if router_aux_weight:
        _, top_k = experts_of(unwrapped(model).config.get_text_config())
        real = _real_tokens(batch)
        real = real if real is None else F.pad(real, (virtual, 0), value=1)
        aux = (router_loss or load_balancing_loss)(output.router_logits, top_k=top_k, real_tokens=real)
        logs = {"cross_entropy": loss.detach(), "router_aux": aux.detach() * count}
        loss = loss + router_aux_weight * count * aux
    return Loss(loss, count, logs)


def label_log_probs(model: nn.Module, batch: Mapping[str, Any]) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Log-probability of every label in nats, in the accuracy of float32, and the row of the batch it stands in.

    The head runs on the positions of labels alone.

    Args:
        model: A causal language model of transformers, or a PEFT model around one.
        batch: `input_ids`, `labels` (-100 = ignored) and perhaps `attention_mask`, [row, length].
    """
    positions, targets = shifted_targets(batch)
    rows = positions // batch["input_ids"].shape[1]
    if _head_kind(model) == "whole":
        logits = model(**model_inputs(batch), use_cache=False).logits.flatten(0, 1)[positions]
    else:
        states, _ = decode(model, **model_inputs(batch), use_cache=False)
        logits = _behind_decoder(model, states.flatten(0, 1)[positions])
    return -F.cross_entropy(logits.to(_accurate(logits.dtype)), targets, reduction="none"), rows


# --- the decoder, and what stands behind it ---------------------------------------------------------------------------

# linear: logits are hidden . W^T with a W that nothing adapts; own: some other function of a position's hidden state
# (a cap, a scale, a bias, an adapter, a transform); whole: not to be separated, only the model as a whole gives logits.
HeadKind = Literal["linear", "own", "whole"]
_HEADS: weakref.WeakKeyDictionary[nn.Module, dict[tuple[type, bool], HeadKind]] = weakref.WeakKeyDictionary()


def decode(model: nn.Module, **inputs: Any) -> tuple[Float[Tensor, "batch length dim"], Any]:
    """Call the model, wrappers included, and catch what its decoder hands on; the head runs on one position a row.

    Returns:
        The hidden states, and the model's output (of which logits are therefore useless).
    """
    caught: list[Tensor] = []

    def catch(_: nn.Module, __: Any, output: Any) -> Any:
        caught.append(output[0])
        return _Hidden((output[0][:, :1],), output)

    handle = unwrapped(model).get_decoder().register_forward_hook(catch)
    try:
        output = model(**inputs)
    finally:
        handle.remove()
    (hidden,) = caught
    return hidden, output


class _Hidden(tuple):
    """A decoder's output with other hidden states: fields and all as in `rest`, None where there is no rest."""

    rest: Any

    def __new__(cls, hidden: tuple[Tensor], rest: Any = None) -> _Hidden:
        self = super().__new__(cls, hidden)
        self.rest = rest
        return self

    def __getattr__(self, name: str) -> Any:
        return self[0] if name == "last_hidden_state" else getattr(self.rest, name, None)


def _behind_decoder(model: nn.Module, hidden: Float[Tensor, "n dim"]) -> Float[Tensor, "n vocabulary"]:
    """What the model makes of hidden states, by its own code: its decoder is replaced for one call."""
    decoder = unwrapped(model).get_decoder()
    before = vars(decoder).get("forward")
    decoder.forward = lambda *_, **__: _Hidden((hidden[None],))
    try:
        token = torch.zeros(1, 1, dtype=torch.long, device=hidden.device)
        return model(input_ids=token, use_cache=False).logits[0]
    finally:
        del decoder.forward
        if before is not None:
            decoder.forward = before


def _head_kind(model: nn.Module) -> HeadKind:
    """What stands behind the decoder, tried out once for a head (and for training, where dropout may stand there)."""
    lm = unwrapped(model)
    head = lm.get_output_embeddings() if hasattr(lm, "get_output_embeddings") else None
    if head is None or lm.get_decoder() is lm:
        return "whole"
    known, case = _HEADS.setdefault(head, {}), (type(model), model.training)
    if case not in known:
        with torch.random.fork_rng(devices=[head.weight.device] if head.weight.is_cuda else []):
            known[case] = _try_head(model, head)
    return known[case]


def assume_head(model: nn.Module, kind: HeadKind) -> None:
    """Say what stands behind the decoder where it cannot be tried out: a model without values."""
    _HEADS.setdefault(unwrapped(model).get_output_embeddings(), {})[type(model), model.training] = kind


def _try_head(model: nn.Module, head: Any) -> HeadKind:
    inputs = {"input_ids": torch.zeros(1, 2, dtype=torch.long, device=head.weight.device), "use_cache": False}
    try:
        with torch.no_grad():
            torch.manual_seed(0)
            whole = model(**inputs).logits[0]
            torch.manual_seed(0)
            caught, output = decode(model, **inputs)
            apart = _close(output.logits[0], whole[:1]) and _close(_behind_decoder(model, caught[0]), whole)
    except (AttributeError, TypeError, ValueError, IndexError, RuntimeError):
        # A model that cannot be taken apart like this is asked for its logits as a whole, which is always right.
        apart = False
    if not apart:
        return "whole"
    if type(head) is not nn.Linear or head._forward_hooks or head._forward_pre_hooks:
        return "own"
    with torch.inference_mode(False), torch.enable_grad():
        # As large as trained logits can be, so that a cap shows.
        hidden = torch.randn(caught[0].shape, dtype=caught.dtype, device=caught.device)
        hidden *= 100 / F.linear(hidden, head.weight).detach().abs().max()
        logits = _behind_decoder(model, hidden)
        # A parameter that changes nothing yet (a bias of zeros, a scale of one) will when it is trained.
        others = [p for p in model.parameters() if p.requires_grad and p is not head.weight]
        used = torch.autograd.grad(logits.sum(), others, allow_unused=True) if logits.requires_grad and others else ()
        linear = _close(logits, F.linear(hidden, head.weight)) and all(gradient is None for gradient in used)
    return "linear" if linear else "own"


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= 1e-3 * b.abs().max())


def _own_cross_entropy(model: nn.Module, hidden: Tensor, targets: Tensor, chunk: int) -> Tensor:
    """Cross-entropy behind the model's own head, summed; a chunk of logits at a time, made again for the gradient."""

    def part(h: Tensor, y: Tensor) -> Tensor:
        logits = _behind_decoder(model, h)
        return F.cross_entropy(logits.to(_accurate(logits.dtype)), y, reduction="sum")

    chunk = chunk or max(64, CHUNK_ELEMENTS // unwrapped(model).get_output_embeddings().weight.shape[0])
    parts = zip(hidden.split(chunk), targets.split(chunk), strict=True)
    return torch.stack([checkpoint(part, h, y, use_reentrant=False, preserve_rng_state=False) for h, y in parts]).sum()


def shifted_targets(batch: Mapping[str, Any]) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Flat indices of the tokens whose next token is a label, and those labels.

    Raises:
        UserError: If the batch has neither `label_positions` nor `labels`.
    """
    if "label_positions" in batch:
        return batch["label_positions"], batch["targets"]
    if "labels" not in batch:
        raise UserError("The batch has no 'labels': the collate function has to give them (-100 = ignored).")
    labels = batch["labels"].clone()
    labels[:, 0] = IGNORED
    flat = labels.flatten()
    positions = (flat[1:] != IGNORED).nonzero().squeeze(1)
    return positions, flat[1:][positions]


def _real_tokens(batch: Mapping[str, Any]) -> Tensor | None:
    return batch.get("real_tokens", batch.get("attention_mask"))


def load_balancing_loss(
    router_logits: tuple[Float[Tensor, "tokens experts"], ...], *, top_k: int, real_tokens: Tensor | None = None
) -> Float[Tensor, ""]:
    """E * sum_e f_e * P_e: fraction of tokens routed to expert e times its mean probability; top_k when balanced.

    Args:
        router_logits: Of every layer; layers are pooled, as in transformers' Mixtral.
        top_k: Experts a token goes to.
        real_tokens: Tokens that count ([batch, length] or flat); None = all.
    """
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    layers: Any = router_logits
    loss: Any = load_balancing_loss_func(layers, router_logits[0].shape[-1], top_k, real_tokens)
    return loss


def linear_cross_entropy(
    hidden: Float[Tensor, "n d"],
    weight: Float[Tensor, "v d"],
    targets: Int[Tensor, " n"],
    *,
    kind: CrossEntropy = "auto",
    chunk: int = 0,
) -> Float[Tensor, ""]:
    """Sum over n of the cross-entropy of softmax(hidden . weight^T), without holding all logits.

    Args:
        hidden: Inputs of the head; under autocast the products are computed in its type.
        weight: The head's matrix.
        targets: Classes between 0 and v - 1.
        kind: "chunked", or "fused" (liger-kernel, GPUs); "plain" holds all logits; "auto" chooses.
        chunk: Tokens a chunk; 0 = as many as give 2^26 logits.

    Returns:
        The sum in fp32 (fp64 for fp64 inputs).

    Raises:
        UserError: If "fused" is asked for without a GPU or without liger-kernel.
    """
    device = hidden.device.type
    kind = ("fused" if device == "cuda" and _has_liger() else "chunked") if kind == "auto" else kind
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    if kind == "plain":
        return F.cross_entropy(F.linear(hidden, weight).to(_accurate(dtype)), targets, reduction="sum")
    if kind == "fused":
        if device != "cuda" or not _has_liger():
            raise UserError(
                "cross_entropy = 'fused' needs a GPU and liger-kernel: use 'chunked', or `uv sync --extra gpu`."
            )
        from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

        return liger_fused_linear_cross_entropy(hidden.to(dtype), weight.to(dtype), targets, reduction="sum")
    chunk = chunk or max(64, CHUNK_ELEMENTS // weight.shape[0])
    return _ChunkedLinearCrossEntropy.apply(hidden, weight, targets, chunk, dtype, torch.is_grad_enabled())


def _has_liger() -> bool:
    import importlib.util

    return importlib.util.find_spec("liger_kernel") is not None


def _accurate(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _softmax_minus_target_(logits: Float[Tensor, "n v"], targets: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Sum of the cross-entropy; `logits` become its derivative by them, softmax minus one-hot, in place.

    A CPU goes through a few rows at a time, so that the accurate copy of them stays in its cache.
    """
    total = logits.new_zeros((), dtype=_accurate(logits.dtype))
    rows = len(targets) if path_of(logits.device) != "cpu" else max(1, CACHED_ELEMENTS // logits.shape[1])
    for part, y in zip(logits.split(rows), targets.split(rows), strict=True):
        log_p = F.log_softmax(part, dim=1, dtype=_accurate(logits.dtype))
        total -= log_p.gather(1, y[:, None]).sum()
        part.copy_(log_p.exp_())
        part[torch.arange(len(y), device=y.device), y] -= 1
    return total


class _ChunkedLinearCrossEntropy(torch.autograd.Function):
    """Loss and both gradients in one pass over chunks of tokens; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int, dtype: torch.dtype, train: bool
    ) -> Tensor:
        wants_hidden, wants_weight = (train and needed for needed in ctx.needs_input_grad[:2])
        w = weight.to(dtype)
        total = hidden.new_zeros((), dtype=_accurate(dtype))
        d_hidden = torch.empty_like(hidden) if wants_hidden else None
        d_weight = torch.zeros_like(weight) if wants_weight and not len(targets) else None
        buffer = hidden.new_empty(min(chunk, len(targets)), len(weight), dtype=dtype)
        for begin in range(0, len(targets), chunk):
            y = targets[begin : begin + chunk]
            h = hidden[begin : begin + chunk].to(dtype)
            logits = torch.mm(h, w.T, out=buffer[: len(y)])
            total += _softmax_minus_target_(logits, y)
            if d_hidden is not None:
                d_hidden[begin : begin + chunk] = logits @ w
            if wants_weight and d_weight is None:
                d_weight = (logits.T @ h).to(weight.dtype)
            elif d_weight is not None:
                d_weight = d_weight.addmm_(logits.T, h) if dtype == weight.dtype else d_weight.add_(logits.T @ h)
        ctx.save_for_backward(d_hidden, d_weight)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        # On a CPU reading the scalar is free and saves a pass over two large tensors in the usual case.
        if path_of(grad.device) == "cpu" and grad.item() == 1:
            return d_hidden, d_weight, None, None, None, None
        scaled = [None if d is None else d * grad.to(d.dtype) for d in (d_hidden, d_weight)]
        return scaled[0], scaled[1], None, None, None, None
