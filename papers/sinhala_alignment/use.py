"""Align your own word vectors, make dictionaries, translate words, compare languages.

    python -m papers.sinhala_alignment.use align cc.en.300.vec cc.si.300.vec en-si.tsv --out en-si
    python -m papers.sinhala_alignment.use translate en-si --words words.txt
    python -m papers.sinhala_alignment.use build raw.tsv --source en.txt --target si.txt --out dictionaries
    python -m papers.sinhala_alignment.use compare concepts.tsv --vectors en=en.vec si=si.vec es=es.vec

Vectors are files as fastText and word2vec write them (`.vec`, `.vec.gz`), the most frequent words first. A dictionary
has a source word, a tab and a target word a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from tyro.conf import Positional

from core.errors import UserError, about
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from torch import Tensor

    from core.tasks.lexicon import Pair
    from papers.sinhala_alignment.data import Side


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How maps are learnt."""

    method: Literal["procrustes", "refinement", "rcsls", "spectral"] = "rcsls"
    """A rotation; one fitted again to what it pairs; a free map for CSLS; or one with singular values of at most 1."""
    dimensions: Annotated[int | None, Range(1)] = None
    """Principal components to keep, where a dictionary is small or the widths differ."""
    seed: Seed = 0
    """Draws the words to choose the number of steps on, and the test where none is given."""
    most: Annotated[int, Range(2)] = 200_000
    """Words of each vector file that are read."""


@dataclass(frozen=True, kw_only=True)
class Align(Settings):
    """Learn the map from one vector file into another, and say how many words it translates."""

    source: Positional[str]
    """Vectors of the language that asks."""
    target: Positional[str]
    """Vectors of the language that answers."""
    dictionary: Positional[Path]
    """Pairs to learn from."""
    test: Path | None = None
    """Pairs to test on, of other source words; left out = a fifth of the dictionary's source words."""
    out: Path = Path("aligned")
    """A new folder for map.safetensors, source.vec (mapped), target.vec and report.json."""


@dataclass(frozen=True)
class Translate:
    """Translate words with what `align` wrote."""

    aligned: Positional[Path]
    """Its folder."""
    words: Path
    """One a line."""
    top: Annotated[int, Range(1, 1000)] = 5
    """Translations of a word."""


@dataclass(frozen=True)
class Build:
    """Make training and test dictionaries without a common source word from a raw one, as the paper does."""

    dictionary: Positional[Path]
    """All pairs."""
    source: str
    """Source words, the most frequent first, one a line; or vectors."""
    target: str
    """Target words, likewise."""
    train: Annotated[int, Range(1)] = 5000
    """Source words to learn from: the most frequent ones."""
    test: Annotated[int, Range(1)] = 1500
    """Source words after them."""
    translations: Annotated[int, Range(1)] = 5
    """Of a word, the first ones."""
    most: Annotated[int, Range(2)] = 200_000
    """Words of either vocabulary."""
    out: Path = Path("dictionaries")
    """A new folder for train.tsv, test.tsv and full.tsv (all but the test words)."""


@dataclass(frozen=True, kw_only=True)
class Compare(Settings):
    """Align several languages with the first one on the same concepts: which are translated better?"""

    concepts: Positional[Path]
    """A .tsv, .csv or .jsonl with a column a language code; a row is a concept, and two in five are to test on."""
    vectors: tuple[str, ...]
    """code=file; all others are aligned with the first, and compared with the second."""


