"""Measure a continued model: what the old languages lost, what the new ones gained, and how it translates.

    python -m papers.marco_llm.eval tiny --variant two_stage
    python -m papers.marco_llm.eval --model my-model --sources sources.jsonl --stage1 english=0.8 low=0.2 \
        --stage2 english=0.6 low=0.4 --tokens 2e7 1e7 --test-corpus held_out.tsv --out runs/mine

Bits per UTF-8 byte by language, before and after; translation in all directions. Metrics of translation end in the
group of directions that they are about: none (with English), `_any` (without), `_old` (what the miniature's base has
learnt).
Give training and measurement the same options: the run is found by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run, is_main_process
from core.files import read_json, write_json, write_text
from core.tasks import translation
from core.tasks.translation import Segment
from core.text.languages import name as language_name
from papers.marco_llm.config import Config
from papers.marco_llm.templates import prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Bits per byte before and after, translation by direction, both by language; what solvers without a model get."""
    from core.distributed import seed_everything
    from core.inference.scoring import text_bits
    from core.models import loading
    from papers.marco_llm import data, miniature

    seed_everything(config.seed)
    texts, dtype = data.held_out_text(config), "float32" if config.model is None else "auto"
    old = data.old_languages(config, texts)
    new = [code for code in texts if code not in old]
    start = config.model or miniature.base(config, run)

    def before(folder: Path) -> None:
        write_json(folder / "bits.json", text_bits(*loading.load(start, dtype=dtype), texts))

    first = read_json(run.stage("bits", {"start": start, "texts": texts}, before) / "bits.json")
    model, tokenizer = loading.load(str(run.artifact), dtype=dtype)
    after = text_bits(model, tokenizer, texts)
    groups = {"bits": list(texts), "old_bits": old, "new_bits": new}
    units: Units = {name: {code: after[code] for code in codes} for name, codes in groups.items() if codes}
    details: dict[str, Any] = {"before": first, "after": after, "mixture": read_json(run.artifact / "mixture.json")}
    metrics: dict[str, float] = {}
    if config.model is None:
        train = miniature.training_messages(config)
        letters = {code: miniature.letter_bits(train[code], lines) for code, lines in texts.items()}
        metrics["trivial_letters_bits"] = mean([letters[code] for code in new])
        units["known_old"] = {code: letters[code] - after[code] for code in old}
    directions = translated(config)
    if directions:
        found, solvers, details["wrong"] = translate(config, model, tokenizer, directions)
        units |= found
        metrics |= {f"trivial_{name}": value for name, value in solvers.items()}
    metrics |= {name: mean(list(values.values())) for name, values in units.items()}
    chrf = {name: value for end in ("", "_any", "_old") for name, value in units.get(f"chrf{end}", {}).items()}
    details["languages"] = by_language(first, after, old, chrf, directions)
    if is_main_process():
        lines = ["\t".join(["language", *next(iter(details["languages"].values()))])]
        for code, row in details["languages"].items():
            lines.append("\t".join([code, *(v if isinstance(v, str) else f"{v:.3f}" for v in row.values())]))
        write_text(run.path / "languages.tsv", "\n".join(lines) + "\n")
        if not run.quiet:
            print("\n".join(lines))
    return Measurement(metrics, units, details)


def mean(values: Sequence[float]) -> float:
    """Their mean."""
    return sum(values) / len(values)


def translated(config: Config) -> list[tuple[str, str]]:
    """The directions that are measured."""
    from papers.marco_llm import miniature

    if config.test_corpus:
        return translation.all_pairs(config.translation_languages)
    return miniature.directions(config)


