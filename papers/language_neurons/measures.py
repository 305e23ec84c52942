"""Which neurons are switched off and what that costs; where neurons are, and how many, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from core.errors import UserError
from core.metrics.likelihood import letter_bits
from core.models.loading import Loaded
from core.text.languages import language
from core.training.losses import label_log_probs
from papers.language_neurons import data, method
from papers.language_neurons.data import Texts
from papers.language_neurons.method import Activity, Neurons

Shares = dict[str, float]
"""A number of each language."""
Units = dict[str, Shares]
"""By metric."""
Matrix = dict[str, Shares]
"""What changes, by the language that is switched off and the language that is measured."""


# --- what is switched off ---------------------------------------------------------------------------------------------


def masks_of(measured: Activity, found: Neurons, kind: Any, seed: int) -> dict[str, Tensor]:
    """What is switched off for each language: neurons of a kind; `random` ones, as many as are related, of the same
    layers; or `padded`, those that are related and as many random ones as are general."""
    if kind not in ("random", "padded"):
        return {code: found.of(k, kind) for k, code in enumerate(measured.languages)}
    related, generator = masks_of(measured, found, "related", seed), torch.Generator().manual_seed(seed)
    if kind == "random":
        return {code: matched(own, measured, generator) for code, own in related.items()}
    drawn = {code: matched(found.general, measured, generator) for code in related}
    return {code: torch.cat([own, drawn[code]]).unique() for code, own in related.items()}


def matched(neurons: Tensor, measured: Activity, generator: torch.Generator) -> Tensor:
    """As many neurons of the same layers, drawn from the others of each."""
    taken = torch.zeros(len(measured.shares), dtype=torch.bool).index_fill(0, neurons, True)
    found, start = [], 0
    for layer in taken.split(list(measured.layers.values())):
        free = (~layer).nonzero().flatten()
        found.append(start + free[torch.randperm(len(free), generator=generator)[: layer.sum()]])
        start += len(layer)
    return torch.cat(found).sort().values


def losses(
    loaded: Loaded,
    measured: Activity,
    masks: Mapping[str, Tensor],
    texts: Mapping[str, Texts],
    before: dict[str, float],
) -> Matrix:
    """How many more nats a token each language costs when what belongs to a language is switched off."""
    found = Matrix()
    for code, neurons in masks.items():
        with method.switched_off(loaded.model, measured, neurons):
            after = nats_of(loaded, texts) if len(neurons) else before
        found[code] = {other: after[other] - before[other] for other in texts}
    return found


def nats_of(loaded: Loaded, texts: Mapping[str, Texts]) -> dict[str, float]:
    """Mean negative log-likelihood of the true tokens by language; rows of all languages share batches."""
    flat = [(code, row) for code, own in texts.items() for row in data.rows(loaded, own)]
    found: dict[str, list[float]] = {code: [] for code in texts}
    with torch.inference_mode():
        for batch in data.batches([row for _, row in flat]):
            places = batch.pop("row").tolist()
            del batch["counted"]
            batch = {name: value.to(loaded.model.device) for name, value in batch.items()}
            values, owners = label_log_probs(loaded.model, batch)
            for value, owner in zip(values.tolist(), owners.tolist(), strict=True):
                found[flat[places[owner]][0]].append(-value)
    if empty := [code for code, values in found.items() if not values]:
        raise UserError(f"There is no token to measure in {empty[0]!r}: give texts of more than one token.")
    return {code: fmean(values) for code, values in found.items()}


def summary(matrix: Matrix) -> tuple[dict[str, float], Units]:
    """A matrix in numbers, by the language that is switched off: its `own` change, the mean of `others`, and their
    difference (`selective`), also against languages of the same kind of script alone (`nearby`)."""
    latin = {code: language(code).script == "Latn" for code in matrix}
    units: Units = {name: {} for name in ("own", "others", "selective", "nearby")}
    for code, row in matrix.items():
        others = {other: value for other, value in row.items() if other != code}
        units["own"][code], units["others"][code] = row[code], fmean(others.values())
        units["selective"][code] = row[code] - units["others"][code]
        if near := [value for other, value in others.items() if latin[other] == latin[code]]:
            units["nearby"][code] = row[code] - fmean(near)
    metrics = {"english": matrix["en"]["en"]} if "en" in matrix else {}
    if rest := [row[code] for code, row in matrix.items() if code != "en"]:
        metrics["least_of_others"] = min(rest)
    return metrics, units


def speaks(
    loaded: Loaded, read: Mapping[str, Texts], held: Mapping[str, Texts], nats: Mapping[str, float]
) -> dict[str, float]:
    """How many bits a byte the model saves against one that knows how often letters are."""
    found = {}
    for code, own in held.items():
        lines = [text for _, text in own]
        tokens = sum(label >= 0 for row in data.rows(loaded, own) for label in row["labels"][1:])
        bits = nats[code] * tokens / log(2) / len("".join(lines).encode())
        found[code] = letter_bits([text for _, text in read[code]], lines) - bits
    return found


# --- where neurons are, and how many ----------------------------------------------------------------------------------


def by_layer(measured: Activity, neurons: Tensor) -> list[int]:
    """How many of some neurons each layer has."""
    places = measured.places(neurons)
    return [len(places.get(path, ())) for path in measured.layers]


def layers(measured: Activity, found: Neurons) -> dict[str, list[int]]:
    """How many neurons of each kind every layer has."""
    number, most = found.active[found.chosen].sum(1), len(measured.languages)
    kinds = {"specific": found.chosen[number == 1], "related": found.chosen[(number > 1) & (number < most)]}
    return {name: by_layer(measured, neurons) for name, neurons in {**kinds, "general": found.general}.items()}


def histogram(found: Neurons) -> list[int]:
    """How many of the kept are active in 0, 1, ... l languages."""
    return found.active[found.chosen].sum(1).bincount(minlength=found.active.shape[1] + 1).tolist()


def stages(measured: Activity, found: Neurons) -> tuple[dict[str, float], Units]:
    """Layers in numbers: `language` neurons (specific or related) and general ones, as thousandths of a layer's, by
    layer but for the last; means of the former in the stages that the paper tells apart; and the share of general ones
    among those that are active in some language, in the last layer and in the others."""
    of, sizes = layers(measured, found), list(measured.layers.values())
    parts = {
        "language": [1000 * (a + b) / n for a, b, n in zip(of["specific"], of["related"], sizes, strict=True)],
        "general": [1000 * a / n for a, n in zip(of["general"], sizes, strict=True)],
    }
    units = {f"{name}_layers": {f"{i:03d}": v for i, v in enumerate(own[:-1])} for name, own in parts.items()}
    most = max(1, len(sizes) // 8)  # the paper's first stage is four of 32 layers
    middle = slice(most, max(most + 1, len(sizes) // 2))
    some = by_layer(measured, found.active.any(1).nonzero().flatten())
    general = [a / n for a, n in zip(of["general"], some, strict=True) if n]
    metrics = {"general_last": general[-1], "general_others": fmean(general[:-1] or general)}
    metrics |= {"language_first": fmean(parts["language"][:most]), "language_middle": fmean(parts["language"][middle])}
    return metrics, units


def counts(found: Neurons, codes: Sequence[str]) -> Units:
    """Neurons of each language that are specific, and that are related and not specific."""
    specific = {code: float(len(found.of(k, "specific"))) for k, code in enumerate(codes)}
    return {"specific": specific, "shared": {c: len(found.of(k, "related")) - specific[c] for k, c in enumerate(codes)}}


def owned(found: Neurons, codes: Sequence[str]) -> dict[str, float]:
    """Neurons, specific or related, of English, for each that another language has on average; 1 where none has any."""
    number = {code: len(found.of(k, "related")) for k, code in enumerate(codes)}
    others = [count for code, count in number.items() if code != "en"]
    if "en" not in number or not others:
        return {}
    return {"owned_english": number["en"] / fmean(others) if any(others) else 1.0}


def found_again(measured: Activity, masks: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> tuple[Shares, Shares]:
    """By language, the share of its neurons that are there again, and what is expected of as many others of the same
    layers; languages without any are left out."""
    share, chance = Shares(), Shares()
    for code, own in masks.items():
        if len(own):
            sides = (by_layer(measured, own), by_layer(measured, others[code]), measured.layers.values())
            chance[code] = sum(a * b / size for a, b, size in zip(*sides, strict=True)) / len(own)
            share[code] = float(torch.isin(own, others[code]).float().mean())
    return share, chance