class Aligned(NamedTuple):
    """W, with W x for a source vector x; source words with mapped vectors; target words and vectors.

    The report has pairs learnt from, steps made, coverage, and precision at 1, 5 and 10 by cosine (nn) and by CSLS;
    `hits` is 1.0 for the test words whose best translation by CSLS is right.
    """

    w: Tensor
    source: Side
    target: Side
    report: dict[str, Any]
    hits: dict[str, float]


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
        settings: Method, dimensions and seed.

    Raises:
        UserError: The dictionaries have too few words that the vocabularies know, or the widths differ.
    """
    from core.models.loading import default_device
    from core.tasks.lexicon import look_up
    from core.training.progress import Display
    from papers.sinhala_alignment import data
    from papers.sinhala_alignment.config import VARIANTS, Config
    from papers.sinhala_alignment.eval import K, ranks
    from papers.sinhala_alignment.train import fit, most_maps

    held = 0.0 if settings.method == "procrustes" else 0.2
    config = Config(
        **VARIANTS[settings.method] | {"dimensions": settings.dimensions, "seed": settings.seed, "held_out": held}
    )
    x, y = (
        data.Side(words, data.prepared(vectors, dimensions=config.dimensions).float().to(default_device()))
        for words, vectors in (source, target)
    )
    task = data.task(x, y, train, test, config)
    with Display(most_maps(config), f"maps, {settings.method}", quiet=False) as display:
        w, steps, _ = fit(task, config, lambda: display.step(display.done + 1))
    found = ranks(task, w, config.neighbours)
    report: dict[str, Any] = {
        "pairs": len(task.pairs) + len(task.held_out),
        "training coverage": look_up(train, x.words, y.words).coverage,
        "steps": steps,
        "test words": len(task.gold),
        "test coverage": task.coverage,
    }
    report |= {f"P@{k} {name}": sum(r <= k for r in by.values()) / len(by) for name, by in found.items() for k in K}
    hits = {word: float(rank <= 1) for word, rank in found["csls"].items()}
    mapped = data.Side(x.words, (x.vectors @ w.T).cpu())
    return Aligned(w.cpu(), mapped, data.Side(y.words, y.vectors.cpu()), report, hits)


def align(options: Align) -> None:
    """Write the map, the mapped vectors and the report."""
    from safetensors.torch import save_file

    from core.corpora.lexicons import read_dictionary
    from core.corpora.vectors import check_words, read_vectors, write_vectors
    from core.files import build_folder, write_json
    from core.tasks.lexicon import apart

    _is_new(options.out)
    pairs = read_dictionary(options.dictionary)
    train, test = (pairs, read_dictionary(options.test)) if options.test else apart(pairs, 0.2, options.seed)
    source, target = (read_vectors(path, options.most) for path in (options.source, options.target))
    for side, path in ((source, options.source), (target, options.target)):
        check_words(side.words, path)
    with about(options.source, options.target, options.dictionary, *([options.test] if options.test else [])):
        found = align_spaces(source, target, train, test, options)

    def fill(folder: Path) -> None:
        save_file({"w": found.w.contiguous()}, folder / "map.safetensors")
        write_json(folder / "report.json", {**found.report, "method": options.method, "dimensions": options.dimensions})
        write_vectors(folder / "source.vec", found.source.words, found.source.vectors, digits=6)
        write_vectors(folder / "target.vec", found.target.words, found.target.vectors, digits=6)

    build_folder(options.out, fill)
    for name, value in found.report.items():
        print(f"  {name:18} {value:,}" if isinstance(value, int) else f"  {name:18} {value:.3f}")
    print(f"Wrote {options.out}.")


def translate(options: Translate) -> None:
    """Print the best translations with their CSLS; a word that the vectors lack gets none."""
    from core.corpora.lexicons import read_vocabulary
    from core.corpora.vectors import read_vectors
    from core.tasks.lexicon import Space

    asked = read_vocabulary(options.words)
    if not (options.aligned / "map.safetensors").exists():
        raise UserError(f"{options.aligned} holds no map: make it with `align`.")
    source, target = (read_vectors(options.aligned / f"{name}.vec") for name in ("source", "target"))
    place = {word: number for number, word in enumerate(source.words)}
    known = [word for word in asked if word in place]
    if not known:
        raise UserError(f"{options.words}: none of its {len(asked)} words is among the source words of the map.")
    found = Space(target.vectors, source.vectors).nearest(source.vectors[[place[word] for word in known]], options.top)
    rows = dict(zip(known, zip(found.places.tolist(), found.scores.tolist(), strict=True), strict=True))
    for word in asked:
        best = zip(*rows[word], strict=True) if word in rows else ()
        print("\t".join([word, *(f"{target.words[number]} {score:.3f}" for number, score in best)]))
    if missing := len(asked) - len(known):
        print(f"{missing} of {len(asked)} words are not among the source words of the map.")


def build(options: Build) -> None:
    """Write the dictionaries and print what they hold."""
    from core.corpora.lexicons import read_dictionary, read_vocabulary
    from core.corpora.vectors import read_vectors
    from core.files import build_folder, write_text
    from core.tasks.lexicon import build_dictionaries, statistics

    _is_new(options.out)
    source, target = (
        read_vectors(path, options.most).words
        if path.endswith((".vec", ".vec.gz"))
        else read_vocabulary(path, options.most)
        for path in (options.source, options.target)
    )
    sizes = {"train": options.train, "test": options.test, "most": options.translations}
    pairs = read_dictionary(options.dictionary)
    with about(options.dictionary, options.source, options.target):
        built = build_dictionaries(pairs, source, target, **sizes)._asdict()

    def fill(folder: Path) -> None:
        for name, part in built.items():
            write_text(folder / f"{name}.tsv", "".join(f"{one}\t{other}\n" for one, other in part))

    build_folder(options.out, fill)
    for name, part in built.items():
        print(f"  {name:6}", ", ".join(f"{value:,.4g} {what}" for what, value in statistics(part).items()))
    print(f"Wrote {options.out}.")


def compare(options: Compare) -> None:
    """Print one table: precision at 1 of every language in both directions, and its distance from the second's."""
    from core.corpora.files import read_rows
    from core.corpora.vectors import read_vectors
    from core.metrics import stats
    from core.tasks.lexicon import apart

    named = [text.partition("=") for text in options.vectors]
    if wrong := next((f"{code}{sign}{path}" for code, sign, path in named if not (code and path)), None):
        raise UserError(f"--vectors {wrong!r}: write code=file, as in si=cc.si.300.vec.")
    spaces = {code: read_vectors(path, options.most) for code, _, path in named}
    if len(spaces) < 3:
        raise UserError("--vectors: name three languages or more, as in en=en.vec si=si.vec es=es.vec.")
    sides, known = list(spaces.values()), [set(found.words) for found in spaces.values()]
    table = [[str(row.get(code) or "").strip() for code in spaces] for row in read_rows(options.concepts)]
    full = (row for row in table if all(word in words for word, words in zip(row, known, strict=True)))
    rows = list(dict.fromkeys(map(tuple, full)))
    if len(rows) < 10:
        raise UserError(
            f"{options.concepts}: {len(rows)} of {len(table)} rows have in each of the columns {', '.join(spaces)} a "
            "word that its vectors know; ten are needed."
        )
    parts = apart([(row[0], str(place)) for place, row in enumerate(rows)], 0.4, options.seed)
    pivot, first, *_ = spaces
    print(f"{len(rows)} concepts in all vocabularies, {len(parts[1])} to test on; P@1 by CSLS, {pivot} asking first")

    def aligned(source: int, target: int) -> Aligned:
        train, test = ([(rows[int(place)][source], rows[int(place)][target]) for _, place in part] for part in parts)
        return align_spaces(sides[source], sides[target], train, test, options)

    beside: dict[str, float] = {}
    for place, code in list(enumerate(spaces))[1:]:
        forth, back = aligned(0, place), aligned(place, 0)
        line = f"  {code:8} {forth.report['P@1 csls']:.3f} {back.report['P@1 csls']:.3f}"
        if beside:
            line += f"   {stats.compare({0: forth.hits}, {0: beside}).interval:+.3f} from {first}"
        beside = beside or forth.hits
        print(line)


def _is_new(folder: Path) -> None:
    if folder.exists():
        raise UserError(f"{folder} is there already: choose another folder with --out.")


VERBS: Verbs = {
    "align": (Align, align),
    "translate": (Translate, translate),
    "build": (Build, build),
    "compare": (Compare, compare),
}

TRY = Try(
    command="build {data} --out {out}/dictionary",
    data="pairs of words; vector files come with `-- --source a.vec --target b.vec`.",
    means="A seed dictionary and a test one without shared stems, of words that both vector files hold.",
    limits="Precision on words that share stems with the seed's is too high by nature.",
    more="--source mine.vec --target english.vec",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.sinhala_alignment.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
