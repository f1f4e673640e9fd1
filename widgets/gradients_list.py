"""The modules of the Gradients page: the norm of their gradient on one logarithmic axis, what autograd keeps of them,
and the button that freezes their parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QLineF, QModelIndex, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QListView, QWidget

from modelight.widgets import numbers, paint, theme
from modelight.widgets.counted import counted
from modelight.widgets.gradients_data import GradientRow
from modelight.widgets.paths import fitted_path
from modelight.widgets.row_list import LEFT, RIGHT, ROW_ROLE, RowDelegate, RowList, RowModel
from modelight.widgets.sections import MARGIN
from modelight.widgets.signs import paint_sign

HEAD = 26
_FIGURE, _KEPT, _COUNT, _BUTTON, _GAP = 56.0, 60.0, 58.0, 70.0, 10.0
_LEAST = 240.0
"""Room that names and the axis need together."""


@dataclass(frozen=True)
class Columns:
    """Where the parts of a row stand."""

    name: QRectF
    axis: QRectF
    figure: QRectF
    kept: QRectF
    count: QRectF
    button: QRectF


def columns(rect: QRectF) -> Columns:
    """Names and the axis share what the figures leave; where that is little, there is no axis."""
    inner = rect.adjusted(MARGIN, 0, -MARGIN, 0)
    rest = inner.width() - _FIGURE - _KEPT - _COUNT - _BUTTON - 4 * _GAP
    axis = min(400.0, rest * 0.42) if rest > _LEAST else 0.0
    widths = (rest - axis - _GAP, axis, _FIGURE, _KEPT, _COUNT, _BUTTON)
    left, boxes = inner.left(), []
    for width, gap in zip(widths, (_GAP, 0.0, _GAP, _GAP, _GAP, 0.0), strict=True):
        boxes.append(QRectF(left, rect.top(), width, rect.height()))
        left += width + gap
    return Columns(*boxes)


def decades(rows: Sequence[GradientRow]) -> tuple[int, int]:
    """The powers of ten that hold all norms."""
    norms = [row.norm for row in rows if row.norm is not None and 0 < row.norm < math.inf]
    if not norms:
        return -1, 0
    low, high = math.floor(math.log10(min(norms))), math.ceil(math.log10(max(norms)))
    return low, max(high, low + 1)


class GradientModel(RowModel[GradientRow]):
    """The modules."""


class GradientDelegate(RowDelegate):
    """Paints one module. ``span`` is the range of the axis in powers of ten."""

    def __init__(self) -> None:
        super().__init__()
        self.span = (-1, 0)

    def button_rect(self, rect: QRectF) -> QRectF:
        """The freeze button of a row, in the row's coordinates."""
        box = columns(rect).button
        return QRectF(box.left(), box.center().y() - 13, box.width(), 26)

    def button_text(self, row: GradientRow) -> str:
        """What a press does."""
        return self.tr("Freeze") if row.trainable else self.tr("Unfreeze")

    def words(self, row: GradientRow) -> str:
        """What is remarkable about a module; empty where nothing is."""
        said = []
        if row.norm is not None and not math.isfinite(row.norm):
            said.append(self.tr("gradient not finite"))
        if row.missing:
            said.append(counted(row.missing, self.tr("%1 gets no gradient"), self.tr("%1 get no gradient")))
        if row.zero:
            said.append(counted(row.zero, self.tr("%1 gradient is zero"), self.tr("%1 gradients are zero")))
        if row.cut:
            said.append(self.tr("cut here"))
        if row.grad_off:
            said.append(self.tr("called with gradients off"))
        if row.moves:
            said.append(
                counted(row.moves, self.tr("frozen, yet moves %1 buffer"), self.tr("frozen, yet moves %1 buffers"))
            )
        return ", ".join(said)

    def result(self, row: GradientRow) -> str:
        """What came out, as autograd sees it."""
        if not row.calls:
            return self.tr("not called")
        return row.grad_fn or self.tr("no grad")

    def paint_row(self, painter: QPainter, row: GradientRow, rect: QRectF) -> None:
        """The name, the norm on its axis, the figures and the button."""
        where = columns(rect)
        self._paint_name(painter, row, where.name, where.figure.left())
        self._paint_norm(painter, row, where)
        self._paint_figures(painter, row, where)
        if row.parameters:
            self._paint_button(painter, row, self.button_rect(rect))

    def _paint_name(self, painter: QPainter, row: GradientRow, box: QRectF, reach: float) -> None:
        name, small = theme.font(13, 500 if row.leaf else 400), theme.font(11)
        painter.setFont(name)
        painter.setPen(theme.color("text" if row.leaf else "text2"))
        text = fitted_path(row.path or row.name, QFontMetricsF(name), box.width())
        painter.drawText(QRectF(box.left(), box.top() + 5, box.width(), 18), LEFT, text)
        below, words = QRectF(box.left(), box.top() + 24, reach - box.left(), 15), self.words(row)
        attention = row.missing > 0 or (row.norm is not None and not math.isfinite(row.norm))
        if words and (attention or row.moves):
            paint_sign(painter, QPointF(below.left() + 5, below.center().y()), "warning")
            below.setLeft(below.left() + 15)
        painter.setFont(small)
        painter.setPen(theme.color("attention" if attention else "text2" if words else "text3"))
        text = words or f"{row.type}   {self.result(row)}"
        elided = QFontMetricsF(small).elidedText(text, Qt.TextElideMode.ElideRight, below.width())
        painter.drawText(below, LEFT, elided)

    def _paint_norm(self, painter: QPainter, row: GradientRow, where: Columns) -> None:
        box = QRectF(where.axis.left(), where.axis.top() + 4, where.axis.width(), 20)
        middle = box.center().y()
        painter.setPen(paint.pen("line"))
        for power in range(self.span[0], self.span[1] + 1) if box.width() else ():
            x = round(self._x(10.0**power, box)) + 0.5
            painter.drawLine(QLineF(x, box.top(), x, box.bottom()))
        painter.setFont(theme.font(12, 500 if row.leaf else 400))
        text = numbers.figure(row.norm, 2) if row.norm is not None else "–"
        painter.setPen(theme.color("text" if row.leaf and row.norm is not None else "text3"))
        painter.drawText(where.figure, RIGHT, text)
        if not box.width() or row.norm is None or not math.isfinite(row.norm):
            return
        at = QPointF(self._x(row.norm, box), middle)
        tone = theme.color("ink" if row.leaf else "text3")
        painter.setPen(paint.pen("edge") if row.leaf else Qt.PenStyle.NoPen)
        if row.leaf:
            painter.drawLine(QLineF(box.left() + 4, middle, at.x(), middle))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(tone)
        painter.drawEllipse(at, 4 if row.leaf else 2.5, 4 if row.leaf else 2.5)

    def _x(self, norm: float, box: QRectF) -> float:
        low, high = self.span
        share = (math.log10(norm) - low) / (high - low) if norm > 0 else 0.0
        return box.left() + 4 + min(1.0, max(0.0, share)) * (box.width() - 8)

    def _paint_figures(self, painter: QPainter, row: GradientRow, where: Columns) -> None:
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text2" if row.kept else "text3"))
        painter.drawText(where.kept, RIGHT, numbers.size(row.kept) if row.kept else "–")
        if row.parameters:
            painter.setPen(theme.color("text" if row.trainable else "text3"))
            text = self.tr("%1 of %2").replace("%1", numbers.count(row.trainable))
            painter.drawText(where.count, RIGHT, text.replace("%2", numbers.count(row.parameters)))

    def _paint_button(self, painter: QPainter, row: GradientRow, box: QRectF) -> None:
        painter.setPen(paint.pen("edge"))
        painter.setBrush(theme.color("surface"))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS_CONTROL, theme.RADIUS_CONTROL)
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self.button_text(row))


