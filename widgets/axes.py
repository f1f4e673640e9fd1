"""Axes in the house style: few round numbers, ticks outside, no frame, horizontal grid lines only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF
from PySide6.QtGui import QPainter, QPen

from modelight.widgets import numbers, paint

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def round_step(span: float, most: int) -> float:
    """The smallest step of 1, 2, 2.5 or 5 times a power of ten that puts at most ``most`` ticks on ``span``."""
    if not math.isfinite(span) or span <= 0:
        return 1.0
    rough = span / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))


def round_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most about ``most`` round numbers from ``low`` to ``high``; multiples of a step, so that 0 is one of them."""
    step = round_step(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The ticks as people write them, all with as many decimals as the finest step needs: 0, 0.5, 1."""
    if not ticks:
        return []
    largest = max(abs(tick) for tick in ticks)
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=largest) or 1.0
    if largest >= 1e6 or step < 1e-4:
        return [numbers.figure(tick, 2) if tick else "0" for tick in ticks]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if decimals and abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1
    return [_plain(tick, decimals) for tick in ticks]


def _plain(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}".replace(",", numbers.THIN)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", numbers.MINUS)


class TickAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis with few round ticks, or with exactly the ticks it was given by ``set_ticks``."""

    def __init__(self, orientation: str, most: int = 5) -> None:
        super().__init__(orientation)
        self._most = most
        self._given: list[tuple[float, str]] | None = None
        self.setStyle(
            tickLength=4,
            tickFont=paint.font(11),
            tickTextOffset=5,
            autoReduceTextSpace=False,
            hideOverlappingLabels=False,
        )
        self.enableAutoSIPrefix(False)
        self.retheme()

    def retheme(self) -> None:
        """Pens of the theme in force."""
        self.setPen(paint.pen("edge"))
        self.setTickPen(paint.pen("edge"))
        self.setTextPen(paint.pen("text3"))

    def set_ticks(self, ticks: list[tuple[float, str]] | None) -> None:
        """Exactly these ticks (place, text); None: round numbers again."""
        self._given = ticks
        self.picture = None
        self.update()

    def ticks(self) -> list[tuple[float, str]]:
        """The ticks now in the visible range."""
        low, high = sorted(self.range)
        slack = (high - low) * 1e-6
        if self._given is not None:
            return [(place, text) for place, text in self._given if low - slack <= place <= high + slack]
        places = round_ticks(low, high, self._most)
        return list(zip(places, tick_texts(places), strict=True))

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        places = [place for place, text in self.ticks() if text]  # without a number only the grid has a line there
        step = min((b - a for a, b in pairwise(places)), default=1.0)
        return [(step, places)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        texts = dict(self.ticks())
        return [texts.get(value, "") for value in values]

    def generateDrawSpecs(self, p: QPainter) -> Any:
        """As pyqtgraph's, but the vertical axis has no line: the grid carries it."""
        specs = super().generateDrawSpecs(p)
        if specs is None or self.orientation != "left":
            return specs
        _, ticks, texts = specs
        nowhere = QPointF(0, 0)
        return (QPen(paint.color("edge", 0.0)), nowhere, nowhere), ticks, texts
