"""Specialize your own encoder with your own lexicon, and use it as an encoder of words.

    python -m papers.lexical_specialization.use specialize lexicon.csv --model FacebookAI/xlm-roberta-base --out words
    python -m papers.lexical_specialization.use induce words.txt --vocabulary french.txt --model words

A lexicon is a .csv, .tsv or .jsonl with the columns synset, word, language and perhaps gloss, or with a column per
language code, a synset a line. `specialize` keeps some synsets, and the languages that you name, for its own test.
"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from core.training.config import TrainingConfig
from papers.lexical_specialization.config import PRESETS

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from core.tasks.lexicon import Nearest
    from papers.lexical_specialization.inputs import Constraint

Layer = Annotated[int, Range(-1)]
Ranks = dict[str, dict[str, float]]
"""Reciprocal rank by language and synset."""


def translate(
    loaded: Loaded, words: Sequence[str], vocabulary: Sequence[str], *, top: int = 5, csls: bool = True, layer: int = -1
) -> Nearest:
    """The nearest words of a vocabulary: their places in it and their scores, [word, top].

    CSLS takes `words` for the source language: ask for many at once. Raises as `encode_words` does.
    """
    from core.tasks.lexicon import Space
    from papers.lexical_specialization.method import encode_words

    sources, targets = (encode_words(*loaded, column, (layer,))[0] for column in (words, vocabulary))
    return Space(targets, sources if csls else None).nearest(sources, top)


def audit(loaded: Loaded, rows: Iterable[Constraint], layer: int = -1) -> Ranks:
    """How well each language's words find the others' words of their synset; raises as `encode_words` does."""
    from core.tasks.lexicon import induce
    from papers.lexical_specialization.method import encode_words

    words: dict[str, dict[str, int]] = defaultdict(dict)
    synsets: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        for word, code in ((row.word1, row.lang1), (row.word2, row.lang2)):
            synsets[row.synset][code].add(words[code].setdefault(word, len(words[code])))
    vectors = {code: encode_words(*loaded, list(column), (layer,))[0] for code, column in words.items()}
    asked = {key: {code: sorted(places) for code, places in by.items()} for key, by in synsets.items()}
    found: Ranks = defaultdict(dict)
    for path, value in induce(vectors, asked, list(words), list(words)).items():
        code, _, key = path.partition("/")
        found[code][key] = value
    return dict(found)


def table(before: Ranks, after: Ranks) -> dict[str, str]:
    """By language: mean reciprocal rank before and after, and the difference with its 95 % interval over synsets."""
    from core.metrics.comparison import change

    values = {code: [list(by[code].values()) for by in (before, after)] for code in before}
    return {code: f"{code:8} {len(old):5} synsets   {change(old, new)}" for code, (old, new) in values.items()}


@dataclass(frozen=True)
class Specialize:
    """Train an encoder with a lexicon; say what it is worth on synsets and languages that it has not seen."""

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
    glosses: bool = False
    """Read every word with its gloss in training."""
    training: TrainingConfig = PRESETS["paper"].training
    """The paper's, for XLM-R and thousands of steps. The words of a step are each other's negatives: a few hundred
    constraints, and smaller encoders, want a smaller batch and a higher learning rate (24, 3e-5)."""
    seed: Seed = 0
    """Which synsets are tested, and what is drawn."""


@dataclass(frozen=True)
class Audit:
    """Say by language how much better the second encoder finds the words of a lexicon than the first."""

    lexicon: tyro.conf.Positional[str]
    """A file; the synsets have to be new to both."""
    models: tuple[str, str]
    """Two encoders, before and after."""
    layers: tuple[Layer, Layer] = (-1, -1)
    """Whose vectors; -1 is the last."""


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
    """Whose vectors; -1 is the last."""


@dataclass(frozen=True)
class Induce:
    """Translate words: print `word, rank, nearest word, score`, with tabs between them."""

    words: tyro.conf.Positional[Path]
    """A word a line."""
    vocabulary: Path
    """A word of the other language a line."""
    model: str
    """The encoder."""
    top: Annotated[int, Range(1)] = 5
    """How many nearest words."""
    csls: bool = True
    """By CSLS, which takes the words for the source language: give many at once; --no-csls: by cosine."""
    layer: Layer = -1
    """Whose vectors; -1 is the last."""


def _specialize(options: Specialize) -> None:
    from core.experiment.run import Run
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.lexical_specialization import data, method

    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise UserError(f"{options.out} is there already: choose another folder with --out.")
    rows = data.read_constraints(options.lexicon)
    languages = sorted({code for row in rows for code in (row.lang1, row.lang2)})
    if unknown := set(options.unseen) - set(languages):
        raise UserError(f"{options.lexicon} has no language {min(unknown)!r}; it has {', '.join(languages)}.")
    synsets = sorted({row.synset for row in rows})
    tested = set(random.Random(options.seed).sample(synsets, max(1, round(options.test * len(synsets)))))
    test = [row for row in rows if row.synset in tested]
    words = {word for row in test for word in (row.word1, row.word2)}  # which other synsets may have, too
    seen = [row for row in rows if {row.lang1, row.lang2}.isdisjoint(options.unseen)]
    train = [row for row in seen if {row.word1, row.word2}.isdisjoint(words)]
    loaded = load(options.model, task="encoder", dtype="float32")
    before = audit(loaded, test)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), "lexical_specialization", options, Path(folder))
        method.specialize(*loaded, train, options.training, run, glosses=options.glosses, seed=options.seed)
    save_pretrained(loaded.model.eval(), options.out, loaded.tokenizer)
    print(f"{len(train)} constraints. Mean reciprocal rank in {len(tested)} other synsets:")
    for code, line in table(before, audit(loaded, test)).items():
        print(f"  {line}{'   no constraints' if code in options.unseen else ''}")
    print(f"Wrote {options.out}.")


def _audit(options: Audit) -> None:
    from core.models.loading import load
    from papers.lexical_specialization.data import read_constraints

    rows, both = read_constraints(options.lexicon), zip(options.models, options.layers, strict=True)
    found = [audit(load(model, task="encoder"), rows, layer) for model, layer in both]
    print(f"Mean reciprocal rank, layers {options.layers[0]} and {options.layers[1]}")
    print(*table(*found).values(), sep="\n")


def _induce(options: Induce) -> None:
    from core.corpora.lexicons import read_vocabulary
    from core.models.loading import load

    words, vocabulary = read_vocabulary(options.words), read_vocabulary(options.vocabulary)
    loaded = load(options.model, task="encoder")
    found = translate(loaded, words, vocabulary, top=options.top, csls=options.csls, layer=options.layer)
    for word, places, scores in zip(words, found.places.tolist(), found.scores.tolist(), strict=True):
        for rank, (place, score) in enumerate(zip(places, scores, strict=True), start=1):
            print(f"{word}\t{rank}\t{vocabulary[place]}\t{score:.4f}")


def _encode(options: Encode) -> None:
    import numpy as np

    from core.corpora.lexicons import read_vocabulary
    from core.files import replacing
    from core.models.loading import load
    from papers.lexical_specialization.method import encode_words

    words = read_vocabulary(options.words)
    vectors = encode_words(*load(options.model, task="encoder"), words, (options.layer,))[0]
    with replacing(options.out) as path, path.open("wb") as file:
        np.save(file, vectors.numpy(), allow_pickle=False)
    print(f"Wrote {options.out}: {vectors.shape[0]} words, {vectors.shape[1]} numbers each, layer {options.layer}.")


VERBS: Verbs = {
    "specialize": (Specialize, _specialize),
    "audit": (Audit, _audit),
    "induce": (Induce, _induce),
    "encode": (Encode, _encode),
}

TRY = Try(
    command="specialize {data} --model {model} --out {out}/specialized",
    data="synonyms or translations, two words a row.",
    means="An encoder whose vectors of words are nearer to those of their synonyms, with precision before and after "
    "on words that were left out.",
    limits="It is an encoder of words; sentences may have become worse. Check the languages without a synonym in the "
    "file (`--unseen`).",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.lexical_specialization.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
