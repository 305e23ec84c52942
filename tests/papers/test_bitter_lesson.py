"""bitter_lesson: published numbers, known truths, records, own tables, and the paper's scale on a scripted harness."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.experiment.run import Run, temporary
from core.files import read_json, read_lines
from core.metrics.agreement import fisher_mean, kendall, kendall_w, rank_interval
from core.metrics.stats import pearson, spearman, steiger_z
from papers.bitter_lesson import catalogue, data, eval, miniature, train, use
from papers.bitter_lesson.catalogue import BenchmarkRecord, coverage, distribution, load_records
from papers.bitter_lesson.config import MODELS, PRESETS, VARIANTS, Config, workload
from papers.bitter_lesson.method import (
    Battle,
    agreement,
    compare_benchmarks,
    elo,
    fit_ratings,
    rank_correlations,
    reliability,
    required_models,
)

# --- parity: numbers that other code computed from the published tables ------------------------------------

RHO = {
    "zh-fr": 0.8509, "zh-de": 0.8118, "zh-es": 0.7220, "zh-ru": 0.8180, "fr-de": 0.9653, "fr-es": 0.9178,
    "fr-ru": 0.8763,
    "de-es": 0.9394, "de-ru": 0.8612, "es-ru": 0.8695,
}  # fmt: skip


@pytest.mark.parametrize("pair", RHO)
def test_rank_correlations_of_the_published_ratings(pair: str) -> None:
    ratings, _ = data.arena()
    one, other = (np.array([*ratings[code].values()]) for code in pair.split("-"))
    assert len(one) == 30
    assert rank_correlations(one, other) == pytest.approx(RHO[pair], abs=1e-4)
    assert agreement(one.tolist(), other.tolist(), draws=200).rho == pytest.approx(RHO[pair], abs=1e-4)


def test_other_coefficients_of_the_published_ratings() -> None:
    ratings, _ = data.arena()
    columns = {code: [*ratings[code].values()] for code in data.PEOPLE}
    assert kendall(columns["zh"], columns["fr"]) == pytest.approx(0.6782, abs=1e-4)
    assert kendall(columns["zh"], columns["es"]) == pytest.approx(0.5339, abs=1e-4)
    assert kendall(columns["fr"], columns["de"]) == pytest.approx(0.8713, abs=1e-4)
    assert pearson(columns["zh"], columns["fr"]) == pytest.approx(0.8545, abs=1e-4)
    assert kendall_w([*columns.values()]) == pytest.approx(0.891, abs=1e-3)


def test_size_alone_is_the_floor() -> None:
    ratings, sizes = data.arena()
    floor = {code: spearman([*sizes.values()], [*ratings[code].values()]) for code in data.PEOPLE}
    assert floor == pytest.approx({"zh": 0.6328, "fr": 0.5979, "de": 0.6188, "es": 0.6453, "ru": 0.7238}, abs=1e-4)
    found = eval.people(PRESETS["tiny"])[2]["people"]["below_floor"]
    assert {kind: len(codes) for kind, codes in found.items() if kind != "CMMLU"} == {
        "XNLI": 5, "MMLU": 5, "GlobalMMLU": 5, "XQuAD": 4, "TruthfulQA": 3, "ARC": 0, "HellaSwag": 0, "MGSM": 1,
    }  # fmt: skip


def test_intervals_from_a_correlation_alone() -> None:
    for rho, ends in {
        0.855: (0.682, 0.937),
        0.682: (0.392, 0.849),
        0.473: (0.116, 0.722),
        0.3: (-0.076, 0.601),
    }.items():
        assert rank_interval(rho, 30) == pytest.approx(ends, abs=1e-3)


@pytest.mark.parametrize(
    ("between", "z", "p"),
    [(0.3, 1.2589, 0.208), (0.5, 1.4464, 0.148), (0.7, 1.8160, 0.069), (0.8, 2.1947, 0.028), (0.9, 3.0637, 0.002)],
)
def test_localized_against_translated_in_chinese(between: float, z: float, p: float) -> None:
    found = steiger_z(0.682, 0.473, between, 30)
    assert found.statistic == pytest.approx(z, abs=1e-4)
    assert found.p == pytest.approx(p, abs=1e-3)


def test_means_over_languages() -> None:
    expected = {"XNLI": 0.3993, "ARC": 0.7866, "HellaSwag": 0.7567, "TruthfulQA": 0.6414, "MMLU": 0.3795,
                "GlobalMMLU": 0.3983, "XQuAD": 0.1986, "MGSM": 0.8106}  # fmt: skip
    table = data.published()
    for kind, mean in expected.items():
        assert fisher_mean([rho for (name, _), rho in table.items() if name == kind]) == pytest.approx(mean, abs=1e-4)
    assert set(table) == set(data.tasks())


def votes(*results: tuple[str, str, int, int]) -> list[Battle]:
    return [Battle(a, b, won) for a, b, wins, losses in results for won in [1.0] * wins + [0.0] * losses]


def test_bradley_terry_of_known_votes() -> None:
    found = fit_ratings(votes(("A", "B", 60, 40), ("A", "C", 80, 20), ("B", "C", 70, 30)))
    assert found == pytest.approx({"A": 102.7485, "B": 25.9017, "C": -128.6502}, abs=1e-3)
    two = fit_ratings(votes(("A", "B", 75, 25)))
    assert two["A"] - two["B"] == pytest.approx(190.8485, abs=1e-3)


# --- ratings ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("efgh"), st.sampled_from([0.0, 0.5, 1.0])), min_size=1)
)
def test_ratings_do_not_depend_on_order_or_side(battles: list[tuple[str, str, float]]) -> None:
    found = fit_ratings([Battle(*battle) for battle in battles])
    turned = fit_ratings([Battle(b, a, 1 - won) for a, b, won in reversed(battles)])
    assert all(map(math.isfinite, found.values()))  # also of who never lost
    assert found == pytest.approx(turned, abs=1e-4)
    assert sum(found.values()) == pytest.approx(0, abs=1e-6)


def test_bradley_terry_is_the_maximum() -> None:
    """A general optimiser finds the same on the log-likelihood as it is written, ties included."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    battles = [Battle(*map(str, rng.choice(5, 2, replace=False)), float(rng.choice([0, 0.5, 1]))) for _ in range(300)]
    one, other = (np.array([int(battle[side]) for battle in battles]) for side in (0, 1))
    won = np.array([battle.won for battle in battles])

    def loss(r: Any) -> float:
        p = 1 / (1 + 10 ** ((r[other] - r[one]) / 400))
        return float(-(won * np.log(p) + (1 - won) * np.log(1 - p)).sum())

    best = minimize(loss, np.zeros(5), method="BFGS").x
    assert [fit_ratings(battles)[str(n)] for n in range(5)] == pytest.approx(best - best.mean(), abs=0.1)


