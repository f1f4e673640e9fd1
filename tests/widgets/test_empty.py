"""An empty page says what to do."""

from __future__ import annotations

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from modelight.widgets.empty import EmptyPage


def test_one_line_and_one_button(qtbot: QtBot) -> None:
    page = EmptyPage()
    qtbot.addWidget(page)
    page.resize(400, 300)
    page.set_text("Run the model to see its output.", "Run")
    page.show()
    qtbot.waitExposed(page)
    assert page.line.text() == "Run the model to see its output."
    with qtbot.waitSignal(page.pressed):
        qtbot.mouseClick(page.button, Qt.MouseButton.LeftButton)
    page.set_text("This model has no dropout.")
    assert not page.button.isVisibleTo(page)
