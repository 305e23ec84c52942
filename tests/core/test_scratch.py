"""Models from nothing, for smoke runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.errors import UserError
from core.models.loading import from_config, load
from core.models.scratch import byte_decoder, hybrid_config, start_copying


@pytest.mark.parametrize("template", [None, "{{ messages[0]['content'] }}"])
def test_a_byte_decoder_is_loaded_and_spells_everything(tmp_path: Path, template: str | None) -> None:
    byte_decoder(tmp_path, ["one two", "three"], vocabulary=300, chat_template=template)
    model, tokenizer = load(tmp_path)
    text = "Ünïcode Հայ 漢字"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True).strip() == text
    assert tokenizer.chat_template == template
    assert len(tokenizer) <= model.get_input_embeddings().num_embeddings


def test_a_hybrid_copies_before_it_has_learnt_anything() -> None:
    """Of tokens in random order, said again, the next one is what it was; without the start that is chance."""
    draws = torch.Generator().manual_seed(0)
    said = torch.stack([torch.randperm(296, generator=draws)[:12] + 4 for _ in range(20)]).repeat(1, 2)
    shares = []
    for start in (True, False):
        model = from_config(hybrid_config(300, width=128), seed=0)
        if start:
            start_copying(model, seed=0)
        with torch.no_grad():
            right = model(said).logits[:, 12:-1].argmax(-1) == said[:, 13:]
        shares.append(right.float().mean().item())
    assert shares[0] > 0.5 > 0.1 > shares[1]


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_a_hybrid_has_its_layers_in_pairs(layers: int) -> None:
    with pytest.raises(UserError, match=f"^{layers} layers cannot be"):
        hybrid_config(300, width=16, layers=layers)
