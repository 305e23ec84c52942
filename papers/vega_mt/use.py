"""Clean text by its round trip, make pseudo pairs both ways, translate with several checkpoints, widen punctuation.

    python -m papers.vega_mt.use clean czech.txt --source cs --target en --model facebook/m2m100_418M --out clean.jsonl
    python -m papers.vega_mt.use pseudo pairs.tsv --source en --target cs --model my_model --out pseudo.jsonl
    python -m papers.vega_mt.use translate --models last before --source en --target zh < english.txt
    python -m papers.vega_mt.use punctuate chinese.txt

Pairs are a .tsv, .csv or .jsonl with a column a language code, text is a sentence a line. Training on own bitexts, with
every phase: `papers.vega_mt.train base --bitext ...`, as the page shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try


@dataclass(frozen=True, kw_only=True)
class Between:
    """The two languages, and how to search."""

    source: str
    """Code of the language to translate from."""
    target: str
    """Code of the language to translate into."""
    beams: Annotated[int, Range(1)] = 1
    """Beams; 1 = greedy."""
    longest: Annotated[int, Range(1)] = 256
    """Longest translation in tokens."""


@dataclass(frozen=True, kw_only=True)
class Clean(Between):
    """Translate lines there and back: keep those that come back, take the round trip of others, drop the rest."""

    text: Positional[Path]
    """Lines of the source language."""
    model: str
    """Encoder-decoder that translates there: hub id or folder."""
    back: str = ""
    """One that translates back; empty: the same."""
    keep: Annotated[float, Range(0, 1)] = 0.8
    """chrF from which a line is kept as it is."""
    low: Annotated[float, Range(0, 1)] = 0.3
    """chrF below which it is dropped."""
    out: Path = Path("clean.jsonl")
    """Rows {line, text, score, verdict}; `text` is empty where the line is dropped."""


@dataclass(frozen=True, kw_only=True)
class Pseudo(Between):
    """Make pseudo pairs of both directions from parallel and monolingual text."""

    pairs: Positional[Path]
    """Parallel text."""
    model: str
    """Encoder-decoder that translates both ways: hub id or folder."""
    source_text: Path | None = None
    """Lines of the source language."""
    target_text: Path | None = None
    """Lines of the target language."""
    kinds: Literal["both", "forward", "backward"] = "both"
    """Forward: own source, pseudo target; backward: pseudo source, own target."""
    out: Path = Path("pseudo.jsonl")
    """Rows {item, source, target, source_text, target_text}, the genuine pairs among them, upsampled to a third."""


@dataclass(frozen=True, kw_only=True)
class Translate(Between):
    """Translate the lines of standard input, with one checkpoint or the average of several."""

    models: tuple[str, ...]
    """Hub ids or folders of one vocabulary."""
    punctuation: Literal["plain", "official", "careful"] = "plain"
    """Of Chinese output: as it is, full-width by the official rule, or only where it touches Chinese."""


@dataclass(frozen=True, kw_only=True)
class Punctuate:
    """Write the lines of a text with full-width punctuation."""

    text: Positional[Path]
    """Chinese lines."""
    careful: bool = False
    """Only what touches Chinese is changed; officially all spaces go, too."""


Write = Callable[[Sequence[str], str, str], list[str]]


def _writer(models: Sequence[str], options: Between) -> Write:
    from core.inference.seq2seq import translate
    from core.models.loading import load
    from core.text.languages import same_language
    from papers.vega_mt.method import Ensemble

    if same_language(options.source, options.target):
        raise UserError(f"--source and --target are both {options.source!r}: name two languages.")
    loaded = [load(name, task="seq2seq") for name in models]
    tokenizer = loaded[0][1]
    for name, (_, other) in zip(models, loaded, strict=True):
        if other.get_vocab() != tokenizer.get_vocab():
            raise UserError(f"{name} has another vocabulary than {models[0]}: average models of one.")
    model: Any = Ensemble([model for model, _ in loaded]) if len(loaded) > 1 else loaded[0][0]
    search = {"beams": options.beams, "longest": options.longest}
    return lambda texts, source, target: translate(model, tokenizer, texts, source, target, **search)


def _lines(path: Path | None) -> list[str]:
    from core.files import read_lines

    return [line for line in read_lines(path) if line.strip()] if path else []


def clean(options: Clean) -> None:
    """Write every line with its verdict, and print how many there are of each."""
    from core.files import write_rows
    from papers.vega_mt.method import cycle_translate

    lines, (a, b) = _lines(options.text), (options.source, options.target)
    if not lines:
        raise UserError(f"{options.text} has no text: give it at least one line.")
    if options.low > options.keep:
        raise UserError(f"--low {options.low} is above --keep {options.keep}: a line is dropped below the one.")
    there = _writer([options.model], options)
    back = _writer([options.back], options) if options.back else there
    found = cycle_translate(
        lines, lambda texts: there(texts, a, b), lambda texts: back(texts, b, a), options.keep, options.low
    )
    write_rows(options.out, (line._asdict() for line in found))
    counts = Counter(line.verdict for line in found)
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()) + f": {options.out}")


def pseudo(options: Pseudo) -> None:
    """Write the mix, and print its shares."""
    from dataclasses import asdict

    from core.corpora import read_parallel
    from core.files import write_rows
    from core.tasks.translation import segments
    from papers.vega_mt import method

    pair = (options.source, options.target)
    genuine = segments(map(dict, read_parallel(options.pairs, list(pair))), [pair, pair[::-1]])
    lines = {options.source: _lines(options.source_text), options.target: _lines(options.target_text)}
    kinds: Any = ("forward", "backward") if options.kinds == "both" else (options.kinds,)
    parts = method.mixed(genuine, method.bidirectional_pseudo(genuine, lines, _writer([options.model], options), kinds))
    write_rows(options.out, map(asdict, parts))
    for name, share in method.shares(parts).items():
        print(f"  {name:24} {share:.3f}")
    print(f"{len(parts):,} pairs: {options.out}")


def translate(options: Translate) -> None:
    """Print a translation a line, an empty line for an empty one."""
    from core.tasks.translation import translate_lines
    from papers.vega_mt.punctuation import half_to_full

    def write(texts: list[str]) -> list[str]:
        found = _writer(options.models, options)(texts, options.source, options.target)
        official = options.punctuation == "official"
        return found if options.punctuation == "plain" else [half_to_full(line, official) for line in found]

    translate_lines(write)


def punctuate(options: Punctuate) -> None:
    """Print every line."""
    from core.files import read_lines
    from papers.vega_mt.punctuation import half_to_full

    for line in read_lines(options.text):
        print(half_to_full(line, not options.careful))


VERBS: Verbs = {
    "clean": (Clean, clean),
    "pseudo": (Pseudo, pseudo),
    "translate": (Translate, translate),
    "punctuate": (Punctuate, punctuate),
}

TRY = Try(
    command="pseudo {data} --source en --target {language} --model {model} --out {out}/pseudo.jsonl",
    data="pairs of sentences, with a column `en` and one of your language, whose code is asked for.",
    means="Pairs of text and translation both ways, with the share of each kind: to train on beside the genuine ones.",
    limits="A weak translator spreads its errors: look at round trips first (`clean`), and train as many updates "
    "without them.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.vega_mt.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
