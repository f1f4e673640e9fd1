"""Paints one row of the Layers page: the module, its output as a histogram, its moments."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath

from modelight.widgets import numbers, paint, theme
from modelight.widgets.layers_data import LayerRow, Spread
from modelight.widgets.modes import Mode
from modelight.widgets.paths import fitted_path
from modelight.widgets.row_list import LEFT, RIGHT, RowDelegate
from modelight.widgets.sections import MARGIN
from modelight.widgets.signs import paint_sign

PLOT_TOP, PLOT = 8, 34
_FIGURES, _ROOMY, _NAMES = 134.0, 158.0, 380.0
"""Room of the figures, and what names need before the histograms take more than a third."""
_LEAST_TYPE = 24.0
"""A type in less room than this says nothing."""


@dataclass(frozen=True)
class Columns:
    """Where the three columns of a row stand."""

    name: QRectF
    plot: QRectF
    figures: QRectF


def columns(rect: QRectF) -> Columns:
    """Names take what histogram and figures leave."""
    inner = rect.adjusted(MARGIN, 0, -MARGIN, 0)
    figures = _ROOMY if inner.width() > 560 else _FIGURES
    plot = max(inner.width() * 0.33, min(560.0, inner.width() - figures - _NAMES - 32))
    name = inner.width() - figures - plot - 32
    return Columns(
        QRectF(inner.left(), rect.top(), name, rect.height()),
        QRectF(inner.left() + name + 16, rect.top(), plot, rect.height()),
        QRectF(inner.right() - figures, rect.top(), figures, rect.height()),
    )


def figures(row: LayerRow) -> list[str]:
    """Mean ± deviation of this mode and of the other, with the decimals that the largest of them needs."""
    parts = [part for part in (row.now, row.other) if part is not None]
    sizes = [abs(size) for part in parts for size in (part.mean, part.std) if size is not None]
    largest = max(sizes, default=0.0)
    plain = largest == 0 or 1e-3 <= largest < 1e4
    decimals = 2 if largest == 0 or not plain else max(0, min(4, 2 - math.floor(math.log10(largest))))
    return [_moments(part, decimals if plain else None) for part in parts]


def _moments(part: Spread, decimals: int | None) -> str:
    if part.mean is None or part.std is None:
        return "–"
    if decimals is None:
        return f"{numbers.figure(part.mean, 2)} ± {numbers.figure(part.std, 2)}"
    mean = round(part.mean, decimals) + 0.0  # no −0.00
    return f"{mean:.{decimals}f} ± {part.std:.{decimals}f}".replace("-", numbers.MINUS)


class LayerDelegate(RowDelegate):
    """Knows the modes, and the range that all rows share where they do."""

    HEIGHT = 62

    def __init__(self) -> None:
        super().__init__()
        self.mode: Mode = "eval"
        self.other_mode: Mode | None = None
        self.shared: tuple[float, float] | None = None

    def paint_row(self, painter: QPainter, row: LayerRow, rect: QRectF) -> None:
        """The module, its histogram and its moments; or why there are none."""
        if row.parts:
            painter.fillRect(QRectF(rect.left(), rect.top(), 3, rect.height()), theme.color("attention"))
        where = columns(rect)
        self._paint_name(painter, row, where.name)
        if row.now is None and row.other is None:
            self._paint_words(painter, row, where.plot.united(where.figures))
        else:
            self._paint_plot(painter, row, where.plot)
            self._paint_figures(painter, row, where.figures)

    def words(self, row: LayerRow) -> str:
        """What is said where there is nothing to draw."""
        return row.words or (
            self.tr("not called") if not row.calls else self.tr("its output holds no tensor of numbers")
        )

    def warnings(self, row: LayerRow) -> str:
        """What asks for attention."""
        parts = [part for part in (row.now, row.other) if part is not None]
        said = [self.tr("the modes part here")] if row.parts else []
        if any(part.has_nan for part in parts):
            said.append(self.tr("NaN"))
        if any(part.has_infinite for part in parts):
            said.append(self.tr("infinite"))
        return ", ".join(said)

    def sampling(self, row: LayerRow) -> str:
        """How the moments and the histogram were got, where not from every value."""
        part = row.now or row.other
        if part is None or part.sampled >= part.count:
            return ""
        text = self.tr("sampled %1 of %2").replace("%1", numbers.count(part.sampled))
        return text.replace("%2", numbers.count(part.count))

    def sampling_fitting(self, row: LayerRow, room: float) -> str:
        """The same, or where that has no room, which share of the values was read."""
        part, text = row.now or row.other, self.sampling(row)
        if not text or part is None or QFontMetricsF(theme.font(11)).horizontalAdvance(text) <= room:
            return text
        return self.tr("sampled %1").replace("%1", numbers.percent(part.sampled / part.count))

    def kind(self, row: LayerRow) -> str:
        """Type, shape, and how often it was called."""
        if not row.calls:
            return row.type
        text = f"{row.type}   {numbers.shape(row.shape)}"
        return text if row.calls == 1 else text + self.tr(", %1 calls").replace("%1", numbers.count(row.calls))

    def _kind_fitting(self, row: LayerRow, metrics: QFontMetricsF, room: float) -> str:
        """The same, but in little room the calls give way, then the type: the shape is what is looked for."""
        shape = numbers.shape(row.shape)
        short = (self.kind(row), f"{row.type}   {shape}") if row.calls else ()
        whole = next((text for text in short if metrics.horizontalAdvance(text) <= room), None)
        if whole is not None or not row.calls:
            return whole or metrics.elidedText(row.type, Qt.TextElideMode.ElideRight, room)
        left = room - metrics.horizontalAdvance(f"   {shape}")
        if left < _LEAST_TYPE:
            return metrics.elidedText(shape, Qt.TextElideMode.ElideRight, room)
        return f"{metrics.elidedText(row.type, Qt.TextElideMode.ElideRight, left)}   {shape}"

    def _paint_name(self, painter: QPainter, row: LayerRow, box: QRectF) -> None:
        bold = theme.font(13, 500 if row.leaf else 400)
        name = fitted_path(row.path or row.name, QFontMetricsF(bold), box.width())
        painter.setFont(bold)
        painter.setPen(theme.color("text" if row.leaf else "text2"))
        painter.drawText(QRectF(box.left(), box.top() + 6, box.width(), 18), LEFT, name)
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("text3"))
        small = QFontMetricsF(theme.font(11))
        text = self._kind_fitting(row, small, box.width())
        painter.drawText(QRectF(box.left(), box.top() + 24, box.width(), 15), LEFT, text)
        warnings = self.warnings(row)
        if warnings:
            paint_sign(painter, QPointF(box.left() + 6, box.top() + 47), "warning")
            painter.setFont(theme.font(11, 500))
            painter.setPen(theme.color("attention"))
            metrics = QFontMetricsF(painter.font())
            text = metrics.elidedText(warnings, Qt.TextElideMode.ElideRight, box.width() - 16)
            painter.drawText(QRectF(box.left() + 16, box.top() + 39, box.width() - 16, 16), LEFT, text)

    def _paint_words(self, painter: QPainter, row: LayerRow, box: QRectF) -> None:
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text2"))
        flags = LEFT | Qt.TextFlag.TextWordWrap
        painter.drawText(box.adjusted(0, 4, 0, -4), flags, self.words(row))

    def _paint_plot(self, painter: QPainter, row: LayerRow, box: QRectF) -> None:
        if not any(part.counts.size for part in (row.now, row.other) if part is not None):
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text2"))
            painter.drawText(box, LEFT, self.tr("no finite value"))
            return
        area = QRectF(box.left(), box.top() + PLOT_TOP, box.width(), PLOT)
        low, high = self.shared or own_range(row)
        peaks = [density(part).max(initial=0.0) for part in (row.now, row.other) if part is not None]
        for part, mode in ((row.other, self.other_mode), (row.now, self.mode)):
            if part is not None:
                paint_histogram(painter, part, area, (low, high), max(peaks), paint.mark(mode))
        painter.setPen(paint.pen("edge"))
        painter.drawLine(QLineF(area.left(), area.bottom(), area.right(), area.bottom()))
        if low < 0 < high:
            zero = area.left() + (0 - low) / (high - low) * area.width()
            painter.drawLine(QLineF(zero, area.bottom(), zero, area.bottom() + 4))
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("text3"))
        under = QRectF(area.left(), area.bottom() + 2, area.width(), 14)
        painter.drawText(under, LEFT, _end(low))
        painter.drawText(under, RIGHT, _end(high))

    def _paint_figures(self, painter: QPainter, row: LayerRow, box: QRectF) -> None:
        top = box.top() + 6
        painter.setFont(theme.font(12))
        modes = [mode for part, mode in ((row.now, self.mode), (row.other, self.other_mode)) if part is not None]
        for text, mode in zip(figures(row), modes, strict=True):
            painter.setPen(theme.color(paint.words(mode)))
            painter.drawText(QRectF(box.left(), top, box.width(), 16), RIGHT, text)
            top += 16
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("text3"))
        painter.drawText(QRectF(box.left(), top + 1, box.width(), 14), RIGHT, self.sampling_fitting(row, box.width()))


def own_range(row: LayerRow) -> tuple[float, float]:
    """The range of a row: both modes on the same axis."""
    parts = [part for part in (row.now, row.other) if part is not None and part.counts.size]
    if not parts:
        return 0.0, 1.0
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    if high > low:
        return low, high
    reach = max(abs(low) * 0.1, 1e-6)
    return low - reach, low + reach


def density(spread: Spread) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Share of the values per unit of the axis, so that both modes' bins may differ."""
    total, width = spread.counts.sum(), (spread.high - spread.low) / max(1, spread.counts.size)
    return spread.counts / (total * (width or 1.0)) if total else spread.counts


