"""What the re-estimation panel shows, as plain values. Arrays have one value per channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NormChange:
    """One layer's running statistics now, and as the inputs would have them."""

    path: str
    type: str
    mean_now: Floats
    mean_new: Floats
    var_now: Floats
    var_new: Floats
    drift_now: Floats | None
    """How far the layer's input in eval lies from its statistics, in running deviations."""
    drift_new: Floats | None
    kept: str = ""
    """Why it keeps its statistics, where it does."""

    @property
    def largest_now(self) -> float | None:
        """The largest finite drift with the present statistics."""
        return _largest(self.drift_now)

    @property
    def largest_new(self) -> float | None:
        """The largest finite drift with the new ones."""
        return _largest(self.drift_new)


@dataclass(frozen=True)
class ReEstimateData:
    """Everything in the panel."""

    norms: tuple[NormChange, ...]
    samples: int
    batch: int
    passes: int
    batches: int
    moved: float | None
    """How far the output in eval moves."""
    probabilities: bool
    """The outputs are class probabilities."""
    labelled: int
    right_now: int
    right_new: int
    notes: tuple[str, ...] = ()
    outdated: bool = False
    """The model or its input is no longer what the estimate is of."""

    @property
    def estimated(self) -> int:
        """How many layers get new statistics."""
        return sum(not one.kept for one in self.norms)


def _largest(drift: Floats | None) -> float | None:
    if drift is None or not np.isfinite(drift).any():
        return None
    return float(drift[np.isfinite(drift)].max())
