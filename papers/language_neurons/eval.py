"""Find language neurons, switch them off, compare them before and after alignment.

    python -m papers.language_neurons.eval tiny --variant related
    python -m papers.language_neurons.eval tiny --variant mapo           # after papers.language_neurons.train
    python -m papers.language_neurons.eval paper

What switching off does is the difference in mean nats a token, in each language, from the model as it is; where there
are questions, the difference in answers that are right and in the right language too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.language_neurons.config import CALCULATOR, Config
from papers.language_neurons.train import load

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.loading import Loaded
    from papers.language_neurons.data import Texts
    from papers.language_neurons.method import Activity, Kind, Neurons

Matrix = dict[str, dict[str, float]]
"""What changes, by the language that is switched off and the language that is measured."""
_FIELDS = ("metrics", "units", "details")
_NOT_OF_THE_TEXTS = ("rate", "bar", "selection", "silenced", "alignment", "aligned", "preferences", "beta", "dpo")


def evaluate(config: Config, run: Run) -> Measurement:
    """What switching off does, and how right answers are and which neurons there are, each where it is asked for."""
    parts, before = [], None
    if config.name == CALCULATOR or config.alignment != "none" or config.before:
        before = unaligned(config, run)  # its model is let go before another is loaded
    loaded = current(config, run)
    read, held = texts(config, run, loaded)
    if config.silenced != "none":
        parts.append(switching(config, run, loaded, read, held))
    if before:
        parts.append(aligning(config, run, loaded, read, *before))
    merged = [{key: value for part in parts for key, value in getattr(part, name).items()} for name in _FIELDS]
    return Measurement(*merged)


def current(config: Config, run: Run) -> Loaded:
    """The model that is looked at: aligned, if it is."""
    from core.models import loading

    if config.alignment == "none":
        return load(config, run)
    return loading.load(run.artifact, dtype=config.dtype, device_map=config.device_map)


# --- switching off ----------------------------------------------------------------------------------------------------


def switching(
    config: Config, run: Run, loaded: Loaded, read: Mapping[str, Texts], held: Mapping[str, Texts]
) -> Measurement:
    """Effects on the own language and on others, and where the neurons are."""
    from papers.language_neurons import data

    measured = activity_of(config, run, loaded, lambda: read)
    found = identified(config, measured)
    masks = masks_of(measured, found, cast("Kind", config.silenced), config.seed)
    rows = {code: data.rows(loaded.tokenizer, own) for code, own in held.items()}
    before = run.once("nats", unchanged(config, run), lambda: nats_of(loaded.model, rows))
    nats = losses(loaded.model, measured, masks, rows, before)
    metrics, units = summary(nats)
    if config.source:
        metrics_right, units_right = summary(accuracies(config, loaded, measured, masks, held))
        metrics |= {f"answers_{name}": value for name, value in metrics_right.items()}
        units |= {f"answers_{name}": value for name, value in units_right.items()}
    else:
        units |= overlaps(config, run, loaded, masks, measured, read)
        units["speaks"] = speaks(read, held, before, rows)
        metrics["least_spoken"] = min(units["speaks"].values())
    stage_metrics, stage_units = stages(measured, found)
    metrics |= stage_metrics | owned(found, measured.languages)
    units |= counts(found, measured.languages) | stage_units
    metrics |= {name: fmean(values.values()) for name, values in units.items()} | {"tau": found.tau}
    details: dict[str, Any] = {"nats": nats, "before": before, "layers": layers(measured, found)}
    details |= {"lambda": found.weight, "histogram": found.histogram()}
    details["samples"] = [{"off": k, "on": j, "nats": round(v, 3)} for k, row in nats.items() for j, v in row.items()]
    return Measurement(metrics, units, details)


def texts(config: Config, run: Run, loaded: Loaded) -> tuple[dict[str, Texts], dict[str, Texts]]:
    """What neurons are identified from, and what is measured on: the model's own answers, or messages."""
    read, held = run.once("texts", unchanged(config, run), lambda: drawn(config, loaded))
    return (by_lot(read, config.seed) if config.shuffled else read), held


def by_lot(read: Mapping[str, Texts], seed: int) -> dict[str, Texts]:
    """The same texts, each under any of the languages."""
    flat = [pair for own in read.values() for pair in own]
    Random(f"shuffled-{seed}").shuffle(flat)
    rest = iter(flat)
    return {code: [next(rest) for _ in own] for code, own in read.items()}


