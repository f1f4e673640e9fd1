"""Tensors of other shapes: the block that a checkpoint and a model both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.parameter import is_lazy


@dataclass(frozen=True)
class Block:
    """One tensor of the model with a part of it replaced."""

    key: str
    """In the model."""
    value: torch.Tensor
    """The model's own values, with the checkpoint's in the block at the origin."""
    elements: int
    """How many came from the checkpoint."""


def blocks(
    checkpoint: Mapping[str, Any], model: Mapping[str, Any], keys: Mapping[str, str], whole: set[str]
) -> dict[str, Block]:
    """By the checkpoint's key, for the pairs of ``keys`` not in ``whole`` that have equally many dimensions.

    The first rows of a classifier are the first classes: whether these are the same classes, nobody but a person knows.
    """
    found = {}
    for theirs, ours in keys.items():
        source, target = checkpoint[theirs], model[ours]
        if theirs not in whole and _overlaps(source, target):
            found[theirs] = _blended(ours, source, target)
    return found


def _overlaps(source: Any, target: Any) -> bool:
    if not isinstance(source, torch.Tensor) or not isinstance(target, torch.Tensor) or is_lazy(target):
        return False
    return source.dim() == target.dim() > 0 and not target.is_quantized and 0 not in (*source.shape, *target.shape)


def _blended(key: str, source: torch.Tensor, target: torch.Tensor) -> Block:
    place = tuple(slice(0, min(pair)) for pair in zip(source.shape, target.shape, strict=True))
    plain = source.dequantize() if source.is_quantized else source
    value = target.detach().clone()
    part = value[place]
    part.copy_(plain[place])
    return Block(key, value, part.numel())
