"""The true mask of one dropout as a picture, and where its rate stands on the axis from 0 to 100 %."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QImage, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from modelight.widgets import paint, theme
from modelight.widgets.axes import round_ticks
from modelight.widgets.export import ExportMenu, Table

LEFT, TOP, RIGHT, FOOT, TALLEST, LARGEST_CELL = 42, 6, 12, 40, 164, 16


class MaskImage(QWidget):
    """Samples down, units across: whole channels as separated tiles, single elements as plain pixels."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mask: NDArray[np.uint8] = np.zeros((0, 0), dtype=np.uint8)
        self._tiles, self._unit, self._sample = False, "", ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(LEFT + 80)
        self.export = ExportMenu(self, "mask", self.table)

    def set_data(self, mask: NDArray[np.uint8], tiles: bool, unit: str, sample: str) -> None:
        """``mask`` is samples × units, 1 = dropped; ``unit`` and ``sample`` name the axes."""
        self._mask = np.atleast_2d(mask)
        self._tiles, self._unit, self._sample = tiles, unit, sample
        self._fit()
        self.update()

    def table(self) -> Table:
        """One row per sample."""
        header = [self._sample, *(str(index) for index in range(self._mask.shape[1]))]
        return Table(header, [(index, *map(int, line)) for index, line in enumerate(self._mask)])

    def cell(self) -> tuple[float, float]:
        """Width and height of one unit, whole pixels where they fit."""
        rows, columns = self._mask.shape
        wide = (self.width() - LEFT - RIGHT) / max(1, columns)
        high = TALLEST / max(1, rows)
        return (
            min(float(LARGEST_CELL), float(int(wide)) if wide >= 1 else wide),
            min(float(LARGEST_CELL), float(int(high)) if high >= 1 else high),
        )

    def area(self) -> QRectF:
        """Where the mask is painted."""
        rows, columns = self._mask.shape
        width, height = self.cell()
        return QRectF(LEFT, TOP, columns * width, rows * height)

    def sizeHint(self) -> QSize:
        return QSize(LEFT + 330, int(self.area().bottom()) + FOOT)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit()

    def _fit(self) -> None:
        self.setFixedHeight(int(self.area().bottom()) + FOOT)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._mask.size:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = self.area()
        width, height = self.cell()
        if self._tiles and min(width, height) >= 5:
            self._paint_tiles(painter, area, width, height)
        else:
            self._paint_pixels(painter, area)
        self._paint_axes(painter, area, width, height)
        painter.end()

    def _paint_tiles(self, painter: QPainter, area: QRectF, width: float, height: float) -> None:
        kept, gone = paint.color("mask"), paint.pen("edge")
        for (row, column), dropped in np.ndenumerate(self._mask):
            box = QRectF(area.left() + column * width, area.top() + row * height, width, height)
            if dropped:
                painter.setPen(gone)
                painter.setBrush(theme.color("surface"))
                painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), 1.5, 1.5)
            else:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(kept)
                painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 1.5, 1.5)

    def _paint_pixels(self, painter: QPainter, area: QRectF) -> None:
        colors = np.array([theme.color("mask").rgba(), theme.color("surface").rgba()], dtype=np.uint32)
        pixels = np.ascontiguousarray(colors[(self._mask != 0).astype(np.intp)])
        rows, columns = pixels.shape
        image = QImage(pixels.data, columns, rows, columns * 4, QImage.Format.Format_ARGB32).copy()
        if area.width() < columns:
            # Units narrower than a pixel are blended: to leave some out would show another mask.
            across, smooth = max(1, round(area.width())), Qt.TransformationMode.SmoothTransformation
            image = image.scaled(across, rows, Qt.AspectRatioMode.IgnoreAspectRatio, smooth)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.drawImage(area, image)
        painter.setPen(paint.pen("edge"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(area.adjusted(-0.5, -0.5, 0.5, 0.5))

    def _paint_axes(self, painter: QPainter, area: QRectF, width: float, height: float) -> None:
        rows, columns = self._mask.shape
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("text3"))
        metrics = QFontMetricsF(theme.font(11))
        line = metrics.height()
        for index in index_ticks(rows, max(1, int(area.height() // 26))):
            y = area.top() + (index + 0.5) * height
            painter.drawText(QRectF(0, y - line / 2, LEFT - 8, line), Qt.AlignmentFlag.AlignRight, str(index))
        for index in index_ticks(columns, max(1, int(area.width() // 56))):
            x = area.left() + (index + 0.5) * width
            painter.drawText(QRectF(x - 30, area.bottom() + 5, 60, line), Qt.AlignmentFlag.AlignCenter, str(index))
        named = QRectF(area.left(), area.bottom() + 5 + line, max(area.width(), 60), line)
        painter.drawText(named, Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextDontClip, self._unit)
        if area.height() >= metrics.horizontalAdvance(self._sample):
            painter.translate(9, area.center().y())
            painter.rotate(-90)
            painter.drawText(QRectF(-60, -8, 120, line), Qt.AlignmentFlag.AlignCenter, self._sample)


def index_ticks(count: int, most: int) -> list[int]:
    """Round indices, and the last one where it does not touch the tick before it: 0, 8, 16, 24, 31."""
    if count <= 1:
        return [0]
    step = next((size for size in (1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 256) if count / size <= most), 0)
    if not step:
        return [int(tick) for tick in round_ticks(0, count - 1, most)]
    ticks = list(range(0, count, step))
    if count - 1 - ticks[-1] > step * 0.6:
        ticks.append(count - 1)
    elif len(ticks) > 1 and ticks[-1] != count - 1:
        ticks[-1] = count - 1
    return ticks


class RateAxis(QWidget):
    """The observed rate as a dot, the nominal one as a tick, and between what bounds chance keeps it."""

    HEIGHT = 44

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._observed: float | None = None
        self._nominal: float | None = None
        self._band: tuple[float, float] | None = None
        self._role = "mask"
        self.setFixedHeight(self.HEIGHT)
        self.setMinimumWidth(160)

    def set_data(
        self, observed: float | None, nominal: float | None, band: tuple[float, float] | None, role: str
    ) -> None:
        """Shares from 0 to 1; ``role`` colours the dot."""
        self._observed, self._nominal, self._band, self._role = observed, nominal, band, role
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        y = 14.0
        if self._band is not None:
            left, right = (self._x(share) for share in self._band)
            middle, half = (left + right) / 2, max(2.0, (right - left) / 2)
            painter.fillRect(QRectF(middle - half, y - 7, 2 * half, 14), paint.color("text3", 0.22))
        painter.setPen(paint.pen("edge"))
        painter.drawLine(QLineF(self._x(0), y, self._x(1), y))
        if self._nominal is not None:
            painter.setPen(paint.pen("text", 1.5))
            painter.drawLine(QLineF(self._x(self._nominal), y - 9, self._x(self._nominal), y + 9))
        if self._observed is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color(self._role))
            painter.drawEllipse(QPointF(self._x(self._observed), y), 3.5, 3.5)
        self._paint_numbers(painter)
        painter.end()

    def _x(self, share: float) -> float:
        return 4 + share * (self.width() - 8)

    def _paint_numbers(self, painter: QPainter) -> None:
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("text3"))
        box = QRectF(4, 27, self.width() - 8, 15)
        for align, text in (
            (Qt.AlignmentFlag.AlignLeft, "0"),
            (Qt.AlignmentFlag.AlignHCenter, "50"),
            (Qt.AlignmentFlag.AlignRight, "100"),
        ):
            painter.drawText(box, align, f"{text}\u00a0%")
