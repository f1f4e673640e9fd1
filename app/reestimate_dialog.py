"""The window of re-estimation: asks for the estimate, and writes the repaired checkpoint."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from modelight import protocol as p
from modelight.present.reestimate import reestimate_data
from modelight.problems import problem_of
from modelight.session import Session
from modelight.widgets import numbers
from modelight.widgets.reestimate_panel import ReEstimatePanel

TOGETHER = 32
"""Samples per batch that are proposed where the session runs one at a time, which says little of a population."""


class ReEstimateWindow(QWidget):
    """Belongs to the open model: another model or checkpoint empties it."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("reestimate-window")
        self.setWindowTitle(self.tr("Re-estimate running statistics — Modelight"))
        self._session = session
        self._found: p.ReEstimated | None = None
        self._outdated = False
        self._asked = 0
        self._closed = False
        """An answer may come after the widgets are gone."""
        self.panel = ReEstimatePanel()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.panel)
        self.resize(820, 680)
        self.panel.batch.setValue(self._proposed_batch())
        self.panel.estimate_requested.connect(self.estimate)
        self.panel.export_requested.connect(self._ask_where)
        session.opening.connect(self._on_opened)
        session.opened.connect(self._on_opened)
        session.ended.connect(self._on_opened)
        session.tensors_changed.connect(self._on_changed)
        session.progress.connect(self._on_progress)

    def _proposed_batch(self) -> int:
        setup, info = self._session.setup, self._session.input
        if setup is None or info is None:
            return 1
        return setup.batch if setup.batch > 1 else min(info.samples, TOGETHER)

    def estimate(self, batch: int, passes: int) -> None:
        """Preview the statistics; the model stays as it is."""
        setup = self._session.setup
        if self._asked or setup is None or self._session.model is None:
            return
        self.panel.set_busy(True)
        command = p.ReEstimate(id=self._session.new_id(), batch=batch, passes=passes, seed=setup.seed)
        self._asked = self._session.ask(command, self._on_estimated, self._on_failure)

    def export(self, path: str, replace: bool = False) -> None:
        """Write the model's state dict with the statistics that are shown."""
        if self._found is None or self._asked:
            return
        self.panel.set_busy(True)
        command = p.ExportCheckpoint(id=self._session.new_id(), path=path, estimate=self._found.id, replace=replace)
        self._asked = self._session.ask(command, self._on_exported, self._on_failure)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._asked:
            self._session.cancel(self._asked)
        self._closed = True
        super().closeEvent(event)

    def retheme(self) -> None:
        """The theme has changed."""
        self.panel.retheme()

    def _ask_where(self) -> None:
        model = self._session.model
        old = Path(model.report.path) if model is not None and model.report is not None else Path("model.pt")
        proposed = str(old.with_name(f"{old.stem}-re-estimated{old.suffix or '.pt'}"))
        kinds = self.tr("Checkpoints ({kinds})").format(kinds="*.safetensors *.pt *.pth *.bin")
        path, _ = QFileDialog.getSaveFileName(self, self.tr("Export checkpoint"), proposed, kinds)
        if path:
            self.export(path, replace=True)  # the file dialog has asked

    def _on_estimated(self, event: p.Event) -> None:
        assert isinstance(event, p.ReEstimated)
        if self._closed:
            return
        self._asked, self._found, self._outdated = 0, event, False
        self.panel.tell("")
        self.panel.set_data(reestimate_data(event))

    def _on_exported(self, event: p.Event) -> None:
        assert isinstance(event, p.Exported)
        if self._closed:
            return
        self._asked = 0
        self.panel.set_busy(False)
        text = self.tr("Written to {path}: {tensors} tensors, {size}, with new statistics in {layers} layers.")
        self.panel.tell(
            text.format(path=event.path, tensors=event.tensors, size=numbers.size(event.bytes), layers=event.layers)
        )

    def _on_failure(self, failure: p.Failure) -> bool:
        if self._closed:
            return True
        self._asked = 0
        self.panel.set_busy(False)
        self.panel.tell("" if failure.kind == "cancelled" else problem_of(failure).sentence)
        return True

    def _on_progress(self, what: str, fraction: float | None) -> None:
        if self._asked and what:
            self.panel.tell(what if fraction is None else f"{what}  {numbers.percent(fraction, 0)}")

    def _on_opened(self, _: object) -> None:
        self._found, self._outdated, self._asked = None, False, 0
        self.panel.clear()
        self.panel.set_busy(False)

    def _on_changed(self) -> None:
        if self._found is not None and not self._outdated:
            self._outdated = True
            self.panel.set_data(reestimate_data(self._found, outdated=True))
