"""Leave no trace: every way in which a forward may change its model is put back, and said."""

from __future__ import annotations

import gc
import logging
import math
import random
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.ao.quantization import FakeQuantize
from torch.nn.utils import parametrizations, weight_norm
from torch.nn.utils.spectral_norm import spectral_norm as old_spectral_norm

import modelight
from modelight.engine.observing import guard as guard_module
from modelight.engine.observing.guard import leave_no_trace
from modelight.protocol import LedgerEntry
from tests.engine.layers import Calls
from tests.engine.observing import GRAD_MODES, state_bits

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def entries(guard: guard_module.Guard, kind: str = "") -> dict[str, LedgerEntry]:
    return {entry.name: entry for entry in guard.ledger().entries if not kind or entry.kind == kind}


def test_batch_norm_in_train_moves_three_buffers_and_no_parameter() -> None:
    model, value = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.randn(8, 3) + 5
    before = state_bits(model)
    mean = model[0](value).mean(0)
    with leave_no_trace(model) as guard, torch.no_grad():
        for _ in range(20):
            model(value)
    assert state_bits(model) == before
    ledger = guard.ledger()
    assert (ledger.parameters, ledger.buffers, ledger.kept) == (0, 3, False)
    found = entries(guard, "buffer")
    assert found["1.num_batches_tracked"].max_change == 20
    expected = (mean * (1 - 0.9**20)).abs().max().item()
    assert found["1.running_mean"].max_change == pytest.approx(expected, rel=1e-4)
    assert [entry.max_change for entry in ledger.entries] == sorted(
        (entry.max_change or 0 for entry in ledger.entries), reverse=True
    )


def test_kept_updates_stand_and_are_what_torch_itself_does() -> None:
    model, twin, value = nn.BatchNorm1d(3), nn.BatchNorm1d(3), torch.randn(8, 3)
    with leave_no_trace(model, keep=True) as guard:
        model(value)
    twin(value)
    assert state_bits(model) == state_bits(twin)
    assert guard.ledger().kept and not entries(guard, "buffer")["running_mean"].restored


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize(
    ("build", "value"),
    [
        (lambda: nn.Embedding(10, 4, max_norm=0.01), lambda: torch.arange(10)),
        (lambda: FakeQuantize(), lambda: torch.randn(4, 4)),
        (lambda: parametrizations.spectral_norm(nn.Linear(4, 3)), lambda: torch.randn(2, 4)),
        (lambda: old_spectral_norm(nn.Linear(4, 3)), lambda: torch.randn(2, 4)),
        (lambda: nn.BatchNorm1d(4, momentum=None), lambda: torch.randn(5, 4)),
        (lambda: nn.InstanceNorm1d(4, track_running_stats=True), lambda: torch.randn(5, 4, 3)),
    ],
    ids=["max_norm", "fake quantize", "spectral norm", "old spectral norm", "batch norm", "instance norm"],
)
def test_layers_that_write_their_own_tensors_are_put_back(
    build: Callable[[], nn.Module], value: Callable[[], torch.Tensor], mode: str
) -> None:
    model = build().train()
    before, attributes = state_bits(model), dict(vars(model))
    with leave_no_trace(model) as guard, GRAD_MODES[mode]():  # type: ignore[index]
        model(value())
    assert state_bits(model) == before
    assert vars(model) == attributes or all(vars(model)[key] is value for key, value in attributes.items())
    assert guard.ledger().entries


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("wrap", [old_spectral_norm, weight_norm], ids=["spectral norm", "weight norm"])
def test_a_weight_that_a_hook_binds_anew_counts_only_as_far_as_it_differs(wrap: Any, mode: str) -> None:
    """``weight`` of the old forms is a plain attribute, a new tensor after each forward."""
    model, value = wrap(nn.Linear(4, 3)).eval(), torch.randn(2, 4)
    kept = model.weight
    with leave_no_trace(model) as guard, GRAD_MODES[mode]():  # type: ignore[index]
        model(value)
        first = (model.weight.double() - kept.double()).abs().max().item()
    said = {name: entry.max_change for name, entry in entries(guard, "attribute").items()}
    # Before its first forward the old spectral norm's weight is the one that was not normalised yet.
    assert said == ({"weight": first} if wrap is old_spectral_norm else {})
    assert model.weight is kept
    with torch.no_grad():
        model(value)
    with leave_no_trace(model) as guard, GRAD_MODES[mode]():  # type: ignore[index]
        model(value)
    assert not guard.ledger().entries


