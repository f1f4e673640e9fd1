"""Many forwards as one frame: what is in it, what is left behind, and how it ends early."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as module_hooks

from modelight import protocol
from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import rng, runner
from tests.engine.layers import Calls
from tests.engine.observing import bare, state_bits
from tests.engine.zoo import HAND


def run(model: nn.Module, value: torch.Tensor, **changes: Any) -> protocol.Frame:
    options = {name: changes.pop(name) for name in ("should_stop", "progress", "checkpoint") if name in changes}
    command = protocol.Run(id=7, **{"grad_mode": "no_grad", "batch": len(value), **changes})
    frame = runner.run(model, Inputs((value,), samples=len(value)), command, rows=Rows(model), **options)
    protocol.encode(frame)
    return frame


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 40), nn.BatchNorm1d(40), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(40, 2))


def test_values_bit_for_bit_and_buffers_go_on_moving_within_a_run() -> None:
    model, value = dropping(), torch.randn(6, 6)
    before = state_bits(model)
    frame = run(model, value, seed=4, repeats=2, batch=3)
    assert state_bits(model) == before
    values = frame.outputs[0].values
    assert values is not None
    assert (frame.id, frame.forwards, frame.samples, frame.repeats) == (7, 2, 6, 2)
    assert frame.milliseconds > 0 and frame.random
    for repeat in range(2):
        rng.seed(4 + repeat)
        with torch.no_grad():
            expected = torch.cat([model(value[:3]), model(value[3:])])
        assert np.array_equal(values.numpy()[repeat], expected.numpy())
    tracked = next(entry for entry in frame.ledger.entries if entry.name == "1.num_batches_tracked")
    assert tracked.max_change == 4 and frame.ledger.buffers == 3


def test_keep_updates_lets_statistics_learn_and_a_later_run_with_gradients_works() -> None:
    model, value = dropping(), torch.randn(6, 6)
    frame = run(model, value, grad_mode="inference_mode", keep_updates=True)
    assert frame.ledger.kept and model[1].num_batches_tracked == 1
    assert run(model, value, grad_mode="enabled").outputs[0].requires_grad
    model(value).sum().backward()


@pytest.mark.parametrize("force", [True, False])
def test_force_holds_for_the_run_only_and_is_not_in_the_ledger(force: bool) -> None:
    model, value = dropping(), torch.randn(6, 6)
    model[3].training = not model[3].training
    flags = [module.training for module in model.modules()]
    frame = run(model, value, force=force)
    assert [module.training for module in model.modules()] == flags
    assert (frame.train, frame.eval) == ((6, 0) if force else (0, 6))
    assert not [entry for entry in frame.ledger.entries if entry.kind == "flag"]
    assert frame.dropouts[0].active == force


def test_captures_are_pooled_over_the_forwards_of_the_last_repeat() -> None:
    model, value = nn.Sequential(nn.Linear(6, 3), nn.ReLU(inplace=True)), torch.randn(6, 6)
    frame = run(model, value, repeats=2, batch=2)
    root, linear, relu = frame.modules
    assert linear.calls == 3 and linear.shape == (2, 3) and linear.dtype == "float32"
    with torch.no_grad():
        before = model[0](value)
    # The ReLU overwrote the linear layer's output afterwards: what was captured is what the layer put out.
    assert linear.stats is not None and linear.stats.minimum == before.min().item() < 0
    assert linear.stats.count == linear.stats.sampled == 18
    assert linear.stats.mean == pytest.approx(before.mean().item(), rel=1e-5)
    assert relu.stats is not None and relu.stats.minimum == 0 and root.stats == relu.stats
    assert relu.milliseconds is not None and root.milliseconds is not None
    assert root.milliseconds >= linear.milliseconds  # type: ignore[operator]


def test_an_output_that_is_changed_between_a_module_and_its_container_is_read_again() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        return m.inner(x).add_(100)  # type: ignore[no-any-return]

    model = Calls(forward, inner=nn.Linear(6, 3))
    root, inner = run(model, torch.randn(4, 6)).modules
    assert root.stats is not None and inner.stats is not None
    assert root.stats.mean == pytest.approx((inner.stats.mean or 0) + 100, rel=1e-4)


class RectifiesInPlace(nn.Module):
    """One ``relu_`` layer called on the layer before it, on a sum, and on a tensor that something else wrote to."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.act = nn.Linear(6, 6), nn.Linear(6, 6), nn.ReLU(inplace=True)
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.act(self.first(x))
        self.seen.append(y.clone())
        y = self.second(y)
        y.sub_(1)
        z = self.act(y)
        self.seen.append(z.clone())
        other = self.first(x)
        (other + 1).relu_()
        self.seen.append(self.act(other - 0.5).clone())
        return other


