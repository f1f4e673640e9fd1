"""The ledger window over a real run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from modelight.ledger_view import LedgerWindow
from modelight.shot import Offscreen, demo_setup

After = Callable[[Offscreen, Callable[[], Any]], None]


def test_the_status_bar_opens_the_ledger_and_it_follows_the_runs(stage: Offscreen, after: After) -> None:
    after(stage, lambda: stage.session.open(demo_setup()))
    bar = stage.window.status
    bar.grab()
    QTest.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.trace_rect().center().toPoint())
    window = stage.window.findChild(LedgerWindow)
    assert window is not None and window.isVisible()
    rows = {row.path: row for row in window.panel.model.rows()}
    assert rows["features.1.running_var"].fate == "put back"
    assert float(rows["features.1.running_var"].change) > 0
    assert "bit for bit" in window.panel.verdict.text()
    after(stage, lambda: stage.session.preset("eval"))
    assert not any(row.type == "buffer" for row in window.panel.model.rows())
    window.close()
    after(stage, lambda: stage.session.preset("train"))  # the window is gone, and hears nothing any more
