"""*Same input, same answer?* The first sample again and again, and the first sample among others."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from modelight.engine.batches import Batch, Inputs
from modelight.engine.errors import EngineError, ShouldStop, never_stop
from modelight.engine.experiments.answers import first_output, rows_of
from modelight.engine.experiments.trials import Flags, Trials
from modelight.engine.modules.rows import Rows
from modelight.protocol import Array, Clause, GradMode, SameAnswer

COMPANY = 64
"""Samples in the batch at most, the first one included."""

Answer = np.ndarray[Any, np.dtype[np.float32]]


def same_answer(
    model: nn.Module,
    inputs: Inputs,
    rows: Rows,
    *,
    grad_mode: GradMode,
    seed: int,
    runs: int,
    should_stop: ShouldStop = never_stop,
    flags: Flags | None = None,
) -> SameAnswer:
    """Run the first sample ``runs`` times alone and as often at position 0 of a batch with all others, seeded seed,
    seed + 1, …

    Both are run with the same seeds, each from the same parameters and buffers. ``flags`` are written for these runs
    only. Of an output wider than 1024 values, that many at even distances are kept; the comparison is of these.

    Raises:
        EngineError: the model raised, or returned no tensor.
        Cancelled: ``should_stop`` said so.
    """
    trials = Trials(model, rows, grad_mode, should_stop)
    batch = inputs.part(0, min(inputs.samples, COMPANY))
    names, alone, own = _runs(trials, inputs.part(0, 1), 1, seed, runs, flags)
    mates = batch.stop - 1 if inputs.splittable and own else 0
    company = alone[:0]
    if mates:
        _, company, own = _runs(trials, batch, batch.stop, seed, runs, flags)
        if not own or company.shape != alone.shape:
            mates, company = 0, alone[:0]
    return SameAnswer(
        field=names,
        again=Array.of(alone),
        alone=Array.of(alone),
        company=Array.of(company),
        mates=mates,
        exact_again=_equal(alone[1:], np.broadcast_to(alone[0], alone[1:].shape)),
        exact_company=not mates or _equal(alone, company),
    )


def _runs(
    trials: Trials, batch: Batch, samples: int, seed: int, runs: int, flags: Flags | None
) -> tuple[str, Answer, bool]:
    """Name of the first output; the first sample's row of it, runs × width; whether it has one row per sample."""
    answers, name, own = [], "", False
    for run in range(runs):
        name, tensor = first_output(trials.forward(batch, seed=seed + run, flags=flags))
        row, own = rows_of(tensor, samples)
        answers.append(row[0])
    if len({row.shape for row in answers}) > 1:
        raise EngineError("The output has another shape each time.", kind="run", clause=Clause("shape-varies"))
    return name, np.stack(answers), own


def _equal(left: Answer, right: Answer) -> bool:
    return np.array_equal(left, right, equal_nan=True)
