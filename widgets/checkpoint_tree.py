"""The tree of a checkpoint: modules and their tensors, with kind, shape, dtype, size and marks."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from modelight.widgets import theme
from modelight.widgets.checkpoint_data import CheckpointRow
from modelight.widgets.lamp import paint_lamp
from modelight.widgets.signs import paint_sign

Index = QModelIndex | QPersistentModelIndex

ROW_HEIGHT = 26
_EXPAND_UP_TO = 400
"""A tree of at most so many rows opens unfolded."""
_PAD = 6
_LAMP = 16
_SIGN = 18
"""What the sign before a mark takes."""


class Column(IntEnum):
    """Columns of the table."""

    NAME = 0
    KIND = 1
    SHAPE = 2
    DTYPE = 3
    SIZE = 4
    MARKS = 5
    DIFFERENCE = 6


_NAME, _NAME_WIDE, _WIDE = 168, 260, 760
"""Width of the names, and the most that they get in a table at least so wide."""
_MOST = {Column.SHAPE: 132, Column.DTYPE: 84, Column.SIZE: 72, Column.DIFFERENCE: 200}
"""Columns as wide as what stands in them, up to so many logical pixels."""
_GIVING_WAY = (Column.DTYPE, Column.KIND)
_LEAST = 48
_KIND_LEAST = 170
_MEASURED = 2000
"""Rows whose texts are measured for that."""
DISPLAY = int(Qt.ItemDataRole.DisplayRole)
TOOLTIP = int(Qt.ItemDataRole.ToolTipRole)
ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)
ROW = int(Qt.ItemDataRole.UserRole)
"""The :class:`CheckpointRow`, for the delegate."""
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class CheckpointModel(QAbstractItemModel):
    """The rows as a tree. It never changes once it is filled, so there is a reset and nothing finer."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: Sequence[CheckpointRow] = ()
        self._children: list[list[int]] = []
        self._places: list[int] = []
        self._roots: list[int] = []

    def set_rows(self, rows: Sequence[CheckpointRow]) -> None:
        """Show another checkpoint."""
        self.beginResetModel()
        self._rows, self._roots = rows, []
        self._children = [[] for _ in rows]
        self._places = []
        for number, row in enumerate(rows):
            siblings = self._children[row.parent] if row.parent >= 0 else self._roots
            self._places.append(len(siblings))
            siblings.append(number)
        self.endResetModel()

    def row(self, index: Index) -> CheckpointRow:
        """The row behind a valid index."""
        return self._rows[index.internalId()]

    def index_of(self, key: str) -> QModelIndex:
        """The index of a tensor; invalid where there is none."""
        for number, row in enumerate(self._rows):
            if row.key and row.key == key:
                return self.createIndex(self._places[number], 0, number)
        return QModelIndex()

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008 - Qt's own default
        siblings = self._children[parent.internalId()] if parent.isValid() else self._roots
        if not (0 <= row < len(siblings) and 0 <= column < len(Column)) or parent.column() > 0:
            return QModelIndex()
        return self.createIndex(row, column, siblings[row])

    def parent(self, index: Index = QModelIndex()) -> Any:  # noqa: B008
        above = self.row(index).parent if index.isValid() else -1
        return self.createIndex(self._places[above], 0, above) if above >= 0 else QModelIndex()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        if not parent.isValid():
            return len(self._roots)
        return len(self._children[parent.internalId()]) if parent.column() == 0 else 0

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return len(Column)

    def data(self, index: Index, role: int = DISPLAY) -> Any:
        if not index.isValid():
            return None
        row = self.row(index)
        if role == ROW:
            return row
        if role in (DISPLAY, ACCESSIBLE):
            return _texts(row)[index.column()]
        if role == TOOLTIP:
            return "\n".join(text for text in (row.key or row.name, *_texts(row)[1:]) if text)
        if role == ALIGNMENT and index.column() == Column.SIZE:
            return int(_RIGHT)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = DISPLAY) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == ALIGNMENT:
            return int(_RIGHT if section == Column.SIZE else _LEFT)
        if role != DISPLAY:
            return None
        return self._titles()[section]

    def _titles(self) -> tuple[str, ...]:
        return (
            self.tr("Name"),
            self.tr("Kind"),
            self.tr("Shape"),
            "dtype",
            self.tr("Size"),
            self.tr("Marks"),
            self.tr("Difference"),
        )


