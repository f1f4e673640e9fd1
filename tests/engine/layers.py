"""Layers that depend on the mode, draw, or have a fused path: each with an input to feed it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.ao.quantization import FakeQuantize
from torch.nn.utils import parametrizations, weight_norm
from torch.nn.utils.spectral_norm import spectral_norm as old_spectral_norm


class Calls(nn.Module):
    """A module whose forward is a function of its input (and of itself)."""

    def __init__(self, function: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *args: Any) -> Any:
        return self.function(self, *args)


def _dropout(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.dropout(x, 0.4, True)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    scripted_dropout = torch.jit.script(_dropout)


def image() -> torch.Tensor:
    return torch.randn(4, 8, 6, 6)


def channels_last() -> torch.Tensor:
    return image().to(memory_format=torch.channels_last)


def rows() -> torch.Tensor:
    return torch.randn(5, 8)


def sequence() -> torch.Tensor:
    return torch.randn(5, 3, 8)


def heads() -> torch.Tensor:
    return torch.randn(2, 2, 5, 4)


def attention(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(x, x, x, dropout_p=0.3)


Case = tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]

DROPOUT: dict[str, Case] = {
    "dropout": (lambda: nn.Dropout(0.3), rows),
    "dropout in place": (lambda: nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.3, inplace=True)), rows),
    "dropout channels last": (lambda: nn.Dropout(0.3), channels_last),
    "dropout1d": (lambda: nn.Dropout1d(0.3), lambda: torch.randn(4, 8, 7)),
    "dropout1d unbatched": (lambda: nn.Dropout1d(0.3), rows),
    "dropout2d": (lambda: nn.Dropout2d(0.3), image),
    "dropout2d channels last": (lambda: nn.Dropout2d(0.3), channels_last),
    "dropout3d": (lambda: nn.Dropout3d(0.3), lambda: torch.randn(2, 8, 2, 3, 3)),
    "alpha dropout": (lambda: nn.AlphaDropout(0.3), rows),
    "feature alpha dropout": (lambda: nn.FeatureAlphaDropout(0.3), image),
    "p=0": (lambda: nn.Dropout(0.0), rows),
    "p=1": (lambda: nn.Dropout(1.0), rows),
    "alpha p=1": (lambda: nn.AlphaDropout(1.0), rows),
    "drawing after p=1": (lambda: nn.Sequential(nn.Dropout(1.0), nn.AlphaDropout(0.3)), rows),
    "dropout bfloat16": (lambda: nn.Dropout(0.3), lambda: rows().bfloat16()),
    "attention bfloat16": (lambda: Calls(attention), lambda: heads().bfloat16()),
    "F.dropout": (lambda: Calls(lambda m, x: F.dropout(x, 0.3)), rows),
    "F.dropout2d": (lambda: Calls(lambda m, x: F.dropout2d(x, 0.3)), image),
    "F.alpha_dropout": (lambda: Calls(lambda m, x: F.alpha_dropout(x, 0.3, True)), rows),
    "torch.dropout": (lambda: Calls(lambda m, x: torch.dropout(x, 0.3, True)), rows),
    "torch.dropout p=1": (lambda: Calls(lambda m, x: torch.dropout(x, 1.0, True)), rows),
    "native_dropout": (lambda: Calls(lambda m, x: torch.native_dropout(x, 0.3, True)[0]), rows),
    "scripted": (lambda: Calls(lambda m, x: scripted_dropout(x)), rows),
    "vmap": (lambda: Calls(lambda m, x: torch.vmap(lambda y: F.dropout(y, 0.3), randomness="different")(x)), rows),
    "attention": (lambda: Calls(attention), heads),
    "made in forward": (lambda: Calls(lambda m, x: nn.Dropout(0.3)(x)), rows),
    "bernoulli": (lambda: Calls(lambda m, x: x * torch.empty_like(x).bernoulli_(0.7)), rows),
    "multihead": (
        lambda: Calls(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(8, 2, dropout=0.3)),
        sequence,
    ),
    "multihead without weights": (
        lambda: Calls(lambda m, x: m.a(x, x, x, need_weights=False)[0], a=nn.MultiheadAttention(8, 2, dropout=0.3)),
        sequence,
    ),
    "lstm": (lambda: Calls(lambda m, x: m.r(x)[0], r=nn.LSTM(8, 8, 2, dropout=0.3)), sequence),
    "gru": (lambda: Calls(lambda m, x: m.r(x)[0], r=nn.GRU(8, 8, 3, dropout=0.3)), sequence),
    "rnn": (lambda: Calls(lambda m, x: m.r(x)[0], r=nn.RNN(8, 8, 2, dropout=0.3, bidirectional=True)), sequence),
}

OTHERS: dict[str, Case] = {
    "batch norm": (lambda: nn.BatchNorm2d(8), image),
    "batch norm channels last": (lambda: nn.BatchNorm2d(8), channels_last),
    "batch norm 1d": (lambda: nn.BatchNorm1d(8), rows),
    "batch norm 3d": (lambda: nn.BatchNorm3d(8), lambda: torch.randn(2, 8, 2, 3, 3)),
    "cumulative": (lambda: nn.BatchNorm2d(8, momentum=None), image),
    "untracked": (lambda: nn.BatchNorm2d(8, track_running_stats=False), image),
    "instance norm": (lambda: nn.InstanceNorm2d(8, track_running_stats=True, affine=True), image),
    "instance norm unbatched": (lambda: nn.InstanceNorm1d(5, track_running_stats=True), rows),
    "instance norm untracked": (lambda: nn.InstanceNorm2d(8), image),
    "layer norm": (lambda: nn.LayerNorm(8), rows),
    "group norm": (lambda: nn.GroupNorm(2, 8), image),
    "rrelu": (lambda: nn.RReLU(), rows),
    "in-place relu": (lambda: nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)), image),
    "in-place relu first": (lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 2)), rows),
    "identity": (lambda: nn.Identity(), rows),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), sequence),
    "encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        sequence,
    ),
    "decoder layer": (
        lambda: Calls(lambda m, x: m.d(x, x), d=nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)),
        sequence,
    ),
    "transformer": (
        lambda: Calls(lambda m, x: m.t(x, x), t=nn.Transformer(8, 2, 1, 1, 16, batch_first=True)),
        sequence,
    ),
    "old spectral norm": (lambda: old_spectral_norm(nn.Linear(8, 4)), rows),
    "spectral norm": (lambda: parametrizations.spectral_norm(nn.Linear(8, 4)), rows),
    "parametrized weight norm": (lambda: parametrizations.weight_norm(nn.Linear(8, 4)), rows),
    "embedding max_norm": (lambda: nn.Embedding(10, 8, max_norm=0.1), lambda: torch.arange(6)),
    "fake quantize": (lambda: FakeQuantize(), rows),
    "fractional max pool": (lambda: nn.FractionalMaxPool2d(2, output_size=3), image),
    "gumbel": (lambda: Calls(lambda m, x: F.gumbel_softmax(x)), rows),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.Dropout(0.5)), rows),
    "old weight norm": (lambda: weight_norm(nn.Linear(8, 4)), rows),
    "shared": (lambda: nn.Sequential(*[nn.Dropout(0.2)] * 2), rows),
}

ALL = DROPOUT | OTHERS
