"""The `papers` command; what every paper's own modules share is in :mod:`core.experiment.entrypoint`.

    papers                         list: slug, title, year, family, claims, minutes
    papers show mexa               the card and the recorded claims
    papers compare mexa transmi    two papers side by side
    papers try mexa --model M --data F     its main verb on your own model and data, with a report
    papers reproduce mexa          variants x seeds -> claims table, figure, page; resumes where it stopped
    papers reproduce mexa --quick  the first claim with one seed, and outputs to look at
    papers reproduce --all --jobs 4     cells side by side; `--executor slurm` hands them to a cluster
    papers replicate mexa          the recorded claims with fresh seeds: does the record hold?
    papers power mexa              what the seeds can decide
    papers judge mexa              the recorded measurements under the present card
    papers plan bimedix --gpus 8   what the real thing costs; --simulate runs a step of it on fake tensors
    papers new my_paper            a skeleton that runs and is judged, ready to be filled
    papers completion bash         what makes the shell complete commands, papers and presets

`papers`, `show`, `compare` and `plan` take --json, for programs. Exit codes: 0 success, 1 our mistake, 2 the user's
(one sentence, no traceback), 130 and 143 interrupted, 141 where the reader of the output has gone.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from core.errors import UserError, shorten
from core.experiment.config import preset_named, with_variant
from core.experiment.entrypoint import closed_pipes_end, exit_codes, prepare
from core.experiment.paper import slugs
from core.files import DISTRIBUTION
from core.printing import console, escaped, folded, printable, wrapped

SHELLS = ("bash", "zsh", "fish")


def main(arguments: Sequence[str] | None = None) -> None:
    """The `papers` command."""
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what could stand here
        import argcomplete

        argcomplete.autocomplete(parser)
    prepare()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # What stands behind `--` is for the paper's own verb.
    cut = given.index("--") if given[:1] == ["try"] and "--" in given else len(given)
    with closed_pipes_end(), escaped():
        options = parser.parse_args(given[:cut], argparse.Namespace(more=given[cut + 1 :]))
        if options.json and options.call not in (_list, _show_paper, _compare, _plan):
            parser.error("--json is there for list, show, compare and plan")
    with exit_codes(debug=options.debug):
        options.call(options)


class _Parser(argparse.ArgumentParser):
    """Mistakes are told in one sentence, as everywhere."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.verbs: argparse._SubParsersAction | None = None

    def error(self, message: str) -> NoReturn:
        told = printable(shorten(message[:1].upper() + message[1:]))
        self.exit(2, f"{told}; `{self.prog} --help` shows what can be said.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action is self.verbs and value not in self.verbs.choices:
            self.exit(2, f"{printable(shorten(_unknown(value, self.verbs.choices)))}\n")
        super()._check_value(action, value)


def _unknown(verb: str, known: Iterable[str]) -> str:
    if verb in slugs():
        return f"{verb!r} is a paper, no command: say `papers show {verb}` or `papers reproduce {verb}`."
    near = difflib.get_close_matches(verb, known, n=1)
    hint = f"did you mean `papers {near[0]}`?" if near else f"the commands are {', '.join(known)}."
    return f"There is no command {verb!r}: {hint}"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="papers", description="Multilingual language-model papers: read, run, see, use, scale.")
    parser.set_defaults(call=_list, debug=False)
    parser.add_argument("--json", action="store_true", help="data for programs")
    parser.add_argument("--version", action="store_const", dest="call", const=_version, help="version and commit")
    commands = parser.add_subparsers(title="commands", metavar="")
    parser.verbs = commands
    options: dict[str, Callable[[argparse.ArgumentParser], None]] = {
        "reproduce": _reproduce_options,
        "replicate": _replicate_options,
        "plan": _plan_options,
        "compare": _compare_options,
        "completion": _completion_options,
        "try": _try_options,
    }
    for name, call, help in (
        ("list", _list, "all papers with their verdicts"),
        ("show", _show_paper, "one paper: card, claims, recorded results"),
        ("compare", _compare, "two papers side by side"),
        ("try", _try, "a paper's main verb on your own data and model, with a report"),
        ("reproduce", _reproduce, "run what a paper's claims need and judge them"),
        ("replicate", _replicate, "run the recorded claims with seeds that were never used"),
        ("power", _power, "what the seeds can decide, from the spread of what was measured"),
        ("judge", _judge, "judge the recorded measurements under the present card"),
        ("plan", _plan, "what the paper scale costs: parameters, FLOPs, memory, GPU-hours"),
        ("new", _new, "write the skeleton of a new paper"),
        ("completion", _completion, "print what makes the shell complete this command"),
    ):
        command = commands.add_parser(name, help=help, description=help)
        command.set_defaults(call=call)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name in {"list", "show", "compare", "plan"}:
            # Left out, it keeps what was said before the verb.
            command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="data for programs")
        if name in {"show", "try", "plan", "replicate", "power", "judge"}:
            _completed(command.add_argument("slug", help="the paper"), slugs)
        if name == "new":
            command.add_argument("slug", help="the new paper's name, such as my_paper")
        if name in options:
            options[name](command)
    return parser


