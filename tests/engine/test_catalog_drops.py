"""Rows of "Effective behaviour" that drop: dropouts and drop paths."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modelight.engine import catalog

from .truth import check, see, words

PLAIN = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def images(kind: type) -> torch.Tensor:
    sizes = {nn.Dropout1d: (4, 6, 5), nn.Dropout3d: (4, 6, 2, 2, 2)}
    return 1 + torch.rand(sizes.get(kind, (4, 6, 3, 3)))


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_1d_2d_3d_alpha_dropout_feature_alpha_dropout(kind: type, p: float) -> None:
    x = images(kind)
    if p == 1:  # drops everything, so it is the same each time
        layer = kind(p)
        assert words(layer, True)[0] in ("drops", "drops-channels")
        assert see(layer, True, lambda part: part(x)).output.eq(0).all()
        assert words(layer, False) == ["passes-through"]
    else:
        check(kind(p), lambda part: part(x))


@pytest.mark.parametrize("kind", PLAIN)
def test_drops_only_if_p_is_above_zero(kind: type) -> None:
    layer = kind(0.0)
    assert words(layer, True) == words(layer, False) == ["drops-nothing"]
    assert not catalog.describe(layer).sensitive


@pytest.mark.parametrize("kind", [nn.Dropout1d, nn.Dropout2d, nn.Dropout3d])
def test_1d_2d_3d_drop_whole_channels(kind: type) -> None:
    dropped = see(kind(0.5), True, lambda part: part(images(kind))).output.flatten(2) == 0
    assert dropped.any() and torch.equal(dropped.all(2), dropped.any(2))
    assert catalog.describe(kind(0.5)).effect[0].values["unit"] == "channel"


@pytest.mark.parametrize("kind", [nn.AlphaDropout, nn.FeatureAlphaDropout])
def test_alpha_variants_set_to_a_negative_constant(kind: type) -> None:
    output = see(kind(0.5), True, lambda part: part(images(kind))).output
    lowest = output.min()
    assert lowest < 0 and (output == lowest).sum() > 1 and not (output == 0).any()
    assert words(kind(0.5), True)[0].startswith("alpha-drops")


def test_p_changed_after_construction_counts() -> None:
    layer = nn.Dropout(0.0)
    layer.p = 0.25
    assert catalog.describe(layer).effect[0].values["p"] == 0.25
    check(layer, lambda part: part(torch.ones(64)))


def drop_path(x: torch.Tensor, p: float, training: bool) -> torch.Tensor:
    if p == 0.0 or not training:
        return x
    keep = torch.rand(x.shape[0], *[1] * (x.dim() - 1)) >= p
    return x * keep / (1 - p)


class DropPath(nn.Module):
    """As in timm: ``drop_prob`` may be None."""

    def __init__(self, drop_prob: float | None = None) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return drop_path(x, self.drop_prob or 0.0, self.training)


class StochasticDepth(nn.Module):
    """As in torchvision: ``p`` and ``mode``."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mode == "batch":
            return x * (torch.rand(()) >= self.p) if self.training else x
        return drop_path(x, self.p, self.training)


class DropConnect(nn.Module):
    """Named by what survives."""

    def __init__(self, survival_prob: float) -> None:
        super().__init__()
        self.survival_prob = survival_prob

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return drop_path(x, 1 - self.survival_prob, self.training)


@pytest.mark.parametrize("layer", [DropPath(0.4), StochasticDepth(0.4, "row"), DropConnect(0.6)])
def test_drop_path_stochastic_depth_under_several_names(layer: nn.Module) -> None:
    check(layer, lambda part: part(torch.ones(8, 3)))
    layer.train()
    (clause,) = catalog.describe(layer).effect
    assert clause.id == "drops-samples" and clause.values["p"] == pytest.approx(0.4)
    assert catalog.describe(layer).kind == "drop_path"


def test_stochastic_depth_of_whole_batches() -> None:
    layer = StochasticDepth(0.5, "batch")
    check(layer, lambda part: part(torch.ones(8, 3)))
    assert words(layer, True) == ["drops-batches"]


@pytest.mark.parametrize("rate", [None, 0.0])
def test_drop_path_at_zero_drops_nothing(rate: float | None) -> None:
    check(DropPath(rate), lambda part: part(torch.ones(8, 3)))
    assert words(DropPath(rate), True) == ["drops-nothing"]


