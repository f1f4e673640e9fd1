"""The six ways to run a model: two rows of three cells with their heads."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from modelight.widgets import numbers, theme
from modelight.widgets.compare_cell import FLAG, HEIGHT, CompareCell
from modelight.widgets.compare_data import CellData, CompareData, RowData
from modelight.widgets.counted import counted
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.labels import label
from modelight.widgets.lamp import paint_lamp


class RowHead(QWidget):
    """The mode of a row, with what all its cells have in common."""

    WIDTH = 80

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: RowData | None = None
        self.setFixedSize(self.WIDTH, HEIGHT)

    def set_data(self, data: RowData) -> None:
        """Show a row."""
        self._data = data
        self.setAccessibleName("; ".join([self.name(data), *self.captions(data)]))
        self.update()

    def name(self, data: RowData) -> str:
        """The mode's word."""
        return self.tr("Train") if data.training else self.tr("Eval")

    def captions(self, data: RowData) -> list[str]:
        """The lines under the word."""
        lines = []
        if data.right is not None:
            least, most = (numbers.percent(share, 0) for share in data.right)
            share = most if least == most else f"{least.removesuffix(numbers.NO_BREAK + '%')}–{most}"
            lines.append(self.tr("%1 right").replace("%1", share))
        if data.would_move:
            lines.append(counted(data.would_move, self.tr("%1 buffer"), self.tr("%1 buffers")))
            lines.append(self.tr("would move"))
        return lines

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._data is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        captions = self.captions(self._data)
        middle = FLAG + (self.height() - FLAG) / 2 - 8.5 * len(captions)
        paint_lamp(painter, QPointF(6, middle), "train" if self._data.training else "eval")
        painter.setFont(theme.font(13, 500))
        painter.setPen(theme.color("text"))
        painter.drawText(QPointF(19, middle + 4.5), self.name(self._data))
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text2"))
        for index, caption in enumerate(captions):
            painter.drawText(QPointF(0, middle + 23 + 17 * index), caption)


class Matrix(QWidget):
    """Two rows of three cells with their heads. ``state_requested`` carries the state of a cell that was clicked."""

    state_requested = Signal(bool, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: CompareData | None = None
        self.cells = [CompareCell() for _ in range(6)]
        self.heads = [RowHead(), RowHead()]
        self.columns = [label(size=12, weight=500) for _ in range(3)]
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(1)
        for index, head in enumerate(self.columns):
            head.setContentsMargins(2, 0, 0, 8 - FLAG + 4)
            grid.addWidget(head, 0, index + 1)
            grid.setColumnStretch(index + 1, 1)
        for index, row_head in enumerate(self.heads):
            grid.addWidget(row_head, index + 1, 0)
        for index, cell in enumerate(self.cells):
            cell.clicked.connect(lambda _=False, place=index: self._on_clicked(place))
            grid.addWidget(cell, index // 3 + 1, index % 3 + 1)
        self.export = ExportMenu(self, "six-ways", self.table)

    def set_data(self, data: CompareData) -> None:
        """Show six cells."""
        self._data = data
        for head, text in zip(self.columns, (self.tr("grad on"), "no_grad", "inference_mode"), strict=True):
            head.setText(text)
        for row_head, row_data in zip(self.heads, data.rows, strict=True):
            row_head.set_data(row_data)
        for index, (cell, cell_data) in enumerate(zip(self.cells, data.cells, strict=True)):
            mode = self.heads[index // 3].name(data.rows[index // 3])
            cell.set_data(cell_data, data.low, data.high, f"{mode}, {self.columns[index % 3].text()}")

    def table(self) -> Table:
        """Every bar of every cell, with the figures of its cell."""
        header = ("training", "grad mode", "sample", "mean", "deviation", "spread", "ms", "autograd bytes", "output")
        cells = self._data.cells if self._data is not None else ()
        return Table(header, [line for cell in cells for line in _table_lines(cell)])

    def _on_clicked(self, place: int) -> None:
        cell = self.cells[place].data()
        if cell is not None and not cell.now:
            self.state_requested.emit(cell.training, cell.grad_mode)


def _table_lines(cell: CellData) -> list[tuple[object, ...]]:
    figures = (cell.spread, cell.milliseconds, cell.kept_bytes, cell.output)
    pairs = enumerate(zip(cell.heights, cell.deviations, strict=True))
    return [(cell.training, cell.grad_mode, index, mean, spread, *figures) for index, (mean, spread) in pairs]
