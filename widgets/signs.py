"""Small painted signs: what findings, buttons and fields carry instead of icon files. All centre on a point."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from modelight.widgets import theme

Sign = Literal[
    "critical",
    "warning",
    "info",
    "solved",
    "cross",
    "chevron",
    "chevron-right",
    "search",
    "refresh",
    "play",
    "stop",
    "dot",
]

_TONES = {"critical": "attention", "warning": "attention", "info": "text2", "solved": "confirmed", "cross": "attention"}


def paint_sign(painter: QPainter, center: QPointF, sign: Sign, color: QColor | None = None) -> None:
    """Paint a sign of about 12 logical pixels around ``center``, in its own colour unless another is given."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(center)
    tone = color or theme.color(_TONES.get(sign, "text2"))
    painter.setPen(_pen(tone, 1.5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    _PAINTERS[sign](painter, tone)
    painter.restore()


def _pen(tone: QColor, width: float) -> QPen:
    return QPen(tone, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)


def _polyline(*points: tuple[float, float]) -> QPolygonF:
    return QPolygonF([QPointF(x, y) for x, y in points])


_TRIANGLE = _polyline((0.0, -5.0), (5.5, 5.0), (-5.5, 5.0))


def _critical(painter: QPainter, tone: QColor) -> None:
    painter.setBrush(tone)
    painter.drawPolygon(_TRIANGLE)
    painter.setPen(_pen(theme.color("surface"), 1.5))
    painter.drawLine(QLineF(0, -1.5, 0, 1.25))
    painter.drawPoint(QPointF(0, 3.5))


def _warning(painter: QPainter, tone: QColor) -> None:
    painter.drawPolygon(_TRIANGLE)


def _info(painter: QPainter, tone: QColor) -> None:
    painter.setPen(_pen(tone, 1.25))
    painter.drawEllipse(QPointF(0, 0), 5.0, 5.0)
    painter.drawLine(QLineF(0, 0, 0, 2.25))
    painter.drawPoint(QPointF(0, -2.25))


def _solved(painter: QPainter, tone: QColor) -> None:
    painter.setPen(_pen(tone, 1.75))
    painter.drawPolyline(_polyline((-4.5, 0.25), (-1.5, 3.25), (4.25, -3.25)))


def _cross(painter: QPainter, tone: QColor) -> None:
    painter.drawLine(QLineF(-3.5, -3.5, 3.5, 3.5))
    painter.drawLine(QLineF(-3.5, 3.5, 3.5, -3.5))


def _chevron(painter: QPainter, tone: QColor) -> None:
    painter.drawPolyline(_polyline((-3, -1.5), (0, 1.5), (3, -1.5)))


def _chevron_right(painter: QPainter, tone: QColor) -> None:
    painter.drawPolyline(_polyline((-1.5, -3), (1.5, 0), (-1.5, 3)))


def _search(painter: QPainter, tone: QColor) -> None:
    painter.drawEllipse(QPointF(-1, -1), 3.75, 3.75)
    painter.drawLine(QLineF(1.9, 1.9, 4.75, 4.75))


def _refresh(painter: QPainter, tone: QColor) -> None:
    painter.drawArc(QRectF(-4.25, -4.25, 8.5, 8.5), 25 * 16, 300 * 16)
    painter.drawPolyline(_polyline((4.4, -5.0), (4.4, -1.9), (1.3, -1.9)))


def _play(painter: QPainter, tone: QColor) -> None:
    path = QPainterPath()
    path.addPolygon(_polyline((-3, -4), (4, 0), (-3, 4), (-3, -4)))
    painter.setPen(_pen(tone, 1.0))
    painter.fillPath(path, tone)
    painter.drawPath(path)


def _stop(painter: QPainter, tone: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(tone)
    painter.drawRoundedRect(QRectF(-4, -4, 8, 8), 1, 1)


def _dot(painter: QPainter, tone: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(tone)
    painter.drawEllipse(QPointF(0, 0), 3.25, 3.25)


_PAINTERS = {
    "critical": _critical,
    "warning": _warning,
    "info": _info,
    "solved": _solved,
    "cross": _cross,
    "chevron": _chevron,
    "chevron-right": _chevron_right,
    "search": _search,
    "refresh": _refresh,
    "play": _play,
    "stop": _stop,
    "dot": _dot,
}
