"""Two vocabularies with their vectors and a dictionary between them, from files or from the tiny world.

A dictionary is a file with a source word and a target word a line, with a tab or white space between them. Words that
a vocabulary lacks are counted and left out; precision counts source words, each with all its translations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import UserError
from core.files import read_json, read_lines, write_json
from papers.sinhala_alignment.config import Config

if TYPE_CHECKING:
    from torch import Tensor

    from core.experiment.run import Run

Pair = tuple[str, str]
# Dative, genitive and ablative of Sinhala words in -ාව.
ENDING, CASES = "ව", ("වට", "වේ", "වෙන්")


class Side(NamedTuple):
    """Words and their vectors, [word, width], scaled and centred."""

    words: Sequence[str]
    vectors: Tensor


class Looked(NamedTuple):
    """A dictionary in places: of each source word those of its translations; and which share of its source words."""

    places: dict[int, list[int]]
    coverage: float


class Task(NamedTuple):
    """One direction.

    Attributes:
        source: Code of the language that asks.
        target: Code of the language that answers.
        x: Source vectors.
        y: Target vectors.
        pairs: The dictionary to fit a map to, places [pair, 2].
        held_out: Pairs of other source words of the dictionary, on which the number of steps is chosen.
        gold: By unit (a concept, a word): the place of a test word and of its translations.
        coverage: Share of the test words that both vocabularies know.
    """

    source: str
    target: str
    x: Tensor
    y: Tensor
    pairs: Tensor
    held_out: Tensor
    gold: dict[str, tuple[int, set[int]]]
    coverage: float

    @property
    def name(self) -> str:
        """`en-si`."""
        return f"{self.source}-{self.target}"


def tasks(config: Config, run: Run) -> Iterator[Task]:
    """Both directions of every language."""
    from papers.sinhala_alignment import miniature

    read = miniature.read if config.dictionary == "names" else _files
    for language in config.languages:
        for source, target in (("en", language), (language, "en")):
            x, y, train, test, units = read(config, run, source, target)
            if config.forms:
                train, test = with_forms(train, test, (x, y)[source == "en"].words, int(source == "en"))
            yield task(source, target, x, y, train, test, config, units)


def task(
    source: str,
    target: str,
    x: Side,
    y: Side,
    train: Iterable[Pair],
    test: Iterable[Pair],
    config: Config,
    units: dict[str, str] | None = None,
) -> Task:
    """A task from words.

    Args:
        source: Code of the source language.
        target: Code of the target language.
        x: Source side.
        y: Target side.
        train: The seed dictionary; source words that are tested are left out of it.
        test: What is asked.
        config: How many pairs, which share is held out, whether they are shuffled, and the seed.
        units: Name of each test word; by default the word itself.

    Raises:
        UserError: Nothing to learn from, or nothing to test on, is in both vocabularies; vectors of unlike widths.
    """
    import numpy as np
    import torch

    asked = looked_up(test, x.words, y.words)
    known = looked_up(train, x.words, y.words).places
    if x.vectors.shape[1] != y.vectors.shape[1]:
        raise UserError(
            f"{source} has {x.vectors.shape[1]} numbers a word and {target} {y.vectors.shape[1]}: take as many "
            "principal components of both (dimensions)."
        )
    sources = [place for place in known if place not in asked.places][: config.pairs]
    if len(sources) < 2 or not asked.places:
        raise UserError(
            f"{source}-{target}: {len(sources)} words of the seed dictionary and {len(asked.places)} of the test are "
            "in both vocabularies: give vectors and dictionaries of the same languages, in this order."
        )
    rng = np.random.default_rng([config.seed, 1])
    pairs = [(place, other) for place in sources for other in known[place]]
    if config.shuffled:
        others = rng.permutation([other for _, other in pairs]).tolist()
        pairs = [(place, other) for (place, _), other in zip(pairs, others, strict=True)]
    held = set(rng.permutation(sources)[: round(config.held_out * len(sources))].tolist())
    fitted, kept = ([pair for pair in pairs if (pair[0] in held) == side] for side in (False, True))
    units = units or {}
    gold = {
        units.get(x.words[place], x.words[place]).replace("/", "-"): (place, set(right))
        for place, right in asked.places.items()
    }

    def tensor(part: list[tuple[int, int]]) -> Tensor:
        return torch.tensor(part, dtype=torch.long, device=x.vectors.device).reshape(-1, 2)

    return Task(source, target, x.vectors, y.vectors, tensor(fitted), tensor(kept), gold, asked.coverage)


# --- dictionaries --------------------------------------------------------------------------------------------------


def read_dictionary(path: str | Path) -> list[Pair]:
    """Pairs of a file in its order, each once.

    Raises:
        UserError: No such file, a line without two words, no line.
    """
    pairs: dict[Pair, None] = {}
    for number, line in enumerate(read_lines(path), start=1):
        cells = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
        if not line.strip():
            continue
        if len(cells) != 2 or not all(cells):
            raise UserError(f"{path}, line {number}: give a source word and a target word, with a tab between them.")
        pairs[cells[0], cells[1]] = None
    if not pairs:
        raise UserError(f"{path} holds no pair of words: give a source word, a tab and a target word a line.")
    return list(pairs)


def looked_up(pairs: Iterable[Pair], source: Sequence[str], target: Sequence[str]) -> Looked:
    """Places of the pairs that both vocabularies know, in the order of the dictionary, and the coverage."""
    left, right = ({word: place for place, word in enumerate(words)} for words in (source, target))
    places: dict[int, list[int]] = {}
    every = set()
    for one, other in pairs:
        every.add(one)
        if one in left and other in right:
            places.setdefault(left[one], []).append(right[other])
    return Looked(places, len(places) / max(1, len(every)))


def with_forms(
    train: Sequence[Pair], test: Sequence[Pair], vocabulary: Collection[str], side: int
) -> tuple[list[Pair], list[Pair]]:
    """Both dictionaries with the case forms that a vocabulary has, each form where its base stands.

    Args:
        train: To learn from.
        test: To ask for.
        vocabulary: Of Sinhala.
        side: Where the Sinhala word of a pair stands.
    """
    vocabulary = set(vocabulary)
    taken = {pair[side] for pair in (*train, *test)}

    def extended(pairs: Sequence[Pair]) -> list[Pair]:
        found = []
        for pair in pairs:
            found.append(pair)
            new = [form for form in forms(pair[side]) if form in vocabulary and form not in taken]
            found += [(pair[0], form) if side else (form, pair[1]) for form in new]
        return found

    return extended(train), extended(test)


def forms(word: str) -> list[str]:
    """Case forms of a Sinhala word by rule; none where the rule does not apply."""
    return [word.removesuffix(ENDING) + case for case in CASES] if word.endswith(f"ා{ENDING}") else []


class Built(NamedTuple):
    """Dictionaries that share no source word, but for `full`: all that is not for the test."""

    train: list[Pair]
    test: list[Pair]
    full: list[Pair]


def build_dictionaries(
    pairs: Iterable[Pair],
    source: Sequence[str],
    target: Sequence[str],
    *,
    train: int = 5000,
    test: int = 1500,
    most: int = 5,
) -> Built:
    """Training and test dictionaries as the paper makes them: frequent source words to learn from, rarer ones to test.

    Args:
        pairs: A raw dictionary.
        source: Source vocabulary, the most frequent words first.
        target: Target vocabulary.
        train: Source words to learn from.
        test: Source words after them.
        most: Translations of a word, the first ones.

    Raises:
        UserError: The vocabularies do not know enough source words.
    """
    rank, known = {word: place for place, word in enumerate(source)}, set(target)
    by_word: dict[str, list[str]] = {}
    for one, other in dict.fromkeys(pairs):
        if one in rank and other in known:
            by_word.setdefault(one, []).append(other)
    words = sorted(by_word, key=rank.__getitem__)
    if len(words) < train + test:
        raise UserError(
            f"{len(words)} source words have a translation that the vocabularies know: ask for fewer than "
            f"{train} to learn from and {test} to test on."
        )
    asked = words[train : train + test]
    parts = [words[:train], asked, words[:train] + words[train + test :]]
    limits = [most, most, None]
    return Built(
        *([(w, t) for w in part for t in by_word[w][:limit]] for part, limit in zip(parts, limits, strict=True))
    )


def statistics(pairs: Sequence[Pair]) -> dict[str, float]:
    """Size of a dictionary: pairs, different source and target words, targets of a source word."""
    sources, targets = ({pair[side] for pair in pairs} for side in (0, 1))
    return {
        "pairs": len(pairs),
        "source words": len(sources),
        "target words": len(targets),
        "targets of a word": len(pairs) / len(sources) if sources else 0.0,
    }


# --- spaces ---------------------------------------------------------------------------------------------------------


def _files(config: Config, run: Run, source: str, target: str) -> tuple[Side, Side, list[Pair], list[Pair], None]:
    """Vectors and dictionaries that the configuration names."""
    sides = [
        space(config, run, config.english if code == "en" else config.other.format(code)) for code in (source, target)
    ]
    train, test = (
        read_dictionary(config.dictionary.format(source=source, target=target, part=part)) for part in ("train", "test")
    )
    return sides[0], sides[1], train, test, None


def space(config: Config, run: Run, path: str) -> Side:
    """The first words of a vector file, scaled and centred; made once, then mapped from disk."""
    import numpy as np
    import torch

    from core.experiment.inputs import digest
    from core.models.loading import default_device

    def build(folder: Path) -> None:
        from core.corpora.vectors import read_vectors

        words, vectors = read_vectors(path, config.vocabulary)
        write_json(folder / "words.json", words)
        np.save(folder / "vectors.npy", prepared(vectors, config).numpy())

    inputs: dict[str, Any] = {"path": path, "content": digest(Path(path)), "most": config.vocabulary}
    folder = run.stage("space", {**inputs, "center": config.center, "dimensions": config.dimensions}, build)
    vectors = np.load(folder / "vectors.npy", mmap_mode="c", allow_pickle=False)
    return Side(read_json(folder / "words.json"), torch.from_numpy(vectors).to(default_device()))


def prepared(vectors: Any, config: Config) -> Tensor:
    """Scaled and centred vectors, of fewer dimensions where the configuration says so."""
    import torch

    from papers.sinhala_alignment.method import normalize

    found = normalize(vectors, config.center)
    if config.dimensions is None:
        return found
    if config.dimensions > min(found.shape):
        raise UserError(f"dimensions = {config.dimensions}: {len(found)} words of width {found.shape[1]} have fewer.")
    *_, axes = torch.linalg.svd(found, full_matrices=False)
    # The components of a vector have no common mean any more once the axes are others.
    return normalize(found @ axes[: config.dimensions].T, "columns" if config.center == "columns" else "none")
