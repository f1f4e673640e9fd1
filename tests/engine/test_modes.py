"""Modes: flags are written one by one, without side effects, and come back exactly."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.modules import flag, modes
from modelight.engine.modules.rows import Rows
from modelight.phrases import phrase


class Refusing(nn.Module):
    """Its train() and eval() must not be called."""

    def __init__(self, *children: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*children)

    def train(self, mode: bool = True) -> Refusing:
        raise AssertionError("train() was called")


def network() -> nn.Module:
    shared = nn.Dropout(0.5)
    block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), shared)
    return nn.Sequential(block, Refusing(shared, nn.ReLU()), nn.InstanceNorm1d(4, track_running_stats=True))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mixture_of_flags_comes_back_exactly(data: Any) -> None:
    rows = Rows(network())
    rows.states()
    modules = {id(module): module for module in rows.modules}
    for module in modules.values():
        module.__dict__["training"] = data.draw(st.booleans())
    before, states = modes.flags(rows), rows.states()
    path = data.draw(st.sampled_from(rows.paths))
    training, recursive = data.draw(st.booleans()), data.draw(st.booleans())
    change = modes.change(rows, lambda: modes.set_training(rows, path, training, recursive))
    reached = rows.modules[rows.by_path(path)].modules() if recursive else [rows.modules[rows.by_path(path)]]
    ids = {id(module) for module in reached}
    for row, module in zip(rows.rows, rows.modules, strict=True):
        assert module.training == (training if id(module) in ids else before[row.path])
    assert change.flags == {path: was for path, was in before.items() if was != modes.flags(rows)[path]}
    now = Rows(rows.root).states()
    changed = [state.index for state, then in zip(now, states, strict=True) if state.training != then.training]
    assert [state.index for state in change.states] == changed
    modes.change(rows, lambda: modes.set_flags(rows, change.flags))
    assert modes.flags(rows) == before and rows.known() == states


def test_a_shared_module_flips_everywhere() -> None:
    rows = Rows(network())
    change = modes.change(rows, lambda: modes.set_training(rows, "0.2", False))
    assert change.flags == {"0.2": True, "1.inner.0": True}
    assert [rows.paths[state.index] for state in change.states] == ["0.2", "1.inner.0"]


def test_the_root_alone_does_not_recurse() -> None:
    rows = Rows(network())
    change = modes.change(rows, lambda: modes.set_training(rows, "", False, recursive=False))
    assert change.flags == {"": True}


def test_a_change_that_changes_nothing_says_so() -> None:
    rows = Rows(network())
    assert modes.change(rows, lambda: modes.set_training(rows, "", True)) == modes.Change({}, [])


def test_set_flags_of_an_unknown_path_touches_nothing() -> None:
    rows = Rows(network())
    with pytest.raises(EngineError, match="no module at 'x'"):
        modes.set_flags(rows, {"0": False, "x": False})
    assert modes.flags(rows)["0"] is True


def test_a_property_that_refuses_leaves_nothing_half_written() -> None:
    class OnlyTrain(nn.Module):
        @property
        def training(self) -> bool:
            return True

        @training.setter
        def training(self, value: bool) -> None:
            if not value:
                raise ValueError("never")

    rows = Rows(nn.Sequential(nn.Dropout(), OnlyTrain()))
    with pytest.raises(EngineError, match=r"OnlyTrain\.training is a property that refuses False: never"):
        modes.set_training(rows, "", False)
    assert modes.flags(rows) == {"": True, "0": True, "1": True}


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_scripts_are_reached_and_frozen_ones_have_no_flag() -> None:
    script = torch.jit.script(nn.Sequential(nn.Dropout(0.5)))
    frozen = torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Dropout(0.5)).eval()))
    rows = Rows(nn.Sequential(script, frozen))
    modes.set_training(rows, "", False)
    assert modes.flags(rows) == {"": False, "0": False, "0.0": False}
    x = torch.ones(100)
    assert torch.equal(script(x), x)
    modes.set_training(rows, "", True)
    assert not torch.equal(script(x), x)
    assert not hasattr(frozen, "training") and rows.states()[3].training is None


def test_a_compiled_model_and_its_wrapper_flip_together() -> None:
    model = torch.compile(nn.Sequential(nn.Dropout()), backend="eager")
    rows = Rows(model)
    change = modes.change(rows, lambda: modes.set_training(rows, "", False, recursive=False))
    assert change.flags == {"": True, "_orig_mod": True}
    assert model._orig_mod.training is False and model._orig_mod[0].training is True


# ----------------------------------------------------------------------------------------------------------- presets


def test_presets_train_and_eval() -> None:
    rows = Rows(network())
    for name, training in (("eval", False), ("train", True)):
        modes.apply_preset(rows, name)
        assert set(modes.flags(rows).values()) == {training}
    with pytest.raises(EngineError, match="no preset 'test'"):
        modes.apply_preset(rows, "test")


def test_freeze_norms_keeps_every_statistic_and_everything_else_in_train() -> None:
    model = nn.Sequential(
        nn.Linear(4, 4),
        nn.BatchNorm1d(4),
        nn.BatchNorm1d(4, track_running_stats=False),
        nn.Dropout(),
        nn.SyncBatchNorm(4),
    )
    model.append(nn.InstanceNorm1d(4, track_running_stats=True)).append(nn.InstanceNorm1d(4))
    rows = Rows(model)
    modes.apply_preset(rows, "freeze_norms")
    assert [path for path, training in modes.flags(rows).items() if not training] == ["1", "4", "5"]
    before = copy.deepcopy(dict(model.named_buffers()))
    model(torch.randn(6, 4, 4))
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_freeze_norms_writes_only_the_norm_not_what_is_inside_it() -> None:
    class NormAct(nn.BatchNorm1d):
        def __init__(self) -> None:
            super().__init__(4)
            self.act = nn.RReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(super().forward(x))

    rows = Rows(nn.Sequential(NormAct()))
    modes.apply_preset(rows, "freeze_norms")
    assert modes.flags(rows) == {"": True, "0": False, "0.act": True}


class FunctionalDropout(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, p=0.5, training=self.training)


class Structured(nn.Module):
    """Wants targets in train, and has a dropout elsewhere: MC dropout must not switch it to train."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            raise ValueError("targets required")
        return self.dropout(x)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Dropout(0.5),
        nn.AlphaDropout(0.5),
        nn.LSTM(8, 8, num_layers=2, dropout=0.5),
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True),
        FunctionalDropout(),
        Structured(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_mc_dropout_draws_in_every_kind_of_dropout(layer: nn.Module) -> None:
    x = torch.randn(3, 5, 8)
    modes.apply_preset(Rows(layer), "mc_dropout")
    with torch.no_grad():
        first, second = layer(x), layer(x)
    if isinstance(first, tuple):
        first, second = first[0], second[0]
    assert not torch.equal(first, second)


def test_mc_dropout_leaves_statistics_and_slopes_in_eval() -> None:
    model = nn.Sequential(nn.BatchNorm1d(8), nn.RReLU(), nn.Dropout(0.5))
    rows = Rows(model)
    modes.apply_preset(rows, "mc_dropout")
    assert modes.flags(rows) == {"": False, "0": False, "1": False, "2": True}


# ----------------------------------------------------------------------------------------------- the class's own train


class Merging(nn.Module):
    """As low-rank adapters do: eval() merges the weights, forward trusts that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.delta = nn.Parameter(torch.ones(1)), nn.Parameter(torch.full((1,), 3.0))
        self.merged = False

    def train(self, mode: bool = True) -> Merging:
        if mode == self.merged:
            self.weight.data += -self.delta if mode else self.delta
            self.merged = not mode
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight if not self.training else x * (self.weight + self.delta)


def test_a_flag_written_past_train_is_said_to_be_the_flag_only() -> None:
    model = nn.Sequential(Merging())
    rows = Rows(model)
    rows.states()
    change = modes.change(rows, lambda: modes.set_training(rows, "0", False))
    assert model(torch.ones(1)).item() == 1.0  # a state the user's own eval() never reaches
    (state,) = change.states
    (clause,) = [clause for clause in state.effect if clause.id == "flag-only"]
    assert phrase(clause).startswith("flag only") and str(clause.values["source"]).startswith(__file__)
    back = modes.change(rows, lambda: modes.set_training(rows, "0", True))
    assert all(clause.id != "flag-only" for clause in back.states[0].effect)


def test_call_its_own_train() -> None:
    model = nn.Sequential(Merging())
    rows = Rows(model)
    rows.states()
    modes.set_training(rows, "0", False)
    change = modes.change(rows, lambda: modes.call_own_train(rows, "", False))
    assert model(torch.ones(1)).item() == 4.0
    assert change.flags == {"": True}
    assert all(clause.id != "flag-only" for clause in rows.known()[1].effect)


def test_an_own_train_that_fails_is_named() -> None:
    rows = Rows(network())
    with pytest.raises(EngineError, match=r"Refusing.train\(False\) failed: AssertionError") as caught:
        modes.call_own_train(rows, "1", False)
    assert caught.value.module == "1"


def test_an_own_train_that_fails_half_way_leaves_the_flags_as_they_were() -> None:
    rows = Rows(network())
    with pytest.raises(EngineError):
        modes.call_own_train(rows, "", False)
    assert set(modes.flags(rows).values()) == {True}


# ------------------------------------------------------------------------------------------------------ requires_grad


def test_requires_grad_of_a_subtree_and_back() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    model[1][0].bias.requires_grad_(False)
    rows = Rows(model)
    rows.states()
    before = modes.set_requires_grad(model, "1", False)
    assert before == {"1.0.weight": True, "1.1.weight": True, "1.1.bias": True}
    assert [state.trainable for state in rows.changed(rows.known())] == [6, 0, 0, 0]
    modes.set_parameters(model, before)
    assert not model[1][0].bias.requires_grad and model[1][0].weight.requires_grad


def test_requires_grad_of_integers_is_left_alone() -> None:
    model = nn.Linear(2, 2)
    model.codes = nn.Parameter(torch.zeros(2, dtype=torch.int8), requires_grad=False)
    assert modes.set_requires_grad(model, "", True) == {}
    assert modes.set_requires_grad(model, "", False) == {"weight": True, "bias": True}


def test_requires_grad_that_torch_refuses_changes_nothing() -> None:
    with torch.inference_mode():
        inside = nn.Linear(2, 2)
    inside_frozen = nn.Parameter(inside.weight, requires_grad=False)
    model = nn.Sequential(nn.Linear(2, 2))
    modes.set_requires_grad(model, "", False)
    model.weight = inside_frozen
    assert inside_frozen.is_inference()
    with pytest.raises(EngineError, match="requires_grad of"):
        modes.set_requires_grad(model, "", True)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_unknown_names_are_named() -> None:
    model = nn.Linear(1, 1)
    with pytest.raises(EngineError, match="no parameter 'x'"):
        modes.set_parameters(model, {"weight": False, "x": True})
    assert model.weight.requires_grad
    with pytest.raises(EngineError, match="no module at 'head'"):
        modes.set_requires_grad(model, "head", True)


def test_flags_are_read_and_written_without_a_lookup_of_train() -> None:
    module = Refusing()
    assert flag.write(module, False) and flag.read(module) is False
