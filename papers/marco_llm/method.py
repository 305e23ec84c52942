"""Marco-LLM's data recipe: how many tokens of which source in which stage.

A stage k has a budget B_k, a maximum learning rate, and a share for each category of sources (English, other
high-resource languages, low-resource languages, parallel text, ...). The tokens that source i of language l and
category c gives to the stage are

    u_k(i) = B_k * s_k(c) * w(l | c) * v(i | l),      w(l | c) ~ n_l^(1/T),      v(i | l) ~ q_i n_i

with n the tokens that there are, T the temperature over the languages of a category (the paper's languages get equal
shares: T is infinite, the default) and q_i the quality of the tier that source i belongs to. No source is repeated more
often than an epoch cap allows; what it cannot give goes to its neighbours in the same language, then the same category.

    mixture = StagedMixture(
        categories={"english": {"en": 9e9}, "new": {"sw": 4e8, "yo": 6e7}},
        shares_per_stage=[{"english": 0.8, "new": 0.2}, {"english": 0.6, "new": 0.4}],
        tokens_per_stage=[2e9, 1e9],
        lr_per_stage=[1e-5, 6e-6],
    )
    print(mixture.plan(max_epochs=4).table())

`sampler.py` turns the plan into a stream of documents, `templates.py` bitext into text, and `recipe.py` has the paper's
own numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import UserError
from core.text.sampling import probabilities

# A source that is repeated more often than this teaches little more (Muennighoff et al. 2023); the plan warns.
EPOCHS_WARNING = 4.0


# --- sources and mixtures -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """One body of text.

    Attributes:
        name: Unique name.
        tokens: Tokens that there are.
        language: The languages of a category share its tokens by temperature; empty = the name.
        quality: Weight of the tier among the sources of the same language: 2 is drawn twice as often, token by token,
            as 1.
    """

    name: str
    tokens: float
    language: str = ""
    quality: float = 1.0

    def __post_init__(self) -> None:
        """Refuse sizes and weights that no source has."""
        if not 0 <= self.tokens < math.inf or not 0 <= self.quality < math.inf:
            raise UserError(f"Source {self.name!r}: tokens and quality must be finite and not negative.")


Categories = Mapping[str, Mapping[str, float] | Sequence[Source]]
Shares = Mapping[str, float]


def sources_of(categories: Categories) -> dict[str, tuple[Source, ...]]:
    """The sources of each category; `{language: tokens}` is short for one source a language.

    Raises:
        UserError: Two sources have one name, or a category has none.
    """
    found: dict[str, tuple[Source, ...]] = {}
    names: set[str] = set()
    for category, given in categories.items():
        if isinstance(given, Mapping):
            found[category] = tuple(Source(name, tokens) for name, tokens in given.items())
        else:
            found[category] = tuple(given)
        for source in found[category]:
            if source.name in names:
                raise UserError(f"Two sources are called {source.name!r}: give every source its own name.")
            names.add(source.name)
        if not found[category]:
            raise UserError(f"Category {category!r} has no sources: add some or leave it out.")
    return found


def by_language(sources: Iterable[Source]) -> dict[str, list[Source]]:
    """The tiers of each language."""
    found: dict[str, list[Source]] = {}
    for source in sources:
        found.setdefault(source.language or source.name, []).append(source)
    return found


@dataclass(frozen=True)
class StagedMixture:
    """The whole recipe.

    Attributes:
        categories: Sources by category: `{language: tokens}` or a sequence of :class:`Source`.
        shares_per_stage: For each stage, the share of its tokens that each category gets; the shares sum to 1.
        tokens_per_stage: Budgets.
        lr_per_stage: Maximum learning rates.
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
        for number, shares in enumerate(self.shares_per_stage, start=1):
            check_shares(shares, f"stage {number}")
            for category, share in shares.items():
                if share > 0 and category not in self.categories:
                    raise UserError(
                        f"Stage {number} wants {share:.0%} of {category!r}, which has no sources: add some, or give "
                        f"its share to one of {', '.join(self.categories)}."
                    )

    def plan(self, *, temperature: float | None = None, max_epochs: float | None = None) -> Plan:
        """How many tokens each source gives to each stage. See :func:`allocate` for the arguments."""
        used: dict[str, float] = {}
        stages = []
        for number, shares in enumerate(self.shares_per_stage):
            budget, rate = self.tokens_per_stage[number], self.lr_per_stage[number]
            uses = allocate(self.categories, shares, budget, temperature=temperature, max_epochs=max_epochs, used=used)
            used = {use.source.name: used.get(use.source.name, 0.0) + use.tokens for use in uses}
            stages.append(StagePlan(budget, rate, dict(shares), uses))
        return Plan(tuple(stages))


