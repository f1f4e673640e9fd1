"""The plots of the Experiments page: curves over the batch size with their bands, and figures per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPolygonF, QResizeEvent

from modelight.widgets import numbers, paint
from modelight.widgets.export import Table
from modelight.widgets.marks import Bars, Dashes, Mark, Whiskers
from modelight.widgets.plots import Plot

Floats = NDArray[np.float64]

FEW_TICKS = 16
"""Up to so many samples carry their caption."""
CAPTIONS = 36
"""Characters that have room under the bars, all captions as long as the longest."""


@dataclass(frozen=True)
class Line:
    """One curve over the batch sizes."""

    name: str
    training: bool
    values: Floats
    deviations: Floats
    """± 1 s.d.; NaN: none measured."""
    others: tuple[Floats, ...] = field(default=())
    """Thinner curves of other samples."""

    @property
    def role(self) -> str:
        """Its colour."""
        return "train_mark" if self.training else "eval_mark"


class Band(Mark):
    """What lies within ± 1 s.d. of a curve."""

    def __init__(self) -> None:
        super().__init__(z=1)
        self._x, self._low, self._high, self._role = np.empty(0), np.empty(0), np.empty(0), "mask"

    def set_data(self, x: Floats, middle: Floats, deviation: Floats, role: str) -> None:
        """Where either is NaN, there is no band."""
        known = np.isfinite(middle) & np.isfinite(deviation)
        self._x, self._role = x[known], role
        self._low, self._high = (middle - deviation)[known], (middle + deviation)[known]
        self.update()

    def is_drawn(self) -> bool:
        """Whether there is anything between its edges."""
        return bool(len(self._x) > 1 and (self._high > self._low).any())

    def draw(self, painter: QPainter, area: QRectF) -> None:
        if not self.is_drawn():
            return
        xs = self.px(self._x)
        upper = [QPointF(x, y) for x, y in zip(xs, self.py(self._high), strict=True)]
        lower = [QPointF(x, y) for x, y in zip(xs, self.py(self._low), strict=True)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(paint.fill(self._role))
        painter.drawPolygon(QPolygonF(upper + lower[::-1]))


class Points(Mark):
    """A curve with a dot at each measured point, thin and pale for what is only beside it; NaN: a gap."""

    def __init__(self, pale: bool = False) -> None:
        super().__init__(z=2 if pale else 3)
        self._pale = pale
        self._x, self._ys, self._role = np.empty(0), list[Floats](), "mask"

    def set_data(self, x: Floats, ys: Sequence[Floats], role: str) -> None:
        """Curves over the same places."""
        self._x, self._ys, self._role = x, list(ys), role
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        width, alpha = (1.0, 0.4) if self._pale else (1.5, 1.0)
        for values in self._ys:
            known = np.isfinite(values)
            points = [QPointF(x, y) for x, y in zip(self.px(self._x[known]), self.py(values[known]), strict=True)]
            painter.setPen(paint.pen(self._role, width, alpha=alpha))
            painter.drawPolyline(points)
            if not self._pale:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(paint.color(self._role))
                for point in points:
                    painter.drawEllipse(point, 2.5, 2.5)
                painter.setBrush(Qt.BrushStyle.NoBrush)


class EndNames(Mark):
    """The names of curves at their ends, apart from each other."""

    def __init__(self) -> None:
        super().__init__(z=8)
        self._x, self._lines = 0.0, list[Line]()

    def room(self) -> float:
        """Logical pixels that the names take to the right of the curves' ends."""
        metrics = QFontMetricsF(paint.font(11, paint.MEDIUM))
        return max((metrics.horizontalAdvance(line.name) for line in self._lines), default=0.0) + 14

    def set_data(self, x: float, lines: Sequence[Line]) -> None:
        """``x`` is where the curves end."""
        self._x = x
        self._lines = [line for line in lines if np.isfinite(line.values).any()]
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        font = paint.font(11, paint.MEDIUM)
        height = QFontMetricsF(font).height()
        x = float(self.px(np.array([self._x]))[0]) + 8
        ends = [float(self.py(line.values[np.isfinite(line.values)][-1:])[0]) for line in self._lines]
        painter.setFont(font)
        place = area.top() - height
        for end, line in sorted(zip(ends, self._lines, strict=True), key=lambda pair: pair[0]):
            place = max(place + height, min(end - height / 2, area.bottom() - height * (len(ends))))
            painter.setPen(paint.color("train_words" if line.training else "eval_words"))
            painter.drawText(QRectF(x, place, 60, height), Qt.AlignmentFlag.AlignVCenter, line.name)


