"""From frames to what the Output page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelight.present.histograms import output_histogram
from modelight.present.history import RunHistory, mode_of
from modelight.present.reading import flat_width, read, readings
from modelight.present.same import same_rows
from modelight.protocol import Frame, InputInfo, OutputField, SameAnswer
from modelight.widgets.output_data import Bars, Choice, OutputData, Reading, View

Floats = NDArray[np.float64]

MANY_COLUMNS = 16
"""From here on a sample's largest values tell more than one value of every sample."""
TOP = 10


def output_data(
    history: RunHistory,
    info: InputInfo,
    choice: Choice | None = None,
    same: SameAnswer | None = None,
    classes: Sequence[str] = (),
) -> OutputData | None:
    """The page for the present runs; None where there is no run yet, or the model returned no tensor.

    ``classes`` are the model's names for its classes, for inputs that name none.
    """
    frame = history.newest
    if frame is None or not frame.outputs:
        return None
    choice = choice or Choice()
    field = next((one for one in frame.outputs if one.name == choice.field), frame.outputs[0])
    return _page(history, frame, field, info, choice, same, tuple(info.classes or classes))


def _page(
    history: RunHistory,
    frame: Frame,
    field: OutputField,
    info: InputInfo,
    choice: Choice,
    same: SameAnswer | None,
    names: tuple[str, ...],
) -> OutputData:
    """The page for one field."""
    runs = stacked(history.frames, field)
    before_mode, before_frames = history.before()
    before = stacked(before_frames, field)
    possible = readings(field, runs, info, names) if runs is not None else ("raw",)
    reading = choice.reading if choice.reading in possible else possible[0]
    view = _view(field, runs, reading, choice)
    width = runs.shape[-1] if runs is not None else 0
    shown = _read(runs, reading)
    picked = _decide(choice, field, reading, view, shown, width)
    return OutputData(
        mode=mode_of(frame),
        view=view,
        choice=picked,
        fields=tuple(one.name for one in frame.outputs),
        reading=reading,
        readings=possible,
        columns=width,
        class_names=names if len(names) == width else (),
        bars=_bars(view, picked, shown, _read(before, reading), frame, field, info, names),
        bounded=reading != "raw",
        runs=history.runs if runs is None else len(runs),
        batch=frame.batch,
        samples=tuple(info.captions),
        shape=field.shape,
        dtype=field.dtype if field.stats.count == 0 and 0 not in field.shape else "",
        before_mode=before_mode if before is not None else None,
        before_own_train=before is not None and history.is_beside_flags_alone,
        same=same_rows(view, picked, shown, field, info, same),
        histogram=output_histogram(field, runs, before, view, picked, frame.samples),
        ranked=() if shown is None or view == "mean" else _ranked(shown),
        accuracy=_accuracy(shown, reading, info) if view in ("column", "top") else None,
        not_finite=0 if runs is None else int(np.count_nonzero(~np.isfinite(runs))),
    )


def stacked(frames: Sequence[Frame], like: OutputField) -> Floats | None:
    """The values of the field named as ``like`` over all runs: runs × samples × width; None: none crossed."""
    parts = [
        field.values.numpy()
        for frame in frames
        for field in frame.outputs
        if field.name == like.name and field.values is not None and field.per_sample
    ]
    parts = [part for part in parts if part.shape[1:] == parts[-1].shape[1:]]
    return np.concatenate(parts).astype(np.float64) if parts else None


def _read(values: Floats | None, reading: Reading) -> Floats | None:
    return None if values is None else read(values, reading)


def _view(field: OutputField, runs: Floats | None, reading: Reading, choice: Choice) -> View:
    if runs is None:
        return "mean" if field.per_sample and field.sample_stats is not None else "none"
    width = flat_width(field)
    if width is None:
        return "mean"
    if choice.sample is not None and width > 1:
        return "top"
    if choice.column is not None or width < MANY_COLUMNS:
        return "column"
    return "mean" if reading == "raw" else "top"


def _decide(
    choice: Choice, field: OutputField, reading: Reading, view: View, shown: Floats | None, width: int
) -> Choice:
    decided = replace(choice, field=field.name, reading=reading)
    if view == "top" and shown is not None:
        sample = min(choice.sample or 0, shown.shape[1] - 1)
        best = int(np.argmax(np.nan_to_num(shown[:, sample].mean(axis=0), nan=-np.inf)))
        return replace(decided, sample=sample, column=best)
    column = min(choice.column or 0, width - 1) if view == "column" else None
    return replace(decided, sample=None, column=column)


