"""The open model: its rows, their states, and how its checkpoint met it."""

from __future__ import annotations

import msgspec

from modelight.protocol.values import Clause


class Row(msgspec.Struct, frozen=True):
    """One module at one path: a row of the tree. What changes while the program runs is in :class:`RowState`."""

    path: str
    name: str
    parent: int
    """Index of the parent's row, −1 for the root."""
    type: str
    """Class name, e.g. ``BatchNorm2d``."""
    qualified: str
    """``module.qualname`` of the class."""
    parameters: int
    """Elements of all parameters in the subtree, each tensor counted once."""
    sensitive: bool
    """Whether this module itself may act differently in train and eval (known from the catalogue, or heard reading
    its flag)."""
    sensitive_below: int
    """How many distinct sensitive modules the subtree holds, this one included."""
    kind: str = ""
    """The catalogue's name for it: ``dropout``, ``batch_norm``, ``instance_norm``, ``rrelu``, ``rnn_dropout``, …; ""
    if unknown."""
    also_at: list[str] = []
    """The other paths under which the same module is registered."""
    notes: list[Clause] = []
    """What is remarkable about its structure: overridden ``train()``, modules in plain lists, compiled, scripted …"""


class RowState(msgspec.Struct, frozen=True):
    """What the flags of one row are now, and what the module therefore does."""

    index: int
    training: bool | None
    """None where the module has no flag at all (a frozen script)."""
    effect: list[Clause]
    """What it does in this state."""
    other: list[Clause]
    """What it would do with its own flag flipped."""
    trainable: int
    """Elements of the subtree's parameters with requires_grad."""
    own_parameters: int = 0
    """How many parameter tensors the module itself holds (not its children)."""
    own_trainable: int = 0
    """How many of those require grad."""
    marks: list[Clause] = []
    """What is wrong with its own tensors: NaN, infinity, zero variance, untouched statistics."""


class LoadReport(msgspec.Struct, frozen=True):
    """How a checkpoint met the model. Nothing of this is ever left unsaid."""

    path: str
    format: str
    wrapper: str = ""
    """The key the state dict was found under (``model_state_dict`` …)."""
    prefix: str = ""
    """The prefix taken off the keys (``module.`` …)."""
    loaded: int = 0
    missing: list[str] = []
    unexpected: list[str] = []
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    """(key, shape in the checkpoint, shape in the model)"""
    notes: list[Clause] = []
    proposed: list[tuple[str, str, str]] = []
    """(key in the checkpoint, key in the model, why) of tensors whose names differ and that may be the same: why is
    ``shape`` (it fits nowhere else), ``name`` (the likest of several) or ``order`` (nothing else tells). Not loaded."""
    aligned: list[tuple[str, str, str]] = []
    """The same for those that were loaded so, because a person asked for it."""
    partial: list[str] = []
    """Keys of other shapes whose overlapping block was loaded, because a person asked for it."""
