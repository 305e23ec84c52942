"""Cloned languages: the official code's numbers, exact clones, and what the measures say where the answer is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import override
from core.experiment.run import Run
from core.models.loading import load_model, load_tokenizer
from papers.cloned_languages import method, miniature, similarity
from papers.cloned_languages.config import PRESETS, VARIANTS, staged
from papers.cloned_languages.curve import Curve
from papers.cloned_languages.data import Material, material
from papers.cloned_languages.eval import evaluate, pairs_of_tokens
from papers.cloned_languages.train import fresh, monolingual, train
from papers.cloned_languages.use import residual_interval

TINY, SMOKE = PRESETS["tiny"], PRESETS["smoke"]
TOKENS = 512 * 128 * 18_265


# --- parity with the official code ------------------------------------------------------------------------------------


def test_schedules_of_the_official_code() -> None:
    assert staged("0.1_0.9", 10) == [0.1] * 5 + [0.9] * 5
    assert staged("0.1_0.9_0.5_0.5", 11) == [0.1] * 2 + [0.9] * 2 + [0.5] * 7


def test_clones_of_the_official_code() -> None:
    whole, half = method.clones(40), method.clones(40, fraction=0.5)
    assert whole.size == half.size == 80
    assert whole.tables[1].tolist() == [0, *range(41, 80)]
    moved = [token for token in range(40) if half.tables[1][token] != token]
    assert moved[:5] == [1, 5, 7, 10, 12], "0 is drawn too, and protected"
    assert len(moved) == 19
    assert half.tables[1][1] == 41
    assert method.clones(40, 9).tables[9].tolist() == [0, *range(361, 400)]


def test_pairs_of_the_official_code() -> None:
    first, second = ["<pad>", "<unk>", "</s>", "▁the", "▁a", "s"], ["<pad>", "<unk>", "</s>", "▁le", "▁a", "e"]
    merged, apart = method.paired(first, second, merge=True), method.paired(first, second)
    assert (merged.tables[1].tolist(), merged.size) == ([0, 1, 2, 6, 4, 7], 8)
    assert (apart.tables[1].tolist(), apart.size) == ([0, 7, 8, 9, 10, 11], 12)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 3.0e-6), (99, 3.0e-4), (199, 5.998e-4), (1000, 5.956e-4), (9132, 3.030e-4), (18_264, 6.0e-6)]
)
def test_learning_rates_of_the_official_code(step: int, rate: float) -> None:
    assert method.learning_rate(step, 18_265, PRESETS["paper"].training) == pytest.approx(rate, rel=4e-4)


def test_the_law_of_the_official_code() -> None:
    """On the three monolingual runs that are printed; the notebook has 16 and .887, 1.000, 2.076, 1.666, 3.556."""
    shares = [1826 * 65536 / TOKENS, 9132 * 65536 / TOKENS, 1.0]
    law = method.monolingual_law(shares, [48.358189, 25.308240, 21.930433])
    assert (-law.a, -law.b, law.c) == pytest.approx((0.032896, 0.244875, 0.078494), rel=2e-3)
    printed = [
        (26.13, 0.5, 0.880),
        (22.46, 0.9, 0.974),
        (32.81, 0.1, 2.135),
        (35.74, 0.1, 1.735),
        (33.41, 0.5 / 9, 3.667),
    ]
    for perplexity, share, efficiency in printed:
        assert method.token_efficiency(law, perplexity, share) == pytest.approx(efficiency, rel=5e-3)


def test_the_matching_of_the_official_code() -> None:
    networkx = pytest.importorskip("networkx")
    alike = np.random.default_rng(0).random((4, 6))
    graph = networkx.Graph()
    for row, column in np.ndindex(4, 6):
        graph.add_edge(("a", row), ("b", column), weight=-alike[row, column])
    found = networkx.bipartite.minimum_weight_full_matching(graph, [("a", row) for row in range(4)])
    best = np.mean([alike[row, found["a", row][1]] for row in range(4)])
    # Unit vectors whose products are these numbers: one row of each block is the whole table.
    one, other = torch.eye(4).double()[None], torch.from_numpy(alike.T)[None]
    assert similarity._matched(one, other, "max_matching")[0] == pytest.approx(best)


# --- languages --------------------------------------------------------------------------------------------------------


@given(schedule=st.sampled_from(["0.1", "0.5", "0.9", "0.1_0.9"]), seed=st.integers(0, 99))
def test_what_is_drawn(schedule: str, seed: int) -> None:
    spoken = method.draw(schedule, 100, 8, 2, seed).reshape(100, 8)
    expected = np.array(staged(schedule, 100)).mean()
    assert spoken.mean() == pytest.approx(expected, abs=0.09)
    assert (spoken == method.draw(schedule, 100, 8, 2, seed).reshape(100, 8)).all()
    rare = method.draw("0.1", 100, 8, 2, seed).reshape(100, 8)
    assert not ((spoken[50:] == 0) & (rare[50:] == 1)).any(), "raising p takes no sequence back"


def test_ten_languages_alike() -> None:
    counts = np.bincount(method.draw("0.9", 1000, 10, 10, 0))
    assert len(counts) == 10
    assert counts.min() > 850
    assert counts.max() < 1150
    half = np.bincount(method.draw("0.5", 1000, 10, 10, 0))
    assert half[0] == pytest.approx(5000, abs=200)


def test_a_mixture_renders_one_text_and_counts_it() -> None:
    blocks = np.arange(1, 25).reshape(6, 4)
    spoken = np.array([0, 1, 1, 0, 0, 1, 0])
    mixed = method.Mixed([blocks], method.clones(30), spoken)
    assert mixed[0]["input_ids"].tolist() == [1, 2, 3, 4]
    assert mixed[1]["input_ids"].tolist() == [35, 36, 37, 38]
    assert mixed[6]["input_ids"].tolist() == [1, 2, 3, 4], "a text that is too short is read again"
    assert mixed.tokens == [16, 12]
    real = method.Mixed([blocks, blocks[:2]], method.Rendering((np.arange(30), np.arange(30) + 30), 60), spoken)
    assert [row["input_ids"][0] for row in (real[1], real[2], real[5])] == [31, 35, 31]
    assert [real[number]["input_ids"][0] for number in (0, 3, 4, 6)] == [1, 5, 9, 13]
    null = method.Shuffled(mixed, 0)
    assert null[1]["input_ids"].tolist() == mixed[1]["input_ids"].tolist()
    assert sorted(null[4]["input_ids"].tolist()) == sorted(mixed[4]["input_ids"].tolist())
    assert any(null[n]["input_ids"].tolist() != mixed[n]["input_ids"].tolist() for n in (0, 3, 4))


def model_of(languages: int, vocabulary: int = 12, **values: Any) -> Any:
    return fresh(replace(SMOKE, layers=2, **values), vocabulary * languages).eval()


def test_clones_are_exact() -> None:
    """A model whose rows of both languages change places is as good in the one as it was in the other."""
    model, text = model_of(2), np.random.default_rng(0).integers(1, 12, 200)
    rendering = method.clones(12, protected=())
    before = [method.target_losses(model, rendering(text, language), 16, 8) for language in (0, 1)]
    for table in (model.get_input_embeddings(), model.get_output_embeddings()):
        table.weight.data = table.weight.data.roll(12, 0)
    after = [method.target_losses(model, rendering(text, language), 16, 8) for language in (1, 0)]
    assert not np.allclose(before[0], before[1])
    np.testing.assert_allclose(before, after, rtol=1e-5)


def test_the_last_tokens_of_each_window_count_once() -> None:
    model, text = model_of(1), np.random.default_rng(0).integers(1, 12, 64)
    found = method.target_losses(model, text, 32, 8)
    assert len(found) == 8 * (1 + (64 - 32) // 8)
    ids = torch.from_numpy(text)[None, 8:40]
    nats = -model(ids).logits.log_softmax(-1)[0, :-1].gather(-1, ids[0, 1:, None])[-8:, 0]
    np.testing.assert_allclose(found[8:16], nats.detach().numpy(), rtol=1e-4)


# --- training ---------------------------------------------------------------------------------------------------------


def test_weights_are_those_of_the_official_code() -> None:
    model = fresh(replace(SMOKE, layers=8, width=64), 500)
    spread = {name: float(p.detach().std()) for name, p in model.named_parameters()}
    assert spread["transformer.wte.weight"] == pytest.approx(0.02 * 8, rel=0.05)
    assert spread["lm_head.weight"] == pytest.approx(0.02, rel=0.05)
    assert spread["transformer.h.0.attn.c_proj.weight"] == pytest.approx(0.02, rel=0.05)
    assert spread["transformer.h.0.mlp.c_proj.weight"] == pytest.approx(0.02 / 4, rel=0.05)
    assert model.lm_head.weight is not model.transformer.wte.weight


def test_a_step_without_other_languages_teaches_nothing() -> None:
    rows = [{"input_ids": np.array([1, 2]), "language": 0}, {"input_ids": np.array([13, 14]), "language": 1}]
    rng = np.random.default_rng(0)
    assert method.others_alone(rows, rng)["labels"].tolist() == [[13, 14]]
    assert set(method.others_alone(rows[:1], rng)["labels"].flatten().tolist()) == {-100}


# --- measures ---------------------------------------------------------------------------------------------------------


def test_efficiency_is_undefined_beyond_the_law() -> None:
    law = method.monolingual_law([1.0, 2.0, 4.0, 8.0], [1 / (0.3 - 0.2 * x**-0.5) for x in (1.0, 2.0, 4.0, 8.0)])
    assert method.token_efficiency(law, 1 / (0.3 - 0.2 * 3**-0.5), 1.5) == pytest.approx(2.0, rel=1e-3)
    assert math.isnan(method.token_efficiency(law, 1 / 0.31, 1.0)), "the law's limit is .3"
    assert math.isnan(method.token_efficiency(law, 8.0, 0))


def test_the_curve_goes_through_the_runs_that_are_better() -> None:
    tokens, perplexity = [1.0, 2.0, 4.0, 8.0], [16.0, 15.0, 15.5, 4.0]
    curve = Curve(tokens, perplexity)
    assert [curve.invert(1 / value) for value in (16, 15, 4)] == pytest.approx([1, 2, 8])
    assert 1 < method.token_efficiency(curve, math.sqrt(15 * 4), 2.0) < 4
    assert curve.invert(1 / 20) < 1 < 8 < curve.invert(1 / 3)
    assert math.isnan(method.token_efficiency(Curve([1.0, 2.0, 4.0], [9.0, 9.0, 9.0]), 10.0, 1.0))


def test_states_and_gradients_of_a_model_that_does_not_tell_clones_apart() -> None:
    model, rendering = model_of(2), method.clones(12, protected=())
    rng = np.random.default_rng(0)
    pairs = [(rendering(ids, 0), rendering(ids, 1)) for ids in rng.integers(1, 12, (3, 10))]
    hidden, apart = similarity.hidden_similarity(model, pairs)
    assert hidden.shape == (2,)
    assert hidden.max() < 0.99
    table = model.get_input_embeddings().weight
    table.data[12:] = table.data[:12]
    hidden, apart = similarity.hidden_similarity(model, pairs)
    np.testing.assert_allclose(hidden, 1, atol=1e-5)
    assert apart.max() < 0.99
    matched, _ = similarity.hidden_similarity(model, pairs, "max_matching")
    np.testing.assert_allclose(matched, 1, atol=1e-5)
    assert similarity.embedding_similarity(model, rendering)["embeddings_in"] == pytest.approx(1)
    head = model.get_output_embeddings().weight
    head.data[:] = 0
    head.data[:12] = head.data[12:] = torch.from_numpy(rng.normal(size=(12, head.shape[1]))).float()
    found = similarity.gradient_similarity(model, pairs)
    assert len(found) == 24
    assert all(name.startswith("transformer.h.") for name in found)
    assert np.mean(list(found.values())) == pytest.approx(1, abs=1e-4)


def test_states_are_those_before_the_last_normalisation() -> None:
    model = model_of(1)
    ids = np.arange(1, 9)
    (last,) = similarity._unit_states(model, ids, similarity.blocks(model)[-1:])
    expected = model.transformer.ln_f(torch.zeros(1, 8, 16))
    final = model(torch.from_numpy(ids)[None], output_hidden_states=True).hidden_states[-1]
    assert expected.abs().max() == 0
    assert not torch.allclose(last, torch.nn.functional.normalize(final[0], dim=-1), atol=1e-3)


def test_texts_of_different_length_are_matched_and_not_lined_up() -> None:
    model = model_of(1)
    pairs = [(np.arange(1, 9), np.arange(1, 7)), (np.arange(2, 8), np.arange(3, 11))]
    hidden, _ = similarity.hidden_similarity(model, pairs, "max_matching")
    assert (hidden <= 1).all()
    with pytest.raises(ValueError, match="same number of tokens"):
        similarity.hidden_similarity(model, pairs)


# --- the miniature ----------------------------------------------------------------------------------------------------


def test_books_are_read_or_held_out_whole() -> None:
    parts = {split: miniature.texts(replace(TINY, seed=41, split=split)) for split in ("test", "dev")}
    held = [set(parts[split].held[0]) for split in parts]
    assert not held[0] & held[1]
    known = miniature.books()
    for found in parts.values():
        read = set(found.read[0]())
        for book in found.held[0]:
            assert not read & {row["en"] for row in known[book]}
    assert parts["test"].read[0]() == parts["dev"].read[0]()
    tokens = TINY.training.steps * TINY.training.batch_size * TINY.training.max_length
    for documents, share in zip(parts["test"].read, (1.0, max(TINY.law_second)), strict=True):
        assert sum(map(len, documents())) > share * tokens, "no text is read twice"


def test_arabic_and_english_are_cleaned() -> None:
    assert miniature.cleaned("The Prophet (ﷺ) said:  “Yes”, 3 times!", "en") == "the prophet () said: yes, times"
    assert miniature.cleaned("حَدَّثَنَا أَبُو", "ar") == "حدثنا أبو"


# --- whole runs -------------------------------------------------------------------------------------------------------


def test_the_smoke_run_counts_and_measures(smoke: Callable[[str], Any]) -> None:
    found = smoke("cloned_languages").measurement
    tokens = SMOKE.training.steps * SMOKE.training.batch_size * SMOKE.training.max_length
    assert sum(found["details"]["tokens"]) == tokens
    points = found["details"]["law_1"]["points"]
    assert points[-1][0] == tokens
    assert [read for read, _ in points] == sorted(read for read, _ in points)
    assert set(found["units"]["nats_1"]) == set(found["units"]["nats_2"])
    assert len(found["units"]["nats_1"]) == miniature.BOOKS
    assert 0 < found["metrics"]["elsewhere"] < 1
    assert found["metrics"]["hidden"] < 1
    model = load_model(smoke("cloned_languages").path / "artifact")
    tokenizer = load_tokenizer(smoke("cloned_languages").path / "artifact")
    assert model.config.vocab_size == 2 * len(tokenizer)


@pytest.mark.parametrize("variant", ["real", "alone"])
def test_variants_read_what_they_say(variant: str, tmp_path: Path, smoke: Callable[[str], Any]) -> None:
    config = override(SMOKE, {**VARIANTS[variant], "law": (), "law_second": ()})
    run = Run(tmp_path / "run", "cloned_languages", config, smoke("cloned_languages").stages, quiet=True)
    train(config, run)
    found = evaluate(config, run)
    tokens = found.details["tokens"]
    assert (tokens[0] == 0) is (variant == "alone")
    assert "teff_2" not in found.metrics
    assert ("embeddings_in" in found.metrics) is (variant != "real")
    assert math.isfinite(found.metrics["gradient"])


def test_alone_is_a_point_of_the_law(tmp_path: Path, smoke: Callable[[str], Any]) -> None:
    """Both read the same sequences of one language at the same steps; a shorter run has fewer of them."""
    config = override(SMOKE, {**VARIANTS["alone"], "schedule": "0.5", "law_second": ()})
    run = Run(tmp_path / "run", "cloned_languages", config, smoke("cloned_languages").stages, quiet=True)
    train(config, run)
    found = evaluate(config, run)
    point = dict(zip(SMOKE.law, found.details["law_1"]["points"], strict=True))[0.5]
    assert point == (found.details["tokens"][1], pytest.approx(found.metrics["ppl_2"], rel=1e-6))
    shorter = monolingual(replace(config, law_by="steps", alone=False), material(config, run), run)
    tokens = SMOKE.training.steps * SMOKE.training.batch_size * SMOKE.training.max_length
    assert [read for read, _ in shorter] == [round(tokens * length) for length in SMOKE.law]


def test_pairs_of_tokens() -> None:
    read, held = [0, 1, 0, 1, 0, 2], [0, 1, 2]
    known = Material([np.array([read])], [{"book": held}], [], [["a", "b", "c"]], None, Path())
    first = (2 + 2 * (3 / 9)) / (3 + 2)  # b after a twice of three times, before two kinds; b is 2 + 1 of 6 + 3
    second = (0 + 1 * (2 / 9)) / (2 + 1)
    assert pairs_of_tokens(known, 0) == pytest.approx((first * second) ** -0.5)


def test_own_text_and_any_tokenizer(command: Callable[..., Any], tmp_path: Path, smoke: Callable[[str], Any]) -> None:
    """Windows line ends, an empty line, a tokenizer of one's own, and a law of one's own runs."""
    lines = [f"there were {n} small boats on the {n % 7} river that day\r\n" for n in range(200)]
    (tmp_path / "mine.txt").write_text("".join([*lines, "\r\n"]), encoding="utf-8", newline="")
    tokenizer = str(smoke("cloned_languages").path / "artifact")
    options = ["smoke", "--corpus", "mine.txt", "--tokenizer", tokenizer, "--schedule", "0.9_0.1", "--out", "run"]
    assert command("papers.cloned_languages.train", *options, cwd=tmp_path).code == 0
    found = command("papers.cloned_languages.eval", *options, cwd=tmp_path)
    assert found.code == 0
    assert "teff_2" in found.out
    clone = command(
        "papers.cloned_languages.use", "clone", "mine.txt", "--tokenizer", tokenizer, "--steps", "10",
        "--batch-size", "4", "--length", "16", cwd=tmp_path,
    )  # fmt: skip
    assert "40 sequences" in clone.out
    rows = [json.loads(line) for line in (tmp_path / "cloned.jsonl").read_text().splitlines()]
    size = len(load_tokenizer(tokenizer))
    assert all((min(row["input_ids"]) >= size) is bool(row["language"]) for row in rows)
    (tmp_path / "few.txt").write_text("a line\nanother one\n" * 6, encoding="utf-8")
    few = command("papers.cloned_languages.train", "smoke", "--corpus", "few.txt", "--out", "few", cwd=tmp_path)
    assert few.code == 2
    assert "held out has fewer than 32 tokens" in few.err
    short = command("papers.cloned_languages.use", "clone", "mine.txt", "--tokenizer", tokenizer, "--steps", "1",
                    "--length", "100000", cwd=tmp_path)  # fmt: skip
    assert short.code == 2
    assert "lower --length" in short.err


def test_similarity_of_own_lines(command: Callable[..., Any], tmp_path: Path, smoke: Callable[[str], Any]) -> None:
    (tmp_path / "lines.tsv").write_text("en\tsw\nthe boat\tboti\nwater is cold\tmaji\n", encoding="utf-8")
    options = ["similarity", "lines.tsv", "--model", str(smoke("cloned_languages").path / "artifact")]
    found = command("papers.cloned_languages.use", *options, cwd=tmp_path)
    assert found.out.splitlines()[0].split("\t") == ["block", "parallel", "others"]
    assert found.out.splitlines()[-1].startswith("gradients of 12 parameters")
    place = command("papers.cloned_languages.use", *options, "--matching", "one_by_one", cwd=tmp_path)
    assert place.code == 2
    assert "max_matching" in place.err
    (tmp_path / "lines.tsv").write_text(f"en\tsw\n{'the boat ' * 20}\tboti\n", encoding="utf-8")
    assert "lower --tokens" in command("papers.cloned_languages.use", *options, cwd=tmp_path).err


def test_efficiency_of_a_table(command: Callable[..., Any], tmp_path: Path) -> None:
    perplexity = {x: 1 / (0.08 - 0.033 * x**-0.245) for x in (0.05, 0.1, 0.25, 0.5, 1.0)}
    rows = [f"alone\ten\t{x}\t{y}" for x, y in perplexity.items()]
    rows += [f"90/10\ten2\t0.1\t{1 / (0.08 - 0.033 * 0.2**-0.245)}"]
    table = tmp_path / "runs.tsv"
    table.write_text("\n".join(["run\tlanguage\ttokens\tperplexity", *rows]) + "\n")
    found = command("papers.cloned_languages.use", "efficiency", "runs.tsv", cwd=tmp_path).out.splitlines()
    assert found[1].split("\t")[:5] == ["90/10", "en2", "0.1", "0.2", "2.000"]
    table.write_text("\n".join(["run\tlanguage\ttokens\tperplexity", *rows[:2], rows[-1]]) + "\n")
    assert "a law needs three" in command("papers.cloned_languages.use", "efficiency", "runs.tsv", cwd=tmp_path).err
    worse = [f"alone\ten\t{x}\t{20 + x}" for x in perplexity]
    table.write_text("\n".join(["run\tlanguage\ttokens\tperplexity", *worse, rows[-1]]) + "\n")
    assert (
        "no better with more tokens"
        in command("papers.cloned_languages.use", "efficiency", "runs.tsv", cwd=tmp_path).err
    )
    table.write_text("run\tlanguage\ttokens\tperplexity\nalone\ten\tmany\t3\n")
    assert "row 1: give run" in command("papers.cloned_languages.use", "efficiency", "runs.tsv", cwd=tmp_path).err


def test_residuals_widen_the_interval() -> None:
    x = np.array([0.05, 0.1, 0.2, 0.4, 0.7, 1.0])
    exact = 0.08 - 0.033 * x**-0.245
    noisy = exact + np.array([1, -1, 1, -1, 1, -1]) * 3e-4
    wide, narrow = (residual_interval([*zip(x, 1 / y, strict=True)], 32.0, 0.1) for y in (noisy, exact))
    assert narrow[1] - narrow[0] < 0.01 < wide[1] - wide[0]
    assert wide[0] < narrow[0] < wide[1]
    assert math.isnan(residual_interval([*zip(x[:3], 1 / exact[:3], strict=True)], 32.0, 0.1)[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "0.1-0.9"}, "is none"),
        ({"schedule": "0.1_1.5"}, "is none"),
        ({"schedule": "_".join(["0.5"] * 11)}, "11 stages in 10 steps"),
        ({"training.shuffle": True}, "mix the stages"),
        ({"counted": 32}, "leaves no context"),
        ({"real": "disjoint", "clones": 9}, "no clones and no anchors"),
        ({"real": "disjoint", "corpus": "x"}, "needs both texts"),
        ({"schedule": "0", "null": True}, "the first language alone"),
        ({"law": (0.1, 1.0)}, "needs three lengths"),
        ({"heads": 3}, "give a multiple"),
    ],
)
def test_settings_that_mean_nothing(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(SMOKE, changes)
