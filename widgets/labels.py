"""Labels in the theme's sizes and tones, and text with figures in weight 500 that folds to a few lines."""

from __future__ import annotations

import re

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QResizeEvent, QTextCharFormat, QTextLayout, QTextOption
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QWidget

from modelight.widgets import theme


def label(text: str = "", size: int = 13, weight: int = 400, tone: str = "text", wrap: bool = False) -> QLabel:
    """A plain-text label. ``tone`` is a token's name that the style sheet knows, e.g. ``text2``."""
    result = WrappedLabel(text) if wrap else QLabel(text)
    result.setTextFormat(Qt.TextFormat.PlainText)
    result.setFont(theme.font(size, weight))
    result.setProperty("tone", tone)
    result.setWordWrap(wrap)
    return result


_JOINT = re.compile(r"(?<=[^\W\d])([._/])(?=\w)")
_BREAK = "\u200b"
"""A zero-width space: a line may break there."""


class WrappedLabel(QLabel):
    """A label that may also break its text inside a path: else one long name makes the whole page wider than its
    window, and everything on it is cut."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setText(text)

    def setText(self, text: str) -> None:
        super().setText(_JOINT.sub(rf"\1{_BREAK}", text))

    def text(self) -> str:
        """As it was given."""
        return super().text().replace(_BREAK, "")


def set_tone(target: QLabel, tone: str) -> None:
    """Give a label another tone."""
    target.setProperty("tone", tone)
    target.style().unpolish(target)
    target.style().polish(target)


def follow_width(widget: QWidget) -> None:
    """Let a widget's height follow from its width. (Not Fixed: Qt would hold it to the height of its size hint.)"""
    policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    widget.setSizePolicy(policy)


def hairline() -> QFrame:
    """A horizontal line of one logical pixel."""
    result = QFrame()
    result.setFixedHeight(1)
    result.setProperty("ground", "line")
    return result


class ElidedLabel(QWidget):
    """One line of text that gives way: it elides when there is no room, and shows the whole as its tooltip then."""

    def __init__(
        self,
        size: int = 13,
        weight: int = 400,
        tone: str = "text",
        elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        super().__init__()
        self._text = ""
        self._tone = tone
        self._elide = elide
        self.setFont(theme.font(size, weight))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """The whole text."""
        return self._text

    def setText(self, text: str) -> None:
        self._text = text
        self.setAccessibleName(text)
        self.updateGeometry()
        self._show_whole_where_cut()
        self.update()

    def set_tone(self, tone: str) -> None:
        """Write in another tone."""
        self._tone = tone
        self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self.font())
        return QSize(int(metrics.horizontalAdvance(self._text)) + 2, int(metrics.height()) + 1)

    def minimumSizeHint(self) -> QSize:
        return QSize(min(self.sizeHint().width(), 24), self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._show_whole_where_cut()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self.font())
        painter.setPen(theme.color(self._tone))
        text = QFontMetricsF(self.font()).elidedText(self._text, self._elide, self.width())
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)

    def _show_whole_where_cut(self) -> None:
        self.setToolTip(self._text if self.sizeHint().width() > self.width() else "")


_STRONG = re.compile(r"\*\*(.+?)\*\*")


def plain_text(markup: str) -> str:
    """The text without its ``**`` signs."""
    return _STRONG.sub(r"\1", markup)


class MarkupLabel(QWidget):
    """Wrapped text in which ``**…**`` stands in weight 500. Nothing else is markup, so any text is safe to show.

    Lays its lines out itself: Qt's labels know neither a fixed line height nor an ellipsis after the third line.
    """

    def __init__(self, size: int = 12, line_height: int = 17, tone: str = "text2", weight: int = 400) -> None:
        super().__init__()
        self._line_height = line_height
        self._tone = tone
        self._markup = ""
        self._most_lines = 0
        self.setFont(theme.font(size, weight))
        follow_width(self)

    def text(self) -> str:
        """The markup that is shown."""
        return self._markup

    def setText(self, markup: str) -> None:
        self._markup = markup
        self.setAccessibleName(plain_text(markup))
        self.updateGeometry()
        self.update()

    def set_most_lines(self, lines: int) -> None:
        """Fold to that many lines, the last one elided; 0 shows all."""
        self._most_lines = lines
        self.updateGeometry()
        self.update()

    def lines_needed(self, width: int) -> int:
        """How many lines the whole text takes in ``width`` logical pixels."""
        return self._layout(width).lineCount()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        lines = self.lines_needed(width)
        return self._line_height * (min(lines, self._most_lines) if self._most_lines else lines)

    def sizeHint(self) -> QSize:
        width = min(int(QFontMetricsF(self.font()).horizontalAdvance(plain_text(self._markup))) + 2, 260)
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self._line_height)

    def paintEvent(self, event: QPaintEvent) -> None:
        layout = self._layout(self.width())
        painter = QPainter(self)
        painter.setPen(theme.color(self._tone))
        shown = min(layout.lineCount(), self._most_lines or layout.lineCount())
        folded = shown < layout.lineCount()
        for number in range(shown - folded):
            layout.lineAt(number).draw(painter, QPointF(0, 0))
        if folded:
            self._draw_folded_line(painter, layout, shown - 1)

    def _draw_folded_line(self, painter: QPainter, layout: QTextLayout, number: int) -> None:
        line = layout.lineAt(number)
        rest = layout.text()[line.textStart() :].replace("\u2028", " ")
        painter.setFont(self.font())
        text = QFontMetricsF(self.font()).elidedText(rest, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(QPointF(0, line.y() + line.ascent()), text)

    def _layout(self, width: int) -> QTextLayout:
        layout = QTextLayout(plain_text(self._markup).replace("\n", "\u2028"), self.font())
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        layout.setTextOption(option)
        layout.setFormats(self._formats())
        layout.beginLayout()
        y = 0.0
        while (line := layout.createLine()).isValid():
            line.setLineWidth(max(width, 1))
            line.setPosition(QPointF(0, y + (self._line_height - line.height()) / 2))
            y += self._line_height
        layout.endLayout()
        return layout

    def _formats(self) -> list[QTextLayout.FormatRange]:
        strong = QTextCharFormat()
        strong.setFontWeight(500)
        strong.setForeground(theme.color("text"))
        ranges, taken = [], 0
        for match in _STRONG.finditer(self._markup):
            piece = QTextLayout.FormatRange()
            # Four signs vanish with every match before this one.
            piece.start, piece.length, piece.format = match.start() - taken, len(match[1]), strong
            ranges.append(piece)
            taken += 4
        return ranges
