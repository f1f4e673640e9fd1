"""Keys to a tree: every dotted path is a module, the last name its tensor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from modelight.engine.inspect.kinds import Own, Shape

_MAX_DEPTH = 200
"""Paths deeper than this are no module paths; the rest of such a key stays in its last name."""
_NORMED = (
    ("weight", "parametrizations.weight", ("original1", "original")),
    ("weight", "", ("weight_orig", "weight_v")),
)
"""Where the shape of a weight is kept under a normalisation: (name, child, names that have its shape)."""


@dataclass
class Node:
    """One module path. ``tensors`` and ``extras`` are keys by last name."""

    path: str
    name: str
    tensors: dict[str, str] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)
    children: dict[str, Node] = field(default_factory=dict)


def build(tensors: Iterable[str], extras: Iterable[str] = (), modules: Iterable[str] = ()) -> Node:
    """The tree of these keys, and of module paths that hold none; children stand in the order of first mention."""
    root = Node("", "")
    for path in modules:
        _reach(root, path)
    for key in tensors:
        node, name = _place(root, key)
        node.tensors[name] = key
    for key in extras:
        node, name = _place(root, key)
        node.extras[name] = key
    return root


def _place(root: Node, key: str) -> tuple[Node, str]:
    parts = key.split(".")
    depth = min(len(parts) - 1, _MAX_DEPTH)
    return _reach(root, ".".join(parts[:depth])), ".".join(parts[depth:])


def _reach(root: Node, path: str) -> Node:
    node = root
    for name in path.split(".") if path else ():
        if name not in node.children:
            node.children[name] = Node(f"{node.path}.{name}" if node.path else name, name)
        node = node.children[name]
    return node


def walk(root: Node) -> Iterator[tuple[Node, int]]:
    """Every node with the index of its parent (−1 for the root), depth first, parents before children."""
    waiting = [(root, -1)]
    index = 0
    while waiting:
        node, parent = waiting.pop()
        yield node, parent
        waiting += [(child, index) for child in reversed(node.children.values())]
        index += 1


def own_of(node: Node, tensors: Mapping[str, torch.Tensor]) -> Own:
    """What the kinds are told from: own shapes, with that of a normalised weight under its plain name."""
    shapes: dict[str, Shape] = {name: tuple(tensors[key].shape) for name, key in node.tensors.items()}
    for plain, child, names in _NORMED:
        holder = _below(node, child)
        if plain in shapes or holder is None:
            continue
        found = [tuple(tensors[holder.tensors[name]].shape) for name in names if name in holder.tensors]
        if found and len(found[0]) > 1:
            shapes[plain] = found[0]
    return Own(
        path=node.path,
        shapes=shapes,
        dtypes={name: tensors[key].dtype for name, key in node.tensors.items()},
        children=tuple(node.children),
        extras=frozenset(node.extras),
    )


def _below(node: Node, path: str) -> Node | None:
    for name in path.split(".") if path else ():
        if name not in node.children:
            return None
        node = node.children[name]
    return node


def natural(keys: Sequence[str]) -> list[str]:
    """Keys of a format that keeps no order of its own, with 2 before 10."""
    return sorted(keys, key=_natural)


def _natural(key: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", key, maxsplit=100)
    return [(0, int(part), "") if part.isdecimal() and len(part) < 18 else (1, 0, part) for part in parts]
