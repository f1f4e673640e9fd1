"""A checkpoint looked at by itself, as lines for a terminal: the summary on top, then marks, wrapping and the tree."""

from __future__ import annotations

from collections.abc import Sequence

from modelight.phrases import phrase
from modelight.protocol import (
    CheckpointDifference,
    CheckpointFacts,
    CheckpointLayer,
    CheckpointTensor,
    TensorDifference,
)
from modelight.widgets import numbers

_GAP = "  "
_RIGHT = {"size", "changed", "largest", "relative"}
_ABSENT = "–"
_NAMED = 40
_SPACES = (numbers.THIN, numbers.NO_BREAK)
"""Spaces of our own figures, which Python does not count as printable."""


def facts_lines(facts: CheckpointFacts) -> list[str]:
    """Everything that is known of one checkpoint."""
    return [*head_lines(facts), *_around_lines(facts), "", *_tree_lines(facts)]


def head_lines(facts: CheckpointFacts) -> list[str]:
    """The summary of one checkpoint, and what needs attention in it."""
    return [*summary_lines(facts), *_marks_lines(facts)]


def summary_lines(facts: CheckpointFacts) -> list[str]:
    """What the file is, what it holds in sum, and what has to be said of it."""
    where = f", state dict at {visible(facts.key)}" if facts.key else ""
    lines = [
        f"{visible(facts.path)}",
        f"  {facts.format}, {numbers.size(facts.file_bytes)}{where}",
        f"  {_totals(facts)}",
    ]
    if len(facts.state_dicts) > 1:
        held = (f"{visible(one.key)} ({_counted(one.tensors, 'tensor')})" for one in facts.state_dicts)
        lines.append(f"  State dicts in the file: {', '.join(held)}. --key NAME takes another.")
    # The line above says what this note says.
    return lines + [f"  {visible(phrase(note))}" for note in facts.notes if note.id != "other-state-dicts"]


def marks_of(facts: CheckpointFacts) -> list[tuple[str, str]]:
    """(module path or tensor, what is wrong with it) for everything that needs attention, in the order of the tree."""
    layers = [(layer.path or "(root)", mark) for layer in facts.layers for mark in layer.marks]
    tensors = [(tensor.name, mark) for tensor in facts.tensors for mark in tensor.marks]
    return [(visible(name), visible(phrase(mark))) for name, mark in (*layers, *tensors)]


def difference_lines(difference: CheckpointDifference) -> list[str]:
    """Two checkpoints side by side; tensors that are equal are only counted."""
    apart = [tensor for tensor in difference.tensors if not tensor.equal]
    equal = len(difference.tensors) - len(apart)
    lines = ["", f"Against {visible(difference.other)}"]
    lines.append(f"  {_counted(equal, 'tensor')} equal, {numbers.count(len(apart))} different")
    for prefix, words in ((difference.removed, "taken off"), (difference.added, "put before")):
        if prefix:
            lines.append(f"  “{visible(prefix)}” was {words} the names of the first to meet those of the other.")
    lines += _only("the first", difference.only_first) + _only("the other", difference.only_other)
    if apart:
        head = ("different", "changed", "largest", "relative", "")
        lines += ["", *_table(head, [_difference_row(tensor) for tensor in apart])]
    if difference.statistics:
        lines += ["", *_statistics_lines(difference)]
    return lines


