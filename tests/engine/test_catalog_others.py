"""The other rows of "Effective behaviour": random slopes, recurrent and attention layers, spectral norm, observers."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from modelight.engine import catalog
from modelight.engine.modules import flag

from .truth import Forward, check, see, words

X = torch.randn(5, 4, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layer", [nn.RReLU(), nn.RReLU(0.2, 0.2)])
def test_rrelu(layer: nn.Module) -> None:
    check(layer, lambda part: part(X))


def test_rrelu_tells_its_slope() -> None:
    layer = nn.RReLU(0.1, 0.3)
    assert words(layer, True) == ["random-slope"] and words(layer, False) == ["fixed-slope"]
    slope = catalog.describe(layer).effect[0].values["slope"]
    assert torch.allclose(layer(torch.tensor([-1.0])), torch.tensor([-slope]))


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize(("layers", "p"), [(1, 0.0), (2, 0.0), (2, 0.5), (3, 0.2)])
def test_lstm_gru_rnn_dropout(kind: type, layers: int, p: float) -> None:
    layer = kind(8, 6, num_layers=layers, dropout=p)
    check(layer, lambda part: part(X))
    assert words(layer, True) == (["drops-between-layers"] if p else ["no-effect"])


@pytest.mark.filterwarnings("ignore:dropout option adds dropout")
def test_rnn_dropout_of_a_single_layer_has_no_effect() -> None:
    check(nn.LSTM(8, 6, num_layers=1, dropout=0.5), lambda part: part(X))


@pytest.mark.parametrize("p", [0.0, 0.4])
def test_multihead_attention(p: float) -> None:
    layer = nn.MultiheadAttention(8, 2, dropout=p, batch_first=True)
    check(layer, lambda part: part(X, X, X, need_weights=False))
    check(layer, lambda part: part(X, X, X))


def test_multihead_attention_flag_is_its_own() -> None:
    """Its dropout hangs on its own flag, not on a child's."""
    layer = nn.MultiheadAttention(8, 2, dropout=0.4, batch_first=True)
    for child in layer.children():
        child.eval()
    assert see(layer, True, lambda part: part(X, X, X)).random


def encoder_layer(p: float = 0.4) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(8, 2, 16, dropout=p, batch_first=True)


def test_transformer_encoder_layer_fast_path_skips_its_children() -> None:
    """Its own flag in eval lets the fused path run, which draws nothing even where the dropouts are in train."""
    layer = encoder_layer()
    layer.train()
    layer.__dict__["training"] = False
    assert not see(layer, False, lambda part: part(X)).random
    assert see(layer, True, lambda part: part(X)).random
    assert "fused-path-skips" in words(layer, False)
    assert words(layer, True) == ["layers-react"]


def test_transformer_encoder_layer_counts_the_layers_that_react() -> None:
    (clause,) = catalog.describe(encoder_layer().train()).effect
    # Three dropouts and the attention's own; its dropout within feed-forward is one of the three.
    assert clause.values == {"count": 4}
    layer = encoder_layer(0.0).eval()
    assert [found.id for found in catalog.describe(layer).effect] == ["no-effect", "fused-path-skips"]


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*:FutureWarning")
def test_spectral_norm_hook() -> None:
    layer = nn.utils.spectral_norm(nn.Linear(8, 6))
    check(layer, lambda part: part(X))
    assert words(layer, True) == ["power-iteration"]


def test_spectral_norm_parametrization_moves_even_when_the_weight_is_read() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 6))
    inner = layer.parametrizations.weight[0]
    check(inner, lambda part: part(layer.parametrizations.weight.original))
    assert words(inner, True) == ["power-iteration"]
    before = copy.deepcopy(inner.state_dict())
    assert layer.weight is not None
    moved = {name for name, tensor in inner.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == set(catalog.describe(inner).mutates)


def test_spectral_norm_of_a_vector_has_no_vectors_to_move() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.LayerNorm(8))
    inner = layer.parametrizations.weight[0]
    check(inner, lambda part: part(layer.parametrizations.weight.original))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fake_quantize_observes_in_both_modes() -> None:
    from torch.ao.quantization import FakeQuantize, MinMaxObserver

    layer = FakeQuantize()
    for training in (True, False):
        assert see(layer, training, lambda part: part(X)).moved == set(catalog.describe(layer).mutates)
    assert words(layer, True) == words(layer, False) == ["observes-quantizes"]
    layer.disable_observer()
    assert words(layer, False) == ["quantizes"]
    assert see(layer, False, lambda part: part(X)).moved == set()
    observer = MinMaxObserver()
    assert words(observer, True) == words(observer, False) == ["observes"]
    assert see(observer, False, lambda part: part(X)).moved <= set(catalog.describe(observer).mutates)
    assert not catalog.describe(layer).sensitive and not catalog.describe(observer).sensitive


