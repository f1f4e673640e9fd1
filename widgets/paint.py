"""Pens, brushes and fonts from the theme's tokens, for widgets that paint themselves."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor, QFont, QPen

from modelight.widgets import theme

REGULAR, MEDIUM, BOLD = 400, 500, 600

_ALPHA_FILL = 0.20
"""Fills of bars and histograms, so that overlaps stay legible."""


def color(role: str, alpha: float = 1.0) -> QColor:
    """The token ``role`` in the theme in force."""
    return theme.faded(role, alpha)


def pen(role: str, width: float = 1.0, style: Qt.PenStyle = Qt.PenStyle.SolidLine, alpha: float = 1.0) -> QPen:
    """A cosmetic pen ``width`` logical pixels wide, with flat ends so that lengths are true."""
    made = QPen(color(role, alpha), width, style, Qt.PenCapStyle.FlatCap, Qt.PenJoinStyle.MiterJoin)
    made.setCosmetic(True)
    if style == Qt.PenStyle.DashLine:
        made.setDashPattern([3.0, 1.6])
    return made


def fill(role: str, alpha: float = _ALPHA_FILL) -> QBrush:
    """The fill of a bar or histogram."""
    return QBrush(color(role, alpha))


def font(size: int, weight: int = REGULAR) -> QFont:
    """Inter with tabular figures, ``size`` logical pixels."""
    return theme.font(size, weight)


def mark(mode: str | None) -> str:
    """The token of a mode's marks. A mixed state has no colour of its own: it is drawn in the grey of masks."""
    return {"train": "train_mark", "eval": "eval_mark"}.get(mode or "", "mask")


def words(mode: str | None) -> str:
    """The token of a mode's words."""
    return {"train": "train_words", "eval": "eval_words"}.get(mode or "", "text2")