def _completed(argument: argparse.Action, choices: Callable[..., Iterable[str]]) -> None:
    """What the shell offers for an argument; a sentence of ours, not argparse's, tells of a wrong one."""
    argument.completer = lambda parsed_args, **_: choices(parsed_args) if choices is not slugs else slugs()  # type: ignore[attr-defined]


def _settings(name: str) -> Callable[[argparse.Namespace], Iterable[str]]:
    """The presets or variants of the paper that stands on the command line."""

    def known(options: argparse.Namespace) -> Iterable[str]:
        slug = getattr(options, "slug", None)
        return getattr(importlib.import_module(f"papers.{slug}.config"), name) if slug in slugs() else ()

    return known


def _reproduce_options(command: argparse.ArgumentParser) -> None:
    _completed(command.add_argument("slug", nargs="?", help="the paper"), slugs)
    command.add_argument("--quick", action="store_true", help="the first claim, one seed, and outputs to look at")
    command.add_argument("--all", action="store_true", help="all papers, their cells side by side")
    preset = command.add_argument("--preset", default="tiny", help="scale to run at (default: tiny)")
    _completed(preset, _settings("PRESETS"))
    command.add_argument("--seeds", type=int, nargs="+", help="seeds (default: the paper's)")
    command.add_argument(
        "--record", action="store_true", help="write results, figure and (tiny) page and scoreboard into the repository"
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


def _try_options(command: argparse.ArgumentParser) -> None:
    command.epilog = "Further options of the paper's verb come last, behind a `--`."
    command.add_argument("--model", help="hub id, folder or wheel")
    command.add_argument("--data", help="file, folder or hub dataset; without it, what to bring is told")
    command.add_argument("--language", help="code or name of the language, where one is asked for")
    command.add_argument("--out", type=Path, help="folder of the report (default: try/<paper>)")


def _replicate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seeds", type=int, nargs="+", help="seeds that were never used (default: fresh ones)")
    command.add_argument("--jobs", type=int, help="runs side by side (default: as many as there are cores)")
    command.add_argument("--record", action="store_true", help="keep the comparison and show it on the page")
    command.add_argument("--out", type=Path, default=Path("runs"), help="where the runs are kept (default: runs)")
    command.add_argument("--quiet", action="store_true", help="plain log lines instead of a progress bar")


def _plan_options(command: argparse.ArgumentParser) -> None:
    preset = command.add_argument("--preset", default="paper", help="scale to plan for (default: paper)")
    _completed(preset, _settings("PRESETS"))
    variant = command.add_argument("--variant", help="variant of the configuration")
    _completed(variant, _settings("VARIANTS"))
    command.add_argument("--gpus", type=int, default=8, help="number of GPUs (default: 8)")
    command.add_argument("--gpu", default="h100", help="kind of GPU (default: h100)")
    command.add_argument("--mfu", type=float, default=0.4, help="share of the peak that is reached (default: 0.4)")
    command.add_argument("--record", action="store_true", help="put the commands of all presets on the paper's page")
    command.add_argument(
        "--simulate",
        action="store_true",
        help="run a step of training and of evaluation on fake tensors; no GPU needed",
    )


def _compare_options(command: argparse.ArgumentParser) -> None:
    for name in ("slug", "other"):
        _completed(command.add_argument(name, help="a paper"), slugs)


def _completion_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=SHELLS, help='in bash and zsh: eval "$(papers completion bash)"')


def _version(options: argparse.Namespace) -> None:
    from core.experiment.run import commit, version

    at = f", commit {commit()}" if commit() else ""
    print(f"{DISTRIBUTION} {version()}{at}, Python {'.'.join(map(str, sys.version_info[:3]))}")


def _completion(options: argparse.Namespace) -> None:
    import argcomplete

    print(argcomplete.shellcode(["papers"], shell=options.shell))


def _list(options: argparse.Namespace) -> None:
    from core.experiment import terminal
    from core.experiment.paper import discover

    if options.json:
        terminal.print_json([terminal.listed(paper) for paper in discover()])
    else:
        terminal.overview()


