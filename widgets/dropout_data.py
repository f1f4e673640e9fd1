"""What the Dropout page shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelight.widgets.modes import Mode

Place = Literal["layer", "function", "fused"]


@dataclass(frozen=True)
class Rate:
    """Dropped of total, and the shares between which 95 % of chance lies (None where p is not known)."""

    dropped: int
    total: int
    band: tuple[float, float] | None
    runs: int

    @property
    def share(self) -> float | None:
        """Dropped / total."""
        return self.dropped / self.total if self.total else None


@dataclass(frozen=True)
class Survival:
    """How often each unit was kept, as a share, over ``draws`` draws each in ``runs`` runs."""

    kept: NDArray[np.float64]
    draws: int
    runs: int
    nominal: float | None
    band: tuple[float, float] | None


@dataclass(frozen=True)
class DropoutSite:
    """One call of something that drops."""

    path: str
    call: int
    """Number of the call within one forward; only said where there are several."""
    calls: int
    function: str
    place: Place
    source: str | None
    unit: str
    """``element``, ``channel``, ``sample`` or ``batch``."""
    p: float | None
    active: bool
    follows_flag: bool | None
    mode: Mode
    alpha: bool
    this_run: Rate | None
    """None: the mask was not seen, or it was off."""
    last_runs: Rate | None
    survival: Survival | None
    shape: tuple[int, ...]
    mask: NDArray[np.uint8] | None
    """Samples × units, 1 = dropped; perhaps a part of the whole (``shape``)."""
    already_zero: int | None
    inputs: int | None
    unseen: str = ""
    """Why there is no mask, as a sentence."""
    also: tuple[str, ...] = ()
    """The other paths of the same module."""


@dataclass(frozen=True)
class DropoutData:
    """Everything on the page. ``runs`` is how many runs *Last n runs* looks back on."""

    sites: tuple[DropoutSite, ...]
    runs: int
