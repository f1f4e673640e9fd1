"""The status bar: the modes, what the last run gave, and at the right whether it left a trace."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from modelight.widgets import numbers, paint, theme
from modelight.widgets.buttons import KeyboardFocus
from modelight.widgets.lamp import LampState, paint_lamp
from modelight.widgets.signs import Sign, paint_sign

_MIDDLE = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class Status:
    """What the bar shows. None leaves a segment out: nothing has been measured."""

    train: int | None = None
    """Modules in training mode."""
    eval: int | None = None
    output: str = ""
    """What came out, e.g. "output requires_grad = False"; not translated, since it is Python."""
    autograd_bytes: int | None = None
    """Kept for backward: neither parameters nor inputs."""
    milliseconds: float | None = None
    right: tuple[int, int] | None = None
    """(samples answered right, labelled samples)"""
    note: str = ""
    """One more segment, such as "slow path (observed)"."""
    parameters_put_back: int | None = None
    """What the run would have changed; both None where there was no run."""
    buffers_put_back: int | None = None
    kept_passes: int | None = None
    """With *Keep updates* on: passes whose updates stand."""
    keeping: bool = True
    """Whether *Keep updates* is on; off, those that were kept before still stand."""
    kept_before: int = 0
    """Passes that were kept before the model was opened again: its statistics are the checkpoint's since."""
    lost: str = ""
    """What could not be put back, as a sentence; goes before all else at the right."""
    autograd_also: tuple[int, int] = (0, 0)
    """Bytes of (parameters, inputs) that backward needs as well, which are there anyway."""


def _counted(number: int, one: str, many: str) -> str:
    return "" if not number else one if number == 1 else many.format(numbers.count(number))


class StatusBar(KeyboardFocus, QWidget):
    """Paints a :class:`Status` in one line of 26 logical pixels. What has no room goes, the last at the left first.

    What is said at the right is a link to the whole of it.
    """

    trace_pressed = Signal()
    """Someone wants to see what the run left behind."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status-bar")
        self._status = Status()
        self._trace = QRectF()
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setFixedHeight(26)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def value(self) -> Status:
        """What is shown."""
        return self._status

    def setValue(self, status: Status) -> None:
        """Show this."""
        self._status = status
        whole = " · ".join([*self.segments(), self.trace_text()])
        self.setAccessibleName(whole)
        self.setToolTip(whole)
        self.update()

    def segments(self) -> list[str]:
        """The texts at the left, in their order."""
        status = self._status
        texts = []
        if status.train is not None and status.eval is not None:
            texts.append(
                self.tr("{0} train · {1} eval").format(numbers.count(status.train), numbers.count(status.eval))
            )
        if status.output:
            texts.append(status.output)
        if status.autograd_bytes is not None:
            texts.append(self._autograd(status.autograd_bytes, *status.autograd_also))
        if status.milliseconds is not None:
            texts.append(numbers.milliseconds(status.milliseconds))
        if status.right is not None:
            good, labelled = status.right
            share = numbers.percent(good / labelled)
            texts.append(self.tr("accuracy {0}, {1} of {2}").format(share, good, labelled))
        return [*texts, status.note] if status.note else texts

    def _autograd(self, kept: int, parameters: int, inputs: int) -> str:
        text = self.tr("autograd keeps {0}").format(numbers.size(kept))
        if not parameters and not inputs:
            return text
        also = self.tr("beside {0} of parameters, {1} of inputs")
        return f"{text} {also.format(numbers.size(parameters), numbers.size(inputs))}"

    def trace_text(self) -> str:
        """The text at the right: what the last run left behind."""
        status = self._status
        if status.lost:
            return status.lost
        if status.kept_passes is not None:
            one, many = self.tr("Keeping updates: 1 pass so far"), self.tr("Keeping updates: {0} passes so far")
            if not status.keeping:
                one, many = self.tr("Updates of 1 pass were kept"), self.tr("Updates of {0} passes were kept")
            so_far = one if status.kept_passes == 1 else many.format(numbers.count(status.kept_passes))
            gone = self.tr("; the restart undid {0}").format(numbers.count(status.kept_before))
            return so_far + (gone if status.kept_before else "")
        if status.buffers_put_back is None or status.parameters_put_back is None:
            return ""
        put_back = [
            _counted(status.parameters_put_back, self.tr("1 parameter"), self.tr("{0} parameters")),
            _counted(status.buffers_put_back, self.tr("1 buffer"), self.tr("{0} buffers")),
        ]
        if not any(put_back):
            return self.tr("Run left no trace: nothing would have changed")
        return self.tr("Run left no trace: {0} put back").format(", ".join(filter(None, put_back)))

    def sizeHint(self) -> QSize:
        return QSize(400, 26)

    def trace_rect(self) -> QRectF:
        """Where the link at the right is; empty where there is none."""
        return self._trace

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self._trace.contains(event.position())
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._trace.contains(event.position()):
            self.trace_pressed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return) and self.trace_text():
            self.trace_pressed.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.color("chrome"))
        painter.fillRect(0, 0, self.width(), 1, theme.color("line"))
        end = self._paint_trace(painter)
        x = 12.0
        for number, text in enumerate(self.segments()):
            measured = number == 0 and self._status.train is not None
            face = theme.font(12, 500 if measured else 400)
            width = QFontMetricsF(face).horizontalAdvance(text)
            start = x + (19 if measured else 0)
            if start + width > end - 12:
                break
            if measured:
                paint_lamp(painter, QPointF(x + 6, self._center()), self._lamp())
            if number:
                painter.fillRect(QRectF(x - 13, 6, 1, 15), theme.color("line"))
            self._write(painter, QRectF(start, 1, width + 4, 25), text, "text" if measured else "text2", measured)
            x = start + width + 25

    def _center(self) -> float:
        return 13.5

    def _lamp(self) -> LampState:
        train, evaluate = self._status.train, self._status.eval
        return "mixed" if train and evaluate else "train" if train else "eval" if evaluate else "none"

    def _paint_trace(self, painter: QPainter) -> float:
        """Paint the right part; returns where it begins."""
        text, self._trace = self.trace_text(), QRectF()
        if not text:
            return float(self.width())
        calm = not self._status.lost and self._status.kept_passes is None
        metrics = QFontMetricsF(theme.font(12, 400 if calm else 500))
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, self.width() * 0.6)
        width = metrics.horizontalAdvance(text)
        x = self.width() - 12 - width
        sign: Sign = "solved" if calm else "critical" if self._status.lost else "dot"
        paint_sign(painter, QPointF(x - 13, self._center()), sign, theme.color("confirmed" if calm else "attention"))
        self._write(painter, QRectF(x, 1, width + 4, 25), text, "text2" if calm else "attention", not calm)
        self._trace = QRectF(x - 20, 0, width + 24, self.height())
        painter.setPen(paint.pen("ink" if self._by_keyboard else "edge"))
        painter.drawLine(QLineF(x, 21.5, x + width, 21.5))
        return x - 24

    def _write(self, painter: QPainter, room: QRectF, text: str, tone: str, strong: bool) -> None:
        painter.setFont(theme.font(12, 500 if strong else 400))
        painter.setPen(theme.color(tone))
        painter.drawText(room, _MIDDLE, text)
