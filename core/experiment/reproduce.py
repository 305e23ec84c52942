"""Reproduce a paper: every variant that its claims name, over the seeds, then the verdicts.

    papers reproduce mexa --record

The grid runs in one process. A finished cell is never recomputed: the key of its configuration, code and package
versions is compared. An interrupted grid goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from core.errors import UserError
from core.experiment.config import override, preset_named, with_variant
from core.experiment.entrypoint import execute
from core.experiment.paper import Paper
from core.experiment.results import Record, judge
from core.experiment.run import DISTRIBUTION, ROOT, Measurement, Run, environment, hide_library_bars


def reproduce(
    paper: Paper,
    *,
    preset: str = "tiny",
    seeds: tuple[int, ...] | None = None,
    out: Path = Path("runs"),
    record: bool = False,
    quiet: bool = False,
) -> Record:
    """Train and evaluate the grid of a paper, judge its claims and write the report.

    Args:
        paper: The card.
        preset: The scale.
        seeds: Seeds (item samples, where nothing is trained); the card's by default.
        out: Folder of the runs: `<out>/<slug>/<preset>/<variant>/seed<n>`.
        record: Also write results, figure, page and scoreboard into the repository.
        quiet: Plain log lines instead of a progress bar.

    Returns:
        The record, with its verdicts.

    Raises:
        UserError: If the preset is unknown or an optional dependency is missing.
    """
    hide_library_bars()
    seeds = seeds or paper.seeds
    if record and (preset != "tiny" or set(seeds) != set(paper.seeds)):
        raise UserError("--record keeps the tiny scale with the paper's own seeds: leave --preset and --seeds out.")
    settings = importlib.import_module(f"papers.{paper.slug}.config")
    base = preset_named(settings.PRESETS, preset)
    ensure_extras(paper)
    if paper.disclaimer:
        print(paper.disclaimer)
    train, evaluate = _entry(paper, "train"), _entry(paper, "eval")
    assert evaluate is not None
    cells = [(variant, seed) for seed in seeds for variant in paper.variants]
    measurements: dict[str, dict[int, Measurement]] = {variant: {} for variant in paper.variants}
    seconds = dict.fromkeys(paper.variants, 0.0)
    keys: dict[str, str] = {}
    with _progress(paper, len(cells), quiet) as advance:
        for variant, seed in cells:
            config = override(with_variant(base, settings.VARIANTS, variant), {"seed": seed})
            run = Run(
                out / paper.slug / preset / variant / f"seed{seed}",
                paper.slug,
                config,
                out / paper.slug / "stages",
                quiet=True,
            ).open()
            computed = False
            if train is not None and not run.finished("train"):
                execute(train, run, "train")
                computed = True
            if not run.finished("measurement"):
                execute(evaluate, run, "eval")
                computed = True
            content = run.finished("measurement")
            assert content is not None
            measurements[variant][seed] = Measurement.from_json(content)
            seconds[variant] += content["seconds"] + (run.finished("train") or {"seconds": 0.0})["seconds"]
            keys[f"{variant}/{seed}"] = run.key
            advance(f"{variant} seed {seed}", computed)
    result = Record(
        slug=paper.slug,
        preset=preset,
        seeds=tuple(seeds),
        measurements=measurements,
        seconds={variant: round(value, 1) for variant, value in seconds.items()},
        verdicts=tuple(judge(claim, measurements) for claim in paper.claims),
        environment=environment(),
        keys=keys,
    )
    _report(paper, result, out / paper.slug / preset, record)
    return result


def _report(paper: Paper, result: Record, folder: Path, record: bool) -> None:
    from core.experiment import report

    result.save(folder / "results.json")
    report.print_claims(paper, result)
    figure = report.save_figure(paper, result, folder / "figure.svg")
    page = report.write_page(paper, result, folder / "page.md", figure)
    if record:
        result.save(paper.folder / "results" / "tiny.json")
        figure = report.save_figure(paper, result, paper.folder / "results" / "tiny.svg")
        page = report.update_page(paper, result)
        report.update_scoreboard()
    print(f"figure: {figure}\npage:   {page}")


def _entry(paper: Paper, stage: str) -> Callable[[Any, Run], Measurement | None] | None:
    if not (paper.folder / f"{stage}.py").exists():
        return None
    module: ModuleType = importlib.import_module(f"papers.{paper.slug}.{stage}")
    return getattr(module, "evaluate" if stage == "eval" else stage)


def ensure_extras(paper: Paper) -> None:
    """Start again under `uv` with the optional dependencies that the paper needs, where they are missing.

    Raises:
        UserError: If they are missing and cannot be installed from here.
    """
    missing = [extra for extra in paper.extras if not _extra_installed(extra)]
    if not missing:
        return
    uv = shutil.which("uv")
    if uv and not os.environ.get("MULTILINGUAL_PAPERS_EXTRAS") and (ROOT / "pyproject.toml").exists():
        print(f"Installing what {paper.slug} needs: {', '.join(missing)}", file=sys.stderr)
        sys.stdout.flush()
        flags = [flag for extra in missing for flag in ("--extra", extra)]
        os.environ["MULTILINGUAL_PAPERS_EXTRAS"] = ",".join(missing)
        os.execv(uv, [uv, "run", "--project", str(ROOT), *flags, "papers", *sys.argv[1:]])
    flags_text = " ".join(f"--extra {extra}" for extra in missing)
    raise UserError(f"{paper.slug} needs optional data packages: install them with `uv sync {flags_text}`.")


def _extra_installed(extra: str) -> bool:
    for requirement in importlib.metadata.requires(DISTRIBUTION) or []:
        if re.search(rf"extra == ['\"]{re.escape(extra)}['\"]", requirement):
            name = re.match(r"[A-Za-z0-9._-]+", requirement)
            try:
                importlib.metadata.version(name[0] if name else requirement)
            except importlib.metadata.PackageNotFoundError:
                return False
    return True


@contextlib.contextmanager
def _progress(paper: Paper, total: int, quiet: bool) -> Iterator[Callable[[str, bool], None]]:
    """Overall progress over the cells; the time left follows from the computed ones, at first from the card.

    The median, because the first cells also build what all share.
    """
    times = [60 * paper.minutes / max(1, len(paper.variants) * len(paper.seeds))] * 5
    last = time.monotonic()
    done = 0

    def left() -> str:
        return _clock((total - done) * statistics.median(times))

    def step(what: str, computed: bool) -> str:
        nonlocal last, done
        now = time.monotonic()
        if computed:
            times.append(now - last)
        done, last = done + 1, now
        return f"{paper.slug} {done}/{total}  {what}  {'' if computed else '(kept) '}{left()} left"

    if quiet:
        print(f"{paper.slug}: {total} runs, about {left()}", file=sys.stderr, flush=True)
        yield lambda what, computed: print(step(what, computed), file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{paper.slug} 0/{total}  about {left()}", total=total)
        yield lambda what, computed: bar.update(task, advance=1, description=step(what, computed))


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
