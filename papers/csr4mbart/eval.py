"""Translate held-out sentences after stage 2 and after stage 1 alone, and measure how far the languages are apart.

    python -m papers.csr4mbart.eval tiny --variant csr
    python -m papers.csr4mbart.eval paper --variant csr

Units are `language/direction/sentence`; between two other languages, the pair of them takes the language's place.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.csr4mbart.config import PIVOT, Config

if TYPE_CHECKING:
    from core.tasks.translation import Segment
    from papers.csr4mbart.data import Direction, World

METRICS = {"restored": ("bleu", "distance"), "tuned": ("bleu", "exact", "rare", "euclidean", "distance")}
"""What is recorded of a model after stage 1 and after stage 2."""
SHOWN = 3


def evaluate(config: Config, run: Run) -> Measurement:
    """Every task of the configuration."""
    from core.models.loading import load
    from core.tasks.translation import segments, trivial, written
    from papers.csr4mbart import data

    found = data.world(config, run)
    units: dict[str, dict[str, float]] = defaultdict(dict)
    solved: dict[str, list[float]] = defaultdict(list)
    samples: dict[str, list[dict[str, str]]] = {}
    for task in data.tasks(config, found.languages):
        first = run.artifact / task.name / "restored"
        every = [direction for asked in task.asked.values() for direction in asked]
        models: list[tuple[str, Any, Iterable[Direction]]]
        models = [("restored", first if first.exists() else found.start, every)]
        models += [("tuned", run.artifact / task.name / name, asked) for name, asked in task.asked.items()]
        for stage, folder, directions in models:
            model, tokenizer = load(folder, task="seq2seq", dtype="float32")
            for direction in directions:
                parts = segments(found.asked, [direction])
                longest = 256 if config.model else 16
                outputs = written(model, tokenizer, parts, beams=config.beams, longest=longest)
                scores = _scores(model, tokenizer, parts, outputs, found)
                for metric in METRICS[stage]:
                    units[metric if stage == "tuned" else f"{stage}_{metric}"] |= scores[metric]
                shown = samples.setdefault(parts[0].direction, [{} for _ in parts[:SHOWN]])
                for sample, part, output in zip(shown, parts, outputs, strict=False):
                    sample |= {"source": part.source_text, "wanted": part.target_text, stage: output}
        for solver, by in trivial(segments(found.asked, every), "bleu").items():
            solved[solver] += by.values()
    told = _lexicons(config, found, units) if found.gold and config.setting == "bilingual" else {}
    metrics = {name: fmean(by.values()) for name, by in units.items() if by} | told | _base(config, found)
    metrics |= {f"trivial_{name}": fmean(values) for name, values in solved.items()}
    return Measurement(metrics, {name: by for name, by in units.items() if by}, {"samples": samples})


def _scores(
    model: Any, tokenizer: Any, parts: Sequence[Segment], outputs: Sequence[str], found: World
) -> dict[str, dict[str, float]]:
    """Values by unit, of segments of one direction; `rare` of those that have a rare word."""
    from core.metrics.translation import rare_word_recall
    from core.tasks.translation import sentence_scores
    from papers.csr4mbart import data, method

    source, target = parts[0].source, parts[0].target
    x = data.encoded(model, tokenizer, [part.source_text for part in parts], source)
    y = data.encoded(model, tokenizer, [part.target_text for part in parts], target)
    apart = method.distances(x, y)
    known = Counter(word for text in data.columns(found.tuning, target)[0] for word in text.split())
    values: dict[str, Iterable[float | None]] = {
        "bleu": sentence_scores(parts, outputs, "bleu").values(),
        "exact": sentence_scores(parts, outputs, "exact").values(),
        "rare": [rare_word_recall(o, part.target_text, known) for o, part in zip(outputs, parts, strict=True)],
        "euclidean": apart.tolist(),
        "distance": (apart / method.spread(x, y)).tolist(),
    }
    names = [f"{'-'.join(sorted({source, target} - {PIVOT}))}/{part.id}" for part in parts]
    named = {metric: zip(names, each, strict=True) for metric, each in values.items()}
    return {metric: {name: value for name, value in by if value is not None} for metric, by in named.items()}


def _base(config: Config, found: World) -> dict[str, float]:
    """BLEU with which the pretrained model restores masked sentences, and what that is above leaving them as they are.

    Of its texts, or of those that it is tuned on: 40 of each language.
    """
    import numpy as np

    from core.inference.seq2seq import write
    from core.metrics.translation import sentence_bleu
    from core.models.loading import load
    from papers.csr4mbart import data

    model, tokenizer = load(found.start, task="seq2seq", dtype="float32")
    restored: list[float] = []
    copied: list[float] = []
    rng = np.random.default_rng(config.seed)
    for code in found.languages:
        texts = found.texts[code][: min(40, config.items)]
        noiser = data.noisers(tokenizer, {(code, ""): None})[code, ""]
        noised = [side.noised(noiser, rng) for side in data.sides(tokenizer, code, "", texts)]
        outputs = write(model, tokenizer, noised, code, longest=256 if config.model else 24)
        copies = tokenizer.batch_decode(noised, skip_special_tokens=True)
        restored += [sentence_bleu(output, text) for output, text in zip(outputs, texts, strict=True)]
        copied += [sentence_bleu(copy, text) for copy, text in zip(copies, texts, strict=True)]
    return {"base_restores": fmean(restored), "base_above_copy": fmean(restored) - fmean(copied)}


def _lexicons(config: Config, found: World, units: dict[str, dict[str, float]]) -> dict[str, float]:
    """How lexicons compare with those of parallel text, and what both translate alone, word by word."""
    from core.models.loading import load_tokenizer
    from core.tasks.translation import segments, sentence_scores
    from papers.csr4mbart import data

    tokenizer = load_tokenizer(found.start)
    solved: dict[str, dict[str, float]] = defaultdict(dict)
    precision: list[float] = []
    for code in found.languages:
        made, gold = data.lexicon_of(config, found, tokenizer, code), found.gold[code]
        precision += [data.precision(made, gold)] if made else []
        for name, lexicon in (("word_by_word", gold), ("given_lexicon", made or ())):
            for direction, table in zip(((PIVOT, code), (code, PIVOT)), lexicon, strict=False):
                parts = segments(found.asked, [direction])
                texts = data.word_by_word(tokenizer, table, [part.source_text for part in parts])
                scores = sentence_scores(parts, texts, "bleu")
                solved[name] |= {f"{code}/{unit}": value for unit, value in scores.items()}
    units["given_lexicon"] = solved["given_lexicon"]
    told = {"lexicon_precision": fmean(precision)} if precision else {}
    return told | {"trivial_word_by_word": fmean(solved["word_by_word"].values())}


if __name__ == "__main__":
    entrypoint(evaluate)
