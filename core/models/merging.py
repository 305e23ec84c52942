"""Combine checkpoints of one architecture, tensor by tensor, without loading a model.

    merge(["step-1", "step-2"], "merged", average([0.5, 0.5]))                  # a soup
    merge(["base", "maths", "swahili"], "merged", task_arithmetic([1, 0.5]))    # base + (maths - base) + ...
    merge(["base", "maths", "swahili"], "merged", ties([1, 1], density=0.2))
    merge(["maths", "swahili"], "merged", lambda name, tensors: int(".layers.0." in name))    # a rule of one's own

Checkpoints are `save_pretrained` folders, however sharded, or single safetensors files. At most one shard of the result
and one tensor of each checkpoint are in memory. Tensors come in float32, since the differences that fine-tuning makes
vanish in bfloat16, and are stored in the last checkpoint's number format; those that a rule does not look at are not
read. Averaged LoRA factors are not the average of what they do: merge adapters into their base first.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import UserError
from core.files import build_folder, is_there, load_json, replacing
from core.models.loading import load_tokenizer, translated

# `model.layers.3.mlp.up_proj.weight`, `transformer.h.3.attn.c_attn.weight`; adapters' names have more before it.
_LAYER = re.compile(r"^(?P<stack>(?:.*?\.)?(?:layers|h|blocks|block))\.(?P<number>\d+)\.(?P<rest>.+)$")
_MODULES = {
    "attention": re.compile(r"attn|attention"),
    "mlp": re.compile(r"mlp|feed_forward|experts|ffn|dense_(?:h_to_4h|4h_to_h)"),
}

# Fields of a configuration that say how weights of the same shapes compute.
_MEANING = (
    "model_type", "num_attention_heads", "num_key_value_heads", "hidden_act", "rope_parameters", "rope_theta",
    "rope_scaling",
)  # fmt: skip

# Weights, and what training keeps beside them, in any format: none of it is true of the merged model.
_STATE = frozenset({".safetensors", ".bin", ".pt", ".pth"})

Combination = Callable[[str, Sequence[Tensor]], Tensor]
Rule = Callable[[str, Sequence[Tensor]], Tensor | int]
"""(name, that tensor of every checkpoint, in float32) -> the merged tensor, of the same shape; or the number of the
checkpoint whose tensor is taken as it is."""


def average(weights: Sequence[float]) -> Combination:
    """sum_i weight_i * tensor_i; the weights are used as they are."""

    def rule(name: str, tensors: Sequence[Tensor]) -> Tensor:
        parts = (weight * tensor for weight, tensor in zip(weights, tensors, strict=True))
        return sum(parts, start=torch.zeros(()))

    return rule


def task_arithmetic(scales: Sequence[float]) -> Combination:
    """base + sum_i scale_i * (tensor_i - base), where the first checkpoint is the base (Ilharco et al. 2023)."""

    def rule(name: str, tensors: Sequence[Tensor]) -> Tensor:
        base, *others = tensors
        return base + sum(scale * (other - base) for scale, other in zip(scales, others, strict=True))

    return rule


def ties(scales: Sequence[float], density: float = 0.2) -> Combination:
    """TIES (Yadav et al. 2023) as PEFT computes it, where the first checkpoint is the base.

    Args:
        scales: Of each other checkpoint's difference from the base.
        density: Share of the largest differences of a tensor that is kept, in (0, 1].
    """
    from peft.utils import merge_utils

    def rule(name: str, tensors: Sequence[Tensor]) -> Tensor:
        base, *others = tensors
        differences = [other - base for other in others]
        return base + merge_utils.ties(differences, torch.tensor(scales), density)

    return rule


def merge(paths: Sequence[str | Path], out: str | Path, rule: Rule) -> Path:
    """Write the merged checkpoint.

    Args:
        paths: Folders or `.safetensors` files. What is no weight (configuration, tokenizer) and the division into
            shards come from the last folder.
        out: New folder, or a file where all paths are files.
        rule: How to combine.

    Returns:
        `out`.

    Raises:
        UserError: Nothing to merge, `out` exists, or checkpoints that differ in names, shapes, configuration or
            tokenizer.
    """
    sources, out = _sources(paths), Path(out)
    if out.exists():
        raise UserError(f"{out} exists: name a new folder or file, or remove it.")
    if all(path.is_file() for path in sources):
        with replacing(out) as temporary:
            save_file(merged(paths, rule), temporary, metadata={"format": "pt"})
        return out
    _check_configurations(sources)
    _check_tokenizers(sources)

    def fill(folder: Path) -> None:
        for path in sources[-1].iterdir():
            if path.is_file() and path.suffix not in _STATE:
                shutil.copy2(path, folder / path.name)
        with _Checkpoints(sources) as checkpoints:
            for file in _files(sources[-1]):
                shard = checkpoints.combined(checkpoints.names_in(file), rule)
                save_file(shard, folder / file.name, metadata={"format": "pt"})

    build_folder(out, fill)
    return out


def merged(paths: Sequence[str | Path], rule: Rule) -> dict[str, Tensor]:
    """The merged state dictionary, for a model that is already in memory.

    Raises:
        UserError: as :func:`merge`, but for configurations and tokenizers.
    """
    with _Checkpoints(_sources(paths)) as checkpoints:
        return checkpoints.combined(checkpoints.names, rule)


def aligned(paths: Sequence[str | Path]) -> Iterator[tuple[str, list[Tensor]]]:
    """(name, that tensor of every checkpoint, in float32), a tensor at a time: to see what fine-tuning changed.

    Raises:
        UserError: as :func:`merged`.
    """
    with _Checkpoints(_sources(paths)) as checkpoints:
        for name in checkpoints.names:
            yield name, [tensor.float() for tensor in checkpoints.tensors(name)]


def names(path: str | Path) -> list[str]:
    """Names of the tensors of a checkpoint.

    Raises:
        UserError: as :func:`merged`.
    """
    with _Checkpoints(_sources([path])) as checkpoints:
        return checkpoints.names


class Part(NamedTuple):
    """Where a tensor stands: the stack and number of its layer (None outside of all), and the rest of its name."""

    stack: str
    layer: int | None
    rest: str

    @property
    def module(self) -> str:
        """`attention`, `mlp`, `other` (norms) or `outer`."""
        if self.layer is None:
            return "outer"
        # Norms carry the name of what they stand before, as in post_attention_layernorm.
        return next((k for k, p in _MODULES.items() if "norm" not in self.rest and p.search(self.rest)), "other")


def part(name: str) -> Part:
    """Read a tensor's name."""
    found = _LAYER.match(name)
    return Part(found["stack"], int(found["number"]), found["rest"]) if found else Part("", None, name)


