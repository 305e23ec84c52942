"""TaCo: answer a prompt in language X by thinking in English and translating twice.

Plain instruction tuning asks the model for `o_X` given `i_X`. TaCo asks for a chain of three texts,

    p(i, o, o_X | i_X) = p(i | i_X) · p(o | i, i_X) · p(o_X | o, i, i_X),

the instruction in English, the response in English, the response in X: two translations around a step that the model
already masters. The output of a training record is therefore

    Instruction in English: {i}
    Response in English: {o}
    Response in Nepali: {o_X}

and only the text after the last label is the answer. This file renders chains, parses them, weighs their loss and
scores them step by step.

    built = build_taco_records(english, nepali, "Nepali")          # a translated instruction set -> records
    answer = parse_chain(model_output, "Nepali")                   # a model output -> three sections and `ok`
    report = diagnose(answers, references)                         # which of the three steps fails
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import UserError
from papers.taco.config import Chain, Layout

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Part = Literal["instruction_en", "response_en", "response_xx"]
Record = dict[str, str]

PARTS: dict[str, tuple[Part, ...]] = {
    "direct": ("response_xx",),
    "taco": ("instruction_en", "response_en", "response_xx"),
    "no_instruction_en": ("response_en", "response_xx"),
    "no_response_en": ("instruction_en", "response_xx"),
    "en_only": ("instruction_en", "response_en"),
}
# The released answers come from a triple-quoted string: every part but the last gets a full stop of its own, and every
# line but the first the indentation of the authors' source.
_OFFICIAL_ENDS = {"instruction_en": ".\n", "response_en": ". \n"}
_OFFICIAL_INDENT = " " * 24
UNTRANSLATED_LENGTH = 30


@dataclass(frozen=True)
class TacoAnswer:
    """A parsed chain.

    Attributes:
        instruction_en: What the model understood; None when its label is missing.
        response_en: What it answered in English; None when its label is missing.
        response_xx: The final answer, the only part for the end user; None when its label is missing or too early.
        ok: Whether every label of the chain is there, in order.
    """

    instruction_en: str | None
    response_en: str | None
    response_xx: str | None
    ok: bool


def labels(lang_name: str, chain: Chain = "taco") -> tuple[str, ...]:
    """The labels of a chain in order, such as `Response in Nepali:`; none for `direct`.

    Args:
        lang_name: English name of the language, as in the released adapters (`Nepali`, not `ne` and not `नेपाली`).
        chain: Which parts the output has.

    Raises:
        UserError: For a language code, and for English, whose label would be that of the second part.
    """
    if lang_name.strip().lower() == "english":
        raise UserError("lang_name = 'English' would give two parts the same label: name the target language.")
    if not lang_name[:1].isupper() or lang_name.isupper():
        raise UserError(
            f"lang_name = {lang_name!r} is not an English language name: write it as in the label, such as 'Nepali'."
        )
    if chain == "direct":
        return ()
    target = {"instruction_en": "English", "response_en": "English", "response_xx": lang_name}
    return tuple(f"{part.split('_')[0].capitalize()} in {target[part]}:" for part in PARTS[chain])


def join_input(instruction: str, text: str) -> str:
    """The English instruction with its optional input on a line of its own."""
    return f"{instruction}\n{text}" if text.strip() else instruction


def chain_segments(
    parts: Mapping[str, str], lang_name: str, chain: Chain = "taco", layout: Layout = "clean"
) -> tuple[str, ...]:
    """The output of a record cut where the loss weights change; joined, it is the output.

    Args:
        parts: The texts by part: `instruction_en`, `response_en`, `response_xx`, as far as the chain needs them.
        lang_name: English name of the language.
        chain: Which parts the output has.
        layout: `clean` puts one part on a line; `official` is the layout of the released answers: an extra full stop
            after every part but the last and 24 spaces before every label but the first.
    """
    names = PARTS[chain]
    if chain == "direct":
        return (parts["response_xx"],)
    segments = []
    for position, (name, label) in enumerate(zip(names, labels(lang_name, chain), strict=True)):
        indent = _OFFICIAL_INDENT if layout == "official" and position else ""
        end = "" if name == names[-1] else _OFFICIAL_ENDS[name] if layout == "official" else "\n"
        segments.append(f"{indent}{label} {parts[name]}{end}")
    return tuple(segments)


def render_chain(parts: Mapping[str, str], lang_name: str, chain: Chain = "taco", layout: Layout = "clean") -> str:
    """The output of a record as one string; see :func:`chain_segments`."""
    return "".join(chain_segments(parts, lang_name, chain, layout))


def parse_chain(text: str, lang_name: str, chain: Chain = "taco") -> TacoAnswer:
    """Cut a model output into its sections.

    The first occurrence of every label counts. Sections are stripped of outer white space and otherwise left as they
    are, the full stops of the official layout included. A part whose label is missing, or stands before that of an
    earlier part, is None, and then `ok` is False.

    Args:
        text: What the model wrote.
        lang_name: English name of the language.
        chain: The chain that the model was trained on.
    """
    if chain == "direct":
        return TacoAnswer(None, None, text.strip() or None, bool(text.strip()))
    found: list[tuple[Part, int, int]] = []
    for part, label in zip(PARTS[chain], labels(lang_name, chain), strict=True):
        start = text.find(label)
        if start >= 0 and (not found or start >= found[-1][2]):
            found.append((part, start, start + len(label)))
    stops = [start for _, start, _ in found[1:]] + [len(text)]
    sections = {part: text[after:stop].strip() for (part, _, after), stop in zip(found, stops, strict=False)}
    # Labels before an accepted one were skipped, so a complete list is an ordered one.
    return TacoAnswer(
        sections.get("instruction_en"),
        sections.get("response_en"),
        sections.get("response_xx"),
        ok=len(found) == len(PARTS[chain]),
    )


@dataclass(frozen=True)
class Built:
    """Training records and what was left out.

    Attributes:
        records: TaCo records, see :func:`build_taco_records`.
        dropped: How many rows were dropped, by reason.
    """

    records: list[Record]
    dropped: dict[str, int]


def build_taco_records(
    en: Sequence[Mapping[str, Any]],
    xx: Sequence[Mapping[str, Any]],
    lang_name: str,
    chain: Chain = "taco",
    layout: Layout = "clean",
    align: Literal["id", "order"] = "id",
) -> Built:
    """Turn an instruction set and its translation into chain-of-translation records (section "TaCo").

    Args:
        en: English rows with `instruction`, optional `input`, `output` and, for `align="id"`, `id`.
        xx: The same rows in the target language.
        lang_name: English name of the target language.
        chain: Which parts the output has.
        layout: How they are joined.
        align: `id` joins on the ids; `order` takes row n of both, as in the hub files of the paper.

    Returns:
        Records with `id`, `instruction`, `input`, `output` (what to train on) and, for diagnosis and for other chains,
        `instruction_en`, `response_en`, `response_xx`, `language`. Rows with an empty text are dropped, and rows whose
        response equals the English one and is longer than 30 characters (untranslated).

    Raises:
        UserError: A row lacks a column, an id repeats, or the two sets do not correspond.
    """
    labels(lang_name, chain)
    pairs, unmatched = _aligned(en, xx, align)
    dropped = Counter({"unmatched": unmatched})
    records = []
    for key, ours, theirs in pairs:
        english, target = _texts(ours, f"English row {key}"), _texts(theirs, f"{lang_name} row {key}")
        parts = {
            "instruction_en": join_input(english["instruction"], english["input"]),
            "response_en": english["output"],
            "response_xx": target["output"],
        }
        if not all(text.strip() for text in (english["instruction"], target["instruction"], *parts.values())):
            dropped["empty"] += 1
        elif parts["response_xx"] == parts["response_en"] and len(parts["response_en"]) > UNTRANSLATED_LENGTH:
            dropped["untranslated"] += 1
        else:
            prompt = {"id": str(key), "instruction": target["instruction"], "input": target["input"]}
            output = render_chain(parts, lang_name, chain, layout)
            records.append({**prompt, "output": output, **parts, "language": lang_name})
    return Built(records, {reason: count for reason, count in dropped.items() if count})


def _aligned(
    en: Sequence[Mapping[str, Any]], xx: Sequence[Mapping[str, Any]], align: str
) -> tuple[list[tuple[Any, Mapping[str, Any], Mapping[str, Any]]], int]:
    """Corresponding rows of the two sets with their id, and how many rows of either have no partner."""
    if align == "order":
        if len(en) != len(xx):
            raise UserError(
                f"The English set has {len(en)} rows and the translated one {len(xx)}: rows aligned by order must be "
                "equally many; give both an `id` and use align='id'."
            )
        return [(row.get("id", number), row, xx[number]) for number, row in enumerate(en)], 0
    english, translated = _by_id(en, "English"), _by_id(xx, "translated")
    common = [key for key in english if key in translated]
    unmatched = len(english) + len(translated) - 2 * len(common)
    return [(key, english[key], translated[key]) for key in common], unmatched


def _by_id(rows: Sequence[Mapping[str, Any]], side: str) -> dict[Any, Mapping[str, Any]]:
    ids = [row.get("id") for row in rows]
    if None in ids:
        raise UserError(f"Row {ids.index(None)} of the {side} set has no `id`: add ids, or use align='order'.")
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise UserError(f"The id {twice!r} stands twice in the {side} set: make ids unique, or use align='order'.")
    return dict(zip(ids, rows, strict=True))


def _texts(row: Mapping[str, Any], where: str) -> dict[str, str]:
    for name in ("instruction", "output"):
        if not isinstance(row.get(name), str):
            raise UserError(f"{where} has no text in the column {name!r}: every row needs instruction and output.")
    return {"instruction": row["instruction"], "input": row.get("input") or "", "output": row["output"]}


def segment_token_weights(
    tokenizer: PreTrainedTokenizerBase, segments: Sequence[str], weights: Sequence[float], *, eos: bool = True
) -> list[float]:
    """The loss weight of every token of an output, from the weights of its segments (the ablation `segment_weights`).

    Args:
        tokenizer: A fast tokenizer; the output is encoded whole, so that weights cannot change the tokens.
        segments: Of :func:`chain_segments`.
        weights: One per segment.
        eos: Add the weight of the end token, that of the last segment.

    Returns:
        One weight per token: that of the segment in which the token ends.
    """
    ends = list(accumulate(map(len, segments)))
    encoded = tokenizer("".join(segments), add_special_tokens=False, return_offsets_mapping=True)
    by_token = [weights[bisect_left(ends, stop)] for _, stop in encoded["offset_mapping"]]
    return by_token + [weights[-1]] * eos


def weighted_loss(
    logits: Float[Tensor, "batch seq vocab"], targets: Int[Tensor, "batch seq"], weights: Float[Tensor, "batch seq"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy of the next token, each weighted: the sum of w_t · -log p(y_t), and the sum of w_t.

    Their quotient is the training loss. With all weights 1 it is the mean over the label tokens (the paper's loss).

    Args:
        logits: Prediction at each position.
        targets: The token that belongs to the *next* position; -100 where no loss is taken.
        weights: Weight of each target.
    """
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), reduction="none", ignore_index=-100
    )
    weights = weights.flatten().float() * (targets.flatten() != -100)
    return (losses * weights).sum(), weights.sum()


