"""Grade the same answers in every language condition, and compare the conditions.

python -m papers.bilingual_education.eval tiny --variant bilingual
python -m papers.bilingual_education.eval paper --variant bilingual --data csw_paper_data
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.bilingual_education.config import Config
from papers.bilingual_education.data import Conditions

if TYPE_CHECKING:
    from papers.bilingual_education.graders import EncoderGrader, LanguageGrader
    from papers.bilingual_education.method import Answer, Calibration
    from papers.bilingual_education.miniature import Statement

Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """The miniature's facts, its written questions and its mixed sentences; or the official final test."""
    from papers.bilingual_education.graders import load_grader
    from papers.bilingual_education.train import options, vectors

    how = {"embed": vectors(config, run)} if config.grader == "encoder" else options(config)
    grader = load_grader(run.artifact, **how)
    return official(config, grader) if config.data else tiny(config, grader)


class Graded(NamedTuple):
    """Grades, and margins unless the grades are written."""

    grades: list[str]
    margins: Any


def grade(grader: EncoderGrader | LanguageGrader, answers: Sequence[Answer], config: Config) -> Graded:
    """Grade answers as the configuration says."""
    if config.score == "generate":
        return Graded(grader.write_grades(answers), None)  # type: ignore[union-attr]
    margins = grader.score(answers)
    return Graded(grader.grades(margins), margins)


# --- what both have ---------------------------------------------------------------------------------------------------


def measured(tests: Conditions, graded: Mapping[str, Graded], calibration: Calibration) -> Measurement:
    """Every condition's numbers, how far apart they are, and units: an answer each, named by what it is about."""
    from papers.bilingual_education import method
    from papers.bilingual_education.graders import accepted

    metrics: dict[str, float] = {}
    units: Units = {}
    table: dict[str, dict[str, float]] = {}
    right: dict[str, list[bool]] = {}
    for name, answers in tests.items():
        gold = [one.grade for one in answers]
        given, margins = graded[name]
        found = method.condition(gold, given, margins)
        metrics |= {f"{key}_{name}": value for key, value in found._asdict().items() if key != "answers"}
        right[name] = [a == b for a, b in zip(gold, given, strict=True)]
        units[f"accuracy_{name}"] = {one.id: float(r) for one, r in zip(answers, right[name], strict=True)}
        for key, grade in (("rejected", method.ACCEPTABLE), ("accepted", method.UNACCEPTABLE)):
            units[f"{key}_{name}"] = {
                one.id: 1.0 - r for one, r in zip(answers, right[name], strict=True) if one.grade == grade
            }
        if margins is not None:
            metrics[f"ece_{name}"] = method.calibration_error(calibration.probabilities(margins), accepted(answers))
    accuracies = {name: metrics[f"accuracy_{name}"] for name in tests}
    metrics |= {"gap": method.gap(accuracies), "worst": min(accuracies.values()), "mean": fmean(accuracies.values())}
    for name in [one for one in tests if one != "sp" and "sp" in tests]:
        test = method.disparity(right[name], right["sp"])
        table[f"{name}-sp"] = {
            f"only {name} right": test.first_only, "only sp right": test.second_only, "p (McNemar)": test.test.p,
            "difference": test.difference.estimate, "low": test.difference.low, "high": test.difference.high,
        }  # fmt: skip
    return Measurement({name: float(value) for name, value in metrics.items()}, units, {"disparities": table})


# --- the miniature ----------------------------------------------------------------------------------------------------


