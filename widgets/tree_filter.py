"""Which rows of the module tree are shown: those that match, and the way up to them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractItemModel, QObject, QSortFilterProxyModel

from modelight.widgets.tree_model import Index, Node, TreeModel


class TreeFilter(QSortFilterProxyModel):
    """Keeps rows whose path or type holds all words of a text, and optionally only those that react to mode.

    One pass over the nodes decides for all rows beforehand; Qt then asks for a row's answer only.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source: TreeModel | None = None
        self._active = False
        self._words: list[str] = []
        self._only_reacting = False
        self._shown: list[bool] = []
        self._texts: list[str] = []

    def setSourceModel(self, source: QAbstractItemModel) -> None:
        # What was decided about other rows must not answer for new ones, however many there are.
        source.modelAboutToBeReset.connect(self._forget)
        self._source = source if isinstance(source, TreeModel) else None
        super().setSourceModel(source)

    def set_text(self, text: str) -> None:
        """Filter by words, in any case and order."""
        self._words = text.lower().split()
        self.refresh()

    def set_only_reacting(self, only: bool) -> None:
        """Whether to leave out what does not react to mode."""
        self._only_reacting = only
        self.refresh()

    def is_active(self) -> bool:
        """Whether anything could be left out."""
        return bool(self._words) or self._only_reacting

    def refresh(self) -> None:
        """Decide anew, also after the source's rows were replaced."""
        self.beginFilterChange()
        self._active = self.is_active()
        self._decide()
        self.endFilterChange()

    def matches(self) -> int:
        """How many rows match by themselves."""
        if not self._active:
            return len(self._nodes())
        return sum(self._matches(node) for node in self._nodes())

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        # Called once per row: 100 000 times for a large network, so it looks up and no more.
        if not self._active:
            return True
        source = self._source
        assert source is not None
        if len(self._shown) != len(source.nodes()):
            self._decide()
        return self._shown[source.siblings(source_parent)[source_row].index]

    def _forget(self) -> None:
        self._shown = []
        self._texts = []

    def _nodes(self) -> Sequence[Node]:
        return self._source.nodes() if self._source else []

    def _decide(self) -> None:
        nodes = self._nodes()
        if self._active and not self._texts:
            # Kept from one key stroke to the next.
            self._texts = [f"{node.row.path or node.row.name} {node.row.type}".lower() for node in nodes]
        self._shown = [self._matches(node) for node in nodes] if self._active else [True] * len(nodes)
        for node in reversed(nodes):
            if node.row.parent >= 0 and self._shown[node.index]:
                self._shown[node.row.parent] = True

    def _matches(self, node: Node) -> bool:
        if self._only_reacting and not node.row.reacts:
            return False
        if not self._words:
            return True
        text = self._texts[node.index]
        return all(word in text for word in self._words)
