"""The foot of the tree: the selected module's five axes, one line each, always in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from modelight.widgets.buttons import Button
from modelight.widgets.labels import ElidedLabel
from modelight.widgets.lamp import LampState, paint_lamp


@dataclass(frozen=True)
class SelectionLine:
    """One axis: its name, and what it is set to. ``tone`` is the token of the value's words."""

    name: str
    value: str
    tone: str = "text"


@dataclass(frozen=True)
class Selection:
    """What is said of the selected module."""

    title: str
    caption: str = ""
    lamp: LampState = "none"
    quiet: bool = False
    lines: Sequence[SelectionLine] = ()
    own_train: bool | None = None
    """Its flag alone was set, past what the class does in train(): with which mode to call that is offered."""


NAMES, ROOMY = 112, 380
"""Width of the names of the axes, where the pane is so wide."""


class LampLabel(QWidget):
    """A lamp by itself, 12 × 12."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state: LampState = "none"
        self._quiet = False
        self.setFixedSize(12, 12)

    def set_state(self, state: LampState, quiet: bool = False) -> None:
        """Show this lamp."""
        self._state, self._quiet = state, quiet
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_lamp(QPainter(self), QPointF(6, 6), self._state, self._quiet)


class SelectionPane(QWidget):
    """Shows a :class:`Selection`. Room for six lines is kept, so that the tree above never jumps."""

    own_train_requested = Signal(bool)
    """The mode to call the module's own ``train()`` with."""

    ROWS = 6

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("selection-pane")
        self._lamp = LampLabel()
        self._title = ElidedLabel(13, 600, elide=Qt.TextElideMode.ElideMiddle)
        self._caption = ElidedLabel(12, tone="text2")
        self._names = [ElidedLabel(12, tone="text2") for _ in range(self.ROWS)]
        self._values = [ElidedLabel(12) for _ in range(self.ROWS)]
        self._own_train: bool | None = None
        self.own_train = Button(height=20)
        self.own_train.setObjectName("own-train")
        self.own_train.clicked.connect(self._on_own_train)
        self.own_train.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 13, 12, 8)
        column.setSpacing(8)
        column.addLayout(self._head())
        column.addLayout(self._grid())
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lines.setColumnMinimumWidth(0, NAMES if self.width() >= ROOMY else NAMES - 20)

    def set_selection(self, selection: Selection | None) -> None:
        """Show a module; None empties the pane."""
        shown = selection or Selection("")
        self._lamp.set_state(shown.lamp, shown.quiet)
        self._title.setText(shown.title)
        self._caption.setText(shown.caption)
        for number, (name, value) in enumerate(zip(self._names, self._values, strict=True)):
            line = shown.lines[number] if number < len(shown.lines) else SelectionLine("", "")
            name.setText(line.name)
            value.set_tone(line.tone)
            value.setText(line.value)

        self._own_train = shown.own_train
        self.own_train.setVisible(shown.own_train is not None)
        self.own_train.setText(self.tr("Call its own train(%1)").replace("%1", str(shown.own_train)))

    def _on_own_train(self) -> None:
        if self._own_train is not None:
            self.own_train_requested.emit(self._own_train)

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._lamp)
        row.addWidget(self._title)
        row.addWidget(self._caption, 1)
        return row

    def _grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(0)
        grid.setVerticalSpacing(0)
        self._lines = grid
        grid.setColumnMinimumWidth(0, NAMES)
        grid.setColumnStretch(1, 1)
        for number in range(self.ROWS):
            grid.setRowMinimumHeight(number, 22)
            grid.addWidget(self._names[number], number, 0)
            grid.addWidget(self._values[number], number, 1, 1, 2 if number else 1)
        grid.addWidget(self.own_train, 0, 2)  # beside the flag, whose words are short
        return grid
