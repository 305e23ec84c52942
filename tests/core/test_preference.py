"""Preference training: known numbers, parity with trl, the reference, and what training does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core import distributed
from core.errors import UserError
from core.experiment.run import Run
from core.models.architectures import miniature
from core.models.loading import from_config
from core.models.tokenization import word_level
from core.training import preference
from core.training.config import TrainingConfig

WORDS = ["say", "one", "two", "three", "yes", "no", "maybe"]
PROMPTS = ["say one", "say two three one", "say three", "say two two"]
BETTER, WORSE = ["yes", "yes yes", "no", "maybe yes no"], ["no no maybe", "maybe", "yes", "no"]


def setup(seed: int = 0) -> tuple[Any, Any]:
    tokenizer = word_level(WORDS)
    shape = miniature(len(tokenizer), width=16, layers=2, heads=2, feed_forward=32, positions=32, initializer_range=0.5)
    return from_config(shape, seed=seed), tokenizer


def rows() -> tuple[Any, list[preference.Pair]]:
    model, tokenizer = setup()
    return model, preference.pairs(tokenizer, PROMPTS, BETTER, WORSE)


def test_the_loss_of_known_log_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    log_probs = torch.tensor([-12.5, -14.0])
    monkeypatch.setattr(preference, "answer_log_probs", lambda model, batch: log_probs)
    batch = {"reference": torch.tensor([-13.0, -13.5]), "labels": torch.tensor([[-100, -100, 5, 6], [-100, 5, 6, 7]])}
    total, pairs, logs = preference.preference_loss(nn.Identity(), batch, beta=0.1)
    assert total.item() == pytest.approx(0.644397, abs=1e-6)
    assert pairs == 1
    assert {name: value.item() for name, value in logs.items()} == {
        "preferred": 1.0, "gain_better": 0.5, "gain_worse": -0.5
    }  # fmt: skip
    with_nll = preference.preference_loss(nn.Identity(), batch, beta=0.1, nll=0.2).total
    assert with_nll.item() == pytest.approx(0.644397 + 0.2 * 12.5 / 2, abs=1e-6)


def test_an_answer_has_the_log_probability_of_its_tokens_alone() -> None:
    model, pairs = rows()
    model.eval()
    batch = preference.collate(pairs)
    found = preference.answer_log_probs(model, batch)
    for row, value in zip([p["better"] for p in pairs] + [p["worse"] for p in pairs], found, strict=True):
        ids = torch.tensor([row["input_ids"]])
        log_probs = model(input_ids=ids).logits[0].log_softmax(-1)
        places = [i for i, label in enumerate(row["labels"]) if label != -100]
        assert value.item() == pytest.approx(sum(log_probs[i - 1, row["labels"][i]].item() for i in places), abs=1e-4)


def test_the_reference_is_the_model_before_training() -> None:
    model, pairs = rows()
    known = preference.with_reference(model, pairs, batch_size=3)
    assert all("reference" not in row for row in pairs)
    model.eval()
    total, count, logs = preference.preference_loss(model, preference.collate(known), beta=0.7)
    assert total.item() / count == pytest.approx(math.log(2), abs=1e-5)
    assert logs["gain_better"].item() == pytest.approx(0, abs=1e-4)


def test_loss_and_gradient_are_those_of_trl(tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    policy, tokenizer = setup()
    reference, _ = setup(seed=1)
    pairs = preference.with_reference(reference, preference.pairs(tokenizer, PROMPTS, BETTER, WORSE))
    total, count, _ = preference.preference_loss(policy, preference.collate(pairs), beta=0.3)
    (total / count).backward()
    gradients = {name: weight.grad.clone() for name, weight in policy.named_parameters()}
    policy.zero_grad()

    table = [
        {"prompt": prompt, "chosen": f" {yes}", "rejected": f" {no}"}
        for prompt, yes, no in zip(PROMPTS, BETTER, WORSE, strict=True)
    ]
    settings = DPOConfig(
        output_dir=str(tmp_path), beta=0.3, use_cpu=True, bf16=False, report_to=[], gradient_checkpointing=False,
        per_device_train_batch_size=len(pairs),
    )  # fmt: skip
    data = Dataset.from_list(table)
    trainer = DPOTrainer(policy, reference, args=settings, train_dataset=data, processing_class=tokenizer)
    theirs = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader())))
    assert theirs.item() == pytest.approx(total.item() / count, abs=1e-5)
    theirs.backward()
    for name, weight in policy.named_parameters():
        assert torch.allclose(weight.grad, gradients[name], atol=1e-5), name


def test_training_prefers_the_better_answers(tmp_path: Path) -> None:
    model, pairs = rows()
    settings = TrainingConfig(steps=30, batch_size=4, learning_rate=3e-3, precision="fp32", log_every=100)
    run = Run(tmp_path, "test", settings, tmp_path / "stages", quiet=True)
    result = preference.train(model, preference.with_reference(model, pairs), settings, run, seed=0, beta=0.5)
    assert result.losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert result.losses[-1] < 0.2
    with pytest.raises(UserError, match="with_reference"):
        preference.train(model, pairs, settings, run, seed=0, beta=0.5)


def _reference() -> list[list[float]]:
    model, pairs = rows()
    return [row["reference"] for row in preference.with_reference(model, pairs)]


@pytest.mark.distributed
def test_processes_share_the_reference() -> None:
    alone = _reference()
    for found in distributed.launch_cpu(_reference, 2):
        assert torch.allclose(torch.tensor(found), torch.tensor(alone), atol=1e-5)


def test_pairs_that_say_nothing_are_refused() -> None:
    _, tokenizer = setup()
    with pytest.raises(UserError, match="better and a worse"):
        preference.pairs(tokenizer, ["say one"], ["yes"], ["yes"])
    with pytest.raises(UserError, match="at most 3 tokens"):
        preference.pairs(tokenizer, PROMPTS, BETTER, WORSE, longest=3)
    assert len(preference.pairs(tokenizer, PROMPTS, BETTER, WORSE, longest=6)) < len(PROMPTS)