@pytest.mark.parametrize("mode", ["enabled", "no_grad", "inference_mode"])
def test_what_a_relu_in_place_leaves_is_exact(mode: protocol.GradMode) -> None:
    model, value = RectifiesInPlace(), torch.randn(5, 6)
    frame = run(model, value, grad_mode=mode)
    model.seen.clear()
    output = bare(model, mode, 0, value)
    seen = torch.cat([part.flatten() for part in model.seen])
    act, whole = (next(m.stats for m in frame.modules if m.row == row) for row in (3, 0))
    assert act is not None and whole is not None
    assert (act.count, act.sampled) == (90, 90)
    assert (act.minimum, act.maximum) == (seen.min().item(), seen.max().item())
    assert act.mean == pytest.approx(seen.double().mean().item(), rel=1e-5)
    assert (whole.minimum, whole.maximum) == (output.min().item(), output.max().item())


def test_the_module_asked_for_in_detail_is_exact() -> None:
    model, value = nn.Sequential(nn.Linear(6, 9000), nn.Linear(9000, 2)), torch.randn(4, 6)
    plain, exact = run(model, value), run(model, value, detail="0")
    assert plain.modules[1].stats is not None and exact.modules[1].stats is not None
    assert plain.modules[1].stats.sampled < plain.modules[1].stats.count == 36000
    assert exact.modules[1].stats.sampled == 36000


def test_dropout_sites_join_forwards_along_the_samples() -> None:
    model, value = dropping(), torch.randn(10, 6)
    frame = run(model, value, repeats=3, batch=4, seed=1)
    (site,) = frame.dropouts
    assert (site.row, site.path, site.function, site.call, site.p) == (4, "3", "Dropout", 0, 0.3)
    assert site.shape == (10, 40) and site.total == 400 and site.mask is not None
    mask = site.mask.numpy()
    assert mask.shape == (10, 40) and mask.sum() == site.dropped
    assert site.observed == site.dropped / 400
    assert site.unit_dropped is not None and site.unit_total == 30
    assert site.unit_dropped.numpy().shape == (40,) and site.unit_dropped.numpy().sum() > mask.sum()
    assert site.inputs == 400 and site.already_zero is not None and 100 < site.already_zero < 300


def test_channel_masks_and_large_masks_are_pictures_of_units() -> None:
    frame = run(nn.Dropout2d(0.5), torch.randn(100, 300, 2, 2))
    (site,) = frame.dropouts
    assert site.unit == "channel" and site.shape == (100, 300) and site.total == 30_000
    assert site.mask is not None and site.mask.shape == (protocol.MASK_ROWS, protocol.MASK_COLUMNS)


def test_samples_of_different_length_are_counted_together() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        return m.d(torch.ones(1, int(x[0, 0])))  # type: ignore[no-any-return]

    frame = run(Calls(forward, d=nn.Dropout(0.5)), torch.tensor([[3.0], [5.0]]), batch=1)
    (site,) = frame.dropouts
    assert site.total == 8 and site.shape == (1, 5) and site.unit_dropped is None


def test_a_site_that_the_last_repeat_did_not_reach_is_not_listed() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x) if torch.initial_seed() == 0 else x

    assert run(Calls(forward), torch.ones(2, 2)).dropouts
    assert not run(Calls(forward), torch.ones(2, 2), repeats=2).dropouts


