"""Reproduce papers: every variant that their claims name, over the seeds, then the verdicts.

    papers reproduce mexa --record
    papers reproduce --all --jobs 4

In three steps that can be called alone: :func:`cells` lists what has to be run, :func:`core.experiment.jobs.compute`
runs it, :func:`conclude` judges, records and reports. A finished cell is never recomputed: the key of its
configuration, code and package versions is compared. An interrupted grid goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from core.errors import UserError
from core.experiment.jobs import compute
from core.experiment.keys import ROOT, in_repository
from core.experiment.paper import Paper
from core.experiment.results import Record, judge_all, recorded
from core.experiment.run import Measurement, environment, hide_library_bars
from core.experiment.threads import cores, settled, share
from core.experiment.workers import Cell, Executor, Reply
from core.files import DISTRIBUTION, locked, read_json, sweep, writable

DOMINANT = 0.6  # share of the time from which one variant decides how long all of them take


def reproduce(
    papers: Sequence[Paper],
    *,
    preset: str = "tiny",
    seeds: tuple[int, ...] | None = None,
    out: Path = Path("runs"),
    record: bool = False,
    quiet: bool = False,
    jobs: int | None = None,
    executor: Executor = "here",
    options: Mapping[str, str] | None = None,
    debug: bool = False,
) -> list[Record]:
    """Train and evaluate the grids of papers side by side, judge their claims and write the reports.

    Args:
        papers: The cards.
        preset: The scale.
        seeds: Seeds (item samples, where nothing is trained); each card's by default.
        out: Folder of the runs: `<out>/<slug>/<preset>/<variant>/seed<n>`.
        record: Also write results and figure into the repository, and at the tiny scale page and scoreboard.
        quiet: Plain log lines instead of a progress bar.
        jobs: Cells side by side; by default as :func:`side_by_side` says, on a cluster all of them.
        executor: Where: processes of this machine (`here`), jobs of a cluster (`slurm`), or the cluster's way on this
            machine (`local`).
        options: Of the executor.
        debug: Show the traceback of every cell that fails.

    Returns:
        The records, with their verdicts, in the order in which the papers were finished.

    Raises:
        UserError: If the preset is unknown, an optional dependency is missing, or a cell failed for a reason that is
            the user's to mend; the other cells and papers are finished first.
        CellError: If a cell failed for another reason.
    """
    if record and preset == "smoke":
        raise UserError("--record keeps no smoke run, which measures nothing: leave --preset out, or name another one.")
    if record and preset == "tiny" and any(set(seeds or paper.seeds) != set(paper.seeds) for paper in papers):
        raise UserError("--record keeps the tiny scale with the paper's own seeds: leave --seeds out.")
    hide_library_bars()
    problems: list[str] = []
    grids = {}
    for paper in papers:
        with _others_go_on(paper, problems, alone=len(papers) == 1):
            grids[paper.slug] = cells(paper, preset=preset, seeds=seeds, out=out)
    if not grids:
        raise UserError("\n".join(problems))
    papers = [paper for paper in papers if paper.slug in grids]
    ensure_extras(papers)
    everything = [cell for grid in grids.values() for cell in grid]
    costs = {key: seconds for paper in papers for key, seconds in expected(paper, preset).items()}
    if executor != "here":
        jobs, threads = jobs or len(everything), None
    else:
        jobs, threads = _divided(everything, costs, jobs)
    for disclaimer in dict.fromkeys(paper.disclaimer for paper in papers if paper.disclaimer):
        print(disclaimer)
    failures: dict[Cell, Reply] = {}
    records = []
    by_slug = {paper.slug: paper for paper in papers}
    computing = compute(
        everything,
        costs,
        failures,
        jobs=jobs,
        threads=threads,
        executor=executor,
        options=options,
        quiet=quiet,
        debug=debug,
    )
    with contextlib.closing(computing):
        for slug in computing:
            if not any(cell.slug == slug for cell in failures):
                with _others_go_on(by_slug[slug], problems, alone=len(papers) == 1):
                    records.append(conclude(by_slug[slug], grids[slug], out / slug / preset, jobs=jobs, record=record))
    problems += _reasons(failures)
    if problems:
        text = "\n".join([*problems, "All else is finished and kept: the same command goes on from here."])
        raise (UserError if all(reply.user for reply in failures.values()) else CellError)(text)
    return records


def measured(paper: Paper, grid: Sequence[Cell], *, jobs: int | None = None, quiet: bool = False) -> Record:
    """Run a grid of one paper on this machine and judge it; nothing is reported or recorded.

    Raises:
        UserError: If a cell failed; the others are finished and kept.
    """
    hide_library_bars()
    ensure_extras([paper])
    costs = expected(paper, grid[0].preset)
    jobs, threads = _divided(grid, costs, jobs)
    failures: dict[Cell, Reply] = {}
    computing = compute(
        grid, costs, failures, jobs=jobs, threads=threads, executor="here", options=None, quiet=quiet, debug=False
    )
    with contextlib.closing(computing):
        for _ in computing:
            pass
    if failures:
        raise UserError("\n".join([*_reasons(failures), "The same command goes on from here."]))
    return collect(paper, grid, jobs)


def _divided(everything: Sequence[Cell], costs: Mapping[tuple[str, str], float], jobs: int | None) -> tuple[int, int]:
    """How many cells run side by side and the threads of each; the first line of the run says so."""
    jobs, threads = (jobs, max(1, cores() // jobs)) if jobs else side_by_side(everything, costs)
    print(f"{len(everything)} runs, {jobs} at a time, {settled(share(threads))}.", file=sys.stderr, flush=True)
    return jobs, threads


@contextlib.contextmanager
def _others_go_on(paper: Paper, problems: list[str], *, alone: bool) -> Iterator[None]:
    """Among several papers, what one of them raises is told at the end."""
    try:
        yield
    except Exception as error:
        if alone:
            raise
        words = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        problems.append(f"{paper.slug}: {words}")


class CellError(Exception):
    """Cells of a grid failed for a reason that is not the user's; the sentences say which and why."""


