"""The Experiments page as a person uses it: questions, verdicts, pictures, and what a click asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.experiments_data import (
    CompanyCurve,
    CompanyData,
    CompanyLayer,
    DropoutRow,
    McData,
    RepeatData,
    RepeatRow,
    Subject,
)
from modelight.widgets.experiments_page import ExperimentsPage
from modelight.widgets.labels import plain_text

from .conftest import Picture

LEFT = Qt.MouseButton.LeftButton
SUBJECT = Subject("class", 0, "even")


def curve(training: bool, **more: Any) -> CompanyCurve:
    facts: dict[str, Any] = {
        "means": np.array([[0.55, 0.99, 1.0], [0.5, 0.1, 0.0]] if training else [[1.0] * 3, [0.0] * 3]),
        "deviations": np.array([0.05, 0.02, 0.01] if training else [0.0] * 3),
        "right": np.array([0.5, 0.9, 1.0] if training else [1.0] * 3),
        "right_deviations": np.full(3, 0.02 if training else 0.0),
        "effect": "differs" if training else "same",
        "least": 1,
        "most": 4,
        "before": 0.55 if training else 1.0,
        "after": 1.0,
        "first": "features.1" if training else None,
        "mixing": ("features.1", "features.4") if training else (),
        "layers": (
            CompanyLayer("features.0", "Conv2d", 0.0, False),
            CompanyLayer("features.1", "BatchNorm2d", 0.4, True, leading=True),
        )
        if training
        else (),
    }
    return CompanyCurve(training, **{**facts, **more})


def company(**more: Any) -> CompanyData:
    facts: dict[str, Any] = {
        "sizes": (1, 2, 4), "samples": 4, "runs": 8, "seed": 0, "subject": SUBJECT, "low": 0.0, "high": 1.0,
        "labelled": 4, "curves": (curve(True), curve(False)),
    }  # fmt: skip
    return CompanyData(**{**facts, **more})


def repeat(*sources: RepeatRow, same: bool = True, **more: Any) -> RepeatData:
    values = np.array([0.5, 0.6])
    rows = (
        RepeatRow("same", values, 2, differs=not same, first=None if same else "1"),
        RepeatRow("other", values, 2, differs=bool(sources), apart=0.1),
        *sources,
    )
    return RepeatData(rows, SUBJECT, "train", 1, 2, 0, **more)


def mc(*dropouts: DropoutRow, **more: Any) -> McData:
    facts: dict[str, Any] = {
        "mean": np.array([[0.9, 0.1], [0.5, 0.5]]), "deviation": np.array([[0.1, 0.1], [0.2, 0.2]]),
        "evaluated": np.array([[1.0, 0.0], [0.5, 0.5]]), "subject": SUBJECT, "names": ("even", "odd"), "step": 1,
        "captions": ("4", "1"), "entropy": np.array([0.3, 0.69]), "expected_entropy": np.array([0.2, 0.5]),
        "spread": 0.15, "exact": False, "nothing_on": 0.0, "passes": 32, "site_passes": 32, "batch": 1, "seed": 0,
    }  # fmt: skip
    return McData(dropouts=dropouts, **{**facts, **more})


@pytest.fixture
def page(qtbot: QtBot) -> ExperimentsPage:
    page = ExperimentsPage()
    qtbot.addWidget(page)
    page.resize(641, 1500)
    page.show()
    return page


def said(page: ExperimentsPage, name: str) -> str:
    return plain_text(getattr(page, name).verdict.text())


def test_before_anything_has_run_there_are_questions_and_buttons(page: ExperimentsPage) -> None:
    for section in (page.company, page.repeat, page.mc):
        assert section.question.text().endswith("?") and section.button.text() == "Run"
        assert not section.body.isVisible() and not section.verdict.isVisible()


def test_each_button_asks_for_its_own_experiment(qtbot: QtBot, page: ExperimentsPage) -> None:
    with qtbot.waitSignal(page.company_requested):
        qtbot.mouseClick(page.company.button, LEFT)
    with qtbot.waitSignal(page.repeat_requested):
        qtbot.mouseClick(page.repeat.button, LEFT)
    page.mc.passes.setValue(50)
    with qtbot.waitSignal(page.mc_requested) as asked:
        qtbot.mouseClick(page.mc.button, LEFT)
    assert asked.args == [50]


def test_a_running_experiment_shows_how_far_it_is_and_can_be_stopped(qtbot: QtBot, page: ExperimentsPage) -> None:
    page.set_running("repeat")
    page.set_progress("Seeding only numpy otherwise", 0.5)
    assert page.repeat.progress.isVisible() and "50" in page.repeat.progress.text()
    assert not page.company.progress.isVisible() and not page.mc.progress.isVisible()
    assert page.repeat.button.text() == "Stop"
    with qtbot.waitSignal(page.stop_requested):
        qtbot.mouseClick(page.repeat.button, LEFT)
    page.set_running(None)
    assert page.repeat.button.text() == "Run" and not page.repeat.progress.isVisible()


def test_company_is_told_before_it_is_plotted(page: ExperimentsPage) -> None:
    page.set_data(company(), None, None)
    text = said(page, "company")
    assert "In train company moves the answer: probability of class 0, even goes from 0.55 alone to 1.00" in text
    assert "among 3 others" in text and "features.1 is the first to let samples talk" in text
    assert "1 more layer normalises with the batch's statistics" in text
    assert "In eval company changes nothing." in text
    assert "Accuracy is 50" in text
    assert page.company.verdict.y() < page.company.answer.mapTo(page.company, page.company.rect().topLeft()).y()
    assert page.company.button.text() == "Run again"
    assert [band.is_drawn() for band in page.company.answer.bands] == [True, False], "no spread: no band"


def test_company_is_painted_in_the_colours_of_its_modes(page: ExperimentsPage) -> None:
    page.set_data(company(), None, None)
    QApplication.processEvents()
    picture = Picture(page.company.answer)
    assert picture.holds("train_mark") and picture.holds("eval_mark")
    assert Picture(page.company.layers).holds("train_mark"), "the layer that mixes"
    table = page.company.answer.table()
    assert table.rows[0][:2] == (1, 0.55)


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ("rounding", "nothing beyond rounding"),
        ("chance", "no more than repeats do"),
        ("raises", "raises at every batch size: one value"),
        ("alone-raises", "with one batch size alone"),
    ],
)
def test_other_verdicts_about_company(page: ExperimentsPage, effect: str, words: str) -> None:
    one = curve(True, effect=effect, first=None, mixing=(), problems=("one value",))
    page.set_data(company(curves=(one, curve(False))), None, None)
    assert words in said(page, "company")


def test_without_labels_there_is_no_accuracy(page: ExperimentsPage) -> None:
    bare = [replace(one, right=np.empty(0), right_deviations=np.empty(0)) for one in company().curves]
    page.set_data(company(labelled=0, curves=tuple(bare)), None, None)
    assert not page.company.accuracy.isVisible() and page.company.answer.isVisible()


def test_why_there_is_no_curve_is_the_verdict(page: ExperimentsPage) -> None:
    page.set_data(company(curves=(), unseen="This needs at least two samples."), None, None)
    assert said(page, "company") == "This needs at least two samples."
    assert not page.company.body.isVisible()


def source(name: str, **more: Any) -> RepeatRow:
    return RepeatRow(name, np.array([0.4, 0.7]), 4, **{"differs": True, "apart": 0.1, "first": "drop", **more})


def test_the_generator_that_decides_is_named(page: ExperimentsPage) -> None:
    quiet = source("numpy", differs=False, drew=False, first=None)
    page.set_data(None, repeat(source("torch"), quiet), None)
    text = said(page, "repeat")
    assert text == "Same seed, same answer, bit for bit. torch's generator decides: drop is the first to differ."
    strip = page.repeat.strip
    assert strip.verdict(page_rows(page)[2]).rest == " by 0.10"
    assert strip.verdict(page_rows(page)[3]).rest == ", nothing is drawn"
    assert [strip.verdict(row).sign for row in page_rows(page)] == ["good", "bad", "bad", "good"]


def page_rows(page: ExperimentsPage) -> tuple[RepeatRow, ...]:
    return page.repeat.strip._rows


def test_a_generator_of_the_models_own_is_said_so_though_seeds_change_nothing(page: ExperimentsPage) -> None:
    data = repeat(source("net.generator", owned=True, first="net"))
    page.set_data(None, replace(data, rows=(data.rows[0], replace(data.rows[1], differs=False), data.rows[2])), None)
    assert "net.generator, a generator that the model owns and no global seed reaches, decides" in said(page, "repeat")


def test_what_no_generator_explains_is_said(page: ExperimentsPage) -> None:
    page.set_data(None, repeat(source("torch", differs=None, first=None), same=False), None)
    text = said(page, "repeat")
    assert "still differs, first at 1." in text and "Whether torch's generator matters too cannot be told" in text
    assert page.repeat.strip.verdict(page_rows(page)[2]).verb == "Cannot be told"


def test_a_model_that_draws_nothing(page: ExperimentsPage) -> None:
    page.set_data(None, repeat(), None)
    assert said(page, "repeat").endswith("Another seed changes nothing either: nothing is drawn.")


def dropout(path: str, share: float, verdict: Any = "adds", p: float = 0.5) -> DropoutRow:
    return DropoutRow(path, "Dropout", p, share, share, verdict)


def test_which_dropouts_contribute(page: ExperimentsPage) -> None:
    rows = dropout("a", 0.75), dropout("b", 0.2), dropout("c", 0.0, "rate-zero", 0.0), dropout("d", 0.0, "no-effect")
    page.set_data(None, None, mc(*rows))
    text = said(page, "mc")
    assert "spread by ± 0.15 over 32 passes" in text and "Least certain is sample 1: entropy 0.69" in text
    assert "2 dropouts contribute, a most: alone it makes 75" in text and "2 dropouts add nothing, c first." in text
    notes = [row.note for row in page.mc.shares.rows()]
    assert notes == ["p 0.50", "p 0.50", "p is 0: never drops", "drops, and the output does not change"]
    assert page.mc.answers.whiskers.drawn() == 2
    assert Picture(page.mc.shares).holds("mask")


def test_no_dropout_at_all_is_said(page: ExperimentsPage) -> None:
    page.set_data(None, None, mc(exact=True, spread=0.0, deviation=np.zeros((2, 2))))
    assert said(page, "mc").startswith("This model has no dropout to switch on: all 32 passes gave the same")
    assert page.mc.answers.whiskers.drawn() == 0 and not page.mc.shares.isVisible()
    page.set_data(None, None, mc(nothing_on=0.15))
    assert "something draws whatever the flags" in said(page, "mc")


def test_another_class_can_be_chosen(page: ExperimentsPage) -> None:
    page.set_data(None, None, mc(dropout("a", 1.0)))
    page.mc.choice.fill().actions()[1].trigger()
    assert page.mc.choice.text() == "Probability of class 1, odd"
    assert [row[1] for row in page.mc.answers.table().rows] == [0.1, 0.5]


def test_what_has_changed_since_is_said(page: ExperimentsPage) -> None:
    page.set_data(company(outdated=True), repeat(outdated=False), None)
    assert page.company.outdated.isVisible() and not page.repeat.outdated.isVisible()
    page.set_data(None, None, None)
    assert not page.company.body.isVisible() and page.company.button.text() == "Run"


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=lambda tokens: tokens.name)
@pytest.mark.parametrize("width", [641, 1000])
def test_nothing_is_cut(page: ExperimentsPage, dressed: Any, tokens: theme.Tokens, width: int) -> None:
    dressed(tokens)
    page.retheme()
    page.resize(width, 1500)
    page.set_data(company(), repeat(source("torch")), mc(dropout("a", 1.0)))
    QApplication.processEvents()
    assert page.body.width() <= width
    for section in (page.company, page.repeat, page.mc):
        assert section.button.geometry().right() <= section.width()
        assert section.verdict.height() >= section.verdict.heightForWidth(section.verdict.width())
    assert Picture(page.company.answer).holds("surface")


@pytest.mark.parametrize("width", [380, 470, 641, 1143])
def test_the_names_of_curves_have_room_at_every_width(page: ExperimentsPage, qtbot: QtBot, width: int) -> None:
    """At 470 they were cut to "eva" and "trai"."""
    page.company.set_data(company())
    page.resize(width, 1500)
    for plot in (page.company.answer, page.company.accuracy):
        qtbot.waitUntil(lambda plot=plot: plot.plotItem.getViewBox().width() > plot.width() - 80)  # type: ignore[misc]
        view = plot.plotItem.getViewBox()
        end = view.mapFromView(QPointF(2.0, 0.0)).x()
        assert end + 8 + QFontMetricsF(theme.font(11, 500)).horizontalAdvance("train") <= view.width()


def test_notes_say_of_which_mode_they_are(page: ExperimentsPage) -> None:
    page.company.set_data(company(curves=(curve(True, unseen="Nothing of it."), curve(False, unseen="Nothing of it."))))
    assert page.company.note.text() == "Nothing of it."
    page.company.set_data(company(curves=(curve(True, unseen="Nothing of it."), curve(False))))
    assert page.company.note.text() == "In train: Nothing of it."
    assert page.company.thin.text().startswith("Thin curves")
