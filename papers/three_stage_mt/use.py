"""Use the three stages on your own documents and with your own model.

    python -m papers.three_stage_mt.use interlinear talk.de.txt talk.en.txt --languages de en --out interlinear.jsonl
    python -m papers.three_stage_mt.use translate --model my_model --source de --target en < german.txt > english.txt

`interlinear` writes the text of stage 2, a document a line, and says how much it is; `translate` asks in the language
of the source, a sentence a line. Stages 2 and 3 on your own model: `papers.three_stage_mt.train` with --base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try


@dataclass(frozen=True)
class Interlinear:
    """Write sentence-aligned documents as interlinear text."""

    sources: tyro.conf.Positional[tuple[str, ...]]
    """One .tmx, .jsonl, .tsv or hub data set; or two text or subtitle files, one a language."""
    languages: tuple[str, str]
    """Codes of both languages, in the order of the files."""
    out: Path = Path("interlinear.jsonl")
    """One {"text": ...} a line, which any trainer loads."""
    order: Literal["src_first", "tgt_first", "random_per_doc"] = "random_per_doc"
    """Which language comes first; drawn for each document, so that both directions are learnt."""
    granularity: str = "sentence"
    """sentence, block_k, or document."""
    tags: bool = False
    """Write the name of its language before every line."""
    window: Annotated[int, Range(1)] = 10
    """Pairs of a document at most; longer ones are cut there."""
    tokenizer: str | None = None
    """Hub id or folder: also count the tokens of each language, and what blocks of `length` hold."""
    length: Annotated[int, Range(8)] = 1024
    """Tokens of a block."""
    seed: Seed = 0
    """Of the orders."""


@dataclass(frozen=True)
class Translate:
    """Translate the lines of standard input."""

    model: str
    """Hub id or folder of a model that was tuned with these prompts."""
    source: str
    """Code of the language to translate from."""
    target: str
    """Code of the language to translate into."""
    instruction_language: str = "source"
    """source (as the paper tunes), target, or a code."""
    num_beams: Annotated[int, Range(1)] = 4
    """Beams."""
    max_new_tokens: Annotated[int, Range(1)] = 256
    """Longest translation in tokens."""


def interlinear(options: Interlinear) -> None:
    """Write the documents and print how many there are; with a tokenizer also their tokens by language.

    Raises:
        UserError: Both languages are one.
    """
    from core.corpora.bitext import read_bitext, windows
    from core.files import write_rows
    from core.text.languages import name, same_language
    from papers.three_stage_mt import method
    from papers.three_stage_mt.config import check_granularity

    check_granularity(options.granularity)
    if same_language(*options.languages):
        raise UserError(
            f"languages = {' '.join(options.languages)}: name two different ones, in the order of the files."
        )
    documents = list(windows(read_bitext(*options.sources, languages=options.languages), options.window))
    names = tuple(map(name, options.languages)) if options.tags else None
    units = method.make_interlinear(documents, options.order, options.granularity, names, seed=options.seed)  # type: ignore[arg-type]
    write_rows(options.out, ({"text": "\n".join(document)} for document in units))
    print(f"{len(documents)} documents of {sum(map(len, documents))} pairs: {options.out}")
    if options.tokenizer is None:
        return
    from core.models.loading import load_tokenizer

    tokenizer = load_tokenizer(options.tokenizer)
    for side, code in enumerate(options.languages):
        lines = [pair[side] for document in documents for pair in document]
        print(f"{code}: {sum(map(len, tokenizer(lines, add_special_tokens=False)['input_ids']))} tokens")
    packed = method.pack(tokenizer, units, options.length)
    share = packed.tokens / (options.length * len(packed.rows)) if packed.rows else 0.0
    print(f"{len(packed.rows)} blocks of {options.length} tokens, {share:.0%} full; {packed.dropped} units are longer.")


def translate(options: Translate) -> None:
    """Print a translation a line, an empty line for an empty one.

    Raises:
        UserError: Source and target are one language.
    """
    from core.models import loading
    from core.tasks import translation
    from core.text.languages import same_language
    from papers.three_stage_mt import method

    if same_language(options.source, options.target):
        raise UserError(f"source and target are both {options.source!r}: name two languages.")

    def prompt(part: translation.Segment) -> str:
        return method.translation_prompt(part.source, part.target, part.source_text, options.instruction_language)

    def write(texts: list[str]) -> list[str]:
        lines = enumerate(texts)
        parts = [translation.Segment(str(n), options.source, options.target, text, "") for n, text in lines]
        decoding: dict[str, Any] = {"num_beams": options.num_beams, "max_new_tokens": options.max_new_tokens}
        return translation.translate(*loading.load(options.model), parts, prompt, **decoding)

    translation.translate_lines(write)


VERBS: Verbs = {"interlinear": (Interlinear, interlinear), "translate": (Translate, translate)}

TRY = Try(
    command="interlinear {data} --languages en {language} --out {out}/documents.jsonl",
    data="documents in English and your language: TMX, subtitles, two files, rows.",
    means="Interlinear documents to go on pre-training with.",
    limits="Nothing is translated yet: train on them and compare with the same tokens as plain text.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.three_stage_mt.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
