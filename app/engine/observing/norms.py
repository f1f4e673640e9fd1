"""Running statistics beside the statistics that the batches of a run really had.

In training ``native_batch_norm`` hands out the batch's mean and inverse deviation, exact and free; elsewhere they are
computed from the layer's whole input, never from a sample: 16 k flat samples leave some channels with eight values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm

from modelight.engine.modules import flag, policy
from modelight.engine.modules.rows import Rows
from modelight.engine.observing.arrays import doubles
from modelight.engine.observing.probes import Capture
from modelight.engine.observing.summary import is_readable
from modelight.protocol import Array, Clause, NormCapture

Floats = np.ndarray[Any, np.dtype[np.float64]]
MAX_FORWARDS = 64
PREVIEW_PASSES = 10


@dataclass
class _Batches:
    """What one layer's batches had: one entry per forward of the layer."""

    means: list[Floats] = field(default_factory=list)
    variances: list[Floats] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    unseen: Clause | None = None
    pending: tuple[torch.Tensor, int] | None = None


@dataclass(frozen=True)
class _Before:
    """Running statistics before the run."""

    mean: Floats | None
    variance: Floats | None
    tracked: int | None
    rule: policy.Policy
    training: bool | None


class NormRecorder:
    """Collects statistics of one run's batches.

    Args:
        exact: compute them also where no operator hands them out (eval, inference mode), which costs a pass over each
            input, and preview further passes.
        detail: the row of which they are computed whatever ``exact`` says.
    """

    def __init__(self, rows: Rows, *, exact: bool = True, detail: int = -1) -> None:
        self._rows = rows
        self._all, self._detail = exact, detail
        self._before: dict[int, _Before] = {}
        self._batches: dict[int, _Batches] = {}
        for index, module in enumerate(rows.modules):
            rule = policy.policy(module) if isinstance(module, _NormBase) or "running_var" in module._buffers else None
            if rule is not None and rows.index_of(module) == index:
                self._before[index] = _remember(module, rule)
                self._batches[index] = _Batches()

    def _exact(self, row: int) -> bool:
        return self._all or row == self._detail

    @property
    def rows(self) -> set[int]:
        """The rows of which it wants to hear."""
        return set(self._batches)

    def start(self) -> None:
        """Forget what was collected: another repeat begins."""
        for row in self._batches:
            self._batches[row] = _Batches()

    # ------------------------------------------------------------------------------------------------ while it runs

    def entered(self, row: int, args: tuple[Any, ...]) -> None:
        """The module of a row is about to run."""
        batches = self._batches.get(row)
        if batches is None or len(batches.means) >= MAX_FORWARDS:
            return
        values = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if values is None or not is_readable(values) or not values.is_floating_point() or values.numel() == 0:
            batches.unseen = Clause("norm-input-unreadable")
            return
        module = self._rows.modules[row]
        self._follow_mode(row, module)
        batches.pending = values, len(batches.means)
        early = self._exact(row) and self._writes_over(module) and not _may_be_given_another(module)
        if early and self._before[row].rule.uses != "batch":
            self._compute(module, batches)

    def _follow_mode(self, row: int, module: nn.Module) -> None:
        """A forward may bring its norms to another mode: what is told is what the layer then did."""
        training = flag.read(module)
        if training != self._before[row].training:
            rule = policy.policy(module) or self._before[row].rule
            self._before[row] = replace(self._before[row], rule=rule, training=training)

    @staticmethod
    def _writes_over(module: nn.Module) -> bool:
        """Whether it is others' code, which may work in place: its input has to be read before it runs."""
        return not getattr(type(module).forward, "__module__", "").startswith("torch.nn.")

    def handed_out(
        self, module: nn.Module | None, values: torch.Tensor, mean: torch.Tensor, inverse: torch.Tensor
    ) -> None:
        """``native_batch_norm`` returned the mean of ``values`` and 1 / sqrt(variance + eps).

        In half precision they are rounded: where exact ones are asked for they are computed instead.
        """
        row = -1 if module is None else self._rows.index_of(module)
        batches = self._batches.get(row)
        if batches is None or batches.pending is None or isinstance(module, _InstanceNorm):
            return
        channels = mean.numel()
        if channels == 0 or values.numel() % channels or (self._exact(row) and mean.element_size() < 4):
            return
        eps = float(getattr(module, "eps", 0.0))
        deviation = 1.0 / doubles(inverse)
        variance = np.maximum(deviation * deviation - eps, 0.0)
        self._add(batches, doubles(mean), variance, values.numel() // channels)

    def left(self, row: int) -> None:
        """The module of a row has run."""
        batches = self._batches.get(row)
        if batches is None or batches.pending is None:
            return
        module = self._rows.modules[row]
        _, before = batches.pending
        if len(batches.means) == before:
            if _may_be_given_another(module):
                batches.unseen = Clause("norm-input-hooked")
            elif self._exact(row):
                self._compute(module, batches)
            else:
                batches.unseen = Clause("norm-not-asked")
        batches.pending = None

    def _compute(self, module: nn.Module, batches: _Batches) -> None:
        if batches.pending is None:
            return
        values, _ = batches.pending
        with torch._C._DisableTorchDispatch(), torch.no_grad():
            mean, variance, count = batch_statistics(values.detach(), _has_batch(module, values), _is_instance(module))
        self._add(batches, mean, variance, count)

    @staticmethod
    def _add(batches: _Batches, mean: Floats, variance: Floats, count: int) -> None:
        batches.means.append(mean)
        batches.variances.append(variance)
        batches.counts.append(count)

    # ------------------------------------------------------------------------------------------------------- result

    def finish(
        self, checkpoint: Mapping[str, torch.Tensor] | None, captures: Mapping[int, Capture] | None = None
    ) -> list[NormCapture]:
        """One capture per normalisation layer, in the order of rows. ``captures`` of the same run say why one was not
        seen."""
        for row, batches in self._batches.items():
            capture = (captures or {}).get(row)
            if batches.unseen is None and capture is not None:
                batches.unseen = capture.unseen
        return [self._capture(row, checkpoint or {}) for row in self._before]

    def _capture(self, row: int, checkpoint: Mapping[str, torch.Tensor]) -> NormCapture:
        module, path, before, batches = (
            self._rows.modules[row],
            self._rows.paths[row],
            self._before[row],
            self._batches[row],
        )
        dot = f"{path}." if path else ""
        mean, variance = _stack(batches.means), _stack(batches.variances)
        drift = largest = median = None
        if mean is not None and before.mean is not None and before.variance is not None:
            drift = drift_of(mean.mean(0), before.mean, before.variance)
            if variance is not None and self._exact(row):
                largest, median = _preview(module, before, mean, variance, np.array(batches.counts, np.float64))
        return NormCapture(
            row=row,
            path=path,
            type=type(module).__name__,
            channels=_channels(module, before, mean),
            uses=before.rule.uses,
            updates=before.rule.updates,
            momentum=before.rule.momentum,
            eps=float(getattr(module, "eps", 0.0)),
            tracked=before.tracked,
            running_mean=_array(before.mean),
            running_var=_array(before.variance),
            checkpoint_mean=_array(_from(checkpoint, f"{dot}running_mean")),
            checkpoint_var=_array(_from(checkpoint, f"{dot}running_var")),
            checkpoint_tracked=policy.counted(checkpoint.get(f"{dot}num_batches_tracked")),
            batch_mean=_array(mean),
            batch_var=_array(variance),
            batch_count=batches.counts[-1] if batches.counts else 0,
            drift=_array(drift),
            preview_largest=_array(largest),
            preview_median=_array(median),
            unseen=None if mean is not None else batches.unseen or Clause("not-called"),
        )


def _remember(module: nn.Module, rule: policy.Policy) -> _Before:
    buffers = module._buffers
    mean, variance = buffers.get("running_mean"), buffers.get("running_var")
    known = mean is not None and variance is not None and not rule.lazy
    return _Before(
        doubles(mean) if known and mean is not None else None,
        doubles(variance) if known and variance is not None else None,
        policy.counted(buffers.get("num_batches_tracked")),
        rule,
        flag.read(module),
    )


def batch_statistics(values: torch.Tensor, has_batch: bool, instance: bool) -> tuple[Floats, Floats, int]:
    """Mean and biased variance per channel, and the number of values each was computed from.

    Args:
        values: samples × channels × …, or channels × … where ``has_batch`` is False.
        instance: compute per sample and channel, then average over the samples, as InstanceNorm's update does.
    """
    if not has_batch:
        values = values.unsqueeze(0)
    exact = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
    if exact.numel() <= 1 << 16:
        exact = exact.double()
    rows = exact.reshape(exact.shape[0], exact.shape[1], -1)
    over = (2,) if instance else (0, 2)
    mean = rows.mean(over, keepdim=True)
    variance = (rows - mean).square_().mean(over)
    count = rows.shape[2] if instance else rows.shape[0] * rows.shape[2]
    mean = mean.squeeze(2) if instance else mean[0, :, 0]
    if instance:
        mean, variance = mean.mean(0), variance.mean(0)
    return doubles(mean), doubles(variance), count


def drift_of(batch_mean: Floats, running_mean: Floats, running_var: Floats) -> Floats:
    """|batch mean − running mean| / sqrt(running variance) per channel; NaN where the variance is not positive."""
    deviation = np.sqrt(np.where(running_var > 0, running_var, np.nan))
    return np.asarray(np.abs(batch_mean - running_mean) / deviation)


def _preview(
    module: nn.Module, before: _Before, mean: Floats, variance: Floats, counts: Floats
) -> tuple[Floats | None, Floats | None]:
    """Largest and median drift after 0 to PREVIEW_PASSES further passes over these batches in train mode.

    In closed form: a pass of F forwards is the same affine map each time, r ← (1 − m)^F · r + s; the cumulative average
    adds the sum of the batches to n · r instead (``policy.preview`` does it step by step).
    """
    rule = policy.policy(module, training=True)
    if rule is None or not rule.updates or rule.still or before.mean is None or before.variance is None:
        return None, None
    if np.any(counts < 2) or (rule.momentum is None and before.tracked is None):
        return None, None
    unbiased = variance * (counts / (counts - 1))[:, None]
    moved_mean = _after(before.mean, mean, rule.momentum, before.tracked or 0)
    moved_variance = _after(before.variance, unbiased, rule.momentum, before.tracked or 0)
    drift = drift_of(mean.mean(0), moved_mean, moved_variance)
    drift = drift[:, np.isfinite(drift[0])]
    if drift.shape[1] == 0:
        return None, None
    return drift.max(1), np.median(drift, 1)


def _after(start: Floats, batches: Floats, momentum: float | None, tracked: int) -> Floats:
    """Statistics after 0, 1, … PREVIEW_PASSES times all ``batches`` (forwards × channels): passes × channels."""
    forwards, passes = len(batches), np.arange(PREVIEW_PASSES + 1.0)[:, None]
    if momentum is None:
        counted = np.maximum(tracked + passes * forwards, 1)
        # The first update of a fresh counter has weight 1: what was there before is forgotten.
        return np.where(passes == 0, start, (tracked * start + passes * batches.sum(0)) / counted)
    once = momentum * (1 - momentum) ** np.arange(forwards - 1, -1, -1.0) @ batches
    kept = (1 - momentum) ** forwards
    repeated = passes if kept == 1 else (1 - kept**passes) / (1 - kept)
    return np.asarray(kept**passes * start + repeated * once)


def _may_be_given_another(module: nn.Module) -> bool:
    """Whether hooks of its own stand between the input that is seen and the one that the layer normalises."""
    return any(not type(hook).__module__.startswith("torch.") for hook in module._forward_pre_hooks.values())


def _is_instance(module: nn.Module) -> bool:
    return isinstance(module, _InstanceNorm)


def _has_batch(module: nn.Module, values: torch.Tensor) -> bool:
    if not isinstance(module, _InstanceNorm):
        return True
    return values.dim() != module._get_no_batch_dim()  # type: ignore[no-untyped-call, no-any-return]


def _stack(values: list[Floats]) -> Floats | None:
    return np.stack(values) if values and len({value.shape for value in values}) == 1 else None


def _array(values: Floats | None) -> Array | None:
    return None if values is None else Array.of(values)


def _from(checkpoint: Mapping[str, torch.Tensor], name: str) -> Floats | None:
    return doubles(checkpoint[name]) if name in checkpoint else None


def _channels(module: nn.Module, before: _Before, mean: Floats | None) -> int:
    for values in (before.mean, None if mean is None else mean[0]):
        if values is not None:
            return len(values)
    return int(getattr(module, "num_features", 0))
