"""Instruction tuning in many languages, then preference training on cross-lingual pairs.

    python -m papers.xllms100.train tiny --variant xllms
    python -m papers.xllms100.train paper --variant sft
    python -m papers.xllms100.train paper --base runs/sft/artifact --instructions --preferences pairs.jsonl

The artifact is a `save_pretrained` folder, or an adapter on the model of stage 1, with an `xllms100.json` that names
the prompt layout. Without a base, stage 1 is shared by all variants of a seed, and so is the feedback on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.xllms100 import data, method, miniature
from papers.xllms100.config import LORA_RANK, TARGETS, Config

# Pairs on which is measured how far answers moved.
MOVED = 256


def train(config: Config, run: Run) -> None:
    """Stage 1 and, with feedback, stage 2.

    Raises:
        UserError: There is nothing to learn from: a base without instructions or without preferences.
    """
    from core.distributed import seed_everything
    from core.training.fit import save_pretrained

    if config.base and not config.preferences and config.feedback != "none":
        raise UserError(
            "preferences is empty: let `python -m papers.xllms100.use feedback` build pairs from the model of "
            "`--variant sft`, and give that model as --base with an empty --instructions."
        )
    if config.base and not config.instructions and config.feedback == "none":
        raise UserError("instructions is empty, and without feedback nothing is learnt: name code=source.")
    seed_everything(config.seed, 0)
    start = stage_1(config, run)
    model, tokenizer = load(start, config, stage="dpo")
    facts: dict[str, Any] = {"recipe": config.recipe, "max_new_tokens": config.max_new_tokens}
    if config.feedback != "none":
        if config.adapter != "full":
            model = with_adapter(model, config, "dpo")
        rows = feedback(config, run, start)
        facts |= align(model, tokenizer, rows, config, run)
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process():
        write_json(run.artifact / "xllms100.json", facts)


def align(model: Any, tokenizer: Any, pairs: Sequence[Mapping[str, str]], config: Config, run: Run) -> dict[str, float]:
    """Stage 2: how long it took, and how far both answers have moved."""
    rows = method.pair_rows(model, tokenizer, pairs, config.recipe, config.dpo.max_length)
    if config.objective == "dpo":
        result = method.align(model, rows, config.dpo, run, config.seed, beta=config.beta)
    else:
        result = method.imitate(model, rows, config.dpo, run, config.seed)
    return {"pairs": len(rows), "steps": result.steps, **method.moved(model, rows[:MOVED])}


def stage_1(config: Config, run: Run) -> str:
    """The instruction-tuned model: made here, or what is given as base."""
    if not config.base:
        inputs = {"seed": config.seed, "recipe": config.recipe, "sft": to_dict(config.sft)}
        return str(run.stage("sft", inputs, partial(miniature.tuned, config, run)) / "model")
    if not config.instructions:
        return config.base
    return instruct(config, run)


def instruct(config: Config, run: Run) -> str:
    """Stage 1 on a base: the folder of the tuned model, its adapter merged into the base as it was before it was
    quantised (code). A finished one is not made again."""
    from core.distributed import barrier
    from core.models import loading
    from core.training.fit import fit, save_pretrained

    folder = run.path / "sft"
    if (folder / "model" / "config.json").exists():
        return str(folder / "model")
    model, tokenizer = load(config.base, config, stage="sft")
    if config.adapter != "full":
        model = with_adapter(model, config, "sft")
    rows = method.instruction_rows(tokenizer, data.instructions(config.instructions, config.seed), config.recipe)
    fit(model, rows, config.sft, run, seed=config.seed, name="sft")
    if config.adapter != "full":
        save_pretrained(model, folder / "adapter", tokenizer)
        del model
        adapted: Any = loading.load_model(folder / "adapter", dtype="bfloat16")
        model = adapted.merge_and_unload()
    save_pretrained(model, folder / "model", tokenizer)
    barrier()
    return str(folder / "model")


def load(spec: str | Path, config: Config, stage: str) -> Any:
    """A model to be trained, and its tokenizer."""
    from core.models import loading

    options: dict[str, Any] = {"dtype": "float32" if config.adapter == "full" else "auto"}
    if str(spec) == config.base:
        options["revision"] = config.revision or None
    trained = stage == "sft" or config.feedback != "none"
    if config.adapter == "qlora" and trained:
        options["quantization"] = "nf4"
    return loading.load(spec, **options)


def with_adapter(model: Any, config: Config, stage: str) -> Any:
    """The model with LoRA on the matrices that the stage adapts."""
    from core.models.adapters import with_lora

    targets = config.targets or (TARGETS[stage] if config.recipe == "official" else ())
    checkpointing = (config.sft if stage == "sft" else config.dpo).gradient_checkpointing
    return with_lora(model, LORA_RANK, targets=targets, checkpointing=checkpointing)


def feedback(config: Config, run: Run, start: str) -> list[dict[str, str]]:
    """The pairs to learn from.

    Raises:
        UserError: There is no pair of the kind that is asked for.
    """
    if config.base:
        return data.preferences(config.preferences, config.feedback, config.feedback_languages, config.seed)
    inputs: dict[str, Any] = {name: getattr(config, name) for name in ("seed", "feedback_languages", "pairs")}
    inputs |= {"start": Path(start)}
    found = run.once("feedback", inputs, partial(made_feedback, config, start))
    return miniature.drawn(found, config)


def made_feedback(config: Config, start: str) -> dict[str, Any]:
    """Pairs of both kinds from what the model of stage 1 answers, as of :func:`method.build_feedback`."""
    from core.models import loading

    model, tokenizer = loading.load(start, dtype="float32")
    write = partial(
        data.sample, model, tokenizer, config.recipe, miniature.CANDIDATES, config.max_new_tokens, config.seed
    )
    generators: list[method.Generate] = [write, miniature.oracle, partial(miniature.weaker, config)]
    found = {}
    for kind, asked in miniature.asked_for_feedback(config).items():
        rows, counts = method.build_feedback(asked, generators, miniature.judge, miniature.identify)
        found[kind] = {"rows": rows, "counts": counts}
    return found


if __name__ == "__main__":
    entrypoint(train)
