"""Specialize your own encoder with your own lexicon, and use it as an encoder of words.

    python -m papers.lexical_specialization.use specialize lexicon.csv --model FacebookAI/xlm-roberta-base --out words
    python -m papers.lexical_specialization.use audit lexicon.csv --models FacebookAI/xlm-roberta-base words
    python -m papers.lexical_specialization.use induce words.txt --vocabulary french.txt --model words
    python -m papers.lexical_specialization.use encode words.txt --model words --out vectors.npy

A lexicon is a .csv, .tsv or .jsonl with the columns synset, word, language and perhaps gloss, or with a column per
language code, a synset a line. `specialize` keeps some synsets, and the languages that you name, for its own test.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from core.tasks.lexicon import Nearest
    from papers.lexical_specialization.inputs import Constraint

Layer = Annotated[int, Range(-1)]
Lexicon = Mapping[str, Mapping[str, Sequence[str]]]
"""`{synset: {language: words}}`."""


# --- as a library ---------------------------------------------------------------------------------------------------


def lexicon_of(rows: Iterable[Constraint]) -> Lexicon:
    """The words of each synset, by language."""
    found: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        found[row.synset][row.lang1][row.word1] = None
        found[row.synset][row.lang2][row.word2] = None
    return {key: {code: list(words) for code, words in by.items()} for key, by in found.items()}


def translate(
    loaded: Loaded, words: Sequence[str], vocabulary: Sequence[str], *, top: int = 5, csls: bool = True, layer: int = -1
) -> Nearest:
    """The nearest words of a vocabulary: their places in it and their scores, [word, top].

    Args:
        loaded: Encoder and tokenizer.
        words: What is asked for. CSLS takes them for the source language: ask for many at once.
        vocabulary: What is searched.
        top: How many.
        csls: By CSLS; False: by cosine.
        layer: Whose vectors.

    Raises:
        UserError: A word without a subword, or a layer that the model does not have.
    """
    from core.tasks.lexicon import Space
    from papers.lexical_specialization.method import encode_words

    sources, targets = (encode_words(*loaded, column, (layer,))[0] for column in (words, vocabulary))
    return Space(targets, sources if csls else None).nearest(sources, top)


def audit(loaded: Loaded, lexicon: Lexicon, *, csls: bool = False, layer: int = -1) -> dict[str, dict[str, float]]:
    """Reciprocal ranks by language and synset: its words ask all other languages that have a word of the synset.

    Args:
        loaded: Encoder and tokenizer.
        lexicon: What is asked for; all its words of a language are its vocabulary.
        csls: By CSLS instead of cosine.
        layer: Whose vectors.

    Raises:
        UserError: A word without a subword, or a layer that the model does not have.
    """
    from papers.lexical_specialization.eval import induce
    from papers.lexical_specialization.method import encode_words

    words: dict[str, dict[str, int]] = defaultdict(dict)
    rows: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for key, by_language in lexicon.items():
        for code, members in by_language.items():
            rows[key][code] = [words[code].setdefault(word, len(words[code])) for word in members]
    vectors = {code: encode_words(*loaded, list(column), (layer,))[0] for code, column in words.items()}
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for path, value in induce(vectors, rows, list(words), list(words), csls=csls).items():
        code, _, key = path.partition("/")
        found[code][key] = value
    return dict(found)


def table(before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A line a language: mean reciprocal rank before and after, and the difference with its interval over synsets."""
    from core.metrics.stats import compare

    lines = []
    for code, old in before.items():
        new = after[code]
        said = f"{code:8} {len(old):5} words   {statistics.fmean(old.values()):.3f} -> "
        said += f"{statistics.fmean(new.values()):.3f}"
        if len(old) > 1:
            one, other = ({str(number): value for number, value in enumerate(by.values())} for by in (new, old))
            found = compare({0: one}, {0: other}).interval
            said += f"   {found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        lines.append(said)
    return lines


# --- as a command ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Specialize:
    """Train an encoder with a lexicon; what it is worth is tested on synsets and languages that it has not seen."""

    lexicon: tyro.conf.Positional[str]
    """A file, or a hub data set in the form of umanlp/babelbert-dataset."""
    model: str
    """Hub id, folder or wheel of an encoder."""
    out: Path = Path("specialized")
    """A new folder for encoder and tokenizer."""
    unseen: tuple[str, ...] = ()
    """Languages of the lexicon that are tested and not trained on."""
    test: Annotated[float, Range(0.01, 0.9)] = 0.2
    """Share of the synsets that is tested and not trained on."""
    inputs: Literal["words", "glosses", "glosses_multitask", "joint"] = "words"
    """Words alone, or with their glosses (column gloss)."""
    epochs: Annotated[float, Range(0.01, 1000)] = 2
    """Passes over the constraints (paper: 2)."""
    batch_size: Annotated[int, Range(2, 100_000)] = 256
    """Constraints of one step, whose words are each other's negatives (paper: 256); with few, take fewer."""
    learning_rate: Annotated[float, Range(0, 1)] = 5e-6
    """5e-6 in the paper, for XLM-R and mBERT and thousands of steps; a smaller model and fewer steps want more."""
    seed: Seed = 0
    """Which synsets are tested, and what is drawn."""


