"""Parallel scaling: learn by reward on the same problems in k languages, and see how far it carries to others.

With accuracies a_lb after and a0_lb before training, in language l on benchmark b, trained languages T (|T| = k) and
languages U in which nothing is trained,

    d_l = mean_b (a_lb - a0_lb) / a0_lb                                                                            (1)
    MTI = mean_{l in U} d_l / mean_{l in T} d_l                                                                    (2)

is the multilingual transferability index. Training samples G answers to a problem, rewards each and compares them:

    r   = l1 accuracy + l2 format + l3 language                                                                    (3)
    A_i = (r_i - mean r) / (std r + 1e-4),   L = - mean_i A_i log pi(y_i)                                          (4)

An example is a (problem, language); every arm sees as many. The parallel scaling law is fitted from two languages on,
and what it says of one language is compared with what one language does:

    f(k) = alpha k^beta on k >= 2,   leap = y(2) - y(1),   gap = f(1) - y(1) = alpha - y(1)                        (5)

    found = transferability(before, after, trained=["en"], unseen=["sw", "th"])
    order = schedule(630, ["en", "de"], 14_400, seed=0)            # [(problem, language), ...]
    law = fit_scaling([1, 2, 4, 8], [.07, .26, .38, .57]);  law.gap, law.predict(16)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from statistics import correlation, fmean
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.errors import UserError
from core.metrics.scaling import Law, fit_power, left_out_errors
from core.models.loading import unwrapped
from core.training.losses import Loss, decode
from core.training.policy import group_advantages

if TYPE_CHECKING:
    import numpy as np

    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

Scores = Mapping[str, Mapping[str, float]]
"""Accuracy in [0, 1] by language and benchmark."""
Budget = Literal["fixed", "grow"]


class Transfer(NamedTuple):
    """How far a gain carries. `mti` (equation 2) is NaN where trained languages gain nothing or a side is empty; `raw`
    is the ratio whatever its sign (a drop on the trained ones can make it positive); `trained` and `unseen` are mean
    relative gains, `gains` those of each language, and `reasons` say why there is no index or what makes it uncertain.
    """

    mti: float
    raw: float
    trained: float
    unseen: float
    gains: dict[str, float]
    reasons: tuple[str, ...]


def relative_gains(before: Scores, after: Scores, min_base: float = 0.0) -> dict[str, float]:
    """Equation 1 by language; benchmarks whose base accuracy is 0 or below `min_base` do not count."""
    found: dict[str, float] = {}
    for code, own in after.items():
        base = before.get(code, {})
        kept = [name for name in own if name in base and base[name] > 0 and base[name] >= min_base]
        if kept:
            found[code] = fmean((own[name] - base[name]) / base[name] for name in kept)
    return found


def transferability(
    before: Scores, after: Scores, trained: Sequence[str], unseen: Sequence[str] | None = None, min_base: float = 0.0
) -> Transfer:
    """Equation 2, with both gains beside it.

    Args:
        before: Accuracies of the untrained model.
        after: Of the trained one.
        trained: Codes of the languages that were trained on.
        unseen: Those in which nothing is trained, a fixed set; None: all others, which are fewer the more are trained.
        min_base: As of :func:`relative_gains`.
    """
    gains = relative_gains(before, after, min_base)
    others = [code for code in after if code not in trained] if unseen is None else list(unseen)
    reasons = [f"{code} has no base accuracy above {min_base:g}" for code in (*trained, *others) if code not in gains]
    sides = [[gains[code] for code in side if code in gains] for side in (trained, others)]
    own, far = (fmean(side) if side else math.nan for side in sides)
    raw = far / own if own else math.nan
    if math.isnan(own) or math.isnan(far):
        reasons.append(f"no {'trained' if math.isnan(own) else 'unseen'} language can be compared")
    elif own <= 0:
        reasons.append("no gain on trained languages")
    elif own < 0.05:
        reasons.append(f"a gain of {own:.1%} on trained languages is small: the index is a ratio of small differences")
    return Transfer(raw if own > 0 else math.nan, raw, own, far, gains, tuple(reasons))


def schedule(
    problems: int, languages: Sequence[str], count: int, *, budget: Budget = "fixed", parallel: bool = True,
    seed: int = 0,
) -> list[tuple[int, str]]:  # fmt: skip
    """Examples in training order, as (problem, language).

    They come in rounds over all problems, each in another language than in the round before: within k rounds every
    problem is met in all languages, and translations of one meet in a batch at the border of two rounds alone.

    Args:
        problems: How many there are.
        languages: The k languages.
        count: Examples for one language.
        budget: fixed: `count` whatever k; grow: k times as many.
        parallel: False: each problem stays in one language, so that two languages have different ones.
        seed: Of the order.
    """
    rng, k = Random(f"schedule-{seed}"), len(languages)
    first = [place % k for place in rng.sample(range(problems), problems)]
    found: list[tuple[int, str]] = []
    wanted = count * (k if budget == "grow" else 1)
    for turn in range(-(-wanted // problems)):
        shift = turn if parallel else 0
        found += [(one, languages[(first[one] + shift) % k]) for one in rng.sample(range(problems), problems)]
    return found[:wanted]


def collate(rows: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Tensor]:
    """A batch [rows, length], the right answers [rows], and a seed for the sampling, the same in a resumed run."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.tensor([row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows])
    last = torch.tensor([len(row["input_ids"]) - 1 for row in rows])
    seed = torch.tensor([int(rng.integers(2**31))])
    return {"input_ids": ids, "last": last, "gold": torch.tensor([row["gold"] for row in rows]), "sampling_seed": seed}


