"""LMT: train a many-way translator on multi-way data without ruining the way back into the pivot.

A multi-way corpus says each sentence s_i in every language. Used in both directions around pivots P (English,
Chinese), it has one English target for dozens of sources: the model can lower its loss by recalling s_i^en instead of
reading, and X -> en falls below the untuned model ("directional degeneration"). Two remedies:

    Strategic Downsampling   D = {(s_i^q -> s_i^l)}  and  each (s_i^l -> s_i^q) with probability p = 0.05      (1)
    Parallel Multilingual    half of D shows the sentence in an auxiliary language too:
    Prompting                maximise  log P(T | S, A)  next to  log P(T | S)                                  (2)

    from papers.lmt import build_sft, target_repetition
    examples = build_sft(items, pivots=("en",), languages=("de", "nl", "fi"), retention_p=0.05, pmp_fraction=0.5)
    target_repetition(examples)["*-en"].mean        # how many different sources an English target answers

How the trained model translates is in `inference.py`, the stages before and after fine-tuning in `stages.py`.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import UserError
from core.tasks.translation import Segment
from papers.lmt.languages import AUXILIARY, PIVOTS, language_name

Style = Literal["release", "paper", "tags"]
REPETITION_WARNING = 10  # distinct sources of one target sentence above which X -> pivot is at risk


# ------------------------------------------------------------------------------------------------------ prompts


def translation_prompt(
    text: str,
    source: str,
    target: str,
    *,
    auxiliary: str | None = None,
    auxiliary_text: str | None = None,
    style: Style = "release",
) -> str:
    """The standard prompt (STP), or with an auxiliary sentence the parallel multilingual prompt (PMP); Figure 4.

    Args:
        text: The sentence to translate.
        source: Code of its language.
        target: Code of the language to translate into.
        auxiliary: Code of the language of `auxiliary_text`.
        auxiliary_text: The same sentence in a third language.
        style: `release` is the wording of the released code and checkpoints, `paper` that of Figure 4. `tags` is
            for models without instructions: `<de>text<nl>auxiliary text<en>`.

    Returns:
        The prompt up to where the translation begins, without trailing space.

    Raises:
        UserError: If only one of language and text of the auxiliary sentence is given.
    """
    if (auxiliary is None) != (auxiliary_text is None):
        raise UserError("A parallel prompt needs both the auxiliary language and its text: give both or neither.")
    if style == "tags":
        return f"<{source}>{text}" + (f"<{auxiliary}>{auxiliary_text}" if auxiliary else "") + f"<{target}>"
    names = [language_name(code) for code in (source, auxiliary, target) if code is not None]
    wanted = " and ".join(names[1:])
    if style == "release":
        header = f"Translate the following text from {names[0]} into {wanted}:"
    else:
        header = f"Translate this from {names[0]} to {wanted}:"
    given = [text, auxiliary_text] if auxiliary_text is not None else [text]
    lines = [f"{name}: {sentence}" for name, sentence in zip(names, given, strict=False)]
    return "\n".join([header, *lines, f"{names[-1]}:"])


# -------------------------------------------------------------- strategic downsampling and parallel multilingual SFT


@dataclass(frozen=True)
class Example(Segment):
    """One translation pair of the fine-tuning set; with an auxiliary sentence it is shown as PMP, otherwise as STP."""

    auxiliary: str | None = None
    auxiliary_text: str | None = None

    def prompt(self, style: Style = "release") -> str:
        """The prompt of this example; the loss is on `target_text` alone."""
        return translation_prompt(
            self.source_text,
            self.source,
            self.target,
            auxiliary=self.auxiliary,
            auxiliary_text=self.auxiliary_text,
            style=style,
        )


def pivot_pairs(languages: Iterable[str], pivots: Sequence[str] = PIVOTS) -> list[tuple[str, str]]:
    """All (pivot, language) pairs, each unordered pair once: 59 + 58 = 117 for the paper's 60 languages."""
    codes = list(dict.fromkeys([*pivots, *languages]))
    return [(pivot, code) for rank, pivot in enumerate(pivots) for code in codes if code not in pivots[: rank + 1]]


def auxiliary_for(
    source: str,
    target: str,
    pivots: Sequence[str] = PIVOTS,
    auxiliaries: Mapping[str, str] = AUXILIARY,
) -> str | None:
    """The auxiliary language of a direction: Table 12 for pairs with the first pivot, the first pivot for all others.

    Returns:
        None when the table has no entry (the direction is then trained with standard prompts only).
    """
    first = pivots[0]
    if first not in (source, target):
        return first
    found = auxiliaries.get(target if source == first else source)
    return found if found not in (source, target) else None


