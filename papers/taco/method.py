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

    rows = [chain_row(tokenizer, record, "taco", "clean", "alpaca") for record in nepali_records]
    tune(english_model, rows, settings, run, seed=0, name="tune-Nepali")
    answer = parse_chain(written, "Nepali")      # three sections and `ok`; answer.final is for the user
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

# `direct` is instruction tuning, the paper's baseline; the ablation is a chain with fewer parts.
PARTS: dict[str, tuple[Part, ...]] = {
    "direct": ("response_xx",),
    "taco": ("instruction_en", "response_en", "response_xx"),
    "no_instruction_en": ("response_en", "response_xx"),
}
# What follows a part. The released answers come from a triple-quoted string: every part but the last has a full stop of
# its own, and before the next label stands the indentation of the authors' source.
_INDENT = "\n" + 24 * " "
_ENDS: dict[Layout, dict[Part, str]] = {
    "clean": {"instruction_en": "\n", "response_en": "\n", "response_xx": ""},
    "official": {"instruction_en": f".{_INDENT}", "response_en": f". {_INDENT}", "response_xx": ""},
}


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

    @property
    def final(self) -> str:
        """What may be shown and graded: the final answer of a whole chain, empty for one that was cut."""
        return (self.response_xx or "") if self.ok else ""


def labels(lang_name: str, chain: Chain = "taco") -> tuple[str, ...]:
    """The labels of a chain in order, such as `Response in Nepali:`; none for `direct`.

    Raises:
        UserError: `lang_name` is no English name of a language, as in the released adapters (`Nepali`, not `ne` and not
            `नेपाली`), or it is English, whose label would be that of the second part.
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
    """The prompt around an instruction in the user's language and its input, empty for none."""
    if template == "alpaca":
        return alpaca(instruction, text)
    return f"Question: {join_input(instruction, text)}\nAnswer:"


def render_chain(parts: Mapping[str, str], lang_name: str, chain: Chain = "taco", layout: Layout = "clean") -> str:
    """The output of a record (equation 1), from the texts of the parts that the chain has."""
    if chain == "direct":
        return parts["response_xx"]
    labelled = zip(labels(lang_name, chain), PARTS[chain], strict=True)
    return "".join(f"{label} {parts[part]}{_ENDS[layout][part]}" for label, part in labelled)


def parse_chain(text: str, lang_name: str, chain: Chain = "taco") -> TacoAnswer:
    """Cut a model output into its sections.

    The first occurrence of every label counts. Sections are stripped of outer white space and otherwise left as they
    are, the full stops of the official layout included. A part whose label is missing, or stands before that of an
    earlier part, is None, and then `ok` is False.
    """
    if chain == "direct":
        return TacoAnswer(None, None, text.strip() or None, bool(text.strip()))
    found: list[tuple[Part, int, int]] = []
    end = 0
    for part, label in zip(PARTS[chain], labels(lang_name, chain), strict=True):
        if (start := text.find(label)) >= end:
            end = start + len(label)
            found.append((part, start, end))
    stops = [start for _, start, _ in found[1:]] + [len(text)]
    sections = {part: text[after:stop].strip() for (part, _, after), stop in zip(found, stops, strict=False)}
    # Labels before an accepted one were skipped, so a complete list is an ordered one.
    understood, answered, final = map(sections.get, PARTS["taco"])
    return TacoAnswer(understood, answered, final, ok=len(found) == len(PARTS[chain]))


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