def side_by_side(cells: Sequence[Cell], costs: Mapping[tuple[str, str], float]) -> tuple[int, int]:
    """How many cells run side by side where nobody says, and with how many threads each.

    A cell for each core: at the tiny scale a second thread makes training 1.0 to 1.5 times as fast, a second cell
    twice. Where one variant takes most of the time, by building what the others share, they have little to do
    meanwhile; then each gets twice the threads, which costs next to nothing as long as waiting threads sleep.
    """
    jobs = max(1, min(cores(), len(cells)))
    counts = Counter((cell.slug, cell.variant) for cell in cells)
    seconds = [count * costs.get(variant, 0.0) for variant, count in counts.items()]
    dominated = max(seconds, default=0.0) > DOMINANT * sum(seconds)
    return jobs, min(cores(), max(1, cores() // jobs) * (2 if dominated else 1))


def cells(
    paper: Paper,
    *,
    preset: str = "tiny",
    variants: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    out: Path = Path("runs"),
) -> list[Cell]:
    """What has to be run, in the order in which it should begin.

    Args:
        paper: The card.
        preset: The scale.
        variants: Those of the claims and the card's further ones by default.
        seeds: The card's by default.
        out: Folder of the runs.

    Raises:
        UserError: Unknown preset or variant.
    """
    grid = [
        Cell(paper.slug, preset, variant, seed, str(out.resolve()))
        for seed in seeds or paper.seeds
        for variant in variants or paper.variants
    ]
    for cell in grid[: len(variants or paper.variants)]:
        cell.config()  # refuse at once what cannot be run
    return grid


def expected(paper: Paper, preset: str) -> dict[tuple[str, str], float]:
    """Seconds that a cell should take, by paper and variant: from the record, else from the card; empty if unknown."""
    with contextlib.suppress(UserError):
        if record := recorded(paper, preset):
            seconds = {variant: record.seconds.get(variant, 0.0) / len(record.seeds) for variant in paper.variants}
            known = [value for value in seconds.values() if value]
            return {(paper.slug, name): value or sum(known) / len(known) for name, value in seconds.items() if known}
    if preset != "tiny":
        return {}
    share = 60 * paper.minutes / max(1, len(paper.variants) * len(paper.seeds))
    return {(paper.slug, variant): share for variant in paper.variants}


def conclude(paper: Paper, grid: Sequence[Cell], folder: Path, *, jobs: int = 1, record: bool = False) -> Record:
    """Judge the claims of a finished grid, write the report into `folder` and, with `record`, into the repository."""
    result = collect(paper, grid, jobs)
    with writable(folder), locked(folder / "results.json"):
        _report(paper, result, folder)
    if record:
        from core.experiment.report import recording

        with recording():
            _record(paper, result)
    return result


def collect(paper: Paper, grid: Sequence[Cell], jobs: int = 1) -> Record:
    """The record of a finished grid, of which `jobs` cells were computed side by side."""
    variants = list(dict.fromkeys(cell.variant for cell in grid))
    measurements: dict[str, dict[int, Measurement]] = {variant: {} for variant in variants}
    seconds = dict.fromkeys(variants, 0.0)
    keys: dict[str, str] = {}
    # When and how the cells were computed, which may be long before they are collected.
    found: dict[str, set[str]] = {"threads": set(), "commit": set()}
    for cell in grid:
        content, run = cell.finished(), cell.run()
        assert content is not None, cell
        surroundings = read_json(run.path / "environment.json") or {}
        for name, values in found.items():
            values.add(str(surroundings.get(name) or "unknown"))
        measurements[cell.variant][cell.seed] = Measurement.from_json(content)
        seconds[cell.variant] += content["seconds"]
        keys[f"{cell.variant}/{cell.seed}"] = run.key
    return Record(
        slug=paper.slug,
        preset=grid[0].preset,
        seeds=tuple(dict.fromkeys(cell.seed for cell in grid)),
        measurements=measurements,
        seconds={variant: round(value, 1) for variant, value in seconds.items()},
        verdicts=judge_all(paper, measurements),
        environment=environment()
        | {name: "; ".join(sorted(values)) for name, values in found.items()}
        | {"side_by_side": jobs},
        keys=keys,
    )


def _report(paper: Paper, result: Record, folder: Path) -> None:
    from core.experiment import report
    from core.experiment.terminal import print_claims

    sweep(folder)
    result.save(folder / "results.json")
    print_claims(paper, result)
    figure = report.save_figure(paper, result, folder / "figure.svg")
    page = report.write_page(paper, result, folder / "page.md", figure)
    print(f"figure: {figure}\npage:   {page}", flush=True)


def _record(paper: Paper, result: Record) -> None:
    from core.experiment import report

    for place in (ROOT, paper.folder, paper.folder / "results"):
        sweep(place)
    path = paper.folder / "results" / f"{result.preset}.json"
    result.save(path)
    figure = report.save_figure(paper, result, path.with_suffix(".svg"))
    if result.preset == "tiny":  # other scales have their cards on the site
        path = report.update_page(paper, result)
        report.update_scoreboard()
    print(f"recorded: {path}, {figure}", flush=True)


def _reasons(failures: Mapping[Cell, Reply]) -> list[str]:
    """What failed and why, the cells of one reason together."""
    reasons: dict[str, list[Cell]] = {}
    for cell, reply in failures.items():
        reasons.setdefault(reply.error, []).append(cell)
    lines = []
    for reason, failed in reasons.items():
        names = ", ".join(f"{cell.slug} {cell}" for cell in failed[:3])
        lines.append(f"{names}{f' and {len(failed) - 3} more' if len(failed) > 3 else ''} failed: {reason}")
    return lines


def ensure_extras(papers: Sequence[Paper]) -> None:
    """Start again under `uv` with the optional dependencies that the papers need, where they are missing.

    Raises:
        UserError: If they are missing and cannot be installed from here.
    """
    needed = dict.fromkeys(extra for paper in papers for extra in paper.extras)
    missing = [extra for extra in needed if not _extra_installed(extra)]
    if not missing:
        return
    uv = shutil.which("uv")
    if uv and not os.environ.get("MULTILINGUAL_PAPERS_EXTRAS") and in_repository():
        print(f"Installing optional data packages: {', '.join(missing)}", file=sys.stderr)
        sys.stdout.flush()
        flags = [flag for extra in missing for flag in ("--extra", extra)]
        os.environ["MULTILINGUAL_PAPERS_EXTRAS"] = ",".join(missing)
        os.execv(uv, [uv, "run", "--project", str(ROOT), *flags, "papers", *sys.argv[1:]])
    flags_text = " ".join(f"--extra {extra}" for extra in missing)
    slugs = ", ".join(paper.slug for paper in papers if set(paper.extras) & set(missing))
    raise UserError(f"{slugs} needs optional data packages: install them with `uv sync {flags_text}`.")


def _extra_installed(extra: str) -> bool:
    for requirement in importlib.metadata.requires(DISTRIBUTION) or []:
        if re.search(rf"extra == ['\"]{re.escape(extra)}['\"]", requirement):
            name = re.match(r"[A-Za-z0-9._-]+", requirement)
            try:
                importlib.metadata.version(name[0] if name else requirement)
            except importlib.metadata.PackageNotFoundError:
                return False
    return True
