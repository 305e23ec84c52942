"""BiStil on your own: cut a vocabulary, put a task onto a student, and say what it costs and gives.

    python -m papers.bistil.use trim en.txt sw.txt --model FacebookAI/xlm-roberta-base --out trimmed
    python -m papers.bistil.use apply runs/mine/artifact/task.safetensors --student runs/mine/artifact/student
    python -m papers.bistil.use report test.jsonl --models multilingual-classifier applied

To distil a student and to tune it give `papers.bistil.train` your text and your task's data.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from core.models.loading import Task


@dataclass(frozen=True)
class Trim:
    """Cut a multilingual encoder down to the tokens of some text."""

    corpora: tyro.conf.Positional[tuple[Path, ...]]
    """Plain text, a file a language; a token stays that is frequent enough in one of them."""
    model: str
    """Hub id, folder or wheel with a Unigram or WordPiece tokenizer."""
    out: Path = Path("trimmed")
    """A new folder for model and tokenizer."""
    threshold: Annotated[float, Range(0, 1)] = 1e-6
    """Share of a file's tokens that keeps one."""
    keep_characters: bool = True
    """Keep pieces of one character that occur, for words that the text does not have."""
    check: Path | None = None
    """Other text of yours: how many of its tokens are unknown, before and after."""


@dataclass(frozen=True)
class Apply:
    """Write the classifier that a student is with a task; a student can have any number of tasks."""

    task: tyro.conf.Positional[Path]
    """The task.safetensors of a run of `papers.bistil.train`."""
    student: Path
    """The student that it was trained with."""
    out: Path = Path("applied")
    """A new folder, which transformers' classes read."""


@dataclass(frozen=True)
class Report:
    """Size, time and quality of classifiers on this machine's CPU, one thread."""

    labelled: tyro.conf.Positional[Path]
    """Test data: .jsonl with text and label or with tokens and tags, or .tsv with text and label."""
    models: tuple[str, ...]
    """Classifiers of texts or words: hub ids or folders, such as the task's teacher and what `apply` wrote."""


def trim(options: Trim) -> None:
    """Write the smaller model, and say what is left.

    Raises:
        UserError: No text, a model that cannot be had, another kind of tokenizer, or a folder that is there already.
    """
    from core.files import build_folder, read_lines
    from core.models.vocabulary import cut_vocabulary, resize_embeddings
    from papers.bistil import data, method

    _free(options.out)
    corpora = [[line for line in read_lines(path) if line.strip()] for path in options.corpora]
    checked = read_lines(options.check) if options.check else []
    if not corpora:
        raise UserError("There is no text: name a file a language.")
    if empty := [path for path, lines in zip(options.corpora, corpora, strict=True) if not lines]:
        raise UserError(f"{empty[0]} has no line with text: leave it out, or give another file.")
    model, tokenizer = _load(options.model)
    kept = method.kept_tokens(tokenizer, corpora, options.threshold)
    if options.keep_characters:
        kept |= data.characters(tokenizer, corpora)
    small, rows = cut_vocabulary(tokenizer, kept)
    before = sum(value.numel() for value in model.parameters())
    resize_embeddings(model, rows)
    after = sum(value.numel() for value in model.parameters())

    def fill(folder: Path) -> None:
        model.save_pretrained(folder)
        small.save_pretrained(folder)

    build_folder(options.out, fill)
    print(f"{len(rows):,} of {len(tokenizer):,} tokens, {after / 1e6:.1f} of {before / 1e6:.1f} million parameters.")
    if checked:
        shares = [_unknown(each, checked) for each in (tokenizer, small)]
        print(f"Unknown tokens in {options.check}: {shares[0]:.2%} before, {shares[1]:.2%} after.")


def apply(options: Apply) -> None:
    """Write the classifier.

    Raises:
        UserError: No such task or student, or they do not belong together.
    """
    from core.files import build_folder
    from papers.bistil import sparse

    _free(options.out)
    model, tokenizer = sparse.classifier(options.student, options.task)

    def fill(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    build_folder(options.out, fill)
    print(f"Wrote {options.out}: {', '.join(map(str, (model.config.id2label or {}).values()))}.")


def report(options: Report) -> None:
    """Print a line a model.

    Raises:
        UserError: Data without labels, or a model that is no classifier.
    """
    import torch

    from core import corpora
    from core.tasks.labelled import labelled_row
    from papers.bistil import data

    rows = corpora.read_rows(options.labelled)
    examples = list(corpora.adapted(options.labelled, rows, lambda row, _: labelled_row(row, str(options.labelled))))
    task: Task = "seq-cls" if data.head(examples) == "sequence" else "token-cls"
    loaded = [_load(model, task, device="cpu") for model in options.models]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        print("model\tmillion parameters\tMB\tms a row\tF1")
        for name, (model, tokenizer) in zip(options.models, loaded, strict=True):
            count = sum(value.numel() for value in model.parameters())
            data.score((model, tokenizer), examples[:8])  # the first call is slower
            began = time.perf_counter()
            quality = data.score((model, tokenizer), examples)
            spent = 1000 * (time.perf_counter() - began) / len(examples)
            print(f"{name}\t{count / 1e6:.1f}\t{4 * count / 1e6:.0f}\t{spent:.2f}\t{quality:.3f}")
    finally:
        torch.set_num_threads(threads)


def _load(spec: str, task: Task | None = None, **options: Any) -> Any:
    """A model in float32 with the head that its checkpoint has."""
    from core.models import loading

    if task is None:
        task = "masked-lm" if (loading.load_config(spec).architectures or [""])[0].endswith("MaskedLM") else "encoder"
    elif not str((loading.load_config(spec).architectures or [""])[0]).endswith("Classification"):
        raise UserError(f"{spec} is no classifier: tune it to the task first, or write one with `apply`.")
    return loading.load(spec, task=task, dtype="float32", **options)


def _unknown(tokenizer: Any, lines: Sequence[str]) -> float:
    ids = [token for line in lines for token in tokenizer(line, add_special_tokens=False)["input_ids"]]
    return ids.count(tokenizer.unk_token_id) / max(1, len(ids))


def _free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already: choose another folder with --out.")


VERBS: Verbs = {"trim": (Trim, trim), "apply": (Apply, apply), "report": (Report, report)}

TRY = Try(
    command="trim {data} --model {model} --out {out}/student",
    data="plain text of the source language; the target's text comes behind it (`-- target.txt`).",
    means="How much of vocabulary and weights a model needs for two languages. The folder is an ordinary model.",
    limits="A trimmed model is not distilled yet, and tokens that neither text has are gone: check it on text of "
    "your own (`--check`).",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.bistil.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
