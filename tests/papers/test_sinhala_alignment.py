"""Sinhala alignment: numbers of the official code, gradients and optima, dictionaries, the tiny world, the verbs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from scipy.linalg import orthogonal_procrustes

from core.corpora.lexicons import read_dictionary
from core.corpora.vectors import read_vectors, write_vectors
from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import execute
from core.experiment.run import Run
from core.models import embedding
from core.tasks import lexicon
from core.tasks.lexicon import Space, precision
from papers.sinhala_alignment import PAPER, data, method, miniature, use
from papers.sinhala_alignment.config import PRESETS, VARIANTS, Config, workload
from papers.sinhala_alignment.eval import evaluate, ranks
from papers.sinhala_alignment.train import choose, fit, most_maps, train

PAIRS = torch.arange(15)[:, None].expand(15, 2)
# Two of these are easily made one unit.
NAMES = [*(f"s{i}" for i in range(38)), "a/b", "a-b", *(f"s{i}" for i in range(40, 50))]


@pytest.fixture(scope="module")
def spaces() -> tuple[torch.Tensor, torch.Tensor]:
    """Forty words, a noisy rotation of them and ten further words, as the official functions were run on them."""
    rng = np.random.RandomState(0)
    x = rng.randn(40, 6)
    rotation = np.linalg.qr(rng.randn(6, 6))[0]
    y = np.vstack([x @ rotation.T + 0.35 * rng.randn(40, 6), rng.randn(10, 6)])
    one, other = ((side / np.linalg.norm(side, axis=1, keepdims=True)).round(6) for side in (x, y))
    return torch.tensor(one), torch.tensor(other)


# --- parity --------------------------------------------------------------------------------------------------------


def test_procrustes_and_rcsls_give_the_official_numbers(spaces: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = spaces
    w = method.procrustes(x, y, PAIRS)
    assert torch.linalg.norm(x[:15] @ w.T - y[:15]).item() == pytest.approx(1.2408102, abs=5e-8)
    value, gradient = method.rcsls_loss(w, x, y, PAIRS, k=3)
    assert value.item() == pytest.approx(-0.2508794, abs=5e-8)
    assert torch.linalg.norm(gradient).item() == pytest.approx(0.1692803, abs=5e-8)
    start = method.rcsls_loss(torch.eye(6, dtype=x.dtype), x, y, PAIRS, k=3).value
    assert start.item() == pytest.approx(1.6213052, abs=5e-8)


def test_retrieval_gives_the_official_numbers(spaces: tuple[torch.Tensor, torch.Tensor]) -> None:
    """RCSLS's functions with K = 3, and MUSE's with K = 10 and a second translation of every third word."""
    x, y = spaces
    mapped = x @ method.procrustes(x, y, PAIRS).T
    one = [{i} for i in range(15, 40)]
    several = [{i, (7 * i) % 50} if i % 3 == 0 else {i} for i in range(15, 40)]

    def found(space: Space, gold: list[set[int]], k: int) -> float:
        return float(np.mean(precision(space.ranks(mapped[15:], gold), k)))

    assert [found(Space(y), one, k) for k in (1, 5)] == [1.0, 1.0]
    assert [found(Space(y, mapped, k=3), one, k) for k in (1, 5)] == pytest.approx([0.92, 1.0])
    assert [found(Space(y), several, k) for k in (1, 5, 10)] == [1.0, 1.0, 1.0]
    assert [found(Space(y, mapped), several, k) for k in (1, 5, 10)] == pytest.approx([0.96, 1.0, 1.0])
    # MUSE's inverted softmax divides by what all source words give to a target: a third search, which we do not offer.
    cosine = torch.nn.functional.normalize(mapped, dim=1) @ y.T
    share = (30 * cosine).softmax(0)[15:]
    ranking = share.argsort(dim=1, descending=True)
    right = [[place in gold for place in row] for row, gold in zip(ranking.tolist(), several, strict=True)]
    assert [np.mean([any(row[:k]) for row in right]) for k in (1, 5, 10)] == pytest.approx([0.84, 1.0, 1.0])


def test_several_right_answers_count_once() -> None:
    """Ranking 7, 5, 2 with the right answers 2 and 5."""
    angles = torch.full((8,), 2.0)
    angles[[7, 5, 2]] = torch.tensor([0.1, 0.2, 0.3])
    y = torch.stack([angles.cos(), angles.sin()], 1)
    task = data.Task(torch.tensor([[1.0, 0.0]]), y, PAIRS, PAIRS, {"w": (0, {2, 5})}, 1.0)
    rank = ranks(task, torch.eye(2), 10)["nn"]["w"]
    assert (precision([rank]), precision([rank], 5)) == ([0.0], [1.0])


# --- method ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 99))
def test_the_map_is_the_best_rotation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = torch.tensor(rng.normal(size=(12, 4))), torch.tensor(rng.normal(size=(12, 4)))
    w = method.procrustes(x, y, torch.arange(12)[:, None].expand(12, 2))
    scipys, _ = orthogonal_procrustes(x.numpy(), y.numpy())
    assert torch.allclose(w.T, torch.tensor(scipys))
    assert torch.allclose(w @ w.T, torch.eye(4, dtype=w.dtype), atol=1e-10)


def test_the_gradient_is_that_of_the_loss(spaces: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = spaces
    w = (method.procrustes(x, y, PAIRS) + 0.1).requires_grad_()
    value, gradient = method.rcsls_loss(w, x, y, PAIRS, k=3)
    (wanted,) = torch.autograd.grad(value, w)
    assert torch.allclose(gradient, wanted)


def test_rcsls_goes_down(spaces: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = spaces
    for spectral in (False, True):
        maps = list(method.rcsls(x, y, PAIRS, steps=30, rate=50.0, k=3, spectral=spectral))
        values = [method.rcsls_loss(w, x, y, PAIRS, k=3).value.item() for w in maps]
        assert values == sorted(values, reverse=True)
        norms = [torch.linalg.matrix_norm(w, 2).item() for w in maps]
        assert (max(norms) <= 1 + 1e-9) == spectral
    assert torch.allclose(maps[0], method.procrustes(x, y, PAIRS))
    assert len(list(method.rcsls(x, y, PAIRS, steps=99, rate=1e-5))) == 1


def test_a_step_that_goes_up_is_taken_back(spaces: tuple[torch.Tensor, torch.Tensor], monkeypatch: Any) -> None:
    """The official code means to; as it updates the matrix in place, it only halves the rate."""
    values, down = iter([0.0, -1.0, 5.0, 5.0, -2.0]), torch.ones(6, 6, dtype=torch.float64)
    monkeypatch.setattr(method, "rcsls_loss", lambda *_: method.Loss(torch.tensor(next(values)), down))
    first, *moved = method.rcsls(*spaces, PAIRS, steps=4, rate=1.0)
    assert [(first - w)[0, 0].item() for w in moved] == pytest.approx([1.0, 1.25])


def test_chunks_change_nothing(spaces: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = spaces
    w = method.procrustes(x, y, PAIRS)
    whole = method.rcsls_loss(w, x, y, PAIRS, k=3)
    monkeypatch.setattr("core.tasks.lexicon.SCORES", 200)
    part = method.rcsls_loss(w, x, y, PAIRS, k=3)
    assert torch.allclose(whole.value, part.value)
    assert torch.allclose(whole.gradient, part.gradient)


def test_refinement_fits_to_mutual_neighbours(spaces: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = spaces
    first, second, *_ = method.refinement(x, y, PAIRS, steps=1, k=3)
    mapped = torch.nn.functional.normalize(x @ first.T, dim=1)
    cosine = mapped @ y.T
    csls = 2 * cosine - cosine.topk(3, dim=1).values.mean(1)[:, None] - cosine.topk(3, dim=0).values.mean(0)
    forth, back = csls.argmax(1), csls.argmax(0)
    wanted = [[i, int(j)] for i, j in enumerate(forth) if back[j] == i]
    assert method.induce(x @ first.T, y, 3).tolist() == wanted
    assert torch.allclose(second, method.procrustes(x, y, torch.tensor(wanted)))


def test_steps_are_chosen_on_words_held_out_and_the_map_is_fitted_to_all() -> None:
    fits: list[int] = []

    def maps(pairs: torch.Tensor):
        fits.append(len(pairs))
        return iter(torch.full((1, 1), float(step)) for step in range(4))

    held_out = PAIRS[:5]
    found = choose(maps, PAIRS, held_out, lambda w: {0: 0.1, 1: 0.4, 2: 0.4, 3: 0.2}[int(w)])
    assert (found.w.item(), found.steps, found.scores, fits) == (1.0, 1, [0.1, 0.4, 0.4, 0.2], [15, 20])
    found = choose(maps, PAIRS, held_out[:0], lambda w: 0.0)
    assert (found.w.item(), found.steps, found.scores) == (3.0, 3, [])


def test_refinement_is_scored_by_csls_and_rcsls_by_cosine(
    spaces: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As MUSE and the official RCSLS code do, though on the test words."""
    seen: list[bool] = []

    class Spy(Space):
        def __init__(self, targets: Any, sources: Any = None, *, k: int = 10) -> None:
            seen.append(sources is not None)
            super().__init__(targets, sources, k=k)

    monkeypatch.setattr(lexicon, "Space", Spy)
    task = data.Task(*spaces, PAIRS[:12], PAIRS[12:], {}, 1.0)
    ticks: list[None] = []
    for variant, wanted in (("refinement", True), ("rcsls", False)):
        config = override(with_variant(PRESETS["tiny"], VARIANTS, variant), {"held_out": 0.2, "steps": 2})
        seen.clear()
        ticks.clear()
        steps, scores = fit(task, config, lambda: ticks.append(None))[1:]
        assert set(seen) == {wanted}
        assert steps == scores.index(max(scores))
        assert len(ticks) == len(scores) + steps + 1 <= most_maps(config)


