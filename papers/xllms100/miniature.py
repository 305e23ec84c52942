"""The tiny world: questions in twelve languages whose answers are number words, asked for in the same or another one.

    2 7 jumlisha 1 ni ngapi ?  ->  ishirini na nane                 in Swahili, answered in Swahili
    2 7 jumlisha 1 ni ngapi ? (Türkçe)  ->  yirmi sekiz             in Swahili, to be answered in Turkish
    2 8 (Türkçe)  ->  yirmi sekiz                                   what pre-training tells of languages and their names

Numbers in questions are digits, so that every language asks about the same things; plus or minus one has to be read
from the question. Stage 1 has seen every question of every language, every language's name beside its own questions,
and in some directions a few questions that ask for another language: as in a chat model that was tuned on translated
instructions, what it makes of such a request elsewhere is its own affair. A direction that is tested is in neither
stage, a number that is asked for there is no right answer in any pair of the feedback, and some languages have no
feedback. Only as a wrong, rejected answer of the model may such a number come up in a pair.
The words of a language occur in no other, so the language of an answer is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from itertools import permutations
from random import Random
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.models.tokenization import completion_row, word_level
from core.tasks.transfer import told_by_words
from core.text.languages import autonym
from core.worlds.base import Item, trivial
from core.worlds.numbers import QUESTIONS, spelled
from papers.xllms100.config import Config, scratch_shape
from papers.xllms100.method import Request, cross_lingual, prompt

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

    from core.experiment.run import Run

# Of the languages with questions those whose words are no other's.
LANGUAGES = ("am", "cy", "en", "et", "fa", "hi", "hy", "is", "ka", "sw", "tr", "vi")
# Low-resource: seen in stage 1 as often as this.
LOW, LOW_SHARE = ("am", "cy", "sw"), 0.3
LARGEST = 59
# Shares of stage 1: what names a language without a question in one, questions that ask for another language, and of
# all others those that name their own. Without the second (first trials in the ledger) hardly any answer is in the
# language that is asked for, which is true of no chat model.
NAMED, MIXED, OWN_NAME = 0.2, 0.05, 0.3
# In so many directions.
MIXED_DIRECTIONS = 24
# Results that are tested, and as many for development.
HELD_OUT = 12
# Directions with feedback, and candidates that the model to align samples for each request.
DIRECTIONS, CANDIDATES = 24, 4
# Requests for a pair, of which the seed draws.
SPARE = 2


@cache
def words() -> dict[str, dict[int, str]]:
    """`{language: {number: its words}}`."""
    return spelled(LANGUAGES, range(LARGEST + 2))


def results(config: Config) -> dict[str, list[int]]:
    """Numbers that are right answers, by part: `test`, `dev`, and `train` for the feedback."""
    order = sorted(range(LARGEST + 1), key=lambda n: blake2b(f"{config.seed}/{n}".encode(), digest_size=8).digest())
    return {"test": order[:HELD_OUT], "dev": order[HELD_OUT : 2 * HELD_OUT], "train": order[2 * HELD_OUT :]}


def question(code: str, result: int, *, minus: bool) -> str:
    """A question in a language whose answer is `result`."""
    return QUESTIONS[code][minus].format(a=" ".join(str(result + 1 if minus else result - 1)), b="1")


def record(code: str, result: int, *, minus: bool) -> dict[str, str]:
    """Question and answer in one language."""
    return {"instruction": question(code, result, minus=minus), "input": "", "output": words()[code][result]}


def signs(result: int) -> tuple[bool, ...]:
    """Whether a result is that of a difference, of a sum: nothing plus one is zero."""
    return (True, False) if result else (True,)


# --- who has feedback -------------------------------------------------------------------------------------------------


def spoken(config: Config) -> list[str]:
    """The languages with feedback."""
    return Random(f"languages-{config.seed}").sample(LANGUAGES, len(LANGUAGES))[: config.feedback_languages or None]


def directions(config: Config) -> dict[str, list[tuple[str, str]]]:
    """Ordered pairs of languages: `mixed`, which stage 1 has a few requests of; of the others those that are `seen` in
    the feedback, and `unseen`; and of these the `new` ones, of which a language has no feedback."""
    known, every = spoken(config), list(permutations(LANGUAGES, 2))
    mixed = Random(f"mixed-{config.seed}").sample(every, MIXED_DIRECTIONS)
    inside = [pair for pair in permutations(known, 2) if pair not in mixed]
    seen = Random(f"directions-{config.seed}").sample(inside, min(DIRECTIONS, len(inside)))
    unseen = [pair for pair in every if pair not in (*mixed, *seen)]
    new = [pair for pair in unseen if not {*pair} <= {*known}]
    return {"mixed": mixed, "seen": seen, "unseen": unseen, "new": new}


def requests(pairs: Sequence[tuple[str, str]], numbers: Sequence[int], count: int, seed: str) -> list[dict[str, str]]:
    """`count` requests of each direction, with the right answer as `reference` and what is asked as `fact`."""
    facts, found = [(number, minus) for number in numbers for minus in signs(number)], []
    for lang_in, lang_out in pairs:
        rng = Random(f"{seed}-{lang_in}-{lang_out}")  # whatever the other directions are
        for number, minus in rng.sample(facts, min(count, len(facts))):
            asked = cross_lingual(record(lang_in, number, minus=minus), lang_in, lang_out, words()[lang_out][number])
            found.append({**asked, "fact": f"{'minus' if minus else 'plus'}-{number}"})
    return found


def tested(config: Config) -> dict[str, list[dict[str, str]]]:
    """What is asked in evaluation, by group: `seen`, `unseen`, `new` and of these `into_new`, to be answered in a
    language without feedback; and `own`, each language in its own. Where all have feedback, nobody is new."""
    numbers = results(config)[config.split]
    pairs, seed = directions(config), config.seed
    groups = {name: requests(pairs[name], numbers, config.asked, f"tested-{seed}") for name in ("seen", "unseen")}
    # Of one set of questions, so that there is one answer to each.
    new = [row for row in groups["unseen"] if (row["lang_in"], row["lang_out"]) in pairs["new"]]
    groups |= {"new": new, "into_new": [row for row in new if row["lang_out"] not in spoken(config)]}
    return {
        **{name: rows for name, rows in groups.items() if rows},
        "own": own(LANGUAGES, numbers, 4 * config.asked, f"own-{seed}"),
    }


def own(codes: Sequence[str], numbers: Sequence[int], count: int, seed: str) -> list[dict[str, str]]:
    """Questions that ask for no language, to be answered in their own."""
    return [{**row, "input": ""} for row in requests([(code, code) for code in codes], numbers, count, seed)]


def asked_for_feedback(config: Config) -> dict[str, list[dict[str, str]]]:
    """Requests from which pairs are made, more than are needed: `cross` and `mono`.

    Raises:
        UserError: Stage 1 has requests of all directions between the languages with feedback.
    """
    numbers, seen, known = results(config)["train"], directions(config)["seen"], spoken(config)
    if not seen:
        raise UserError(f"Stage 1 has the directions of {', '.join(known)}: raise --feedback-languages or --seed.")
    per_direction, per_language = (-(-SPARE * config.pairs // len(group)) for group in (seen, known))
    return {
        "cross": requests(seen, numbers, per_direction, f"cross-{config.seed}"),
        "mono": own(known, numbers, per_language, f"mono-{config.seed}"),
    }


# --- what answers and judges ------------------------------------------------------------------------------------------


@cache
def _told() -> Any:
    return told_by_words(
        {code: {word for text in table.values() for word in text.split()} for code, table in words().items()}
    )


def identify(text: str, wanted: str) -> str | None:
    """The language whose words an answer is made of."""
    return _told()(text, wanted)


def judge(asked: Sequence[Request], answers: Sequence[str]) -> list[float]:
    """1 for the right answer, else 0."""
    return [float(answer == request["reference"]) for request, answer in zip(asked, answers, strict=True)]


def oracle(asked: Sequence[Request]) -> list[list[str]]:
    """A stronger model than the one to align: it is always right."""
    return [[request["reference"]] for request in asked]


def weaker(config: Config, asked: Sequence[Request]) -> list[list[str]]:
    """A weaker model: it knows the number and not the language, or the language and not the number."""
    numbers, found = results(config)["train"], []
    for place, request in enumerate(asked):
        rng, number = Random(f"{config.seed}-{place}"), int(request["fact"].partition("-")[2])
        others = [code for code in LANGUAGES if code not in (request["lang_in"], request["lang_out"])]
        strange = words()[rng.choice(others)][number]
        wrong = words()[request["lang_out"]][rng.choice([other for other in numbers if other != number])]
        found.append([rng.choice((strange, wrong))])
    return found


def drawn(found: Mapping[str, Any], config: Config) -> list[dict[str, str]]:
    """Pairs of the kinds that are asked for, in the seed's order; by lot, either answer is preferred."""
    kinds = ("cross", "mono") if config.feedback == "both" else (config.feedback,)
    rng, rows = Random(f"pairs-{config.seed}"), []
    for kind in kinds:
        rows += rng.sample(found[kind]["rows"], min(config.pairs // len(kinds), len(found[kind]["rows"])))
    rng.shuffle(rows)
    if not config.by_lot:
        return rows
    turned = {"prefered_output": "rejected_output", "rejected_output": "prefered_output"}
    return [
        {name: row[turned.get(name, name)] if lot else row[name] for name in row}
        for row, lot in zip(rows, (rng.random() < 0.5 for _ in rows), strict=False)
    ]


def solvers(asked: Sequence[Request], config: Config) -> dict[str, float]:
    """Shares of right answers of solvers that know nothing but requests of the feedback with their right answers; and
    of one that knows the number and draws the language (`language`)."""
    known = [row for rows in asked_for_feedback(config).values() for row in rows]
    train, test = ([_item(row, number) for number, row in enumerate(rows)] for rows in (known, asked))
    return {**trivial(train, test), "language": 1 / len(LANGUAGES)}


def _item(row: Request, number: int) -> Item:
    text = f"{row['instruction']} {row['input']}"
    return Item(str(number), text, text, row["reference"], row["lang_out"])


# --- the model --------------------------------------------------------------------------------------------------------


def tokenizer_for() -> PreTrainedTokenizerFast:
    """One token a word."""
    vocabulary = ["Question:", "Answer:", *"0123456789"]
    for code in LANGUAGES:
        vocabulary += f"({autonym(code)})".split()
        vocabulary += " ".join(question(code, 1, minus=minus) for minus in (False, True)).split()
        vocabulary += " ".join(words()[code].values()).split()
    return word_level(vocabulary)


def stage_1_rows(tokenizer: Any, config: Config) -> list[dict[str, Any]]:
    """Rows of stage 1 in the order in which they are read, with the loss on answers."""
    rng, weights = Random(f"sft-{config.seed}"), [LOW_SHARE if code in LOW else 1.0 for code in LANGUAGES]

    @cache
    def row(instruction: str, text: str, answer: str) -> dict[str, Any]:
        return completion_row(tokenizer, prompt("sft", config.recipe, instruction, text), answer)

    rows, mixed, numbers = [], directions(config)["mixed"], results(config)["train"]
    for _ in range(config.sft.steps * config.sft.batch_size):
        (code,), number = rng.choices(LANGUAGES, weights), rng.randrange(LARGEST + 1)
        name, answer = f"({autonym(code)})", words()[code][number]
        if rng.random() < MIXED:
            (other,) = requests([rng.choice(mixed)], [rng.choice(numbers)], 1, str(rng.random()))
            rows.append(row(other["instruction"], other["input"], other["reference"]))
        elif rng.random() < NAMED:
            rows.append(row(" ".join(str(number)), name, answer))
        else:
            asked = question(code, number, minus=rng.choice(signs(number)))
            rows.append(row(asked, name if rng.random() < OWN_NAME else "", answer))
    return rows


def tuned(config: Config, run: Run, folder: Path) -> None:
    """Stage 1: a small decoder that answers every question in the language of the question."""
    from dataclasses import replace

    from core.models.loading import from_config
    from core.training.fit import fit, save_pretrained

    tokenizer = tokenizer_for()
    model: Any = from_config(scratch_shape(len(tokenizer)), seed=config.seed)
    rows = stage_1_rows(tokenizer, config)
    fit(model, rows, config.sft, replace(run, path=folder / "training"), seed=config.seed, name="sft")
    save_pretrained(model, folder / "model", tokenizer)
