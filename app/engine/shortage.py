"""Running out of memory, which torch says in as many ways as it has allocators."""

from __future__ import annotations

import torch

_SAID = (
    "can't allocate memory",  # the CPU's allocator
    "not enough memory",  # the same on Windows
    "out of memory",  # MPS, and CUDA outside its allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
    "Invalid buffer size",  # MPS
)


def is_shortage(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, of the host or of a device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def kind_of(error: BaseException) -> str:
    """``memory`` or ``run``: the :attr:`modelight.engine.errors.EngineError.kind` of what a model raised."""
    return "memory" if is_shortage(error) else "run"
