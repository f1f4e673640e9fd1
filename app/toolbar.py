"""The toolbar: what state the model is in, and the experiment made with it. Shows the session, asks the session."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSignalBlocker, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QMenu, QSizePolicy, QWidget

from modelight import sources
from modelight.protocol import InputInfo, Opened
from modelight.session import Session
from modelight.widgets.buttons import Button
from modelight.widgets.controls import (
    BatchBox,
    InputButton,
    Labelled,
    LiveButton,
    ModelButton,
    RunButton,
    SeedBox,
    grad_control,
    mode_control,
)
from modelight.widgets.numbers import NO_BREAK, figure

ROW = 52
TWO_ROWS_BELOW = 1360
SLOW_MS = 100
"""A live view slower than this says its rate."""


class Toolbar(QWidget):
    """Two groups in one row; below 1360 logical pixels the second takes a row of its own."""

    def __init__(self, session: Session, presets: QMenu, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setProperty("ground", "chrome")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.model_button = ModelButton()
        self.model_button.set_model("Modelight")
        self.mode = mode_control()
        self.presets = Button(self.tr("Presets"), chevron=True)
        self.presets.setObjectName("presets-button")
        self.presets.setMenu(presets)
        self.grad = grad_control()
        self.input = InputButton()
        self.batch = BatchBox()
        self.seed = SeedBox()
        self.run = RunButton()
        self.live = LiveButton()
        self._assemble()
        self._connect()
        self.show_state()

    def _assemble(self) -> None:
        grad, mode = Labelled(self.tr("Grad"), self.grad), Labelled(self.tr("Mode"), self.mode)
        self._state = _row([self.model_button, _row([mode, self.presets], (0, 0), 8), grad], (9, 0))
        feed, batch = Labelled(self.tr("Input"), self.input), Labelled(self.tr("Batch"), self.batch)
        seed = Labelled(self.tr("Seed"), self.seed)
        self._experiment = _row([feed, batch, seed, self.run, self.live], (12, 12))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(0)
        self._rows = 0
        self._place(1)

    def _place(self, rows: int) -> None:
        if rows == self._rows:
            return
        self._rows = rows
        second = (0, 1) if rows == 1 else (1, 0)
        self._grid.addWidget(self._state, 0, 0, Qt.AlignmentFlag.AlignLeft)
        side = Qt.AlignmentFlag.AlignRight if rows == 1 else Qt.AlignmentFlag.AlignLeft
        self._experiment.setContentsMargins(0 if rows == 1 else 8, 0, 0, 0)
        self._grid.addWidget(self._experiment, *second, side)
        self.setFixedHeight(ROW if rows == 1 else ROW + ROW - 8)

    def minimumSizeHint(self) -> QSize:
        """As on two rows, so that a window with one can be made narrow in one go."""
        return QSize(max(part.minimumSizeHint().width() for part in (self._state, self._experiment)) + 8, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place(1 if event.size().width() >= TWO_ROWS_BELOW else 2)

    def _connect(self) -> None:
        session = self._session
        self.mode.valueChanged.connect(self._on_mode)
        self.grad.valueChanged.connect(session.set_grad_mode)
        self.batch.valueChanged.connect(session.set_batch)
        self.seed.valueChanged.connect(lambda value: session.set_seed(value, self.seed.is_fresh()))
        self.seed.freshToggled.connect(lambda fresh: session.set_seed(self.seed.value(), fresh))
        self.run.run_requested.connect(session.cycle.begin)
        self.run.stop_requested.connect(session.cycle.stop)
        self.live.clicked.connect(session.cycle.set_live)
        session.opening.connect(self._on_opening)
        session.opened.connect(self._on_opened)
        session.input_changed.connect(self._on_input)
        session.settings_changed.connect(self.show_state)
        session.states_changed.connect(lambda _: self.show_state())
        session.ended.connect(lambda _: self.show_state())
        session.cycle.busy_changed.connect(lambda _: self.show_state())
        session.cycle.frame.connect(lambda _: self._show_rate())

    def show_state(self) -> None:
        """Show what the session says; nothing is emitted."""
        setup, ready = self._session.setup, self._session.model is not None
        for control in (self.mode, self.presets, self.grad, self.input, self.batch, self.seed):
            control.setEnabled(ready)
        fed = ready and self._session.input is not None
        cycle = self._session.cycle
        self.run.setEnabled(fed or cycle.busy)
        self.run.set_running(cycle.busy and not cycle.live)
        self.live.setEnabled(fed)
        with QSignalBlocker(self.live):
            self.live.setChecked(cycle.live)
        self._show_rate()
        if setup is None:
            return
        modes = self._session.modes
        self.mode.setValue(modes.name if ready and (modes.train or modes.eval) else "")  # no flags, no mode
        self.mode.set_option_enabled("mixed", ready and self._session.can_be_mixed)
        self.grad.setValue(setup.grad_mode)
        with QSignalBlocker(self.batch), QSignalBlocker(self.seed):
            self.batch.setValue(setup.batch)
            self.seed.setValue(setup.seed)
            self.seed.set_fresh(setup.fresh)

    def _show_rate(self) -> None:
        run_ms = self._session.cycle.run_ms
        slow = self._session.cycle.live and run_ms is not None and run_ms > SLOW_MS
        self.live.set_rate(self.tr("{rate} per s").format(rate=figure(1000 / run_ms, 2)) if slow and run_ms else "")

    def _on_mode(self, value: str) -> None:
        if value == "mixed":
            self._session.bring_back_mixed()
        else:
            self._session.set_mode("", value == "train")
        self.mode.setValue(self._session.modes.name)  # until the engine says otherwise

    def _on_opening(self, spec: str) -> None:
        self.model_button.set_model(spec.rpartition("/")[2])
        self.input.setText(self.tr("choose…"))
        self.show_state()

    def _on_opened(self, opened: Opened) -> None:
        checkpoint = Path(opened.report.path).name if opened.report is not None else ""
        self.model_button.set_model(opened.name, checkpoint)
        self.show_state()

    def _on_input(self, info: InputInfo | None) -> None:
        if info is not None:
            self.input.setText(_input_name(info))
        self.show_state()


def _input_name(info: InputInfo) -> str:
    text = sources.summary(info.sources)
    if len(info.sources) == 1 and ":" not in text:
        text += f":{NO_BREAK}{info.samples}"
    noise = sum(info.is_noise)
    if text.startswith("example +") and noise < info.samples:
        text = text.replace("example +", f"example:{NO_BREAK}{info.samples - noise} +", 1)
    return text


def _row(widgets: list[QWidget], margins: tuple[int, int], spacing: int = 16) -> QWidget:
    row = QWidget()
    row.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    layout = QHBoxLayout(row)
    layout.setContentsMargins(margins[0], 0, margins[1], 0)
    layout.setSpacing(spacing)
    for widget in widgets:
        layout.addWidget(widget)
    return row
