"""The Experiments page in the real window on the real model process: click, wait, read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from modelight.shot import Offscreen
from modelight.widgets.experiment_section import ExperimentSection
from modelight.widgets.experiments_page import ExperimentsPage
from modelight.widgets.labels import plain_text

LEFT = Qt.MouseButton.LeftButton
After = Callable[[Offscreen, Callable[[], Any]], None]


@pytest.fixture
def page(incident: Offscreen) -> ExperimentsPage:
    incident.window.show_page("experiments")
    widget = incident.window.pages.stack.currentWidget()
    assert isinstance(widget, ExperimentsPage)
    return widget


def run(qtbot: QtBot, after: After, stage: Offscreen, section: ExperimentSection) -> str:
    after(stage, lambda: qtbot.mouseClick(section.button, LEFT))
    assert section.body.isVisible() and section.button.text() == "Run again"
    assert stage.problems == []
    return plain_text(section.verdict.text())


def test_batch_mates(qtbot: QtBot, after: After, incident: Offscreen, page: ExperimentsPage) -> None:
    text = run(qtbot, after, incident, page.company)
    assert "In train company moves the answer: probability of class 0, even goes from 0.55 alone to 1.00" in text
    assert "features.1 is the first to let samples talk" in text and "In eval company changes nothing" in text
    train, evaluated = page.company.answer.lines()
    assert train.training and train.values[0] == pytest.approx(0.55, abs=0.02) and evaluated.values[0] > 0.99
    assert [row.path for row in page.company.layers.rows() if row.note] == ["features.1", "features.4", "features.8"]


def test_repeatability(qtbot: QtBot, after: After, incident: Offscreen, page: ExperimentsPage) -> None:
    text = run(qtbot, after, incident, page.repeat)
    assert text == "Same seed, same answer, bit for bit. torch's generator decides: drop is the first to differ."


def test_mc_dropout(qtbot: QtBot, after: After, incident: Offscreen, page: ExperimentsPage) -> None:
    page.mc.passes.setValue(8)
    text = run(qtbot, after, incident, page.mc)
    assert "over 8 passes" in text and "drop alone makes it." in text
    assert [(row.path, row.figure) for row in page.mc.shares.rows()] == [("drop", "100\u00a0%")]
    assert page.mc.answers.whiskers.drawn() > 0


def test_a_flip_outdates_what_depends_on_flags_alone(
    qtbot: QtBot, after: After, incident: Offscreen, page: ExperimentsPage
) -> None:
    for section in (page.company, page.repeat):
        run(qtbot, after, incident, section)
    after(incident, lambda: incident.session.set_mode("", False))
    incident.window.pages.refresh()
    assert page.repeat.outdated.isVisible() and not page.company.outdated.isVisible()
    after(incident, incident.session.undo.undo)
    incident.window.pages.refresh()
    assert not page.repeat.outdated.isVisible()


def test_an_experiment_can_be_stopped_and_leaves_the_model_as_it_was(
    qtbot: QtBot, after: After, incident: Offscreen, page: ExperimentsPage
) -> None:
    before = list(incident.session.states)
    page.mc.passes.setValue(1000)
    qtbot.mouseClick(page.mc.button, LEFT)
    assert page.mc.button.text() == "Stop" and page.mc.progress.isVisible()
    after(incident, lambda: qtbot.mouseClick(page.mc.button, LEFT))
    assert page.mc.button.text() in ("Run", "Run again") and not page.mc.progress.isVisible()
    assert incident.session.states == before and incident.problems == []
