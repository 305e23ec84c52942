"""Train a text-to-image model, stage by stage, and average its last checkpoints.

python -m papers.neobabel.train tiny --variant english_only
python -m papers.neobabel.train --p3.sources my_images --train.languages en sw --out runs/mine
accelerate launch -m papers.neobabel.train paper
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from core.files import read_json, write_json
from papers.neobabel.config import Config, Stage

if TYPE_CHECKING:
    from papers.neobabel.data import FrozenText, TokenText
    from papers.neobabel.model import TextToImage

# What decides the trained weights; the rest only decides how they are merged, drawn from and measured.
LEARNED = (
    "seed", "train", "backbone", "model", "attention", "stages", "images", "codes", "image_tokenizer", "schedule",
    "exponent", "cond_dropout", "identity_targets",
)  # fmt: skip


def train(config: Config, run: Run) -> None:
    """Write `artifact` (decoder, projection, vocabulary, text encoder) and `artifact/training.json`."""
    from core.distributed import is_main, seed_everything, world_size
    from core.models import merging
    from papers.neobabel import data, model
    from papers.neobabel.method import merge_weights

    seed_everything(config.seed)
    text = data.text_of(config, run)
    learned = {name: value for name, value in to_dict(config).items() if name in LEARNED}
    learned |= {name: to_dict(getattr(config, name)) for name in config.stages}
    learned["merge"] = [config.merge.n, config.merge.every]
    if world_size() == 1 and config.backbone.frozen_encoder:
        # Averages and decoding settings of one model share its training.
        folder = run.stage("model", learned, lambda folder: _train(config, run, text, folder))
    else:
        # Training is a joint act of all processes, so it cannot happen where only the main one builds.
        folder = run.path / "trained"
        if not (folder / "training.json").exists():
            _train(config, run, text, folder)
    trained = model.load(folder / "model", attention=config.attention.implementation)
    if config.merge.kind != "none":
        files = sorted((folder / "checkpoints").glob("*.safetensors"))[-config.merge.n :]
        if len(files) < config.merge.n:
            raise UserError(
                f"{folder} has {len(files)} whole checkpoints of {config.stages[-1]}, but merge.n is {config.merge.n}: "
                "train it with training.strategy ddp, since shards of fsdp2 are not merged."
            )
        # What is tied to the embedding (the head) is not stored twice, so it is not among the names.
        weights = merge_weights(config.merge.kind, len(files), config.merge.decay)
        trained.load_state_dict(merging.merged(files, merging.average(weights)), strict=False)
    model.save(trained, run.artifact, getattr(text, "tokenizer", None))
    if is_main():
        if isinstance(text, data.FrozenText):
            text.save(run.artifact / "text")
        write_json(run.artifact / "training.json", read_json(folder / "training.json"))


def build_model(config: Config, text: FrozenText | TokenText) -> TextToImage:
    """The untrained model: a small decoder behind a frozen encoder, or a language model with new rows for images."""
    import torch

    from core.models import loading
    from core.models.vocabulary import resize_embeddings
    from papers.neobabel.config import decoder_config
    from papers.neobabel.model import TextToImage, check_kernel

    vocabulary = text.vocabulary(config.codes)
    kernel = config.attention.implementation
    lm: Any
    if config.backbone.frozen_encoder:
        shape = decoder_config(config, vocabulary.size)
        check_kernel(shape, kernel)
        lm = loading.from_config(shape, seed=config.seed)
    else:
        # The released constructor builds random weights unless told otherwise, and its YAML fails to tell it.
        if config.backbone.init == "pretrained":
            lm = loading.load(config.backbone.model, attention=kernel, dtype="float32", device="cpu").model
        else:
            lm = loading.from_config(loading.load_config(config.backbone.model), seed=config.seed, attention=kernel)
        old = lm.get_input_embeddings().weight
        spread = getattr(lm.config, "initializer_range", 0.02)
        generator = torch.Generator().manual_seed(config.seed)
        new = torch.randn(vocabulary.size - vocabulary.text, old.shape[1], generator=generator) * spread
        resize_embeddings(lm, [*range(vocabulary.text), *new])
    return TextToImage(lm, vocabulary, text.width, config.attention.image, config.model.qk_norm)


def _train(config: Config, run: Run, text: FrozenText | TokenText, folder: Path) -> None:
    """All stages; checkpoints of a stage that was interrupted stay, and the same command goes on."""
    from core.distributed import is_main
    from core.training.fit import fit
    from papers.neobabel import data, model

    untrained = build_model(config, text)
    report: dict[str, Any] = {"parameters": sum(p.numel() for p in untrained.parameters()), "stages": {}}
    for name in config.stages:
        stage: Stage = getattr(config, name)
        last = name == config.stages[-1]
        # A finished stage keeps its last checkpoint, so that an interrupted run does not train it again.
        settings = replace(stage.training, save_every=stage.training.save_every or stage.training.steps)
        if last and config.merge.n * config.merge.every <= settings.steps:
            settings = replace(settings, save_every=config.merge.every, keep_checkpoints=config.merge.n)
        rows = data.stage_rows(stage, config)
        collate = data.collator(stage, config, text, untrained.vocabulary)
        result = fit(
            untrained, rows, settings, run, loss_fn=model.image_loss, collate=collate, seed=config.seed, name=name
        )
        report["stages"][name] = {
            "steps": result.steps,
            "images": len(rows),
            "loss": sum(result.losses[-50:]) / max(1, len(result.losses[-50:])),
            "seconds": round(result.seconds, 1),
        }
    model.save(untrained, folder / "model")
    if is_main():
        kept = folder / "checkpoints"
        kept.mkdir(parents=True, exist_ok=True)
        for path in sorted((run.checkpoints / config.stages[-1]).glob("step-*")):
            if (path / "model.safetensors").exists():
                shutil.copy2(path / "model.safetensors", kept / f"{path.name}.safetensors")
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        write_json(folder / "training.json", report)


if __name__ == "__main__":
    entrypoint(train)
