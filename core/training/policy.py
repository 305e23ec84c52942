"""Reinforcement from rewards that a program gives: groups of answers to one prompt compete (GRPO, Shao et al. 2024).

    reward = lambda number, texts: [float(text.strip() == gold[number]) for text in texts]
    train(model, tokenizer, prompts, reward, Sampling(group=8, max_new_tokens=16), config.training, run, seed=0)

Of each prompt G answers are sampled from the model as it is. With rewards r_1 .. r_G, log-ratio
d_t = log pi(y_t) - log pi_old(y_t) and reference log-ratio k_t = log ref(y_t) - log pi(y_t),

    A_i = (r_i - mean r) / (std r + 1e-4)                                                                          (1)
    L   = - mean_i mean_t [ min(e^d A, clip(e^d, 1 - eps, 1 + eps) A) - beta (e^k - k - 1) ]                       (2)

A group of equal rewards teaches nothing; the log says how many there were. Loss and gradient are those of trl's
`GRPOTrainer` with `loss_type="grpo"` (a test compares them; its `use_bias_correction_kl`, on by default, multiplies the
divergence by e^d and is off there), which is what to use where answers are long: here answers are sampled inside
:func:`core.training.fit.fit`, one update each, so that a killed run goes on to the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.experiment.config import Range
from core.experiment.run import Run
from core.inference.scoring import evaluating
from core.models.tokenization import completion_row
from core.training.config import TrainingConfig
from core.training.fit import FitResult, fit
from core.training.losses import IGNORED, Loss, label_log_probs
from core.training.seq2seq import collate

Reward = Callable[[int, Sequence[str]], Sequence[float]]
"""From the number of a prompt and answers to it to their rewards."""


@dataclass(frozen=True)
class Sampling:
    """How answers are sampled and what the policy is held to."""

    group: Annotated[int, Range(2)] = 8
    """G: answers to a prompt."""
    temperature: Annotated[float, Range(0, 5)] = 1.0
    """Of the sampling."""
    max_new_tokens: Annotated[int, Range(1)] = 64
    """Longest answer; one that is cut is not taught to end there."""
    clip: Annotated[float, Range(0, 1)] = 0.2
    """eps of equation 2; without effect where answers are used once."""
    beta: Annotated[float, Range(0)] = 0.0
    """Weight of the divergence from the reference, the model before training; 0 needs none."""
    scale: bool = True
    """Divide by the standard deviation of the group (Liu et al. 2025 leave it out: Dr. GRPO)."""


def group_advantages(rewards: Float[Tensor, "prompt group"], *, scale: bool = True) -> Float[Tensor, "prompt group"]:
    """Equation 1, with the standard deviation of a sample; 0 for all of a group that is rewarded alike."""
    centred = rewards - rewards.mean(1, keepdim=True)
    return centred / (rewards.std(1, keepdim=True) + 1e-4) if scale else centred


def weighted(parts: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> list[float]:
    """Sum of named rewards of the same answers, each with its weight; those without a weight do not count.

    Raises:
        ValueError: A weight names no reward.
    """
    if unknown := sorted(weights.keys() - parts.keys()):
        raise ValueError(f"There is no reward {unknown[0]!r}: there are {', '.join(parts)}.")
    rows = zip(*(parts[name] for name in weights), strict=True)
    return [float(sum(w * value for w, value in zip(weights.values(), row, strict=True))) for row in rows]


def policy_loss(model: nn.Module, batch: Mapping[str, Tensor], *, clip: float = 0.2, beta: float = 0.0) -> Loss:
    """Equation 2, summed over answers.

    Args:
        model: The policy.
        batch: `input_ids`, `attention_mask` and `labels` (the answers' tokens), [answers, length], `advantages`,
            [answers], and perhaps `old`, log-probabilities under the policy that sampled, and `reference`, both of
            every label in the order of rows; without `old` the policy has not moved since.
        clip: eps.
        beta: Weight of the divergence, which needs `reference`.
    """
    log_probs, row = label_log_probs(model, {name: batch[name] for name in ("input_ids", "attention_mask", "labels")})
    old = batch["old"] if "old" in batch else log_probs.detach()
    ratio, gain = (log_probs - old).exp(), batch["advantages"][row]
    objective = torch.min(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain)
    if beta:
        k = batch["reference"] - log_probs
        objective = objective - beta * (k.exp() - k - 1)
    answers = len(batch["input_ids"])
    ones = torch.ones_like(objective)
    tokens = objective.new_zeros(answers).index_add(0, row, ones).clamp(min=1)
    means = objective.new_zeros(answers).index_add(0, row, objective) / tokens
    return Loss(-means.sum(), answers)


def train(
    model: Any, tokenizer: Any, prompts: Sequence[str], reward: Reward, sampling: Sampling, settings: TrainingConfig,
    run: Run, seed: int, *, name: str = "policy",
) -> FitResult:  # fmt: skip
    """Train a model, in place, by its own answers.

    Args:
        model: A causal language model on one process or under DDP; sharded ones sample too slowly here.
        tokenizer: Its tokenizer.
        prompts: What is asked, templates included.
        reward: See :data:`Reward`.
        sampling: Groups and what holds the policy.
        settings: `batch_size` in prompts; the answers of a micro-batch are in memory together.
        run: Receives metrics (`reward`, `equal_groups`: the share that teaches nothing, `length`) and checkpoints.
        seed: Of the order of prompts, and of the sampling.
        name: Of this phase.
    """
    from copy import deepcopy

    reference = deepcopy(model).eval().requires_grad_(False) if sampling.beta else None
    rows = [{"input_ids": tokenizer(text).input_ids, "number": number} for number, text in enumerate(prompts)]
    loss = partial(_sampled_loss, tokenizer=tokenizer, prompts=prompts, reward=reward, how=sampling, held_to=reference)
    return fit(model, rows, settings, run, collate=_collate, loss_fn=loss, seed=seed, name=name)


def _collate(rows: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Tensor]:
    """Numbers of prompts and a seed for their answers: a resumed run samples the same."""
    numbers = torch.tensor([[row["number"]] for row in rows])
    return {"input_ids": numbers, "sampling_seed": torch.tensor([int(rng.integers(2**31))])}


def _sampled_loss(
    model: nn.Module, batch: Mapping[str, Tensor], *, tokenizer: Any, prompts: Sequence[str], reward: Reward,
    how: Sampling, held_to: nn.Module | None,
) -> Loss:  # fmt: skip
    from core.inference.generation import generate
    from core.models.loading import unwrapped

    policy: Any = unwrapped(model)
    numbers = [int(number) for number in batch["input_ids"][:, 0]]
    asked = [prompts[number] for number in numbers for _ in range(how.group)]
    with evaluating(policy):
        texts = generate(
            policy, tokenizer, asked, max_new_tokens=how.max_new_tokens, temperature=how.temperature,
            seed=int(batch["sampling_seed"]),
        )  # fmt: skip
    groups = [texts[start : start + how.group] for start in range(0, len(texts), how.group)]
    rewards = torch.tensor([list(map(float, reward(n, own))) for n, own in zip(numbers, groups, strict=True)])
    advantages = group_advantages(rewards, scale=how.scale)
    answered = answers(tokenizer, asked, texts, longest=how.max_new_tokens)
    given = {name: value.to(policy.device) for name, value in answered.items()}
    given["advantages"] = advantages.flatten().to(policy.device)
    if held_to is not None:
        with torch.no_grad():
            given["reference"] = label_log_probs(held_to.to(policy.device), given)[0]
    total, items, _ = policy_loss(model, given, clip=how.clip, beta=how.beta)
    equal = (rewards.max(1).values == rewards.min(1).values).double().sum() * how.group
    lengths = (answered["labels"] != IGNORED).sum().double()
    return Loss(total, items, {"reward": rewards.double().sum(), "equal_groups": equal, "length": lengths})


def answers(tokenizer: Any, prompts: Sequence[str], texts: Sequence[str], *, longest: int) -> dict[str, Tensor]:
    """A padded batch of prompts with answers whose loss is on the answers; those of `longest` tokens did not end."""
    rows = []
    for prompt, text in zip(prompts, texts, strict=True):
        row = completion_row(tokenizer, prompt, text)
        new = sum(label != IGNORED for label in row["labels"])
        rows.append(completion_row(tokenizer, prompt, text, eos=False) if new > longest else row)
    return collate(rows, pad=0)
