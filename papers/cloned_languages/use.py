"""Cloned languages on your own: how alike a model treats two languages, a cloned corpus, what a mixture has gained.

    python -m papers.cloned_languages.use similarity lines.tsv --model Qwen/Qwen3-0.6B-Base
    python -m papers.cloned_languages.use clone mine.txt --tokenizer Qwen/Qwen3-0.6B-Base --schedule 0.1_0.9 --steps 100
    python -m papers.cloned_languages.use efficiency runs.tsv

To train a mixture of your own text give it to `papers.cloned_languages.train`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

ALONE = "alone"


@dataclass(frozen=True)
class Similarity:
    """Compare states and gradients of parallel lines in a causal language model."""

    lines: tyro.conf.Positional[str]
    """Parallel: .tsv or .jsonl with a column per language, a folder of aligned <language>.txt, or a hub dataset."""
    model: str
    """Hub id, folder or wheel."""
    languages: tuple[str, ...] = ()
    """Two columns; left out = the first two."""
    matching: Literal["one_by_one", "max_matching"] = "max_matching"
    """Which tokens are compared: one_by_one needs lines of as many tokens in both, such as clones are."""
    limit: Annotated[int, Range(2)] = 100
    """Lines that are compared at most."""
    tokens: Annotated[int, Range(1)] = 256
    """Of each line at most."""


@dataclass(frozen=True)
class Clone:
    """Write the sequences of a run as token ids: text whose tokens are cloned by a ratio or schedule."""

    text: tyro.conf.Positional[str]
    """A document a line in a .txt; .jsonl, .tsv or a hub dataset with a column `text`."""
    tokenizer: str
    """Hub id or folder."""
    steps: Annotated[int, Range(1)]
    """Of the run that will read them."""
    schedule: str = "0.1"
    """Probability of a clone: one number, or stages of equal length such as 0.1_0.9."""
    clones: Annotated[int, Range(1, 99)] = 1
    """Beside the original."""
    fraction: Annotated[float, Range(0, 1)] = 1.0
    """Share of the tokens that are cloned."""
    batch_size: Annotated[int, Range(1)] = 8
    """Sequences of a step."""
    length: Annotated[int, Range(2)] = 512
    """Tokens of a sequence."""
    seed: Seed = 0
    """Of which sequence is a clone."""
    out: Path = Path("cloned.jsonl")
    """`input_ids` and `language` of each sequence, in the order of training."""


@dataclass(frozen=True)
class Efficiency:
    """Say how many times the tokens that a language had it would have needed alone, from a table of runs."""

    runs: tyro.conf.Positional[Path]
    """.tsv, .csv or .jsonl with `run`, `language`, `tokens` and `perplexity`; monolingual runs are called `alone`. A
    language without any is taken for a clone of the one that has."""
    seed: Seed = 0
    """Of the residuals that are drawn."""


def similarity(options: Similarity) -> None:
    """Print a line a block: cosine of parallel lines, and of lines that do not belong together.

    Raises:
        UserError: Not two languages, lines that cannot be compared, or a model that cannot be had.
    """
    from core import corpora
    from core.models.loading import load, longest_input
    from papers.cloned_languages.data import ids
    from papers.cloned_languages.similarity import gradient_similarity, hidden_similarity

    table = corpora.read_parallel(options.lines, options.languages or None)
    codes = list(options.languages) or [name for name in table.column_names if name != "key"][:2]
    if len(codes) != 2:
        raise UserError(
            f"{options.lines} has {len(codes)} languages: give a file with two, or name two of its columns."
        )
    model, tokenizer = load(options.model, dtype="float32")
    pairs = [
        tuple(ids(tokenizer, row[code])[: options.tokens] for code in codes) for row in islice(table, options.limit)
    ]
    pairs = [pair for pair in pairs if min(map(len, pair)) > 1]
    if not pairs:
        raise UserError(f"{options.lines} has no line of two tokens or more in both languages.")
    positions = longest_input(model, tokenizer)
    if (longest := max(len(ids) for pair in pairs for ids in pair)) > positions:
        raise UserError(f"A line has {longest} tokens and {options.model} {positions} positions: lower --tokens.")
    try:
        hidden, apart = hidden_similarity(model, pairs, options.matching)
    except ValueError as error:
        raise UserError(f"{error} Use --matching max_matching.") from None
    print("block\tparallel\tothers")
    for number, values in enumerate(zip(hidden, apart, strict=True), start=1):
        print("\t".join((str(number), *(f"{value:.3f}" for value in values))))
    gradients = gradient_similarity(model, pairs)
    print(f"gradients of {len(gradients)} parameters\t{sum(gradients.values()) / len(gradients):.3f}")


def clone(options: Clone) -> None:
    """Write the rows and print the tokens of each language.

    Raises:
        UserError: The text has no block, or there is no such tokenizer.
    """
    import numpy as np

    from core.corpora import manifest
    from core.files import write_text
    from core.models.loading import load_tokenizer
    from papers.cloned_languages import method
    from papers.cloned_languages.data import cut, joined

    documents = manifest.texts(options.text)
    first = list(islice(documents, 1))  # read before the tokenizer, which takes longer
    tokenizer = load_tokenizer(options.tokenizer)
    spoken = method.draw(options.schedule, options.steps, options.batch_size, options.clones + 1, options.seed)
    blocks = np.array(list(islice(cut(joined(tokenizer, chain(first, documents)), options.length), len(spoken))))
    if not len(blocks):
        raise UserError(f"{options.text} has fewer than {options.length} tokens, which is no sequence: lower --length.")
    protected = () if tokenizer.pad_token_id is None else (tokenizer.pad_token_id,)
    rendering = method.clones(len(tokenizer), options.clones, options.fraction, protected)
    mixed = method.Mixed([blocks], rendering, spoken)
    rows = ({"input_ids": row["input_ids"].tolist(), "language": row["language"]} for row in mixed)
    write_text(options.out, "".join(f"{json.dumps(row)}\n" for row in rows))
    said = ", ".join(f"{count:,} in language {number}" for number, count in enumerate(mixed.tokens))
    again = f"; the text has {len(blocks)} sequences and is read again" if len(blocks) < len(spoken) else ""
    print(
        f"{options.out}: {len(spoken):,} sequences, {said}; {rendering.size:,} ids, so many rows the model needs{again}"
    )


def efficiency(options: Efficiency) -> None:
    """Print the efficiency of each language in each mixture, with an interval from the law's residuals.

    Raises:
        UserError: A row without its numbers, or fewer than three monolingual runs.
    """
    from core.corpora import adapted, read_rows
    from papers.cloned_languages.method import monolingual_law

    rows = list(adapted(options.runs, read_rows(options.runs), _run))
    alone: dict[str, list[tuple[float, float]]] = {}
    for run, language, tokens, perplexity in rows:
        if run == ALONE:
            alone.setdefault(language, []).append((tokens, perplexity))
    if short := [language for language, points in alone.items() if len({tokens for tokens, _ in points}) < 3]:
        raise UserError(
            f"{options.runs} has fewer than three lengths of runs {ALONE!r} in {short[0]!r}: a law needs three."
        )
    print("run\tlanguage\ttokens\talone as good after\tefficiency\t95 % interval")
    for run, language, tokens, perplexity in rows:
        if run == ALONE:
            continue
        known = alone.get(language) or (next(iter(alone.values())) if len(alone) == 1 else None)
        if known is None:
            raise UserError(
                f"{options.runs} has no runs {ALONE!r} in {language!r}, and it is not clear whose clone it is."
            )
        points = sorted(known)
        law = monolingual_law(*zip(*points, strict=True))
        if law.a >= 0:
            raise UserError(
                f"Runs {ALONE!r} in {language!r} get no better with more tokens: check which column is which."
            )
        low, high = residual_interval(points, perplexity, tokens, options.seed)
        needed = law.invert(1 / perplexity)
        print(f"{run}\t{language}\t{tokens:.4g}\t{needed:.4g}\t{needed / tokens:.3f}\t[{low:.3f}, {high:.3f}]")
        if not points[0][0] <= needed <= points[-1][0]:
            print(
                f"  outside of the runs alone, which had {points[0][0]:.4g} to {points[-1][0]:.4g} tokens: extrapolated"
            )


def _run(row: dict[str, Any], _: int) -> tuple[str, str, float, float]:
    try:
        tokens, perplexity = float(row["tokens"]), float(row["perplexity"])
        found = str(row["run"]), str(row["language"]), tokens, perplexity
    except (KeyError, TypeError, ValueError):
        raise UserError("give run, language, and numbers for tokens and perplexity") from None
    if not (0 < tokens < math.inf and 1 <= perplexity < math.inf):
        raise UserError(
            f"{tokens:g} tokens at a perplexity of {perplexity:g} cannot be: give positive tokens, and at least 1"
        )
    return found


def residual_interval(
    points: Sequence[tuple[float, float]], perplexity: float, tokens: float, seed: int = 0, draws: int = 500
) -> tuple[float, float]:
    """95 % interval of an efficiency, over laws through points whose residuals are drawn anew (in 1 / PPL, scaled for
    the three parameters); NaN where three points leave none. It knows nothing of how runs differ by their seeds.
    """
    import numpy as np

    from core.metrics.scaling import fit_saturating
    from papers.cloned_languages.method import monolingual_law

    x = [point[0] for point in points]
    law = monolingual_law(*zip(*points, strict=True))
    if len(points) < 4:
        return math.nan, math.nan
    fitted = np.array([law(value) for value in x])
    residuals = (1 / np.array([point[1] for point in points]) - fitted) * math.sqrt(len(x) / (len(x) - 3))
    rng = np.random.default_rng(seed)
    found = [
        fit_saturating(x, [*(fitted + rng.choice(residuals, len(x)))]).invert(1 / perplexity) for _ in range(draws)
    ]
    low, high = np.quantile(found, [0.025, 0.975], method="nearest")
    return float(low / tokens), float(high / tokens)


VERBS: Verbs = {
    "similarity": (Similarity, similarity), "clone": (Clone, clone), "efficiency": (Efficiency, efficiency),
}  # fmt: skip

TRY = Try(
    command="similarity {data} --model {model}",
    data="sentences in two languages, a column each, aligned.",
    means="How alike the states of translations are after each block, against those of other sentences, and whether "
    "the two languages pull the weights the same way.",
    limits="States of unrelated sentences may be alike too: read the first column against the second. Alike states do "
    "not say that one language gained from the other, which `efficiency` does.",
    more="--languages en sw",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.cloned_languages.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
