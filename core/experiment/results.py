"""What came out: the record of a reproduction and the outcomes that follow from it.

A record holds every measurement (variant x seed), the environment, and one verdict per claim and check. Verdicts are
computed, never written: the difference between treatment and control, its 95 % interval over the units that the claim
draws, and the rule of :func:`core.metrics.stats.outcome`. `papers/<slug>/results/tiny.json` is a record; figure, page
and scoreboard are drawn from it and from nothing else.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UserError
from core.experiment.forecast import forecast
from core.experiment.paper import Check, Claim, Paper, Premise
from core.experiment.run import Measurement
from core.files import read_json, write_json

if TYPE_CHECKING:
    from core.metrics.stats import Comparison

Outcome = Literal[
    "reproduced",
    "smaller than claimed",
    "absent",
    "undecided",
    "contradicted",
    "premise not met",
    "out of scale",
]
# From good to bad: with several controls the least favourable decides.
OUTCOMES: tuple[Outcome, ...] = (
    "reproduced",
    "smaller than claimed",
    "undecided",
    "absent",
    "contradicted",
    "premise not met",
    "out of scale",
)
Cells = Mapping[str, Mapping[int, Measurement]]
Values = dict[int, dict[str, float]]
# Metrics whose name begins so are scores of solvers that know nothing: figures and tables draw them as lines.
TRIVIAL = "trivial_"


@dataclass(frozen=True)
class Verdict:
    """What became of one claim or check.

    Attributes:
        claim: Its id.
        outcome: One of `OUTCOMES`.
        treatment: Value of the treatment (mean over drawn units and seeds, or the correlation).
        control: Value of the control that decides: with several controls, the one with the least favourable outcome.
        control_name: Its variant, or the number as text.
        difference: Treatment minus control.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
        method: How the interval was computed.
        sample: The effective sample: seeds, units that were drawn, leaves, their overlap between seeds.
        needed: For an undecided one, how many seeds or units would decide.
        null: Outcome with the null arm in the treatment's place.
        reason: Why it is out of scale, or which premise is not met.
    """

    claim: str
    outcome: Outcome
    treatment: float | None = None
    control: float | None = None
    control_name: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    sample: dict[str, Any] = field(default_factory=dict)
    needed: str = ""
    null: Outcome | None = None
    reason: str = ""


@dataclass(frozen=True)
class Record:
    """One reproduction of one paper.

    Attributes:
        slug: The paper.
        preset: The scale (`tiny`).
        seeds: The seeds that were run.
        measurements: Measurement by variant and seed.
        seconds: Wall time of training plus evaluation by variant, summed over seeds.
        verdicts: One per claim and check, in the order of the card.
        environment: Versions, hardware, commit, command.
        keys: Run key by `variant/seed`: configuration, code and versions that the numbers belong to.
    """

    slug: str
    preset: str
    seeds: tuple[int, ...]
    measurements: dict[str, dict[int, Measurement]]
    seconds: dict[str, float] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def minutes(self) -> float:
        """Wall time of the whole grid in minutes, its cells side by side as they were when it was recorded."""
        return sum(self.seconds.values()) / 60 / self.environment.get("side_by_side", 1)

    def mean(self, variant: str, metric: str) -> float:
        """A metric of a variant, averaged over seeds."""
        values = [measurement.metrics[metric] for measurement in self.measurements[variant].values()]
        return sum(values) / len(values)

    def trivial(self, variant: str | None = None, without: Collection[str] = ()) -> dict[str, float]:
        """Scores of the trivial solvers by name, averaged over seeds and over the variants that report them.

        Null arms, whose items may be broken on purpose, are named in `without`: a solver is read off them only where no
        other variant reports it.
        """
        arms = [variant] if variant else list(self.measurements)
        return self._solvers(arms) | self._solvers([arm for arm in arms if arm not in without])

    def _solvers(self, arms: Collection[str]) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for metrics in (cell.metrics for arm in arms for cell in self.measurements.get(arm, {}).values()):
            for name in (name for name in metrics if name.startswith(TRIVIAL)):
                found.setdefault(name.removeprefix(TRIVIAL), []).append(metrics[name])
        return {solver: fmean(values) for solver, values in found.items()}

    def judged(self, paper: Paper) -> Record:
        """The same measurements under the present card: outcomes follow from it and are never kept."""
        return replace(self, verdicts=judge_all(paper, self.measurements))

    def save(self, path: Path) -> None:
        """Write the record as JSON, whole or not at all. Names of units, alike in most cells, are written once."""
        data = asdict(replace(self, measurements={}))
        lists: dict[tuple[str, ...], int] = {}
        data["measurements"] = {
            variant: {str(seed): _packed(measurement, lists) for seed, measurement in by_seed.items()}
            for variant, by_seed in self.measurements.items()
        }
        data["unit_names"] = [list(names) for names in lists]
        write_json(path, data)

    @staticmethod
    def load(path: Path) -> Record:
        """Read a record.

        Raises:
            UserError: If there is none, or it is not a record.
        """
        data = read_json(path)
        if not isinstance(data, dict) or not {"measurements", "unit_names"} <= set(data):
            raise UserError(f"{path} is no record of results: run `papers reproduce <slug> --record` to make one.")
        return Record(
            slug=data["slug"],
            preset=data["preset"],
            seeds=tuple(data["seeds"]),
            measurements={
                variant: {int(seed): _unpacked(cell, data["unit_names"]) for seed, cell in by_seed.items()}
                for variant, by_seed in data["measurements"].items()
            },
            seconds=data["seconds"],
            verdicts=tuple(Verdict(**verdict) for verdict in data["verdicts"]),
            environment=data["environment"],
            keys=data.get("keys", {}),
        )


def _packed(measurement: Measurement, lists: dict[tuple[str, ...], int]) -> dict[str, Any]:
    """A cell as JSON whose units are values beside the number of their list of names; new lists are added."""
    cell = measurement.to_json()
    for metric, values in cell["units"].items():
        number = lists.setdefault(tuple(values), len(lists))
        whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values.values()]
        cell["units"][metric] = {"names": number, "values": whole}
    return cell


def _unpacked(cell: Mapping[str, Any], lists: list[list[str]]) -> Measurement:
    units = {
        metric: dict(zip(lists[entry["names"]], entry["values"], strict=True))
        for metric, entry in cell["units"].items()
    }
    return Measurement.from_json({**cell, "units": units})


def recorded(paper: Paper, preset: str = "tiny") -> Record | None:
    """The committed record of a paper, or None when nothing has been recorded yet."""
    path = paper.folder / "results" / f"{preset}.json"
    return Record.load(path) if path.exists() else None


def records(paper: Paper) -> list[Record]:
    """What is recorded of a paper, the tiny scale first, then others in the order of its presets."""
    presets = importlib.import_module(f"papers.{paper.slug}.config").PRESETS
    return [found for preset in ("tiny", *(name for name in presets if name != "tiny"))
            if (found := recorded(paper, preset))]  # fmt: skip


def judge_all(paper: Paper, cells: Cells) -> tuple[Verdict, ...]:
    """The verdicts on all claims and checks of a paper, in the order of the card."""
    broken = {premise.id: reason for premise in paper.premises if (reason := unmet(premise, cells))}
    return tuple(judge(check, cells, broken) for check in paper.judged)


def unmet(premise: Premise, cells: Cells) -> str | None:
    """Why a premise does not hold (a sentence), or None where it does in every seed."""
    values = [measurement.metrics[premise.metric] for measurement in cells[premise.variant].values()]
    lowest = min(values, key=lambda value: -math.inf if math.isnan(value) else value)
    if lowest >= premise.at_least:
        return None
    return f"{premise.statement} ({premise.metric} falls to {lowest:.3f}, needed are {premise.at_least:g})"


def judge(check: Check, cells: Cells, broken: Mapping[str, str] | None = None) -> Verdict:
    """The verdict on a claim or check, from measurements of the variants that it names.

    With several controls it must hold against each, and the least favourable comparison decides.

    Args:
        check: The claim or check.
        cells: Measurements by variant and seed.
        broken: Premises that are not met, with the reason.

    Raises:
        UserError: If a variant does not report the metric.
    """
    if isinstance(check, Claim) and check.out_of_scale:
        return Verdict(check.id, "out of scale", reason=check.out_of_scale)
    for premise in check.premises:
        if broken and premise in broken:
            return Verdict(check.id, "premise not met", reason=broken[premise])
    worst = max((_verdict(check, control, cells) for control in check.controls), key=lambda v: _rank(check, v))
    if check.null:
        worst = replace(worst, null=judge(in_place(check), cells).outcome)
    return worst


def in_place(check: Check) -> Check:
    """The same statement about the null arm: what must not come out.

    Where two metrics of one arm are compared, both are the null arm's.
    """
    assert check.null is not None
    within = check.control == check.treatment
    return replace(check, treatment=check.null, control=check.null if within else check.control, null=None)


def _rank(check: Check, verdict: Verdict) -> tuple[int, float]:
    difference = verdict.difference or 0.0
    against = abs(difference) if check.better == "equal" else difference if check.better == "lower" else -difference
    return OUTCOMES.index(verdict.outcome), against


def _verdict(check: Check, control: str | float, cells: Cells) -> Verdict:
    """The verdict against one control."""
    from core.metrics import stats

    compared = compare(check, control, cells)
    interval = compared.interval
    outcome = stats.outcome(
        interval, m=check.size, s=check.smallest, noninferiority=check.keeps, direction=check.better
    )
    return Verdict(
        claim=check.id,
        outcome=outcome,
        treatment=compared.treatment,
        control=compared.control,
        control_name=control if isinstance(control, str) else f"{control:g}",
        difference=interval.estimate,
        low=interval.low,
        high=interval.high,
        method=interval.method,
        sample={name: round(value, 3) for name, value in asdict(compared.sample).items()},
        needed=forecast(check, compared, undecided=True).phrase if outcome == "undecided" else "",
    )


def compare(check: Check, control: str | float, cells: Cells) -> Comparison:
    """Treatment against one control: the two values, the interval of their difference, the effective sample."""
    from core.metrics import stats

    if check.correlated_with:
        return _correlations(check, control, cells)
    treatment = _values(cells[check.treatment], check.metric)
    other: Values | float = (
        _values(cells[control], check.control_metric or check.metric) if isinstance(control, str) else float(control)
    )
    return stats.compare(treatment, other, depth=check.depth, paired=check.paired)


def differences(check: Check, control: str | float, cells: Cells) -> list[float]:
    """The paired differences of all seeds and leaves, or of seeds where the units are other objects."""
    treatment = _values(cells[check.treatment], check.metric)
    if not isinstance(control, str):
        return [value - control for by_unit in treatment.values() for value in by_unit.values()]
    other = _values(cells[control], check.control_metric or check.metric)
    return [
        value - other[seed][unit]
        for seed, by_unit in treatment.items()
        for unit, value in by_unit.items()
        if unit in other.get(seed, {})
    ]


def is_identity(check: Check, cells: Cells) -> bool:
    """Whether the difference is the same to the last digit in every seed and unit: true by construction, a test.

    A single value is no identity, nor is a correlation.
    """
    if (isinstance(check, Claim) and check.out_of_scale) or check.correlated_with:
        return False
    for control in check.controls:
        found = differences(check, control, cells)
        if len(found) > 1 and len(set(found)) == 1:
            return True
    return False


def _values(by_seed: Mapping[int, Measurement], metric: str) -> Values:
    """A metric by seed and unit; where it has no units, the one number of each seed."""
    for measurement in by_seed.values():
        if metric not in measurement.metrics and metric not in measurement.units:
            known = ", ".join(sorted({*measurement.metrics, *measurement.units}))
            raise UserError(f"The evaluation reports no metric {metric!r}: it reports {known}.")
    if all(metric in measurement.units for measurement in by_seed.values()):
        return {seed: dict(measurement.units[metric]) for seed, measurement in by_seed.items()}
    return {seed: {"all": measurement.metrics[metric]} for seed, measurement in by_seed.items()}


def _correlations(check: Check, control: str | float, cells: Cells) -> Comparison:
    """The difference of two correlations over drawn units, the two correlations, and the sample."""
    from core.metrics import stats

    assert check.correlated_with is not None
    other = check.correlated_with
    x, y = (_values(cells[check.treatment], metric) for metric in (check.metric, other))
    if not isinstance(control, str):
        return stats.compare_correlations((x, y), float(control), depth=check.depth)
    against = [_values(cells[control], metric) for metric in (check.control_metric or check.metric, other)]
    return stats.compare_correlations((x, y), (against[0], against[1]), depth=check.depth)
