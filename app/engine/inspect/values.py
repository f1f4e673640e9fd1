"""Every value of a tensor that may be larger than the memory: exact figures, read piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from modelight.engine.errors import Cancelled, ShouldStop, never_stop
from modelight.protocol import Array, Clause, Stats

PIECE = 2 * 1024 * 1024
"""Values that are read at once; as float64 they take 16 MiB."""
BINS = 64
Floats = np.ndarray[Any, np.dtype[np.float64]]
Advance = Callable[[float], None]
"""Called with the share (0 to 1) that has been read."""


def no_advance(share: float) -> None:
    """For callers that show no progress."""


@dataclass(frozen=True)
class Exact:
    """Figures of every value. ``stats.std`` is the biased deviation, as everywhere in the program."""

    stats: Stats
    nan: int
    infinite: int


def memory(tensor: torch.Tensor) -> int:
    """Bytes that the tensor's values take. An expanded tensor repeats fewer bytes than its shape promises."""
    if tensor.layout is not torch.strided:
        return sum(memory(part) for part in _sparse_parts(tensor))
    whole = tensor.numel() * tensor.element_size()
    return whole if tensor.device.type == "meta" else min(whole, tensor.untyped_storage().nbytes())


def _sparse_parts(tensor: torch.Tensor) -> list[torch.Tensor]:
    if tensor.layout is torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return []


def unreadable(tensor: torch.Tensor) -> Clause | None:
    """Why the values of a tensor cannot be shown as numbers on an axis; None where they can."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.device.type == "meta":
        return Clause("values-absent")
    if tensor.layout is not torch.strided or tensor.is_nested or hasattr(tensor, "__tensor_flatten__"):
        return Clause("values-not-strided", {"dtype": dtype})
    if tensor.is_complex():
        return Clause("values-complex", {"dtype": dtype})
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return Clause("values-repeated")
    try:
        _doubles(tensor[(slice(0, 1),) * tensor.dim()])
    except (RuntimeError, NotImplementedError, TypeError):
        return Clause("values-packed", {"dtype": dtype})
    return None


def pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensor in pieces of at most :data:`PIECE` values, in order, without copying the whole."""
    if tensor.numel() <= PIECE:
        yield tensor
        return
    if tensor.is_contiguous():
        line = tensor.view(-1)
        yield from (line[start : start + PIECE] for start in range(0, line.numel(), PIECE))
        return
    rows = max(1, PIECE // max(1, tensor.numel() // tensor.shape[0]))
    for start in range(0, tensor.shape[0], rows):
        part = tensor[start : start + rows]
        yield from (part,) if part.numel() <= PIECE else (inner for row in part for inner in pieces(row))


def exact(tensor: torch.Tensor, *, should_stop: ShouldStop = never_stop, advance: Advance = no_advance) -> Exact:
    """Count, extremes, mean, deviation and a histogram of :data:`BINS` equal bins over all finite values.

    Two passes over the values, the second for the histogram. The tensor must be readable (:func:`unreadable`).

    Raises:
        Cancelled: ``should_stop`` said so between two pieces.
    """
    whole = tensor.dequantize() if tensor.is_quantized else tensor.detach()
    moments = _Moments()
    for part in _watched(whole, should_stop, lambda share: advance(share / 2)):
        moments.add(part)
    counts = _histogram(whole, moments, should_stop, lambda share: advance(0.5 + share / 2))
    return Exact(moments.stats(whole.numel(), counts), moments.nan, moments.infinite)


def _watched(tensor: torch.Tensor, should_stop: ShouldStop, advance: Advance) -> Iterator[Floats]:
    read, total = 0, max(1, tensor.numel())
    for part in pieces(tensor):
        if should_stop():
            raise Cancelled
        yield _doubles(part)
        read += part.numel()
        advance(read / total)


def doubles(tensor: torch.Tensor) -> Floats:
    """All values of a small readable tensor as float64, flat."""
    return _doubles(tensor.dequantize() if tensor.is_quantized else tensor)


def _doubles(tensor: torch.Tensor) -> Floats:
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    return tensor.detach().double().cpu().reshape(-1).numpy()


class _Moments:
    """Moments merged piece by piece (Chan, Golub, LeVeque 1979), so that no sum of squares can cancel."""

    def __init__(self) -> None:
        self.nan = self.infinite = self.finite = 0
        self.low, self.high = math.inf, -math.inf
        self.least, self.most = math.inf, -math.inf
        self._mean = self._squares = 0.0

    def add(self, values: Floats) -> None:
        """Take a piece: low and high are the extremes of finite values, least and most of infinite ones."""
        good = values[np.isfinite(values)]
        if good.size < values.size:
            infinite = values[np.isinf(values)]
            self.infinite += infinite.size
            self.nan += values.size - good.size - infinite.size
            self.least = min(self.least, float(infinite.min(initial=math.inf)))
            self.most = max(self.most, float(infinite.max(initial=-math.inf)))
        if good.size:
            self._merge(good)

    def _merge(self, good: Floats) -> None:
        self.low, self.high = min(self.low, float(good.min())), max(self.high, float(good.max()))
        mean = float(good.mean())
        squares = float(np.square(good - mean).sum())
        total = self.finite + good.size
        apart = mean - self._mean
        self._squares += squares + apart * apart * self.finite * good.size / total
        self._mean += apart * good.size / total
        self.finite = total

    def stats(self, count: int, histogram: Floats | None) -> Stats:
        """The figures; minimum and maximum are infinite where a value is."""
        known, numbers = self.finite > 0, self.finite + self.infinite > 0
        return Stats(
            count=count,
            sampled=count,
            minimum=float(min(self.low, self.least)) if numbers else None,
            maximum=float(max(self.high, self.most)) if numbers else None,
            mean=self._mean if known else None,
            std=math.sqrt(self._squares / self.finite) if known else None,
            has_nan=self.nan > 0,
            has_infinite=self.infinite > 0,
            low=self.low if known else 0.0,
            high=self.high if known else 0.0,
            counts=None if histogram is None else Array.of(histogram),
        )


def _histogram(tensor: torch.Tensor, moments: _Moments, should_stop: ShouldStop, advance: Advance) -> Any:
    low, high = moments.low, moments.high
    if not moments.finite or not math.isfinite(high - low):
        return None
    counts = np.zeros(BINS, np.int64)
    if low == high:
        counts[0] = moments.finite
        return counts
    for values in _watched(tensor, should_stop, advance):
        good = values if moments.finite == tensor.numel() else values[np.isfinite(values)]
        counts += np.histogram(good, BINS, (low, high))[0]
    return counts
