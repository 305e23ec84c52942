"""BiStil: numbers of the official code, layers, places, sparse files, trimming, own data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification

from papers.bistil import method

BATCH = {
    "input_ids": torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    "labels": torch.tensor([[-100, 0, 2, -100], [-100, 1, -100, -100]]),
}


def official(layers: int, phase: float = 0.0) -> Any:
    """The tagger of the parity run: weights depend on a parameter's name alone."""
    config = BertConfig(
        vocab_size=12, hidden_size=8, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )  # fmt: skip
    model = BertForTokenClassification(config).eval()
    for name, parameter in model.named_parameters():
        shift = sum(map(ord, name)) % 97 + phase
        values = 0.1 * torch.sin(0.37 * torch.arange(parameter.numel(), dtype=torch.float64) + shift)
        values += 1.0 if "LayerNorm.weight" in name else 0.0
        parameter.data = values.reshape(parameter.shape).float()
    return model


def test_losses_of_the_official_code() -> None:
    small, teacher = official(2, 1.0), method.frozen(official(4))
    seen, shown = method.look(small, BATCH), teacher(BATCH)
    assert float(method.hidden_loss(seen, shown, 2)) == pytest.approx(0.648777, abs=2e-6)
    assert float(method.attention_loss(seen, shown, 2)) == pytest.approx(0.017206, abs=2e-6)
    soft = method.soft_cross_entropy(seen.logits, shown.logits)
    assert float(soft) == pytest.approx(1.100580, abs=2e-6)
    general = method.general_loss(small, BATCH, method.frozen(official(4), head=False), 2)
    assert float(general.total / general.items) == pytest.approx(0.665983, abs=2e-6)
    task = method.task_loss(small, BATCH, teacher, 2)
    assert float(task.logs["ce"] / task.items) == pytest.approx(1.099167, abs=2e-6)
    assert float(task.total / task.items) == pytest.approx(1.765150, abs=2e-6)
    by_hand = method.soft_cross_entropy(torch.tensor([[1.0, 2, 0], [0, 0, 1]]), torch.tensor([[2.0, 0, 1], [1, 1, 0]]))
    assert float(by_hand) == pytest.approx(1.209367, abs=2e-6)
