"""Ask MEXA about your own model, with parallel sentences of your own.

    python -m papers.mexa.use score lines.tsv --model Qwen/Qwen3-0.6B-Base --scores known.tsv --english-score 0.61
    python -m papers.mexa.use compare lines.tsv --models Qwen/Qwen3-0.6B-Base Qwen/Qwen3-1.7B-Base

`score` prints one line a language, best first, and writes languages.tsv and languages.json; `compare` says by how much
the second model aligns more of the same sentences. Lines are a .tsv, .csv or .jsonl with a column per language code,
or a folder of aligned <language>.txt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from torch import Tensor

    from core.metrics.lines import Line
    from core.metrics.stats import Interval
    from core.models.states import Embedder
    from papers.mexa.method import Embedding

# Placeholders of messages, tags, addresses, numbers.
_FIXED = re.compile(r"%\(\w+\)[a-z]|%[a-z]\b|\$?\{[^{}]*\}|<[^<>]+>|\S+://\S+|\S+@\S+|\d[\d.,:]*")

# --- as a library -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alignment:
    """How well a model maps one language onto the pivot.

    Attributes:
        hits: Which pairs are mutual nearest neighbours, [layers, n].
        shuffled: The score where every sentence is paired with the next one's translation.
    """

    hits: Tensor
    shuffled: float = 0.0

    @property
    def n(self) -> int:
        """Number of sentences."""
        return self.hits.shape[1]

    @property
    def curve(self) -> list[float]:
        """The score of every layer, in [0, 1]; 0 is the embedding output."""
        return self.hits.double().mean(1).tolist()

    @property
    def score(self) -> float:
        """Mean over the layers; `max(curve)` is the paper's other pooling."""
        return fmean(self.curve)

    @property
    def best_layer(self) -> int:
        """The first layer with the largest score."""
        return max(range(len(self.hits)), key=self.curve.__getitem__)

    @property
    def tail(self) -> float:
        """At most this is the probability that random similarities reach the best layer's score at *any* layer."""
        from papers.mexa.method import chance_tail

        return min(1.0, len(self.hits) * chance_tail(int(self.hits[self.best_layer].sum()), self.n))

    @property
    def by_sentence(self) -> dict[int, dict[str, float]]:
        """In how many layers each pair is found, as a share; the mean is `score`."""
        return {0: {str(number): value for number, value in enumerate(self.hits.double().mean(0).tolist())}}

    @property
    def interval(self) -> Interval:
        """95 % interval of the score over sentences."""
        from core.metrics.stats import compare

        return compare(self.by_sentence, 0.0).interval


def mexa_score(
    source: Embedder, parallel: Mapping[str, Sequence[str]], *, pivot: str = "en", embedding: Embedding = "weighted",
    drop_first: int = 0, **options: Any,
) -> dict[str, Alignment]:  # fmt: skip
    """MEXA of every language of a parallel corpus.

    Args:
        source: `core.models.loading.load(...)`, any (model, tokenizer), or a function text -> [layers, tokens, width].
        parallel: `{language: sentences}`, aligned by position and without repetitions.
        pivot: The language that the others are compared with.
        embedding: `weighted` (default), `last` or `mean`.
        drop_first: 1 leaves the attention sink out; 0 is the official code's choice.
        options: `add_bos`, `prefix` and `batch_tokens` of :func:`papers.mexa.method.embed`.

    Raises:
        ValueError: languages with unequal numbers of sentences.
        UserError: a sentence that the model cannot read.
    """
    from papers.mexa.method import mexa, mutual_nearest, similarities

    kind = (embedding, drop_first)
    return {
        language: Alignment(mutual_nearest(by[kind]), float(mexa(by[kind].roll(1, -1)).mean()))
        for language, by in similarities(source, parallel, pivot, [kind], **options)
    }


