"""What one run has shown of modules that the catalogue does not know: for the tree, by ``Rows.hear``."""

from __future__ import annotations

from collections.abc import Sequence

from modelight.engine.modules.rows import Rows
from modelight.protocol import Clause, DropoutCapture

_NOT_SURE = ("", "frozen_norm")
"""Kinds that were told from the class's own code alone: a helper may have read the flag for it."""


def of(rows: Rows, reads: Sequence[Clause], dropouts: Sequence[DropoutCapture]) -> dict[str, list[Clause]]:
    """What to say of which module: ``reads-flag`` {source}, and ``drops-always`` {p, source} for a dropout that was
    active and does not follow the flag.

    Args:
        reads: ``flag-read`` {path, source, count}, as in ``Frame.reads``.
        dropouts: as in ``Frame.dropouts``.
    """
    found: dict[str, list[Clause]] = {}
    kinds = {row.path: row.kind for row in rows.rows}
    for read in reads:
        path = str(read.values["path"])
        if kinds.get(path) in _NOT_SURE:
            _add(found, path, Clause("reads-flag", {"source": read.values["source"]}))
    for drop in dropouts:
        if drop.follows_flag is False and drop.active and drop.row >= 0:
            _add(found, rows.paths[drop.row], Clause("drops-always", {"p": drop.p, "source": drop.source}))
    return found


def _add(found: dict[str, list[Clause]], path: str, clause: Clause) -> None:
    clauses = found.setdefault(path, [])
    if clause not in clauses:
        clauses.append(clause)