def exact(hypothesis: str, reference: str) -> float:
    """1 when the texts agree up to white space, else 0."""
    return float(hypothesis.split() == reference.split())


@dataclass(frozen=True)
class StepReport:
    """How often each step of the chain succeeds; rates and scores in the scale of the score, shares in [0, 1].

    Attributes:
        n: Number of items.
        ok: Share of outputs with the whole chain.
        instruction_en: Mean score of the translation of the instruction into English.
        response_en: Mean score of the English response.
        response_xx: Mean score of the final answer: the accuracy.
        answer_given_instruction: Share of right English responses where the instruction was understood.
        back_given_answer: Share of right final answers where the English response was right (and all before it).
        all_steps: Share of items with every step right. With all three parts it is the product of the share of right
            instructions and the two conditional shares.
    """

    n: int
    ok: float
    instruction_en: float
    response_en: float
    response_xx: float
    answer_given_instruction: float
    back_given_answer: float
    all_steps: float


def diagnose(
    answers: Sequence[TacoAnswer],
    references: Sequence[Mapping[str, str]],
    chain: Chain = "taco",
    score: Callable[[str, str], float] = exact,
    threshold: float = 1.0,
) -> StepReport:
    """Find the step that fails: understanding, answering, or translating back.

    A missing section scores 0, and so does an output without the whole chain: the final answer is then cut off or
    stands in the wrong place.

    Args:
        answers: Parsed outputs.
        references: Records with the right texts of the parts.
        chain: The chain that the model was trained on; parts that it lacks have NaN.
        score: Score of a section against its reference.
        threshold: From which score on a step counts as right in the conditional shares.

    Raises:
        ValueError: Lengths differ, or there is nothing to score.
    """
    if len(answers) != len(references) or not answers:
        raise ValueError(f"{len(answers)} answers and {len(references)} references: give equally many, at least one")
    table = [
        step_scores(answer, reference, chain, score) for answer, reference in zip(answers, references, strict=True)
    ]
    right = [{part for part, value in row.items() if value >= threshold} for row in table]

    def mean(part: Part) -> float:
        return sum(row[part] for row in table) / len(table) if part in PARTS[chain] else math.nan

    def share(part: Part, *given: Part) -> float:
        """How often `part` is right where all the given ones are that the chain has."""
        rows = [parts for parts in right if parts.issuperset(set(given) & set(PARTS[chain]))]
        return sum(part in parts for parts in rows) / len(rows) if rows and part in PARTS[chain] else math.nan

    return StepReport(
        n=len(answers),
        ok=sum(answer.ok for answer in answers) / len(answers),
        instruction_en=mean("instruction_en"),
        response_en=mean("response_en"),
        response_xx=mean("response_xx"),
        answer_given_instruction=share("response_en", "instruction_en"),
        back_given_answer=share("response_xx", "instruction_en", "response_en"),
        all_steps=sum(len(parts) == len(PARTS[chain]) for parts in right) / len(right),
    )


def step_scores(
    answer: TacoAnswer, reference: Mapping[str, str], chain: Chain = "taco", score: Callable[[str, str], float] = exact
) -> dict[Part, float]:
    """The score of every part of one output against the reference texts; see :func:`diagnose`."""
    scores: dict[Part, float] = {}
    for part in PARTS[chain]:
        text = getattr(answer, part)
        usable = text is not None and (answer.ok or part != PARTS[chain][-1])
        scores[part] = score(text, reference[part]) if usable else 0.0
    return scores
