"""Exact dropout masks, taken where they are drawn.

Comparing a layer's input with its output is wrong: after a ReLU half of the inputs are zero already. So the recorder is
told of every operator that draws (see ``modelight.engine.observing.dispatch``), copies the drawn noise at once, and
waits for the multiplication that applies it: that is the proof that it is a mask, and gives the values it fell on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from modelight.engine.modules import flag
from modelight.engine.observing import arrays, origin, uniform
from modelight.engine.observing.idle import Call, inside
from modelight.engine.observing.uniform import PATIENCE
from modelight.protocol import Clause

DROPOUTS = nn.modules.dropout._DropoutNd
CHECKED = 1024
"""Values of each product that are looked at: where the mask says dropped, it has to be zero (or NaN)."""


@dataclass
class Drop:
    """One call that dropped something, or could have. ``dropped`` is shaped as the noise: units, True = dropped."""

    module: nn.Module | None
    source: str | None
    function: str
    call: int
    p: float | None
    follows_flag: bool | None = None
    active: bool = True
    alpha: bool = False
    unit: str = "element"
    dropped: torch.Tensor | None = None
    input_shape: tuple[int, ...] | None = None
    """Of what the noise was multiplied with."""
    layer_shape: tuple[int, ...] | None = None
    """Of what the dropout layer was given: not the same where it added a dimension."""
    already_zero: int | None = None
    inputs: int | None = None
    unseen: Clause | None = None

    @property
    def observed(self) -> float | None:
        """Dropped units / all units; None where the mask was not seen."""
        if not self.active:
            return 0.0
        if self.dropped is None or self.dropped.numel() == 0:
            return None
        return count_nonzero(self.dropped) / self.dropped.numel()


@dataclass
class _Noise:
    """Zeros and ones that have not met their input yet."""

    drop: Drop | None
    """None where that it is a mask will only be sure when it is applied."""
    noise: torch.Tensor
    dropped: torch.Tensor
    found: origin.Origin
    p: float | None
    patience: int = PATIENCE

    def go_on(self, func: Any, args: Sequence[Any], result: Any) -> None:
        """One operator went by: perhaps it scaled the noise, cast it or turned it round."""
        self.patience -= 1
        same = uniform.goes_on(func, args, self.noise)
        if same is not None:
            self.noise, self.dropped = result, result == 0
            self.p = self.p if same or self.p is None else 1.0 - self.p


@dataclass
class Applied:
    """Noise that meets its input now."""

    drop: Drop
    dropped: torch.Tensor


class MaskRecorder:
    """Collects the :class:`Drop` values of one forward. ``running`` gives the innermost running module."""

    def __init__(self, running: Callable[[], nn.Module | None], owner: Callable[[], nn.Module | None]) -> None:
        self.drops: list[Drop] = []
        self._running = running
        self._owner = owner
        self._waiting: list[_Noise] = []
        self._uniform: list[uniform.Uniform] = []
        self._calls: Counter[tuple[int, str | None, str]] = Counter()

    @property
    def is_waiting(self) -> bool:
        """Whether some noise was drawn that no multiplication has taken yet."""
        return bool(self._waiting or self._uniform)

    # --------------------------------------------------------------------------------------------------- what is drawn

    def drawn(self, noise: torch.Tensor, keep: float | None, operator: str) -> None:
        """A tensor of zeros and ones was drawn, ones with probability ``keep``."""
        self._wait(noise, self._find(operator), keep)

    def _wait(self, noise: torch.Tensor, found: origin.Origin, keep: float | None) -> None:
        p = None if keep is None else 1.0 - keep
        drop = self._new(found, p)
        drop.unseen = Clause("noise-not-applied")
        self._waiting.append(_Noise(drop, noise, noise == 0, found, p))

    def drew_uniform(self, noise: torch.Tensor, operator: str) -> None:
        """Values from 0 to 1 were drawn, which may become a mask."""
        self._uniform.append(uniform.Uniform(self._find(operator), noise))

    def whole(self, noise: torch.Tensor, operator: str) -> None:
        """A lone zero, which is what dropout multiplies with at p = 1 instead of drawing."""
        found = self._find(operator)
        if "dropout" in found.function.lower():
            self._waiting.append(_Noise(self._new(found, 1.0), noise, noise == 0, found, 1.0))

    def masked(self, kept: torch.Tensor, values: torch.Tensor, p: float, operator: str) -> None:
        """A fused dropout returned its mask, True where kept."""
        drop = self._new(self._find(operator), p)
        self._describe(drop, values)
        drop.dropped = ~kept.bool()

    def hidden(self, operator: str, p: float | None, reason: Clause) -> None:
        """Something drops inside a fused kernel, where its mask is not seen."""
        self._new(self._find(operator), p).unseen = reason

    def _find(self, operator: str) -> origin.Origin:
        return origin.find(self._running(), operator)

    def _new(self, found: origin.Origin, p: float | None) -> Drop:
        owner = self._owner()
        p = found.p if found.p is not None or p is None else round(p, 12)
        drop = self._drop(owner, found.source, found.function, p)
        drop.follows_flag = self._follows(found, owner)
        return drop

    def _drop(self, module: nn.Module | None, source: str | None, function: str, p: float | None) -> Drop:
        key = (id(module), source, function)
        drop = Drop(module, source, function, self._calls[key], p, alpha="alpha" in function.lower())
        self._calls[key] += 1
        self.drops.append(drop)
        return drop

    def _follows(self, found: origin.Origin, owner: nn.Module | None) -> bool | None:
        if owner is not None and flag.read(owner) is False:
            return False  # it drops, though the flag says eval
        if found.is_layer and self._running() is not owner:
            return False  # a layer that is not registered: train() and eval() never reach it
        return found.follows_flag

    # ------------------------------------------------------------------------------------------------ what it falls on

    def multiplying(self, left: Any, right: Any) -> Applied | None:
        """Before ``left * right``: if one of them is a waiting noise, describe what it falls on."""
        return self._applying(right, left) or self._applying(left, right)

    def filling(self, values: Any, mask: Any) -> Applied | None:
        """Before ``values.masked_fill(mask, 0)``: there the ones are what is dropped."""
        applied = self._applying(mask, values, turned=True)
        if applied is not None:
            applied.dropped = ~applied.dropped
        return applied

    def _applying(self, mask: Any, values: Any, turned: bool = False) -> Applied | None:
        if not isinstance(values, torch.Tensor) or not values.is_floating_point():
            return None
        for waiting in self._waiting:
            if uniform.is_same(mask, waiting.noise):
                self._waiting.remove(waiting)
                p = waiting.p if not turned or waiting.p is None else 1.0 - waiting.p
                drop = waiting.drop or self._new(waiting.found, p)
                self._describe(drop, values)
                return Applied(drop, waiting.dropped)
        return None

    def applied(self, waiting: Applied, product: torch.Tensor) -> None:
        """After it: the mask counts if what it says was dropped is zero."""
        holds = _holds(waiting.dropped, product)
        drop = waiting.drop
        drop.dropped = waiting.dropped if holds else None
        drop.unseen = None if holds else Clause("mask-check-failed")
        if holds and waiting.dropped.dim() == 0 and drop.input_shape is not None:
            drop.dropped = waiting.dropped.expand(drop.input_shape)
        if drop.dropped is not None and drop.input_shape is not None:
            drop.unit = unit_of(drop.function, drop.dropped.shape, drop.input_shape)

    def follow(self, func: Any, args: Sequence[Any], result: Any) -> None:
        """One operator went by while something was waiting."""
        for waiting in self._waiting:
            waiting.go_on(func, args, result)
        for draw in self._uniform:
            keep = draw.goes_on(func, args, result)
            if keep is not None and result.dtype is torch.bool:
                # A comparison may be anything: it is a mask if something is multiplied by it.
                self._waiting.append(_Noise(None, result, result == 0, draw.found, 1.0 - keep))
            elif keep is not None:
                self._wait(result, draw.found, keep)
        self._waiting = [waiting for waiting in self._waiting if waiting.patience > 0]
        self._uniform = [draw for draw in self._uniform if draw.patience > 0]

    def _describe(self, drop: Drop, values: torch.Tensor) -> None:
        drop.input_shape = tuple(values.shape)
        drop.inputs = values.numel()
        drop.already_zero = drop.inputs - count_nonzero(values)

    # ------------------------------------------------------------------------------ layers and calls that draw nothing

    def finish_layer(self, module: nn.Module, seen: int, shape: tuple[int, ...], registered: bool = True) -> None:
        """A dropout layer returned; ``seen`` drops were known when it was entered.

        One that is not ``registered`` is listed under the module that called it, by its line.
        """
        if len(self.drops) > seen:
            for drop in self.drops[seen:]:
                drop.layer_shape = shape
            return
        p = float(getattr(module, "p", 0.0))
        drop = self._drop(module if registered else self._owner(), origin.source(), type(module).__name__, p)
        drop.follows_flag = registered
        drop.active = bool(flag.read(module)) and p > 0
        drop.input_shape = shape
        drop.unit = unit_of(drop.function, shape, shape)
        drop.unseen = Clause("dropout-not-dispatched") if drop.active else None

    def idle(self, call: Call) -> None:
        """A function that drops was called, and drops nothing now."""
        found = self._find(call.function)
        self._idle(self._owner(), call, found.source, found.follows_flag)

    def finish_other(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Any other layer of the tree returned: perhaps one with dropouts inside that are off."""
        for call in inside(module, args, output):
            self._idle(module, call, origin.source(), True)

    def _idle(self, module: nn.Module | None, call: Call, source: str | None, follows: bool | None) -> None:
        drop = self._drop(module, source, call.function, call.p)
        drop.follows_flag = follows
        drop.active = False
        drop.input_shape = call.shape
        drop.unit = unit_of(call.function, call.shape, call.shape)


