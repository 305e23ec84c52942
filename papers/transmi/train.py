"""Build a TransMI model: nothing is trained.

    python -m papers.transmi.train tiny --variant max
    python -m papers.transmi.train --base my_model_folder --romanizer table:my_scheme.tsv --out adapted

The artifact is a `save_pretrained` folder: `AutoTokenizer.from_pretrained("adapted/artifact")`, and likewise the model.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import build_folder, read_json, write_json
from papers.transmi.config import Config

if TYPE_CHECKING:
    from core.models.loading import Task
    from papers.transmi.method import Adapted

HEADS: dict[str, Task] = {
    "ForMaskedLM": "masked-lm",
    "ForSequenceClassification": "seq-cls",
    "ForTokenClassification": "token-cls",
}
"""Heads that an adapted model keeps, by the end of the architecture's name."""


def train(config: Config, run: Run) -> None:
    """Transliterate, merge, initialise; the unmodified model leaves a note that says which one it is."""
    from core.text import romanize
    from papers.transmi import data

    base = data.base_folder(config, run)
    inputs = {
        "base": base,
        "romanizer": romanize.version(config.romanizer),
        "merge": [config.merge_mode, config.rows, config.compat_official],
        "seed": config.seed if config.rows == "random" else None,
    }
    # Built once for all seeds, and linked: a copy of 0.6 GB for each would be waste.
    source = None
    if config.merge_mode != "none":
        source = run.stage("adapted", inputs, lambda folder: _adapt(config, run, base, folder))
    if not is_main_process():
        return

    def fill(folder: Path) -> None:
        if source is None:
            write_json(folder / "transmi.json", {"base": config.base})
        else:
            shutil.copytree(source, folder, copy_function=_link, dirs_exist_ok=True)

    build_folder(run.artifact, fill, replace=True)


def _adapt(config: Config, run: Run, base: Path, folder: Path) -> None:
    from core.models.vocabulary import unigram_vocabulary
    from core.text import romanize
    from papers.transmi import method

    model, tokenizer = load_base(base)
    pieces = [piece for piece, _ in unigram_vocabulary(tokenizer)]

    def transliterate(folder: Path) -> None:
        romanized, _ = method.transliterate(pieces, romanize.resolve(config.romanizer, pieces=True))
        write_json(folder / "romanized.json", romanized)

    stage = run.stage("romanized", {"romanizer": romanize.version(config.romanizer), "pieces": pieces}, transliterate)
    assert config.merge_mode != "none"
    adapted = method.adapt(
        model,
        tokenizer,
        mode=config.merge_mode,
        compat_official=config.compat_official,
        rows=config.rows,
        seed=config.seed,
        romanized=read_json(stage / "romanized.json"),
    )
    save(folder, adapted, pieces, base=config.base)


def load_base(base: Path) -> Any:
    """Model (with the head that its checkpoint has) and tokenizer, in float32 on the CPU."""
    from core.models import loading

    name = (loading.load_config(base).architectures or [""])[0]
    task = next((task for ending, task in HEADS.items() if name.endswith(ending)), "encoder")
    return loading.load(str(base), task=task, dtype="float32", device="cpu")


def save(folder: Path, adapted: Adapted, pieces: Sequence[str], **facts: str) -> dict[str, Any]:
    """Write model, tokenizer and transmi.json: facts, and what the merge gave, which is also returned.

    That is counts, and the new pieces in which old ones collide, those with most sources first.
    """
    adapted.model.save_pretrained(folder)
    adapted.tokenizer.save_pretrained(folder)
    new = adapted.new
    ambiguous = sorted((piece for piece in new if len(piece.sources) > 1), key=lambda piece: -len(piece.sources))
    found = {
        "pieces": len(pieces),
        "new": len(new),
        "ambiguous": len(ambiguous),
        "largest": max((len(piece.sources) for piece in new), default=0),
        "collisions": {piece.piece: [pieces[index] for index in piece.sources] for piece in ambiguous},
    }
    write_json(folder / "transmi.json", {**facts, **found})
    return found


def _link(source: str, target: str) -> None:
    """A read-only hard link: whoever wrote into the file in place would change all the others."""
    try:
        os.link(source, target)
        Path(target).chmod(0o444)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


if __name__ == "__main__":
    entrypoint(train)
