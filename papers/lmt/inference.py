"""Translating with LMT: the three inference modes, the prompt as the model reads it, the cleaning of outputs.

dt       the standard prompt
pmp_s    first a draft in the auxiliary language by the same model, then the parallel prompt with that draft
pmp_o    the parallel prompt with given sentences in the auxiliary language

translate(model, tokenizer, ["Guten Tag."], "de", "en", mode="pmp_s")
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UserError
from core.tasks.translation import few_shot
from papers.lmt.method import Example, Style, auxiliary_for

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Mode = Literal["dt", "pmp_s", "pmp_o"]
Cleaning = Literal["blank", "release", "none"]


def model_input(tokenizer: PreTrainedTokenizerBase, prompt: str, style: Style = "release") -> str:
    """What the model reads: one user turn of its chat template, or for `tags` the prompt after the start token."""
    if style == "tags":
        return f"{tokenizer.bos_token or ''}{prompt}"
    if not tokenizer.chat_template:
        raise UserError(
            f"{tokenizer.name_or_path or 'The tokenizer'} has no chat template: the -Base checkpoints are no "
            "translators; use a fine-tuned one such as NiuTrans/LMT-60-4B, or style='tags' for a scratch model."
        )
    turn = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))


def special_strings(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What the released script deletes from every output: four fixed strings and the tokenizer's own."""
    own = (getattr(tokenizer, f"{name}_token", None) for name in ("pad", "eos", "bos", "unk"))
    return ["<unk>", "</s>", "<pad>", "\n", *(str(token) for token in own if token)]


def clean_output(text: str, strings: Sequence[str] = (), cleaning: Cleaning = "blank") -> str:
    """Delete special strings and mark a blank output by `#`, as scorers dislike empty lines.

    Args:
        text: The decoded output.
        strings: What to delete, see :func:`special_strings`.
        cleaning: `blank`: `#` for empty or white-space output. `release`: what the released regular expression
            does, whose nested set is none, so that it finds only one control, space or Latin-1 character followed
            by closing brackets. `none`: nothing becomes `#`.
    """
    for string in strings:
        text = text.replace(string, "")
    if cleaning == "blank":
        return text if text.strip() else "#"
    return "#" if cleaning == "release" and _released_blank(text) else text


def _released_blank(text: str) -> bool:
    r"""`regex.match(r'^[\s\p{C}[\x00-\xFF]]+$', text)` with the semantics of version 0, without that package."""
    first, rest = text[:1], text[1:].removesuffix("\n")
    odd = bool(first) and (first.isspace() or ord(first) <= 0xFF or unicodedata.category(first).startswith("C"))
    return odd and bool(rest) and set(rest) == {"]"}


def translate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    source: str,
    target: str,
    *,
    mode: Mode = "dt",
    auxiliary: str | None = None,
    auxiliary_texts: Sequence[str] | None = None,
    **options: Any,
) -> list[str]:
    """Translate with LMT-60 or a checkpoint of one's own (Section 4).

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer, with a chat template unless `style` is `tags`.
        texts: Sentences or documents.
        source: Code of their language.
        target: Code of the language to translate into.
        mode: `dt` translates directly; `pmp_s` first translates into the auxiliary language itself and then shows
            both; `pmp_o` shows given auxiliary sentences. The paper finds `pmp_s` useful into English and Chinese,
            and not out of Chinese.
        auxiliary: Code of the auxiliary language; None takes Table 12's (English when English is on neither side).
        auxiliary_texts: For `pmp_o`: the sentences in the auxiliary language.
        options: Of :func:`translate_examples`: `style`, `cleaning`, `num_beams`, `max_new_tokens`, `batch_tokens`.

    Returns:
        One translation per text.

    Raises:
        UserError: No auxiliary language is known, or its sentences are missing or not as many as the texts.
    """
    if mode != "dt" and not (auxiliary := auxiliary or auxiliary_for(source, target)):
        raise UserError(f"No auxiliary language is known for {source}-{target}: name one with auxiliary=...")
    given: Sequence[str | None] = [None] * len(texts)
    if mode == "pmp_o":
        if auxiliary_texts is None or len(auxiliary_texts) != len(texts):
            count = 0 if auxiliary_texts is None else len(auxiliary_texts)
            raise UserError(f"mode='pmp_o' needs one auxiliary sentence per text: {count} for {len(texts)} texts.")
        given = auxiliary_texts
    examples = [
        Example(str(number), source, target, text, "", auxiliary, other)
        for number, (text, other) in enumerate(zip(texts, given, strict=True))
    ]
    return translate_examples(model, tokenizer, examples, mode=mode, **options)


def translate_examples(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    *,
    mode: Mode = "dt",
    shots: Mapping[tuple[str, str], Sequence[Example]] | None = None,
    style: Style = "release",
    cleaning: Cleaning = "blank",
    num_beams: int = 5,
    max_new_tokens: int = 512,
    batch_tokens: int | None = None,
) -> list[str]:
    """Translate the source sentences of examples of any directions, in common batches.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        examples: Their target texts are not read. `pmp_s` needs their auxiliary language, `pmp_o` its text too.
        mode: See :func:`translate`.
        shots: Solved examples by (source, target), for a checkpoint that was not fine-tuned: it reads them as plain
            text, without the chat template, and its line ends its translation.
        style: Wording of the prompt.
        cleaning: See :func:`clean_output`.
        num_beams: Beams; 1 = greedy. The released script uses 5.
        max_new_tokens: Longest translation in tokens; the released script uses 512.
        batch_tokens: Tokens of a batch, padding, new ones and all beams included; None = what suits the device.
    """
    from core.inference.generation import generate

    options: dict[str, Any] = {"style": style, "num_beams": num_beams, "max_new_tokens": max_new_tokens}
    options |= {"cleaning": cleaning, "batch_tokens": batch_tokens}
    if mode == "dt":
        examples = [replace(example, auxiliary=None, auxiliary_text=None) for example in examples]
    elif mode == "pmp_s":
        first = [replace(example, target=str(example.auxiliary)) for example in examples]
        drafts = translate_examples(model, tokenizer, first, mode="dt", **options)
        examples = [replace(example, auxiliary_text=draft) for example, draft in zip(examples, drafts, strict=True)]
    if shots:
        # What an untuned checkpoint reads: solved prompts of the same direction, then the open one (Table 2: three).
        prompts = [few_shot(lambda e: e.prompt(style), e, shots[e.source, e.target]) for e in examples]
    else:
        prompts = [model_input(tokenizer, example.prompt(style), style) for example in examples]
    outputs = generate(
        model,
        tokenizer,
        prompts,
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        batch_tokens=batch_tokens,
        stop=["\n"] if shots else [],
    )
    strings = special_strings(tokenizer)
    return [clean_output(output.lstrip(" ") if shots else output, strings, cleaning) for output in outputs]
