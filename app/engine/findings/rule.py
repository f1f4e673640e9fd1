"""How a rule is written: an id, whether it needs a run, and a function that looks at the evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from modelight.engine.findings.evidence import Evidence
from modelight.protocol import Finding, Remedy

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


def set_eval(paths: Sequence[str], id_: str = "set-eval") -> Remedy:
    """Put these modules (each with all below it) in eval."""
    return Remedy(id_, list(paths), False, eval_lines(paths))


def eval_lines(paths: Sequence[str]) -> list[str]:
    """The same as Python."""
    if list(paths) == [""]:
        return ["model.eval()"]
    if len(paths) == 1:
        return [f"model.get_submodule({json.dumps(paths[0])}).eval()"]
    names = [json.dumps(path) for path in paths]
    tuple_ = [f"for path in ({', '.join(names)}):"]
    if len(tuple_[0]) > 100:
        tuple_ = ["for path in (", *(f"    {name}," for name in names), "):"]
    return [*tuple_, "    model.get_submodule(path).eval()"]


def named(paths: Sequence[str], limit: int = 3) -> list[str | float]:
    """The first few paths, for a sentence; the root as ``model``."""
    shown: list[str | float] = [path or "model" for path in paths[:limit]]
    return [*shown, "…"] if len(paths) > limit else shown