def test_elo_depends_on_the_order_of_votes() -> None:
    battles = votes(("a", "b", 30, 10), ("b", "c", 30, 10))
    assert elo(battles) != pytest.approx(elo(battles[::-1]))
    assert elo(battles)["a"] > 0


def test_votes_that_are_coins_have_no_reliability() -> None:
    rng = np.random.default_rng(1)
    pairs = [tuple(map(str, rng.choice(20, 2, replace=False))) for _ in range(3000)]
    coins = [Battle(a, b, float(rng.random() < 0.5)) for a, b in pairs]
    sure = [Battle(a, b, float(int(a) > int(b))) for a, b in pairs]
    assert reliability(coins) < 0.6
    assert reliability(sure) > 0.98


# --- agreement: cases whose truth is known ----------------------------------------------------------------------------


@given(st.permutations(range(12)), st.permutations(range(12)))
def test_agreement_is_of_ranks(x: list[int], y: list[int]) -> None:
    rho = float(rank_correlations(np.array(x, float), np.array(y, float)))
    assert rho == pytest.approx(spearman(x, y))
    assert rho == pytest.approx(float(rank_correlations(np.exp(x), np.array(y) ** 3.0)))
    assert rho == pytest.approx(-float(rank_correlations(-np.array(x, float), np.array(y, float))))


