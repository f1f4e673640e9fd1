"""Fused transformer layers: one kernel does the work of their submodules, which then are never called.

The run itself is left on the fused path. What its inner modules put out is captured in a second run with the path
switched off, and how far that run's output lies from the first one's is measured and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from modelight.engine.probes import Capture
from modelight.engine.rows import Rows
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


def why_not_called(rows: Rows, row: int) -> Clause:
    """Why a module was not heard."""
    module = rows.modules[row]
    if isinstance(module, torch.jit.ScriptModule):
        return Clause("inside-script")
    parent = rows.parents[row]
    if parent >= 0 and isinstance(rows.modules[parent], torch.jit.ScriptModule):
        return Clause("inside-script")
    return Clause("not-called")
