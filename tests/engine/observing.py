"""Shared by the tests of observing: bare runs, and bits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from modelight.engine.batches import Batch
from modelight.engine.observing import lazy, rng
from modelight.engine.observing.outputs import fields
from modelight.protocol import GradMode

GRAD_MODES: dict[GradMode, Callable[[], AbstractContextManager[Any]]] = {
    "enabled": torch.enable_grad,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


def bits(value: Any) -> list[tuple[str, bytes]]:
    """Names and bytes of every tensor in a value."""
    return [(name, tensor_bits(tensor)) for name, tensor in fields(value)]


def tensor_bits(tensor: torch.Tensor) -> bytes:
    with torch.inference_mode():
        return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def state_bits(model: nn.Module) -> dict[str, bytes]:
    """Everything a run must leave alone: parameters and buffers by name, flags, requires_grad."""
    state = {name: tensor_bits(tensor) for name, tensor in [*model.named_parameters(), *model.named_buffers()]}
    state |= {f"{path} training": bytes([module.training]) for path, module in model.named_modules()}
    state |= {f"{name} grad": bytes([tensor.requires_grad]) for name, tensor in model.named_parameters()}
    return state


def bare(model: nn.Module, mode: GradMode, seed: int, *args: Any, **kwargs: Any) -> Any:
    """What the model returns when nobody looks."""
    rng.seed(seed)
    with GRAD_MODES[mode]():
        return model(*args, **kwargs)


def build(case: tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]], training: bool) -> tuple[nn.Module, Any]:
    """The same model and input each time."""
    rng.seed(0)
    model, value = case[0]().train(training), case[1]()
    lazy.materialise_with(model, Batch((value,), {}, 0, 1), 1)
    return model, value
