"""Three stages: read the new language, read both languages line by line, then learn to translate from a few examples.

Stage 1 trains a causal language model on monolingual text. Stage 2 goes on with *interlinear* documents: a document of
sentences x_1 ... x_n with translations y_1 ... y_n is read as

    d = x_1 <nl> y_1 <nl> x_2 <nl> y_2 ... x_n <nl> y_n,        L_2 = - sum_t log p(d_t | d_<t)                 (1)

with the loss on *all* tokens: to predict y_i from what stands before it, the model has to align. Stage 3 tunes on a
small set of good translations. The instruction is written in the language a of the source, in inference too:

    L_3 = - sum_t log p(y_t | y_<t, instruction_a(a -> b) <nl> x <nl>)                                          (2)

    texts = make_interlinear([[("Guten Tag.", "Good day."), ("Ende.", "The end.")]], order="src_first")
    rows, report = pack(tokenizer, units, length=1024)            # a pair is never cut
    translation_prompt("de", "en", "Guten Tag.")                  # Übersetze den folgenden Satz (Deutsch → Englisch):
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from core.corpora.bitext import Document
from core.corpora.files import table_rows
from core.models.tokenization import completion_row
from core.tasks.translation import Segment
from core.text.languages import match, name

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

Order = Literal["src_first", "tgt_first", "random_per_doc"]
Alignment = Literal["true", "shifted", "shuffled"]
Row = dict[str, list[int]]
INSTRUCTIONS = {row["code"]: row["instruction"] for _, row in table_rows(Path(__file__).with_name("instructions.tsv"))}


# --- stage 1: the vocabulary of a language that the model reads in crumbs --------------------------------------------


def extend_vocabulary(model: Any, tokenizer: Any, texts: Iterable[str], pieces: int) -> Any:
    """Give the model, in place, pieces of the new language, by training its BPE tokenizer further on texts.

    Each starts as the mean of the embeddings (and of the output rows) of the old pieces that spell it. Returns the
    tokenizer that has them.
    """
    from core.models.vocabulary import resize_embeddings, with_more_merges

    extended, new = with_more_merges(tokenizer, texts, pieces)
    spell = tokenizer.backend_tokenizer.model.tokenize
    parts = [[token.id for token in spell(piece)] for piece in new]

    def rows(matrix: Any) -> list[Any]:
        return [*range(len(tokenizer)), *(matrix.detach()[ids].mean(0) for ids in parts)]

    head = model.get_output_embeddings()
    resize_embeddings(model, rows(model.get_input_embeddings().weight), output_rows=rows(head.weight) if head else None)
    return extended


# --- stage 2: interlinear documents ----------------------------------------------------------------------------------


def interlinear(
    document: Document, *, swap: bool = False, block: int = 1, tags: tuple[str, str] | None = None
) -> list[str]:
    """Equation (1): the units of a document, which packing does not cut: k lines and their translations.

    Args:
        document: Pairs in the order of the text.
        swap: The second language first.
        block: k, sentences of one language before their translations; as many as the document has: not interlinear.
        tags: Names of both languages, written before every line.
    """
    sides = [(0, 1), (1, 0)][swap]
    line = (lambda pair, side: f"{tags[side]}: {pair[side]}") if tags else (lambda pair, side: pair[side])
    blocks = [document[start : start + block] for start in range(0, len(document), block)]
    return ["\n".join(line(pair, side) for side in sides for pair in part) for part in blocks]


def misaligned(documents: Sequence[Document], alignment: Alignment, seed: int = 0) -> list[Document]:
    """The same lines with other translations: of the next pair of the document, or of any document.

    `shifted` leaves the right translation within sight; `shuffled` takes all alignment away.
    """
    if alignment == "shuffled":
        lines = [pair[1] for document in documents for pair in document]
        # Further than any document is long, where there is a choice: none keeps a translation of its own.
        far = min(max(map(len, documents), default=0), len(lines) // 2)
        start = random.Random(seed).randrange(max(1, far), max(2, len(lines) - far + 1))
        others = iter(lines[start:] + lines[:start])
        return [[(first, next(others)) for first, _ in document] for document in documents]
    by = int(alignment == "shifted")
    return [[(a, document[(i + by) % len(document)][1]) for i, (a, _) in enumerate(document)] for document in documents]


def make_interlinear(
    documents: Sequence[Document], order: Order = "random_per_doc", granularity: str = "sentence",
    tags: tuple[str, str] | None = None, alignment: Alignment = "true", seed: int = 0,
) -> list[list[str]]:  # fmt: skip
    """Documents as the model of stage 2 reads them: units to be joined by line feeds.

    Args:
        documents: Sentence pairs in the order of the text.
        order: Which language comes first; `random_per_doc` draws it for each document, since a model learns to
            translate in the order that it reads (Kondo et al. 2024).
        granularity: `sentence`, `block_k` (k sentences, then their translations) or `document` (not interlinear).
        tags: As in :func:`interlinear`.
        alignment: As in :func:`misaligned`.
        seed: Of the orders and of the shuffling.
    """
    rng = random.Random(seed)
    found = []
    for document in misaligned(documents, alignment, seed):
        swap = rng.random() < 0.5 if order == "random_per_doc" else order == "tgt_first"
        sizes = {"sentence": 1, "document": max(1, len(document))}
        block = sizes[granularity] if granularity in sizes else int(granularity.removeprefix("block_"))
        found.append(interlinear(document, swap=swap, block=block, tags=tags))
    return found


class Packed(NamedTuple):
    """What packing made."""

    rows: list[Row]
    """Token blocks; documents follow each other and see each other, as in ordinary pre-training."""
    tokens: int
    """Tokens in them."""
    dropped: int
    """Units that alone, with an end, are longer than a block."""


def pack(tokenizer: Any, documents: Iterable[Sequence[str]], length: int) -> Packed:
    """Blocks of at most `length` tokens that cut no unit; each unit ends with a line feed, each document with the end.

    What does not fit into the rest of a block opens the next one.
    """
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    rows, block, dropped = [], [*begin], 0
    for units in documents:
        ids = tokenizer([f"{unit}\n" for unit in units], add_special_tokens=False)["input_ids"] if units else []
        # Chosen before the end is written: a document whose last unit is too long has an end, too.
        kept = [unit for unit in ids if len(begin) + len(unit) < length]
        dropped += len(ids) - len(kept)
        for number, unit in enumerate(kept, start=1):
            unit = [*unit, tokenizer.eos_token_id] if number == len(kept) else unit
            if len(block) + len(unit) > length:
                rows.append({"input_ids": block})
                block = [*begin]
            block += unit
    rows += [{"input_ids": block}] if len(block) > len(begin) else []
    return Packed(rows, sum(len(row["input_ids"]) for row in rows), dropped)


# --- stage 3: instructions in the language of the source -------------------------------------------------------------


def instruction(source: str, target: str, language: str = "source") -> str:
    """The line that asks for a translation.

    Args:
        source: Code of the language to translate from.
        target: Code of the language to translate into.
        language: In which language it asks: `source` (the paper's), `target`, or a code. One without a wording asks in
            English.
    """
    asked = match({"source": source, "target": target}.get(language, language), INSTRUCTIONS) or "en"
    return f"{INSTRUCTIONS[asked]} ({name(source, asked)} → {name(target, asked)}):"


def translation_prompt(source: str, target: str, text: str, language: str = "source") -> str:
    """What the model is asked, in training and in use (equation 2)."""
    return f"{instruction(source, target, language)}\n{text}\n"


def translation_rows(tokenizer: Any, parts: Iterable[Segment], language: str) -> list[Row]:
    """Stage 3: the loss is on the translation and the end of the text alone."""
    bos = tokenizer.bos_token_id is not None
    prompts = ((translation_prompt(part.source, part.target, part.source_text, language), part) for part in parts)
    return [completion_row(tokenizer, prompt, part.target_text, bos=bos) for prompt, part in prompts]


# --- the loop, the same in every stage -------------------------------------------------------------------------------


def train_stage(
    model: Any, rows: Sequence[Mapping[str, Sequence[int]]], settings: TrainingConfig, run: Run, seed: int, name: str
) -> FitResult:
    """Minimise equation (1) on blocks, or equation (2) on translations."""
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss

    return fit(model, rows, settings, run, loss_fn=causal_lm_loss, seed=seed, name=name)
