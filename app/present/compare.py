"""From :class:`~modelight.protocol.Compared` to what the Compare page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelight.phrases import phrase
from modelight.present.same import ROUNDING
from modelight.protocol import Cell, Compared, Culprit, InputInfo
from modelight.widgets.compare_data import Agreement, CellData, CompareData, CulpritData, RowData, Subject

Floats = NDArray[np.float64]

MANY_COLUMNS = 16
"""Raw values per sample from which on their mean is shown."""


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
    values = [_values(cell) for cell in compared.cells]
    subject, column = _subject(compared, values)
    heights = [_heights(part, subject, column) for part in values]
    bounded = compared.measure != "raw"
    low, high = (0.0, 1.0) if bounded else _range(heights)
    names = tuple(info.classes or classes)
    mode = _mode_now(training)
    return CompareData(
        cells=tuple(
            _cell(cell, part, subject, column, now=cell.training is mode and cell.grad_mode == grad_mode)
            for cell, part in zip(compared.cells, heights, strict=True)
        ),
        rows=tuple(_row(compared, info, values, flag) for flag in (True, False)),
        subject=subject,
        column=column,
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


def _values(cell: Cell) -> Floats | None:
    return None if cell.values is None else cell.values.numpy().astype(np.float64)


def _width(values: Sequence[Floats | None]) -> int:
    return max((part.shape[1] for part in values if part is not None), default=0)


def _subject(compared: Compared, values: Sequence[Floats | None]) -> tuple[Subject, int]:
    """What the bars are, and of which column: the one that the mode moves most, else the one that is largest."""
    width = _width(values)
    if not width:
        return "none", 0
    if width == 1:
        return ("value" if compared.measure == "raw" else "probability"), 0
    if compared.measure == "raw" and width >= MANY_COLUMNS:
        return "mean", 0
    if width == 2 or compared.measure == "raw":
        return ("column" if compared.measure == "raw" else "class"), 0
    return "class", _telling_column(values, width)


def _telling_column(values: Sequence[Floats | None], width: int) -> int:
    known = [part for part in values if part is not None and part.shape == (len(part), width) and len(part)]
    known = [np.nan_to_num(part) for part in known if part.shape == known[0].shape]
    moves = np.ptp(np.stack(known), axis=0).mean(axis=0)
    if moves.max() > ROUNDING:
        return int(moves.argmax())
    return int(known[0].mean(axis=0).argmax())


def _heights(values: Floats | None, subject: Subject, column: int) -> Floats:
    if values is None:
        return np.empty(0)
    if subject == "mean":
        return np.asarray(values.mean(axis=1))
    return np.asarray(values[:, min(column, values.shape[1] - 1)])


def _range(heights: Sequence[Floats]) -> tuple[float, float]:
    values = np.concatenate([np.zeros(1), *heights])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (0.0, 1.0)


def _cell(cell: Cell, heights: Floats, subject: Subject, column: int, *, now: bool) -> CellData:
    deviations = np.full(len(heights), np.nan)
    if cell.deviations is not None and subject != "mean":
        deviations = _heights(cell.deviations.numpy().astype(np.float64), subject, column)
    return CellData(
        training=cell.training,
        grad_mode=cell.grad_mode,
        heights=heights,
        deviations=deviations,
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
    known = [(index, label) for index, label in enumerate(labels) if label is not None]
    if compared.measure == "raw" or not compared.per_sample or not known or len(labels) != len(values):
        return None
    answers = values.argmax(axis=1) if values.shape[1] > 1 else (values[:, 0] > 0.5).astype(int)
    finite = np.isfinite(values).all(axis=1)
    return sum(bool(finite[index]) and int(answers[index]) == label for index, label in known) / len(known)


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
    return _agree(compared.moved, values)


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
        return "differ"  # shapes differ, or so does what came out
    if distance == 0:
        return "elsewhere"
    return "rounding" if _rounding(distance, values) else "differ"


# ------------------------------------------------------------------------------------------------------------ culprits


def _culprits(compared: Compared, training: Mapping[int, bool | None]) -> tuple[CulpritData, ...]:
    # Flips from the present state tell nothing once the state is another.
    same = compared.mixed and all(training.get(one.row) == one.training for one in compared.culprits)
    return tuple(_culprit(one, training.get(one.row), same) for one in compared.culprits)


def _culprit(one: Culprit, now: bool | None, same: bool) -> CulpritData:
    return CulpritData(one.path, one.type, now, one.alone, one.against, one.flipped if same else None)
