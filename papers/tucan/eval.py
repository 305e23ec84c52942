"""Score answers by scenario: right calls, calls that should not be, arguments against their schema, what was forgotten.

    python -m papers.tucan.eval tiny --variant bg+en
    python -m papers.tucan.eval tiny --variant base --evaluate-on development
    python -m papers.tucan.eval paper --variant base

Half of the benchmark's scenarios want no call, so a model that never calls scores high: `never_call` is that line, and
it belongs beside every accuracy. Wrong items go to `wrong.jsonl`, ready for the next round of training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json, write_text
from papers.tucan.config import Config

SCORER = "llm-bg/Tucan-Eval, July 2026"
DECODING = ("max_new_tokens", "temperature", "top_p", "repetition_penalty", "repeats")


def evaluate(config: Config, run: Run) -> Measurement:
    """Metrics with items as units (messages of the interface for the retention), and what the figure draws."""
    from core.distributed import seed_everything
    from papers.tucan import base, data, method

    seed_everything(config.seed)
    prompt, digest = data.prompt_of(config.prompt)
    items = base.scored_items(config)
    before = base_losses(config, run)
    if config.adapter == "none":
        answers, after = base_answers(config, run, items, prompt), before
    else:
        model, tokenizer = tuned(config, run)
        answers = answer(model, tokenizer, items, config, prompt)
        after = message_losses(model, tokenizer, config)
    rounds = [
        [method.examine(text, item, prompt.tags, config.translit) for text, item in zip(texts, items, strict=True)]
        for texts in answers
    ]
    units = item_units(items, rounds)
    for message, loss in after.items():
        for name in ("loss_increase", f"loss_increase_{message.split('/')[0]}"):
            units.setdefault(name, {})[message] = loss - before[message]
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items()}
    report = method.summarize(items * len(rounds), [verdict for verdicts in rounds for verdict in verdicts])
    extra = {"schema_valid": report.schema_valid, "call_precision": report.precision, "call_recall": report.recall}
    extra["reply_in_script"] = in_script(items, answers, rounds)
    metrics |= {name: value for name, value in extra.items() if value == value}
    write_text(run.path / "wrong.jsonl", wrong_items(items, answers[0], rounds[0]))
    details = {
        "scenarios": report.scenarios,
        "errors": report.errors,
        "errors_by_language": errors_by_language(items, rounds),
        "confusion": report.confusion,
        "samples": samples(items, answers[0], rounds[0]),
        "prompt": digest,
        "scorer": f"{SCORER}, transliteration {config.translit}",
        "training": {k: v for k, v in (read_json(run.artifact / "tucan.json") or {}).items() if k != "losses"},
    }
    if not run.quiet:
        print_table(report, len(rounds))
    return Measurement(metrics, units, details)


def tuned(config: Config, run: Run) -> Any:
    """The trained model: adapters are merged, which decodes faster, unless the base is in 4 bit."""
    from core.errors import UserError
    from core.models import loading
    from papers.tucan import base

    folder = run.artifact / ("adapter" if config.adapter == "lora" else "model")
    if not folder.exists():
        raise UserError(f"{folder} does not exist: run papers.tucan.train with the same options first.")
    if config.adapter == "full":
        return loading.load(folder, dtype="auto" if config.base else "float32", attention=config.attention)
    model, tokenizer = base.load_base(config, run)
    adapted: Any = loading.load_adapter(model, folder)
    return loading.Loaded(adapted if config.quantization != "none" else adapted.merge_and_unload(), tokenizer)


def answer(
    model: Any, tokenizer: Any, items: Sequence[Mapping[str, Any]], config: Config, prompt: Any
) -> list[list[str]]:
    """Answers to all items, once for every repeat."""
    from core.inference.generation import generate
    from papers.tucan import base

    openings = [base.opening(tokenizer, prompt, item) for item in items]
    return [
        generate(
            model,
            tokenizer,
            openings,
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            repetition_penalty=config.repetition_penalty,
            seed=config.seed * 1000 + repeat,
        )
        for repeat in range(config.repeats)
    ]


def message_losses(model: Any, tokenizer: Any, config: Config) -> dict[str, float]:
    """Mean loss (nats a token) of every interface message, by `language/key`."""
    if not config.retention_messages:
        return {}
    from core import corpora
    from core.inference.generation import log_likelihoods

    rows = corpora.load("django", languages=["bg"], min_words=5).select(range(config.retention_messages))
    texts = {f"{code}/{key}": text for code in ("bg", "en") for key, text in zip(rows["key"], rows[code], strict=True)}
    start = tokenizer.bos_token or tokenizer.eos_token
    scores = log_likelihoods(model, tokenizer, [start] * len(texts), list(texts.values()))
    return {name: -score.log_likelihood / score.tokens for name, score in zip(texts, scores, strict=True)}


# --- what the base answers, once for all seeds and variants -----------------------------------------------------------


def base_losses(config: Config, run: Run) -> dict[str, float]:
    """The messages' losses before tuning."""
    from papers.tucan import base

    inputs = {"messages": config.retention_messages}
    return _shared("base-losses", inputs, config, run, lambda: message_losses(*base.load_base(config, run), config))


