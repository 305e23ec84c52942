"""Chat models: layout, where a reply ends, answers by choice and in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import UserError
from core.inference.chat import Chat, render, turn_end
from core.models.architectures import miniature
from core.models.loading import from_config
from core.models.tokenization import train_bpe
from core.tasks.samples import dialogue
from core.tasks.transfer import Item

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


@pytest.fixture
def chat() -> Chat:
    """A base checkpoint: its tokenizer has a chat template, and it knows no end but its own."""
    tokenizer = train_bpe(["[user] Hi [assistant] yes no"] * 3, 300, special_tokens=["<|im_end|>", "<|end_of_text|>"])
    tokenizer.chat_template = TEMPLATE
    shape = miniature(len(tokenizer), width=16, layers=1, heads=1, feed_forward=16, positions=256)
    return Chat(from_config(shape, seed=0), tokenizer)


class Says(torch.nn.Module):
    """A head that always writes one token."""

    def __init__(self, token: int, vocabulary: int) -> None:
        super().__init__()
        self.logits = torch.zeros(vocabulary)
        self.logits[token] = 9.0

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(*hidden.shape[:-1], -1)


def test_a_reply_ends_where_the_layout_ends_a_turn(chat: Chat) -> None:
    vocabulary = chat.tokenizer.get_vocab()
    assert render(chat.tokenizer, dialogue("Hi"), prompt=True) == "<s>[user] Hi<|im_end|>\n[assistant] "
    assert turn_end(chat.tokenizer) == "<|im_end|>"
    assert set(chat.stop_ids()) >= {2, vocabulary["<|im_end|>"], vocabulary["<|end_of_text|>"]}
    chat.model.lm_head = Says(vocabulary["<|im_end|>"], len(vocabulary))
    assert chat.reply([dialogue("Hi"), dialogue("Hi", "yes", "Hi")], max_new_tokens=4) == ["", ""]


def test_a_layout_without_an_end_of_its_own_ends_with_the_tokenizers(chat: Chat) -> None:
    chat.tokenizer.chat_template = TEMPLATE.replace("<|im_end|>", "")
    assert turn_end(chat.tokenizer) == "</s>"
    chat.tokenizer.chat_template = None
    with pytest.raises(UserError, match="no chat template"):
        chat.reply([dialogue("Hi")])


def test_answers_are_chosen_or_written_in_the_order_asked(chat: Chat) -> None:
    vocabulary: dict[str, int] = chat.tokenizer.get_vocab()
    (yes,) = chat.tokenizer.encode("y", add_special_tokens=False)
    chat.model.lm_head = Says(yes, len(vocabulary))
    items = [Item("0", "Hi", "", ("no no no", "yy")), Item("1", "Hi", ""), Item("2", "no", "", ("y", "no no no"))]
    assert chat.answer(items, max_new_tokens=3) == ["yy", "yyy", "y"]


def test_a_chat_is_loaded_from_a_folder(chat: Chat, tmp_path: Path) -> None:
    chat.model.save_pretrained(tmp_path)
    chat.tokenizer.save_pretrained(tmp_path)
    again: Any = Chat.load(tmp_path, device="cpu")
    assert again.tokenizer.chat_template == TEMPLATE
