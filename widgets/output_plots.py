"""The two plots of the Output page: one bar per sample, and the histogram of the raw output."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from modelight.widgets import numbers, paint
from modelight.widgets.axes import round_step
from modelight.widgets.export import Table
from modelight.widgets.marks import Bars, Dashes, Steps, ValueLabels, Whiskers
from modelight.widgets.output_data import Histogram, OutputData
from modelight.widgets.plots import Plot
from modelight.widgets.rug import RUG, Rug
from modelight.widgets.thumbnails import CAPTIONS_ONLY, HEIGHT, Captions

Floats = NDArray[np.float64]

FEW = 8
"""Up to so many classes, probabilities always stand on an axis from 0 to 1."""
NO_RUG = 1
"""Height of the strip where it is empty."""
BASE = -0.4
"""Where the log axis of counts begins: below 1, so that a single value is seen."""

TICK_ROOM = 0.25
"""Decades above the uppermost tick: half of its number is above it."""


def places(noise: tuple[bool, ...], count: int) -> Floats:
    """Where the bars stand: one apart, with half a bar between real samples and noise."""
    steps = [1.5 if a != b else 1.0 for a, b in pairwise(noise)] if len(noise) == count else [1.0] * max(0, count - 1)
    return np.concatenate([[0.0], np.cumsum(steps)]) if count else np.empty(0)


class SamplePlot(Plot):
    """A bar for each sample (or each of the largest classes) with label, spread and what was before."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("output", self.table, height=300, x_axis=False, most=(6, 5), parent=parent)
        self.bars, self.whiskers = self.add(Bars()), self.add(Whiskers())
        self.labels, self.before, self.figures = self.add(Dashes()), self.add(Dashes(z=4)), self.add(ValueLabels())
        self.captions = self.add_strip(HEIGHT, Captions())
        self._data: OutputData | None = None

    def set_data(self, data: OutputData) -> None:
        """Show these bars."""
        self._data = data
        bars = data.bars
        x = places(bars.noise, len(bars.heights))
        self.bars.set_data(x, bars.heights, role=paint.mark(data.mode))
        self.whiskers.set_data(x, bars.heights, bars.spread)
        self.labels.set_data(x, bars.labels, role="text", width=0.84)
        self.before.set_data(x, bars.before, role=paint.mark(data.before_mode), width=0.78, line=1.25, dashed=True)
        below = bars.heights < 0
        ends = bars.heights + np.where(below, -1, 1) * np.nan_to_num(bars.spread)
        self.figures.set_data(x, ends, figures(bars.heights, bars.spread, data.bounded and not _all_small(data)), below)
        self.captions.set_data(x, bars.captions, bars.thumbnails)
        self.set_strip_height(self.captions, CAPTIONS_ONLY if bars.thumbnails is None else HEIGHT)
        self._hold(data, x)

    def _hold(self, data: OutputData, x: Floats) -> None:
        across = (-0.55, float(x[-1]) + 0.55) if len(x) else (0.0, 1.0)
        scope = (
            data.view,
            data.choice.field,
            data.choice.reading,
            data.choice.column,
            data.choice.sample,
            data.columns,
            len(x),
        )
        if data.bounded and not _all_small(data):
            self.left.set_ticks([(0.0, "0"), (0.25, ""), (0.5, "0.5"), (0.75, ""), (1.0, "1")])
            self.hold(across, (-0.004, 1.08), scope)
            return
        self.left.set_ticks(None)
        self.hold(across, _value_range(data), scope)

    def table(self) -> Table:
        """One row per bar."""
        if self._data is None:
            return Table(("caption", "value", "spread", "label", "before"), [])
        bars = self._data.bars
        columns = (bars.captions, bars.heights, bars.spread, bars.labels, bars.before)
        return Table(("caption", "value", "spread", "label", "before"), list(zip(*columns, strict=True)))


def figures(values: Floats, spread: Floats, bounded: bool) -> list[str]:
    """The values at the bars, all with the decimals that the largest of them (or its spread) needs for three digits."""
    sizes = np.abs(np.concatenate([values, spread]))
    largest = float(sizes[np.isfinite(sizes)].max(initial=0.0))
    if not bounded and (largest >= 1e5 or 0 < largest < 1e-3):
        return [numbers.figure(float(value)) if np.isfinite(value) else "" for value in values]
    decimals = 2 if bounded or largest == 0 else max(0, 2 - int(np.floor(np.log10(largest))))
    texts = [f"{value:.{decimals}f}" if np.isfinite(value) else "" for value in values]
    zero = f"-{0:.{decimals}f}"
    return [text.removeprefix("-") if text == zero else text.replace("-", numbers.MINUS) for text in texts]


