"""Encoder-decoders: tags, what a decoder begins with, and outputs in the order of the inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import MBart50Tokenizer, MBartConfig, MBartTokenizer, NllbTokenizer, T5Config

from core.errors import UserError
from core.inference.seq2seq import decoder_start, encode, language_tag, translate, write
from core.models.flops import layers_of
from core.models.loading import from_config
from core.models.tokenization import word_level

WORDS = ["▁1", "▁one", "▁two", "▁three"]


def mbart(kind: Any) -> tuple[Any, Any]:
    names = ["<s>", "<pad>", "</s>", "<unk>", *WORDS, "en_XX", "vi_VN", "<mask>"]
    tokenizer = kind(vocab=[(name, -1.0) for name in names])
    sizes: Any = {
        f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in (("layers", 1), ("ffn_dim", 16))
    }
    heads: Any = {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}
    config = MBartConfig(vocab_size=len(tokenizer), d_model=16, max_position_embeddings=32, **sizes, **heads)
    return from_config(config, seed=0, task="seq2seq"), tokenizer


def t5() -> tuple[Any, Any]:
    tokenizer = word_level(["1", "one", "two", "three"], unknown=True)
    sizes: Any = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_decoder_layers": 2, "num_heads": 2}
    sizes |= {"pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 0}
    config = T5Config(vocab_size=len(tokenizer), **sizes)
    return from_config(config, seed=0, task="seq2seq"), tokenizer


def test_a_decoder_begins_as_its_family_does() -> None:
    model, tokenizer = mbart(MBartTokenizer)
    assert tokenizer.convert_ids_to_tokens(decoder_start(model, tokenizer, "vi")) == ["vi_VN"]
    model, tokenizer = mbart(MBart50Tokenizer)
    assert tokenizer.convert_ids_to_tokens(decoder_start(model, tokenizer, "vi")) == ["</s>", "vi_VN"]
    assert decoder_start(*t5(), "sw") == [0]


def test_layers_of_both_halves_count() -> None:
    assert layers_of(mbart(MBartTokenizer)[0].config) == 2
    assert layers_of(t5()[0].config) == 3


def test_languages_are_found_by_their_codes() -> None:
    _, tokenizer = mbart(MBartTokenizer)
    assert [language_tag(tokenizer, code) for code in ("vi", "vi_VN")] == ["vi_VN", "vi_VN"]
    assert language_tag(t5()[1], "sw") == "sw"
    with pytest.raises(UserError, match="no language 'xx'"):
        language_tag(tokenizer, "xx")
    read, written = encode(tokenizer, ["one two"], "vi")
    assert tokenizer.convert_ids_to_tokens(read[0]) == ["▁one", "▁two", "</s>", "vi_VN"]
    assert written == read


@pytest.mark.parametrize("kind", [MBartTokenizer, MBart50Tokenizer])
def test_a_piece_that_is_spelled_like_a_code_is_no_language(kind: Any) -> None:
    """As in the vocabulary of XLM-R, which mBART has."""
    names = ["<s>", "<pad>", "</s>", "<unk>", *WORDS, "en", "vi", "vi_", "sw", "en_XX", "vi_VN", "<mask>"]
    tokenizer = kind(vocab=[(name, -1.0) for name in names])
    assert [language_tag(tokenizer, code) for code in ("en", "vi", "en_XX")] == ["en_XX", "vi_VN", "en_XX"]
    read, _ = encode(tokenizer, ["one"], "en")
    assert "en_XX" in tokenizer.convert_ids_to_tokens(read[0])
    with pytest.raises(UserError, match="no language 'xx'"):
        language_tag(tokenizer, "xx")


def test_languages_of_nllb_are_its_special_tokens() -> None:
    vocabulary = {name: place for place, name in enumerate(["<s>", "<pad>", "</s>", "<unk>", "eng", "▁one"])}
    tokenizer = NllbTokenizer(vocab=vocabulary, merges=[])
    assert [language_tag(tokenizer, code) for code in ("eng", "zho_Hant")] == ["eng_Latn", "zho_Hant"]
    with pytest.raises(UserError, match="no language 'xx'"):
        language_tag(tokenizer, "xx")


def test_outputs_are_those_of_the_model_alone_and_in_order() -> None:
    model, tokenizer = mbart(MBartTokenizer)
    texts = ["one", "one two three three", "two two"]
    together = translate(model, tokenizer, texts, "en", "vi", longest=6)
    assert together == [translate(model, tokenizer, [text], "en", "vi", longest=6)[0] for text in texts]
    read, _ = encode(tokenizer, texts, "en")
    assert write(model, tokenizer, read, "vi", longest=6, at_once=2) == together
    start = decoder_start(model, tokenizer, "vi")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([read[0]]), decoder_input_ids=torch.tensor([start])).logits
    first = tokenizer.decode([int(logits[0, -1].argmax())], skip_special_tokens=True)
    assert together[0].startswith(first)
    assert len(translate(model, tokenizer, ["one " * 40], "en", "vi", longest=99)) == 1  # 32 positions
