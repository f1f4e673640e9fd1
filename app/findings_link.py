"""Findings and session: cards for what was found, remedies carried out, and the card of what a remedy solved."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication

from modelight import protocol as p
from modelight.present.findings import find_remedy, finding_rows, solved_row
from modelight.session import Session
from modelight.widgets.findings_pane import FindingsPane


class FindingsLink(QObject):
    """Connects a :class:`FindingsPane`."""

    def __init__(self, session: Session, pane: FindingsPane) -> None:
        super().__init__(pane)
        self._session, self._pane = session, pane
        self._findings: list[p.Finding] = []
        self._tried: tuple[p.Finding, str, int] | None = None
        """The finding whose remedy was pressed, the button's words, and how many flags it changed."""
        pane.remedy_requested.connect(self._on_remedy)
        session.opening.connect(lambda _: self._clear())
        session.input_changed.connect(lambda _: self._clear())
        session.states_changed.connect(self._on_states)
        session.cycle.restarted.connect(lambda: pane.set_busy(True))
        session.cycle.findings.connect(self._on_findings)
        session.cycle.settled.connect(lambda: pane.set_busy(False))
        session.problem.connect(lambda problem: pane.set_busy(session.cycle.busy and not problem.fatal))

    def _clear(self) -> None:
        self._findings, self._tried = [], None
        self._pane.set_findings([])
        self._pane.set_empty_text(self.tr("Findings appear here once the model has run."))

    def _on_states(self, states: list[p.RowState]) -> None:
        if self._tried is not None and self._tried[2] == 0:
            finding, words, _ = self._tried
            self._tried = (finding, words, len(states))

    def _on_findings(self, findings: list[p.Finding] | None) -> None:
        model = self._session.model
        if model is None:
            return
        if findings is None:
            self._findings = []
            self._pane.set_findings([])
            self._pane.set_empty_text(self.tr("This model is slow, so nobody has looked yet in this state."))
            return
        self._findings = findings
        # Nothing can be called unremarkable that could not be run.
        unseen = self.tr("The model does not run in this state, and no known reason was found.")
        self._pane.set_empty_text(unseen if self._session.cycle.failed else "")
        rows = finding_rows(findings, model.rows)
        if self._tried is not None:
            finding, words, flags = self._tried
            if any(other.id == finding.id for other in findings):  # it may have moved to another module
                self._tried = None
            else:
                rows.insert(0, solved_row(finding, words, flags, model.rows))
        self._pane.set_findings(rows)

    def _on_remedy(self, key: str, remedy_id: str) -> None:
        if remedy_id in ("undo", "copy-python") and key.startswith("solved "):
            self._tried = None if remedy_id == "undo" else self._tried
            (self._session.undo.undo if remedy_id == "undo" else self._session.ask_python)()
            return
        finding, remedy = find_remedy(self._findings, key, remedy_id)
        row = next(row for row in finding_rows(self._findings, self._session_rows()) if row.key == key)
        words = next(button.text for button in row.remedies if button.id == remedy_id)
        self._tried = (finding, words, 0)
        self._apply(remedy, words)

    def _session_rows(self) -> list[p.Row]:
        return self._session.model.rows if self._session.model is not None else []

    def _apply(self, remedy: p.Remedy, words: str) -> None:
        if remedy.id == "restore-checkpoint":
            self._session.restore_checkpoint()
        elif remedy.training is None:
            QGuiApplication.clipboard().setText("\n".join(remedy.python))
            self._tried = None
        elif remedy.paths in ([], [""]):
            self._session.set_mode("", remedy.training)
        else:
            self._session.set_flags(dict.fromkeys(remedy.paths, remedy.training), words)
