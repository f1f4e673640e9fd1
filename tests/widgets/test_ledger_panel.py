"""The ledger's rows, in the columns and colours that say what became of them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRect, QRectF
from pytestqt.qtbot import QtBot

from modelight.widgets.ledger_data import LedgerData, LedgerRow
from modelight.widgets.ledger_panel import LedgerPanel, columns

from .conftest import Picture

ROWS = (
    LedgerRow("features.1.running_mean", "buffer", "0.0213", "put back"),
    LedgerRow("big.weight", "parameter", "–", "not put back", lost=True, note="Its old values are lost."),
)


@pytest.fixture
def panel(qtbot: QtBot) -> LedgerPanel:
    made = LedgerPanel()
    qtbot.addWidget(made)
    made.resize(640, 300)
    made.set_data(LedgerData("All of it was put back.", "12 forwards", ROWS))
    made.show()
    qtbot.waitExposed(made)
    return made


def test_it_says_and_exports_every_row(panel: LedgerPanel) -> None:
    assert panel.heading.subtitle.text() == "12 forwards"
    assert panel.verdict.text() == "All of it was put back."
    assert not panel.notes.isVisible()
    assert list(panel.table().rows)[1] == (
        "big.weight",
        "parameter",
        "–",
        "not put back",
        "Its old values are lost.",
    )


def test_only_what_is_lost_asks_for_attention(panel: LedgerPanel) -> None:
    shown = Picture(panel.list.viewport())
    width = panel.list.viewport().width()
    assert not shown.holds("attention", QRect(0, 0, width, 46))
    assert shown.holds("attention", QRect(0, 46, width, 46))


@pytest.mark.parametrize("width", [400, 640, 1200])
def test_the_columns_do_not_touch(width: int) -> None:
    name, change, fate = columns(QRectF(0, 0, width, 46))
    assert name.width() > 100
    assert name.right() < change.left() and change.right() < fate.left() and fate.right() <= width - 20
