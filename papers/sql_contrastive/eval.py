"""Measure a policy and its encoder on questions whose queries nothing was trained on, by language.

    python -m papers.sql_contrastive.eval tiny --variant contrastive
    python -m papers.sql_contrastive.eval tiny --variant contrastive --split dev

Answers are greedy. `valid`: the query runs. `result_match`: its rows are those of the gold query. `semantic`: they are
on the database and on three copies with other contents, too. The encoder is asked to tell gold from its edits that run
(`audit`), and to choose among eight answers of the policy as it begins, without gold (`reranked`).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json_lines
from papers.sql_contrastive.config import Config

if TYPE_CHECKING:
    from papers.sql_contrastive.data import Copies
    from papers.sql_contrastive.method import Item, Scorer


def evaluate(config: Config, run: Run) -> Measurement:
    """The numbers of one arm."""
    from core.distributed import seed_everything
    from core.models.loading import load
    from papers.sql_contrastive import data, train

    seed_everything(config.seed, 0)
    copies, items = data.databases(config, run), data.items(config, "measured")
    model, tokenizer = load(run.artifact, **({} if config.base else {"dtype": "float32"}))
    prompts = data.asked(tokenizer, items, copies)
    answers = write(model, tokenizer, prompts, config)
    units, samples = {}, list[dict[str, Any]]()
    for item, answer in zip(items, answers, strict=True):
        for name, value in verdict(item, answer, copies).items():
            units.setdefault(name, {})[item.id] = value
    for item, answer in list(zip(items, answers, strict=True))[:14]:
        samples.append({"asked": item.question, "said": answer.strip(), "gold": item.sql})
    if scorer := train.scorer_of(config, run, copies):
        units |= audit(scorer, items, copies)
        begun = train.starting_point(config, run, copies)
        inputs = {"begun": begun, "config": [config.seed, config.split, config.items, config.group]}
        drawn = run.once("drawn", inputs, lambda: several(begun, items, prompts, copies, config))
        units |= chosen(scorer, items, drawn)
    metrics = {name: fmean(values.values()) for name, values in units.items()}
    for code in {item.language for item in items}:
        own = [value for key, value in units["semantic"].items() if key.startswith(f"{code}/")]
        metrics[f"semantic_{code}"] = fmean(own)
    if rewarded := [line for line in read_json_lines(run.path / "metrics.jsonl") if "equal_groups" in line]:
        metrics["equal_groups"] = fmean(line["equal_groups"] for line in rewarded)
        metrics["last_reward"] = rewarded[-1]["reward"]
    if not config.base:
        from papers.sql_contrastive.miniature import solved

        known = data.items(config, "tuning")
        found = run.once(
            "solvers",
            {"seed": config.seed, "split": config.split, "items": config.items, "tuning": config.tuning},
            lambda: solved(known, items, copies),
        )
        metrics |= {f"trivial_{name}": value for name, value in found.items()}
    return Measurement(metrics, units, {"samples": samples})


def write(model: Any, tokenizer: Any, prompts: Sequence[str], config: Config, temperature: float = 0.0) -> list[str]:
    """Answers of a policy."""
    from core.inference.generation import generate

    return generate(
        model, tokenizer, prompts, max_new_tokens=config.max_new_tokens, temperature=temperature, seed=config.seed
    )


def verdict(item: Item, answer: str, copies: Copies) -> dict[str, float]:
    """What is right about an answer."""
    from papers.sql_contrastive.negatives import agrees
    from papers.sql_contrastive.sandbox import extract

    query, own = extract(answer), copies[item.db]
    if query is None or own[0].run(query).rows is None:
        return {"valid": 0.0, "result_match": 0.0, "semantic": 0.0}
    found = [float(agrees(some, query, item.sql)) for some in (own[:1], own)]
    return {"valid": 1.0, "result_match": found[0], "semantic": found[1]}


def audit(scorer: Scorer, items: Sequence[Item], copies: Copies) -> dict[str, dict[str, float]]:
    """Share of the edits of each gold query that the encoder puts below it."""
    from papers.sql_contrastive.negatives import edits

    found = {}
    for item in items:
        others = [query for _, query in edits(copies[item.db], item.sql)]
        if others:
            gold, *wrong = scorer(item.question, [item.sql, *others])
            found[item.id] = fmean(float(gold > one) for one in wrong)
    return {"audit": found}


def several(begun: str, items: Sequence[Item], prompts: Sequence[str], copies: Copies, config: Config) -> Any:
    """Of every question, eight sampled answers of the policy as it begins, with what is right about them."""
    from core.models.loading import load

    model, tokenizer = load(begun, **({} if config.base else {"dtype": "float32"}))
    texts = write(model, tokenizer, [prompt for prompt in prompts for _ in range(config.group)], config, 1.0)
    groups = [texts[start : start + config.group] for start in range(0, len(texts), config.group)]
    return [[[text, verdict(item, text, copies)] for text in group] for item, group in zip(items, groups, strict=True)]


def chosen(scorer: Scorer, items: Sequence[Item], drawn: Sequence[Any]) -> dict[str, dict[str, float]]:
    """Semantic accuracy of the answer that the encoder puts first of those that run, of the first that runs, of any."""
    from papers.sql_contrastive.sandbox import extract

    found: dict[str, dict[str, float]] = {"reranked": {}, "first_that_runs": {}, "any_of_group": {}}
    for item, group in zip(items, drawn, strict=True):
        runs = [(extract(text) or "", one["semantic"]) for text, one in group if one["valid"]] or [("", 0.0)]
        scores = scorer(item.question, [query for query, _ in runs])
        found["reranked"][item.id] = max(zip(scores, runs, strict=True), key=lambda pair: pair[0])[1][1]
        found["first_that_runs"][item.id] = runs[0][1]
        found["any_of_group"][item.id] = max(right for _, right in runs)
    return found


if __name__ == "__main__":
    entrypoint(evaluate)
