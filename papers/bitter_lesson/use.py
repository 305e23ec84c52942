"""Which benchmark should you trust for a language? Ask with your own scores, ratings and votes.

    python -m papers.bitter_lesson.use trust scores.csv --votes votes.csv --out trust
    python -m papers.bitter_lesson.use compare scores.csv --ratings ratings.csv --first cmmlu --second m_mmlu
    python -m papers.bitter_lesson.use ratings votes.csv --out ratings.tsv
    python -m papers.bitter_lesson.use audit records.jsonl --out audit.md

`trust` ranks benchmarks by their agreement with people, between the floor that costs nothing and the ceiling of noisy
ratings; `compare` asks of two of them and may answer that it cannot tell; `collect` and `screen` begin a collection.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from papers.bitter_lesson.data import Column, Ratings, Scores
    from papers.bitter_lesson.method import Battle

ENOUGH = 100  # votes a model, below which its rating is a guess

# --- as a library -------------------------------------------------------------------------------------------------


def baseline_predictors(names: Sequence[str], known: Mapping[str, Column] | None = None) -> dict[str, Column]:
    """What costs nothing to know of a model: its nominal size, whether it is called multilingual, and your columns."""
    from papers.bitter_lesson.data import named_size

    sizes = {name: size for name in names if (size := named_size(name)) is not None}
    called = {name: float("multilingual" in name.lower()) for name in names}
    found = dict(known or {})
    if "size" not in found:
        found["size"] = sizes
    return found | ({"called multilingual": called} if len(set(called.values())) > 1 else {})


def trust(
    scores: Scores, ratings: Ratings, known: Mapping[str, Column] | None = None,
    ceilings: Mapping[str, float] | None = None, draws: int = 10_000, seed: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row a benchmark and language, those that agree most first, with floor and ceiling.

    Args:
        scores: By benchmark and language, a score a model.
        ratings: By language, a rating a model.
        known: Numbers of each model that cost nothing; sizes are read from names.
        ceilings: The rho of a perfect benchmark, by language (:func:`papers.bitter_lesson.method.reliability`).
        draws: Of models, for the intervals.
        seed: Of the draws.

    Raises:
        UserError: No benchmark shares a language and six models with the ratings.
    """
    from core.metrics.stats import spearman
    from papers.bitter_lesson.method import agreement

    rows = []
    for (benchmark, code), column in scores.items():
        names = sorted(column.keys() & ratings.get(code, {}).keys())
        if len(names) < 6 or len({column[name] for name in names}) < 2 or len({ratings[code][n] for n in names}) < 2:
            continue
        found = agreement([column[n] for n in names], [ratings[code][n] for n in names], draws, seed)
        floor, of = -math.inf, ""
        for predictor, values in baseline_predictors(names, known).items():
            common = [name for name in names if name in values]
            if len(common) >= 6 and len({values[name] for name in common}) > 1:
                rho = spearman([values[name] for name in common], [ratings[code][name] for name in common])
                floor, of = max((floor, of), (rho, predictor))
        rows.append({
            "benchmark": f"{benchmark} {code}", "rho": found.rho, "low": found.low, "high": found.high,
            "formula_low": found.formula[0], "formula_high": found.formula[1], "tau": found.tau, "n_models": found.n,
            "floor": floor if of else None, "floor_of": of, "ceiling": (ceilings or {}).get(code),
        })  # fmt: skip
    if not rows:
        raise UserError("No benchmark has a language and six differing models in common with the ratings: "
                        "use the same spelling of models and languages in both files.")  # fmt: skip
    return sorted(rows, key=lambda row: -row["rho"])


def bootstrapped(battles: Sequence[Battle], draws: int, seed: int) -> dict[str, tuple[float, float, float, int]]:
    """Rating, its 95 % interval over drawn votes, and the number of votes, by model."""
    import numpy as np

    from papers.bitter_lesson.method import fit_ratings

    point, rng = fit_ratings(battles), np.random.default_rng(seed)
    several = [
        fit_ratings(battles, rng.multinomial(len(battles), [1 / len(battles)] * len(battles))) for _ in range(draws)
    ]
    ends = {name: np.quantile([found[name] for found in several], (0.025, 0.975)) for name in point}
    times = {name: sum(name in battle[:2] for battle in battles) for name in point}
    return {name: (point[name], float(ends[name][0]), float(ends[name][1]), times[name]) for name in point}