def test_a_benchmark_that_is_the_voters_and_one_that_is_noise() -> None:
    rng = np.random.default_rng(3)
    people = rng.normal(size=30).tolist()
    assert agreement(people, people, draws=200).rho == pytest.approx(1)
    noise = agreement(rng.normal(size=30).tolist(), people, draws=2000)
    assert noise.low < 0 < noise.high
    again = compare_benchmarks(people, rng.normal(size=30).tolist(), people, draws=500)
    assert again.first == pytest.approx(1)
    assert again.verdict() == "cannot tell"  # a perfect correlation has no Steiger's Z, and is no data
    near = (np.array(people) + rng.normal(size=30) / 10).tolist()
    assert compare_benchmarks(near, rng.normal(size=30).tolist(), people, draws=500).verdict() == "first"
    assert compare_benchmarks(rng.normal(size=30).tolist(), near, people, draws=500).verdict() == "second"
    assert compare_benchmarks(near, near, people, draws=500).verdict() == "cannot tell"


def test_the_verdict_needs_both_and_holm() -> None:
    found = compare_benchmarks(*eval.population(0.9, 0.1, 0.2, np.random.default_rng(2), n=60), draws=500)
    assert found.verdict() == "first"
    assert found.verdict(p=0.2) == "cannot tell"
    assert replace(found, low=-0.1).verdict() == "cannot tell"


def test_how_many_models_are_enough() -> None:
    assert [required_models(0.682, 0.473, between) for between in (0.3, 0.5, 0.8)] == [137, 105, 47]
    n = required_models(0.682, 0.473, 0.5)
    assert steiger_z(0.682, 0.473, 0.5, int(n)).statistic == pytest.approx(1.96 + 0.8416, abs=0.02)
    assert required_models(0.5, 0.5, 0.5) == math.inf


def test_drawn_populations_have_the_asked_correlations() -> None:
    x, other, y = eval.population(0.68, 0.47, 0.5, np.random.default_rng(0), n=20_000)
    assert [spearman(x, y), spearman(other, y), spearman(x, other)] == pytest.approx([0.68, 0.47, 0.5], abs=0.02)


# --- records ----------------------------------------------------------------------------------------------------------


def record(key: str = "a", **others: Any) -> BenchmarkRecord:
    plain: dict[str, Any] = {"languages": ("en", "sw"), "task_category": "both", "year": 2023, "month": 5, "title": "t"}
    return BenchmarkRecord(id=key, **plain | others)


@pytest.mark.parametrize(
    "bad",
    [{"languages": ("en",)}, {"languages": ()}, {"languages": ("en", "en-GB")}, {"month": 13}, {"task_category": "x"},
     {"size_bin": "12"}, {"translation": ("by hand",)}, {"countries": ("Kenya",)}, {"languages": ("zzzz9",)}],
)  # fmt: skip
def test_records_outside_the_scheme_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        record(**bad)


def test_shares_of_records_and_of_labels() -> None:
    records = [record("a", translation=("none", "human")), record("b", translation=("human",)), record("c")]
    assert distribution(records, "translation") == {"human": 1.0, "none": 0.5}
    labels = distribution(records, "translation", "label")
    assert labels == pytest.approx({"human": 2 / 3, "none": 1 / 3})
    assert sum(labels.values()) == pytest.approx(1)
    assert distribution([record(languages=("sw", "swh_Latn", "arb"))], "languages") == {"sw": 1.0, "ar": 1.0}


def test_english_counts_inside_multilingual_sets() -> None:
    assert distribution([record(), record("b", languages=("fr",))], "languages")["en"] == 0.5


