"""Verdicts and records, on measurements whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import UserError
from core.experiment.figures import (
    arm_bars,
    bars,
    by_unit,
    gain_rows,
    interval,
    interval_marks,
    label_points,
    mean_of,
    metric_rows,
    pair_bars,
    unit_rows,
)
from core.experiment.paper import Check, Claim, Paper, Premise
from core.experiment.results import Record, in_place, is_identity, judge, judge_all
from core.experiment.run import Measurement
from core.metrics.intervals import Interval

LANGUAGES = [f"l{i}" for i in range(20)]


def cells(means: dict[str, float], spread: float = 0.02, seeds: int = 3) -> dict[str, dict[int, Measurement]]:
    """Per-language scores around a mean; the languages' own levels are common to all variants."""
    level = np.random.default_rng(0).normal(0, 0.2, len(LANGUAGES))
    made: dict[str, dict[int, Measurement]] = {}
    for number, (variant, mean) in enumerate(means.items()):
        made[variant] = {}
        for seed in range(seeds):
            noise = np.random.default_rng([number + 1, seed]).normal(0, spread, len(LANGUAGES))
            values = dict(zip(LANGUAGES, (mean + level + noise).tolist(), strict=True))
            made[variant][seed] = Measurement({"score": float(np.mean(list(values.values())))}, {"score": values})
    return made


def claim(**changes: Any) -> Claim:
    settings = {"metric": "score", "treatment": "new", "control": "old", "unit": "language", **changes}
    return Claim(id="id", statement="statement", reported="reported", **settings)


def test_pairing_finds_a_small_difference_under_large_variation() -> None:
    verdict = judge(claim(), cells({"new": 0.55, "old": 0.50}))
    assert verdict.outcome == "reproduced"
    assert verdict.difference == pytest.approx(0.05, abs=0.02)
    assert verdict.low is not None
    assert verdict.high is not None
    assert 0 < verdict.low < verdict.difference < verdict.high
    assert (verdict.sample["seeds"], verdict.sample["units"]) == (3, 20)
    assert judge(claim(paired=False), cells({"new": 0.55, "old": 0.50})).outcome == "undecided"


@pytest.mark.parametrize(
    ("means", "changes", "outcome"),
    [
        ({"new": 0.6, "old": 0.5}, {}, "reproduced"),
        ({"new": 0.6, "old": 0.5}, {"better": "lower"}, "contradicted"),
        ({"new": 0.4, "old": 0.5}, {"better": "lower"}, "reproduced"),
        ({"new": 0.5, "old": 0.5}, {}, "undecided"),
        ({"new": 0.5, "old": 0.5}, {"smallest": 0.1}, "absent"),
        ({"new": 0.6, "old": 0.5}, {"size": 0.2}, "smaller than claimed"),
        ({"new": 0.49, "old": 0.5}, {"keeps": True, "size": 0.05}, "reproduced"),
        ({"new": 0.51, "old": 0.5}, {"keeps": True, "size": 0.05, "better": "lower"}, "reproduced"),
        ({"new": 0.4, "old": 0.5}, {"keeps": True, "size": 0.05}, "contradicted"),
        ({"new": 0.5, "old": 0.5}, {"better": "equal", "size": 0.05}, "reproduced"),
        ({"new": 0.7, "old": 0.5}, {"better": "equal", "size": 0.05}, "contradicted"),
        ({"new": 0.5, "old": 0.9}, {"control": 0.25}, "reproduced"),
    ],
)
def test_the_rule(means: dict[str, float], changes: dict[str, Any], outcome: str) -> None:
    assert judge(claim(**changes), cells(means)).outcome == outcome


def test_units_are_drawn_whole() -> None:
    """Two languages with many items each are two languages, not many items."""
    effect = {"a": 0.4, "b": -0.1}
    made: dict[str, dict[int, Measurement]] = {"new": {}, "old": {}}
    for seed in range(3):
        for variant, by_language in (("new", effect), ("old", dict.fromkeys(effect, 0.0))):
            units = {f"{code}/{item}": value + item / 1000 for code, value in by_language.items() for item in range(50)}
            made[variant][seed] = Measurement({"score": float(np.mean(list(units.values())))}, {"score": units})
    assert judge(claim(unit="language"), made).outcome == "undecided"
    assert judge(claim(unit="language/item"), made).outcome == "reproduced"


