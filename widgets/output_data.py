"""What the Output page shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelight.widgets.modes import Mode

Floats = NDArray[np.float64]
Reading = Literal["softmax", "probabilities", "log_probabilities", "sigmoid", "raw"]
View = Literal["column", "top", "mean", "none"]
"""``column``: one value of every sample; ``top``: the largest values of one sample; ``mean``: mean ± deviation over all
values of each sample; ``none``: the output has no samples, or its values did not cross."""
Verdict = Literal["exact", "rounding", "noise", "differs", "moves", "hardly", "nan", "none"]


@dataclass(frozen=True)
class Choice:
    """What the person chose to see; None: whatever suits."""

    field: str | None = None
    reading: Reading | None = None
    column: int | None = None
    sample: int | None = None
    """Set: show this sample's largest values."""


@dataclass(frozen=True)
class Bars:
    """One bar per sample (or per class, in the ``top`` view). NaN: not there."""

    heights: Floats
    spread: Floats
    """± 1 s.d.: over runs, or over a sample's values in the ``mean`` view; NaN where no spread was measured."""
    labels: Floats
    """The true value: 1 or 0 for a labelled class."""
    before: Floats
    captions: tuple[str, ...]
    noise: tuple[bool, ...] = ()
    thumbnails: NDArray[np.uint8] | None = None
    """samples × height × width (× 3)."""


@dataclass(frozen=True)
class Series:
    """One outline of the histogram. ``name`` "" stands for all values, "*" for every other class."""

    name: str
    counts: Floats
    before: Floats | None = None


@dataclass(frozen=True)
class Histogram:
    """Counts of raw values in common bins."""

    edges: Floats
    series: tuple[Series, ...]
    width: int
    inputs: int
    """0: the values do not belong to inputs one by one; ``width`` is then their number."""
    runs: int
    rug: tuple[Floats, ...] = ()
    """Every value of each series, where they are few."""
    sampled: tuple[int, int] | None = None
    """(values counted, all values) where not all were counted."""


Question = Literal["again", "company", "another"]


@dataclass(frozen=True)
class SameRow:
    """One of the three questions: where each answer lies, and the verdict with its figures."""

    question: Question
    values: Floats
    verdict: Verdict
    low: float = float("nan")
    high: float = float("nan")
    count: int = 0
    others: int = 0
    """Mates in the batch, or how many of the inputs are noise."""
    each: bool = False
    """``high − low`` is how far any single value moved, where ``values`` are means of many."""


@dataclass(frozen=True)
class OutputData:
    """Everything on the page."""

    mode: Mode
    view: View
    choice: Choice
    """What is shown, complete: every None decided."""
    fields: tuple[str, ...]
    reading: Reading
    readings: tuple[Reading, ...]
    """What the numbers can be read as; the first is what suits."""
    columns: int
    """Values (classes) per sample."""
    class_names: tuple[str, ...]
    bars: Bars
    bounded: bool
    """The values are probabilities, from 0 to 1."""
    runs: int
    batch: int
    samples: tuple[str, ...]
    """A caption for every sample, to choose from."""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    """Named where the values cannot be drawn because of it."""
    before_mode: Mode | None = None
    before_own_train: bool = False
    """*Before* is the same mode by the flags alone, before a class's own ``train()`` was called."""
    same: tuple[SameRow, ...] = ()
    histogram: Histogram | None = None
    ranked: tuple[int, ...] = field(default=())
    """Columns by how large they get in any sample, for the menu."""
    accuracy: tuple[int, int] | None = None
    """(right, labelled) samples, by the mean over the runs; None without labels or class scores."""
    not_finite: int = 0
    """How many of the field's values, in the runs shown, are NaN or infinite."""
