"""The ledger window: follows the newest run while it is open."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from modelight.pages import Pages
from modelight.present.ledger import ledger_data
from modelight.session import Session
from modelight.widgets.ledger_panel import LedgerPanel


class LedgerWindow(QWidget):
    """Each tensor that the last run changed, or would have."""

    def __init__(self, session: Session, pages: Pages, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("ledger-window")
        self.setWindowTitle(self.tr("What the run changed — Modelight"))
        self._pages = pages
        self.panel = LedgerPanel()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.panel)
        self.resize(640, 480)
        for news in (session.cycle.frame, session.cycle.restarted, session.opening):
            news.connect(self.refresh)  # after the pages, which were connected before
        self.refresh()

    def refresh(self) -> None:
        """Show the newest run."""
        self.panel.set_data(ledger_data(self._pages.seen.history.newest))

    def retheme(self) -> None:
        """The theme has changed."""
        self.panel.update()
