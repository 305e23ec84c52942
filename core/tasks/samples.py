"""Instructions, conversations and multiple-choice questions in one format, whatever columns they come with.

A sample is a dictionary, one JSON line in a file:

    {"id": "q1", "lang": "ar", "task": "mcqa", "question": "...", "options": ["...", "..."], "answer": 2,
     "messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}

`messages` is all that training needs; `question`, `options` and `answer` (index, letter or text of the right option)
make a row an evaluation item. :func:`adapt` recognises rows by their columns: `question` + `opa..opd` + `cop`
(MedMCQA), `question` + `options` + `answer_idx` (MedQA), `question` + `choices` + `answer` (MMLU), `question` +
`context` + `final_decision` (PubMedQA), `messages` (UltraChat), `conversations` with `from`/`value` (SlimOrca),
`instruction`/`input` + `output` (Alpaca, BELLE), `question` + `answer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.errors import UserError
from core.files import parse_json
from core.inference.chat import render
from core.tasks.choices import LETTERS, Question, lettered
from core.text.normalize import normalize_arabic
from core.text.scripts import in_script_share

Row = Mapping[str, Any]
Sample = dict[str, Any]

REQUEST = {"en": "Choose the correct option.", "ar": "اختر الإجابة الصحيحة."}
DECISIONS = {"en": ("yes", "no", "maybe"), "ar": ("نعم", "لا", "ربما")}
ROLES = {
    "human": "user", "user": "user", "patient": "user", "tool": "user", "function": "user", "gpt": "assistant",
    "assistant": "assistant", "model": "assistant", "doctor": "assistant", "system": "system",
}  # fmt: skip
# For tokenizers that have no template: the turn markers of Mistral's instruction models.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}"
    "{% else %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% endif %}{% endfor %}"
)


def adapt(row: Row, lang: str) -> Sample:
    """Turn a row into a sample, by the columns that it has.

    Args:
        row: One row.
        lang: Language that is wanted: that of the request and the words for yes, no and maybe, unless the row says
            its own (`lang` or `language`), which then stands in the sample. Where an instruction has columns of that
            language (`instruction_zh`, `input_zh`, `output_zh`), they are taken.

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
    said = str(row.get("lang") or row.get("language") or "")
    if row.get(f"instruction_{said or lang}"):
        own = {name: row.get(f"{name}_{said or lang}") for name in ("instruction", "input", "output")}
        row = {**row, **own}
    for columns, adapter in known:
        if all(row.get(column) is not None for column in columns):
            return {"lang": said, **adapter(row, said or lang)}
    raise UserError(
        f"A row with the columns {', '.join(row)} is not understood: give `messages`, or `question` with `options` "
        "and `answer`, or `instruction` and `output`."
    )


def lesson(row: Row, lang: str) -> Sample:
    """A row as a sample to learn from: all its turns are texts, and one at least is the assistant's and not empty.

    Raises:
        UserError: As :func:`adapt`, or there is no such turn.
    """
    sample = adapt(row, lang)
    turns = sample["messages"]
    if not all(isinstance(turn["content"], str) for turn in turns) or not any(
        turn["role"] == "assistant" and turn["content"].strip() for turn in turns
    ):
        raise UserError("There is no answer to learn: give texts, of which one at least is the assistant's.")
    return sample


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
    given = _plain(str(row["final_decision"]).strip().lower())
    matches = [i % 3 for i, name in enumerate(names) if _plain(name) == given]
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
    parts = (row["instruction"].strip(), (row.get("input") or "").strip())
    return {"task": "qa", "messages": dialogue("\n".join(filter(None, parts)), row["output"].strip())}


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
    exact = [i for i, option in enumerate(options) if _plain(option) == _plain(text)]
    if len(exact) == 1:
        return exact[0]
    if len(text) == 1 and text.upper() in LETTERS[: len(options)]:
        return LETTERS.index(text.upper())
    if text.isdigit() and int(text) < len(options):
        return int(text)
    raise UserError(f"The answer {given!r} is none of the {len(options)} options {list(options)}.")


def _plain(text: str) -> str:
    """For comparing: no vowel signs, one form of alef, single spaces."""
    return " ".join(normalize_arabic(text, digits=False).split())


def is_in(sample: Sample, lang: str) -> bool:
    """Whether a sample is in a language: what it says itself, or else whether most of its letters are in its script."""
    if sample["lang"]:
        return bool(sample["lang"] == lang)
    # Of a question alone: what is added to it as a request is in the language that is wanted.
    text = sample.get("question") or " ".join(turn["content"] for turn in sample["messages"])
    share = in_script_share(text, lang)
    return not share < 0.5  # a text without letters (NaN) is in any language


# --- as it is asked ---------------------------------------------------------------------------------------------


def question(tokenizer: Any, sample: Sample, *, letters: bool = False) -> Question:
    """An item as it is asked: the bare question with the options' texts, or with its options and their letters."""
    messages = sample["messages"][:1] if letters else dialogue(sample["question"])
    options = LETTERS[: len(sample["options"])] if letters else sample["options"]
    prompt = render(tokenizer, messages, prompt=True)
    full = [render(tokenizer, [*messages, {"role": "assistant", "content": option}]) for option in options]
    # What the template writes between the prompt and the answer belongs to the answer.
    start = len(prompt) if full[0].startswith(prompt) else len(render(tokenizer, messages))
    choices = (text[start : text.rindex(option) + len(option)] for text, option in zip(full, options, strict=True))
    return Question(sample["id"], full[0][:start], tuple(choices), sample["answer"], texts=tuple(sample["options"]))
