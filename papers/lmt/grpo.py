"""Stage 3: reinforce the fine-tuned model on its own translations (Section 3.3).

Every step samples a group of translations for each prompt of the fine-tuning set, scores them against the reference and
takes one policy-gradient step (:func:`papers.lmt.stages.grpo_loss`) in the common training loop, so that accumulation,
several processes and resuming work as everywhere.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from core.experiment.run import Run
from core.models.tokenization import prompt_ids
from core.tasks.translation import scorer
from core.training.losses import Loss
from papers.lmt.config import Config
from papers.lmt.inference import clean_output, model_input, special_strings
from papers.lmt.method import Example
from papers.lmt.stages import group_advantages, grpo_loss

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from core.training.fit import FitResult

HEAD_TOKENS = 1024  # positions whose logits are held at once; a vocabulary of 150,000 takes 0.6 GB for them


def reinforce(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    config: Config,
    run: Run,
) -> FitResult:
    """Train `model` in place on rollouts of the examples' prompts; the reference is a frozen copy of it."""
    from core.training.fit import fit

    settings, style = config.grpo, config.prompt_style
    reference = copy.deepcopy(model).eval().requires_grad_(False)
    rate = scorer("chrf++" if settings.reward == "chrf" else settings.reward, model.device)
    strings = special_strings(tokenizer)
    pad = int(tokenizer.pad_token_id)

    def collate(rows: Sequence[Mapping[str, Any]], rng: Any) -> dict[str, Any]:
        prompts = [list(prompt.ids) for prompt in prompt_ids(tokenizer, [row["prompt"] for row in rows])]
        tokens, mask = left_padded(prompts, pad)
        return {"input_ids": tokens, "attention_mask": mask, "rows": list(rows), "seed": int(rng.integers(2**31))}

    def loss_fn(policy: Any, batch: Mapping[str, Any]) -> Loss:
        tokens, mask, written = roll_out(
            policy, batch, rollouts=settings.rollouts, temperature=settings.temperature,
            max_new_tokens=settings.max_new_tokens, pad=pad,
        )  # fmt: skip
        width = batch["input_ids"].shape[1]
        outputs = [clean_output(text, strings) for text in written_texts(tokenizer, tokens[:, width:], written)]
        repeated = [row for row in batch["rows"] for _ in range(settings.rollouts)]
        scores = rate([row["source"] for row in repeated], outputs, [row["target"] for row in repeated])
        rewards = torch.tensor(scores, device=tokens.device).view(-1, settings.rollouts)
        logp = rollout_logp(policy, tokens, mask, width, settings.temperature)
        with torch.no_grad():
            anchor = rollout_logp(reference.to(tokens.device), tokens, mask, width, settings.temperature)
        advantages = group_advantages(rewards).flatten()
        total, count = grpo_loss(logp, logp.detach(), anchor, advantages, written, kl=settings.kl, clip=settings.clip)
        # Where all rollouts earn the same there is nothing to learn; logs are divided by the number of rollouts.
        idle = rewards.std(1).lt(1e-6).sum() * settings.rollouts
        return Loss(total, count, {"reward": rewards.sum(), "idle_groups": idle})

    rows = [
        {
            "prompt": model_input(tokenizer, example.prompt(style), style),
            "source": example.source_text,
            "target": example.target_text,
        }
        for example in examples
    ]
    return fit(model, rows, settings.training, run, loss_fn=loss_fn, collate=collate, seed=config.seed, name="grpo")


def left_padded(
    prompts: Sequence[Sequence[int]], pad: int
) -> tuple[Int[Tensor, "prompts width"], Int[Tensor, "prompts width"]]:
    """Prompts with padding before them, and 1 where there is none."""
    width = max(map(len, prompts))
    tokens = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return tokens, mask


@torch.no_grad()
def roll_out(
    model: Any,
    batch: Mapping[str, Any],
    *,
    rollouts: int,
    temperature: float,
    max_new_tokens: int,
    pad: int,
) -> tuple[Int[Tensor, "rollouts time"], Int[Tensor, "rollouts time"], Bool[Tensor, "rollouts new"]]:
    """Sample translations, `rollouts` a prompt, neighbours being of the same prompt.

    Returns:
        Prompts and what was written, their attention mask, and True on the written tokens up to the end token.
    """
    ends = model.generation_config.eos_token_id
    was_training = model.training
    model.eval()
    devices = [batch["input_ids"].device] if batch["input_ids"].is_cuda else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(batch["seed"])
        tokens = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            do_sample=True,
            temperature=temperature,
            top_p=1.0,
            top_k=0,
            num_return_sequences=rollouts,
            max_new_tokens=max_new_tokens,
            pad_token_id=pad,
            # Ranks that share parameters have to go on together until the last rollout of any of them.
            synced_gpus=torch.distributed.is_initialized(),
        )
    model.train(was_training)
    new = tokens[:, batch["input_ids"].shape[1] :]
    ended = torch.isin(new, torch.tensor(ends, device=new.device)).int()
    written = ended.cumsum(1) - ended == 0
    mask = torch.cat([batch["attention_mask"].repeat_interleave(rollouts, 0), written.int()], 1)
    return tokens, mask, written


def written_texts(
    tokenizer: PreTrainedTokenizerBase, new: Int[Tensor, "rollouts new"], written: Bool[Tensor, "rollouts new"]
) -> list[str]:
    """The text of each rollout up to its end; what batching put after it is not read."""
    return [str(tokenizer.decode(row[kept], skip_special_tokens=True)) for row, kept in zip(new, written, strict=True)]


def rollout_logp(
    model: Any,
    tokens: Int[Tensor, "rollouts time"],
    mask: Int[Tensor, "rollouts time"],
    width: int,
    temperature: float = 1.0,
) -> Float[Tensor, "rollouts new"]:
    """Log probability, under sampling at `temperature`, of every token after the first `width`.

    Logits are computed, and recomputed in the backward pass, in chunks.
    """
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    hidden = model.base_model(
        input_ids=tokens, attention_mask=mask, position_ids=positions, use_cache=False
    ).last_hidden_state[:, width - 1 : -1]
    head = model.get_output_embeddings()

    def chunk(states: Tensor, wanted: Tensor) -> Tensor:
        logits = head(states).float() / temperature
        return -torch.nn.functional.cross_entropy(logits, wanted, reduction="none")

    pieces = zip(hidden.flatten(0, 1).split(HEAD_TOKENS), tokens[:, width:].flatten().split(HEAD_TOKENS), strict=True)
    found = [checkpoint(chunk, states, wanted, use_reentrant=False) for states, wanted in pieces]
    return torch.cat(found).view(len(tokens), -1)
