"""The miniature: a small chat model that has read two languages and never a function call, and what it is asked.

The base talks Bulgarian and English: it says in words what it is asked for, knows which topic that is, writes its
values as JSON, answers questions about countries, repeats names, reads and writes schemas of functions that do not
exist. It has read every wording and every name, as any chat model has, but no request of the test: the values of its
own requests are those of training, or names that nobody bears.
What tuning shows is another matter: wordings, open values and questions of the test are new to it, and four functions.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, cast

from core.models.tokenization import chat_rows, train_bpe
from core.tasks.choices import Question, from_items
from core.worlds import names
from core.worlds.base import Item, split
from papers.tucan.catalogue import Catalogue, Part, fill, load_catalogue
from papers.tucan.config import Config, base_shape
from papers.tucan.data import Chat, build_dataset, prompt_of, shuffled_calls, without_negatives
from papers.tucan.method import BALANCED, MIX, NO_CALL_SCENARIOS, Draw, conversation, render_call

LANGUAGES = ("bg", "en")
UNSEEN = ("get_air", "search_bus", "find_museum", "spell_word")
"""Functions that training neither asks for nor offers."""
PER_CELL = 2
"""Test items of a function in a scenario."""
FRAMES: dict[tuple[str, names.Relation], Sequence[str]] = {
    ("bg", "currency"): ("Каква е валутата на {name}?",),
    ("bg", "language"): ("Какъв е официалният език на {name}?",),
    ("en", "currency"): ("What is the currency of {name}?",),
    ("en", "language"): ("What is the official language of {name}?",),
}
DISTRACTORS = 2
"""At most so many further functions an item."""
TURNS = 3
"""Questions and answers of a chat that the base reads: contexts as long as those of tuning, and little padding."""
MADE_UP = 0.5
"""Share of the names that the base reads which nobody bears, so that they can only be copied."""
SOUNDS = {"bg": ("бвгджзклмнпрстфхцчш", "аеиоуъ"), "en": ("bcdfghjklmnprstvwz", "aeiou")}
"""Consonants and vowels of such names."""
VERBS = ("get", "set", "find", "search", "book", "play", "translate", "define", "convert", "open", "send", "count")
"""First words of the functions that the base reads the schemas of."""
SHARES = {"train": 0.2, "dev": 0.2, "test": 0.2}
"""Of the territories; the base does not read of the others."""
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + eos_token + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@cache
def facts() -> dict[str, list[Item]]:
    """Currency and official language of territories, as questions with answers, by part; a territory is one class."""
    items = names.facts(LANGUAGES, frames=FRAMES)
    both = [{item.id.partition("/")[2] for item in items if item.language == code} for code in LANGUAGES]
    return split([item for item in items if item.id.partition("/")[2] in both[0] & both[1]], 0, SHARES)


@cache
def catalogue() -> Catalogue:
    """The nineteen functions; the general questions are those about countries."""
    found = load_catalogue()
    found.questions.clear()
    for part, items in facts().items():
        by_fact: dict[str, dict[str, tuple[str, str]]] = {}
        for item in items:
            by_fact.setdefault(item.id.partition("/")[2], {})[item.language] = (item.prompt, item.answer)
        found.questions.extend((cast(Part, part), pairs) for pairs in by_fact.values())
    return found


# --- what is trained and asked --------------------------------------------------------------------------------------


def training_items(config: Config) -> list[dict[str, Any]]:
    """Items to tune on; without negatives there are as many, all of them calls."""
    return build_dataset(
        catalogue(),
        config.examples,
        languages=config.languages or LANGUAGES,
        seed=config.seed,
        mix=MIX if config.negatives else without_negatives(),
        distractors=DISTRACTORS,
        withheld=UNSEEN,
    )


def training_chats(config: Config) -> list[Chat]:
    """The same as conversations; in the null arm with each other's calls."""
    prompt, _ = prompt_of(config.prompt)
    chats = [conversation(item, prompt) for item in training_items(config)]
    return shuffled_calls(chats, prompt.tags, config.seed) if config.calls == "shuffled" else chats


def scored_items(config: Config) -> list[dict[str, Any]]:
    """Bulgarian items of the part that is measured: all scenarios alike for every known function, calls of others."""
    known = [name for name in catalogue().functions if name not in UNSEEN]
    build: Callable[..., list[dict[str, Any]]] = partial(
        build_dataset, catalogue(), languages=["bg"], part=config.split, seed=config.seed, distractors=DISTRACTORS
    )
    items = _every(build(len(known) * len(BALANCED) * PER_CELL, mix=BALANCED, withheld=UNSEEN), config.limit)
    new = build(len(UNSEEN) * 3 * PER_CELL, mix=without_negatives(BALANCED), tools=UNSEEN)
    return items + [{**item, "unseen": True} for item in _every(new, config.limit)]


