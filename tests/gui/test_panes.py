"""The panes share a narrow window; once moved by a person they stay as they are."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from modelight.panes import Panes, pane_widths
from modelight.shot import Offscreen


@pytest.mark.parametrize(
    ("width", "tree", "findings"), [(1024, 300, 240), (1212, 374, 284), (1400, 448, 328), (1920, 448, 328)]
)
def test_the_sides_give_way_in_a_narrow_window(qtbot: QtBot, width: int, tree: int, findings: int) -> None:
    assert pane_widths(width) == [tree, width - tree - findings - 2, findings]
    panes = Panes(QWidget(), QWidget(), QWidget())
    qtbot.addWidget(panes)
    panes.resize(width, 400)
    panes.show()
    assert panes.sizes() == pane_widths(width)


def test_what_a_person_chose_stays(qtbot: QtBot) -> None:
    panes = Panes(QWidget(), QWidget(), QWidget())
    qtbot.addWidget(panes)
    panes.resize(1440, 400)
    panes.show()
    panes.moveSplitter(350, 1)
    panes.resize(1200, 400)
    assert panes.sizes()[0] == 350


def test_a_wide_window_becomes_narrow_in_one_go(stage: Offscreen) -> None:
    stage.window.resize(1440, 900)
    stage.window.resize(1100, 700)
    assert stage.window.width() == 1100
