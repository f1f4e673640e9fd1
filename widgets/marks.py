"""What plots are made of. Every mark is created once, is given its data by ``set_data`` and paints in logical pixels.

Colours are asked of the theme at each painting, so a change of theme needs no more than an ``update()``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath, QTransform

from modelight.widgets import paint

Values = NDArray[np.float64]

_NOTHING: Values = np.empty(0)

WIDEST = 48.0
"""Few bars stay slender, in logical pixels."""


def _values(data: ArrayLike | None) -> Values:
    return _NOTHING if data is None else np.asarray(data, dtype=np.float64).reshape(-1)


class Mark(pg.GraphicsObject):  # type: ignore[misc]
    """Base: hands ``draw`` a painter in logical pixels, and maps data to them."""

    def __init__(self, z: float = 0.0) -> None:
        super().__init__()
        self.setZValue(z)
        self._to = QTransform()

    def boundingRect(self) -> QRectF:
        rect = self.viewRect()
        return QRectF() if rect is None else QRectF(rect)

    def viewTransformChanged(self) -> None:
        self.prepareGeometryChange()
        super().viewTransformChanged()

    def paint(self, painter: QPainter, *_: Any) -> None:
        self._to = painter.worldTransform()
        area = self._to.mapRect(self.boundingRect())
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        self.draw(painter, area)
        painter.restore()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Paint; ``area`` is the view in pixels."""
        raise NotImplementedError

    def px(self, x: Values) -> Values:
        """Data to pixels, horizontally."""
        return np.asarray(x * self._to.m11() + self._to.dx())

    def py(self, y: Values) -> Values:
        """Data to pixels, vertically."""
        return np.asarray(y * self._to.m22() + self._to.dy())

    def width_px(self, width: float) -> float:
        """How many pixels ``width`` is."""
        return abs(width * self._to.m11())


