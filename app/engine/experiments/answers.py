"""The first output of several runs as numbers, and how they are read: as class probabilities where they are class
scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from modelight.engine.batches import Inputs
from modelight.engine.errors import EngineError
from modelight.engine.experiments.trials import Flags, Trials
from modelight.protocol import Clause, InputInfo

Floats = np.ndarray[Any, np.dtype[np.float64]]

WIDTH = 1024
"""Values per sample that are looked at; of a wider output, that many at even distances."""
_SUM_TOLERANCE = 2e-3


@dataclass(frozen=True)
class Answers:
    """The first output of several runs."""

    name: str
    values: Floats
    """runs × samples × width."""
    shape: tuple[int, ...]
    """Of one forward's output."""
    per_sample: bool
    """Whether each sample has a row of its own; else each row is a whole forward."""
    floating: bool = True
    """Whether its dtype is a floating one: truths and indices are no scores."""


def answers(trials: Trials, inputs: Inputs, *, batch: int, seed: int, runs: int, flags: Flags | None = None) -> Answers:
    """Run all samples ``runs`` times, ``batch`` per forward; run i is seeded with ``seed`` + i before each forward.

    Raises:
        EngineError: the model raised, returned no tensor, or another shape each time.
        Cancelled: the trials were stopped.
    """
    found, name, own, floating = [], "", True, True
    shape: tuple[int, ...] = ()
    for run in range(runs):
        rows = []
        for part in inputs.batches(batch):
            name, tensor = first_output(trials.forward(part, seed=seed + run, flags=flags))
            values, per_sample = rows_of(tensor, part.stop - part.start)
            own = own and per_sample
            floating = floating and tensor.is_floating_point()
            shape = shape or tuple(tensor.shape)
            rows.append(values)
        found.append(_stack(rows, np.concatenate))
    return Answers(name, _stack(found, np.stack).astype(np.float64), shape, own, floating)


def first_output(outputs: list[tuple[str, torch.Tensor]]) -> tuple[str, torch.Tensor]:
    """The output that is looked at.

    Raises:
        EngineError: there is none.
    """
    if not outputs:
        raise EngineError(
            "The model returned no tensor of real numbers.", kind="run", clause=Clause("no-tensor-returned")
        )
    return outputs[0]


def rows_of(tensor: torch.Tensor, samples: int) -> tuple[np.ndarray[Any, np.dtype[np.float32]], bool]:
    """A tensor as samples × width, at most :data:`WIDTH` wide, and whether its first dimension was the samples'."""
    per_sample = tensor.dim() > 0 and tensor.shape[0] == samples
    flat = tensor.reshape(samples if per_sample else 1, -1)
    step = max(1, -(-flat.shape[1] // WIDTH))
    values: np.ndarray[Any, np.dtype[np.float32]] = flat[:, ::step].to(torch.float32).numpy()
    return values, per_sample


def _stack(parts: list[np.ndarray[Any, Any]], join: Any) -> np.ndarray[Any, Any]:
    if len({part.shape[1:] for part in parts}) > 1:
        raise EngineError("The output has another shape each time.", kind="run", clause=Clause("shape-varies"))
    joined: np.ndarray[Any, Any] = join(parts)
    return joined


def as_probabilities(found: Answers, info: InputInfo) -> Floats | None:
    """The answers as class probabilities, if that is what they are.

    Class scores cannot be told from other numbers by looking: named classes, fitting labels, a field called logits,
    or a bare output that is not shaped as an input speak for them.
    """
    values = found.values
    if not found.floating or not found.per_sample or values.shape[-1] < 2 or not np.isfinite(values).all():
        return None
    if sum(size != 1 for size in found.shape[1:]) != 1:
        return None
    if values.min() >= 0 and np.all(np.abs(values.sum(-1) - 1) <= _SUM_TOLERANCE):
        return values
    return softmax(values) if _are_scores(found, info, values.shape[-1]) else None


def _are_scores(found: Answers, info: InputInfo, width: int) -> bool:
    known: Sequence[int] = [label for label in info.labels if label is not None]
    if len(info.classes) == width or (known and max(known) < width) or "logit" in found.name.lower():
        return True
    return not found.name and all(tensor.shape[1:] != found.shape[1:] for tensor in info.tensors)


def softmax(values: Floats) -> Floats:
    """Over the last axis."""
    powers: Floats = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares
