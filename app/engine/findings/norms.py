"""ML110 to ML117 and ML170: which statistics are used, which are moved, and whether they mean anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from modelight.engine.findings.evidence import Evidence
from modelight.engine.findings.rule import set_eval
from modelight.engine.modules import policy
from modelight.protocol import Clause, Finding, NormCapture, Remedy, Value

DRIFT = 3.0
"""Median drift over channels, in running deviations, from which inputs and running statistics do not belong
together."""
Floats = np.ndarray[Any, np.dtype[np.float64]]


def batch_statistics(evidence: Evidence) -> Iterator[Finding]:
    """Layers in train normalise with the batch they are in, and move their running statistics."""
    norms = evidence.batch_norms
    if not norms:
        return
    paths = [norm.path for norm in norms]
    moved = evidence.moved(evidence.first, set(paths))
    kept = evidence.command.keep_updates
    moves = ("kept" if kept else "restored") if moved else "none"
    values: dict[str, Value] = {
        "layers": len(norms),
        "buffers": len(moved),
        "first": paths[0],
        "batch": evidence.command.batch,
        "largest": max((entry.max_change or 0.0 for entry in moved), default=0.0),
        "title": "ML110.title.one" if len(norms) == 1 else "ML110.title",
        "say": [f"ML110.{moves}.one" if len(moved) == 1 else f"ML110.{moves}"],
    }
    yield Finding("ML110", "warning", paths[0], values, remedies=[set_eval(evidence.rows, paths, "freeze-statistics")])


def frozen_but_moving(evidence: Evidence) -> Iterator[Finding]:
    """Norm layers whose parameters are frozen, in a model that trains others, still move their running statistics."""
    if evidence.command.grad_mode != "enabled" and not _partly_frozen(evidence):
        return
    frozen = [norm.path for norm in evidence.batch_norms if norm.updates and _is_frozen(evidence, norm)]
    moved = evidence.moved(evidence.first, set(frozen))
    if not moved:
        return
    values: dict[str, Value] = {
        "layers": len(frozen),
        "buffers": len(moved),
        "first": frozen[0],
        "title": "ML111.title.one" if len(frozen) == 1 else "ML111.title",
    }
    yield Finding(
        "ML111", "warning", frozen[0], values, remedies=[set_eval(evidence.rows, frozen, "freeze-statistics")]
    )


def _is_frozen(evidence: Evidence, norm: NormCapture) -> bool:
    own = [tensor for tensor in evidence.rows.modules[norm.row]._parameters.values() if tensor is not None]
    return bool(own) and not any(tensor.requires_grad for tensor in own)


def _partly_frozen(evidence: Evidence) -> bool:
    flags = {parameter.requires_grad for parameter in evidence.model.parameters()}
    return len(flags) == 2


def left_checkpoint(evidence: Evidence) -> Iterator[Finding]:
    """Running statistics are not what was loaded: train-mode runs were kept since."""
    apart: list[tuple[float, str]] = []
    buffers = 0
    for norm in evidence.first.norms:
        if norm.running_mean is None or norm.checkpoint_mean is None:
            continue
        if norm.running_var is None or norm.checkpoint_var is None:
            continue
        mean, var = norm.running_mean.numpy(), norm.running_var.numpy()
        old_mean, old_var = norm.checkpoint_mean.numpy(), norm.checkpoint_var.numpy()
        if mean.shape != old_mean.shape:
            continue
        pairs = ((mean, old_mean), (var, old_var))
        differs = sum(not np.array_equal(now, then, equal_nan=True) for now, then in pairs)
        if differs:
            buffers += differs + int(norm.tracked != norm.checkpoint_tracked)
            apart.append((_deviations(mean, old_mean, old_var), norm.path))
    if apart:
        furthest = max(apart)
        values: dict[str, Value] = {
            "layers": len(apart),
            "buffers": buffers,
            "furthest": furthest[1],
            "deviations": furthest[0],
        }
        values["title"] = "ML112.title.one" if len(apart) == 1 else "ML112.title"
        restore = Remedy("restore-checkpoint", python=["model.load_state_dict(state)  # what the checkpoint held"])
        yield Finding("ML112", "warning", furthest[1], values, remedies=[restore])


def _deviations(now: Floats, then: Floats, var: Floats) -> float:
    """Largest move of a running mean, in the checkpoint's running deviations; channels without variance left out."""
    known = np.isfinite(var) & (var > 0) & np.isfinite(now) & np.isfinite(then)
    return float((np.abs(now - then)[known] / np.sqrt(var[known])).max()) if known.any() else 0.0


