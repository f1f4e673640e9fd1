"""The editor of the input: what is written in its fields, its list, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDialog, QLineEdit, QListWidget, QMenu, QPushButton, QSpinBox
from pytestqt.qtbot import QtBot

from modelight.widgets.input_editor import InputEditor
from modelight.widgets.input_rows import (
    SourceRow,
    format_numbers,
    format_shape,
    format_subset,
    parse_numbers,
    parse_shape,
    parse_subset,
    problem,
    summary,
)

LEFT = Qt.MouseButton.LeftButton


@pytest.mark.parametrize("text", ["3 × 32 × 32", "3x32x32", "3, 32, 32", "(3, 32, 32)", " 3 32 32 "])
def test_a_shape_is_read_in_many_ways(text: str) -> None:
    assert parse_shape(text) == (3, 32, 32)


@pytest.mark.parametrize("text", ["three", "3 × -1", "0", "1.5", "3 × ?"])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        parse_shape(text)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_a_subset_reads_back_as_written(places: list[int]) -> None:
    assert parse_subset(format_subset(places)) == tuple(places)


def test_subsets() -> None:
    assert parse_subset("0-3, 7") == (0, 1, 2, 3, 7)
    assert parse_subset("5 – 6") == (5, 6)
    assert parse_subset("  ") is None
    assert format_subset((0, 1, 2, 3, 7)) == "0-3, 7"
    assert format_subset(None) == ""
    for wrong in ("a", "3-1", "1-999999999", "-4"):
        with pytest.raises(ValueError, match="places and ranges"):
            parse_subset(wrong)


def test_numbers_and_shapes_read_back_as_written() -> None:
    assert parse_numbers(format_numbers((0.485, -0.5))) == (0.485, -0.5)
    assert parse_numbers("−1; 2") == (-1.0, 2.0)
    assert parse_shape(format_shape((3, 8))) == (3, 8)
    for wrong in ("", "a", "nan", "inf"):
        with pytest.raises(ValueError, match="comma"):
            parse_numbers(wrong)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (SourceRow("file"), "file"),
        (SourceRow("images"), "pictures"),
        (SourceRow("images", paths=("a.png",), mean=(0.5, 0.5)), "each channel"),
        (SourceRow("images", paths=("a.png",), std=(0.0,)), "divided"),
        (SourceRow("function", spec="inputs.py"), "path/file.py:name"),
        (SourceRow("noise", distribution="uniform", low=1, high=0), "above"),
    ],
)
def test_what_cannot_be_used_is_said(row: SourceRow, word: str) -> None:
    assert word in problem(row)


@pytest.mark.parametrize(
    "row",
    [
        SourceRow("example"),
        SourceRow("noise", distribution="normal", low=1, high=0),
        SourceRow("file", path="a.npz"),
        SourceRow("images", paths=("a.png",), mean=(0.5, 0.4, 0.3)),
        SourceRow("function", spec="inputs.py:batch"),
    ],
)
def test_what_can_be_used_is_not_refused(row: SourceRow) -> None:
    assert problem(row) == ""


def test_summaries_tell_sources_apart() -> None:
    assert summary(SourceRow("noise", shape=(1, 8, 8), count=12)) == "12 × normal, 1 × 8 × 8"
    assert summary(SourceRow("file", path="/data/x.npz", key="images", subset=(0, 1))) == "x.npz, images, samples 0-1"
    assert summary(SourceRow("images", paths=("a.png",))) == "1 file, 224 × 224"
    assert summary(SourceRow("example")) == "all samples"


@pytest.fixture
def editor(qtbot: QtBot) -> InputEditor:
    editor = InputEditor()
    qtbot.addWidget(editor)
    editor.setValue([SourceRow("example"), SourceRow("noise", shape=(1, 8, 8))])
    editor.show()
    qtbot.waitExposed(editor)
    return editor


def child(editor: InputEditor, kind: type, name: str):  # type: ignore[no-untyped-def]
    found = [one for one in editor.findChildren(kind, name) if one.isVisible()]
    assert len(found) == 1, (name, found)
    return found[0]


def choose(editor: InputEditor, row: int) -> None:
    child(editor, QListWidget, "sources").setCurrentRow(row)


def test_the_value_comes_back_as_it_was_set(editor: InputEditor) -> None:
    rows = (
        SourceRow("images", paths=("a.png", "b.png"), size=(8, 9), channels=1, mean=(0.1,), std=(0.2,)),
        SourceRow("file", path="x.npz", key="k", subset=(1, 2)),
        SourceRow("function", spec="f.py:g"),
    )
    editor.setValue(rows)
    for at in range(3):
        choose(editor, at)
    assert editor.value() == rows


def test_typing_changes_the_row_and_the_list(editor: InputEditor, qtbot: QtBot) -> None:
    choose(editor, 1)
    shape = child(editor, QLineEdit, "source-shape")
    assert shape.text() == "1 × 8 × 8"
    shape.selectAll()
    with qtbot.waitSignal(editor.valueChanged):
        qtbot.keyClicks(shape, "3x16x16")
    assert editor.value()[1].shape == (3, 16, 16)
    assert child(editor, QListWidget, "sources").item(1).data(Qt.ItemDataRole.UserRole) == "4 × normal, 3 × 16 × 16"


def test_what_cannot_be_read_is_said_and_blocks_the_button(editor: InputEditor, qtbot: QtBot) -> None:
    choose(editor, 1)
    shape = child(editor, QLineEdit, "source-shape")
    use = child(editor, QPushButton, "input-use")
    assert use.isEnabled()
    shape.selectAll()
    with qtbot.assertNotEmitted(editor.valueChanged):
        qtbot.keyClicks(shape, "?")
    assert "whole numbers" in editor.problem() and not use.isEnabled()
    assert editor.value()[1].shape == (1, 8, 8)
    shape.selectAll()
    qtbot.keyClicks(shape, "4")
    assert editor.problem() == "" and use.isEnabled()


def test_distribution_decides_which_bounds_mean_anything(editor: InputEditor, qtbot: QtBot) -> None:
    choose(editor, 1)
    low, high = child(editor, QLineEdit, "source-low"), child(editor, QLineEdit, "source-high")
    assert not low.isEnabled() and not high.isEnabled()
    box = child(editor, QComboBox, "source-distribution")
    for name, enabled in (("uniform", (True, True)), ("constant", (True, False)), ("tokens", (True, True))):
        box.setCurrentIndex(box.findData(name))
        box.activated.emit(box.currentIndex())
        assert (low.isEnabled(), high.isEnabled()) == enabled
        assert editor.value()[1].distribution == name


def test_sources_are_added_from_the_menu_and_removed(editor: InputEditor, qtbot: QtBot) -> None:
    menu = child(editor, QPushButton, "source-add").menu()
    assert isinstance(menu, QMenu)
    assert [action.objectName() for action in menu.actions()] == [
        "add-example",
        "add-noise",
        "add-file",
        "add-images",
        "add-function",
    ]
    with qtbot.assertNotEmitted(editor.valueChanged):
        menu.actions()[2].trigger()
    assert [row.kind for row in editor.value()] == ["example", "noise", "file"]
    assert editor.problem() == "Tensor file: Choose a file."
    with qtbot.waitSignal(editor.valueChanged):
        qtbot.keyClicks(child(editor, QLineEdit, "source-path"), "x")
    remove = child(editor, QPushButton, "source-remove")
    for _ in range(3):
        qtbot.mouseClick(remove, LEFT)
    assert editor.value() == () and not remove.isEnabled()
    assert editor.problem() == "Add at least one source."


def test_an_example_is_offered_only_where_there_is_one(qtbot: QtBot) -> None:
    editor = InputEditor(kinds=("noise", "file"))
    qtbot.addWidget(editor)
    add = editor.findChild(QPushButton, "source-add")
    assert isinstance(add, QPushButton) and add.menu() is not None
    assert [action.objectName() for action in add.menu().actions()] == ["add-noise", "add-file"]


def test_counts_and_seeds_are_taken(editor: InputEditor) -> None:
    choose(editor, 1)
    child(editor, QSpinBox, "source-count").setValue(12)
    child(editor, QSpinBox, "source-seed").setValue(5)
    assert (editor.value()[1].count, editor.value()[1].seed) == (12, 5)


def test_use_accepts_and_cancel_does_not(editor: InputEditor, qtbot: QtBot) -> None:
    with qtbot.waitSignal(editor.accepted):
        qtbot.mouseClick(child(editor, QPushButton, "input-use"), LEFT)
    assert editor.result() == QDialog.DialogCode.Accepted