def paint_histogram(
    painter: QPainter, spread: Spread, area: QRectF, across: tuple[float, float], peak: float, role: str
) -> None:
    """A step outline of the roots of the densities: a ReLU's zeros would hide everything else."""
    heights = np.sqrt(density(spread) / peak) * (area.height() - 2) if peak else np.zeros(spread.counts.size)
    edges = np.linspace(spread.low, spread.high, spread.counts.size + 1)
    xs = area.left() + (edges - across[0]) / (across[1] - across[0]) * area.width()
    if spread.high <= spread.low:
        middle = area.left() + (spread.low - across[0]) / (across[1] - across[0]) * area.width()
        xs = np.linspace(middle - 1.5, middle + 1.5, spread.counts.size + 1)
    path, inside = QPainterPath(), False
    for index, height in enumerate(heights):
        if spread.counts[index] > 0:
            y = area.bottom() - max(1.0, float(height))
            if not inside:
                path.moveTo(QPointF(float(xs[index]), area.bottom()))
            path.lineTo(QPointF(float(xs[index]), y))
            path.lineTo(QPointF(float(xs[index + 1]), y))
        elif inside:
            path.lineTo(QPointF(float(xs[index]), area.bottom()))
        inside = bool(spread.counts[index] > 0)
    if inside:
        path.lineTo(QPointF(float(xs[-1]), area.bottom()))
    painter.fillPath(path, paint.fill(role))
    painter.strokePath(path, paint.pen(role, 1.25))


def _end(value: float) -> str:
    text = numbers.figure(value, 2)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
