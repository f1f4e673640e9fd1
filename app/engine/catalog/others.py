"""Recurrent, attention, random-slope, spectral and quantised layers."""

from __future__ import annotations

import sys

from torch import nn
from torch.nn.modules.rnn import RNNBase
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from modelight.engine.catalog.behaviour import Effect, Entry, number, say
from modelight.protocol import Clause

FUSED = Clause("fused-path")


def _rrelu(module: nn.Module, training: bool) -> Effect | None:
    lower, upper = number(module, "lower"), number(module, "upper")
    if lower is None or upper is None:
        return None
    if training and lower != upper:
        return Effect([say("random-slope", lower=lower, upper=upper)])
    return Effect([say("fixed-slope", slope=(lower + upper) / 2)])


def _rnn(module: nn.Module, training: bool) -> Effect | None:
    p, layers = number(module, "dropout"), number(module, "num_layers")
    if p is None or layers is None:
        return None
    if p == 0 or layers < 2:
        return Effect([Clause("no-effect")])
    return Effect([say("drops-between-layers", p=p, layers=int(layers)) if training else Clause("passes-through")])


def _attention(module: nn.Module, training: bool) -> Effect | None:
    p = number(module, "dropout")
    if p is None:
        return None
    aside = () if training else (FUSED,)
    if p == 0:
        return Effect([Clause("drops-nothing")], aside=aside)
    return Effect([say("drops-attention", p=p) if training else Clause("passes-through")], aside=aside)


def _power_iteration(module: nn.Module, training: bool) -> Effect | None:
    hooks = [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, SpectralNorm)]
    if not hooks:
        return None
    names = tuple(f"{hook.name}_{vector}" for hook in hooks for vector in "uv") if training else ()
    return Effect([Clause("power-iteration" if training else "power-iteration-rests")], names)


def _spectral_parametrization(module: nn.Module, training: bool) -> Effect | None:
    if not isinstance(module, _SpectralNorm):
        return None
    # One-dimensional weights are only divided by their norm; there are no vectors.
    names = tuple(name for name in ("_u", "_v") if name in module._buffers)
    if not names:
        return Effect([Clause("no-effect")])
    return Effect([Clause("power-iteration" if training else "power-iteration-rests")], names if training else ())


def _fake_quantize(module: nn.Module, training: bool) -> Effect | None:
    # torch.ao.quantization: what it does hangs on two buffers of its own, in both modes.
    observes = bool(getattr(module, "observer_enabled", (0,))[0])
    quantizes = bool(getattr(module, "fake_quant_enabled", (0,))[0])
    observer = getattr(module, "activation_post_process", None)
    inner = tuple(f"activation_post_process.{name}" for name in _observed(observer)) if observer is not None else ()
    own = tuple(name for name in ("scale", "zero_point") if name in module._buffers)
    words = "observes-quantizes" if observes and quantizes else "observes" if observes else "quantizes"
    return Effect([Clause(words if observes or quantizes else "no-effect")], own + inner if observes else ())


def _observer(module: nn.Module, training: bool) -> Effect | None:
    names = _observed(module)
    return Effect([Clause("observes")], names) if names else None


def _observed(observer: nn.Module) -> tuple[str, ...]:
    """The buffers an observer writes; the smallest scale it allows is one that it only reads."""
    return tuple(name for name in observer._buffers if name != "eps")


def _is_a(kind: type, module: str, name: str) -> bool:
    # A part of torch that is slow to import: while nobody has, no class can derive from it.
    base = getattr(sys.modules.get(module), name, None)
    return base is not None and issubclass(kind, base)


ENTRIES = (
    Entry(
        "rrelu",
        "RReLU",
        lambda kind: issubclass(kind, nn.RReLU),
        _rrelu,
        "A random slope per value in train, the mean of the bounds in eval.",
    ),
    Entry(
        "rnn_dropout",
        "RNN, LSTM, GRU",
        lambda kind: issubclass(kind, RNNBase),
        _rnn,
        "With dropout > 0 and more than one layer: drops between the layers in train.",
    ),
    Entry(
        "attention",
        "MultiheadAttention",
        lambda kind: issubclass(kind, nn.MultiheadAttention),
        _attention,
        "Drops attention weights in train; in eval without gradients a fused path, which differs by rounding.",
    ),
    Entry(
        "spectral_norm",
        "any layer with torch.nn.utils.spectral_norm",
        lambda kind: True,
        _power_iteration,
        "A power iteration moves its vectors at each forward in train; in eval they rest.",
        "weight_u, weight_v",
    ),
    Entry(
        "spectral_norm",
        "the parametrization torch.nn.utils.parametrizations.spectral_norm",
        lambda kind: issubclass(kind, _SpectralNorm),
        _spectral_parametrization,
        "A power iteration moves its vectors in train each time the weight is read, even outside a forward; in eval "
        "they rest.",
        "_u, _v",
    ),
    Entry(
        "fake_quantize",
        "FakeQuantize",
        lambda kind: _is_a(kind, "torch.ao.quantization.fake_quantize", "FakeQuantizeBase"),
        _fake_quantize,
        "Observes and rewrites its scale in both modes: two buffers of its own switch it, not the flag.",
        "scale, zero_point, the observer's buffers",
    ),
    Entry(
        "observer",
        "observers",
        lambda kind: _is_a(kind, "torch.ao.quantization.observer", "ObserverBase"),
        _observer,
        "Records what passes in both modes.",
        "its buffers",
    ),
)