def test_vectors_are_centred_by_column_or_as_the_official_loader_does() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 5)) + 1
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for center, axis in (("columns", 0), ("rows", 1)):
        wanted = unit - unit.mean(axis, keepdims=True)
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        assert method.normalize(vectors, center).numpy() == pytest.approx(wanted)  # type: ignore[arg-type]
    assert method.normalize(vectors, "none").numpy() == pytest.approx(unit)


# --- dictionaries ----------------------------------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_tested_words_are_left_out_of_the_dictionary(spaces: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = (data.Side([f"{name}{i}" for i in range(len(v))], v) for name, v in zip("xy", spaces, strict=True))
    pairs = data.first_words([(f"x{i}", f"y{i}") for i in range(30)], x.words, y.words, {"x3"}, 20)
    assert [one for one, _ in pairs] == [f"x{i}" for i in range(21) if i != 3]
    several = [("x1", "y1"), ("lost", "y2"), ("x3", "y3"), ("x1", "y4"), ("x2", "none"), ("x5", "y5")]
    assert data.first_words(several, x.words, y.words, (), 2) == [several[0], several[2], several[3]]
    pairs.append(("x3", "y3"))
    config = Config(held_out=0.25, seed=1)
    task = data.task(x, y, pairs, [("x3", "y3"), ("x3", "y9"), ("x39", "none")], config)
    sources = {*task.pairs[:, 0].tolist(), *task.held_out[:, 0].tolist()}
    assert sources == {i for i in range(21) if i != 3}
    assert (len(task.pairs), len(task.held_out), task.gold, task.coverage) == (15, 5, {"x3": (3, {3, 9})}, 0.5)
    other = data.task(x, y, pairs, [("x3", "y3")], replace(config, shuffled=True))
    assert torch.equal(other.held_out[:, 0], task.held_out[:, 0])
    assert torch.equal(other.pairs[:, 0], task.pairs[:, 0])
    assert not torch.equal(other.pairs, task.pairs)
    for bad in ([("x1", "none")], []):
        with pytest.raises(UserError, match="are in both"):
            data.task(x, y, pairs, bad, config)
    with pytest.raises(UserError, match="6 numbers a word and the target 5"):
        data.task(x, data.Side(y.words, y.vectors[:, :5]), pairs, pairs[:3], config)


