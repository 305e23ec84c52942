"""Translate held-out items both ways and score them.

    python -m papers.lmt.eval tiny --variant symmetric
    python -m papers.lmt.eval paper

Numbers are right or wrong (exact match); sentences are scored with COMET-22 or chrF++, and with BLEU. The translations
are written to `hypotheses.jsonl`. Metrics are means over languages: `p2x` pivot -> X, `x2p` X -> pivot. With parallel
prompts, `_aux` marks the languages that have an auxiliary, `_pmp_o` and `_pmp_s` the prompts with a given and with a
self-made auxiliary sentence, on the same languages; `drafts` says how many of the latter were right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json, write_rows
from papers.lmt.config import FEW, Config

if TYPE_CHECKING:
    from papers.lmt.data import Corpus
    from papers.lmt.prompts import Example

Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Exact match or translation scores of every direction group, tier and way to prompt."""
    from core.distributed import seed_everything
    from core.models import loading
    from core.tasks.translation import trivial
    from papers.lmt import data, prompts

    seed_everything(config.seed)
    corpus = data.load(config)
    model, tokenizer = loading.load(str(run.artifact), dtype="float32" if config.model is None else "auto")
    examples = data.test_examples(config, corpus)
    untuned = config.model is not None and not config.use_sft
    shots = data.few_shots(config, corpus) if untuned and config.base_shots else None
    passes: list[tuple[Any, str, Sequence[Example]]] = [("dt", "", examples)]
    if config.use_sft and config.pmp_fraction:
        helped = [example for example in examples if example.auxiliary]
        drafts = [prompts.drafted(example) for example in helped if example.target in config.pivots]
        passes += [("pmp_o", "pmp_o", helped), ("pmp_s", "pmp_s", helped), ("dt", "draft", drafts)]
    units: Units = {}
    details: dict[str, Any] = {"signatures": {}}
    rows: list[dict[str, Any]] = []
    wrong: list[dict[str, Any]] = []
    outputs: dict[str, list[str]] = {}
    for mode, mark, chosen in passes:
        outputs[mark] = prompts.translate_examples(
            model, tokenizer, chosen, mode=mode, shots=shots, style=config.prompt_style, num_beams=config.num_beams,
            max_new_tokens=config.max_new_tokens,
        )  # fmt: skip
        parts, written = meant(config, chosen, outputs[mark])
        scored, signatures = score(config, parts, written)
        units |= group(config, corpus, scored, mark)
        details["signatures"] |= signatures
        for example, output, part, text in zip(chosen, outputs[mark], parts, written, strict=True):
            row = {"mode": mark or mode, "direction": example.direction, "item": example.item}
            rows.append(row | {"src": example.source_text, "mt": output, "ref": example.target_text})
            wrong += rows[-1:] if text != part.target_text else []
    metrics = {name: fmean(values.values()) for name, values in units.items() if values}
    if config.model is None:
        metrics["change"] = metrics["x2p"] - base_score(config, run, examples)
        metrics["attraction"] = attraction(config, corpus, examples, outputs[""])
        reverse, _ = meant(config, [example for example in examples if example.target in config.pivots], [])
        metrics |= {f"trivial_{name}": fmean(found.values()) for name, found in trivial(reverse, "exact").items()}
    write_rows(run.path / "hypotheses.jsonl", rows)
    manifest = read_json(run.artifact / "manifest.json") or {}
    details |= {name: manifest.get(name) for name in ("examples", "reverse", "retention")}
    return Measurement(metrics, units, details | {"wrong": wrong[:: max(1, len(wrong) // 12)][:12]})


def meant(config: Config, examples: Sequence[Example], outputs: Sequence[str]) -> tuple[list[Example], list[str]]:
    """Examples and outputs as they are scored: of English numbers the number, not its wording, which is free."""
    from papers.lmt.miniature import meaning

    if config.corpus != "numbers":
        return [*examples], [*outputs]
    parts = [replace(e, target_text=meaning(e.target_text)) if e.target in config.pivots else e for e in examples]
    texts = [meaning(o) if e.target in config.pivots else o for e, o in zip(examples, outputs, strict=False)]
    return parts, [text.strip() for text in texts]


def base_score(config: Config, run: Run, examples: Sequence[Example]) -> float:
    """X -> pivot of the miniature's base on the same items: what tuning is measured against, computed once a seed."""
    from core.models import loading
    from papers.lmt import miniature, prompts

    def build(folder: Path) -> None:
        model, tokenizer = loading.load(start, dtype="float32")
        reverse = [example for example in examples if example.target in config.pivots]
        outputs = prompts.translate_examples(
            model, tokenizer, reverse, style=config.prompt_style, max_new_tokens=config.max_new_tokens
        )
        pairs = zip(*meant(config, reverse, outputs), strict=True)
        write_json(folder / "score.json", fmean(output.strip() == example.target_text for example, output in pairs))

    start = miniature.base(config, run)
    inputs = {"base": start.name, "split": config.split, "items": config.test_items}
    return float(read_json(run.stage("base-score", inputs, build) / "score.json"))


def score(
    config: Config, examples: Sequence[Example], outputs: Sequence[str]
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """`{metric: {direction: score}}`, and sacrebleu's signatures of chrF++ and BLEU.

    Exact match is in [0, 1], everything else in [0, 100]; only COMET may leave its range, slightly.
    """
    import torch

    from core.tasks.translation import corpus_scores, means, sentence_scores

    scale = 100 if config.primary == "comet" else 1
    device = "cuda" if torch.cuda.is_available() else "cpu"
    single = means(sentence_scores(examples, outputs, config.primary, device))
    found = {"": {direction: scale * value for direction, value in single.items()}}
    signatures: dict[str, str] = {}
    # The paper does not name BLEU's tokenizer: at its scale the pieces of FLORES-200, for Chinese `zh`.
    wanted = {"chrf": "chrf++"} | ({} if config.primary == "exact" else {"bleu": "spbleu" if scale == 100 else "bleu"})
    for direction in single:
        part = [(e, output) for e, output in zip(examples, outputs, strict=True) if e.direction == direction]
        sides, target = ([e for e, _ in part], [output for _, output in part]), part[0][0].target
        for name, metric in wanted.items():
            kind: Any = "bleu" if name == "bleu" and target == "zh" else metric
            measured = corpus_scores(*sides, kind)[direction]
            found.setdefault(f"_{name}", {})[direction] = measured.score
            signatures |= {f"{name}-{target}" if name == "bleu" else name: measured.signature}
    return found, signatures


def group(config: Config, corpus: Corpus, scores: dict[str, dict[str, float]], mark: str = "") -> Units:
    """Units `language/pivot` of every metric: `p2x`, `x2p`, their tiers, the first languages, those with an auxiliary.

    With several pivots each also has its own groups (`x2p_zh_low`), as in the paper's tables.
    """
    from papers.lmt import languages, method

    units: Units = defaultdict(dict)
    pairs = method.pivot_pairs(corpus.languages, config.pivots)
    for suffix, values in scores.items():
        for pivot, code in pairs:
            # Between two pivots, English -> Chinese is of the group English -> X and the way back of X -> English.
            for name, source, target in (("p2x", pivot, code), ("x2p", code, pivot)):
                value = values.get(f"{source}-{target}")
                auxiliary = languages.auxiliary_for(source, target, config.pivots, corpus.auxiliaries)
                if mark == "draft" and name == "x2p" and not suffix:
                    value = values.get(f"{source}-{auxiliary}")
                    if value is not None:
                        units["drafts"][f"{code}/{pivot}"] = value
                    continue
                if value is None:
                    continue
                groups = [""] if suffix or mark else ["", f"_{languages.tier(code)}"]
                if len(config.pivots) > 1:
                    groups += [f"_{pivot}{end}" for end in groups]
                if not mark and code in corpus.languages[:FEW]:
                    groups.append("_first")
                if not mark and auxiliary:
                    groups.append("_aux")
                for end in groups:
                    units[name + suffix + end + (f"_{mark}" if mark else "")][f"{code}/{pivot}"] = value
    return dict(units)


def attraction(config: Config, corpus: Corpus, examples: Sequence[Example], outputs: Sequence[str]) -> float:
    """Share of X -> pivot outputs that are wrong and the pivot's side of a fine-tuning item: recall, not reading.

    The items are the same for all arms, so arms that never had them as targets show how often that happens by chance.
    """
    from papers.lmt.miniature import meaning

    answers = {meaning(item["en"]) for item in corpus.sft}
    pairs = zip(*meant(config, examples, outputs), strict=True)
    reverse = [(example.target_text, output.strip()) for example, output in pairs if example.target in config.pivots]
    return sum(output in answers and output != wanted for wanted, output in reverse) / max(1, len(reverse))


if __name__ == "__main__":
    entrypoint(evaluate)
