"""Put the three tasks to a model.

    python -m papers.orthography_semantics.eval tiny                        # a multilingual encoder, by cosine
    python -m papers.orthography_semantics.eval tiny --variant smollm2      # a decoder of one language, by likelihood
    python -m papers.orthography_semantics.eval paper                       # written replies to tasks 1 and 2

Metrics are named `<task>_<kind>`: shares of right answers, units `<English word>/<language>`, so that means are over
English words. False friends are also split into those that are written alike, `identical`, and those that are nearly
so, `near`; in sentences into those that make the `same` text and those whose texts `differ`, by a capital if no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.metrics.classification import macro_mean
from core.text.languages import name as language_name
from papers.orthography_semantics import method
from papers.orthography_semantics.config import Config
from papers.orthography_semantics.method import SAME_MEANING, Fits, Item

Units = dict[str, dict[str, float]]


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

    every, shown = (data.read_items(run.artifact / f"{name}.jsonl") for name in ("items", "shown"))
    keys = {one.key for one in every} if config.items else miniature.drawn(config.split, config.size, config.seed)
    asked = [one for one in every if one.key in keys]
    if config.answer == "written":
        return written(config, run, asked, shown)
    model = place(config, run)
    fits = cosines(model) if config.answer == "cosine" else likelihoods(model, config.dtype)
    scores = scored(config, fits, every, shown)
    sentences = not config.items and "sentence" in config.tasks
    units = mixed(config, fits, every, miniature.sentences(config.split)) if sentences else {}
    units |= unit_scores(asked, scores) | together(every, scores)
    metrics = {name: macro_mean(values) for name, values in units.items()} | by_language(units)
    metrics |= form(asked, scores) | trivial(asked)
    samples = [
        {"kind": one.kind, "pair": f"{one.english} / {one.word}", "same meaning": SAME_MEANING[one.kind]}
        | {name: side[one.kind, one.key] > 0
           for name, side in (("said", scores.truth), ("prefers its definition", scores.word)) if side}
        for one in asked[:: max(1, len(asked) // 12)]
    ]  # fmt: skip
    details = {"samples": samples, "pairs": pairs(asked, scores)}
    return Measurement(metrics, units, details)


def place(config: Config, run: Run) -> str:
    """Where the model is: the one that is named, or the toy."""
    from papers.orthography_semantics import miniature

    if config.model != "toy":
        return config.model
    return str(run.stage("toy", {"answer": config.answer}, partial(miniature.toy, config.answer)))


def cosines(model: str) -> Fits:
    """Cosines of contexts and choices under an encoder of sentences, which reads a text once."""
    from core.models.embedding import load_encoder

    encoder, unit = load_encoder(model), dict[str, Any]()

    def fits(contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[list[float]]:
        every = dict.fromkeys(text.strip() for text in (*contexts, *(one for row in choices for one in row)))
        if new := [text for text in every if text not in unit]:
            found = encoder(new).vectors
            unit.update(zip(new, found / found.norm(dim=1, keepdim=True), strict=True))
        return [
            [float(unit[context.strip()] @ unit[choice.strip()]) for choice in row]
            for context, row in zip(contexts, choices, strict=True)
        ]

    return fits


def likelihoods(model: str, dtype: str = "auto") -> Fits:
    """Log-likelihoods of choices under a decoder; what several of them begin with is read once."""
    from core.inference.scoring import score_choices
    from core.models import loading

    loaded = loading.load(model, dtype=dtype)

    def fits(contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[list[float]]:
        return [[one.log_likelihood for one in row] for row in score_choices(*loaded, contexts, choices)]

    return fits


def scored(config: Config, fits: Fits, asked: Sequence[Item], shown: Sequence[Item]) -> Scores:
    """Tasks 1 and 2 by cosine or by likelihood."""
    found = Scores()
    for language in sorted({one.language for one in asked}):
        own, others = ([one for one in items if one.language == language] for items in (asked, shown))
        name = language_name(language)

        def framed(words: Sequence[str], told: str) -> list[str]:
            number, named = config.seed, config.named
            return [method.frame(number, word, told, answer=config.answer, named=named) for word in words]

        if "label" in config.tasks and not config.by_definition:
            decoder = config.answer != "cosine"
            examples = method.demonstrations(others, config.k, config.seed) if decoder else []
            means = [one for one in others if one not in examples]
            if decoder:
                truth = method.truth(fits, [method.pair_prompt(one, name, examples) for one in (*own, *means)])
            else:
                english = framed([one.english for one in (*own, *means)], "English")
                truth = method.alike(fits, english, framed([one.word for one in (*own, *means)], name))
            bias = balanced(means, truth[len(own) :])
            found.truth.update({(one.kind, one.key): s - bias for one, s in zip(own, truth, strict=False)})
        for side, word, told in ((found.word, "word", name), (found.english, "english", "English")):
            if word not in config.tasks:
                continue
            contexts, empty = framed([getattr(one, word) for one in own], told), framed([""] * len(own), told)
            rows = method.gains(fits, contexts, empty, [definitions(one, word) for one in own], prior=config.prior)
            side.update({(one.kind, one.key): a - b for one, (a, b) in zip(own, rows, strict=True)})
    if config.by_definition:
        for one in asked:
            given = {
                definitions(one, side)[getattr(found, side)[one.kind, one.key] <= 0] for side in ("english", "word")
            }
            found.truth[one.kind, one.key] = 1.0 if len(given) == 1 else -1.0
    return found


def definitions(item: Item, side: str) -> tuple[str, str]:
    """The right definition of the English (`english`) or the other word (`word`), and the wrong one."""
    return (item.gloss, item.negative) if side == "word" else (item.english_gloss, item.english_negative)


def balanced(items: Sequence[Item], odds: Sequence[float]) -> float:
    """b of equation 1: the mean of the kinds' means, so that half of it is over true pairs."""
    kinds = {one.kind for one in items}
    return fmean(fmean(odd for one, odd in zip(items, odds, strict=True) if one.kind == kind) for kind in kinds)


