"""Gradients and re-estimation in a real window on a real model process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from modelight.gradients_view import GradientsView
from modelight.reestimate_dialog import ReEstimateWindow
from modelight.setup import Setup
from modelight.shot import Offscreen
from modelight.widgets.gradients_page import GradientsPage
from modelight.widgets.labels import plain_text
from tests.gui.conftest import PATIENCE

After = Callable[[Offscreen, Callable[[], Any]], None]
FROZEN = "modelight.sample_models.mixed_frozen:build"
DIGITS = "modelight.sample_models.digits_cnn:build"

CUT = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, inputs):
        return self.head(self.stem(inputs).detach())

def example_input():
    return torch.ones(3, 4)
"""


def page_of(stage: Offscreen) -> GradientsPage:
    view = stage.window.pages._views["gradients"]
    assert isinstance(view, GradientsView)
    return view.widget


def press(page: GradientsPage, path: str) -> None:
    page.select(path)
    place = page.list.button_rect(page.list.currentIndex()).center().toPoint()
    QTest.mouseClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_opening_the_page_runs_backward_and_a_click_unfreezes(stage: Offscreen, qtbot: QtBot) -> None:
    assert stage.open(Setup(FROZEN, batch=4))
    stage.window.show_page("gradients")
    page = page_of(stage)
    qtbot.waitUntil(lambda: page.data() is not None, timeout=PATIENCE)
    assert plain_text(page.verdict.text()) == "All 2 trainable parameters receive a gradient."
    assert "backbone.4 is frozen and moves its own" in plain_text(page.facts.text())
    press(page, "backbone")
    qtbot.waitUntil(lambda: "All 10" in page.verdict.text(), timeout=PATIENCE)  # run again by itself
    assert stage.session.setup is not None and all(stage.session.setup.parameters.values())
    data = page.data()
    assert data is not None and not data.outdated and "does not freeze" not in page.facts.text()
    stage.session.undo.undo()
    qtbot.waitUntil(lambda: "All 2 " in page.verdict.text(), timeout=PATIENCE)


def test_the_line_that_cuts_the_graph_is_in_the_window(stage: Offscreen, tmp_path: Path, qtbot: QtBot) -> None:
    source = tmp_path / "net.py"
    source.write_text(CUT)
    assert stage.open(Setup(f"{source}:Net", directory=str(tmp_path)))
    assert stage.show_page("gradients")
    page = page_of(stage)
    line = 1 + CUT.splitlines().index("        return self.head(self.stem(inputs).detach())")
    wanted = f"detach() at net.py:{line}, in the model itself, cuts off 2 parameters: stem.weight, stem.bias."
    assert plain_text(page.cuts.text()) == wanted


def test_statistics_are_estimated_exported_and_the_file_opens(
    stage: Offscreen, after: After, tmp_path: Path, qtbot: QtBot
) -> None:
    assert stage.open(Setup(DIGITS))
    stage.window.show_page("statistics")
    page = stage.window.pages.stack.currentWidget()
    QTest.mouseClick(page.reestimate, Qt.MouseButton.LeftButton)  # type: ignore[attr-defined]
    window = stage.window.findChild(ReEstimateWindow)
    assert isinstance(window, ReEstimateWindow)
    panel = window.panel
    assert panel.batch.value() == 8  # the session runs one at a time, which says nothing of a population
    QTest.mouseClick(panel.estimate, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.data() is not None, timeout=PATIENCE)
    assert "8 of 8 labelled samples are right now" in plain_text(panel.verdict.text())
    assert stage.session.model is not None and stage.session.model.report is not None
    original = Path(stage.session.model.report.path)
    held = original.read_bytes()
    window.export(str(original), replace=True)
    qtbot.waitUntil(lambda: "stays as it is" in panel.told.text(), timeout=PATIENCE)
    assert original.read_bytes() == held
    window.export(str(tmp_path / "repaired.safetensors"))
    qtbot.waitUntil(lambda: panel.told.text().startswith("Written to"), timeout=PATIENCE)
    after(stage, lambda: stage.session.load_checkpoint(str(tmp_path / "repaired.safetensors")))
    report = stage.session.model.report
    assert report is not None and not (report.missing or report.unexpected or report.mismatched)
    assert panel.data() is None and not panel.export.isEnabled()  # the estimate was of another checkpoint
    window.close()


def test_the_window_may_be_closed_while_it_estimates(stage: Offscreen, after: After, qtbot: QtBot) -> None:
    assert stage.open(Setup(DIGITS))
    stage.window.reestimate()
    window = stage.window.findChild(ReEstimateWindow)
    assert isinstance(window, ReEstimateWindow)
    window.panel.passes.setValue(1000)
    QTest.mouseClick(window.panel.estimate, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "pass" in window.panel.told.text(), timeout=PATIENCE)
    with qtbot.waitSignal(window.destroyed):
        window.close()
    after(stage, stage.session.cycle.begin)  # answered behind the cancelled one, whose answer disturbs nobody
    assert not stage.problems


def test_what_cannot_be_estimated_is_said_in_the_window(stage: Offscreen, tmp_path: Path, qtbot: QtBot) -> None:
    source = tmp_path / "net.py"
    source.write_text(CUT)
    assert stage.open(Setup(f"{source}:Net", directory=str(tmp_path)))
    stage.window.reestimate()
    window = stage.window.findChild(ReEstimateWindow)
    assert isinstance(window, ReEstimateWindow)
    QTest.mouseClick(window.panel.estimate, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: "No layer of this model has running statistics" in window.panel.told.text(), timeout=PATIENCE
    )
    assert window.panel.estimate.isEnabled() and not window.panel.export.isEnabled()
    window.close()