def build_sft(
    items: Sequence[Mapping[str, Any]],
    pivots: Sequence[str] = PIVOTS,
    languages: Sequence[str] | None = None,
    *,
    retention_p: float = 0.05,
    pmp_fraction: float = 0.5,
    auxiliaries: Mapping[str, str] = AUXILIARY,
    reverse_source: Literal["multiway", "disjoint"] = "multiway",
    fresh_items: Sequence[Mapping[str, Any]] = (),
    pairs: Sequence[Example] = (),
    sd_scope: Literal["multiway", "all"] = "multiway",
    seed: int = 0,
) -> list[Example]:
    """The fine-tuning set of equations (1) and (2) from a multi-way corpus (Sections 2 and 3).

    Every draw is a Bernoulli trial of its own, per item *and* language: dropping whole items would leave the others
    with all their repetition. It depends on seed, item and direction alone, so that the sets of growing `retention_p`
    are nested and a new language changes nothing for the others. Directions between two pivots are kept both ways.

    Args:
        items: The multi-way corpus, `{code: text}` with an optional `key`; a missing or empty text is skipped.
        pivots: Languages on one side of every pair; the first one is also the auxiliary of the others.
        languages: The other side; None takes every language of the first item.
        retention_p: Probability with which a reverse (X -> pivot) example is kept.
        pmp_fraction: Probability with which an example that has an auxiliary sentence shows it.
        auxiliaries: `{language: auxiliary language}` for pairs with the first pivot.
        reverse_source: `disjoint` replaces every kept reverse example by one from `fresh_items`, used once each, so
            that no target repeats (the control of Figure 3).
        fresh_items: Items that `disjoint` draws from.
        pairs: Further pairs that are not multi-way (news test sets).
        sd_scope: `all` downsamples the reverse directions of `pairs` too.
        seed: Seed of all draws.

    Returns:
        Examples, item by item, then `pairs`.

    Raises:
        UserError: A pivot or language that the corpus lacks, an empty corpus, too few fresh items.
    """
    if not items:
        raise UserError("The multi-way corpus is empty: give at least one item such as {'en': ..., 'de': ...}.")
    known = {code for item in items for code, text in item.items() if code not in ("key", "value") and text}
    chosen = [*languages] if languages is not None else sorted(known - set(pivots))
    if absent := [code for code in (*pivots, *chosen) if code not in known]:
        raise UserError(f"The corpus has no text in {absent[0]!r}: it has {', '.join(sorted(known))}.")

    def shown(item: Mapping[str, Any], key: str, source: str, target: str) -> Example:
        """The example with or without its auxiliary sentence."""
        auxiliary = auxiliary_for(source, target, pivots, auxiliaries)
        text = item.get(auxiliary) if auxiliary else None
        if not text or uniform(seed, "format", key, source, target) >= pmp_fraction:
            auxiliary = text = None
        return Example(key, source, target, item[source], item[target], auxiliary, text)

    unused = iter(fresh_items)
    examples: list[Example] = []
    for position, item in enumerate(items):
        key = str(item.get("key", position))
        for pivot, code in pivot_pairs(chosen, pivots):
            if not (item.get(pivot) and item.get(code)):
                continue
            examples.append(shown(item, key, pivot, code))
            if code in pivots:
                examples.append(shown(item, key, code, pivot))
            elif uniform(seed, "keep", key, code, pivot) < retention_p:
                origin = item if reverse_source == "multiway" else _fresh(unused, code, pivot)
                examples.append(shown(origin, str(origin.get("key", key)), code, pivot))
    for pair in pairs:
        reverse = pair.target in pivots and pair.source not in pivots
        draw = uniform(seed, "keep", pair.item, pair.source, pair.target)
        if sd_scope == "multiway" or not reverse or draw < retention_p:
            examples.append(pair)
    return examples


def _fresh(unused: Iterator[Mapping[str, Any]], code: str, pivot: str) -> Mapping[str, Any]:
    """The next item that no example has used and that has both languages."""
    for item in unused:
        if item.get(code) and item.get(pivot):
            return item
    raise UserError(
        "reverse_source='disjoint' needs one fresh item per reverse example and there are too few: give more "
        "fresh_items or lower retention_p."
    )


def uniform(seed: int, *parts: str) -> float:
    """A number in [0, 1) that depends on seed and parts alone."""
    digest = hashlib.blake2b("\0".join([str(seed), *parts]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True)
class Repetition:
    """How often the target sentences of one direction are answers in the whole set.

    Attributes:
        examples: Examples of the direction.
        targets: Distinct target sentences among them.
        mean: Distinct sources, in any language, per target sentence; the mean over targets.
        maximum: The same for the most repeated target.
        histogram: `{number of sources: number of targets}`.
    """

    examples: int
    targets: int
    mean: float
    maximum: int
    histogram: dict[int, int]

    @property
    def risky(self) -> bool:
        """Whether X -> pivot is at risk of directional degeneration."""
        return self.mean > REPETITION_WARNING


def target_repetition(examples: Iterable[Example]) -> dict[str, Repetition]:
    """How many distinct sources each target sentence has: the cause of directional degeneration (Section 2.1).

    Returns:
        `{"de-en": ..., "*-en": ...}`: one entry per direction and one per target language, the most repeated first.
    """
    sources: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    targets: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for example in examples:
        sources[example.target, example.target_text].add((example.source, example.source_text))
        for source in (example.source, "*"):
            targets[source, example.target][example.target_text] += 1
    found = {}
    for (source, target), texts in targets.items():
        counts = [len(sources[target, text]) for text in texts]
        histogram = dict(sorted(Counter(counts).items()))
        mean = sum(counts) / len(counts)
        found[f"{source}-{target}"] = Repetition(sum(texts.values()), len(texts), mean, max(counts), histogram)
    return dict(sorted(found.items(), key=lambda entry: (-entry[1].mean, entry[0])))
