"""An LSTM with dropout between its layers: a dropout that is no module of its own still follows the flag.

``nn.LSTM(dropout=0.4)`` shows no Dropout in the tree. It drops what the first layer hands to the second, in train
mode only, and never after the last layer: with ``num_layers=1`` the argument does nothing at all.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

CHECKPOINT: Path | None = None
CLASSES = ("noun", "verb", "adjective", "other")
WORDS, WIDTH = 50, 16


class Tagger(nn.Module):
    """A tag for every word: tokens batch × length to logits batch × length × 4."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, num_layers=2, dropout=0.4, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * WIDTH, len(CLASSES))

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(self.embed(words))
        logits: torch.Tensor = self.head(states)
        return logits


def build() -> nn.Module:
    return Tagger()


def example_input() -> dict[str, torch.Tensor]:
    """Three sentences of nine words, as a keyword: 3 × 9."""
    return {"words": torch.randint(WORDS, (3, 9), generator=torch.Generator().manual_seed(0))}
