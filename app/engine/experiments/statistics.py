"""What each normalisation layer with running statistics is fed in eval, exactly and per channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from modelight.engine import policy
from modelight.engine.batches import Inputs
from modelight.engine.experiments.answers import Floats
from modelight.engine.experiments.trials import Flags, Trials


@dataclass
class Fed:
    """One layer's input over several forwards: sums per channel, float64."""

    row: int
    smallest: int
    """Fewest values per channel in one forward."""
    count: int = 0
    total: Floats = field(default_factory=lambda: np.zeros(0))
    squares: Floats = field(default_factory=lambda: np.zeros(0))

    def mean(self) -> Floats:
        return self.total / self.count

    def variance(self) -> Floats:
        """Biased, as the layer would divide by it."""
        return np.maximum(self.squares / self.count - self.mean() ** 2, 0.0)


def feed(
    trials: Trials, inputs: Inputs, *, batch: int, seed: int, samples: Sequence[int] | None = None, flags: Flags
) -> dict[int, Fed]:
    """Per first row of a normalisation layer, in the order of their first call, what reached it in one pass over the
    inputs.

    ``samples`` are run one by one; without them all are run, ``batch`` per forward.

    Raises:
        EngineError: the model raised.
        Cancelled: the trials were stopped.
    """
    found: dict[int, Fed] = {}

    def hear(row: int, module: nn.Module, args: Any, output: Any) -> None:
        if policy.policy(module) is not None and args and isinstance(args[0], torch.Tensor) and args[0].dim() > 1:
            _add(found, row, args[0].detach())

    parts = inputs.batches(batch) if samples is None else (inputs.part(one, one + 1) for one in samples)
    for part in parts:
        trials.forward(part, seed=seed, flags=flags, heard=hear)
    return found


def _add(found: dict[int, Fed], row: int, tensor: torch.Tensor) -> None:
    channels = tensor.transpose(0, 1).flatten(1).to("cpu", torch.float64)
    count = channels.shape[1]
    total, squares = channels.sum(1).numpy(), channels.square().sum(1).numpy()
    known = found.get(row)
    if known is None:
        found[row] = Fed(row, count, count, total, squares)
        return
    known.smallest = min(known.smallest, count)
    known.count += count
    known.total, known.squares = known.total + total, known.squares + squares


def drift(module: nn.Module, fed: Fed) -> Floats | None:
    """|mean of the inputs − running mean| / running deviation, per channel; None where that means nothing."""
    mean, var = module._buffers.get("running_mean"), module._buffers.get("running_var")
    if mean is None or var is None or mean.numel() != fed.total.size:
        return None
    centre, spread = (tensor.detach().to("cpu", torch.float64).numpy() for tensor in (mean, var))
    if not np.isfinite(centre).all() or not np.isfinite(spread).all() or (spread <= 0).any():
        return None
    apart: Floats = np.abs(fed.mean() - centre) / np.sqrt(spread)
    return apart
