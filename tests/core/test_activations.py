"""Inside a model: where neurons are, what is counted, what is silenced; gradients of two texts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from core.errors import UserError
from core.models import activations
from core.models.architectures import miniature
from core.models.loading import from_config
from core.training import gradients
from core.training.losses import causal_lm_loss


@pytest.fixture(scope="module")
def llama() -> Any:
    shape = miniature(64, width=16, layers=3, heads=2, feed_forward=40, positions=32)
    return from_config(shape, seed=0).eval()


def others() -> list[Any]:
    from transformers import BertConfig, GPT2Config, GPTNeoXConfig, OPTConfig

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 64}
    return [
        GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=64, n_positions=32, bos_token_id=0, eos_token_id=0),
        GPTNeoXConfig(**sizes, intermediate_size=40, max_position_embeddings=32),
        OPTConfig(**sizes, ffn_dim=40, max_position_embeddings=32, word_embed_proj_dim=16),
        BertConfig(**sizes, intermediate_size=40, max_position_embeddings=32),
    ]


@pytest.mark.parametrize("config", others(), ids=lambda config: config.model_type)
def test_neurons_are_found_in_any_architecture(config: Any) -> None:
    from transformers import AutoModel

    model = AutoModel.from_config(config).eval()
    paths = activations.feed_forwards(model)
    assert len(paths) == 2
    assert len({path.replace("0", "#").replace("1", "#") for path in paths}) == 1, "one a layer"


@pytest.mark.parametrize("config", others(), ids=lambda config: config.model_type)
def test_rows_may_be_flattened(config: Any) -> None:
    from transformers import AutoModel

    model = AutoModel.from_config(config).eval()
    paths = activations.feed_forwards(model)
    batch = {"input_ids": torch.tensor([[1, 5, 9], [2, 8, 0]]), "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]])}
    found = activations.tally(model, [batch], paths, lambda x: x > 0)
    assert found.tokens == 5
    assert all(0 < float(total.sum()) <= 5 * len(total) for total in found.sums.values())


def mixture(implementation: str) -> Any:
    from transformers import AutoModelForCausalLM, MixtralConfig

    config = MixtralConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, intermediate_size=40,
        vocab_size=64, num_local_experts=4, max_position_embeddings=32,
    )  # fmt: skip
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, experts_implementation=implementation).eval()


@pytest.mark.parametrize("implementation", ["eager", "grouped_mm"])
def test_experts_are_counted_and_silenced(implementation: str) -> None:
    model = mixture(implementation)
    paths = activations.feed_forwards(model)
    assert paths == [f"model.layers.{layer}.mlp.experts" for layer in range(2)]
    batch = {"input_ids": torch.tensor([[1, 5, 9], [2, 8, 0]]), "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]])}
    found = activations.tally(model, [batch], paths, lambda x: x != 0)
    assert found.tokens == 5
    for total in found.sums.values():
        assert total.shape == (160,)
        assert float(total.sum()) == 5 * 2 * 40, "a token goes to two experts of forty neurons"
    seen: list[torch.Tensor] = []  # what the experts themselves compute, in the first layer
    eager = mixture("eager")
    eager.load_state_dict(model.state_dict())
    handle = eager.model.layers[0].mlp.experts.act_fn.register_forward_hook(lambda *call: seen.append(call[2]))
    eager(**batch, use_cache=False)
    handle.remove()
    everything = activations.tally(
        model, [batch | {"counted": torch.ones(2, 3)}], paths[:1], lambda x: x
    ).sums[paths[0]].view(4, 40)  # fmt: skip
    hit = [expert for expert in range(4) if everything[expert].abs().sum() > 0]
    assert torch.allclose(torch.stack([one.sum(0).double() for one in seen]), everything[hit], atol=1e-5)
    ids = batch["input_ids"]
    before, weights = model(ids).logits, model.model.layers[0].mlp.experts.down_proj.detach().clone()
    with activations.silenced(model, {paths[0]: [3, 40, 159]}):
        changed = model.model.layers[0].mlp.experts.down_proj.detach()
        assert [int((changed[e] == 0).all(0).sum()) for e in range(4)] == [1, 1, 0, 1]
        assert not torch.allclose(model(ids).logits, before)
    assert torch.equal(model.model.layers[0].mlp.experts.down_proj, weights)
    assert torch.allclose(model(ids).logits, before)


def test_counts_are_those_of_one_text_at_a_time(llama: Any) -> None:
    paths = activations.feed_forwards(llama)
    assert paths == [f"model.layers.{layer}.mlp.act_fn" for layer in range(3)]
    texts = [[1, 5, 9, 7], [2, 8]]
    padded = {
        "input_ids": torch.tensor([[1, 5, 9, 7], [2, 8, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
    }
    together = activations.tally(llama, [padded], paths, lambda x: x > 0)
    alone = activations.tally(
        llama,
        [{"input_ids": torch.tensor([t]), "attention_mask": torch.ones(1, len(t), dtype=torch.long)} for t in texts],
        paths,
        lambda x: x > 0,
    )
    assert together.tokens == alone.tokens == 6
    for path in paths:
        assert together.sums[path].shape == (40,)
        assert torch.equal(together.sums[path], alone.sums[path])
        gate = llama.get_submodule(path.replace("act_fn", "gate_proj"))
        assert gate.out_features == 40
    one = activations.tally(
        llama, [padded | {"counted": torch.tensor([[0, 0, 0, 1], [0, 0, 0, 0]])}], paths, lambda x: x
    )
    assert one.tokens == 1
    assert one.means[paths[0]].dtype == torch.float64


def test_silencing_is_zeroing_the_column_that_reads_a_neuron(llama: Any) -> None:
    ids = torch.tensor([[1, 5, 9, 7]])
    path, units = "model.layers.1.mlp.act_fn", [0, 3, 39]
    before = llama(ids).logits
    with activations.silenced(llama, {path: units}):
        silent = llama(ids).logits
    weight = llama.model.layers[1].mlp.down_proj.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[:, units] = 0
    edited = llama(ids).logits
    with torch.no_grad():
        weight.copy_(kept)
    assert torch.allclose(silent, edited, atol=1e-6)
    assert not torch.allclose(silent, before)
    assert torch.equal(llama(ids).logits, before), "nothing stays behind"


def test_a_layer_is_shown_and_replaced(llama: Any) -> None:
    ids, seen = torch.tensor([[1, 5, 9]]), []

    def shift(path: str, states: torch.Tensor) -> torch.Tensor:
        seen.append((path, tuple(states.shape)))
        return torch.zeros_like(states)

    with activations.watching(llama, ["model.layers.2"], shift):
        logits = llama(ids).logits
    assert seen == [("model.layers.2", (1, 3, 16))]
    assert logits.abs().max() == 0
    with pytest.raises(UserError, match=r"no module 'layers\.9'"), activations.watching(llama, ["layers.9"], shift):
        pass


def test_gradients_of_texts(llama: Any) -> None:
    def batch(ids: list[int]) -> dict[str, torch.Tensor]:
        rows = torch.tensor([ids])
        return {"input_ids": rows, "attention_mask": torch.ones_like(rows), "labels": rows}

    one, same, other = (
        gradients.gradient(llama, batch(ids), causal_lm_loss, keep=lambda name: ".layers." in name)
        for ids in ([1, 5, 9, 7], [1, 5, 9, 7], [2, 8, 33, 4])
    )
    assert all(".layers." in name for name in one)
    assert gradients.cosines(one, same) == pytest.approx(dict.fromkeys(one, 1.0))
    assert all(-1 <= value < 0.999 for value in gradients.cosines(one, other).values())
    assert all(parameter.grad is None for parameter in llama.parameters())
    llama.zero_grad()
    causal_lm_loss(llama, batch([1, 5, 9, 7])).total.backward()
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.allclose(one[name], llama.get_parameter(name).grad)
    llama.zero_grad(set_to_none=True)
    assert gradients.cosines({"a": torch.zeros(2)}, {"a": torch.ones(2), "b": torch.ones(1)}) == {"a": 0.0}


def test_a_model_without_such_layers_is_refused() -> None:
    class Plain(nn.Module):
        class _Config:
            hidden_size = 8

            def get_text_config(self) -> Any:
                return self

        config, device = _Config(), torch.device("cpu")

        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(4, 8)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return self.embed(input_ids)

    with pytest.raises(UserError, match="No feed-forward layer of Plain calls"):
        activations.feed_forwards(Plain())
