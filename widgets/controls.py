"""The controls of the toolbar. Each shows a state and asks for another; none of them knows what a model is."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QSpinBox, QToolButton, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import Button, KeyboardFocus, paint_focus
from modelight.widgets.labels import label
from modelight.widgets.segments import Option, SegmentedControl
from modelight.widgets.signs import paint_sign


def mode_control(parent: QWidget | None = None) -> SegmentedControl:
    """Train | Mixed | Eval with their lamps; values ``train``, ``mixed``, ``eval``."""

    def tr(text: str) -> str:
        return QCoreApplication.translate("controls", text)

    control = SegmentedControl(
        [
            Option("train", tr("Train"), "train", "train", tr("Set every module to training mode")),
            Option("mixed", tr("Mixed"), "ink", "mixed", tr("Some modules train, some evaluate")),
            Option("eval", tr("Eval"), "eval", "eval", tr("Set every module to evaluation mode")),
        ],
        tr("Mode of the whole model"),
        parent,
    )
    control.setObjectName("mode-control")
    return control


def grad_control(parent: QWidget | None = None) -> SegmentedControl:
    """on | no_grad | inference; values are the protocol's ``enabled``, ``no_grad``, ``inference_mode``."""

    def tr(text: str) -> str:
        return QCoreApplication.translate("controls", text)

    control = SegmentedControl(
        [
            Option("enabled", tr("on"), tooltip=tr("Gradients are recorded")),
            Option("no_grad", "no_grad", tooltip=tr("Run under torch.no_grad()")),
            Option("inference_mode", "inference", tooltip=tr("Run under torch.inference_mode()")),
        ],
        tr("Grad mode of the thread that runs the model"),
        parent,
    )
    control.setObjectName("grad-control")
    return control


class Labelled(QWidget):
    """A control with its name in text 2 before it."""

    def __init__(self, name: str, control: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.control = control
        caption = label(name, 12, tone="text2")
        caption.setBuddy(control)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(caption)
        row.addWidget(control)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)


class ModelButton(Button):
    """The open model's name and its checkpoint's; the checkpoint gives way first when space is short. Takes a menu."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "flat", chevron=True, parent=parent)
        self._checkpoint = ""
        self.setObjectName("model-button")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def set_model(self, name: str, checkpoint: str = "") -> None:
        """Show these names; ``checkpoint`` is a file's short name, or "" for none."""
        self.setText(name)
        self._checkpoint = checkpoint
        self.setAccessibleName(f"{name} {checkpoint}".strip())
        self.setToolTip(self.accessibleName())
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        checkpoint = self._advance(self._checkpoint, 12, 400) + 8 if self._checkpoint else 0
        return QSize(max(192, round(self._advance(self.text(), 13, 600) + checkpoint) + 48), 28)

    def minimumSizeHint(self) -> QSize:
        return QSize(min(round(self._advance(self.text(), 13, 600)), 140) + 40, 28)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter)
        room = self.width() - 40.0
        name = QFontMetricsF(theme.font(13, 600)).elidedText(self.text(), Qt.TextElideMode.ElideMiddle, room)
        used = self._paint_words(painter, 11, name, 13, 600, "text")
        left = room - used - 8
        if left > 32:
            face = QFontMetricsF(theme.font(12))
            text = face.elidedText(self._checkpoint, Qt.TextElideMode.ElideMiddle, left)
            self._paint_words(painter, 11 + used + 8, text, 12, 400, "text2")
        paint_sign(painter, QPointF(self.width() - 13, self.height() / 2), "chevron")

    def _advance(self, text: str, size: int, weight: int) -> float:
        return QFontMetricsF(theme.font(size, weight)).horizontalAdvance(text)

    def _paint_words(self, painter: QPainter, x: float, text: str, size: int, weight: int, tone: str) -> float:
        painter.setFont(theme.font(size, weight))
        painter.setPen(theme.color(tone))
        painter.drawText(
            QRectF(x, 0, self.width() - x, self.height()),
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
            text,
        )
        return self._advance(text, size, weight)