@given(st.lists(st.sets(st.sampled_from(["fr", "sw", "ar", "hi", "zh"]), min_size=1), min_size=1, max_size=8))
def test_coverage_stays_in_its_bounds(languages: list[set[str]]) -> None:
    found = coverage([record(str(n), languages=tuple(codes)) for n, codes in enumerate(languages)])
    assert all(-1e-9 <= found[name] <= 1 + 1e-9 for name in ("seen once", "gini", "entropy", "high-resource only"))


def test_our_records_exercise_every_field() -> None:
    records = load_records()
    assert len(records) == 50
    for field in ("languages", "task_category", "tasks", "size_bin", "affiliation_type", "countries", "translation",
                  "domains", "annotators", "source", "year", "month"):  # fmt: skip
        assert distribution(records, field), field
    harness = [found for found in records if found.source == catalogue.HARNESS]
    assert len(harness) == 36
    assert next(iter(distribution(harness, "languages"))) == "en"
    assert "## translation" in catalogue.report(records, "label")
    assert catalogue.estimate_cost([record(size_bin="100-1K")], 2.0) == 632


def test_two_annotators() -> None:
    first = [record(str(n), size_bin="<100" if n % 2 else "100-1K", task_category="both") for n in range(10)]
    second = [replace(found, size_bin="<100") if found.id == "0" else found for found in first]
    assert catalogue.agreements(first, second)["size_bin"] == (10, pytest.approx(0.8))
    assert catalogue.agreements(first, first)["size_bin"] == (10, 1.0)
    with pytest.raises(UserError, match="no id in common"):
        catalogue.agreements(first, [record("x")])


def test_drafts_from_task_folders(tmp_path: Path) -> None:
    files = {
        "xnli": ["xnli_sw", "xnli_de", "xnli_eng_Latn"], "subjects": ["x_law", "x_art", "x_music", "x_is", "x_no"],
        "pair": ["p_de", "p_fr"], "written": ["w_french", "w_german", "w_arabic", "w_template"],
    }  # fmt: skip
    for folder, names in files.items():
        (tmp_path / folder).mkdir()
        for name in names:
            kind = "generate_until" if folder == "written" else "multiple_choice"
            (tmp_path / folder / f"{name}.yaml").write_text(f"task: {name}\noutput_type: {kind}\n", encoding="utf-8")
    drafts = {draft["id"]: draft for draft in catalogue.collect(tmp_path)}
    assert drafts["xnli"] == {"id": "xnli", "languages": ["de", "en", "sw"], "task_category": "discriminative"}
    assert drafts["written"]["languages"] == ["ar", "de", "fr"]
    assert drafts["written"]["task_category"] == "generative"
    assert set(drafts) == {"xnli", "written"}  # subjects are no languages, and two are too few


@pytest.mark.slow
def test_our_records_are_what_the_installed_harness_has() -> None:
    from core.corpora.catalogues import package_folder

    drafts = {draft["id"]: draft for draft in catalogue.collect(package_folder("lm_eval") / "tasks")}
    ours = {found.id: found for found in load_records() if found.source == catalogue.HARNESS}
    shared = [key for key in ours if key in drafts]
    assert len(shared) >= 30
    assert sum(len(set(ours[k].languages) ^ set(drafts[k]["languages"])) <= 3 for k in shared) >= len(shared) - 2


def test_screening() -> None:
    texts = {"a": ("A Swahili benchmark", "We release a dataset."), "b": ("A parser", "It is fast."),
             "c": ("GLUE", "An English benchmark.")}  # fmt: skip
    papers = {key: {"title": title, "abstract": abstract} for key, (title, abstract) in texts.items()}
    assert catalogue.screened(papers) == {"a": True, "b": False, "c": False}
    judge = lambda asked: {k: "**Yes**, it does." if "parser" in p else "No" for k, p in asked.items()}  # noqa: E731
    assert catalogue.screened(papers, judge) == {
        "a": False, "b": True, "c": False,
    }  # fmt: skip