def depth(names: Iterable[str]) -> int:
    """Layers of a checkpoint.

    Raises:
        UserError: It has none, or more than one stack of them, as encoder-decoders have.
    """
    layers = {(found.stack, found.layer) for found in map(part, names) if found.layer is not None}
    if len(stacks := sorted({stack for stack, _ in layers})) != 1:
        raise UserError(
            f"The checkpoint has {len(stacks)} stacks of layers ({', '.join(stacks) or 'none'}): working layer "
            "by layer needs one, as decoders have."
        )
    return len(layers)


def _sources(paths: Sequence[str | Path]) -> list[Path]:
    sources = [Path(path) for path in paths]
    if not sources:
        raise UserError("There is nothing to merge: give at least one checkpoint.")
    if missing := [path for path in sources if not is_there(path)]:
        raise UserError(f"{missing[0]} does not exist: check the path.")
    if any(path.is_file() for path in sources) and not all(path.is_file() for path in sources):
        raise UserError("Folders and single files cannot be merged with each other: give one kind.")
    return sources


def _files(source: Path) -> list[Path]:
    """The files with weights; the optimizer's state, which training writes beside them, is none."""
    if source.is_file():
        return [source]
    files = sorted(path for path in source.glob("*.safetensors") if not path.name.startswith("optimizer"))
    if not files:
        raise UserError(f"{source} has no *.safetensors: give folders that save_pretrained wrote.")
    return files


