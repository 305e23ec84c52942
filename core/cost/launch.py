"""The commands that start a paper's real run, from its preset: how many GPUs, whether the model is sharded over them.

papers plan marco_llm --gpus 32     prints them after the plan
papers plan marco_llm --record      puts those for eight GPUs, or as many as it needs, on the paper's page
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from core.cost.plan import Cost, Plan, chosen_strategies, plan
from core.experiment.config import preset_named
from core.experiment.paper import Paper
from core.experiment.report import recording, replace_between
from core.files import write_text

# GPUs of one machine.
MACHINE = 8


def commands(slug: str, preset: str, result: Plan, *, trains: bool, variant: str | None = None) -> list[str]:
    """How a preset is trained and evaluated, a command each.

    Training takes the plan's GPUs, or as many more machines as its memory needs. It is sharded (FSDP2) where one GPU
    does not hold the method's own strategy. What trains no network runs as one process.

    Args:
        slug: The paper.
        preset: Of its configuration.
        result: Its plan.
        trains: Whether the paper has a `train`.
        variant: Of its configuration.
    """
    run = f"papers.{slug}.{{}} {preset}" + (f" --variant {variant}" if variant else "")
    trained = [cost for cost in result.costs if cost.workload.kind == "training" and cost.workload.method != "frozen"]
    lines = []
    if trains and trained:
        sharded, needs = _needs(trained)
        gpus = max(result.gpus, needs)
        machines = -(-gpus // MACHINE)
        options = [f"--config_file configs/accelerate/{'fsdp2' if sharded else 'ddp'}.yaml"]
        if machines > 1:
            gpus = machines * MACHINE
            options += [f"--num_machines {machines}", '--machine_rank "$RANK"', '--main_process_ip "$HOST"']
            options += ["--main_process_port 29500"]
        options += [f"--num_processes {gpus}"]
        lines.append(f"accelerate launch {' '.join(options)} -m {run.format('train')}")
    elif trains:
        lines.append(f"python -m {run.format('train')}")
    return [*lines, f"python -m {run.format('eval')}"]


def _needs(costs: list[Cost]) -> tuple[bool, int]:
    """Whether something is sharded, and the fewest GPUs on which all fits (1 where more would not help)."""
    sharded, needs = False, 1
    for cost in costs:
        whole, *shards = [memory for memory in cost.memory if memory.strategy in chosen_strategies(cost.workload)]
        if not whole.fits and shards:
            sharded, needs = True, max(needs, shards[0].needs or 1)
    return sharded, needs


def update_launch(paper: Paper) -> Path:
    """Put the commands into the generated part of the paper's page."""
    path = paper.folder / "README.md"
    with recording():
        write_text(path, replace_between(path.read_text(encoding="utf-8"), "launch", launch_markdown(paper)))
    return path


@cache
def launch_markdown(paper: Paper, gpus: int = MACHINE, gpu: str = "h100") -> str:
    """The block on a paper's page: the commands of every preset at its scale, with what they cost."""
    settings = importlib.import_module(f"papers.{paper.slug}.config")
    trains = (paper.folder / "train.py").exists()
    lines = [
        f"The scale of the paper, on {gpus} GPUs or as many as its memory takes. Where commands above name data or "
        "tools of yours, these take the same options.",
        "",
        "```bash",
    ]
    for preset in (name for name in settings.PRESETS if name.startswith("paper")):
        result = plan(settings.workload(preset_named(settings.PRESETS, preset)), gpus=gpus, gpu=gpu)
        if result.gpu_hours >= 0.05:
            hours = f"{result.gpu_hours:,.0f}" if result.gpu_hours >= 10 else f"{result.gpu_hours:.1f}"
            lines.append(f"# {hours} GPU-hours of {gpu.upper()} at {result.mfu:.0%} of its peak")
        lines += commands(paper.slug, preset, result, trains=trains)
    several = any("$RANK" in line for line in lines)
    ranks = "`$RANK` counts the machines from 0, `$HOST` is the first one's address. " if several else ""
    more = f"`papers plan {paper.slug} --gpus 16` plans for other numbers; [Slurm](../../docs/guide/cluster.md)."
    return "\n".join([*lines, "```", "", f"{ranks}{more}"])
