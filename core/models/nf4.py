"""NormalFloat-4: the 4-bit storage of QLoRA (Dettmers et al. 2023), in plain PyTorch for tensors of any shape.

A block of 64 consecutive weights shares one scale, and each weight becomes the nearest of 16 levels:

    s_b = max_i |w_i|,    c_i = argmin_c |w_i / s_b - q_c|,    w_i is read back as s_b q_{c_i}.

Both libraries and kernels of this exist for `nn.Linear`; the stacked experts of a mixture are what needs it here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.utils import parametrize

from core.distributed import is_simulated
from core.models.mixtures import attention_layers, moe_blocks

# The 16 levels of NormalFloat-4: quantiles of a standard normal, scaled to [-1, 1], with an exact zero (QLoRA, E).
NF4_LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
)  # fmt: skip

_AT_ONCE = 1 << 18  # blocks that are dequantised together


class NF4(NamedTuple):
    """A tensor in NF4. `scales` are float32 or, doubly quantised, bytes of 8-bit floats that `outer` rescales."""

    codes: UInt8[Tensor, " half"]
    scales: Tensor
    outer: Float[Tensor, " groups_and_mean"]


def quantize_nf4(weight: Float[Tensor, "*shape"], block: int = 64, double: bool = False) -> NF4:
    """Round each block of consecutive weights to the nearest of 16 levels times the block's largest magnitude.

    Args:
        weight: Any shape; the last block may be shorter.
        block: Weights that share a scale (QLoRA: 64).
        double: Also store the scales, minus their mean, as 8-bit floats in groups of 256 (QLoRA, section 3):
            4.127 bits a weight instead of 4.5.

    Returns:
        Two 4-bit codes a byte (first code in the high half), the scales, and what double quantisation needs.
    """
    flat = weight.detach().flatten().float()
    blocks = nn.functional.pad(flat, (0, -len(flat) % block)).view(-1, block)
    scales = blocks.abs().amax(1)
    levels = torch.tensor(NF4_LEVELS, device=weight.device)
    unit = blocks / torch.where(scales == 0, 1.0, scales)[:, None]
    codes = torch.bucketize(unit, (levels[1:] + levels[:-1]) / 2, out_int32=True).to(torch.uint8).flatten()
    codes = nn.functional.pad(codes, (0, len(codes) % 2))
    packed = codes[::2] << 4 | codes[1::2]
    if not double:
        return NF4(packed, scales, scales.new_empty(0))
    mean = scales.mean()
    centred = nn.functional.pad(scales - mean, (0, -len(scales) % 256)).view(-1, 256)
    outer = centred.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 448  # 448: largest e4m3 number
    eight_bit = (centred / outer[:, None]).to(torch.float8_e4m3fn).flatten()[: len(scales)]
    return NF4(packed, eight_bit.view(torch.uint8), torch.cat([outer, mean[None]]))


def dequantize_nf4(
    quantized: NF4, shape: Sequence[int], dtype: torch.dtype = torch.float32, block: int = 64
) -> Float[Tensor, "*shape"]:
    """The inverse of :func:`quantize_nf4`, up to rounding; temporary copies are of a part of the weights at a time."""
    codes, scales, outer = quantized
    if len(outer):
        scales = scales.view(torch.float8_e4m3fn).float() * outer[:-1].repeat_interleave(256)[: len(scales)] + outer[-1]
    levels = torch.tensor(NF4_LEVELS, device=codes.device)
    values = torch.empty(len(scales), block, dtype=dtype, device=codes.device)
    starts = range(0, len(scales), _AT_ONCE)
    for start in starts[:1] if is_simulated() else starts:  # one part takes the room of all, one after the other
        some = scales[start : start + _AT_ONCE, None]
        packed = codes[start * block // 2 : (start * block + some.numel() * block + 1) // 2]
        unit = levels[torch.stack([packed >> 4, packed & 15], 1).flatten().int()]
        values[start : start + _AT_ONCE] = unit[: some.numel() * block].view(-1, block) * some
    return values.flatten()[: math.prod(shape)].view(*shape)


class NF4Storage(nn.Module):
    """Parametrisation that keeps a frozen weight as NF4 and dequantises it whenever it is read."""

    def __init__(self, weight: Tensor, block: int, double: bool) -> None:
        super().__init__()
        self.shape, self.dtype = tuple(weight.shape), weight.dtype
        self.block, self.double_quantized = block, double

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise, called once when the parametrisation is registered."""
        codes, scales, outer = quantize_nf4(weight, self.block, self.double_quantized)
        return codes, scales, outer

    def forward(self, codes: Tensor, scales: Tensor, outer: Tensor) -> Tensor:
        """Dequantise to the original shape and dtype."""
        return dequantize_nf4(NF4(codes, scales, outer), self.shape, self.dtype, self.block)


