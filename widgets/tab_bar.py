"""The row of pages: words on chrome, the open one in ink with a line below."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, Qt
from PySide6.QtWidgets import QTabBar, QWidget

from modelight.widgets import theme

HEIGHT = 36
PADDING = 12


class TabBar(QTabBar):
    """A QTabBar of 36 logical pixels that paints itself. A tab's data is the page's name."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setUsesScrollButtons(True)
        self.setElideMode(Qt.TextElideMode.ElideNone)
        self.setFont(theme.font(13))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def add_page(self, name: str, title: str) -> None:
        """Add a tab for the page ``name``."""
        self.setTabData(self.addTab(title), name)

    def page(self) -> str:
        """Name of the open page."""
        return str(self.tabData(self.currentIndex()))

    def set_page(self, name: str) -> None:
        """Open the page ``name``; an unknown name changes nothing."""
        for index in range(self.count()):
            if self.tabData(index) == name:
                self.setCurrentIndex(index)

    def tabSizeHint(self, index: int) -> QSize:
        metrics = QFontMetricsF(theme.font(13, 500))
        return QSize(round(metrics.horizontalAdvance(self.tabText(index))) + 2 * PADDING, HEIGHT)

    def minimumTabSizeHint(self, index: int) -> QSize:
        return self.tabSizeHint(index)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        for index in range(self.count()):
            self._paint_tab(painter, index)

    def _paint_tab(self, painter: QPainter, index: int) -> None:
        frame = QRectF(self.tabRect(index))
        current = index == self.currentIndex()
        painter.setFont(theme.font(13, 500 if current else 400))
        painter.setPen(theme.color("text" if current else "text2"))
        painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, self.tabText(index))
        if current:
            line = QRectF(frame.left() + PADDING - 4, frame.bottom() - 2, frame.width() - 2 * PADDING + 8, 2)
            painter.fillRect(line, theme.color("ink"))
            if self.hasFocus():
                painter.drawRoundedRect(frame.adjusted(4.5, 6.5, -4.5, -6.5), 4, 4)
