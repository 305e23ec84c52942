"""Parallel scaling on your own: how far a gain carries, what more languages bring, which language answers are in.

    python -m papers.parallel_scaling.use mti --before before.csv --after after.csv --trained en
    python -m papers.parallel_scaling.use law scores.csv --next 12
    python -m papers.parallel_scaling.use audit outputs.jsonl

To train on aligned problems of yours give them to `papers.parallel_scaling.train paper --problems mine.jsonl`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from papers.parallel_scaling.method import Transfer

Items = dict[str, dict[str, dict[str, float]]]
"""By language and benchmark, the accuracy of each item; of `all` alone where a table has means."""


@dataclass(frozen=True)
class Mti:
    """The multilingual transferability index of a model before and after training, with both gains beside it."""

    before: str
    """Rows with lang, score in [0, 1], perhaps benchmark and id (of an item, the same in all languages)."""
    after: str
    """The same of the trained model."""
    trained: tuple[str, ...]
    """Codes of the languages that were trained on."""
    unseen: tuple[str, ...] = ()
    """Codes of languages that were not; none: all others."""
    min_base: Annotated[float, Range(0, 1)] = 0.0
    """Leave out pairs of language and benchmark with less accuracy before."""
    seed: Seed = 0
    """Of the draws of items, where rows have an id."""


@dataclass(frozen=True)
class LawOf:
    """Fit the parallel scaling law to scores by number of languages, and say what the next ones would bring."""

    scores: tyro.conf.Positional[str]
    """Rows with k, score and, for intervals, seed."""
    next: tuple[Annotated[int, Range(1)], ...] = ()
    """Numbers of languages to predict; none: twice the largest."""


@dataclass(frozen=True)
class Audit:
    """The share of outputs that are in another language than was asked in, and of right ones."""

    outputs: tyro.conf.Positional[str]
    """JSONL with lang, output and, perhaps, answer."""
    extract: Literal["last", "xreasoning"] = "last"
    """Which box counts as the answer, see `papers.parallel_scaling.train --help`."""


def transfer_interval(
    before: Items, after: Items, trained: Sequence[str], unseen: Sequence[str] | None = None, min_base: float = 0.0,
    *, draws: int = 400, seed: int = 0,
) -> tuple[Transfer, tuple[float, float] | None, float]:  # fmt: skip
    """The index, its 95 % interval over items, and the share of draws in which there is none.

    An item is drawn with its translations, before and after. None instead of an interval where a table has means alone.
    """
    import numpy as np

    from papers.parallel_scaling.method import transferability

    def scored(items: Items, drawn: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
        return {
            code: {
                name: fmean(found)
                for name, one in own.items()
                # What counts is decided once, by all items, so that every draw is of the same index.
                if fmean(before.get(code, {}).get(name, one).values()) >= min_base
                and (found := [one[key] for key in drawn.get(name, one) if key in one])
            }
            for code, own in items.items()
        }

    whole = transferability(scored(before, {}), scored(after, {}), trained, unseen, min_base)
    keys: dict[str, list[str]] = {}
    for table in (before, after):
        for own in table.values():
            for name, one in own.items():
                keys[name] = list(dict.fromkeys([*keys.get(name, []), *one]))
    if max(map(len, keys.values()), default=0) < 2:
        return whole, None, 0.0
    rng, found = np.random.default_rng(seed), list[float]()
    for _ in range(draws):
        drawn = {name: rng.choice(own, len(own)).tolist() for name, own in keys.items()}
        found.append(transferability(scored(before, drawn), scored(after, drawn), trained, unseen).mti)
    there = [value for value in found if not math.isnan(value)]
    if not there:
        return whole, (math.nan, math.nan), 1.0
    low, high = np.quantile(there, [0.025, 0.975])
    return whole, (float(low), float(high)), 1 - len(there) / len(found)


def read_scores(source: str) -> Items:
    """A table of scores: rows with `lang`, `score` and, perhaps, `benchmark` and `id`.

    Raises:
        UserError: A row of another form, or an item twice.
    """
    from core.corpora import adapted, read_rows

    found: Items = {}

    def add(row: Mapping[str, Any], _: int) -> None:
        code = str(row["lang"] if "lang" in row else row["language"])
        name, key = str(row.get("benchmark") or "all"), str(row["id"] if row.get("id") is not None else "all")
        score = float(row["score"])
        if not 0 <= score <= 1:
            raise UserError(f"its score is {score:g}: give shares from 0 to 1.")
        if key in (own := found.setdefault(code, {}).setdefault(name, {})):
            raise UserError(f"{code}, {name}, {key} has a score already: give each item an id of its own.")
        own[key] = score

    for _ in adapted(source, read_rows(source), add):
        pass
    return found


def mti(options: Mti) -> None:
    """Print the index, its interval, gains and warnings."""
    before, after = read_scores(options.before), read_scores(options.after)
    shared = [code for code in after if code in before]
    if lacking := [code for code in (*options.trained, *options.unseen) if code not in shared]:
        raise UserError(f"There is no score in {lacking[0]!r} in both tables: they have {', '.join(shared)}.")
    if both := [code for code in options.unseen if code in options.trained]:
        raise UserError(f"{both[0]!r} is in --trained and in --unseen: name it once.")
    for code in sorted(before.keys() ^ after.keys()):
        print(f"warning: {code} is in one table alone and left out")
    before, after = ({code: table[code] for code in shared} for table in (before, after))
    for code in shared:
        if odd := sorted(before[code].keys() ^ after[code].keys()):
            raise UserError(f"{code}, {odd[0]} is in one table alone: give both the same benchmarks.")
        for name in before[code]:
            if odd := sorted(before[code][name].keys() ^ after[code][name].keys()):
                raise UserError(f"{code}, {name}, {odd[0]} is in one table alone: give both the same items.")
    found, interval, without = transfer_interval(
        before, after, options.trained, options.unseen or None, options.min_base, seed=options.seed
    )
    for code, gain in found.gains.items():
        print(f"  {code:8s} {'trained' if code in options.trained else '':8s} {gain:+8.1%}")
    print(f"relative gain, trained {found.trained:+.3f}, unseen {found.unseen:+.3f}")
    said = f" [{interval[0]:.3f}, {interval[1]:.3f}] over items" if interval else " (no interval: rows have no id)"
    print(f"MTI {found.mti:.3f}{said}, ratio whatever its sign {found.raw:.3f}")
    warnings = [*found.reasons, *([f"{without:.0%} of the draws of items have no index"] if without else [])]
    for warning in warnings:
        print(f"warning: {warning}")


def law(options: LawOf) -> None:
    """Print the fit on k >= 2, what one language falls short of it, and predictions."""
    from core.corpora import adapted, read_rows
    from core.metrics.scaling import fit_power, fitted_interval
    from papers.parallel_scaling.method import fit_scaling

    by_seed: dict[str, dict[int, float]] = {}

    def add(row: Mapping[str, Any], _: int) -> None:
        k, score = int(row["k"]), float(row["score"])
        if k < 1 or not 0 < score < math.inf:
            raise UserError("give k from 1 on and a score above zero: a power law has no others.")
        if k in (own := by_seed.setdefault(str(row.get("seed") or ""), {})):
            raise UserError(f"k = {k} has a score already: give each training a seed of its own.")
        own[k] = score

    for _ in adapted(options.scores, read_rows(options.scores), add):
        pass
    ks = sorted(set.intersection(*(set(own) for own in by_seed.values())))
    if lost := sorted({k for own in by_seed.values() for k in own} - {*ks}):
        print(f"warning: not every seed has k = {', '.join(map(str, lost))}, left out")
    if 1 < len(by_seed) < 5:
        print(f"warning: {len(by_seed)} seeds: intervals over so few are too narrow")
    fitted = fit_scaling(ks, [fmean(own[k] for own in by_seed.values()) for k in ks])
    wanted = options.next or (2 * ks[-1],)
    large = [k for k in ks if k >= 2]
    table = [[own[k] for k in large] for own in by_seed.values()]

    def line(name: str, value: float, of: Any) -> None:
        found = fitted_interval(fit_power, large, table, of) if len(table) > 1 else value
        print(f"  {name:14s} {found:.3f}")

    line("alpha", fitted.law.a, lambda one: one.a)
    line("beta", fitted.law.b, lambda one: one.b)
    for k in wanted:
        line(f"at k = {k}", fitted.predict(k), lambda one, k=k: one(k))
    print(f"  R2 {fitted.law.r2:.3f} (of a logarithm {fitted.logarithmic:.3f}), left out {fitted.left_out:.3f}")
    if 1 in fitted.observed:
        print(f"  leap {fitted.leap:.3f}, mean later step {fitted.later:.3f}, monolingual gap {fitted.gap:.3f}")
    if len(large) < 4:
        more = "; the error of what was left out says more" if len(large) > 2 else ", and nothing can be left out"
        print(f"warning: {len(large)} points: any smooth curve fits them{more}")


def audit(options: Audit) -> None:
    """Print off-tag rates by language."""
    from core import corpora
    from papers.parallel_scaling.reasoning import correct, off_tag

    rows = corpora.read_jsonl(options.outputs, required={"lang": str, "output": str})
    for code, found in off_tag([row["output"] for row in rows], [row["lang"] for row in rows]).items():
        own = [row for row in rows if row["lang"] == code and row.get("answer") is not None]
        right = [correct(row["output"], str(row["answer"]), options.extract) for row in own]
        said = f", right {fmean(right):.3f} of {len(right)}" if right else ""
        print(f"  {code:8s} off-tag {found.rate:.3f} of {found.judged} ({found.outputs} outputs){said}")


VERBS: Verbs = {"mti": (Mti, mti), "law": (LawOf, law), "audit": (Audit, audit)}

TRY = Try(
    command="audit {data}",
    data="a model's answers as JSON lines with lang and output.",
    means="By language, how many answers are thought through in another language than was asked in.",
    limits="Short answers, formulas and languages without a word list are not judged; whether an answer is right is "
    "another question (`answer` in the file).",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.parallel_scaling.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