def test_autograd_counts_activations_parameters_and_inputs_apart() -> None:
    model, value = nn.Sequential(nn.Linear(6, 4), nn.Sigmoid(), nn.Linear(4, 2)), torch.randn(5, 6)
    kept = run(model, value, grad_mode="enabled").autograd
    # The first layer keeps its input, the sigmoid its result (which is the last one's input), the last its weight.
    assert (kept.inputs, kept.kept, kept.parameters) == (5 * 6 * 4, 5 * 4 * 4, 4 * 2 * 4)
    for mode in ("no_grad", "inference_mode"):
        assert run(model, value, grad_mode=mode).autograd == protocol.Autograd(0, 0, 0, 0)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("mode", ["enabled", "no_grad"])
def test_a_run_leaves_no_memory_behind_not_even_for_the_collector(mode: protocol.GradMode) -> None:
    # What a careless pack hook leaks is invisible to gc: only the process grows. And what lies in cycles waits.
    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    model, value = nn.Sequential(nn.Linear(8, 250_000), nn.BatchNorm1d(250_000), nn.Sigmoid()), torch.randn(8, 8)
    gc.disable()
    try:
        for _ in range(4):
            run(model, value, grad_mode=mode)
        grown = []
        for _ in range(3):
            before = pages()
            for _ in range(8):
                run(model, value, grad_mode=mode)
            grown.append((pages() - before) * 4096)
        # What leaks does so in every round; the allocator of a process with a past grows now and then by itself.
        assert min(grown) < 3 * value.shape[0] * 250_000 * 4
    finally:
        gc.enable()


def test_an_input_that_the_model_overwrites_is_put_back() -> None:
    model, value = nn.Sequential(nn.ReLU(inplace=True)), torch.randn(4, 6)
    given = value.clone()
    frame = run(model, value, repeats=2, batch=2)
    assert torch.equal(value, given)
    assert [note.id for note in frame.notes] == ["input-overwritten"]
    assert frame.outputs[0].values is not None
    assert np.array_equal(frame.outputs[0].values.numpy()[1], given.relu().numpy())


class Fails(nn.Module):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.norm, self.error = nn.BatchNorm1d(6), error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.norm(x)
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("half-way"), "run"), (MemoryError(), "memory"), (torch.OutOfMemoryError(), "memory")],
)
def test_a_failure_names_the_innermost_module_and_leaves_nothing_behind(error: Exception, kind: str) -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(6, 6), Fails(error)))
    before = state_bits(model)
    with pytest.raises(EngineError) as raised:
        run(model, torch.randn(4, 6), force=True)
    assert (raised.value.kind, raised.value.module) == (kind, "0.1") and raised.value.__cause__ is error
    assert state_bits(model) == before
    nothing_stays()


def test_an_error_that_the_model_catches_itself_is_no_failure() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        try:
            return m.broken(x)  # type: ignore[no-any-return]
        except ValueError:
            return F.dropout(m.sound(x))

    model = Calls(forward, broken=Fails(ValueError("caught")), sound=nn.Linear(6, 6))
    frame = run(model, torch.randn(4, 6))
    assert frame.modules[0].calls == 1
    assert [site.path for site in frame.dropouts] == [""]
    late = Calls(lambda m, x: m.b(m.a(x)), a=model, b=Fails(KeyError("late")))
    with pytest.raises(EngineError) as raised:
        run(late, torch.randn(4, 6))
    assert raised.value.module == "b"


def test_stopping_ends_the_run_at_the_next_module() -> None:
    model, asked = dropping(), []
    before = state_bits(model)

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 4

    with pytest.raises(Cancelled):
        run(model, torch.randn(4, 6), repeats=100, should_stop=stop)
    assert len(asked) == 5 and state_bits(model) == before
    nothing_stays()


def test_sys_exit_in_a_model_leaves_nothing_behind() -> None:
    with pytest.raises(EngineError, match=r"^The model called sys.exit\(3\)$") as caught:
        run(Fails(SystemExit(3)), torch.randn(4, 6))
    assert caught.value.kind == "run"
    nothing_stays()


def nothing_stays() -> None:
    assert not module_hooks._global_forward_hooks and not module_hooks._global_forward_pre_hooks
    assert "training" not in vars(nn.Module) and torch._C._len_torch_dispatch_stack() == 0


