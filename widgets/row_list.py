"""Lists of modules and tensors, a painted row for each: what all such lists share."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from modelight.widgets import theme
from modelight.widgets.sections import MARGIN

ROW_ROLE = Qt.ItemDataRole.UserRole + 1
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class Named(Protocol):
    """What a row is at least."""

    @property
    def path(self) -> str: ...


R = TypeVar("R", bound=Named)


class RowModel(QAbstractListModel, Generic[R]):
    """The rows; new figures for the same ones keep scroll and selection."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[R, ...] = ()

    def set_rows(self, rows: tuple[R, ...]) -> None:
        """Show these."""
        if rows and [one.path for one in rows] == [one.path for one in self._rows]:
            self._rows = rows
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def rows(self) -> tuple[R, ...]:
        """What is shown."""
        return self._rows

    def title(self, row: R) -> str:
        """How a row is called; the root of a model has no path."""
        return row.path or str(getattr(row, "name", ""))

    def kind(self, row: R) -> str:
        """What stands under the title in the tooltip."""
        return str(getattr(row, "type", ""))

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == ROW_ROLE:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.title(row)
        return f"{self.title(row)}\n{self.kind(row)}" if role == Qt.ItemDataRole.ToolTipRole else None


class RowDelegate(QStyledItemDelegate):
    """Paints ground and hairline; :meth:`paint_row` of a subclass paints what is on them."""

    HEIGHT = 46

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(400, self.HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        rect = QRectF(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.fillRect(rect, theme.color("selection" if chosen else "surface"))
        line = QRectF(rect.left() + MARGIN, rect.bottom() - 1, rect.width() - 2 * MARGIN, 1)
        painter.fillRect(line, theme.color("line"))
        self.paint_row(painter, index.data(ROW_ROLE), rect)
        painter.restore()

    def paint_row(self, painter: QPainter, row: Any, rect: QRectF) -> None:
        """Paint a row into its rectangle."""
        raise NotImplementedError


class RowList(QListView):
    """Rows of one height that scroll by pixels; they are as wide as the list."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setUniformItemSizes(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