def test_a_drop_path_that_never_asks_for_the_mode_is_not_said_to_follow_it() -> None:
    class DropPathAlways(nn.Module):
        drop_prob = 0.5

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return drop_path(x, self.drop_prob, True)

    assert catalog.describe(DropPathAlways()).effect[0].id == "no-effect-known"


def test_a_dropout_of_someone_else() -> None:
    class LockedDropout(nn.Module):
        """One mask for all time steps."""

        def __init__(self) -> None:
            super().__init__()
            self.dropout = 0.5

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not self.training:
                return x
            return x * torch.empty(1, *x.shape[1:]).bernoulli_(1 - self.dropout) / (1 - self.dropout)

    check(LockedDropout(), lambda part: part(torch.ones(3, 16)))
    assert catalog.describe(LockedDropout()).kind == "dropout"


def test_a_subclass_of_dropout_that_drops_always_is_not_taken_for_one_that_follows_the_flag() -> None:
    class McDropout(nn.Dropout):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(x, self.p, True)

    assert see(McDropout(), False, lambda part: part(torch.ones(64))).random
    assert catalog.describe(McDropout().eval()).effect[0].id != "passes-through"


def test_a_subclass_of_dropout_that_keeps_its_forward_is_dropout() -> None:
    class Named(nn.Dropout):
        pass

    class Calling(nn.Dropout):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 2

    for kind in (Named, Calling):
        check(kind(0.5), lambda part: part(torch.ones(64)))


class McSwitch(nn.Dropout):
    """Drops in eval, too, while its setting says so."""

    def __init__(self, always: bool) -> None:
        super().__init__(0.4)
        self.always = always

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, self.p, self.training or self.always)


def test_a_dropout_with_a_setting_that_overrides_its_flag_is_not_said_to_follow_it() -> None:
    check(McSwitch(False), lambda part: part(torch.ones(64)))
    assert words(McSwitch(False), False) == ["passes-through"]
    assert see(McSwitch(True), False, lambda part: part(torch.ones(64))).random
    assert words(McSwitch(True), False) == words(McSwitch(True), True) == ["no-effect-known"]


class Classic(nn.Module):
    """The first dropouts scaled in eval, not in train."""

    p = 0.5


class ClassicDropout(Classic):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return x * torch.bernoulli(torch.full_like(x, 1 - self.p))
        return x * (1 - self.p)


class ElseDropout(Classic):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and self.p > 0:
            x = drop_path(x, self.p, True)
        else:
            x *= 1 - self.p
        return x


class EarlyDropPath(Classic):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x * (1 - self.p)
        return drop_path(x, self.p, True)


class ChoosingDropout(Classic):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return drop_path(x, self.p, True) if self.training else x * (1 - self.p)


@pytest.mark.parametrize("kind", [ClassicDropout, ElseDropout, EarlyDropPath, ChoosingDropout])
def test_a_dropout_that_scales_in_eval_is_not_said_to_pass_its_input_through(kind: type) -> None:
    assert (see(kind(), False, lambda part: part(torch.ones(8, 3))).output == 0.5).all()
    assert words(kind(), False) == words(kind(), True) == ["reads-flag"]


def test_a_gaussian_dropout_sets_nothing_to_zero_and_is_not_said_to() -> None:
    class GaussianDropout(nn.Module):
        p = 0.3

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * (1 + torch.randn_like(x)) if self.training else x

    assert (see(GaussianDropout(), True, lambda part: part(torch.ones(64))).output != 0).all()
    assert words(GaussianDropout(), True) == ["reads-flag"]


def test_drop_connect_of_weights_is_no_drop_path() -> None:
    class DropConnect(nn.Linear):
        drop_prob = 0.3

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight = nn.functional.dropout(self.weight, self.drop_prob, self.training)
            return nn.functional.linear(x, weight, self.bias)

    assert words(DropConnect(8, 8), True) == ["reads-flag"]


@pytest.mark.package
def test_drop_paths_of_transformers() -> None:
    from transformers.models.beit.modeling_beit import BeitDropPath
    from transformers.models.convnext.modeling_convnext import ConvNextDropPath
    from transformers.models.swin.modeling_swin import SwinDropPath

    for kind in (BeitDropPath, ConvNextDropPath, SwinDropPath):
        check(kind(0.5), lambda part: part(torch.ones(8, 3)))
        assert words(kind(0.5), True) == ["drops-samples"]
