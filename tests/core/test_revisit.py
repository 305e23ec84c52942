"""A quick look, a replication, a new judgement, and what seeds can decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.errors import UserError
from core.experiment import power, revisit
from core.experiment.forecast import distance, forecast
from core.experiment.paper import Claim, Paper
from core.experiment.results import Record, Verdict, compare, judge_all
from core.experiment.run import Measurement

LANGUAGES = [f"l{number}" for number in range(12)]
CLAIM = Claim(
    id="c",
    statement="[new] beats old",
    reported="r",
    metric="score",
    treatment="new",
    control="old",
    unit="language",
    smallest=0.01,
)
TEXTS = dict.fromkeys(("slug", "title", "authors", "venue", "arxiv", "family", "summary"), "x")
PAPER = Paper(**{**TEXTS, "year": 2026, "claims": (CLAIM,), "minutes": 1.0})


def record(effect: float, noise: float, seeds: tuple[int, ...] = (0, 1, 2)) -> Record:
    made: dict[str, dict[int, Measurement]] = {"new": {}, "old": {}}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for variant, mean in (("new", 0.5 + effect), ("old", 0.5)):
            units = dict(zip(LANGUAGES, (mean + rng.normal(0, noise, len(LANGUAGES))).tolist(), strict=True))
            made[variant][seed] = Measurement({"score": float(np.mean([*units.values()]))}, {"score": units})
    return Record("x", "tiny", seeds, made, verdicts=judge_all(PAPER, made))


def test_fresh_seeds_were_never_used() -> None:
    assert revisit.fresh({0, 1, 17}, (0, 1)) == (2520, 2521)
    assert revisit.fresh({36, 37, 38, 2555}, (36, 37, 38)) == (2556, 2557, 2558)
    assert revisit.fresh({36, 2556}, (36,)) == (5076,)
    assert all(2520 % group == 0 for group in range(1, 11))


def test_a_replication_compares_outcomes_and_estimates() -> None:
    (row,) = revisit.compared(PAPER, record(0.1, 0.02), record(0.1, 0.02, (7, 8, 9)))
    assert (row.recorded, row.again, row.agrees, row.inside) == ("reproduced", "reproduced", True, True)
    (row,) = revisit.compared(PAPER, record(0.1, 0.02), record(-0.1, 0.02, (7, 8, 9)))
    assert (row.again, row.agrees, row.inside) == ("contradicted", False, False)
    again = replace(record(0.1, 0.02, (7, 8, 9)), verdicts=(Verdict("c", "premise not met", reason="the base fails"),))
    (row,) = revisit.compared(PAPER, record(0.1, 0.02), again)
    assert (row.again, row.agrees, row.estimate, row.inside) == ("premise not met", False, None, None)
    again = replace(again, verdicts=(Verdict("c", "out of scale", reason="too large"),))
    assert revisit.compared(PAPER, record(0.1, 0.02), again) == []


def test_only_what_is_recorded_is_replicated_and_with_new_seeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(revisit, "recorded", lambda paper: None)
    with pytest.raises(UserError, match="no record"):
        revisit.replicate(PAPER)
    monkeypatch.setattr(revisit, "recorded", lambda paper: record(0.1, 0.02))
    monkeypatch.setattr(revisit, "read_json_lines", lambda path: [{"seed": 40}])
    for used in (1, 40):
        with pytest.raises(UserError, match=f"Seed {used} was used before"):
            revisit.replicate(PAPER, seeds=[used])


def test_samples_of_any_shape_are_lines() -> None:
    rows = [{"prompt": "a\nb", "output": "c"}]
    assert revisit.flat(rows) == ["prompt: a b, output: c"]
    assert revisit.flat({"ne": ["1", "3"], "fa": ["2", "4"]}) == ["1", "2", "3", "4"]
    assert revisit.flat(None) == []
    assert len(revisit.flat(["x" * 999])[0]) == 300


@pytest.mark.parametrize(
    ("changes", "estimate", "expected"),
    [
        ({}, 0.1, 0.1),
        ({"size": 0.08}, 0.1, 0.02),
        ({"better": "lower"}, -0.1, 0.1),
        ({"keeps": True, "size": 0.05}, -0.02, 0.03),
        ({"better": "equal", "size": 0.05}, 0.03, 0.02),
    ],
)
def test_the_bound_that_decides(changes: dict[str, Any], estimate: float, expected: float) -> None:
    assert distance(replace(CLAIM, **changes), estimate) == pytest.approx(expected)


def test_power_tells_seeds_that_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    wide, narrow = record(0.03, 0.1).measurements, record(0.1, 0.01).measurements
    found = forecast(CLAIM, compare(CLAIM, "old", narrow))
    assert found.half_width is not None
    assert found.half_width < found.effect
    assert found.seeds == 2
    left_open = forecast(CLAIM, compare(CLAIM, "old", narrow), undecided=True)
    assert left_open.seeds == 4, "three have not decided, for whatever reason"
    unsure = forecast(CLAIM, compare(CLAIM, "old", wide))
    assert unsure.half_width is not None
    assert unsure.half_width > unsure.effect
    assert unsure.seeds is None or unsure.seeds > 3 or (unsure.units or 0) > len(LANGUAGES)
    for noise in (0.02, 0.04, 0.06, 0.08):  # what three seeds have left open, three seeds are not said to decide
        left = compare(CLAIM, "old", record(0.05, noise).measurements)
        found = forecast(CLAIM, left)
        if left.interval.low < 0 and found.seeds and found.units == len(LANGUAGES):
            assert found.seeds > 3
    power.print_power(PAPER, narrow)
    assert "2 seeds would decide" in " ".join(capsys.readouterr().out.split())
