"""Align your own word vectors, make dictionaries, translate words, compare languages.

    python -m papers.sinhala_alignment.use align cc.en.300.vec cc.si.300.vec en-si.tsv --out en-si
    python -m papers.sinhala_alignment.use translate en-si --words words.txt
    python -m papers.sinhala_alignment.use build raw.tsv --source en-words.txt --target si-words.txt --out dictionaries
    python -m papers.sinhala_alignment.use compare concepts.tsv --vectors en=en.vec si=si.vec es=es.vec

Vectors are files as fastText and word2vec write them (`.vec`, `.vec.gz`), the most frequent words first, or an array
`mine.npy` with its words in `mine.txt`. A dictionary has a source word, a tab and a target word a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools

if TYPE_CHECKING:
    from torch import Tensor

    from papers.sinhala_alignment.data import Pair, Side

STEPS = {"procrustes": 0, "refinement": 5, "rcsls": 20}


@dataclass(frozen=True)
class Settings:
    """How a map is learnt."""

    method: Literal["procrustes", "refinement", "rcsls"] = "rcsls"
    """A rotation; a rotation fitted again to what it pairs; or a free map for retrieval by CSLS."""
    learning_rate: Annotated[float, Range(1e-4)] = 10.0
    """Of rcsls."""
    spectral: bool = False
    """rcsls clips the singular values of its map to at most 1."""
    neighbours: Annotated[int, Range(1)] = 10
    """K of CSLS."""
    center: Literal["columns", "rows", "none"] = "columns"
    """What is taken off the vectors: the vocabulary's mean, each vector's own, or nothing."""
    dimensions: Annotated[int | None, Range(1)] = None
    """Principal components to keep, where a dictionary is small or the widths differ."""
    seed: Seed = 0
    """Draws the words on which the number of steps is chosen, and test words where there is no test dictionary."""


@dataclass(frozen=True)
class Align:
    """Learn the map from one vector file into another, and say how many words it translates."""

    source: tyro.conf.Positional[str]
    """Vectors of the language that asks."""
    target: tyro.conf.Positional[str]
    """Vectors of the language that answers."""
    dictionary: tyro.conf.Positional[Path]
    """Pairs to learn from."""
    test: Path | None = None
    """Pairs to test on, of other source words; left out = a fifth of the dictionary's source words."""
    settings: Annotated[Settings, tyro.conf.OmitArgPrefixes] = field(default_factory=Settings)
    most: Annotated[int, Range(2)] = 200_000
    """Words of either file that are read."""
    text: bool = False
    """Write the mapped vectors as .vec files too."""
    out: Path = Path("aligned")
    """A new folder."""


@dataclass(frozen=True)
class Translate:
    """Translate words with what `align` wrote."""

    aligned: tyro.conf.Positional[Path]
    """Its folder."""
    words: Path
    """One a line."""
    top: Annotated[int, Range(1, 1000)] = 5
    """Translations of a word."""
    retrieval: Literal["csls", "nn"] = "csls"
    """The score: CSLS or cosine."""


@dataclass(frozen=True)
class Build:
    """Make training and test dictionaries without a common source word from a raw one, as the paper does."""

    dictionary: tyro.conf.Positional[Path]
    """All pairs."""
    source: str
    """Source words, the most frequent first, one a line; or vectors."""
    target: str
    """Target words, likewise."""
    train: Annotated[int, Range(1)] = 5000
    """Source words to learn from: the most frequent ones."""
    test: Annotated[int, Range(1)] = 1500
    """Source words after them."""
    most_targets: Annotated[int, Range(1)] = 5
    """Translations of a word."""
    most: Annotated[int, Range(2)] = 200_000
    """Words of either vocabulary."""
    out: Path = Path("dictionaries")
    """A new folder for train.tsv, test.tsv and full.tsv (all but the test words)."""


@dataclass(frozen=True)
class Compare:
    """Align several languages with the first one on the same concepts: which are translated better?"""

    concepts: tyro.conf.Positional[Path]
    """A .tsv, .csv or .jsonl with a column a language code; a row is a concept."""
    vectors: tuple[str, ...]
    """code=file; all others are aligned with the first, and compared with the second."""
    settings: Annotated[Settings, tyro.conf.OmitArgPrefixes] = field(default_factory=Settings)
    share: Annotated[float, Range(0.05, 0.9)] = 0.4
    """Of the concepts, to test on."""
    most: Annotated[int, Range(2)] = 200_000
    """Words of each file that are read."""


