"""How far inputs differ, module by module: the experiment that finds where a network stops listening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled, EngineError, ShouldStop, never_stop
from modelight.engine.experiments.trials import Trials, all_flags
from modelight.engine.modules.rows import Rows
from modelight.engine.observing.outputs import fields
from modelight.protocol import Curve, GradMode

VALUES = 1024
"""Values of each module's output that are followed, at even distances."""
DEAD = 0.1
"""Inputs have stopped differing where their spread in train is below this share of that in eval, and stays there."""
VANISHED = 1e-4
"""A layer's values have vanished where their size is below this share of what it is in the other mode."""
NOTHING = 1e-4
"""A spread in eval below this is none: there is nothing to lose."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class _Spread:
    """Running sums of one module's output over inputs, as differences from the first one, which cancel exactly."""

    first: Floats
    total: Floats
    squares: Floats
    size: Floats
    count: int = 1
    comparable: bool = True

    @staticmethod
    def start(values: Floats) -> _Spread:
        return _Spread(values, np.zeros_like(values), np.zeros_like(values), values**2)

    def add(self, values: Floats) -> None:
        if values.shape != self.first.shape:
            self.comparable = False
            return
        moved = values - self.first
        self.total += moved
        self.squares += moved**2
        self.size += values**2
        self.count += 1

    @property
    def power(self) -> float:
        """Mean square over inputs and followed values."""
        return float((self.size / self.count).mean())

    def relative(self, other: _Spread | None) -> float | None:
        """sqrt(variance over inputs / mean square), both averaged over the followed values: 0 all equal, 1 nothing in
        common. A layer whose values all but vanish in this mode is measured by its size in the ``other``: what then
        differs is rounding.

        None where shapes differ between inputs, or a value is not finite.
        """
        variance = float((self.squares / self.count - (self.total / self.count) ** 2).mean())
        power = max(self.power, VANISHED**2 * other.power if other is not None and other.comparable else 0.0)
        if not self.comparable or not np.isfinite(variance) or not np.isfinite(power):
            return None
        return float(np.sqrt(max(0.0, variance) / power)) if power > 0 else 0.0


@dataclass
class _Recorder:
    """Listens to every leaf; the last call of a module in one forward counts."""

    order: list[int] = field(default_factory=list)
    heard: dict[int, Floats] = field(default_factory=dict)
    spreads: dict[int, _Spread] = field(default_factory=dict)

    def hear(self, row: int, module: nn.Module, args: Any, output: Any) -> None:
        tensor = next((tensor for _, tensor in fields(output) if tensor.is_floating_point()), None)
        if module._modules or tensor is None or tensor.numel() == 0:
            return
        flat = tensor.detach().reshape(-1)
        step = -(-flat.numel() // VALUES)
        self.heard[row] = flat[::step].to("cpu", torch.float64, copy=True).numpy()
        if row not in self.order:
            self.order.append(row)

    def next_input(self) -> None:
        for row, values in self.heard.items():
            known = self.spreads.get(row)
            if known is None:
                self.spreads[row] = _Spread.start(values)
            else:
                known.add(values)
        self.heard.clear()

    def at(self, row: int, other: _Recorder | None) -> float | None:
        spread = self.spreads.get(row)
        return None if spread is None else spread.relative(None if other is None else other.spreads.get(row))


def spread_curve(
    model: nn.Module,
    inputs: Inputs,
    rows: Rows,
    *,
    grad_mode: GradMode,
    seed: int,
    samples: Sequence[int],
    should_stop: ShouldStop = never_stop,
) -> Curve | None:
    """Run ``samples`` one per batch with all flags in train, then in eval, and tell how far they differ after each
    leaf module.

    Every sample meets the same seed, so equal masks fall on equal places and random layers do not pass for a
    difference of inputs.
    Returns None for fewer than two samples, an input that cannot be cut, or a model that raises in eval. Where it
    raises in train, that curve is empty.

    Raises:
        Cancelled: ``should_stop`` said so.
    """
    if len(samples) < 2 or not inputs.splittable:
        return None
    trials = Trials(model, rows, grad_mode, should_stop)
    evaluated = _record(trials, inputs, samples, seed, training=False)
    trained = _record(trials, inputs, samples, seed, training=True)
    if evaluated is None:
        return None
    order = evaluated.order
    eval_ = [evaluated.at(row, trained) for row in order]
    train = [None if trained is None else trained.at(row, evaluated) for row in order]
    return Curve(rows=order, train=train, eval=eval_, collapse=_collapse(train, eval_))


def _record(trials: Trials, inputs: Inputs, samples: Sequence[int], seed: int, *, training: bool) -> _Recorder | None:
    recorder = _Recorder()
    flags = all_flags(trials.rows, training)
    try:
        for sample in samples:
            trials.forward(inputs.part(sample, sample + 1), seed=seed, flags=flags, heard=recorder.hear)
            recorder.next_input()
    except Cancelled:
        raise
    except EngineError:
        return None
    return recorder


def _collapse(train: list[float | None], eval_: list[float | None]) -> int | None:
    """The first position from which on inputs differ in eval and no longer in train."""
    first = None
    for position in reversed(range(len(train))):
        now, then = train[position], eval_[position]
        if now is None or then is None:
            continue
        if then < NOTHING or now >= DEAD * then:
            return first
        first = position
    return first
