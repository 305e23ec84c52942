"""The miniature: a small chat model that has read two languages and never a function call, and what it is asked.

The base talks Bulgarian and English: it says in words what it is asked for, tells which of some forms (JSON Schema) a
request is for and which of their fields it fills, writes values as JSON, knows currencies of countries. It has
read every wording and every name, as any chat model has, but no request of the test: the values of its own requests are
those of training, or names that nobody bears.
What tuning shows is another matter: wordings and open values of the test are new to it, and two functions.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from core.models.tokenization import chat_rows, train_bpe
from core.tasks.choices import Question, from_items
from core.worlds import names
from core.worlds.base import Item, split
from papers.tucan.catalogue import Catalogue, fill, load_catalogue
from papers.tucan.config import Config, base_shape
from papers.tucan.data import Chat, build_dataset, prompt_of, shuffled_calls
from papers.tucan.method import (
    BALANCED,
    CALL_SCENARIOS,
    NO_CALL_SCENARIOS,
    Draw,
    conversation,
    render_call,
    undescribed,
)

LANGUAGES = ("bg", "en")
KNOWN = ("get_weather", "get_forecast", "search_flight", "search_train", "set_timer", "set_alarm", "play_music",
         "find_concert")  # fmt: skip
"""Functions that are tuned on and asked for."""
UNSEEN = ("get_air", "search_bus")
"""Functions that training neither asks for nor offers."""
PER_CELL = 2
"""Test items of a function in a scenario."""
FRAMES: dict[tuple[str, names.Relation], Sequence[str]] = {
    ("bg", "currency"): ("Каква е валутата на {name}?",),
    ("bg", "language"): ("Какъв е официалният език на {name}?",),
    ("en", "currency"): ("What is the currency of {name}?",),
    ("en", "language"): ("What is the official language of {name}?",),
}
DISTRACTORS = 1
"""At most so many further functions an item."""
MADE_UP = 0.5
"""Share of the names that the base reads which nobody bears, so that they can only be copied."""
SOUNDS = {"bg": ("бвгджзклмнпрстфхцчш", "аеиоуъ"), "en": ("bcdfghjklmnprstvwz", "aeiou")}
"""Consonants and vowels of such names."""
SHARES = {"dev": 0.25, "test": 0.25}
"""Of the territories; the base does not read of the others."""
ROLES = ("<|user|>", "<|assistant|>")
JSON = (
    '{"name":"', '","parameters":{"type":"object","properties":{"', '":{"type":"string"}', '":{"type":"integer"}',
    ',"required":["', '"]}}', '{"name": "', '", "arguments": {"', '": "', '", "', '": ', '"}}\n```', "}}\n```",
    "```tool_call", "```json",
)  # fmt: skip
"""Tokens of their own, as in the tokenizers of models that have read much of it."""
TEMPLATE = "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + eos_token }}{% endfor %}" + (
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@cache
def facts() -> dict[str, list[Item]]:
    """Currencies of territories, as questions with answers, by part; a territory is one class in both languages."""
    items = [item for item in names.facts(LANGUAGES, frames=FRAMES) if "/currency/" in item.id]
    both = [{item.cls for item in items if item.language == code} for code in LANGUAGES]
    return split([item for item in items if item.cls in both[0] & both[1]], 0, SHARES)


@cache
def catalogue() -> Catalogue:
    """Ten functions; of the cities those whose names are one short word in both languages."""
    found, wanted = load_catalogue(), (*KNOWN, *UNSEEN)
    for slot in ("city", "origin", "destination"):
        tables = [found.values[code] for code in LANGUAGES]
        short = [key for key in tables[0][slot] if all(re.fullmatch(r"\w{2,9}", table[slot][key]) for table in tables)]
        for table in tables:
            table[slot] = {key: table[slot][key] for key in short}
    tools = {code: {name: found.tools[code][name] for name in wanted} for code in LANGUAGES}
    return replace(found, functions={name: found.functions[name] for name in wanted}, tools=tools)


# --- what is trained and asked --------------------------------------------------------------------------------------


def training_items(config: Config) -> list[dict[str, Any]]:
    """Items to tune on."""
    options: dict[str, Any] = {"seed": config.seed, "distractors": DISTRACTORS, "withheld": UNSEEN}
    return build_dataset(catalogue(), config.examples, languages=LANGUAGES, **options)


def training_chats(config: Config) -> list[Chat]:
    """The same as conversations; in the null arm with each other's calls."""
    prompt, _ = prompt_of(config.prompt)
    chats = [conversation(item, prompt) for item in training_items(config)]
    return shuffled_calls(chats, prompt.tags, config.seed) if config.calls == "shuffled" else chats


