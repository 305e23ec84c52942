"""LoRA on linear layers: the base stays, the start changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.errors import UserError
from core.models.adapters import read_adapter, with_lora, write_adapter
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


def test_factors_are_read_as_they_were_written(tmp_path: Path) -> None:
    name = "base_model.model.layer.{}.weight"
    factors = {name.format("lora_A"): torch.rand(2, 5), name.format("lora_B"): torch.rand(3, 2)}
    write_adapter(tmp_path, factors, rank=2, alpha=4, base="toy")
    read = {key: torch.zeros_like(factor) for key, factor in factors.items()}
    read_adapter(tmp_path, read)
    assert all(torch.equal(read[key], factor) for key, factor in factors.items())
    for other in ({name.format("lora_A"): torch.zeros(2, 5)}, {**read, name.format("lora_A"): torch.zeros(4, 5)}):
        with pytest.raises(UserError, match=r"does not fit this base model: \S+lora_[AB]\.weight differs"):
            read_adapter(tmp_path, other)
    with pytest.raises(UserError, match="holds no adapter"):
        read_adapter(tmp_path / "none", read)
