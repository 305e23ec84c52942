"""Lexical specialization: parity with the official code, the tiny world without leaks, verbs, the paper's files."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import execute
from core.experiment.run import Run
from core.models import loading
from core.models.embedding import pool
from core.text.normalize import fold
from core.training.config import TrainingConfig
from papers.lexical_specialization import PAPER, data, miniature, use
from papers.lexical_specialization.config import PRESETS, VARIANTS, Config, workload
from papers.lexical_specialization.eval import evaluate, induce, large_lexicons, similarity
from papers.lexical_specialization.inputs import Constraint, collate, sequences
from papers.lexical_specialization.method import (
    OBJECTIVES,
    contrast,
    encode_words,
    nt_xent,
    row_weights,
    similarities,
    specialize,
    sup_con,
)
from papers.lexical_specialization.train import train

E = torch.tensor([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0.6, 0.8], [0, 0, 1], [0.6, 0, 0.8]])
PAIRED, DOUBLE = [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 2, 2]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> loading.Loaded:
    folder = tmp_path_factory.mktemp("toy")
    miniature.toy(folder)
    return loading.load(folder, task="encoder", dtype="float32")


# --- parity with the official code -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "temperature", "of_pairs", "of_anchors"),
    [
        (PAIRED, 0.07, 0.7787995, 0.7787995),
        (PAIRED, 0.5, 1.0872346, 1.0872346),
        (DOUBLE, 0.07, 3.0085645, 3.6994350),
        (DOUBLE, 0.5, 1.1127917, 1.4961234),
    ],
)
def test_losses_are_those_of_pytorch_metric_learning(labels, temperature, of_pairs, of_anchors) -> None:
    for objective, value in ((nt_xent, of_pairs), (sup_con, of_anchors)):
        found = objective(similarities(E), torch.tensor(labels), temperature)
        assert found.mean().item() == pytest.approx(value, abs=2e-6)


def test_csls_of_a_batch_is_that_of_the_official_code() -> None:
    found = similarities(E, "csls")
    assert found[0].tolist() == pytest.approx([1.44, 0.872, -0.52, -0.76, -0.60, 0.416], abs=1e-6)
    assert nt_xent(found, torch.tensor(PAIRED), 0.07).mean().item() == pytest.approx(1.0705783, abs=2e-6)


def test_rows_are_drawn_as_the_official_sampler_does() -> None:
    langs = [("en", "de")] * 6 + [("de", "en")] * 2 + [("en", "sw"), ("sw", "sw")]
    rows = [Constraint(str(n), "a", one, "b", other) for n, (one, other) in enumerate(langs)]
    assert row_weights(rows, 0.5) == pytest.approx([0.07322331] * 8 + [0.20710678] * 2, abs=1e-7)
    assert row_weights(rows, 1) == pytest.approx([0.1] * 10)
    # There pairs without a row count too, which halves all weights; a sampler looks at their ratios.
    assert [weight / 2 for weight in row_weights(rows, 0)] == pytest.approx([0.02083333] * 8 + [0.16666667] * 2)


def test_words_are_pooled_over_their_own_subwords(toy: loading.Loaded) -> None:
    states = torch.arange(24.0).reshape(2, 4, 3)
    inner = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0]])  # of four and three tokens, <s> and </s> among them
    assert pool(states, inner).tolist() == [[4.5, 5.5, 6.5], [15, 16, 17]]
    words = ["dog", "лампочка", "犬", "hot beverage"]
    found = encode_words(*toy, words, (0, 1, -1))
    for number, word in enumerate(words):
        ids = toy.tokenizer(word, return_tensors="pt")
        with torch.no_grad():
            hidden = toy.model(**ids, output_hidden_states=True).hidden_states
        for layer, vectors in found.items():
            wanted = hidden[layer][0, 1:-1].sum(0) / (ids["input_ids"].shape[1] - 2)
            assert torch.allclose(vectors[number], wanted, atol=1e-5)


def test_reciprocal_ranks_by_hand() -> None:
    vectors = {
        "xx": torch.tensor([[1.0, 0], [0, 1], [1, 1]]),
        "yy": torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [-1, 0]]),
    }
    gold = {"a": {"xx": [0], "yy": [0]}, "b": {"xx": [1], "yy": [2]}, "c": {"xx": [2], "yy": [2]}}
    found = induce(vectors, gold, ["xx"], ["yy"])
    assert found == {"xx/a": 1.0, "xx/b": 0.5, "xx/c": 1.0}
    assert np.mean(list(found.values())) == pytest.approx(0.8333, abs=1e-4)
    assert np.mean([value == 1 for value in found.values()]) == pytest.approx(0.6667, abs=1e-4)


# --- the losses by their definition -----------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=1, max_size=5), st.sampled_from([0.07, 1.0]))
def test_losses_are_what_their_equations_say(seed: int, synsets: list[int], temperature: float) -> None:
    labels = torch.tensor(synsets).repeat_interleave(2)
    s = similarities(torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(seed)).double())
    e = (s / temperature).exp()
    everyone = range(len(labels))
    pairs, anchors = [], []
    for a in everyone:
        positives = [p for p in everyone if p != a and labels[p] == labels[a]]
        negative = sum((e[a, n] for n in everyone if labels[n] != labels[a]), torch.tensor(0.0))
        others = sum(e[a, k] for k in everyone if k != a)
        pairs += [-math.log(e[a, p] / (e[a, p] + negative)) for p in positives]
        anchors.append(-sum(math.log(e[a, p] / others) for p in positives) / len(positives))
    assert nt_xent(s, labels, temperature).tolist() == pytest.approx(pairs, abs=1e-6)
    assert sup_con(s, labels, temperature).tolist() == pytest.approx(anchors, abs=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_batch_without_negatives_moves_nothing_to_nan(objective) -> None:
    vectors = torch.randn(4, 3, requires_grad=True)
    OBJECTIVES[objective](similarities(vectors), torch.zeros(4), 0.07).sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()


# --- what is read -----------------------------------------------------------------------------------------------------

ROW = Constraint("n1", "dog", "en", "犬", "ja", "a tame animal", "動物")


@pytest.mark.parametrize(
    ("inputs", "read"),
    [
        ("words", [("<s>dog</s>", "dog", ""), ("<s>犬</s>", "犬", "")]),
        ("glosses", [("<s>dog</s></s>a tame animal</s>", "dog", ""), ("<s>犬</s></s>動物</s>", "犬", "")]),
        (
            "glosses_multitask",
            [("<s>dog</s></s>a tame animal</s>", "dog", "a tame animal"), ("<s>犬</s></s>動物</s>", "犬", "動物")],
        ),
        ("joint", [("<s>dog</s>犬</s>a tame animal</s>動物</s>", "dog", "犬")]),
    ],
)
def test_what_is_read_and_what_is_pooled(toy: loading.Loaded, inputs, read) -> None:
    tokenizer = toy.tokenizer
    found = sequences(tokenizer, ROW, inputs, 64)

    def text(ids: Any) -> str:
        return tokenizer.decode(ids).replace(" ", "")

    for ids, texts, (whole, *parts) in zip(found.ids, found.texts, read, strict=True):
        assert text(ids) == whole.replace(" ", "")
        for number, part in enumerate(parts, start=1):
            assert text([i for i, t in zip(ids, texts, strict=True) if t == number]) == part.replace(" ", "")
