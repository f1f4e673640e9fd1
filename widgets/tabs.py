"""The tab bar of the pages: 36 high, the present page in 500 with a line of ink below it."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFocusEvent, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QTabBar, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import KeyboardFocus

LEAST, MOST = 14, 24
"""Logical pixels around the words of a tab, both sides together."""


class PageTabs(KeyboardFocus, QTabBar):
    """Tabs that keep their place and width whichever is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page-tabs")
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setUsesScrollButtons(True)
        self.setElideMode(Qt.TextElideMode.ElideNone)
        self.setFont(theme.font(13))
        self.setFixedHeight(36)

    def tabSizeHint(self, index: int) -> QSize:
        return QSize(self._words(index) + self._room(), 36)

    def _words(self, index: int) -> int:
        return round(QFontMetricsF(theme.font(13, 500)).horizontalAdvance(self.tabText(index)))

    def _room(self) -> int:
        """Around the words of a tab: less where the pane is too narrow for all tabs otherwise."""
        words = sum(self._words(index) for index in range(self.count()))
        return max(LEAST, min(MOST, (self.width() - words) // max(1, self.count())))

    def minimumTabSizeHint(self, index: int) -> QSize:
        return self.tabSizeHint(index)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.color("chrome"))
        painter.fillRect(0, self.height() - 1, self.width(), 1, theme.color("line"))
        for index in range(self.count()):
            self._paint_tab(painter, index, self.tabRect(index))

    def _paint_tab(self, painter: QPainter, index: int, place: QRect) -> None:
        chosen = index == self.currentIndex()
        painter.setFont(theme.font(13, 500 if chosen else 400))
        usable = self.isTabEnabled(index)
        painter.setPen(theme.color("text" if chosen else "text2" if usable else "text3"))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, self.tabText(index))
        if chosen:
            painter.fillRect(place.left(), self.height() - 2, place.width(), 2, theme.color("ink"))
            if self._by_keyboard:
                painter.setPen(theme.color("ink"))
                painter.drawRect(place.adjusted(3, 6, -4, -7))
