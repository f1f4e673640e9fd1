"""The page before a model is open: samples with their lessons, recent models, and where to drop a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QPushButton, QScrollArea, QVBoxLayout, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import Button, KeyboardFocus, paint_focus
from modelight.widgets.labels import ElidedLabel, MarkupLabel, follow_width, label
from modelight.widgets.sections import row

_WIDTH = 720


@dataclass(frozen=True)
class WelcomeRow:
    """One thing that can be opened: ``key`` is handed back when it is chosen."""

    key: str
    title: str
    text: str = ""
    """A sample's lesson, or where a recent model lives."""


class _Entry(KeyboardFocus, QPushButton):
    """A row that is a button: title, and a line or two of explanation below it."""

    def __init__(self, row: WelcomeRow, wrap: bool) -> None:
        super().__init__()
        self.setObjectName(f"open-{row.key}")
        self.setAccessibleName(f"{row.title}. {row.text}")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        title = ElidedLabel(13, 600)
        title.setText(row.title)
        text: QWidget
        if wrap:
            text = MarkupLabel()
            text.setText(row.text)
        else:
            text = ElidedLabel(12, tone="text2", elide=Qt.TextElideMode.ElideMiddle)
            text.setText(row.text)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(12, 9, 12, 9)
        self._column.setSpacing(2)
        for child in (title, text):
            child.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            self._column.addWidget(child)
        if wrap:
            follow_width(self)

    def hasHeightForWidth(self) -> bool:
        return self._column.hasHeightForWidth()

    def heightForWidth(self, width: int) -> int:
        below = self._column
        return below.totalHeightForWidth(width) if below.hasHeightForWidth() else below.totalSizeHint().height()

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, self.heightForWidth(_WIDTH))

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 40)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(theme.color("selection" if self.isDown() else "sunken" if self.underMouse() else "surface"))
        painter.setPen(theme.color("line"))
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(frame, theme.RADIUS_CARD, theme.RADIUS_CARD)
        if self._by_keyboard:
            paint_focus(painter, frame)


class _DropZone(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self._hovered = False
        self.setFixedHeight(72)

    def set_hovered(self, hovered: bool) -> None:
        """Whether a file hangs over the page."""
        self._hovered = hovered
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(theme.color("selection" if self._hovered else "surface"))
        pen = QPen(theme.color("ink" if self._hovered else "edge"), 1.25, Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([4, 4])
        painter.setPen(pen)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS_CARD, theme.RADIUS_CARD)
        painter.setFont(theme.font(13))
        painter.setPen(theme.color("text2"))
        text = self.tr("Drop a Python file, a checkpoint or an input here")
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, text)


class WelcomePage(QScrollArea):
    """Lists what can be opened; opens nothing by itself."""

    sample_chosen = Signal(str)
    recent_chosen = Signal(str)
    open_requested = Signal()
    inspect_requested = Signal()
    """A checkpoint shall be looked into, without its model."""
    files_dropped = Signal(list)
    """(local paths)"""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("welcome")
        self.setProperty("ground", "surface")
        self.setWidgetResizable(True)
        self.setAcceptDrops(True)
        self._drop = _DropZone()
        self._samples = QVBoxLayout()
        self._recent = QVBoxLayout()
        self._recent_title = label(self.tr("Recent"), 13, 600)
        self._open = Button(self.tr("Open model…"), "primary")
        self._open.setObjectName("open-model")
        self._open.clicked.connect(self.open_requested)
        self._inspect = Button(self.tr("Look into a checkpoint…"))
        self._inspect.setObjectName("open-checkpoint")
        self._inspect.clicked.connect(self.inspect_requested)
        self._lay_out()
        self.set_samples([])
        self.set_recent([])

    def set_samples(self, rows: Sequence[WelcomeRow]) -> None:
        """The models that come with the program."""
        self._fill(self._samples, rows, self.sample_chosen, wrap=True)

    def set_recent(self, rows: Sequence[WelcomeRow]) -> None:
        """Models that were open lately, the last one first."""
        self._fill(self._recent, rows, self.recent_chosen, wrap=False)
        self._recent_title.setVisible(bool(rows))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()
            self._drop.set_hovered(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._drop.set_hovered(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop.set_hovered(False)
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.files_dropped.emit(paths)

    def _lay_out(self) -> None:
        inside = QWidget()
        inside.setProperty("ground", "surface")
        inside.setMaximumWidth(_WIDTH + 40)
        column = QVBoxLayout(inside)
        column.setContentsMargins(20, 32, 20, 32)
        column.setSpacing(8)
        column.addWidget(label("Modelight", 20, 600))
        question = MarkupLabel(13, 20)
        question.setText(
            self.tr("Which parts of a model are in training mode right now, and what does that do to its outputs?")
        )
        column.addWidget(question)
        column.addSpacing(8)
        column.addLayout(row(self._open, self._inspect, None))
        column.addSpacing(8)
        column.addWidget(self._drop)
        column.addSpacing(16)
        column.addWidget(label(self.tr("Samples"), 13, 600))
        column.addLayout(self._samples)
        column.addSpacing(16)
        column.addWidget(self._recent_title)
        column.addLayout(self._recent)
        column.addStretch(1)
        for part in (self._samples, self._recent):
            part.setSpacing(8)
        outside = QWidget()
        outside.setProperty("ground", "surface")
        around = QVBoxLayout(outside)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(inside, 1)
        around.setAlignment(inside, Qt.AlignmentFlag.AlignHCenter)
        self.setWidget(outside)
        inside.setMinimumWidth(0)

    def _fill(self, column: QVBoxLayout, rows: Sequence[WelcomeRow], chosen: object, wrap: bool) -> None:
        while (item := column.takeAt(0)) is not None:
            if old := item.widget():
                old.hide()
                old.deleteLater()
        for one in rows:
            entry = _Entry(one, wrap)
            entry.clicked.connect(lambda _=False, key=one.key: chosen.emit(key))  # type: ignore[attr-defined]
            column.addWidget(entry)
