"""One of the six ways to run a model, as a card: small bars, spread, time, bytes kept, what came out."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QTextLayout, QTextOption
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from modelight.widgets import numbers, paint, theme
from modelight.widgets.axes import round_ticks
from modelight.widgets.buttons import KeyboardFocus, paint_focus
from modelight.widgets.compare_data import CellData
from modelight.widgets.signs import paint_sign

FLAG = 9
"""How far the flag *now* stands out of the card at its top."""
PADDING, TIGHT, PICTURE, LINE = 12, 8, 66, 19
HEIGHT = FLAG + PADDING + 4 + PICTURE + 16 + 4 * LINE + PADDING - 2
ROOMY = 140
"""A cell with less room than this inside, in logical pixels, uses shorter words."""
WHISKER_PITCH = 7
"""Bars closer than this, in logical pixels, carry no whiskers: they would touch."""


class CompareCell(KeyboardFocus, QAbstractButton):
    """A card that is clicked to go to its state."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: CellData | None = None
        self._range = (0.0, 1.0)
        self._ticks: tuple[float, ...] = (0.0, 0.5, 1.0)
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(100)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def data(self) -> CellData | None:
        """What is shown."""
        return self._data

    def set_data(self, data: CellData, low: float, high: float, name: str) -> None:
        """Show a cell; ``low`` to ``high`` is the range that all cells share, ``name`` says which cell it is."""
        self._data = data
        self._range = (low, high)
        self._ticks = (0.0, 0.5, 1.0) if (low, high) == (0.0, 1.0) else tuple(round_ticks(low, high, 3))
        self.setAccessibleName(name)
        said = [data.problem] if data.problem else [f"{key}: {value}" for key, value, _ in self.lines(data)]
        self.setAccessibleDescription("; ".join([*said, *([self.tr("now")] if data.now else [])]))
        self.setToolTip(data.problem)
        self.setCursor(Qt.CursorShape.ArrowCursor if data.now else Qt.CursorShape.PointingHandCursor)
        self.update()

    def lines(self, data: CellData) -> list[tuple[str, str, int]]:
        """Name, value and weight of each line."""
        output = {
            "requires_grad": self.tr("requires grad"),
            "plain": self.tr("plain tensor"),
            "inference": self.tr("inference tensor"),
        }[data.output]
        time = "–" if data.milliseconds is None else numbers.milliseconds(data.milliseconds)
        return [
            (self.tr("Spread"), self.spread(data), paint.MEDIUM),
            (self.tr("Time"), f"≤ {time}" if data.watched else time, paint.REGULAR),
            (self.tr("Autograd keeps"), numbers.size(data.kept_bytes), paint.REGULAR),
            (self.tr("Output"), output, paint.REGULAR),
        ]

    def spread(self, data: CellData) -> str:
        """± one standard deviation over the runs."""
        if data.spread is None:
            return self.tr("one run")
        if data.exact:
            return self.tr("0, exact")
        return f"± {numbers.figure(data.spread, 2)}"

    def sizeHint(self) -> QSize:
        return QSize(171, HEIGHT)

    # ------------------------------------------------------------------------------------------------------- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._data is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._card(painter, self._data.now)
        padding = PADDING if self.width() - 2 * PADDING >= ROOMY else TIGHT
        inner = QRectF(padding, FLAG + PADDING + 4, self.width() - 2 * padding, PICTURE)
        if self._data.problem:
            self._problem(painter, self._data.problem, inner)
            return
        self._picture(painter, self._data, inner)
        top = inner.bottom() + 16
        for name, value, weight in self.lines(self._data):
            self._line(painter, QRectF(inner.left(), top, inner.width(), LINE), name, value, weight)
            top += LINE

    def _card(self, painter: QPainter, now: bool) -> None:
        half = 1.0 if now else 0.5
        frame = QRectF(0, FLAG, self.width(), self.height() - FLAG).adjusted(half, half, -half, -half)
        painter.setBrush(theme.color("sunken" if self.underMouse() and not now else "surface"))
        painter.setPen(paint.pen("ink", 2.0) if now else paint.pen("line"))
        painter.drawRoundedRect(frame, theme.RADIUS_CARD, theme.RADIUS_CARD)
        if self._by_keyboard:
            paint_focus(painter, frame.adjusted(1, 1, -1, -1))
        if now:
            self._flag(painter)

    def _flag(self, painter: QPainter) -> None:
        painter.setFont(theme.font(11, 500))
        text = self.tr("now")
        width = QFontMetricsF(painter.font()).horizontalAdvance(text) + 14
        box = QRectF(self.width() - width - 11, FLAG - 8.5, width, 18)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("ink"))
        painter.drawRoundedRect(box, theme.RADIUS_BADGE, theme.RADIUS_BADGE)
        painter.setPen(theme.color("surface"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _y(self, value: float, box: QRectF) -> float:
        low, high = self._range
        return box.bottom() - (value - low) / (high - low) * box.height()

    def _picture(self, painter: QPainter, data: CellData, box: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for tick in self._ticks:
            painter.setPen(paint.pen("edge" if tick == 0 else "line"))
            y = round(self._y(tick, box)) + 0.5
            painter.drawLine(QLineF(box.left(), y, box.right(), y))
        pitch = box.width() / max(1, len(data.heights))
        width = max(1, round(min(24.0, pitch * 0.72 if pitch > 4 else pitch)))
        if len(data.heights) and not np.isfinite(data.heights).any():
            self._nothing_finite(painter, box)
            return
        role = paint.mark("train" if data.training else "eval")
        zero = self._y(0.0, box)
        for index, height in enumerate(data.heights):
            if not np.isfinite(height):
                continue
            middle, y = box.left() + (index + 0.5) * pitch, self._y(float(height), box)
            bar = QRectF(round(middle - width / 2), min(y, zero), width, abs(zero - y))
            painter.fillRect(bar, paint.fill(role))
            painter.fillRect(QRectF(bar.left(), round(y) - 1, width, 2), paint.color(role))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        if pitch >= WHISKER_PITCH:
            self._whiskers(painter, data, box, pitch)

    def _nothing_finite(self, painter: QPainter, box: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        paint_sign(painter, QPointF(box.left() + 6, box.center().y()), "warning")
        painter.setFont(theme.font(12, 500))
        painter.setPen(theme.color("attention"))
        align = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(box.adjusted(18, 0, 0, 0), align, self.tr("NaN or infinite"))

    def _whiskers(self, painter: QPainter, data: CellData, box: QRectF, pitch: float) -> None:
        painter.setPen(paint.pen("text", 1.25))
        cap = min(3.0, pitch / 5)
        for index, (height, spread) in enumerate(zip(data.heights, data.deviations, strict=True)):
            if not (np.isfinite(height) and np.isfinite(spread) and spread > 0):
                continue
            x = box.left() + (index + 0.5) * pitch
            top, end = (
                min(max(self._y(value, box), box.top()), box.bottom()) for value in (height + spread, height - spread)
            )
            painter.drawLine(QLineF(x, top, x, end))
            if end - top >= 5:  # shorter ones would be caps alone
                painter.drawLines([QLineF(x - cap, y, x + cap, y) for y in (top, end)])

    def _line(self, painter: QPainter, box: QRectF, name: str, value: str, weight: int) -> None:
        middle = Qt.AlignmentFlag.AlignVCenter
        name, value = self._fitting(name, value, weight, box.width())
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text2"))
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | middle, name)
        painter.setFont(theme.font(12, weight))
        painter.setPen(theme.color("text"))
        value = QFontMetricsF(painter.font()).elidedText(value, Qt.TextElideMode.ElideRight, box.width() + 1)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | middle, value)

    def _fitting(self, name: str, value: str, weight: int, room: float) -> tuple[str, str]:
        """A line in as few words as it has room for. The value is what is looked for: the name goes before it does."""
        strong, small = QFontMetricsF(theme.font(12, weight)), QFontMetricsF(theme.font(12))
        if room < ROOMY:  # by the width of the cell, so that all cells say it in the same words
            short = self._short_words()
            name, value = short.get(name, name), short.get(value, value)
        fits = small.horizontalAdvance(name) + strong.horizontalAdvance(value) + 3 <= room
        return (name if fits else ""), value

    def _short_words(self) -> dict[str, str]:
        return {
            self.tr("Autograd keeps"): self.tr("Keeps"),
            self.tr("Output"): self.tr("Out"),
            self.tr("requires grad"): self.tr("with grad"),
            self.tr("plain tensor"): self.tr("plain"),
            self.tr("inference tensor"): self.tr("inference"),
        }

    def _problem(self, painter: QPainter, text: str, box: QRectF) -> None:
        paint_sign(painter, QPointF(box.left() + 6, box.top() + 7), "critical")
        painter.setFont(theme.font(12, 500))
        painter.setPen(theme.color("text"))
        painter.drawText(QPointF(box.left() + 18, box.top() + 11), self.tr("Raises"))
        room = QRectF(box.left(), box.top() + 22, box.width(), self.height() - PADDING - box.top() - 22)
        _wrapped(painter, text, room)


def _wrapped(painter: QPainter, text: str, box: QRectF, line_height: int = 17) -> None:
    """Lines of 12 in text 2; the last that fits is elided."""
    layout = QTextLayout(text, theme.font(12))
    option = QTextOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    layout.setTextOption(option)
    layout.beginLayout()
    starts = []
    while (line := layout.createLine()).isValid():
        line.setLineWidth(max(1.0, box.width()))
        starts.append(line.textStart())
    layout.endLayout()
    painter.setFont(theme.font(12))
    painter.setPen(theme.color("text2"))
    most = max(1, int(box.height() // line_height))
    for index, start in enumerate(starts[:most]):
        last = index == most - 1 and len(starts) > most
        piece = text[start:] if last else text[start : starts[index + 1] if index + 1 < len(starts) else len(text)]
        piece = QFontMetricsF(painter.font()).elidedText(piece.rstrip(), Qt.TextElideMode.ElideRight, box.width() + 1)
        painter.drawText(QPointF(box.left(), box.top() + index * line_height + 13), piece)
