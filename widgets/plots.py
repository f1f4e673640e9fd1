"""One plot in the house style: no frame, own grid, own context menu, ranges that hold until *Reset axes*."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from modelight.widgets import paint
from modelight.widgets.axes import TickAxis
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.marks import Grid, Mark

M = TypeVar("M", bound=Mark)
Range = tuple[float, float]

AXIS_WIDTH = 34


class Plot(pg.PlotWidget):  # type: ignore[misc]
    """A plot whose marks are made once.

    Args:
        name: what exported files are called.
        table: gives the figures for CSV.
        height: in logical pixels.
        x_axis: whether there is a bottom axis.
        most: about how many ticks (horizontal, vertical).
    """

    def __init__(
        self,
        name: str,
        table: Callable[[], Table],
        *,
        height: int,
        x_axis: bool = True,
        most: tuple[int, int] = (6, 4),
        parent: QWidget | None = None,
    ) -> None:
        self.left, self.bottom = TickAxis("left", most[1]), TickAxis("bottom", most[0])
        super().__init__(
            parent, axisItems={"left": self.left, "bottom": self.bottom}, background=paint.color("surface")
        )
        self._marks: list[Mark] = []
        self._held: tuple[Range, Range] | None = None
        self._scope: object = None
        self._wanted: tuple[Range, Range] = ((0.0, 1.0), (0.0, 1.0))
        self.setFixedHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFrameShape(self.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(name)
        self._house_style(x_axis)
        self.grid = self.add(Grid(lambda: [place for place, _ in self.left.ticks()]))
        self.export = ExportMenu(self, name, table, self.reset_axes)

    def _house_style(self, x_axis: bool) -> None:
        item = self.plotItem
        item.hideButtons()
        item.setMenuEnabled(False)
        item.getViewBox().setMenuEnabled(False)
        item.layout.setContentsMargins(0, 2, 14 if x_axis else 0, 0)
        item.getViewBox().setDefaultPadding(0.0)
        item.disableAutoRange()
        self.left.setWidth(AXIS_WIDTH)
        self.bottom.setHeight(22)
        if not x_axis:
            item.hideAxis("bottom")

    def add(self, mark: M) -> M:
        """Put a mark on the plot."""
        self._marks.append(mark)
        self.addItem(mark, ignoreBounds=True)
        return mark

    def add_strip(self, height: int, mark: M, above_axis: bool = False) -> M:
        """A strip under the plot that shares its horizontal axis (rugs, thumbnails), with one mark on it."""
        view = pg.ViewBox(enableMouse=False, enableMenu=False, defaultPadding=0.0)
        view.setFixedHeight(height)
        view.setYRange(0, 1, padding=0)
        if above_axis:
            self.plotItem.layout.removeItem(self.bottom)
            self.plotItem.layout.addItem(self.bottom, 4, 1)
            self.plotItem.layout.addItem(view, 3, 1)
        else:
            self.plotItem.layout.addItem(view, 4, 1)
        view.setXLink(self.plotItem.getViewBox())
        view.addItem(mark, ignoreBounds=True)
        self._marks.append(mark)
        return mark

    def set_strip_height(self, mark: Mark, height: int) -> None:
        """Another height for the strip that ``mark`` is on, at once: a picture may be taken before the next event."""
        view = mark.getViewBox()
        if view.maximumHeight() != height:
            view.setFixedHeight(height)
            self.plotItem.layout.activate()

    def hold(self, x: Range, y: Range, scope: object) -> None:
        """Show at least these ranges. While ``scope`` (what is plotted) stays the same they only grow, so that a flip
        never rescales away what it changed; *Reset axes* fits them to the present data."""
        self._wanted = (x, y)
        if self._held is not None and scope == self._scope:
            x, y = _union(self._held[0], x), _union(self._held[1], y)
            if (x, y) == self._held:
                return
        self._held, self._scope = (x, y), scope
        self._apply(x, y)

    def reset_axes(self) -> None:
        """Fit the axes to the present data, and undo panning and zooming."""
        self._held = self._wanted
        self._apply(*self._wanted)

    def _apply(self, x: Range, y: Range) -> None:
        self.plotItem.getViewBox().setRange(xRange=x, yRange=y, padding=0)
        widest = max(
            (QFontMetricsF(paint.font(11)).horizontalAdvance(text) for _, text in self.left.ticks()), default=0.0
        )
        self.left.setWidth(max(AXIS_WIDTH, round(widest) + 12))

    def retheme(self) -> None:
        """Colours of the theme in force on the same items."""
        self.setBackground(paint.color("surface"))
        self.left.retheme()
        self.bottom.retheme()
        for mark in self._marks:
            mark.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom with Ctrl only: the wheel alone scrolls the page."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(event)
        else:
            event.ignore()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.reset_axes()
        event.accept()


def _union(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), max(a[1], b[1])