class GradientHeader(QWidget):
    """The names of the columns, and the ends of the axis."""

    def __init__(self, rows: QListView) -> None:
        super().__init__()
        self._rows = rows
        self.span = (-1, 0)
        self.setFixedHeight(HEAD)
        rows.verticalScrollBar().rangeChanged.connect(self.update)  # the bar takes room from the rows

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        where = columns(QRectF(0, 0, self._rows.viewport().width(), self.height()))
        painter.fillRect(self.rect(), theme.color("sunken"))
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("text2"))
        painter.drawText(where.name, LEFT, self.tr("module"))
        painter.drawText(where.figure, RIGHT, self.tr("gradient"))
        painter.drawText(where.kept, RIGHT, self.tr("kept"))
        painter.drawText(where.count, RIGHT, self.tr("trainable"))
        painter.setPen(theme.color("text3"))
        ends = where.axis.adjusted(4, 0, -4, 0)
        for power, side in zip(self.span, (LEFT, RIGHT), strict=True) if ends.width() > 0 else ():
            painter.drawText(ends, side, numbers.figure(10.0**power, 1))


class GradientList(RowList):
    """The rows. ``freeze_requested`` carries a path and the requires_grad that is wanted: by mouse on the button, or
    Space on the chosen row."""

    freeze_requested = Signal(str, bool)

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.painter = GradientModel(), GradientDelegate()
        self._pressed: QModelIndex | None = None
        self.setModel(self.rows)
        self.setItemDelegate(self.painter)
        self.setAccessibleName(self.tr("Gradient of each module"))

    def button_rect(self, index: QModelIndex) -> QRectF:
        """Where a row's button is, in the viewport."""
        return self.painter.button_rect(QRectF(self.visualRect(index)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed = self._button_at(event.position().toPoint())
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        pressed, self._pressed = self._pressed, None
        if pressed is not None and self._button_at(event.position().toPoint()) == pressed:
            self._request(pressed)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space and self.currentIndex().isValid():
            self._request(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def _button_at(self, point: QPoint) -> QModelIndex | None:
        index = self.indexAt(point)
        return index if index.isValid() and self.button_rect(index).contains(QPointF(point)) else None

    def _request(self, index: QModelIndex) -> None:
        row: GradientRow = index.data(ROW_ROLE)
        if row.parameters:
            self.freeze_requested.emit(row.path, not row.trainable)
