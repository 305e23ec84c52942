"""Ask MEXA about your own model, with parallel sentences of your own.

    python -m papers.mexa.use score lines.tsv --model Qwen/Qwen3-0.6B-Base --scores known.tsv --english-score 0.61
    python -m papers.mexa.use compare lines.tsv --models Qwen/Qwen3-0.6B-Base Qwen/Qwen3-1.7B-Base

`score` prints one line a language, best first, and writes languages.tsv and languages.json; `compare` says by how much
the second model aligns more of the same sentences. Lines are a .tsv, .csv or .jsonl with a column per language code,
or a folder of aligned <language>.txt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools

if TYPE_CHECKING:
    from torch import Tensor

    from core.metrics.lines import Line
    from core.metrics.stats import Interval
    from core.models.states import Embedder
    from papers.mexa.method import Embedding, Pooling


# --- as a library -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alignment:
    """How well a model maps one language onto the pivot.

    Attributes:
        hits: Which pairs are mutual nearest neighbours, [layers, n].
        pool: How layers become one score.
        layers: Those that are pooled; empty = all.
    """

    hits: Tensor
    pool: Pooling = "mean"
    layers: tuple[int, ...] = ()

    @property
    def n(self) -> int:
        """Number of sentences."""
        return self.hits.shape[1]

    @property
    def curve(self) -> list[float]:
        """The score of every layer; 0 is the embedding output."""
        return self.hits.double().mean(1).tolist()

    @property
    def score(self) -> float:
        """The pooled score, in [0, 1]."""
        from papers.mexa.method import pool_layers

        return float(pool_layers(self.hits.double().mean(1), self.pool, self.layers))

    @property
    def best_layer(self) -> int:
        """Layer of the largest score among the pooled ones."""
        return max(self.layers or range(len(self.hits)), key=self.curve.__getitem__)

    @property
    def tail(self) -> float:
        """At most this is the probability that random similarities reach the best layer's score at *any* layer."""
        from papers.mexa.method import chance_tail

        tried = len(self.layers or self.hits)
        return min(1.0, tried * chance_tail(int(self.hits[self.best_layer].sum()), self.n))

    @property
    def by_sentence(self) -> dict[int, dict[str, float]]:
        """In how many of the pooled layers each pair is found, as a share; the mean is `score` with mean pooling."""
        chosen = self.hits[list(self.layers)] if self.layers else self.hits
        return {0: {str(number): value for number, value in enumerate(chosen.double().mean(0).tolist())}}

    @property
    def interval(self) -> Interval | None:
        """95 % interval over sentences of the mean over layers; None with max pooling."""
        from core.metrics.stats import compare

        return compare(self.by_sentence, 0.0).interval if self.pool == "mean" else None


def mexa_score(
    source: Embedder, parallel: Mapping[str, Sequence[str]], *, pivot: str = "en", embedding: Embedding = "weighted",
    drop_first: int = 0, pool: Pooling = "mean", layers: Sequence[int] = (), **options: Any,
) -> dict[str, Alignment]:  # fmt: skip
    """MEXA of every language of a parallel corpus.

    Args:
        source: `core.models.loading.load(...)`, any (model, tokenizer), or a function text -> [layers, tokens, width].
        parallel: `{language: sentences}`, aligned by position and without repetitions.
        pivot: The language that the others are compared with.
        embedding: `weighted` (default), `last` or `mean`.
        drop_first: 1 leaves the attention sink out; 0 is the official code's choice.
        pool: Over layers.
        layers: These alone; empty = all.
        options: `add_bos`, `prefix` and `batch_tokens` of :func:`papers.mexa.method.embed`.

    Raises:
        ValueError: languages with unequal numbers of sentences.
        UserError: a layer that the model does not have, a sentence that it cannot read.
    """
    from papers.mexa.method import mutual_nearest, similarities

    counts = {language: len(sentences) for language, sentences in parallel.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"Sentences must be aligned, but their numbers differ: {counts}.")
    found = {}
    for language, by_kind in similarities(source, parallel, pivot, ((embedding, drop_first),), **options):
        (similarity,) = by_kind.values()
        if any(not 0 <= layer < len(similarity) for layer in layers):
            raise UserError(f"layers = {list(layers)}: this model has the layers 0 to {len(similarity) - 1}.")
        found[language] = Alignment(mutual_nearest(similarity), pool, tuple(layers))
    return found