def tiny(config: Config, grader: EncoderGrader | LanguageGrader) -> Measurement:
    """Facts, and which of a fact's two answers is liked better; written questions, and sentences mixed by word."""
    from papers.bilingual_education import miniature

    drawn = miniature.drawn(config)
    tests = miniature.conditions(drawn["test"])
    graded = {name: grade(grader, answers, config) for name, answers in tests.items()}
    found = measured(tests, graded, grader.calibration)
    metrics, units = dict(found.metrics), dict(found.units)
    for name, answers in tests.items():
        margins = graded[name].margins
        better = {one.id: float(a > b) for one, a, b in zip(answers[::2], margins[::2], margins[1::2], strict=True)}
        units[f"ranked_{name}"], metrics[f"ranked_{name}"] = better, fmean(better.values())
    if config.extras:
        own, numbers = beyond(config, grader, drawn["test"])
        units |= own
        metrics |= {name: fmean(values.values()) for name, values in own.items()} | numbers
    for name, nearest in miniature.neighbours(drawn["learn"], drawn["test"]).items():
        same = {key: units[f"accuracy_{name}"][key] for key in nearest}
        for kind, values in (("neighbour", nearest), ("no_city", same)):
            units[f"{kind}_{name}"], metrics[f"{kind}_{name}"] = values, fmean(values.values())
    metrics["trivial_neighbour"] = fmean(metrics[f"neighbour_{name}"] for name in tests)
    metrics |= miniature.solvers(drawn["learn"], drawn["test"], config.prior)
    samples = [
        {"asked": one.question, "said": one.essay, "right": one.grade, "graded": said}
        for name, answers in tests.items()
        for one, said in zip(answers[:2], graded[name].grades, strict=False)
    ]
    return Measurement(metrics, units, {**found.details, "samples": samples})


def beyond(
    config: Config, grader: EncoderGrader | LanguageGrader, tested: Sequence[Statement]
) -> tuple[Units, dict[str, float]]:
    """Units of the written questions in all conditions, and of English answers in Spanish words; which share is.

    These English answers stand beside, as they are (`unmixed`) and said in Spanish (`translated`).
    """
    from papers.bilingual_education import miniature

    def right(answers: Sequence[Answer], name: str = "") -> dict[str, float]:
        given = grade(grader, answers, config).grades
        return {one.id + name: float(one.grade == said) for one, said in zip(answers, given, strict=True)}

    units: Units = {"science": {}}
    for name, every in miniature.science().items():
        units["science"] |= right(every[: 2 * config.asked or None], f" {name}")
    mixed = miniature.mixed(tested)
    units["mixed"] = right([answer for answer, _ in mixed])
    for name, code in (("unmixed", "en"), ("translated", "es")):
        units[name] = right([own for one in tested if (own := one.answer(code)).id in units["mixed"]])
    return units, {"mixed_rate": fmean(text.rate for _, text in mixed)}


# --- the official data ------------------------------------------------------------------------------------------------


def official(config: Config, grader: EncoderGrader | LanguageGrader) -> Measurement:
    """The final test without what also stands in the training data, and how far leaving it out moves the scores."""
    from papers.bilingual_education import data

    dev = config.split == "dev"
    tests = data.official(config.data, "dev", ("en", "sp")) if dev else data.official(config.data, "final")
    graded = {name: grade(grader, answers, config) for name, answers in tests.items()}
    every = measured(tests, graded, grader.calibration)
    if dev:
        return every
    train = data.official(config.data, "train")
    known = [data.leaked(tests[name], train[name]) for name in tests]
    # A row that has leaked in one condition is left out in all, so that conditions stay the same answers.
    leaks = [any(row) for row in zip(*known, strict=True)]
    kept, given = Conditions(), dict[str, Graded]()
    for name, answers in tests.items():
        places = [n for n, leak in enumerate(leaks) if not leak]
        kept[name] = [answers[n] for n in places]
        grades, margins = graded[name]
        given[name] = Graded([grades[n] for n in places], None if margins is None else margins[places])
    found = measured(kept, given, grader.calibration)
    moved = {
        f"accuracy_{name}_with_leaks": every.metrics[f"accuracy_{name}"] for name in tests
    } | {"leaks": float(sum(leaks))}  # fmt: skip
    lengths = {f"trivial_length_{name}": by_length(answers) for name, answers in kept.items()}
    return Measurement({**found.metrics, **moved, **lengths}, found.units, found.details)


def by_length(answers: Sequence[Answer]) -> float:
    """Accuracy of accepting the half with more words: acceptable answers are longer, so this is no chance."""
    from papers.bilingual_education.method import ACCEPTABLE

    words = [len(one.essay.split()) for one in answers]
    return fmean((n > np.median(words)) == (one.grade == ACCEPTABLE) for n, one in zip(words, answers, strict=True))


if __name__ == "__main__":
    entrypoint(evaluate)
