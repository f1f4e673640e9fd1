"""Modules that hang in plain Python containers or objects and are registered nowhere.

``train()``, ``parameters()``, ``to()`` and ``state_dict()`` never reach them: a dropout in a plain list stays in train
for good.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from enum import Enum
from itertools import islice
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, NamedTuple

import torch
from torch import nn

from modelight.engine.modules.code import for_each_class
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
    """Every module held by an attribute of a registered module, directly, in lists, tuples, dicts and sets or by a
    plain object, that is registered nowhere. Each is listed once, its registered children are not listed."""
    found: dict[int, Hidden] = {}
    opened: set[int] = set()
    for places in skeleton.places.values():
        owner = places[0]
        if isinstance(skeleton.modules[owner], torch.jit.ScriptModule):
            continue  # what it is made of is kept in C++; its Python attributes are torch's own
        for name, value in vars(skeleton.modules[owner]).items():
            if name in _BASE or isinstance(value, _PLAIN):
                continue
            path = f"{skeleton.paths[owner]}.{name}" if owner else name
            for where, module in _modules(value, path, 0, opened):
                if id(module) not in skeleton.places:
                    found.setdefault(id(module), Hidden(owner, name, where, module))
    inner = {id(part) for hidden in found.values() for part in hidden.module.modules() if part is not hidden.module}
    return [hidden for key, hidden in found.items() if key not in inner]


def _modules(value: Any, path: str, depth: int, opened: set[int]) -> Iterator[tuple[str, nn.Module]]:
    """Modules in containers and objects. What is looked into are the values themselves: none of their code is run."""
    if isinstance(value, nn.Module):
        yield path, value
        return
    if depth == _DEPTH or id(value) in opened:
        return
    for where, item in islice(_held(value), _ITEMS):
        if not isinstance(item, _PLAIN):
            opened.add(id(value))
            yield from _modules(item, f"{path}{where}", depth + 1, opened)


def shown(key: Any) -> str:
    """The key of a dict as a place is named; its class may fail at that."""
    try:
        return repr(key)
    except Exception:
        return f"<{type(key).__name__}>"


def _held(value: Any) -> Iterator[tuple[str, Any]]:
    """What a container or an object of others' making holds, and how to reach it."""
    if isinstance(value, dict):
        yield from ((f"[{shown(key)}]", item) for key, item in list(dict.items(value)))
    elif isinstance(value, tuple):
        yield from ((f"[{index}]", item) for index, item in enumerate(tuple.__iter__(value)))
    elif type(value) in _SEQUENCES:
        yield from ((f"[{index}]", item) for index, item in enumerate(list(value)))
    elif holds_attributes(type(value)):
        yield from ((f".{name}", item) for name, item in list(vars(value).items()))


_PLAIN = (str, int, float, bool, type(None), torch.Tensor)
_SEQUENCES = (list, set, frozenset, deque)
_CLOSED = (sys.stdlib_module_names | {"torch", "numpy"}) - {"types", "argparse"}
"""Packages whose objects are not looked into; a namespace is."""


@for_each_class
def holds_attributes(kind: type) -> bool:
    """Whether its objects are plain: they keep what they are in a dictionary of attributes."""
    if kind.__module__.partition(".")[0] in _CLOSED or issubclass(kind, (nn.Module, torch.Tensor, type, Enum)):
        return False
    table = next((base.__dict__["__dict__"] for base in kind.__mro__ if "__dict__" in base.__dict__), None)
    return isinstance(table, (GetSetDescriptorType, MemberDescriptorType))
