"""Who holds how many bytes while code runs on fake tensors: kinds, the largest tensors and the module at the peak.

Fake tensors have shapes and no values, so a model of any size runs in a gigabyte. Storages are followed from the
operation that makes them until they are freed, as a GPU's allocator would see them, but for its rounding and
fragmentation.
"""

from __future__ import annotations

import heapq
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType, MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import torch
import torch.nn.attention.varlen  # registers the FLOPs of its kernels
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

# What `.item()` and `bool()` dispatch (the last two in inference mode).
_SCALARS = ("aten._local_scalar_dense.default", "aten.item.default", "aten.is_nonzero.default")
_MASKED = ("aten.index.Tensor", "aten.index_put_.default", "aten._index_put_impl_.default")
_LIBRARIES = ("site-packages", "/lib/python", "/core/cost/memory.py", "/core/cost/simulate.py", "<")
_RESIZE = torch.UntypedStorage.resize_
# The peak itself is exact; what it is made of is looked at again whenever it has grown by this share.
_GROWTH = 1.002


class Large(NamedTuple):
    """A tensor that was there at the peak: what made it, and the line of ours in which that happened."""

    nbytes: int
    shape: tuple[int, ...]
    dtype: str
    made_by: str
    line: str


@dataclass
class Peak:
    """The largest number of bytes at a time, by kind; the module at work then, and the five largest tensors."""

    total: float = 0.0
    kinds: dict[str, float] = field(default_factory=dict)
    where: str = ""
    largest: list[Large] = field(default_factory=list)


class _Held:
    """A storage that is alive. Its kind may change: what an operation made turns out to be a gradient."""

    def __init__(self, kind: str) -> None:
        self.kind, self.nbytes, self.reference = kind, 0, None
        self.shape: tuple[int, ...] = ()
        self.dtype = self.made_by = self.line = ""


