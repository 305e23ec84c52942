"""Ask the model every question with its dictionary put in, and score the answers.

    python -m papers.dip.eval tiny --variant interleave      # SmolLM2-135M, ten languages
    python -m papers.dip.eval paper --variant prepend        # GSM8K in NLLB's translation, answers written step by step

For a model and questions of your own see `use.py`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import load_json
from core.metrics.classification import macro_mean
from core.text import segment
from papers.dip.config import Config

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from papers.dip.data import Question
    from papers.dip.method import DictionaryPrompter, Result

Units = dict[str, dict[str, float]]
Questions = Sequence["Question"]


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy in every language, what the questions have in the dictionary, and what they cost in tokens."""
    from papers.dip import data

    asked = [question for own in data.questions(config, run).values() for question in own]
    results = prompts(config, asked, load_json(run.artifact / "dictionaries.json"), run)
    loaded = load(config, run)
    if config.benchmark or config.questions:
        units, said = written(config, loaded, asked, results)
        solvers: dict[str, float] = {}
    else:
        units, said, solvers = ranked(config, loaded, asked, results)
    tokens = loaded.tokenizer([result.text for result in results]).input_ids
    units["coverage"] = {q.id: result.coverage for q, result in zip(asked, results, strict=True)}
    units["tokens"] = {q.id: float(len(ids)) for q, ids in zip(asked, tokens, strict=True)}
    metrics = {name: macro_mean(values) for name, values in units.items()}
    shown = [
        {"id": q.id, "prompt": result.text, "answer": q.answer, "said": answer}
        for q, result, answer in zip(asked, results, said, strict=True)
    ]
    facts = load_json(run.artifact / "dictionaries.json")
    return Measurement(metrics | solvers, units, {"dictionaries": facts, "samples": shown[:: max(1, len(shown) // 12)]})


def prompts(config: Config, asked: Questions, known: Mapping[str, Any], run: Run) -> list[Result]:
    """Every question with its dictionary put in."""
    from papers.dip import data
    from papers.dip.method import DictionaryPrompter

    files = {code: load_json(run.artifact / f"{code}.json") for code in known}
    changed: dict[tuple[str, str], DictionaryPrompter] = {}
    found = []
    for question in asked:
        code = question.id.partition("/")[0]
        key = (code, question.id if question.id in files[code] else "")
        if key not in changed:
            lexicon = data.changed(config, files[code].get(key[1], {}))
            changed[key] = DictionaryPrompter(
                lexicon, config.placement, config.delimiter, config.block, rarest=config.rarest, seed=config.seed
            )
        found.append(changed[key].apply(question.english if config.translated else question.text))
    return found


def load(config: Config, run: Run) -> Loaded:
    """The model with its tokenizer."""
    from core.models import loading
    from papers.dip import miniature

    name = str(run.stage("toy", {}, miniature.toy)) if config.model == "toy" else config.model
    return loading.load(name, dtype=config.dtype)


# --- options that are ranked (miniature, own questions) ---------------------------------------------------------------


def ranked(
    config: Config, loaded: Loaded, asked: Questions, results: Sequence[Result]
) -> tuple[Units, list[str], dict[str, float]]:
    """Answers by the likeliest option: log p(option | question) - log p(option | no question).

    Returns:
        `accuracy`, `gold` (log-probability of the right option among the four), `restated` (of the English question
        behind this one, a token) and, without a dictionary, `halfway`: the mean of the accuracies as it is and in
        English. Then what was chosen; and what solvers that do not read choose.
    """
    from core.tasks.choices import credit
    from papers.dip import miniature

    before = shown(miniature.demonstrations(config.seed))
    told = rank(loaded, before, asked, [result.text for result in results], restate=True)
    units: Units = {"accuracy": {}, "gold": {}, "restated": {}}
    for question, row in zip(asked, told, strict=True):
        right = question.options.index(question.answer)
        units["accuracy"][question.id] = credit(row.gains, right)
        units["gold"][question.id] = row.gains[right] - math.log(sum(map(math.exp, row.gains)))
        units["restated"][question.id] = float(row.restated or 0.0)
    if config.placement == "none" and not config.translated:  # half of the way from here to English, as a control
        english = rank(loaded, before, asked, [question.english for question in asked])
        pairs = [(q, credit(row.gains, q.options.index(q.answer))) for q, row in zip(asked, english, strict=True)]
        units["halfway"] = {q.id: (units["accuracy"][q.id] + right) / 2 for q, right in pairs}
    said = [q.options[row.gains.index(max(row.gains))] for q, row in zip(asked, told, strict=True)]
    return units, said, trivial(asked, results, [row.priors for row in told])


@dataclass(frozen=True)
class Ranked:
    """Of one question: how much likelier the question makes each option, how likely the option is without the question,
    and how likely the English wording is behind the question, a token (None where it is not asked for).
    """

    gains: list[float]
    priors: list[float]
    restated: float | None = None


def shown(examples: Questions) -> str:
    """Demonstrations, the same before every question."""
    return "".join(f"Question: {example.text}\nAnswer: {example.answer}\n\n" for example in examples)


def rank(
    loaded: Loaded, before: str, asked: Questions, texts: Sequence[str], *, restate: bool = False, progress: Any = None
) -> list[Ranked]:
    """Score the options of every question in one pass: they follow the same prompt."""
    from core.inference.scoring import score_choices

    contexts = [f"{before}Question: {text}\n" for text in texts]
    options = [[f"Answer: {option}" for option in question.options] for question in asked]
    english = [["English:", f"English: {question.english}"] if restate else [] for question in asked]
    bare = [f"{before}Question:\n"] * len(asked)
    scores = score_choices(
        *loaded, [*contexts, *bare], [*(a + b for a, b in zip(options, english, strict=True)), *options],
        progress=progress,
    )  # fmt: skip
    found = []
    for after, without in zip(scores[: len(asked)], scores[len(asked) :], strict=True):
        priors = [score.log_likelihood for score in without]
        gains = [score.log_likelihood - prior for score, prior in zip(after, priors, strict=False)]
        restated = None
        if restate:
            start, whole = after[-2:]
            restated = (whole.log_likelihood - start.log_likelihood) / (whole.tokens - start.tokens)
        found.append(Ranked(gains, priors, restated))
    return found


def trivial(asked: Questions, results: Sequence[Result], priors: Sequence[Sequence[float]]) -> dict[str, float]:
    """Accuracy of solvers that do not read: the likeliest option without the question, the option that is right most
    often in other questions, the longest, and the one that looks most like a word of the prompt.
    """
    from core.tasks.choices import credit
    from core.text.distance import edit_distance

    right = Counter(question.answer for question in asked)
    solvers: dict[str, list[float]] = {name: [] for name in ("no_question", "frequent", "longest", "lookalike")}
    for question, result, prior in zip(asked, results, priors, strict=True):
        place = question.options.index(question.answer)
        words = [word.casefold() for word in segment.words(result.text)]
        alike = [
            -min((edit_distance(word, option.lower()) / max(len(word), len(option)) for word in words), default=1.0)
            for option in question.options
        ]
        frequent = [right[option] - (option == question.answer) for option in question.options]
        scores: tuple[Sequence[float], ...] = (prior, frequent, [*map(len, question.options)], alike)
        for name, values in zip(solvers, scores, strict=True):
            solvers[name].append(credit(values, place))
    return {f"trivial_{name}": fmean(values) for name, values in solvers.items()}


# --- answers that are written (the paper's benchmarks) ----------------------------------------------------------------


def written(config: Config, loaded: Loaded, asked: Questions, results: Sequence[Result]) -> tuple[Units, list[str]]:
    """Equation 3: the model restates, thinks and answers; what stands behind the marker is compared."""
    from core.inference.chat import Chat
    from core.text.languages import name
    from papers.dip.method import extract, request

    native = config.think_in == "native"
    turns = [
        [{"role": "user", "content": request(result.text, q.options, name(config.pivot), native=native)}]
        for q, result in zip(asked, results, strict=True)
    ]
    said = Chat(*loaded).reply(turns, max_new_tokens=config.max_new_tokens)
    found = [extract(text, q.options) for q, text in zip(asked, said, strict=True)]
    right = {q.id: float(answer == wanted(q)) for q, answer in zip(asked, found, strict=True)}
    return {
        "accuracy": right,
        "answered": {q.id: float(answer is not None) for q, answer in zip(asked, found, strict=True)},
    }, said


def wanted(question: Question) -> str:
    """The right answer in the form of `extract`: numbers without separators and needless digits."""
    plain = question.answer.replace(",", "").strip()
    if question.options or not re.fullmatch(r"-?\d+(?:\.\d+)?", plain):
        return question.answer
    return f"{float(plain):g}"


if __name__ == "__main__":
    entrypoint(evaluate)
