"""The rules of evidence, checked on every card and every record."""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from core.cost.launch import launch_markdown
from core.experiment import paper as cards
from core.experiment.config import to_dict, with_variant
from core.experiment.paper import Claim
from core.experiment.report import generated, judged
from core.experiment.results import TRIVIAL, Record, in_place, is_identity, judge, judge_all, recorded, records
from core.experiment.run import ROOT
from core.files import read_json

SLUGS = cards.slugs()

every_paper = pytest.mark.parametrize("slug", SLUGS)


@cache
def record_of(slug: str) -> Record:
    record = recorded(cards.find(slug))
    if record is None:
        pytest.skip("not recorded yet")
    return record


@every_paper
def test_the_card_is_coherent(slug: str) -> None:
    paper = cards.find(slug)
    settings = importlib.import_module(f"papers.{slug}.config")
    assert paper.slug == slug
    assert re.fullmatch(r"\d{4}\.\d{4,5}", paper.arxiv)
    assert len({check.id for check in paper.judged}) == len(paper.judged)
    assert paper.claims
    assert len(paper.seeds) >= 3
    assert set(paper.variants) <= set(settings.VARIANTS)
    premises = {premise.id for premise in paper.premises}
    for check in paper.judged:
        assert check.statement
        scaled_out = isinstance(check, Claim) and check.out_of_scale
        assert scaled_out or (check.metric and check.treatment), check.id
        assert check.better != "equal" or (check.size > 0 and not check.keeps), f"{check.id}: equal within what?"
        assert not check.keeps or check.size > 0, f"{check.id}: say which loss is allowed"
        assert check.size >= 0 <= check.smallest, check.id
        assert set(check.premises) <= premises, check.id
        assert all(re.fullmatch(r"[a-z ]+", level) for level in check.unit.split("/")), check.unit
    for claim in paper.claims:
        assert claim.reported, claim.id


@every_paper
def test_the_effect_can_be_broken_on_purpose(slug: str) -> None:
    assert any(claim.null for claim in cards.find(slug).claims), "no claim has a null arm"


@every_paper
def test_a_claim_says_when_an_effect_is_absent(slug: str) -> None:
    for check in cards.find(slug).judged:
        scaled_out = isinstance(check, Claim) and check.out_of_scale
        assert scaled_out or check.keeps or check.size > 0 or check.smallest > 0, check.id


@every_paper
def test_arms_differ_at_every_preset(slug: str) -> None:
    """Nor does any other pair of variants resolve to the same configuration."""
    settings = importlib.import_module(f"papers.{slug}.config")
    for name, preset in settings.PRESETS.items():
        resolved = {variant: to_dict(with_variant(preset, settings.VARIANTS, variant)) for variant in settings.VARIANTS}
        for one, other in itertools.combinations(resolved, 2):
            assert resolved[one] != resolved[other], f"{name}: {one} and {other} are the same configuration"


@every_paper
def test_verdicts_follow_from_the_measurements(slug: str) -> None:
    """At every scale that is recorded."""
    paper = cards.find(slug)
    for record in records(paper):
        assert set(record.measurements) == set(paper.variants)
        assert [verdict.claim for verdict in record.verdicts] == [check.id for check in paper.judged]
        for stored, again in zip(record.verdicts, judge_all(paper, record.measurements), strict=True):
            assert again.outcome == stored.outcome, stored.claim
            assert again.difference == pytest.approx(stored.difference), stored.claim
            assert again.low == pytest.approx(stored.low), stored.claim


@every_paper
def test_a_replication_is_one_of_this_record(slug: str) -> None:
    found = read_json(cards.find(slug).folder / "results" / "replication.json")
    outcomes = {verdict.claim: verdict.outcome for verdict in record_of(slug).verdicts}
    for row in (found or {"rows": []})["rows"]:
        assert row["recorded"] == outcomes[row["claim"]], f"{row['claim']}: replicate the new record"
        assert row["agrees"] == (row["again"] == row["recorded"]), row["claim"]
    assert not found or not {*found["seeds"]} & {*record_of(slug).seeds}


@every_paper
def test_a_record_names_each_cell_and_its_configuration(slug: str) -> None:
    for record in records(cards.find(slug)):
        cells = {f"{variant}/{seed}" for variant, found in record.measurements.items() for seed in found}
        assert cells == {f"{variant}/{seed}" for variant in record.measurements for seed in record.seeds}
        assert set(record.keys) == cells


@every_paper
def test_no_claim_is_true_by_construction(slug: str) -> None:
    record = record_of(slug)
    for check in cards.find(slug).judged:
        assert not is_identity(check, record.measurements), f"{check.id} is the same in every seed and unit: a test"


@every_paper
def test_no_claim_comes_out_with_the_null_in_its_place(slug: str) -> None:
    record = record_of(slug)
    for check, verdict in judged(cards.find(slug), record):
        if check.null and verdict.outcome != "premise not met":
            outcome = judge(in_place(check), record.measurements).outcome
            assert outcome not in ("reproduced", "smaller than claimed"), f"{check.id}: {check.null} passes as well"


@every_paper
def test_solvers_that_know_nothing_stand_beside_the_numbers(slug: str) -> None:
    metrics = {
        name
        for by_seed in record_of(slug).measurements.values()
        for measurement in by_seed.values()
        for name in measurement.metrics
    }
    assert any(name.startswith(TRIVIAL) for name in metrics)


@every_paper
def test_the_equations_point_at_code_that_runs(slug: str, smoke: Callable[[str], Any]) -> None:
    page = (ROOT / "papers" / slug / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## Equations\n(.*?)^## ", page, re.DOTALL | re.MULTILINE)
    assert section
    pointers = set(re.findall(r"`(\w+\.py::\w+)`", section[1]))
    assert pointers - smoke(slug).called == set(), "neither training nor evaluation reaches them"


@every_paper
def test_the_page_is_in_step_with_the_record(slug: str) -> None:
    paper = cards.find(slug)
    page = (paper.folder / "README.md").read_text(encoding="utf-8")
    record = recorded(paper)
    for name in ("effect", "results"):
        match = re.search(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", page, re.DOTALL)
        assert match, f"the page lacks the markers of {name}"
        if record is not None:
            assert match[1] == generated(paper, record)[name] + "\n"


@every_paper
def test_the_page_starts_the_real_run_as_the_plan_says(slug: str) -> None:
    page = (ROOT / "papers" / slug / "README.md").read_text(encoding="utf-8")
    match = re.search(r"<!-- launch:begin -->\n(.*?)\n<!-- launch:end -->", page, re.DOTALL)
    assert match
    assert match[1] == launch_markdown(cards.find(slug)), f"run `papers plan {slug} --record`"


@every_paper
def test_the_page_opens_with_the_effect(slug: str) -> None:
    page = (ROOT / "papers" / slug / "README.md").read_text(encoding="utf-8")
    assert re.match(r"# .+\n\n<!-- effect:begin -->\n", page)
