"""What is read: answers of the model to questions in many languages, or texts; as batches in which answers are counted.

    answered = answers(model, tokenizer, asked, max_new_tokens=1024)         # {"sw": [("question ...", "answer ...")]}
    batches(rows(tokenizer, answered["sw"]))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.models.tokenization import completion_row
from core.text.languages import name

if TYPE_CHECKING:
    from torch import Tensor

    from core.tasks.mathematics import Question

Texts = Sequence[tuple[str, str]]
"""Prompts, perhaps empty, and what stands behind them."""
# Tokens of a forward pass, padding included.
BATCH = 1024


def prompt(question: str, code: str) -> str:
    """How MathOctopus is asked (MAPO): an Alpaca frame that names the language."""
    return (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request in "
        f"{name(code)}. Please answer in {name(code)}.\n\n### Instruction:\n{question}\n\n### Response:"
    )


def answers(
    model: Any, tokenizer: Any, asked: Mapping[str, Sequence[Question]], *, max_new_tokens: int, **decoding: Any
) -> dict[str, list[tuple[str, str]]]:
    """Prompts with the model's answers, by default greedy, by language."""
    from core.inference.generation import generate

    flat = [(code, prompt(question.question, code)) for code, own in asked.items() for question in own]
    said = generate(model, tokenizer, [text for _, text in flat], max_new_tokens=max_new_tokens, **decoding)
    found: dict[str, list[tuple[str, str]]] = {code: [] for code in asked}
    for (code, text), answer in zip(flat, said, strict=True):
        found[code].append((text, answer))
    return found


def rows(tokenizer: Any, texts: Texts) -> list[dict[str, list[int]]]:
    """Tokens with labels on what stands behind the prompts.

    A text without a prompt is read after the begin token, where there is one: what stands first is an attention sink,
    whose states tell nothing of the language.
    """
    begin = True if tokenizer.bos_token_id is not None else None
    return [completion_row(tokenizer, asked, text, bos=None if asked else begin, eos=False) for asked, text in texts]


def batches(found: Sequence[Mapping[str, Sequence[int]]], size: int = BATCH) -> Iterator[dict[str, Tensor]]:
    """Padded batches, the longest rows first, of `input_ids`, `attention_mask`, `labels`, `counted` and `row`, the
    place of each in what was given."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    order = sorted(range(len(found)), key=lambda i: -len(found[i]["input_ids"]))
    while order:
        most = max(1, size // len(found[order[0]]["input_ids"]))
        part, order = order[:most], order[most:]
        ids, labels = (
            pad_sequence([torch.tensor(found[i][key]) for i in part], batch_first=True, padding_value=-100)
            for key in ("input_ids", "labels")
        )
        labels[:, 0] = -100  # nothing predicts the first token
        yield {
            "input_ids": ids.clamp(min=0), "attention_mask": (ids != -100).long(), "labels": labels,
            "counted": labels != -100, "row": torch.tensor(part),
        }  # fmt: skip
