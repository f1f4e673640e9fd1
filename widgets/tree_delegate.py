"""How a row of the module tree is painted: lamp and word, name and type, effect, figures."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from modelight.widgets import theme
from modelight.widgets.lamp import paint_lamp
from modelight.widgets.signs import paint_sign
from modelight.widgets.tree_model import DISPLAY, NODE, Column, Node, mode_word

ROW_HEIGHT = 26
LAMP_CENTER = 18
"""Where the lamp stands in its column, in logical pixels."""
LAMP_REACH = 30
"""How wide the ground around a lamp is that takes clicks."""
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_PAD = 4
_GAP = 7
_RIGHT_MARGIN = 14

Index = QModelIndex | QPersistentModelIndex


class TreeDelegate(QStyledItemDelegate):
    """Paints cells from the model's nodes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._metrics = {key: QFontMetricsF(theme.font(*key)) for key in ((12, 400), (12, 500), (13, 400), (13, 500))}

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(80, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        node: Node = index.data(NODE)
        cell = QRectF(option.rect)
        if option.state & QStyle.StateFlag.State_Selected:
            # Not left to the style: Fusion shades the colour it is given.
            painter.fillRect(cell, theme.color("selection"))
        column = index.column()
        if column == Column.MODE:
            self._paint_mode(painter, cell, node)
        elif column == Column.MODULE:
            self._paint_module(painter, cell, node)
        elif column == Column.EFFECT:
            self._paint_effect(painter, cell, node)
        else:
            margin = _RIGHT_MARGIN if column == Column.PARAMETERS else _PAD
            tone = "text2" if column == Column.PARAMETERS or not node.quiet else "text3"
            align = _RIGHT if column == Column.PARAMETERS else _LEFT
            self._write(painter, cell.adjusted(_PAD, 0, -margin, 0), index.data(DISPLAY), 12, 400, tone, align)

    def _paint_mode(self, painter: QPainter, cell: QRectF, node: Node) -> None:
        lamp = "pending" if node.pending else node.lamp
        paint_lamp(painter, QPointF(cell.left() + LAMP_CENTER, cell.center().y()), lamp, node.quiet)
        tone = "text3"
        if not node.quiet and not node.pending and node.lamp != "none":
            tone = "text2" if node.lamp == "mixed" else f"{node.lamp}_words"
        weight = 400 if node.quiet else 500
        self._write(painter, cell.adjusted(31, 0, 0, 0), mode_word(node), 12, weight, tone)

    def _paint_module(self, painter: QPainter, cell: QRectF, node: Node) -> None:
        room = cell.adjusted(_PAD, 0, -_PAD, 0)
        if node.state.problem:
            paint_sign(painter, QPointF(room.right() - 8, room.center().y()), "critical")
            room.setRight(room.right() - 20)
        elif node.state.remark or node.row.notes:
            paint_sign(painter, QPointF(room.right() - 8, room.center().y()), "info")
            room.setRight(room.right() - 20)
        weight = 400 if node.quiet else 500
        used = self._write(painter, room, node.row.name, 13, weight, "text", elide=Qt.TextElideMode.ElideMiddle)
        rest = room.adjusted(used + _GAP, 0, 0, 0)
        if rest.width() > 14:
            self._write(painter, rest, node.row.type, 12, 400, "text3")

    def _paint_effect(self, painter: QPainter, cell: QRectF, node: Node) -> None:
        tones = {"train": "train_words", "eval": "eval_words", "attention": "attention"}
        tone = tones.get(node.state.tone, "text3" if node.quiet else "text2")
        weight = 500 if node.state.tone != "none" else 400
        self._write(painter, cell.adjusted(_PAD, 0, -_PAD, 0), node.state.effect, 12, weight, tone)

    def _write(
        self,
        painter: QPainter,
        room: QRectF,
        text: str,
        size: int,
        weight: int,
        tone: str,
        align: Qt.AlignmentFlag = _LEFT,
        elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> float:
        """Write one line, elided to the room; returns how wide it came out."""
        metrics = self._metrics[size, weight]
        width = metrics.horizontalAdvance(text)
        if width > room.width():
            text = metrics.elidedText(text, elide, room.width())
            width = metrics.horizontalAdvance(text)
        painter.setFont(theme.font(size, weight))
        painter.setPen(theme.color(tone))
        painter.drawText(room, align, text)
        return width
