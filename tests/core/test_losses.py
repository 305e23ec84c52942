"""Linear cross-entropy in chunks equals the plain one; label positions only; the load-balancing loss."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import (
    IA3Config,
    LoraConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTJConfig,
    GPTJForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    RecurrentGemmaConfig,
    RecurrentGemmaForCausalLM,
    XLMRobertaConfig,
    XLMRobertaForCausalLM,
)

from core.errors import UserError
from core.training import losses
from core.training.losses import causal_lm_loss, linear_cross_entropy, load_balancing_loss, shifted_targets

TINY = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def problem(n=13, d=5, v=17, dtype=torch.float64):
    hidden = torch.randn(n, d, dtype=dtype, requires_grad=True)
    weight = torch.randn(v, d, dtype=dtype, requires_grad=True)
    return hidden, weight, torch.randint(v, (n,))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 12), st.integers(1, 6), st.integers(1, 30), st.integers(1, 15))
def test_chunked_equals_torch(n, d, v, chunk):
    hidden, weight, targets = problem(n, d, v)
    chunked = linear_cross_entropy(hidden, weight, targets, kind="chunked", chunk=chunk)
    plain = F.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    torch.testing.assert_close(chunked, plain)
    # A factor behind the loss must reach the gradients, which are computed in the forward pass.
    for a, b in zip(
        torch.autograd.grad(3 * chunked, (hidden, weight)),
        torch.autograd.grad(3 * plain, (hidden, weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_gradcheck():
    hidden, weight, targets = problem(7, 3, 5)
    function = lambda h, w: linear_cross_entropy(h, w, targets, kind="chunked", chunk=3)  # noqa: E731
    assert torch.autograd.gradcheck(function, (hidden, weight))


@pytest.mark.parametrize("frozen", [0, 1])
def test_frozen_operands_get_no_gradient(frozen):
    operands = list(problem()[:2])
    targets = problem()[2]
    operands[frozen] = operands[frozen].detach()
    linear_cross_entropy(*operands, targets, kind="chunked").backward()
    assert operands[frozen].grad is None
    assert operands[1 - frozen].grad is not None
    with torch.no_grad():
        assert not linear_cross_entropy(*operands, targets, kind="chunked").requires_grad


def test_under_autocast_products_are_bf16_and_gradients_of_masters_are_fp32():
    hidden, weight, targets = problem(40, 32, 50, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        chunked = linear_cross_entropy(hidden, weight, targets, kind="chunked", chunk=16)
        plain = linear_cross_entropy(hidden, weight, targets, kind="plain")
    assert chunked.dtype == torch.float32
    torch.testing.assert_close(chunked, plain, rtol=1e-4, atol=0)
    ours, theirs = (torch.autograd.grad(loss, (hidden, weight)) for loss in (chunked, plain))
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == torch.float32
        assert F.cosine_similarity(a.flatten(), b.flatten(), dim=0) > 0.999


def test_extreme_logits_stay_finite():
    hidden = torch.tensor([[1e4, 0.0]], requires_grad=True)
    weight = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    loss = linear_cross_entropy(hidden, weight, torch.tensor([1]), kind="chunked")
    loss.backward()
    assert loss.item() == pytest.approx(2e4)
    assert torch.isfinite(weight.grad).all()


def test_fused_without_gpu_is_a_user_error():
    with pytest.raises(UserError, match="chunked"):
        linear_cross_entropy(*problem(), kind="fused")


def reference(model, ids, labels, mask=None):
    logits = model(input_ids=ids, attention_mask=mask).logits.double()
    # Prompt tuning lays its virtual tokens before the row, so that something predicts the row's first token too.
    labels = F.pad(labels, (logits.shape[1] - ids.shape[1], 0), value=-100)[:, 1:]
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")


def language_models():
    yield "llama", LlamaForCausalLM(LlamaConfig(**TINY))
    yield "tied", LlamaForCausalLM(LlamaConfig(**TINY, tie_word_embeddings=True))
    # Its logits are soft-capped after the head, which the chunked path must not skip.
    yield (
        "gemma2",
        Gemma2ForCausalLM(Gemma2Config(**TINY, head_dim=8, final_logit_softcapping=0.5, attn_implementation="eager")),
    )
    lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    yield "lora", get_peft_model(LlamaForCausalLM(LlamaConfig(**TINY)), lora)
    adapted_head = LoraConfig(r=2, target_modules=["q_proj", "lm_head"], init_lora_weights=False)
    yield "lora-head", get_peft_model(LlamaForCausalLM(LlamaConfig(**TINY)), adapted_head)
    # Caps, scales, biases and transforms behind the decoder, under whatever name.
    capped = RecurrentGemmaConfig(
        **{**TINY, "num_hidden_layers": 3, "num_key_value_heads": 1}, lru_width=32, logits_soft_cap=0.5
    )
    yield "recurrent-gemma", RecurrentGemmaForCausalLM(capped)
    yield "cohere", CohereForCausalLM(CohereConfig(**TINY, logit_scale=0.3))
    yield "gpt-j", GPTJForCausalLM(GPTJConfig(vocab_size=61, n_embd=32, n_layer=2, n_head=4, rotary_dim=4))
    yield "xlm-r", XLMRobertaForCausalLM(XLMRobertaConfig(**TINY, is_decoder=True, max_position_embeddings=64))
    causal: dict = {"task_type": "CAUSAL_LM"}
    for name, config in {
        "ia3": IA3Config(target_modules=["k_proj", "lm_head"], feedforward_modules=["lm_head"], **causal),
        "saved-head": LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens"], **causal),
        "prompt": PromptTuningConfig(num_virtual_tokens=3, **causal),
        "p-tuning": PromptEncoderConfig(num_virtual_tokens=3, encoder_hidden_size=8, **causal),
        "prefix": PrefixTuningConfig(num_virtual_tokens=3, **causal),
    }.items():
        yield name, get_peft_model(LlamaForCausalLM(LlamaConfig(**TINY)), config)


@pytest.mark.parametrize(("name", "model"), list(language_models()), ids=lambda x: x if isinstance(x, str) else "")
@pytest.mark.parametrize("kind", ["auto", "plain"])
def test_causal_loss_equals_the_models_own(name, model, kind):
    model.eval()
    ids = torch.randint(61, (3, 11))
    labels = ids.clone()
    labels[0, :6] = -100
    labels[2, 8:] = -100
    mask = torch.ones_like(ids)
    mask[2, 8:] = 0
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    loss = causal_lm_loss(model, batch, cross_entropy=kind)
    expected = reference(model, ids, labels, mask)
    assert loss.items == int((labels[:, name not in ("prompt", "p-tuning") :] != -100).sum())
    torch.testing.assert_close(loss.total.double(), expected, rtol=1e-5, atol=0)
    if name != "gpt-j":  # its own loss rounds the logits
        own = model(**batch).loss.double() * loss.items
        torch.testing.assert_close(loss.total.double(), own, rtol=1e-5, atol=0)
    trained = [p for p in model.parameters() if p.requires_grad]
    ours, theirs = torch.autograd.grad(loss.total, trained), torch.autograd.grad(expected, trained)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("change", ["cap", "scale", "adapter"])
def test_what_does_not_show_on_a_fresh_model_counts_when_it_is_trained(change):
    """The head is tried out on the untrained model; later its logits reach the cap, its scale and adapter move."""
    ids = torch.randint(61, (2, 9))
    if change == "cap":
        model = Gemma2ForCausalLM(Gemma2Config(**TINY, head_dim=8, final_logit_softcapping=30.0))
        moved = model.lm_head.weight
    elif change == "adapter":
        adapter = LoraConfig(r=2, target_modules=["lm_head"])
        model = get_peft_model(LlamaForCausalLM(LlamaConfig(**TINY)), adapter)
        moved = model.base_model.model.lm_head.lora_B["default"].weight
    else:
        model = LlamaForCausalLM(LlamaConfig(**TINY))
        moved = model.scale = torch.nn.Parameter(torch.ones(()))
        inner = model.forward

        def scaled(*args, **kwargs):
            output = inner(*args, **kwargs)
            output.logits = output.logits * model.scale
            return output

        model.forward = scaled
    causal_lm_loss(model, {"input_ids": ids, "labels": ids})
    with torch.no_grad():
        moved.add_(torch.randn_like(moved) * 10)
    loss = causal_lm_loss(model, {"input_ids": ids, "labels": ids})
    torch.testing.assert_close(loss.total.double(), reference(model, ids, ids), rtol=1e-5, atol=0)


def test_the_models_own_head_is_chunked(monkeypatch):
    model = Gemma2ForCausalLM(Gemma2Config(**TINY, head_dim=8, final_logit_softcapping=0.5))
    ids = torch.randint(61, (40, 11))
    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", 1)  # chunks of 64 tokens, the least
    batch = {"input_ids": ids, "labels": ids}
    causal_lm_loss(model, batch)  # tries the head out
    with Largest() as mode:
        causal_lm_loss(model, batch).total.backward()
    assert mode.elements < 400 * 61  # the logits of all 400 labels
    chunked = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    causal_lm_loss(model, batch, cross_entropy="plain").total.backward()
    for a, p in zip(chunked, model.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad, rtol=1e-4, atol=1e-5)


def test_trying_the_head_out_draws_no_random_numbers():
    model = LlamaForCausalLM(LlamaConfig(**TINY, attention_dropout=0.5)).train()
    ids = torch.randint(61, (1, 9))
    torch.manual_seed(1)
    first = causal_lm_loss(model, {"input_ids": ids, "labels": ids}).total
    torch.manual_seed(1)
    assert causal_lm_loss(model, {"input_ids": ids, "labels": ids}).total == first


@pytest.mark.parametrize("cap", [None, 0.5])
def test_no_label_gives_zero_with_a_graph(cap):
    config = Gemma2Config(**TINY, head_dim=8, final_logit_softcapping=cap)
    model = Gemma2ForCausalLM(config) if cap else LlamaForCausalLM(LlamaConfig(**TINY))
    ids = torch.randint(61, (1, 5))
    loss = causal_lm_loss(model, {"input_ids": ids, "labels": torch.full_like(ids, -100)})
    loss.total.backward()
    assert loss.items == 0
    assert loss.total.item() == 0
    assert all(not p.grad.any() for p in model.parameters() if p.grad is not None)


def test_labels_are_needed():
    with pytest.raises(UserError, match="labels"):
        shifted_targets({"input_ids": torch.zeros(1, 3)})


def test_load_balancing_loss_known_values():
    # One layer, 4 tokens, 2 experts, top 1; balanced routing gives exactly top_k.
    confident = 50.0
    balanced = torch.tensor([[confident, 0], [confident, 0], [0, confident], [0, confident]])
    assert load_balancing_loss((balanced,), top_k=1).item() == pytest.approx(1.0)
    collapsed = torch.tensor([[confident, 0.0]] * 4)
    assert load_balancing_loss((collapsed,), top_k=1).item() == pytest.approx(2.0)
    # Padding does not count: of the balanced batch only two tokens of the first expert remain.
    real = torch.tensor([1, 1, 0, 0])
    assert load_balancing_loss((balanced,), top_k=1, real_tokens=real).item() == pytest.approx(2.0)


def test_router_loss_equals_mixtrals_own():
    model = MixtralForCausalLM(
        MixtralConfig(**TINY, num_local_experts=4, num_experts_per_tok=2, router_aux_loss_coef=0.3)
    )
    ids = torch.randint(61, (2, 9))
    own = model(input_ids=ids, labels=ids, attention_mask=torch.ones_like(ids), output_router_logits=True)
    ours = causal_lm_loss(model, {"input_ids": ids, "labels": ids}, router_aux_weight=0.3)
    torch.testing.assert_close(ours.total / ours.items, own.loss)
    torch.testing.assert_close(ours.logs["router_aux"] / ours.items, own.aux_loss)


class Largest(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


def test_chunks_bound_the_memory():
    hidden, weight, targets = problem(500, 4, 300, torch.float32)
    largest = {}
    for kind in ("plain", "chunked"):
        with Largest() as mode:
            linear_cross_entropy(hidden, weight, targets, kind=kind, chunk=25).backward()
        largest[kind] = mode.elements
    assert largest == {"plain": 500 * 300, "chunked": 25 * 300}
