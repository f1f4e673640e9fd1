"""How outputs are read before they are compared, and the distance between two of them.

The reading follows the rule of the Output page (``modelight.present.reading``, which the engine cannot import); a test
holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelight.engine.experiments.answers import WIDTH, Floats, softmax
from modelight.protocol import InputInfo, Measure

_SUM_TOLERANCE = 2e-3
_DISTRIBUTIONS = ("softmax", "probabilities", "log_probabilities")


def choose(
    values: Floats,
    *,
    name: str,
    shape: Sequence[int],
    per_sample: bool,
    info: InputInfo | None,
    classes: Sequence[str] = (),
    floating: bool = True,
) -> Measure:
    """What ``values`` (… × width) of an output called ``name`` with the ``shape`` of one forward are.

    Class scores cannot be told from other numbers by looking: named classes, fitting labels, a field called logits, or
    a bare output that is not shaped as an input speak for them; truths and indices (not ``floating``) are none.
    """
    sizes = [size for size in shape[1:] if size != 1]
    if not floating or not per_sample or len(sizes) > 1 or (sizes and sizes[0] > WIDTH):
        return "raw"
    labels = [label for label in info.labels if label is not None] if info is not None else []
    names = (info.classes if info is not None else None) or classes
    width = values.shape[-1]
    if width == 1:
        return _single(values, labels, names)
    if _sums_to_one(values):
        return "probabilities"
    if _sums_to_one(np.exp(np.minimum(values, 1.0))) and values.max() <= _SUM_TOLERANCE:
        return "log_probabilities"
    scores = len(names) == width or _fit(labels, width) or "logit" in name.lower()
    if not scores and not name and info is not None:
        scores = all(tensor.shape[1:] != tuple(shape[1:]) for tensor in info.tensors)
    return "softmax" if scores else "raw"


def _single(values: Floats, labels: list[int], names: Sequence[str]) -> Measure:
    if len(names) != 2 and not _fit(labels, 2):
        return "raw"
    within = bool(values.size) and values.min() >= 0 and values.max() <= 1
    return "probabilities" if within else "sigmoid"


def _sums_to_one(values: Floats) -> bool:
    rows = values[np.isfinite(values).all(axis=-1)]
    return bool(rows.size) and rows.min() >= 0 and bool(np.all(np.abs(rows.sum(axis=-1) - 1) <= _SUM_TOLERANCE))


def _fit(labels: list[int], width: int) -> bool:
    return bool(labels) and all(0 <= label < width for label in labels)


def read(values: Floats, measure: Measure) -> Floats:
    """``values`` (… × width) as ``measure`` says; the last axis is the classes'."""
    if measure == "softmax":
        return softmax(values)
    if measure == "log_probabilities":
        powers: Floats = np.exp(values)
        return powers
    if measure == "sigmoid":
        return 0.5 * (1.0 + np.tanh(0.5 * values))
    return values


def overall(differences: Floats, measure: Measure) -> float:
    """One figure of absolute differences (or deviations), samples × width, in the units of ``Compared.moved``.

    For distributions over classes the total variation distance, ½ Σ |p − q|: a mean over a thousand classes would call
    a change from one class to another 0.002.
    """
    width = differences.shape[-1]
    scale = width / 2 if measure in _DISTRIBUTIONS and width > 1 else 1.0
    return float(differences.mean() * scale)


def apart(left: Floats, right: Floats, measure: Measure) -> float | None:
    """How far two outputs (samples × width) are apart; None where their shapes differ."""
    if left.shape != right.shape:
        return None
    # Equal infinities are no distance apart; their difference would be NaN.
    with np.errstate(invalid="ignore"):
        return overall(np.where(left == right, 0.0, np.abs(left - right)), measure)


@dataclass(frozen=True)
class Answer:
    """What several runs answered: samples × width, as read."""

    mean: Floats
    deviation: Floats
    """Standard deviation over the runs (n − 1)."""
    runs: int

    @staticmethod
    def of(values: Floats) -> Answer:
        """From runs × samples × width. Equal values keep theirs and have no deviation; rounding would give one."""
        equal = (values == values[0]).all(axis=0)
        deviation = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros_like(values[0])
        return Answer(np.where(equal, values[0], values.mean(axis=0)), np.where(equal, 0.0, deviation), len(values))


def moved(left: Answer | None, right: Answer | None, measure: Measure) -> tuple[float | None, float]:
    """How far two answers are apart (None: not comparable), and how far chance alone puts them: see ``Compared``."""
    distance = None if left is None or right is None else apart(left.mean, right.mean, measure)
    if distance is None or left is None or right is None:
        return None, 0.0
    variance = left.deviation**2 / left.runs + right.deviation**2 / right.runs
    return distance, overall(2.0 * np.sqrt(2.0 / np.pi * variance), measure)
