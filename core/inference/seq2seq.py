"""Encoder-decoders of any family: how they call a language, what they read and write, and translation.

    read, written = encode(tokenizer, ["Good morning."], "en")                # ids for the encoder, labels
    outputs = translate(model, tokenizer, ["Good morning."], "en", "vi", beams=5)

Families differ in where the language stands: mBART's decoder begins with its tag, mBART-50's and NLLB's with `</s>` and
the tag, T5's with padding and none. What a decoder is given first is therefore taken from the labels that the tokenizer
makes and from how the model shifts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from core.errors import UserError


def language_tag(tokenizer: Any, code: str) -> str:
    """How a tokenizer calls a language: `vi_VN` of `vi` in mBART; the code itself where it has no languages.

    Raises:
        UserError: It has languages, and not this one.
    """
    if not hasattr(tokenizer, "src_lang"):
        return code
    # Not the whole vocabulary: `en` and `vi` are pieces of words too, as in XLM-R's, which mBART has.
    tags = {*tokenizer.all_special_tokens, *getattr(tokenizer, "lang_code_to_id", {})}
    if code in tags or f"__{code}__" in tokenizer.get_vocab():  # NLLB's eng_Latn; M2M-100's __en__, called en
        return code
    found = sorted(name for name in tags if name.startswith(f"{code}_"))
    if not found:
        raise UserError(f"{type(tokenizer).__name__} has no language {code!r}: name one as its vocabulary does.")
    return found[0]


def positions(model: Any) -> int:
    """Most tokens that it reads or writes; 1024 where it has no end, as T5."""
    return getattr(model.config, "max_position_embeddings", None) or 1024


def speak(tokenizer: Any, code: str) -> None:
    """Let a tokenizer read and write one language."""
    if hasattr(tokenizer, "src_lang"):
        tokenizer.src_lang = tokenizer.tgt_lang = language_tag(tokenizer, code)


def encode(
    tokenizer: Any, texts: Sequence[str], language: str, longest: int = 1024
) -> tuple[list[list[int]], list[list[int]]]:
    """Ids of texts as the encoder reads them and as the decoder writes them, with the special tokens of each.

    Args:
        tokenizer: Of an encoder-decoder.
        texts: In one language.
        language: Its code.
        longest: Most tokens; longer texts are cut.

    Raises:
        UserError: As :func:`language_tag`.
    """
    speak(tokenizer, language)
    cut = {"truncation": True, "max_length": longest}
    return tokenizer(list(texts), **cut).input_ids, tokenizer(text_target=list(texts), **cut).input_ids


def decoder_start(model: Any, tokenizer: Any, language: str) -> list[int]:
    """Ids that the decoder is given before it writes a language."""
    _, (labels,) = encode(tokenizer, ["1"], language)
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        shifted = model.prepare_decoder_input_ids_from_labels(labels=torch.tensor([labels, labels]))
        first = int(shifted[0, 0])
    else:
        first = int(model.config.decoder_start_token_id)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    leading = next((place for place, token in enumerate(labels) if token not in special), 0)
    return [first, *labels[:leading]]


def translate(
    model: Any, tokenizer: Any, texts: Sequence[str], source: str, target: str, *, beams: int = 1, longest: int = 256
) -> list[str]:
    """Texts of one language, written in another; greedily, or by beam search.

    Args:
        model: An encoder-decoder.
        tokenizer: Its tokenizer.
        texts: What to translate.
        source: Code of their language.
        target: Code of the language to write.
        beams: 1 = greedily.
        longest: Most tokens to write.

    Raises:
        UserError: As :func:`language_tag`.
    """
    if not texts:
        return []
    read, _ = encode(tokenizer, texts, source, positions(model))
    return write(model, tokenizer, read, target, beams=beams, longest=longest)


@torch.inference_mode()
def write(
    model: Any, tokenizer: Any, read: Sequence[Sequence[int]], language: str, *,
    beams: int = 1, longest: int = 256, at_once: int = 64,
) -> list[str]:  # fmt: skip
    """What a model writes in a language when it has read these ids; `at_once` of like length in a batch."""
    start, device = decoder_start(model, tokenizer, language), model.device
    longest = min(longest, positions(model) - len(start))
    order, found = sorted(range(len(read)), key=lambda row: -len(read[row])), [""] * len(read)
    for begin in range(0, len(order), at_once):
        rows = order[begin : begin + at_once]
        width = len(read[rows[0]])
        ids = torch.full((len(rows), width), int(tokenizer.pad_token_id))
        mask = torch.zeros_like(ids)
        for line, row in enumerate(rows):
            ids[line, : len(read[row])], mask[line, : len(read[row])] = torch.tensor(read[row]), 1
        outputs = model.generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), num_beams=beams, do_sample=False,
            decoder_input_ids=torch.tensor([start] * len(rows), device=device), max_new_tokens=longest,
            decoder_start_token_id=start[0],  # else generate puts the configuration's before them
        )  # fmt: skip
        for row, text in zip(rows, tokenizer.batch_decode(outputs, skip_special_tokens=True), strict=True):
            found[row] = text.strip()
    return found
