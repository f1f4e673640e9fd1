"""Buttons, check boxes and choices that paint themselves from the theme, each with its sign."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFocusEvent, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QCheckBox, QComboBox, QPushButton, QSizePolicy, QWidget

from modelight.widgets import theme
from modelight.widgets.lamp import LampState, paint_lamp
from modelight.widgets.signs import Sign, paint_sign

Kind = Literal["plain", "primary", "flat", "train", "eval"]
"""``plain``: an edge; ``primary``: filled with ink; ``flat``: no edge; ``train``, ``eval``: edge and words of it."""

_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


_COMBO_INSET = 6
"""Before the words of a choice that can be typed, beyond the frame that Qt gives its field."""
_KEYBOARD = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


class KeyboardFocus:
    """Mixed into a widget: knows whether it has the focus from the keyboard. A click or a new window draws no line."""

    _by_keyboard = False

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._by_keyboard = event.reason() in _KEYBOARD
        super().focusInEvent(event)  # type: ignore[misc]

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._by_keyboard = False
        super().focusOutEvent(event)  # type: ignore[misc]


class Button(KeyboardFocus, QPushButton):
    """A button of 28 logical pixels (26 in cards) with an optional sign before its words and a chevron after them."""

    def __init__(
        self,
        text: str = "",
        kind: Kind = "plain",
        sign: Sign | None = None,
        lamp: LampState = "none",
        chevron: bool = False,
        height: int = 28,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, parent)
        self._kind = kind
        self._sign = sign
        self._lamp = lamp
        self._chevron = chevron
        self.setFont(theme.font(12 if height < 28 else 13))
        self.setFixedHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_sign(self, sign: Sign | None) -> None:
        """Show another sign."""
        self._sign = sign
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        width = QFontMetricsF(self.font()).horizontalAdvance(self.text()) + 2 * self._padding()
        width += self._sign_room() if self._has_sign() else 0
        width += 18 if self._chevron else 0
        return QSize(round(width) + 1, self.height())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter)
        x = float(self._padding())
        middle = self.height() / 2
        if self._has_sign():
            self._paint_sign(painter, QPointF(x + 5, middle))
            x += self._sign_room()
        room = self.width() - x - (22 if self._chevron else self._padding()) + 1
        painter.setFont(self.font())
        painter.setPen(self._words())
        text = QFontMetricsF(self.font()).elidedText(self.text(), Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRectF(x, 0, room, self.height()), _LEFT, text)
        if self._chevron:
            paint_sign(painter, QPointF(self.width() - 14, middle), "chevron")

    def _padding(self) -> int:
        return 12 if self.height() >= 28 else 9

    def _sign_room(self) -> int:
        return 18 if self.height() >= 28 else 16

    def _has_sign(self) -> bool:
        return self._sign is not None or self._lamp != "none"

    def _words(self) -> QPen:
        if not self.isEnabled():
            return QPen(theme.color("text3"))
        tokens = {"primary": "surface", "eval": "eval_words", "train": "train_words"}
        return QPen(theme.color(tokens.get(self._kind, "text")))

    def _paint_sign(self, painter: QPainter, center: QPointF) -> None:
        if self._sign is not None:
            paint_sign(painter, center, self._sign, self._words().color())
        else:
            paint_lamp(painter, center, self._lamp)

    def _paint_ground(self, painter: QPainter) -> None:
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        pressed = self.isDown() or self.isChecked()
        if self._kind == "primary":
            fill, edge = ("ink", "ink") if self.isEnabled() else ("selection", "selection")
            if self.isDown() or self.underMouse():
                fill = edge = "text2" if self.isEnabled() else fill
        elif self._kind == "flat":
            fill = edge = "selection" if pressed or self.underMouse() else ""
        else:
            fill = "selection" if pressed else "sunken" if self.underMouse() and self.isEnabled() else "surface"
            edge = {"eval": "eval_mark", "train": "train_mark"}.get(self._kind, "edge")
        painter.setBrush(theme.color(fill) if fill else Qt.BrushStyle.NoBrush)
        painter.setPen(theme.color(edge) if edge else Qt.PenStyle.NoPen)
        painter.drawRoundedRect(frame, theme.RADIUS_CONTROL, theme.RADIUS_CONTROL)
        if self._by_keyboard:
            paint_focus(painter, frame, "surface" if self._kind == "primary" else "ink")


def paint_focus(painter: QPainter, frame: QRectF, token: str = "ink") -> None:
    """The sign of the keyboard's focus: a line of 1 logical pixel inside ``frame``."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(theme.color(token), 1))
    painter.drawRoundedRect(frame.adjusted(2, 2, -2, -2), theme.RADIUS_CONTROL - 2, theme.RADIUS_CONTROL - 2)


class CheckBox(KeyboardFocus, QCheckBox):
    """A check box: a square of 14 with a tick in ink."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setFont(theme.font(12))

    def sizeHint(self) -> QSize:
        return QSize(round(QFontMetricsF(self.font()).horizontalAdvance(self.text())) + 24, 22)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def hitButton(self, pos: object) -> bool:
        return True

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(0.5, self.height() / 2 - 6.5, 13, 13)
        painter.setBrush(theme.color("ink" if self.isChecked() else "surface"))
        painter.setPen(theme.color("ink" if self.isChecked() or self._by_keyboard else "edge"))
        painter.drawRoundedRect(box, 3, 3)
        if self.isChecked():
            painter.save()
            painter.translate(box.center())
            painter.scale(0.7, 0.7)
            paint_sign(painter, QPointF(0, 0), "solved", theme.color("surface"))
            painter.restore()
        painter.setFont(self.font())
        painter.setPen(theme.color("text2" if self.isEnabled() else "text3"))
        painter.drawText(QRectF(22, 0, self.width() - 22, self.height()), _LEFT, self.text())


class ComboBox(QComboBox):
    """A choice with the edge, height and chevron of the other controls."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(theme.font(13))
        self.setFixedHeight(28)

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self.font())
        words = (metrics.horizontalAdvance(self.itemText(item)) for item in range(self.count()))
        return QSize(round(max(words, default=80.0)) + 38, 28)

    def minimumSizeHint(self) -> QSize:
        return QSize(72, 28)

    def setEditable(self, editable: bool) -> None:
        super().setEditable(editable)
        if (edit := self.lineEdit()) is not None:
            edit.setTextMargins(_COMBO_INSET, 0, 0, 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setBrush(theme.color("surface"))
        painter.setPen(theme.color("ink" if self.hasFocus() else "edge"))
        painter.drawRoundedRect(frame, theme.RADIUS_CONTROL, theme.RADIUS_CONTROL)
        painter.setFont(self.font())
        painter.setPen(theme.color("text" if self.isEnabled() else "text3"))
        room = self.width() - 34
        text = QFontMetricsF(self.font()).elidedText(self.currentText(), Qt.TextElideMode.ElideRight, room)
        if not self.isEditable():  # else its field writes them
            painter.drawText(QRectF(10, 0, room, self.height()), _LEFT, text)
        paint_sign(painter, QPointF(self.width() - 14, self.height() / 2), "chevron")
