"""What the forward of a model takes: names and dtype."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Parameter:
    """One argument of forward that can be given by name."""

    name: str
    required: bool


def parameters(module: nn.Module) -> list[Parameter]:
    """The arguments of forward, in order; empty where they cannot be known (``*args``, functions of C)."""
    if isinstance(module, torch.jit.ScriptModule):
        arguments = getattr(getattr(module, "forward", None), "schema", None)
        found = arguments.arguments[1:] if arguments is not None else []
        return [Parameter(argument.name, not argument.has_default_value()) for argument in found]
    try:
        signature = inspect.signature(module.forward)
    except (TypeError, ValueError):
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        Parameter(parameter.name, parameter.default is inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.kind in named
    ]


def floating_dtype(module: nn.Module) -> torch.dtype | None:
    """The dtype of most floating parameters, by count of elements; None for a model without."""
    counts: dict[torch.dtype, int] = {}
    for parameter in module.parameters():
        if parameter.is_floating_point():
            size = parameter.numel() if not isinstance(parameter, nn.UninitializedParameter) else 1
            counts[parameter.dtype] = counts.get(parameter.dtype, 0) + size
    # Eight-bit floats are storage, not arithmetic: no layer takes them as input.
    counts = {dtype: size for dtype, size in counts.items() if dtype.itemsize > 1}
    return max(counts, key=lambda dtype: counts[dtype]) if counts else None
