"""One form per kind of source: fields in, a row out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import Button, ComboBox
from modelight.widgets.controls import SpinBox
from modelight.widgets.input_rows import (
    SourceRow,
    format_numbers,
    format_shape,
    format_subset,
    parse_numbers,
    parse_shape,
    parse_subset,
)
from modelight.widgets.labels import label

TENSOR_FILES = "*.pt *.pth *.npy *.npz *.safetensors"
IMAGE_FILES = "*.png *.jpg *.jpeg *.bmp *.gif *.tif *.tiff *.webp"


class SourceForm(QWidget):
    """Base: labelled fields below each other, each bound to one field of the row."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._row = SourceRow()
        self._problems: dict[str, str] = {}
        self._captions: dict[QWidget, QLabel] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnMinimumWidth(0, 96)
        self._grid.setColumnStretch(1, 1)
        self._shows: list[Callable[[], None]] = []
        self.build()
        self._grid.setRowStretch(self._grid.rowCount(), 1)

    def build(self) -> None:
        """Put the fields in."""
        raise NotImplementedError

    def row(self) -> SourceRow:
        """The row as the fields have it; a field that cannot be read keeps what it held."""
        return self._row

    def set_row(self, row: SourceRow) -> None:
        """Show a row."""
        self._row = row
        self._problems.clear()
        for show in self._shows:
            show()

    def problem(self) -> str:
        """What is wrong with the first field that cannot be read, "" if all can."""
        return next(iter(self._problems.values()), "")

    def add(self, name: str, control: QWidget) -> None:
        """A row of the form."""
        caption = label(name, 12, tone="text2")
        caption.setBuddy(control)
        at = self._grid.rowCount()
        self._grid.addWidget(caption, at, 0)
        self._captions[control] = caption
        side = Qt.AlignmentFlag.AlignLeft if isinstance(control, SpinBox | ComboBox) else Qt.AlignmentFlag(0)
        self._grid.addWidget(control, at, 1, side)
        control.setAccessibleName(name)

    def rename(self, control: QWidget, name: str) -> None:
        """Give a field another caption."""
        self._captions[control].setText(name)
        control.setAccessibleName(name)

    def text_field(
        self, field: str, name: str, parse: Callable[[str], Any], write: Callable[[Any], str], hint: str = ""
    ) -> QLineEdit:
        """A line that is parsed as it is typed; ``parse`` raises ValueError with a sentence."""
        edit = QLineEdit()
        edit.setObjectName(f"source-{field}")
        edit.setFont(theme.font(13))
        edit.setPlaceholderText(hint)
        self._shows.append(lambda: edit.setText(write(getattr(self._row, field))))

        def on_edited(text: str) -> None:
            try:
                value = parse(text)
            except ValueError as error:
                self._problems[field] = str(error)
            else:
                self._problems.pop(field, None)
                self._row = replace(self._row, **{field: value})
            self.changed.emit()

        edit.textEdited.connect(on_edited)
        self.add(name, edit)
        return edit

    def number_field(self, field: str, name: str, low: int, high: int) -> SpinBox:
        """A whole number."""
        spin = SpinBox(low, high, 96)
        spin.setObjectName(f"source-{field}")

        def show() -> None:
            spin.blockSignals(True)
            spin.setValue(getattr(self._row, field))
            spin.blockSignals(False)

        self._shows.append(show)
        spin.setKeyboardTracking(True)
        spin.valueChanged.connect(lambda value: self.put(field, value))
        self.add(name, spin)
        return spin

    def put(self, field: str, value: object) -> None:
        """Take a field's new value."""
        self._row = replace(self._row, **{field: value})  # type: ignore[arg-type]
        self.changed.emit()

    def subset_field(self) -> None:
        """Which samples to take."""
        hint = self.tr("all; or places and ranges: 0-3, 7")
        self.text_field("subset", self.tr("Samples"), parse_subset, format_subset, hint)

    def browsed(self, edit: QLineEdit, browse: Callable[[], None]) -> None:
        """Move a field into a row with *Browse…* behind it."""
        button = Button(self.tr("Browse…"))
        button.setObjectName("source-browse")
        button.clicked.connect(browse)
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        at = self._grid.getItemPosition(self._grid.indexOf(edit))[0]  # type: ignore[index]
        row.addWidget(edit, 1)
        row.addWidget(button)
        self._grid.addWidget(holder, at, 1)


