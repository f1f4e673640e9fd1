"""The page of a checkpoint: the tree as a Qt model, what it paints, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFontMetricsF
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.checkpoint_data import CheckpointData, CheckpointRow, TensorData
from modelight.widgets.checkpoint_page import CheckpointPage
from modelight.widgets.checkpoint_tree import ACCESSIBLE, CheckpointModel, Column
from tests.widgets.conftest import Picture

ROWS = (
    CheckpointRow("net", -1, "module", "1.2 KiB"),
    CheckpointRow("conv", 0, "Conv2d, 8 filters of 3 × 3 × 3", "896 B"),
    CheckpointRow("weight", 1, "parameter", "864 B", key="conv.weight", shape="8 × 3 × 3 × 3", dtype="float32"),
    CheckpointRow("bias", 1, "parameter", "32 B", key="conv.bias", shape="8", dtype="float32"),
    CheckpointRow(
        "norm", 0, "BatchNorm of 8 channels, 1d, 2d or 3d unknown", "72 B", marks="running variance 0 in 1 of 8"
    ),
    CheckpointRow("running_var", 4, "buffer", "32 B", key="norm.running_var", shape="8", dtype="float32"),
)
DATA = CheckpointData(
    file="last.ckpt",
    format="torch zip",
    file_size="12 KiB",
    key="model",
    choices=(("model", 3), ("ema", 3)),
    tensors=3,
    parameters=224,
    buffers=8,
    size="1.2 KiB",
    dtypes=("float32",),
    rows=ROWS,
    attention=(("norm", "running variance 0 in 1 of 8"),),
    notes=("A state dict carries no training flags.",),
    around=tuple((f"setting {number}", str(number)) for number in range(9)),
)
VALUES = TensorData(
    "conv.weight", 216, "mask", np.linspace(-1, 1, 5), np.array([3.0, 100.0, 110.0, 3.0]), (("minimum", "−1"),)
)


@pytest.fixture
def page(qtbot: QtBot) -> CheckpointPage:
    made = CheckpointPage()
    qtbot.addWidget(made)
    made.resize(664, 812)
    made.set_data(DATA)
    made.show()
    return made


def test_the_rows_are_a_sound_model_and_stay_one_when_others_come(qtmodeltester: ModelTester) -> None:
    model = CheckpointModel()
    model.set_rows(ROWS)
    qtmodeltester.check(model)
    model.set_rows(ROWS[:1])
    qtmodeltester.check(model)
    model.set_rows(())
    qtmodeltester.check(model)


def test_tensors_stand_under_their_modules(page: CheckpointPage) -> None:
    model = page.tree.model()
    root = model.index(0, 0)
    names = [model.index(row, 0, root).data() for row in range(model.rowCount(root))]
    conv = model.index(0, 0, root)

    assert names == ["conv", "norm"]
    assert [model.index(row, Column.SHAPE, conv).data(ACCESSIBLE) for row in range(2)] == ["8 × 3 × 3 × 3", "8"]
    assert model.index(0, Column.MARKS, root).data() == ""
    assert model.index(1, Column.MARKS, root).data() == "running variance 0 in 1 of 8"


def test_selecting_a_tensor_asks_for_its_values_and_shows_them(page: CheckpointPage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(page.tensor_requested) as asked:
        page.tree.select("conv.weight")
    assert asked.args == ["conv.weight"]
    assert page.words.text() == "Reading its values…"
    assert not page.plot.isVisible()

    page.set_tensor(VALUES)

    assert page.plot.isVisible()
    assert page.badge.text() == "all 216 values"
    assert page.figures.text() == "minimum −1"
    assert page.plot.table().rows[1] == (-0.5, 0.0, 100)


def test_a_click_selects(page: CheckpointPage, qtbot: QtBot) -> None:
    index = page.tree.model().index(1, 0, page.tree.model().index(0, 0, page.tree.model().index(0, 0)))
    with qtbot.waitSignal(page.tensor_requested) as asked:
        qtbot.mouseClick(
            page.tree.viewport(), Qt.MouseButton.LeftButton, pos=page.tree.visualRect(index).center() + QPoint(2, 0)
        )
    assert asked.args == ["conv.bias"]


def test_values_that_come_too_late_are_left_out(page: CheckpointPage) -> None:
    page.tree.select("conv.bias")
    page.set_tensor(VALUES)

    assert not page.plot.isVisible()
    assert page.tensor_heading.subtitle.text() == "8 · float32"


def test_a_module_asks_for_nothing_and_shows_what_its_columns_cut(page: CheckpointPage, qtbot: QtBot) -> None:
    model = page.tree.model()
    with qtbot.assertNotEmitted(page.tensor_requested):
        page.tree.setCurrentIndex(model.index(1, 0, model.index(0, 0)))

    assert page.tensor_heading.subtitle.text() == "BatchNorm of 8 channels, 1d, 2d or 3d unknown"
    assert page.words.text() == "running variance 0 in 1 of 8"


def test_why_there_are_no_values_is_said(page: CheckpointPage) -> None:
    page.tree.select("conv.weight")
    page.set_tensor(TensorData("conv.weight", 0, "mask", words="Its values are complex."))

    assert page.words.text() == "Its values are complex."
    assert not page.plot.isVisible()
    assert page.badge.text() == ""


def test_a_changed_file_is_offered_for_reload(page: CheckpointPage, qtbot: QtBot) -> None:
    page.tree.select("conv.weight")
    page.set_tensor(VALUES)
    assert not page.reload.isVisible()
    page.set_tensor(replace(VALUES, changed=True))

    assert page.words.text() == "The file has changed since it was opened."
    with qtbot.waitSignal(page.reload_requested):
        page.reload.click()


def test_nan_and_infinity_are_counted_in_words(page: CheckpointPage) -> None:
    page.tree.select("conv.weight")
    page.set_tensor(replace(VALUES, nan=2, infinite=1))
    assert page.bad_values.text() == "2 NaN, 1 infinite"


def test_another_state_dict_can_be_chosen(page: CheckpointPage, qtbot: QtBot) -> None:
    menu = page.choice.fill()
    assert [action.text() for action in menu.actions()] == ["model, 3 tensors", "ema, 3 tensors"]
    assert [action.isChecked() for action in menu.actions()] == [True, False]
    with qtbot.waitSignal(page.key_requested) as asked:
        menu.actions()[1].trigger()
    assert asked.args == ["ema"]


def test_what_lies_around_is_folded_until_asked_for(page: CheckpointPage, qtbot: QtBot) -> None:
    def shown() -> int:
        return sum(name == "ElidedLabel" for name in (type(child).__name__ for child in page.around.children())) // 2

    assert page.around.more.text() == "Show all 9"
    page.around.more.click()
    qtbot.waitUntil(lambda: shown() == 9)
    assert not page.around.more.isVisible()


def test_marks_have_a_sign_and_words_in_both_themes(
    page: CheckpointPage, dressed: Callable[[theme.Tokens], None], picture: Callable[[CheckpointPage], Picture]
) -> None:
    for tokens in (theme.LIGHT, theme.DARK):
        dressed(tokens)
        page.retheme()
        assert picture(page).count("attention") > 60
        page.tree.select("conv.weight")
        page.set_tensor(VALUES)
        assert picture(page).holds("selection")
        assert picture(page).count("mask") > 100


def test_flags_are_lamps(page: CheckpointPage, picture: Callable[[CheckpointPage], Picture]) -> None:
    assert not picture(page).holds("train_mark")
    rows = (replace(ROWS[0], mode="train"), replace(ROWS[1], mode="eval"), *ROWS[2:])
    page.set_data(replace(DATA, rows=rows, has_flags=True))

    assert picture(page).holds("train_mark")
    assert picture(page).holds("eval_mark")


def test_columns_leave_room_for_each_other(page: CheckpointPage) -> None:
    header = page.tree.header()
    widths = [header.sectionSize(column) for column in Column]

    assert sum(widths) <= page.tree.viewport().width()
    assert widths[Column.SHAPE] >= QFontMetricsF(theme.font(12)).horizontalAdvance("8 × 3 × 3 × 3")
    page.resize(1200, 812)
    kind = QFontMetricsF(theme.font(12)).horizontalAdvance("BatchNorm of 8 channels, 1d, 2d or 3d unknown")
    assert header.sectionSize(Column.KIND) >= kind


def test_a_comparison_has_a_column_of_its_own(page: CheckpointPage, qtbot: QtBot) -> None:
    assert page.tree.isColumnHidden(Column.DIFFERENCE)
    assert not page.against.isVisible()
    with qtbot.waitSignal(page.compare_requested):
        page.compare.click()
    moved = replace(ROWS[2], difference="relative 0.03, largest 0.5", differs=True)
    page.set_data(replace(DATA, rows=(*ROWS[:2], moved, *ROWS[3:]), against=("Against b.pt: 2 equal, 1 different.",)))

    assert page.against.text() == "Against b.pt: 2 equal, 1 different."
    assert not page.tree.isColumnHidden(Column.DIFFERENCE)
    assert sum(page.tree.header().sectionSize(column) for column in Column) <= page.tree.viewport().width()
    assert page.tree.isColumnHidden(Column.DTYPE)
    page.resize(1200, 812)
    assert not page.tree.isColumnHidden(Column.DTYPE)
    page.tree.select("conv.weight")
    assert page.tensor_heading.subtitle.text().endswith("relative 0.03, largest 0.5")


def test_a_narrow_page_drops_columns_before_it_scrolls_sideways(
    page: CheckpointPage, picture: Callable[[CheckpointPage], Picture]
) -> None:
    for width in (480, 560, 664, 900, 1400):
        page.resize(width, 812)
        shown = sum(page.tree.header().sectionSize(column) for column in Column)
        assert shown <= page.tree.viewport().width(), width
        assert not page.tree.isColumnHidden(Column.SHAPE)
    page.resize(480, 812)
    assert page.tree.isColumnHidden(Column.KIND)
    with_kinds = picture(page).count("text3", page.tree.geometry())
    page.set_data(replace(DATA, rows=tuple(replace(row, kind="") for row in ROWS)))
    assert with_kinds > picture(page).count("text3", page.tree.geometry())
