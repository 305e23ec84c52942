"""Models from nothing, for smoke runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.models.loading import load
from core.models.scratch import byte_decoder


@pytest.mark.parametrize("template", [None, "{{ messages[0]['content'] }}"])
def test_a_byte_decoder_is_loaded_and_spells_everything(tmp_path: Path, template: str | None) -> None:
    byte_decoder(tmp_path, ["one two", "three"], vocabulary=300, chat_template=template)
    model, tokenizer = load(tmp_path)
    text = "Ünïcode Հայ 漢字"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True).strip() == text
    assert tokenizer.chat_template == template
    assert len(tokenizer) <= model.get_input_embeddings().num_embeddings
