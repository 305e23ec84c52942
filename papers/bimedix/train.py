"""Tune bilingual adapters on a frozen mixture of experts.

python -m papers.bimedix.train tiny --variant bilingual
python -m papers.bimedix.train --base my-moe --english en.jsonl --second ar.jsonl --ratio 2 1 --out runs/mine
accelerate launch -m papers.bimedix.train paper
"""

from __future__ import annotations

from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from core.files import write_json
from papers.bimedix.config import Config


def train(config: Config, run: Run) -> None:
    """Write `artifact/adapter` (loadable with peft) and `artifact/training.json` (tokens, samples, parameters)."""
    import functools

    from core.distributed import is_main, seed_everything
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss
    from papers.bimedix.adapters import save_adapter
    from papers.bimedix.base import load_base
    from papers.bimedix.method import attach_adapters, equal_budget_rank, mix_languages, trainable_parameters

    seed_everything(config.seed)
    model, tokenizer = load_base(config, run)
    report: dict[str, Any] = {"parameters": sum(p.numel() for p in model.parameters()), "trainable": 0}
    if config.placement != "none":
        rank, alpha = config.rank, config.alpha
        if config.equal_budget:
            rank = equal_budget_rank(model, config.placement, "all", config.rank)
            alpha = round(config.alpha * rank / config.rank)
        english, second = training_rows(config, tokenizer)
        settings = config.training
        mixture = mix_languages(
            english,
            second,
            config.ratio,
            unit=config.ratio_unit,
            token_budget=settings.steps * settings.batch_size * settings.max_length if config.equal_tokens else None,
            seed=config.seed,
        )
        attach_adapters(model, config.placement, rank, alpha, config.dropout)
        report |= {
            "trainable": trainable_parameters(model),
            "rank": rank,
            "samples": mixture.samples,
            "tokens": mixture.tokens,
        }
        run.log(phase="data", samples=mixture.samples, tokens=mixture.tokens, trainable=report["trainable"])
        loss = functools.partial(causal_lm_loss, router_aux_weight=config.aux_weight)
        result = fit(model, mixture.rows, settings, run, loss_fn=loss, seed=config.seed)
        report |= {"losses": result.losses, "tokens_per_second": result.tokens_per_second}
        adapter = run.artifact / "adapter"
        save_adapter(model, adapter, placement=config.placement, rank=rank, alpha=alpha, base=config.base or "scratch")
    if is_main():
        write_json(run.artifact / "training.json", report)


def training_rows(config: Config, tokenizer: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Tokenised instructions of the two languages; labels on the answers alone."""
    from papers.bimedix import data, knowledge

    if config.english:
        # A language without a share is not read.
        sides = [(config.english, "en", config.ratio[0]), (config.second, config.second_language, config.ratio[1])]
        samples = [data.read_samples(sources, lang) if share else [] for sources, lang, share in sides]
    else:
        known = list(knowledge.facts())
        known = knowledge.permuted(known, config.seed) if config.permute_answers else known
        translated = knowledge.chosen(known, config.second_facts, config.seed, "translated")
        samples = [
            knowledge.training_samples(facts, lang, config.seed) for facts, lang in ((known, "en"), (translated, "ar"))
        ]
    length = config.training.max_length
    english, second = (
        [{"id": f"{s['lang']}:{s['id']}", **data.encode(tokenizer, s["messages"], length)} for s in side]
        for side in samples
    )
    return english, second


if __name__ == "__main__":
    entrypoint(train)
