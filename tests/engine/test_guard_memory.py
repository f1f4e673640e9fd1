"""Leave no trace, in memory of unusual kinds: given back, only readable, shared, without numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from modelight.engine.observing import guard as guard_module
from modelight.engine.observing.guard import leave_no_trace
from modelight.engine.observing.memory import Memory, distance
from tests.engine.layers import Calls
from tests.engine.observing import state_bits
from tests.engine.test_guard import entries

MANY = 300_000
"""So large that memory which is given back is gone from the process."""


def holding(tensor: torch.Tensor) -> nn.Module:
    model = nn.BatchNorm1d(2)
    model.register_buffer("held", tensor)
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_was_moved_before_a_late_copy_is_lost_and_never_read(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_module, "COPIED_PARAMETERS", 10)
    model = nn.Linear(MANY, 1, bias=False, dtype=dtype)
    with leave_no_trace(model) as guard, torch.no_grad():
        storage = model.weight.untyped_storage()
        size = storage.nbytes()
        storage.resize_(0)
        kept = [torch.empty(MANY, dtype=dtype) for _ in range(3)]  # so that it comes to lie elsewhere
        storage.resize_(size)
        model.weight.fill_(7)
    del kept
    found = entries(guard)["weight"]
    assert (found.restored, found.note and found.note.id) == (False, "write-seen-too-late")
    assert bool((model.weight == 7).all())  # not what happened to lie where the old values were


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_storage_that_is_empty_already_is_neither_read_nor_made_larger(dtype: torch.dtype) -> None:
    model = holding(torch.ones(MANY, dtype=dtype))
    storage = model.get_buffer("held").untyped_storage()
    storage.resize_(0)
    with leave_no_trace(model) as guard:
        model(torch.randn(4, 2))
    assert storage.nbytes() == 0
    assert "held" not in entries(guard)


@pytest.mark.parametrize("how", ["data", "requires_grad"])
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_memory_that_is_only_readable_is_not_written_to(how: str, tmp_path: Path) -> None:
    np.arange(MANY, dtype=np.float32).tofile(tmp_path / "weights")
    mapped = np.memmap(tmp_path / "weights", np.float32, "r")
    model = nn.Linear(MANY, 1, bias=False)
    model.weight = nn.Parameter(torch.from_numpy(mapped).view(1, MANY))
    with leave_no_trace(model) as guard:
        if how == "data":
            model.weight.data = model.weight.data + 1
        else:
            model.weight.requires_grad_(False)
    assert entries(guard)["weight"].restored
    assert model.weight.requires_grad
    assert model.weight[0, :3].tolist() == [0, 1, 2]
    assert model.weight.data_ptr() == mapped.ctypes.data


def test_a_write_through_another_storage_over_the_same_memory_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "COPIED_PARAMETERS", 10)
    array = np.random.default_rng(0).normal(size=(1, 100)).astype(np.float32)
    before = array.copy()
    model = nn.ModuleList([nn.Linear(100, 1, bias=False) for _ in range(2)])
    for layer in model:
        layer.weight = nn.Parameter(torch.from_numpy(array))
    with leave_no_trace(model) as guard, torch.no_grad():
        model[1].weight.add_(1)
    assert np.array_equal(array, before)
    assert {name: entry.restored for name, entry in entries(guard).items()} == {"0.weight": True, "1.weight": True}


def _packed(dtype: torch.dtype) -> torch.Tensor:
    return torch.ones(16, dtype=torch.uint8).view(dtype)


def _quantized(value: float = 1.0) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.full((4,), value), 0.1, 0, torch.quint8)


def _nested() -> torch.Tensor:
    return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])


@pytest.mark.parametrize(
    ("make", "write"),
    [
        (_quantized, lambda held: held.copy_(_quantized(2.0))),
        (lambda: _packed(torch.float4_e2m1fn_x2), lambda held: held.view(torch.uint8).fill_(3)),
        (lambda: _packed(torch.bits8), lambda held: held.view(torch.uint8).fill_(3)),
        (_nested, lambda held: held.mul_(3)),
    ],
    ids=["quantized", "packed", "bits", "nested"],
)
@pytest.mark.filterwarnings("ignore")  # torch's, of what it calls deprecated or a prototype
def test_tensors_that_are_no_numbers_are_put_back_with_all_else(
    make: Callable[[], torch.Tensor], write: Callable[[torch.Tensor], object]
) -> None:
    model = holding(make())
    storage = model.get_buffer("held").untyped_storage()
    before = bytes(storage)
    with leave_no_trace(model) as guard, torch.no_grad():
        write(model.get_buffer("held"))
        assert bytes(storage) != before
        model(torch.randn(4, 2))
    assert bytes(storage) == before
    assert model.num_batches_tracked == 0
    found = entries(guard)
    assert (found["held"].max_change, found["held"].restored) == (None, True)
    assert found["num_batches_tracked"].restored


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor_that_is_bound_anew_is_put_back() -> None:
    model = holding(_nested())
    first = model.get_buffer("held")
    with leave_no_trace(model) as guard:
        model.held = _nested()
    assert model.get_buffer("held") is first
    assert entries(guard)["held"].max_change is None


def test_tensors_without_memory_are_no_hindrance() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake = torch.ones(3)
    for tensor in (fake, torch.ones(3, device="meta"), torch._efficientzerotensor(3)):
        model = holding(tensor)
        with leave_no_trace(model) as guard:
            model(torch.randn(4, 2))
        assert model.num_batches_tracked == 0
        assert "held" not in entries(guard)


def test_a_tensor_that_looks_at_memory_which_is_gone_is_put_back() -> None:
    model = holding(torch.ones(MANY))
    with leave_no_trace(model) as guard:
        held = model.get_buffer("held")
        held.data = torch.zeros(MANY)
        held.untyped_storage().resize_(0)
    assert bool((model.get_buffer("held") == 1).all())
    assert (entries(guard)["held"].max_change, entries(guard)["held"].restored) == (None, True)


class Laid(torch.Tensor):
    """What a distributed tensor looks like: the values, and beside them something that is no tensor."""

    @staticmethod
    def __new__(cls, local: torch.Tensor) -> Laid:
        return torch.Tensor._make_subclass(cls, local)

    def __init__(self, local: torch.Tensor) -> None:
        self.local, self.mesh = local, object()

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["local", "mesh"], None


def test_of_a_distributed_tensor_the_values_are_remembered() -> None:
    local = torch.arange(4.0)
    held = Memory().add(Laid(local))
    local += 1
    assert held.changed
    held.restore()
    assert local.tolist() == [0, 1, 2, 3] and not held.changed


@pytest.mark.parametrize("copied", [True, False], ids=["copied", "sampled"])
def test_what_was_looked_at_can_still_be_resized(copied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """``Tensor.numpy()`` would mark a storage for good: "Trying to resize storage that is not resizable"."""
    if not copied:
        monkeypatch.setattr(guard_module, "COPIED_PARAMETERS", 0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    with leave_no_trace(model), torch.no_grad():
        model(torch.randn(4, 3))
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.resize_(tensor.numel() + 7)


@pytest.mark.parametrize("value", [torch.arange(3.0), torch.arange(20_000.0), torch.arange(3.0).bfloat16()])
def test_a_storage_that_was_given_back_is_made_anew(value: torch.Tensor) -> None:
    """As sharded training does with parameters between forwards."""
    model = Calls(lambda m, x: (m.seen.untyped_storage().resize_(0), x)[1])
    model.register_buffer("seen", value.clone())
    with leave_no_trace(model) as guard, torch.no_grad():
        model(torch.zeros(1))
    assert torch.equal(model.seen, value)
    assert entries(guard)["seen"].max_change is None and entries(guard)["seen"].restored


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_how_far_apart_tensors_are(dtype: torch.dtype) -> None:
    """The plain way and torch's: what stays NaN or infinite is no distance, what comes or goes is an infinite one."""
    odd = torch.tensor([1.0, math.nan, math.inf, -math.inf], dtype=dtype)
    for other, expected in [
        ([1.0, math.nan, math.inf, -math.inf], 0.0),
        ([1.5, math.nan, math.inf, -math.inf], 0.5),
        ([1.0, 2.0, math.inf, -math.inf], math.inf),
        ([math.nan, math.nan, math.inf, -math.inf], math.inf),
        ([1.0, math.nan, -math.inf, -math.inf], math.inf),
    ]:
        assert distance(torch.tensor(other, dtype=dtype), odd) == expected
    flags = torch.tensor([True, False]), torch.tensor([True, True])
    assert (distance(*flags), distance(flags[0], flags[0]), distance(odd, odd[:2])) == (1.0, 0.0, None)


def test_what_is_lost_is_told_first_and_what_cannot_be_told_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "COPIED_PARAMETERS", 0)
    monkeypatch.setattr(guard_module.protocol, "LEDGER_ENTRIES", 3)
    model = nn.Sequential(*(nn.BatchNorm1d(2) for _ in range(4)))
    with leave_no_trace(model) as guard, torch.no_grad():
        model(torch.randn(5, 2))
        model[2].weight.numpy()[:] = 7  # unannounced, and of a parameter that is not copied
    first = guard.ledger().entries[0]
    assert (first.name, first.restored, first.note and first.note.id) == ("2.weight", False, "write-seen-too-late")

    plain = nn.BatchNorm1d(2)
    before = state_bits(plain)
    monkeypatch.setattr(guard_module, "_size", lambda entry: 1 / 0)
    with pytest.raises(ZeroDivisionError), leave_no_trace(plain):
        plain(torch.randn(5, 2))
    assert state_bits(plain) == before
