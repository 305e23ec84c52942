"""Measure a continued model: what the old languages lost, what the new ones gained, and how it translates.

    python -m papers.marco_llm.eval tiny --variant two_stage

Bits per UTF-8 byte by language, before and after (`languages.tsv`); translation in all directions. Metrics of
translation end in the group of directions that they are about: none (with English), `_any` (without), `_old` (what the
miniature's base has learnt). Give training and measurement the same options: the run is found by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint, show
from core.experiment.run import Measurement, Run, is_main_process
from core.files import read_json, write_table
from core.metrics.likelihood import letter_bits
from core.tasks import translation
from core.tasks.translation import Segment
from core.text.languages import name as language_name
from papers.marco_llm.bitext import prompt
from papers.marco_llm.config import Config

Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Bits per byte before and after, translation by direction, both by language; what solvers without a model get."""
    from core.distributed import seed_everything
    from core.inference.scoring import text_bits
    from core.models import loading
    from papers.marco_llm import data, miniature

    seed_everything(config.seed)
    texts, dtype = data.held_out_text(config), "float32" if config.model is None else "auto"
    start = config.model or miniature.base(config, run)
    inputs = {"start": start, "texts": texts}
    first = run.once("bits", inputs, lambda: text_bits(*loading.load(start, dtype=dtype), texts))
    model, tokenizer = loading.load(str(run.artifact), dtype=dtype)
    after, old = text_bits(model, tokenizer, texts), data.old_languages(config, texts)
    groups = {"bits": list(texts), "old_bits": old, "new_bits": [code for code in texts if code not in old]}
    units: Units = {name: {code: after[code] for code in codes} for name, codes in groups.items() if codes}
    metrics: dict[str, float] = {}
    if not config.test_corpus:  # what one would pay who has read the same text and knows its letters alone
        train = miniature.text(config, "train")
        letters = {code: letter_bits(train[code], lines) for code, lines in texts.items()}
        metrics["trivial_letters_bits"] = fmean(letters[code] for code in groups["new_bits"])
        for name in ("old", "new"):
            units[f"known_{name}"] = {code: letters[code] - after[code] for code in groups[f"{name}_bits"]}
    if directions := data.directions(config):
        scores, solvers = translate(config, model, tokenizer, directions)
        units |= scores
        metrics |= solvers
    metrics |= {name: fmean(values.values()) for name, values in units.items()}
    if is_main_process():
        group = {code: "old" if code in old else "new" for code in after}
        rows = [{"language": c, "group": group[c], "before": first[c], "after": bits} for c, bits in after.items()]
        write_table(run.path / "languages.tsv", rows)
        if not run.quiet:
            print("change of bits per byte:")
            show({f"{code} ({group[code]})": bits - first[code] for code, bits in after.items()})
    return Measurement(metrics, units, {"mixture": read_json(run.artifact / "mixture.json")})


def translate(
    config: Config, model: Any, tokenizer: Any, directions: Sequence[tuple[str, str]]
) -> tuple[Units, dict[str, float]]:
    """Scores by group of directions, and exact match of solvers that know nothing.

    `exact` has a unit a sentence, `bleu` and `chrf` (corpus scores) one a direction.
    """
    from papers.marco_llm import data

    parts, asked = translation.with_examples(data.translation_rows(config), directions, question, config.shots)
    outputs = translation.translate(model, tokenizer, parts, asked, max_new_tokens=config.max_new_tokens, stop=["\n"])
    groups = {f"{source}-{target}": data.group(config, source, target) for source, target in directions}
    units: Units = {}
    scores = {"exact": translation.sentence_scores(parts, outputs, "exact"), **by_direction(parts, outputs)}
    for metric, values in scores.items():
        for key, value in values.items():
            units.setdefault(metric + groups[key.partition("/")[0]], {})[key] = value
    trivial = translation.trivial([part for part in parts if not groups[part.direction]], "exact")
    return units, {f"trivial_{name}": fmean(values.values()) for name, values in trivial.items() if values}


def question(part: Segment) -> str:
    """The prompt of a segment."""
    return prompt("C", language_name(part.source), language_name(part.target), part.source_text)


def by_direction(parts: Sequence[Segment], outputs: Sequence[str]) -> Units:
    """BLEU and chrF of each direction; BLEU is sacrebleu's with the tokenizer of the target language (not stated)."""
    return {
        metric: {name: found.score for name, found in translation.corpus_scores(parts, outputs, metric).items()}
        for metric in ("bleu", "chrf")
    }


if __name__ == "__main__":
    entrypoint(evaluate)
