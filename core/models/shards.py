"""Reading a checkpoint into parameters that are sharded before they have values: each process its own rows.

transformers makes a model without values, would shard it by plans of its own, and reads of each DTensor the slice that
is this process's, file after file. Here the caller shards. Three more things are not as there:

- What is stored in other pieces than it is computed with (three matrices that become one) is read whole and cut after
  the conversion, one parameter at a time, unless the conversion leaves rows in their order. Cut before it, the rows
  would be others.
- So is what has fewer rows than there are processes: nothing can be made of no rows.
- transformers is not told that it has sharded the model, since then it would gather it to save it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.core_model_loading import WeightConverter

Shard = Callable[["PreTrainedModel"], object]
_SEQUENTIAL = "HF_DEACTIVATE_ASYNC_LOAD"


@contextlib.contextmanager
def sharded_by(shard: Shard) -> Iterator[dict[str, Any]]:
    """Inside, `from_pretrained` with the options that this gives calls `shard` with the model before it has values."""
    from transformers import PreTrainedModel, core_model_loading
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter
    from transformers.distributed import DistributedConfig

    kept_in_order = True

    def distribute(cls: type, model: PreTrainedModel, *_: Any) -> PreTrainedModel:
        nonlocal kept_in_order
        model.tie_weights()  # what is tied is one parameter of one unit
        shard(model)
        model.config.__dict__.pop("distributed_config", None)
        found = [entry for entry in get_model_conversion_mapping(model) if isinstance(entry, WeightConverter)]
        kept_in_order = all(map(_keeps_rows, found))
        if found:  # no threads that read ahead of the conversions and hold all that is read whole
            os.environ[_SEQUENTIAL] = "1"
        return model

    class Slice(core_model_loading.DtensorShardOperation):
        def __init__(self, parameter: Any) -> None:
            super().__init__(parameter)
            world = parameter.device_mesh.size()
            last = -(-parameter.shape[0] // world) * (world - 1)
            self.everyone_has_rows = last < parameter.shape[0]

        def shard_tensor(self, source: Any, tensor_idx: int | None = None, **place: Any) -> Any:
            if tensor_idx is None or (kept_in_order and self.everyone_has_rows):
                return super().shard_tensor(source, tensor_idx, **place)
            return source[...].to(**place)

    set_parameter = core_model_loading.set_param_for_module

    def cut(model: PreTrainedModel, name: str, value: Tensor, *rest: Any) -> None:
        whole: Any = model.get_parameter_or_buffer(name)
        if hasattr(whole, "to_local") and value.shape == whole.shape != whole.to_local().shape:
            size, first = whole.placements[0].local_shard_size_and_offset(
                whole.shape[0], whole.device_mesh.size(), whole.device_mesh.get_local_rank()
            )
            value = value.narrow(0, int(first), int(size)).clone()
        set_parameter(model, name, value, *rest)

    with (
        _replaced(PreTrainedModel, "maybe_distribute_model", classmethod(distribute)),
        _replaced(core_model_loading, "DtensorShardOperation", Slice),
        _replaced(core_model_loading, "set_param_for_module", cut),
    ):
        before = os.environ.get(_SEQUENTIAL)
        try:
            yield {"distributed_config": DistributedConfig()}
        finally:
            os.environ.pop(_SEQUENTIAL, None)
            if before is not None:
                os.environ[_SEQUENTIAL] = before


def _keeps_rows(converter: WeightConverter) -> bool:
    """Whether what it makes of some rows are the same rows of what it makes of all."""
    from transformers import core_model_loading as known

    def keeps(step: Any) -> bool:
        if type(step) is known.MergeModulelist:
            return step.dim == 0  # a row is an expert
        if type(step) is known.Transpose:
            return min(step.dim0, step.dim1) > 0
        return type(step) in (known.Concatenate, known.Chunk, known.Interleave) and step.dim > 0

    return all(map(keeps, converter.operations))


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)  # inherited
        else:
            setattr(owner, name, own)
