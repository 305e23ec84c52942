"""Build the items: wrong definitions for task 2, and which pairs are shown. Nothing is fitted.

    python -m papers.orthography_semantics.train tiny

The artifact is `items.jsonl`, those that are asked, and `shown.jsonl`, those that demonstrations are taken from.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from random import Random

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import build_folder
from papers.orthography_semantics.config import Config
from papers.orthography_semantics.method import Item

TRIES = 1000  # the toy has too few pairs for four that share nothing, and takes the last


def train(config: Config, run: Run) -> None:
    """Items with their wrong definitions, in every language."""
    from papers.orthography_semantics import data

    asked, shown = item_set(config)
    if config.exchanged:
        asked, shown = exchanged(asked, config.seed), exchanged(shown, config.seed)

    def fill(folder: Path) -> None:
        data.write_items(folder / "items.jsonl", asked)
        data.write_items(folder / "shown.jsonl", shown)

    if is_main_process():
        build_folder(run.artifact, fill, replace=True)


def item_set(config: Config) -> tuple[list[Item], list[Item]]:
    """What is asked, and what is shown."""
    from papers.orthography_semantics import data, miniature
    from papers.orthography_semantics.method import with_negatives

    encode = data.encoder(config.negatives)
    if config.items:
        asked, shown = list[Item](), list[Item]()
        for source in config.items:
            few, rest = data.stratified(with_negatives(data.read_items(source), encode))
            asked, shown = [*asked, *rest], [*shown, *few]
        return asked, shown
    keys = miniature.drawn(config.split, config.size, config.seed)
    every = miniature.items(config.split, encode, None if config.whole else keys)
    if config.split == "test" and {"label", "sentence"} & {*config.tasks}:  # all that eval.py correlates and reads
        keys = {one.key for one in every}
    return [one for one in every if one.key in keys], [
        one for code in miniature.LANGUAGES for one in miniature.pool(code, "dev") if one.key not in keys
    ]


def exchanged(items: list[Item], seed: int) -> list[Item]:
    """Every link broken: both words and both glosses come from four pairs of the language that share no word and no
    gloss, of any kind, as the words of one kind may lie closer to all words than those of another."""
    found: dict[tuple[str, str], Item] = {}
    for _, group in groupby(sorted(items, key=lambda one: one.language), key=lambda one: one.language):
        own, draw = list(group), Random(f"exchanged-{seed}")
        for one in own:
            for _ in range(TRIES):
                four = draw.sample(own, 4)
                texts = [text for other in four for text in {text.casefold() for text in other[3:] if text}]
                if len(texts) == len({*texts}):
                    break
            said, meant, word, gloss = four
            friend = one.kind == "false"  # its wrong definition is the other word's
            found[one.kind, one.key] = one._replace(
                english=said.english, english_gloss=meant.english_gloss, word=word.word, gloss=gloss.gloss,
                english_negative=gloss.gloss if friend else meant.english_negative,
                negative=meant.english_gloss if friend else gloss.negative,
            )  # fmt: skip
    return [found[one.kind, one.key] for one in items]


if __name__ == "__main__":
    entrypoint(train)
