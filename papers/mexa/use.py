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
from core.files import finite_json, write_json, write_table
from core.tasks.scores import read_scores
from core.text.distance import shared_trigrams
from papers.mexa.config import Config
from papers.mexa.data import parallel

if TYPE_CHECKING:
    from torch import Tensor

    from core.metrics.lines import Line
    from core.metrics.stats import Interval
    from core.models.states import Embedder
    from papers.mexa.method import Embedding

# Placeholders of messages, tags, addresses, numbers: they stand unchanged in every language.
_FIXED = re.compile(r"%\(\w+\)[a-z]|%[a-z]\b|\$?\{[^{}]*\}|<[^<>]+>|\S+://\S+|\S+@\S+|\d[\d.,:]*")

# --- as a library -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alignment:
    """How well a model maps one language onto the pivot.

    Attributes:
        curve: The score of every layer, in [0, 1]; 0 is the embedding output.
        score: Mean over the layers; `max(curve)` is the paper's other pooling.
        best_layer: The first layer with the largest score.
        tail: At most this is the probability that random similarities reach the best layer's score at *any* layer.
        by_sentence: In how many layers each pair is found, as a share; the mean is `score`.
        interval: 95 % interval of the score over sentences.
        shuffled: The score where every sentence is paired with the next one's translation.
    """

    curve: list[float]
    score: float
    best_layer: int
    tail: float
    by_sentence: dict[str, float]
    interval: Interval
    shuffled: float


def alignment(hits: Tensor, shuffled: float) -> Alignment:
    """Of the pairs that are mutual nearest neighbours, [layers, n]."""
    from core.metrics.stats import compare
    from papers.mexa.method import chance_tail

    curve = hits.double().mean(1).tolist()
    best = curve.index(max(curve))
    tail = min(1.0, len(curve) * chance_tail(int(hits[best].sum()), hits.shape[1]))
    shares = {str(number): share for number, share in enumerate(hits.double().mean(0).tolist())}
    return Alignment(curve, fmean(curve), best, tail, shares, compare({0: shares}, 0.0).interval, shuffled)


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
        language: alignment(mutual_nearest(by[kind]), shuffled=float(mexa(by[kind].roll(1, -1)).mean()))
        for language, by in similarities(source, parallel, pivot, [kind], **options)
    }


def estimate_task_scores(
    scores: Mapping[str, float], known: Mapping[str, float], english_score: float | None = None
) -> tuple[dict[str, Interval], Line | None]:
    """Task scores of the languages in `scores` (MEXA) that are not in `known` (the task), and the fitted line.

    A line is fitted to three or more known languages (English is none of them); with fewer, given the model's English
    task score, the ideal line of tasks with four choices answers, whose intervals are NaN since it has no error.
    """
    from core.metrics.lines import fit_line
    from core.metrics.stats import Interval
    from papers.mexa.method import ideal_line

    unknown = [code for code in scores if code not in known]
    common = [code for code in scores if code in known]
    if len(common) >= 3 and len({scores[code] for code in common}) > 1:
        fit = fit_line([scores[code] for code in common], [known[code] for code in common])
        return {code: fit.predict(scores[code]) for code in unknown}, fit
    if english_score is None:
        return {}, None
    ideal = {code: ideal_line(scores[code], english_score) for code in unknown}
    return {code: Interval(value, math.nan, math.nan, "ideal line") for code, value in ideal.items()}, None


# --- as a command -------------------------------------------------------------------------------------------------


def without_placeholders(line: str) -> str:
    """A sentence without what pairs it with its translation in any language, without being read."""
    return " ".join(_FIXED.sub(" ", line).split())


