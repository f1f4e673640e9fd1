"""The memory of tensors on the CPU as numpy sees it, by address.

``Tensor.numpy()`` leaves a mark on the model: whatever storage it was called on can never be resized again. Nothing
here does; what is returned is valid while the tensor's storage is neither freed nor resized.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
import torch

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
_NUMPY: dict[torch.dtype, Any] = {
    torch.float64: np.float64,
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.int64: np.int64,
    torch.int32: np.int32,
    torch.int16: np.int16,
    torch.int8: np.int8,
    torch.uint8: np.uint8,
    torch.bool: np.bool_,
}


@lru_cache(maxsize=4096)
def _kind(count: int) -> type[ctypes.Array[ctypes.c_uint8]]:
    return ctypes.c_uint8 * count


def _keys(tensor: torch.Tensor) -> int:
    return torch._C._dispatch_keys(tensor).raw_repr()


def _usual_keys() -> frozenset[int]:
    with torch.inference_mode(False):
        usual = _keys(torch.empty(0, device="cpu"))
    with torch.inference_mode():
        return frozenset((usual, _keys(torch.empty(0, device="cpu"))))


_USUAL = _usual_keys()


def _memory(tensor: torch.Tensor, count: int) -> Any:
    return _kind(count).from_address(tensor.data_ptr())


def is_ordinary(tensor: torch.Tensor) -> bool:
    """Whether it is strided memory on the CPU and no more: not sparse, nested, quantized, lazily negated or conjugated,
    a fake, a wrapper of other tensors or inside a function transform.

    Each of these has a dispatch key of its own, so that one look answers all.
    """
    return _keys(tensor) in _USUAL


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether its values lie in memory on the CPU one after the other, as a type that numpy knows."""
    return _keys(tensor) in _USUAL and tensor.dtype in _NUMPY and tensor.is_contiguous()


def window(tensor: torch.Tensor) -> Bytes:
    """All bytes of a contiguous tensor."""
    count = tensor.numel() * tensor.element_size()
    return np.ndarray(count, np.uint8, _memory(tensor, count))


def values(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """All values of a plain tensor, in its shape."""
    count = tensor.numel() * tensor.element_size()
    return np.ndarray(tuple(tensor.shape), _NUMPY[tensor.dtype], _memory(tensor, count))


def doubles(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A copy of all values of any tensor, on whatever device, in double precision."""
    if is_plain(tensor):
        return values(tensor).astype(np.float64)
    with torch._C._DisableTorchDispatch(), torch.no_grad():
        copy: np.ndarray[Any, Any] = tensor.detach().to("cpu", torch.float64, copy=True).numpy()
    return copy


def blocks(tensor: torch.Tensor, count: int, step: int, size: int) -> np.ndarray[Any, Any]:
    """Of a line ``count`` × ``size`` values: neighbours, with ``step`` values from one block to the next.

    A line may be a view whose values lie further apart, or all at one place: a column, something expanded.
    """
    width = tensor.element_size()
    apart = width if tensor.is_contiguous() else tensor.stride(0) * width
    memory = _memory(tensor, (tensor.numel() - 1) * apart + width)
    return np.ndarray((count, size), _NUMPY[tensor.dtype], memory, 0, (step * apart, apart))
