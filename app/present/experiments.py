"""From the replies of the experiments to what the Experiments page shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelight.phrases import phrase
from modelight.present.same import ROUNDING
from modelight.protocol import (
    Array,
    BatchCurve,
    BatchPoint,
    BatchSide,
    InputInfo,
    McDropout,
    Measure,
    RandomSource,
    Repeatability,
    Row,
)
from modelight.widgets.experiments_data import (
    CompanyCurve,
    CompanyData,
    CompanyLayer,
    DropoutRow,
    Effect,
    McData,
    RepeatData,
    RepeatRow,
    Subject,
)
from modelight.widgets.modes import Mode

Floats = NDArray[np.float64]

FEW = 8
"""Up to so many classes, probabilities stand on an axis from 0 to 1; of more, each is small."""
KEPT = 1024
"""Values per sample that the engine keeps of a wider output."""
LISTED = 14
"""Up to so many layers are all listed; of more, those that mix and the model's own output."""
_DISTRIBUTIONS = ("softmax", "probabilities", "log_probabilities")


def _unpack(array: Array | None) -> Floats | None:
    return None if array is None else array.numpy().astype(np.float64)


def _step(shape: Sequence[int], per_sample: bool) -> int:
    """How far apart the values lie that were kept of a wide output."""
    return max(1, -(-math.prod(shape[1:] if per_sample else shape) // KEPT))


def _subject(reading: Measure, width: int, column: int, names: Sequence[str], step: int) -> Subject:
    bounded = reading != "raw"
    if width == 1:
        return Subject("probability" if bounded else "value")
    name = names[column] if bounded and len(names) == width else ""
    return Subject("class" if bounded else "column", column * step, name)


def _telling(values: Floats) -> int:
    """Of … × width values, the column that moves most; of two classes the first."""
    width = values.shape[-1]
    if width <= 2:
        return 0
    return int(np.nan_to_num(np.ptp(values.reshape(-1, width), axis=0)).argmax())


def _range(values: Floats, bounded: bool, width: int) -> tuple[float, float]:
    """Holds every value; of few classes, 0 to 1."""
    finite = values[np.isfinite(values)]
    if bounded and width <= FEW:
        return 0.0, 1.0
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    margin = 0.08 * (high - low) or 0.1 * max(abs(high), 1e-6)
    return low - margin, high + margin


# --------------------------------------------------------------------------------------------------------- batch-mates


def company_data(
    found: BatchCurve, info: InputInfo, rows: Sequence[Row], classes: Sequence[str] = (), *, outdated: bool = False
) -> CompanyData:
    """The section *Batch-mates*. ``outdated``: weights, input or seed are no longer those of the experiment."""
    values = [part for side in found.sides for point in side.points if (part := _unpack(point.values)) is not None]
    width = values[0].shape[1] if values else 1
    column = _telling(np.stack([part[0] for part in values])) if values else 0
    curves = tuple(_curve(found, side, column, rows) for side in found.sides)
    names = tuple(info.classes or classes)
    subject = _subject(found.measure, width, column, names, _step(found.shape, per_sample=True))
    ends = [np.concatenate([curve.means.ravel(), *_around(curve)]) for curve in curves] or [np.empty(0)]
    low, high = _range(np.concatenate(ends), subject.bounded, width)
    return CompanyData(
        sizes=tuple(found.sizes),
        samples=found.samples,
        runs=found.runs,
        seed=found.seed,
        subject=subject,
        low=low,
        high=high,
        labelled=found.labelled,
        curves=curves,
        unseen="" if found.unseen is None else phrase(found.unseen),
        outdated=outdated,
    )


def _around(curve: CompanyCurve) -> tuple[Floats, Floats]:
    return curve.means[0] - curve.deviations, curve.means[0] + curve.deviations


def _curve(found: BatchCurve, side: BatchSide, column: int, rows: Sequence[Row]) -> CompanyCurve:
    means = np.stack([_column(_unpack(point.values), column, found.shown) for point in side.points], axis=1)
    deviations = np.array([_column(_unpack(point.deviations), column, found.shown)[0] for point in side.points])
    effect, most = _effect(found, side)
    least = next((index for index, point in enumerate(side.points) if point.values is not None), 0)
    shares = [np.array(point.right) / found.labelled for point in side.points] if found.labelled else []
    layers, hidden = _layers(side, rows)
    return CompanyCurve(
        training=side.training,
        means=means,
        deviations=deviations,
        right=np.array([share.mean() if share.size else np.nan for share in shares]),
        right_deviations=np.array([share.std(ddof=1) if share.size > 1 else np.nan for share in shares]),
        effect=effect,
        least=side.points[least].size,
        most=side.points[most].size,
        before=float(means[0, least]),
        after=float(means[0, most]),
        problems=tuple(dict.fromkeys(phrase(point.problem) for point in side.points if point.problem is not None)),
        first=side.first,
        mixing=tuple(side.mixing),
        layers=layers,
        hidden=hidden,
        unseen="" if side.unseen is None else phrase(side.unseen),
    )


def _column(values: Floats | None, column: int, shown: int) -> Floats:
    return np.full(shown, np.nan) if values is None else values[:, column]


def _effect(found: BatchCurve, side: BatchSide) -> tuple[Effect, int]:
    """What company does to the first sample's answer, all columns together, and the size that moves it furthest.

    Means over runs are compared; up to twice their expected distance by chance, √(2/π · (s₁² + s₂²)/n), they count as
    equal (normal approximation, as in ``Compared``).
    """
    worked = [index for index, point in enumerate(side.points) if point.values is not None]
    if len(worked) < 2:
        return ("raises" if not worked else "alone-raises"), worked[-1] if worked else 0
    base = side.points[worked[0]]
    judged = [(*_moved(base, side.points[index], found), index) for index in worked[1:]]
    beyond = [(distance, index) for distance, chance, index in judged if distance > chance]
    distance, most = max(beyond, default=max((distance, index) for distance, _, index in judged))
    largest = max(float(np.abs(_first(side.points[index].values)).max(initial=0.0)) for index in worked)
    if distance == 0:
        return "same", most
    if distance <= ROUNDING * max(1e-30, largest):
        return "rounding", most
    return ("differs" if beyond else "chance"), most


def _moved(one: BatchPoint, other: BatchPoint, found: BatchCurve) -> tuple[float, float]:
    """How far the first sample's answers lie apart, and how far chance puts them; total variation of distributions."""
    differences = np.abs(_first(one.values) - _first(other.values))
    variance = (_first(one.deviations) ** 2 + _first(other.deviations) ** 2) / found.runs
    chance = 2.0 * np.sqrt(2.0 / np.pi * np.broadcast_to(variance, differences.shape))
    scale = len(differences) / 2 if found.measure in _DISTRIBUTIONS and len(differences) > 1 else 1.0
    return float(np.nan_to_num(differences).mean() * scale), float(np.nan_to_num(chance).mean() * scale)


def _first(array: Array | None) -> Floats:
    values = _unpack(array)
    return np.zeros(1) if values is None else np.asarray(values[0])


def _layers(side: BatchSide, rows: Sequence[Row]) -> tuple[tuple[CompanyLayer, ...], int]:
    """Leaves in the order in which they returned; of many, those that mix, and the model's output."""
    parents = {row.parent for row in rows}
    mixing = {*side.mixing, *([] if side.first is None else [side.first])}
    leaves = [one for one in side.layers if one.row not in parents or one.path in mixing]
    wanted = leaves if len(leaves) <= LISTED else [one for one in leaves if one.path in mixing][:LISTED]
    listed = tuple(
        CompanyLayer(one.path, one.type, one.apart, one.path in mixing, one.path == side.first, one.rounding)
        for one in wanted
    )
    return listed, len(leaves) - len(wanted)


# ------------------------------------------------------------------------------------------------------- repeatability


def repeat_data(
    found: Repeatability, info: InputInfo, mode: Mode, classes: Sequence[str] = (), *, outdated: bool = False
) -> RepeatData:
    """The section *Repeatability*; ``mode`` is the one in which the model ran."""
    same, other = found.same.numpy().astype(np.float64), found.other.numpy().astype(np.float64)
    everything = [same, other, *(part for one in found.sources if (part := _unpack(one.values)) is not None)]
    column = _telling(np.concatenate(everything))
    names = tuple(info.classes or classes)
    first = RepeatRow(
        "same", same[:, column], len(same), differs=not found.same_exact, apart=found.same_apart,
        first=found.same_first, type=found.same_type,
    )  # fmt: skip
    second = RepeatRow(
        "other", other[:, column], len(other), differs=not found.other_exact, apart=found.other_apart,
        first=found.other_first, type=found.other_type,
    )  # fmt: skip
    return RepeatData(
        rows=(first, second, *(_source(one, column) for one in found.sources)),
        subject=_subject(found.measure, same.shape[1], column, names, _step(found.shape, found.per_sample)),
        mode=mode,
        samples=found.samples,
        runs=found.runs,
        seed=found.seed,
        outdated=outdated,
    )


def _source(one: RandomSource, column: int) -> RepeatRow:
    values = _unpack(one.values)
    picked = np.empty(0) if values is None else values[:, column]
    return RepeatRow(
        one.name, picked, len(picked), one.owned, one.drew, one.matters, one.apart or 0.0, one.first, one.type
    )


# ---------------------------------------------------------------------------------------------------------- MC dropout


def mc_data(found: McDropout, info: InputInfo, classes: Sequence[str] = (), *, outdated: bool = False) -> McData:
    """The section *MC dropout*."""
    mean, deviation = found.mean.numpy().astype(np.float64), found.deviation.numpy().astype(np.float64)
    width = mean.shape[1]
    column = 0 if width <= 2 else int(np.nan_to_num(deviation).mean(axis=0).argmax())
    names = tuple(info.classes or classes)
    step = _step(found.shape, found.per_sample)
    entropy, expected = _unpack(found.entropy), _unpack(found.expected_entropy)
    return McData(
        mean=mean,
        deviation=deviation,
        evaluated=_unpack(found.evaluated),
        subject=_subject(found.measure, width, column, names, step),
        names=names if found.measure != "raw" and len(names) == width else (),
        step=step,
        captions=tuple(info.captions[: len(mean)]) if found.per_sample else (),
        entropy=np.empty(0) if entropy is None else entropy,
        expected_entropy=np.empty(0) if expected is None else expected,
        spread=found.spread,
        exact=found.exact,
        nothing_on=found.nothing_on or 0.0,
        passes=found.passes,
        site_passes=found.site_passes,
        batch=found.batch,
        seed=found.seed,
        dropouts=tuple(
            DropoutRow(one.path, one.type, one.p, one.spread, one.share, one.verdict) for one in found.dropouts
        ),
        outdated=outdated,
    )
