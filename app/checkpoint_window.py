"""A window for a checkpoint by itself: what the file holds, without the model's code. Read in the model process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from modelight import protocol as p
from modelight.consent import Consent, consent_for
from modelight.open_dialog import checkpoint_filter
from modelight.phrases import phrase
from modelight.present.checkpoint import checkpoint_data, tensor_data
from modelight.problems import Problem, problem_of
from modelight.session import Session
from modelight.settings import Settings
from modelight.widgets.banner import Banner
from modelight.widgets.checkpoint_page import CheckpointPage


def inspect(
    session: Session,
    path: str,
    then: Callable[[p.CheckpointFacts, p.Trust], None],
    key: str = "",
    trust: p.Trust = False,
) -> None:
    """Look into a checkpoint without its model.

    ``then`` gets what is in it, and what a person agreed to run for that.
    """
    session.start_process()

    def done(event: p.Event) -> None:
        assert isinstance(event, p.Inspected)
        then(event.facts, trust)

    command = p.Inspect(id=session.new_id(), path=path, key=key, trust=trust)
    again = partial(inspect, session, path, then, key)
    session.ask(command, done, lambda failure: session.needs_consent(failure, trust, again))


class CheckpointWindow(QWidget):
    """Shows one file. Two of them can stand side by side. What goes wrong here is said here."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        facts: p.CheckpointFacts,
        trust: p.Trust,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("checkpoint-window")
        self._session, self._settings, self._facts, self._trust = session, settings, facts, trust
        self._asked, self._reading = 0, ""
        self._consent: Consent | None = None
        self._closed = False
        """An answer may come after the widgets are gone."""
        self.trouble, self.page = Banner(), CheckpointPage()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.trouble)
        column.addWidget(self.page, 1)
        self.resize(960, 760)
        self.trouble.button_pressed.connect(self._on_agreed)
        self.page.key_requested.connect(self._look_again)
        self.page.reload_requested.connect(lambda: self._look_again(self._facts.key))
        self.page.tensor_requested.connect(self._ask_tensor)
        self.page.compare_requested.connect(self._choose_other)
        session.progress.connect(self._on_progress)
        session.opening.connect(self._on_forgotten)
        session.problem.connect(self._on_problem)
        self._show(facts)

    def compare_with(self, path: str, trust: p.Trust | None = None) -> None:
        """Show what differs from the checkpoint at ``path``, value by value."""
        command = p.CompareCheckpoints(
            id=self._new_id(trust), path=self._facts.path, other=path, key=self._facts.key, trust=self._trust
        )
        self._ask(command, self._on_compared, partial(self.compare_with, path))

    def retheme(self) -> None:
        """The theme has changed."""
        self.page.retheme()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._asked:
            self._session.cancel(self._asked)
        self._closed = True
        super().closeEvent(event)

    # ---------------------------------------------------------------------------------------------- what is asked for

    def _new_id(self, trust: p.Trust | None) -> int:
        """The id of the next command, which goes by what a person has agreed to."""
        self._trust = self._trust if trust is None else trust
        self._session.start_process()  # it may have ended since the file was opened
        return self._session.new_id()

    def _ask(
        self,
        command: p.Command,
        then: Callable[[p.Event], None],
        again: Callable[[p.Trust], None],
        failed: Callable[[], None] = lambda: None,
    ) -> int:
        def done(event: p.Event) -> None:
            if not self._closed:
                self.trouble.clear()
                then(event)

        def declined(failure: p.Failure) -> bool:
            if not self._closed and failure.kind != "cancelled":
                failed()
                self._say(failure, again)
            return True

        return self._session.ask(command, done, declined)

    def _say(self, failure: p.Failure, again: Callable[[p.Trust], None]) -> None:
        """Why it failed; where consent helps, with a button that gives it."""
        self._consent = consent = consent_for(failure, self._trust, again)
        if consent is None:
            problem = problem_of(failure)
            self.trouble.show_message("problem", problem.sentence, problem.details)
        elif consent.sha256 not in _agreed(self._trust) and self._settings.trusts(consent.sha256):
            consent.agree()
        else:
            buttons = [("consent", self.tr("Run its code and open"))]
            self.trouble.show_message("problem", consent.sentence, "\n".join(consent.globals), buttons)

    def _on_agreed(self) -> None:
        self.trouble.clear()
        if self._consent is not None:
            self._settings.trust(self._consent.sha256)
            self._consent.agree()

    def _look_again(self, key: str, trust: p.Trust | None = None) -> None:
        command = p.Inspect(id=self._new_id(trust), path=self._facts.path, key=key, trust=self._trust)
        self._ask(command, self._on_inspected, partial(self._look_again, key))

    def _choose_other(self) -> None:
        title = self.tr("Compare with")
        path, _ = QFileDialog.getOpenFileName(self, title, str(Path(self._facts.path).parent), checkpoint_filter())
        if path:
            self.compare_with(path)

    def _ask_tensor(self, name: str, trust: p.Trust | None = None) -> None:
        if self._asked:
            self._session.cancel(self._asked)
        self._reading = name
        self.page.set_reading(None)
        command = p.InspectTensor(
            id=self._new_id(trust), path=self._facts.path, name=name, key=self._facts.key, trust=self._trust
        )
        again, failed = partial(self._ask_tensor, name), partial(self._on_unread, command.id)
        self._asked = self._ask(command, self._on_tensor, again, failed)

    # --------------------------------------------------------------------------------------------------- what comes

    def _show(self, facts: p.CheckpointFacts) -> None:
        self._facts = facts
        data = checkpoint_data(facts)
        self.setWindowTitle(self.tr("{file} — Modelight").format(file=data.file))
        self.page.set_data(data)

    def _on_inspected(self, event: p.Event) -> None:
        assert isinstance(event, p.Inspected)
        self._show(event.facts)

    def _on_compared(self, event: p.Event) -> None:
        assert isinstance(event, p.CheckpointsCompared)
        self.page.set_data(checkpoint_data(self._facts, event.difference))

    def _on_tensor(self, event: p.Event) -> None:
        assert isinstance(event, p.TensorInspected)
        self._asked = 0
        self.page.set_tensor(tensor_data(event, self._facts))

    def _on_unread(self, command_id: int) -> None:
        if self._asked and self._asked == command_id:  # else another tensor is being read by now
            self._asked = 0
            self.page.set_failed(self.tr("Its values could not be read."))

    def _on_progress(self, what: str, fraction: float | None) -> None:
        if self._asked and what == phrase(p.Clause("reading-values", {"tensor": self._reading})):
            self.page.set_reading(fraction)

    def _on_forgotten(self) -> None:
        """The model process that was asked is gone."""
        self._on_unread(self._asked)

    def _on_problem(self, problem: Problem) -> None:
        if problem.fatal:
            self._on_forgotten()


def _agreed(trust: p.Trust) -> list[str]:
    return trust if isinstance(trust, list) else []
