"""Measure a continued model: what the old languages lost, what the new ones gained, and how it translates.

    python -m papers.marco_llm.eval tiny --variant two_stage
    python -m papers.marco_llm.eval --model my-model --sources sources.jsonl --stage1 english=0.8 low=0.2 \
        --stage2 english=0.6 low=0.4 --tokens 2e7 1e7 --test-corpus held_out.tsv --out runs/mine

Bits per UTF-8 byte by language, before and after; any-to-any translation where `translation_languages` asks for it.
Give training and measurement the same options: the run is found by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run, is_main_process
from core.files import read_json, write_json, write_text
from papers.marco_llm.config import Config


def evaluate(config: Config, run: Run) -> Measurement:
    """Bits per byte before and after, translation, and how exactly the mixture was met."""
    from core.distributed import seed_everything
    from core.models import loading
    from papers.marco_llm import base, data, measure

    seed_everything(config.seed)
    texts = data.held_out_text(config)
    old = data.old_languages(config, texts)
    new = [code for code in texts if code not in old]
    spec = base.start(config, run)
    dtype = "float32" if config.model is None else "auto"

    def before(folder: Path) -> None:
        write_json(folder / "bits.json", measure.bits(*loading.load(spec, dtype=dtype), texts))

    first = read_json(run.stage("bits", {"spec": spec, "texts": texts}, before) / "bits.json")
    model, tokenizer = loading.load(str(run.artifact), dtype=dtype)
    after = measure.bits(model, tokenizer, texts)
    units: dict[str, dict[str, float]] = {}
    for group, codes in (("old", old), ("new", new)):
        if codes:
            units[f"{group}_bits"] = {code: after[code] for code in codes}
            units[f"{group}_bits_base"] = {code: first[code] for code in codes}
    mixture = read_json(run.artifact / "mixture.json")
    details: dict[str, Any] = {"before": first, "after": after, "mixture": mixture}
    if config.translation_languages:
        scores, details["wrong"] = translation(config, model, tokenizer)
        units |= scores
    units["share_error"] = share_errors(mixture["stages"])
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items()}
    if is_main_process():
        write_text(run.path / "languages.tsv", table(first, after, old))
        if not run.quiet:
            print(table(first, after, old))
    return Measurement(metrics, units, details)


def translation(config: Config, model: Any, tokenizer: Any) -> tuple[dict[str, dict[str, float]], list[dict[str, Any]]]:
    """Any-to-any translation of held-out sentences, and some wrong translations to look at.

    `exact` and `source_gain` have a unit a sentence, `bleu` and `chrf` (corpus scores) one a direction; all four are
    told apart by whether English, with which the bitext is paired, takes part (`..._zero_shot`: it does not).
    """
    from papers.marco_llm import data
    from papers.marco_llm.translation import any_to_any, source_gain

    rows, languages = data.translation_rows(config), config.translation_languages
    report = any_to_any(
        model,
        tokenizer,
        rows,
        languages,
        templates=config.translation_templates,
        shots=config.shots,
        max_new_tokens=config.max_new_tokens,
    )
    gains = source_gain(model, tokenizer, rows, languages, config.translation_templates[0])
    units: dict[str, dict[str, float]] = {}

    def add(metric: str, source: str, target: str, unit: str, value: float) -> None:
        group = metric if {source, target} & data.ENGLISH else f"{metric}_zero_shot"
        units.setdefault(group, {})[f"{source}-{target}{unit}"] = value

    exact = report.exact()
    for part in report.segments:
        add("exact", part.source, part.target, f"/{part.item}", exact[part.id])
    for (source, target, item), gain in gains.items():
        add("source_gain", source, target, f"/{item}", gain)
    for metric in ("bleu", "chrf"):
        for (source, target), score in report.scores(metric).items():
            add(metric, source, target, "", score)
    answers = zip(report.segments, report.outputs, strict=True)
    wrong = [{**asdict(part), "output": output} for part, output in answers if not exact[part.id]]
    return units, wrong[:: max(1, len(wrong) // 12)][:12]


def share_errors(stages: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How far each category's realised share is from the one that was asked for, by `stage/category`."""
    return {
        f"{number}/{name}": abs(stage["realised"].get(name, 0.0) - share)
        for number, stage in enumerate(stages, start=1)
        for name, share in stage["asked"].items()
    }


def table(before: Mapping[str, float], after: Mapping[str, float], old: Sequence[str]) -> str:
    """Bits per byte by language, before and after."""
    lines = ["language\tgroup\tbefore\tafter\tchange"]
    for code, value in after.items():
        group = "old" if code in old else "new"
        lines.append(f"{code}\t{group}\t{before[code]:.3f}\t{value:.3f}\t{value - before[code]:+.3f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    entrypoint(evaluate)
