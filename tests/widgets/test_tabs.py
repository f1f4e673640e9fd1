"""The tabs of the pages: each is one click away, or two where the pane is narrow."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from modelight.widgets.tabs import PageTabs

NAMES = ("Output", "Dropout", "Statistics", "Layers", "Compare", "Gradients", "Experiments", "Console")


@pytest.fixture
def tabs(qtbot: QtBot) -> PageTabs:
    made = PageTabs()
    qtbot.addWidget(made)
    for name in NAMES:
        made.addTab(name)
    made.resize(900, 36)
    made.show()
    qtbot.waitExposed(made)
    return made


def visible(tabs: PageTabs) -> list[str]:
    return [tabs.tabText(index) for index in range(tabs.count()) if tabs.isTabVisible(index)]


def more(tabs: PageTabs) -> list[str]:
    return [action.text() for action in tabs.more.fill().actions()] if tabs.more.isVisible() else []


@pytest.mark.parametrize("width", [900, 640, 482, 380, 200])
def test_every_page_is_a_tab_or_in_the_menu_and_nothing_is_cut(tabs: PageTabs, width: int) -> None:
    tabs.resize(width, 36)
    for index in range(tabs.count()):
        tabs.setCurrentIndex(index)
        assert tabs.currentIndex() == index
        assert sorted(visible(tabs) + more(tabs)) == sorted(NAMES)
        assert tabs.tabText(index) in visible(tabs)
        ends = [tabs.tabRect(place).right() for place in range(tabs.count()) if tabs.isTabVisible(place)]
        limit = tabs.more.x() if tabs.more.isVisible() else width
        assert max(ends) < limit
    assert bool(more(tabs)) == (width < 600)


def test_the_menu_opens_its_pages(tabs: PageTabs, qtbot: QtBot) -> None:
    tabs.resize(482, 36)
    tabs.setCurrentIndex(0)
    action = next(action for action in tabs.more.fill().actions() if action.text() == "Console")
    with qtbot.waitSignal(tabs.currentChanged):
        action.trigger()
    assert tabs.tabText(tabs.currentIndex()) == "Console"
    assert "Console" in visible(tabs) and "Output" in visible(tabs)
    tabs.resize(900, 36)
    assert visible(tabs) == list(NAMES)
    assert not tabs.more.isVisible()


def test_the_tabs_ask_for_little_room(tabs: PageTabs) -> None:
    assert tabs.minimumSizeHint().width() < 240
