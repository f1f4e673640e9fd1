"""Frames as the model process sends them, made by hand from known figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from modelight.protocol import (
    Array,
    Autograd,
    DropoutCapture,
    Frame,
    InputInfo,
    InputTensor,
    Ledger,
    ModuleCapture,
    NormCapture,
    OutputField,
    Row,
    Stats,
)


def stats(values: ArrayLike, bins: int = 8, sampled: int | None = None) -> Stats:
    """What the engine says of a tensor."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    finite = flat[np.isfinite(flat)]
    counts, edges = np.histogram(finite, bins)
    return Stats(
        count=flat.size,
        sampled=flat.size if sampled is None else sampled,
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        mean=float(finite.mean()),
        std=float(finite.std()),
        has_nan=bool(np.isnan(flat).any()),
        has_infinite=bool(np.isinf(flat).any()),
        low=float(edges[0]),
        high=float(edges[-1]),
        counts=Array.of(counts.astype(np.int64)),
    )


def output(values: ArrayLike, name: str = "", shape: tuple[int, ...] | None = None, whole: bool = False) -> OutputField:
    """A field with ``values`` (repeats × samples × …); ``whole``: too wide to cross, only statistics per sample."""
    given = np.asarray(values, dtype=np.float32)
    flat = given.reshape(given.shape[0], given.shape[1], -1)
    summary = np.stack([flat.mean(-1), flat.std(-1), flat.min(-1), flat.max(-1)], axis=-1)
    return OutputField(
        name=name,
        shape=shape or (1, *given.shape[2:]),
        dtype="float32",
        requires_grad=False,
        grad_fn=None,
        is_inference=False,
        stats=stats(given[-1]) if np.isfinite(given[-1]).any() else stats([0.0]),
        per_sample=True,
        values=None if whole else Array.of(flat),
        sample_stats=Array.of(summary.astype(np.float32)) if whole else None,
    )


def frame(
    fields: Sequence[OutputField],
    *,
    train: int = 3,
    eval: int = 0,
    seed: int = 0,
    batch: int = 1,
    kept: bool = False,
    repeats: int | None = None,
    **more: Any,
) -> Frame:
    """A frame of one run; ``repeats`` and samples are those of the first field's values."""
    first = fields[0]
    array = first.values if first.values is not None else first.sample_stats
    shape = array.shape if array is not None else (1, 1)
    filled: dict[str, Any] = {"modules": [], "dropouts": [], "norms": [], "random": False, "force": None} | more
    return Frame(
        grad_mode=filled.pop("grad_mode", "no_grad"),
        seed=seed,
        repeats=shape[0] if repeats is None else repeats,
        batch=batch,
        samples=shape[1],
        forwards=shape[1],
        train=train,
        eval=eval,
        milliseconds=1.0,
        outputs=list(fields),
        ledger=Ledger(kept, 0, 2 if kept else 0),
        autograd=Autograd(0, 0, 0, 0),
        **filled,
    )


def inputs(labels: Sequence[int | None], classes: Sequence[str] = (), noise: Sequence[bool] = ()) -> InputInfo:
    """One sample per label."""
    count = len(labels)
    captions = [f"s{index}" for index in range(count)]
    tensors = [InputTensor("[0]", (count, 1, 8, 8), "float32")]
    return InputInfo([], tensors, count, captions, list(noise) or [False] * count, list(labels), list(classes))


def row(path: str, type_: str, parent: int = 0, kind: str = "") -> Row:
    """A row of the tree."""
    return Row(path, path.rpartition(".")[2], parent, type_, type_, 0, bool(kind), int(bool(kind)), kind)


def capture(index: int, values: ArrayLike | None, calls: int = 1, **more: Any) -> ModuleCapture:
    """A module's output."""
    given = None if values is None else np.asarray(values, dtype=np.float64)
    shape = () if given is None else given.shape
    return ModuleCapture(index, calls, shape, "float32", stats=None if given is None else stats(given), **more)


def drop(index: int, path: str, mask: ArrayLike, p: float, repeats: int = 1, **more: Any) -> DropoutCapture:
    """A dropout whose every repeat dropped what ``mask`` (samples × units) says."""
    given = np.asarray(mask, dtype=np.uint8)
    filled: dict[str, Any] = {"source": None, "function": "Dropout", "call": 0, "unit": "element"} | more
    return DropoutCapture(
        row=index,
        path=path,
        p=p,
        follows_flag=filled.pop("follows_flag", True),
        active=True,
        observed=float(given.mean()),
        dropped=int(given.sum()),
        total=given.size,
        shape=given.shape,
        mask=Array.of(given),
        unit_dropped=Array.of(given.sum(axis=0).astype(np.int64) * repeats),
        unit_total=len(given) * repeats,
        already_zero=filled.pop("already_zero", 0),
        inputs=given.size,
        **filled,
    )


def norm(index: int, path: str, batch: ArrayLike, running: ArrayLike, variance: ArrayLike, **more: Any) -> NormCapture:
    """A batch norm whose batches had the means ``batch`` (forwards × channels) and variance 1."""
    means = np.atleast_2d(np.asarray(batch, dtype=np.float64))
    kept, spread = np.asarray(running, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        drift = np.abs(means.mean(axis=0) - kept) / np.sqrt(np.where(spread > 0, spread, np.nan))
    filled: dict[str, Any] = {"uses": "batch", "updates": True, "momentum": 0.1, "tracked": 12} | more
    return NormCapture(
        row=index,
        path=path,
        type="BatchNorm2d",
        channels=len(kept),
        eps=1e-5,
        running_mean=Array.of(kept),
        running_var=Array.of(spread),
        batch_mean=Array.of(means),
        batch_var=Array.of(np.ones_like(means)),
        batch_count=filled.pop("batch_count", 11),
        drift=Array.of(drift),
        **filled,
    )