class NF4Stack(nn.Module):
    """A stack of frozen matrices in NF4 that is read one matrix at a time: `stack[i]`, or `stack.product(i, x)`.

    Reading a whole layer of Mixtral-8x7B's experts would take 12 GB of temporary copies, one expert takes a twentieth.
    """

    def __init__(self, weight: Float[Tensor, "stack out dim"], block: int = 64, double: bool = False) -> None:
        super().__init__()
        self.shape, self.dtype, self.block = weight.shape, weight.dtype, block
        parts = [quantize_nf4(matrix, block, double) for matrix in weight]
        for name, tensors in zip(NF4._fields, zip(*parts, strict=True), strict=True):
            self.register_buffer(name, torch.stack(tensors))

    def __getitem__(self, index: int) -> Float[Tensor, "out dim"]:
        quantized = NF4(*(getattr(self, name)[index] for name in NF4._fields))
        return dequantize_nf4(quantized, self.shape[1:], self.dtype, self.block)

    def product(self, index: int, x: Float[Tensor, "n dim"]) -> Float[Tensor, "n out"]:
        """x W_i^T. The matrix is not kept for the backward pass, which dequantises it once more."""
        return _Product.apply(x, lambda: self[index])


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, read: Callable[[], Tensor]) -> Tensor:
        ctx.read, ctx.dtype = read, x.dtype
        return nn.functional.linear(x, read())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return (gradient @ ctx.read().to(gradient.dtype)).to(ctx.dtype), None


class _NF4Linear(nn.Linear):
    """Reads its weight in either pass, as bitsandbytes does; autograd would keep every dequantised matrix meanwhile."""

    def forward(self, x: Tensor) -> Tensor:
        product = _Product.apply(x, lambda: self.weight)
        return product if self.bias is None else product + self.bias


def _store(layer: nn.Linear, block: int, double: bool) -> None:
    layer.__class__ = _NF4Linear
    parametrize.register_parametrization(layer, "weight", NF4Storage(layer.weight, block, double))


@torch.no_grad()
def quantize_base(model: nn.Module, block: int = 64, double: bool = False, packed: bool = False) -> int:
    """Freeze a mixture of experts and round the weights of its attention and experts to NF4, in place.

    Embeddings, norms, output head and router keep their precision. The experts are fused three-dimensional
    parameters in transformers 5, which bitsandbytes' replacement of `nn.Linear` does not reach.

    Args:
        model: A mixture of experts without adapters.
        block: Weights that share a scale.
        double: Quantise the scales too.
        packed: Keep the 4-bit codes and dequantise on the fly, expert by expert; otherwise store the rounded values
            (same numbers, faster).

    Returns:
        How many weights were rounded.

    Raises:
        UserError: The model has no experts that can be found.
    """
    model.requires_grad_(False)
    rounded = 0
    for _, layer in attention_layers(model):
        rounded += layer.weight.numel()
        if packed:
            _store(layer, block, double)
        else:
            layer.weight.copy_(_rounded(layer.weight, block, double))
    for mixture in moe_blocks(model):
        for name in ("gate_up_proj", "down_proj"):
            stack = getattr(mixture.experts, name)
            rounded += stack.numel()
            if packed:
                delattr(mixture.experts, name)
                setattr(mixture.experts, name, NF4Stack(stack, block, double))
            else:
                for matrix in stack:
                    matrix.copy_(_rounded(matrix, block, double))
        if packed:
            mixture.experts.config._experts_implementation = "eager"  # one expert after the other
    if packed:
        model.quantization_method = "nf4"  # type: ignore[assignment]  # tells trainers not to cast codes and scales
    return rounded


def quantize_layers(model: Any) -> None:
    """Freeze a causal language model and keep all its linear layers but the head in NF4, in place: QLoRA's base."""
    model.requires_grad_(False)
    head = model.get_output_embeddings()
    for layer in [m for m in model.modules() if isinstance(m, nn.Linear) and m is not head]:
        _store(layer, 64, True)
    model.quantization_method = "nf4"  # as in quantize_base


def _rounded(weight: Tensor, block: int, double: bool) -> Tensor:
    return dequantize_nf4(quantize_nf4(weight, block, double), weight.shape, weight.dtype, block)