def _every(items: list[Any], limit: int) -> list[Any]:
    return items[:: max(1, len(items) // limit)] if limit else items


def knowledge(config: Config, language: str) -> list[Question]:
    """What the base knows and tuning never mentions: questions about countries, with four answers of one kind."""
    items = [item for item in facts()[config.split] if item.language == language]
    asked = from_items(items, seed=config.seed, group=lambda item: item.id.split("/")[1])
    # `<territory>/<relation>`: a territory is what is drawn.
    paths = ("/".join(question.id.split("/")[2:0:-1]) for question in asked)
    return _every(
        [Question(path, q.context, q.choices, q.answer) for path, q in zip(paths, asked, strict=True)], config.limit
    )


def in_words(config: Config, language: str) -> list[tuple[str, str, str]]:
    """Requests without functions, to see whether the base understands them: path, request, and what it should say."""
    found, rng = [], random.Random(f"in words {config.seed}")
    for name in (name for name in catalogue().functions if name not in UNSEEN):
        for template in catalogue().templates(name, config.split):
            drawn = Draw("", name, template, catalogue().values_for(name, template, config.split, rng))
            found.append((f"{name}/{template}", *_reply(drawn, language)))
    return _every(found, config.limit)


def _reply(drawn: Draw, language: str) -> tuple[str, str]:
    tool, texts = catalogue().tools[language][drawn.name], catalogue().texts(drawn, language)
    return fill(tool.requests[drawn.template], texts, language), fill(tool.reply, texts, language)


def neighbour(config: Config, item: dict[str, Any]) -> str:
    """A solver that understands nothing: does what was right for the training request with most words in common.

    For values it takes what no wording of training has, in the order of the function's arguments.
    """
    known, wordings = _training_words(config.seed, config.examples)[item["language"]]
    request = _words(item["user_message"])
    bag = set(request)
    _, scenario, name = max(known, key=lambda one: len(bag & one[0]) / len(bag | one[0]))
    function = next((one for one in item["functions"] if one["name"] == name), None)
    if scenario in NO_CALL_SCENARIOS or function is None:
        return ""
    values: list[str] = []
    inside = False
    for word in request:
        new = word not in wordings
        if new and inside:
            values[-1] += f" {word}"
        elif new:
            values.append(word)
        inside = new
    return render_call(name, dict(zip(function["parameters"]["required"], values, strict=False)))


@cache
def _training_words(seed: int, examples: int) -> dict[str, tuple[list[tuple[set[str], str, str]], set[str]]]:
    """By language: words, scenario and function of every training request, and the words of all wordings."""
    items, found = training_items(Config(seed=seed, examples=examples)), {}
    for language in LANGUAGES:
        own = [item for item in items if item["language"] == language]
        known = [(set(_words(one["user_message"])), one["scenario_type"], one["id"].split("/")[0]) for one in own]
        tools = [(name, tool) for name, tool in catalogue().tools[language].items() if name not in UNSEEN]
        wordings = [tool.requests[number] for name, tool in tools for number in catalogue().templates(name, "train")]
        found[language] = (known, {word for text in wordings for word in _words(re.sub(r"\{\w+\}", " ", text))})
    return found


def _words(text: str) -> list[str]:
    return re.findall(r"[\w’'-]+", text)


# --- what the base reads --------------------------------------------------------------------------------------------


def reading(config: Config) -> list[Chat]:
    """Chats to pre-train on, in both languages alike, as many as the steps take; their turns do not hang together."""
    rng, settings = random.Random(f"reading {config.seed}"), config.base_model.training
    kinds = {
        _in_own_words: 46, _in_the_other: 6, _topic: 6, _extraction: 10, _fact: 18, _echo: 6, _schema: 8,
    }  # fmt: skip
    drawn = rng.choices(list(kinds), list(kinds.values()), k=settings.steps * settings.batch_size * TURNS)
    turns = [kind(rng, LANGUAGES[number % 2]) for number, kind in enumerate(drawn)]
    said = [[{"role": "user", "content": u}, {"role": "assistant", "content": a}] for u, a in turns]
    return [[*one, *two, *three] for one, two, three in zip(*(said[n::TURNS] for n in range(TURNS)), strict=True)]


def _asked(rng: random.Random, language: str) -> tuple[str, str, dict[str, str], dict[str, Any]]:
    """A request in any wording: its function, texts and what they mean; of training or made up, and some missing."""
    name = rng.choice(list(catalogue().functions))
    template = rng.randrange(len(catalogue().requests(name)))
    keys = {slot: key for slot, key in catalogue().values_for(name, template, "train", rng) if rng.random() < 0.85}
    texts = catalogue().texts(Draw("", name, template, tuple(keys.items())), language)
    meant: dict[str, Any] = {}
    for slot, schema in catalogue().functions[name]["parameters"]["properties"].items():
        if slot in texts and schema["type"] == "string" and "enum" not in schema and rng.random() < MADE_UP:
            texts[slot] = _made_up(rng, language)
        text = texts.get(slot)
        meant[slot] = (
            int(text) if text and schema["type"] == "integer" else keys.get(slot) if "enum" in schema else text
        )
    return name, fill(catalogue().tools[language][name].requests[template], texts, language), texts, meant


def _in_own_words(rng: random.Random, language: str) -> tuple[str, str]:
    name, request, texts, _ = _asked(rng, language)
    return request, fill(catalogue().tools[language][name].reply, texts, language)


def _topic(rng: random.Random, language: str) -> tuple[str, str]:
    """Which of some words a request is about, or none."""
    name, request, *_ = _asked(rng, language)
    own, fits = _word(name), rng.random() < 0.7
    others = rng.sample(sorted({_word(other) for other in catalogue().functions} - {own}), rng.randint(1, 3))
    shown = rng.sample([*others, own], len(others) + 1) if fits else others
    return f"{request}\n{', '.join(shown)}", own if fits else "none"


def _word(name: str) -> str:
    verb, _, noun = name.partition("_")
    return verb if noun in ("word", "currency") else noun


def _extraction(rng: random.Random, language: str) -> tuple[str, str]:
    """The values of a request as a fenced JSON object, null where one is missing."""
    _, request, _, meant = _asked(rng, language)
    body = json.dumps(meant, ensure_ascii=False)
    return f"JSON: {', '.join(meant)}\n{request}", f"```json\n{body}\n```"


def _in_the_other(rng: random.Random, language: str) -> tuple[str, str]:
    """A request in one language, said in the other one's words: what ties the two."""
    name, other = rng.choice(list(catalogue().functions)), LANGUAGES[language == "bg"]
    request = fill(rng.choice(catalogue().tools[other][name].requests), {}, other)
    ask = "На български" if language == "bg" else "In English"
    return f"{ask}: {request}", fill(catalogue().tools[language][name].reply, {}, language)


def _fact(rng: random.Random, language: str) -> tuple[str, str]:
    item = rng.choice([item for items in facts().values() for item in items if item.language == language])
    return item.prompt, item.answer


def _echo(rng: random.Random, language: str) -> tuple[str, str]:
    names = ", ".join(_value(rng, language) for _ in range(rng.randint(1, 4)))
    return (f"Повтори: {names}" if language == "bg" else f"Repeat: {names}"), names


def _schema(rng: random.Random, language: str) -> tuple[str, str]:
    """Schemas of functions that do not exist: one is written, or one of several is read."""
    bodies: list[dict[str, Any]] = []
    words = iter(rng.sample(_words_of(), 6))
    for _ in range(rng.randint(1, 2)):
        kinds = {next(words): {"type": rng.choice(("string", "integer"))} for _ in range(rng.randint(1, 2))}
        parameters = {"type": "object", "properties": kinds, "required": list(kinds)[: rng.randint(1, 2)]}
        bodies.append({"name": f"{rng.choice(VERBS)}_{next(words)}", "parameters": parameters})
    one = rng.choice(bodies)
    slots = ", ".join(f"{slot} {kind['type']}" for slot, kind in one["parameters"]["properties"].items())
    if rng.random() < 0.3:
        asked = f"JSON\n{one['name']}: {slots}\n{', '.join(one['parameters']['required'])}"
        return asked, f"```json\n{json.dumps(one, separators=(',', ':'))}\n```"
    name = one["name"].partition("_")[2]
    return f"{json.dumps(bodies, separators=(',', ':'))}\n{name}", f"{one['name']}: {slots}"


@cache
def _words_of() -> list[str]:
    return sorted(catalogue().values["en"]["word"].values())


def _value(rng: random.Random, language: str) -> str:
    if rng.random() < MADE_UP:
        return _made_up(rng, language)
    slot = rng.choice(sorted(catalogue().values[language]))
    return rng.choice(sorted(catalogue().values[language][slot].values()))


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
    shown = build_dataset(catalogue(), 400, seed=config.seed, withheld=UNSEEN, distractors=DISTRACTORS)
    texts = [turn["content"] for chat in [*chats, *(conversation(item, prompt) for item in shown)] for turn in chat]
    tokenizer = train_bpe(texts, shape.vocabulary, special_tokens=["<|im_start|>"], apart=True)
    tokenizer.chat_template = CHATML
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
