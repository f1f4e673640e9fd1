"""Segments, buttons and the toolbar's controls, with real clicks and keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.buttons import Button, CheckBox, ComboBox
from modelight.widgets.controls import (
    BatchBox,
    InputButton,
    Labelled,
    LiveButton,
    ModelButton,
    RunButton,
    SeedBox,
    grad_control,
    mode_control,
)
from modelight.widgets.segments import SegmentedControl

from .conftest import Picture

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def mode(qtbot: QtBot) -> SegmentedControl:
    control = mode_control()
    qtbot.addWidget(control)
    control.show()
    qtbot.waitExposed(control)
    return control


def test_a_click_presses_one_segment_and_tells(mode: SegmentedControl, qtbot: QtBot) -> None:
    assert mode.value() == ""
    mode.setValue("train")
    with qtbot.waitSignal(mode.valueChanged) as told:
        qtbot.mouseClick(mode.button("eval"), LEFT)
    assert told.args == ["eval"]
    assert mode.value() == "eval"
    assert not mode.button("train").isChecked()


def test_set_value_tells_nobody(mode: SegmentedControl, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(mode.valueChanged):
        mode.setValue("mixed")
        mode.setValue("")
    assert mode.value() == ""


def test_a_disabled_segment_takes_no_click_and_keys_pass_over_it(mode: SegmentedControl, qtbot: QtBot) -> None:
    mode.setValue("train")
    mode.set_option_enabled("mixed", False)
    qtbot.mouseClick(mode.button("mixed"), LEFT)
    assert mode.value() == "train"
    with qtbot.waitSignal(mode.valueChanged) as told:
        qtbot.keyClick(mode.button("train"), Qt.Key.Key_Right)
    assert told.args == ["eval"]
    with qtbot.waitSignal(mode.valueChanged) as told:
        qtbot.keyClick(mode.button("eval"), Qt.Key.Key_Right)
    assert told.args == ["train"]


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=lambda tokens: tokens.name)
@pytest.mark.parametrize("value", ["train", "eval"])
def test_the_pressed_mode_has_its_tint_and_underline(
    mode: SegmentedControl, tokens: theme.Tokens, value: str, dressed: Callable[[theme.Tokens], None]
) -> None:
    dressed(tokens)
    mode.setValue(value)
    pressed = Picture(mode.button(value))
    assert pressed.holds(f"{value}_tint")
    assert pressed.at(30, 27) == theme.color(f"{value}_mark")
    other = Picture(mode.button("eval" if value == "train" else "train"))
    assert not other.holds(f"{value}_tint")


@pytest.mark.parametrize("value", ["", "train", "eval"])
def test_tab_stops_once_at_the_pressed_segment_and_moves_past(qtbot: QtBot, value: str) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    row = QHBoxLayout(holder)
    before, control, after = Button("before"), mode_control(), Button("after")
    for widget in (before, control, after):
        row.addWidget(widget)
    holder.show()
    holder.activateWindow()
    qtbot.waitUntil(holder.isActiveWindow)
    control.setValue(value)
    before.setFocus()
    qtbot.keyClick(before, Qt.Key.Key_Tab)
    stop = control.button(value or "train")
    assert QApplication.focusWidget() is stop
    qtbot.keyClick(stop, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is after


def test_grad_mode_borrows_no_colour_of_a_mode(qtbot: QtBot) -> None:
    grad = grad_control()
    qtbot.addWidget(grad)
    grad.setValue("no_grad")
    shot = Picture(grad)
    assert shot.holds("ink") and shot.holds("selection")
    for token in ("train_mark", "eval_mark", "train_tint", "eval_tint", "train_words", "eval_words"):
        assert not shot.holds(token)
    assert grad.value() == "no_grad"


def test_nothing_moves_when_another_segment_is_pressed(mode: SegmentedControl) -> None:
    places = []
    for value in ("train", "mixed", "eval"):
        mode.setValue(value)
        places.append([mode.button(name).geometry() for name in ("train", "mixed", "eval")])
    assert places[0] == places[1] == places[2]
    assert mode.height() == 28


def test_run_becomes_stop_in_the_same_place_and_width(qtbot: QtBot) -> None:
    run = RunButton()
    qtbot.addWidget(run)
    run.show()
    before = run.geometry()
    with qtbot.waitSignal(run.run_requested):
        qtbot.mouseClick(run, LEFT)
    run.set_running(True)
    assert (run.text(), run.is_running(), run.sizeHint()) == ("Stop", True, before.size())
    with qtbot.assertNotEmitted(run.run_requested), qtbot.waitSignal(run.stop_requested):
        qtbot.mouseClick(run, LEFT)


def test_live_shows_a_green_dot_only_while_on(qtbot: QtBot) -> None:
    live = LiveButton()
    qtbot.addWidget(live)
    assert not Picture(live).holds("confirmed")
    qtbot.mouseClick(live, LEFT)
    assert live.isChecked()
    assert Picture(live).around(QPointF(17, 14), "confirmed") > 20
    narrow = live.sizeHint().width()
    live.set_rate("0.4 per s")
    assert live.sizeHint().width() > narrow


def test_the_seed_and_its_fresh_toggle(qtbot: QtBot) -> None:
    seed = SeedBox()
    qtbot.addWidget(seed)
    seed.show()
    with qtbot.assertNotEmitted(seed.valueChanged):
        seed.setValue(7)
    field = seed.focusProxy()
    assert isinstance(field, QSpinBox)
    field.selectAll()
    qtbot.keyClicks(field, "12")
    with qtbot.waitSignal(seed.valueChanged) as told:
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert told.args == [12] and seed.value() == 12
    toggle = seed.findChild(QWidget, "fresh-seed")
    assert isinstance(toggle, QWidget)
    with qtbot.waitSignal(seed.freshToggled) as told:
        qtbot.mouseClick(toggle, LEFT)
    assert told.args == [True] and seed.is_fresh()


def test_a_long_seed_is_not_cut(qtbot: QtBot) -> None:
    seed = SeedBox()
    qtbot.addWidget(seed)
    seed.setValue(2_147_483_647)
    field = seed.focusProxy()
    assert field is not None
    assert field.width() > field.fontMetrics().horizontalAdvance("2147483647")


def test_the_batch_shows_its_number_and_the_wheel_needs_the_focus(qtbot: QtBot) -> None:
    batch = BatchBox()
    qtbot.addWidget(batch)
    batch.setValue(8)
    assert Picture(batch).holds("text")
    wheel = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(batch, wheel)
    assert batch.value() == 8


def test_the_checkpoint_gives_way_before_the_model(qtbot: QtBot) -> None:
    button = ModelButton()
    qtbot.addWidget(button)
    button.set_model("digits_cnn", "digits_cnn.pt")
    assert button.accessibleName() == "digits_cnn digits_cnn.pt"
    button.resize(button.sizeHint())
    assert Picture(button).holds("text2") and Picture(button).holds("text")
    button.resize(button.minimumSizeHint())
    left_of_chevron = Picture(button)
    assert left_of_chevron.holds("text")
    assert button.minimumSizeHint().width() < 130


def test_the_input_keeps_its_width_whatever_it_says(qtbot: QtBot) -> None:
    button = InputButton()
    qtbot.addWidget(button)
    before = button.sizeHint()
    button.setText("digits: 8 + noise: 4 + images: 12 + something long")
    assert button.sizeHint() == before
    assert button.toolTip().endswith("something long")


def test_remedies_that_set_a_mode_carry_its_edge(qtbot: QtBot) -> None:
    button = Button("Set eval", "eval", lamp="eval", height=26)
    qtbot.addWidget(button)
    button.resize(button.sizeHint())
    shot = Picture(button)
    assert shot.at(40, 0) == theme.color("eval_mark")
    assert not shot.holds("train_mark")
    assert button.height() == 26


def test_a_click_leaves_no_focus_line_but_tab_does(qtbot: QtBot) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    button = Button("Run", parent=holder)
    button.resize(button.sizeHint())
    holder.show()
    holder.activateWindow()
    qtbot.waitUntil(holder.isActiveWindow)
    button.setFocus(Qt.FocusReason.MouseFocusReason)
    assert not Picture(button).holds("ink")
    button.clearFocus()
    button.setFocus(Qt.FocusReason.TabFocusReason)
    assert Picture(button).holds("ink")


def test_a_check_box_is_pressed_by_its_words_and_by_space(qtbot: QtBot) -> None:
    box = CheckBox("Only layers that react")
    qtbot.addWidget(box)
    box.resize(box.sizeHint())
    qtbot.mouseClick(box, LEFT, pos=QPoint(box.width() - 4, 10))
    assert box.isChecked() and Picture(box).holds("ink")
    qtbot.keyClick(box, Qt.Key.Key_Space)
    assert not box.isChecked()


def test_a_choice_has_room_for_its_longest_item(qtbot: QtBot) -> None:
    choice = ComboBox()
    qtbot.addWidget(choice)
    choice.addItems(["a", "normal, mean 0 and deviation 1"])
    assert choice.sizeHint().width() > choice.fontMetrics().horizontalAdvance("normal, mean 0 and deviation 1") + 30


def test_a_labelled_control_is_named(qtbot: QtBot) -> None:
    box = BatchBox()
    labelled = Labelled("Batch", box)
    qtbot.addWidget(labelled)
    assert labelled.control is box
    assert labelled.minimumSizeHint().height() <= 28


@pytest.mark.parametrize("text", ["训练", "Einstellungen wiederherstellen"])
def test_words_of_any_length_fit_a_button(qtbot: QtBot, text: str) -> None:
    button = Button(text, chevron=True)
    qtbot.addWidget(button)
    assert button.sizeHint().width() >= button.fontMetrics().horizontalAdvance(text) + 24 + 18


def test_a_choice_that_can_be_typed_writes_its_words_where_others_do(
    qtbot: QtBot, picture: Callable[[QWidget], Picture]
) -> None:
    plain, typed = ComboBox(), ComboBox()
    typed.setEditable(True)
    lefts = []
    for box in (plain, typed):
        qtbot.addWidget(box)
        box.addItem("lll")
        box.resize(160, 28)
        shown = picture(box)
        lefts.append(min(x for x in range(4, 60) for y in range(7, 21) if shown.at(x, y).lightness() < 140))
    assert abs(lefts[0] - lefts[1]) <= 1
