"""Every value of a histogram of few values, as ticks under it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QRectF
from PySide6.QtGui import QPainter

from modelight.widgets import paint
from modelight.widgets.marks import Mark

Floats = NDArray[np.float64]

RUG = 11
"""Height of one row, in logical pixels."""


class Rug(Mark):
    """Rows of ticks, a row for each set of values."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[Floats, str]] = []

    def set_data(self, rows: list[tuple[Floats, str]]) -> None:
        """(values, role) per row."""
        self._rows = rows
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        for index, (values, role) in enumerate(self._rows):
            painter.setPen(paint.pen(role, 1.0, alpha=0.85))
            top = area.top() + 4 + index * RUG
            for x in self.px(values):
                painter.drawLine(QLineF(x, top, x, top + RUG - 3))
