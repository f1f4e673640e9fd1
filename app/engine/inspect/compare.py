"""Two checkpoints side by side: what differs, how far, and which running statistics moved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from modelight.engine.errors import Cancelled, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.inspect import marks, values
from modelight.engine.inspect.facts import tensors_of
from modelight.engine.inspect.reading import Content
from modelight.engine.loading import matching
from modelight.protocol import CheckpointDifference, Clause, StatisticsDifference, TensorDifference, plain

_WIDE = (torch.int64, torch.uint64)


def diff(
    first: Content,
    other: Content,
    *,
    progress: ReportProgress = no_progress,
    should_stop: ShouldStop = never_stop,
) -> CheckpointDifference:
    """Compare the chosen state dicts of two open checkpoints, every value of them, piece by piece.

    Keys meet as they do when a checkpoint is loaded into a model: a prefix such as ``module.`` may differ.

    Raises:
        Cancelled: ``should_stop`` said so.
    """
    mine, theirs = tensors_of(first), tensors_of(other)
    alignment = matching.align(mine, theirs)
    pairs = {name: alignment.keys[name] for name in mine if name in alignment.keys}
    met = set(pairs.values())
    compared = []
    for index, (name, other_name) in enumerate(pairs.items()):
        progress(Clause("comparing-values", {"tensor": plain(name)}), index / len(pairs))
        compared.append(_tensor(name, other_name, mine[name], theirs[other_name], should_stop))
    return CheckpointDifference(
        path=plain(first.path),
        other=plain(other.path),
        removed=alignment.removed,
        added=alignment.added,
        tensors=compared,
        only_first=[plain(name) for name in mine if name not in pairs],
        only_other=[plain(name) for name in theirs if name not in met],
        statistics=_statistics(mine, theirs, pairs),
    )


def _tensor(
    name: str, other_name: str, mine: torch.Tensor, theirs: torch.Tensor, should_stop: ShouldStop
) -> TensorDifference:
    shapes = tuple(mine.shape), tuple(theirs.shape)
    dtypes = str(mine.dtype).removeprefix("torch."), str(theirs.dtype).removeprefix("torch.")
    names = plain(name), plain(other_name)
    if shapes[0] != shapes[1] or values.unreadable(mine) or values.unreadable(theirs):
        return TensorDifference(*names, equal=False, shapes=shapes, dtypes=dtypes)
    apart = _Apart()
    for pair in _pairs(mine, theirs):
        if should_stop():
            raise Cancelled
        apart.add(*pair)
    return TensorDifference(
        *names,
        equal=apart.changed == 0 and dtypes[0] == dtypes[1],
        shapes=shapes,
        dtypes=dtypes,
        changed=apart.changed,
        largest=apart.largest,
        relative=math.sqrt(apart.moved / apart.size) if apart.size > 0 else None,
        not_finite=apart.not_finite,
    )


def _pairs(mine: torch.Tensor, theirs: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    # Cut into pieces, a tensor that was quantized channel by channel no longer knows its channels.
    mine, theirs = (one.dequantize() if one.is_quantized else one for one in (mine, theirs))
    if mine.is_contiguous() and theirs.is_contiguous():
        lines = mine.detach().view(-1), theirs.detach().view(-1)
    else:
        lines = mine.detach().reshape(-1), theirs.detach().reshape(-1)
    for start in range(0, lines[0].numel(), values.PIECE):
        yield lines[0][start : start + values.PIECE], lines[1][start : start + values.PIECE]


def _gap(mine: torch.Tensor, theirs: torch.Tensor) -> values.Floats:
    """Differences of whole numbers beyond 2**53, which float64 cannot tell apart."""
    a, b = mine.detach().cpu().numpy(), theirs.detach().cpu().numpy()
    near = b.view(np.int64) - a.view(np.int64)  # wraps where they lie too far apart, or on both sides of 2**63
    far = b.astype(np.float64) - a.astype(np.float64)
    return np.where(np.abs(far) < 2.0**62, near.astype(np.float64), far)


class _Apart:
    """How far two tensors are apart, added up piece by piece."""

    def __init__(self) -> None:
        self.changed = self.not_finite = 0
        self.largest: float | None = None
        self.moved = self.size = 0.0
        """Sums of squares of the difference, and of the first."""

    def add(self, mine: torch.Tensor, theirs: torch.Tensor) -> None:
        a, b = values.doubles(mine), values.doubles(theirs)
        gap = _gap(mine, theirs) if mine.dtype == theirs.dtype and mine.dtype in _WIDE else None
        good = np.isfinite(a) & np.isfinite(b)
        self.not_finite += int(a.size - good.sum())
        differs = (a != b) & ~(np.isnan(a) & np.isnan(b)) if gap is None else gap != 0
        self.changed += int(differs.sum())
        if not good.all():
            a, b = a[good], b[good]
        if a.size:
            gap = b - a if gap is None else gap
            largest = float(np.abs(gap).max())
            self.largest = largest if self.largest is None else max(self.largest, largest)
            self.moved += float(np.square(gap).sum())
            self.size += float(np.square(a).sum())


def _statistics(
    mine: Mapping[str, torch.Tensor], theirs: Mapping[str, torch.Tensor], pairs: Mapping[str, str]
) -> list[StatisticsDifference]:
    found = []
    for name, other_name in pairs.items():
        path, _, last = name.rpartition(".")
        if last != marks.VARIANCE:
            continue
        one = _Statistics.of(mine, name)
        two = _Statistics.of(theirs, other_name)
        if one is not None and two is not None and one.variance.shape == two.variance.shape and not one.same(two):
            found.append(one.difference(plain(path), two))
    return found


class _Statistics:
    """The running statistics of one layer."""

    def __init__(self, mean: values.Floats, variance: values.Floats, updates: int | None) -> None:
        self.mean, self.variance, self.updates = mean, variance, updates

    @staticmethod
    def of(tensors: Mapping[str, torch.Tensor], variance: str) -> _Statistics | None:
        """Those beside the key of a running variance; None where they are not whole."""
        stem = variance[: -len(marks.VARIANCE)]
        mean = tensors.get(stem + marks.MEAN)
        if mean is None or mean.shape != tensors[variance].shape or not marks.is_statistic(marks.MEAN, mean):
            return None
        if values.unreadable(mean) or values.unreadable(tensors[variance]):
            return None
        counter = tensors.get(stem + marks.COUNTER)
        # A counter that was cast to float with the rest may have become NaN.
        counted = counter is not None and counter.numel() == 1 and not values.unreadable(counter)
        number = values.doubles(counter)[0] if counter is not None and counted else math.nan
        updates = int(number) if math.isfinite(number) else None
        return _Statistics(values.doubles(mean), values.doubles(tensors[variance]), updates)

    def same(self, other: _Statistics) -> bool:
        """Whether every figure is equal."""
        return (
            self.updates == other.updates
            and np.array_equal(self.mean, other.mean, equal_nan=True)
            and np.array_equal(self.variance, other.variance, equal_nan=True)
        )

    def difference(self, path: str, other: _Statistics) -> StatisticsDifference:
        """How far the other's lie, in this one's deviations."""
        with np.errstate(invalid="ignore", divide="ignore"):
            drift = np.abs(other.mean - self.mean) / np.sqrt(np.where(self.variance > 0, self.variance, np.nan))
            ratio = other.variance / np.where(self.variance > 0, self.variance, np.nan)
        drift[~np.isfinite(drift)] = np.nan
        ratio = ratio[np.isfinite(ratio)]
        known = bool(np.isfinite(drift).any())
        before, after = self.updates, other.updates
        return StatisticsDifference(
            path=path,
            channels=self.mean.size,
            drift=float(np.nanmax(drift)) if known else None,
            channel=int(np.nanargmax(drift)) if known else None,
            ratio_low=float(ratio.min()) if ratio.size else None,
            ratio_high=float(ratio.max()) if ratio.size else None,
            updates=None if before is None or after is None else after - before,
        )
