"""What a mixture will read, before anyone pays for it: tokens, utilisation and repetition of every source.

plan = Plan({"english": {"en": 9e9}, "new": {"sw": 4e8, "yo": 6e7}}, [{"en": 1.2e9, "sw": 4e8, "yo": 4e8}])
plan.warnings                     # ["yo is repeated 6.7 times: ..."]
print(plan.table())
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# A source that is repeated more often than this teaches little more (Muennighoff et al. 2023); the plan warns.
EPOCHS_WARNING = 4.0


@dataclass(frozen=True)
class Use:
    """What a source gives to all stages together.

    Attributes:
        category: Of the source.
        source: Its name.
        available: Tokens that there are.
        tokens: Tokens that are trained on.
    """

    category: str
    source: str
    available: float
    tokens: float

    @property
    def epochs(self) -> float:
        """Passes over the source."""
        return self.tokens / self.available if self.available else 0.0

    @property
    def utilisation(self) -> float:
        """Share of the source that is seen at least once, in [0, 1]."""
        return min(1.0, self.epochs)


@dataclass(frozen=True)
class Plan:
    """The budgets of a mixture as tables.

    Attributes:
        categories: `{category: {source: tokens that there are}}`.
        stages: For each stage the tokens of its sources.
        notes: Said of each stage in the table, such as its learning rate.
        estimated: Sources whose size is a guess; the table marks them and what follows from them.
        unit: What sizes and budgets are counted in.
    """

    categories: Mapping[str, Mapping[str, float]]
    stages: Sequence[Mapping[str, float]]
    notes: Sequence[str] = ()
    estimated: Collection[str] = ()
    unit: str = "tokens"

    @property
    def uses(self) -> list[Use]:
        """Use of each source over all stages."""
        return [
            Use(category, name, available, math.fsum(stage.get(name, 0.0) for stage in self.stages))
            for category, sources in self.categories.items()
            for name, available in sources.items()
        ]

    @property
    def by_category(self) -> dict[str, float]:
        """Tokens of each category over all stages."""
        found = dict.fromkeys(self.categories, 0.0)
        for use in self.uses:
            found[use.category] += use.tokens
        return found

    @property
    def warnings(self) -> list[str]:
        """Sources that repeat more than four times."""
        return [
            f"{use.source} is repeated {use.epochs:.1f} times: lower the share of {use.category!r} or the budget."
            for use in self.uses
            if use.epochs > EPOCHS_WARNING
        ]

    def table(self) -> str:
        """Tokens by stage, utilisation and epochs of each source, shares of each stage, and the warnings."""
        width = max(8, *(len(use.source) for use in self.uses))
        heads = [*(f"stage {n}" for n in range(1, len(self.stages) + 1)), "used", "there are", "utilised", "epochs"]
        lines = [f"{'source':{width}s}  {'category':12s}" + "".join(f"{head:>11s}" for head in heads)]
        for use in self.uses:
            guess = "~" if use.source in self.estimated else ""
            known = (amount_text(use.available), f"{use.utilisation:.1%}", f"{use.epochs:.2f}")
            cells = [amount_text(stage.get(use.source, 0.0)) for stage in self.stages] + [amount_text(use.tokens)]
            cells += [guess + text for text in known]
            lines.append(f"{use.source:{width}s}  {use.category:12.12s}" + "".join(f"{cell:>11s}" for cell in cells))
        lines.append("")
        for number, stage in enumerate(self.stages, start=1):
            read = Plan(self.categories, [stage]).by_category
            note = f" {self.notes[number - 1]}" if any(self.notes) else ""
            lines.append(
                f"stage {number}: {amount_text(math.fsum(read.values()))} {self.unit}{note}: {shares_text(read)}"
            )
        if self.estimated:
            lines.append("~ a guess: the size of this source is not known; its share does not depend on it.")
        return "\n".join([*lines, *(f"! {warning}" for warning in self.warnings)])


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
