"""Measure a tuned model in both languages: accuracy with paired items, routing, and the speed of sparsity.

    python -m papers.bimedix.eval tiny --variant bilingual
    python -m papers.bimedix.eval --base my-moe --english en.jsonl --second ar.jsonl --ratio 2 1 --out runs/mine \
        --test-english test_en.jsonl --test-second test_ar.jsonl --inspect
"""

from __future__ import annotations

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from papers.bimedix.config import Config


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy by language (option text and option letter), expert usage, and the optional measurements."""
    from core.distributed import seed_everything
    from papers.bimedix import measure
    from papers.bimedix.adapters import load_adapter
    from papers.bimedix.base import load_base
    from papers.bimedix.method import merge_adapters

    seed_everything(config.seed)
    model, tokenizer = load_base(config, run)
    languages = ("en", config.second_language)
    tests = measure.test_items(config)
    texts = [item for side in tests.values() for item in side] or measure.training_texts(config)
    usage = {"base": measure.expert_usage(model, tokenizer, texts)} if config.inspect else {}
    if config.placement != "none":
        load_adapter(model, run.artifact / "adapter")
        if not config.packed:
            merge_adapters(model)
        if config.inspect:
            usage["tuned"] = measure.expert_usage(model, tokenizer, texts)
    metrics, units, details = measure.accuracies(model, tokenizer, tests, languages)
    if not config.english:
        for lang, items in measure.trained_wordings(config).items():
            scores = measure.score_items(model, tokenizer, items)
            metrics[f"trained_wording_{lang}"] = sum(scores.values()) / len(scores)
        if config.second_facts < 1:
            metrics |= measure.transfer(config, units[f"accuracy_{config.second_language}"])
    if usage:
        metrics |= measure.usage_summary(usage, languages)
        details["usage"] = usage
        write_json(run.path / "routing.json", usage)
        if not run.quiet:
            print(measure.usage_table(usage))
    details["training"] = {k: v for k, v in (read_json(run.artifact / "training.json") or {}).items() if k != "losses"}
    if config.measure_speed:
        speed = measure.block_speed(config.speed_width, config.seed)
        metrics["speed_ratio"], units["speed_ratio"] = speed.pop("ratio"), speed.pop("ratios")
        details["speed"] = speed
    if config.measure_translation:
        translation, details["translation_log"] = measure.translation_exercise(config.seed)
        metrics |= translation
    return Measurement(metrics, units, details)


if __name__ == "__main__":
    entrypoint(evaluate)
