"""What is read: answers of the model to questions in many languages, or texts; as batches in which answers are counted.

answered = answers(loaded, {"sw": prompts}, max_new_tokens=1024)            # {"sw": [("question ...", "answer ...")]}
batches(rows(loaded, answered["sw"]))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch.nn.utils.rnn import pad_sequence

from core.corpora import adapted, read_jsonl
from core.errors import UserError
from core.files import load_facts, write_json
from core.models.loading import Loaded, longest_input, translated
from core.models.tokenization import completion_row
from core.tasks.preferences import pair
from core.text.languages import name
from core.training.losses import IGNORED
from papers.language_neurons.config import TEMPERATURE
from papers.language_neurons.method import Activity, CrossEntropy, activity, preferences, rewards

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


def answers(loaded: Loaded, prompts: Mapping[str, Sequence[str]], **decoding: Any) -> dict[str, list[tuple[str, str]]]:
    """Prompts with the model's answers, by default greedy, by language."""
    from core.inference.generation import generate

    said = iter(generate(*loaded, [text for own in prompts.values() for text in own], **decoding))
    return {code: [(text, next(said)) for text in own] for code, own in prompts.items()}


def rows(loaded: Loaded, texts: Texts) -> list[dict[str, list[int]]]:
    """Tokens with labels on what stands behind the prompts.

    A text without a prompt is read after the begin token, where there is one: what stands first is an attention sink,
    whose states tell nothing of the language. What is longer than the model can read is read in pieces.
    """
    tokenizer, longest = loaded.tokenizer, longest_input(*loaded)
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


def count(loaded: Loaded, texts: Mapping[str, Texts]) -> Activity:
    """How often the model's neurons are active in texts, by language."""
    return activity(loaded.model, {code: batches(rows(loaded, own)) for code, own in texts.items()})


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


# --- pairs to align with ----------------------------------------------------------------------------------------------


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


def feedback(
    loaded: Loaded, asked: Mapping[str, Sequence[Question]], codes: Sequence[str],
    right: Callable[[str, str], object], surprise: Callable[[str], CrossEntropy],
    *, samples: int, frame: Callable[[str, str], str] = prompt, **decoding: Any,
) -> list[dict[str, str]]:  # fmt: skip
    """Sample answers to questions, and pair those to each that has some in its language and in English.

    Args:
        loaded: The model to align, and its tokenizer.
        asked: Questions by language, English among them; those of one id are the same.
        codes: Languages to align.
        right: Whether an answer has the number of another.
        surprise: By language, the translation model from it into English.
        samples: Answers to each question; equal ones count once.
        frame: From a question and its language to a prompt.
        decoding: Options of :func:`answers`.
    """
    prompts = {code: [frame(row.question, code) for row in own for _ in range(samples)] for code, own in asked.items()}
    answered = answers(loaded, prompts, temperature=TEMPERATURE, **decoding)
    said: dict[str, dict[str, list[str]]] = {code: {} for code in asked}
    for code, rows_of in asked.items():
        for i, row in enumerate(rows_of):
            texts = (text for _, text in answered[code][i * samples : (i + 1) * samples])
            said[code][row.id] = [*dict.fromkeys(text for text in texts if text.strip())]
    found = []
    for code in codes:
        for row in asked[code]:
            own, english = said[code][row.id], said["en"].get(row.id)
            if own and english:
                reward, verdicts = rewards(own, english, surprise(code)), [bool(right(y, row.answer)) for y in own]
                for better, worse in preferences(own, reward, verdicts):
                    sides = {"prompt": frame(row.question, code), "chosen": better, "rejected": worse}
                    found.append({**sides, "language": code})
    return found


def read_pairs(path: str, languages: Sequence[str]) -> list[dict[str, str]]:
    """Pairs as `use pairs` writes them, `prompt`, `chosen`, `rejected` and perhaps `language`, of some languages."""

    def adapt(row: Mapping[str, Any], number: int) -> dict[str, str]:
        return {**pair(row)._asdict(), "language": str(row.get("language") or "")}

    found = list(adapted(path, read_jsonl(path), adapt))
    kept = [row for row in found if not languages or row["language"] in ("", *languages)]
    if not kept:
        raise UserError(f"{path} has no pair of {', '.join(languages)}: name others in --aligned.")
    return kept
