"""The small picture in a finding: how far inputs differ, module by module, in train and in eval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from modelight.widgets import theme

_TOP, _PLOT, _LABELS, _RIGHT = 22, 58, 28, 36


@dataclass(frozen=True)
class EvidenceCurve:
    """One value per module, in the order of the run; None where it was not measured. All ≥ 0."""

    names: Sequence[str]
    train: Sequence[float | None]
    eval: Sequence[float | None]
    collapse: int | None = None
    """Which module is the first at which inputs stop differing."""


class EvidencePlot(QWidget):
    """Two curves on one scale from 0, named at their ends; the module of the collapse is marked and named."""

    def __init__(self, curve: EvidenceCurve, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curve = curve
        self.setFixedHeight(_TOP + _PLOT + _LABELS)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self._described())

    def sizeHint(self) -> QSize:
        return QSize(240, self.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bottom = self._bottom()
        painter.fillRect(QRectF(0, bottom - 0.5, self._x(len(self._curve.names) - 1), 1), theme.color("edge"))
        if self._curve.collapse is not None:
            self._paint_collapse(painter, round(self._x(self._curve.collapse)) + 0.5)
        self._paint_curve(painter, self._curve.eval, "eval_mark")
        self._paint_curve(painter, self._curve.train, "train_mark")
        self._paint_dots(painter)
        self._paint_ends(painter)
        self._paint_names(painter)

    def _described(self) -> str:
        if self._curve.collapse is None:
            return self.tr("How far inputs differ, module by module, in train and in eval")
        name = self._curve.names[self._curve.collapse]
        return self.tr("How far inputs differ, module by module; in train they stop differing at {0}").format(name)

    def _bottom(self) -> float:
        return float(_TOP + _PLOT)

    def _x(self, position: int) -> float:
        return 1 + (self.width() - _RIGHT - 2) * position / max(1, len(self._curve.names) - 1)

    def _y(self, value: float) -> float:
        known = [one for one in (*self._curve.train, *self._curve.eval) if one is not None]
        return self._bottom() - (_PLOT - 6) * value / (max(known, default=0.0) or 1.0)

    def _paint_collapse(self, painter: QPainter, x: float) -> None:
        pen = QPen(theme.color("edge"), 1, Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([2, 2])
        painter.setPen(pen)
        painter.drawLine(QLineF(x, _TOP, x, self._bottom()))

    def _paint_curve(self, painter: QPainter, values: Sequence[float | None], token: str) -> None:
        painter.setPen(QPen(theme.color(token), 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        piece = QPolygonF()
        for position, value in enumerate((*values, None)):
            if value is not None:
                piece.append(QPointF(self._x(position), self._y(value)))
                continue
            if piece.count() == 1:
                self._paint_dot(painter, piece.at(0), token)
            else:
                painter.drawPolyline(piece)
            piece = QPolygonF()

    def _paint_dots(self, painter: QPainter) -> None:
        if self._curve.collapse is None:
            return
        for position in range(self._curve.collapse, len(self._curve.train)):
            value = self._curve.train[position]
            if value is not None:
                self._paint_dot(painter, QPointF(self._x(position), self._y(value)), "train_mark")

    def _paint_dot(self, painter: QPainter, center: QPointF, token: str) -> None:
        painter.save()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color(token))
        painter.drawEllipse(center, 2.25, 2.25)
        painter.restore()

    def _paint_ends(self, painter: QPainter) -> None:
        ends = [(self._last(self._curve.eval), "eval"), (self._last(self._curve.train), "train")]
        places = [(self._y(value), mode) for value, mode in ends if value is not None]
        places.sort()
        painter.setFont(theme.font(11, 500))
        lowest = -20.0
        for y, mode in places:
            # Names keep 12 from each other where the curves end at the same height.
            y = max(y, lowest + 12)
            lowest = y
            painter.setPen(theme.color(f"{mode}_words"))
            room = QRectF(self.width() - _RIGHT + 8, y - 8, _RIGHT, 16)
            painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, mode)

    def _last(self, values: Sequence[float | None]) -> float | None:
        return next((value for value in reversed(values) if value is not None), None)

    def _paint_names(self, painter: QPainter) -> None:
        """Name the collapse first, then the ends and the module before it, as far as there is room."""
        collapse, last = self._curve.collapse, len(self._curve.names) - 1
        wanted = [collapse, 0, last, collapse - 1 if collapse else None]
        taken: list[QRectF] = []
        collapse_left = 0.0
        for position in dict.fromkeys(one for one in wanted if one is not None and 0 <= one <= last):
            strong = position == collapse
            face = theme.font(11, 500 if strong else 400)
            width = QFontMetricsF(face).horizontalAdvance(self._curve.names[position])
            left = min(max(self._x(position) - width / 2, 0.0), self.width() - width)
            if strong:
                collapse_left = left
            elif collapse and position == collapse - 1:
                left = min(left, collapse_left - width - 7)
            room = QRectF(left, self._bottom() + 4, width + 1, 16)
            if left < 0 or any(room.adjusted(-5, 0, 5, 0).intersects(other) for other in taken):
                continue
            taken.append(room)
            painter.setFont(face)
            painter.setPen(theme.color("text" if strong else "text3"))
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, self._curve.names[position])
