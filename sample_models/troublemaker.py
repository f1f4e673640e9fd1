"""Prints, crashes, hangs or exits on request: whatever a model does, the window stays.

``troublemaker:build(trouble="hang")`` does it in ``forward``; with ``when="build"`` it does it at once.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Literal

import torch
from torch import nn

CHECKPOINT: Path | None = None

Trouble = Literal["none", "print", "raise", "hang", "exit", "segfault"]


def _print() -> None:
    print("a line from print()")
    sys.stdout.flush()
    os.write(1, b"a line written to file descriptor 1\n")
    print("a line on stderr", file=sys.stderr)


def make(trouble: Trouble) -> None:
    """Do what was asked for. ``hang`` never returns, ``exit`` and ``segfault`` end the process."""
    match trouble:
        case "none":
            return
        case "print":
            _print()
        case "raise":
            raise RuntimeError("trouble was asked for")
        case "hang":
            print("from here on it hangs", flush=True)
            while True:
                time.sleep(0.1)
        case "exit":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case _:
            raise ValueError(f"There is no trouble called {trouble!r}.")


class Troublemaker(nn.Module):
    """A small network, batch × 4 to batch × 2, that makes ``trouble`` before its last layer."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self.trouble: Trouble = trouble
        self.hidden = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.drop(torch.relu(self.norm(self.hidden(x))))
        make(self.trouble)
        logits: torch.Tensor = self.head(hidden)
        return logits


def build(trouble: Trouble = "none", when: Literal["forward", "build"] = "forward") -> nn.Module:
    if when == "build":
        make(trouble)
        return Troublemaker("none")
    return Troublemaker(trouble).eval()


def example_input() -> torch.Tensor:
    """Three vectors: 3 × 4."""
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