def _show_paper(options: argparse.Namespace) -> None:
    from core.experiment import terminal
    from core.experiment.paper import find

    paper = find(options.slug)
    if options.json:
        terminal.print_json(terminal.described(paper))
    else:
        terminal.card(paper)


def _compare(options: argparse.Namespace) -> None:
    from core.cost.plan import plan
    from core.experiment import terminal
    from core.experiment.paper import find

    if options.slug == options.other:
        raise UserError(f"{options.slug} is compared with itself: name two papers.")
    papers = [find(options.slug), find(options.other)]
    plans = []
    for paper in papers:
        settings = importlib.import_module(f"papers.{paper.slug}.config")
        plans.append(plan(settings.workload(settings.PRESETS["paper"])))
    if options.json:
        costs = [{"gpu": cost.gpu, "mfu": cost.mfu, "gpu_hours": cost.gpu_hours} for cost in plans]
        shown = [{**terminal.described(p), "paper_scale": cost} for p, cost in zip(papers, costs, strict=True)]
        terminal.print_json(shown)
    else:
        hours = [f"{cost.gpu_hours:,.1f}" if cost.gpu_hours >= 0.05 else "less than 0.1" for cost in plans]
        terminal.compare(papers, [f"{hour} GPU-hours of {plans[0].gpu.upper()}" for hour in hours])


def _try(options: argparse.Namespace) -> None:
    from core.experiment.paper import find
    from core.experiment.trying import attempt, trial

    slug, how = find(options.slug).slug, trial(options.slug)
    given = {name: getattr(options, name) for name in ("data", "model", "language")}
    if not any(given.values()):
        needs = " ".join(f"--{name} {name.upper()}" for name in how.needs)
        for told in (f"Bring {how.data}", f"It tells: {how.means}", f"Not: {how.limits}"):
            print(told)
        print(f"\npapers try {slug} {needs}" + (f" -- {how.more}" if how.more else ""))
        return
    report = attempt(slug, given, options.out or Path("try") / slug, options.more)
    print(f"Report: {report}")


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
        if options.preset != "tiny" or options.seeds or options.executor != "here" or options.slurm:
            raise UserError("--quick is the tiny scale, one seed, here: leave --preset, --seeds and --executor out.")
        quick(find(options.slug), out=options.out, jobs=options.jobs, quiet=options.quiet)
        return
    if options.slurm and options.executor == "here":
        raise UserError("--slurm has no effect without --executor slurm.")
    if wrong := [entry for entry in options.slurm if "=" not in entry]:
        raise UserError(f"--slurm {wrong[0]} is no option: write KEY=VALUE, such as partition=gpu.")
    _recorded_here(options)
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


def _recorded_here(options: argparse.Namespace) -> None:
    """Before the work, not after it."""
    if options.record:
        from core.experiment.report import check_repository

        check_repository()


def _replicate(options: argparse.Namespace) -> None:
    from core.experiment.paper import find
    from core.experiment.revisit import replicate

    _recorded_here(options)
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
    from core.experiment.revisit import rejudge
    from core.experiment.terminal import print_claims

    paper = find(options.slug)
    print_claims(paper, rejudge(paper))


def _plan(options: argparse.Namespace) -> None:
    from core.cost.launch import commands, update_launch
    from core.cost.plan import plan, plan_data, render_plan
    from core.experiment.paper import find
    from core.experiment.terminal import print_json

    if options.json and (options.record or options.simulate):
        raise UserError("--json prints the plan alone: leave --record and --simulate out.")
    paper = find(options.slug)
    settings = importlib.import_module(f"papers.{paper.slug}.config")
    config = preset_named(settings.PRESETS, options.preset)
    if options.variant:
        config = with_variant(config, settings.VARIANTS, options.variant)
    result = plan(settings.workload(config), gpus=options.gpus, gpu=options.gpu, mfu=options.mfu)
    trains = (paper.folder / "train.py").exists()
    starts = commands(paper.slug, options.preset, result, trains=trains, variant=options.variant)
    if options.json:
        print_json({"slug": paper.slug, "preset": options.preset, **plan_data(result), "commands": starts})
        return
    width = console().width
    print(f"{render_plan(result, width)}\n")
    for line in starts:
        print(folded(line, width))
    if options.record:
        print(f"\npage: {update_launch(paper)}")
    if options.simulate:
        from core.cost.simulate import render, simulate_paper

        steps = simulate_paper(paper.slug, options.preset, options.variant, options.gpus)
        print(f"\n{wrapped(render(steps, options.gpu), width)}")
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
