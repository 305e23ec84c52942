"""Translate held-out items both ways and score them.

    python -m papers.three_stage_mt.eval tiny --variant full
    python -m papers.three_stage_mt.eval paper

Numbers are right or wrong (`accuracy`), `well_formed` where they are the name of any number in the language that was
asked for, and partly right by their `digits`; `fitted` is the accuracy on numbers of tuning. Sentences are scored
with BLEU, chrF++ and COMET-22; `on_target` is the share in the language that was asked for. Metrics that end in `_out`
are of the direction out of the first language, in `_back` of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import write_rows
from core.tasks.translation import Segment, direction_scores, hypotheses, sentence_scores, translate, trivial
from papers.three_stage_mt import data, method, miniature
from papers.three_stage_mt.config import Config

_FITTED = 25  # numbers of tuning that are asked for again


def evaluate(config: Config, run: Run) -> Measurement:
    """Exact match (numbers) or translation scores, and the language of the outputs."""
    from core.distributed import seed_everything
    from core.models import loading

    seed_everything(config.seed)
    model, tokenizer = loading.load(str(run.artifact), dtype="float32" if config.base is None else "auto")
    parts = data.tests(config) if config.base else asked(config)
    outputs = answers(model, tokenizer, parts, config)
    rows = hypotheses(parts, outputs)
    write_rows(run.path / "hypotheses.jsonl", rows)
    shown = rows[:: max(1, len(rows) // 6)][:6]
    if config.base:
        return of_sentences(config, parts, outputs, shown)
    units = {"accuracy": sentence_scores(parts, outputs, "exact")}
    first = miniature.languages(config)[0]
    for mark, forth in (("out", True), ("back", False)):
        chosen = {part.id for part in parts if (part.source == first) == forth}
        units[f"accuracy_{mark}"] = {unit: value for unit, value in units["accuracy"].items() if unit in chosen}
    units |= miniature.read_back(parts, outputs)
    metrics = {name: fmean(values.values()) for name, values in units.items()}
    metrics |= {f"trivial_{name}": fmean(found.values()) for name, found in trivial(parts, "exact").items()}
    tuned = miniature.pairs(miniature.parts(config)["tuning"][:_FITTED], config)
    learnt = sentence_scores(tuned, answers(model, tokenizer, tuned, config), "exact")
    return Measurement(metrics | {"fitted": fmean(learnt.values())}, units, {"samples": shown})


def asked(config: Config) -> list[Segment]:
    """The test items of the miniature."""
    return miniature.pairs(miniature.parts(config)[config.split][: config.test_items], config)


def answers(model: Any, tokenizer: Any, parts: Sequence[Segment], config: Config) -> list[str]:
    """Translations, asked for as in tuning."""

    def prompt(part: Segment) -> str:
        return method.translation_prompt(part.source, part.target, part.source_text, config.instruction_language)

    return translate(model, tokenizer, parts, prompt, num_beams=config.num_beams, max_new_tokens=config.max_new_tokens)


def of_sentences(config: Config, parts: Sequence[Segment], outputs: Sequence[str], shown: Any) -> Measurement:
    """Scores of each direction, chrF++ of each sentence, and the share in the language that was asked for."""
    from core.text.identification import identify

    found = zip(parts, outputs, strict=True)
    units = {
        "chrf": sentence_scores(parts, outputs, "chrf++"),
        "on_target": {part.id: float(identify(text, config.languages) == part.target) for part, text in found},
    }
    metrics = {name: fmean(values.values()) for name, values in units.items()}
    for direction, scores in direction_scores(parts, outputs, config.metrics).items():
        metrics |= {f"{name}_{direction}": value for name, value in scores.items()}
    return Measurement(metrics, units, {"samples": shown})


if __name__ == "__main__":
    entrypoint(evaluate)
