"""One dropout of the Dropout page: its mask, its rate beside the nominal one, and how often each unit survived."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from modelight.widgets import numbers, paint
from modelight.widgets.axes import round_ticks
from modelight.widgets.counted import counted
from modelight.widgets.dropout_data import DropoutSite, Rate
from modelight.widgets.export import Table
from modelight.widgets.labels import ElidedLabel, label
from modelight.widgets.lamp import LampState, paint_lamp
from modelight.widgets.marks import Level, Stems
from modelight.widgets.mask_image import MaskImage, RateAxis, index_ticks
from modelight.widgets.plots import Plot
from modelight.widgets.sections import Badge, row

RIGHT, RIGHT_MOST = 226, 420
"""Width of what stands beside a mask."""


class Lamp(QWidget):
    """The lamp as a widget."""

    def __init__(self) -> None:
        super().__init__()
        self._state: LampState = "none"
        self.setFixedSize(QSize(14, 18))

    def set_state(self, state: LampState) -> None:
        """Show another mode."""
        self._state = state
        self.setAccessibleName(state)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_lamp(painter, QPointF(6, self.height() / 2), self._state)
        painter.end()


class SurvivalPlot(Plot):
    """Share of draws in which each unit was kept, in %, with what chance allows."""

    def __init__(self) -> None:
        super().__init__("survival", self.table, height=112, most=(5, 3))
        self.level, self.stems = self.add(Level()), self.add(Stems())
        self._kept = np.empty(0)
        self._scale: tuple[tuple[int, float], float] = ((0, 0.0), 0.0)

    def set_data(self, site: DropoutSite) -> None:
        """Show the site's survival; it has one."""
        survival = site.survival
        if survival is None:
            return
        self._kept = kept = survival.kept * 100
        nominal = survival.nominal * 100 if survival.nominal is not None else float(kept.mean())
        low, high = survival.band or (np.nan, np.nan)
        self.level.set_data(low * 100, nominal, high * 100)
        self.stems.set_data(np.arange(len(kept)), kept, nominal, paint.mark(site.mode))
        self.bottom.set_ticks([(float(index), str(index)) for index in index_ticks(len(kept), 5)])
        ends = np.concatenate([np.abs(kept - nominal), [5.0], np.abs(np.array([low, high]) * 100 - nominal)])
        reach = float(np.ceil(np.nanmax(ends) * 1.05 / 5) * 5)
        if (len(kept), nominal) == self._scale[0]:
            reach = max(reach, self._scale[1])
        self._scale = (len(kept), nominal), reach
        low_end, high_end = max(0.0, nominal - reach), min(100.0, nominal + reach)
        even = nominal - low_end == high_end - nominal
        levels = [low_end, nominal, high_end] if even else round_ticks(low_end, high_end, 4)
        self.left.set_ticks([(level, f"{level:g}") for level in levels])
        margin = reach * 0.12
        self.hold((-0.7, len(kept) - 0.3), (low_end - margin, high_end + margin), (len(kept), nominal))

    def table(self) -> Table:
        """One row per unit."""
        return Table(("unit", "kept %"), list(enumerate(self._kept)))


