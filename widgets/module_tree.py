"""The tree of modules: lamps in a gutter at the left, a click on one asks for the other mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPersistentModelIndex, QPoint, QPointF, QRect, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QStyleOptionViewItem, QTreeView, QWidget

from modelight.widgets import numbers, theme
from modelight.widgets.lamp import LampState
from modelight.widgets.signs import paint_sign
from modelight.widgets.tree_delegate import LAMP_REACH, TreeDelegate
from modelight.widgets.tree_filter import TreeFilter
from modelight.widgets.tree_header import TreeHeader
from modelight.widgets.tree_menu import fill_menu
from modelight.widgets.tree_model import Column, Node, TreeModel, TreeRow, TreeState

_WIDTHS = {Column.MODE: 72, Column.EFFECT: 132, Column.PARAMETERS: 62, Column.REQUIRES_GRAD: 104, Column.SHAPE: 120}
_MODULE_LEAST, _MODULE_MOST = 120, 300
"""Between these the module column takes what its widest name needs; beyond, names are elided in the middle."""
_EFFECT_LEAST = 96
_SIGN_ROOM = 30
"""Beside a name: the margins of its cell and a sign."""
_WIDE = 720
"""From this width on the optional columns show by themselves."""
_EXPAND_UP_TO = 400
"""A network with at most so many rows opens unfolded."""


class ModuleTree(QTreeView):
    """Shows the modules of a network with their modes, and asks for changes; it never changes a mode by itself."""

    mode_requested = Signal(str, bool, bool)
    """(path, training, recursive)"""
    type_mode_requested = Signal(str, bool)
    """(class name, training): all modules of that class"""
    freeze_requested = Signal(str)
    """(path): normalisation layers of the subtree shall use running statistics"""
    requires_grad_requested = Signal(str, bool)
    """(path, value)"""
    own_train_requested = Signal(str, bool)
    """(path, training): call the module's own ``train``"""
    row_selected = Signal(str)
    """(path)"""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = TreeModel(self)
        self._filter = TreeFilter(self)
        self._filter.setSourceModel(self._model)
        self._pressed: QPersistentModelIndex | None = None
        self._keyboard = False
        self._chosen_columns = False
        self._name_room = _MODULE_LEAST
        self._effect_width = _WIDTHS[Column.EFFECT]
        self._figures_room = _WIDTHS[Column.PARAMETERS]
        self._empty = self.tr("Open a model to see its modules.")
        self.setModel(self._filter)
        self.setItemDelegate(TreeDelegate(self))
        self.setObjectName("module-tree")
        self.setAccessibleName(self.tr("Modules"))
        self._set_looks()
        self._set_header()
        self.selectionModel().currentRowChanged.connect(self._on_current_changed)

    def _set_looks(self) -> None:
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.setAnimated(False)
        self.setMouseTracking(True)
        self.setAllColumnsShowFocus(False)  # Fusion would draw a shaded frame over the whole row
        self.setExpandsOnDoubleClick(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setFrameShape(QTreeView.Shape.NoFrame)

    def _set_header(self) -> None:
        header = TreeHeader(self)
        self.setHeader(header)
        header.setSectionsMovable(False)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(40)
        header.moveSection(Column.MODE, 0)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(Column.MODE, QHeaderView.ResizeMode.Fixed)
        for column, width in _WIDTHS.items():
            header.resizeSection(column, width)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._on_header_menu)
        self.setTreePosition(Column.MODULE)
        self._show_optional(False)

    # -- what the window says -----------------------------------------------------------------------------------------

    def set_rows(self, rows: Sequence[TreeRow], states: Sequence[TreeState]) -> None:
        """Show another network, unfolded where it is not too large, with its first row selected."""
        self._model.set_rows(rows, states)
        self._filter.refresh()
        if len(rows) <= _EXPAND_UP_TO:
            self.expandAll()
        else:
            self.expandToDepth(0)
        self._measure(rows)
        self._fit_columns()
        if rows:
            self.select(rows[0].path)

    def update_states(self, states: Mapping[int, TreeState]) -> None:
        """Show new states by row index. Expansion, selection and scroll position stay."""
        self._model.store_states(states)
        self._announce()

    def set_pending(self, path: str, recursive: bool) -> None:
        """Show that a flag was asked for; the next ``update_states`` (also an empty one) ends it."""
        if self._model.node_of(path):
            self._model.store_pending(path, recursive)
            self._announce()

    def set_shapes(self, shapes: Mapping[int, str]) -> None:
        """Output shapes as text by row index, for the optional column."""
        self._model.store_shapes(shapes)
        if not self.isColumnHidden(Column.SHAPE):
            self._announce()

    def set_filter(self, text: str) -> None:
        """Show only rows that match, and the way up to them."""
        self._keep_current(lambda: self._filter.set_text(text))

    def set_only_reacting(self, only: bool) -> None:
        """Show only modules that react to mode, and the way up to them."""
        self._keep_current(lambda: self._filter.set_only_reacting(only))

    def matches(self) -> int:
        """How many rows match the filter by themselves."""
        return self._filter.matches()

    def set_empty_text(self, text: str) -> None:
        """What to say where there are no rows."""
        self._empty = text
        self.viewport().update()

    def select(self, path: str) -> None:
        """Make the module at ``path`` the current one and show it; nothing happens where there is none."""
        index = self._filter.mapFromSource(self._model.index_of(path))
        if index.isValid() and index != self.currentIndex():
            flags = QItemSelectionModel.SelectionFlag
            self.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self.scrollTo(index)

    def selected_path(self) -> str | None:
        """The current module's path; None where none is."""
        node = self._node(self.currentIndex())
        return node.row.path if node else None

    def lamp(self, path: str) -> LampState:
        """What the flags of a subtree come to; ``none`` where there is no such module or it has no flag."""
        node = self._model.node_of(path)
        return node.lamp if node else "none"

    def lamp_rect(self, path: str) -> QRect:
        """Where the lamp of a module takes clicks, in the viewport; empty where the row is not shown."""
        index = self._filter.mapFromSource(self._model.index_of(path, Column.MODE))
        rect = self.visualRect(index)
        return QRect(rect.left(), rect.top(), min(LAMP_REACH, rect.width()), rect.height())

    # -- asking -------------------------------------------------------------------------------------------------------

    def toggle(self, path: str, recursive: bool = True) -> None:
        """Ask for the other mode: of the subtree (a mixed one is asked to eval), or of the module alone."""
        node = self._model.node_of(path)
        if node is None or node.lamp == "none" or (not recursive and node.state.training is None):
            return
        training = node.lamp == "eval" if recursive else not node.state.training
        self.set_pending(path, recursive)
        self.mode_requested.emit(path, training, recursive)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and (index := self._lamp_at(event.position().toPoint())):
            self._pressed = QPersistentModelIndex(index)
            return
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            super().mouseReleaseEvent(event)
        elif (index := self._lamp_at(event.position().toPoint())) and index == pressed and (node := self._node(index)):
            self.toggle(node.row.path, not event.modifiers() & Qt.KeyboardModifier.AltModifier)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        # Two quick clicks on a lamp are two flips, never an unfolding.
        if self._lamp_at(event.position().toPoint()):
            self.mousePressEvent(event)
        else:
            super().mouseDoubleClickEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self._lamp_at(event.position().toPoint()) is not None
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)
        if self._pressed is None:
            super().mouseMoveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        path = self.selected_path()
        if event.key() == Qt.Key.Key_Space and path is not None:
            alone = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ShiftModifier
            self.toggle(path, not event.modifiers() & alone)
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        index = self.indexAt(event.pos()) if event.reason() == QContextMenuEvent.Reason.Mouse else self.currentIndex()
        if node := self._node(index):
            menu = self.context_menu(node.row.path)
            menu.exec(event.globalPos())
            menu.deleteLater()

    def context_menu(self, path: str) -> QMenu:
        """What can be done with the module at ``path``.

        Raises:
            KeyError: there is no such module.
        """
        node = self._model.node_of(path)
        if node is None:
            raise KeyError(path)
        menu = QMenu(self)
        fill_menu(menu, node, self)
        return menu

    # -- looks --------------------------------------------------------------------------------------------------------

    def drawRow(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row = option.rect
        super().drawRow(painter, option, index)
        if self._keyboard and self._node(index) is self._node(self.currentIndex()):
            painter.setPen(theme.color("ink"))
            painter.drawRect(QRect(0, row.top(), self.viewport().width() - 1, row.height() - 1))

    def drawBranches(self, painter: QPainter, rect: QRect, index: QModelIndex | QPersistentModelIndex) -> None:
        if self.selectionModel().isRowSelected(index.row(), index.parent()):
            painter.fillRect(rect, theme.color("selection"))
        if self.model().hasChildren(index):
            center = QPointF(rect.right() - 6.5, rect.center().y() + 0.5)
            paint_sign(painter, center, "chevron" if self.isExpanded(index) else "chevron-right")

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        text = self._empty if not self._model.nodes() else self.tr("No module matches.")
        if self.model().rowCount() == 0:
            painter = QPainter(self.viewport())
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text2"))
            room = self.viewport().rect().adjusted(16, 24, -16, -16)
            painter.drawText(room, Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap, text)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._keyboard = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._keyboard = False
        super().focusOutEvent(event)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not self._chosen_columns:
            self._show_optional(self.width() >= _WIDE)
        self._fit_columns()

    # -- within -------------------------------------------------------------------------------------------------------

    def _node(self, index: QModelIndex | QPersistentModelIndex) -> Node | None:
        return self._model.node(self._filter.mapToSource(index)) if index.isValid() else None

    def _lamp_at(self, position: QPoint) -> QModelIndex | None:
        index = self.indexAt(position)
        if index.isValid() and index.column() == Column.MODE:
            return index if position.x() - self.visualRect(index).left() < LAMP_REACH else None
        return None

    def _announce(self) -> None:
        """Say ``dataChanged`` for the rows that are in sight; the others are asked for their looks when they come."""
        shown, index = [], self.indexAt(QPoint(1, 1))
        bottom = self.viewport().height()
        while index.isValid() and self.visualRect(index).top() < bottom:
            shown.append(self._filter.mapToSource(index))
            index = self.indexBelow(index)
        self._model.announce(shown)

    def _keep_current(self, change: Callable[[], None]) -> None:
        path = self.selected_path()
        change()
        if self._filter.is_active():
            self.expandAll()
        if path is not None:
            self.select(path)

    def _measure(self, rows: Sequence[TreeRow]) -> None:
        """How wide the names and the numbers of parameters are."""
        depths: list[int] = []
        deepest: dict[str, int] = {}
        for row in rows:
            depths.append(depths[row.parent] + 1 if row.parent >= 0 else 0)
            deepest[row.name] = max(deepest.get(row.name, 0), depths[-1])
        names = QFontMetricsF(theme.font(13, 500))
        widest = max(
            (names.horizontalAdvance(name) + self.indentation() * (deepest[name] + 1) for name in deepest), default=0
        )
        self._name_room = min(max(round(widest) + _SIGN_ROOM, _MODULE_LEAST), _MODULE_MOST)
        most = numbers.count(max((row.parameters for row in rows), default=0))
        figures = round(QFontMetricsF(theme.font(12)).horizontalAdvance(most)) + 22
        self._figures_room = max(_WIDTHS[Column.PARAMETERS], figures)
        self.header().resizeSection(Column.PARAMETERS, self._figures_room)

    def _fit_columns(self) -> None:
        """The module column takes what the others leave. Where its names need more, the parameters go first, then the
        effects narrow, and then the view scrolls sideways: a lamp beside "…" tells nobody what it would flip."""
        header = self.header()
        room = self.viewport().width()
        left = room - header.sectionSize(Column.MODE) - self._name_room
        effect = header.sectionSize(Column.EFFECT)
        if given := effect == self._effect_width:  # else a person chose another
            effect = _WIDTHS[Column.EFFECT]
        if not self._chosen_columns:
            # Not the section's size: that of a hidden one is 0.
            self.setColumnHidden(Column.PARAMETERS, left - effect < self._figures_room)
        if given:
            self._effect_width = min(max(left, _EFFECT_LEAST), effect)
            header.resizeSection(Column.EFFECT, self._effect_width)
        shown = (column for column in Column if column != Column.MODULE and not self.isColumnHidden(column))
        taken = sum(header.sectionSize(column) for column in shown)
        header.resizeSection(Column.MODULE, max(self._name_room, room - taken))

    def _show_optional(self, show: bool) -> None:
        for column in (Column.REQUIRES_GRAD, Column.SHAPE):
            self.setColumnHidden(column, not show)

    def _on_header_menu(self, position: QPoint) -> None:
        menu = QMenu(self)
        for column in (Column.EFFECT, Column.PARAMETERS, Column.REQUIRES_GRAD, Column.SHAPE):
            title = self.model().headerData(column, Qt.Orientation.Horizontal)
            action = menu.addAction(title)
            action.setCheckable(True)
            action.setChecked(not self.isColumnHidden(column))
            action.toggled.connect(lambda shown, column=column: self._choose_column(column, shown))
        menu.exec(self.header().mapToGlobal(position))
        menu.deleteLater()

    def _choose_column(self, column: Column, shown: bool) -> None:
        self._chosen_columns = True
        self.setColumnHidden(column, not shown)
        self._fit_columns()

    def _on_current_changed(self, current: QModelIndex) -> None:
        if node := self._node(current):
            self.row_selected.emit(node.row.path)
