"""Merging two checkpoints, layer by layer: a tensor at a time against both models in memory.

Layer swapping of two folders in shards. What a user would write instead loads both with transformers in float32, builds
the state dictionary and saves the model. Each runs in a process of its own and says, without its imports, how long it
took and by how much its memory grew. Pages of files do not count, since the system takes them back when it needs them.
The two results have to be the same to the last bit.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.common import Comparison

SHARD, REPEATS = "60MB", 3

STREAMED = """
from papers.layer_swapping import Recipe, swapped
def run():
    swapped(task, language, Recipe({recipe}), out)
"""
LOADED = """
from transformers import AutoModelForCausalLM
def run():
    import torch
    one, other = (AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in (task, language))
    theirs, layers = one.state_dict(), one.config.num_hidden_layers
    merged = other.state_dict()
    for name in merged:
        layer = int(name.split(".")[2]) if ".layers." in name else 0
        if {bottom} <= layer < layers - {top}:
            mixed = layer < {bottom} + 1 or layer >= layers - {top} - 1
            merged[name] = 0.5 * merged[name] + 0.5 * theirs[name] if mixed else theirs[name]
    other.load_state_dict(merged)
    other.to(torch.bfloat16).save_pretrained(out, max_shard_size="{shard}")
"""
MEASURED = """
import json, sys, time
import torch, transformers.models.llama.modeling_llama, core.models.merging
from benchmarks.merging import anonymous
task, language, out = sys.argv[1:]
{way}
before, started = anonymous("self"), time.perf_counter()
run()
print(json.dumps([time.perf_counter() - started, before]))
"""


def measure() -> list[Comparison]:
    """Megabytes of weights a second, and megabytes of memory."""
    from papers.layer_swapping import scaled

    with tempfile.TemporaryDirectory() as kept:
        task, language = (expert(Path(kept) / f"expert-{seed}", seed) for seed in (1, 2))
        recipe = scaled(json.loads((task / "config.json").read_text())["num_hidden_layers"])
        streamed = STREAMED.format(recipe=f"{recipe.bottom}, {recipe.top}")
        loaded = LOADED.format(bottom=recipe.bottom, top=recipe.top, shard=SHARD)
        size = sum(file.stat().st_size for file in task.glob("*.safetensors")) / 1e6
        runs = []
        for turn in range(REPEATS):
            outs = [Path(kept) / f"{name}-{turn}" for name in ("streamed", "loaded")]
            runs.append([run(way, task, language, out) for way, out in zip((streamed, loaded), outs, strict=True)])
            check(*outs)
    note = f"SmolLM2-135M twice, {size:.0f} MB of bfloat16 each, in shards of {SHARD}; the results are the same"
    speed, memory = zip(*((theirs[0] / mine[0], mine[1] / theirs[1]) for mine, theirs in runs), strict=True)

    def row(name: str, figure: Callable[..., float], unit: str, ratios: Sequence[float], aim: str) -> Comparison:
        ours, instead = (statistics.median(figure(pair[place]) for pair in runs) for place in (0, 1))
        return Comparison(name, ours, instead, unit, statistics.median(ratios), aim, note, min(ratios), max(ratios))

    ways = "a tensor at a time / both loaded"
    return [
        row(f"merging two checkpoints: {ways}", lambda one: size / one[0], "MB/s", speed, "10"),
        row(f"memory of merging: {ways}", lambda one: one[1] / 1e6, "MB over the imports", memory, "0.2 or less"),
    ]


def expert(folder: Path, seed: int) -> Path:
    """A model that stands for a fine-tune: what it changes does not matter here."""
    from core.models.loading import load

    model, _ = load("wheel:smollm2", dtype="bfloat16")
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.01 * torch.randn_like(weight)
    model.save_pretrained(folder, max_shard_size=SHARD)
    return folder


def anonymous(process: int | str) -> int:
    """Bytes of a process that are in memory and are no pages of a file; 0 of one that has ended."""
    found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return 1024 * int(found[1]) if found else 0


def run(way: str, *paths: Path) -> tuple[float, float]:
    """Seconds, and growth of the memory in bytes up to its peak, in a fresh process."""
    command, peak = [sys.executable, "-c", MEASURED.format(way=way), *map(str, paths)], 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            peak = max(peak, anonymous(child.pid))
            time.sleep(0.002)
        out, err = child.communicate()
    if child.returncode:
        raise RuntimeError(err)
    seconds, before = json.loads(out)
    return seconds, peak - before


def check(one: Path, other: Path) -> None:
    """Both wrote the same weights."""
    from core.models.merging import aligned

    if odd := [name for name, (mine, theirs) in aligned([one, other]) if not torch.equal(mine, theirs)]:
        raise RuntimeError(f"the results differ in {odd[0]}")
