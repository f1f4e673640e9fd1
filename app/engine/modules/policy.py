"""Which statistics a normalisation layer uses, whether it moves the running ones, and where they would go.

Computed from the actual state of the layer, as ``torch.nn.modules.batchnorm`` and ``instancenorm`` of torch 2.13 do,
not from the arguments it was built with: ``track_running_stats`` may be toggled and buffers be taken away later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import is_lazy

from modelight.engine.modules import code, flag
from modelight.protocol import Clause

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Policy:
    """What a normalisation layer does with statistics in one mode."""

    uses: Literal["batch", "running", "instance"]
    updates: bool
    """Whether a forward writes the running statistics."""
    momentum: float | None
    """Weight of the newest batch; None: cumulative average 1/n."""
    counts: bool = False
    """Whether ``num_batches_tracked`` counts the forward."""
    counts_only: bool = False
    """It counts, but there are no running statistics to update."""
    still: bool = False
    """The running statistics are written with weight 0: they never move."""
    fails: str = ""
    """Name of the buffer without which every forward raises."""
    fixed: bool = False
    """It never asks for the mode: the running statistics are used as they are in train, too."""
    lazy: bool = False
    """The statistics have no shape before the first forward."""


def policy(module: nn.Module, training: bool | None = None) -> Policy | None:
    """The layer's policy in its present mode, or in ``training``. None: no normalisation layer whose rule is known."""
    mode = bool(flag.read(module)) if training is None else training
    if code.overrides_flag(module):
        return None
    if isinstance(module, _BatchNorm) and follows_its_base(type(module), _BatchNorm):
        return _batch_norm(module, mode)
    if isinstance(module, _InstanceNorm) and follows_its_base(type(module), _InstanceNorm):
        return _instance_norm(module, mode)
    return Policy("running", False, None, fixed=True) if is_frozen_norm(module) else None


def follows_its_base(kind: type, base: type) -> bool:
    """Whether a subclass still acts by its flag: it keeps torch's forward, calls it, or reads the flag itself."""
    forward = next(owner for owner in kind.__mro__ if "forward" in owner.__dict__)
    if issubclass(base, forward) or forward.__module__.startswith("torch.nn."):
        return True
    return code.calls_super(forward) or bool(code.class_reads(kind))


def buffer(module: nn.Module, name: str) -> torch.Tensor | None:
    """A module's own buffer, None where it has none. (The dict of a scripted module has no ``get``.)"""
    return dict(module._buffers.items()).get(name)


def counted(tracked: torch.Tensor | None) -> int | None:
    """What a counter of updates says; None where it says no number: it was cast and became NaN, or is no lone value."""
    if tracked is None or is_lazy(tracked) or tracked.is_meta or tracked.numel() != 1:
        return None
    number = tracked.item()
    return int(number) if isinstance(number, (int, float)) and math.isfinite(number) else None


def is_frozen_norm(module: nn.Module) -> bool:
    """Whether it normalises with fixed statistics, like torchvision's and DETR's FrozenBatchNorm2d: it holds running
    statistics, and its code never asks for the mode, moves none of them and never uses the batch's."""
    if isinstance(module, torch.jit.ScriptModule):
        return False
    if buffer(module, "running_mean") is None or buffer(module, "running_var") is None:
        return False
    base = next((base for base in (_BatchNorm, _InstanceNorm) if isinstance(module, base)), None)
    kind = type(module)
    if code.class_reads(kind) or not code.keeps_statistics(kind):
        return False
    return base is None or not follows_its_base(kind, base)


def _batch_norm(module: _BatchNorm, training: bool) -> Policy:
    mean, var, tracked = module.running_mean, module.running_var, module.num_batches_tracked
    absent = mean is None and var is None
    # In training without tracking, forward passes neither buffer on, so a missing one does no harm.
    fails = "" if absent or (training and not module.track_running_stats) else _missing(module)
    tracks = training and module.track_running_stats
    counts = tracks and tracked is not None
    updates = tracks and not absent and not fails
    # Without a counter the cumulative average's weight stays 0.
    still = updates and (module.momentum == 0 or (module.momentum is None and not counts))
    return Policy(
        uses="batch" if training or absent else "running",
        updates=updates,
        momentum=module.momentum,
        counts=counts,
        counts_only=counts and not updates and not fails,
        still=still,
        fails=fails,
        lazy=mean is not None and is_lazy(mean),
    )


def _instance_norm(module: _InstanceNorm, training: bool) -> Policy:
    own = training or not module.track_running_stats
    absent = module.running_mean is None and module.running_var is None
    mean = module.running_mean
    fails = "running_mean" if absent and not own else "" if absent else _missing(module)
    # forward hands its buffers on whenever it has them: with tracking switched off later they move in eval, too.
    updates = own and not absent and not fails
    momentum = module.momentum if module.momentum is not None else 0.0
    still = updates and momentum == 0
    lazy = mean is not None and is_lazy(mean)
    return Policy("instance" if own else "running", updates, momentum, still=still, fails=fails, lazy=lazy)


