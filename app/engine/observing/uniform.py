"""Masks made from uniform noise: ``floor(keep + rand)`` of older drop paths, ``rand < keep`` of hand-written dropouts.

A uniform draw alone is nothing (it may be an augmentation, a slope, a start): it counts once it has become zeros and
ones, and a comparison only once a tensor was multiplied by it or filled with zero where it says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from modelight.engine.observing.origin import Origin

aten = torch.ops.aten

PATIENCE = 12
"""Operators within which a draw has to go on to be a mask, to count as one."""

_ADD = (aten.add.Tensor, aten.add_.Tensor)
_FLOOR = (aten.floor.default, aten.floor_.default)
_BELOW = (aten.lt.Scalar, aten.le.Scalar)
_ABOVE = (aten.gt.Scalar, aten.ge.Scalar)
_NOT = (aten.bitwise_not.default, aten.logical_not.default)
_SAME = (
    aten._to_copy.default,
    aten.to.dtype,
    aten.div.Tensor,
    aten.div_.Tensor,
    aten.view.default,
    aten.reshape.default,
    aten.unsqueeze.default,
)


def is_same(value: Any, noise: torch.Tensor) -> bool:
    """Whether a tensor is the noise, or looks at all of it in the same shape."""
    if value is noise:
        return True
    return (
        isinstance(value, torch.Tensor)
        and value.shape == noise.shape
        and value.data_ptr() == noise.data_ptr()
        and value.numel() > 0
    )


def is_unit_interval(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether ``uniform_(tensor, from, to)`` draws from 0 to 1."""
    low = args[1] if len(args) > 1 else kwargs.get("from", 0.0)
    high = args[2] if len(args) > 2 else kwargs.get("to", 1.0)
    return bool(low == 0 and high == 1)


def goes_on(func: Any, args: Sequence[Any], noise: torch.Tensor) -> bool | None:
    """Whether an operator hands zeros and ones on: True as they are (or scaled), False turned round; None: neither."""
    if not args or not is_same(args[0], noise):
        return None
    if func in _NOT:
        return False if noise.dtype is torch.bool else None
    if func in (aten.div.Tensor, aten.div_.Tensor):
        return True if isinstance(args[1], (int, float)) and args[1] > 0 else None
    return True if func in _SAME else None


@dataclass
class Uniform:
    """Noise from 0 to 1, perhaps shifted, that is not a mask yet."""

    found: Origin
    noise: torch.Tensor
    shift: float = 0.0
    patience: int = PATIENCE

    def goes_on(self, func: Any, args: Sequence[Any], result: Any) -> float | None:
        """One operator went by. Returns the probability of a one, where its result is zeros and ones made of this."""
        self.patience -= 1
        if len(args) == 2 and func in _ADD:
            self._add(args[0], args[1], result)
        elif args and is_same(args[0], self.noise):
            if func in _FLOOR and 0 <= self.shift <= 1:
                return self.shift
            if len(args) == 2 and func in (*_BELOW, *_ABOVE):
                below = min(max(float(args[1]) - self.shift, 0.0), 1.0)
                return below if func in _BELOW else 1.0 - below
        return None

    def _add(self, left: Any, right: Any, result: Any) -> None:
        for noise, number in ((left, right), (right, left)):
            if is_same(noise, self.noise) and isinstance(number, (int, float)):
                self.noise, self.shift = result, self.shift + number
                return
