"""One bare forward and backward: which parameters receive a gradient, and how large; and what gradients cost in time.

``.grad`` is taken off before and put back by the guard, so that gradients which a user had are neither read nor moved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree

from modelight.engine.batches import Batch
from modelight.engine.errors import Cancelled, ShouldStop
from modelight.engine.experiments import measure
from modelight.engine.experiments.answers import first_output, rows_of
from modelight.engine.experiments.bare import untouched, wait
from modelight.engine.observing import rng
from modelight.engine.observing.forward import grad_mode
from modelight.engine.observing.guard import leave_no_trace
from modelight.engine.observing.outputs import fields
from modelight.protocol import Clause, InputInfo, Measure, Ratio, plain

PAIRS, LEAST_PAIRS = 15, 3
BUDGET = 1.5
"""Seconds that timing may take, once it has its least pairs."""
_LONGEST = 300
Scalar = Callable[[Any], torch.Tensor]
"""From what the model returned to what backward starts from."""


@dataclass(frozen=True)
class Gradient:
    """Of one parameter."""

    square: float
    """Sum of squares; NaN or infinite where the gradient is."""
    zero: bool


@dataclass
class Backward:
    """What backward reached."""

    gradients: dict[int, Gradient] = field(default_factory=dict)
    """By id of the parameter."""
    scalar: Scalar | None = None
    what: Clause | None = None
    value: float | None = None
    problem: Clause | None = None
    moved: frozenset[str] = frozenset()
    """Buffers that the forward would have moved."""
    watched: bool = False


def own_leaves(batch: Batch) -> Batch:
    """The batch with tensors of its own graph: backward must not reach the input's ``.grad`` through a slice of it."""

    def own(value: Any) -> Any:
        return value.detach().requires_grad_(value.requires_grad) if isinstance(value, torch.Tensor) else value

    args, kwargs = _pytree.tree_map(own, (batch.args, batch.kwargs))
    return Batch(args, kwargs, batch.start, batch.stop)


def backward(
    model: nn.Module, batch: Batch, seed: int, info: InputInfo | None = None, classes: Sequence[str] = ()
) -> Backward:
    """Run ``batch`` with gradients on, then backward from one scalar; everything is put back.

    Raises:
        Exception: whatever the model raises in forward.
    """
    found = Backward()
    with leave_no_trace(model) as guard, untouched(batch), grad_mode("enabled"):
        _clear(model)
        found.watched = guard.memory.waits_for_writes
        rng.seed(seed)
        output = model(*batch.args, **batch.kwargs)
        _differentiate(model, output, batch, found, info, classes)
        del output
    found.moved = frozenset(entry.name for entry in guard.ledger().entries if entry.kind == "buffer")
    return found


def _differentiate(
    model: nn.Module, output: Any, batch: Batch, found: Backward, info: InputInfo | None, classes: Sequence[str]
) -> None:
    if not any(parameter.requires_grad for parameter in model.parameters()):
        found.problem = Clause("nothing-trainable")
        return
    if not any(tensor.requires_grad for _, tensor in fields(output)):
        found.problem = Clause("no-output-requires-grad")
        return
    scalar, what = choose_scalar(output, batch, info, classes)
    try:
        value = scalar(output)
        value.backward()  # type: ignore[no-untyped-call]
    except (Exception, SystemExit) as error:
        text = plain(f"{type(error).__name__}: {error}")
        found.problem = Clause("backward-raises", {"error": text if len(text) <= _LONGEST else text[:_LONGEST] + "…"})
        return
    found.scalar, found.what, found.value = scalar, what, float(value.detach())
    found.gradients = {id(each): _read(each.grad) for each in model.parameters() if each.grad is not None}


def _read(grad: torch.Tensor) -> Gradient:
    with torch.no_grad():
        values = grad.coalesce().values() if grad.is_sparse else grad
        values = torch.view_as_real(values) if values.is_complex() else values
        square = float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2
        return Gradient(square, not bool(values.any()))


def _clear(model: nn.Module) -> None:
    """Take ``.grad`` off all parameters; the guard puts back what was there."""
    for parameter in model.parameters():
        parameter.grad = None


# --------------------------------------------------------------------------------------------------------- the scalar


