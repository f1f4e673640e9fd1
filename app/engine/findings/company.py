"""ML150: does the answer for a sample depend on which others are in its batch?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from modelight.engine import catalog, experiments
from modelight.engine.experiments.answers import Answers, Floats, as_probabilities
from modelight.engine.experiments.parting import close, first_parting
from modelight.engine.findings.evidence import Evidence
from modelight.engine.findings.rule import set_eval
from modelight.protocol import Finding, SameAnswer, Value

VISIBLE = 0.01
"""A difference of probabilities below this is told in the output's own values, where it shows."""
SIGMAS = 5.0
"""Standard errors that two means must lie apart, where the model is random."""
FEWEST = 4
"""Runs of a random model from which anything is concluded: they can be halved in 35 ways."""
SHUFFLES = 500
_RANDOM = ("dropout", "drop_path", "rnn_dropout", "attention", "transformer_layer", "rrelu")


def batch_mates(evidence: Evidence) -> Iterator[Finding]:
    """The first sample alone against the same sample among the others, in the present state."""
    if evidence.inputs.samples < 2 or not evidence.inputs.splittable:
        return
    same = experiments.same_answer(
        evidence.model,
        evidence.inputs,
        evidence.rows,
        grad_mode=evidence.command.grad_mode,
        seed=evidence.command.seed,
        runs=evidence.runs,
        should_stop=evidence.should_stop,
    )
    alone, company = (_doubles(part.numpy()) for part in (same.alone, same.company))
    if not same.mates or same.exact_company or not _apart(alone, company, evidence.rounding):
        return
    yield _finding(evidence, same, alone, company)


def _doubles(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Floats:
    return values.astype(np.float64)


def _apart(alone: Floats, company: Floats, rounding: float) -> bool:
    """Whether the means differ by more than rounding and by more than repeats explain, in any column."""
    if not (np.isfinite(alone).all() and np.isfinite(company).all()):
        return False
    distance = np.abs(alone.mean(axis=0) - company.mean(axis=0))
    size = max(float(np.abs(alone).max()), float(np.abs(company).max()))
    error = _error(alone, company)
    if not (distance > rounding * size + SIGMAS * error).any():
        return False
    return not error.any() or _beyond_chance(alone, company)


def _error(alone: Floats, company: Floats) -> Floats:
    """Standard error of the difference of means, per column."""
    spread: Floats = np.sqrt((alone.var(axis=0, ddof=1) + company.var(axis=0, ddof=1)) / len(alone))
    return spread


def _beyond_chance(alone: Floats, company: Floats) -> bool:
    """Whether runs of a random model tell alone from company better than they tell any two halves of all runs apart.

    A permutation test of the largest t over the columns: of a thousand columns with a few runs each some lie five
    estimated errors apart by chance alone.
    """
    if len(alone) < FEWEST:
        return False
    both, half = np.concatenate([alone, company]), len(alone)
    shuffled = np.random.default_rng(0)
    found = _largest_t(both[:half], both[half:])
    halves = (shuffled.permutation(len(both)) for _ in range(SHUFFLES))
    return all(
        found > _largest_t(both[order[:half]], both[order[half:]])
        for order in halves
        if set(order[:half]) not in (set(range(half)), set(range(half, len(both))))
    )


def _largest_t(left: Floats, right: Floats) -> float:
    distance = np.abs(left.mean(axis=0) - right.mean(axis=0))
    return float((distance / np.maximum(_error(left, right), 1e-12)).max())


def _finding(evidence: Evidence, same: SameAnswer, alone: Floats, company: Floats) -> Finding:
    shape = evidence.first.outputs[0].shape
    both = Answers(same.field, np.stack([alone, company], axis=1), shape, True)
    scores = as_probabilities(both, evidence.info)
    if scores is not None and np.abs(np.diff(scores.mean(axis=0), axis=0)).max() < VISIBLE:
        scores = None
    before, after = (both.values if scores is None else scores).mean(axis=0)
    column = 0 if scores is not None and len(before) == 2 else int(np.abs(after - before).argmax())
    reading = "value" if scores is None else "probability"
    module, blamed = _who(evidence)
    values: dict[str, Value] = {
        "mates": same.mates,
        "column": column,
        "reading": reading,
        "alone": float(before[column]),
        "company": float(after[column]),
        "module": module,
        "say": [f"ML150.{reading}"] if module is None else [f"ML150.{reading}", "ML150.where"],
    }
    return Finding("ML150", "warning", module, values, remedies=[set_eval(evidence.rows, blamed)] if blamed else [])


def _who(evidence: Evidence) -> tuple[str | None, list[str]]:
    """The first module that treats the sample otherwise in company, and which modules would not do so in eval.

    What draws at random is put in eval for the comparison.
    """
    rows = evidence.rows
    quiet = {
        rows.paths[index]: False
        for index, module in enumerate(rows.modules)
        if evidence.training(index) and catalog.describe(module, 0).kind in _RANDOM
    }
    seed = evidence.command.seed
    row = first_parting(
        evidence.trials,
        (evidence.inputs.part(0, 1), seed),
        (evidence.inputs.part(0, evidence.inputs.samples), seed),
        flags=quiet,
        same=close,
        cut=_first,
    )
    norms = [norm.path for norm in evidence.batch_norms if norm.uses == "batch"]
    return (None if row is None else rows.paths[row]), norms


def _first(tensor: torch.Tensor) -> torch.Tensor:
    return tensor[:1] if tensor.dim() else tensor
