"""A checkpoint by itself, and two side by side."""

from __future__ import annotations

from typing import Literal

import msgspec

from modelight.protocol.frames import Stats
from modelight.protocol.values import Clause


class StateDictInfo(msgspec.Struct, frozen=True):
    """One of the state dicts in a file."""

    key: str
    """Dotted place in the file; empty if the file itself is the state dict."""
    tensors: int


class CheckpointLayer(msgspec.Struct, frozen=True):
    """A module path that the keys name: a row of the tree. Layers are listed depth first, parents before children."""

    path: str
    name: str
    parent: int
    """Index of the parent's row, −1 for the root."""
    kind: Clause
    """What it is: ``kind-linear`` {inputs, outputs} …, ``kind-named`` {type} where the file names the class."""
    guessed: bool
    """True: the kind was told from names and shapes of tensors; False: the file says it, or it only holds others."""
    training: bool | None = None
    """Its training flag, where the format carries flags; a state dict does not."""
    parameters: int = 0
    """Elements of the subtree's parameters, tied tensors counted once."""
    buffers: int = 0
    bytes: int = 0
    """Bytes of the subtree's tensors, tied ones counted once."""
    marks: list[Clause] = []
    """What is wrong with its own tensors."""
    notes: list[Clause] = []
    """What is worth knowing: ``counter-absent`` …"""


class CheckpointTensor(msgspec.Struct, frozen=True):
    """One tensor of a state dict."""

    name: str
    """The whole key."""
    layer: int
    """Index of its layer."""
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    role: Literal["parameter", "buffer"]
    role_guessed: bool
    """True: told from name and dtype, since a state dict does not say."""
    tied_to: str = ""
    """The first key that holds the same memory; its elements and bytes are counted there."""
    stats: Stats | None = None
    """Exact, where all values were read (``deep``)."""
    marks: list[Clause] = []


class CheckpointFacts(msgspec.Struct, frozen=True):
    """A checkpoint read by itself, without the code of its model."""

    path: str
    format: str
    file_bytes: int
    """Of the file, or of all files of a sharded checkpoint."""
    stamp: str
    """Changes when the file does."""
    key: str
    state_dicts: list[StateDictInfo]
    """All that the file holds, the chosen one included, the likeliest first."""
    layers: list[CheckpointLayer]
    tensors: list[CheckpointTensor]
    parameters: int
    buffers: int
    tensor_bytes: int
    dtypes: dict[str, int]
    """Elements by dtype, most first."""
    has_flags: bool
    """Whether the format carries training flags."""
    deep: bool
    """Whether every value was looked at; otherwise only those of normalisation statistics were."""
    wrapping: list[tuple[str, str]] = []
    """What lies around the state dict: (dotted place, value as text): epoch, optimizer, hyper-parameters …"""
    metadata: list[tuple[str, str]] = []
    """Texts that the format itself keeps (safetensors' header)."""
    extras: list[tuple[str, str]] = []
    """Entries of the state dict that are no tensors."""
    notes: list[Clause] = []


class TensorDifference(msgspec.Struct, frozen=True):
    """How far one tensor of a checkpoint lies from the same one in another."""

    name: str
    """Its key in the first."""
    other_name: str
    equal: bool
    """Every value equal (NaN equal to NaN), and shape and dtype too."""
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    changed: int | None = None
    """How many values differ; None where shapes differ or the values cannot be compared."""
    largest: float | None = None
    """Largest absolute difference of values finite in both."""
    relative: float | None = None
    """‖other − first‖₂ / ‖first‖₂ over values finite in both; None where the first is all zero."""
    not_finite: int = 0
    """Values that are NaN or infinite in either."""


class StatisticsDifference(msgspec.Struct, frozen=True):
    """How far the running statistics of one layer moved between two checkpoints."""

    path: str
    channels: int
    drift: float | None
    """Largest |other mean − first mean| / sqrt(first variance); None where no channel has a positive variance."""
    channel: int | None
    """Which channel that is."""
    ratio_low: float | None
    """Smallest other variance / first variance."""
    ratio_high: float | None
    updates: int | None
    """Other num_batches_tracked − first."""


class CheckpointDifference(msgspec.Struct, frozen=True):
    """Two checkpoints side by side."""

    path: str
    other: str
    removed: str
    """Prefix taken off the first's keys to meet the other's."""
    added: str
    tensors: list[TensorDifference]
    """Those that are in both, in the first's order."""
    only_first: list[str]
    only_other: list[str]
    statistics: list[StatisticsDifference]
    """Layers whose running statistics differ."""