def choose_scalar(output: Any, batch: Batch, info: InputInfo | None, classes: Sequence[str]) -> tuple[Scalar, Clause]:
    """The loss of the labels where there are labels and class scores; else the sum of all outputs with random signs.

    A plain sum would not do: it is constant behind a softmax, and its gradient vanishes behind a batch norm.
    """
    name, tensor = first_output(list(fields(output)))
    labels = list(info.labels[batch.start : batch.stop]) if info is not None else []
    known = [label for label in labels if label is not None]
    if info is not None and tensor.requires_grad and known and len(known) == len(labels) == batch.stop - batch.start:
        values, own = rows_of(tensor.detach().cpu(), len(labels))
        shape = tuple(tensor.shape)
        reading = measure.choose(
            values.astype(np.float64), name=name, shape=shape, per_sample=own, info=info, classes=classes
        )
        if reading != "raw" and max(known) < max(2, values.shape[1]) and min(known) >= 0:
            clause = Clause("scalar-cross-entropy", {"samples": len(known), "field": name})
            return lambda out: _loss(first_output(list(fields(out)))[1], known, reading), clause
    count = sum(each.requires_grad for _, each in fields(output))
    return _signed_sum, Clause("scalar-signs", {"tensors": count})


def _loss(tensor: torch.Tensor, labels: list[int], reading: Measure) -> torch.Tensor:
    """Mean cross-entropy of the labels."""
    scores = tensor.reshape(len(labels), -1).float()
    target = torch.tensor(labels, device=tensor.device)
    if scores.shape[1] == 1:
        single = scores[:, 0]
        if reading == "sigmoid":
            return F.binary_cross_entropy_with_logits(single, target.float())
        return F.binary_cross_entropy(single.clamp(0, 1), target.float())
    if reading == "probabilities":
        return F.nll_loss(scores.clamp_min(torch.finfo(torch.float32).tiny).log(), target)
    return F.cross_entropy(scores, target)  # log-probabilities are their own log-softmax


def _signed_sum(output: Any) -> torch.Tensor:
    parts, random = [], torch.Generator().manual_seed(0)
    for _, tensor in fields(output):
        if tensor.requires_grad:
            values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
            signs = torch.randint(2, values.shape, generator=random).mul_(2).sub_(1)
            parts.append((values.float() * signs.to(values.device)).sum())
    return torch.stack([part.to(parts[0].device) for part in parts]).sum()


# ------------------------------------------------------------------------------------------------------------ timing


@dataclass(frozen=True)
class Cost:
    """What gradients cost in time."""

    forward: Ratio
    backward: Ratio | None
    milliseconds: float
    """Median of the forwards under no_grad."""


def cost(model: nn.Module, batch: Batch, seed: int, scalar: Scalar | None, should_stop: ShouldStop) -> Cost:
    """Time pairs of forwards, without and with gradients, turn and turn about, so that a busy machine hits both alike.

    Raises:
        Cancelled: ``should_stop`` said so, asked before each pair.
    """
    pairs: list[tuple[float, float, float]] = []
    with leave_no_trace(model), untouched(batch):
        _clear(model)
        began = time.perf_counter()
        for number in range(PAIRS + 1):
            if should_stop():
                raise Cancelled
            pairs.append(_pair(model, batch, seed, scalar, on_first=number % 2 == 0))
            if number >= LEAST_PAIRS and time.perf_counter() - began > BUDGET:
                break
    plain_, on, back = np.array(pairs[1:]).T  # the first pair warms up
    return Cost(
        _ratio(on / plain_),
        _ratio((on + back) / plain_) if scalar is not None else None,
        float(np.median(plain_)) * 1e3,
    )


def _pair(
    model: nn.Module, batch: Batch, seed: int, scalar: Scalar | None, *, on_first: bool
) -> tuple[float, float, float]:
    """Seconds of a forward under no_grad, of one with gradients, and of that one's backward."""
    if on_first:
        on, back = _with_gradients(model, batch, seed, scalar)
        return _forward(model, batch, seed), on, back
    plain_ = _forward(model, batch, seed)
    return plain_, *_with_gradients(model, batch, seed, scalar)


def _forward(model: nn.Module, batch: Batch, seed: int) -> float:
    rng.seed(seed)
    with grad_mode("no_grad"):
        wait(model)
        began = time.perf_counter()
        model(*batch.args, **batch.kwargs)
        wait(model)
        return time.perf_counter() - began


def _with_gradients(model: nn.Module, batch: Batch, seed: int, scalar: Scalar | None) -> tuple[float, float]:
    rng.seed(seed)
    with grad_mode("enabled"):
        wait(model)
        began = time.perf_counter()
        output = model(*batch.args, **batch.kwargs)
        wait(model)
        forward = time.perf_counter()
        if scalar is not None:
            scalar(output).backward()  # type: ignore[no-untyped-call]
            wait(model)
        ended = time.perf_counter()
    _clear(model)
    return forward - began, ended - forward


def _ratio(values: np.ndarray[Any, np.dtype[np.float64]]) -> Ratio:
    low, median, high = np.percentile(values, (25, 50, 75))
    return Ratio(float(median), float(low), float(high), len(values))
