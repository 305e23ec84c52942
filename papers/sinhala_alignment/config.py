"""Settings of every scale and variant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

OTHERS = ("es", "de", "ru", "zh-Hans", "fr", "it", "pt", "pl", "el", "ar", "ja", "ko", "tr")
"""Languages of the tiny world beside Sinhala: widely used ones, those that the paper compares with first."""


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws the seed dictionary of the tiny world, and which words are held out. The paper has one dictionary."""
    split: Literal["test", "dev"] = "test"
    """Which names of the tiny world are asked for; settings were chosen on dev."""

    # the spaces
    english: str = "wheel:minilm"
    """English vectors: a .vec file, an encoder that reads names (tiny world), or `toy`, a space made on the
    spot. The paper: fastText's wiki.en and cc.en.300."""
    other: str = "wheel:e5-small"
    """The other languages', `{}` in place of the code. The paper: wiki.si and cc.si.300."""
    languages: tuple[str, ...] = ("si",)
    """Aligned with English in both directions, each with maps of its own; the first is the paper's subject."""
    vocabulary: Annotated[int, Range(2)] = 200_000
    """Words of either vector file that are loaded (official code); wiki.si has 79,000."""
    dimensions: Annotated[int | None, Range(1)] = None
    """Principal components that are kept of either space; empty = all, as the paper, whose dictionaries are fifteen
    times as large."""
    center: Literal["columns", "rows", "none"] = "columns"
    """Columns, as MUSE's part of the official code; its RCSLS loader takes the mean of each row, where the original
    RCSLS takes that of each column. After rows, principal components are taken without centring."""

    # the dictionary
    dictionary: str = "names"
    """`names` (tiny world), or the official files with {source}, {target} and {part} (train, test) in their places."""
    pairs: Annotated[int, Range(4)] = 5000
    """Source words of the seed dictionary: the first ones of a file, which have up to 5 translations each; in the tiny
    world as many concepts, drawn. Case forms come on top."""
    shuffled: bool = False
    """Pair the words of the seed dictionary at random (null arm)."""
    forms: bool = False
    """Case forms of Sinhala words in -ාව join the dictionary where the vocabulary has them, and the tiny world's has
    (ours): many Sinhala words for one English one."""

    # the method
    method: Literal["identity", "procrustes", "refinement", "rcsls"] = "rcsls"
    """identity leaves the spaces as they are."""
    steps: Annotated[int, Range(0)] = 20
    """Refinements (MUSE: 5) or steps of RCSLS (official code: 20)."""
    learning_rate: Annotated[float, Range(1e-4)] = 10.0
    """Of RCSLS (official code; the default of its library is 1)."""
    spectral: bool = False
    """RCSLS clips the singular values of its map to at most 1."""
    neighbours: Annotated[int, Range(1)] = 10
    """K of RCSLS and CSLS (official code)."""
    held_out: Annotated[float, Range(0, 0.5)] = 0.0
    """Share of the dictionary's source words on which the number of steps is chosen (ours: the official code looks at
    the test words); 0 makes all steps."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if (self.method in ("identity", "procrustes")) == bool(self.steps):
            raise UserError(f"{self.method!r} with steps = {self.steps}: only refinement and rcsls take steps.")
        if self.spectral and self.method != "rcsls":
            raise UserError(f"spectral belongs to rcsls: leave it out with method = {self.method!r}.")
        if self.held_out and not self.steps:
            raise UserError(f"held_out chooses the number of steps, and {self.method!r} takes none: leave it out.")
        if self.forms and self.languages != ("si",):
            raise UserError("forms are those of Sinhala: say --languages si.")
        if not self.languages or "en" in self.languages or len(set(self.languages)) < len(self.languages):
            raise UserError("languages: name those that are aligned with English, each once.")
        if self.dictionary == "names" and not set(self.languages) <= {"si", *OTHERS}:
            raise UserError(f"languages: the tiny world has si, {', '.join(OTHERS)}.")
        if self.dictionary != "names" and self.split == "dev":
            raise UserError("split = 'dev' belongs to the tiny world (dictionary = 'names').")


TINY = Config(languages=("si", *OTHERS), dimensions=100, pairs=300)
_FILES = "all_data/cc_{source}-{target}_{part}set_1500_5000_200k.txt"
PAPER = Config(english="cc.en.300.vec", other="cc.{}.300.vec", dictionary=_FILES)

PRESETS: dict[str, Config] = {
    "smoke": replace(TINY, english="toy", other="toy", languages=("si", "ru"), dimensions=20, pairs=120),
    "tiny": TINY,
    "paper": PAPER,
    "paper-wiki": replace(PAPER, english="wiki.en.vec", other="wiki.{}.vec", dictionary=_FILES.replace("cc_", "wiki_")),
}

_PROCRUSTES = {"method": "procrustes", "steps": 0}
VARIANTS: dict[str, dict[str, Any]] = {
    # the paper's table, each retrieved by cosine and by CSLS
    "procrustes": _PROCRUSTES,
    "refinement": {"method": "refinement", "steps": 5},
    "spectral": {"spectral": True},
    "rcsls": {},
    # controls
    "identity": {"method": "identity", "steps": 0},
    "shuffled": {"shuffled": True},
    # ours
    "selected": {"held_out": 0.2},
    "pairs_150": {**_PROCRUSTES, "pairs": 150},
    "rows": {"center": "rows"},
    "forms": {**_PROCRUSTES, "languages": ("si",), "forms": True},
}


def workload(config: Config) -> list[Workload]:
    """Names read by the encoders of the tiny world; files have their vectors, and no model computes anything."""
    from core.cost.workload import Workload

    parts = {config.english: 1, config.other: len(config.languages)} if config.dictionary == "names" else {}
    return [
        Workload(model, languages * 800 * 8, "inference", "frozen", 8, 64, name=f"names, {model}")
        for model, languages in parts.items()
        if model != "toy"
    ]


def simulation(config: Config) -> list[Simulation]:
    """Nothing that a GPU has to hold: maps of word vectors are found on the CPU."""
    return []
