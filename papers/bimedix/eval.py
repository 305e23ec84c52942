"""Measure a tuned model in both languages: accuracy with paired items, routing, and the speed of sparsity.

python -m papers.bimedix.eval tiny --variant bilingual
python -m papers.bimedix.eval tiny --variant bilingual --split dev
python -m papers.bimedix.eval --base my-moe --english en.jsonl --second ar.jsonl --ratio 2 1 --out runs/mine
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from core.metrics.classification import macro_mean
from core.models.tokenization import chat_rows
from core.tasks import choices
from core.tasks.choices import Question
from core.tasks.samples import Sample, question
from papers.bimedix import data, miniature
from papers.bimedix.config import Config
from papers.bimedix.train import load_base


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy by language, what the base knows, expert usage, block speed; own items are asked by letter as well."""
    from core.distributed import seed_everything
    from core.models.mixtures import expert_usage, sparse_speed
    from papers.bimedix.adapters import load_adapter

    seed_everything(config.seed)
    tests = items_by_language(config)  # mistakes in files are found before anything is loaded
    # Without test items, routing is looked at on some of the instructions.
    sources = {"en": config.english, config.second_language: config.second}
    texts = {lang: (items or data.read_samples(sources[lang][0], lang))[:200] for lang, items in tests.items()}
    model, tokenizer = load_base(config, run)
    scores = {} if config.english else {f"read_{lang}": read(model, tokenizer, config, lang) for lang in tests}
    ids = {lang: token_ids(tokenizer, [sample["messages"] for sample in some]) for lang, some in texts.items()}
    usage = {"base": expert_usage(model, ids)}
    if config.adapters:
        load_adapter(model, run.artifact / "adapter")
        usage["tuned"] = expert_usage(model, ids)
    write_json(run.path / "routing.json", usage)
    for kind in ("accuracy", "letter") if config.english else ("accuracy",):
        for lang, items in tests.items():
            if items:
                scores[f"{kind}_{lang}"] = right(model, tokenizer, items, letters=kind == "letter")
    for kind in dict.fromkeys(name.partition("_")[0] for name in scores):
        scores[f"{kind}_bilingual"] = bilingual(*(scores[f"{kind}_{lang}"] for lang in tests))
    # The mean of the tasks, as in the paper's tables: not of the items.
    metrics = {name: macro_mean(found) for name, found in scores.items()}
    if not config.english:
        metrics |= trivial(config, tests)
        metrics |= {f"fitted_{lang}": fitted(model, tokenizer, config, lang) for lang in tests}
    details: dict[str, Any] = read_json(run.artifact / "training.json") or {}
    details.pop("losses", None)
    if config.speed_width and not config.adapters:  # no model takes part: the untuned base measures it for all
        details["speed_ratios"] = sparse_speed(config.speed_width, config.seed)
        metrics["speed_ratio"] = median(details["speed_ratios"])
    return Measurement(metrics, scores, details)


def items_by_language(config: Config) -> dict[str, list[Sample]]:
    """Items by language, English first, paired by their ids `<task>/<item>`; in miniature a task is a wording."""
    languages = ("en", config.second_language)
    if not config.english:
        return {lang: miniature.items_of(config, lang)[: config.limit or None] for lang in languages}
    found: dict[str, list[Sample]] = {lang: [] for lang in languages}
    for task, sources in enumerate(zip(config.test_english, config.test_second, strict=True)):
        sides = data.read_pair(*sources, config.second_language, config.limit)
        for lang, side in zip(languages, sides, strict=True):
            found[lang] += [{**sample, "id": f"{task}/{sample['id']}"} for sample in side]
    return found


def right(model: Any, tokenizer: Any, items: Sequence[Sample], *, letters: bool = False) -> dict[str, float]:
    """1 for each item whose right option is likeliest: by its text, per token, or by its letter."""
    asked = [question(tokenizer, item, letters=letters) for item in items]
    return choices.answer(model, tokenizer, asked, "sum" if letters else "token")


def read(model: Any, tokenizer: Any, config: Config, lang: str) -> dict[str, float]:
    """The same for statements as the base has read them: whether it speaks the language and knows the facts."""
    told = [replace(q, context=f"{tokenizer.bos_token}{q.context}") for q in miniature.told(config, lang)]
    return choices.answer(model, tokenizer, told[: config.limit or None], "token")


def fitted(model: Any, tokenizer: Any, config: Config, lang: str) -> float:
    """The same for some of the questions that it was tuned on, or as a base has read; with options that were not."""
    items = miniature.items_of(config, lang, "train" if config.adapters else "base")
    some = random.Random(config.seed).sample(items, 2 * config.limit or 60)
    return fmean(right(model, tokenizer, some).values())


def bilingual(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """The mean of the two languages, item by item."""
    return {key: (first[key] + second[key]) / 2 for key in first if key in second}


def trivial(config: Config, tests: Mapping[str, list[Sample]]) -> dict[str, float]:
    """What solvers that know nothing reach on average over the languages, from the tuning set's questions."""
    sums: dict[str, list[float]] = defaultdict(list)
    for lang, items in tests.items():
        tuned = [sample for sample in miniature.tuning_samples(config, lang) if sample.get("options")]
        known, asked = ([Question(i["id"], "", tuple(i["options"]), i["answer"]) for i in s] for s in (tuned, items))
        for name, value in choices.trivial(known, asked).items():
            sums[name].append(value)
        sums["overlap"] += [miniature.by_letters(item) for item in items]
    return {f"trivial_{name}": fmean(values) for name, values in sums.items()}


def token_ids(tokenizer: Any, texts: Sequence[Any]) -> list[list[int]]:
    """Token ids of plain texts, or of dialogues in the layout that they are tuned in; their beginnings."""
    rows = map(tokenizer, texts) if isinstance(texts[0], str) else chat_rows(tokenizer, texts)
    return [row["input_ids"][:1024] for row in rows]


if __name__ == "__main__":
    entrypoint(evaluate)
