"""Ask a tuned assistant about pictures and without them, in both languages.

    python -m papers.bimedix2.eval tiny --variant bimedix2
    python -m papers.bimedix2.eval tiny --variant bimedix2 --split dev
    python -m papers.bimedix2.eval paper --conversations mine.json --captions captions.json --out runs/mine

Answers about pictures are scored in two ways: as benchmarks of visual questions are (closed ones by accuracy, open ones
by recall), and relative to the right answer, as BiMed-MBench is, by a judge that counts words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import load_facts
from core.metrics.answers import exact_match, normalize_answer, token_f1
from core.text.scripts import in_script_share
from papers.bimedix2.config import Config

if TYPE_CHECKING:
    from papers.bimedix2.data import Question
    from papers.bimedix2.model import Assistant

Units = dict[str, dict[str, float]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Everything that the configuration's stages can answer."""
    from core.distributed import seed_everything
    from core.tasks import choices
    from core.tasks.samples import question
    from papers.bimedix2 import data, miniature
    from papers.bimedix2.model import FACTS, PARTS, Assistant
    from papers.bimedix2.train import untrained

    seed_everything(config.seed)
    # Mistakes in files are found before anything is loaded.
    pictured = [q for source in config.vqa for q in data.read_questions(source, config.images, config.limit)]
    samples = {source: data.read_exam(source, config.limit) for source in config.mcqa}
    facts = load_facts(run.artifact, FACTS, PARTS, "papers.bimedix2.train")
    assistant = Assistant.load(run.artifact) if "instruct" in config.stages else untrained(config, run)
    exams = {source: [question(assistant.tokenizer, one) for one in some] for source, some in samples.items()}
    metrics: dict[str, float] = {}
    if not config.language_model:
        pictured = miniature.questions(config)
        exams = {code: miniature.exam(config, code) for code in miniature.LANGUAGES}
        metrics |= {f"read_{code}": read(assistant, config, code) for code in miniature.LANGUAGES}
        metrics |= spoken(assistant, config, "en") | spoken(assistant, config, "ar")
        known = choices.trivial(every := [one for some in exams.values() for one in some], every)
        metrics |= {f"trivial_text_{name}": known[name] for name in ("chance", "longest", "shortest")}
    units: Units = {
        f"text_{name}": choices.answer(assistant.model, assistant.tokenizer, some, "token")
        for name, some in exams.items()
    }
    if units:
        metrics["text"] = fmean(fmean(right.values()) for right in units.values())
        units["text"] = {key: value for right in units.values() for key, value in right.items()}
    details: dict[str, Any] = {"training": {name: facts[name] for name in facts if name not in ("language", "vision")}}
    if pictured and "instruct" in config.stages:
        said = answers(assistant, pictured, config.max_new_tokens)
        units |= score(pictured, said)
        metrics |= corpus_scores(pictured, said)
        if not config.language_model:
            metrics["fitted"] = fitted(assistant, config)
            metrics |= solvers(config, pictured)
        # Those about the first picture of each manner, or the first ones.
        details["samples"] = [
            {"id": q.id, "language": q.language, "question": q.text, "answer": q.answer, "said": text}
            for q, text in list(zip(pictured, said, strict=True))[:50]
        ]
    return Measurement({name: fmean(values.values()) for name, values in units.items()} | metrics, units, details)


def answers(assistant: Assistant, asked: Sequence[Question], max_new_tokens: int) -> list[str]:
    """What is answered to questions about pictures."""
    from core.tasks.samples import dialogue
    from papers.bimedix2.method import PLACEHOLDER

    turns = [dialogue(f"{PLACEHOLDER}\n{question.text}") for question in asked]
    return assistant.reply(turns, [question.image for question in asked], max_new_tokens=max_new_tokens)


# --- visual questions ---------------------------------------------------------------------------------------------


def closed_accuracy(said: str, answer: str, language: str = "en") -> float:
    """1 where the answer is the reference or has it among its words in a row, else 0."""
    found, wanted = (f" {normalize_answer(text, language)} " for text in (said, answer))
    return float(exact_match(said, answer, language) or (wanted.strip() != "" and wanted in found))


def recall(said: str, answer: str, language: str = "en") -> float:
    """The share of the reference's words that the answer has."""
    found, wanted = (Counter(normalize_answer(text, language).split()) for text in (said, answer))
    return (found & wanted).total() / max(1, wanted.total())


def in_language(said: str, language: str) -> float:
    """1 where most letters are of the language's script; an answer without letters is in none."""
    return float(in_script_share(said, language) >= 0.5)


def corpus_scores(asked: Sequence[Question], said: Sequence[str]) -> dict[str, float]:
    """By language: BLEU-1 of all answers (unigrams, brevity penalty; sacrebleu), in [0, 1]."""
    from sacrebleu.metrics import BLEU

    sides: dict[str, list[tuple[str, str]]] = {}
    for question, output in zip(asked, said, strict=True):
        first, second = (normalize_answer(text, question.language) for text in (output, question.answer))
        sides.setdefault(f"bleu1_{question.language}", []).append((first, second))
    bleu = BLEU(max_ngram_order=1, tokenize="none", effective_order=False)
    return {
        name: bleu.corpus_score([first for first, _ in pairs], [[second for _, second in pairs]]).score / 100
        for name, pairs in sides.items()
    }


