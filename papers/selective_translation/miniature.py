"""The tiny world: requests for code, records, tool calls and formulas, whose answers a program can check.

What has to stay (`def`, the keys of a record, the name of a tool, the letters of a formula) stands in no prompt, so
that a model can only have it from its training data; greetings, answered in the language, have nothing to protect. A
request is one class in all languages and phrasings (`code/multiply-7`), and no class is in two parts. The base has read
prompts side by side with their translations, and no answer.

The translator knows every sentence by heart, and slips in four of ten prompts, as real ones do: it repeats a word,
loses a number or a name, or leaves the sentence as it was. Everything is translated alike but the protected spans.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import UserError
from core.files import load_yaml
from core.text.languages import name as name_of
from core.text.languages import script
from core.worlds.base import Item, dealt, split, trivial
from papers.selective_translation import method
from papers.selective_translation.config import Config, scratch_shape
from papers.selective_translation.data import each
from papers.selective_translation.spans import preserved, protect, restore

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from core.experiment.run import Run

LANGUAGES = ("hi", "ne", "mr", "bn", "ta", "fa", "sw", "tr")
TYPES = ("code", "json", "tool", "math", "plain")
SHARES = {"train": 0.55, "pairs": 0.15, "dev": 0.1, "test": 0.2}
PHRASINGS = (0, 1, 2)
# Share of the prompts in which the translator slips.
SLIPS = 0.4
NUMBERS = tuple(map(str, range(2, 61)))
SIGNS = {"increase": "+", "decrease": "-", "multiply": "*", "divide": "/"}
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


@cache
def phrases() -> dict[str, Any]:
    """What `phrases.yaml` holds."""
    return load_yaml(Path(__file__).parent / "phrases.yaml")


NAMES, CITIES = (phrases()[kind].split() for kind in ("names", "cities"))
_VALUES = {*NAMES, *CITIES}
Rows = list[dict[str, Any]]


class Fact(NamedTuple):
    """A request: its type and what fills the slots, by its English names."""

    kind: str
    slots: dict[str, str]

    @property
    def cls(self) -> str:
        """Its class."""
        return f"{self.kind}/{'-'.join(self.slots.values())}"


@cache
def facts() -> tuple[Fact, ...]:
    """All that can be asked; of the records, which are many, 400."""
    english, people = phrases()["en"], Random("people")
    records = dict.fromkeys((people.choice(NAMES), people.choice(NUMBERS), people.choice(CITIES)) for _ in range(400))
    combined = {
        ("code", ("op", "n")): product(english["op"], NUMBERS),
        ("json", ("name", "age", "city")): records,
        ("tool", ("thing", "city", "day")): product(english["thing"], CITIES, english["day"]),
        ("math", ("quantity", "shape", "n")): product(english["quantity"], english["shape"], NUMBERS),
        ("plain", ("occasion", "name")): product(english["occasion"], NAMES),
    }
    return tuple(
        Fact(kind, dict(zip(slots, values, strict=True)))
        for (kind, slots), found in combined.items()
        for values in found
    )


def span_of(fact: Fact) -> str:
    """What has to stay as it is in the answer; empty for a greeting."""
    s = fact.slots
    if fact.kind == "code":
        return f"` def f ( x ) : return x {SIGNS[s['op']]} {s['n']} `"
    if fact.kind == "json":
        return f'{{ "name" : " {s["name"]} " , "age" : {s["age"]} , "city" : " {s["city"]} " }}'
    if fact.kind == "tool":
        return f'` get_{s["thing"]} ( " {s["city"]} " , "{s["day"]}" ) `'
    if fact.kind == "math":
        forms = {"square area": "{n} ^ 2", "square perimeter": "4 * {n}", "circle area": "pi * {n} ^ 2"}
        form = forms.get(f"{s['shape']} {s['quantity']}", "2 * pi * {n}").format(n=s["n"])
        return rf"\( {s['quantity']} = {form} \)"
    return ""


def prompt_of(fact: Fact, code: str, phrasing: int) -> str:
    """The request in a language."""
    known = phrases()[code]
    filled = {slot: known[slot][value] if slot in known else value for slot, value in fact.slots.items()}
    return known[fact.kind][phrasing].format(**filled)


def response_of(fact: Fact, code: str, span: str | None = None) -> str:
    """The answer in a language, with this span in place of its own."""
    known = phrases()[code]
    if fact.kind == "plain":
        return known["greeting"][fact.slots["occasion"]].format(**fact.slots)
    return known["answers"][fact.kind].format(span=span_of(fact) if span is None else span)


def items(code: str) -> list[Item]:
    """Requests with their answers, `<language>/<type>/<slots>/<phrasing>`."""
    return [
        Item(f"{code}/{fact.cls}/{number}", fact.cls, prompt_of(fact, code, number), response_of(fact, code), code)
        for fact in facts()
        for number in PHRASINGS
    ]


def target(config: Config) -> str:
    """The language that a seed draws: seeds 8n to 8n + 7 have one each."""
    if config.language and config.language not in LANGUAGES:
        raise UserError(f"language: {config.language!r} is none of the miniature's {', '.join(LANGUAGES)}.")
    return config.language or dealt(LANGUAGES, 1, config.seed, len(LANGUAGES))[0]


@cache
def parts(seed: int) -> dict[str, list[Fact]]:
    """The facts of each part."""
    drawn = split(items("en"), seed, SHARES)
    classes = {name: {item.cls for item in found} for name, found in drawn.items()}
    return {name: [fact for fact in facts() if fact.cls in found] for name, found in classes.items()}


def asked(config: Config, code: str) -> list[tuple[Fact, Item]]:
    """What is measured: of each type at most `config.asked` requests of the split, each in one of its phrasings."""
    known, draw, chosen = {item.id: item for item in items(code)}, Random(f"asked-{config.seed}"), []
    for kind in TYPES:
        found = [fact for fact in parts(config.seed)[config.split] if fact.kind == kind]
        for fact in draw.sample(found, min(config.asked, len(found))):
            chosen.append((fact, known[f"{code}/{fact.cls}/{draw.choice(PHRASINGS)}"]))
    return chosen


# --- data to tune on --------------------------------------------------------------------------------------------------


def english(config: Config, part: str = "train") -> Rows:
    """English records of a part, each with a response to reject: mostly that to another request of its type."""
    found, draw, known = [], Random(f"{part}-{config.seed}"), parts(config.seed)[part]
    by_kind = {kind: [response_of(fact, "en") for fact in known if fact.kind == kind] for kind in TYPES}
    for fact, number in product(known, PHRASINGS):
        row = dict.fromkeys(("source", "prompt"), prompt_of(fact, "en", number))
        found.append(row | {"response": response_of(fact, "en"), "rejected": draw.choice(by_kind[fact.kind])})
    return draw.sample(found, min(config.records, len(found)))


def drawn(config: Config) -> tuple[Rows, Rows]:
    """English records (none, if they are not mixed in) and the translations that the filter leaves.

    Raises:
        UserError: There are too few of these.
    """
    records = english(config)
    found = kept(config, translations(config, records), records) if config.k else []
    if len(found) < config.k:
        raise UserError(f"The filter leaves {len(found)} translations, fewer than {config.k}: enlarge --records.")
    return records if config.mix_english else [], found


def preferences(config: Config) -> Rows:
    """Pairs in English, about requests that are not tuned on, and half as many translations that the filter leaves."""
    records = english(config, "pairs")
    found = kept(config, translations(config, records), records)[: len(records) // 2]
    rows = [*(records if config.mix_english else []), *found]
    return [{**row, "chosen": row["response"]} for row in rows if row["response"] != row["rejected"]]


def translations(config: Config, records: Rows) -> Rows:
    """Translations of all of them, prompts and both answers."""
    code = target(config)
    translate = partial(sentence, code, config.seed)
    if config.translator != "selective":
        share = config.corruption if config.translator == "vanilla" else 1.0
        translate = partial(vanilla, translate, code, share, config.seed)
    mode: method.Mode = "protect" if config.translator == "selective" else "all"
    translator = method.SelectiveTranslator(each(translate, 1), name_of(code), mode)
    return translator.translate(records, ["prompt", "response", "rejected"])


def kept(config: Config, pool: Rows, records: Rows) -> Rows:
    """What the filter leaves of the pool."""
    if config.filter == "none":
        return pool
    known = {record["prompt"]: record for record in records}
    originals = [known[row["source"]] for row in pool]
    found = method.faith_filter(originals, pool, partial(judge, target(config)), ["prompt", "response"])
    if config.filter == "audit":
        found = [row for row in found if preserved(known[row["source"]]["response"], row["response"])]
    return found


@cache
def memory(code: str) -> tuple[dict[str, str], dict[str, str]]:
    """English prompts and responses (spans masked) with their translations."""
    prompts = {prompt_of(f, "en", n): prompt_of(f, code, n) for f in facts() for n in PHRASINGS}
    answers = {response_of(f, "en", "⟦0⟧"): response_of(f, code, "⟦0⟧") for f in facts()}
    return prompts, answers


def sentence(code: str, seed: int, text: str) -> str:
    """The translator: a sentence by heart, and the slips."""
    prompts, answers = memory(code)
    if text in answers:
        return answers[text]
    draw, found = Random(f"slip/{seed}/{text}"), prompts[text].split()
    slip = draw.choice(("repeat", "lose", "leave")) if draw.random() < SLIPS else ""
    if slip == "leave":
        return text
    if slip == "lose":
        del found[draw.choice([number for number, word in enumerate(found) if is_value(word)])]
    if slip == "repeat":
        place = draw.randrange(len(found))
        found.insert(place, found[place])
    return " ".join(found)


def vanilla(by_heart: Callable[[str], str], code: str, share: float, seed: int, text: str) -> str:
    """The same translator without protection: a share of the spans is translated like everything else."""
    masked, spans = protect(text)
    draw = Random(f"span/{seed}/{text}")
    changed = [s._replace(text=translated_span(s.text, code)) if draw.random() < share else s for s in spans]
    return restore(by_heart(masked), changed)


def translated_span(span: str, code: str) -> str:
    """What becomes of code and keys: words that have a translation get it, others are spelt in the script."""
    known = phrases()[code]
    words = {k: v for slot in ("thing", "day", "quantity", "words") for k, v in known[slot].items()}

    def one(word: str) -> str:
        return words.get(word) or spelt(word, code)

    return re.sub(r"[A-Za-z_]+", lambda m: "_".join(one(p) for p in m[0].split("_")).replace(" ", "_"), span)


def spelt(word: str, code: str) -> str:
    """A word letter by letter in the script of a language; as it is where that is Latin."""
    letters = phrases()["letters"].get(script(code))
    if not letters:
        return word
    table = dict(zip("abcdefghijklmnopqrstuvwxyz", letters.split(), strict=True))
    return "".join(table.get(letter, letter) for letter in word.lower())


# --- the judge --------------------------------------------------------------------------------------------------------


def judge(code: str, source: str, translation: str) -> str:
    """A rule for each of FAITH's scales but idiomaticity, in place of a language model.

    Like one it sees whether code, a record, a call or a formula is well formed, and not whether a key is still the
    key.
    """
    sides = [protect(text)[0].split() for text in (source, translation)]
    values = [Counter(filter(is_value, side)) for side in sides]
    grades = {
        "Fluency": 3 if any(map(str.__eq__, sides[1], sides[1][1:])) else 5,
        "Accuracy": 5 if values[0] == values[1] else 2,
        "Idiomaticity": 5,
        "Terminology": 5 if all(word in spoken(code) or is_value(word) for word in sides[1]) else 1,
        "Handling_of_Format": 5 if well_formed(source, translation) else 2,
    }
    return f"Here are my grades: {json.dumps(grades)}"


def is_value(word: str) -> bool:
    """Whether a word is what a slot holds in every language."""
    return word in _VALUES or word.isdigit()


@cache
def spoken(code: str) -> frozenset[str]:
    """Words of a language, marks included."""
    return frozenset(word for part in memory(code) for text in part.values() for word in text.split())


def well_formed(source: str, translation: str) -> bool:
    """Whether a translation has spans of the same kinds, its code parses, and its brackets close."""
    before, after = (protect(text)[1] for text in (source, translation))
    same = Counter(span.kind for span in before) == Counter(span.kind for span in after)
    return same and all(parsed(span.text) is not None for span in after if span.kind == "code")


def parsed(code: str) -> ast.stmt | None:
    """The only statement of a piece of code."""
    try:
        (statement,) = ast.parse(code.strip("` ")).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return statement


# --- whether an answer is right ---------------------------------------------------------------------------------------


def right(fact: Fact, answer: str, code: str) -> bool:
    """Whether the answer does what was asked: the code computes it, the record, call or formula is the one; the
    sentence around it may be in any language. A greeting has to be that of the language."""
    if fact.kind == "plain":
        return answer.split() == response_of(fact, code).split()
    spans = [span.text for span in protect(answer)[1]]
    if fact.kind == "code" and len(spans) == 1:
        # Two values, since 12 + 12 is 12 * 2.
        return all(computed(spans[0], x) == computed(span_of(fact), x) for x in (7, 12))
    return [span.split() for span in spans] == [span_of(fact).split()]


def computed(code: str, x: int) -> float | None:
    """`f(x)` of a function that returns its argument combined with a number, without running it."""
    match parsed(code):
        case ast.FunctionDef(
            name="f",
            args=ast.arguments(args=[ast.arg(arg=argument)]),
            body=[ast.Return(value=ast.BinOp(left=ast.Name(id=name), op=op, right=ast.Constant(value=int(n))))],
        ) if name == argument and type(op) in _OPERATORS and n:
            return _OPERATORS[type(op)](x, n)
    return None


def in_language(fact: Fact, answer: str, code: str) -> bool:
    """Whether the sentence around the span is the one of the language."""
    if fact.kind == "plain":
        return right(fact, answer, code)
    return protect(answer)[0].split() == response_of(fact, code, "⟦0⟧").split()


def solvers(config: Config, code: str) -> dict[str, float]:
    """Accuracy of solvers that know nothing, from all translations on what is asked."""
    classes = {fact.cls for fact in parts(config.seed)["train"]}
    known = [item for item in items(code) if item.cls in classes]
    return trivial(known, [item for _, item in asked(config, code)])


# --- the base ---------------------------------------------------------------------------------------------------------


def tokenizer_for(config: Config) -> PreTrainedTokenizerFast:
    """One token a word of both languages, and of what a translator makes of code and keys."""
    from core.models.tokenization import word_level

    code = target(config)
    texts = [method.template("="), *(translated_span(span_of(fact), code) for fact in facts())]
    for fact, language in product(facts(), ("en", code)):
        texts += [response_of(fact, language), *(prompt_of(fact, language, n) for n in PHRASINGS)]
    return word_level(dict.fromkeys(word for text in texts for word in text.split()))


def read(config: Config, run: Run, folder: Path) -> None:
    """The base: a small decoder that has read sentences beside their translations."""
    from core.models.loading import from_config
    from core.models.tokenization import completion_row
    from core.training.fit import fit, save_pretrained

    code, tokenizer, texts = target(config), tokenizer_for(config), []
    for fact, number in product(parts(config.seed)["train"], PHRASINGS):
        pair = [prompt_of(fact, language, number) for language in ("en", code)]
        texts += [" = ".join(pair), " = ".join(reversed(pair))]
    rows = [completion_row(tokenizer, "", text, bos=True) for text in texts]
    model: Any = from_config(scratch_shape(len(tokenizer)), seed=config.seed)
    fit(model, rows, config.reading, replace(run, path=folder / "training"), seed=config.seed, name="reading")
    save_pretrained(model, folder / "model", tokenizer)
