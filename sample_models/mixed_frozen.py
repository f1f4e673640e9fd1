"""Fine-tuning gone wrong: ``requires_grad=False`` does not freeze running statistics.

The backbone was "frozen" by switching its gradients off, and its first norm put in eval. Its second norm was
forgotten: it still normalises with the batch and still updates its buffers, although no gradient ever reaches it. The
head, which is what should train, came in eval from the loader, so that its dropout never drops.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

CHECKPOINT: Path | None = None


class FineTuned(nn.Module):
    """Pictures batch × 3 × 16 × 16 to logits, batch × 5."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(16, 5))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.backbone(images).mean((2, 3)))
        return logits


def build() -> nn.Module:
    model = FineTuned()
    model.backbone.requires_grad_(False)
    model.backbone[1].eval()
    model.head.eval()
    return model


def example_input() -> torch.Tensor:
    """Six coloured noise pictures: 6 × 3 × 16 × 16."""
    return torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
