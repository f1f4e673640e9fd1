"""The layers of the re-estimation panel: how far each layer's input lies from its statistics, now and with new ones."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QLineF,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetricsF, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from modelight.widgets import numbers, paint, theme
from modelight.widgets.reestimate_data import NormChange
from modelight.widgets.sections import MARGIN

ROW_ROLE = Qt.ItemDataRole.UserRole + 1
HEIGHT = 38
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_FIGURES = 150.0


class ChangeModel(QAbstractListModel):
    """The layers."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[NormChange, ...] = ()

    def set_rows(self, rows: tuple[NormChange, ...]) -> None:
        """Show these."""
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        one = self._rows[index.row()]
        if role == ROW_ROLE:
            return one
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return one.path
        return f"{one.path}\n{one.type}" if role == Qt.ItemDataRole.ToolTipRole else None


class ChangeDelegate(QStyledItemDelegate):
    """Paints one layer: a ring where its drift is now, a disc where it would be, on an axis from 0 to ``top``."""

    def __init__(self) -> None:
        super().__init__()
        self.top = 1.0

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(400, HEIGHT)

    def figures(self, row: NormChange) -> str:
        """The largest drift now and with new statistics."""
        text = self.tr("%1 → %2 σ").replace("%1", _drift(row.largest_now))
        return text.replace("%2", _drift(row.largest_new))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row: NormChange = index.data(ROW_ROLE)
        rect = QRectF(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.fillRect(rect, theme.color("selection" if chosen else "surface"))
        inner = rect.adjusted(MARGIN, 0, -MARGIN, 0)
        painter.fillRect(QRectF(inner.left(), rect.bottom() - 1, inner.width(), 1), theme.color("line"))
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
        painter.restore()

    def _paint_name(self, painter: QPainter, row: NormChange, box: QRectF) -> None:
        bold, small = theme.font(13, 500), theme.font(11)
        metrics = QFontMetricsF(bold)
        path = metrics.elidedText(row.path, Qt.TextElideMode.ElideMiddle, box.width())
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


class ChangeList(QListView):
    """The layers; ``chosen`` tells which one is selected."""

    chosen = Signal(object)
    """:class:`NormChange`"""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.painter = ChangeModel(), ChangeDelegate()
        self.setModel(self.rows)
        self.setItemDelegate(self.painter)
        self.setUniformItemSizes(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(self.tr("Drift of each layer"))
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
