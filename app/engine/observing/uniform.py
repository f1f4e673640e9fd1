"""What noise becomes on its way to a mask: ``floor(keep + rand)`` of older drop paths, ``rand < keep`` of hand-written
dropouts, the pooled and turned-round masks of DropBlock, a mask that is drawn small and expanded.

A uniform draw alone is nothing (it may be an augmentation, a slope, a start): it counts once it has become zeros and
ones, and a comparison only once a tensor was multiplied by it or filled with zero where it says so. The law of the
values is carried along, so that the probability told is the one with which a zero comes out.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import torch
from torch._ops import OpOverload

from modelight.engine.observing.memory import region_of
from modelight.engine.observing.origin import Origin

PATIENCE, BRIEFLY = 200, 24
"""Operators within which two values have to meet what they mask, and other noise has to come to two values."""
FORMS = 12
"""Of one draw so many tensors are kept at a time: sums of noise and activations could go on through the whole model."""


class Even(NamedTuple):
    """Every value between two bounds is equally likely."""

    low: float
    high: float


class Two(NamedTuple):
    """Only two values come out, ``on`` with probability ``p``. NaN and None where that is not known."""

    off: float
    on: float
    p: float | None


class Other(NamedTuple):
    """Noise of which no more is known."""


Law = Even | Two | Other
BITS = Two(0.0, 1.0, None)

# ------------------------------------------------------------------------------------------------- how the law goes on

_SAME = frozenset(
    (
        *("_to_copy", "to", "type_as", "clone", "contiguous", "alias", "detach", "lift_fresh", "view", "_unsafe_view"),
        *("reshape", "_reshape_alias", "view_as", "reshape_as", "unsqueeze", "squeeze", "expand", "expand_as"),
        *("broadcast_to", "repeat", "repeat_interleave", "permute", "transpose", "t", "numpy_T", "movedim", "select"),
        *("slice", "narrow", "flatten", "unflatten", "index", "index_select"),
    )
)
"""Operators that hand values on as they are, all or some of them, in another form."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")
}
_TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
_STEPS: dict[str, tuple[Callable[[float], float], float]] = {
    # What it does to one value; and where it steps, as floor(value + …), which is the same almost everywhere.
    "floor": (math.floor, 0.0),
    "round": (round, 0.5),
    "ceil": (math.ceil, 1.0),
}
_NOT = ("bitwise_not", "logical_not")
AND = ("bitwise_and", "__and__", "logical_and")
LOGIC = (*AND, "bitwise_or", "__or__", "logical_or")
_POOLED = ("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices")
_PADDED = ("constant_pad_nd", "pad")
_DRAWS = ("bernoulli", "uniform", "rand")
_PARTLY = ("index_put", "masked_fill", "masked_scatter", "index_fill", "index_copy", "scatter")
"""Operators that write over some of the values."""
_ARITHMETIC = ("add", "sub", "rsub", "mul", "div", "neg", "where")
_FILLING = ("where", "masked_fill", "index_put")
_FOLLOWED = _SAME.union(_COMPARE, _STEPS, _NOT, LOGIC, _POOLED, _PADDED, _ARITHMETIC)


def _affine(law: Law, scale: float, shift: float) -> Law:
    """The law of ``scale · value + shift``."""
    if isinstance(law, Two) and scale != 0:
        off, on = (shift if value == 0 else value * scale + shift for value in (law.off, law.on))
        return Two(off, on, law.p)
    if isinstance(law, Even) and math.isfinite(scale) and math.isfinite(shift) and scale != 0:
        return Even(*sorted((law.low * scale + shift, law.high * scale + shift)))
    return Other()


def _mapped(law: Two, function: Callable[[float], float]) -> Law | None:
    if math.isnan(law.off) or math.isnan(law.on):
        return BITS
    off, on = float(function(law.off)), float(function(law.on))
    return None if off == on else Two(off, on, law.p)


def _compared(law: Law, name: str, threshold: float | None) -> Law | None:
    if threshold is None or math.isnan(threshold) or isinstance(law, Other):
        return BITS
    if isinstance(law, Two):
        return _mapped(law, lambda value: _COMPARE[name](value, threshold))
    if name in ("eq", "ne"):
        return None
    below = min(max((threshold - law.low) / (law.high - law.low), 0.0), 1.0)
    return Two(0.0, 1.0, below if name in ("lt", "le") else 1.0 - below)


def _stepped(law: Law, name: str) -> Law | None:
    """Of a law that spans less than two steps, the two whole numbers that come out."""
    function, shift = _STEPS[name]
    if isinstance(law, Two):
        return _mapped(law, function)
    if isinstance(law, Other):
        return law
    first = math.floor(law.low + shift)
    step = first + 1 - shift
    if law.high > step + 1:
        return Other()
    p = min(max((law.high - step) / (law.high - law.low), 0.0), 1.0)
    return Two(float(first), float(first + 1), p)