class Grid(Mark):
    """Horizontal lines at the ticks of the left axis: the zero line in *edge*, the rest in *line*."""

    def __init__(self, places: Callable[[], list[float]], zero: float | None = 0.0) -> None:
        super().__init__(z=-100)
        self._places = places
        self.zero = zero

    def draw(self, painter: QPainter, area: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        places = self._places()
        for place, y in zip(places, self.py(_values(places)), strict=True):
            painter.setPen(paint.pen("edge" if self.zero is not None and abs(place - self.zero) < 1e-12 else "line"))
            painter.drawLine(QLineF(area.left(), round(y), area.right(), round(y)))


class Bars(Mark):
    """Bars from ``base``: the fill of the mode and a 2 px top in full colour."""

    def __init__(self) -> None:
        super().__init__(z=0)
        self._x, self._y, self._base, self._width = _NOTHING, _NOTHING, 0.0, 0.6
        self._role, self._alpha, self._top = "mask", 0.2, 2.0

    def set_data(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        role: str = "mask",
        base: float = 0.0,
        width: float = 0.6,
        alpha: float = 0.2,
        top: float = 2.0,
    ) -> None:
        """Bars of ``width`` (data units) at ``x``; those whose height is NaN are left out."""
        self._x, self._y = _values(x), _values(y)
        self._base, self._width, self._role = base, width, role
        self._alpha, self._top = alpha, top
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        width = max(1.0, min(WIDEST, round(self.width_px(self._width))))
        base = float(self.py(_values([self._base]))[0])
        for x, y in zip(self.px(self._x), self.py(self._y), strict=True):
            if not np.isfinite(y):
                continue
            left = round(x - width / 2)
            painter.fillRect(QRectF(left, min(y, base), width, abs(base - y)), paint.color(self._role, self._alpha))
            if self._top:
                painter.fillRect(QRectF(left, round(y - self._top / 2), width, self._top), paint.color(self._role))


class Dashes(Mark):
    """Short horizontal lines, one per value: labels (solid), what was before (dashed), the checkpoint."""

    def __init__(self, z: float = 5.0) -> None:
        super().__init__(z)
        self._x, self._y, self._width, self._role, self._line, self._dashed = (
            _NOTHING,
            _NOTHING,
            0.8,
            "text",
            1.5,
            False,
        )

    def set_data(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        role: str = "text",
        width: float = 0.8,
        line: float = 1.5,
        dashed: bool = False,
    ) -> None:
        """Dashes of ``width`` (data units), ``line`` pixels thick; NaN: none there."""
        self._x, self._y, self._width, self._role, self._line, self._dashed = (
            _values(x), _values(y), width, role, line, dashed,
        )  # fmt: skip
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        half = min(WIDEST * 1.4, self.width_px(self._width)) / 2
        painter.setPen(
            paint.pen(self._role, self._line, Qt.PenStyle.DashLine if self._dashed else Qt.PenStyle.SolidLine)
        )
        for x, y in zip(self.px(self._x), self.py(self._y), strict=True):
            if np.isfinite(y):
                level = min(max(y, area.top() + self._line / 2), area.bottom() - self._line / 2)
                painter.drawLine(QLineF(x - half, level, x + half, level))


class Whiskers(Mark):
    """± spread around each value, with caps; nothing where no spread was measured or it is zero."""

    def __init__(self) -> None:
        super().__init__(z=6)
        self._x, self._y, self._spread = _NOTHING, _NOTHING, _NOTHING

    def set_data(self, x: ArrayLike, y: ArrayLike, spread: ArrayLike | None) -> None:
        """``spread`` NaN or None: not measured."""
        self._x, self._y = _values(x), _values(y)
        self._spread = np.full(self._x.shape, np.nan) if spread is None else _values(spread)
        self.update()

    def drawn(self) -> int:
        """How many whiskers there are."""
        return int(np.count_nonzero(np.isfinite(self._spread) & (self._spread > 0) & np.isfinite(self._y)))

    def draw(self, painter: QPainter, area: QRectF) -> None:
        painter.setPen(paint.pen("text", 1.25))
        there = np.isfinite(self._spread) & (self._spread > 0) & np.isfinite(self._y)
        xs = self.px(self._x[there])
        tops, ends = self.py((self._y + self._spread)[there]), self.py((self._y - self._spread)[there])
        pitch = float(np.diff(xs).min()) if len(xs) > 1 else 40.0
        cap = min(4.0, max(1.0, pitch / 4))
        for x, top, end in zip(xs, tops, ends, strict=True):
            painter.drawLines(
                [QLineF(x, top, x, end), QLineF(x - cap, top, x + cap, top), QLineF(x - cap, end, x + cap, end)]
            )


class ValueLabels(Mark):
    """Figures at the ends of the bars; all of them or, where they would touch, none."""

    def __init__(self) -> None:
        super().__init__(z=8)
        self._x, self._y, self._below = _NOTHING, _NOTHING, _NOTHING
        self._texts: Sequence[str] = ()

    def set_data(self, x: ArrayLike, y: ArrayLike, texts: Sequence[str], below: ArrayLike | None = None) -> None:
        """``texts[i]`` stands above ``y[i]``, or under it where ``below[i]`` is set."""
        self._x, self._y, self._texts = _values(x), _values(y), texts
        self._below = _values(below) if below is not None else np.zeros(len(self._x))
        self.update()

    def texts(self) -> Sequence[str]:
        """What is written."""
        return self._texts

    def draw(self, painter: QPainter, area: QRectF) -> None:
        xs = self.px(self._x)
        metrics = QFontMetricsF(paint.font(11, paint.MEDIUM))
        widest = max((metrics.horizontalAdvance(text) for text in self._texts), default=0.0)
        if len(xs) > 1 and float(np.diff(xs).min()) < widest + 4:
            return
        painter.setFont(paint.font(11, paint.MEDIUM))
        painter.setPen(paint.pen("text"))
        height = metrics.height()
        for x, y, text, below in zip(xs, self.py(self._y), self._texts, self._below, strict=True):
            if np.isfinite(y):
                top = min(area.bottom() - height, y + 4) if below else max(area.top(), y - 5 - height)
                painter.drawText(QRectF(x - 60, top, 120, height), Qt.AlignmentFlag.AlignCenter, text)


class Steps(Mark):
    """A histogram as a step outline; empty bins draw nothing. A second class is dashed, never another hue."""

    def __init__(self, z: float = 0.0) -> None:
        super().__init__(z)
        self._edges, self._heights, self._base = _NOTHING, _NOTHING, 0.0
        self._role, self._filled, self._style, self._width = "mask", True, Qt.PenStyle.SolidLine, 1.5

    def set_data(
        self,
        edges: ArrayLike | None,
        heights: ArrayLike | None,
        *,
        role: str = "mask",
        filled: bool = True,
        style: Qt.PenStyle = Qt.PenStyle.SolidLine,
        width: float = 1.5,
        base: float = 0.0,
    ) -> None:
        """``edges`` has one more entry than ``heights``; heights at or below ``base``, or NaN, are empty bins."""
        self._edges, self._heights, self._base = _values(edges), _values(heights), base
        self._role, self._filled, self._style, self._width = role, filled, style, width
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        if not len(self._heights):
            return
        path = self._outline()
        if self._filled:
            painter.fillPath(path, paint.fill(self._role))
        painter.setPen(paint.pen(self._role, self._width, self._style))
        painter.drawPath(path)

    def _outline(self) -> QPainterPath:
        path = QPainterPath()
        xs, base = self.px(self._edges), float(self.py(_values([self._base]))[0])
        full = np.nan_to_num(self._heights, nan=-np.inf) > self._base
        inside = False
        for index, y in enumerate(self.py(np.where(full, self._heights, self._base))):
            if not full[index]:
                inside = False
                continue
            if not inside:
                path.moveTo(QPointF(xs[index], base))
            path.lineTo(QPointF(xs[index], y))
            path.lineTo(QPointF(xs[index + 1], y))
            inside = True
            if index + 1 == len(full) or not full[index + 1]:
                path.lineTo(QPointF(xs[index + 1], base))
        return path


class Stems(Mark):
    """A dot per value on a stem from ``base``; dots alone where stems would make a solid block."""

    def __init__(self) -> None:
        super().__init__(z=2)
        self._x, self._y, self._base, self._role = _NOTHING, _NOTHING, 0.0, "mask"

    def set_data(self, x: ArrayLike, y: ArrayLike, base: float, role: str) -> None:
        """NaN: none there."""
        self._x, self._y, self._base, self._role = _values(x), _values(y), base, role
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        xs, ys, base = self.px(self._x), self.py(self._y), float(self.py(_values([self._base]))[0])
        dense = len(xs) * 2 > area.width()
        radius = 1.25 if dense else 1.75
        painter.setBrush(paint.color(self._role, 0.6 if dense else 1.0))
        for x, y in zip(xs, ys, strict=True):
            if np.isfinite(y):
                painter.setPen(paint.pen(self._role, 1.0))
                if not dense:
                    painter.drawLine(QLineF(x, base, x, y))
                painter.setPen(Qt.PenStyle.NoPen)
                painter.drawEllipse(QPointF(x, y), radius, radius)


class Level(Mark):
    """A horizontal band across the plot, its middle line in *text*: what chance allows around a nominal value."""

    def __init__(self) -> None:
        super().__init__(z=-5)
        self._low, self._middle, self._high = np.nan, np.nan, np.nan

    def set_data(self, low: float, middle: float, high: float) -> None:
        """In data units; NaN: not drawn."""
        self._low, self._middle, self._high = low, middle, high
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        low, middle, high = self.py(_values([self._low, self._middle, self._high]))
        if np.isfinite(low) and np.isfinite(high):
            painter.fillRect(QRectF(area.left(), high, area.width(), low - high), paint.color("text3", 0.18))
        if np.isfinite(middle):
            painter.setPen(paint.pen("text2", 1.25))
            painter.drawLine(QLineF(area.left(), middle, area.right(), middle))


class Curve(Mark):
    """A line through points, with a ring at the point ``ringed``."""

    def __init__(self) -> None:
        super().__init__(z=3)
        self._x, self._y, self._role, self._ringed = _NOTHING, _NOTHING, "mask", -1

    def set_data(self, x: ArrayLike, y: ArrayLike, role: str, ringed: int = -1) -> None:
        """``ringed`` is an index; −1: none."""
        self._x, self._y, self._role, self._ringed = _values(x), _values(y), role, ringed
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        points = [QPointF(x, y) for x, y in zip(self.px(self._x), self.py(self._y), strict=True)]
        painter.setPen(paint.pen(self._role, 1.5))
        painter.drawPolyline([point for point in points if np.isfinite(point.y())])
        if 0 <= self._ringed < len(points) and np.isfinite(points[self._ringed].y()):
            painter.setBrush(paint.color("surface"))
            painter.drawEllipse(points[self._ringed], 3.5, 3.5)
