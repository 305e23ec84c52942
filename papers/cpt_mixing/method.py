r"""What to mix into continued pre-training: one recipe, and data that differ in nothing but the mixture.

A mixture is a point of the paper's grid, text of one language a document or pairs of sentences, without program code or
with it; replay of English is our control. Of a budget of B tokens, with code at share c and replay at share r,

    u(i)  = B (1 - c - r) / n          tokens of each of the n languages i, c B of code, r B of English              (1)
    next  = argmin_i  (tokens of i so far) / u(i)        the source of the next document: shares are of tokens       (2)
    d_bi  = s_1 \n t_1 \n s_2 \n t_2 ...                 each pair in a direction that is drawn                      (3)
    L     = - sum_t log p(x_t | x_<t)                    over all tokens of packed documents                         (4)
    keep(d) iff |{ identify(s) : s sentence of d }| = 1  a document is of one language, or goes                      (5)
    fidelity(i) = E [ identify(continuation of a text in i) = i ]        1 - fidelity is language mixing             (6)

    budgets = token_budgets(languages, 1e9, code=1 / 3)
    rows = [{"input_ids": ids} for _, _, ids in Mixture(documents, [budgets], seed=0)]
    continue_pretraining(model, rows, settings, run)
    recommend({"mono": {...}, "bi": {...}}, base)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.text import segment

if TYPE_CHECKING:
    from core.corpora.filtering import Identify
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

# What a recommended mixture may cost: bits per byte of English, and fidelity below the best mixture's.
ENGLISH_MAY_COST, FIDELITY_MAY_COST = 0.05, 0.1


# --- the mixture ------------------------------------------------------------------------------------------------------


def token_budgets(
    languages: Sequence[str],
    tokens: float,
    *,
    code: float = 0.0,
    replay: float = 0.0,
    code_sources: Sequence[str] = ("code",),
    replay_sources: Sequence[str] = ("english",),
) -> dict[str, float]:
    """Tokens of each source (equation 1), for `core.corpora.mixture.Mixture`, which is equation 2.

    Shares of documents would not be shares of tokens: a file of code is a hundred times longer than a sentence pair.

    Args:
        languages: Sources of text in the languages to learn, in pairs or not; each gets the same.
        tokens: The budget.
        code: Share of program code.
        replay: Share of English text.
        code_sources: Sources of code; each gets the same.
        replay_sources: Sources of English text, likewise.

    Raises:
        UserError: Shares that leave nothing for the languages, or a share without a source.
    """
    if min(code, replay) < 0 or not code + replay < 1:
        raise UserError(f"code = {code:g} and replay = {replay:g} leave no share for the languages: lower one of them.")
    parts = {
        "languages": (1 - code - replay, languages),
        "code": (code, code_sources),
        "replay": (replay, replay_sources),
    }
    if missing := [name for name, (share, sources) in parts.items() if share and not sources]:
        raise UserError(f"There is no source for {missing[0]}: add one, or set its share to 0.")
    return {
        source: tokens * share / len(sources) for share, sources in parts.values() if share > 0 for source in sources
    }


def pair_document(pairs: Iterable[tuple[str, str]], draw: random.Random) -> str:
    """Sentence pairs as a document of both languages (equation 3), each in a direction drawn by itself."""
    return "\n".join(line for pair in pairs for line in (pair if draw.random() < 0.5 else pair[::-1]))


def continue_pretraining(
    model: Any, rows: Any, settings: TrainingConfig, run: Run, *, seed: int = 0, name: str = "mixture"
) -> FitResult:
    """One pass over the rows in their order, the same in all arms: every parameter, every token (equation 4)."""
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss

    settings = replace(settings, steps=0, epochs=1, shuffle=False)
    return fit(model, rows, settings, run, loss_fn=causal_lm_loss, seed=seed, name=name)


# --- a corpus of one language -----------------------------------------------------------------------------------------


def is_monolingual(
    document: str, identify: Identify, sentences: Callable[[str], Sequence[str]] = segment.sentences
) -> bool:
    """Whether all sentences of a document get one label (equation 5); an empty document is dropped.

    Args:
        document: Its text.
        identify: Sentences -> labels: any identifier. It never sees a line break, which fastText refuses.
        sentences: Ours also ends them at line breaks and at the marks of other scripts. The official code splits as
            for English, so that a Chinese or Thai document is one sentence and always stays.
    """
    found = [sentence for sentence in sentences(document) if sentence.strip()]
    return len({*identify(found)}) == 1 if found else False


# --- how much a model mixes -------------------------------------------------------------------------------------------


def fidelity(
    outputs: Sequence[str], wanted: Sequence[str], identify: Identify, *, mixed_into: str = "en"
) -> tuple[list[float], list[float]]:
    """For every text whether it is in the language wanted (equation 6), and whether in another, such as English.

    Args:
        outputs: What a model wrote.
        wanted: Label of each; a text without letters is in no language.
        identify: Texts -> labels.
        mixed_into: The other language.

    Returns:
        Ones and zeros, [texts] each.
    """
    said = [bool(segment.words(text)) for text in outputs]
    found = identify([" ".join(text.split()) for text in outputs])
    is_label = lambda label: lambda it: float(it[0] and it[1] == label)  # noqa: E731
    right = [is_label(label)(it) for label, it in zip(wanted, zip(said, found, strict=True), strict=True)]
    return right, [is_label(mixed_into)(it) for it in zip(said, found, strict=True)]


def halved(text: str) -> str:
    """The first half of a text's words, at least one, without a mark at the end: what follows is of the same line."""
    parts = text.split()
    parts = parts[: max(1, len(parts) // 2)]
    while len(parts) > 1 and not segment.words(parts[-1][-1]):
        parts.pop()
    return " ".join(parts)


# --- reading the grid -------------------------------------------------------------------------------------------------


def recommend(grid: Mapping[str, Mapping[str, float]], base: Mapping[str, float]) -> tuple[str, str]:
    """The mixture to take, and why: of those that cost little English and hardly mix, the one with the lowest loss.

    Args:
        grid: By mixture `target_bits` and, where measured, `english_bits` and `fidelity`.
        base: The same of the model before.

    Returns:
        Its name and a sentence.

    Raises:
        UserError: No mixture.
    """
    if not grid:
        raise UserError("There is no mixture to recommend: train one at least.")
    best = max(row.get("fidelity", 0.0) for row in grid.values())

    def costs(name: str) -> list[str]:
        row, english = grid[name], base.get("english_bits")
        lost = row["english_bits"] - english if english is not None and "english_bits" in row else 0.0
        mixes = best - row.get("fidelity", best)
        found = [f"English costs {lost:.2f} bits more"] if lost > ENGLISH_MAY_COST else []
        return found + ([f"{mixes:.0%} fewer answers stay in the language"] if mixes > FIDELITY_MAY_COST else [])

    order = sorted(grid, key=lambda name: grid[name]["target_bits"])
    kept = [name for name in order if not costs(name)]
    if kept:
        out = [f"{name}: {', '.join(costs(name))}" for name in order[: order.index(kept[0])]]
        return kept[0], "; ".join(["lowest loss of those that keep English and the language", *out])
    return order[0], f"lowest loss, but {', '.join(costs(order[0]))}: no mixture keeps both English and the language"