def unit(key: str) -> str:
    """The path of a pair with the English word first, which is drawn with all its languages: `gift/de`."""
    return "/".join(reversed(key.split("/", 1)))


def unit_scores(asked: Sequence[Item], scores: Scores) -> Units:
    """Right or not, by task, kind and item."""
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
                units.setdefault(f"{name}_{one.kind}", {})[unit(one.key)] = float(value)
                if one.kind == "false":
                    units.setdefault(f"{name}_{written_as(one)}", {})[unit(one.key)] = float(value)
        if scores.truth:
            units.setdefault(f"truth_{one.kind}", {})[unit(one.key)] = scores.truth[place]
    friends, translations = units.get("truth_false", {}), units.get("truth_translation", {})
    if matched := [key for key in friends if key in translations]:  # the two other words of one English word
        units["false_truer"] = {key: friends[key] - translations[key] for key in matched}
    return units


def written_as(item: Item) -> str:
    """Both words `identical`, or `near`."""
    return "identical" if item.identical else "near"


def together(items: Sequence[Item], scores: Scores) -> Units:
    """Right in task 1 and right about both words in task 2, of every pair of the paper's kinds, for their correlation,
    and both `_within` kinds, less the mean of the kind; nothing where either was not asked."""
    if not (scores.truth and scores.word and scores.english):
        return {}
    places = {f"{unit(one.key)}/{one.kind}": (one.kind, one.key) for one in items if one.kind != "unrelated"}
    found = {
        "label": {name: float((scores.truth[at] > 0) == SAME_MEANING[at[0]]) for name, at in places.items()},
        "meaning": {name: float(scores.word[at] > 0 and scores.english[at] > 0) for name, at in places.items()},
    }
    for metric, values in [*found.items()]:
        kinds = {
            kind: fmean(values[name] for name, at in places.items() if at[0] == kind) for kind, _ in places.values()
        }
        found[f"{metric}_within"] = {name: values[name] - kinds[kind] for name, (kind, _) in places.items()}
    return found


def by_language(units: Units) -> dict[str, float]:
    """Accuracies of the two ways to be a false friend in each language, `word_near_de`."""
    found: dict[str, list[float]] = {}
    for name, values in units.items():
        if name.startswith(("label", "word", "mixed")) and name.endswith(("_identical", "_near", "_differ")):
            for path, value in values.items():
                found.setdefault(f"{name}_{path.split('/')[1]}", []).append(value)
    return {name: fmean(values) for name, values in found.items()}


