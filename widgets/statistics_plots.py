"""The plots of the Statistics page: histograms with rugs, sorted drift, and what further updates would do."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QLineF, QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QResizeEvent

from modelight.widgets import numbers, paint
from modelight.widgets.axes import round_step
from modelight.widgets.export import Table
from modelight.widgets.marks import Bars, Curve, Dashes, Mark, Steps
from modelight.widgets.norm_cards import sigma
from modelight.widgets.plots import Plot
from modelight.widgets.rug import RUG, Rug
from modelight.widgets.statistics_data import NormDetail, Three

Floats = NDArray[np.float64]

FEW = 160
"""Up to so many channels a histogram carries the rug of its values."""
BINS = 26


_DIGIT, _BETWEEN, _AXIS = 7, 4, 36
"""Pixels: the width of a digit under a bar, the least between two numbers, and what the left axis takes."""


def shown_channels(channels: int, width: float = math.inf) -> int:
    """How many channels a drift plot so many pixels wide shows: as many as have room for their number under the bar."""
    most = 16 if channels <= 16 else 14 if channels <= 100 else 10 if channels <= 1000 else 8
    room = (width - _AXIS) / (_DIGIT * len(str(max(0, channels - 1))) + _BETWEEN)
    return int(min(channels, most, max(4.0, room)))


class ChannelPlot(Plot):
    """One value per channel, three times on one axis: this batch, running now, the checkpoint."""

    def __init__(self, name: str) -> None:
        super().__init__(name, self.table, height=190, most=(6, 4))
        self.checkpoint, self.running, self.batch = self.add(Steps(z=2)), self.add(Steps(z=0)), self.add(Steps(z=1))
        self.rug = self.add_strip(3 * RUG + 6, Rug(), above_axis=True)
        self._three = Three(None, None, None)

    def set_data(self, three: Three, scope: object) -> None:
        """Show these; ``scope`` is the layer."""
        self._three = three
        parts = [_finite(part) for part in (three.batch, three.running, three.checkpoint)]
        there = np.concatenate(parts)
        edges = bin_edges(there)
        heights = [np.histogram(part, edges)[0].astype(np.float64) for part in parts]
        self.batch.set_data(edges, heights[0], role="train_mark")
        self.running.set_data(edges, heights[1], role="eval_mark")
        self.checkpoint.set_data(edges, heights[2], role="text", filled=False, style=Qt.PenStyle.DashLine, width=1.25)
        few = max(len(part) for part in parts) <= FEW
        rows = list(zip(parts, ("train_mark", "eval_mark", "text"), strict=True)) if few else []
        self.rug.set_data(rows)
        self.set_strip_height(self.rug, 3 * RUG + 6 if few else 4)
        top = max(1.0, max(float(height.max(initial=0.0)) for height in heights))
        step = max(1.0, round_step(top, 4))
        self.left.set_ticks([(step * index, numbers.count(step * index)) for index in range(math.ceil(top / step) + 1)])
        margin = (edges[-1] - edges[0]) * 0.04
        self.hold((float(edges[0] - margin), float(edges[-1] + margin)), (0.0, top * 1.1), scope)

    def table(self) -> Table:
        """One row per channel."""
        columns = [self._three.batch, self._three.running, self._three.checkpoint]
        count = max((len(part) for part in columns if part is not None), default=0)
        rows = [(index, *(None if part is None else part[index] for part in columns)) for index in range(count)]
        return Table(("channel", "batch", "running", "checkpoint"), rows)


class DriftPlot(Plot):
    """Drift of the channels, largest first, with what the same batch has against the checkpoint."""

    shown_changed = Signal()
    """Another width has room for more or fewer channels."""
    # Of the class, since the base is resized before it is made.
    shown = 0
    """How many channels have a bar."""
    _drift: Floats = np.empty(0)
    _past: Floats | None = None
    _scope: object = None

    def __init__(self) -> None:
        super().__init__("drift", self.table, height=172, most=(6, 4))
        self.plotItem.layout.setContentsMargins(0, 2, 2, 0)
        self.worst, self.bars, self.checkpoint = self.add(Bars()), self.add(Bars()), self.add(Dashes())

    def set_data(self, drift: Floats, past: Floats | None, scope: object) -> None:
        """``past`` is the drift against the checkpoint, or None."""
        self._drift, self._past, self._scope = drift, past, scope
        self.shown = shown_channels(len(drift), self.width())
        order = sorted_channels(drift)[: self.shown]
        x = np.arange(len(order), dtype=np.float64)
        self.worst.set_data(x[:1], drift[order[:1]], role="attention", width=0.78, alpha=0.9, top=0)
        self.bars.set_data(x[1:], drift[order[1:]], role="mask", width=0.78, alpha=0.52, top=0)
        none = np.full(len(order), np.nan)
        self.checkpoint.set_data(x, none if past is None else past[order], width=0.9)
        self.bottom.set_ticks([(float(place), str(channel)) for place, channel in enumerate(order)])
        ends = [drift[order], np.zeros(1)] + ([] if past is None else [past[order]])
        top = float(np.nanmax(np.concatenate(ends))) or 1.0
        self.hold((-0.55, max(len(order), 4) - 0.45), (-top * 0.01, top * 1.08), (scope, self.shown))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.shown != shown_channels(len(self._drift), self.width()):
            self.set_data(self._drift, self._past, self._scope)
            self.shown_changed.emit()

    def table(self) -> Table:
        """One row per channel."""
        past = np.full(self._drift.shape, np.nan) if self._past is None else self._past
        return Table(
            ("channel", "drift", "drift from checkpoint"), list(zip(range(len(past)), self._drift, past, strict=True))
        )


class _AfterOne(Mark):
    """The upright line at one further pass, and its figures in words."""

    def __init__(self) -> None:
        super().__init__(z=4)
        self._words = ""

    def set_data(self, words: str) -> None:
        """What to write beside the line; "" draws nothing."""
        self._words = words
        self.update()

    def words(self) -> str:
        """What is written."""
        return self._words

    def draw(self, painter: QPainter, area: QRectF) -> None:
        if not self._words:
            return
        x = float(self.px(np.ones(1))[0])
        painter.setPen(paint.pen("text", 1.0))
        painter.drawLine(QLineF(x, area.top(), x, area.bottom()))
        painter.setFont(paint.font(11))
        room = area.right() - x - 8
        box = QRectF(x + 7, area.top(), room, 32)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap, self._words)


class PreviewPlot(Plot):
    """What drift would become after further passes over this input in train mode."""

    def __init__(self) -> None:
        super().__init__("next-updates", self.table, height=172, most=(5, 4))
        self.largest, self.median, self.after = self.add(Curve()), self.add(Curve()), self.add(_AfterOne())
        self._detail: NormDetail | None = None

    def set_data(self, detail: NormDetail, scope: object) -> None:
        """Show the layer's preview; it has one."""
        self._detail = detail
        if detail.preview_largest is None or detail.preview_median is None:
            return
        passes = np.arange(len(detail.preview_largest), dtype=np.float64)
        tr = QCoreApplication.translate
        self.largest.set_data(passes, detail.preview_largest, "attention", ringed=1)
        self.median.set_data(passes, detail.preview_median, "mask", ringed=1)
        words = tr("Statistics", "after 1 pass: largest %1, median %2") if len(passes) > 1 else ""
        if words:
            words = words.replace("%1", sigma(float(detail.preview_largest[1])))
            words = words.replace("%2", sigma(float(detail.preview_median[1])))
        self.after.set_data(words)
        top = float(np.nanmax(np.concatenate([detail.preview_largest, [0.0]]))) or 1.0
        self.hold((-0.6, float(max(1, len(passes) - 1)) + 0.4), (-top * 0.01, top * 1.28), scope)

    def table(self) -> Table:
        """One row per pass."""
        header = ("passes", "largest", "median")
        if self._detail is None or self._detail.preview_largest is None or self._detail.preview_median is None:
            return Table(header, [])
        pairs = zip(self._detail.preview_largest, self._detail.preview_median, strict=True)
        return Table(header, [(index, *pair) for index, pair in enumerate(pairs)])


def sorted_channels(drift: Floats) -> NDArray[np.intp]:
    """Channels by drift, largest first; those without one (zero variance) are left out."""
    finite = np.flatnonzero(np.isfinite(drift))
    return finite[np.argsort(-drift[finite], kind="stable")]


def bin_edges(values: Floats) -> Floats:
    """About ``BINS`` round bins around the values."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    span = high - low or abs(high) * 0.2 or 0.2
    step = round_step(span, BINS)
    if high == low:  # one bar in the middle, not one that fills the plot
        low, high = low - step * BINS / 4, high + step * BINS / 4
    return np.arange(math.floor(low / step), math.floor(high / step) + 2, dtype=np.float64) * step


def _finite(values: Floats | None) -> Floats:
    return np.empty(0) if values is None else values[np.isfinite(values)]
