"""Small pictures of image-like samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from modelight.protocol import Array

LARGEST = 96
"""Longer side of a picture; larger samples are averaged down."""
SMALLEST = 4
MOST = 64
"""More samples than this get no pictures."""


def thumbnails(samples: torch.Tensor, is_noise: Sequence[bool]) -> Array | None:
    """Pictures of samples × channels × height × width with one or three channels; None for what is no picture.

    One scale for all: black is the smallest and white the largest value of the samples that are not noise (of all,
    where there is nothing else), so that pictures can be compared. Values that are not finite are black.

    Returns:
        uint8, samples × height × width for one channel, samples × height × width × 3 for three.
    """
    if samples.dim() != 4 or samples.shape[1] not in (1, 3) or len(samples) > MOST or samples.is_complex():
        return None
    if min(samples.shape[2:]) < SMALLEST:
        return None
    values = _shrink(samples.detach().to("cpu", torch.float32))
    real = [i for i, noise in enumerate(is_noise) if not noise] or list(range(len(values)))
    finite = values[real][torch.isfinite(values[real])]
    low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 1.0)
    scaled = (values - low) / (high - low if high > low else 1.0)
    pixels = scaled.nan_to_num(0.0, 1.0, 0.0).clamp(0, 1).mul(255).round().to(torch.uint8)
    pictures = pixels[:, 0] if pixels.shape[1] == 1 else pixels.permute(0, 2, 3, 1)
    return Array.of(np.ascontiguousarray(pictures.numpy()))


def _shrink(values: torch.Tensor) -> torch.Tensor:
    height, width = values.shape[2:]
    longest = max(height, width)
    if longest <= LARGEST:
        return values
    size = (max(1, height * LARGEST // longest), max(1, width * LARGEST // longest))
    return functional.interpolate(values, size=size, mode="area")
