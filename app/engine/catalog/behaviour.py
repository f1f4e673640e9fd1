"""What the catalogue says about a module, and how an entry of it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import nn

from modelight.protocol import Clause


@dataclass(frozen=True)
class Behaviour:
    """What a module does in its present state, and what it would do with its own flag flipped."""

    kind: str
    """The entry's name; "" where the catalogue does not know the class."""
    sensitive: bool
    """Whether it may act differently in train and eval."""
    effect: list[Clause]
    other: list[Clause]
    mutates: tuple[str, ...] = ()
    """Its own buffers and parameters that a forward writes in its present state."""


class Effect(NamedTuple):
    """What a module does in one mode."""

    clauses: list[Clause]
    mutates: tuple[str, ...] = ()
    aside: tuple[Clause, ...] = ()
    """Said with the rest, but no difference of results beyond rounding: a fused path, say."""
    reacts: bool | None = None
    """Whether the module is sensitive, where that does not follow from a difference between the two modes."""


Behave = Callable[[nn.Module, bool], Effect | None]


@dataclass(frozen=True)
class Entry:
    """One kind of layer.

    ``matches`` looks at the class alone (its answer is remembered); ``behave(module, training)`` at the instance, and
    may decline with None. ``facts`` and ``changes`` are for the table in ``docs/``; ``of`` names the classes meant.
    """

    kind: str
    of: str
    matches: Callable[[type], bool]
    behave: Behave
    facts: str
    changes: str = field(default="")
    """What a forward may write."""


def say(id_: str, **values: str | float | int | bool | None) -> Clause:
    """A clause in one line."""
    return Clause(id_, dict(values))


def number(module: nn.Module, *names: str) -> float | None:
    """The first of these attributes that there is, as a number.

    An attribute that is None counts as 0, as drop paths read it; anything else that is no number gives None.
    """
    for name in names:
        if name in module.__dict__ or hasattr(module, name):
            value = getattr(module, name)
            if value is None:
                return 0.0
            try:
                return float(value)
            except (TypeError, ValueError):
                return None
    return None
