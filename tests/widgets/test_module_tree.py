"""The module tree as a person uses it: real clicks and keys, and what is really painted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, QPointF, QRect, Qt
from PySide6.QtGui import QFontMetricsF, QGuiApplication
from PySide6.QtWidgets import QMenu, QWidget
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.module_tree import ModuleTree
from modelight.widgets.tree_model import Column, TreeRow, TreeState
from modelight.widgets.tree_pane import TreePane

from .conftest import Picture
from .trees import ROWS, index_of, state, states

LEFT = Qt.MouseButton.LeftButton
ALT = Qt.KeyboardModifier.AltModifier


@pytest.fixture
def tree(qtbot: QtBot) -> ModuleTree:
    tree = ModuleTree()
    qtbot.addWidget(tree)
    tree.resize(448, 500)
    tree.set_rows(ROWS, states(True))
    tree.show()
    qtbot.waitExposed(tree)
    return tree


def lamp_center(tree: ModuleTree, path: str) -> QPoint:
    rect = tree.lamp_rect(path)
    return QPoint(rect.left() + 18, rect.center().y())


def lamp_pixels(tree: ModuleTree, path: str, token: str) -> int:
    center = QPointF(lamp_center(tree, path))
    return Picture(tree.viewport()).around(center, token)


def test_a_click_on_a_lamp_asks_for_the_other_mode_of_the_subtree(tree: ModuleTree, qtbot: QtBot) -> None:
    before = tree.selected_path()
    with qtbot.waitSignal(tree.mode_requested) as asked:
        qtbot.mouseClick(tree.viewport(), LEFT, pos=lamp_center(tree, "features"))
    assert asked.args == ["features", False, True]
    assert tree.selected_path() == before


def test_alt_click_asks_for_that_module_alone(tree: ModuleTree, qtbot: QtBot) -> None:
    with qtbot.waitSignal(tree.mode_requested) as asked:
        qtbot.mouseClick(tree.viewport(), LEFT, ALT, lamp_center(tree, "features"))
    assert asked.args == ["features", False, False]


def test_an_eval_lamp_asks_for_train_and_a_mixed_one_for_eval(tree: ModuleTree, qtbot: QtBot) -> None:
    at = index_of("drop")
    tree.update_states({at: state(ROWS[at], False)})
    seen: list[tuple[str, bool, bool]] = []
    tree.mode_requested.connect(lambda *args: seen.append(args))
    qtbot.mouseClick(tree.viewport(), LEFT, pos=lamp_center(tree, "drop"))
    qtbot.mouseClick(tree.viewport(), LEFT, pos=lamp_center(tree, ""))
    assert seen == [("drop", True, True), ("", False, True)]


def test_a_press_that_is_released_elsewhere_asks_for_nothing(tree: ModuleTree, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(tree.mode_requested):
        qtbot.mousePress(tree.viewport(), LEFT, pos=lamp_center(tree, "drop"))
        qtbot.mouseRelease(tree.viewport(), LEFT, pos=lamp_center(tree, "head"))


def test_a_click_beside_the_lamp_selects(tree: ModuleTree, qtbot: QtBot) -> None:
    rect = tree.lamp_rect("drop")
    with qtbot.assertNotEmitted(tree.mode_requested), qtbot.waitSignal(tree.row_selected) as selected:
        qtbot.mouseClick(tree.viewport(), LEFT, pos=QPoint(rect.right() + 120, rect.center().y()))
    assert selected.args == ["drop"]


def test_two_quick_clicks_on_a_lamp_are_two_flips_and_fold_nothing(tree: ModuleTree, qtbot: QtBot) -> None:
    seen: list[tuple[str, bool, bool]] = []
    tree.mode_requested.connect(lambda *args: seen.append(args))
    index = tree.model().index(0, 0, tree.model().index(0, 0))
    assert tree.isExpanded(index)
    spot = lamp_center(tree, "features")
    qtbot.mouseClick(tree.viewport(), LEFT, pos=spot)
    qtbot.mouseDClick(tree.viewport(), LEFT, pos=spot)
    qtbot.mouseRelease(tree.viewport(), LEFT, pos=spot)
    assert [path for path, *_ in seen] == ["features", "features"]
    assert tree.isExpanded(index)


@pytest.mark.parametrize(
    ("modifier", "recursive"),
    [(Qt.KeyboardModifier.NoModifier, True), (ALT, False), (Qt.KeyboardModifier.ShiftModifier, False)],
)
def test_space_flips_from_the_keyboard(
    tree: ModuleTree, qtbot: QtBot, modifier: Qt.KeyboardModifier, recursive: bool
) -> None:
    tree.select("features")
    with qtbot.waitSignal(tree.mode_requested) as asked:
        qtbot.keyClick(tree, Qt.Key.Key_Space, modifier)
    assert asked.args == ["features", False, recursive]


def test_arrow_keys_move_the_selection(tree: ModuleTree, qtbot: QtBot) -> None:
    tree.select("")
    with qtbot.waitSignal(tree.row_selected) as selected:
        qtbot.keyClick(tree, Qt.Key.Key_Down)
    assert selected.args == ["features"]


def test_a_module_without_a_flag_cannot_be_flipped(tree: ModuleTree, qtbot: QtBot) -> None:
    tree.update_states(dict(enumerate(states(None))))
    with qtbot.assertNotEmitted(tree.mode_requested):
        qtbot.mouseClick(tree.viewport(), LEFT, pos=lamp_center(tree, "drop"))
        tree.toggle("drop")
        tree.toggle("no such module")


def test_lamps_are_painted_as_they_are(tree: ModuleTree) -> None:
    assert lamp_pixels(tree, "drop", "train_mark") > 40
    assert 5 < lamp_pixels(tree, "head", "train_mark") < 30
    assert lamp_pixels(tree, "drop", "eval_mark") == 0
    tree.update_states({index_of("drop"): state(ROWS[index_of("drop")], False)})
    assert lamp_pixels(tree, "drop", "train_mark") == 0
    assert lamp_pixels(tree, "drop", "eval_mark") > 4
    assert lamp_pixels(tree, "", "train_mark") > 10
    assert lamp_pixels(tree, "", "eval_mark") > 2


def test_a_flip_of_everything_repaints_every_row_in_sight(tree: ModuleTree, qtbot: QtBot) -> None:
    def on_screen() -> int:
        # Not grab(), which paints anew: the screen holds what a person sees, stale rows included.
        image = tree.screen().grabWindow(tree.winId()).toImage()
        return sum(
            image.pixel(x, y) == theme.color("train_mark").rgb() for x in range(30) for y in range(28, image.height())
        )

    qtbot.waitUntil(lambda: on_screen() > 9 * 5)
    tree.update_states(dict(enumerate(states(False))))
    qtbot.waitUntil(lambda: on_screen() == 0)


def test_every_visible_row_is_announced_and_no_other(tree: ModuleTree) -> None:
    rows = [TreeRow("", "net", -1, "Net")] + [TreeRow(f"l{at}", f"l{at}", 0, "Linear") for at in range(300)]
    tree.set_rows(rows, [TreeState(True)] * len(rows))
    announced: list[str] = []
    tree.model().dataChanged.connect(lambda top, bottom, roles: announced.append(top.data()))
    tree.verticalScrollBar().setValue(26 * 100)
    tree.update_states({index: TreeState(False) for index in range(len(rows))})
    top = tree.indexAt(QPoint(100, 1)).data()
    bottom = tree.indexAt(QPoint(100, tree.viewport().height() - 1)).data()
    assert announced[0] == top and announced[-1] == bottom
    assert 15 < len(announced) < 25


def test_expansion_selection_and_scroll_survive_new_states(tree: ModuleTree) -> None:
    tree.resize(448, 100)
    features = tree.model().index(0, 0, tree.model().index(0, 0))
    tree.select("drop")
    tree.collapse(features)
    tree.verticalScrollBar().setValue(20)
    assert tree.verticalScrollBar().value() == 20
    tree.update_states(dict(enumerate(states(False))))
    assert not tree.isExpanded(features)
    assert tree.selected_path() == "drop"
    assert tree.verticalScrollBar().value() == 20


def test_pending_is_shown_until_the_answer(tree: ModuleTree) -> None:
    tree.toggle("drop")
    assert lamp_pixels(tree, "drop", "train_mark") == 0
    assert 13 * 13 - lamp_pixels(tree, "drop", "surface") > 20
    tree.update_states({})
    assert lamp_pixels(tree, "drop", "train_mark") > 40


def test_lamps_never_indent_and_stand_left_of_the_names(tree: ModuleTree) -> None:
    lefts = {tree.lamp_rect(row.path).left() for row in ROWS}
    assert lefts == {0}
    assert tree.header().visualIndex(Column.MODE) == 0


def test_the_filter_keeps_selection_and_unfolds(tree: ModuleTree) -> None:
    tree.select("features.1")
    tree.collapseAll()
    tree.set_filter("norm")
    assert tree.matches() == 2
    assert not tree.lamp_rect("features.4").isEmpty()
    assert tree.lamp_rect("drop").isEmpty()
    tree.set_filter("")
    assert tree.selected_path() == "features.1"


def test_the_type_is_cut_before_the_name(qtbot: QtBot, picture: Callable[[QWidget], Picture]) -> None:
    tree = ModuleTree()
    qtbot.addWidget(tree)
    tree.resize(430, 120)
    rows = [TreeRow("a", "encoder_attention_output", -1, "AVeryLongNameOfAClassThatCannotFit")]
    tree.set_rows(rows, [TreeState(True, "no effect")])
    tree.show()
    qtbot.waitExposed(tree)
    left = tree.header().sectionViewportPosition(Column.EFFECT)
    # Nothing of the type reaches into the effect column.
    between = Picture(tree.viewport())
    assert not between.holds("text3", QRect(left - 4, 0, 7, 26))


def test_context_menu_asks_for_what_it_says(tree: ModuleTree, qtbot: QtBot) -> None:
    def press(menu: QMenu, name: str) -> None:
        next(action for action in menu.actions() if action.objectName() == name).trigger()

    menu = tree.context_menu("features")
    cases = [
        ("mode-eval", tree.mode_requested, ["features", False, True]),
        ("only-train", tree.mode_requested, ["features", True, False]),
        ("type-eval", tree.type_mode_requested, ["Sequential", False]),
        ("freeze", tree.freeze_requested, ["features"]),
        ("grad-off", tree.requires_grad_requested, ["features", False]),
    ]
    for name, signal, expected in cases:
        with qtbot.waitSignal(signal) as asked:
            press(menu, name)
        assert asked.args == expected
    press(menu, "copy")
    assert QGuiApplication.clipboard().text() == "features"
    assert "freeze" not in [action.objectName() for action in tree.context_menu("drop").actions()]
    assert "own-train-True" not in [action.objectName() for action in menu.actions()]
    with pytest.raises(KeyError):
        tree.context_menu("no such module")


def test_an_overridden_train_can_be_called(tree: ModuleTree, qtbot: QtBot) -> None:
    tree.set_rows([TreeRow("lora", "lora", -1, "Lora", own_train=True)], [TreeState(True)])
    menu = tree.context_menu("lora")
    with qtbot.waitSignal(tree.own_train_requested) as asked:
        next(action for action in menu.actions() if action.objectName() == "own-train-False").trigger()
    assert asked.args == ["lora", False]


def test_optional_columns_come_with_width(tree: ModuleTree) -> None:
    assert tree.isColumnHidden(Column.SHAPE) and tree.isColumnHidden(Column.REQUIRES_GRAD)
    tree.resize(900, 400)
    assert not tree.isColumnHidden(Column.SHAPE)
    tree.set_shapes({index_of("head"): "1 × 2"})
    index = tree.model().index(2, Column.SHAPE, tree.model().index(0, 0))
    assert index.data() == "1 × 2"


def test_a_problem_has_a_mark(tree: ModuleTree) -> None:
    at = index_of("features.1")
    assert not Picture(tree.viewport()).holds("attention")
    tree.update_states({at: TreeState(True, "batch stats", "train", problem="running_var holds 1 NaN")})
    assert Picture(tree.viewport()).holds("attention")


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=lambda tokens: tokens.name)
def test_selection_spans_the_row_in_both_themes(
    tree: ModuleTree, tokens: theme.Tokens, dressed: Callable[[theme.Tokens], None]
) -> None:
    dressed(tokens)
    tree.select("drop")
    rect = tree.lamp_rect("drop")
    shot = Picture(tree.viewport())
    for x in (2, 74, tree.viewport().width() - 3):
        assert shot.at(x, rect.top() + 2) == theme.color("selection")


def test_the_empty_tree_says_what_to_do(qtbot: QtBot) -> None:
    tree = ModuleTree()
    qtbot.addWidget(tree)
    tree.resize(448, 300)
    assert Picture(tree.viewport()).holds("text2")
    tree.set_rows(ROWS, states(True))
    tree.set_filter("nothing like it")
    assert Picture(tree.viewport()).holds("text2")
    assert tree.selected_path() is None or tree.lamp_rect("").isEmpty()


def test_the_pane_filters_and_escape_empties_the_line(qtbot: QtBot) -> None:
    pane = TreePane()
    qtbot.addWidget(pane)
    pane.resize(448, 700)
    pane.tree.set_rows(ROWS, states(True))
    pane.show()
    qtbot.waitExposed(pane)
    qtbot.keyClicks(pane.filter, "drop")
    assert pane.tree.lamp_rect("features").isEmpty()
    qtbot.keyClick(pane.filter, Qt.Key.Key_Escape)
    assert pane.filter.text() == ""
    assert not pane.tree.lamp_rect("features").isEmpty()
    qtbot.mouseClick(pane.only_reacting, LEFT)
    assert pane.tree.lamp_rect("head").isEmpty()
    assert not pane.tree.lamp_rect("drop").isEmpty()


def deep(levels: int) -> list[TreeRow]:
    """A chain of modules, one in the other."""
    rows = [TreeRow("", "net", -1, "Net", 12_345_678)]
    for level in range(levels):
        path = ".".join(["block"] * level + ["normalization"])
        rows.append(TreeRow(path if level else "normalization", "normalization", level, "BatchNorm2d", 12_345_678))
    return rows


def test_in_a_deep_tree_names_are_whole_and_parameters_give_way(tree: ModuleTree, qtbot: QtBot) -> None:
    assert not tree.isColumnHidden(Column.PARAMETERS)
    rows = deep(8)
    tree.set_rows(rows, [TreeState(True, "batch stats · updates")] * len(rows))
    assert tree.isColumnHidden(Column.PARAMETERS)
    wide = QFontMetricsF(theme.font(13, 500)).horizontalAdvance("normalization") + tree.indentation() * 9
    assert tree.columnWidth(Column.MODULE) >= wide
    tree.resize(620, 500)
    assert not tree.isColumnHidden(Column.PARAMETERS)
    figure = QFontMetricsF(theme.font(12)).horizontalAdvance("12\u202f345\u202f678")
    assert tree.columnWidth(Column.PARAMETERS) > figure + 18
    tree.resize(448, 500)
    assert tree.isColumnHidden(Column.PARAMETERS)
    for width in (447, 446, 445):
        tree.resize(width, 500)
        assert tree.isColumnHidden(Column.PARAMETERS)