def test_the_null_arm_is_judged_in_the_treatments_place() -> None:
    made = cells({"new": 0.6, "old": 0.5, "shuffled": 0.5, "leaky": 0.6})
    assert judge(claim(null="shuffled"), made).null == "undecided"
    assert judge(claim(null="leaky"), made).null == "reproduced"
    assert in_place(claim(null="leaky")).treatment == "leaky"
    assert in_place(claim(null="leaky")).control == "old"
    within = in_place(claim(control="new", control_metric="other", null="leaky"))
    assert (within.treatment, within.control) == ("leaky", "leaky")


def test_solvers_are_read_off_arms_whose_items_are_whole() -> None:
    made = cells({"new": 0.6, "old": 0.5, "null": 0.5})
    for name, value in {"new": 0.9, "old": 0.8, "null": 0.1}.items():
        for cell in made[name].values():
            cell.metrics["trivial_form"] = value
    for cell in made["null"].values():
        cell.metrics["trivial_crowd"] = 0.3
    record = Record("slug", "tiny", (0, 1, 2), made)
    assert record.trivial("new") == pytest.approx({"form": 0.9})
    assert record.trivial(without={"null"}) == pytest.approx({"form": 0.85, "crowd": 0.3})


def test_without_its_premise_nothing_is_judged() -> None:
    made = cells({"new": 0.6, "old": 0.5})
    premise = Premise(
        id="base-translates", statement="The base translates.", metric="score", variant="old", at_least=0.9
    )
    paper = card(claims=(claim(premises=("base-translates",)),), checks=(Check(id="c", statement="s", **ARMS),))
    broken = replace(paper, premises=(premise,))
    claimed, checked = judge_all(broken, made)
    assert claimed.outcome == "premise not met"
    assert "The base translates" in claimed.reason
    assert "0.9" in claimed.reason
    assert checked.outcome == "reproduced", "it does not rest on the premise"
    assert judge_all(replace(broken, premises=(replace(premise, at_least=0.1),)), made)[0].outcome == "reproduced"


ARMS: dict[str, Any] = {"metric": "score", "treatment": "new", "control": "old", "unit": "language"}


def card(**changes: Any) -> Paper:
    texts = dict.fromkeys(("slug", "title", "authors", "venue", "arxiv", "family", "summary"), "x")
    return Paper(**{**texts, "year": 2026, "claims": (claim(),), "minutes": 1.0, **changes})


def test_an_undecided_claim_says_what_would_decide() -> None:
    made = cells({"new": 0.503, "old": 0.5}, spread=0.05)
    verdict = judge(claim(smallest=0.002), made)
    assert verdict.outcome == "undecided"
    assert "would decide" in verdict.needed or "would not decide" in verdict.needed


def test_what_is_true_by_construction_is_found() -> None:
    made = cells({"new": 0.6, "old": 0.5})
    assert not is_identity(claim(), made)
    assert is_identity(claim(control="new"), made)
    constant = {"new": {seed: Measurement({"pieces": 106_717.0}) for seed in range(3)}}
    assert is_identity(claim(metric="pieces", control=106_790.0), constant)


def test_with_several_controls_the_hardest_decides() -> None:
    made = cells({"new": 0.55, "easy": 0.2, "hard": 0.7})
    verdict = judge(claim(control=("easy", "hard")), made)
    assert (verdict.outcome, verdict.control_name) == ("contradicted", "hard")


def test_a_single_number_a_seed_is_compared_over_seeds() -> None:
    made = {
        "new": {seed: Measurement({"score": 0.6 + 0.012 * seed}) for seed in range(3)},
        "old": {seed: Measurement({"score": 0.5 + 0.01 * seed}) for seed in range(3)},
    }
    verdict = judge(claim(), made)
    assert verdict.difference == pytest.approx(0.102)
    assert (verdict.outcome, verdict.sample["units"]) == ("reproduced", 1)


def test_a_correlation_claim_resamples_units() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)

    def measured(noise: float) -> dict[int, Measurement]:
        return {
            seed: Measurement(
                {},
                {
                    "x": dict(zip(LANGUAGES, x.tolist(), strict=True)),
                    "y": dict(zip(LANGUAGES, (x + noise * rng.normal(size=20)).tolist(), strict=True)),
                },
            )
            for seed in range(3)
        }

    made = {"new": measured(0.3), "noise": measured(30.0)}
    strong = judge(claim(metric="x", correlated_with="y", control=0.5), made)
    assert strong.outcome == "reproduced"
    assert strong.treatment is not None
    assert strong.treatment > 0.9
    assert judge(claim(metric="x", correlated_with="y", control=0.5, treatment="noise"), made).outcome != "reproduced"
    assert judge(claim(metric="x", correlated_with="y", control="noise"), made).outcome == "reproduced"


