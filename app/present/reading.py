"""How the numbers of an output field are read: as class scores, as probabilities, or as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelight.protocol import InputInfo, OutputField
from modelight.widgets.output_data import Reading

Floats = NDArray[np.float64]

_SUM_TOLERANCE = 2e-3
"""How far a row of probabilities may be from 1: half precision and a thousand classes stay within it."""


def flat_width(field: OutputField) -> int | None:
    """Values per sample where a sample's output is one number or one row of numbers; None for anything larger."""
    if not field.per_sample or field.values is None:
        return None
    dims = [size for size in field.shape[1:] if size != 1]
    if len(dims) > 1:
        return None
    return dims[0] if dims else 1


def readings(field: OutputField, values: Floats, info: InputInfo, classes: tuple[str, ...]) -> tuple[Reading, ...]:
    """What ``values`` (… × width) can be read as, the most likely first.

    Class scores cannot be told from other numbers by looking: named classes, labels, a field called logits, or a bare
    output that is not shaped as the input speak for them. The page says which reading it shows, and lets it be changed.
    """
    width = flat_width(field)
    if width is None or field.dtype.startswith(("bool", "int", "uint")):
        return ("raw",)  # truths and indices are no scores
    if width == 1:
        return _single(values, info, classes)
    if _sums_to_one(values):
        return ("probabilities", "raw")
    if _sums_to_one(np.exp(np.minimum(values, 1.0))) and values.max() <= _SUM_TOLERANCE:
        return ("log_probabilities", "raw")
    scores = len(classes) == width or _labels_fit(info, width) or "logit" in field.name.lower()
    if not scores and not field.name:
        scores = all(tensor.shape[1:] != field.shape[1:] for tensor in info.tensors)
    return ("softmax", "sigmoid", "raw") if scores else ("raw", "softmax", "sigmoid")


def read(values: Floats, reading: Reading) -> Floats:
    """``values`` (… × width) under a reading; the last axis is the classes'."""
    if reading == "softmax":
        shifted = np.exp(values - values.max(axis=-1, keepdims=True))
        shares: Floats = shifted / shifted.sum(axis=-1, keepdims=True)
        return shares
    if reading == "log_probabilities":
        return np.exp(values)
    if reading == "sigmoid":
        return 0.5 * (1.0 + np.tanh(0.5 * values))
    return values


def _single(values: Floats, info: InputInfo, classes: tuple[str, ...]) -> tuple[Reading, ...]:
    binary = len(classes) == 2 or (_labels_fit(info, 2) and any(label is not None for label in info.labels))
    within = bool(values.size) and values.min() >= 0 and values.max() <= 1
    if binary:
        return ("probabilities", "raw") if within else ("sigmoid", "raw")
    return ("raw", "probabilities", "sigmoid") if within else ("raw", "sigmoid")


def _sums_to_one(values: Floats) -> bool:
    rows = values[np.isfinite(values).all(axis=-1)]
    return bool(rows.size) and rows.min() >= 0 and bool(np.all(np.abs(rows.sum(axis=-1) - 1) <= _SUM_TOLERANCE))


def _labels_fit(info: InputInfo, width: int) -> bool:
    known = [label for label in info.labels if label is not None]
    return bool(known) and all(0 <= label < width for label in known)
