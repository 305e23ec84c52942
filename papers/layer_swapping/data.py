"""What the method is fed at the paper's scale and from own files: rows for the experts, word problems to measure on.

rows = examples("microsoft/orca-math-word-problems-200k", "", 35_000, seed=0)   # [Example(question, answer), ...]
rows = examples("CohereLabs/aya_dataset", "sw", 35_000, seed=0)                 # of one language
asked = prompts(config, "sw", questions)                                       # two examples before each
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from core import corpora
from core.errors import UserError
from core.tasks.mathematics import Question, chain_of_thought
from core.text.languages import same_language
from papers.layer_swapping import method
from papers.layer_swapping.config import Config

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig

# Which settings decide what an expert becomes.
SETTINGS = {"task": ("task",), "language": ("language_training",), "joint": ("task", "language_training")}
SHOTS = 2
# Columns of question and answer: Orca-Math, Aya, Alpaca.
_COLUMNS = (("question", "answer"), ("inputs", "targets"), ("instruction", "output"))


class Example(NamedTuple):
    """What an expert learns to answer."""

    question: str
    answer: str


def frame(question: str) -> str:
    """The one plain frame in which experts learn and are asked; the paper's is not known."""
    return f"Question: {question.strip()}\nAnswer:"


def examples(source: str, language: str, count: int, seed: int) -> list[Example]:
    """Rows that the seed draws.

    Args:
        source: A file or hub dataset, as of :func:`core.corpora.read_rows`.
        language: Takes the rows whose `language_code` is this one's, where they say one; empty takes all.
        count: At most so many.
        seed: Of the draw.

    Raises:
        UserError: A row of another form, or none in the language.
    """

    def adapt(row: Mapping[str, Any], _: int) -> Example | None:
        code = row.get("language_code")
        if language and code and not same_language(str(code), language):
            return None
        asked, answer = next((pair for pair in _COLUMNS if all(row.get(name) for name in pair)), ("", ""))
        if not asked:
            raise UserError("it has neither question and answer, nor inputs and targets, nor instruction and output.")
        more = f"\n{row['input']}" if asked == "instruction" and row.get("input") else ""
        return Example(f"{row[asked]}{more}", str(row[answer]).strip())

    found = [one for one in corpora.adapted(source, corpora.read_rows(source), adapt) if one]
    if not found:
        raise UserError(f"{source} has no row in {language!r}: name another source, or a file of that language.")
    return Random(f"examples-{seed}").sample(found, min(count, len(found)))


def tuned(config: Config, run: Run, folder: Path, start: Path, kind: str, code: str, copy: int) -> None:
    """Tune the base to an expert of a kind and language, in `folder/model`; copies differ in rows and order."""
    from core.models.tokenization import completion_row
    from core.training import sharded
    from core.training.fit import fit, save_pretrained

    wanted: dict[str, tuple[str, str]] = {
        "task": (config.task_data, ""), "language": (config.language_data, code)
    }  # fmt: skip
    parts = [wanted[name] for name in ("task", "language") if kind in (name, "joint")]
    seed = 10 * config.seed + copy
    settings: TrainingConfig = config.language_training if kind == "language" else config.task
    model, tokenizer = sharded.load(start, settings)
    freeze(model, config, kind)
    found = [one for part in parts for one in examples(*part, config.samples, seed)]
    rows = [completion_row(tokenizer, frame(one.question), f" {one.answer}") for one in found]
    fit(model, rows, settings, replace(run, path=folder / "training"), seed=seed, name=f"{kind}-{copy}")
    save_pretrained(model, folder / "model", tokenizer)


def freeze(model: Any, config: Config, kind: str) -> None:
    """With `frozen`, leave an expert nothing to change that the recipe does not take from it, in whole or in part."""
    from core.models.merging import depth

    if config.frozen and kind in ("task", "language"):
        shares = method.shares(config.recipe, depth(name for name, _ in model.named_parameters()))
        for name, parameter in model.named_parameters():
            share = method.share_of(name, shares, config.recipe.outer, config.recipe.weight)
            parameter.requires_grad_(share > 0 if kind == "language" else share < 1)


# --- measuring --------------------------------------------------------------------------------------------------------


def shots(source: str, language: str) -> list[Example]:
    """The first examples in a language of a JSONL with `lang`, `question` and `answer`, a chain of thought.

    Raises:
        UserError: A row of another form, or too few in the language.
    """

    def adapt(row: Mapping[str, Any], _: int) -> Example | None:
        mine = same_language(str(row["lang"]), language)
        return Example(str(row["question"]), chain_of_thought(str(row["answer"]))) if mine else None

    found = [one for one in corpora.adapted(source, corpora.read_rows(source), adapt) if one][:SHOTS]
    if len(found) < SHOTS:
        raise UserError(f"{source} has {len(found)} examples in {language!r}: give {SHOTS}, or leave --exemplars out.")
    return found


def prompts(config: Config, language: str, questions: Sequence[Question]) -> list[str]:
    """Questions as they are asked."""
    shown = shots(config.exemplars, language) if config.exemplars else []
    before = "".join(f"{frame(one.question)} {one.answer}\n\n" for one in shown)
    return [before + frame(one.question) for one in questions]