def test_embedding_max_norm_is_reported_in_eval() -> None:
    model = nn.Embedding(4, 2, max_norm=1.0).eval()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 4.0]] * 4))
    with leave_no_trace(model) as guard:
        model(torch.tensor([0]))
    assert entries(guard, "parameter")["weight"].max_change == pytest.approx(3.2, rel=1e-5)


def replace_buffer(m: Any, x: torch.Tensor) -> torch.Tensor:
    m.seen = m.seen + 1
    return x


def write_through_data(m: Any, x: torch.Tensor) -> torch.Tensor:
    m.seen.data.add_(1)
    return x


def write_through_numpy(m: Any, x: torch.Tensor) -> torch.Tensor:
    m.seen.numpy()[0] = 9
    return x


def look_elsewhere(m: Any, x: torch.Tensor) -> torch.Tensor:
    m.seen.data = torch.full((5,), 3.0)
    return x


def resize(m: Any, x: torch.Tensor) -> torch.Tensor:
    m.seen.resize_(70).fill_(2)
    return x


def forget(m: Any, x: torch.Tensor) -> torch.Tensor:
    del m.seen
    return x


@pytest.mark.parametrize(
    "write", [replace_buffer, write_through_data, write_through_numpy, look_elsewhere, resize, forget]
)
def test_every_way_to_write_a_buffer_is_undone(write: Callable[[Any, torch.Tensor], torch.Tensor]) -> None:
    model = Calls(write)
    buffer = torch.tensor([1.0, 2.0])
    model.register_buffer("first", torch.zeros(1))
    model.register_buffer("seen", buffer)
    model.register_buffer("last", torch.zeros(1))
    with leave_no_trace(model) as guard, torch.no_grad():
        model(torch.zeros(1))
    assert list(model._buffers) == ["first", "seen", "last"]
    assert model.seen is buffer and buffer.shape == (2,) and buffer.tolist() == [1.0, 2.0]
    assert guard.ledger().buffers == 1 and entries(guard, "buffer")["seen"].restored


