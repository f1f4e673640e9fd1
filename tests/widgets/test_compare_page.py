"""The Compare page as a person uses it: what it says, what it paints, what a click asks for."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.compare_cell import FLAG, TIGHT
from modelight.widgets.compare_data import CellData, CompareData, CulpritData, Move, RowData
from modelight.widgets.compare_page import ComparePage
from modelight.widgets.culprit_table import HEAD, MOST, moved_text
from modelight.widgets.labels import plain_text

from .conftest import Picture

LEFT = Qt.MouseButton.LeftButton
MODES = ("enabled", "no_grad", "inference_mode")
OUTPUTS = {"enabled": "requires_grad", "no_grad": "plain", "inference_mode": "inference"}


def cell(training: bool, mode: str, **more: Any) -> CellData:
    heights = np.full(8, 0.55) if training else np.array([1.0, 0.0] * 4)
    facts: dict[str, Any] = {
        "deviations": np.full(8, 0.018 if training else 0.0),
        "spread": 0.018 if training else 0.0,
        "exact": not training,
        "milliseconds": 0.78,
        "kept_bytes": 268_288 if mode == "enabled" else 0,
        "output": OUTPUTS[mode],
        "now": training and mode == "no_grad",
    }
    return CellData(training, mode, heights, **{**facts, **more})


def culprit(path: str, alone: float | None, against: float | None, **more: Any) -> CulpritData:
    return CulpritData(path, "BatchNorm2d", more.pop("training", True), Move(alone), Move(against), **more)


def data(**more: Any) -> CompareData:
    given: dict[str, Any] = {
        "cells": tuple(cell(training, mode) for training in (True, False) for mode in MODES),
        "rows": (RowData(True, (0.5, 0.5), 9), RowData(False, (1.0, 1.0))),
        "subject": "class",
        "column": 0,
        "column_name": "even",
        "bounded": True,
        "low": 0.0,
        "high": 1.0,
        "samples": 8,
        "of_samples": 8,
        "per_sample": True,
        "batch": 1,
        "seed": 0,
        "runs": 16,
        "rows_agree": "differ",
        "moved": 0.483,
        "columns_agree": "exact",
        "columns_apart": 0.0,
        "culprits": (culprit("features.8", 0.363, 0.481), culprit("features.4", 0.0001, 0.206)),
        "everything": 0.483,
        "culprit_runs": 16,
    }
    return CompareData(**{**given, **more})


@pytest.fixture
def page(qtbot: QtBot) -> ComparePage:
    page = ComparePage()
    qtbot.addWidget(page)
    page.resize(641, 793)
    page.set_data(data())
    page.show()
    qtbot.waitExposed(page)
    return page


# ---------------------------------------------------------------------------------------------------------- the empty


def test_an_empty_page_says_what_to_do_and_its_button_asks(qtbot: QtBot) -> None:
    page = ComparePage()
    qtbot.addWidget(page)
    assert page.currentWidget() is page.empty
    assert page.empty.line.text()
    with qtbot.waitSignal(page.compare_requested):
        qtbot.mouseClick(page.empty.button, LEFT)
    page.set_progress("Running in train", 0.25)
    assert page.empty.line.text().endswith("25\u00a0%") and page.empty.button.isHidden()
    page.set_data(data())
    assert page.currentWidget() is page.page
    page.clear()
    assert page.data() is None and page.currentWidget() is page.empty


def test_a_comparison_that_no_longer_fits_offers_another(page: ComparePage, qtbot: QtBot) -> None:
    assert page.again.isHidden()
    page.set_data(data(outdated=True))
    with qtbot.waitSignal(page.compare_requested):
        qtbot.mouseClick(page.again, LEFT)


# ------------------------------------------------------------------------------------------------------------ the words


def test_the_sentence_above_says_what_differs_and_what_does_not(page: ComparePage) -> None:
    said = plain_text(page.verdict.text())
    assert "Rows differ: the mode moves the answer by 0.48." in said
    assert "Columns agree: grad mode changes only the cost." in said
    assert page.heading.subtitle.text() == "8 samples, one at a time, seed 0, 16 runs each"
    assert page.heading.note.text() == "probability of class 0, even"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"rows_agree": "exact", "moved": 0.0}, "Rows agree: the mode changes nothing."),
        ({"rows_agree": "rounding", "moved": 3e-7}, "Rows agree up to rounding: they differ by 3.0e−7."),
        ({"rows_agree": "chance", "moved": 0.012}, "Rows differ by no more than repeats do: 0.01."),
        ({"rows_agree": "raises", "moved": None}, "Rows differ: in one mode the model raises."),
        ({"columns_agree": "differ", "columns_apart": 0.25}, "Columns differ: grad mode moves a value by up to 0.25."),
        ({"columns_agree": "rounding", "columns_apart": 5e-7}, "Columns agree up to rounding: 5.0e−7 at most."),
    ],
)
def test_other_verdicts(page: ComparePage, more: dict[str, Any], said: str) -> None:
    page.set_data(data(**more))
    assert said in plain_text(page.verdict.text())


def test_samples_that_were_left_out_and_raw_ranges_are_said(page: ComparePage) -> None:
    page.set_data(
        data(samples=64, of_samples=100, batch=8, subject="column", column=27, bounded=False, low=-1.5, high=2)
    )
    assert page.heading.subtitle.text().startswith("first 64 of 100 samples, 8 at a time")
    assert page.heading.note.text() == "value 27 of each sample, −1.50 to 2.00"
    page.set_data(data(column=412, column_name="tiger", high=0.125))
    assert page.heading.note.text() == "probability of class 412, tiger, 0 to 0.125"


def test_the_lines_of_a_cell(page: ComparePage) -> None:
    first, _, third, fourth = page.matrix.cells[:4]
    assert [value for _, value, _ in first.lines(cell(True, "enabled"))] == [
        "± 0.018",
        "0.78\u00a0ms",
        "262\u00a0KiB",
        "requires grad",
    ]
    assert [value for _, value, _ in third.lines(cell(False, "inference_mode", watched=True))] == [
        "0, exact",
        "≤ 0.78\u00a0ms",
        "0\u00a0B",
        "inference tensor",
    ]
    assert fourth.spread(cell(False, "enabled", spread=None)) == "one run"
    assert page.matrix.cells[1].accessibleName() == "Train, no_grad"
    assert page.matrix.cells[1].accessibleDescription().endswith("now")


def test_row_heads_say_who_is_right_and_what_would_move(page: ComparePage) -> None:
    train, evaluated = page.matrix.heads
    assert train.accessibleName() == "Train; 50\u00a0% right; 9 buffers; would move"
    assert evaluated.accessibleName() == "Eval; 100\u00a0% right"
    assert train.captions(RowData(True, (0.5, 0.625))) == ["50–62\u00a0% right"]
    assert train.captions(RowData(True)) == []


# --------------------------------------------------------------------------------------------------------- the cells


def test_only_the_present_state_has_the_ink_frame_and_the_flag(page: ComparePage) -> None:
    def frame(place: int) -> int:
        shown = page.matrix.cells[place]
        return Picture(shown).count("ink", QRect(0, FLAG + 40, 3, 60))

    assert frame(1) >= 60
    assert all(frame(place) == 0 for place in (0, 2, 3, 4, 5))
    flag = QRect(100, 2, 60, 2 * FLAG - 4)
    assert Picture(page.matrix.cells[1]).count("ink", flag) > 50
    assert Picture(page.matrix.cells[0]).count("ink", flag) == 0


def test_bars_have_the_colour_of_their_mode(page: ComparePage) -> None:
    train, evaluated = Picture(page.matrix.cells[0]), Picture(page.matrix.cells[3])
    assert train.holds("train_mark") and not train.holds("eval_mark")
    assert evaluated.holds("eval_mark") and not evaluated.holds("train_mark")


@pytest.mark.parametrize("count", [1, 8, 64, 300])
def test_any_number_of_bars_stays_in_the_card(page: ComparePage, count: int) -> None:
    heights = np.linspace(0, 1, count)
    page.set_data(data(cells=_with_heights(heights)))
    picture = Picture(page.matrix.cells[0])
    width = page.matrix.cells[0].width()
    assert picture.holds("train_mark", QRect(0, FLAG + 10, width, 80))
    assert not picture.holds("train_mark", QRect(0, 0, 11, 120))
    assert not picture.holds("train_mark", QRect(width - 11, 0, 11, 120))


def _with_heights(heights: np.ndarray) -> tuple[CellData, ...]:
    return tuple(replace(one, heights=heights, deviations=np.full(len(heights), 0.3)) for one in data().cells)


def test_a_click_on_another_cell_goes_to_its_state(page: ComparePage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(page.state_requested) as asked:
        qtbot.mouseClick(page.matrix.cells[5], LEFT)
    assert asked.args == [False, "inference_mode"]
    page.matrix.cells[0].setFocus()
    with qtbot.waitSignal(page.state_requested) as asked:
        qtbot.keyClick(page.matrix.cells[0], Qt.Key.Key_Space)
    assert asked.args == [True, "enabled"]


def test_a_click_on_the_present_cell_asks_for_nothing(page: ComparePage, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(page.state_requested):
        qtbot.mouseClick(page.matrix.cells[1], LEFT)


def test_a_cell_that_raises_says_so_with_a_sign(page: ComparePage) -> None:
    nothing = np.empty(0)
    broken = [
        replace(one, heights=nothing, deviations=nothing, problem="norm: ValueError: one") for one in data().cells
    ]
    page.set_data(data(cells=(*broken[:3], *data().cells[3:]), subject="class"))
    picture = Picture(page.matrix.cells[0])
    assert picture.holds("attention") and not picture.holds("train_mark")
    assert page.matrix.cells[0].accessibleDescription() == "norm: ValueError: one"
    assert page.problems.isHidden()  # the cell says it in full
    long = "norm: ValueError: " + "a long story " * 20
    page.set_data(data(cells=tuple(replace(one, problem=long) for one in broken)))
    assert not page.problems.isHidden()
    assert page.problems.text() == f"Train: {long}\nEval: {long}"


def test_a_mixed_state_is_said_to_be_none_of_the_six(page: ComparePage) -> None:
    assert page.present.isHidden()
    page.set_data(data(mixed_now=True))
    assert not page.present.isHidden()


# ------------------------------------------------------------------------------------------------------------ culprits


def test_every_culprit_has_a_button_that_flips_it(page: ComparePage, qtbot: QtBot) -> None:
    first, second = page.culprits.buttons
    assert first.text() == second.text() == "Set eval"
    with qtbot.waitSignal(page.mode_requested) as asked:
        qtbot.mouseClick(second, LEFT)
    assert asked.args == ["features.4", False]
    page.set_data(data(culprits=(culprit("drop", 0.1, 0.2, training=False),)))
    (only,) = page.culprits.buttons
    assert only.text() == "Set train"
    with qtbot.waitSignal(page.mode_requested) as asked:
        qtbot.mouseClick(only, LEFT)
    assert asked.args == ["drop", True]


def test_bars_are_as_long_as_what_they_measure(page: ComparePage) -> None:
    table = page.culprits
    picture = Picture(table)
    top = QRect(0, HEAD, table.width(), table.row_height())
    alone, against = picture.count("eval_mark", QRect(200, HEAD, 240, 34)), picture.count("train_mark", top)
    assert alone / against == pytest.approx(0.363 / 0.481, rel=0.05)


def test_what_chance_explains_is_pale(page: ComparePage) -> None:
    pale = CulpritData("drop", "Dropout", True, Move(0.3, chance=True), Move(0.4, chance=True))
    page.set_data(data(culprits=(pale,)))
    plot = QRect(200, HEAD, 240, 34)
    assert not Picture(page.culprits).holds("train_mark", plot)
    assert "Pale" in page.culprits_note.text()
    page.set_data(data())
    assert "Pale" not in page.culprits_note.text()


def test_of_many_the_first_are_shown_and_the_rest_is_counted(page: ComparePage, qtbot: QtBot) -> None:
    many = tuple(culprit(f"blocks.{index}.norm", 0.4 / (index + 1), 0.1) for index in range(48))
    page.set_data(data(culprits=many, culprit_runs=4))
    assert len(page.culprits.buttons) == MOST == 12
    assert page.culprits_note.text() == "36 more layers move the output by at most 0.100 each."
    assert page.culprits_heading.subtitle.text() == "4 runs each"
    qtbot.waitUntil(lambda: page.culprits.height() == page.culprits.sizeHint().height())
    assert len(page.culprits.table().rows) == 48


def test_flips_from_a_mixed_state_get_a_third_bar(page: ComparePage) -> None:
    height = page.culprits.row_height()
    page.set_data(data(culprits=(replace(culprit("norm", 0.3, 0.2), flipped=Move(0.25)),), mixed_now=True))
    assert page.culprits.row_height() > height
    assert Picture(page.culprits).holds("mask")
    assert "flipped from now" in [entry.text for entry in page.culprits_heading.legend.entries()]


def test_what_could_not_be_measured_is_a_dash_with_its_reason(page: ComparePage) -> None:
    page.set_data(data(culprits=(culprit("norm", None, 0.2),), everything=None))
    assert page.culprits_note.text().startswith("–: the model raises")
    assert moved_text(None, True) == "–"


def test_without_sensitive_layers_it_says_so(page: ComparePage) -> None:
    page.set_data(data(culprits=(), everything=0.0))
    assert page.culprits.isHidden()
    assert page.culprits_note.text() == "No layer of this model heeds the mode."


@pytest.mark.parametrize(
    ("value", "bounded", "text"),
    [
        (0.36349, True, "0.363"),
        (0.0, True, "0"),
        (4e-8, True, "0.000"),
        (1985.0, False, "1\u202f985"),
        (0.049, False, "0.0490"),
    ],
)
def test_distances_are_written_alike(value: float, bounded: bool, text: str) -> None:
    assert moved_text(value, bounded) == text


# ------------------------------------------------------------------------------------------------------------- layout


@pytest.mark.parametrize("size", [(641, 793), (560, 600), (1100, 793)])
def test_nothing_is_wider_than_the_page(page: ComparePage, size: tuple[int, int], qtbot: QtBot) -> None:
    long = tuple(culprit("encoder.layers.11.self_attention.dropout." * 3, 0.3, 0.2) for _ in range(3))
    page.resize(*size)
    page.set_data(data(culprits=long))
    qtbot.waitUntil(lambda: page.page.body.width() == page.page.viewport().width())
    right = page.page.body.width() - 20
    shown = [part for part in page.page.body.findChildren(QWidget) if part.isVisible()]
    assert all(part.mapTo(page.page.body, part.rect().topRight()).x() <= right for part in shown)


def test_figures_can_be_exported(page: ComparePage, tmp_path: Path) -> None:
    page.matrix.export.write("csv", tmp_path / "six.csv")
    lines = list(csv.reader((tmp_path / "six.csv").read_text(encoding="utf-8").splitlines()))
    assert len(lines) == 1 + 6 * 8
    assert lines[1][:4] == ["True", "enabled", "0", "0.55"]
    page.culprits.export.write("csv", tmp_path / "moves.csv")
    moves = list(csv.reader((tmp_path / "moves.csv").read_text(encoding="utf-8").splitlines()))
    assert moves[1] == ["features.8", "BatchNorm2d", "0.363", "0.481", ""]


def test_a_change_of_theme_repaints(page: ComparePage, dressed: Any) -> None:
    light = Picture(page.matrix.cells[0]).image
    dressed(theme.DARK)
    page.retheme()
    dark = Picture(page.matrix.cells[0])
    assert dark.image != light
    assert dark.holds("train_mark")


@pytest.mark.parametrize("grad", ["enabled", "no_grad", "inference_mode"])
def test_a_narrow_cell_keeps_the_names_of_its_figures(page: ComparePage, grad: str) -> None:
    """At 1024 × 768 figures stood there without their names."""
    one = page.matrix.cells[0]
    room = 109 - 2 * TIGHT
    for name, value, weight in one.lines(cell(True, grad, kept_bytes=34_304)):
        assert one._fitting(name, value, weight, room)[0], (name, value)


def test_an_output_without_numbers_says_so_in_place_of_bars(page: ComparePage, picture: Any) -> None:
    cells = tuple(replace(one, heights=np.full(8, np.nan)) for one in data().cells)
    page.set_data(data(cells=cells))
    assert picture(page.matrix.cells[0]).holds("attention")
    page.set_data(data())
    assert not picture(page.matrix.cells[0]).holds("attention")
