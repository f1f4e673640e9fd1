"""What the Gradients page shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal["detach", "data", "item", "no_grad", "inference_mode", "integer", "operator"]


@dataclass(frozen=True)
class GradientRow:
    """One module. Parameters are counted as tensors of its subtree."""

    path: str
    name: str
    """What the root is called."""
    type: str
    parameters: int
    trainable: int
    received: int
    zero: int
    """Of those received: zero in every element."""
    norm: float | None
    kept: int
    """Bytes that autograd keeps of its subtree."""
    grad_fn: str | None
    calls: int
    cut: bool = False
    """With gradients on, its output does not require grad although its input or a parameter does."""
    grad_off: bool = False
    """It was called with gradients off."""
    moves: int = 0
    """Its own buffers that a run moves although its parameters are frozen."""
    leaf: bool = True

    @property
    def missing(self) -> int:
        """Trainable parameters that receive no gradient."""
        return self.trainable - self.received


@dataclass(frozen=True)
class CutLine:
    """A line behind which parameters get no gradient."""

    reason: Reason
    operator: str
    module: str
    source: str
    """``file.py:12``; empty where no line of the user's is known."""
    count: int
    names: tuple[str, ...]
    """The first of the ``count`` parameters."""


@dataclass(frozen=True)
class Times:
    """How many times as long: median and quartiles."""

    median: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class GradientsData:
    """Everything on the page."""

    rows: tuple[GradientRow, ...]
    cuts: tuple[CutLine, ...]
    samples: int
    seed: int
    scalar: str
    """What backward started from, in words; empty where there was no backward."""
    value: float | None
    problem: str
    """Why there was no backward, as a sentence."""
    parameters: int
    trainable: int
    received: int
    zero: int
    unreached: tuple[str, ...]
    """Names of trainable parameters without a gradient; perhaps not all."""
    unexplained: tuple[str, ...]
    """Those of them that lie before no cut that was seen."""
    kept: int
    forward: Times | None
    backward: Times | None
    milliseconds: float | None
    watched: bool
    grad_mode: str
    """The session's: ``enabled``, ``no_grad`` or ``inference_mode``."""
    all_eval: bool
    outdated: bool = False
