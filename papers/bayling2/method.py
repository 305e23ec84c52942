"""BayLing 2: align languages by the data alone, with a star of translation instructions around two pivot languages.

Task instructions are plentiful in the pivots (English, Chinese) and missing elsewhere. The training set is

    D = D_en + D_zh + D_x,     D_x = {translate p -> x, x -> p : p a pivot, x another language} + {en <-> zh}

shuffled together, and training is one run of ordinary instruction tuning with the loss on the responses,

    L = - sum_t log p(y_t | y_<t, instruction).

There is no alignment loss. The three things below are the whole method: the requests of D_x (`cross_lingual_block`),
the mixture by shares (`star_mixture`), and the layout of a conversation (`format_prompt`).

    star_mixture({"en": english, "zh": chinese}, [Bitext("sw", "en", pairs)], {"en": .262, "zh": .432, "xling": .306})
    format_prompt([{"role": "user", "content": "Hi"}], template="bayling2-llama3")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from core.errors import UserError
from core.text import sampling

Message = Mapping[str, str]
Row = dict[str, Any]
Directions = Literal["both", "to_pivot", "from_pivot"]
Template = Literal["bayling2-llama2", "bayling2-llama3", "plain"]
XLING = "xling"

# --- requests -----------------------------------------------------------------------------------------------------

# Four wordings name the target language, four name both. BayLing 2's own are not published; these are ours, after the
# kind of request that its predecessor used, in both pivots.
WORDINGS: dict[str, tuple[str, ...]] = {
    "en": (
        "Translate the following text into {target}.\n{text}",
        "Please translate this into {target}:\n{text}",
        'What is the {target} translation of "{text}"?',
        "Give me the {target} version of the text below.\n{text}",
        "Translate the following text from {source} into {target}.\n{text}",
        "Here is a text in {source}. Write it in {target}.\n{text}",
        'How do you say the {source} text "{text}" in {target}?',
        "{source} to {target}:\n{text}",
    ),
    "zh": (
        "把下面的文字翻译成{target}。\n{text}",
        "请将以下内容译为{target}：\n{text}",
        "“{text}”用{target}怎么说？",
        "请给出下面这段话的{target}译文。\n{text}",
        "把下面的{source}翻译成{target}。\n{text}",
        "下面是一段{source}文字，请用{target}写出来。\n{text}",
        "{source}“{text}”翻译成{target}是什么？",
        "从{source}翻译到{target}：\n{text}",
    ),
}


def language_name(code: str, request_language: str) -> str:
    """Name of a language in the language of the request: `("de", "zh")` -> `德语`."""
    import langcodes

    from core.text.languages import language

    return langcodes.get(language(code).bcp47).display_name(request_language)


def cross_lingual_request(
    text: str,
    source: str,
    target: str,
    wording: str,
    request_language: str = "en",
    name: Callable[[str, str], str] = language_name,
) -> str:
    """A translation task as a plain instruction; the answer is the bare translation.

    Args:
        text: What to translate.
        source: Code of its language.
        target: Code of the language to translate into.
        wording: With `{text}`, `{target}` and optionally `{source}`.
        request_language: The pivot that the request is written in; it need not be one of the two languages.
        name: (code, request language) -> what stands for `{source}` and `{target}`.
    """
    return wording.format(text=text, source=name(source, request_language), target=name(target, request_language))


# --- the star -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bitext:
    """Sentences of one spoke of the star (or of the axis between two pivots).

    Attributes:
        language: Code of the language; another pivot on the axis.
        pivot: Code of the pivot.
        rows: Mappings with both codes as keys, and optionally `key`.
    """

    language: str
    pivot: str
    rows: Sequence[Mapping[str, Any]]


def star_edges(
    parallel: Sequence[Bitext], pivots: Sequence[str], directions: Directions = "both"
) -> dict[str, list[tuple[str, str, Bitext]]]:
    """Directed edges of the star, grouped by spoke.

    Args:
        parallel: The bitexts.
        pivots: The hubs.
        directions: Keep both directions of a spoke, or one. The axis between pivots always has both: either end is a
            pivot.

    Returns:
        `{language: [(source, target, bitext), ...]}`; the axis of two pivots is the spoke `en-zh`.

    Raises:
        UserError: A bitext that does not touch a pivot: the star has no edges between other languages.
    """
    edges: dict[str, list[tuple[str, str, Bitext]]] = {}
    for bitext in parallel:
        if bitext.pivot not in pivots or bitext.language == bitext.pivot:
            raise UserError(
                f"The parallel text {bitext.language}-{bitext.pivot} is no edge of a star around {', '.join(pivots)}: "
                "name a pivot as its second language."
            )
        axis = bitext.language in pivots
        spoke = edges.setdefault("-".join(sorted((bitext.language, bitext.pivot))) if axis else bitext.language, [])
        if axis or directions != "from_pivot":
            spoke.append((bitext.language, bitext.pivot, bitext))
        if axis or directions != "to_pivot":
            spoke.append((bitext.pivot, bitext.language, bitext))
    return edges


def cross_lingual_block(
    parallel: Sequence[Bitext],
    pivots: Sequence[str],
    *,
    per_language: int | None = None,
    directions: Directions = "both",
    wordings: Mapping[str, Sequence[str]] = WORDINGS,
    name: Callable[[str, str], str] = language_name,
    seed: int = 0,
) -> list[Row]:
    """D_x: translation tasks along the edges of the star.

    Args:
        parallel: Bitexts between pivots and other languages, and between pivots.
        pivots: The hubs.
        per_language: At most so many examples per spoke, drawn from all its pivots and directions; None = all.
        directions: See :func:`star_edges`.
        wordings: Request wordings by request language; each example draws a pivot among them, then a wording.
        name: See :func:`cross_lingual_request`.
        seed: Of the draws. A spoke's draws do not depend on the other spokes, nor on `per_language`: a smaller budget
            is a subset of a larger one.

    Raises:
        UserError: No wording in any pivot, or a bitext outside the star.
    """
    asked = [pivot for pivot in pivots if wordings.get(pivot)]
    if not asked:
        raise UserError(f"There are no request wordings in {', '.join(pivots)}: give wordings for one of the pivots.")
    rows = []
    for spoke, edges in star_edges(parallel, pivots, directions).items():
        random = Random(f"{seed}/{spoke}")
        examples = [(source, target, row) for source, target, bitext in edges for row in bitext.rows]
        random.shuffle(examples)
        for number, (source, target, pair) in enumerate(examples[: per_language or None]):
            pivot = random.choice(asked)
            request = cross_lingual_request(pair[source], source, target, random.choice(wordings[pivot]), pivot, name)
            rows.append(
                instruction(
                    request, pair[target], block=XLING, source=source, target=target,
                    key=f"{spoke}/{pair.get('key', number)}",
                )
            )  # fmt: skip
    return rows


def instruction(request: str, response: str, *, block: str, source: str, target: str = "", key: str = "") -> Row:
    """One single-turn example in the format of the mixture.

    Args:
        request: What the user says.
        response: What the assistant says.
        block: Part of the mixture that it belongs to.
        source: Code of the language of the text.
        target: Code of the language of the response, where that is another one.
        key: Identifies the example.
    """
    messages = [{"role": "user", "content": request}, {"role": "assistant", "content": response}]
    return {"messages": messages, "block": block, "source": source, "target": target or source, "key": key}


# --- the mixture --------------------------------------------------------------------------------------------------


def mix_blocks(
    blocks: Mapping[str, Sequence[Row]], shares: Mapping[str, float], *, total: int | None = None, seed: int = 0
) -> list[Row]:
    """Draw from every block by its share and shuffle everything together: one stage, no curriculum.

    Args:
        blocks: Examples by block.
        shares: Weights of the blocks that take part; they need not sum to 1.
        total: Size of the mixture; a block smaller than its part is repeated, evenly. None = as large as possible
            without repeating an example.
        seed: Of draws and order.

    Raises:
        UserError: A share for a block that is empty or not there, or no positive share.
    """
    wanted = {name: share for name, share in shares.items() if share > 0}
    if not wanted:
        raise UserError("The mixture is empty: give at least one block a positive share.")
    for name in wanted:
        if not blocks.get(name):
            raise UserError(
                f"The block {name!r} has a share of {wanted[name]:g} but no examples: add some or set it to 0."
            )
    whole = sum(wanted.values())
    if total is None:
        total = int(min(len(blocks[name]) * whole / share for name, share in wanted.items()))
    # Weights as whole millionths, so that the parts add up to the total exactly.
    sizes = sampling.allocate({name: round(1e6 * share / whole) for name, share in wanted.items()}, total)
    mixture: list[Row] = []
    for name, size in sizes.items():
        rounds, rest = divmod(size.draws, len(blocks[name]))
        mixture += [*blocks[name]] * rounds + Random(f"{seed}/{name}").sample(list(blocks[name]), rest)
    Random(seed).shuffle(mixture)
    return mixture


def star_mixture(
    pivots: Mapping[str, Sequence[Row]],
    parallel: Sequence[Bitext],
    shares: Mapping[str, float],
    *,
    extra: Mapping[str, Sequence[Row]] | None = None,
    per_language: int | None = None,
    directions: Directions = "both",
    wordings: Mapping[str, Sequence[str]] = WORDINGS,
    name: Callable[[str, str], str] = language_name,
    total: int | None = None,
    seed: int = 0,
) -> list[Row]:
    """D = D_en + D_zh + D_x: task instructions in the pivots, translation tasks around them, shuffled.

    Args:
        pivots: Examples with `messages` by pivot.
        parallel: Bitexts between pivots and other languages.
        shares: Share of each pivot's instructions, of `xling`, and of the blocks in `extra`; 0 leaves a block out
            (the ablation without cross-lingual instructions is `xling` at 0).
        extra: Further blocks (controls, the oracle).
        per_language: Budget of translation examples per language.
        directions: Of the translation tasks.
        wordings: Of the requests.
        name: Of the languages in the requests.
        total: Size of the mixture.
        seed: Of all draws.

    Returns:
        Examples with `messages`, `block`, `source`, `target` and `key`.
    """
    blocks: dict[str, Sequence[Row]] = {**pivots, **(extra or {})}
    if shares.get(XLING):
        blocks[XLING] = cross_lingual_block(
            parallel,
            list(pivots),
            per_language=per_language,
            directions=directions,
            wordings=wordings,
            name=name,
            seed=seed,
        )
    return mix_blocks(blocks, shares, total=total, seed=seed)


def manifest(rows: Sequence[Row]) -> dict[str, Any]:
    """What a mixture holds: examples and shares by block, by direction of translation, and by language.

    `languages` counts for each language the examples of every block that are in it, or translate from or into it;
    `distinct_per_language` counts the different translation examples of every spoke (`en-zh` is the axis).
    """
    blocks = Counter(row["block"] for row in rows)
    translations = [row for row in rows if row["block"] == XLING]
    edges = Counter(f"{row['source']}-{row['target']}" for row in translations)
    distinct = {(row["key"].split("/")[0], row["source"], row["target"], row["key"]) for row in translations}
    languages: dict[str, dict[str, int]] = {}
    for row in rows:
        for code in {row["source"], row["target"]}:
            counts = languages.setdefault(code, {})
            counts[row["block"]] = counts.get(row["block"], 0) + 1
    return {
        "examples": len(rows),
        "distinct": len({(row["block"], row["source"], row["target"], row["key"]) for row in rows}),
        "blocks": {name: {"examples": n, "share": n / len(rows)} for name, n in sorted(blocks.items())},
        "directions": dict(sorted(edges.items())),
        "distinct_per_language": dict(sorted(Counter(spoke for spoke, *_ in distinct).items())),
        "languages": dict(sorted(languages.items())),
    }


# --- conversations ------------------------------------------------------------------------------------------------

SYSTEM = {
    "bayling2-llama2": "I am an intelligent language assistant developed by the NLP Group of ICT/CAS.\n"
    "Below is a dialog consisting of instructions and responses. Write a response that completes the request.",
    "bayling2-llama3": "I am BayLing developed by the NLP Group of ICT/CAS.",
    "plain": "",
}
# Ids on which the official client stops; <|eot_id|> is 128009.
STOP_IDS = {"bayling2-llama2": (2,), "bayling2-llama3": (2, 128001, 128009), "plain": (2,)}
# Defaults of the official client.
SAMPLING = {"temperature": 0.7, "max_new_tokens": 512}

# The same layouts for tokenizer.apply_chat_template, after the begin token, which the official strings leave to the
# tokenizer.
_SPLIT_SYSTEM = r"""
{%- if messages[0]['role'] == 'system' -%}{%- set system = messages[0]['content'] -%}{%- set turns = messages[1:] -%}
{%- else -%}{%- set system = DEFAULT -%}{%- set turns = messages -%}{%- endif -%}
{{- bos_token -}}
"""
CHAT_TEMPLATES: dict[str, str] = {
    "bayling2-llama2": _SPLIT_SYSTEM.replace("DEFAULT", repr(SYSTEM["bayling2-llama2"]))
    + r"""
{{- system + '\n\n' -}}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}{{- '### Instruction:\n' + message['content'] + '\n' -}}
{%- else -%}{{- '### Response:\n' + message['content'] + eos_token + '\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### Response:\n' -}}{%- endif -%}
""",
    "bayling2-llama3": _SPLIT_SYSTEM.replace("DEFAULT", repr(SYSTEM["bayling2-llama3"]))
    + r"""
{%- for message in [{'role': 'system', 'content': system}] + turns -%}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}
""",
    "plain": r"""
{{- bos_token -}}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}{{- message['content'] + ' = ' -}}
{%- else -%}{{- message['content'] + eos_token -}}{%- endif -%}
{%- endfor -%}
""",
}


def format_prompt(messages: Sequence[Message], template: Template = "bayling2-llama2") -> str:
    """A conversation as the released checkpoints read it; after a user's turn, up to where the response begins.

    The begin token is left to the tokenizer, as in the official code (its Llama-3 template assigns the begin token and
    then overwrites it). Llama-3 messages are stripped, Llama-2 messages are not.

    Args:
        messages: Turns with `role` (`user`, `assistant`) and `content`; a first `system` turn replaces the template's.
        template: `bayling2-llama2` (7B, 13B), `bayling2-llama3` (8B), or `plain` for scratch models.

    Raises:
        UserError: No message, or a role that the template does not know.
    """
    _check(messages, template)
    turns = list(messages)
    system = turns.pop(0)["content"] if turns[0]["role"] == "system" else SYSTEM[template]
    if template == "bayling2-llama3":
        text = "".join(
            f"<|start_header_id|>{turn['role']}<|end_header_id|>\n\n{turn['content'].strip()}<|eot_id|>"
            for turn in ({"role": "system", "content": system}, *turns)
        )
        opening = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    elif template == "bayling2-llama2":
        user, assistant = "### Instruction:\n{}\n", "### Response:\n{}</s>\n"
        said = ((user if turn["role"] == "user" else assistant).replace("{}", turn["content"]) for turn in turns)
        text, opening = f"{system}\n\n" + "".join(said), "### Response:\n"
    else:
        return "".join(
            f"{turn['content']} = " if turn["role"] == "user" else f"{turn['content']}</s>" for turn in turns
        )
    return text + (opening if messages[-1]["role"] != "assistant" else "")


def _check(messages: Sequence[Message], template: str) -> None:
    if template not in CHAT_TEMPLATES:
        raise UserError(f"There is no template {template!r}: choose one of {', '.join(CHAT_TEMPLATES)}.")
    if not [message for message in messages if message["role"] != "system"]:
        raise UserError("The conversation has no turn: give at least one message with role 'user'.")
    for number, message in enumerate(messages):
        if message["role"] not in ("user", "assistant") and not (number == 0 and message["role"] == "system"):
            raise UserError(f"Message {number} has the role {message['role']!r}: use 'user' and 'assistant'.")


def choose_template(tokenizer: Any) -> Template:
    """The template that belongs to a tokenizer: Llama-3's if it has `<|eot_id|>`, else Llama-2's.

    The official client looks for `bayling-llama-3` in the model's path, which the hub id of the released 8B model does
    not contain, and so talks to it in the wrong template.
    """
    return "bayling2-llama3" if "<|eot_id|>" in tokenizer.get_vocab() else "bayling2-llama2"
