"""Layers that drop: torch's dropout family, drop path under its several names, and dropouts of others' making."""

from __future__ import annotations

import re

from torch import nn

from modelight.engine.catalog.behaviour import Effect, Entry, number, say
from modelight.engine.modules import code
from modelight.protocol import Clause

_PATH = re.compile(r"drop_?path|stochastic_?(depth|path)|drop_?connect|path_?drop", re.IGNORECASE)
_DROP = re.compile(r"drop_?(out|block|token)|patch_?drop|(token|word)_?drop", re.IGNORECASE)
_RATES = (
    "drop_prob",
    "p",
    "drop_rate",
    "drop_path_prob",
    "drop_path",
    "dropout",
    "dropout_p",
    "dropout_prob",
    "rate",
    "prob",
)
_SCALES = re.compile("gauss", re.IGNORECASE)
"""Dropouts in name that multiply with noise around one, and set nothing to zero."""
_KEPT = ("survival_prob", "survival_rate", "keep_prob")

PASSES = Clause("passes-through")
NOTHING = Clause("drops-nothing")


def _effect(module: nn.Module, p: float | None, training: bool, clause: str, unit: str) -> Effect | None:
    if p is None:
        return None
    if p == 0:
        return Effect([NOTHING])
    if code.overrides_flag(module):
        return None
    return Effect([say(clause, p=p, unit=unit)] if training else [PASSES])


def _dropout(module: nn.Module, training: bool) -> Effect | None:
    return _effect(module, number(module, "p"), training, "drops", "element")


def _channel_dropout(module: nn.Module, training: bool) -> Effect | None:
    return _effect(module, number(module, "p"), training, "drops-channels", "channel")


def _alpha_dropout(module: nn.Module, training: bool) -> Effect | None:
    p = number(module, "p")
    channels = isinstance(module, nn.FeatureAlphaDropout)
    # At p = 1 torch multiplies by zero instead of setting to the negative saturation value.
    clause = "drops" if p is not None and p >= 1 else "alpha-drops"
    clause, unit = (f"{clause}-channels", "channel") if channels else (clause, "element")
    return _effect(module, p, training, clause, unit)


def rate(module: nn.Module) -> float | None:
    """The probability of a look-alike, from the attribute that usually holds it."""
    kept = number(module, *_KEPT)
    return number(module, *_RATES) if kept is None else 1 - kept


def _drop_path(module: nn.Module, training: bool) -> Effect | None:
    # With parameters or children of its own it is no step on a branch: DropConnect, say, drops weights.
    if module._modules or module._parameters or not _hands_on_in_eval(type(module)):
        return None
    if getattr(module, "mode", "row") == "batch":
        return _effect(module, rate(module), training, "drops-batches", "batch")
    return _effect(module, rate(module), training, "drops-samples", "sample")


def _look_alike(module: nn.Module, training: bool) -> Effect | None:
    kind = type(module)
    if module._modules or not _hands_on_in_eval(kind) or _SCALES.search(kind.__name__):
        return None
    return _effect(module, rate(module), training, "drops", "")


def _hands_on_in_eval(kind: type) -> bool:
    """Whether a class that looks like a dropout asks for its mode, and nothing says that it does more in eval."""
    return bool(code.class_reads(kind)) and not code.scales_in_eval(kind)


def _is_own(kind: type, base: type | tuple[type, ...]) -> bool:
    """A class of torch's, or a subclass that keeps its forward or reads the flag itself."""
    if not issubclass(kind, base):
        return False
    forward = next(owner for owner in kind.__mro__ if "forward" in owner.__dict__)
    return forward.__module__.startswith("torch.nn.") or code.calls_super(forward) or _hands_on_in_eval(kind)


ENTRIES = (
    Entry(
        "dropout",
        "Dropout",
        lambda kind: _is_own(kind, nn.Dropout),
        _dropout,
        "Drops each value with probability p in train, if p > 0; passes through in eval.",
    ),
    Entry(
        "dropout",
        "Dropout1d, Dropout2d, Dropout3d",
        lambda kind: _is_own(kind, (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)),
        _channel_dropout,
        "Drops whole channels with probability p in train, if p > 0; passes through in eval.",
    ),
    Entry(
        "dropout",
        "AlphaDropout, FeatureAlphaDropout",
        lambda kind: _is_own(kind, (nn.AlphaDropout, nn.FeatureAlphaDropout)),
        _alpha_dropout,
        "Sets values (or whole channels) to a negative constant in train, to zero only at p = 1; passes through in "
        "eval.",
    ),
    Entry(
        "drop_path",
        "DropPath, StochasticDepth, DropConnect and their like, by name, with a rate and a read of the flag",
        lambda kind: bool(_PATH.search(kind.__name__)),
        _drop_path,
        "Skips its branch for whole samples (or for the whole batch) with probability p in train; passes through in "
        "eval.",
    ),
    Entry(
        "dropout",
        "others' dropouts, by name, with a rate and a read of the flag",
        lambda kind: bool(_DROP.search(kind.__name__)),
        _look_alike,
        "Drops with probability p in train; passes through in eval. What it drops is seen in a run.",
    ),
)
