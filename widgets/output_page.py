"""The Output page: what came out for each sample, whether it is the same again, and the raw numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QSizePolicy, QWidget

from modelight.widgets import numbers, paint
from modelight.widgets.counted import counted
from modelight.widgets.labels import label
from modelight.widgets.output_data import Choice, OutputData, Reading
from modelight.widgets.output_plots import RawPlot, SamplePlot
from modelight.widgets.same_strip import SameStrip
from modelight.widgets.sections import Badge, Entry, Heading, MenuButton, Page, row


class OutputPage(Page):
    """Shows :class:`OutputData`. The person's choices leave as ``choice_changed``; the page waits for new data."""

    choice_changed = Signal(object)
    """A :class:`Choice`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: OutputData | None = None
        self.title = MenuButton()
        self.field, self.reading = MenuButton(12, 400, "text2"), MenuButton(12, 400, "text2")
        self.heading = Heading(self.title, self.reading)
        self.bad_values = Badge()
        self.samples, self.same, self.raw = SamplePlot(), SameStrip(), RawPlot()
        self.same_heading, self.raw_heading = Heading(), Heading()
        self.unseen = label(tone="text2", wrap=True)
        self._lay_out()

    def _lay_out(self) -> None:
        for plot, least in ((self.samples, 260), (self.raw, 150)):
            plot.setMinimumHeight(least)
            plot.setMaximumHeight(16777215)
            plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.column.addWidget(self.heading)
        self.column.addLayout(row(self.field, self.bad_values, None, spacing=16))
        self.column.addWidget(self.unseen)
        self.column.addSpacing(8)
        self.column.addWidget(self.samples, 5)
        self._same_rule = self.add_rule()
        self.column.addWidget(self.same_heading)
        self.column.addSpacing(8)
        self.column.addWidget(self.same)
        self._raw_rule = self.add_rule()
        self.column.addWidget(self.raw_heading)
        self.column.addSpacing(8)
        self.column.addWidget(self.raw, 3)

    def data(self) -> OutputData | None:
        """What is shown."""
        return self._data

    def set_data(self, data: OutputData) -> None:
        """Show the outcome of the last runs."""
        self._data = data
        self._fill_heading(data)
        self.samples.setVisible(data.view != "none")
        self.unseen.setVisible(data.view == "none")
        self.unseen.setText(self._why_unseen(data))
        if data.view != "none":
            self.samples.set_data(data)
        self._fill_same(data)
        self._fill_raw(data)

    def _why_unseen(self, data: OutputData) -> str:
        """Why there are no bars."""
        if 0 in data.shape:
            return self.tr("This output is empty: its shape is %1.").replace("%1", numbers.shape(data.shape))
        if data.dtype:
            return self.tr(
                "Values of the type %1 cannot be drawn. Choose another output, or return real numbers."
            ).replace("%1", data.dtype)
        return self.tr("This output has no dimension for the samples, so it is shown as a whole.")

    def retheme(self) -> None:
        """The theme changed: the same items in its colours."""
        self.samples.retheme()
        self.raw.retheme()
        if self._data is not None:
            self.set_data(self._data)

    # ------------------------------------------------------------------------------------------------------- headings

    def _fill_heading(self, data: OutputData) -> None:
        self.title.set_choices(self._fill_columns if data.columns > 1 and data.view in ("column", "top") else None)
        self.reading.set_choices(self._fill_readings if len(data.readings) > 1 else None)
        self.reading.setText(self.reading_name(data.reading))
        self.reading.setToolTip(self.reading_text(data.reading))
        self.reading.setVisible(data.view != "none")
        runs, *shorter = self.runs_texts(data)
        self.heading.set_text(self.title_text(data), runs, self._legend(data), shorter)
        self.field.setVisible(len(data.fields) > 1)
        self.field.set_choices(self._fill_fields)
        self.field.setText(self.tr("output %1").replace("%1", self._field_name(data.choice.field or "")))
        bad = numbers.count(data.not_finite)
        self.bad_values.set_text(
            self.tr("%1 values are NaN or infinite").replace("%1", bad) if data.not_finite else "", "attention"
        )

    def title_text(self, data: OutputData) -> str:
        """What the bars are."""
        if data.view == "top":
            sample = data.samples[data.choice.sample or 0]
            text = (
                self.tr("Largest probabilities of sample %1")
                if data.bounded
                else self.tr("Largest values of sample %1")
            )
            return text.replace("%1", sample)
        if data.view == "mean":
            return self.tr("Mean of each sample’s values")
        if data.view == "none":
            return self.tr("Output")
        if data.columns == 1:
            return self.tr("Probability") if data.bounded else self.tr("Value per sample")
        text = self.tr("Probability of class %1") if data.bounded else self.tr("Value %1")
        return text.replace("%1", self._column_name(data, data.choice.column or 0))

    def runs_texts(self, data: OutputData) -> list[str]:
        """How the bars were got, in ever fewer words."""
        several = bool(np.isfinite(data.bars.spread).any() and np.nanmax(data.bars.spread) > 0)
        if data.view == "mean":
            text = self.tr("shape %1").replace("%1", numbers.shape(data.shape))
        elif data.runs > 1 and several:
            text = counted(data.runs, self.tr("mean of %1 run"), self.tr("mean of %1 runs"))
        else:
            text = self._runs(data.runs)
        together = counted(data.batch, self.tr("one sample at a time"), self.tr("%1 samples at a time"))
        short = counted(data.batch, self.tr("one at a time"), self.tr("%1 at a time"))
        return [f"{text}, {together}", f"{text}, {short}", text]

    def _runs(self, runs: int) -> str:
        return counted(runs, self.tr("%1 run"), self.tr("%1 runs"))

    def reading_text(self, reading: Reading) -> str:
        """How the numbers were read."""
        return {
            "softmax": self.tr("softmax of the raw output"),
            "probabilities": self.tr("already probabilities"),
            "log_probabilities": self.tr("exp of log-probabilities"),
            "sigmoid": self.tr("sigmoid of the raw output"),
            "raw": self.tr("raw values"),
        }[reading]

    def reading_name(self, reading: Reading) -> str:
        """The same in a word or two."""
        return {
            "softmax": self.tr("softmax"),
            "probabilities": self.tr("as given"),
            "log_probabilities": self.tr("exp"),
            "sigmoid": self.tr("sigmoid"),
            "raw": self.tr("raw"),
        }[reading]

    def _column_name(self, data: OutputData, column: int) -> str:
        if column < len(data.class_names) and data.class_names[column] != str(column):
            return f"{column}, {data.class_names[column]}"
        return str(column)

    def _field_name(self, name: str) -> str:
        return name or self.tr("(whole)")

    def _legend(self, data: OutputData) -> list[Entry]:
        entries = []
        if np.isfinite(data.bars.labels).any():
            entries.append(Entry("dash", "text", self.tr("label")))
        if np.isfinite(data.bars.before).any() and data.before_mode is not None:
            entries.append(Entry("ghost", paint.mark(data.before_mode), self._before_text(data)))
        if self.samples_spread(data):
            text = self.tr("± 1 s.d. of its values") if data.view == "mean" else self.tr("± 1 s.d.")
            entries.append(Entry("whisker", "text", text))
        return entries

    def samples_spread(self, data: OutputData) -> bool:
        """Whether any whisker is drawn."""
        return bool((np.nan_to_num(data.bars.spread) > 0).any())

    def _before_text(self, data: OutputData) -> str:
        if data.before_own_train:
            return self.tr("before, by the flags alone")
        words = {"train": self.tr("before, all train"), "eval": self.tr("before, all eval")}
        return words.get(data.before_mode or "", self.tr("before, mixed"))

    # --------------------------------------------------------------------------------------------------------- choices

    def _fill_columns(self, menu: QMenu) -> None:
        data = self._data
        if data is None:
            return
        columns = range(data.columns) if data.columns <= 32 else data.ranked
        for column in columns:
            text = self.tr("Class %1") if data.bounded else self.tr("Value %1")
            choice = replace(data.choice, column=column, sample=None)
            self._add(menu, text.replace("%1", self._column_name(data, column)), choice, data.choice == choice)
        if data.columns > 2:
            below = menu.addMenu(self.tr("Largest of one sample"))
            for index, caption in enumerate(data.samples):
                choice = replace(data.choice, column=None, sample=index)
                chosen = data.view == "top" and data.choice.sample == index
                self._add(below, f"{index}  {caption}", choice, chosen)

    def _fill_fields(self, menu: QMenu) -> None:
        data = self._data
        if data is None:
            return
        for name in data.fields:
            self._add(menu, self._field_name(name), Choice(field=name), name == data.choice.field)

    def _fill_readings(self, menu: QMenu) -> None:
        data = self._data
        if data is None:
            return
        for reading in data.readings:
            self._add(menu, self.reading_text(reading), replace(data.choice, reading=reading), reading == data.reading)

    def _add(self, menu: QMenu, text: str, choice: Choice, chosen: bool) -> None:
        action = menu.addAction(text.replace("&", "&&"))
        action.setCheckable(True)
        action.setChecked(chosen)
        action.triggered.connect(lambda: self.choice_changed.emit(choice))

    # --------------------------------------------------------------------------------------------------- other sections

    def _fill_same(self, data: OutputData) -> None:
        for part in (self._same_rule, self.same_heading, self.same):
            part.setVisible(bool(data.same))
        if not data.same:
            return
        if data.choice.column is None:
            what = self.tr("mean of the values")
        elif data.columns == 1:
            what = self.tr("the value")
        else:
            text = self.tr("probability of class %1") if data.bounded else self.tr("value %1")
            what = text.replace("%1", str(data.choice.column))
        self.same_heading.set_text(self.tr("Same input, same answer?"), what)
        self.same.set_data(data.same, data.mode, data.bounded)

    def _fill_raw(self, data: OutputData) -> None:
        histogram = data.histogram
        for part in (self._raw_rule, self.raw_heading, self.raw):
            part.setVisible(histogram is not None)
        if histogram is None:
            return
        values = counted(histogram.width, self.tr("%1 value"), self.tr("%1 values"))
        inputs = counted(histogram.inputs, self.tr("%1 input"), self.tr("%1 inputs"))
        text = " × ".join((values, *([inputs] if histogram.inputs else []), self._runs(histogram.runs)))
        if histogram.sampled:
            text = self.tr("sampled %1 of %2 values").replace("%1", numbers.count(histogram.sampled[0]))
            text = text.replace("%2", numbers.count(histogram.sampled[1]))
        entries = []
        for index, series in enumerate(histogram.series):
            if series.name:
                name = self.tr("all others") if series.name == "*" else self._class_name(data, int(series.name))
                entries.append(Entry("outline" if index else "fill", paint.mark(data.mode), name))
        self.raw_heading.set_text(self.tr("Raw output"), self.tr("%1, log count").replace("%1", text), entries)
        self.raw.set_data(data)

    def _class_name(self, data: OutputData, column: int) -> str:
        if column < len(data.class_names):
            return data.class_names[column]
        text = self.tr("class %1") if data.bounded else self.tr("value %1")
        return text.replace("%1", str(column))
