"""Policy gradients: known advantages, parity with trl, rewards that rise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from core.experiment.run import Run
from core.models.architectures import miniature
from core.models.loading import from_config
from core.models.tokenization import word_level
from core.training import policy
from core.training.config import TrainingConfig
from core.training.losses import label_log_probs

WORDS = ["say", "one", "two", "three", "yes", "no", "maybe"]
PROMPTS = ["say one", "say two three one"]
TEXTS = ["yes no", "maybe", "no no yes", "yes"]


def setup(seed: int = 0, spread: float = 0.5) -> tuple[Any, Any]:
    tokenizer = word_level(WORDS)
    sizes = {"width": 16, "layers": 2, "heads": 2, "feed_forward": 32, "positions": 32}
    shape = miniature(len(tokenizer), **sizes, initializer_range=spread)
    return from_config(shape, seed=seed), tokenizer


def test_known_advantages() -> None:
    found = policy.group_advantages(torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.5, 0.5, 0.5, 0.5]]))
    assert found[0].tolist() == pytest.approx([0.8659, -0.8659, -0.8659, 0.8659], abs=2e-4)
    assert found[1].tolist() == [0, 0, 0, 0], "a group that is rewarded alike teaches nothing"
    assert policy.group_advantages(torch.tensor([[1.0, 0.0]]), scale=False).tolist() == [[0.5, -0.5]]


def test_rewards_are_weighted_by_name() -> None:
    parts = {"runs": [1, 0], "right": [1, 1], "extra": [9, 9]}
    assert policy.weighted(parts, {"right": 1.0, "runs": 0.5}) == [1.5, 1.0]
    with pytest.raises(ValueError, match="no reward 'length'"):
        policy.weighted(parts, {"length": 1})


def test_loss_and_gradient_are_those_of_trl(tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    model, tokenizer = setup()
    old, reference = (setup(seed=seed)[0].eval() for seed in (1, 2))
    asked = [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2
    batch = policy.answers(tokenizer, asked, TEXTS, longest=3)
    with torch.no_grad():
        batch |= {name: label_log_probs(other, batch)[0] for name, other in (("old", old), ("reference", reference))}
    batch["advantages"] = torch.tensor([1.0, -1.0, 0.5, -0.7])
    model.eval()
    total, items, _ = policy.policy_loss(model, batch, clip=0.2, beta=0.1)
    (total / items).backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()

    # Theirs: prompts padded on the left, answers on the right.
    prompts = [tokenizer(text).input_ids for text in asked]
    labels = [[x for x in row if x != -100] for row in batch["labels"].tolist()]
    width, longest = max(map(len, prompts)), max(map(len, labels))

    def spread(values: torch.Tensor) -> torch.Tensor:
        rows = values.split([len(row) for row in labels])
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)

    inputs = {
        "prompt_ids": torch.tensor([[0] * (width - len(p)) + p for p in prompts]),
        "prompt_mask": torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts]),
        "completion_ids": torch.tensor([row + [0] * (longest - len(row)) for row in labels]),
        "completion_mask": torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in labels]),
        "advantages": batch["advantages"],
        "old_per_token_logps": spread(batch["old"]),
        "ref_per_token_logps": spread(batch["reference"]),
    }
    settings = GRPOConfig(
        output_dir=str(tmp_path), beta=0.0, epsilon=0.2, use_bias_correction_kl=False, loss_type="grpo", use_cpu=True,
        bf16=False, report_to=[],
        num_generations=2, per_device_train_batch_size=4, gradient_checkpointing=False, max_completion_length=4,
    )  # fmt: skip
    data = Dataset.from_list([{"prompt": text} for text in PROMPTS])
    trainer = GRPOTrainer(
        model, reward_funcs=lambda completions, **_: [0.0] * len(completions), args=settings, train_dataset=data,
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1
    trainer.beta = 0.1  # set here: it would load the reference by the model's name, which has none
    theirs = trainer._compute_loss(trainer.model, inputs)
    assert theirs.item() == pytest.approx((total / items).item(), abs=1e-5)
    theirs.backward()
    for name, weight in model.named_parameters():
        assert torch.allclose(weight.grad, gradients[name], atol=1e-5), name


def _trained(folder: Path, **changes: Any) -> tuple[list[float], float, float]:
    model, tokenizer = setup(spread=0.1)
    settings = TrainingConfig(steps=60, batch_size=2, learning_rate=5e-3, precision="fp32", log_every=5)
    run = Run(folder, "test", settings, folder / "stages", quiet=True)
    asked: list[float] = []

    def reward(number: int, texts: Sequence[str]) -> list[float]:
        """Prompts want other words: what is learnt is an answer and no habit."""
        found = [float(text.split()[:1] == [("yes", "no")[number]]) for text in texts]
        asked.append(sum(found) / len(found))
        return found

    how = policy.Sampling(group=16, max_new_tokens=1, **changes)
    result = policy.train(model, tokenizer, PROMPTS, reward, how, settings, run, seed=0)
    return result.losses, sum(asked[:6]) / 6, sum(asked[-6:]) / 6


def test_rewards_rise_and_runs_repeat(tmp_path: Path) -> None:
    losses, before, after = _trained(tmp_path / "a")
    assert after > max(0.6, before + 0.2)
    assert _trained(tmp_path / "b") == (losses, before, after)
    held = _trained(tmp_path / "c", beta=5.0)
    assert held[2] < after, "a heavy divergence holds the policy back"


def test_a_cut_answer_is_not_taught_to_end() -> None:
    _, tokenizer = setup()
    batch = policy.answers(tokenizer, ["say one"] * 2, ["yes no maybe", "yes"], longest=3)
    ends = (batch["labels"] == tokenizer.eos_token_id).sum(1).tolist()
    assert ends == [0, 1]
