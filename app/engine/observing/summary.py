"""Tensors to few numbers: a sample taken at once, moments and histograms of all samples in one pass at the end.

Minimum, maximum, NaN and infinity are exact for every capture. Mean, deviation and histogram come from about
:data:`SAMPLE` values, in blocks at an odd stride (so that sampling does not lock to rows of a power of two); measured
on an untrained ResNet-50 and BERT-base, such a histogram lies within a total variation of 0.11 of the exact one over
the same range, 0.04 to 0.05 in the median. One numpy pass over all captures costs a fraction of what ``histc`` and
``var_mean`` cost in each hook.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from modelight.engine.observing import arrays
from modelight.protocol import Array, Stats

SAMPLE = 4096
"""Values of one capture; of a tensor less than twice as large, all."""
_BLOCK = 16
"""Neighbours taken at each stride: of float32 one line of the processor's cache, whole, since strides are multiples of
it. Blocks of 8 at any odd stride touch three times as many lines, and are no nearer to the exact histogram."""
BINS = 64
_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
_TOGETHER = 32 * SAMPLE
"""Values of samples of one size that go through the pass at once: as many as the processor's cache holds."""
_MOST = 16
"""Full samples of one module, called over and over, before they are thinned."""
_FEW = 4
"""Samples of one size that are worth a pass of their own."""
Values = np.ndarray[Any, np.dtype[Any]]
_Moments = tuple[Values, Values, Values, Values, Values]
"""Mean, biased deviation, lowest, highest, and counts of a histogram between them, by segment."""


