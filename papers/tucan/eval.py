"""Score answers by scenario: right calls, calls that should not be, arguments against their schema, what was forgotten.

    python -m papers.tucan.eval tiny --variant bg+en
    python -m papers.tucan.eval tiny --variant base --split dev
    python -m papers.tucan.eval paper --variant base

Half of the benchmark's scenarios want no call, so a model that never calls scores high: `trivial_never_call` is that
line, and it belongs beside every accuracy. Wrong items go to `wrong.jsonl`, ready for the next round of training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from core.experiment.entrypoint import entrypoint, show
from core.experiment.run import Measurement, Run
from core.files import write_rows
from core.inference.chat import Chat, render
from core.metrics.classification import macro_mean
from core.tasks import choices
from core.tasks.samples import dialogue
from papers.tucan import data, grader, miniature
from papers.tucan.config import Config
from papers.tucan.method import Item, Prompt
from papers.tucan.train import load_base

Items = Sequence[Item]
Units = dict[str, dict[str, float]]
# Training items that are asked again, to see whether they have been learnt.
ASKED_AGAIN = 100


def evaluate(config: Config, run: Run) -> Measurement:
    """Metrics with items as units, by the function that they are about; what the base understood and what is kept."""
    items = data.read_items(config.eval_file, config.limit) if config.eval_file else miniature.scored_items(config)
    languages = {str(item["language"]) for item in items} if config.eval_file else (data.OWN,)
    prompt, digest = data.load_prompt(config.prompt, languages)
    chat = tuned(config, run)
    report = grader.evaluate(answers(chat, config), items, prompt)
    units = item_units(items, report)
    metrics: dict[str, float] = {}
    if not config.eval_file:
        units["knowledge_bg"] = knows(chat, config)
        if config.adapter == "none":
            units["understood_bg"] = understood(chat, config)
            # The base never calls: what a look-up has right stands in its record, to be a control.
            drawn, metrics = solved(config, items)
            units |= drawn
        elif config.answers == "own" and not config.train_file:
            metrics["fitted"] = fitted(chat, config, prompt)
    metrics |= {name: macro_mean(values) for name, values in units.items()}
    write_rows(run.path / "wrong.jsonl", wrong_items(items, report))
    if not run.quiet:
        print_report(report)
    details = {"errors": report.errors, "prompt": digest, "samples": samples(items, report)}
    return Measurement(metrics, units, details)


def tuned(config: Config, run: Run) -> Chat:
    """The trained model: adapters are merged, which decodes faster, unless the base is in 4 bit."""
    from core.models import loading

    model, tokenizer = load_base(config, run)
    if config.adapter == "none":
        return Chat(model, tokenizer)
    adapted: Any = loading.load_adapter(model, run.artifact / "adapter")
    return Chat(adapted if config.quantization != "none" else adapted.merge_and_unload(), tokenizer)


def answers(chat: Chat, config: Config) -> Callable[[list[str]], list[str]]:
    """What answers user turns."""
    options = {name: getattr(config, name) for name in ("max_new_tokens", "temperature", "repetition_penalty", "seed")}
    return lambda prompts: chat.reply(list(map(dialogue, prompts)), **options)


def knows(chat: Chat, config: Config) -> dict[str, float]:
    """1 for each question about a country whose right answer is the likeliest of four, token by token."""
    questions = miniature.knowledge(config)
    asked = [replace(q, context=render(chat.tokenizer, dialogue(q.context), prompt=True)) for q in questions]
    return choices.answer(chat.model, chat.tokenizer, asked, "token")


def understood(chat: Chat, config: Config) -> dict[str, float]:
    """1 for each request that the base, asked without functions, says in its own words with the right values."""
    asked = miniature.in_words(config)
    said = chat.reply([dialogue(request) for _, request, _ in asked], max_new_tokens=48)
    return {path: float(text == reply) for (path, _, reply), text in zip(asked, said, strict=True)}


def fitted(chat: Chat, config: Config, prompt: Prompt) -> float:
    """Share of training items that want a call and are answered rightly: never calling fits all others."""
    wanted = [one for one in miniature.training_items(config) if one["expected_behavior"]["should_call_function"]]
    return grader.evaluate(answers(chat, config), wanted[: config.limit or ASKED_AGAIN], prompt).accuracy


def solved(config: Config, items: Items) -> tuple[Units, dict[str, float]]:
    """Solvers that understand nothing: what `neighbour` has right, item by item, and the accuracy of each."""
    own = [item for item in items if not item.get("unseen")]
    said = {
        "never_call": [""] * len(own),
        "neighbour": [miniature.neighbour(config, item) for item in own],
        "rule": [miniature.rule(item) for item in own],
    }
    units = {name: item_units(own, grader.score(own, texts)) for name, texts in said.items()}
    drawn = {f"neighbour_{metric}": units["neighbour"][metric] for metric in ("accuracy_bg", "decision_bg")}
    return drawn, {f"trivial_{name}": macro_mean(found["accuracy_bg"]) for name, found in units.items()}


def item_units(items: Items, report: grader.Report) -> Units:
    """Every metric's value on every item."""
    units: Units = {}
    for item, verdict in zip(items, report.verdicts, strict=True):
        path, scenario, expected = item["id"], item["scenario_type"], item["expected_behavior"]
        if path.count("/") < 2:  # a file's own ids do not say which function they are about
            path = f"{expected.get('expected_function') or 'no call'}/{scenario}/{path}"
        wanted, right = expected["should_call_function"], verdict.label == "CORRECT"
        found = {"accuracy": right, f"accuracy_{scenario}": right, "decision": (verdict.valid is not None) == wanted}
        if item.get("unseen"):
            found = {"accuracy_unseen": right}
        elif wanted:
            found |= {"accuracy_call": right, "valid_call": verdict.valid is True}
        else:
            found["unexpected_call"] = verdict.label == "UNEXPECTED_CALL"
        for name, value in found.items():
            units.setdefault(f"{name}_{item['language']}", {})[path] = float(value)
    return units


def wrong_items(items: Items, report: grader.Report) -> list[dict[str, Any]]:
    """Items that were answered wrongly, with the answer and why."""
    return [
        {**item, "label": verdict.label, "response": text, "errors": verdict.errors}
        for item, text, verdict in zip(items, report.answers, report.verdicts, strict=True)
        if verdict.label != "CORRECT"
    ]


def samples(items: Items, report: grader.Report) -> list[dict[str, str]]:
    """One answer for every scenario and label."""
    shown = {}
    for item, text, verdict in zip(items, report.answers, report.verdicts, strict=True):
        found = {"scenario": item["scenario_type"], "label": verdict.label, "request": item["user_message"]}
        shown[found["scenario"], found["label"]] = {**found, "answer": text[:200]}
    return list(shown.values())


def print_report(report: grader.Report) -> None:
    """Accuracy by scenario, errors, and the score of a model that never calls."""
    show({**report.scenarios, "all": report.accuracy, "never calling": report.never_call})
    print("  " + ", ".join(f"{label} {count}" for label, count in report.errors.items() if count))


if __name__ == "__main__":
    entrypoint(evaluate)
