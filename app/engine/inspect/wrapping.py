"""What lies around the state dict in a checkpoint: epoch, optimizer, hyper-parameters … as plain texts."""

from __future__ import annotations

import argparse
import types
from collections.abc import Collection, Iterator, Mapping, Set
from typing import Any

import numpy as np
import torch
from torch import nn

from modelight.engine.loading.standins import Nested, StandIn, Unshaped, array_of
from modelight.engine.loading.standins import plain as plain_value
from modelight.protocol import plain
from modelight.widgets import numbers

MAX_ENTRIES = 400
MAX_TEXT = 160
_DEPTH = 10
_SHOWN = 8
_LISTS = 3
Entry = tuple[str, str]


def wrapping(content: Any, state_dicts: Set[str]) -> list[Entry]:
    """(dotted place, value as text) for everything in a checkpoint but the state dicts at the places given.

    Values are written as Python writes them; tensors and other objects are named by kind, never shown. An optimizer's
    state is summed up: which moments it keeps, and for how many parameters.
    """
    found = []
    for entry in _walk(content, "", state_dicts, _DEPTH):
        found.append((plain(entry[0]), plain(entry[1])))
        if len(found) == MAX_ENTRIES:
            found.append(("…", "…"))
            break
    return found


def _walk(value: Any, place: str, skipped: Set[str], depth: int) -> Iterator[Entry]:
    if place.replace("[", ".").replace("]", "").removeprefix(".") in skipped:
        return
    inner = _fields(value)
    if not place and not inner:
        return
    if inner is None or not depth or not inner:
        yield place, text_of(value)
        return
    if "param_groups" in inner and isinstance(inner.get("state"), Mapping):
        yield from _optimizer(inner, place)
        return
    for name, item in inner.items():
        yield from _walk(item, _join(place, str(name)[:MAX_TEXT]), skipped, depth - 1)


def _fields(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, StandIn):
        return value.state if isinstance(value.state, Mapping) else None
    if isinstance(value, argparse.Namespace | types.SimpleNamespace):
        return vars(value)
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping | nn.Module) for item in value[:_SHOWN]):
        return {f"[{index}]": item for index, item in enumerate(value)}
    return None


def _optimizer(value: Mapping[Any, Any], place: str) -> Iterator[Entry]:
    """The state of a ``torch.optim.Optimizer``: moments by name, and each group's settings without its parameters."""
    state = value["state"]
    moments = {str(name): None for entry in state.values() if isinstance(entry, Mapping) for name in entry}
    yield _join(place, "state"), f"{', '.join(moments)} × {numbers.count(len(state))}" if moments else "{}"
    groups = value["param_groups"]
    for index, group in enumerate(groups if isinstance(groups, list | tuple) else ()):
        for name, item in group.items() if isinstance(group, Mapping) else ():
            if name != "params":
                yield _join(place, f"param_groups[{index}].{name}"), text_of(item)


def text_of(value: Any, depth: int = _LISTS) -> str:
    """A plain value as Python writes it, cut to :data:`MAX_TEXT` characters; anything else by what it is.

    Args:
        depth: how many lists within lists are written out. A list may hold itself, or another one over and over.
    """
    value = plain_value(value)
    if value is None or isinstance(value, bool | int | float | complex):
        return _cut(_number(value))
    if isinstance(value, str):
        return _cut(value)
    array = value if isinstance(value, np.ndarray) else array_of(value)
    if array is not None:
        return f"array {numbers.shape(array.shape)} {array.dtype}"
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, torch.dtype | torch.device):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return _listed(value, depth)
    if isinstance(value, Mapping):
        return f"{type(value).__name__} ({numbers.count(len(value))})"
    if isinstance(value, StandIn):
        return _stand_in(value)
    return f"‹{type(value).__module__}.{type(value).__qualname__}›"


def _listed(value: Collection[Any], depth: int) -> str:
    count = numbers.count(len(value))
    if value and not depth:
        return f"[… ({count})]"
    shown = [text_of(item, depth - 1) for _, item in zip(range(_SHOWN), value, strict=False)]
    more = f", … ({count})" if len(value) > _SHOWN else ""
    return _cut(f"[{', '.join(shown)}{more}]")


def _number(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python refuses to write integers of more than some thousand digits
        return f"int, {value.bit_length()} bits"


def _tensor(value: torch.Tensor) -> str:
    if value.is_nested:
        return "nested tensor"
    readable = value.layout is torch.strided and not value.is_quantized and value.device.type != "meta"
    if value.numel() == 1 and readable:
        try:
            return _number(value.item())
        except RuntimeError:  # bits, or several values in a byte
            pass
    return f"tensor {numbers.shape(tuple(value.shape))} {str(value.dtype).removeprefix('torch.')}"


def _stand_in(value: StandIn) -> str:
    """What a path or a date was made of; the bytes of a numpy scalar tell nothing without numpy."""
    if isinstance(value, Nested):
        return "nested tensor"
    if isinstance(value, Unshaped):
        return "lazy, without a shape yet"
    parts = value.state if isinstance(value.state, tuple) else ()
    simple = parts and all(isinstance(part, str | int | float) for part in parts)
    return text_of(parts) if simple else "‹…›"


def _join(place: str, name: str) -> str:
    if not place or name.startswith("["):
        return place + name
    return f"{place}.{name}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
