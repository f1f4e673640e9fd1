"""Operators made of others give under inference mode what they give alone, views of inputs and of parameters too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import modelight
from tests.engine.observing import GRAD_MODES, bare, bits

Function = Callable[[torch.Tensor], Any]

VIEWS: dict[str, Function] = {
    "chunk": lambda x: x.chunk(2, 1),
    "tensor_split": lambda x: x.tensor_split(3),
    "narrow": lambda x: x.narrow(0, 1, 2),
    "matmul, out": lambda x: torch.matmul(x.T, x, out=torch.empty(6, 6)) if not x.requires_grad else x,
    "chunk under autocast": lambda x: _autocast(x),
    "movedim": lambda x: x.movedim(0, 1).reshape(-1),
    "expand_as": lambda x: x[:1].expand_as(x).contiguous(),
}


def _autocast(x: torch.Tensor) -> Any:
    with torch.autocast("cpu"):
        first, second = x.chunk(2)
        return first.narrow(1, 0, 3) @ second.narrow(1, 0, 3).T


class Views(nn.Module):
    """Applies a function to its input, a parameter, a buffer and something it has computed."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(4, 6))
        self.register_buffer("table", torch.randn(4, 6))

    def forward(self, x: torch.Tensor) -> list[Any]:
        return [self.function(value) for value in (x, self.weight, self.get_buffer("table"), x * 2)]


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("name", VIEWS)
def test_views_are_taken_as_without_watching(name: str, mode: Any) -> None:
    torch.manual_seed(0)
    model, value = Views(VIEWS[name]), torch.randn(4, 6)
    expected = bits(bare(model, mode, 0, value))
    assert bits(modelight.observe(model, value, seed=0, grad_mode=mode).output) == expected
