"""xLLMs-100 on your own data: build cross-lingual preferences, convert them, measure off-target answers by direction.

python -m papers.xllms100.use feedback --instructions en=en.jsonl sw=sw.jsonl --models runs/sft/artifact
python -m papers.xllms100.use convert pairs.jsonl --layout chat --out trl.jsonl
python -m papers.xllms100.use measure outputs.jsonl
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, show, tools
from core.experiment.trying import Try


@dataclass(frozen=True)
class Feedback:
    """Build preferences: instructions of one language, answers in another, the best candidate and the worst."""

    instructions: tuple[str, ...]
    """Instruction sets as code=file.jsonl or code=hub:bactrian/code; rows with one `id` say the same in all of them."""
    models: tuple[str, ...]
    """Folders or hub ids of models that write candidates: the one to align, and better if a stronger one too."""
    directions: tuple[str, ...] = ()
    """Such as en-sw; none = all ordered pairs of the languages, and with --mono each with itself."""
    mono: bool = False
    """Also pairs in one language: training on cross-lingual ones alone may cost what the model can do."""
    per_direction: Annotated[int, Range(1)] = 100
    """Instructions of each direction, drawn by the seed."""
    candidates: Annotated[int, Range(1)] = 4
    """Answers of each model to each instruction, sampled at temperature 1."""
    judge: str = ""
    """Your judge, file.py:function; it returns (requests, answers) -> numbers, higher is better. None: chrF against the
    answer of the row with the same id in the language that is asked for, which is a candidate too."""
    recipe: Literal["official", "consistent"] = "consistent"
    """How the models are asked."""
    max_new_tokens: Annotated[int, Range(1)] = 256
    """Longest candidate."""
    seed: Seed = 0
    """Of the draws."""
    out: Path = Path("pairs.jsonl")
    """File to write."""


@dataclass(frozen=True)
class Convert:
    """Turn pairs in the paper's columns into prompt, chosen and rejected; or such pairs into the paper's columns."""

    pairs: tyro.conf.Positional[str]
    """JSONL in either schema."""
    layout: Literal["official", "plain", "chat"] = "plain"
    """Of the prompts that are written: the text that the authors train on, instruction and input, or messages."""
    lang_in: str = ""
    """Code of the language of the instructions, where the rows do not say it."""
    lang_out: str = ""
    """Code of the language of the answers, where the rows do not say it."""
    out: Path = Path("converted.jsonl")
    """File to write."""


@dataclass(frozen=True)
class Measure:
    """Off-target rate by direction; with references or scores, how good and how equal the languages are."""

    outputs: tyro.conf.Positional[str]
    """JSONL with lang_out, perhaps lang_in, reference or score; and output, or instruction for --model."""
    model: str = ""
    """Folder or hub id of a model to ask, where the rows have no output."""
    recipe: Literal["official", "consistent"] = "consistent"
    """How it is asked."""
    max_new_tokens: Annotated[int, Range(1)] = 256
    """Its longest answer."""


def feedback(options: Feedback) -> None:
    """Write the pairs and say what became of the requests."""
    from core.files import write_rows
    from core.models import loading
    from core.plugins import own
    from core.text.identification import identifier
    from papers.xllms100 import data, method

    asked = requests(options)
    judge = partial(graded, own(options.judge, "judge"), options.judge) if options.judge else closeness
    generators: list[method.Generate] = []
    for name in options.models:
        model, tokenizer = loading.load(name)
        settings = (options.candidates, options.max_new_tokens, options.seed)
        generators.append(partial(data.sample, model, tokenizer, options.recipe, *settings))
    generators.append(lambda rows: [[row["reference"]] if row["reference"] else [] for row in rows])
    identify = identifier(sorted({row["lang_out"] for row in asked}))
    found, counts = method.build_feedback(asked, generators, judge, identify)
    if not found:
        raise UserError(f"All candidates of all {len(asked)} requests are equally good: add a model or another judge.")
    write_rows(options.out, found)
    print(f"{options.out}: {len(found)} pairs")
    show({"requests": len(asked), **counts})


def requests(options: Feedback) -> list[dict[str, str]]:
    """What is asked, with the answers of parallel rows as references.

    Raises:
        UserError: A direction names a language without instructions; or there is nothing to judge answers by.
    """
    from papers.xllms100 import data, method

    sets = data.sources(options.instructions)
    every = {f"{a}-{b}": (a, b) for a, b in product(sets, repeat=2)}
    if bad := next((name for name in options.directions if name not in every), None):
        raise UserError(f"The direction {bad} is not two of {', '.join(sets)}, such as en-sw.")
    pairs = [every[name] for name in options.directions]
    pairs = pairs or [pair for pair in every.values() if len({*pair}) == 2 or options.mono]
    by_id = {code: {str(row["id"]): row for row in rows if row.get("id") is not None} for code, rows in sets.items()}
    found = []
    for source, target in pairs:
        rows = sets[source]
        for row in Random(f"{source}-{target}-{options.seed}").sample(rows, min(options.per_direction, len(rows))):
            same = by_id[target].get(str(row.get("id")), {})
            asked = method.cross_lingual(row, source, target, str(same.get("output") or ""))
            found.append(asked if source != target else {**asked, "input": row["input"]})
    if not options.judge:
        found = [row for row in found if row["reference"]]
    if not found:
        raise UserError("No two instruction sets have an id in common to judge answers by: give a --judge.")
    return found


def graded(judge: Any, named: str, asked: Sequence[Mapping[str, str]], answers: Sequence[str]) -> list[float]:
    """What the user's judge says.

    Raises:
        UserError: It fails, or does not give every answer one finite number.
    """
    try:
        found = [float(value) for value in judge(asked, answers)]
    except Exception as error:
        raise UserError(
            f"judge = {named!r} fails on {len(answers)} answers ({type(error).__name__}: {error})."
        ) from error
    if len(found) != len(answers) or not all(map(math.isfinite, found)):
        raise UserError(f"judge = {named!r}: give each of {len(answers)} answers one finite number, not {found[:4]}.")
    return found


def closeness(asked: Sequence[Mapping[str, str]], answers: Sequence[str]) -> list[float]:
    """chrF against the reference, in [0, 100]."""
    from core.metrics.translation import sentence_chrf

    return [sentence_chrf(answer, row["reference"]) for row, answer in zip(asked, answers, strict=True)]


def convert(options: Convert) -> None:
    """Write the pairs in the other schema."""
    from core import corpora
    from core.files import write_rows
    from papers.xllms100 import data

    rows = corpora.read_jsonl(options.pairs)
    official = set(data.SIDES) <= set(rows.column_names)
    found: list[dict[str, Any]] = list(corpora.adapted(options.pairs, rows, data.to_official))
    for row in found:
        row |= {name: row[name] or getattr(options, name) for name in ("lang_in", "lang_out")}
    if official:
        found = [data.to_usual(row, options.layout) for row in found]
    write_rows(options.out, found)
    print(f"{options.out}: {len(found)} pairs with {', '.join(found[0])}")


def measure(options: Measure) -> None:
    """Print a line for each direction, then how equal the languages are."""
    from core import corpora
    from core.metrics.languages import democratization, off_target

    rows = [dict(row) for row in corpora.read_jsonl(options.outputs, required={"lang_out": str})]
    outputs = written(rows, options)
    wanted = [row["lang_out"] for row in rows]
    named = [f"{row.get('lang_in') or '?'}-{row['lang_out']}" for row in rows]
    rates = off_target(outputs, wanted, groups=named)
    scores = rated(rows, outputs, options.outputs)
    print(f"{'direction':16s} {'outputs':>8s} {'judged':>8s} {'off-target':>11s} {'score':>8s}")
    for name, rate in rates.items():
        mean = [score for score, direction in zip(scores, named, strict=False) if direction == name]
        score = f"{fmean(mean):8.2f}" if mean else ""
        print(f"{name:16s} {rate.outputs:8d} {rate.judged:8d} {rate.rate:11.3f} {score}")
    by_language = {code: [s for s, other in zip(scores, wanted, strict=False) if other == code] for code in wanted}
    if scores:
        equal = democratization({code: fmean(values) for code, values in by_language.items()})
        show({"democratization": equal.share, "mean": equal.mean, "best": equal.best, "worst": equal.worst})
        print(f"  best {equal.best_language}, worst {equal.worst_language}")


def written(rows: Sequence[Mapping[str, Any]], options: Measure) -> list[str]:
    """The outputs of the rows, or a model's.

    Raises:
        UserError: A row has no output, and there is no model or no instruction to ask it.
    """
    name = "instruction" if options.model else "output"
    for number, row in enumerate(rows, start=1):
        if not isinstance(row.get(name), str):
            raise UserError(
                f"{options.outputs}, row {number} has no text in {name!r}: give output, or --model and instruction."
            )
    if not options.model:
        return [row["output"] for row in rows]
    from core.models import loading
    from papers.xllms100 import data

    asked = [{"instruction": row["instruction"], "input": str(row.get("input") or "")} for row in rows]
    return data.answers(*loading.load(options.model), options.recipe, asked, new=options.max_new_tokens)


def rated(rows: Sequence[Mapping[str, Any]], outputs: Sequence[str], source: str) -> list[float]:
    """The rows' own scores, else chrF against their references, else none."""
    from core import corpora

    if all(row.get("score") is not None for row in rows):
        return list(corpora.adapted(source, rows, lambda row, number: float(row["score"])))
    if all(isinstance(row.get("reference"), str) for row in rows):
        return closeness(rows, outputs)
    return []


VERBS: Verbs = {"feedback": (Feedback, feedback), "convert": (Convert, convert), "measure": (Measure, measure)}

TRY = Try(
    command="measure {data}",
    data="outputs as JSON lines with the language that was asked for.",
    means="How often an answer is in another language than asked for, by direction, and the democratization measure.",
    limits="The language of an answer, not its quality.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.xllms100.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