def test_a_buffer_made_in_forward_goes_again() -> None:
    def make(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.register_buffer("made", x.clone())
        return x

    model = Calls(make)
    with leave_no_trace(model) as guard:
        model(torch.ones(2))
    assert "made" not in model._buffers
    assert entries(guard)["made"] == LedgerEntry("made", "buffer", None, True)


def test_attributes_counters_hooks_and_submodules_are_put_back() -> None:
    def act(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.count += 1
        m.seen.append(x)
        m.cache = x
        m.extra = nn.Linear(1, 1)
        m.register_forward_hook(lambda *_: None)
        m.state[0] += 1
        return x

    model = Calls(act)
    model.count, model.seen, model.state = 0, [], [torch.zeros(1)]
    with leave_no_trace(model) as guard, torch.no_grad():
        model(torch.ones(1))
    assert (model.count, model.seen, hasattr(model, "cache"), hasattr(model, "extra")) == (0, [], False, False)
    assert not model._forward_hooks and model.state[0].item() == 0
    assert {"count", "seen", "cache", "_modules", "_forward_hooks", "state[0]"} <= set(entries(guard, "attribute"))


def test_contents_of_containers_and_arrays_are_put_back_and_reported() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cache: dict[str, Any] = {"layers": {"seen": [1]}, "empty": {}}
            self.recent: deque[int] = deque([1, 2], maxlen=2)
            self.counts = np.zeros(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.cache["layers"]["seen"].append(2)
            self.cache["empty"]["new"] = x
            self.recent.append(3)
            self.counts += 1
            return x

    model = nn.Sequential(Keeps())
    with leave_no_trace(model) as guard:
        model(torch.zeros(1))
    assert model[0].cache == {"layers": {"seen": [1]}, "empty": {}}
    assert list(model[0].recent) == [1, 2] and not model[0].counts.any()
    said = set(entries(guard, "attribute"))
    assert said == {"0.cache['layers']['seen']", "0.cache['empty']", "0.recent", "0.counts"}
    with leave_no_trace(model, keep=True):
        model(torch.zeros(1))
    assert model[0].cache["layers"]["seen"] == [1, 2] and model[0].counts.all()


def test_flags_are_put_back_one_by_one() -> None:
    def flip(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.eval()
        return x

    model = Calls(flip, a=nn.Dropout(), b=nn.Dropout()).train()
    model.b.training = False
    with leave_no_trace(model) as guard:
        model(torch.ones(1))
    assert [module.training for module in model.modules()] == [True, True, False]
    assert set(entries(guard, "flag")) == {"training", "a.training"}


def test_gradients_and_requires_grad_are_put_back() -> None:
    def train(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.layer(x).sum().backward()
        m.layer.bias.requires_grad_(False)
        return x

    model = Calls(train, layer=nn.Linear(2, 2))
    model.layer.weight.grad = given = torch.ones(2, 2)
    with leave_no_trace(model) as guard:
        model(torch.ones(1, 2))
    assert model.layer.weight.grad is given and given.eq(1).all()
    assert model.layer.bias.grad is None and model.layer.bias.requires_grad
    assert {(entry.name, entry.kind) for entry in guard.ledger().entries} == {
        ("layer.weight", "grad"),
        ("layer.bias", "grad"),
        ("layer.bias", "requires_grad"),
    }


def test_generators_global_and_owned_are_put_back() -> None:
    def draw(m: Any, x: torch.Tensor) -> torch.Tensor:
        for generator in (m.numpy, m.old):
            generator.normal()
        return x + torch.rand(1, generator=m.torch) + torch.rand(1) + m.python.random() + np.random.rand()

    model = Calls(draw)
    model.torch, model.numpy = torch.Generator().manual_seed(1), np.random.default_rng(1)
    model.old, model.python = np.random.RandomState(1), random.Random(1)
    first = []
    for _ in range(2):
        with leave_no_trace(model) as guard:
            first.append(model(torch.zeros(1)).item())
    assert first[0] == first[1]
    assert set(entries(guard, "rng")) == {"torch", "numpy", "old", "python"} | {"torch", "numpy"}


def test_all_is_put_back_after_an_exception() -> None:
    def fail(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.norm(x)
        m.eval()
        raise ValueError("half-way")

    model = Calls(fail, norm=nn.BatchNorm1d(2)).train()
    before = state_bits(model)
    with pytest.raises(ValueError, match="half-way"), leave_no_trace(model) as guard:
        model(torch.randn(4, 2))
    assert state_bits(model) == before and guard.ledger().buffers == 3


def test_a_graph_made_before_still_runs_backward() -> None:
    model = nn.Sequential(nn.Embedding(4, 2, max_norm=0.1), nn.Linear(2, 2))
    kept = nn.Linear(2, 2)
    loss = kept(torch.ones(1, 2)).pow(2).sum()
    with leave_no_trace(nn.ModuleList([model, kept])), torch.no_grad():
        kept.weight.data.mul_(2)
        model(torch.arange(4))
    loss.backward()
    assert kept.weight.grad is not None


def test_nan_and_minus_zero_are_compared_and_put_back_bit_for_bit() -> None:
    def write(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.values[1] = 0.0
        m.same.copy_(m.same)
        return x

    model = Calls(write)
    model.register_buffer("values", torch.tensor([math.nan, -0.0]))
    model.register_buffer("same", torch.tensor([math.nan]))
    with leave_no_trace(model) as guard:
        model(torch.zeros(1))
    assert math.copysign(1, model.values[1].item()) == -1 and math.isnan(model.values[0].item())
    assert set(entries(guard)) == {"values"} and entries(guard)["values"].max_change == 0


def test_a_value_that_would_become_nan_is_an_infinite_change() -> None:
    model = nn.BatchNorm1d(2)
    with leave_no_trace(model) as guard:
        model(torch.full((3, 2), math.nan))
    assert entries(guard)["running_mean"].max_change == math.inf
    assert model.running_mean is not None and not model.running_mean.isnan().any()


def test_inference_tensors_are_restored_and_kept_ones_become_ordinary() -> None:
    with torch.inference_mode():
        model = nn.BatchNorm1d(2)
    assert model.running_mean is not None and model.running_mean.is_inference()
    with leave_no_trace(model) as guard, torch.inference_mode():
        model(torch.randn(4, 2))
    assert model.running_mean.eq(0).all() and guard.ledger().buffers == 3

    replacing = Calls(replace_buffer, layer=nn.Linear(2, 2))
    replacing.register_buffer("seen", torch.ones(2))
    with leave_no_trace(replacing, keep=True), torch.inference_mode():
        replacing(torch.ones(2))
    assert replacing.seen.tolist() == [2, 2] and not replacing.seen.is_inference()
    (replacing.layer(torch.ones(1, 2)) * replacing.seen).sum().backward()


def test_views_shared_and_tied_tensors() -> None:
    def write(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.whole.add_(1)
        return x

    model = Calls(write, a=nn.Linear(2, 2), b=nn.Linear(2, 2))
    model.b.weight = model.a.weight
    model.register_buffer("whole", torch.arange(6.0).reshape(2, 3))
    model.register_buffer("turned", model.whole.t()[1:])
    before = state_bits(model)
    with leave_no_trace(model) as guard:
        model(torch.zeros(1))
    assert state_bits(model) == before
    assert {name: entry.max_change for name, entry in entries(guard, "buffer").items()} == {"whole": 1, "turned": 1}


def test_sparse_and_empty_buffers() -> None:
    def write(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.sparse._values().add_(1)
        return x

    model = Calls(write)
    model.register_buffer("sparse", torch.eye(2).to_sparse())
    model.register_buffer("empty", torch.empty(0))
    with leave_no_trace(model) as guard:
        model(torch.zeros(1))
    assert model.sparse._values().tolist() == [1, 1] and set(entries(guard)) == {"sparse"}


# -------------------------------------------------------------------------------------------------------- large models


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "COPIED_PARAMETERS", 3)


def in_place(m: Any, x: torch.Tensor) -> torch.Tensor:
    m.layer.weight.add_(1)
    return x


def out_argument(m: Any, x: torch.Tensor) -> torch.Tensor:
    torch.add(m.layer.weight, 1, out=m.layer.weight)
    return x


def several(m: Any, x: torch.Tensor) -> torch.Tensor:
    torch._foreach_add_([m.layer.weight, m.layer.bias], 1)
    return x


def through_a_view(m: Any, x: torch.Tensor) -> torch.Tensor:
    m.layer.weight.data.t()[0].mul_(5)
    return x


def optimiser(m: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.enable_grad():
        m.layer(x).sum().backward()
    torch.optim.SGD(m.parameters(), 0.1).step()
    return x


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("write", [in_place, out_argument, several, through_a_view, optimiser])
@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_a_large_model_is_copied_just_before_an_operator_writes(write: Callable[..., Any], mode: str) -> None:
    if write is optimiser and mode == "inference_mode":
        pytest.skip("no backward under inference mode")
    model = Calls(write, layer=nn.Linear(4, 3))
    before = state_bits(model)
    with leave_no_trace(model) as guard, GRAD_MODES[mode]():  # type: ignore[index]
        model(torch.ones(2, 4))
    assert state_bits(model) == before
    written = entries(guard, "parameter")["layer.weight"]
    assert written.restored and written.max_change
    assert torch._C._len_torch_dispatch_stack() == 0


@pytest.mark.usefixtures("everything_is_large")
def test_a_write_that_nothing_announces_is_said_to_be_lost() -> None:
    def behind_torch(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.layer.weight.detach().numpy()[:] = 7
        return x

    model = Calls(behind_torch, layer=nn.Linear(4, 3))
    with leave_no_trace(model) as guard:
        model(torch.zeros(1))
    lost = entries(guard)["layer.weight"]
    assert not lost.restored and lost.note is not None and lost.note.id == "write-seen-too-late"
    assert lost.max_change is None


@pytest.mark.usefixtures("everything_is_large")
def test_a_large_model_that_writes_nothing_is_not_copied() -> None:
    model = nn.Linear(64, 64)
    with leave_no_trace(model) as guard, torch.no_grad():
        model(torch.zeros(1, 64))
    assert not guard.ledger().entries and guard.memory.waits_for_writes


def test_the_guard_lets_go_of_what_it_remembered() -> None:
    model = nn.Linear(4, 4)
    with leave_no_trace(model) as guard:
        model(torch.zeros(1, 4))
    alive = weakref.ref(guard.memory)
    del guard
    gc.collect()
    assert alive() is None


def test_the_ledger_is_not_there_before_the_end() -> None:
    with leave_no_trace(nn.Linear(1, 1)) as guard, pytest.raises(RuntimeError, match="over"):
        guard.ledger()


class Layer:
    def __init__(self) -> None:
        self.keys: list[torch.Tensor] = []


class Cache:
    """What transformers and others keep their keys and values in."""

    def __init__(self) -> None:
        self.layers = [Layer(), Layer()]
        self.table = torch.zeros(4)
        self.length = 0


class Cached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.cache.layers[1].keys.append(x)
        self.cache.table[self.cache.length] = 3.0
        self.cache.length += 1
        self.cache.latest = x
        return torch.stack(self.cache.layers[1].keys).sum(0) + self.cache.length


def test_what_a_cache_object_holds_is_put_back_and_named() -> None:
    model, value = nn.Sequential(Cached()), torch.ones(3)
    with leave_no_trace(model) as guard:
        expected = model(value)
    cache = model[0].cache
    assert (cache.layers[1].keys, cache.length, hasattr(cache, "latest")) == ([], 0, False)
    assert not cache.table.any() and torch.equal(model(value), expected)
    said = {name: entry.max_change for name, entry in entries(guard, "attribute").items()}
    named = {"0.cache.layers[1].keys", "0.cache.length", "0.cache.latest"}
    assert said == {**dict.fromkeys(named), "0.cache.table": 3.0}


def test_objects_of_the_standard_library_and_classes_are_not_looked_into() -> None:
    model = nn.Identity()
    model.lock, model.kind, model.log = threading.Lock(), Cache, logging.getLogger("modelight.test")
    with leave_no_trace(model) as guard:
        model.log.disabled = True
        model.kind.shared = 1  # a class is nobody's state
    assert model.log.disabled and model.kind.shared == 1 and guard.ledger().entries == []
    model.log.disabled = False
    del model.kind.shared


def test_what_a_lazy_layer_makes_stays_and_all_else_of_its_first_forward_is_put_back() -> None:
    class Counting(Cached):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d(), nn.Dropout())
            self.calls, self.state = 0, torch.zeros(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            self.state += 1
            self.latest = super().forward(x)
            return self.layers(x)

    model = Counting()
    assert [note.id for note in modelight.observe(model, torch.randn(4, 5)).notes] == ["lazy-materialised"]
    assert model.layers[0].weight.shape == (3, 5) and type(model.layers[1]) is nn.BatchNorm1d
    assert (model.calls, hasattr(model, "latest"), model.cache.length) == (0, False, 0) and not model.state.any()
    assert modelight.observe(model, torch.randn(4, 5)).notes == []
