"""Where two runs of the same input part first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from modelight.engine.batches import Batch
from modelight.engine.experiments.trials import Flags, Trials
from modelight.engine.observing.outputs import fields

Same = Callable[[torch.Tensor, torch.Tensor], bool]
Cut = Callable[[torch.Tensor], torch.Tensor]
MEMORY = 512 * 2**20
"""Bytes of activations kept for the comparison at most; modules after that are not compared."""


class Call(NamedTuple):
    """One call of a module: its first row, and detached copies of the tensors that went in and came out."""

    row: int
    given: list[torch.Tensor]
    gave: list[torch.Tensor]


@dataclass
class _Tape:
    """What went in and out of every call of a module, in the order in which the calls ended."""

    cut: Cut
    calls: list[Call] = field(default_factory=list)
    held: int = 0

    def hear(self, row: int, module: nn.Module, args: Any, output: Any) -> None:
        if self.held > MEMORY:
            return
        taken = [[self.cut(tensor).detach().clone() for _, tensor in fields(part)] for part in (list(args), output)]
        self.held += sum(tensor.nbytes for part in taken for tensor in part)
        self.calls.append(Call(row, taken[0], taken[1]))


def listen(
    trials: Trials,
    batch: Batch,
    seed: int,
    *,
    flags: Flags | None = None,
    cut: Cut = lambda tensor: tensor,
    prepared: Callable[[], object] = lambda: None,
) -> list[Call]:
    """Every call of a module in one forward, in the order in which the calls end. ``cut`` picks the part of each tensor
    that is kept; ``prepared`` is called after the seeding.

    Raises:
        EngineError: the model raised.
        Cancelled: the trials were stopped.
    """
    tape = _Tape(cut)
    trials.forward(batch, seed=seed, flags=flags, heard=tape.hear, prepared=prepared)
    return tape.calls


def parting(left: Sequence[Call], right: Sequence[Call], same: Same = torch.equal) -> int | None:
    """Position of the first call of a module that got the same in two runs and gave something else.

    As calls stand in the order in which they end, it is the innermost such module: a leaf, or the module whose own
    forward does it between its children. None if none differs, or if other modules were called before one did.
    """
    for position, (one, other) in enumerate(zip(left, right, strict=False)):
        if one.row != other.row:
            return None
        if all_same(one.given, other.given, same) and not all_same(one.gave, other.gave, same):
            return position
    return None


def first_parting(
    trials: Trials,
    left: tuple[Batch, int],
    right: tuple[Batch, int],
    *,
    flags: Flags | None = None,
    same: Same = torch.equal,
    cut: Cut = lambda tensor: tensor,
) -> int | None:
    """The row of the first module that got the same in two runs (batch and seed each) and gave something else; see
    :func:`parting`.

    Raises:
        EngineError: the model raised.
        Cancelled: the trials were stopped.
    """
    calls = [listen(trials, batch, seed, flags=flags, cut=cut) for batch, seed in (left, right)]
    found = parting(calls[0], calls[1], same)
    return None if found is None else calls[0][found].row


def all_same(left: Sequence[torch.Tensor], right: Sequence[torch.Tensor], same: Same) -> bool:
    """Whether as many tensors of the same shapes are the same, one by one."""
    return len(left) == len(right) and all(a.shape == b.shape and same(a, b) for a, b in zip(left, right, strict=True))


def identical(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Equal, where NaN equals NaN."""
    return torch.equal(left, right) or bool(((left == right) | ((left != left) & (right != right))).all())


def close(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Equal up to what the order of float sums explains: kernels choose it by batch size."""
    if not left.is_floating_point():
        return torch.equal(left, right)
    finite = [part[part.isfinite()].abs() for part in (left, right)]
    scale = max((float(part.max()) for part in finite if part.numel()), default=0.0)
    return torch.allclose(left, right, rtol=0.0, atol=rounding(left.dtype) * scale, equal_nan=True)


def rounding(dtype: torch.dtype) -> float:
    """Share of the values' size that rounding may move them by in a network of ordinary depth; 0 for whole numbers."""
    if not dtype.is_floating_point:
        return 0.0
    return {torch.float64: 1e-9, torch.float32: 1e-4}.get(dtype, 3e-2)