# --- as a command -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Rated:
    scores: tyro.conf.Positional[Path]
    """model, benchmark, language, score (.csv, .tsv, .jsonl), or a folder of lm-eval's results_*.json."""
    ratings: Path | None = None
    """model, language, rating; or model and a column a language."""
    votes: Path | None = None
    """language, first, second, winner (first, second, tie): ratings are fitted to them."""
    draws: Annotated[int, Range(200, 10**6)] = 10_000
    """Of models, for the intervals."""
    seed: Seed = 0
    """Of the draws."""

    def read(self) -> tuple[Scores, Ratings, dict[str, float]]:
        """Scores, ratings, and the ceiling where there are votes."""
        from papers.bitter_lesson import data
        from papers.bitter_lesson.method import fit_ratings, reliability

        if (self.ratings is None) is (self.votes is None):
            raise UserError("Give either --ratings or --votes: what people prefer, by language.")
        scores = data.read_scores(self.scores)
        if self.ratings:
            return scores, data.read_ratings(self.ratings), {}
        votes = data.read_votes(self.votes or "")
        shares = {code: reliability(found, self.seed) for code, found in votes.items() if len(found) > 1}
        ceilings = {code: math.sqrt(share) for code, share in shares.items() if math.isfinite(share)}
        return scores, {code: fit_ratings(found) for code, found in votes.items()}, ceilings


@dataclass(frozen=True, kw_only=True)
class Trust(_Rated):
    """Which benchmark ranks models as people do?"""

    models: Path | None = None
    """model and numbers that cost nothing to know (size, release); sizes are also read from names."""
    out: Path = Path("trust")
    """Folder of agreement.tsv and agreement.svg."""


@dataclass(frozen=True, kw_only=True)
class Compare(_Rated):
    """Does the first benchmark agree more with people than the second?"""

    first: str
    """Name of a benchmark, such as your localized one."""
    second: str
    """Another one, such as the translated one."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Fit ratings to votes, by language."""

    votes: tyro.conf.Positional[Path]
    """language, first, second, winner (first, second, tie)."""
    draws: Annotated[int, Range(20, 10_000)] = 200
    """Of votes, for the intervals."""
    seed: Seed = 0
    """Of the draws."""
    out: Path = Path("ratings.tsv")
    """The table."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What does a collection of benchmarks cover, and whom does it leave out?"""

    records: tyro.conf.Positional[Path]
    """Records of the scheme in catalogue.py (.jsonl, .csv)."""
    second: Path | None = None
    """Another annotator's records of the same benchmarks: Cohen's kappa of each field."""
    share: Literal["record", "label"] = "record"
    """Shares of records that carry a label (they overlap), or of all labels (they sum to 1)."""
    usd_per_example: Annotated[float | None, Range(0)] = None
    """Price of an example, for a cost that is no more than a placeholder."""
    out: Path = Path("audit.md")
    """The report."""


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Draft records from the task folders of lm-evaluation-harness."""

    folder: tyro.conf.Positional[Path]
    """Such as `lm_eval/tasks` of an installed harness."""
    out: Path = Path("drafts.jsonl")
    """The drafts, whose other fields are left to people."""


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Which papers introduce a benchmark that has a language other than English?"""

    papers: tyro.conf.Positional[Path]
    """Rows with id, title, abstract, and perhaps keep (1 or 0) by hand."""
    judge: str = ""
    """A chat model, or a file of replies (id, judgement); empty: a rule of two lists of words."""
    out: Path = Path("kept.jsonl")
    """The papers that are kept."""


