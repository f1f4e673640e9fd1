"""From :class:`protocol.Gradients` to what the Gradients page shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelight.phrases import phrase
from modelight.protocol import GradientCut, Gradients, ModuleGradient, Ratio, Row
from modelight.widgets.gradients_data import CutLine, GradientRow, GradientsData, Times

NAMES = 4
"""Parameters that are named where several are concerned."""


def gradients_data(
    found: Gradients, rows: Sequence[Row], grad_mode: str, model: str = "", *, outdated: bool = False
) -> GradientsData:
    """The page. ``grad_mode`` is the session's, ``model`` names the root."""
    modules = {one.row: one for one in found.modules}
    kept, frozen = _kept(modules, rows), _frozen(modules, rows)
    containers = {rows[row].parent for row in modules}
    return GradientsData(
        rows=tuple(
            _row(one, rows[row], model, kept[row], frozen[row], row not in containers) for row, one in modules.items()
        ),
        cuts=tuple(_cut(cut) for cut in found.cuts),
        samples=found.samples,
        seed=found.seed,
        scalar=phrase(found.scalar) if found.scalar is not None else "",
        value=found.value,
        problem=phrase(found.problem) if found.problem is not None else "",
        parameters=found.parameters,
        trainable=found.trainable,
        received=found.received,
        zero=found.zero,
        unreached=tuple(found.unreached),
        unexplained=_unexplained(found),
        kept=found.autograd.kept,
        forward=_times(found.forward),
        backward=_times(found.backward),
        milliseconds=found.milliseconds,
        watched=found.watched,
        grad_mode=grad_mode,
        all_eval=not found.train and found.eval > 0,
        outdated=outdated,
    )


def _unexplained(found: Gradients) -> tuple[str, ...]:
    explained = {name for cut in found.cuts for name in cut.parameters}
    if any(cut.count > len(cut.parameters) for cut in found.cuts):
        return ()  # their names are not all here
    return tuple(name for name in found.unreached if name not in explained)


def _kept(modules: Mapping[int, ModuleGradient], rows: Sequence[Row]) -> dict[int, int]:
    """Bytes of whole subtrees: what a module saved itself, and what those below it did."""
    total = {row: one.saved for row, one in modules.items()}
    for row in sorted(modules, reverse=True):  # children come after their parents
        parent = rows[row].parent
        if parent in total:
            total[parent] += total[row]
    return total


def _frozen(modules: Mapping[int, ModuleGradient], rows: Sequence[Row]) -> dict[int, bool]:
    """Whether a module's parameters are frozen, all of them; one without parameters is as frozen as what it is in."""
    found: dict[int, bool] = {}
    for row in sorted(modules):
        one = modules[row]
        found[row] = one.trainable == 0 if one.parameters else found.get(rows[row].parent, False)
    return found


def _row(one: ModuleGradient, row: Row, model: str, kept: int, frozen: bool, leaf: bool) -> GradientRow:
    return GradientRow(
        path=row.path,
        name=row.name or model or row.type,
        type=row.type,
        parameters=one.parameters,
        trainable=one.trainable,
        received=one.received,
        zero=one.zero,
        norm=one.norm,
        kept=kept,
        grad_fn=one.grad_fn,
        calls=one.calls,
        cut=one.cut,
        grad_off=one.grad_off,
        moves=one.moves if frozen else 0,
        leaf=leaf,
    )


def _cut(cut: GradientCut) -> CutLine:
    source = re.split(r"[/\\]", cut.source)[-1] if cut.source else ""
    return CutLine(cut.reason, cut.operator, cut.module, source, cut.count, tuple(cut.parameters[:NAMES]))


def _times(ratio: Ratio | None) -> Times | None:
    return None if ratio is None else Times(ratio.median, ratio.low, ratio.high, ratio.pairs)
