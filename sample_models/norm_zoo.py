"""Normalisation in every configuration: what a norm layer uses, and what it updates, are two questions.

All layers get the same signal, so their rows in the tree can be compared. ``frozen`` is in eval while the rest trains;
``toggled`` had ``track_running_stats`` switched off after it was built, and still normalises with its buffers in eval.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

CHECKPOINT: Path | None = None
CHANNELS = 8


def _one_dimension() -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "plain": nn.BatchNorm1d(CHANNELS),
            "cumulative": nn.BatchNorm1d(CHANNELS, momentum=None),
            "never_moves": nn.BatchNorm1d(CHANNELS, momentum=0.0),
            "no_affine": nn.BatchNorm1d(CHANNELS, affine=False),
            "untracked": nn.BatchNorm1d(CHANNELS, track_running_stats=False),
            "toggled": nn.BatchNorm1d(CHANNELS),
            "frozen": nn.BatchNorm1d(CHANNELS),
            "instance": nn.InstanceNorm1d(CHANNELS),
            "instance_tracked": nn.InstanceNorm1d(CHANNELS, affine=True, track_running_stats=True),
            "layer": nn.LayerNorm(16),
            "group": nn.GroupNorm(2, CHANNELS),
        }
    )


class NormZoo(nn.Module):
    """Signals batch × 8 × 16 through every norm; returns the mean power after each, batch × 15."""

    def __init__(self) -> None:
        super().__init__()
        self.one = _one_dimension()
        self.two = nn.ModuleDict(
            {"plain": nn.BatchNorm2d(CHANNELS), "tracked": nn.InstanceNorm2d(CHANNELS, track_running_stats=True)}
        )
        self.three = nn.ModuleDict(
            {"plain": nn.BatchNorm3d(CHANNELS), "tracked": nn.InstanceNorm3d(CHANNELS, track_running_stats=True)}
        )

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        image, volume = signal.reshape(-1, CHANNELS, 4, 4), signal.reshape(-1, CHANNELS, 2, 2, 4)
        normed = [norm(signal) for norm in self.one.values()]
        normed += [norm(image) for norm in self.two.values()]
        normed += [norm(volume) for norm in self.three.values()]
        return torch.stack([values.flatten(1).square().mean(1) for values in normed], dim=1)


def build() -> nn.Module:
    zoo = NormZoo()
    zoo.one["frozen"].eval()
    toggled = zoo.one["toggled"]
    assert isinstance(toggled, nn.BatchNorm1d)
    toggled.track_running_stats = False
    return zoo


def example_input() -> torch.Tensor:
    """Six signals with mean 2 and deviation 3: 6 × 8 × 16."""
    return 2 + 3 * torch.randn(6, CHANNELS, 16, generator=torch.Generator().manual_seed(0))
