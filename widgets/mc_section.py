"""MC dropout: how far passes spread with every dropout on, and which dropouts make the spread."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QVBoxLayout, QWidget

from modelight.widgets import numbers
from modelight.widgets.controls import Labelled, SpinBox
from modelight.widgets.counted import counted
from modelight.widgets.experiment_plots import SampleBars
from modelight.widgets.experiment_section import ExperimentSection, amount, filled, named, subject_words
from modelight.widgets.experiments_data import DropoutRow, McData, Subject
from modelight.widgets.labels import label
from modelight.widgets.sections import Entry, Heading, MenuButton
from modelight.widgets.share_bars import ShareBars, ShareRow

PASSES = 32
LISTED = 16
"""Dropouts that are listed; the rest is counted."""
MENU = 64
"""Columns that a menu offers."""


class McSection(ExperimentSection):
    """Shows :class:`McData`; ``run_passes`` carries how many passes are wanted."""

    run_passes = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: McData | None = None
        self._column = 0
        self.passes = SpinBox(2, 1000, 56)
        self.passes.setValue(PASSES)
        self.passes.setAccessibleName(self.tr("Passes"))
        self.head.insertWidget(2, Labelled(self.tr("Passes"), self.passes))
        self.run_requested.connect(lambda: self.run_passes.emit(self.passes.value()))
        self.choice = MenuButton()
        self.answer_heading, self.entropy_heading = Heading(self.choice), Heading()
        self.answers = SampleBars("mc-dropout", ("mean", "s.d.", "eval"))
        self.entropies = SampleBars("predictive-entropy", ("predictive entropy", "", "mean entropy of the passes"))
        self.shares_heading, self.shares = Heading(), ShareBars("dropout-shares", "share of variance", percent=True)
        self.note = label(tone="text2", size=12, wrap=True)
        self._entropy = QWidget()
        self._lay_out_pictures()
        self.set_texts(
            self.tr("MC dropout"),
            self.tr("How far do passes spread with every dropout on and all else in eval, and which dropouts make it?"),
        )

    def _lay_out_pictures(self) -> None:
        plots = QHBoxLayout()
        plots.setSpacing(20)
        for heading, plot, holder in (
            (self.answer_heading, self.answers, QWidget()),
            (self.entropy_heading, self.entropies, self._entropy),
        ):
            holder.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            column = QVBoxLayout(holder)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(6)
            column.addWidget(heading, 0, Qt.AlignmentFlag.AlignTop)
            column.addWidget(plot)
            plots.addWidget(holder, 1)
        self.pictures.addLayout(plots)
        self.pictures.addSpacing(12)
        for part in (self.shares_heading, self.shares, self.note):
            self.pictures.addWidget(part)

    def set_data(self, data: McData) -> None:
        """Show what was found; the chosen column holds while the output is the same."""
        if self._data is None or self._data.mean.shape[1] != data.mean.shape[1]:
            self._column = data.subject.column // max(1, data.step)
        self._data = data
        self.show_verdict(self.verdict_text(data), data.outdated)
        self._fill_answers(data)
        self._fill_entropy(data)
        self._fill_shares(data)

    def choose(self, column: int) -> None:
        """Show another column of the answers."""
        self._column = column
        if self._data is not None:
            self._fill_answers(self._data)

    # ---------------------------------------------------------------------------------------------------------- filling

    def _fill_answers(self, data: McData) -> None:
        subject = self._subject(data, self._column)
        width = data.mean.shape[1]
        self.choice.set_choices(self._fill_menu if width > 1 else None)
        title = subject_words(subject)
        passes = counted(data.passes, self.tr("mean ± 1 s.d. of %1 pass"), self.tr("mean ± 1 s.d. of %1 passes"))
        legend = [Entry("dash", "eval_mark", self.tr("one run in eval"))] if data.evaluated is not None else []
        self.answer_heading.set_text(title[:1].upper() + title[1:], passes, legend)
        evaluated = None if data.evaluated is None else data.evaluated[:, self._column]
        self.answers.set_data(
            data.mean[:, self._column],
            data.deviation[:, self._column],
            evaluated,
            captions=data.captions,
            dash="eval_mark",
            bounded=subject.bounded and width <= 8,
            scope=(self._column, data.mean.shape),
        )

    def _subject(self, data: McData, column: int) -> Subject:
        if data.subject.kind in ("probability", "value"):
            return data.subject
        return Subject(data.subject.kind, column * data.step, data.names[column] if data.names else "")

    def _fill_menu(self, menu: QMenu) -> None:
        if self._data is None:
            return
        for column in range(min(MENU, self._data.mean.shape[1])):
            text = subject_words(self._subject(self._data, column))
            menu.addAction(text).triggered.connect(lambda _=False, column=column: self.choose(column))

    def _fill_entropy(self, data: McData) -> None:
        self._entropy.setVisible(bool(data.entropy.size))
        if not data.entropy.size:
            return
        legend = [Entry("dash", "text", self.tr("mean of single passes"))]
        self.entropy_heading.set_text(self.tr("Predictive entropy"), self.tr("nats"), legend)
        self.entropies.set_data(
            data.entropy, None, data.expected_entropy, captions=data.captions, dash="text", bounded=False,
            scope=data.mean.shape,
        )  # fmt: skip

    def _fill_shares(self, data: McData) -> None:
        shown = data.dropouts[:LISTED]
        self.shares_heading.setVisible(bool(shown))
        self.shares.setVisible(bool(shown))
        how = counted(data.site_passes, self.tr("each alone on, %1 pass"), self.tr("each alone on, %1 passes"))
        self.shares_heading.set_text(
            self.tr("Which dropouts contribute"), self.tr("%1; share of the variance with all on, %").replace("%1", how)
        )
        self.shares.set_rows(tuple(self._row(one, place == 0) for place, one in enumerate(shown)))
        lines = []
        if len(data.dropouts) > len(shown):
            more = counted(
                len(data.dropouts) - len(shown), self.tr("%1 more is not listed."), self.tr("%1 more are not listed.")
            )
            lines.append(more)
        if sum(one.verdict == "adds" for one in shown) > 1:
            lines.append(self.tr("Shares need not add up to 100 %: dropouts act on each other."))
        self.note.setText(" ".join(lines))
        self.note.setVisible(bool(lines))

    def _row(self, one: DropoutRow, first: bool) -> ShareRow:
        figure = "–" if one.share is None else numbers.percent(one.share, 0 if one.share >= 0.1 or not one.share else 1)
        return ShareRow(one.path, one.type, one.share, figure, self.reason(one), first and one.verdict == "adds")

    def reason(self, one: DropoutRow) -> str:
        """Its rate, or why it adds nothing."""
        rate = "" if one.p is None else self.tr("p %1").replace("%1", numbers.figure(one.p, 2))
        return {
            "adds": rate,
            "rate-zero": self.tr("p is 0: never drops"),
            "not-called": self.tr("not called"),
            "draws-nothing": self.tr("draws nothing"),
            "no-effect": self.tr("drops, and the output does not change"),
            "raises": self.tr("the model raises"),
        }[one.verdict]

    # -------------------------------------------------------------------------------------------------------- sentences

    def verdict_text(self, data: McData) -> str:
        """How much spread there is, where it comes from, and what it is not."""
        if not data.dropouts:
            return self._without(data)
        if data.exact:
            return (
                self.tr("**No spread:** all %1 passes gave the same, bit for bit.").replace(
                    "%1", numbers.count(data.passes)
                )
                + " "
                + self._idle(data)
            )
        parts = [self._spread(data), self._least_certain(data), self._who(data), self._idle(data), self._leftover(data)]
        return " ".join(part for part in parts if part)

    def _without(self, data: McData) -> str:
        if data.exact:
            text = self.tr(
                "**This model has no dropout to switch on:** all %1 passes gave the same, bit for bit. MC dropout says "
                "nothing about its uncertainty."
            )
            return text.replace("%1", numbers.count(data.passes))
        text = self.tr(
            "**This model has no dropout that a flag switches on,** and yet passes spread by **± %1**: something draws "
            "whatever the flags. See Repeatability."
        )
        return text.replace("%1", amount(data.spread, data.subject))

    def _spread(self, data: McData) -> str:
        text = self.tr("With every dropout on, the answers spread by **± %1** over %2 passes.")
        return filled(text, amount(data.spread, data.subject), numbers.count(data.passes))

    def _least_certain(self, data: McData) -> str:
        if len(data.entropy) < 2 or not np.isfinite(data.entropy).all():
            return ""
        sample = int(data.entropy.argmax())
        text = self.tr("Least certain is sample %1: entropy **%2** of at most %3 nats.")
        most = math.log(max(2, data.mean.shape[1]))
        return filled(text, str(sample), f"{data.entropy[sample]:.2f}", f"{most:.2f}")

    def _who(self, data: McData) -> str:
        adding = [one for one in data.dropouts if one.verdict == "adds" and one.share]
        if not adding:
            return ""
        first = adding[0]
        if len(adding) == 1:
            text = self.tr("**%1** alone makes it.") if not data.nothing_on else self.tr("**%1** adds to it.")
            return text.replace("%1", named(first.path))
        text = self.tr("%3 dropouts contribute, **%1** most: alone it makes %2 of the variance.")
        return filled(text, named(first.path), numbers.percent(first.share or 0.0, 0), numbers.count(len(adding)))

    def _idle(self, data: McData) -> str:
        idle = [one for one in data.dropouts if one.verdict not in ("adds", "raises")]
        if not idle:
            return ""
        text = counted(len(idle), self.tr("**%2** adds nothing."), self.tr("%1 dropouts add nothing, **%2** first."))
        return text.replace("%2", named(idle[0].path))

    def _leftover(self, data: McData) -> str:
        if not data.nothing_on:
            return ""
        text = self.tr(
            "With all of them off passes still spread by **± %1**: something else draws whatever the flags, so shares "
            "are less exact."
        )
        return text.replace("%1", amount(data.nothing_on, data.subject))
