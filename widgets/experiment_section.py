"""One experiment on the page: what it asks, the button that runs it, the verdict as a sentence, then its pictures."""

from __future__ import annotations

import re

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from modelight.widgets import numbers
from modelight.widgets.buttons import Button
from modelight.widgets.experiments_data import Subject
from modelight.widgets.labels import MarkupLabel, label
from modelight.widgets.paths import short_path
from modelight.widgets.sections import row

PATH_MOST = 60
"""Characters of a module's path in a sentence."""


def subject_words(subject: Subject) -> str:
    """What a figure is: "probability of class 0, even"."""
    tr = QCoreApplication.translate
    named = (
        f"{subject.column}, {subject.name}" if subject.name not in ("", str(subject.column)) else str(subject.column)
    )
    return {
        "class": tr("Experiments", "probability of class %1").replace("%1", named),
        "probability": tr("Experiments", "probability"),
        "column": tr("Experiments", "value %1").replace("%1", str(subject.column)),
        "value": tr("Experiments", "value"),
    }[subject.kind]


def filled(text: str, *values: str) -> str:
    """``text`` with the values in place of %1, %2 …"""
    return re.sub(r"%(\d)", lambda found: values[int(found[1]) - 1], text)


def amount(value: float, subject: Subject) -> str:
    """A figure: two decimals for probabilities where they say something."""
    if subject.bounded and (value == 0 or abs(value) >= 0.005):
        return f"{value:.2f}"
    return numbers.figure(value, 2 if abs(value) < 1 else 3)


def named(path: str) -> str:
    """A module as sentences name it."""
    return short_path(path, PATH_MOST) or QCoreApplication.translate("Experiments", "the model itself")


class ExperimentSection(QWidget):
    """Title, question, button and verdict; ``body`` holds the pictures, hidden until there are any."""

    run_requested = Signal()
    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self._has_data = False
        self.title, self.question = label(weight=600), label(tone="text2", size=12, wrap=True)
        self.button = Button(height=26)
        self.button.clicked.connect(self._on_clicked)
        self.progress = label(tone="text2", size=12, wrap=True)
        self.verdict = MarkupLabel()
        self.outdated = label(tone="text2", size=12, wrap=True)
        self.body = QWidget()
        self.pictures = QVBoxLayout(self.body)
        self.pictures.setContentsMargins(0, 8, 0, 0)
        self.pictures.setSpacing(0)
        self._lay_out()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.head = row(self.title, None, self.button)
        column.addLayout(self.head)
        for part in (self.question, self.progress, self.outdated, self.verdict, self.body):
            column.addWidget(part)

    def set_texts(self, title: str, question: str) -> None:
        """What stands there before anything has run."""
        self.title.setText(title)
        self.question.setText(question)
        self.clear()

    def clear(self) -> None:
        """Nothing has been asked yet."""
        self._has_data = False
        self.verdict.setText("")
        self.set_running(False)

    def show_verdict(self, text: str, outdated: bool) -> None:
        """There is an answer."""
        self._has_data = True
        self.verdict.setText(text)
        self.outdated.setText(self.tr("The model or its input has changed since.") if outdated else "")
        self.set_running(self._running)

    def set_running(self, running: bool) -> None:
        """Whether this experiment is under way."""
        self._running = running
        self.progress.setText(self.tr("Running…") if running else "")
        again = self.tr("Run again") if self._has_data else self.tr("Run")
        self.button.setText(self.tr("Stop") if running else again)
        self.button.setAccessibleName(f"{self.button.text()}: {self.title.text()}")
        self.button.updateGeometry()
        self.progress.setVisible(running)
        self.verdict.setVisible(self._has_data)
        self.outdated.setVisible(self._has_data and bool(self.outdated.text()))
        self.body.setVisible(self._has_data)

    def set_progress(self, what: str, fraction: float | None) -> None:
        """How far it is; while it is under way."""
        if self._running and what:
            self.progress.setText(what if fraction is None else f"{what}  {numbers.percent(fraction, 0)}")

    def retheme(self) -> None:
        """The theme changed: everything paints itself in its colours."""
        from modelight.widgets.plots import Plot

        for part in self.findChildren(QWidget):
            if isinstance(part, Plot):
                part.retheme()
            else:
                part.update()

    def _on_clicked(self) -> None:
        (self.stop_requested if self._running else self.run_requested).emit()
