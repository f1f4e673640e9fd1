"""The selection at the foot of the tree, the welcome page and the tab bar."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QRect, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from modelight.widgets.labels import ElidedLabel
from modelight.widgets.selection_pane import Selection, SelectionLine, SelectionPane
from modelight.widgets.tabs import PageTabs
from modelight.widgets.welcome import WelcomePage, WelcomeRow

from .conftest import Picture

LEFT = Qt.MouseButton.LeftButton
LINES = tuple(SelectionLine(f"Name {number}", f"value {number}") for number in range(6))


def texts(pane: SelectionPane) -> list[str]:
    return [label.text() for label in pane.findChildren(ElidedLabel)]


def test_the_selection_shows_its_lines_in_their_order_and_keeps_its_height(qtbot: QtBot) -> None:
    pane = SelectionPane()
    qtbot.addWidget(pane)
    pane.resize(448, 180)
    empty = pane.sizeHint().height()
    pane.set_selection(Selection("features.8", "BatchNorm2d", "train", False, LINES))
    shown = texts(pane)
    assert shown[:2] == ["features.8", "BatchNorm2d"]
    assert [text for text in shown if text.startswith("value")] == [line.value for line in LINES]
    assert Picture(pane).holds("train_mark", QRect(12, 12, 13, 16))
    assert pane.sizeHint().height() == empty
    pane.set_selection(Selection("drop", lines=LINES[:2]))
    assert sum(text.startswith("value") for text in texts(pane)) == 2
    pane.set_selection(None)
    assert not any(texts(pane))
    assert not Picture(pane).holds("train_mark")


def test_long_values_are_cut_and_whole_in_the_tooltip(qtbot: QtBot) -> None:
    label = ElidedLabel(12)
    qtbot.addWidget(label)
    label.setText("reads its training flag at model.py:120")
    label.resize(400, 16)
    label.show()
    assert label.toolTip() == ""
    label.resize(80, 16)
    QApplication.processEvents()
    assert label.toolTip() == label.text()


@pytest.fixture
def page(qtbot: QtBot) -> WelcomePage:
    page = WelcomePage()
    qtbot.addWidget(page)
    page.resize(900, 700)
    page.set_samples(
        [WelcomeRow("digits_cnn", "digits_cnn", "A lesson. " * 20), WelcomeRow("lstm", "lstm", "Another.")]
    )
    page.show()
    qtbot.waitExposed(page)
    return page


def entry(page: WelcomePage, key: str) -> QPushButton:
    found = page.findChild(QPushButton, f"open-{key}")
    assert isinstance(found, QPushButton)
    return found


def test_a_click_on_a_sample_chooses_it(page: WelcomePage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(page.sample_chosen) as chosen:
        qtbot.mouseClick(entry(page, "lstm"), LEFT)
    assert chosen.args == ["lstm"]
    with qtbot.waitSignal(page.open_requested):
        qtbot.mouseClick(entry(page, "model"), LEFT)
    with qtbot.waitSignal(page.inspect_requested):
        qtbot.mouseClick(entry(page, "checkpoint"), LEFT)


def test_lessons_are_shown_whole(page: WelcomePage) -> None:
    QApplication.processEvents()
    long, short = entry(page, "digits_cnn"), entry(page, "lstm")
    assert long.height() == long.heightForWidth(long.width()) > short.height() >= 50


def test_recent_models_appear_with_their_title(page: WelcomePage, qtbot: QtBot) -> None:
    title = next(label for label in page.findChildren(QLabel) if label.text() == "Recent")
    assert title.isHidden()
    page.set_recent([WelcomeRow("0", "resnet18", "/models")])
    QApplication.processEvents()
    assert not title.isHidden()
    assert entry(page, "0").height() >= 50
    with qtbot.waitSignal(page.recent_chosen) as chosen:
        qtbot.mouseClick(entry(page, "0"), LEFT)
    assert chosen.args == ["0"]


def test_files_can_be_dropped(page: WelcomePage, qtbot: QtBot) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/models/net.py"), QUrl("https://example.org/x.pt")])
    copy, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    entering = QDragEnterEvent(QPoint(5, 5), copy, data, LEFT, none)
    page.dragEnterEvent(entering)
    assert entering.isAccepted()
    with qtbot.waitSignal(page.files_dropped) as dropped:
        page.dropEvent(QDropEvent(QPointF(5, 5), copy, data, LEFT, none))
    assert dropped.args == [["/models/net.py"]]


def test_text_alone_cannot_be_dropped(page: WelcomePage) -> None:
    data = QMimeData()
    data.setText("hello")
    entering = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    entering.ignore()
    page.dragEnterEvent(entering)
    assert not entering.isAccepted()


def test_tabs_keep_their_places_and_underline_the_present_one(qtbot: QtBot) -> None:
    tabs = PageTabs()
    qtbot.addWidget(tabs)
    for text in ("Output", "Dropout", "Statistics"):
        tabs.addTab(text)
    tabs.resize(500, 36)
    before = [tabs.tabRect(index) for index in range(3)]
    with qtbot.waitSignal(tabs.currentChanged):
        qtbot.mouseClick(tabs, LEFT, pos=tabs.tabRect(1).center())
    assert [tabs.tabRect(index) for index in range(3)] == before
    shot = Picture(tabs)
    place = tabs.tabRect(1)
    assert shot.count("ink", QRect(place.left(), 34, place.width(), 2)) == 2 * place.width()
    assert not shot.holds("ink", QRect(tabs.tabRect(0).left(), 34, tabs.tabRect(0).width() - 1, 2))