def test_out_of_scale_is_not_computed() -> None:
    assert judge(claim(out_of_scale="needs 70B"), {}).outcome == "out of scale"


def test_an_unreported_metric_is_named() -> None:
    with pytest.raises(UserError, match="accuracy"):
        judge(claim(metric="accuracy"), cells({"new": 0.5, "old": 0.5}))


def test_names_of_units_are_written_once(tmp_path: Path) -> None:
    units = {f"item-{number}": number / 2 for number in range(40)}
    made = {"a": {seed: Measurement({"x": 1.0}, {"x": units, "y": units}, {}) for seed in (0, 1, 2)}}
    made["a"][2] = Measurement({"x": float("nan")}, {"x": {"item-3": 1.0, "other": 0.25}}, {"curve": [[1, 2.5], []]})
    record = Record("x", "tiny", (0, 1, 2), made)
    record.save(tmp_path / "tiny.json")
    text = (tmp_path / "tiny.json").read_text()
    assert text.count("item-7") == 1
    loaded = Record.load(tmp_path / "tiny.json")
    assert loaded.measurements["a"][0] == made["a"][0]
    assert list(loaded.measurements["a"][1].units["y"]) == list(units), "the order of units stays"
    assert loaded.measurements["a"][2].units == made["a"][2].units
    assert loaded.measurements["a"][2].details == made["a"][2].details


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    made = cells({"new": 0.6, "old": 0.5})
    record = Record(
        "x", "tiny", (0, 1, 2), made, {"new": 1.0, "old": 2.0}, (judge(claim(), made),), {"cores": 2}, {"new/0": "k"}
    )
    record.save(tmp_path / "tiny.json")
    assert Record.load(tmp_path / "tiny.json") == record
    with pytest.raises(UserError, match="no record"):
        Record.load(tmp_path / "missing.json")


def test_figures_show_means_over_seeds_and_units_clipped_to_what_is_possible() -> None:
    arm = {
        seed: Measurement({}, {"m": {"a": 1.0, "b": 0.8 + 0.1 * seed}, "c": {"b": 0.5, "a": 0.5}}) for seed in range(3)
    }
    mean = interval(arm, "m")
    assert mean.estimate == pytest.approx(0.95)
    assert interval(arm, "m", "c").estimate == pytest.approx(0.45)  # paired by unit, whatever their order
    means, reach = bars([mean, interval(arm, "c")])
    assert means.tolist() == pytest.approx([0.95, 0.5])
    assert reach.shape == (2, 2)
    assert (means + reach[1] <= 1).all()
    assert reach[:, 1].tolist() == pytest.approx([0.5, 0.5]), "values that never differ say nothing of others"
    ends = {f"l{n}": n / 9 for n in range(9)}
    record = Record(
        "x", "tiny", (0,), {"arm": {0: Measurement({}, {"m": ends, "n": {u: 1 - v for u, v in ends.items()}})}}
    )
    assert mean_of(record, "arm", "m", "language").estimate == pytest.approx(4 / 9)
    assert mean_of(record, "arm", "m", "language", correlated_with="n").estimate == pytest.approx(-1)


def test_arms_are_drawn_with_the_intervals_of_the_verdicts() -> None:
    from matplotlib.figure import Figure

    made = {
        arm: {seed: Measurement({}, {"m": {f"l{seed}/a": low, f"l{seed}/b": 1.0}}) for seed in range(3)}
        for arm, low in (("new", 0.9), ("old", 0.1))
    }
    record = Record("x", "tiny", (0, 1, 2), made)
    assert by_unit(record, "new", "m") == {f"l{seed}": pytest.approx(0.95) for seed in range(3)}
    axes = Figure().subplots()
    arm_bars(
        axes, record, "m", [("new", "the method", "blue"), ("none", "not run", "grey"), ("old", "before", "orange")]
    )
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.95, 0.55])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["the method", "before"]
    assert [text.get_text() for text in axes.texts] == ["0.95", "0.55"]