def answer_log_probs(model: nn.Module, batch: Mapping[str, Tensor]) -> Float[Tensor, "rows vocabulary"]:
    """Log-probabilities of what follows each prompt; a causal model does not see the padding behind it."""
    states, _ = decode(model, input_ids=batch["input_ids"], use_cache=False)
    states = states[torch.arange(len(states), device=states.device), batch["last"]]
    return unwrapped(model).get_output_embeddings()(states).float().log_softmax(-1)


def policy_loss(model: nn.Module, batch: Mapping[str, Tensor], *, group: int, permuted: bool = False) -> Loss:
    """Equation 4 for answers of one token: a prompt is read once, and G = `group` answers are drawn from what follows.

    Answers are used once, so the ratio to the policy that drew them is 1, and its gradient is that of log pi: it is the
    one of :func:`core.training.policy.policy_loss` (a test compares them). `permuted` is the null arm: rewards are
    handed out at random within each group.
    """
    log_probs = answer_log_probs(model, batch)
    generator = torch.Generator().manual_seed(int(batch["sampling_seed"]))
    drawn = torch.multinomial(log_probs.detach().exp().cpu(), group, replacement=True, generator=generator)
    rewards = (drawn == batch["gold"].cpu()[:, None]).float()
    if permuted:
        rewards = rewards.gather(1, torch.rand(rewards.shape, generator=generator).argsort(1))
    advantages = group_advantages(rewards).to(log_probs.device)
    total = -(advantages * log_probs.gather(1, drawn.to(log_probs.device))).mean(1).sum()
    equal = (rewards.max(1).values == rewards.min(1).values).double().sum()
    return Loss(total, len(log_probs), {"reward": rewards.mean(1).double().sum(), "equal_groups": equal})


def supervised_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Loss:
    """Fine-tuning on the right answer, the other paradigm: cross-entropy of the same examples."""
    return Loss(-answer_log_probs(model, batch).gather(1, batch["gold"][:, None]).sum(), len(batch["gold"]))


def train(
    model: nn.Module, rows: Sequence[Mapping[str, Any]], settings: TrainingConfig, run: Run, *, paradigm: str,
    group: int = 8, permuted: bool = False, seed: int = 0, name: str = "train",
) -> FitResult:  # fmt: skip
    """Train on examples in their order, by reward ("grpo") or by the right answers ("sft")."""
    from core.training.fit import fit

    loss = partial(policy_loss, group=group, permuted=permuted) if paradigm == "grpo" else supervised_loss
    ordered = replace(settings, steps=max(1, len(rows) // settings.batch_size), shuffle=False)
    return fit(model, rows, ordered, run, loss_fn=loss, collate=collate, seed=seed, name=name)


@dataclass(frozen=True)
class Scaling:
    """The parallel scaling law of one quantity (equation 5) and how it fares.

    Attributes:
        law: f; `a` is alpha and `b` beta.
        observed: y by k, k = 1 included if it was measured.
        left_out: Largest error, over the points k >= 2, of the law through the others; NaN with fewer than three.
        logarithmic: R^2 of y = u + v ln k, which grows as smoothly.
    """

    law: Law
    observed: dict[int, float]
    left_out: float
    logarithmic: float

    @property
    def leap(self) -> float:
        """y(2) - y(1)."""
        return self.observed[2] - self.observed[1] if {1, 2} <= self.observed.keys() else math.nan

    @property
    def later(self) -> float:
        """The mean step per language that is added after the second."""
        most = max(self.observed)
        return (self.observed[most] - self.observed[2]) / (most - 2) if 2 in self.observed and most > 2 else math.nan

    @property
    def gap(self) -> float:
        """What the law says of one language, less what one language does."""
        return self.law.a - self.observed[1] if 1 in self.observed else math.nan

    def predict(self, k: float) -> float:
        """The law's value at k."""
        return self.law(k)


def fit_scaling(ks: Sequence[int], ys: Sequence[float]) -> Scaling:
    """Fit the law on k >= 2.

    Raises:
        UserError: fewer than two different k >= 2, a k twice, or a value there that is not positive.
    """
    observed = dict(sorted(zip(ks, ys, strict=True)))
    x, y = [k for k in observed if k >= 2], [value for k, value in observed.items() if k >= 2]
    if len(x) < 2 or len(observed) < len(ks) or min(y) <= 0:
        raise UserError("The law needs positive values at two or more different k >= 2, and each k once.")
    left_out = max(map(abs, left_out_errors(fit_power, x, y))) if len(x) > 2 else math.nan
    logarithmic = correlation([math.log(k) for k in x], y) ** 2 if len({*y}) > 1 else 1.0
    return Scaling(fit_power(x, y), observed, left_out, logarithmic)
