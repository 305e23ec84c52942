"""Small models from scratch: an encoder as XLM-R with a Unigram tokenizer that is trained on given lines, a decoder
that spells in bytes, one that copies before it has learnt anything, and an encoder-decoder as mBART with an entry a
word.

    model, tokenizer = masked_lm(lines, pieces=5000, layers=3, width=128)
    model, tokenizer = masked_lm(lines, pieces=0, layers=2, width=96)             # an entry a word

    model = from_config(hybrid_config(len(tokenizer), width=128, layers=4), seed=0)
    start_copying(model, seed=0)

    tokenizer = mbart_tokenizer("four hundred bốn trăm".split())                  # or mbart50_tokenizer(lines)
    model = from_config(mbart_config(len(tokenizer), width=96), seed=0, task="seq2seq")
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Lfm2Config,
    MBart50Tokenizer,
    MBartConfig,
    MBartTokenizer,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaTokenizer,
)
from transformers.models.mbart.tokenization_mbart import FAIRSEQ_LANGUAGE_CODES
from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES as LANGUAGES_OF_50

from core.errors import UserError
from core.models.architectures import miniature
from core.models.loading import Loaded, from_config
from core.models.tokenization import train_bpe

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def masked_lm(
    lines: Iterable[str],
    *,
    pieces: int,
    layers: int = 2,
    width: int = 32,
    heads: int = 2,
    longest: int = 128,
    seed: int = 0,
) -> Loaded:
    """An untrained masked language model in evaluation mode, and its tokenizer.

    Args:
        lines: What the tokenizer is trained on.
        pieces: Size of its vocabulary, `<unk>` included and the other special tokens not; 0 = every word between spaces
            is an entry, in order of first appearance, and others are `<unk>`.
        layers: Of the encoder.
        width: Of its states; the inner layer is four times as wide.
        heads: Of its attention.
        longest: Most tokens of an input.
        seed: Of the weights.
    """
    words = (word for line in lines for word in line.split())
    learnt = _unigram(lines, pieces) if pieces else [(f"▁{word}", -1.0) for word in dict.fromkeys(words)]
    vocabulary = [*((token, 0.0) for token in _SPECIAL), *learnt, ("<mask>", 0.0)]
    tokenizer = XLMRobertaTokenizer(vocab=vocabulary, model_max_length=longest)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=longest + 2,  # RoBERTa counts positions from its padding id
        type_vocab_size=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = XLMRobertaForMaskedLM(config)
    return Loaded(model.eval(), tokenizer)


def byte_decoder(
    folder: Path,
    lines: Iterable[str],
    *,
    vocabulary: int = 320,
    width: int = 16,
    layers: int = 2,
    heads: int = 2,
    positions: int = 2048,
    spread: float = 0.2,
    chat_template: str | None = None,
) -> None:
    """Save an untrained Llama that can spell every text, to see a code path without any weights.

    Args:
        folder: For model and tokenizer.
        lines: What the tokenizer is trained on.
        vocabulary: Size of its vocabulary, 256 bytes included.
        width: Of its states; the inner layer is twice as wide.
        layers: Of the decoder.
        heads: Of its attention.
        positions: Most tokens of an input.
        spread: Standard deviation of the weights; large enough for answers that differ.
        chat_template: Of the tokenizer.
    """
    tokenizer = train_bpe(lines, vocabulary_size=vocabulary)
    tokenizer.chat_template = chat_template
    shape = miniature(
        len(tokenizer), width=width, layers=layers, heads=heads, feed_forward=2 * width, positions=positions,
        initializer_range=spread,
    )  # fmt: skip
    from_config(shape, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def hybrid_config(vocabulary: int, *, width: int, layers: int = 4) -> Lfm2Config:
    """LFM2's architecture in small: short convolutions and attention in turn; ids 0 to 2 are padding, begin and end.

    Attention has four heads, and an input at most 2,048 tokens.

    Args:
        vocabulary: Size of the tokenizer.
        width: Of its states; the inner layer is three times as wide.
        layers: Of the decoder, an even number.

    Raises:
        UserError: An odd number of layers, or fewer than two.
    """
    if layers < 2 or layers % 2:
        raise UserError(
            f"{layers} layers cannot be convolution and attention in turn: take 2, 4 or more, an even number."
        )
    kinds = [("conv", "full_attention")[layer % 2] for layer in range(layers)]
    return Lfm2Config(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=3 * width, num_attention_heads=4,
        num_key_value_heads=4, num_hidden_layers=layers, layer_types=kinds, max_position_embeddings=2048,
        block_auto_adjust_ff_dim=False, conv_bias=True, initializer_range=width**-0.5, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, architectures=["Lfm2ForCausalLM"],
    )  # fmt: skip


def start_copying(model: Any, seed: int) -> None:
    """Set weights from which a model of :func:`hybrid_config` copies, before it has learnt anything.

    The first convolution adds to every token the one before it, turned; the first attention looks there for the token
    that it stands on, and every attention says what it sees. Such induction heads (Olsson et al. 2022) are in every
    large language model; left to chance, they take a small one more than all its training.
    """
    layers, width = model.model.layers, model.config.hidden_size
    draws = torch.Generator().manual_seed(seed)

    def turn() -> Any:
        return torch.linalg.qr(torch.randn(width, width, generator=draws))[0]

    with torch.no_grad():
        for layer in layers:
            layer.feed_forward.w2.weight.zero_()
            if layer.is_attention_layer:
                value = turn()
                layer.self_attn.v_proj.weight.copy_(value)
                layer.self_attn.out_proj.weight.copy_(value.T / 2)
            else:
                block = layer.conv
                block.in_proj.bias[: 2 * width] = 1.0  # the two gates are open
                block.in_proj.weight[: 2 * width] *= 0.1
                block.in_proj.weight[2 * width :] = turn()
                block.conv.weight.mul_(0.1)[:, 0, -2] += 1.0  # the token before
                block.out_proj.weight.zero_()
        block, attention = layers[0].conv, layers[1].self_attn
        query, shifted = turn(), turn()
        block.out_proj.weight.copy_(model.config.initializer_range * shifted)
        attention.q_proj.weight.copy_(query)
        attention.k_proj.weight.copy_(query @ (shifted @ block.in_proj.weight[2 * width :]).T)
        attention.q_layernorm.weight.fill_(2.0)


def _unigram(lines: Iterable[str], pieces: int) -> list[tuple[str, float]]:
    """Pieces with their scores, learnt from lines."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=pieces, unk_token="<unk>", show_progress=False)
    trained.train_from_iterator(lines, trainer)
    return [(piece, score) for piece, score in json.loads(trained.to_str())["model"]["vocab"] if piece != "<unk>"]


