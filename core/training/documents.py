"""From bodies of text to token rows in the order in which a model reads them.

sizes, documents = tokenise(bodies, tokenizer)               # {"low": {"sw": 4.1e8}}, {"sw": rows or a stream}
rows, counts = ordered_rows(lambda: sample(documents), run, inputs)
fit(model, rows, settings, run)                              # with settings.shuffle off
"""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.corpora.mixture import Documents
from core.errors import UserError
from core.experiment.run import Run
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Body:
    """One body of text.

    Attributes:
        name: Unique.
        category: What it is counted under.
        texts: Opens the text anew.
        tokens: Size, where it is known without reading; None = count.
    """

    name: str
    category: str
    texts: Callable[[], Iterable[str]]
    tokens: float | None = None


def tokenise(
    bodies: Iterable[Body], tokenizer: PreTrainedTokenizerBase
) -> tuple[dict[str, dict[str, float]], dict[str, Documents[list[int]]]]:
    """Sizes in tokens by category and body, and the token rows of each body.

    A body of known size is not read now: its rows are a function that reads them as a stream.
    """
    sizes: dict[str, dict[str, float]] = {}
    documents: dict[str, Documents[list[int]]] = {}
    for body in bodies:
        size = body.tokens
        if size is None:
            rows = list(_rows(body, tokenizer))
            documents[body.name], size = rows, sum(map(len, rows))
        else:
            documents[body.name] = partial(_rows, body, tokenizer)
        sizes.setdefault(body.category, {})[body.name] = size
    return sizes, documents


def _rows(body: Body, tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
    texts = iter(body.texts())
    while part := list(itertools.islice(texts, 1000)):
        yield from encode(tokenizer, part)


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Ids of each text between the begin and the end token.

    Checkpoints without a begin token (Qwen) read documents from the end token of the one before, packed or not.
    """
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[*begin, *ids, tokenizer.eos_token_id] for ids in encoded]


def by_length(rows: Sequence[Any], lengths: Sequence[Any], settings: TrainingConfig, seed: int) -> list[Any]:
    """Rows for all steps, each batch of like lengths: where lengths differ most of a padded batch is padding.

    Every pass has batches of its own; what does not fill one is left out of that pass. Train with `shuffle` off.

    Args:
        rows: Of any kind.
        lengths: Of each, in tokens or in what grows with them; or tuples of lengths, of which the first counts most.
        settings: Its `steps` and `batch_size`.
        seed: Which rows of one length meet, and the order of the batches.

    Raises:
        UserError: Too few rows for a batch.
    """
    rng, size = random.Random(seed), settings.batch_size
    found: list[Any] = []
    while len(found) < settings.steps * size:
        order = sorted(range(len(rows)), key=lambda row: (lengths[row], rng.random()))
        batches = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
        if not batches:
            raise UserError(f"{len(rows)} rows do not fill a batch of {size}: lower batch_size.")
        found += [rows[row] for batch in rng.sample(batches, len(batches)) for row in batch]
    return found[: settings.steps * size]


def ordered_rows(
    stream: Callable[[], Iterable[tuple[int, str, list[int]]]],
    run: Run,
    inputs: Mapping[str, Any],
    *,
    on_disk: bool = False,
) -> tuple[Any, dict[int, dict[str, int]]]:
    """Rows by index of a stream of (stage from 1, source, token ids), and the tokens of each source by stage.

    Args:
        stream: Opens it.
        run: Keeps what goes to disk, as a stage that one process writes for all.
        inputs: What the stream depends on.
        on_disk: For streams that no memory holds: four bytes a token, twice that while it is written.
    """

    def rows() -> Iterator[dict[str, Any]]:
        for stage, source, ids in stream():
            yield {"stage": stage, "source": source, "tokens": len(ids), "input_ids": ids}

    table: Any
    kinds = {"stage": "int8", "source": "string", "tokens": "int32"}
    if on_disk:
        import datasets

        features = {name: datasets.Value(kind) for name, kind in kinds.items()}
        features["input_ids"] = datasets.List(datasets.Value("int32"))

        def build(folder: Path) -> None:
            made: Any = datasets.Dataset.from_generator(
                rows, features=datasets.Features(features), cache_dir=str(folder / "cache")
            )
            made.save_to_disk(folder / "rows")
            shutil.rmtree(folder / "cache")

        table = datasets.load_from_disk(run.stage("rows", inputs, build) / "rows")
        columns = [table[name] for name in kinds]
    else:
        table = list(rows())
        columns = [[row[name] for row in table] for name in kinds]
    counts: dict[int, Counter[str]] = {}
    for stage, source, tokens in zip(*columns, strict=True):
        counts.setdefault(stage, Counter())[source] += tokens
    return table, {stage: dict(found) for stage, found in counts.items()}
