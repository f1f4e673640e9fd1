"""The status bar: what the last run in the present state gave, and whether it left a trace."""

from __future__ import annotations

from PySide6.QtCore import QObject

from modelight.pages import Pages
from modelight.phrases import phrase
from modelight.protocol import Frame
from modelight.session import Session
from modelight.widgets.status import Status, StatusBar


class StatusLink(QObject):
    """Keeps a :class:`StatusBar` true."""

    def __init__(self, session: Session, bar: StatusBar, pages: Pages) -> None:
        super().__init__(bar)
        self._session, self._bar, self._pages = session, bar, pages
        self._kept = self._kept_before = 0
        self._spec = ""
        session.opening.connect(self._on_opening)
        session.settings_changed.connect(self.show_state)
        session.states_changed.connect(lambda _: self.show_state())
        session.restored.connect(self._forget)
        session.cycle.restarted.connect(self.show_state)
        session.cycle.frame.connect(self._on_frame)

    def _on_opening(self, spec: str) -> None:
        """The statistics begin anew, which nobody would expect of a *Restart* that brings back all else."""
        self._kept_before = self._kept + self._kept_before if spec == self._spec else 0
        self._kept, self._spec = 0, spec
        self.show_state()

    def _forget(self) -> None:
        self._kept = self._kept_before = 0
        self.show_state()

    def _on_frame(self, frame: Frame) -> None:
        if frame.ledger.kept:
            self._kept += frame.repeats
        self.show_state()

    def show_state(self) -> None:
        """Show the present state; what was not measured in it is left out."""
        if self._session.model is None:
            self._bar.setValue(Status())
            return
        modes = self._session.modes
        frame = self._pages.seen.history.newest
        keeping = self._session.setup is not None and self._session.setup.keep_updates
        kept = self._kept if keeping or self._kept else None
        before = self._kept_before
        if frame is None:
            self._bar.setValue(Status(modes.train, modes.eval, kept_passes=kept, keeping=keeping, kept_before=before))
            return
        self._bar.setValue(
            Status(
                modes.train,
                modes.eval,
                output=output_words(frame),
                autograd_bytes=frame.autograd.kept,
                autograd_also=(frame.autograd.parameters, frame.autograd.inputs),
                milliseconds=frame.milliseconds,
                right=self._pages.accuracy(),
                note=", ".join(phrase(note) for note in frame.notes),
                parameters_put_back=frame.ledger.parameters,
                buffers_put_back=frame.ledger.buffers,
                kept_passes=kept,
                keeping=keeping,
                kept_before=before,
                lost=lost_words(frame),
            )
        )


def output_words(frame: Frame) -> str:
    """The fifth axis, in Python's own words: what came out."""
    if not frame.outputs:
        return ""
    first = frame.outputs[0]
    words = f"output requires_grad = {first.requires_grad}"
    if first.grad_fn:
        words += f", grad_fn = {first.grad_fn}"
    return f"{words}, is_inference() = {first.is_inference}"


def lost_words(frame: Frame) -> str:
    """What could not be put back; empty where all was, or was to be kept."""
    if frame.ledger.kept:
        return ""
    names = [entry.name for entry in frame.ledger.entries if not entry.restored]
    return "" if not names else "Not put back: " + ", ".join(names[:3]) + ("…" if len(names) > 3 else "")
