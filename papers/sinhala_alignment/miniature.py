"""The tiny world: names of territories, languages, currencies and scripts in Sinhala and other languages.

All languages name the same concepts (Unicode CLDR), so that every pair of languages is learnt and tested on the same
ones. Names that stand for several concepts are left out, and concepts that share a name in any of the languages are one
class, which is learnt from or asked for, never both. The spaces are those of two encoders that have not seen each
other: English names are read by one that knows English alone, all others by a multilingual one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.experiment.run import Run
from core.tasks.lexicon import Pair
from core.text.normalize import fold as casefolded
from core.worlds.base import Item, split
from core.worlds.names import Concept, concepts
from papers.sinhala_alignment.config import OTHERS, Config
from papers.sinhala_alignment.data import Side, forms, prepared

LANGUAGES = ("en", "si", *OTHERS)
SHARES = {"test": 0.4, "dev": 0.15, "train": 0.45}
FOLDS = 20
"""Groups of test names, the same in all languages: what a claim about languages draws beside them."""


@cache
def known() -> list[Concept]:
    """The concepts that all languages name."""
    return concepts(LANGUAGES)


def parts() -> dict[str, list[Concept]]:
    """The concepts to learn from, to choose settings on and to test on; no two parts share a class."""
    by_key = {concept.key: concept for concept in known()}
    items = [Item(key, concept.cls, key, key, "en") for key, concept in by_key.items()]
    return {part: [by_key[item.id] for item in found] for part, found in split(items, 0, SHARES).items()}


def unit(concept: Concept) -> str:
    """A test name in the record."""
    return concept.key.replace("/", "-")


def fold(unit: str) -> str:
    """The group of a test name."""
    return f"fold-{blake2b(unit.encode(), digest_size=4).digest()[0] % FOLDS:02d}"


def pool(split: str) -> list[Concept]:
    """What dictionaries are drawn from: on the test split, what settings were chosen on may be learnt from."""
    found = parts()
    return found["train"] + (found["dev"] if split == "test" else [])


def drawn(config: Config) -> list[Concept]:
    """The dictionary of a seed."""
    place = {one.key: blake2b(f"{config.seed}/{one.cls}".encode(), digest_size=8).digest() for one in known()}
    return sorted(pool(config.split), key=lambda one: place[one.key])[: config.pairs]


def stems(name: str) -> set[str]:
    """The first five letters of each word of a name."""
    return {word[:5] for word in re.findall(r"\w+", casefolded(name))}


def apart(split: str) -> set[str]:
    """Test names that share no stem in English with any name that a dictionary may have."""
    learnt = {stem for concept in pool(split) for stem in stems(concept.names["en"])}
    return {unit(concept) for concept in parts()[split] if not stems(concept.names["en"]) & learnt}


def read(
    config: Config, run: Run, source: str, target: str
) -> tuple[Side, Side, list[Pair], list[Pair], dict[str, str]]:
    """Both vocabularies, the dictionary that the seed draws, what is asked, and the unit of each source word.

    A case form's unit is its name's, a slash and the number of the case.
    """
    train, test = (
        [(c.names[source], c.names[target]) for c in part] for part in (drawn(config), parts()[config.split])
    )
    units = {concept.names[source]: unit(concept) for concept in known()}
    cased = {form: f"{path}/{case}" for name, path in units.items() for case, form in enumerate(forms(name))}
    return space(config, run, source), space(config, run, target), train, test, cased | units


def words(code: str, cases: bool = False) -> dict[str, int]:
    """A language's vocabulary, with case forms of Sinhala names if they are asked for; and the concept's number."""
    numbers = {concept.names[code]: number for number, concept in enumerate(known())}
    cased = ((form, number) for name, number in numbers.items() for form in forms(name) if cases)
    return numbers | {form: number for form, number in cased if form not in numbers}


def space(config: Config, run: Run, code: str) -> Side:
    """A language's names and their vectors."""
    numbers = words(code, config.forms)
    vocabulary, encoder = list(numbers), config.english if code == "en" else config.other
    if encoder == "toy":
        return Side(vocabulary, prepared(toy(code, list(numbers.values())), config.center, config.dimensions))

    def build(folder: Path) -> None:
        from core.models.embedding import Pooling, load_encoder

        # English as the encoder's authors pool it, the others over their subwords alone.
        read = load_encoder(encoder, None if code == "en" else Pooling("mean", special_tokens=False))
        np.save(folder / "vectors.npy", read(vocabulary).vectors.numpy())

    folder = run.stage("names", {"encoder": encoder, "words": vocabulary}, build)
    vectors = np.load(folder / "vectors.npy", allow_pickle=False)
    return Side(vocabulary, prepared(vectors, config.center, config.dimensions))


def toy(code: str, numbers: Sequence[int], width: int = 32) -> Tensor:
    """A space made on the spot: the vectors of numbered concepts, turned and blurred in each language's own way."""

    def normal(seed: int, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

    seed = int.from_bytes(code.encode())
    rotation, _ = torch.linalg.qr(normal(seed, width, width))
    meaning = normal(0, len(known()), width)[list(numbers)]
    return (meaning + 0.5 * normal(seed + 1, *meaning.shape)) @ rotation.T
