"""Text by language and script: Glot500-c on the hub, or a folder with a file `<language>_<Script>.txt` each.

parts("my_texts")                           # ["hau_Latn", "swh_Latn"]
lines("glot500", "swh_Latn")                # streamed
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from core.corpora.files import read_rows
from core.errors import UserError
from core.files import read_lines

HUB = "cis-lmu/Glot500"
"""The part of Glot500-c that may be passed on: a subset `<language>_<Script>` each, with a column `text`."""


def parts(corpus: str) -> list[str]:
    """What a corpus has, such as `swh_Latn`.

    Args:
        corpus: `glot500`, or a folder.

    Raises:
        UserError: No such folder, no such file in it, or the hub cannot be asked.
    """
    if corpus == "glot500":
        return _hub_subsets()
    if not Path(corpus).is_dir():
        raise UserError(f"Corpus {corpus} does not exist: use glot500 or a folder of <language>_<Script>.txt.")
    if found := sorted(path.stem for path in Path(corpus).glob("*_*.txt")):
        return found
    raise UserError(f"{corpus} has no file such as swh_Latn.txt: give a folder with one for each language.")


def lines(corpus: str, part: str) -> Iterable[str]:
    """The lines of a part, those without text left out of a folder's."""
    if corpus == "glot500":
        return (str(row["text"]) for row in read_rows(f"{HUB}#{part}@train", streaming=True))
    return [line for line in read_lines(Path(corpus) / f"{part}.txt") if line.strip()]


def _hub_subsets() -> list[str]:
    from datasets import get_dataset_config_names

    try:
        return sorted(get_dataset_config_names(HUB))
    except Exception as error:  # whatever the hub's client raises: the fix is the same
        raise UserError(
            f"Cannot list the languages of {HUB} ({type(error).__name__}): connect to the network (and unset "
            "HF_HUB_OFFLINE), or give a folder of <language>_<Script>.txt as --corpus."
        ) from error
