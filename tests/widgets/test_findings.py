"""Findings: cards, their folding, their buttons, and the small picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.evidence import EvidenceCurve, EvidencePlot
from modelight.widgets.finding_card import FindingCard, FindingRow, RemedyRow
from modelight.widgets.findings_pane import FindingsPane
from modelight.widgets.labels import MarkupLabel, plain_text

from .conftest import Picture

LEFT = Qt.MouseButton.LeftButton
CURVE = EvidenceCurve(("0", "8", "pool", "head"), (0.5, 0.6, 0.0, 0.0), (0.5, 0.65, 0.9, 1.0), 2)
FIRST = FindingRow(
    "ML101 pool",
    "ML101",
    "critical",
    "Output ignores the input",
    "12 inputs all give class 0 at **0.55 ± 0.02**.",
    "They stop differing at **pool**.",
    CURVE,
    (RemedyRow("set-eval", "Set eval", "eval"), RemedyRow("compare", "Compare")),
)
LONG = FindingRow("ML112", "ML112", "warning", "Statistics left the checkpoint", "Many words. " * 40)
INFO = FindingRow("ML130", "ML130", "info", "Gradients are off", "no_grad stops neither.")


@pytest.fixture
def pane(qtbot: QtBot) -> FindingsPane:
    pane = FindingsPane()
    qtbot.addWidget(pane)
    pane.resize(328, 900)
    pane.show()
    qtbot.waitExposed(pane)
    return pane


def settle() -> None:
    for _ in range(3):
        QApplication.processEvents()


def empty_text(pane: FindingsPane) -> str:
    return " ".join(
        label.text() for label in pane.findChildren(QLabel) if label.isVisible() and "remarkable" in label.text()
    )


def test_only_the_first_is_open_and_the_count_is_that_of_open_ones(pane: FindingsPane) -> None:
    pane.set_findings([FIRST, LONG, INFO])
    assert [card.is_unfolded() for card in pane.cards()] == [True, False, False]
    assert pane.count() == 3
    assert empty_text(pane) == ""


def test_a_button_asks_for_its_remedy_and_the_id_for_its_page(pane: FindingsPane, qtbot: QtBot) -> None:
    pane.set_findings([FIRST])
    settle()
    card = pane.cards()[0]
    button = card.findChild(QPushButton, "remedy-set-eval")
    link = card.findChild(QPushButton, "doc-link")
    assert isinstance(button, QPushButton) and isinstance(link, QPushButton)
    with qtbot.waitSignal(pane.remedy_requested) as asked:
        qtbot.mouseClick(button, LEFT)
    assert asked.args == ["ML101 pool", "set-eval"]
    with qtbot.waitSignal(pane.doc_requested) as asked:
        qtbot.mouseClick(link, LEFT)
    assert asked.args == ["ML101"]


def test_long_text_folds_to_three_lines_and_a_click_on_the_head_unfolds_it(pane: FindingsPane, qtbot: QtBot) -> None:
    pane.set_findings([INFO, LONG])
    settle()
    card = pane.cards()[1]
    folded = card.height()
    assert card.foldable() and folded < 140
    qtbot.mouseClick(card, LEFT, pos=QPoint(100, 20))
    settle()
    assert card.is_unfolded() and card.height() > folded + 100
    qtbot.mouseClick(card, LEFT, pos=QPoint(100, 20))
    settle()
    assert card.height() == folded


def test_short_text_cannot_be_folded(pane: FindingsPane, qtbot: QtBot) -> None:
    pane.set_findings([INFO])
    settle()
    card = pane.cards()[0]
    qtbot.mouseClick(card, LEFT, pos=QPoint(100, 20))
    assert not card.foldable() and card.is_unfolded()


def test_cards_that_did_not_change_stay_and_others_keep_their_folding(pane: FindingsPane) -> None:
    pane.set_findings([FIRST, LONG, INFO])
    first, long, _ = pane.cards()
    long.set_unfolded(True)
    pane.set_findings([replace(LONG, body="Other words. " * 40), FIRST])
    changed, kept = pane.cards()
    assert kept is first
    assert changed is not long and changed.is_unfolded()
    settle()
    assert changed.y() < kept.y()


def test_nothing_remarkable_is_said(pane: FindingsPane) -> None:
    assert empty_text(pane) == "Nothing remarkable in this state."
    solved = replace(FIRST, severity="solved", key="solved", title="Output follows the input again")
    pane.set_findings([solved])
    assert pane.count() == 0
    assert "Nothing else is remarkable" in empty_text(pane)
    pane.set_findings([INFO])
    assert empty_text(pane) == ""


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=lambda tokens: tokens.name)
@pytest.mark.parametrize(
    ("severity", "token"), [("critical", "attention"), ("warning", "attention"), ("solved", "confirmed")]
)
def test_the_sign_has_the_colour_of_its_severity(
    qtbot: QtBot, severity: str, token: str, tokens: theme.Tokens, dressed: Callable[[theme.Tokens], None]
) -> None:
    dressed(tokens)
    card = FindingCard(replace(INFO, severity=severity))
    qtbot.addWidget(card)
    card.resize(304, card.heightForWidth(304))
    assert Picture(card).holds(token, QRect(10, 12, 20, 20))


def test_critical_is_filled_and_warning_hollow(qtbot: QtBot) -> None:
    def inside(severity: str) -> int:
        card = FindingCard(replace(INFO, severity=severity))
        qtbot.addWidget(card)
        card.resize(304, card.heightForWidth(304))
        return Picture(card).count("attention", QRect(10, 12, 20, 20))

    assert inside("critical") > 2 * inside("warning")


def test_buttons_wrap_instead_of_being_cut(qtbot: QtBot) -> None:
    remedies = tuple(RemedyRow(f"r{number}", "Set every BatchNorm2d") for number in range(3))
    card = FindingCard(replace(INFO, severity="warning", remedies=remedies))
    qtbot.addWidget(card)
    card.resize(304, card.heightForWidth(304))
    card.show()
    settle()
    buttons = [card.findChild(QPushButton, f"remedy-r{number}") for number in range(3)]
    places = [button.geometry() for button in buttons if isinstance(button, QPushButton)]
    assert len(places) == 3
    assert all(place.right() <= 304 - 34 for place in places)
    assert len({place.top() for place in places}) == 3
    assert all(place.height() == 26 for place in places)


def test_the_picture_marks_the_collapse_in_the_colours_of_the_modes(qtbot: QtBot) -> None:
    plot = EvidencePlot(CURVE)
    qtbot.addWidget(plot)
    plot.resize(253, plot.height())
    shot = Picture(plot)
    assert shot.holds("train_mark") and shot.holds("eval_mark")
    assert shot.holds("train_words") and shot.holds("eval_words")
    at_collapse = QRect(round(1 + (253 - 38) * 2 / 3), 22, 1, 12)
    assert shot.holds("edge", at_collapse)
    assert "pool" in plot.accessibleName()


def test_a_curve_with_gaps_and_one_without_values_are_drawn(qtbot: QtBot) -> None:
    for curve in (
        EvidenceCurve(("a", "b", "c"), (None, 0.5, None), (0.1, None, 0.2)),
        EvidenceCurve(("a",), (None,), (None,)),
        EvidenceCurve((), (), ()),
    ):
        plot = EvidencePlot(curve)
        qtbot.addWidget(plot)
        plot.resize(253, plot.height())
        assert Picture(plot).holds("train_mark") == any(value is not None for value in curve.train[1:2])


def test_a_single_measured_point_is_a_dot(qtbot: QtBot) -> None:
    plot = EvidencePlot(EvidenceCurve(("a", "b", "c"), (None, 0.5, None), (None, None, None)))
    qtbot.addWidget(plot)
    plot.resize(253, plot.height())
    assert Picture(plot).holds("train_mark")


def test_markup_is_strong_and_nothing_else_is_markup(qtbot: QtBot) -> None:
    label = MarkupLabel()
    qtbot.addWidget(label)
    label.setText("at **0.55 ± 0.02**, <b>not bold</b> & **2**")
    label.resize(400, 17)
    assert label.accessibleName() == "at 0.55 ± 0.02, <b>not bold</b> & 2" == plain_text(label.text())
    assert Picture(label).holds("text") and Picture(label).holds("text2")
    label.setText("at 0.55, <b>not bold</b>")
    assert not Picture(label).holds("text")


def test_chinese_wraps_between_characters(qtbot: QtBot) -> None:
    label = MarkupLabel()
    qtbot.addWidget(label)
    label.setText("十二个输入得到同样的答案" * 6)
    assert label.lines_needed(200) > 3
    label.set_most_lines(3)
    assert label.heightForWidth(200) == 3 * 17
