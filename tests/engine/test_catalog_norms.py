"""Rows of "Effective behaviour" that normalise, in every configuration."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from modelight.engine import catalog
from modelight.engine.modules import flag, modes, policy
from modelight.engine.modules.rows import Rows

from .truth import check, see, words

X = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0)) * 2 + 1


def normalised(layer: nn.Module, uses: str) -> torch.Tensor:
    """X by hand, with this batch's, each instance's or the running statistics."""
    axes = {"batch": (0, 2), "instance": (2,)}
    if uses == "running":
        mean, var = layer.running_mean[:, None], layer.running_var[:, None]
    else:
        mean, var = X.mean(axes[uses], keepdim=True), X.var(axes[uses], unbiased=False, keepdim=True)
    return (X - mean) / (var + layer.eps).sqrt()


def used(layer: nn.Module) -> nn.Module:
    """Give a layer statistics that can be told from any batch's."""
    if layer._buffers.get("running_mean") is not None:
        layer.running_mean.fill_(5.0)
        layer.running_var.fill_(9.0)
    return layer


def late(kind: type, tracks: bool, **options: object) -> nn.Module:
    """Built one way and toggled to the other."""
    layer = kind(3, track_running_stats=not tracks, **options)
    layer.track_running_stats = tracks
    return layer


def without(layer: nn.Module, *names: str) -> nn.Module:
    for name in names:
        setattr(layer, name, None)
    return layer


CONFIGURATIONS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.BatchNorm1d(3),
    "momentum None": lambda: nn.BatchNorm1d(3, momentum=None),
    "momentum 0": lambda: nn.BatchNorm1d(3, momentum=0.0),
    "without tracking": lambda: nn.BatchNorm1d(3, track_running_stats=False),
    "tracking switched off later": lambda: late(nn.BatchNorm1d, False),
    "tracking switched on later": lambda: late(nn.BatchNorm1d, True),
    "buffers taken away": lambda: without(nn.BatchNorm1d(3), "running_mean", "running_var"),
    "counter missing": lambda: without(nn.BatchNorm1d(3), "num_batches_tracked"),
    "counter missing, momentum None": lambda: without(nn.BatchNorm1d(3, momentum=None), "num_batches_tracked"),
    "sync": lambda: nn.SyncBatchNorm(3),
    "instance norm": lambda: nn.InstanceNorm1d(3),
    "instance norm, tracking": lambda: nn.InstanceNorm1d(3, track_running_stats=True),
    "instance norm, tracking, momentum None": lambda: nn.InstanceNorm1d(3, track_running_stats=True, momentum=None),
    "instance norm, tracking switched off later": lambda: late(nn.InstanceNorm1d, False),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_batch_norm_and_instance_norm(name: str) -> None:
    layer = used(CONFIGURATIONS[name]())
    check(layer, lambda part: part(X))
    for training in (True, False):
        rule = policy.policy(layer, training)
        assert rule is not None
        output = see(layer, training, lambda part: part(X)).output
        assert torch.allclose(output, normalised(layer, rule.uses), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "train", "eval_"),
    [
        ("plain", "batch-stats-updates", "running-stats"),
        ("momentum None", "batch-stats-cumulative", "running-stats"),
        ("momentum 0", "batch-stats-still", "running-stats"),
        ("without tracking", "batch-stats", "batch-stats"),
        ("tracking switched off later", "batch-stats", "running-stats"),
        ("buffers taken away", "batch-stats-counts", "batch-stats"),
        ("counter missing", "batch-stats-updates", "running-stats"),
        ("counter missing, momentum None", "batch-stats-still", "running-stats"),
        ("instance norm", "instance-stats", "instance-stats"),
        ("instance norm, tracking", "instance-stats-updates", "running-stats"),
        ("instance norm, tracking, momentum None", "instance-stats-still", "running-stats"),
        ("instance norm, tracking switched off later", "instance-stats-updates", "instance-stats-updates"),
    ],
)
def test_the_words_for_each_configuration(name: str, train: str, eval_: str) -> None:
    layer = CONFIGURATIONS[name]()
    assert (words(layer, True), words(layer, False)) == ([train], [eval_])


@pytest.mark.parametrize("missing", ["running_mean", "running_var"])
@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.InstanceNorm1d])
def test_one_missing_statistic_is_said_to_raise_exactly_where_it_raises(kind: type, missing: str) -> None:
    for tracks in (True, False):
        layer = without(kind(3, track_running_stats=True), missing)
        layer.track_running_stats = tracks
        for training in (True, False):
            flag.write(layer, training)
            try:
                layer(X)
                raised = False
            except (ValueError, RuntimeError):
                raised = True
            (clause,) = catalog.describe(layer).effect
            assert (clause.id == "raises-without") == raised
            assert not raised or clause.values["buffer"] == missing


def test_instance_norm_tracking_switched_on_later_raises_in_eval() -> None:
    layer = late(nn.InstanceNorm1d, True)
    assert words(layer, False) == ["raises-without"]
    with pytest.raises(RuntimeError):
        layer.eval()(X)


@pytest.mark.parametrize("kind", [nn.LazyBatchNorm1d, nn.LazyInstanceNorm1d])
def test_lazy_ones_say_before_the_first_run_what_they_do_after_it(kind: type) -> None:
    layer = kind() if kind is nn.LazyBatchNorm1d else kind(track_running_stats=True)
    before = words(layer, True), words(layer, False)
    rule = policy.policy(layer, True)
    assert rule is not None and rule.lazy
    layer(X)
    assert (words(layer, True), words(layer, False)) == before
    check(used(layer), lambda part: part(X))


