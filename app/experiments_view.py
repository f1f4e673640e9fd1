"""The Experiments page and how it is filled: asks for experiments, keeps what they found, says when it is outdated."""

from __future__ import annotations

from dataclasses import dataclass

from modelight import protocol as p
from modelight.present.experiments import company_data, mc_data, repeat_data
from modelight.session import Session
from modelight.views import flags_by_row
from modelight.widgets.experiments_page import ExperimentsPage, Name
from modelight.widgets.modes import Mode


@dataclass
class _Found:
    """The replies, and what has changed since."""

    company: p.BatchCurve | None = None
    repeat: p.Repeatability | None = None
    mc: p.McDropout | None = None
    mode: Mode = "mixed"
    """Of the model when repeatability was asked for."""
    flags: dict[int, bool | None] | None = None
    """At that time."""
    outdated: frozenset[Name] = frozenset()


class ExperimentsView:
    """Batch-mates, repeatability and MC dropout."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._found = _Found()
        self.widget = ExperimentsPage()
        cycle = session.cycle
        self.widget.company_requested.connect(lambda: self._ask("company"))
        self.widget.repeat_requested.connect(lambda: self._ask("repeat"))
        self.widget.mc_requested.connect(lambda passes: self._ask("mc", passes))
        self.widget.stop_requested.connect(cycle.stop)
        cycle.measured.connect(self._on_measured)
        cycle.busy_changed.connect(self._on_busy)
        session.progress.connect(self.widget.set_progress)
        session.tensors_changed.connect(self._outdate)
        for emptied in (session.opening, session.opened):
            emptied.connect(lambda _: self._forget())

    def refresh(self) -> bool:
        """Show what is known now; the page is never empty."""
        info, model = self._session.input, self._session.model
        if info is None or model is None:
            return False
        company, repeat, mc, classes = self._found.company, self._found.repeat, self._found.mc, model.classes
        mode = self._found.mode
        self.widget.set_data(
            None
            if company is None
            else company_data(company, info, model.rows, classes, outdated=self._is_old("company")),
            None if repeat is None else repeat_data(repeat, info, mode, classes, outdated=self._is_old("repeat")),
            None if mc is None else mc_data(mc, info, classes, outdated=self._is_old("mc")),
        )
        return True

    def point_at(self, path: str) -> None:
        """The page is about the whole model."""

    def retheme(self) -> None:
        """The theme has changed."""
        self.widget.retheme()

    # ------------------------------------------------------------------------------------------------------- asking

    def _ask(self, name: Name, passes: int = 0) -> None:
        cycle = self._session.cycle
        if name == "company":
            cycle.batch_curve()
        elif name == "repeat":
            cycle.repeatability()
        else:
            cycle.mc_dropout(passes)
        self.widget.set_running(name if cycle.busy else None)

    def _on_busy(self, busy: bool) -> None:
        if not busy:
            self.widget.set_running(None)

    def _on_measured(self, event: p.Event) -> None:
        found = self._found
        name: Name
        if isinstance(event, p.BatchCurve):
            found.company, name = event, "company"
        elif isinstance(event, p.Repeatability):
            found.repeat, name = event, "repeat"
            found.mode, found.flags = _mode(self._session), flags_by_row(self._session)
        elif isinstance(event, p.McDropout):
            found.mc, name = event, "mc"
        else:
            return
        found.outdated -= {name}
        self.refresh()

    # ----------------------------------------------------------------------------------------------------- outdated

    def _outdate(self) -> None:
        self._found.outdated = frozenset(("company", "repeat", "mc"))
        self.refresh()

    def _is_old(self, name: Name) -> bool:
        if name in self._found.outdated:
            return True
        if name != "repeat" or self._found.repeat is None or self._session.setup is None:
            return False
        moved = flags_by_row(self._session) != self._found.flags
        return moved or self._session.setup.grad_mode != self._found.repeat.grad_mode

    def _forget(self) -> None:
        self._found = _Found()
        self.refresh()


def _mode(session: Session) -> Mode:
    name = session.modes.name
    return "train" if name == "train" else "eval" if name == "eval" else "mixed"