def _linear(law: Law, name: str, place: int, other: Any) -> Law | None:
    """Sums, products and quotients of noise at ``place`` with something else."""
    value = number(other)
    if name in ("add", "sub", "rsub"):
        if value is None:
            return Other()
        if name == "add":
            return _affine(law, 1.0, value)
        first = (place == 0) == (name == "sub")
        return _affine(law, 1.0, -value) if first else _affine(law, -1.0, value)
    if name == "mul":
        if value is None:
            return None if isinstance(law, Two) else Other()  # of two values and a tensor, a mask is told elsewhere
        return _affine(law, value, 0.0)
    if place == 1:
        return None
    return _affine(law, 1 / value if value else math.nan, 0.0)


def _chosen(law: Two, one: float | None, zero: float | None) -> Law | None:
    """Of ``torch.where(mask, one, zero)`` with two numbers."""
    return None if one is None or zero is None else _mapped(law, lambda value: one if value else zero)


def number(value: Any) -> float | None:
    """What a number or a tensor of one value is: NaN where it is one, but is not read; None for other tensors."""
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        return None
    readable = type(value) is torch.Tensor and value.device.type == "cpu" and not value.is_complex()
    return float(value.detach().item()) if readable else math.nan


def _goes_on(name: str, law: Law, place: int, args: Sequence[Any]) -> Law | None:
    """The law of what an operator makes of noise that is its argument at ``place``; None where that is no noise."""
    other = args[1 - place] if len(args) > 1 else None
    if name in _COMPARE:
        return _compared(law, name if place == 0 else _TURNED[name], number(other))
    if name in ("add", "sub", "rsub", "mul", "div"):
        return _linear(law, name, place, other)
    if name in LOGIC:
        return BITS
    if place != 0:
        return None
    if name in _SAME:
        return law
    if name in _STEPS:
        return _stepped(law, name)
    if name == "neg":
        return _affine(law, -1.0, 0.0)
    if name == "where":
        return _chosen(law, *map(number, args[1:3])) if isinstance(law, Two) and len(args) == 3 else None
    if name in _NOT:
        return _mapped(law, operator.not_) if isinstance(law, Two) else None
    if name in _POOLED or (name in _PADDED and not any(args[2:3] if name != "pad" else args[3:])):
        return law._replace(p=None) if isinstance(law, Two) else Other()
    return None


class Operator(NamedTuple):
    """What an operator may do to noise."""

    name: str
    """Without namespace and the underscore of an operator that works in place."""
    writes: bool
    """Whether it works in place."""
    into: bool
    """Whether it writes its result into a tensor that it was given as ``out=``."""
    fills: bool
    """Whether it may fill values with zero where a mask says so. (Multiplications are told elsewhere.)"""


@cache
def known(func: Any) -> Operator | None:
    """None where an operator neither hands noise on nor writes to anything."""
    if not isinstance(func, OpOverload):
        return None
    name, mutable = func._schema.name.removeprefix("aten::"), bool(func._schema.is_mutable)
    name = name[:-1] if mutable and name.endswith("_") and not name.endswith("__") else name
    if name in _DRAWS or not (mutable or name in _FOLLOWED or name in _FILLING):
        return None
    into = any(argument.is_out for argument in func._schema.arguments)
    return Operator(name, mutable and not into, into, name in _FILLING)


# -------------------------------------------------------------------------------------------------------- what is kept


class _Form(NamedTuple):
    """A tensor that was made of a draw, and the law of its values."""

    tensor: torch.Tensor
    address: int
    law: Law


