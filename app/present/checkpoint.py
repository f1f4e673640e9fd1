"""From a checkpoint's facts to what its page shows."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from modelight.phrases import phrase
from modelight.present.checkpoint_text import marks_of, visible
from modelight.protocol import (
    CheckpointDifference,
    CheckpointFacts,
    CheckpointLayer,
    CheckpointTensor,
    Clause,
    Stats,
    TensorDifference,
    TensorInspected,
)
from modelight.widgets import numbers
from modelight.widgets.checkpoint_data import CheckpointData, CheckpointRow, Floats, TensorData

_NAMED = 6
_RUNNING = ("running_mean", "running_var")


def checkpoint_data(facts: CheckpointFacts, difference: CheckpointDifference | None = None) -> CheckpointData:
    """Everything on the page but the selected tensor; with ``difference``, how far each row lies from another's."""
    return CheckpointData(
        file=visible(PurePath(facts.path).name),
        format=facts.format,
        file_size=numbers.size(facts.file_bytes),
        key=facts.key,
        choices=tuple((one.key, one.tensors) for one in facts.state_dicts),
        tensors=len(facts.tensors),
        parameters=facts.parameters,
        buffers=facts.buffers,
        size=numbers.size(facts.tensor_bytes),
        dtypes=tuple(facts.dtypes),
        rows=tuple(_rows(facts, _Against(difference))),
        has_flags=facts.has_flags,
        attention=tuple(marks_of(facts)),
        against=() if difference is None else tuple(_sentences(difference)),
        # Which others there are, the menu says.
        notes=tuple(visible(phrase(note)) for note in facts.notes if note.id != "other-state-dicts"),
        around=tuple(
            (visible(name), visible(text)) for name, text in (*facts.wrapping, *facts.metadata, *facts.extras)
        ),
    )


def tensor_data(reply: TensorInspected, facts: CheckpointFacts) -> TensorData:
    """The values of one tensor; a stamp other than that of ``facts`` tells that the file has changed."""
    # Running statistics are what eval uses.
    role = "eval_mark" if reply.name.rpartition(".")[2] in _RUNNING else "mask"
    changed = reply.stamp != facts.stamp
    stats = reply.stats
    if stats is None:
        words = phrase(reply.unseen) if reply.unseen is not None else ""
        return TensorData(reply.name, 0, role, words=visible(words), changed=changed)
    edges, counts = _histogram(stats)
    return TensorData(
        key=reply.name,
        count=stats.count,
        role=role,
        edges=edges,
        counts=counts,
        figures=_figures(stats),
        nan=reply.not_finite[0],
        infinite=reply.not_finite[1],
        changed=changed,
    )


class _Against:
    """What to say of each row of a checkpoint that is compared with another."""

    def __init__(self, difference: CheckpointDifference | None) -> None:
        self._there = difference is not None
        self._tensors = {one.name: one for one in difference.tensors} if difference is not None else {}
        self._statistics = {one.path: one for one in difference.statistics} if difference is not None else {}

    def tensor(self, name: str) -> tuple[str, bool]:
        """(words, whether it differs)"""
        if not self._there:
            return "", False
        if name not in self._tensors:
            return phrase(Clause("difference-only-here")), True
        clause = difference_clause(self._tensors[name])
        return visible(phrase(clause)), clause.id != "difference-none"

    def layer(self, path: str) -> tuple[str, bool]:
        """(how far the running statistics moved, whether they did)"""
        moved = self._statistics.get(path)
        if not moved or not moved.drift:
            return "", False
        return phrase(Clause("difference-drift", {"drift": moved.drift})), True


def difference_clause(one: TensorDifference) -> Clause:
    """How far one tensor lies from the same in another checkpoint."""
    if one.equal:
        return Clause("difference-none")
    if one.shapes[0] != one.shapes[1]:
        return Clause("difference-shape", {"other": numbers.shape(one.shapes[1])})
    if one.changed is None:
        return Clause("difference-unknown")
    if one.changed == 0:
        return Clause("difference-dtype", {"other": one.dtypes[1]})
    if one.largest is None:
        return Clause("difference-not-finite", {"count": one.changed})
    if one.relative is None:
        return Clause("difference-from-zero", {"largest": one.largest})
    return Clause("difference-values", {"largest": one.largest, "relative": one.relative})


