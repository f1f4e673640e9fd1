"""The tree of modules as a Qt model: plain rows in, one node object per row, no reset when a flag changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from PySide6.QtCore import QAbstractItemModel, QCoreApplication, QModelIndex, QObject, QPersistentModelIndex, Qt

from modelight.widgets import numbers
from modelight.widgets.lamp import LampState

Tone = Literal["train", "eval", "none", "attention"]
Index = QModelIndex | QPersistentModelIndex


class Column(IntEnum):
    """Logical columns. The view shows MODE first: the lamps stand in a gutter at the left."""

    MODULE = 0
    MODE = 1
    EFFECT = 2
    PARAMETERS = 3
    REQUIRES_GRAD = 4
    SHAPE = 5


# Plain integers: converting Qt's enumerations at every call would double the time of a repaint.
DISPLAY = int(Qt.ItemDataRole.DisplayRole)
TOOLTIP = int(Qt.ItemDataRole.ToolTipRole)
ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)
NODE = int(Qt.ItemDataRole.UserRole)
"""The :class:`Node` of a row, for the delegate and the filter."""

_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True, slots=True)
class TreeRow:
    """What stays the same of a module. ``parent`` is the index of its parent's row, −1 for the root."""

    path: str
    name: str
    parent: int
    type: str
    parameters: int = 0
    reacts: bool = False
    """Whether the module itself acts differently in train and eval."""
    reacts_below: int = 0
    """How many modules in the subtree do, this one included."""
    notes: str = ""
    """What is remarkable about it, in sentences."""
    also_at: tuple[str, ...] = ()
    """Other paths of the same module."""
    has_statistics: bool = False
    """Whether a layer with running statistics is in the subtree."""
    own_train: bool = False
    """Its class overrides ``train()`` or ``eval()``."""


@dataclass(frozen=True, slots=True)
class TreeState:
    """What may change. ``training`` is None where the module has no flag."""

    training: bool | None
    effect: str = ""
    """In few words, for the column."""
    tone: Tone = "none"
    """Which mode the effect is of; ``attention`` for what acts against its flag."""
    trainable: int = 0
    """Elements of the subtree's parameters that require grad."""
    problem: str = ""
    """What is wrong with its own tensors, "" if nothing is."""
    remark: str = ""
    """Why the flag may not tell the whole story."""
    whole_effect: str = ""
    """The effect in as many words as it takes, where ``effect`` has fewer."""


class Node:
    """A row with its present state. ``lamp`` is what the subtree's flags come to."""

    __slots__ = ("children", "index", "lamp", "parent", "pending", "place", "row", "shape", "state")

    def __init__(self, index: int, row: TreeRow, state: TreeState) -> None:
        self.index = index
        self.row = row
        self.state = state
        self.parent: Node | None = None
        self.place = 0
        self.children: list[Node] = []
        self.lamp: LampState = "none"
        self.pending = False
        self.shape = ""

    @property
    def quiet(self) -> bool:
        """Whether mode has no effect on the module and everything below it, as far as is known."""
        return not (self.row.reacts or self.row.reacts_below or self.state.tone != "none")


