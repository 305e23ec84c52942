"""Measure a policy and its encoder on questions whose queries nothing was trained on, by language.

    python -m papers.sql_contrastive.eval tiny --variant contrastive --split dev

Numbers of the miniature are means over sampled answers, as in training: greedy answers flip where two are about as
likely, and those of a start that prefers what is wrong get better by any noise. `valid`: it runs; `result_match`: its
rows are those of the gold query; `semantic`: on three copies with other contents, too. The encoder is asked to tell
gold from other queries (`audit`), and to choose among a group of answers of the policy as it begins (`reranked`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json_lines
from papers.sql_contrastive.config import Config

if TYPE_CHECKING:
    from papers.sql_contrastive.data import Copies
    from papers.sql_contrastive.method import Item, Near

Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """The numbers of one arm."""
    from core.distributed import seed_everything
    from papers.sql_contrastive import data, miniature, train

    seed_everything(config.seed, 0)
    copies, items = data.databases(config, run), data.items(config, "measured")
    metrics: dict[str, float] = {}
    answers = write(str(run.artifact), items, copies, config, config.answers)
    units = defaultdict[str, dict[str, float]](dict)
    for item, group in zip(items, answers, strict=True):
        found = [verdict(item, answer, copies) for answer in group]
        for name in found[0]:
            units[name][item.id] = fmean(one[name] for one in found)
    begun = train.starting_point(config, run)

    def drawn(count: int) -> list[list[str]]:
        names = ("seed", "split", "items", "questions", "databases", "max_new_tokens")
        inputs = {"begun": begun, "count": count} | {name: getattr(config, name) for name in names}
        return run.once("drawn", inputs, lambda: write(begun, items, copies, config, count))

    begin = zip(items, drawn(config.answers), strict=True)
    start = [verdict(item, answer, copies) for item, group in begin for answer in group]
    rivals = {} if config.base else {item.id: miniature.rivals(item) for item in items}
    if scorer := train.scorer_of(config, run, copies):
        units |= audit(scorer, items, copies, rivals) | chosen(scorer, items, drawn(config.group), copies)
        metrics["audit_worst"] = min(by_language(units["audit"]).values(), default=math.nan)
    metrics |= {name: fmean(values.values()) for name, values in units.items()}
    metrics["start_valid"] = fmean(one["valid"] for one in start)
    metrics["start_either"] = min(metrics["start_valid"], 1 - metrics["start_valid"])
    metrics["gain"] = metrics["semantic"] - fmean(one["semantic"] for one in start)
    metrics |= {f"semantic_{code}": value for code, value in by_language(units["semantic"]).items()}
    if rewarded := [line for line in read_json_lines(run.path / "metrics.jsonl") if "equal_groups" in line]:
        metrics["equal_groups"] = fmean(line["equal_groups"] for line in rewarded)
    if not config.base:
        inputs = {name: getattr(config, name) for name in ("seed", "split", "items", "pairs")}
        solved = run.once("solvers", inputs, lambda: miniature.solved(data.items(config, "encoder"), items[:140]))
        metrics |= {f"trivial_{name}": value for name, value in solved.items()}
    shown = list(zip(items, answers, strict=True))[:14]
    samples = [{"asked": item.question, "said": said[0].strip(), "gold": item.sql} for item, said in shown]
    return Measurement(metrics, dict(units), {"samples": samples})


def write(policy: str, items: Sequence[Item], copies: Copies, config: Config, count: int) -> list[list[str]]:
    """So many sampled answers of a policy to each question; 0 is a greedy one."""
    from core.inference.generation import generate
    from core.models.loading import load
    from papers.sql_contrastive import data

    model, tokenizer = load(policy, **({} if config.base else {"dtype": "float32"}))
    group = count or 1
    prompts = [prompt for prompt in data.asked(tokenizer, items, copies) for _ in range(group)]
    how: dict[str, Any] = {"max_new_tokens": config.max_new_tokens, "seed": config.seed}
    texts = generate(model, tokenizer, prompts, temperature=float(count > 0), **how)
    return [texts[start : start + group] for start in range(0, len(texts), group)]


def verdict(item: Item, answer: str, copies: Copies) -> dict[str, float]:
    """What is right about an answer."""
    from papers.sql_contrastive.negatives import agrees
    from papers.sql_contrastive.sandbox import extract

    query, own = extract(answer), copies[item.db]
    if query is None or own[0].run(query).rows is None:
        return {"valid": 0.0, "result_match": 0.0, "semantic": 0.0}
    found = [float(agrees(some, query, item.sql)) for some in (own[:1], own)]
    return {"valid": 1.0, "result_match": found[0], "semantic": found[1]}


def audit(scorer: Near, items: Sequence[Item], copies: Copies, rivals: Mapping[str, Sequence[str]]) -> Units:
    """Share of wrong queries that the encoder puts below gold: `audit_<kind>`, and `audit`, the mean over kinds: those
    of edits, `careless` (`rivals`, by an item's id) and `other`, gold of the database's other questions."""
    from papers.sql_contrastive.negatives import agrees, edits

    found = defaultdict[str, dict[str, float]](dict)
    for item in items:
        kinds, alike = defaultdict[str, list[str]](list), [one.sql for one in items if one.db == item.db]
        more = [*(("careless", query) for query in rivals.get(item.id, ())), *(("other", query) for query in alike)]
        for kind, query in dict.fromkeys([*edits(copies[item.db], item.sql), *more]):
            if not agrees(copies[item.db], query, item.sql):
                kinds[kind].append(query)
        for kind, queries in kinds.items():
            gold, *wrong = scorer(item.question, [item.sql, *queries])
            found[f"audit_{kind}"][item.id] = fmean(float(gold > score) for score in wrong)
        if kinds:
            found["audit"][item.id] = fmean(found[f"audit_{kind}"][item.id] for kind in kinds)
    return found


def by_language(values: Mapping[str, float]) -> dict[str, float]:
    """Means over items, whose ids begin with their language."""
    codes = dict.fromkeys(key.partition("/")[0] for key in values)
    return {code: fmean(value for key, value in values.items() if key.startswith(f"{code}/")) for code in codes}


def chosen(scorer: Near, items: Sequence[Item], drawn: Sequence[Sequence[str]], copies: Copies) -> Units:
    """Semantic accuracy of the answer that the encoder puts first, of the first that runs, and of any of the group."""
    from papers.sql_contrastive import method

    found: Units = {"reranked": {}, "first_that_runs": {}, "any_of_group": {}}
    for item, group in zip(items, drawn, strict=True):
        right = [verdict(item, text, copies) for text in group]
        best = method.rerank(scorer, copies[item.db][0], item.question, group)[0][1]
        found["reranked"][item.id] = verdict(item, best, copies)["semantic"]
        found["first_that_runs"][item.id] = next((one["semantic"] for one in right if one["valid"]), 0.0)
        found["any_of_group"][item.id] = max(one["semantic"] for one in right)
    return found


if __name__ == "__main__":
    entrypoint(evaluate)
