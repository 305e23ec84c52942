"""Translate held-out items both ways and score them.

    python -m papers.lmt.eval tiny --variant symmetric
    python -m papers.lmt.eval paper --inference-mode all

Numbers are right or wrong (exact match); sentences are scored with COMET-22 or chrF++, and with BLEU. The translations
are written to `hypotheses.jsonl`. Metrics are means over languages: `p2x` pivot -> X, `x2p` X -> pivot. With parallel
prompts, `_aux` marks the languages that have an auxiliary, `_pmp_o` and `_pmp_s` the prompts with a given and with a
self-made auxiliary sentence, on the same languages.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_text
from papers.lmt.config import Config

if TYPE_CHECKING:
    from papers.lmt.data import Item


Scores = dict[str, dict[tuple[str, str], float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Exact match or translation scores of every direction group, tier and inference mode."""
    from core.distributed import seed_everything
    from core.models import loading
    from papers.lmt import data, inference

    seed_everything(config.seed)
    corpus = data.multiway(config, run)
    items = getattr(corpus, config.split)[: config.test_items]
    if not items:
        raise UserError(f"{config.corpus} has no {config.split} part: give split=test, with test_corpus for its items.")
    model, tokenizer = loading.load(str(run.artifact), dtype="float32" if config.model is None else "auto")
    examples = test_examples(config, items)
    untuned = config.model is not None and not config.use_sft
    shots = data.few_shots(config, corpus.sft) if untuned and config.base_shots else None
    units: dict[str, dict[str, float]] = {}
    hypotheses: dict[str, list[str]] = {}
    signatures: dict[str, str] = {}
    for mode in modes(config):
        chosen = [example for example in examples if mode == "dt" or example.auxiliary_text]
        hypotheses[mode] = inference.translate_examples(
            model, tokenizer, chosen, mode=mode, shots=shots, style=config.prompt_style, cleaning=config.cleaning,
            num_beams=config.num_beams, max_new_tokens=config.max_new_tokens,
        )  # fmt: skip
        scores, used = score(config, chosen, hypotheses[mode])
        units |= group(config, scores, mode)
        signatures |= used
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items() if values}
    manifest = read_json(run.artifact / "manifest.json") or {}
    answers = {item[pivot] for item in corpus.sft for pivot in config.pivots if item.get(pivot)}
    metrics["attraction"] = attraction(config, examples, hypotheses["dt"], answers)
    _write_hypotheses(run, examples, hypotheses)
    details = _details(config, examples, hypotheses["dt"], manifest) | {"signatures": signatures}
    return Measurement(metrics, units, details)


def modes(config: Config) -> list[Any]:
    """The inference modes to measure: direct translation always, parallel prompts where they were trained."""
    if config.inference_mode != "all":
        return ["dt"] if config.inference_mode == "dt" else ["dt", config.inference_mode]
    return ["dt", "pmp_o", "pmp_s"] if config.use_sft and config.pmp_fraction > 0 else ["dt"]


def test_examples(config: Config, items: Sequence[Item]) -> list[Any]:
    """Every item in every direction that it has, with its reference auxiliary sentence where there is one."""
    from papers.lmt import data, method

    table = data.auxiliaries(config)
    examples = []
    for pivot, code in method.pivot_pairs(config.languages, config.pivots):
        for source, target in ((pivot, code), (code, pivot)):
            auxiliary = method.auxiliary_for(source, target, config.pivots, table)
            for item in items:
                if not (item.get(source) and item.get(target)):
                    continue
                text = item.get(auxiliary) if auxiliary else None
                shown = auxiliary if text else None
                examples.append(
                    method.Example(str(item["key"]), source, target, item[source], item[target], shown, text)
                )
    return examples


