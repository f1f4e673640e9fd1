"""The arguments of a model's forward, and how they are cut into batches of samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch


def _cut(value: Any, start: int, stop: int, samples: int) -> Any:
    if isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape[0] == samples:
        return value[start:stop]
    if isinstance(value, dict):
        return {key: _cut(item, start, stop, samples) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_cut(item, start, stop, samples) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_cut(item, start, stop, samples) for item in value)
    return value


@dataclass(frozen=True)
class Batch:
    """What one forward gets: ``model(*args, **kwargs)`` for samples ``start`` up to ``stop``."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    start: int
    stop: int


@dataclass(frozen=True)
class Inputs:
    """All samples, joined along the first dimension of every tensor whose first dimension is ``samples``.

    Tensors of another first dimension are given whole to every forward. ``splittable=False`` (a graph, a list of
    images) means that the input is one whole: ``samples`` is then 1 and there is one forward, whatever the batch size.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    samples: int = 1
    splittable: bool = True
    labels: tuple[int | None, ...] = ()

    def part(self, start: int, stop: int) -> Batch:
        """Samples ``start`` up to ``stop`` as one batch."""
        if not self.splittable:
            return Batch(self.args, self.kwargs, 0, 1)
        args = tuple(_cut(item, start, stop, self.samples) for item in self.args)
        kwargs = {key: _cut(item, start, stop, self.samples) for key, item in self.kwargs.items()}
        return Batch(args, kwargs, start, min(stop, self.samples))

    def batches(self, size: int) -> Iterator[Batch]:
        """All samples, ``size`` at a time; the last batch holds what is left."""
        if not self.splittable:
            yield self.part(0, 1)
            return
        for start in range(0, self.samples, max(1, size)):
            yield self.part(start, min(start + size, self.samples))
