"""The strip that answers *Same input, same answer?*: three questions on one axis, the verdict a verb and a figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from modelight.widgets import numbers, paint, theme
from modelight.widgets.axes import round_step, round_ticks, tick_texts
from modelight.widgets.counted import counted
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.modes import Mode
from modelight.widgets.output_data import SameRow

ROW, FOOT = 36, 20


@dataclass(frozen=True)
class Spoken:
    """A verdict in words: its verb, the figures after it, and the sign before it."""

    verb: str
    rest: str
    sign: str
    """``good``, ``bad`` or ``none``."""


def two_figures(low: float, high: float, bounded: bool) -> tuple[str, str]:
    """Both figures with as many decimals as tell them apart."""
    for digits in range(2, 8):
        texts = [f"{value:.{digits}f}" if bounded else numbers.figure(value, digits + 1) for value in (low, high)]
        if texts[0] != texts[1]:
            break
    return texts[0].replace("-", numbers.MINUS), texts[1].replace("-", numbers.MINUS)


def difference(value: float, bounded: bool) -> str:
    """A difference of two shown figures: 0.07, or as many decimals as it needs."""
    return f"{value:.2f}" if bounded and value >= 0.005 else numbers.figure(value, 2)


class SameStrip(QWidget):
    """Rows of ticks, each run one tick; repeats darken."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[SameRow, ...] = ()
        self._mode: Mode = "eval"
        self._bounded = True
        self._range = (0.0, 1.0)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.export = ExportMenu(self, "same-answer", self.table)

    def set_data(self, rows: tuple[SameRow, ...], mode: Mode, bounded: bool) -> None:
        """``bounded``: the answers are probabilities and the axis is from 0 to 1."""
        self._rows, self._mode, self._bounded = rows, mode, bounded
        self._range = (0.0, 1.0) if bounded else _round_range(rows)
        self.setAccessibleDescription("; ".join(f"{self.question(row)[0]}: {self._sentence(row)}" for row in rows))
        self.updateGeometry()
        self.update()

    def table(self) -> Table:
        """Every answer."""
        return Table(
            ("question", "answer"), [(row.question, float(value)) for row in self._rows for value in row.values]
        )

    def question(self, row: SameRow) -> tuple[str, str]:
        """The question and what was done for it."""
        if row.question == "again":
            return self.tr("Run it again"), self._runs(row.count)
        if row.question == "company":
            if not row.others:
                return self.tr("Run it in company"), self.tr("needs a second sample")
            return self.tr("Run it in company"), counted(
                row.others, self.tr("alone, then with %1 other"), self.tr("alone, then among %1 others")
            )
        caption = counted(row.count, self.tr("%1 input"), self.tr("%1 inputs"))
        if row.others:
            caption = self.tr("%1, %2 of them noise").replace("%1", caption).replace("%2", numbers.count(row.others))
        return self.tr("Run another input"), caption

    def _runs(self, count: int) -> str:
        return counted(count, self.tr("%1 run of the first sample"), self.tr("%1 runs of the first sample"))

    def verdict(self, row: SameRow) -> Spoken:
        """What the answers say."""
        low, high = two_figures(row.low, row.high, self._bounded)
        by = difference(row.high - row.low, self._bounded)
        if row.verdict == "exact":
            return Spoken(self.tr("Same"), self.tr(", bit for bit"), "good")
        if row.verdict == "rounding":
            return Spoken(self.tr("Same"), self.tr(", up to rounding"), "good")
        if row.verdict == "noise":
            return Spoken(self.tr("Differs"), self.tr(" as repeats do"), "none")
        if row.verdict == "moves":
            return Spoken(self.tr("Moves"), self.tr(", %1 to %2").replace("%1", low).replace("%2", high), "good")
        if row.verdict == "hardly":
            return Spoken(self.tr("Hardly moves"), self.tr(", %1").replace("%1", by), "bad")
        if row.verdict == "nan":
            return Spoken(self.tr("Not a number"), self.tr(" among the answers"), "bad")
        if row.verdict == "none":
            return Spoken(self.tr("Not asked"), "", "none")
        if row.question == "company":
            return Spoken(self.tr("Differs"), self.tr(", %1 → %2").replace("%1", low).replace("%2", high), "bad")
        return Spoken(self.tr("Differs"), self.tr(" by %1").replace("%1", by), "bad")

    def _sentence(self, row: SameRow) -> str:
        spoken = self.verdict(row)
        return spoken.verb + spoken.rest

    def sizeHint(self) -> QSize:
        return QSize(560, ROW * len(self._rows) + FOOT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left, right = self._columns()
        for index, row in enumerate(self._rows):
            top = index * ROW
            self._question(painter, row, top)
            self._answers(painter, row, left, right, top + ROW / 2)
            self._verdict(painter, row, right + 20, top + ROW / 2)
        self._foot(painter, left, right)
        painter.end()

    def _columns(self) -> tuple[float, float]:
        """Where the axis begins and ends: between the widest question and the widest verdict."""
        words, small, bold = (QFontMetricsF(theme.font(*face)) for face in ((13, 400), (11, 400), (12, 600)))
        asked = [self.question(row) for row in self._rows]
        left = max((max(words.horizontalAdvance(a), small.horizontalAdvance(b)) for a, b in asked), default=0.0) + 24
        ends = max((bold.horizontalAdvance(self._sentence(row)) for row in self._rows), default=0.0) + 44
        left = max(left, 176.0)
        return left, max(left + 60.0, self.width() - max(ends, 160.0))

    def _x(self, value: float, left: float, right: float) -> float:
        low, high = self._range
        return left + (value - low) / (high - low) * (right - left)

    def _ticks(self) -> list[float]:
        return [0.0, 0.5, 1.0] if self._bounded else round_ticks(*self._range, 4)

    def _question(self, painter: QPainter, row: SameRow, top: float) -> None:
        question, caption = self.question(row)
        painter.setFont(theme.font(13))
        painter.setPen(theme.color("text"))
        painter.drawText(QPointF(0, top + 15), question)
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("text2"))
        painter.drawText(QPointF(0, top + 29), caption)

    def _answers(self, painter: QPainter, row: SameRow, left: float, right: float, y: float) -> None:
        painter.setPen(paint.pen("edge"))
        painter.drawLine(QLineF(left, y, right, y))
        for tick in self._ticks():
            x = self._x(tick, left, right)
            painter.drawLine(QLineF(x, y - 3, x, y + 3))
        painter.setPen(paint.pen(paint.mark(self._mode), 1.5, alpha=0.75))
        for value in row.values:
            x = min(max(self._x(float(value), left, right), left), right)
            painter.drawLine(QLineF(x, y - 10, x, y + 10))

    def _verdict(self, painter: QPainter, row: SameRow, x: float, y: float) -> None:
        spoken = self.verdict(row)
        _sign(painter, spoken.sign, QPointF(x + 5, y))
        painter.setPen(theme.color("text"))
        painter.setFont(theme.font(12, 600))
        painter.drawText(QPointF(x + 16, y + 4.5), spoken.verb)
        width = QFontMetricsF(theme.font(12, 600)).horizontalAdvance(spoken.verb)
        painter.setFont(theme.font(12))
        painter.drawText(QPointF(x + 16 + width, y + 4.5), spoken.rest)

    def _foot(self, painter: QPainter, left: float, right: float) -> None:
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("text3"))
        ticks = self._ticks()
        for tick, text in zip(ticks, tick_texts(ticks), strict=True):
            x = self._x(tick, left, right)
            painter.drawText(QRectF(x - 40, ROW * len(self._rows), 80, 16), Qt.AlignmentFlag.AlignCenter, text)


def _round_range(rows: tuple[SameRow, ...]) -> tuple[float, float]:
    values = np.concatenate([row.values for row in rows]) if rows else np.empty(0)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    step = round_step(high - low or max(abs(high), 1e-6), 4)
    return np.floor(low / step) * step, np.ceil(high / step + 1e-9) * step if high > low else np.floor(
        low / step + 1
    ) * step


def _sign(painter: QPainter, sign: str, middle: QPointF) -> None:
    x, y = middle.x(), middle.y()
    if sign == "good":
        painter.setPen(paint.pen("confirmed", 1.75))
        painter.drawPolyline([QPointF(x - 4.5, y), QPointF(x - 1.5, y + 3.5), QPointF(x + 4.5, y - 3.5)])
    elif sign == "bad":
        painter.setPen(paint.pen("attention", 1.75))
        painter.drawLine(QLineF(x - 3.5, y - 3.5, x + 3.5, y + 3.5))
        painter.drawLine(QLineF(x - 3.5, y + 3.5, x + 3.5, y - 3.5))
    else:
        painter.setPen(paint.pen("text3", 1.5))
        painter.drawLine(QLineF(x - 4, y, x + 4, y))
