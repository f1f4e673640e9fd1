"""What pages are built of: a scrolling page, headings with their legend, hairlines, badges, menu buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFocusEvent, QFontMetricsF, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from modelight.widgets import paint, theme
from modelight.widgets.labels import ElidedLabel, label

MARGIN, GAP = 20, 16


class Page(QScrollArea):
    """A page of sections, one under the other, that scrolls where they do not fit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setProperty("ground", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.body = QWidget()
        self.body.setProperty("ground", "surface")
        self.body.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.column = QVBoxLayout(self.body)
        self.column.setContentsMargins(MARGIN, GAP, MARGIN, GAP)
        self.column.setSpacing(0)
        self.setWidget(self.body)

    def add_rule(self) -> Rule:
        """A hairline between two sections."""
        rule = Rule()
        self.column.addSpacing(GAP)
        self.column.addWidget(rule)
        self.column.addSpacing(GAP)
        return rule


class Rule(QWidget):
    """A hairline."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(1)

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), theme.color("line"))


class Badge(QWidget):
    """How a figure was got, in a small frame."""

    def __init__(self, text: str = "", tone: str = "text2") -> None:
        super().__init__()
        self._text, self._tone = text, tone
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """What it says."""
        return self._text

    def set_text(self, text: str, tone: str = "text2") -> None:
        """Say something else; "" hides it."""
        self._text, self._tone = text, tone
        self.setVisible(bool(text))
        self.setAccessibleName(text)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(round(QFontMetricsF(theme.font(11, 500)).horizontalAdvance(self._text)) + 14, 18)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(paint.pen("edge" if self._tone == "text2" else self._tone))
        painter.drawRoundedRect(
            QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS_BADGE, theme.RADIUS_BADGE
        )
        painter.setFont(theme.font(11, 500))
        painter.setPen(theme.color(self._tone))
        painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, self._text)


class MenuButton(QToolButton):
    """A text with a small arrow that opens a menu, filled when it opens; without choices it is the text alone."""

    def __init__(self, size: int = 13, weight: int = 600, tone: str = "text") -> None:
        super().__init__()
        self._size, self._weight, self._tone = size, weight, tone
        self._by_keyboard = False
        self._fill: Callable[[QMenu], None] | None = None
        self._choices = QMenu(self)
        self._choices.aboutToShow.connect(self.fill)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_choices(self, fill: Callable[[QMenu], None] | None) -> None:
        """``fill`` adds the actions each time the menu opens; None: there is nothing to choose."""
        self._fill = fill
        if fill is not None and self.menu() is None:
            self.setMenu(self._choices)
        self.setEnabled(fill is not None)
        self.updateGeometry()

    def fill(self) -> QMenu:
        """The menu with its present actions."""
        for below in self._choices.findChildren(QMenu):
            below.deleteLater()
        self._choices.clear()
        if self._fill is not None:
            self._fill(self._choices)
        return self._choices

    def setText(self, text: str) -> None:
        super().setText(text)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(theme.font(self._size, self._weight))
        arrow = 18 if self._fill is not None else 0
        return QSize(round(metrics.horizontalAdvance(self.text()) + 1) + arrow, round(metrics.height()) + 4)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._by_keyboard = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(self._size, self._weight))
        painter.setPen(theme.color(self._tone))
        align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(QRectF(self.rect()), align, self.text())
        if self._fill is not None:
            x, y = self.width() - 9.0, self.height() / 2 + 0.5
            painter.setPen(paint.pen("text2", 1.25))
            painter.drawPolyline([QPointF(x - 3.5, y - 2), QPointF(x, y + 1.5), QPointF(x + 3.5, y - 2)])
        if self.hasFocus() and self._by_keyboard:
            painter.setPen(paint.pen("ink"))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)


Kind = Literal["dash", "ghost", "whisker", "fill", "outline", "line", "kept", "dropped", "band"]


@dataclass(frozen=True)
class Entry:
    """One entry of a legend: how it is drawn, in which colour, and its name."""

    kind: Kind
    role: str
    text: str


class Legend(QWidget):
    """The names of what is drawn, in the order of the plot."""

    _SWATCH, _GAP, _BETWEEN = 18, 6, 14

    def __init__(self) -> None:
        super().__init__()
        self._entries: Sequence[Entry] = ()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def entries(self) -> Sequence[Entry]:
        """What it names."""
        return self._entries

    def set_entries(self, entries: Sequence[Entry]) -> None:
        """Name something else."""
        if tuple(entries) != tuple(self._entries):
            self._entries = tuple(entries)
            self.setAccessibleName(", ".join(entry.text for entry in entries))
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(round(sum(self._widths()) + self._BETWEEN * max(0, len(self._entries) - 1)) + 1, 18)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(12))
        x, middle = 0.0, self.height() / 2
        for entry, width in zip(self._entries, self._widths(), strict=True):
            painter.save()
            _swatch(painter, entry, QRectF(x, middle - 5, self._swatch(entry), 10))
            painter.restore()
            painter.setPen(theme.color("text2"))
            box = QRectF(x + self._swatch(entry) + self._GAP, 0, width, self.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, entry.text)
            x += width + self._BETWEEN

    def _swatch(self, entry: Entry) -> float:
        return {"whisker": 8, "kept": 10, "dropped": 10, "band": 12, "fill": 15}.get(entry.kind, self._SWATCH)

    def _widths(self) -> list[float]:
        metrics = QFontMetricsF(theme.font(12))
        return [self._swatch(entry) + self._GAP + metrics.horizontalAdvance(entry.text) for entry in self._entries]


def _swatch(painter: QPainter, entry: Entry, box: QRectF) -> None:
    middle = box.center()
    if entry.kind in ("dash", "line", "ghost", "outline"):
        dashed = entry.kind in ("ghost", "outline")
        painter.setPen(paint.pen(entry.role, 1.5, Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine))
        painter.drawLine(QLineF(box.left(), middle.y(), box.right(), middle.y()))
    elif entry.kind == "whisker":
        painter.setPen(paint.pen(entry.role, 1.25))
        painter.drawLine(QLineF(middle.x(), box.top(), middle.x(), box.bottom()))
        for y in (box.top() + 0.5, box.bottom() - 0.5):
            painter.drawLine(QLineF(box.left(), y, box.right(), y))
    elif entry.kind == "band":
        painter.fillRect(box, paint.color(entry.role, 0.22))
    elif entry.kind == "kept":
        painter.fillRect(box, paint.color(entry.role))
    else:
        if entry.kind == "fill":
            painter.fillRect(box, paint.fill(entry.role))
        painter.setPen(paint.pen(entry.role, 1.0 if entry.kind == "dropped" else 1.5))
        painter.drawRect(box.adjusted(0.5, 0.5, -0.5, -0.5))


class Heading(QWidget):
    """Title, what it is of, and the legend at the right; the legend takes a line of its own where they do not fit.

    ``choice`` stands after the title: how what follows is read.
    """

    _GAP, _BEFORE_LEGEND = 8, 16

    def __init__(self, title: QWidget | None = None, choice: QWidget | None = None) -> None:
        super().__init__()
        self.title = title or label(weight=600)
        self.choice = choice
        self.subtitle = ElidedLabel(12, tone="text2")
        self.subtitle.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.legend = Legend()
        self._words: Sequence[str] = ("",)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(self._GAP)
        self._grid.setVerticalSpacing(2)
        self._places = (0, 1, 2) if self.choice is None else (1, 2, 3)  # an empty column would widen the gap
        self._grid.setColumnStretch(self._places[1], 1)
        self._grid.addWidget(self.title, 0, 0)
        if self.choice is not None:
            self._grid.addWidget(self.choice, 0, self._places[0])
        self._grid.addWidget(self.subtitle, 0, self._places[1])
        self._grid.addWidget(self.legend, 0, self._places[2])
        self._rows = (0, 0)

    def set_text(self, title: str, subtitle: str, entries: Sequence[Entry] = (), shorter: Sequence[str] = ()) -> None:
        """All the words of the heading.

        Of ``subtitle`` and the ``shorter`` ones, which say it in fewer words, the first is shown that leaves the
        heading on one line.
        """
        if isinstance(self.title, QLabel | MenuButton):
            self.title.setText(title)
        self._words = (subtitle, *shorter)
        self.legend.set_entries(entries)
        self.legend.setVisible(bool(entries))
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        head = self.title.sizeHint().width() + self._GAP
        if self.choice is not None and not self.choice.isHidden():
            head += self.choice.sizeHint().width() + self._GAP
        legend = self.legend.sizeHint().width() + self._BEFORE_LEGEND if self.legend.entries() else 0
        words = self._fitting(self.width() - head - legend) or self._fitting(self.width() - head)
        below = words is None
        if (said := self._words[0] if words is None else words) != self.subtitle.text():
            self.subtitle.setText(said)
        used = head - self._GAP if below else head + self.subtitle.sizeHint().width()
        beside = used + legend <= self.width()
        rows = (1 if below else 0, 0 if beside else (2 if below else 1))
        if rows == self._rows:
            return
        self._rows = rows
        _, second, last = self._places
        self._grid.addWidget(self.subtitle, rows[0], 0 if rows[0] else second, 1, last + 1 if rows[0] else 1)
        column, span = (last, 1) if beside else (0, last + 1)
        self._grid.addWidget(self.legend, rows[1], column, 1, span, Qt.AlignmentFlag.AlignLeft)

    def _fitting(self, room: int) -> str | None:
        """The fullest words that fit; None where none do."""
        metrics = QFontMetricsF(self.subtitle.font())
        return next((words for words in self._words if metrics.horizontalAdvance(words) + 2 <= room), None)


def row(*parts: QWidget | None, spacing: int = 8) -> QHBoxLayout:
    """Widgets side by side; None is the stretch."""
    made = QHBoxLayout()
    made.setContentsMargins(0, 0, 0, 0)
    made.setSpacing(spacing)
    for part in parts:
        if part is None:
            made.addStretch(1)
        else:
            made.addWidget(part)
    return made
