"""Token states at every layer, of a model or of a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from core.errors import UserError
from core.models import states
from core.models.scratch import masked_lm
from core.models.states import WhitenedStates, token_states, tokens, whitening


def calling(ids: list[int], **attributes: int | None) -> Any:
    class Tokenizer(SimpleNamespace):
        def __call__(self, text: str, verbose: bool = True) -> dict[str, list[int]]:
            return {"input_ids": ids}

    return Tokenizer(**{"bos_token_id": None, "cls_token_id": None, "eos_token_id": None} | attributes)


def test_a_begin_token_is_added_once() -> None:
    assert tokens(calling([7, 1], bos_token_id=7, eos_token_id=8), "x", add_bos=True) == [7, 1]
    assert tokens(calling([1], bos_token_id=7, eos_token_id=8), "x", add_bos=True) == [7, 1]
    assert tokens(calling([1], eos_token_id=8), "x", add_bos=True) == [8, 1]
    assert tokens(calling([1]), "x", add_bos=False) == [1]
    with pytest.raises(UserError, match="no begin or end token"):
        tokens(calling([1]), "x", add_bos=True)
    with pytest.raises(UserError, match="no token"):
        tokens(calling([]), "", add_bos=False)


def test_functions_and_models_give_batches() -> None:
    (batch,) = token_states(lambda text: torch.full((2, len(text), 4), 3.0), ["abc"])
    assert batch.rows == [0]
    assert [layer.shape for layer in batch.layers] == [(1, 3, 4)] * 2
    with pytest.raises(UserError, match=r"give \[layers, tokens, width\]"):
        list(token_states(lambda text: torch.zeros(3, 4), ["a"]))
    source = masked_lm(["a b c d"] * 9, pieces=8, longest=32)
    found = list(token_states(source, ["a b", "a", "c d a"], batch_tokens=6))
    assert sorted(row for batch in found for row in batch.rows) == [0, 1, 2]
    # XLM-R reads two tokens fewer than its table of positions has rows.
    with pytest.raises(UserError, match="tokens and the model reads 32"):
        list(token_states(source, ["a", "a b c d " * 9]))


def test_whitened_states_have_unit_covariance() -> None:
    states = torch.randn(500, 6, generator=torch.Generator().manual_seed(0)) @ torch.randn(6, 6) + 3
    mean, matrix = whitening(states, 4)
    white = (states - mean) @ matrix
    assert torch.allclose(torch.cov(white.T), torch.eye(4), atol=1e-3)
    assert torch.allclose(white.mean(0), torch.zeros(4), atol=1e-4)


def test_a_frozen_encoder_is_read_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def last(encoder: str, texts: Sequence[str]) -> list[Tensor]:
        asked.extend(texts)
        return [torch.randn(len(text), 6, generator=torch.Generator().manual_seed(len(text))) for text in texts]

    monkeypatch.setattr(states, "last_states", last)
    texts = [chr(65 + number) * (5 + number) for number in range(20)]
    fitted = WhitenedStates.fit("own", texts, 4, ["other text"])
    white = torch.cat([fitted(text) for text in texts])
    assert torch.allclose(torch.cov(white.T), torch.eye(4), atol=1e-3)
    fitted.save(tmp_path / "all")
    fitted.save(tmp_path / "few", table=False)
    asked.clear()
    kept, bare = (WhitenedStates.load("own", tmp_path / name) for name in ("all", "few"))
    assert torch.equal(kept("other text"), fitted("other text"))
    assert not asked
    assert torch.allclose(bare("other text"), fitted("other text"), atol=1e-5)
    bare("other text")
    assert (asked, bare.width) == (["other text"], 4)


def test_last_states_keep_the_order_of_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = masked_lm(["a b c d"] * 9, pieces=8, longest=32)
    monkeypatch.setattr(states, "load_once", lambda _: SimpleNamespace(model=model, tokenizer=tokenizer))
    together = states.last_states("", ["a b c d a b", "a", "b c"])
    for text, found in zip(["a b c d a b", "a", "b c"], together, strict=True):
        assert torch.allclose(found, states.last_states("", [text])[0], atol=1e-5)
