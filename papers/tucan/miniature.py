"""The miniature: a small chat model that has read two languages and never a function call, and what it is asked.

The base talks Bulgarian and English: it says in words what it is asked for, tells which of some forms (JSON Schema) a
request is for and which of their fields it fills, writes values as JSON, knows currencies of countries. It has read
every wording and every name, as any chat model has, but no request of the test: the wordings of the test come with
values of training, or names that nobody bears, the values of the test in wordings of training, never in its own words.
What tuning shows is another matter: wordings and open values of the test are new to it, and two functions.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from core.metrics.calls import undescribed
from core.models.tokenization import chat_rows, train_bpe
from core.tasks.choices import Question, from_items
from core.tasks.samples import dialogue
from core.worlds import names, requests
from core.worlds.base import PARTS, Item, Part, split
from core.worlds.requests import Catalogue, fill
from papers.tucan.config import Config
from papers.tucan.data import Chat, build_dataset, load_catalogue, load_prompt
from papers.tucan.method import BALANCED, CALLS, MIX, conversation, render_call

if TYPE_CHECKING:
    from pathlib import Path

    from core.experiment.run import Run

LANGUAGES = ("bg", "en")
# Functions that are tuned on and asked for, and those that training neither asks for nor offers.
KNOWN = ("get_weather", "get_forecast", "search_flight", "search_train", "set_timer", "set_alarm", "play_music",
         "find_concert")  # fmt: skip
UNSEEN = ("get_air", "search_bus")
# Test items of a function in a scenario, and requests of a wording that the base is to say in its own words.
PER_CELL, PER_WORDING = 4, 8
# At most so many further functions an item; every so many-th item where no function fits is a question from knowledge.
DISTRACTORS, GENERAL = 1, 2
FRAMES: dict[tuple[str, names.Relation], Sequence[str]] = {
    ("bg", "currency"): ("Каква е валутата на {name}?",),
    ("en", "currency"): ("What is the currency of {name}?",),
}
# Of the territories; the base does not read of the others, and tuning asks about the last part alone.
SHARES = {"dev": 0.25, "test": 0.25, "train": 0.15}
# What the base reads, in parts: requests in other words, forms that they are for, their values as JSON, facts.
KINDS = {"reply": 32, "form": 38, "values": 18, "fact": 12}
# Share of the names that the base reads which nobody bears, so that they can only be copied.
MADE_UP = 0.3
ROLES = ("<|user|>", "<|assistant|>")
# Tokens of their own, as in the tokenizers of models that have read much of it.
JSON = (
    '{"name":"', '","parameters":{"type":"object","properties":{"', '":{"type":"string"}', '":{"type":"integer"}',
    ',"required":["', '"]}}', '{"name": "', '", "arguments": {"', '": "', '", "', '": ', '"}}\n```', "}}\n```",
    "```tool_call", "```json",
)  # fmt: skip
TEMPLATE = "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + eos_token }}{% endfor %}" + (
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@cache
def facts() -> dict[str, list[Item]]:
    """Currencies of territories, as questions with answers, by part; a territory is one class in both languages."""
    items = names.facts(LANGUAGES, ("currency",), FRAMES)
    asked = Counter(item.cls for item in items)
    return split([item for item in items if asked[item.cls] == len(LANGUAGES)], 0, SHARES)


@cache
def catalogue() -> Catalogue:
    """Ten functions; of the cities those whose names are one short word in both languages."""
    found = load_catalogue()
    tables = [found.values[code] for code in LANGUAGES]
    for slot in ("city", "origin", "destination"):
        short = [key for key in tables[0][slot] if all(re.fullmatch(r"\w{2,9}", table[slot][key]) for table in tables)]
        for table in tables:
            table[slot] = {key: table[slot][key] for key in short}
    return found


# --- what is trained and asked --------------------------------------------------------------------------------------


def training_items(config: Config) -> list[dict[str, Any]]:
    """Items to tune on."""
    languages = LANGUAGES if config.languages == "all" else (config.languages,)
    items = build_dataset(
        catalogue(), config.examples, languages=languages, mix=MIX if config.negatives else CALLS, seed=config.seed,
        distractors=DISTRACTORS, withheld=UNSEEN,
    )  # fmt: skip
    for number, item in enumerate(items):
        place, general = divmod(number // len(languages), GENERAL)
        if item["scenario_type"] == "irrelevant_question_with_functions" and not general:
            known = [fact for fact in facts()["train"] if fact.language == item["language"]]
            fact = known[place % len(known)]
            item |= {"user_message": fact.prompt, "answer": fact.answer, "id": f"currency/{item['id']}"}
    return items


def scored_items(config: Config) -> list[dict[str, Any]]:
    """Bulgarian items of the part that is measured: every known function alike in every scenario, calls of others."""
    options: Any = {"languages": ["bg"], "part": config.split, "seed": config.seed, "distractors": DISTRACTORS}
    counts = (len(KNOWN) * len(BALANCED) * PER_CELL, len(UNSEEN) * len(CALLS) * PER_CELL)
    known = build_dataset(catalogue(), counts[0], mix=BALANCED, withheld=UNSEEN, **options)
    new = build_dataset(catalogue(), counts[1], mix=CALLS, tools=UNSEEN, **options)
    return _every(known, config.limit) + [{**item, "unseen": True} for item in _every(new, config.limit)]


def _every(items: list[Any], limit: int) -> list[Any]:
    return items[:: max(1, len(items) // limit)] if limit else items


def knowledge(config: Config) -> list[Question]:
    """What the base knows and tuning never mentions: Bulgarian questions about countries, with four answers."""
    items = [item for item in facts()[config.split] if item.language == "bg"]
    asked = from_items(items, seed=config.seed, group=lambda item: "currency")
    # `<language>/<relation>/<territory>/...`: a territory is what is drawn.
    kept = [replace(q, id=q.id.split("/")[2], choices=tuple(map(str.strip, q.choices))) for q in asked]
    return _every(kept, config.limit)


def in_words(config: Config) -> list[tuple[str, str, str]]:
    """Bulgarian requests without functions, to see whether the base understands: path, request, what it should say."""
    found, rng, known = [], random.Random(f"in words {config.seed}"), catalogue()
    for name in KNOWN:
        for template, number in itertools.product(known.templates(name, config.split), range(PER_WORDING)):
            values = known.values_for(name, template, config.split, rng)
            request, reply = known.request(name, template, values, "bg"), known.reply(name, values, "bg")
            found.append((f"{name}/{template}/{number}", request, reply))
    return _every(found, config.limit)


# --- solvers that understand nothing ----------------------------------------------------------------------------------


def neighbour(config: Config, item: Mapping[str, Any]) -> str:
    """What was right for the training request with most words in common, with the words that no wording has."""
    known = _requests(config.seed, config.examples)
    return _said(requests.neighbour(item["user_message"], known, _wordings(), item["functions"]))


def rule(item: Mapping[str, Any]) -> str:
    """The function of the nearest wording, filled with the numbers and capitalised words of the request."""
    return _said(requests.rule(item["user_message"], _wordings(), item["functions"]))


def _said(called: requests.Called | None) -> str:
    return render_call(*called) if called else ""


@cache
def _requests(seed: int, examples: int) -> requests.Known:
    """Words of every Bulgarian training request, with the function that is called, if one is."""
    own = [item for item in training_items(Config(seed=seed, examples=examples)) if item["language"] == "bg"]
    called = [one["expected_behavior"].get("expected_function", "") for one in own]
    return [(set(requests.words(one["user_message"])), name) for one, name in zip(own, called, strict=True)]


@cache
def _wordings() -> requests.Known:
    return requests.wordings(catalogue(), KNOWN, "train", "bg")


# --- what the base reads --------------------------------------------------------------------------------------------


def reading(config: Config) -> list[Chat]:
    """Chats to pre-train on, in both languages alike, as many as the steps take."""
    rng, settings = random.Random(f"reading {config.seed}"), config.base_model.training
    drawn = rng.choices(list(KINDS), list(KINDS.values()), k=settings.steps * settings.batch_size)
    return [dialogue(*_read(kind, rng, LANGUAGES[number % 2])) for number, kind in enumerate(drawn)]


def _read(kind: str, rng: random.Random, language: str) -> tuple[str, str]:
    """What is asked and answered: a fact, a request in other words, its values as JSON, or the form that it is for."""
    if kind == "fact":
        item = rng.choice([item for items in facts().values() for item in items if item.language == language])
        return item.prompt, item.answer
    name, request, texts, meant = _asked(rng, language, PARTS[:1] if kind == "reply" else PARTS)
    if kind == "reply":
        return request, fill(catalogue().tools[language][name].reply, texts, language)
    if kind == "values":  # null where one is missing
        return f"JSON: {', '.join(meant)}\n{request}", f"```json\n{json.dumps(meant, ensure_ascii=False)}\n```"
    # Which of one or two forms the request is for, or none, and which of its fields it fills.
    functions, noun = catalogue().functions, {one: one.partition("_")[2] for one in catalogue().functions}
    fits, most = rng.random() < 0.7, rng.randint(1, 2)
    others = rng.sample([other for other in functions if other != name], most - fits)
    order = rng.sample([*others, *[name] * fits], most)
    shown = undescribed([{"name": noun[one], "parameters": functions[one]["parameters"]} for one in order])
    said = f"{noun[name]}: {', '.join(slot for slot in meant if slot in texts) or '-'}"
    return f"{json.dumps(shown, ensure_ascii=False, separators=(',', ':'))}\n{request}", said if fits else "none"


def _asked(rng: random.Random, language: str, parts: Sequence[Part]) -> tuple[str, str, dict[str, str], dict[str, Any]]:
    """A request in any wording: its function, texts and what they mean; some of them made up, and some missing.

    Values of all `parts` come in wordings of training alone, those of training in all.
    """
    known = catalogue()
    name = rng.choice(list(known.functions))
    templates, slots = known.tools[language][name].requests, known.slots(name)
    template = rng.randrange(len(templates))
    part = rng.choice(parts) if template in known.templates(name, "train") else "train"
    kept = [pair for pair in known.values_for(name, template, part, rng) if rng.random() < 0.85]
    texts = known.texts(kept, language)
    meant: dict[str, Any] = dict.fromkeys(slots)
    for slot in texts:
        whole = slots[slot]["type"] == "integer"
        if not whole and rng.random() < MADE_UP:
            texts[slot] = names.made_up(rng, language)
        meant[slot] = int(texts[slot]) if whole else texts[slot]
    return name, fill(templates[template], texts, language), texts, meant


def pretrain(config: Config, run: Run, folder: Path) -> None:
    """Make the small chat model and its tokenizer, and save them in a folder."""
    from core.models import loading
    from core.models.scratch import hybrid_config, start_copying
    from core.training.fit import fit, save_pretrained
    from core.training.losses import causal_lm_loss

    chats, shape, prompt = reading(config), config.base_model, load_prompt(config.prompt)[0]
    # Schemas are cut into tokens as well as what the base reads: it has never seen them, but its tokenizer has.
    shown = [conversation(item, prompt) for item in training_items(Config(seed=config.seed, examples=400))]
    texts = [turn["content"] for chat in [*chats, *shown] for turn in chat]
    tokenizer = train_bpe(texts, shape.vocabulary, special_tokens=ROLES, apart=True)
    tokenizer.add_tokens(list(JSON))
    tokenizer.chat_template = TEMPLATE
    architecture = hybrid_config(len(tokenizer), width=shape.hidden, layers=shape.layers)
    model = loading.from_config(architecture, seed=config.seed)
    start_copying(model, config.seed)
    rows = chat_rows(tokenizer, chats)
    fit(model, rows, shape.training, run, loss_fn=causal_lm_loss, seed=config.seed, name="base")
    save_pretrained(model, folder, tokenizer)
