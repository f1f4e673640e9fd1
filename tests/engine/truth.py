"""What a module really does in one mode, measured: the yardstick for what the catalogue says."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelight.engine import catalog
from modelight.engine.modules import flag

Forward = Callable[[nn.Module], Any]

RANDOM = {
    "drops",
    "drops-channels",
    "alpha-drops",
    "alpha-drops-channels",
    "drops-samples",
    "drops-batches",
    "drops-between-layers",
    "drops-attention",
    "random-slope",
}
"""The words that say: the same input gives another output."""


@dataclass(frozen=True)
class Seen:
    """What forwards showed."""

    random: bool
    """Forwards with eight seeds, each from the same state, did not all give the same."""
    moved: set[str]
    """Own parameters and buffers that a forward changed."""
    output: torch.Tensor


def see(module: nn.Module, training: bool, forward: Forward) -> Seen:
    """Run copies of ``module`` in one mode, its own flag alone written."""
    outputs = []
    moved: set[str] = set()
    for seed in range(8):
        part = copy.deepcopy(module)
        flag.write(part, training)
        before = {name: tensor.clone() for name, tensor in part.state_dict().items()}
        torch.manual_seed(seed)
        with torch.no_grad():
            output = forward(part)
        outputs.append(output[0] if isinstance(output, tuple) else output)
        moved |= {name for name, tensor in part.state_dict().items() if not torch.equal(tensor, before[name])}
    return Seen(any(not torch.equal(outputs[0], other) for other in outputs), moved, outputs[0])


def words(module: nn.Module, training: bool) -> list[str]:
    """What the catalogue says of one mode, as ids."""
    flag.write(module, training)
    return [clause.id for clause in catalog.describe(module).effect]


def check(module: nn.Module, forward: Forward) -> None:
    """Everything the catalogue claims of ``module``, in both modes, against what torch does."""
    seen = {training: see(module, training, forward) for training in (True, False)}
    for training in (True, False):
        flag.write(module, training)
        behaviour = catalog.describe(module)
        said = {clause.id for clause in behaviour.effect}
        assert bool(said & RANDOM) == seen[training].random, (training, said)
        assert set(behaviour.mutates) == seen[training].moved, (training, said)
        flag.write(module, not training)
        assert catalog.describe(module).effect == behaviour.other
        assert catalog.describe(module).other == behaviour.effect
        differs = seen[True].random or seen[True].moved != seen[False].moved
        differs = differs or not torch.allclose(seen[True].output, seen[False].output, atol=1e-5, equal_nan=True)
        assert behaviour.sensitive == differs
