"""The `papers` command, and what every `python -m papers.<slug>.{train,eval}` shares.

    papers                         list: slug, title, year, verdicts, minutes
    papers show mexa               the card and the recorded claims
    papers reproduce mexa          variants x seeds -> claims table, figure, page; resumes where it stopped
    papers reproduce mexa --quick  the first claim with one seed, and outputs to look at
    papers reproduce --all --jobs 4     cells side by side; `--executor slurm` hands them to a cluster
    papers replicate mexa          the recorded claims with fresh seeds: does the record hold?
    papers power mexa              what the seeds can decide
    papers judge mexa              the recorded measurements under the present card
    papers plan bimedix --gpus 8   what the real thing costs; --simulate runs a step of it on fake tensors
    papers new my_paper            a skeleton that passes the contract tests

Exit codes: 0 success, 1 our mistake, 2 the user's (one sentence, no traceback), 130 and 143 interrupted, 141 where the
reader of the output has gone.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from core.errors import UserError, shorten
from core.experiment.config import preset_named, with_variant
from core.experiment.entrypoint import closed_pipes_end, exit_codes, prepare
from core.printing import escaped


def main(arguments: Sequence[str] | None = None) -> None:
    """The `papers` command."""
    prepare()
    with closed_pipes_end(), escaped():
        options = _parser().parse_args(arguments)
    with exit_codes(debug=getattr(options, "debug", False)):
        options.call(options)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(shorten(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="papers", description="Multilingual language-model papers: read, run, see, use, scale.")
    parser.set_defaults(call=_list, debug=False)
    commands = parser.add_subparsers(title="commands", metavar="")
    for name, call, help in (
        ("list", _list, "all papers with their verdicts"),
        ("show", _show_paper, "one paper: card, claims, recorded results"),
        ("reproduce", _reproduce, "run what a paper's claims need and judge them"),
        ("replicate", _replicate, "run the recorded claims with seeds that were never used"),
        ("power", _power, "what the seeds can decide, from the spread of what was measured"),
        ("judge", _judge, "judge the recorded measurements under the present card"),
        ("plan", _plan, "what the paper scale costs: parameters, FLOPs, memory, GPU-hours"),
        ("new", _new, "write the skeleton of a new paper"),
    ):
        command = commands.add_parser(name, help=help, description=help)
        command.set_defaults(call=call)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name in {"show", "plan", "new", "replicate", "power", "judge"}:
            command.add_argument("slug", help="the paper")
        if name == "reproduce":
            _reproduce_options(command)
        if name == "replicate":
            _replicate_options(command)
        if name == "plan":
            _plan_options(command)
    return parser


def _reproduce_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("slug", nargs="?", help="the paper")
    command.add_argument("--quick", action="store_true", help="the first claim, one seed, and outputs to look at")
    command.add_argument("--all", action="store_true", help="all papers, their cells side by side")
    command.add_argument("--preset", default="tiny", help="scale to run at (default: tiny)")
    command.add_argument("--seeds", type=int, nargs="+", help="seeds (default: the paper's)")
    command.add_argument(
        "--record", action="store_true", help="write results, figure, page and scoreboard into the repository"
    )
    command.add_argument("--out", type=Path, default=Path("runs"), help="where the runs are kept (default: runs)")
    command.add_argument("--quiet", action="store_true", help="plain log lines instead of progress bars")
    command.add_argument("--jobs", type=int, metavar="N", help="cells side by side (default: one for each core)")
    command.add_argument(
        "--executor",
        choices=("here", "slurm", "local"),
        default="here",
        help="who computes the cells: processes of this machine, or jobs of a cluster; `local` goes the cluster's way "
        "on this machine (default: here)",
    )
    command.add_argument(
        "--slurm",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="options of the jobs, in submitit's spelling: partition=gpu time=240 gpus_per_node=1",
    )


def _replicate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seeds", type=int, nargs="+", help="seeds that were never used (default: fresh ones)")
    command.add_argument("--jobs", type=int, help="runs side by side (default: as many as there are cores)")
    command.add_argument("--record", action="store_true", help="keep the comparison and show it on the page")
    command.add_argument("--out", type=Path, default=Path("runs"), help="where the runs are kept (default: runs)")
    command.add_argument("--quiet", action="store_true", help="plain log lines instead of a progress bar")


def _plan_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--preset", default="paper", help="scale to plan for (default: paper)")
    command.add_argument("--variant", help="variant of the configuration")
    command.add_argument("--gpus", type=int, default=8, help="number of GPUs (default: 8)")
    command.add_argument("--gpu", default="h100", help="kind of GPU (default: h100)")
    command.add_argument("--mfu", type=float, default=0.4, help="share of the peak that is reached (default: 0.4)")
    command.add_argument("--record", action="store_true", help="put the commands of all presets on the paper's page")
    command.add_argument(
        "--simulate",
        action="store_true",
        help="run a step of training and of evaluation on fake tensors; no GPU needed",
    )


def _list(options: argparse.Namespace) -> None:
    from core.experiment.report import overview

    overview()


def _show_paper(options: argparse.Namespace) -> None:
    from core.experiment.paper import find
    from core.experiment.report import card

    card(find(options.slug))


def _reproduce(options: argparse.Namespace) -> None:
    from core.experiment.paper import discover, find
    from core.experiment.reproduce import reproduce

    if options.all == bool(options.slug):
        raise UserError("Say what to reproduce: a paper's slug, or --all.")
    if options.jobs is not None and options.jobs < 1:
        raise UserError(f"--jobs {options.jobs}: give at least 1.")
    if options.quick:
        from core.experiment.revisit import quick

        if options.all or options.record:
            raise UserError("--quick looks at one paper and records nothing: leave --all and --record out.")
        quick(find(options.slug), out=options.out, jobs=options.jobs, quiet=options.quiet)
        return
    if options.slurm and options.executor == "here":
        raise UserError("--slurm has no effect without --executor slurm.")
    if wrong := [entry for entry in options.slurm if "=" not in entry]:
        raise UserError(f"--slurm {wrong[0]} is no option: write KEY=VALUE, such as partition=gpu.")
    reproduce(
        discover() if options.all else (find(options.slug),),
        preset=options.preset,
        seeds=tuple(options.seeds) if options.seeds else None,
        out=options.out,
        record=options.record,
        quiet=options.quiet,
        jobs=options.jobs,
        executor=options.executor,
        options=dict(entry.split("=", 1) for entry in options.slurm),
        debug=options.debug,
    )


def _replicate(options: argparse.Namespace) -> None:
    from core.experiment.paper import find
    from core.experiment.revisit import replicate

    replicate(
        find(options.slug),
        seeds=options.seeds,
        out=options.out,
        jobs=options.jobs,
        quiet=options.quiet,
        record=options.record,
    )


def _power(options: argparse.Namespace) -> None:
    from core.experiment.paper import find
    from core.experiment.power import print_power

    print_power(find(options.slug))


def _judge(options: argparse.Namespace) -> None:
    from core.experiment.paper import find
    from core.experiment.report import print_claims
    from core.experiment.revisit import rejudge

    paper = find(options.slug)
    print_claims(paper, rejudge(paper))


def _plan(options: argparse.Namespace) -> None:
    from core.cost.launch import commands, update_launch
    from core.cost.plan import plan, render_plan
    from core.experiment.paper import find

    paper = find(options.slug)
    settings = importlib.import_module(f"papers.{paper.slug}.config")
    config = preset_named(settings.PRESETS, options.preset)
    if options.variant:
        config = with_variant(config, settings.VARIANTS, options.variant)
    result = plan(settings.workload(config), gpus=options.gpus, gpu=options.gpu, mfu=options.mfu)
    trains = (paper.folder / "train.py").exists()
    print(f"{render_plan(result)}\n")
    for line in commands(paper.slug, options.preset, result, trains=trains, variant=options.variant):
        print(line)
    if options.record:
        print(f"\npage: {update_launch(paper)}")
    if options.simulate:
        from core.cost.simulate import render, simulate_paper

        steps = simulate_paper(paper.slug, options.preset, options.variant, options.gpus)
        print(f"\n{render(steps, options.gpu)}")
        if not all(step.fits(options.gpu) for step in steps):
            raise SystemExit(1)


def _new(options: argparse.Namespace) -> None:
    from core.cost.launch import update_launch
    from core.experiment.paper import find
    from core.experiment.skeleton import write_skeleton

    print(write_skeleton(options.slug))
    update_launch(find(options.slug))


if __name__ == "__main__":
    main()
