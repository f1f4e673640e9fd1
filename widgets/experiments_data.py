"""What the Experiments page shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Effect = Literal["same", "rounding", "chance", "differs", "raises", "alone-raises"]
"""What company does to an answer: nothing; no more than float sums explain; no more than repeats explain; it moves it;
the model raises whatever the batch size; it raises with all but one of them."""


@dataclass(frozen=True)
class Subject:
    """What a plotted figure is: one class's probability, the only probability, one of several values, the only one."""

    kind: Literal["class", "probability", "column", "value"]
    column: int = 0
    name: str = ""
    """Of the class, where classes have names."""

    @property
    def bounded(self) -> bool:
        """Whether it is a probability."""
        return self.kind in ("class", "probability")


# --------------------------------------------------------------------------------------------------------- batch-mates


@dataclass(frozen=True)
class CompanyLayer:
    """What company does to the first sample at one module."""

    path: str
    type: str
    apart: float | None
    """Relative distance; None where it has no row of the sample's own."""
    mixes: bool
    """It lets samples talk: seen, or known from what it normalises with."""
    leading: bool = False
    """The first that got the same and gave something else."""
    rounding: bool = False


@dataclass(frozen=True)
class CompanyCurve:
    """One mode: the answer of the first sample, and how many are right, over the batch sizes."""

    training: bool
    means: Floats
    """Samples shown × sizes; NaN where the model raised."""
    deviations: Floats
    """Of the first sample, ± 1 s.d. over the runs; NaN where none was measured."""
    right: Floats
    """Share of the labelled samples that are right, mean over the runs; empty without labels."""
    right_deviations: Floats
    effect: Effect
    least: int
    """Batch size that counts as alone: 1, unless the model raises there."""
    most: int
    """The batch size that moves the answer furthest from that."""
    before: float
    after: float
    """The first sample's figure with ``least`` and with ``most``."""
    problems: tuple[str, ...] = ()
    """Distinct sentences of the sizes at which the model raised."""
    first: str | None = None
    mixing: tuple[str, ...] = ()
    layers: tuple[CompanyLayer, ...] = ()
    hidden: int = 0
    """Layers that are not listed: they only pass on what others mixed."""
    unseen: str = ""


@dataclass(frozen=True)
class CompanyData:
    """The section *Batch-mates*."""

    sizes: tuple[int, ...]
    samples: int
    runs: int
    seed: int
    subject: Subject
    low: float
    high: float
    """Range of the plot."""
    labelled: int
    curves: tuple[CompanyCurve, ...]
    """Train, eval; none where ``unseen`` says why."""
    unseen: str = ""
    outdated: bool = False


# ------------------------------------------------------------------------------------------------------- repeatability


@dataclass(frozen=True)
class RepeatRow:
    """Answers to one question: with the same seed, with others, with one generator seeded otherwise."""

    question: str
    """``same``, ``other`` or the generator's name."""
    values: Floats
    count: int
    owned: bool = False
    drew: bool = True
    differs: bool | None = False
    """None: it cannot be told."""
    apart: float = 0.0
    first: str | None = None
    """The first module that parts."""
    type: str = ""


@dataclass(frozen=True)
class RepeatData:
    """The section *Repeatability*."""

    rows: tuple[RepeatRow, ...]
    """``same``, ``other``, then one per generator."""
    subject: Subject
    mode: Literal["train", "eval", "mixed"]
    """Of the model when it ran."""
    samples: int
    runs: int
    seed: int
    outdated: bool = False

    @property
    def sources(self) -> tuple[RepeatRow, ...]:
        """One per generator."""
        return self.rows[2:]


# --------------------------------------------------------------------------------------------------------- MC dropout


@dataclass(frozen=True)
class DropoutRow:
    """One dropout, alone on."""

    path: str
    type: str
    p: float | None
    spread: float | None
    share: float | None
    """Of the variance with all on."""
    verdict: Literal["adds", "rate-zero", "not-called", "draws-nothing", "no-effect", "raises"]


@dataclass(frozen=True)
class McData:
    """The section *MC dropout*."""

    mean: Floats
    """samples × width"""
    deviation: Floats
    evaluated: Floats | None
    subject: Subject
    """What is shown first; its column can be chosen."""
    names: tuple[str, ...]
    """Of the columns, where they have names."""
    step: int
    """Columns are this far apart in the output."""
    captions: tuple[str, ...]
    entropy: Floats
    """Per sample, nats; empty where the answers are no class probabilities."""
    expected_entropy: Floats
    spread: float
    exact: bool
    nothing_on: float
    """Spread with every dropout off."""
    passes: int
    site_passes: int
    batch: int
    seed: int
    dropouts: tuple[DropoutRow, ...]
    outdated: bool = False
