"""Pictures compared with approved ones. A failure saves the actual, the expected and the difference.

``make approve`` takes what is rendered now as expected; look at it first.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QWidget

EXPECTED = Path(__file__).parent / "expected"
RESULTS = Path(__file__).resolve().parents[2] / "build" / "gui"

TOLERATED = 24
"""Of 255 per channel: glyph edges differ by this between versions of FreeType."""
SHARE = 0.002
"""How many pixels may differ by more. A word of 40 × 13 pixels is 0.0004 of a window, a moved column far above."""


def pixels(image: QImage) -> NDArray[np.uint8]:
    """height × width × 3."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).copy()


def grab(window: QWidget, *, without: list[QWidget]) -> QImage:
    """The window as an image of one pixel per logical pixel; ``without`` are widgets whose text changes from run to
    run."""
    image = window.grab().toImage()
    painter = QPainter(image)
    for widget in without:
        corner = widget.mapTo(window, widget.rect().topLeft())
        painter.fillRect(corner.x(), corner.y(), widget.width(), widget.height(), widget.palette().window())
    painter.end()
    return image


def difference(actual: NDArray[np.uint8], expected: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Largest absolute difference over the channels, height × width."""
    # Signed: the subtraction of unsigned values would wrap, and max before abs would be blind to darkening.
    signed = actual.astype(np.int16) - expected.astype(np.int16)
    return np.abs(signed).max(axis=2).astype(np.uint8)


def assert_looks_like(image: QImage, name: str) -> None:
    """Compare with ``expected/name.png``.

    Raises:
        AssertionError: another size, or too many pixels that differ; the message says where the three pictures are.
    """
    path = EXPECTED / f"{name}.png"
    if os.environ.get("MODELIGHT_APPROVE"):
        path.parent.mkdir(exist_ok=True)
        assert image.save(str(path))
        return
    actual = pixels(image)
    expected = pixels(QImage(str(path))) if path.exists() else np.zeros((0, 0, 3), np.uint8)
    if actual.shape == expected.shape:
        share = float((difference(actual, expected) > TOLERATED).mean())
        if share <= SHARE:
            return
        reason = f"{share:.2%} of the pixels differ"
    else:
        reason = f"the picture is {actual.shape[1::-1]}, expected {expected.shape[1::-1]}"
    raise AssertionError(f"{name}: {reason}; see {_save(image, path, name)}")


def _save(image: QImage, expected: Path, name: str) -> Path:
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    image.save(str(folder / "actual.png"))
    if expected.exists():
        QImage(str(expected)).save(str(folder / "expected.png"))
        actual, wanted = pixels(image), pixels(QImage(str(expected)))
        if actual.shape == wanted.shape:
            gap = np.ascontiguousarray(255 - difference(actual, wanted))
            QImage(gap.data, gap.shape[1], gap.shape[0], gap.shape[1], QImage.Format.Format_Grayscale8).copy().save(
                str(folder / "difference.png")
            )
    return folder
