"""Exact dropout masks, taken where they are drawn.

Comparing a layer's input with its output is wrong: after a ReLU half of the inputs are zero already. So the recorder is
told of every operator that draws (see ``modelight.engine.observing.dispatch``), follows what becomes of the noise, and
waits for the multiplication that applies it: that is the proof that it is a mask, and gives the values it fell on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from modelight.engine.modules import code, flag
from modelight.engine.observing import arrays, origin, uniform
from modelight.engine.observing.idle import Call, inside
from modelight.engine.observing.uniform import Draw, Even, Law, Two
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
    follows: bool | None = None
    """What the code and the moment of the call say of the flag; see :attr:`follows_flag`."""
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
    def follows_flag(self) -> bool | None:
        """Whether the module's training flag decides; asked after the run, when every flag is what it was before.

        A forward that switches itself to train, and back at its end, drops whatever mode the model is in.
        """
        if self.active and self.module is not None and flag.read(self.module) is False:
            return False
        return self.follows

    @property
    def observed(self) -> float | None:
        """Dropped units / all units; None where the mask was not seen."""
        if not self.active:
            return 0.0
        if self.dropped is None or self.dropped.numel() == 0:
            return None
        return count_nonzero(self.dropped) / self.dropped.numel()


@dataclass
class Applied:
    """Noise that meets its input now: each drop with what it drops, shaped as the noise. Masks may have been joined."""

    parts: list[tuple[Drop, torch.Tensor]]


class MaskRecorder:
    """Collects the :class:`Drop` values of one forward. ``running`` gives the innermost running module."""

    def __init__(self, running: Callable[[], nn.Module | None], owner: Callable[[], nn.Module | None]) -> None:
        self.drops: list[Drop] = []
        self._running = running
        self._owner = owner
        self._waiting: list[Draw] = []
        self._joining: list[Draw] = []
        self._calls: Counter[tuple[int, str | None, str]] = Counter()

    @property
    def is_waiting(self) -> bool:
        """Whether some noise was drawn that no multiplication has taken yet."""
        return bool(self._waiting)

    # --------------------------------------------------------------------------------------------------- what is drawn

    def drawn(self, noise: torch.Tensor, keep: float | None, operator: str) -> None:
        """A tensor of zeros and ones was drawn, ones with probability ``keep``."""
        self._wait(noise, Two(0.0, 1.0, keep), self._find(operator), sure=True)

    def drew_uniform(self, noise: torch.Tensor, operator: str, low: float = 0.0, high: float = 1.0) -> None:
        """Values between two bounds were drawn, which may become a mask."""
        self._wait(noise, Even(low, high), self._find(operator), sure=False)

    def whole(self, noise: torch.Tensor, operator: str) -> None:
        """A lone zero, which is what dropout multiplies with at p = 1 instead of drawing."""
        found = self._find(operator)
        if "dropout" in found.function.lower():
            self._wait(noise, Two(0.0, 1.0, 0.0), found, sure=True)

    def _wait(self, noise: torch.Tensor, law: Law, found: origin.Origin, sure: bool) -> None:
        for other in self._waiting:
            other.forget(noise)
        draw = Draw(found, self._not_applied(found, law) if sure else None)
        draw.add(noise, law)
        self._waiting.append(draw)

    def _not_applied(self, found: origin.Origin, law: Law) -> Drop:
        drop = self._new(found, _probability(law, False))
        drop.unseen = Clause("noise-not-applied")
        return drop

    def masked(self, kept: torch.Tensor, values: torch.Tensor, p: float, operator: str) -> None:
        """A fused dropout returned its mask, True where kept."""
        drop = self._new(self._find(operator), p)
        self._describe(drop, _values(values))
        drop.dropped = ~_values(kept).bool()

    def hidden(self, operator: str, p: float | None, reason: Clause) -> None:
        """Something drops inside a fused kernel, where its mask is not seen."""
        self._new(self._find(operator), p).unseen = reason

    def _find(self, operator: str) -> origin.Origin:
        return origin.find(self._running(), operator)

    def _new(self, found: origin.Origin, p: float | None) -> Drop:
        owner = self._owner()
        p = found.p if found.p is not None or p is None else round(p, 12)
        drop = self._drop(owner, found.source, found.function, p)
        drop.follows = self._follows(found, owner)
        return drop

    def _drop(self, module: nn.Module | None, source: str | None, function: str, p: float | None) -> Drop:
        key = (id(module), source, function)
        drop = Drop(module, source, function, self._calls[key], p, alpha="alpha" in function.lower())
        self._calls[key] += 1
        self.drops.append(drop)
        return drop

    def _follows(self, found: origin.Origin, owner: nn.Module | None) -> bool | None:
        if found.is_layer and self._running() is not owner:
            return False  # a layer that is not registered: train() and eval() never reach it
        if owner is not None and code.overrides_flag(owner):
            return False  # it asks for its flag, and a setting of its own decides
        return found.follows_flag

    # ------------------------------------------------------------------------------------------------ what it falls on

    def multiplying(self, left: Any, right: Any) -> Applied | None:
        """Before ``left * right``: if one of them is a waiting noise, describe what it falls on."""
        if self._join(left, right):
            return None
        return self._applying(right, left) or self._applying(left, right)

    def _join(self, left: Any, right: Any) -> bool:
        """A mask is multiplied by another: their product is one of both, and each keeps in mind what is its own."""
        first, second = self._masks_of(left), self._masks_of(right)
        if not first or not second or any(draw in second for draw in first):
            return False
        for draws, mask in ((first, left), (second, right)):
            for draw in draws:
                draw.own = draw.own or (uniform.once(mask) == 0, _probability(draw.law_of(mask), False))
        self._joining = [*first, *second]
        return True

    def filling(self, values: Any, mask: Any) -> Applied | None:
        """Before ``values.masked_fill(mask, 0)``: there the ones are what is dropped."""
        return self._applying(mask, values, ones=True)

    def _applying(self, mask: Any, values: Any, *, ones: bool = False, overwritten: bool = False) -> Applied | None:
        """``ones``: those of the mask drop; ``overwritten``: the values that were dropped are not at hand any more."""
        if not isinstance(values, torch.Tensor) or not (values.is_floating_point() or values.is_complex()):
            return None
        draws = [] if uniform.is_scale_of(values, mask) else self._masks_of(mask)
        if not draws or any(draw.law_of(values) is not None for draw in draws):
            return None
        parts = []
        for draw in draws:
            self._waiting.remove(draw)
            dropped, p = draw.own or (_dropped(mask, ones), _probability(draw.law_of(mask), ones))
            drop = self._sure(draw, p)
            self._describe(drop, values, overwritten)
            parts.append((drop, dropped))
        return Applied(parts)

    def _masks_of(self, value: Any) -> list[Draw]:
        """The draws that a tensor of zeros and something else was made of."""
        laws = ((draw, draw.law_of(value)) for draw in self._waiting)
        return [draw for draw, law in laws if isinstance(law, Two) and 0 in (law.off, law.on)]

    def _sure(self, draw: Draw, p: float | None) -> Drop:
        drop: Drop | None = draw.drop
        if drop is None:
            return self._new(draw.found, p)
        if p is None or drop.p is None or abs(p - drop.p) > 1e-9:
            drop.p = None if p is None else round(p, 12)  # it was turned round, or pooled, on the way
        return drop

    def applied(self, waiting: Applied, product: torch.Tensor) -> None:
        """After it: a mask counts if what it says was dropped is zero."""
        for drop, dropped in waiting.parts:
            self._check(drop, dropped, product)

    def _check(self, drop: Drop, dropped: torch.Tensor, product: torch.Tensor) -> None:
        if drop.input_shape is not None and drop.input_shape != product.shape:
            self._spread(drop, product)
        holds = _holds(dropped, product)
        drop.dropped = dropped if holds else None
        drop.unseen = None if holds else Clause("mask-check-failed")
        if holds and dropped.dim() == 0 and drop.input_shape is not None:
            # At p = 1 torch multiplies every value by a lone zero; else one draw decides over all of them.
            drop.dropped = dropped.expand(drop.input_shape if drop.p == 1 else [1] * len(drop.input_shape))
        if drop.dropped is not None and drop.input_shape is not None:
            drop.unit = unit_of(drop.function, drop.dropped.shape, drop.input_shape)

    def _spread(self, drop: Drop, product: torch.Tensor) -> None:
        """The values were repeated over the noise: each counts as often as it was multiplied."""
        times = product.numel() // drop.inputs if drop.inputs else 1
        drop.input_shape, drop.inputs = tuple(product.shape), product.numel()
        drop.already_zero = None if drop.already_zero is None else drop.already_zero * times

    def follow(self, func: Any, args: Sequence[Any], result: Any) -> None:
        """One operator went by while something was waiting."""
        by = uniform.known(func)
        if by is not None and by.fills:
            self._fill(by, args, result)
        if by is not None and by.name in uniform.AND and not by.writes:
            self._join(*args[:2])
        joining, self._joining = self._joining, []
        taken = False
        expired = False
        for draw in self._waiting:
            draw.patience -= 1
            expired |= draw.patience <= 0
            law = None if by is None else draw.follow(by, args, result)
            if law is not None and draw.drop is None and draw.rounded:
                draw.drop = self._not_applied(draw.found, law)
            if law is not None and by is not None and by.name in uniform.LOGIC:
                if taken and draw.own is None:
                    draw.forms.pop()  # what was made of two draws, and is neither's own, is told once
                taken = True
        for draw in joining:
            draw.add(result, Two(0.0, math.nan, None))
        if expired:
            self._waiting = [draw for draw in self._waiting if draw.patience > 0]

    def _fill(self, by: uniform.Operator, args: Sequence[Any], result: Any) -> None:
        """Values were filled with zero by another operator than a multiplication."""
        for filling in uniform.fillings(by, args):
            if not self._masks_of(filling.mask) or not uniform.is_zero(filling.filler):
                continue
            met = self._applying(filling.mask, filling.values, ones=filling.ones, overwritten=by.writes)
            if met is not None:
                if filling.leading:
                    met.parts = [(drop, _over_leading(dropped, filling.values)) for drop, dropped in met.parts]
                self.applied(met, filling.values if by.writes else result)
                return

    def _describe(self, drop: Drop, values: torch.Tensor, overwritten: bool = False) -> None:
        drop.input_shape = tuple(values.shape)
        drop.inputs = values.numel()
        drop.already_zero = None if overwritten else drop.inputs - count_nonzero(values)

    # ------------------------------------------------------------------------------ layers and calls that draw nothing

    def finish_layer(self, module: nn.Module, seen: int, shape: tuple[int, ...], registered: bool = True) -> None:
        """A dropout layer returned; ``seen`` drops were known when it was entered.

        One that is not ``registered`` is listed under the module that called it, by its line.
        """
        known = all(isinstance(size, int) for size in shape)  # a nested tensor has one without a number
        if len(self.drops) > seen:
            for drop in self.drops[seen:]:
                # Within vmap the layer is given one sample, and the operators all of them.
                if known and drop.input_shape is not None and math.prod(drop.input_shape) == math.prod(shape):
                    drop.layer_shape = shape
            return
        p = float(getattr(module, "p", 0.0))
        drop = self._drop(module if registered else self._owner(), origin.source(), type(module).__name__, p)
        drop.follows = registered
        drop.active = bool(flag.read(module)) and p > 0
        drop.input_shape = shape if known else None
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
        drop.follows = follows
        drop.active = False
        drop.input_shape = call.shape
        drop.unit = unit_of(call.function, call.shape or (), call.shape or ())


def _dropped(mask: torch.Tensor, ones: bool) -> torch.Tensor:
    drawn = uniform.once(mask)
    return drawn != 0 if ones else drawn == 0


def _over_leading(dropped: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """What lies over the first dimensions of the values, broadcast over the rest."""
    return dropped.reshape(*dropped.shape, *[1] * (values.dim() - dropped.dim()))


def _values(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself; of a nested one all its values after one another."""
    return tensor.values() if tensor.is_nested else tensor


def _probability(law: Law | None, ones: bool) -> float | None:
    """With which zeros (or ones, whatever is not zero) come out of two values."""
    if not isinstance(law, Two) or law.p is None:
        return None
    return law.p if (law.on == 0) != ones else 1.0 - law.p


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
    """What one draw decides over: an ``element``, a whole ``channel``, a whole ``sample`` or the whole ``batch``."""
    if any(part in function.lower() for part in ("1d", "2d", "3d", "feature")):
        return "channel"
    if tuple(mask) == tuple(values):
        return "element"
    if all(size == 1 for size in mask) and len(values) > 0 and (len(values) == 1 or values[0] > 1):
        return "batch"
    if len(mask) > 1 and all(size == 1 for size in mask[1:]):
        return "sample"
    return "channel" if len(mask) > 2 and all(size == 1 for size in mask[2:]) else "element"
