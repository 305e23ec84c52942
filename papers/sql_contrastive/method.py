"""Contrastive rewards: of queries that run, those whose vector is near the question's are rewarded more.

An encoder f puts questions of all languages and SQL queries into one space. It is trained on pairs (q_i, s_i), with the
other queries of the batch and queries n of the same schema that run and say something else as negatives:

    l_ij = f(q_i) . f(s_j) / tau,      P_ij = 1 / |{k: s_k = s_i}| where s_j = s_i, else 0
    L = - 1/2 mean_i [ sum_j P_ij log softmax_j over s and n (l_ij) + sum_j P_ij log softmax_j (l_ji) ]            (1)

Seven translations of a question have one query: they share the target, or the encoder would learn to tell languages
apart. Frozen, f rewards the answers y of a policy to a question q, with no gold query (r_result, which needs it, is for
an upper bound):

    r_contrastive = r_execution (1 + cos(f(q), f(y))) / 2                                                          (2)
    R = w_format r_format + w_execution r_execution + w_result r_result + w_contrastive r_contrastive              (3)

and the policy learns by group-relative policy optimisation (:mod:`core.training.policy`): of G answers to a question,
those with more than the mean reward become likelier. Where all G run, execution alone teaches nothing.

    parts = rewards(databases, Scorer(Encoder(model, tokenizer, POOLING)))
    learn(policy, tokenizer, items, asked, parts, {"execution": 1.0, "contrastive": 1.0}, ...)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from core.models.embedding import Encoder, Pooling, pool
from core.models.loading import longest_input
from core.training import policy
from core.training.fit import FitResult, fit
from core.training.losses import Loss
from papers.sql_contrastive.sandbox import Database, extract, normal, same

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig

POOLING = Pooling("mean", normalize=True)


class Item(NamedTuple):
    """A question in a language about a database, and the query that answers it; empty where nobody knows it."""

    id: str
    db: str
    language: str
    question: str
    sql: str = ""


def contrastive_loss(
    questions: Float[Tensor, "pair width"],
    queries: Float[Tensor, "pair+negative width"],
    alike: Bool[Tensor, "pair pair+negative"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Equation 1, summed over pairs, from vectors of length 1.

    Args:
        questions: f(q_i).
        queries: f(s_j) of the same pairs in their order, then of the negatives.
        alike: Whether query j says what question i asks.
        temperature: tau.
    """
    scores = questions @ queries.T / temperature
    pairs = len(questions)
    share = alike / alike.sum(1, keepdim=True)
    back = alike[:, :pairs] / alike[:, :pairs].sum(1, keepdim=True)
    there = (share * scores.log_softmax(1)).sum()
    return -(there + (back * scores[:, :pairs].T.log_softmax(1)).sum()) / 2


def objective(temperature: float) -> Callable[[Any, Mapping[str, Tensor]], Loss]:
    """The loss of a batch of questions, then queries, then negatives, and `alike`, for `core.training.fit`."""

    def loss(model: Any, batch: Mapping[str, Tensor]) -> Loss:
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        vectors = F.normalize(pool(model(**inputs).last_hidden_state, batch["attention_mask"], "mean"), dim=-1)
        pairs = len(batch["alike"])
        return Loss(contrastive_loss(vectors[:pairs], vectors[pairs:], batch["alike"], temperature), pairs)

    return loss


def pair_batches(tokenizer: Any, negatives: int, longest: int) -> Callable[..., dict[str, Tensor]]:
    """Rows of `question`, `query`, `db` and `negatives` -> a batch of the objective, with so many negatives of each."""

    def batch(rows: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Tensor]:
        queries = [(row["db"], normal(row["query"])) for row in rows]
        for row in rows:
            drawn = rng.permutation(len(row["negatives"]))[:negatives]
            queries += [(row["db"], normal(row["negatives"][number])) for number in drawn]
        texts = [text_of(row["question"]) for row in rows] + [text_of(query, "sql") for _, query in queries]
        encoded = tokenizer(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt")
        alike = torch.tensor([[one == other for other in queries] for one in queries[: len(rows)]])
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "alike": alike}

    return batch