def _missing(module: nn.Module) -> str:
    return next((name for name in ("running_mean", "running_var") if getattr(module, name) is None), "")


# --------------------------------------------------------------------------------------------------------- the preview


def preview(
    module: nn.Module, batch_mean: Floats, batch_var: Floats, counts: int | Floats, passes: int
) -> tuple[Floats, Floats]:
    """Running mean and variance after ``passes`` further passes over these batches in train mode, without a forward.

    ``batch_mean`` and ``batch_var`` (biased, as the layer divides by it) are forwards × channels, ``counts`` the values
    per channel of each forward. Each forward does ``r ← (1 − m)·r + m·b`` with the unbiased variance ``b·n / (n − 1)``
    and m the momentum, or 1/num_batches_tracked where momentum is None (torch.nn.BatchNorm). For instance norm, ``b``
    is the mean over the instances. Both results are float64, one value per channel.

    Raises:
        ValueError: the layer has no running statistics, or a forward has one value per channel, which raises in train.
    """
    rule = policy(module, training=True)
    mean, var = buffer(module, "running_mean"), buffer(module, "running_var")
    if rule is None or mean is None or var is None or rule.lazy:
        raise ValueError(f"{type(module).__name__} has no running statistics to preview.")
    values = np.broadcast_to(np.asarray(counts, dtype=np.float64), (len(batch_mean),))
    if np.any(values < 2):
        raise ValueError("One value per channel has no variance: the layer raises in train.")
    running_mean = mean.detach().to("cpu", torch.float64, copy=True).numpy()
    running_var = var.detach().to("cpu", torch.float64, copy=True).numpy()
    if not rule.updates or rule.still:
        return running_mean, running_var
    unbiased = np.asarray(batch_var, dtype=np.float64) * (values / (values - 1))[:, None]
    tracked = buffer(module, "num_batches_tracked")
    count = counted(tracked) or 0
    for _ in range(passes):
        for new_mean, new_var in zip(np.asarray(batch_mean, dtype=np.float64), unbiased, strict=True):
            count += 1
            weight = 1 / count if rule.momentum is None else rule.momentum
            running_mean = (1 - weight) * running_mean + weight * new_mean
            running_var = (1 - weight) * running_var + weight * new_var
    return running_mean, running_var


# ------------------------------------------------------------------------------------------------------------- marks


def marks(module: nn.Module) -> list[Clause]:
    """What is wrong with the module's own tensors: ``has-nan`` and ``has-infinite`` {tensor, count}, ``zero-variance``
    and ``negative-variance`` {count, channels}, ``untouched-statistics`` {channels}."""
    found = []
    buffers = dict(module._buffers.items())  # scripted modules have something like a dictionary
    for name, tensor in (*module._parameters.items(), *buffers.items()):
        if tensor is not None and not is_lazy(tensor) and tensor.is_floating_point() and tensor.numel():
            found += _not_finite(name, tensor.detach())
    return found + _statistics_marks(module, buffers)


def _not_finite(name: str, tensor: torch.Tensor) -> list[Clause]:
    try:
        # The sum of squares would overflow; minimum and maximum carry NaN through and cost one pass.
        low, high = (float(value) for value in torch.aminmax(tensor))
    except (RuntimeError, NotImplementedError):  # meta, quantized and sparse tensors, some float8 formats
        return []
    if np.isfinite(low) and np.isfinite(high):
        return []
    counts = (("has-nan", int(tensor.isnan().sum())), ("has-infinite", int(tensor.isinf().sum())))
    return [Clause(id_, {"tensor": name, "count": count}) for id_, count in counts if count]


def _statistics_marks(module: nn.Module, buffers: Mapping[str, torch.Tensor | None]) -> list[Clause]:
    mean, var = buffers.get("running_mean"), buffers.get("running_var")
    if mean is None or var is None or is_lazy(var) or var.device.type == "meta":
        return []
    channels = var.numel()
    zero, negative = int((var == 0).sum()), int((var < 0).sum())
    found = [
        Clause(id_, {"count": count, "channels": channels})
        for id_, count in (("zero-variance", zero), ("negative-variance", negative))
        if count
    ]
    if _untouched(module, mean, var, buffers.get("num_batches_tracked")):
        found.append(Clause("untouched-statistics", {"channels": channels}))
    return found


def _untouched(module: nn.Module, mean: torch.Tensor, var: torch.Tensor, tracked: torch.Tensor | None) -> bool:
    """Whether the statistics are what a new layer has. The counter of instance norm never moves and says nothing."""
    updated = not isinstance(module, _InstanceNorm) and (counted(tracked) or 0) > 0
    return not updated and bool((mean == 0).all()) and bool((var == 1).all())
