"""Ask a model on three axes in every language, and compare each language with English within the same questions.

    python -m papers.xlingeval.eval tiny --variant smollm2
    python -m papers.xlingeval.eval tiny --variant uneven            # a stand-in whose faults are known
    python -m papers.xlingeval.eval paper --source LiveQA.tsv

The run's folder holds `answers.jsonl`: what the model said, with what it was scored.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run, is_main_process
from papers.xlingeval import asking, data, method, miniature, similarity
from papers.xlingeval.config import STAND_INS, Config
from papers.xlingeval.verdicts import PARSERS, verdict

if TYPE_CHECKING:
    from core.models.embedding import Encoder
    from core.models.loading import Loaded
    from core.tasks.judging import Judge
    from papers.xlingeval.data import Candidates, Item

Scores = dict[str, dict[str, float]]
OWN_JUDGES = ("likelihood", "nearest")
# Of so many questions two verdicts are asked in the miniature, to see what a small model says.
WRITTEN = 3
# Higher is worse.
WORSE = frozenset({"wrong"})
# What is compared with English; of the other similarities the page has the means.
AXES = ("auc", "right", "wrong", "alike")
COMPARED = (*AXES, "first", "raw_auc", "unigram", "unigram_official")


@dataclass
class Found:
    """What was measured: by metric, language and question; and what was said."""

    scores: dict[str, Scores] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, code: str, values: Mapping[str, float]) -> None:
        """Scores of one language."""
        self.scores.setdefault(name, {})[code] = dict(values)


def evaluate(config: Config, run: Run) -> Measurement:
    """Scores of every axis and language, and what they lose against English."""
    from core.files import write_rows

    every = data.read_items(config.source, config.languages) if config.source else miniature.questions(config)
    items = data.spread(every, config.limit)
    asked = data.candidates(items, config.negatives, config.seed, pool=every)
    found = measure(config, items, asked, run)
    if is_main_process():
        write_rows(run.path / "answers.jsonl", found.rows)
    metrics, units = summary(found.scores)
    metrics |= miniature.trivial(items, asked)
    metrics |= {
        f"{name}_{code}": value for name, by in found.details.get("means", {}).items() for code, value in by.items()
    }
    details = {"drops": against_english(found.scores), "samples": found.rows[:: max(1, len(found.rows) // 12)]}
    return Measurement(metrics, units, {**found.details, **details})


def measure(config: Config, items: Sequence[Item], asked: Candidates, run: Run) -> Found:
    """Ask on each axis."""
    found, speaker = Found(), speaker_of(config, items, run)
    encoder = judge = None
    if "consistency" in config.axes or ("correctness" in config.axes and config.judge != "likelihood"):
        encoder = _encoder(config.encoder, run)
    if "correctness" in config.axes and config.judge not in OWN_JUDGES:
        from core.tasks.judging import judge_of

        judge = judge_of(config.judge)
    for code in data.languages_of(items):
        if "verifiability" in config.axes:
            _verifiability(config, items, asked, code, speaker, run, found)
        if "correctness" in config.axes:
            _correctness(config, items, asked, code, speaker, run, encoder, judge, found)
        if "consistency" in config.axes:
            _consistency(config, items, code, speaker, encoder, found)
    if "right" in found.scores:
        counts = {"all": {code: _counts(found, code) for code in found.scores["right"]}}
        found.details["counts"] = counts["all"]
        headline = {"drop": method.correctness_drop(counts), "ratio": method.contradiction_ratio(counts)}
        found.details["headline"] = headline
    return found


def speaker_of(config: Config, items: Sequence[Item], run: Run) -> Any:
    """A model, a stand-in, or an encoder."""
    from core.models import loading

    if config.model in STAND_INS:
        return miniature.StandIn(config.model, items, config.seed)
    if config.score == "cosine":
        return _encoder(config.model, run)
    name = _toy(run) if config.model == "toy" else config.model
    loaded: Loaded = loading.load(name, dtype=config.dtype, device_map=config.device_map)
    return asking.Model(loaded, config.max_new_tokens)


def _toy(run: Run) -> str:
    return str(run.stage("toy", {}, miniature.toy))


def _encoder(spec: str, run: Run) -> Encoder:
    from core.models.embedding import load_encoder

    return load_encoder(_toy(run) if spec == "toy" else spec)


# --- verifiability ----------------------------------------------------------------------------------------------------


def _verifiability(
    config: Config, items: Sequence[Item], asked: Candidates, code: str, speaker: Any, run: Run, found: Found
) -> None:
    """AUC within questions; macro-F1 of verdicts, written ones or those of the best threshold in English."""
    labels = {item.id: [label for label, _ in asked[item.id]] for item in items}
    pairs = [(_question(config, items, place, asked, code), texts[code]) for place, item in enumerate(items)
             for _, texts in asked[item.id]]  # fmt: skip
    if config.score == "verdict":
        if isinstance(speaker, miniature.StandIn):
            said, meant = speaker.verdicts(asked, code)
            meanings = {key: _auc(values) for key, values in meant.items()}
            found.add("auc_truth", code, meanings)
        else:
            said = _by_item(items, asked, speaker.verdicts(pairs, code, config.temperatures[-1], config.seed))
        read = {p: {key: [verdict(text, code, p) for text in own] for key, own in said.items()} for p in PARSERS}
        found.add("auc", code, {key: _auc(values) for key, values in read["words"].items()})
        for parser, name in zip(PARSERS, ("kept", "kept_official"), strict=True):
            found.add(name, code, {key: fmean(float(v != -1) for v in own) for key, own in read[parser].items()})
            _hard(found, code, "" if parser == "words" else "_official", labels, read[parser])
        found.rows += [
            {
                "axis": "verifiability",
                "language": code,
                "id": item.id,
                "label": label,
                "answer": texts[code],
                "said": text,
            }
            for item in items
            for (label, texts), text in zip(asked[item.id], said[item.id], strict=True)
        ]
        return
    if config.score == "cosine":
        scores = _by_item(items, asked, asking.closeness(speaker, pairs))
    else:
        likely = _likelihoods(config, items, code, pairs, speaker, run)
        scores = _by_item(items, asked, [method.pointwise(*one) for one in likely])
        raw = _by_item(items, asked, [given / length for given, _, length in likely])
        found.add("raw_auc", code, {key: method.auc(own[0], own[1:]) for key, own in raw.items()})
        texts = [text for _, text in pairs]
        found.details.setdefault("means", {}).setdefault("tokens_per_character", {})[code] = sum(
            length for _, _, length in likely
        ) / sum(map(len, texts))
        if not (config.source or config.shuffled):
            _written(config, data.spread(items, WRITTEN), code, speaker, run, found)
    found.add("auc", code, {key: method.auc(own[0], own[1:]) for key, own in scores.items()})
    found.add("first", code, {key: float(own[0] > max(own[1:])) for key, own in scores.items()})
    _thresholds(found, code, labels, scores)


def _question(config: Config, items: Sequence[Item], place: int, asked: Candidates, code: str) -> str:
    """The question, or (null arm) the next one whose answer is none of the candidates."""
    if not config.shuffled:
        return items[place].texts[code].question
    texts = {text[code] for _, text in asked[items[place].id]}
    others = [*items[place + 1 :], *items[:place]]
    return next((o for o in others if o.texts[code].answer not in texts), others[0]).texts[code].question


def _likelihoods(
    config: Config, items: Sequence[Item], code: str, pairs: Sequence[asking.Pair], model: asking.Model, run: Run
) -> list[tuple[float, float, int]]:
    """log p(a | q), log p(a) and tokens of each pair; what every seed of the miniature asks for is computed once."""
    after: dict[asking.Pair, float] = {}
    alone: dict[str, tuple[float, int]] = {}
    if not config.source:
        texts = [item.texts[code] for item in items]
        shared = [(text.question, answer) for text in texts for answer in (text.answer, text.contradiction)]
        inputs = {"model": config.model, "dtype": config.dtype, "pairs": shared}

        def compute() -> list[Any]:
            answers = [answer for _, answer in shared]
            return [model.after(shared, code), model.alone(answers, code)]

        values, priors = run.once("likelihoods", inputs, compute)
        after |= dict(zip(shared, values, strict=True))
        alone |= {answer: (total, tokens) for (_, answer), (total, tokens) in zip(shared, priors, strict=True)}
    new = [pair for pair in dict.fromkeys(pairs) if pair not in after]
    after |= dict(zip(new, model.after(new, code), strict=True))
    texts_new = [answer for answer in dict.fromkeys(answer for _, answer in pairs) if answer not in alone]
    alone |= dict(zip(texts_new, model.alone(texts_new, code), strict=True))
    return [(after[pair], *alone[pair[1]]) for pair in pairs]


def _written(config: Config, items: Sequence[Item], code: str, model: asking.Model, run: Run, found: Found) -> None:
    """What a model says when it is asked for Yes or No, about the right answer and the contradiction."""
    texts = [item.texts[code] for item in items]
    pairs = [(text.question, answer) for text in texts for answer in (text.answer, text.contradiction)]
    inputs = {"model": config.model, "dtype": config.dtype, "pairs": pairs}
    said = run.once("verdicts", inputs, lambda: model.verdicts(pairs, code))
    means = found.details.setdefault("means", {})
    for parser in PARSERS:
        scores = method.verifiability([1, 0] * len(items), [verdict(text, code, parser) for text in said])
        means.setdefault(f"written_f1_{parser}", {})[code] = scores.f1
        means.setdefault(f"written_dropped_{parser}", {})[code] = scores.dropped
    found.rows += [
        {"axis": "verdict", "language": code, "question": question, "answer": answer, "said": text}
        for (question, answer), text in zip(pairs, said, strict=True)
    ]


def _hard(
    found: Found, code: str, mark: str, labels: Mapping[str, list[int]], said: Mapping[str, Sequence[int]]
) -> None:
    flat = [(label, value) for key, own in labels.items() for label, value in zip(own, said[key], strict=True)]
    scores = method.verifiability(*map(list, zip(*flat, strict=True)))
    for name in ("f1", "recall", "dropped"):
        found.details.setdefault("means", {}).setdefault(f"{name}{mark}", {})[code] = getattr(scores, name)


def _thresholds(
    found: Found, code: str, labels: Mapping[str, list[int]], scores: Mapping[str, Sequence[float]]
) -> None:
    """Verdicts by the threshold that is best in English on the other half of the questions."""
    known: list[float] = found.details.setdefault("thresholds", [])
    halves = [[*labels][start::2] for start in (0, 1)]
    if code == method.PIVOT:
        for half in halves:
            flat = [(value, label) for key in half for value, label in zip(scores[key], labels[key], strict=True)]
            known.append(method.threshold(*map(list, zip(*flat, strict=True))) if flat else math.nan)
    said = {
        key: [int(value > known[1 - number]) for value in scores[key]]
        for number, half in enumerate(halves)
        for key in half
    }
    _hard(found, code, "", labels, said)


def _by_item(items: Sequence[Item], asked: Candidates, flat: Sequence[Any]) -> dict[str, list[Any]]:
    values = iter(flat)
    return {item.id: [next(values) for _ in asked[item.id]] for item in items}


def _auc(verdicts: Sequence[int]) -> float:
    """Of verdicts, where neither stands between Yes and No."""
    right, *wrong = (0.5 if value == -1 else float(value) for value in verdicts)
    return method.auc(right, wrong)


# --- correctness ------------------------------------------------------------------------------------------------------


def _correctness(
    config: Config, items: Sequence[Item], asked: Candidates, code: str, speaker: Any, run: Run,
    encoder: Encoder | None, judge: Judge | None, found: Found,
) -> None:  # fmt: skip
    """Labels of one answer to each question, by the judge."""
    answers = [""] * len(items)
    if isinstance(speaker, miniature.StandIn):
        said, meant = speaker.answers(code)
        answers = [said[item.id][0] for item in items]
        found.add("right_truth", code, {key: float(kinds[0] == "right") for key, kinds in meant.items()})
        found.add("wrong_truth", code, {key: float(kinds[0] == "contradictory") for key, kinds in meant.items()})
    elif config.judge != "likelihood":
        answers = speaker.answers([item.texts[code].question for item in items], code)
    labels = _labels(config, items, asked, answers, code, speaker, run, encoder, judge)
    for name, label in (("right", "more"), ("wrong", "contradictory")):
        found.add(name, code, {item.id: float(own == label) for item, own in zip(items, labels, strict=True)})
    found.rows += [
        {"axis": "correctness", "language": code, "id": item.id, "question": item.texts[code].question,
         "answer": item.texts[code].answer, "said": text, "label": label}
        for item, text, label in zip(items, answers, labels, strict=True)
    ]  # fmt: skip


def _labels(
    config: Config, items: Sequence[Item], asked: Candidates, answers: Sequence[str], code: str, speaker: Any, run: Run,
    encoder: Encoder | None, judge: Judge | None,
) -> list[method.Label]:  # fmt: skip
    if judge is not None:
        prompts = {
            f"{code}/{item.id}": data.judge_prompt(item.texts[code].question, item.texts[code].answer, text, code)
            for item, text in zip(items, answers, strict=True)
        }
        replies = judge(prompts)
        return [method.label(replies[key]) for key in prompts]
    if lacking := next((item.id for item in items if not item.texts[code].contradiction), None):
        raise UserError(f"Judge {config.judge!r} needs a contradiction to every question, and {lacking!r} has none.")
    names: tuple[method.Label, ...] = ("more", "contradictory", "neither")
    if config.judge == "likelihood":
        pairs = [
            (item.texts[code].question, text)
            for item in items
            for text in (item.texts[code].answer, item.texts[code].contradiction, asked[item.id][1][1][code])
        ]
        values = [method.pointwise(*one) for one in _likelihoods(config, items, code, pairs, speaker, run)]
        triples = [values[start : start + 3] for start in range(0, len(values), 3)]
        return [names[max(range(3), key=triple.__getitem__)] for triple in triples]
    assert encoder is not None
    texts = [item.texts[code] for item in items]
    experts, wrong, own = np.split(
        similarity.vectors(encoder, [t.answer for t in texts] + [t.contradiction for t in texts] + [*answers]), 3
    )
    found = []
    for place, vector in enumerate(own):
        close = experts @ vector
        others = [value for number, value in enumerate(close) if number != place]
        triple = [float(close[place]), float(wrong[place] @ vector), float(max(others))]
        found.append(names[max(range(3), key=triple.__getitem__)])
    return found


def _counts(found: Found, code: str) -> dict[str, float]:
    labels = Counter(row["label"] for row in found.rows if row["axis"] == "correctness" and row["language"] == code)
    return {name: float(labels[name]) for name in method.LABELS}


# --- consistency ------------------------------------------------------------------------------------------------------


def _consistency(
    config: Config, items: Sequence[Item], code: str, speaker: Any, encoder: Encoder | None, found: Found
) -> None:
    """Similarities of K answers to each question at each temperature."""
    chosen = data.spread(items, config.sampled)
    for temperature in config.temperatures:
        if isinstance(speaker, miniature.StandIn):
            answers, meant = speaker.answers(code, config.samples, "samples")
            found.add("alike_truth", code, miniature.same_source(meant))
        else:
            questions, room = [item.texts[code].question for item in chosen], _room(config, items, code, speaker)
            said = speaker.samples(questions, code, config.samples, temperature, config.seed, room)
            answers = {item.id: texts for item, texts in zip(chosen, said, strict=True)}
        compared = answers
        if config.back_translate:
            compared = {key: asking.translated(config.back_translate, texts, code) for key, texts in answers.items()}
        stands_in = isinstance(speaker, miniature.StandIn)
        alike = similarity.consistency(compared, code, encoder, config.topics, matched=not stands_in)
        if encoder is not None:
            alike["near"] = _near(encoder, {item.id: item.texts[code].answer for item in chosen}, answers)
        found.details.setdefault("by_temperature", {}).setdefault(code, {})[str(temperature)] = {
            name: fmean(values.values()) for name, values in alike.items()
        }
    for name, values in alike.items():
        found.add(name, code, values)
    found.rows += [
        {"axis": "consistency", "language": code, "id": key, "said": text}
        for key, texts in answers.items()
        for text in texts
    ]


def _room(config: Config, items: Sequence[Item], code: str, speaker: asking.Model) -> int:
    """Tokens for an answer: in the miniature as many more than in English as experts' answers have."""
    if config.source:
        return config.max_new_tokens
    own, english = (
        sum(len(speaker.loaded.tokenizer(item.texts[c].answer)["input_ids"]) for item in items)
        for c in (code, method.PIVOT)
    )
    return round(config.max_new_tokens * own / english)


