"""The Statistics page: running statistics, this batch's, and the checkpoint's, layer by layer."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from modelight.widgets import numbers
from modelight.widgets.buttons import Button
from modelight.widgets.checkpoint_table import CheckpointTable
from modelight.widgets.counted import counted
from modelight.widgets.labels import label
from modelight.widgets.norm_cards import CardScroll, NormCards
from modelight.widgets.sections import Entry, Heading, Page, row
from modelight.widgets.statistics_data import NormDetail, StatisticsData
from modelight.widgets.statistics_plots import ChannelPlot, DriftPlot, PreviewPlot
from modelight.widgets.switch import Switch


class StatisticsPage(Page):
    """Shows :class:`StatisticsData`."""

    layer_selected = Signal(str)
    """The path of the layer whose card was pressed."""
    keep_updates_requested = Signal(bool)
    restore_requested = Signal()
    reestimate_requested = Signal()
    """Estimate running statistics from the present input."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: StatisticsData | None = None
        self.cards = NormCards()
        self.cards.selected.connect(self.layer_selected)
        self.card_scroll = CardScroll(self.cards)
        self.channel_heading, self.drift_heading, self.preview_heading = Heading(), Heading(), Heading()
        self.table_heading = Heading()
        self.mean, self.variance = ChannelPlot("running-mean"), ChannelPlot("running-variance")
        self.drift, self.preview = DriftPlot(), PreviewPlot()
        self.drift_note, self.preview_note = _note(), _note()
        self.drift.shown_changed.connect(self._on_shown)
        self.table = CheckpointTable()
        self.keep = Switch(self.tr("Keep updates"))
        self.keep.clicked.connect(self.keep_updates_requested)
        self.restore = Button(self.tr("Restore checkpoint"), height=26)
        self.restore.clicked.connect(self.restore_requested)
        self.reestimate = Button(self.tr("Re-estimate…"), height=26)
        self.reestimate.clicked.connect(self.reestimate_requested)
        self.words = label(tone="text2", size=12, wrap=True)
        self._lay_out()

    def _lay_out(self) -> None:
        self.column.addWidget(self.card_scroll)
        self.column.addSpacing(16)
        self.column.addWidget(self.channel_heading)
        self.column.addWidget(self.words)
        self.column.addSpacing(8)
        self._channels = QWidget()
        pair = _pair(self._channels)
        titles = (label(self.tr("Mean"), size=12, weight=500), label(self.tr("Variance"), size=12, weight=500))
        for column, (title, plot) in enumerate(zip(titles, (self.mean, self.variance), strict=True)):
            pair.addWidget(title, 0, column)
            pair.addWidget(plot, 1, column)
        self.column.addWidget(self._channels)
        self._drift_rule = self.add_rule()
        self._drifts = QWidget()
        pair = _pair(self._drifts)
        for column, parts in enumerate(
            ((self.drift_heading, self.drift, self.drift_note), (self.preview_heading, self.preview, self.preview_note))
        ):
            box = QVBoxLayout()
            box.setSpacing(4)
            for part in parts:
                box.addWidget(part)
            box.addStretch(1)
            pair.addLayout(box, 0, column)
        self.column.addWidget(self._drifts)
        self._table_rule = self.add_rule()
        head = row(self.table_heading, self.restore, self.keep, spacing=12)
        head.setStretch(0, 1)
        self.column.addLayout(head)
        self.column.addSpacing(4)
        self.column.addWidget(self.table)
        self.column.addSpacing(8)
        self.column.addLayout(row(self.reestimate, None))
        self.column.addStretch(1)

    def data(self) -> StatisticsData | None:
        """What is shown."""
        return self._data

    def set_data(self, data: StatisticsData) -> None:
        """Show the statistics of the last run."""
        self._data = data
        detail = data.selected
        self.cards.set_data(data.cards, None if detail is None else detail.path)
        self.card_scroll.fit()
        self.card_scroll.show_selected()
        self.keep.setChecked(data.keep_updates)
        self.restore.setEnabled(data.moved)
        self.restore.setText(self.tr("Restore checkpoint") if data.loaded else self.tr("Put back"))
        if detail is not None:
            self._fill_channels(detail)
            self._fill_drift(detail)
            self._fill_preview(detail)
            self._fill_table(detail, data.loaded)

    def retheme(self) -> None:
        """The theme changed: the same items in its colours."""
        for plot in (self.mean, self.variance, self.drift, self.preview):
            plot.retheme()

    # --------------------------------------------------------------------------------------------------------- content

    def _fill_channels(self, detail: NormDetail) -> None:
        entries = [Entry("fill", "train_mark", self.tr("this batch"))] if detail.mean.batch is not None else []
        if detail.mean.running is not None:
            entries.append(Entry("fill", "eval_mark", self.tr("running, now")))
        if detail.mean.checkpoint is not None:
            entries.append(Entry("outline", "text", self._baseline()))
        channels = counted(detail.channels, self.tr("%1 channel"), self.tr("%1 channels"))
        self.channel_heading.set_text(
            self.tr("One value per channel"),
            f"{detail.path}, {detail.type}, {channels}",
            entries,
            (f"{detail.path}, {channels}", detail.path, channels),
        )
        self.words.setText(self.explanation(detail))
        self.words.setVisible(bool(self.words.text()))
        self._channels.setVisible(_plottable(detail))
        if _plottable(detail):
            self.mean.set_data(detail.mean, (detail.path, detail.channels))
            self.variance.set_data(detail.variance, (detail.path, detail.channels))

    def _baseline(self) -> str:
        """What the buffers held before anything moved them."""
        return self.tr("checkpoint") if self._data is None or self._data.loaded else self.tr("as built")

    def explanation(self, detail: NormDetail) -> str:
        """What the layer did in this run, where the plots do not say it."""
        parts = [detail.words] if detail.words else []
        if detail.mean.running is None:
            text = {
                "batch": self.tr("It keeps no running statistics: train and eval both use the batch’s."),
                "instance": self.tr(
                    "It keeps no running statistics: each sample is normalised by itself in both modes."
                ),
            }
            parts.append(text.get(detail.uses, ""))
        if detail.forwards > 1:
            forwards = counted(
                detail.batch_count,
                self.tr("“This batch” is the mean over %2 forwards of 1 value per channel."),
                self.tr("“This batch” is the mean over %2 forwards of %1 values per channel."),
            )
            parts.append(forwards.replace("%2", numbers.count(detail.forwards)))
        if detail.mean.batch is not None and detail.batch_count == 1:
            parts.append(self.tr("One value has no variance."))
        if detail.mean.running is not None and not _plottable(detail):
            parts.append(self.tr("None of the values is finite, so there is nothing to plot."))
        return " ".join(part for part in parts if part)

    def _fill_drift(self, detail: NormDetail) -> None:
        there = detail.drift is not None and bool(np.isfinite(detail.drift).any())
        self._drifts.setVisible(there)
        self._drift_rule.setVisible(there)
        if detail.drift is None or not there:
            return
        past = detail.checkpoint_drift
        entries = [Entry("dash", "text", self._baseline())] if past is not None else []
        self.drift_heading.set_text(self.tr("Drift"), self.tr("|batch − running| in σ"), entries)
        self.drift.set_data(detail.drift, past, (detail.path, detail.channels))
        self._note_drift(detail)

    def _on_shown(self) -> None:
        if self._data is not None and self._data.selected is not None:
            self._note_drift(self._data.selected)

    def _note_drift(self, detail: NormDetail) -> None:
        if detail.drift is None:
            return
        note = self.tr("channel, sorted by drift")
        if detail.channels > self.drift.shown:
            note = self.tr("the %1 channels of %2 that drift most").replace("%1", str(self.drift.shown))
            note = note.replace("%2", numbers.count(detail.channels))
        lost = int(np.count_nonzero(~np.isfinite(detail.drift)))
        if lost:
            note += self.tr("; %1 without variance").replace("%1", numbers.count(lost))
        self.drift_note.setText(note)

    def _fill_preview(self, detail: NormDetail) -> None:
        there = detail.preview_largest is not None and detail.preview_median is not None
        self.preview.setVisible(there)
        self.preview_note.setVisible(there)
        if not there:
            self.preview_heading.set_text(self.tr("Next updates"), self._no_preview(detail))
            return
        curves = [Entry("line", "attention", self.tr("largest")), Entry("line", "mask", self.tr("median"))]
        self.preview_heading.set_text(self.tr("Next updates"), self.tr("in σ"), curves)
        self.preview.set_data(detail, (detail.path, detail.channels))
        if detail.momentum is None:
            momentum = self.tr("cumulative average")
        else:
            momentum = self.tr("momentum %1").replace("%1", f"{detail.momentum:g}")
        passes = self.tr("further passes of this input") if detail.updates else self.tr("passes, were it in train")
        self.preview_note.setText(f"{passes}, {momentum}")

    def _no_preview(self, detail: NormDetail) -> str:
        """Why nobody can say what further passes would do."""
        if detail.momentum == 0:
            return self.tr("momentum 0: no pass moves them")
        if detail.batch_count == 1:
            return self.tr("none: train needs more than one value per channel")
        return self.tr("not known for this run")

    def _fill_table(self, detail: NormDetail, loaded: bool) -> None:
        self.table.set_data(detail, loaded)
        seen = detail.seen
        words = ""
        if detail.mean.checkpoint is None:
            words = self.tr("no checkpoint holds this layer") if loaded else ""
        elif seen.now is not None and seen.checkpoint is not None and seen.now != seen.checkpoint:
            kept = seen.now - seen.checkpoint
            words = counted(kept, self.tr("%1 update was kept"), self.tr("%1 updates were kept"))
        title = self.tr("Against the checkpoint") if loaded else self.tr("Against the model as built")
        self.table_heading.set_text(title, words)


def _plottable(detail: NormDetail) -> bool:
    """Whether any statistic of the layer is a finite number."""
    parts = (detail.mean.batch, detail.mean.running, detail.variance.batch, detail.variance.running)
    return any(part is not None and bool(np.isfinite(part).any()) for part in parts)


def _pair(parent: QWidget) -> QGridLayout:
    grid = QGridLayout(parent)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(20)
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(0, 1)
    grid.setColumnStretch(1, 1)
    return grid


def _note() -> QLabel:
    made = label(tone="text3", size=11)
    made.setAlignment(Qt.AlignmentFlag.AlignHCenter)
    made.setIndent(34)
    return made
