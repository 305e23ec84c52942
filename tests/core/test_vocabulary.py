"""Vocabulary surgery: kept tokens keep rows, biases and scores; ties and special ids follow."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    BertConfig,
    BertTokenizer,
    GPT2Config,
    LlamaConfig,
    MBartConfig,
    MBartForConditionalGeneration,
    MixtralConfig,
    PreTrainedModel,
    XLMRobertaConfig,
)

from core.errors import UserError
from core.models import loading
from core.models.tokenization import train_bpe
from core.models.vocabulary import (
    cut_vocabulary,
    resize_embeddings,
    trim_vocabulary,
    unigram_vocabulary,
    with_more_merges,
    with_unigram_vocabulary,
)
from core.models.wheel_formats import xlmr_tokenizer

SIZE = 20
SHAPE = {
    "vocab_size": SIZE,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
SPECIAL = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}


def make(kind: str) -> PreTrainedModel:
    if kind == "mbart":
        torch.manual_seed(0)
        model = MBartForConditionalGeneration(
            MBartConfig(
                vocab_size=SIZE, d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=24, decoder_ffn_dim=24,
                encoder_attention_heads=4, decoder_attention_heads=4, decoder_start_token_id=2, **SPECIAL,
            )
        ).eval()  # fmt: skip
    else:
        config = {
            "bert": lambda: BertConfig(**SHAPE, **SPECIAL),
            "bert-headless": lambda: BertConfig(**SHAPE, **SPECIAL),
            "xlm-r": lambda: XLMRobertaConfig(**SHAPE, **SPECIAL, max_position_embeddings=40),
            "llama": lambda: LlamaConfig(**SHAPE, **SPECIAL, tie_word_embeddings=False),
            "llama-tied": lambda: LlamaConfig(**SHAPE, **SPECIAL, tie_word_embeddings=True),
            "mixtral": lambda: MixtralConfig(**SHAPE, **SPECIAL, num_key_value_heads=2, num_local_experts=2),
            "gpt2": lambda: GPT2Config(vocab_size=SIZE, n_embd=16, n_layer=2, n_head=4, n_positions=40, **SPECIAL),
        }[kind]()
        task = {"bert": "masked-lm", "xlm-r": "masked-lm", "bert-headless": "encoder"}.get(kind, "causal-lm")
        model = loading.from_config(config, seed=0, task=task)  # type: ignore[arg-type]
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("bias"):  # zeros would hide a bias that stays behind
                tensor.normal_()
    return model


WITH_HEAD = ["bert", "xlm-r", "llama", "llama-tied", "mixtral", "gpt2", "mbart"]


def logits(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


class TestResize:
    @pytest.mark.parametrize("kind", WITH_HEAD)
    def test_scores_of_kept_tokens_are_unchanged(self, kind: str) -> None:
        model = make(kind)
        rows = [0, 1, 2, *random.Random(0).sample(range(3, SIZE), 9)]
        text = [0, 4, 7, 9, 11, 2]
        before = logits(model, [rows[i] for i in text])[:, rows]
        resize_embeddings(model, rows)
        assert torch.allclose(logits(model, text), before, atol=1e-6)

    @settings(max_examples=20, deadline=None)
    @given(st.permutations(range(3, SIZE)), st.integers(1, 30), st.sampled_from(["llama", "llama-tied", "bert"]))
    def test_any_order_deletion_and_repetition(self, order: list[int], count: int, kind: str) -> None:
        model = make(kind)
        rows = [0, 1, 2, *(order * 2)[:count]]
        old = model.get_input_embeddings().weight.clone()
        wanted = model.get_output_embeddings().weight[rows].clone()
        resize_embeddings(model, rows)
        assert torch.equal(model.get_input_embeddings().weight, old[rows])
        assert torch.equal(model.get_output_embeddings().weight, wanted)
        assert model.config.vocab_size == len(rows)

    @pytest.mark.parametrize("kind", WITH_HEAD)
    def test_ties_survive_saving(self, kind: str, tmp_path: Path) -> None:
        model = make(kind)
        tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
        assert tied == (kind not in {"llama", "mixtral"})
        resize_embeddings(model, [*range(10), torch.ones(16), torch.zeros(16)])
        assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path).eval()
        assert (again.get_output_embeddings().weight is again.get_input_embeddings().weight) == tied
        assert again.config.vocab_size == 12
        text = [0, 5, 10, 11, 2]
        assert torch.equal(logits(again, text), logits(model, text))

    @pytest.mark.parametrize("kind", WITH_HEAD)
    def test_the_resized_model_trains(self, kind: str) -> None:
        model = resize_embeddings(make(kind), [*range(10), torch.ones(16)]).train()
        ids = torch.tensor([[0, 5, 10, 2]])
        model(ids, labels=ids).loss.backward()
        gradient = model.get_input_embeddings().weight.grad
        assert gradient is not None
        assert gradient.shape[0] == 11
        assert gradient[10].abs().sum() > 0

    def test_new_vectors(self) -> None:
        model = make("llama")
        vector, mean = torch.arange(16.0), model.lm_head.weight.mean(0)
        resize_embeddings(model, [0, vector, 1, 2])
        assert torch.equal(model.model.embed_tokens.weight[1], vector)
        assert torch.allclose(model.lm_head.weight[1], mean, atol=1e-6)

    def test_output_rows_can_be_given(self) -> None:
        model = make("llama")
        old = model.lm_head.weight.clone()
        resize_embeddings(model, [0, 1, 2, torch.zeros(16)], output_rows=[0, 1, 2, 7])
        assert torch.equal(model.lm_head.weight, old[[0, 1, 2, 7]])

    @pytest.mark.parametrize("kind", ["bert", "xlm-r"])
    def test_bias_follows_its_token_and_is_zero_for_new_ones(self, kind: str) -> None:
        model = make(kind)
        bias = model.get_output_embeddings().bias.tolist()
        resize_embeddings(model, [0, 1, 2, 19, torch.ones(16), 7])
        expected = torch.tensor([bias[0], bias[1], bias[2], bias[19], 0.0, bias[7]])
        assert torch.equal(model.get_output_embeddings().bias, expected)
        names = [name for name, p in model.named_parameters(remove_duplicate=False) if p.shape == (6,)]
        assert len(names) == 2  # the decoder's and the head's are one and the same
        assert len({id(model.get_parameter(name)) for name in names}) == 1

    def test_mbart_keeps_its_logits_bias(self) -> None:
        model = make("mbart")
        with torch.no_grad():
            model.final_logits_bias.copy_(torch.arange(SIZE)[None])
        resize_embeddings(model, [0, 1, 2, 9, torch.ones(16)])
        assert model.final_logits_bias.tolist() == [[0, 1, 2, 9, 0]]
        assert model.model.encoder.embed_tokens.weight is model.model.shared.weight

    def test_an_encoder_without_head(self) -> None:
        model = make("bert-headless")
        old = model.embeddings.word_embeddings.weight.clone()
        resize_embeddings(model, [0, 1, 2, 5])
        assert torch.equal(model.embeddings.word_embeddings.weight, old[[0, 1, 2, 5]])
        assert model.embeddings.word_embeddings.num_embeddings == 4

    def test_frozen_stays_frozen_and_dtype_stays(self) -> None:
        model = make("llama-tied").to(torch.bfloat16).requires_grad_(False)
        resize_embeddings(model, [0, 1, 2, torch.ones(16)])
        weight = model.get_input_embeddings().weight
        assert not weight.requires_grad
        assert weight.dtype == torch.bfloat16

    def test_special_ids_follow(self) -> None:
        model = make("llama")
        model.generation_config.eos_token_id = [2, 5]
        resize_embeddings(model, [5, 3, 2, 0, 1])
        assert (model.config.bos_token_id, model.config.pad_token_id, model.config.eos_token_id) == (3, 4, 2)
        assert model.generation_config.eos_token_id == [2, 0]
        assert model.model.embed_tokens.padding_idx == 4

    def test_leftover_default_ids_are_forgotten(self) -> None:
        model = make("gpt2")
        model.config.bos_token_id = 50256  # GPT-2's default, beyond this vocabulary
        resize_embeddings(model, [0, 1, 2])
        assert model.config.bos_token_id is None

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([], "new vocabulary is empty"),
            ([0, 1, 2, SIZE], "row 3 is the old id 20, but the old vocabulary has ids 0 to 19"),
            ([0, 1, 2, -1], "row 3 is the old id -1"),
            ([0, 1, 2, torch.ones(5)], r"row 3 has shape \(5,\), but the embeddings have width 16"),
            ([0, 1, 3], "eos_token_id = 2 .* has no row in the new vocabulary: keep that token"),
        ],
    )
    def test_bad_rows_leave_the_model_alone(self, rows: list, message: str) -> None:
        model = make("llama")
        with pytest.raises(UserError, match=message):
            resize_embeddings(model, rows)
        assert model.config.vocab_size == SIZE
        assert model.get_input_embeddings().weight.shape[0] == SIZE

    def test_positions_of_roberta_hang_on_the_padding_id(self) -> None:
        with pytest.raises(UserError, match="padding token must keep id 1, not move to 2"):
            resize_embeddings(make("xlm-r"), [0, 2, 1, 3])


# --- tokenizers ---------------------------------------------------------------------------------------------------

PIECES = [
    ("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.5), ("▁he", -2.0), ("llo", -2.5),
    ("▁world", -3.0), ("▁мир", -3.5), ("м", -4.0), ("и", -4.1), ("р", -4.2), ("l", -5.0), ("o", -5.1),
    ("▁hello", -5.2), ("w", -5.3), ("x", -5.4), ("▁never", -6.0), ("<mask>", 0.0),
]  # fmt: skip


class TestUnigram:
    def test_round_trip(self) -> None:
        reader = xlmr_tokenizer(PIECES)
        assert unigram_vocabulary(reader) == PIECES
        same = with_unigram_vocabulary(reader, PIECES)
        assert same("hello мир", "world")["input_ids"] == reader("hello мир", "world")["input_ids"]

    def test_new_pieces_in_the_middle(self, tmp_path: Path) -> None:
        reader = xlmr_tokenizer(PIECES, model_max_length=77)
        longer = with_unigram_vocabulary(reader, [*PIECES[:-1], ("▁mir", -3.5), PIECES[-1]])
        longer.save_pretrained(tmp_path)
        for tokenizer in (longer, loading.load_tokenizer(str(tmp_path))):
            assert tokenizer("mir<mask>")["input_ids"] == [0, len(PIECES) - 1, len(PIECES), 2]
            assert tokenizer.mask_token_id == len(PIECES)
            assert (tokenizer.model_max_length, tokenizer.padding_side, len(tokenizer)) == (
                77,
                "right",
                len(PIECES) + 1,
            )

    def test_special_tokens_and_template_move(self) -> None:
        order = [PIECES[3], PIECES[8], PIECES[2], PIECES[0], PIECES[1], PIECES[-1]]
        reader = with_unigram_vocabulary(xlmr_tokenizer(PIECES), order)
        assert reader("мир", "мир")["input_ids"] == [3, 1, 2, 2, 1, 2]
        assert (reader.unk_token_id, reader.pad_token_id, reader.mask_token_id) == (0, 4, 5)

    def test_tokens_outside_the_vocabulary_stay_after_it(self) -> None:
        reader = xlmr_tokenizer(PIECES)
        reader.add_special_tokens({"extra_special_tokens": ["<lang>"]})
        shorter = with_unigram_vocabulary(reader, [*PIECES[:9], PIECES[-1]])
        assert shorter.convert_tokens_to_ids("<lang>") == 10
        assert shorter("<lang>мир")["input_ids"][1:3] == [10, 8]
        assert "<lang>" in shorter.all_special_tokens

    @pytest.mark.parametrize(
        ("pieces", "message"),
        [
            ([*PIECES, ("w", -9.0)], "piece 'w' .* there twice"),
            ([*PIECES, ("", -9.0)], "piece '' .* empty"),
            ([*PIECES[:3], *PIECES[4:]], "lacks the unknown piece '<unk>'"),
        ],
    )
    def test_bad_vocabularies(self, pieces: list[tuple[str, float]], message: str) -> None:
        with pytest.raises(UserError, match=message):
            with_unigram_vocabulary(xlmr_tokenizer(PIECES), pieces)

    def test_other_kinds_are_refused(self) -> None:
        bpe = train_bpe(["a b c"], 300)
        with pytest.raises(UserError, match=r"needs a Unigram .* but the tokenizer is BPE"):
            unigram_vocabulary(bpe)
        with pytest.raises(UserError, match="needs a Unigram"):
            trim_vocabulary(bpe, ["a"])


TEXTS = ["hello world", "мир hello", "world"]


class TestTrim:
    def test_the_corpus_is_cut_as_before(self) -> None:
        reader = xlmr_tokenizer(PIECES)
        trimmed, rows = trim_vocabulary(reader, TEXTS)
        for text in TEXTS:
            assert [rows[i] for i in trimmed(text)["input_ids"]] == reader(text)["input_ids"]
        scores = dict(PIECES)
        assert all(scores[piece] == score for piece, score in unigram_vocabulary(trimmed))
        assert [PIECES[row][0] for row in rows] == [piece for piece, _ in unigram_vocabulary(trimmed)]

    def test_what_goes_and_what_stays(self) -> None:
        trimmed, rows = trim_vocabulary(xlmr_tokenizer(PIECES), TEXTS)
        pieces = {piece for piece, _ in unigram_vocabulary(trimmed)}
        assert "▁never" not in pieces
        assert "x" not in pieces  # a character that the texts do not have
        assert {"l", "o", "м", "<mask>", "<pad>"} <= pieces  # characters that they have, and specials
        assert rows == sorted(rows)
        assert trimmed.pad_token_id == 1

    def test_keep_and_minimum_count(self) -> None:
        pieces = dict(
            unigram_vocabulary(trim_vocabulary(xlmr_tokenizer(PIECES), TEXTS, keep=["▁never", "?"]).tokenizer)
        )
        assert "▁never" in pieces
        assert "?" not in pieces
        rare = dict(unigram_vocabulary(trim_vocabulary(xlmr_tokenizer(PIECES), TEXTS, minimum_count=2).tokenizer))
        assert "▁мир" not in rare
        assert "▁world" in rare

    def test_model_and_tokenizer_together(self, tmp_path: Path) -> None:
        reader = xlmr_tokenizer(PIECES)
        config = XLMRobertaConfig(**{**SHAPE, "vocab_size": len(PIECES)}, **SPECIAL, max_position_embeddings=40)
        model = loading.from_config(config, seed=0, task="masked-lm")
        before = {text: model(**reader(text, return_tensors="pt")).logits[0] for text in TEXTS}
        trimmed, rows = trim_vocabulary(reader, TEXTS)
        resize_embeddings(model, rows)
        model.save_pretrained(tmp_path)
        trimmed.save_pretrained(tmp_path)
        again, small = loading.load(str(tmp_path), task="masked-lm", dtype="float32")
        assert len(small) == len(rows) < len(PIECES)
        for text in TEXTS:
            after = again(**small(text, return_tensors="pt")).logits[0]
            assert torch.allclose(after, before[text][:, rows], atol=1e-6)

    def test_no_text(self) -> None:
        with pytest.raises(UserError, match="the corpus is empty"):
            trim_vocabulary(xlmr_tokenizer(PIECES), [])

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.text("helo wrdмиx", min_size=1, max_size=20), min_size=1, max_size=5))
    def test_any_corpus_is_cut_as_before(self, texts: list[str]) -> None:
        reader = xlmr_tokenizer(PIECES)
        if not any(reader(texts, add_special_tokens=False)["input_ids"]):
            return
        trimmed, rows = trim_vocabulary(reader, texts)
        for text in texts:
            assert [rows[i] for i in trimmed(text)["input_ids"]] == reader(text)["input_ids"]


def test_wordpiece_is_cut_to_dense_ids_in_the_old_order(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "c", "##d", "e"]
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    cut, rows = cut_vocabulary(tokenizer, [5, 8, 9])
    assert rows == [0, 1, 2, 3, 4, 5, 8, 9]
    assert cut.convert_ids_to_tokens(range(len(cut))) == [words[row] for row in rows]
    assert cut("ad e ab")["input_ids"] == [2, 5, 6, 7, 1, 3]
    assert [rows[i] for i in cut("ad e")["input_ids"]] == tokenizer("ad e")["input_ids"]
    cut.save_pretrained(tmp_path)
    assert loading.load_tokenizer(tmp_path)("ad e")["input_ids"] == [2, 5, 6, 7, 3]
    with pytest.raises(UserError, match="vocabulary of a BPE tokenizer cannot be cut"):
        cut_vocabulary(train_bpe(["a b"], 300), [1])


# ---------------------------------------------------------------------------------------------------------- more merges


def test_more_merges_for_another_language_leave_the_old_one_as_it_was(tmp_path: Path) -> None:
    english, german = ["seven hundred ninety-nine"] * 20, ["siebenhundertneunundneunzig", "fünf", "tweeën"] * 20
    old = train_bpe(english, 320)
    extended, new = with_more_merges(old, german, 100)
    assert [extended.get_vocab()[piece] for piece in new] == list(range(len(old), len(extended)))
    assert extended.encode(english[0]) == old.encode(english[0])
    assert [len(extended.encode(text)) for text in german[:3]] == [1, 1, 1]
    assert len(with_more_merges(old, german, 3)[1]) == 3
    extended.save_pretrained(tmp_path)
    again = loading.load_tokenizer(str(tmp_path))
    for text in (*english[:1], *german[:3], "năm hund"):
        assert again.decode(again.encode(text)) == text
    assert (again.pad_token, again.bos_token, again.eos_token) == (old.pad_token, old.bos_token, old.eos_token)


def test_more_merges_need_bpe() -> None:
    with pytest.raises(UserError, match="Unigram"):
        with_more_merges(xlmr_tokenizer(PIECES), ["a b"], 3)
