"""The overview of the Statistics page: a card per normalisation layer with its drift as a heat strip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QWidget

from modelight.widgets import numbers, paint, theme
from modelight.widgets.counted import counted
from modelight.widgets.lamp import paint_lamp
from modelight.widgets.paths import fitted_path
from modelight.widgets.statistics_data import NormCard

HEIGHT, GAP, LEAST, PAD = 70, 8, 188, 12
FAINTEST = 0.06
"""A heat strip is one hue from 6 to 100 %."""


def heat_strip(painter: QPainter, box: QRectF, drift: NDArray[np.float64], scale: float) -> None:
    """Drift per channel, largest first, in the hue of attention; ``scale`` is where it is full."""
    finite = np.sort(drift[np.isfinite(drift)])[::-1]
    if not finite.size:
        return
    count = min(finite.size, max(1, int(box.width() // 3)))
    values = np.array([part.max() for part in np.array_split(finite, count)])
    width = box.width() / count
    gap = 1.0 if width >= 4 else 0.0
    for index, value in enumerate(values):
        alpha = FAINTEST + (1 - FAINTEST) * min(1.0, float(value) / scale)
        painter.fillRect(
            QRectF(box.left() + index * width, box.top(), width - gap, box.height()), paint.color("attention", alpha)
        )


class NormCards(QWidget):
    """All cards in rows; a click or the arrow keys select one."""

    selected = Signal(str)
    """The path of the layer."""

    def __init__(self) -> None:
        super().__init__()
        self._cards: tuple[NormCard, ...] = ()
        self._path: str | None = None
        self._by_keyboard = False
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def set_data(self, cards: tuple[NormCard, ...], path: str | None) -> None:
        """``path`` is the selected layer's."""
        self._cards, self._path = cards, path
        self.setAccessibleName("; ".join(f"{card.path}: {self.words(card)}" for card in cards))
        self._fit()
        self.update()

    def words(self, card: NormCard) -> str:
        """The line under the strip."""
        if card.bad:
            return counted(card.bad, self.tr("%1 channel is broken"), self.tr("%1 channels are broken"))
        if card.largest is not None:
            return self.tr("largest drift %1 σ").replace("%1", sigma(card.largest))
        return card.words or self.tr("Keeps no running statistics.")

    def frame_of(self, index: int) -> QRectF:
        """Where a card stands."""
        columns = self._columns()
        width = (self.width() - GAP * (columns - 1)) / columns
        return QRectF((index % columns) * (width + GAP), (index // columns) * (HEIGHT + GAP), width, HEIGHT)

    def selected_frame(self) -> QRectF | None:
        """Where the selected card stands."""
        paths = [card.path for card in self._cards]
        return self.frame_of(paths.index(self._path)) if self._path in paths else None

    def rows(self) -> int:
        """How many rows of cards there are."""
        return -(-len(self._cards) // self._columns())

    def sizeHint(self) -> QSize:
        return QSize(600, self.height())

    def _columns(self) -> int:
        return max(1, min(len(self._cards) or 1, (self.width() + GAP) // (LEAST + GAP), 6))

    def _fit(self) -> None:
        self.setFixedHeight(max(1, self.rows() * (HEIGHT + GAP) - GAP))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._by_keyboard = False
        for index, card in enumerate(self._cards):
            if self.frame_of(index).contains(event.position()) and event.button() == Qt.MouseButton.LeftButton:
                self.selected.emit(card.path)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        columns = self._columns()
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -columns, Qt.Key.Key_Down: columns}
        step = steps.get(Qt.Key(event.key()))
        if step is None or not self._cards:
            super().keyPressEvent(event)
            return
        self._by_keyboard = True
        paths = [card.path for card in self._cards]
        now = paths.index(self._path) if self._path in paths else 0
        self.selected.emit(paths[min(max(now + step, 0), len(paths) - 1)])

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        scale = max([1.0, *(card.largest for card in self._cards if card.largest is not None)])
        for index, card in enumerate(self._cards):
            frame = self.frame_of(index)
            if frame.intersects(QRectF(event.rect())):
                self._paint_card(painter, card, frame, scale)
        painter.end()

    def _paint_card(self, painter: QPainter, card: NormCard, frame: QRectF, scale: float) -> None:
        chosen = card.path == self._path
        inset = 1.0 if chosen else 0.5
        painter.setPen(paint.pen("ink", 2) if chosen else paint.pen("line"))
        painter.setBrush(theme.color("surface"))
        painter.drawRoundedRect(frame.adjusted(inset, inset, -inset, -inset), theme.RADIUS_CARD, theme.RADIUS_CARD)
        left, right = frame.left() + PAD, frame.right() - PAD
        paint_lamp(painter, QPointF(left + 5, frame.top() + 18), card.mode)
        channels = self.tr("%1 ch").replace("%1", numbers.count(card.channels))
        taken = QFontMetricsF(theme.font(12)).horizontalAdvance(channels)
        bold = QFontMetricsF(theme.font(13, 600))
        beside = bold.horizontalAdvance(card.path) + 8 + taken <= right - left - 18
        name = fitted_path(card.path, bold, right - left - 18)
        painter.setFont(theme.font(13, 600))
        painter.setPen(theme.color("text"))
        painter.drawText(QPointF(left + 18, frame.top() + 22.5), name)
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text2"))
        if beside:
            painter.drawText(QPointF(left + 18 + bold.horizontalAdvance(name) + 8, frame.top() + 22.5), channels)
        else:
            painter.setFont(theme.font(11))
            painter.drawText(QRectF(left, frame.top() + 46, right - left, 16), Qt.AlignmentFlag.AlignRight, channels)
        if card.drift is not None:
            heat_strip(painter, QRectF(left, frame.top() + 33, right - left, 9), card.drift, scale)
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("attention" if card.bad else "text2"))
        room = right - left - (0 if beside else taken + 8)
        words = QFontMetricsF(theme.font(11)).elidedText(self.words(card), Qt.TextElideMode.ElideRight, room)
        painter.drawText(QPointF(left, frame.top() + 58), words)


class CardScroll(QScrollArea):
    """The cards, at most two rows of them in view."""

    def __init__(self, cards: NormCards) -> None:
        super().__init__()
        self._cards = cards
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setWidget(cards)
        cards.setAutoFillBackground(False)
        self.viewport().setAutoFillBackground(False)

    def fit(self) -> None:
        """Take the height that the cards need."""
        rows = self._cards.rows()
        shown = rows if rows <= 2 else 2.35
        self.setFixedHeight(max(0, round(shown * (HEIGHT + GAP)) - (GAP if rows <= 2 else 0)))

    def show_selected(self) -> None:
        """Scroll to the selected card."""
        frame = self._cards.selected_frame()
        if frame is not None:
            self.ensureVisible(round(frame.center().x()), round(frame.center().y()), 0, HEIGHT // 2 + GAP)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()
        self.show_selected()


def sigma(value: float | None) -> str:
    """A drift: two decimals where they say something."""
    if value is None:
        return "–"
    if 0 < value < 0.005:
        return "<0.01"  # where it is about rounding, its digits say nothing
    return f"{value:.2f}" if value < 100 else numbers.figure(value, 2)
