"""xCoT: tune on questions of many languages with English chains of thought, and pull the questions towards English.

A sample is a question q in language L_i and an English chain of thought a. Three devices join what the model can do
in English with the words of the other languages:

    xICL         x = [c_1 ... c_k; q]: before the query stand k examples, in whose English questions each unit is
                 replaced by its translation into L_i with probability alpha; their answers stay English         (1)
    Random-CoT   y = [q'; a]: the answer begins with the query in another language L_k, from parallel data or, online,
                 as the model itself translates it                                                              (2)
    distillation the teacher reads the same examples and question in English; for each answer a of a row

    L_D = - mean over answers of 1/|a| sum_t sum_v p_T(v | c, q_en, a_<t) log p_S(v | c', q, a_<t)               (3)

p_T is the model itself without a gradient; both sides read the same beginning of a, so that positions correspond from
where it starts. With the cross-entropy of the answers, the mean over their tokens, the loss is

    L = L_SFT + beta L_D.                                                                                       (4)

    rows = Draws(pool, config, count)                                          # pool: {"en": [Example, ...], "sw": ...}
    tune(model, tokenizer, rows, config.training, run)
    generate(model, tokenizer, [ask("saba jumlisha nne kisha toa tatu ?", "en")])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from core.inference.scoring import evaluating
from core.text.codeswitch import Unit, switch_units
from core.text.languages import name
from core.training.losses import Loss, causal_lm_loss, shifted_targets
from papers.xcot.config import HIGH, Config

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

SOLUTION = "Solution:"
"""Stands between a rewritten query and the chain of thought."""


class Example(NamedTuple):
    """A problem in the languages that it has been translated into: questions and chains of thought, which end with the
    number, by language; and by other language the parts of the English question and what they are there."""

    id: str
    questions: Mapping[str, str]
    answers: Mapping[str, str]
    units: Mapping[str, Sequence[Unit]] = {}


Pool = dict[str, list[Example]]
"""By language, the examples with a question in it."""


class Turn(NamedTuple):
    """A question in any language or in two, its chain of thought, the question in English, which the teacher is asked,
    and perhaps the language that it is put into first, and the question there."""

    question: str
    chain: str
    english: str = ""
    pivot: str | None = None
    rewritten: str = ""

    @property
    def prompt(self) -> str:
        """What is asked."""
        return ask(self.question, self.pivot)

    @property
    def answer(self) -> str:
        """What is learnt (equation 2)."""
        return f" {self.rewritten}\n{SOLUTION} {self.chain}" if self.pivot else f" {self.chain}"


def ask(question: str, pivot: str | None = None) -> str:
    """The prompt; with a pivot the question is to be put into that language first."""
    return f"Question: {question}\nAnswer:{f' In {name(pivot)}:' if pivot else ''}"


def switched(example: Example, code: str, alpha: float, rng: Random) -> str:
    """The English question, each unit in the other language with probability `alpha` (equation 1)."""
    return switch_units(example.questions[HIGH], example.units.get(code, ()), alpha, rng).text


@dataclass(frozen=True)
class Draws:
    """Samples in training order, each drawn by its place alone: `{"turns": [Turn, ...], "place": ...}`, the query last.

    Attributes:
        pool: What is drawn from.
        config: The devices and their shares.
        count: How many.
    """

    pool: Pool
    config: Config
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> dict[str, Any]:
        config, rng = self.config, Random(f"{self.config.seed}/{place}")
        others = [code for code in self.pool if code != HIGH]
        language = HIGH if not others or rng.random() < config.english_share else rng.choice(others)
        example, turns = rng.choice(self.pool[language]), []
        pivot = self._pivot(language, others, example, rng)
        if others and config.context != "none" and rng.random() < config.context_share:
            target = language if language != HIGH else rng.choice(others)
            turns = [self._demonstration(example, target, pivot, rng) for _ in range(config.k)]
        chain = example.answers[language if config.answer_language == "native" else HIGH]
        return {"turns": [*turns, self._turn(example.questions[language], example, chain, pivot)], "place": place}

    def _pivot(self, language: str, others: list[str], example: Example, rng: Random) -> str | None:
        """L_k of equation (2), another language than the question's."""
        if self.config.rewrite == "none" or rng.random() >= self.config.rewrite_share:
            return None
        codes = [HIGH] if self.config.rewrite == "english" else [HIGH, *others]
        return rng.choice([code for code in codes if code != language and code in example.questions] or [None])

    def _demonstration(self, query: Example, target: str, pivot: str | None, rng: Random) -> Turn:
        """An example other than the query, switched into the target language, its answer laid out as the query's."""
        others = [one for one in rng.choices(self.pool[pivot or HIGH], k=4) if one.id != query.id]
        example = others[0] if others else query
        return self._turn(switched(example, target, self.config.alpha, rng), example, example.answers[HIGH], pivot)

    def _turn(self, question: str, example: Example, chain: str, pivot: str | None) -> Turn:
        return Turn(question, chain, example.questions[HIGH], pivot, example.questions[pivot] if pivot else "")


def distillation_loss(
    student: Float[Tensor, "position vocabulary"],
    teacher: Float[Tensor, "position vocabulary"],
    weights: Float[Tensor, " position"],
) -> Float[Tensor, ""]:
    """Equation (3) from logits, in nats: cross-entropy, at temperature 1, with the teacher's entropy in it.

    Args:
        student: Logits at corresponding positions.
        teacher: Without a gradient.
        weights: 1/|a| at each position of an answer of |a| tokens; none at all is a loss of 0.
    """
    cross_entropy = -(teacher.float().softmax(-1) * student.float().log_softmax(-1)).sum(-1)
    return (weights * cross_entropy).sum() / weights.sum().clamp(min=1)


def objective(beta: float) -> Callable[[Any, Any], Loss]:
    """The loss (4) of a batch of `papers.xcot.batches`."""

    def loss(model: Any, batch: dict[str, Any]) -> Loss:
        notes, read, pairs = (batch.pop(key, None) for key in ("notes", "teacher", "pairs"))
        if not beta:
            total, items, logs = causal_lm_loss(model, batch)
        else:
            positions, targets = shifted_targets(batch)
            items, inputs = len(targets), {key: batch[key] for key in ("input_ids", "attention_mask")}
            logits = model(**inputs, use_cache=False).logits.flatten(0, 1)
            with torch.no_grad(), evaluating(model):  # the teacher is the model as it is, without dropout
                shown = model(**read, use_cache=False).logits.flatten(0, 1)
            distilled = distillation_loss(logits[pairs["student"]], shown[pairs["teacher"]], pairs["weights"])
            sft = F.cross_entropy(logits[positions].float(), targets, reduction="sum")
            total, logs = sft + beta * distilled * items, {"sft": sft.detach(), "distilled": distilled.detach() * items}
        return Loss(total, items, {**logs, **{key: value * items for key, value in (notes or {}).items()}})

    return loss


def tune(model: Any, tokenizer: Any, rows: Draws, settings: TrainingConfig, run: Run) -> FitResult:
    """Train the model, in place, on samples in their order."""
    from core.models.loading import longest_input
    from core.training.fit import fit
    from papers.xcot.batches import Batches, translate

    config = rows.config
    online = partial(translate, model, tokenizer, config.max_new_tokens) if config.source == "online" else None
    limit = min(settings.max_length, longest_input(model, tokenizer))
    batches = Batches(tokenizer, config, limit, online, begin=len(rows) // 10)
    ordered = replace(settings, steps=len(rows) // settings.batch_size, shuffle=False)
    return fit(model, rows, ordered, run, loss_fn=objective(config.beta), collate=batches, seed=config.seed)
