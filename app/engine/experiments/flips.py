"""Culprits: each mode-sensitive module flipped by itself, ranked by how far the answers move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import (
    ReportProgress,
    ShouldStop,
    never_stop,
    no_progress,
)
from modelight.engine.experiments.answers import Floats, answers
from modelight.engine.experiments.trials import Flags, Trials, all_flags
from modelight.engine.modules import flag
from modelight.engine.modules.rows import Rows
from modelight.protocol import Clause, GradMode

Read = Callable[[Floats], Floats]
"""From answers, runs × samples × width, to what is compared: class probabilities, say."""


@dataclass(frozen=True)
class Flip:
    """One module, flipped."""

    row: int
    path: str
    alone: float
    """How far the answers move from all in train when it alone goes to eval."""
    against: float
    """How far they move from all in eval when it alone goes to train."""
    spread: float
    """How far samples differ (deviation over samples, averaged over columns) with it alone in eval and all others in
    train."""


@dataclass(frozen=True)
class Flips:
    """The ranking by :attr:`Flip.alone`, and what it is measured against. Distances are means over samples and
    columns of the absolute difference of answers, each averaged over the runs."""

    ranking: list[Flip]
    whole: float
    """How far all in train and all in eval are apart."""
    train_spread: float
    eval_spread: float


def sensitive_rows(rows: Rows) -> list[int]:
    """The first row of every module that may itself act differently in train and eval and has a flag."""
    return [
        index
        for index, module in enumerate(rows.modules)
        if rows.rows[index].sensitive and rows.index_of(module) == index and flag.read(module) is not None
    ]


def flips(
    model: nn.Module,
    inputs: Inputs,
    rows: Rows,
    *,
    grad_mode: GradMode,
    seed: int,
    batch: int,
    runs: int = 4,
    candidates: Sequence[int] | None = None,
    read: Read = lambda values: values,
    should_stop: ShouldStop = never_stop,
    progress: ReportProgress = no_progress,
) -> Flips:
    """Flip each of ``candidates`` (all sensitive rows if None) alone, and alone against all others.

    ``runs`` runs of all samples each, ``batch`` samples per forward, seeded seed, seed + 1, …

    Raises:
        EngineError: the model raised.
        Cancelled: ``should_stop`` said so.
    """
    trials = Trials(model, rows, grad_mode, should_stop)

    def mean(flags: Flags) -> Floats:
        found = answers(trials, inputs, batch=batch, seed=seed, runs=runs, flags=flags)
        middle: Floats = read(found.values).mean(axis=0)
        return middle

    train, evaluated = all_flags(rows, True), all_flags(rows, False)
    all_train, all_eval = mean(train), mean(evaluated)
    chosen = sensitive_rows(rows) if candidates is None else candidates
    found = []
    for position, row in enumerate(chosen):
        progress(Clause("flipping", {"module": rows.paths[row]}), position / len(chosen))
        one = dict.fromkeys(rows.paths[place] for place in rows.places(rows.modules[row]))
        alone = mean({**train, **dict.fromkeys(one, False)})
        against = mean({**evaluated, **dict.fromkeys(one, True)})
        found.append(
            Flip(row, rows.paths[row], _apart(alone, all_train), _apart(against, all_eval), spread_over(alone))
        )
    found.sort(key=lambda flip: -flip.alone)
    return Flips(found, _apart(all_train, all_eval), spread_over(all_train), spread_over(all_eval))


def _apart(left: Floats, right: Floats) -> float:
    return float(np.abs(left - right).mean()) if left.shape == right.shape else float("nan")


def spread_over(samples: Floats) -> float:
    """Deviation over samples (samples × width), averaged over columns."""
    return float(samples.std(axis=0).mean())
