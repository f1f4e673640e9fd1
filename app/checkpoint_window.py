"""A window for a checkpoint by itself: what the file holds, without the model's code. Read in the model process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from modelight import protocol as p
from modelight.present.checkpoint import checkpoint_data, tensor_data
from modelight.session import Session
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
    """Shows one file. Two of them can stand side by side."""

    def __init__(
        self, session: Session, facts: p.CheckpointFacts, trust: p.Trust, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("checkpoint-window")
        self._session, self._facts, self._trust = session, facts, trust
        self._asked = 0
        self.page = CheckpointPage()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.page)
        self.resize(900, 760)
        self.page.key_requested.connect(self._look_again)
        self.page.reload_requested.connect(lambda: self._look_again(self._facts.key))
        self.page.tensor_requested.connect(self._ask_tensor)
        self.page.compare_requested.connect(self._choose_other)
        self._show(facts)

    def _show(self, facts: p.CheckpointFacts) -> None:
        self._facts = facts
        data = checkpoint_data(facts)
        self.setWindowTitle(self.tr("{file} — Modelight").format(file=data.file))
        self.page.set_data(data)

    def _look_again(self, key: str) -> None:
        inspect(self._session, self._facts.path, self._show_again, key, self._trust)

    def _show_again(self, facts: p.CheckpointFacts, trust: p.Trust) -> None:
        self._trust = trust
        self._show(facts)

    def _choose_other(self) -> None:
        title = self.tr("Compare with")
        path, _ = QFileDialog.getOpenFileName(self, title, str(Path(self._facts.path).parent))
        if path:
            self.compare_with(path)

    def compare_with(self, path: str, trust: p.Trust | None = None) -> None:
        """Show what differs from the checkpoint at ``path``, value by value."""
        self._trust = self._trust if trust is None else trust
        command = p.CompareCheckpoints(
            id=self._session.new_id(), path=self._facts.path, other=path, key=self._facts.key, trust=self._trust
        )
        again = partial(self.compare_with, path)
        self._session.ask(
            command, self._on_compared, lambda failure: self._session.needs_consent(failure, self._trust, again)
        )

    def _on_compared(self, event: p.Event) -> None:
        assert isinstance(event, p.CheckpointsCompared)
        self.page.set_data(checkpoint_data(self._facts, event.difference))

    def _ask_tensor(self, name: str, trust: p.Trust | None = None) -> None:
        self._trust = self._trust if trust is None else trust
        if self._asked:
            self._session.cancel(self._asked)
        self.page.set_reading(None)
        command = p.InspectTensor(
            id=self._session.new_id(), path=self._facts.path, name=name, key=self._facts.key, trust=self._trust
        )
        again = partial(self._ask_tensor, name)
        self._asked = self._session.ask(
            command, self._on_tensor, lambda failure: self._session.needs_consent(failure, self._trust, again)
        )

    def _on_tensor(self, event: p.Event) -> None:
        assert isinstance(event, p.TensorInspected)
        self._asked = 0
        self.page.set_tensor(tensor_data(event, self._facts))
