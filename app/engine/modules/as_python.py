"""*Copy as Python*: few lines that give a fresh model the flags and the grad mode shown.

A write of the whole model, then of subtrees, then of single modules; which ones is a least-cost choice over the tree,
exact for every mixture. Where a class below overrides ``train()``, flags are written directly, since calling it could
do more.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from modelight.engine.modules import flag, structure
from modelight.engine.modules.rows import Rows
from modelight.protocol import GradMode

_LOOP_FROM = 3
"""This many writes of the same kind become a loop."""


@dataclass(frozen=True)
class _Write:
    level: int
    """How many writes above it must come before it."""
    subtree: bool
    training: bool
    row: int


def text(rows: Rows, grad_mode: GradMode, name: str = "model") -> str:
    """Python that writes the present flags of the model called ``name``, and runs it in ``grad_mode``.

    Modules that have no flag are left alone. The lines do not depend on the flags the fresh model has.
    """
    writes = _writes(rows)
    writes += _repairs(rows, writes)
    lines = [line for group in _groups(writes) for line in _lines(rows, group, name)]
    lines += _grad_lines(grad_mode)
    needs_torch = any("torch." in line for line in lines)
    return "\n".join((["import torch", ""] if needs_torch else []) + lines) + "\n"


def _grad_lines(grad_mode: GradMode) -> list[str]:
    if grad_mode == "enabled":
        return []
    return [f"with torch.{grad_mode}():", "    ...  # run the model here"]


# ------------------------------------------------------------------------------------------------------ which writes


def _writes(rows: Rows) -> list[_Write]:
    """The fewest subtree and single writes that give every row its flag, parents before children."""
    wanted = [flag.read(module) for module in rows.modules]
    kept, turned = _costs(rows, wanted)
    writes = []
    inherited: list[tuple[bool, int]] = []
    for index, own in enumerate(wanted):
        if index == 0:
            training = _cheaper_start(kept[0], own)
            level, turns = 0, True
        else:
            before, level = inherited[rows.parents[index]]
            turns = turned[index][before]
            training = before != turns
        if turns:
            writes.append(_Write(level, True, training, index))
            level += 1
        if own is not None and own != training:
            writes.append(_Write(level, False, own, index))
            level += 1
        inherited.append((training, level))
    return writes


def _costs(rows: Rows, wanted: list[bool | None]) -> tuple[list[list[int]], list[list[bool]]]:
    """Per row and inherited flag (0 eval, 1 train): writes needed if the subtree keeps it; if turning is cheaper."""
    count = len(wanted)
    kept = [[0, 0] for _ in range(count)]
    turned = [[False, False] for _ in range(count)]
    for index in range(count - 1, -1, -1):
        own = wanted[index]
        for training in (0, 1):
            kept[index][training] += own is not None and own != bool(training)
        if index == 0:
            break
        leaf = rows.below(index).stop == index + 1
        for training in (0, 1):
            stay, turn = kept[index][training], 1 + kept[index][1 - training]
            turned[index][training] = turn < stay or (leaf and turn == stay)
            kept[rows.parents[index]][training] += min(stay, turn)
    return kept, turned


def _cheaper_start(costs: list[int], own: bool | None) -> bool:
    return bool(own) if costs[0] == costs[1] else costs[1] < costs[0]


def _repairs(rows: Rows, writes: list[_Write]) -> list[_Write]:
    """Single writes for modules that are registered in several places and got another place's flag last."""
    flags: dict[int, bool] = {}
    for group in _groups(writes):
        for write in group:
            for index in rows.below(write.row) if write.subtree else (write.row,):
                flags[id(rows.modules[index])] = write.training
    last = 1 + max(write.level for write in writes)
    repairs: dict[int, _Write] = {}
    for index, module in enumerate(rows.modules):
        own = flag.read(module)
        if own is not None and flags[id(module)] != own:
            repairs.setdefault(id(module), _Write(last, False, own, index))
    return list(repairs.values())


def _groups(writes: list[_Write]) -> Iterator[list[_Write]]:
    """Writes that may be done in one loop, in the order in which they must be done."""
    groups: dict[tuple[int, bool, bool], list[_Write]] = {}
    for write in writes:
        groups.setdefault((write.level, not write.subtree, not write.training), []).append(write)
    for key in sorted(groups):
        yield groups[key]


# ------------------------------------------------------------------------------------------------------------- lines


def _lines(rows: Rows, group: list[_Write], name: str) -> list[str]:
    by_type = _types(rows, group)
    if by_type:
        return [
            f"for module in {name}.modules():",
            f"    if isinstance(module, {by_type}):",
            f"        module.training = {group[0].training}",
        ]
    plain = [write for write in group if not write.subtree or _callable(rows, write.row)]
    lines = _plain_lines(rows, plain, name)
    for write in group:
        if write.subtree and not _callable(rows, write.row):
            lines += _flag_loop(_expression(rows, write.row, name), write.training)
    return lines


def _plain_lines(rows: Rows, group: list[_Write], name: str) -> list[str]:
    if len(group) < _LOOP_FROM:
        return [_expression(rows, write.row, name) + _ending(write) for write in group]
    paths = [f"    {rows.paths[write.row]!r}," for write in group]
    return ["for path in (", *paths, "):", f"    {name}.get_submodule(path){_ending(group[0])}"]


def _ending(write: _Write) -> str:
    if write.subtree:
        return ".train()" if write.training else ".eval()"
    return f".training = {write.training}"


def _flag_loop(expression: str, training: bool) -> list[str]:
    return [
        f"for module in {expression}.modules():  # not train(): a class below overrides it",
        '    if hasattr(module, "training"):',
        f"        module.training = {training}",
    ]


def _types(rows: Rows, group: list[_Write]) -> str:
    """Classes of torch.nn of which these are all there are in the model, as isinstance takes them; "" if none are."""
    modules = {id(rows.modules[write.row]): rows.modules[write.row] for write in group}
    kinds = {type(module) for module in modules.values()}
    whole = all(rows.below(write.row).stop == write.row + 1 for write in group if write.subtree)
    public = all(getattr(nn, kind.__name__, None) is kind for kind in kinds)
    if len(group) < _LOOP_FROM or not whole or not public:
        return ""
    if {id(module) for module in rows.modules if isinstance(module, tuple(kinds))} != set(modules):
        return ""
    names = sorted(f"torch.nn.{kind.__name__}" for kind in kinds)
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _callable(rows: Rows, index: int) -> bool:
    """Whether ``train()`` of the subtree writes flags and does nothing else."""
    below = rows.below(index)
    return not any(
        structure.overridden(rows.modules[at]) is not None or isinstance(rows.modules[at], torch.jit.ScriptModule)
        for at in below
    ) and not any(at in rows.skeleton.cycles for at in below)


def _expression(rows: Rows, index: int, name: str) -> str:
    """``model.features[8]`` where that is how one writes it, else ``model.get_submodule("…")``."""
    steps: list[str] = []
    at = index
    while at > 0:
        parent, key = rows.modules[rows.parents[at]], rows.skeleton.names[at]
        if isinstance(parent, (nn.Sequential, nn.ModuleList)) and key in list(map(str, range(len(parent)))):
            steps.append(f"[{key}]")
        elif isinstance(parent, nn.ModuleDict):
            steps.append(f"[{key!r}]")
        elif key.isidentifier() and not keyword.iskeyword(key):
            steps.append(f".{key}")
        else:
            return f"{name}.get_submodule({rows.paths[index]!r})"
        at = rows.parents[at]
    return name + "".join(reversed(steps))
