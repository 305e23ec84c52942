"""Marco-LLM: continue a model on many languages in stages, each a mixture in shares of tokens.

Stage k has a budget of B_k tokens, a largest learning rate eta_k, and a share s_k(c) for each category c of sources
(English, other high-resource languages, low-resource languages, parallel text, ...). Within a category every language
gets the same, however much text there is of it:

    u_k(i) = B_k s_k(c) / |c|                 tokens of source i of category c in stage k                           (1)
    next   = argmin_i  (tokens of i so far in the stage) / u_k(i)                                                   (2)
    rate   = eta_k f(step within stage k)     warm-up and decay anew in each stage; weights and optimiser go on     (3)
    L      = - sum_t log p(x_t | x_<t)        over all tokens, of translation pairs too                             (4)

The first stage has much replay of what the model is good at; the second, at a lower rate, moves weight to low-resource
languages and parallel text. `bitext.py` writes translation pairs out as text.

    rows = [{"input_ids": ids} for _, _, ids in sample(mixture, documents)]
    continue_pretraining(model, rows, mixture, settings, run)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from core.corpora.budget import Plan
from core.corpora.mixture import Documents, Mixture
from core.errors import UserError

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

T = TypeVar("T", bound=Sized)
Categories = Mapping[str, Mapping[str, float]]
Shares = Mapping[str, float]


@dataclass(frozen=True)
class StagedMixture:
    """The whole recipe.

    Attributes:
        categories: `{category: {source: tokens that there are}}`, a source a language; names are unique.
        shares_per_stage: For each stage, the share of its tokens that each category gets; the shares sum to 1.
        tokens_per_stage: Budgets.
        lr_per_stage: Largest learning rates.
    """

    categories: Categories
    shares_per_stage: Sequence[Shares]
    tokens_per_stage: Sequence[float]
    lr_per_stage: Sequence[float]

    def __post_init__(self) -> None:
        """Refuse stages that do not fit together."""
        if not len(self.shares_per_stage) == len(self.tokens_per_stage) == len(self.lr_per_stage) > 0:
            raise UserError("A mixture needs as many shares as token budgets and learning rates, one of each a stage.")
        if wrong := [budget for budget in self.tokens_per_stage if not 0 < budget < math.inf]:
            raise UserError(f"A stage of {wrong[0]} tokens: give each stage a positive budget.")
        names = [name for sources in self.categories.values() for name in sources]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"Two sources are called {twice[0]!r}: give every source its own name.")
        for number, shares in enumerate(self.shares_per_stage, start=1):
            check_shares(shares, f"stage {number}")
            for category in (category for category, share in shares.items() if share > 0):
                sources = self.categories.get(category, {})
                if not sources:
                    raise UserError(
                        f"Stage {number} wants {shares[category]:.0%} of {category!r}, which has no sources: add some, "
                        f"or give its share to one of {', '.join(self.categories)}."
                    )
                if empty := [name for name, tokens in sources.items() if not 0 < tokens < math.inf]:
                    raise UserError(f"The source {empty[0]!r} of {category!r} has no text: leave it out.")

    @property
    def budgets(self) -> list[dict[str, float]]:
        """For each stage the tokens of each source, those without any left out."""
        stages = zip(self.shares_per_stage, self.tokens_per_stage, strict=True)
        return [allocate(self.categories, shares, tokens) for shares, tokens in stages]

    def plan(self, estimated: Collection[str] = (), unit: str = "tokens") -> Plan:
        """What it will read, as tables; sources of a guessed size are marked."""
        notes = [f"at a learning rate of at most {rate:g}" if rate else "" for rate in self.lr_per_stage]
        return Plan(self.categories, self.budgets, notes, estimated, unit)

    def in_one_stage(self) -> StagedMixture:
        """The same tokens in one stage: shares and rate are those of the stages, averaged by their budgets."""
        total, rate, average = math.fsum(self.tokens_per_stage), 0.0, dict[str, float]()
        stages = zip(self.shares_per_stage, self.tokens_per_stage, self.lr_per_stage, strict=True)
        for shares, tokens, largest in stages:
            rate += largest * tokens / total
            for category, share in shares.items():
                average[category] = average.get(category, 0.0) + share * tokens / total
        return StagedMixture(self.categories, [average], [total], [rate])


def check_shares(shares: Shares, where: str) -> None:
    """Refuse shares that are negative or do not sum to 1."""
    whole = math.fsum(shares.values())
    if any(share < 0 for share in shares.values()) or not math.isclose(whole, 1, abs_tol=1e-6):
        raise UserError(f"The shares of {where} sum to {whole:g}: give numbers that are not negative and sum to 1.")


def allocate(categories: Categories, shares: Shares, budget: float) -> dict[str, float]:
    """Tokens of each source in one stage (equation 1)."""
    return {
        source: budget * share / len(categories[category])
        for category, share in shares.items()
        if share > 0
        for source in categories[category]
    }


def sample(mixture: StagedMixture, documents: Mapping[str, Documents[T]], *, seed: int = 0) -> Mixture[T]:
    """(stage from 1, source, document) of all stages in the order in which a model reads them (equation 2).

    Shares are shares of *tokens*, which every beginning of a stage has, up to a document a source. A later stage goes
    on in a source's order where the earlier one stopped, so that nothing is repeated before all is seen.
    """
    return Mixture(documents, mixture.budgets, seed=seed)


def staged_rate(mixture: StagedMixture, settings: TrainingConfig) -> Callable[[int, int], float]:
    """(step, steps in all) -> learning rate (equation 3): the settings' warm-up and decay anew below each stage's eta.

    The stages take the steps in the proportion of their tokens.
    """
    from core.training.optimization import learning_rate

    whole = math.fsum(mixture.tokens_per_stage)
    ends = [tokens / whole for tokens in itertools.accumulate(mixture.tokens_per_stage)]
    stages = [replace(settings, learning_rate=rate) for rate in mixture.lr_per_stage]

    def rate(step: int, total: int) -> float:
        borders = [0, *(round(total * end) for end in ends)]
        now = next(stage for stage in range(len(ends)) if step < borders[stage + 1])
        return learning_rate(step - borders[now], borders[now + 1] - borders[now], stages[now])

    return rate


def continue_pretraining(
    model: Any, rows: Any, mixture: StagedMixture, settings: TrainingConfig, run: Run, seed: int = 0
) -> FitResult:
    """Train on the rows of all stages in the order of :func:`sample`, each stage from where the last one ended."""
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss

    settings, rate = replace(settings, steps=0, epochs=1, shuffle=False), staged_rate(mixture, settings)
    return fit(model, rows, settings, run, loss_fn=causal_lm_loss, rate=rate, seed=seed, name="stages")