def drawn(config: Config, loaded: Loaded) -> tuple[dict[str, Texts], dict[str, Texts]]:
    """Texts of every language, before any is shuffled."""
    from core.tasks import mathematics
    from papers.language_neurons import data, miniature

    if config.source:
        asked = mathematics.questions(config.source, config.languages)
        own = {code: rows[: config.texts] for code, rows in asked.items()}
        answered: dict[str, Texts] = {**data.answers(*loaded, own, max_new_tokens=config.max_new_tokens)}
        return answered, {code: rows[: config.tested] for code, rows in answered.items()}
    if config.name != CALCULATOR:
        return miniature.messages(config)
    held = miniature.drawn(config.split, config.tested, config, miniature.languages(config), "held")
    return said(config, loaded), {code: [(one.prompt, one.answer) for one in rows] for code, rows in held.items()}


def activity_of(
    config: Config, run: Run, loaded: Loaded, read: Callable[[], Mapping[str, Texts]], name: str = "activity"
) -> Activity:
    """How often neurons are active in some texts, counted once for all arms that read them with one model."""
    from papers.language_neurons import data, method

    def build(folder: Path) -> None:
        batches = {code: data.batches(data.rows(loaded.tokenizer, own)) for code, own in read().items()}
        data.write_activity(folder, method.activity(loaded.model, batches))

    return data.read_activity(run.stage(name, unchanged(config, run), build))


def unchanged(config: Config, run: Run) -> dict[str, Any]:
    """What decides which texts are read by which model, whatever is switched off."""
    inputs = {key: value for key, value in to_dict(config).items() if key not in _NOT_OF_THE_TEXTS}
    return {**inputs, "model": config.name, "trained": run.artifact if config.alignment != "none" else None}


def masks_of(measured: Activity, found: Neurons, kind: Kind, seed: int) -> dict[str, Tensor]:
    """What is switched off for each language."""
    import torch

    from papers.language_neurons import method

    if kind not in ("random", "padded"):
        return {code: found.of(k, kind) for k, code in enumerate(measured.languages)}
    related, generator = masks_of(measured, found, "related", seed), torch.Generator().manual_seed(seed)
    if kind == "padded":
        return {
            code: torch.cat([neurons, method.matched(found.general, measured, generator)]).unique()
            for code, neurons in related.items()
        }
    return {code: method.matched(neurons, measured, generator) for code, neurons in related.items()}


def losses(
    model: Any, measured: Activity, masks: Mapping[str, Tensor], rows: Mapping[str, Sequence[Any]],
    before: Mapping[str, float] | None = None,
) -> Matrix:  # fmt: skip
    """How many more nats a token each language costs when what belongs to a language is switched off."""
    from papers.language_neurons import method

    found, before = Matrix(), before or nats_of(model, rows)
    for code, neurons in masks.items():
        with method.switched_off(model, measured, neurons):
            after = nats_of(model, rows) if len(neurons) else before
        found[code] = {other: after[other] - before[other] for other in rows}
    return found


