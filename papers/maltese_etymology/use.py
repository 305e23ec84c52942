"""Process text of a mixed language, transliterate words, test a classifier of origins.

    python -m papers.maltese_etymology.use process text.txt --out processed.jsonl
    python -m papers.maltese_etymology.use transliterate words.txt --rankers pieces:wheel:e5-small short
    python -m papers.maltese_etymology.use evaluate annotations.tsv --folds 10

Maltese and a small Swahili are bundled. Another mixed language is a folder of data files (see data.py), named with
`--language`: a map of characters, a closed class, labelled words and what is done with each label.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools

LONGEST = 200
"""Characters of a word."""


@dataclass(frozen=True)
class Process:
    """Label the tokens of a text with their origin and write it in two scripts."""

    text: tyro.conf.Positional[Path]
    """A line a text, or JSON lines with a list `tokens`."""
    language: str = "maltese"
    """A bundled language (maltese, swahili), or a folder with its data files."""
    pipeline: str = "X_ara/P"
    """A row of its pipelines.tsv."""
    annotations: str = ""
    """Labelled tokens (.tsv or .jsonl) to learn from; left out = those in the language's folder."""
    rankers: tuple[str, ...] = ()
    """words:ar, letters:ar, short, pieces:MODEL, kenlm:FILE; left out = the language's own."""
    translations: tuple[str, ...] = ()
    """Tables for pipelines that translate, NAME=FILE."""
    out: Path = Path("processed.jsonl")
    """A line a text: tokens, labels, processed, joins, and the text as it is written."""


@dataclass(frozen=True)
class Transliterate:
    """Write words in the other script: the chosen reading, and all that the scheme allows."""

    words: tyro.conf.Positional[Path]
    """A word a line."""
    language: str = "maltese"
    """A bundled language, or a folder with its data files."""
    rankers: tuple[str, ...] = ()
    """words:ar, letters:ar, short, pieces:MODEL, kenlm:FILE; left out = the language's own."""
    deterministic: bool = False
    """Take the plain spelling, whatever the rankers."""


@dataclass(frozen=True)
class Evaluate:
    """Cross-validate a classifier of origins on labelled sentences: seen and unseen tokens, every label."""

    annotations: tyro.conf.Positional[str]
    """A .tsv with id, token and category_merged (or label), or JSON lines with tokens and labels."""
    language: str = "maltese"
    """A bundled language, or a folder with its data files."""
    kind: Literal["mle", "crf", "mle+crf", "distance"] = "mle+crf"
    """Which classifier."""
    folds: Annotated[int, Range(2)] = 10
    """Parts of the sentences."""
    seed: Seed = 42
    """Of their draw."""


def process(options: Process) -> None:
    """Write the processed text.

    Raises:
        UserError: No such language, pipeline, text or table.
    """
    from core import corpora
    from core.files import read_lines, write_rows
    from papers.maltese_etymology import data, etymology, method

    language = data.language(options.language)
    if options.text.suffix.lower() == ".jsonl":
        rows = corpora.read_jsonl(options.text, {"tokens": list})
        texts = list(corpora.adapted(options.text, rows, lambda row, _: _tokens(row["tokens"])))
    else:
        texts = [data.tokenize(line, language.scheme) for line in read_lines(options.text) if line.strip()]
    if not texts:
        raise UserError(f"{options.text} is empty: write a text a line.")
    known, tables = data.labelled(language, options.annotations), data.translations(options.translations)
    actions = language.actions(options.pipeline, language.rankers(options.rankers), tables)
    classifier = etymology.Classifier.fit(known, etymology.features_of(language, options.rankers))
    labels = classifier.predict(texts)
    found = [method.process(tokens, given, actions) for tokens, given in zip(texts, labels, strict=True)]
    write_rows(
        options.out,
        (
            {
                "tokens": [one.token for one in text],
                "labels": [one.label for one in text],
                "processed": [one.text for one in text],
                "joins": [one.joins for one in text],
                "text": method.written(text),
            }
            for text in found
        ),
    )
    changed = sum(one.changed for text in found for one in text)
    missed = sum(sum(table.missed.values()) for table in tables.values())
    print(f"{len(found)} texts, {sum(map(len, found))} tokens, {changed} processed, {missed} without a translation.")
    print(f"Wrote {options.out}.")


def _tokens(tokens: Sequence[object]) -> list[str]:
    if not tokens or not all(isinstance(token, str) and token.strip() for token in tokens):
        raise UserError("tokens must be a list of words.")
    return [str(token) for token in tokens]


def transliterate(options: Transliterate) -> None:
    """Print a line of JSON for each word.

    Raises:
        UserError: No such language, ranker or file.
    """
    from core.files import read_lines
    from papers.maltese_etymology import data, method

    language = data.language(options.language)
    words = [line.strip() for line in read_lines(options.words) if line.strip()]
    if not words:
        raise UserError(f"{options.words} is empty: write a word a line.")
    if long := next((word for word in words if len(word) > LONGEST), None):
        raise UserError(f"{options.words} has a word of {len(long)} characters ({long[:20]}...): write a word a line.")
    rankers = () if options.deterministic else language.rankers(options.rankers)
    for word in words:
        chosen = method.transliterate(word, language.scheme, rankers)
        closed = language.scheme.fold(word) in language.scheme.closed
        readings = [chosen] if closed else list(language.scheme.readings(word))
        print(json.dumps({"word": word, "chosen": chosen, "readings": readings}, ensure_ascii=False))


def evaluate(options: Evaluate) -> None:
    """Print accuracy and F1, seen and unseen, by label, and what is taken for what.

    Raises:
        UserError: No such file or language, or too few sentences.
    """
    from papers.maltese_etymology import data, etymology

    language = data.language(options.language)
    sentences = data.labelled_tokens(options.annotations)
    features = etymology.features_of(language)
    tested = etymology.cross_validate(sentences, features, folds=options.folds, seed=options.seed)
    if options.kind not in tested.labels:
        raise UserError(f"{language.name} has no {options.kind} classifier: choose one of {', '.join(tested.labels)}.")
    found = etymology.report(sentences, tested, options.kind)
    for part in ("all", "seen", "unseen"):
        scores = "  ".join(f"{name} {value:.3f}" for name, value in found[part].items() if name != "tokens")
        print(f"{part:8}{found[part]['tokens']:7d} tokens  {scores}")
    for label, scores in found["labels"].items():
        mistaken = ", ".join(f"{n} {v:.2f}" for n, v in found["confusion"][label].items() if n != label and v >= 0.005)
        numbers = "  ".join(f"{name} {scores[name]:.3f}" for name in ("precision", "recall", "f1-score"))
        print(f"{label:16}{numbers}  {scores['support']:.0f} tokens{mistaken and f'  taken for {mistaken}'}")


VERBS: Verbs = {
    "process": (Process, process),
    "transliterate": (Transliterate, transliterate),
    "evaluate": (Evaluate, evaluate),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.maltese_etymology.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