class CompanyPlot(Plot):
    """One figure over the batch size, in train and in eval."""

    _sizes: tuple[int, ...] = ()
    """Of the class too: pyqtgraph resizes the widget while it makes it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, self.table, height=176, most=(8, 4))
        self.pale = [self.add(Points(pale=True)) for _ in range(2)]
        self.bands = [self.add(Band()) for _ in range(2)]
        self.curves = [self.add(Points()) for _ in range(2)]
        self.names = self.add(EndNames())
        self._lines: tuple[Line, ...] = ()
        self._ends = (0.0, 1.0)

    def set_data(self, sizes: tuple[int, ...], lines: tuple[Line, ...], low: float, high: float) -> None:
        """``lines`` is train, then eval."""
        self._sizes, self._lines = sizes, lines
        x = np.arange(len(sizes), dtype=np.float64)
        for line, pale, band, curve in zip(lines, self.pale, self.bands, self.curves, strict=True):
            pale.set_data(x, line.others, line.role)
            band.set_data(x, line.values, line.deviations, line.role)
            curve.set_data(x, [line.values], line.role)
        self.names.set_data(float(x[-1]), lines)
        self.bottom.set_ticks([(float(place), str(size)) for place, size in enumerate(sizes)])
        self._ends = low, high
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._sizes:
            self._fit()

    def _fit(self) -> None:
        """Ranges that leave the names their pixels at the right, however wide the plot is."""
        low, high = self._ends
        area = max(1.0, self.width() - self.left.width() - 14)
        share = min(0.5, self.names.room() / area)
        last = float(len(self._sizes) - 1)
        right = last + (last + 0.25) * share / (1 - share)
        self.hold((-0.25, max(right, last + 0.1)), (low, high + 0.04 * (high - low)), (self._sizes, low, high, area))

    def lines(self) -> tuple[Line, ...]:
        """What is plotted."""
        return self._lines

    def table(self) -> Table:
        """One row per batch size."""
        header = ["batch size"]
        columns: list[Floats] = []
        for line in self._lines:
            header += [line.name, f"{line.name} s.d."]
            columns += [line.values, line.deviations]
        return Table(header, [(size, *(column[row] for column in columns)) for row, size in enumerate(self._sizes)])


class SampleBars(Plot):
    """One bar per sample, with whiskers and with dashes for what it is compared with."""

    def __init__(self, name: str, header: tuple[str, str, str]) -> None:
        super().__init__(name, self.table, height=176, most=(8, 4))
        self._header = header
        self.bars, self.whiskers, self.dashes = self.add(Bars()), self.add(Whiskers()), self.add(Dashes())
        self._columns: tuple[Floats, Floats, Floats] = (np.empty(0), np.empty(0), np.empty(0))

    def set_data(
        self,
        values: Floats,
        deviations: Floats | None,
        compared: Floats | None,
        *,
        captions: Sequence[str],
        dash: str,
        bounded: bool,
        scope: object,
    ) -> None:
        """``compared`` are dashes of the colour ``dash``; ``bounded``: the axis is from 0 to 1."""
        none = np.full(len(values), np.nan)
        spread, beside = none if deviations is None else deviations, none if compared is None else compared
        self._columns = (values, spread, beside)
        x = np.arange(len(values), dtype=np.float64)
        self.bars.set_data(x, values, role="mask")
        self.whiskers.set_data(x, values, deviations)
        self.dashes.set_data(x, beside, role=dash, width=0.8, line=2.0)
        self.bottom.set_ticks(_ticks(captions, len(values)))
        ends = np.concatenate([values, np.nan_to_num(values + spread), np.nan_to_num(values - spread), beside, [0.0]])
        ends = ends[np.isfinite(ends)]
        low, high = (0.0, 1.0) if bounded else (float(ends.min()), float(ends.max()))
        margin = 0.06 * ((high - low) or 1.0)
        self.hold((-0.6, max(len(values), 4) - 0.4), (low - (margin if low < 0 else 0.0), high + margin), scope)

    def table(self) -> Table:
        """One row per sample."""
        rows = list(zip(range(len(self._columns[0])), *self._columns, strict=True))
        return Table(("sample", *self._header), rows)


def _ticks(captions: Sequence[str], count: int) -> list[tuple[float, str]] | None:
    """Captions where they have room; else None: round numbers."""
    if count > FEW_TICKS:
        return None
    texts = list(captions) if len(captions) == count else []
    if not texts or max(map(len, texts)) * count > CAPTIONS:
        texts = [numbers.count(index) for index in range(count)]
    return [(float(place), text) for place, text in enumerate(texts)]
