"""The official prompts of SIB-200 and FLORES-200, draws of their examples, and how a topic is chosen.

Quirks of the official code are kept where it is asked for: the prompt for topics ends in a line break and the labels
begin with a blank; of a label in several pieces the last one is scored, at the place of the first; examples of
FLORES-200 are drawn with replacement; its instruction stands once, after the examples.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from core.tasks.choices import Question

T = TypeVar("T")
Scoring = Literal["full", "official"]
TOPICS = ("science/technology", "travel", "politics", "sports", "health", "entertainment", "geography")
# Of translations (official code); it also stops at a backslash that is followed by an n.
DECODING: dict[str, Any] = {
    "temperature": 0.1, "top_p": 0.9, "repetition_penalty": 1.2, "max_new_tokens": 128, "stop": ["\n", "\\n"],
}  # fmt: skip


def item_seeds(items: int, seed: int = 42) -> list[int]:
    """One integer in [0, 1000] for each test item, from which its examples are drawn."""
    draw = random.Random(seed)
    return [draw.randint(0, 1000) for _ in range(items)]


def without_replacement(rows: Sequence[T], seed: int, shots: int = 3) -> list[T]:
    """Examples of SIB-200: the rows of pandas' `sample(n=shots, random_state=seed)`, in its order."""
    chosen = np.random.RandomState(seed).choice(len(rows), min(shots, len(rows)), replace=False)
    return [rows[int(place)] for place in chosen]


def with_replacement(rows: Sequence[T], seed: int, shots: int = 3) -> list[T]:
    """Examples of FLORES-200; one may come twice."""
    draw = random.Random(seed)
    return [rows[draw.randint(0, len(rows) - 1)] for _ in range(shots)]


def topic_line(text: str, label: str = "") -> str:
    """One line of the prompt, solved or open."""
    return f'The topic of the news "{text}" is {label}'.rstrip(" ") + "\n"


def topic_prompt(text: str, shots: Sequence[tuple[str, str]], labels: Sequence[str] = TOPICS) -> str:
    """The labels, solved lines, and the open one.

    Args:
        text: What is asked.
        shots: (text, label).
        labels: All of them, in the order in which they are told.
    """
    head = f"Topic Classification: {', '.join(labels)}.\n\n"
    return head + "".join(topic_line(*shot) for shot in shots) + topic_line(text)


def translation_prompt(text: str, shots: Sequence[tuple[str, str]], source: str, target: str) -> str:
    """Solved pairs, then the instruction and the open one.

    Args:
        text: What is to be translated.
        shots: (text, translation).
        source: English name of its language.
        target: English name of the other one.
    """
    solved = "".join(f"[{source}]: {given}\n[{target}]: {wanted}\n" for given, wanted in shots)
    return f"{solved}Translate the following sentence from {source} to {target}\n[{source}]: {text}\n[{target}]:"


def right_topics(
    model: Any, tokenizer: Any, questions: Sequence[Question], scoring: Scoring = "full"
) -> dict[str, float]:
    """1 where the right label is the likeliest, by the question's id.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        questions: Their contexts are of :func:`topic_prompt`, their choices labels with a leading blank.
        scoring: full = log-likelihood of the whole label after `is`; official = logit of the label's last piece after
            the line break.
    """
    import torch

    from core.inference.scoring import evaluating
    from core.models.tokenization import text_ids
    from core.tasks import choices

    if scoring == "full":
        asked = [_replaced(question, begin=tokenizer.bos_token or "") for question in questions]
        return choices.answer(model, tokenizer, asked)
    found: dict[str, float] = {}
    contexts = text_ids(tokenizer, [question.context for question in questions])
    with evaluating(model), torch.inference_mode():
        for question in questions:
            pieces = [tokenizer.encode(label, add_special_tokens=False)[-1] for label in question.choices]
            logits = model(torch.tensor([contexts[question.context]], device=model.device)).logits[0, -1, pieces]
            found[question.id] = choices.credit(logits.tolist(), question.answer)
    return found


def _replaced(question: Question, begin: str) -> Question:
    """Without the line break at the end, and after the token that begins every document."""
    from dataclasses import replace

    return replace(question, context=begin + question.context.rstrip("\n"))
