"""The layers of the re-estimation panel: how far each layer's input lies from its statistics, now and with new ones."""

from __future__ import annotations

from PySide6.QtCore import QLineF, QModelIndex, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter

from modelight.widgets import numbers, paint, theme
from modelight.widgets.paths import fitted_path
from modelight.widgets.reestimate_data import NormChange
from modelight.widgets.row_list import LEFT, RIGHT, ROW_ROLE, RowDelegate, RowList, RowModel
from modelight.widgets.sections import MARGIN

_FIGURES = 150.0


class ChangeModel(RowModel[NormChange]):
    """The layers."""


class ChangeDelegate(RowDelegate):
    """Paints one layer: a ring where its drift is now, a disc where it would be, on an axis from 0 to ``top``."""

    HEIGHT = 38

    def __init__(self) -> None:
        super().__init__()
        self.top = 1.0

    def figures(self, row: NormChange) -> str:
        """The largest drift now and with new statistics."""
        text = self.tr("%1 → %2 σ").replace("%1", _drift(row.largest_now))
        return text.replace("%2", _drift(row.largest_new))

    def paint_row(self, painter: QPainter, row: NormChange, rect: QRectF) -> None:
        """The name, the axis and the figures; of a layer that is kept, why."""
        inner = rect.adjusted(MARGIN, 0, -MARGIN, 0)
        axis = min(240.0, inner.width() * 0.34)
        name = QRectF(inner.left(), rect.top(), inner.width() - axis - _FIGURES - 24, rect.height())
        plot = QRectF(name.right() + 12, rect.top(), axis, rect.height())
        self._paint_name(painter, row, name)
        if row.kept:
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text2"))
            box = QRectF(plot.left(), rect.top(), inner.right() - plot.left(), rect.height())
            text = QFontMetricsF(painter.font()).elidedText(row.kept, Qt.TextElideMode.ElideRight, box.width())
            painter.drawText(box, LEFT, text)
        else:
            self._paint_drift(painter, row, plot)
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text"))
            painter.drawText(
                QRectF(inner.right() - _FIGURES, rect.top(), _FIGURES, rect.height()), RIGHT, self.figures(row)
            )

    def _paint_name(self, painter: QPainter, row: NormChange, box: QRectF) -> None:
        bold, small = theme.font(13, 500), theme.font(11)
        metrics = QFontMetricsF(bold)
        path = fitted_path(row.path, metrics, box.width())
        painter.setFont(bold)
        painter.setPen(theme.color("text"))
        painter.drawText(box, LEFT, path)
        used = metrics.horizontalAdvance(path) + 8
        if box.width() - used > 40:
            painter.setFont(small)
            painter.setPen(theme.color("text3"))
            rest = QRectF(box.left() + used, box.top(), box.width() - used, box.height())
            painter.drawText(
                rest, LEFT, QFontMetricsF(small).elidedText(row.type, Qt.TextElideMode.ElideRight, rest.width())
            )

    def _paint_drift(self, painter: QPainter, row: NormChange, box: QRectF) -> None:
        middle, left = box.center().y(), box.left() + 5
        painter.setPen(paint.pen("edge"))
        painter.drawLine(QLineF(left, box.top() + 6, left, box.bottom() - 7))
        ends = [value for value in (row.largest_now, row.largest_new) if value is not None]
        xs = [left + value / self.top * (box.width() - 10) for value in ends]
        painter.setPen(paint.pen("line"))
        painter.drawLine(QLineF(left, middle, box.right() - 5, middle))
        if len(xs) == 2:
            painter.setPen(paint.pen("edge", 1.5))
            painter.drawLine(QLineF(xs[0], middle, xs[1], middle))
        if row.largest_now is not None:
            painter.setBrush(theme.color("surface"))
            painter.setPen(paint.pen("text", 1.5))
            painter.drawEllipse(QPointF(xs[0], middle), 4, 4)
        if row.largest_new is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("eval_mark"))
            painter.drawEllipse(QPointF(xs[-1], middle), 4, 4)


def _drift(value: float | None) -> str:
    """Less than a thousandth of a deviation decides nothing."""
    return "<0.001" if value is not None and 0 < value < 0.001 else numbers.figure(value, 2)


class ChangeList(RowList):
    """The layers; ``chosen`` tells which one is selected."""

    chosen = Signal(object)
    """:class:`NormChange`"""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(self.tr("Drift of each layer"))
        self.rows, self.painter = ChangeModel(), ChangeDelegate()
        self.setModel(self.rows)
        self.setItemDelegate(self.painter)
        self.selectionModel().currentChanged.connect(self._on_current)

    def set_rows(self, rows: tuple[NormChange, ...]) -> None:
        """Show these, the one that drifts most selected."""
        drifts = [value for one in rows for value in (one.largest_now, one.largest_new) if value is not None]
        self.painter.top = max(drifts, default=0.0) or 1.0
        self.rows.set_rows(rows)
        if rows:
            worst = max(range(len(rows)), key=lambda index: (not rows[index].kept, rows[index].largest_now or 0.0))
            self.setCurrentIndex(self.rows.index(worst))

    def _on_current(self, index: QModelIndex) -> None:
        if index.isValid():
            self.chosen.emit(index.data(ROW_ROLE))