class DropoutCard(QWidget):
    """Everything about one site. ``show_last_runs`` chooses the figure: this run's or that of the last runs."""

    def __init__(self) -> None:
        super().__init__()
        self.site: DropoutSite | None = None
        # Both ends of a path tell more than its middle: where it is, and what it is.
        self.name = ElidedLabel(13, 600, "text", Qt.TextElideMode.ElideMiddle)
        self.lamp, self.what, self.badge = Lamp(), ElidedLabel(12, 400, "text2"), Badge()
        self.picture, self.part = MaskImage(), label(tone="text3", size=11, wrap=True)
        self.reason = label(tone="text2", size=12, wrap=True)
        self.rate, self.against, self.axis = (
            label(size=20, weight=600),
            label(tone="text2", size=12, wrap=True),
            RateAxis(),
        )
        self.zeros, self.whatever = label(tone="text2", size=12, wrap=True), label(tone="text2", size=12, wrap=True)
        self.survival_title, self.survival_note = label(size=12, weight=500), label(tone="text2", size=12)
        self.survival: SurvivalPlot | None = None
        self._lay_out()

    def _lay_out(self) -> None:
        self._right = QVBoxLayout()
        self._right.setSpacing(0)
        self._right.addWidget(label(self.tr("Dropped"), size=12, weight=500))
        figures = row(self.rate, self.against, spacing=8)
        figures.setStretch(1, 1)
        self._right.addLayout(figures)
        self._right.addSpacing(4)
        self._right.addWidget(self.axis)
        self._right.addWidget(self.zeros)
        self._right.addWidget(self.whatever)
        self._right.addSpacing(8)
        self._right.addLayout(row(self.survival_title, self.survival_note, None, spacing=4))
        self._right.addStretch(1)
        self._side = side = QWidget()
        side.setFixedWidth(RIGHT)
        side.setLayout(self._right)
        self._right.setContentsMargins(0, 0, 0, 0)
        left = QVBoxLayout()
        left.setSpacing(4)
        for part in (self.picture, self.part, self.reason):
            left.addWidget(part)
        left.addStretch(1)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(20)
        grid.setVerticalSpacing(10)
        head = row(self.lamp, self.name, self.what, self.badge)
        head.setStretch(2, 1)
        grid.addLayout(head, 0, 0, 1, 2)
        grid.addLayout(left, 1, 0)
        grid.addWidget(side, 1, 1)
        grid.setColumnStretch(0, 1)

    def set_data(self, site: DropoutSite, last_runs: bool) -> None:
        """Show a site."""
        self.site = site
        self.lamp.set_state(site.mode)
        self.name.setText(name_of(self, site))
        self.what.setText(self._what(site))
        self.badge.set_text(self.tr("exact mask") if site.mask is not None else self.tr("unseen"))
        self._show_mask(site)
        self._show_rate(site, site.last_runs if last_runs and site.last_runs else site.this_run)
        self._show_survival(site)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        # Cells of a mask grow no further: what a wide page has left is for the plots beside it.
        self._side.setFixedWidth(max(RIGHT, min(RIGHT_MOST, round(self.width() * 0.34))))

    def retheme(self) -> None:
        """The theme changed."""
        if self.survival is not None:
            self.survival.retheme()

    def _what(self, site: DropoutSite) -> str:
        unit = {
            "channel": self.tr("whole channels"),
            "sample": self.tr("whole samples"),
            "batch": self.tr("the whole batch"),
        }
        parts = [site.function, unit.get(site.unit, self.tr("single elements"))]
        if site.alpha:
            parts.append(self.tr("set to a constant below zero"))
        if site.source and site.place != "layer":
            parts.append(self.tr("called at %1").replace("%1", short_source(site.source)))
        if site.also:
            parts.append(self.tr("the same module as %1").replace("%1", ", ".join(site.also)))
        return ", ".join(parts)

    def _show_mask(self, site: DropoutSite) -> None:
        self.picture.setVisible(site.mask is not None)
        self.reason.setVisible(bool(site.unseen))
        self.reason.setText(site.unseen)
        self.part.setVisible(False)
        if site.mask is None:
            return
        unit = self.tr("channel") if site.unit == "channel" else self.tr("unit")
        # One draw over a whole batch is one row for each forward.
        rows = self.tr("forward") if site.unit == "batch" else self.tr("sample")
        self.picture.set_data(site.mask, site.unit == "channel", unit, rows)
        if site.this_run is not None and site.mask.size < site.this_run.total:
            text = self.tr("the first %1 of a mask of %2")
            self.part.setText(
                text.replace("%1", numbers.shape(site.mask.shape)).replace("%2", numbers.shape(site.shape))
            )
            self.part.setVisible(True)

    def _show_rate(self, site: DropoutSite, rate: Rate | None) -> None:
        share = None if rate is None else rate.share
        self.rate.setText("–" if share is None else numbers.percent(share, 1))
        nominal = (
            self.tr("p not known") if site.p is None else self.tr("nominal %1").replace("%1", numbers.percent(site.p))
        )
        if rate is not None:
            counts = (
                self.tr("%1 of %2").replace("%1", numbers.count(rate.dropped)).replace("%2", numbers.count(rate.total))
            )
            nominal = f"{nominal}, {counts}" if rate.total < 1000 else f"{nominal},\n{counts}"
        self.against.setText(nominal)
        self.axis.set_data(share, site.p, None if rate is None else rate.band, paint.mark(site.mode))
        self.zeros.setVisible(site.already_zero is not None and site.inputs is not None)
        if site.already_zero is not None and site.inputs is not None:
            text = self.tr("Already zero: %1 of %2").replace("%1", numbers.count(site.already_zero))
            self.zeros.setText(text.replace("%2", numbers.count(site.inputs)))
        self.whatever.setVisible(site.follows_flag is False)
        self.whatever.setText(self.tr("It drops whatever the flag says."))

    def _show_survival(self, site: DropoutSite) -> None:
        there = site.survival is not None
        for part in (self.survival_title, self.survival_note):
            part.setVisible(there)
        if self.survival is not None:
            self.survival.setVisible(there)
        if site.survival is None:
            return
        if self.survival is None:
            self.survival = SurvivalPlot()
            self._right.insertWidget(self._right.count() - 1, self.survival)
        title = self.tr("Survival per channel") if site.unit == "channel" else self.tr("Survival per unit")
        runs = counted(site.survival.runs, self.tr("in %, this run"), self.tr("in %, last %1 runs"))
        self.survival_title.setText(title)
        self.survival_note.setText(runs)
        self.survival.set_data(site)


def short_source(source: str) -> str:
    """``file:line`` with the file's folder, which tells most files of one name apart."""
    return "/".join(source.replace("\\", "/").split("/")[-2:])


def name_of(widget: QWidget, site: DropoutSite) -> str:
    """The module's path, and which of its calls."""
    name = site.path or widget.tr("the model itself")
    if site.calls > 1:
        name = widget.tr("%1, call %2").replace("%1", name).replace("%2", str(site.call + 1))
    return name
