"""Models that do unusual things with what they put out: it is read as it is or said to be unread; nothing breaks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import modelight
from modelight.engine.errors import EngineError
from modelight.protocol import GradMode
from tests.engine.layers import Calls
from tests.engine.observing import GRAD_MODES, bare
from tests.engine.test_runner import run


class Resizes(nn.Module):
    """Works in place on what its layers put out, as old code with scratch buffers does."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop = nn.Linear(6, 6), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.drop(self.first(x))
        return y.resize_(y.shape[0], 12).fill_(1)


@pytest.mark.parametrize("size", [4, 4000])
def test_a_model_may_resize_what_was_observed(size: int) -> None:
    frame = run(Resizes(), torch.randn(size, 6))
    assert frame.outputs[0].shape == (size, 12) and frame.dropouts[0].dropped


class Halves(nn.Module):
    """Calls itself once, and has a hook that halves what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.0)
        self.register_forward_hook(lambda module, args, output: output / 2)

    def forward(self, x: torch.Tensor, again: bool = True) -> torch.Tensor:
        return self(x, again=False) + 1 if again else self.drop(x)


def test_what_a_module_puts_out_is_what_its_own_hooks_make_of_it() -> None:
    model = nn.Sequential(Halves())
    hooks = list(model[0]._forward_hooks)
    seen = modelight.observe(model, torch.full((3,), 8.0))
    stats = seen.modules["0"].stats
    assert stats is not None and seen.modules["0"].called == 2
    assert (stats.minimum, stats.maximum) == (2.5, 4.0)  # 8 / 2, and (4 + 1) / 2
    assert seen.output.tolist() == [2.5] * 3
    assert list(model[0]._forward_hooks) == hooks and not model[0]._forward_hooks_always_called
    assert not [entry for entry in seen.ledger.entries if entry.kind == "attribute"]


@pytest.mark.parametrize("where", ["forward", "hook"])
def test_a_module_with_hooks_that_fails_is_named_and_keeps_its_hooks_alone(where: str) -> None:
    def fail(*given: Any) -> None:
        raise ValueError("no")

    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    model[1].register_forward_hook(fail if where == "hook" else lambda *given: None)
    if where == "forward":
        model[1].forward = fail
    with pytest.raises(EngineError) as caught:
        modelight.observe(model, torch.ones(2, 3))
    assert caught.value.module == "1" and len(model[1]._forward_hooks) == 1


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_flex_attention_runs_as_it_does_alone(mode: GradMode) -> None:
    from torch.nn.attention.flex_attention import flex_attention

    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project, self.drop = nn.Linear(16, 16), nn.Dropout(0.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q = self.project(x).view(2, 8, 2, 8).transpose(1, 2)
            return self.drop(flex_attention(q, q, q))

    model, value = Attends(), torch.randn(2, 8, 16)
    expected = bare(model, mode, 0, value)
    seen = modelight.observe(model, value, seed=0, grad_mode=mode)
    assert torch.equal(seen.output, expected)
    assert torch.equal(seen.dropouts[0].dropped, seen.output == 0)
    inner = torch.compile(nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.5)), backend="eager")
    inside = modelight.observe(nn.Sequential(model.project, inner), value, seed=0)
    assert [drop.path for drop in inside.dropouts] == ["1._orig_mod.1"]


def test_nested_tensors_run_and_are_said_to_be_unread() -> None:
    given = torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], layout=torch.jagged)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    for mode in GRAD_MODES:
        seen = modelight.observe(model, given, seed=0, grad_mode=mode)
        assert seen.output.is_nested
        assert seen.modules["0"].unseen is not None and seen.modules["0"].unseen.id == "not-readable"


def test_outputs_that_cannot_be_read_are_no_failure_of_the_model() -> None:
    def give_back(module: Any, x: torch.Tensor) -> torch.Tensor:
        x.untyped_storage().resize_(0)
        return x

    class Gives(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.packed = Calls(lambda module, x: x.to(torch.int64).to(torch.uint64))
            self.gone = Calls(give_back)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.packed(x)
            self.gone(x.clone())
            return x + 1

    seen = modelight.observe(Gives(), torch.ones(3))
    assert seen.output.tolist() == [2.0] * 3
    told = {path: (one.unseen.id if one.unseen else None) for path, one in seen.modules.items()}
    assert told == {"": None, "packed": "not-readable", "gone": "not-readable"}
    assert seen.modules["gone"].stats is None


def test_small_layers_are_read_whole_however_the_samples_are_batched() -> None:
    torch.manual_seed(0)
    model, value = nn.Sequential(nn.Linear(6, 300), nn.ReLU()).eval(), torch.randn(12, 6)
    expected = model[0](value).double()
    for batch in (1, 5, 12):
        (stats,) = (one.stats for one in run(model, value, batch=batch).modules if one.row == 1)
        assert stats is not None and (stats.sampled, stats.count) == (3600, 3600)
        assert stats.mean == pytest.approx(expected.mean().item(), abs=1e-6)
