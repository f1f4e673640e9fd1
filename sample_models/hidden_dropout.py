"""Randomness that ``eval()`` misses: dropout that is called, not registered.

Four ways to get it wrong, one module each. ``F.dropout`` is on unless ``training=`` is passed;
``scaled_dot_product_attention`` has no training flag at all; an ``nn.Dropout`` made inside ``forward`` is born in
train mode; and modules in a plain list are no children of anyone, so no ``eval()`` ever reaches them.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

CHECKPOINT: Path | None = None
WIDTH = 16


class Functional(nn.Module):
    """``F.dropout(x)`` without ``training=self.training``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, 0.2)


class Attention(nn.Module):
    """``dropout_p`` given whatever the mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)


class MadeInside(nn.Module):
    """A new dropout at every call, each born with ``training = True``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dropped: torch.Tensor = nn.Dropout(0.3)(x)
        return dropped


class PlainList(nn.Module):
    """Layers in a Python list instead of an ``nn.ModuleList``: not in ``parameters()``, not reached by ``eval()``."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(WIDTH, WIDTH), nn.Dropout(0.4)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class HiddenDropout(nn.Module):
    """Sequences batch × 5 × 16 to one value each, batch × 1."""

    def __init__(self) -> None:
        super().__init__()
        self.functional = Functional()
        self.attention = Attention()
        self.made_inside = MadeInside()
        self.plain_list = PlainList()
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.made_inside(self.attention(self.functional(x)))
        value: torch.Tensor = self.head(self.plain_list(x).mean(1))
        return value


def build() -> nn.Module:
    return HiddenDropout().eval()


def example_input() -> torch.Tensor:
    """Four sequences: 4 × 5 × 16."""
    return torch.randn(4, 5, WIDTH, generator=torch.Generator().manual_seed(0))