# --- the miniature ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", miniature.WRITTEN_IN)
def test_what_is_read_asked_and_judged_is_disjoint(kind: str) -> None:
    dev, test = (miniature.texts(split)[kind] for split in ("dev", "test"))
    assert not dev.keys() & test.keys()
    parts = miniature.dealt(test, np.random.default_rng(0))
    assert sum(map(len, parts.values())) == sum(map(len, test.values()))
    for code in miniature.LANGUAGES:
        lines = [
            {row[code] for row in rows} for rows in (*parts.values(), [row for rows in dev.values() for row in rows])
        ]
        for one, other in itertools.combinations(lines, 2):
            assert not one & other


def test_nothing_that_is_asked_or_judged_can_be_looked_up() -> None:
    rng = np.random.default_rng(1)
    lines = ["".join(rng.choice([*"abcdefgh"], 50)) for _ in range(40)]
    read = "\n".join(lines[::2])
    found = miniature.questions(lines, 12, rng, read)
    assert len(found) == 12
    assert all(context[-miniature.COPIED :] + options[0] not in read for context, options in found)
    assert len(miniature.questions(lines, 40, rng, read)) == 20
    passages = miniature.sample_passages(lines, 40, rng, read)
    assert sorted(passages) == sorted(lines[1::2])


def test_benchmarks_of_a_project_count_as_one() -> None:
    assert eval.of_projects({"a/1": 1.0, "a/2": 0.0, "b": 1.0}) == 0.75
    ids = {found.id for found in load_records() if found.source == catalogue.HARNESS}
    assert eval.PROJECTS.keys() <= ids
    units = eval.collection(PRESETS["tiny"])[1]["english_lead"]
    assert len(units) == 36
    assert len({key.partition("/")[0] for key in units}) == 29


def test_characters_sum_to_one() -> None:
    alphabet = {letter: number for number, letter in enumerate("abc", start=1)}
    grams = miniature.Grams(["abcab", "bca"], alphabet)
    for context in ("", "a", "ab", "ccc", "cab"):
        windows = np.array([miniature.packed(context + letter, alphabet)[-1] for letter in "abc"])
        assert np.exp(grams.log_probabilities(windows)).sum() == pytest.approx(1)
    assert np.exp(miniature.Grams([], alphabet).log_probabilities(windows)) == pytest.approx(1 / 3)


def test_witten_bell_by_hand() -> None:
    alphabet = {"a": 1, "b": 2}
    grams = miniature.Grams(["aab"], alphabet)
    one = (2 + 2 * 0.5) / (3 + 2)  # p(a): counted twice of three, two types
    window = miniature.packed("a", alphabet)[-1:]
    two = (1 + 1 * one) / (1 + 1)  # after the beginning: a, once; and so for the longer histories
    for _ in range(2):
        two = (1 + 1 * two) / (1 + 1)
    assert np.exp(grams.log_probabilities(window)) == pytest.approx(two)


def test_questions_have_one_right_way_on() -> None:
    found = miniature.questions(
        [f"this is line number {n} of some text" for n in range(30)], 20, np.random.default_rng(0)
    )
    assert len(found) == 20
    for _, options in found:
        assert len(set(options)) == 4
        assert {len(option) for option in options} == {miniature.WIDTH}


# --- runs -------------------------------------------------------------------------------------------------------------


def whole(config: Config, run: Run) -> Any:
    train.train(config, run)
    return eval.evaluate(config, run)


