"""Write what a widget shows to a file: PNG and SVG from its own painting, CSV from its figures."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QAction, QPainter, QPixmap
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QFileDialog, QGraphicsView, QMenu, QMessageBox, QWidget

from modelight.widgets import paint

SCALE = 2
"""Pixels per logical pixel of an exported PNG."""


@dataclass(frozen=True)
class Table:
    """The figures of a plot: ``rows`` under ``header``."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]


def write_png(widget: QWidget, path: Path) -> None:
    """The widget as it is now, at twice its size.

    Raises:
        OSError: the file cannot be written.
    """
    picture = QPixmap(widget.size() * SCALE)
    picture.setDevicePixelRatio(SCALE)
    picture.fill(paint.color("surface"))
    QWidget.render(widget, picture)  # QGraphicsView hides it behind one of another meaning
    if not picture.save(str(path), "PNG"):
        raise OSError(f"{path} cannot be written.")


def write_svg(widget: QWidget, path: Path, title: str = "") -> None:
    """The widget as vectors, one unit a logical pixel.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb"):
        pass  # QSvgGenerator fails without a word.
    generator = QSvgGenerator()
    generator.setFileName(str(path))
    generator.setSize(QSize(widget.size()))
    generator.setViewBox(QRect(QPoint(0, 0), widget.size()))
    generator.setResolution(96)
    generator.setTitle(title)
    painter = QPainter(generator)
    try:
        painter.fillRect(widget.rect(), paint.color("surface"))
        if isinstance(widget, QGraphicsView):
            widget.render(painter, QRectF(widget.rect()), widget.rect())
        else:
            QWidget.render(widget, painter, QPoint(0, 0))
    finally:
        painter.end()


def write_csv(table: Table, path: Path) -> None:
    """The figures with full precision; what is not there stays empty.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table.header)
        writer.writerows([["" if _absent(cell) else cell for cell in row] for row in table.rows])


def _absent(cell: object) -> bool:
    return cell is None or cell != cell


class ExportMenu:
    """The context menu of one plot: Export PNG…, SVG…, CSV…, and Reset axes where it has axes."""

    def __init__(
        self, widget: QWidget, name: str, table: Callable[[], Table] | None, reset: Callable[[], None] | None = None
    ) -> None:
        self._widget, self._name, self._table, self._reset = widget, name, table, reset
        widget.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        widget.customContextMenuRequested.connect(self._on_asked)

    def menu(self) -> QMenu:
        """The menu, made anew so that it speaks the present language."""
        menu = QMenu(self._widget)
        for kind in ("png", "svg", "csv") if self._table else ("png", "svg"):
            menu.addAction(self._export_action(menu, kind))
        if self._reset is not None:
            menu.addSeparator()
            menu.addAction(QCoreApplication.translate("Plot", "Reset axes")).triggered.connect(self._reset)
        return menu

    def write(self, kind: str, path: Path) -> None:
        """Write ``png``, ``svg`` or ``csv``.

        Raises:
            OSError: the file cannot be written.
        """
        if kind == "png":
            write_png(self._widget, path)
        elif kind == "svg":
            write_svg(self._widget, path, self._name)
        elif self._table is not None:
            write_csv(self._table(), path)

    def _export_action(self, menu: QMenu, kind: str) -> QAction:
        text = QCoreApplication.translate("Plot", "Export %1…").replace("%1", kind.upper())
        action = QAction(text, menu)
        action.triggered.connect(lambda: self._on_export(kind))
        return action

    def _on_asked(self, place: QPoint) -> None:
        menu = self.menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self._widget.mapToGlobal(place))

    def _on_export(self, kind: str) -> None:
        title = QCoreApplication.translate("Plot", "Export")
        name, _ = QFileDialog.getSaveFileName(self._widget, title, f"{self._name}.{kind}", f"{kind.upper()} (*.{kind})")
        if not name:
            return
        try:
            self.write(kind, Path(name))
        except OSError as error:
            QMessageBox.warning(self._widget, title, str(error))
