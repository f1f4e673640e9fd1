"""The ledger of a run: everything it changed, by how much, and whether that was put back."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QListView, QVBoxLayout, QWidget

from modelight.widgets import theme
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.labels import label
from modelight.widgets.ledger_data import LedgerData, LedgerRow
from modelight.widgets.paths import fitted_path
from modelight.widgets.row_list import LEFT, RIGHT, RowDelegate, RowList, RowModel
from modelight.widgets.sections import GAP, MARGIN, Heading

_CHANGE, _FATE, _GAP = 92.0, 92.0, 12.0


def columns(rect: QRectF) -> tuple[QRectF, QRectF, QRectF]:
    """Where name, change and fate stand."""
    inner = rect.adjusted(MARGIN, 0, -MARGIN, 0)
    name = inner.width() - _CHANGE - _FATE - 2 * _GAP
    change = inner.left() + name + _GAP
    return (
        QRectF(inner.left(), rect.top(), name, rect.height()),
        QRectF(change, rect.top(), _CHANGE, rect.height()),
        QRectF(change + _CHANGE + _GAP, rect.top(), _FATE, rect.height()),
    )


class LedgerDelegate(RowDelegate):
    """Paints one entry: what it is stands under its name."""

    def paint_row(self, painter: QPainter, row: LedgerRow, rect: QRectF) -> None:
        """The name in full weight, the figure beside it, what became of it at the right."""
        name, change, fate = columns(rect)
        bold = theme.font(13, 500)
        painter.setFont(bold)
        painter.setPen(theme.color("text"))
        text = fitted_path(row.path, QFontMetricsF(bold), name.width())
        painter.drawText(QRectF(name.left(), name.top() + 5, name.width(), 18), LEFT, text)
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("attention" if row.lost else "text3"))
        under = QFontMetricsF(painter.font()).elidedText(
            row.note or row.type, Qt.TextElideMode.ElideRight, name.width()
        )
        painter.drawText(QRectF(name.left(), name.top() + 24, name.width(), 15), LEFT, under)
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text"))
        painter.drawText(change, RIGHT, row.change)
        painter.setPen(theme.color("attention" if row.lost else "text2"))
        painter.drawText(fate, RIGHT, row.fate)


class LedgerHeader(QWidget):
    """The names of the columns."""

    def __init__(self, rows: QListView) -> None:
        super().__init__()
        self._rows = rows
        self.setFixedHeight(26)
        rows.verticalScrollBar().rangeChanged.connect(self.update)  # the bar takes room from the rows

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.color("sunken"))
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("text2"))
        name, change, fate = columns(QRectF(0, 0, self._rows.viewport().width(), self.height()))
        painter.drawText(name, LEFT, self.tr("tensor or state"))
        painter.drawText(change, RIGHT, self.tr("by at most"))
        painter.drawText(fate, RIGHT, self.tr("now"))


class LedgerPanel(QWidget):
    """Shows :class:`LedgerData`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("ground", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.heading, self.verdict, self.notes = Heading(), label(wrap=True), label(tone="text2", size=12, wrap=True)
        self.model, self.list = RowModel[LedgerRow](), RowList()
        self.list.setModel(self.model)
        self.list.setItemDelegate(LedgerDelegate(self.list))
        self.list.setAccessibleName(self.tr("What the run changed"))
        self.header = LedgerHeader(self.list)
        self.export = ExportMenu(self.list, "ledger", self.table)
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN, GAP, MARGIN, 12)
        head.setSpacing(6)
        for part in (self.heading, self.verdict, self.notes):
            head.addWidget(part)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self.header)
        column.addWidget(self.list, 1)

    def set_data(self, data: LedgerData) -> None:
        """Show a ledger."""
        self.heading.set_text(self.tr("What the run changed"), data.runs)
        self.verdict.setText(data.verdict)
        self.notes.setText(data.notes)
        self.notes.setVisible(bool(data.notes))
        self.model.set_rows(data.rows)

    def table(self) -> Table:
        """One row per entry."""
        lines = [(one.path, one.type, one.change, one.fate, one.note) for one in self.model.rows()]
        return Table(("name", "kind", "largest change", "now", "note"), lines)
