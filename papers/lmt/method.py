"""LMT: train a many-way translator on multi-way data without ruining the way back into the pivot.

A multi-way corpus says each sentence s_i in every language. Used in both directions around pivots P (English,
Chinese), it has one English target for dozens of sources: the model can lower its loss by recalling s_i^en instead of
reading, and X -> en falls below the untuned model ("directional degeneration"). Two remedies:

    Strategic Downsampling   D = {(s_i^q -> s_i^l)}  and  each (s_i^l -> s_i^q) with probability p = 0.05      (1)
    Parallel Multilingual    half of D shows the sentence in an auxiliary language too:
    Prompting                minimise  - log P(T | S, A)  next to  - log P(T | S)                              (2)

    examples = build_sft(items, ("en",), ("de", "nl", "fi"), retention_p=0.05, pmp_fraction=0.5)
    target_repetition(examples)["en"].mean        # how many different sources an English target answers
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from core.inference.chat import turn_end
from core.models.tokenization import IGNORED, pair_ids
from core.tasks.translation import Segment
from papers.lmt.prompts import PIVOTS, Example, auxiliary_for, model_input, reads_tags

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

Item = Mapping[str, Any]
RISKY = 10  # distinct sources of one target sentence above which X -> pivot is at risk


# --- strategic downsampling -----------------------------------------------------------------------------------------


def downsample(
    items: Sequence[Item], languages: Iterable[str], pivots: Sequence[str] = PIVOTS, p: float = 0.05, seed: int = 0
) -> Iterator[tuple[Item, str, str]]:
    """Equation (1): every pair out of a pivot, and each pair back into it with probability p; (item, source, target).

    One coin per item *and* language: dropping whole items would leave the others with all their repetition. Between two
    pivots both directions are kept.
    """
    pairs = pivot_pairs(languages, pivots)
    for item in items:
        for pivot, code in pairs:
            if item.get(pivot) and item.get(code):
                yield item, pivot, code
                if code in pivots or coin(seed, "keep", item["key"], code, pivot) < p:
                    yield item, code, pivot


def pivot_pairs(languages: Iterable[str], pivots: Sequence[str] = PIVOTS) -> list[tuple[str, str]]:
    """All (pivot, language) pairs, each unordered pair once: 59 + 58 = 117 for the paper's 60 languages."""
    codes = list(dict.fromkeys([*pivots, *languages]))
    return [(pivot, code) for rank, pivot in enumerate(pivots) for code in codes if code not in pivots[: rank + 1]]


def coin(seed: int, *parts: str) -> float:
    """A number in [0, 1) of seed and parts alone: sets of growing p are nested, a new language changes no other."""
    digest = hashlib.blake2b("\0".join([str(seed), *parts]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class Repetition(NamedTuple):
    """Distinct target sentences of a language, and how many different sources they have."""

    targets: int
    mean: float
    maximum: int


def target_repetition(examples: Iterable[Segment]) -> dict[str, Repetition]:
    """By target language, the most repeated first: the cause of directional degeneration (Section 2.1)."""
    sources: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
    for example in examples:
        sources[example.target][example.target_text].add((example.source, example.source_text))
    counts = {code: [len(found) for found in texts.values()] for code, texts in sources.items()}
    found = {code: Repetition(len(sizes), fmean(sizes), max(sizes)) for code, sizes in counts.items()}
    return dict(sorted(found.items(), key=lambda entry: (-entry[1].mean, entry[0])))


# --- parallel multilingual prompting --------------------------------------------------------------------------------


def render(
    item: Item, source: str, target: str, pivots: Sequence[str], auxiliaries: Mapping[str, str], share: float, seed: int
) -> Example:
    """A pair as an example: with probability `share` the auxiliary sentence stands beside the source."""
    auxiliary = auxiliary_for(source, target, pivots, auxiliaries)
    text = item.get(auxiliary) if auxiliary else None
    if not text or coin(seed, "format", item["key"], source, target) >= share:
        auxiliary = text = None
    return Example(item["key"], source, target, item[source], item[target], auxiliary, text)


# --- training -------------------------------------------------------------------------------------------------------


def training_rows(tokenizer: Any, examples: Sequence[Example]) -> list[dict[str, list[int]]]:
    """Token rows of equation (2): the loss is on the target sentence, and what ends it, alone.

    The prompt is rendered as in inference: templates of thinking models put an empty thought before an answer that they
    render themselves, and the released checkpoints are not asked for one.
    """
    ending = str(tokenizer.eos_token) if reads_tags(tokenizer) else turn_end(tokenizer)
    prompts = [model_input(tokenizer, example) for example in examples]
    pairs = pair_ids(tokenizer, prompts, [example.target_text + ending for example in examples])
    return [{"input_ids": [*p, *t], "labels": [IGNORED] * len(p) + [*t]} for p, t in pairs]


def tune(
    model: Any, rows: Sequence[Any], settings: TrainingConfig, run: Run, seed: int, name: str = "sft"
) -> FitResult:
    """Minimise the cross-entropy of the label tokens: one stage, the same for every arm."""
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss

    return fit(model, rows, settings, run, loss_fn=causal_lm_loss, seed=seed, name=name)
