"""The page of a checkpoint: what the file is, the tree that its keys make, and the values of the tensor looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QMenu, QSizePolicy, QVBoxLayout, QWidget

from modelight.widgets import numbers
from modelight.widgets.buttons import Button
from modelight.widgets.checkpoint_data import CheckpointData, CheckpointRow, TensorData
from modelight.widgets.checkpoint_tree import CheckpointTree
from modelight.widgets.export import Table
from modelight.widgets.labels import ElidedLabel, label, set_tone
from modelight.widgets.marks import Steps
from modelight.widgets.plots import Plot
from modelight.widgets.sections import GAP, MARGIN, Badge, Heading, MenuButton, Rule, row

_SHOWN_AROUND = 4
"""So many entries around the state dict are shown before all are asked for."""
_SHOWN_ATTENTION = 3
_NAMES = 200
"""Width of the names in these lists, in logical pixels."""
_LINE = 18
"""Height of a line below the tree: words, or figures with their badge."""


class ValuesPlot(Plot):
    """Histogram of all values of one tensor."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("tensor", self.table, height=150, most=(7, 4), parent=parent)
        self.steps = self.add(Steps())
        self._data: TensorData | None = None

    def set_data(self, data: TensorData) -> None:
        """Show the counts; without any the plot is empty."""
        self._data = data
        if data.edges is None or data.counts is None:
            self.steps.set_data(None, None)
            return
        self.steps.set_data(data.edges, data.counts, role=data.role)
        low, high = float(data.edges[0]), float(data.edges[-1])
        margin = (high - low) * 0.02
        self.hold((low - margin, high + margin), (0.0, float(data.counts.max()) * 1.08), data.key)

    def table(self) -> Table:
        """One row per bin."""
        data = self._data
        if data is None or data.edges is None or data.counts is None:
            return Table(("from", "to", "count"), [])
        columns = data.edges[:-1], data.edges[1:], data.counts.astype(np.int64)
        return Table(("from", "to", "count"), list(zip(*columns, strict=True)))


