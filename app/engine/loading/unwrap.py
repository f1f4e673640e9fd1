"""From what a checkpoint file holds to the state dict in it: training scripts wrap it in dicts of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from modelight.engine.loading import standins
from modelight.engine.loading.torchfiles import first_line, refuse

USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "ema", "model_ema")
"""Names under which training scripts keep the model, most telling first: decides where several are found."""
_NEVER = ("optimizer", "optim", "scheduler", "scaler", "sched")
_AVERAGES = {"ema", "swa", "shadow", "averaged"}
"""Words in the place of a copy that is an average: the model itself is likelier."""
_DEPTH = 10
_MAX_NODES = 10_000
_MAX_ITEMS = 64
_HELD = (torch.Tensor, np.ndarray, standins.Array)
_NAMED = 4


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
    _search(content, "", _DEPTH, found, [_MAX_NODES], _NEVER)
    if not found:  # an “optimized_model”, say, is no optimizer
        _search(content, "", _DEPTH, found, [_MAX_NODES], ())
    return sorted(found, key=_rank)


def _rank(candidate: Candidate) -> tuple[bool, int, int]:
    last = candidate.key.rpartition(".")[2]
    is_copy = last not in USUAL[-2:] and not _AVERAGES.isdisjoint(re.split(r"[._]", candidate.key.lower()))
    return is_copy, USUAL.index(last) if last in USUAL else len(USUAL), candidate.key.count(".")


def _search(value: Any, key: str, depth: int, found: list[Candidate], budget: list[int], never: Sequence[str]) -> None:
    budget[0] -= 1
    if depth == 0 or budget[0] < 0 or any(word in key.lower() for word in never):
        return
    if isinstance(value, nn.Module):
        found.append(_of_module(value, key))
    elif isinstance(value, Mapping):
        _search_mapping(value, key, depth, found, budget, never)
    elif isinstance(value, list | tuple) and len(value) <= _MAX_ITEMS:  # torch.save((weights, settings), …)
        for index, inner in enumerate(value):
            _search(inner, f"{key}.{index}" if key else str(index), depth - 1, found, budget, never)


def _of_module(module: nn.Module, key: str) -> Candidate:
    try:
        flags = {path: inner.training for path, inner in module.named_modules() if hasattr(inner, "training")}
        state = module.state_dict()
    except Exception as error:  # the code of the file's author may do anything
        what = f"{type(error).__name__}: {first_line(error)}"
        raise refuse(f"The {type(module).__name__} in the file does not tell its state dict: {what}") from error
    return Candidate(key, dict(state), flags, getattr(state, "_metadata", None))


def _search_mapping(
    value: Mapping[Any, Any], key: str, depth: int, found: list[Candidate], budget: list[int], never: Sequence[str]
) -> None:
    if "param_groups" in value and "state" in value:  # an optimizer's, whatever its name
        return
    versions = getattr(value, "_metadata", None)
    if is_state_dict(value):
        found.append(Candidate(key, _as_tensors(value), versions=versions))
        return
    before = len(found)
    for name, inner in value.items():
        if isinstance(name, str):
            _search(inner, f"{key}.{name}" if key else name, depth - 1, found, budget, never)
    # Tensors that lie beside dicts of something else (a configuration, say) are the state dict if nothing else is.
    tensors = {name: item for name, item in _as_tensors(value).items() if isinstance(item, torch.Tensor)}
    if tensors and len(found) == before and not _are_measures(value):
        found.append(Candidate(key, tensors, versions=versions))


def _as_tensors(value: Mapping[Any, Any]) -> dict[str, Any]:
    """With numpy's arrays, as some files hold them, as tensors."""
    return {str(name): _as_tensor(item) for name, item in value.items()}


def _as_tensor(item: Any) -> Any:
    if isinstance(item, torch.Tensor) and item.is_nested:
        return standins.Nested()
    array = item if isinstance(item, np.ndarray) else standins.array_of(item)
    if array is None or array.dtype.kind not in "biufc":
        return item
    try:
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=False))
    except TypeError:  # numbers that torch has no type for, such as numpy's longdouble
        return item


def is_state_dict(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping is flat and holds tensors by text keys (other values, such as an epoch, may lie beside)."""
    if not value or not all(isinstance(key, str) for key in value):
        return False
    tensors = sum(isinstance(item, _HELD) for item in value.values())
    nested = sum(isinstance(item, Mapping | nn.Module) for key, item in value.items() if "_extra_state" not in key)
    return tensors > 0 and nested == 0 and not _are_measures(value)


def _are_measures(value: Mapping[Any, Any]) -> bool:
    """Whether the tensors are single numbers beside other things: an accuracy and an epoch, not a module's tensors."""
    held = [item for item in value.values() if isinstance(item, _HELD)]
    return (
        len(held) < len(value)
        and all(isinstance(item, torch.Tensor) and item.numel() == 1 for item in held)
        and not any("." in str(name) for name in value)
    )


def at(content: Any, key: str) -> Any:
    """What lies at a candidate's dotted place. Names may hold dots themselves, so every way of cutting is tried."""
    if not key:
        return content
    for name, inner in _named(content):
        if name == key:
            return inner
        if key.startswith(f"{name}."):
            found = at(inner, key[len(name) + 1 :])
            if found is not None:
                return found
    return None


def _named(content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, Mapping):
        yield from ((name, inner) for name, inner in content.items() if isinstance(name, str))
    elif isinstance(content, list | tuple):
        yield from ((str(index), inner) for index, inner in enumerate(content))


def described(content: Any) -> str:
    """What a file holds in which no state dict was found, as the end of a sentence."""
    if isinstance(content, torch.jit.ScriptModule):
        return "its script was frozen, so that its weights are constants of its code"
    if isinstance(content, Mapping):
        names = [str(key)[:40] for key in list(content)[:_NAMED]]
        more = " …" if len(content) > _NAMED else ""
        return f"a dict with {', '.join(names)}{more}" if names else "an empty dict"
    if isinstance(content, torch.Tensor):
        return f"one tensor of shape {tuple(content.shape)}"
    if isinstance(content, list | tuple):
        return f"a {type(content).__name__} of {len(content)}"
    return f"an object of type {type(content).__name__}"
