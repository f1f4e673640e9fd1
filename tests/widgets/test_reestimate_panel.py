"""The re-estimation panel by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from modelight.widgets.labels import plain_text
from modelight.widgets.reestimate_data import NormChange, ReEstimateData
from modelight.widgets.reestimate_list import ChangeModel
from modelight.widgets.reestimate_panel import ReEstimatePanel


def change(path: str, now: float, new: float, kept: str = "") -> NormChange:
    mean, var = np.linspace(0, 1, 4), np.ones(4)
    drift = np.array([now, 0.0, np.nan, 0.0]), np.array([new, 0.0, 0.0, 0.0])
    return NormChange(path, "BatchNorm2d", mean, mean + 1, var, var * 2, *drift, kept)


DATA = ReEstimateData(
    norms=(change("a", 0.5, 0.0001), change("b", 3.0, 0.02), change("c", 9.0, 9.0, "kept: never updates")),
    samples=8,
    batch=4,
    passes=1,
    batches=2,
    moved=0.25,
    probabilities=True,
    labelled=8,
    right_now=5,
    right_new=8,
    notes=("Mind this.",),
)


@pytest.fixture
def panel(qtbot: QtBot) -> ReEstimatePanel:
    made = ReEstimatePanel()
    qtbot.addWidget(made)
    made.resize(820, 680)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_before_an_estimate_there_is_nothing_to_export(panel: ReEstimatePanel, qtbot: QtBot) -> None:
    assert not panel.export.isEnabled() and not panel.below.isVisible()
    panel.batch.setValue(16)
    panel.passes.setValue(3)
    with qtbot.waitSignal(panel.estimate_requested) as told:
        qtbot.mouseClick(panel.estimate, Qt.MouseButton.LeftButton)
    assert told.args == [16, 3]


def test_the_verdict_is_accuracy_where_there_are_labels_else_distance(panel: ReEstimatePanel) -> None:
    panel.set_data(DATA)
    assert plain_text(panel.verdict.text()) == (
        "In eval 5 of 8 labelled samples are right now, 8 of 8 with these statistics."
    )
    panel.set_data(replace(DATA, labelled=0))
    assert plain_text(panel.verdict.text()) == "The output in eval moves by 0.25 (probability)."
    panel.set_data(replace(DATA, labelled=0, moved=0.0))
    assert plain_text(panel.verdict.text()) == "The output in eval stays the same."


def test_what_was_run_and_what_to_mind(panel: ReEstimatePanel) -> None:
    panel.set_data(DATA)
    assert panel.words.text() == (
        "2 layers, from 8 samples in 2 batches of 4; every batch counts alike. Nothing has been changed.\nMind this."
    )


def test_the_layer_that_drifts_most_is_shown_first_and_a_click_shows_another(
    panel: ReEstimatePanel, qtbot: QtBot
) -> None:
    panel.set_data(DATA)
    assert "b, BatchNorm2d, 4 channels" in panel.detail.subtitle.text()  # c drifts more, but keeps its statistics
    assert panel.list.painter.figures(DATA.norms[0]) == "0.50 → <0.001 σ"
    place = panel.list.visualRect(panel.list.rows.index(0)).center()
    qtbot.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert panel.detail.subtitle.text().startswith("a,")
    table = panel.mean.table()
    assert table.header == ("channel", "now", "re-estimated") and tuple(table.rows[0]) == (0, 0.0, 1.0)


def test_an_outdated_estimate_cannot_be_exported(panel: ReEstimatePanel, qtbot: QtBot) -> None:
    panel.set_data(DATA)
    with qtbot.waitSignal(panel.export_requested):
        qtbot.mouseClick(panel.export, Qt.MouseButton.LeftButton)
    panel.set_data(replace(DATA, outdated=True))
    assert not panel.export.isEnabled() and "has changed since" in panel.words.text()


def test_while_it_works_nothing_else_can_be_asked(panel: ReEstimatePanel) -> None:
    panel.set_data(DATA)
    panel.set_busy(True)
    assert not panel.estimate.isEnabled() and not panel.export.isEnabled()
    panel.set_busy(False)
    assert panel.estimate.isEnabled() and panel.export.isEnabled()


def test_the_model_keeps_qts_rules(qtmodeltester: ModelTester) -> None:
    model = ChangeModel()
    qtmodeltester.check(model)
    model.set_rows(DATA.norms)
    qtmodeltester.check(model)
