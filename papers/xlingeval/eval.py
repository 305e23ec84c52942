"""Ask a model on three axes in every language, and compare each language with English within the same questions.

    python -m papers.xlingeval.eval tiny --variant model
    python -m papers.xlingeval.eval tiny --variant uneven            # a stand-in whose faults are known
    python -m papers.xlingeval.eval paper --source LiveQA.tsv

The run's folder holds `answers.jsonl`: what the model said, with what it was scored.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run, is_main_process
from papers.xlingeval import asking, data, method, miniature, similarity
from papers.xlingeval.config import STAND_INS, Config
from papers.xlingeval.verdicts import LABELS, PARSERS, Label, label, verdict

if TYPE_CHECKING:
    from core.models.embedding import Encoder
    from papers.xlingeval.data import Candidates, Item

Scores = dict[str, dict[str, float]]
# Of so many questions two verdicts are asked in the miniature, to see what a small model says.
WRITTEN = 3
# Higher is worse.
WORSE = frozenset({"wrong"})
# What is compared with English; of the other similarities the page has the means.
AXES = ("auc", "right", "wrong", "alike")
COMPARED = (*AXES, "first", "raw_auc", "unigram", "unigram_official")


def evaluate(config: Config, run: Run) -> Measurement:
    """Scores of every axis and language, and what they lose against English."""
    from core.files import write_rows

    every = data.read_items(config.source, config.languages) if config.source else miniature.questions(config)
    items = data.spread(every, config.limit)
    asked = data.candidates(items, config.negatives, config.seed, pool=every)
    found = Interview(config, items, asked, run).held()
    if is_main_process():
        write_rows(run.path / "answers.jsonl", found.rows)
    metrics, units = summary(found.scores)
    metrics |= miniature.trivial(items, asked)
    metrics |= {f"{name}_{code}": value for name, by in found.means.items() for code, value in by.items()}
    return Measurement(metrics, units, {
        "drops": against_english(found.scores), "headline": found.headline(), "counts": found.counts,
        "by_temperature": found.by_temperature, "samples": found.rows[:: max(1, len(found.rows) // 12)],
    })  # fmt: skip


class Interview:
    """One speaker, asked on every axis in one language after another.

    Attributes:
        scores: By metric, language and question.
        means: By metric and language, of what no single question has.
        by_temperature: By language, temperature and metric.
        counts: Labels of answers, by language.
        rows: What was said.
        prompts: For the judge.
    """

    def __init__(self, config: Config, items: Sequence[Item], asked: Candidates, run: Run) -> None:
        self.config, self.items, self.asked, self.run = config, items, asked, run
        self.scores: dict[str, Scores] = defaultdict(dict)
        self.means: Scores = defaultdict(dict)
        self.by_temperature: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        self.counts: Scores = {}
        self.rows: list[dict[str, Any]] = []
        self.prompts: dict[str, str] = {}
        self._after: dict[str, dict[asking.Pair, float]] = defaultdict(dict)
        self._alone: dict[str, dict[str, tuple[float, int]]] = defaultdict(dict)
        self._cuts: list[float] = []
        self._speaker, self._encoder, self._judge = self._load()

    def held(self) -> Interview:
        """Ask everything, English first."""
        for code in data.languages_of(self.items):
            for axis in self.config.axes:
                getattr(self, axis)(code)
        return self

    def headline(self) -> dict[str, float]:
        """Equations 1 and 2."""
        if len(self.counts) < 2:
            return {}
        counts = {"all": self.counts}
        return {"drop": method.correctness_drop(counts), "ratio": method.contradiction_ratio(counts)}

    def _load(self) -> tuple[Any, Encoder | None, Any]:
        """The speaker (a model, a stand-in or an encoder), the encoder of answers, the judge; None = not needed."""
        from core.models import loading
        from core.models.embedding import load_encoder
        from core.tasks.judging import judge_of

        config = self.config
        toy = str(self.run.stage("toy", {}, miniature.toy)) if "toy" in (config.model, config.encoder) else ""
        model, spec = (toy if name == "toy" else name for name in (config.model, config.encoder))
        encoder = judge = None
        if "correctness" in config.axes and config.judge not in ("likelihood", "nearest", "requests"):
            judge = judge_of(config.judge)
        if "consistency" in config.axes or ("correctness" in config.axes and config.judge == "nearest"):
            encoder = load_encoder(spec)
        if config.model in STAND_INS:
            return miniature.StandIn(config.model, self.items, config.seed), encoder, judge
        if config.score == "cosine":
            return load_encoder(model), encoder, judge
        return asking.Model(loading.load(model, dtype=config.dtype, device_map=config.device_map)), encoder, judge

    # --- verifiability ------------------------------------------------------------------------------------------------

    def verifiability(self, code: str) -> None:
        """AUC within questions; macro-F1 of verdicts, written ones or those of the best threshold in English."""
        pairs = [
            (self.question(place, code), texts[code])
            for place, item in enumerate(self.items)
            for texts in self.asked[item.id]
        ]
        if self.config.score == "verdict":
            for temperature in self.config.temperatures:
                self._by_verdicts(code, pairs, temperature)
            return
        if self.config.score == "cosine":
            from core.models.embedding import cosines

            values = cosines(self._speaker, [question for question, _ in pairs], [answer for _, answer in pairs])
        else:
            likely = self._likelihoods(code, pairs)
            values = [method.pointwise(*one) for one in likely]
            raw = self._grouped([given / length for given, _, length in likely])
            self.scores["raw_auc"][code] = {key: method.auc(own[0], own[1:]) for key, own in raw.items()}
            characters = sum(len(answer) for _, answer in pairs)
            self.means["tokens_per_character"][code] = sum(length for _, _, length in likely) / characters
            if not (self.config.source or self.config.shuffled):
                self._written(code)
        scores = self._grouped(values)
        self.scores["auc"][code] = {key: method.auc(own[0], own[1:]) for key, own in scores.items()}
        self.scores["first"][code] = {key: float(own[0] > max(own[1:])) for key, own in scores.items()}
        self._by_threshold(code, scores)

    def question(self, place: int, code: str) -> str:
        """The question, or (null arm) the next one whose answer is none of the candidates."""
        if not self.config.shuffled:
            return self.items[place].texts[code].question
        texts = {text[code] for text in self.asked[self.items[place].id]}
        others = [*self.items[place + 1 :], *self.items[:place]]
        return next((o for o in others if o.texts[code].answer not in texts), others[0]).texts[code].question

    def _likelihoods(self, code: str, pairs: Sequence[asking.Pair]) -> list[tuple[float, float, int]]:
        """log p(a | q), log p(a) and tokens of each pair; what all seeds of the miniature ask for is computed once."""
        after, alone = self._after[code], self._alone[code]
        if not (after or self.config.source):
            texts = [item.texts[code] for item in self.items]
            shared = [(text.question, answer) for text in texts for answer in (text.answer, text.contradiction)]
            answers = [answer for _, answer in shared]
            inputs = {"model": self.config.model, "dtype": self.config.dtype, "pairs": shared}
            known = self.run.once("likelihoods", inputs, lambda: [
                self._speaker.after(shared, code), self._speaker.alone(answers, code)
            ])  # fmt: skip
            after.update(zip(shared, known[0], strict=True))
            alone.update(zip(answers, known[1], strict=True))
        new = [pair for pair in dict.fromkeys(pairs) if pair not in after]
        after.update(zip(new, self._speaker.after(new, code), strict=True))
        bare = [answer for answer in dict.fromkeys(answer for _, answer in pairs) if answer not in alone]
        alone.update(zip(bare, self._speaker.alone(bare, code), strict=True))
        return [(after[pair], *alone[pair[1]]) for pair in pairs]

    def _by_threshold(self, code: str, scores: Mapping[str, Sequence[float]]) -> None:
        """Verdicts by the threshold that is best in English on the other half of the questions."""
        halves = [[*scores][start::2] for start in (0, 1)]
        if code == method.PIVOT:
            for half in reversed(halves):
                flat = [(value, int(not place)) for key in half for place, value in enumerate(scores[key])]
                self._cuts.append(method.threshold(*map(list, zip(*flat, strict=True))) if flat else math.nan)
        cuts = {key: cut for half, cut in zip(halves, self._cuts, strict=True) for key in half}
        self._hard(code, "", {key: [int(value > cuts[key]) for value in own] for key, own in scores.items()})

    def _by_verdicts(self, code: str, pairs: Sequence[asking.Pair], temperature: float) -> None:
        if isinstance(self._speaker, miniature.StandIn):
            said, meant = self._speaker.verdicts(self.asked, code)
            self.scores["auc_truth"][code] = {key: _auc(values) for key, values in meant.items()}
        else:
            said = self._grouped(self._speaker.verdicts(pairs, code, temperature, self.config.seed))
        for parser, mark in zip(PARSERS, ("", "_official"), strict=True):
            read = {key: [verdict(text, code, parser) for text in own] for key, own in said.items()}
            kept = {key: fmean(float(value != -1) for value in own) for key, own in read.items()}
            self.scores[f"kept{mark}"][code] = kept
            self.by_temperature[code][str(temperature)] |= self._hard(code, mark, read)
            if parser == "words":
                self.scores["auc"][code] = {key: _auc(values) for key, values in read.items()}
        self.rows += [
            {"axis": "verifiability", "language": code, "id": key, "right": not place, "said": text,
             "answer": self.asked[key][place][code]}
            for key, own in said.items() for place, text in enumerate(own)
        ]  # fmt: skip

    def _hard(self, code: str, mark: str, said: Mapping[str, Sequence[int]]) -> dict[str, float]:
        flat = [(int(not place), value) for own in said.values() for place, value in enumerate(own)]
        scores = method.verifiability(*map(list, zip(*flat, strict=True)))
        found = {f"{name}{mark}": getattr(scores, name) for name in ("f1", "recall", "dropped")}
        for name, value in found.items():
            self.means[name][code] = value
        return found

    def _written(self, code: str) -> None:
        """What a model says when it is asked for Yes or No, about the right answer and the contradiction."""
        texts = [item.texts[code] for item in data.spread(self.items, WRITTEN)]
        pairs = [(text.question, answer) for text in texts for answer in (text.answer, text.contradiction)]
        inputs = {"model": self.config.model, "dtype": self.config.dtype, "pairs": pairs}
        said = self.run.once("verdicts", inputs, lambda: self._speaker.verdicts(pairs, code))
        read = [verdict(text, code) for text in said]
        self.means["written_yes"][code] = fmean(float(value == 1) for value in read)
        self.means["written_none"][code] = fmean(float(value == -1) for value in read)
        self.rows += [
            {"axis": "verdict", "language": code, "question": question, "answer": answer, "said": text}
            for (question, answer), text in zip(pairs, said, strict=True)
        ]

    def _grouped(self, flat: Sequence[Any]) -> dict[str, list[Any]]:
        values = iter(flat)
        return {item.id: [next(values) for _ in self.asked[item.id]] for item in self.items}

    # --- correctness --------------------------------------------------------------------------------------------------

    def correctness(self, code: str) -> None:
        """Labels of one answer to each question, by the judge."""
        answers = [""] * len(self.items)
        if isinstance(self._speaker, miniature.StandIn):
            said, meant = self._speaker.answers(code)
            answers = [said[item.id][0] for item in self.items]
            for name, kind in (("right", "right"), ("wrong", "contradictory")):
                self.scores[f"{name}_truth"][code] = {key: float(own[0] == kind) for key, own in meant.items()}
        elif self.config.judge != "likelihood":
            questions = [item.texts[code].question for item in self.items]
            answers = self._speaker.answers(questions, code, self._room(code))
        labels = self._labels(code, answers)
        self.counts[code] = {name: float(Counter(labels)[name]) for name in LABELS}
        for name, kind in (("right", "more"), ("wrong", "contradictory")):
            self.scores[name][code] = {i.id: float(own == kind) for i, own in zip(self.items, labels, strict=True)}
        self.rows += [
            {"axis": "correctness", "language": code, "id": item.id, "question": item.texts[code].question,
             "answer": item.texts[code].answer, "said": text, "label": own}
            for item, text, own in zip(self.items, answers, labels, strict=True)
        ]  # fmt: skip

    def _labels(self, code: str, answers: Sequence[str]) -> list[Label]:
        texts = {item.id: item.texts[code] for item in self.items}
        if self.config.judge not in ("likelihood", "nearest"):
            prompts = {
                f"{code}/{key}": asking.judge_prompt(text.question, text.answer, said, code)
                for (key, text), said in zip(texts.items(), answers, strict=True)
            }
            self.prompts |= prompts
            replies = self._judge(prompts) if self._judge else dict.fromkeys(prompts, "")
            return [label(replies[key]) for key in prompts]
        if lacking := next((key for key, text in texts.items() if not text.contradiction), None):
            judge = self.config.judge
            raise UserError(f"Judge {judge!r} needs a contradiction to every question, and {lacking!r} has none.")
        if self.config.judge == "likelihood":
            pairs = [
                (text.question, answer) for key, text in texts.items()
                for answer in (text.answer, text.contradiction, self.asked[key][1][code])
            ]  # fmt: skip
            triples = np.reshape([method.pointwise(*one) for one in self._likelihoods(code, pairs)], (-1, 3))
        else:
            assert self._encoder is not None
            sides = [t.answer for t in texts.values()], [t.contradiction for t in texts.values()], answers
            experts, wrong, own = (similarity.vectors(self._encoder, side) for side in sides)
            others = np.where(np.eye(len(own), dtype=bool), -np.inf, own @ experts.T).max(axis=1)
            triples = np.stack([(experts * own).sum(axis=1), (wrong * own).sum(axis=1), others], axis=1)
        names: tuple[Label, ...] = ("more", "contradictory", "neither")
        return [names[int(row.argmax())] for row in triples]

    def _room(self, code: str) -> int:
        """Tokens for an answer: in the miniature as many more than in English as experts' answers have."""
        if self.config.source:
            return self.config.max_new_tokens
        own, english = (
            sum(len(self._speaker.loaded.tokenizer(item.texts[c].answer)["input_ids"]) for item in self.items)
            for c in (code, method.PIVOT)
        )
        return round(self.config.max_new_tokens * own / english)

    # --- consistency --------------------------------------------------------------------------------------------------

    def consistency(self, code: str) -> None:
        """Similarities of K answers to each question at each temperature."""
        config, stands_in = self.config, isinstance(self._speaker, miniature.StandIn)
        texts = {item.id: item.texts[code] for item in data.spread(self.items, config.sampled)}
        for temperature in config.temperatures:
            if stands_in:
                answers, meant = self._speaker.answers(code, config.samples, "samples", texts)
                self.scores["alike_truth"][code] = miniature.same_source(meant)
            else:
                questions, room = [text.question for text in texts.values()], self._room(code)
                said = self._speaker.samples(questions, code, room, config.samples, temperature, config.seed)
                answers = dict(zip(texts, said, strict=True))
            compared = answers
            if config.back_translate:
                compared = {k: asking.translated(config.back_translate, own, code) for k, own in answers.items()}
            alike = similarity.consistency(compared, code, self._encoder, config.topics, matched=not stands_in)
            alike["own_script"] = similarity.own_script(answers, code)  # before they are translated
            if self._encoder is not None:
                alike["near"] = _near(self._encoder, {key: text.answer for key, text in texts.items()}, answers)
            means = {name: fmean(values.values()) for name, values in alike.items()}
            self.by_temperature[code][str(temperature)] |= means
        for name, values in alike.items():
            self.scores[name][code] = values
        self.rows += [
            {"axis": "consistency", "language": code, "id": key, "said": text}
            for key, own in answers.items() for text in own
        ]  # fmt: skip


def _auc(verdicts: Sequence[int]) -> float:
    """Of verdicts, where neither stands between Yes and No."""
    right, *wrong = (0.5 if value == -1 else float(value) for value in verdicts)
    return method.auc(right, wrong)


def _near(encoder: Encoder, experts: Mapping[str, str], answers: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """How much closer the answers to a question are to its expert's than to other experts' (cosine)."""
    known = similarity.vectors(encoder, [*experts.values()])
    found = {}
    for place, key in enumerate(experts):
        close = (similarity.vectors(encoder, answers[key]) @ known.T).mean(axis=0)
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
        axis, others = name.removesuffix("_truth"), [code for code in by_language if code != method.PIVOT]
        if not others or axis not in COMPARED:
            continue
        sign, english = -1 if axis in WORSE else 1, by_language[method.PIVOT]
        lost = {code: {key: sign * (english[key] - by_language[code][key]) for key in keys} for code in others}
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
