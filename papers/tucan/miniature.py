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

from core.models.tokenization import chat_rows, train_bpe
from core.tasks.choices import Question, from_items
from core.tasks.samples import dialogue
from core.worlds import names
from core.worlds.base import Item, split
from papers.tucan.config import Config, base_shape
from papers.tucan.data import Catalogue, Chat, Part, build_dataset, fill, load_catalogue, load_prompt
from papers.tucan.method import BALANCED, CALLS, MIX, conversation, render_call, undescribed

if TYPE_CHECKING:
    from pathlib import Path

    from core.experiment.run import Run

LANGUAGES = ("bg", "en")
PARTS: tuple[Part, ...] = ("train", "dev", "test")
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
# Share of the names that the base reads which nobody bears, so that they can only be copied; their sounds.
MADE_UP = 0.3
SOUNDS = {"bg": ("бвгджзклмнпрстфхцчш", "аеиоуъ"), "en": ("bcdfghjklmnprstvwz", "aeiou")}
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
        tool = known.tools["bg"][name]
        for template, number in itertools.product(known.templates(name, config.split), range(PER_WORDING)):
            texts = known.texts(known.values_for(name, template, config.split, rng), "bg")
            request = fill(tool.requests[template], texts, "bg")
            found.append((f"{name}/{template}/{number}", request, fill(tool.reply, texts, "bg")))
    return _every(found, config.limit)


# --- solvers that understand nothing ----------------------------------------------------------------------------------


def neighbour(config: Config, item: Mapping[str, Any]) -> str:
    """Does what was right for the training request with most words in common.

    For values it takes what no wording of training has, in the order of the function's arguments.
    """
    request, wordings = _words(item["user_message"]), set().union(*(words for words, _ in _wordings()))
    name = _nearest(request, _requests(config.seed, config.examples))
    offered = {one["name"]: one["parameters"] for one in item["functions"]}
    if name not in offered:
        return ""
    new = itertools.groupby(request, key=lambda word: word not in wordings)
    values = [" ".join(words) for is_new, words in new if is_new]
    return render_call(name, dict(zip(offered[name]["required"], values, strict=False)))


def rule(item: Mapping[str, Any]) -> str:
    """Takes the function of the nearest wording and fills it with the numbers and capitalised words of the request."""
    request = _words(item["user_message"])
    name = _nearest(request, _wordings())
    offered = {one["name"]: one["parameters"] for one in item["functions"]}
    if name not in offered:
        return ""
    runs = itertools.groupby(request[1:], key=str.istitle)
    titles = [" ".join(words) for title, words in runs if title]
    given = {"string": titles, "integer": [word for word in request if word.isdigit()]}
    slots = offered[name]["properties"].items()
    found = {slot: given[schema["type"]].pop(0) for slot, schema in slots if given[schema["type"]]}
    return render_call(name, found) if set(offered[name]["required"]) <= set(found) else ""


def _nearest(request: Sequence[str], known: Sequence[tuple[set[str], str]]) -> str:
    """The function of the known words that have most in common with a request (Jaccard)."""
    return max(known, key=lambda one: len(one[0] & set(request)) / len(one[0] | set(request)))[1]


@cache
def _requests(seed: int, examples: int) -> list[tuple[set[str], str]]:
    """Words of every Bulgarian training request, with the function that is called, if one is."""
    own = [item for item in training_items(Config(seed=seed, examples=examples)) if item["language"] == "bg"]
    return [(set(_words(one["user_message"])), one["expected_behavior"].get("expected_function", "")) for one in own]


@cache
def _wordings() -> list[tuple[set[str], str]]:
    """Words of every Bulgarian wording of training, with its function."""
    found, tools = catalogue(), catalogue().tools["bg"]
    texts = [(tools[name].requests[number], name) for name in KNOWN for number in found.templates(name, "train")]
    return [(set(_words(re.sub(r"\{\w+\}", " ", text))), name) for text, name in texts]


