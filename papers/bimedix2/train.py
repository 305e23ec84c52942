"""Connect a language model and an image encoder: the projector first, adapters second.

    python -m papers.bimedix2.train tiny --variant bimedix2
    python -m papers.bimedix2.train paper --captions short.json --conversations mine.json --images pictures
    accelerate launch -m papers.bimedix2.train paper

The artifact holds `adapter` (peft's, with the projector) and `assistant.json`, which names the models around it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.bimedix2.config import Config

if TYPE_CHECKING:
    from papers.bimedix2.model import Assistant


def train(config: Config, run: Run) -> None:
    """Both stages, or what the configuration leaves of them."""
    from core.distributed import seed_everything
    from core.training.fit import save_pretrained
    from papers.bimedix2 import data, method, miniature
    from papers.bimedix2.model import FACTS

    seed_everything(config.seed)
    facts: dict[str, Any] = parts(config, run)
    if "instruct" in config.stages:
        own, settings = config.conversations, config.instruct
        samples = data.read_samples(own, config.images, config.limit) if own else miniature.conversations(config)
        samples = data.chosen(samples, config)  # mistakes in files are found before anything is loaded
        assistant = untrained(config, run)
        if "align" in config.stages:
            align(assistant, config, run)
        checkpointing = settings.gradient_checkpointing
        seed_everything(
            config.seed
        )  # adapters are drawn alike whether or not the projector was trained in this process
        tuned = method.adapt(assistant.model, config.rank, config.dropout, checkpointing=checkpointing)
        collate = partial(batch, assistant, stage="instruct", max_length=settings.max_length)
        result = method.instruct(tuned, samples, collate, settings, run, config.seed, config.projector_rate)
        save_pretrained(tuned, run.artifact / "adapter")
        facts |= {"rows": len(samples), "pictures": sum(sample["image"] is not None for sample in samples)}
        facts |= {"trained": sum(p.numel() for p in tuned.parameters() if p.requires_grad)}
        facts |= {"steps": result.steps, "loss": result.losses[-1]}
    if is_main_process():
        write_json(run.artifact / FACTS, facts)


def batch(assistant: Assistant, rows: Any, rng: Any, **options: Any) -> Any:
    """A batch as `fit` asks for it; nothing of it is random."""
    return assistant.batch(rows, **options)


def parts(config: Config, run: Run) -> dict[str, str]:
    """What an assistant is made of: the models as configured, or those that are made for the miniature."""
    found = {"language": config.language_model, "vision": config.vision}
    if not config.language_model:
        from papers.bimedix2 import miniature

        inputs = {"seed": config.seed, "split": config.split, "limit": config.limit, "base": to_dict(config.base)}
        inputs["tagging"] = config.tagging
        folder = run.stage("base", inputs, lambda folder: miniature.pretrain(config, run, folder))
        found = {name: str(folder.resolve() / name) for name in found}
    return found | {name: getattr(config, name) for name in ("image_token", "dtype")}


def untrained(config: Config, run: Run) -> Assistant:
    """Both models with a fresh projector."""
    from papers.bimedix2.model import Assistant

    return Assistant.of(**parts(config, run), seed=config.seed)


def align(assistant: Assistant, config: Config, run: Run) -> None:
    """Stage 1, in place. In the miniature all arms with the same captions share the projector that comes out."""
    from safetensors.torch import load_file, save_file

    from papers.bimedix2 import data, method, miniature

    own, projector = config.captions, assistant.model.model.multi_modal_projector

    def fill(folder: Path | None = None) -> None:
        samples = data.read_samples(own, config.images, config.limit) if own else miniature.captions(config)
        samples = data.exchanged(samples, config.seed) if config.shuffled else samples
        collate = partial(batch, assistant, stage="align", max_length=config.align.max_length)
        method.align(assistant.model, samples, collate, config.align, run, config.seed)
        if folder:
            save_file(projector.state_dict(), folder / "projector.safetensors")

    if own:
        fill()
        return
    inputs: dict[str, Any] = {name: getattr(config, name) for name in ("seed", "split", "shuffled", "limit", "tagging")}
    inputs |= {name: to_dict(getattr(config, name)) for name in ("base", "align")}
    projector.load_state_dict(load_file(run.stage("projector", inputs, fill) / "projector.safetensors"))


if __name__ == "__main__":
    entrypoint(train)
