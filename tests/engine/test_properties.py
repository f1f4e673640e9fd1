"""Random module trees, modes, dtypes and inputs: masks, statistics and restoration against torch itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import modelight
from modelight.engine.observing import rng
from modelight.engine.observing.summary import stats_of
from modelight.protocol import GradMode
from tests.engine.observing import GRAD_MODES, bare, bits, state_bits

CHANNELS = 4


class Functional(nn.Module):
    """Drops as a function, by its flag."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.p, self.training)


class OldDropPath(Functional):
    """Skips samples by flooring uniform noise."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.p == 0 or not self.training:
            return x
        return x * (1 - self.p + torch.rand(x.shape[0], 1, 1, 1, dtype=x.dtype)).floor_()


class Parts(nn.Module):
    """Works on parts of its input: views that some operators take under inference mode in a way of their own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, 1)
        return torch.cat([first.narrow(0, 0, 1).expand_as(first) + second, second], 1)


class Ghost(nn.BatchNorm2d):
    """Normalises each sample of a batch in train as if it were one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([super(Ghost, self).forward(part) for part in x.split(1)])


class Chosen(Functional):
    """A dropout by hand: what is dropped is chosen, not multiplied."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(torch.rand_like(x) < self.p, 0.0, x) / 2 if self.training else x


class Locked(Functional):
    """One mask for all samples, drawn small and expanded."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        mask = x.data.new(1, *x.shape[1:]).bernoulli_(1 - self.p)
        return mask.expand_as(x) * x


class Block(Functional):
    """Drops squares, and scales by what was left."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        seeds = (torch.rand(x.shape[0], 1, *x.shape[2:]) < self.p / 9).to(x.dtype)
        kept = 1 - F.max_pool2d(seeds, 3, 1, 1)
        return x * (kept * (kept.numel() / (kept.sum() + 1)))


BY_HAND = (Chosen, Locked, Block)

quick = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

probabilities = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])
momenta = st.sampled_from([None, 0.0, 0.1, 1.0])
leaves = st.one_of(
    st.builds(lambda p: nn.Dropout(p), probabilities),
    st.builds(lambda p: nn.Dropout2d(p), probabilities),
    st.builds(lambda p: nn.AlphaDropout(p), probabilities),
    st.builds(lambda p: nn.FeatureAlphaDropout(p), probabilities),
    st.builds(
        lambda m, tracked: nn.BatchNorm2d(CHANNELS, momentum=m, track_running_stats=tracked), momenta, st.booleans()
    ),
    st.builds(lambda tracked: nn.InstanceNorm2d(CHANNELS, track_running_stats=tracked), st.booleans()),
    st.builds(lambda inplace: nn.ReLU(inplace=inplace), st.booleans()),
    st.builds(lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)),
    st.builds(lambda: nn.RReLU()),
    st.builds(lambda: nn.Identity()),
    st.builds(lambda p: Functional(p), probabilities),
    st.builds(lambda p: OldDropPath(p), probabilities),
    st.builds(lambda kind, p: kind(p), st.sampled_from(BY_HAND), probabilities),
    st.builds(lambda m: Ghost(CHANNELS, momentum=m), momenta),
    st.builds(lambda: Parts()),
)


def sequences(inner: st.SearchStrategy[nn.Module]) -> st.SearchStrategy[nn.Module]:
    return st.lists(inner, min_size=1, max_size=3).map(lambda modules: nn.Sequential(*modules))


trees = st.recursive(leaves, sequences, max_leaves=8)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.bfloat16])
modes = st.sampled_from(list(GRAD_MODES))


def scatter_flags(model: nn.Module, seed: int) -> None:
    generator = np.random.default_rng(seed)
    for module in model.modules():
        module.training = bool(generator.integers(2))


@quick
@given(trees, dtypes, modes, st.integers(0, 2**31), st.booleans(), st.booleans())
def test_output_and_state_are_as_without_observing(
    tree: nn.Module, dtype: torch.dtype, mode: GradMode, seed: int, last: bool, mixed: bool
) -> None:
    model = nn.Sequential(tree).to(dtype).train()
    if mixed:
        scatter_flags(model, seed)
    rng.seed(seed)
    value = torch.randn(3, CHANNELS, 5, 5).to(dtype)
    value = value.to(memory_format=torch.channels_last) if last else value
    before, given_bits = state_bits(model), bits(value)
    seen = modelight.observe(model, value, seed=seed, grad_mode=mode)
    assert state_bits(model) == before and bits(value) == given_bits
    check_ledger(seen.ledger, model, value.clone(), mode, seed, bits(seen.output))


def check_ledger(ledger: Any, model: nn.Module, value: torch.Tensor, mode: GradMode, seed: int, output: Any) -> None:
    """A bare run gives the same output, and moves exactly the tensors that the ledger names, as far as it says."""
    names = [*model.named_parameters(), *model.named_buffers()]
    before = {name: tensor.detach().clone() for name, tensor in names}
    assert bits(bare(model, mode, seed, value)) == output
    moved = {
        name: (tensor.double() - before[name].double()).abs().max().item()
        for name, tensor in names
        if not torch.equal(tensor, before[name])
    }
    said = {entry.name: entry.max_change for entry in ledger.entries if entry.kind in ("parameter", "buffer")}
    assert said == moved


