"""Code-mixed variants of a test by rule: words of a lexicon replaced up to a rate, and the rate that came out.

    mixer = Mixer({"currency": "moneda", "Germany": "Alemania"}, rate=0.5)
    mixer("The currency of Germany is the Euro.")       # Mixed("The moneda of Germany is ...", 0.17, 2)

A rate is the share of a mixed text's words that are of the other language. What a lexicon lacks cannot be replaced, and
phrases are replaced whole, so the rate that comes out is not the one that was asked for: it stands beside every text.
Nobody speaks so. Real code-mixing follows both grammars; this probes how a grader takes words of another language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from core.errors import UserError
from core.text.codeswitch import CodeSwitcher, Unit, replace_units


class Mixed(NamedTuple):
    """A text in two languages."""

    text: str
    rate: float
    """Share of its words that are of the other language, in [0, 1]."""
    reachable: float
    """The same if all that the lexicon knows were replaced."""


@dataclass(frozen=True)
class Mixer:
    """Mixes texts; the same text is always mixed alike, and a higher rate replaces what a lower one does, and more.

    Attributes:
        lexicon: Words or phrases of the texts' language, each with one or more translations.
        rate: What is aimed at, in [0, 1]; it is passed by no more than half a unit.
        seed: Of the order in which units are replaced, and of the choice among translations.
    """

    lexicon: Mapping[str, str | Sequence[str]]
    rate: float = 0.5
    seed: int = 0
    switcher: CodeSwitcher = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the lexicon.

        Raises:
            UserError: The rate is no share, or the lexicon is empty.
        """
        if not 0 <= self.rate <= 1:
            raise UserError(f"rate = {self.rate} is no share of words: give a number from 0 to 1.")
        if not self.lexicon:
            raise UserError("The lexicon is empty: give words with their translations.")
        object.__setattr__(self, "switcher", CodeSwitcher(self.lexicon))

    def __call__(self, text: str) -> Mixed:
        """The text with units in the other language, in random order until another would go past the rate."""
        rng = Random(f"{self.seed}/{text}")
        units = self.switcher.units(text, rng)
        order, chosen = rng.sample(units, len(units)), list[Unit]()
        for unit in order:
            now, then = (_rate(text, sorted(found)) for found in (chosen, [*chosen, unit]))
            if abs(then - self.rate) > abs(now - self.rate) or now >= self.rate:
                break
            chosen.append(unit)
        chosen.sort()
        return Mixed(replace_units(text, chosen), _rate(text, chosen), _rate(text, units))


def _rate(text: str, units: Sequence[Unit]) -> float:
    foreign = sum(len(unit.translation.split()) for unit in units)
    own = len(text.split()) - sum(unit.end - unit.start for unit in units)
    return foreign / max(1, foreign + own)
