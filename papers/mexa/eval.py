"""Measure how well a model maps languages onto English, and how well that predicts its task scores.

    python -m papers.mexa.eval tiny                                                      # SmolLM2-135M, 20 languages
    python -m papers.mexa.eval --model Qwen/Qwen3-0.6B-Base --corpus my_parallel.tsv     # any model, any parallel text
    python -m papers.mexa.eval --model Qwen/Qwen3-0.6B-Base --corpus my_parallel.tsv \
        --scores known_scores.tsv --english-score 0.61                                   # ... and predict task scores
    python -m papers.mexa.eval paper --model google/gemma-2-9b                           # FLORES-200 and Belebele

Prints one line per language (score with interval, layer curve, chance tail, task score or its prediction) and writes
measurement.json, languages.json and languages.tsv into the run directory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run, is_main_process
from core.files import read_json, write_json, write_text
from papers.mexa.config import RELATED, Config, complete

if TYPE_CHECKING:
    from core.metrics.stats import Interval
    from core.models.loading import Loaded
    from core.tasks.choices import By
    from papers.mexa.data import Parallel
    from papers.mexa.scoring import Alignment


def evaluate(config: Config, run: Run) -> Measurement:
    """Align every language with the pivot, score the task, correlate and predict."""
    from papers.mexa import data, scoring, table
    from papers.mexa.method import chance, chance_band

    config = complete(config)
    parallel = data.load_parallel(config)
    alignments = align_languages(config, run, parallel)
    known = task_scores(config, run, list(alignments))
    # English is the yardstick of the others and no point of a correlation.
    measured = known.pop(config.pivot, None)
    english = measured if config.english_score is None else config.english_score
    pooled = {language: alignment.score for language, alignment in alignments.items()}
    estimates, fit = scoring.estimate_task_scores(pooled, known, english, config.choices)
    n = next(iter(alignments.values())).n
    details: dict[str, Any] = {
        "n": n,
        "chance": chance(n),
        "chance_band": chance_band(n),
        "english_score": english,
        "fit": vars(fit) if fit else None,
        "dropped": list(parallel.dropped),
        "curves": {language: [round(v, 4) for v in a.curve] for language, a in alignments.items()},
    }
    comparison = compare(config, run, parallel, alignments) if config.compare_with else {}
    measurement = Measurement(*metrics(alignments, known, chance(n)), details)
    report = table.Report(alignments, known, estimates, comparison)
    if is_main_process():
        write_text(run.path / "languages.tsv", report.as_tsv())
        write_json(run.path / "languages.json", report.as_json())
        if not run.quiet:
            report.show(config, measurement)
    return measurement


# --- alignment ----------------------------------------------------------------------------------------------------


def align_languages(config: Config, run: Run, parallel: Parallel) -> dict[str, Alignment]:
    """The alignment of every language, from dot products that all variants of a model share."""
    from papers.mexa import data, embedding, scoring

    n = min(config.n or len(parallel.keys), len(parallel.keys))
    rows = data.choose_rows(len(parallel.keys), n, config.sampling, config.seed)
    if len(parallel.keys) > 2 * n:  # not worth embedding what this run leaves out
        parallel, rows = parallel.take(rows), list(range(n))
    kind = embedding.stored_kind(config.embedding, config.drop_first)
    folder = _dot_products(config, run, parallel, embedding.KINDS if config.share_embeddings else (kind,))
    alignments = {}
    for language in parallel.texts:
        if language != config.pivot:
            g = embedding.read_grams(folder, language, kind)
            if any(not -len(g.cross) <= layer < len(g.cross) for layer in config.layers):
                raise UserError(f"--layers {config.layers}: {config.model} has the layers 0 to {len(g.cross) - 1}.")
            g = g.select(rows, _derangement(rows, config.seed, language) if config.shuffle_ids else None)
            alignments[language] = scoring.align(
                g,
                score=config.score,
                center=config.center,
                pool=config.pool,
                layers=config.layers,
                include_embedding_layer=config.include_embedding_layer,
            )
    return alignments


def _derangement(rows: Sequence[int], seed: int, language: str) -> list[int]:
    """Another sentence for every one: each gets the one that follows it in a random circle."""
    import numpy as np

    circle = np.random.default_rng([seed, *language.encode()]).permutation(len(rows))
    following = dict(zip(circle.tolist(), np.roll(circle, -1).tolist(), strict=True))
    return [rows[following[position]] for position in range(len(rows))]


def _dot_products(config: Config, run: Run, parallel: Parallel, kinds: Sequence[Any]) -> Path:
    from core.training.progress import Display
    from papers.mexa import embedding

    options = {
        "add_bos": config.bos == "always",
        "prefix": config.prefix,
        "batch_tokens": config.batch_tokens,
    }

    def build(folder: Path) -> None:
        stream = embedding.stream_grams(load(config), parallel.texts, config.pivot, kinds=kinds, **options)
        with Display(len(parallel.texts) - 1, f"embedding, {config.model}", run.quiet) as display:
            for done, (language, by_kind) in enumerate(stream, start=1):
                embedding.save_grams(folder, language, by_kind)
                display.step(done)

    inputs = {**_identity(config), **options, "texts": parallel.texts, "pivot": config.pivot, "kinds": kinds}
    return run.stage("dot-products", inputs, build)


def load(config: Config) -> Loaded:
    """The model with its tokenizer, or the same architecture with random weights."""
    from core.models import loading

    task = config.architecture
    if config.random_weights is None:
        return loading.load(
            config.model,
            task=task,
            dtype=config.dtype,
            device_map=config.device_map,
            revision=config.revision,
            trust_remote_code=config.trust_remote_code,
        )
    device = loading.default_device()
    dtype = loading.default_dtype(device)
    architecture = loading.load_config(config.model, revision=config.revision)
    model: Any = loading.from_config(architecture, seed=config.random_weights, task=task, dtype=dtype)
    return loading.Loaded(model.to(device), loading.load_tokenizer(config.model))


def _identity(config: Config) -> dict[str, Any]:
    """What decides which weights are loaded, for the keys of stages."""
    names = ("model", "revision", "architecture", "random_weights", "dtype", "trust_remote_code")
    return {name: getattr(config, name) for name in names}


def compare(config: Config, run: Run, parallel: Parallel, ours: Mapping[str, Alignment]) -> dict[str, Interval]:
    """Second model minus first on identical sentences, by language, with paired intervals."""
    from dataclasses import replace

    from papers.mexa.method import compare_models, pool_layers

    other = replace(config, model=config.compare_with or "", revision=None, compare_with=None)
    theirs = align_languages(other, run, parallel)
    pool = partial(
        pool_layers, pool=config.pool, layers=config.layers, include_embedding_layer=config.include_embedding_layer
    )
    result = {}
    for language, alignment in theirs.items():
        a, b = alignment.contributions, ours[language].contributions
        assert a is not None
        assert b is not None
        result[language] = compare_models(a, b, pool)
    return result


# --- the task -----------------------------------------------------------------------------------------------------


def task_scores(config: Config, run: Run, languages: Sequence[str]) -> dict[str, float]:
    """Task score by language, the pivot's too where it means something: from a file or from the model's answers."""
    from core.tasks.choices import answer
    from papers.mexa import data, tasks

    if config.scores:
        return data.read_scores(config.scores, [config.pivot, *languages])
    if config.task == "none":
        return {}
    # What an English word means in English is no question.
    codes = tasks.task_languages(config, [*languages] if config.task == "words" else [config.pivot, *languages])

    def build(folder: Path) -> None:
        from core.training.progress import Display

        model, tokenizer = load(config)
        # How common a word is in English says nothing about the question; letters are equally common.
        by: By = "prior" if config.task == "words" else "sum"
        answers = {}
        with Display(len(codes), f"{config.task}, {config.model}", run.quiet) as display:
            for done, (language, code) in enumerate(codes.items(), start=1):
                questions = tasks.task_items(config, code)
                right = answer(model, tokenizer, questions, by, batch_tokens=config.batch_tokens)
                answers[language] = list(right.values())
                display.step(done)
        write_json(folder / "answers.json", answers)

    names = ("task", "shots", "items", "hub_folder")
    inputs = {**_identity(config), **{name: getattr(config, name) for name in names}, "codes": codes}
    answers = read_json(run.stage("answers", inputs, build) / "answers.json")
    return {language: _sampled_mean(correct, config, language) for language, correct in answers.items()}


def _sampled_mean(correct: Sequence[float], config: Config, language: str) -> float:
    import numpy as np

    size = min(config.items or len(correct), len(correct))
    chosen = np.random.default_rng([config.seed, *language.encode()]).permutation(len(correct))[:size]
    return float(np.mean([correct[position] for position in chosen]))


# --- numbers ------------------------------------------------------------------------------------------------------


def metrics(
    alignments: Mapping[str, Alignment], known: Mapping[str, float], chance: float
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Everything that claims and tables use: metrics, and their values by language."""
    from core.metrics.stats import pearson

    units: dict[str, dict[str, float]] = {
        "score": {language: a.score for language, a in alignments.items()},
        "above_chance": {language: a.score - chance for language, a in alignments.items()},
        "nonparallel_cosine": {language: a.nonparallel for language, a in alignments.items()},
        "middle": {language: _middle(a.curve) for language, a in alignments.items()},
    }
    related = {language: value for language, value in units["middle"].items() if language in RELATED}
    if related:
        units["middle_related"] = related
        units["half_middle_related"] = {language: value / 2 for language, value in related.items()}
    # The shape of the curve is a question about the languages that are aligned at all: the best quarter.
    best = sorted(alignments, key=lambda language: -alignments[language].mean)[: max(1, len(alignments) // 4)]
    for metric, layer in (("first_over_peak", 0), ("last_over_peak", -1)):
        units[metric] = {code: _ratio(alignments[code].curve[layer], max(alignments[code].curve)) for code in best}
    common = [language for language in alignments if language in known]
    values: dict[str, float] = {}
    if common:
        units["task_score"] = {language: known[language] for language in common}
        scores = [units["score"][language] for language in common]
        values["pearson_r"] = pearson(scores, [known[language] for language in common]) if len(common) > 2 else math.nan
    if len(common) > 4:
        units |= leave_one_out({code: units["score"][code] for code in common}, units["task_score"])
    return {name: sum(by.values()) / len(by) for name, by in units.items()} | values, units


def leave_one_out(scores: Mapping[str, float], known: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """How far a language's predicted task score is off when it is the one without a benchmark.

    `estimate_error` predicts from a line fitted to the other languages, `baseline_error` from their mean.
    """
    from papers.mexa.scoring import estimate_task_scores

    errors: dict[str, dict[str, float]] = {"estimate_error": {}, "baseline_error": {}}
    for language, truth in known.items():
        others = {code: value for code, value in known.items() if code != language}
        mean = sum(others.values()) / len(others)
        estimates, _ = estimate_task_scores(scores, others)
        estimate = estimates[language].score if language in estimates else mean
        errors["estimate_error"][language] = abs(estimate - truth)
        errors["baseline_error"][language] = abs(mean - truth)
    return errors


def _middle(curve: Sequence[float]) -> float:
    """Mean over the middle third of the layers."""
    third = len(curve) / 3
    layers = curve[math.floor(third) : math.ceil(2 * third)]
    return sum(layers) / len(layers)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 1.0


if __name__ == "__main__":
    entrypoint(evaluate)
