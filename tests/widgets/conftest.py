"""Widgets are tested dressed as in the program, since what they paint is part of what they promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QPointF, QRect
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QWidget

from modelight.widgets import theme


@pytest.fixture(autouse=True)
def dressed(qapp: QApplication) -> Iterator[Callable[[theme.Tokens], None]]:
    """Light theme, unless the test asks for another: ``dressed(theme.DARK)``."""
    if not qapp.styleSheet() or theme.current() is not theme.LIGHT:
        theme.apply(qapp, theme.LIGHT)
    yield lambda tokens: theme.apply(qapp, tokens)


class Picture:
    """What a widget shows at one pixel per logical pixel."""

    def __init__(self, widget: QWidget) -> None:
        self.image: QImage = widget.grab().toImage()

    def at(self, x: float, y: float) -> QColor:
        return self.image.pixelColor(int(x), int(y))

    def holds(self, token: str, area: QRect | None = None) -> bool:
        """Whether a pixel of that area has exactly a token's colour."""
        return self.count(token, area) > 0

    def count(self, token: str, area: QRect | None = None) -> int:
        area = area or self.image.rect()
        wanted = theme.color(token).rgb()
        columns, rows = range(area.left(), area.right() + 1), range(area.top(), area.bottom() + 1)
        return sum(self.image.pixel(x, y) == wanted for x in columns for y in rows)

    def around(self, center: QPointF, token: str, reach: int = 6) -> int:
        x, y = int(center.x()), int(center.y())
        return self.count(token, QRect(x - reach, y - reach, 2 * reach + 1, 2 * reach + 1))


@pytest.fixture
def picture() -> Callable[[QWidget], Picture]:
    return Picture
