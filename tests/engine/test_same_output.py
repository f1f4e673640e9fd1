"""Observation changes nothing: outputs are those of a bare run, bit for bit, and the model is left as it was."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as module_hooks

import modelight
from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.observing import rng
from modelight.protocol import GradMode
from modelight.sample_models import SAMPLES
from tests.engine.layers import ALL
from tests.engine.observing import GRAD_MODES, bare, bits, build, state_bits
from tests.engine.zoo import HAND, TRANSFORMERS

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    assert not module_hooks._global_forward_hooks
    assert not module_hooks._global_forward_pre_hooks
    assert "training" not in vars(nn.Module)
    assert torch._C._len_torch_dispatch_stack() == 0
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_a_layer_gives_the_same_output_bit_for_bit(name: str, training: bool, mode: GradMode) -> None:
    model, value = build(ALL[name], training)
    expected = bits(bare(model, mode, 5, value))
    model, value = build(ALL[name], training)
    before, given = state_bits(model), bits(value)
    seen = modelight.observe(model, value, seed=5, grad_mode=mode)
    assert bits(seen.output) == expected
    assert state_bits(model) == before
    assert bits(value) == given


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", [*HAND, *(pytest.param(name, marks=pytest.mark.package) for name in TRANSFORMERS)])
def test_a_model_gives_the_same_output_bit_for_bit(name: str, training: bool, mode: GradMode) -> None:
    make = {**HAND, **TRANSFORMERS}[name]
    rng.seed(0)
    model, given = make()
    expected = bits(bare(model.train(training), mode, 5, **given))
    rng.seed(0)
    model, given = make()
    before = state_bits(model.train(training))
    seen = modelight.observe(model, seed=5, grad_mode=mode, **given)
    assert bits(seen.output) == expected
    assert state_bits(model) == before


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", [name for name, *_ in SAMPLES])
def test_a_sample_gives_the_same_output_bit_for_bit(name: str, training: bool, mode: GradMode) -> None:
    sample = importlib.import_module(f"modelight.sample_models.{name}")
    rng.seed(0)
    model, value = sample.build().train(training), sample.example_input()
    args, kwargs = ((), value) if isinstance(value, dict) else ((value,), {})
    before, given = state_bits(model), bits(value)
    seen = modelight.observe(model, *args, seed=5, grad_mode=mode, **kwargs)
    assert state_bits(model) == before and bits(value) == given
    assert bits(seen.output) == bits(bare(model, mode, 5, *args, **kwargs))


class Stops(nn.Module):
    """Between two layers that draw and move statistics."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.first, self.last, self.error = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5)), nn.Linear(4, 2), error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.dropout(self.first(x), 0.1, self.training)
        if self.error is not None:
            raise self.error
        return self.last(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "error", [ValueError("half-way"), KeyboardInterrupt(), Cancelled()], ids=lambda e: type(e).__name__
)
def test_after_an_exception_or_a_cancellation_all_is_as_before(
    error: BaseException, training: bool, mode: GradMode
) -> None:
    model, value = Stops(error).train(training), torch.randn(6, 4)
    before, state, functions = state_bits(model), torch.get_rng_state(), dict(vars(F))
    with pytest.raises((EngineError, KeyboardInterrupt, Cancelled)):
        modelight.observe(model, value, seed=5, grad_mode=mode)
    assert state_bits(model) == before and torch.equal(torch.get_rng_state(), state)
    assert type(F) is type(torch) is ModuleType and vars(F) == functions
    model.error = None  # type: ignore[assignment]
    seen = modelight.observe(model, value, seed=5, grad_mode=mode)
    assert bits(seen.output) == bits(bare(model, mode, 5, value))


@pytest.mark.parametrize("mode", GRAD_MODES)
def test_autocast_around_the_run_is_kept(mode: GradMode) -> None:
    model, given = HAND["encoder"]()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = bits(bare(model, mode, 5, **given))
        assert bits(modelight.observe(model, seed=5, grad_mode=mode, **given).output) == expected


@pytest.mark.parametrize("outside", GRAD_MODES)
def test_the_grad_mode_outside_does_not_matter(outside: GradMode) -> None:
    model, value = nn.Linear(3, 2), torch.randn(4, 3)
    with GRAD_MODES[outside]():
        assert modelight.observe(model, value, grad_mode="enabled").output.requires_grad
        assert not modelight.observe(model, value, grad_mode="no_grad").output.requires_grad
        assert modelight.observe(model, value, grad_mode="inference_mode").output.is_inference()


def test_generators_are_put_back_and_without_a_seed_the_next_draw_is_taken() -> None:
    model, value = nn.Dropout(0.5).train(), torch.ones(64)
    rng.seed(3)
    expected = model(value)
    rng.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()
    assert torch.equal(modelight.observe(model, value).output, expected)
    after = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()
    assert torch.equal(after[0], before[0]) and after[1:] == before[1:]


def test_fused_layers_stay_fused_and_what_they_hide_comes_from_a_labelled_second_run() -> None:
    model, given = HAND["encoder"]()
    seen = modelight.observe(model.eval(), seed=1, **given)
    note = next(note for note in seen.notes if note.id == "slow-path")
    assert note.values["distance"] < 1e-5
    assert seen.modules["layers.0.linear1"].called == 1
    assert seen.modules["layers.0.linear1"].stats is not None
    expected = bare(model, "no_grad", 1, **given)
    assert torch.equal(seen.output, expected)
    assert torch.backends.mha.get_fastpath_enabled()
    slow = modelight.observe(model.train(), seed=1, **given)
    assert not [note for note in slow.notes if note.id == "slow-path"]