def test_case_forms_join_where_their_base_stands() -> None:
    assert data.forms("රුසියාව") == ["රුසියාවට", "රුසියාවේ", "රුසියාවෙන්"]
    assert data.forms("ප්‍රංශය") == []
    train, test = [("Russia", "රුසියාව")], [("France", "ප්‍රංශය"), ("Asia", "ආසියාව")]
    known = ["රුසියාව", "රුසියාවේ", "ආසියාවට"]
    assert data.with_forms(train, known, 1) == [*train, ("Russia", "රුසියාවේ")]
    assert data.with_forms(test, known, 1) == [*test, ("Asia", "ආසියාවට")]
    assert data.with_forms([("රුසියාව", "Russia")], known, 0)[1] == ("රුසියාවේ", "Russia")


# --- the tiny world ---------------------------------------------------------------------------------------------------


def test_no_name_is_learnt_from_and_asked_for() -> None:
    parts = miniature.parts()
    for one, other in (("train", "test"), ("train", "dev"), ("dev", "test")):
        for code in miniature.LANGUAGES:
            names = [{concept.names[code].casefold() for concept in parts[part]} for part in (one, other)]
            assert not names[0] & names[1], (one, other, code)
        assert not {concept.cls for concept in parts[one]} & {concept.cls for concept in parts[other]}
    for code in miniature.LANGUAGES:
        assert len(miniature.words(code)) == len(miniature.known())


