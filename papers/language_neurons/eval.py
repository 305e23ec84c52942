"""Find language neurons, switch them off, compare them before and after alignment.

    python -m papers.language_neurons.eval tiny --variant related
    python -m papers.language_neurons.eval tiny --variant mapo           # after papers.language_neurons.train
    python -m papers.language_neurons.eval paper

What switching off does is the difference in mean nats a token, in each language, from the model as it is; where there
are questions, the difference in answers that are right and in the right language too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.language_neurons.config import CALCULATOR, Config
from papers.language_neurons.train import load

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.loading import Loaded
    from papers.language_neurons.data import Texts
    from papers.language_neurons.measures import Matrix, Units
    from papers.language_neurons.method import Activity, Neurons

_NOT_OF_THE_TEXTS = ("selection", "silenced", "alignment", "aligned", "preferences", "dpo")


def evaluate(config: Config, run: Run) -> Measurement:
    """What switching off does, and how right answers are and which neurons there are, each where it is asked for."""
    from core.models import loading

    parts, before = [], None
    if config.name == CALCULATOR or config.silenced == "none" or config.alignment != "none":
        before = unaligned(config, run)  # its model is let go before another is loaded
    loaded = load(config, run) if config.alignment == "none" else loading.load(run.artifact, dtype=config.dtype)
    read, held = texts(config, run, loaded)
    if config.silenced != "none":
        parts.append(switching(config, run, loaded, read, held))
    if before:
        parts.append(aligning(config, run, loaded, read, *before))
    metrics, units, details = (
        {name: value for part in parts for name, value in getattr(part, kind).items()}
        for kind in ("metrics", "units", "details")
    )
    units = {name: own for name, own in units.items() if own}
    return Measurement({**metrics, **{name: fmean(own.values()) for name, own in units.items()}}, units, details)


def texts(config: Config, run: Run, loaded: Loaded) -> tuple[dict[str, Texts], dict[str, Texts]]:
    """What neurons are identified from, and what is measured on: the model's own answers, or messages."""
    read, held = run.once("texts", unchanged(config, run), lambda: drawn(config, loaded))
    return (by_lot(read, config.seed) if config.shuffled else read), held


def unchanged(config: Config, run: Run) -> dict[str, Any]:
    """What decides which texts are read by which model, whatever is switched off."""
    inputs = {key: value for key, value in to_dict(config).items() if key not in _NOT_OF_THE_TEXTS}
    return {**inputs, "model": config.name, "trained": run.artifact if config.alignment != "none" else None}


def by_lot(read: Mapping[str, Texts], seed: int) -> dict[str, Texts]:
    """The same texts, each under any of the languages."""
    flat = [pair for own in read.values() for pair in own]
    Random(f"shuffled-{seed}").shuffle(flat)
    rest = iter(flat)
    return {code: [next(rest) for _ in own] for code, own in read.items()}


def drawn(config: Config, loaded: Loaded) -> tuple[Mapping[str, Texts], Mapping[str, Texts]]:
    """Texts of every language, before any is shuffled; of the calculator its answers to the sums that are tested."""
    from core.tasks import mathematics
    from papers.language_neurons import data, miniature

    if config.source:
        asked = mathematics.questions(config.source, config.languages)
        prompts = {
            code: [data.prompt(row.question, code) for row in own[: config.texts]] for code, own in asked.items()
        }
        answered = data.answers(loaded, prompts, max_new_tokens=config.max_new_tokens)
        return answered, {code: own[: config.tested] for code, own in answered.items()}
    if config.name != CALCULATOR:
        return miniature.messages(config)
    prompts = {code: [one.prompt for one in own] for code, own in miniature.tested(config).items()}
    held = miniature.drawn(config.split, config.tested, config, miniature.languages(config), "held")
    return (
        data.answers(loaded, prompts, max_new_tokens=config.max_new_tokens),
        {code: [(one.prompt, one.answer) for one in own] for code, own in held.items()},
    )


def activity_of(
    config: Config, run: Run, loaded: Loaded, read: Mapping[str, Texts], name: str = "activity"
) -> Activity:
    """How often neurons are active in some texts, counted once for all arms that read them with one model."""
    from papers.language_neurons import data

    def build(folder: Path) -> None:
        data.write_activity(folder, data.count(loaded, read))

    return data.read_activity(run.stage(name, unchanged(config, run), build))


def identified(config: Config, measured: Activity, like: Neurons | None = None) -> Neurons:
    """The kinds of neurons, chosen as the configuration says."""
    from papers.language_neurons import method

    return method.identify(measured.shares, rate=config.rate, selection=config.selection, like=like)


# --- switching off ----------------------------------------------------------------------------------------------------


