"""Prompting LMT: what the model reads, the three ways to translate, what is done to its output.

    dt       the standard prompt
    pmp_s    first a draft in the auxiliary language by the same model, then the parallel prompt with that draft
    pmp_o    the parallel prompt with given sentences in the auxiliary language

Wording and cleaning are those of the released code (`src/utils.py`, `src/inference.py`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UserError
from core.inference.chat import render
from core.tasks.samples import dialogue
from core.tasks.translation import Segment, few_shot
from papers.lmt.languages import auxiliary_for, language_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Style = Literal["release", "paper", "tags"]
Cleaning = Literal["blank", "release"]
Mode = Literal["dt", "pmp_s", "pmp_o"]


def translation_prompt(
    text: str, source: str, target: str, *, auxiliary: str | None = None, auxiliary_text: str | None = None,
    style: Style = "release",
) -> str:  # fmt: skip
    """The standard prompt (STP), or with an auxiliary sentence the parallel multilingual prompt (PMP); Figure 4.

    It ends where the translation begins, without trailing space. `style` is the wording of the released code and
    checkpoints (`release`) or of Figure 4 (`paper`); `tags` is for models without instructions:
    `<de>text<nl>auxiliary text<en>`. Languages are given by their codes.

    Raises:
        UserError: If only one of language and text of the auxiliary sentence is given.
    """
    if (auxiliary is None) != (auxiliary_text is None):
        raise UserError("A parallel prompt needs both the auxiliary language and its text: give both or neither.")
    shown = [(source, text)] + ([(auxiliary, auxiliary_text)] if auxiliary else [])
    if style == "tags":
        return "".join(f"<{code}>{sentence}" for code, sentence in shown) + f"<{target}>"
    names = [language_name(code) for code, _ in shown] + [language_name(target)]
    wanted = " and ".join(names[1:])
    header = f"Translate the following text from {names[0]} into {wanted}:"
    if style == "paper":
        header = f"Translate this from {names[0]} to {wanted}:"
    lines = [f"{name}: {sentence}" for name, (_, sentence) in zip(names, shown, strict=False)]
    return "\n".join([header, *lines, f"{names[-1]}:"])


@dataclass(frozen=True)
class Example(Segment):
    """One pair of the fine-tuning set; with an auxiliary sentence it is shown as PMP, otherwise as STP."""

    auxiliary: str | None = None
    auxiliary_text: str | None = None

    def prompt(self, style: Style = "release") -> str:
        """The prompt of this example; the loss is on `target_text` alone."""
        shown: dict[str, Any] = {"auxiliary": self.auxiliary, "auxiliary_text": self.auxiliary_text}
        return translation_prompt(self.source_text, self.source, self.target, style=style, **shown)


def model_input(tokenizer: PreTrainedTokenizerBase, prompt: str, style: Style = "release") -> str:
    """What the model reads: one user turn of its chat template, or for `tags` the prompt after the start token."""
    if style == "tags":
        return f"{tokenizer.bos_token or ''}{prompt}"
    return render(tokenizer, dialogue(prompt), prompt=True)


def special_strings(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What the released script deletes from every output: four fixed strings and the tokenizer's own."""
    own = (getattr(tokenizer, f"{name}_token", None) for name in ("pad", "eos", "bos", "unk"))
    return ["<unk>", "</s>", "<pad>", "\n", *(str(token) for token in own if token)]


def clean_output(text: str, strings: Sequence[str] = (), cleaning: Cleaning = "blank") -> str:
    """Delete special strings and mark a blank output by `#`, as scorers dislike empty lines.

    `blank` writes `#` for empty or white-space output, `release` does as the released regular expression, whose nested
    set is none: it finds one control, space or Latin-1 character with closing brackets behind it.
    """
    for string in strings:
        text = text.replace(string, "")
    return "#" if (_released_blank(text) if cleaning == "release" else not text.strip()) else text


