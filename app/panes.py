"""Tree, pages and findings side by side."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

NARROW, WIDE = 1024, 1400
"""Widths of the window between which the panes at the sides grow."""
TREE, PAGES, FINDINGS = (300, 448), 380, (240, 328)
"""(least, most) width of the panes at the sides, least width of the one between them."""


def pane_widths(width: int) -> list[int]:
    """Widths of the three panes in a window of ``width``, in logical pixels."""
    share = min(max((width - NARROW) / (WIDE - NARROW), 0.0), 1.0)
    tree, findings = (round(least + share * (most - least)) for least, most in (TREE, FINDINGS))
    return [tree, max(PAGES, width - tree - findings - 2), findings]


class Panes(QSplitter):
    """In a narrow window all three give way, until a person moves one: from then on their sizes are that person's."""

    def __init__(self, tree: QWidget, pages: QWidget, findings: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setHandleWidth(1)
        self.setChildrenCollapsible(False)
        for number, (pane, least) in enumerate(((tree, TREE[0]), (pages, PAGES), (findings, FINDINGS[0]))):
            pane.setMinimumWidth(least)
            self.addWidget(pane)
            self.setStretchFactor(number, 1 if number == 1 else 0)
        self.moved = False
        self.splitterMoved.connect(self._on_moved)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not self.moved:
            self.setSizes(pane_widths(self.width()))

    def _on_moved(self) -> None:
        self.moved = True
