"""An empty page: one line that says what to do, and one button that does it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from modelight.widgets.buttons import Button
from modelight.widgets.labels import label


class EmptyPage(QWidget):
    """Says what fills the page. ``pressed`` tells that the person wants it."""

    pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("ground", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.line = label(tone="text2", wrap=True)
        self.line.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.button = Button()
        self.button.clicked.connect(self.pressed)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 20, 20, 20)
        column.setSpacing(12)
        column.addStretch(2)
        column.addWidget(self.line)
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        self.set_text("")

    def set_text(self, line: str, button: str = "") -> None:
        """What to do, and the button's word; without one there is no button."""
        self.line.setText(line)
        self.button.setText(button)
        self.button.setVisible(bool(button))
