"""The Gradients page: which parameters would receive a gradient, where the graph is cut, what it keeps and costs."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from modelight.widgets import numbers
from modelight.widgets.buttons import Button
from modelight.widgets.counted import counted
from modelight.widgets.empty import EmptyPage
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.gradients_data import CutLine, GradientsData, Times
from modelight.widgets.gradients_list import GradientHeader, GradientList, decades
from modelight.widgets.labels import MarkupLabel, label
from modelight.widgets.row_list import ROW_ROLE
from modelight.widgets.sections import GAP, MARGIN, Heading, row

CUTS = 4
"""Cuts that are said one by one."""
NAMED = 4


class GradientsPage(QStackedWidget):
    """Shows :class:`GradientsData`; before anybody looked, what to do."""

    look_requested = Signal()
    freeze_requested = Signal(str, bool)
    """Set requires_grad of the parameters of the module at this path."""
    row_selected = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: GradientsData | None = None
        self.empty, self.page = EmptyPage(), QWidget()
        self.empty.pressed.connect(self.look_requested)
        self.heading = Heading()
        self.verdict, self.cuts, self.facts, self.costs = (MarkupLabel(line_height=18) for _ in range(4))
        self.outdated, self.again = label(tone="text2", size=12, wrap=True), Button(height=26)
        self.again.clicked.connect(self.look_requested)
        self.list = GradientList()
        self.header = GradientHeader(self.list)
        self.list.freeze_requested.connect(self.freeze_requested)
        self.list.clicked.connect(self._on_chosen)
        self.export = ExportMenu(self.list, "gradients", self.table)
        self._lay_out()
        self.clear()

    def _lay_out(self) -> None:
        self.page.setProperty("ground", "surface")
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN, GAP, MARGIN, 12)
        head.setSpacing(6)
        for part in (self.heading, self.verdict, self.cuts, self.facts, self.costs):
            head.addWidget(part)
        line = row(self.outdated, self.again)
        line.setStretch(0, 1)
        head.addLayout(line)
        column = QVBoxLayout(self.page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self.header)
        column.addWidget(self.list, 1)
        self.addWidget(self.empty)
        self.addWidget(self.page)

    def data(self) -> GradientsData | None:
        """What is shown."""
        return self._data

    def clear(self) -> None:
        """Nobody has looked yet: say what to do."""
        self._data = None
        text = self.tr("Run forward and backward once, and see which parameters receive a gradient.")
        self.empty.set_text(text, self.tr("Run backward"))
        self.setCurrentWidget(self.empty)

    def set_progress(self, what: str, fraction: float | None) -> None:
        """The runs are under way; shown where there is nothing else to show."""
        if self._data is None:
            self.empty.set_text(what if fraction is None else f"{what}  {numbers.percent(fraction, 0)}")

    def set_data(self, data: GradientsData) -> None:
        """Show what backward did."""
        self._data = data
        self.heading.set_text(self.tr("Who receives a gradient"), self.runs_text(data))
        texts = (self.verdict_text(data), self.cuts_text(data), self.facts_text(data), self.costs_text(data))
        for part, text in zip((self.verdict, self.cuts, self.facts, self.costs), texts, strict=True):
            part.setText(text)
            part.setVisible(bool(text))
        self.outdated.setText(self.tr("The model or its input has changed since."))
        self.again.setText(self.tr("Run again"))
        self.outdated.setVisible(data.outdated)
        self.again.setVisible(data.outdated)
        self.header.span = self.list.painter.span = decades(data.rows)
        self.list.rows.set_rows(data.rows)
        self.header.update()
        self.list.viewport().update()
        self.setCurrentWidget(self.page)

    def select(self, path: str) -> None:
        """Select the row of a module and bring it into view, without emitting."""
        for index, one in enumerate(self.list.rows.rows()):
            if one.path == path:
                self.list.setCurrentIndex(self.list.rows.index(index))
                return
        self.list.clearSelection()

    def retheme(self) -> None:
        """The theme changed: everything paints itself in its colours."""
        for part in (*self.page.findChildren(QWidget), self.list.viewport()):
            part.update()

    def table(self) -> Table:
        """One row per module."""
        header = ("module", "type", "parameters", "trainable", "received", "zero", "norm", "kept bytes", "grad_fn")
        rows = [
            (one.path, one.type, one.parameters, one.trainable, one.received, one.zero, one.norm, one.kept, one.grad_fn)
            for one in self.list.rows.rows()
        ]
        return Table(header, rows)

    # ------------------------------------------------------------------------------------------------------- sentences

    def runs_text(self, data: GradientsData) -> str:
        """What was run."""
        samples = counted(data.samples, self.tr("%1 sample"), self.tr("%1 samples"))
        return ", ".join((samples, self.tr("seed %1").replace("%1", str(data.seed))))

    def scalar_text(self, data: GradientsData) -> str:
        """What backward started from."""
        text = self.tr("Backward started from the %1: **%2**.").replace("%1", data.scalar)
        return text.replace("%2", numbers.figure(data.value)) if data.scalar else ""

    def verdict_text(self, data: GradientsData) -> str:
        """Who receives a gradient, and who not."""
        if data.problem:
            return f"**{data.problem}**"
        missing = data.trainable - data.received
        if missing <= 0:
            text = counted(
                data.trainable,
                self.tr("**The only trainable parameter receives a gradient.**"),
                self.tr("**All %1 trainable parameters receive a gradient.**"),
            )
        else:
            text = self.tr("**%1 of %2 trainable parameters receive no gradient:** %3.")
            text = text.replace("%1", numbers.count(missing)).replace("%2", numbers.count(data.trainable))
            text = text.replace("%3", self._names(data.unreached, missing))
        if data.zero:
            zero = counted(
                data.zero, self.tr("**%1** gradient is exactly zero."), self.tr("**%1** gradients are exactly zero.")
            )
            text = f"{text} {zero}"
        return text

    def cuts_text(self, data: GradientsData) -> str:
        """The lines that cut them off."""
        lines = [self.cut_text(cut) for cut in data.cuts[:CUTS]]
        if len(data.cuts) > CUTS:
            rest = len(data.cuts) - CUTS
            lines.append(
                counted(rest, self.tr("%1 more line cuts the graph."), self.tr("%1 more lines cut the graph."))
            )
        if data.unexplained:
            text = self.tr("No cut was seen for %1: no part of the output came from there, or nobody can look inside.")
            lines.append(text.replace("%1", self._names(data.unexplained, len(data.unexplained))))
        return "\n".join(lines)

    def cut_text(self, cut: CutLine) -> str:
        """One cut in a sentence."""
        what = {
            "detach": self.tr("**detach()**"),
            "data": self.tr("**.data**"),
            "item": self.tr("**%1()**, which leaves torch,"),
            "no_grad": self.tr("**no_grad** around %1"),
            "inference_mode": self.tr("**inference_mode** around %1"),
            "integer": self.tr("**%1**, whose result has no real numbers,"),
            "operator": self.tr("**%1**, whose result does not require grad,"),
        }[cut.reason].replace("%1", cut.operator)
        where = self.tr("in %1").replace("%1", cut.module) if cut.module else self.tr("in the model itself")
        place = self.tr("at %1, %2,").replace("%1", cut.source).replace("%2", where) if cut.source else where
        names = self._names(cut.names, cut.count)
        text = counted(cut.count, self.tr("cuts off %1 parameter: %2."), self.tr("cuts off %1 parameters: %2."))
        return f"{what} {place} {text.replace('%2', names)}"

    def facts_text(self, data: GradientsData) -> str:
        """What is easily confused with gradients."""
        lines = [self.scalar_text(data)] if data.scalar else []
        if data.grad_mode != "enabled":
            text = self.tr("This was run with gradients on. The present grad mode, **%1**, stops all of them.")
            lines.append(text.replace("%1", data.grad_mode))
        if data.all_eval and data.received:
            lines.append(self.tr("All modules are in eval, and gradients flow: eval() does not stop them."))
        moving = [one.path or one.name for one in data.rows if one.moves]
        if moving:
            lines.append(self.tr("requires_grad=False does not freeze running statistics; eval does."))
            text = counted(
                len(moving),
                self.tr("**%2** is frozen and moves its own."),
                self.tr("**%2** are frozen and move their own."),
            )
            lines[-1] += " " + text.replace("%2", self._names(tuple(moving), len(moving)))
        return "\n".join(lines)

    def costs_text(self, data: GradientsData) -> str:
        """Bytes and time."""
        parts = [self.tr("Autograd keeps **%1** for backward.").replace("%1", numbers.size(data.kept))]
        if data.forward is not None and data.milliseconds is not None:
            text = self.tr("A forward with gradients takes %1 as long as without (%2).")
            text = text.replace("%2", numbers.milliseconds(data.milliseconds))
            parts.append(text.replace("%1", self._times(data.forward)))
        if data.backward is not None:
            parts.append(self.tr("With backward, %1.").replace("%1", self._times(data.backward)))
        if data.forward is not None:
            note = self.tr("In brackets: quartiles of %1 pairs of runs.")
            parts.append(note.replace("%1", numbers.count(data.forward.pairs)))
        if data.watched:
            parts.append(self.tr("Times include a watch for writes, which a model of this size is not run without."))
        return " ".join(parts)

    def _times(self, times: Times) -> str:
        return f"**{times.median:.2f} ×** [{times.low:.2f}, {times.high:.2f}]"

    def _names(self, names: tuple[str, ...], count: int) -> str:
        text, rest = ", ".join(names[:NAMED]), count - min(len(names), NAMED)
        return text + self.tr(" and %1 more").replace("%1", numbers.count(rest)) if rest > 0 else text

    def _on_chosen(self, index: QModelIndex) -> None:
        self.row_selected.emit(index.data(ROW_ROLE).path)
