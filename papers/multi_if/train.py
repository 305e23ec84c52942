"""Make the benchmark: a table of conversations. Nothing is fitted.

    python -m papers.multi_if.train tiny
    python -m papers.multi_if.train paper                       # the official table, from the hub

The miniature's is built as the paper builds its own, with tables in the place of a language model and of people:
instructions are added turn by turn, triples that exclude each other are left out, all is said in every language. That
every oracle's reply follows everything that it should is checked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import build_folder
from papers.multi_if.config import Config

if TYPE_CHECKING:
    from papers.multi_if.method import Conversation


def train(config: Config, run: Run) -> None:
    """The table, in the official columns."""
    from papers.multi_if import data, method, miniature

    if config.benchmark:
        talks = data.read(
            config.benchmark, config.languages, replies=config.mode == "oracle_history", compat=config.compat
        )
        talks = data.exchanged(talks) if config.decoy else talks
    else:
        codes = config.written
        drawn = miniature.frames(config.split, config.topics, config.seed)
        talks = [talk for talk, _ in miniature.conversations(codes, drawn, decoy=config.decoy)]
        rows = method.score(talks, {talk.key: [turn.oracle for turn in talk.turns] for talk in talks})
        if not config.decoy and (broken := [row for row in rows if not all(row.strict)]):
            raise UserError(f"The oracle of {broken[0].key} does not follow all of turn {broken[0].turn}.")
    if is_main_process():
        build_folder(run.artifact, lambda folder: _fill(folder, talks), replace=True)


def _fill(folder: Path, talks: Sequence[Conversation]) -> None:
    from papers.multi_if import data

    data.write(folder / "benchmark.csv", talks)


if __name__ == "__main__":
    entrypoint(train)