def check_shares(shares: Shares, where: str) -> None:
    """Refuse shares that are negative or do not sum to 1."""
    whole = math.fsum(shares.values())
    if any(share < 0 for share in shares.values()) or not math.isclose(whole, 1, abs_tol=1e-6):
        raise UserError(f"The shares of {where} sum to {whole:g}: give numbers that are not negative and sum to 1.")


def average_shares(shares_per_stage: Sequence[Shares], tokens_per_stage: Sequence[float]) -> dict[str, float]:
    """The token-weighted average mixture: what one stage needs to see the same tokens as all stages together."""
    average: dict[str, float] = {}
    for shares, tokens in zip(shares_per_stage, tokens_per_stage, strict=True):
        for category, share in shares.items():
            average[category] = average.get(category, 0.0) + share * tokens / math.fsum(tokens_per_stage)
    return average


def with_fraction(shares: Shares, categories: Iterable[str], fraction: float) -> dict[str, float]:
    """The shares with `categories` scaled to `fraction` in all, and the others to the rest.

    With the categories of English and Chinese and their fraction this is the amount of replay; with `parallel` and 0 it
    is the mixture without parallel text.

    Raises:
        UserError: One of the two groups has no share that could be scaled.
    """
    chosen = {category for category in categories if shares.get(category, 0) > 0}
    inside = math.fsum(shares[category] for category in chosen)
    outside = math.fsum(share for category, share in shares.items() if category not in chosen)
    if (fraction > 0 and inside == 0) or (fraction < 1 and outside == 0):
        raise UserError(f"{fraction:.0%} for {', '.join(categories)}: there is nothing to scale to it or to the rest.")
    scales = {True: fraction / inside if inside else 0.0, False: (1 - fraction) / outside if outside else 0.0}
    return {category: share * scales[category in chosen] for category, share in shares.items()}


def uniform_shares(categories: Categories, keep: Shares | None = None) -> dict[str, float]:
    """Every language the same share, so a category's grows with its languages; `keep` fixes the shares of some."""
    kept = {category: share for category, share in (keep or {}).items() if category in categories}
    counts = {name: len(by_language(sources)) for name, sources in sources_of(categories).items() if name not in kept}
    each = (1 - math.fsum(kept.values())) / max(1, sum(counts.values()))
    return {category: kept[category] if category in kept else each * counts[category] for category in categories}


# --- from shares to tokens ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Use:
    """What a source gives to a stage, or to all of them.

    Attributes:
        category: Of the source.
        source: The source.
        tokens: Tokens that are trained on.
    """

    category: str
    source: Source
    tokens: float

    @property
    def epochs(self) -> float:
        """Passes over the source."""
        return self.tokens / self.source.tokens if self.source.tokens else 0.0

    @property
    def utilisation(self) -> float:
        """Share of the source that is seen at least once, in [0, 1]."""
        return min(1.0, self.epochs)


@dataclass(frozen=True)
class StagePlan:
    """One stage in tokens.

    Attributes:
        budget: Tokens asked for.
        learning_rate: Its maximum.
        shares: Share asked for of each category.
        uses: What each source gives.
    """

    budget: float
    learning_rate: float
    shares: Shares
    uses: tuple[Use, ...]


def tokens_by_category(uses: Iterable[Use]) -> dict[str, float]:
    """Tokens that are used of each category."""
    found: dict[str, float] = {}
    for use in uses:
        found[use.category] = found.get(use.category, 0.0) + use.tokens
    return found


def allocate(
    categories: Categories,
    shares: Shares,
    budget: float,
    *,
    temperature: float | None = None,
    max_epochs: float | None = None,
    used: Mapping[str, float] | None = None,
) -> tuple[Use, ...]:
    """Divide the budget of one stage among the sources (the equation of this module).

    Args:
        categories: Sources by category.
        shares: Share of each category; they are met exactly unless the cap forbids it.
        budget: Tokens.
        temperature: T over the languages of a category; None = infinite, equal shares, as in the paper.
        max_epochs: No source is seen more often, all stages together; None = no cap, as in the paper.
        used: Tokens that earlier stages have taken of each source.

    Returns:
        One `Use` a source. They sum to the budget, or to less where a whole category has reached its cap: a category's
        share is never filled up from another category.
    """
    check_shares(shares, "the mixture")
    cap = math.inf if max_epochs is None else max_epochs
    flatness = math.inf if temperature is None else temperature
    uses: list[Use] = []
    for category, sources in sources_of(categories).items():
        weights = {s.name: s.quality * s.tokens for s in sources}
        # An unlimited number of passes over nothing is still nothing.
        room = {
            s.name: max(0.0, cap * s.tokens - (used or {}).get(s.name, 0.0)) if weights[s.name] else 0.0
            for s in sources
        }
        languages = by_language(sources)
        sizes = {
            language: math.fsum(s.tokens for s in tiers if weights[s.name]) for language, tiers in languages.items()
        }
        given = divide(
            budget * shares.get(category, 0.0),
            probabilities(sizes, temperature=flatness) if any(sizes.values()) else {},
            {language: math.fsum(room[s.name] for s in tiers) for language, tiers in languages.items()},
        )
        for language, tiers in languages.items():
            parts = divide(given.get(language, 0.0), {s.name: weights[s.name] for s in tiers}, room)
            uses += [Use(category, source, parts.get(source.name, 0.0)) for source in tiers]
    return tuple(uses)


