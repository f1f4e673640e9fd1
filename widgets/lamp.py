"""The lamp: what mode something is in, as shape and colour. One painter for trees, buttons, cards, status."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPen, QPixmap

from modelight.widgets import theme

LampState = Literal["train", "eval", "mixed", "pending", "none"]

BOX = 12
"""Side of the square a lamp stands in, in logical pixels."""


def paint_lamp(painter: QPainter, center: QPointF, state: LampState, quiet: bool = False) -> None:
    """Paint a lamp around ``center``; ``none`` paints nothing.

    ``quiet`` is the small lamp of modules whose mode has no effect.
    """
    if state == "none":
        return
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if state == "train":
        _disc(painter, center, 5.5 if quiet else 9.5)
    elif state == "eval":
        _ring(painter, center, 4.5 if quiet else 8.0, "eval_mark", 1.5 if quiet else 1.75)
    elif state == "mixed":
        _halves(painter, center, 4.5 if quiet else 8.0)
    else:
        _ring(painter, center, 4.5 if quiet else 9.0, "text3", 1.0)
    painter.restore()


def _square(center: QPointF, side: float) -> QRectF:
    return QRectF(center.x() - side / 2, center.y() - side / 2, side, side)


def _disc(painter: QPainter, center: QPointF, diameter: float) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("train_mark"))
    painter.drawEllipse(_square(center, diameter))


def _ring(painter: QPainter, center: QPointF, diameter: float, token: str, width: float) -> None:
    painter.setPen(QPen(theme.color(token), width))
    painter.drawEllipse(_square(center, diameter))


def _halves(painter: QPainter, center: QPointF, diameter: float) -> None:
    outer = _square(center, diameter + 1.5)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("train_mark"))
    painter.drawPie(outer, 90 * 16, 180 * 16)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(theme.color("eval_mark"), 1.75, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
    painter.drawArc(_square(center, diameter), -90 * 16, 180 * 16)


def lamp_icon(state: LampState, quiet: bool = False) -> QIcon:
    """The lamp as an icon of 12 logical pixels in the present theme (for menus, which take icons only)."""
    icon = QIcon()
    for ratio in (1.0, 2.0):
        pixmap = QPixmap(round(BOX * ratio), round(BOX * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        paint_lamp(painter, QPointF(BOX / 2, BOX / 2), state, quiet)
        painter.end()
        icon.addPixmap(pixmap)
    return icon
