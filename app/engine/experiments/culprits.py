"""What moves the output most: every mode-sensitive module flipped by itself, against the bases that Compare has run.

Where :func:`~modelight.engine.experiments.flips.flips` answers a finding and gives up when the model raises, this
tells of each module by itself: a model that raises in train can still be asked which module moves it away from eval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelight.engine import flag
from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.experiments import measure
from modelight.engine.experiments.answers import Floats
from modelight.engine.experiments.bare import BareRun, Bench, State
from modelight.engine.experiments.flips import sensitive_rows
from modelight.engine.experiments.trials import all_flags
from modelight.engine.rows import Rows
from modelight.protocol import Clause, Culprit, GradMode, Measure

FORWARDS = 2048
"""About how many forwards the flips may take together; many modules get fewer runs each."""

Step = Callable[[Clause, int], None]
"""Told what begins and how many runs it takes."""


@dataclass(frozen=True)
class Plan:
    """Which modules are flipped, and how often each."""

    sites: list[int]
    grad_mode: GradMode
    forwards: int
    """In one run."""
    runs: int
    mixed: bool

    @property
    def total(self) -> int:
        """Runs of the whole input."""
        return self.runs * (len(self.sites) * (3 if self.mixed else 2) + self.mixed)


def plan(rows: Rows, grad_mode: GradMode, *, forwards: int, runs: int) -> Plan:
    """``forwards`` in one run of the input; at most ``runs`` runs, and two where that is too much."""
    sites = sensitive_rows(rows)
    flags = {flag.read(module) for module in rows.modules} - {None}
    affordable = FORWARDS // max(1, 2 * len(sites) * forwards)
    return Plan(sites, grad_mode, forwards, min(runs, max(2, affordable)), mixed=len(flags) > 1)


def find(
    bench: Bench,
    plan: Plan,
    train: Floats | None,
    evaluated: Floats | None,
    reading: Measure,
    seed: int,
    step: Step,
) -> list[Culprit]:
    """Flip each site alone; the one that moves the output most is the first.

    Args:
        train, evaluated: samples × width, read as ``reading``: all in train and all in eval, means over the same runs.
            None where the model raised.

    Raises:
        Cancelled: the bench was told to stop.
    """
    rows = bench.rows

    def answer(flags: Mapping[str, bool]) -> Floats | None:
        return _answer(bench, State(flags, plan.grad_mode), seed, plan.runs, reading)

    def distance(base: Floats | None, flags: Mapping[str, bool]) -> float | None:
        return None if base is None else measure.apart(answer(flags), base, reading)

    present = answer({}) if plan.mixed else None
    found = []
    for row in plan.sites:
        step(Clause("flipping", {"module": rows.paths[row]}), plan.runs * (3 if plan.mixed else 2))
        training = bool(flag.read(rows.modules[row]))
        places = [rows.paths[place] for place in rows.places(rows.modules[row])]
        found.append(
            Culprit(
                row=row,
                path=rows.paths[row],
                type=type(rows.modules[row]).__name__,
                training=training,
                alone=distance(train, {**all_flags(rows, True), **dict.fromkeys(places, False)}),
                against=distance(evaluated, {**all_flags(rows, False), **dict.fromkeys(places, True)}),
                flipped=distance(present, dict.fromkeys(places, not training)) if plan.mixed else None,
            )
        )
    return sorted(found, key=_rank)


def _answer(bench: Bench, state: State, seed: int, runs: int, reading: Measure) -> Floats | None:
    """Mean over the runs; None where the model raises.

    Where two runs drew nothing and gave the same bits, the others would too, and are spared.
    """
    found: list[BareRun] = []
    try:
        for run in range(runs):
            found.append(bench.run(state, seed + run))
            if run == 1 and not any(one.random for one in found) and found[0].digest == found[1].digest:
                break
        return mean(measure.read(stack(found), reading))
    except Cancelled:
        raise
    except Exception:
        return None


def _rank(culprit: Culprit) -> tuple[float, int]:
    moved = [value for value in (culprit.alone, culprit.against) if value is not None]
    largest = max((np.inf if np.isnan(value) else value for value in moved), default=-1.0)
    return -largest, culprit.row


def stack(runs: Sequence[BareRun]) -> Floats:
    """runs × samples × width.

    Raises:
        EngineError: the output had another shape in each run.
    """
    if len({run.values.shape for run in runs}) > 1:
        raise EngineError("The output has another shape each time.", kind="run", clause=Clause("shape-varies"))
    return np.stack([run.values for run in runs]).astype(np.float64)


def mean(values: Floats) -> Floats:
    """Over the runs; equal values keep theirs exactly."""
    middle: Floats = np.where(_equal(values), values[0], values.mean(axis=0))
    return middle


def deviations(values: Floats) -> Floats:
    """Standard deviation over the runs (n − 1): exactly 0 where all are equal, which rounding would miss."""
    found: Floats = np.where(_equal(values), 0.0, values.std(axis=0, ddof=1))
    return found


def _equal(values: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray((values == values[0]).all(axis=0))
