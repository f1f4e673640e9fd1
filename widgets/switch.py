"""A switch: a state that lasts, off or on, with its word beside it."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from modelight.widgets import paint, theme
from modelight.widgets.buttons import KeyboardFocus, paint_focus


class Switch(KeyboardFocus, QAbstractButton):
    """Checkable; ``clicked`` tells that the person moved it."""

    WIDTH, HEIGHT, GAP = 28, 16, 8

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(text)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        words = QFontMetricsF(theme.font(12)).horizontalAdvance(self.text())
        return QSize(round(self.WIDTH + self.GAP + words) + 4, 22)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        track = QRectF(1, (self.height() - self.HEIGHT) / 2, self.WIDTH, self.HEIGHT)
        on = self.isChecked()
        painter.setPen(paint.pen("ink" if on else "text3"))
        painter.setBrush(theme.color("ink" if on else "surface"))
        painter.drawRoundedRect(track.adjusted(0.5, 0.5, -0.5, -0.5), self.HEIGHT / 2, self.HEIGHT / 2)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("surface" if on else "text3"))
        x = track.right() - self.HEIGHT / 2 if on else track.left() + self.HEIGHT / 2
        painter.drawEllipse(QPointF(x, track.center().y()), 5, 5)
        painter.setPen(theme.color("text" if self.isEnabled() else "text3"))
        painter.setFont(theme.font(12))
        words = QRectF(track.right() + self.GAP, 0, self.width(), self.height())
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text())
        if self._by_keyboard:
            paint_focus(painter, QRectF(self.rect()))
        painter.end()