class Memory(TorchDispatchMode):
    """Counts while it is entered, and what :meth:`note` is told.

    Values are unknown: `.item()` is `number`, and `nonzero` and masks find every element, the worst case. An expert of
    a mixture finds the share of a balanced router, and labels are as many as the batch has.

    Args:
        routed: (experts a token, experts) of a mixture.
        labels: How many elements a mask of this shape finds.
    """

    def __init__(
        self,
        routed: tuple[int, int] = (0, 1),
        labels: Mapping[tuple[int, ...], int] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.labels = labels
        self.number = self._depth = 0
        self.names: dict[int, str] = {}
        self.trained: list[nn.Parameter] = []
        self.routed, self.new = routed, "activations"
        self.living: dict[int, _Held] = {}
        self.now: Counter[str] = Counter()
        self.total = 0
        self.forget()

    def watch(self, model: nn.Module) -> None:
        """Count a model's tensors as weights, and name its modules."""
        self.names = {id(module): name for name, module in model.named_modules()}
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for tensor in [*model.parameters(), *model.buffers()]:
            self.note(tensor, "weights")

    def forget(self) -> None:
        """Look for a new peak, from what is there now, and count FLOPs from 0."""
        self.peak, self._looked, self.flops = Peak(), 0.0, 0

    def __enter__(self) -> Memory:
        super().__enter__()
        if self._depth == 0:
            # FSDP frees what it gathered by resizing the storage, which is no operation and is not dispatched.
            def noted(storage: Any, size: int) -> Any:
                resized = _RESIZE(storage, size)
                self.note(SimpleNamespace(untyped_storage=lambda: storage), "copies of weights")
                return resized

            torch.UntypedStorage.resize_ = noted  # type: ignore[method-assign, assignment]
        self._depth += 1
        return self

    def __exit__(self, *exception: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            torch.UntypedStorage.resize_ = _RESIZE  # type: ignore[method-assign]
        super().__exit__(*exception)

    def note(self, tensor: Any, kind: str | None = None) -> _Held:
        """Count a tensor's storage as `kind`; None: as what it was, or as new."""
        storage = getattr(tensor, "_local_tensor", tensor).untyped_storage()
        key = storage._cdata
        held = self.living.get(key)
        if held is None:
            held = self.living[key] = _Held(kind or self.new)
            held.reference = weakref.ref(storage, self._forgetting(key))  # type: ignore[assignment]
        size = storage.nbytes()
        self.now[held.kind] -= held.nbytes
        self.total += size - held.nbytes
        held.kind, held.nbytes = kind or held.kind, size
        self.now[held.kind] += size
        return held

    def _forgetting(self, key: int) -> Callable[[Any], None]:
        def forget(_: Any) -> None:
            held = self.living.pop(key)
            self.now[held.kind] -= held.nbytes
            self.total -= held.nbytes

        return forget

    def look(self) -> None:
        """Whether this is the peak so far, and then what is there."""
        if self.total <= self.peak.total:
            return
        self.peak.total = self.total
        if self.total > self._looked * _GROWTH:
            for parameter in self.trained:  # FSDP sets its gradients without any operation
                if parameter.grad is not None:
                    self.note(parameter.grad, "gradients")
            self._looked, self.peak.kinds, self.peak.where = self.total, dict(self.now), self._module()
            top = heapq.nlargest(5, (held for held in self.living.values() if held.shape), key=lambda h: h.nbytes)
            self.peak.largest = [Large(h.nbytes, h.shape, h.dtype, h.made_by, h.line) for h in top]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = str(func), kwargs or {}
        x = args[0] if args else None
        if any(kind.__name__ == "DTensor" for kind in types):
            return NotImplemented  # its local tensors come back here
        if isinstance(x, FakeTensor):
            if name in _SCALARS:
                return self.number
            if name == "aten.nonzero.default":
                return self._count(x.new_empty(self._found(x), dtype=torch.long), name)
            if name in ("aten.where.default", "aten.nonzero_numpy.default"):  # in inference mode
                return list(self._count(x.new_empty(self._found(x), dtype=torch.long), name).unbind(1))
            if name == "aten.masked_select.default":
                return self._count(x.new_empty(torch.broadcast_shapes(x.shape, args[1].shape)).flatten(), name)
            if name == "aten.bincount.default":
                size = kwargs.get("minlength", args[2] if len(args) > 2 else 0)
                return self._count(x.new_empty(max(size, 1), dtype=torch.long), name)
            if name in _MASKED:
                args = (x, [part for index in args[1] for part in self._indices(index)], *args[2:])
        formula = flop_registry.get(func._overloadpacket)
        if (
            formula is None and name.startswith("aten.") and torch.is_inference_mode_enabled()
        ):  # where nothing is taken apart beforehand
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        self.flops += formula(*args, **kwargs, out_val=out) if formula else 0
        kind = None
        if name.startswith("fsdp"):
            kind = "copies of weights"
        elif "_to_copy" in name and isinstance(x, FakeTensor) and self._is_weight(x):
            kind = "copies of weights"  # autocast's
        for made in tree_iter((out, kwargs.get("out"))):
            if isinstance(made, FakeTensor):
                self._count(made, name, kind)
        return out

    def _count(self, made: Tensor, name: str, kind: str | None = None) -> Tensor:
        key = made.untyped_storage()._cdata
        fresh = key not in self.living
        if fresh and kind is None and torch._C._current_graph_task_id() >= 0:
            kind = "temporary"  # of the backward pass
        held = self.note(made, kind if fresh or kind == "copies of weights" else None)
        if fresh and held.nbytes > self._looked / 1000:
            held.shape, held.dtype = tuple(made.shape), str(made.dtype).removeprefix("torch.")
            held.made_by, held.line = name.removesuffix(".default"), self._line()
        self.look()
        return made

    def _is_weight(self, x: Tensor) -> bool:
        held = self.living.get(x.untyped_storage()._cdata)
        return held is not None and held.kind in ("weights", "copies of weights")

    def _found(self, mask: Tensor) -> tuple[int, int]:
        """Rows and columns of what `nonzero` finds."""
        top, experts = self.routed
        if tuple(mask.shape) in self.labels:
            return self.labels[tuple(mask.shape)], mask.ndim
        one_expert = mask.ndim == 2 and top in mask.shape and not mask.dtype.is_floating_point
        return (-(-mask.numel() // experts) if one_expert else mask.numel()), mask.ndim

    def _indices(self, index: Any) -> list[Any]:
        if index is None or index.dtype != torch.bool:
            return [index]
        return list(index.new_empty(self._found(index), dtype=torch.long).unbind(1))

    def _line(self) -> str:
        """The innermost line that is no library's."""
        for frame in _frames():
            path = frame.f_code.co_filename
            if frame.f_code.co_name in ("_train", "_evaluate") and path.endswith("/core/cost/simulate.py"):
                break
            if not any(part in path for part in _LIBRARIES):
                return f"{'/'.join(path.split('/')[-3:])}:{frame.f_lineno}"
        return ""

    def _module(self) -> str:
        """The innermost module that is at work; during the backward pass, of a checkpointed layer alone."""
        for frame in _frames():
            if (name := self.names.get(id(frame.f_locals.get("self")))) is not None:
                return name or "the outermost module, the loss among it"
        return "the backward pass" if torch._C._current_graph_task_id() >= 0 else "outside the model"


def _frames() -> Iterator[FrameType]:
    frame = sys._getframe(2)
    while frame:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]