def divide(amount: float, weights: Mapping[str, float], caps: Mapping[str, float]) -> dict[str, float]:
    """Divide an amount in proportion to weights; what a cap holds back goes to the others, in proportion again.

    Returns:
        Parts that sum to the amount, or to the caps of all that have a weight where that is less.
    """
    parts = dict.fromkeys(weights, 0.0)
    free = [key for key, weight in weights.items() if weight > 0]
    left = amount
    while free and left > 0:
        weight = math.fsum(weights[key] for key in free)
        full = [key for key in free if left * weights[key] / weight >= caps[key]]
        if not full:
            return parts | {key: left * weights[key] / weight for key in free}
        parts |= {key: caps[key] for key in full}
        left -= math.fsum(caps[key] for key in full)
        free = [key for key in free if key not in full]
    return parts


@dataclass(frozen=True)
class Plan:
    """What a mixture will read, before anyone pays for it."""

    stages: tuple[StagePlan, ...]

    @property
    def totals(self) -> tuple[Use, ...]:
        """Use of each source over all stages."""
        return tuple(
            Use(uses[0].category, uses[0].source, math.fsum(use.tokens for use in uses))
            for uses in zip(*(stage.uses for stage in self.stages), strict=True)
        )

    @property
    def by_category(self) -> dict[str, float]:
        """Tokens of each category over all stages."""
        return tokens_by_category(self.totals)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sources that repeat more than four times, and stages that the epoch cap leaves short."""
        found = [
            f"{use.source.name} is repeated {use.epochs:.1f} times: lower the share of {use.category!r} or the budget."
            for use in self.totals
            if use.epochs > EPOCHS_WARNING
        ]
        for number, stage in enumerate(self.stages, start=1):
            for category, tokens in tokens_by_category(stage.uses).items():
                missing = stage.budget * stage.shares.get(category, 0.0) - tokens
                if missing > 1e-6 * stage.budget:
                    found.append(
                        f"Stage {number} lacks {amount_text(missing)} tokens of {category!r}: its sources are at their "
                        "epoch cap."
                    )
        return tuple(found)

    def table(self) -> str:
        """Tokens, utilisation and epochs of each source, tokens by stage, and the warnings, as plain text."""
        stages = range(1, len(self.stages) + 1)
        width = max(len(use.source.name) for use in self.totals)
        heads = [*(f"stage {number}" for number in stages), "used", "there are", "utilised", "epochs"]
        lines = [f"{'source':{width}s}  {'category':12s}" + "".join(f"{head:>11s}" for head in heads)]
        for use, *parts in zip(self.totals, *(stage.uses for stage in self.stages), strict=True):
            cells = [*(amount_text(part.tokens) for part in parts), amount_text(use.tokens)]
            cells += [amount_text(use.source.tokens), f"{use.utilisation:.1%}", f"{use.epochs:.2f}"]
            lines.append(
                f"{use.source.name:{width}s}  {use.category:12.12s}" + "".join(f"{cell:>11s}" for cell in cells)
            )
        lines.append("")
        for number, stage in enumerate(self.stages, start=1):
            read = tokens_by_category(stage.uses)
            rate = f" at a learning rate of at most {stage.learning_rate:g}" if stage.learning_rate else ""
            lines.append(f"stage {number}: {amount_text(math.fsum(read.values()))} tokens{rate}: {shares_text(read)}")
        return "\n".join([*lines, *(f"! {warning}" for warning in self.warnings)])


def plan(
    available_tokens: Categories,
    shares: Shares,
    budget: float,
    *,
    temperature: float | None = None,
    max_epochs: float | None = None,
) -> Plan:
    """The plan of a single stage: used tokens, utilisation and epochs of every source."""
    mixture = StagedMixture(available_tokens, [shares], [budget], [0.0])
    return mixture.plan(temperature=temperature, max_epochs=max_epochs)


def amount_text(tokens: float) -> str:
    """`90.4B`, `1.9B`, `412K`."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if tokens >= size:
            return f"{tokens / size:.1f}{unit}"
    return f"{tokens:.0f}"


def shares_text(tokens: Mapping[str, float]) -> str:
    """`english 80.0%, low 20.0%`, without what has no tokens."""
    whole = math.fsum(tokens.values())
    return ", ".join(f"{name} {amount / whole:.1%}" for name, amount in tokens.items() if amount)
