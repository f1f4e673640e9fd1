"""The Python API, as a notebook uses it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import modelight
from modelight.engine.errors import EngineError
from tests.engine.observing import state_bits


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.4), nn.Linear(8, 2))


def test_importing_modelight_imports_neither_torch_nor_qt() -> None:
    code = (
        "import sys, modelight; dir(modelight); modelight.__version__;"
        "bad = {'torch', 'PySide6', 'numpy', 'msgspec'} & set(sys.modules);"
        "assert not bad, bad; modelight.observe; assert 'torch' in sys.modules and 'PySide6' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        modelight.nothing_like_it  # type: ignore[attr-defined]  # noqa: B018


def test_observe_offers_what_the_readme_says() -> None:
    net, value = model(), torch.randn(6, 4)
    seen = modelight.observe(net, value, seed=1)
    assert seen.output.shape == (6, 2) and seen.modules[""].called == 1
    assert seen.modules["1"].stats is not None and seen.modules["2"].effect
    (drop,) = seen.dropouts
    assert (drop.path, drop.p, drop.follows_flag) == ("2", 0.4, True)
    assert drop.dropped is not None and drop.dropped.dtype is torch.bool and drop.dropped.shape == (6, 8)
    assert drop.observed == drop.dropped.sum().item() / 48
    assert seen.norms["1"].batch_mean is not None
    assert {entry.name for entry in seen.ledger.entries if entry.kind == "buffer"} == {
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    }
    assert [entry.name for entry in seen.ledger] == [entry.name for entry in seen.ledger.entries]
    assert seen.flag_reads == [] and seen.random


def test_keyword_arguments_reach_the_model() -> None:
    attention = nn.MultiheadAttention(4, 1, batch_first=True)
    value = torch.randn(1, 3, 4)
    seen = modelight.observe(attention, value, value, value, need_weights=False)
    assert seen.output[1] is None


def test_the_output_of_a_run_with_gradients_can_be_differentiated() -> None:
    net = model().eval()
    modelight.observe(net, torch.randn(6, 4), grad_mode="enabled").output.sum().backward()
    assert net[0].weight.grad is not None


def test_an_output_that_is_the_models_own_buffer_keeps_the_values_it_had() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self) -> torch.Tensor:
            return self.count.add_(1)  # type: ignore[no-any-return, operator]

    counter = Counter()
    assert modelight.observe(counter).output.item() == 1 and counter.count.item() == 0


def test_a_failure_says_where() -> None:
    with pytest.raises(EngineError) as raised:
        modelight.observe(nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 4)), torch.zeros(1, 3))
    assert raised.value.module == "1" and isinstance(raised.value.__cause__, RuntimeError)


def test_a_snapshot_puts_everything_back_and_may_be_used_twice() -> None:
    net = model()
    net[2].training = False
    before, taken = state_bits(net), modelight.snapshot(net)
    for _ in range(2):
        optimizer = torch.optim.SGD(net.parameters(), 0.5)
        net.train()(torch.randn(6, 4)).sum().backward()
        optimizer.step()
        net[0].weight.requires_grad_(False)
        net[1].running_mean = torch.ones(8)
        assert state_bits(net) != before
        taken.restore()
        assert state_bits(net) == before


def test_a_snapshot_leaves_hooks_alone() -> None:
    net = model()
    taken = modelight.snapshot(net)
    net.register_forward_hook(lambda *_: None)
    taken.restore()
    assert len(net._forward_hooks) == 1


@pytest.mark.parametrize("training", [True, False])
def test_modes_within_a_context_and_mixed_flags_after_it(training: bool) -> None:
    net = model()
    net[1].training = False
    flags = [module.training for module in net.modules()]
    context = modelight.train_mode if training else modelight.eval_mode
    with pytest.raises(ValueError, match="out"), context(net) as inside:
        assert inside is net and all(module.training is training for module in net.modules())
        raise ValueError("out")
    assert [module.training for module in net.modules()] == flags


def test_mode_contexts_never_call_an_overridden_train() -> None:
    class Trap(nn.Linear):
        def train(self, mode: bool = True) -> Trap:
            raise AssertionError("called")

    net = nn.Sequential(Trap(2, 2))
    with modelight.eval_mode(net):
        assert not net[0].training
    modelight.observe(net, torch.zeros(1, 2))
    assert net[0].training
