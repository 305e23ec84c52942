"""The ledger of settings: every run on development data, noted by the run itself in `results/settings.jsonl`.

A claim is fair only if the baseline got as many settings as the method, so the page counts them per arm. A line is a
run: the variant that it is closest to, what differs from that variant at its preset (and which preset that was, since
presets change while settings are chosen), the seed and the numbers.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.experiment.config import fingerprint, preset_named, to_dict, with_variant
from core.experiment.keys import in_repository
from core.experiment.paper import Paper, find
from core.experiment.run import Measurement
from core.files import finite_json, locked, read_json_lines, writable

# They say which run it was, not how it was set.
_NO_SETTING = frozenset({"seed", "split"})


def path(paper: Paper) -> Path:
    """Where a paper keeps its ledger."""
    return paper.folder / "results" / "settings.jsonl"


def note(slug: str, config: Any, measurement: Measurement) -> None:
    """Append a run on development data to the paper's ledger in the repository; the smoke preset is not noted."""
    if getattr(config, "split", "test") != "dev" or not in_repository():
        return
    preset, variant, settings, against = closest(slug, config)
    if preset == "smoke":
        return
    line = {
        "preset": preset,
        "variant": variant,
        "seed": config.seed,
        "settings": settings,
        "against": against,
        "metrics": {name: round(value, 5) for name, value in measurement.metrics.items()},
    }
    target = path(find(slug))
    with writable(target), locked(target), target.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(finite_json(line), ensure_ascii=False) + "\n")


def closest(slug: str, config: Any) -> tuple[str, str, dict[str, Any], str]:
    """Preset, variant, the settings that differ from it, and a fingerprint of it: the cell with the fewest."""
    grid = importlib.import_module(f"papers.{slug}.config")
    wanted = _flat(to_dict(config))
    found = []
    for preset in sorted(grid.PRESETS, key=lambda name: name == "smoke"):  # of equals the one that means something
        for variant in grid.VARIANTS:
            cell = _flat(to_dict(with_variant(preset_named(grid.PRESETS, preset), grid.VARIANTS, variant)))
            differing = {
                name: value
                for name, value in wanted.items()
                if name not in _NO_SETTING and (name not in cell or cell[name] != value)
            }
            standing = fingerprint({name: value for name, value in cell.items() if name not in _NO_SETTING})
            found.append((preset, variant, differing, standing))
    return min(found, key=lambda cell: len(cell[2]))


def counts(paper: Paper) -> dict[str, int]:
    """Number of different settings tried on development data, by variant.

    The same difference with the same seed and other numbers is another setting: preset or code changed in between.
    """
    tried: dict[str, dict[str, dict[int, set[str]]]] = {}
    for line in read_json_lines(path(paper)):
        setting = json.dumps([line["settings"], line.get("against")], sort_keys=True)
        by_seed = tried.setdefault(line["variant"], {}).setdefault(setting, {})
        by_seed.setdefault(line["seed"], set()).add(json.dumps(line["metrics"], sort_keys=True))
    return {
        variant: sum(max(map(len, by_seed.values())) for by_seed in settings.values())
        for variant, settings in tried.items()
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
