"""Measure models on the task in the target language, and on what merging could cost.

    python -m papers.layer_swapping.eval tiny
    python -m papers.layer_swapping.eval paper --language te --task-experts maths-1 maths-2 --language-experts telugu

Numbers are means over the models of a system, one for every pair of experts; `add_best` is that of the best pair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import load_facts
from core.text.languages import flores_code
from core.worlds.base import Item
from papers.layer_swapping import data, method, miniature
from papers.layer_swapping.config import Config
from papers.layer_swapping.train import FACTS

Units = dict[str, dict[str, float]]
Models = Mapping[str, Sequence[Path]]
Found = tuple[Units, dict[str, float], dict[str, Any]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Right answers by language and item, and in which layers the models differ from the base."""
    facts = load_facts(run.artifact, FACTS, ("base", "models"), "papers.layer_swapping.train")
    models = {code: [run.artifact / name for name in names] for code, names in facts["models"].items()}
    measure = problems if config.base else numbers
    units, metrics, details = measure(config, run, models)
    metrics = {name: fmean(values.values()) for name, values in units.items()} | metrics
    if config.system != "base":
        found = [method.change(facts["base"], model) for code in models for model in models[code]]
        metrics |= moved(found)
        details |= {name: over(found, name) for name in ("all", "attention", "mlp")}
    return Measurement(metrics, units, details)


def over(found: Sequence[Sequence[method.Change]], module: str) -> list[float]:
    """Equation 3 of a module by layer, a mean over models."""
    return [fmean(layer) for layer in zip(*(method.profile(one, module) for one in found), strict=True)]


def moved(found: Sequence[Sequence[method.Change]]) -> dict[str, float]:
    """Change of the first, the last and the middle layers in multiples of the mean of all; `ends`: first and last."""
    by_layer = over(found, "all")
    mean = fmean(by_layer) or 1.0  # where nothing has moved
    first, last, middle = by_layer[:1], by_layer[-1:], by_layer[1:-1]
    parts = {"first": first, "last": last, "ends": first + last, "middle": middle}
    return {name: fmean(part) / mean for name, part in parts.items() if part}


# --- the miniature ----------------------------------------------------------------------------------------------------


def numbers(config: Config, run: Run, models: Models) -> Found:
    """Sums in the target language (`add`) and in English; its generic tasks; those of a language of no expert."""
    from core.models.loading import load

    units: Units = defaultdict(dict)
    best, samples = {}, []
    for code, folders in models.items():
        asked = miniature.asked(config, code)
        pairs = []
        for folder in folders:
            model, tokenizer = load(folder, dtype="float32")
            every = [item for found in asked.values() for item in found]
            right, outputs = miniature.accuracy(model, tokenizer, every, config.max_new_tokens)
            pairs.append(right)
        for name, found in asked.items():
            units[name] |= {unit(code, i): fmean(right[i.id] for right in pairs) for i in found}
        best[code] = max(fmean(right[item.id] for item in asked["add"]) for right in pairs)
        shown = list(zip(every, outputs, strict=True))[: len(asked["add"])][::40]
        samples += [{"prompt": item.prompt, "output": output, "wanted": item.answer} for item, output in shown]
    units["generic"] = {path: value for task in miniature.GENERIC for path, value in units[task].items()}
    inputs = {"seed": config.seed, "split": config.split}
    guessed = run.once("solvers", inputs, lambda: [miniature.solvers(config, code) for code in models])
    metrics = {f"trivial_{name}": fmean(one[name] for one in guessed) for name in guessed[0]}
    return dict(units), metrics | {"add_best": fmean(best.values())}, {"samples": samples}


def unit(code: str, item: Item) -> str:
    """The path of an item that models for a target language are asked, in whatever language: `sw/4-7/en-add-7-4`."""
    return f"{code}/{item.cls}/{item.language}-{item.id.rpartition('/')[2]}"


# --- word problems ----------------------------------------------------------------------------------------------------


def problems(config: Config, run: Run, models: Models) -> Found:
    """Word problems in the target language (`add`) and in English, by their last number; Belebele in the language."""
    from core.inference.generation import generate
    from core.metrics.answers import same_number
    from core.models.loading import load
    from core.tasks import choices, mathematics

    units: Units = defaultdict(dict)
    best, samples = {}, []
    for code, folders in models.items():
        asked = mathematics.questions(config.test, [code, "en"])
        pairs, generic = [], []
        for folder in folders:
            model, tokenizer = load(folder)
            right: dict[tuple[str, str], float] = {}
            for language, questions in asked.items():
                texts = data.prompts(config, language, questions)
                outputs = generate(model, tokenizer, texts, max_new_tokens=config.max_new_tokens, stop=["\nQuestion:"])
                right |= {(language, q.id): same_number(o, q.answer) for q, o in zip(questions, outputs, strict=True)}
                samples += [{"prompt": q.question, "output": o, "wanted": q.answer} for q, o in
                            list(zip(questions, outputs, strict=True))[:2]]  # fmt: skip
            pairs.append(right)
            if config.test == "mgsm":
                generic.append(choices.answer(model, tokenizer, choices.exam("belebele", flores_code(code))))
        for name, language in (("add", code), ("english", "en")):
            units[name] |= {f"{code}/{q.id}": fmean(right[language, q.id] for right in pairs) for q in asked[language]}
        units["generic"] |= {f"{code}/{key}": fmean(one[key] for one in generic) for key in (generic or [{}])[0]}
        best[code] = max(fmean(right[code, q.id] for q in asked[code]) for right in pairs)
    return {name: own for name, own in units.items() if own}, {"add_best": fmean(best.values())}, {"samples": samples}


if __name__ == "__main__":
    entrypoint(evaluate)
