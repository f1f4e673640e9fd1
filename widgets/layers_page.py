"""The Layers page: the output of every module down the network, in this mode against the other."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from modelight.widgets import numbers, paint
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.labels import label
from modelight.widgets.layers_data import LayerRow, LayersData, Spread
from modelight.widgets.layers_delegate import LayerDelegate, own_range
from modelight.widgets.modes import Mode
from modelight.widgets.row_list import ROW_ROLE, RowList, RowModel
from modelight.widgets.sections import MARGIN, Entry, Heading, Rule, row
from modelight.widgets.segments import Option, SegmentedControl


class LayerModel(RowModel[LayerRow]):
    """The modules."""

    def __init__(self, kind: Callable[[LayerRow], str]) -> None:
        """``kind`` says in words what a module is."""
        super().__init__()
        self._kind = kind

    def kind(self, row: LayerRow) -> str:
        return self._kind(row)


class LayersPage(QWidget):
    """Shows :class:`LayersData`."""

    row_selected = Signal(str)
    """The path of the module that was pressed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: LayersData | None = None
        self.setProperty("ground", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.heading = Heading()
        self.verdict = label(tone="text2", size=12, wrap=True)
        options = [Option("own", self.tr("Own range")), Option("shared", self.tr("One range for all"))]
        self.range = SegmentedControl(options, self.tr("Range of the histograms"))
        self.range.setValue("own")
        self.range.valueChanged.connect(self._on_range_changed)
        self.delegate = LayerDelegate()
        self.model = LayerModel(self.delegate.kind)
        self.list = self._make_list()
        self.export = ExportMenu(self.list, "layers", self.table)
        self._lay_out()

    def _make_list(self) -> RowList:
        view = RowList()
        view.setModel(self.model)
        view.setItemDelegate(self.delegate)
        view.setAccessibleName(self.tr("Output of each module"))
        view.clicked.connect(self._on_chosen)
        view.activated.connect(self._on_chosen)
        return view

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 16, 0, 0)
        column.setSpacing(8)
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN, 0, MARGIN, 4)
        head.setSpacing(8)
        head.addWidget(self.heading)
        line = row(self.verdict, self.range, spacing=16)
        line.setStretch(0, 1)
        head.addLayout(line)
        column.addLayout(head)
        rule = Rule()
        column.addWidget(rule)
        column.setSpacing(6)
        column.addWidget(self.list, 1)

    def data(self) -> LayersData | None:
        """What is shown."""
        return self._data

    def set_data(self, data: LayersData) -> None:
        """Show the modules of the last run."""
        self._data = data
        self.delegate.mode, self.delegate.other_mode = data.mode, data.other_mode
        self._set_range()
        self.model.set_rows(data.rows)
        entries = [Entry("fill", paint.mark(data.mode), self._mode_name(data.mode))]
        if data.other_mode is not None:
            entries.append(Entry("fill", paint.mark(data.other_mode), self._mode_name(data.other_mode)))
        subtitle = self.tr("mean ± s.d. at the right; heights are roots of counts")
        self.heading.set_text(
            self.tr("Output of each module"), subtitle, entries, (self.tr("mean ± s.d. at the right"),)
        )
        self.verdict.setText(self.verdict_text(data))

    def verdict_text(self, data: LayersData) -> str:
        """What the comparison of the modes says."""
        if data.other_mode is None:
            return self.tr("The other mode was not run here, so where the two part is not known.")
        first = next((one for one in data.rows if one.parts), None)
        if first is None:
            compared = sum(one.now is not None and one.other is not None for one in data.rows)
            text = self.tr("No module’s output differs between the modes, of %1 compared.")
            if data.by_chance:
                text = self.tr("No module’s output differs more than other random draws may make it, of %1 compared.")
            return text.replace("%1", numbers.count(compared))
        return self.tr("In the order of the forward, train and eval first part at %1.").replace(
            "%1", first.path or first.name
        )

    def select(self, path: str) -> None:
        """Select the row of a module and bring it into view, without emitting."""
        for index, one in enumerate(self.model.rows()):
            if one.path == path:
                self.list.setCurrentIndex(self.model.index(index))
                self.list.scrollTo(self.model.index(index))
                return
        self.list.clearSelection()

    def retheme(self) -> None:
        """The theme changed: rows are painted anew."""
        self.list.viewport().update()

    def table(self) -> Table:
        """One row per module and mode."""
        header = ("module", "type", "shape", "calls", "mode", "mean", "std", "min", "max", "sampled", "count")
        rows: list[tuple[object, ...]] = []
        for one in self.model.rows():
            for mode, part in ((self.delegate.mode, one.now), (self.delegate.other_mode, one.other)):
                if part is not None:
                    rows.append((one.path, one.type, "x".join(map(str, one.shape)), one.calls, mode, *_moments(part)))
        return Table(header, rows)

    def _mode_name(self, mode: Mode) -> str:
        return {"train": self.tr("train"), "eval": self.tr("eval")}.get(mode, self.tr("mixed"))

    def _on_chosen(self, index: QModelIndex) -> None:
        self.row_selected.emit(index.data(ROW_ROLE).path)

    def _on_range_changed(self) -> None:
        self._set_range()
        self.list.viewport().update()

    def _set_range(self) -> None:
        rows = self._data.rows if self._data is not None else ()
        ranges = [own_range(one) for one in rows if one.now is not None or one.other is not None]
        if self.range.value() == "own" or not ranges:
            self.delegate.shared = None
        else:
            self.delegate.shared = min(low for low, _ in ranges), max(high for _, high in ranges)


def _moments(part: Spread) -> tuple[object, ...]:
    return part.mean, part.std, part.minimum, part.maximum, part.sampled, part.count
