"""A row of data costs no Python object: what `fit` needs before its first step, over data that no memory holds."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM

from core.corpora.mixture import Mixture
from core.errors import UserError
from core.experiment.run import temporary
from core.training import packing
from core.training.config import TrainingConfig
from core.training.documents import StreamedRows
from core.training.fit import fit
from core.training.losses import Loss
from core.training.packing import Order, cut, labelled, make_feed

SETTINGS = TrainingConfig(steps=2, batch_size=4, max_length=64, precision="fp32")


class Lengths(Sequence[Any]):
    """Documents of which a file knows the lengths; what is in them is made up when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.lengths, self.read = np.memmap(path, np.uint16), 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Any) -> Any:
        self.read += 1
        return {"input_ids": np.full(self.lengths[index], index % 97, np.uint16)}


def write_lengths(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for begin in range(0, rows, 1 << 20):
            rng.integers(1, 100, min(1 << 20, rows - begin), dtype=np.uint16).tofile(file)


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=97, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2)
    )


@pytest.mark.parametrize(("layout", "shuffle"), [("packed", True), ("packed", False), ("flattened", True)])
def test_two_million_rows_cost_bytes_and_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Any, shuffle: bool
) -> None:
    # A chapter is laid out with Python's lists, whatever the size of the data.
    monkeypatch.setattr(packing, "CHAPTER", 1 << 15)
    write_lengths(tmp_path / "lengths", rows := 2_000_000)
    data, settings = Lengths(tmp_path / "lengths"), replace(SETTINGS, layout=layout, shuffle=shuffle)
    with temporary() as run:
        fit(model(), [{"input_ids": [1, 2]}], settings, run)  # what is imported and allocated once
        tracemalloc.start()
        try:
            fit(model(), data, settings, run, name="again")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # Four bytes for the order, four for the documents that are kept, and whether they are; 20 MB for parts of them.
    assert peak < 10 * rows + 20e6
    assert data.read < 200


