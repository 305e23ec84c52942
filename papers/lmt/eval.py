"""Translate held-out items both ways and score them.

    python -m papers.lmt.eval tiny --variant symmetric
    python -m papers.lmt.eval paper

Numbers are right or wrong (exact match); sentences are scored with COMET-22 or chrF++. The translations are written to
`hypotheses.jsonl`. Metrics are means over languages: `p2x` pivot -> X, `x2p` X -> pivot. With parallel
prompts, `_aux` marks the languages that have an auxiliary, and on the same languages `_pmp_o` the prompts with a given
auxiliary sentence, `_pmp_s` with a self-made one (checkpoints), `_pmp_x` with one of another item (the miniature).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import write_rows
from core.tasks.translation import corpus_scores, following, hypotheses, means, sentence_scores, trivial
from papers.lmt import data, method, miniature, prompts
from papers.lmt.config import FEW, Config
from papers.lmt.miniature import Corpus
from papers.lmt.prompts import Example

Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Exact match or translation scores of every direction group, tier and way to prompt."""
    from core.distributed import seed_everything
    from core.models import loading

    seed_everything(config.seed)
    corpus = data.load(config)
    model, tokenizer = loading.load(str(run.artifact), dtype="float32" if config.model is None else "auto")
    examples = data.test_examples(config, corpus)
    untuned = config.model is not None and not config.use_sft
    shots = data.few_shots(config, corpus) if untuned and config.base_shots else None
    passes: dict[str, tuple[Any, Sequence[Example]]] = {"": ("dt", examples)}
    if config.use_sft and config.pmp_fraction:
        helped = [example for example in examples if example.auxiliary]
        passes["pmp_o"] = ("pmp_o", helped)
        if config.model:
            passes["pmp_s"] = ("pmp_s", helped)
        else:
            passes["pmp_x"] = ("pmp_o", misled([example for example in helped if example.target in config.pivots]))
    units: Units = {}
    rows: list[dict[str, Any]] = []
    others: dict[str, float] = {}
    for mark, (mode, chosen) in passes.items():
        outputs = prompts.translate_examples(
            model, tokenizer, chosen, mode=mode, shots=shots, num_beams=config.num_beams,
            max_new_tokens=config.max_new_tokens,
        )  # fmt: skip
        parts, texts = meant(config, chosen, outputs)
        units |= group(config, corpus, score(config, parts, texts), mark)
        if not mark and config.model is None:
            others = against_base(config, run, corpus, parts, texts)
        rows += [{"mode": mark or mode, **row} for row in hypotheses(chosen, outputs)]
    write_rows(run.path / "hypotheses.jsonl", rows)
    metrics = {name: fmean(values.values()) for name, values in units.items() if values}
    samples = rows[:: max(1, len(rows) // 12)][:12]
    return Measurement(metrics | others, units, {"samples": samples})


def misled(examples: Sequence[Example]) -> list[Example]:
    """The same prompts, direction by direction, with the auxiliary sentence of another item."""
    order = sorted(examples, key=lambda example: example.direction)
    return [replace(e, auxiliary_text=o.auxiliary_text) for e, o in zip(order, following(order), strict=True)]


def meant(config: Config, examples: Sequence[Example], outputs: Sequence[str]) -> tuple[list[Example], list[str]]:
    """Examples and outputs as they are scored: of English numbers the number, not its wording, which is free."""
    if config.corpus != "numbers":
        return [*examples], [*outputs]
    meaning, pivots = miniature.meaning, config.pivots
    parts = [replace(e, target_text=meaning(e.target_text)) if e.target in pivots else e for e in examples]
    texts = [meaning(o) if e.target in pivots else o.strip() for e, o in zip(examples, outputs, strict=True)]
    return parts, texts


def against_base(
    config: Config, run: Run, corpus: Corpus, parts: Sequence[Example], texts: Sequence[str]
) -> dict[str, float]:
    """What X -> pivot has gained over the miniature's base (`change`), recall in place of reading, trivial solvers.

    `attraction` is the share of outputs that are wrong and the answer of a fine-tuning item. Arms that never had these
    as targets show how often that happens by chance.
    """
    from core.models import loading

    pairs = [pair for pair in zip(parts, texts, strict=True) if pair[0].target in config.pivots]
    reverse = [part for part, _ in pairs]

    def right(texts: Sequence[str]) -> float:
        return fmean(text == part.target_text for part, text in zip(reverse, texts, strict=True))

    def before() -> float:
        model, tokenizer = loading.load(start, dtype="float32")
        outputs = prompts.translate_examples(model, tokenizer, reverse, max_new_tokens=config.max_new_tokens)
        return right(meant(config, reverse, outputs)[1])

    start = miniature.base(config, run)
    inputs = {"base": start.name, "split": config.split, "items": config.test_items}  # computed once a seed
    read = [text for _, text in pairs]
    change = right(read) - run.once("base-score", inputs, before)
    answers = {miniature.meaning(item["en"]) for item in corpus.sft}
    recalled = fmean(text in answers and text != part.target_text for part, text in pairs)
    found = {"change": change, "lost": -change, "attraction": recalled}
    return found | {f"trivial_{name}": fmean(each.values()) for name, each in trivial(reverse, "exact").items()}


def score(config: Config, examples: Sequence[Example], outputs: Sequence[str]) -> Units:
    """Scores by direction, exact match in [0, 1], others in [0, 100]: `""` the primary metric, `"_chrf"` chrF++."""
    from core.models.loading import default_device

    single = means(sentence_scores(examples, outputs, config.primary, default_device()))
    scale, chrf = 100 if config.primary == "comet" else 1, corpus_scores(examples, outputs, "chrf++")
    return {
        "": {direction: scale * value for direction, value in single.items()},
        "_chrf": {direction: found.score for direction, found in chrf.items()},
    }


def group(config: Config, corpus: Corpus, scores: Units, mark: str = "") -> Units:
    """Units `language/pivot` of every metric: `p2x`, `x2p`, their tiers, the first languages, those with an auxiliary.

    With several pivots each also has its own groups (`x2p_zh_low`), as in the paper's tables. A language outside the 60
    counts as `low`.
    """
    units: Units = defaultdict(dict)
    for suffix, values in scores.items():
        for pivot, code in method.pivot_pairs(config.languages, config.pivots):
            groups = [""] if suffix or mark else ["", f"_{prompts.TIERS.get(code, 'low')}"]
            if len(config.pivots) > 1:
                groups += [f"_{pivot}{end}" for end in groups]
            if not mark:
                groups += ["_first"] if code in config.languages[:FEW] else []
                groups += ["_aux"] if prompts.auxiliary_for(pivot, code, config.pivots, corpus.auxiliaries) else []
            # Between two pivots, English -> Chinese is of the group English -> X and the way back of X -> English.
            for name, direction in (("p2x", f"{pivot}-{code}"), ("x2p", f"{code}-{pivot}")):
                for end in groups if direction in values else ():
                    units[name + suffix + end + (f"_{mark}" if mark else "")][f"{code}/{pivot}"] = values[direction]
    return dict(units)


if __name__ == "__main__":
    entrypoint(evaluate)
