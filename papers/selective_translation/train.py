"""Tune a model on English instructions and translations of them, then on preferences.

    python -m papers.selective_translation.train tiny --variant selective
    python -m papers.selective_translation.train paper --translated hindi.jsonl --translated-pairs hindi-pairs.jsonl

The artifact is a `save_pretrained` folder. In miniature the base is shared by all variants of a seed, and a tuned model
by those with and without preferences.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.selective_translation import data, method, miniature
from papers.selective_translation.config import Config


def train(config: Config, run: Run) -> None:
    """Instruction tuning, and preference training where it is asked for."""
    from core.distributed import seed_everything
    from core.models import loading
    from core.training import sharded
    from core.training.fit import save_pretrained

    seed_everything(config.seed, 0)
    if config.base:
        model, tokenizer = sharded.load(config.base, config.training, revision=config.revision or None)
        found = data.load(config)
        records = method.mix(found.english, found.translated, config.k, config.seed)
        pairs = preferences(config) if config.dpo else []
        method.tune(model, tokenizer, records, config.training, run, config.seed)
    else:
        model, tokenizer = loading.load(tuned(config, run) / "model", dtype="float32")
        pairs = miniature.preferences(config) if config.dpo else []
    if config.dpo:
        method.prefer(model, tokenizer, pairs, config.preferring, run, config.seed, beta=config.beta)
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process() and not config.base:
        write_json(run.artifact / "pool.json", {"kept": len(miniature_data(config)[1]) / config.records})


def preferences(config: Config) -> list[dict[str, Any]]:
    """Preferences in English and their translations.

    Raises:
        UserError: There is no pair of the kind that is asked for.
    """
    sources = [config.english_pairs] * config.mix_english + [config.translated_pairs] * bool(config.k)
    if not sources or not all(sources):
        raise UserError(
            "english_pairs or translated_pairs is empty: name preferences in both languages, or tune without --dpo."
        )
    return [row for source in sources for row in data.preferences(source)]


def miniature_data(config: Config) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """English records (none, if they are not mixed in) and the translations that the filter leaves.

    Raises:
        UserError: There are too few of these.
    """
    records = miniature.english(config)
    found = miniature.kept(config, miniature.translations(config, records), records) if config.k else []
    if len(found) < config.k:
        raise UserError(f"The filter leaves {len(found)} translations, fewer than {config.k}: enlarge --records.")
    return records if config.mix_english else [], found


def tuned(config: Config, run: Run) -> Path:
    """The instruction-tuned model of the miniature."""
    shape = {"seed": config.seed, "language": config.language, "reading": to_dict(config.reading)}
    base = run.stage("base", shape, partial(miniature.read, config, run)) / "model"

    def build(folder: Path) -> None:
        from dataclasses import replace

        from core.models import loading
        from core.training.fit import save_pretrained

        model, tokenizer = loading.load(base, dtype="float32")
        english, translated = miniature_data(config)
        records = method.mix(english, translated, config.k, config.seed)
        method.tune(model, tokenizer, records, config.training, replace(run, path=folder / "training"), config.seed)
        save_pretrained(model, folder / "model", tokenizer)

    names = ("translator", "corruption", "mix_english", "n_translated", "taken", "records", "filter")
    inputs = shape | {name: getattr(config, name) for name in names} | {"training": to_dict(config.training)}
    return run.stage("sft", {**inputs, "base": base}, build)


if __name__ == "__main__":
    entrypoint(train)
