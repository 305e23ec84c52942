"""Tune bilingual adapters on a frozen mixture of experts.

python -m papers.bimedix.train tiny --variant bilingual
python -m papers.bimedix.train --base my-moe --english en.jsonl --second ar.jsonl --ratio 2 1 --out runs/mine
accelerate launch -m papers.bimedix.train paper
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from core.files import write_json
from core.models.tokenization import chat_rows
from core.tasks.samples import CHAT_TEMPLATE, Sample
from papers.bimedix import data, miniature
from papers.bimedix.config import Config

if TYPE_CHECKING:
    from core.models.loading import Loaded


def train(config: Config, run: Run) -> None:
    """Write `artifact/adapter` (loadable with peft) and `artifact/training.json` (tokens, samples, parameters)."""
    from core.distributed import is_main, seed_everything
    from papers.bimedix.adapters import save_adapter
    from papers.bimedix.method import attach_adapters, tune

    seed_everything(config.seed)
    report: dict[str, Any] = {}
    if config.adapters:
        samples = samples_of(config)  # mistakes in files are found before anything is loaded
        model, tokenizer = load_base(config, run)
        report = {"parameters": sum(p.numel() for p in model.parameters())}
        place: dict[str, Any] = {"parts": config.adapters, "rank": config.rank, "alpha": config.alpha}
        report["trained"] = attach_adapters(model, **place, dropout=config.dropout)
        rows, share, facts = instructions(config, tokenizer, samples)
        settings = config.training
        if config.budget == "tokens":  # with as many tokens, one language comes more often
            settings = replace(settings, epochs=settings.epochs / share)
        else:
            settings = replace(settings, steps=round(settings.steps * share))
        result = tune(model, rows, settings, run, config.seed)
        report |= {**facts, "steps": result.steps, "loss": result.losses[-1], "losses": result.losses}
        report["tokens_per_second"] = result.tokens_per_second
        save_adapter(model, run.artifact / "adapter", base=config.base or "scratch", **place)
    if is_main():
        write_json(run.artifact / "training.json", report)


def load_base(config: Config, run: Run) -> Loaded:
    """The base with its weights rounded as the configuration says, frozen, and its tokenizer."""
    from core.models import loading
    from core.models.nf4 import quantize_base

    packed = config.quantization == "nf4-packed"
    # What becomes 4-bit codes is read into main memory: in 16 bit it may be larger than the accelerator's.
    place: dict[str, Any] = {"device": "cpu", "dtype": "bfloat16"} if packed else {}
    place = place if config.base else {"dtype": "float32"}
    model, tokenizer = loading.load(config.base or miniature.base(config, run), **place)
    tokenizer.chat_template = tokenizer.chat_template or CHAT_TEMPLATE
    model.requires_grad_(False)
    if config.quantization != "none":
        quantize_base(model, double=packed, packed=packed)
    return loading.Loaded(model, tokenizer)


def samples_of(config: Config) -> dict[str, list[Sample]]:
    """Instructions by language, English first: the user's own, or the miniature's."""
    found = {}
    for lang, sources in (("en", config.english), (config.second_language, config.second)):
        own = [sample for source in sources for sample in data.read_samples(source, lang)]
        own = data.permuted(own, config.seed) if config.permuted else own
        found[lang] = own if sources else miniature.tuning_samples(config, lang)
    return found


def instructions(
    config: Config, tokenizer: Any, samples: dict[str, list[Sample]]
) -> tuple[list[dict[str, Any]], float, dict[str, Any]]:
    """Token rows to tune on, with labels on the answers alone; their share of the tokens of both languages; counts."""
    english, second = (
        [(lang, row) for row in chat_rows(tokenizer, [sample["messages"] for sample in some])]
        for lang, some in samples.items()
    )
    both = data.mix_languages(english, second, config.ratio, config.seed)
    wanted = {"both": [*samples], "english": [*samples][:1], "second": [*samples][1:]}[config.languages]
    rows = [row for lang, row in both if lang in wanted]
    tokens = {code: sum(len(row["input_ids"]) for lang, row in both if lang == code) for code in samples}
    counts = {code: sum(lang == code for lang, _ in both) * (code in wanted) for code in samples}
    share = sum(tokens[lang] for lang in wanted) / sum(tokens.values())
    return rows, share, {"samples": counts, "tokens_of_both": tokens, "share": share}


if __name__ == "__main__":
    entrypoint(train)
