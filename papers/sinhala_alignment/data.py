"""Two vocabularies with their vectors and a dictionary between them, from files or from the tiny world.

Words of a dictionary that a vocabulary lacks are counted and left out; precision counts source words, each with all its
translations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.corpora.lexicons import read_dictionary
from core.corpora.vectors import read_vectors
from core.errors import UserError
from core.experiment.inputs import digest
from core.experiment.run import Run
from core.files import read_json, write_json
from core.tasks.lexicon import Pair, look_up
from papers.sinhala_alignment.config import Config
from papers.sinhala_alignment.method import normalize

# Dative, genitive and ablative of Sinhala words in -ාව.
ENDING, CASES = "ාව", ("ාවට", "ාවේ", "ාවෙන්")


class Side(NamedTuple):
    """Words and their vectors, [word, width], scaled and centred."""

    words: Sequence[str]
    vectors: Tensor


class Task(NamedTuple):
    """One direction.

    Attributes:
        x: Source vectors.
        y: Target vectors.
        pairs: The dictionary to fit a map to, places [pair, 2].
        held_out: Pairs of other source words of the dictionary, on which the number of steps is chosen.
        gold: By unit (a concept, a word): the place of a test word and of its translations.
        coverage: Share of the test words that both vocabularies know.
    """

    x: Tensor
    y: Tensor
    pairs: Tensor
    held_out: Tensor
    gold: dict[str, tuple[int, set[int]]]
    coverage: float


def tasks(config: Config, run: Run) -> Iterator[tuple[str, str, Task]]:
    """Source, target and task: both directions of every language."""
    from papers.sinhala_alignment import miniature

    read = miniature.read if config.dictionary == "names" else _files
    for language in config.languages:
        for source, target in (("en", language), (language, "en")):
            x, y, train, test, units = read(config, run, source, target)
            train = first_words(train, x.words, y.words, {word for word, _ in test}, config.pairs)
            if config.forms:
                side = int(source == "en")
                train, test = (with_forms(pairs, (x, y)[side].words, side) for pairs in (train, test))
            yield source, target, task(x, y, train, test, config, units)


def task(
    x: Side,
    y: Side,
    train: Iterable[Pair],
    test: Iterable[Pair],
    config: Config,
    units: Mapping[str, str] | None = None,
) -> Task:
    """A task from words.

    Args:
        x: Source side.
        y: Target side.
        train: The seed dictionary; source words that are tested are left out of it.
        test: What is asked.
        config: Which share is held out, whether pairs are shuffled, and the seed.
        units: Name of each test word; by default the word itself.

    Raises:
        UserError: Nothing to learn from, or nothing to test on, is in both vocabularies; vectors of unlike widths.
    """
    if x.vectors.shape[1] != y.vectors.shape[1]:
        raise UserError(
            f"The source has {x.vectors.shape[1]} numbers a word and the target {y.vectors.shape[1]}: take as many "
            "principal components of both (dimensions)."
        )
    asked, known = look_up(test, x.words, y.words), look_up(train, x.words, y.words).places
    sources = [place for place in known if place not in asked.places]
    if len(sources) < 2 or not asked.places:
        raise UserError(
            f"{len(sources)} words of the seed dictionary and {len(asked.places)} of the test are in both "
            "vocabularies: give vectors and dictionaries of the same languages, in this order."
        )
    rng = np.random.default_rng([config.seed, 1])
    held = set(rng.permutation(sources)[: round(config.held_out * len(sources))].tolist())
    pairs = [(place, other) for place in sources for other in known[place]]
    if config.shuffled:
        others = rng.permutation([other for _, other in pairs]).tolist()
        pairs = [(place, other) for (place, _), other in zip(pairs, others, strict=True)]
    fitted, kept = (
        torch.tensor([pair for pair in pairs if (pair[0] in held) == side], device=x.vectors.device)
        .reshape(-1, 2)
        .long()
        for side in (False, True)
    )
    name = {place: (units or {}).get(x.words[place], x.words[place]) for place in asked.places}
    gold = {name[place]: (place, set(right)) for place, right in asked.places.items()}
    return Task(x.vectors, y.vectors, fitted, kept, gold, asked.coverage)


def first_words(
    pairs: Iterable[Pair], source: Collection[str], target: Collection[str], asked: Collection[str], most: int
) -> list[Pair]:
    """Pairs of the first source words that are not asked for, of those that the vocabularies know."""
    left, right = set(source), set(target)
    known = [(one, other) for one, other in pairs if one in left and other in right and one not in asked]
    kept = set(list(dict.fromkeys(one for one, _ in known))[:most])
    return [pair for pair in known if pair[0] in kept]


def with_forms(pairs: Sequence[Pair], vocabulary: Collection[str], side: int) -> list[Pair]:
    """A dictionary with the case forms of its Sinhala words, which stand on one side, that a vocabulary has."""
    known = set(vocabulary)
    more = [(pair, form) for pair in pairs for form in forms(pair[side]) if form in known]
    return list(dict.fromkeys([*pairs, *((pair[0], form) if side else (form, pair[1]) for pair, form in more)]))


def forms(word: str) -> list[str]:
    """Case forms of a Sinhala word by rule; none where the rule does not apply."""
    return [word.removesuffix(ENDING) + case for case in CASES] if word.endswith(ENDING) else []


# --- spaces ---------------------------------------------------------------------------------------------------------


def _files(
    config: Config, run: Run, source: str, target: str
) -> tuple[Side, Side, list[Pair], list[Pair], dict[str, str]]:
    """Vectors and dictionaries that the configuration names; a word is its own unit, which is no path."""
    paths = [config.english if code == "en" else config.other.format(code) for code in (source, target)]
    x, y = (space(config, run, path) for path in paths)
    named = [config.dictionary.format(source=source, target=target, part=part) for part in ("train", "test")]
    train, test = map(read_dictionary, named)
    return x, y, train, test, {word: word.replace("%", "%25").replace("/", "%2F") for word, _ in test}


def space(config: Config, run: Run, path: str) -> Side:
    """The first words of a vector file, scaled and centred; made once, then mapped from disk."""
    from core.models.loading import default_device

    def build(folder: Path) -> None:
        words, vectors = read_vectors(path, config.vocabulary)
        write_json(folder / "words.json", words)
        np.save(folder / "vectors.npy", prepared(vectors, config.center, config.dimensions).numpy())

    inputs: dict[str, Any] = {"path": path, "content": digest(Path(path)), "most": config.vocabulary}
    folder = run.stage("space", {**inputs, "center": config.center, "dimensions": config.dimensions}, build)
    vectors = np.load(folder / "vectors.npy", mmap_mode="c", allow_pickle=False)
    return Side(read_json(folder / "words.json"), torch.from_numpy(vectors).to(default_device()))


def prepared(vectors: Any, center: Any = "columns", dimensions: int | None = None) -> Tensor:
    """Scaled and centred vectors, their principal components if there is a number of them."""
    found = normalize(vectors, center)
    if dimensions is None:
        return found
    if dimensions > min(found.shape):
        raise UserError(f"dimensions = {dimensions}: {len(found)} words of width {found.shape[1]} have fewer.")
    *_, axes = torch.linalg.svd(found, full_matrices=False)
    # The components of a vector have no common mean any more once the axes are others.
    return normalize(found @ axes[:dimensions].T, "columns" if center == "columns" else "none")
