"""Modules that hang in plain Python containers and are registered nowhere.

``train()``, ``parameters()``, ``to()`` and ``state_dict()`` never reach them: a dropout in a plain list stays in train
for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from modelight.engine.modules.skeleton import Skeleton

_BASE = frozenset(vars(nn.Module()))
_DEPTH = 4
_ITEMS = 10_000


class Hidden(NamedTuple):
    """One unregistered module."""

    owner: int
    """Row of the registered module that holds it."""
    attribute: str
    """The attribute of the owner it is found through."""
    where: str
    """How to reach it from the root: ``encoder.layers[0]``."""
    module: nn.Module


def find(skeleton: Skeleton) -> list[Hidden]:
    """Every module held by an attribute of a registered module, directly or in lists, tuples, dicts and sets, that is
    registered nowhere. Each is listed once, its registered children are not listed."""
    found: dict[int, Hidden] = {}
    for places in skeleton.places.values():
        owner = places[0]
        if isinstance(skeleton.modules[owner], torch.jit.ScriptModule):
            continue  # what it is made of is kept in C++; its Python attributes are torch's own
        for name, value in vars(skeleton.modules[owner]).items():
            if name in _BASE or isinstance(value, (str, int, float, bool, type(None))):
                continue
            path = f"{skeleton.paths[owner]}.{name}" if owner else name
            for where, module in _modules(value, path, 0):
                if id(module) not in skeleton.places:
                    found.setdefault(id(module), Hidden(owner, name, where, module))
    inner = {id(part) for hidden in found.values() for part in hidden.module.modules() if part is not hidden.module}
    return [hidden for key, hidden in found.items() if key not in inner]


def _modules(value: Any, path: str, depth: int) -> Iterator[tuple[str, nn.Module]]:
    """Modules in plain containers. Only built-in containers are opened: looking into others could run their code."""
    kind = type(value)
    if isinstance(value, nn.Module):
        yield path, value
    elif depth < _DEPTH and kind is dict:
        for key, item in list(value.items())[:_ITEMS]:
            yield from _modules(item, f"{path}[{key!r}]", depth + 1)
    elif depth < _DEPTH and kind in (list, tuple, set, frozenset):
        for index, item in enumerate(list(value)[:_ITEMS]):
            yield from _modules(item, f"{path}[{index}]", depth + 1)
