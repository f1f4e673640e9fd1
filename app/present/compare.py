"""From :class:`~modelight.protocol.Compared` to what the Compare page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelight.phrases import phrase
from modelight.present.same import ROUNDING
from modelight.protocol import Array, Cell, Compared, Culprit, InputInfo
from modelight.widgets.compare_data import Agreement, CellData, CompareData, CulpritData, Move, RowData, Subject

Floats = NDArray[np.float64]

FEW = 8
"""Up to so many classes, probabilities stand on an axis from 0 to 1; of more, each is small."""
KEPT = 1024
"""Values per sample that the engine keeps of a wider output."""


def compare_data(
    compared: Compared | None,
    info: InputInfo,
    training: Mapping[int, bool | None],
    grad_mode: str,
    *,
    classes: Sequence[str] = (),
    outdated: bool = False,
) -> CompareData | None:
    """The page; None before the first comparison.

    Args:
        training: each row's flag now.
        grad_mode: the one now.
        classes: the model's names for its classes, for inputs that name none.
        outdated: parameters, buffers, input, batch or seed are no longer those of the comparison. (Flags and grad mode
            may change freely: the comparison holds for all of them.)
    """
    if compared is None:
        return None
    values = [_packed(cell.values) for cell in compared.cells]
    subject, column = _subject(compared, values)
    heights = [_column(part, column) for part in values]
    deviations = [_column(_packed(cell.deviations), column) for cell in compared.cells]
    bounded = compared.measure != "raw"
    low, high = (0.0, 1.0) if bounded and _width(values) <= FEW else _range(heights, deviations)
    names = tuple(info.classes or classes)
    mode = _mode_now(training)
    return CompareData(
        cells=tuple(
            _cell(cell, mean, spread, now=cell.training is mode and cell.grad_mode == grad_mode)
            for cell, mean, spread in zip(compared.cells, heights, deviations, strict=True)
        ),
        rows=tuple(_row(compared, info, values, flag) for flag in (True, False)),
        subject=subject,
        column=column * _step(compared),
        column_name=names[column] if subject == "class" and len(names) == _width(values) else "",
        bounded=bounded,
        low=low,
        high=high,
        samples=compared.samples,
        of_samples=max(info.samples, compared.samples),
        per_sample=compared.per_sample,
        batch=compared.batch,
        seed=compared.seed,
        runs=compared.runs,
        rows_agree=_rows_agree(compared, values),
        moved=compared.moved,
        columns_agree=_columns_agree(compared, values),
        columns_apart=compared.columns_apart,
        culprits=_culprits(compared, training),
        everything=compared.everything,
        culprit_runs=compared.culprit_runs,
        culprit_mode=compared.grad_mode,
        mixed_now=mode is None and any(flag is not None for flag in training.values()),
        outdated=outdated,
    )


def _mode_now(training: Mapping[int, bool | None]) -> bool | None:
    """Train or eval; None for a mixed state."""
    flags = {flag for flag in training.values() if flag is not None}
    return flags.pop() if len(flags) == 1 else None


# -------------------------------------------------------------------------------------------------------- the pictures


def _packed(array: Array | None) -> Floats | None:
    return None if array is None else array.numpy().astype(np.float64)


def _width(values: Sequence[Floats | None]) -> int:
    return max((part.shape[1] for part in values if part is not None), default=0)


def _step(compared: Compared) -> int:
    """How far apart the values lie that were kept of a wide output (see :attr:`protocol.Cell.values`)."""
    dims = compared.shape[1:] if compared.per_sample else compared.shape
    return max(1, -(-math.prod(dims) // KEPT))


def _subject(compared: Compared, values: Sequence[Floats | None]) -> tuple[Subject, int]:
    """What the bars are, and of which column."""
    width = _width(values)
    if not width:
        return "none", 0
    if width == 1:
        return ("value" if compared.measure == "raw" else "probability"), 0
    column = 0 if width == 2 else _telling_column(values, width)
    return ("column" if compared.measure == "raw" else "class"), column


def _telling_column(values: Sequence[Floats | None], width: int) -> int:
    """The one that the mode moves most; where it moves none, the largest."""
    known = [np.nan_to_num(part) for part in values if part is not None and part.shape[1] == width]
    known = [part for part in known if part.shape == known[0].shape]
    moves = np.ptp(np.stack(known), axis=0).mean(axis=0)
    if moves.max() > ROUNDING * max(1e-30, float(np.abs(known).max())):
        return int(moves.argmax())
    return int(known[0].mean(axis=0).argmax())


def _column(values: Floats | None, column: int) -> Floats:
    return np.empty(0) if values is None else np.asarray(values[:, min(column, values.shape[1] - 1)])


def _range(heights: Sequence[Floats], deviations: Sequence[Floats]) -> tuple[float, float]:
    """Holds 0, every bar and every whisker."""
    ends = [np.zeros(1), *heights]
    for mean, spread in zip(heights, deviations, strict=True):
        if len(mean) == len(spread):
            ends += [mean - spread, mean + spread]
    values = np.concatenate(ends)
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (0.0, 1.0)


def _cell(cell: Cell, heights: Floats, deviations: Floats, *, now: bool) -> CellData:
    return CellData(
        training=cell.training,
        grad_mode=cell.grad_mode,
        heights=heights,
        deviations=deviations if len(deviations) == len(heights) else np.full(len(heights), np.nan),
        spread=cell.spread,
        exact=cell.exact,
        milliseconds=cell.milliseconds,
        watched=cell.watched,
        kept_bytes=cell.kept_bytes,
        output=cell.output,
        problem="" if cell.problem is None else phrase(cell.problem),
        now=now,
    )


# ------------------------------------------------------------------------------------------------------------ the rows


def _row(compared: Compared, info: InputInfo, values: Sequence[Floats | None], training: bool) -> RowData:
    pairs = zip(compared.cells, values, strict=True)
    mine = [(cell, part) for cell, part in pairs if cell.training == training]
    shares = [_right(compared, part, info) for _, part in mine if part is not None]
    known = [share for share in shares if share is not None]
    return RowData(
        training=training,
        right=(min(known), max(known)) if known else None,
        would_move=max((cell.would_move for cell, _ in mine), default=0),
    )


def _right(compared: Compared, values: Floats, info: InputInfo) -> float | None:
    """Share of the labelled samples that are right, by the largest mean; for one probability, by 0.5."""
    labels = info.labels[: compared.samples]
    known = [index for index, label in enumerate(labels) if label is not None]
    if compared.measure == "raw" or not compared.per_sample or not known or len(labels) != len(values):
        return None
    answers = values.argmax(axis=1) if values.shape[1] > 1 else np.where(values[:, 0] > 0.5, 1, 0)
    finite = np.asarray(np.isfinite(values).all(axis=1))
    return sum(bool(finite[index]) and int(answers[index]) == labels[index] for index in known) / len(known)


# ----------------------------------------------------------------------------------------------------------- agreement


def _rounding(distance: float, values: Sequence[Floats | None]) -> bool:
    largest = max((float(np.nanmax(np.abs(part), initial=0.0)) for part in values if part is not None), default=0.0)
    return distance <= ROUNDING * max(1e-30, largest)


def _raised(compared: Compared, training: bool) -> list[bool]:
    return [cell.problem is not None for cell in compared.cells if cell.training == training]


def _rows_agree(compared: Compared, values: Sequence[Floats | None]) -> Agreement:
    train, evaluated = _raised(compared, True), _raised(compared, False)
    if all(train) and all(evaluated):
        return "unknown"
    if train != evaluated:
        return "raises"
    if compared.rows_exact:
        return "exact"
    found = _agree(compared.moved, values)
    if found == "differ" and compared.moved is not None and compared.moved <= compared.moved_chance:
        return "chance"
    return found


def _columns_agree(compared: Compared, values: Sequence[Floats | None]) -> Agreement:
    raised = [_raised(compared, training) for training in (True, False)]
    if any(any(row) and not all(row) for row in raised):
        return "raises"
    if all(all(row) for row in raised):
        return "unknown"
    if compared.columns_exact:
        return "exact"
    return _agree(compared.columns_apart, values)


def _agree(distance: float | None, values: Sequence[Floats | None]) -> Agreement:
    if distance is None:
        return "shape"
    if distance == 0:
        return "elsewhere"
    return "rounding" if _rounding(distance, values) else "differ"


# ------------------------------------------------------------------------------------------------------------ culprits


def _culprits(compared: Compared, training: Mapping[int, bool | None]) -> tuple[CulpritData, ...]:
    # Flips from the present state tell nothing once the state is another.
    same = compared.mixed and all(training.get(one.row) == one.training for one in compared.culprits)
    return tuple(_culprit(one, training.get(one.row), same) for one in compared.culprits)


def _culprit(one: Culprit, now: bool | None, same: bool) -> CulpritData:
    return CulpritData(
        one.path,
        one.type,
        now,
        _move(one.alone, one.alone_chance),
        _move(one.against, one.against_chance),
        _move(one.flipped, one.flipped_chance) if same else None,
    )


def _move(by: float | None, chance: float) -> Move:
    return Move(by, chance=by is not None and 0 < by <= chance)
