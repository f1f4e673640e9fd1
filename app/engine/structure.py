"""What is remarkable about how a model is built: things that train() and eval() do not reach, or reach differently."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import torch
from torch import nn

from modelight.engine import flag
from modelight.protocol import Clause

if TYPE_CHECKING:
    from modelight.engine.rows import Rows


def notes(rows: Rows) -> dict[str, list[Clause]]:
    """Notes by path, for the rows that have any."""
    found: dict[str, list[Clause]] = {}
    for path, module in zip(rows.paths, rows.modules, strict=True):
        clauses = overridden(type(module))
        if flag.flag_is_property(type(module)):
            clauses.append(Clause("training-property"))
        if clauses:
            found[path] = clauses
    return found


def overridden(kind: type) -> list[Clause]:
    """``overrides-train`` and ``overrides-eval`` {source}: methods that may do more than write flags."""
    found = []
    for name in ("train", "eval"):
        method = getattr(kind, name, None)
        owner = next((base for base in kind.__mro__ if name in base.__dict__), nn.Module)
        if owner is not nn.Module and not issubclass(torch.jit.ScriptModule, owner) and method is not None:
            found.append(Clause(f"overrides-{name}", {"source": _source(method)}))
    return found


def _source(method: object) -> str:
    code = getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "–"
