"""Statistics policy: the preview equals real updates, and what is wrong with statistics is told."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import modelight
from modelight.engine.modules import policy
from modelight.protocol import Clause

BATCH = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}
SPACE = {**BATCH, nn.InstanceNorm1d: 1, nn.InstanceNorm2d: 2, nn.InstanceNorm3d: 3}


@st.composite
def layers_and_batches(draw: Any) -> tuple[nn.Module, list[torch.Tensor]]:
    """A norm layer with a history, and batches that may differ in size."""
    kind = draw(st.sampled_from(list(SPACE)))
    channels, length = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    momentum = draw(st.sampled_from([None, 0.0, 0.1, 0.9, 1.0]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def batch() -> torch.Tensor:
        shape = (draw(st.integers(1, 5)), channels, *[length] * SPACE[kind])
        return torch.randn(shape, generator=generator, dtype=torch.float64) * 3 + 1

    layer = kind(channels, momentum=momentum, track_running_stats=True).double()
    for _ in range(draw(st.integers(0, 3))):
        layer(batch())
    return layer, [batch() for _ in range(draw(st.integers(1, 3)))]


def statistics(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """What one forward has: mean and biased variance per channel, and values per channel."""
    flat = x.flatten(2)
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm):
        return flat.mean(2).mean(0), flat.var(2, unbiased=False).mean(0), flat.shape[2]
    return flat.mean((0, 2)), flat.var((0, 2), unbiased=False), flat.shape[0] * flat.shape[2]


@settings(max_examples=150, deadline=None)
@given(layers_and_batches(), st.integers(0, 4))
def test_the_preview_equals_real_updates(case: tuple[nn.Module, list[torch.Tensor]], passes: int) -> None:
    layer, batches = case
    means, variances, counts = zip(*(statistics(layer, x) for x in batches), strict=True)
    layer.eval()  # the preview is of train mode, whatever the mode now
    mean, var = policy.preview(
        layer, torch.stack(means).numpy(), torch.stack(variances).numpy(), np.array(counts, float), passes
    )
    real = copy.deepcopy(layer).train()
    for _ in range(passes):
        for x in batches:
            real(x)
    np.testing.assert_allclose(mean, real.running_mean.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(var, real.running_var.numpy(), rtol=1e-9, atol=1e-12)


def test_the_preview_of_float32_statistics_agrees_to_their_precision() -> None:
    layer = nn.BatchNorm2d(3)
    x = torch.randn(4, 3, 5, 5)
    mean, var, count = statistics(layer, x)
    previewed = policy.preview(layer, mean[None].double().numpy(), var[None].double().numpy(), count, 10)
    for _ in range(10):
        layer(x)
    np.testing.assert_allclose(previewed[0], layer.running_mean.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(previewed[1], layer.running_var.numpy(), rtol=1e-5)


def test_no_preview_without_running_statistics_or_with_one_value_per_channel() -> None:
    ones = np.ones((1, 3))
    for layer in (nn.BatchNorm1d(3, track_running_stats=False), nn.LazyBatchNorm1d(), nn.Linear(3, 3)):
        with pytest.raises(ValueError, match="no running statistics"):
            policy.preview(layer, ones, ones, 8, 1)
    with pytest.raises(ValueError, match="One value per channel"):
        policy.preview(nn.BatchNorm1d(3), ones, ones, 1, 1)


def test_statistics_toggled_off_do_not_move_in_the_preview() -> None:
    layer = nn.BatchNorm1d(2)
    layer.track_running_stats = False
    mean, var = policy.preview(layer, np.full((1, 2), 9.0), np.full((1, 2), 9.0), 8, 5)
    assert mean.tolist() == [0, 0] and var.tolist() == [1, 1]


def ids(module: nn.Module) -> list[str]:
    return [clause.id for clause in policy.marks(module)]


def test_marks_of_a_healthy_trained_layer_are_none() -> None:
    layer = nn.BatchNorm1d(3)
    assert ids(layer) == ["untouched-statistics"]
    layer(torch.randn(8, 3))
    assert ids(layer) == []


def test_marks_count_the_channels() -> None:
    layer = nn.BatchNorm1d(5)
    layer.running_mean[1] = float("nan")
    layer.running_var.copy_(torch.tensor([0.0, 0.0, -1.0, float("inf"), 1.0]))
    assert policy.marks(layer) == [
        Clause("has-nan", {"tensor": "running_mean", "count": 1}),
        Clause("has-infinite", {"tensor": "running_var", "count": 1}),
        Clause("zero-variance", {"count": 2, "channels": 5}),
        Clause("negative-variance", {"count": 1, "channels": 5}),
    ]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_marks_find_one_nan_among_many_weights(dtype: torch.dtype) -> None:
    layer = nn.Linear(100, 100).to(dtype)
    assert ids(layer) == []
    with torch.no_grad():
        layer.weight[50, 50] = float("nan")
        layer.weight[7, 7] = float("-inf")
    assert ids(layer) == ["has-nan", "has-infinite"]


def test_the_counter_of_instance_norm_is_no_sign_of_anything() -> None:
    layer = nn.InstanceNorm1d(3, track_running_stats=True)
    assert ids(layer) == ["untouched-statistics"]
    layer(torch.randn(4, 3, 5))
    assert layer.num_batches_tracked == 0 and ids(layer) == []


def test_marks_take_any_module() -> None:
    for module in (
        nn.Embedding(3, 2),
        nn.LazyLinear(2),
        nn.Linear(2, 2, device="meta"),
        nn.ParameterList([torch.empty(0)]),
        nn.ReLU(),
    ):
        assert ids(module) == []
    with torch.inference_mode():
        inside = nn.BatchNorm1d(2)
    assert ids(inside) == ["untouched-statistics"]


@pytest.mark.parametrize("counter", [torch.tensor(math.nan), torch.tensor(math.inf), torch.tensor([1, 2])])
def test_a_counter_that_is_no_number_hinders_nothing(counter: torch.Tensor) -> None:
    model = nn.Sequential(nn.BatchNorm1d(3)).eval()
    model[0].num_batches_tracked = counter
    assert policy.counted(counter) is None
    assert policy.counted(torch.tensor(12.5)) == 12  # of an average of several models
    for momentum in (0.1, None):
        model[0].momentum = momentum
        seen = modelight.observe(model, torch.randn(4, 3)).norms["0"]
        assert seen.tracked is None
        # A cumulative average goes on from the count.
        assert (seen.preview_largest is None) == (momentum is None)
    assert [mark.id for mark in policy.marks(model[0])][-1] == "untouched-statistics"