def _bars(
    view: View,
    choice: Choice,
    shown: Floats | None,
    before: Floats | None,
    frame: Frame,
    field: OutputField,
    info: InputInfo,
    names: tuple[str, ...],
) -> Bars:
    if view == "top" and shown is not None and choice.sample is not None:
        return _top_bars(
            shown[:, choice.sample], None if before is None else before[:, choice.sample], choice, info, names
        )
    heights, spread = _heights(view, choice, shown, field)
    nothing = np.full(len(heights), np.nan)
    past = nothing
    if before is not None and view == "column" and before.shape[1] == len(heights):
        past = before[:, :, choice.column].mean(axis=0)
    elif before is not None and view == "mean" and before.shape[1] == len(heights):
        past = before.mean(axis=(0, 2))
    labels = _labels(info, choice, shown) if view == "column" and choice.reading != "raw" else nothing
    if len(heights) != frame.samples:
        return Bars(heights, spread, nothing, past, tuple(str(index) for index in range(len(heights))))
    thumbnails = None if info.thumbnails is None else info.thumbnails.numpy()
    return Bars(heights, spread, labels, past, tuple(info.captions), tuple(info.is_noise), thumbnails)


def _heights(view: View, choice: Choice, shown: Floats | None, field: OutputField) -> tuple[Floats, Floats]:
    if view == "column" and shown is not None:
        return mean_and_spread(shown[:, :, choice.column])
    if view == "mean" and shown is not None:
        flat = shown.transpose(1, 0, 2).reshape(shown.shape[1], -1)
        return flat.mean(axis=1), flat.std(axis=1)
    if view == "mean" and field.sample_stats is not None:
        last = field.sample_stats.numpy()[-1].astype(np.float64)
        return last[:, 0], last[:, 1]
    return np.empty(0), np.empty(0)


def _top_bars(shown: Floats, before: Floats | None, choice: Choice, info: InputInfo, names: tuple[str, ...]) -> Bars:
    means, spread = mean_and_spread(shown)
    order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")[:TOP]
    label = info.labels[choice.sample] if choice.sample is not None and choice.sample < len(info.labels) else None
    labels = np.full(len(order), np.nan)
    if label is not None and choice.reading != "raw":
        labels = np.where(order == label, 1.0, np.nan)
    past = np.full(len(order), np.nan) if before is None else before.mean(axis=0)[order]
    named = len(names) == shown.shape[-1]
    captions = tuple(names[index] if named else str(index) for index in order)
    return Bars(means[order], spread[order], labels, past, captions)


def mean_and_spread(runs: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation (n − 1) over the first axis; one run measures no spread, so NaN."""
    if len(runs) < 2:
        return runs.mean(axis=0), np.full(runs.shape[1:], np.nan)
    # Equal values have no spread; the rounding of a mean must not draw one.
    spread = np.where(np.ptp(runs, axis=0) == 0, 0.0, runs.std(axis=0, ddof=1))
    return runs.mean(axis=0), spread


def _labels(info: InputInfo, choice: Choice, shown: Floats | None) -> Floats:
    width = 0 if shown is None else shown.shape[-1]
    positive = 1 if width == 1 else choice.column
    return np.array([np.nan if label is None else float(label == positive) for label in info.labels])


def _ranked(shown: Floats) -> tuple[int, ...]:
    peaks = np.nan_to_num(shown.mean(axis=0).max(axis=0), nan=-np.inf)
    return tuple(int(index) for index in np.argsort(-peaks, kind="stable")[:TOP])


def _accuracy(shown: Floats | None, reading: Reading, info: InputInfo) -> tuple[int, int] | None:
    """Right and labelled samples, by the largest mean over the runs; for one probability, by 0.5."""
    known = [(index, label) for index, label in enumerate(info.labels) if label is not None]
    if shown is None or reading == "raw" or not known or len(info.labels) != shown.shape[1]:
        return None
    means = shown.mean(axis=0)
    answers = means.argmax(axis=1) if means.shape[1] > 1 else (means[:, 0] > 0.5).astype(int)
    finite = np.isfinite(means).all(axis=1)
    return sum(bool(finite[index]) and int(answers[index]) == label for index, label in known), len(known)