def test_arms_take_what_they_say(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    done, found = smoke("bitter_lesson"), {}
    for variant in VARIANTS:
        config = with_variant(PRESETS["smoke"], VARIANTS, variant)
        measured = whole(config, Run(tmp_path / variant, "bitter_lesson", config, done.stages, quiet=True).open())
        found[variant] = {code: row["benchmark"] for code, row in measured.details["agreement"].items()}
        if variant == "shuffled":
            shares = measured.metrics
    assert found["localized"] == {"en": "interface", "ar": "narrations"} == found["elo"] == found["localized_accuracy"]
    assert found["translated"] == {"en": "narrations", "ar": "interface"}
    assert found["foreign"] == {"en": "narrations (ar)", "ar": "interface (en)"}
    assert found["floor"] == dict.fromkeys(("en", "ar"), "characters")
    assert shares["english_lead"] < 0 < done.measurement["metrics"]["english_lead"]


def test_names_are_permuted_and_nothing_else() -> None:
    records = [found for found in load_records() if found.source == catalogue.HARNESS]
    other = eval.relabelled(records, 5)
    assert [len(set(found.labels("languages"))) for found in other] == [len(f.labels("languages")) for f in records]
    assert coverage(other)["gini"] == pytest.approx(coverage(records)["gini"])
    column = {str(n): float(n) for n in range(9)}
    assert sorted(eval.permuted(column, 1, "x").values()) == sorted(column.values())


def results(folder: Path, model: str, strength: float) -> dict[str, Any]:
    """A results file as lm-eval writes it: accuracies of one model on every task of the paper."""
    numbers = {
        task: {"acc,none": strength / 2, "acc_norm,none": strength, "alias": task} for task in data.tasks().values()
    }
    numbers["xquad_zh"] = {"exact_match,none": 0.1, "f1,none": strength}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"results_{model.replace('/', '__')}.json"
    path.write_text(json.dumps({"model_name": model, "results": numbers}), encoding="utf-8")
    return numbers


def test_the_paper_scale_on_a_scripted_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ratings, _ = data.arena()
    asked: list[list[str]] = []

    def harness(model: Any, tokenizer: Any, folder: Path, names: list[str]) -> dict[str, Any]:
        asked.append(names)
        return results(tmp_path / "results", model, ratings["zh"][model] / 2000)

    monkeypatch.setattr("core.tasks.harness.run", harness)
    from core.models.loading import Loaded

    monkeypatch.setattr("core.models.loading.load", lambda name, **_: Loaded(name, None))  # type: ignore[arg-type]
    config = override(PRESETS["paper"], {"models": MODELS[:12], "simulations": 4})
    with temporary("bitter_lesson", config) as run:
        found = whole(config, run)
    assert asked[0] == sorted(data.tasks().values())
    assert found.details["agreement"]["zh"]["benchmark"] == "CMMLU"
    assert found.metrics["rho_zh"] == pytest.approx(1)
    given = replace(config, scores=str(tmp_path / "results"), models=(), benchmark="translated", score="accuracy")
    with temporary("bitter_lesson", given) as run:
        assert whole(given, run).details["agreement"]["zh"]["benchmark"] == "MMLU"
    with temporary("bitter_lesson", replace(config, ratings="elo")) as run, pytest.raises(UserError, match="arena"):
        train.train(run.config, run)


def test_the_plan_and_the_models() -> None:
    assert set(MODELS) == set(data.arena()[1])
    assert sum(int(part.name.split()[0]) for part in workload(PRESETS["paper"])) == 30
    assert workload(PRESETS["tiny"]) == []


# --- own tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("org/Llama-3.1-8B-Instruct", 8),
        ("google/gemma-2b-it", 2),
        ("SmolLM2-135M", 0.135),
        ("gpt-4o", None),
        ("x/phi-1.5", None),
    ],
)
def test_sizes_in_names(name: str, size: float | None) -> None:
    assert data.named_size(name) == size


def desk(folder: Path, n: int = 14) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=n)
    names = [f"org/m{k}-{k + 1}b" for k in range(n)]
    lines = ["model,benchmark,language,score"]
    for name, value in zip(names, truth, strict=True):
        lines += [f"{name},local,sw,{value + rng.normal() / 9:.4f}", f"{name},translated,sw,{rng.normal():.4f}"]
    (folder / "scores.csv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    (folder / "ratings.tsv").write_text(
        "model\tsw\n" + "".join(f"{n}\t{v}\n" for n, v in zip(names, truth, strict=True)), encoding="utf-8"
    )
    rows = ["language,model_a,model_b,winner"]
    for _ in range(600):
        a, b = rng.choice(n, 2, replace=False)
        won = "model_a" if rng.random() < 1 / (1 + math.exp(truth[b] - truth[a])) else "model_b"
        rows.append(f"sw,{names[a]},{names[b]},{won}")
    (folder / "votes.csv").write_text("\n".join(rows), encoding="utf-8")