def _sentences(difference: CheckpointDifference) -> list[str]:
    equal = sum(one.equal for one in difference.tensors)
    clauses = [
        Clause(
            "difference-in-sum",
            {"other": PurePath(difference.other).name, "equal": equal, "different": len(difference.tensors) - equal},
        )
    ]
    for names, id_ in (
        (difference.only_first, "difference-only-first"),
        (difference.only_other, "difference-only-other"),
    ):
        if names:
            shown: list[str | float] = [*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])]
            clauses.append(Clause(id_, {"count": len(names), "names": shown}))
    if difference.removed:
        clauses.append(Clause("difference-prefix-removed", {"prefix": difference.removed}))
    if difference.added:
        clauses.append(Clause("difference-prefix-added", {"prefix": difference.added}))
    return [visible(phrase(clause)) for clause in clauses]


def _rows(facts: CheckpointFacts, against: _Against) -> list[CheckpointRow]:
    held: list[list[CheckpointTensor]] = [[] for _ in facts.layers]
    for tensor in facts.tensors:
        held[tensor.layer].append(tensor)
    rows: list[CheckpointRow] = []
    places: list[int] = []
    for index, layer in enumerate(facts.layers):
        places.append(len(rows))
        rows.append(_layer_row(layer, places[layer.parent] if layer.parent >= 0 else -1, facts, against))
        rows += [_tensor_row(tensor, places[index], against) for tensor in held[index]]
    return rows


def _layer_row(layer: CheckpointLayer, parent: int, facts: CheckpointFacts, against: _Against) -> CheckpointRow:
    difference, differs = against.layer(layer.path)
    return CheckpointRow(
        name=visible(layer.name) or visible(PurePath(facts.path).stem),
        parent=parent,
        kind=visible(phrase(layer.kind)),
        size=numbers.size(layer.bytes),
        marks=" · ".join(visible(phrase(mark)) for mark in layer.marks),
        note=" · ".join(visible(phrase(note)) for note in layer.notes),
        difference=difference,
        differs=differs,
        mode=None if layer.training is None else "train" if layer.training else "eval",
    )


def _tensor_row(tensor: CheckpointTensor, parent: int, against: _Against) -> CheckpointRow:
    difference, differs = against.tensor(tensor.name)
    return CheckpointRow(
        name=visible(tensor.name.rpartition(".")[2]),
        parent=parent,
        kind=phrase(Clause(f"role-{tensor.role}")),
        size=numbers.size(tensor.bytes),
        key=tensor.name,
        shape=numbers.shape(tensor.shape),
        dtype=tensor.dtype,
        marks=" · ".join(visible(phrase(mark)) for mark in tensor.marks),
        difference=difference,
        differs=differs,
        note=visible(f"= {tensor.tied_to}") if tensor.tied_to else "",
    )


def _histogram(stats: Stats) -> tuple[Floats | None, Floats | None]:
    if stats.counts is None:
        return None, None
    counts = stats.counts.numpy().astype(np.float64)
    low, high = stats.low, stats.high
    if low == high:  # one value: a narrow bar in the middle
        half = max(abs(low) * 0.05, 0.05)
        return low + half * np.array([-1.0, -0.02, 0.02, 1.0]), np.array([0.0, counts.sum(), 0.0])
    return np.linspace(low, high, len(counts) + 1), counts


def _figures(stats: Stats) -> tuple[tuple[str, str], ...]:
    found = (("minimum", stats.minimum), ("mean", stats.mean), ("deviation", stats.std), ("maximum", stats.maximum))
    return tuple((name, numbers.figure(value)) for name, value in found if value is not None)