PROGRAM = """
import re, time
from tests.core.test_rows import *
settings = TrainingConfig(batch_size=4, max_length=64, {settings})
with temporary() as run:
    started = time.process_time()
    fit(model(), Lengths(Path({path!r})), settings, run)
    peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
    print(time.process_time() - started, peak)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", ["steps=2", "epochs=1e-7", "epochs=1e-7, shuffle=False", "steps=2, layout='padded'"]
)
def test_a_hundred_million_rows_start_within_a_minute_and_two_gigabytes(tmp_path: Path, settings: str) -> None:
    write_lengths(path := tmp_path / "lengths", 100_000_000)
    command = [sys.executable, "-c", PROGRAM.format(settings=settings, path=str(path))]
    seconds, kilobytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert float(seconds) < 60, "of processor time, two steps of a tiny model included"
    assert int(kilobytes) * 1024 < 2e9, "resident at the peak, libraries and the mapped file included"


def test_an_epoch_of_many_chapters_has_every_piece_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(1).integers(0, 30, 500)
    for how, capacity, shuffle in itertools.product(("truncate", "split"), (0, 16), (True, False)):
        pieces = cut(lengths, 16, how)  # type: ignore[arg-type]
        monkeypatch.undo()
        whole = list(Order(pieces, 0, 4, capacity, shuffle).epoch(0))
        monkeypatch.setattr(packing, "CHAPTER", 64)
        monkeypatch.setattr(packing, "WINDOW", 16)
        order = Order(pieces, 0, 4, capacity, shuffle)
        rows = list(order.epoch(0))
        assert order.epoch(0).chapters > 4
        assert sorted(itertools.chain(*rows)) == sorted(itertools.chain(*whole))
        assert shuffle or list(itertools.chain(*rows)) == list(itertools.chain(*whole))
        assert order.rows() == pytest.approx(len(rows), rel=0.05 if capacity and shuffle else 0)
        # Steps run over the borders of chapters and epochs, and can be entered anywhere.
        stream = order.batches(0, 0)
        steps = [next(stream) for _ in range(3 * len(rows) // 8)]
        assert list(itertools.chain(*(step for step, _, _ in steps)))[: len(rows)] == rows
        for number in (3, len(steps) // 2, len(steps) - 2):
            _, epoch, offset = steps[number]
            assert next(Order(pieces, 0, 4, capacity, shuffle).batches(epoch, offset)) == steps[number + 1]


def test_resumed_across_chapters_is_unbroken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "CHAPTER", 16)
    rows = [{"input_ids": [n % 97] * (2 + n % 13)} for n in range(60)]
    settings = replace(SETTINGS, steps=12, max_length=16, save_every=5, keep_checkpoints=3)
    with temporary() as run:
        unbroken = fit(model(), rows, settings, run)
        for step in (10, 12):
            shutil.rmtree(run.checkpoints / "train" / f"step-{step:06d}")
        resumed = fit(model(), rows, settings, run)
        assert (resumed.resumed_from, resumed.losses) == (5, unbroken.losses)


def test_many_rows_are_looked_at_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"input_ids": [1, 2, 3], "labels": [-100, -100, -100]}, {"input_ids": [1, 2], "labels": [1]}] * 3
    for data in (rows, Dataset.from_list(rows)):
        monkeypatch.undo()
        with pytest.raises(UserError, match="Row 1 has 2 tokens but 1 labels"):
            make_feed(data, SETTINGS, 0, None, "flat")
        monkeypatch.setattr(packing, "READ_BEFOREHAND", 4)
        assert len(labelled(data, cut(np.array([3, 2] * 3), 64, "truncate"))) == 6
        feed = make_feed(data, SETTINGS, 0, None, "flat")
        with pytest.raises(UserError, match="has 2 tokens but 1 labels"):
            list(feed.micro_batches(next(feed.order.batches(0, 0))[0], 0, 0, 1))


def test_a_length_a_row(tmp_path: Path) -> None:
    write_lengths(tmp_path / "lengths", 10)
    data = type("Longer", (Lengths,), {"__len__": lambda self: 11})(tmp_path / "lengths")
    with pytest.raises(UserError, match="11 rows but 10 lengths"):
        make_feed(data, SETTINGS, 0, None, "flat")


# --- streams ----------------------------------------------------------------------------------------------------------

TEXT = {"a": [[n, 1, 2][: 1 + n % 3] * (1 + n % 5) for n in range(40)], "b": [[50 + n] * 21 for n in range(9)]}
STREAMED = replace(SETTINGS, steps=14, max_length=16, shuffle=False, long_documents="split", save_every=5)


def mixture() -> Mixture[list[int]]:
    return Mixture({"a": TEXT["a"], "b": lambda: iter(TEXT["b"])}, [{"a": 300.0, "b": 300.0}, {"b": 500.0}], seed=3)


def regression(rows: Any, rng: np.random.Generator) -> Any:
    return {"input_ids": torch.tensor([[row["input_ids"][0], 1] for row in rows]), "noise": float(rng.random())}


def counted(net: Any, batch: Any) -> Loss:
    return Loss(net(batch["input_ids"]).logits.square().sum() * batch["noise"], len(batch["input_ids"]))


@pytest.mark.parametrize("layout", ["packed", "flattened"])
def test_a_stream_trains_as_its_rows_in_a_list_do(layout: Any) -> None:
    settings = replace(STREAMED, layout=layout)
    with temporary() as run:
        listed = fit(model(), [{"input_ids": ids} for _, _, ids in mixture()], settings, run)
        stream = StreamedRows(mixture())
        assert fit(model(), stream, settings, run, name="stream").losses == listed.losses
        read = sum(counts.total() for counts in stream.counts.values())
        assert stream.counts[1].keys() == {"a", "b"}
        assert 14 * 4 * (16 if layout == "packed" else 2) * 0.7 < read < 1100


@pytest.mark.parametrize("collate", [None, regression])
def test_a_stream_goes_on_where_it_was_stopped(collate: Any) -> None:
    options = {"collate": collate, "loss_fn": counted} if collate else {}
    with temporary() as run:
        unbroken = fit(model(), StreamedRows(mixture()), STREAMED, run, **options)
        shutil.rmtree(run.checkpoints / "train" / "step-000014")
        resumed = fit(model(), stream := StreamedRows(mixture()), STREAMED, run, **options)
        assert (resumed.resumed_from, resumed.losses) == (10, unbroken.losses)
        whole = StreamedRows(mixture())
        while whole.counts != stream.counts:
            next(whole)


def test_what_a_stream_cannot_be_asked_for() -> None:
    with temporary() as run:
        for change, message in (
            ({"steps": 0}, "Nobody knows the end"),
            ({"shuffle": True}, "in its own order"),
            ({"long_documents": "truncate"}, "training.long_documents to split"),
            ({"steps": 99}, "ended after step 2[0-9] of 99"),
        ):
            with pytest.raises(UserError, match=message):
                fit(model(), StreamedRows(mixture()), replace(STREAMED, **change), run, name=message.split()[0])
