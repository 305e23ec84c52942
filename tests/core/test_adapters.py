"""LoRA on linear layers: the base stays, the start changes nothing."""

from __future__ import annotations

import torch

from core.models.adapters import with_lora
from core.models.architectures import miniature
from core.models.loading import from_config


def test_adapters_train_beside_a_frozen_base_and_begin_as_nothing() -> None:
    model = from_config(miniature(20, width=16, layers=1, heads=2, feed_forward=24, positions=8), seed=0)
    ids = torch.arange(6)[None]
    before = model(ids).logits
    adapted = with_lora(model, 4, whole=("embed_tokens",))
    assert torch.equal(adapted.eval()(ids).logits, before)
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name or "embed_tokens" in name for name in trained)
    # Four projections of attention and three of the feed-forward layer, two factors each; the embeddings; no head.
    assert len(trained) == 2 * 7 + 1
    assert adapted.peft_config["default"].r == 4


def test_adapters_on_named_layers_alone() -> None:
    model = from_config(miniature(20, width=16, layers=2, heads=2, feed_forward=24, positions=8), seed=0)
    adapted = with_lora(model, 4, targets=("q_proj", "v_proj"))
    trained = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert len(trained) == 2 * 2 * 2
    assert all(".q_proj." in name or ".v_proj." in name for name in trained)
