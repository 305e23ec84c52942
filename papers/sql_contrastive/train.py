"""Train the encoder, then the policy by its rewards.

    python -m papers.sql_contrastive.train tiny --variant contrastive
    accelerate launch -m papers.sql_contrastive.train paper --databases DIR --questions "mine_{split}_{code}.jsonl"

The start of the policy (miniature) and the encoder are shared by the arms of a seed. The artifact is the policy's
`save_pretrained` folder. With a `base` trl's GRPOTrainer samples and updates, with the same rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from math import gcd
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.config import override, to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.sql_contrastive.config import Config

if TYPE_CHECKING:
    from papers.sql_contrastive.data import Copies
    from papers.sql_contrastive.method import Item, Near, Reward


def train(config: Config, run: Run) -> None:
    """The encoder where a reward needs it, and the policy."""
    from core.distributed import seed_everything
    from core.models.adapters import with_lora
    from core.models.loading import load
    from core.training.fit import fit, save_pretrained
    from core.training.policy import Sampling
    from papers.sql_contrastive import data, method

    seed_everything(config.seed, 0)
    copies = data.databases(config, run)
    scorer = scorer_of(config, run, copies)
    model, tokenizer = load(starting_point(config, run), **({} if config.base else {"dtype": "float32"}))
    if config.supervised:
        if config.lora_rank:
            model = with_lora(model, config.lora_rank, alpha=2 * config.lora_rank, dropout=0.0)
        read = {name: getattr(config.contrast, name) for name in ("steps", "epochs", "batch_size")}
        rows = data.answered(tokenizer, config, copies)
        fit(model, rows, override(config.sft, read), run, seed=config.seed, name="tuned")
    if config.reinforce:
        items, weights = data.items(config, "policy"), asdict(config.weights)
        prompts = data.asked(tokenizer, items, copies)
        parts = method.rewards({name: own[0] for name, own in copies.items()}, scorer)
        if config.base:
            model = with_trl(model, tokenizer, items, prompts, parts, config, run)
        else:
            how = Sampling(config.group, 1.0, config.max_new_tokens, beta=config.beta)
            method.learn(model, tokenizer, items, prompts, parts, weights, how, config.policy, run, config.seed)
    save_pretrained(model, run.artifact, tokenizer)


def starting_point(config: Config, run: Run) -> str:
    """The policy before any reward: a hub id, or the folder of the one that is tuned here."""
    from papers.sql_contrastive import data, miniature

    if config.base:
        return config.base
    inputs = {name: getattr(config, name) for name in ("seed", "tuning", "careless")} | {"sft": to_dict(config.sft)}
    items = data.items(config, "tuning")
    folder = run.stage("start", inputs, lambda to: miniature.policy_model(config, items, run, to))
    return str(folder / "model")


def scorer_of(config: Config, run: Run, copies: Copies) -> Near | None:
    """The frozen encoder as a reward; None where its weight is 0."""
    from core.models.embedding import Encoder
    from core.models.loading import load
    from papers.sql_contrastive import data, method

    if not config.weights.contrastive:
        return None
    names = ("seed", "encoder", "pairs", "negatives", "temperature", "questions", "databases")
    inputs = {name: getattr(config, name) for name in names} | {"contrast": to_dict(config.contrast)}
    folder = run.stage("encoder", inputs, lambda to: train_encoder(config, run, copies, to))
    scorer = method.Scorer(Encoder(*load(folder / "model", task="encoder", dtype="float32"), method.POOLING))
    others = [item.question for item in data.items(config, "encoder")]
    shuffled = lambda question, queries: scorer(Random(question).choice(others), queries)  # noqa: E731
    return shuffled if config.mismatched else scorer


def train_encoder(config: Config, run: Run, copies: Copies, folder: Path) -> None:
    """Equation 1 on the encoder's part of the questions."""
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.sql_contrastive import data, method, miniature

    trained = load(config.encoder, task="encoder", dtype="float32") if config.encoder else miniature.encoder(config)
    rows, own = data.pairs(data.items(config, "encoder"), copies), replace(run, path=folder / "training")
    how: Any = {"negatives": config.negatives, "temperature": config.temperature}
    method.train_encoder(trained[0], trained[1], rows, config.contrast, own, config.seed, **how)
    save_pretrained(trained[0], folder / "model", trained[1])


def with_trl(
    model: Any, tokenizer: Any, items: Sequence[Item], prompts: Sequence[str], parts: Mapping[str, Reward],
    config: Config, run: Run,
) -> Any:  # fmt: skip
    """The policy, trained by trl on as many questions, with one reward function for each named part.

    Raises:
        UserError: The questions of a step cannot be shared among the processes.
    """
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from core.distributed import world_size
    from core.models.adapters import with_lora

    weights = {name: weight for name, weight in asdict(config.weights).items() if weight}
    settings, world = config.policy, world_size()
    if settings.batch_size % world:
        raise UserError(f"policy.batch_size = {settings.batch_size} has to be a multiple of the {world} processes.")
    if config.lora_rank:
        model = with_lora(model, config.lora_rank, alpha=2 * config.lora_rank, dropout=0.0)
    own = settings.batch_size // world  # questions of a process, with all their answers
    micro = gcd(settings.micro_batch_size or own, own)
    options = GRPOConfig(
        output_dir=str(run.checkpoints / "trl"), seed=config.seed, max_steps=settings.steps or -1,
        num_train_epochs=settings.epochs, learning_rate=settings.learning_rate, warmup_steps=settings.warmup,
        lr_scheduler_type="cosine", max_grad_norm=settings.max_grad_norm, bf16=settings.precision == "bf16",
        gradient_checkpointing=settings.gradient_checkpointing, logging_steps=settings.log_every, report_to=[],
        per_device_train_batch_size=micro * config.group, gradient_accumulation_steps=own // micro,
        num_generations=config.group, max_completion_length=config.max_new_tokens, temperature=1.0,
        beta=config.beta, loss_type="grpo", use_bias_correction_kl=False, reward_weights=list(weights.values()),
        save_strategy="no",
    )  # fmt: skip
    rows = Dataset.from_list([{"prompt": prompt, "number": number} for number, prompt in enumerate(prompts)])
    trainer = GRPOTrainer(
        model, reward_funcs=[_for_trl(name, parts[name], items) for name in weights], args=options, train_dataset=rows,
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    return trainer.accelerator.unwrap_model(trainer.model)


def _for_trl(name: str, part: Reward, items: Sequence[Item]) -> Callable[..., list[float | None]]:
    def reward(completions: list[str], number: list[int], **_: Any) -> list[float | None]:
        return [part(items[n], [text])[0] for n, text in zip(number, completions, strict=True)]

    reward.__name__ = name  # of the column in trl's log
    return reward


if __name__ == "__main__":
    entrypoint(train)
