"""What the page of a checkpoint shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelight.widgets.modes import Mode

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A module, or a tensor where ``key`` is set. Parents come before what they hold."""

    name: str
    parent: int
    """Index of the parent's row, −1 for the root."""
    kind: str
    size: str
    key: str = ""
    """The tensor's whole key; empty for a module."""
    shape: str = ""
    dtype: str = ""
    marks: str = ""
    """What needs attention."""
    note: str = ""
    """What is worth knowing."""
    difference: str = ""
    """How far it lies from the same in another checkpoint, where one is compared with."""
    differs: bool = False
    mode: Mode | None = None
    """The module's training flag, where the file carries flags."""


@dataclass(frozen=True)
class CheckpointData:
    """Everything on the page but the selected tensor."""

    file: str
    format: str
    file_size: str
    key: str
    """Which state dict is shown; empty where it is the file itself."""
    choices: tuple[tuple[str, int], ...]
    """Every state dict in the file: its key, and how many tensors it holds."""
    tensors: int
    parameters: int
    buffers: int
    size: str
    """Of all tensors."""
    dtypes: tuple[str, ...]
    rows: tuple[CheckpointRow, ...]
    has_flags: bool = False
    attention: tuple[tuple[str, str], ...] = ()
    """(where, what): everything that is marked."""
    against: tuple[str, ...] = ()
    """Sentences about the checkpoint that this one is compared with; empty: with none."""
    notes: tuple[str, ...] = ()
    """Sentences about the whole file."""
    around: tuple[tuple[str, str], ...] = ()
    """(name, value): epoch, hyper-parameters, metadata."""


@dataclass(frozen=True)
class TensorData:
    """All values of one tensor, counted."""

    key: str
    count: int
    role: str
    """The token that the histogram is painted in."""
    edges: Floats | None = None
    counts: Floats | None = None
    figures: tuple[tuple[str, str], ...] = ()
    """(name, figure): minimum, mean …; names are ids that the page has words for."""
    nan: int = 0
    infinite: int = 0
    words: str = ""
    """Why there is nothing to see."""
    changed: bool = False
    """The file is another than the one that the tree shows."""
