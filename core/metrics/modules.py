"""`evaluate.Metric` modules over the pure functions: the ecosystem's interface, without its downloads.

`evaluate.load("chrf")` fetches a script from the hub and runs it; `core.metrics.load("chrf")` gives an object with the
same `compute`, `add` and `add_batch` that needs neither network nor foreign code.
"""

from __future__ import annotations

import difflib
import inspect
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import evaluate
from datasets import Features, Value
from datasets import Sequence as Repeated

from core.errors import UserError
from core.metrics import answers, classification, confusion, correlations, retrieval, translation
from core.text.languages import language

_LABELS = [
    Features({"predictions": Value("string"), "references": Value("string")}),
    Features({"predictions": Value("int64"), "references": Value("int64")}),
]
_TEXTS = [
    Features({"predictions": Value("string"), "references": Repeated(Value("string"))}),
    Features({"predictions": Value("string"), "references": Value("string")}),
]
_NUMBERS = Features({"predictions": Value("float64"), "references": Value("float64")})
_RANKING = Features({"predictions": Repeated(Value("float64")), "references": Value("int64")})


@dataclass(frozen=True)
class Specification:
    """What a module computes.

    Attributes:
        description: One sentence.
        citation: Source.
        features: Types of predictions and references, or alternatives.
        compute: `(predictions, references, **options) -> {name: value}`.
    """

    description: str
    citation: str
    features: Features | list[Features]
    compute: Callable[..., dict[str, Any]]


def _accuracy(predictions: Sequence[Any], references: Sequence[Any]) -> dict[str, float]:
    return {"accuracy": classification.accuracy(predictions, references)}


def _macro_f1(
    predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[Any] | None = None
) -> dict[str, float]:
    return {"macro_f1": classification.macro_f1(predictions, references, labels)}


def _bleu(predictions: Sequence[str], references: Sequence[Any], language: str | None = None) -> dict[str, Any]:
    return asdict(translation.bleu(predictions, references, language))


def _chrf(predictions: Sequence[str], references: Sequence[Any], word_order: int = 0) -> dict[str, Any]:
    return asdict(translation.chrf(predictions, references, word_order))


def _chrf_plus_plus(predictions: Sequence[str], references: Sequence[Any]) -> dict[str, Any]:
    return asdict(translation.chrf(predictions, references, word_order=2))


def _retrieval(
    predictions: Sequence[Sequence[float]], references: Sequence[int], k: int = 1, ties: retrieval.Ties = "fail"
) -> dict[str, float]:
    return {f"accuracy_at_{k}": retrieval.accuracy_at_k(predictions, k, references, ties)}


def _confusion(
    predictions: Sequence[str], references: Sequence[str], others: Sequence[str] | None = None, minimum_words: int = 5
) -> dict[str, float]:
    groups: dict[str, list[str]] = {}
    for response, code in zip(predictions, references, strict=True):
        groups.setdefault(language(code).bcp47, []).append(response)
    found = {
        code: asdict(confusion.language_confusion(group, code, others=others, minimum_words=minimum_words))
        for code, group in groups.items()
    }
    result: dict[str, float] = {}
    for name in ("line_pass_rate", "word_pass_rate", "pass_rate", "line_accuracy"):
        values = [rates[name] for rates in found.values() if rates[name] == rates[name]]
        result[name] = sum(values) / len(values) if values else float("nan")
    return result


def _pearson(predictions: Sequence[float], references: Sequence[float]) -> dict[str, float]:
    return {"pearson": correlations.pearson(predictions, references)}


def _spearman(predictions: Sequence[float], references: Sequence[float]) -> dict[str, float]:
    return {"spearman": correlations.spearman(predictions, references)}


SPECIFICATIONS: dict[str, Specification] = {
    "accuracy": Specification("Share of predictions that equal their reference, in [0, 1].", "", _LABELS, _accuracy),
    "macro_f1": Specification("Unweighted mean of the F1 of all labels, in [0, 1].", "", _LABELS, _macro_f1),
    "squad": Specification(
        "Exact match and token F1 of free-text answers in any language, in [0, 1]; option: language.",
        "Rajpurkar et al. 2016 (arXiv:1606.05250); Lewis et al. 2020 (arXiv:1910.07475)",
        _TEXTS,
        answers.squad,
    ),
    "bleu": Specification(
        "Corpus BLEU in [0, 100] with sacrebleu's signature; option: language.",
        "Post 2018 (arXiv:1804.08771)",
        _TEXTS,
        _bleu,
    ),
    "chrf": Specification(
        "Corpus chrF in [0, 100] with sacrebleu's signature; option: word_order.",
        "Popović 2015 (W15-3049)",
        _TEXTS,
        _chrf,
    ),
    "chrf++": Specification(
        "Corpus chrF++ in [0, 100] with sacrebleu's signature.", "Popović 2017 (W17-4770)", _TEXTS, _chrf_plus_plus
    ),
    "retrieval": Specification(
        "Accuracy at k of the right candidate's similarity score; options: k, ties.", "", _RANKING, _retrieval
    ),
    "language_confusion": Specification(
        "Line and word pass rates, averaged over languages; predictions are responses, references language codes.",
        "Marchisio et al. 2024 (arXiv:2406.20052)",
        Features({"predictions": Value("string"), "references": Value("string")}),
        _confusion,
    ),
    "pearson": Specification("Pearson's r.", "", _NUMBERS, _pearson),
    "spearman": Specification("Spearman's rho with mid-ranks.", "", _NUMBERS, _spearman),
}


class Module(evaluate.Metric):
    """The one module class; what it computes is in its specification."""

    def __init__(self, name: str, defaults: Mapping[str, Any]) -> None:
        self._specification = SPECIFICATIONS[name]
        self._defaults = dict(defaults)
        # Kept in memory, nothing is written, but evaluate insists on a folder that it could write to.
        folder = Path(tempfile.gettempdir()) / "multilingual-papers-metrics"
        super().__init__(keep_in_memory=True, cache_dir=str(folder))
        self.info.module_name = name

    def _info(self) -> evaluate.MetricInfo:
        specification = self._specification
        return evaluate.MetricInfo(
            description=specification.description,
            citation=specification.citation,
            inputs_description=inspect.getdoc(specification.compute) or specification.description,
            features=specification.features,
        )

    def _compute(self, *, predictions: Any, references: Any, **options: Any) -> dict[str, Any]:
        return self._specification.compute(predictions, references, **{**self._defaults, **options})


def build(name: str, defaults: Mapping[str, Any]) -> Module:
    """A module by name.

    Raises:
        UserError: unknown metric or option.
    """
    if name not in SPECIFICATIONS:
        close = difflib.get_close_matches(name.lower(), SPECIFICATIONS, n=3, cutoff=0.4)
        hint = (
            f"did you mean {' or '.join(map(repr, close))}"
            if close
            else f"it must be one of {', '.join(SPECIFICATIONS)}"
        )
        raise UserError(f"Unknown metric {name!r}: {hint}?" if close else f"Unknown metric {name!r}: {hint}.")
    known = list(inspect.signature(SPECIFICATIONS[name].compute).parameters)[2:]
    for option in defaults:
        if option not in known:
            raise UserError(f"Metric {name!r} takes no option {option!r}; it takes {', '.join(known) or 'none'}.")
    return Module(name, defaults)