def _texts(row: CheckpointRow) -> tuple[str, ...]:
    return row.name, row.kind, row.shape, row.dtype, row.size, row.marks or row.note, row.difference


class CheckpointDelegate(QStyledItemDelegate):
    """Paints cells; the view paints the ground of the row."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(60, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: CheckpointRow = index.data(ROW)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, theme.color("selection"))
        room = QRectF(option.rect).adjusted(_PAD, 0, -_PAD, 0)
        column = index.column()
        if column == Column.NAME:
            view = option.widget
            with_kind = isinstance(view, QTreeView) and view.isColumnHidden(Column.KIND)
            self._paint_name(painter, room, row, with_kind)
        elif column == Column.MARKS and row.marks:
            paint_sign(painter, QPointF(room.left() + 6, room.center().y()), "critical")
            self._write(painter, room.adjusted(_SIGN, 0, 0, 0), row.marks, 12, 500, "attention")
        elif column == Column.DIFFERENCE:
            self._write(
                painter, room, row.difference, 12, 500 if row.differs else 400, "text" if row.differs else "text3"
            )
        elif column == Column.SIZE:
            self._write(painter, room, row.size, 12, 400, "text2", _RIGHT)
        else:
            tone = "text3" if column in (Column.DTYPE, Column.MARKS) or (row.key and column == Column.KIND) else "text2"
            self._write(painter, room, _texts(row)[column], 12, 400, tone)

    def _paint_name(self, painter: QPainter, room: QRectF, row: CheckpointRow, with_kind: bool) -> None:
        room = room.adjusted(-_PAD + 4, 0, 0, 0)
        if row.mode is not None:
            paint_lamp(painter, QPointF(room.left() + 6, room.center().y()), row.mode, False)
            room.setLeft(room.left() + _LAMP)
        tone, weight = ("text2", 400) if row.key else ("text", 500)
        self._write(painter, room, row.name, 13, weight, tone, elide=Qt.TextElideMode.ElideMiddle)
        used = QFontMetricsF(theme.font(13, weight)).horizontalAdvance(row.name) + _PAD
        if with_kind and not row.key and room.width() - used > _LEAST:
            self._write(painter, room.adjusted(used, 0, 0, 0), row.kind, 12, 400, "text3")

    @staticmethod
    def _write(
        painter: QPainter,
        room: QRectF,
        text: str,
        size: int,
        weight: int,
        tone: str,
        align: Qt.AlignmentFlag = _LEFT,
        elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        face = theme.font(size, weight)
        painter.setFont(face)
        painter.setPen(theme.color(tone))
        painter.drawText(room, align, QFontMetricsF(face).elidedText(text, elide, room.width()))


class CheckpointTree(QTreeView):
    """Shows the rows; says which tensor or module is looked at."""

    row_selected = Signal(object)
    """The :class:`CheckpointRow`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = CheckpointModel(self)
        self._widths = dict.fromkeys(Column, _LEAST)
        self._name_width = _NAME
        self._pressed = self._hidden = False
        self.setModel(self._model)
        self.setItemDelegate(CheckpointDelegate(self))
        self.setObjectName("checkpoint-tree")
        self.setAccessibleName(self.tr("Modules and tensors of the checkpoint"))
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.setAnimated(False)
        self.setAllColumnsShowFocus(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setFrameShape(QTreeView.Shape.NoFrame)
        self._set_header()
        self.selectionModel().currentRowChanged.connect(self._on_current_changed)

    def _set_header(self) -> None:
        header = self.header()
        header.setFont(theme.font(11, 500))
        header.setFixedHeight(24)
        header.setSectionsMovable(False)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(40)
        header.setSectionResizeMode(Column.MARKS, QHeaderView.ResizeMode.Stretch)

    def set_rows(self, rows: Sequence[CheckpointRow]) -> None:
        """Show another checkpoint, unfolded where it is not too large."""
        self._model.set_rows(rows)
        self._name_width = self._names(rows[:_MEASURED])
        self.setColumnHidden(Column.DIFFERENCE, not any(row.difference for row in rows))
        self._measure(rows[:_MEASURED])
        if len(rows) <= _EXPAND_UP_TO:
            self.expandAll()
        else:
            self.expandToDepth(0)

    def _names(self, rows: Sequence[CheckpointRow]) -> int:
        """What the names need, with their indentation, up to a limit."""
        metrics = QFontMetricsF(theme.font(13, 500))
        depths: list[int] = []
        widest = 0.0
        for row in rows:
            depths.append(depths[row.parent] + 1 if row.parent >= 0 else 1)
            lamp = _LAMP if row.mode is not None else 0
            widest = max(widest, depths[-1] * self.indentation() + lamp + metrics.horizontalAdvance(row.name))
        return max(_NAME, min(_NAME_WIDE, round(widest) + 3 * _PAD))

    def _measure(self, rows: Sequence[CheckpointRow]) -> None:
        metrics = QFontMetricsF(theme.font(12, 500))
        for column in Column:
            texts = {_texts(row)[column] for row in rows}
            width = max((metrics.horizontalAdvance(text) for text in texts), default=0.0) + 2 * _PAD + 2
            self._widths[column] = max(_LEAST, round(width))
        for column, most in _MOST.items():
            self.header().resizeSection(column, min(most, self._widths[column]))
        self._share()

    def _share(self) -> None:
        """Kinds get what they need where marks need less than the rest; else marks give way: the sign stays.

        Where not all columns fit, the dtype goes first (the selected tensor says it), then the kind, which moves
        behind the name.
        """
        header, width = self.header(), self.viewport().width()
        for column in _GIVING_WAY:
            self.setColumnHidden(column, False)
        header.resizeSection(Column.NAME, self._name_width if width >= _WIDE else _NAME)
        for column in _GIVING_WAY:
            if self._taken() + _KIND_LEAST * (not self.isColumnHidden(Column.KIND)) + _LEAST > width:
                self.setColumnHidden(column, True)
        rest = width - self._taken() - self._widths[Column.MARKS] - _SIGN
        if self.isColumnHidden(Column.KIND):
            header.resizeSection(Column.NAME, max(_NAME, min(_NAME_WIDE, _NAME + rest)))
        else:
            header.resizeSection(Column.KIND, min(self._widths[Column.KIND], max(_KIND_LEAST, rest)))

    def _taken(self) -> int:
        """Width of all columns but the kind and the marks."""
        return sum(self.header().sectionSize(column) for column in (Column.NAME, *_MOST))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share()
        current = self.currentIndex()
        if current.isValid() and 0 <= self.visualRect(current).top() < event.oldSize().height():
            self._keep_in_sight()  # when its values need room below

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed = True
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._pressed = False
        super().mouseReleaseEvent(event)
        if self._hidden:
            self._keep_in_sight()

    def _keep_in_sight(self) -> None:
        """Scroll to what is looked at, though not while the button is down: the click would meet another row."""
        self._hidden = self._pressed
        if not self._pressed:
            self.scrollTo(self.currentIndex())

    def select(self, key: str) -> None:
        """Make a tensor the current row; nothing happens where there is none."""
        index = self._model.index_of(key)
        if index.isValid():
            self.setCurrentIndex(index)
            self.scrollTo(index)

    def drawBranches(self, painter: QPainter, rect: Any, index: Index) -> None:
        if self.selectionModel().isRowSelected(index.row(), index.parent()):
            painter.fillRect(rect, theme.color("selection"))
        if self.model().hasChildren(index):
            center = QPointF(rect.right() - 6.5, rect.center().y() + 0.5)
            paint_sign(painter, center, "chevron" if self.isExpanded(index) else "chevron-right")

    def _on_current_changed(self, current: QModelIndex) -> None:
        if current.isValid():
            self.row_selected.emit(self._model.row(current))