def mbart_tokenizer(words: Iterable[str]) -> MBartTokenizer:
    """mBART's tokenizer and its 25 languages, with one entry a word, in order of first appearance; others are `<unk>`.

    Args:
        words: The vocabulary; repeated words count once.
    """
    entries = [*_SPECIAL, *(f"▁{word}" for word in dict.fromkeys(words)), *FAIRSEQ_LANGUAGE_CODES, "<mask>"]
    return MBartTokenizer(vocab=[(entry, -1.0 if entry.startswith("▁") else 0.0) for entry in entries])


def mbart50_tokenizer(lines: Iterable[str], pieces: int = 0) -> MBart50Tokenizer:
    """mBART-50's tokenizer and its 52 languages: the tag comes first on both sides, and the decoder begins with `</s>`.

    Args:
        lines: What the vocabulary is learnt from.
        pieces: As of :func:`masked_lm`.
    """
    words = dict.fromkeys(word for line in lines for word in line.split()) if not pieces else {}
    learnt = _unigram(lines, pieces) if pieces else [(f"▁{word}", -1.0) for word in words]
    tags = [(tag, 0.0) for tag in (*LANGUAGES_OF_50, "<mask>")]
    return MBart50Tokenizer(vocab=[*((token, 0.0) for token in _SPECIAL), *learnt, *tags])


def mbart_config(
    vocabulary: int, *, width: int, layers: int = 2, heads: int = 4, positions: int = 64, **values: Any
) -> MBartConfig:
    """mBART's architecture in small, tied embeddings included.

    Args:
        vocabulary: Size of the tokenizer.
        width: Of all states; the inner layers are 8/3 as wide.
        layers: Of the encoder, and of the decoder.
        heads: Of every attention.
        positions: Longest input and output.
        values: Other fields of the configuration.
    """
    half = {"layers": layers, "attention_heads": heads, "ffn_dim": 8 * width // 3}
    sides: Any = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in half.items()}
    # The 0.02 of wide models is small for so narrow a one. No end is forced upon outputs that are cut.
    fields: dict[str, Any] = {"scale_embedding": True, "init_std": width**-0.5, "forced_eos_token_id": None}
    fields |= {"vocab_size": vocabulary, "d_model": width, "max_position_embeddings": positions, **sides}
    return MBartConfig(**fields | values)
