"""Masks made from uniform noise: older drop paths, and dropouts written by hand."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
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
    "drawn around zero": (lambda m, x: x * (torch.empty_like(x).uniform_(-1, 1) > 0), 0.5, "element"),
    "drawn shifted": (lambda m, x: x * torch.empty_like(x).uniform_(0.7, 1.7).floor_(), 0.3, "element"),
    "drawn from a tensor": (lambda m, x: x * torch.bernoulli(torch.full_like(x, 0.7)), 0.3, "element"),
    "floor of twice the draw": (lambda m, x: x * (torch.rand_like(x) * 2).floor(), 0.5, "element"),
    "ceil": (lambda m, x: x * (torch.rand(x.shape[0], 1) - 0.3).ceil(), 0.3, "sample"),
    "round": (lambda m, x: x * torch.rand_like(x).round(), 0.5, "element"),
    "one minus": (lambda m, x: x * (1 - (torch.rand_like(x) < 0.3).float()), 0.3, "element"),
    "one minus bits": (lambda m, x: x * (1 - torch.empty_like(x).bernoulli_(0.3)), 0.3, "element"),
    "compared in place": (lambda m, x: x * torch.rand_like(x).le_(0.7), 0.3, "element"),
    "compared with a tensor": (lambda m, x: x * (torch.rand_like(x) < torch.tensor(0.75)), 0.25, "element"),
    "number first": (lambda m, x: x * torch.lt(torch.full((), 0.3).double(), torch.rand_like(x)), 0.3, "element"),
    "times a number": (lambda m, x: x * (torch.empty_like(x).bernoulli_(0.7) * (1 / 0.7)), 0.3, "element"),
    "times a boolean": (lambda m, x: x * ((torch.rand_like(x) < 0.7) * 1.0), 0.3, "element"),
    "drawn flat": (lambda m, x: x * (torch.rand(x.shape[0]).view(-1, 1) < 0.7), 0.3, "sample"),
    "expanded, then scaled": (
        lambda m, x: torch.empty(x.shape[0], 1).bernoulli_(0.7).expand_as(x) / 0.7 * x,
        0.3,
        "element",
    ),
    "expanded": (lambda m, x: x * torch.empty(x.shape[0], 1).bernoulli_(0.7).expand_as(x), 0.3, "sample"),
    "repeated": (lambda m, x: x * torch.empty(x.shape[0], 1).bernoulli_(0.7).repeat(1, 6), 0.3, "element"),
    "its own mean": (lambda m, x: _by_its_mean(x, (torch.rand_like(x) < 0.7).float()), 0.3, "element"),
    "cast for the sum": (lambda m, x: _by_its_sum(x, torch.rand_like(x) < 0.7), 0.3, "element"),
    "chosen": (lambda m, x: torch.where(torch.rand_like(x) < 0.7, x, 0.0), 0.3, "element"),
    "chosen, zeros first": (lambda m, x: torch.where(torch.rand_like(x) < 0.3, torch.zeros_like(x), x), 0.3, "element"),
    "chosen numbers": (lambda m, x: x * torch.where(torch.rand_like(x) < 0.3, 0.0, 1.0), 0.3, "element"),
    "filled with a tensor": (lambda m, x: x.masked_fill(torch.rand_like(x) < 0.3, torch.zeros(())), 0.3, "element"),
    "an index": (lambda m, x: _stored(x, torch.rand_like(x) < 0.3), 0.3, "element"),
    "an index of rows": (lambda m, x: _stored(x, torch.rand(x.shape[0]) < 0.3), 0.3, "sample"),
    "drawn early": (lambda m, x: _early(x, torch.empty_like(x).bernoulli_(0.7)), 0.3, "element"),
    "values repeated over the mask": (lambda m, x: x[:, :1] * (torch.rand(400, 6) < 0.7), 0.3, "element"),
    "as the input's type": (lambda m, x: x * (torch.rand_like(x) < 0.7).type_as(x), 0.3, "element"),
    "scaled before": (lambda m, x: x * torch.empty(x.shape[0], 1).bernoulli_(0.5).div(0.5), 0.5, "sample"),
}


def _by_its_mean(x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    return x * (kept / kept.mean())


def _by_its_sum(x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    scale = kept.numel() / kept.double().sum()
    return x * kept.float() * scale.float()


def _stored(x: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[dropped] = 0
    return x


def _early(x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    for _ in range(50):
        x = x + 1
    return x * kept


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
    "filled with another value": lambda m, x: x.masked_fill(torch.rand_like(x) < 0.5, -1.0),
    "three values": lambda m, x: x * (torch.rand_like(x) * 3).floor(),
    "signs of a comparison": lambda m, x: x * ((torch.rand_like(x) < 0.5) * 2.0 - 1),
    "overwritten": lambda m, x: x * (torch.rand_like(x) < 0.5).float().copy_(x),
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


@pytest.mark.parametrize("mode", GRAD_MODES)
def test_two_masks_that_are_multiplied_first_are_told_apart(mode: GradMode) -> None:
    masks: list[torch.Tensor] = []

    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        values, rows = torch.empty_like(x).bernoulli_(0.8), (torch.rand(x.shape[0], 1) < 0.9).float()
        masks[:] = values.clone(), rows.clone()
        return x * values.mul_(rows).div(0.72)

    seen = modelight.observe(Calls(forward), torch.randn(200, 6) + 9, seed=2, grad_mode=mode)
    values, rows = seen.dropouts
    assert values.dropped is not None and torch.equal(values.dropped, masks[0] == 0)
    assert rows.dropped is not None and torch.equal(rows.dropped, (masks[1] == 0).expand(200, 6))
    assert (values.p, values.unit, rows.p, rows.unit) == (0.2, "element", 0.1, "sample")


def test_two_comparisons_are_told_apart_where_both_have_to_hold_and_once_where_one_has_to() -> None:
    noise: list[torch.Tensor] = []

    def forward(m: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        noise[:] = torch.rand_like(x), torch.rand_like(x), torch.rand_like(x), torch.rand_like(x)
        a, b, c, d = noise
        return x * ((a > 0.3) & (b > 0.1)), x * ((c > 0.3) | (d > 0.1)).float()

    seen = modelight.observe(Calls(forward), torch.randn(200, 6) + 9, seed=2)
    first, second, either = seen.dropouts
    expected = (noise[0] <= 0.3, noise[1] <= 0.1, (noise[2] <= 0.3) & (noise[3] <= 0.1))
    for drop, zeros in zip((first, second, either), expected, strict=True):
        assert drop.dropped is not None and torch.equal(drop.dropped, zeros)
    assert (first.p, second.p, either.p) == (0.3, 0.1, None)


def test_noise_that_goes_through_the_whole_model_keeps_nothing_of_it_alive() -> None:
    kept: list[weakref.ref[torch.Tensor]] = []

    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        x = x + torch.rand_like(x)
        for _ in range(60):
            x = x + x.relu()
            kept.append(weakref.ref(x))
            assert sum(alive() is not None for alive in kept) <= 15
        return x

    seen = modelight.observe(Calls(forward), torch.randn(8, 6))
    assert len(kept) == 60 and seen.dropouts == [] and sum(alive() is not None for alive in kept) <= 1


# ------------------------------------------------------------------------------------------------------- drop block


def timm_block(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    valid = F.pad(torch.ones(1, 1, 6, 6), [1] * 4)
    mask = ((2 - 0.1 - valid + torch.rand_like(x)) >= 1).to(x.dtype)
    mask = -F.max_pool2d(-mask, kernel_size=3, stride=1, padding=1)
    scale = mask.numel() / mask.to(torch.float32).sum().add(1e-7)
    return x * mask * scale


def plain_block(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    mask = (torch.rand(x.shape[0], *x.shape[2:]) < 0.05).float()
    block = 1 - F.max_pool2d(mask[:, None], kernel_size=3, stride=1, padding=1).squeeze(1)
    return x * block[:, None] * block.numel() / block.sum()


def torchvision_block(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    noise = torch.empty(*x.shape[:2], 6, 6).bernoulli_(0.05)
    noise = F.pad(noise, [1] * 4, value=0)
    noise = 1 - F.max_pool2d(noise, stride=(1, 1), kernel_size=(3, 3), padding=1)
    return x * noise * (noise.numel() / (1e-6 + noise.sum()))


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("block", [timm_block, plain_block, torchvision_block])
def test_drop_block_under_its_several_hands(block: Forward, mode: GradMode) -> None:
    model, value = Calls(block), torch.randn(4, 3, 8, 8).abs() + 1
    expected = bits(bare(model, mode, 3, value))
    seen = modelight.observe(model, value, seed=3, grad_mode=mode)
    (drop,) = seen.dropouts
    assert bits(seen.output) == expected
    assert drop.dropped is not None and torch.equal(drop.dropped, seen.output == 0)
    # The rate of the seeds of blocks is not the one with which a value is dropped: it is not told as such.
    assert drop.p is None and drop.observed == drop.dropped.double().mean().item() > 0.1


# ------------------------------------------------------------------------------------------------- whatever is computed

STEPS: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "add": lambda noise, number: noise + number,
    "subtract": lambda noise, number: noise - number,
    "from": lambda noise, number: number - noise,
    "times": lambda noise, number: noise * (number or 1.0),
    "over": lambda noise, number: noise / (number or 1.0),
    "over its sum": lambda noise, number: noise / (noise.double().sum().abs().to(noise.dtype) + 1),
    "minus": lambda noise, number: -noise,
    "below": lambda noise, number: (noise < number).float(),
    "not below": lambda noise, number: (noise >= number).double(),
    "number above": lambda noise, number: (number > noise).float(),
    "turned": lambda noise, number: (~(noise < number)).float(),
    "and": lambda noise, number: ((noise < number) & (noise > number - 0.5)).float(),
    "floor": lambda noise, number: noise.floor(),
    "ceil": lambda noise, number: noise.clone().ceil_(),
    "round": lambda noise, number: noise.round(),
    "chosen": lambda noise, number: torch.where(noise < number, 0.0, 1.5),
    "as it is": lambda noise, number: noise.reshape(50, -1).clone().view(-1)[:, None].squeeze(1),
}
NUMBERS = st.sampled_from([-1.0, -0.5, -0.3, 0.0, 0.25, 0.5, 0.7, 1.0, 1.5, 2.0])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    start=st.sampled_from([None, 0.2, 0.7]),
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), NUMBERS), min_size=1, max_size=5),
    mode=st.sampled_from(sorted(GRAD_MODES)),
)
def test_whatever_noise_goes_through_its_zeros_are_told_with_their_probability(
    start: float | None, steps: list[tuple[str, float]], mode: GradMode
) -> None:
    made: list[torch.Tensor] = []

    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        noise = torch.rand(2000) if start is None else torch.empty(2000).bernoulli_(start)
        for name, number in steps:
            noise = STEPS[name](noise, number)
        made.append(noise.clone())
        return x * noise

    seen = modelight.observe(Calls(forward), torch.randn(2000).abs() + 1, seed=5, grad_mode=mode)
    told = [drop for drop in seen.dropouts if drop.dropped is not None]
    values = made[-1].unique()
    if len(values) == 2 and 0 in values:
        assert len(told) == 1
    for drop in told:
        assert drop.dropped is not None and torch.equal(drop.dropped, made[-1] == 0)
        assert drop.p is None or abs(drop.dropped.double().mean().item() - drop.p) < 0.06


@pytest.mark.package
def test_the_drop_path_of_transformers() -> None:
    from transformers.models.beit.modeling_beit import BeitDropPath

    value = torch.randn(60, 4, 3)
    seen = modelight.observe(nn.Sequential(BeitDropPath(0.4)).train(), value, seed=2)
    (drop,) = seen.dropouts
    assert (drop.path, drop.unit) == ("0", "sample") and drop.p == pytest.approx(0.4)
    assert drop.dropped is not None and torch.equal(drop.dropped, seen.output == 0)
    assert 0 < drop.dropped[:, 0, 0].sum() < 60
