"""What came out: the record of a reproduction and the verdicts that follow from it.

A record holds every measurement (variant x seed), the environment, and one verdict per claim. Verdicts are computed,
never written: the paired difference between treatment and control, its 95 % interval, and the rule of
:func:`core.metrics.stats.verdict`. `papers/<slug>/results/tiny.json` is a record; figure, page and scoreboard are
drawn from it and from nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UserError
from core.experiment.paper import Claim, Paper
from core.experiment.run import Measurement
from core.files import read_json, write_json

if TYPE_CHECKING:
    import numpy as np

    from core.metrics.stats import Interval

Outcome = Literal["reproduced", "not reproduced", "contradicted", "out of scale"]
Cells = Mapping[str, Mapping[int, Measurement]]


@dataclass(frozen=True)
class Verdict:
    """What became of one claim.

    Attributes:
        claim: Id of the claim.
        outcome: `reproduced`, `not reproduced`, `contradicted` or `out of scale`.
        treatment: Value of the treatment (mean over seeds, or the correlation).
        control: Value of the control that decides: with several controls, the one with the least favourable outcome.
        control_name: Its variant, or the number as text.
        difference: Treatment minus control.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
        method: How the interval was computed.
        seeds: Number of seeds.
        units: Number of units (languages, items) a seed; 1 when the metric is a single number.
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
    seeds: int = 0
    units: int = 0


@dataclass(frozen=True)
class Record:
    """One reproduction of one paper.

    Attributes:
        slug: The paper.
        preset: The scale (`tiny`).
        seeds: The seeds that were run.
        measurements: Measurement by variant and seed.
        seconds: Wall time of training plus evaluation by variant, summed over seeds.
        verdicts: One per claim, in the order of the card.
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
        """Wall time of the whole grid in minutes."""
        return sum(self.seconds.values()) / 60

    def mean(self, variant: str, metric: str) -> float:
        """A metric of a variant, averaged over seeds."""
        values = [measurement.metrics[metric] for measurement in self.measurements[variant].values()]
        return sum(values) / len(values)

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


def judge(claim: Claim, cells: Cells) -> Verdict:
    """The verdict on a claim, from measurements of the variants that it names.

    With several controls the claim must hold against each, and the least favourable comparison decides.

    Raises:
        UserError: If a variant does not report the claim's metric.
    """
    if claim.out_of_scale:
        return Verdict(claim.id, "out of scale")
    rank = {"contradicted": 0, "not reproduced": 1, "reproduced": 2}
    direction = -1 if claim.better == "lower" else 1
    verdicts = [_compare(claim, control, cells) for control in claim.controls]
    return min(verdicts, key=lambda verdict: (rank[verdict.outcome], direction * (verdict.difference or 0.0)))


def _compare(claim: Claim, control: str | float, cells: Cells) -> Verdict:
    """The verdict against one control."""
    from core.metrics import stats

    compare = _correlations if claim.correlated_with else _means
    interval, value, other, units = compare(claim, control, cells)
    return Verdict(
        claim=claim.id,
        outcome=stats.verdict(interval, better=claim.better, margin=claim.margin),
        treatment=value,
        control=other,
        control_name=control if isinstance(control, str) else f"{control:g}",
        difference=value - other,
        low=interval.low,
        high=interval.high,
        method=interval.method,
        seeds=len(cells[claim.treatment]),
        units=units,
    )


def _means(claim: Claim, control: str | float, cells: Cells) -> tuple[Interval, float, float, int]:
    """Interval of the difference of two means, the two means, and the number of units."""
    from core.metrics import stats

    treatment = _matrix(cells[claim.treatment], claim.metric)
    if not isinstance(control, str):
        interval = stats.difference_interval(treatment[0], float(control))
        return interval, float(treatment[0].mean()), float(control), treatment[0].shape[1]
    other = _matrix(cells[control], claim.control_metric or claim.metric)
    if claim.paired:
        common = set(other[1])
        units = [unit for unit in treatment[1] if unit in common]
        left, right = _aligned(treatment, units), _aligned(other, units)
    else:
        left, right = treatment[0], other[0]
    interval = stats.difference_interval(left, right, paired=claim.paired)
    return interval, float(left.mean()), float(right.mean()), left.shape[1]


def _correlations(claim: Claim, control: str | float, cells: Cells) -> tuple[Interval, float, float, int]:
    """Interval of the difference of two correlations over units, the two correlations, and the number of units."""
    from core.metrics import stats

    assert claim.correlated_with is not None
    pairs = [(_matrix(cells[claim.treatment], name)) for name in (claim.metric, claim.correlated_with)]
    if isinstance(control, str):
        names = (claim.control_metric or claim.metric, claim.correlated_with)
        pairs += [_matrix(cells[control], name) for name in names]
    units = sorted(set.intersection(*(set(names) for _, names in pairs)))
    x, y, *against = (_aligned(pair, units) for pair in pairs)
    value = stats.mean_correlation(x, y)
    if isinstance(control, str):
        other = stats.mean_correlation(*against)
        return stats.correlation_difference_interval((x, y), (against[0], against[1])), value, other, len(units)
    return stats.correlation_difference_interval((x, y), float(control)), value, float(control), len(units)


def _matrix(by_seed: Mapping[int, Measurement], metric: str) -> tuple[np.ndarray, list[str]]:
    """A metric as an array `[seeds, units]` over the units that every seed has, with the names of the units."""
    import numpy as np

    seeds = list(by_seed.values())
    for measurement in seeds:
        if metric not in measurement.metrics and metric not in measurement.units:
            known = ", ".join(sorted({*measurement.metrics, *measurement.units}))
            raise UserError(f"The evaluation reports no metric {metric!r}: it reports {known}.")
    if all(metric in measurement.units for measurement in seeds):
        common = set.intersection(*(set(measurement.units[metric]) for measurement in seeds))
        names = [unit for unit in seeds[0].units[metric] if unit in common]
        return np.array([[m.units[metric][unit] for unit in names] for m in seeds], dtype=float), names
    return np.array([[m.metrics[metric]] for m in seeds], dtype=float), ["all"]


def _aligned(matrix: tuple[np.ndarray, list[str]], units: list[str]) -> np.ndarray:
    values, names = matrix
    column = {name: position for position, name in enumerate(names)}
    return values[:, [column[unit] for unit in units]]
