"""The Dropout page: the true mask of everything that drops, and in words what does not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from modelight.widgets import numbers
from modelight.widgets.counted import counted
from modelight.widgets.dropout_card import DropoutCard, Lamp, name_of, short_source
from modelight.widgets.dropout_data import DropoutData, DropoutSite
from modelight.widgets.labels import ElidedLabel, label
from modelight.widgets.sections import GAP, MARGIN, Entry, Heading, Page, Rule, row
from modelight.widgets.segments import Option, SegmentedControl
from modelight.widgets.signs import Sign, paint_sign

UNBUILT = 272
"""Height of a card that was not built yet; most are about as high."""


class _Slot(QWidget):
    """The place of a card in the column. The card is made when the place first comes into view."""

    seen = Signal()
    """It is in view and what it shows is stale."""

    def __init__(self) -> None:
        super().__init__()
        self.card: DropoutCard | None = None
        self.site: DropoutSite | None = None
        self.stale = True
        self.rule = Rule()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, GAP)
        self.column.setSpacing(GAP)
        self.column.addWidget(self.rule)
        self.setMinimumHeight(UNBUILT)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.stale:
            self.seen.emit()

    def bring_up_to_date(self, last_runs: bool) -> None:
        """Build the card, or give it what changed."""
        if self.card is None:
            self.card = DropoutCard()
            self.column.addWidget(self.card)
            self.setMinimumHeight(0)
        if self.stale and self.site is not None:
            self.card.set_data(self.site, last_runs)
            self.stale = False


class _SignMark(QWidget):
    """A sign as a widget."""

    def __init__(self, sign: Sign) -> None:
        super().__init__()
        self._sign: Sign = sign
        self.setFixedSize(QSize(14, 18))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_sign(painter, QPointF(7, self.height() / 2), self._sign)
        painter.end()


class _Lines(QWidget):
    """A heading and lines of: mark, what, words."""

    def __init__(self) -> None:
        super().__init__()
        self.title = label(weight=600)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, GAP)
        column.setSpacing(0)
        self.rule = Rule()
        column.addWidget(self.rule)
        column.addSpacing(GAP)
        column.addWidget(self.title)
        column.addSpacing(8)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(2, 1)
        column.addLayout(self._grid)
        self._shown: list[tuple[str, str]] = []
        self._names: list[ElidedLabel] = []

    def texts(self) -> list[tuple[str, str]]:
        """(what, words) of each line."""
        return self._shown

    def set_lines(self, title: str, lines: Sequence[tuple[QWidget, str, str]]) -> None:
        """Show these lines in place of the old ones."""
        self.title.setText(title)
        self.setVisible(bool(lines))
        while item := self._grid.takeAt(0):
            old = item.widget()
            if old is not None:
                old.hide()  # it lives on until the next event, and would be seen under what takes its place
                old.deleteLater()
        self._shown = [(what, words) for _, what, words in lines]
        self._names = []
        for index, (mark, what, words) in enumerate(lines):
            top = Qt.AlignmentFlag.AlignTop
            self._grid.addWidget(mark, index, 0, top)
            name = ElidedLabel(13, elide=Qt.TextElideMode.ElideMiddle)
            name.setText(what)
            self._names.append(name)
            self._grid.addWidget(name, index, 1, top)
            said = label(words, tone="text2", size=12, wrap=True)
            said.setContentsMargins(8, 1, 0, 0)
            self._grid.addWidget(said, index, 2, top)
        self._fit_names()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_names()

    def _fit_names(self) -> None:
        """However long a name is, the words beside it keep half of the width."""
        for name in self._names:
            name.setMaximumWidth(max(80, self.width() // 2))


class DropoutPage(QWidget):
    """Shows :class:`DropoutData`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: DropoutData | None = None
        self._slots: list[_Slot] = []
        self.setProperty("ground", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.summary = label(tone="text2", size=12)
        options = [Option("this", self.tr("This run")), Option("last", self.tr("Last 64 runs"))]
        self.span = SegmentedControl(options, self.tr("Which runs the figures are of"))
        self.span.setValue("this")
        self.span.valueChanged.connect(self._refresh)
        self.heading = Heading(self.summary, self.span)
        self.legend = self.heading.legend
        self.page = Page()
        self.off, self.outside = _Lines(), _Lines()
        self._lay_out()

    def _lay_out(self) -> None:
        head = row(self.heading)
        head.setContentsMargins(MARGIN, 7, MARGIN, 7)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        bar = QWidget()
        bar.setMinimumHeight(42)
        bar.setLayout(head)
        column.addWidget(bar)
        column.addWidget(Rule())
        column.addWidget(self.page, 1)
        self._cards = QVBoxLayout()
        self._cards.setSpacing(0)
        self.page.column.addLayout(self._cards)
        self.page.column.addWidget(self.off)
        self.page.column.addWidget(self.outside)
        self.page.column.addStretch(1)

    def data(self) -> DropoutData | None:
        """What is shown."""
        return self._data

    def cards(self) -> list[DropoutCard]:
        """The cards that were built."""
        return [slot.card for slot in self._slots if slot.card is not None]

    def set_data(self, data: DropoutData) -> None:
        """Show the dropouts of the last run."""
        self._data = data
        on = [site for site in data.sites if site.active]
        off = [site for site in data.sites if not site.active]
        self.span.setVisible(bool(on))
        self.span.button("last").setText(counted(data.runs, self.tr("Last run"), self.tr("Last %1 runs")))
        self.heading.set_text(self._summary(len(on), len(off)), "", self._legend() if on else ())
        self._fill_slots(on)
        self._fill_off(off)
        self.off.rule.setVisible(bool(on))
        self._fill_outside(data)
        self._refresh()

    def show_module(self, path: str) -> None:
        """Scroll to what the module at ``path`` (or one below it) drops."""
        inside = path + "." if path else ""
        for slot in self._slots:
            if slot.site is not None and slot.isVisibleTo(self) and (slot.site.path + ".").startswith(inside):
                self.page.verticalScrollBar().setValue(slot.y())
                return

    def retheme(self) -> None:
        """The theme changed: the same items in its colours."""
        for card in self.cards():
            card.retheme()

    # --------------------------------------------------------------------------------------------------------- content

    def _summary(self, on: int, off: int) -> str:
        if not on and not off:
            return self.tr("Nothing in this model dropped anything in this run.")
        total = counted(on + off, self.tr("%1 dropout"), self.tr("%1 dropouts"))
        if not off:
            return total + {1: self.tr(", on"), 2: self.tr(", both on")}.get(on, self.tr(", all on"))
        if not on:
            return total + (
                self.tr(", off") if off == 1 else self.tr(", both off") if off == 2 else self.tr(", all off")
            )
        return total + self.tr(", %1 on").replace("%1", numbers.count(on))

    def _legend(self) -> list[Entry]:
        return [
            Entry("kept", "mask", self.tr("kept")),
            Entry("dropped", "edge", self.tr("dropped")),
            Entry("band", "text3", self.tr("95 % of chance")),
        ]

    def _fill_slots(self, sites: list[DropoutSite]) -> None:
        while len(self._slots) < len(sites):
            slot = _Slot()
            slot.rule.setVisible(bool(self._slots))
            # Queued: nothing is built in the middle of painting.
            slot.seen.connect(partial(self._on_seen, slot), Qt.ConnectionType.QueuedConnection)
            self._slots.append(slot)
            self._cards.addWidget(slot)
        for index, slot in enumerate(self._slots):
            slot.setVisible(index < len(sites))
            slot.site = sites[index] if index < len(sites) else None

    def _refresh(self) -> None:
        """Bring up to date what is in view; the rest follows when it is scrolled to (a transformer has 48 dropouts)."""
        for slot in self._slots:
            slot.stale = True
            if slot.card is not None and not slot.visibleRegion().isEmpty():
                self._on_seen(slot)
            slot.update()

    def _on_seen(self, slot: _Slot) -> None:
        slot.bring_up_to_date(self.span.value() == "last")

    def _fill_off(self, sites: list[DropoutSite]) -> None:
        lines: list[tuple[QWidget, str, str]] = []
        for site in sites:
            lamp = Lamp()
            lamp.set_state(site.mode)
            lines.append((lamp, name_of(self, site), self.off_text(site)))
        self.off.set_lines(self.tr("Off in this run"), lines)

    def off_text(self, site: DropoutSite) -> str:
        """Why it dropped nothing."""
        if site.unseen:
            return site.unseen
        if site.place == "function" and not (site.follows_flag and site.p):
            # Its arguments say so, and what they are in the other mode is the code's business.
            return self.tr("off by its arguments") + (f", p = {site.p:g}" if site.p is not None else "")
        if site.p == 0:
            return self.tr("p = 0 drops nothing in either mode")
        if site.p is None:
            return self.tr("off")
        return self.tr("off: p = %1 would drop in train").replace("%1", f"{site.p:g}")

    def _fill_outside(self, data: DropoutData) -> None:
        functions = [site for site in data.sites if site.place == "function"]
        called = [site for site in functions if site.active]
        fused = [site for site in data.sites if site.place == "fused" and site.active]
        lines: list[tuple[QWidget, str, str]] = [
            (
                _SignMark("warning" if called else "solved"),
                self.tr("Called as a function"),
                "\n".join(self._called(site) for site in functions) or self.tr("none in this run"),
            ),
            (
                _SignMark("warning" if fused else "solved"),
                self.tr("Inside a fused kernel"),
                "\n".join(self._called(site) for site in fused)
                or self.tr("none; such masks cannot be seen and would be listed here"),
            ),
        ]
        self.outside.set_lines(self.tr("Dropouts outside modules"), lines)

    def _called(self, site: DropoutSite) -> str:
        where = self.tr("%1 in %2").replace("%1", site.function).replace("%2", name_of(self, site))
        if site.source:
            where += f", {short_source(site.source)}"
        if site.p is not None:
            where += f", p = {site.p:g}"
        if not site.active:
            where += self.tr(", off")
        elif site.follows_flag is False:
            where += self.tr(", whatever the flag")
        return where