class Pairs(QWidget):
    """Names and values in two columns, folded to a few with a button that shows all."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._pairs: Sequence[tuple[str, str]] = ()
        self._tone = "text"
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self.more = Button()
        self.more.clicked.connect(lambda: self._fill(len(self._pairs)))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(self._grid)
        column.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)

    def set_pairs(self, pairs: Sequence[tuple[str, str]], tone: str = "text") -> None:
        """Show these, folded."""
        self._pairs, self._tone = pairs, tone
        self.setVisible(bool(pairs))
        # One more costs no more room than the button that hides it.
        self._fill(self._most if len(pairs) > self._most + 1 else len(pairs))

    def _fill(self, count: int) -> None:
        while item := self._grid.takeAt(0):
            if widget := item.widget():
                widget.hide()  # deleted only later: until then it would be painted below the new ones
                widget.deleteLater()
        for line, (name, text) in enumerate(self._pairs[:count]):
            first = ElidedLabel(12, tone="text2", elide=Qt.TextElideMode.ElideMiddle)
            first.setFixedWidth(_NAMES)
            first.setText(name)
            second = ElidedLabel(12, tone=self._tone)
            second.setText(text)
            self._grid.addWidget(first, line, 0)
            self._grid.addWidget(second, line, 1)
        self.more.setVisible(count < len(self._pairs))
        self.more.setText(self.tr("Show all %1").replace("%1", numbers.count(len(self._pairs))))


class CheckpointPage(QWidget):
    """Shows :class:`CheckpointData`, and :class:`TensorData` once the values of a tensor are there."""

    key_requested = Signal(str)
    """Another state dict of the same file."""
    tensor_requested = Signal(str)
    """The key of a tensor whose values are wanted."""
    compare_requested = Signal()
    """Another checkpoint is wanted beside this one."""
    reload_requested = Signal()
    """The file has changed, and the person wants to see it as it is now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: CheckpointData | None = None
        self._selected: CheckpointRow | None = None
        self.setProperty("ground", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.heading = Heading()
        self.choice = MenuButton(12, 400, "text2")
        self.holds, self.notes = label(size=12, tone="text2", wrap=True), label(size=12, tone="text2", wrap=True)
        self.attention, self.around = Pairs(_SHOWN_ATTENTION), Pairs(_SHOWN_AROUND)
        self.tree = CheckpointTree()
        self.tensor_heading, self.badge, self.bad_values = Heading(), Badge(), Badge()
        self.plot = ValuesPlot()
        self.figures, self.words = label(size=12, tone="text2", wrap=True), label(size=12, tone="text2", wrap=True)
        self.against = label(size=12, wrap=True)
        self.compare = Button(self.tr("Compare with…"), height=26)
        self.compare.clicked.connect(self.compare_requested)
        self.reload = Button(self.tr("Reload"))
        self.reload.clicked.connect(self.reload_requested)
        for line in (self.figures, self.words):
            line.setMinimumHeight(_LINE)  # one takes the place of the other
        self.tree.row_selected.connect(self._on_row_selected)
        self._lay_out()
        self._show_nothing(self.tr("Select a tensor to see its values."))

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, GAP, 0, GAP)
        column.setSpacing(0)
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN, 0, MARGIN, 12)
        head.setSpacing(8)
        top = row(self.heading, self.compare)
        top.setStretch(0, 1)
        head.addLayout(top)
        head.addWidget(self.choice)
        head.addWidget(self.holds)
        head.addWidget(self.against)
        head.addWidget(self.attention)
        head.addWidget(self.around)
        head.addWidget(self.notes)
        foot = QVBoxLayout()
        foot.setContentsMargins(MARGIN, 12, MARGIN, 0)
        foot.setSpacing(8)
        foot.addWidget(self.tensor_heading)
        foot.addLayout(row(self.figures, self.badge, self.bad_values))
        line = row(self.words, self.reload, None)
        line.setStretch(0, 6)  # words before empty room
        foot.addLayout(line)
        foot.addWidget(self.plot)
        self.figures.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.words.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        column.addLayout(head)
        table = QVBoxLayout()
        table.setContentsMargins(MARGIN, 0, MARGIN, 0)
        table.addWidget(self.tree)
        column.addLayout(table, 1)
        column.addWidget(Rule())
        column.addLayout(foot)

    # ------------------------------------------------------------------------------------------------ what is shown

    def data(self) -> CheckpointData | None:
        """What is shown."""
        return self._data

    def set_data(self, data: CheckpointData) -> None:
        """Show a checkpoint; no tensor is looked at yet."""
        self._data, self._selected = data, None
        self.heading.set_text(data.file, f"{data.format} · {data.file_size}")
        self.choice.setVisible(len(data.choices) > 1 or bool(data.key))
        self.choice.setText(self.tr("state dict %1").replace("%1", data.key))
        self.choice.set_choices(self._fill_choices if len(data.choices) > 1 else None)
        self.holds.setText(self.holds_text(data))
        self.against.setText("\n".join(data.against))
        self.against.setVisible(bool(data.against))
        self.attention.set_pairs(data.attention, "attention")
        self.around.set_pairs(data.around)
        self.notes.setText("\n".join(data.notes))
        self.notes.setVisible(bool(data.notes))
        self.tree.set_rows(data.rows)
        self._keep_room(False)
        self._show_nothing(self.tr("Select a tensor to see its values."))

    def holds_text(self, data: CheckpointData) -> str:
        """What the state dict holds, in sum."""
        text = self.tr("%1 tensors, %2 parameters and %3 values in buffers: %4 as %5")
        figures = (
            numbers.count(data.tensors),
            numbers.count(data.parameters),
            numbers.count(data.buffers),
            data.size,
            ", ".join(data.dtypes) or "–",
        )
        for place, figure in enumerate(figures, 1):
            text = text.replace(f"%{place}", figure)
        return text

    def set_tensor(self, data: TensorData) -> None:
        """Show the values of the tensor that is looked at; those of another are too late and left out."""
        if self._selected is None or data.key != self._selected.key:
            return
        self._head_tensor(self._selected)
        self.badge.set_text("" if data.words else self.tr("all %1 values").replace("%1", numbers.count(data.count)))
        bad = [text for text in (self._bad(data.nan, "NaN"), self._bad(data.infinite, self.tr("infinite"))) if text]
        self.bad_values.set_text(", ".join(bad), "attention")
        self.figures.setText(" · ".join(f"{self._figure_name(name)} {text}" for name, text in data.figures))
        self.figures.setVisible(bool(data.figures))
        self.words.setText(self.tr("The file has changed since it was opened.") if data.changed else data.words)
        set_tone(self.words, "attention" if data.changed else "text2")
        self.words.setVisible(data.changed or bool(data.words))
        self.reload.setVisible(data.changed)
        self._keep_room(True)
        self.plot.setVisible(data.counts is not None)
        self.plot.set_data(data)

    def set_failed(self, words: str) -> None:
        """The values of the selected tensor could not be read, and why."""
        self._show_nothing(words)

    def set_reading(self, share: float | None) -> None:
        """The values of the selected tensor are being read; ``share`` (0 to 1) of them, where that is known."""
        text = self.tr("Reading its values…")
        self._show_nothing(text if share is None else f"{text} {numbers.percent(share, 0)}")

    def retheme(self) -> None:
        """The theme changed: the same items in its colours."""
        self.plot.retheme()
        self.tree.viewport().update()

    # ------------------------------------------------------------------------------------------------------- within

    def _on_row_selected(self, selected: CheckpointRow) -> None:
        self._selected = selected
        if not selected.key:
            # The columns may be too narrow for these words.
            words = [text for text in (selected.marks, selected.note, selected.difference) if text]
            self._show_nothing("\n".join(words) or self.tr("Select a tensor to see its values."))
            return
        self.set_reading(None)
        self.tensor_requested.emit(selected.key)

    def _keep_room(self, keep: bool) -> None:
        """Whether the plot's place stays free while there is none: the rows above must not jump at each selection."""
        policy = self.plot.sizePolicy()
        policy.setRetainSizeWhenHidden(keep)
        self.plot.setSizePolicy(policy)

    def _show_nothing(self, words: str) -> None:
        self.plot.hide()
        self.figures.hide()
        self.reload.hide()
        self.badge.set_text("")
        self.bad_values.set_text("")
        set_tone(self.words, "text2")
        self.words.setText(words)
        self.words.show()
        self._head_tensor(self._selected)

    def _head_tensor(self, selected: CheckpointRow | None) -> None:
        self.tensor_heading.setVisible(selected is not None)
        if selected is not None:
            shown = (selected.shape, selected.dtype, selected.note, selected.difference)
            parts = shown if selected.key else (selected.kind,)
            self.tensor_heading.set_text(selected.key or selected.name, " · ".join(part for part in parts if part))

    def _bad(self, count: int, word: str) -> str:
        return f"{numbers.count(count)} {word}" if count else ""

    def _figure_name(self, name: str) -> str:
        return {
            "minimum": self.tr("minimum"),
            "maximum": self.tr("maximum"),
            "mean": self.tr("mean"),
            "deviation": self.tr("s.d."),
        }[name]

    def _fill_choices(self, menu: QMenu) -> None:
        for key, count in self._data.choices if self._data is not None else ():
            text = self.tr("%1, %2 tensors").replace("%1", key).replace("%2", numbers.count(count))
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(self._data is not None and key == self._data.key)
            action.triggered.connect(lambda _=False, key=key: self.key_requested.emit(key))