def mixed(config: Config, fits: Fits, asked: Sequence[Item], frames: Sequence[Any]) -> Units:
    """Task 3, for encoders: whether the sense of the sentence's language is taken, for words of that language and of
    the other; of a word the mean over its two sentences, which differ on purpose."""
    friends = {one.key: one for one in asked if one.kind == "false"}
    rows = [
        (friends[frame.key], side, frame)
        for frame in frames if frame.key in friends
        for side in ("english", "word")
    ]  # fmt: skip
    contexts, empty, senses = [], [], []
    for one, side, frame in rows:
        empty.append(getattr(one, side))
        contexts.append(frame.text.format(empty[-1]))
        # The sense of the sentence's language first, which the false friend's two glosses are.
        senses.append((one.english_gloss, one.gloss)[:: 1 if frame.language == "en" else -1])
    found: dict[str, dict[str, list[float]]] = {}
    gains = method.gains(fits, contexts, empty, senses, prior=config.word_off)
    for (one, side, frame), (own, other) in zip(rows, gains, strict=True):
        congruent = (frame.language == "en") == (side == "english")
        name = f"{'own' if congruent else 'mixed'}_{side}"
        text = "same" if one.english == one.word else "differ"
        for metric in (name, f"{name}_{frame.level}", f"{name}_{text}"):
            found.setdefault(metric, {}).setdefault(unit(one.key), []).append(float(own > other))
        if name == "mixed_word":
            found.setdefault("other_sense", {}).setdefault(unit(one.key), []).append(float(own <= other))
    return {metric: {key: fmean(values) for key, values in by_key.items()} for metric, by_key in found.items()}


def form(asked: Sequence[Item], scores: Scores) -> dict[str, float]:
    """How far the labels of task 1 follow form: the slope within kinds, d' (equation 4), the mean likeness of each
    kind's forms, how often a translation is found truer than an unrelated pair, how much more often than form alone
    and guessing find it, and labels with the threshold midway between these two kinds, which knows the answers. Nothing
    where task 1 was not asked."""
    if not scores.truth:
        return {}
    by_kind: dict[str, list[tuple[float, float]]] = {kind: [] for kind in SAME_MEANING}
    for one in asked:
        by_kind[one.kind].append((method.similarity(one.english, one.word), scores.truth[one.kind, one.key]))
    cognates, friends = ([score for _, score in by_kind[kind]] for kind in ("cognate", "false"))
    found = {"form_slope": method.form_slope(by_kind), "d_prime": method.d_prime(cognates, friends)}
    found |= {f"form_{kind}": fmean(alike for alike, _ in pairs) for kind, pairs in by_kind.items() if pairs}
    for side, name in enumerate(("trivial_form_told_apart", "told_apart")):
        # As much apart in form, both: who tells these from each other knows what words of both languages mean.
        same, other = ([pair[side] for pair in by_kind[kind]] for kind in ("translation", "unrelated"))
        if same and other:
            found[name] = fmean(float(a > b) + 0.5 * (a == b) for a in same for b in other)
    if "told_apart" in found:
        found["told_beyond_form"] = found["told_apart"] - max(0.5, found["trivial_form_told_apart"])
        midway = fmean(fmean(score for _, score in by_kind[kind]) for kind in ("translation", "unrelated"))
        for kind, same_meaning in SAME_MEANING.items():
            if by_kind[kind]:
                right = [(score > midway) == same_meaning for _, score in by_kind[kind]]
                found[f"midway_{kind}"] = fmean(map(float, right))
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

    chat = Chat.load(config.model, dtype=config.dtype)
    prompts, wanted = prompts_of(config, asked, shown)
    replies = answers(chat.reply, list(prompts.values()), config.max_new_tokens)
    units: Units = {}
    for (task, kind, key), reply in zip(prompts, replies, strict=True):
        said = parse(reply, method.LABELS if task == "label" else ("1", "2"))
        units.setdefault(f"{task}_{kind}", {})[unit(key)] = float(said == wanted[task, kind, key])
        units.setdefault(f"answered_{task}", {})[f"{unit(key)}/{kind}"] = float(said is not None)
    metrics = {name: macro_mean(values) for name, values in units.items()}
    return Measurement(metrics, units, {"samples": replies[:12]})


def parse(text: str, answers: Sequence[str]) -> str | None:
    """The answer that a written reply names first, as a whole word; None where it names none."""
    found = re.search(rf"(?<!\w)(?:{'|'.join(map(re.escape, answers))})(?!\w)", text)
    return found[0] if found else None


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
        examples = method.demonstrations(others, config.k, config.seed)
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
