"""Batch-mates: a sample's answer over the size of its batch, and the layers that let samples talk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from modelight.widgets import numbers
from modelight.widgets.counted import counted
from modelight.widgets.experiment_plots import CompanyPlot, Line
from modelight.widgets.experiment_section import ExperimentSection, amount, filled, named, subject_words
from modelight.widgets.experiments_data import CompanyCurve, CompanyData, CompanyLayer
from modelight.widgets.labels import label
from modelight.widgets.sections import Heading
from modelight.widgets.share_bars import ShareBars, ShareRow

PALE = 3
"""Other samples whose curves are drawn."""


class CompanySection(ExperimentSection):
    """Shows :class:`CompanyData`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.answer, self.accuracy = CompanyPlot("batch-mates"), CompanyPlot("accuracy-over-batch-size")
        self.answer_heading, self.accuracy_heading = Heading(), Heading()
        self.layers_heading, self.layers = Heading(), ShareBars("batch-mates-layers", "moved by")
        self.thin, self.note = label(tone="text2", size=12, wrap=True), label(tone="text2", size=12, wrap=True)
        self._accuracy = QWidget()
        plots = QHBoxLayout()
        plots.setSpacing(20)
        plots.addLayout(_under(self.answer_heading, self.answer), 1)
        self._accuracy.setLayout(_under(self.accuracy_heading, self.accuracy))
        self._accuracy.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        plots.addWidget(self._accuracy, 1)
        self.pictures.addLayout(plots)
        self.pictures.addWidget(self.thin)
        self.pictures.addSpacing(12)
        for part in (self.layers_heading, self.layers, self.note):
            self.pictures.addWidget(part)
        self.set_texts(
            self.tr("Batch-mates"),
            self.tr("Does a sample's answer depend on which others are in its batch, and on how many?"),
        )

    def set_data(self, data: CompanyData) -> None:
        """Show what was found."""
        self.show_verdict(self.verdict_text(data), data.outdated)
        if not data.curves:
            self.body.hide()
            return
        self._fill_curves(data)
        self._fill_layers(data)

    def _fill_curves(self, data: CompanyData) -> None:
        how = counted(data.runs, self.tr("band ± 1 s.d. of %1 run"), self.tr("band ± 1 s.d. of %1 runs"))
        title = subject_words(data.subject)
        subtitle = self.tr("first sample, %1").replace("%1", how)
        self.answer_heading.set_text(title[:1].upper() + title[1:], subtitle, (), (how,))
        lines = tuple(self._line(curve, curve.means[0], curve.deviations) for curve in data.curves)
        self.answer.set_data(data.sizes, lines, data.low, data.high)
        self._accuracy.setVisible(bool(data.labelled))
        if data.labelled:
            of = counted(
                data.labelled,
                self.tr("%1 labelled sample, over batch size"),
                self.tr("%1 labelled samples, over batch size"),
            )
            self.accuracy_heading.set_text(self.tr("Accuracy"), of)
            shares = tuple(self._line(curve, curve.right, curve.right_deviations) for curve in data.curves)
            self.accuracy.set_data(data.sizes, shares, 0.0, 1.0)

    def _line(self, curve: CompanyCurve, values: np.ndarray, deviations: np.ndarray) -> Line:
        others = tuple(curve.means[1 : 1 + PALE]) if values is not curve.right else ()
        name = self.tr("train") if curve.training else self.tr("eval")
        return Line(name, curve.training, values, deviations, others)

    # -------------------------------------------------------------------------------------------------------- sentences

    def verdict_text(self, data: CompanyData) -> str:
        """What company does, in each mode, and who lets samples talk."""
        if data.unseen:
            return data.unseen
        return "\n".join(" ".join(part for part in self._sentences(curve, data) if part) for curve in data.curves)

    def _sentences(self, curve: CompanyCurve, data: CompanyData) -> list[str]:
        return [self._effect(curve, data), self._accuracy_text(curve, data), self._who(curve)]

    def _effect(self, curve: CompanyCurve, data: CompanyData) -> str:
        mode = self.tr("In train") if curve.training else self.tr("In eval")
        text = {
            "same": self.tr("**%1** company changes nothing."),
            "rounding": self.tr("**%1** company changes nothing beyond rounding."),
            "chance": self.tr("**%1** the answer differs by no more than repeats do."),
            "differs": self.tr("**%1** company moves the answer: %2 goes from **%3** %5 to **%4** %6."),
            "raises": self.tr("**%1** the model raises at every batch size: %7"),
            "alone-raises": self.tr(
                "**%1** the model runs with one batch size alone, so there is nothing to compare: %7"
            ),
        }[curve.effect]
        before, after = self._figures(curve, data)
        subject, problems = subject_words(data.subject), " ".join(curve.problems)
        return filled(
            text, mode, subject, before, after, self._company(curve.least), self._company(curve.most), problems
        )

    def _figures(self, curve: CompanyCurve, data: CompanyData) -> tuple[str, str]:
        before, after = amount(curve.before, data.subject), amount(curve.after, data.subject)
        if before == after:
            return numbers.figure(curve.before, 5), numbers.figure(curve.after, 5)
        return before, after

    def _company(self, size: int) -> str:
        if size == 1:
            return self.tr("alone")
        return counted(size - 1, self.tr("with %1 other"), self.tr("among %1 others"))

    def _accuracy_text(self, curve: CompanyCurve, data: CompanyData) -> str:
        known = np.flatnonzero(np.isfinite(curve.right))
        if not known.size or curve.effect in ("same", "rounding"):
            return ""
        first, last = known[0], known[-1]
        return filled(
            self.tr("Accuracy is %1 at batch size %2 and %3 at %4."),
            numbers.percent(float(curve.right[first])),
            numbers.count(data.sizes[first]),
            numbers.percent(float(curve.right[last])),
            numbers.count(data.sizes[last]),
        )

    def _who(self, curve: CompanyCurve) -> str:
        parts = []
        if curve.first is not None:
            parts.append(self.tr("**%1** is the first to let samples talk.").replace("%1", named(curve.first)))
        others = [path for path in curve.mixing if path != curve.first]
        if others:
            count = counted(
                len(others),
                self.tr("%1 more layer normalises with the batch's statistics."),
                self.tr("%1 more layers normalise with the batch's statistics."),
            )
            parts.append(count)
        return " ".join(parts)

    # ----------------------------------------------------------------------------------------------------------- layers

    def _fill_layers(self, data: CompanyData) -> None:
        curve = next((one for one in data.curves if one.layers and _moves(one)), None)
        curve = curve or next((one for one in data.curves if one.layers), None)
        shown = curve is not None and _moves(curve)
        self.layers_heading.setVisible(shown)
        self.layers.setVisible(shown)
        if curve is not None and shown:
            mode = self.tr("train") if curve.training else self.tr("eval")
            of = self.tr("first sample in a batch of %1 against %2, in %3; 0: the same, 1: nothing in common")
            of = filled(of, numbers.count(data.samples), numbers.count(curve.least), mode)
            self.layers_heading.set_text(self.tr("Moved by company, layer by layer"), of)
            self.layers.set_rows(tuple(self._row(layer) for layer in curve.layers))
        self.thin.setText(self.tr("Thin curves: the samples after the first."))
        self.thin.setVisible(len(data.curves[0].means) > 1)
        self.note.setText(self._notes(data.curves))
        self.note.setVisible(bool(self.note.text()))

    def _row(self, layer: CompanyLayer) -> ShareRow:
        figure = "–" if layer.apart is None else numbers.figure(0.0 if layer.rounding else layer.apart, 2)
        note = self.tr("mixes, the first") if layer.leading else self.tr("mixes") if layer.mixes else ""
        value = 0.0 if layer.rounding else layer.apart
        return ShareRow(
            layer.path, layer.type, value, figure, note, layer.leading, "train_mark" if layer.mixes else "mask"
        )

    def _notes(self, curves: Sequence[CompanyCurve]) -> str:
        """What is not shown; where it is not the same in both modes, in which one."""
        notes = [self._mode_note(one) for one in curves]
        if len(set(notes)) == 1:
            return notes[0]
        modes = [self.tr("In train: %1") if one.training else self.tr("In eval: %1") for one in curves]
        return "\n".join(mode.replace("%1", note) for mode, note in zip(modes, notes, strict=True) if note)

    def _mode_note(self, curve: CompanyCurve) -> str:
        hidden = counted(
            curve.hidden, self.tr("%1 layer that only passes it on is not listed."),
            self.tr("%1 layers that only pass it on are not listed."),
        )  # fmt: skip
        parts = [hidden if curve.hidden and _moves(curve) else "", curve.unseen]
        if curve.effect not in ("raises", "alone-raises"):
            parts += curve.problems
        return " ".join(part for part in parts if part)


def _moves(curve: CompanyCurve) -> bool:
    return any(layer.apart is not None and layer.apart > 0 and not layer.rounding for layer in curve.layers)


def _under(heading: Heading, plot: QWidget) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(6)
    column.addWidget(heading, 0, Qt.AlignmentFlag.AlignTop)
    column.addWidget(plot)
    return column
