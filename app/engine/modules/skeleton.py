"""The module tree as paths: depth first, parents before children, one place for every path of every module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

MAX_ROWS = 250_000
"""Modules that share modules that share modules … have exponentially many paths; beyond this no more are opened."""


@dataclass
class Skeleton:
    """Which module is at which path; lists are by row."""

    modules: list[nn.Module] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """Index after the last row of each row's subtree: a subtree is ``range(i, ends[i])``."""
    places: dict[int, list[int]] = field(default_factory=dict)
    """``id(module)`` → its rows, in order."""
    cycles: dict[int, int] = field(default_factory=dict)
    """Row of a module that is registered below itself (it is not opened again) → the row of that module above."""
    cut: bool = False
    """There were more than MAX_ROWS paths, and the rest was left out."""

    def same_as(self, other: Skeleton) -> bool:
        """Whether both show the same modules at the same paths."""
        return self.paths == other.paths and all(a is b for a, b in zip(self.modules, other.modules, strict=True))

    def totals(self, counted: Iterable[tuple[Sequence[int], int]]) -> list[int]:
        """Per row, the sum over its subtree of the weights of things that are at several rows, each counted once.

        A thing's weight is added at each of its rows (in order) and taken off at the lowest common ancestor of
        neighbours, which leaves it once in every subtree that holds it.
        """
        totals = [0] * len(self.modules)
        for rows, weight in counted:
            for index in rows:
                totals[index] += weight
            for left, right in pairwise(rows):
                totals[self._common(left, right)] -= weight
        for index in range(len(totals) - 1, 0, -1):
            totals[self.parents[index]] += totals[index]
        for index, above in self.cycles.items():
            totals[index] = totals[above]
        return totals

    def _common(self, left: int, right: int) -> int:
        """The lowest row that holds both; ``left`` ≤ ``right``."""
        while self.ends[left] <= right:
            left = self.parents[left]
        return left

    def _above(self, rows: Sequence[int], parent: int) -> int | None:
        """Which of ``rows`` is ``parent`` or above it."""
        candidates = set(rows)
        while candidates and parent >= 0:
            if parent in candidates:
                return parent
            parent = self.parents[parent]
        return None


def walk(root: nn.Module) -> Skeleton:
    """Every path of every module below ``root``, without recursion, so that deep models do not end it."""
    found = Skeleton()
    todo: list[tuple[nn.Module, str, str, int]] = [(root, "", "", -1)]
    while todo:
        module, path, name, parent = todo.pop()
        index = len(found.modules)
        places = found.places.setdefault(id(module), [])
        above = found._above(places, parent)
        found.modules.append(module)
        found.paths.append(path)
        found.names.append(name)
        found.parents.append(parent)
        places.append(index)
        if above is not None:
            found.cycles[index] = above
            continue
        children = [(key, child) for key, child in module._modules.items() if child is not None]
        if index + 1 + len(todo) + len(children) > MAX_ROWS:
            found.cut = True
            continue
        todo += [(child, f"{path}.{key}" if path else key, key, index) for key, child in reversed(children)]
    sizes = [1] * len(found.modules)
    for index in range(len(sizes) - 1, 0, -1):
        sizes[found.parents[index]] += sizes[index]
    found.ends = [index + size for index, size in enumerate(sizes)]
    return found


def named_tensors(root: nn.Module, table: Literal["_parameters", "_buffers"]) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter or buffer under each of its names, as ``named_buffers(remove_duplicate=False)``, which never
    ends for a module that is registered below itself."""
    found = walk(root)
    for path, module in zip(found.paths, found.modules, strict=True):
        for name, tensor in getattr(module, table).items():
            if tensor is not None:
                yield f"{path}.{name}" if path else name, tensor
