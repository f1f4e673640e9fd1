"""From what a checkpoint file holds to the state dict in it: training scripts wrap it in dicts of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "ema", "model_ema")
"""Names under which training scripts keep the model, most telling first: decides where several are found."""
_NEVER = ("optimizer", "optim", "scheduler", "scaler", "sched")
_DEPTH = 4
_MAX_NODES = 10_000


@dataclass(frozen=True)
class Candidate:
    """One state dict in a file."""

    key: str
    """Dotted place in the file; empty for the file itself."""
    tensors: dict[str, Any]
    flags: dict[str, bool] = field(default_factory=dict)
    """Training flag per module path, where the format carries them (a whole pickled module)."""
    versions: Any = None
    """The ``_metadata`` of a state dict: versions of the modules that wrote it."""


def candidates(content: Any) -> list[Candidate]:
    """Every state dict in the content, the likeliest first.

    A state dict is a mapping in which texts name tensors; nothing inside a found one is searched. Optimizer states are
    left out.
    """
    found: list[Candidate] = []
    budget = [_MAX_NODES]
    _search(content, "", _DEPTH, found, budget)
    return sorted(found, key=_rank)


def _rank(candidate: Candidate) -> tuple[int, int]:
    last = candidate.key.rpartition(".")[2]
    return (USUAL.index(last) if last in USUAL else len(USUAL), candidate.key.count("."))


def _search(value: Any, key: str, depth: int, found: list[Candidate], budget: list[int]) -> None:
    budget[0] -= 1
    if depth == 0 or budget[0] < 0 or any(word in key.lower() for word in _NEVER):
        return
    if isinstance(value, nn.Module):
        flags = {path: module.training for path, module in value.named_modules() if hasattr(module, "training")}
        state = value.state_dict()
        found.append(Candidate(key, dict(state), flags, getattr(state, "_metadata", None)))
    elif isinstance(value, Mapping):
        _search_mapping(value, key, depth, found, budget)


def _search_mapping(value: Mapping[Any, Any], key: str, depth: int, found: list[Candidate], budget: list[int]) -> None:
    versions = getattr(value, "_metadata", None)
    if is_state_dict(value):
        found.append(Candidate(key, _as_tensors(value), versions=versions))
        return
    before = len(found)
    for name, inner in value.items():
        if isinstance(name, str):
            _search(inner, f"{key}.{name}" if key else name, depth - 1, found, budget)
    # Tensors that lie beside dicts of something else (a configuration, say) are the state dict if nothing else is.
    tensors = {name: item for name, item in _as_tensors(value).items() if isinstance(item, torch.Tensor)}
    if tensors and len(found) == before:
        found.append(Candidate(key, tensors, versions=versions))


def _as_tensors(value: Mapping[Any, Any]) -> dict[str, Any]:
    """With numpy's arrays, as some pickles hold them, as tensors."""
    return {
        str(name): torch.from_numpy(item) if isinstance(item, np.ndarray) and item.dtype.kind in "biufc" else item
        for name, item in value.items()
    }


def is_state_dict(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping is flat and holds tensors by text keys (other values, such as an epoch, may lie beside)."""
    if not value or not all(isinstance(key, str) for key in value):
        return False
    tensors = sum(isinstance(item, torch.Tensor | np.ndarray) for item in value.values())
    nested = sum(isinstance(item, Mapping | nn.Module) for key, item in value.items() if "_extra_state" not in key)
    return tensors > 0 and nested == 0