def estimate_task_scores(
    scores: Mapping[str, float], known: Mapping[str, float], english_score: float | None = None, choices: int = 4
) -> tuple[dict[str, Interval], Line | None]:
    """Task scores of the languages that have none.

    With three or more known languages (English is none of them) a line is fitted to them; otherwise, given the English
    score, the ideal line answers.

    Args:
        scores: Pooled MEXA scores by language.
        known: Task scores by language.
        english_score: The model's task score in English; the scores are multiplied by it (1 when unknown, which
            changes no fitted prediction).
        choices: Answers to choose from, for the ideal line.

    Returns:
        Predictions of the languages in `scores` that are not in `known`, with 95 % prediction intervals (NaN on the
        ideal line, which has no error), and the fitted line, if there is one.
    """
    from core.metrics.lines import fit_line
    from core.metrics.stats import Interval
    from papers.mexa.method import adjusted, ideal_line

    x = {code: adjusted(score, 1.0 if english_score is None else english_score) for code, score in scores.items()}
    common, unknown = ([code for code in x if (code in known) is wanted] for wanted in (True, False))
    if len(common) >= 3 and len({x[code] for code in common}) > 1:
        fit = fit_line([x[code] for code in common], [known[code] for code in common])
        return {code: fit.predict(x[code]) for code in unknown}, fit
    if english_score is None:
        return {}, None
    return {code: Interval(ideal_line(x[code], choices), math.nan, math.nan, "ideal line") for code in unknown}, None


