"""A row of segments of which one is pressed: Train | Mixed | Eval, or on | no_grad | inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import KeyboardFocus
from modelight.widgets.lamp import LampState, paint_lamp

Meaning = Literal["train", "eval", "ink"]


@dataclass(frozen=True)
class Option:
    """One segment. ``value`` is what the control reports; ``meaning`` says in which colour it is pressed."""

    value: str
    text: str
    meaning: Meaning = "ink"
    lamp: LampState = "none"
    tooltip: str = ""


class _Segment(KeyboardFocus, QToolButton):
    def __init__(self, option: Option, first: bool, last: bool) -> None:
        super().__init__()
        self.option = option
        self._first, self._last = first, last
        self.setText(option.text)
        self.setToolTip(option.tooltip)
        self.setAccessibleName(option.text)
        self.setObjectName(f"segment-{option.value}")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setFont(theme.font(13))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        # The widest the words get, so that nothing moves when another segment is pressed.
        words = QFontMetricsF(theme.font(13, 500)).horizontalAdvance(self.text())
        lamp = 18 if self.option.lamp != "none" else 0
        return QSize(round(words + lamp) + 22, 28)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(self._frame(), theme.RADIUS_CONTROL, theme.RADIUS_CONTROL)
        painter.setClipPath(outline)
        painter.fillRect(self.rect(), theme.color(self._ground()))
        self._paint_words(painter)
        if not self._first:
            painter.fillRect(QRectF(0, 0, 1, self.height()), theme.color("line"))
        painter.setClipping(False)
        painter.setPen(theme.color("edge"))
        painter.drawPath(outline)
        if self.isChecked():
            # Two whole pixels: the outline runs through the middle of the last one.
            whole = QPainterPath()
            whole.addRoundedRect(self._frame().adjusted(-0.5, -0.5, 0.5, 0.5), 6.5, 6.5)
            painter.setClipPath(whole)
            painter.fillRect(QRectF(0, self.height() - 2, self.width(), 2), theme.color(self._meant("mark", "ink")))
            painter.setClipping(False)
        if self._by_keyboard:
            painter.setPen(theme.color("ink"))
            painter.drawRect(QRectF(self.rect()).adjusted(3.5, 3.5, -3.5, -3.5))

    def _meant(self, suffix: str, ink: str) -> str:
        return ink if self.option.meaning == "ink" else f"{self.option.meaning}_{suffix}"

    def _ground(self) -> str:
        if self.isChecked():
            return self._meant("tint", "selection")
        return "sunken" if self.underMouse() and self.isEnabled() else "surface"

    def _words(self) -> str:
        if self.isChecked():
            return self._meant("words", "text")
        return "text2" if self.isEnabled() else "text3"

    def _paint_words(self, painter: QPainter) -> None:
        x = 11.0
        if self.option.lamp != "none":
            painter.setOpacity(1.0 if self.isEnabled() or self.isChecked() else 0.6)
            paint_lamp(painter, QPointF(x + 5, self.height() / 2), self.option.lamp)
            painter.setOpacity(1.0)
            x += 18
        painter.setFont(theme.font(13, 500 if self.isChecked() else 400))
        painter.setPen(theme.color(self._words()))
        room = QRectF(x, 0, self.width() - x - 8, self.height())
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, self.text())

    def _frame(self) -> QRectF:
        # Round only at the ends of the row: the other sides of the outline lie outside the segment and are cut.
        beyond = 2 * theme.RADIUS_CONTROL
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        return frame.adjusted(0 if self._first else -beyond, 0, 0 if self._last else beyond, 0)


class SegmentedControl(QWidget):
    """An exclusive row of segments. The arrow keys move within it, Tab moves past it."""

    valueChanged = Signal(str)
    """A person pressed another segment; ``setValue`` does not emit it."""

    def __init__(self, options: Sequence[Option], name: str = "", parent: QWidget | None = None) -> None:
        """``name`` is the accessible name. Nothing is pressed at first."""
        super().__init__(parent)
        self.setAccessibleName(name)
        self._group = QButtonGroup(self)
        self._segments: dict[str, _Segment] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for number, option in enumerate(options):
            segment = _Segment(option, number == 0, number == len(options) - 1)
            segment.installEventFilter(self)
            self._segments[option.value] = segment
            self._group.addButton(segment)
            row.addWidget(segment)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._group.buttonClicked.connect(self._on_clicked)
        self._take_one_tab_stop()

    def value(self) -> str:
        """The pressed segment's value; "" where none is pressed."""
        return next((value for value, segment in self._segments.items() if segment.isChecked()), "")

    def setValue(self, value: str) -> None:
        """Press a segment without emitting; "" or an unknown value presses none."""
        self._group.setExclusive(False)
        for name, segment in self._segments.items():
            segment.setChecked(name == value)
        self._group.setExclusive(True)
        self._take_one_tab_stop()

    def set_option_enabled(self, value: str, enabled: bool) -> None:
        """Whether a segment can be pressed; one that is pressed keeps its look."""
        self._segments[value].setEnabled(enabled)

    def button(self, value: str) -> QToolButton:
        """The button of one segment."""
        return self._segments[value]

    def eventFilter(self, watched: object, event: object) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QKeyEvent.Type.KeyPress:
            step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()), 0)
            if step and isinstance(watched, _Segment):
                self._move(watched, step)
                return True
        return False

    def _on_clicked(self, segment: _Segment) -> None:
        self._take_one_tab_stop()
        self.valueChanged.emit(segment.option.value)

    def _take_one_tab_stop(self) -> None:
        # Qt does so for clicks alone, and would leave the stop on a segment that is no longer pressed.
        segments = list(self._segments.values())
        stop = next((one for one in segments if one.isChecked()), segments[0])
        for segment in segments:
            segment.setFocusPolicy(Qt.FocusPolicy.TabFocus if segment is stop else Qt.FocusPolicy.NoFocus)

    def _move(self, segment: _Segment, step: int) -> None:
        usable = [one for one in self._segments.values() if one.isEnabled()]
        target = usable[(usable.index(segment) + step) % len(usable)]
        target.click()
        target.setFocus(Qt.FocusReason.TabFocusReason)
