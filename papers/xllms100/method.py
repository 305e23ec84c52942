"""xLLMs-100: a model of many languages learns from preferences in which question and answer differ in language.

Instruction tuning in many languages shows questions and answers of one language alone, and a model that is then asked
for another language answers in whatever it likes best. So the second stage is preference training on *cross-lingual*
pairs: an instruction in language A asks for an answer in B; of several candidates the best is preferred to the worst,

    s(y) = quality(y) - C [y is not in B],     y_w = argmax s,  y_l = argmin s,  none where all are equal,          (1)

and the instruction-tuned model ref becomes the policy pi by DPO (Rafailov et al. 2023),

    z = beta [(log pi(y_w|x) - log ref(y_w|x)) - (log pi(y_l|x) - log ref(y_l|x))],    L = - log sigma(z).          (2)

    asked = cross_lingual(record_in_german, "sw", reference=same_record_in_swahili["output"])
    found, counts = build_feedback([asked], [write, stronger], judge, identify)
    rows = pair_rows(model, tokenizer, found, config.recipe, config.dpo.max_length)
    align(model, rows, config.dpo, run, seed=0, beta=0.1)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from core.models.tokenization import completion_row
from core.tasks.instructions import alpaca
from core.text.languages import autonym, same_language

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

Recipe = Literal["official", "consistent"]
Stage = Literal["sft", "dpo", "ask"]
Request = Mapping[str, str]
"""`instruction`, `input`, `lang_in`, `lang_out`, and `reference` where a right answer is known."""
Generate = Callable[[Sequence[Request]], Sequence[Sequence[str]]]
Judge = Callable[[Sequence[Request], Sequence[str]], Sequence[float]]
Identify = Callable[[str, str], str | None]

COLUMNS = ("instruction", "input", "prefered_output", "rejected_output", "lang_in", "lang_out")


def prompt(stage: Stage, recipe: Recipe, instruction: str, text: str = "") -> str:
    """What the model reads before its answer.

    Args:
        stage: Instruction tuning, preference training, or inference.
        recipe: The official code has another layout in each stage; the consistent one (ours) is that of its
            preferences, without a blank where there is no input.
        instruction: What is asked.
        text: What it is about, and in a cross-lingual request the language to answer in; empty for none.
    """
    if recipe == "consistent":
        return f"Question: {f'{instruction} {text}'.rstrip()}\n\nAnswer: "
    if stage == "dpo":
        return f"Question: {instruction} {text}\n\nAnswer: "
    asked = alpaca(instruction, text).removesuffix("\n")
    return f"Question: {asked}\n\nAnswer: " if stage == "sft" else asked


# --- stage 1 ----------------------------------------------------------------------------------------------------------


def instruction_rows(tokenizer: Any, records: Sequence[Mapping[str, str]], recipe: Recipe) -> list[dict[str, Any]]:
    """Training rows of instruction tuning. The official loss is on all tokens, prompts too; ours on the answers."""
    rows = []
    for record in records:
        asked = prompt("sft", recipe, record["instruction"], record["input"])
        row = completion_row(tokenizer, asked, record["output"])
        rows.append({**row, "labels": list(row["input_ids"])} if recipe == "official" else row)
    return rows


# --- stage 2: the pairs -----------------------------------------------------------------------------------------------


def cross_lingual(record: Mapping[str, str], lang_in: str, lang_out: str, reference: str = "") -> dict[str, str]:
    """A request in `lang_in` for an answer in `lang_out`: its name, in its own words, follows the input in brackets."""
    text = f"{record['input']} ({autonym(lang_out)})".strip()
    languages = {"lang_in": lang_in, "lang_out": lang_out}
    return {"instruction": record["instruction"], "input": text, **languages, "reference": reference}


def build_feedback(
    requests: Sequence[Request], generators: Sequence[Generate], judge: Judge, identify: Identify
) -> tuple[list[dict[str, str]], dict[str, int]]:
    """Preferences over what several models answer (equation 1, C beyond any difference in quality).

    Args:
        requests: What is asked; those with `lang_in` = `lang_out` give mono-lingual pairs.
        generators: Each gives every request some candidates; at least one should be better than the model to align.
        judge: Quality of each answer to its request: finite numbers, higher is better.
        identify: (text, wanted language) -> its language in any spelling; None where it cannot tell, which is no fault.

    Returns:
        Rows with the official columns and both languages; and counts of requests whose candidates are all equally good
        (`tie`), and of rejected answers in a wrong language (`off_target`).
    """
    answers = [
        [text for part in parts for text in part] for parts in zip(*(g(requests) for g in generators), strict=True)
    ]
    flat = [(request, text) for request, texts in zip(requests, answers, strict=True) for text in texts]
    scores = iter(judge([request for request, _ in flat], [text for _, text in flat]))
    found, counts = [], Counter[str](tie=0, off_target=0)
    for request, texts in zip(requests, answers, strict=True):
        # Pairs are compared by their first part first: no quality makes up for the wrong language.
        ranks = [(not _wrong(text, request["lang_out"], identify), next(scores)) for text in texts]
        if len(set(ranks)) < 2:
            counts["tie"] += 1
            continue
        chosen, rejected = ranks.index(max(ranks)), ranks.index(min(ranks))
        counts["off_target"] += not ranks[rejected][0]
        values = (request["instruction"], request["input"], texts[chosen], texts[rejected])
        found.append(dict(zip(COLUMNS, (*values, request["lang_in"], request["lang_out"]), strict=True)))
    return found, dict(counts)


def _wrong(text: str, wanted: str, identify: Identify) -> bool:
    found = identify(text, wanted) if text.strip() else ""
    return found is not None and not (found and same_language(found, wanted))


# --- stage 2: the training --------------------------------------------------------------------------------------------


def fits(row: Mapping[str, str], recipe: Recipe, longest: int) -> bool:
    """The official filter compares the longest sequence, which is in tokens, with numbers of characters."""
    asked = prompt("dpo", recipe, row["instruction"], row["input"])
    return all(len(asked) + len(row[side]) <= longest for side in ("prefered_output", "rejected_output"))


def pair_rows(
    model: Any, tokenizer: Any, feedback: Sequence[Mapping[str, str]], recipe: Recipe, longest: int
) -> list[Any]:
    """Training rows of the pairs that are short enough, with what the model as it is now, the reference, gives them.

    Raises:
        UserError: No pair is short enough.
    """
    from core.training import preference

    kept = [row for row in feedback if recipe == "consistent" or fits(row, recipe, longest)]
    asked = [prompt("dpo", recipe, row["instruction"], row["input"]) for row in kept]
    sides = ([row[side] for row in kept] for side in ("prefered_output", "rejected_output"))
    return preference.with_reference(model, preference.pairs(tokenizer, asked, *sides, longest=longest))


def align(model: Any, rows: Sequence[Any], settings: TrainingConfig, run: Run, seed: int, *, beta: float) -> FitResult:
    """Preference training (equation 2), in place, of a whole model or its adapters."""
    from core.training import preference

    return preference.train(model, rows, settings, run, seed, beta=beta, name="dpo")


def imitate(model: Any, rows: Sequence[Any], settings: TrainingConfig, run: Run, seed: int) -> FitResult:
    """What preferences are compared with: tuning on the preferred answers of the same pairs."""
    from core.training.fit import fit

    return fit(model, [row["better"] for row in rows], settings, run, seed=seed, name="imitate")


def moved(model: Any, rows: Sequence[Any]) -> dict[str, float]:
    """How far training has moved the preferred and the rejected answers, in nats; where both sink, others rise."""
    from core.training import preference

    now = preference.with_reference(model, rows)
    gains = [
        [after - before for after, before in zip(new["reference"], old["reference"], strict=True)]
        for new, old in zip(now, rows, strict=True)
    ]
    return {
        name: sum(values) / len(rows)
        for name, values in zip(("chosen", "rejected"), zip(*gains, strict=True), strict=True)
    }
