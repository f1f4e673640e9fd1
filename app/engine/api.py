"""The Python API: what ``import modelight`` offers, usable without the window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelight.engine.modules import flag
from modelight.engine.observing.memory import Memory
from modelight.engine.observing.observe import Dropout, Module, Observation, observe

__all__ = ["Dropout", "Module", "Observation", "Snapshot", "eval_mode", "observe", "snapshot", "train_mode"]


class Snapshot:
    """A model's parameters, buffers, flags and ``requires_grad`` at one moment. Made by :func:`snapshot`."""

    def __init__(self, model: nn.Module) -> None:
        memory = Memory()
        self._flags = [(module, flag.read(module)) for module in model.modules()]
        self._tables: list[tuple[Any, dict[str, torch.Tensor | None]]] = [
            (table, dict(table)) for module, _ in self._flags for table in (module._parameters, module._buffers)
        ]
        tensors = {id(tensor): tensor for _, was in self._tables for tensor in was.values() if tensor is not None}
        self._held = [memory.add(tensor) for tensor in tensors.values() if not is_lazy(tensor)]

    def restore(self) -> None:
        """Put all of it back, bit for bit. May be done more than once."""
        with torch.inference_mode(False), torch.no_grad():
            for table, was in self._tables:
                if list(table) != list(was) or any(table[key] is not was[key] for key in was):
                    table.clear()
                    table.update(was)
            for held in self._held:
                if held.changed or held.requires_grad_changed:
                    held.restore()
        for module, training in self._flags:
            if training is not None and flag.read(module) != training:
                flag.write(module, training)


def snapshot(model: nn.Module) -> Snapshot:
    """Remember the state of ``model``; ``.restore()`` puts it back."""
    return Snapshot(model)


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[nn.Module]:
    before = [(module, flag.read(module)) for module in model.modules()]
    try:
        for module, was in before:
            if was is not None and was != training:
                flag.write(module, training)
        yield model
    finally:
        for module, was in before:
            if was is not None and flag.read(module) != was:
                flag.write(module, was)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Every flag of ``model`` at eval within the context; afterwards each is what it was, mixed ones too.

    Flags are written directly: a class's own ``train()`` is not called.
    """
    with _mode(model, False):
        yield model


@contextmanager
def train_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Every flag of ``model`` at train within the context; afterwards each is what it was, mixed ones too."""
    with _mode(model, True):
        yield model
