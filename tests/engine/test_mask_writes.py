"""Masks that are written to between the draw and what they mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import modelight
from modelight.protocol import GradMode
from tests.engine.layers import Calls
from tests.engine.observing import GRAD_MODES

Mask = Callable[[torch.Tensor], torch.Tensor]


def written(change: Callable[[torch.Tensor], Any]) -> Mask:
    def make(x: torch.Tensor) -> torch.Tensor:
        mask = torch.empty_like(x).bernoulli_(0.5)
        change(mask)
        return mask

    return make


def _first_kept(x: torch.Tensor) -> torch.Tensor:
    mask = torch.rand_like(x) < 0.5
    mask[:, 0] = True
    return mask


def _noise_written(x: torch.Tensor) -> torch.Tensor:
    noise = torch.rand_like(x)
    noise[:, 1:] = 1.0
    return noise > 0.5


PARTLY: dict[str, Mask] = {
    "a row": written(lambda mask: mask[0].fill_(1)),
    "rows that begin elsewhere": written(lambda mask: mask[1:].fill_(1)),
    "a view": written(lambda mask: mask.view(-1)[:3].fill_(1)),
    "an index": written(lambda mask: mask.index_fill_(1, torch.tensor([2]), 1)),
    "chosen ones": written(lambda mask: mask.masked_fill_(torch.arange(8) % 2 == 0, 1)),
    "a column of a comparison": _first_kept,
    "the noise before": _noise_written,
}
WHOLLY: dict[str, Mask] = {
    "fill": written(lambda mask: mask.fill_(2)),
    "other noise": written(lambda mask: mask.normal_()),
    "out": written(lambda mask: torch.mul(torch.ones(50, 8), 2, out=mask)),
    "through a view": written(lambda mask: mask.view(-1).fill_(2)),
}


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("name", PARTLY)
def test_a_mask_that_was_written_to_in_part_is_told_as_it_is_without_a_probability(name: str, mode: GradMode) -> None:
    masks: list[torch.Tensor] = []

    def forward(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        masks.append(PARTLY[name](x))
        return x * masks[-1]

    seen = modelight.observe(Calls(forward), torch.randn(50, 8), seed=0, grad_mode=mode)
    (drop,) = seen.dropouts
    assert (drop.p, drop.unseen) == (None, None)
    assert drop.dropped is not None
    dropped = torch.as_tensor(drop.dropped)
    assert torch.equal(dropped, masks[-1] == 0)
    assert 0 < dropped.float().mean() < 0.5


@pytest.mark.parametrize("name", WHOLLY)
def test_what_was_written_over_is_no_mask_any_more(name: str) -> None:
    forward: Callable[[torch.nn.Module, torch.Tensor], torch.Tensor] = lambda model, x: x * WHOLLY[name](x)  # noqa: E731
    seen = modelight.observe(Calls(forward), torch.randn(50, 8), seed=0)
    (drop,) = seen.dropouts
    assert drop.dropped is None
    assert drop.unseen is not None
    assert drop.unseen.id == "noise-not-applied"


@pytest.mark.parametrize("into", ["mul", "where"])
def test_what_is_written_elsewhere_leaves_the_mask_as_it_is(into: str) -> None:
    def forward(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        mask, other = torch.empty_like(x).bernoulli_(0.5), torch.empty_like(x)
        if into == "mul":
            torch.mul(mask, 2.0, out=other)
            return x * mask
        return torch.where(mask.bool(), x, torch.zeros_like(x), out=other)

    x = torch.randn(50, 8)
    (drop,) = modelight.observe(Calls(forward), x, seed=0).dropouts
    assert drop.p == 0.5
    assert drop.already_zero == 0
    assert drop.dropped is not None
    assert 0.4 < torch.as_tensor(drop.dropped).float().mean() < 0.6
