"""Rows of ticks on one axis: a question at the left, each answer a tick, a verdict at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from modelight.widgets import paint, theme
from modelight.widgets.axes import round_step, round_ticks, tick_texts
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.modes import Mode

ROW, FOOT = 36, 20


class Answers(Protocol):
    """Answers to one question."""

    @property
    def question(self) -> str:
        """Its name."""

    @property
    def values(self) -> NDArray[np.float64]:
        """The answers."""


R = TypeVar("R", bound=Answers)


@dataclass(frozen=True)
class Spoken:
    """A verdict in words: its verb, the figures after it, and the sign before it."""

    verb: str
    rest: str
    sign: str
    """``good``, ``bad`` or ``none``."""


class AnswerStrip(QWidget, Generic[R]):
    """Rows of ticks, each run one tick; repeats darken. What the rows say is the subclass's."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[R, ...] = ()
        self._mode: Mode = "eval"
        self._bounded = True
        self._range = (0.0, 1.0)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.export = ExportMenu(self, name, self.table)

    def set_data(self, rows: tuple[R, ...], mode: Mode, bounded: bool) -> None:
        """``bounded``: the answers are probabilities and the axis is from 0 to 1."""
        self._rows, self._mode, self._bounded = rows, mode, bounded
        self._range = (0.0, 1.0) if bounded else _round_range([row.values for row in rows])
        self.setAccessibleDescription("; ".join(f"{self.question(row)[0]}: {self._sentence(row)}" for row in rows))
        self.updateGeometry()
        self.update()

    def table(self) -> Table:
        """Every answer."""
        return Table(
            ("question", "answer"), [(row.question, float(value)) for row in self._rows for value in row.values]
        )

    def question(self, row: R) -> tuple[str, str]:
        """The question and what was done for it."""
        raise NotImplementedError

    def verdict(self, row: R) -> Spoken:
        """What the answers say."""
        raise NotImplementedError

    def _sentence(self, row: R) -> str:
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
            self._question(painter, row, top, left - 20)
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
        left = max(176.0, min(left, 0.44 * self.width()))
        return left, max(left + 60.0, self.width() - max(ends, 160.0))

    def _x(self, value: float, left: float, right: float) -> float:
        low, high = self._range
        return left + (value - low) / (high - low) * (right - left)

    def _ticks(self) -> list[float]:
        return [0.0, 0.5, 1.0] if self._bounded else round_ticks(*self._range, 4)

    def _question(self, painter: QPainter, row: R, top: float, room: float) -> None:
        for text, size, tone, y in zip(self.question(row), (13, 11), ("text", "text2"), (15, 29), strict=True):
            painter.setFont(theme.font(size))
            painter.setPen(theme.color(tone))
            elided = QFontMetricsF(painter.font()).elidedText(text, Qt.TextElideMode.ElideRight, room)
            painter.drawText(QPointF(0, top + y), elided)

    def _answers(self, painter: QPainter, row: R, left: float, right: float, y: float) -> None:
        painter.setPen(paint.pen("edge"))
        painter.drawLine(QLineF(left, y, right, y))
        for tick in self._ticks():
            x = self._x(tick, left, right)
            painter.drawLine(QLineF(x, y - 3, x, y + 3))
        painter.setPen(paint.pen(paint.mark(self._mode), 1.5, alpha=0.75))
        for value in row.values:
            x = min(max(self._x(float(value), left, right), left), right)
            painter.drawLine(QLineF(x, y - 10, x, y + 10))

    def _verdict(self, painter: QPainter, row: R, x: float, y: float) -> None:
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


def _round_range(answers: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    values = np.concatenate(answers) if answers else np.empty(0)
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
