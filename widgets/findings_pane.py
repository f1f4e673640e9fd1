"""The right pane: what is remarkable in the present state, as cards."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from modelight.widgets import theme
from modelight.widgets.finding_card import FindingCard, FindingRow
from modelight.widgets.labels import label


class CountBadge(QWidget):
    """A number in a rounded rectangle 18 high."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = "0"
        self.setFont(theme.font(11, 500))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:
        self._text = text
        self.setAccessibleName(text)
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """The number."""
        return self._text

    def sizeHint(self) -> QSize:
        return QSize(round(QFontMetricsF(self.font()).horizontalAdvance(self._text)) + 10, 18)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("selection"))
        painter.drawRoundedRect(self.rect(), theme.RADIUS_BADGE, theme.RADIUS_BADGE)
        painter.setFont(self.font())
        painter.setPen(theme.color("text2"))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._text)


class FindingsPane(QWidget):
    """Cards under a head with their number. Only the first is open with a picture; what a person unfolds stays so."""

    remedy_requested = Signal(str, str)
    """(the finding's key, the remedy's id)"""
    doc_requested = Signal(str)
    """(id of the page)"""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("findings-pane")
        self.setProperty("ground", "chrome")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._cards: list[FindingCard] = []
        self._given_empty = ""
        self._count = CountBadge()
        self._busy = label(self.tr("looking…"), 12, tone="text3")
        self._busy.hide()
        self._empty = label("", 12, tone="text2", wrap=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._head())
        column.addWidget(self._body(), 1)
        self.set_findings([])

    def sizeHint(self) -> QSize:
        return QSize(328, 600)

    def set_findings(self, rows: Sequence[FindingRow]) -> None:
        """Show these cards in this order. A card whose content did not change stays as it is."""
        old = {card.row.key: card for card in self._cards}
        cards = []
        for number, row in enumerate(rows):
            card = old.pop(row.key, None)
            if card is None or card.row != row:
                unfolded = card.is_unfolded() if card else number == 0
                self._discard(card)
                card = self._new_card(row, unfolded)
            cards.append(card)
        for gone in old.values():
            self._discard(gone)
        self._cards = cards
        for number, card in enumerate(cards):
            self._list.insertWidget(number, card)
        open_ones = sum(row.severity != "solved" for row in rows)
        self._count.setText(str(open_ones))
        self._show_empty(len(rows), open_ones)

    def set_busy(self, busy: bool) -> None:
        """Say that findings for the present state are still being looked for."""
        self._busy.setVisible(busy)

    def set_empty_text(self, text: str) -> None:
        """What to say before anything was looked for; "" says "Nothing remarkable in this state." again."""
        self._given_empty = text
        self._show_empty(len(self._cards), sum(card.row.severity != "solved" for card in self._cards))

    def cards(self) -> list[FindingCard]:
        """The cards from top to bottom."""
        return list(self._cards)

    def count(self) -> int:
        """How many findings are not solved."""
        return int(self._count.text())

    def _head(self) -> QWidget:
        head = QWidget()
        head.setFixedHeight(36)
        row = QHBoxLayout(head)
        row.setContentsMargins(14, 0, 14, 0)
        row.setSpacing(8)
        row.addWidget(label(self.tr("Findings"), 13, 600))
        row.addWidget(self._count)
        row.addStretch(1)
        row.addWidget(self._busy)
        return head

    def _body(self) -> QScrollArea:
        inside = QWidget()
        inside.setProperty("ground", "chrome")
        self._list = QVBoxLayout(inside)
        self._list.setContentsMargins(12, 0, 12, 12)
        self._list.setSpacing(8)
        self._list.addSpacing(20)
        self._list.addWidget(self._empty)
        self._list.addStretch(1)
        area = QScrollArea()
        area.setWidget(inside)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        bar = area.verticalScrollBar()
        # The bar takes the place of the margin, so that cards keep their width when it comes.
        bar.rangeChanged.connect(
            lambda _, most: self._list.setContentsMargins(12, 0, 12 - (bar.sizeHint().width() if most else 0), 12)
        )
        return area

    def _new_card(self, row: FindingRow, unfolded: bool) -> FindingCard:
        card = FindingCard(row, unfolded)
        card.remedy_requested.connect(self.remedy_requested)
        card.doc_requested.connect(self.doc_requested)
        return card

    def _discard(self, card: FindingCard | None) -> None:
        if card is not None:
            self._list.removeWidget(card)
            card.hide()
            card.deleteLater()

    def _show_empty(self, shown: int, open_ones: int) -> None:
        if shown and not open_ones:
            self._empty.setText(self.tr("Nothing else is remarkable\nin this state."))
        elif not shown:
            self._empty.setText(self._given_empty or self.tr("Nothing remarkable in this state."))
        self._empty.setVisible(not open_ones)
