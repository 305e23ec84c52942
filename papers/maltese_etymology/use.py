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
from typing import Annotated

import tyro

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """What every verb asks."""

    language: str = "maltese"
    """A bundled language (maltese, swahili), or a folder with its data files."""
    rankers: tuple[str, ...] = ()
    """words:ar, short, pieces:MODEL, kenlm:FILE, letters:FILE; left out = the first two, in the other script's
    language."""


@dataclass(frozen=True, kw_only=True)
class Process(Mixed):
    """Label the tokens of a text with their origin and write it in two scripts."""

    text: tyro.conf.Positional[Path]
    """A line a text, or JSON lines with a list `tokens`."""
    pipeline: str = "X_ara/P"
    """A row of the language's pipelines.tsv."""
    annotations: str = ""
    """Labelled tokens (.tsv or .jsonl) to learn from; left out = those in the language's folder."""
    translations: tuple[str, ...] = ()
    """Tables for pipelines that translate and for the classifier, NAME=FILE, such as mt-ar=mt-ar.tsv."""
    out: Path = Path("processed.jsonl")
    """A line a text: tokens, labels, processed, joins, and the text as it is written."""


@dataclass(frozen=True, kw_only=True)
class Transliterate(Mixed):
    """Write words in the other script: the chosen reading, the deterministic one, and all that the scheme allows."""

    words: tyro.conf.Positional[Path]
    """A word a line."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(Mixed):
    """Cross-validate the classifiers of origins on labelled sentences: seen and unseen tokens, every label."""

    annotations: tyro.conf.Positional[str]
    """A .tsv with id, token and category_merged (or label), or JSON lines with tokens and labels."""
    translations: tuple[str, ...] = ()
    """Tables for the classifier, NAME=FILE."""
    folds: Annotated[int, Range(2)] = 10
    """Parts of the sentences."""


def process(options: Process) -> None:
    """Write the processed text."""
    from core import corpora
    from core.files import read_lines, write_rows
    from papers.maltese_etymology import data, method
    from papers.maltese_etymology.etymology import Classifier, Features

    language = data.language(options.language)
    if options.text.suffix.lower() == ".jsonl":
        rows = corpora.read_jsonl(options.text, {"tokens": list})["tokens"]
        texts = list(corpora.adapted(options.text, rows, lambda tokens, _: data.checked(tokens, tokens).words))
    else:
        texts = [tuple(data.tokenize(line, language.scheme)) for line in read_lines(options.text) if line.strip()]
    if not texts:
        raise UserError(f"{options.text} is empty: write a text a line.")
    known, tables = data.labelled(language, options.annotations), data.translations(options.translations)
    actions = language.actions(options.pipeline, language.rankers(options.rankers), tables)
    labels = Classifier.fit(known, Features(language, options.rankers, tables)).predict(texts)["mle+crf"]
    found = [method.process(tokens, given, actions) for tokens, given in zip(texts, labels, strict=True)]
    columns = {"tokens": "token", "labels": "label", "processed": "text", "joins": "joins"}
    rows = [{name: [getattr(one, part) for one in text] for name, part in columns.items()} for text in found]
    write_rows(options.out, (row | {"text": method.written(text)} for row, text in zip(rows, found, strict=True)))
    changed = sum(one.changed for text in found for one in text)
    missed = sum(table.missed for table in tables.values())
    print(f"{len(found)} texts, {sum(map(len, found))} tokens, {changed} processed, {missed} without a translation.")
    print(f"Wrote {options.out}.")


def transliterate(options: Transliterate) -> None:
    """Print a line of JSON for each word."""
    from core.corpora.lexicons import read_vocabulary
    from papers.maltese_etymology import data, method

    language, words = data.language(options.language), read_vocabulary(options.words)
    scheme, rankers = language.scheme, language.rankers(options.rankers)
    for word in words:
        chosen, plain = (method.transliterate(word, scheme, given) for given in (rankers, ()))
        readings = [chosen] if scheme.fold(word) in scheme.closed else list(scheme.readings(word))
        row = {"word": word, "chosen": chosen, "plain": plain, "readings": readings}
        print(json.dumps(row, ensure_ascii=False))


def evaluate(options: Evaluate) -> None:
    """Print, for every classifier, accuracy and F1 of seen and unseen tokens, by label, and what is taken for what."""
    from papers.maltese_etymology import data
    from papers.maltese_etymology.etymology import Features, cross_validate, report

    sentences = data.labelled_tokens(options.annotations)
    tables = data.translations(options.translations)
    features = Features(data.language(options.language), options.rankers, tables)
    tested = cross_validate(sentences, features, folds=options.folds)
    for kind in tested.labels:
        print(report(sentences, tested, kind))


VERBS: Verbs = {
    "process": (Process, process),
    "transliterate": (Transliterate, transliterate),
    "evaluate": (Evaluate, evaluate),
}

TRY = Try(
    command="process {data} --out {out}/processed.jsonl",
    data="text in a mixed language, a sentence a line.",
    means="Every word with its likely origin, and the text with the words of one origin in another script.",
    limits="Origins are a classifier's: evaluate it on words whose origin you know. Whether the text is understood "
    "better is the encoder's affair.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.maltese_etymology.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
