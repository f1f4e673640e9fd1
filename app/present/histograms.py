"""Histograms of what a model returned, in round bins that hold what was before as well."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelight.protocol import OutputField
from modelight.widgets.output_data import Choice, Histogram, Series, View

Floats = NDArray[np.float64]

BINS = 48
FEW = 64
"""Up to so many values are shown each by itself, under the histogram."""
EACH = 2
"""Up to so many classes get an outline each; of more, the chosen one and all others."""


def output_histogram(
    field: OutputField, runs: Floats | None, before: Floats | None, view: View, choice: Choice, samples: int
) -> Histogram | None:
    """Counts of the raw values: exact over all runs where they crossed, else the engine's histogram of the last run."""
    if runs is None:
        return _of_stats(field, samples)
    edges = round_edges([runs] if before is None else [runs, before])
    if edges is None:
        return None
    width = runs.shape[-1]
    if view != "column" or width == 1 or choice.column is None:
        series: tuple[Series, ...] = (
            Series("", _count(runs, edges), None if before is None else _count(before, edges)),
        )
    else:
        series = tuple(
            Series(
                name, _count(runs[..., columns], edges), None if before is None else _count(before[..., columns], edges)
            )
            for name, columns in _groups(width, choice.column)
        )
    return Histogram(edges, series, width, runs.shape[1], len(runs), _rug(runs, [one.name for one in series]))


def round_edges(values: list[Floats], bins: int = BINS) -> Floats | None:
    """Edges at multiples of a round step around all finite values; None where there is none."""
    finite = [part[np.isfinite(part)] for part in values]
    if not any(part.size for part in finite):
        return None
    low = min(float(part.min()) for part in finite if part.size)
    high = max(float(part.max()) for part in finite if part.size)
    span = high - low or max(abs(high) * 0.1, 1e-6)
    power = 10.0 ** math.floor(math.log10(span / bins))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= span / bins)
    first, last = math.floor(low / step), math.floor(high / step) + 1
    return np.arange(first, last + 1, dtype=np.float64) * step


def _groups(width: int, column: int) -> list[tuple[str, list[int]]]:
    others = [index for index in range(width) if index != column]
    if width <= EACH:
        return [(str(column), [column]), *((str(index), [index]) for index in others)]
    return [(str(column), [column]), ("*", others)]


def _rug(runs: Floats, names: list[str]) -> tuple[Floats, ...]:
    """The values of each series, where all of them are at most ``FEW``."""
    if runs.size > FEW:
        return ()
    if names == [""]:
        return (runs[np.isfinite(runs)],)
    parts = [runs[..., columns] for _, columns in _groups(runs.shape[-1], int(names[0]))]
    return tuple(part[np.isfinite(part)] for part in parts)


def _count(values: Floats, edges: Floats) -> Floats:
    return np.histogram(values[np.isfinite(values)], edges)[0].astype(np.float64)


def _of_stats(field: OutputField, samples: int) -> Histogram | None:
    stats = field.stats
    if stats.counts is None:
        return None
    counts = stats.counts.numpy().astype(np.float64)
    edges = np.linspace(stats.low, stats.high, len(counts) + 1)
    sampled = None if stats.sampled == stats.count else (stats.sampled, stats.count)
    whole = Histogram(edges, (Series("", counts),), stats.count, 0, 1, sampled=sampled)
    return replace(whole, width=max(1, stats.count // max(1, samples)), inputs=samples) if field.per_sample else whole
