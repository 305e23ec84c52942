"""From samples to tensors: rows of turns, the teacher's rows, and which positions of both correspond.

A row is a begin token and turns, each a prompt without loss and an answer with its end token. The teacher's row has the
English questions of the same turns and asks for no rewriting, so that a turn's answer there is the chain of thought
alone, with which the student's answer ends: the tokens that both end with are those that are distilled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from core.models.tokenization import begin_ids, pair_ids
from core.training.losses import IGNORED
from core.training.packing import collate
from papers.xcot.config import Config
from papers.xcot.method import SOLUTION, Turn, ask

if TYPE_CHECKING:
    import numpy as np

Side = tuple[list[int], list[int]]
"""Prompt and answer of a turn."""


@dataclass(frozen=True)
class Batches:
    """Samples of `Draws` -> what `objective` takes.

    Attributes:
        tokenizer: The model's.
        config: The devices.
        limit: Tokens of a row. Demonstrations that do not fit are left out, and so is the loss of a query that does
            not: a chain that is cut would teach to stop before the answer.
        translate: Prompts -> greedy texts of the model as it is, for queries that are rewritten online.
        begin: First place from which it translates, every other time.
    """

    tokenizer: Any
    config: Config
    limit: int
    translate: Callable[[list[str]], list[str]] | None = None
    begin: int = 0

    def __call__(self, samples: Sequence[dict[str, Any]], rng: np.random.Generator | None = None) -> dict[str, Any]:
        """Student rows as `core.training.packing.collate` makes them; `teacher` and `pairs` with distillation; `notes`
        for the log.
        """
        rows, notes = self._online(samples)
        if self.config.context == "rows":
            rows = [[turn] for row in rows for turn in row]
        every = [turn for row in rows for turn in row]
        student = self._sides([turn.prompt for turn in every], [turn.answer for turn in every])
        teacher = self._sides([ask(turn.english) for turn in every], [f" {turn.chain}" for turn in every])
        both = iter(zip(student, teacher, strict=True))
        return {**self._batch([[next(both) for _ in row] for row in rows]), **({"notes": notes} if notes else {})}

    def _online(self, samples: Sequence[dict[str, Any]]) -> tuple[list[list[Turn]], dict[str, float]]:
        """Turns by sample, queries rewritten by the model where that is due; how many of these it copied."""
        rows = [list(sample["turns"]) for sample in samples]
        due = [
            row
            for row, sample in zip(rows, samples, strict=True)
            if self.translate and row[-1].pivot and sample["place"] >= self.begin and sample["place"] % 2
        ]
        if not self.translate or not due:
            return rows, {}
        texts = self.translate([row[-1].prompt for row in due])
        for row, text in zip(due, texts, strict=True):
            if text.strip():
                row[-1] = row[-1]._replace(rewritten=text.strip())
        return rows, {"copied": sum(row[-1].rewritten == row[-1].question for row in due) / len(due)}

    def _sides(self, prompts: list[str], answers: list[str]) -> list[Side]:
        own, end = len(begin_ids(self.tokenizer)), self.tokenizer.eos_token_id
        return [
            ([*prompt[own:]], [*answer, end]) for prompt, answer in pair_ids(self.tokenizer, prompts, answers)
        ]  # the rows have their own begin

    def _batch(self, rows: list[list[tuple[Side, Side]]]) -> dict[str, Any]:
        first, pad, limit = self.tokenizer.bos_token_id, self.tokenizer.pad_token_id or 0, self.limit
        begin = list(begin_ids(self.tokenizer)) or ([] if first is None else [first])
        documents: list[list[tuple[list[int], list[int]]]] = []
        shown, spans = list(documents), list[tuple[int, ...]]()
        for row in rows:
            while len(row) > 1 and len(begin) + sum(len(part) for student, _ in row for part in student) > limit:
                row = row[1:]
            ids, labels, read, found = list(begin), [IGNORED] * len(begin), list(begin), []
            for place, ((prompt, answer), (asked, chain)) in enumerate(row):
                ids, read = [*ids, *prompt, *answer], [*read, *asked, *chain]
                learnt = len(ids) <= limit and (self.config.loss_on_context or place == len(row) - 1)
                labels += [IGNORED] * len(prompt) + (answer if learnt else [IGNORED] * len(answer))
                if learnt and prompt != asked and len(read) <= limit:
                    found.append((len(documents), len(shown), len(ids), len(read), common_end(answer, chain)))
            documents.append([(ids[:limit], labels[:limit])])
            shown += [[(read[:limit], read[:limit])]] if found else []
            spans += found
        batch = collate(documents, "padded", pad_token=pad)
        if not self.config.beta:
            return batch
        # Without anything to distil too: where a model is sharded, all processes have to call it as often.
        teacher = collate(shown or documents[:1], "padded", pad_token=pad)
        width, teacher_width = batch["input_ids"].shape[1], teacher["input_ids"].shape[1]
        places = [  # the token before each is where it is predicted
            (row * width + end - back - 1, other * teacher_width + other_end - back - 1, 1 / size)
            for row, other, end, other_end, size in spans
            for back in range(size, 0, -1)
        ]
        table = torch.tensor(places, dtype=torch.float64).reshape(-1, 3)
        pairs = {"student": table[:, 0].long(), "teacher": table[:, 1].long(), "weights": table[:, 2].float()}
        return {**batch, "teacher": {key: teacher[key] for key in ("input_ids", "attention_mask")}, "pairs": pairs}


def common_end(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both end with."""
    pairs = zip(reversed(left), reversed(right), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def translate(model: Any, tokenizer: Any, most: int, prompts: list[str]) -> list[str]:
    """Queries in the language that the prompts name, by the model as it is; empty where it writes none."""
    from core.inference.generation import generate

    begin = "" if begin_ids(tokenizer) else tokenizer.bos_token or ""
    texts = generate(model, tokenizer, [begin + prompt for prompt in prompts], max_new_tokens=most, stop=[SOLUTION])
    return [text.strip() for text in texts]


def simulated(rows: Sequence[dict[str, int]], rng: Any = None) -> dict[str, Any]:
    """A batch of the largest rows, each second token of which is learnt and distilled, for `papers plan --simulate`."""
    length = rows[0]["tokens"]
    documents = [[([0] * length, [IGNORED] * (length // 2) + [0] * (length - length // 2))] for _ in rows]
    batch = collate(documents, "padded")
    places = batch["label_positions"]
    pairs = {"student": places, "teacher": places, "weights": torch.ones(len(places))}
    return {**batch, "teacher": {key: batch[key] for key in ("input_ids", "attention_mask")}, "pairs": pairs}
