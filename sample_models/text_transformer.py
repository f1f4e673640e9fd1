"""A transformer encoder with dropout: the same sentence twice, two answers.

In train mode each layer draws four dropouts: on the attention weights, on both residuals and inside the feed-forward
part. In eval and without gradients PyTorch takes a fused path instead, in which the inner modules are never called:
hooks on them see nothing, and their presence alone switches the path off, which moves the output in its last digits.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

CHECKPOINT: Path | None = None
CLASSES = ("question", "statement", "order")
WORDS, LENGTH, WIDTH = 100, 12, 32


class TextTransformer(nn.Module):
    """Sentence classifier over tokens, batch × :data:`LENGTH`; returns logits, batch × 3."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.1)
        layer = nn.TransformerEncoderLayer(WIDTH, nhead=4, dim_feedforward=64, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, len(CLASSES))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        encoded = self.encoder(self.embed(tokens) + self.position[: tokens.shape[1]])
        logits: torch.Tensor = self.head(encoded.mean(1))
        return logits


def build() -> nn.Module:
    return TextTransformer()


def example_input() -> torch.Tensor:
    """Four sentences of random words: 4 × 12."""
    return torch.randint(WORDS, (4, LENGTH), generator=torch.Generator().manual_seed(0))
