"""Make what is measured: scores of every model on every benchmark, and ratings by people.

    python -m papers.bitter_lesson.train tiny --variant localized     # thirty small models and scripted voters
    python -m papers.bitter_lesson.train paper                        # thirty real ones through lm-evaluation-harness
    python -m papers.bitter_lesson.train paper --scores results/      # scores that are there already

The artifact is scores.tsv, ratings.tsv, models.tsv and facts.json, which `eval.py` reads and `use.py` takes as well.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from core.files import write_json, write_table
from papers.bitter_lesson import data
from papers.bitter_lesson.config import Config
from papers.bitter_lesson.method import Battle, elo, fit_ratings, reliability


def train(config: Config, run: Run) -> None:
    """Write the tables."""
    scores, ratings, models, facts = population(config, run) if data.miniature(config) else real(config, run)
    run.artifact.mkdir(parents=True, exist_ok=True)
    data.write_columns(run.artifact / "scores.tsv", scores, "benchmark", "language", "score")
    data.write_columns(run.artifact / "ratings.tsv", {(code,): c for code, c in ratings.items()}, "language", "rating")
    names = sorted({name for column in models.values() for name in column})
    write_table(run.artifact / "models.tsv", [{"model": n, **{k: c[n] for k, c in models.items()}} for n in names])
    write_json(run.artifact / "facts.json", facts)


def population(config: Config, run: Run) -> tuple[data.Scores, data.Ratings, dict[str, data.Column], dict[str, Any]]:
    """The miniature's models, and ratings fitted to its votes; what arms share is made once a seed."""
    from papers.bitter_lesson.miniature import World, made

    how = {"split": config.split, "seed": config.seed, "models": config.population, "votes": config.votes,
           "items": config.items, "low": config.low, "high": config.high}  # fmt: skip

    def compute() -> dict[str, Any]:
        world: World = made(**how)  # type: ignore[arg-type]
        joined = lambda by: {"/".join(pair): values for pair, values in by.items()}  # noqa: E731
        return asdict(world) | {name: joined(getattr(world, name)) for name in ("scores", "accuracy", "read", "items")}

    world = run.once("population", how, compute)
    names = [f"m{number:03}" for number in range(config.population)]
    votes = {code: [Battle(names[i], names[j], won) for i, j, won in found] for code, found in world["votes"].items()}
    scores: data.Scores = {}
    for suffix, by in (("", world["scores"]), (data.ACCURACY, world["accuracy"])):
        for pair, values in by.items():
            kind, code = pair.split("/")
            scores[kind + suffix, code] = dict(zip(names, values, strict=True))
    fit = elo if config.ratings == "elo" else fit_ratings
    ratings = {code: fit(found) for code, found in votes.items()}
    models = {"characters": dict(zip(names, world["budget"], strict=True))}
    models |= {f"read {pair}": dict(zip(names, values, strict=True)) for pair, values in world["read"].items()}
    models |= {f"taste {code}": dict(zip(names, values, strict=True)) for code, values in world["taste"].items()}
    facts = {"reliability": {code: reliability(found, config.seed) for code, found in votes.items()}}
    facts["items"] = world["items"]
    return scores, ratings, models, facts


def real(config: Config, run: Run) -> tuple[data.Scores, data.Ratings, dict[str, data.Column], dict[str, Any]]:
    """Scores of real models, from the harness or from files, and the Arena's ratings of those that have one."""
    if config.ratings != "arena":
        raise UserError(
            f"--ratings {config.ratings} is fitted to votes, which are public of the miniature alone: use --ratings "
            "arena, or the verbs of papers.bitter_lesson.use on votes of your own."
        )
    ratings, sizes = data.arena()
    scores: data.Scores = data.read_scores(config.scores) if config.scores else {}
    for model in () if config.scores else config.models:
        found = run.once("scores", {"model": model, "dtype": config.dtype}, lambda model=model: measured(model, config))  # type: ignore[misc]
        for pair, task in data.tasks().items():
            data.add_task(scores, pair, model, found.get(task, {}))
    import importlib.metadata

    facts = {"harness": importlib.metadata.version("lm_eval")} if not config.scores else {}
    return scores, ratings, {"size": sizes}, facts


def measured(model: str, config: Config) -> dict[str, Any]:
    """The harness's numbers of one model, with its own number of examples and no chat template."""
    from core.models import loading
    from core.tasks.harness import run as run_harness

    loaded = loading.load(model, dtype=config.dtype, device_map="auto")
    try:
        return run_harness(loaded.model, loaded.tokenizer, Path(), sorted(set(data.tasks().values())))
    except UserError:
        raise
    except Exception as error:  # the harness downloads, and raises whatever its parts do
        raise UserError(f"lm-evaluation-harness stopped on {model} ({type(error).__name__}: {error}).") from error


if __name__ == "__main__":
    entrypoint(train)