class BatchNormAct1d(nn.BatchNorm1d):
    """As timm does it: the base's forward written out, then an activation."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch = self.training or self.running_mean is None
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        mean, var = self.running_mean, self.running_var
        x = nn.functional.batch_norm(x, mean, var, self.weight, self.bias, batch, self.momentum or 0.0, self.eps)
        return self.act(x)


def test_a_batch_norm_with_its_activation_inside() -> None:
    layer = used(BatchNormAct1d(3))
    check(layer, lambda part: part(X))
    assert words(layer, True) == ["batch-stats-updates"]
    assert catalog.describe(layer).kind == "batch_norm"


class InPlaceNorm(nn.Module):
    """Another's norm: running statistics of its own, used as its flag says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, training=self.training)


def test_a_norm_of_someone_else_is_said_to_read_its_flag_and_is_frozen_with_the_others() -> None:
    layer = InPlaceNorm(3)
    behaviour = catalog.describe(layer)
    assert behaviour.kind == "norm_like" and behaviour.sensitive and words(layer, True) == ["norm-reads-flag"]
    modes.apply_preset(Rows(layer), "freeze_norms")
    assert see(layer, layer.training, lambda part: part(X)).moved == set()
    assert see(layer, True, lambda part: part(X)).moved == {"running_mean", "running_var"}


class FrozenBatchNorm2d(nn.Module):
    """As in torchvision and DETR: not a _BatchNorm at all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.5), ("running_var", 2.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        return x * scale[:, None] + (self.bias - self.running_mean * scale)[:, None]


class FrozenSubclass(nn.BatchNorm1d):
    """A _BatchNorm in name, whose forward never asks for the mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


class FrozenNames(FrozenBatchNorm2d):
    """Gives its statistics names, and these names to what it makes of them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, var = self.running_mean, self.running_var
        var = torch.rsqrt(var + 1e-5)
        mean, var = mean[:, None], var[:, None]
        return (x - mean) * var


@pytest.mark.parametrize("kind", [FrozenBatchNorm2d, FrozenSubclass, FrozenNames])
def test_a_frozen_batch_norm(kind: type) -> None:
    layer = kind(3)
    check(layer, lambda part: part(X))
    assert words(layer, True) == words(layer, False) == ["fixed-stats"]
    assert catalog.describe(layer).kind == "frozen_norm"


class AlwaysBatch(FrozenBatchNorm2d):
    """Holds running statistics, and never uses them: the mode is written down."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, training=True)


class AlwaysBatchSubclass(nn.BatchNorm1d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, True)


class BySetting(FrozenBatchNorm2d):
    """A setting of its own says which statistics are used."""

    own = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, training=self.own)


class Always(FrozenBatchNorm2d):
    """Moves its statistics by itself, whatever the mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.running_mean.data.lerp_(x.detach().mean(0), 0.1)
        return x - self.running_mean


class Assigns(FrozenBatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.running_var = 0.9 * self.running_var + 0.1 * x.detach().var(0)
        return x / self.running_var.sqrt()


def _elsewhere(x: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    mean += 1
    return x - mean


class Elsewhere(FrozenBatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _elsewhere(x, self.running_mean)


class Kernel(FrozenBatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.native_batch_norm(x, None, None, self.running_mean, self.running_var, True, 0.1, 1e-5)[0]


class Half(FrozenBatchNorm2d):
    """The half of a norm that counts and writes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, var = torch.batch_norm_update_stats(x, self.running_mean, self.running_var, 0.1)
        return (x - mean) * (var + 1e-5).rsqrt()


class Into(FrozenBatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.lerp(self.running_mean, x.mean(0), 0.1, out=self.running_mean)
        return x - self.running_mean


class Named(FrozenBatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.running_mean
        mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return x - mean


class NamedTogether(FrozenBatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, var = self.running_mean, self.running_var
        mean += x.mean(0)
        return (x - mean) * var.rsqrt()


class ByName(FrozenBatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._buffers["running_mean"].add_(x.mean(0))
        return x - self.running_mean


MOVING = [AlwaysBatch, AlwaysBatchSubclass, BySetting, Always, Assigns, Elsewhere]


@pytest.mark.parametrize("kind", [*MOVING, Kernel, Half, Into, Named, NamedTogether, ByName])
def test_a_norm_that_moves_its_statistics_in_both_modes_is_not_said_to_be_frozen(kind: type) -> None:
    layer = kind(3)
    assert see(layer, False, lambda part: part(torch.randn(5, 3))).moved
    assert words(layer, True) == words(layer, False) == ["no-effect-known"]
    assert policy.policy(layer) is None


class Freezable(nn.BatchNorm1d):
    frozen = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch = self.training and not self.frozen
        mean, var = self.running_mean, self.running_var
        return nn.functional.batch_norm(x, mean, var, self.weight, self.bias, batch, self.momentum or 0.0, self.eps)


def test_a_norm_with_a_setting_that_overrides_its_flag_is_not_said_to_follow_it() -> None:
    layer = Freezable(3)
    assert words(layer, True) == ["batch-stats-updates"]
    layer.frozen = True
    assert see(layer, True, lambda part: part(X)).moved == set()
    assert words(layer, True) == words(layer, False) == ["no-effect-known"]


@pytest.mark.package
def test_the_frozen_batch_norm_of_transformers() -> None:
    from transformers.models.detr.modeling_detr import DetrFrozenBatchNorm2d

    layer = DetrFrozenBatchNorm2d(3)
    check(layer, lambda part: part(X[..., None]))
    assert words(layer, True) == ["fixed-stats"]


@pytest.mark.parametrize("layer", [nn.LayerNorm(4), nn.GroupNorm(3, 3), nn.LocalResponseNorm(2)])
def test_norms_without_running_statistics_do_not_react(layer: nn.Module) -> None:
    check(layer, lambda part: part(X))
    assert words(layer, True) == ["no-effect"]
