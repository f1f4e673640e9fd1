"""From the engine's rows and states to those of the module tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from modelight.phrases import phrase, short_phrase
from modelight.protocol import Clause, Frame, Row, RowState
from modelight.widgets.numbers import shape
from modelight.widgets.tree_model import Tone, TreeRow, TreeState

_REMARKS = {"needs-more-than-one-value", "untouched-statistics"}
"""What is worth knowing about a module's tensors, but breaks nothing by itself."""
_WITH_STATISTICS = {"batch_norm", "instance_norm"}
AGAINST_FLAG = {"drops-always"}
"""Effects that no flag switches off: in eval they ask for attention."""
_OF_NOTHING = {"no-effect", "no-effect-known"}
"""Effects that hold of a module only as long as nothing else is known of it."""
_OF_CHILDREN = {"layers-react", "layer-reacts"}
READS_FLAG = {"reads-flag", "script-reads-flag"}
"""Effects that a run has heard: what the flag does is not known, but it does something."""


def tree_rows(rows: Sequence[Row], model: str) -> list[TreeRow]:
    """One tree row per row; the root is called ``model``."""
    statistics = [row.kind in _WITH_STATISTICS for row in rows]
    for index in range(len(rows) - 1, 0, -1):
        statistics[rows[index].parent] |= statistics[index]
    return [_row(row, model, has) for row, has in zip(rows, statistics, strict=True)]


def tree_states(states: Iterable[RowState], rows: Sequence[Row], batch: int = 0) -> dict[int, TreeState]:
    """States by row index, as :meth:`ModuleTree.update_states` takes them.

    Args:
        batch: samples per forward of the next run; 0 if nobody knows.
    """
    return {state.index: _state(state, rows[state.index], batch) for state in states}


def _of_one(state: RowState, row: Row, batch: int) -> list[Clause]:
    """Before a run of one sample per forward: that the layer may raise "Expected more than 1 value per channel".

    Said of BatchNorm1d, whose input often has no length. The others have one value per channel only where the input is
    1 × 1, which is not known before the run.
    """
    uses_batch = any(clause.id.startswith("batch-stats") for clause in state.effect)
    if batch != 1 or not uses_batch or row.type not in ("BatchNorm1d", "LazyBatchNorm1d"):
        return []
    return [Clause("needs-more-than-one-value", {"type": row.type})]


def tree_shapes(frame: Frame | None) -> Mapping[int, str]:
    """Output shapes of the last run, by row index."""
    return {one.row: shape(one.shape) for one in frame.modules if one.calls} if frame is not None else {}


def effect_text(clauses: Iterable[Clause]) -> str:
    """What a module does, in full."""
    return " · ".join(phrase(clause) for clause in _first_against_flag(_telling(clauses, _OF_NOTHING)))


def effect_words(clauses: Iterable[Clause]) -> str:
    """What a module does, in the words of the effect column."""
    said = _first_against_flag(_telling(clauses, _OF_NOTHING | _OF_CHILDREN))
    always = [clause for clause in said if clause.id in AGAINST_FLAG]
    if len(always) > 1:  # the column has room for one of them
        said = [Clause("drops-always-many", {"count": len(always)}), *said[len(always) :]]
    return " · ".join(short_phrase(clause) for clause in said)


def _first_against_flag(clauses: list[Clause]) -> list[Clause]:
    """Where words are cut, what no flag switches off must not be among them."""
    return sorted(clauses, key=lambda clause: clause.id not in AGAINST_FLAG)


def _telling(clauses: Iterable[Clause], weak: set[str]) -> list[Clause]:
    """Without what the ``weak`` ones say, unless that is all."""
    said = list(clauses)
    return [clause for clause in said if clause.id not in weak] or said


def _row(row: Row, model: str, has_statistics: bool) -> TreeRow:
    return TreeRow(
        path=row.path,
        name=row.name or row.path.rpartition(".")[2] or model,
        parent=row.parent,
        type=row.type,
        parameters=row.parameters,
        reacts=row.sensitive,
        reacts_below=row.sensitive_below,
        notes=" ".join(phrase(note) for note in row.notes),
        also_at=tuple(row.also_at),
        has_statistics=has_statistics,
        own_train=any(note.id in ("overrides-train", "overrides-eval") for note in row.notes),
    )


def _state(state: RowState, row: Row, batch: int) -> TreeState:
    problems = [phrase(mark) for mark in state.marks if mark.id not in _REMARKS]
    remarks = [phrase(mark) for mark in [*state.marks, *_of_one(state, row, batch)] if mark.id in _REMARKS]
    return TreeState(
        training=state.training,
        effect=effect_words(state.effect),
        whole_effect=effect_text(state.effect),
        tone=_tone(state, row),
        trainable=state.trainable,
        problem="; ".join(problems),
        remark="; ".join(remarks),
    )


def _tone(state: RowState, row: Row) -> Tone:
    said = {clause.id for clause in state.effect}
    always = bool(said & AGAINST_FLAG)
    if state.training is False and always:
        return "attention"
    # What a run has shown of a module stands in its state alone: the row keeps what was known when it was made.
    reacts = row.sensitive or always or bool(said & READS_FLAG) or state.effect != state.other
    if not reacts or state.training is None:
        return "none"
    return "train" if state.training else "eval"