def translate(
    config: Config, model: Any, tokenizer: Any, directions: Sequence[tuple[str, str]]
) -> tuple[Units, dict[str, float], list[dict[str, Any]]]:
    """Scores by group of directions, exact match of solvers that know nothing, and wrong translations to look at.

    `exact` and `source_gain` have a unit a sentence, `bleu` and `chrf` (corpus scores) one a direction.
    """
    from papers.marco_llm import data, miniature

    if config.test_corpus:
        texts = data.held_out_text(config)
        rows: list[dict[str, str]] = [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]
        rows = rows[: config.translation_items + config.shots]
    else:
        rows = miniature.translation_rows(config)
    parts, question = asked(rows, directions, shots=config.shots)
    outputs = translation.translate(
        model, tokenizer, parts, question, max_new_tokens=config.max_new_tokens, stop=["\n"]
    )
    exact = translation.sentence_scores(parts, outputs, "exact")
    scores = {"exact": exact, "source_gain": translation.source_gains(model, tokenizer, parts, question)}
    scores |= corpus_scores(parts, outputs)
    groups = {f"{source}-{target}": group(config, source, target) for source, target in directions}
    units: Units = {}
    for metric, values in scores.items():
        for key, value in values.items():
            units.setdefault(metric + groups[key.partition("/")[0]], {})[key] = value
    trivial = translation.trivial([part for part in parts if not groups[part.direction]], "exact")
    solvers = {name: mean(list(values.values())) for name, values in trivial.items() if values}
    wrong = [{**asdict(p), "output": o} for p, o in zip(parts, outputs, strict=True) if not exact[p.id]]
    return units, solvers, wrong[:: max(1, len(wrong) // 12)][:12]


def group(config: Config, source: str, target: str) -> str:
    """End of the metrics' names for a direction."""
    from papers.marco_llm import data, miniature

    if not config.test_corpus and miniature.is_known(source, target):
        return "_old"
    return "" if {source, target} & data.ENGLISH else "_any"


def asked(
    rows: Sequence[Mapping[str, str]],
    directions: Sequence[tuple[str, str]],
    template: str = "C",
    shots: int = 1,
) -> tuple[list[Segment], Callable[[Segment], str]]:
    """What is translated, and the prompt of a segment; the first `shots` rows are its solved examples and not asked.

    Raises:
        UserError: No row is left after the examples, or one lacks a language.
    """
    if len(rows) <= shots:
        raise UserError(f"{len(rows)} sentences are too few: {shots} are examples, and one must be asked.")
    codes = dict.fromkeys(code for direction in directions for code in direction)
    if missing := [code for code in codes if any(not row.get(code) for row in rows)]:
        raise UserError(f"There are sentences without {missing[0]!r}: leave them or the language out.")

    def question(part: Segment) -> str:
        solved = [(row[part.source], row[part.target]) for row in rows[:shots]]
        names = language_name(part.source), language_name(part.target)
        return prompt(template, *names, part.source_text, solved)

    return translation.segments(rows[shots:], directions), question


def any_to_any(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, str]],
    languages: Sequence[str],
    *,
    template: str = "C",
    shots: int = 1,
    max_new_tokens: int = 128,
) -> dict[str, dict[str, float]]:
    """Corpus scores of a base model in every direction: `{"bleu": {"en-tr": 12.3, ...}, "chrf": {...}}`, in [0, 100].

    Args:
        model: A causal language model; it needs no chat template.
        tokenizer: Its tokenizer.
        rows: Sentences by language code.
        languages: Which of them.
        template: Letter of Table 13.
        shots: Solved examples in the prompt (the paper: 1).
        max_new_tokens: Longest translation.

    Raises:
        UserError: As :func:`asked`.
    """
    parts, question = asked(rows, translation.all_pairs(languages), template, shots)
    outputs = translation.translate(model, tokenizer, parts, question, max_new_tokens=max_new_tokens, stop=["\n"])
    return corpus_scores(parts, outputs)


def corpus_scores(parts: Sequence[Segment], outputs: Sequence[str]) -> dict[str, dict[str, float]]:
    """BLEU and chrF of each direction; BLEU is sacrebleu's with the tokenizer of the target language (not stated)."""
    return {
        metric: {name: found.score for name, found in translation.corpus_scores(parts, outputs, metric).items()}
        for metric in ("bleu", "chrf")
    }


def by_language(
    before: Mapping[str, float],
    after: Mapping[str, float],
    old: Sequence[str],
    chrf: Mapping[str, float],
    directions: Sequence[tuple[str, str]],
) -> dict[str, dict[str, Any]]:
    """A row a language: bits per byte before and after, and averages of chrF over the directions from and into it."""
    table: dict[str, dict[str, Any]] = {}
    for code, value in after.items():
        row = {"group": "old" if code in old else "new", "before": before[code], "after": value}
        row["change"] = value - before[code]
        for side, name in enumerate(("chrf_from", "chrf_into")):
            found = [chrf["-".join(direction)] for direction in directions if direction[side] == code]
            row[name] = mean(found) if found else math.nan
        table[code] = row
    return table


if __name__ == "__main__":
    entrypoint(evaluate)
