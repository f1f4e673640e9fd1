"""Repeatability against models whose randomness is known: which generator, and where first."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled
from modelight.engine.experiments.repeatability import SOURCE_SEEDS, repeatability
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import rng
from modelight.protocol import RandomSource, Repeatability
from modelight.sample_models import digits_cnn, drop_path_net, hidden_dropout
from tests.engine.looking import digits
from tests.engine.observing import state_bits

SEED = 5


class Torch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(())


class Numpy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + float(np.random.rand())


class Python(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + random.random()


class Own(nn.Module):
    """Draws from generators of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.torch_generator = torch.Generator().manual_seed(1)
        self.numpy_generator = np.random.default_rng(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(1, generator=self.torch_generator) + self.numpy_generator.random()


class Fresh(nn.Module):
    """A generator made anew from the system's entropy at every call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + float(np.random.default_rng().random())


def asked(model: nn.Module, values: torch.Tensor | None = None, **more: object) -> Repeatability:
    values = torch.ones(2, 3) if values is None else values
    return repeatability(model, Inputs((values,), {}, len(values)), Rows(model), seed=SEED, **more)  # type: ignore[arg-type]


def sources(found: Repeatability) -> dict[str, RandomSource]:
    return {one.name: one for one in found.sources}


@pytest.mark.parametrize(("name", "kind"), [("torch", Torch), ("numpy", Numpy), ("random", Python)])
def test_the_generator_that_decides_is_told_from_the_others(name: str, kind: type[nn.Module]) -> None:
    found = asked(nn.Sequential(nn.Identity(), kind()))
    assert found.same_exact and not found.other_exact and found.other_first == "1"
    for one in found.sources:
        assert (one.matters, one.drew) == (one.name == name, one.name == name)
        assert one.first == ("1" if one.name == name else None)


def test_each_generator_has_its_own_first_module() -> None:
    found = sources(asked(nn.Sequential(Numpy(), Python(), Torch())))
    assert {name: one.first for name, one in found.items()} == {"numpy": "0", "random": "1", "torch": "2"}
    assert found["torch"].type == "Torch"


def test_generators_of_the_models_own_are_said_so() -> None:
    model = nn.Sequential(Own())
    found = asked(model)
    own = [one for one in found.sources if one.owned]
    assert [one.name for one in own] == ["0.torch_generator", "0.numpy_generator"]
    assert all(one.matters and one.drew and one.first == "0" for one in own)
    assert found.same_exact and found.other_exact, "no global seed reaches them"
    assert not any(one.matters for one in found.sources if not one.owned)


def test_what_no_generator_explains_is_said_and_not_blamed_on_one() -> None:
    found = asked(nn.Sequential(Numpy(), Fresh(), Torch()))
    assert not found.same_exact and found.same_first == "1" and found.same_type == "Fresh" and found.same_apart > 0
    by_name = sources(found)
    assert by_name["numpy"].matters is True and by_name["numpy"].first == "0"
    assert by_name["torch"].matters is None and by_name["torch"].first is None


def test_a_draw_that_reaches_no_output_does_not_matter() -> None:
    class Idle(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.rand(3)
            return x

    torch_ = sources(asked(Idle()))["torch"]
    assert torch_.drew and torch_.matters is False and torch_.apart == 0


def test_answers_are_those_of_seeded_runs() -> None:
    model, images = digits(), digits_cnn.example_input()
    found = asked(model, images, batch=4, runs=3, classes=digits_cnn.CLASSES)
    expected = []
    for run in range(3):
        fresh = digits()  # building draws, too
        rng.seed(SEED + run)
        with torch.no_grad():
            expected.append(fresh(images[:4])[0].double().softmax(-1).numpy())
    assert found.samples == 4 and found.measure == "softmax"
    np.testing.assert_allclose(found.other.numpy(), np.stack(expected), atol=1e-6)
    np.testing.assert_allclose(found.same.numpy(), np.stack([expected[0]] * 3), atol=1e-6)
    assert found.other_first == "drop" and sources(found)["torch"].first == "drop"


def test_how_far_one_generator_moves_the_answer_is_the_mean_distance() -> None:
    values = torch.ones(2, 3)
    draws = []
    for number in range(SOURCE_SEEDS + 1):
        random.seed(SEED + number)
        draws.append(random.random())
    found = sources(asked(Python(), values))["random"]
    assert found.apart == pytest.approx(np.abs(np.array(draws[1:]) - draws[0]).mean(), rel=1e-5)


@pytest.mark.parametrize(("sample", "module"), [(hidden_dropout, "functional"), (drop_path_net, "1")])
def test_randomness_that_eval_misses_is_found(sample: object, module: str) -> None:
    found = asked(sample.build(), sample.example_input(), batch=4)  # type: ignore[attr-defined]
    assert found.same_exact and found.other_first == module and sources(found)["torch"].matters


def test_a_model_in_eval_repeats_and_draws_nothing() -> None:
    found = asked(digits().eval(), digits_cnn.example_input())
    assert found.same_exact and found.other_exact and found.other_first is None
    assert not any(one.drew or one.matters for one in found.sources)


def test_no_trace_is_left_not_even_in_its_own_generators() -> None:
    model = nn.Sequential(Own(), nn.BatchNorm1d(3), nn.Dropout())
    own = model[0]
    before, numpy_before = state_bits(model), own.numpy_generator.bit_generator.state
    values, torch_before = torch.randn(4, 3), own.torch_generator.get_state()
    now = rng.RngState.now()
    asked(model, values, batch=4)
    assert state_bits(model) == before and now.moved() == []
    assert own.numpy_generator.bit_generator.state == numpy_before
    assert torch.equal(own.torch_generator.get_state(), torch_before)


def test_it_can_be_stopped() -> None:
    with pytest.raises(Cancelled):
        asked(nn.Linear(3, 2), should_stop=lambda: True)


def test_functional_dropout_is_where_it_is_called() -> None:
    class Functional(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.dropout(x, 0.5)

    assert asked(nn.Sequential(nn.Identity(), Functional()).eval(), torch.ones(2, 64)).other_first == "1"