def test_verbs_on_own_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    desk(tmp_path)
    use.main(["trust", "scores.csv", "--votes", "votes.csv", "--draws", "400"])
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert re.match(r" +local sw +rho 0\.\d+ \[.*over 14 models +floor -?0\.\d+ \(size\) +ceiling 0\.9\d$", first)
    assert "translated sw" in second
    assert second.endswith("no more than the floor")
    assert (tmp_path / "trust" / "agreement.svg").stat().st_size > 1000
    assert read_lines(tmp_path / "trust" / "agreement.tsv")[0].split("\t")[:4] == ["benchmark", "rho", "low", "high"]
    use.main(
        [
            "compare",
            "scores.csv",
            "--ratings",
            "ratings.tsv",
            "--first",
            "local",
            "--second",
            "translated",
            "--draws",
            "400",
        ]
    )
    assert "sw: local agrees more with people" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="fewer than 100 votes"):
        use.main(["ratings", "votes.csv", "--draws", "20", "--out", "fit/ratings.tsv"])
    fitted, given = data.read_ratings("fit/ratings.tsv")["sw"], data.read_ratings("ratings.tsv")["sw"]
    assert spearman(*data.paired_columns(fitted, given)) > 0.8
    for wrong in (["--first", "nothing"], ["--first", "local", "--votes", "votes.csv"]):
        with pytest.raises(SystemExit, match="2"):
            use.main(["compare", "scores.csv", "--ratings", "ratings.tsv", "--second", "translated", *wrong])
    assert capsys.readouterr().err.count("\n") == 2


def test_six_models_decide_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    desk(tmp_path, n=6)
    use.main(
        [
            "compare",
            "scores.csv",
            "--ratings",
            "ratings.tsv",
            "--first",
            "local",
            "--second",
            "translated",
            "--draws",
            "200",
        ]
    )
    assert "cannot tell which agrees more with people" in capsys.readouterr().out


def test_verbs_on_collections(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = "id,title,year,month,languages,task_category,translation\n"
    table += "a,A,2023,5,sw;en,both,none\nb,B,2024,1,yo,generative,gpt;human\n"
    (tmp_path / "records.csv").write_text(table, encoding="utf-8")
    use.main(["audit", "records.csv", "--second", "records.csv", "--usd-per-example", "1"])
    report = (tmp_path / "audit.md").read_text(encoding="utf-8")
    assert "| none | 50.0% |" in report
    assert "| task_category | 2 | 1.00 |" in report
    rows = [
        {"id": "a", "title": "A Hausa benchmark", "abstract": "x", "keep": 1},
        {"id": "b", "title": "y", "abstract": "z", "keep": 1},
    ]
    (tmp_path / "papers.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    use.main(["screen", "papers.jsonl"])
    assert "precision 1.00, recall 0.50" in capsys.readouterr().out
    (tmp_path / "replies.jsonl").write_text(
        "\n".join(json.dumps({"id": key, "judgement": "yes"}) for key in "ab"), encoding="utf-8"
    )
    use.main(["screen", "papers.jsonl", "--judge", "replies.jsonl"])
    assert "precision 1.00, recall 1.00" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        use.main(["collect", str(tmp_path)])


def test_the_worked_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("bitter_lesson").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_the_artifact_is_what_the_verbs_read(smoke: Callable[[str], Any]) -> None:
    folder = smoke("bitter_lesson").path / "artifact"
    rows = use.trust(
        data.read_scores(folder / "scores.tsv"), data.read_ratings(folder / "ratings.tsv"),
        data.read_models(folder / "models.tsv"), draws=200,
    )  # fmt: skip
    assert {row["benchmark"].split()[1] for row in rows} == {"en", "ar"}
    assert read_json(folder / "facts.json")["items"]
