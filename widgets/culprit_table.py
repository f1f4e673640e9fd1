"""What moves the output most: two bars for each module, on one axis, and the button that flips it."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from modelight.widgets import numbers, paint, theme
from modelight.widgets.axes import round_ticks, tick_texts
from modelight.widgets.buttons import Button
from modelight.widgets.compare_data import CompareData, CulpritData, Move
from modelight.widgets.export import ExportMenu, Table
from modelight.widgets.lamp import LampState, paint_lamp
from modelight.widgets.paths import fitted_path

MOST = 12
"""Modules that are shown; the rest is counted."""
HEAD, BAR, FIGURE = 24, 9.5, 16
_FIGURES = 62
_LAMP_X, _NAME_X = 36.0, 49.0
_ROLES = (("eval_mark", "eval_words"), ("train_mark", "train_words"), ("mask", "text2"))
"""Marks and words of the bars: alone to eval, alone to train, flipped from the present state."""


def moved_text(value: float | None, bounded: bool) -> str:
    """A distance: three decimals for probabilities, so that they stand under each other; 0 only where it is exact."""
    if value is None or value != value or value == 0 or not bounded:
        return numbers.figure(value)
    return f"{value:.3f}"


class CulpritTable(QWidget):
    """Rows of bars. ``mode_requested`` carries the path and the mode that the person wants."""

    mode_requested = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._all: tuple[CulpritData, ...] = ()
        self._rows: tuple[CulpritData, ...] = ()
        self._everything: float | None = None
        self._bounded, self._three, self._top = True, False, 1.0
        self.buttons: list[Button] = []
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.export = ExportMenu(self, "what-moves-the-output", self.table)

    def set_data(self, data: CompareData) -> None:
        """Show the modules that move the output most."""
        self._all = data.culprits
        self._rows = data.culprits[:MOST]
        self._bounded, self._everything, self._three = data.bounded, data.everything, data.has_flipped
        self._top = _top(max([Move(data.everything).size, *(move.size for row in self._rows for move in row.moves)]))
        self._set_buttons()
        self.setAccessibleDescription("; ".join(self._sentence(row) for row in self._rows))
        self.updateGeometry()
        self.update()

    def table(self) -> Table:
        """Every module, those not shown as well."""
        header = ("module", "type", "alone to eval", "alone to train, rest eval", "flipped from now")
        return Table(header, [(row.path, row.type, *_figures(row)) for row in self._all])

    def row_height(self) -> int:
        """Of one module, in logical pixels."""
        return FIGURE * (3 if self._three else 2) + 2

    def sizeHint(self) -> QSize:
        return QSize(560, HEAD + self.row_height() * len(self._rows) + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(400, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place_buttons()

    # -------------------------------------------------------------------------------------------------------- buttons

    def _set_buttons(self) -> None:
        for button in self.buttons:
            button.hide()
            button.deleteLater()
        self.buttons = [self._button(row) for row in self._rows]
        self._place_buttons()

    def _button(self, row: CulpritData) -> Button:
        to_train = row.training is False
        kind: Literal["train", "eval"] = "train" if to_train else "eval"
        text = self.tr("Set train") if to_train else self.tr("Set eval")
        # What hardly moves the output is no remedy: its button has no colour.
        strong = row.largest >= 0.1 * (self._everything or 0.0) and not row.by_chance
        button = Button(text, kind if strong else "plain", lamp=kind, height=26, parent=self)
        button.setAccessibleName(f"{text}: {self._path(row)}")
        button.setEnabled(row.training is not None)
        button.clicked.connect(lambda: self.mode_requested.emit(row.path, to_train))
        button.show()
        return button

    def _place_buttons(self) -> None:
        for index, button in enumerate(self.buttons):
            button.resize(button.sizeHint())
            top = HEAD + index * self.row_height() + (self.row_height() - button.height()) // 2
            button.move(self.width() - button.width(), top)

    # ------------------------------------------------------------------------------------------------------- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left, right = self._plot()
        self._axis(painter, left, right)
        for index, row in enumerate(self._rows):
            top = HEAD + index * self.row_height()
            self._name(painter, index, row, top, left - 16)
            self._bars(painter, row, (left, right), top, leading=index == 0)
        self._everything_line(painter, left, right)

    def _plot(self) -> tuple[float, float]:
        """Left and right end of the axis."""
        bold, small = QFontMetricsF(theme.font(13, 600)), QFontMetricsF(theme.font(12))
        widths = [bold.horizontalAdvance(self._path(row)) + 8 + small.horizontalAdvance(row.type) for row in self._rows]
        name = min(max(widths, default=0.0), self.width() * 0.36 - _NAME_X)
        buttons = max((button.sizeHint().width() for button in self.buttons), default=0)
        left = _NAME_X + name + 16
        return left, max(left + 40, self.width() - buttons - 12 - _FIGURES - 8)

    def _axis(self, painter: QPainter, left: float, right: float) -> None:
        ticks = round_ticks(0.0, self._top, 4)
        bottom = HEAD + self.row_height() * len(self._rows)
        painter.setFont(theme.font(11))
        for tick, text in zip(ticks, tick_texts(ticks), strict=True):
            x = round(left + tick / self._top * (right - left)) + 0.5
            painter.setPen(paint.pen("edge" if tick == 0 else "line"))
            painter.drawLine(QLineF(x, HEAD - 4, x, bottom))
            painter.setPen(theme.color("text3"))
            align = Qt.AlignmentFlag.AlignLeft if tick == 0 else Qt.AlignmentFlag.AlignHCenter
            painter.drawText(QRectF(x if tick == 0 else x - 30, 2, 60, 14), align, text)
        painter.setPen(theme.color("text3"))
        painter.drawText(QRectF(right + 8, 2, _FIGURES, 14), Qt.AlignmentFlag.AlignRight, self.tr("moves by"))

    def _name(self, painter: QPainter, index: int, row: CulpritData, top: float, right: float) -> None:
        middle = top + self.row_height() / 2
        box = QRectF(0, top, 22, self.row_height())
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text3"))
        painter.drawText(
            box.adjusted(0, 0, -6, 0), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, str(index + 1)
        )
        paint_lamp(painter, QPointF(_LAMP_X, middle), _lamp(row.training))
        bold, small = theme.font(13, 600 if index == 0 else 400), theme.font(12)
        room = right - _NAME_X
        path = fitted_path(self._path(row), QFontMetricsF(bold), room)
        used = QFontMetricsF(bold).horizontalAdvance(path) + 8
        painter.setFont(bold)
        painter.setPen(theme.color("text"))
        align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(QRectF(_NAME_X, top, room + 4, self.row_height()), align, path)
        if room - used < 24:
            return
        painter.setFont(small)
        painter.setPen(theme.color("text3"))
        kind = QFontMetricsF(small).elidedText(row.type, Qt.TextElideMode.ElideRight, room - used + 2)
        painter.drawText(QRectF(_NAME_X + used, top, room - used + 4, self.row_height()), align, kind)

    def _path(self, row: CulpritData) -> str:
        return row.path or self.tr("the model itself")

    def _bars(
        self, painter: QPainter, row: CulpritData, span: tuple[float, float], top: float, *, leading: bool
    ) -> None:
        left, right = span
        first = top + (self.row_height() - len(row.moves) * (BAR + 1)) / 2
        for index, (move, (role, words)) in enumerate(zip(row.moves, _ROLES, strict=False)):
            painter.setFont(theme.font(12, 600 if leading and move.known and not move.chance else 400))
            painter.setPen(theme.color(words if move.known and not move.chance else "text3"))
            text = moved_text(move.by, self._bounded)
            box = QRectF(right + 8, top + 1 + index * FIGURE, _FIGURES, FIGURE)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
            if move.known:
                width = max(1.5, min(1.0, move.size / self._top) * (right - left))
                tone = paint.color(role, 0.3 if move.chance else 1.0)
                painter.fillRect(QRectF(left + 0.5, first + index * (BAR + 1), width, BAR), tone)

    def _everything_line(self, painter: QPainter, left: float, right: float) -> None:
        if self._everything is None or self._everything != self._everything or not self._rows:
            return
        x = round(left + self._everything / self._top * (right - left)) + 0.5
        painter.setPen(paint.pen("text", 1.25, Qt.PenStyle.DashLine))
        painter.drawLine(QLineF(x, HEAD - 4, x, HEAD + self.row_height() * len(self._rows)))

    def _sentence(self, row: CulpritData) -> str:
        alone, against = (moved_text(move.by, self._bounded) for move in (row.alone, row.against))
        text = self.tr("%1: alone to eval %2, alone to train %3").replace("%1", self._path(row))
        return text.replace("%2", alone).replace("%3", against)


def _figures(row: CulpritData) -> tuple[float | None, ...]:
    return row.alone.by, row.against.by, None if row.flipped is None else row.flipped.by


def _lamp(training: bool | None) -> LampState:
    return "none" if training is None else "train" if training else "eval"


def _top(largest: float) -> float:
    """The end of the axis: a little beyond the largest distance."""
    return largest * 1.04 if 0 < largest < float("inf") else 1.0
