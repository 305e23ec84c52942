"""Encoder-decoders: tags, what a decoder begins with, outputs in the order of the inputs, and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import MBart50Tokenizer, MBartConfig, MBartTokenizer, NllbTokenizer, T5Config

from core.errors import UserError
from core.experiment.run import Run
from core.inference.seq2seq import decoder_start, encode, language_tag, translate, write
from core.models.flops import layers_of
from core.models.loading import from_config
from core.models.scratch import mbart_config, mbart_tokenizer
from core.models.tokenization import word_level
from core.tasks.translation import segments, written
from core.training import seq2seq
from core.training.config import TrainingConfig

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
    rows = [{"en": text, "vi": "three"} for text in texts]
    parts = segments(rows, [("en", "vi"), ("vi", "en")])
    outputs = written(model, tokenizer, [parts[0], parts[3], *parts[1:3]], longest=6)
    assert [outputs[0], *outputs[2:]] == together
    start = decoder_start(model, tokenizer, "vi")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([read[0]]), decoder_input_ids=torch.tensor([start])).logits
    first = tokenizer.decode([int(logits[0, -1].argmax())], skip_special_tokens=True)
    assert together[0].startswith(first)
    assert len(translate(model, tokenizer, ["one " * 40], "en", "vi", longest=99)) == 1  # 32 positions


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [lambda: mbart(MBartTokenizer), lambda: mbart(MBart50Tokenizer), t5])
def test_the_loss_is_the_models_own_without_smoothing_and_pulls_to_uniform_with_it(made: Any) -> None:
    model, tokenizer = made()
    texts, others = ["one", "two three one"], ["three three", "two"]
    batch = seq2seq.collate(seq2seq.pairs(tokenizer, texts, others, "en", "vi"), pad=tokenizer.pad_token_id)
    with torch.no_grad():
        plain, smoothed = (seq2seq.sequence_loss(model, batch, smoothing=share) for share in (0.0, 0.2))
        output = model(**batch)
    assert plain.total / plain.items == pytest.approx(output.loss.item(), rel=1e-5)
    uniform = -output.logits.log_softmax(-1).mean(-1)[batch["labels"] >= 0].sum()
    assert smoothed.total.item() == pytest.approx((0.8 * plain.total + 0.2 * uniform).item(), rel=1e-5)


def test_a_batch_gives_the_loss_of_its_rows_alone() -> None:
    model, tokenizer = mbart(MBartTokenizer)
    rows = seq2seq.pairs(tokenizer, ["one", "two three one"], ["three three", "two"], "en", "vi")
    assert tokenizer.convert_ids_to_tokens(rows[0]["input_ids"])[-1] == "en_XX"
    assert tokenizer.convert_ids_to_tokens(rows[0]["labels"])[-1] == "vi_VN"
    pad = tokenizer.pad_token_id
    batch = seq2seq.collate(rows, pad=pad)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 5)
    assert batch["labels"].shape == (2, 4)
    with torch.no_grad():
        together = seq2seq.sequence_loss(model, batch, smoothing=0.1)
        alone = [seq2seq.sequence_loss(model, seq2seq.collate([row], pad=pad), smoothing=0.1) for row in rows]
    assert together.items == sum(loss.items for loss in alone)
    assert together.total.item() == pytest.approx(sum(loss.total.item() for loss in alone), rel=1e-5)


def test_bucketed_batches_are_of_like_lengths_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    rows = [{"input_ids": [5] * (1 + n % 9), "labels": [6] * (1 + n % 9 + rng.integers(3))} for n in range(64)]
    settings = TrainingConfig(steps=12, batch_size=8)
    found = seq2seq.bucketed(rows, settings, 0)
    assert len(found) == 96

    def padding(rows: list[Any]) -> int:
        batches = [rows[start : start + 8] for start in range(0, len(rows), 8)]
        sizes = [[len(row[side]) for row in batch] for batch in batches for side in ("input_ids", "labels")]
        return sum(8 * max(size) - sum(size) for size in sizes)

    assert padding(found) / 12 < padding(rows) / 8 / 2
    with pytest.raises(UserError, match="do not fill a batch"):
        seq2seq.bucketed(rows[:7], settings, 0)


@pytest.mark.parametrize("bucket", [False, True])
def test_a_small_model_learns_to_translate(bucket: bool, tmp_path: Path) -> None:
    words = {"one": "một", "two": "hai", "three": "ba"}
    tokenizer = mbart_tokenizer([*words, *words.values()])
    config = mbart_config(len(tokenizer), width=16, layers=1, heads=2, dropout=0.0)
    model = from_config(config, seed=0, task="seq2seq")
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    texts = [f"{one} {two}" for one in words for two in words]
    others = [" ".join(words[word] for word in text.split()) for text in texts]
    rows = seq2seq.pairs(tokenizer, texts, others, "en", "vi")
    settings = TrainingConfig(steps=60, batch_size=9, learning_rate=2e-2, precision="fp32")
    run = Run(tmp_path, "test", settings, tmp_path / "stages", quiet=True)
    result = seq2seq.train(model, rows, settings, run, 0, pad=tokenizer.pad_token_id, bucket=bucket)
    assert result.losses[-1] < 0.1 < result.losses[0]
    assert translate(model.eval(), tokenizer, texts, "en", "vi", longest=6) == others
    assert translate(model, tokenizer, [], "en", "vi") == []


@pytest.mark.parametrize("made", [lambda: mbart(MBartTokenizer), t5])
def test_dropout_is_set_in_every_part(made: Any) -> None:
    model, _ = made()
    seq2seq.set_dropout(model, 0.3, 0.25)
    rates = {
        type(part).__name__: part.dropout for part in model.modules() if type(getattr(part, "dropout", 0)) is float
    }
    assert rates == {name: 0.25 if "Attention" in name else 0.3 for name in rates}
    assert rates
    assert {part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)} <= {0.3}
