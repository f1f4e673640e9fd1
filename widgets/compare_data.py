"""What the Compare page shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["requires_grad", "plain", "inference"]
Agreement = Literal["exact", "rounding", "chance", "elsewhere", "differ", "shape", "raises", "unknown"]
"""``exact``: bit for bit; ``rounding``: as far as float32 sums explain; ``chance``: as far as repeats explain;
``elsewhere``: what is shown agrees, other outputs do not; ``shape``: the output has another shape; ``raises``: some run
and some raise; ``unknown``: nothing to compare."""
Subject = Literal["class", "probability", "column", "value", "none"]
"""What the bars are: the probability of one class; of the only one; one of several values; the only value."""


@dataclass(frozen=True)
class CellData:
    """One of the six ways to run a model."""

    training: bool
    grad_mode: str
    heights: Floats
    """One per sample; empty where the model raised."""
    deviations: Floats
    """± 1 s.d. over the runs; NaN where no spread was measured."""
    spread: float | None = None
    exact: bool = False
    """All runs gave the same, bit for bit."""
    milliseconds: float | None = None
    watched: bool = False
    """The time is an upper bound."""
    kept_bytes: int = 0
    output: Kind = "plain"
    problem: str = ""
    """The sentence that says how it raised."""
    now: bool = False
    """The model is in this state."""


@dataclass(frozen=True)
class RowData:
    """What is the same in all cells of one mode; ranges where it is not."""

    training: bool
    right: tuple[float, float] | None = None
    """Least and largest share of labelled samples that are right; None without labels or classes."""
    would_move: int = 0
    """Buffers that the runs would have changed."""


@dataclass(frozen=True)
class Move:
    """How far the output moves."""

    by: float | None
    """None: the model raised, or its output had another shape."""
    chance: bool = False
    """No further than repeats explain."""

    @property
    def known(self) -> bool:
        """Whether it is a number."""
        return self.by is not None and self.by == self.by

    @property
    def size(self) -> float:
        """For sorting and drawing: 0 where it is not known."""
        return self.by if self.by is not None and self.by == self.by else 0.0


@dataclass(frozen=True)
class CulpritData:
    """One module flipped by itself."""

    path: str
    type: str
    training: bool | None
    """Its flag now."""
    alone: Move
    """Alone to eval, the rest in train."""
    against: Move
    """Alone to train, the rest in eval."""
    flipped: Move | None = None
    """Alone, from the present state, where that is mixed."""

    @property
    def moves(self) -> tuple[Move, ...]:
        """In the order in which they are drawn."""
        return (self.alone, self.against) if self.flipped is None else (self.alone, self.against, self.flipped)

    @property
    def largest(self) -> float:
        """The larger of ``alone`` and ``against``."""
        return max(self.alone.size, self.against.size)

    @property
    def by_chance(self) -> bool:
        """Nothing that it moves is beyond what repeats explain."""
        return all(move.chance or not move.size for move in (self.alone, self.against))


@dataclass(frozen=True)
class CompareData:
    """Everything on the page."""

    cells: tuple[CellData, ...]
    """Train, then eval; grad on, no_grad, inference_mode each."""
    rows: tuple[RowData, ...]
    """Train, eval."""
    subject: Subject
    column: int
    """Which class, or which value of the flattened output: of many, the one that the mode moves most."""
    column_name: str
    """Of the class, where classes have names."""
    bounded: bool
    """The values are probabilities."""
    low: float
    high: float
    """The range that all pictures share; holds 0."""
    samples: int
    of_samples: int
    """How many the input has."""
    per_sample: bool
    batch: int
    seed: int
    runs: int
    rows_agree: Agreement
    moved: float | None
    columns_agree: Agreement
    columns_apart: float | None
    culprits: tuple[CulpritData, ...] = ()
    everything: float | None = None
    culprit_runs: int = 0
    culprit_mode: str = "no_grad"
    mixed_now: bool = False
    outdated: bool = False
    """The model or what it is given is no longer what was measured."""

    @property
    def has_flipped(self) -> bool:
        """Whether flips from the present state are known."""
        return any(one.flipped is not None for one in self.culprits)
