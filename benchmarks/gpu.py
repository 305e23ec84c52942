"""Tokens per second and model FLOPs utilisation of `fit` on a GPU: packed rows of 2,048, bf16, compiled.

uv run nox -s bench -- gpu
"""

from __future__ import annotations

import random

import torch

from benchmarks.common import Comparison

LENGTH, STEPS = 2048, 20
# Name -> (layers, width, inner width, heads, key-value heads, vocabulary, tied, rows a step)
SHAPES = {
    "135M (SmolLM2's shape)": (30, 576, 1536, 9, 3, 49152, True, 32),
    "1B (Llama 3.2's shape)": (16, 2048, 8192, 32, 8, 128256, True, 8),
}


def measure() -> list[Comparison]:
    """One row a shape; nothing without a GPU. The ratio is the utilisation."""
    if not torch.cuda.is_available():
        return []
    from transformers import LlamaConfig

    from core.experiment.run import temporary
    from core.models.loading import from_config
    from core.training.config import TrainingConfig
    from core.training.fit import fit

    rows = []
    for name, (layers, width, inner, heads, kv_heads, vocabulary, tied, batch) in SHAPES.items():
        config = LlamaConfig(
            num_hidden_layers=layers, hidden_size=width, intermediate_size=inner, num_attention_heads=heads,
            num_key_value_heads=kv_heads, vocab_size=vocabulary, tie_word_embeddings=tied, pad_token_id=0,
            max_position_embeddings=LENGTH,
        )  # fmt: skip
        settings = TrainingConfig(
            steps=STEPS, batch_size=batch, max_length=LENGTH, learning_rate=1e-4, precision="bf16", compile=True
        )
        with temporary() as run:
            result = fit(from_config(config, seed=0), documents(vocabulary, batch * STEPS), settings, run)
        rows.append(
            Comparison(
                name=f"training on {torch.cuda.get_device_name()}: {name}",
                ours=result.tokens_per_second,
                instead=float("nan"),
                unit="tokens/s",
                ratio=result.mfu if result.mfu is not None else float("nan"),
                expected="0.4 (MFU)",
                note=f"packed {LENGTH}, batch {batch}, bf16, compiled; {result.peak_memory / 1e9:.1f} GB",
            )
        )
        torch.cuda.empty_cache()
    return rows


def documents(vocabulary: int, rows: int) -> list[dict[str, list[int]]]:
    """Random documents of 200 to 1,800 tokens that fill about so many rows."""
    chooser = random.Random(0)
    made, total = [], 0
    while total < rows * LENGTH:
        length = chooser.randint(200, 1800)
        made.append({"input_ids": [chooser.randrange(vocabulary) for _ in range(length)]})
        total += length
    return made