# --- as a command -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lines:
    lines: tyro.conf.Positional[Path]
    """Parallel sentences, at least 50 that all differ: prose rather than labels."""
    pivot: str = "en"
    """The column that the others are compared with."""
    architecture: Literal["causal-lm", "encoder"] = "causal-lm"
    """`encoder` for embedding models."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass."""
    embedding: Literal["weighted", "last", "mean"] = "weighted"
    """Position-weighted average of the tokens, the last one, or the plain average (encoders)."""
    keep_first: bool = False
    """Keep the first position, an attention sink, as the official code does; encoders have none."""
    prefix: str = ""
    """Put before every sentence, for encoders that are trained so."""
    pool: Literal["mean", "max"] = "mean"
    """Over layers."""
    layers: tuple[Annotated[int, Range(0)], ...] = ()
    """These layers alone."""

    def texts(self) -> dict[str, list[str]]:
        """Aligned sentences by language; what cannot be used is left out and named."""
        from core import corpora
        from papers.mexa.data import usable

        table = corpora.read_parallel(self.lines)
        columns: Any = {name: list(table[name]) for name in table.column_names if name != "key"}
        parallel = usable(columns, str(self.lines), self.pivot, None)
        for reason in parallel.dropped:
            print(f"Left out: {reason}.")
        return parallel.texts

    def align(self, model: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Alignment]:
        """The alignment of every language, in a model."""
        from core.models.loading import load

        drop = not self.keep_first and self.architecture == "causal-lm" and self.embedding != "last"
        return mexa_score(
            load(model, task=self.architecture, dtype=self.dtype), texts, pivot=self.pivot, embedding=self.embedding,
            drop_first=int(drop), pool=self.pool, layers=self.layers, add_bos=drop, prefix=self.prefix,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Score(_Lines):
    """Which languages does my model cover, and what would it score in them?"""

    model: str
    """Hub id, folder or wheel."""
    scores: Path | None = None
    """Task scores of some languages: a .tsv of language and score in [0, 1], or the results JSON of lm-eval."""
    english_score: Annotated[float | None, Range(0, 1)] = None
    """The model's task score in the pivot; with it alone, predictions come from the ideal line."""
    choices: Annotated[int, Range(2)] = 4
    """Answers to choose from in the task, for the ideal line."""
    out: Path = Path("mexa")
    """Folder of languages.tsv and languages.json."""


@dataclass(frozen=True, kw_only=True)
class Compare(_Lines):
    """By how much does the second model align more of the same sentences?"""

    models: tuple[str, str]
    """Two hub ids, folders or wheels: before and after, or small and large."""


def score(options: Score) -> None:
    """Print the table and write it."""
    from core.files import write_json, write_table
    from core.metrics.stats import pearson
    from core.tasks.scores import read_scores

    texts = options.texts()
    known = read_scores(options.scores, texts) if options.scores else {}
    found = options.align(options.model, texts)
    measured = known.pop(options.pivot, None)
    english = measured if options.english_score is None else options.english_score
    pooled = {code: alignment.score for code, alignment in found.items()}
    estimates, fit = estimate_task_scores(pooled, known, english, options.choices)
    rows: dict[str, dict[str, Any]] = {}
    for code in sorted(found, key=lambda code: -pooled[code]):
        a, estimate = found[code], estimates.get(code)
        row: dict[str, Any] = {
            "score": a.score,
            **_bounds("", a.interval),
            "max": max(a.curve),
            "best_layer": a.best_layer,
        }
        row |= {"tail": a.tail, "n": a.n, "task_score": known.get(code)}
        row |= {"estimate": estimate.estimate if estimate else None, **_bounds("estimate_", estimate)}
        rows[code] = row
    write_table(options.out / "languages.tsv", [{"language": code, **row} for code, row in rows.items()])
    write_json(
        options.out / "languages.json", {code: {**row, "curve": found[code].curve} for code, row in rows.items()}
    )
    print(f"{options.model}, {next(iter(rows.values()))['n']} sentences, {options.pool} over layers")
    for code, row in rows.items():
        task = f"  task {known[code]:.2f}" if code in known else ""
        if code in estimates:
            task = f"  predicted {_span(row['estimate'], row['estimate_low'], row['estimate_high'])}"
        print(
            f"  {code:10} {_span(row['score'], row['low'], row['high'])}  best {row['max']:.2f} at layer "
            f"{row['best_layer']:2} (chance < {row['tail']:.0e}){task}"
        )
    r = pearson([pooled[code] for code in known], list(known.values())) if len(known) > 2 else math.nan
    if math.isfinite(r):  # equal scores have none
        print(f"Pearson r with the task score over {len(known)} languages: {r:.2f}.")
    if estimates and fit is None:
        print("Predicted on the ideal line; with three or more --scores a line is fitted and has intervals.")
    print(f"Scores fall with the number of sentences: compare only those of equally many. Wrote {options.out}.")


def compare(options: Compare) -> None:
    """Print both scores and the paired difference of the mean over layers."""
    from core.metrics import stats

    texts = options.texts()
    before, after = (options.align(model, texts) for model in options.models)
    for code, a in after.items():
        found = stats.compare(a.by_sentence, before[code].by_sentence)
        difference = _span(found.interval.estimate, found.interval.low, found.interval.high)
        print(f"  {code:10} {found.control:.3f} -> {found.treatment:.3f}  {difference}")


def _span(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _bounds(name: str, interval: Interval | None) -> dict[str, float | None]:
    ends = (interval.low, interval.high) if interval else (None, None)
    return {
        f"{name}{end}": None if x is None or math.isnan(x) else x for end, x in zip(("low", "high"), ends, strict=True)
    }


VERBS: Verbs = {"score": (Score, score), "compare": (Compare, compare)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.mexa.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
