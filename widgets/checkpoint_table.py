"""The table of the Statistics page: what the checkpoint held, what the buffers hold now, what this batch has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from modelight.widgets import numbers, paint, theme
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.statistics_data import Floats, NormDetail

HEADER, ROW = 26, 27


@dataclass(frozen=True)
class Line:
    """One row: its swatch (role, whether filled), its name, its figures."""

    role: str
    filled: bool
    name: str
    figures: tuple[str, ...]


class CheckpointTable(QWidget):
    """Three rows of aligned figures. A figure of the buffers that is not the checkpoint's is written in weight 500."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: tuple[Line, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEADER + 3 * ROW)
        self.export = ExportMenu(self, "against-checkpoint", self.table)

    def lines(self) -> tuple[Line, ...]:
        """What is written."""
        return self._lines

    def header(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.tr("mean, median"), self.tr("variance, median"), self.tr("updates seen")

    def set_data(self, detail: NormDetail, loaded: bool = True) -> None:
        """Show a layer. ``loaded``: there is a checkpoint."""
        mean, variance, seen = detail.mean, detail.variance, detail.seen
        self._lines = (
            Line(
                "text",
                False,
                self.tr("Checkpoint held") if loaded else self.tr("Built with"),
                _figures(mean.checkpoint, variance.checkpoint, seen.checkpoint),
            ),
            Line("eval_mark", True, self.tr("Buffers now"), _figures(mean.running, variance.running, seen.now)),
            Line("train_mark", True, self.tr("This batch has"), _figures(mean.batch, variance.batch, None)),
        )
        self.setAccessibleDescription("; ".join(f"{line.name}: {', '.join(line.figures)}" for line in self._lines))
        self.update()

    def table(self) -> Table:
        """The figures as written."""
        return Table(("", *self.header()), [(line.name, *line.figures) for line in self._lines])

    def sizeHint(self) -> QSize:
        return QSize(560, HEADER + 3 * ROW)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._row(painter, 0, HEADER, self.header(), ["text2"] * 3)
        painter.setPen(paint.pen("line"))
        painter.drawLine(QLineF(0, HEADER - 0.5, self.width(), HEADER - 0.5))
        for index, line in enumerate(self._lines):
            top = HEADER + index * ROW
            _swatch(painter, line, top + ROW / 2)
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text"))
            painter.drawText(QRectF(26, top, 200, ROW), Qt.AlignmentFlag.AlignVCenter, line.name)
            moved = index == 1 and line.figures != self._lines[0].figures
            painter.setFont(theme.font(12, 500 if moved else 400))
            self._row(painter, top, ROW, line.figures, ["text"] * 3)
        painter.end()

    def _row(self, painter: QPainter, top: float, height: float, texts: tuple[str, ...], tones: list[str]) -> None:
        if height == HEADER:
            painter.setFont(theme.font(12))
        width = max(96.0, min(126.0, (self.width() - 170) / len(texts)))
        for index, (text, tone) in enumerate(zip(texts, tones, strict=True)):
            right = self.width() - (len(texts) - 1 - index) * width
            painter.setPen(theme.color(tone))
            box = QRectF(right - width, top, width, height)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)


def _figures(mean: Floats | None, variance: Floats | None, seen: int | None) -> tuple[str, str, str]:
    return _median(mean), _median(variance), "–" if seen is None else numbers.count(seen)


def _median(values: Floats | None) -> str:
    if values is None or not np.isfinite(values).any():
        return "–" if values is None else "NaN" if np.isnan(values).any() else "∞"
    value = float(np.median(values[np.isfinite(values)]))
    if 0.001 <= abs(value) < 100:
        return f"{value:.3f}".replace("-", numbers.MINUS)
    return numbers.figure(value)


def _swatch(painter: QPainter, line: Line, middle: float) -> None:
    if not line.filled:
        painter.setPen(paint.pen(line.role, 1.25, Qt.PenStyle.DashLine))
        painter.drawLine(QLineF(0, middle, 16, middle))
        return
    box = QRectF(0.5, middle - 5, 15, 10)
    painter.fillRect(box, paint.fill(line.role))
    painter.setPen(paint.pen(line.role, 1.5))
    painter.drawRect(box)