def _value_range(data: OutputData) -> tuple[float, float]:
    """From 0, where bars stand, to everything drawn, with room for the figures."""
    bars = data.bars
    spread = np.nan_to_num(bars.spread)
    ends = np.concatenate([bars.heights + spread, bars.heights - spread, bars.before, [0.0]])
    ends = ends[np.isfinite(ends)]
    low, high = float(ends.min()), float(ends.max())
    room = (high - low or 1.0) * 0.1
    step = round_step((high - low or 1.0) + 2 * room, 12)
    bottom = np.floor((low - room) / step) * step if low < 0 else -room * 0.04
    return float(bottom), float(np.ceil((high + room) / step) * step) + room / 4


def _all_small(data: OutputData) -> bool:
    """Probabilities of many classes may all be too small to be seen on an axis from 0 to 1; a label needs that axis."""
    bars = data.bars
    drawn = np.concatenate([bars.heights + np.nan_to_num(bars.spread), bars.before])
    return data.columns > FEW and not np.isfinite(bars.labels).any() and not (drawn > 0.25).any()


class RawPlot(Plot):
    """Histogram of the raw output, counts on a log axis; chosen class solid, others dashed, before dotted."""

    _SERIES = 2

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("raw-output", self.table, height=170, most=(6, 4), parent=parent)
        self.grid.zero = None
        self.series = [self.add(Steps(z=2 - index)) for index in range(self._SERIES)]
        self.before = [self.add(Steps(z=-2 - index)) for index in range(self._SERIES)]
        self.rug = self.add_strip(NO_RUG, Rug(), above_axis=True)
        self._data: Histogram | None = None

    def set_data(self, data: OutputData) -> None:
        """Show this histogram; without one the plot is empty."""
        self._data = histogram = data.histogram
        for index in range(self._SERIES):
            self._outline(index, data)
        if histogram is None:
            return
        self.rug.set_data([(values, paint.mark(data.mode)) for values in histogram.rug])
        self.set_strip_height(self.rug, len(histogram.rug) * RUG + 6 if histogram.rug else NO_RUG)
        top = max(
            (float(part.max()) for one in histogram.series for part in (one.counts, one.before) if part is not None),
            default=1,
        )
        end = float(np.log10(max(top, 1.0))) + 0.3
        decades = int(end)
        every = 1 + decades // 4
        end = max(end, decades + TICK_ROOM)
        self.left.set_ticks([(float(power), numbers.count(10**power)) for power in range(0, decades + 1, every)])
        low, high = float(histogram.edges[0]), float(histogram.edges[-1])
        margin = (high - low) * 0.03
        scope = (data.choice.field, data.shape[1:], len(histogram.series))
        self.hold((low - margin, high + margin), (BASE, end), scope)

    def _outline(self, index: int, data: OutputData) -> None:
        histogram = data.histogram
        if histogram is None or index >= len(histogram.series):
            self.series[index].set_data(None, None)
            self.before[index].set_data(None, None)
            return
        one = histogram.series[index]
        style = Qt.PenStyle.DashLine if index else Qt.PenStyle.SolidLine
        self.series[index].set_data(
            histogram.edges, _log(one.counts), role=paint.mark(data.mode), filled=not index, style=style, base=BASE
        )
        past = None if one.before is None else _log(one.before)
        self.before[index].set_data(
            None if past is None else histogram.edges,
            past,
            role=paint.mark(data.before_mode),
            filled=False,
            style=Qt.PenStyle.DotLine,
            width=1.25,
            base=BASE,
        )

    def table(self) -> Table:
        """One row per bin."""
        if self._data is None:
            return Table(("from", "to"), [])
        names = [one.name or "all" for one in self._data.series]
        columns = [one.counts.astype(int) for one in self._data.series]
        edges = self._data.edges
        return Table(("from", "to", *names), list(zip(edges[:-1], edges[1:], *columns, strict=True)))


def _log(counts: Floats) -> Floats:
    """log10, with empty bins NaN."""
    return np.log10(counts, out=np.full(counts.shape, np.nan), where=counts > 0)
