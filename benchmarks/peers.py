"""What is measured beside Modelight, each as its own documentation says; see ``requirements-bench.txt``."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Call = Callable[[], object]


def torchinfo(model: nn.Module, given: dict[str, Any]) -> Call:
    """Shapes and parameters, no statistics."""
    package = importlib.import_module("torchinfo")
    mode = "train" if model.training else "eval"
    return lambda: package.summary(model, input_data=given, verbose=0, mode=mode)


def torchlens(model: nn.Module, given: dict[str, Any]) -> Call:
    """Every activation kept, no statistics."""
    package = importlib.import_module("torchlens")
    arguments = tuple(given.values())
    return lambda: package.trace(model, arguments)


def torchexplorer(model: nn.Module, given: dict[str, Any]) -> Call:
    """Histograms of few samples, in train mode only. Under ``no_grad`` as all others: with gradients its hooks refuse
    in-place activations. They stay, so that it watches a copy, and take positional arguments only."""
    package = importlib.import_module("torchexplorer")
    if not model.training:
        raise RuntimeError("it watches in train mode only")
    watched = copy.deepcopy(model)
    package.watch(watched, backend="none")

    def run() -> object:
        with torch.no_grad():
            return watched(*given.values())

    return run


PEERS: dict[str, Callable[[nn.Module, dict[str, Any]], Call]] = {
    "torchinfo": torchinfo,
    "torchlens": torchlens,
    "torchexplorer": torchexplorer,
}
