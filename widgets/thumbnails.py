"""Pictures and captions of the samples, under the bars they belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QImage, QPainter

from modelight.widgets import paint
from modelight.widgets.marks import Mark

SIDE = 34
"""Largest side of a picture in logical pixels."""
HEIGHT = SIDE + 24
CAPTIONS_ONLY = 22


def to_image(pixels: NDArray[np.uint8]) -> QImage:
    """An image of height × width grey or height × width × 3 pixels; it owns its memory."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    kind = QImage.Format.Format_Grayscale8 if pixels.ndim == 2 else QImage.Format.Format_RGB888
    return QImage(pixels.data, width, height, pixels.strides[0], kind).copy()


class Captions(Mark):
    """One picture and caption per bar; captions that would touch are left out evenly, long ones cut."""

    def __init__(self) -> None:
        super().__init__()
        self._x = np.empty(0)
        self._texts: Sequence[str] = ()
        self._images: list[QImage] = []
        self._pixels: NDArray[np.uint8] | None = None

    def set_data(self, x: ArrayLike, texts: Sequence[str], pixels: NDArray[np.uint8] | None) -> None:
        """``pixels``: samples × height × width (× 3), or None."""
        self._x, self._texts = np.asarray(x, dtype=np.float64), texts
        if pixels is not self._pixels:
            self._pixels = pixels
            self._images = [] if pixels is None else [to_image(one) for one in pixels]
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        xs = self.px(self._x)
        pitch = float(np.diff(xs).min()) if len(xs) > 1 else area.width()
        top = area.top() + 8
        if self._images:
            side = max(2.0, min(SIDE, pitch - 2))
            for x, image in zip(xs, self._images, strict=False):
                self._picture(painter, image, QRectF(round(x - side / 2), round(top), round(side), round(side)))
            top += side + 2
        self._captions(painter, xs, pitch, top)

    def _picture(self, painter: QPainter, image: QImage, box: QRectF) -> None:
        ratio = min(box.width() / image.width(), box.height() / image.height())
        width, height = image.width() * ratio, image.height() * ratio
        inner = QRectF(box.center().x() - width / 2, box.center().y() - height / 2, width, height)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, ratio < 1)
        painter.drawImage(inner, image)
        painter.setPen(paint.pen("edge"))
        if width > 12:
            painter.drawRect(inner.adjusted(0.5, 0.5, -0.5, -0.5))

    def _captions(self, painter: QPainter, xs: NDArray[np.float64], pitch: float, top: float) -> None:
        font = paint.font(11)
        metrics = QFontMetricsF(font)
        widest = max((metrics.horizontalAdvance(text) for text in self._texts), default=0.0)
        every = 1
        while every < len(xs) and min(widest, 64.0) + 4 > pitch * every:
            every += 1
        painter.setFont(font)
        painter.setPen(paint.pen("text3"))
        room = max(pitch * every - 4, 12.0)
        for index in range(0, len(xs), every):
            text = metrics.elidedText(self._texts[index], Qt.TextElideMode.ElideRight, room)
            box = QRectF(xs[index] - room / 2, top, room, metrics.height() + 2)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextDontClip, text)
