"""Copy as Python: what is copied gives a fresh model exactly the flags shown."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modelight.engine.modules import as_python, modes
from modelight.engine.modules.rows import Rows


class LyingTrain(nn.Sequential):
    def train(self, mode: bool = True) -> LyingTrain:
        super().train(True)
        return self


@st.composite
def trees(draw: Any, depth: int = 3) -> nn.Module:
    """Trees of plain modules, dropouts and norms, some shared, some with a train() that lies."""
    shared = nn.Dropout(0.1)

    def build(level: int) -> nn.Module:
        kind = draw(st.integers(0, 4 if level else 2))
        if kind == 0:
            return nn.Identity()
        if kind == 1:
            return nn.BatchNorm1d(2)
        if kind == 2:
            return shared
        children = [build(level - 1) for _ in range(draw(st.integers(0, 4)))]
        return LyingTrain(*children) if kind == 4 and draw(st.booleans()) else nn.Sequential(*children)

    return nn.Sequential(*(build(depth) for _ in range(draw(st.integers(0, 4)))))


def execute(lines: str, model: nn.Module) -> None:
    exec(compile(lines, "copied", "exec"), {"model": model})


@settings(max_examples=120, deadline=None)
@given(trees(), st.data())
def test_executing_it_on_a_fresh_model_gives_exactly_the_flags(model: nn.Module, data: Any) -> None:
    rows, fresh = Rows(model), copy.deepcopy(model)
    for module in model.modules():
        module.__dict__["training"] = data.draw(st.booleans())
    execute(as_python.text(rows, "enabled"), fresh)
    assert modes.flags(Rows(fresh)) == modes.flags(rows)


@settings(max_examples=40, deadline=None)
@given(trees(), st.booleans())
def test_a_uniform_model_takes_one_write(model: nn.Module, training: bool) -> None:
    rows = Rows(model)
    modes.set_training(rows, "", training)
    lines = as_python.text(rows, "enabled").splitlines()
    assert len(lines) == (3 if any(isinstance(module, LyingTrain) for module in model.modules()) else 1)


def test_one_layer_out_of_line_is_one_line_more() -> None:
    model = nn.ModuleDict({"features": nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)), "head": nn.Linear(1, 1)})
    rows = Rows(model)
    modes.set_training(rows, "", False)
    modes.set_training(rows, "features.1", True)
    assert as_python.text(rows, "enabled") == "model.eval()\nmodel['features'][1].train()\n"


def test_the_root_flag_alone() -> None:
    rows = Rows(nn.Sequential(nn.ReLU(), nn.Dropout()))
    modes.set_training(rows, "", False, recursive=False)
    assert as_python.text(rows, "enabled") == "model.train()\nmodel.training = False\n"


def test_all_norms_in_eval_are_named_by_their_type() -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)) for _ in range(4)))
    rows = Rows(model)
    modes.apply_preset(rows, "freeze_norms")
    lines = as_python.text(rows, "enabled")
    assert "isinstance(module, torch.nn.BatchNorm2d)" in lines
    fresh = copy.deepcopy(model).train()
    execute(lines, fresh)
    assert modes.flags(Rows(fresh)) == modes.flags(rows)


def test_grad_modes_are_entered_by_their_context() -> None:
    rows = Rows(nn.ReLU())
    assert "with torch.no_grad():" in as_python.text(rows, "no_grad")
    assert "with torch.inference_mode():" in as_python.text(rows, "inference_mode")
    assert "with" not in as_python.text(rows, "enabled")
    for grad_mode in ("enabled", "no_grad", "inference_mode"):
        execute(as_python.text(rows, grad_mode), nn.ReLU())  # type: ignore[arg-type]


def test_an_overridden_train_is_not_called() -> None:
    rows = Rows(nn.Sequential(LyingTrain(nn.Dropout())))
    modes.set_training(rows, "", False)
    lines = as_python.text(rows, "enabled")
    assert ".eval()" not in lines and "train()" not in lines.replace("# not train()", "")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_frozen_scripts_get_no_flag_they_do_not_have() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    frozen = torch.jit.freeze(torch.jit.script(Net().eval()))
    model = nn.Sequential(nn.Dropout(), frozen)
    rows = Rows(model)
    modes.set_training(rows, "", False)
    execute(as_python.text(rows, "enabled"), model)
    assert modes.flags(rows) == {"": False, "0": False}
