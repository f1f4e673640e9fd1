"""Tensors whose names differ between a checkpoint and a model: which might be which, and how sure that is.

Layers are compared, not single tensors: a convolution brings its weight and bias, a batch norm its statistics, so that
far fewer are alike. A layer may go where every shape agrees; among several such places names decide, then order.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from modelight.engine.loading.matching import fits

Why = Literal["shape", "name", "order"]
MAX_LAYERS = 2500
"""Beyond this many layers of either side nothing is proposed: cost is their product."""
_NAME_LEAD = 0.05
"""By how much the likeness of names must exceed every rival's to have decided."""
_CLOSE = 1e-6
_SAME = {
    "gamma": "weight",
    "kernel": "weight",
    "scale": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_var": "running_var",
    "moving_variance": "running_var",
}
"""What other frameworks, and early transformers, call the tensors of a layer."""
_WORDS = re.compile(r"[A-Za-z]+|\d+")
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True)
class Pair:
    """One tensor of the checkpoint and the one of the model that it may be."""

    theirs: str
    ours: str
    why: Why
    """``shape``: its layer fits nowhere else. ``name``: of several places this one has the likest name. ``order``:
    neither tells, only the order of the layers does."""


@dataclass(frozen=True)
class _Layer:
    path: str
    tensors: dict[str, tuple[str, Any]]
    """Last part of the name → (key, value)."""
    words: frozenset[str]
    """Those of the path, in small letters."""
    numbers: tuple[str, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(sorted(tuple(value.shape) for _, value in self.tensors.values()))


def propose(checkpoint: Mapping[str, Any], model: Mapping[str, Any], placed: Mapping[str, str]) -> list[Pair]:
    """Pairs for what names left over, in the model's order; empty where nothing fits.

    Args:
        placed: checkpoint's key → model's key of those whose names agree: they are left alone.
    """
    taken = set(placed.values())
    theirs = _layers({key: value for key, value in checkpoint.items() if key not in placed})
    ours = _layers({key: value for key, value in model.items() if key not in taken})
    if not theirs or not ours or max(len(theirs), len(ours)) > MAX_LAYERS:
        return []
    scores = _scores(theirs, ours)
    ordered, free = _in_order(scores), _greedy(scores)
    chosen = ordered if _total(ordered, scores) >= _total(free, scores) - _CLOSE else free
    pairs = []
    for column, row in sorted((column, row) for row, column in chosen):
        why = _why(scores, row, column)
        for key, name, is_settled in _within(theirs[row], ours[column]):
            pairs.append(Pair(key, name, why if is_settled else "order"))
    return pairs


def _layers(tensors: Mapping[str, Any]) -> list[_Layer]:
    """Layers with at least one tensor that is more than a single number, in the order of their first key."""
    grouped: dict[str, dict[str, tuple[str, Any]]] = defaultdict(dict)
    for key, value in tensors.items():
        if isinstance(value, torch.Tensor) and not hasattr(value, "materialize"):
            path, _, last = key.rpartition(".")
            grouped[path][last] = (key, value)
    return [
        _Layer(path, held, frozenset(word.lower() for word in _WORDS.findall(path)), tuple(_NUMBERS.findall(path)))
        for path, held in grouped.items()
        if any(value.dim() for _, value in held.values())
    ]


def _scores(theirs: list[_Layer], ours: list[_Layer]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows × columns: 0 where the layers cannot be the same, else 1 and up to 1 more for the likeness of names."""
    scores = np.zeros((len(theirs), len(ours)))
    columns = defaultdict(list)
    for column, layer in enumerate(ours):
        columns[_signature(layer)].append(column)
    for row, layer in enumerate(theirs):
        for column in columns[_signature(layer)]:
            scores[row, column] = 1 + _likeness(layer, ours[column])
    return scores


def _signature(layer: _Layer) -> tuple[tuple[int, ...], ...]:
    """Shapes of what a layer is; a lost counter makes no other layer of it."""
    return tuple(shape for shape in layer.shapes if shape)


def _likeness(theirs: _Layer, ours: _Layer) -> float:
    """From 0 to 1: shared words of the paths (Dice's coefficient), and shared names of the tensors."""
    words, shared = len(theirs.words) + len(ours.words), theirs.words & ours.words
    # A number alone is no likeness: the 1 of “m1” and of “blocks.0.1” count different things.
    if theirs.numbers != ours.numbers and all(word.isdecimal() for word in shared):
        shared = frozenset()
    path = 2 * len(shared) / words if words else 1.0
    names = 2 * len(theirs.tensors.keys() & ours.tensors.keys()) / (len(theirs.tensors) + len(ours.tensors))
    return 0.7 * path + 0.3 * names


def _in_order(scores: np.ndarray[Any, np.dtype[np.float64]]) -> list[tuple[int, int]]:
    """The best matching that keeps the order of both sides (Needleman and Wunsch, 1970, with free gaps)."""
    rows, columns = scores.shape
    best = np.zeros((rows + 1, columns + 1))
    for row in range(rows):
        diagonal = np.where(scores[row] > 0, best[row, :-1] + scores[row], 0)
        best[row + 1, 1:] = np.maximum.accumulate(np.maximum(best[row, 1:], diagonal))
    pairs, row, column = [], rows, columns
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            pairs.append((row, column))
    return pairs


def _greedy(scores: np.ndarray[Any, np.dtype[np.float64]]) -> list[tuple[int, int]]:
    """The likest names first, whatever the order: files of safetensors are sorted by name."""
    rows, columns = np.nonzero(scores)
    order = np.argsort(-scores[rows, columns], kind="stable")
    used_rows, used_columns, pairs = set(), set(), []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            pairs.append((row, column))
    return pairs


def _total(pairs: Iterable[tuple[int, int]], scores: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(sum(scores[pair] for pair in pairs))


def _why(scores: np.ndarray[Any, np.dtype[np.float64]], row: int, column: int) -> Why:
    rivals = np.concatenate([np.delete(scores[row], column), np.delete(scores[:, column], row)])
    highest = rivals.max(initial=0.0)
    if highest == 0:
        return "shape"
    return "name" if scores[row, column] - highest > _NAME_LEAD else "order"


def _within(theirs: _Layer, ours: _Layer) -> list[tuple[str, str, bool]]:
    """Tensors of two layers taken for one, as (theirs, ours, whether their own names or shapes settled it)."""
    left, pairs = dict(ours.tensors), []
    unnamed = []
    for last, (key, value) in theirs.tensors.items():
        name = last if last in left else _SAME.get(last, last)
        if name in left and fits(value, left[name][1]):
            pairs.append((key, left.pop(name)[0], True))
        else:
            unnamed.append((key, value))
    for key, value in unnamed:
        places = [name for name, (_, own) in left.items() if fits(value, own)]
        if places:
            pairs.append((key, left.pop(places[0])[0], len(places) == 1))
    position = {key: index for index, (key, _) in enumerate(ours.tensors.values())}
    return sorted(pairs, key=lambda pair: position[pair[1]])


def counts(pairs: Iterable[Pair]) -> dict[str, int]:
    """How many tensors were placed by ``shape``, ``name`` and ``order``."""
    found = Counter(pair.why for pair in pairs)
    return {why: found[why] for why in ("shape", "name", "order")}