def nats_of(model: Any, rows: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """Mean negative log-likelihood of the true tokens by language; rows of all languages share batches."""
    import torch

    from core.training.losses import label_log_probs
    from papers.language_neurons import data

    flat = [(code, row) for code, own in rows.items() for row in own]
    found: dict[str, list[float]] = {code: [] for code in rows}
    with torch.inference_mode():
        for batch in data.batches([row for _, row in flat]):
            places = batch.pop("row").tolist()
            del batch["counted"]
            batch = {name: value.to(model.device) for name, value in batch.items()}
            values, owners = label_log_probs(model, batch)
            for value, owner in zip(values.tolist(), owners.tolist(), strict=True):
                found[flat[places[owner]][0]].append(-value)
    if empty := [code for code, values in found.items() if not values]:
        raise UserError(f"There is no token to measure in {empty[0]!r}: give texts of more than one token.")
    return {code: fmean(values) for code, values in found.items()}


def summary(matrix: Matrix) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """A matrix in numbers, by the language that is switched off: its `own` change, the mean of `others`, and their
    difference (`selective`), also against languages of the same kind of script alone (`nearby`)."""
    from core.text.languages import language

    def latin(code: str) -> bool:
        return language(code).script == "Latn"

    units: dict[str, dict[str, float]] = {name: {} for name in ("own", "others", "selective", "nearby")}
    for code, row in matrix.items():
        others = {other: value for other, value in row.items() if other != code}
        near = [value for other, value in others.items() if latin(other) == latin(code)]
        units["own"][code], units["others"][code] = row[code], fmean(others.values())
        units["selective"][code] = row[code] - units["others"][code]
        if near:
            units["nearby"][code] = row[code] - fmean(near)
    units = {name: values for name, values in units.items() if values}
    metrics = {"english": matrix["en"]["en"]} if "en" in matrix else {}
    if rest := [row[code] for code, row in matrix.items() if code != "en"]:
        metrics["least_of_others"] = min(rest)
    return metrics, units


def counts(found: Neurons, codes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Neurons of each language that are specific, and that are related and not specific."""
    specific = {code: float(len(found.of(k, "specific"))) for k, code in enumerate(codes)}
    both = {code: len(found.of(k, "related")) for k, code in enumerate(codes)}
    return {"specific": specific, "shared": {code: both[code] - specific[code] for code in codes}}


def owned(found: Neurons, codes: Sequence[str]) -> dict[str, float]:
    """Neurons, specific or related, of English, for each that another language has on average; 1 where none has any."""
    number = {code: len(found.of(k, "related")) for k, code in enumerate(codes)}
    others = [count for code, count in number.items() if code != "en"]
    if "en" not in number or not others:
        return {}
    return {"owned_english": number["en"] / fmean(others) if any(others) else 1.0}


def layers(measured: Activity, found: Neurons) -> dict[str, list[int]]:
    """How many neurons of each kind every layer has."""
    number = found.active[found.chosen].sum(1)
    most = found.active.shape[1]
    kinds = {"specific": number == 1, "related": (number > 1) & (number < most)}
    by_layer = {name: measured.by_layer(found.chosen[which]) for name, which in kinds.items()}
    return {**by_layer, "general": measured.by_layer(found.general)}


def stages(measured: Activity, found: Neurons) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
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
    some = measured.by_layer(found.active.any(1).nonzero().flatten())
    general = [a / n for a, n in zip(of["general"], some, strict=True) if n]
    metrics = {"general_last": general[-1], "general_others": fmean(general[:-1] or general)}
    metrics |= {"language_first": fmean(parts["language"][:most]), "language_middle": fmean(parts["language"][middle])}
    return metrics, units


def speaks(
    read: Mapping[str, Texts], held: Mapping[str, Texts], before: Mapping[str, float], rows: Mapping[str, Sequence[Any]]
) -> dict[str, float]:
    """How many bits a byte the model saves against one that knows how often letters are."""
    from math import log

    from core.metrics.likelihood import letter_bits

    found = {}
    for code, own in held.items():
        lines = [text for _, text in own]
        tokens = sum(sum(label >= 0 for label in row["labels"][1:]) for row in rows[code])
        bits = before[code] * tokens / log(2) / len("".join(lines).encode())
        found[code] = letter_bits([text for _, text in read[code]], lines) - bits
    return found


def overlaps(
    config: Config, run: Run, loaded: Loaded, masks: Mapping[str, Tensor], measured: Activity, read: Mapping[str, Texts]
) -> dict[str, dict[str, float]]:
    """The share of what is switched off that is found again in another domain, and by chance; and, as the most that so
    few texts allow, the share of what one half of the texts gives that the other gives too."""
    from papers.language_neurons import miniature

    def found_in(name: str, source: Callable[[], Mapping[str, Texts]], salt: int) -> dict[str, Tensor]:
        other = activity_of(config, run, loaded, source, name)
        return masks_of(other, identified(config, other), cast("Kind", config.silenced), config.seed + salt)

    again = found_in("other", lambda: miniature.other_domain(config), 1)
    parts = [{code: own[i::2] for code, own in read.items()} for i in (0, 1)]
    one, two = (found_in(f"half{i}", partial(dict, part), 2 + i) for i, part in enumerate(parts))
    both = {code: found_again(own, again[code], measured) for code, own in masks.items() if len(own)}
    units = {name: {code: pair[k] for code, pair in both.items()} for k, name in enumerate(("overlap", "chance"))}
    units["halves"] = {code: found_again(own, two[code], measured)[0] for code, own in one.items() if len(own)}
    return {name: own for name, own in units.items() if own}


def identified(config: Config, measured: Activity, like: Neurons | None = None) -> Neurons:
    """The kinds of neurons, chosen as the configuration says."""
    from papers.language_neurons import method

    return method.identify(measured.shares, rate=config.kept, bar=config.bar, selection=config.selection, like=like)


def found_again(own: Tensor, there: Tensor, measured: Activity) -> tuple[float, float]:
    """The share of some neurons that is among others, and what is expected of as many others of the same layers."""
    import torch

    by_layer = zip(measured.by_layer(own), measured.by_layer(there), measured.layers.values(), strict=True)
    return float(torch.isin(own, there).float().mean()), sum(a * b / size for a, b, size in by_layer) / len(own)


def accuracies(
    config: Config, loaded: Loaded, measured: Activity, masks: Mapping[str, Tensor], answered: Mapping[str, Texts]
) -> Matrix:
    """How many more answers are wrong, or in another language, when a language is switched off."""
    from core.tasks import mathematics
    from papers.language_neurons import data, method

    before, found = right_answers(config, answered), Matrix()
    questions = mathematics.questions(config.source, config.languages)
    questions = {code: rows[: config.tested] for code, rows in questions.items()}
    for code, neurons in masks.items():
        with method.switched_off(loaded.model, measured, neurons):
            after = right_answers(config, data.answers(*loaded, questions, max_new_tokens=config.max_new_tokens))
        found[code] = {other: before[other] - after[other] for other in before}
    return found


def right_answers(config: Config, answered: Mapping[str, Texts]) -> dict[str, float]:
    """Share of answers to the first questions with the right number, in the language of the question."""
    from core.metrics.answers import same_number
    from core.tasks import mathematics
    from core.text.identification import identifier

    decide, found = identifier(config.languages), {}
    for code, rows in mathematics.questions(config.source, config.languages).items():
        pairs = zip(rows[: config.tested], answered[code], strict=False)
        found[code] = fmean(
            same_number(text, one.answer, 1e-2) * (decide(text, code) in (code, None)) for one, (_, text) in pairs
        )
    return found


# --- alignment --------------------------------------------------------------------------------------------------------


def unaligned(config: Config, run: Run) -> tuple[Activity, Mapping[str, Texts]]:
    """How active neurons are in the model before alignment, and what it says."""
    plain = replace(config, alignment="none", model=config.before or config.model, before="")
    start = load(plain, run)
    spoken = texts(plain, run, start)[0]
    return activity_of(plain, run, start, lambda: spoken), spoken


def aligning(
    config: Config, run: Run, model: Loaded, answered: Mapping[str, Texts], before: Activity,
    spoken: Mapping[str, Texts],
) -> Measurement:  # fmt: skip
    """Right answers by language, and neurons by kind with lambda and threshold of the model before alignment."""
    from papers.language_neurons import miniature

    measured, first = activity_of(config, run, model, lambda: answered), identified(config, before)
    found = identified(config, measured, first)
    units = counts(found, measured.languages) | {"stayed": {}, "by_chance": {}}
    fewest = min(sum(units[kind][code] for kind in ("specific", "shared")) for code in measured.languages)
    now = masks_of(measured, found, "related", config.seed)
    for code, own in masks_of(before, first, "related", config.seed).items():
        if len(own):
            units["stayed"][code], units["by_chance"][code] = found_again(own, now[code], measured)
    metrics: dict[str, float] = {"fewest_neurons": fewest}
    details: dict[str, Any] = {"layers_after": layers(measured, found), "histogram_after": found.histogram()}
    if config.name == CALCULATOR:
        wanted = asked(config)
        was, right = (graded(config, wanted, own) for own in (spoken, answered))
        units |= right
        metrics |= {f"trivial_{name}": value for name, value in miniature.solvers(wanted, config).items()}
        if "right_untrained" in units:
            metrics["wrong_untrained"] = 1 - fmean(units["right_untrained"].values())
        if "right_trained" in units:
            metrics["learnt"] = fmean(right["right_trained"].values()) - fmean(was["right_trained"].values())
        rows = [(own[0].answer, *answered[code][0]) for code, own in wanted.items()]
        details["samples"] = [{"asked": prompt, "said": text, "wanted": answer} for answer, prompt, text in rows]
    else:
        units["right"] = right_answers(config, answered)
    metrics |= {name: fmean(values.values()) for name, values in units.items()}
    return Measurement(metrics, units, details)


def asked(config: Config) -> dict[str, list[Any]]:
    """The sums that are tested, in the miniature all there are of the split."""
    from papers.language_neurons import miniature

    return miniature.drawn(config.split, miniature.SUMS * config.texts, config, miniature.languages(config), "tested")


def said(config: Config, loaded: Loaded) -> dict[str, Texts]:
    """Sums that are tested, with the calculator's greedy answers."""
    from core.inference.generation import generate

    rows = asked(config)
    flat = [one.prompt for own in rows.values() for one in own]
    found = iter(generate(*loaded, flat, max_new_tokens=config.max_new_tokens))
    return {code: [(one.prompt, next(found).strip()) for one in own] for code, own in rows.items()}


def graded(
    config: Config, wanted: Mapping[str, Sequence[Any]], answered: Mapping[str, Texts]
) -> dict[str, dict[str, float]]:
    """1 for an answer that ends with the right number in words of its language, by language and sum."""
    from papers.language_neurons import miniature

    right = {
        one.id: float(miniature.ending(text) == miniature.ending(one.answer))
        for code, rows in wanted.items()
        for one, (_, text) in zip(rows, answered[code], strict=True)
    }
    groups = {
        "right": set(answered), "right_english": {"en"}, "right_trained": set(config.aligned),
        "right_untrained": set(answered) - {"en", *config.aligned},
    }  # fmt: skip
    units = {name: {k: v for k, v in right.items() if k.partition("/")[0] in own} for name, own in groups.items()}
    return {name: own for name, own in units.items() if own}


if __name__ == "__main__":
    entrypoint(evaluate)