class InputButton(Button):
    """What the runs are fed, as a drop-down that opens the input's editor. Always as wide, so that nothing moves."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("choose…"), chevron=True, parent=parent)
        self.setObjectName("input-button")

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(text)
        self.setAccessibleName(self.tr("Input: {0}").format(text))

    def sizeHint(self) -> QSize:
        return QSize(172, 28)


class RunButton(Button):
    """Run, which becomes Stop during a run, in the same place and width."""

    run_requested = Signal()
    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Run"), "primary", "play", parent=parent)
        self._running = False
        self.setObjectName("run-button")
        self.clicked.connect(self._on_clicked)

    def is_running(self) -> bool:
        """Whether it says Stop."""
        return self._running

    def set_running(self, running: bool) -> None:
        """Say Stop while a run is on."""
        if running != self._running:
            self._running = running
            self.setText(self.tr("Stop") if running else self.tr("Run"))
            self.set_sign("stop" if running else "play")

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self.font())
        words = max(metrics.horizontalAdvance(self.tr("Run")), metrics.horizontalAdvance(self.tr("Stop")))
        return QSize(round(words) + 43, 28)

    def _on_clicked(self) -> None:
        (self.stop_requested if self._running else self.run_requested).emit()


class LiveButton(Button):
    """Repeats runs: a grey ring off; on, a green dot in a ring on pressed ground, with the rate where runs are slow."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Live"), "plain", "dot", parent=parent)
        self._rate = ""
        self.setCheckable(True)
        self.setObjectName("live-button")

    def set_rate(self, rate: str) -> None:
        """A short text such as "0.4 per s" after the word, "" for none."""
        if rate != self._rate:
            self._rate = rate
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        rate = QFontMetricsF(theme.font(12)).horizontalAdvance(self._rate) + 6 if self._rate else 0
        return QSize(round(QFontMetricsF(self.font()).horizontalAdvance(self.text()) + rate) + 41, 28)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter)
        center = QPointF(17, self.height() / 2)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.color("confirmed" if self.isChecked() else "text3"), 1.25))
        painter.drawEllipse(center, 5.0 if self.isChecked() else 4.0, 5.0 if self.isChecked() else 4.0)
        if self.isChecked():
            paint_sign(painter, center, "dot", theme.color("confirmed"))
        painter.setFont(self.font())
        painter.setPen(self._words())
        middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        words = QFontMetricsF(self.font()).horizontalAdvance(self.text())
        painter.drawText(QRectF(29, 0, words + 4, self.height()), middle, self.text())
        if self._rate:
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("text3"))
            painter.drawText(QRectF(35 + words, 0, self.width(), self.height()), middle, self._rate)


class SpinBox(QSpinBox):
    """A whole number in a field without steppers; the wheel changes it only while it has the focus.

    Paints its own ground: a style sheet on a spin box keeps room for the steppers, and a narrow one then shows nothing.
    """

    def __init__(self, low: int, high: int, width: int, bare: bool = False, parent: QWidget | None = None) -> None:
        """``bare``: without an edge, to stand inside another frame."""
        super().__init__(parent)
        self._bare = bare
        self.setRange(low, high)
        self.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.setFrame(not bare)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)
        self.setFont(theme.font(13))
        self.lineEdit().setTextMargins(0 if bare else 5, 0, 0, 0)
        self.setFixedSize(width, 26 if bare else 28)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._bare:
            paint_field(self, self.hasFocus())


def paint_field(widget: QWidget, focused: bool) -> None:
    """The ground of a field: surface, rounded, with an edge that is ink while it has the focus."""
    painter = QPainter(widget)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(theme.color("surface"))
    painter.setPen(theme.color("ink" if focused else "edge"))
    frame = QRectF(widget.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
    painter.drawRoundedRect(frame, theme.RADIUS_CONTROL, theme.RADIUS_CONTROL)


class BatchBox(SpinBox):
    """How many samples one forward gets."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(1, 65_536, 44, parent=parent)
        self.setObjectName("batch-box")
        self.setAccessibleName(self.tr("Batch size"))
        self.setToolTip(self.tr("Samples per forward"))


class _FreshToggle(KeyboardFocus, QToolButton):
    def __init__(self) -> None:
        super().__init__()
        self.setCheckable(True)
        self.setFixedSize(22, 22)
        self.setObjectName("fresh-seed")
        self.setAccessibleName(self.tr("Fresh seed for each run"))
        self.setToolTip(self.tr("Draw a fresh seed for each run"))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.isChecked() or self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("selection"))
            painter.drawRoundedRect(self.rect(), theme.RADIUS_BADGE, theme.RADIUS_BADGE)
        paint_sign(painter, QPointF(11, 11), "refresh", theme.color("text" if self.isChecked() else "text2"))
        if self._by_keyboard:
            paint_focus(painter, QRectF(self.rect()).adjusted(-1.5, -1.5, 1.5, 1.5))


class SeedBox(QFrame):
    """The seed of the runs, and whether each run draws a fresh one."""

    valueChanged = Signal(int)
    freshToggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("seed-box")
        self._spin = SpinBox(0, 2**31 - 1, 30, bare=True)
        self._spin.setAccessibleName(self.tr("Seed"))
        self._spin.setToolTip(self.tr("Seed of the random generators"))
        self._fresh = _FreshToggle()
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 1, 4, 1)
        row.setSpacing(2)
        row.addWidget(self._spin, 1)
        row.addWidget(self._fresh)
        self.setFixedHeight(28)
        self.setFocusProxy(self._spin)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._spin.valueChanged.connect(self._on_value_changed)
        self._fresh.toggled.connect(self.freshToggled)
        self._fit()

    def value(self) -> int:
        """The seed."""
        return self._spin.value()

    def setValue(self, seed: int) -> None:
        """Show a seed without emitting."""
        self._spin.blockSignals(True)
        self._spin.setValue(seed)
        self._spin.blockSignals(False)
        self._fit()

    def is_fresh(self) -> bool:
        """Whether each run draws a fresh seed."""
        return self._fresh.isChecked()

    def set_fresh(self, fresh: bool) -> None:
        """Switch fresh seeds on or off."""
        self._fresh.setChecked(fresh)

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_field(self, self._spin.hasFocus())

    def _on_value_changed(self, seed: int) -> None:
        self._fit()
        self.valueChanged.emit(seed)

    def _fit(self) -> None:
        # Ten figures need room only when there are ten.
        words = QFontMetricsF(theme.font(13)).horizontalAdvance(self._spin.text())
        self._spin.setFixedWidth(max(20, round(words) + 8))
