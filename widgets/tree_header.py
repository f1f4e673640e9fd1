"""The header of the module tree: 24 logical pixels of words in 11/500, and 4 of air before the first row."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHeaderView, QWidget

from modelight.widgets import theme
from modelight.widgets.tree_model import Column

_HEIGHT = 24
_AIR = 4


class TreeHeader(QHeaderView):
    """Paints itself: a style sheet cannot give each column the margin of what stands below it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFont(theme.font(11, 500))
        self.setFixedHeight(_HEIGHT + _AIR)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), _HEIGHT + _AIR)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        width = self.viewport().width()
        painter.fillRect(0, 0, width, _HEIGHT, theme.color("sunken"))
        painter.fillRect(0, _HEIGHT - 1, width, 1, theme.color("line"))
        painter.fillRect(0, _HEIGHT, width, _AIR, theme.color("surface"))
        painter.setFont(theme.font(11, 500))
        painter.setPen(theme.color("text2"))
        for section in range(self.count()):
            if not self.isSectionHidden(section):
                self._paint_title(painter, section)

    def _paint_title(self, painter: QPainter, section: int) -> None:
        left = 12 if section == Column.MODE else 6 if section == Column.MODULE else 4
        right = 14 if section == Column.PARAMETERS else 4
        at_right = section == Column.PARAMETERS
        align = Qt.AlignmentFlag.AlignRight if at_right else Qt.AlignmentFlag.AlignLeft
        room = QRect(self.sectionViewportPosition(section), 0, self.sectionSize(section), _HEIGHT - 1)
        title = self.model().headerData(section, Qt.Orientation.Horizontal)
        text = painter.fontMetrics().elidedText(title, Qt.TextElideMode.ElideRight, room.width() - left - right)
        painter.drawText(room.adjusted(left, 0, -right, 0), align | Qt.AlignmentFlag.AlignVCenter, text)