class _Floats(Sequence[Tensor]):
    """Tensors, each in float32 when it is looked at."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = tensors

    def __len__(self) -> int:
        return len(self._tensors)

    def __getitem__(self, place: Any) -> Any:
        return _Floats(self._tensors[place]) if isinstance(place, slice) else self._tensors[place].float()


class _Checkpoints(ExitStack):
    """Several checkpoints, open to be read a tensor at a time."""

    def __init__(self, sources: Sequence[Path]) -> None:
        super().__init__()
        self._where: list[dict[str, Any]] = []  # name -> handle, by checkpoint
        self._in_file: dict[Path, list[str]] = {}
        for source in sources:
            where: dict[str, Any] = {}
            for path in _files(source):
                with translated(path):
                    handle = self.enter_context(safe_open(path, framework="pt"))
                    self._in_file[path] = list(handle.keys())
                where |= dict.fromkeys(self._in_file[path], handle)
            self._where.append(where)
        first = self._where[0]
        for source, where in zip(sources, self._where, strict=True):
            if odd := sorted(where.keys() ^ first.keys()):
                whose = source if odd[0] in where else sources[0]
                raise UserError(f"{source} has other tensors than {sources[0]}: {odd[0]} is in {whose} alone.")
            for name, handle in where.items():
                shape, expected = (h.get_slice(name).get_shape() for h in (handle, first[name]))
                if shape != expected:
                    raise UserError(f"{source}: {name} has another shape than in {sources[0]}, {shape} for {expected}.")

    @property
    def names(self) -> list[str]:
        return list(self._where[-1])

    def names_in(self, file: Path) -> list[str]:
        return self._in_file[file]

    def tensors(self, name: str) -> list[Tensor]:
        return [where[name].get_tensor(name) for where in self._where]

    def combined(self, names: Iterable[str], rule: Rule) -> dict[str, Tensor]:
        found = {}
        for name in names:
            tensors = self.tensors(name)  # views of the files: nothing is read before it is looked at
            if tensors[-1].is_floating_point():
                result = rule(name, _Floats(tensors))
                result = (tensors[result] if isinstance(result, int) else result).to(tensors[-1].dtype)
                if result.shape != tensors[-1].shape:
                    raise ValueError(f"The rule gives {name} the shape {tuple(result.shape)}.")
                found[name] = result.contiguous()
            elif all(torch.equal(tensor, tensors[-1]) for tensor in tensors):
                found[name] = tensors[-1]
            else:
                raise UserError(f"{name} holds whole numbers that differ between the checkpoints: it cannot be merged.")
        return found


def _check_configurations(sources: Sequence[Path]) -> None:
    """What the same names and shapes mean has to be the same; folders without a configuration are taken on trust."""
    known = [path for source in sources if (path := source / "config.json").exists()]
    for path, config in ((path, load_json(path, dict)) for path in known[1:]):
        first = load_json(known[0], dict)
        if odd := [name for name in _MEANING if name in config and name in first and config[name] != first[name]]:
            raise UserError(
                f"{path} and {known[0]} differ in {odd[0]}, {config[odd[0]]} for {first[odd[0]]}: these are no "
                "checkpoints of one model."
            )


def _check_tokenizers(sources: Sequence[Path]) -> None:
    """Rows of one embedding have to mean the same piece; folders without a tokenizer are taken on trust."""
    known = [source for source in sources if (source / "tokenizer_config.json").exists()]
    vocabularies = [load_tokenizer(source).get_vocab() for source in known]
    for source, vocabulary in zip(known, vocabularies, strict=True):
        if vocabulary != vocabularies[0]:
            odd = min(piece for piece, _ in vocabulary.items() ^ vocabularies[0].items())
            raise UserError(f"{source} and {known[0]} have other tokenizers: they differ in {odd!r}.")