def _words(text: str) -> list[str]:
    return re.findall(r"[\w’'-]+", text)


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
    requests, slots = known.tools[language][name].requests, known.slots(name)
    template = rng.randrange(len(requests))
    part = rng.choice(parts) if template in known.templates(name, "train") else "train"
    kept = [pair for pair in known.values_for(name, template, part, rng) if rng.random() < 0.85]
    texts = known.texts(kept, language)
    meant: dict[str, Any] = dict.fromkeys(slots)
    for slot in texts:
        whole = slots[slot]["type"] == "integer"
        if not whole and rng.random() < MADE_UP:
            texts[slot] = _made_up(rng, language)
        meant[slot] = int(texts[slot]) if whole else texts[slot]
    return name, fill(requests[template], texts, language), texts, meant


def _made_up(rng: random.Random, language: str) -> str:
    """A name that nobody bears, so that it can only be copied."""
    consonants, vowels = SOUNDS[language]
    words = []
    for _ in range(rng.choice((1, 1, 1, 1, 2))):
        ends = ["", "", rng.choice(consonants)]
        word = "".join(rng.choice(consonants) + rng.choice(vowels) + rng.choice(ends) for _ in range(rng.randint(2, 3)))
        words.append(word if rng.random() < 0.3 else word.capitalize())
    return " ".join(words)


def pretrain(config: Config, run: Run, folder: Path) -> None:
    """Make the small chat model and its tokenizer, and save them in a folder."""
    from core.models import loading
    from core.training.fit import fit, save_pretrained
    from core.training.losses import causal_lm_loss

    chats, shape, prompt = reading(config), config.base_model, load_prompt(config.prompt)[0]
    # Schemas are cut into tokens as well as what the base reads: it has never seen them, but its tokenizer has.
    shown = [conversation(item, prompt) for item in training_items(Config(seed=config.seed, examples=400))]
    texts = [turn["content"] for chat in [*chats, *shown] for turn in chat]
    tokenizer = train_bpe(texts, shape.vocabulary, special_tokens=ROLES, apart=True)
    tokenizer.add_tokens(list(JSON))
    tokenizer.chat_template = TEMPLATE
    model = loading.from_config(base_shape(shape, len(tokenizer)), seed=config.seed)
    start_copying(model, config.seed)
    rows = chat_rows(tokenizer, chats)
    fit(model, rows, shape.training, run, loss_fn=causal_lm_loss, seed=config.seed, name="base")
    save_pretrained(model, folder, tokenizer)


def start_copying(model: Any, seed: int) -> None:
    """Weights from which a model of :func:`base_shape` copies, before it has learnt anything.

    The first convolution adds to every token the one before it, turned; the first attention looks there for the token
    that it stands on, and every attention says what it sees. Such induction heads (Olsson et al. 2022) are in every
    large language model; left to chance, they take this one more than all its training.
    """
    import torch

    layers, width = model.model.layers, model.config.hidden_size
    draws = torch.Generator().manual_seed(seed)

    def turn() -> Any:
        return torch.linalg.qr(torch.randn(width, width, generator=draws))[0]

    with torch.no_grad():
        for layer in layers:
            layer.feed_forward.w2.weight.zero_()
            if layer.is_attention_layer:
                value = turn()
                layer.self_attn.v_proj.weight.copy_(value)
                layer.self_attn.out_proj.weight.copy_(value.T / 2)
            else:
                block = layer.conv
                block.in_proj.bias[: 2 * width] = 1.0  # the two gates are open
                block.in_proj.weight[: 2 * width] *= 0.1
                block.in_proj.weight[2 * width :] = turn()
                block.conv.weight.mul_(0.1)[:, 0, -2] += 1.0  # the token before
                block.out_proj.weight.zero_()
        block, attention = layers[0].conv, layers[1].self_attn
        query, shifted = turn(), turn()
        block.out_proj.weight.copy_(model.config.initializer_range * shifted)
        attention.q_proj.weight.copy_(query)
        attention.k_proj.weight.copy_(query @ (shifted @ block.in_proj.weight[2 * width :]).T)
        attention.q_layernorm.weight.fill_(2.0)
