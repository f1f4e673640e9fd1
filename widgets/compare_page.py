"""The Compare page: six ways to run the model side by side, and what moves the output most."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QStackedWidget, QWidget

from modelight.widgets import numbers
from modelight.widgets.buttons import Button
from modelight.widgets.compare_data import CompareData
from modelight.widgets.compare_matrix import Matrix
from modelight.widgets.counted import counted
from modelight.widgets.culprit_table import MOST, CulpritTable, moved_text
from modelight.widgets.empty import EmptyPage
from modelight.widgets.labels import MarkupLabel, label
from modelight.widgets.sections import Entry, Heading, Page, row

IN_CELL = 110
"""Characters of a problem that a cell surely has room for; longer ones are said in full below."""


class ComparePage(QStackedWidget):
    """Shows :class:`CompareData`; before the first comparison, what to do to get one."""

    compare_requested = Signal()
    state_requested = Signal(bool, str)
    """Go to this state: training of every module, grad mode."""
    mode_requested = Signal(str, bool)
    """Set the module at this path."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: CompareData | None = None
        self.empty, self.page = EmptyPage(), Page()
        self.empty.pressed.connect(self.compare_requested)
        self.heading, self.verdict, self.present = _TitleLine(), MarkupLabel(), label(tone="text2", size=12, wrap=True)
        self.outdated, self.again = label(tone="text2", size=12, wrap=True), Button(height=26)
        self.again.clicked.connect(self.compare_requested)
        self.matrix = Matrix()
        self.matrix.state_requested.connect(self.state_requested)
        self.problems = label(tone="text2", size=12, wrap=True)
        self.culprits_heading, self.culprits_note = Heading(), label(tone="text2", size=12, wrap=True)
        self.culprits = CulpritTable()
        self.culprits.mode_requested.connect(self.mode_requested)
        self._lay_out()
        self.clear()

    def _lay_out(self) -> None:
        column = self.page.column
        column.addWidget(self.heading)
        column.addSpacing(4)
        column.addWidget(self.verdict)
        column.addWidget(self.present)
        column.addLayout(row(self.outdated, self.again))
        column.addSpacing(12)
        column.addWidget(self.matrix)
        column.addSpacing(4)
        column.addWidget(self.problems)
        self.page.add_rule()
        column.addWidget(self.culprits_heading)
        column.addSpacing(6)
        column.addWidget(self.culprits)
        column.addWidget(self.culprits_note)
        column.addStretch(1)
        self.addWidget(self.empty)
        self.addWidget(self.page)

    def data(self) -> CompareData | None:
        """What is shown."""
        return self._data

    def clear(self) -> None:
        """Nothing has been compared yet: say what to do."""
        self._data = None
        text = self.tr("Run the input in train and in eval under each grad mode, and flip every layer by itself.")
        self.empty.set_text(text, self.tr("Compare"))
        self.setCurrentWidget(self.empty)

    def set_progress(self, what: str, fraction: float | None) -> None:
        """A comparison is under way; shown where there is nothing else to show."""
        if self._data is None:
            self.empty.set_text(what if fraction is None else f"{what}  {numbers.percent(fraction, 0)}")

    def set_data(self, data: CompareData) -> None:
        """Show a comparison."""
        self._data = data
        self.heading.set_text(self.tr("Six ways to run it"), self.runs_text(data), self.subject_text(data))
        self.verdict.setText("\u2003 ".join(part for part in (self.rows_text(data), self.columns_text(data)) if part))
        self.present.setText(self.tr("The model is in a mixed state now, which is none of the six."))
        self.present.setVisible(data.mixed_now)
        self.outdated.setText(self.tr("The model or its input has changed since."))
        self.again.setText(self.tr("Compare again"))
        self.outdated.setVisible(data.outdated)
        self.again.setVisible(data.outdated)
        self.matrix.set_data(data)
        self._fill_problems(data)
        self._fill_culprits(data)
        self.setCurrentWidget(self.page)

    def retheme(self) -> None:
        """The theme changed: everything paints itself in its colours."""
        for part in self.page.body.findChildren(QWidget):
            part.update()

    # ------------------------------------------------------------------------------------------------------- sentences

    def runs_text(self, data: CompareData) -> str:
        """What was run, and how often."""
        samples = counted(data.samples, self.tr("%1 sample"), self.tr("%1 samples"))
        if data.of_samples > data.samples:
            text = self.tr("first %1 of %2 samples").replace("%1", numbers.count(data.samples))
            samples = text.replace("%2", numbers.count(data.of_samples))
        together = counted(data.batch, self.tr("one at a time"), self.tr("%1 at a time"))
        seed = self.tr("seed %1").replace("%1", str(data.seed))
        runs = counted(data.runs, self.tr("%1 run each"), self.tr("%1 runs each"))
        return ", ".join((samples, together, seed, runs))

    def subject_text(self, data: CompareData) -> str:
        """What the bars are, and their range where it is not 0 to 1."""
        class_name = f"{data.column}, {data.column_name}"
        if data.column_name in ("", str(data.column)):
            class_name = str(data.column)
        text = {
            "class": self.tr("probability of class %1").replace("%1", class_name),
            "probability": self.tr("probability"),
            "column": self.tr("value %1 of each sample").replace("%1", str(data.column)),
            "value": self.tr("value of each sample"),
            "none": "",
        }[data.subject]
        if not data.per_sample and text:
            text = self.tr("%1 (each forward as a whole)").replace("%1", text)
        if (data.low, data.high) == (0.0, 1.0) or not text:
            return text
        low, high = numbers.figure(data.low), numbers.figure(data.high)
        return self.tr("%1, %2 to %3").replace("%1", text).replace("%2", low).replace("%3", high)

    def rows_text(self, data: CompareData) -> str:
        """What the mode does to the answer."""
        moved = _distance(data.moved, data.bounded)
        return {
            "exact": self.tr("**Rows agree:** the mode changes nothing."),
            "rounding": self.tr("**Rows agree** up to rounding: they differ by %1."),
            "chance": self.tr("**Rows differ** by no more than repeats do: %1."),
            "elsewhere": self.tr("**Rows agree** in what is shown; other values of the output differ."),
            "differ": self.tr("**Rows differ:** the mode moves the answer by %1."),
            "shape": self.tr("**Rows differ:** the mode gives the output another shape."),
            "raises": self.tr("**Rows differ:** in one mode the model raises."),
            "unknown": self.tr("**The model raises** in both modes."),
        }[data.rows_agree].replace("%1", moved)

    def columns_text(self, data: CompareData) -> str:
        """What the grad mode does to it."""
        apart = _distance(data.columns_apart, data.bounded)
        return {
            "exact": self.tr("**Columns agree:** grad mode changes only the cost."),
            "rounding": self.tr("**Columns agree** up to rounding: %1 at most."),
            "chance": self.tr("**Columns differ** by no more than repeats do: %1."),
            "elsewhere": self.tr("**Columns agree** in what is shown; other values of the output differ."),
            "differ": self.tr("**Columns differ:** grad mode moves a value by up to %1."),
            "shape": self.tr("**Columns differ:** grad mode gives the output another shape."),
            "raises": self.tr("**Columns differ:** under some grad modes the model raises."),
            "unknown": "",
        }[data.columns_agree].replace("%1", apart)

    def _fill_problems(self, data: CompareData) -> None:
        words = {True: self.tr("Train"), False: self.tr("Eval")}
        found = dict.fromkeys((cell.training, cell.problem) for cell in data.cells if cell.problem)
        self.problems.setText("\n".join(f"{words[training]}: {problem}" for training, problem in found))
        self.problems.setVisible(any(len(problem) > IN_CELL for _, problem in found))

    # -------------------------------------------------------------------------------------------------------- culprits

    def _fill_culprits(self, data: CompareData) -> None:
        self.culprits.setVisible(bool(data.culprits))
        self.culprits.set_data(data)
        self.culprits_heading.set_text(
            self.tr("What moves the output most"), self.how_text(data) if data.culprits else "", self._legend(data)
        )
        note = self.note_text(data)
        self.culprits_note.setText(note)
        self.culprits_note.setVisible(bool(note))

    def how_text(self, data: CompareData) -> str:
        """How the flips were run, where that is not as above."""
        parts = []
        if data.culprit_runs != data.runs:
            parts.append(counted(data.culprit_runs, self.tr("%1 run each"), self.tr("%1 runs each")))
        if data.columns_agree != "exact":
            parts.append({"enabled": self.tr("grad on")}.get(data.culprit_mode, data.culprit_mode))
        return ", ".join(parts)

    def note_text(self, data: CompareData) -> str:
        """What has to be said under the bars."""
        if not data.culprits:
            return self.tr("No layer of this model heeds the mode.")
        moves = [move for one in data.culprits[:MOST] for move in one.moves]
        lines = [self.rest_text(data)]
        if any(move.chance for move in moves):
            lines.append(self.tr("Pale: no further than repeats of the same run would differ."))
        if any(move.by is None for move in moves):
            lines.append(self.tr("–: the model raises in this state, or its output has another shape."))
        return "\n".join(line for line in lines if line)

    def rest_text(self, data: CompareData) -> str:
        """What is not shown."""
        rest = data.culprits[MOST:]
        if not rest:
            return ""
        text = counted(
            len(rest),
            self.tr("%1 more layer moves the output by at most %2."),
            self.tr("%1 more layers move the output by at most %2 each."),
        )
        return text.replace("%2", moved_text(max(one.largest for one in rest), data.bounded))

    def _legend(self, data: CompareData) -> list[Entry]:
        if not data.culprits:
            return []
        entries = [
            Entry("kept", "eval_mark", self.tr("alone to eval")),
            Entry("kept", "train_mark", self.tr("alone to train, rest eval")),
        ]
        if data.has_flipped:
            entries.append(Entry("kept", "mask", self.tr("flipped from now")))
        if data.everything is not None:
            everything = _distance(data.everything, data.bounded)
            entries.append(Entry("ghost", "text", self.tr("all at once, %1").replace("%1", everything)))
        return entries


def _distance(value: float | None, bounded: bool) -> str:
    """Two decimals for probabilities where they say something."""
    if value is not None and bounded and value >= 0.005:
        return f"{value:.2f}"
    return numbers.figure(value, 2)


class _TitleLine(QWidget):
    """Title, what was done, and at the right what is shown; that takes a line of its own where it does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.title, self.subtitle = label(weight=600), label(tone="text2", size=12)
        self.note = label(tone="text2", size=12)
        self._below: bool | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        self._grid.addWidget(self.title, 0, 0)
        self._grid.addWidget(self.subtitle, 0, 1)

    def set_text(self, title: str, subtitle: str, note: str) -> None:
        """All its words."""
        self.title.setText(title)
        self.subtitle.setText(subtitle)
        self.note.setText(note)
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        parts = (self.title, self.subtitle, self.note)
        below = sum(part.sizeHint().width() for part in parts) + 32 > self.width()
        if below == self._below:
            return
        self._below = below
        if below:
            self._grid.addWidget(self.note, 1, 0, 1, 3)
        else:
            self._grid.addWidget(self.note, 0, 2, Qt.AlignmentFlag.AlignRight)
