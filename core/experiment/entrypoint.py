"""What every `python -m papers.<slug>.{train,eval,use}` shares: options, run directory, exit codes.

Exit codes: 0 success, 1 our mistake, 2 the user's (one sentence, no traceback), 130 and 143 interrupted, 141 where the
reader of the output has gone.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import importlib
import inspect
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from core.errors import UserError, shorten
from core.experiment import ledger
from core.experiment.config import fingerprint, preset_named, render, resolve, to_dict, validate, with_variant
from core.experiment.paper import PAPERS_DIR, find, slugs
from core.experiment.run import Measurement, Run, check_world, hide_library_bars, is_main_process
from core.experiment.threads import settle, settled
from core.files import cache_dir, disk_is_full, path_is_refused
from core.printing import escaped, printable, styled

Entry = Callable[[Any, Run], Measurement | None]
Verbs = Mapping[str, tuple[type, Callable[[Any], None]]]


def entrypoint(function: Entry, arguments: Sequence[str] | None = None) -> None:
    """Run a paper's `train` or `evaluate` from the command line.

    The configuration comes from preset, variant and fields (:func:`core.experiment.config.resolve`); the run directory
    from `--out`, by default `runs/<slug>/<preset>/<variant>/seed<seed>`, the same for train and eval.
    """
    file = Path(inspect.getfile(function))
    with exit_codes(debug="--debug" in (sys.argv if arguments is None else arguments)):
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
    with run.held():
        if stage == "eval" and _trains(slug) and (reason := run.holds_another()):
            raise UserError(
                f"{reason}, and nothing trained for what would be measured now: run `python -m papers.{slug}.train` "
                "with the same options first; what is there is kept until then."
            )
        if options.overwrite and is_main_process():
            _discard(run, stage)
        run.open()
        # Another process may look before the main one has discarded what is there.
        if not options.overwrite and run.finished(_marker(stage)):
            say(f"{path} is finished; nothing to do (--overwrite runs it again).")
            show((run.finished(_marker(stage)) or {}).get("metrics") or {})
            return
        if is_main_process() and not options.quiet:
            print(f"{settled()}.", file=sys.stderr, flush=True)
        measurement = execute(function, run, stage)
    if measurement is not None and is_main_process():
        show(measurement.to_json()["metrics"])
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
    with exit_codes(debug=debug), styled(given):
        options: Any = tyro.extras.subcommand_cli_from_dict(
            {verb: kind for verb, (kind, _) in verbs.items()},
            prog=f"python -m {module}",
            description=f"{purpose} Every verb takes --dry-run (show its options and stop) and --debug (show the "
            "traceback of an error).",
            args=[argument for argument in given if argument not in ("--dry-run", "--debug")],
        )
        call = next(function for kind, function in verbs.values() if type(options) is kind)
        validate(options)
        if dry_run:
            print(render(options))
            return
        slug = module.split(".")[1]
        if slug in slugs() and (disclaimer := find(slug).disclaimer):
            print(disclaimer, file=sys.stderr)
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
    started, before = time.monotonic(), dict(run.clock)
    measurement = function(run.config, run)
    content = measurement.to_json() if measurement is not None else {}
    stages, waited = (run.clock[name] - before[name] for name in ("stages", "waited"))
    run.finish(_marker(stage), time.monotonic() - started - waited, stages=round(stages, 2), **content)
    if measurement is not None and is_main_process():
        ledger.note(run.slug, run.config, measurement)
    return measurement


def default_path(slug: str, settings: Any, config: Any) -> Path:
    """`runs/<slug>/<preset>/<variant>/seed<n>` for a cell of the grid, `runs/<slug>/custom/<hash>` otherwise."""
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
    if stage == "eval" and _trains(run.slug):
        (run.path / "measurement.json").unlink(missing_ok=True)
    else:
        run.clear()


def _trains(slug: str) -> bool:
    return (PAPERS_DIR / slug / "train.py").exists()


def show(metrics: Mapping[str, float | None]) -> None:
    """Print numbers by name, a line each; counts as they are."""
    for name, value in metrics.items():
        text = "undefined" if value is None or value != value else f"{value:.4f}" if isinstance(value, float) else value
        print(f"  {name:32s} {text}")


# What has a plain spelling; other characters that a terminal cannot show become escapes, so that nothing is lost.
_PLAIN = {
    "✔": "ok", "✘": "no", "○": "o", "–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "≈": "~", "±": "+-", "·": ".",
    "→": "->", "≤": "<=", "≥": ">=", "“": '"', "”": '"', "‘": "'", "’": "'", "\N{NO-BREAK SPACE}": " ",
}  # fmt: skip


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(c) or ascii(c)[1:-1] for c in error.object[error.start : error.end]), error.end


def prepare() -> None:
    """Output that every terminal can show, threads that suit the machine, a cache that can be written.

    Before torch is imported; a second call changes nothing.
    """
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plain")
    settle()
    cache_dir()


@contextlib.contextmanager
def closed_pipes_end() -> Iterator[None]:
    """Who reads our output has seen enough (`| head`): end without a word, as a program that SIGPIPE ends (141)."""
    unread = _is_discarded(sys.stdout)
    try:
        try:
            yield
        finally:  # what is left in a buffer would fail when the interpreter ends
            for stream in _outputs():
                stream.flush()
    except BrokenPipeError:
        closed = [stream for stream in _outputs() if _is_closed(stream)]
        if not closed:
            raise
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            for stream in closed:
                os.dup2(nowhere.fileno(), stream.fileno())
        raise SystemExit(141) from None
    except SystemExit:
        # rich has seen it first: it discards the output and ends as if something had failed.
        if _is_discarded(sys.stdout) and not unread:
            raise SystemExit(141) from None
        raise


def _outputs() -> list[TextIO]:
    return [stream for stream in (sys.stdout, sys.stderr) if stream is not None and not stream.closed]


def _is_closed(stream: TextIO) -> bool:
    """Whether nobody reads a pipe any more; what failed to be written may have left the buffer."""
    try:
        ends = select.poll()
        ends.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in ends.poll(0))
    except (AttributeError, OSError, ValueError):  # Windows, or no file behind it
        return False


def _is_discarded(stream: TextIO | None) -> bool:
    try:
        return stream is not None and os.path.samestat(os.fstat(stream.fileno()), os.stat(os.devnull))
    except (OSError, ValueError):  # no file behind it
        return False


def _memory_is_full(error: Exception) -> str | None:
    """A sentence when what was asked for does not fit into memory, of CPU or GPU, or is larger than a tensor can be."""
    text = str(error)
    # torch has no class of its own for the CPU's memory, nor for sizes beyond 64 bits.
    signs = ("out of memory", "can't allocate memory", "Storage size calculation overflowed", "Overflow when unpacking")
    if isinstance(error, MemoryError) or any(sign in text for sign in signs):
        return f"Not enough memory ({text or 'MemoryError'}): choose a smaller model, batch or length."
    return None


# Modules of the extras, where their names are not those of the packages.
_EXTRAS = {
    "liger_kernel": "gpu", "bitsandbytes": "gpu", "deepspeed": "deepspeed", "submitit": "cluster", "trl": "rl",
    "tensorboard": "trackers", "wandb": "trackers", "trackio": "trackers",
}  # fmt: skip


def _module_is_missing(error: Exception) -> str | None:
    """A sentence when an optional module is not installed; ours are never optional."""
    module = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if not module or module in ("core", "papers"):
        return None
    extra = _EXTRAS.get(module)
    fix = f"run `uv sync --extra {extra}`" if extra else f"run `uv pip install {module}`"
    return f"The module {module} is needed for this and not installed: {fix}."


@contextlib.contextmanager
def exit_codes(*, debug: bool) -> Iterator[None]:
    """Turn exceptions into one sentence and an exit code, and SIGTERM into an orderly stop."""
    prepare()
    terminated = False

    def stop(number: int, frame: Any) -> NoReturn:
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        with closed_pipes_end(), escaped():
            check_world()
            yield
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to go on from here.", file=sys.stderr)
        raise SystemExit(143 if terminated else 130) from None
    except UserError as error:
        print(printable(traceback.format_exc() if debug else error), file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as error:
        if debug:
            print(printable(traceback.format_exc()), file=sys.stderr)
            raise SystemExit(1) from None
        if (
            reason := disk_is_full(error)
            or path_is_refused(error)
            or _memory_is_full(error)
            or _module_is_missing(error)
        ):
            print(printable(shorten(reason)), file=sys.stderr)
            raise SystemExit(2) from None
        words = printable(f"{type(error).__name__}: {shorten(str(error))}")
        print(f"Internal error: {words} (run again with --debug for the traceback).", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        signal.signal(signal.SIGTERM, previous)
