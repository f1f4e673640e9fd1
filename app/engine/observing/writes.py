"""Announce writes to remembered tensors before they happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from modelight.engine.observing.memory import Memory

_HIDDEN_WRITES: dict[str, tuple[int, ...]] = {
    # Their schemas do not say that they write the running statistics (running_mean, running_var).
    "aten::native_batch_norm": (3, 4),
    "aten::batch_norm": (3, 4),
    "aten::instance_norm": (3, 4),
    "aten::_batch_norm_impl_index": (3, 4),
    "aten::cudnn_batch_norm": (3, 4),
    "aten::miopen_batch_norm": (3, 4),
}


@cache
def written_arguments(func: OpOverload) -> tuple[tuple[int, str], ...]:
    """Position and name of each argument that an operator writes to, ``out=`` and lists of tensors included."""
    hidden = _HIDDEN_WRITES.get(func._schema.name, ())
    return tuple(
        (index, argument.name)
        for index, argument in enumerate(func._schema.arguments)
        if index in hidden or (argument.alias_info is not None and argument.alias_info.is_write)
    )


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def announce(memory: Memory, func: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Tell ``memory`` of every tensor that this call is about to write to."""
    for index, name in written_arguments(func):
        value = args[index] if index < len(args) else kwargs.get(name)
        for tensor in _tensors(value):
            memory.before_write(tensor)


class WriteWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that does nothing but announce writes."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._memory = memory

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if isinstance(func, OpOverload) and written_arguments(func):
            announce(self._memory, func, args, kwargs or {})
        return func(*args, **(kwargs or {}))
