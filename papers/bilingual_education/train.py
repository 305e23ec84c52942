"""Make a grader: learn from graded answers in chosen language conditions.

    python -m papers.bilingual_education.train tiny --variant bilingual
    python -m papers.bilingual_education.train paper --variant bilingual --data csw_paper_data

The artifact is a folder for :func:`papers.bilingual_education.load_grader`: an adapter, or a regression, with its
threshold and calibration. Without anything to learn from it is the model as it is.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.bilingual_education.config import Config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from papers.bilingual_education.data import Conditions
    from papers.bilingual_education.graders import Embed, EncoderGrader, LanguageGrader
    from papers.bilingual_education.method import Answer


def train(config: Config, run: Run) -> None:
    """Fit, calibrate, save."""
    from papers.bilingual_education import data, miniature

    if config.data:
        learn = data.official(config.data, "train", config.learns) if config.learns else {}
        # Only English and Spanglish have a part that is neither learnt from nor tested.
        aside = data.official(config.data, "dev", ("en", "sp"))
    else:
        parts = {name: miniature.conditions(stated) for name, stated in miniature.drawn(config).items()}
        learn, aside = {name: parts["learn"][name] for name in config.learns}, parts["calibrate"]
    grader = new(config, run)
    if learn:
        answers = lessons(learn, config)
        if grader.kind == "encoder":
            grader.fit(answers)
        else:
            grader.fit(answers, run, config.training, seed=config.seed, loss_on=config.loss_on)
    elif not config.data:
        grader.accept_half([one for answers in aside.values() for one in answers])
    known = [name for name in config.learns if name in aside] or list(aside)
    grader.calibrate([one for name in known for one in aside[name]])
    grader.save(run.artifact)


def lessons(learn: Conditions, config: Config) -> list[Answer]:
    """What is learnt from, in the order of the seed."""
    from dataclasses import replace

    from papers.bilingual_education import data

    found = data.equal_parts(learn) if config.equal else [one for answers in learn.values() for one in answers]
    rng = Random(f"order/{config.seed}")
    rng.shuffle(found)
    if config.by_lot:
        grades = [one.grade for one in found]
        rng.shuffle(grades)
        found = [replace(one, grade=grade) for one, grade in zip(found, grades, strict=True)]
    return found


def new(config: Config, run: Run) -> EncoderGrader | LanguageGrader:
    """The model as it is."""
    from papers.bilingual_education.graders import EncoderGrader, LanguageGrader

    if config.grader == "encoder":
        return EncoderGrader(config.base, vectors(config, run), config.prior)
    return LanguageGrader(base(config, run), same_prompt=config.prompt == "same", **options(config))


def base(config: Config, run: Run) -> str:
    """The model's folder or name; the toy is made."""
    from papers.bilingual_education import miniature

    kind = config.grader
    return str(run.stage(f"toy-{kind}", {}, partial(miniature.toy, kind))) if config.base == "toy" else config.base


def options(config: Config) -> dict[str, Any]:
    """Those with which a language model is asked."""
    from papers.bilingual_education import data, miniature
    from papers.bilingual_education.method import ACCEPTABLE

    shots: list[Answer] = []
    if config.shots:
        known = (
            data.official(config.data, "train", ("sp",))["sp"]
            if config.data
            else miniature.conditions(miniature.drawn(config)["learn"])["sp"]
        )
        good, bad = ([one for one in known if (one.grade == ACCEPTABLE) == side] for side in (True, False))
        # Of three officially two are unacceptable, the last among them.
        shots = [good[n // 2] if n % 2 else bad[n // 2] for n in range(config.shots)]
    return {"shots": shots, "quantized": config.quantized}


def vectors(config: Config, run: Run) -> Embed:
    """Vectors of all texts of the miniature, made once for all arms of a seed; those of the written items for all."""
    import numpy as np
    from safetensors.numpy import load_file

    from papers.bilingual_education import miniature

    drawn = miniature.drawn(config)
    own = [one for stated in drawn.values() for answers in miniature.conditions(stated).values() for one in answers]
    own += [answer for answer, _ in miniature.mixed(drawn["test"])]
    spec = base(config, run)
    found: dict[str, Any] = {}
    for name, answers in (("facts", own), ("science", [one for rows in miniature.science().values() for one in rows])):
        texts = sorted({text for one in answers for text in (one.question, one.essay)})
        stage = run.stage(f"vectors-{name}", {"base": spec, "texts": texts}, partial(_embed, spec, texts))
        found |= dict(zip(texts, load_file(stage / "vectors.safetensors")["vectors"], strict=True))

    def embed(asked: Sequence[str]) -> Any:
        return np.stack([found[text] for text in asked])

    return embed


def _embed(spec: str, texts: Sequence[str], folder: Path) -> None:
    from safetensors.numpy import save_file

    from papers.bilingual_education.graders import encoder

    save_file({"vectors": encoder(spec)(texts)}, folder / "vectors.safetensors")


if __name__ == "__main__":
    entrypoint(train)
