"""The view of the Gradients page: asks for gradients when they are cheap, and fills the page."""

from __future__ import annotations

from modelight import protocol as p
from modelight.session import Session


class GradientsView:
    """Which parameters receive a gradient in the present state."""

    def __init__(self, session: Session) -> None:
        from modelight.widgets.gradients_page import GradientsPage

        self._session = session
        self._found: p.Gradients | None = None
        self._outdated = False
        self._asked = False
        """Asked unasked in the present state: a failure is not asked for again and again."""
        self.widget = GradientsPage()
        self.widget.look_requested.connect(session.cycle.look_at_gradients)
        self.widget.freeze_requested.connect(session.set_requires_grad)
        session.progress.connect(self.widget.set_progress)
        session.cycle.gradients.connect(self._on_gradients)
        session.tensors_changed.connect(self._outdate)
        session.states_changed.connect(lambda _: self._outdate())
        for emptied in (session.opening, session.opened):
            emptied.connect(lambda _: self._forget())

    def refresh(self) -> bool:
        from modelight.present.gradients import gradients_data

        model, setup = self._session.model, self._session.setup
        if model is None or setup is None or self._session.input is None:
            return False
        if (self._found is None or self._outdated) and not self._asked and self._session.cycle.may_look_at_gradients():
            self._asked = True
            self._session.cycle.look_at_gradients()
        if self._found is None:
            self.widget.clear()
        else:
            self.widget.set_data(
                gradients_data(self._found, model.rows, setup.grad_mode, model.name, outdated=self._outdated)
            )
        return True

    def point_at(self, path: str) -> None:
        """Select a module."""
        self.widget.select(path)

    def retheme(self) -> None:
        self.widget.retheme()

    def _on_gradients(self, found: p.Gradients) -> None:
        self._found, self._outdated = found, False
        self.refresh()

    def _outdate(self) -> None:
        self._outdated, self._asked = self._found is not None, False

    def _forget(self) -> None:
        self._found, self._outdated, self._asked = None, False, False
