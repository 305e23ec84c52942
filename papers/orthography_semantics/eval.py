"""Put the three tasks to a model.

    python -m papers.orthography_semantics.eval tiny                   # SmolLM2-135M, by likelihood
    python -m papers.orthography_semantics.eval tiny --variant e5      # a multilingual encoder, by cosine
    python -m papers.orthography_semantics.eval paper                  # written replies; task 3 is written to a file

Metrics are named `<task>_<kind>`: shares of right answers, units `<language>/<English word>`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.metrics.classification import macro_mean
from core.text.languages import name as language_name
from papers.orthography_semantics import method
from papers.orthography_semantics.config import Config
from papers.orthography_semantics.method import SAME_MEANING, Item, Logliks

if TYPE_CHECKING:
    from core.models.loading import Loaded

Units = dict[str, dict[str, float]]
# Pairs of each kind and language over which the mean of equation 1 is taken.
_MEAN_OVER = 5


@dataclass(frozen=True)
class Scores:
    """What was measured of each item, by its kind and key.

    Attributes:
        truth: s of equation 1; what is not asked is empty.
        word: g of the right definition less g of the wrong one, for the word of the other language.
        english: The same for the English word.
    """

    truth: dict[tuple[str, str], float] = field(default_factory=dict)
    word: dict[tuple[str, str], float] = field(default_factory=dict)
    english: dict[tuple[str, str], float] = field(default_factory=dict)


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracy by task, kind and language, how far form decides, and what solvers that know no word reach."""
    from papers.orthography_semantics import data, miniature

    asked, shown = (data.read_items(run.artifact / f"{name}.jsonl") for name in ("items", "shown"))
    if config.answer == "written":
        return written(config, run, asked, shown)
    if config.encoder:
        scores, units = encoded(config, asked, shown), Units()
    else:
        loglik = likelihoods(load(config, run))
        scores = scored(config, loglik, asked, shown)
        sentences = not config.items and "sentence" in config.tasks
        units = mixed(loglik, asked, miniature.sentences(config.split)) if sentences else {}
    units |= unit_scores(asked, scores)
    metrics = {name: macro_mean(values) for name, values in units.items()}
    metrics |= form(asked, scores) | trivial(asked)
    samples = [
        {"kind": one.kind, "pair": f"{one.english} / {one.word}", "same meaning": SAME_MEANING[one.kind]}
        | {name: side[one.kind, one.key] > 0
           for name, side in (("said", scores.truth), ("prefers its definition", scores.word)) if side}
        for one in asked[:: max(1, len(asked) // 12)]
    ]  # fmt: skip
    details = {"samples": samples, "pairs": pairs(asked, scores)}
    return Measurement(metrics, units, details)


def load(config: Config, run: Run) -> Loaded:
    """The language model with its tokenizer."""
    from core.models import loading
    from papers.orthography_semantics import miniature

    name = str(run.stage("toy", {}, miniature.toy)) if config.model == "toy" else config.model
    return loading.load(name, dtype=config.dtype)


def likelihoods(loaded: Loaded) -> Logliks:
    """Log-likelihoods of choices under a model; what several of them begin with is read once."""
    from core.inference.scoring import score_choices

    def loglik(contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[list[float]]:
        return [[one.log_likelihood for one in row] for row in score_choices(*loaded, contexts, choices)]

    return loglik


def scored(config: Config, loglik: Logliks, asked: Sequence[Item], shown: Sequence[Item]) -> Scores:
    """Tasks 1 and 2 by likelihood."""
    found = Scores()
    for language in sorted({one.language for one in asked}):
        own, others = ([one for one in items if one.language == language] for items in (asked, shown))
        name = language_name(language)
        if "label" in config.tasks:
            kinds = ("false", "cognate") if config.shown == "alike" else tuple(SAME_MEANING)
            examples = method.demonstrations(others, config.k, config.seed, kinds)  # type: ignore[arg-type]
            rest = [one for one in others if one not in examples]
            means = [one for kind in SAME_MEANING for one in [r for r in rest if r.kind == kind][:_MEAN_OVER]]
            prompts = [method.pair_prompt(one, name, examples) for one in (*own, *means)]
            odds = method.truth(loglik, prompts)
            bias = balanced(means, odds[len(own) :]) if config.bias else 0.0
            found.truth.update({(one.kind, one.key): odd - bias for one, odd in zip(own, odds, strict=False)})
        for side, word, told in ((found.word, "word", name), (found.english, "english", "English")):
            if word not in config.tasks:
                continue
            senses = [definitions(one, word) for one in own]
            contexts, empty = (
                [method.frame(config.seed, text, told, named=config.named) for text in texts]
                for texts in ([getattr(one, word) for one in own], [""] * len(own))
            )
            rows = method.gains(loglik, contexts, empty, senses, prior=config.prior)
            side.update({(one.kind, one.key): a - b for one, (a, b) in zip(own, rows, strict=True)})
    return found


def definitions(item: Item, side: str) -> tuple[str, str]:
    """The right definition of the English (`english`) or the other word (`word`), and the wrong one."""
    return (item.gloss, item.negative) if side == "word" else (item.english_gloss, item.english_negative)


def balanced(items: Sequence[Item], odds: Sequence[float]) -> float:
    """b of equation 1: the mean of the kinds' means, so that half of it is over true pairs."""
    kinds = {one.kind for one in items}
    return fmean(fmean(odd for one, odd in zip(items, odds, strict=True) if one.kind == kind) for kind in kinds)


def encoded(config: Config, asked: Sequence[Item], shown: Sequence[Item]) -> Scores:
    """Tasks 1 and 2 by the cosine of vectors: of the two words, of a word and its definitions."""
    from core.models.embedding import load_encoder

    encoder = load_encoder(config.model)

    def vectors(texts: Sequence[str]) -> Any:
        return encoder(list(texts)).vectors

    def named(word: str, language: str) -> str:
        return f"{language}: {word}" if config.named else word

    found = Scores()
    every = [*asked, *shown]
    english = vectors([named(one.english, "English") for one in every])
    words = vectors([named(one.word, language_name(one.language)) for one in every])
    alike = [float(a @ b / a.norm() / b.norm()) for a, b in zip(english, words, strict=True)]
    for language in {one.language for one in asked}:
        others = [(one, odd) for one, odd in zip(every, alike, strict=True) if one.language == language]
        mean = balanced(*zip(*[pair for pair in others if pair[0] in shown], strict=True)) if config.bias else 0.0
        found.truth.update({(one.kind, one.key): odd - mean for one, odd in others if one in asked})
    for side, own, word in ((found.word, words, "word"), (found.english, english, "english")):
        right, wrong = (vectors([definitions(one, word)[place] for one in asked]) for place in (0, 1))
        for one, w, a, b in zip(asked, own[: len(asked)], right, wrong, strict=True):
            side[one.kind, one.key] = float(w @ a / a.norm() - w @ b / b.norm()) / float(w.norm())
    return found


def unit_scores(asked: Sequence[Item], scores: Scores) -> Units:
    """Right or not, by task, kind and item; over all kinds of task 1 and both words of task 2 for their correlation."""
    units: Units = {}
    for one in asked:
        place = one.kind, one.key
        right = {
            "label": (scores.truth[place] > 0) == SAME_MEANING[one.kind] if scores.truth else None,
            "word": scores.word[place] > 0 if scores.word else None,
            "english": scores.english[place] > 0 if scores.english else None,
        }
        for name, value in right.items():
            if value is not None:
                units.setdefault(f"{name}_{one.kind}", {})[one.key] = float(value)
        if scores.truth:
            units.setdefault(f"truth_{one.kind}", {})[one.key] = scores.truth[place]
        if one.kind != "unrelated" and None not in right.values():
            units.setdefault("label", {})[f"{one.key}/{one.kind}"] = float(bool(right["label"]))
            units.setdefault("meaning", {})[f"{one.key}/{one.kind}"] = float(bool(right["word"] and right["english"]))
    friends, translations = units.get("truth_false", {}), units.get("truth_translation", {})
    if matched := [key for key in friends if key in translations]:  # the two other words of one English word
        units["false_truer"] = {key: friends[key] - translations[key] for key in matched}
    return units


def mixed(loglik: Logliks, asked: Sequence[Item], frames: Sequence[Any]) -> Units:
    """Task 3: whether the sense of the sentence's language is taken, for words of that language and of the other."""
    friends = {one.key: one for one in asked if one.kind == "false"}
    rows = [
        (friends[frame.key], side, frame)
        for frame in frames if frame.key in friends
        for side in ("english", "word")
    ]  # fmt: skip
    contexts, empty, senses = [], [], []
    for one, side, frame in rows:
        word = getattr(one, side)
        contexts.append(method.SENSE.format(sentence=frame.text.format(f"“{word}”"), word=word))
        empty.append(method.SENSE.format(sentence="", word="").strip())
        # The sense of the sentence's language first, which the false friend's two glosses are.
        senses.append((one.english_gloss, one.gloss)[:: 1 if frame.language == "en" else -1])
    units: Units = {}
    gains = method.gains(loglik, contexts, empty, senses)
    for (one, side, frame), (own, other) in zip(rows, gains, strict=True):
        congruent = (frame.language == "en") == (side == "english")
        name = f"{'own' if congruent else 'mixed'}_{side}"
        units.setdefault(name, {})[f"{one.key}/{frame.level}"] = float(own > other)
        units.setdefault(f"{name}_{frame.level}", {})[one.key] = float(own > other)
        if name == "mixed_word":
            units.setdefault("other_sense", {})[f"{one.key}/{frame.level}"] = float(own <= other)
    return units


def form(asked: Sequence[Item], scores: Scores) -> dict[str, float]:
    """How far the labels of task 1 follow form: the slope within kinds, d' (equation 4), and how often a cognate is
    found truer than an unrelated pair (guessing: 0.5). Nothing where task 1 was not asked."""
    if not scores.truth:
        return {}
    by_kind: dict[str, list[tuple[float, float]]] = {}
    for one in asked:
        by_kind.setdefault(one.kind, []).append(
            (method.similarity(one.english, one.word), scores.truth[one.kind, one.key])
        )
    cognates, friends, unrelated = (
        [score for _, score in by_kind.get(kind, ())] for kind in ("cognate", "false", "unrelated")
    )
    found = {"form_slope": method.form_slope(by_kind), "d_prime": method.d_prime(cognates, friends)}
    if unrelated:  # alike in both against apart in both: who labels at all tells these from each other
        found["told_apart"] = fmean(float(a > b) + 0.5 * (a == b) for a in cognates for b in unrelated)
    return found


def trivial(asked: Sequence[Item]) -> dict[str, float]:
    """Solvers that know no word: task 1 by form alone; task 2 by the longer definition."""
    found = {}
    for kind, same in SAME_MEANING.items():
        if own := [one for one in asked if one.kind == kind]:  # the authors' tables have no unrelated pairs
            alike = [method.similarity(one.english, one.word) > 0.5 for one in own]
            found[f"trivial_form_label_{kind}"] = fmean(float(one == same) for one in alike)
            found[f"trivial_longer_word_{kind}"] = fmean(float(len(one.gloss) > len(one.negative)) for one in own)
    return found


def pairs(asked: Sequence[Item], scores: Scores) -> list[dict[str, Any]]:
    """Likeness of form and s of each pair, for the figure."""
    if not scores.truth:
        return []
    return [
        {"kind": one.kind, "pair": f"{one.english} / {one.word}", "form": method.similarity(one.english, one.word),
         "truth": scores.truth[one.kind, one.key]}
        for one in asked
    ]  # fmt: skip


# --- written replies (the paper) --------------------------------------------------------------------------------------


def written(config: Config, run: Run, asked: Sequence[Item], shown: Sequence[Item]) -> Measurement:
    """Tasks 1 and 2 by what a chat model replies; replies that name no answer are wrong and are counted."""
    from core.inference.chat import Chat

    chat = Chat(*load(config, run))
    prompts, wanted = prompts_of(config, asked, shown)
    replies = answers(chat.reply, list(prompts.values()), config.max_new_tokens)
    units: Units = {}
    for (task, kind, key), reply in zip(prompts, replies, strict=True):
        said = method.parse(reply, method.LABELS if task == "label" else ("1", "2"))
        units.setdefault(f"{task}_{kind}", {})[key] = float(said == wanted[task, kind, key])
        units.setdefault(f"answered_{task}", {})[f"{key}/{kind}"] = float(said is not None)
    metrics = {name: macro_mean(values) for name, values in units.items()}
    return Measurement(metrics, units, {"samples": replies[:12]})


def answers(reply: Callable[..., list[str]], prompts: Sequence[str], longest: int) -> list[str]:
    """Replies to prompts, each a user's turn."""
    return reply([[{"role": "user", "content": prompt}] for prompt in prompts], max_new_tokens=longest)


def prompts_of(
    config: Config, asked: Sequence[Item], shown: Sequence[Item]
) -> tuple[dict[tuple[str, str, str], str], dict[tuple[str, str, str], str]]:
    """Prompts and right answers by task, kind and key; a coin puts the right definition first or second."""
    from random import Random

    prompts: dict[tuple[str, str, str], str] = {}
    wanted: dict[tuple[str, str, str], str] = {}
    coin = Random(config.seed)
    for language in sorted({one.language for one in asked}):
        own, others = ([one for one in items if one.language == language] for items in (asked, shown))
        name = language_name(language)
        kinds = ("false", "cognate") if config.shown == "alike" else ("false", "cognate", "translation")
        examples = method.demonstrations(others, config.k, config.seed, kinds)  # type: ignore[arg-type]
        for one in own:
            prompts["label", one.kind, one.key] = method.pair_prompt(one, name, examples)
            wanted["label", one.kind, one.key] = str(SAME_MEANING[one.kind])
        for side, told in (("english", "English"), ("word", name)):
            for one in own:
                first = coin.randint(1, 2)
                text = meaning_prompt(getattr(one, side), told, definitions(one, side), first)
                prompts[side, one.kind, one.key], wanted[side, one.kind, one.key] = text, str(first)
    return prompts, wanted


def meaning_prompt(word: str, language: str, senses: Sequence[str], first: int) -> str:
    """What is asked in task 2, in our words of the official prompt.

    Args:
        word: The word.
        language: Its language.
        senses: The right definition and the wrong one.
        first: 1 puts the right one first, 2 second.
    """
    one, two = senses if first == 1 else senses[::-1]
    return (
        f"Which of two definitions is that of the word? Answer with its number.\n\nThe word {word} in {language}\n"
        f"1. {one}\n2. {two}\nNumber:"
    )


if __name__ == "__main__":
    entrypoint(evaluate)
