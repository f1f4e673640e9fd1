"""From frames to what the Layers page shows: the outputs of the modules, in this mode and in the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelight.phrases import phrase
from modelight.present.history import RunHistory
from modelight.protocol import ModuleCapture, Row, Stats
from modelight.widgets.layers_data import LayerRow, LayersData, Spread

Floats = NDArray[np.float64]

APART = 0.05
"""From this total-variation distance on, two histograms differ by more than sampling does: 16 k of a tensor's
values err by 0.02 at worst, each."""
SHIFT = 0.05
"""The same for means and deviations, in deviations."""


def layers_data(history: RunHistory, rows: Sequence[Row]) -> LayersData | None:
    """The page for the newest run beside the newest of the other mode; None before the first."""
    frame = history.newest
    if frame is None or history.mode is None:
        return None
    other_mode, before = history.before()
    other = {capture.row: capture for capture in before[-1].modules} if before else {}
    parents = {row.parent for row in rows}
    made = [
        _row(capture, rows[capture.row], other.get(capture.row), capture.row not in parents, _depth(rows, capture.row))
        for capture in frame.modules
        if 0 <= capture.row < len(rows)
    ]
    first = next((row.path for row in made if row.leaf and differ(row.now, row.other)), None)
    marked = tuple(replace(row, parts=row.leaf and row.path == first) for row in made)
    return LayersData(marked, history.mode, other_mode if other else None)


def differ(one: Spread | None, other: Spread | None) -> bool:
    """Whether two outputs of a module are different beyond what sampling explains."""
    if one is None or other is None:
        return False
    if one.has_nan != other.has_nan or one.has_infinite != other.has_infinite:
        return True
    if one.mean is None or other.mean is None or one.std is None or other.std is None:
        return False
    scale = max(one.std, other.std, 1e-12 * max(1.0, abs(one.mean)))
    if abs(one.mean - other.mean) > SHIFT * scale or abs(one.std - other.std) > SHIFT * scale:
        return True
    return distance(one, other) > APART


def distance(one: Spread, other: Spread) -> float:
    """Total variation of two histograms, 0 to 1, after spreading both over common bins."""
    low, high = min(one.low, other.low), max(one.high, other.high)
    if not high > low or not one.counts.sum() or not other.counts.sum():
        return 0.0
    edges = np.linspace(low, high, 33)
    shares = [np.diff(np.interp(edges, *_cumulative(spread))) for spread in (one, other)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _cumulative(spread: Spread) -> tuple[Floats, Floats]:
    edges = np.linspace(spread.low, max(spread.high, spread.low + 1e-12), len(spread.counts) + 1)
    return edges, np.concatenate([[0.0], np.cumsum(spread.counts) / spread.counts.sum()])


def _row(capture: ModuleCapture, row: Row, other: ModuleCapture | None, leaf: bool, depth: int) -> LayerRow:
    words = phrase(capture.unseen) if capture.unseen is not None else ""
    return LayerRow(
        path=row.path,
        name=row.name or row.type,
        type=row.type,
        depth=depth,
        shape=capture.shape,
        calls=capture.calls,
        now=spread_of(capture.stats),
        other=None if other is None else spread_of(other.stats),
        words=words,
        leaf=leaf,
    )


def _depth(rows: Sequence[Row], index: int) -> int:
    depth = 0
    while rows[index].parent >= 0:
        index, depth = rows[index].parent, depth + 1
    return depth


def spread_of(stats: Stats | None) -> Spread | None:
    """A module's statistics as the page takes them; None where there are none."""
    if stats is None:
        return None
    counts = np.empty(0) if stats.counts is None else stats.counts.numpy().astype(np.float64)
    return Spread(
        low=stats.low,
        high=stats.high,
        counts=counts,
        mean=stats.mean,
        std=stats.std,
        minimum=stats.minimum,
        maximum=stats.maximum,
        has_nan=stats.has_nan,
        has_infinite=stats.has_infinite,
        sampled=stats.sampled,
        count=stats.count,
    )