class Aligned(NamedTuple):
    """A map and what it does.

    Attributes:
        w: W [width, width]; a source vector x becomes W x.
        source: Source words and their mapped vectors.
        target: Target words and vectors.
        report: Pairs learnt from, steps made, coverage, and precision at 1, 5 and 10 by cosine (nn) and CSLS.
        hits: By search (nn, csls) and test word, 1.0 where the best translation is right.
    """

    w: Tensor
    source: Side
    target: Side
    report: dict[str, Any]
    hits: dict[str, dict[str, float]]


def align_spaces(
    source: tuple[Sequence[str], Any],
    target: tuple[Sequence[str], Any],
    train: Sequence[Pair],
    test: Sequence[Pair],
    settings: Settings = Settings(),
) -> Aligned:
    """Align two spaces by a dictionary.

    Args:
        source: Words, the most frequent first, and their vectors [word, width].
        target: Likewise.
        train: Pairs to learn from; source words that are tested are left out.
        test: Pairs to test on.
        settings: The method.

    Raises:
        UserError: The dictionaries have too few words that the vocabularies know, or the widths differ.
    """
    from papers.sinhala_alignment import data
    from papers.sinhala_alignment.config import Config
    from papers.sinhala_alignment.eval import K, ranks
    from papers.sinhala_alignment.train import fit

    config = Config(pairs=2**62, steps=STEPS[settings.method], **asdict(settings))
    x, y = (data.Side(words, data.prepared(vectors, config)) for words, vectors in (source, target))
    task = data.task("source", "target", x, y, train, test, config)
    w, scores = fit(task, config)
    found = ranks(task, w, config.neighbours)
    hits = {name: {word: float(rank <= 1) for word, rank in by.items()} for name, by in found.items()}
    report: dict[str, Any] = {
        "pairs": len(task.pairs) + len(task.held_out),
        "training coverage": data.looked_up(train, x.words, y.words).coverage,
        "steps": scores.index(max(scores)) if scores else config.steps,
        "test words": len(task.gold),
        "test coverage": task.coverage,
    }
    for name, by in found.items():
        report |= {f"P@{k} {name}": sum(rank <= k for rank in by.values()) / len(by) for k in K}
    return Aligned(w, data.Side(x.words, x.vectors @ w.T), y, report, hits)


