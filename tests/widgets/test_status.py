"""The status bar, the bars above the pages, and the console."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.banner import Banner, ProgressStrip
from modelight.widgets.console import LINES, Console
from modelight.widgets.status import Status, StatusBar

from .conftest import Picture

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def bar(qtbot: QtBot) -> StatusBar:
    bar = StatusBar()
    qtbot.addWidget(bar)
    bar.resize(1440, 26)
    return bar


@pytest.fixture
def console(qtbot: QtBot) -> Console:
    console = Console()
    qtbot.addWidget(console)
    console.resize(600, 300)
    return console


def test_segments_in_their_order(bar: StatusBar) -> None:
    bar.setValue(Status(14, 0, "output requires_grad = False", 0, 0.78, (4, 8), "", 0, 9))
    assert bar.segments() == [
        "14 train · 0 eval",
        "output requires_grad = False",
        "autograd keeps 0\u00a0B",
        "0.78\u00a0ms",
        "accuracy 50\u00a0%, 4 of 8",
    ]
    assert bar.trace_text() == "Run left no trace: 9 buffers put back"
    assert "4 of 8" in bar.accessibleName() and "9 buffers" in bar.accessibleName()


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (Status(), ""),
        (Status(1, 1, parameters_put_back=0, buffers_put_back=0), "Run left no trace: nothing would have changed"),
        (
            Status(1, 1, parameters_put_back=2, buffers_put_back=1),
            "Run left no trace: 2 parameters, 1 buffer put back",
        ),
        (Status(1, 1, buffers_put_back=3, parameters_put_back=0, kept_passes=20), "Keeping updates: 20 passes so far"),
        (Status(1, 1, kept_passes=1), "Keeping updates: 1 pass so far"),
        (Status(1, 1, kept_passes=2, keeping=False), "Updates of 2 passes were kept"),
        (Status(1, 1, kept_passes=0, kept_before=3), "Keeping updates: 0 passes so far; the restart undid 3"),
        (Status(1, 1, kept_passes=2, lost="w could not be put back."), "w could not be put back."),
    ],
)
def test_what_a_run_left_behind(bar: StatusBar, status: Status, text: str) -> None:
    bar.setValue(status)
    assert bar.trace_text() == text


def test_what_was_not_measured_is_left_out(bar: StatusBar) -> None:
    bar.setValue(Status(3, 2))
    assert bar.segments() == ["3 train · 2 eval"]
    assert bar.value() == Status(3, 2)


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=lambda tokens: tokens.name)
def test_the_lamp_and_the_magenta_of_kept_updates(
    bar: StatusBar, tokens: theme.Tokens, dressed: Callable[[theme.Tokens], None]
) -> None:
    dressed(tokens)
    bar.setValue(Status(14, 0, parameters_put_back=0, buffers_put_back=9))
    lamp, right = QRect(12, 7, 13, 13), QRect(1000, 0, 440, 26)
    assert Picture(bar).holds("train_mark", lamp) and not Picture(bar).holds("eval_mark", lamp)
    assert Picture(bar).holds("confirmed", right) and not Picture(bar).holds("attention", right)
    bar.setValue(Status(2, 12, kept_passes=20))
    assert Picture(bar).holds("train_mark", lamp) and Picture(bar).holds("eval_mark", lamp)
    assert Picture(bar).holds("attention", right) and not Picture(bar).holds("confirmed", right)


def test_in_a_narrow_bar_nothing_overlaps(bar: StatusBar) -> None:
    bar.setValue(Status(14, 0, "output requires_grad = False", 0, 0.78, (4, 8), "slow path (observed)", 0, 9))
    bar.resize(520, 26)
    shot = Picture(bar)
    # Between the last segment that fits and the tick stands a gap of plain ground.
    columns = [all(shot.at(x, y) == theme.color("chrome") for y in range(2, 26)) for x in range(bar.width())]
    tick = next(x for x in range(bar.width()) if shot.holds("confirmed", QRect(x, 2, 1, 24)))
    assert all(columns[tick - 10 : tick - 3])


def test_a_banner_says_its_sentence_and_offers_its_buttons(qtbot: QtBot) -> None:
    banner = Banner()
    qtbot.addWidget(banner)
    assert banner.isHidden() and banner.text() == ""
    banner.show_message("problem", "The model process ended.", "Traceback", [("restart", "Restart")])
    assert banner.text() == "The model process ended."
    assert Picture(banner).holds("attention_tint")
    with qtbot.waitSignal(banner.button_pressed) as pressed:
        qtbot.mouseClick(banner.button("restart"), LEFT)
    assert pressed.args == ["restart"]
    details, text = banner.findChild(QPushButton, "banner-details"), banner.findChild(QPlainTextEdit)
    assert isinstance(details, QPushButton) and isinstance(text, QPlainTextEdit)
    assert not text.isVisible()
    qtbot.mouseClick(details, LEFT)
    assert text.isVisible() and text.toPlainText() == "Traceback" and text.isReadOnly()
    dismiss = banner.findChild(QPushButton, "banner-dismiss")
    assert isinstance(dismiss, QPushButton)
    with qtbot.waitSignal(banner.dismissed):
        qtbot.mouseClick(dismiss, LEFT)
    assert banner.isHidden()


def test_the_next_message_forgets_the_last_ones_buttons_and_details(qtbot: QtBot) -> None:
    banner = Banner()
    qtbot.addWidget(banner)
    banner.show_message("problem", "One.", "Traceback", [("restart", "Restart")])
    banner.show_message("notice", "Two.")
    with pytest.raises(KeyError):
        banner.button("restart")
    details = banner.findChild(QPushButton, "banner-details")
    assert isinstance(details, QPushButton) and details.isHidden()
    banner.clear()
    assert banner.text() == ""


def test_progress_can_be_cancelled_and_pretends_nothing(qtbot: QtBot) -> None:
    strip = ProgressStrip()
    qtbot.addWidget(strip)
    strip.resize(600, 40)
    strip.show_progress("Loading", 0.5)
    assert Picture(strip).holds("ink")
    strip.show_progress("Importing")
    assert not Picture(strip).holds("ink")
    cancel = strip.findChild(QPushButton, "progress-cancel")
    assert isinstance(cancel, QPushButton)
    with qtbot.waitSignal(strip.cancel_requested):
        qtbot.mouseClick(cancel, LEFT)
    strip.clear()
    assert strip.isHidden()


def test_the_console_joins_halves_of_lines(console: Console) -> None:
    for chunk in ("epoch", " 1\nepoch 2", "\r\n", "done"):
        console.append(chunk)
    assert console.text() == "epoch 1\nepoch 2\ndone"


def test_a_progress_bar_stays_on_its_line(console: Console) -> None:
    for chunk in (" 10%|#", "\r 20%|##", "\r", " 30%|###\n", "next"):
        console.append(chunk)
    assert console.text() == " 30%|###\nnext"


def test_escape_sequences_go_even_when_cut_in_two(console: Console) -> None:
    console.append("\x1b[31mred\x1b[0m \x1b[")
    console.append("1mbold\x1b[0m")
    assert console.text() == "red bold"


def test_the_console_is_capped_and_reads_only(console: Console) -> None:
    console.append("".join(f"{number}\n" for number in range(LINES + 500)))
    lines = console.text().splitlines()
    assert len(lines) <= LINES and lines[-1] == str(LINES + 499)
    view = console.findChild(QPlainTextEdit)
    assert isinstance(view, QPlainTextEdit) and view.isReadOnly()


def test_one_endless_line_is_broken(console: Console) -> None:
    for _ in range(30):
        console.append("x" * 1_000)
    assert max(map(len, console.text().splitlines())) <= 10_000 + 1_000
    assert console.text().count("x") == 30_000


def test_copy_and_clear(console: Console, qtbot: QtBot) -> None:
    console.append("a warning")
    copy, clear = console.findChild(QPushButton, "console-copy"), console.findChild(QPushButton, "console-clear")
    assert isinstance(copy, QPushButton) and isinstance(clear, QPushButton)
    qtbot.mouseClick(copy, LEFT)
    assert QGuiApplication.clipboard().text() == "a warning"
    qtbot.mouseClick(clear, LEFT)
    assert console.text() == ""


def test_who_reads_above_is_not_dragged_down(console: Console, qtbot: QtBot) -> None:
    console.show()
    qtbot.waitExposed(console)
    console.append("line\n" * 200)
    view = console.findChild(QPlainTextEdit)
    assert isinstance(view, QPlainTextEdit)
    bar = view.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    bar.setValue(10)
    console.append("more\n" * 5)
    assert bar.value() == 10


def test_the_trace_is_a_link_to_the_ledger(qtbot: QtBot) -> None:
    bar = StatusBar()
    qtbot.addWidget(bar)
    bar.resize(900, 26)
    bar.setValue(Status(1, 1, buffers_put_back=3, parameters_put_back=0))
    bar.show()
    qtbot.waitExposed(bar)
    bar.grab()
    with qtbot.waitSignal(bar.trace_pressed):
        qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.trace_rect().center().toPoint())
    with qtbot.waitSignal(bar.trace_pressed):
        qtbot.keyClick(bar, Qt.Key.Key_Space)
    with qtbot.assertNotEmitted(bar.trace_pressed):
        qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=QPoint(20, 13))
    bar.setValue(Status(1, 1))
    bar.grab()
    with qtbot.assertNotEmitted(bar.trace_pressed):
        qtbot.keyClick(bar, Qt.Key.Key_Space)


def test_a_very_long_message_is_folded_and_stands_in_the_details(qtbot: QtBot) -> None:
    banner = Banner()
    qtbot.addWidget(banner)
    banner.resize(900, 400)
    text = "The run stopped in " + ".".join(["a_rather_long_module_name_that_nobody_would_shorten"] * 20)
    banner.show_message("problem", text)
    assert banner.sizeHint().height() < 100 and banner._text.heightForWidth(700) == 3 * 18
    assert banner.findChild(QPushButton, "banner-details").isVisibleTo(banner)
    details = banner.findChild(QPlainTextEdit)
    assert details is not None and details.toPlainText() == text
    banner.show_message("problem", "Short.", "Traceback")
    assert details.toPlainText() == "Traceback"


def test_the_details_take_the_room_that_they_need(qtbot: QtBot) -> None:
    banner = Banner()
    qtbot.addWidget(banner)
    banner.resize(800, 60)
    details = banner.findChild(QPlainTextEdit)
    assert details is not None
    heights = []
    for lines in (1, 4, 10, 200):
        banner.show_message("problem", "It failed.", "\n".join(["x" * 20] * lines))
        banner.show()
        qtbot.mouseClick(banner.findChild(QPushButton, "banner-details"), LEFT)
        heights.append(details.height())
        QApplication.processEvents()
        assert details.verticalScrollBar().isVisible() == (lines == 200)
    assert heights[0] < heights[1] < heights[2] == heights[3] < 200
