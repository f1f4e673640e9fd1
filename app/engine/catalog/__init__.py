"""What each kind of layer does in train and in eval: a table of small entries, tried in order; each may decline.

A new kind of layer is one entry in ``drops``, ``norms`` or ``others`` with one test. What no entry knows is found by
listening (``modelight.engine.modules.listen``) or in its class's code (``modelight.engine.modules.code``).
"""

from __future__ import annotations

import torch
from torch import nn

from modelight.engine.catalog import containers, drops, norms, others
from modelight.engine.catalog.behaviour import Behaviour, Effect, Entry
from modelight.engine.modules import code, flag

__all__ = ["ENTRIES", "Behaviour", "Effect", "Entry", "count_sensitive", "describe"]

ENTRIES: tuple[Entry, ...] = (*drops.ENTRIES, *norms.ENTRIES, *others.ENTRIES)


@code.for_each_class
def _candidates(kind: type) -> tuple[Entry, ...]:
    return tuple(entry for entry in ENTRIES if entry.matches(kind))


def describe(module: nn.Module, below: int | None = None) -> Behaviour:
    """What ``module`` does now and what it would do with its own flag flipped, from its actual state.

    ``below`` is how many sensitive modules its subtree holds, itself included, where the caller has counted already.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return containers.script(module)
    training = bool(flag.read(module))
    for entry in _candidates(type(module)):
        now = entry.behave(module, training)
        if now is not None:
            flipped = entry.behave(module, not training) or now
            return _behaviour(entry.kind, now, flipped)
    if not module._modules:
        return containers.leaf(module)
    return containers.container(module, count_sensitive(module) if below is None else below)


def count_sensitive(module: nn.Module) -> int:
    """How many distinct modules of the subtree, ``module`` included, may act differently in train and eval."""
    return sum(describe(part, 0).sensitive for part in module.modules())


def _behaviour(kind: str, now: Effect, flipped: Effect) -> Behaviour:
    differs = (now.clauses, now.mutates) != (flipped.clauses, flipped.mutates)
    sensitive = differs if now.reacts is None else now.reacts
    return Behaviour(kind, sensitive, [*now.clauses, *now.aside], [*flipped.clauses, *flipped.aside], now.mutates)