@dataclass(eq=False)
class Draw:
    """One draw and what was made of it so far."""

    found: Origin
    drop: Any = None
    """What is known of it as a dropout; None where that it is a mask will only be sure when it is applied."""
    rounded: bool = False
    """Whether it was brought to two whole numbers, which is done for a mask alone. A comparison may be anything."""
    own: tuple[torch.Tensor, float | None] | None = None
    """What it drops, and with which probability, where its mask was then multiplied by another."""
    patience: int = BRIEFLY
    forms: list[_Form] = field(default_factory=list)

    def add(self, made: torch.Tensor, law: Law) -> None:
        """A tensor was drawn, or made of what was."""
        self.forms.append(_Form(made, _address(made), law))
        if len(self.forms) > FORMS:
            del self.forms[1]
        if isinstance(law, Two):
            self.patience = PATIENCE

    def forget(self, written: Any, partly: bool = False) -> None:
        """A tensor was written to, or some of it: whatever looks at the same memory holds something else now.

        Where some values are still those that were drawn, the tensor may still mask, with a probability not known.
        """
        if not _address(written):
            return
        place = region_of(written)
        partly |= place[2] - place[1] != written.numel() * written.element_size()
        kept = []
        for form in self.forms:
            own = region_of(form.tensor) if form.address else (0, 0, 0)
            if own[0] != place[0] or own[2] <= place[1] or place[2] <= own[1]:
                kept.append(form)
            elif partly or own[1] < place[1] or place[2] < own[2]:
                masks = isinstance(form.law, Two) and 0 in (form.law.off, form.law.on)
                kept.append(form._replace(law=Two(0.0, math.nan, None) if masks else Other()))
        self.forms = kept

    def law_of(self, value: Any) -> Law | None:
        """The law of a tensor that is one of the forms, or looks at all of one in the same shape; None for others."""
        address = _address(value)
        for form in reversed(self.forms):
            if value is form.tensor or (address and address == form.address and value.shape == form.tensor.shape):
                return form.law
        return None

    def follow(self, by: Operator, args: Sequence[Any], result: Any) -> Law | None:
        """An operator went by. Returns the law of its result, where that was made of this draw."""
        for place, value in enumerate(args[:2]):
            law = self.law_of(value)
            if law is not None:
                self._overwrite(by, args, result)
                new = self._made(result, _goes_on(by.name, law, place, args))
                self.rounded |= by.name in _STEPS and isinstance(new, Two)
                return new
        self._overwrite(by, args, result)
        return None

    def _overwrite(self, by: Operator, args: Sequence[Any], result: Any) -> None:
        if by.writes and args:
            self.forget(args[0], partly=by.name in _PARTLY)
        for made in (result if isinstance(result, (tuple, list)) else (result,)) if by.into else ():
            self.forget(made)

    def _made(self, result: Any, law: Law | None) -> Law | None:
        made = result[0] if isinstance(result, (tuple, list)) and result else result
        if law is None or not isinstance(made, torch.Tensor):
            return None
        if not made.is_floating_point():
            law = _mapped(law, bool if made.dtype is torch.bool else int) if isinstance(law, Two) else None
        if law is not None:
            self.add(made, law)
        return law


def _address(value: Any) -> int:
    """Where a tensor's values begin; 0 where it has none, or none that can be told."""
    if not isinstance(value, torch.Tensor):
        return 0
    try:
        return value.data_ptr() if value.layout is torch.strided else 0
    except RuntimeError:  # some subclasses hold other tensors, and no memory of their own
        return 0


class Filling(NamedTuple):
    """Values that were replaced by ``filler`` where ``mask`` is true (or false, if not ``ones``)."""

    mask: torch.Tensor
    values: torch.Tensor
    filler: Any
    ones: bool
    leading: bool = False
    """Whether the mask lies over the first dimensions, as an index does, instead of the last."""


def fillings(by: Operator, args: Sequence[Any]) -> list[Filling]:
    """What ``torch.where``, ``masked_fill`` with a tensor and ``values[mask] = …`` may have filled in."""
    if by.name == "where" and len(args) == 3:
        mask, one, zero = args
        return [Filling(mask, one, zero, False), Filling(mask, zero, one, True)]
    if by.name == "masked_fill":
        return [Filling(args[1], args[0], args[2], True)] if isinstance(args[2], torch.Tensor) else []
    if by.name == "index_put" and len(args) == 3 and len(args[1]) == 1:
        return [Filling(args[1][0], args[0], args[2], True, leading=True)]
    return []


def is_zero(value: Any) -> bool:
    """Whether a number is zero, or every value of a tensor."""
    if isinstance(value, torch.Tensor):
        return value.numel() > 0 and not bool(torch.count_nonzero(value.detach()))
    return isinstance(value, (int, float)) and value == 0


def is_scale_of(value: Any, mask: Any) -> bool:
    """Whether a tensor of one value scales a mask of several, instead of being dropped by it."""
    tensors = isinstance(value, torch.Tensor) and isinstance(mask, torch.Tensor)
    return tensors and value.numel() == 1 and mask.numel() > 1


def once(mask: torch.Tensor) -> torch.Tensor:
    """A mask without the repetitions that ``expand`` made of it: what was drawn once."""
    for dimension, step in enumerate(mask.stride()):
        if step == 0 and mask.shape[dimension] > 1:
            mask = mask.narrow(dimension, 0, 1)
    return mask


def bounds(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[float, float]:
    """Between which ``uniform_(tensor, from, to)`` draws."""
    low = args[1] if len(args) > 1 else kwargs.get("from", 0.0)
    high = args[2] if len(args) > 2 else kwargs.get("to", 1.0)
    return float(low), float(high)


def keep_of(p: Any, probabilities: Any) -> float | None:
    """With which probability ``bernoulli(probabilities)`` and ``bernoulli(tensor, p)`` draw ones, if with one alone."""
    if isinstance(p, float):
        return p
    if p is not None or type(probabilities) is not torch.Tensor or not probabilities.numel():
        return None
    low, high = torch.aminmax(probabilities.detach())
    return float(low) if low == high else None
