"""Merged checkpoints: by hand, however they are sharded, and refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from core.errors import UserError
from core.files import read_json, write_json
from core.models.merging import aligned, average, depth, merge, merged, names, part, task_arithmetic, ties
from core.models.tokenization import word_level


def checkpoint(folder: Path, shards: list[dict[str, torch.Tensor]], name: str = "x") -> Path:
    folder.mkdir()
    for number, shard in enumerate(shards):
        save_file(shard, folder / f"model-{number}.safetensors")
    save_file({"moment": torch.zeros(1)}, folder / "optimizer.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"older")
    write_json(folder / "config.json", {"name": name})
    return folder


def test_an_average_follows_the_last_checkpoint_in_shards_numbers_and_other_files(tmp_path: Path) -> None:
    w, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0])
    one = checkpoint(tmp_path / "one", [{"w": w, "b": b, "n": torch.tensor([7])}])
    two = checkpoint(tmp_path / "two", [{"b": (b + 1).bfloat16(), "n": torch.tensor([7])}, {"w": w * 3}], "last")
    out = merge([one, two], tmp_path / "out", average([0.25, 0.75]))
    assert load_file(out / "model-1.safetensors")["w"].tolist() == [2.5, 5.0]
    first = load_file(out / "model-0.safetensors")
    assert (first["b"].dtype, first["b"].item(), first["n"].item()) == (torch.bfloat16, 3.75, 7)
    assert read_json(out / "config.json") == {"name": "last"}
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model-0.safetensors", "model-1.safetensors"]
    assert merged([one, two], average([0.25, 0.75]))["w"].tolist() == [2.5, 5.0]
    assert sorted(names(two)) == ["b", "n", "w"]
    assert {name: [t.tolist() for t in tensors] for name, tensors in aligned([one, two])}["w"] == [[1, 2], [3, 6]]


def test_a_rule_may_name_a_checkpoint_whose_tensor_is_taken_as_it_is(tmp_path: Path) -> None:
    one = checkpoint(tmp_path / "one", [{"a": torch.tensor([1.0]), "b": torch.tensor([1 / 3])}])
    two = checkpoint(tmp_path / "two", [{"a": torch.tensor([2.0]), "b": torch.tensor([3.0]).bfloat16()}])
    found = merged([one, two], lambda name, tensors: int(name == "a"))
    assert (found["a"].item(), found["b"].item()) == (2, torch.tensor(1 / 3).bfloat16().item())
    last = merged([one, two], lambda name, tensors: tensors[-2:][1])
    assert (last["a"].item(), last["b"].dtype) == (2, torch.bfloat16)


def test_single_files(tmp_path: Path) -> None:
    for number in (1, 2):
        save_file({"w": torch.full((2,), float(number))}, tmp_path / f"{number}.safetensors")
    out = merge(
        [tmp_path / "1.safetensors", tmp_path / "2.safetensors"], tmp_path / "m.safetensors", average([0.5, 0.5])
    )
    assert load_file(out)["w"].tolist() == [1.5, 1.5]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=4), st.integers(1, 3))
def test_a_checkpoint_merged_with_itself_is_itself(values: list[float], count: int) -> None:
    tensor = torch.tensor(values)
    for rule in (average([1 / count] * count), task_arithmetic([0.7] * (count - 1))):
        assert torch.allclose(rule("w", [tensor] * count), tensor, atol=1e-6)
    assert torch.equal(ties([1.0], density=0.5)("w", [tensor, tensor]), tensor)


def test_task_arithmetic_and_ties_by_hand() -> None:
    base = torch.tensor([1.0, 1.0, 1.0, 1.0])
    tasks = [base + torch.tensor([3.0, -1.0, 0.1, 2.0]), base + torch.tensor([-1.5, -2.0, 0.2, 4.0])]
    assert task_arithmetic([1, 0.5])("w", [base, *tasks]).tolist() == pytest.approx([3.25, -1.0, 1.2, 5.0])
    # Half of each is kept: (3, 0, 0, 2) and (0, -2, 0, 4); signs +, -, 0, +; the mean of those that agree.
    assert ties([1, 1], density=0.5)("w", [base, *tasks]).tolist() == pytest.approx([4.0, -1.0, 1.0, 4.0])


def test_small_differences_survive_bfloat16() -> None:
    base = torch.full((1000,), 1.0)
    fine = base + 1e-3
    assert task_arithmetic([8.0])("w", [base, fine]).mean().item() == pytest.approx(1.008, abs=1e-5)


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    one = checkpoint(tmp_path / "one", [{"w": torch.zeros(2), "n": torch.tensor([1])}])
    tied = checkpoint(tmp_path / "tied", [{"w": torch.zeros(2), "n": torch.tensor([1]), "head": torch.zeros(2)}])
    wide = checkpoint(tmp_path / "wide", [{"w": torch.zeros(3), "n": torch.tensor([1])}])
    other = checkpoint(tmp_path / "other", [{"w": torch.zeros(2), "n": torch.tensor([2])}])
    half = average([0.5, 0.5])
    for paths, sentence in (
        ([], "nothing to merge"),
        ([one, tmp_path / "gone"], "gone does not exist"),
        ([one, one / "model-0.safetensors"], "one kind"),
        ([one, tied], f"head is in {tied} alone"),
        ([one, wide], "w has another shape"),
        ([one, other], "whole numbers"),
    ):
        with pytest.raises(UserError, match=sentence):
            merge(paths, tmp_path / "out", half)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="exists"):
        merge([one, one], tied, half)
    with pytest.raises(ValueError, match="shape"):
        merged([one, one], lambda name, tensors: tensors[0][:1])


def test_another_architecture_with_the_same_shapes_is_refused(tmp_path: Path) -> None:
    folders = [checkpoint(tmp_path / name, [{"w": torch.zeros(2)}]) for name in ("a", "b")]
    for folder, heads in zip(folders, (4, 8), strict=True):
        write_json(folder / "config.json", {"num_attention_heads": heads})
    with pytest.raises(UserError, match="differ in num_attention_heads, 8 for 4"):
        merge(folders, tmp_path / "out", average([0.5, 0.5]))


def test_other_tokenizers_are_refused(tmp_path: Path) -> None:
    folders = [checkpoint(tmp_path / name, [{"w": torch.zeros(2)}]) for name in ("a", "b", "none")]
    word_level(["one", "two"]).save_pretrained(folders[0])
    word_level(["two", "three"]).save_pretrained(folders[1])
    with pytest.raises(UserError, match="differ in"):
        merge(folders[:2], tmp_path / "out", average([0.5, 0.5]))
    assert merge([folders[0], folders[2]], tmp_path / "out", average([0.5, 0.5])).is_dir()


@pytest.mark.parametrize(
    ("name", "layer", "module"),
    [
        ("model.layers.3.self_attn.q_proj.weight", 3, "attention"),
        ("model.layers.11.mlp.experts.2.up_proj.weight", 11, "mlp"),
        ("model.layers.0.post_attention_layernorm.weight", 0, "other"),
        ("transformer.h.7.attn.c_attn.bias", 7, "attention"),
        ("gpt_neox.layers.5.mlp.dense_h_to_4h.weight", 5, "mlp"),
        ("base_model.model.model.layers.2.mlp.down_proj.lora_B.weight", 2, "mlp"),
        ("model.embed_tokens.weight", None, "outer"),
        ("lm_head.weight", None, "outer"),
    ],
)
def test_names_of_layers(name: str, layer: int | None, module: str) -> None:
    found = part(name)
    assert (found.layer, found.module) == (layer, module)


def test_two_stacks_of_layers_or_none_are_refused() -> None:
    with pytest.raises(UserError, match="2 stacks"):
        depth(["model.encoder.layers.0.w", "model.decoder.layers.0.w"])
    with pytest.raises(UserError, match="0 stacks"):
        depth(["lm_head.weight"])
    assert depth(["lm_head.weight", *(f"model.layers.{number}.mlp.up_proj.weight" for number in range(3))]) == 3