def score(asked: Sequence[Question], said: Sequence[str]) -> Units:
    """Each measure by language and question: `closed`, `open` (recall), `vqa` (both), `f1`, `language`, `relative`.

    `vqa` and `relative` without a language are of all.
    """
    units: Units = {}
    for question, output in zip(asked, said, strict=True):
        code, answer = question.language, question.answer
        kind, measure = ("closed", closed_accuracy) if question.closed else ("open", recall)
        right = measure(output, answer, code)
        values = {kind: right, "vqa": right, "f1": token_f1(output, answer, code)}
        values["language"] = in_language(output, code)
        values["relative"] = stand_in(output, answer, code) / stand_in(answer, answer, code)
        for name, value in values.items():
            units.setdefault(f"{name}_{code}", {})[question.id] = value
            if name in ("vqa", "relative"):
                units.setdefault(name, {})[f"{question.id}/{code}"] = value
    return units


# --- relative scores ----------------------------------------------------------------------------------------------


def stand_in(said: str, answer: str, language: str) -> float:
    """A judge without a model: 1 + 9 F1 of words, less 3 (but at least 1) where the language is another one."""
    grade = 1 + 9 * token_f1(said, answer, language)
    return grade if in_language(said, language) else max(1.0, grade - 3)


class Relative(NamedTuple):
    """Mean grade of the reference and of the assistant, the mean of their ratios in percent, and counts."""

    reference: float
    assistant: float
    relative: float
    judged: int
    failed: int


def verdict(text: str) -> tuple[float, float] | None:
    """The two grades in the first line of a judge's reply, separated by blanks or a comma; else None."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)(?:\s+|\s*[,/;]\s*)(\d+(?:\.\d+)?)\s*", text.strip().partition("\n")[0])
    grades = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    return grades if grades[0] > 0 else None


def relative_scores(replies: Iterable[str]) -> Relative:
    """BiMed-MBench's summary: 100 s_2 / s_1 of every question, averaged; not the ratio of the averages.

    Raises:
        ValueError: No reply has a verdict.
    """
    verdicts = [verdict(reply) for reply in replies]
    grades = [one for one in verdicts if one is not None]
    if not grades:
        raise ValueError("no reply has a verdict in its first line")
    first, second = (fmean(pair[side] for pair in grades) for side in (0, 1))
    return Relative(first, second, fmean(100 * b / a for a, b in grades), len(grades), len(verdicts) - len(grades))


# --- the miniature ------------------------------------------------------------------------------------------------


def read(assistant: Assistant, config: Config, language: str) -> float:
    """Whether the language model knows the tested facts in a language: statements as it has read them."""
    from core.tasks import choices
    from papers.bimedix2 import miniature

    begin = assistant.tokenizer.bos_token
    asked = [replace(q, context=f"{begin}{q.context}") for q in miniature.told(config, language)]
    return fmean(choices.answer(assistant.model, assistant.tokenizer, asked, "token").values())


def spoken(assistant: Assistant, config: Config, language: str) -> dict[str, float]:
    """What it says of pictures that are described in words: share of right answers, and of those in the language."""
    from papers.bimedix2 import miniature

    talks = miniature.described(config.seed + 1, (language,))[: 4 * config.limit or None]
    said = assistant.reply([turns[:1] for turns in talks], [None] * len(talks), max_new_tokens=config.max_new_tokens)
    right = fmean(recall(text, turns[1]["content"], language) for text, turns in zip(said, talks, strict=True))
    return {f"described_{language}": right, f"speaks_{language}": fmean(in_language(text, language) for text in said)}


def fitted(assistant: Assistant, config: Config) -> float:
    """Right answers to English questions about new pictures with findings that were trained."""
    from papers.bimedix2 import miniature

    asked = [question for question in miniature.questions(config, "train") if question.language == "en"]
    return fmean(score(asked, answers(assistant, asked, config.max_new_tokens))["vqa_en"].values())


def solvers(config: Config, asked: Sequence[Question]) -> dict[str, float]:
    """Relative score, over both languages, of answers that look at no picture: the commonest to a question of the kind
    in training, and the question itself."""
    from papers.bimedix2 import miniature

    common: dict[tuple[str, str], Counter[str]] = {}
    for question in miniature.questions(config, "train"):
        common.setdefault((question.language, question.id.split("/")[1]), Counter())[question.answer] += 1
    given = {
        "majority": [common[q.language, q.id.split("/")[1]].most_common(1)[0][0] for q in asked],
        "copy": [q.text for q in asked],
    }
    return {f"trivial_{name}": fmean(score(asked, said)["relative"].values()) for name, said in given.items()}


if __name__ == "__main__":
    entrypoint(evaluate)
