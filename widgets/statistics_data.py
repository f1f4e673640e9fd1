"""What the Statistics page shows, as plain values. Arrays have one value per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelight.widgets.modes import Mode

Floats = NDArray[np.float64]
Uses = Literal["batch", "running", "instance"]


@dataclass(frozen=True)
class NormCard:
    """One normalisation layer in the overview."""

    path: str
    channels: int
    mode: Mode
    drift: Floats | None
    """In running deviations; NaN where the running variance is 0; None where there is nothing to compare."""
    words: str = ""
    """Why there is no drift, as a sentence."""
    bad: int = 0
    """Channels whose running statistics are NaN, infinite, or of a variance that is not positive."""

    @property
    def largest(self) -> float | None:
        """The largest finite drift."""
        if self.drift is None or not np.isfinite(self.drift).any():
            return None
        return float(np.nanmax(np.where(np.isfinite(self.drift), self.drift, np.nan)))


@dataclass(frozen=True)
class Three:
    """The same statistic three times: of this batch, in the buffers now, in the checkpoint."""

    batch: Floats | None
    running: Floats | None
    checkpoint: Floats | None


@dataclass(frozen=True)
class Seen:
    """``num_batches_tracked``: in the buffers and in the checkpoint."""

    now: int | None
    checkpoint: int | None


@dataclass(frozen=True)
class NormDetail:
    """The selected layer."""

    path: str
    type: str
    channels: int
    uses: Uses
    updates: bool
    momentum: float | None
    forwards: int
    batch_count: int
    """Values per channel in one forward."""
    mean: Three
    variance: Three
    """The batch's with n − 1, as the update takes it, where it has more than one value per channel."""
    drift: Floats | None
    checkpoint_drift: Floats | None
    """The same batch against the checkpoint's statistics."""
    preview_largest: Floats | None
    preview_median: Floats | None
    seen: Seen
    mode: Mode = "eval"
    words: str = ""


@dataclass(frozen=True)
class StatisticsData:
    """Everything on the page."""

    cards: tuple[NormCard, ...]
    selected: NormDetail | None
    keep_updates: bool
    moved: bool
    """Whether the buffers differ from the checkpoint, so that restoring it would do something."""
    loaded: bool = True
    """False: the model was opened without a checkpoint, and what stands for it is what the model was built with."""
