"""From the newest frame to what the Statistics page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from modelight.phrases import phrase
from modelight.present.history import RunHistory, mode_of
from modelight.protocol import Array, Frame, NormCapture
from modelight.widgets.modes import Mode
from modelight.widgets.statistics_data import Floats, NormCard, NormDetail, Seen, StatisticsData, Three, Uses


def statistics_data(
    history: RunHistory,
    selected: str | None,
    keep_updates: bool,
    training: Mapping[int, bool | None] | None = None,
    *,
    loaded: bool = True,
) -> StatisticsData | None:
    """The page for the newest run; None before the first, or where the model has no such layer.

    ``selected`` is a module's path: the layer there or first below it is shown whole, else what drifts most.
    ``loaded``: the model was opened with a checkpoint.
    """
    frame = history.newest
    if frame is None or not frame.norms:
        return None
    flags = training or {}
    cards = tuple(_card(norm, frame, flags) for norm in frame.norms)
    index = _selected(frame.norms, cards, selected)
    return StatisticsData(
        cards=cards,
        selected=_detail(frame.norms[index], cards[index]),
        keep_updates=keep_updates,
        moved=any(_moved(norm) for norm in frame.norms),
        loaded=loaded,
    )


def _floats(array: Array | None) -> Floats | None:
    return None if array is None else array.numpy().astype(np.float64)


def _selected(norms: list[NormCapture], cards: tuple[NormCard, ...], path: str | None) -> int:
    if path:
        for index, norm in enumerate(norms):
            if norm.path == path or norm.path.startswith(f"{path}."):
                return index
    return max(range(len(cards)), key=lambda index: (cards[index].largest or 0.0, -index))


def _card(norm: NormCapture, frame: Frame, training: Mapping[int, bool | None]) -> NormCard:
    return NormCard(
        path=norm.path,
        channels=norm.channels,
        mode=_mode(norm, frame, training),
        drift=_floats(norm.drift),
        words=phrase(norm.unseen) if norm.unseen is not None else "",
        bad=_bad(norm),
    )


def _mode(norm: NormCapture, frame: Frame, training: Mapping[int, bool | None]) -> Mode:
    if frame.force is not None:
        return "train" if frame.force else "eval"
    flag = training.get(norm.row)
    return mode_of(frame) if flag is None else "train" if flag else "eval"


def _bad(norm: NormCapture) -> int:
    mean, variance = _floats(norm.running_mean), _floats(norm.running_var)
    if mean is None or variance is None:
        return 0
    return int(np.count_nonzero(~np.isfinite(mean) | ~np.isfinite(variance) | ~(variance > 0)))


def _moved(norm: NormCapture) -> bool:
    pairs = ((norm.running_mean, norm.checkpoint_mean), (norm.running_var, norm.checkpoint_var))
    return any(
        now is not None and then is not None and not np.array_equal(now.numpy(), then.numpy(), equal_nan=True)
        for now, then in pairs
    )


def _detail(norm: NormCapture, card: NormCard) -> NormDetail:
    means, variances = _floats(norm.batch_mean), _floats(norm.batch_var)
    mean = None if means is None else means.mean(axis=0)
    variance = None if variances is None else variances.mean(axis=0)
    if variance is not None:  # of a single value there is none
        count = norm.batch_count
        variance = variance * (count / (count - 1)) if count > 1 else None
    checkpoint_mean, checkpoint_var = _floats(norm.checkpoint_mean), _floats(norm.checkpoint_var)
    return NormDetail(
        path=norm.path,
        type=norm.type,
        channels=norm.channels,
        uses=cast(Uses, norm.uses),
        updates=norm.updates,
        momentum=norm.momentum,
        forwards=0 if means is None else len(means),
        batch_count=norm.batch_count,
        mean=Three(mean, _floats(norm.running_mean), checkpoint_mean),
        variance=Three(variance, _floats(norm.running_var), checkpoint_var),
        drift=card.drift,
        checkpoint_drift=_drift(mean, checkpoint_mean, checkpoint_var),
        preview_largest=_floats(norm.preview_largest),
        preview_median=_floats(norm.preview_median),
        seen=Seen(norm.tracked, norm.checkpoint_tracked),
        mode=card.mode,
        words=card.words,
    )


def _drift(batch: Floats | None, mean: Floats | None, variance: Floats | None) -> Floats | None:
    """|batch mean − mean| in deviations; NaN where the variance is not positive."""
    if batch is None or mean is None or variance is None or batch.shape != mean.shape:
        return None
    deviation = np.sqrt(np.where(variance > 0, variance, np.nan))
    return np.abs(batch - mean) / deviation