def apart(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """A dictionary in two parts that share no source word, the second with this share of them."""
    import random

    words = list(dict.fromkeys(source for source, _ in pairs))
    asked = set(random.Random(seed).sample(words, max(1, round(share * len(words)))))
    return [pair for pair in pairs if pair[0] not in asked], [pair for pair in pairs if pair[0] in asked]


def align(options: Align) -> None:
    """Write the map, the mapped vectors and the report."""
    import numpy as np
    from safetensors.torch import save_file

    from core.corpora.vectors import read_vectors, write_vectors
    from core.files import build_folder, write_json, write_text
    from papers.sinhala_alignment.data import read_dictionary

    _is_new(options.out)
    pairs = read_dictionary(options.dictionary)
    train, test = (pairs, read_dictionary(options.test)) if options.test else apart(pairs, 0.2, options.settings.seed)
    source, target = (read_vectors(path, options.most) for path in (options.source, options.target))
    found = align_spaces(source, target, train, test, options.settings)

    def fill(folder: Path) -> None:
        save_file({"w": found.w.contiguous()}, folder / "map.safetensors")
        write_json(folder / "report.json", {**found.report, **asdict(options.settings)})
        for name, side in (("source", found.source), ("target", found.target)):
            np.save(folder / f"{name}.npy", side.vectors.numpy())
            write_text(folder / f"{name}.txt", "".join(f"{word}\n" for word in side.words))
            if options.text:
                write_vectors(folder / f"{name}.vec", side.words, side.vectors)

    build_folder(options.out, fill)
    for name, value in found.report.items():
        print(f"  {name:18} {value:,}" if isinstance(value, int) else f"  {name:18} {value:.3f}")
    print(f"Wrote {options.out}.")


def translate(options: Translate) -> None:
    """Print the best translations with their scores; a word that the vectors lack gets none."""
    from core.corpora.vectors import read_vectors
    from core.files import read_lines
    from core.tasks.lexicon import Space

    asked = [line.strip() for line in read_lines(options.words) if line.strip()]
    if not (options.aligned / "map.safetensors").exists():
        raise UserError(f"{options.aligned} holds no map: make it with `align`.")
    source, target = (read_vectors(options.aligned / f"{name}.npy") for name in ("source", "target"))
    place = {word: number for number, word in enumerate(source.words)}
    known = [word for word in asked if word in place]
    if not known:
        raise UserError(f"{options.words}: none of its {len(asked)} words is among the source words of the map.")
    space = Space(target.vectors, source.vectors if options.retrieval == "csls" else None)
    found = space.nearest(source.vectors[[place[word] for word in known]], options.top)
    best = dict(zip(known, zip(found.places.tolist(), found.scores.tolist(), strict=True), strict=True))
    for word in asked:
        pairs = zip(*best[word], strict=True) if word in best else ()
        print("\t".join([word, *(f"{target.words[number]} {score:.3f}" for number, score in pairs)]))
    if missing := len(asked) - len(known):
        print(f"{missing} of {len(asked)} words are not among the source words of the map.")


def build(options: Build) -> None:
    """Write the dictionaries and print what they hold."""
    from core.files import build_folder, write_text
    from papers.sinhala_alignment.data import build_dictionaries, read_dictionary, statistics

    _is_new(options.out)
    vocabularies = (_vocabulary(path, options.most) for path in (options.source, options.target))
    built = build_dictionaries(
        read_dictionary(options.dictionary),
        *vocabularies,
        train=options.train,
        test=options.test,
        most=options.most_targets,
    )

    def fill(folder: Path) -> None:
        for name, pairs in built._asdict().items():
            write_text(folder / f"{name}.tsv", "".join(f"{source}\t{target}\n" for source, target in pairs))

    build_folder(options.out, fill)
    for name, pairs in built._asdict().items():
        print(f"  {name:6}", ", ".join(f"{value:,.4g} {what}" for what, value in statistics(pairs).items()))
    print(f"Wrote {options.out}.")


def compare(options: Compare) -> None:
    """Print one table: precision at 1 of every language in both directions, and its distance from the second's."""
    from core.corpora import read_parallel
    from core.corpora.vectors import read_vectors
    from core.metrics import stats

    files = dict(_named(text) for text in options.vectors)
    if len(files) < 3:
        raise UserError("--vectors: name three languages or more, as in en=en.vec si=si.vec es=es.vec.")
    spaces = {code: read_vectors(path, options.most) for code, path in files.items()}
    has = {code: set(found.words) for code, found in spaces.items()}
    rows = [row for row in read_parallel(options.concepts, list(files)) if all(row[c] in has[c] for c in files)]
    pivot, first, *_ = files
    if len(rows) < 10:
        raise UserError(f"{options.concepts}: {len(rows)} concepts are in all vocabularies; ten are needed.")
    split = apart([(row[pivot], row["key"]) for row in rows], options.share, options.settings.seed)
    keys = [{key for _, key in part} for part in split]
    hits: dict[str, dict[str, float]] = {}
    print(f"{len(rows)} concepts in all vocabularies, {len(keys[1])} to test on; P@1 by CSLS, of {pivot} words first")
    for code in list(files)[1:]:
        known, asked = ([(row[pivot], row[code]) for row in rows if row["key"] in part] for part in keys)
        forth = align_spaces(spaces[pivot], spaces[code], known, asked, options.settings)
        known, asked = ([(other, one) for one, other in part] for part in (known, asked))
        back = align_spaces(spaces[code], spaces[pivot], known, asked, options.settings)
        hits[code] = forth.hits["csls"]
        distance = ""
        if code != first:
            found = stats.compare({0: hits[code]}, {0: hits[first]}).interval
            distance = f"   {found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}] from {first}"
        print(f"  {code:8} {forth.report['P@1 csls']:.3f} {back.report['P@1 csls']:.3f}{distance}")


def _named(text: str) -> tuple[str, str]:
    code, sign, path = text.partition("=")
    if not (code and sign and path):
        raise UserError(f"--vectors {text!r}: write code=file, as in si=cc.si.300.vec.")
    return code, path


def _vocabulary(path: str, most: int) -> Sequence[str]:
    from core.corpora.vectors import read_vectors
    from core.files import read_lines

    if path.endswith((".vec", ".vec.gz", ".npy")):
        return read_vectors(path, most).words
    return [line.strip() for line in read_lines(path) if line.strip()][:most]


def _is_new(folder: Path) -> None:
    if folder.exists():
        raise UserError(f"{folder} is there already: choose another folder with --out.")


VERBS: Verbs = {
    "align": (Align, align),
    "translate": (Translate, translate),
    "build": (Build, build),
    "compare": (Compare, compare),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.sinhala_alignment.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