def test_reads_of_the_flag_are_in_the_frame() -> None:
    model, given = HAND["tagger"]()
    command = protocol.Run(id=1, grad_mode="no_grad", batch=3)
    frame = runner.run(model, Inputs((), given, samples=3), command, rows=Rows(model))
    (read,) = frame.reads
    assert read.id == "flag-read" and str(read.values["source"]).split(":")[0].endswith("zoo.py")


def test_an_input_that_cannot_be_split_is_one_whole() -> None:
    model, given = HAND["graph"]()
    command = protocol.Run(id=1, grad_mode="no_grad", batch=1)
    frame = runner.run(model, Inputs((), given, samples=1, splittable=False), command, rows=Rows(model))
    expected = bare(model, "no_grad", 0, **given)
    assert frame.forwards == 1 and frame.outputs[0].shape == tuple(expected.shape)


def test_lazy_layers_are_made_once_and_that_is_the_baseline() -> None:
    model, value = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d()), torch.randn(8, 5)
    inputs, command = Inputs((value,), samples=8), protocol.Run(id=1, grad_mode="no_grad", batch=8)
    first = runner.run(model, inputs, command, rows=Rows(model))
    (note,) = [note for note in first.notes if note.id == "lazy-materialised"]
    assert "0.weight" in note.values["tensors"]  # type: ignore[operator]
    assert model[1].num_batches_tracked == 0 and all(module.training for module in model.modules())
    second = runner.run(model, inputs, command, rows=Rows(model))
    assert not second.notes and second.outputs[0].values == first.outputs[0].values
    assert first.ledger.buffers == 3


def test_progress_is_told_per_repeat() -> None:
    told: list[float | None] = []
    run(dropping(), torch.randn(4, 6), repeats=4, progress=lambda what, fraction: told.append(fraction))
    assert told == [0, 0.25, 0.5, 0.75]


def test_the_first_observed_forward_imports_no_compiler() -> None:
    """Torch would import ``torch._dynamo`` at the first watched operator: two seconds that pass for the model's own."""
    code = (
        "import sys, torch; from modelight.engine.observing.observe import observe;"
        "observe(torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout()), torch.ones(2, 3));"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_where_the_compiler_is_imported_watching_stays_hidden_from_it() -> None:
    code = (
        "import torch, torch._dynamo; from modelight.engine.observing.dispatch import HiddenWatch;"
        "from modelight.engine.observing.observe import observe;"
        "observe(torch.nn.Linear(3, 3), torch.ones(2, 3));"
        "raw = HiddenWatch.__torch_dispatch__.__wrapped__;"
        "raise SystemExit(getattr(raw, '__dynamo_disable', raw) is raw)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("how", ["script", "trace", "inside"])
def test_scripted_norms_run_and_are_left_as_they_were(how: str) -> None:
    """The dicts of a scripted module have no ``get``; its layers refuse hooks, and their buffers move all the same."""
    torch.manual_seed(0)
    plain, value = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)), torch.randn(5, 6)
    scripted = torch.jit.trace(plain.eval(), value) if how == "trace" else torch.jit.script(plain)  # type: ignore[no-untyped-call]
    model = nn.Sequential(scripted, nn.Linear(4, 2)) if how == "inside" else scripted
    expected = bare(model, "no_grad", 0, value)
    before = state_bits(model)
    frame = run(model, value)
    assert frame.outputs[0].values is not None
    assert np.array_equal(frame.outputs[0].values.numpy()[0], expected.numpy())
    assert state_bits(model) == before
    assert frame.ledger.buffers == (0 if how == "trace" else 3)


class Threaded(nn.Module):
    """Runs its layers in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        given: list[torch.Tensor] = []
        thread = threading.Thread(target=lambda: given.append(self.inner(x)))
        thread.start()
        thread.join()
        return given[0]


def test_what_runs_in_another_thread_is_unseen_and_not_called_idle() -> None:
    frame = run(Threaded(), torch.randn(4, 6))
    assert [one.unseen.id if one.unseen else "" for one in frame.modules] == ["", *["other-thread"] * 3]
    assert [one.unseen.id if one.unseen else "" for one in frame.norms] == ["other-thread"]
    assert frame.ledger.buffers == 3
