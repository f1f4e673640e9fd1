"""Running statistics against the batch's: exact per channel, never from a sample."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import modelight
from modelight import protocol
from modelight.engine.batches import Inputs
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import runner
from modelight.engine.observing.norms import PREVIEW_PASSES, drift_of
from tests.engine.layers import Calls
from tests.engine.observing import GRAD_MODES


def statistics(values: torch.Tensor, instance: bool) -> tuple[np.ndarray, np.ndarray]:
    rows = values.double().flatten(2) if values.dim() > 2 else values.double().unsqueeze(2)
    over = (2,) if instance else (0, 2)
    mean, var = rows.mean(over), rows.var(over, correction=0)
    return (mean.mean(0).numpy(), var.mean(0).numpy()) if instance else (mean.numpy(), var.numpy())


CASES: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (lambda: nn.BatchNorm1d(6), (9, 6)),
    (lambda: nn.BatchNorm1d(6), (4, 6, 5)),
    (lambda: nn.BatchNorm2d(6), (4, 6, 20, 20)),
    (lambda: nn.BatchNorm2d(6, momentum=None), (4, 6, 5, 5)),
    (lambda: nn.BatchNorm2d(6, track_running_stats=False), (4, 6, 5, 5)),
    (lambda: nn.BatchNorm3d(6), (2, 6, 2, 3, 3)),
    (lambda: nn.InstanceNorm2d(6, track_running_stats=True), (4, 6, 5, 5)),
    (lambda: nn.InstanceNorm1d(6), (4, 6, 5)),
]


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("build", "shape"), CASES)
def test_batch_statistics_are_exact(
    build: Callable[[], nn.Module], shape: tuple[int, ...], training: bool, mode: protocol.GradMode
) -> None:
    values = torch.randn(shape) * 3 + torch.linspace(-50, 50, 6).reshape(1, 6, *[1] * (len(shape) - 2))
    norm = build().train(training)
    seen = modelight.observe(norm, values, grad_mode=mode).norms[""]
    mean, var = statistics(values, isinstance(norm, nn.modules.instancenorm._InstanceNorm))
    assert seen.batch_mean is not None and seen.batch_var is not None and seen.unseen is None
    assert np.allclose(seen.batch_mean.numpy()[0], mean, rtol=1e-5, atol=1e-4)
    assert np.allclose(seen.batch_var.numpy()[0], var, rtol=1e-3)


def test_an_unbatched_instance_norm_has_its_channels_first() -> None:
    values = torch.randn(3, 50) + torch.tensor([[0.0], [10.0], [20.0]])
    seen = modelight.observe(nn.InstanceNorm1d(3, track_running_stats=True).eval(), values).norms[""]
    assert seen.batch_mean is not None and np.allclose(seen.batch_mean.numpy()[0], values.mean(1), atol=1e-5)
    assert seen.batch_count == 50


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes(dtype: torch.dtype) -> None:
    values = (torch.randn(16, 3, 8, 8) + 2).to(dtype)
    norm = nn.BatchNorm2d(3).to(dtype).eval()
    seen = modelight.observe(norm, values).norms[""]
    mean, var = statistics(values, False)
    assert seen.batch_mean is not None and np.allclose(seen.batch_mean.numpy()[0], mean, atol=1e-4)
    assert seen.batch_var is not None and np.allclose(seen.batch_var.numpy()[0], var, rtol=1e-3)


def test_sampled_values_never_feed_a_statistic_per_channel() -> None:
    values = torch.randn(8, 512, 8, 8)
    values[:, 100] += 7
    seen = modelight.observe(nn.BatchNorm2d(512).eval(), values).norms[""]
    assert seen.batch_count == 8 * 64 and seen.batch_mean is not None
    assert np.abs(seen.batch_mean.numpy()[0] - values.mean((0, 2, 3)).numpy()).max() < 1e-5


def test_drift_is_the_distance_of_the_means_in_running_deviations() -> None:
    norm = nn.BatchNorm1d(3).eval()
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.copy_(torch.tensor([0.0, 1.0, 2.0]))
    norm.running_var.copy_(torch.tensor([1.0, 4.0, 0.0]))
    values = torch.tensor([[1.0, 5.0, 2.0], [3.0, 7.0, 2.0]])
    seen = modelight.observe(norm, values).norms[""]
    assert seen.drift is not None and seen.drift.numpy()[:2].tolist() == [2.0, 2.5]
    assert np.isnan(seen.drift.numpy()[2])


@pytest.mark.parametrize("momentum", [0.1, 0.9, 1.0, None])
@pytest.mark.parametrize("tracked", [0, 7])
def test_the_preview_is_what_further_passes_really_give(momentum: float | None, tracked: int) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(4, momentum=momentum).eval()
    assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
    norm.running_mean.normal_()
    norm.num_batches_tracked.fill_(tracked)
    values = torch.randn(6, 4) * 2 + 3
    frame = runner.run(norm, Inputs((values,), samples=6), command(batch=3), rows=Rows(norm))
    (seen,) = frame.norms
    assert seen.preview_largest is not None and seen.preview_median is not None
    real = copy.deepcopy(norm).train()
    target = values.mean(0)
    for passes in range(PREVIEW_PASSES + 1):
        drift = (target - real.running_mean).abs() / real.running_var.sqrt()
        assert seen.preview_largest.numpy()[passes] == pytest.approx(drift.max().item(), rel=1e-3, abs=1e-5)
        # numpy's median of an even count is the mean of the two in the middle.
        assert seen.preview_median.numpy()[passes] == pytest.approx(np.median(drift.numpy()), rel=1e-3, abs=1e-5)
        real(values[:3])
        real(values[3:])


def command(**changes: object) -> protocol.Run:
    return protocol.Run(id=1, grad_mode="no_grad", **changes)  # type: ignore[arg-type]


def test_a_run_shows_checkpoint_running_and_batch_side_by_side() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).train()
    checkpoint = {"1.running_mean": torch.tensor([5.0, 6.0]), "1.num_batches_tracked": torch.tensor(9)}
    inputs = Inputs((torch.randn(6, 3),), samples=6)
    frame = runner.run(model, inputs, command(batch=2, repeats=2), rows=Rows(model), checkpoint=checkpoint)
    (norm,) = frame.norms
    assert (norm.row, norm.path, norm.type, norm.channels) == (2, "1", "BatchNorm1d", 2)
    assert (norm.uses, norm.updates, norm.momentum, norm.tracked) == ("batch", True, 0.1, 0)
    assert norm.running_mean is not None and norm.running_mean.numpy().tolist() == [0, 0]
    assert norm.checkpoint_mean is not None and norm.checkpoint_mean.numpy().tolist() == [5, 6]
    assert norm.checkpoint_var is None and norm.checkpoint_tracked == 9
    assert norm.batch_mean is not None and norm.batch_mean.numpy().shape == (3, 2)


def test_statistics_may_be_left_out_in_eval_but_are_free_in_train() -> None:
    model, inputs = nn.BatchNorm1d(2), Inputs((torch.randn(6, 2),), samples=6)
    (norm,) = runner.run(model.eval(), inputs, command(batch=6, norm_statistics=False), rows=Rows(model)).norms
    assert norm.batch_mean is None and norm.unseen is not None and norm.unseen.id == "norm-not-asked"
    (norm,) = runner.run(model.train(), inputs, command(batch=6, norm_statistics=False), rows=Rows(model)).norms
    assert norm.batch_mean is not None


def test_a_norm_that_is_not_called_and_one_called_twice() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return m.used(m.used(x) + 5)  # type: ignore[operator, no-any-return]

    model = Calls(forward, used=nn.BatchNorm1d(2), spare=nn.BatchNorm1d(2)).train()
    seen = modelight.observe(model, torch.randn(8, 2)).norms
    assert seen["spare"].unseen is not None and seen["spare"].unseen.id == "not-called"
    assert seen["used"].batch_mean is not None
    assert np.allclose(seen["used"].batch_mean.numpy()[1], 5, atol=1e-5)


def test_a_functional_batch_norm_is_not_taken_for_the_layer_around_it() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(m.norm(x) * 10 + 3, None, None, training=True)  # type: ignore[operator]

    seen = modelight.observe(Calls(forward, norm=nn.BatchNorm1d(2)), torch.randn(8, 2)).norms["norm"]
    assert seen.batch_mean is not None and seen.batch_mean.numpy().shape == (1, 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_train_is_not_rounded(dtype: torch.dtype) -> None:
    values = (torch.randn(40, 6) + torch.linspace(-30, 30, 6)).to(dtype)
    seen = modelight.observe(nn.BatchNorm1d(6).to(dtype), values).norms[""]
    mean, var = statistics(values, False)
    assert seen.batch_mean is not None and np.allclose(seen.batch_mean.numpy()[0], mean, rtol=1e-5)
    assert seen.batch_var is not None and np.allclose(seen.batch_var.numpy()[0], var, rtol=1e-4)


class Ghost(nn.BatchNorm1d):
    """Each part of the batch is normalised by itself."""

    parts = 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        return torch.cat([super(Ghost, self).forward(part) for part in x.chunk(self.parts)])


@pytest.mark.parametrize("parts", [2, 3], ids=["equal parts", "14, 14 and 12"])
@pytest.mark.parametrize("mode", GRAD_MODES)
def test_a_ghost_batch_norm_has_the_statistics_of_its_parts(
    mode: protocol.GradMode, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ghost, "parts", parts)
    values, norm = torch.randn(40, 3) * 2 + 1, Ghost(3)
    seen = modelight.observe(norm, values, grad_mode=mode).norms[""]
    assert seen.batch_mean is not None and seen.batch_var is not None
    if mode != "inference_mode":  # where the whole is seen, and no operator in it
        expected = np.stack([part.mean(0).numpy() for part in values.chunk(parts)])
        assert np.allclose(seen.batch_mean.numpy(), expected, atol=1e-5)
        assert seen.batch_count == len(values.chunk(parts)[-1])
        real = copy.deepcopy(norm)
        for _ in range(PREVIEW_PASSES):
            real(values)
        assert seen.preview_largest is not None
        drift = drift_of(
            seen.batch_mean.numpy().mean(0), real.running_mean.double().numpy(), real.running_var.double().numpy()
        )
        assert np.isclose(seen.preview_largest.numpy()[-1], drift.max(), rtol=1e-3)


def test_a_norm_that_the_forward_switches_off_is_told_as_it_ran() -> None:
    def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        module.get_submodule("norm").eval()
        return module.get_submodule("norm")(x)

    seen = modelight.observe(Calls(forward, norm=nn.BatchNorm1d(3)), torch.randn(9, 3))
    assert (seen.norms["norm"].uses, seen.norms["norm"].updates) == ("running", False)
    assert [entry.name for entry in seen.ledger.entries] == ["norm.training"]


class InPlace(nn.Module):
    """A frozen norm that works on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.full((3,), 2.0))
        self.register_buffer("running_var", torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sub_(self.running_mean).div_(self.running_var.sqrt())


def test_a_norm_that_overwrites_its_input_has_the_statistics_of_what_it_was_given() -> None:
    values = torch.randn(9, 3) + 5
    model = nn.Sequential(nn.Identity(), InPlace())
    seen = modelight.observe(model, values).norms["1"]
    assert seen.batch_mean is not None and np.allclose(seen.batch_mean.numpy()[0], values.mean(0), atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_a_norm_whose_own_hook_may_change_its_input_is_not_told_from_what_the_hook_was_given(training: bool) -> None:
    norm, values = nn.BatchNorm1d(3).train(training), torch.randn(9, 3) + 5
    norm.register_forward_pre_hook(lambda module, args: (args[0] * 10,))
    seen = modelight.observe(norm, values).norms[""]
    if training:  # the operator tells
        assert seen.batch_mean is not None and np.allclose(seen.batch_mean.numpy()[0], 10 * values.mean(0), rtol=1e-4)
    else:
        assert seen.batch_mean is None and seen.unseen is not None and seen.unseen.id == "norm-input-hooked"


def test_of_the_module_looked_at_they_are_computed_under_whatever_name() -> None:
    norm, value = nn.BatchNorm1d(3), torch.randn(8, 3)
    model = nn.Sequential(norm, nn.BatchNorm1d(3), norm).eval()
    inputs = Inputs((value,), samples=8)
    command = protocol.Run(id=1, grad_mode="no_grad", batch=8, norm_statistics=False, detail="2")
    frame = runner.run(model, inputs, command, rows=Rows(model))
    assert [one.batch_mean is not None for one in frame.norms] == [True, False]
    assert frame.norms[0].preview_largest is not None
    assert frame.norms[1].unseen is not None and frame.norms[1].unseen.id == "norm-not-asked"