def base_answers(config: Config, run: Run, items: Sequence[Mapping[str, Any]], prompt: Any) -> list[list[str]]:
    """The base's own answers."""
    from papers.tucan import base

    # The texts themselves and not their files' names: a file that was edited asks something else.
    inputs: dict[str, Any] = {"turns": [prompt.render(item["user_message"], item["functions"]) for item in items]}
    inputs |= {name: getattr(config, name) for name in DECODING}
    return _shared(
        "base-answers", inputs, config, run, lambda: answer(*base.load_base(config, run), items, config, prompt)
    )


def _shared(name: str, inputs: dict[str, Any], config: Config, run: Run, compute: Callable[[], Any]) -> Any:
    from papers.tucan import base

    inputs |= {field: getattr(config, field) for field in ("base", "quantization", "attention", "plain_chat")}
    # The same for all seeds, unless the weights or the sampling depend on the seed.
    if not config.base or config.temperature:
        inputs |= {"seed": config.seed}
    if not config.base:
        inputs |= base.scratch_inputs(config)

    def build(folder: Path) -> None:
        write_json(folder / "content.json", compute())

    return read_json(run.stage(name, inputs, build) / "content.json")


# --- numbers --------------------------------------------------------------------------------------------------------


def item_units(items: Sequence[Mapping[str, Any]], rounds: Sequence[Sequence[Any]]) -> dict[str, dict[str, float]]:
    """Every metric's value on every item, averaged over the rounds of sampling."""
    units: dict[str, dict[str, float]] = {}

    def put(name: str, item: Mapping[str, Any], value: float) -> None:
        units.setdefault(name, {})[item["id"]] = value

    for position, item in enumerate(items):
        verdicts = [verdicts[position] for verdicts in rounds]
        right = sum(verdict.label == "CORRECT" for verdict in verdicts) / len(verdicts)
        wanted = item["expected_behavior"]["should_call_function"]
        groups = ["", f"_{item['scenario_type']}", "_call" if wanted else "_no_call"]
        if language := item.get("language"):
            groups += [f"_{language}", f"_{'call' if wanted else 'no_call'}_{language}"]
        if wanted and "unseen" in item:
            groups.append("_unseen_tools" if item["unseen"] else "_seen_tools")
        for group in groups:
            put(f"accuracy{group}", item, right)
        put("never_call", item, float(not wanted))
        if wanted:
            name = item["expected_behavior"]["expected_function"]
            put("right_function", item, sum(verdict.called == name for verdict in verdicts) / len(verdicts))
        else:
            made = sum(verdict.label == "UNEXPECTED_CALL" for verdict in verdicts)
            put("unexpected_call", item, made / len(verdicts))
    return units


def errors_by_language(
    items: Sequence[Mapping[str, Any]], rounds: Sequence[Sequence[Any]]
) -> dict[str, dict[str, float]]:
    """Mean number of items a round by language, expected or not, and label: what the figure stacks."""
    counts: dict[str, dict[str, float]] = {}
    for verdicts in rounds:
        for item, verdict in zip(items, verdicts, strict=True):
            kind = "call" if item["expected_behavior"]["should_call_function"] else "no_call"
            group = counts.setdefault(f"{item.get('language', 'all')}/{kind}", {})
            group[verdict.label] = group.get(verdict.label, 0) + 1 / len(rounds)
    return counts


def in_script(
    items: Sequence[Mapping[str, Any]], answers: Sequence[Sequence[str]], rounds: Sequence[Sequence[Any]]
) -> float:
    """Of the replies without a call (that have a letter), the mean share of letters in the request's script."""
    from core.text.scripts import dominant_script, in_script_share

    shares = []
    for texts, verdicts in zip(answers, rounds, strict=True):
        for item, text, verdict in zip(items, texts, verdicts, strict=True):
            language = item.get("language") or ("bg" if dominant_script(item["user_message"]) == "Cyrl" else "en")
            if verdict.valid is None and (share := in_script_share(text, language)) == share:
                shares.append(share)
    return sum(shares) / len(shares) if shares else float("nan")


def wrong_items(items: Sequence[Mapping[str, Any]], answers: Sequence[str], verdicts: Sequence[Any]) -> str:
    """Items that were answered wrongly, with the answer and why, one JSON object a line."""
    return "".join(
        json.dumps({**item, "label": verdict.label, "response": text, "errors": verdict.errors}, ensure_ascii=False)
        + "\n"
        for item, text, verdict in zip(items, answers, verdicts, strict=True)
        if verdict.label != "CORRECT"
    )


def samples(
    items: Sequence[Mapping[str, Any]], answers: Sequence[str], verdicts: Sequence[Any]
) -> list[dict[str, Any]]:
    """Two answers for every scenario and label."""
    shown: dict[tuple[str, str], int] = {}
    found = []
    for item, text, verdict in zip(items, answers, verdicts, strict=True):
        key = (item["scenario_type"], verdict.label)
        shown[key] = shown.get(key, 0) + 1
        if shown[key] <= 2:
            found.append({"scenario": key[0], "label": key[1], "request": item["user_message"], "answer": text[:200]})
    return found


def print_table(report: Any, rounds: int = 1) -> None:
    """The diagnosis on the terminal: accuracy by scenario, errors, and the score of a model that never calls."""
    for scenario, value in report.scenarios.items():
        print(f"  {scenario:38s} {value:6.1%}")
    print(f"  {'all':38s} {report.accuracy:6.1%}   (never calling: {report.never_call:.1%})")
    print("  " + ", ".join(f"{label} {count / rounds:g}" for label, count in report.errors.items() if count))


if __name__ == "__main__":
    entrypoint(evaluate)
