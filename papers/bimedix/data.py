"""Instruction data: one sample format, readers for JSONL files and hub datasets, tokenisation with an answer mask.

A sample is a dictionary, one JSON line in a file:

    {"id": "q1", "lang": "ar", "task": "mcqa", "question": "...", "options": ["...", "..."], "answer": 2,
     "messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}

`messages` is all that training needs; `question`, `options` and `answer` (index, letter or text of the right option)
make a row an evaluation item. Rows of the datasets that the paper names are recognised by their columns
(:func:`adapt`), so files may use those columns too: `question` + `opa..opd` + `cop`, `question` + `options` +
`answer_idx`, `question` + `choices` + `answer`, `question` + `context` + `final_decision`, `instruction`/`input` +
`output`, `question` + `answer`, `conversations` with `from`/`value`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import parse_json
from core.tasks.choices import LETTERS, lettered

Row = Mapping[str, Any]
Sample = dict[str, Any]

REQUEST = {"en": "Choose the correct option.", "ar": "اختر الإجابة الصحيحة."}
DECISIONS = {"en": ("yes", "no", "maybe"), "ar": ("نعم", "لا", "ربما")}
ROLES = {
    "human": "user",
    "user": "user",
    "patient": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "doctor": "assistant",
}
# For tokenizers that have no template: the turn markers of Mistral's instruction models.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}"
    "{% else %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% endif %}{% endfor %}"
)


# --------------------------------------------------------------------------------------------- rows to samples


def adapt(row: Row, lang: str) -> Sample:
    """Turn a row of any dataset that the paper uses into a sample, by the columns that it has.

    Args:
        row: One row.
        lang: Language of the row, unless it says its own (`lang` or `language`).

    Raises:
        UserError: If no known set of columns is there, or the answer is none of the options.
    """
    known: tuple[tuple[tuple[str, ...], Callable[[Row, str], Sample]], ...] = (
        (("question", "opa", "opb", "opc", "opd", "cop"), _medmcqa),
        (("question", "final_decision"), _pubmedqa),
        (("question", "options"), _options),
        (("question", "choices", "answer"), _options),
        (("messages",), _messages),
        (("conversations",), _conversations),
        (("instruction", "output"), _instruction),
        (("question", "answer"), _question),
    )
    lang = str(row.get("lang") or row.get("language") or lang)
    for columns, adapter in known:
        if all(row.get(column) is not None for column in columns):
            return {"lang": lang, **adapter(row, lang)}
    raise UserError(
        f"A row with the columns {', '.join(row)} is not understood: give `messages`, or `question` with `options` "
        "and `answer`, or `instruction` and `output`."
    )


def multiple_choice(question: str, options: Sequence[str], answer: int, lang: str) -> Sample:
    """A multiple-choice sample: options one a line with letters, then a request; answered by letter and text."""
    prompt = "\n".join((question, lettered(options), REQUEST.get(lang, REQUEST["en"])))
    return {
        "task": "mcqa",
        "question": question,
        "options": list(options),
        "answer": answer,
        "messages": dialogue(prompt, f"{LETTERS[answer]}. {options[answer]}"),
    }


def dialogue(*turns: str) -> list[dict[str, str]]:
    """Alternating turns, the user's first."""
    return [{"role": ("user", "assistant")[i % 2], "content": turn} for i, turn in enumerate(turns)]


def _medmcqa(row: Row, lang: str) -> Sample:
    options = [row[f"op{letter}"] for letter in "abcd"]
    return multiple_choice(row["question"], options, answer_index(row["cop"], options), lang)


def _options(row: Row, lang: str) -> Sample:
    """MedQA (`options` by letter and `answer_idx`), MMLU (`choices` and `answer`) and our own samples."""
    options = row.get("options") or row.get("choices")
    texts = [options[letter] for letter in sorted(options)] if isinstance(options, Mapping) else list(options or [])
    given = row.get("answer_idx") if row.get("answer_idx") is not None else row.get("answer")
    sample = multiple_choice(row["question"], texts, answer_index(given, texts), lang)
    return {**sample, **({"messages": list(row["messages"])} if row.get("messages") else {})}


def _pubmedqa(row: Row, lang: str) -> Sample:
    """The abstract belongs into the prompt: without it the question is about an unknown study."""
    context = row.get("context") or row.get("contexts") or ""
    if isinstance(context, Mapping):
        context = context["contexts"]
    abstract = context if isinstance(context, str) else " ".join(context)
    decisions = DECISIONS.get(lang, DECISIONS["en"])
    names = [*DECISIONS["en"], *decisions]
    given = normalize_arabic(str(row["final_decision"]).strip().lower())
    matches = [i % 3 for i, name in enumerate(names) if normalize_arabic(name) == given]
    if not matches:
        raise UserError(f"final_decision = {row['final_decision']!r} is none of {', '.join(names)}.")
    return multiple_choice(f"{abstract}\n{row['question']}".strip(), decisions, matches[0], lang)


def _messages(row: Row, lang: str) -> Sample:
    return {"task": row.get("task", "chat"), "messages": [_turn(m["role"], m["content"]) for m in row["messages"]]}


def _conversations(row: Row, lang: str) -> Sample:
    turns = row["conversations"]
    turns = parse_json(turns, "conversations") if isinstance(turns, str) else turns
    return {"task": "chat", "messages": [_turn(turn["from"], turn["value"]) for turn in turns]}


