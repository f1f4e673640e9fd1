"""The dialog in which a person chooses what the runs are fed: a list of sources, joined in their order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QStackedWidget,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from modelight.widgets import theme
from modelight.widgets.buttons import Button
from modelight.widgets.input_forms import FORMS, SourceForm
from modelight.widgets.input_rows import KINDS, Kind, SourceRow, kind_name, problem, summary
from modelight.widgets.labels import hairline, label
from modelight.widgets.tree_model import Index

_TITLE, _TEXT = int(Qt.ItemDataRole.DisplayRole), int(Qt.ItemDataRole.UserRole)


class _SourceDelegate(QStyledItemDelegate):
    """Two lines: the kind, and what tells this source from others."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(160, 44)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        cell, state = option.rect, option.state
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(cell, theme.color("selection"))
        lines = ((index.data(_TITLE), 13, "text", 5), (index.data(_TEXT), 12, "text2", 23))
        for text, size, tone, top in lines:
            painter.setFont(theme.font(size))
            painter.setPen(theme.color(tone))
            room = cell.adjusted(12, top, -8, 0)
            room.setHeight(18)
            shown = painter.fontMetrics().elidedText(str(text), Qt.TextElideMode.ElideRight, room.width())
            painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)


class InputEditor(QDialog):
    """Edits a list of :class:`SourceRow`. ``valueChanged`` comes with every edit that can be used as it stands."""

    valueChanged = Signal()

    def __init__(self, kinds: Collection[Kind] = KINDS, parent: QWidget | None = None) -> None:
        """``kinds`` are those that can be added: no example where the model has none."""
        super().__init__(parent)
        self.setObjectName("input-editor")
        self.setWindowTitle(self.tr("Input"))
        self.setMinimumSize(660, 400)
        self._kinds = [kind for kind in KINDS if kind in kinds]
        self._rows: list[SourceRow] = []
        self._list = QListWidget()
        self._list.setObjectName("sources")
        self._list.setAccessibleName(self.tr("Sources"))
        self._list.setItemDelegate(_SourceDelegate(self._list))
        self._list.setFixedWidth(216)
        self._list.setProperty("boxed", True)
        self._add = Button(self.tr("Add"), chevron=True, height=26)
        self._add.setObjectName("source-add")
        self._remove = Button(self.tr("Remove"), height=26)
        self._remove.setObjectName("source-remove")
        self._use = Button(self.tr("Use this input"), "primary")
        self._use.setObjectName("input-use")
        self._use.setDefault(True)
        self._cancel = Button(self.tr("Cancel"))
        self._problem = label("", 12, tone="attention", wrap=True)
        self._note = label("", 12, tone="text2", wrap=True)
        self._forms: dict[str, SourceForm] = {}
        self._stack = QStackedWidget()
        for kind, form in FORMS.items():
            self._forms[kind] = form()
            self._stack.addWidget(self._forms[kind])
        self._lay_out()
        self._connect()

    def value(self) -> tuple[SourceRow, ...]:
        """The sources, in their order."""
        return tuple(self._rows)

    def setValue(self, rows: Sequence[SourceRow]) -> None:
        """Show these sources, the first one selected."""
        self._rows = list(rows)
        self._fill_list(0)

    def set_note(self, text: str) -> None:
        """A sentence below the form, such as how the shape was guessed."""
        self._note.setText(text)
        self._note.setVisible(bool(text))

    def problem(self) -> str:
        """Why the input cannot be used as it stands, "" if it can."""
        form = self._form()
        unreadable = form.problem() if form else ""
        if not self._rows:
            return self.tr("Add at least one source.")
        if unreadable:
            return unreadable
        found = ((row.kind, problem(row)) for row in self._rows)
        return next((f"{kind_name(kind)}: {sentence}" for kind, sentence in found if sentence), "")

    def add_source(self, kind: Kind) -> None:
        """Append a source of that kind and select it."""
        self._rows.append(SourceRow(kind=kind))
        self._fill_list(len(self._rows) - 1)
        self._tell()

    def remove_source(self) -> None:
        """Take the selected source away."""
        at = self._list.currentRow()
        if at >= 0:
            del self._rows[at]
            self._fill_list(min(at, len(self._rows) - 1))
            self._tell()

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addWidget(label(self.tr("Samples are joined in this order"), 12, tone="text2"))
        left.addWidget(self._list, 1)
        tools = QHBoxLayout()
        tools.setSpacing(8)
        tools.addWidget(self._add)
        tools.addWidget(self._remove)
        tools.addStretch(1)
        left.addLayout(tools)
        self._title = label("", 13, 600)
        right = QVBoxLayout()
        right.setSpacing(12)
        right.addWidget(self._title)
        right.addWidget(self._stack, 1)
        right.addWidget(self._note)
        body = QHBoxLayout()
        body.setContentsMargins(20, 16, 20, 16)
        body.setSpacing(20)
        body.addLayout(left)
        body.addLayout(right, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(20, 12, 20, 12)
        foot.setSpacing(8)
        foot.addWidget(self._problem, 1)
        foot.addWidget(self._cancel)
        foot.addWidget(self._use)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(body, 1)
        column.addWidget(hairline())
        column.addLayout(foot)
        self._note.hide()

    def _connect(self) -> None:
        menu = QMenu(self)
        for kind in self._kinds:
            action = menu.addAction(kind_name(kind))
            action.setObjectName(f"add-{kind}")
            action.triggered.connect(lambda _=False, kind=kind: self.add_source(kind))
        self._add.setMenu(menu)
        self._remove.clicked.connect(self.remove_source)
        self._list.currentRowChanged.connect(self._on_selected)
        for form in self._forms.values():
            form.changed.connect(self._on_edited)
        self._use.clicked.connect(self.accept)
        self._cancel.clicked.connect(self.reject)

    def _form(self) -> SourceForm | None:
        at = self._list.currentRow()
        return self._forms[self._rows[at].kind] if 0 <= at < len(self._rows) else None

    def _fill_list(self, selected: int) -> None:
        self._list.blockSignals(True)
        self._list.clear()
        for row in self._rows:
            item = QListWidgetItem(kind_name(row.kind))
            item.setData(_TEXT, summary(row))
            self._list.addItem(item)
        self._list.setCurrentRow(selected)
        self._list.blockSignals(False)
        self._on_selected(selected)

    def _on_selected(self, at: int) -> None:
        form = self._form()
        self._stack.setVisible(form is not None)
        self._title.setText(kind_name(self._rows[at].kind) if form else "")
        if form is not None:
            form.set_row(self._rows[at])
            self._stack.setCurrentWidget(form)
        self._show_problem()

    def _on_edited(self) -> None:
        form, at = self._form(), self._list.currentRow()
        if form is not None and form is self.sender():
            self._rows[at] = form.row()
            self._list.item(at).setData(_TEXT, summary(form.row()))
        self._tell()

    def _tell(self) -> None:
        self._show_problem()
        if not self.problem():
            self.valueChanged.emit()

    def _show_problem(self) -> None:
        found = self.problem()
        self._problem.setText(found)
        self._use.setEnabled(not found)
        self._remove.setEnabled(self._list.currentRow() >= 0)
