"""What moves the output most: every mode-sensitive module flipped by itself, against the bases that Compare has run.

Where :func:`~modelight.engine.experiments.flips.flips` answers a finding and gives up when the model raises, this
tells of each module by itself: a model that raises in train can still be asked which module moves it away from eval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.experiments import measure
from modelight.engine.experiments.answers import Floats
from modelight.engine.experiments.bare import BareRun, Bench, State
from modelight.engine.experiments.flips import sensitive_rows
from modelight.engine.experiments.measure import Answer
from modelight.engine.experiments.trials import all_flags
from modelight.engine.modules import flag
from modelight.engine.modules.rows import Rows
from modelight.protocol import Clause, Culprit, GradMode, Measure

FORWARDS = 2048
"""About how many forwards the flips may take together; many modules get fewer runs each."""
FEWEST = 4

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
    """``forwards`` in one run of the input; at most ``runs`` runs, and :data:`FEWEST` where that is too much."""
    sites = sensitive_rows(rows)
    flags = {flag.read(module) for module in rows.modules} - {None}
    affordable = FORWARDS // max(1, 2 * len(sites) * forwards)
    return Plan(sites, grad_mode, forwards, min(runs, max(FEWEST, affordable)), mixed=len(flags) > 1)


def find(
    bench: Bench,
    plan: Plan,
    train: Answer | None,
    evaluated: Answer | None,
    reading: Measure,
    seed: int,
    step: Step,
) -> list[Culprit]:
    """Flip each site alone; the one that moves the output most is the first.

    Args:
        train, evaluated: all in train and all in eval, over the same seeds; None where the model raised.

    Raises:
        Cancelled: the bench was told to stop.
    """
    present = _answer(bench, State({}, plan.grad_mode), seed, plan.runs, reading) if plan.mixed else None
    found = []
    for row in plan.sites:
        step(Clause("flipping", {"module": bench.rows.paths[row]}), plan.runs * (3 if plan.mixed else 2))
        found.append(_flip(bench, plan, row, (train, evaluated, present), reading, seed))
    return sorted(found, key=_rank)


def _flip(bench: Bench, plan: Plan, row: int, bases: tuple[Answer | None, ...], reading: Measure, seed: int) -> Culprit:
    """One site, flipped from all in train, from all in eval and, in a mixed state, from the present."""
    rows = bench.rows
    module = rows.modules[row]
    training = bool(flag.read(module))

    def distance(base: Answer | None, others: Mapping[str, bool], mine: bool) -> tuple[float | None, float]:
        if base is None:
            return None, 0.0
        flags = {**others, **dict.fromkeys((rows.paths[place] for place in rows.places(module)), mine)}
        return measure.moved(_answer(bench, State(flags, plan.grad_mode), seed, plan.runs, reading), base, reading)

    train, evaluated, present = bases
    alone, against = distance(train, all_flags(rows, True), False), distance(evaluated, all_flags(rows, False), True)
    flipped = distance(present, {}, not training)
    return Culprit(
        row=row,
        path=rows.paths[row],
        type=type(module).__name__,
        training=training,
        alone=alone[0],
        against=against[0],
        flipped=flipped[0],
        alone_chance=alone[1],
        against_chance=against[1],
        flipped_chance=flipped[1],
    )


def _answer(bench: Bench, state: State, seed: int, runs: int, reading: Measure) -> Answer | None:
    """None where the model raises."""
    try:
        return Answer.of(measure.read(stack(bench.repeat(state, seed, runs)), reading))
    except Cancelled:
        raise
    except (Exception, SystemExit):
        return None


def _rank(culprit: Culprit) -> tuple[float, float, int]:
    """Sorts by what is beyond chance, then by what was measured."""
    pairs = ((culprit.alone, culprit.alone_chance), (culprit.against, culprit.against_chance))
    known = [(np.inf if np.isnan(value) else value, chance) for value, chance in pairs if value is not None]
    beyond = max((value for value, chance in known if value > chance), default=0.0)
    return -beyond, -max((value for value, _ in known), default=-1.0), culprit.row


def stack(runs: Sequence[BareRun]) -> Floats:
    """runs × samples × width.

    Raises:
        EngineError: the output had another shape in each run.
    """
    if len({run.values.shape for run in runs}) > 1:
        raise EngineError("The output has another shape each time.", kind="run", clause=Clause("shape-varies"))
    return np.stack([run.values for run in runs]).astype(np.float64)