def switching(
    config: Config, run: Run, loaded: Loaded, read: Mapping[str, Texts], held: Mapping[str, Texts]
) -> Measurement:
    """Effects on the own language and on others, and where the neurons are."""
    from papers.language_neurons import measures

    measured = activity_of(config, run, loaded, read)
    found = identified(config, measured)
    masks = measures.masks_of(measured, found, config.silenced, config.seed)
    before = run.once("nats", unchanged(config, run), lambda: measures.nats_of(loaded, held))
    nats = measures.losses(loaded, measured, masks, held, before)
    metrics, units = measures.summary(nats)
    if config.source:
        metrics_right, units_right = measures.summary(accuracies(config, loaded, measured, masks, held))
        metrics |= {f"answers_{name}": value for name, value in metrics_right.items()}
        units |= {f"answers_{name}": own for name, own in units_right.items()}
    else:
        units |= overlaps(config, run, loaded, masks, measured, read)
        units["speaks"] = measures.speaks(loaded, read, held, before)
        metrics["least_spoken"] = min(units["speaks"].values())
    stage_metrics, stage_units = measures.stages(measured, found)
    metrics |= stage_metrics | measures.owned(found, measured.languages) | {"tau": found.tau}
    units |= stage_units | measures.counts(found, measured.languages)
    details = {"nats": nats, "before": before, "layers": measures.layers(measured, found), "lambda": found.weight}
    details["histogram"] = measures.histogram(found)
    details["samples"] = [{"off": k, "on": j, "nats": round(v, 3)} for k, row in nats.items() for j, v in row.items()]
    return Measurement(metrics, units, details)


def overlaps(
    config: Config, run: Run, loaded: Loaded, masks: Mapping[str, Tensor], measured: Activity, read: Mapping[str, Texts]
) -> Units:
    """The share of what is switched off that is found again in another domain, and by chance; and, as the most that so
    few texts allow, the share of what one half of the texts gives that the other gives too."""
    from papers.language_neurons import measures, miniature

    parts = {"other": miniature.other_domain(config)}
    parts |= {f"half{i}": {code: own[i::2] for code, own in read.items()} for i in (0, 1)}
    found = {}
    for salt, (name, part) in enumerate(parts.items(), 1):
        counted = activity_of(config, run, loaded, part, name)
        found[name] = measures.masks_of(counted, identified(config, counted), config.silenced, config.seed + salt)
    overlap, chance = measures.found_again(measured, masks, found["other"])
    halves, _ = measures.found_again(measured, found["half0"], found["half1"])
    return {"overlap": overlap, "chance": chance, "halves": halves}


def accuracies(
    config: Config, loaded: Loaded, measured: Activity, masks: Mapping[str, Tensor], answered: Mapping[str, Texts]
) -> Matrix:
    """How many more answers are wrong, or in another language, when a language is switched off."""
    from papers.language_neurons import data, method

    before, found = right_answers(config, answered), {}
    prompts = {code: [prompt for prompt, _ in own] for code, own in answered.items()}
    for code, neurons in masks.items():
        with method.switched_off(loaded.model, measured, neurons):
            after = right_answers(config, data.answers(loaded, prompts, max_new_tokens=config.max_new_tokens))
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
    plain = replace(config, alignment="none")
    start = load(plain, run)
    spoken, _ = texts(plain, run, start)
    return activity_of(plain, run, start, spoken), spoken


def aligning(
    config: Config, run: Run, loaded: Loaded, answered: Mapping[str, Texts], before: Activity,
    spoken: Mapping[str, Texts],
) -> Measurement:  # fmt: skip
    """Right answers by language, and neurons by kind with lambda and threshold of the model before alignment."""
    from papers.language_neurons import measures, miniature

    measured, first = activity_of(config, run, loaded, answered), identified(config, before)
    found = identified(config, measured, first)
    units = measures.counts(found, measured.languages)
    metrics = {"fewest_neurons": min(units["specific"][code] + units["shared"][code] for code in measured.languages)}
    both = (measures.masks_of(*side, "related", config.seed) for side in ((before, first), (measured, found)))
    units["stayed"], units["by_chance"] = measures.found_again(measured, *both)
    details: dict[str, Any] = {"layers_after": measures.layers(measured, found)}
    details["histogram_after"] = measures.histogram(found)
    if config.name != CALCULATOR:
        units["right"] = right_answers(config, answered)
        return Measurement(metrics, units, details)
    asked = miniature.tested(config)
    was, right = (graded(config, asked, own) for own in (spoken, answered))
    metrics |= {f"trivial_{name}": value for name, value in miniature.solvers(asked, config).items()}
    if right["right_untrained"]:
        metrics["wrong_untrained"] = 1 - fmean(right["right_untrained"].values())
    if right["right_trained"]:
        metrics["learnt"] = fmean(right["right_trained"].values()) - fmean(was["right_trained"].values())
    rows = [(own[0].answer, *answered[code][0]) for code, own in asked.items()]
    details["samples"] = [{"asked": prompt, "said": text, "wanted": answer} for answer, prompt, text in rows]
    return Measurement(metrics, units | right, details)


def graded(config: Config, asked: Mapping[str, Sequence[Any]], answered: Mapping[str, Texts]) -> Units:
    """1 for an answer that ends with the right number in words of its language, by language and sum."""
    from papers.language_neurons import miniature

    right = {
        one.id: float(miniature.ending(text) == miniature.ending(one.answer))
        for code, rows in asked.items()
        for one, (_, text) in zip(rows, answered[code], strict=True)
    }
    groups = {
        "right": set(answered), "right_english": {"en"}, "right_trained": set(config.aligned),
        "right_untrained": set(answered) - {"en", *config.aligned},
    }  # fmt: skip
    return {name: {k: v for k, v in right.items() if k.partition("/")[0] in own} for name, own in groups.items()}


if __name__ == "__main__":
    entrypoint(evaluate)
