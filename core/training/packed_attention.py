"""Attention over documents that lie in one row and must not see each other.

A row of T tokens holds documents of lengths L_1 ... L_n. Masked attention over the row costs T^2; what is needed is
the sum of L_i^2. Hence one attention function for transformers' interface, registered as "packed":

* on GPUs `torch.nn.attention.varlen`, the flash kernel that takes the documents' boundaries;
* on CPUs, documents of similar length are laid into a grid [documents, longest] and attend there. The padding of the
  grid follows the real tokens, so causal attention never reaches it and no mask is needed.

Everything outside attention (most of the work) still sees the row without any padding. Models whose layers this
function cannot serve keep their own attention and find the documents by their positions: transformers builds the
block-diagonal mask from positions that restart (`masking_utils.find_packed_sequence_indices`), provided that no
attention mask and no cache is given. Which of the two a model gets, if any, is tried out on the model itself
(:func:`reads_alike`): recurrent layers, for one, would carry state from document to document.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from core.distributed import path_of
from core.errors import UserError
from core.models.loading import unwrapped
from core.training.losses import decode

NAME = "packed"
# Up to this length bf16 attention is written out: CPU flash kernels took 2 to 6 times as long, mostly backward.
EXPLICIT = 512
HALF = (torch.bfloat16, torch.float16)
FLASH = ("flash_attention_2", "flash_attention_3", "flash_attention_4")


def plan_documents(lengths: Sequence[int], longest: int = 0) -> dict[str, Any]:
    """What attention has to know about a row of documents.

    Args:
        lengths: Tokens of each document.
        longest: Upper bound of the lengths, where it should be the same for every row (compiled code specialises on
            it); 0 = the longest document.

    Returns:
        `cu_seq_lens_q/k` (int32 [n + 1], boundaries), `max_length_q/k` (int), under the names that transformers' flash
        attention takes too, and `documents`, the grids of the CPU path.
    """
    boundaries = torch.zeros(len(lengths) + 1, dtype=torch.int32)
    boundaries[1:] = torch.as_tensor(np.cumsum(lengths))
    longest = max(longest, int(max(lengths)))
    return {
        "cu_seq_lens_q": boundaries,
        "cu_seq_lens_k": boundaries,
        "max_length_q": longest,
        "max_length_k": longest,
        "documents": Documents(lengths),
    }


class Indices(NamedTuple):
    """How the tokens of a row lie in grids.

    Attributes:
        shapes: [documents, longest] of every grid.
        to_grid: For every cell of all grids, the token that it holds (padding repeats its document's last token).
        to_row: For every token of the row, its cell.
        padding: The cells that are no token's.
    """

    shapes: list[tuple[int, int]]
    to_grid: Tensor
    to_row: Tensor
    padding: Tensor


class Documents:
    """The lengths of a row's documents; the indices for the grids are made when a layer first asks, then kept."""

    def __init__(self, lengths: Sequence[int]):
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self._indices: Indices | None = None

    def indices(self, device: torch.device) -> Indices:
        """The grids of documents of similar length, with their indices on a device."""
        if self._indices is None:
            self._indices = _lay_out(self.lengths, device)
        return self._indices


def _lay_out(lengths: np.ndarray, device: torch.device) -> Indices:
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(-lengths, kind="stable")
    shapes, cells = [], []
    begin = 0
    while begin < len(order):
        longest = int(lengths[order[begin]])
        # A grid ends where half of a row would be padding; 16 tokens are too few to be worth a further grid.
        shortest = min(longest // 2, longest - 16)
        end = begin + int(np.searchsorted(-lengths[order[begin:]], -max(shortest, 1), side="right"))
        members = order[begin:end]
        offsets = np.minimum(np.arange(longest)[None, :], lengths[members, None] - 1)
        cells.append((starts[members, None] + offsets).reshape(-1))
        shapes.append((len(members), longest))
        begin = end
    to_grid = np.concatenate(cells)
    # Written backwards, so that of the cells that hold a token the first one, the real one, remains.
    to_row = np.empty(int(lengths.sum()), dtype=np.int64)
    to_row[to_grid[::-1]] = np.arange(len(to_grid))[::-1]
    is_padding = np.ones(len(to_grid), dtype=bool)
    is_padding[to_row] = False
    indices = (to_grid, to_row, is_padding.nonzero()[0])
    return Indices(shapes, *(torch.from_numpy(index).to(device) for index in indices))


class _Grid(torch.autograd.Function):
    """Tokens to cells. Its gradient is a gather too (no scatter), because cells of padding have no gradient: nothing
    reads what they attend to, and no real token attends to them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, to_grid: Tensor, to_row: Tensor) -> Tensor:
        ctx.to_row = to_row
        return x.index_select(0, to_grid)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad.index_select(0, ctx.to_row), None, None


class _Ungrid(torch.autograd.Function):
    """Cells to tokens; the gradient of a cell of padding is zero."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, to_row: Tensor, to_grid: Tensor, padding: Tensor) -> Tensor:
        ctx.to_grid, ctx.padding = to_grid, padding
        return x.index_select(0, to_row)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad.index_select(0, ctx.to_grid).index_fill_(0, ctx.padding, 0), None, None, None


def attend(
    module: nn.Module,
    query: Float[Tensor, "batch heads tokens dim"],
    key: Float[Tensor, "batch kv_heads tokens dim"],
    value: Float[Tensor, "batch kv_heads tokens dim"],
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    documents: Documents | None = None,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "batch tokens heads dim"], None]:
    """Causal attention within documents, as transformers calls it. Without boundaries (a forward pass on other inputs
    than a flat batch) it is transformers' SDPA attention with the usual mask.
    """
    if cu_seq_lens_q is None or max_length_q is None:
        if attention_mask is None and sliding_window is not None and sliding_window < key.shape[2]:
            attention_mask = ~_unseen(key.shape[2], sliding_window, key.device)[-query.shape[2] :]
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    if not getattr(module, "is_causal", True):
        raise UserError("Packed rows need causal attention: set training.layout to padded for bidirectional models.")
    batch, heads, tokens, _ = query.shape
    # [batch, heads, tokens, dim] -> [batch * tokens, heads, dim]
    q, k, v = (x.transpose(1, 2).reshape(batch * tokens, x.shape[1], x.shape[3]) for x in (query, key, value))
    if torch.is_autocast_enabled(q.device.type):
        fast = torch.get_autocast_dtype(q.device.type)
        q, k, v = q.to(fast), k.to(fast), v.to(fast)
    window = sliding_window if sliding_window is not None and sliding_window < max_length_q else None
    if path_of(q.device) == "cuda" and q.dtype in (torch.bfloat16, torch.float16) and not dropout:
        out = _varlen(q, k, v, cu_seq_lens_q, max_length_q, scaling, window)
    else:
        documents = documents or Documents(cu_seq_lens_q.diff().tolist())
        out = _grids(q, k, v, documents, scaling, dropout, window)
    return out.view(batch, tokens, heads, -1), None


def _varlen(
    q: Tensor, k: Tensor, v: Tensor, boundaries: Tensor, longest: int, scaling: float | None, window: int | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    out = varlen_attn(
        q,
        k,
        v,
        boundaries,
        boundaries,
        longest,
        longest,
        scale=scaling,
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    assert isinstance(out, Tensor)
    return out


def _grids(
    q: Float[Tensor, "tokens heads dim"],
    k: Float[Tensor, "tokens kv_heads dim"],
    v: Float[Tensor, "tokens kv_heads dim"],
    documents: Documents,
    scaling: float | None,
    dropout: float,
    window: int | None,
) -> Float[Tensor, "tokens heads dim"]:
    shapes, to_grid, to_row, padding = documents.indices(q.device)
    q, k, v = (_Grid.apply(x, to_grid, to_row) for x in (q, k, v))
    pieces, begin = [], 0
    for rows, length in shapes:
        cells = slice(begin, begin + rows * length)
        begin += rows * length
        q_grid, k_grid, v_grid = (x[cells].view(rows, length, *x.shape[1:]) for x in (q, k, v))
        if q.device.type == "cpu" and q.dtype == torch.bfloat16 and length <= EXPLICIT:
            pieces.append(_explicit(q_grid, k_grid, v_grid, scaling, dropout, window).flatten(0, 1))
            continue
        mask = None
        if window is not None and window < length:
            mask = ~_unseen(length, window, q.device)
        out = F.scaled_dot_product_attention(
            q_grid.transpose(1, 2),
            k_grid.transpose(1, 2),
            v_grid.transpose(1, 2),
            attn_mask=mask,
            dropout_p=dropout,
            scale=scaling,
            is_causal=mask is None,
            enable_gqa=q.shape[1] != k.shape[1],
        )
        pieces.append(out.transpose(1, 2).reshape(rows * length, q.shape[1], -1))
    return _Ungrid.apply(torch.cat(pieces), to_row, to_grid, padding)


def _explicit(
    q: Float[Tensor, "documents length heads dim"],
    k: Float[Tensor, "documents length kv_heads dim"],
    v: Float[Tensor, "documents length kv_heads dim"],
    scaling: float | None,
    dropout: float,
    window: int | None,
) -> Float[Tensor, "documents length heads dim"]:
    """softmax(q k^T) v written out, the query heads of a key head as further rows of one product."""
    n, length, heads, dim = q.shape
    kv_heads = k.shape[2]
    groups = heads // kv_heads
    rows = q.view(n, length, kv_heads, groups, dim).permute(0, 2, 3, 1, 4).reshape(n * kv_heads, groups * length, dim)
    keys, values = (x.transpose(1, 2).reshape(n * kv_heads, length, x.shape[3]) for x in (k, v))
    mask = q.new_zeros(length, length).masked_fill_(_unseen(length, window, q.device), -torch.inf).repeat(groups, 1)
    scale = dim**-0.5 if scaling is None else scaling
    weights = torch.softmax(torch.baddbmm(mask, rows, keys.transpose(1, 2), alpha=scale), dim=-1)
    out = torch.bmm(F.dropout(weights, dropout) if dropout else weights, values)
    return out.view(n, kv_heads, groups, length, -1).permute(0, 3, 1, 2, 4).reshape(n, length, heads, -1)


def _unseen(length: int, window: int | None, device: torch.device) -> Bool[Tensor, "length length"]:
    """Which keys a query must not attend to: those after it, and those that its window has left behind."""
    age = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)
    return (age < 0) | (age >= (window or length))


def supports_packed(model: PreTrainedModel) -> bool:
    """Whether :func:`attend` can be put in the place of the model's SDPA attention."""
    return model.config.get_text_config()._attn_implementation == "sdpa" and bool(model._can_set_attn_implementation())


@contextlib.contextmanager
def packed_attention(model: PreTrainedModel, *, allowed: bool = True) -> Iterator[bool]:
    """Give the model attention that keeps the documents of a row apart, for the duration of the block.

    Args:
        model: Its attention implementation is switched, and switched back.
        allowed: False leaves the model's attention as it is.

    Yields:
        Whether batches should be flat (attention takes the documents' boundaries); otherwise they should be rows of
        one length, in which transformers' masks find the documents by their positions.
    """
    before = model.config._attn_implementation
    if before in FLASH:
        yield True
    elif allowed and supports_packed(model):
        model.set_attn_implementation(NAME)
        try:
            yield True
        finally:
            model.set_attn_implementation(before)
    else:
        yield False


@contextlib.contextmanager
def own_attention(model: nn.Module) -> Iterator[None]:
    """Inside :func:`packed_attention`, give a model its own attention back for the duration of the block."""
    packed = isinstance(model, PreTrainedModel) and model.config._attn_implementation == NAME
    if packed:
        model.set_attn_implementation("sdpa")  # type: ignore[operator]
    try:
        yield
    finally:
        if packed:
            model.set_attn_implementation(NAME)  # type: ignore[operator]


def assert_isolated(model: nn.Module, flat: bool, longest: int = 48) -> None:
    """Refuse a model that reads packed documents otherwise than alone (:func:`reads_alike`).

    Raises:
        UserError: With the fix.
    """
    if not reads_alike(model, flat, longest):
        raise UserError(
            f"{type(unwrapped(model)).__name__} does not read packed documents as it reads each alone: "
            "set training.layout to padded."
        )


@torch.no_grad()
def reads_alike(model: nn.Module, flat: bool, longest: int) -> bool:
    """Try out on the model whether a packed document comes out as it does alone, under the model's own attention.

    Recurrent layers, masks, windows and positions of a model's own making all show in its hidden states. The documents
    that are tried out are as long as those to come, so that they reach beyond a window wherever those will, and start
    late in the row.

    Args:
        model: With its wrappers: prompt tuning lays its virtual tokens before the row.
        flat: The form of the batches (:func:`packed_attention`).
        longest: Tokens of the longest document that will be packed.

    Raises:
        UserError: If the model cannot read a document of this length.
    """

    def try_out() -> bool:
        # Short ones first: in a long row a model that counts on could run out of positions. Where rounding sends a
        # token to another expert, other documents tell.
        return all(
            any(_comes_out_alike(model, flat, [min(5, n), n, min(7, n)], seed) for seed in range(3))
            for n in sorted({min(8, longest), longest})
        )

    training = model.training
    model.eval()
    # Flash kernels exist for half precision only.
    half = unwrapped(model).config._attn_implementation in FLASH
    try:
        with torch.autocast(next(model.parameters()).device.type, torch.bfloat16, enabled=half):
            # No room for fp32, or weights that are no parameters and keep their format: then as they are.
            with contextlib.suppress(RuntimeError), contextlib.nullcontext() if half else _in_fp32(model):
                return try_out()
            return try_out()
    finally:
        model.train(training)


def _comes_out_alike(model: nn.Module, flat: bool, lengths: list[int], seed: int) -> bool:
    lm = unwrapped(model)
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    size = min(lm.config.get_text_config().vocab_size, 64)
    documents = [torch.randint(size, (1, n), generator=generator).to(device) for n in lengths]
    inputs: dict[str, Any] = {"position_ids": torch.cat([torch.arange(n) for n in lengths])[None]}
    if flat:
        inputs |= plan_documents(lengths)
    try:
        with own_attention(lm):
            alone = [_states(model, input_ids=ids, attention_mask=torch.ones_like(ids)) for ids in documents]
    except IndexError as error:
        raise UserError(
            f"{type(lm).__name__} cannot read {max(lengths)} tokens, the length of the longest document: "
            "lower training.max_length."
        ) from error
    try:
        packed = _states(model, input_ids=torch.cat(documents, 1), **to_device(inputs, device))
    except torch.OutOfMemoryError:
        raise
    except (IndexError, RuntimeError, TypeError, ValueError):
        return False  # as of layers that refuse rows of several documents
    # Another order of summation changed SmolLM2's 30 layers by 2e-6, by 3e-2 in bf16; the state that a fresh recurrent
    # layer carries on may change the next document by no more than 2e-4.
    quantized = any(not parameter.is_floating_point() for parameter in model.parameters())
    rough = quantized or packed.dtype in HALF or (packed.is_cuda and torch.backends.cuda.matmul.allow_tf32)
    return all(
        ((a - b).norm(dim=-1) / b.norm(dim=-1)).square().mean().sqrt().item() <= (1e-1 if rough else 5e-5)
        for a, b in zip(packed.split(lengths), alone, strict=True)
    )


@contextlib.contextmanager
def _in_fp32(model: nn.Module) -> Iterator[None]:
    """Half-precision weights in fp32 for the duration of the block, unless they are sharded."""
    tensors = [*model.parameters(), *model.buffers()]
    sharded = any(hasattr(tensor, "to_local") for tensor in tensors)
    rounded = [tensor for tensor in tensors if tensor.dtype in HALF and not sharded]
    kept = [tensor.data for tensor in rounded]
    try:
        for tensor in rounded:
            tensor.data = tensor.data.float()
        yield
    finally:
        for tensor, data in zip(rounded, kept, strict=True):
            tensor.data = data


def _states(model: nn.Module, *, input_ids: Tensor, **inputs: Any) -> Float[Tensor, "tokens dim"]:
    """What the model makes of one row: hidden states, or logits where it does not part with those."""
    lm: Any = unwrapped(model)
    inputs = {"input_ids": input_ids, **inputs, "use_cache": False}
    states = model(**inputs)[0] if lm.get_decoder() is lm else decode(model, **inputs)[0]
    return states[0, -input_ids.shape[1] :]


def to_device(batch: Any, device: torch.device) -> Any:
    """A batch with its tensors on a device (nested dictionaries included)."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        # The grids are for CPUs; compiled blocks should not even see them.
        kept = {key: value for key, value in batch.items() if device.type == "cpu" or not isinstance(value, Documents)}
        return {key: to_device(value, device) for key, value in kept.items()}
    return batch


def mask(*, attention_mask: Tensor | None = None, **kwargs: Any) -> Tensor | None:
    """The mask that transformers makes for :func:`attend`: none for a flat batch, whose boundaries say it all."""
    return None if attention_mask is None else sdpa_mask(attention_mask=attention_mask, **kwargs)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, mask)
