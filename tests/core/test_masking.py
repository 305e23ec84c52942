"""Masked language modelling: what may be chosen, how often, and the loss of the plain model."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.errors import UserError
from core.training.losses import IGNORED
from core.training.masking import Masking, encode, masked_lm, masked_lm_loss


@cache
def wordpiece() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##d", "##e", "##f", "[", "]", "S", "E", "P"]
    model = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


WORDS = st.lists(st.sampled_from(["a", "bd", "cde", "adef", "x"]), min_size=1, max_size=8)
TEXTS = st.lists(WORDS.map(" ".join), min_size=1, max_size=5)


def test_pairs_have_their_layout_and_words_of_their_own() -> None:
    row = encode(wordpiece(), ["ad b"], ["cde x"])[0]
    assert row["input_ids"] == [2, 5, 8, 6, 3, 7, 8, 9, 1, 3]
    assert row["token_type_ids"] == [0] * 5 + [1] * 5
    assert row["words"] == [-1, 0, 0, 1, -1, 2, 2, 2, -1, -1]  # the unknown word is nothing to predict
    batch = Masking(wordpiece())([row, encode(wordpiece(), ["a"])[0]], np.random.default_rng(0))
    assert batch["attention_mask"][1].tolist() == [1, 1, 1] + [0] * 7
    assert batch["input_ids"][1, 3:].tolist() == [0] * 7
    assert batch["token_type_ids"][1].tolist() == [0] * 10
    assert len(encode(wordpiece(), ["a " * 50], ["b " * 50], max_length=16)[0]["input_ids"]) == 16


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.booleans(), st.sampled_from([None, 1, 2, 4]), st.floats(0.05, 1), st.integers(0, 9))
def test_masks_spare_what_is_special_and_depend_on_the_seed_alone(
    texts: list[str], whole: bool, limit: int | None, rate: float, seed: int
) -> None:
    rows = encode(wordpiece(), texts, texts[::-1])
    mask = Masking(wordpiece(), rate, whole, limit, special_mask=True)
    batch = mask(rows, np.random.default_rng(seed))
    again = mask(rows, np.random.default_rng(seed))
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    for number, row in enumerate(rows):
        length = len(row["input_ids"])
        ids, labels = batch["input_ids"][number].tolist(), batch["labels"][number].tolist()
        chosen = {place for place, label in enumerate(labels) if label != IGNORED}
        assert all(row["words"][place] >= 0 and labels[place] == row["input_ids"][place] for place in chosen)
        assert all(ids[place] == row["input_ids"][place] for place in set(range(length)) - chosen)
        assert batch["special_tokens_mask"][number].tolist() == [
            int(place >= length or row["words"][place] < 0) for place in range(len(ids))
        ]
        if limit is not None:
            assert len(chosen) <= limit
        if whole:
            words = {row["words"][place] for place in chosen}
            assert chosen == {place for place, word in enumerate(row["words"]) if word in words}


def chosen(batch: dict[str, Tensor]) -> Tensor:
    return batch["labels"] != IGNORED


@pytest.mark.parametrize("whole", [False, True])
def test_frequencies(whole: bool) -> None:
    rows = encode(wordpiece(), [" ".join(["a", "bd", "cde", "adef"] * 12)] * 400)
    batch = Masking(wordpiece(), whole_words=whole)(rows, np.random.default_rng(1))
    original = torch.tensor([row["input_ids"] for row in rows])
    places = chosen(batch)
    ordinary = torch.tensor([row["words"] for row in rows]) >= 0
    share = places.sum() / ordinary.sum()
    assert share.item() == pytest.approx(0.15, abs=0.02 if whole else 0.01)
    new, old = batch["input_ids"][places], original[places]
    masked, same = new == 4, new == old
    # A random token is the mask, or the old one, once in a vocabulary.
    assert masked.float().mean().item() == pytest.approx(0.8 + 0.1 / 16, abs=0.02)
    assert (~masked & ~same).float().mean().item() == pytest.approx(0.1 * 14 / 16, abs=0.02)
    # Every position is chosen alike, and rows independently of each other.
    by_place = places[ordinary].view(400, -1).float().mean(0)
    assert by_place.min() > 0.07
    assert by_place.max() < 0.25
    assert len({tuple(row) for row in places.tolist()}) > 390


def test_sides_of_a_pair_are_masked_independently() -> None:
    rows = encode(wordpiece(), ["a b c"] * 2000, ["a b c"] * 2000)
    places = chosen(Masking(wordpiece(), 0.3)(rows, np.random.default_rng(0))).float()
    left, right = places[:, 1], places[:, 5]
    assert abs(float(torch.corrcoef(torch.stack([left, right]))[0, 1])) < 0.06


def test_whole_words_reach_the_share_with_at_least_one_word_and_never_pass_the_limit() -> None:
    rows = encode(wordpiece(), ["adef cde"])  # two words of 4 and 3 pieces: 15 % of 7 is one piece
    for seed in range(8):
        assert chosen(Masking(wordpiece(), whole_words=True)(rows, np.random.default_rng(seed))).sum() in (3, 4)
        capped = Masking(wordpiece(), whole_words=True, max_predictions=3)(rows, np.random.default_rng(seed))
        assert chosen(capped).sum() == 3
        none = Masking(wordpiece(), whole_words=True, max_predictions=2)(rows, np.random.default_rng(seed))
        assert chosen(none).sum() == 0


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_the_loss_is_the_plain_models(kind: str) -> None:
    from transformers import BertConfig, BertForMaskedLM, XLMRobertaConfig, XLMRobertaForMaskedLM

    shape = {
        "vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "pad_token_id": 0,
    }  # fmt: skip
    torch.manual_seed(0)
    bert = kind == "bert"
    model: Any = BertForMaskedLM(BertConfig(**shape)) if bert else XLMRobertaForMaskedLM(XLMRobertaConfig(**shape))
    batch = Masking(wordpiece(), 0.4, special_mask=True)(
        [{k: v for k, v in row.items() if bert or k != "token_type_ids"} for row in
         encode(wordpiece(), ["a bd cde", "adef"], ["bd", "a c"])],
        np.random.default_rng(0),
    )  # fmt: skip
    loss, output = masked_lm(model, batch, output_hidden_states=True)
    assert [tuple(layer.shape[:2]) for layer in output.hidden_states] == [tuple(batch["labels"].shape)] * 2
    assert masked_lm_loss(model, batch).total.item() == pytest.approx(loss.total.item())
    loss.total.backward()
    plain = model(**{key: value for key, value in batch.items() if key != "special_tokens_mask"}).loss
    assert loss.items == int(chosen(batch).sum()) > 0
    assert loss.total.item() / int(loss.items) == pytest.approx(plain.item(), rel=1e-5)
    ours = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    (plain * loss.items).backward()
    for mine, parameter in zip(ours, (p for p in model.parameters() if p.grad is not None), strict=True):
        torch.testing.assert_close(mine, parameter.grad, rtol=1e-4, atol=1e-5)


def test_what_is_refused() -> None:
    from core.models.tokenization import word_level

    with pytest.raises(UserError, match="no mask token"):
        Masking(word_level(["a"]))
    with pytest.raises(UserError, match="rate = 0"):
        Masking(wordpiece(), rate=0)
    with pytest.raises(UserError, match="no shares"):
        Masking(wordpiece(), replaced=0.9, random=0.2)
