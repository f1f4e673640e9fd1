"""What one module keeps in its ``__dict__``, remembered by reference and put back.

Values themselves are not copied (they may be anything); but which object each name is bound to is, the contents of
plain dicts, lists, sets and deques, the attributes of plain objects (a cache, say), a few levels deep, and numpy
arrays. That covers replaced parameters and buffers, buffers made in forward, hooks, counters, caches and submodules
added on the way. What changes inside objects of the standard library, of torch and of C code is not seen.
"""

from __future__ import annotations

import operator
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from modelight.engine.modules import flag
from modelight.engine.modules.hidden import holds_attributes, shown
from modelight.engine.observing.memory import bytes_of, distance, has_memory, region_of, same_bytes
from modelight.protocol import LedgerEntry

_CONTAINERS = frozenset((dict, OrderedDict, list, set, deque))
_DEPTH, _ITEMS = 3, 1000
"""How deep, and how many, containers within containers are remembered."""
_ARRAY_BYTES = 1 << 26
"""Larger numpy arrays are not copied."""
_SIMPLE = {type(None), bool, int, float, str, set}
"""Types of nearly all attributes, in which no tensor is looked for."""
_TENSOR_TABLES = {"_parameters": "parameter", "_buffers": "buffer"}


class Attributes:
    """The attributes of one module at one moment."""

    def __init__(self, path: str, module: nn.Module) -> None:
        self._module = module
        self._dot = f"{path}." if path else ""
        self._flag = flag.read(module)
        self._values = dict(vars(module))
        self._contents = [
            (key, value, value.copy() if value else None)
            for key, value in self._values.items()
            if type(value) in _CONTAINERS
        ]
        self._own = [
            (key, value) for key, value in self._values.items() if key not in _OF_MODULES and type(value) not in _SIMPLE
        ]
        self._nested = [(name, inner, inner.copy()) for name, inner in islice(self._inner(), _ITEMS)]
        self._arrays = [
            (key, value, value.copy())
            for key, value in self._own
            if type(value) is np.ndarray and value.nbytes <= _ARRAY_BYTES and value.dtype != object
        ]

    def tensors(self) -> Iterator[tuple[str, str, torch.Tensor]]:
        """Tensors kept in plain attributes, or one level down in a container."""
        for key, value in self._own:
            if isinstance(value, torch.Tensor):
                yield self._dot + key, "attribute", value
            elif type(value) in (list, tuple, dict) and value:
                yield from _tensors_in(self._dot + key, value)
        for name, inner, _ in self._nested:
            yield from _tensors_in(self._dot + name, inner)

    def _inner(self) -> Iterator[tuple[str, Any]]:
        """Containers within attributes, with how to reach them."""
        for key, value in self._own:
            if type(value) in _CONTAINERS or type(value) is tuple:
                yield from _within(key, value, _DEPTH)
            else:
                yield from _of_object(key, value, _DEPTH)

    # ---------------------------------------------------------------------------------------------------- comparing

    def touched(self) -> bool:
        """Whether anything is bound to something else now, be it to the same value."""
        return (
            flag.read(self._module) != self._flag
            or not _same_bindings(vars(self._module), self._values)
            or bool(self._changed_contents())
            or bool(self._nested and self._changed_nested())
            or bool(self._arrays and self._changed_arrays())
        )

    def compare(self, keep: bool) -> list[LedgerEntry]:
        """An entry for everything that says something else now."""
        found: dict[tuple[str, str], LedgerEntry] = {}
        for entry in self._differences(keep):
            found.setdefault((entry.name, entry.kind), entry)  # a list may be replaced and refilled
        return list(found.values())

    def _differences(self, keep: bool) -> Iterator[LedgerEntry]:
        if flag.read(self._module) != self._flag:
            yield LedgerEntry(f"{self._dot}training", "flag", None, True)
        now, then = vars(self._module), self._values
        for key in () if _same_bindings(now, then) else {**then, **now}:
            if key == "training" or (now.get(key) is then.get(key) and (key in now) == (key in then)):
                continue
            # The old weight_norm and spectral_norm bind their weight anew in every forward, often to the same values.
            if not _same_values(now.get(key), then.get(key)):
                yield LedgerEntry(self._dot + key, "attribute", _gap(now.get(key), then.get(key)), not keep)
        for key, *_ in self._changed_contents():
            if key in _TENSOR_TABLES:
                yield from self._rebound(key, keep)
            else:
                yield LedgerEntry(self._dot + key, "attribute", None, not keep)
        for name, inner, kept in self._changed_nested():
            if name.endswith("."):
                yield from _rebound_in(self._dot + name, inner, kept, keep)
            else:
                yield LedgerEntry(self._dot + name, "attribute", None, not keep)
        for name, *_ in self._changed_arrays():
            yield LedgerEntry(self._dot + name, "attribute", None, not keep)

    def _rebound(self, table: str, keep: bool) -> Iterator[LedgerEntry]:
        now: dict[str, Any] = self._values[table]
        then = next((saved for key, _, saved in self._contents if key == table), None) or {}
        for key in {**then, **now}:
            if now.get(key) is not then.get(key):
                yield LedgerEntry(self._dot + key, _TENSOR_TABLES[table], _gap(now.get(key), then.get(key)), not keep)

    def _changed_contents(self) -> list[tuple[str, Any, Any]]:
        return [
            entry for entry in self._contents if (entry[1] if entry[2] is None else not _same_items(entry[1], entry[2]))
        ]

    def _changed_nested(self) -> list[tuple[str, Any, Any]]:
        return [entry for entry in self._nested if not _same_items(entry[1], entry[2])]

    def _changed_arrays(self) -> list[tuple[str, Any, Any]]:
        return [entry for entry in self._arrays if entry[1].tobytes() != entry[2].tobytes()]

    # ---------------------------------------------------------------------------------------------------- restoring

    def restore(self) -> None:
        """Bind every name to what it was bound to, in the order it had."""
        now = vars(self._module)
        if not _same_bindings(now, self._values):
            now.clear()
            now.update(self._values)
        for _, container, kept in self._changed_contents():
            _refill(container, kept)
        for _, inner, kept in self._changed_nested():
            _refill(inner, kept)
        for _, array, before in self._changed_arrays():
            array[...] = before

    def restore_flag(self) -> None:
        """Write the training flag back."""
        if self._flag is not None and flag.read(self._module) != self._flag:
            flag.write(self._module, self._flag)

    def make_ordinary(self) -> None:
        """Replace inference tensors that a kept run left behind by ordinary copies. Call outside inference mode."""
        for table in (self._module._buffers, vars(self._module)):
            for key, value in list(table.items()):
                if isinstance(value, torch.Tensor) and value.is_inference() and value is not self._values.get(key):
                    table[key] = value.clone()


