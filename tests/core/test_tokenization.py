"""Tokenizers made on the fly, and rows with loss on the completion alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from core.errors import UserError
from core.models.tokenization import IGNORED, chat_row, completion_row, train_bpe, word_level

TEXTS = ["the cat sat on the mat", "القطة جلست على الحصيرة", "кошка сидела на коврике"] * 5
BPE = train_bpe(TEXTS, 320, special_tokens=["<en>", "<ar>"])
CHAT_TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_byte_level_bpe_gives_every_string_back(text: str) -> None:
    assert BPE.decode(BPE.encode(text, add_special_tokens=False), skip_special_tokens=False) == text


def test_bpe_layout_and_round_trip(tmp_path: Path) -> None:
    assert len(BPE) == 320
    assert BPE.convert_tokens_to_ids(["<pad>", "<s>", "</s>", "<en>", "<ar>"]) == [0, 1, 2, 3, 4]
    assert BPE.encode("<ar>القطة", add_special_tokens=False)[0] == 4
    assert len(BPE.encode("the cat", add_special_tokens=False)) < len("the cat")
    BPE.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.encode(TEXTS[1]) == BPE.encode(TEXTS[1])


def test_bpe_refuses_what_cannot_work() -> None:
    with pytest.raises(UserError, match="at least 261"):
        train_bpe(TEXTS, 200, special_tokens=["<en>", "<ar>"])
    with pytest.raises(UserError, match="empty"):
        train_bpe([], 400)


def test_word_level_keeps_words_whole() -> None:
    tokenizer = word_level(["seven", "plus", "seven"], special_tokens=["<en>"], unknown=True)
    assert tokenizer.encode("<en> seven plus four", add_special_tokens=False) == [4, 5, 6, tokenizer.unk_token_id]
    assert len(tokenizer) == 7


def test_completion_rows_learn_the_completion_and_the_end() -> None:
    row = completion_row(BPE, "the cat", " sat")
    first = next(i for i, label in enumerate(row["labels"]) if label != IGNORED)
    assert row["input_ids"][0] == BPE.bos_token_id
    assert BPE.decode(row["input_ids"][1:first]) == "the cat"
    assert row["labels"][first:] == row["input_ids"][first:]
    assert BPE.decode(row["labels"][first:-1]) == " sat"
    assert row["labels"][-1] == BPE.eos_token_id


def test_chat_rows_learn_every_assistant_turn_and_nothing_else() -> None:
    tokenizer = train_bpe(TEXTS, 320)
    with pytest.raises(UserError, match="chat template"):
        chat_row(tokenizer, [{"role": "assistant", "content": "x"}])
    tokenizer.chat_template = CHAT_TEMPLATE
    messages = [
        {"role": "user", "content": "the cat"},
        {"role": "assistant", "content": "sat"},
        {"role": "user", "content": "on"},
        {"role": "assistant", "content": "the mat"},
    ]
    row = chat_row(tokenizer, messages)
    learned = [token for token in row["labels"] if token != IGNORED]
    assert tokenizer.decode(learned) == " sat</s> the mat</s>"
    assert (
        tokenizer.decode(row["input_ids"])
        == "[user] the cat</s>[assistant] sat</s>[user] on</s>[assistant] the mat</s>"
    )
    with pytest.raises(UserError, match="assistant"):
        chat_row(tokenizer, messages[:1])