class AuxiliaryHead(nn.Module):
    """Inception's way: another structure in train."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.aux = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        x = self.body(x)
        if self.training:
            return x, self.aux(x)
        return x


def test_any_module_that_reads_self_training() -> None:
    (clause,) = catalog.describe(AuxiliaryHead()).effect
    assert clause.id == "reads-flag"
    name, line = str(clause.values["source"]).rsplit(":", 1)
    assert name == __file__
    assert "if self.training:" in Path(__file__).read_text(encoding="utf-8").splitlines()[int(line) - 1]
    assert catalog.describe(AuxiliaryHead()).sensitive


def test_a_functional_dropout_that_follows_the_flag_is_called_that() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(x, 0.5, self.training)

    layer = Attention()
    assert catalog.describe(layer).kind == "functional_dropout"
    assert see(layer, True, lambda part: part(X)).random and not see(layer, False, lambda part: part(X)).random


class Checkpointed(nn.Module):
    """As transformers does: the flag only matters with a setting that is off."""

    gradient_checkpointing = False

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.keep, self.config = p, 1.0 - p, SimpleNamespace(layerdrop=p)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.gradient_checkpointing and self.training:
            raise AssertionError("recomputes in backward")
        if getattr(self, "missing", False) and not self.training:
            return x
        x = nn.functional.dropout(x, p=self.p, training=self.training)
        if self.config.layerdrop > 0 and self.training and torch.rand(()) < self.config.layerdrop:
            return x
        return self.scaled(x, 1.0 if not self.training else self.keep)

    def scaled(self, x: torch.Tensor, scale: float) -> torch.Tensor:
        return x * scale

    def never_called_by_forward(self) -> bool:
        return self.training


def test_a_read_without_consequence_does_not_count() -> None:
    quiet, loud = Checkpointed(0.0), Checkpointed(0.5)
    assert words(quiet, True) == ["no-effect-known"] and not catalog.describe(quiet).sensitive
    assert torch.equal(see(quiet, True, lambda part: part(X)).output, see(quiet, False, lambda part: part(X)).output)
    assert words(loud, True) == ["reads-flag"] and see(loud, True, lambda part: part(X)).random
    quiet.gradient_checkpointing = True
    assert words(quiet, True) == ["reads-flag"]


def test_settings_that_only_code_could_tell_are_taken_to_matter() -> None:
    class Net(nn.Module):
        @property
        def enabled(self) -> bool:
            raise AssertionError("a property is not run")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if self.enabled and self.training else x

    assert words(Net(), True) == ["reads-flag"]


def test_a_decorated_forward_is_read_through() -> None:
    class Net(nn.Module):
        @torch.no_grad()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if self.training else x

    assert words(Net(), True) == ["reads-flag"]


@pytest.mark.parametrize(
    ("function", "random"),
    [
        (nn.functional.dropout, True),
        (nn.functional.dropout1d, True),
        (lambda x: nn.functional.dropout2d(x[None]), True),
        (lambda x: nn.functional.dropout3d(x[None]), True),
        (nn.functional.alpha_dropout, False),
        (nn.functional.feature_alpha_dropout, False),
        (nn.functional.rrelu, False),
    ],
)
def test_dropout_functions_are_on_by_default_whatever_the_flag(function: Any, random: bool) -> None:
    class Calling(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function(x)

    layer = Calling()
    assert see(layer, True, layer_of(X)).random == see(layer, False, layer_of(X)).random == random
    assert not catalog.describe(layer).sensitive


def layer_of(x: torch.Tensor) -> Forward:
    return lambda part: part(x)


def test_a_functional_dropout_that_ignores_the_flag_is_not_said_to_follow_it() -> None:
    class Always(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5)

    layer = Always()
    assert see(layer, False, lambda part: part(X)).random
    assert words(layer, True) == words(layer, False) == ["no-effect-known"]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_scripted_modules_tell_whether_their_script_reads_the_flag() -> None:
    script = torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.Dropout()))
    assert [words(part, True) for part in (script, *script.children())] == [
        ["no-effect"],
        ["no-effect"],
        ["script-reads-flag"],
    ]
    traced = torch.jit.trace(nn.Sequential(nn.Dropout()).eval(), X)
    assert not catalog.describe(traced).sensitive
    assert not see(traced, True, lambda part: part(X)).random
    frozen = torch.jit.freeze(torch.jit.script(nn.Dropout().eval()))
    assert catalog.describe(frozen).effect[0].id == "no-flag" and flag.read(frozen) is None