def test_gains_are_drawn_over_one_control_or_one_for_each() -> None:
    from matplotlib.figure import Figure

    arms = {"new": 0.9, "half": 0.6, "old": 0.1}
    made = {arm: {0: Measurement({}, {"m": {"a": mean - 0.05, "b": mean + 0.05}})} for arm, mean in arms.items()}
    record, (left, right) = Record("x", "tiny", (0,), made), Figure().subplots(1, 2)
    gain_rows(left, record, "m", [("new", "all of it", "blue"), ("none", "not run", "grey")], "old")
    assert [text.get_text() for text in left.texts] == ["+0.80"]
    rows = [("new", "n", "blue"), ("half", "h", "blue"), ("half", "x", "blue")]
    gain_rows(right, record, "m", rows, ["half", "old", "none"], form="{:.1f}")
    assert [text.get_text() for text in right.texts] == ["0.3", "0.5"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["n", "h"], "neither without its control"


def test_two_bars_an_arm_show_two_metrics() -> None:
    from matplotlib.figure import Figure

    units = {"en": {"a/1": 0.5, "b/1": 0.9}, "ar": {"a/1": 0.2, "b/1": 0.4}}
    record = Record("x", "tiny", (0, 1), {"new": dict.fromkeys((0, 1), Measurement({}, units))})
    arms, pair = [("new", "the method"), ("none", "not run")], [("en", "English", "blue"), ("ar", "Arabic", "orange")]
    plain, dotted = Figure().subplots(1, 2)
    for axes, dots in ((plain, False), (dotted, True)):
        pair_bars(axes, record, arms, pair, "unit", dots=dots, high=1.5)
        assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.7, 0.3])
        assert [label.get_text() for label in axes.get_yticklabels()] == ["the method"]
        assert [text.get_text() for text in axes.texts] == ["0.70", "English", "0.30", "Arabic"]
        assert axes.get_xlim() == (0, 1.5)
    assert not plain.collections
    assert [points.get_offsets()[:, 0].tolist() for points in dotted.collections] == [[0.5, 0.9], [0.2, 0.4]]


def test_intervals_are_lines_with_a_mark_and_labels_do_not_lie_on_each_other() -> None:
    from matplotlib.figure import Figure

    left, right = Figure().subplots(1, 2)
    interval_marks(left, [(Interval(0.5, 0.2, 0.9, ""), "blue"), (Interval(0.1, 0.0, 0.3, ""), "orange")])
    assert [list(line.get_xdata()) for line in left.lines] == [[0.2, 0.9], [0.5], [0.0, 0.3], [0.1]]
    assert [line.get_ydata()[0] for line in left.lines] == [0, 0, 1, 1]
    label_points(right, [0.0, 0.01, 1.0], [0.5, 0.5, 1.0], ["a", "b", "c"])
    heights = {text.get_text(): text.xy[1] for text in right.texts}
    assert heights["c"] == 1.0
    assert heights["a"] > 0.5
    assert abs(heights["a"] - heights["b"]) > 0.0159


def test_a_row_a_unit_and_a_row_a_metric() -> None:
    from matplotlib.figure import Figure

    made = {
        "new": {n: Measurement({"m": 0.5 + n / 4, "k": 1.0}, {"m": {"a/1": 0.5, "b/1": 0.9}}) for n in range(2)},
        "old": {0: Measurement({"m": 0.1}, {"m": {"a/1": 0.2, "b/1": 0.1}})},
    }
    record, figure = Record("x", "tiny", (0, 1), made), Figure()
    left, right = figure.subplots(1, 2)
    unit_rows(left, record, "m", [("new", "blue"), ("old", "orange")])
    assert [label.get_text() for label in left.get_yticklabels()] == ["b", "a"], "the best of the first arm on top"
    unit_rows(figure.subplots(), record, "m", [("new", "blue")], str.upper)
    assert [label.get_text() for label in figure.axes[-1].get_yticklabels()] == ["B", "A"]
    assert [line.get_xdata()[0] for line in left.lines] == pytest.approx([0.1, 0.1, 0.9, 0.2, 0.2, 0.5])
    metric_rows(right, record, {"m": "first", "k": "second"}, [("new", "the method", "blue"), ("old", "", "orange")])
    assert [label.get_text() for label in right.get_yticklabels()] == ["first", "second"]
    assert [list(line.get_xdata()) for line in right.lines] == [
        [0.5, 0.75],
        [0.625],
        [1.0, 1.0],
        [1.0],
        [0.1],
        [0.1],
        [],
    ]
