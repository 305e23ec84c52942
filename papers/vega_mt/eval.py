"""Translate held-out sentences both ways with the models of one arm.

    python -m papers.vega_mt.eval tiny --variant multi
    python -m papers.vega_mt.eval paper --variant multi

Units are `language/direction/sentence`, and of `general` `language/domain/direction/sentence`: BLEU of sentences, which
has units, where the paper has BLEU of a test set. With own text, BLEU and chrF++ of the test sets are there too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.vega_mt.config import Config

if TYPE_CHECKING:
    from core.tasks.translation import Segment
    from papers.vega_mt.pipeline import Task

SHOWN = 4
Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Numbers or sentences; and in the tiny world what the arm's own phase is about."""
    from core.tasks.translation import direction_scores, trivial
    from papers.vega_mt import data, pipeline

    world = data.world(config, run)
    units: Units = defaultdict(dict)
    metrics: dict[str, float] = {}
    samples: list[dict[str, str]] = []
    details: dict[str, Any] = {}
    solved: dict[str, list[float]] = defaultdict(list)
    for code in world.tuned:
        task = pipeline.Task(config, run, world, code)
        for direction in data.both(code):
            judged = config.generalise != "none" or (config.tune == "bi" and config.self_training == "none")
            named = {"numbers": world.asked[code], **(world.domains.get(code, {}) if judged else {})}
            sets = {name: data.directed(parts, direction) for name, parts in named.items()}
            texts = iter(_written(config, _model(task, direction), [part for parts in sets.values() for part in parts]))
            written = {name: list(islice(texts, len(parts))) for name, parts in sets.items()}
            asked, outputs = sets["numbers"], written["numbers"]
            units["bleu"] |= _scores(code, asked, outputs)
            units["exact"] |= _scores(code, asked, outputs, "exact")
            for solver, by in trivial(asked, "bleu").items():
                solved[solver] += by.values()
            shown = list(zip(asked, outputs, strict=True))[:SHOWN]
            samples += [{"source": p.source_text, "wanted": p.target_text, "written": text} for p, text in shown]
            if config.bitext:
                (scores,) = direction_scores(asked, outputs, ("bleu", "chrf++")).values()
                metrics |= {f"{name}_{'-'.join(direction)}": value for name, value in scores.items()}
            elif judged:
                alike = min(map(len, sets.values()))  # domains count alike
                for domain, parts in sets.items():
                    units["general"] |= _scores(f"{code}/{domain}", parts[:alike], written[domain][:alike])
        if not config.bitext and config.self_training not in ("none", "genuine"):
            _pseudo(units, details, task)
    units = {name: by for name, by in units.items() if by}  # a model that writes nothing makes no pseudo pair
    metrics |= {name: fmean(by.values()) for name, by in units.items()}
    metrics |= {f"trivial_{name}": fmean(values) for name, values in solved.items()}
    return Measurement(metrics, units, {"samples": samples, **details})


def _model(task: Task, direction: tuple[str, str]) -> Any:
    """Model and tokenizer of a direction: of its own, of both, or of the checkpoints that are best together."""
    from core.models.loading import load
    from core.tasks.translation import sentence_scores
    from papers.vega_mt import data, method, pipeline

    config, artifact, name = task.config, task.run.artifact, "-".join(direction)
    folder = artifact / (name if (artifact / name).exists() else task.code)
    if not config.ensemble:
        return load(folder, task="seq2seq", dtype="float32")
    loaded = [load(path, task="seq2seq", dtype="float32") for path in (folder, *pipeline.earlier(task, direction))]
    parts = data.directed(task.world.select[task.code], direction)

    def score(model: Any) -> float:
        return fmean(sentence_scores(parts, _written(config, (model, loaded[0][1]), parts), "bleu").values())

    models = [model for model, _ in loaded]
    chosen = method.greedy_ensemble(models, score)
    return method.Ensemble([models[place] for place in chosen]), loaded[0][1]


def _written(config: Config, loaded: Any, parts: Sequence[Segment]) -> list[str]:
    """Translations by beam search, as the official system finishes them: Chinese without spaces, punctuation wide."""
    from core.tasks.translation import written
    from papers.vega_mt.punctuation import half_to_full

    model, tokenizer = loaded
    outputs = written(model, tokenizer, parts, beams=config.beams, longest=256 if config.bitext else 24)
    # The tiny world's Chinese has spaces between its characters, and no punctuation.
    full = config.bitext and parts and parts[0].target == "zh"
    return [half_to_full(text) for text in outputs] if full else outputs


def _scores(prefix: str, parts: Sequence[Segment], outputs: Sequence[str], metric: Any = "bleu") -> dict[str, float]:
    from core.tasks.translation import sentence_scores

    return {f"{prefix}/{name}": value for name, value in sentence_scores(parts, outputs, metric).items()}


def _pseudo(units: Units, details: dict[str, Any], task: Task) -> None:
    """How many pseudo translations of sound lines are right, shares of the mix, and what cleaning finds."""
    from papers.vega_mt import data, method, pipeline

    code, named, world = task.code, task.world.named, task.world
    pairs, cleaned = pipeline.pseudo(task, pipeline.tuned(task, "bi", data.both(code)[0]))
    details["shares"] = method.shares(method.mixed(data.genuine(world, data.both(code)), pairs))
    right: dict[str, list[float]] = defaultdict(list)
    for part in pairs:
        if part.item.split("/")[1] == "monolingual":
            forward = part.item.startswith("forward")
            ours, made = (part.source, part.target) if forward else (part.target, part.source)
            text, pseudo = (part.source_text, part.target_text) if forward else (part.target_text, part.source_text)
            if text in named[ours]:
                right[f"{code}/{ours}-{made}"].append(float(named[made].get(pseudo) == named[ours][text]))
    # Of a text of which cleaning leaves nothing none is right.
    units["pseudo_right"] |= {name: fmean(values) for name, values in right.items()} or {code: 0.0}
    for language, lines in cleaned.items():
        damaged = [line.line not in named[language] for line in lines]
        lengths = [len(line.line.split()) for line in lines]
        found: Mapping[str, float] = {
            "auc": _auc(damaged, [-line.score for line in lines]),
            "length_auc": _auc(damaged, [abs(length - fmean(lengths)) for length in lengths]),
            "flagged": fmean(line.verdict != "kept" for line, bad in zip(lines, damaged, strict=True) if bad),
            "false_alarms": fmean(line.verdict != "kept" for line, bad in zip(lines, damaged, strict=True) if not bad),
            "sound_before": 1 - fmean(damaged),
            "sound_after": fmean([line.text in named[language] for line in lines if line.text] or [0.0]),
        }
        for name, value in found.items():
            units[name][f"{code}/{language}"] = value


def _auc(damaged: Sequence[bool], values: Sequence[float]) -> float:
    """Area under the curve: how often a damaged line has a higher value than a sound one; equal ones count half."""
    import numpy as np

    hit, found = np.array(damaged), np.array(values)
    pairs = np.sign(found[hit][:, None] - found[~hit])
    return float((1 + pairs.mean()) / 2)


if __name__ == "__main__":
    entrypoint(evaluate)
