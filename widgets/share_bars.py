"""Rows of one bar each, on one axis: what each layer adds."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QLineF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from modelight.widgets import paint, theme
from modelight.widgets.axes import round_ticks, tick_texts
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.paths import fitted_path

HEAD, ROW, BAR = 22, 24, 9.5
_FIGURE = 56.0
_RIGHT, _LEFT = (
    Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
    Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
)


@dataclass(frozen=True)
class ShareRow:
    """One row: a bar, or words where there is none."""

    path: str
    type: str
    value: float | None
    figure: str
    note: str = ""
    """What is said at the right."""
    strong: bool = False
    role: str = "mask"


class ShareBars(QWidget):
    """Names at the left, bars on one axis, a figure and a note at the right."""

    def __init__(self, name: str, unit: str, percent: bool = False, parent: QWidget | None = None) -> None:
        """``unit`` heads the column of the exported table; ``percent``: the axis is in per cent."""
        super().__init__(parent)
        self._rows: tuple[ShareRow, ...] = ()
        self._unit, self._percent, self._top = unit, percent, 1.0
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.export = ExportMenu(self, name, self.table)

    def rows(self) -> tuple[ShareRow, ...]:
        """What is shown."""
        return self._rows

    def set_rows(self, rows: tuple[ShareRow, ...]) -> None:
        """Show these."""
        self._rows = rows
        largest = max((row.value for row in rows if row.value is not None), default=0.0)
        self._top = largest * 1.04 if 0 < largest < float("inf") else 1.0
        said = (f"{self._path(row)}: {', '.join(part for part in (row.figure, row.note) if part)}" for row in rows)
        self.setAccessibleDescription("; ".join(said))
        self.updateGeometry()
        self.update()

    def table(self) -> Table:
        """One row per layer."""
        return Table(
            ("module", "type", self._unit, "note"), [(row.path, row.type, row.value, row.note) for row in self._rows]
        )

    def sizeHint(self) -> QSize:
        return QSize(560, HEAD + ROW * len(self._rows) + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(360, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._rows:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left, right = self._axis_ends()
        self._axis(painter, left, right)
        for index, row in enumerate(self._rows):
            top = HEAD + index * ROW
            self._name(painter, row, top, left - 16)
            self._bar(painter, row, (left, right), top)

    def _path(self, row: ShareRow) -> str:
        return row.path or self.tr("the model itself")

    def _axis_ends(self) -> tuple[float, float]:
        bold, small = QFontMetricsF(theme.font(13, 600)), QFontMetricsF(theme.font(12))
        names = [bold.horizontalAdvance(self._path(row)) + 8 + small.horizontalAdvance(row.type) for row in self._rows]
        notes = max((small.horizontalAdvance(row.note) for row in self._rows), default=0.0)
        left = min(max(names), self.width() * 0.38) + 16
        return left, max(left + 40, self.width() - _FIGURE - 8 - (notes + 12 if notes else 0) - 1)

    def _axis(self, painter: QPainter, left: float, right: float) -> None:
        scale = 100.0 if self._percent else 1.0
        ticks = round_ticks(0.0, self._top * scale, 4)
        painter.setFont(theme.font(11))
        for tick, text in zip(ticks, tick_texts(ticks), strict=True):
            x = round(left + tick / scale / self._top * (right - left)) + 0.5
            painter.setPen(paint.pen("edge" if tick == 0 else "line"))
            painter.drawLine(QLineF(x, HEAD - 4, x, HEAD + ROW * len(self._rows)))
            painter.setPen(theme.color("text3"))
            align = Qt.AlignmentFlag.AlignLeft if tick == 0 else Qt.AlignmentFlag.AlignHCenter
            painter.drawText(QRectF(x if tick == 0 else x - 30, 2, 60, 14), align, text)

    def _name(self, painter: QPainter, row: ShareRow, top: float, right: float) -> None:
        bold, small = theme.font(13, 600 if row.strong else 400), theme.font(12)
        path = fitted_path(self._path(row), QFontMetricsF(bold), right)
        used = QFontMetricsF(bold).horizontalAdvance(path) + 8
        painter.setFont(bold)
        painter.setPen(theme.color("text" if row.value or row.strong else "text2"))
        painter.drawText(QRectF(0, top, right + 4, ROW), _LEFT, path)
        if right - used < 24:
            return
        painter.setFont(small)
        painter.setPen(theme.color("text3"))
        kind = QFontMetricsF(small).elidedText(row.type, Qt.TextElideMode.ElideRight, right - used + 2)
        painter.drawText(QRectF(used, top, right - used + 4, ROW), _LEFT, kind)

    def _bar(self, painter: QPainter, row: ShareRow, span: tuple[float, float], top: float) -> None:
        left, right = span
        if row.value:
            width = max(1.5, min(1.0, row.value / self._top) * (right - left))
            painter.fillRect(QRectF(left + 0.5, top + (ROW - BAR) / 2, width, BAR), paint.color(row.role))
        painter.setFont(theme.font(12, 600 if row.strong else 400))
        painter.setPen(theme.color("text" if row.value else "text3"))
        painter.drawText(QRectF(right + 8, top, _FIGURE, ROW), _RIGHT, row.figure)
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text2"))
        painter.drawText(QRectF(right + 8 + _FIGURE + 12, top, self.width(), ROW), _LEFT, row.note)
