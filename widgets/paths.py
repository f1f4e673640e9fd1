"""Module paths in little room. What tells two paths apart stands in the middle of them, so it goes last."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetricsF


def short_path(path: str, most: int) -> str:
    """The path in at most ``most`` characters, for sentences: shortened as :func:`fitted_path` does it."""
    parts = path.split(".")
    for index, part in enumerate(parts[:-1]):
        if len(".".join(parts)) <= most:
            break
        parts[index] = part if part.isdigit() else part[:1]
    text, half = ".".join(parts), (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def fitted_path(path: str, metrics: QFontMetricsF, room: float) -> str:
    """The path as it fits into ``room``: its components are cut to their first letter from the left, numbers stay, and
    only where that is not enough is its middle left out: ``r.e.stages.1.layers.0.normalization``."""
    parts = path.split(".")
    for index, part in enumerate(parts[:-1]):
        if metrics.horizontalAdvance(".".join(parts)) <= room:
            break
        parts[index] = part if part.isdigit() else part[:1]
    return metrics.elidedText(".".join(parts), Qt.TextElideMode.ElideMiddle, room)
