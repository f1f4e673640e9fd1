"""Bars above the pages: what went wrong or is worth knowing, as one sentence; and what is being done just now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QProgressBar, QVBoxLayout, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import Button
from modelight.widgets.labels import MarkupLabel, hairline, label
from modelight.widgets.signs import Sign, paint_sign

Tone = Literal["problem", "notice"]


MOST_LINES, LONG = 3, 240
"""More lines than these are folded; a text of more characters may have so many, and stands in the details as well."""


DETAILS_LINES, DETAILS_FRAME = 10, 24
"""So many lines are seen of the details, and what their edge and margins take, in logical pixels."""


class SignLabel(QWidget):
    """A painted sign by itself, 16 × 16."""

    def __init__(self, sign: Sign, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sign: Sign = sign
        self.setFixedSize(QSize(16, 16))

    def set_sign(self, sign: Sign) -> None:
        """Show another sign."""
        self._sign = sign
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_sign(QPainter(self), QPointF(8, 8), self._sign)


class Banner(QFrame):
    """One sentence with buttons; hidden while there is nothing to say. The traceback is one click away."""

    button_pressed = Signal(str)
    """(name given to :meth:`show_message`)"""
    dismissed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self._tone: Tone = "notice"
        self._sign = SignLabel("info")
        self._text = MarkupLabel(13, 18, "text")
        self._text.set_most_lines(MOST_LINES)
        self._buttons: list[Button] = []
        self._details_button = Button(self.tr("Details"), height=26)
        self._details_button.setObjectName("banner-details")
        self._details_button.setCheckable(True)
        self._dismiss = Button(self.tr("Dismiss"), "flat", height=26)
        self._dismiss.setObjectName("banner-dismiss")
        self._details = QPlainTextEdit()
        self._details.setReadOnly(True)
        self._details.setFont(theme.fixed_font())
        self._details.setAccessibleName(self.tr("Details"))
        self._lay_out()
        self._details_button.toggled.connect(self._below.setVisible)
        self._dismiss.clicked.connect(self._on_dismissed)
        self.hide()

    def _lay_out(self) -> None:
        self._row = QHBoxLayout()
        self._row.setContentsMargins(12, 8, 12, 8)
        self._row.setSpacing(8)
        self._row.addWidget(self._sign)
        self._row.addWidget(self._text, 1, Qt.AlignmentFlag.AlignVCenter)
        self._row.addWidget(self._details_button)
        self._row.addWidget(self._dismiss)
        self._below = QWidget()
        below = QVBoxLayout(self._below)
        below.setContentsMargins(12, 0, 12, 8)
        below.addWidget(self._details)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._row)
        column.addWidget(self._below)
        column.addWidget(hairline())

    def show_message(
        self,
        tone: Tone,
        text: str,
        details: str = "",
        buttons: Sequence[tuple[str, str]] = (),
        dismissable: bool = True,
    ) -> None:
        """Say something. ``buttons`` are (name, words); ``details`` is text such as a traceback, "" for none."""
        self._tone = tone
        self._sign.set_sign("critical" if tone == "problem" else "info")
        self._text.setText(text)
        if len(text) > LONG:  # it may be folded, and must be read somewhere
            details = f"{text}\n\n{details}".strip()
        self._details.setPlainText(details)
        self._details.setFixedHeight(self._details_height(details))
        self._details_button.setChecked(False)
        self._below.hide()
        self._details_button.setVisible(bool(details))
        self._dismiss.setVisible(dismissable)
        self._set_buttons(buttons)
        self.setAccessibleName(text)
        self.show()
        self.update()

    def _details_height(self, details: str) -> int:
        """Room for what there is, up to a limit; what is wider than the window is wrapped."""
        metrics = QFontMetrics(self._details.font())
        width = max(1, self.width() - DETAILS_FRAME * 2)
        lines = sum(1 + metrics.horizontalAdvance(line) // width for line in details.split("\n")[:DETAILS_LINES])
        return metrics.lineSpacing() * min(lines, DETAILS_LINES) + DETAILS_FRAME

    def text(self) -> str:
        """The sentence that is shown, "" while hidden."""
        return "" if self.isHidden() else self._text.text()

    def clear(self) -> None:
        """Say nothing any more."""
        self.hide()

    def button(self, name: str) -> Button:
        """The button of that name.

        Raises:
            KeyError: there is none.
        """
        return {button.objectName(): button for button in self._buttons}[name]

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), theme.color("attention_tint" if self._tone == "problem" else "sunken"))

    def _set_buttons(self, buttons: Sequence[tuple[str, str]]) -> None:
        for button in self._buttons:
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = []
        for number, (name, words) in enumerate(buttons):
            button = Button(words, "primary" if number == 0 else "plain", height=26)
            button.setObjectName(name)
            button.clicked.connect(lambda _=False, name=name: self.button_pressed.emit(name))
            self._row.insertWidget(2 + number, button)
            self._buttons.append(button)

    def _on_dismissed(self) -> None:
        self.hide()
        self.dismissed.emit()


class ProgressStrip(QFrame):
    """What long work is at, with Cancel. Where no fraction is known the words stand alone: a bar would pretend."""

    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("progress")
        self._text = label("", 12, tone="text2")
        self._bar = QProgressBar()
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(200)
        self._cancel = Button(self.tr("Cancel"), height=26)
        self._cancel.setObjectName("progress-cancel")
        self._cancel.clicked.connect(self.cancel_requested)
        row = QHBoxLayout()
        row.setContentsMargins(12, 6, 12, 6)
        row.setSpacing(12)
        row.addWidget(self._text)
        row.addWidget(self._bar)
        row.addStretch(1)
        row.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(hairline())
        self.hide()

    def show_progress(self, text: str, fraction: float | None = None) -> None:
        """Say what is being done; ``fraction`` from 0 to 1, None where it is not known."""
        self._text.setText(text)
        self._bar.setVisible(fraction is not None)
        self._bar.setValue(round(1000 * (fraction or 0.0)))
        self.setAccessibleName(text)
        self.show()

    def clear(self) -> None:
        """The work is over."""
        self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), theme.color("sunken"))