def count_nonzero(values: torch.Tensor) -> int:
    """How many elements are not zero (NaN is not)."""
    plain = values.detach()
    if not arrays.is_plain(plain):
        return int(torch.count_nonzero(plain))
    # Five times as fast as torch's: the comparison is vectorised, and so is counting booleans.
    return int(np.count_nonzero(arrays.values(plain) != 0))


def _holds(dropped: torch.Tensor, product: torch.Tensor) -> bool:
    """Whether the product is zero (or NaN: infinity times zero) wherever the mask says dropped, on a sample."""
    values, total = product.detach(), product.numel()
    step = max(1, total // CHECKED) | 1
    if dropped.shape == values.shape and dropped.is_contiguous() and values.is_contiguous():
        values, flags = values.view(-1)[::step], dropped.view(-1)[::step]
    else:
        try:
            mask = dropped.expand_as(values)
        except RuntimeError:
            return False
        where = torch.unravel_index(torch.arange(0, total, step, device=values.device), values.shape)
        values, flags = values[where], mask[where]
    return not bool(((values != 0) & ~values.isnan() & flags).any())


def unit_of(function: str, mask: Sequence[int], values: Sequence[int]) -> str:
    """What one draw decides over: an ``element``, a whole ``channel`` or a whole ``sample``."""
    if any(part in function.lower() for part in ("1d", "2d", "3d", "feature")):
        return "channel"
    if tuple(mask) == tuple(values):
        return "element"
    if len(mask) > 1 and all(size == 1 for size in mask[1:]):
        return "sample"
    return "channel" if len(mask) > 2 and all(size == 1 for size in mask[2:]) else "element"