@dataclass(frozen=True)
class _Lines:
    lines: tyro.conf.Positional[Path]
    """Parallel sentences, at least 50 that all differ: prose rather than labels."""
    pivot: str = "en"
    """The column that the others are compared with."""
    architecture: Literal["causal-lm", "encoder"] = "causal-lm"
    """`encoder` for embedding models."""
    embedding: Literal["weighted", "last", "mean"] = "weighted"
    """Position-weighted average of the tokens, the last one, or the plain average (encoders)."""
    keep_first: bool = False
    """Keep the first position, an attention sink, as the official code does; encoders have none."""
    prefix: str = ""
    """Put before every sentence, for encoders that are trained so."""

    def texts(self) -> dict[str, list[str]]:
        """Aligned sentences by language; what cannot be used is left out and named."""
        found, dropped = parallel(Config(corpus=str(self.lines), pivot=self.pivot), clean=without_placeholders)
        for reason in dropped:
            print(f"Left out: {reason}.")
        return found

    def align(self, model: str, texts: Mapping[str, Sequence[str]], *, trained: bool = True) -> dict[str, Alignment]:
        """The alignment of every language, in a model or in one of its shape with random weights."""
        from core.models import loading

        task = self.architecture
        source = loading.load(model, task=task) if trained else loading.untrained(model, seed=0, task=task)
        drop = not self.keep_first and task == "causal-lm" and self.embedding != "last"
        options: Any = {"pivot": self.pivot, "embedding": self.embedding, "prefix": self.prefix}
        return mexa_score(source, texts, drop_first=int(drop), add_bos=drop, **options)


@dataclass(frozen=True, kw_only=True)
class Score(_Lines):
    """Which languages does my model cover, and what would it score in them?"""

    model: str
    """Hub id, folder or wheel."""
    scores: Path | None = None
    """Task scores of some languages: a .tsv of language and score in [0, 1], or the results JSON of lm-eval."""
    english_score: Annotated[float | None, Range(0, 1)] = None
    """The model's task score in the pivot; with it alone, predictions come from the ideal line."""
    out: Path = Path("mexa")
    """Folder of languages.tsv and languages.json."""


@dataclass(frozen=True, kw_only=True)
class Compare(_Lines):
    """By how much does the second model align more of the same sentences?"""

    models: tuple[str, str]
    """Two hub ids, folders or wheels: before and after, or small and large."""


def score(options: Score) -> None:
    """Print the table and write it, each score beside what is reached without knowledge."""
    from core.metrics.stats import pearson
    from papers.mexa.method import mexa

    texts = options.texts()
    known = read_scores(options.scores, texts) if options.scores else {}
    measured = known.pop(options.pivot, None)
    found = options.align(options.model, texts)
    untrained = options.align(options.model, texts, trained=False)
    pooled = {code: a.score for code, a in found.items()}
    english = measured if options.english_score is None else options.english_score
    estimates, fit = estimate_task_scores(pooled, known, english)
    n = len(texts[options.pivot])
    print(f"{options.model}, {n} sentences, mean over layers")
    rows = {}
    for code, a in sorted(found.items(), key=lambda entry: -entry[1].score):
        letters = float(mexa(shared_trigrams(texts[options.pivot], texts[code]).tolist()))
        without = {"untrained": untrained[code].score, "shuffled": a.shuffled, "letters": letters}
        predicted, most = estimates.get(code), max(without.values())
        rows[code] = {
            "score": a.score, "low": a.interval.low, "high": a.interval.high, "max": max(a.curve),
            "best_layer": a.best_layer, "tail": a.tail, "n": n, "task_score": known.get(code), **without,
            "estimate": predicted and predicted.estimate, "estimate_low": predicted and predicted.low,
            "estimate_high": predicted and predicted.high,
        }  # fmt: skip
        told = f"best {max(a.curve):.2f} at layer {a.best_layer:2} (chance < {a.tail:.0e})"
        told += f"  task {known[code]:.2f}" if code in known else ""
        told += f"  predicted {predicted:.2f}" if predicted else ""
        told += f"  without knowledge {most:.2f}"
        told += "  (no more than without knowledge)" if a.interval.low <= most else ""
        print(f"  {code:10} {a.interval:.2f}  {told}")
    write_table(options.out / "languages.tsv", [finite_json({"language": code, **row}) for code, row in rows.items()])
    write_json(
        options.out / "languages.json", {code: {**row, "curve": found[code].curve} for code, row in rows.items()}
    )
    print("Without knowledge: the most that random weights, shuffled sentences and shared letters reach.")
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
        found = stats.compare({0: a.by_sentence}, {0: before[code].by_sentence})
        print(f"  {code:10} {found.control:.3f} -> {found.treatment:.3f}  {found.interval:.2f}")


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