def batch_does_not_match(evidence: Evidence) -> Iterator[Finding]:
    """In eval, real inputs reach a layer far away from what it learned to expect."""
    if not evidence.real or len(evidence.real) < len(evidence.is_noise):
        return
    far: list[tuple[NormCapture, Floats]] = []
    for norm in evidence.evaluated.norms:
        if norm.uses != "running" or norm.drift is None or _marks(evidence, norm.row):
            continue
        drift = norm.drift.numpy()
        if np.isfinite(drift).all() and drift.size and float(np.median(drift)) > DRIFT:
            far.append((norm, drift))
    if far:
        norm, drift = far[0]
        values: dict[str, Value] = {
            "layers": len(far),
            "first": norm.path,
            "channels": int(drift.size),
            "median": float(np.median(drift)),
            "largest": float(drift.max()),
            "samples": evidence.inputs.samples,
        }
        yield Finding("ML114", "warning", norm.path, values)


def _marks(evidence: Evidence, row: int) -> list[Clause]:
    """What is wrong with a layer's statistics."""
    about = ("zero-variance", "negative-variance", "untouched-statistics")
    return [
        clause
        for clause in policy.marks(evidence.rows.modules[row])
        if clause.id in about or str(clause.values.get("tensor", "")).startswith("running_")
    ]


def broken_statistics(evidence: Evidence) -> Iterator[Finding]:
    """NaN, infinity, zero or negative variance in the buffers that eval divides by."""
    for norm in evidence.first.norms:
        clause = next((mark for mark in _marks(evidence, norm.row) if mark.id != "untouched-statistics"), None)
        if clause is None or policy.policy(evidence.rows.modules[norm.row], training=False) is None:
            continue
        used = norm.uses == "running"
        values: dict[str, Value] = {
            **clause.values,
            "say": [f"ML115.{clause.id}", "ML115.used" if used else "ML115.hidden"],
        }
        yield Finding("ML115", "critical" if used else "warning", norm.path, values)


def untouched_statistics(evidence: Evidence) -> Iterator[Finding]:
    """Layers that normalise with the statistics of a new layer, which do nothing."""
    found = [
        norm.path
        for norm in evidence.first.norms
        if norm.uses == "running"
        and norm.batch_mean is not None
        and any(mark.id == "untouched-statistics" for mark in _marks(evidence, norm.row))
    ]
    if found:
        values: dict[str, Value] = {"layers": len(found), "first": found[0]}
        values["title"] = "ML116.title.one" if len(found) == 1 else "ML116.title"
        yield Finding("ML116", "warning", found[0], values)


def moves_in_eval(evidence: Evidence) -> Iterator[Finding]:
    """With every flag in eval a forward still rewrites parameters or buffers."""
    entries = [entry for entry in evidence.evaluated.ledger.entries if entry.kind in ("parameter", "buffer")]
    if entries:
        first = entries[0]
        owner = first.name.rpartition(".")[0]
        values: dict[str, Value] = {"tensors": len(entries), "first": first.name, "largest": first.max_change}
        yield Finding("ML117", "warning", owner, values)


def moves_in_train(evidence: Evidence) -> Iterator[Finding]:
    """Parameters and buffers of other than norm layers that a run rewrites because of its modes."""
    norms = {norm.path for norm in evidence.first.norms}
    always = {entry.name for entry in evidence.evaluated.ledger.entries}
    entries = [
        entry
        for entry in evidence.first.ledger.entries
        if entry.kind in ("parameter", "buffer")
        and entry.name not in always
        and entry.name.rpartition(".")[0] not in norms
    ]
    if entries:
        owner = entries[0].name.rpartition(".")[0]
        values: dict[str, Value] = {
            "tensors": len(entries),
            "first": entries[0].name,
            "largest": entries[0].max_change,
            "say": ["ML118.kept" if evidence.command.keep_updates else "ML118.restored"],
        }
        yield Finding("ML118", "warning", owner, values, remedies=[set_eval(evidence.rows, [""])])


def needs_more_values(evidence: Evidence) -> Iterator[Finding]:
    """The model raises in its present state, for want of a second value per channel."""
    error = evidence.problem
    cause = error.__cause__ if error is not None else None
    if error is None or not isinstance(cause, ValueError) or "more than 1 value per channel" not in str(cause):
        return
    module = error.module or ""
    paths = _in_train(evidence)
    values: dict[str, Value] = {
        "batch": evidence.command.batch,
        "samples": evidence.inputs.samples,
        "error": str(cause),
    }
    yield Finding("ML170", "critical", module, values, remedies=[set_eval(evidence.rows, paths or [module])])


def _in_train(evidence: Evidence) -> list[str]:
    rows = evidence.rows
    return [
        rows.paths[row]
        for row, module in enumerate(rows.modules)
        if isinstance(module, torch.nn.Module)
        and rows.index_of(module) == row
        and evidence.training(row)
        and (rule := policy.policy(module)) is not None
        and rule.uses == "batch"
    ]
