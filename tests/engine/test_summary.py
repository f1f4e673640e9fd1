"""Statistics of tensors against numpy, exact and sampled."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from modelight.engine.observing.summary import BINS, SAMPLE, Sample, flat, is_readable, stats_of, summarize, take
from modelight.protocol import Stats


def histogram(stats: Stats) -> np.ndarray:
    assert stats.counts is not None
    return stats.counts.numpy()


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8]
)
def test_a_small_tensor_is_summarised_exactly(dtype: torch.dtype) -> None:
    values = (torch.randn(40, 30) * 20).abs().to(dtype)
    plain = values.double().numpy()
    stats = stats_of(values)
    assert (stats.count, stats.sampled) == (1200, 1200)
    assert (stats.minimum, stats.maximum) == (plain.min(), plain.max())
    assert stats.mean == pytest.approx(plain.mean(), rel=1e-5)
    assert stats.std == pytest.approx(plain.std(), rel=1e-4)
    assert (stats.low, stats.high) == (plain.min(), plain.max())
    assert histogram(stats).sum() == 1200 and histogram(stats).shape == (BINS,)
    expected, _ = np.histogram(plain, BINS, (plain.min(), plain.max()))
    # float32 edges may put a value on the other side of an edge.
    assert np.abs(histogram(stats) - expected).sum() <= 8


def test_booleans_and_lone_values() -> None:
    stats = stats_of(torch.tensor([True, False, True, True]))
    assert (stats.minimum, stats.maximum, stats.mean) == (0, 1, 0.75)
    lone = stats_of(torch.tensor(3.0))
    assert (lone.count, lone.minimum, lone.mean, lone.std) == (1, 3, 3, 0)
    assert histogram(lone).sum() == 1


def test_an_empty_tensor_has_no_figures() -> None:
    assert stats_of(torch.empty(0, 3)) == Stats(0, 0, None, None, None, None)


def test_a_large_tensor_is_sampled_and_says_so_but_its_range_is_exact() -> None:
    values = torch.randn(8, 64, 64, 64)
    values[3, 5, 7, 11], values[1, 2, 3, 9] = 40, -50
    stats = stats_of(values)
    assert stats.count == values.numel() and SAMPLE / 2 <= stats.sampled <= SAMPLE
    assert (stats.minimum, stats.maximum) == (-50, 40)
    assert stats.mean == pytest.approx(0, abs=0.05) and stats.std == pytest.approx(1, abs=0.05)
    exact = stats_of(values, exact=True)
    assert exact.sampled == exact.count and exact.mean == pytest.approx(values.mean().item(), abs=1e-6)


def test_one_nan_among_millions_is_found_and_the_rest_is_summarised() -> None:
    values = torch.rand(1_000_000)
    values[777_777] = math.nan
    stats = stats_of(values)
    assert stats.has_nan and not stats.has_infinite
    assert stats.minimum is not None and 0 <= stats.minimum < 0.01
    assert stats.mean == pytest.approx(0.5, abs=0.02)


def test_infinite_values_are_named_and_left_out_of_moments() -> None:
    stats = stats_of(torch.tensor([1.0, 2.0, math.inf, -math.inf, math.nan]))
    assert stats.has_nan and stats.has_infinite
    assert (stats.minimum, stats.maximum) == (-math.inf, math.inf)
    assert (stats.mean, stats.low, stats.high) == (1.5, 1, 2)
    nothing = stats_of(torch.tensor([math.nan, math.nan]))
    assert nothing.has_nan and nothing.minimum is None and nothing.mean is None and nothing.counts is None


def test_several_samples_in_one_pass_are_those_of_each_alone() -> None:
    torch.manual_seed(0)
    tensors = [
        torch.randn(100),
        torch.randn(50).double() * 1e9,
        torch.full((9,), 4.0),
        torch.tensor([math.nan, 1.0, 5.0]),
        torch.empty(0),
        torch.arange(300).half(),
    ]
    samples = []
    for tensor in tensors:
        samples.append(Sample())
        samples[-1].take(tensor)
    for together, alone in zip(summarize(samples), [stats_of(tensor) for tensor in tensors], strict=True):
        if alone.mean is not None:
            assert (together.mean, together.std) == pytest.approx((alone.mean, alone.std), rel=1e-6)
        assert replace(together, mean=0.0, std=0.0) == replace(alone, mean=0.0, std=0.0)
    assert summarize([]) == []


def test_calls_of_one_module_are_pooled() -> None:
    sample, first, second = Sample(), torch.randn(300), torch.randn(500) + 3
    sample.take(first)
    sample.take(second)
    (stats,) = summarize([sample])
    both = torch.cat((first, second))
    assert stats.count == 800 and stats.mean == pytest.approx(both.mean().item(), rel=1e-5)
    assert (stats.minimum, stats.maximum) == (both.min().item(), both.max().item())


def test_what_is_overwritten_afterwards_does_not_matter() -> None:
    sample, values = Sample(), torch.ones(10)
    sample.take(values)
    values.zero_()
    assert summarize([sample])[0].mean == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.to(memory_format=torch.channels_last),
        lambda t: t.transpose(0, 3),
        lambda t: t[:, ::2],
        lambda t: t.flip(0),
    ],
)
def test_any_layout(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    values = change(torch.randn(2, 4, 3, 5))
    assert sorted(flat(values).tolist()) == sorted(values.flatten().tolist())


def test_what_is_expanded_is_laid_out_once() -> None:
    values = torch.randn(2, 4, 3, 5)[:, :1].expand(-1, 4, -1, -1)
    assert sorted(flat(values).tolist()) == sorted(values[:, 0].flatten().tolist())


def test_a_stride_never_locks_to_rows_of_a_power_of_two() -> None:
    columns = torch.arange(64.0).repeat(16384)
    stats = stats_of(columns)
    assert stats.sampled < stats.count
    assert stats.mean == pytest.approx(31.5, abs=0.5) and (histogram(stats) > 0).all()


def test_what_cannot_be_read() -> None:
    assert is_readable(torch.zeros(1))
    assert not is_readable(torch.zeros(1, dtype=torch.complex64))
    assert not is_readable(torch.zeros(2, 2).to_sparse())
    assert not is_readable(torch.zeros(1, device="meta"))


def test_what_relu_leaves_follows_from_what_was_there_before() -> None:
    torch.manual_seed(0)
    tensors = (
        torch.randn(300, 70),
        -torch.rand(9000),
        torch.tensor([math.nan, -1.0, math.inf, -math.inf]),
        torch.tensor([math.nan, math.nan]),
        torch.tensor([-math.inf, -2.0]).double(),
    )
    for tensor in tensors:
        before, after = take(tensor), take(tensor.relu_())
        assert before is not None and after is not None
        derived = before.rectified()
        np.testing.assert_array_equal(derived.values, after.values)
        assert (derived.minimum, derived.maximum, derived.has_nan) == (after.minimum, after.maximum, after.has_nan)


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t[::2].unfold(0, 3, 1),
        lambda t: t.unfold(0, 5, 2),
        lambda t: t[:60].view(3, 4, 5).permute(2, 0, 1),
        lambda t: t[:60].view(3, 4, 5)[:, ::2].transpose(0, 2),
        lambda t: t[:3, None].expand(3, 7),
        lambda t: t[:1].expand(5000),
        lambda t: t[:60].view(3, 20)[:, :1].expand(3, 2000),
        lambda t: t[5],
    ],
)
def test_views_of_every_kind_are_read_as_what_they_show(view: Callable[[torch.Tensor], torch.Tensor]) -> None:
    values = view(torch.arange(100.0))
    shown = values.double().numpy()
    stats = stats_of(values)
    assert (stats.count, stats.minimum, stats.maximum) == (values.numel(), shown.min(), shown.max())
    assert stats.mean == pytest.approx(shown.mean()) and stats.std == pytest.approx(shown.std(), abs=1e-6)


def test_what_is_expanded_beyond_all_memory_is_read_once() -> None:
    stats = stats_of(torch.full((1, 1), 3.0).expand(10**6, 10**6))
    assert (stats.count, stats.minimum, stats.mean, stats.std) == (10**12, 3, 3, 0)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "uint16", "uint32"])
def test_rare_types(name: str) -> None:
    values = torch.tensor([1.0, 2.0, 4.0, 64.0]).to(getattr(torch, name))
    stats = stats_of(values)
    assert (stats.minimum, stats.maximum, stats.mean) == (1, 64, 17.75)