@dataclass(frozen=True)
class Audit:
    """Say of each language of a lexicon how much better the second encoder finds its words than the first."""

    lexicon: tyro.conf.Positional[str]
    """A file whose synsets none of the two was trained on."""
    models: tuple[str, str]
    """Two encoders, before and after."""
    layers: tuple[Layer, Layer] = (-1, -1)
    """Whose layers' vectors are compared; -1 is the last."""
    csls: bool = False
    """By CSLS instead of cosine."""


@dataclass(frozen=True)
class Induce:
    """Translate words: the nearest ones of a vocabulary."""

    words: tyro.conf.Positional[Path]
    """A word a line. CSLS takes them for the source language: give many at once."""
    vocabulary: Path
    """A word of the other language a line."""
    model: str
    """The encoder."""
    top: Annotated[int, Range(1)] = 5
    """How many."""
    csls: bool = True
    """By CSLS; --no-csls: by cosine."""
    layer: Layer = -1
    """Whose vectors."""


@dataclass(frozen=True)
class Encode:
    """Write the vectors of words as a NumPy array [word, width]."""

    words: tyro.conf.Positional[Path]
    """A word a line."""
    model: str
    """The encoder."""
    out: Path = Path("vectors.npy")
    """Where to."""
    layer: Layer = -1
    """Whose vectors."""


def specialize(options: Specialize) -> None:
    """Write the encoder and print what it is worth.

    Raises:
        UserError: The folder holds something, the lexicon cannot be used, or nothing is left to train on or to test.
    """
    from core.experiment.run import Run
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.lexical_specialization import data, method
    from papers.lexical_specialization.config import PRESETS

    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise UserError(f"{options.out} is there already: choose another folder with --out.")
    rows = data.read_constraints(options.lexicon)
    languages = {code for row in rows for code in (row.lang1, row.lang2)}
    if unknown := set(options.unseen) - languages:
        raise UserError(f"{options.lexicon} has no language {min(unknown)!r}; it has {', '.join(sorted(languages))}.")
    synsets = sorted({row.synset for row in rows})
    tested = set(random.Random(options.seed).sample(synsets, max(1, round(options.test * len(synsets)))))
    test = lexicon_of(row for row in rows if row.synset in tested)
    # A word of a tested synset may stand in another one, too.
    words = {word for by_language in test.values() for members in by_language.values() for word in members}
    train = [
        row for row in rows if not {row.lang1, row.lang2} & set(options.unseen) and not {row.word1, row.word2} & words
    ]
    loaded = load(options.model, task="encoder", dtype="float32")
    before = audit(loaded, test)
    settings: Any = replace(
        PRESETS["paper"].training,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        max_length=128,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), "lexical_specialization", options, Path(folder))
        method.specialize(*loaded, train, settings, run, inputs=options.inputs, seed=options.seed)
    loaded.model.eval()
    save_pretrained(loaded.model, options.out, loaded.tokenizer)
    print(f"{len(train)} constraints of {len(synsets) - len(tested)} synsets; mean reciprocal rank in {len(tested)}:")
    for line in table(before, audit(loaded, test)):
        print(f"  {line}{'   no constraints' if line.split()[0] in options.unseen else ''}")
    print(f"Wrote {options.out}.")


def compare_models(options: Audit) -> None:
    """Print a line a language.

    Raises:
        UserError: No such model or lexicon, or a layer that a model does not have.
    """
    from core.models.loading import load
    from papers.lexical_specialization import data

    lexicon = lexicon_of(data.read_constraints(options.lexicon))
    found = [
        audit(load(model, task="encoder"), lexicon, csls=options.csls, layer=layer)
        for model, layer in zip(options.models, options.layers, strict=True)
    ]
    print(f"Mean reciprocal rank, layers {options.layers[0]} and {options.layers[1]}")
    for line in table(*found):
        print(f"  {line}")


def induce(options: Induce) -> None:
    """Print `word, rank, translation, score`, separated by tabs.

    Raises:
        UserError: No such model or file, or a word that cannot be read.
    """
    from core.models.loading import load

    words, vocabulary = _words(options.words), _words(options.vocabulary)
    loaded = load(options.model, task="encoder")
    found = translate(loaded, words, vocabulary, top=options.top, csls=options.csls, layer=options.layer)
    for word, places, scores in zip(words, found.places.tolist(), found.scores.tolist(), strict=True):
        for rank, (place, score) in enumerate(zip(places, scores, strict=True), start=1):
            print(f"{word}\t{rank}\t{vocabulary[place]}\t{score:.4f}")


def encode(options: Encode) -> None:
    """Write the array.

    Raises:
        UserError: No such model or file, or a word that cannot be read.
    """
    import numpy as np

    from core.files import replacing
    from core.models.loading import load
    from papers.lexical_specialization.method import encode_words

    words = _words(options.words)
    vectors = encode_words(*load(options.model, task="encoder"), words, (options.layer,))[0]
    with replacing(options.out) as path, path.open("wb") as file:
        np.save(file, vectors.numpy(), allow_pickle=False)
    print(f"Wrote {options.out}: {vectors.shape[0]} words, {vectors.shape[1]} numbers each, layer {options.layer}.")


def _words(path: Path) -> list[str]:
    from core.files import read_lines

    words = list(dict.fromkeys(line.strip() for line in read_lines(path) if line.strip()))
    if not words:
        raise UserError(f"{path} is empty: write a word a line.")
    return words


VERBS: Verbs = {
    "specialize": (Specialize, specialize),
    "audit": (Audit, compare_models),
    "induce": (Induce, induce),
    "encode": (Encode, encode),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.lexical_specialization.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
