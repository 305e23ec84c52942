"""A small encoder from scratch: XLM-R's architecture, and a Unigram tokenizer that is trained on given lines.

model, tokenizer = masked_lm(lines, pieces=5000, layers=3, width=128)
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import torch
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM, XLMRobertaTokenizer

from core.models.loading import Loaded

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
        pieces: Size of its vocabulary, `<unk>` included and the other special tokens not.
        layers: Of the encoder.
        width: Of its states; the inner layer is four times as wide.
        heads: Of its attention.
        longest: Most tokens of an input.
        seed: Of the weights.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=pieces, unk_token="<unk>", show_progress=False)
    trained.train_from_iterator(lines, trainer)
    learnt = [(piece, score) for piece, score in json.loads(trained.to_str())["model"]["vocab"] if piece != "<unk>"]
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
