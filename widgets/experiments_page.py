"""The Experiments page: questions that take many runs to answer, each with its button."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from modelight.widgets.company_section import CompanySection
from modelight.widgets.experiment_section import ExperimentSection
from modelight.widgets.experiments_data import CompanyData, McData, RepeatData
from modelight.widgets.mc_section import McSection
from modelight.widgets.repeat_section import RepeatSection
from modelight.widgets.sections import Page

Name = Literal["company", "repeat", "mc"]


class ExperimentsPage(Page):
    """Three sections. Signals ask for an experiment, or for the end of the one that is under way."""

    company_requested = Signal()
    repeat_requested = Signal()
    mc_requested = Signal(int)
    """How many passes."""
    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.company, self.repeat, self.mc = CompanySection(), RepeatSection(), McSection()
        self._sections: dict[Name, ExperimentSection] = {
            "company": self.company,
            "repeat": self.repeat,
            "mc": self.mc,
        }
        self.company.run_requested.connect(self.company_requested)
        self.repeat.run_requested.connect(self.repeat_requested)
        self.mc.run_passes.connect(self.mc_requested)
        for number, section in enumerate(self._sections.values()):
            section.stop_requested.connect(self.stop_requested)
            if number:
                self.add_rule()
            self.column.addWidget(section)
        self.column.addStretch(1)

    def set_running(self, name: Name | None) -> None:
        """Which experiment is under way."""
        for key, section in self._sections.items():
            section.set_running(key == name)

    def set_progress(self, what: str, fraction: float | None) -> None:
        """How far it is."""
        for section in self._sections.values():
            section.set_progress(what, fraction)

    def set_data(self, company: CompanyData | None, repeat: RepeatData | None, mc: McData | None) -> None:
        """Show what has been found; None: not asked yet."""
        for section, data in ((self.company, company), (self.repeat, repeat), (self.mc, mc)):
            if data is None:
                section.clear()
        if company is not None:
            self.company.set_data(company)
        if repeat is not None:
            self.repeat.set_data(repeat)
        if mc is not None:
            self.mc.set_data(mc)

    def retheme(self) -> None:
        """The theme changed."""
        for section in self._sections.values():
            section.retheme()