def _same_bindings(now: dict[str, Any], then: dict[str, Any]) -> bool:
    """Whether the same names are bound to the same objects, in the same order."""
    return len(now) == len(then) and all(map(operator.is_, now.values(), then.values())) and list(now) == list(then)


_OF_MODULES = frozenset(vars(nn.Module()))


def _within(name: str, container: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """The containers in a container, with how to reach them."""
    if isinstance(container, set) or not depth:
        return
    pairs = container.items() if isinstance(container, dict) else enumerate(container)
    for key, item in pairs:
        if type(item) in _SIMPLE:
            continue
        where = f"{name}[{shown(key)}]"
        if type(item) in _CONTAINERS:
            yield where, item
            yield from _within(where, item, depth - 1)
        else:
            yield from _of_object(where, item, depth)


def _of_object(name: str, item: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """The attributes of a plain object, named with a dot at the end, and the containers among them."""
    if not depth or not holds_attributes(type(item)):
        return
    own = vars(item)
    yield f"{name}.", own
    for key, value in own.items():
        if type(value) in _CONTAINERS:
            yield f"{name}.{key}", value
            yield from _within(f"{name}.{key}", value, depth - 1)
        elif type(value) not in _SIMPLE:
            yield from _of_object(f"{name}.{key}", value, depth - 1)


def _tensors_in(name: str, container: Any) -> Iterator[tuple[str, str, torch.Tensor]]:
    pairs = container.items() if isinstance(container, dict) else enumerate(container)
    for item, tensor in pairs:
        if isinstance(tensor, torch.Tensor):
            yield f"{name}{item}" if name.endswith(".") else f"{name}[{item}]", "attribute", tensor


def _rebound_in(name: str, now: dict[str, Any], then: dict[str, Any], keep: bool) -> Iterator[LedgerEntry]:
    """What the attributes of an object are bound to now."""
    for key in {**then, **now}:
        if now.get(key) is not then.get(key) or (key in now) != (key in then):
            yield LedgerEntry(f"{name}{key}", "attribute", _gap(now.get(key), then.get(key)), not keep)


def _refill(value: Any, saved: Any) -> None:
    value.clear()
    if saved is not None:
        value.extend(saved) if isinstance(value, (list, deque)) else value.update(saved)


def _same_items(value: Any, saved: Any) -> bool:
    if len(value) != len(saved):
        return False
    if isinstance(value, dict):
        return all(a is b and value[a] is saved[b] for a, b in zip(value, saved, strict=True))
    if isinstance(value, (list, deque)):
        return all(a is b for a, b in zip(value, saved, strict=True))
    return bool(value == saved)


def _same_values(now: Any, then: Any) -> bool:
    """Whether two tensors hold the same bits in the same form, so that only the name was bound anew."""
    pair = (now, then)
    if not all(type(value) is torch.Tensor and value.layout is torch.strided and not value.is_nested for value in pair):
        return False
    if (now.dtype, now.shape, now.device) != (then.dtype, then.shape, then.device):
        return False
    if not all(map(has_memory, pair)):
        return False
    left, right = (value.detach().contiguous() for value in pair)
    return same_bytes(*(bytes_of(value, region_of(value)) for value in (left, right)))


def _gap(now: Any, then: Any) -> float | None:
    """How far a replaced tensor lies from the one it replaced; None for new and removed ones."""
    both = isinstance(now, torch.Tensor) and isinstance(then, torch.Tensor)
    return distance(now, then) if both and now.layout is torch.strided and then.layout is torch.strided else None