def estimate_task_scores(
    scores: Mapping[str, float], known: Mapping[str, float], english_score: float | None = None
) -> tuple[dict[str, Interval], Line | None]:
    """Task scores of the languages that have none.

    A line is fitted to three or more known languages (English is none of them); with fewer, given the English score,
    the ideal line of tasks with four choices answers.

    Args:
        scores: MEXA scores by language.
        known: Task scores by language.
        english_score: The model's task score in English.

    Returns:
        Predictions of the languages in `scores` that are not in `known`, with 95 % prediction intervals (NaN on the
        ideal line, which has no error), and the fitted line, if there is one.
    """
    from core.metrics.lines import fit_line
    from core.metrics.stats import Interval
    from papers.mexa.method import ideal_line

    common, unknown = ([code for code in scores if (code in known) is wanted] for wanted in (True, False))
    if len(common) >= 3 and len({scores[code] for code in common}) > 1:
        fit = fit_line([scores[code] for code in common], [known[code] for code in common])
        return {code: fit.predict(scores[code]) for code in unknown}, fit
    if english_score is None:
        return {}, None
    ideal = {code: ideal_line(scores[code], english_score) for code in unknown}
    return {code: Interval(value, math.nan, math.nan, "ideal line") for code, value in ideal.items()}, None


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
    keep_placeholders: bool = False
    """Keep `%s`, `{name}`, tags, addresses and digits, which pair sentences in any language without being read."""

    def texts(self) -> dict[str, list[str]]:
        """Aligned sentences by language; what cannot be used is left out and named."""
        from papers.mexa.config import Config
        from papers.mexa.data import parallel

        found, dropped = parallel(Config(corpus=str(self.lines), pivot=self.pivot))
        for reason in dropped:
            print(f"Left out: {reason}.")
        return found if self.keep_placeholders else without_placeholders(found)

    def align(self, model: str, texts: Mapping[str, Sequence[str]], *, trained: bool = True) -> dict[str, Alignment]:
        """The alignment of every language, in a model or in one of its shape with random weights."""
        from core.models import loading

        options: Any = {"task": self.architecture}
        if trained:
            source = loading.load(model, dtype=self.dtype, **options)
        else:
            shape: Any = loading.from_config(loading.load_config(model), seed=0, **options)
            source = loading.Loaded(shape.to(loading.default_device()), loading.load_tokenizer(model))
        drop = not self.keep_first and self.architecture == "causal-lm" and self.embedding != "last"
        return mexa_score(
            source, texts, pivot=self.pivot, embedding=self.embedding, drop_first=int(drop), add_bos=drop,
            prefix=self.prefix,
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
    controls: bool = True
    """Say what random weights, shuffled sentences and shared letters reach: so much of a score is no knowledge."""
    out: Path = Path("mexa")
    """Folder of languages.tsv and languages.json."""


@dataclass(frozen=True, kw_only=True)
class Compare(_Lines):
    """By how much does the second model align more of the same sentences?"""

    models: tuple[str, str]
    """Two hub ids, folders or wheels: before and after, or small and large."""


def score(options: Score) -> None:
    """Print the table and write it."""
    from core.files import finite_json, write_json, write_table
    from core.metrics.stats import Interval, pearson
    from core.tasks.scores import read_scores

    texts = options.texts()
    known = read_scores(options.scores, texts) if options.scores else {}
    found = options.align(options.model, texts)
    measured = known.pop(options.pivot, None)
    english = measured if options.english_score is None else options.english_score
    pooled = {code: alignment.score for code, alignment in found.items()}
    beside = controls(options, texts, found) if options.controls else {}
    estimates, fit = estimate_task_scores(pooled, known, english)
    print(f"{options.model}, {len(texts[options.pivot])} sentences, mean over layers")
    unknown = Interval(math.nan, math.nan, math.nan, "")
    rows: dict[str, dict[str, Any]] = {}
    for code in sorted(found, key=lambda code: -pooled[code]):
        a, estimate = found[code], estimates.get(code, unknown)
        rows[code] = {"score": a.score, "low": a.interval.low, "high": a.interval.high, "max": max(a.curve)}
        rows[code] |= {"best_layer": a.best_layer, "tail": a.tail, "n": a.n, "task_score": known.get(code)}
        rows[code] |= beside.get(code, {})
        rows[code] |= {"estimate": estimate.estimate, "estimate_low": estimate.low, "estimate_high": estimate.high}
        told = f"  predicted {_span(estimate)}" if code in estimates else ""
        told = f"  task {known[code]:.2f}" if code in known else told
        best = f"best {max(a.curve):.2f} at layer {a.best_layer:2} (chance < {a.tail:.0e})"
        known_without = max(beside.get(code, {}).values(), default=0.0)
        told += f"  without knowledge {known_without:.2f}" if beside else ""
        print(f"  {code:10} {_span(a.interval)}  {best}{told}{_no_more(a, known_without)}")
    write_table(options.out / "languages.tsv", [finite_json({"language": code, **row}) for code, row in rows.items()])
    curves = {code: {**row, "curve": found[code].curve} for code, row in rows.items()}
    write_json(options.out / "languages.json", curves)
    if beside:
        print("Without knowledge: the most that random weights, shuffled sentences and shared letters reach.")
    r = pearson([pooled[code] for code in known], list(known.values())) if len(known) > 2 else math.nan
    if math.isfinite(r):  # equal scores have none
        print(f"Pearson r with the task score over {len(known)} languages: {r:.2f}.")
    if estimates and fit is None:
        print("Predicted on the ideal line; with three or more --scores a line is fitted and has intervals.")
    print(f"Scores fall with the number of sentences: compare only those of equally many. Wrote {options.out}.")


def controls(
    options: Score, texts: Mapping[str, Sequence[str]], found: Mapping[str, Alignment]
) -> dict[str, dict[str, float]]:
    """By language, the score of random weights, of sentences paired with others', and of shared letters alone."""
    from core.text.distance import shared_trigrams
    from papers.mexa.method import mexa

    untrained = options.align(options.model, texts, trained=False)
    return {
        code: {
            "untrained": untrained[code].score,
            "shuffled": alignment.shuffled,
            "letters": float(mexa(shared_trigrams(texts[options.pivot], texts[code]).tolist())),
        }
        for code, alignment in found.items()
    }


def without_placeholders(texts: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Sentences without what stands unchanged in every language; those that are then empty or repeated are left out."""
    from core.corpora.table import parallel_table

    bare = {
        code: {str(n): " ".join(_FIXED.sub(" ", line).split()) for n, line in enumerate(lines)}
        for code, lines in texts.items()
    }
    rows = parallel_table(bare, list(bare), corpus="The text without placeholders", distinct=True, sort=False)
    if lost := len(next(iter(texts.values()))) - len(rows):
        print(
            f"Left out: {lost} rows that are empty or repeated without placeholders (--keep-placeholders keeps them)."
        )
    return {code: list(rows[code]) for code in bare}


def _no_more(found: Alignment, without: float) -> str:
    return "  (no more than without knowledge)" if found.interval.low <= without else ""


def compare(options: Compare) -> None:
    """Print both scores and the paired difference of the mean over layers."""
    from core.metrics import stats

    texts = options.texts()
    before, after = (options.align(model, texts) for model in options.models)
    for code, a in after.items():
        found = stats.compare(a.by_sentence, before[code].by_sentence)
        print(f"  {code:10} {found.control:.3f} -> {found.treatment:.3f}  {_span(found.interval)}")


def _span(found: Interval) -> str:
    ends = "" if math.isnan(found.low) else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.estimate:.2f}{ends}"


VERBS: Verbs = {"score": (Score, score), "compare": (Compare, compare)}

TRY = Try(
    command="score {data} --model {model} --out {out}",
    data="at least 50 parallel sentences that all differ, a column a language, with `en` among them.",
    means="The share of sentences that find their translation inside the model, by language; beside it, what random "
    "weights, shuffled sentences and shared letters reach. What stands above these is alignment with English.",
    limits="No accuracy of any task. Scores fall with the number of sentences and rise with shared letters, so "
    "compare equal files, and languages of one script.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.mexa.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