def flat(tensor: torch.Tensor) -> torch.Tensor:
    """All values in one dimension, in the order of memory where that spares a copy; what is expanded once."""
    for dimension, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if stride == 0 and size > 1:
            tensor = tensor.narrow(dimension, 0, 1)
    if tensor.is_contiguous():
        return tensor.view(-1)
    return tensor.as_strided((tensor.numel(),), (1,)) if _is_dense(tensor) else tensor.reshape(-1)


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether its values fill their memory without a gap and none twice, in some order (``channels_last``, say)."""
    filled = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if stride != filled:
                return False
            filled *= size
    return True


class Taken(NamedTuple):
    """What one tensor showed: ``total`` values, their extremes (None where all are NaN), and some of them."""

    total: int
    step: int
    minimum: float | None
    maximum: float | None
    has_nan: bool
    values: Values

    def rectified(self) -> Taken:
        """What the tensor shows after ``relu_``: it is monotone, so extremes go to extremes, and NaN stays."""
        low, high = (None if value is None else max(value, 0.0) for value in (self.minimum, self.maximum))
        return self._replace(minimum=low, maximum=high, values=np.maximum(self.values, 0))


def take(tensor: torch.Tensor, limit: int = SAMPLE, step: int = 0) -> Taken | None:
    """Read a real, plain tensor; None if it is empty. ``step`` between blocks; 0 for about ``limit`` values."""
    count = tensor.numel()
    if count == 0:
        return None
    line = tensor.detach()
    if not line.is_contiguous():
        line = flat(line)
    size = line.numel()
    step = step or _step(size, limit)
    low, high, has_nan = _extremes(line)
    return Taken(count, step, low, high, has_nan, _blocks(line, size, step))


@dataclass(slots=True)
class Sample:
    """What was taken of one tensor, or of several calls of the same module."""

    count: int = 0
    step: int = 0
    minimum: float | None = None
    maximum: float | None = None
    has_nan: bool = False
    has_infinite: bool = False
    values: list[Values] = field(default_factory=list)

    def take(self, tensor: torch.Tensor, limit: int = SAMPLE) -> Taken | None:
        """Add a tensor. All are taken at one stride, so that each weighs as much per value."""
        if self.step and tensor.numel() > limit:
            self._coarsen(tensor.numel(), limit)
        taken = take(tensor, limit, self.step)
        if taken is not None:
            self.add(taken)
        return taken

    def _coarsen(self, count: int, limit: int) -> None:
        """Where one stride for all would take far too much of this call, or altogether: what there is is thinned."""
        if self.step == 1:
            self.step = _step(count, limit)
            self.values = [_thinned(values, self.step) for values in self.values]
            return
        much = count * _BLOCK / (self.step * limit), sum(values.size for values in self.values) / (_MOST * SAMPLE)
        factor = math.ceil(max(much) / 1.5) | 1
        if factor > 1:
            self.step *= factor
            self.values = [_every(values, factor) for values in self.values]

    def add(self, taken: Taken) -> None:
        """Add what was read of a tensor; its values are shared."""
        count, step, low, high, has_nan, values = taken
        self.step = self.step or step
        self.count += count
        self.values.append(values)
        self.has_nan |= has_nan
        if low is None or high is None:
            return
        self.has_infinite |= math.isinf(low) or math.isinf(high)
        if self.minimum is None or low < self.minimum:
            self.minimum = low
        if self.maximum is None or high > self.maximum:
            self.maximum = high


def _thinned(values: Values, step: int) -> Values:
    """Of all values of a tensor those that a stride takes."""
    blocks = values.size // step
    return values[: blocks * step].reshape(blocks, step)[:, :_BLOCK].reshape(-1) if blocks else values[:_BLOCK]


def _every(values: Values, factor: int) -> Values:
    """Of the blocks of a tensor every one that a stride ``factor`` times as wide takes."""
    whole = values.size % _BLOCK == 0
    return values.reshape(-1, _BLOCK)[::factor].reshape(-1) if whole else values


def _step(count: int, limit: int) -> int:
    """Values from one block to the next: an odd number of blocks, and so that every large tensor has as many."""
    if count <= limit:
        return 1
    blocks = count // max(1, limit // _BLOCK) // _BLOCK
    return _BLOCK * (3 if blocks == 2 else (blocks - 1) | 1 if blocks else 1)


def _extremes(line: torch.Tensor) -> tuple[float | None, float | None, bool]:
    """Minimum and maximum of what is a number, and whether something is not."""
    least, most = _aminmax(line)
    low, high = least.item(), most.item()
    if low == low and high == high:
        return float(low), float(high), False
    line = line[~line.isnan()]
    if line.numel() == 0:
        return None, None, True
    low, high = (float(value) for value in _aminmax(line))
    return low, high, True


def _blocks(line: torch.Tensor, count: int, step: int) -> Values:
    """A copy of some values: an in-place operator may overwrite the tensor before the pass at the end."""
    blocks = count // step
    blocks -= blocks % 32 if blocks > 128 else 0  # so that nearly all samples are of one size
    if line.dtype is torch.float32 and arrays.is_ordinary(line) and blocks and step > 1:
        # Half the time that torch takes for so little.
        taken: Values = arrays.blocks(line, blocks, step, _BLOCK).copy()
        return taken.reshape(-1)
    line = line.view(-1)
    if step == 1 or blocks == 0:
        return _as_numpy(line if step == 1 else line[:_BLOCK])
    return _as_numpy(line[: blocks * step].view(blocks, step)[:, :_BLOCK].reshape(-1))


def _aminmax(line: torch.Tensor) -> Sequence[torch.Tensor]:
    return torch.aminmax(line.to(_COMPARED[line.dtype]) if line.dtype in _COMPARED else line)


_COMPARED = {torch.bool: torch.uint8}
"""Types that torch knows no order of, and one that holds their values exactly."""
_COMPARED |= {
    kind: wide
    for wide, names in (
        (torch.float32, ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")),
        (torch.int64, ("uint16", "uint32")),
    )
    for name in names
    if (kind := getattr(torch, name, None)) is not None
}


def _as_numpy(taken: torch.Tensor) -> Values:
    """A copy of the values, in the precision that the pass at the end uses."""
    wide = taken.dtype in (torch.float64, torch.int64, torch.int32, torch.uint32)
    return taken.to("cpu", torch.float64 if wide else torch.float32, copy=True).numpy()


def is_readable(tensor: torch.Tensor) -> bool:
    """Whether :meth:`Sample.take` can read it: strided, real, with values, and no function transform around it."""
    if arrays.is_ordinary(tensor):
        return not tensor.is_complex()
    return (
        tensor.layout is torch.strided
        and not tensor.is_complex()
        and not tensor.is_quantized
        and not tensor.is_nested
        and not tensor.is_meta
        and not hasattr(tensor, "__tensor_flatten__")
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The same values in a plain tensor where it was sparse or quantized; otherwise the tensor itself."""
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor.to_dense() if tensor.layout in _SPARSE and not tensor.is_nested else tensor


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
    """Samples of one size as rows of a rectangle, several times faster than segments; the rest in segments."""
    usual = Counter(values.size for values in joined)
    rows: dict[int, list[int]] = {}
    rest: list[int] = []
    for index, (sample, values) in enumerate(zip(samples, joined, strict=True)):
        if usual[values.size] < _FEW or sample.has_nan or sample.has_infinite:
            rest.append(index)
        else:
            rows.setdefault(values.size, []).append(index)
    groups = [part for size, row in rows.items() for part in _parts(row, max(1, _TOGETHER // size))]
    groups += [rest] if rest else []
    found: dict[int, Stats] = {}
    for group in groups:
        some = _pass_once([samples[index] for index in group], [joined[index] for index in group])
        found.update(zip(group, some, strict=True))
    return [found[index] for index in range(len(samples))]


def _parts(row: list[int], length: int) -> list[list[int]]:
    return [row[start : start + length] for start in range(0, len(row), length)]


def _pass_once(samples: Sequence[Sample], joined: Sequence[Values]) -> list[Stats]:
    values = np.concatenate(joined)
    sizes = np.array([part.size for part in joined])
    counts = sizes
    if any(sample.has_nan or sample.has_infinite for sample in samples):
        finite = np.isfinite(values)
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        counts = np.add.reduceat(finite, starts, dtype=np.int64)
        values = values[finite]
    rows = [index for index, count in enumerate(counts) if count]
    moments = _moments(values, counts[rows])
    result = [_stats(sample, int(size)) for sample, size in zip(samples, sizes, strict=True)]
    for at, row in enumerate(rows):
        result[row] = _stats(samples[row], int(sizes[row]), moments, at)
    return result


def _stats(sample: Sample, taken: int, moments: _Moments | None = None, at: int = 0) -> Stats:
    """``moments``: where some of the ``taken`` values are finite."""
    return Stats(
        count=sample.count,
        sampled=taken,
        minimum=sample.minimum,
        maximum=sample.maximum,
        mean=None if moments is None else float(moments[0][at]),
        std=None if moments is None else float(moments[1][at]),
        has_nan=sample.has_nan,
        has_infinite=sample.has_infinite,
        low=0.0 if moments is None else float(moments[2][at]),
        high=0.0 if moments is None else float(moments[3][at]),
        counts=None if moments is None else Array.of(moments[4][at]),
    )


def _moments(values: Values, counts: Values) -> _Moments:
    """Mean, biased deviation, range and histogram of each segment."""
    if not len(counts):
        empty = np.empty(0)
        return empty, empty, empty, empty, empty
    if counts.min() == counts.max():
        return _moments_of_rows(values.reshape(len(counts), -1))
    return _moments_of_segments(values, counts)


def _moments_of_rows(values: Values) -> _Moments:
    """Segments of the same size, as rows; what is computed in between stays in the processor's cache."""
    low, high = values.min(1), values.max(1)
    size = np.ones_like(low)
    if values.dtype == np.float64:  # in units of the largest, so that nothing overflows
        size = np.maximum(np.abs(low), np.abs(high))
        size[size == 0] = 1.0
        values = values / size[:, None]
    mean = values.mean(1)
    away = values - mean[:, None]
    std = np.sqrt(np.square(away, out=away).mean(1))
    floor = low / size
    width = high / size - floor
    bins = np.subtract(values, floor[:, None], out=away)
    bins /= np.where(width > 0, width, 1)[:, None]
    bins *= BINS
    index = bins.astype(np.int32)
    np.minimum(index, BINS - 1, out=index)
    index += np.arange(len(values), dtype=np.int32)[:, None] * BINS
    histogram = np.bincount(index.reshape(-1), minlength=len(values) * BINS).reshape(len(values), BINS)
    mean, std = (part.astype(np.float64) * size for part in (mean, std))
    return mean, std, low.astype(np.float64), high.astype(np.float64), histogram.astype(np.int64)


def _moments_of_segments(values: Values, counts: Values) -> _Moments:
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
