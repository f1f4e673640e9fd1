"""What the probes saw of each module, as messages for the rows of the tree."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelight import protocol
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import fastpath
from modelight.engine.observing.probes import Capture
from modelight.engine.observing.summary import Sample, summarize


def module_captures(rows: Rows, captures: Mapping[int, Capture]) -> list[protocol.ModuleCapture]:
    """One message per row; a module with several rows says the same in each."""
    order = list(captures)
    stats = summarize([captures[row].sample or Sample() for row in order])
    found = {
        row: _module_capture(row, captures[row], summary if captures[row].sample is not None else None, place)
        for place, (row, summary) in enumerate(zip(order, stats, strict=True))
    }
    result = []
    for row, module in enumerate(rows.modules):
        known = found.get(rows.index_of(module))
        capture = known or protocol.ModuleCapture(row=row, calls=0, unseen=fastpath.why_not_called(rows, row))
        result.append(capture if capture.row == row else msgspec.structs.replace(capture, row=row))
    return result


def _module_capture(row: int, capture: Capture, stats: protocol.Stats | None, place: int) -> protocol.ModuleCapture:
    return protocol.ModuleCapture(
        row=row,
        calls=capture.calls,
        shape=capture.shape,
        dtype=capture.dtype,
        requires_grad=capture.requires_grad,
        is_inference=capture.is_inference,
        stats=stats,
        milliseconds=capture.seconds * 1e3 if capture.calls else None,
        unseen=capture.unseen,
        order=place if capture.calls else -1,
    )
