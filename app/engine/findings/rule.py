"""How a rule is written: an id, whether it needs a run, and a function that looks at the evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from modelight.engine.findings.evidence import Evidence
from modelight.engine.modules import flag
from modelight.engine.modules.rows import Rows
from modelight.protocol import Finding, Remedy

FEW = 3
"""Modules that are named one by one; more are named by class, where that says the same."""
WIDTH = 100

Look = Callable[[Evidence], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """One entry of the table."""

    id: str
    name: str
    """Short, stable, in words: ``output-ignores-input``."""
    look: Look
    runs: bool = True
    """Whether it needs a model that can run in its present state."""


def set_eval(rows: Rows, paths: Sequence[str], id_: str = "set-eval") -> Remedy:
    """Put these modules (each with all below it) in eval."""
    return Remedy(id_, list(paths), False, eval_lines(rows, paths))


def eval_lines(rows: Rows, paths: Sequence[str]) -> list[str]:
    """The same as Python: by path, or by class where these are all modules of their classes that are in train."""
    if list(paths) == [""]:
        return ["model.eval()"]
    if len(paths) == 1:
        return [f"model.get_submodule({json.dumps(paths[0])}).eval()"]
    if len(paths) > FEW and (classes := _classes(rows, paths)):
        return ["for module in model.modules():", f"    if isinstance(module, {classes}):", "        module.eval()"]
    names = [json.dumps(path) for path in paths]
    head = [f"for path in ({', '.join(names)}):"]
    if len(head[0]) > WIDTH:
        head = ["for path in (", *(f"    {name}," for name in names), "):"]
    return [*head, "    model.get_submodule(path).eval()"]


def _classes(rows: Rows, paths: Sequence[str]) -> str:
    """``nn.BatchNorm2d`` or ``(nn.BatchNorm1d, nn.BatchNorm2d)``, if they mean these modules and nothing else; else
    ""."""
    meant = {rows.by_path(path) for path in paths}
    kinds = sorted({type(rows.modules[row]) for row in meant}, key=lambda kind: kind.__name__)
    if any(getattr(nn, kind.__name__, None) is not kind for kind in kinds):
        return ""
    of_kind = {rows.index_of(module) for module in rows.modules if isinstance(module, tuple(kinds))}
    if any(flag.read(rows.modules[row]) and row not in meant for row in of_kind):
        return ""
    names = ", ".join(f"nn.{kind.__name__}" for kind in kinds)
    return names if len(kinds) == 1 else f"({names})"


def named(paths: Sequence[str], limit: int = 3) -> list[str | float]:
    """The first few paths, for a sentence; the root's is empty."""
    shown: list[str | float] = [*paths[:limit]]
    return [*shown, "…"] if len(paths) > limit else shown