def run_trust(options: Trust) -> None:
    """Print and write the table and the plot."""
    from core.files import write_table
    from papers.bitter_lesson.data import read_models

    scores, ratings, ceilings = options.read()
    known = read_models(options.models) if options.models else None
    rows = trust(scores, ratings, known, ceilings, options.draws, options.seed)
    for row in rows:
        floor = "" if row["floor"] is None else f"  floor {row['floor']:.2f} ({row['floor_of']})"
        ceiling = "" if row["ceiling"] is None else f"  ceiling {row['ceiling']:.2f}"
        doubt = "  no more than the floor" if row["floor"] is not None and row["low"] <= row["floor"] else ""
        print(f"  {row['benchmark']:28} rho {row['rho']:.2f} [{row['low']:.2f}, {row['high']:.2f}] over "
              f"{row['n_models']} models{floor}{ceiling}{doubt}")  # fmt: skip
    if options.ratings and not ceilings:
        print("No ceiling: ratings alone do not say how noisy they are; --votes do.")
    write_table(options.out / "agreement.tsv", rows)
    _plot(rows, options.out / "agreement.svg")
    print(f"Never compare ratings between languages: they are relative within one. Wrote {options.out}.")


def _plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from core.files import replacing

    figure, axes = plt.subplots(figsize=(7, 1 + 0.28 * len(rows)), layout="constrained")
    for place, row in enumerate(rows):
        axes.plot([row["low"], row["high"]], [place, place], color="#0072B2")
        axes.plot(row["rho"], place, "o", color="#0072B2")
        for name, mark in (("floor", "|"), ("ceiling", "d")):
            if row[name] is not None:
                axes.plot(row[name], place, mark, color="grey", markersize=10 if mark == "|" else 5)
    axes.set_yticks(range(len(rows)), [row["benchmark"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("rho with people's ratings, 95 % over models; | floor, ◆ ceiling")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg")
    plt.close(figure)


def run_compare(options: Compare) -> None:
    """Print a sentence a language."""
    from core.metrics.stats import holm
    from papers.bitter_lesson.data import paired_columns
    from papers.bitter_lesson.method import compare_benchmarks

    scores, ratings, _ = options.read()
    for name in (options.first, options.second):
        if name not in {benchmark for benchmark, _ in scores}:
            raise UserError(f"There is no benchmark {name!r}: there are {', '.join(sorted({b for b, _ in scores}))}.")
    found = {}
    for code, rated in sorted(ratings.items()):
        one, other, y = paired_columns(*(scores.get((b, code), {}) for b in (options.first, options.second)), rated)
        if len(y) >= 6 and all(len(set(side)) > 1 for side in (one, other, y)):
            found[code] = len(y), compare_benchmarks(one, other, y, options.draws, options.seed)
    if not found:
        raise UserError(f"{options.first} and {options.second} share no language with six differing, rated models.")
    adjusted = holm([compared.p for _, compared in found.values()])
    for (code, (n, c)), p in zip(found.items(), adjusted, strict=True):
        better = {"first": options.first, "second": options.second}.get(c.verdict(float(p)), "cannot tell which")
        said = f"{better} agrees more with people"
        more = (
            f"; about {c.needed:.0f} models would tell" if said.startswith("cannot") and math.isfinite(c.needed) else ""
        )
        print(f"  {code}: {said}{more}. rho {c.first:.2f} and {c.second:.2f}, difference {c.first - c.second:+.2f} "
              f"[{c.low:+.2f}, {c.high:+.2f}], Steiger Z {c.z:.2f}, p {p:.3f} (Holm), {n} models, {c.between:.2f} "
              "between the two.")  # fmt: skip


def run_ratings(options: Fit) -> None:
    """Print and write ratings by language."""
    from core.files import write_table
    from papers.bitter_lesson.data import read_votes

    rows: list[dict[str, Any]] = []
    for code, battles in sorted(read_votes(options.votes).items()):
        found = bootstrapped(battles, options.draws, options.seed)
        for name, (value, low, high, times) in sorted(found.items(), key=lambda item: -item[1][0]):
            rows.append({"model": name, "language": code, "rating": value, "low": low, "high": high, "votes": times})
            print(f"  {code:6} {name:32} {value:7.0f} [{low:.0f}, {high:.0f}]  {times} votes")
        if few := [name for name, (*_, times) in found.items() if times < ENOUGH]:
            warnings.warn(
                f"{code}: {len(few)} models have fewer than {ENOUGH} votes, {few[0]} among them.", stacklevel=2
            )
    write_table(options.out, rows)
    print(f"Mean 0 in each language; 191 points are 3 wins of 4. Wrote {options.out}.")


def run_audit(options: Audit) -> None:
    """Write the report and print its beginning."""
    from core.files import write_text
    from papers.bitter_lesson import catalogue

    records = catalogue.load_records(options.records)
    text = catalogue.report(records, options.share)
    if options.second:
        text += "\n## Agreement of two annotators\n\n| field | records | kappa |\n|---|---:|---:|\n"
        for field, (n, value) in catalogue.agreements(records, catalogue.load_records(options.second)).items():
            text += f"| {field} | {n} | {value:.2f} |\n"
    if options.usd_per_example is not None:
        cost = catalogue.estimate_cost(records, options.usd_per_example)
        text += f"\nPlaceholder of a cost, bins' geometric means times {options.usd_per_example:g}: {cost:,.0f} USD.\n"
    write_text(options.out, text)
    print("\n".join(text.splitlines()[:11]))
    print(f"Wrote {options.out}.")


def run_collect(options: Collect) -> None:
    """Write drafts."""
    from core.files import write_rows
    from papers.bitter_lesson.catalogue import collect

    drafts = collect(options.folder)
    if not drafts:
        raise UserError(f"{options.folder} has no folder of tasks in three languages: give `tasks` of a harness.")
    write_rows(options.out, drafts)
    print(f"{len(drafts)} drafts: look at their languages, add title, year and month. Wrote {options.out}.")


def run_screen(options: Screen) -> None:
    """Write what is kept; where labels by hand are there, say how right that is."""
    from core.corpora import adapted, read_rows
    from core.files import write_rows
    from core.tasks.judging import judge_of
    from papers.bitter_lesson.catalogue import screened

    def paper(row: Mapping[str, Any], number: int) -> tuple[str, dict[str, Any]]:
        if missing := [name for name in ("id", "title", "abstract") if not isinstance(row.get(name), str)]:
            raise UserError(f"it has no text in {missing[0]!r}")
        return row["id"], dict(row)

    papers = dict(adapted(options.papers, read_rows(options.papers), paper))
    kept = screened(papers, judge_of(options.judge, max_new_tokens=8) if options.judge else None)
    write_rows(options.out, [papers[key] for key in papers if kept[key]])
    print(f"{sum(kept.values())} of {len(papers)} papers are kept. Wrote {options.out}.")
    truth = {key: str(row["keep"]).lower() in ("1", "true", "yes") for key, row in papers.items() if "keep" in row}
    if truth:
        both = sum(kept[key] and truth[key] for key in truth)
        said, right = sum(kept[key] for key in truth), sum(truth.values())
        share = lambda of: f"{both / of:.2f}" if of else "undefined"  # noqa: E731
        print(f"By hand, of {len(truth)}: precision {share(said)}, recall {share(right)}.")


VERBS: Verbs = {
    "trust": (Trust, run_trust), "compare": (Compare, run_compare), "ratings": (Fit, run_ratings),
    "audit": (Audit, run_audit), "collect": (Collect, run_collect), "screen": (Screen, run_screen),
}  # fmt: skip

TRY = Try(
    command="trust {data} --out {out}",
    data="scores: model, benchmark, language, score; or a folder of lm-eval's results.",
    means="How far each benchmark puts your models into the order in which people do (rho of ranks), with an interval "
    "from drawing models, the floor that parameter counts reach, and the ceiling that noisy votes leave.",
    limits="People's ratings are preferences of those who voted, never truth. Intervals over few models are wide; "
    "more items do not narrow them. Scores of different prompts or templates must not be mixed.",
    more="--ratings ratings.csv",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.bitter_lesson.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
