"""Train a text-to-image model, stage by stage, and average its last checkpoints.

python -m papers.neobabel.train tiny --variant english_only
python -m papers.neobabel.train --p3.sources my_images --train-languages en sw --out runs/mine
accelerate launch -m papers.neobabel.train paper
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from core.files import read_json, write_json
from papers.neobabel.config import Config, decoder_config

if TYPE_CHECKING:
    from papers.neobabel.data import FrozenText, TokenText
    from papers.neobabel.model import TextToImage

# What decides nothing of the trained weights, but whether they are merged, drawn from and measured.
LATER = {"split", "merge", "decoding", "translator", "crowd", "languages", "limit", "benchmark"}


def train(config: Config, run: Run) -> None:
    """Write `artifact`: decoder, projection, vocabulary, statistics of the text encoder, `training.json`."""
    from core.distributed import is_main, seed_everything, world_size
    from papers.neobabel import data, model

    if config.crowd:
        return  # there is nothing to learn
    seed_everything(config.seed)
    text = data.text_of(config, run)
    learned = {name: value for name, value in to_dict(config).items() if name not in LATER}
    if world_size() == 1 and config.frozen_encoder:
        # Averages, baselines and decoding settings of one model share its training.
        folder = run.stage("model", learned, lambda folder: _train(config, run, text, folder))
    else:
        # Training is a joint act of all processes, so it cannot happen where only the main one builds.
        folder = run.path / "trained"
        if not (folder / "training.json").exists():
            _train(config, run, text, folder)
    chosen = folder / ("average" if config.merge else "last")
    if not chosen.exists():
        raise UserError(
            f"{folder} has no average of {config.merge_n} whole checkpoints of {config.stages[-1]}: train it with "
            "training.strategy ddp, since shards of fsdp2 are not merged."
        )
    model.save(model.load(chosen), run.artifact, getattr(text, "tokenizer", None))
    if is_main():
        if isinstance(text, data.FrozenText):
            text.states.save(run.artifact / "text", table=False)
        write_json(run.artifact / "training.json", read_json(folder / "training.json"))


def average(files: Sequence[Path]) -> dict[str, Any]:
    """Equation 8: the mean of checkpoints. What is tied to the embedding (the head) is not among their names."""
    from core.models import merging

    return merging.merged(files, merging.average([1 / len(files)] * len(files)))


def build_model(config: Config, text: FrozenText | TokenText) -> TextToImage:
    """The untrained model: a small decoder behind a frozen encoder, or a language model with new rows for images."""
    import torch

    from core.models import loading
    from core.models.vocabulary import resize_embeddings
    from papers.neobabel.model import TextToImage

    vocabulary = text.vocabulary(config.codes)
    lm: Any
    if config.frozen_encoder:
        lm = loading.from_config(decoder_config(vocabulary.size), seed=config.seed, attention="eager")
    else:
        # The released constructor builds random weights unless told otherwise, and its YAML fails to tell it.
        lm = loading.load(config.backbone, attention="eager", dtype="float32", device="cpu").model
        old, generator = lm.get_input_embeddings().weight, torch.Generator().manual_seed(config.seed)
        new = torch.randn(vocabulary.size - vocabulary.text, old.shape[1], generator=generator)
        resize_embeddings(lm, [*range(vocabulary.text), *(new * getattr(lm.config, "initializer_range", 0.02))])
    return TextToImage(lm, vocabulary, config.last.image_tokens, config.last.text_tokens, text.width)


def _train(config: Config, run: Run, text: FrozenText | TokenText, folder: Path) -> None:
    """All stages, to the last weights and, where checkpoints were kept for it, their average.

    Checkpoints of a stage that was interrupted stay, and the same command goes on.
    """
    from core.distributed import is_main
    from core.training.fit import fit
    from papers.neobabel import data, method, model

    trained = build_model(config, text)
    report: dict[str, Any] = {"parameters": sum(p.numel() for p in trained.parameters()), "stages": {}}
    for name, stage in config.trained.items():
        # A finished stage keeps its last checkpoint, so that an interrupted run does not train it again.
        settings = replace(stage.training, save_every=stage.training.save_every or stage.training.steps)
        if stage is config.last and config.merge_n * config.merge_every <= settings.steps:
            settings = replace(settings, save_every=config.merge_every, keep_checkpoints=config.merge_n)
        rows = data.stage_rows(stage, config)
        collate = data.collator(stage, config.train_languages, text, trained.vocabulary)
        options: dict[str, Any] = {"loss_fn": method.image_loss, "collate": collate, "seed": config.seed, "name": name}
        result = fit(trained, rows, settings, run, **options)
        report["stages"][name] = {"steps": result.steps, "images": len(rows), "loss": fmean(result.losses[-50:])}
    model.save(trained, folder / "last")
    files = sorted((run.checkpoints / config.stages[-1]).glob("step-*/model.safetensors"))
    if len(files) == config.merge_n:
        trained.load_state_dict(average(files), strict=False)
        model.save(trained, folder / "average")  # processes wait for each other here: all have read the files
    if is_main():
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        write_json(folder / "training.json", report)


if __name__ == "__main__":
    entrypoint(train)
