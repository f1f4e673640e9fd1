"""Where two runs of the same input part first, and which random generator is behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from modelight.engine.batches import Batch
from modelight.engine.experiments.trials import Flags, Trials
from modelight.engine.outputs import fields

Same = Callable[[torch.Tensor, torch.Tensor], bool]
MEMORY = 512 * 2**20
"""Bytes of activations kept for the comparison at most; modules after that are not compared."""


@dataclass
class _Tape:
    """What went in and out of every call of a module, in the order in which the calls ended."""

    cut: Callable[[torch.Tensor], torch.Tensor]
    calls: list[tuple[int, list[torch.Tensor], list[torch.Tensor]]] = field(default_factory=list)
    held: int = 0

    def hear(self, row: int, module: nn.Module, args: Any, output: Any) -> None:
        if self.held > MEMORY:
            return
        taken = [[self.cut(tensor).detach().clone() for _, tensor in fields(part)] for part in (list(args), output)]
        self.held += sum(tensor.nbytes for part in taken for tensor in part)
        self.calls.append((row, taken[0], taken[1]))


def first_parting(
    trials: Trials,
    left: tuple[Batch, int],
    right: tuple[Batch, int],
    *,
    flags: Flags | None = None,
    same: Same = torch.equal,
    cut: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor,
) -> int | None:
    """The row of the first module that got the same in two runs (batch and seed each) and gave something else.

    Calls are compared in the order in which they end, so it is the innermost such module: a leaf, or the module whose
    own forward does it between its children. ``cut`` picks the part of each tensor that is compared. None if none
    differs.

    Raises:
        EngineError: the model raised.
        Cancelled: the trials were stopped.
    """
    tapes = []
    for batch, seed in (left, right):
        tape = _Tape(cut)
        trials.forward(batch, seed=seed, flags=flags, heard=tape.hear)
        tapes.append(tape)
    for one, other in zip(tapes[0].calls, tapes[1].calls, strict=False):
        if one[0] != other[0]:
            return None
        if _all_same(one[1], other[1], same) and not _all_same(one[2], other[2], same):
            return one[0]
    return None


def _all_same(left: list[torch.Tensor], right: list[torch.Tensor], same: Same) -> bool:
    return len(left) == len(right) and all(a.shape == b.shape and same(a, b) for a, b in zip(left, right, strict=True))


def close(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Equal up to what the order of float sums explains: kernels choose it by batch size."""
    if not left.is_floating_point():
        return torch.equal(left, right)
    scale = max(float(left.abs().max()), float(right.abs().max())) if left.numel() else 0.0
    return torch.allclose(left, right, rtol=0.0, atol=rounding(left.dtype) * scale, equal_nan=True)


def rounding(dtype: torch.dtype) -> float:
    """Share of the values' size that rounding may move them by in a network of ordinary depth; 0 for whole numbers."""
    if not dtype.is_floating_point:
        return 0.0
    return {torch.float64: 1e-9, torch.float32: 1e-4}.get(dtype, 3e-2)
