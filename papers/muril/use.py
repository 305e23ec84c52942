"""MuRIL on your own: plan the shares of languages, and measure any encoder on native and romanised text.

    python -m papers.muril.use plan --sizes en=1000000 hi=100000 ks=10000 --alpha 0.3
    python -m papers.muril.use measure lines.tsv --model google/muril-base-cased --layer 7
    python -m papers.muril.use measure lines.tsv --model a --against google-bert/bert-base-multilingual-cased

To pre-train, or to train an encoder further, give `papers.muril.train` folders of your own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from core.errors import UserError
from core.experiment.config import Range, name_values
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try


@dataclass(frozen=True)
class Plan:
    """How often each language is repeated, and its share of what is read (equation 2)."""

    sizes: tuple[str, ...]
    """Lines by language, as hi=100000."""
    alpha: Annotated[float, Range(0, 1)] = 0.3
    """Exponent of the shares; 1 keeps the sizes, 0 makes all equal."""


@dataclass(frozen=True)
class Measure:
    """Retrieval of translations of native and of romanised text, and pieces a word."""

    lines: tyro.conf.Positional[Path]
    """English and your language: .tsv or .jsonl with the columns en, native and, if you have them as people type them,
    romanised; or with a column per language code; or a folder of aligned <language>.txt."""
    model: str
    """Hub id, folder or wheel."""
    against: str = ""
    """Another model to compare with."""
    layer: Annotated[int | None, Range(-1)] = None
    """Layer whose states are averaged (7 in XTREME); left out = as the encoder's authors pool it."""
    romanizer: str = "uroman"
    """For lines without a romanised column: uroman, or table:<file.tsv>."""


def plan(options: Plan) -> None:
    """Print the table.

    Raises:
        UserError: Not name=number, or a number below one.
    """
    from papers.muril.method import upsampling

    sizes = dict(name_values("sizes", options.sizes, "hi=100000", int))
    if not sizes or min(sizes.values()) < 1:
        raise UserError("sizes needs a number of lines above zero for every language, as hi=100000.")
    print("language\tlines\trepeated\tshare")
    for code, share in upsampling(sizes, options.alpha).items():
        print(f"{code}\t{share.lines}\t{share.factor:.3f}\t{share.share:.4f}")


def measure(options: Measure) -> None:
    """Print accuracy@1 and pieces a word, by model, language and script.

    Raises:
        UserError: Lines or a model that cannot be read.
    """
    from core.models.embedding import Pooling, load_encoder
    from core.tasks.pairs import own_lines
    from core.tasks.retrieval import Pairs, retrieve
    from core.text.romanize import resolve

    latin = resolve(options.romanizer)
    sets = {}
    for code, rows in own_lines(options.lines):
        english, native = [row["en"] for row in rows], [row["native"] for row in rows]
        sets[f"{code}\tnative"] = Pairs(native, english)
        sets[f"{code}\tromanised"] = Pairs([row.get("romanised") or latin(row["native"]) for row in rows], english)
    pooling = None if options.layer is None else Pooling("mean", layer=options.layer)
    print("model\tlanguage\tscript\tfound\tpieces a word")
    for model in filter(None, (options.model, options.against)):
        encoder = load_encoder(model, pooling)
        for name, found in retrieve(encoder, sets).items():
            print(f"{model}\t{name}\t{found.accuracy():.3f}\t{fertility(encoder.tokenizer, sets[name].queries):.2f}")


def fertility(tokenizer: Any, texts: Sequence[str]) -> float:
    """Pieces a word (between white space) over all texts."""
    words = [word for text in texts for word in text.split()]
    return sum(len(tokenizer.tokenize(word)) for word in words) / len(words)


VERBS: Verbs = {"plan": (Plan, plan), "measure": (Measure, measure)}

TRY = Try(
    command="measure {data} --model {model}",
    data="sentences in English, your language and, if there are any, as people romanise it, a column each.",
    means="Whether the encoder finds translations in both spellings, against solvers that understand nothing.",
    limits="Retrieval among these sentences alone; short messages with names are easier than prose.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.muril.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
