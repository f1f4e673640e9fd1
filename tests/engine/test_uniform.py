"""Masks made from uniform noise: older drop paths, and dropouts written by hand."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import modelight
from modelight.protocol import GradMode
from tests.engine.layers import Calls
from tests.engine.observing import GRAD_MODES, bare, bits

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def old_drop_path(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    keep = 1 - 0.4
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    noise = keep + torch.rand(shape, dtype=x.dtype, device=x.device)
    noise.floor_()  # zeros and ones
    return x.div(keep) * noise


MADE: dict[str, tuple[Forward, float, str]] = {
    "floor_": (old_drop_path, 0.4, "sample"),
    "floor": (lambda m, x: x * (torch.rand(x.shape[0], 1) + 0.7).floor(), 0.3, "sample"),
    "greater, cast": (lambda m, x: x * (torch.rand_like(x) > 0.3).float() / 0.7, 0.3, "element"),
    "less": (lambda m, x: (x.new_empty(x.shape).uniform_() < 0.8) * x, 0.2, "element"),
    "turned round": (lambda m, x: x * ~(torch.rand(x.shape[0], 1) < 0.3), 0.3, "sample"),
    "filled": (lambda m, x: x.masked_fill(torch.rand_like(x) < 0.3, 0.0), 0.3, "element"),
    "filled, turned round": (lambda m, x: x.clone().masked_fill_(~(torch.rand_like(x) < 0.3), 0), 0.7, "element"),
    "shifted": (lambda m, x: x * (torch.rand_like(x) + 0.5 > 0.75), 0.25, "element"),
    "scaled before": (lambda m, x: x * torch.empty(x.shape[0], 1).bernoulli_(0.5).div(0.5), 0.5, "sample"),
}


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("name", MADE)
def test_the_mask_is_where_the_output_is_zero(name: str, mode: GradMode) -> None:
    forward, p, unit = MADE[name]
    model, value = Calls(forward), torch.randn(400, 6) + 10
    expected = bits(bare(model, mode, 3, value))
    seen = modelight.observe(model, value, seed=3, grad_mode=mode)
    (drop,) = seen.dropouts
    assert bits(seen.output) == expected
    assert drop.dropped is not None and torch.equal(drop.dropped, seen.output == 0)
    assert (drop.p, drop.unit) == (pytest.approx(p), unit)
    assert drop.observed == drop.dropped.double().mean().item() == pytest.approx(p, abs=0.08)


def test_the_line_is_where_the_noise_was_drawn_and_a_relu_before_does_not_count() -> None:
    model = nn.Sequential(nn.ReLU(), Calls(old_drop_path))
    seen = modelight.observe(model, torch.randn(50, 6), seed=1)
    (drop,) = seen.dropouts
    assert drop.path == "1" and drop.function == "torch.rand"
    assert drop.source == f"{__file__}:{inspect.getsourcelines(old_drop_path)[1] + 3}"
    torch.manual_seed(1)
    expected = (torch.rand(50, 1) + 0.6).floor() == 0
    assert drop.dropped is not None and torch.equal(drop.dropped, expected.expand(50, 6))
    assert drop.already_zero is not None and 100 < drop.already_zero < 200


NO_MASK: dict[str, Forward] = {
    "added": lambda m, x: x + torch.rand_like(x),
    "a factor": lambda m, x: x * torch.rand_like(x),
    "a decision": lambda m, x: x if (torch.rand(1) < 0.5).item() else x * 2,
    "signs": lambda m, x: x * (torch.empty_like(x).uniform_(-1, 1) > 0),
    "filled with another value": lambda m, x: x.masked_fill(torch.rand_like(x) < 0.5, -1.0),
    "a lower bound": lambda m, x: x * (torch.rand_like(x) * 2).floor(),
}


@pytest.mark.parametrize("name", NO_MASK)
def test_other_noise_is_no_dropout(name: str) -> None:
    seen = modelight.observe(Calls(NO_MASK[name]), torch.randn(8, 6), seed=1)
    assert seen.dropouts == [] and seen.random


def test_zeros_and_ones_that_multiply_nothing_are_unseen_with_the_reason() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        return x + (0.5 + torch.rand_like(x)).floor_()

    (drop,) = modelight.observe(Calls(forward), torch.randn(8, 6)).dropouts
    assert drop.dropped is None and drop.observed is None and drop.p == 0.5
    assert drop.unseen is not None and drop.unseen.id == "noise-not-applied"


@pytest.mark.package
def test_the_drop_path_of_transformers() -> None:
    from transformers.models.beit.modeling_beit import BeitDropPath

    value = torch.randn(60, 4, 3)
    seen = modelight.observe(nn.Sequential(BeitDropPath(0.4)).train(), value, seed=2)
    (drop,) = seen.dropouts
    assert (drop.path, drop.unit) == ("0", "sample") and drop.p == pytest.approx(0.4)
    assert drop.dropped is not None and torch.equal(drop.dropped, seen.output == 0)
    assert 0 < drop.dropped[:, 0, 0].sum() < 60
