"""The left pane: a filter line, the tree of modules, and at its foot what the selected one is set to."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import CheckBox
from modelight.widgets.labels import hairline
from modelight.widgets.module_tree import ModuleTree
from modelight.widgets.selection_pane import SelectionPane
from modelight.widgets.signs import paint_sign


class _SearchSign(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(14, 14)

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_sign(QPainter(self), QPointF(7, 7), "search")


class FilterLine(QLineEdit):
    """What to filter by; Escape empties it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("filter")
        self.setProperty("bare", True)
        self.setFont(theme.font(13))
        self.setPlaceholderText(self.tr("Filter modules"))
        self.setAccessibleName(self.tr("Filter modules"))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)


class TreePane(QWidget):
    """Filter line, tree and selection, 448 logical pixels wide unless told otherwise."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tree = ModuleTree()
        self.selection = SelectionPane()
        self.filter = FilterLine()
        self.only_reacting = CheckBox(self.tr("Only layers that react"))
        self.only_reacting.setObjectName("only-reacting")
        self.setProperty("ground", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._head())
        column.addWidget(hairline())
        column.addWidget(self.tree, 1)
        column.addWidget(hairline())
        column.addWidget(self.selection)
        self.filter.textChanged.connect(self.tree.set_filter)
        self.only_reacting.toggled.connect(self.tree.set_only_reacting)

    def sizeHint(self) -> QSize:
        return QSize(448, 600)

    def _head(self) -> QWidget:
        head = QWidget()
        head.setFixedHeight(35)
        row = QHBoxLayout(head)
        row.setContentsMargins(11, 1, 12, 0)
        row.setSpacing(7)
        row.addWidget(_SearchSign())
        row.addWidget(self.filter, 1)
        row.addWidget(self.only_reacting)
        return head
