"""Tensors to few numbers: a sample taken at once, moments and histograms of all samples in one pass at the end.

Minimum, maximum, NaN and infinity are exact for every capture. Mean, deviation and histogram come from at most
:data:`SAMPLE` values, in blocks at an odd stride (so that sampling does not lock to rows of a power of two); measured
on ResNet-50 and BERT-base, such a histogram lies within a total variation of 0.06 of the exact one, 0.035 in
the median. One numpy pass over all captures costs a fraction of what ``histc`` and ``var_mean`` cost in each
hook.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from modelight.protocol import Array, Stats

SAMPLE = 4096
_BLOCK = 8
"""Neighbours taken at each stride: an eighth of the pages touched, and hardly more error than single values."""
BINS = 64
Values = np.ndarray[Any, np.dtype[Any]]


def flat(tensor: torch.Tensor) -> torch.Tensor:
    """All values in one dimension, in the order of memory where that spares a copy."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    count = tensor.numel()
    reach = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    if count and reach == count and min(tensor.stride()) > 0:  # dense in another order, such as channels_last
        return tensor.as_strided((count,), (1,))
    return tensor.reshape(-1)


@dataclass
class Sample:
    """What was taken of one tensor, or of several calls of the same module."""

    count: int = 0
    step: int = 0
    minimum: float | None = None
    maximum: float | None = None
    has_nan: bool = False
    has_infinite: bool = False
    values: list[Values] = field(default_factory=list)

    def take(self, tensor: torch.Tensor, limit: int = SAMPLE) -> None:
        """Add a real, plain tensor. The first call decides the stride, so that later ones weigh as much per value."""
        if tensor.numel() == 0:
            return
        line = flat(tensor.detach())
        if self.step == 0:
            self.step = 1 if line.numel() <= limit else (-(-line.numel() * _BLOCK // limit) | 1)
        self._extremes(line)
        self.count += line.numel()
        self.values.append(_as_numpy(_blocks(line, self.step)))

    def copy(self) -> Sample:
        """The same figures; the values taken are shared, and neither changes them."""
        return replace(self, values=list(self.values))

    def _extremes(self, line: torch.Tensor) -> None:
        low, high = (float(value) for value in _aminmax(line))
        if math.isnan(low) or math.isnan(high):
            self.has_nan = True
            line = line[line.isfinite() | line.isinf()]
            if line.numel() == 0:
                return
            low, high = (float(value) for value in _aminmax(line))
        self.has_infinite |= math.isinf(low) or math.isinf(high)
        self.minimum = low if self.minimum is None else min(self.minimum, low)
        self.maximum = high if self.maximum is None else max(self.maximum, high)


def _blocks(line: torch.Tensor, step: int) -> torch.Tensor:
    """A copy of some values: an in-place operator may overwrite the tensor before the pass at the end."""
    if step == 1:
        return line.clone()
    blocks = line.numel() // step
    if blocks == 0:
        return line[:_BLOCK].clone()
    return line[: blocks * step].view(blocks, step)[:, :_BLOCK].reshape(-1)


def _aminmax(line: torch.Tensor) -> Sequence[torch.Tensor]:
    return torch.aminmax(line.to(torch.uint8) if line.dtype is torch.bool else line)


def _as_numpy(taken: torch.Tensor) -> Values:
    if taken.dtype in (torch.float64, torch.int64, torch.int32):
        return taken.double().cpu().numpy()
    return taken.float().cpu().numpy()


def is_readable(tensor: torch.Tensor) -> bool:
    """Whether :meth:`Sample.take` can read it: strided, real, with values, and no function transform around it."""
    return (
        tensor.layout is torch.strided
        and not tensor.is_complex()
        and not tensor.is_quantized
        and not tensor.is_nested
        and tensor.device.type != "meta"
        and not hasattr(tensor, "__tensor_flatten__")
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The same values in a plain tensor where it was sparse or quantized; otherwise the tensor itself."""
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor.to_dense() if tensor.layout not in (torch.strided, torch._mkldnn) and not tensor.is_nested else tensor


def stats_of(tensor: torch.Tensor, *, exact: bool = False) -> Stats:
    """Statistics of one tensor; ``exact`` uses every value."""
    sample = Sample()
    sample.take(tensor, limit=tensor.numel() if exact else SAMPLE)
    return summarize([sample])[0]


def summarize(samples: Sequence[Sample]) -> list[Stats]:
    """Statistics of all samples in one pass: segments of one array, ``reduceat`` and one ``bincount``."""
    joined = [_joined(sample) for sample in samples]
    single = [index for index, values in enumerate(joined) if values.dtype == np.float32 and values.size]
    double = [index for index, values in enumerate(joined) if values.dtype != np.float32 and values.size]
    found: dict[int, Stats] = {}
    for group in (single, double):
        stats = _pass([samples[index] for index in group], [joined[index] for index in group])
        found.update(zip(group, stats, strict=True))
    return [found.get(index) or Stats(sample.count, 0, None, None, None, None) for index, sample in enumerate(samples)]


def _joined(sample: Sample) -> Values:
    """All values of a sample, float32 where squares of them neither overflow nor vanish."""
    if not sample.values:
        return np.empty(0, np.float32)
    values = sample.values[0] if len(sample.values) == 1 else np.concatenate(sample.values)
    extremes = [abs(value) for value in (sample.minimum, sample.maximum) if value is not None and math.isfinite(value)]
    largest = math.inf if sample.has_infinite else max(extremes, default=1.0)
    return values if largest == 0 or 1e-12 < largest < 1e15 else values.astype(np.float64)


def _pass(samples: Sequence[Sample], joined: Sequence[Values]) -> list[Stats]:
    if not samples:
        return []
    values = np.concatenate(joined)
    sizes = np.array([part.size for part in joined])
    if any(sample.has_nan or sample.has_infinite for sample in samples):
        finite = np.isfinite(values)
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        counts = np.add.reduceat(finite, starts, dtype=np.int64)
        values = values[finite]
    else:
        counts = sizes
    rows = [index for index, count in enumerate(counts) if count]
    mean, std, low, high, histogram = _moments(values, counts[rows])
    result: list[Stats] = []
    place = {row: position for position, row in enumerate(rows)}
    for index, sample in enumerate(samples):
        at = place.get(index)
        result.append(
            Stats(
                count=sample.count,
                sampled=int(sizes[index]),
                minimum=sample.minimum,
                maximum=sample.maximum,
                mean=None if at is None else float(mean[at]),
                std=None if at is None else float(std[at]),
                has_nan=sample.has_nan,
                has_infinite=sample.has_infinite,
                low=0.0 if at is None else float(low[at]),
                high=0.0 if at is None else float(high[at]),
                counts=None if at is None else Array.of(histogram[at]),
            )
        )
    return result


def _moments(values: Values, counts: Values) -> tuple[Values, Values, Values, Values, Values]:
    """Mean, biased deviation, range and histogram of each segment."""
    if not len(counts):
        empty = np.empty(0)
        return empty, empty, empty, empty, empty
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    low = np.minimum.reduceat(values, starts).astype(np.float64)
    high = np.maximum.reduceat(values, starts).astype(np.float64)
    size = np.ones_like(low)
    if values.dtype == np.float64:  # in units of the largest, so that nothing overflows
        size = np.maximum(np.abs(low), np.abs(high))
        size[size == 0] = 1.0
        values = values / np.repeat(size, counts)
    mean = np.add.reduceat(values, starts, dtype=np.float64) / counts
    away = values - np.repeat(mean.astype(values.dtype), counts)
    np.square(away, out=away)
    std = np.sqrt(np.add.reduceat(away, starts, dtype=np.float64) / counts)
    return mean * size, std * size, low, high, _histograms(values, counts, low / size, high / size)


def _histograms(values: Values, counts: Values, low: Values, high: Values) -> Values:
    width = np.where(high > low, high - low, 1.0)
    bins = values - np.repeat(low.astype(values.dtype), counts)
    bins /= np.repeat(width.astype(values.dtype), counts)
    bins *= BINS
    index = bins.astype(np.int32)
    np.minimum(index, BINS - 1, out=index)
    index += np.repeat(np.arange(len(counts), dtype=np.int32) * BINS, counts)
    return np.bincount(index, minlength=len(counts) * BINS).reshape(len(counts), BINS).astype(np.int64)
