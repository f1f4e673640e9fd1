"""*Same input, same answer?*: three questions, their answers on one axis, and the verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelight.present.reading import read
from modelight.protocol import InputInfo, OutputField, SameAnswer
from modelight.widgets.output_data import Choice, Question, SameRow, Verdict, View

Floats = NDArray[np.float64]

ROUNDING = 1e-5
"""Differences below this share of the values' size come from the order of float32 sums, which depends on batch size."""
HARDLY = 0.05
"""Probabilities that differ by less over all inputs: the output hardly depends on the input."""


def same_rows(
    view: View, choice: Choice, shown: Floats | None, field: OutputField, info: InputInfo, same: SameAnswer | None
) -> tuple[SameRow, ...]:
    """The rows that can be answered. ``shown`` is runs × samples × width as read; ``same`` the engine's experiment."""
    if shown is None or view == "none":
        return ()
    rows = []
    if same is not None and same.field == field.name and same.again.shape[-1] == shown.shape[-1]:
        reading = choice.reading or "raw"
        parts = [read(part.numpy().astype(np.float64), reading) for part in (same.again, same.alone, same.company)]
        rows.append(_again(parts[0], choice, same.exact_again))
        rows.append(_company(parts[0], parts[1], parts[2], choice, same))
    else:
        # What has not been asked yet keeps its row, so that nothing jumps when the answer comes.
        first = shown[:, 0]
        known = len(shown) > 1
        rows.append(_again(first, choice, bool((first == first[0]).all())) if known else _unasked("again", 1))
        rows.append(_unasked("company", 0, shown.shape[1] - 1))
    rows.append(_another(shown, choice, info))
    return tuple(rows)


def _unasked(question: Question, count: int, others: int = 0) -> SameRow:
    return SameRow(question, np.empty(0), "none", count=count, others=others)


def _pick(values: Floats, choice: Choice) -> Floats:
    """The value shown of each answer: the chosen class, or the mean of all values."""
    return np.asarray(values.mean(axis=-1) if choice.column is None else values[..., choice.column])


def _rounding(difference: float, values: Floats) -> bool:
    return difference <= ROUNDING * max(1e-30, float(np.abs(values).max()))


def _again(runs: Floats, choice: Choice, exact: bool) -> SameRow:
    picked = _pick(runs, choice)
    if not np.isfinite(runs).all():
        return SameRow("again", picked[np.isfinite(picked)], "nan", count=len(runs))
    if exact:
        return SameRow("again", picked, "exact", count=len(runs))
    widest = float(np.ptp(runs, axis=0).max())
    verdict: Verdict = "rounding" if _rounding(widest, runs) else "differs"
    if choice.column is None:
        # The ticks are means, which may agree where the values do not.
        return SameRow("again", picked, verdict, 0.0, widest, len(runs), each=True)
    return SameRow("again", picked, verdict, float(picked.min()), float(picked.max()), len(runs))


def _company(again: Floats, alone: Floats, company: Floats, choice: Choice, same: SameAnswer) -> SameRow:
    """Alone against among others. A random model differs anyway: only what repeats do not explain counts."""
    if not same.mates or not len(company) or not len(alone):
        return _unasked("company", 0)
    picked = np.concatenate([_pick(alone, choice), _pick(company, choice)])
    count = len(company)
    if not np.isfinite(picked).all():
        return SameRow("company", picked[np.isfinite(picked)], "nan", count=count, others=same.mates)
    low, high = float(_pick(alone, choice).mean()), float(_pick(company, choice).mean())
    verdict: Verdict = "differs"
    if same.exact_company:
        verdict = "exact"
    elif _rounding(float(np.abs(alone.mean(axis=0) - company.mean(axis=0)).max()), alone):
        verdict = "rounding"
    elif not same.exact_again and _within_noise(_pick(again, choice), _pick(alone, choice), _pick(company, choice)):
        verdict = "noise"
    return SameRow("company", picked, verdict, low, high, count, same.mates)


def _within_noise(again: Floats, alone: Floats, company: Floats) -> bool:
    """Whether the means lie within two standard errors of what repeats of the same run spread (Welch's t, roughly)."""
    spreads = [
        part.std(ddof=1) if len(part) > 1 else again.std(ddof=1) if len(again) > 1 else 0.0 for part in (alone, company)
    ]
    error = float(np.sqrt(spreads[0] ** 2 / len(alone) + spreads[1] ** 2 / len(company)))
    return abs(float(alone.mean() - company.mean())) <= 2 * error


def _another(shown: Floats, choice: Choice, info: InputInfo) -> SameRow:
    picked = _pick(shown, choice).mean(axis=0)
    noise = sum(info.is_noise)
    if len(picked) < 2:
        return SameRow("another", picked[np.isfinite(picked)], "none", count=len(picked), others=noise)
    if not np.isfinite(picked).all():
        return SameRow("another", picked[np.isfinite(picked)], "nan", count=len(picked), others=noise)
    low, high = float(picked.min()), float(picked.max())
    means = shown.mean(axis=0)
    widest = float(np.ptp(means, axis=0).max())
    limit = HARDLY if choice.reading != "raw" else ROUNDING * max(1e-30, float(np.abs(means).max()))
    verdict: Verdict = "hardly" if widest < limit else "moves"
    return SameRow("another", picked, verdict, low, high, len(picked), noise)