def test_seeds_draw_other_dictionaries_and_ask_for_the_same_words(tmp_path: Path) -> None:
    """Seeds share as much of their dictionaries as the page says: what they are drawn from is not much larger."""
    config = PRESETS["tiny"]
    keys = [{one.key for one in miniature.drawn(replace(config, seed=seed))} for seed in PAPER.seeds]
    shared = [len(one & other) / config.pairs for one, other in itertools.combinations(keys, 2)]
    assert all(len(one) == config.pairs for one in keys)
    assert np.mean(shared) == pytest.approx(config.pairs / len(miniature.pool("test")), abs=0.02)
    assert f"{100 * config.pairs / len(miniature.pool('test')):.0f} %" in (PAPER.folder / "README.md").read_text()
    run = Run(tmp_path, "sinhala_alignment", PRESETS["smoke"], tmp_path)
    first, dev = (miniature.read(replace(PRESETS["smoke"], split=split), run, "en", "si") for split in ("test", "dev"))
    assert not set(dev[3]) & {*first[3], *dev[2]}
    assert not set(dev[2]) & set(first[3])


def test_names_apart_share_no_stem_with_what_may_be_learnt() -> None:
    assert miniature.stems("Mongolian Tögrög") == miniature.stems("Mongolia, tögröG") == {"mongo", "tögrö"}
    by_unit = {miniature.unit(concept): concept.names["en"] for concept in miniature.known()}
    for split in ("test", "dev"):
        parts = miniature.parts()
        asked, apart = {miniature.unit(concept) for concept in parts[split]}, miniature.apart(split)
        learnt = " ".join(concept.names["en"] for concept in miniature.pool(split))
        starts = tuple(re.sub(r"\W+", " ", miniature.casefolded(learnt)).split())
        assert 0.3 < len(apart) / len(asked) < 0.9
        for unit in asked:
            words = re.sub(r"\W+", " ", miniature.casefolded(by_unit[unit])).split()
            assert (unit in apart) != any(word[:5] == start[:5] for word in words for start in starts), unit


def test_forms_come_on_top_of_the_pairs(tmp_path: Path) -> None:
    """Learnt in both directions, and told by their name's unit in the one in which they ask."""
    config = with_variant(PRESETS["smoke"], VARIANTS, "forms")
    run = Run(tmp_path, "sinhala_alignment", config, tmp_path)
    (*_, forth), (*_, back) = data.tasks(config, run)
    assert len(forth.pairs) == len(back.pairs) > config.pairs
    assert len(set(forth.pairs[:, 0].tolist())) == config.pairs == len(set(back.pairs[:, 1].tolist()))
    cased = {unit for unit in back.gold if "/" in unit}
    assert {unit.partition("/")[0] for unit in cased} < back.gold.keys() - cased == forth.gold.keys()
    assert {unit.partition("/")[2] for unit in cased} == {"0", "1", "2"}


