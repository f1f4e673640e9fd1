"""The Gradients page by itself: sentences, marks, clicks on the freeze buttons."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from PySide6.QtCore import Qt
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from modelight.widgets.gradients_data import CutLine, GradientRow, GradientsData, Times
from modelight.widgets.gradients_list import GradientModel, columns, decades
from modelight.widgets.gradients_page import GradientsPage
from modelight.widgets.labels import plain_text

ROWS = (
    GradientRow("", "net", "Net", 6, 4, 2, 0, 5.0, 300, "AddmmBackward0", 1, leaf=False),
    GradientRow("stem", "stem", "Linear", 2, 2, 0, 0, None, 0, None, 1, grad_off=True),
    GradientRow("norm", "norm", "BatchNorm1d", 2, 0, 0, 0, None, 100, None, 1, moves=3),
    GradientRow("head", "head", "Linear", 2, 2, 2, 1, 0.02, 200, "AddmmBackward0", 1),
)
DATA = GradientsData(
    rows=ROWS,
    cuts=(CutLine("no_grad", "linear", "stem", "net.py:9", 2, ("stem.weight", "stem.bias")),),
    samples=4,
    seed=0,
    scalar="sum of all outputs, each with a random sign",
    value=0.5,
    problem="",
    parameters=6,
    trainable=4,
    received=2,
    zero=1,
    unreached=("stem.weight", "stem.bias"),
    unexplained=(),
    kept=300,
    forward=Times(1.31, 1.2, 1.5, 15),
    backward=None,
    milliseconds=0.8,
    watched=False,
    grad_mode="no_grad",
    all_eval=False,
)


@pytest.fixture
def page(qtbot: QtBot) -> GradientsPage:
    made = GradientsPage()
    qtbot.addWidget(made)
    made.resize(664, 760)
    made.show()
    made.set_data(DATA)
    qtbot.waitExposed(made)
    return made


def test_the_verdict_names_who_gets_none_and_the_line_that_cuts(page: GradientsPage) -> None:
    assert plain_text(page.verdict.text()) == (
        "2 of 4 trainable parameters receive no gradient: stem.weight, stem.bias. 1 gradient is exactly zero."
    )
    assert plain_text(page.cuts.text()) == (
        "no_grad around linear at net.py:9, in stem, cuts off 2 parameters: stem.weight, stem.bias."
    )


def test_what_is_easily_confused_is_said(page: GradientsPage) -> None:
    facts = plain_text(page.facts.text())
    assert "The present grad mode, no_grad, stops all of them." in facts
    assert (
        "requires_grad=False does not freeze running statistics; eval does. norm is frozen and moves its own." in facts
    )
    assert "eval()" not in facts
    page.set_data(replace(DATA, grad_mode="enabled", all_eval=True, rows=ROWS[:2]))
    assert "eval() does not stop them" in page.facts.text() and "grad mode" not in page.facts.text()


def test_time_is_a_ratio_with_its_spread(page: GradientsPage) -> None:
    assert plain_text(page.costs.text()).replace("\u00a0", " ") == (
        "Autograd keeps 300 B for backward. A forward with gradients takes 1.31 × [1.20, 1.50] as long as without "
        "(0.80 ms). In brackets: quartiles of 15 pairs of runs."
    )


def test_all_well_and_nothing_possible(page: GradientsPage) -> None:
    page.set_data(replace(DATA, received=4, zero=0, unreached=(), cuts=()))
    assert plain_text(page.verdict.text()) == "All 4 trainable parameters receive a gradient."
    assert not page.cuts.isVisible()
    page.set_data(replace(DATA, problem="No parameter has requires_grad.", scalar="", value=None, cuts=()))
    assert plain_text(page.verdict.text()) == "No parameter has requires_grad."
    assert "Backward started" not in page.facts.text()


def test_each_remarkable_row_says_why(page: GradientsPage) -> None:
    words = [page.list.painter.words(row) for row in ROWS]
    assert words == [
        "2 get no gradient",
        "2 get no gradient, called with gradients off",
        "frozen, yet moves 3 buffers",
        "1 gradient is zero",
    ]


def test_a_click_on_the_button_freezes_and_unfreezes(page: GradientsPage, qtbot: QtBot) -> None:
    for row, wanted in ((1, ["stem", False]), (2, ["norm", True])):
        place = page.list.button_rect(page.list.rows.index(row)).center().toPoint()
        with qtbot.waitSignal(page.freeze_requested) as told:
            qtbot.mouseClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert told.args == wanted


def test_a_click_beside_the_button_only_selects_and_space_freezes(page: GradientsPage, qtbot: QtBot) -> None:
    place = page.list.visualRect(page.list.rows.index(3)).topLeft()
    with qtbot.assertNotEmitted(page.freeze_requested), qtbot.waitSignal(page.row_selected) as told:
        qtbot.mouseClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=place + place.__class__(40, 12))
    assert told.args == ["head"]
    with qtbot.waitSignal(page.freeze_requested) as told:
        qtbot.keyClick(page.list, Qt.Key.Key_Space)
    assert told.args == ["head", False]


def test_outdated_figures_say_so_and_can_be_had_anew(page: GradientsPage, qtbot: QtBot) -> None:
    assert not page.again.isVisible()
    page.set_data(replace(DATA, outdated=True))
    assert page.outdated.isVisible()
    with qtbot.waitSignal(page.look_requested):
        qtbot.mouseClick(page.again, Qt.MouseButton.LeftButton)


def test_new_figures_keep_the_selection(page: GradientsPage, qtmodeltester: ModelTester) -> None:
    page.select("norm")
    page.set_data(replace(DATA, rows=tuple(replace(row, trainable=0, received=0) for row in ROWS)))
    assert page.list.currentIndex().row() == 2
    model = GradientModel()
    qtmodeltester.check(model)
    model.set_rows(ROWS)
    qtmodeltester.check(model)


def test_no_column_covers_another_at_any_width() -> None:
    from PySide6.QtCore import QRectF

    for width in (400, 502, 664, 900, 1400):
        where = columns(QRectF(0, 0, width, 46))
        parts = [where.name, where.axis, where.figure, where.kept, where.count, where.button]
        for left, right in pairwise(parts):
            assert left.right() <= right.left() + 1e-6
        assert where.button.right() <= width and where.name.width() > 60


def test_the_axis_holds_every_norm() -> None:
    assert decades(ROWS) == (-2, 1)
    assert decades(ROWS[1:3]) == (-1, 0)


def test_the_table_holds_every_module(page: GradientsPage) -> None:
    table = page.table()
    assert len(table.rows) == 4 and table.rows[3] == ("head", "Linear", 2, 2, 2, 1, 0.02, 200, "AddmmBackward0")
