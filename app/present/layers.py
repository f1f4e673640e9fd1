"""From frames to what the Layers page shows: the outputs of the modules, in this mode and in the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelight.phrases import phrase
from modelight.present.history import RunHistory
from modelight.protocol import Frame, ModuleCapture, Row, Stats
from modelight.widgets.layers_data import LayerRow, LayersData, Spread

Floats = NDArray[np.float64]

SAME_DRAWS = 1e-4
"""Where nothing was drawn, or the same, both modes see the same numbers, and the same of them are sampled: a mean or
deviation that differs by more (in deviations) was made different by the mode. Less may be the order of float32 sums."""
OTHER_DRAWS = 0.05
"""With other random draws only a difference that draws hardly make counts …"""
CHANCE = 6.0
"""… in so many deviations over the root of how many values were looked at: of few, chance alone moves a mean far."""


def layers_data(history: RunHistory, rows: Sequence[Row], model: str = "") -> LayersData | None:
    """The page for the newest run beside the newest of the other mode; None before the first.

    ``model`` names the root.
    """
    frame = history.newest
    if frame is None or history.mode is None:
        return None
    other_mode, beside = history.other()
    frame = _alike(history, beside) or frame
    other = {capture.row: capture for capture in beside.modules} if beside is not None else {}
    containers = _containers(frame, rows)
    # A list of modules is never called: that says nothing, where those in it were.
    captures = [
        capture
        for capture in frame.modules
        if 0 <= capture.row < len(rows) and (capture.calls or capture.row not in containers)
    ]
    made = {
        capture.row: _row(capture, rows[capture.row], other.get(capture.row), capture.row not in containers, model)
        for capture in captures
    }
    called = sorted((one for one in captures if one.calls), key=lambda one: one.order)
    ordered = {one.row: made[one.row] for one in called}
    drew = _drew(frame, beside, containers, rows) if beside is not None else set()
    first = _first_parting(ordered, drew)
    shown = tuple(replace(row, parts=index == first) for index, row in made.items())
    return LayersData(shown, history.mode, other_mode if other else None, by_chance=drew is None or bool(drew))


def _alike(history: RunHistory, beside: Frame | None) -> Frame | None:
    """The run with the same random draws as that of the other mode, if the newest frame repeats runs of other seeds.

    While runs go on by themselves each has a seed of its own, and the newest is what a person watches.
    """
    newest = history.newest
    if newest is None or beside is None or newest.repeats == 1:
        return None
    return next((frame for frame in reversed(history.frames) if _last_seed(frame) == _last_seed(beside)), None)


def _last_seed(frame: Frame) -> int:
    """That of the repeat which the captures are of."""
    return frame.seed + frame.repeats - 1


def _first_parting(made: Mapping[int, LayerRow], drew: Set[int] | None) -> int | None:
    """The first module, in the order in which they returned, whose output the mode changed.

    What holds others returns after them, so it is the first where its own code makes the difference: a skip connection
    that is dropped, say. ``drew``: see :func:`_drew`.
    """
    by_chance = drew is None
    for index, row in made.items():
        by_chance |= bool(drew and index in drew)  # from here on chance alone makes a difference
        if differ(row.now, row.other, _limit(row) if by_chance else SAME_DRAWS):
            return index
    return None


def _limit(row: LayerRow) -> float:
    """What other random draws hardly make of the values of a module."""
    counts = [spread.count for spread in (row.now, row.other) if spread is not None and spread.count]
    return max(OTHER_DRAWS, CHANCE / math.sqrt(min(counts, default=1)))


def _drew(one: Frame, other: Frame, containers: Set[int], rows: Sequence[Row]) -> Set[int] | None:
    """Rows that drew in both frames, with other seeds: behind them outputs differ by chance. None: anywhere."""
    if _last_seed(one) == _last_seed(other) or not (one.random and other.random):
        return set()
    both = {drop.row for drop in one.dropouts if drop.active} & {drop.row for drop in other.dropouts if drop.active}
    if not both or -1 in both:
        return None
    # What holds others may have drawn before any of them ran.
    return both | {index for index in range(len(rows)) if _above(index, rows) & both & containers}


def _above(index: int, rows: Sequence[Row]) -> set[int]:
    found: set[int] = set()
    while (index := rows[index].parent) >= 0 and index not in found:
        found.add(index)
    return found


def _containers(frame: Frame, rows: Sequence[Row]) -> set[int]:
    """Rows below which another module was called: what their output is, those have made. (Attention uses its projection
    without calling it, so it counts as a layer.)"""
    found: set[int] = set()
    for capture in frame.modules:
        index = rows[capture.row].parent if capture.calls and 0 <= capture.row < len(rows) else -1
        while index >= 0 and index not in found:
            found.add(index)
            index = rows[index].parent
    return found


def differ(one: Spread | None, other: Spread | None, limit: float) -> bool:
    """Whether two outputs of a module are different: in what is not finite, or in mean or deviation by more than
    ``limit`` deviations."""
    if one is None or other is None:
        return False
    if one.has_nan != other.has_nan or one.has_infinite != other.has_infinite:
        return True
    if one.mean is None or other.mean is None or one.std is None or other.std is None:
        return False
    scale = max(one.std, other.std, 1e-6 * max(abs(one.mean), abs(other.mean)))
    return max(abs(one.mean - other.mean), abs(one.std - other.std)) > limit * scale


def _row(capture: ModuleCapture, row: Row, other: ModuleCapture | None, leaf: bool, model: str) -> LayerRow:
    words = phrase(capture.unseen) if capture.unseen is not None else ""
    return LayerRow(
        path=row.path,
        name=row.name or model or row.type,
        type=row.type,
        shape=capture.shape,
        calls=capture.calls,
        now=spread_of(capture.stats),
        other=None if other is None else spread_of(other.stats),
        words=words,
        leaf=leaf,
    )


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