def _near(encoder: Encoder, experts: Mapping[str, str], answers: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """How much closer the answers to a question are to its expert's than to other experts' (cosine)."""
    known = similarity.vectors(encoder, [experts[key] for key in answers])
    found = {}
    for place, (key, texts) in enumerate(answers.items()):
        close = (similarity.vectors(encoder, texts) @ known.T).mean(axis=0)
        found[key] = float(close[place] - (close.sum() - close[place]) / max(1, len(close) - 1))
    return found


# --- against English --------------------------------------------------------------------------------------------------


def summary(scores: Mapping[str, Scores]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Means by language, and what the others lose against English in the mean and one by one; units are questions."""
    metrics: dict[str, float] = {}
    units: dict[str, dict[str, float]] = {}

    def add(name: str, values: dict[str, float]) -> None:
        if values:
            metrics[name], units[name] = fmean(values.values()), values

    for name, by_language in scores.items():
        keys = method.common(by_language)
        for code, values in by_language.items():
            add(f"{name}_{code}", {key: values[key] for key in keys})
        others = [code for code in by_language if code != method.PIVOT]
        if not others or name.removesuffix("_truth") not in COMPARED:
            continue
        sign = -1 if name.removesuffix("_truth") in WORSE else 1
        lost = {
            code: {key: sign * (by_language[method.PIVOT][key] - by_language[code][key]) for key in keys}
            for code in others
        }
        add(f"loss_{name}", {key: fmean(lost[code][key] for code in others) for key in keys})
        if name in AXES:
            for code in others:
                add(f"loss_{name}_{code}", lost[code])
            for near, far in itertools.combinations(others, 2):  # what is lost further from one to the next
                add(f"loss_{name}_{near}_{far}", {key: lost[far][key] - lost[near][key] for key in keys})
    return metrics, units


def against_english(scores: Mapping[str, Scores]) -> dict[str, Any]:
    """Equation 6 for every axis and language, with intervals over questions."""
    found: dict[str, Any] = {}
    for name in AXES:
        if name in scores and len(method.common(scores[name])) > 1 and any(scores[name][method.PIVOT].values()):
            found[name] = {
                code: {
                    part: [getattr(one, end) for end in ("estimate", "low", "high")]
                    for part, one in drop._asdict().items()
                }
                for code, drop in method.drops(scores[name]).items()
            }
    return found


if __name__ == "__main__":
    entrypoint(evaluate)