def _one_number(text: str) -> float:
    values = parse_numbers(text)
    if len(values) != 1:
        raise ValueError(text)
    return values[0]


def _write_number(value: float) -> str:
    return f"{value:g}"


class ExampleForm(SourceForm):
    """What the model's file offers."""

    def build(self) -> None:
        self.subset_field()


class NoiseForm(SourceForm):
    """Random input."""

    def build(self) -> None:
        self._choice = ComboBox()
        self._choice.setObjectName("source-distribution")
        for value, text in (
            ("normal", self.tr("normal, mean 0 and deviation 1")),
            ("uniform", self.tr("uniform")),
            ("constant", self.tr("constant")),
            ("tokens", self.tr("tokens: whole numbers")),
        ):
            self._choice.addItem(text, value)
        self.add(self.tr("Distribution"), self._choice)
        self._shows.append(lambda: self._choice.setCurrentIndex(self._choice.findData(self._row.distribution)))
        self._choice.activated.connect(lambda _: self.put("distribution", self._choice.currentData()))
        hint = self.tr("found out from the model")
        self.text_field("shape", self.tr("Sample shape"), parse_shape, format_shape, hint)
        self.number_field("count", self.tr("Samples"), 1, 65_536)
        self.number_field("seed", self.tr("Seed"), 0, 2**31 - 1)
        self._low = self.text_field("low", self.tr("From"), _one_number, _write_number)
        self._high = self.text_field("high", self.tr("Up to"), _one_number, _write_number)
        self._shows.append(self._show_bounds)
        self.changed.connect(self._show_bounds)

    def _show_bounds(self) -> None:
        self.rename(self._low, self.tr("Value") if self._row.distribution == "constant" else self.tr("From"))
        self._low.setEnabled(self._row.distribution != "normal")
        self._high.setEnabled(self._row.distribution in ("uniform", "tokens"))


class FileForm(SourceForm):
    """A tensor of a file."""

    def build(self) -> None:
        hint = self.tr("a .pt, .npy, .npz or .safetensors file")
        self._path = self.text_field("path", self.tr("File"), str.strip, str, hint)
        self.browsed(self._path, self._browse)
        hint = self.tr("the only one, or all by their names")
        self.text_field("key", self.tr("Tensor"), str.strip, str, hint)
        self.subset_field()

    def _browse(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, self.tr("Tensor file"), self._row.path, self.tr("Tensors ({0})").format(TENSOR_FILES)
        )
        if chosen:
            self._path.setText(chosen)
            self.put("path", chosen)


class ImagesForm(SourceForm):
    """Pictures, resized and normalised."""

    def build(self) -> None:
        self._files = self.text_field(
            "paths", self.tr("Pictures"), _parse_paths, _write_paths, self.tr("; between files")
        )
        self.browsed(self._files, self._browse)
        hint = self.tr("height × width")
        self.text_field("size", self.tr("Resize to"), self._parse_size, format_shape, hint)
        self.number_field("channels", self.tr("Channels"), 1, 4)
        self.text_field("mean", self.tr("Mean"), parse_numbers, format_numbers)
        self.text_field("std", self.tr("Deviation"), parse_numbers, format_numbers)

    def _parse_size(self, text: str) -> tuple[int, int]:
        size = parse_shape(text)
        if len(size) != 2:
            raise ValueError(self.tr("A size is height × width: 224 × 224."))
        return size[0], size[1]

    def _browse(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(
            self, self.tr("Pictures"), "", self.tr("Pictures ({0})").format(IMAGE_FILES)
        )
        if chosen:
            self._files.setText(_write_paths(chosen))
            self.put("paths", tuple(chosen))


def _parse_paths(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _write_paths(paths: Sequence[str]) -> str:
    return "; ".join(paths)


class FunctionForm(SourceForm):
    """What a function of the user's returns."""

    def build(self) -> None:
        hint = self.tr("path/file.py:name or package.module:name")
        self.text_field("spec", self.tr("Function"), str.strip, str, hint)
        self.subset_field()


FORMS: dict[str, type[SourceForm]] = {
    "example": ExampleForm,
    "noise": NoiseForm,
    "file": FileForm,
    "images": ImagesForm,
    "function": FunctionForm,
}