def test_the_toy_spaces_are_apart_until_they_are_aligned(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    found = {}
    for variant in ("identity", "rcsls", "selected", "shuffled", "forms"):
        config = with_variant(PRESETS["smoke"], VARIANTS, variant)
        run = Run(tmp_path / variant, "sinhala_alignment", config, smoke("sinhala_alignment").stages, quiet=True).open()
        execute(train, run, "train")
        measurement = execute(evaluate, run, "eval")
        assert measurement is not None
        found[variant] = measurement
    metrics = {variant: measurement.metrics for variant, measurement in found.items()}
    assert max(metrics[variant]["p1_csls_en_si"] for variant in ("identity", "shuffled")) < 0.1
    assert metrics["rcsls"]["p1_csls_en_si"] > 0.3
    assert metrics["rcsls"]["p5_csls_en_si"] >= metrics["rcsls"]["p1_csls_en_si"]
    named = {name for check in PAPER.judged for name in (check.metric, check.control_metric) if name}
    assert named - {"gain_si_en_forms"} <= set(metrics["rcsls"])
    units = found["rcsls"].units
    right, among = units["p1_csls_en_si"], [units[f"p1_csls_en_si_{part}"] for part in ("apart", "akin", "unlike")]
    assert among[0] | among[1] == right
    assert among[2].items() <= among[0].items()
    assert all(units[f"p1_letters_en_si{part}"] for part in ("", "_apart", "_akin", "_unlike"))
    assert metrics["identity"]["zero_steps"] == 1
    assert metrics["rcsls"]["zero_steps"] == 0 <= metrics["selected"]["zero_steps"]
    assert units["p1_csls_en_xx"].keys() == units["p1_csls_en_xx_beside"].keys()
    assert {unit.partition("/")[0] for unit in units["p1_csls_en_xx"]} == {"ru"}
    cased = found["forms"].units
    assert cased["p1_nn_si_en"].keys() == cased["p1_nn_en_si"].keys() == right.keys()
    assert cased["gain_si_en_forms"] == {
        unit: csls - cased["p1_nn_si_en_forms"][unit] for unit, csls in cased["p1_csls_si_en_forms"].items()
    }


# --- files -----------------------------------------------------------------------------------------------------------


def vec(path: Path, words: list[str], vectors: Any) -> str:
    write_vectors(path, words, vectors, digits=6)
    return str(path)


@pytest.fixture
def files(spaces: tuple[torch.Tensor, torch.Tensor], tmp_path: Path) -> Path:
    """Vector files and dictionaries as the official ones are named and laid out."""
    vec(tmp_path / "cc.en.300.vec", [f"e{i}" for i in range(40)], spaces[0])
    vec(tmp_path / "cc.si.300.vec", NAMES, spaces[1])
    for part, places in (("train", range(25)), ("test", range(25, 40))):
        pairs = [(f"e{i}", NAMES[i]) for i in places]
        write(tmp_path / f"en-si_{part}.txt", "".join(f"{a} {b}\n" for a, b in pairs))
        write(tmp_path / f"si-en_{part}.txt", "".join(f"{b} {a}\n" for a, b in pairs))
    return tmp_path


def test_the_paper_scale_runs_on_files_of_its_form(files: Path) -> None:
    names = {"english": "cc.en.300.vec", "other": "cc.{}.300.vec", "dictionary": "{source}-{target}_{part}.txt"}
    for variant in ("procrustes", "rcsls"):
        config = override(PRESETS["paper"], {name: str(files / value) for name, value in names.items()})
        config = override(with_variant(config, VARIANTS, variant), {"neighbours": 3})
        run = Run(files / variant, "sinhala_alignment", config, files / "stages", quiet=True).open()
        execute(train, run, "train")
        measurement = execute(evaluate, run, "eval")
        assert measurement is not None
        assert measurement.metrics["p1_nn_en_si"] > 0.8
        assert measurement.details["coverage"] == {"en-si": 1.0, "si-en": 1.0}
        asked = {f"s{i}" for i in range(25, 38)} | {"a-b", "a%2Fb"}
        assert set(measurement.units["p1_csls_si_en"]) == asked
    w = load_file(run.artifact / "maps.safetensors")["en-si"]
    assert w.shape == (6, 6)


def test_presets_name_the_official_files() -> None:
    wiki = PRESETS["paper-wiki"]
    assert wiki.dictionary.format(source="si", target="en", part="test").endswith(
        "wiki_si-en_testset_1500_5000_200k.txt"
    )
    assert (wiki.other.format("si"), PRESETS["paper"].english) == ("wiki.si.vec", "cc.en.300.vec")
    assert [part.name for part in workload(PRESETS["tiny"])] == ["names, wheel:minilm", "names, wheel:e5-small"]
    assert workload(PRESETS["paper"]) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "procrustes"}, {"method": "procrustes", "steps": 0, "held_out": 0.2}, {"steps": 0},
        {"method": "refinement", "spectral": True}, {"forms": True}, {"languages": ("en",)},
        {"languages": ("si", "si")}, {"languages": ("sw",)}, {"dictionary": "x", "split": "dev"},
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        override(PRESETS["tiny"], changes)


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_align_and_translate(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spaces = [str(files / f"cc.{code}.300.vec") for code in ("en", "si")]
    dictionary = write(files / "all.tsv", "".join(f"e{i}\t{NAMES[i]}\n" for i in range(40)) + "e0\tlost\nnone\ts1\n")
    out = files / "aligned"
    use.main(["align", *spaces, str(dictionary), "--method", "procrustes", "--out", str(out)])
    printed = capsys.readouterr().out
    assert re.search(r"test words +8\n", printed)
    assert float(re.search(r"P@1 nn +(\S+)", printed)[1]) > 0.7  # type: ignore[index]
    w, mapped = load_file(out / "map.safetensors")["w"], read_vectors(out / "source.vec")
    assert torch.allclose(w @ w.T, torch.eye(6), atol=1e-5)
    normal = method.normalize(read_vectors(spaces[0]).vectors)
    assert mapped.vectors == pytest.approx((normal @ w.T).numpy(), abs=1e-5)
    spaced = write(files / "spaced.vec", "2 6\nNew York 1 2 3 4 5 6\ns1 1 2 3 4 5 7\n")
    asked = write(files / "words.txt", "e7\nnowhere\n")
    use.main(["translate", str(out), "--words", str(asked), "--top", "2"])
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("e7\ts7 ")
    assert first.count("\t") == 2
    assert (second, last[:6]) == ("nowhere", "1 of 2")
    for arguments, message in (
        (["align", *spaces, str(dictionary), "--out", str(out)], "is there already"),
        (["translate", str(files), "--words", str(asked)], "holds no map"),
        (["translate", str(out), "--words", str(write(asked, "x\n"))], "none of its 1 words"),
        (["align", *spaces[::-1], str(dictionary), "--out", "x"], "are in both vocabularies"),
        (["align", spaces[0], str(spaced), str(dictionary), "--out", "x"], f"'New York' cannot stand in {spaced}"),
    ):
        with pytest.raises(SystemExit, match="2"):
            use.main(arguments)
        assert message in capsys.readouterr().err


def test_build(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dictionary = write(files / "raw.tsv", "".join(f"e{i}\ts{j}\n" for i in range(20) for j in (i, i + 1)))
    words = write(files / "en.txt", "".join(f"e{i}\n" for i in range(40)))
    arguments = ["build", str(dictionary), "--source", str(words), "--target", str(files / "cc.si.300.vec")]
    use.main([*arguments, "--train", "12", "--test", "4", "--translations", "1", "--out", str(files / "made")])
    assert "train  12 pairs, 12 source words" in capsys.readouterr().out
    parts = {name: read_dictionary(files / "made" / f"{name}.tsv") for name in ("train", "test", "full")}
    assert parts["test"] == [(f"e{i}", f"s{i}") for i in range(12, 16)]
    assert not {a for a, _ in parts["test"]} & {a for a, _ in parts["full"]}


def test_compare(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = read_vectors(files / "cc.si.300.vec").vectors[:, ::-1]
    noise = np.random.default_rng(0).normal(size=other.shape)
    vec(files / "es.vec", [f"x{i}" for i in range(50)], other + noise)
    rows = "".join(f"e{i}\t{NAMES[i]}\tx{i}\n" for i in range(40)) + "e0\ts1\tlost\ne1\t\tx1\n"
    concepts = write(files / "concepts.tsv", f"en\tsi\tes\n{rows}")
    named = [f"en={files}/cc.en.300.vec", f"si={files}/cc.si.300.vec", f"es={files}/es.vec"]
    arguments = ["compare", str(concepts), "--vectors", *named]
    use.main([*arguments, "--method", "procrustes"])
    printed = capsys.readouterr().out
    assert "40 concepts in all vocabularies, 16 to test on" in printed
    assert re.search(r"es +\d\.\d+ \d\.\d+   -0\.\d+ \[-\d\.\d+, [-+]\d\.\d+\] from si", printed)
    for bad, message in (
        (arguments[:-1], "three languages"),
        ([*arguments[:-1], "es"], "write code=file"),
        ([*arguments[:-1], f"de={files}/es.vec"], "0 of 42 rows have in each of the columns en, si, de a word"),
    ):
        with pytest.raises(SystemExit, match="2"):
            use.main(bad)
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=[pytest.mark.weights, pytest.mark.slow])])
def test_example_of_the_page_runs(real: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (PAPER.folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    if not real:
        rng = np.random.default_rng(0)
        meaning = rng.normal(size=(2000, 110))

        def fake(*_: Any) -> Callable[[list[str]], embedding.Vectors]:
            blurred = meaning + 0.5 * rng.normal(size=meaning.shape)
            return lambda texts: embedding.Vectors(torch.tensor(blurred[: len(texts)]), ())

        monkeypatch.setattr(embedding, "load_encoder", fake)
    names: dict[str, Any] = {}
    exec(code, names)
    report = names["found"].report
    assert report["test coverage"] == report["training coverage"] == 1.0
    assert report["P@10 csls"] >= report["P@5 csls"] >= report["P@1 csls"] > (0.02 if real else 0.8)
