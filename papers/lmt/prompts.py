"""Prompting LMT: its languages and who helps whom, what the model reads, the three ways to translate.

    dt       the standard prompt
    pmp_s    first a draft in the auxiliary language by the same model, then the parallel prompt with that draft
    pmp_o    the parallel prompt with given sentences in the auxiliary language

The wording is that of the released code (`src/utils.py`, `src/inference.py`). `languages.tsv` holds facts of the paper
(Sections 3 and B, Table 12) and of that code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.corpora.files import table_rows
from core.inference.chat import render
from core.tasks.samples import dialogue
from core.tasks.translation import Segment, few_shot
from core.text.languages import match
from core.text.languages import name as cldr_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Mode = Literal["dt", "pmp_s", "pmp_o"]
PIVOTS = ("en", "zh")
_ROWS = [row for _, row in table_rows(Path(__file__).with_name("languages.tsv"))]
# Names as the released prompts spell them; some are ISO 639-2 names that nobody uses in running text.
LANGUAGE_NAMES = {row["code"]: row["name"] for row in sorted(_ROWS, key=lambda row: row["code"])}
# high, medium or low = share of the language in CulturaX: above 1 %, 0.1 to 1 %, below 0.1 % (Section 3).
TIERS = {row["code"]: row["tier"] for row in _ROWS if row["tier"]}
LANGUAGES = tuple(TIERS)
# Table 12: the auxiliary language of En <-> X. Zh <-> X always takes English; a language that is absent has none.
AUXILIARY = {row["code"]: row["auxiliary"] for row in _ROWS if row["auxiliary"]}


@cache
def _listed(code: str) -> str:
    return match(code, LANGUAGE_NAMES) or code  # `fil` is the table's `tl`


def language_name(code: str) -> str:
    """The name of a language in the prompts: the released table's, under any code (`iw`, `fil`), CLDR's, or a label."""
    return LANGUAGE_NAMES.get(_listed(code)) or cldr_name(code)


def auxiliary_for(
    source: str, target: str, pivots: Sequence[str] = PIVOTS, auxiliaries: Mapping[str, str] = AUXILIARY
) -> str | None:
    """The auxiliary language of a direction, if any: Table 12 for pairs with the first pivot, else the first pivot."""
    first = pivots[0]
    if first not in (source, target):
        return first
    code = target if source == first else source
    found = auxiliaries.get(code) or auxiliaries.get(_listed(code))
    return found if found not in (source, target) else None


@dataclass(frozen=True)
class Example(Segment):
    """One pair of the fine-tuning set; with an auxiliary sentence it is shown as PMP, otherwise as STP."""

    auxiliary: str | None = None
    auxiliary_text: str | None = None

    def prompt(self, *, tags: bool = False) -> str:
        """The standard or the parallel prompt (Figure 4), up to where the translation begins, without trailing space.

        With `tags` it is that of a model without instructions: `<de>text<nl>auxiliary text<en>`.
        """
        shown = [(self.source, self.source_text)]
        if self.auxiliary and self.auxiliary_text is not None:
            shown.append((self.auxiliary, self.auxiliary_text))
        if tags:
            return "".join(f"<{code}>{sentence}" for code, sentence in shown) + f"<{self.target}>"
        names = [language_name(code) for code in (*(code for code, _ in shown), self.target)]
        header = f"Translate the following text from {names[0]} into {' and '.join(names[1:])}:"
        lines = [f"{name}: {sentence}" for name, (_, sentence) in zip(names, shown, strict=False)]
        return "\n".join([header, *lines, f"{names[-1]}:"])


def reads_tags(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a model takes tags and no instructions, as the miniature's does."""
    unknown = (None, tokenizer.unk_token_id)
    return not tokenizer.chat_template and tokenizer.convert_tokens_to_ids("<en>") not in unknown


def model_input(tokenizer: PreTrainedTokenizerBase, example: Example) -> str:
    """What the model reads: one user turn of its chat template, or tags after the start token."""
    if reads_tags(tokenizer):
        return f"{tokenizer.bos_token or ''}{example.prompt(tags=True)}"
    return render(tokenizer, dialogue(example.prompt()), prompt=True)


def translate_examples(
    model: Any, tokenizer: Any, examples: Sequence[Example], *, mode: Mode = "dt",
    shots: Mapping[str, Sequence[Example]] | None = None, **decoding: Any,
) -> list[str]:  # fmt: skip
    """Translate examples of any directions, in common batches (Section 4): a line each, blank ones marked by `#`.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer, with a chat template.
        examples: What to translate; their target texts are not read.
        mode: See above; `pmp_s` needs the auxiliary language. The paper finds it useful into English and Chinese.
        shots: Solved examples by direction (Table 2: three), for a checkpoint that was not fine-tuned: it reads and
            continues plain text, a line a translation.
        decoding: Of :func:`core.inference.generation.generate`. The released script has 5 beams and 512 new tokens.
    """
    from core.inference.generation import generate

    if mode == "dt":
        examples = [replace(example, auxiliary=None, auxiliary_text=None) for example in examples]
    elif mode == "pmp_s":
        first = [replace(example, target=str(example.auxiliary)) for example in examples]
        drafts = translate_examples(model, tokenizer, first, **decoding)
        examples = [replace(example, auxiliary_text=draft) for example, draft in zip(examples, drafts, strict=True)]
    if shots:
        prompts = [few_shot(Example.prompt, example, shots[example.direction]) for example in examples]
    else:
        prompts = [model_input(tokenizer, example) for example in examples]
    outputs = generate(model, tokenizer, prompts, stop=["\n"] if shots else [], **decoding)
    # As in the released script: scorers dislike empty lines.
    return [output.strip().replace("\n", "") or "#" for output in outputs]
