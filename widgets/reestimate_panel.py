"""*Re-estimate*: what running statistics would become with these inputs, and the file that is written with them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from modelight.widgets import numbers
from modelight.widgets.buttons import Button
from modelight.widgets.controls import Labelled, SpinBox
from modelight.widgets.counted import counted
from modelight.widgets.export import Table
from modelight.widgets.labels import MarkupLabel, label
from modelight.widgets.reestimate_data import NormChange, ReEstimateData
from modelight.widgets.reestimate_list import ChangeList
from modelight.widgets.sections import GAP, MARGIN, Entry, Heading, Rule, row
from modelight.widgets.statistics_data import Three
from modelight.widgets.statistics_plots import ChannelPlot


class ChangePlot(ChannelPlot):
    """One statistic of a layer: now as a dashed outline, re-estimated as a filled one."""

    def table(self) -> Table:
        """One row per channel."""
        header, rows = ("channel", "now", "re-estimated"), super().table().rows
        return Table(header, [(channel, now, new) for channel, _, new, now in rows])


class ReEstimatePanel(QWidget):
    """Shows :class:`ReEstimateData`; before the first estimate, what it would do."""

    estimate_requested = Signal(int, int)
    """Samples per batch, passes over the input."""
    export_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: ReEstimateData | None = None
        self.setProperty("ground", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.batch, self.passes = SpinBox(1, 65_536, 72), SpinBox(1, 1000, 64)
        self.estimate, self.export = Button(self.tr("Estimate"), "primary"), Button(self.tr("Export checkpoint…"))
        self.estimate.clicked.connect(lambda: self.estimate_requested.emit(self.batch.value(), self.passes.value()))
        self.export.clicked.connect(self.export_requested)
        self.verdict, self.words = MarkupLabel(size=13, line_height=20), MarkupLabel(line_height=18)
        self.told = label(tone="text2", size=12, wrap=True)
        self.heading, self.detail = Heading(), Heading()
        self.list = ChangeList()
        self.list.chosen.connect(self._on_chosen)
        self.mean, self.variance = ChangePlot("re-estimated-mean"), ChangePlot("re-estimated-variance")
        self.below = QWidget()
        self._lay_out()
        self.clear()

    def _lay_out(self) -> None:
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN, GAP, MARGIN, 12)
        head.setSpacing(8)
        batch, passes = Labelled(self.tr("Batch"), self.batch), Labelled(self.tr("Passes"), self.passes)
        head.addLayout(row(batch, passes, self.estimate, None, self.export, spacing=12))
        for part in (self.verdict, self.words, self.told):
            head.addWidget(part)
        under = QVBoxLayout(self.below)
        under.setContentsMargins(0, 0, 0, GAP)
        under.setSpacing(8)
        under.addWidget(Rule())
        under.addWidget(_inset(self.heading))
        under.addWidget(self.list, 1)
        under.addWidget(_inset(self.detail))
        under.addWidget(_inset(self._plots()))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self.below, 1)
        column.addStretch(0)

    def _plots(self) -> QWidget:
        pair = QWidget()
        grid = QGridLayout(pair)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(20)
        grid.setVerticalSpacing(2)
        plots = ((self.tr("Mean"), self.mean), (self.tr("Variance"), self.variance))
        for column, (title, plot) in enumerate(plots):
            grid.setColumnStretch(column, 1)
            grid.addWidget(label(title, size=12, weight=500), 0, column)
            grid.addWidget(plot, 1, column)
        return pair

    def data(self) -> ReEstimateData | None:
        """What is shown."""
        return self._data

    def clear(self) -> None:
        """Nothing is estimated: say what an estimate is."""
        self._data = None
        self.verdict.setText(self.tr("**What would running statistics be, had these inputs made them?**"))
        self.words.setText(
            self.tr(
                "The norm layers run in train, all else in eval; every batch counts alike, as in update_bn of torch. "
                "The open model stays as it is. Passes after the first take the samples in another order."
            )
        )
        self.tell("")
        self.below.hide()
        self.export.setEnabled(False)

    def set_busy(self, busy: bool) -> None:
        """An estimate or an export is under way."""
        self.estimate.setEnabled(not busy)
        self.export.setEnabled(not busy and self._data is not None and not self._data.outdated)

    def tell(self, text: str) -> None:
        """What is being done, or how it ended."""
        self.told.setText(text)
        self.told.setVisible(bool(text))

    def set_data(self, data: ReEstimateData) -> None:
        """Show an estimate."""
        self._data = data
        self.verdict.setText(self.verdict_text(data))
        self.words.setText(self.words_text(data))
        subtitle = self.tr("of its input in eval, in running deviations: ring now, disc re-estimated")
        self.heading.set_text(self.tr("Largest drift per layer"), subtitle)
        self.below.show()
        self.list.set_rows(data.norms)
        self.set_busy(False)

    def retheme(self) -> None:
        """The theme changed: the same items in its colours."""
        for plot in (self.mean, self.variance):
            plot.retheme()
        for part in (*self.findChildren(QWidget), self.list.viewport()):
            part.update()

    # ------------------------------------------------------------------------------------------------------- sentences

    def verdict_text(self, data: ReEstimateData) -> str:
        """What the new statistics do to the answers in eval."""
        if data.labelled:
            text = self.tr("In eval **%1 of %3** labelled samples are right now, **%2 of %3** with these statistics.")
            text = text.replace("%1", numbers.count(data.right_now)).replace("%2", numbers.count(data.right_new))
            return text.replace("%3", numbers.count(data.labelled))
        if data.moved is None:
            return self.tr("**The output in eval has another shape** with these statistics.")
        if data.moved == 0:
            return self.tr("**The output in eval stays the same.**")
        unit = self.tr("probability") if data.probabilities else self.tr("mean absolute difference")
        text = self.tr("**The output in eval moves by %1** (%2).").replace("%1", numbers.figure(data.moved, 2))
        return text.replace("%2", unit)

    def words_text(self, data: ReEstimateData) -> str:
        """How it was got, and what to mind."""
        layers = counted(data.estimated, self.tr("%1 layer"), self.tr("%1 layers"))
        samples = counted(data.samples, self.tr("%1 sample"), self.tr("%1 samples"))
        batches = counted(data.batches, self.tr("%1 batch"), self.tr("%1 batches"))
        text = self.tr("%1, from %2 in %3 of %4; every batch counts alike. Nothing has been changed.")
        for place, part in zip(("%1", "%2", "%3", "%4"), (layers, samples, batches, str(data.batch)), strict=True):
            text = text.replace(place, part)
        lines = [text, *data.notes]
        if data.outdated:
            lines.append(self.tr("**The model or its input has changed since.** Estimate again."))
        return "\n".join(lines)

    def _on_chosen(self, one: NormChange) -> None:
        channels = counted(len(one.mean_now), self.tr("%1 channel"), self.tr("%1 channels"))
        entries = [Entry("outline", "text", self.tr("now")), Entry("fill", "eval_mark", self.tr("re-estimated"))]
        self.detail.set_text(self.tr("One value per channel"), f"{one.path}, {one.type}, {channels}", entries)
        scope = (one.path, len(one.mean_now))
        self.mean.set_data(Three(None, one.mean_new, one.mean_now), scope)
        self.variance.set_data(Three(None, one.var_new, one.var_now), scope)


def _inset(part: QWidget) -> QWidget:
    box = QWidget()
    column = QVBoxLayout(box)
    column.setContentsMargins(MARGIN, 0, MARGIN, 0)
    column.addWidget(part)
    return box
