"""Normalisation layers: which statistics they use and move, as ``modelight.engine.modules.policy`` computes it."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from modelight.engine.catalog.behaviour import Effect, Entry, say
from modelight.engine.modules import code, policy
from modelight.protocol import Clause

_STATISTICS = ("running_mean", "running_var")


def _by_policy(module: nn.Module, training: bool) -> Effect | None:
    rule = policy.policy(module, training)
    return None if rule is None or rule.fixed else Effect([_clause(rule)], _mutates(rule))


def _clause(rule: policy.Policy) -> Clause:
    if rule.fails:
        return say("raises-without", buffer=rule.fails)
    if rule.uses == "running":
        return Clause("running-stats")
    if not rule.updates:
        return Clause(f"{rule.uses}-stats-counts" if rule.counts_only else f"{rule.uses}-stats")
    if rule.still:
        return Clause(f"{rule.uses}-stats-still")
    if rule.momentum is None:
        return Clause(f"{rule.uses}-stats-cumulative")
    return say(f"{rule.uses}-stats-updates", momentum=rule.momentum)


def _mutates(rule: policy.Policy) -> tuple[str, ...]:
    moved = _STATISTICS if rule.updates and not rule.still else ()
    return (*moved, "num_batches_tracked") if rule.counts else moved


def _look_alike(module: nn.Module, training: bool) -> Effect | None:
    """Others' norms, as in-place or synchronised ones: which statistics they use when is their own business."""
    reads = code.flag_reads(module)
    if not reads or all(policy.buffer(module, name) is None for name in _STATISTICS):
        return None
    return Effect([say("norm-reads-flag", source=reads[0].source)], reacts=True)


def _frozen(module: nn.Module, training: bool) -> Effect | None:
    return Effect([Clause("fixed-stats")]) if policy.is_frozen_norm(module) else None


ENTRIES = (
    Entry(
        "batch_norm",
        "BatchNorm1d/2d/3d, SyncBatchNorm, lazy ones, subclasses that act by their flag",
        lambda kind: issubclass(kind, _BatchNorm),
        _by_policy,
        "Normalises with this batch's statistics if training or without running ones, else with the running ones. "
        "Updates those if training, track_running_stats and the buffers exist; without them only the counter moves. "
        "momentum None: cumulative average 1/n; momentum 0: never moves.",
        "running_mean, running_var, num_batches_tracked",
    ),
    Entry(
        "instance_norm",
        "InstanceNorm1d/2d/3d, lazy ones",
        lambda kind: issubclass(kind, _InstanceNorm),
        _by_policy,
        "With track_running_stats: each instance's statistics in train (and updates the running ones), the running "
        "ones in eval. Without: the mode has no effect. momentum None never moves; num_batches_tracked stays 0.",
        "running_mean, running_var",
    ),
    Entry(
        "norm_like",
        "others' classes with running_mean or running_var whose code reads the flag",
        lambda kind: True,
        _look_alike,
        "Reads its flag, to use and update its running statistics most likely: seen in a run.",
        "seen in a run",
    ),
    Entry(
        "frozen_norm",
        "FrozenBatchNorm2d and any class with running_mean and running_var whose code neither reads the flag nor moves "
        "or bypasses them",
        lambda kind: True,
        _frozen,
        "Normalises with fixed statistics in both modes.",
    ),
)
