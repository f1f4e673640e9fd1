"""One view per page: makes the page's widget when it is first looked at, and turns what the session knows into its
data.

pyqtgraph is imported here, with the first page, and not with the window: so the window paints first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from PySide6.QtWidgets import QWidget

from modelight import protocol as p
from modelight.present.history import RunHistory
from modelight.session import Session


@dataclass
class Seen:
    """What the pages look at."""

    history: RunHistory = field(default_factory=RunHistory)
    same: p.SameAnswer | None = None
    compared: p.Compared | None = None
    outdated: bool = False
    """Weights, input, batch or seed are no longer those of the comparison."""


class View(Protocol):
    """A page and how it is filled."""

    @property
    def widget(self) -> QWidget:
        """The page."""

    def refresh(self) -> bool:
        """Show what is known now; False: there is nothing to show yet."""

    def point_at(self, path: str) -> None:
        """A module was selected in the tree."""

    def retheme(self) -> None:
        """The theme has changed."""


class OutputView:
    """What came out, and whether it comes out again."""

    def __init__(self, session: Session, seen: Seen) -> None:
        from modelight.widgets.output_data import Choice
        from modelight.widgets.output_page import OutputPage

        self._session, self._seen = session, seen
        self._choice = Choice()
        self.widget = OutputPage()
        self.widget.choice_changed.connect(self._on_choice)

    def refresh(self) -> bool:
        from modelight.present.output import output_data

        info, model = self._session.input, self._session.model
        if info is None or model is None:
            return False
        data = output_data(self._seen.history, info, self._choice, self._seen.same, model.classes)
        if data is not None:
            self.widget.set_data(data)
        return data is not None

    def point_at(self, path: str) -> None:
        """The page is about the whole model."""

    def retheme(self) -> None:
        self.widget.retheme()

    def _on_choice(self, choice: object) -> None:
        from modelight.widgets.output_data import Choice

        assert isinstance(choice, Choice)
        self._choice = choice
        self.refresh()


class DropoutView:
    """The true masks."""

    def __init__(self, session: Session, seen: Seen) -> None:
        from modelight.widgets.dropout_page import DropoutPage

        self._session, self._seen = session, seen
        self.widget = DropoutPage()

    def refresh(self) -> bool:
        from modelight.present.dropout import dropout_data

        model = self._session.model
        if model is None:
            return False
        data = dropout_data(self._seen.history, model.rows, flags_by_row(self._session))
        if data is None or not data.sites:
            return False
        self.widget.set_data(data)
        return True

    def point_at(self, path: str) -> None:
        """Bring a module's masks into view."""
        self.widget.show_module(path)

    def retheme(self) -> None:
        self.widget.retheme()


class StatisticsView:
    """Running statistics beside this batch's."""

    def __init__(self, session: Session, seen: Seen) -> None:
        from modelight.widgets.statistics_page import StatisticsPage

        self._session, self._seen = session, seen
        self.widget = StatisticsPage()
        self.widget.keep_updates_requested.connect(session.set_keep_updates)
        self.widget.restore_requested.connect(session.restore_checkpoint)

    def refresh(self) -> bool:
        from modelight.present.statistics import statistics_data

        setup, model = self._session.setup, self._session.model
        if setup is None or model is None:
            return False
        flags, loaded = flags_by_row(self._session), model.report is not None
        selected = setup.selection or None
        data = statistics_data(self._seen.history, selected, setup.keep_updates, flags, loaded=loaded)
        if data is not None:
            self.widget.set_data(data)
        return data is not None

    def point_at(self, path: str) -> None:
        """Show the layer at ``path``, or the first below it."""
        self.refresh()

    def retheme(self) -> None:
        self.widget.retheme()


class LayersView:
    """Every module's output, in this mode and in the other."""

    def __init__(self, session: Session, seen: Seen) -> None:
        from modelight.widgets.layers_page import LayersPage

        self._session, self._seen = session, seen
        self.widget = LayersPage()

    def refresh(self) -> bool:
        from modelight.present.layers import layers_data

        model = self._session.model
        data = layers_data(self._seen.history, model.rows, model.name) if model is not None else None
        if data is not None:
            self.widget.set_data(data)
        return data is not None

    def point_at(self, path: str) -> None:
        """Scroll to a module."""
        self.widget.select(path)

    def retheme(self) -> None:
        self.widget.retheme()


class CompareView:
    """Train and eval under each grad mode, and what moves the output most."""

    def __init__(self, session: Session, seen: Seen) -> None:
        from modelight.widgets.compare_page import ComparePage

        self._session, self._seen = session, seen
        self.widget = ComparePage()
        self.widget.clear()
        self.widget.compare_requested.connect(session.cycle.compare)
        self.widget.state_requested.connect(session.go_to)
        self.widget.mode_requested.connect(lambda path, training: session.set_mode(path, training, recursive=False))
        session.progress.connect(self.widget.set_progress)

    def refresh(self) -> bool:
        from modelight.present.compare import compare_data

        model, info, setup = self._session.model, self._session.input, self._session.setup
        if model is None or info is None or setup is None:
            return False
        data = compare_data(
            self._seen.compared,
            info,
            flags_by_row(self._session),
            setup.grad_mode,
            classes=model.classes,
            outdated=self._seen.outdated,
        )
        if data is None:
            self.widget.clear()
            if self._session.cycle.may_compare_unasked():
                self._session.cycle.compare()
        else:
            self.widget.set_data(data)
        return True

    def point_at(self, path: str) -> None:
        """The page is about the whole model."""

    def retheme(self) -> None:
        self.widget.retheme()


def flags_by_row(session: Session) -> dict[int, bool | None]:
    """Each row's training flag."""
    return {state.index: state.training for state in session.states}
