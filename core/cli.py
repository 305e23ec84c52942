"""The `papers` command, and what every `python -m papers.<slug>.{train,eval}` shares.

    papers                         list: slug, title, year, verdicts, minutes
    papers show mexa               the card and the recorded claims
    papers reproduce mexa          variants x seeds -> claims table, figure, page; resumes where it stopped
    papers plan bimedix --gpus 8   what the real thing costs
    papers new my_paper            a skeleton that passes the contract tests

Exit codes: 0 success, 1 our mistake, 2 the user's (one sentence, no traceback), 130 and 143 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from core.config import preset_named, render, resolve, to_dict, validate, with_variant
from core.errors import UserError
from core.run import Measurement, Run, hide_library_bars, is_main_process

Entry = Callable[[Any, Run], Measurement | None]
Verbs = Mapping[str, tuple[type, Callable[[Any], None]]]


def entrypoint(function: Entry, arguments: Sequence[str] | None = None) -> None:
    """Run a paper's `train` or `evaluate` from the command line.

    The configuration comes from preset, variant and fields (:func:`core.config.resolve`); the run directory from
    `--out`, by default `runs/<slug>/<preset>/<variant>/seed<seed>`, the same for train and eval.
    """
    file = Path(inspect.getfile(function))
    with _exit_codes(debug="--debug" in (sys.argv if arguments is None else arguments)):
        _run_entry(function, file.parent.name, file.stem, list(sys.argv[1:] if arguments is None else arguments))


def _run_entry(function: Entry, slug: str, stage: str, arguments: list[str]) -> None:
    settings = importlib.import_module(f"papers.{slug}.config")
    paper = importlib.import_module(f"papers.{slug}").PAPER
    options, rest = _entry_options().parse_known_args(arguments)
    help = f"{paper.title} ({paper.url})\n\n{_entry_options().format_help().split('options:', 1)[1].rstrip()}"
    config = resolve(settings.PRESETS, settings.VARIANTS, rest, program=f"python -m papers.{slug}.{stage}", help=help)
    if options.dry_run:
        print(render(config))
        return
    path = options.out or default_path(slug, settings, config)
    if options.quiet or not sys.stderr.isatty():
        hide_library_bars()
    run = Run(path, slug, config, Path("runs") / slug / "stages", quiet=options.quiet)
    if options.out and not options.overwrite and (reason := run.holds_another()):
        raise UserError(f"{reason}: choose another folder with --out, or discard it with --overwrite.")
    say = print if is_main_process() else lambda *_: None
    if paper.disclaimer:
        say(paper.disclaimer)
    if run.open().finished(_marker(stage)):
        say(f"{path} is finished; nothing to do (--overwrite runs it again)." if not options.overwrite else "")
        if not options.overwrite:
            _show(run.finished(_marker(stage)))
            return
    if options.overwrite and is_main_process():
        _discard(run, stage)
    measurement = execute(function, run, stage)
    if measurement is not None and is_main_process():
        _show(measurement.to_json())
    say(f"{'Measured' if stage == 'eval' else 'Trained'}: {path}")


def tools(module: str, description: str | None, verbs: Verbs, arguments: Sequence[str] | None = None) -> None:
    """The command `python -m papers.<slug>.use <verb> ...`, for a user's own data.

    Args:
        module: Its name, as it is run.
        description: The module's docstring; the first paragraph is shown by `--help`.
        verbs: `{verb: (dataclass of its options, function of them)}`.
        arguments: Instead of the command line's.
    """
    import tyro

    given = list(sys.argv[1:] if arguments is None else arguments)
    dry_run, debug = "--dry-run" in given, "--debug" in given
    purpose = (description or "").split("\n\n")[0]
    options: Any = tyro.extras.subcommand_cli_from_dict(
        {verb: kind for verb, (kind, _) in verbs.items()},
        prog=f"python -m {module}",
        description=f"{purpose} Every verb takes --dry-run (show its options and stop) and --debug (show the traceback "
        "of an error).",
        args=[argument for argument in given if argument not in ("--dry-run", "--debug")],
    )
    call = next(function for kind, function in verbs.values() if type(options) is kind)
    with _exit_codes(debug=debug):
        validate(options)
        if dry_run:
            print(render(options))
        else:
            call(options)


def execute(function: Entry, run: Run, stage: str) -> Measurement | None:
    """Call a paper's `train` or `evaluate` and mark the run's stage as finished.

    Raises:
        UserError: If evaluation needs an artifact that has not been trained.
    """
    if stage == "eval" and _trains(run.slug) and not run.finished("train"):
        raise UserError(
            f"{run.path} holds no trained artifact of this configuration: "
            f"run `python -m papers.{run.slug}.train` with the same options first."
        )
    started = time.monotonic()
    measurement = function(run.config, run)
    content = measurement.to_json() if measurement is not None else {}
    run.finish(_marker(stage), time.monotonic() - started, **content)
    return measurement


def default_path(slug: str, settings: Any, config: Any) -> Path:
    """`runs/<slug>/<preset>/<variant>/seed<n>` for a cell of the grid, `runs/<slug>/custom/<hash>` otherwise."""
    from core.config import fingerprint

    wanted = to_dict(config)
    for preset in settings.PRESETS:
        for variant in ("default", *settings.VARIANTS):
            base = preset_named(settings.PRESETS, preset)
            base = base if variant == "default" else with_variant(base, settings.VARIANTS, variant)
            if {**to_dict(base), "seed": wanted["seed"]} == wanted:
                return Path("runs") / slug / preset / variant / f"seed{wanted['seed']}"
    return Path("runs") / slug / "custom" / fingerprint(wanted)


def _entry_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="run directory (default: runs/<paper>/<preset>/<variant>/seed<n>)")
    parser.add_argument("--overwrite", action="store_true", help="discard what the run directory holds")
    parser.add_argument("--dry-run", action="store_true", help="print the resolved configuration and stop")
    parser.add_argument("--quiet", action="store_true", help="plain log lines instead of progress bars")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _marker(stage: str) -> str:
    return "measurement" if stage == "eval" else stage


def _discard(run: Run, stage: str) -> None:
    if stage == "train":
        run.clear()
        run.open()
    else:
        (run.path / "measurement.json").unlink(missing_ok=True)


def _trains(slug: str) -> bool:
    from core.paper import PAPERS_DIR

    return (PAPERS_DIR / slug / "train.py").exists()


def _show(content: dict[str, Any] | None) -> None:
    for name, value in ((content or {}).get("metrics") or {}).items():
        print(f"  {name:32s} {value:.4f}" if value is not None else f"  {name:32s} undefined")


@contextlib.contextmanager
def _exit_codes(*, debug: bool) -> Iterator[None]:
    """Turn exceptions into one sentence and an exit code, and SIGTERM into an orderly stop."""
    terminated = False

    def stop(number: int, frame: Any) -> NoReturn:
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to go on from here.", file=sys.stderr)
        raise SystemExit(143 if terminated else 130) from None
    except UserError as error:
        if debug:
            raise
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as error:
        if debug:
            raise
        kind = type(error).__name__
        print(f"Internal error: {kind}: {error} (run again with --debug for the traceback).", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def main(arguments: Sequence[str] | None = None) -> None:
    """The `papers` command."""
    parser = _parser()
    options = parser.parse_args(arguments)
    with _exit_codes(debug=getattr(options, "debug", False)):
        options.call(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="papers", description="Multilingual language-model papers: read, run, see, use, scale."
    )
    parser.set_defaults(call=_list, debug=False)
    commands = parser.add_subparsers(title="commands", metavar="")
    for name, call, help in (
        ("list", _list, "all papers with their verdicts"),
        ("show", _show_paper, "one paper: card, claims, recorded results"),
        ("reproduce", _reproduce, "run what a paper's claims need and judge them"),
        ("plan", _plan, "what the paper scale costs: parameters, FLOPs, memory, GPU-hours"),
        ("new", _new, "write the skeleton of a new paper"),
    ):
        command = commands.add_parser(name, help=help, description=help)
        command.set_defaults(call=call)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name in {"show", "plan", "new"}:
            command.add_argument("slug", help="the paper")
        if name == "reproduce":
            _reproduce_options(command)
        if name == "plan":
            _plan_options(command)
    return parser


def _reproduce_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("slug", nargs="?", help="the paper")
    command.add_argument("--all", action="store_true", help="all papers, one after the other")
    command.add_argument("--preset", default="tiny", help="scale to run at (default: tiny)")
    command.add_argument("--seeds", type=int, nargs="+", help="seeds (default: the paper's)")
    command.add_argument(
        "--record", action="store_true", help="write results, figure, page and scoreboard into the repository"
    )
    command.add_argument("--out", type=Path, default=Path("runs"), help="where the runs are kept (default: runs)")
    command.add_argument("--quiet", action="store_true", help="plain log lines instead of progress bars")


def _plan_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--preset", default="paper", help="scale to plan for (default: paper)")
    command.add_argument("--variant", help="variant of the configuration")
    command.add_argument("--gpus", type=int, default=8, help="number of GPUs (default: 8)")
    command.add_argument("--gpu", default="h100", help="kind of GPU (default: h100)")
    command.add_argument("--mfu", type=float, default=0.4, help="share of the peak that is reached (default: 0.4)")


def _list(options: argparse.Namespace) -> None:
    from core.report import overview

    overview()


def _show_paper(options: argparse.Namespace) -> None:
    from core.paper import find
    from core.report import card

    card(find(options.slug))


def _reproduce(options: argparse.Namespace) -> None:
    from core.paper import discover, find
    from core.reproduce import reproduce

    if options.all == bool(options.slug):
        raise UserError("Say what to reproduce: a paper's slug, or --all.")
    papers = discover() if options.all else (find(options.slug),)
    failed = []
    for paper in papers:
        try:
            reproduce(
                paper,
                preset=options.preset,
                seeds=tuple(options.seeds or paper.seeds),
                out=options.out,
                record=options.record,
                quiet=options.quiet or not sys.stderr.isatty(),
            )
        except Exception as error:
            if not options.all or options.debug:
                raise
            failed.append(paper.slug)
            print(f"{paper.slug}: {error}", file=sys.stderr)
    if failed:
        raise UserError(f"These papers did not finish: {', '.join(failed)}; run each alone with --debug to see why.")


def _plan(options: argparse.Namespace) -> None:
    from core.paper import find
    from core.plan import plan, render_plan

    paper = find(options.slug)
    settings = importlib.import_module(f"papers.{paper.slug}.config")
    config = preset_named(settings.PRESETS, options.preset)
    if options.variant:
        config = with_variant(config, settings.VARIANTS, options.variant)
    workload = settings.workload(config)
    print(render_plan(plan(workload, gpus=options.gpus, gpu=options.gpu, mfu=options.mfu)))


def _new(options: argparse.Namespace) -> None:
    from core.skeleton import write_skeleton

    print(write_skeleton(options.slug))


if __name__ == "__main__":
    main()