def train_encoder(
    model: Any, tokenizer: Any, rows: Sequence[Mapping[str, Any]], settings: TrainingConfig, run: Run, seed: int,
    *, negatives: int, temperature: float,
) -> FitResult:  # fmt: skip
    """Train f, in place, on pairs of `papers.sql_contrastive.data.pairs` (equation 1)."""
    batches = pair_batches(tokenizer, negatives, min(settings.max_length, longest_input(model, tokenizer)))
    return fit(model, rows, settings, run, loss_fn=objective(temperature), collate=batches, seed=seed, name="encoder")


@dataclass
class Scorer:
    """How near queries are to a question, in [0, 1] (equation 2 without r_execution); vectors are kept for a while."""

    encoder: Encoder
    known: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, question: str, queries: Sequence[str]) -> list[float]:
        """One number a query."""
        texts = [text_of(question), *(text_of(query, "sql") for query in queries)]
        if len(self.known) > 50_000:
            self.known.clear()
        if new := [text for text in dict.fromkeys(texts) if text not in self.known]:
            self.known |= dict(zip(new, self.encoder(new).vectors, strict=True))
        vector, *others = (self.known[text] for text in texts)
        return [(1 + float(vector @ other)) / 2 for other in others]


def text_of(text: str, kind: str = "question") -> str:
    """What the encoder reads of a question, or of a query."""
    return f"{kind}: {normal(text) if kind == 'sql' else text}"


Near = Callable[[str, Sequence[str]], list[float]]
"""A scorer: how near queries are to a question, in [0, 1]."""
Reward = Callable[[Item, Sequence[str]], list[float]]
"""Answers to an item -> their rewards in [0, 1]. One of your own goes beside those of :func:`rewards`."""


def rewards(databases: Mapping[str, Database], scorer: Near | None = None) -> dict[str, Reward]:
    """The named parts of equation 3; `contrastive` needs a scorer and `result` the gold query."""

    def written(_: Item, answers: Sequence[str]) -> list[float]:
        return [float(extract(answer) is not None) for answer in answers]

    def execution(item: Item, answers: Sequence[str]) -> list[float]:
        queries = map(extract, answers)
        return [float(query is not None and databases[item.db].run(query).rows is not None) for query in queries]

    def result(item: Item, answers: Sequence[str]) -> list[float]:
        run = databases[item.db].run
        queries, gold = map(extract, answers), run(item.sql)
        return [float(query is not None and same(run(query), gold, item.sql)) for query in queries]

    def contrastive(item: Item, answers: Sequence[str]) -> list[float]:
        assert scorer is not None
        near = scorer(item.question, [extract(answer) or answer for answer in answers])
        return [runs * score for runs, score in zip(execution(item, answers), near, strict=True)]

    found: dict[str, Reward] = {"format": written, "execution": execution, "result": result}
    return found | ({"contrastive": contrastive} if scorer else {})


def total(item: Item, answers: Sequence[str], parts: Mapping[str, Reward], weights: Mapping[str, float]) -> list[float]:
    """Equation 3; parts without weight are not computed."""
    used = {name: weight for name, weight in weights.items() if weight}
    return policy.weighted({name: parts[name](item, answers) for name in used if name in parts}, used)


def learn(
    model: Any, tokenizer: Any, items: Sequence[Item], asked: Sequence[str], parts: Mapping[str, Reward],
    weights: Mapping[str, float], sampling: policy.Sampling, settings: TrainingConfig, run: Run, seed: int,
) -> FitResult:  # fmt: skip
    """Train the policy, in place, on items asked with these prompts, by its own answers and their rewards."""

    def reward(number: int, answers: Sequence[str]) -> list[float]:
        return total(items[number], answers, parts, weights)

    return policy.train(model, tokenizer, asked, reward, sampling, settings, run, seed)


def rerank(scorer: Near, database: Database, question: str, candidates: Sequence[str]) -> list[tuple[float, str]]:
    """Queries of candidate answers with r_contrastive, the best first; what does not run has 0. No gold is needed."""
    item, parts = Item("", "", "", question), rewards({"": database}, scorer)
    found = zip(parts["contrastive"](item, candidates), candidates, strict=True)
    return sorted(((score, extract(one) or one) for score, one in found), key=lambda pair: -pair[0])
