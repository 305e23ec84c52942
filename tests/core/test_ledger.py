"""The ledger of settings tried on development data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from core.experiment import ledger
from core.experiment.run import Measurement
from core.files import read_json_lines


@dataclass(frozen=True)
class Training:
    steps: int = 300


@dataclass(frozen=True)
class Config:
    seed: int = 0
    split: Literal["test", "dev"] = "test"
    method: str = "new"
    training: Training = field(default_factory=Training)


TINY = Config()
GRID = SimpleNamespace(
    PRESETS={"smoke": Config(training=Training(3)), "tiny": TINY},
    VARIANTS={"new": {"method": "new"}, "old": {"method": "old"}},
)


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    card = SimpleNamespace(slug="sample", folder=tmp_path)
    monkeypatch.setattr(ledger.importlib, "import_module", lambda name: GRID)
    monkeypatch.setattr(ledger, "find", lambda slug: card)
    return card


def test_a_run_on_development_data_notes_arm_setting_and_numbers(paper: Any) -> None:
    tried = replace(TINY, split="dev", seed=7, method="old", training=Training(200))
    ledger.note("sample", tried, Measurement({"accuracy": 0.25}))
    (line,) = read_json_lines(ledger.path(paper))
    assert line["variant"] == "old"
    assert line["settings"] == {"training.steps": 200}
    assert (line["seed"], line["metrics"]) == (7, {"accuracy": 0.25})


def test_runs_on_the_test_and_smoke_runs_are_not_noted(paper: Any) -> None:
    ledger.note("sample", TINY, Measurement({}))
    ledger.note("sample", replace(GRID.PRESETS["smoke"], split="dev"), Measurement({}))
    assert ledger.counts(paper) == {}


def test_settings_are_counted_once_an_arm_whatever_the_seed(paper: Any) -> None:
    for method, steps, seed in (("new", 300, 0), ("new", 300, 1), ("new", 200, 0), ("old", 300, 0)):
        tried = Config(split="dev", seed=seed, method=method, training=Training(steps))
        ledger.note("sample", tried, Measurement({"accuracy": 0.5}))
    assert ledger.counts(paper) == {"new": 2, "old": 1}
    # The same difference from the preset with another outcome: the code has changed since.
    ledger.note("sample", Config(split="dev", seed=1, method="new", training=Training(200)), Measurement({}))
    ledger.note("sample", Config(split="dev", seed=0, method="new", training=Training(200)), Measurement({}))
    assert ledger.counts(paper) == {"new": 3, "old": 1}


def test_the_same_difference_from_another_preset_is_another_setting(
    paper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.note("sample", replace(TINY, split="dev", seed=1), Measurement({"accuracy": 0.5}))
    monkeypatch.setitem(GRID.PRESETS, "tiny", Config(training=Training(400)))
    ledger.note("sample", replace(GRID.PRESETS["tiny"], split="dev", seed=2), Measurement({"accuracy": 0.5}))
    assert [line["settings"] for line in read_json_lines(ledger.path(paper))] == [{}, {}]
    assert ledger.counts(paper) == {"new": 2}