def _turn(role: str, content: str) -> dict[str, str]:
    if role.lower() not in ROLES:
        raise UserError(f"A turn by {role!r} is not understood: roles are {', '.join(ROLES)}.")
    return {"role": ROLES[role.lower()], "content": content}


def _instruction(row: Row, lang: str) -> Sample:
    prompt = "\n".join(filter(None, (row["instruction"], row.get("input") or "")))
    return {"task": "qa", "messages": dialogue(prompt, row["output"])}


def _question(row: Row, lang: str) -> Sample:
    return {"task": "qa", "messages": dialogue(row["question"], str(row["answer"]))}


def answer_index(given: Any, options: Sequence[str]) -> int:
    """Index of the right option from an index (int or digits), a letter or the option's text.

    Raises:
        UserError: If it is none of the options.
    """
    if isinstance(given, int) and 0 <= given < len(options):
        return given
    text = str(given).strip()
    exact = [i for i, option in enumerate(options) if normalize_arabic(option) == normalize_arabic(text)]
    if len(exact) == 1:
        return exact[0]
    if len(text) == 1 and text.upper() in LETTERS[: len(options)]:
        return LETTERS.index(text.upper())
    if text.isdigit() and int(text) < len(options):
        return int(text)
    raise UserError(f"The answer {given!r} is none of the {len(options)} options {list(options)}.")


def normalize_arabic(text: str) -> str:
    """For comparing strings only, never for training: no diacritics, no tatweel, one form of alef, single spaces."""
    stripped = "".join(
        c for c in unicodedata.normalize("NFC", text) if not "\u064b" <= c <= "\u0652" and c not in "\u0640\u0670"
    )
    return re.sub(r"\s+", " ", re.sub("[\u0622\u0623\u0625\u0671]", "\u0627", stripped)).strip()


# ------------------------------------------------------------------------------------------------ files and hub


def read_samples(sources: Iterable[str], lang: str) -> list[Sample]:
    """Read and adapt the rows of JSONL files and hub datasets, in the order given.

    Args:
        sources: Paths of JSONL files, or `owner/name`, optionally with `#subset` and `@split` (train by default).
        lang: Language that is wanted; rows which say another one are left out.

    Returns:
        Samples with `id` (the row number where a file has none) and `source`; of several sources the id begins with
        the source's position, so that the n-th sources of two languages can be paired.

    Raises:
        UserError: Names the source and line that cannot be read.
    """
    samples, sources = [], list(sources)
    for position, source in enumerate(sources):
        prefix = f"{position}/" if len(sources) > 1 else ""

        def sample_of(row: Row, number: int, source: str = source, prefix: str = prefix) -> Sample:
            return {"id": f"{prefix}{row.get('id', number)}", "source": source, **adapt(row, lang)}

        samples += [sample for sample in adapted(source, read_rows(source), sample_of) if sample["lang"] == lang]
    if not samples:
        raise UserError(f"No samples in the language {lang!r} in {', '.join(sources) or 'no files'}.")
    return samples


# ------------------------------------------------------------------------------------------------- tokenisation


def encode(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], max_length: int | None = None
) -> dict[str, list[int]]:
    """Token ids of a dialogue and labels on the assistant's tokens only (-100 elsewhere).

    The loss covers every assistant turn with its end-of-sequence token. Long dialogues are cut by tokens, not by
    characters: Arabic has more tokens a character.

    Args:
        tokenizer: A fast tokenizer; its own chat template is used, Mistral's where it has none.
        messages: Alternating turns.
        max_length: Tokens to keep.

    Raises:
        UserError: If the chat template is no concatenation of turns.
    """
    text, spans = "", []
    for position, message in enumerate(messages):
        opened = render(tokenizer, messages[:position], prompt=True) if position else ""
        longer = render(tokenizer, messages[: position + 1])
        if not longer.startswith(text):
            raise UserError(
                "The tokenizer's chat template rewrites earlier turns: answers cannot be found in its text."
            )
        if message["role"] == "assistant":
            spans.append((len(opened) if longer.startswith(opened) else len(text), len(longer)))
        text = longer
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    labels = [
        token if any(start <= left and right <= end and left < right for start, end in spans) else -100
        for token, (left, right) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    return {"input_ids": encoded["input_ids"][:max_length], "labels": labels[:max_length]}


def render(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, prompt: bool = False) -> str:
    """The dialogue as one string; with `prompt` it ends where the assistant starts to answer."""
    template = None if getattr(tokenizer, "chat_template", None) else CHAT_TEMPLATE
    return tokenizer.apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=prompt, chat_template=template
    )


def continuation(tokenizer: Any, messages: Sequence[Mapping[str, str]], answer: str) -> tuple[str, str]:
    """The prompt after which the assistant says `answer`, and the answer with the space before it."""
    prompt = render(tokenizer, messages, prompt=True)
    full = render(tokenizer, [*messages, {"role": "assistant", "content": answer}])
    start = len(prompt) if full.startswith(prompt) else len(render(tokenizer, messages))
    return full[:start], full[start : full.rindex(answer) + len(answer)]


def evaluation_items(samples: Iterable[Sample]) -> list[Sample]:
    """The samples that are multiple-choice questions."""
    return [sample for sample in samples if sample.get("task") == "mcqa" and sample.get("question")]
