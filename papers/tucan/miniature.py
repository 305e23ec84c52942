"""The miniature: a small chat model that has read two languages and never a function call, and what it is asked.

The base talks Bulgarian and English: it says in words what it is asked for, tells which of some forms (JSON Schema) a
request is for and which of their fields it fills, writes values as JSON, knows currencies of countries. It has
read every wording and every name, as any chat model has, but no request of the test: the wordings of the test come with
values of training, or names that nobody bears, and the values of the test in wordings of training, and never in its own
words.
What tuning shows is another matter: wordings and open values of the test are new to it, and two functions.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from core.models.tokenization import chat_rows, train_bpe
from core.tasks.choices import Question, from_items
from core.tasks.samples import dialogue
from core.worlds import names
from core.worlds.base import Item, split
from papers.tucan.config import Config, base_shape
from papers.tucan.data import Catalogue, Chat, Part, build_dataset, fill, load_catalogue, load_prompt
from papers.tucan.method import BALANCED, CALLS, MIX, NO_CALL_SCENARIOS, Draw, conversation, render_call, undescribed

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
    both = [{item.cls for item in items if item.language == code} for code in LANGUAGES]
    return split([item for item in items if item.cls in both[0] & both[1]], 0, SHARES)


@cache
def catalogue() -> Catalogue:
    """Ten functions; of the cities those whose names are one short word in both languages."""
    found = load_catalogue()
    for slot in ("city", "origin", "destination"):
        tables = [found.values[code] for code in LANGUAGES]
        short = [key for key in tables[0][slot] if all(re.fullmatch(r"\w{2,9}", table[slot][key]) for table in tables)]
        for table in tables:
            table[slot] = {key: table[slot][key] for key in short}
    return found


# --- what is trained and asked --------------------------------------------------------------------------------------


def training_items(config: Config) -> list[dict[str, Any]]:
    """Items to tune on."""
    options: dict[str, Any] = {"seed": config.seed, "distractors": DISTRACTORS, "withheld": UNSEEN}
    languages = LANGUAGES if config.languages == "all" else (config.languages,)
    mix = MIX if config.negatives else CALLS
    items = build_dataset(catalogue(), config.examples, languages=languages, mix=mix, **options)
    known = {code: [fact for fact in facts()["train"] if fact.language == code] for code in languages}
    for number, item in enumerate(items):
        place, general = divmod(number // len(languages), GENERAL)
        if item["scenario_type"] == "irrelevant_question_with_functions" and not general:
            fact = known[item["language"]][place % len(known[item["language"]])]
            item |= {"user_message": fact.prompt, "answer": fact.answer, "id": f"currency/{item['id']}"}
    return items


def scored_items(config: Config) -> list[dict[str, Any]]:
    """Bulgarian items of the part that is measured: every known function alike in every scenario, calls of others."""
    build: Callable[..., list[dict[str, Any]]] = partial(
        build_dataset, catalogue(), languages=["bg"], part=config.split, seed=config.seed, distractors=DISTRACTORS
    )
    items = _every(build(len(KNOWN) * len(BALANCED) * PER_CELL, mix=BALANCED, withheld=UNSEEN), config.limit)
    new = build(len(UNSEEN) * 3 * PER_CELL, mix=CALLS, tools=UNSEEN)
    return items + [{**item, "unseen": True} for item in _every(new, config.limit)]


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
            values = known.values_for(name, template, config.split, rng)
            texts = known.texts(Draw("", name, values=values), "bg")
            request = fill(tool.requests[template], texts, "bg")
            found.append((f"{name}/{template}/{number}", request, fill(tool.reply, texts, "bg")))
    return _every(found, config.limit)


# --- solvers that understand nothing ----------------------------------------------------------------------------------


def neighbour(config: Config, item: Mapping[str, Any]) -> str:
    """Does what was right for the training request with most words in common.

    For values it takes what no wording of training has, in the order of the function's arguments.
    """
    wordings = set().union(*(words for words, _ in _wordings()))
    request = _words(item["user_message"])
    scenario, name = _nearest(request, _requests(config.seed, config.examples))
    function = next((one for one in item["functions"] if one["name"] == name), None)
    if scenario in NO_CALL_SCENARIOS or function is None:
        return ""
    new = itertools.groupby(request, key=lambda word: word not in wordings)
    values = [" ".join(words) for is_new, words in new if is_new]
    return render_call(name, dict(zip(function["parameters"]["required"], values, strict=False)))


def rule(item: Mapping[str, Any]) -> str:
    """Takes the function of the nearest wording and fills it with the numbers and capitalised words of the request."""
    request = _words(item["user_message"])
    name = _nearest(request, _wordings())
    function = next((one for one in item["functions"] if one["name"] == name), None)
    if function is None:
        return ""
    runs = itertools.groupby(request[1:], key=str.istitle)
    given = {
        "string": [" ".join(words) for title, words in runs if title],
        "integer": [w for w in request if w.isdigit()],
    }
    slots = function["parameters"]["properties"].items()
    found = {slot: given[schema["type"]].pop(0) for slot, schema in slots if given[schema["type"]]}
    return render_call(name, found) if set(function["parameters"]["required"]) <= set(found) else ""


def _nearest(request: Sequence[str], known: Sequence[tuple[set[str], Any]]) -> Any:
    """What belongs to the known words that have most in common with a request (Jaccard)."""
    return max(known, key=lambda one: len(one[0] & set(request)) / len(one[0] | set(request)))[1]


@cache
def _requests(seed: int, examples: int) -> list[tuple[set[str], tuple[str, str]]]:
    """Words of every Bulgarian training request, with its scenario and function."""
    own = [item for item in training_items(Config(seed=seed, examples=examples)) if item["language"] == "bg"]
    return [(set(_words(one["user_message"])), (one["scenario_type"], one["id"].split("/")[0])) for one in own]


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
    return [dialogue(*kind(rng, LANGUAGES[number % 2])) for number, kind in enumerate(drawn)]


def _asked(
    rng: random.Random, language: str, parts: Sequence[Part] = PARTS
) -> tuple[str, str, dict[str, str], dict[str, Any]]:
    """A request in any wording: its function, texts and what they mean; some of them made up, and some missing.

    Values of all `parts` come in wordings of training alone, those of training in all.
    """
    name = rng.choice(list(catalogue().functions))
    tool = catalogue().tools[language][name]
    template = rng.randrange(len(tool.requests))
    values = rng.choice(parts) if template in catalogue().templates(name, "train") else "train"
    keys = {slot: key for slot, key in catalogue().values_for(name, template, values, rng) if rng.random() < 0.85}
    texts = catalogue().texts(Draw("", name, template, tuple(keys.items())), language)
    meant: dict[str, Any] = dict.fromkeys(catalogue().slots(name))
    for slot in texts:
        whole = catalogue().slots(name)[slot]["type"] == "integer"
        if not whole and rng.random() < MADE_UP:
            texts[slot] = _made_up(rng, language)
        meant[slot] = int(texts[slot]) if whole else texts[slot]
    return name, fill(tool.requests[template], texts, language), texts, meant


def _in_own_words(rng: random.Random, language: str) -> tuple[str, str]:
    name, request, texts, _ = _asked(rng, language, PARTS[:1])
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


KINDS = {_in_own_words: 32, _form: 38, _extraction: 18, _fact: 12}
"""What the base reads, in parts."""


def pretrain(config: Config, run: Any, folder: Any) -> None:
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