def visible(text: str) -> str:
    """Text that is safe on a terminal: names in a hostile file may hold control characters."""
    return "".join(
        sign if sign.isprintable() or sign in _SPACES else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def _totals(facts: CheckpointFacts) -> str:
    dtypes = [f"{name} {numbers.count(count)}" for name, count in facts.dtypes.items()]
    parts = [
        _counted(len(facts.tensors), "tensor"),
        _counted(facts.parameters, "parameter"),
        f"{numbers.count(facts.buffers)} values in buffers",
        numbers.size(facts.tensor_bytes),
        " + ".join(dtypes),
    ]
    return ", ".join(part for part in parts if part)


def _counted(count: int, noun: str) -> str:
    return f"{numbers.count(count)} {noun}{'' if count == 1 else 's'}"


def _marks_lines(facts: CheckpointFacts) -> list[str]:
    marks = marks_of(facts)
    if not marks:
        return []
    width = max(len(name) for name, _ in marks)
    return ["", "Needs attention", *(f"  {name.ljust(width)}{_GAP}{text}" for name, text in marks)]


def _around_lines(facts: CheckpointFacts) -> list[str]:
    lines = []
    for title, entries in (
        ("Around the state dict", facts.wrapping),
        ("Metadata", facts.metadata),
        ("In the state dict, but no tensor", facts.extras),
    ):
        if entries:
            width = max(len(visible(name)) for name, _ in entries)
            texts = (f"  {visible(name).ljust(width)}{_GAP}{visible(text)}".rstrip() for name, text in entries)
            lines += ["", title, *texts]
    return lines


def _tree_lines(facts: CheckpointFacts) -> list[str]:
    held: list[list[CheckpointTensor]] = [[] for _ in facts.layers]
    for tensor in facts.tensors:
        held[tensor.layer].append(tensor)
    depths: list[int] = []
    rows: list[Sequence[str]] = []
    for index, layer in enumerate(facts.layers):
        depths.append(depths[layer.parent] + 1 if layer.parent >= 0 else 0)
        rows.append(_layer_row(layer, depths[index], facts.has_flags))
        rows += [_tensor_row(tensor, depths[index] + 1) for tensor in held[index]]
    head = ("name", "kind", "shape", "dtype", "size", "marks")
    return _table(head, rows)


def _layer_row(layer: CheckpointLayer, depth: int, has_flags: bool) -> Sequence[str]:
    name = "  " * depth + (visible(layer.name) or "(root)")
    words = [phrase(mark) for mark in (*layer.marks, *layer.notes)]
    if has_flags and layer.training is not None:
        words.insert(0, "train" if layer.training else "eval")
    return name, visible(phrase(layer.kind)), "", "", numbers.size(layer.bytes), visible(" · ".join(words))


def _tensor_row(tensor: CheckpointTensor, depth: int) -> Sequence[str]:
    words = [phrase(mark) for mark in tensor.marks]
    if tensor.tied_to:
        words.append(f"same memory as {tensor.tied_to}")
    if tensor.stats is not None and tensor.stats.mean is not None:
        words.append(_figures(tensor))
    name = "  " * depth + visible(tensor.name.rpartition(".")[2])
    shape = numbers.shape(tensor.shape)
    return name, tensor.role, shape, tensor.dtype, numbers.size(tensor.bytes), visible(" · ".join(words))


def _figures(tensor: CheckpointTensor) -> str:
    stats = tensor.stats
    assert stats is not None and stats.mean is not None and stats.std is not None
    low, high = numbers.figure(stats.minimum), numbers.figure(stats.maximum)
    if stats.minimum == stats.maximum and not stats.has_nan:
        return low if stats.count == 1 else f"all {low}"
    return f"{low} … {high}, mean {numbers.figure(stats.mean)}, s.d. {numbers.figure(stats.std)}"


def _only(where: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f", … ({numbers.count(len(names))})" if len(names) > _NAMED else ""
    return [f"  Only in {where}: {', '.join(visible(name) for name in names[:_NAMED])}{more}"]


def _difference_row(tensor: TensorDifference) -> Sequence[str]:
    words = []
    if tensor.shapes[0] != tensor.shapes[1]:
        words.append(f"shape {numbers.shape(tensor.shapes[0])} and {numbers.shape(tensor.shapes[1])}")
    if tensor.dtypes[0] != tensor.dtypes[1]:
        words.append(f"{tensor.dtypes[0]} and {tensor.dtypes[1]}")
    if tensor.changed is None and not words:
        words.append("values not comparable")
    if tensor.not_finite:
        words.append(f"{numbers.count(tensor.not_finite)} NaN or infinite")
    changed = _ABSENT if tensor.changed is None else numbers.count(tensor.changed)
    return (
        visible(tensor.name),
        changed,
        numbers.figure(tensor.largest),
        numbers.figure(tensor.relative),
        ", ".join(words),
    )


def _statistics_lines(difference: CheckpointDifference) -> list[str]:
    rows = []
    for one in difference.statistics:
        drift = _ABSENT if one.drift is None else f"{numbers.figure(one.drift)} σ in channel {one.channel}"
        ratio = f"{numbers.figure(one.ratio_low)} … {numbers.figure(one.ratio_high)}"
        updates = _ABSENT if one.updates is None else numbers.count(one.updates)
        rows.append((visible(one.path) or "(root)", drift, ratio, updates))
    return _table(("running statistics", "largest shift of the mean", "variance times", "updates between"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    right = [title in _RIGHT for title in head]
    return [
        _GAP.join(
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (head, *rows)
    ]
