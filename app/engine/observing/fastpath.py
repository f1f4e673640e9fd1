"""Fused transformer layers: one kernel does the work of their submodules, which then are never called.

The run itself is left on the fused path. What its inner modules put out is captured in a second run with the path
switched off, and how far that run's output lies from the first one's is measured and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from modelight.engine.batches import Batch
from modelight.engine.modules.rows import Rows
from modelight.engine.observing.forward import Observer
from modelight.engine.observing.guard import leave_no_trace
from modelight.engine.observing.masks import Drop
from modelight.engine.observing.memory import Memory, distance
from modelight.engine.observing.outputs import own_tensors
from modelight.engine.observing.probes import Capture
from modelight.protocol import Clause


@contextmanager
def switched_off() -> Iterator[None]:
    """Without fused transformer layers, for the whole process."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def silent(rows: Rows, captures: Mapping[int, Capture]) -> set[int]:
    """Rows inside encoder layers that ran, but whose submodules did not."""
    found: set[int] = set()
    for row, capture in captures.items():
        layer = rows.modules[row]
        if isinstance(layer, nn.TransformerEncoderLayer) and capture.calls:
            inner = rows.index_of(layer.linear1)
            if inner >= 0 and inner not in captures:
                found.update(index for index in rows.below(row) if index != row and index not in captures)
    return found


@dataclass(frozen=True)
class SecondLook:
    """What a run on the slow path showed of modules that the run itself kept silent."""

    captures: dict[int, Capture]
    drops: list[list[Drop]]
    """Per forward."""
    note: Clause
    """``slow-path`` {distance, modules}: largest difference of an output value, and how many modules were silent."""


def second_look(
    rows: Rows,
    captures: Mapping[int, Capture],
    batches: Callable[[], Iterable[Batch]],
    observer: Callable[[Memory], Observer],
    seed: Callable[[], None],
) -> SecondLook | None:
    """Run again, unfused, if some modules were silent; None if none was. Leaves no trace.

    Args:
        batches: the same forwards as before.
        observer: makes one for a guard's memory.
        seed: brings the generators to where they were before the first run.
    """
    quiet = silent(rows, captures)
    if not quiet:
        return None
    outputs: list[list[torch.Tensor]] = []
    drops: list[list[Drop]] = []
    for path in (nullcontext, switched_off):
        outputs.append([])
        read = _collect(outputs[-1])
        with path(), leave_no_trace(rows.root, watch=False) as guard:
            seed()
            with observer(guard.memory) as watched:
                watched.start(capturing=True)
                drops = [watched.run(batch, read).drops for batch in batches()]
    gaps = [distance(fused, plain) for fused, plain in zip(*outputs, strict=False)]
    known = [gap for gap in gaps if gap is not None]
    return SecondLook(
        captures={row: capture for row, capture in watched.captures.items() if row in quiet},
        drops=[[drop for drop in forward if _row(rows, drop) in quiet] for forward in drops],
        note=Clause("slow-path", {"distance": max(known, default=None), "modules": len(quiet)}),
    )


def _collect(found: list[torch.Tensor]) -> Callable[[object], None]:
    return lambda output: found.extend(own_tensors(output))


def _row(rows: Rows, drop: Drop) -> int:
    return -1 if drop.module is None else rows.index_of(drop.module)


def why_not_called(rows: Rows, row: int) -> Clause:
    """Why a module was not heard."""
    module = rows.modules[row]
    if isinstance(module, torch.jit.ScriptModule):
        return Clause("inside-script")
    parent = rows.parents[row]
    if parent >= 0 and isinstance(rows.modules[parent], torch.jit.ScriptModule):
        return Clause("inside-script")
    return Clause("not-called")