def _released_blank(text: str) -> bool:
    r"""`regex.match(r'^[\s\p{C}[\x00-\xFF]]+$', text)` with the semantics of version 0, without that package."""
    first, rest = text[:1], text[1:].removesuffix("\n")
    odd = bool(first) and (first.isspace() or ord(first) <= 0xFF or unicodedata.category(first).startswith("C"))
    return odd and bool(rest) and set(rest) == {"]"}


def translate(
    model: Any, tokenizer: Any, texts: Sequence[str], source: str, target: str, *, mode: Mode = "dt",
    auxiliary: str | None = None, auxiliary_texts: Sequence[str] | None = None, num_beams: int = 5,
    max_new_tokens: int = 512, **options: Any,
) -> list[str]:  # fmt: skip
    """Translate with LMT-60 or a checkpoint of one's own (Section 4); one translation per text, blank for a blank one.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer, with a chat template unless `style` is `tags`.
        texts: Sentences or documents.
        source: Code of their language.
        target: Code of the language to translate into.
        mode: `dt`, `pmp_s` or `pmp_o`. The paper finds `pmp_s` useful into English and Chinese, and not out of Chinese.
        auxiliary: Code of the auxiliary language; None takes Table 12's (English when English is on neither side).
        auxiliary_texts: For `pmp_o`: the sentences in the auxiliary language.
        num_beams: Beams; 1 = greedy. The released script uses 5.
        max_new_tokens: Longest translation in tokens; the released script uses 512.
        options: Of :func:`translate_examples`: `style`, `cleaning`, `batch_tokens`.

    Raises:
        UserError: No auxiliary language is known, or its sentences are missing or not as many as the texts.
    """
    if mode != "dt" and not (auxiliary := auxiliary or auxiliary_for(source, target)):
        raise UserError(f"No auxiliary language is known for {source}-{target}: name one with auxiliary=...")
    given: Sequence[str | None] = (auxiliary_texts or ()) if mode == "pmp_o" else [None] * len(texts)
    if len(given) != len(texts):
        raise UserError(f"mode='pmp_o' needs one auxiliary sentence per text: {len(given)} for {len(texts)} texts.")
    pairs = [pair for pair in zip(texts, given, strict=True) if pair[0].strip()]
    asked = [Example("", source, target, text, "", auxiliary, other) for text, other in pairs]
    options |= {"mode": mode, "num_beams": num_beams, "max_new_tokens": max_new_tokens}
    outputs = iter(translate_examples(model, tokenizer, asked, **options))
    return [next(outputs) if text.strip() else "" for text in texts]


def translate_examples(
    model: Any, tokenizer: Any, examples: Sequence[Example], *, mode: Mode = "dt",
    shots: Mapping[str, Sequence[Example]] | None = None, style: Style = "release", cleaning: Cleaning = "blank",
    **decoding: Any,
) -> list[str]:  # fmt: skip
    """Translate examples of any directions, in common batches; their target texts are not read.

    `dt` hides auxiliaries, `pmp_s` drafts the auxiliary sentence first and needs its language, `pmp_o` takes the one
    that is given. A checkpoint that was not fine-tuned reads and continues plain text, a line a translation, after
    `shots` (solved examples by direction; Table 2: three). `decoding`: of :func:`core.inference.generation.generate`.
    """
    from core.inference.generation import generate

    if mode == "dt":
        examples = [replace(example, auxiliary=None, auxiliary_text=None) for example in examples]
    elif mode == "pmp_s":
        first = [replace(example, target=str(example.auxiliary)) for example in examples]
        drafts = translate_examples(model, tokenizer, first, style=style, cleaning=cleaning, **decoding)
        examples = [replace(example, auxiliary_text=draft) for example, draft in zip(examples, drafts, strict=True)]
    if shots:
        prompts = [few_shot(lambda e: e.prompt(style), example, shots[example.direction]) for example in examples]
    else:
        prompts = [model_input(tokenizer, example.prompt(style), style) for example in examples]
    outputs = generate(model, tokenizer, prompts, stop=["\n"] if shots else [], **decoding)
    strings = special_strings(tokenizer)
    return [clean_output(output.lstrip(" ") if shots else output, strings, cleaning) for output in outputs]
