"""From frames to what the Dropout page shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from modelight.phrases import phrase
from modelight.present.chance import binomial_band
from modelight.present.history import RunHistory, mode_of
from modelight.protocol import DropoutCapture, Frame, Row
from modelight.widgets.dropout_data import DropoutData, DropoutSite, Place, Rate, Survival
from modelight.widgets.modes import Mode

_LAYERS = ("dropout", "drop_path")
"""Kinds of the catalogue that drop by themselves; a "functional_dropout" is a module that calls a function."""

_Key = tuple[int, str, str, int, str | None]


def dropout_data(
    history: RunHistory, rows: Sequence[Row], training: Mapping[int, bool | None] | None = None
) -> DropoutData | None:
    """The page for the present runs; None before the first. ``training`` is each row's flag."""
    frame = history.newest
    if frame is None:
        return None
    sites = tuple(
        _site(one, frame, history.frames, rows, training or {}, place)
        for one, place in zip(frame.dropouts, _numbered(frame.dropouts, rows), strict=True)
    )
    return DropoutData((*sites, *_silent(frame, rows, training or {})), history.runs)


def _numbered(dropouts: Sequence[DropoutCapture], rows: Sequence[Row]) -> list[tuple[int, int]]:
    """(number from 0, of how many) of each call: of a layer wherever it is called, of a function on its line."""

    def who(one: DropoutCapture) -> tuple[int, str, str | None]:
        return one.row, one.function, None if _place(one, rows) == "layer" else one.source

    many, met = Counter(map(who, dropouts)), Counter[tuple[int, str, str | None]]()
    numbers = []
    for one in dropouts:
        numbers.append((met[who(one)], many[who(one)]))
        met[who(one)] += 1
    return numbers


def _silent(frame: Frame, rows: Sequence[Row], training: Mapping[int, bool | None]) -> Iterator[DropoutSite]:
    """Dropout layers that the last run did not call, or not where it could be heard."""
    for module in frame.modules:
        row = rows[module.row] if module.row < len(rows) else None
        if row is None or row.kind not in _LAYERS or module.calls or module.unseen is None:
            continue
        yield DropoutSite(
            path=row.path,
            call=0,
            calls=1,
            function=row.type,
            place="layer",
            source=None,
            unit="",
            p=None,
            active=False,
            follows_flag=None,
            mode=_flag_of(module.row, frame, training),
            alpha=False,
            this_run=None,
            last_runs=None,
            survival=None,
            shape=(),
            mask=None,
            already_zero=None,
            inputs=None,
            unseen=phrase(module.unseen),
            also=tuple(row.also_at),
        )


def _key(one: DropoutCapture) -> _Key:
    return one.row, one.path, one.function, one.call, one.source


def _site(
    one: DropoutCapture,
    frame: Frame,
    frames: Sequence[Frame],
    rows: Sequence[Row],
    training: Mapping[int, bool | None],
    number: tuple[int, int],
) -> DropoutSite:
    seen = one.active and one.unseen is None and one.total > 0
    past = [same for old in frames for same in old.dropouts if _key(same) == _key(one) and same.p == one.p]
    return DropoutSite(
        path=one.path,
        call=number[0],
        calls=number[1],
        function=one.function,
        place=_place(one, rows),
        source=one.source,
        unit=one.unit,
        p=one.p,
        active=one.active,
        follows_flag=one.follows_flag,
        mode=_flag_of(one.row, frame, training),
        alpha=one.alpha,
        this_run=_rate(one.dropped, one.total, one.p, 1) if seen else None,
        last_runs=_last_runs(past, frames, one) if seen else None,
        survival=_survival(past, frames, one) if seen else None,
        shape=one.shape,
        mask=one.mask.numpy() if seen and one.mask is not None else None,
        already_zero=one.already_zero,
        inputs=one.inputs,
        unseen=phrase(one.unseen) if one.unseen is not None else "",
        also=tuple(rows[one.row].also_at) if 0 <= one.row < len(rows) else (),
    )


def _place(one: DropoutCapture, rows: Sequence[Row]) -> Place:
    if one.unseen is not None and one.unseen.id == "fused-kernel":
        return "fused"
    if 0 <= one.row < len(rows) and (rows[one.row].type == one.function or rows[one.row].kind in _LAYERS):
        return "layer"
    return "function"


def _flag_of(row: int, frame: Frame, training: Mapping[int, bool | None]) -> Mode:
    """The flag of the module that drew; a forced run's own mode; else what the run was in."""
    if frame.force is not None:
        return "train" if frame.force else "eval"
    flag = training.get(row)
    if flag is not None:
        return "train" if flag else "eval"
    return mode_of(frame)


def _rate(dropped: int, total: int, p: float | None, runs: int) -> Rate:
    return Rate(dropped, total, None if p is None else binomial_band(total, p), runs)


def _counted(past: Sequence[DropoutCapture], like: DropoutCapture) -> list[DropoutCapture]:
    """Those that count the same units as ``like``."""
    if like.unit_dropped is None:
        return []
    return [one for one in past if one.unit_dropped is not None and one.unit_dropped.shape == like.unit_dropped.shape]


def _runs(counted: Sequence[DropoutCapture], frames: Sequence[Frame]) -> int:
    held = {id(one) for one in counted}
    return sum(frame.repeats for frame in frames if any(id(one) in held for one in frame.dropouts))


def _last_runs(past: Sequence[DropoutCapture], frames: Sequence[Frame], like: DropoutCapture) -> Rate | None:
    counted = _counted(past, like)
    if not counted:
        return None
    dropped = sum(int(one.unit_dropped.numpy().sum()) for one in counted if one.unit_dropped is not None)
    total = sum(one.unit_total * one.unit_dropped.numpy().size for one in counted if one.unit_dropped is not None)
    return _rate(dropped, total, like.p, _runs(counted, frames))


def _survival(past: Sequence[DropoutCapture], frames: Sequence[Frame], like: DropoutCapture) -> Survival | None:
    counted = _counted(past, like)
    draws = sum(one.unit_total for one in counted)
    if not counted or not draws:
        return None
    dropped = np.sum([one.unit_dropped.numpy() for one in counted if one.unit_dropped is not None], axis=0)
    keep = None if like.p is None else 1.0 - like.p
    band = None if keep is None else binomial_band(draws, keep)
    return Survival(1.0 - dropped.reshape(-1) / draws, draws, _runs(counted, frames), keep, band)
