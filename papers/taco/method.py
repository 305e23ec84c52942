"""TaCo: answer a prompt in language X by thinking in English and translating twice.

Plain instruction tuning asks the model for `o_X` given `i_X`. TaCo asks for a chain of three texts,

    p(i, o, o_X | i_X) = p(i | i_X) · p(o | i, i_X) · p(o_X | o, i, i_X),                                       (1)

the instruction in English, the response in English, the response in X: two translations around a step that the model
already masters. The output of a training record is therefore

    Instruction in English: {i}
    Response in English: {o}
    Response in Nepali: {o_X}

and only the text after the last label is the answer. The curriculum: start from a model that follows instructions in
English, then tune on chains in one language, with the loss on the output alone,

    L = - sum_t log p(y_t | y_<t, prompt) / number of output tokens.                                            (2)

    model = tune(english_model, tokenizer, nepali_records, "Nepali", ...)
    answer = parse_chain(written, "Nepali")      # three sections and `ok`; answer.response_xx is for the user
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UserError
from core.models.tokenization import completion_row
from core.tasks.instructions import alpaca
from papers.taco.config import Chain, Layout, Template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

Part = Literal["instruction_en", "response_en", "response_xx"]
Record = dict[str, str]
Row = dict[str, list[int]]

# The ablations are chains with other parts; `direct` is instruction tuning, the paper's baseline.
PARTS: dict[str, tuple[Part, ...]] = {
    "direct": ("response_xx",),
    "taco": ("instruction_en", "response_en", "response_xx"),
    "no_instruction_en": ("response_en", "response_xx"),
    "no_response_en": ("instruction_en", "response_xx"),
    "en_only": ("instruction_en", "response_en"),
}
# The released answers come from a triple-quoted string: every part but the last gets a full stop of its own, and every
# line but the first the indentation of the authors' source.
_OFFICIAL_ENDS = {"instruction_en": ".\n", "response_en": ". \n"}
_OFFICIAL_INDENT = " " * 24


@dataclass(frozen=True)
class TacoAnswer:
    """A parsed chain.

    Attributes:
        instruction_en: What the model understood; None when its label is missing.
        response_en: What it answered in English; None when its label is missing.
        response_xx: The final answer, the only part for the end user; None when its label is missing or too early.
        ok: Whether every label of the chain is there, in order.
    """

    instruction_en: str | None
    response_en: str | None
    response_xx: str | None
    ok: bool


def labels(lang_name: str, chain: Chain = "taco") -> tuple[str, ...]:
    """The labels of a chain in order, such as `Response in Nepali:`; none for `direct`.

    Args:
        lang_name: English name of the language, as in the released adapters (`Nepali`, not `ne` and not `नेपाली`).
        chain: Which parts the output has.

    Raises:
        UserError: For a language code, and for English, whose label would be that of the second part.
    """
    if lang_name.strip().lower() == "english":
        raise UserError("lang_name = 'English' would give two parts the same label: name the target language.")
    if not lang_name[:1].isupper() or lang_name.isupper():
        raise UserError(
            f"lang_name = {lang_name!r} is not an English language name: write it as in the label, such as 'Nepali'."
        )
    if chain == "direct":
        return ()
    target = {"instruction_en": "English", "response_en": "English", "response_xx": lang_name}
    return tuple(f"{part.split('_')[0].capitalize()} in {target[part]}:" for part in PARTS[chain])


def join_input(instruction: str, text: str) -> str:
    """The English instruction with its optional input on a line of its own."""
    return f"{instruction}\n{text}" if text.strip() else instruction


def render_prompt(template: Template, instruction: str, text: str = "") -> str:
    """The prompt around an instruction and its optional input.

    Args:
        template: `alpaca`, `guanaco` (that of the paper's base) or `plain`.
        instruction: In the language of the user.
        text: The input; empty for none.
    """
    if template == "alpaca":
        return alpaca(instruction, text)
    asked = join_input(instruction, text)
    return f"### Human: {asked} ### Assistant:" if template == "guanaco" else f"Question: {asked}\nAnswer:"


def render_chain(parts: Mapping[str, str], lang_name: str, chain: Chain = "taco", layout: Layout = "clean") -> str:
    """The output of a record.

    Args:
        parts: The texts by part: `instruction_en`, `response_en`, `response_xx`, as far as the chain needs them.
        lang_name: English name of the language.
        chain: Which parts the output has.
        layout: `clean` puts one part on a line; `official` is the layout of the released answers: an extra full stop
            after every part but the last and 24 spaces before every label but the first.
    """
    if chain == "direct":
        return parts["response_xx"]
    text = ""
    for name, label in zip(PARTS[chain], labels(lang_name, chain), strict=True):
        indent = _OFFICIAL_INDENT if layout == "official" and text else ""
        end = _OFFICIAL_ENDS.get(name, "") if layout == "official" else "\n"
        text += f"{indent}{label} {parts[name]}{'' if name == PARTS[chain][-1] else end}"
    return text


def parse_chain(text: str, lang_name: str, chain: Chain = "taco") -> TacoAnswer:
    """Cut a model output into its sections.

    The first occurrence of every label counts. Sections are stripped of outer white space and otherwise left as they
    are, the full stops of the official layout included. A part whose label is missing, or stands before that of an
    earlier part, is None, and then `ok` is False.
    """
    if chain == "direct":
        return TacoAnswer(None, None, text.strip() or None, bool(text.strip()))
    found: list[tuple[Part, int, int]] = []
    for part, label in zip(PARTS[chain], labels(lang_name, chain), strict=True):
        start = text.find(label)
        if start >= 0 and (not found or start >= found[-1][2]):
            found.append((part, start, start + len(label)))
    stops = [start for _, start, _ in found[1:]] + [len(text)]
    sections = {part: text[after:stop].strip() for (part, _, after), stop in zip(found, stops, strict=False)}
    # Labels before an accepted one were skipped, so a complete list is an ordered one.
    return TacoAnswer(
        sections.get("instruction_en"),
        sections.get("response_en"),
        sections.get("response_xx"),
        ok=len(found) == len(PARTS[chain]),
    )


def chain_row(
    tokenizer: PreTrainedTokenizerBase, record: Record, chain: Chain, layout: Layout, template: Template
) -> Row:
    """One training row: the prompt in X without loss, then the output with it (equation 2)."""
    prompt = render_prompt(template, record["instruction"], record["input"])
    output = render_chain(record, record["language"], chain, layout)
    return completion_row(tokenizer, prompt, output, bos=tokenizer.bos_token_id is not None)


def tune(model: Any, rows: Sequence[Row], settings: TrainingConfig, run: Run, seed: int, name: str) -> FitResult:
    """Stage 2: tune an English instruction model on chains, each a document of its own, loss on the outputs alone.

    Rows that are too long are left out: a truncated chain would teach to stop before the last label.
    """
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss

    return fit(model, rows, settings, run, loss_fn=causal_lm_loss, seed=seed, name=name)
