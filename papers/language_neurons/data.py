"""What is read: answers of the model to questions in many languages, or texts; as batches in which answers are counted.

answered = answers(model, tokenizer, asked, max_new_tokens=1024)         # {"sw": [("question ...", "answer ...")]}
batches(rows(tokenizer, answered["sw"]))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch.nn.utils.rnn import pad_sequence

from core.corpora import adapted, read_jsonl
from core.errors import UserError
from core.files import load_facts, write_json
from core.models.loading import translated
from core.models.tokenization import completion_row
from core.tasks.preferences import pair
from core.text.languages import name
from core.training.losses import IGNORED
from papers.language_neurons.method import Activity

if TYPE_CHECKING:
    from torch import Tensor

    from core.tasks.mathematics import Question

Texts = Sequence[tuple[str, str]]
"""Prompts, perhaps empty, and what stands behind them."""
# Tokens of a forward pass, padding included.
BATCH = 512


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


def rows(tokenizer: Any, texts: Texts, longest: int = 2**20) -> list[dict[str, list[int]]]:
    """Tokens with labels on what stands behind the prompts.

    A text without a prompt is read after the begin token, where there is one: what stands first is an attention sink,
    whose states tell nothing of the language. What has more than `longest` tokens is read in pieces.
    """
    begin = True if tokenizer.bos_token_id is not None else None
    found = [completion_row(tokenizer, asked, text, bos=None if asked else begin, eos=False) for asked, text in texts]
    starts = [(row, i) for row in found for i in range(0, len(row["input_ids"]), longest)]
    return [{key: ids[i : i + longest] for key, ids in row.items()} for row, i in starts]


def batches(found: Sequence[Mapping[str, Sequence[int]]], size: int = BATCH) -> Iterator[dict[str, Tensor]]:
    """Padded batches, the longest rows first, of `input_ids`, `attention_mask`, `labels`, `counted` and `row`, the
    place of each in what was given."""
    order = sorted(range(len(found)), key=lambda i: -len(found[i]["input_ids"]))
    while order:
        most = max(1, size // len(found[order[0]]["input_ids"]))
        part, order = order[:most], order[most:]
        ids, labels = (
            pad_sequence([torch.tensor(found[i][key]) for i in part], batch_first=True, padding_value=IGNORED)
            for key in ("input_ids", "labels")
        )
        labels[:, 0] = IGNORED  # nothing predicts the first token
        yield {
            "input_ids": ids.clamp(min=0), "attention_mask": (ids != IGNORED).long(), "labels": labels,
            "counted": labels != IGNORED, "row": torch.tensor(part),
        }  # fmt: skip


def cross_entropy(
    model: Any, tokenizer: Any, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str
) -> list[float]:
    """Mean nats a token that an encoder-decoder gives each target behind its source.

    Calculator annotations, and what follows `####`, are left out of both (MAPO).
    """
    from core.inference.seq2seq import positions
    from core.training.seq2seq import collate, pairs

    read, written = (
        [re.sub(r"<<.*?>>", "", text).partition("####")[0].strip() or "." for text in side]
        for side in (sources, targets)
    )
    made, found = pairs(tokenizer, read, written, source, target, positions(model)), list[float]()
    with torch.inference_mode():
        for start in range(0, len(made), 16):
            batch = collate(made[start : start + 16], pad=tokenizer.pad_token_id)
            batch = {name: value.to(model.device) for name, value in batch.items()}
            logits, labels = model(**batch).logits.float(), batch["labels"]
            nats = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")  # 0 where a label is ignored
            found += (nats.sum(1) / (labels != IGNORED).sum(1)).tolist()
    return found


def write_activity(folder: Path, measured: Activity) -> None:
    """`activity.safetensors` (`shares`, [neurons, languages]) and `activity.json` (`languages`, `layers`)."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"shares": measured.shares.contiguous()}, folder / "activity.safetensors")
    write_json(folder / "activity.json", {"languages": list(measured.languages), "layers": dict(measured.layers)})


def read_activity(folder: Path) -> Activity:
    """The inverse of :func:`write_activity`.

    Raises:
        UserError: The folder holds none, or shares of other neurons than it names.
    """
    facts = load_facts(folder, "activity.json", ("languages", "layers"), "papers.language_neurons.use identify")
    path = Path(folder) / "activity.safetensors"
    with translated(folder):
        shares = load_file(path)["shares"]
    if shares.shape != (sum(facts["layers"].values()), len(facts["languages"])):
        raise UserError(f"{path} has shares of shape {tuple(shares.shape)}, which activity.json does not name.")
    return Activity(shares, tuple(facts["languages"]), facts["layers"])


def preferences(path: str, languages: Sequence[str] = ()) -> list[dict[str, str]]:
    """Pairs as `use pairs` writes them: `prompt`, `chosen`, `rejected`, and perhaps `language`.

    Raises:
        UserError: A row of another form; or no pair of the languages that are named.
    """

    def adapt(row: Mapping[str, Any], number: int) -> dict[str, str]:
        return {**pair(row)._asdict(), "language": str(row.get("language") or "")}

    found = list(adapted(path, read_jsonl(path), adapt))
    kept = [row for row in found if not row["language"] or not languages or row["language"] in languages]
    if not kept:
        raise UserError(f"{path} has no pair of {', '.join(languages)}: name others in --aligned.")
    return kept
