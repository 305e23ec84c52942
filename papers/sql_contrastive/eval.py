"""Measure a policy and its encoder on questions whose queries nothing was trained on, by language.

    python -m papers.sql_contrastive.eval tiny --variant contrastive
    python -m papers.sql_contrastive.eval tiny --variant contrastive --split dev

Numbers are means over a group of sampled answers, as in training: greedy answers flip where two are about as likely,
and those of a start that prefers what is wrong get better by any noise. `valid`: the query runs. `result_match`: its
rows are those of the gold query. `semantic`: they are on the database and on three copies with other contents, too.
`right_table` and `length` (in parts of SQL) show a policy that is paid for what runs, whatever it says. The encoder is
asked to tell gold from its edits that run (`audit`), and to choose among the group of answers of the policy as it
begins, without gold (`reranked`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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
    answers, units = write(str(run.artifact), items, copies, config), defaultdict[str, dict[str, float]](dict)
    for item, group in zip(items, answers, strict=True):
        found = [verdict(item, answer, copies) | manner(item, answer, copies) for answer in group]
        for name in found[0]:
            units[name][item.id] = fmean(one[name] for one in found)
    begun = train.starting_point(config, run)
    inputs = {"begun": begun, "from": [config.seed, config.split, config.items, config.group]}
    drawn = run.once("drawn", inputs, lambda: write(begun, items, copies, config))
    start = [verdict(item, answer, copies) for item, group in zip(items, drawn, strict=True) for answer in group]
    if scorer := train.scorer_of(config, run, copies):
        units |= {"audit": audit(scorer, items, copies)} | chosen(scorer, items, drawn, copies)
    metrics = {name: fmean(values.values()) for name, values in units.items()}
    metrics["start_valid"] = fmean(one["valid"] for one in start)
    metrics["start_fails"] = 1 - metrics["start_valid"]
    metrics["gain"] = metrics["semantic"] - fmean(one["semantic"] for one in start)
    for code in {item.language for item in items}:
        metrics[f"semantic_{code}"] = fmean(v for key, v in units["semantic"].items() if key.startswith(f"{code}/"))
    if rewarded := [line for line in read_json_lines(run.path / "metrics.jsonl") if "equal_groups" in line]:
        metrics["equal_groups"] = fmean(line["equal_groups"] for line in rewarded)
    if not config.base:
        inputs = {name: getattr(config, name) for name in ("seed", "split", "items", "tuning", "careless")}
        known = data.items(config, "tuning")
        solved = run.once("solvers", inputs, lambda: miniature.solved(known, items[:140], copies))
        metrics |= {f"trivial_{name}": value for name, value in solved.items()}
    shown = list(zip(items, answers, strict=True))[:14]
    samples = [{"asked": item.question, "said": said[0].strip(), "gold": item.sql} for item, said in shown]
    return Measurement(metrics, dict(units), {"samples": samples})


def write(policy: str, items: Sequence[Item], copies: Copies, config: Config) -> list[list[str]]:
    """A group of sampled answers of a policy to each question."""
    from core.inference.generation import generate
    from core.models.loading import load
    from papers.sql_contrastive import data

    model, tokenizer = load(policy, **({} if config.base else {"dtype": "float32"}))
    group = config.group
    prompts = [prompt for prompt in data.asked(tokenizer, items, copies) for _ in range(group)]
    how: dict[str, Any] = {"max_new_tokens": config.max_new_tokens, "seed": config.seed}
    texts = generate(model, tokenizer, prompts, temperature=1.0, **how)
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


def manner(item: Item, answer: str, copies: Copies) -> dict[str, float]:
    """Whether an answer is about the tables of the gold query, and how long it is, in parts of SQL."""
    from papers.sql_contrastive.sandbox import extract, tokens

    parts = tokens(extract(answer) or "")
    about, wanted = ({name for name in copies[item.db][0].tables if name in some} for some in (parts, tokens(item.sql)))
    return {"right_table": float(about == wanted), "length": float(len(parts))}


def audit(scorer: Near, items: Sequence[Item], copies: Copies) -> dict[str, float]:
    """Share of the edits of each gold query that the encoder puts below it."""
    from papers.sql_contrastive.negatives import edits

    found = {}
    for item in items:
        if others := [query for _, query in edits(copies[item.db], item.sql)]:
            gold, *wrong = scorer(item.question, [item.sql, *others])
            found[item.id] = fmean(float(gold > one) for one in wrong)
    return found


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