@quick
@given(
    st.sampled_from([nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d]),
    st.floats(0.01, 0.99),
    st.lists(st.integers(1, 5), min_size=2, max_size=5),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    modes,
    st.booleans(),
)
def test_a_mask_is_where_torch_put_zeros(
    kind: Any, p: float, shape: list[int], dtype: torch.dtype, mode: GradMode, relu: bool
) -> None:
    dims = {nn.Dropout1d: 3, nn.Dropout2d: 4, nn.Dropout3d: 5}.get(kind)
    shape = (shape * 3)[:dims] if dims else shape
    value = torch.randn(shape).to(dtype)
    value = value.relu() if relu else torch.where(value == 0, torch.ones_like(value), value)
    (drop,) = modelight.observe(kind(p), value, seed=1, grad_mode=mode).dropouts
    # The same draw on ones shows where torch itself dropped: shape, layout and seed are the same.
    rng.seed(1)
    with torch.no_grad():
        expected = kind(p)(torch.ones(shape, dtype=dtype)) == 0
    assert drop.dropped is not None and torch.equal(drop.dropped, expected)
    assert drop.already_zero == int((value == 0).sum())
    assert drop.p == p


@quick
@given(st.sampled_from([Functional, OldDropPath]), probabilities, st.booleans(), dtypes, modes, st.integers(0, 2**31))
def test_a_mask_of_a_function_is_where_torch_put_zeros_and_nothing_where_it_is_off(
    kind: Any, p: float, training: bool, dtype: torch.dtype, mode: GradMode, seed: int
) -> None:
    value = torch.ones(6, 3, 2, 2, dtype=dtype)
    seen = modelight.observe(nn.Sequential(kind(p)).train(training), value, seed=seed, grad_mode=mode)
    off = p == 0 or not training
    assert [drop.path for drop in seen.dropouts] == (["0"] if kind is Functional or not off else [])
    for drop in seen.dropouts:
        assert drop.dropped is not None and torch.equal(drop.dropped, seen.output == 0)
        assert drop.p == p and (drop.observed == 0.0 or not off)


@quick
@given(st.sampled_from(BY_HAND), st.floats(0.05, 0.95), dtypes, modes, st.integers(0, 2**31))
def test_a_mask_made_by_hand_is_where_torch_put_zeros(
    kind: Any, p: float, dtype: torch.dtype, mode: GradMode, seed: int
) -> None:
    value = torch.rand(6, CHANNELS, 9, 9).to(dtype) + 1
    seen = modelight.observe(nn.Sequential(kind(p)), value, seed=seed, grad_mode=mode)
    (drop,) = seen.dropouts
    assert drop.path == "0" and drop.dropped is not None and torch.equal(drop.dropped, seen.output == 0)
    assert drop.observed == drop.dropped.double().mean().item()
    assert drop.p is None if kind is Block else drop.p is not None and abs(drop.p - p) < 1e-6


@quick
@given(st.integers(2, 5), st.integers(2, 9), momenta, st.sampled_from(["enabled", "no_grad"]), st.integers(0, 2**31))
def test_a_norm_that_is_called_in_parts_has_the_statistics_of_each(
    parts: int, size: int, momentum: float | None, mode: GradMode, seed: int
) -> None:
    torch.manual_seed(seed)
    value = torch.randn(parts, CHANNELS, size, size) * 3 + 1
    seen = modelight.observe(Ghost(CHANNELS, momentum=momentum), value, grad_mode=mode).norms[""]
    assert seen.batch_mean is not None and seen.batch_var is not None and seen.batch_count == size * size
    assert np.allclose(seen.batch_mean.numpy(), value.mean((2, 3)), atol=1e-4)
    assert np.allclose(seen.batch_var.numpy(), value.var((2, 3), correction=0), rtol=1e-3)


@quick
@given(
    st.lists(st.floats(width=32), min_size=1, max_size=200),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_statistics_are_numpys(values: list[float], dtype: torch.dtype) -> None:
    tensor = torch.tensor(values, dtype=dtype)
    plain = tensor.double().numpy()
    stats = stats_of(tensor)
    finite, numbers = plain[np.isfinite(plain)], plain[~np.isnan(plain)]
    assert stats.has_nan == bool(np.isnan(plain).any()) and stats.has_infinite == bool(np.isinf(plain).any())
    assert stats.minimum == (numbers.min() if numbers.size else None)
    assert stats.maximum == (numbers.max() if numbers.size else None)
    if finite.size:
        assert stats.counts is not None and stats.counts.numpy().sum() == finite.size
        scale = np.abs(finite).max() or 1.0
        assert stats.mean is not None and abs(stats.mean - finite.mean()) <= 1e-5 * scale
        assert stats.std is not None and abs(stats.std - finite.std()) <= 1e-4 * scale
    else:
        assert stats.mean is None and stats.counts is None
