"""Stochastic depth: random in eval, because the flag that counts is an argument with a default.

``drop_path(x, p)`` skips the whole branch for some samples. The first block hands its own flag over; the second
forgot to, and so drops in eval as well, although every module says eval.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

CHECKPOINT: Path | None = None
WIDTH = 12


def drop_path(x: torch.Tensor, p: float, training: bool = True) -> torch.Tensor:
    """Zero ``x`` for a share ``p`` of the samples, and scale the others by 1/(1 − p)."""
    if p == 0 or not training:
        return x
    keep = x.new_empty((x.shape[0],) + (1,) * (x.dim() - 1)).bernoulli_(1 - p)
    return x * keep / (1 - p)


class Careful(nn.Module):
    """A residual block whose branch is dropped in train mode only."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + drop_path(self.branch(x), 0.3, self.training)


class Forgetful(Careful):
    """The same, with the last argument forgotten."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + drop_path(self.branch(x), 0.3)


def build() -> nn.Module:
    return nn.Sequential(Careful(), Forgetful(), nn.Linear(WIDTH, 3)).eval()


def example_input() -> torch.Tensor:
    """Eight vectors: 8 × 12."""
    return torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(0))