def score(config: Config, examples: Sequence[Any], outputs: Sequence[str]) -> tuple[Scores, dict[str, str]]:
    """`{metric: {(source, target): score}}`, and sacrebleu's signatures of chrF++ and BLEU.

    Exact match is in [0, 1], everything else in [0, 100]; only COMET may leave its range, slightly.
    """
    import torch

    from core.tasks.translation import corpus_scores, means, sentence_scores

    metric: Any = "chrf++" if config.primary == "chrf" else config.primary
    scale = 100 if metric == "comet" else 1
    single = sentence_scores(examples, outputs, metric, "cuda" if torch.cuda.is_available() else "cpu")
    pair = {example.direction: (example.source, example.target) for example in examples}
    found: Scores = {"": {pair[direction]: scale * value for direction, value in means(single).items()}}
    signatures: dict[str, str] = {}
    if config.primary == "exact":
        return found, signatures
    found |= {"_chrf": {}, "_bleu": {}}
    for direction, (source, target) in pair.items():
        part = [(e, output) for e, output in zip(examples, outputs, strict=True) if e.direction == direction]
        sides = [e for e, _ in part], [output for _, output in part]
        chrf = corpus_scores(*sides, "chrf++")[direction]
        pieces = config.bleu == "flores200" and target != "zh"
        bleu = corpus_scores(*sides, "spbleu" if pieces else "bleu")[direction]
        found["_chrf"][source, target], found["_bleu"][source, target] = chrf.score, bleu.score
        signatures |= {"chrf": chrf.signature, f"bleu-{target}": bleu.signature}
    return found, signatures


def group(config: Config, scores: Scores, mode: str) -> dict[str, dict[str, float]]:
    """Units of every metric: `p2x`, `x2p`, their tiers, the first four languages, those with an auxiliary.

    With several pivots each also has its own groups (`x2p_zh_low`), as in the paper's tables.
    """
    from papers.lmt import data, method
    from papers.lmt.languages import tier

    table = data.auxiliaries(config)
    pairs = method.pivot_pairs(config.languages, config.pivots)
    units: dict[str, dict[str, float]] = defaultdict(dict)
    for suffix, by_direction in scores.items():
        for (source, target), value in by_direction.items():
            # Between two pivots, English -> Chinese is of the group English -> X and the way back of X -> English.
            name = ("p2x" if (source, target) in pairs else "x2p") + suffix
            pivot, code = (source, target) if (source, target) in pairs else (target, source)
            if mode != "dt":
                units[f"{name}_{mode}"][f"{pivot}-{code}"] = value
                continue
            groups = [""] if suffix else ["", f"_{tier(code)}"]
            if len(config.pivots) > 1:
                groups += [f"_{pivot}{end}" for end in groups]
            if code in config.languages[:4]:
                groups.append("_first")
            if method.auxiliary_for(source, target, config.pivots, table):
                groups.append("_aux")
            for ending in groups:
                units[name + ending][f"{pivot}-{code}"] = value
    return dict(units)


def attraction(config: Config, examples: Sequence[Any], outputs: Sequence[str], answers: set[str]) -> float:
    """Share of X -> pivot outputs that are wrong and the pivot's side of a fine-tuning item: recall, not reading.

    The items are the same for all arms, so arms that never had them as targets show how often that happens by chance.
    """
    reverse = [(e, o) for e, o in zip(examples, outputs, strict=True) if e.target in config.pivots]
    wrong = [output for example, output in reverse if output.strip() != example.target_text]
    return sum(output.strip() in answers for output in wrong) / max(1, len(reverse))


def _write_hypotheses(run: Run, examples: Sequence[Any], hypotheses: Mapping[str, Sequence[str]]) -> None:
    lines = []
    for mode, outputs in hypotheses.items():
        chosen = [example for example in examples if mode == "dt" or example.auxiliary_text]
        for example, output in zip(chosen, outputs, strict=True):
            row = {"mode": mode, "direction": f"{example.source}-{example.target}", "item": example.item}
            row |= {"src": example.source_text, "mt": output, "ref": example.target_text}
            lines.append(json.dumps(row, ensure_ascii=False))
    write_text(run.path / "hypotheses.jsonl", "".join(f"{line}\n" for line in lines))


def _details(
    config: Config, examples: Sequence[Any], outputs: Sequence[str], manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """What the figure and the page show beside the metrics."""
    wrong = [
        {"direction": f"{e.source}-{e.target}", "source": e.source_text, "output": output, "reference": e.target_text}
        for e, output in zip(examples, outputs, strict=True)
        if output.strip() != e.target_text
    ]
    repetition = manifest.get("target_repetition", {})
    return {
        "examples": manifest.get("examples", 0),
        "reverse": manifest.get("reverse", 0),
        "retention": manifest.get("retention"),
        "repetition": {pivot: repetition.get(f"*-{pivot}", {}).get("mean") for pivot in config.pivots},
        "wrong": wrong[:: max(1, len(wrong) // 12)][:12],
    }


if __name__ == "__main__":
    entrypoint(evaluate)
