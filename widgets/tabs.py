"""The tab bar of the pages: 36 high, the present page in 500 with a line of ink below it.

Where not all tabs have room, the last ones stand in the menu *More*: scrolling would hide even their names.
"""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFocusEvent, QFontMetricsF, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QMenu, QTabBar, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import KeyboardFocus
from modelight.widgets.sections import MenuButton

LEAST, MOST = 14, 24
"""Logical pixels around the words of a tab, both sides together."""


class PageTabs(KeyboardFocus, QTabBar):
    """Tabs that keep their place and width whichever is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page-tabs")
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setUsesScrollButtons(False)
        self.setElideMode(Qt.TextElideMode.ElideNone)
        self.setFont(theme.font(13))
        self.setFixedHeight(36)
        self.more = MenuButton(13, 400, "text2")
        self.more.setParent(self)
        self.more.setText(self.tr("More"))
        self.more.set_choices(self._fill_more)
        self.more.hide()
        self.currentChanged.connect(self._fit)

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

    def minimumSizeHint(self) -> QSize:
        return QSize(self.more.sizeHint().width() + 120, 36)  # one tab, and the menu of all others

    def setCurrentIndex(self, index: int) -> None:
        if 0 <= index < self.count():
            self._set_visible(index, True)  # Qt would choose a neighbour of a tab that is not shown
        super().setCurrentIndex(index)

    def shown(self) -> list[int]:
        """The tabs that have room, from the first on; the present one takes the place of the last of them."""
        widths = [self.tabSizeHint(index).width() for index in range(self.count())]
        if sum(widths) <= self.width():
            return list(range(self.count()))
        chosen = self.currentIndex()
        room = self.width() - self.more.sizeHint().width() - MOST
        others = [index for index in range(self.count()) if index != chosen]
        taken = widths[chosen] if chosen >= 0 else 0
        shown = [] if chosen < 0 else [chosen]
        for index in others:
            if taken + widths[index] > room:
                break
            taken += widths[index]
            shown.append(index)
        return sorted(shown)

    def tabInserted(self, index: int) -> None:
        super().tabInserted(index)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _set_visible(self, index: int, visible: bool) -> None:
        if self.isTabVisible(index) != visible:
            self.setTabVisible(index, visible)
            self.tabRect(index)  # lays the tabs out now: a call that changes nothing would have Qt forget to

    def _fit(self) -> None:
        shown = self.shown()
        for index in [*shown, *(set(range(self.count())) - set(shown))]:
            self._set_visible(index, index in shown)
        self.more.setVisible(len(shown) < self.count())
        size = self.more.sizeHint()
        self.more.setGeometry(self.width() - size.width() - 8, (36 - size.height()) // 2, size.width(), size.height())

    def _fill_more(self, menu: QMenu) -> None:
        for index in range(self.count()):
            if not self.isTabVisible(index):
                action = menu.addAction(self.tabText(index))
                action.setEnabled(self.isTabEnabled(index))
                action.triggered.connect(lambda _, index=index: self.setCurrentIndex(index))

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.color("chrome"))
        painter.fillRect(0, self.height() - 1, self.width(), 1, theme.color("line"))
        for index in range(self.count()):
            if self.isTabVisible(index):
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
