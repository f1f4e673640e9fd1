"""Memory that is read by address: only what belongs to the tensor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import modelight
from modelight.engine.observing import arrays
from modelight.engine.observing.summary import SAMPLE, stats_of
from tests.engine.layers import Calls

COUNT = 40 * SAMPLE
VIEWS: dict[str, Callable[[], torch.Tensor]] = {
    "one after the other": lambda: torch.randn(COUNT),
    "every third": lambda: torch.randn(COUNT, 3)[:, 1],
    "a channel that comes last": lambda: torch.randn(1, COUNT // 64, 64, 3)[..., 0],
    "a column": lambda: torch.randn(COUNT, 5)[:, 2:3],
    "turned": lambda: torch.randn(64, COUNT // 64).t(),
    "expanded": lambda: torch.randn(1).expand(COUNT),
    "expanded twice": lambda: torch.randn(1, 1).expand(64, COUNT // 64),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_sample_holds_values_of_the_tensor_alone(name: str) -> None:
    values = VIEWS[name]()
    stats = stats_of(values)
    assert stats.sampled < stats.count == COUNT
    assert (stats.minimum, stats.maximum) == (values.min(), values.max())
    assert stats.mean == pytest.approx(values.double().mean().item(), abs=0.08)
    assert stats.std == pytest.approx(values.double().std(correction=0).item(), abs=0.08)
    assert values.min() <= stats.low <= stats.high <= values.max()


def test_blocks_of_values_that_lie_apart() -> None:
    line = torch.arange(300.0)[::3]
    assert arrays.blocks(line, 2, 40, 4).tolist() == [[0, 3, 6, 9], [120, 123, 126, 129]]
    assert arrays.blocks(torch.ones(1).expand(100), 2, 40, 3).tolist() == [[1, 1, 1]] * 2


def test_a_module_that_picks_one_channel_is_told_by_that_channel() -> None:
    class Pick(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., 0]

    x = torch.zeros(1, 128, 128, 3)
    x[..., 0], x[..., 1] = 1, 100
    model = Calls(lambda m, x: m.pick(x).mean())
    model.pick = Pick()
    stats = modelight.observe(model, x).modules["pick"].stats
    assert stats is not None
    assert (stats.mean, stats.std, stats.low, stats.high) == (1, 0, 1, 1)
