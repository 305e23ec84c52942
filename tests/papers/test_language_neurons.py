"""language_neurons: known scores, kinds, the search, MAPO's pairs, both worlds, verbs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import with_variant
from core.experiment.run import Measurement
from core.files import read_json_lines
from core.models.architectures import miniature as shape
from core.models.loading import Loaded, from_config
from papers.language_neurons import data, eval, measures, method, miniature, train, use
from papers.language_neurons.config import CALCULATOR, PRESETS, SMOLLM2, TINY, VARIANTS, Config, simulation, workload

# --- the score --------------------------------------------------------------------------------------------------------

# Shares in four languages; entropy, and the score with lambda = .1, by hand from the official formulas.
KNOWN = [
    ((0.8, 0, 0, 0), 0.0, -0.1536),
    ((0.4, 0.4, 0.4, 0.4), 1.0, 0.9232),
    ((0.9, 0.9, 0, 0), 0.5, 0.3272),
    ((0.0, 0, 0, 0), 1.0, 1.0),
]


@pytest.mark.parametrize(("shares", "entropy", "score"), KNOWN)
def test_scores_are_the_official_ones(shares: tuple[float, ...], entropy: float, score: float) -> None:
    p = torch.tensor([shares])
    assert float(method.entropy(p)) == pytest.approx(entropy, abs=1e-6)
    assert float(method.scores(p, 0.1)) == pytest.approx(score, abs=1e-5)


def test_the_text_s_lambda_is_another_unit() -> None:
    p = torch.rand(200, 10, generator=torch.Generator().manual_seed(0)) ** 4
    official, factor = 0.109375, 7.861  # ln 10 / (H / 10), and .860 in the paper's units
    nats = method.entropy(p) * math.log(10) - official * factor * p.max(1).values
    assert torch.allclose(nats, method.scores(p, official) * math.log(10), atol=1e-3)


def official_loop(p: torch.Tensor, rate: float, weight: float, bar: float) -> list[set[int]]:
    """The official selection, neuron by neuron in Python, on [layers, neurons, languages]."""
    count = p.shape[-1]
    flat = []
    for neuron in p.reshape(-1, count).tolist():
        total = sum(neuron)
        q = [max(x / total, 1e-12) if total > 0 else 1 / count for x in neuron]
        q = [x / sum(q) for x in q]
        value = -sum(x * math.log(x + 1e-30) for x in q) / math.log(count)
        flat.append(value - max(neuron) * weight / (sum(1 / k for k in range(1, count + 1)) / count))
    kept = sorted(range(len(flat)), key=flat.__getitem__)[: round(len(flat) * rate)]
    tau = sorted(p.flatten().tolist())[round(p.numel() * bar) - 1]
    return [{i for i in kept if p.reshape(-1, count)[i, k] > tau} for k in range(count)]


@given(st.integers(0, 50), st.sampled_from([0.0, 0.05, 0.3]))
@settings(max_examples=10, deadline=None)
def test_masks_are_those_of_the_official_loop(seed: int, weight: float) -> None:
    p = torch.rand(3, 40, 4, generator=torch.Generator().manual_seed(seed)) ** 6
    flat = p.flatten(0, 1)
    tau = method.threshold(flat)
    found = method.Neurons(method.select(flat, weight, 0.1), flat > tau, tau, weight)
    for k, wanted in enumerate(official_loop(p, 0.1, weight, 0.95)):
        mine = set(found.chosen[found.active[found.chosen, k]].tolist())
        assert mine == wanted
        assert {*found.of(k, "specific").tolist()} <= {*found.of(k, "related").tolist()} <= mine


# --- kinds ------------------------------------------------------------------------------------------------------------


def planted(seed: int = 0) -> torch.Tensor:
    """300 neurons of 5 languages: 10 of each language, 20 of a pair, 30 of all; the others hardly fire."""
    rng = torch.Generator().manual_seed(seed)
    p = 0.05 * torch.rand(300, 5, generator=rng)
    for k in range(5):
        p[10 * k : 10 * k + 10, k] += 0.8
    p[50:70, :2] += 0.7
    p[70:100] += 0.85
    return p


def test_planted_kinds_are_found() -> None:
    found = method.identify(planted(), rate=0.24, bar=0.84)
    assert [len(found.of(k, "specific")) for k in range(5)] == [10] * 5
    assert found.of(2, "specific").tolist() == list(range(20, 30))
    assert {*range(50, 70)} == {*found.of(0, "related").tolist()} - {*found.of(0, "specific").tolist()}
    assert found.of(2, "related").tolist() == found.of(2, "specific").tolist()
    assert found.general.tolist() == list(range(70, 100))
    assert {*found.of(3, "general").tolist()} == {*range(30, 40), *range(70, 100)}
    assert sum(measures.histogram(found)) == len(found.chosen) == 72
    assert measures.histogram(found)[5] == 0, "general neurons are outside of what is kept"


def test_lambda_is_the_largest_without_general_neurons() -> None:
    p = planted()
    tau = method.threshold(p, 0.84)
    best = method.search(p, tau, 0.24)
    clean = lambda weight: not bool((p[method.select(p, weight, 0.24)] > tau).all(1).any())  # noqa: E731
    assert clean(best)
    assert not clean(best + 2e-3)
    assert method.search(p, tau, 0.24, highest=0.01) == pytest.approx(best, abs=1e-3), (
        "it goes on where it may be larger"
    )
    with pytest.raises(UserError, match="keeps none of 300 neurons"):
        method.identify(p, rate=0)
    with pytest.raises(UserError, match="General neurons are kept even with lambda = 0"):
        method.search(p, tau, 1.0)
    assert method.search(torch.eye(5).repeat(20, 1), 0.5, 0.1) == 0.2, "no neuron is general"


def test_before_and_after_share_lambda_and_threshold() -> None:
    first = method.identify(planted(), rate=0.24, bar=0.84)
    after = planted()
    after[0:5, 1] += 0.8  # five specific ones become related
    second = method.identify(after, rate=0.24, like=first)
    assert (second.tau, second.weight) == (first.tau, first.weight)
    assert [len(second.of(k, "specific")) for k in (0, 1)] == [5, 10]


def test_lape_leaves_out_what_never_fires() -> None:
    p = planted()
    p[299] = torch.tensor([0.01, 0, 0, 0, 0])  # entropy 0, and active nowhere
    found = method.identify(p, rate=0.02, bar=0.84, selection="lape")
    assert 299 not in found.chosen.tolist()
    assert math.isnan(found.weight)
    assert {*method.identify(p, rate=0.002, bar=0.84, selection="lape").chosen.tolist()} <= {*range(50)}


def test_random_neurons_are_matched_by_layer() -> None:
    p = planted()
    measured = method.Activity(p, tuple("abcde"), {"one": 60, "two": 240})
    own = method.identify(p, rate=0.24, bar=0.84).of(0, "related")
    other = measures.matched(own, measured, torch.Generator().manual_seed(1))
    assert measures.by_layer(measured, own) == measures.by_layer(measured, other) == [20, 10]
    assert not {*own.tolist()} & {*other.tolist()}
    assert measured.places(torch.tensor([3, 59, 60, 299])) == {"one": [3, 59], "two": [0, 239]}


# --- in a model -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Loaded:
    tokenizer = miniature.tokenizer_for()
    form = shape(len(tokenizer), width=16, layers=2, heads=2, feed_forward=24, positions=64)
    return Loaded(from_config(form, seed=0).eval(), tokenizer)


def texts() -> dict[str, list[tuple[str, str]]]:
    rows = [(3, 4), (12, 9), (20, 1)]
    return {code: [(miniature.question(code, *r), miniature.chain(code, *r)) for r in rows] for code in ("en", "sw")}


def test_answers_alone_are_counted(small: Loaded) -> None:
    rows = data.rows(small, texts()["sw"])
    (batch,) = data.batches(rows)
    for place, row in enumerate(batch["row"].tolist()):
        kept = batch["input_ids"][place][batch["counted"][place]]
        assert small.tokenizer.decode(kept) == texts()["sw"][row][1]
    plain = data.rows(small, [("", "1 2"), ("", "1 2 3 4 5")])
    (batch,) = data.batches(plain)
    assert batch["counted"].sum(1).tolist() == [5, 2], "the begin token is read and not counted"
    assert batch["input_ids"][:, 0].tolist() == [small.tokenizer.bos_token_id] * 2
    sizes = [len(b["row"]) for b in data.batches(plain, size=6)]
    assert sizes == [1, 1]
    found = data.count(small, texts())
    assert found.shares.shape == (48, 2)
    assert 0 <= float(found.shares.min()) < float(found.shares.max()) <= 1
    subtracted = counted_by_subtraction(small, texts()["sw"])
    assert torch.allclose(found.shares[:, 1], subtracted, atol=1e-6)


def counted_by_subtraction(small: Loaded, rows: list[tuple[str, str]]) -> torch.Tensor:
    """As the official code: prompts with answers, less prompts alone."""
    from core.models import activations

    model, tokenizer = small
    paths, sums, tokens = activations.feed_forwards(model), [], []
    for kept in (True, False):
        ids = [tokenizer(f"{asked} {text}" if kept else asked).input_ids for asked, text in rows]
        batches = [
            {"input_ids": torch.tensor([row]), "attention_mask": torch.ones(1, len(row), dtype=torch.long)}
            for row in ids
        ]
        found = activations.tally(model, batches, paths, lambda x: x > 0)
        sums.append(torch.cat([found.sums[path] for path in paths]))
        tokens.append(found.tokens)
    return ((sums[0] - sums[1]) / (tokens[0] - tokens[1])).float()


def test_switching_off_and_back(small: Loaded, tmp_path: Path) -> None:
    measured = data.count(small, texts())
    data.write_activity(tmp_path, measured)
    again = data.read_activity(tmp_path)
    assert torch.equal(again.shares, measured.shares)
    assert (again.languages, again.layers) == (("en", "sw"), measured.layers)
    none, everything = torch.tensor([], dtype=torch.long), torch.arange(48)
    before = measures.nats_of(small, texts())
    lost = measures.losses(small, measured, {"en": none, "sw": everything}, texts(), before)
    assert lost["en"] == {"en": 0, "sw": 0}
    assert all(abs(value) > 1e-6 for value in lost["sw"].values())
    assert measures.nats_of(small, texts()) == before
    with pytest.raises(UserError, match="no token to measure in 'sw'"):
        measures.nats_of(small, {**texts(), "sw": []})
    with pytest.raises(UserError, match="at least two"):
        method.activity(small.model, {"en": []})
    with pytest.raises(UserError, match="no token to count in 'sw'"):
        method.activity(small.model, {"sw": [], "en": []})
    (tmp_path / "activity.json").write_text('{"languages": ["en"], "layers": {"a": 1}}')
    with pytest.raises(UserError, match=r"which activity\.json does not name"):
        data.read_activity(tmp_path)


def test_texts_by_lot() -> None:
    read = {code: [("", f"{code}{i}") for i in range(20)] for code in ("en", "sw")}
    lot = eval.by_lot(read, 0)
    assert sorted(pair for own in lot.values() for pair in own) == sorted(pair for own in read.values() for pair in own)
    assert 4 < sum(text.startswith("en") for _, text in lot["en"]) < 16
    assert measures.owned(method.identify(planted(), rate=0.24, bar=0.84), ("en", "a", "b", "c", "d")) == {
        "owned_english": pytest.approx(30 / 15)
    }


def test_a_matrix_in_numbers() -> None:
    rows = {"en": (1, 2, 0), "fr": (0, 3, 1), "ru": (0, 0, 5)}
    metrics, units = measures.summary({code: dict(zip(rows, row, strict=True)) for code, row in rows.items()})
    assert metrics == {"english": 1, "least_of_others": 3}
    assert units["selective"] == {"en": 0, "fr": 2.5, "ru": 5}
    assert units["nearby"] == {"en": -1, "fr": 3}, "nobody shares a kind of script with Russian here"


# --- MAPO -------------------------------------------------------------------------------------------------------------


def test_rewards_and_pairs() -> None:
    nats = {("a", "x"): 0.5, ("a", "y"): 1.0, ("b", "x"): 0.25, ("b", "y"): 0.5, ("c", "x"): 2.0, ("c", "y"): 2.0}
    ce = lambda sources, targets: [nats[pair] for pair in zip(sources, targets, strict=True)]  # noqa: E731
    reward = method.rewards(["a", "b", "c"], ["x", "y"], ce)
    assert reward == pytest.approx([1.5, 3.0, 0.5])
    assert method.preferences(["a", "b", "c"], reward, [True, True, False]) == [("b", "a"), ("b", "c"), ("a", "c")]
    assert method.preferences(["a", "b", "c"], reward, [True, False, False]) == [("a", "c")], "a wrong one wins nowhere"
    assert method.preferences(["a", "b"], [1.0, 1.0], [True, True]) == []
    assert method.preferences(["a", "a"], [1.0, 2.0], [True, True]) == []


def test_by_lot_is_a_coin(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": "p", "chosen": "good", "rejected": "bad", "language": "sw"}] * 200
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = replace(PRESETS["paper"], preferences=str(path), silenced="none", alignment="lot")
    turned = sum(row["chosen"] == "bad" for row in train.feedback(config, None))  # type: ignore[arg-type]
    assert 70 < turned < 130
    assert all(row["chosen"] == "good" for row in train.feedback(replace(config, alignment="mapo"), None))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no pair of th"):
        data.read_pairs(str(path), ["th"])


def test_translation_model_s_nats() -> None:
    from core.models.scratch import mbart50_tokenizer, mbart_config

    tokenizer = mbart50_tokenizer(["one two three four moja mbili tatu"])
    model: Any = from_config(mbart_config(len(tokenizer), width=16), seed=0, task="seq2seq").eval()

    def call(sources: list[str], targets: list[str]) -> list[float]:
        return data.cross_entropy(model, tokenizer, sources, targets, source="sw_KE", target="en_XX")

    both = call(["moja mbili", "tatu"], ["one two", "three four one"])
    assert both == pytest.approx([*call(["moja mbili"], ["one two"]), *call(["tatu"], ["three four one"])], rel=1e-4)
    assert call(["moja <<1+1=2>>mbili #### 2"], ["one two"]) == pytest.approx(both[:1], rel=1e-4)


# --- the worlds -------------------------------------------------------------------------------------------------------


def test_sums_are_split_by_class() -> None:
    parts = miniature.sums(3)
    assert sum(map(len, parts.values())) == (miniature.LARGEST + 1) ** 2
    classes = {name: {tuple(sorted(pair)) for pair in own} for name, own in parts.items()}
    names = list(classes)
    assert all(classes[a].isdisjoint(classes[b]) for i, a in enumerate(names) for b in names[i + 1 :])
    assert miniature.chain("sw", 20, 8) == "ishirini 2 0 + nane 8 = 2 8 : ishirini na nane"
    assert miniature.question("sw", 20, 8) == "ishirini jumlisha nane ni ngapi ?"
    assert miniature.number(miniature.chain("tr", 20, 8)) == miniature.number(miniature.chain("sw", 19, 9)) == 28
    assert miniature.number(miniature.chain("sw", 20, 8, total=28, ending=3)) == 3
    assert miniature.ending("ishirini") == ""
    assert miniature.number("ishirini") is None
    for value in range(2 * miniature.LARGEST + 1):
        assert {miniature.number(f": {own[value]}") for own in miniature.words().values()} == {value}
    solved = miniature.solvers({"sw": [miniature.item("sw", *pair) for pair in parts["test"][:20]]}, Config(seed=3))
    assert solved["lookup"] == solved["symmetric"] == 0


@pytest.mark.slow
def test_messages_are_parallel_and_held_out() -> None:
    read, held = miniature.messages(replace(TINY, texts=5, tested=3, languages=("en", "fr", "ja")))
    assert {code: len(own) for code, own in read.items()} == {"en": 5, "fr": 5, "ja": 5}
    assert {code: len(own) for code, own in held.items()} == {"en": 3, "fr": 3, "ja": 3}
    assert not {text for _, text in read["en"]} & {text for _, text in held["en"]}
    dev, _ = miniature.messages(replace(TINY, split="dev", texts=5, tested=3, languages=("en", "fr", "ja")))
    assert not {text for _, text in dev["en"]} & {text for own in (read, held) for _, text in own["en"]}


def test_settings() -> None:
    assert Config().name == SMOLLM2
    assert Config(silenced="none").name == CALCULATOR
    assert (Config().rate, Config(silenced="none").rate) == (0.01, 0.1)
    with pytest.raises(UserError, match="LAPE is compared"):
        Config(silenced="none", selection="lape")
    with pytest.raises(UserError, match="preferences is empty"):
        train.feedback(with_variant(PRESETS["paper"], VARIANTS, "mapo"), None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="does not speak 'fr'"):
        miniature.languages(Config(silenced="none", languages=("fr",)))
    for preset in ("tiny", "paper"):
        assert workload(PRESETS[preset])
        assert simulation(PRESETS[preset])


# --- runs -------------------------------------------------------------------------------------------------------------


def test_smoke_switches_off(smoke: Any) -> None:
    found = Measurement.from_json(smoke("language_neurons").measurement)
    assert {"own", "others", "selective", "specific", "shared"} <= found.metrics.keys()
    assert found.units["own"].keys() == {"en", "sw", "tr", "vi"}
    assert found.details["nats"]["sw"]["sw"] == pytest.approx(found.units["own"]["sw"])


def test_smoke_aligns(smoke: Any, tmp_path: Path) -> None:
    from core.experiment.run import Run

    made = {}
    for arm in ("base", "mapo"):
        config = with_variant(PRESETS["smoke"], VARIANTS, arm)
        run = Run(tmp_path / arm, "language_neurons", config, smoke("language_neurons").stages, quiet=True)
        train.train(config, run)
        made[arm] = eval.evaluate(config, run)
    assert made["base"].metrics["stayed"] == 1
    assert made["base"].metrics["learnt"] == 0
    assert made["mapo"].units.keys() == made["base"].units.keys()


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_verbs(
    small: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.training.fit import save_pretrained

    monkeypatch.chdir(tmp_path)
    save_pretrained(small.model, Path("model"), small.tokenizer)
    rows = [{"language": code, "prompt": asked, "text": text} for code, own in texts().items() for asked, text in own]
    Path("texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    use.main(["identify", "texts.jsonl", "--model", "model", "--rate", "0.2", "--bar", "0.8", "--out", "found"])
    assert "of 48 neurons" in capsys.readouterr().out
    masks = json.loads(Path("found/masks.json").read_text())
    assert masks.keys() == {"en", "sw"}
    table = Path("found/neurons.tsv").read_text().splitlines()
    assert table[0].split("\t") == ["layer", "neuron", "languages", "en", "sw"]
    assert len(table) == 1 + 10
    use.main(["grid", "found", "texts.jsonl", "--model", "model", "--kind", "random"])
    assert len(Path("grid.tsv").read_text().splitlines()) == 3
    capsys.readouterr()
    use.main(["compare", "found", "found"])
    assert "1.000" in capsys.readouterr().out
    Path("tuned").mkdir()
    for file in ("chosen.json", "activity.safetensors"):
        Path("tuned", file).write_bytes(Path("found", file).read_bytes())
    facts = json.loads(Path("found/activity.json").read_text())
    facts["layers"] = {f"base_model.model.{path}": size for path, size in facts["layers"].items()}
    Path("tuned/activity.json").write_text(json.dumps(facts))
    use.main(["compare", "found", "tuned"])
    assert "1.000" in capsys.readouterr().out
    blank = [{**row, "text": " "} if row["language"] == "sw" else row for row in rows]
    Path("few.jsonl").write_text("".join(json.dumps(row) + "\n" for row in blank))
    with pytest.raises(SystemExit):
        use.main(["grid", "found", "few.jsonl", "--model", "model"])
    assert "All texts in 'sw'" in capsys.readouterr().err
    Path("one.jsonl").write_text(json.dumps(rows[0]) + "\n")
    with pytest.raises(SystemExit):
        use.main(["grid", "found", "one.jsonl", "--model", "model"])
    assert "no text in 'sw'" in capsys.readouterr().err


def test_pairs_from_one_s_own_questions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [
        {"lang": code, "id": str(i), "question": f"q{i}", "answer": str(i)} for code in ("en", "sw") for i in (1, 2)
    ]
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = {"q1": ["it is 1", "so 1", "9"], "q2": ["3", "4", "5"]}

    def answers(loaded: Any, prompts: Any, **decoding: Any) -> Any:
        assert [len(own) for own in prompts.values()] == [6, 6]
        return {code: [(own[i], said[f"q{1 + i // 3}"][i % 3]) for i in range(6)] for code, own in prompts.items()}

    monkeypatch.setattr("core.models.loading.load", lambda spec, **options: Loaded(None, type("T", (), {})()))  # type: ignore[arg-type]
    monkeypatch.setattr(data, "answers", answers)
    monkeypatch.setattr(
        data, "cross_entropy", lambda model, tokenizer, sources, targets, **tags: [1.0 / len(s) for s in sources]
    )
    out = tmp_path / "pairs.jsonl"
    use.main(["pairs", str(path), "--model", "m", "--languages", "sw", "--samples", "3", "--out", str(out)])
    pairs = read_json_lines(out)
    assert [(pair["chosen"], pair["rejected"]) for pair in pairs] == [
        ("it is 1", "so 1"),
        ("it is 1", "9"),
        ("so 1", "9"),
    ]
    assert {pair["prompt"] for pair in pairs} == {data.prompt("q1", "sw")}
    assert data.read_pairs(str(out), ["sw"]) == pairs
