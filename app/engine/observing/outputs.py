"""What a model returned, walked by name, and reduced over repeats and forwards to one field per tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from modelight.engine.modules.hidden import shown
from modelight.engine.observing.summary import SAMPLE, Sample, dense, is_readable, summarize
from modelight.protocol import Array, OutputField, Stats

MAX_WIDTH = 1024
"""Values per sample up to which they are kept one by one."""
MAX_VALUES = 1_000_000
"""Values of one field over all repeats and samples up to which they are kept."""
MAX_FIELDS = 100
_DEPTH = 8


def fields(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor in a returned value with its name: ``logits``, ``[0].boxes``; "" for a bare tensor."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif depth < _DEPTH:
        for key, item in _items(value):
            yield from fields(item, f"{name}{key}" if name or key.startswith("[") else key.removeprefix("."), depth + 1)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f".{key}" if isinstance(key, str) else f"[{shown(key)}]", item) for key, item in value.items())
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((f".{key}", item) for key, item in zip(value._fields, value, strict=True))
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif hasattr(value, "__dataclass_fields__"):
        yield from ((f".{key}", getattr(value, key)) for key in value.__dataclass_fields__ if hasattr(value, key))


def own_tensors(value: Any) -> list[torch.Tensor]:
    """Detached copies of every tensor in a returned value."""
    with torch.inference_mode(False), torch.no_grad():
        return [tensor.detach().clone() for _, tensor in fields(value)]


class _Field:
    """One named tensor over all forwards."""

    def __init__(self, name: str, repeats: int, samples: int) -> None:
        self.name = name
        self._repeats, self._samples = repeats, samples
        self._sample = Sample()
        self._tensor_facts: tuple[tuple[int, ...], str, bool, str | None, bool] = ((), "", False, None, False)
        self._per_sample = True
        self._rows: list[tuple[int, int, np.ndarray[Any, Any]]] = []
        self._stats: list[tuple[int, int, np.ndarray[Any, Any]]] = []

    def add(self, tensor: torch.Tensor, repeat: int, start: int, stop: int) -> None:
        node = None if tensor.grad_fn is None else type(tensor.grad_fn).__name__
        dtype = str(tensor.dtype).removeprefix("torch.")
        self._tensor_facts = (tuple(tensor.shape), dtype, tensor.requires_grad, node, tensor.is_inference())
        tensor = dense(tensor)
        if not is_readable(tensor):
            self._per_sample = False
            return
        if repeat == self._repeats - 1:
            self._sample.take(tensor, SAMPLE)
        self._per_sample &= tensor.dim() > 0 and tensor.shape[0] == stop - start
        if self._per_sample and tensor.numel():
            self._keep(tensor.detach(), repeat, start)

    def _keep(self, tensor: torch.Tensor, repeat: int, start: int) -> None:
        rows = tensor.reshape(tensor.shape[0], -1)
        width = rows.shape[1]
        if width <= MAX_WIDTH and width * self._repeats * self._samples <= MAX_VALUES:
            self._rows.append((repeat, start, rows.to("cpu", torch.float32, copy=True).numpy()))
            return
        rows = rows.float()
        std, mean = torch.std_mean(rows, dim=1, correction=0)
        low, high = torch.aminmax(rows, dim=1)
        self._stats.append((repeat, start, torch.stack((mean, std, low, high), 1).cpu().numpy()))

    def finish(self, stats: Stats) -> OutputField:
        shape, dtype, requires_grad, node, is_inference = self._tensor_facts
        whole = self._per_sample and not (self._rows and self._stats)
        return OutputField(
            name=self.name,
            shape=shape,
            dtype=dtype,
            requires_grad=requires_grad,
            grad_fn=node,
            is_inference=is_inference,
            stats=stats,
            per_sample=self._per_sample,
            values=self._joined(self._rows) if whole else None,
            sample_stats=self._joined(self._stats) if whole else None,
        )

    def _joined(self, blocks: list[tuple[int, int, np.ndarray[Any, Any]]]) -> Array | None:
        widths = {block.shape[1] for _, _, block in blocks}
        if len(widths) != 1 or sum(len(block) for _, _, block in blocks) != self._repeats * self._samples:
            return None
        whole = np.empty((self._repeats, self._samples, widths.pop()), np.float32)
        for repeat, start, block in blocks:
            whole[repeat, start : start + len(block)] = block
        return Array.of(whole)

    @property
    def sample(self) -> Sample:
        return self._sample


class Outputs:
    """Collects what the forwards of one run return."""

    def __init__(self, repeats: int, samples: int) -> None:
        self._repeats, self._samples = repeats, samples
        self._fields: dict[str, _Field] = {}

    def add(self, value: Any, repeat: int, start: int, stop: int) -> None:
        """One forward's value, for samples ``start`` up to ``stop``. Tensors are read now, none is kept."""
        with torch.inference_mode(False), torch.no_grad():
            for name, tensor in fields(value):
                if name not in self._fields and len(self._fields) >= MAX_FIELDS:
                    break
                field = self._fields.setdefault(name, _Field(name, self._repeats, self._samples))
                field.add(tensor, repeat, start, stop)

    def finish(self) -> list[OutputField]:
        """One message per field, in the order in which they were first seen."""
        all_fields = list(self._fields.values())
        stats = summarize([field.sample for field in all_fields])
        return [field.finish(found) for field, found in zip(all_fields, stats, strict=True)]
