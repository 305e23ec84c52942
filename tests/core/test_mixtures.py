"""Mixtures of experts: where a model keeps them, what its router does, NF4 of the stacks; against known values."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, PreTrainedModel

from core.errors import UserError
from core.models import mixtures, nf4

SHAPE = {
    "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 256, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1,
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2}
MIXTURES: dict[str, Any] = {
    "mixtral": lambda: transformers.MixtralConfig(**SHAPE, intermediate_size=24, num_local_experts=4),
    "olmoe": lambda: transformers.OlmoeConfig(**SHAPE, **EXPERTS, intermediate_size=24),
    "qwen2_moe": lambda: transformers.Qwen2MoeConfig(
        **SHAPE, **EXPERTS, intermediate_size=24, moe_intermediate_size=24, shared_expert_intermediate_size=24
    ),
    "qwen3_moe": lambda: transformers.Qwen3MoeConfig(
        **SHAPE, **EXPERTS, intermediate_size=24, moe_intermediate_size=24, head_dim=4
    ),
}
every_mixture = pytest.mark.parametrize("name", sorted(MIXTURES))
IDS = torch.arange(14).view(2, 7) * 4 % 64


def toy(name: str = "mixtral") -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(MIXTURES[name]()).eval()


# --- where they are -----------------------------------------------------------------------------------------------


@every_mixture
def test_blocks_are_found(name: str) -> None:
    blocks = mixtures.moe_blocks(toy(name))
    assert len(blocks) == 2
    for block in blocks:
        assert block.experts.gate_up_proj.shape == (4, 48, 16)
        assert block.router.weight.shape == (4, 16)
        assert block.parent.experts is block.experts
        assert getattr(block.parent, block.router_name) is block.router
    assert len(mixtures.attention_layers(toy(name))) == 2 * 4


def test_models_that_are_read_otherwise_are_refused() -> None:
    dense = AutoModelForCausalLM.from_config(transformers.LlamaConfig(**SHAPE, intermediate_size=24))
    with pytest.raises(UserError, match="no fused experts"):
        mixtures.moe_blocks(dense)
    odd = toy()
    odd.model.layers[0].mlp.experts.is_transposed = True
    with pytest.raises(UserError, match="transposed"):
        mixtures.moe_blocks(odd)


# --- where tokens go ----------------------------------------------------------------------------------------------


def test_load_counts_real_tokens() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0, -1.0], [2.0, 0.0, 1.0, -1.0], [-9.0, 9.0, -9.0, 8.0]])
    fraction, probability = mixtures.expert_load([logits], 2, torch.tensor([[1, 1, 0]]))
    assert fraction.tolist() == [[1, 0, 1, 0]]
    assert probability[0].tolist() == pytest.approx(logits[0].softmax(0).tolist())
    assert mixtures.expert_load([logits], 2)[0][0].sum() == pytest.approx(2)


def test_usage_measures_at_their_extremes() -> None:
    uniform, one, other = torch.full((4,), 0.25), torch.tensor([1.0, 0, 0, 0]), torch.tensor([0, 1.0, 0, 0])
    assert mixtures.entropy(uniform).item() == pytest.approx(2)
    assert mixtures.entropy(one).item() == 0
    assert mixtures.jensen_shannon(one, other).item() == pytest.approx(1)
    assert mixtures.jensen_shannon(uniform, uniform).item() == 0


@every_mixture
def test_usage_of_texts_does_not_depend_on_their_batch(name: str) -> None:
    texts = {"en": [[1, 5, 9], [1, 4, 4, 4, 7, 8]], "ar": [[1, 40, 41, 42]]}
    together, alone = (mixtures.expert_usage(toy(name), texts, batch) for batch in (8, 1))
    assert together["en"]["share"] == alone["en"]["share"]
    shares = torch.tensor(together["ar"]["share"])
    assert shares.shape == (2, 4)
    assert torch.allclose(shares.sum(1), torch.ones(2))
    assert len(together["distance"]["en ar"]) == 2


def test_random_halves_are_the_distance_of_chance() -> None:
    texts = {"en": [[1, 5, 9], [1, 4, 4, 7]], "ar": [[1, 40, 41, 42]], "code": [[1, 40, 41, 42]]}
    found = mixtures.chance_distance(toy(), texts)
    assert list(found) == ["en ar", "en code", "ar code"] == list(mixtures.expert_usage(toy(), texts)["distance"])
    assert all(len(layers) == 2 and min(layers) >= 0 for layers in found.values())
    assert found["ar code"] == [0, 0], "the halves of equal texts are equal"
    assert mixtures.chance_distance(toy(), texts) == found


def test_the_speed_of_a_sparse_block_is_a_ratio() -> None:
    ratios = mixtures.sparse_speed(8, seed=0, rounds=2, calls=1)
    assert len(ratios) == 2
    assert all(ratio > 0 for ratio in ratios)


# --- NF4 ----------------------------------------------------------------------------------------------------------


def test_nf4_codes_of_the_worked_example() -> None:
    quantized = nf4.quantize_nf4(torch.tensor([0.5, -1.0, 0.1, 0.0]), block=4)
    assert quantized.codes.tolist() == [12 << 4 | 0, 8 << 4 | 7]
    assert quantized.scales.tolist() == [1.0]
    restored = nf4.dequantize_nf4(quantized, (4,), block=4)
    assert restored.tolist() == pytest.approx([0.4407098, -1, 0.0795803, 0], abs=1e-7)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.sampled_from([4, 64]), st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_nf4_rounds_to_the_nearest_level(size: int, block: int, scale: float, seed: int) -> None:
    weight = torch.randn(size, generator=torch.Generator().manual_seed(seed)) * scale
    restored = nf4.dequantize_nf4(nf4.quantize_nf4(weight, block), weight.shape, block=block)
    levels = torch.tensor(nf4.NF4_LEVELS)
    for part, back in zip(weight.split(block), restored.split(block), strict=True):
        nearest = (levels * part.abs().max())[(part[:, None] - levels * part.abs().max()).abs().argmin(1)]
        assert torch.allclose((part - back).abs(), (part - nearest).abs(), rtol=1e-4, atol=scale * 1e-5)
    again = nf4.dequantize_nf4(nf4.quantize_nf4(restored, block), weight.shape, block=block)
    assert torch.allclose(again, restored, rtol=1e-5, atol=scale * 1e-6)


def test_double_quantisation_costs_little_accuracy_and_saves_memory() -> None:
    weight = torch.randn(512, 256, generator=torch.Generator().manual_seed(0))
    single, double = nf4.quantize_nf4(weight), nf4.quantize_nf4(weight, double=True)
    error = {
        name: (nf4.dequantize_nf4(q, weight.shape) - weight).norm().item()
        for name, q in (("single", single), ("double", double))
    }
    assert error["double"] < 1.02 * error["single"]
    bits = [8 * sum(t.numel() * t.element_size() for t in q) / weight.numel() for q in (single, double)]
    assert bits == pytest.approx([4.5, 4.127], abs=0.002)


def test_zero_blocks_stay_zero() -> None:
    assert nf4.dequantize_nf4(nf4.quantize_nf4(torch.zeros(70)), (70,)).eq(0).all()


def test_autograd_keeps_no_dequantised_matrix() -> None:
    layer = torch.nn.Linear(128, 96).requires_grad_(False)
    x, kept = torch.randn(3, 128, requires_grad=True), []
    nf4._store(layer, 64, True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        layer(x).sum().backward()
    assert {(96, 128), (128, 96)}.isdisjoint(kept)
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(3, -1))


@pytest.mark.parametrize("double", [False, True])
def test_a_stack_is_read_matrix_by_matrix_and_passes_gradients(double: bool) -> None:
    weight = torch.randn(3, 10, 16, generator=torch.Generator().manual_seed(0))
    stack = nf4.NF4Stack(weight, double=double)
    for number, matrix in enumerate(weight):
        alone = nf4.dequantize_nf4(nf4.quantize_nf4(matrix, double=double), matrix.shape)
        assert torch.equal(stack[number], alone)
    x = torch.randn(5, 16, requires_grad=True)
    stack.product(1, x).square().sum().backward()
    mine, x.grad = x.grad, None
    torch.nn.functional.linear(x, stack[1]).square().sum().backward()
    assert torch.allclose(mine, x.grad)
    assert stack.product(1, torch.zeros(0, 16)).shape == (0, 10)


@every_mixture
def test_packed_and_simulated_quantisation_are_one_model(name: str) -> None:
    simulated, packed, exact = toy(name), toy(name), toy(name)
    assert nf4.quantize_base(simulated) == nf4.quantize_base(packed, packed=True)
    assert torch.allclose(simulated(IDS).logits, packed(IDS).logits, atol=1e-5)
    assert not torch.allclose(simulated(IDS).logits, exact(IDS).logits, atol=1e-3)
    for block, reference in zip(mixtures.moe_blocks(packed), mixtures.moe_blocks(exact), strict=True):
        assert torch.equal(block.router.weight, reference.router.weight), "the router keeps its precision"
    assert torch.equal(packed.get_input_embeddings().weight, exact.get_input_embeddings().weight)
    bits = sum(8 * b.numel() * b.element_size() for b in mixtures.moe_blocks(packed)[0].experts.buffers())
    assert bits / mixtures.moe_blocks(exact)[0].experts.gate_up_proj.numel() / 1.5 == pytest.approx(4.5, abs=0.02)
    assert math.isfinite(packed(IDS).logits.sum().item())
