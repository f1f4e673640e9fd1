"""Compare: train and eval under each grad mode on the same input and seeds, and what moves the output most."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import get_args

import numpy as np
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.experiments import culprits, measure
from modelight.engine.experiments.answers import Floats
from modelight.engine.experiments.bare import BareRun, Bench, State
from modelight.engine.experiments.trials import all_flags
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import lazy
from modelight.protocol import Array, Cell, Clause, Compared, GradMode, InputInfo, Measure

SAMPLES = 64
"""Samples that are run at most."""
GRAD_MODES: tuple[GradMode, ...] = get_args(GradMode)
MODES = (True, False)


@dataclass
class _Tried:
    """What the runs of one cell gave."""

    training: bool
    grad_mode: GradMode
    runs: list[BareRun] = field(default_factory=list)
    values: Floats | None = None
    """runs × samples × width, as they came out; None where the model raised."""
    kept: int = 0
    problem: Clause | None = None

    @property
    def digests(self) -> list[bytes]:
        """One per run: equal where two cells gave the same in every run. None at all where the model raised."""
        return [run.digest for run in self.runs] if self.problem is None else []


@dataclass
class _Counted:
    """Progress in runs of the whole input."""

    progress: ReportProgress
    total: int
    done: int = 0

    def step(self, what: Clause, runs: int = 1) -> None:
        self.progress(what, min(1.0, self.done / max(1, self.total)))
        self.done += runs


def compare(
    model: nn.Module,
    inputs: Inputs,
    rows: Rows,
    *,
    seed: int,
    batch: int,
    runs: int,
    grad_mode: GradMode = "no_grad",
    info: InputInfo | None = None,
    classes: Sequence[str] = (),
    should_stop: ShouldStop = never_stop,
    progress: ReportProgress = no_progress,
) -> Compared:
    """Run at most the first :data:`SAMPLES` samples ``runs`` times in each of the six ways, then flip modules.

    Run i is seeded with ``seed`` + i before its first forward, and starts from the same parameters, buffers and flags:
    it answers as a single observed run with that seed does. A way in which the model raises is reported as such.

    Args:
        batch: samples per forward.
        grad_mode: in which modules are flipped.
        info, classes: what is known of the input and the classes; decides how the output is read.

    Raises:
        Cancelled: ``should_stop`` said so; asked before each forward.
        EngineError: the first forward of a lazy model failed.
    """
    batch, runs = max(1, batch), max(1, runs)
    if inputs.splittable and inputs.samples > SAMPLES:
        inputs = _first(inputs, SAMPLES)
    lazy.materialise_with(model, inputs.part(0, batch), seed)
    bench = Bench(model, rows, inputs, batch, should_stop)
    plan = culprits.plan(rows, grad_mode, forwards=len(list(inputs.batches(batch))), runs=runs)
    counted = _Counted(progress, len(MODES) * len(GRAD_MODES) * runs + plan.total)
    tried = [_try(bench, training, mode, seed, runs, counted) for training in MODES for mode in GRAD_MODES]
    reading = _measure(tried, info, classes)
    train, evaluated = (_answer(tried, training, grad_mode, reading, plan.runs) for training in MODES)
    found = culprits.find(bench, plan, train, evaluated, reading, seed, counted.step)
    seen = _reference(tried)
    rows_exact, columns_exact, columns_apart = _agreement(tried, reading)
    moved, moved_chance = _moved(tried, reading, runs)
    return Compared(
        seed=seed,
        batch=batch,
        runs=runs,
        samples=inputs.samples,
        forwards=plan.forwards,
        grad_mode=grad_mode,
        field=seen.name,
        shape=seen.shape,
        per_sample=seen.per_sample,
        measure=reading,
        cells=[_cell(one, reading) for one in tried],
        moved=moved,
        moved_chance=moved_chance,
        rows_exact=rows_exact,
        columns_exact=columns_exact,
        columns_apart=columns_apart,
        culprits=found,
        everything=measure.moved(train, evaluated, reading)[0],
        culprit_runs=plan.runs,
        mixed=plan.mixed,
    )


def _first(inputs: Inputs, samples: int) -> Inputs:
    part = inputs.part(0, samples)
    return replace(inputs, args=part.args, kwargs=part.kwargs, samples=samples, labels=inputs.labels[:samples])


def _try(bench: Bench, training: bool, mode: GradMode, seed: int, runs: int, counted: _Counted) -> _Tried:
    tried = _Tried(training, mode)
    state = State(all_flags(bench.rows, training), mode)
    what = Clause("comparing-train" if training else "comparing-eval", {"mode": mode})
    run = 0
    try:
        for run in range(runs):
            counted.step(what)
            tried.runs.append(bench.run(state, seed + run))
        tried.values = culprits.stack(tried.runs)
        tried.kept = bench.kept(state, seed)
    except (Exception, SystemExit) as error:
        tried.problem = bench.problem(error, state, seed + run)
        tried.values = None
        counted.done += runs - run - 1
    return tried


# ------------------------------------------------------------------------------------------------------------ reading


def _reference(tried: Sequence[_Tried]) -> BareRun:
    """The run that names the output: one in eval, if the model runs there."""
    worked = [one for one in tried if one.values is not None]
    return next((one.runs[0] for one in worked if not one.training), worked[0].runs[0] if worked else BareRun())


def _measure(tried: Sequence[_Tried], info: InputInfo | None, classes: Sequence[str]) -> Measure:
    """How all cells are read: one way that fits every value of them."""
    seen = _reference(tried)
    width = seen.values.shape[1]
    values = [one.values.reshape(-1, width) for one in tried if one.values is not None and one.values.shape[2] == width]
    if not values or not width:
        return "raw"
    return measure.choose(
        np.concatenate(values),
        name=seen.name,
        shape=seen.shape,
        per_sample=all(run.per_sample for one in tried for run in one.runs),
        info=info,
        classes=classes,
        floating=seen.floating,
    )


def _read(one: _Tried, reading: Measure, runs: int | None = None) -> Floats | None:
    return None if one.values is None else measure.read(one.values[:runs], reading)


def _answer(
    tried: Sequence[_Tried], training: bool, mode: GradMode, reading: Measure, runs: int
) -> measure.Answer | None:
    """Of the first ``runs`` runs of one cell."""
    one = next(one for one in tried if one.training == training and one.grad_mode == mode)
    values = _read(one, reading, runs)
    return None if values is None else measure.Answer.of(values)


# ---------------------------------------------------------------------------------------------------------- comparing


def _moved(tried: Sequence[_Tried], reading: Measure, runs: int) -> tuple[float | None, float]:
    """How far train and eval are apart, and what chance explains of it; where they are furthest apart."""
    found = []
    for mode in GRAD_MODES:
        train, evaluated = (_answer(tried, training, mode, reading, runs) for training in MODES)
        distance, chance = measure.moved(train, evaluated, reading)
        if distance is not None:
            found.append((distance, chance))
    return max(found, default=(None, 0.0), key=lambda pair: np.inf if np.isnan(pair[0]) else pair[0])


def _agreement(tried: Sequence[_Tried], reading: Measure) -> tuple[bool, bool, float | None]:
    """Whether rows agree bit for bit, whether columns do, and how far columns are apart at most."""
    by_mode = [[one for one in tried if one.grad_mode == mode] for mode in GRAD_MODES]
    by_training = [[one for one in tried if one.training == training] for training in MODES]
    rows_exact = all(one.digests and one.digests == other.digests for one, other in by_mode)
    columns_exact = all(one.digests == other.digests for row in by_training for one, other in combinations(row, 2))
    gaps = [
        float(np.abs(left - right).max(initial=0.0, where=left != right))
        for row in by_training
        for one, other in combinations(row, 2)
        if (left := _read(one, reading)) is not None
        and (right := _read(other, reading)) is not None
        and left.shape == right.shape
    ]
    return rows_exact, columns_exact, float(np.max(gaps)) if gaps else None


def _cell(one: _Tried, reading: Measure) -> Cell:
    values = _read(one, reading)
    if values is None:
        return Cell(one.training, one.grad_mode, problem=one.problem)
    answer = measure.Answer.of(values)
    several = len(values) > 1
    return Cell(
        one.training,
        one.grad_mode,
        values=Array.of(answer.mean.astype(np.float32)),
        deviations=Array.of(answer.deviation.astype(np.float32)) if several else None,
        spread=measure.overall(answer.deviation, reading) if several else None,
        exact=len(set(one.digests)) == 1,
        milliseconds=statistics.median(second for run in one.runs for second in run.seconds) * 1e3,
        watched=one.runs[0].watched,
        kept_bytes=one.kept,
        output=one.runs[-1].kind,
        would_move=len(frozenset().union(*(run.moved for run in one.runs))),
    )