class TreeModel(QAbstractItemModel):
    """The modules of one network. Owns its nodes, since Qt's indexes hold no reference to them."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._nodes: list[Node] = []
        self._roots: list[Node] = []
        self._by_path: dict[str, Node] = {}
        self._pending: set[Node] = set()

    # -- what the window says -----------------------------------------------------------------------------------------

    def set_rows(self, rows: Sequence[TreeRow], states: Sequence[TreeState]) -> None:
        """Show another network; ``states[i]`` belongs to ``rows[i]``. Parents come before their children."""
        self.beginResetModel()
        self._nodes = [Node(number, row, state) for number, (row, state) in enumerate(zip(rows, states, strict=True))]
        self._roots = []
        for node in self._nodes:
            node.parent = self._nodes[node.row.parent] if node.row.parent >= 0 else None
            siblings = node.parent.children if node.parent else self._roots
            node.place = len(siblings)
            siblings.append(node)
        self._by_path = {node.row.path: node for node in self._nodes}
        self._pending.clear()
        self._set_lamps()
        self.endResetModel()

    def store_states(self, states: Mapping[int, TreeState]) -> None:
        """Take new states by row index, and every row's lamp with them. Tells nobody yet (see :meth:`announce`)."""
        for index, state in states.items():
            self._nodes[index].state = state
        for node in self._pending:
            node.pending = False
        self._pending.clear()
        self._set_lamps()

    def store_pending(self, path: str, recursive: bool) -> None:
        """Mark modules whose new flag was asked for and has not been answered."""
        waiting = [self._by_path[path]]
        while waiting:
            node = waiting.pop()
            node.pending = True
            self._pending.add(node)
            if recursive:
                waiting.extend(node.children)

    def store_shapes(self, shapes: Mapping[int, str]) -> None:
        """Output shapes as text by row index; rows that are not named have none."""
        for node in self._nodes:
            node.shape = shapes.get(node.index, "")

    def announce(self, indexes: Iterable[QModelIndex]) -> None:
        """Tell views that these rows (any column) look different.

        A person sees a few dozen rows of perhaps 100 000, and a signal for each row would take over a second.
        """
        last = self.columnCount() - 1
        for index in indexes:
            self.dataChanged.emit(index.siblingAtColumn(0), index.siblingAtColumn(last), [DISPLAY, TOOLTIP, NODE])

    def _set_lamps(self) -> None:
        """Children come after their parents, so one pass from the end carries every flag up to the root."""
        has_train = [node.state.training is True for node in self._nodes]
        has_eval = [node.state.training is False for node in self._nodes]
        for node in reversed(self._nodes):
            train, evaluate, parent = has_train[node.index], has_eval[node.index], node.row.parent
            if parent >= 0:
                has_train[parent] |= train
                has_eval[parent] |= evaluate
            node.lamp = "mixed" if train and evaluate else "train" if train else "eval" if evaluate else "none"

    # -- looking up ---------------------------------------------------------------------------------------------------

    def nodes(self) -> Sequence[Node]:
        """All nodes in the order of the rows."""
        return self._nodes

    def node_of(self, path: str) -> Node | None:
        """The node at a module path."""
        return self._by_path.get(path)

    def index_of(self, path: str, column: Column = Column.MODULE) -> QModelIndex:
        """The index at a module path; invalid where there is none."""
        node = self._by_path.get(path)
        return self.createIndex(node.place, column, node.index) if node else QModelIndex()

    def siblings(self, parent: Index) -> Sequence[Node]:
        """The nodes below an index; the roots for an invalid one."""
        return self._nodes[parent.internalId()].children if parent.isValid() else self._roots

    def node(self, index: Index) -> Node:
        """The node behind a valid index."""
        return self._nodes[index.internalId()]

    # -- QAbstractItemModel -------------------------------------------------------------------------------------------

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        siblings = self.siblings(parent)
        if not (0 <= row < len(siblings) and 0 <= column < len(Column)) or parent.column() > 0:
            return QModelIndex()
        return self.createIndex(row, column, siblings[row].index)

    def parent(self, index: Index = QModelIndex()) -> Any:  # noqa: B008
        if not index.isValid():
            return QModelIndex()
        node = self.node(index).parent
        return self.createIndex(node.place, 0, node.index) if node else QModelIndex()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        if not parent.isValid():
            return len(self._roots)
        return len(self.node(parent).children) if parent.column() == 0 else 0

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return len(Column)

    def data(self, index: Index, role: int = DISPLAY) -> Any:
        if not index.isValid():
            return None
        if role == NODE:
            return self.node(index)
        if role in (DISPLAY, ACCESSIBLE):
            return _text(self.node(index), index.column())
        if role == TOOLTIP:
            return _tooltip(self.node(index))
        if role == ALIGNMENT and index.column() == Column.PARAMETERS:
            return _RIGHT
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = DISPLAY) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == ALIGNMENT:
            return _RIGHT if section == Column.PARAMETERS else None
        return self._titles()[section] if role == DISPLAY else None

    def _titles(self) -> tuple[str, ...]:
        return (
            self.tr("Module"),
            self.tr("Mode"),
            self.tr("Effect"),
            self.tr("Params"),
            "requires_grad",
            self.tr("Output shape"),
        )


def _tr(text: str) -> str:
    return QCoreApplication.translate("TreeModel", text)


def mode_word(node: Node) -> str:
    """The word that stands beside a lamp."""
    if node.lamp == "mixed":
        return _tr("mixed")
    return {"train": "train", "eval": "eval"}.get(node.lamp, "–")


def grad_text(node: Node) -> str:
    """How much of the subtree's parameters requires grad."""
    if not node.row.parameters:
        return "–"
    if node.state.trainable in (0, node.row.parameters):
        return _tr("yes") if node.state.trainable else _tr("no")
    return _tr("{0} of {1}").format(numbers.count(node.state.trainable), numbers.count(node.row.parameters))


def _text(node: Node, column: int) -> str:
    if column == Column.MODULE:
        return node.row.name
    if column == Column.MODE:
        return mode_word(node)
    if column == Column.EFFECT:
        return node.state.effect
    if column == Column.PARAMETERS:
        return numbers.count(node.row.parameters) if node.row.parameters else "–"
    return grad_text(node) if column == Column.REQUIRES_GRAD else node.shape


def _tooltip(node: Node) -> str:
    lines = [f"{node.row.path or node.row.name} · {node.row.type}", node.state.whole_effect or node.state.effect]
    lines += [node.state.problem, node.state.remark, node.row.notes]
    if node.row.also_at:
        lines.append(_tr("The same module is also at {0}.").format(", ".join(node.row.also_at)))
    return "\n".join(line for line in lines if line)
