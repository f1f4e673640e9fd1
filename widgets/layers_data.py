"""What the Layers page shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelight.widgets.modes import Mode

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """One module's output in one mode: histogram in equal bins from ``low`` to ``high``, and moments."""

    low: float
    high: float
    counts: Floats
    mean: float | None
    std: float | None
    minimum: float | None
    maximum: float | None
    has_nan: bool
    has_infinite: bool
    sampled: int
    count: int


@dataclass(frozen=True)
class LayerRow:
    """One module."""

    path: str
    name: str
    type: str
    shape: tuple[int, ...]
    calls: int
    now: Spread | None
    other: Spread | None
    words: str = ""
    """Why there is nothing to see, as a sentence."""
    parts: bool = False
    """The first layer whose output is another in the other mode."""
    leaf: bool = True


@dataclass(frozen=True)
class LayersData:
    """Everything on the page. ``other_mode`` is None where the other mode was not captured."""

    rows: tuple[LayerRow, ...]
    mode: Mode
    other_mode: Mode | None
    by_chance: bool = False
    """Whether the two drew other random numbers, so that small differences say nothing."""
