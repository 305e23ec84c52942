"""Translate held-out sentences after stage 2 and after stage 1 alone, and measure how far the languages are apart.

    python -m papers.csr4mbart.eval tiny --variant csr
    python -m papers.csr4mbart.eval paper --variant csr

Units are `language/direction/sentence`; between two other languages, the pair of them takes the language's place.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json
from papers.csr4mbart.config import Config

if TYPE_CHECKING:
    from core.tasks.translation import Segment
    from papers.csr4mbart.data import Direction, World

RARE = 3
"""A word is rare where the sentences of the target language that a model is tuned on have it fewer times."""
LONGEST = 256
"""Most subwords of a translation."""
Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Every task of the configuration."""
    from core.models.loading import load
    from core.tasks import translation
    from papers.csr4mbart import data

    found = data.world(config, run)
    units: Units = {"bleu": {}, "exact": {}, "rare": {}, "distance": {}, "restored_bleu": {}, "restored_distance": {}}
    trivial: dict[str, list[float]] = defaultdict(list)
    details: dict[str, Any] = {"samples": {}}
    before: dict[Direction, list[str]] = {}
    for task in data.tasks(config, found.languages):
        first = run.artifact / task.name / "restored"
        model, tokenizer = load(first if first.exists() else found.start, task="seq2seq", dtype="float32")
        every = [direction for asked in task.asked.values() for direction in asked]
        for direction in every:
            parts = translation.segments(found.asked, [direction])
            before[direction] = _write(model, tokenizer, parts, config)
            names = [_unit(part, config) for part in parts]
            scores = translation.sentence_scores(parts, before[direction], "bleu").values()
            units["restored_bleu"] |= zip(names, scores, strict=True)
            units["restored_distance"] |= zip(names, _apart(model, tokenizer, parts), strict=True)
        for name, asked in task.asked.items():
            model, tokenizer = load(run.artifact / task.name / name, task="seq2seq", dtype="float32")
            for direction in asked:
                parts = translation.segments(found.asked, [direction])
                outputs, names = _write(model, tokenizer, parts, config), [_unit(part, config) for part in parts]
                for metric in ("bleu", "exact"):
                    scores = translation.sentence_scores(parts, outputs, metric).values()
                    units[metric] |= zip(names, scores, strict=True)
                units["distance"] |= zip(names, _apart(model, tokenizer, parts), strict=True)
                lines = [row[direction[1]] for row in found.tuning if direction[1] in row]
                known = Counter(word for line in lines for word in line.split())
                for unit, part, output in zip(names, parts, outputs, strict=True):
                    if (recall := rare_recall(output, part.target_text, known)) is not None:
                        units["rare"][unit] = recall
                for solver, by in translation.trivial(parts, "bleu").items():
                    trivial[solver] += by.values()
                if config.pivot in direction and found.gold:
                    forth = direction[0] == config.pivot
                    gold = found.gold[direction[forth]] if forth else found.gold[direction[0]].turned
                    texts = data.word_by_word(tokenizer, gold, [part.source_text for part in parts])
                    trivial["word_by_word"] += translation.sentence_scores(parts, texts, "bleu").values()
                shown = zip(parts[:3], before[direction], outputs, strict=False)
                details["samples"]["-".join(direction)] = [
                    {"source": p.source_text, "wanted": p.target_text, "restored": b, "tuned": o} for p, b, o in shown
                ]
    metrics = {name: fmean(by.values()) for name, by in units.items() if by}
    metrics |= {f"trivial_{name}": fmean(values) for name, values in trivial.items()}
    details["lexicons"] = read_json(run.artifact / "lexicons.json")
    if details["lexicons"]:
        metrics["lexicon_precision"] = fmean(details["lexicons"].values())
    metrics["base_restores"] = _restores(config, found)
    return Measurement(metrics, {name: by for name, by in units.items() if by}, details)


def rare_recall(output: str, reference: str, known: Counter[str]) -> float | None:
    """Share of the words of a reference that fine-tuning hardly knows which an output has; None where it has none.

    Args:
        output: A translation.
        reference: The right one.
        known: How often each word is seen in fine-tuning.
    """
    wanted = Counter(word for word in reference.split() if known[word] < RARE)
    got = Counter(output.split())
    return sum((wanted & got).values()) / sum(wanted.values()) if wanted else None


def _unit(part: Segment, config: Config) -> str:
    others = sorted({part.source, part.target} - {config.pivot})
    return f"{'-'.join(others)}/{part.id}"


def _write(model: Any, tokenizer: Any, parts: Sequence[Segment], config: Config) -> list[str]:
    from core.inference.seq2seq import translate

    texts, (source, target) = [part.source_text for part in parts], (parts[0].source, parts[0].target)
    longest = LONGEST if config.model else 16
    return translate(model, tokenizer, texts, source, target, beams=config.beams, longest=longest)


def _apart(model: Any, tokenizer: Any, parts: Sequence[Segment]) -> list[float]:
    from papers.csr4mbart import data, method

    one = data.encoded(model, tokenizer, [part.source_text for part in parts], parts[0].source)
    other = data.encoded(model, tokenizer, [part.target_text for part in parts], parts[0].target)
    return method.distances(one, other).tolist()


def _restores(config: Config, found: World) -> float:
    """BLEU with which the pretrained model restores masked sentences of its texts, or of those that it is tuned on."""
    import numpy as np

    from core.inference.seq2seq import write
    from core.metrics.translation import sentence_bleu
    from core.models.loading import load
    from papers.csr4mbart import data

    model, tokenizer = load(Path(found.start) if not config.model else found.start, task="seq2seq", dtype="float32")
    scores, rng = [], np.random.default_rng(config.seed)
    for code in found.languages:
        texts = found.texts[code][: min(40, config.items)]
        noiser = data.noisers(tokenizer, {(code, ""): None})[code, ""]
        read = data.sides(tokenizer, code, "", texts)
        noised = [[*noiser(s.read[s.start : s.end], rng), *s.read[s.end :]] for s in read]
        outputs = write(model, tokenizer, noised, code, longest=LONGEST if config.model else 24)
        scores += [sentence_bleu(output, text) for output, text in zip(outputs, texts, strict=True)]
    return fmean(scores)


if __name__ == "__main__":
    entrypoint(evaluate)