def scored_items(config: Config) -> list[dict[str, Any]]:
    """Bulgarian items of the part that is measured: every known function alike in every scenario, calls of others."""
    build: Callable[..., list[dict[str, Any]]] = partial(
        build_dataset, catalogue(), languages=["bg"], part=config.split, seed=config.seed, distractors=DISTRACTORS
    )
    items = _every(build(len(KNOWN) * len(BALANCED) * PER_CELL, mix=BALANCED, withheld=UNSEEN), config.limit)
    new = build(len(UNSEEN) * 3 * PER_CELL, mix=dict.fromkeys(CALL_SCENARIOS, 1 / 3), tools=UNSEEN)
    return items + [{**item, "unseen": True} for item in _every(new, config.limit)]


def _every(items: list[Any], limit: int) -> list[Any]:
    return items[:: max(1, len(items) // limit)] if limit else items


def knowledge(config: Config) -> list[Question]:
    """What the base knows and tuning never mentions: Bulgarian questions about countries, with four answers."""
    items = [item for item in facts()[config.split] if item.language == "bg"]
    asked = from_items(items, seed=config.seed, group=lambda item: "currency")
    # `<language>/<relation>/<territory>/...`: a territory is what is drawn.
    return _every([replace(question, id=question.id.split("/")[2]) for question in asked], config.limit)


def in_words(config: Config) -> list[tuple[str, str, str]]:
    """Bulgarian requests without functions, to see whether the base understands: path, request, what it should say."""
    found, rng, known = [], random.Random(f"in words {config.seed}"), catalogue()
    for name in KNOWN:
        tool = known.tools["bg"][name]
        for template in known.templates(name, config.split):
            keys = known.values_for(name, template, config.split, rng)
            texts = known.texts(Draw("", name, keys=keys), "bg")
            request = fill(tool.requests[template], texts, "bg")
            found.append((f"{name}/{template}", request, fill(tool.reply, texts, "bg")))
    return _every(found, config.limit)


def neighbour(config: Config, item: dict[str, Any]) -> str:
    """A solver that understands nothing: does what was right for the training request with most words in common.

    For values it takes what no wording of training has, in the order of the function's arguments.
    """
    known, wordings = _training_words(config.seed, config.examples)
    request = _words(item["user_message"])
    _, scenario, name = max(known, key=lambda one: len(one[0] & set(request)) / len(one[0] | set(request)))
    function = next((one for one in item["functions"] if one["name"] == name), None)
    if scenario in NO_CALL_SCENARIOS or function is None:
        return ""
    new = itertools.groupby(request, key=lambda word: word not in wordings)
    values = [" ".join(words) for is_new, words in new if is_new]
    return render_call(name, dict(zip(function["parameters"]["required"], values, strict=False)))


@cache
def _training_words(seed: int, examples: int) -> tuple[list[tuple[set[str], str, str]], set[str]]:
    """Words, scenario and function of every Bulgarian training request, and the words of all wordings."""
    own = [item for item in training_items(Config(seed=seed, examples=examples)) if item["language"] == "bg"]
    known = [(set(_words(one["user_message"])), one["scenario_type"], one["id"].split("/")[0]) for one in own]
    tools = catalogue().tools["bg"]
    wordings = [tools[name].requests[number] for name in KNOWN for number in catalogue().templates(name, "train")]
    return known, {word for text in wordings for word in _words(re.sub(r"\{\w+\}", " ", text))}


def _words(text: str) -> list[str]:
    return re.findall(r"[\w’'-]+", text)


# --- what the base reads --------------------------------------------------------------------------------------------


def reading(config: Config) -> list[Chat]:
    """Chats to pre-train on, in both languages alike, as many as the steps take."""
    rng, settings = random.Random(f"reading {config.seed}"), config.base_model.training
    kinds = {_in_own_words: 32, _form: 38, _extraction: 18, _fact: 12}
    drawn = rng.choices(list(kinds), list(kinds.values()), k=settings.steps * settings.batch_size)
    turns = [kind(rng, LANGUAGES[number % 2]) for number, kind in enumerate(drawn)]
    return [[{"role": "user", "content": u}, {"role": "assistant", "content": a}] for u, a in turns]


def _asked(rng: random.Random, language: str) -> tuple[str, str, dict[str, str], dict[str, Any]]:
    """A request in any wording: its function, texts and what they mean; of training or made up, and some missing."""
    name = rng.choice(list(catalogue().functions))
    tool = catalogue().tools[language][name]
    template = rng.randrange(len(tool.requests))
    keys = {slot: key for slot, key in catalogue().values_for(name, template, "train", rng) if rng.random() < 0.85}
    texts = catalogue().texts(Draw("", name, template, tuple(keys.items())), language)
    meant: dict[str, Any] = dict.fromkeys(catalogue().slots(name))
    for slot in texts:
        whole = catalogue().slots(name)[slot]["type"] == "integer"
        if not whole and rng.random() < MADE_UP:
            texts[slot] = _made_up(rng, language)
        meant[slot] = int(texts[slot]) if whole else texts[slot]
    return name, fill(tool.requests[template], texts, language), texts, meant


def _in_own_words(rng: random.Random, language: str) -> tuple[str, str]:
    name, request, texts, _ = _asked(rng, language)
    return request, fill(catalogue().tools[language][name].reply, texts, language)


def _form(rng: random.Random, language: str) -> tuple[str, str]:
    """Which of one or two forms a request is for, or none, and which of its fields the request fills."""
    name, request, texts, meant = _asked(rng, language)
    fits, most = rng.random() < 0.7, rng.randint(1, 2)
    others = rng.sample([other for other in catalogue().functions if other != name], most - fits)
    shown = [
        {"name": _noun(one), "parameters": catalogue().functions[one]["parameters"]}
        for one in rng.sample([*others, *[name] * fits], most)
    ]
    said = f"{_noun(name)}: {', '.join(slot for slot in meant if slot in texts) or '-'}"
    asked = json.dumps(undescribed(shown), ensure_ascii=False, separators=(",", ":"))
    return f"{asked}\n{request}", said if fits else "none"


def _noun(name: str) -> str:
    return name.partition("_")[2]


def _extraction(rng: random.Random, language: str) -> tuple[str, str]:
    """The values of a request as a fenced JSON object, null where one is missing."""
    _, request, _, meant = _asked(rng, language)
    return f"JSON: {', '.join(meant)}\n{request}", f"```json\n{json.dumps(meant, ensure_ascii=False)}\n```"


def _fact(rng: random.Random, language: str) -> tuple[str, str]:
    item = rng.choice([item for items in facts().values() for item in items if item.language == language])
    return item.prompt, item.answer


def _made_up(rng: random.Random, language: str) -> str:
    """A name that nobody bears, so that it can only be copied."""
    consonants, vowels = SOUNDS[language]

    def word() -> str:
        ends = ["", "", rng.choice(consonants)]
        parts = [rng.choice(consonants) + rng.choice(vowels) + rng.choice(ends) for _ in range(rng.randint(2, 3))]
        return "".join(parts) if rng.random() < 0.3 else "".join(parts).capitalize()

    return " ".join(word() for _ in range(rng.choice((1, 1, 1, 1, 2))))


def pretrain(config: Config, run: Any) -> tuple[Any, Any]:
    """The small chat model and its tokenizer."""
    from core.models import loading
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss

    chats, shape, prompt = reading(config), config.base_model, prompt_of(config.prompt)[0]
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
    return model, tokenizer


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
