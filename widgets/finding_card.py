"""One finding: what is remarkable, the figures, a picture where it says it faster, and what cures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import Button, KeyboardFocus, Kind
from modelight.widgets.evidence import EvidenceCurve, EvidencePlot
from modelight.widgets.labels import MarkupLabel, follow_width, plain_text
from modelight.widgets.lamp import LampState
from modelight.widgets.signs import Sign, paint_sign

_FOLDED_LINES = 3
_INDENT = 34
_GAP = 8


@dataclass(frozen=True)
class RemedyRow:
    """A button that cures. ``mode`` gives it the lamp and the edge of the mode that it sets."""

    id: str
    text: str
    mode: str = ""
    """``train``, ``eval`` or ""."""
    tooltip: str = ""


@dataclass(frozen=True)
class FindingRow:
    """What a card shows. Figures in ``body`` and ``after`` may stand between ``**``."""

    key: str
    """Tells this finding from all others that are shown."""
    doc: str
    """Id of its page, e.g. ``ML101``."""
    severity: str
    """``critical``, ``warning``, ``info`` or ``solved``."""
    title: str
    body: str = ""
    after: str = ""
    """Text below the picture."""
    curve: EvidenceCurve | None = None
    remedies: Sequence[RemedyRow] = ()
    module: str | None = None


class DocLink(KeyboardFocus, QPushButton):
    """The finding's id, underlined; opens its page."""

    def __init__(self, doc: str) -> None:
        super().__init__(doc)
        self.setFont(theme.font(12))
        self.setObjectName("doc-link")
        self.setAccessibleName(self.tr("About {0}").format(doc))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(round(QFontMetricsF(self.font()).horizontalAdvance(self.text())) + 1, 26)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self.font())
        painter.setPen(theme.color("text" if self.underMouse() or self._by_keyboard else "text2"))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.text())
        painter.fillRect(QRectF(0, 20, self.width(), 1), theme.color("ink" if self._by_keyboard else "edge"))


class RemedyRows(QWidget):
    """Buttons from the left, on as many rows as they need at their own width; the link at the right of the last."""

    def __init__(self, buttons: Sequence[QWidget], link: QWidget | None) -> None:
        super().__init__()
        self._buttons = buttons
        self._link = link
        for child in (*buttons, *([link] if link else [])):
            child.setParent(self)
        follow_width(self)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return max((place.bottom() + 1 for _, place in self._places(width)), default=0)

    def sizeHint(self) -> QSize:
        return QSize(200, self.heightForWidth(max(self.width(), 200)))

    def minimumSizeHint(self) -> QSize:
        return QSize(max((child.sizeHint().width() for child in self._buttons), default=0), 26)

    def resizeEvent(self, event: QResizeEvent) -> None:
        for child, place in self._places(self.width()):
            child.setGeometry(place)

    def _places(self, width: int) -> list[tuple[QWidget, QRect]]:
        places: list[tuple[QWidget, QRect]] = []
        x = y = 0
        for child in self._buttons:
            size = child.sizeHint()
            if x and x + size.width() > width:
                x, y = 0, y + size.height() + _GAP
            places.append((child, QRect(x, y, size.width(), size.height())))
            x += size.width() + _GAP
        if self._link:
            size = self._link.sizeHint()
            # Words, not a second button: half the gap is enough before it takes a row of its own.
            if x and x - _GAP // 2 + size.width() > width:
                y += 26 + _GAP
            places.append((self._link, QRect(width - size.width(), y, size.width(), 26)))
        return places


class FindingCard(QFrame):
    """A card. Folded it shows three lines of its text; a click on the head unfolds it."""

    remedy_requested = Signal(str, str)
    """(the finding's key, the remedy's id)"""
    doc_requested = Signal(str)

    def __init__(self, row: FindingRow, unfolded: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.row = row
        self._unfolded = unfolded
        self.setObjectName(f"finding-{row.key}")
        self.setAccessibleName(f"{row.title}. {plain_text(row.body)}")
        self._title = MarkupLabel(13, 18, "text", 600)
        self._title.setText(row.title)
        self._body = MarkupLabel()
        self._body.setText(row.body)
        self._after = MarkupLabel()
        self._after.setText(row.after)
        self._plot = EvidencePlot(row.curve) if row.curve else None
        self._lay_out()
        self._show_folding()
        follow_width(self)

    def _lay_out(self) -> None:
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(_INDENT, 12, 13, 12)
        column.setSpacing(0)
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 14, 0)
        head.addWidget(self._title)
        column.addLayout(head)
        if self.row.body:
            column.addSpacing(4)
            column.addWidget(self._body)
        if self._plot:
            column.addWidget(self._plot)
        column.addWidget(self._after)
        buttons = [self._button(remedy) for remedy in self.row.remedies]
        if buttons or self.row.severity != "info":
            link = DocLink(self.row.doc) if self.row.doc else None
            if link:
                link.clicked.connect(lambda: self.doc_requested.emit(self.row.doc))
            column.addSpacing(10)
            column.addWidget(RemedyRows(buttons, link))

    def _button(self, remedy: RemedyRow) -> Button:
        kind: Kind = "plain"
        lamp: LampState = "none"
        if remedy.mode == "eval":
            kind, lamp = "eval", "eval"
        elif remedy.mode == "train":
            kind, lamp = "train", "train"
        button = Button(remedy.text, kind, lamp=lamp, height=26)
        button.setObjectName(f"remedy-{remedy.id}")
        button.setToolTip(remedy.tooltip)
        button.clicked.connect(lambda: self.remedy_requested.emit(self.row.key, remedy.id))
        return button

    def is_unfolded(self) -> bool:
        """Whether all of it is shown."""
        return self._unfolded

    def set_unfolded(self, unfolded: bool) -> None:
        """Show all of it, or its head and three lines."""
        self._unfolded = unfolded
        self._show_folding()

    def foldable(self) -> bool:
        """Whether folding hides anything."""
        hidden = self._plot is not None or bool(self.row.after)
        return hidden or self._body.lines_needed(max(self._body.width(), 200)) > _FOLDED_LINES

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._column.heightForWidth(width)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.position().y() < 40 and self.foldable():
            self.set_unfolded(not self._unfolded)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(theme.color("surface"))
        painter.setPen(theme.color("line"))
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(frame, theme.RADIUS_CARD, theme.RADIUS_CARD)
        signs: dict[str, Sign] = {"critical": "critical", "warning": "warning", "info": "info", "solved": "solved"}
        paint_sign(painter, QPointF(19, 22), signs[self.row.severity])
        if self.foldable():
            center = QPointF(self.width() - 17, 21.5)
            paint_sign(painter, center, "chevron" if self._unfolded else "chevron-right", theme.color("text3"))

    def _show_folding(self) -> None:
        self._body.set_most_lines(0 if self._unfolded else _FOLDED_LINES)
        self._after.setVisible(self._unfolded and bool(self.row.after))
        if self._plot:
            self._plot.setVisible(self._unfolded)
        self.updateGeometry()
        self.update()
